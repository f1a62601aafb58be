/* What the AVX2 + FMA training kernels share beyond runtime/kernels/avx2.h. Included only by files
 * that are compiled with these instruction sets. */
#pragma once

#include "runtime/kernels/avx2.h"
#include "supernet/kernels/kernels_internal.h"

/* acc += a * b, b in memory: one instruction, no register for b (see FMA). p: 32-byte aligned. */
#define FMA_LOAD(acc, a, p)                                                                        \
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(acc) : "x"(a), "m"(*(const __m256 *)(p)))

/* The slope of an activation at z, for z as act_value's. */
INLINE __m256 slope_avx2(enum act act, __m256 z) {
    __m256 one = _mm256_set1_ps(1);
    if (act == ACT_RELU)
        return _mm256_and_ps(_mm256_cmp_ps(z, _mm256_setzero_ps(), _CMP_GT_OQ), one);
    if (act == ACT_HSWISH) {
        __m256 inner = _mm256_fmadd_ps(z, _mm256_set1_ps(1.0f / 3), _mm256_set1_ps(0.5f));
        __m256 above_low = _mm256_cmp_ps(z, _mm256_set1_ps(-3), _CMP_GT_OQ);
        __m256 above_high = _mm256_cmp_ps(z, _mm256_set1_ps(3), _CMP_GE_OQ);
        return _mm256_and_ps(above_low, _mm256_blendv_ps(inner, one, above_high));
    }
    return one;
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
        } else {                                                                                   \
            const enum act ACT = ACT_NONE;                                                         \
            statement;                                                                             \
        }                                                                                          \
    } while (0)
