/* 1x1 convolution: tiles of 4 pixels x 24 outputs, 6 x 16 or 8 x 8 in 12 or fewer accumulators, all
 * of c_in in one pass, activations broadcast from memory. */
#include "runtime/kernels/avx2.h"
#include "runtime/kernels/cursor.h"

enum {
    PIXEL_BLOCK = 96 /* a multiple of every tile height; its inputs stay in cache for all panels */
};

/* `pixels` x 8 `vectors` outputs from pixel `first` on; w is the panel, c its first output. */
INLINE void tile(const int pixels, const int vectors, const struct pw_args *a, const float *w,
                 int first, int c, struct cursor *cursor) {
    __m256 acc[TILE_PIXELS][TILE_VECTORS];
    UNROLL
    for (int i = 0; i < pixels * vectors; i++)
        acc[i / vectors][i % vectors] = _mm256_setzero_ps();
    const float *x = a->x + (ptrdiff_t)first * 8;
    for (int blocks = a->c_in / 8; blocks > 0; blocks--, x += a->x_block) {
        UNROLL
        for (int k = 0; k < 8; k++, w += vectors * 8) {
            __m256 weight[TILE_VECTORS];
            UNROLL
            for (int v = 0; v < vectors; v++)
                weight[v] = load(w + v * 8);
            UNROLL
            for (int m = 0; m < pixels; m++) {
                __m256 value = _mm256_broadcast_ss(x + m * 8 + k);
                UNROLL
                for (int v = 0; v < vectors; v++)
                    FMA(acc[m][v], value, weight[v]);
            }
        }
    }
    ptrdiff_t offset[TILE_PIXELS];
    cursor_next(cursor, pixels, offset);
    epilogue_avx2(pixels, vectors, &a->epi, acc, first, c, a->y + c / 8 * a->y_block, a->y_block,
                  offset);
}

#define TILE(pixels, vectors)                                                                      \
    static __attribute__((noinline)) void tile_##pixels##x##vectors(                               \
        const struct pw_args *a, const float *w, int first, int c, struct cursor *cursor) {        \
        tile(pixels, vectors, a, w, first, c, cursor);                                             \
    }
/* clang-format off */
TILE(1, 1) TILE(2, 1) TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1) TILE(8, 1)
TILE(1, 2) TILE(2, 2) TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
TILE(1, 3) TILE(2, 3) TILE(3, 3) TILE(4, 3)
    /* clang-format on */

    typedef void tile_function(const struct pw_args *, const float *, int, int, struct cursor *);
/* [vectors of the panel][pixels - 1] */
static tile_function *const tiles[4][8] = {
    {NULL},
    {tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1, tile_7x1, tile_8x1},
    {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2},
    {tile_1x3, tile_2x3, tile_3x3, tile_4x3}};
static const int tile_pixels[4] = {0, 8, 6, 4};

/* Pixels [first, last) of one panel of outputs. */
static void panel(const struct pw_args *a, const float *w, int width, int c, int first, int last) {
    int vectors = width / 8, full = tile_pixels[vectors];
    struct cursor cursor = cursor_at(a, first);
    int p = first;
    for (; p + full <= last; p += full)
        tiles[vectors][full - 1](a, w, p, c, &cursor);
    if (p < last)
        tiles[vectors][last - p - 1](a, w, p, c, &cursor);
}

void pw_f32_avx2(const struct pw_args *a) {
    for (int first = 0; first < a->pixels; first += PIXEL_BLOCK) {
        int last = first + PIXEL_BLOCK < a->pixels ? first + PIXEL_BLOCK : a->pixels;
        for (int c = 0, width; c < a->c_out; c += width) {
            width = pw_panel(a->c_out - c);
            panel(a, a->w + (ptrdiff_t)c * a->c_in, width, c, first, last);
        }
    }
}
