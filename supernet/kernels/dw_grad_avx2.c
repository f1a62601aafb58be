/* Both gradients of a depthwise convolution for one channel block, image by image.
 *
 * The input and the output's gradient are copied to scratch planes with zero borders, through their
 * BNs on the way where asked. Weight gradient: as many rows of taps as registers hold, over bands
 * of rows that stay in the first-level cache. Data gradient, stride 1: a forward pass with the
 * filter turned by 180 degrees; stride 2: one such pass for each parity of (row, column), with the
 * taps that meet it. For stride 2 the input's columns are split into even and odd ones, so that
 * neighbouring outputs read neighbouring pixels. */
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

static void clear_border(const struct plane *p) {
    size_t rows = (size_t)(p->border * p->row) * sizeof(float);
    memset(plane_row(p, -p->border), 0, rows);
    memset(plane_row(p, p->h), 0, rows);
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

/* R rows of K taps from ky on, over output rows [row, end). */
INLINE void taps(const int K, const int R, const int S, const struct geometry *g, int ky, int row,
                 int end, float *d_weight) {
    __m256 acc[15];
    d_weight += ky * K * 8;
    UNROLL
    for (int t = 0; t < R * K; t++)
        acc[t] = load(d_weight + t * 8);
    for (int r = row; r < end; r++) {
        const float *dy = plane_column(&g->dy, plane_row(&g->dy, r), 0);
        const float *x = g->x.base + (r * S + ky) * g->x.row;
        for (int q = 0; q < g->dy.w; q++, dy += 8, x += 8) {
            __m256 d = load(dy);
            UNROLL
            for (int t = 0; t < R * K; t++) {
                const int kx = t % K;
                const float *row_x = x + t / K * g->x.row;
                if (S == 1)
                    FMA_LOAD(acc[t], d, row_x + kx * 8);
                else
                    FMA_LOAD(acc[t], d, row_x + (kx & 1) * g->x.odd + kx / 2 * 8);
            }
        }
    }
    UNROLL
    for (int t = 0; t < R * K; t++)
        _mm256_store_ps(d_weight + t * 8, acc[t]);
}

INLINE void taps_band(const int K, const int S, const struct geometry *g, int row, int end,
                      float *d_weight) {
    if (K == 3) {
        taps(3, 3, S, g, 0, row, end, d_weight);
    } else if (K == 5) {
        taps(5, 3, S, g, 0, row, end, d_weight);
        taps(5, 2, S, g, 3, row, end, d_weight);
    } else {
        taps(7, 2, S, g, 0, row, end, d_weight);
        taps(7, 2, S, g, 2, row, end, d_weight);
        taps(7, 2, S, g, 4, row, end, d_weight);
        taps(7, 1, S, g, 6, row, end, d_weight);
    }
}

static void weight_grad(const struct geometry *g, float *d_weight) {
    int band = g->dy.w >= 32 ? 8 : g->dy.w >= 16 ? 16 : g->dy.h;
    for (int row = 0; row < g->dy.h; row += band) {
        int end = row + band < g->dy.h ? row + band : g->dy.h;
        if (g->stride == 1 && g->k == 3)
            taps_band(3, 1, g, row, end, d_weight);
        else if (g->stride == 1 && g->k == 5)
            taps_band(5, 1, g, row, end, d_weight);
        else if (g->stride == 1)
            taps_band(7, 1, g, row, end, d_weight);
        else if (g->k == 3)
            taps_band(3, 2, g, row, end, d_weight);
        else if (g->k == 5)
            taps_band(5, 2, g, row, end, d_weight);
        else
            taps_band(7, 2, g, row, end, d_weight);
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

/* A stride-1 correlation: out(r, q) = sum of filter[i][j] * in(r + i, q + j), rows x columns
 * outputs that stand out_row and out_pixel floats apart. */
struct pass {
    const float *in, *filter; /* filter [taps_y][taps_x][8] */
    ptrdiff_t in_row;
    int taps_y, taps_x, rows, columns;
    float *out;
    ptrdiff_t out_row, out_pixel;
    struct ahead *ahead;
};

/* T outputs of one row: each input is loaded once and serves all taps of a row that it meets. */
INLINE void row_tile(const int K, const int T, const struct pass *p, const float *in, float *out) {
    __m256 acc[8];
    UNROLL
    for (int t = 0; t < T; t++)
        acc[t] = _mm256_setzero_ps();
    const float *filter = p->filter;
    for (int i = 0; i < p->taps_y; i++, in += p->in_row, filter += K * 8) {
        __m256 w[7];
        UNROLL
        for (int k = 0; k < K; k++)
            w[k] = load(filter + k * 8);
        UNROLL
        for (int j = 0; j < T + K - 1; j++) {
            __m256 x = load(in + j * 8);
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

INLINE void tile_at(const int K, const int T, const struct pass *p, int r, int q) {
    fetch_ahead(p->ahead);
    row_tile(K, T, p, p->in + r * p->in_row + q * 8L, p->out + r * p->out_row + q * p->out_pixel);
}

/* Rows of 8 outputs or more end in a tile that overlaps the one before. */
INLINE void pass_k(const int K, const struct pass *p) {
    for (int r = 0; r < p->rows; r++) {
        int q = 0;
        if (p->columns >= 8) {
            for (; q + 8 <= p->columns; q += 8)
                tile_at(K, 8, p, r, q);
            if (q < p->columns)
                tile_at(K, 8, p, r, p->columns - 8);
            continue;
        }
        if (p->columns == 7) {
            tile_at(K, 7, p, r, 0);
            continue;
        }
        if (p->columns >= 4) {
            tile_at(K, 4, p, r, 0);
            q = 4;
        }
        for (; q < p->columns; q++)
            tile_at(K, 1, p, r, q);
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
        struct pass pass = {.filter = filters->taps[parity], .in_row = g->dy.row, .ahead = &ahead};
        pass.in = plane_column(&g->dy, plane_row(&g->dy, y.offset), x.offset);
        pass.taps_y = y.count;
        pass.taps_x = x.count;
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
    if (a->d_weight)
        clear_border(&g.x);
    if (a->dx) {
        clear_border(&g.dy);
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
