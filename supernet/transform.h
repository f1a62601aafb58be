/* Elastic kernel size: a smaller depthwise filter is the centre of the next larger one sent through
 * a learnt matrix, which all channels of a layer share: 7x7 -> 5x5 -> 3x3 in two steps.
 * Source: Cai et al. 2020, sec. 3.3 ("elastic kernel size") and the authors' code. */
#pragma once

enum { KERNEL_SIZES_MAX = 3, KERNEL_SIZE_MAX = 7 };

/* The sizes of one layer, strictly descending, odd, within [1, KERNEL_SIZE_MAX]; sizes[0] is the
 * master's. matrix[i] leads from sizes[i] to s = sizes[i + 1]: [s * s][s * s] row-major, y = M x on
 * the flattened centre; NULL: the plain centre crop. */
struct kernel_chain {
    int n_sizes;
    int sizes[KERNEL_SIZES_MAX];
    const float *matrix[KERNEL_SIZES_MAX - 1];
};

/* Filters of size sizes[step] for the first `channels` of master [channels][sizes[0]^2]:
 * ret_weight [channels][sizes[step]^2]. step 0 copies. */
void kernel_transform(const struct kernel_chain *chain, const float *master, int channels, int step,
                      float *ret_weight);

/* Where gradients are added. */
struct kernel_chain_grad {
    float *master;                       /* [channels][sizes[0]^2] */
    float *matrix[KERNEL_SIZES_MAX - 1]; /* like the chain's; NULL where that is NULL */
};
/* Backward of kernel_transform for d_weight [channels][sizes[step]^2]. */
void kernel_transform_grad(const struct kernel_chain *chain, const float *master, int channels,
                           int step, const float *d_weight, const struct kernel_chain_grad *grad);
