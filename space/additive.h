/* Exact minima of costs that are sums over units (MACs, parameters, latency tables), by dynamic
 * programming over stages, output channels and depth for every resolution. */
#pragma once

#include "space/graph.h"

/* Cost of one unit; NAN where unknown (such units are never chosen). */
struct additive_cost {
    double (*unit)(void *context, const struct graph *graph, int unit);
    void *context;
};

/* Smallest sum over all subnets of the space and an arch that attains it. ESP_EMISSING if every
 * subnet holds an unknown unit. */
int additive_min(const struct space *space, const struct additive_cost *cost, struct err *err,
                 double *ret_min, struct arch *ret_arch);
