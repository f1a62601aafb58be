#include "latency/predictor.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "space/unit_sums.h"

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

struct latency_predictor {
    const struct latency_table *table;
    struct calibration calibration;
    struct unit_sums *sums; /* of median, low and high */
};

static void unit_values(void *context, const struct graph *graph, int unit, double *ret_values) {
    const struct latency_predictor *predictor = context;
    struct sums sums = {0};
    add_entry(&sums, latency_table_find(predictor->table, graph->units[unit].signature));
    ret_values[0] = sums.median;
    ret_values[1] = sums.low;
    ret_values[2] = sums.high;
}

int latency_predictor_create(const struct space *space, const struct latency_table *table,
                             const struct calibration *calibration, struct err *err,
                             struct latency_predictor **ret_predictor) {
    struct latency_predictor *predictor = mem_array(1, sizeof *predictor);
    if (!predictor)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a latency predictor");
    predictor->table = table;
    predictor->calibration = *calibration;
    struct unit_sums_config config = {
        .space = space, .n_values = 3, .unit = unit_values, .context = predictor};
    int code = unit_sums_create(&config, err, &predictor->sums);
    if (code < 0) {
        free(predictor);
        return code;
    }
    *ret_predictor = predictor;
    return 0;
}

void latency_predictor_destroy(struct latency_predictor *predictor) {
    if (!predictor)
        return;
    unit_sums_destroy(predictor->sums);
    free(predictor);
}

void latency_predictor_calibrate(struct latency_predictor *predictor,
                                 const struct calibration *calibration) {
    predictor->calibration = *calibration;
}

const struct calibration *latency_predictor_calibration(const struct latency_predictor *predictor) {
    return &predictor->calibration;
}

int latency_predictor_run(struct latency_predictor *predictor, const struct arch *arch,
                          struct err *err, struct latency_prediction *ret_prediction) {
    double values[3];
    int code = unit_sums_get(predictor->sums, arch, err, values);
    if (code < 0)
        return code;
    struct sums sums = {values[0], values[1], values[2]};
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
