/* Weight gradient of a 1x1 convolution: tiles of narrow x wide channels stay in registers over a
 * strip of pixels that fits the first-level cache; the wide side is the vector, the narrow side is
 * broadcast from memory. Nothing is packed. */
#include "supernet/kernels/train_avx2.h"

enum { STRIP = 128 };

struct sides {
    const float *narrow, *wide;
    ptrdiff_t narrow_block, wide_block;
    int n_narrow, n_wide; /* multiples of 8 */
};

/* dense[m][v] += sum_p narrow[p][m] * wide[p][v], m < M narrow channels of one block, V blocks. */
INLINE void tile(const int M, const int V, int pixels, const float *narrow, const float *wide,
                 ptrdiff_t wide_block, float *dense, ptrdiff_t ld) {
    __m256 acc[8][3];
    UNROLL
    for (int i = 0; i < M * V; i++)
        acc[i / V][i % V] = load(dense + i / V * ld + i % V * 8);
    for (int p = 0; p < pixels; p++, narrow += 8, wide += 8) {
        __m256 w[3];
        UNROLL
        for (int v = 0; v < V; v++)
            w[v] = load(wide + v * wide_block);
        UNROLL
        for (int m = 0; m < M; m++) {
            __m256 b = _mm256_broadcast_ss(narrow + m);
            UNROLL
            for (int v = 0; v < V; v++)
                FMA(acc[m][v], b, w[v]);
        }
    }
    UNROLL
    for (int i = 0; i < M * V; i++)
        _mm256_store_ps(dense + i / V * ld + i % V * 8, acc[i / V][i % V]);
}

/* All narrow channels against V blocks of wide ones, M narrow channels at a time. */
INLINE void panel(const int M, const int V, const struct sides *s, int pixels, float *dense) {
    for (int i = 0; i < s->n_narrow; i += M)
        tile(M, V, pixels, s->narrow + i / 8 * s->narrow_block + i % 8, s->wide, s->wide_block,
             dense + (ptrdiff_t)i * s->n_wide, s->n_wide);
}

static void strip(struct sides s, int pixels, float *dense) {
    const float *wide = s.wide;
    for (int c = 0, width; c < s.n_wide; c += width) {
        width = pw_panel(s.n_wide - c);
        s.wide = wide + c / 8 * s.wide_block;
        if (width == 24)
            panel(4, 3, &s, pixels, dense + c);
        else if (width == 16)
            panel(4, 2, &s, pixels, dense + c);
        else
            panel(8, 1, &s, pixels, dense + c);
    }
}

void pw_grad_f32_avx2(const struct pw_grad_args *a) {
    struct sides s = {
        a->x, a->dy, a->x_block, a->dy_block, round_up_8(a->c_in), round_up_8(a->c_out)};
    if (!pw_grad_x_is_narrow(a->c_in, a->c_out))
        s = (struct sides){a->dy, a->x, a->dy_block, a->x_block, s.n_wide, s.n_narrow};
    for (int p = 0; p < a->pixels; p += STRIP) {
        strip(s, a->pixels - p < STRIP ? a->pixels - p : STRIP, a->dense);
        s.narrow += STRIP * 8;
        s.wide += STRIP * 8;
    }
}
