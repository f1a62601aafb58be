/* A block's expanding 1x1 convolution, forward, in two ways.
 *
 * Stored: a pass of its own writes the expanded plane and sums up what its BN needs.
 *
 * Merged, where the input has few channels: the expanded plane, the largest of the block, is never
 * written. Its BN's statistics follow from the first and second moments of the input, since
 * a = W x has mean W E x and second moment diag(W E xx' W'), so BN and activation are known before
 * the first pixel is expanded; the depthwise pass then expands one panel of channels of one image
 * at a time into padded planes that stay in cache. Backward expands again. The moments cost c_in^2
 * a pixel, which pays for few channels; backward needs them too. */
#include <string.h>

#include "supernet/layers_expand.h"

/* ---- Stored ---- */

static void expand(const struct chunk *chunk) {
    const struct engine *e = chunk->engine;
    const struct unit *u = chunk->unit;
    struct tile tile = {0};
    engine_clear_sums(chunk, &u->expanded);
    while (chunk_next_tile(chunk, &u->input, &tile)) {
        unit_finish_tile(chunk, u - 1, &tile);
        float *sums = engine_sums(e, &u->expanded, tile.group);
        struct pw_args args = {.x = tile_data(&u->input, &tile),
                               .w = e->packed[0],
                               .y = tile_data(&u->expanded, &tile),
                               .x_block = plane_block(&u->input),
                               .y_block = plane_block(&u->expanded),
                               .pixels = tile.n,
                               .c_in = u->input.channels,
                               .c_out = u->mid,
                               .epi = {.kind = EPI_STATS, .sum = sums, .sum_sq = sums + u->mid}};
        e->forward->pw_f32(&args);
    }
}

/* ---- Merged ---- */

static size_t gram_floats(int channels) {
    return (pw_grad_dense_floats(channels, channels) + 15) / 16 * 16;
}

size_t moments_floats(int channels) {
    return gram_floats(channels) + (size_t)(channels + 15) / 16 * 16;
}

struct moments moments_of(float *memory, int channels) {
    return (struct moments){memory, memory + gram_floats(channels)};
}

static void finish_input(const struct chunk *chunk) {
    struct tile tile = {0};
    while (chunk_next_tile(chunk, &chunk->unit->input, &tile))
        unit_finish_tile(chunk, chunk->unit - 1, &tile);
}

static void measure_input(const struct chunk *chunk) {
    const struct engine *e = chunk->engine;
    const struct plane *input = &chunk->unit->input;
    struct moments moments = moments_of(chunk->slot, input->channels);
    struct tile tile = {0};
    memset(chunk->slot, 0, moments_floats(input->channels) * sizeof(float));
    while (chunk_next_tile(chunk, input, &tile)) {
        unit_finish_tile(chunk, chunk->unit - 1, &tile);
        const float *x = tile_data(input, &tile);
        struct pw_grad_args gram = {.x = x,
                                    .dy = x,
                                    .x_block = plane_block(input),
                                    .dy_block = plane_block(input),
                                    .pixels = tile.n,
                                    .c_in = input->channels,
                                    .c_out = input->channels,
                                    .dense = moments.gram};
        struct stats_args sums = {.x = x,
                                  .x_block = plane_block(input),
                                  .pixels = tile.n,
                                  .channels = input->channels,
                                  .sum = moments.sums};
        e->backward->pw_grad_f32(&gram);
        e->forward->stats_f32(&sums);
    }
}

/* Mean and second moment of each expanded channel: w' E x and w' E xx' w, in doubles. */
static void expanded_moments(const struct unit *u, const struct tensor *weight, double *mean,
                             double *square) {
    int c_in = u->input.channels;
    struct moments moments = moments_of(u->moments, c_in);
    double scale = 1 / (double)u->expanded_bn.pixels;
    for (int j = 0; j < u->mid; j++) {
        const float *w = weight->data + (ptrdiff_t)j * weight->dims[1];
        double first = 0, second = 0;
        for (int i = 0; i < c_in; i++) {
            const float *row = moments.gram + (ptrdiff_t)i * c_in;
            double product = 0;
            for (int k = 0; k < i; k++)
                product += (double)row[k] * w[k];
            first += (double)moments.sums[i] * w[i];
            second += w[i] * (2 * product + (double)row[i] * w[i]);
        }
        mean[j] = first * scale;
        square[j] = second * scale;
    }
}

static void merged_statistics(struct engine *engine, struct unit *u) {
    double mean[ENGINE_MERGED_MID_MAX], square[ENGINE_MERGED_MID_MAX];
    if (engine->run.mode == ENGINE_EVAL) {
        engine_pass(engine, PHASE_EXPAND, u, NULL, finish_input);
    } else {
        size_t floats = moments_floats(u->input.channels);
        engine_pass(engine, PHASE_EXPAND, u, NULL, measure_input);
        engine_sum_slots(engine, floats);
        memcpy(u->moments, engine->slots, floats * sizeof(float));
        expanded_moments(u, u->tensors->expand, mean, square);
    }
    bn_layer_forward_from(engine, &u->expanded_bn, mean, square);
}

void expand_into_planes(const struct chunk *chunk, const struct pad_args *planes, int image,
                        int channel) {
    const struct engine *e = chunk->engine;
    const struct unit *u = chunk->unit;
    const struct bn_batch *bn = &u->expanded_bn.batch;
    struct pw_args args = {.x = plane_image(&u->input, image),
                           .w = e->packed[0] + (ptrdiff_t)channel * u->input.channels,
                           .y = planes->y + planes->pad * KERNEL_LANES,
                           .x_block = plane_block(&u->input),
                           .y_block = planes->y_block,
                           .pixels = plane_pixels(&u->input),
                           .c_in = u->input.channels,
                           .c_out = planes->blocks * KERNEL_LANES,
                           .y_width = planes->w,
                           .y_row = planes->y_row,
                           .epi = {.kind = EPI_AFFINE,
                                   .act = u->spec.act,
                                   .scale = bn->scale + channel,
                                   .shift = bn->shift + channel}};
    e->forward->pw_f32(&args);
}

void expand_again(const struct chunk *chunk, int first, int n, int channel, int channels) {
    const struct engine *e = chunk->engine;
    const struct unit *u = chunk->unit;
    int pixels = n * plane_pixels(&u->input);
    struct pw_args args = {.x = plane_image(&u->input, first),
                           .w = e->packed[1] + (ptrdiff_t)channel * u->input.channels,
                           .y = chunk->scratch->panel,
                           .x_block = plane_block(&u->input),
                           .y_block = tile_block(pixels),
                           .pixels = pixels,
                           .c_in = u->input.channels,
                           .c_out = channels};
    e->forward->pw_f32(&args);
}

void expand_forward(struct engine *engine, struct unit *unit) {
    const struct tensor *weight = unit->tensors->expand;
    pack_pointwise(weight, unit->mid, unit->input.channels, engine->packed[0]);
    if (unit->merged) {
        merged_statistics(engine, unit);
    } else {
        engine_pass(engine, PHASE_EXPAND, unit, NULL, expand);
        bn_layer_forward(engine, &unit->expanded_bn, &unit->expanded);
    }
}
