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
 * the calibration of each resolution that it times), and the validation beside them. */
int train_memory_estimate(const struct train_options *options, struct err *err,
                          int64_t *ret_bytes) {
    const struct space *space = options->space;
    struct engine_limits limits = train_engine_limits(options);
    struct recalibration recalibration = {.batch = limits.forward_batch};
    int threads = parallel_threads(options->pool);
    int loaders = space->n_resolutions < PACE_TIMED_MAX ? space->n_resolutions : PACE_TIMED_MAX;
    int64_t image =
        (int64_t)sizeof(float) * space->input_channels * limits.resolution * limits.resolution;
    int64_t validation = 0;
    int rc = evaluation_memory_estimate(space, &recalibration, threads, err, &validation);
    if (rc == 0)
        *ret_bytes = 2 * (int64_t)supernet_memory_estimate(space, count_copies(options->config)) +
                     (int64_t)engine_memory_estimate(space, &limits, threads) +
                     loaders * (TRAIN_LOADER_QUEUE + 1) * image * limits.batch + validation;
    return rc;
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
