/* One step of the sandwich rule on a batch. */
#pragma once

#include "supernet/engine.h"
#include "supernet/loader.h"

struct sandwich_settings {
    int random_subnets;
    float label_smoothing, dropout;
    uint64_t seed;
};
struct sandwich_losses {
    double labels;  /* cross-entropy of the largest subnet, with label smoothing */
    double distill; /* mean over the others of their cross-entropy to what the largest says */
};

struct sandwich;
/* Borrows the engine, whose limits cover batch. ESP_ENOMEM. */
int sandwich_create(struct engine *engine, const struct space *space, int batch,
                    const struct sandwich_settings *settings, struct err *err,
                    struct sandwich **ret_sandwich);
void sandwich_destroy(struct sandwich *sandwich); /* takes NULL */
/* Adds the gradients of all subnets (summed, not averaged) to those of the supernet. What is random
 * depends on (seed, step). Running BN statistics follow the largest subnet alone: every other
 * subnet is recalibrated anyway, and so the largest can be used as it is. Errors: those of the
 * engine. */
int sandwich_step(struct sandwich *sandwich, const struct loader_batch *batch, uint64_t step,
                  struct err *err, struct sandwich_losses *ret_losses);
/* The i-th random subnet of a step, of that resolution (an index). */
void sandwich_random_arch(const struct space *space, uint64_t seed, uint64_t step, int i,
                          int resolution, struct arch *ret_arch);
