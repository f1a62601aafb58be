/* Vectors of AVX2 + FMA for the kernels of vec.h. Included only by files that are compiled with
 * these instruction sets and run after dispatch. */
#pragma once

#include <immintrin.h>

#include "runtime/kernels/unroll.h"

typedef __m256 vec;
enum { VEC_FLOATS = 8 };

/* acc += a * b. As assembly, because gcc 12 otherwise renames accumulators with copies in the large
 * tiles, which costs a fifth of the rate. */
#define FMA(acc, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b))

INLINE vec load(const float *p) {
    return _mm256_load_ps(p);
}
INLINE vec load_unaligned(const float *p) {
    return _mm256_loadu_ps(p);
}
INLINE void store(float *p, vec v) {
    _mm256_store_ps(p, v);
}
INLINE void store_unaligned(float *p, vec v) {
    _mm256_storeu_ps(p, v);
}
INLINE vec vec_set1(float v) {
    return _mm256_set1_ps(v);
}
INLINE vec vec_add(vec a, vec b) {
    return _mm256_add_ps(a, b);
}
INLINE vec vec_mul(vec a, vec b) {
    return _mm256_mul_ps(a, b);
}
INLINE vec vec_min(vec a, vec b) {
    return _mm256_min_ps(a, b);
}
INLINE vec vec_max(vec a, vec b) {
    return _mm256_max_ps(a, b);
}
INLINE vec vec_fma(vec a, vec b, vec c) {
    return _mm256_fmadd_ps(a, b, c);
}

/* 8 x 8 in registers. */
INLINE void transpose(vec r[VEC_FLOATS]) {
    vec t[8], u[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}

#include "runtime/kernels/vec.h"

/* acc[m][v] += the sum over k < 8 of x[m][k] * vector v of row k of w, in rows of `vectors`. */
INLINE void tile_step(const int pixels, const int vectors, vec (*acc)[TILE_VECTORS],
                      const float *const *x, const float *w) {
    UNROLL
    for (int k = 0; k < 8; k++) {
        vec weight[TILE_VECTORS];
        UNROLL
        for (int v = 0; v < vectors; v++)
            weight[v] = load(w + (k * vectors + v) * 8);
        UNROLL
        for (int m = 0; m < pixels; m++) {
            vec value = _mm256_broadcast_ss(x[m] + k);
            UNROLL
            for (int v = 0; v < vectors; v++)
                FMA(acc[m][v], value, weight[v]);
        }
    }
}
