/* Both gradients of a depthwise convolution for one channel block, image by image.
 *
 * The input and the output's gradient are copied to scratch planes with zero borders, through their
 * BNs on the way where asked. Weight gradient: as many rows of taps as registers hold, over bands
 * of rows that stay in the first-level cache. Data gradient, stride 1: a forward pass with the
 * filter turned by 180 degrees; stride 2: one such pass for each parity of (row, column), with the
 * taps that meet it. For stride 2 the input's columns are split into even and odd ones, so that
 * neighbouring outputs read neighbouring pixels. Rows of taps that would meet only the border are
 * left out, and columns too on the small planes that one tile spans: of a 7x7 filter on a 4x4 plane
 * a third meets the image. */
#include "supernet/kernels/dw_grad_planes.h"

/* ---- Filling the planes ---- */

INLINE void fill_x_act(const enum act act, const struct plane *p, const float *x,
                       struct block_affine bn) {
    for (int r = 0; r < p->h; r++) {
        float *row = plane_row(p, r);
        for (int q = 0; q < p->w; q++, x += 8)
            _mm256_store_ps(plane_column(p, row, q), act_vec(act, block_affine_apply(bn, load(x))));
    }
}

static void fill_x(const struct dw_grad_args *a, const struct plane *p, int image) {
    static const struct bn_act identity = {NULL, NULL, ACT_NONE};
    const struct bn_act *f = a->x_bn_act ? a->x_bn_act : &identity;
    const float *x = a->x + image * a->x_image;
    WITH_CONSTANT_ACT(f->act, fill_x_act(ACT, p, x, block_affine_load(f, 0)));
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
    __m256 on_dz = _mm256_loadu_ps(a->y_coef->on_dz), on_a = _mm256_loadu_ps(a->y_coef->on_a);
    __m256 offset = _mm256_loadu_ps(a->y_coef->offset);
    for (int r = 0; r < p->h; r++) {
        float *to = plane_column(p, plane_row(p, r), 0);
        for (int q = 0; q < p->w; q++, dy += 8, y += 8) {
            __m256 rest = _mm256_fmadd_ps(on_a, load(y), offset);
            _mm256_store_ps(to + q * 8L, _mm256_fmadd_ps(on_dz, load(dy), rest));
        }
    }
}

/* ---- Weight gradient ---- */

/* Adds one output pixel's share to R rows of K taps. column: of the pixel where the tile spans the
 * plane (W columns), else W is 0. */
INLINE void taps_pixel(const int K, const int R, const int S, const int W, const int column,
                       __m256 *acc, const struct plane *p, const float *x, __m256 d) {
    UNROLL
    for (int t = 0; t < R * K; t++) {
        const int kx = t % K, q = column + kx - K / 2;
        if (W > 0 && (q < 0 || q >= W))
            continue;
        const float *row_x = x + t / K * p->row;
        if (S == 1)
            FMA_LOAD(acc[t], d, row_x + kx * 8);
        else
            FMA_LOAD(acc[t], d, row_x + (kx & 1) * p->odd + kx / 2 * 8);
    }
}

/* R rows of K taps from ky on, over output rows `within`. */
INLINE void taps(const int K, const int R, const int S, const int W, const struct geometry *g,
                 int ky, struct range within, float *d_weight) {
    struct range rows = rows_that_meet(g, ky, R, within);
    __m256 acc[15];
    d_weight += ky * K * 8;
    UNROLL
    for (int t = 0; t < R * K; t++)
        acc[t] = load(d_weight + t * 8);
    for (int r = rows.first; r < rows.end; r++) {
        const float *dy = plane_column(&g->dy, plane_row(&g->dy, r), 0);
        const float *x = g->x.base + (r * S + ky) * g->x.row;
        if (W > 0) {
            UNROLL
            for (int q = 0; q < W; q++)
                taps_pixel(K, R, S, W, q, acc, &g->x, x + q * 8, load(dy + q * 8));
        } else {
            for (int q = 0; q < g->dy.w; q++, dy += 8, x += 8)
                taps_pixel(K, R, S, 0, 0, acc, &g->x, x, load(dy));
        }
    }
    UNROLL
    for (int t = 0; t < R * K; t++)
        _mm256_store_ps(d_weight + t * 8, acc[t]);
}

INLINE void taps_band(const int K, const int S, const int W, const struct geometry *g,
                      struct range rows, float *d_weight) {
    if (K == 3) {
        taps(3, 3, S, W, g, 0, rows, d_weight);
    } else if (K == 5) {
        taps(5, 3, S, W, g, 0, rows, d_weight);
        taps(5, 2, S, W, g, 3, rows, d_weight);
    } else {
        taps(7, 2, S, W, g, 0, rows, d_weight);
        taps(7, 2, S, W, g, 2, rows, d_weight);
        taps(7, 2, S, W, g, 4, rows, d_weight);
        taps(7, 1, S, W, g, 6, rows, d_weight);
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

/* T outputs of one row: each input is loaded once and serves all taps of a row that it meets.
 * SPANS: the tile is as wide as the plane, whose border is K / 2. */
INLINE void row_tile(const int K, const int T, const bool SPANS, const struct pass *p,
                     struct row_taps taps, float *out) {
    __m256 acc[8];
    UNROLL
    for (int t = 0; t < T; t++)
        acc[t] = _mm256_setzero_ps();
    for (int i = 0; i < taps.n; i++, taps.in += p->in_row, taps.filter += K * 8) {
        __m256 w[7];
        UNROLL
        for (int k = 0; k < K; k++)
            w[k] = load(taps.filter + k * 8);
        UNROLL
        for (int j = 0; j < T + K - 1; j++) {
            if (SPANS && (j < K / 2 || j >= K / 2 + T))
                continue;
            __m256 x = load(taps.in + j * 8);
            UNROLL
            for (int k = 0; k < K; k++)
                if (j - k >= 0 && j - k < T)
                    FMA(acc[j - k], x, w[k]);
        }
    }
    UNROLL
    for (int t = 0; t < T; t++)
        _mm256_store_ps(out + t * p->out_pixel, acc[t]);
}

INLINE void tile_at(const int K, const int T, const bool SPANS, const struct pass *p,
                    struct row_taps taps, int r, int q) {
    fetch_ahead(p->ahead);
    taps.in += q * 8L;
    row_tile(K, T, SPANS, p, taps, p->out + r * p->out_row + q * p->out_pixel);
}

/* Rows of 8 outputs or more end in a tile that overlaps the one before. */
INLINE void row_any(const int K, const struct pass *p, struct row_taps taps, int r) {
    int q = 0;
    if (p->columns >= 8) {
        for (; q + 8 <= p->columns; q += 8)
            tile_at(K, 8, false, p, taps, r, q);
        if (q < p->columns)
            tile_at(K, 8, false, p, taps, r, p->columns - 8);
        return;
    }
    if (p->columns == 7) {
        tile_at(K, 7, false, p, taps, r, 0);
        return;
    }
    if (p->columns >= 4) {
        tile_at(K, 4, false, p, taps, r, 0);
        q = 4;
    }
    for (; q < p->columns; q++)
        tile_at(K, 1, false, p, taps, r, q);
}

INLINE void pass_k(const int K, const struct pass *p) {
    bool spans = K % 2 == 1 && p->spans;
    for (int r = 0; r < p->rows; r++) {
        struct row_taps taps = row_taps_of(K, p, r);
        if (spans && p->columns == 8)
            tile_at(K, 8, true, p, taps, r, 0);
        else if (spans && p->columns == 7)
            tile_at(K, 7, true, p, taps, r, 0);
        else if (spans && p->columns == 4)
            tile_at(K, 4, true, p, taps, r, 0);
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

void dw_grad_f32_avx2(const struct dw_grad_args *a) {
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
