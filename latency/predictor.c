#include "latency/predictor.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

const char *const latency_state_names[] = {"covered", "missing", NULL};

/* Sums over units of the entries' medians and bounds. */
struct sums {
    double median, low, high;
};

static void add_entry(struct sums *sums, const struct latency_entry *entry) {
    sums->median += entry ? entry->median_us : NAN;
    sums->low += entry ? entry->low_us : NAN;
    sums->high += entry ? entry->high_us : NAN;
}

static struct latency_prediction predict(const struct sums *sums,
                                         const struct calibration *calibration) {
    if (isnan(sums->median))
        return (struct latency_prediction){LATENCY_MISSING, NAN, NAN, NAN, NAN};
    if (calibration->kind == CALIBRATION_NONE)
        return (struct latency_prediction){LATENCY_COVERED, sums->median, sums->low, sums->high,
                                           sums->median};
    double us = calibration_apply(calibration, sums->median);
    double factor = calibration_interval_factor(calibration);
    return (struct latency_prediction){LATENCY_COVERED, us, us / factor, us * factor, sums->median};
}

void latency_predict(const struct latency_table *table, const struct calibration *calibration,
                     const struct graph *graph, struct latency_prediction *ret_prediction,
                     int *ret_missing, int *ret_n_missing) {
    struct sums sums = {0};
    int missing = 0;
    for (int i = 0; i < graph->n_units; i++) {
        const struct latency_entry *entry = latency_table_find(table, graph->units[i].signature);
        add_entry(&sums, entry);
        if (entry)
            continue;
        if (ret_missing)
            ret_missing[missing] = i;
        missing++;
    }
    if (ret_n_missing)
        *ret_n_missing = missing;
    *ret_prediction = predict(&sums, calibration);
}

/* What decides a unit's shapes inside a space: a block's are given by the resolution, its place,
 * the channels before and behind it and its own choices; those outside blocks by the resolution and
 * the last channels. Hashed as bytes, so no padding. */
struct context {
    uint8_t resolution, block, in, out, kernel, expand, first, reserved;
};
enum { OUTSIDE_BLOCKS = 255 };

struct latency_predictor {
    const struct space *space;
    const struct latency_table *table;
    struct calibration calibration;
    struct map by_context; /* hash of a context decides: 8 bytes are mixed without collision */
    struct sums *sums;
    uint32_t n_sums, capacity;
};

int latency_predictor_create(const struct space *space, const struct latency_table *table,
                             const struct calibration *calibration, struct err *err,
                             struct latency_predictor **ret_predictor) {
    struct latency_predictor *predictor = mem_array(1, sizeof *predictor);
    if (!predictor)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a latency predictor");
    predictor->space = space;
    predictor->table = table;
    map_init(&predictor->by_context);
    latency_predictor_calibrate(predictor, calibration);
    *ret_predictor = predictor;
    return 0;
}

void latency_predictor_destroy(struct latency_predictor *predictor) {
    if (!predictor)
        return;
    map_finish(&predictor->by_context);
    free(predictor->sums);
    free(predictor);
}

void latency_predictor_calibrate(struct latency_predictor *predictor,
                                 const struct calibration *calibration) {
    predictor->calibration = *calibration;
}

const struct calibration *latency_predictor_calibration(const struct latency_predictor *predictor) {
    return &predictor->calibration;
}

/* The contexts of an arch: one a block, then the one of all that is outside blocks. */
static int list_contexts(const struct space *space, const struct arch *arch,
                         struct context ret_contexts[SPACE_BLOCKS_MAX + 1]) {
    int n = 0;
    uint8_t in = 0;
    for (int s = 0; s < space->n_stages; s++) {
        const struct space_stage *stage = &space->stages[s];
        int depth = stage->depths.value[arch->depth[s]];
        for (int i = 0; i < depth; i++) {
            int block = stage->first_block + i;
            ret_contexts[n++] = (struct context){.resolution = arch->resolution,
                                                 .block = (uint8_t)block,
                                                 .in = i ? arch->channels[s] : in,
                                                 .out = arch->channels[s],
                                                 .kernel = arch->kernel[block],
                                                 .expand = arch->expand[block],
                                                 .first = i == 0};
        }
        in = arch->channels[s];
    }
    ret_contexts[n++] =
        (struct context){.resolution = arch->resolution, .block = OUTSIDE_BLOCKS, .out = in};
    return n;
}

static int store_sums(struct latency_predictor *predictor, const struct context *context,
                      const struct sums *sums) {
    uint64_t hash = map_hash(context, sizeof *context);
    if (map_find(&predictor->by_context, hash, NULL, NULL) >= 0)
        return 0;
    if (predictor->n_sums == predictor->capacity) {
        uint32_t capacity = predictor->capacity ? 2 * predictor->capacity : 256;
        struct sums *grown = realloc(predictor->sums, capacity * sizeof *grown);
        if (!grown)
            return ESP_ENOMEM;
        predictor->sums = grown;
        predictor->capacity = capacity;
    }
    predictor->sums[predictor->n_sums] = *sums;
    int code = map_add(&predictor->by_context, hash, predictor->n_sums);
    if (code == 0)
        predictor->n_sums++;
    return code;
}

/* Lowers the arch and keeps what each of its contexts costs. */
static int learn(struct latency_predictor *predictor, const struct arch *arch,
                 const struct context *contexts, int n_contexts, struct err *err) {
    struct graph *graph;
    int code = graph_build(predictor->space, arch, err, &graph);
    if (code < 0)
        return code;
    struct sums outside = {0};
    int block = 0;
    for (int i = 0; i < graph->n_units && code == 0; i++) {
        const struct latency_entry *entry =
            latency_table_find(predictor->table, graph->units[i].signature);
        if (graph->units[i].block < 0) {
            add_entry(&outside, entry);
            continue;
        }
        struct sums sums = {0};
        add_entry(&sums, entry);
        code = store_sums(predictor, &contexts[block++], &sums);
    }
    if (code == 0)
        code = store_sums(predictor, &contexts[n_contexts - 1], &outside);
    free(graph);
    return code < 0 ? err_set(err, code, NULL, "no memory for latency sums") : 0;
}

/* False if a context has not been met yet. */
static bool add_known(const struct latency_predictor *predictor, const struct context *contexts,
                      int n, struct sums *ret_sums) {
    struct sums sums = {0};
    for (int i = 0; i < n; i++) {
        int64_t at = map_find(&predictor->by_context, map_hash(&contexts[i], sizeof contexts[i]),
                              NULL, NULL);
        if (at < 0)
            return false;
        const struct sums *part = &predictor->sums[at];
        sums.median += part->median;
        sums.low += part->low;
        sums.high += part->high;
    }
    *ret_sums = sums;
    return true;
}

int latency_predictor_run(struct latency_predictor *predictor, const struct arch *arch,
                          struct err *err, struct latency_prediction *ret_prediction) {
    struct context contexts[SPACE_BLOCKS_MAX + 1];
    int n = list_contexts(predictor->space, arch, contexts);
    struct sums sums;
    if (!add_known(predictor, contexts, n, &sums)) {
        int code = learn(predictor, arch, contexts, n, err);
        if (code < 0)
            return code;
        if (!add_known(predictor, contexts, n, &sums))
            return err_set(err, ESP_EINTERNAL, NULL, "a graph has other units than its arch");
    }
    *ret_prediction = predict(&sums, &predictor->calibration);
    return 0;
}

static bool add_number_or_null(cJSON *doc, const char *key, double value) {
    return isfinite(value) ? cJSON_AddNumberToObject(doc, key, value) != NULL
                           : cJSON_AddNullToObject(doc, key) != NULL;
}

cJSON *latency_prediction_to_json(const struct latency_prediction *prediction,
                                  const struct graph *graph, const int *missing, int n_missing) {
    cJSON *doc = cJSON_CreateObject();
    cJSON *list = NULL;
    bool ok = doc && add_number_or_null(doc, "us", prediction->us) &&
              add_number_or_null(doc, "low_us", prediction->low_us) &&
              add_number_or_null(doc, "high_us", prediction->high_us) &&
              cJSON_AddStringToObject(doc, "state", latency_state_names[prediction->state]) &&
              (list = cJSON_AddArrayToObject(doc, "missing"));
    for (int i = 0; ok && i < n_missing; i++) {
        cJSON *item = cJSON_CreateString(graph->units[missing[i]].signature);
        ok = item && cJSON_AddItemToArray(list, item);
    }
    if (ok)
        return doc;
    cJSON_Delete(doc);
    return NULL;
}
