/* Choice of a kernel set, and the parts of the contract that need no instruction set. */
#include "base/cpu.h"
#include "supernet/kernels/kernels_internal.h"

#define ROW(isa, flags)                                                                            \
    static const struct train_kernels row_##isa = {                                                \
        .name = #isa, .cpu_flags = flags, TRAIN_KERNEL_OPS(KERNEL_MEMBER, isa)};
KERNEL_ROWS(ROW)

#define ROW_ADDRESS(isa, flags) &row_##isa,
const struct train_kernels *const train_kernels_rows[] = {KERNEL_ROWS(ROW_ADDRESS) NULL};

const struct train_kernels *train_kernels_select(uint32_t cpu_flags) {
    const struct train_kernels *best = train_kernels_rows[0];
    for (int i = 0; train_kernels_rows[i]; i++)
        if ((train_kernels_rows[i]->cpu_flags & ~cpu_flags) == 0)
            best = train_kernels_rows[i];
    return best;
}

size_t pw_grad_dense_floats(int c_in, int c_out) {
    return (size_t)round_up_8(c_in) * round_up_8(c_out);
}

void pw_grad_unpack_add(const float *dense, int c_in, int c_out, float *d_weight, ptrdiff_t ld) {
    bool x_narrow = pw_grad_x_is_narrow(c_in, c_out);
    ptrdiff_t on_in = x_narrow ? round_up_8(c_out) : 1;
    ptrdiff_t on_out = x_narrow ? 1 : round_up_8(c_in);
    for (int o = 0; o < c_out; o++)
        for (int i = 0; i < c_in; i++)
            d_weight[o * ld + i] += dense[i * on_in + o * on_out];
}

void taps_grad_unpack_add(const float *dense, int channels, int taps, float *d_weight,
                          ptrdiff_t ld) {
    for (int c = 0; c < channels; c++)
        for (int t = 0; t < taps; t++)
            d_weight[c * ld + t] += dense[((ptrdiff_t)(c / 8) * taps + t) * 8 + c % 8];
}

size_t dense_grad_floats(int c_in, int c_out, int kernel) {
    return (size_t)c_in * (size_t)c_out * (size_t)kernel * (size_t)kernel;
}

void dense_grad_unpack_add(const float *dense, int c_in, int c_out, int kernel, float *d_weight,
                           int ld, int size) {
    int border = (size - kernel) / 2;
    for (int o = 0; o < c_out; o++)
        for (int i = 0; i < c_in; i++) {
            float *filter = d_weight + ((ptrdiff_t)o * ld + i) * size * size;
            for (int t = 0; t < kernel * kernel; t++)
                filter[(t / kernel + border) * size + t % kernel + border] +=
                    dense[((ptrdiff_t)t * c_in + i) * c_out + o];
        }
}

/* Padded planes of the input and of the output's gradient; columns may be split even and odd and
 * rounded up, so each plane is given a row and three columns more than its padding. */
size_t dw_grad_scratch_floats(int h_in, int w_in, int kernel, int stride) {
    size_t in = (size_t)(h_in + kernel) * (w_in + kernel + 2);
    size_t out = (size_t)(conv_out(h_in, stride) + kernel) * (conv_out(w_in, stride) + kernel + 2);
    return (in + out) * 8;
}

size_t stem_grad_scratch_floats(int h_in, int w_in) {
    return (size_t)(h_in + 2) * (w_in + 2 + 16);
}
