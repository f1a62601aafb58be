/* Batch normalisation of the running subnet: coefficients and statistics. */
#include "supernet/engine_internal.h"

void bn_layer_init(struct engine *engine, struct bn_layer *bn, const struct bn_tensors *tensors,
                   const struct plane *plane, float *memory) {
    bn_batch_init(&bn->batch, plane->channels, memory);
    bn->tensors = tensors;
    bn->pixels = (int64_t)engine->run.shard.batch * plane_pixels(plane);
    bn->index = engine->n_bn++;
    engine->bn_channels[bn->index] = plane->channels;
}

/* Of the sums that a pass left per group of plane. */
static struct bn_totals total(const struct engine *engine, const struct bn_layer *bn,
                              const struct plane *plane) {
    struct sum_rows rows = {engine->sums, 2 * plane->channels, plane->group, 2 * plane->channels};
    engine_sum_rows(engine, &rows, engine->totals);
    return (struct bn_totals){engine->totals, engine->totals + plane->channels, bn->pixels};
}

static struct bn_parameters parameters(const struct bn_layer *bn) {
    return (struct bn_parameters){bn->tensors->scale->data, bn->tensors->shift->data,
                                  ENGINE_BN_EPS};
}

/* Running statistics as PyTorch keeps them: with the unbiased variance. */
static void update_running(const struct bn_layer *bn, float momentum) {
    double unbiased = bn->pixels > 1 ? (double)bn->pixels / (double)(bn->pixels - 1) : 1;
    float *mean = bn->tensors->mean->data, *variance = bn->tensors->variance->data;
    for (int c = 0; c < bn->batch.channels; c++) {
        mean[c] += momentum * (bn->batch.mean[c] - mean[c]);
        variance[c] += momentum * ((float)(bn->batch.variance[c] * unbiased) - variance[c]);
    }
}

/* Mean over images of each batch's mean and biased variance (Cai et al. 2020, code:
 * set_running_statistics). */
static void accumulate_stats(const struct engine *engine, const struct bn_layer *bn) {
    struct bn_stats *stats = engine->run.bn_stats;
    float *mean = stats->mean[bn->index], *variance = stats->variance[bn->index];
    int64_t images = engine->run.shard.batch;
    double part = (double)images / (double)(stats->images + images);
    for (int c = 0; c < bn->batch.channels; c++) {
        mean[c] += (float)(part * ((double)bn->batch.mean[c] - mean[c]));
        variance[c] += (float)(part * ((double)bn->batch.variance[c] - variance[c]));
    }
}

static void use_fixed(struct engine *engine, struct bn_layer *bn) {
    const struct bn_stats *stats = engine->run.bn_stats;
    struct bn_parameters p = parameters(bn);
    if (stats)
        bn_batch_fixed(&bn->batch, stats->mean[bn->index], stats->variance[bn->index], &p);
    else
        bn_batch_fixed(&bn->batch, bn->tensors->mean->data, bn->tensors->variance->data, &p);
}

static void keep_statistics(struct engine *engine, const struct bn_layer *bn) {
    if (engine->run.mode == ENGINE_RECALIBRATE)
        accumulate_stats(engine, bn);
    else if (engine->run.bn_momentum > 0)
        update_running(bn, engine->run.bn_momentum);
}

void bn_layer_forward(struct engine *engine, struct bn_layer *bn, const struct plane *plane) {
    if (engine->run.mode == ENGINE_EVAL) {
        use_fixed(engine, bn);
        return;
    }
    struct bn_totals totals = total(engine, bn, plane);
    struct bn_parameters p = parameters(bn);
    bn_batch_finalise(&bn->batch, &totals, &p);
    keep_statistics(engine, bn);
}

void bn_layer_forward_from(struct engine *engine, struct bn_layer *bn, const double *mean,
                           const double *square) {
    if (engine->run.mode == ENGINE_EVAL) {
        use_fixed(engine, bn);
        return;
    }
    struct bn_parameters p = parameters(bn);
    bn_batch_from_moments(&bn->batch, mean, square, &p);
    keep_statistics(engine, bn);
}

void bn_layer_backward(struct engine *engine, struct bn_layer *bn, const struct plane *plane) {
    struct bn_totals totals = total(engine, bn, plane);
    struct bn_parameters p = parameters(bn);
    bn_batch_grad(&bn->batch, &totals, &p, bn->tensors->scale->grad, bn->tensors->shift->grad);
}
