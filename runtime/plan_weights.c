#include "runtime/plan.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"

/* Elements of an op's arrays. */
struct counts {
    size_t weight, bias, se_weight, se_reduce_bias, se_expand_bias;
};

static struct counts count(const struct op *op) {
    size_t c_in = (size_t)op->c_in, c_out = (size_t)op->c_out, se = (size_t)op->se_channels,
           taps = (size_t)op->kernel * (size_t)op->kernel;
    switch (op->kind) {
    case OP_CONV:
        return (struct counts){.weight = c_out * c_in * taps, .bias = c_out};
    case OP_DEPTHWISE:
        return (struct counts){.weight = c_out * taps, .bias = c_out};
    case OP_LINEAR:
        return (struct counts){.weight = c_out * c_in, .bias = c_out};
    case OP_SE:
        return (struct counts){
            .se_weight = se * c_in, .se_reduce_bias = se, .se_expand_bias = c_in};
    case OP_POOL:
        break;
    }
    return (struct counts){0};
}

/* Zeroed array, or NULL for none; false on memory exhaustion. */
static bool allocate(size_t n, float **ret_array) {
    *ret_array = n ? mem_array(n, sizeof(float)) : NULL;
    return !n || *ret_array;
}

static bool allocate_op(const struct op *op, struct op_weights *weights) {
    struct counts n = count(op);
    return allocate(n.weight, &weights->weight) && allocate(n.bias, &weights->bias) &&
           allocate(n.se_weight, &weights->se_reduce) &&
           allocate(n.se_weight, &weights->se_expand) &&
           allocate(n.se_reduce_bias, &weights->se_reduce_bias) &&
           allocate(n.se_expand_bias, &weights->se_expand_bias);
}

int plan_weights_create(const struct graph *graph, struct err *err,
                        struct plan_weights **ret_weights) {
    struct plan_weights *weights = mem_array(1, sizeof(*weights));
    if (!weights)
        return err_set(err, ESP_ENOMEM, "", "out of memory");
    weights->ops = mem_array((size_t)graph->n_ops, sizeof(*weights->ops));
    bool complete = weights->ops != NULL;
    for (; complete && weights->n_ops < graph->n_ops; weights->n_ops++)
        complete = allocate_op(&graph->ops[weights->n_ops], &weights->ops[weights->n_ops]);
    if (!complete) {
        plan_weights_destroy(weights);
        return err_set(err, ESP_ENOMEM, "", "out of memory for the weights of a network");
    }
    *ret_weights = weights;
    return 0;
}

/* Uniform with mean 0 and the given variance. */
static void fill(struct rng *rng, double variance, size_t n, float *array) {
    double range = sqrt(12 * variance) / 4294967296.0;
    for (size_t i = 0; i < n; i++)
        array[i] = (float)(range * ((double)rng_u32(rng) - 2147483648.0));
}

/* Variance times fan-in that keeps activations near 1 as in a trained network, or else SE's gates
 * saturate: 2 behind an activation (He et al. 2015), 4 times more behind SE, whose gates are about
 * 1/2; a fifth for what a residual is added to, so that sums grow slowly. */
static double gain(const struct graph *graph, const struct op *op) {
    double gain = op->residual >= 0 ? 0.2 : 1;
    const struct op *before = op->input > 0 ? &graph->ops[op->input - 1] : NULL;
    if (before && before->kind == OP_SE) {
        gain *= 4;
        before = before->input > 0 ? &graph->ops[before->input - 1] : NULL;
    }
    return before && before->act != ACT_NONE ? 2 * gain : gain;
}

static void fill_op(const struct graph *graph, const struct op *op, struct rng *rng,
                    struct op_weights *weights) {
    struct counts n = count(op);
    if (n.weight)
        fill(rng, gain(graph, op) * op->c_out / (double)n.weight, n.weight, weights->weight);
    fill(rng, 0.01, n.bias, weights->bias);
    if (op->kind != OP_SE)
        return;
    fill(rng, 1.0 / op->c_in, n.se_weight, weights->se_reduce);
    fill(rng, 2.0 / op->se_channels, n.se_weight, weights->se_expand);
    fill(rng, 0.01, n.se_reduce_bias, weights->se_reduce_bias);
    fill(rng, 0.01, n.se_expand_bias, weights->se_expand_bias);
}

int plan_weights_random(const struct graph *graph, uint64_t seed, struct err *err,
                        struct plan_weights **ret_weights) {
    struct plan_weights *weights = NULL;
    int code = plan_weights_create(graph, err, &weights);
    if (code)
        return code;
    for (int i = 0; i < graph->n_ops; i++) {
        struct rng rng = rng_make(seed, RNG_INIT, 0, (uint32_t)i);
        fill_op(graph, &graph->ops[i], &rng, &weights->ops[i]);
    }
    *ret_weights = weights;
    return 0;
}

void plan_weights_destroy(struct plan_weights *weights) {
    if (!weights)
        return;
    for (int i = 0; weights->ops && i < weights->n_ops; i++) {
        free(weights->ops[i].weight);
        free(weights->ops[i].bias);
        free(weights->ops[i].se_reduce);
        free(weights->ops[i].se_reduce_bias);
        free(weights->ops[i].se_expand);
        free(weights->ops[i].se_expand_bias);
    }
    free(weights->ops);
    free(weights);
}
