/* Depthwise convolution of stride 1: up to 8 pairs of outputs of a row and one row of the filter in
 * registers. An input pair (columns j and j + 1) serves every tap that an output pair meets it
 * with, so each is loaded once for a filter row. Other strides and odd widths take the AVX2 row. */
#include "runtime/kernels/avx512.h"

/* One row of outputs of `blocks` channel blocks. */
struct row {
    const struct dw_args *a;
    const float *x, *w;
    float *y;                /* of the row's pixel 0 */
    int first_tap, last_tap; /* filter rows inside the image */
    int pixel, channel;      /* index of the row's pixel 0; the block's first channel */
};

/* `pairs` output pairs from column q on. With `whole` the tile is the entire row, so input pairs in
 * the zero columns are left out at compile time. */
INLINE void tile(const int kernel, const int pairs, const bool whole, const struct row *row,
                 int q) {
    static const ptrdiff_t offset[16] = {0,  8,  16, 24, 32, 40,  48,  56,
                                         64, 72, 80, 88, 96, 104, 112, 120};
    const int pad = kernel / 2;
    __m512 acc[8][TILE_VECTORS];
    UNROLL
    for (int t = 0; t < pairs; t++)
        acc[t][0] = _mm512_setzero_ps();
    for (int i = row->first_tap; i < row->last_tap; i++) {
        const float *x = row->x + i * row->a->x_row + (ptrdiff_t)q * 8;
        const float *taps = row->w + i * kernel * 8;
        __m512 weight[7];
        UNROLL
        for (int k = 0; k < kernel; k++)
            weight[k] = load_twice(taps + k * 8);
        UNROLL
        for (int j = 0; j < 2 * pairs - 2 + kernel; j++) {
            if (whole && (j + 1 < pad || j >= pad + 2 * pairs))
                continue;
            __m512 value = load2(x + j * 8);
            UNROLL
            for (int t = 0; t < pairs; t++)
                if (j >= 2 * t && j - 2 * t < kernel)
                    FMA2(acc[t][0], value, weight[j - 2 * t]);
        }
    }
    epilogue_pairs(pairs, 1, &row->a->epi, acc, row->pixel + q, row->channel,
                   row->y + (ptrdiff_t)q * 8, 0, offset);
}

#define TILE(kernel, pairs)                                                                        \
    static __attribute__((noinline)) void tile_##kernel##_##pairs(const struct row *row, int q) {  \
        tile(kernel, pairs, false, row, q);                                                        \
    }
#define WHOLE(kernel, pairs)                                                                       \
    static __attribute__((noinline)) void whole_##kernel##_##pairs(const struct row *row, int q) { \
        tile(kernel, pairs, true, row, q);                                                         \
    }
/* clang-format off */
#define EACH_COUNT(X, kernel)                                                                      \
    X(kernel, 1) X(kernel, 2) X(kernel, 3) X(kernel, 4)                                            \
    X(kernel, 5) X(kernel, 6) X(kernel, 7) X(kernel, 8)
EACH_COUNT(TILE, 3) EACH_COUNT(TILE, 5) EACH_COUNT(TILE, 7)
EACH_COUNT(WHOLE, 3) EACH_COUNT(WHOLE, 5) EACH_COUNT(WHOLE, 7)
    /* clang-format on */

    typedef void tile_function(const struct row *, int);
#define TILE_NAME(kernel, pairs) tile_##kernel##_##pairs,
#define WHOLE_NAME(kernel, pairs) whole_##kernel##_##pairs,
/* [kernel / 2 - 1][part of a row, a whole one][pairs - 1] */
static tile_function *const tiles[3][2][8] = {
    {{EACH_COUNT(TILE_NAME, 3)}, {EACH_COUNT(WHOLE_NAME, 3)}},
    {{EACH_COUNT(TILE_NAME, 5)}, {EACH_COUNT(WHOLE_NAME, 5)}},
    {{EACH_COUNT(TILE_NAME, 7)}, {EACH_COUNT(WHOLE_NAME, 7)}}};

/* Pairs of the next tile: what lies between 8 and 16 is halved. */
static int tile_pairs(int left) {
    return left >= 16 ? 8 : left > 8 ? (left + 1) / 2 : left;
}

static void run_row(tile_function *const (*functions)[8], const struct row *row, int pairs) {
    if (pairs <= 8) {
        functions[1][pairs - 1](row, 0);
        return;
    }
    for (int p = 0, count; p < pairs; p += count) {
        count = tile_pairs(pairs - p);
        functions[0][count - 1](row, 2 * p);
    }
}

static void run_block(const struct dw_args *a, int block) {
    int kernel = a->kernel, pad = kernel / 2;
    struct row row = {
        .a = a, .w = a->w + (ptrdiff_t)block * kernel * kernel * 8, .channel = block * 8};
    for (int r = 0; r < a->h_in; r++) {
        int top = r - pad;
        row.x = a->x + block * a->x_block + top * a->x_row;
        row.y = a->y + block * a->y_block + r * a->y_row;
        row.first_tap = top < 0 ? -top : 0;
        row.last_tap = top + kernel > a->h_in ? a->h_in - top : kernel;
        row.pixel = r * a->w_in;
        run_row(tiles[kernel / 2 - 1], &row, a->w_in / 2);
    }
}

void dw_f32_avx512(const struct dw_args *a) {
    if (a->kernel > 7 || a->kernel < 3 || a->stride != 1 || a->w_in % 2) {
        dw_f32_avx2(a);
        return;
    }
    for (int b = 0; b < a->blocks; b++)
        run_block(a, b);
}

INLINE void pad_row(const enum act act, const float *x, float *y, int w, __m512 scale,
                    __m512 shift) {
    int q = 0;
    for (; q + 2 <= w; q += 2)
        store2(y + q * 8, act2(act, _mm512_fmadd_ps(load2(x + q * 8), scale, shift)));
    if (q < w)
        store1(y + q * 8, act2(act, _mm512_fmadd_ps(load1(x + q * 8), scale, shift)));
}

INLINE void pad_block(const enum act act, const struct pad_args *a, int b) {
    __m512 scale = load_twice_or(a->scale, b * 8, 1), shift = load_twice_or(a->shift, b * 8, 0);
    for (int r = 0; r < a->h; r++)
        pad_row(act, a->x + b * a->x_block + (ptrdiff_t)r * a->w * 8,
                a->y + b * a->y_block + r * a->y_row + a->pad * 8, a->w, scale, shift);
}

void pad_f32_avx512(const struct pad_args *a) {
    dw_zero_columns(a);
    for (int b = 0; b < a->blocks; b++)
        WITH_EACH_ACT(a->act, pad_block(ACT, a, b));
}
