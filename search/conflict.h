/* Limits that no subnet keeps together, though it may keep each of them: a proof, not a sample.
 *
 * Of limits on sums over units, each an excess that is to be at most 0, every weighted sum (weights
 * of at least 0) must be at most 0 too, and it is a sum over units itself: where its least over the
 * whole space (space/additive.h) is above 0, no subnet keeps them all (Lagrangian relaxation,
 * Geoffrion 1974). Units beyond a limit on the largest of them are left out of that space;
 * of limits from below on the largest, one at a time leaves those subnets of which a unit reaches
 * it. Weights
 * are sought in a bounded number of steps: of two limits the best ones are found, of more there may
 * be a conflict that is not. */
#pragma once

#include "search/evaluator.h"

struct conflict {
    int n;                            /* limits that are in conflict; 0: none was found */
    int constraints[CONSTRAINTS_MAX]; /* their numbers, rising; without any of them there is no
                                         proof by the same weights */
    double forced[CONSTRAINTS_MAX]; /* of each: what the metric is at least (of a max, else at most)
                                       where the others are kept; NAN where that is not known */
};

/* Limits on metrics that are neither sums nor the largest of units are left out. Errors:
 * ESP_ENOMEM. */
int conflict_find(const struct space *space, const struct goals *goals,
                  const struct evaluator *evaluators, int n_evaluators, struct err *err,
                  struct conflict *ret_conflict);
