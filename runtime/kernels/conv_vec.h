/* Dense k x k convolution of few input planes, written for the vectors of vec.h: a padded copy of
 * the planes, then tiles of 6 pixels x 16 outputs (4 x 24, 8 x 8) with inputs broadcast from
 * memory.
 */
#pragma once

#include <string.h>

#include "runtime/kernels/functions.h"

struct planes {
    const float *x; /* [c_in][rows][columns], zeros around the image; the first row is the one that
                       the first tap of the first output row reads */
    int columns;
    ptrdiff_t plane;
};

/* The input rows that the output rows [first_row, end) read. */
static struct planes pad_planes(const struct conv_args *a, int end) {
    int pad = a->kernel / 2, columns = a->w_in + 2 * pad;
    int above = a->first_row * a->stride - pad,
        rows = (end - a->first_row - 1) * a->stride + a->kernel;
    memset(a->scratch, 0, (size_t)a->c_in * (size_t)rows * (size_t)columns * sizeof(float));
    int first = above > 0 ? above : 0, last = above + rows < a->h_in ? above + rows : a->h_in;
    for (int c = 0; c < a->c_in; c++)
        for (int r = first; r < last; r++)
            memcpy(a->scratch + ((ptrdiff_t)c * rows + r - above) * columns + pad,
                   a->x + ((ptrdiff_t)c * a->h_in + r) * a->w_in, (size_t)a->w_in * sizeof(float));
    return (struct planes){a->scratch, columns, (ptrdiff_t)rows * columns};
}

/* `pixels` outputs of row r from column q on, `blocks` channel blocks from c on. */
INLINE void tile(const int pixels, const int blocks, const struct conv_args *a,
                 const struct planes *planes, int r, int q, int c) {
    static const ptrdiff_t offset[TILE_PIXELS] = {0, 8, 16, 24, 32, 40, 48, 56};
    const int vectors = blocks * BLOCK_VECS;
    vec acc[TILE_PIXELS][TILE_VECTORS];
    tile_zero(pixels, vectors, acc);
    const ptrdiff_t block = (ptrdiff_t)a->c_in * a->kernel * a->kernel * 8;
    const float *w = a->w + c / 8 * block;
    const int stride = a->stride;
    for (int plane = 0; plane < a->c_in; plane++)
        for (int i = 0; i < a->kernel; i++) {
            const float *x = planes->x + plane * planes->plane +
                             (ptrdiff_t)((r - a->first_row) * stride + i) * planes->columns +
                             q * stride;
            for (int j = 0; j < a->kernel; j++, x++, w += 8) {
                UNROLL
                for (int m = 0; m < pixels; m++) {
                    vec value = vec_set1(x[m * stride]);
                    UNROLL
                    for (int v = 0; v < vectors; v++)
                        FMA(acc[m][v], value, load(w + vec_offset(v, block)));
                }
            }
        }
    int w_out = (a->w_in + stride - 1) / stride, first = r * w_out + q;
    epilogue_tile(pixels, vectors, &a->epi, acc, first, c,
                  a->y + c / 8 * a->y_block + (ptrdiff_t)first * 8, a->y_block, offset);
}

#define TILE(pixels, blocks)                                                                       \
    static __attribute__((noinline)) void tile_##pixels##x##blocks(                                \
        const struct conv_args *a, const struct planes *planes, int r, int q, int c) {             \
        tile(pixels, blocks, a, planes, r, q, c);                                                  \
    }
/* clang-format off */
TILE(1, 1) TILE(8, 1)
TILE(1, 2) TILE(2, 2) TILE(6, 2)
TILE(1, 3) TILE(4, 3)
    /* clang-format on */

    typedef void tile_function(const struct conv_args *, const struct planes *, int, int, int);

static void run_row(const struct conv_args *a, const struct planes *planes, int r, int c,
                    int blocks) {
    static tile_function *const functions[3][3] = {{tile_8x1, tile_1x1, tile_1x1},
                                                   {tile_6x2, tile_2x2, tile_1x2},
                                                   {tile_4x3, tile_1x3, tile_1x3}};
    static const int counts[3][3] = {{8, 1, 1}, {6, 2, 1}, {4, 1, 1}};
    int w_out = (a->w_in + a->stride - 1) / a->stride, q = 0;
    for (int size = 0; size < 3; size++)
        for (int count = counts[blocks - 1][size]; q + count <= w_out; q += count)
            functions[blocks - 1][size](a, planes, r, q, c);
}

static void conv_run(const struct conv_args *a) {
    int end = conv_end_row(a);
    struct planes planes = pad_planes(a, end);
    for (int r = a->first_row; r < end; r++)
        for (int c = 0, width; c < a->c_out; c += width) {
            width = pw_panel(a->c_out - c);
            run_row(a, &planes, r, c, width / 8);
        }
}
