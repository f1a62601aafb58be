/* Points of a relaxed space, for its tests and those of what descends in it. */
#pragma once

#include "base/rng.h"
#include "space/relaxed.h"

/* Distributions that favour nothing in particular. */
static inline void random_point(const struct relaxed_shape *shape, uint32_t seed,
                                double *ret_point) {
    struct rng rng = rng_make(seed, RNG_TEST, 0, 0);
    for (int g = 0; g < shape->n_genes; g++) {
        double sum = 0, *p = ret_point + shape->first[g];
        for (int j = 0; j < shape->genes[g].n_choices; j++)
            sum += p[j] = 0.05 + rng_unit(&rng);
        for (int j = 0; j < shape->genes[g].n_choices; j++)
            p[j] /= sum;
    }
}
