/* Both gradients of a depthwise convolution for one channel block, image by image: the method of
 * dw_grad_avx2.c on pairs of pixels. With 32 registers all rows of taps of 3x3 and 5x5 filters, and
 * three of 7x7, are accumulated at once, and an input pair is loaded once for the taps of a row
 * that it meets. */
#include "supernet/kernels/dw_grad_planes.h"
#include "supernet/kernels/train_avx512.h"

/* ---- Filling the planes ---- */

/* Column q + 1 lies `step` floats behind column q where columns are not split. */
INLINE void fill_x_act(const enum act act, const struct plane *p, const float *x,
                       struct pair_affine bn) {
    for (int r = 0; r < p->h; r++, x += p->w * 8L) {
        float *row = plane_row(p, r);
        int q = 0;
        for (; q + 2 <= p->w; q += 2) {
            __m512 v = act2(act, pair_affine_apply(bn, load2(x + q * 8)));
            if (!p->split) {
                store2(plane_column(p, row, q), v);
            } else {
                store1(plane_column(p, row, q), v);
                _mm256_store_ps(plane_column(p, row, q + 1), _mm512_extractf32x8_ps(v, 1));
            }
        }
        if (q < p->w)
            store1(plane_column(p, row, q), act2(act, pair_affine_apply(bn, load1(x + q * 8))));
    }
}

static void fill_x(const struct dw_grad_args *a, const struct plane *p, int image) {
    static const struct bn_act identity = {NULL, NULL, ACT_NONE};
    const struct bn_act *f = a->x_bn_act ? a->x_bn_act : &identity;
    const float *x = a->x + image * a->x_image;
    WITH_CONSTANT_ACT(f->act, fill_x_act(ACT, p, x, pair_affine_load(f, 0)));
}

static void fill_dy(const struct dw_grad_args *a, const struct plane *p, int image) {
    const float *dy = a->dy + image * a->dy_image;
    if (!a->y) {
        for (int r = 0; r < p->h; r++)
            memcpy(plane_column(p, plane_row(p, r), 0), dy + r * p->w * 8L,
                   (size_t)p->w * 8 * sizeof(float));
        return;
    }
    const float *y = a->y + image * a->y_image;
    __m512 on_dz = load_twice_or(a->y_coef->on_dz, 0, 1);
    __m512 on_a = load_twice_or(a->y_coef->on_a, 0, 0);
    __m512 offset = load_twice_or(a->y_coef->offset, 0, 0);
    for (int r = 0; r < p->h; r++, dy += p->w * 8L, y += p->w * 8L) {
        float *to = plane_column(p, plane_row(p, r), 0);
        int q = 0;
        for (; q + 2 <= p->w; q += 2)
            store2(to + q * 8, _mm512_fmadd_ps(on_dz, load2(dy + q * 8),
                                               _mm512_fmadd_ps(on_a, load2(y + q * 8), offset)));
        if (q < p->w)
            store1(to + q * 8, _mm512_fmadd_ps(on_dz, load1(dy + q * 8),
                                               _mm512_fmadd_ps(on_a, load1(y + q * 8), offset)));
    }
}

/* ---- Weight gradient ---- */

/* What one row of taps gains from T pairs of outputs. Inputs of stride S lie in S runs of columns
 * (S = 2: even and odd ones); run s meets taps s, s + S, ... COLUMNS: of the padded input row where
 * the tile spans the plane, else 0; pairs in the border are left out then. single: the last pair is
 * one pixel. */
INLINE void taps_row(const int K, const int S, const int T, const int W, const bool single,
                     const __m512 *d, const struct plane *p, const float *x, __m512 *acc) {
    UNROLL
    for (int s = 0; s < S; s++) {
        const float *run = x + s * p->odd;
        const int n = (K - s + S - 1) / S; /* taps of the run */
        UNROLL
        for (int j = 0; j < 2 * T - 2 + n; j++) {
            if (W > 0 && (j + 1 < K / 2 || j >= W + K / 2))
                continue;
            const bool last = single && j == 2 * T - 3 + n; /* nothing lies behind it */
            __m512 value = last ? load1(run + j * 8) : load2(run + j * 8);
            UNROLL
            for (int t = 0; t < T; t++)
                if (j >= 2 * t && j - 2 * t < n)
                    FMA2(acc[(j - 2 * t) * S + s], d[t], value);
        }
    }
}

/* R rows of taps, T pairs of outputs from (dy, x) on. */
INLINE void taps_tile(const int K, const int R, const int S, const int T, const int W,
                      const bool single, const struct plane *p, const float *dy, const float *x,
                      __m512 *acc) {
    __m512 d[4];
    UNROLL
    for (int t = 0; t < T; t++)
        d[t] = single && t == T - 1 ? load1(dy + t * 16) : load2(dy + t * 16);
    UNROLL
    for (int i = 0; i < R; i++)
        taps_row(K, S, T, W, single, d, p, x + i * p->row, acc + i * K);
}

/* R rows of K taps from ky on, over output rows `within`. W: the outputs of a row where one tile
 * spans them, else 0. */
INLINE void taps(const int K, const int R, const int S, const int W, const struct geometry *g,
                 int ky, struct range within, float *d_weight) {
    struct range rows = rows_that_meet(g, ky, R, within);
    __m512 acc[25];
    d_weight += ky * K * 8;
    UNROLL
    for (int t = 0; t < R * K; t++)
        acc[t] = _mm512_setzero_ps();
    for (int r = rows.first; r < rows.end; r++) {
        const float *dy = plane_column(&g->dy, plane_row(&g->dy, r), 0);
        const float *x = g->x.base + (r * S + ky) * g->x.row;
        if (W > 0) {
            taps_tile(K, R, S, (W + 1) / 2, W, W % 2 == 1, &g->x, dy, x, acc);
            continue;
        }
        int q = 0;
        for (; q + 8 <= g->dy.w; q += 8)
            taps_tile(K, R, S, 4, 0, false, &g->x, dy + q * 8, x + q * 8, acc);
        for (; q + 2 <= g->dy.w; q += 2)
            taps_tile(K, R, S, 1, 0, false, &g->x, dy + q * 8, x + q * 8, acc);
        if (q < g->dy.w)
            taps_tile(K, R, S, 1, 0, true, &g->x, dy + q * 8, x + q * 8, acc);
    }
    UNROLL
    for (int t = 0; t < R * K; t++)
        add_pair_to(d_weight + t * 8, acc[t]);
}

INLINE void taps_band(const int K, const int S, const int W, const struct geometry *g,
                      struct range rows, float *d_weight) {
    if (K < 7) {
        taps(K, K, S, W, g, 0, rows, d_weight);
    } else {
        taps(7, 3, S, W, g, 0, rows, d_weight);
        taps(7, 2, S, W, g, 3, rows, d_weight);
        taps(7, 2, S, W, g, 5, rows, d_weight);
    }
}

INLINE void taps_band_k(const int S, const int W, const struct geometry *g, struct range rows,
                        float *d_weight) {
    if (g->k == 3)
        taps_band(3, S, W, g, rows, d_weight);
    else if (g->k == 5)
        taps_band(5, S, W, g, rows, d_weight);
    else
        taps_band(7, S, W, g, rows, d_weight);
}

static void weight_grad(const struct geometry *g, float *d_weight) {
    int band = g->dy.w >= 32 ? 8 : g->dy.w >= 16 ? 16 : g->dy.h;
    for (int row = 0; row < g->dy.h; row += band) {
        struct range rows = {row, row + band < g->dy.h ? row + band : g->dy.h};
        if (g->stride == 2)
            taps_band_k(2, 0, g, rows, d_weight);
        else if (g->dy.w == 4)
            taps_band_k(1, 4, g, rows, d_weight);
        else if (g->dy.w == 7)
            taps_band_k(1, 7, g, rows, d_weight);
        else if (g->dy.w == 8)
            taps_band_k(1, 8, g, rows, d_weight);
        else
            taps_band_k(1, 0, g, rows, d_weight);
    }
}

/* ---- Data gradient ---- */

INLINE void store_pair(const struct pass *p, float *out, __m512 v) {
    if (p->out_pixel == 8) {
        store2(out, v);
    } else {
        store1(out, v);
        _mm256_store_ps(out + p->out_pixel, _mm512_extractf32x8_ps(v, 1));
    }
}

/* T pairs of outputs of one row. W: as in taps, with a border of K / 2; single: the last pair is
 * one pixel. */
INLINE void row_tile(const int K, const int T, const int W, const bool single, const struct pass *p,
                     struct row_taps taps, float *out) {
    __m512 acc[8];
    UNROLL
    for (int t = 0; t < T; t++)
        acc[t] = _mm512_setzero_ps();
    for (int i = 0; i < taps.n; i++, taps.in += p->in_row, taps.filter += K * 8) {
        __m512 w[7];
        UNROLL
        for (int k = 0; k < K; k++)
            w[k] = load_twice(taps.filter + k * 8);
        UNROLL
        for (int j = 0; j < 2 * T - 2 + K; j++) {
            if (W > 0 && (j + 1 < K / 2 || j >= W + K / 2))
                continue;
            const bool last = single && j == 2 * T - 3 + K;
            __m512 x = last ? load1(taps.in + j * 8) : load2(taps.in + j * 8);
            UNROLL
            for (int t = 0; t < T; t++)
                if (j >= 2 * t && j - 2 * t < K)
                    FMA2(acc[t], x, w[j - 2 * t]);
        }
    }
    UNROLL
    for (int t = 0; t < T; t++) {
        if (single && t == T - 1)
            store1(out + 2 * t * p->out_pixel, acc[t]);
        else
            store_pair(p, out + 2 * t * p->out_pixel, acc[t]);
    }
}

INLINE void tile_at(const int K, const int T, const int W, const bool single, const struct pass *p,
                    struct row_taps taps, int r, int q) {
    fetch_ahead(p->ahead);
    taps.in += q * 8L;
    row_tile(K, T, W, single, p, taps, p->out + r * p->out_row + q * p->out_pixel);
}

INLINE void row_any(const int K, const struct pass *p, struct row_taps taps, int r) {
    int q = 0;
    for (; q + 16 <= p->columns; q += 16)
        tile_at(K, 8, 0, false, p, taps, r, q);
    for (; q + 8 <= p->columns; q += 8)
        tile_at(K, 4, 0, false, p, taps, r, q);
    for (; q + 4 <= p->columns; q += 4)
        tile_at(K, 2, 0, false, p, taps, r, q);
    for (; q + 2 <= p->columns; q += 2)
        tile_at(K, 1, 0, false, p, taps, r, q);
    if (q < p->columns)
        tile_at(K, 1, 0, true, p, taps, r, q);
}

INLINE void pass_k(const int K, const struct pass *p) {
    bool spans = K % 2 == 1 && p->spans;
    for (int r = 0; r < p->rows; r++) {
        struct row_taps taps = row_taps_of(K, p, r);
        if (spans && p->columns == 8)
            tile_at(K, 4, 8, false, p, taps, r, 0);
        else if (spans && p->columns == 7)
            tile_at(K, 4, 7, true, p, taps, r, 0);
        else if (spans && p->columns == 4)
            tile_at(K, 2, 4, false, p, taps, r, 0);
        else
            row_any(K, p, taps, r);
    }
}

static void pass_run(const struct pass *p) {
    switch (p->taps_x) {
    case 1:
        pass_k(1, p);
        return;
    case 2:
        pass_k(2, p);
        return;
    case 3:
        pass_k(3, p);
        return;
    case 4:
        pass_k(4, p);
        return;
    case 5:
        pass_k(5, p);
        return;
    case 7:
        pass_k(7, p);
        return;
    }
}

static void data_grad(const struct geometry *g, const struct filters *filters, float *dx,
                      struct ahead ahead) {
    for (int parity = 0; parity < g->stride * g->stride; parity++) {
        struct pass pass = pass_make(g, filters, parity, dx, &ahead);
        pass_run(&pass);
    }
}

void dw_grad_f32_avx512(const struct dw_grad_args *a) {
    struct geometry g = geometry_make(a);
    struct filters filters;
    dw_grad_begin(a, &g, &filters);
    for (int image = 0; image < a->images; image++) {
        fill_dy(a, &g.dy, image);
        if (a->d_weight) {
            fill_x(a, &g.x, image);
            weight_grad(&g, a->d_weight);
        }
        if (a->dx)
            data_grad(&g, &filters, a->dx + image * a->dx_image, ahead_make(a, &g, image));
    }
}
