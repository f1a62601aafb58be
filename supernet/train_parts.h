/* What a training works with, made once for its calibration and once for itself. */
#pragma once

#include "supernet/evaluate.h"
#include "supernet/train.h"
#include "supernet/train_state.h"
#include "supernet/train_step.h"

struct train_parts {
    struct supernet *supernet; /* not owned */
    struct engine *engine;
    struct train_step *step;
    struct evaluation *evaluation;
    bool has_alone;
    struct arch alone; /* of the regime single */
};
/* The arch of the regime single; *ret_has false: it trains the largest, or the regime is another.
 * Errors: ESP_EINVAL, ESP_EPARSE at /train/arch. */
int train_alone(const struct train_options *options, struct err *err, bool *ret_has,
                struct arch *ret_arch);

/* Of the engine that trains and, by other batches, recalibrates BN for the curves. */
struct engine_limits train_engine_limits(const struct train_options *options);
/* The parts are zeroed before; on failure the caller finishes them. */
int train_parts_init(struct train_parts *parts, const struct train_options *options,
                     struct supernet *supernet, uint64_t seed, struct err *err);
void train_parts_finish(struct train_parts *parts);

enum { TRAIN_LOADER_QUEUE = 4 }; /* batches ahead */
struct train_batches {
    uint64_t seed, first; /* batch */
    const int *resolutions;
    int n_resolutions;
};
/* Resolutions that a training sees: the space's, or that of the one arch. */
void train_resolutions(const struct train_parts *parts, struct train_batches *batches);
/* Batches of the training split, shuffled and augmented as the configuration says. */
int train_loader(const struct train_options *options, const struct train_batches *batches,
                 struct err *err, struct loader **ret_loader);
uint64_t train_steps_per_epoch(const struct train_options *options); /* 0: not one batch */

/* Accuracy of the largest, the smallest and one random subnet (always the same for a seed) of those
 * that the phase has open, by the moving average of the weights where there is one. Where one
 * network is trained alone all three are that. */
int train_validate(const struct train_parts *parts, const struct train_options *options,
                   const struct regime_phase *phase, struct err *err,
                   struct train_metrics *metrics);
