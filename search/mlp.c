#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "search/regressor.h"

enum { H = MLP_HIDDEN, BATCH = 32, VISITS = 60000, EPOCHS_MIN = 20, EPOCHS_MAX = 80 };
static const float adam_b1 = 0.9f, adam_b2 = 0.999f, adam_eps = 1e-8f;
static const float rate_max = 5e-3f, decay = 1e-3f;

/* Places in a member's weights. */
struct member {
    float *in;      /* [p, H] */
    float *in_bias; /* [H] */
    float *out;     /* [H] */
    float *out_bias;
};

size_t mlp_member_weights(int p) {
    return (size_t)p * H + 2 * H + 1;
}

static struct member member_at(float *weights, int p) {
    float *in_bias = weights + (size_t)p * H;
    return (struct member){weights, in_bias, in_bias + H, in_bias + 2 * H};
}

static float forward(const struct member *m, const float *x, int p, float hidden[H]) {
    float y = *m->out_bias;
    for (int h = 0; h < H; h++)
        hidden[h] = m->in_bias[h];
    for (int i = 0; i < p; i++)
        for (int h = 0; h < H; h++)
            hidden[h] += x[i] * m->in[(size_t)i * H + (size_t)h];
    for (int h = 0; h < H; h++) {
        hidden[h] = hidden[h] > 0 ? hidden[h] : 0;
        y += m->out[h] * hidden[h];
    }
    return y;
}

/* Adds the gradient of scale * (forward - y)^2 / 2. */
static void backward(const struct member *m, const struct member *grad, const float *x, int p,
                     const float hidden[H], float d) {
    float d_hidden[H];
    *grad->out_bias += d;
    for (int h = 0; h < H; h++) {
        grad->out[h] += d * hidden[h];
        d_hidden[h] = hidden[h] > 0 ? d * m->out[h] : 0;
        grad->in_bias[h] += d_hidden[h];
    }
    for (int i = 0; i < p; i++)
        for (int h = 0; h < H; h++)
            grad->in[(size_t)i * H + (size_t)h] += x[i] * d_hidden[h];
}

/* Weights, gradient and both moments of Adam lie one behind the other. */
struct training {
    const struct regression_data *data;
    size_t count;
    float *weights, *grad, *first, *second;
    uint32_t *order;
    int64_t step, steps;
};

static void adam_step(struct training *t) {
    t->step++;
    float rate = rate_max * 0.5f *
                 (1 + cosf(3.14159265f * (float)((double)t->step / (double)(t->steps + 1))));
    float c1 = 1 - powf(adam_b1, (float)t->step), c2 = 1 - powf(adam_b2, (float)t->step);
    for (size_t i = 0; i < t->count; i++) {
        float g = t->grad[i];
        t->first[i] = adam_b1 * t->first[i] + (1 - adam_b1) * g;
        t->second[i] = adam_b2 * t->second[i] + (1 - adam_b2) * g * g;
        t->weights[i] -= rate * (t->first[i] / c1 / (sqrtf(t->second[i] / c2) + adam_eps) +
                                 decay * t->weights[i]);
    }
}

static void train_batch(struct training *t, int first, int n) {
    int p = t->data->p;
    struct member m = member_at(t->weights, p), grad = member_at(t->grad, p);
    memset(t->grad, 0, t->count * sizeof *t->grad);
    for (int i = first; i < first + n; i++) {
        const float *x = t->data->x + (size_t)t->order[i] * (size_t)p;
        float hidden[H];
        float error = forward(&m, x, p, hidden) - t->data->y[t->order[i]];
        backward(&m, &grad, x, p, hidden, error / (float)n);
    }
    adam_step(t);
}

static void start_weights(struct training *t, struct rng *rng) {
    int p = t->data->p;
    struct member m = member_at(t->weights, p);
    for (size_t i = 0; i < (size_t)p * H; i++)
        m.in[i] = (float)(rng_normal(rng) / sqrt(p));
    for (int h = 0; h < H; h++)
        m.out[h] = (float)(rng_normal(rng) / sqrt(H));
}

static void train_member(struct training *t, uint64_t seed, int member) {
    int n = t->data->n, batch = n < BATCH ? n : BATCH;
    int epochs = VISITS / n;
    epochs = epochs < EPOCHS_MIN ? EPOCHS_MIN : epochs > EPOCHS_MAX ? EPOCHS_MAX : epochs;
    struct rng rng = rng_make(seed, RNG_INIT, 0, (uint32_t)member);
    start_weights(t, &rng);
    t->steps = (int64_t)epochs * (n / batch);
    for (int i = 0; i < n; i++)
        t->order[i] = (uint32_t)i;
    for (int e = 0; e < epochs; e++) {
        rng = rng_make(seed, RNG_SHUFFLE, (uint64_t)e, (uint32_t)member);
        rng_shuffle_u32(&rng, t->order, (size_t)n);
        for (int i = 0; i + batch <= n; i += batch)
            train_batch(t, i, batch);
    }
}

int mlp_fit(const struct regression_data *data, int n_members, uint64_t seed, struct mlp *ret_mlp) {
    size_t count = mlp_member_weights(data->p);
    struct mlp mlp = {data->p, n_members, mem_array((size_t)n_members * count, sizeof(float))};
    struct training t = {.data = data, .count = count};
    float *scratch = mem_array(3 * count, sizeof *scratch);
    t.order = mem_array((size_t)data->n, sizeof *t.order);
    int code = mlp.weights && scratch && t.order ? 0 : ESP_ENOMEM;
    for (int i = 0; i < n_members && code == 0; i++) {
        memset(scratch, 0, 3 * count * sizeof *scratch);
        t.weights = mlp.weights + (size_t)i * count;
        t.grad = scratch;
        t.first = scratch + count;
        t.second = scratch + 2 * count;
        t.step = 0;
        train_member(&t, seed, i);
    }
    free(scratch);
    free(t.order);
    if (code < 0)
        mlp_finish(&mlp);
    else
        *ret_mlp = mlp;
    return code;
}

void mlp_finish(struct mlp *mlp) {
    free(mlp->weights);
    *mlp = (struct mlp){0};
}

float mlp_predict(const struct mlp *mlp, const float *x, float *ret_sd) {
    float sum = 0, squares = 0, hidden[H];
    size_t count = mlp_member_weights(mlp->p);
    for (int i = 0; i < mlp->n_members; i++) {
        struct member m = member_at(mlp->weights + (size_t)i * count, mlp->p);
        float y = forward(&m, x, mlp->p, hidden);
        sum += y;
        squares += y * y;
    }
    float mean = sum / (float)mlp->n_members;
    if (ret_sd)
        *ret_sd = sqrtf(fmaxf(squares / (float)mlp->n_members - mean * mean, 0));
    return mean;
}

void mlp_gradient(const struct mlp *mlp, const float *x, float *ret_gradient) {
    float hidden[H];
    size_t count = mlp_member_weights(mlp->p);
    memset(ret_gradient, 0, (size_t)mlp->p * sizeof *ret_gradient);
    for (int i = 0; i < mlp->n_members; i++) {
        struct member m = member_at(mlp->weights + (size_t)i * count, mlp->p);
        forward(&m, x, mlp->p, hidden);
        for (int h = 0; h < H; h++)
            hidden[h] = hidden[h] > 0 ? m.out[h] / (float)mlp->n_members : 0;
        for (int k = 0; k < mlp->p; k++)
            for (int h = 0; h < H; h++)
                ret_gradient[k] += m.in[(size_t)k * H + (size_t)h] * hidden[h];
    }
}
