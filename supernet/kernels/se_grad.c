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

void se_grad(const struct train_kernels *kernels, const struct se_grad_args *a) {
    struct linear_grad_args expand = {a->n, a->hidden_channels, a->channels};
    expand.x = a->hidden, expand.x_ld = a->hidden_ld;
    expand.dy = a->d_gate, expand.dy_ld = a->c_ld;
    expand.w = a->expand, expand.d_weight = a->d_expand, expand.w_ld = a->expand_ld;
    expand.d_bias = a->d_expand_bias;
    expand.dx = a->d_hidden, expand.dx_ld = a->hidden_ld;
    struct linear_grad_args reduce = {a->n, a->channels, a->hidden_channels};
    reduce.x = a->mean, reduce.x_ld = a->c_ld;
    reduce.dy = a->d_hidden, reduce.dy_ld = a->hidden_ld;
    reduce.w = a->reduce, reduce.d_weight = a->d_reduce, reduce.w_ld = a->reduce_ld;
    reduce.d_bias = a->d_reduce_bias;
    reduce.dx = a->d_mean, reduce.dx_ld = a->c_ld;

    through_h_sigmoid(a);
    kernels->linear_grad_f32(&expand);
    through_relu(a);
    kernels->linear_grad_f32(&reduce);
}
