/* Bottleneck: 1x1 reduce, dense k x k, 1x1 project, and the input or a strided 1x1 of it added;
 * activation behind the sum. Reduce and project are an inverted residual block's expand and project
 * in all that they do, and run by its code.
 *
 * Backward makes the sum again, tile by tile, for the activation's slope; from there on dy is the
 * gradient of the sum, which is that of the projected plane behind BN and of the shortcut alike. */
#include <string.h>

#include "supernet/layers_block_grad.h"
#include "supernet/layers_dense.h"
#include "supernet/layers_expand.h"

static struct dense_layer filter_of(const struct unit *u) {
    return (struct dense_layer){u->tensors->dense, u->expanded, u->filtered, u->spec.kernel,
                                u->spec.stride};
}

static struct dense_layer shortcut_of(const struct unit *u) {
    return (struct dense_layer){u->tensors->shortcut, u->input, u->shortcut, 1, u->spec.stride};
}

/* ---- Forward ---- */

/* Reduced images [first, first + n) behind BN and activation, image after image, in the thread's
 * plane. Returns the floats from one block to the next. */
static ptrdiff_t activate_images(const struct chunk *chunk, int first, int n) {
    const struct unit *u = chunk->unit;
    ptrdiff_t block = (ptrdiff_t)n * plane_pixels(&u->expanded) * KERNEL_LANES;
    struct affine_args args = {.x = plane_image(&u->expanded, first),
                               .y = chunk->scratch->plane,
                               .x_block = plane_block(&u->expanded),
                               .y_block = block,
                               .pixels = n * plane_pixels(&u->expanded),
                               .channels = u->mid,
                               .scale = u->expanded_bn.batch.scale,
                               .shift = u->expanded_bn.batch.shift,
                               .act = u->spec.act};
    chunk->engine->forward->affine_f32(&args);
    return block;
}

static void filter(const struct chunk *chunk) {
    struct dense_layer layer = filter_of(chunk->unit);
    engine_clear_sums(chunk, &layer.out);
    for (int i = chunk->first; i < chunk->end; i++) {
        ptrdiff_t block = activate_images(chunk, i, 1);
        dense_forward(chunk, &layer, i, chunk->scratch->plane, block);
    }
}

static void shortcut(const struct chunk *chunk) {
    struct dense_layer layer = shortcut_of(chunk->unit);
    engine_clear_sums(chunk, &layer.out);
    for (int i = chunk->first; i < chunk->end; i++)
        dense_forward(chunk, &layer, i, plane_image(&layer.in, i), plane_block(&layer.in));
}

void bottleneck_forward(struct engine *engine, struct unit *unit) {
    struct dense_layer filtered = filter_of(unit);
    expand_forward(engine, unit);
    dense_prepare(engine, &filtered);
    engine_pass(engine, PHASE_FILTER, unit, NULL, filter);
    bn_layer_forward(engine, &unit->filtered_bn, &unit->filtered);
    if (!unit->spec.residual) {
        struct dense_layer layer = shortcut_of(unit);
        dense_prepare(engine, &layer);
        engine_pass(engine, PHASE_PROJECT, unit, NULL, shortcut);
        bn_layer_forward(engine, &unit->shortcut_bn, &unit->shortcut);
    }
    block_project(engine, unit);
}

/* The sum's last part: args of the whole tile, or image by image where branches are dropped. */
static void add_branch(const struct chunk *chunk, const struct unit *u, const struct tile *tile,
                       const struct affine_args *whole) {
    struct tile_part part = {0};
    while (drop_next_part(u, &u->output, tile, &part)) {
        struct affine_args args = *whole;
        ptrdiff_t at = (ptrdiff_t)part.first * KERNEL_LANES;
        args.x += at;
        args.y += at;
        args.residual += at;
        args.pixels = part.n;
        if (u->drop.on) {
            args.scale = drop_vector(u, &part, u->drop.scale);
            args.shift = drop_vector(u, &part, u->drop.shift);
        }
        chunk->engine->forward->affine_f32(&args);
    }
}

/* What the activation is of, into y. */
static void sum_tile(const struct chunk *chunk, const struct unit *u, const struct tile *tile,
                     float *y, ptrdiff_t y_block) {
    struct affine_args args = {.y = y,
                               .y_block = y_block,
                               .pixels = tile->n,
                               .channels = u->output.channels,
                               .residual = tile_data(&u->input, tile),
                               .residual_block = plane_block(&u->input)};
    if (!u->spec.residual) {
        args.residual = NULL;
        args.x = tile_data(&u->shortcut, tile);
        args.x_block = plane_block(&u->shortcut);
        args.scale = u->shortcut_bn.batch.scale;
        args.shift = u->shortcut_bn.batch.shift;
        chunk->engine->forward->affine_f32(&args);
        args.residual = y;
        args.residual_block = y_block;
    }
    args.x = tile_data(&u->projected, tile);
    args.x_block = plane_block(&u->projected);
    args.scale = u->projected_bn.batch.scale;
    args.shift = u->projected_bn.batch.shift;
    add_branch(chunk, u, tile, &args);
}

void bottleneck_finish_tile(const struct chunk *chunk, const struct unit *u,
                            const struct tile *tile) {
    float *y = tile_data(&u->output, tile);
    ptrdiff_t block = plane_block(&u->output);
    sum_tile(chunk, u, tile, y, block);
    struct affine_args args = {.x = y,
                               .y = y,
                               .x_block = block,
                               .y_block = block,
                               .pixels = tile->n,
                               .channels = u->output.channels,
                               .act = u->spec.act};
    chunk->engine->forward->affine_f32(&args);
}

/* ---- Backward ---- */

/* dy becomes the gradient of the sum, with the sums for project's BN. */
static void through_activation(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    struct tile tile = {0};
    engine_clear_sums(chunk, &g->dy);
    while (chunk_next_tile(chunk, &g->dy, &tile)) {
        ptrdiff_t block = tile_block(tile.n);
        sum_tile(chunk, u, &tile, chunk->scratch->tile[0], block);
        struct act_grad_args args = {.a = chunk->scratch->tile[0],
                                     .dy = tile_data(&g->dy, &tile),
                                     .a_block = block,
                                     .dy_block = plane_block(&g->dy),
                                     .pixels = tile.n,
                                     .channels = g->dy.channels,
                                     .bn_act = {NULL, NULL, u->spec.act},
                                     .dz = tile_data(&g->dy, &tile),
                                     .dz_block = plane_block(&g->dy)};
        chunk->engine->backward->act_grad_f32(&args);
        block_output_sums(chunk, u, &g->dy, &tile);
    }
}

static void shortcut_sums(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    struct tile tile = {0};
    engine_clear_sums(chunk, &g->dy);
    while (chunk_next_tile(chunk, &g->dy, &tile)) {
        float *sums = engine_sums(chunk->engine, &g->dy, tile.group);
        struct act_grad_args args = {.a = tile_data(&u->shortcut, &tile),
                                     .dy = tile_data(&g->dy, &tile),
                                     .a_block = plane_block(&u->shortcut),
                                     .dy_block = plane_block(&g->dy),
                                     .pixels = tile.n,
                                     .channels = g->dy.channels,
                                     .bn_act = bn_layer_act(&u->shortcut_bn, ACT_NONE),
                                     .sum = sums,
                                     .sum_a = sums + g->dy.channels};
        chunk->engine->backward->act_grad_f32(&args);
    }
}

/* dz over the gradient of the activated reduced images [first, first + n), with its sums. */
static void reduced_act_grad(const struct chunk *chunk, int first, int n) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    float *sums = engine_sums(chunk->engine, &u->expanded, first / u->expanded.group);
    float *dz = plane_image(&g->d_expanded, first);
    struct act_grad_args args = {.a = plane_image(&u->expanded, first),
                                 .dy = dz,
                                 .a_block = plane_block(&u->expanded),
                                 .dy_block = plane_block(&g->d_expanded),
                                 .pixels = n * plane_pixels(&u->expanded),
                                 .channels = u->mid,
                                 .bn_act = bn_layer_act(&u->expanded_bn, u->spec.act),
                                 .dz = dz,
                                 .dz_block = plane_block(&g->d_expanded),
                                 .sum = sums,
                                 .sum_a = sums + u->mid};
    chunk->engine->backward->act_grad_f32(&args);
}

static void filter_grad(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    struct dense_layer layer = filter_of(u);
    const struct epilogue store = {.kind = EPI_STORE};
    int run = dense_run(&layer);
    engine_clear_sums(chunk, &u->expanded);
    memset(chunk->slot, 0, dense_slot_floats(&layer) * sizeof(float));
    for (int first = chunk->first; first < chunk->end; first += run) {
        int n = chunk->end - first < run ? chunk->end - first : run;
        ptrdiff_t block = activate_images(chunk, first, n);
        dense_bn_grad(chunk, &u->filtered_bn, &u->filtered, &g->d_filtered, first, n);
        dense_weight_grad(chunk, &layer, &g->d_filtered, first, n, chunk->scratch->plane, block);
        for (int i = first; i < first + n; i++)
            dense_data_grad(chunk, &layer, &g->d_filtered, &g->d_expanded, i, &store);
        reduced_act_grad(chunk, first, n);
    }
}

/* Adds to dx; dy is used up. */
static void shortcut_grad(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    struct dense_layer layer = shortcut_of(u);
    const struct epilogue add = {.kind = EPI_ADD};
    int run = dense_run(&layer);
    memset(chunk->slot, 0, dense_slot_floats(&layer) * sizeof(float));
    for (int first = chunk->first; first < chunk->end; first += run) {
        int n = chunk->end - first < run ? chunk->end - first : run;
        dense_bn_grad(chunk, &u->shortcut_bn, &u->shortcut, &g->dy, first, n);
        dense_weight_grad(chunk, &layer, &g->dy, first, n, plane_image(&layer.in, first),
                          plane_block(&layer.in));
        for (int i = first; i < first + n; i++)
            dense_data_grad(chunk, &layer, &g->dy, &g->dx, i, &add);
    }
}

static void filter_backward(struct engine *engine, struct unit *u, const struct block_grad *g) {
    struct dense_layer layer = filter_of(u);
    dense_prepare_transposed(engine, &layer);
    engine_pass(engine, PHASE_FILTER_GRAD, u, g, filter_grad);
    dense_add_grad(engine, &layer);
}

static void shortcut_backward(struct engine *engine, struct unit *u, const struct block_grad *g) {
    struct dense_layer layer = shortcut_of(u);
    dense_prepare_transposed(engine, &layer);
    engine_pass(engine, PHASE_EXPAND_GRAD, u, g, shortcut_grad);
    dense_add_grad(engine, &layer);
    engine->output_summed = false; /* reduce's pass summed a dx that was not complete */
}

void bottleneck_backward(struct engine *engine, struct unit *unit, const struct plane *dy,
                         const struct plane *dx) {
    struct block_grad g = {*dy, *dx, unit->filtered, unit->expanded};
    g.d_filtered.data = engine->wide_grad[1];
    g.d_expanded.data = engine->wide_grad[0];
    engine_pass(engine, PHASE_OUTPUT_SUMS, unit, &g, through_activation);
    bn_layer_backward(engine, &unit->projected_bn, &unit->projected);
    drop_backward(unit);
    if (!unit->spec.residual) {
        engine_pass(engine, PHASE_OUTPUT_SUMS, unit, &g, shortcut_sums);
        bn_layer_backward(engine, &unit->shortcut_bn, &unit->shortcut);
    }
    block_project_backward(engine, unit, &g);
    bn_layer_backward(engine, &unit->filtered_bn, &unit->filtered);
    filter_backward(engine, unit, &g);
    expand_backward(engine, unit, &g);
    if (!unit->spec.residual)
        shortcut_backward(engine, unit, &g);
}
