/* What a board's owner lets the daemon ask for: checked before anything is allocated or started. */
#pragma once

#include <stdint.h>

#include "space/graph.h"

struct worker_limits {
    int64_t macs;         /* multiply-adds of one run; 0: no limit */
    int64_t memory_bytes; /* of weights and activations, which are less than a process needs; 0 */
};

/* ESP_EUNSUPPORTED: too much to compute; ESP_ENOMEM: it does not fit. */
int limits_check(const struct graph *graph, const struct worker_limits *limits, struct err *err);
