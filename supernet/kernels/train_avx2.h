/* What the AVX2 + FMA training kernels share beyond runtime/kernels/avx2.h. Included only by files
 * that are compiled with these instruction sets. */
#pragma once

#include "runtime/kernels/avx2.h"
#include "supernet/kernels/kernels_internal.h"

/* acc += a * b, b in memory: one instruction, no register for b (see FMA). p: 32-byte aligned. */
#define FMA_LOAD(acc, a, p)                                                                        \
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(acc) : "x"(a), "m"(*(const __m256 *)(p)))

/* An activation's value and slope at z. */
struct act_pair {
    __m256 value, slope;
};

INLINE struct act_pair act_pair_avx2(enum act act, __m256 z) {
    if (act == ACT_RELU) {
        __m256 above = _mm256_cmp_ps(z, _mm256_setzero_ps(), _CMP_GT_OQ);
        return (struct act_pair){_mm256_and_ps(above, z), _mm256_and_ps(above, _mm256_set1_ps(1))};
    }
    if (act == ACT_HSWISH) { /* slope: the gate itself outside, gate + z / 6 between -3 and 3 */
        __m256 sixth = _mm256_mul_ps(z, _mm256_set1_ps(1.0f / 6));
        __m256 open = _mm256_add_ps(sixth, _mm256_set1_ps(0.5f));
        __m256 gate = _mm256_max_ps(_mm256_min_ps(open, _mm256_set1_ps(1)), _mm256_setzero_ps());
        __m256 inside = _mm256_cmp_ps(gate, open, _CMP_EQ_OQ);
        return (struct act_pair){_mm256_mul_ps(z, gate),
                                 _mm256_add_ps(gate, _mm256_and_ps(inside, sixth))};
    }
    if (act == ACT_RELU6) {
        __m256 six = _mm256_set1_ps(6);
        __m256 inside = _mm256_and_ps(_mm256_cmp_ps(z, _mm256_setzero_ps(), _CMP_GT_OQ),
                                      _mm256_cmp_ps(z, six, _CMP_LT_OQ));
        return (struct act_pair){act_vec(ACT_RELU6, z), _mm256_and_ps(inside, _mm256_set1_ps(1))};
    }
    return (struct act_pair){z, _mm256_set1_ps(1)};
}

/* scale and shift of one channel block; identity where a BN is absent. */
struct block_affine {
    __m256 scale, shift;
};

INLINE struct block_affine block_affine_load(const struct bn_act *f, int c) {
    return (struct block_affine){load_or(f->scale, c, 1), load_or(f->shift, c, 0)};
}

INLINE __m256 block_affine_apply(struct block_affine f, __m256 a) {
    return _mm256_fmadd_ps(a, f.scale, f.shift);
}

/* Runs statement with the constant ACT for each activation that may stand behind a BN, so that the
 * inlined body has no branch on it. */
#define WITH_CONSTANT_ACT(act_value, statement)                                                    \
    do {                                                                                           \
        if ((act_value) == ACT_RELU) {                                                             \
            const enum act ACT = ACT_RELU;                                                         \
            statement;                                                                             \
        } else if ((act_value) == ACT_HSWISH) {                                                    \
            const enum act ACT = ACT_HSWISH;                                                       \
            statement;                                                                             \
        } else if ((act_value) == ACT_RELU6) {                                                     \
            const enum act ACT = ACT_RELU6;                                                        \
            statement;                                                                             \
        } else {                                                                                   \
            const enum act ACT = ACT_NONE;                                                         \
            statement;                                                                             \
        }                                                                                          \
    } while (0)
