/* Gradients of a block's expanding 1x1 convolution, a = W x, behind BN: da = A dz + C a + B with
 * vectors over channels, where C and B are known only when dz has been summed over the batch.
 *
 * Separate: a pass of its own reads dz and a again, once the sums are there.
 *
 * Merged, where the input has few channels: A is known beforehand, so W' (A dz) and dz x' are taken
 * while dz is still in cache, and what C and B add follows from small matrices behind the barrier:
 *     dx = W' (A dz) + M x + W' B        M = W' diag(C) W
 *     dW = A (dz x') + C (W G) + B s'    G = sum x x', s = sum x
 * The wide gradient is never stored. M x and G cost c_in^2 a pixel, which pays for few channels. */
#include <string.h>

#include "supernet/layers_block_grad.h"
#include "supernet/layers_expand.h"

void block_output_sums(const struct chunk *chunk, const struct unit *block, const struct plane *dy,
                       const struct tile *tile) {
    float *sums = engine_sums(chunk->engine, dy, tile->group);
    struct tile_part part = {0};
    while (drop_next_part(block, dy, tile, &part)) {
        ptrdiff_t at = (ptrdiff_t)part.first * KERNEL_LANES;
        struct act_grad_args args = {.a = tile_data(&block->projected, tile) + at,
                                     .dy = tile_data(dy, tile) + at,
                                     .a_block = plane_block(&block->projected),
                                     .dy_block = plane_block(dy),
                                     .pixels = part.n,
                                     .channels = dy->channels,
                                     .bn_act = bn_layer_act(&block->projected_bn, ACT_NONE),
                                     .sum = sums,
                                     .sum_a = sums + dy->channels};
        if (block->drop.on)
            args.gate = drop_vector(block, &part, block->drop.factor);
        chunk->engine->backward->act_grad_f32(&args);
    }
}

/* ---- Separate ---- */

static void expanded_tile(const struct chunk *chunk, const struct tile *tile) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    struct bn_grad_args args = {.a = tile_data(&u->expanded, tile),
                                .dz = tile_data(&g->d_expanded, tile),
                                .a_block = plane_block(&u->expanded),
                                .dz_block = plane_block(&g->d_expanded),
                                .pixels = tile->n,
                                .channels = u->mid,
                                .coef = bn_layer_grad(&u->expanded_bn),
                                .da = chunk->scratch->tile[0],
                                .da_block = tile_block(tile->n)};
    chunk->engine->backward->bn_grad_f32(&args);
}

static void expand_data_grad(const struct chunk *chunk, const struct tile *tile) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    struct pw_args args = {.x = chunk->scratch->tile[0],
                           .w = chunk->engine->packed[0],
                           .y = tile_data(&g->dx, tile),
                           .x_block = tile_block(tile->n),
                           .y_block = plane_block(&g->dx),
                           .pixels = tile->n,
                           .c_in = u->mid,
                           .c_out = u->input.channels};
    if (u->spec.residual)
        args.epi = (struct epilogue){.kind = EPI_AFFINE,
                                     .residual = tile_data(&g->dy, tile),
                                     .residual_block = plane_block(&g->dy)};
    chunk->engine->forward->pw_f32(&args);
}

static void expand_grad(const struct chunk *chunk) {
    const struct unit *u = chunk->unit, *before = block_before(u);
    const struct block_grad *g = chunk->extra;
    struct tile tile = {0};
    engine_clear_sums(chunk, &g->dx);
    memset(chunk->slot, 0, pw_grad_dense_floats(u->input.channels, u->mid) * sizeof(float));
    while (chunk_next_tile(chunk, &g->dx, &tile)) {
        expanded_tile(chunk, &tile);
        expand_data_grad(chunk, &tile);
        struct pw_grad_args args = {.x = tile_data(&u->input, &tile),
                                    .dy = chunk->scratch->tile[0],
                                    .x_block = plane_block(&u->input),
                                    .dy_block = tile_block(tile.n),
                                    .pixels = tile.n,
                                    .c_in = u->input.channels,
                                    .c_out = u->mid,
                                    .dense = chunk->slot};
        chunk->engine->backward->pw_grad_f32(&args);
        if (before)
            block_output_sums(chunk, before, &g->dx, &tile);
    }
}

void expand_backward(struct engine *engine, struct unit *u, const struct block_grad *g) {
    bn_layer_backward(engine, &u->expanded_bn, &u->expanded);
    pack_pointwise_transposed(u->tensors->expand, u->mid, u->input.channels, engine->packed[0]);
    engine_pass(engine, PHASE_EXPAND_GRAD, u, g, expand_grad);
    engine->output_summed = block_before(u) != NULL;
    add_pointwise_grad(engine, u->tensors->expand, u->mid, u->input.channels);
}

/* ---- Merged ---- */

struct merged_slot expand_merged_slot(const struct unit *u) {
    int c_in = u->input.channels;
    struct merged_slot s;
    s.weight = aligned_floats(block_filter_floats(u));
    s.end = s.weight + aligned_floats(pw_grad_dense_floats(c_in, u->mid));
    return s;
}

/* Small matrices: weights with channels blocked ([c_in / 8][mid][8]) and what is made of them. */
struct merge_work {
    float *weight, *scaled, *product; /* c_in * mid */
    float *matrix, *dense;            /* c_in * c_in */
    float *vector;                    /* c_in */
};

static struct merge_work merge_work_of(float *base, int c_in, int mid) {
    size_t wide = aligned_floats((size_t)c_in * (size_t)mid);
    size_t square = aligned_floats(pw_grad_dense_floats(c_in, c_in));
    float *squares = base + 3 * wide;
    return (struct merge_work){base,    base + wide,      base + 2 * wide,
                               squares, squares + square, squares + 2 * square};
}

size_t expand_merged_work_floats(int c_in, int mid) {
    return 3 * aligned_floats((size_t)c_in * (size_t)mid) +
           2 * aligned_floats(pw_grad_dense_floats(c_in, c_in)) + aligned_floats((size_t)c_in);
}

static float *blocked_at(float *blocked, int mid, int j, int i) {
    return blocked + ((ptrdiff_t)(i / KERNEL_LANES) * mid + j) * KERNEL_LANES + i % KERNEL_LANES;
}

void expand_merged_prepare(struct engine *engine, const struct unit *u) {
    int c_in = u->input.channels;
    const struct tensor *weight = u->tensors->expand;
    float *scaled = merge_work_of(engine->merge_work, c_in, u->mid).scaled;
    for (int j = 0; j < u->mid; j++)
        for (int i = 0; i < c_in; i++)
            scaled[(ptrdiff_t)j * c_in + i] =
                u->expanded_bn.batch.scale[j] * weight->data[(ptrdiff_t)j * weight->dims[1] + i];
    struct pw_matrix matrix = {scaled, 1, c_in};
    pw_pack(&matrix, c_in, u->mid, engine->packed[0]);
    pack_pointwise(weight, u->mid, c_in, engine->packed[1]);
}

/* W' (A dz) of pixels [p, p + n) of a run of images that has `pixels`. */
static void merged_data_grad(const struct chunk *chunk, int first, int pixels, int p, int n) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    ptrdiff_t at = (ptrdiff_t)p * KERNEL_LANES;
    struct pw_args args = {.x = chunk->scratch->run + at,
                           .w = chunk->engine->packed[0],
                           .y = plane_image(&g->dx, first) + at,
                           .x_block = tile_block(pixels),
                           .y_block = plane_block(&g->dx),
                           .pixels = n,
                           .c_in = u->mid,
                           .c_out = u->input.channels};
    if (u->spec.residual)
        args.epi = (struct epilogue){.kind = EPI_AFFINE,
                                     .residual = plane_image(&g->dy, first) + at,
                                     .residual_block = plane_block(&g->dy)};
    chunk->engine->forward->pw_f32(&args);
}

/* dz x' of the same pixels. */
static void merged_weight_grad(const struct chunk *chunk, int first, int pixels, int p, int n) {
    const struct unit *u = chunk->unit;
    struct pw_grad_args weight = {.x = plane_image(&u->input, first) + (ptrdiff_t)p * KERNEL_LANES,
                                  .dy = chunk->scratch->run + (ptrdiff_t)p * KERNEL_LANES,
                                  .x_block = plane_block(&u->input),
                                  .dy_block = tile_block(pixels),
                                  .pixels = n,
                                  .c_in = u->input.channels,
                                  .c_out = u->mid,
                                  .dense = chunk->slot + expand_merged_slot(u).weight};
    chunk->engine->backward->pw_grad_f32(&weight);
}

void expand_merged_run(const struct chunk *chunk, int first, int n) {
    int pixels = n * plane_pixels(&chunk->unit->expanded);
    for (int p = 0; p < pixels; p += ENGINE_TILE) {
        int part = pixels - p < ENGINE_TILE ? pixels - p : ENGINE_TILE;
        merged_data_grad(chunk, first, pixels, p, part);
        merged_weight_grad(chunk, first, pixels, p, part);
    }
}

/* W with blocked channels, and diag(C) W alike; vector = W' B. */
static void block_weights(const struct unit *u, const struct merge_work *work) {
    const struct tensor *weight = u->tensors->expand;
    struct bn_grad_coef coef = bn_layer_grad(&u->expanded_bn);
    int c_in = u->input.channels;
    memset(work->vector, 0, (size_t)c_in * sizeof(float));
    for (int j = 0; j < u->mid; j++)
        for (int i = 0; i < c_in; i++) {
            float w = weight->data[(ptrdiff_t)j * weight->dims[1] + i];
            *blocked_at(work->weight, u->mid, j, i) = w;
            *blocked_at(work->scaled, u->mid, j, i) = coef.on_a[j] * w;
            work->vector[i] += coef.offset[j] * w;
        }
}

/* product = W G, packing G into packed. */
static void multiply_gram(const struct engine *e, const struct unit *u,
                          const struct merge_work *work) {
    int c_in = u->input.channels;
    struct pw_matrix matrix = {moments_of(u->moments, c_in).gram, c_in, 1};
    pw_pack(&matrix, c_in, c_in, e->packed[0]);
    struct pw_args args = {.x = work->weight,
                           .w = e->packed[0],
                           .y = work->product,
                           .x_block = (ptrdiff_t)u->mid * KERNEL_LANES,
                           .y_block = (ptrdiff_t)u->mid * KERNEL_LANES,
                           .pixels = u->mid,
                           .c_in = c_in,
                           .c_out = c_in};
    e->forward->pw_f32(&args);
}

/* M, packed for the correction of dx. */
static void pack_correction(const struct engine *e, const struct unit *u,
                            const struct merge_work *work) {
    int c_in = u->input.channels;
    ptrdiff_t block = (ptrdiff_t)u->mid * KERNEL_LANES;
    struct pw_grad_args args = {work->weight, work->scaled, block, block,
                                u->mid,       c_in,         c_in,  work->dense};
    struct pw_matrix matrix = {work->matrix, c_in, 1};
    memset(work->dense, 0, pw_grad_dense_floats(c_in, c_in) * sizeof(float));
    memset(work->matrix, 0, (size_t)(c_in * c_in) * sizeof(float));
    e->backward->pw_grad_f32(&args);
    pw_grad_unpack_add(work->dense, c_in, c_in, work->matrix, c_in);
    pw_pack(&matrix, c_in, c_in, e->packed[0]);
}

/* dz x' comes out of the slots unscaled; the rows of the gradient take it with A, C and B. */
static void add_merged_grad(const struct engine *e, const struct unit *u,
                            const struct merge_work *work, float *raw) {
    const struct tensor *weight = u->tensors->expand;
    struct merged_slot slot = expand_merged_slot(u);
    struct bn_grad_coef coef = bn_layer_grad(&u->expanded_bn);
    int c_in = u->input.channels;
    const float *sums = moments_of(u->moments, c_in).sums;
    memset(raw, 0, (size_t)u->mid * (size_t)c_in * sizeof(float));
    pw_grad_unpack_add(e->slots + slot.weight, c_in, u->mid, raw, c_in);
    for (int j = 0; j < u->mid; j++)
        for (int i = 0; i < c_in; i++)
            weight->grad[(ptrdiff_t)j * weight->dims[1] + i] +=
                coef.on_dz[j] * raw[(ptrdiff_t)j * c_in + i] +
                coef.on_a[j] * *blocked_at(work->product, u->mid, j, i) + coef.offset[j] * sums[i];
}

/* dx += M x + W' B, complete with the sums of the block before. */
static void correct(const struct chunk *chunk) {
    const struct unit *u = chunk->unit, *before = block_before(u);
    const struct block_grad *g = chunk->extra;
    const float *vector =
        merge_work_of(chunk->engine->merge_work, u->input.channels, u->mid).vector;
    struct tile tile = {0};
    engine_clear_sums(chunk, &g->dx);
    while (chunk_next_tile(chunk, &g->dx, &tile)) {
        float *dx = tile_data(&g->dx, &tile);
        struct pw_args args = {.x = tile_data(&u->input, &tile),
                               .w = chunk->engine->packed[0],
                               .y = dx,
                               .x_block = plane_block(&u->input),
                               .y_block = plane_block(&g->dx),
                               .pixels = tile.n,
                               .c_in = u->input.channels,
                               .c_out = u->input.channels,
                               .epi = {.kind = EPI_AFFINE,
                                       .shift = vector,
                                       .residual = dx,
                                       .residual_block = plane_block(&g->dx)}};
        chunk->engine->forward->pw_f32(&args);
        if (before)
            block_output_sums(chunk, before, &g->dx, &tile);
    }
}

void expand_merged_finish(struct engine *engine, struct unit *u, const struct block_grad *g) {
    int c_in = u->input.channels;
    struct merge_work work = merge_work_of(engine->merge_work, c_in, u->mid);
    bn_layer_backward(engine, &u->expanded_bn, &u->expanded);
    block_weights(u, &work);
    multiply_gram(engine, u, &work);
    pack_correction(engine, u, &work);
    add_merged_grad(engine, u, &work, work.scaled);
    engine_pass(engine, PHASE_EXPAND_GRAD, u, g, correct);
    engine->output_summed = block_before(u) != NULL;
}
