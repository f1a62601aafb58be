/* Weights into the order in which the kernels read them. */
#include <string.h>

#include "runtime/kernels/kernels.h"

int pw_panel(int c_left) {
    int blocks = c_left / KERNEL_LANES;
    if (blocks == 1)
        return 8;
    return blocks == 2 || blocks == 4 ? 16 : 24; /* 4 = 2 + 2: never 3 + 1 */
}

size_t pw_packed_floats(int c_out, int c_in) {
    return (size_t)c_out * (size_t)c_in;
}

void pw_pack(const struct pw_matrix *matrix, int c_out, int c_in, float *packed) {
    for (int first = 0, width; first < c_out; first += width) {
        width = pw_panel(c_out - first);
        const float *row = matrix->data + first * matrix->out_stride;
        for (int i = 0; i < c_in; i++)
            for (int j = 0; j < width; j++)
                *packed++ = row[j * matrix->out_stride + i * matrix->in_stride];
    }
}

size_t dw_packed_floats(int channels, int kernel) {
    return (size_t)channels * (size_t)kernel * (size_t)kernel;
}

void dw_pack(const float *weight, int channels, int kernel, bool flip, float *packed) {
    int taps = kernel * kernel;
    for (int c = 0; c < channels; c++)
        for (int t = 0; t < taps; t++)
            packed[((ptrdiff_t)(c / KERNEL_LANES) * taps + (flip ? taps - 1 - t : t)) *
                       KERNEL_LANES +
                   c % KERNEL_LANES] = weight[(ptrdiff_t)c * taps + t];
}

ptrdiff_t dw_row_floats(int w_in, int kernel) {
    return (ptrdiff_t)(w_in + kernel / 2 * 2) * KERNEL_LANES;
}

void dw_zero_columns(const struct pad_args *a) {
    size_t bytes = (size_t)a->pad * KERNEL_LANES * sizeof(float);
    for (int b = 0; b < a->blocks; b++)
        for (int r = 0; r < a->h; r++) {
            float *row = a->y + b * a->y_block + r * a->y_row;
            memset(row, 0, bytes);
            memset(row + (ptrdiff_t)(a->pad + a->w) * KERNEL_LANES, 0, bytes);
        }
}

static size_t round_up(int channels) {
    return ((size_t)channels + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
}

size_t conv_packed_floats(int c_out, int c_in, int kernel) {
    return round_up(c_out) * (size_t)c_in * (size_t)kernel * (size_t)kernel;
}

void conv_pack(const float *weight, int c_out, int c_in, int kernel, float *packed) {
    linear_pack(weight, c_out, c_in * kernel * kernel, packed);
}

int conv_end_row(const struct conv_args *a) {
    int h_out = (a->h_in + a->stride - 1) / a->stride;
    return a->rows > 0 ? a->first_row + a->rows : h_out;
}

size_t conv_scratch_floats(const struct conv_args *a) {
    int pad = a->kernel / 2;
    return (size_t)a->c_in * (size_t)(a->h_in + 2 * pad) * (size_t)(a->w_in + 2 * pad);
}

size_t dense_packed_floats(int c_out, int c_in, int kernel) {
    return (size_t)c_out * (size_t)c_in * (size_t)kernel * (size_t)kernel;
}

/* Where a tap of a kernel x kernel filter lies in a stored one. */
static ptrdiff_t stored_tap(const struct dense_filters *filters, int kernel, int tap) {
    if (filters->flip)
        tap = kernel * kernel - 1 - tap;
    int border = (filters->size - kernel) / 2;
    return (ptrdiff_t)(tap / kernel + border) * filters->size + tap % kernel + border;
}

void dense_pack(const struct dense_filters *filters, int c_out, int c_in, int kernel,
                float *packed) {
    for (int first = 0, width; first < c_out; first += width) {
        width = pw_panel(c_out - first);
        for (int block = 0; block < c_in; block += KERNEL_LANES)
            for (int tap = 0; tap < kernel * kernel; tap++) {
                const float *from = filters->data + first * filters->out_stride +
                                    block * filters->in_stride + stored_tap(filters, kernel, tap);
                for (int i = 0; i < KERNEL_LANES; i++)
                    for (int o = 0; o < width; o++)
                        *packed++ = from[o * filters->out_stride + i * filters->in_stride];
            }
    }
}

size_t linear_packed_floats(int c_out, int c_in) {
    return round_up(c_out) * (size_t)c_in;
}

void linear_pack(const float *weight, int c_out, int c_in, float *packed) {
    memset(packed, 0, linear_packed_floats(c_out, c_in) * sizeof *packed);
    for (int o = 0; o < c_out; o++)
        for (int i = 0; i < c_in; i++)
            packed[((ptrdiff_t)(o / KERNEL_LANES) * c_in + i) * KERNEL_LANES + o % KERNEL_LANES] =
                weight[(ptrdiff_t)o * c_in + i];
}
