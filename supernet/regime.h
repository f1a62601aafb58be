/* Training regimes: what is trained in which order. Each regime is a row of phases; all that is
 * known of a phase stands in one table (regime.c). Nothing here has a state: where a training
 * stands is its step, and the phase follows from it. */
#pragma once

#include "base/rng.h"
#include "space/arch.h"

enum regime {
    REGIME_SANDWICH,    /* largest, smallest and random subnets in every step */
    REGIME_PROGRESSIVE, /* progressive shrinking: full, then kernel, depth, expand ratio opened */
    REGIME_COUPLED,     /* as sandwich, depth and expand ratio of a stage chosen together */
    REGIME_SINGLE,      /* one arch alone, on labels */
    REGIMES
};
enum { REGIME_PHASES_MAX = 8 };
extern const char *const regime_names[]; /* NULL-terminated */

enum phase_rule {
    RULE_SANDWICH, /* the largest on labels; the smallest and random ones on what it says */
    RULE_ALONE,    /* one network on labels */
    RULE_TEACHER   /* random subnets on labels and on what a frozen largest network says */
};

struct regime_phase {
    const char *name;
    enum phase_rule rule;
    double share;  /* of the steps, beside the other phases' */
    double rate;   /* of the learning rate */
    double warmup; /* share of the phase's steps; negative: as configured */
    int subnets;   /* RULE_TEACHER: sampled in a step */
    /* How many values of a gene, counted from the largest, may be sampled; 0: all. */
    int kernel_sizes, depths, widths /* expand ratios, and channels of stages */;
    bool half; /* the next phase opens the rest of the same */
    bool coupled;
    bool sorts; /* channels, at its beginning */
};

/* Row i of the regime; NULL behind the last. */
const struct regime_phase *regime_phase(enum regime regime, int i);
/* False for a phase that opens nothing of this space that was not open before, and for a half one
 * that leaves nothing for the next. */
bool regime_phase_applies(const struct space *space, enum regime regime, int i);
/* Subnets of a step in passes forward and back: what a step costs beside the other phases'. */
double regime_phase_cost(const struct regime_phase *phase, int random_subnets);

/* A subnet of what the phase has open, each gene uniform; canonical, resolution (index) as given,
 * drawn too when that is -1.
 * Coupled: kernel sizes and channels are drawn, the expand ratio of every block of a stage follows
 * its depth where that is elastic. Source: Cai et al. 2020, sec. 3.3; Sahni et al. 2021 (CompOFA),
 * sec. 3.2. */
void regime_sample(const struct space *space, const struct regime_phase *phase, struct rng *rng,
                   int resolution, struct arch *ret_arch);
/* The smallest one; at the smallest resolution when that is -1. The largest is that of the space in
 * every phase. */
void regime_smallest(const struct space *space, const struct regime_phase *phase, int resolution,
                     struct arch *ret_arch);
