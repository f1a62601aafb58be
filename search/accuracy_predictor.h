/* Predicts the accuracy of any subnet from a few dozen evaluated ones (search/arch_model.h). A
 * model that cannot rank subnets that it has not seen, or that is worse on them than a line through
 * the logarithm of MACs alone, is not accepted. */
#pragma once

#include "search/arch_model.h"

/* Default of the least accepted Kendall tau: below it ranks say little. The front is evaluated for
 * real in any case. */
#define ACCURACY_TAU_MIN 0.4
/* Worse than the line: a tau that is lower by more than a standard deviation of the difference of
 * both, or a lower one and an error more than this times as large. */
#define ACCURACY_MARGIN 1.05
#define ACCURACY_LEVEL 0.9 /* of intervals */

struct accuracy_predictor;
/* Fits. tau_min: what is less is not accepted (the predictor is made all the same, so that its
 * figures can be shown). Deterministic in seed. Errors: ESP_EINVAL (too few samples, an arch of
 * another space, accuracies all equal or outside [0, 1]), ESP_ELIMIT, ESP_ENOMEM. */
int accuracy_predictor_fit(const struct space *space, const struct arch_sample *samples, int n,
                           double tau_min, uint64_t seed, struct err *err,
                           struct accuracy_predictor **ret_predictor);
void accuracy_predictor_destroy(struct accuracy_predictor *predictor); /* takes NULL */
const struct arch_model_quality *                                      /* of accuracy as a share */
accuracy_predictor_quality(const struct accuracy_predictor *predictor);
bool accuracy_predictor_accepted(const struct accuracy_predictor *predictor);

struct accuracy_prediction {
    double top1, low, high; /* in [0, 1]; ACCURACY_LEVEL of truths should lie in [low, high] */
};
/* Not thread-safe. arch must be valid in the space. Errors: ESP_EINVAL (not
 * accepted, says why). */
int accuracy_predictor_run(struct accuracy_predictor *predictor, const struct arch *arch,
                           struct err *err, struct accuracy_prediction *ret_prediction);

/* arch_model_gradient of what is predicted, before it is cut off at 0 and 1. Errors:
 * ESP_EUNSUPPORTED (not accepted), ESP_ENOMEM. */
int accuracy_predictor_gradient(struct accuracy_predictor *predictor,
                                const struct relaxed_shape *shape, const double *point,
                                struct err *err, double *ret_value, double *ret_gradient);

/* The fitted predictor as JSON; NULL on memory exhaustion. Reading: ESP_EMISMATCH for another
 * space, ESP_EINVAL, ESP_ENOMEM. Borrows space. */
cJSON *accuracy_predictor_to_json(const struct accuracy_predictor *predictor);
int accuracy_predictor_from_json(const struct space *space, const cJSON *doc, const char *at,
                                 struct err *err, struct accuracy_predictor **ret_predictor);
