/* The head: 1x1 convolution with BN and activation; global mean, feature mix, classifier. */
#include <string.h>

#include "supernet/engine_internal.h"

/* ---- 1x1 convolution ---- */

static void convolve(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct plane *out = &u->projected;
    struct tile tile = {0};
    engine_clear_sums(chunk, out);
    while (chunk_next_tile(chunk, out, &tile)) {
        unit_finish_tile(chunk, u - 1, &tile);
        float *sums = engine_sums(chunk->engine, out, tile.group);
        struct pw_args args = {
            .x = tile_data(&u->input, &tile),
            .w = chunk->engine->packed[0],
            .y = tile_data(out, &tile),
            .x_block = plane_block(&u->input),
            .y_block = plane_block(out),
            .pixels = tile.n,
            .c_in = u->input.channels,
            .c_out = out->channels,
            .epi = {.kind = EPI_STATS, .sum = sums, .sum_sq = sums + out->channels}};
        chunk->engine->forward->pw_f32(&args);
    }
}

void head_conv_forward(struct engine *engine, struct unit *unit) {
    pack_pointwise(engine->net->map->final_expand, unit->projected.channels, unit->input.channels,
                   engine->packed[0]);
    engine_pass(engine, PHASE_HEAD, unit, NULL, convolve);
    bn_layer_forward(engine, &unit->projected_bn, &unit->projected);
}

struct head_grad {
    struct plane d_pooled, dz, dx;
};

/* Each pixel's share of the mean's gradient, through the activation. */
static void spread(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct head_grad *g = chunk->extra;
    engine_clear_sums(chunk, &g->dz);
    for (int i = chunk->first; i < chunk->end; i++) {
        float *sums = engine_sums(chunk->engine, &g->dz, i / g->dz.group);
        plane_get_row(&g->d_pooled, i, chunk->scratch->row);
        struct act_grad_args args = {.a = plane_image(&u->projected, i),
                                     .a_block = plane_block(&u->projected),
                                     .pixels = plane_pixels(&g->dz),
                                     .channels = g->dz.channels,
                                     .bn_act = bn_layer_act(&u->projected_bn, u->spec.act),
                                     .add = chunk->scratch->row,
                                     .dz = plane_image(&g->dz, i),
                                     .dz_block = plane_block(&g->dz),
                                     .sum = sums,
                                     .sum_a = sums + g->dz.channels};
        chunk->engine->backward->act_grad_f32(&args);
    }
}

static void convolution_grad(const struct chunk *chunk) {
    const struct engine *e = chunk->engine;
    const struct unit *u = chunk->unit, *before = block_before(u);
    const struct head_grad *g = chunk->extra;
    int c_in = u->input.channels, c_out = g->dz.channels;
    struct tile tile = {0};
    engine_clear_sums(chunk, &g->dx);
    memset(chunk->slot, 0, pw_grad_dense_floats(c_in, c_out) * sizeof(float));
    while (chunk_next_tile(chunk, &g->dz, &tile)) {
        ptrdiff_t block = tile_block(tile.n);
        struct bn_grad_args bn = {.a = tile_data(&u->projected, &tile),
                                  .dz = tile_data(&g->dz, &tile),
                                  .a_block = plane_block(&u->projected),
                                  .dz_block = plane_block(&g->dz),
                                  .pixels = tile.n,
                                  .channels = c_out,
                                  .coef = bn_layer_grad(&u->projected_bn),
                                  .da = chunk->scratch->tile[0],
                                  .da_block = block};
        struct pw_args data = {.x = bn.da,
                               .w = e->packed[0],
                               .y = tile_data(&g->dx, &tile),
                               .x_block = block,
                               .y_block = plane_block(&g->dx),
                               .pixels = tile.n,
                               .c_in = c_out,
                               .c_out = c_in};
        struct pw_grad_args weight = {.x = tile_data(&u->input, &tile),
                                      .dy = bn.da,
                                      .x_block = plane_block(&u->input),
                                      .dy_block = block,
                                      .pixels = tile.n,
                                      .c_in = c_in,
                                      .c_out = c_out,
                                      .dense = chunk->slot};
        e->backward->bn_grad_f32(&bn);
        e->forward->pw_f32(&data);
        e->backward->pw_grad_f32(&weight);
        if (before)
            block_output_sums(chunk, before, &g->dx, &tile);
    }
}

void head_conv_backward(struct engine *engine, struct unit *unit, const struct plane *dx) {
    const struct tensor *weight = engine->net->map->final_expand;
    struct head_grad g = {engine->tail.d_pooled, unit->projected, *dx};
    g.dz.data = engine->wide_grad[0];
    engine_pass(engine, PHASE_HEAD_GRAD, unit, &g, spread);
    bn_layer_backward(engine, &unit->projected_bn, &unit->projected);
    pack_pointwise_transposed(weight, g.dz.channels, unit->input.channels, engine->packed[0]);
    engine_pass(engine, PHASE_HEAD_GRAD, unit, &g, convolution_grad);
    engine->output_summed = block_before(unit) != NULL;
    add_pointwise_grad(engine, weight, g.dz.channels, unit->input.channels);
}
