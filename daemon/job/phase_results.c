/* Takes over another program's results as a finished search: its subnets are candidates, and the
 * front and the curve of the hypervolume are worked out anew. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/job/job.h"
#include "daemon/job/spec.h"
#include "search/archive.h"
#include "search/dynast.h"
#include "search/feasibility.h"

enum { PER_GENERATION = 50 };
static const char strategy[] = "imported", latency_key[] = "latency_us:dynast";

struct results {
    struct job *job;
    const char *path;
    char file[SPEC_SOURCE_MAX];
    struct space *space;
    struct goals goals;
    struct evaluator counts; /* MACs and the like, as this program counts them */
    struct dynast_rows rows;
    struct archive archive;
    double reference[OBJECTIVES_MAX];
    int duplicates, last_generation;
};

/* --- reading --- */

static int check_top1(const struct results *results, struct err *err) {
    for (size_t i = 0; i < results->rows.n; i++)
        if (isnan(results->rows.items[i].top1))
            return err_set(err, ESP_EINVAL, "/path",
                           "row %zu: no top-1 accuracy (0 or empty: it was not evaluated)", i + 1);
    return 0;
}

/* The counted metrics are there for the pages, whatever the objectives are. */
static int add_metrics(struct results *results, struct err *err) {
    int rc = check_top1(results, err);
    if (rc == 0)
        rc = goals_add_metric(&results->goals, "top1", err);
    for (int i = 0; i < results->counts.n_metrics && rc >= 0; i++)
        rc = goals_add_metric(&results->goals, results->counts.keys[i], err);
    bool measured = true;
    for (size_t i = 0; i < results->rows.n; i++)
        measured = measured && !isnan(results->rows.items[i].latency_us);
    if (rc >= 0 && goals_find_metric(&results->goals, latency_key) >= 0 && !measured)
        return err_set(err, ESP_EINVAL, "/cost", "the results have no latencies, or not all");
    if (rc >= 0 && measured)
        rc = goals_add_metric(&results->goals, latency_key, err);
    return rc < 0 ? rc : 0;
}

static int read_results(struct results *results, struct err *err) {
    static const char *const fields[] = {"search_id", "path", "space", "search", NULL};
    static const char *const known[] = {"top1", "latency_us", "macs", "params", NULL};
    const cJSON *spec = results->job->spec, *body = NULL;
    int rc = json_only(spec, "", fields, err);
    if (rc == 0)
        rc = json_string(spec, "", "path", 1, SPEC_PATH_MAX, err, &results->path);
    if (rc == 0)
        rc = json_object(spec, "", "search", err, &body);
    if (rc == 0)
        rc = goals_from_json(body, "", known, err, &results->goals);
    if (rc == 0)
        rc = spec_space(spec, "space", err, &results->space);
    if (rc == 0)
        rc = spec_source_file(results->path, err, results->file);
    if (rc == 0 && (rc = dynast_read(results->file, results->space, err, &results->rows)) != 0)
        snprintf(err->pointer, sizeof err->pointer, "%s", rc == ESP_EMISMATCH ? "/space" : "/path");
    if (rc == 0)
        rc = cost_evaluator_create(results->space, err, &results->counts);
    return rc == 0 ? add_metrics(results, err) : rc;
}

/* --- as an archive --- */

static void put_metric(const struct results *results, struct metric *metrics, const char *key,
                       struct metric value) {
    int i = goals_find_metric(&results->goals, key);
    if (i >= 0)
        metrics[i] = value;
}

/* A file that counts otherwise is of another space, of another width for instance; one that does
 * not count is taken by its genes. */
static int check_macs(const struct results *results, size_t row, double counted, struct err *err) {
    const struct dynast_row *r = &results->rows.items[row];
    return r->macs == 0 || (double)r->macs == counted
               ? 0
               : err_set(err, ESP_EMISMATCH, "/space",
                         "row %zu: %lld MACs, where this subnet of space \"%s\" has %.0f: results "
                         "of another space",
                         row + 1, (long long)r->macs, results->space->name, counted);
}

static int fill_metrics(const struct results *results, size_t row, struct err *err,
                        struct metric metrics[METRICS_MAX]) {
    const struct dynast_row *r = &results->rows.items[row];
    struct metric counted[METRICS_MAX];
    struct evaluation evaluation = {.arch = &r->arch, .values = counted};
    for (int i = 0; i < METRICS_MAX; i++)
        metrics[i] = (struct metric){(double)NAN, (double)NAN, (double)NAN, METRIC_COUNTED};
    int rc = results->counts.submit(results->counts.context, &evaluation, 1, err);
    for (int i = 0; i < results->counts.n_metrics && rc == 0; i++) {
        put_metric(results, metrics, results->counts.keys[i], counted[i]);
        if (strcmp(results->counts.keys[i], "macs") == 0)
            rc = check_macs(results, row, counted[i].value, err);
    }
    put_metric(results, metrics, "top1",
               (struct metric){r->top1, r->top1, r->top1, METRIC_EVALUATED});
    if (!isnan(r->latency_us))
        put_metric(results, metrics, latency_key,
                   (struct metric){r->latency_us, r->latency_us, r->latency_us, METRIC_MEASURED});
    return rc;
}

/* --- what goes up --- */

static int describe(const struct results *results, int index, struct err *err, cJSON *items) {
    const struct candidate *c = &results->archive.candidates[index];
    char text[ARCH_TEXT_MAX];
    cJSON *item = cJSON_CreateObject();
    arch_format(results->space, &c->arch, text);
    cJSON_AddStringToObject(item, "arch", text);
    cJSON_AddStringToObject(item, "arch_id", c->id);
    cJSON_AddBoolToObject(item, "feasible", c->violation == 0);
    cJSON_AddItemToObject(
        item, "metrics",
        metrics_to_json(&results->goals, archive_metrics(&results->archive, index)));
    return cJSON_AddItemToArray(items, item)
               ? 0
               : err_set(err, ESP_ENOMEM, NULL, "no memory for candidates");
}

static void add_volume(cJSON *data, double volume) {
    if (isfinite(volume))
        cJSON_AddNumberToObject(data, "hypervolume", volume);
    else
        cJSON_AddNullToObject(data, "hypervolume");
}

static int find_front(struct results *results, struct err *err, const int **ret_front, int *ret_n,
                      double *ret_volume) {
    int rc = archive_front(&results->archive, ret_front, ret_n);
    if (rc == 0)
        rc = archive_hypervolume(&results->archive, results->reference, ret_volume);
    return rc == 0 ? 0 : err_set(err, rc, NULL, "no memory for a front");
}

/* The candidates from first on, and where the search stood with them. */
static int send_generation(struct results *results, int first, size_t evaluations,
                           struct err *err) {
    int generation = ++results->last_generation, n_front = 0, rc = 0;
    const int *front;
    double volume;
    cJSON *data = cJSON_CreateObject(), *items;
    cJSON_AddStringToObject(data, "strategy", strategy);
    cJSON_AddNumberToObject(data, "generation", generation);
    items = cJSON_AddArrayToObject(data, "items");
    for (int i = first; i < results->archive.n && rc == 0; i++)
        rc = describe(results, i, err, items);
    channel_event(results->job->channel, "candidates", data);
    if (rc == 0)
        rc = find_front(results, err, &front, &n_front, &volume);
    if (rc != 0)
        return rc;
    data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "strategy", strategy);
    cJSON_AddNumberToObject(data, "generation", generation);
    cJSON_AddNumberToObject(data, "evaluations", (double)evaluations);
    add_volume(data, volume);
    cJSON_AddNumberToObject(data, "front_size", n_front);
    cJSON_AddNumberToObject(data, "feasible", results->archive.n_feasible);
    channel_event(results->job->channel, "generation", data);
    return 0;
}

static int take_rows(struct results *results, struct err *err) {
    int first = 0, rc = 0;
    for (size_t i = 0; i < results->rows.n && rc == 0; i++) {
        struct metric metrics[METRICS_MAX];
        const struct arch *arch = &results->rows.items[i].arch;
        int index;
        rc = fill_metrics(results, i, err, metrics);
        if (rc == 0 && archive_find(&results->archive, arch) >= 0)
            results->duplicates++;
        else if (rc == 0)
            rc = archive_put(&results->archive, arch, metrics, (int)(i / PER_GENERATION) + 1, err,
                             &index);
        rc = rc > 0 ? 0 : rc;
        if (rc == 0 && ((i + 1) % PER_GENERATION == 0 || i + 1 == results->rows.n)) {
            rc = send_generation(results, first, i + 1, err);
            first = results->archive.n;
        }
    }
    return rc;
}

static int send_front(struct results *results, struct err *err, cJSON **ret_result) {
    const struct goals *goals = &results->goals;
    const int *front;
    double volume;
    int n, rc = find_front(results, err, &front, &n, &volume);
    if (rc != 0)
        return rc;
    cJSON *data = cJSON_CreateObject(), *result = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "version", 1);
    cJSON_AddStringToObject(data, "stage", "final");
    add_volume(data, volume);
    cJSON_AddNumberToObject(data, "calibration_version", 0);
    cJSON *point = cJSON_AddObjectToObject(data, "reference_point");
    for (int i = 0; i < goals->n_objectives; i++)
        cJSON_AddNumberToObject(point, goals->keys[goals->objectives[i].metric],
                                goals->objectives[i].maximise ? -results->reference[i]
                                                              : results->reference[i]);
    cJSON *ids = cJSON_AddArrayToObject(data, "arch_ids");
    for (int i = 0; i < n; i++)
        cJSON_AddItemToArray(ids, cJSON_CreateString(results->archive.candidates[front[i]].id));
    channel_event(results->job->channel, "front", data);
    cJSON_AddNumberToObject(result, "evaluations", (double)results->rows.n);
    cJSON_AddNumberToObject(result, "duplicates", results->duplicates);
    cJSON_AddNumberToObject(result, "front_size", n);
    add_volume(result, volume);
    *ret_result = result;
    return 0;
}

/* The worst of the space, of latencies the worst of the file. */
static int find_reference(struct results *results, struct err *err) {
    double worst_us = 0;
    for (size_t i = 0; i < results->rows.n; i++)
        worst_us = fmax(worst_us, results->rows.items[i].latency_us);
    for (int i = 0; i < results->goals.n_objectives; i++) {
        const struct objective *o = &results->goals.objectives[i];
        const char *key = results->goals.keys[o->metric];
        struct attainable worst;
        if (strcmp(key, "top1") == 0) {
            results->reference[i] = -1.0 / results->space->n_classes;
            continue;
        }
        if (strcmp(key, latency_key) == 0) {
            results->reference[i] = worst_us;
            continue;
        }
        int rc = attainable_extreme(results->space, &results->counts, 1, key, true, err, &worst);
        if (rc != 0)
            return rc;
        results->reference[i] = worst.value;
    }
    return 0;
}

static int run(struct job *job, struct err *err, cJSON **ret_result) {
    struct results results = {.job = job};
    int rc = read_results(&results, err);
    archive_init(&results.archive, results.space, &results.goals);
    if (rc == 0)
        rc = find_reference(&results, err);
    if (rc == 0)
        rc = take_rows(&results, err);
    if (rc == 0)
        rc = send_front(&results, err, ret_result);
    archive_finish(&results.archive);
    dynast_finish(&results.rows);
    cost_evaluator_destroy(&results.counts);
    space_destroy(results.space);
    return rc;
}

extern const struct job_phase phase_results;
const struct job_phase phase_results = {
    .kind = "results", .help = "take over another program's results as a search", .run = run};
