/* Where a training stands and how it goes on: what its checkpoints hold beside the weights. */
#pragma once

#include "supernet/train_config.h"
#include <stdbool.h>

/* Fixed when a round begins; from then on the counts rule, not the clock. */
struct train_plan {
    int round;             /* 0; one more for each training on top of a finished one */
    uint64_t first, steps; /* the round is the steps [first, steps) */
    uint64_t steps_per_epoch;
    uint64_t validate_steps; /* a multiple of checkpoint_steps */
    uint64_t checkpoint_steps;
    double epochs_before; /* passed in earlier rounds */
    int pad;              /* of the augmentation */
};

struct train_state {
    uint64_t step;     /* done */
    double rate_scale; /* halved at every recovery */
    int recoveries;
    double loss_mean; /* running, of the largest subnet: what a spike is judged by; 0 before the
                         first step */
    double loss_sum, norm_sum; /* since the last metrics */
    uint64_t summed;
    double best; /* best mean accuracy at a validation so far; -1: none */
};

/* Length of the round and intervals from what a step, a validation and a checkpoint take. All may
 * be 0 where the configuration counts in epochs and steps. elapsed_s: of the budget. */
struct train_pace {
    double step_s, validation_s, checkpoint_s, elapsed_s;
};
void train_plan_make(const struct train_config *config, const struct train_pace *pace,
                     uint64_t steps_per_epoch, struct train_plan *plan);

/* Learning rate of a step in the round: linear warm-up, then half a cosine down to the floor. */
double train_learning_rate(const struct train_config *config, const struct train_plan *plan,
                           uint64_t step);
/* Seed of all that is drawn in a round. */
uint64_t train_seed(const struct train_config *config, const struct train_plan *plan);
double train_epoch(const struct train_plan *plan, uint64_t step);
bool train_is_checkpoint(const struct train_plan *plan, uint64_t step);
bool train_is_validation(const struct train_plan *plan, uint64_t step);

/* The checkpoint's training object; NULL on memory exhaustion. */
cJSON *train_state_print(const struct train_config *config, const struct train_plan *plan,
                         const struct train_state *state);
/* Errors: ESP_EINVAL with a pointer. */
int train_state_parse(const cJSON *object, struct err *err, struct train_config *ret_config,
                      struct train_plan *ret_plan, struct train_state *ret_state);
