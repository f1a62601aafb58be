#include "supernet/kernels/kernels_internal.h"

/* One element: the sum over pixels of narrow[p][i] * wide[p][j]. */
static float pixel_dot(int pixels, const float *narrow, const float *wide) {
    float sum = 0;
    for (int p = 0; p < pixels; p++)
        sum += narrow[p * 8] * wide[p * 8];
    return sum;
}

void pw_grad_f32_scalar(const struct pw_grad_args *a) {
    bool x_narrow = pw_grad_x_is_narrow(a->c_in, a->c_out);
    int n_narrow = x_narrow ? a->c_in : a->c_out, n_wide = x_narrow ? a->c_out : a->c_in;
    const float *narrow = x_narrow ? a->x : a->dy, *wide = x_narrow ? a->dy : a->x;
    ptrdiff_t narrow_stride = x_narrow ? a->x_block : a->dy_block;
    ptrdiff_t wide_stride = x_narrow ? a->dy_block : a->x_block;
    for (int i = 0; i < n_narrow; i++)
        for (int j = 0; j < n_wide; j++)
            a->dense[(ptrdiff_t)i * round_up_8(n_wide) + j] +=
                pixel_dot(a->pixels, narrow + (i / 8) * narrow_stride + i % 8,
                          wide + (j / 8) * wide_stride + j % 8);
}
