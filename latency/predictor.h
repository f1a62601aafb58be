/* Predicted latency of a network on a profile: the sum of its units' table entries, then the
 * calibration, always with an interval. */
#pragma once

#include "latency/calibration.h"
#include "latency/estimate.h"

enum latency_state {
    LATENCY_COVERED,      /* every unit has a table entry */
    LATENCY_INTERPOLATED, /* some have none and are interpolated (latency/estimate.h) */
    LATENCY_MISSING       /* some cannot even be interpolated: the numbers are NAN */
};
extern const char *const latency_state_names[]; /* "covered", "interpolated", "missing", NULL */

struct latency_prediction {
    enum latency_state state;
    double us;              /* the prediction */
    double low_us, high_us; /* low <= us <= high. Calibrated: CALIBRATION_LEVEL of measurements
                               should lie inside. Not calibrated: the sums of the entries' own
                               bounds (their errors move together), which know nothing of a bias,
                               and in quadrature what such sums are off by elsewhere
                               (CALIBRATION_PRIOR_SD). Interpolated: wider by the errors of
                               interpolation, which are taken to move together too */
    double sum_us;          /* of the table's entries as they are */
    bool calibrated;        /* by measured networks; else the bias of the sum is not known */
};

/* Predicts any graph. ret_missing, if not NULL, has room for graph->n_units unit numbers and gets
 * those without an entry, interpolated or not; *ret_n_missing their number (may be NULL too).
 * Errors: ESP_ENOMEM. */
int latency_predict(const struct latency_table *table, const struct calibration *calibration,
                    const struct graph *graph, struct err *err,
                    struct latency_prediction *ret_prediction, int *ret_missing,
                    int *ret_n_missing);

/* The same for archs of one space, fast (no graph is built once the units that an arch uses have
 * been met): for search loops. Borrows space and table, which must not change; not thread-safe. */
struct latency_predictor;
int latency_predictor_create(const struct space *space, const struct latency_table *table,
                             const struct calibration *calibration, struct err *err,
                             struct latency_predictor **ret_predictor);
void latency_predictor_destroy(struct latency_predictor *predictor); /* takes NULL */
/* A new calibration of the same table. What it owns must live as long as it is used. */
void latency_predictor_calibrate(struct latency_predictor *predictor,
                                 const struct calibration *calibration);
const struct calibration *latency_predictor_calibration(const struct latency_predictor *predictor);
/* arch must be valid in the space. Errors: ESP_ENOMEM. */
int latency_predictor_run(struct latency_predictor *predictor, const struct arch *arch,
                          struct err *err, struct latency_prediction *ret_prediction);

/* What one unit of a graph adds to the sum that is calibrated; NAN where missing. */
double latency_predictor_unit_us(const struct latency_predictor *predictor,
                                 const struct graph *graph, int unit);

/* {"us", "low_us", "high_us", "state", "calibrated", "missing": [signature, …]} with nulls where
 * missing, as the API shows it; NULL on memory exhaustion. graph and missing may be NULL when
 * n_missing is 0. */
cJSON *latency_prediction_to_json(const struct latency_prediction *prediction,
                                  const struct graph *graph, const int *missing, int n_missing);
