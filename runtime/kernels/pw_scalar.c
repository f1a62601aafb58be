#include "runtime/kernels/scalar.h"

static float dot(const struct pw_args *a, const float *w, int width, int p) {
    float v = 0;
    for (int i = 0; i < a->c_in; i++)
        v += w[i * width] * a->x[blocked(a->x_block, p, i)];
    return v;
}

static ptrdiff_t output_offset(const struct pw_args *a, int p, int c) {
    if (a->y_width == 0)
        return blocked(a->y_block, p, c);
    return blocked(a->y_block, p % a->y_width, c) + p / a->y_width * a->y_row;
}

void pw_f32_scalar(const struct pw_args *a) {
    for (int first = 0, width; first < a->c_out; first += width) {
        width = pw_panel(a->c_out - first);
        const float *panel = a->w + (ptrdiff_t)first * a->c_in;
        for (int p = 0; p < a->pixels; p++)
            for (int j = 0; j < width; j++)
                epilogue_scalar(&a->epi, p, first + j, dot(a, panel + j, width, p),
                                a->y + output_offset(a, p, first + j));
    }
}
