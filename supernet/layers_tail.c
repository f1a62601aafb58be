/* The tail: global mean, feature mix, dropout, classifier. Its planes have one pixel an image. */
#include <string.h>

#include "base/rng.h"
#include "supernet/engine_internal.h"

static struct bn_act pooled_act(const struct unit *last) {
    if (last->spec.kind == UNIT_HEAD_CONV)
        return bn_layer_act(&last->projected_bn, last->spec.act);
    return (struct bn_act){NULL, NULL, ACT_NONE};
}

static const struct plane *pooled_from(const struct unit *last) {
    return last->spec.kind == UNIT_HEAD_CONV ? &last->projected : &last->output;
}

static struct bn_act mix_act(const struct engine *e) {
    return (struct bn_act){e->tail.mix_scale, e->tail.mix_shift, e->net->space->head.act};
}

static void pool(const struct chunk *chunk) {
    const struct tail *t = &chunk->engine->tail;
    const struct plane *from = pooled_from(chunk->unit);
    float *row = chunk->scratch->row;
    for (int i = chunk->first; i < chunk->end; i++) {
        struct act_sums_args args = {.a = plane_image(from, i),
                                     .a_block = plane_block(from),
                                     .pixels = plane_pixels(from),
                                     .channels = from->channels,
                                     .bn_act = pooled_act(chunk->unit),
                                     .sum = row};
        memset(row, 0, (size_t)from->channels * sizeof *row);
        chunk->engine->backward->act_sums_f32(&args);
        for (int c = 0; c < from->channels; c++)
            row[c] /= (float)plane_pixels(from);
        plane_put_row(&t->pooled, i, row);
    }
}

static void dense(const struct chunk *chunk, const struct tile *tile, const struct plane *from,
                  const struct plane *to, const float *packed) {
    struct pw_args args = {.x = tile_data(from, tile),
                           .w = packed,
                           .y = tile_data(to, tile),
                           .x_block = plane_block(from),
                           .y_block = plane_block(to),
                           .pixels = tile->n,
                           .c_in = from->channels,
                           .c_out = to->channels};
    chunk->engine->forward->pw_f32(&args);
}

static void activate_mix(const struct chunk *chunk, const struct tile *tile) {
    const struct tail *t = &chunk->engine->tail;
    struct bn_act act = mix_act(chunk->engine);
    struct affine_args args = {.x = tile_data(&t->mixed, tile),
                               .y = tile_data(&t->features, tile),
                               .x_block = plane_block(&t->mixed),
                               .y_block = plane_block(&t->features),
                               .pixels = tile->n,
                               .channels = t->mixed.channels,
                               .scale = act.scale,
                               .shift = act.shift,
                               .act = act.act};
    chunk->engine->forward->affine_f32(&args);
}

/* One image's mask: 1 / (1 - rate) where a feature stays, by a stream of its own. */
static void draw_mask(const struct chunk *chunk, int image) {
    const struct engine_run *run = &chunk->engine->run;
    const struct plane *mask = &chunk->engine->tail.mask;
    struct rng rng = rng_make(run->dropout_seed, RNG_DROPOUT, run->dropout_step,
                              (uint32_t)(run->shard.first + image));
    for (int c = 0; c < mask->channels; c++)
        chunk->scratch->row[c] = rng_unit(&rng) < run->dropout ? 0 : 1 / (1 - run->dropout);
    plane_put_row(mask, image, chunk->scratch->row);
}

static void apply_mask(const struct chunk *chunk, const struct plane *plane) {
    const struct plane *mask = &chunk->engine->tail.mask;
    float row[KERNEL_LANES];
    for (int i = chunk->first; i < chunk->end; i++)
        for (int b = 0; b < plane->channels / KERNEL_LANES; b++) {
            float *at = plane_image(plane, i) + b * plane_block(plane);
            memcpy(row, plane_image(mask, i) + b * plane_block(mask), sizeof row);
            for (int k = 0; k < KERNEL_LANES; k++)
                at[k] *= row[k];
        }
}

static void classify(const struct chunk *chunk) {
    struct engine *e = chunk->engine;
    const struct tail *t = &e->tail;
    struct tile tile = {0};
    while (chunk_next_tile(chunk, &t->features, &tile)) {
        if (!e->net->map->mix)
            memcpy(tile_data(&t->features, &tile), tile_data(&t->pooled, &tile),
                   (size_t)(t->pooled.channels * t->pooled.group) * sizeof(float));
        else {
            dense(chunk, &tile, &t->pooled, &t->mixed, e->packed[0]);
            activate_mix(chunk, &tile);
        }
    }
    for (int i = chunk->first; t->dropped && i < chunk->end; i++)
        draw_mask(chunk, i);
    if (t->dropped)
        apply_mask(chunk, &t->features);
    tile = (struct tile){0};
    while (chunk_next_tile(chunk, &t->features, &tile))
        dense(chunk, &tile, &t->features, &t->logits, e->packed[1]);
}

/* The classifier's rows, filled up with zero rows to whole blocks. */
static struct pw_matrix padded_classifier(struct engine *e) {
    const struct tensor *w = e->net->map->classifier;
    memcpy(e->tail.classifier, w->data, w->count * sizeof(float));
    memset(e->tail.classifier + w->count, 0,
           (size_t)(e->tail.logits.channels - w->dims[0]) * (size_t)w->dims[1] * sizeof(float));
    return (struct pw_matrix){e->tail.classifier, w->dims[1], 1};
}

static void prepare_mix(struct engine *e) {
    const struct supernet_map *map = e->net->map;
    for (int c = 0; c < map->mix->dims[0]; c++) {
        e->tail.mix_scale[c] = 1;
        e->tail.mix_shift[c] = map->mix_bias ? map->mix_bias->data[c] : 0;
    }
    pack_pointwise(map->mix, map->mix->dims[0], e->tail.pooled.channels, e->packed[0]);
}

static void init_tail(struct engine *e, const struct unit *last) {
    const struct tail_memory *m = &e->tail_memory;
    int pooled = pooled_from(last)->channels;
    /* Without a head a narrower last stage takes the classifier's leading columns. */
    int features = e->net->map->mix ? e->net->map->mix->dims[0] : pooled;
    int classes = (e->net->space->n_classes + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
    e->tail = (struct tail){.pooled = plane_make(m->pooled, pooled, 1, 1),
                            .mixed = plane_make(m->mixed, features, 1, 1),
                            .features = plane_make(m->features, features, 1, 1),
                            .mask = plane_make(m->mask, features, 1, 1),
                            .logits = plane_make(m->logits, classes, 1, 1),
                            .d_pooled = plane_make(m->d_pooled, pooled, 1, 1),
                            .d_mixed = plane_make(m->d_mixed, features, 1, 1),
                            .d_features = plane_make(m->d_features, features, 1, 1),
                            .mix_scale = m->mix_scale,
                            .mix_shift = m->mix_shift,
                            .classifier = m->classifier,
                            .dropped = e->run.mode == ENGINE_TRAIN && e->run.dropout > 0};
}

void tail_forward(struct engine *engine, struct unit *last, float *ret_logits) {
    const struct tensor *bias = engine->net->map->classifier_bias;
    init_tail(engine, last);
    if (last->spec.kind != UNIT_HEAD_CONV)
        unit_finish(engine, last);
    if (engine->net->map->mix)
        prepare_mix(engine);
    struct pw_matrix matrix = padded_classifier(engine);
    pw_pack(&matrix, engine->tail.logits.channels, engine->tail.features.channels,
            engine->packed[1]);
    engine_pass(engine, PHASE_HEAD, last, NULL, pool);
    engine_pass(engine, PHASE_HEAD, last, NULL, classify);
    const struct plane *logits = &engine->tail.logits;
    int classes = bias->dims[0];
    for (int i = 0; i < engine->n_images; i++)
        for (int c = 0; c < classes; c++)
            ret_logits[(ptrdiff_t)i * classes + c] =
                plane_image(logits, i)[c / KERNEL_LANES * plane_block(logits) + c % KERNEL_LANES] +
                bias->data[c];
}

/* ---- Backward ---- */

static void put_d_logits(struct engine *e, const float *d_logits) {
    const struct plane *plane = &e->tail.logits;
    const struct tensor *bias = e->net->map->classifier_bias;
    int classes = bias->dims[0];
    for (int i = 0; i < e->n_images; i++)
        for (int c = 0; c < plane->channels; c++) {
            float d = c < classes ? d_logits[(ptrdiff_t)i * classes + c] : 0;
            plane_image(plane, i)[c / KERNEL_LANES * plane_block(plane) + c % KERNEL_LANES] = d;
        }
    engine_sum_rows(e, &(struct sum_rows){d_logits, classes, 1, classes}, e->totals);
    for (int c = 0; c < classes; c++)
        bias->grad[c] += (float)e->totals[c];
}

static void dense_grad(const struct chunk *chunk, const struct tile *tile, const struct plane *x,
                       const struct plane *dy, int c_out) {
    struct pw_grad_args args = {.x = tile_data(x, tile),
                                .dy = tile_data(dy, tile),
                                .x_block = plane_block(x),
                                .dy_block = plane_block(dy),
                                .pixels = tile->n,
                                .c_in = x->channels,
                                .c_out = c_out,
                                .dense = chunk->slot};
    chunk->engine->backward->pw_grad_f32(&args);
}

static void classifier_grad(const struct chunk *chunk) {
    const struct engine *e = chunk->engine;
    const struct tail *t = &e->tail;
    int classes = e->net->space->n_classes;
    struct tile tile = {0};
    memset(chunk->slot, 0, pw_grad_dense_floats(t->features.channels, classes) * sizeof(float));
    while (chunk_next_tile(chunk, &t->logits, &tile)) {
        dense_grad(chunk, &tile, &t->features, &t->logits, classes);
        dense(chunk, &tile, &t->logits, &t->d_features, e->packed[1]);
    }
    if (t->dropped)
        apply_mask(chunk, &t->d_features);
}

static void mix_grad(const struct chunk *chunk) {
    const struct engine *e = chunk->engine;
    const struct tail *t = &e->tail;
    struct tile tile = {0};
    engine_clear_sums(chunk, &t->d_mixed);
    memset(chunk->slot, 0,
           pw_grad_dense_floats(t->pooled.channels, t->mixed.channels) * sizeof(float));
    while (chunk_next_tile(chunk, &t->d_mixed, &tile)) {
        float *sums = engine_sums(e, &t->d_mixed, tile.group);
        struct act_grad_args args = {.a = tile_data(&t->mixed, &tile),
                                     .dy = tile_data(&t->d_features, &tile),
                                     .a_block = plane_block(&t->mixed),
                                     .dy_block = plane_block(&t->d_features),
                                     .pixels = tile.n,
                                     .channels = t->mixed.channels,
                                     .bn_act = mix_act(e),
                                     .dz = tile_data(&t->d_mixed, &tile),
                                     .dz_block = plane_block(&t->d_mixed),
                                     .sum = sums,
                                     .sum_a = sums + t->mixed.channels};
        e->backward->act_grad_f32(&args);
        dense_grad(chunk, &tile, &t->pooled, &t->d_mixed, t->mixed.channels);
        dense(chunk, &tile, &t->d_mixed, &t->d_pooled, e->packed[0]);
    }
}

static void add_mix_grads(struct engine *e) {
    const struct supernet_map *map = e->net->map;
    int channels = map->mix->dims[0];
    add_pointwise_grad(e, map->mix, channels, e->tail.pooled.channels);
    if (!map->mix_bias)
        return;
    engine_sum_rows(e, &(struct sum_rows){e->sums, 2 * channels, e->tail.d_mixed.group, channels},
                    e->totals);
    for (int c = 0; c < channels; c++)
        map->mix_bias->grad[c] += (float)e->totals[c];
}

static void divide_by_pixels(struct engine *e, const struct unit *last) {
    const struct plane *d = &e->tail.d_pooled;
    size_t floats = (size_t)(e->n_images + ENGINE_OCTET - 1) / ENGINE_OCTET * ENGINE_OCTET *
                    (size_t)d->channels;
    float inverse = 1 / (float)plane_pixels(pooled_from(last));
    for (size_t i = 0; i < floats; i++)
        d->data[i] *= inverse;
}

void tail_backward(struct engine *engine, struct unit *last, const float *d_logits) {
    const struct supernet_map *map = engine->net->map;
    struct tail *t = &engine->tail;
    put_d_logits(engine, d_logits);
    struct pw_matrix matrix = padded_classifier(engine);
    matrix = (struct pw_matrix){matrix.data, 1, matrix.out_stride};
    pw_pack(&matrix, t->features.channels, t->logits.channels, engine->packed[1]);
    if (!map->mix)
        t->d_features.data = t->d_pooled.data;
    engine_pass(engine, PHASE_HEAD_GRAD, last, NULL, classifier_grad);
    add_pointwise_grad(engine, map->classifier, map->classifier->dims[0], t->features.channels);
    if (map->mix) {
        pack_pointwise_transposed(map->mix, map->mix->dims[0], t->pooled.channels,
                                  engine->packed[0]);
        engine_pass(engine, PHASE_HEAD_GRAD, last, NULL, mix_grad);
        add_mix_grads(engine);
    }
    divide_by_pixels(engine, last);
}

static void spread(const struct chunk *chunk) {
    const struct tail *t = &chunk->engine->tail;
    const struct plane *dy = chunk->extra;
    for (int i = chunk->first; i < chunk->end; i++) {
        plane_get_row(&t->d_pooled, i, chunk->scratch->row);
        struct act_grad_args args = {.a = plane_image(&chunk->unit->output, i),
                                     .a_block = plane_block(&chunk->unit->output),
                                     .pixels = plane_pixels(dy),
                                     .channels = dy->channels,
                                     .add = chunk->scratch->row,
                                     .dz = plane_image(dy, i),
                                     .dz_block = plane_block(dy)};
        chunk->engine->backward->act_grad_f32(&args);
    }
}

void tail_spread(struct engine *engine, struct unit *last, const struct plane *dy) {
    engine_pass(engine, PHASE_HEAD_GRAD, last, dy, spread);
}
