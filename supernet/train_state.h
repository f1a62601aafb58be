/* Where a training stands and how it goes on: what its checkpoints hold beside the weights. */
#pragma once

#include "supernet/supernet.h"
#include "supernet/train_config.h"
#include "supernet/train_guard.h"
#include <stdbool.h>

/* Fixed when a round begins; from then on the counts rule, not the clock. */
struct train_plan {
    int round;             /* 0; one more for each training on top of a finished one */
    uint64_t first, steps; /* the round is the steps [first, steps) */
    uint64_t steps_per_epoch;
    uint64_t validate_steps; /* a multiple of checkpoint_steps */
    uint64_t checkpoint_steps;
    uint64_t point_steps;      /* between points of the curves that every step has */
    double epochs_before;      /* passed in earlier rounds */
    int pad;                   /* of the augmentation */
    double label_share;        /* of what learns from the largest in a sandwich */
    char inherited[HASH_TEXT]; /* id of the checkpoint whose weights it began with; "": none */
    int n_phases;              /* at least 1 */
    struct train_phase {
        int row;        /* of the regime */
        uint64_t first; /* step */
    } phases[REGIME_PHASES_MAX];
};

/* Since the last point of those curves. */
struct train_point_sums {
    double loss, distill, gap, norm;
    uint64_t n; /* steps */
};

struct train_state {
    bool due;          /* the validation that belongs to this step has not been done */
    uint64_t step;     /* done */
    int phase;         /* the last that was begun, of the plan; -1: none */
    double rate_scale; /* halved at every recovery */
    int recoveries;
    struct loss_guard guards[GUARD_KINDS]; /* of the phase */
    /* Since the last metrics. */
    double loss_sum, distill_sum, gap_sum, norm_sum;
    double part_squares[GRADIENT_PARTS_MAX]; /* of the gradient's parts */
    uint64_t summed;
    struct train_point_sums point;
    double best; /* best mean accuracy at a validation so far; -1: none */
};

/* Length of the round and intervals from what a step, a validation and a checkpoint take. All may
 * be 0 where the configuration counts in epochs and steps. elapsed_s: of the budget. */
struct train_pace {
    double step_s, validation_s, checkpoint_s, elapsed_s;
};
void train_plan_make(const struct train_config *config, const struct train_pace *pace,
                     uint64_t steps_per_epoch, struct train_plan *plan);

/* Phases of a plan whose first and steps are set: those of the regime that apply to the space, in
 * their shares. ESP_EINVAL: there are not as many steps. */
int train_plan_phases(const struct space *space, const struct train_config *config, struct err *err,
                      struct train_plan *plan);
int train_phase_at(const struct train_plan *plan, uint64_t step); /* index into the plan's phases */
const struct regime_phase *train_phase_row(const struct train_config *config,
                                           const struct train_plan *plan, int phase);
uint64_t train_phase_end(const struct train_plan *plan, int phase);
/* What is left to do from a step on, in passes of a subnet (regime_phase_cost). */
double train_cost_left(const struct train_config *config, const struct train_plan *plan,
                       uint64_t step);

/* Learning rate of a step in its phase: linear warm-up, then half a cosine down to the floor. */
double train_learning_rate(const struct train_config *config, const struct train_plan *plan,
                           uint64_t step);
/* Seed of all that is drawn in a round. */
uint64_t train_seed(const struct train_config *config, const struct train_plan *plan);
double train_epoch(const struct train_plan *plan, uint64_t step);
/* Both are true at the end of a phase too. */
bool train_is_checkpoint(const struct train_plan *plan, uint64_t step);
/* Counted from the round's first step, and at a validation. */
bool train_is_point(const struct train_plan *plan, uint64_t step);
bool train_is_validation(const struct train_plan *plan, uint64_t step);

/* The checkpoint's training object; NULL on memory exhaustion. */
cJSON *train_state_print(const struct train_config *config, const struct train_plan *plan,
                         const struct train_state *state);
/* Errors: ESP_EINVAL with a pointer. */
int train_state_parse(const cJSON *object, struct err *err, struct train_config *ret_config,
                      struct train_plan *ret_plan, struct train_state *ret_state);
