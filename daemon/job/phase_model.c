/* Takes over another program's latency tables or accuracy predictor for a space. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/job/job.h"
#include "daemon/job/ofa_weights.h"
#include "daemon/job/spec.h"
#include "latency/ofa_model.h"
#include "search/ofa_predictor_file.h"

static const char *const fields[] = {"model_id", "path",        "kind", "space",
                                     "file",     "resolutions", NULL};
static const char *const kinds[] = {"latency", "accuracy", NULL};

struct request {
    const char *path, *file; /* file: where an accuracy predictor is kept */
    int kind;
    int n_resolutions; /* of an accuracy predictor that does not name its own */
    int resolutions[OFA_PREDICTOR_RESOLUTIONS_MAX];
    struct space *space;
};

static int read_resolutions(const cJSON *spec, struct err *err, struct request *ret) {
    const cJSON *list = NULL, *item;
    if (!json_has(spec, "resolutions"))
        return 0;
    int rc = json_array(spec, "", "resolutions", 1, OFA_PREDICTOR_RESOLUTIONS_MAX, err, &list);
    cJSON_ArrayForEach(item, list) {
        double value = cJSON_GetNumberValue(item);
        if (rc == 0 && !(value >= 1 && value <= SPACE_INPUT_MAX))
            rc = err_set(err, ESP_EINVAL, "/resolutions", "a resolution is 1 to %d pixels",
                         SPACE_INPUT_MAX);
        if (rc == 0)
            ret->resolutions[ret->n_resolutions++] = (int)value;
    }
    return rc;
}

static int read_request(const cJSON *spec, struct err *err, struct request *ret) {
    int rc = json_only(spec, "", fields, err);
    if (rc == 0)
        rc = json_string(spec, "", "path", 1, SPEC_PATH_MAX, err, &ret->path);
    if (rc == 0)
        rc = json_enum(spec, "", "kind", kinds, err, &ret->kind);
    if (rc == 0 && ret->kind == 1)
        rc = json_string(spec, "", "file", 1, SPEC_PATH_MAX, err, &ret->file);
    if (rc == 0 && ret->kind == 1)
        rc = read_resolutions(spec, err, ret);
    return rc == 0 ? spec_space(spec, "space", err, &ret->space) : rc;
}

static void add_number(cJSON *doc, const char *key, double value) {
    if (isfinite(value))
        cJSON_AddNumberToObject(doc, key, value);
    else
        cJSON_AddNullToObject(doc, key);
}

static void add_key(cJSON *doc, const char *key, const char *text) {
    if (text[0])
        cJSON_AddStringToObject(doc, key, text);
    else
        cJSON_AddNullToObject(doc, key);
}

/* --- latency --- */

static cJSON *describe_file(const struct ofa_model_file *file) {
    const struct ofa_table_report *table = &file->table;
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "name", file->name);
    cJSON_AddNumberToObject(row, "resolution", table->resolution);
    cJSON_AddNumberToObject(row, "keys", table->keys);
    cJSON_AddNumberToObject(row, "entries", table->entries);
    cJSON_AddNumberToObject(row, "missing", table->missing);
    add_key(row, "first_missing", table->first_missing);
    cJSON_AddNumberToObject(row, "foreign", table->foreign);
    add_key(row, "first_foreign", table->first_foreign);
    add_number(row, "smallest_us", file->least_us);
    add_number(row, "largest_us", file->most_us);
    return row;
}

static cJSON *describe_tables(const struct ofa_model_report *report) {
    cJSON *summary = cJSON_CreateObject();
    cJSON *resolutions = cJSON_AddArrayToObject(summary, "resolutions");
    cJSON *files = cJSON_AddArrayToObject(summary, "files");
    int entries = 0, missing = 0, foreign = 0;
    for (int i = 0; i < report->n; i++) {
        const struct ofa_table_report *table = &report->files[i].table;
        entries += table->entries;
        missing += table->missing;
        foreign += table->foreign;
        cJSON_AddItemToArray(resolutions, cJSON_CreateNumber(table->resolution));
        cJSON_AddItemToArray(files, describe_file(&report->files[i]));
    }
    cJSON_AddNumberToObject(summary, "entries", entries);
    cJSON_AddNumberToObject(summary, "missing", missing);
    cJSON_AddNumberToObject(summary, "foreign", foreign);
    return summary;
}

static void warn(const struct ofa_model_report *report) {
    for (int i = 0; i < report->n; i++) {
        const struct ofa_table_report *table = &report->files[i].table;
        if (table->missing > 0)
            log_warn("%s lacks %d of the space's units, \"%s\" first", report->files[i].name,
                     table->missing, table->first_missing);
        if (table->foreign > 0)
            log_warn("%s has %d keys that no unit of the space has, \"%s\" first",
                     report->files[i].name, table->foreign, table->first_foreign);
    }
}

static int send_sections(struct job *job, const struct latency_sections *sections,
                         struct err *err) {
    for (int i = 0; i < sections->n; i++) {
        cJSON *table = latency_table_to_json(sections->items[i].table), *data;
        if (!table)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for a table");
        data = cJSON_CreateObject();
        cJSON_AddNumberToObject(data, "resolution", sections->items[i].resolution);
        cJSON_AddItemToObject(data, "table", table);
        channel_event(job->channel, "model_section", data);
    }
    return 0;
}

static int take_tables(struct job *job, const struct request *request, struct err *err,
                       cJSON **ret_summary) {
    struct ofa_model_report *report = calloc(1, sizeof *report);
    struct latency_sections sections = {.n = 0};
    int rc = report ? ofa_model_read(request->path, request->space, err, report, &sections)
                    : err_set(err, ESP_ENOMEM, NULL, "no memory for a report");
    if (rc == 0)
        rc = send_sections(job, &sections, err);
    if (rc == 0) {
        warn(report);
        *ret_summary = describe_tables(report);
    }
    latency_sections_finish(&sections);
    free(report);
    return rc;
}

/* --- accuracy --- */

static int make_folder(const char *path, struct err *err) {
    char dir[SPEC_PATH_MAX + 1];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (!slash || slash == dir)
        return 0;
    *slash = '\0';
    return file_make_dirs(dir, err);
}

static void predict_ends(const struct ofa_predictor *predictor, const struct space *space,
                         cJSON *summary) {
    struct arch ends[2];
    const struct arch *archs[] = {&ends[0], &ends[1]};
    double top1[2];
    arch_min(space, &ends[0]);
    arch_max(space, &ends[1]);
    ofa_predictor_run(predictor, archs, 2, top1);
    add_number(summary, "smallest_top1", top1[0]);
    add_number(summary, "largest_top1", top1[1]);
}

/* The space with the resolutions that the predictor knows. */
static int narrow(const struct ofa_predictor_weights *weights, const struct space *space,
                  struct err *err, struct space **ret_space) {
    int resolutions[OFA_PREDICTOR_RESOLUTIONS_MAX];
    int n = ofa_predictor_resolutions(weights, space, resolutions);
    return n > 0 ? space_narrow(space, resolutions, n, err, ret_space)
                 : err_set(err, ESP_EMISMATCH, "/space",
                           "the accuracy predictor knows resolutions %d … %d, of which space "
                           "\"%s\" has none",
                           weights->resolutions[0],
                           weights->resolutions[weights->n_resolutions - 1], space->name);
}

static int keep_predictor(const struct request *request, const struct ofa_weights *weights,
                          struct err *err, cJSON **ret_summary) {
    struct space *space = NULL;
    struct ofa_predictor *predictor = NULL;
    char hash[HASH_TEXT];
    int rc = narrow(&weights->weights, request->space, err, &space);
    if (rc == 0 && (rc = ofa_predictor_create(space, &weights->weights, err, &predictor)) != 0)
        snprintf(err->pointer, sizeof err->pointer, "/space");
    if (rc == 0)
        rc = make_folder(request->file, err);
    if (rc == 0)
        rc = ofa_predictor_write(request->file, &weights->weights, request->space->fingerprint, err,
                                 hash);
    if (rc == 0) {
        cJSON *summary = cJSON_CreateObject();
        cJSON_AddItemToObject(summary, "resolutions",
                              cJSON_CreateIntArray(space->resolutions, space->n_resolutions));
        cJSON_AddStringToObject(summary, "hash", hash);
        cJSON_AddBoolToObject(summary, "resolutions_assumed", weights->assumed);
        predict_ends(predictor, space, summary);
        *ret_summary = summary;
    }
    ofa_predictor_destroy(predictor);
    space_destroy(space);
    return rc;
}

static int take_predictor(const struct request *request, struct err *err, cJSON **ret_summary) {
    struct ofa_weights weights = {.values = {NULL}};
    int rc = ofa_weights_read(request->path, request->resolutions, request->n_resolutions, err,
                              &weights);
    if (rc == 0 && weights.assumed)
        log_warn("the file does not say which resolutions it is of: taken for %d … %d pixels, the "
                 "defaults of once-for-all's library",
                 weights.weights.resolutions[0],
                 weights.weights.resolutions[weights.weights.n_resolutions - 1]);
    if (rc == 0)
        rc = keep_predictor(request, &weights, err, ret_summary);
    ofa_weights_finish(&weights);
    return rc;
}

static int run(struct job *job, struct err *err, cJSON **ret_result) {
    struct request request = {.path = NULL};
    cJSON *summary = NULL;
    int rc = read_request(job->spec, err, &request);
    if (rc == 0) {
        rc = request.kind == 0 ? take_tables(job, &request, err, &summary)
                               : take_predictor(&request, err, &summary);
        if (rc != 0 && err->pointer[0] != '/')
            snprintf(err->pointer, sizeof err->pointer, "/path");
        if (rc == ESP_EMISMATCH || strcmp(err->pointer, "/resolution") == 0)
            snprintf(err->pointer, sizeof err->pointer, "%s",
                     rc == ESP_EMISMATCH ? "/space" : "/path");
    }
    if (rc == 0) {
        channel_event(job->channel, "model", cJSON_Duplicate(summary, true));
        *ret_result = summary;
    }
    space_destroy(request.space);
    return rc;
}

extern const struct job_phase phase_model;
const struct job_phase phase_model = {
    .kind = "model",
    .help = "take over another program's latency tables or accuracy predictor",
    .run = run};
