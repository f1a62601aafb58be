/* Several objectives as one, by weights: for strategies that climb a single reward. */
#pragma once

#include "search/told.h"

struct scalar {
    int m;
    double weights[OBJECTIVES_MAX];                    /* their sum is 1 */
    double low[OBJECTIVES_MAX], width[OBJECTIVES_MAX]; /* of the costs told that keep the limits, of
                                                          all if none does */
};

/* Weights uniform on the simplex, ranges of what was told. */
void scalar_draw_weights(int m, struct rng *rng, double ret_weights[OBJECTIVES_MAX]);
void scalar_measure(const struct told *told, struct scalar *scalar);
/* The augmented Chebyshev distance from the best costs, in ranges: 0 is best. */
double scalar_cost(const struct scalar *scalar, const struct outcome *outcome);
/* Its derivative by each cost; of the largest term's only where several are as large. */
void scalar_slope(const struct scalar *scalar, const struct outcome *outcome,
                  double ret_by_cost[OBJECTIVES_MAX]);
