#include "supernet/evaluate.h"
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
    int batch = options->config->batch, recalibration = recalibration_default.batch;
    int side = space->resolutions[space->n_resolutions - 1];
    if (recalibration > options->config->recalibration_images)
        recalibration = options->config->recalibration_images;
    struct engine_limits limits = {.batch = batch > recalibration ? batch : recalibration,
                                   .resolution = side,
                                   .training = true};
    size_t loaders =
        (size_t)(space->n_resolutions < PACE_TIMED_MAX ? space->n_resolutions : PACE_TIMED_MAX);
    size_t image = (size_t)side * (size_t)side * (size_t)space->input_channels * sizeof(float);
    return (int64_t)(2 * supernet_memory_estimate(space, count_copies(options->config)) +
                     engine_memory_estimate(space, &limits, parallel_threads(options->pool)) +
                     loaders * (TRAIN_LOADER_QUEUE + 1) * (size_t)batch * image);
}
