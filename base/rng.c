#include "base/rng.h"

#include <assert.h>
#include <math.h>

/* Multipliers, key increments and number of rounds of Philox4x32-10. Source: Salmon et al. 2011,
 * sec. 3.3. */
enum { ROUNDS = 10 };
#define MULTIPLIER_0 0xD2511F53u
#define MULTIPLIER_1 0xCD9E8D57u
#define WEYL_0 0x9E3779B9u
#define WEYL_1 0xBB67AE85u

static void philox(const uint32_t key[2], const uint32_t counter[4], uint32_t ret_block[4]) {
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)MULTIPLIER_0 * x0, p1 = (uint64_t)MULTIPLIER_1 * x2;
        x0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0;
        x2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
        x1 = (uint32_t)p1;
        x3 = (uint32_t)p0;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    ret_block[0] = x0;
    ret_block[1] = x1;
    ret_block[2] = x2;
    ret_block[3] = x3;
}

/* The purpose goes into the key by one call of the cipher: the counter has no bits left for it
 * beside the block number, the index and the whole step. */
struct rng rng_make(uint64_t seed, enum rng_purpose purpose, uint64_t step, uint32_t index) {
    const uint32_t seed_key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t purpose_counter[4] = {(uint32_t)purpose};
    uint32_t derived[4];
    philox(seed_key, purpose_counter, derived);
    return (struct rng){
        .key = {derived[0], derived[1]},
        .counter = {0, index, (uint32_t)step, (uint32_t)(step >> 32)},
    };
}

uint32_t rng_u32(struct rng *rng) {
    if (rng->left == 0) {
        philox(rng->key, rng->counter, rng->block);
        rng->counter[0]++;
        rng->left = 4;
    }
    return rng->block[4 - rng->left--];
}

uint64_t rng_u64(struct rng *rng) {
    uint64_t high = rng_u32(rng);
    return high << 32 | rng_u32(rng);
}

/* Source: Lemire 2019, "Fast random integer generation in an interval", algorithm 5. */
uint32_t rng_below(struct rng *rng, uint32_t n) {
    assert(n >= 1);
    uint64_t product = (uint64_t)rng_u32(rng) * n;
    if ((uint32_t)product < n) {
        uint32_t threshold = (0u - n) % n;
        while ((uint32_t)product < threshold)
            product = (uint64_t)rng_u32(rng) * n;
    }
    return (uint32_t)(product >> 32);
}

double rng_unit(struct rng *rng) {
    return (double)(rng_u64(rng) >> 11) * 0x1p-53;
}

double rng_normal(struct rng *rng) {
    const double two_pi = 6.283185307179586476925;
    double radius = sqrt(-2.0 * log(1.0 - rng_unit(rng)));
    return radius * cos(two_pi * rng_unit(rng));
}

void rng_shuffle_u32(struct rng *rng, uint32_t *items, size_t count) {
    assert(count <= UINT32_MAX);
    for (size_t i = count; i > 1; i--) {
        uint32_t j = rng_below(rng, (uint32_t)i);
        uint32_t held = items[i - 1];
        items[i - 1] = items[j];
        items[j] = held;
    }
}
