#include "supernet/kernels/kernels_internal.h"

/* Input value below a tap of the output pixel (row, col); zero in the padding. */
static float below_tap(const struct stem_grad_args *a, const float *plane, int row, int col,
                       int tap) {
    int r = row * a->stride + tap / 3 - 1, q = col * a->stride + tap % 3 - 1;
    bool inside = r >= 0 && r < a->h_in && q >= 0 && q < a->w_in;
    return inside ? plane[(ptrdiff_t)r * a->w_in + q] : 0;
}

/* Sum over the output pixels of one image of dy * input, for one tap and output channel. */
static float image_dot(const struct stem_grad_args *a, const float *plane, const float *dy,
                       int tap) {
    int h_out = conv_out(a->h_in, a->stride), w_out = conv_out(a->w_in, a->stride);
    float sum = 0;
    for (int row = 0; row < h_out; row++)
        for (int col = 0; col < w_out; col++)
            sum += dy[((ptrdiff_t)row * w_out + col) * 8] * below_tap(a, plane, row, col, tap);
    return sum;
}

void stem_grad_f32_scalar(const struct stem_grad_args *a) {
    ptrdiff_t plane = (ptrdiff_t)a->h_in * a->w_in;
    for (int image = 0; image < a->images; image++)
        for (int o = 0; o < a->c_out; o++)
            for (int i = 0; i < a->c_in * 9; i++)
                a->dense[((o / 8) * a->c_in * 9 + i) * 8 + o % 8] +=
                    image_dot(a, a->x + (image * (ptrdiff_t)a->c_in + i / 9) * plane,
                              a->dy + (o / 8) * a->dy_block + image * a->dy_image + o % 8, i % 9);
}
