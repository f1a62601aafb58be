#include "supernet/kernels/activation_scalar.h"
#include "supernet/kernels/kernels_internal.h"

/* The input of the convolution at a pixel of the image; zero in its padding. */
static float input_at(const struct dw_grad_args *a, int image, int row, int col, int c) {
    if (row < 0 || row >= a->h_in || col < 0 || col >= a->w_in)
        return 0;
    float x = a->x[image * a->x_image + ((ptrdiff_t)row * a->w_in + col) * 8 + c];
    return a->x_bn_act ? bn_act_value(a->x_bn_act, c, x) : x;
}

/* The gradient of the convolution's output. */
static float output_grad_at(const struct dw_grad_args *a, int image, ptrdiff_t pixel, int c) {
    float dy = a->dy[image * a->dy_image + pixel * 8 + c];
    if (!a->y)
        return dy;
    float y = a->y[image * a->y_image + pixel * 8 + c];
    return a->y_coef->on_dz[c] * dy + a->y_coef->on_a[c] * y + a->y_coef->offset[c];
}

/* What one output pixel gives to every tap and to every input that it saw. */
static void one_output(const struct dw_grad_args *a, int image, int row, int col, int c) {
    int k = a->kernel, pad = k / 2, w_out = conv_out(a->w_in, a->stride);
    float dy = output_grad_at(a, image, (ptrdiff_t)row * w_out + col, c);
    for (int tap = 0; tap < k * k; tap++) {
        int r = row * a->stride + tap / k - pad, q = col * a->stride + tap % k - pad;
        if (a->d_weight)
            a->d_weight[tap * 8 + c] += dy * input_at(a, image, r, q, c);
        if (a->dx && r >= 0 && r < a->h_in && q >= 0 && q < a->w_in)
            a->dx[image * a->dx_image + ((ptrdiff_t)r * a->w_in + q) * 8 + c] +=
                dy * a->w[tap * 8 + c];
    }
}

static void clear_dx(const struct dw_grad_args *a) {
    for (int image = 0; image < a->images; image++)
        for (ptrdiff_t i = 0; i < (ptrdiff_t)a->h_in * a->w_in * 8; i++)
            a->dx[image * a->dx_image + i] = 0;
}

void dw_grad_f32_scalar(const struct dw_grad_args *a) {
    if (a->dx)
        clear_dx(a);
    for (int image = 0; image < a->images; image++)
        for (int row = 0; row < conv_out(a->h_in, a->stride); row++)
            for (int col = 0; col < conv_out(a->w_in, a->stride); col++)
                for (int c = 0; c < 8; c++)
                    one_output(a, image, row, col, c);
}
