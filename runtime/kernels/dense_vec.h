/* Dense k x k convolution as a product of matrices that is never laid out, written for the vectors
 * of vec.h: tiles of 4 pixels x 24 outputs (6 x 16, 8 x 8) as of a 1x1 convolution, each pixel with
 * an address for each tap. */
#pragma once

#include "runtime/kernels/dense_run.h"

enum { RUN_PIXELS = 24 /* a multiple of every tile height */ };

/* Outputs [m0, m0 + pixels) of a run, `blocks` channel blocks from c on; w is their panel. first:
 * the output of a->y that the run begins with. */
INLINE void tile(const int pixels, const int blocks, const struct dense_args *a,
                 const struct run *run, int m0, const float *w, int c, int first) {
    const int vectors = blocks * BLOCK_VECS;
    vec acc[TILE_PIXELS][TILE_VECTORS];
    tile_zero(pixels, vectors, acc);
    const ptrdiff_t block_weights = (ptrdiff_t)a->kernel * a->kernel * blocks * 64;
    const float *x = a->x;
    for (int left = a->c_in / 8; left > 0; left--, x += a->x_block, w += block_weights)
        for (int t = 0; t < run->n_taps; t++) {
            const ptrdiff_t *from = run->from[t] + m0;
            const float *weights = w + run->tap[t] * (blocks * 64), *p[TILE_PIXELS];
            ptrdiff_t all = -1;
            UNROLL
            for (int m = 0; m < pixels; m++) {
                p[m] = from[m] < 0 ? dense_zeros : x + from[m];
                all &= from[m];
            }
            if (all < 0)
                continue;
            tile_step(pixels, vectors, acc, p, weights);
        }
    epilogue_tile(pixels, vectors, &a->epi, acc, first + m0, c, a->y + c / 8 * a->y_block,
                  a->y_block, run->to + m0);
}

#define TILE(pixels, blocks)                                                                       \
    static __attribute__((noinline)) void tile_##pixels##x##blocks(                                \
        const struct dense_args *a, const struct run *run, int m0, const float *w, int c,          \
        int first) {                                                                               \
        tile(pixels, blocks, a, run, m0, w, c, first);                                             \
    }
/* clang-format off */
TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1) TILE(8, 1)
TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
TILE(1, 3) TILE(2, 3) TILE(3, 3) TILE(4, 3)
    /* clang-format on */

    typedef void tile_function(const struct dense_args *, const struct run *, int, const float *,
                               int, int);
/* [blocks of the panel][pixels - 1] */
static tile_function *const tiles[4][8] = {
    {NULL},
    {tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1, tile_7x1, tile_8x1},
    {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2},
    {tile_1x3, tile_2x3, tile_3x3, tile_4x3}};
static const int tile_pixels[4] = {0, 8, 6, 4};

static void run_outputs(const struct dense_args *a, const struct run *run, int first) {
    for (int c = 0, width; c < a->c_out; c += width) {
        width = pw_panel(a->c_out - c);
        const float *w = a->w + (ptrdiff_t)c * a->c_in * a->kernel * a->kernel;
        int blocks = width / 8, full = tile_pixels[blocks], m = 0;
        for (; m + full <= run->n; m += full)
            tiles[blocks][full - 1](a, run, m, w, c, first);
        if (m < run->n)
            tiles[blocks][run->n - m - 1](a, run, m, w, c, first);
    }
}

static void dense_run_all(const struct dense_args *a) {
    dense_runs(a, RUN_PIXELS, run_outputs);
}
