/* Backward of squeeze and excitation's two dense layers, for a batch. The passes over pixels are
 * se_gate_grad (before) and act_grad with gate and add (after) of train_kernels.h.
 * gate = h_sigmoid(W2 hidden + b2), hidden = relu(W1 mean + b1). Source: Hu et al. 2018; h_sigmoid
 * as in Howard et al. 2019. */
#pragma once

#include "supernet/kernels/train_kernels.h"

/* Matrices are row-major; rows of an image's vector are c_ld (mean, gate and their gradients) or
 * hidden_ld floats apart. Weights are leading slices. */
struct se_grad_args {
    int n, channels, hidden_channels;
    ptrdiff_t c_ld, hidden_ld;
    const float *mean, *hidden, *gate; /* as forward left them: behind their activations */
    float *d_gate;                     /* [n][c_ld]: in: gradient of gate; out: overwritten */
    float *d_hidden;                   /* [n][hidden_ld]: working memory */
    float *d_mean;                     /* [n][c_ld]: gradient of the mean, not divided by pixels */
    const float *reduce, *expand;      /* [hidden][reduce_ld], [channels][expand_ld] */
    ptrdiff_t reduce_ld, expand_ld;
    float *d_reduce, *d_reduce_bias; /* added to, with the weights' leading dimensions */
    float *d_expand, *d_expand_bias;
};
void se_grad(const struct train_kernels *kernels, const struct se_grad_args *args);
