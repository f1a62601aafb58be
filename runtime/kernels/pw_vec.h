/* 1x1 convolution, written for the vectors of vec.h: tiles of 4 pixels x 24 outputs, 6 x 16 or 8 x
 * 8 in 12 or fewer accumulators of a block, all of c_in in one pass. */
#pragma once

#include "runtime/kernels/cursor.h"

enum {
    PIXEL_BLOCK = 96 /* a multiple of every tile height; its inputs stay in cache for all panels */
};

/* `pixels` outputs from pixel `first` on of `blocks` channel blocks; w is the panel, c its first
 * output. */
INLINE void tile(const int pixels, const int blocks, const struct pw_args *a, const float *w,
                 int first, int c, struct cursor *cursor) {
    const int vectors = blocks * BLOCK_VECS;
    vec acc[TILE_PIXELS][TILE_VECTORS];
    tile_zero(pixels, vectors, acc);
    const float *x = a->x + (ptrdiff_t)first * 8;
    for (int left = a->c_in / 8; left > 0; left--, x += a->x_block, w += blocks * 64) {
        const float *of_pixel[TILE_PIXELS];
        UNROLL
        for (int m = 0; m < pixels; m++)
            of_pixel[m] = x + m * 8;
        tile_step(pixels, vectors, acc, of_pixel, w);
    }
    ptrdiff_t offset[TILE_PIXELS];
    cursor_next(cursor, pixels, offset);
    epilogue_tile(pixels, vectors, &a->epi, acc, first, c, a->y + c / 8 * a->y_block, a->y_block,
                  offset);
}

#define TILE(pixels, blocks)                                                                       \
    static __attribute__((noinline)) void tile_##pixels##x##blocks(                                \
        const struct pw_args *a, const float *w, int first, int c, struct cursor *cursor) {        \
        tile(pixels, blocks, a, w, first, c, cursor);                                              \
    }
/* clang-format off */
TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1) TILE(8, 1)
TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
TILE(1, 3) TILE(2, 3) TILE(3, 3) TILE(4, 3)
    /* clang-format on */

    typedef void tile_function(const struct pw_args *, const float *, int, int, struct cursor *);
/* [blocks of the panel][pixels - 1] */
static tile_function *const tiles[4][8] = {
    {NULL},
    {tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1, tile_7x1, tile_8x1},
    {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2},
    {tile_1x3, tile_2x3, tile_3x3, tile_4x3}};
static const int tile_pixels[4] = {0, 8, 6, 4};

/* Pixels [first, last) of one panel of outputs. */
static void panel(const struct pw_args *a, const float *w, int width, int c, int first, int last) {
    int blocks = width / 8, full = tile_pixels[blocks];
    struct cursor cursor = cursor_at(a, first);
    int p = first;
    for (; p + full <= last; p += full)
        tiles[blocks][full - 1](a, w, p, c, &cursor);
    if (p < last)
        tiles[blocks][last - p - 1](a, w, p, c, &cursor);
}

static void pw_run(const struct pw_args *a) {
    for (int first = 0; first < a->pixels; first += PIXEL_BLOCK) {
        int last = first + PIXEL_BLOCK < a->pixels ? first + PIXEL_BLOCK : a->pixels;
        for (int c = 0, width; c < a->c_out; c += width) {
            width = pw_panel(a->c_out - c);
            panel(a, a->w + (ptrdiff_t)c * a->c_in, width, c, first, last);
        }
    }
}
