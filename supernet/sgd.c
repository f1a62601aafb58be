#include <math.h>

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
    if (sgd->clip_norm > 0 && norm > sgd->clip_norm)
        run.scale = (float)(sgd->clip_norm / norm);
    parallel_for(pool, supernet->n_tensors, update_tensor, &run);
    return norm;
}
