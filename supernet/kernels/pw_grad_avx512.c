/* Weight gradient of a 1x1 convolution: tiles of narrow x wide channels stay in registers over a
 * strip of pixels that fits the first-level cache. The wide side is the vector, a pair of pixels of
 * a block; a narrow channel's two values are spread over its two halves in registers. */
#include "supernet/kernels/train_avx512.h"

enum { STRIP = 128 };

struct sides {
    const float *narrow, *wide;
    ptrdiff_t narrow_block, wide_block;
    int n_narrow, n_wide; /* multiples of 8 */
};

/* One pair of pixels, or with `single` one pixel. */
INLINE void add_pair(const int V, const bool single, const float *narrow, const float *wide,
                     ptrdiff_t wide_block, __m512 (*acc)[3]) {
    __m512 x = single ? load1(narrow) : load2(narrow), w[3];
    __m512 halves[2] = {half_of_each(x, 0), half_of_each(x, 1)};
    UNROLL
    for (int v = 0; v < V; v++)
        w[v] = single ? load1(wide + v * wide_block) : load2(wide + v * wide_block);
    UNROLL
    for (int m = 0; m < 8; m++) {
        __m512 b = spread_channel(halves[m / 4], m % 4);
        UNROLL
        for (int v = 0; v < V; v++)
            FMA2(acc[m][v], b, w[v]);
    }
}

/* dense[m][v] += sum_p narrow[p][m] * wide[p][v], for the 8 narrow channels of a block and V blocks
 * of wide ones. */
INLINE void tile(const int V, int pixels, const float *narrow, const float *wide,
                 ptrdiff_t wide_block, float *dense, ptrdiff_t ld) {
    __m512 acc[8][3];
    UNROLL
    for (int i = 0; i < 8 * V; i++)
        acc[i / V][i % V] = _mm512_setzero_ps();
    for (; pixels >= 2; pixels -= 2, narrow += 16, wide += 16)
        add_pair(V, false, narrow, wide, wide_block, acc);
    if (pixels > 0)
        add_pair(V, true, narrow, wide, wide_block, acc);
    UNROLL
    for (int i = 0; i < 8 * V; i++)
        add_pair_to(dense + i / V * ld + i % V * 8, acc[i / V][i % V]);
}

/* All narrow channels against V blocks of wide ones. */
INLINE void panel(const int V, const struct sides *s, int pixels, float *dense) {
    for (int i = 0; i < s->n_narrow; i += 8)
        tile(V, pixels, s->narrow + i / 8 * s->narrow_block, s->wide, s->wide_block,
             dense + (ptrdiff_t)i * s->n_wide, s->n_wide);
}

static void strip(struct sides s, int pixels, float *dense) {
    const float *wide = s.wide;
    for (int c = 0, width; c < s.n_wide; c += width) {
        width = pw_panel(s.n_wide - c);
        s.wide = wide + c / 8 * s.wide_block;
        if (width == 24)
            panel(3, &s, pixels, dense + c);
        else if (width == 16)
            panel(2, &s, pixels, dense + c);
        else
            panel(1, &s, pixels, dense + c);
    }
}

void pw_grad_f32_avx512(const struct pw_grad_args *a) {
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
