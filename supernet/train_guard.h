/* What a training watches of its losses on labels, each kind of subnet by itself: whether a step
 * must not stand. Losses are judged by what they have above their floor, the entropy of smoothed
 * labels; at chance, where all classes are as likely, that is ln(classes) - floor. */
#pragma once

#include <stdbool.h>

enum guard_kind {
    GUARD_LABELS,   /* what learns from labels first: train_step_losses.labels */
    GUARD_SMALLEST, /* of a sandwich */
    GUARD_RANDOM,   /* of a sandwich, their mean */
    GUARD_KINDS
};

struct loss_guard {
    double mean;   /* running; 0: none yet */
    double lowest; /* mean so far in the phase, without its first steps; 0: none yet */
    int leaps;     /* successive steps up to now that were above the mean by so much */
    int at_chance; /* successive steps up to now */
};

struct guard_scale {
    double floor, chance; /* losses */
    int leap_patience;    /* successive steps that leapt and are no accident */
    int chance_patience;  /* the same at chance */
};
struct guard_scale guard_scale_make(double smoothing, int classes, int batch);

/* Why a step with that loss must not stand; NULL when all is well:
 *   - it leapt: above three times the running mean, and one more; in steps of a few images, in
 *     which one image does that, as many successive ones as have 16;
 *   - it fell back to chance: as many successive steps as are no accident have nine tenths of
 *     chance, and the mean had been below half of it. */
const char *guard_fault(const struct loss_guard *guard, const struct guard_scale *scale,
                        double loss);
/* A step that stands. in_phase: steps of the phase before it. */
void guard_add(struct loss_guard *guard, const struct guard_scale *scale, double loss,
               unsigned long long in_phase);
