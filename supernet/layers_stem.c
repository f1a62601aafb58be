/* The stem: dense convolution on the images, BN, activation; and what ends any unit's forward. */
#include <string.h>

#include "supernet/engine_internal.h"

static const float *image_planes(const struct chunk *chunk, int image) {
    const struct unit_spec *s = &chunk->unit->spec;
    return chunk->engine->images + (ptrdiff_t)image * s->c_in * s->h_in * s->w_in;
}

static void convolve(const struct chunk *chunk) {
    struct engine *e = chunk->engine;
    const struct unit_spec *s = &chunk->unit->spec;
    const struct plane *out = &chunk->unit->projected;
    engine_clear_sums(chunk, out);
    for (int i = chunk->first; i < chunk->end; i++) {
        float *sums = engine_sums(e, out, i / out->group);
        struct conv_args args = {
            .x = image_planes(chunk, i),
            .w = e->packed[0],
            .y = plane_image(out, i),
            .scratch = chunk->scratch->plane,
            .y_block = plane_block(out),
            .c_in = s->c_in,
            .h_in = s->h_in,
            .w_in = s->w_in,
            .c_out = s->c_out,
            .kernel = s->kernel,
            .stride = s->stride,
            .epi = {.kind = EPI_STATS, .sum = sums, .sum_sq = sums + out->channels}};
        e->forward->conv_f32(&args);
    }
}

/* The branch of each image as it is, scaled or left out, behind its activation, and the input. */
static void finish_dropped(const struct chunk *chunk, const struct unit *u,
                           const struct tile *tile) {
    struct tile_part part = {0};
    while (tile_next_part(&u->output, tile, &part)) {
        ptrdiff_t at = (ptrdiff_t)part.first * KERNEL_LANES;
        struct affine_args args = {.x = tile_data(&u->projected, tile) + at,
                                   .y = tile_data(&u->output, tile) + at,
                                   .x_block = plane_block(&u->projected),
                                   .y_block = plane_block(&u->output),
                                   .pixels = part.n,
                                   .channels = u->output.channels,
                                   .scale = drop_vector(u, &part, u->drop.scale),
                                   .shift = drop_vector(u, &part, u->drop.shift)};
        if (u->spec.kind == UNIT_CONV) { /* an activation stands before the scaling */
            args.scale = u->projected_bn.batch.scale;
            args.shift = u->projected_bn.batch.shift;
            args.act = u->spec.act;
            chunk->engine->forward->affine_f32(&args);
            args.x = args.y;
            args.x_block = args.y_block;
            args.scale = drop_vector(u, &part, u->drop.factor);
            args.shift = NULL;
            args.act = ACT_NONE;
        }
        args.residual = tile_data(&u->input, tile) + at;
        args.residual_block = plane_block(&u->input);
        chunk->engine->forward->affine_f32(&args);
    }
}

void unit_finish_tile(const struct chunk *chunk, const struct unit *u, const struct tile *tile) {
    if (u->spec.kind == UNIT_BOTTLENECK) {
        bottleneck_finish_tile(chunk, u, tile);
        return;
    }
    if (u->drop.on) {
        finish_dropped(chunk, u, tile);
        return;
    }
    struct affine_args args = {.x = tile_data(&u->projected, tile),
                               .y = tile_data(&u->output, tile),
                               .x_block = plane_block(&u->projected),
                               .y_block = plane_block(&u->output),
                               .pixels = tile->n,
                               .channels = u->output.channels,
                               .scale = u->projected_bn.batch.scale,
                               .shift = u->projected_bn.batch.shift,
                               .act = u->spec.kind == UNIT_BLOCK ? ACT_NONE : u->spec.act};
    if (u->spec.residual) {
        args.residual = tile_data(&u->input, tile);
        args.residual_block = plane_block(&u->input);
    }
    chunk->engine->forward->affine_f32(&args);
}

static void finish(const struct chunk *chunk) {
    struct tile tile = {0};
    while (chunk_next_tile(chunk, &chunk->unit->output, &tile))
        unit_finish_tile(chunk, chunk->unit, &tile);
}

void unit_finish(struct engine *engine, struct unit *unit) {
    engine_pass(engine, PHASE_FINISH, unit, NULL, finish);
}

void stem_forward(struct engine *engine, struct unit *unit) {
    const struct unit_spec *s = &unit->spec;
    conv_pack(engine->net->map->stem->data, s->c_out, s->c_in, s->kernel, engine->packed[0]);
    engine_pass(engine, PHASE_STEM, unit, NULL, convolve);
    bn_layer_forward(engine, &unit->projected_bn, &unit->projected);
}

/* dz over dy, with its sums */
static void through_activation(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct plane *dy = chunk->extra;
    struct tile tile = {0};
    engine_clear_sums(chunk, dy);
    while (chunk_next_tile(chunk, dy, &tile)) {
        float *sums = engine_sums(chunk->engine, dy, tile.group);
        struct act_grad_args args = {.a = tile_data(&u->projected, &tile),
                                     .dy = tile_data(dy, &tile),
                                     .a_block = plane_block(&u->projected),
                                     .dy_block = plane_block(dy),
                                     .pixels = tile.n,
                                     .channels = dy->channels,
                                     .bn_act = bn_layer_act(&u->projected_bn, u->spec.act),
                                     .dz = tile_data(dy, &tile),
                                     .dz_block = plane_block(dy),
                                     .sum = sums,
                                     .sum_a = sums + dy->channels};
        chunk->engine->backward->act_grad_f32(&args);
    }
}

static size_t dense_floats(const struct unit_spec *s) {
    return (size_t)((s->c_out + 7) / 8 * 8 * s->c_in * s->kernel * s->kernel);
}

static void through_bn(const struct chunk *chunk, const struct plane *dz, int image) {
    const struct unit *u = chunk->unit;
    struct bn_grad_args args = {.a = plane_image(&u->projected, image),
                                .dz = plane_image(dz, image),
                                .a_block = plane_block(&u->projected),
                                .dz_block = plane_block(dz),
                                .pixels = plane_pixels(dz),
                                .channels = dz->channels,
                                .coef = bn_layer_grad(&u->projected_bn),
                                .da = plane_image(dz, image),
                                .da_block = plane_block(dz)};
    chunk->engine->backward->bn_grad_f32(&args);
}

static void kernel_weight_grad(const struct chunk *chunk, const struct plane *dz, int image) {
    const struct unit_spec *s = &chunk->unit->spec;
    struct stem_grad_args args = {.x = image_planes(chunk, image),
                                  .images = 1,
                                  .c_in = s->c_in,
                                  .h_in = s->h_in,
                                  .w_in = s->w_in,
                                  .stride = s->stride,
                                  .c_out = s->c_out,
                                  .dy = plane_image(dz, image),
                                  .dy_block = plane_block(dz),
                                  .dense = chunk->slot,
                                  .scratch = chunk->scratch->plane};
    chunk->engine->backward->stem_grad_f32(&args);
}

/* Sums of one tap, for a block of channels: sum over output pixels of dz times the input below. */
static void plain_tap(const struct unit_spec *s, const struct plane *dz, const float *dz_block,
                      const float *x, int tap, float *ret_sums) {
    int row0 = tap / s->kernel - s->kernel / 2, column0 = tap % s->kernel - s->kernel / 2;
    for (int r = 0; r < dz->height; r++)
        for (int q = 0; q < dz->width; q++) {
            int row = r * s->stride + row0, column = q * s->stride + column0;
            if (row < 0 || row >= s->h_in || column < 0 || column >= s->w_in)
                continue;
            const float *d = dz_block + ((ptrdiff_t)r * dz->width + q) * KERNEL_LANES;
            for (int k = 0; k < KERNEL_LANES; k++)
                ret_sums[k] += d[k] * x[(ptrdiff_t)row * s->w_in + column];
        }
}

/* Stems that the kernel does not know: other sizes, more input channels. */
static void plain_weight_grad(const struct chunk *chunk, const struct plane *dz, int image) {
    const struct unit_spec *s = &chunk->unit->spec;
    const float *x = image_planes(chunk, image);
    int taps = s->kernel * s->kernel;
    float *sums = chunk->slot;
    for (int b = 0; b < dz->channels / KERNEL_LANES; b++)
        for (int i = 0; i < s->c_in * taps; i++, sums += KERNEL_LANES)
            plain_tap(s, dz, plane_image(dz, image) + b * plane_block(dz),
                      x + (ptrdiff_t)(i / taps) * s->h_in * s->w_in, i % taps, sums);
}

static void weight_grad(const struct chunk *chunk) {
    const struct unit_spec *s = &chunk->unit->spec;
    const struct plane *dz = chunk->extra;
    bool known = s->kernel == 3 && s->c_in <= 4;
    memset(chunk->slot, 0, dense_floats(s) * sizeof(float));
    for (int i = chunk->first; i < chunk->end; i++) {
        through_bn(chunk, dz, i);
        if (known)
            kernel_weight_grad(chunk, dz, i);
        else
            plain_weight_grad(chunk, dz, i);
    }
}

void stem_backward(struct engine *engine, struct unit *unit, const struct plane *dy) {
    const struct unit_spec *s = &unit->spec;
    int taps = s->c_in * s->kernel * s->kernel;
    engine_pass(engine, PHASE_STEM_GRAD, unit, dy, through_activation);
    bn_layer_backward(engine, &unit->projected_bn, dy);
    engine_pass(engine, PHASE_STEM_GRAD, unit, dy, weight_grad);
    engine_sum_slots(engine, dense_floats(s));
    taps_grad_unpack_add(engine->slots, s->c_out, taps, engine->net->map->stem->grad, taps);
}
