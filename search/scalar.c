#include "search/scalar.h"

#include <math.h>

#define AUGMENT 0.05 /* of the sum of costs beside the largest */

/* Exponential draws over their sum. */
void scalar_draw_weights(int m, struct rng *rng, double ret_weights[OBJECTIVES_MAX]) {
    double sum = 0;
    for (int k = 0; k < m; k++)
        sum += ret_weights[k] = -log(1 - rng_unit(rng)) + 1e-12;
    for (int k = 0; k < m; k++)
        ret_weights[k] /= sum;
}

static void find_range(const struct told *told, int k, double *ret_low, double *ret_width) {
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int i = 0; i < told->n; i++) {
        double cost = told->outcomes[i].costs[k];
        int broken = told->outcomes[i].violation > 0;
        low[broken] = fmin(low[broken], cost);
        high[broken] = fmax(high[broken], cost);
    }
    int use = low[0] <= high[0] ? 0 : 1;
    *ret_low = low[use];
    *ret_width = high[use] > low[use] ? high[use] - low[use] : 1;
}

void scalar_measure(const struct told *told, struct scalar *scalar) {
    scalar->m = told->config.n_objectives;
    for (int k = 0; k < scalar->m; k++)
        find_range(told, k, &scalar->low[k], &scalar->width[k]);
}

static double term(const struct scalar *scalar, const struct outcome *outcome, int k) {
    return scalar->weights[k] * (outcome->costs[k] - scalar->low[k]) / scalar->width[k];
}

double scalar_cost(const struct scalar *scalar, const struct outcome *outcome) {
    double largest = -INFINITY, sum = 0;
    for (int k = 0; k < scalar->m; k++) {
        double cost = term(scalar, outcome, k);
        largest = fmax(largest, cost);
        sum += cost;
    }
    return largest + AUGMENT * sum;
}

void scalar_slope(const struct scalar *scalar, const struct outcome *outcome,
                  double ret_by_cost[OBJECTIVES_MAX]) {
    int largest = 0;
    for (int k = 1; k < scalar->m; k++)
        if (term(scalar, outcome, k) > term(scalar, outcome, largest))
            largest = k;
    for (int k = 0; k < scalar->m; k++)
        ret_by_cost[k] = (AUGMENT + (k == largest)) * scalar->weights[k] / scalar->width[k];
}
