#include <math.h>
#include <stdio.h>
#include <string.h>

#include "supernet/supernet.h"

/* One chunk is one tensor: sums and updates do not depend on the number of threads. */
struct sgd_run {
    struct supernet *net;
    const struct sgd *sgd;
    float scale; /* of the gradient, by clipping */
};

static double tensor_sum_of_squares(const struct tensor *t) {
    double sum = 0;
    for (size_t i = 0; i < t->count; i++)
        sum += (double)t->grad[i] * t->grad[i];
    return sum;
}

static double gradient_norm(const struct supernet *net) {
    double sum = 0;
    for (int i = 0; i < net->n_tensors; i++)
        if (net->tensors[i].grad)
            sum += tensor_sum_of_squares(&net->tensors[i]);
    return sqrt(sum);
}

int supernet_gradient_parts(const struct supernet *supernet) {
    return supernet->space->n_stages + 2;
}

static int stage_of_block(const struct space *space, int block) {
    int stage = 0;
    while (stage + 1 < space->n_stages && block >= space->stages[stage + 1].first_block)
        stage++;
    return stage;
}

static int part_of(const struct supernet *net, const struct tensor *t) {
    int block = 0;
    if (strncmp(t->name, "first_conv.", 11) == 0)
        return 0;
    if (sscanf(t->name, "blocks.%d.", &block) == 1)
        return 1 + stage_of_block(net->space, block);
    return supernet_gradient_parts(net) - 1;
}

void supernet_gradient_squares(const struct supernet *supernet,
                               double ret_squares[GRADIENT_PARTS_MAX]) {
    memset(ret_squares, 0, GRADIENT_PARTS_MAX * sizeof *ret_squares);
    for (int i = 0; i < supernet->n_tensors; i++)
        if (supernet->tensors[i].grad)
            ret_squares[part_of(supernet, &supernet->tensors[i])] +=
                tensor_sum_of_squares(&supernet->tensors[i]);
}

static void clip_values(struct supernet *net, float limit) {
    for (int i = 0; i < net->n_tensors; i++)
        for (size_t k = 0; net->tensors[i].grad && k < net->tensors[i].count; k++) {
            float *g = &net->tensors[i].grad[k];
            *g = *g > limit ? limit : *g < -limit ? -limit : *g;
        }
}

static bool decays(const struct tensor *t) {
    return t->kind == TENSOR_WEIGHT || t->kind == TENSOR_TRANSFORM;
}

static void update_tensor(void *context, int chunk, int thread) {
    const struct sgd_run *run = context;
    struct tensor *t = &run->net->tensors[chunk];
    if (!t->grad)
        return;
    float rate = run->sgd->learning_rate, momentum = run->sgd->momentum, scale = run->scale;
    float decay = decays(t) ? run->sgd->weight_decay : 0;
    float *restrict w = t->data, *restrict v = t->momentum;
    const float *restrict g = t->grad;
    for (size_t i = 0; i < t->count; i++) {
        float d = scale * g[i] + decay * w[i];
        v[i] = momentum * v[i] + d;
        w[i] -= rate * (d + momentum * v[i]);
    }
}

double supernet_sgd_step(struct supernet *supernet, struct parallel *pool, const struct sgd *sgd) {
    double norm = gradient_norm(supernet);
    if (!isfinite(norm))
        return NAN;
    struct sgd_run run = {supernet, sgd, 1};
    double clipped = norm;
    if (sgd->clip_value > 0) {
        clip_values(supernet, sgd->clip_value);
        clipped = gradient_norm(supernet);
    }
    if (sgd->clip_norm > 0 && clipped > sgd->clip_norm)
        run.scale = (float)(sgd->clip_norm / clipped);
    parallel_for(pool, supernet->n_tensors, update_tensor, &run);
    return norm;
}
