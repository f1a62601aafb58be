#include "supernet/kernels/kernels_internal.h"

/* One element: the sum over the outputs of one image of x below the tap, times dy. */
static float image_dot(const struct dense_grad_args *a, const float *x, const float *dy, int tap) {
    int pad = a->kernel / 2, h_out = conv_out(a->h_in, a->stride);
    int w_out = conv_out(a->w_in, a->stride);
    float sum = 0;
    for (int r = 0; r < h_out; r++)
        for (int q = 0; q < w_out; q++) {
            int row = r * a->stride + tap / a->kernel - pad;
            int column = q * a->stride + tap % a->kernel - pad;
            if (row >= 0 && row < a->h_in && column >= 0 && column < a->w_in)
                sum +=
                    dy[((ptrdiff_t)r * w_out + q) * 8] * x[((ptrdiff_t)row * a->w_in + column) * 8];
        }
    return sum;
}

void dense_grad_f32_scalar(const struct dense_grad_args *a) {
    for (int tap = 0; tap < a->kernel * a->kernel; tap++)
        for (int i = 0; i < a->c_in; i++)
            for (int o = 0; o < a->c_out; o++)
                for (int image = 0; image < a->images; image++)
                    a->dense[((ptrdiff_t)tap * a->c_in + i) * a->c_out + o] +=
                        image_dot(a, a->x + i / 8 * a->x_block + image * a->x_image + i % 8,
                                  a->dy + o / 8 * a->dy_block + image * a->dy_image + o % 8, tap);
}
