/* Vectors of NEON for the kernels of vec.h. A64 has it always; on armv7 the files are compiled with
 * -mfpu=neon-vfpv4 (FMA). */
#pragma once

#include <arm_neon.h>

#include "runtime/kernels/unroll.h"

typedef float32x4_t vec;
enum { VEC_FLOATS = 4 };

/* acc += a * b; acc += a * lane k (a literal) of b. As assembly, because gcc 12 otherwise renames
 * accumulators with copies in the large tiles and spills. */
#ifdef __aarch64__
#define FMA(acc, a, b) __asm__("fmla %0.4s, %1.4s, %2.4s" : "+w"(acc) : "w"(a), "w"(b))
#define FMA_LANE(acc, a, b, k)                                                                     \
    __asm__("fmla %0.4s, %1.4s, %2.s[" #k "]" : "+w"(acc) : "w"(a), "w"(b))
#else
#define FMA(acc, a, b) (acc) = vfmaq_f32(acc, a, b)
#define FMA_LANE(acc, a, b, k) (acc) = vfmaq_f32(acc, a, vdupq_n_f32(vgetq_lane_f32(b, k)))
#endif

INLINE vec load(const float *p) {
    return vld1q_f32(p);
}
INLINE vec load_unaligned(const float *p) {
    return vld1q_f32(p);
}
INLINE void store(float *p, vec v) {
    vst1q_f32(p, v);
}
INLINE void store_unaligned(float *p, vec v) {
    vst1q_f32(p, v);
}
INLINE vec vec_set1(float v) {
    return vdupq_n_f32(v);
}
INLINE vec vec_add(vec a, vec b) {
    return vaddq_f32(a, b);
}
INLINE vec vec_mul(vec a, vec b) {
    return vmulq_f32(a, b);
}
INLINE vec vec_fma(vec a, vec b, vec c) {
    return vfmaq_f32(c, a, b);
}
/* Where one of the two is no number, the other: as the scalar row's comparisons with constants. */
INLINE vec vec_min(vec a, vec b) {
#ifdef __aarch64__
    return vminnmq_f32(a, b);
#else
    return vminq_f32(a, b);
#endif
}
INLINE vec vec_max(vec a, vec b) {
#ifdef __aarch64__
    return vmaxnmq_f32(a, b);
#else
    return vmaxq_f32(a, b);
#endif
}

/* 4 x 4 in registers. */
INLINE void transpose(vec r[VEC_FLOATS]) {
    float32x4x2_t low = vtrnq_f32(r[0], r[1]), high = vtrnq_f32(r[2], r[3]);
    UNROLL
    for (int i = 0; i < 2; i++) {
        r[i] = vcombine_f32(vget_low_f32(low.val[i]), vget_low_f32(high.val[i]));
        r[i + 2] = vcombine_f32(vget_high_f32(low.val[i]), vget_high_f32(high.val[i]));
    }
}

#include "runtime/kernels/vec.h"

/* Row k of w; its first vector is in `weight`. The next vector is loaded before the present one is
 * used, for processors that take instructions in order. */
#define STEP(k)                                                                                    \
    UNROLL                                                                                         \
    for (int v = 0; v < vectors; v++) {                                                            \
        const int next = half * 4 + k < 7 || v + 1 < vectors;                                      \
        vec ahead = next ? load(w + ((half * 4 + k) * vectors + v + 1) * VEC_FLOATS) : weight;     \
        UNROLL                                                                                     \
        for (int m = 0; m < pixels; m++)                                                           \
            FMA_LANE(acc[m][v], weight, value[m], k);                                              \
        weight = ahead;                                                                            \
    }

/* acc[m][v] += the sum over k < 8 of x[m][k] * vector v of row k of w, in rows of `vectors`. Four
 * channels of each pixel are one load; the multiplication takes its lane. */
INLINE void tile_step(const int pixels, const int vectors, vec (*acc)[TILE_VECTORS],
                      const float *const *x, const float *w) {
    vec weight = load(w);
    UNROLL
    for (int half = 0; half < 2; half++) {
        vec value[TILE_PIXELS];
        UNROLL
        for (int m = 0; m < pixels; m++)
            value[m] = load(x[m] + half * 4);
        STEP(0)
        STEP(1)
        STEP(2)
        STEP(3)
    }
}
