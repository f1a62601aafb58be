/* Backward of squeeze and excitation's two dense layers. The passes over pixels are se_gate_grad
 * (before) and act_grad with gate and add (after) of train_kernels.h.
 * gate = h_sigmoid(W2 hidden + b2), hidden = relu(W1 mean + b1). Source: Hu et al. 2018; h_sigmoid
 * as in Howard et al. 2019. */
#pragma once

#include "supernet/kernels/train_kernels.h"

/* Matrices are row-major; vectors of successive images are c_ld or hidden_ld floats apart. Weights
 * are leading slices. */
struct se_grad_args {
    int n, channels, hidden_channels;
    ptrdiff_t c_ld, hidden_ld;
    const float *mean, *hidden, *gate; /* as forward left them: behind their activations */
    float *d_gate;                     /* [n][c_ld]: gradient of gate; then of its input */
    float *d_hidden;                   /* [n][hidden_ld]: becomes the gradient of its input */
    float *d_mean;                     /* [n][c_ld]: gradient of the mean, not divided by pixels */
    const float *reduce, *expand;      /* [hidden][reduce_ld], [channels][expand_ld] */
    ptrdiff_t reduce_ld, expand_ld;
    /* Of the first row that se_grad_weights has to do; added to, with the weights' leading
     * dimensions. */
    float *d_reduce, *d_reduce_bias, *d_expand, *d_expand_bias;
};
/* d_gate, d_hidden and d_mean of n images, which may be a part of the batch. */
void se_grad_data(const struct train_kernels *kernels, const struct se_grad_args *args);
/* Behind it: adds the gradients of the weights for n images. The rows of both matrices are dealt
 * out to `parts` callers, of which this is one; each row is summed by one caller in the order of
 * the images, so the bits do not depend on parts. */
static inline int se_grad_row(int rows, int part, int parts) { /* the first one of a part */
    return rows * part / parts;
}
void se_grad_weights(const struct train_kernels *kernels, const struct se_grad_args *args, int part,
                     int parts);
