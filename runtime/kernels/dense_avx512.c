/* Dense k x k convolution: the tiles of the 1x1 kernel (6 pairs of pixels x 24 outputs, 8 x 16,
 * 12 x 8), each pixel with an address for each tap. The two pixels of a pair need not be
 * neighbours: they meet in the register. */
#include "runtime/kernels/avx512.h"
#include "runtime/kernels/dense_run.h"

enum { RUN_PIXELS = 48 /* a multiple of every tile's pixels */ };

/* Where a tap of 2 `pairs` outputs reads; false if all read zeros. */
INLINE bool addresses(const int pixels, const float *x, const ptrdiff_t *from, const float **p) {
    ptrdiff_t all = -1;
    UNROLL
    for (int m = 0; m < pixels; m++) {
        p[m] = from[m] < 0 ? dense_zeros : x + from[m];
        all &= from[m];
    }
    return all >= 0;
}

/* Outputs [m0, m0 + 2 pairs) of a run, 8 `vectors` channels from c on; w is their panel. first: the
 * output of a->y that the run begins with. */
INLINE void tile(const int pairs, const int vectors, const struct dense_args *a,
                 const struct run *run, int m0, const float *w, int c, int first) {
    __m512 acc[TILE_PAIRS][TILE_VECTORS];
    UNROLL
    for (int i = 0; i < pairs * vectors; i++)
        acc[i / vectors][i % vectors] = _mm512_setzero_ps();
    const ptrdiff_t block_weights = (ptrdiff_t)a->kernel * a->kernel * vectors * 64;
    const float *x = a->x;
    for (int blocks = a->c_in / 8; blocks > 0; blocks--, x += a->x_block, w += block_weights)
        for (int t = 0; t < run->n_taps; t++) {
            const float *weights = w + run->tap[t] * (vectors * 64), *p[2 * TILE_PAIRS];
            if (!addresses(2 * pairs, x, run->from[t] + m0, p))
                continue;
            UNROLL
            for (int half = 0; half < 2; half++) {
                __m512 spread[TILE_PAIRS];
                UNROLL
                for (int m = 0; m < pairs; m++) {
                    __m512 pair = _mm512_insertf32x8(_mm512_castps256_ps512(load(p[2 * m])),
                                                     load(p[2 * m + 1]), 1);
                    spread[m] = half_of_each(pair, half);
                }
                UNROLL
                for (int k = 0; k < 4; k++) {
                    __m512 weight[TILE_VECTORS];
                    UNROLL
                    for (int v = 0; v < vectors; v++)
                        weight[v] = load_twice(weights + ((half * 4 + k) * vectors + v) * 8);
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
    epilogue_pairs(pairs, vectors, &a->epi, acc, first + m0, c, a->y + c / 8 * a->y_block,
                   a->y_block, run->to + m0);
}

/* One output, the last of an odd run. */
INLINE void single(const int vectors, const struct dense_args *a, const struct run *run, int m0,
                   const float *w, int c, int first) {
    __m256 acc[1][TILE_VECTORS];
    UNROLL
    for (int v = 0; v < vectors; v++)
        acc[0][v] = _mm256_setzero_ps();
    const ptrdiff_t block_weights = (ptrdiff_t)a->kernel * a->kernel * vectors * 64;
    const float *x = a->x, *p[1];
    for (int blocks = a->c_in / 8; blocks > 0; blocks--, x += a->x_block, w += block_weights)
        for (int t = 0; t < run->n_taps; t++) {
            const float *weights = w + run->tap[t] * (vectors * 64);
            if (!addresses(1, x, run->from[t] + m0, p))
                continue;
            for (int k = 0; k < 8; k++) {
                __m256 value = _mm256_broadcast_ss(p[0] + k);
                UNROLL
                for (int v = 0; v < vectors; v++)
                    FMA(acc[0][v], value, load(weights + (k * vectors + v) * 8));
            }
        }
    epilogue_tile(1, vectors, &a->epi, acc, first + m0, c, a->y + c / 8 * a->y_block, a->y_block,
                  run->to + m0);
}

#define TILE(pairs, vectors)                                                                       \
    static __attribute__((noinline)) void tile_##pairs##x##vectors(                                \
        const struct dense_args *a, const struct run *run, int m0, const float *w, int c,          \
        int first) {                                                                               \
        tile(pairs, vectors, a, run, m0, w, c, first);                                             \
    }
#define SINGLE(vectors)                                                                            \
    static __attribute__((noinline)) void single_##vectors(const struct dense_args *a,             \
                                                           const struct run *run, int m0,          \
                                                           const float *w, int c, int first) {     \
        single(vectors, a, run, m0, w, c, first);                                                  \
    }
/* clang-format off */
SINGLE(1) TILE(1, 1) TILE(2, 1) TILE(4, 1) TILE(12, 1)
SINGLE(2) TILE(1, 2) TILE(2, 2) TILE(4, 2) TILE(8, 2)
SINGLE(3) TILE(1, 3) TILE(2, 3) TILE(4, 3) TILE(6, 3)
    /* clang-format on */

    typedef void tile_function(const struct dense_args *, const struct run *, int, const float *,
                               int, int);
enum { SIZES = 5 };
/* By vectors of the panel less one; the largest tile first. */
static tile_function *const tiles[3][SIZES] = {{tile_12x1, tile_4x1, tile_2x1, tile_1x1, single_1},
                                               {tile_8x2, tile_4x2, tile_2x2, tile_1x2, single_2},
                                               {tile_6x3, tile_4x3, tile_2x3, tile_1x3, single_3}};
static const int tile_pixels[3][SIZES] = {{24, 8, 4, 2, 1}, {16, 8, 4, 2, 1}, {12, 8, 4, 2, 1}};

static void run_outputs(const struct dense_args *a, const struct run *run, int first) {
    for (int c = 0, width; c < a->c_out; c += width) {
        width = pw_panel(a->c_out - c);
        const float *w = a->w + (ptrdiff_t)c * a->c_in * a->kernel * a->kernel;
        int v = width / 8 - 1;
        for (int size = 0, m = 0; size < SIZES; size++)
            for (int pixels = tile_pixels[v][size]; m + pixels <= run->n; m += pixels)
                tiles[v][size](a, run, m, w, c, first);
    }
}

void dense_f32_avx512(const struct dense_args *a) {
    dense_runs(a, RUN_PIXELS, run_outputs);
}
