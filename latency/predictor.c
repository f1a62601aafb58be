#include "latency/predictor.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "space/unit_sums.h"

#define NORMAL_90 1.645 /* of CALIBRATION_LEVEL, two-sided */

const char *const latency_state_names[] = {"covered", "interpolated", "missing", NULL};

/* What is added up over units: medians as they are and scaled by the calibration, bounds, of the
 * interpolated ones number and expected errors, and of the measured ones those errors. */
enum { PLAIN, MEDIAN, LOW, HIGH, N_INTERPOLATED, INTERPOLATION_ERROR, ENTRY_ERROR, SUMS };

static void values_of(const struct latency_estimate *estimate,
                      const struct calibration *calibration, const struct graph_unit *unit,
                      double ret_values[SUMS]) {
    double scale = unit_scales_get(calibration->scales, unit->signature, unit->spec.kind);
    ret_values[PLAIN] = estimate->median_us;
    ret_values[MEDIAN] = estimate->median_us * scale;
    ret_values[LOW] = estimate->low_us * scale;
    ret_values[HIGH] = estimate->high_us * scale;
    double error = estimate->median_us * scale * estimate->log_sd;
    bool measured = estimate->state == ESTIMATE_MEASURED;
    ret_values[N_INTERPOLATED] = estimate->state == ESTIMATE_INTERPOLATED;
    ret_values[INTERPOLATION_ERROR] = measured ? 0 : error;
    ret_values[ENTRY_ERROR] = measured ? error : 0;
}

/* Errors of calibration, of interpolation and of entries are independent of each other. What
 * entries of the calibration's own networks are doubtful by is in its errors already. */
static double interval_factor(const struct calibration *calibration, const double sums[SUMS]) {
    double fitted = log(calibration_interval_factor(calibration));
    double sum = fmax(sums[MEDIAN], 1e-300), entries = sums[ENTRY_ERROR] / sum;
    double interpolated = NORMAL_90 * sums[INTERPOLATION_ERROR] / sum;
    double excess = entries * entries - calibration->entries_sd * calibration->entries_sd;
    double doubt = NORMAL_90 * sqrt(fmax(0, excess));
    return exp(hypot(fitted, hypot(interpolated, doubt)));
}

static struct latency_prediction predict(const double sums[SUMS],
                                         const struct calibration *calibration) {
    bool calibrated = calibration->kind != CALIBRATION_NONE;
    if (isnan(sums[MEDIAN]))
        return (struct latency_prediction){LATENCY_MISSING, NAN, NAN, NAN, NAN, calibrated};
    struct latency_prediction p = {sums[N_INTERPOLATED] > 0 ? LATENCY_INTERPOLATED
                                                            : LATENCY_COVERED,
                                   sums[MEDIAN],
                                   sums[LOW],
                                   sums[HIGH],
                                   sums[PLAIN],
                                   calibrated};
    if (!calibrated) {
        double bias = log(calibration_interval_factor(calibration));
        p.low_us = p.us * exp(-hypot(bias, log(p.us / fmax(p.low_us, 1e-300))));
        p.high_us = p.us * exp(hypot(bias, log(p.high_us / p.us)));
        return p;
    }
    double factor = interval_factor(calibration, sums);
    p.us = calibration_apply(calibration, sums[MEDIAN]);
    p.low_us = p.us / factor;
    p.high_us = p.us * factor;
    return p;
}

static bool covers(const struct latency_table *table, const struct graph *graph) {
    for (int i = 0; i < graph->n_units; i++)
        if (!latency_table_find(table, graph->units[i].signature))
            return false;
    return true;
}

int latency_predict(const struct latency_table *table, const struct calibration *calibration,
                    const struct graph *graph, struct err *err,
                    struct latency_prediction *ret_prediction, int *ret_missing,
                    int *ret_n_missing) {
    struct latency_estimator *estimator = NULL; /* reads the whole table: only where it is needed */
    double sums[SUMS] = {0}, values[SUMS];
    int missing = 0,
        code = covers(table, graph) ? 0 : latency_estimator_create(table, err, &estimator);
    if (code < 0)
        return code;
    for (int i = 0; i < graph->n_units; i++) {
        const struct graph_unit *unit = &graph->units[i];
        struct latency_estimate estimate =
            estimator ? latency_estimate(estimator, unit)
                      : latency_estimate_measured(latency_table_find(table, unit->signature));
        values_of(&estimate, calibration, unit, values);
        for (int k = 0; k < SUMS; k++)
            sums[k] += values[k];
        if (estimate.state == ESTIMATE_MEASURED)
            continue;
        if (ret_missing)
            ret_missing[missing] = i;
        missing++;
    }
    latency_estimator_destroy(estimator);
    if (ret_n_missing)
        *ret_n_missing = missing;
    *ret_prediction = predict(sums, calibration);
    return 0;
}

struct latency_predictor {
    struct latency_estimator *estimator;
    struct calibration calibration;
    struct unit_sums *sums; /* of SUMS values */
};

static void unit_values(void *context, const struct graph *graph, int unit, double *ret_values) {
    const struct latency_predictor *predictor = context;
    struct latency_estimate estimate = latency_estimate(predictor->estimator, &graph->units[unit]);
    values_of(&estimate, &predictor->calibration, &graph->units[unit], ret_values);
}

double latency_predictor_unit_us(const struct latency_predictor *predictor,
                                 const struct graph *graph, int unit) {
    double values[SUMS];
    unit_values((void *)predictor, graph, unit, values);
    return values[MEDIAN];
}

int latency_predictor_create(const struct space *space, const struct latency_table *table,
                             const struct calibration *calibration, struct err *err,
                             struct latency_predictor **ret_predictor) {
    struct latency_predictor *predictor = mem_array(1, sizeof *predictor);
    if (!predictor)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a latency predictor");
    predictor->calibration = *calibration;
    struct unit_sums_config config = {
        .space = space, .n_values = SUMS, .unit = unit_values, .context = predictor};
    int code = latency_estimator_create(table, err, &predictor->estimator);
    if (code == 0)
        code = unit_sums_create(&config, err, &predictor->sums);
    if (code < 0) {
        latency_predictor_destroy(predictor);
        return code;
    }
    *ret_predictor = predictor;
    return 0;
}

void latency_predictor_destroy(struct latency_predictor *predictor) {
    if (!predictor)
        return;
    unit_sums_destroy(predictor->sums);
    latency_estimator_destroy(predictor->estimator);
    free(predictor);
}

void latency_predictor_calibrate(struct latency_predictor *predictor,
                                 const struct calibration *calibration) {
    if (predictor->calibration.scales || calibration->scales)
        unit_sums_forget(predictor->sums);
    predictor->calibration = *calibration;
}

const struct calibration *latency_predictor_calibration(const struct latency_predictor *predictor) {
    return &predictor->calibration;
}

int latency_predictor_run(struct latency_predictor *predictor, const struct arch *arch,
                          struct err *err, struct latency_prediction *ret_prediction) {
    double sums[SUMS];
    int code = unit_sums_get(predictor->sums, arch, err, sums);
    if (code < 0)
        return code;
    *ret_prediction = predict(sums, &predictor->calibration);
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
              cJSON_AddBoolToObject(doc, "calibrated", prediction->calibrated) &&
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
