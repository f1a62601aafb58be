/* Spaces, archs and samples of them as the HTTP API shows them: pure, from structs to JSON. */
#pragma once

#include <cjson/cJSON.h>

#include "latency/energy.h"
#include "latency/predictor.h"
#include "space/cost.h"

/* {"macs", "params", "peak_activation_bytes", "peak_simple_bytes", "model_bytes", "traffic_bytes",
 * "energy_uj"}, energy at these prices. NULL on memory exhaustion. */
cJSON *describe_cost(const struct cost *cost, const struct energy_fit *prices);

/* A space of docs/API.md; with its document as "definition" when asked for. Enumerates its units:
 * some milliseconds for a large space. Errors: ESP_ENOMEM, ESP_ELIMIT. */
struct describe_space_options {
    bool builtin, definition;
};
int describe_space(const struct space *space, struct describe_space_options options,
                   struct err *err, cJSON **ret_doc);

/* What is known of the profile that an arch is described for. Borrowed. */
struct describe_profile {
    const struct latency_table *table;     /* NULL: no latencies */
    const struct calibration *calibration; /* NULL: the sum itself */
    const struct energy_fit *prices;       /* NULL: the literature's */
    const char *prices_id;                 /* of those */
};
/* The answer of GET /archs. arch must be valid. Errors: ESP_ENOMEM. */
int describe_arch(const struct space *space, const struct arch *arch,
                  const struct describe_profile *profile, struct err *err, cJSON **ret_doc);

/* The answer of POST /spaces/{name}/sample: quantiles over n random subnets (RNG_SAMPLE of seed).
 * table and calibration may be NULL. Errors: ESP_ENOMEM. */
struct describe_sample_options {
    int n; /* 1 to 10,000 */
    uint64_t seed;
};
int describe_sample(const struct space *space, const struct latency_table *table,
                    const struct calibration *calibration, struct describe_sample_options options,
                    struct err *err, cJSON **ret_doc);
