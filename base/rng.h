/* Counter-based random numbers (Philox4x32-10; Salmon et al. 2011). A stream is keyed by what it is
 * for, never by thread or time, so the same (seed, purpose, step, index) gives the same numbers
 * everywhere. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum rng_purpose {
    RNG_INIT = 1,
    RNG_SPLIT,
    RNG_SHUFFLE,
    RNG_AUGMENT,
    RNG_SUBNET,
    RNG_RESOLUTION,
    RNG_DROPOUT,
    RNG_SEARCH,
    RNG_SAMPLE,
    RNG_BOOTSTRAP,
    RNG_INPUT,
    RNG_TEST,
    RNG_RECALIBRATE,
    RNG_DROP_CONNECT
};

struct rng {
    uint32_t key[2], counter[4], block[4];
    int left; /* words of block not yet given out */
};

/* A stream gives 2^34 words before it repeats. */
struct rng rng_make(uint64_t seed, enum rng_purpose purpose, uint64_t step, uint32_t index);
uint32_t rng_u32(struct rng *rng);
uint64_t rng_u64(struct rng *rng);
uint32_t rng_below(struct rng *rng, uint32_t n); /* uniform in [0, n), without bias; n >= 1 */
double rng_unit(struct rng *rng);                /* uniform in [0, 1), 53 bits */
double rng_normal(struct rng *rng); /* mean 0, variance 1 (Box-Muller, one of the pair) */
void rng_shuffle_u32(struct rng *rng, uint32_t *items, size_t count);
