#include <string.h>

#include "runtime/kernels/scalar.h"

/* Result of output (r, q) in one channel; x and w point at that channel. */
static float taps(const struct dw_args *a, const float *x, const float *w, int r, int q) {
    int k = a->kernel, pad = k / 2;
    float v = 0;
    for (int i = 0; i < k; i++) {
        int row = r * a->stride + i - pad;
        if (row < 0 || row >= a->h_in)
            continue;
        for (int j = 0; j < k; j++)
            v += w[(i * k + j) * KERNEL_LANES] *
                 x[row * a->x_row + (q * a->stride + j) * KERNEL_LANES];
    }
    return v;
}

void dw_f32_scalar(const struct dw_args *a) {
    int h_out = (a->h_in + a->stride - 1) / a->stride,
        w_out = (a->w_in + a->stride - 1) / a->stride;
    for (int c = 0; c < a->blocks * KERNEL_LANES; c++) {
        int b = c / KERNEL_LANES, lane = c % KERNEL_LANES;
        const float *x = a->x + b * a->x_block + lane;
        const float *w = a->w + (ptrdiff_t)b * a->kernel * a->kernel * KERNEL_LANES + lane;
        for (int r = 0; r < h_out; r++)
            for (int q = 0; q < w_out; q++)
                epilogue_scalar(&a->epi, r * w_out + q, c, taps(a, x, w, r, q),
                                a->y + b * a->y_block + r * a->y_row + q * KERNEL_LANES + lane);
    }
}

void pad_f32_scalar(const struct pad_args *a) {
    dw_zero_columns(a);
    for (int c = 0; c < a->blocks * KERNEL_LANES; c++)
        for (int r = 0; r < a->h; r++)
            for (int q = 0; q < a->w; q++) {
                float v = a->x[blocked(a->x_block, r * a->w + q, c)];
                v = act_scalar(a->act, affine_scalar(v, a->scale, a->shift, c));
                a->y[blocked(a->y_block, a->pad + q, c) + r * a->y_row] = v;
            }
}
