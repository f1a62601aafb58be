/* Conv block: dense convolution, BN, activation, and the input behind it where the block is
 * residual. */
#include <string.h>

#include "supernet/layers_dense.h"

static struct dense_layer layer_of(const struct unit *u) {
    return (struct dense_layer){u->tensors->dense, u->input, u->projected, u->spec.kernel,
                                u->spec.stride};
}

static void convolve(const struct chunk *chunk) {
    struct dense_layer layer = layer_of(chunk->unit);
    engine_clear_sums(chunk, &layer.out);
    for (int i = chunk->first; i < chunk->end; i++)
        dense_forward(chunk, &layer, i, plane_image(&layer.in, i), plane_block(&layer.in));
}

void conv_forward(struct engine *engine, struct unit *unit) {
    struct dense_layer layer = layer_of(unit);
    unit_finish(engine, unit - 1);
    dense_prepare(engine, &layer);
    engine_pass(engine, PHASE_FILTER, unit, NULL, convolve);
    bn_layer_forward(engine, &unit->projected_bn, &unit->projected);
    drop_forward(engine, unit);
}

/* dz: of the output before its activation, in the engine's second wide gradient. */
struct conv_grad {
    struct plane dy, dx, dz;
};

static void through_activation(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct conv_grad *g = chunk->extra;
    struct tile tile = {0};
    engine_clear_sums(chunk, &g->dz);
    while (chunk_next_tile(chunk, &g->dz, &tile)) {
        float *sums = engine_sums(chunk->engine, &g->dz, tile.group);
        struct tile_part part = {0};
        while (drop_next_part(u, &g->dz, &tile, &part)) {
            ptrdiff_t at = (ptrdiff_t)part.first * KERNEL_LANES;
            struct act_grad_args args = {.a = tile_data(&u->projected, &tile) + at,
                                         .dy = tile_data(&g->dy, &tile) + at,
                                         .a_block = plane_block(&u->projected),
                                         .dy_block = plane_block(&g->dy),
                                         .pixels = part.n,
                                         .channels = g->dz.channels,
                                         .bn_act = bn_layer_act(&u->projected_bn, u->spec.act),
                                         .gate = u->drop.on ? drop_vector(u, &part, u->drop.factor)
                                                            : NULL,
                                         .dz = tile_data(&g->dz, &tile) + at,
                                         .dz_block = plane_block(&g->dz),
                                         .sum = sums,
                                         .sum_a = sums + g->dz.channels};
            chunk->engine->backward->act_grad_f32(&args);
        }
    }
}

/* The shortcut hands dy on as it is. */
static struct epilogue shortcut(const struct unit *u, const struct conv_grad *g, int image) {
    if (!u->spec.residual)
        return (struct epilogue){.kind = EPI_STORE};
    return (struct epilogue){.kind = EPI_AFFINE,
                             .residual = plane_image(&g->dy, image),
                             .residual_block = plane_block(&g->dy)};
}

static void convolution_grad(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct conv_grad *g = chunk->extra;
    struct dense_layer layer = layer_of(u);
    int run = dense_run(&layer);
    memset(chunk->slot, 0, dense_slot_floats(&layer) * sizeof(float));
    for (int first = chunk->first; first < chunk->end; first += run) {
        int n = chunk->end - first < run ? chunk->end - first : run;
        dense_bn_grad(chunk, &u->projected_bn, &u->projected, &g->dz, first, n);
        dense_weight_grad(chunk, &layer, &g->dz, first, n, plane_image(&layer.in, first),
                          plane_block(&layer.in));
        for (int i = first; i < first + n; i++) {
            struct epilogue epi = shortcut(u, g, i);
            dense_data_grad(chunk, &layer, &g->dz, &g->dx, i, &epi);
        }
    }
}

void conv_backward(struct engine *engine, struct unit *unit, const struct plane *dy,
                   const struct plane *dx) {
    struct dense_layer layer = layer_of(unit);
    struct conv_grad g = {*dy, *dx, unit->projected};
    g.dz.data = engine->wide_grad[1];
    engine_pass(engine, PHASE_OUTPUT_SUMS, unit, &g, through_activation);
    bn_layer_backward(engine, &unit->projected_bn, &unit->projected);
    dense_prepare_transposed(engine, &layer);
    engine_pass(engine, PHASE_FILTER_GRAD, unit, &g, convolution_grad);
    dense_add_grad(engine, &layer);
}
