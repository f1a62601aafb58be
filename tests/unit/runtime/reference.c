#include "tests/unit/runtime/reference.h"

#include <math.h>
#include <stdlib.h>

static double activate(enum act act, double v) {
    double gate = fmin(fmax(v + 3, 0), 6) / 6;
    switch (act) {
    case ACT_NONE:
        return v;
    case ACT_RELU:
        return fmax(v, 0);
    case ACT_HSWISH:
        return v * gate;
    case ACT_HSIGMOID:
        return gate;
    case ACT_RELU6:
        return fmin(fmax(v, 0), 6);
    }
    return NAN;
}

/* Sum of one output's taps in input channel c; w: [k, k]. */
static double taps(const struct op *op, const double *plane, const float *w, int r, int q) {
    double v = 0;
    for (int i = 0; i < op->kernel; i++)
        for (int j = 0; j < op->kernel; j++) {
            int row = r * op->stride + i - op->pad, column = q * op->stride + j - op->pad;
            if (row >= 0 && row < op->h_in && column >= 0 && column < op->w_in)
                v += (double)w[i * op->kernel + j] * plane[row * op->w_in + column];
        }
    return v;
}

static void convolve(const struct op *op, const struct op_weights *w, const double *x, double *y) {
    int in = op->h_in * op->w_in, out = op->h_out * op->w_out, k2 = op->kernel * op->kernel;
    int channels = op->kind == OP_DEPTHWISE ? 1 : op->c_in;
    for (int o = 0; o < op->c_out; o++)
        for (int p = 0; p < out; p++) {
            double v = w->bias ? (double)w->bias[o] : 0;
            for (int c = 0; c < channels; c++)
                v += taps(op, x + (op->kind == OP_DEPTHWISE ? o : c) * in,
                          w->weight + (o * channels + c) * k2, p / op->w_out, p % op->w_out);
            y[o * out + p] = op->act_last ? v : activate(op->act, v);
        }
}

static double mean(const double *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum / n;
}

static double dot(const float *w, const double *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)w[i] * x[i];
    return sum;
}

static void squeeze_excite(const struct op *op, const struct op_weights *w, const double *x,
                           double *y) {
    int pixels = op->h_in * op->w_in, c_in = op->c_in, se = op->se_channels;
    double *means = calloc((size_t)c_in, sizeof(double)),
           *hidden = calloc((size_t)se, sizeof(double));
    for (int c = 0; c < c_in; c++)
        means[c] = mean(x + c * pixels, pixels);
    for (int s = 0; s < se; s++)
        hidden[s] =
            fmax(0, dot(w->se_reduce + s * c_in, means, c_in) + (double)w->se_reduce_bias[s]);
    for (int c = 0; c < c_in; c++) {
        double gate = activate(ACT_HSIGMOID, dot(w->se_expand + c * se, hidden, se) +
                                                 (double)w->se_expand_bias[c]);
        for (int p = 0; p < pixels; p++)
            y[c * pixels + p] = x[c * pixels + p] * gate;
    }
    free(means);
    free(hidden);
}

static void run_op(const struct op *op, const struct op_weights *w, const double *x, double *y) {
    switch (op->kind) {
    case OP_CONV:
    case OP_DEPTHWISE:
        convolve(op, w, x, y);
        break;
    case OP_SE:
        squeeze_excite(op, w, x, y);
        break;
    case OP_POOL:
        for (int c = 0; c < op->c_in; c++)
            y[c] = mean(x + c * op->h_in * op->w_in, op->h_in * op->w_in);
        break;
    case OP_LINEAR:
        for (int o = 0; o < op->c_out; o++)
            y[o] = dot(w->weight + o * op->c_in, x, op->c_in) + (w->bias ? (double)w->bias[o] : 0);
        break;
    }
}

static size_t elements(const struct tensor_shape *shape) {
    return (size_t)shape->channels * (size_t)shape->height * (size_t)shape->width;
}

double *reference_run(const struct graph *graph, const struct plan_weights *weights,
                      const float *input) {
    double **tensors = calloc((size_t)graph->n_tensors, sizeof(*tensors));
    for (int t = 0; t < graph->n_tensors; t++)
        tensors[t] = calloc(elements(&graph->tensors[t]), sizeof(double));
    for (size_t i = 0; i < elements(&graph->tensors[0]); i++)
        tensors[0][i] = (double)input[i];
    for (int i = 0; i < graph->n_ops; i++) {
        const struct op *op = &graph->ops[i];
        run_op(op, &weights->ops[i], tensors[op->input], tensors[op->output]);
        for (size_t j = 0; op->residual >= 0 && j < elements(&graph->tensors[op->output]); j++)
            tensors[op->output][j] += tensors[op->residual][j];
        for (size_t j = 0; op->act_last && j < elements(&graph->tensors[op->output]); j++)
            tensors[op->output][j] = activate(op->act, tensors[op->output][j]);
    }
    double *result = tensors[graph->n_tensors - 1];
    for (int t = 0; t < graph->n_tensors - 1; t++)
        free(tensors[t]);
    free(tensors);
    return result;
}
