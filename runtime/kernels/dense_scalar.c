#include "runtime/kernels/scalar.h"

/* Row or column of the image below a tap, or -1: outside, or one of the zeros between. */
static int below(int place, int up, int size) {
    return place >= 0 && place % up == 0 && place / up < size ? place / up : -1;
}

/* Result of output (r, q) of one channel; panel holds its weights, in columns `width` apart. */
static float taps(const struct dense_args *a, const float *panel, int width, int r, int q) {
    int k = a->kernel, pad = k / 2;
    float v = 0;
    for (int c = 0; c < a->c_in; c++)
        for (int t = 0; t < k * k; t++) {
            int row = below(r * a->stride + t / k - pad, a->up, a->h_in);
            int column = below(q * a->stride + t % k - pad, a->up, a->w_in);
            int at = (c / KERNEL_LANES * k * k + t) * KERNEL_LANES + c % KERNEL_LANES;
            if (row >= 0 && column >= 0)
                v += panel[(ptrdiff_t)at * width] *
                     a->x[blocked(a->x_block, row * a->w_in + column, c)];
        }
    return v;
}

void dense_f32_scalar(const struct dense_args *a) {
    int taps_all = a->kernel * a->kernel;
    for (int first = 0, width; first < a->c_out; first += width) {
        width = pw_panel(a->c_out - first);
        const float *panel = a->w + (ptrdiff_t)first * a->c_in * taps_all;
        for (int p = a->first; p < a->first + a->pixels; p++)
            for (int j = 0; j < width; j++)
                epilogue_scalar(&a->epi, p, first + j,
                                taps(a, panel + j, width, p / a->w_out, p % a->w_out),
                                a->y + blocked(a->y_block, p, first + j));
    }
}
