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
#include <string.h>

#include "supernet/kernels/train_avx2.h"

/* A scratch plane with its border: pixel (r, q), counted from the border's corner, at base + r *
 * row + q * 8; where columns are split, column q at (q & 1) * odd + q / 2 * 8. */
struct plane {
    float *base;
    ptrdiff_t row, odd;
    int h, w, border; /* inside; border all round */
    bool split;
};

struct geometry {
    int k, stride;
    struct plane x, dy; /* h and w of dy: the outputs */
};

static struct geometry geometry_make(const struct dw_grad_args *a) {
    struct geometry g = {.k = a->kernel, .stride = a->stride};
    int pad = g.k / 2, half = (a->w_in + 2 * pad + 1) / 2;
    g.x = (struct plane){.h = a->h_in, .w = a->w_in, .border = pad, .split = g.stride == 2};
    g.x.base = a->scratch;
    g.x.row = (g.x.split ? 2 * half : g.x.w + 2 * pad) * 8;
    g.x.odd = half * 8;
    g.dy = (struct plane){.h = conv_out(a->h_in, g.stride), .w = conv_out(a->w_in, g.stride)};
    g.dy.border = g.stride == 1 ? pad : (pad + 1) / 2;
    g.dy.base = a->scratch + (g.x.h + 2 * pad) * g.x.row;
    g.dy.row = (g.dy.w + 2 * g.dy.border) * 8;
    return g;
}

/* Row r of the inside. */
INLINE float *plane_row(const struct plane *p, int r) {
    return p->base + (r + p->border) * p->row;
}

/* Column q of the inside, in a row. */
INLINE float *plane_column(const struct plane *p, float *row, int q) {
    int column = q + p->border;
    return row + (p->split ? (column & 1) * p->odd + column / 2 * 8 : column * 8);
}

static void clear_border_rows(const struct plane *p) {
    size_t rows = (size_t)(p->border * p->row) * sizeof(float);
    memset(plane_row(p, -p->border), 0, rows);
    memset(plane_row(p, p->h), 0, rows);
}

static void clear_border_columns(const struct plane *p) {
    for (int r = 0; r < p->h; r++) {
        float *row = plane_row(p, r);
        for (int q = 1; q <= p->border; q++) {
            _mm256_store_ps(plane_column(p, row, -q), _mm256_setzero_ps());
            _mm256_store_ps(plane_column(p, row, p->w - 1 + q), _mm256_setzero_ps());
        }
    }
}

/* ---- Filling the planes ---- */

INLINE void fill_x_act(const enum act act, const struct plane *p, const float *x,
                       struct block_affine bn) {
    for (int r = 0; r < p->h; r++) {
        float *row = plane_row(p, r);
        for (int q = 0; q < p->w; q++, x += 8)
            _mm256_store_ps(plane_column(p, row, q),
                            act_avx2(act, block_affine_apply(bn, load(x))));
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

/* Which rows of a plane of h rows meet tap rows [ky, ky + rows). */
struct range {
    int first, end;
};

static struct range rows_that_meet(const struct geometry *g, int ky, int rows,
                                   struct range within) {
    int pad = g->x.border, low = pad - (ky + rows - 1), high = g->x.h - 1 + pad - ky;
    int first = low > 0 ? (low + g->stride - 1) / g->stride : 0;
    int end = high >= 0 ? high / g->stride + 1 : 0;
    return (struct range){first > within.first ? first : within.first,
                          end < within.end ? end : within.end};
}

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

/* Planes that the next image or block will read: fetched into the second-level cache a few lines
 * with each tile, since the fills at its start would otherwise wait for memory. They follow the
 * present ones in memory; fetching beyond an end does no harm. */
struct ahead {
    const char *at[4];
    ptrdiff_t left[4]; /* bytes */
};

INLINE void fetch_ahead(struct ahead *ahead) {
    enum { LINE = 64, LINES = 4 };
    for (int i = 0; i < 4; i++) {
        if (ahead->left[i] <= 0)
            continue;
        for (int l = 0; l < LINES; l++)
            _mm_prefetch(ahead->at[i] + l * LINE, _MM_HINT_T1);
        ahead->at[i] += LINES * LINE;
        ahead->left[i] -= LINES * LINE;
    }
}

static struct ahead ahead_make(const struct dw_grad_args *a, const struct geometry *g, int image) {
    ptrdiff_t in = (ptrdiff_t)g->x.h * g->x.w * 32, out = (ptrdiff_t)g->dy.h * g->dy.w * 32;
    return (struct ahead){{(const char *)(a->x + (image + 1) * a->x_image),
                           (const char *)(a->dy + (image + 1) * a->dy_image),
                           (const char *)(a->y + (image + 1) * a->y_image),
                           (const char *)(a->dx + (image + 1) * a->dx_image)},
                          {a->d_weight ? in : 0, out, a->y ? out : 0, in}};
}

/* A stride-1 correlation: out(r, q) = sum of filter[i][j] * in(r + i + offset_y, q + j + offset_x),
 * rows x columns outputs that stand out_row and out_pixel floats apart. */
struct pass {
    const float *in;     /* at (offset_y, offset_x) */
    const float *filter; /* [taps_y][taps_x][8] */
    ptrdiff_t in_row;
    int in_rows, offset_y, taps_y, taps_x, rows, columns;
    bool spans; /* stride 1: a tile as wide as the plane may leave out the border's columns */
    float *out;
    ptrdiff_t out_row, out_pixel;
    struct ahead *ahead;
};

/* The tap rows that meet the image, for one row of outputs. */
struct row_taps {
    const float *in, *filter;
    int n;
};

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

INLINE struct row_taps row_taps_of(const int K, const struct pass *p, int r) {
    int row = r + p->offset_y, first = row < 0 ? -row : 0, end = p->in_rows - row;
    end = end < p->taps_y ? end : p->taps_y;
    return (struct row_taps){p->in + (r + first) * p->in_row, p->filter + first * K * 8,
                             end - first};
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

/* Along one axis, inputs of parity a (0, 1) of stride 2 meet the taps first, first + 2, ...; the
 * pass reads the output's gradient from `offset` on. For stride 1: all taps, from -pad on. */
struct axis {
    int first, step, count, offset;
};

static struct axis axis_make(int kernel, int stride, int parity) {
    int pad = kernel / 2;
    if (stride == 1)
        return (struct axis){0, 1, kernel, -pad};
    int first = (parity + pad) & 1, count = (kernel - first + 1) / 2;
    return (struct axis){first, 2, count, (parity + pad - first) / 2 - (count - 1)};
}

/* The taps of both axes, turned by 180 degrees. */
static void filter_turned(const float *w, int kernel, struct axis y, struct axis x,
                          float *ret_filter) {
    for (int i = y.count - 1; i >= 0; i--)
        for (int j = x.count - 1; j >= 0; j--, ret_filter += 8)
            _mm256_store_ps(ret_filter,
                            load(w + ((y.first + i * y.step) * kernel + x.first + j * x.step) * 8));
}

struct filters {
    float taps[4][49 * 8] __attribute__((aligned(32)));
};

static void filters_make(const struct dw_grad_args *a, struct filters *ret) {
    for (int parity = 0; parity < a->stride * a->stride; parity++)
        filter_turned(a->w, a->kernel, axis_make(a->kernel, a->stride, parity / 2),
                      axis_make(a->kernel, a->stride, parity % 2), ret->taps[parity]);
}

static void data_grad(const struct geometry *g, const struct filters *filters, float *dx,
                      struct ahead ahead) {
    for (int parity = 0; parity < g->stride * g->stride; parity++) {
        int row = parity / 2, column = parity % 2;
        struct axis y = axis_make(g->k, g->stride, row), x = axis_make(g->k, g->stride, column);
        struct pass pass = {.filter = filters->taps[parity], .ahead = &ahead};
        pass.in = plane_column(&g->dy, plane_row(&g->dy, y.offset), x.offset);
        pass.in_row = g->dy.row, pass.in_rows = g->dy.h;
        pass.offset_y = y.offset, pass.taps_y = y.count, pass.taps_x = x.count;
        pass.spans = g->stride == 1;
        pass.rows = (g->x.h - row + g->stride - 1) / g->stride;
        pass.columns = (g->x.w - column + g->stride - 1) / g->stride;
        pass.out = dx + ((ptrdiff_t)row * g->x.w + column) * 8;
        pass.out_row = (ptrdiff_t)g->x.w * 8 * g->stride;
        pass.out_pixel = 8 * g->stride;
        pass_run(&pass);
    }
}

void dw_grad_f32_avx2(const struct dw_grad_args *a) {
    struct geometry g = geometry_make(a);
    struct filters filters;
    if (a->d_weight) {
        clear_border_rows(&g.x);
        clear_border_columns(&g.x);
    }
    if (a->dx) {
        clear_border_columns(&g.dy);
        filters_make(a, &filters);
    }
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
