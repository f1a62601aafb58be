/* Shared by the kernels' files only: their names, the activations, small geometry. */
#pragma once

#include <stdbool.h>

#include "supernet/kernels/train_kernels.h"

#define DECLARE(isa, flags) TRAIN_KERNEL_OPS(KERNEL_DECLARE, isa)
KERNEL_ROWS(DECLARE)
#undef DECLARE

/* Offset of (pixel p, channel c) in a blocked tensor. */
static inline ptrdiff_t blocked(ptrdiff_t block_stride, int p, int c) {
    return c / 8 * block_stride + (ptrdiff_t)p * 8 + c % 8;
}

static inline int round_up_8(int n) {
    return (n + 7) / 8 * 8;
}

static inline int conv_out(int size, int stride) {
    return (size - 1) / stride + 1;
}

/* The order of a 1x1's dense weight gradient: [narrow][wide rounded up to 8]. */
static inline bool pw_grad_x_is_narrow(int c_in, int c_out) {
    return c_in <= c_out;
}
