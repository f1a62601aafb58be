/* The predicted latency of a profile as a source of metrics for searches: the key
 * "latency_us:<profile>". Used where a search is checked and where it runs. */
#pragma once

#include "latency/predictor.h"
#include "search/evaluator.h"

/* As a search keeps it: one that rests on interpolated entries says so by its source. */
struct metric latency_prediction_metric(const struct latency_prediction *prediction);

struct latency_evaluator;

/* Borrows space, table and what the calibration owns. Errors: ESP_ENOMEM, ESP_EINVAL (profile). */
int latency_evaluator_create(const struct space *space, const struct latency_table *table,
                             const struct calibration *calibration, const char *profile,
                             struct err *err, struct latency_evaluator **ret);
void latency_evaluator_destroy(struct latency_evaluator *evaluator); /* takes NULL */
/* Fills ret with functions that refer to evaluator. */
void latency_evaluator_init(struct latency_evaluator *evaluator, struct evaluator *ret);
/* From here on another calibration of the same table. */
void latency_evaluator_calibrate(struct latency_evaluator *evaluator,
                                 const struct calibration *calibration);
/* The whole prediction for one arch; as latency_predictor_run. */
int latency_evaluator_predict(struct latency_evaluator *evaluator, const struct arch *arch,
                              struct err *err, struct latency_prediction *ret_prediction);
