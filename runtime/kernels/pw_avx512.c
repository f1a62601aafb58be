/* 1x1 convolution: tiles of 6 pairs of pixels x 24 outputs, 8 x 16 or 12 x 8, all of c_in in one
 * pass. A pair's 8 channels are loaded once; each channel's two values are then spread over the
 * pair's two halves in registers. */
#include "runtime/kernels/avx512.h"
#include "runtime/kernels/cursor.h"

enum {
    PIXEL_BLOCK = 96 /* a multiple of every tile height; its inputs stay in cache for all panels */
};

/* 2 `pairs` x 8 `vectors` outputs from pixel `first` on; w is the panel, c its first output. */
INLINE void tile(const int pairs, const int vectors, const struct pw_args *a, const float *w,
                 int first, int c, struct cursor *cursor) {
    __m512 acc[TILE_PAIRS][TILE_VECTORS];
    UNROLL
    for (int i = 0; i < pairs * vectors; i++)
        acc[i / vectors][i % vectors] = _mm512_setzero_ps();
    const float *x = a->x + (ptrdiff_t)first * 8;
    for (int blocks = a->c_in / 8; blocks > 0; blocks--, x += a->x_block) {
        UNROLL
        for (int half = 0; half < 2; half++) {
            __m512 spread[TILE_PAIRS];
            UNROLL
            for (int m = 0; m < pairs; m++)
                spread[m] = half_of_each(load2(x + m * 16), half);
            UNROLL
            for (int k = 0; k < 4; k++, w += vectors * 8) {
                __m512 weight[TILE_VECTORS];
                UNROLL
                for (int v = 0; v < vectors; v++)
                    weight[v] = load_twice(w + v * 8);
                UNROLL
                for (int m = 0; m < pairs; m++) {
                    __m512 value = spread_channel(spread[m], k);
                    UNROLL
                    for (int v = 0; v < vectors; v++)
                        FMA2(acc[m][v], value, weight[v]);
                }
            }
        }
    }
    ptrdiff_t offset[2 * TILE_PAIRS];
    cursor_next(cursor, 2 * pairs, offset);
    epilogue_pairs(pairs, vectors, &a->epi, acc, first, c, a->y + c / 8 * a->y_block, a->y_block,
                   offset);
}

/* One pixel, the last of an odd run. */
INLINE void single(const int vectors, const struct pw_args *a, const float *w, int first, int c,
                   struct cursor *cursor) {
    __m256 acc[1][TILE_VECTORS];
    UNROLL
    for (int v = 0; v < vectors; v++)
        acc[0][v] = _mm256_setzero_ps();
    const float *x = a->x + (ptrdiff_t)first * 8;
    for (int blocks = a->c_in / 8; blocks > 0; blocks--, x += a->x_block)
        for (int k = 0; k < 8; k++, w += vectors * 8) {
            __m256 value = _mm256_broadcast_ss(x + k);
            UNROLL
            for (int v = 0; v < vectors; v++)
                FMA(acc[0][v], value, load(w + v * 8));
        }
    ptrdiff_t offset[1];
    cursor_next(cursor, 1, offset);
    epilogue_tile(1, vectors, &a->epi, acc, first, c, a->y + c / 8 * a->y_block, a->y_block,
                  offset);
}

#define TILE(pairs, vectors)                                                                       \
    static __attribute__((noinline)) void tile_##pairs##x##vectors(                                \
        const struct pw_args *a, const float *w, int first, int c, struct cursor *cursor) {        \
        tile(pairs, vectors, a, w, first, c, cursor);                                              \
    }
#define SINGLE(vectors)                                                                            \
    static __attribute__((noinline)) void single_##vectors(                                        \
        const struct pw_args *a, const float *w, int first, int c, struct cursor *cursor) {        \
        single(vectors, a, w, first, c, cursor);                                                   \
    }
/* clang-format off */
SINGLE(1) TILE(1, 1) TILE(2, 1) TILE(4, 1) TILE(12, 1)
SINGLE(2) TILE(1, 2) TILE(2, 2) TILE(4, 2) TILE(8, 2)
SINGLE(3) TILE(1, 3) TILE(2, 3) TILE(4, 3) TILE(6, 3)
    /* clang-format on */

    typedef void tile_function(const struct pw_args *, const float *, int, int, struct cursor *);
enum { SIZES = 5 };
/* By vectors of the panel less one; the largest tile first. */
static tile_function *const tiles[3][SIZES] = {{tile_12x1, tile_4x1, tile_2x1, tile_1x1, single_1},
                                               {tile_8x2, tile_4x2, tile_2x2, tile_1x2, single_2},
                                               {tile_6x3, tile_4x3, tile_2x3, tile_1x3, single_3}};
static const int tile_pixels[3][SIZES] = {{24, 8, 4, 2, 1}, {16, 8, 4, 2, 1}, {12, 8, 4, 2, 1}};

/* Pixels [first, last) of one panel of outputs. */
static void panel(const struct pw_args *a, const float *w, int width, int c, int first, int last) {
    int v = width / 8 - 1;
    struct cursor cursor = cursor_at(a, first);
    for (int size = 0, p = first; size < SIZES; size++)
        for (int pixels = tile_pixels[v][size]; p + pixels <= last; p += pixels)
            tiles[v][size](a, w, p, c, &cursor);
}

void pw_f32_avx512(const struct pw_args *a) {
    for (int first = 0; first < a->pixels; first += PIXEL_BLOCK) {
        int last = first + PIXEL_BLOCK < a->pixels ? first + PIXEL_BLOCK : a->pixels;
        for (int c = 0, width; c < a->c_out; c += width) {
            width = pw_panel(a->c_out - c);
            panel(a, a->w + (ptrdiff_t)c * a->c_in, width, c, first, last);
        }
    }
}
