/* Inverted residual block, forward: 1x1 expand, depthwise, squeeze and excitation, 1x1 project,
 * residual. Every convolution leaves its raw output and the sums for its BN; BN and activation
 * happen where the next layer reads. */
#include <string.h>

#include "supernet/engine_internal.h"
#include "supernet/layers_block.h"
#include "supernet/layers_expand.h"

enum { DW_SCRATCH_FLOATS = 8192 };

/* What the depthwise convolution reads: the expanded plane behind BN and activation, or the block's
 * input. */
struct plane block_dw_input(const struct unit *u) {
    return u->spec.expand_channels ? u->expanded : u->input;
}

static void pad_blocks(const struct chunk *chunk, const struct plane *in, int image, int first,
                       int blocks) {
    const struct unit *u = chunk->unit;
    ptrdiff_t row = dw_row_floats(in->width, u->spec.kernel);
    struct pad_args pad = {.x = plane_image(in, image) + first * plane_block(in),
                           .y = chunk->scratch->plane,
                           .x_block = plane_block(in),
                           .y_row = row,
                           .y_block = row * in->height,
                           .blocks = blocks,
                           .h = in->height,
                           .w = in->width,
                           .pad = u->spec.kernel / 2};
    if (u->spec.expand_channels) {
        pad.scale = u->expanded_bn.batch.scale + first * KERNEL_LANES;
        pad.shift = u->expanded_bn.batch.shift + first * KERNEL_LANES;
        pad.act = u->spec.act;
    }
    chunk->engine->forward->pad_f32(&pad);
}

static void filter_blocks(const struct chunk *chunk, const struct plane *in, int image, int first,
                          int blocks) {
    const struct engine *e = chunk->engine;
    const struct unit *u = chunk->unit;
    const struct plane *out = &u->filtered;
    ptrdiff_t row = dw_row_floats(in->width, u->spec.kernel);
    int channel = first * KERNEL_LANES, taps = u->spec.kernel * u->spec.kernel;
    float *sums = engine_sums(e, out, image / out->group) + channel;
    struct dw_args dw = {.x = chunk->scratch->plane,
                         .w = e->filters_packed + (ptrdiff_t)channel * taps,
                         .y = plane_image(out, image) + first * plane_block(out),
                         .x_row = row,
                         .x_block = row * in->height,
                         .y_row = (ptrdiff_t)out->width * KERNEL_LANES,
                         .y_block = plane_block(out),
                         .blocks = blocks,
                         .h_in = in->height,
                         .w_in = in->width,
                         .kernel = u->spec.kernel,
                         .stride = u->spec.stride,
                         .epi = {.kind = EPI_STATS, .sum = sums, .sum_sq = sums + out->channels}};
    e->forward->dw_f32(&dw);
}

static void filter(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    struct plane in = block_dw_input(u);
    ptrdiff_t floats = dw_row_floats(in.width, u->spec.kernel) * in.height;
    int all = u->mid / KERNEL_LANES, step = (int)(DW_SCRATCH_FLOATS / floats);
    step = step < 1 ? 1 : step > all ? all : step;
    engine_clear_sums(chunk, &u->filtered);
    for (int image = chunk->first; image < chunk->end; image++)
        for (int first = 0; first < all; first += step) {
            int blocks = all - first < step ? all - first : step;
            pad_blocks(chunk, &in, image, first, blocks);
            filter_blocks(chunk, &in, image, first, blocks);
        }
}

/* Where nothing is stored: each panel of channels is expanded and filtered at once. */
static void expand_and_filter(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct plane *in = &u->expanded;
    struct pad_args planes = {.y = chunk->scratch->plane,
                              .y_row = dw_row_floats(in->width, u->spec.kernel),
                              .blocks = PW_PANEL_MAX / KERNEL_LANES,
                              .h = in->height,
                              .w = in->width,
                              .pad = u->spec.kernel / 2};
    planes.y_block = planes.y_row * in->height;
    engine_clear_sums(chunk, &u->filtered);
    dw_zero_columns(&planes);
    for (int image = chunk->first; image < chunk->end; image++)
        for (int channel = 0, width; channel < u->mid; channel += width) {
            width = pw_panel(u->mid - channel);
            planes.blocks = width / KERNEL_LANES;
            expand_into_planes(chunk, &planes, image, channel);
            filter_blocks(chunk, in, image, channel / KERNEL_LANES, planes.blocks);
        }
}

/* ---- Squeeze and excitation ---- */

/* Means of the activated planes: rows for backward, octets for the dense layers. */
static void squeeze(const struct chunk *chunk, int first, int n) {
    const struct unit *u = chunk->unit;
    struct plane octet = {chunk->scratch->octet[0], u->mid, 1, 1, ENGINE_OCTET};
    for (int i = 0; i < n; i++) {
        float *row = u->se_mean + (ptrdiff_t)(first + i) * u->mid;
        struct act_sums_args args = {.a = plane_image(&u->filtered, first + i),
                                     .a_block = plane_block(&u->filtered),
                                     .pixels = plane_pixels(&u->filtered),
                                     .channels = u->mid,
                                     .bn_act = bn_layer_act(&u->filtered_bn, u->spec.act),
                                     .sum = row};
        memset(row, 0, (size_t)u->mid * sizeof *row);
        chunk->engine->backward->act_sums_f32(&args);
        for (int c = 0; c < u->mid; c++)
            row[c] /= (float)plane_pixels(&u->filtered);
        plane_put_row(&octet, i, row);
    }
}

static void dense_octet(const struct chunk *chunk, const struct plane *from, const struct plane *to,
                        int n, const float *packed, const float *bias, enum act act) {
    struct pw_args args = {.x = from->data,
                           .w = packed,
                           .y = to->data,
                           .x_block = plane_block(from),
                           .y_block = plane_block(to),
                           .pixels = n,
                           .c_in = from->channels,
                           .c_out = to->channels,
                           .epi = {.kind = EPI_AFFINE, .act = act, .shift = bias}};
    chunk->engine->forward->pw_f32(&args);
}

static void excite(const struct chunk *chunk, int first, int n) {
    const struct engine *e = chunk->engine;
    const struct unit *u = chunk->unit;
    float *const *memory = chunk->scratch->octet;
    struct plane mean = {memory[0], u->mid, 1, 1, ENGINE_OCTET};
    struct plane hidden = {memory[1], u->spec.se_channels, 1, 1, ENGINE_OCTET};
    struct plane gate = {memory[2], u->mid, 1, 1, ENGINE_OCTET};
    dense_octet(chunk, &mean, &hidden, n, e->packed[1], u->tensors->se_reduce_bias->data, ACT_RELU);
    dense_octet(chunk, &hidden, &gate, n, e->packed[2], u->tensors->se_expand_bias->data,
                ACT_HSIGMOID);
    for (int i = 0; i < n; i++) {
        plane_get_row(&hidden, i, u->se_hidden + (ptrdiff_t)(first + i) * hidden.channels);
        plane_get_row(&gate, i, u->se_gate + (ptrdiff_t)(first + i) * u->mid);
    }
}

/* ---- Project ---- */

/* The filtered plane behind BN, activation and gate, in the thread's first tile. */
static void activate_tile(const struct chunk *chunk, const struct tile *tile) {
    const struct engine *e = chunk->engine;
    const struct unit *u = chunk->unit;
    ptrdiff_t block = tile_block(tile->n);
    struct affine_args args = {.x = tile_data(&u->filtered, tile),
                               .y = chunk->scratch->tile[0],
                               .x_block = plane_block(&u->filtered),
                               .y_block = block,
                               .pixels = tile->n,
                               .channels = u->mid,
                               .scale = u->filtered_bn.batch.scale,
                               .shift = u->filtered_bn.batch.shift,
                               .act = u->spec.act};
    e->forward->affine_f32(&args);
    struct tile_part part = {0};
    while (u->spec.se_channels && tile_next_part(&u->filtered, tile, &part)) {
        float *at = chunk->scratch->tile[0] + (ptrdiff_t)part.first * KERNEL_LANES;
        struct affine_args gate = {.x = at,
                                   .y = at,
                                   .x_block = block,
                                   .y_block = block,
                                   .pixels = part.n,
                                   .channels = u->mid,
                                   .scale = u->se_gate + (ptrdiff_t)part.image * u->mid};
        e->forward->affine_f32(&gate);
    }
}

static void project(const struct chunk *chunk) {
    const struct engine *e = chunk->engine;
    const struct unit *u = chunk->unit;
    const struct plane *out = &u->projected;
    struct tile tile = {0};
    for (int i = chunk->first; u->spec.se_channels && i < chunk->end; i += ENGINE_OCTET) {
        int n = chunk->end - i < ENGINE_OCTET ? chunk->end - i : ENGINE_OCTET;
        squeeze(chunk, i, n);
        excite(chunk, i, n);
    }
    engine_clear_sums(chunk, out);
    while (chunk_next_tile(chunk, out, &tile)) {
        float *sums = engine_sums(e, out, tile.group);
        activate_tile(chunk, &tile);
        struct pw_args args = {
            .x = chunk->scratch->tile[0],
            .w = e->packed[0],
            .y = tile_data(out, &tile),
            .x_block = tile_block(tile.n),
            .y_block = plane_block(out),
            .pixels = tile.n,
            .c_in = u->mid,
            .c_out = out->channels,
            .epi = {.kind = EPI_STATS, .sum = sums, .sum_sq = sums + out->channels}};
        e->forward->pw_f32(&args);
    }
}

/* ---- The kernel sizes of a block's depthwise filters ---- */

void block_kernel_chain(const struct block_tensors *t, int kernel, struct kernel_chain *chain,
                        int *ret_step) {
    *chain = (struct kernel_chain){.n_sizes = 1, .sizes = {t->kernel}};
    for (int k = t->kernel - 2; k >= kernel; k -= 2) {
        chain->matrix[chain->n_sizes - 1] = t->transforms[k]->data;
        chain->sizes[chain->n_sizes++] = k;
    }
    *ret_step = chain->n_sizes - 1;
}

void block_pack_filters(struct engine *engine, const struct unit *unit) {
    struct kernel_chain chain;
    int step;
    block_kernel_chain(unit->tensors, unit->spec.kernel, &chain, &step);
    kernel_transform(&chain, unit->tensors->depthwise->data, unit->mid, step, engine->filters);
    dw_pack(engine->filters, unit->mid, unit->spec.kernel, false, engine->filters_packed);
}

void block_project(struct engine *engine, struct unit *unit) {
    const struct block_tensors *t = unit->tensors;
    pack_pointwise(t->project, unit->output.channels, unit->mid, engine->packed[0]);
    if (unit->spec.se_channels) {
        pack_pointwise(t->se_reduce, unit->spec.se_channels, unit->mid, engine->packed[1]);
        pack_pointwise(t->se_expand, unit->mid, unit->spec.se_channels, engine->packed[2]);
    }
    engine_pass(engine, PHASE_PROJECT, unit, NULL, project);
    bn_layer_forward(engine, &unit->projected_bn, &unit->projected);
    drop_forward(engine, unit);
}

void block_forward(struct engine *engine, struct unit *unit) {
    if (unit->spec.expand_channels)
        expand_forward(engine, unit);
    else
        unit_finish(engine, unit - 1);
    block_pack_filters(engine, unit);
    engine_pass(engine, PHASE_FILTER, unit, NULL, unit->merged ? expand_and_filter : filter);
    bn_layer_forward(engine, &unit->filtered_bn, &unit->filtered);
    block_project(engine, unit);
}
