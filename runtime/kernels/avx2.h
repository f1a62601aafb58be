/* What the AVX2 + FMA kernels share. Included only by files that are compiled with these
 * instruction sets and run after dispatch. */
#pragma once

#include <immintrin.h>

#include "runtime/kernels/functions.h"

#define INLINE static inline __attribute__((always_inline))
/* Arrays of accumulators live in registers only when every loop over them is unrolled. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum { TILE_PIXELS = 8, TILE_VECTORS = 3 }; /* of the largest tiles */

/* acc += a * b. As assembly, because gcc 12 otherwise renames accumulators with copies in the large
 * tiles, which costs a fifth of the rate. */
#define FMA(acc, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b))

INLINE __m256 load(const float *p) {
    return _mm256_load_ps(p);
}

INLINE __m256 gate_avx2(__m256 v) {
    __m256 g = _mm256_fmadd_ps(v, _mm256_set1_ps(1.0f / 6), _mm256_set1_ps(0.5f));
    return _mm256_min_ps(_mm256_max_ps(g, _mm256_setzero_ps()), _mm256_set1_ps(1));
}

INLINE __m256 act_avx2(enum act act, __m256 v) {
    switch (act) {
    case ACT_NONE:
        return v;
    case ACT_RELU:
        return _mm256_max_ps(v, _mm256_setzero_ps());
    case ACT_HSWISH:
        return _mm256_mul_ps(v, gate_avx2(v));
    case ACT_HSIGMOID:
        return gate_avx2(v);
    case ACT_RELU6:
        return _mm256_min_ps(_mm256_max_ps(v, _mm256_setzero_ps()), _mm256_set1_ps(6));
    }
    return v;
}

INLINE __m256 load_or(const float *p, int c, float otherwise) {
    return p ? _mm256_loadu_ps(p + c) : _mm256_set1_ps(otherwise);
}

/* Finishes a tile of `pixels` x `vectors` results: vector v belongs to channels c + 8 v .. + 7;
 * pixel m is pixel first + m of the run and is stored at y + offset[m] + v * y_block. */
INLINE void epilogue_avx2(const int pixels, const int vectors, const struct epilogue *e,
                          __m256 (*acc)[TILE_VECTORS], int first, int c, float *y,
                          ptrdiff_t y_block, const ptrdiff_t *offset) {
    if (e->kind == EPI_AFFINE) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            __m256 shift = load_or(e->shift, c + v * 8, 0);
            if (e->scale) {
                __m256 scale = load_or(e->scale, c + v * 8, 1);
                UNROLL
                for (int m = 0; m < pixels; m++)
                    acc[m][v] = _mm256_fmadd_ps(acc[m][v], scale, shift);
            } else {
                UNROLL
                for (int m = 0; m < pixels; m++)
                    acc[m][v] = _mm256_add_ps(acc[m][v], shift);
            }
        }
        if (e->act == ACT_RELU) {
            UNROLL
            for (int i = 0; i < pixels * vectors; i++)
                acc[i / vectors][i % vectors] = act_avx2(ACT_RELU, acc[i / vectors][i % vectors]);
        } else if (e->act == ACT_HSWISH) {
            UNROLL
            for (int i = 0; i < pixels * vectors; i++)
                acc[i / vectors][i % vectors] = act_avx2(ACT_HSWISH, acc[i / vectors][i % vectors]);
        } else if (e->act == ACT_HSIGMOID) {
            UNROLL
            for (int i = 0; i < pixels * vectors; i++)
                acc[i / vectors][i % vectors] =
                    act_avx2(ACT_HSIGMOID, acc[i / vectors][i % vectors]);
        } else if (e->act == ACT_RELU6) {
            UNROLL
            for (int i = 0; i < pixels * vectors; i++)
                acc[i / vectors][i % vectors] = act_avx2(ACT_RELU6, acc[i / vectors][i % vectors]);
        }
        if (e->residual) {
            const float *r = e->residual + c / 8 * e->residual_block + (ptrdiff_t)first * 8;
            UNROLL
            for (int i = 0; i < pixels * vectors; i++)
                acc[i / vectors][i % vectors] =
                    _mm256_add_ps(acc[i / vectors][i % vectors],
                                  load(r + i % vectors * e->residual_block + i / vectors * 8));
        }
    } else if (e->kind == EPI_STATS) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            __m256 sum = acc[0][v], square = _mm256_mul_ps(sum, sum);
            UNROLL
            for (int m = 1; m < pixels; m++) {
                sum = _mm256_add_ps(sum, acc[m][v]);
                square = _mm256_fmadd_ps(acc[m][v], acc[m][v], square);
            }
            float *s = e->sum + c + v * 8, *q = e->sum_sq + c + v * 8;
            _mm256_storeu_ps(s, _mm256_add_ps(_mm256_loadu_ps(s), sum));
            _mm256_storeu_ps(q, _mm256_add_ps(_mm256_loadu_ps(q), square));
        }
    } else if (e->kind == EPI_ADD) {
        UNROLL
        for (int i = 0; i < pixels * vectors; i++)
            acc[i / vectors][i % vectors] =
                _mm256_add_ps(acc[i / vectors][i % vectors],
                              load(y + offset[i / vectors] + i % vectors * y_block));
    }
    UNROLL
    for (int i = 0; i < pixels * vectors; i++)
        _mm256_store_ps(y + offset[i / vectors] + i % vectors * y_block,
                        acc[i / vectors][i % vectors]);
}
