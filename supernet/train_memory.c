#include "supernet/train_pace.h"
#include "supernet/train_parts.h"

static int count_copies(const struct train_config *config) {
    int copies = config->ema_decay > 0;
    for (int i = 0; regime_phase(config->regime, i); i++)
        if (regime_phase(config->regime, i)->rule == RULE_TEACHER)
            return copies + 1;
    return copies;
}

/* Two supernets (the calibration works on one of its own), one engine, the batches that wait (in
 * the calibration of each resolution that it times). */
int64_t train_memory_estimate(const struct train_options *options) {
    const struct space *space = options->space;
    struct engine_limits limits = train_engine_limits(options);
    size_t side = (size_t)limits.resolution, batch = (size_t)limits.batch;
    size_t loaders =
        (size_t)(space->n_resolutions < PACE_TIMED_MAX ? space->n_resolutions : PACE_TIMED_MAX);
    size_t image = side * side * (size_t)space->input_channels * sizeof(float);
    return (int64_t)(2 * supernet_memory_estimate(space, count_copies(options->config)) +
                     engine_memory_estimate(space, &limits, parallel_threads(options->pool)) +
                     loaders * (TRAIN_LOADER_QUEUE + 1) * batch * image);
}

int train_memory_by_recalibration(const struct train_options *options) {
    struct engine_limits both = train_engine_limits(options), step = both;
    int threads = parallel_threads(options->pool);
    step.forward_batch = 0;
    return engine_memory_estimate(options->space, &both, threads) >
                   engine_memory_estimate(options->space, &step, threads)
               ? both.forward_batch
               : 0;
}
