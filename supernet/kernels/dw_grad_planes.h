/* What the AVX2 and AVX-512 depthwise gradients share: scratch planes and their geometry, which
 * rows and taps meet, and what a pass of the data gradient reads. */
#pragma once

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

INLINE struct row_taps row_taps_of(const int K, const struct pass *p, int r) {
    int row = r + p->offset_y, first = row < 0 ? -row : 0, end = p->in_rows - row;
    end = end < p->taps_y ? end : p->taps_y;
    return (struct row_taps){p->in + (r + first) * p->in_row, p->filter + first * K * 8,
                             end - first};
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

/* The pass for inputs of one parity (row * 2 + column; stride 1 has parity 0 alone). */
static struct pass pass_make(const struct geometry *g, const struct filters *filters, int parity,
                             float *dx, struct ahead *ahead) {
    int row = parity / 2, column = parity % 2;
    struct axis y = axis_make(g->k, g->stride, row), x = axis_make(g->k, g->stride, column);
    return (struct pass){.filter = filters->taps[parity],
                         .ahead = ahead,
                         .in = plane_column(&g->dy, plane_row(&g->dy, y.offset), x.offset),
                         .in_row = g->dy.row,
                         .in_rows = g->dy.h,
                         .offset_y = y.offset,
                         .taps_y = y.count,
                         .taps_x = x.count,
                         .spans = g->stride == 1,
                         .rows = (g->x.h - row + g->stride - 1) / g->stride,
                         .columns = (g->x.w - column + g->stride - 1) / g->stride,
                         .out = dx + ((ptrdiff_t)row * g->x.w + column) * 8,
                         .out_row = (ptrdiff_t)g->x.w * 8 * g->stride,
                         .out_pixel = 8 * g->stride};
}

/* What all images share: borders and filters. */
static void dw_grad_begin(const struct dw_grad_args *a, const struct geometry *g,
                          struct filters *ret_filters) {
    if (a->d_weight) {
        clear_border_rows(&g->x);
        clear_border_columns(&g->x);
    }
    if (a->dx) {
        clear_border_columns(&g->dy);
        filters_make(a, ret_filters);
    }
}
