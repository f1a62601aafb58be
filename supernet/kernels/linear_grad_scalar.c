#include "supernet/kernels/kernels_internal.h"

/* Row o of the gradients of weight and bias. */
static void weight_row(const struct linear_grad_args *a, int o) {
    for (int image = 0; image < a->n; image++) {
        float dy = a->dy[image * a->dy_ld + o];
        if (a->d_bias)
            a->d_bias[o] += dy;
        for (int i = 0; a->d_weight && i < a->c_in; i++)
            a->d_weight[o * a->w_ld + i] += dy * a->x[image * a->x_ld + i];
    }
}

static void data_row(const struct linear_grad_args *a, int image) {
    for (int i = 0; i < a->c_in; i++) {
        float sum = 0;
        for (int o = 0; o < a->c_out; o++)
            sum += a->dy[image * a->dy_ld + o] * a->w[o * a->w_ld + i];
        a->dx[image * a->dx_ld + i] = sum;
    }
}

void linear_grad_f32_scalar(const struct linear_grad_args *a) {
    for (int o = 0; o < a->c_out; o++)
        weight_row(a, o);
    for (int image = 0; a->dx && image < a->n; image++)
        data_row(a, image);
}
