/* Inverted residual block, backward. Three barriers, one for each BN: sums of dz and dz * a have to
 * be complete before a gradient passes through it.
 *
 *   output_sums      dy -> sums of the last BN
 *   project_grad     dy -> gradient of the projected plane, project's weights, excitation; leaves
 * dz of the filtered plane in the engine's second wide gradient filter_grad      -> depthwise
 * weights; leaves dz of the expanded plane in the first expand_grad      -> expand's weights and dx
 */
#include <string.h>

#include "supernet/layers_block_grad.h"
#include "supernet/layers_expand.h"

static void output_sums(const struct chunk *chunk) {
    const struct block_grad *g = chunk->extra;
    struct tile tile = {0};
    engine_clear_sums(chunk, &g->dy);
    while (chunk_next_tile(chunk, &g->dy, &tile))
        block_output_sums(chunk, chunk->unit, &g->dy, &tile);
}

/* ---- Project ---- */

/* Gradient of the projected plane in the thread's second tile. */
static void projected_tile(const struct chunk *chunk, const struct tile *tile) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    struct tile_part part = {0};
    while (drop_next_part(u, &g->dy, tile, &part)) {
        ptrdiff_t at = (ptrdiff_t)part.first * KERNEL_LANES;
        struct bn_grad_args args = {.a = tile_data(&u->projected, tile) + at,
                                    .dz = tile_data(&g->dy, tile) + at,
                                    .a_block = plane_block(&u->projected),
                                    .dz_block = plane_block(&g->dy),
                                    .pixels = part.n,
                                    .channels = g->dy.channels,
                                    .coef = bn_layer_grad(&u->projected_bn),
                                    .da = chunk->scratch->tile[1] + at,
                                    .da_block = tile_block(tile->n)};
        if (u->drop.on)
            args.coef.on_dz = drop_vector(u, &part, u->drop.on_dz);
        chunk->engine->backward->bn_grad_f32(&args);
    }
}

/* Gradient of what project read, from the second tile. */
static void project_data_grad(const struct chunk *chunk, const struct tile *tile, float *dh,
                              ptrdiff_t dh_block) {
    const struct unit *u = chunk->unit;
    struct pw_args args = {.x = chunk->scratch->tile[1],
                           .w = chunk->engine->packed[0],
                           .y = dh,
                           .x_block = tile_block(tile->n),
                           .y_block = dh_block,
                           .pixels = tile->n,
                           .c_in = u->output.channels,
                           .c_out = u->mid};
    chunk->engine->forward->pw_f32(&args);
}

/* From the first tile (what project read) and the second. */
static void project_weight_grad(const struct chunk *chunk, const struct tile *tile) {
    ptrdiff_t block = tile_block(tile->n);
    struct pw_grad_args args = {.x = chunk->scratch->tile[0],
                                .dy = chunk->scratch->tile[1],
                                .x_block = block,
                                .dy_block = block,
                                .pixels = tile->n,
                                .c_in = chunk->unit->mid,
                                .c_out = chunk->unit->output.channels,
                                .dense = chunk->slot};
    chunk->engine->backward->pw_grad_f32(&args);
}

static struct act_grad_args filtered_act_grad(const struct chunk *chunk, const struct tile *tile) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    float *sums = engine_sums(chunk->engine, &g->d_filtered, tile->group);
    return (struct act_grad_args){.a = tile_data(&u->filtered, tile),
                                  .a_block = plane_block(&u->filtered),
                                  .pixels = tile->n,
                                  .channels = u->mid,
                                  .bn_act = bn_layer_act(&u->filtered_bn, u->spec.act),
                                  .dz = tile_data(&g->d_filtered, tile),
                                  .dz_block = plane_block(&g->d_filtered),
                                  .sum = sums,
                                  .sum_a = sums + u->mid};
}

static void project_grad(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    struct tile tile = {0};
    engine_clear_sums(chunk, &g->d_filtered);
    memset(chunk->slot, 0, pw_grad_dense_floats(u->mid, u->output.channels) * sizeof(float));
    while (chunk_next_tile(chunk, &g->dy, &tile)) {
        ptrdiff_t block = tile_block(tile.n);
        projected_tile(chunk, &tile);
        project_data_grad(chunk, &tile, chunk->scratch->tile[2], block);
        struct act_grad_args args = filtered_act_grad(chunk, &tile);
        args.dy = chunk->scratch->tile[2];
        args.dy_block = block;
        args.h = chunk->scratch->tile[0];
        args.h_block = block;
        chunk->engine->backward->act_grad_f32(&args);
        project_weight_grad(chunk, &tile);
    }
}

/* ---- Project behind squeeze and excitation ---- */

/* d_gate of the tile's images, and what project read in the first tile. */
static void gate_grad(const struct chunk *chunk, const struct tile *tile) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    struct tile_part part = {0};
    while (tile_next_part(&u->filtered, tile, &part)) {
        ptrdiff_t at = (ptrdiff_t)part.first * KERNEL_LANES;
        ptrdiff_t row = (ptrdiff_t)part.image * u->mid;
        struct se_gate_grad_args args = {.a = tile_data(&u->filtered, tile) + at,
                                         .dy = tile_data(&g->d_filtered, tile) + at,
                                         .a_block = plane_block(&u->filtered),
                                         .dy_block = plane_block(&g->d_filtered),
                                         .pixels = part.n,
                                         .channels = u->mid,
                                         .bn_act = bn_layer_act(&u->filtered_bn, u->spec.act),
                                         .d_gate = chunk->engine->se_grad[0] + row,
                                         .gate = u->se_gate + row,
                                         .h = chunk->scratch->tile[0] + at,
                                         .h_block = tile_block(tile->n)};
        chunk->engine->backward->se_gate_grad_f32(&args);
    }
}

/* The dense layers' arguments for images [first, end) of this rank's; no place for the weights'
 * gradients yet. */
static struct se_grad_args excitation_args(const struct engine *e, const struct unit *u, int first,
                                           int end) {
    const struct block_tensors *t = u->tensors;
    ptrdiff_t mid = u->mid, hidden = u->spec.se_channels;
    return (struct se_grad_args){.n = end - first,
                                 .channels = u->mid,
                                 .hidden_channels = u->spec.se_channels,
                                 .c_ld = mid,
                                 .hidden_ld = hidden,
                                 .mean = u->se_mean + first * mid,
                                 .hidden = u->se_hidden + first * hidden,
                                 .gate = u->se_gate + first * mid,
                                 .d_gate = e->se_grad[0] + first * mid,
                                 .d_hidden = e->se_grad[1] + first * hidden,
                                 .d_mean = e->se_grad[2] + first * mid,
                                 .reduce = t->se_reduce->data,
                                 .expand = t->se_expand->data,
                                 .reduce_ld = t->se_reduce->dims[1],
                                 .expand_ld = t->se_expand->dims[1]};
}

/* Through the dense layers: d_gate to d_mean, divided by the pixels that it is a mean of. */
static void excitation_grad(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    struct se_grad_args args = excitation_args(chunk->engine, u, chunk->first, chunk->end);
    se_grad_data(chunk->engine->backward, &args);
    float inverse = 1 / (float)plane_pixels(&u->filtered);
    for (ptrdiff_t i = 0; i < args.n * args.c_ld; i++)
        args.d_mean[i] *= inverse;
}

/* dz of the filtered plane from what arrives through the gate and through the mean. */
static void through_gate(const struct chunk *chunk, const struct tile *tile) {
    const struct unit *u = chunk->unit;
    struct tile_part part = {0};
    while (tile_next_part(&u->filtered, tile, &part)) {
        struct act_grad_args args = filtered_act_grad(chunk, tile);
        ptrdiff_t at = (ptrdiff_t)part.first * KERNEL_LANES;
        ptrdiff_t row = (ptrdiff_t)part.image * u->mid;
        args.a += at;
        args.dz += at;
        args.dy = args.dz;
        args.dy_block = args.dz_block;
        args.pixels = part.n;
        args.gate = u->se_gate + row;
        args.add = chunk->engine->se_grad[2] + row;
        chunk->engine->backward->act_grad_f32(&args);
    }
}

static void project_se_grad(const struct chunk *chunk) {
    const struct engine *e = chunk->engine;
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    engine_clear_sums(chunk, &g->d_filtered);
    memset(chunk->slot, 0, pw_grad_dense_floats(u->mid, u->output.channels) * sizeof(float));
    memset(e->se_grad[0] + (ptrdiff_t)chunk->first * u->mid, 0,
           (size_t)(chunk->end - chunk->first) * (size_t)u->mid * sizeof(float));
    struct tile tile = {0};
    while (chunk_next_tile(chunk, &g->dy, &tile)) {
        projected_tile(chunk, &tile);
        project_data_grad(chunk, &tile, tile_data(&g->d_filtered, &tile),
                          plane_block(&g->d_filtered));
        gate_grad(chunk, &tile);
        project_weight_grad(chunk, &tile);
    }
    excitation_grad(chunk);
    tile = (struct tile){0};
    while (chunk_next_tile(chunk, &g->d_filtered, &tile))
        through_gate(chunk, &tile);
}

/* ---- Gradients of excitation's weights ---- */

/* A part's rows of both matrices; as numbers: expand's weights, its biases, reduce's, its biases.
 * `at`: floats of the parts before. */
struct excitation_part {
    int mid, hidden, expand_first, expand_rows, reduce_first, reduce_rows;
    size_t at, floats;
};

static struct excitation_part excitation_part(int mid, int hidden, int part) {
    struct excitation_part p = {.mid = mid, .hidden = hidden};
    p.expand_first = se_grad_row(mid, part, EXCITATION_PARTS);
    p.reduce_first = se_grad_row(hidden, part, EXCITATION_PARTS);
    p.expand_rows = se_grad_row(mid, part + 1, EXCITATION_PARTS) - p.expand_first;
    p.reduce_rows = se_grad_row(hidden, part + 1, EXCITATION_PARTS) - p.reduce_first;
    p.at =
        (size_t)p.expand_first * (size_t)(hidden + 1) + (size_t)p.reduce_first * (size_t)(mid + 1);
    p.floats =
        (size_t)p.expand_rows * (size_t)(hidden + 1) + (size_t)p.reduce_rows * (size_t)(mid + 1);
    return p;
}

size_t block_excitation_floats(int mid, int hidden) {
    return excitation_part(mid, hidden, EXCITATION_PARTS).at;
}

size_t block_excitation_part_floats(int mid, int hidden) {
    size_t rows = (size_t)(mid / EXCITATION_PARTS + 1) * (size_t)(hidden + 1) +
                  (size_t)(hidden / EXCITATION_PARTS + 1) * (size_t)(mid + 1);
    return ENGINE_SLOTS * aligned_floats(rows);
}

static void point_at(struct se_grad_args *args, const struct excitation_part *p, float *numbers) {
    args->d_expand = numbers;
    args->d_expand_bias = args->d_expand + p->expand_rows * p->hidden;
    args->d_reduce = args->d_expand_bias + p->expand_rows;
    args->d_reduce_bias = args->d_reduce + p->reduce_rows * p->mid;
}

/* One part for the images of each chunk, folded in cache, into the first slot. */
static void excitation_weight_grad(void *context, int part, int thread) {
    const struct chunk *batch = context;
    struct engine *e = batch->engine;
    struct excitation_part p =
        excitation_part(batch->unit->mid, batch->unit->spec.se_channels, part);
    size_t stride = aligned_floats(p.floats);
    float *numbers = e->scratch[thread].excite;
    int each = e->run.shard.chunk, chunks = engine_chunks(e);
    memset(numbers, 0, (size_t)chunks * stride * sizeof *numbers);
    for (int s = 0; s < chunks; s++) {
        int first = s * each, end = first + each < batch->end ? first + each : batch->end;
        struct se_grad_args args = excitation_args(e, batch->unit, first, end);
        args.expand_ld = p.hidden;
        args.reduce_ld = p.mid;
        point_at(&args, &p, numbers + (size_t)s * stride);
        se_grad_weights(e->backward, &args, part, EXCITATION_PARTS);
    }
    engine_sum_parts(numbers, stride, chunks, p.floats);
    memcpy(e->slots + p.at, numbers, p.floats * sizeof *numbers);
}

static void add_rows(struct tensor *weight, int first, int rows, int n, const float *from) {
    for (int r = 0; r < rows; r++, from += n)
        for (int i = 0; i < n; i++)
            weight->grad[(ptrdiff_t)(first + r) * (weight->n_dims > 1 ? weight->dims[1] : 1) + i] +=
                from[i];
}

static void add_excitation_grad(void *context, int part, int thread) {
    const struct chunk *batch = context;
    const struct block_tensors *t = batch->unit->tensors;
    struct excitation_part p =
        excitation_part(batch->unit->mid, batch->unit->spec.se_channels, part);
    struct se_grad_args at;
    point_at(&at, &p, batch->engine->slots + p.at);
    add_rows(t->se_expand, p.expand_first, p.expand_rows, p.hidden, at.d_expand);
    add_rows(t->se_expand_bias, p.expand_first, p.expand_rows, 1, at.d_expand_bias);
    add_rows(t->se_reduce, p.reduce_first, p.reduce_rows, p.mid, at.d_reduce);
    add_rows(t->se_reduce_bias, p.reduce_first, p.reduce_rows, 1, at.d_reduce_bias);
}

static void excitation_weight_grads(struct engine *e, struct unit *u) {
    struct chunk batch = {.engine = e, .unit = u, .end = e->n_images};
    parallel_for(e->pool, EXCITATION_PARTS, excitation_weight_grad, &batch);
    comm_sum_f32(e->comm, e->slots, block_excitation_floats(u->mid, u->spec.se_channels));
    parallel_for(e->pool, EXCITATION_PARTS, add_excitation_grad, &batch);
}

void block_project_backward(struct engine *engine, struct unit *u, const struct block_grad *g) {
    const struct block_tensors *t = u->tensors;
    pack_pointwise_transposed(t->project, u->output.channels, u->mid, engine->packed[0]);
    engine_pass(engine, PHASE_PROJECT_GRAD, u, g,
                u->spec.se_channels ? project_se_grad : project_grad);
    add_pointwise_grad(engine, t->project, u->output.channels, u->mid);
    if (u->spec.se_channels)
        excitation_weight_grads(engine, u);
}

/* ---- Depthwise ---- */

/* Images [first, first + n), which lie together in the planes on both sides; panel: the first block
 * of channels in the thread's panel, where the unit is merged. */
struct run {
    int first, n, panel;
};

/* Where the gradient of one block of channels of the depthwise convolution's input goes: the
 * thread's memory, the wide plane, or dx itself. */
static float *input_grad_of_run(const struct chunk *chunk, const struct run *run, int block) {
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    if (u->merged)
        return chunk->scratch->run + block * tile_block(run->n * plane_pixels(&u->expanded));
    const struct plane *to = u->spec.expand_channels ? &g->d_expanded : &g->dx;
    return plane_image(to, run->first) + block * plane_block(to);
}

/* What the depthwise convolution read, before its BN: a stored plane, or what was expanded again.
 */
static const float *input_of_run(const struct chunk *chunk, const struct run *run, int block) {
    const struct unit *u = chunk->unit;
    struct plane in = block_dw_input(u);
    if (u->merged)
        return chunk->scratch->panel +
               (block - run->panel) * tile_block(run->n * plane_pixels(&in));
    return plane_image(&in, run->first) + block * plane_block(&in);
}

static void filter_run_grad(const struct chunk *chunk, const struct run *run, int block) {
    const struct engine *e = chunk->engine;
    const struct unit *u = chunk->unit;
    const struct block_grad *g = chunk->extra;
    struct plane in = block_dw_input(u);
    int c = block * KERNEL_LANES, taps = u->spec.kernel * u->spec.kernel;
    struct bn_act act = bn_layer_act(&u->expanded_bn, u->spec.act);
    struct bn_grad_coef coef = bn_layer_grad(&u->filtered_bn);
    coef = (struct bn_grad_coef){coef.on_dz + c, coef.on_a + c, coef.offset + c};
    if (u->spec.expand_channels)
        act = (struct bn_act){act.scale + c, act.shift + c, act.act};
    struct dw_grad_args args = {
        .images = run->n,
        .h_in = in.height,
        .w_in = in.width,
        .kernel = u->spec.kernel,
        .stride = u->spec.stride,
        .x = input_of_run(chunk, run, block),
        .x_image = (ptrdiff_t)plane_pixels(&in) * KERNEL_LANES,
        .x_bn_act = u->spec.expand_channels ? &act : NULL,
        .dy = plane_image(&g->d_filtered, run->first) + block * plane_block(&g->d_filtered),
        .dy_image = (ptrdiff_t)plane_pixels(&g->d_filtered) * KERNEL_LANES,
        .y = plane_image(&u->filtered, run->first) + block * plane_block(&u->filtered),
        .y_image = (ptrdiff_t)plane_pixels(&u->filtered) * KERNEL_LANES,
        .y_coef = &coef,
        .w = e->filters_packed + (ptrdiff_t)c * taps,
        .d_weight = chunk->slot + (ptrdiff_t)c * taps,
        .dx = input_grad_of_run(chunk, run, block),
        .dx_image = (ptrdiff_t)plane_pixels(&in) * KERNEL_LANES,
        .scratch = chunk->scratch->plane};
    e->backward->dw_grad_f32(&args);
}

/* dz over the gradient of the activated expanded plane, with its sums. */
static void expanded_act_grad(const struct chunk *chunk, const struct run *run, int block) {
    const struct unit *u = chunk->unit;
    int c = block * KERNEL_LANES;
    float *sums = engine_sums(chunk->engine, &u->expanded, run->first / u->expanded.group) + c;
    float *dz = input_grad_of_run(chunk, run, block);
    struct bn_act act = bn_layer_act(&u->expanded_bn, u->spec.act);
    struct act_grad_args args = {.a = input_of_run(chunk, run, block),
                                 .dy = dz,
                                 .pixels = run->n * plane_pixels(&u->expanded),
                                 .channels = KERNEL_LANES,
                                 .bn_act = {act.scale + c, act.shift + c, act.act},
                                 .dz = dz,
                                 .sum = sums,
                                 .sum_a = sums + u->mid};
    chunk->engine->backward->act_grad_f32(&args);
}

static void filter_blocks_grad(const struct chunk *chunk, const struct run *run, int first,
                               int end) {
    for (int block = first; block < end; block++) {
        filter_run_grad(chunk, run, block);
        if (chunk->unit->spec.expand_channels)
            expanded_act_grad(chunk, run, block);
    }
}

/* Panel by panel, each expanded again for it; then expand's own gradients of the run. */
static void merged_run_grad(const struct chunk *chunk, struct run *run) {
    int mid = chunk->unit->mid;
    for (int channel = 0, width; channel < mid; channel += width) {
        width = pw_panel(mid - channel);
        run->panel = channel / KERNEL_LANES;
        expand_again(chunk, run->first, run->n, channel, width);
        filter_blocks_grad(chunk, run, run->panel, (channel + width) / KERNEL_LANES);
    }
    expand_merged_run(chunk, run->first, run->n);
}

static size_t slot_floats(const struct unit *u) {
    return u->merged ? expand_merged_slot(u).end : block_filter_floats(u);
}

static void filter_grad(const struct chunk *chunk) {
    const struct unit *u = chunk->unit;
    struct plane in = block_dw_input(u);
    int step = in.group < u->filtered.group ? in.group : u->filtered.group;
    if (u->spec.expand_channels)
        engine_clear_sums(chunk, &u->expanded);
    memset(chunk->slot, 0, slot_floats(u) * sizeof(float));
    for (int first = chunk->first; first < chunk->end; first += step) {
        struct run run = {first, chunk->end - first < step ? chunk->end - first : step, 0};
        if (u->merged)
            merged_run_grad(chunk, &run);
        else
            filter_blocks_grad(chunk, &run, 0, u->mid / KERNEL_LANES);
    }
}

/* From the gradient of the filters in use to those of the largest filters and the transforms. */
static void add_filter_grads(struct engine *engine, const struct unit *u) {
    struct kernel_chain chain;
    struct kernel_chain_grad grad = {.master = u->tensors->depthwise->grad};
    int step, taps = u->spec.kernel * u->spec.kernel;
    block_kernel_chain(u->tensors, u->spec.kernel, &chain, &step);
    for (int i = 1; i < chain.n_sizes; i++)
        grad.matrix[i - 1] = u->tensors->transforms[chain.sizes[i]]->grad;
    memset(engine->filters, 0, block_filter_floats(u) * sizeof(float));
    taps_grad_unpack_add(engine->slots, u->mid, taps, engine->filters, taps);
    kernel_transform_grad(&chain, u->tensors->depthwise->data, u->mid, step, engine->filters,
                          &grad);
}

/* The shortcut of a block that does not expand. */
static void add_residual(const struct chunk *chunk) {
    const struct block_grad *g = chunk->extra;
    struct tile tile = {0};
    while (chunk_next_tile(chunk, &g->dx, &tile)) {
        struct affine_args args = {.x = tile_data(&g->dx, &tile),
                                   .y = tile_data(&g->dx, &tile),
                                   .x_block = plane_block(&g->dx),
                                   .y_block = plane_block(&g->dx),
                                   .pixels = tile.n,
                                   .channels = g->dx.channels,
                                   .residual = tile_data(&g->dy, &tile),
                                   .residual_block = plane_block(&g->dy)};
        chunk->engine->forward->affine_f32(&args);
    }
}

static struct plane like(const struct plane *plane, float *data) {
    struct plane copy = *plane;
    copy.data = data;
    return copy;
}

static void filter_backward(struct engine *engine, struct unit *u, const struct block_grad *g) {
    block_pack_filters(engine, u);
    if (u->merged)
        expand_merged_prepare(engine, u);
    engine_pass(engine, PHASE_FILTER_GRAD, u, g, filter_grad);
    engine_sum_slots(engine, slot_floats(u));
    add_filter_grads(engine, u);
}

void block_backward(struct engine *engine, struct unit *unit, const struct plane *dy,
                    const struct plane *dx) {
    struct block_grad g = {.dy = *dy,
                           .dx = *dx,
                           .d_filtered = like(&unit->filtered, engine->wide_grad[1]),
                           .d_expanded = like(&unit->expanded, engine->wide_grad[0])};
    if (!engine->output_summed)
        engine_pass(engine, PHASE_OUTPUT_SUMS, unit, &g, output_sums);
    engine->output_summed = false;
    bn_layer_backward(engine, &unit->projected_bn, &unit->projected);
    drop_backward(unit);
    block_project_backward(engine, unit, &g);
    bn_layer_backward(engine, &unit->filtered_bn, &unit->filtered);
    filter_backward(engine, unit, &g);
    if (unit->merged)
        expand_merged_finish(engine, unit, &g);
    else if (unit->spec.expand_channels)
        expand_backward(engine, unit, &g);
    else if (unit->spec.residual)
        engine_pass(engine, PHASE_EXPAND_GRAD, unit, &g, add_residual);
}
