#include "runtime/kernels/scalar.h"

/* Result of output (r, q) of one channel; w points at its lane. */
static float taps(const struct conv_args *a, const float *w, int r, int q) {
    int k = a->kernel, pad = k / 2;
    float v = 0;
    for (int c = 0; c < a->c_in; c++)
        for (int i = 0; i < k; i++)
            for (int j = 0; j < k; j++, w += KERNEL_LANES) {
                int row = r * a->stride + i - pad, column = q * a->stride + j - pad;
                if (row >= 0 && row < a->h_in && column >= 0 && column < a->w_in)
                    v += *w * a->x[((ptrdiff_t)c * a->h_in + row) * a->w_in + column];
            }
    return v;
}

void conv_f32_scalar(const struct conv_args *a) {
    int end = conv_end_row(a), w_out = (a->w_in + a->stride - 1) / a->stride;
    ptrdiff_t block_weights = (ptrdiff_t)a->c_in * a->kernel * a->kernel * KERNEL_LANES;
    for (int o = 0; o < a->c_out; o++) {
        const float *w = a->w + o / KERNEL_LANES * block_weights + o % KERNEL_LANES;
        for (int r = a->first_row; r < end; r++)
            for (int q = 0; q < w_out; q++)
                epilogue_scalar(&a->epi, r * w_out + q, o, taps(a, w, r, q),
                                a->y + blocked(a->y_block, r * w_out + q, o));
    }
}
