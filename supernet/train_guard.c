#include "supernet/train_guard.h"

#include <math.h>
#include <stddef.h>

static const double leap_factor = 3, leap_offset = 1, memory = 0.98;
static const double at_chance = 0.9, learnt = 0.5; /* of what chance has above the floor */
enum {
    CHANCE_STEPS = 5,
    CHANCE_IMAGES = 128, /* of a few, losses are at chance by accident */
    LEAP_IMAGES = 16,    /* of fewer, one image makes the loss leap */
    SETTLED_STEPS = 50   /* a phase's first subnets may be good ones, its next ones not yet */
};

static double entropy_part(double p) {
    return p > 0 ? -p * log(p) : 0;
}

struct guard_scale guard_scale_make(double smoothing, int classes, int batch) {
    double elsewhere = smoothing / classes;
    double floor =
        entropy_part(1 - smoothing + elsewhere) + (classes - 1) * entropy_part(elsewhere);
    int patience = (CHANCE_IMAGES + batch - 1) / batch;
    return (struct guard_scale){.floor = floor,
                                .chance = log(classes),
                                .leap_patience = (LEAP_IMAGES + batch - 1) / batch,
                                .chance_patience =
                                    patience > CHANCE_STEPS ? patience : CHANCE_STEPS};
}

static bool is_at_chance(const struct guard_scale *scale, double loss) {
    return loss - scale->floor >= at_chance * (scale->chance - scale->floor);
}

static bool has_learnt(const struct loss_guard *guard, const struct guard_scale *scale) {
    return guard->lowest > 0 &&
           guard->lowest - scale->floor < learnt * (scale->chance - scale->floor);
}

static bool has_leapt(const struct loss_guard *guard, const struct guard_scale *scale,
                      double loss) {
    double mean = fmax(guard->mean - scale->floor, 0);
    return guard->mean > 0 && loss - scale->floor > leap_factor * mean + leap_offset;
}

const char *guard_fault(const struct loss_guard *guard, const struct guard_scale *scale,
                        double loss) {
    if (has_leapt(guard, scale, loss) && guard->leaps + 1 >= scale->leap_patience)
        return "leapt up";
    if (has_learnt(guard, scale) && is_at_chance(scale, loss) &&
        guard->at_chance + 1 >= scale->chance_patience)
        return "fell back to chance";
    return NULL;
}

void guard_add(struct loss_guard *guard, const struct guard_scale *scale, double loss,
               unsigned long long in_phase) {
    guard->leaps = has_leapt(guard, scale, loss) ? guard->leaps + 1 : 0;
    guard->mean = guard->mean > 0 ? memory * guard->mean + (1 - memory) * loss : loss;
    if (in_phase >= SETTLED_STEPS && (guard->lowest <= 0 || guard->mean < guard->lowest))
        guard->lowest = guard->mean;
    if (!is_at_chance(scale, loss))
        guard->at_chance = 0;
    else if (guard->at_chance < scale->chance_patience)
        guard->at_chance++;
}
