/* Per-channel passes, vectors and layout changes, written for the vectors of vec.h. */
#pragma once

#include "runtime/kernels/functions.h"

INLINE void affine_block(const enum act act, const struct affine_args *a, int b) {
    vec scale[BLOCK_VECS], shift[BLOCK_VECS];
    for (int part = 0; part < BLOCK_VECS; part++) {
        scale[part] = load_or(a->scale, b * 8 + part * VEC_FLOATS, 1);
        shift[part] = load_or(a->shift, b * 8 + part * VEC_FLOATS, 0);
    }
    const float *x = a->x + b * a->x_block;
    const float *residual = a->residual ? a->residual + b * a->residual_block : NULL;
    float *y = a->y + b * a->y_block;
    const ptrdiff_t n = (ptrdiff_t)a->pixels * 8;
    if (residual) {
        for (ptrdiff_t p = 0; p < n; p += 8)
            for (int part = 0; part < BLOCK_VECS; part++) {
                ptrdiff_t i = p + part * VEC_FLOATS;
                vec v = act_vec(act, vec_fma(load(x + i), scale[part], shift[part]));
                store(y + i, vec_add(v, load(residual + i)));
            }
    } else {
        for (ptrdiff_t p = 0; p < n; p += 8)
            for (int part = 0; part < BLOCK_VECS; part++) {
                ptrdiff_t i = p + part * VEC_FLOATS;
                store(y + i, act_vec(act, vec_fma(load(x + i), scale[part], shift[part])));
            }
    }
}

static void affine_run(const struct affine_args *a) {
    for (int b = 0; b < a->channels / 8; b++)
        WITH_EACH_ACT(a->act, affine_block(ACT, a, b));
}

static void add_to(float *sum, vec v) {
    store_unaligned(sum, vec_add(load_unaligned(sum), v));
}

/* One vector of a block. Four partial sums hide the latency of the addition. */
static void sum_part(const float *x, int pixels, float *sum) {
    vec s[4] = {vec_set1(0), vec_set1(0), vec_set1(0), vec_set1(0)};
    int p = 0;
    for (; p + 4 <= pixels; p += 4)
        for (int i = 0; i < 4; i++)
            s[i] = vec_add(s[i], load(x + (p + i) * 8));
    for (; p < pixels; p++)
        s[0] = vec_add(s[0], load(x + p * 8));
    add_to(sum, vec_add(vec_add(s[0], s[1]), vec_add(s[2], s[3])));
}

static void sum_square_part(const float *x, int pixels, float *sum_sq) {
    vec s[4] = {vec_set1(0), vec_set1(0), vec_set1(0), vec_set1(0)};
    int p = 0;
    for (; p + 4 <= pixels; p += 4)
        for (int i = 0; i < 4; i++) {
            vec v = load(x + (p + i) * 8);
            s[i] = vec_fma(v, v, s[i]);
        }
    for (; p < pixels; p++) {
        vec v = load(x + p * 8);
        s[0] = vec_fma(v, v, s[0]);
    }
    add_to(sum_sq, vec_add(vec_add(s[0], s[1]), vec_add(s[2], s[3])));
}

static void stats_run(const struct stats_args *a) {
    for (int c = 0; c < a->channels; c += VEC_FLOATS) {
        const float *x = a->x + c / 8 * a->x_block + c % 8;
        sum_part(x, a->pixels, a->sum + c);
        if (a->sum_sq)
            sum_square_part(x, a->pixels, a->sum_sq + c);
    }
}

/* `blocks` blocks of outputs, each in `sums` partial sums: blocks * sums = 8 chains (of BLOCK_VECS
 * vectors) hide the latency of FMA. */
INLINE void linear_blocks(const int blocks, const int sums, const struct linear_args *a,
                          int first) {
    vec acc[8][BLOCK_VECS];
    const ptrdiff_t stride = (ptrdiff_t)a->c_in * 8;
    const int vectors = blocks * BLOCK_VECS;
    const float *w = a->w + first * stride;
    UNROLL
    for (int i = 0; i < vectors * sums; i++)
        acc[i / BLOCK_VECS][i % BLOCK_VECS] = vec_set1(0);
    int i = 0;
    for (; i + sums <= a->c_in; i += sums) {
        UNROLL
        for (int sum = 0; sum < sums; sum++) {
            vec x = vec_set1(a->x[i + sum]);
            UNROLL
            for (int v = 0; v < vectors; v++)
                FMA(acc[v / BLOCK_VECS * sums + sum][v % BLOCK_VECS], x,
                    load(w + vec_offset(v, stride) + (i + sum) * 8));
        }
    }
    for (; i < a->c_in; i++) {
        vec x = vec_set1(a->x[i]);
        UNROLL
        for (int v = 0; v < vectors; v++)
            FMA(acc[v / BLOCK_VECS * sums][v % BLOCK_VECS], x,
                load(w + vec_offset(v, stride) + i * 8));
    }
    UNROLL
    for (int v = 0; v < vectors; v++) {
        vec result = load_or(a->bias, first * 8 + v * VEC_FLOATS, 0);
        UNROLL
        for (int sum = 0; sum < sums; sum++)
            result = vec_add(result, acc[v / BLOCK_VECS * sums + sum][v % BLOCK_VECS]);
        store_unaligned(a->y + first * 8 + v * VEC_FLOATS, act_vec(a->act, result));
    }
}

static void linear_run(const struct linear_args *a) {
    int blocks = (a->c_out + 7) / 8, b = 0;
    for (; b + 8 <= blocks; b += 8)
        linear_blocks(8, 1, a, b);
    for (; b + 4 <= blocks; b += 4)
        linear_blocks(4, 2, a, b);
    for (; b + 2 <= blocks; b += 2)
        linear_blocks(2, 4, a, b);
    for (; b < blocks; b++)
        linear_blocks(1, 8, a, b);
}

/* The VEC_FLOATS channels from c on, of which lanes are not beyond the last. */
static void to_blocked_part(const struct layout_args *a, int c, int lanes) {
    const float *x = a->x + (ptrdiff_t)c * a->pixels;
    float *y = a->y + c / 8 * a->block + c % 8;
    int whole = a->pixels / VEC_FLOATS * VEC_FLOATS;
    for (int p = 0; p < whole; p += VEC_FLOATS) {
        vec r[VEC_FLOATS];
        for (int i = 0; i < VEC_FLOATS; i++)
            r[i] = i < lanes ? load_unaligned(x + (ptrdiff_t)i * a->pixels + p) : vec_set1(0);
        transpose(r);
        for (int i = 0; i < VEC_FLOATS; i++)
            store(y + (p + i) * 8, r[i]);
    }
    for (int p = whole; p < a->pixels; p++)
        for (int i = 0; i < VEC_FLOATS; i++)
            y[p * 8 + i] = i < lanes ? x[(ptrdiff_t)i * a->pixels + p] : 0;
}

static void to_blocked_run(const struct layout_args *a) {
    int all = (a->channels + 7) / 8 * 8;
    for (int c = 0; c < all; c += VEC_FLOATS)
        to_blocked_part(a, c, a->channels - c < VEC_FLOATS ? a->channels - c : VEC_FLOATS);
}

static void from_blocked_part(const struct layout_args *a, int c, int lanes) {
    const float *x = a->x + c / 8 * a->block + c % 8;
    float *y = a->y + (ptrdiff_t)c * a->pixels;
    int whole = a->pixels / VEC_FLOATS * VEC_FLOATS;
    for (int p = 0; p < whole; p += VEC_FLOATS) {
        vec r[VEC_FLOATS];
        for (int i = 0; i < VEC_FLOATS; i++)
            r[i] = load(x + (p + i) * 8);
        transpose(r);
        for (int i = 0; i < lanes; i++)
            store_unaligned(y + (ptrdiff_t)i * a->pixels + p, r[i]);
    }
    for (int p = whole; p < a->pixels; p++)
        for (int i = 0; i < lanes; i++)
            y[(ptrdiff_t)i * a->pixels + p] = x[p * 8 + i];
}

static void from_blocked_run(const struct layout_args *a) {
    for (int c = 0; c < a->channels; c += VEC_FLOATS)
        from_blocked_part(a, c, a->channels - c < VEC_FLOATS ? a->channels - c : VEC_FLOATS);
}
