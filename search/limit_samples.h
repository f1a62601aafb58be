/* Random subnets and what each has of every constrained metric that is cheap to evaluate: how many
 * keep which limits, and what they have. */
#pragma once

#include "search/evaluator.h"

enum { LIMIT_SAMPLES = 1000, SAMPLE_FREELY = -2, SAMPLE_WITHIN_ALL = -1 };

/* Limits, and who knows the metrics; borrowed. */
struct limited {
    const struct space *space;
    const struct goals *goals;
    const struct evaluator *evaluators;
    int n_evaluators;
};

struct limit_samples {
    double share; /* of random subnets that are within the limits that these were drawn within */
    bool known[CONSTRAINTS_MAX]; /* whether a cheap evaluator yields the constraint's metric */
    struct arch archs[LIMIT_SAMPLES];
    double values[LIMIT_SAMPLES][CONSTRAINTS_MAX]; /* NAN where not known */
};

/* Draws within the upper limits on sums and on the largest unit (search/upper_limits.h):
 * SAMPLE_FREELY none, SAMPLE_WITHIN_ALL all of them, k all but constraint k. Errors: ESP_ENOMEM,
 * those of the evaluators. */
int limit_samples_draw(const struct limited *limited, int within, struct err *err,
                       struct limit_samples **ret_samples); /* free() it */

/* Whether one of them keeps all limits that are known but constraint `without` (-1: all). A value
 * that is not known keeps none. */
bool limit_samples_keeps(const struct limit_samples *samples, const struct goals *goals, int index,
                         int without);
/* How many do. */
int limit_samples_count(const struct limit_samples *samples, const struct goals *goals,
                        int without);
/* What those that keep all limits but this have of it, the better ones first; their number. */
int limit_samples_others(const struct limit_samples *samples, const struct goals *goals,
                         int constraint, double ret_values[LIMIT_SAMPLES]);
/* Number of the sample that is least beyond the limits, by the sum of what is beyond each in units
 * of its bound; -1 where some value is unknown for all of them. */
int limit_samples_nearest(const struct limit_samples *samples, const struct goals *goals);
