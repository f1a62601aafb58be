/* Depthwise convolution, written for the vectors of vec.h: up to 8 outputs of a row and one row of
 * the filter in registers; each input is loaded once for a filter row. */
#pragma once

#include "runtime/kernels/functions.h"

/* Vector `part` of `count` outputs of one row from filter rows [first, last). x: input of (filter
 * row 0, column 0 of the first output). With `whole` the tile is the entire row (stride 1), so
 * inputs in the zero columns are left out at compile time. */
INLINE void tile(const int kernel, const int stride, const int count, const bool whole,
                 const int part, const float *x, ptrdiff_t x_row, const float *w, int first,
                 int last, vec (*acc)[TILE_VECTORS]) {
    UNROLL
    for (int t = 0; t < count; t++)
        acc[t][part] = vec_set1(0);
    const int pad = kernel / 2;
    for (int i = first; i < last; i++) {
        const float *row = x + i * x_row + part * VEC_FLOATS;
        const float *taps = w + i * kernel * 8 + part * VEC_FLOATS;
        vec weight[7];
        UNROLL
        for (int k = 0; k < kernel; k++)
            weight[k] = load(taps + k * 8);
        UNROLL
        for (int j = 0; j < (count - 1) * stride + kernel; j++) {
            if (whole && (j < pad || j >= pad + count))
                continue;
            vec value = load(row + j * 8);
            UNROLL
            for (int k = j % stride; k < kernel; k += stride)
                if (j >= k && (j - k) / stride < count)
                    FMA(acc[(j - k) / stride][part], value, weight[k]);
        }
    }
}

/* One row of outputs of one channel block. */
struct row {
    const struct dw_args *a;
    const float *x, *w;
    float *y;                /* of the row's pixel 0 */
    int first_tap, last_tap; /* filter rows inside the image */
    int pixel, channel;      /* index of the row's pixel 0; the block's first channel */
};

INLINE void run_tile(const int kernel, const int stride, const int count, const bool whole,
                     const struct row *row, int q) {
    static const ptrdiff_t offset[TILE_PIXELS] = {0, 8, 16, 24, 32, 40, 48, 56};
    vec acc[TILE_PIXELS][TILE_VECTORS];
    UNROLL
    for (int part = 0; part < BLOCK_VECS; part++)
        tile(kernel, stride, count, whole, part, row->x + (ptrdiff_t)q * stride * 8, row->a->x_row,
             row->w, row->first_tap, row->last_tap, acc);
    epilogue_tile(count, BLOCK_VECS, &row->a->epi, acc, row->pixel + q, row->channel,
                  row->y + (ptrdiff_t)q * 8, 0, offset);
}

#define TILE(kernel, stride, count)                                                                \
    static __attribute__((noinline)) void tile_##kernel##_##stride##_##count(                      \
        const struct row *row, int q) {                                                            \
        run_tile(kernel, stride, count, false, row, q);                                            \
    }
#define WHOLE(kernel, count)                                                                       \
    static __attribute__((noinline)) void whole_##kernel##_##count(const struct row *row, int q) { \
        run_tile(kernel, 1, count, true, row, q);                                                  \
    }
/* clang-format off */
#define EACH_COUNT(X, ...)                                                                         \
    X(__VA_ARGS__, 1) X(__VA_ARGS__, 2) X(__VA_ARGS__, 3) X(__VA_ARGS__, 4)                        \
    X(__VA_ARGS__, 5) X(__VA_ARGS__, 6) X(__VA_ARGS__, 7) X(__VA_ARGS__, 8)
EACH_COUNT(TILE, 3, 1) EACH_COUNT(TILE, 5, 1) EACH_COUNT(TILE, 7, 1)
EACH_COUNT(TILE, 3, 2) EACH_COUNT(TILE, 5, 2) EACH_COUNT(TILE, 7, 2)
EACH_COUNT(WHOLE, 3) EACH_COUNT(WHOLE, 5) EACH_COUNT(WHOLE, 7)
    /* clang-format on */

    typedef void tile_function(const struct row *, int);
#define TILE_NAME(kernel, stride, count) tile_##kernel##_##stride##_##count,
#define WHOLE_NAME(kernel, count) whole_##kernel##_##count,
/* [kernel / 2 - 1][stride 1, stride 2, stride 1 over a whole row][count - 1] */
static tile_function *const tiles[3][3][8] = {
    {{EACH_COUNT(TILE_NAME, 3, 1)}, {EACH_COUNT(TILE_NAME, 3, 2)}, {EACH_COUNT(WHOLE_NAME, 3)}},
    {{EACH_COUNT(TILE_NAME, 5, 1)}, {EACH_COUNT(TILE_NAME, 5, 2)}, {EACH_COUNT(WHOLE_NAME, 5)}},
    {{EACH_COUNT(TILE_NAME, 7, 1)}, {EACH_COUNT(TILE_NAME, 7, 2)}, {EACH_COUNT(WHOLE_NAME, 7)}}};

/* Outputs of the next tile: 8, but what lies between 8 and 16 is halved rather than cut in 8 and a
 * small rest. */
static int tile_count(int left) {
    return left >= 16 ? 8 : left > 8 ? (left + 1) / 2 : left;
}

static void run_row(tile_function *const (*functions)[8], const struct row *row, int w_out) {
    if (row->a->stride == 1 && w_out <= 8) {
        functions[2][w_out - 1](row, 0);
        return;
    }
    tile_function *const *of_stride = functions[row->a->stride - 1];
    for (int q = 0, count; q < w_out; q += count) {
        count = tile_count(w_out - q);
        of_stride[count - 1](row, q);
    }
}

static void run_block(const struct dw_args *a, int block) {
    int kernel = a->kernel, pad = kernel / 2;
    int h_out = (a->h_in + a->stride - 1) / a->stride,
        w_out = (a->w_in + a->stride - 1) / a->stride;
    struct row row = {
        .a = a, .w = a->w + (ptrdiff_t)block * kernel * kernel * 8, .channel = block * 8};
    for (int r = 0; r < h_out; r++) {
        int top = r * a->stride - pad;
        row.x = a->x + block * a->x_block + top * a->x_row;
        row.y = a->y + block * a->y_block + r * a->y_row;
        row.first_tap = top < 0 ? -top : 0;
        row.last_tap = top + kernel > a->h_in ? a->h_in - top : kernel;
        row.pixel = r * w_out;
        run_row(tiles[kernel / 2 - 1], &row, w_out);
    }
}

static void dw_run(const struct dw_args *a) {
    if (a->kernel != 3 && a->kernel != 5 && a->kernel != 7) {
        dw_f32_scalar(a);
        return;
    }
    for (int b = 0; b < a->blocks; b++)
        run_block(a, b);
}

INLINE void pad_block(const enum act act, const struct pad_args *a, int b) {
    vec scale[BLOCK_VECS], shift[BLOCK_VECS];
    for (int part = 0; part < BLOCK_VECS; part++) {
        scale[part] = load_or(a->scale, b * 8 + part * VEC_FLOATS, 1);
        shift[part] = load_or(a->shift, b * 8 + part * VEC_FLOATS, 0);
    }
    for (int r = 0; r < a->h; r++) {
        const float *x = a->x + b * a->x_block + (ptrdiff_t)r * a->w * 8;
        float *y = a->y + b * a->y_block + r * a->y_row + a->pad * 8;
        for (int q = 0; q < a->w; q++, x += 8, y += 8)
            for (int part = 0, i = 0; part < BLOCK_VECS; part++, i += VEC_FLOATS)
                store(y + i, act_vec(act, vec_fma(load(x + i), scale[part], shift[part])));
    }
}

static void pad_run(const struct pad_args *a) {
    dw_zero_columns(a);
    for (int b = 0; b < a->blocks; b++)
        WITH_EACH_ACT(a->act, pad_block(ACT, a, b));
}
