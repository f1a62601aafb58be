/* What the AVX-512 kernels share. A vector holds two neighbouring pixels of a block: 2 x 8 channels
 * lie together in the blocked layout, so loads and stores need no shuffling; what belongs to
 * channels alone (weights, scales) is loaded twice. Included only by files that are compiled with
 * these instruction sets and run after dispatch. */
#pragma once

#include "runtime/kernels/avx2.h"

enum { TILE_PAIRS = 12 }; /* of the largest tiles */

/* acc += a * b; see FMA. */
#define FMA2(acc, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b))

INLINE __m512 load2(const float *p) { /* a pair of pixels */
    return _mm512_loadu_ps(p);
}
INLINE void store2(float *p, __m512 v) {
    _mm512_storeu_ps(p, v);
}
/* The first pixel alone, zeros behind it. */
INLINE __m512 load1(const float *p) {
    return _mm512_maskz_loadu_ps(0xff, p);
}
INLINE void store1(float *p, __m512 v) {
    _mm256_store_ps(p, _mm512_castps512_ps256(v));
}
/* 8 channels for both pixels. */
INLINE __m512 twice(__m256 v) {
    return _mm512_broadcast_f32x8(v);
}
INLINE __m512 load_twice(const float *p) {
    return twice(load(p));
}
INLINE __m512 load_twice_or(const float *p, int c, float otherwise) {
    return p ? twice(_mm256_loadu_ps(p + c)) : _mm512_set1_ps(otherwise);
}
/* What the two pixels add up to. */
INLINE __m256 sum_pair(__m512 v) {
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}
INLINE void add_pair_to(float *sum, __m512 v) {
    _mm256_storeu_ps(sum, _mm256_add_ps(_mm256_loadu_ps(sum), sum_pair(v)));
}

/* Channels 0..3 (half 0) or 4..7 of each pixel, twice. */
INLINE __m512 half_of_each(__m512 v, const int half) {
    return half ? _mm512_shuffle_f32x4(v, v, 0xf5) : _mm512_shuffle_f32x4(v, v, 0xa0);
}
/* Channel k of such a half, for all lanes of its pixel. */
INLINE __m512 spread_channel(__m512 half, const int k) {
    return k == 0   ? _mm512_permute_ps(half, 0x00)
           : k == 1 ? _mm512_permute_ps(half, 0x55)
           : k == 2 ? _mm512_permute_ps(half, 0xaa)
                    : _mm512_permute_ps(half, 0xff);
}

INLINE __m512 gate2(__m512 v) {
    __m512 g = _mm512_fmadd_ps(v, _mm512_set1_ps(1.0f / 6), _mm512_set1_ps(0.5f));
    return _mm512_min_ps(_mm512_max_ps(g, _mm512_setzero_ps()), _mm512_set1_ps(1));
}

INLINE __m512 act2(enum act act, __m512 v) {
    switch (act) {
    case ACT_NONE:
        return v;
    case ACT_RELU:
        return _mm512_max_ps(v, _mm512_setzero_ps());
    case ACT_HSWISH:
        return _mm512_mul_ps(v, gate2(v));
    case ACT_HSIGMOID:
        return gate2(v);
    case ACT_RELU6:
        return _mm512_min_ps(_mm512_max_ps(v, _mm512_setzero_ps()), _mm512_set1_ps(6));
    }
    return v;
}

/* As epilogue_tile, for a tile of pairs: pair m is pixels first + 2 m and the one behind it, which
 * are stored at y + offset[2 m] and y + offset[2 m + 1]. */
INLINE void epilogue_pairs(const int pairs, const int vectors, const struct epilogue *e,
                           __m512 (*acc)[TILE_VECTORS], int first, int c, float *y,
                           ptrdiff_t y_block, const ptrdiff_t *offset) {
    if (e->kind == EPI_AFFINE) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            __m512 scale = load_twice_or(e->scale, c + v * 8, 1);
            __m512 shift = load_twice_or(e->shift, c + v * 8, 0);
            UNROLL
            for (int m = 0; m < pairs; m++)
                acc[m][v] = _mm512_fmadd_ps(acc[m][v], scale, shift);
        }
        if (e->act == ACT_RELU) {
            UNROLL
            for (int i = 0; i < pairs * vectors; i++)
                acc[i / vectors][i % vectors] = act2(ACT_RELU, acc[i / vectors][i % vectors]);
        } else if (e->act == ACT_HSWISH) {
            UNROLL
            for (int i = 0; i < pairs * vectors; i++)
                acc[i / vectors][i % vectors] = act2(ACT_HSWISH, acc[i / vectors][i % vectors]);
        } else if (e->act == ACT_HSIGMOID) {
            UNROLL
            for (int i = 0; i < pairs * vectors; i++)
                acc[i / vectors][i % vectors] = act2(ACT_HSIGMOID, acc[i / vectors][i % vectors]);
        } else if (e->act == ACT_RELU6) {
            UNROLL
            for (int i = 0; i < pairs * vectors; i++)
                acc[i / vectors][i % vectors] = act2(ACT_RELU6, acc[i / vectors][i % vectors]);
        }
        if (e->residual) {
            const float *r = e->residual + c / 8 * e->residual_block + (ptrdiff_t)first * 8;
            UNROLL
            for (int i = 0; i < pairs * vectors; i++)
                acc[i / vectors][i % vectors] =
                    _mm512_add_ps(acc[i / vectors][i % vectors],
                                  load2(r + i % vectors * e->residual_block + i / vectors * 16));
        }
    } else if (e->kind == EPI_STATS) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            __m512 sum = acc[0][v], square = _mm512_mul_ps(sum, sum);
            UNROLL
            for (int m = 1; m < pairs; m++) {
                sum = _mm512_add_ps(sum, acc[m][v]);
                square = _mm512_fmadd_ps(acc[m][v], acc[m][v], square);
            }
            add_pair_to(e->sum + c + v * 8, sum);
            add_pair_to(e->sum_sq + c + v * 8, square);
        }
    }
    UNROLL
    for (int m = 0; m < pairs; m++) {
        const ptrdiff_t at = offset[2 * m], next = offset[2 * m + 1];
        if (next == at + 8) {
            UNROLL
            for (int v = 0; v < vectors; v++) {
                float *to = y + at + v * y_block;
                store2(to, e->kind == EPI_ADD ? _mm512_add_ps(acc[m][v], load2(to)) : acc[m][v]);
            }
        } else {
            UNROLL
            for (int v = 0; v < vectors; v++) {
                float *low = y + at + v * y_block, *high = y + next + v * y_block;
                __m256 a = _mm512_castps512_ps256(acc[m][v]);
                __m256 b = _mm512_extractf32x8_ps(acc[m][v], 1);
                _mm256_store_ps(low, e->kind == EPI_ADD ? _mm256_add_ps(a, load(low)) : a);
                _mm256_store_ps(high, e->kind == EPI_ADD ? _mm256_add_ps(b, load(high)) : b);
            }
        }
    }
}
