#include "supernet/kernels/se_grad.h"

/* h_sigmoid(u) = (u + 3) / 6 strictly between 0 and 1: the value tells the slope. */
static void through_h_sigmoid(const struct se_grad_args *a) {
    for (int n = 0; n < a->n; n++)
        for (int c = 0; c < a->channels; c++) {
            float gate = a->gate[n * a->c_ld + c];
            a->d_gate[n * a->c_ld + c] *= gate > 0 && gate < 1 ? 1.0f / 6 : 0;
        }
}

static void through_relu(const struct se_grad_args *a) {
    for (int n = 0; n < a->n; n++)
        for (int c = 0; c < a->hidden_channels; c++)
            if (!(a->hidden[n * a->hidden_ld + c] > 0))
                a->d_hidden[n * a->hidden_ld + c] = 0;
}

/* The two layers as dense ones, without outputs. */
static struct linear_grad_args expand_layer(const struct se_grad_args *a) {
    struct linear_grad_args layer = {a->n, a->hidden_channels, a->channels};
    layer.x = a->hidden, layer.x_ld = a->hidden_ld;
    layer.dy = a->d_gate, layer.dy_ld = a->c_ld;
    layer.w = a->expand, layer.w_ld = a->expand_ld;
    return layer;
}

static struct linear_grad_args reduce_layer(const struct se_grad_args *a) {
    struct linear_grad_args layer = {a->n, a->channels, a->hidden_channels};
    layer.x = a->mean, layer.x_ld = a->c_ld;
    layer.dy = a->d_hidden, layer.dy_ld = a->hidden_ld;
    layer.w = a->reduce, layer.w_ld = a->reduce_ld;
    return layer;
}

void se_grad_data(const struct train_kernels *kernels, const struct se_grad_args *a) {
    struct linear_grad_args expand = expand_layer(a), reduce = reduce_layer(a);
    expand.dx = a->d_hidden, expand.dx_ld = a->hidden_ld;
    reduce.dx = a->d_mean, reduce.dx_ld = a->c_ld;
    through_h_sigmoid(a);
    kernels->linear_grad_f32(&expand);
    through_relu(a);
    kernels->linear_grad_f32(&reduce);
}

/* Rows [part / parts, (part + 1) / parts) of a layer's weights. */
static void add_rows(const struct train_kernels *kernels, struct linear_grad_args layer,
                     float *d_weight, float *d_bias, const int part[2]) {
    int first = se_grad_row(layer.c_out, part[0], part[1]);
    int end = se_grad_row(layer.c_out, part[0] + 1, part[1]);
    layer.c_out = end - first;
    layer.dy += first;
    layer.d_weight = d_weight;
    layer.d_bias = d_bias;
    kernels->linear_grad_f32(&layer);
}

void se_grad_weights(const struct train_kernels *kernels, const struct se_grad_args *a, int part,
                     int parts) {
    const int share[2] = {part, parts};
    add_rows(kernels, expand_layer(a), a->d_expand, a->d_expand_bias, share);
    add_rows(kernels, reduce_layer(a), a->d_reduce, a->d_reduce_bias, share);
}
