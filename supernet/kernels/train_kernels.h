/* Kernels of training: what backward needs beside the forward kernels of runtime/kernels.
 *
 * Layout, words and rules are those of runtime/kernels/kernels.h: blocks of 8 channels, *_block the
 * floats from one block to the next; here *_image too, from one image to the next. Bases are
 * 32-byte aligned, strides multiples of 8. Channels that pad a last block are zero on input and
 * stay zero; vectors per channel are padded with zeros to a multiple of 8. Pointers must not
 * overlap unless said otherwise.
 *
 * Pixel kernels take a run of pixels: a whole tensor, or a chunk that fits a cache. What is "added
 * to" is summed in an order that depends on the arguments only: keep one result per chunk and add
 * chunks in order, then any number of threads gives the same bits.
 *
 * Backward of one convolution with BN and activation (a: the convolution's output, z = scale * a +
 * shift, h = act(z); batch_norm.h makes the coefficients):
 *   act_grad       dz = dh * act'(z), with sums over dz and dz * a    per chunk, then a barrier
 *   bn_batch_grad  coefficients from the sums; gradients of gamma and beta
 *   bn_grad        da = on_dz * dz + on_a * a + offset                per chunk
 *   pw_grad, dw_grad, stem_grad: weight gradients. Data of a 1x1: pw_f32 with the transposed
 *   weights packed.
 * h need not be kept: act_grad, se_gate_grad and dw_grad make it from a again, and dw_grad does
 * bn_grad's work on the way in. */
#pragma once

#include "runtime/kernels/kernels.h"

/* What a layer behind BN and activation reads: h = act(scale * a + shift). scale and shift NULL:
 * h = act(a). act is any but h_sigmoid: all others keep 0, so padding stays zero. */
struct bn_act {
    const float *scale, *shift; /* [channels] */
    enum act act;
};

/* Carries a gradient through BN in training mode: da = on_dz * dz + on_a * a + offset. */
struct bn_grad_coef {
    const float *on_dz, *on_a, *offset; /* [channels] */
};

/* Weight gradient of a 1x1 convolution: adds sum_p x[p][i] * dy[p][o] to dense, whose inner order
 * is the kernels' own (read it with pw_grad_unpack_add). */
struct pw_grad_args {
    const float *x, *dy;
    ptrdiff_t x_block, dy_block;
    int pixels, c_in, c_out; /* channels: any */
    float *dense;            /* pw_grad_dense_floats(); added to */
};
size_t pw_grad_dense_floats(int c_in, int c_out);
/* d_weight[o * ld + i] += the dense gradient, o < c_out, i < c_in. */
void pw_grad_unpack_add(const float *dense, int c_in, int c_out, float *d_weight, ptrdiff_t ld);

/* Both gradients of a depthwise convolution (geometry as struct dw_args) for one block of 8
 * channels over several images. Planes are dense: h_in * w_in and h_out * w_out pixels. */
struct dw_grad_args {
    int images, h_in, w_in, kernel /* 3, 5, 7 */, stride /* 1, 2 */;
    const float *x; /* the convolution's input, or the a that x_bn_act makes into it */
    ptrdiff_t x_image;
    const struct bn_act *x_bn_act; /* NULL: none */
    const float *dy;               /* gradient of the output, or of its BN's output: see y */
    ptrdiff_t dy_image;
    const float *y; /* NULL, or the convolution's output: dy goes through its BN by y_coef */
    ptrdiff_t y_image;
    const struct bn_grad_coef *y_coef;
    const float *w;  /* from dw_pack, not flipped: [k * k][8] */
    float *d_weight; /* [k * k][8], added to; NULL: not wanted */
    float *dx;       /* gradient of the convolution's input (behind x_bn_act); NULL: not wanted */
    ptrdiff_t dx_image;
    float *scratch; /* dw_grad_scratch_floats() */
};
size_t dw_grad_scratch_floats(int h_in, int w_in, int kernel, int stride);

/* Weight gradient of a dense convolution (geometry as struct dense_args with up 1) over several
 * images: adds sum of x[below the tap][i] * dy[p][o] to dense. Its data gradient is dense_f32's. */
struct dense_grad_args {
    const float *x, *dy; /* h_in * w_in pixels an image; h_out * w_out, sides divided upwards */
    ptrdiff_t x_block, x_image, dy_block, dy_image;
    int images, c_in, c_out /* multiples of 8 */, h_in, w_in, kernel /* 1, 3, 5, 7 */, stride;
    float *dense; /* [kernel * kernel][c_in][c_out], added to */
};
size_t dense_grad_floats(int c_in, int c_out, int kernel);
/* Adds the dense gradient to the centre of the leading filters of a [..][ld][size][size] tensor. */
void dense_grad_unpack_add(const float *dense, int c_in, int c_out, int kernel, float *d_weight,
                           int ld, int size);

/* Weight gradient of the stem (3x3, pad 1) over several row-major images. */
struct stem_grad_args {
    const float *x; /* [images][c_in][h_in][w_in] */
    int images, c_in /* 1..4 */, h_in, w_in, stride /* 1, 2 */, c_out /* any */;
    const float *dy; /* blocked, h_out * w_out pixels an image */
    ptrdiff_t dy_block, dy_image;
    float *dense;   /* [ceil(c_out / 8)][c_in * 9][8], added to */
    float *scratch; /* stem_grad_scratch_floats() */
};
size_t stem_grad_scratch_floats(int h_in, int w_in);
/* d_weight[c * ld + tap] += dense[c / 8][tap][c % 8], c < channels: for the stem (taps = c_in * 9)
 * and depthwise (taps = k * k). */
void taps_grad_unpack_add(const float *dense, int channels, int taps, float *d_weight,
                          ptrdiff_t ld);

/* Gradients of y = x W^T + bias on row-major matrices. Outputs may be NULL; d_weight and d_bias are
 * added to, dx is written. Work may be split over rows of W (d_weight, d_bias) or of x (dx). */
struct linear_grad_args {
    int n, c_in, c_out;
    const float *x, *dy, *w; /* [n][x_ld], [n][dy_ld], [c_out][w_ld]; w: for dx only */
    ptrdiff_t x_ld, dy_ld, w_ld;
    float *d_weight, *d_bias, *dx; /* [c_out][w_ld], [c_out], [n][dx_ld] */
    ptrdiff_t dx_ld;
};

/* sum[c] += sum over pixels of h: the mean that an SE or a head takes, before its division. */
struct act_sums_args {
    const float *a;
    ptrdiff_t a_block;
    int pixels, channels; /* a multiple of 8, here and below */
    struct bn_act bn_act;
    float *sum;
};

/* Gradient through an activation and what may follow it per channel of an image:
 *   dh = dy * gate + add     gate: of an SE; add: gradient of a mean, divided by its pixels
 *   dz = dh * act'(z)        z = scale * a + shift
 * With gate or add, the pixels are of one image. */
struct act_grad_args {
    const float *a, *dy; /* dy NULL: zero (behind a global mean: only add) */
    ptrdiff_t a_block, dy_block;
    int pixels, channels;
    struct bn_act bn_act;
    const float *gate, *add; /* [channels]; NULL: 1 and 0 */
    float *dz;               /* may be dy; NULL: not wanted */
    ptrdiff_t dz_block;
    float *h; /* receives act(z) * gate, what the next layer read; NULL: not wanted */
    ptrdiff_t h_block;
    float *sum, *sum_a; /* [channels]: sums of dz and of dz * a, added to; both NULL: not wanted */
};

/* Gradient of an SE's gate, over pixels of one image: d_gate[c] += sum of dy * act(z). */
struct se_gate_grad_args {
    const float *a, *dy; /* dy: gradient of act(z) * gate */
    ptrdiff_t a_block, dy_block;
    int pixels, channels;
    struct bn_act bn_act;
    float *d_gate;
    const float *gate; /* for h only */
    float *h;          /* receives act(z) * gate; NULL: not wanted */
    ptrdiff_t h_block;
};

/* da = on_dz * dz + on_a * a + offset. da may be dz. */
struct bn_grad_args {
    const float *a, *dz;
    ptrdiff_t a_block, dz_block;
    int pixels, channels;
    struct bn_grad_coef coef;
    float *da;
    ptrdiff_t da_block;
};

/* The one list of operations, as KERNEL_OPS: dispatch, tests and benches are made from it, for each
 * line of KERNEL_ROWS. X(function, struct of its arguments, isa) */
#define TRAIN_KERNEL_OPS(X, isa)                                                                   \
    X(pw_grad_f32, pw_grad_args, isa)                                                              \
    X(dw_grad_f32, dw_grad_args, isa)                                                              \
    X(dense_grad_f32, dense_grad_args, isa)                                                        \
    X(stem_grad_f32, stem_grad_args, isa)                                                          \
    X(linear_grad_f32, linear_grad_args, isa)                                                      \
    X(act_sums_f32, act_sums_args, isa)                                                            \
    X(act_grad_f32, act_grad_args, isa)                                                            \
    X(se_gate_grad_f32, se_gate_grad_args, isa)                                                    \
    X(bn_grad_f32, bn_grad_args, isa)

struct train_kernels {
    const char *name;   /* of the row: "scalar", "avx2" */
    uint32_t cpu_flags; /* what the row needs (base/cpu.h) */
    TRAIN_KERNEL_OPS(KERNEL_POINTER, )
};

/* The best row that cpu_flags allows; never NULL. Static. */
const struct train_kernels *train_kernels_select(uint32_t cpu_flags);
/* All rows that were built, scalar (the specification) first, ended by NULL. */
extern const struct train_kernels *const train_kernels_rows[];
