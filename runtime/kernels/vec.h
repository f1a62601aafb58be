/* What the kernels of every instruction set without masks share: they are written once, for vectors
 * of VEC_FLOATS floats, in the files *_vec.h, and compiled once for each set. Included behind the
 * set's own header (avx2.h, neon.h), which defines
 *     vec, VEC_FLOATS (4 or 8)       a vector; how many floats it holds
 *     load, store                    aligned to the vector
 *     load_unaligned, store_unaligned
 *     vec_set1, vec_add, vec_mul, vec_min, vec_max
 *     vec_fma(a, b, c)               a * b + c, rounded once
 *     FMA(acc, a, b)                 acc += a * b, acc a variable
 *     tile_step                      the inner step of a product of matrices
 *     transpose(r)                   of VEC_FLOATS vectors, in place
 * A block of 8 channels is BLOCK_VECS vectors, which lie together. */
#pragma once

#include "runtime/kernels/functions.h"

enum {
    BLOCK_VECS = KERNEL_LANES / VEC_FLOATS,
    TILE_PIXELS = 8,              /* of the largest tiles */
    TILE_VECTORS = 3 * BLOCK_VECS /* likewise */
};

/* Where vector v of neighbouring channels lies in blocks that are `block` floats apart. */
INLINE ptrdiff_t vec_offset(const int v, ptrdiff_t block) {
    return v / BLOCK_VECS * block + v % BLOCK_VECS * VEC_FLOATS;
}

INLINE vec gate_vec(vec v) {
    vec g = vec_fma(v, vec_set1(1.0f / 6), vec_set1(0.5f));
    return vec_min(vec_max(g, vec_set1(0)), vec_set1(1));
}

INLINE vec act_vec(enum act act, vec v) {
    switch (act) {
    case ACT_NONE:
        return v;
    case ACT_RELU:
        return vec_max(v, vec_set1(0));
    case ACT_HSWISH:
        return vec_mul(v, gate_vec(v));
    case ACT_HSIGMOID:
        return gate_vec(v);
    case ACT_RELU6:
        return vec_min(vec_max(v, vec_set1(0)), vec_set1(6));
    }
    return v;
}

/* Runs statement with the constant ACT for each activation, so that the inlined body has no branch
 * on it. */
#define WITH_EACH_ACT(act_value, statement)                                                        \
    do {                                                                                           \
        if ((act_value) == ACT_RELU) {                                                             \
            const enum act ACT = ACT_RELU;                                                         \
            statement;                                                                             \
        } else if ((act_value) == ACT_HSWISH) {                                                    \
            const enum act ACT = ACT_HSWISH;                                                       \
            statement;                                                                             \
        } else if ((act_value) == ACT_HSIGMOID) {                                                  \
            const enum act ACT = ACT_HSIGMOID;                                                     \
            statement;                                                                             \
        } else if ((act_value) == ACT_RELU6) {                                                     \
            const enum act ACT = ACT_RELU6;                                                        \
            statement;                                                                             \
        } else {                                                                                   \
            const enum act ACT = ACT_NONE;                                                         \
            statement;                                                                             \
        }                                                                                          \
    } while (0)

INLINE vec load_or(const float *p, int c, float otherwise) {
    return p ? load_unaligned(p + c) : vec_set1(otherwise);
}

INLINE void tile_zero(const int pixels, const int vectors, vec (*acc)[TILE_VECTORS]) {
    UNROLL
    for (int i = 0; i < pixels * vectors; i++)
        acc[i / vectors][i % vectors] = vec_set1(0);
}

INLINE void act_tile(const int pixels, const int vectors, const enum act act,
                     vec (*acc)[TILE_VECTORS]) {
    UNROLL
    for (int i = 0; i < pixels * vectors; i++)
        acc[i / vectors][i % vectors] = act_vec(act, acc[i / vectors][i % vectors]);
}

/* Finishes a tile of `pixels` x `vectors` results: vector v belongs to the VEC_FLOATS channels from
 * c + VEC_FLOATS v on, c a block's first; pixel m is pixel first + m of the run and is stored at
 * y + offset[m] + vec_offset(v, y_block). */
INLINE void epilogue_tile(const int pixels, const int vectors, const struct epilogue *e,
                          vec (*acc)[TILE_VECTORS], int first, int c, float *y, ptrdiff_t y_block,
                          const ptrdiff_t *offset) {
    if (e->kind == EPI_AFFINE) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            vec shift = load_or(e->shift, c + v * VEC_FLOATS, 0);
            if (e->scale) {
                vec scale = load_or(e->scale, c + v * VEC_FLOATS, 1);
                UNROLL
                for (int m = 0; m < pixels; m++)
                    acc[m][v] = vec_fma(acc[m][v], scale, shift);
            } else {
                UNROLL
                for (int m = 0; m < pixels; m++)
                    acc[m][v] = vec_add(acc[m][v], shift);
            }
        }
        if (e->act == ACT_RELU)
            act_tile(pixels, vectors, ACT_RELU, acc);
        else if (e->act == ACT_HSWISH)
            act_tile(pixels, vectors, ACT_HSWISH, acc);
        else if (e->act == ACT_HSIGMOID)
            act_tile(pixels, vectors, ACT_HSIGMOID, acc);
        else if (e->act == ACT_RELU6)
            act_tile(pixels, vectors, ACT_RELU6, acc);
        if (e->residual) {
            const float *r = e->residual + c / 8 * e->residual_block + (ptrdiff_t)first * 8;
            UNROLL
            for (int i = 0; i < pixels * vectors; i++)
                acc[i / vectors][i % vectors] =
                    vec_add(acc[i / vectors][i % vectors],
                            load(r + vec_offset(i % vectors, e->residual_block) + i / vectors * 8));
        }
    } else if (e->kind == EPI_STATS) {
        UNROLL
        for (int v = 0; v < vectors; v++) {
            vec sum = acc[0][v], square = vec_mul(sum, sum);
            UNROLL
            for (int m = 1; m < pixels; m++) {
                sum = vec_add(sum, acc[m][v]);
                square = vec_fma(acc[m][v], acc[m][v], square);
            }
            float *s = e->sum + c + v * VEC_FLOATS, *q = e->sum_sq + c + v * VEC_FLOATS;
            store_unaligned(s, vec_add(load_unaligned(s), sum));
            store_unaligned(q, vec_add(load_unaligned(q), square));
        }
    } else if (e->kind == EPI_ADD) {
        UNROLL
        for (int i = 0; i < pixels * vectors; i++)
            acc[i / vectors][i % vectors] =
                vec_add(acc[i / vectors][i % vectors],
                        load(y + offset[i / vectors] + vec_offset(i % vectors, y_block)));
    }
    UNROLL
    for (int i = 0; i < pixels * vectors; i++)
        store(y + offset[i / vectors] + vec_offset(i % vectors, y_block),
              acc[i / vectors][i % vectors]);
}
