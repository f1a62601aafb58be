/* Spaces, archs and samples of them as the HTTP API shows them: pure, from structs to JSON. */
#pragma once

#include <cjson/cJSON.h>

#include "latency/predictor.h"
#include "space/cost.h"

/* {"macs", "params", "peak_activation_bytes", "peak_simple_bytes", "model_bytes"}. NULL on memory
 * exhaustion. */
cJSON *describe_cost(const struct cost *cost);

/* A space of docs/API.md; with its document as "definition" when asked for. Enumerates its units:
 * some milliseconds for a large space. Errors: ESP_ENOMEM, ESP_ELIMIT. */
struct describe_space_options {
    bool builtin, definition;
};
int describe_space(const struct space *space, struct describe_space_options options,
                   struct err *err, cJSON **ret_doc);

/* The answer of GET /archs; with latencies when table is given (calibration NULL: the sum itself).
 * arch must be valid. Errors: ESP_ENOMEM. */
int describe_arch(const struct space *space, const struct arch *arch,
                  const struct latency_table *table, const struct calibration *calibration,
                  struct err *err, cJSON **ret_doc);

/* The answer of POST /spaces/{name}/sample: quantiles over n random subnets (RNG_SAMPLE of seed).
 * table and calibration may be NULL. Errors: ESP_ENOMEM. */
struct describe_sample_options {
    int n; /* 1 to 10,000 */
    uint64_t seed;
};
int describe_sample(const struct space *space, const struct latency_table *table,
                    const struct calibration *calibration, struct describe_sample_options options,
                    struct err *err, cJSON **ret_doc);
