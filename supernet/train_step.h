/* One step of a training on a batch, by the rule of its phase. */
#pragma once

#include "supernet/engine.h"
#include "supernet/loader.h"
#include "supernet/loss.h"
#include "supernet/regime.h"

struct train_step_settings {
    int random_subnets; /* of RULE_SANDWICH, beside the largest and the smallest */
    float label_smoothing, dropout, drop_connect;
    float
        label_share; /* of a student's loss, RULE_SANDWICH; the rest is on what the largest says */
    struct loss_soft soft;
    const struct arch *alone; /* of RULE_ALONE, at its own resolution; NULL: the largest */
    uint64_t seed;
};
struct train_step_losses {
    double labels;  /* cross-entropy to smoothed labels: of the largest subnet or the one trained
                       alone; RULE_TEACHER: mean over the subnets */
    double distill; /* mean over those that learn from what another says; 0: there are none */
    double smallest, random; /* cross-entropy to smoothed labels of a sandwich's students, mean of
                                the random ones; 0: there are none */
    double gap; /* their mean cross-entropy to smoothed labels less that of who says it */
};

struct train_step;
/* Borrows the engine, whose limits cover batch. ESP_ENOMEM. */
int train_step_create(struct engine *engine, struct supernet *supernet, int batch,
                      const struct train_step_settings *settings, struct err *err,
                      struct train_step **ret_step);
void train_step_destroy(struct train_step *step); /* takes NULL */
/* Adds the gradients of all subnets (summed, not averaged) to those of the supernet. batch is the
 * whole batch: each of the engine's processes takes its shard, and all have the whole gradients,
 * statistics and losses. What is random
 * depends on (seed, number, image of the batch). RULE_SANDWICH: running BN statistics follow the
 * largest subnet alone: every other subnet is recalibrated anyway, and so the largest can be used
 * as it is. RULE_TEACHER takes PART_TEACHER of the supernet, in batch statistics; running ones
 * follow the subnets. Errors: those of the engine; ESP_EINVAL: more processes than the batch can be
 * split over. */
int train_step_run(struct train_step *step, const struct regime_phase *phase,
                   const struct loader_batch *batch, uint64_t number, struct err *err,
                   struct train_step_losses *ret_losses);
