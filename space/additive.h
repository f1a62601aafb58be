/* Exact minima of costs that are sums over units (MACs, parameters, latency tables) or the largest
 * of them (peaks of memory), by dynamic programming over stages, output channels and depth for
 * every resolution. */
#pragma once

#include "space/graph.h"

/* Cost of one unit; NAN where unknown (such units are never chosen). It is asked with the graph of
 * that unit alone, once for each place and choice of the space. */
struct additive_cost {
    double (*unit)(void *context, const struct graph *graph, int unit);
    void *context;
    /* Called before units of another resolution (index) are asked about, where a unit's cost
     * depends on it. May be NULL. */
    void (*resolution)(void *context, int resolution);
};

/* Smallest sum over all subnets of the space and an arch that attains it. Costs may be negative.
 * Errors: ESP_EMISSING if every subnet holds an unknown unit, ESP_ENOMEM. */
int additive_min(const struct space *space, const struct additive_cost *cost, struct err *err,
                 double *ret_min, struct arch *ret_arch);
/* A limit from below on the largest unit of a subnet: one of them costs so much at least. */
struct additive_reach {
    struct additive_cost cost;
    double least;
};
/* The smallest sum over the subnets that keep it. ESP_EMISSING if there are none, too. */
int additive_min_reaching(const struct space *space, const struct additive_cost *cost,
                          const struct additive_reach *reach, struct err *err, double *ret_min,
                          struct arch *ret_arch);
/* The same as additive_min for the largest unit of a subnet in place of the sum. */
int bottleneck_min(const struct space *space, const struct additive_cost *cost, struct err *err,
                   double *ret_min, struct arch *ret_arch);
