/* What the scalar kernels share: activations and the epilogue, element by element. */
#pragma once

#include "runtime/kernels/functions.h"

static inline float act_scalar(enum act act, float v) {
    float gate = v / 6 + 0.5f;
    gate = gate < 0 ? 0 : gate > 1 ? 1 : gate;
    switch (act) {
    case ACT_NONE:
        return v;
    case ACT_RELU:
        return v > 0 ? v : 0;
    case ACT_HSWISH:
        return v * gate;
    case ACT_HSIGMOID:
        return gate;
    case ACT_RELU6:
        return v < 0 ? 0 : v > 6 ? 6 : v;
    }
    return v;
}

static inline float affine_scalar(float v, const float *scale, const float *shift, int c) {
    return (scale ? scale[c] : 1) * v + (shift ? shift[c] : 0);
}

/* Finishes result v of (pixel p, channel c); y is where it is stored. */
static inline void epilogue_scalar(const struct epilogue *epi, int p, int c, float v, float *y) {
    switch (epi->kind) {
    case EPI_STORE:
        *y = v;
        return;
    case EPI_ADD:
        *y += v;
        return;
    case EPI_STATS:
        *y = v;
        epi->sum[c] += v;
        epi->sum_sq[c] += v * v;
        return;
    case EPI_AFFINE:
        v = act_scalar(epi->act, affine_scalar(v, epi->scale, epi->shift, c));
        if (epi->residual)
            v += epi->residual[c / KERNEL_LANES * epi->residual_block + p * KERNEL_LANES +
                               c % KERNEL_LANES];
        *y = v;
        return;
    }
}

/* Offset of (pixel p, channel c) in a blocked tensor. */
static inline ptrdiff_t blocked(ptrdiff_t block_stride, int p, int c) {
    return c / KERNEL_LANES * block_stride + (ptrdiff_t)p * KERNEL_LANES + c % KERNEL_LANES;
}
