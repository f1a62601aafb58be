#include "devices/owner_limits.h"

#include "space/cost.h"

int limits_check(const struct graph *graph, const struct worker_limits *limits, struct err *err) {
    struct cost cost = {0};
    int rc = graph_cost(graph, 4, err, &cost);

    if (rc)
        return rc;
    if (limits->macs > 0 && cost.macs > limits->macs)
        return err_set(err, ESP_EUNSUPPORTED, NULL,
                       "the network has %lld multiply-adds, this worker takes %lld at the most "
                       "(--macs-limit)",
                       (long long)cost.macs, (long long)limits->macs);
    int64_t bytes = cost.model_bytes + cost.peak_activation_bytes;
    if (limits->memory_bytes > 0 && bytes > limits->memory_bytes)
        return err_set(err, ESP_ENOMEM, NULL,
                       "the network needs %lld bytes, this worker has %lld (--memory-limit)",
                       (long long)bytes, (long long)limits->memory_bytes);
    return 0;
}
