/* Forward compute kernels of inference and training: one function-pointer table for each
 * instruction set.
 *
 * Layout ("blocked"): channels in blocks of 8. Element (pixel p, channel c) lies at
 *     base + (c / 8) * block_stride + p * 8 + c % 8        (floats)
 * A run of pixels may span several images, so 1x1 kernels see one long run. Bases and strides are
 * multiples of 8 floats, bases 32-byte aligned (64 where mem_aligned made them). Channel counts are
 * multiples of 8 unless said otherwise; what is not is padded with zero channels by the packers.
 *
 * All kernels are pure functions of their arguments: no state, no allocation, any thread. Sums over
 * channels run in a fixed order, so that the same call gives the same bits everywhere on one row of
 * the table, and a pixel's result does not depend on how a run is cut. The scalar row is the
 * specification; the others agree with it to rounding (tests/kernels holds the tolerances). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "space/space.h"

enum { KERNEL_LANES = 8 /* channels of a block */, PW_PANEL_MAX = 24 };

/* What happens to a kernel's result v before it is stored. */
enum epilogue_kind {
    EPI_STORE, /* y = v */
    EPI_ADD,   /* y += v */
    EPI_STATS, /* y = v; sum[c] += v; sum_sq[c] += v * v (batch normalisation's statistics) */
    EPI_AFFINE /* y = act(scale[c] * v + shift[c]) + residual */
};
struct epilogue {
    enum epilogue_kind kind;
    enum act act;
    const float *scale, *shift; /* [c_out]; NULL: 1 and 0 */
    const float *residual;      /* blocked like y but of its own block stride; NULL: none */
    ptrdiff_t residual_block;
    float *sum, *sum_sq; /* [c_out], added to */
};

/* 1x1 convolution: v[p][o] = sum over i of W[o][i] x[p][i]. */
struct pw_args {
    const float *x, *w; /* w: from pw_pack */
    float *y;           /* must not overlap x */
    ptrdiff_t x_block, y_block;
    int pixels, c_in, c_out;
    /* Where y_width > 0, y has rows of y_width pixels y_row floats apart (a padded scratch plane):
     * pixel p at (p / y_width) * y_row + (p % y_width) * 8. Not with a residual. */
    int y_width;
    ptrdiff_t y_row;
    struct epilogue epi;
};

/* Depthwise k x k: v[r][q] = sum over i, j of w[i][j] x[r * stride + i - pad][q * stride + j], in
 * each channel, pad = kernel / 2. x is a scratch plane whose rows begin with pad zero columns (and
 * end with pad zero columns), so column j of x is column j - pad of the image; rows outside
 * [0, h_in) count as zero and are not read: there are no padding rows. h_out = ceil(h_in / stride),
 * w_out likewise. See dw_row_floats. */
struct dw_args {
    const float *x, *w; /* w: from dw_pack, [blocks][k * k][8] */
    float *y;           /* pixel (r, q) at r * y_row + q * 8 */
    ptrdiff_t x_row, x_block, y_row, y_block;
    int blocks; /* channel blocks */
    int h_in, w_in, kernel /* 3, 5, 7; other odd ones slowly */, stride /* 1, 2 */;
    struct epilogue epi; /* not EPI_ADD, no residual */
};

/* Copies blocked planes of h x w pixels to scratch planes for dw, y = act(scale[c] * x + shift[c]),
 * and writes the zero columns at both ends of each row. x of one image. */
struct pad_args {
    const float *x;
    float *y;
    ptrdiff_t x_block, y_row, y_block;
    int blocks, h, w, pad;
    const float *scale, *shift; /* [blocks * 8]; NULL: 1 and 0 */
    enum act act;
};

/* Dense k x k convolution of one image from row-major planes (the stem); any c_in. scratch holds
 * conv_scratch_floats() floats, 32-byte aligned, overwritten; threads that share an image by runs
 * of output rows have one each. */
struct conv_args {
    const float *x; /* [c_in, h_in, w_in] row-major */
    const float *w; /* from conv_pack */
    float *y;       /* blocked, h_out * w_out pixels */
    float *scratch;
    ptrdiff_t y_block;
    int c_in, h_in, w_in, c_out, kernel, stride;
    int first_row, rows; /* of the output; rows 0: all */
    struct epilogue epi; /* not EPI_ADD; residual allowed */
};

/* Dense k x k convolution of one image with blocked channels on both sides:
 *     v[r][q][o] = sum over i, j, c of W[o][c][i][j] x[r * stride + i - pad][q * stride + j -
 * pad][c] pad = kernel / 2; x is 0 outside the image. No copy is made and no padding needed: each
 * pixel of a tile has a pointer for each tap, to the image or to zeros.
 *
 * up > 1 (stride 1): x is taken as if up - 1 rows and columns of zeros followed each of its own.
 * With the filters flipped and transposed that is the data gradient of a convolution of stride up.
 */
struct dense_args {
    const float *x, *w; /* w: from dense_pack */
    float *y;           /* must not overlap x */
    ptrdiff_t x_block, y_block;
    int c_in, c_out, h_in, w_in, h_out, w_out; /* any h_out, w_out */
    int kernel /* 1, 3, 5, 7 */, stride /* 1, 2 */, up /* 1, 2 */;
    int first, pixels; /* outputs [first, first + pixels) in the order of rows; all where up > 1 */
    struct epilogue epi; /* its residual begins with output 0, as y; none where up > 1 */
};

/* y = act(scale[c] * x + shift[c]) + residual; y may be x. */
struct affine_args {
    const float *x;
    float *y;
    ptrdiff_t x_block, y_block;
    int pixels, channels;
    const float *scale, *shift; /* NULL: 1 and 0 */
    enum act act;
    const float *residual; /* NULL: none */
    ptrdiff_t residual_block;
};

/* sum[c] += sum over pixels of x; sum_sq[c] += of x * x, unless sum_sq is NULL. */
struct stats_args {
    const float *x;
    ptrdiff_t x_block;
    int pixels, channels;
    float *sum, *sum_sq;
};

/* y[o] = act(bias[o] + sum over i of W[o][i] x[i]): one vector. y holds c_out rounded up to a
 * multiple of 8; bias likewise (NULL: zero). */
struct linear_args {
    const float *x, *w, *bias; /* w: from linear_pack */
    float *y;
    int c_in /* any */, c_out /* any */;
    enum act act;
};

/* Layout changes of one image. to_blocked fills channels beyond `channels` of the last block with
 * zero; from_blocked leaves them out. */
struct layout_args {
    const float *x;
    float *y;
    ptrdiff_t block; /* of the blocked side */
    int channels /* any */, pixels;
};

#include "runtime/kernels/kernels.inc"

struct kernels {
    const char *name;   /* of the row: "scalar", "avx2", "avx512", "neon" */
    uint32_t cpu_flags; /* what the row needs (base/cpu.h) */
    KERNEL_OPS(KERNEL_POINTER, )
};

/* The best row that cpu_flags allows; never NULL. Static. */
const struct kernels *kernels_select(uint32_t cpu_flags);
/* All rows that were built, scalar first, ended by NULL: for tests and benches, which must check
 * cpu_flags themselves. */
extern const struct kernels *const kernels_rows[];

/* ---- Packing: the same for all rows ---- */

/* W[o][i] = data[o * out_stride + i * in_stride]: a leading slice of a row-major matrix, or its
 * transpose. */
struct pw_matrix {
    const float *data;
    ptrdiff_t out_stride, in_stride;
};
/* Panels of up to 24 outputs: [panel][c_in][width]. Panel boundaries follow pw_panel; a panel that
 * starts at output c lies at packed + c * c_in, and may be given to pw_f32 alone with c_out =
 * pw_panel(c_out - c). c_in and c_out multiples of 8; packed holds pw_packed_floats, 32-byte
 * aligned.
 */
void pw_pack(const struct pw_matrix *matrix, int c_out, int c_in, float *packed);
size_t pw_packed_floats(int c_out, int c_in);
int pw_panel(int c_left); /* width of the next panel when c_left outputs remain: 24, 16 or 8 */

/* From [c][k * k] row-major. flip turns the filter by 180 degrees: backward data of stride 1 is
 * forward with it. */
void dw_pack(const float *weight, int channels, int kernel, bool flip, float *packed);
size_t dw_packed_floats(int channels, int kernel);
ptrdiff_t dw_row_floats(int w_in, int kernel); /* smallest x_row */
/* Zeroes the columns at both ends of each row of scratch planes (which pw_f32 then fills). */
void dw_zero_columns(const struct pad_args *args); /* x, scale, shift, act unused */

/* From [c_out][c_in][k][k] row-major. */
void conv_pack(const float *weight, int c_out, int c_in, int kernel, float *packed);
size_t conv_packed_floats(int c_out, int c_in, int kernel);
size_t conv_scratch_floats(const struct conv_args *args);
int conv_end_row(const struct conv_args *args); /* behind the last output row that is computed */

/* W[o][i][tap] = data[o * out_stride + i * in_stride + tap]: leading slices of filters of
 * `size` x `size` taps, or the transpose. */
struct dense_filters {
    const float *data;
    ptrdiff_t out_stride, in_stride;
    int size;
    bool flip; /* turn each filter by 180 degrees */
};
/* The centre kernel x kernel of each filter, in panels as pw_pack has them:
 * [panel][c_in / 8][kernel * kernel][8][width]. c_in and c_out multiples of 8; packed holds
 * dense_packed_floats, 32-byte aligned. */
void dense_pack(const struct dense_filters *filters, int c_out, int c_in, int kernel,
                float *packed);
size_t dense_packed_floats(int c_out, int c_in, int kernel);

/* From [c_out][c_in] row-major. */
void linear_pack(const float *weight, int c_out, int c_in, float *packed);
size_t linear_packed_floats(int c_out, int c_in);
