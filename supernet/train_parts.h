/* What a training works with, made once for its calibration and once for itself. */
#pragma once

#include "supernet/evaluate.h"
#include "supernet/sandwich.h"
#include "supernet/train.h"
#include "supernet/train_state.h"

struct train_parts {
    struct supernet *supernet; /* not owned */
    struct engine *engine;
    struct sandwich *sandwich;
    struct evaluation *evaluation;
};
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
/* Batches of the training split, shuffled and augmented as the configuration says. */
int train_loader(const struct train_options *options, const struct train_batches *batches,
                 struct err *err, struct loader **ret_loader);
uint64_t train_steps_per_epoch(const struct train_options *options); /* 0: not one batch */

/* Accuracy of the largest, the smallest and one random subnet (always the same for a seed). */
int train_validate(const struct train_parts *parts, const struct train_options *options,
                   struct err *err, struct train_metrics *metrics);
