#include "daemon/ingest.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "daemon/disk.h"
#include "daemon/process.h"
#include "daemon/store_calibrations.h"
#include "daemon/store_datasets.h"
#include "daemon/store_energy.h"
#include "daemon/store_exports.h"
#include "daemon/store_jobs.h"
#include "daemon/store_measurements.h"
#include "daemon/store_models.h"
#include "daemon/store_searches.h"
#include "daemon/store_supernets.h"

static int apply_metric(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                        struct err *err) {
    return store_metric_add(tx, job->subject, data, err);
}

static int apply_checkpoint(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                            struct err *err) {
    return store_checkpoint_add(tx, job->subject, data, err);
}

static int apply_imported(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                          struct err *err) {
    return store_supernet_imported(tx, job->subject, data, err);
}

static int apply_model_section(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                               struct err *err) {
    return store_model_section_add(tx, job->subject, data, err);
}

static int apply_model(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                       struct err *err) {
    return store_model_found(tx, job->subject, data, err);
}

/* Only worth a line in the log of events. */
static int apply_recovered(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                           struct err *err) {
    cJSON *doc = cJSON_Duplicate(data, true);
    cJSON_AddStringToObject(doc, "job", job->id);
    int r = store_tx_event(tx, err, "recovered", doc);
    cJSON_Delete(doc);
    return r;
}

static int apply_dataset(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                         struct err *err) {
    return store_dataset_found(tx, job->subject, data, err);
}

/* A search's evaluations are those of its supernet, and tell by which weights it goes. */
static int apply_evaluation(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                            struct err *err) {
    const char *supernet = job->subject, *checkpoint;
    cJSON *search = NULL;
    int r = json_string(data, "", "checkpoint", 1, 128, err, &checkpoint);
    if (r == 0 && strcmp(job->kind, "search") == 0) {
        r = store_search_scored(tx, job->subject, checkpoint, err);
        if (r == 0)
            r = store_search_get(store_tx_sql(tx), job->subject, err, &search);
        supernet = cJSON_GetStringValue(cJSON_GetObjectItem(search, "supernet"));
    }
    if (r == 0)
        r = store_evaluation_add(tx, supernet, data, err);
    cJSON_Delete(search);
    return r;
}

static int apply_predictor(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                           struct err *err) {
    return store_predictor_set(tx, job->subject, data, err);
}

static int apply_budget(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                        struct err *err) {
    return store_search_budget(tx, job->subject, data, err);
}

static int apply_candidates(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                            struct err *err) {
    return store_candidates_add(tx, job->subject, data, err);
}

static int apply_generation(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                            struct err *err) {
    return store_generation_add(tx, job->subject, data, err);
}

static int apply_measure_request(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                                 struct err *err) {
    return store_measure_requests_add(tx, job->id, data, err);
}

static int apply_calibration(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                             struct err *err) {
    if (strcmp(job->kind, "calibrate") == 0)
        return store_calibration_fitted(tx, job->subject, data, err);
    return store_calibration_add(tx, job->subject, data, err);
}

static int apply_energy_prices(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                               struct err *err) {
    return store_energy_add_found(tx, job->subject, data, err);
}

static int apply_front(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                       struct err *err) {
    return store_front_add(tx, job->subject, data, err);
}

static int apply_export(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                        struct err *err) {
    return store_export_written(tx, job->subject, data, err);
}

static int apply_done(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                      struct err *err) {
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(data, "result");
    int r = 0;
    if (strcmp(job->kind, "train") == 0 && cJSON_IsObject(result))
        r = store_supernet_trained(tx, job->subject, result, err);
    if ((strcmp(job->kind, "search") == 0 || strcmp(job->kind, "results") == 0) &&
        cJSON_IsObject(result))
        r = store_search_finished(tx, job->subject, result, err);
    return r != 0 ? r : store_job_finish(tx, job->id, result, err);
}

static int apply_failed(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                        struct err *err) {
    struct err why = {.code = ESP_EINTERNAL};
    const char *code = "internal", *message = "", *pointer = "";
    int r = json_string_opt(data, "", "code", 1, 64, err, &code);
    if (r == 0)
        r = json_string_opt(data, "", "message", 0, 4096, err, &message);
    if (r == 0)
        r = json_string_opt(data, "", "pointer", 0, 1024, err, &pointer);
    if (r != 0)
        return r;
#define FIND_CODE(name, number, text, status)                                                      \
    if (strcmp(text, code) == 0)                                                                   \
        why.code = name;
    ESP_ERRORS(FIND_CODE)
#undef FIND_CODE
    err_set(&why, why.code, pointer, "%.500s", message);
    r = store_measure_requests_drop(tx, job->id, err);
    return r != 0 ? r : store_job_fail(tx, job->id, &why, err);
}

/* Whether a job failed because the disk is full, not by a limit of its own: it was below the floor
 * where the job works when it failed, or is now on whichever disk. An event that could not be
 * stored then comes when there is room again. */
static bool is_for_room(const struct daemon *daemon, const char *kind, const cJSON *data) {
    const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "code"));
    if (strcmp(kind, "failed") != 0 || code == NULL || daemon == NULL ||
        strcmp(code, err_name(ESP_ENOSPACE)) != 0)
        return false;
    const cJSON *free_bytes = cJSON_GetObjectItemCaseSensitive(data, "free_bytes");
    return (cJSON_IsNumber(free_bytes) &&
            free_bytes->valuedouble < (double)daemon->disk_floor_bytes) ||
           disk_check_room(daemon, 0, NULL) == ESP_ENOSPACE;
}

static int put_off(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                   struct err *err) {
    const char *message = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(data, "message"));
    char reason[256];
    snprintf(reason, sizeof(reason), "the disk is full: %.200s", message != NULL ? message : "");
    reason[utf8_trim(reason, strlen(reason))] = '\0';
    int r = 0;
    if (job->status.state == JOB_CANCELING) /* which it ends */
        r = store_measure_requests_drop(tx, job->id, err);
    return r != 0 ? r : store_job_apply(tx, job->id, JOB_STOP, reason, err);
}

static const struct {
    const char *kind, *jobs; /* which kinds of job may send it; NULL: any */
    int (*apply)(struct store_tx *tx, const struct job_row *job, const cJSON *data,
                 struct err *err);
} rows[] = {{"metric", "train", apply_metric},
            {"checkpoint", "train import", apply_checkpoint},
            {"imported", "import", apply_imported},
            {"model_section", "model", apply_model_section},
            {"model", "model", apply_model},
            {"recovered", NULL, apply_recovered},
            {"dataset", "dataset", apply_dataset},
            {"evaluation", "train evaluate search", apply_evaluation},
            {"predictor", "search", apply_predictor},
            {"budget", "search", apply_budget},
            {"candidates", "search results", apply_candidates},
            {"generation", "search results", apply_generation},
            {"measure_request", "search calibrate", apply_measure_request},
            {"calibration", "search calibrate", apply_calibration},
            {"energy_prices", "search", apply_energy_prices},
            {"front", "search results", apply_front},
            {"export", "export", apply_export},
            {"done", NULL, apply_done},
            {"failed", NULL, apply_failed}};

static int apply_event(struct store_tx *tx, const struct job_row *job, const char *kind,
                       const cJSON *data, struct err *err) {
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (strcmp(rows[i].kind, kind) != 0)
            continue;
        if (rows[i].jobs != NULL && strstr(rows[i].jobs, job->kind) == NULL)
            return err_set(err, ESP_EINVAL, "/kind", "a %s job sends no %s events", job->kind,
                           kind);
        return rows[i].apply(tx, job, data, err);
    }
    return err_set(err, ESP_EINVAL, "/kind", "there are no events of the kind \"%s\"", kind);
}

/* One line; passes over what the store has. */
static int ingest_line(struct store_tx *tx, const struct ingest_batch *batch, struct job_row *job,
                       const cJSON *event, struct err *err, struct ingest_result *ret) {
    const char *kind;
    const cJSON *data;
    int64_t seq;
    int r = json_int(event, "", "seq", 1, INT64_C(1) << 53, err, &seq);
    if (r == 0)
        r = json_string(event, "", "kind", 1, 64, err, &kind);
    if (r == 0)
        r = json_object(event, "", "data", err, &data);
    if (r != 0 || seq <= job->acked_seq)
        return r;
    if (seq != job->acked_seq + 1)
        return err_set(err, ESP_EINVAL, "/seq", "event %lld came after event %lld", (long long)seq,
                       (long long)job->acked_seq);
    ret->put_off = is_for_room(batch->daemon, kind, data);
    r = ret->put_off ? put_off(tx, job, data, err) : apply_event(tx, job, kind, data, err);
    if (r != 0)
        return err_prefix(err, r, "event %lld (%s)", (long long)seq, kind);
    job->acked_seq = seq;
    ret->ended |= strcmp(kind, "done") == 0 || strcmp(kind, "failed") == 0;
    ret->asked |= strcmp(kind, "measure_request") == 0;
    return 0;
}

static const struct json_limits line_limits = {
    .bytes = PROCESS_LINE_MAX, .depth = 64, .nodes = 4000000};

static int parse_line(const char *line, struct err *err, cJSON **ret_event) {
    return json_parse(line, strlen(line), &line_limits, err, ret_event);
}

int ingest_lines(struct store_tx *tx, struct ingest_batch *batch, struct err *err,
                 struct ingest_result *ret) {
    struct ingest_result result = {0};
    struct job_row job;
    int r = store_job_load(store_tx_sql(tx), batch->job, err, &job);
    if (r == 0 && (job.attempt != batch->attempt || job_terminal(job.status.state))) {
        *ret = (struct ingest_result){.acked = job.acked_seq, .fenced = true};
        return 0;
    }
    for (int i = 0; i < batch->n_lines && r == 0; i++) {
        cJSON *event = NULL;
        batch->n_good = i;
        r = parse_line(batch->lines[i], err, &event);
        if (r == 0)
            r = ingest_line(tx, batch, &job, event, err, &result);
        cJSON_Delete(event);
        if (result.ended)
            break; /* nothing comes behind it */
    }
    if (r == 0)
        r = store_job_set_acked(tx, batch->job, job.acked_seq, err);
    if (r != 0)
        return r;
    result.acked = job.acked_seq;
    *ret = result;
    return 0;
}

/* Up to where the job counts as heard once it has said this line. After a gap only the line itself
 * is still to come. */
static int64_t seq_behind(const char *line, int64_t acked) {
    cJSON *event = NULL;
    int64_t seq = 0;
    if (parse_line(line, NULL, &event) == 0)
        json_int(event, "", "seq", 1, INT64_C(1) << 53, NULL, &seq);
    cJSON_Delete(event);
    if (seq <= acked)
        return acked;
    return seq == acked + 1 ? seq : seq - 1;
}

int ingest_reject(struct store_tx *tx, const struct ingest_batch *batch, const struct err *why,
                  struct err *err) {
    struct ingest_batch good = *batch;
    struct ingest_result result;
    good.n_lines = batch->n_good;
    int r = ingest_lines(tx, &good, err, &result);
    if (r != 0 || result.fenced || result.ended)
        return r;
    r = store_job_set_acked(tx, batch->job, seq_behind(batch->lines[batch->n_good], result.acked),
                            err);
    if (r == 0)
        r = store_measure_requests_drop(tx, batch->job, err);
    return r != 0 ? r : store_job_fail(tx, batch->job, why, err);
}
