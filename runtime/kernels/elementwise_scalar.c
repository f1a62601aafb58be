#include "runtime/kernels/scalar.h"

void affine_f32_scalar(const struct affine_args *a) {
    struct epilogue epi = {.kind = EPI_AFFINE,
                           .act = a->act,
                           .scale = a->scale,
                           .shift = a->shift,
                           .residual = a->residual,
                           .residual_block = a->residual_block};
    for (int c = 0; c < a->channels; c++)
        for (int p = 0; p < a->pixels; p++)
            epilogue_scalar(&epi, p, c, a->x[blocked(a->x_block, p, c)],
                            a->y + blocked(a->y_block, p, c));
}

void stats_f32_scalar(const struct stats_args *a) {
    for (int c = 0; c < a->channels; c++)
        for (int p = 0; p < a->pixels; p++) {
            float v = a->x[blocked(a->x_block, p, c)];
            a->sum[c] += v;
            if (a->sum_sq)
                a->sum_sq[c] += v * v;
        }
}

void linear_f32_scalar(const struct linear_args *a) {
    int rounded = (a->c_out + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
    for (int o = 0; o < rounded; o++) {
        const float *w = a->w + (ptrdiff_t)(o / KERNEL_LANES) * a->c_in * KERNEL_LANES;
        float v = 0;
        for (int i = 0; i < a->c_in; i++)
            v += w[i * KERNEL_LANES + o % KERNEL_LANES] * a->x[i];
        a->y[o] = act_scalar(a->act, v + (a->bias ? a->bias[o] : 0));
    }
}

void to_blocked_f32_scalar(const struct layout_args *a) {
    int rounded = (a->channels + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
    for (int c = 0; c < rounded; c++)
        for (int p = 0; p < a->pixels; p++)
            a->y[blocked(a->block, p, c)] =
                c < a->channels ? a->x[(ptrdiff_t)c * a->pixels + p] : 0;
}

void from_blocked_f32_scalar(const struct layout_args *a) {
    for (int c = 0; c < a->channels; c++)
        for (int p = 0; p < a->pixels; p++)
            a->y[(ptrdiff_t)c * a->pixels + p] = a->x[blocked(a->block, p, c)];
}
