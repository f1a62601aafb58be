#include <string.h>

#include "base/memory.h"
#include "supernet/layers_block_grad.h"
#include "supernet/layers_expand.h"

enum { ALIGN_FLOATS = MEM_ALIGN / sizeof(float), PLANE_SCRATCH_FLOATS = 8192 };

/* Hands out pieces of one allocation; with base NULL it only counts. */
struct carver {
    float *base;
    size_t used;
};

/* What fills a piece up to whole lines, and the red zone behind it, nobody may touch. */
static float *take(struct carver *c, size_t floats) {
    size_t whole = (floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    float *piece = c->base ? c->base + c->used : NULL;
    if (piece)
        mem_poison(piece + floats, (whole - floats) * sizeof(float) + MEM_REDZONE);
    c->used += whole + MEM_REDZONE / sizeof(float);
    return piece;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* What shared buffers must hold at most. */
struct needs {
    size_t images; /* rounded up to an octet */
    size_t expanded, filtered, projected, shortcut, output, narrow, wide;
    size_t sums, packed[3], filters, slot, moments, channels, plane, se_row, run, panel, excite,
        merge;
};

static size_t plane_floats(const struct needs *n, int channels, int h, int w) {
    return n->images * (size_t)channels * (size_t)h * (size_t)w;
}

static void need_sums(struct needs *n, int channels, int h, int w) {
    size_t groups = n->images / (size_t)plane_group_size(h * w);
    n->sums = larger(n->sums, groups * 2 * (size_t)channels);
    n->channels = larger(n->channels, (size_t)channels);
}

static void need_pointwise(struct needs *n, int c_in, int c_out) {
    c_out = (c_out + 7) / 8 * 8;
    n->packed[0] =
        larger(n->packed[0], larger(pw_packed_floats(c_out, c_in), pw_packed_floats(c_in, c_out)));
    n->slot = larger(n->slot, pw_grad_dense_floats(c_in, c_out));
}

static void need_depthwise(struct needs *n, const struct block_tensors *t, int h, int stride) {
    size_t row = (size_t)dw_row_floats(h, t->kernel);
    n->plane = larger(n->plane, larger(row * (size_t)h, PLANE_SCRATCH_FLOATS));
    for (int k = 3; k <= t->kernel; k += 2)
        n->plane = larger(n->plane, dw_grad_scratch_floats(h, h, k, stride));
    n->filters = larger(n->filters, dw_packed_floats(t->mid, t->kernel));
    n->slot = larger(n->slot, dw_packed_floats(t->mid, t->kernel));
}

bool engine_merges(const struct engine *e, const struct block_tensors *t) {
    return t->kind == BLOCK_INVERTED_RESIDUAL && t->expand && t->c_in <= e->merge_channels_max;
}

/* Most pixels of a group of images of up to h x h: smaller images are grouped, and a group of them
 * may have more pixels than one of the largest. */
static int group_pixels_max(int h) {
    int pixels = h * h, grouped = 2 * ENGINE_GROUP_PIXELS;
    if (grouped > ENGINE_OCTET * pixels)
        grouped = ENGINE_OCTET * pixels;
    return pixels > grouped ? pixels : grouped;
}

/* A block that never stores what it expands to: layers_expand.c, layers_expand_grad.c. */
static void need_merged(struct needs *n, const struct block_tensors *t, int h) {
    struct unit u = {.mid = t->mid, .spec = {.kernel = t->kernel}, .input = {.channels = t->c_in}};
    int pixels = group_pixels_max(h);
    size_t panel = PW_PANEL_MAX / KERNEL_LANES;
    n->slot = larger(n->slot, expand_merged_slot(&u).end);
    n->moments = larger(n->moments, moments_floats(t->c_in));
    n->run = larger(n->run, (size_t)(t->mid / KERNEL_LANES) * (size_t)tile_block(pixels));
    n->panel = larger(n->panel, panel * (size_t)tile_block(pixels));
    n->plane = larger(n->plane, panel * (size_t)dw_row_floats(h, t->kernel) * (size_t)h);
    n->packed[1] = larger(n->packed[1], pw_packed_floats(t->mid, t->c_in));
    n->merge = larger(n->merge, expand_merged_work_floats(t->c_in, t->mid));
}

static void need_se(struct needs *n, const struct block_tensors *t) {
    if (t->se_mid == 0)
        return;
    n->packed[1] = larger(n->packed[1], pw_packed_floats(t->se_mid, t->mid));
    n->packed[2] = larger(n->packed[2], pw_packed_floats(t->mid, t->se_mid));
    n->se_row = larger(n->se_row, n->images * (size_t)t->mid);
    n->slot = larger(n->slot, block_excitation_floats(t->mid, t->se_mid));
    n->excite = larger(n->excite, block_excitation_part_floats(t->mid, t->se_mid));
}

static int down(int side, int stride) {
    return (side - 1) / stride + 1;
}

static void need_dense(struct needs *n, int c_in, int c_out, int kernel) {
    n->packed[0] = larger(n->packed[0], dense_packed_floats(c_out, c_in, kernel));
    n->slot = larger(n->slot, dense_grad_floats(c_in, c_out, kernel));
}

/* What a block's last convolution leaves, and the gradients on both sides. */
static void need_ends(struct needs *n, const struct block_tensors *t, int h_in, int h_out) {
    size_t projected = plane_floats(n, t->c_out, h_out, h_out);
    n->projected = larger(n->projected, projected);
    n->output = larger(n->output, projected);
    n->narrow = larger(n->narrow, larger(projected, plane_floats(n, t->c_in, h_in, h_in)));
    need_sums(n, t->c_out, h_out, h_out);
}

static void need_conv(struct needs *n, const struct block_tensors *t, int h_in, int h_out) {
    need_ends(n, t, h_in, h_out);
    need_dense(n, t->c_in, t->c_out, t->kernel);
    n->filtered = larger(n->filtered, plane_floats(n, t->c_out, h_out, h_out));
}

static void need_bottleneck(struct needs *n, const struct block_tensors *t, int h_in, int h_out) {
    size_t reduced = plane_floats(n, t->mid, h_in, h_in);
    int run = group_pixels_max(h_in); /* of input images at most */
    need_ends(n, t, h_in, h_out);
    n->expanded = larger(n->expanded, reduced);
    n->wide = larger(n->wide, reduced);
    n->filtered = larger(n->filtered, plane_floats(n, t->mid, h_out, h_out));
    n->plane = larger(n->plane, (size_t)t->mid * (size_t)run);
    need_sums(n, t->mid, h_in, h_in);
    need_pointwise(n, t->c_in, t->mid);
    need_pointwise(n, t->mid, t->c_out);
    need_dense(n, t->mid, t->mid, t->kernel);
    if (t->shortcut) {
        need_dense(n, t->c_in, t->c_out, 1);
        n->shortcut = larger(n->shortcut, plane_floats(n, t->c_out, h_out, h_out));
    }
}

static void need_inverted(struct needs *n, const struct engine *e, const struct block_tensors *t,
                          int h_in, int stride) {
    int h_out = down(h_in, stride);
    size_t expanded = plane_floats(n, t->mid, h_in, h_in);
    size_t filtered = plane_floats(n, t->mid, h_out, h_out);
    n->filtered = larger(n->filtered, filtered);
    need_ends(n, t, h_in, h_out);
    need_sums(n, t->mid, h_in, h_in);
    need_pointwise(n, t->c_in, t->mid);
    need_pointwise(n, t->mid, t->c_out);
    need_depthwise(n, t, h_in, stride);
    need_se(n, t);
    if (engine_merges(e, t)) {
        need_merged(n, t, h_in);
    } else {
        n->expanded = larger(n->expanded, expanded);
        n->wide = larger(n->wide, expanded);
    }
}

/* Adds what one block needs; *h is the side of its input and becomes that of its output. */
static void need_block(struct needs *n, const struct engine *e, const struct block_tensors *t,
                       int *h, int stride) {
    int h_in = *h, h_out = down(h_in, stride);
    switch (t->kind) {
    case BLOCK_INVERTED_RESIDUAL:
        need_inverted(n, e, t, h_in, stride);
        break;
    case BLOCK_CONV:
        need_conv(n, t, h_in, h_out);
        break;
    case BLOCK_BOTTLENECK:
        need_bottleneck(n, t, h_in, h_out);
        break;
    }
    *h = h_out;
}

static void need_stem(struct needs *n, const struct space *space, int resolution, int h) {
    struct conv_args conv = {.c_in = space->input_channels,
                             .h_in = resolution,
                             .w_in = resolution,
                             .c_out = space->stem.channels,
                             .kernel = space->stem.kernel,
                             .stride = space->stem.stride};
    n->plane = larger(n->plane, conv_scratch_floats(&conv));
    n->plane = larger(n->plane, stem_grad_scratch_floats(resolution, resolution));
    int taps = space->input_channels * space->stem.kernel * space->stem.kernel;
    n->packed[0] =
        larger(n->packed[0],
               conv_packed_floats(space->stem.channels, space->input_channels, space->stem.kernel));
    n->slot = larger(n->slot, (size_t)((space->stem.channels + 7) / 8 * 8 * taps));
    size_t floats = plane_floats(n, space->stem.channels, h, h);
    n->projected = larger(n->projected, floats);
    n->output = larger(n->output, floats);
    n->narrow = larger(n->narrow, floats);
    need_sums(n, space->stem.channels, h, h);
}

static void need_head(struct needs *n, const struct space *space, const struct supernet_map *map,
                      int h) {
    if (map->final_expand) {
        size_t floats = plane_floats(n, map->final_expand->dims[0], h, h);
        n->expanded = larger(n->expanded, floats);
        n->wide = larger(n->wide, floats);
        need_sums(n, map->final_expand->dims[0], h, h);
        need_pointwise(n, map->final_expand->dims[1], map->final_expand->dims[0]);
    }
    if (map->mix)
        need_pointwise(n, map->mix->dims[1], map->mix->dims[0]);
    need_pointwise(n, map->classifier->dims[1], space->n_classes);
    n->packed[1] = larger(n->packed[1], n->packed[0]); /* the classifier's place beside the mix */
    need_sums(n, map->mix ? map->mix->dims[0] : 8, 1, 1);
}

static struct needs count_needs(const struct engine *engine, const struct space *space,
                                const struct supernet_map *map) {
    struct needs n = {0};
    int resolution = engine->limits.resolution, h = down(resolution, space->stem.stride);
    n.images = (size_t)(engine->layout.batch + ENGINE_OCTET - 1) / ENGINE_OCTET * ENGINE_OCTET;
    need_stem(&n, space, resolution, h);
    for (int s = 0; s < space->n_stages; s++)
        for (int i = 0; i < space->stages[s].max_depth; i++)
            need_block(&n, engine, &map->blocks[space->stages[s].first_block + i], &h,
                       i == 0 ? space->stages[s].stride : 1);
    need_head(&n, space, map, h);
    return n;
}

static void carve_tail(struct engine *e, const struct space *space, const struct supernet_map *map,
                       const struct needs *n, struct carver *c) {
    struct tail_memory *t = &e->tail_memory;
    size_t features = (size_t)map->classifier->dims[1];
    size_t pooled = map->mix ? (size_t)map->mix->dims[1] : features;
    size_t classes = (size_t)(space->n_classes + 7) / 8 * 8;
    t->pooled = take(c, n->images * pooled);
    t->mixed = take(c, map->mix ? n->images * features : 0);
    t->features = take(c, n->images * features);
    t->mask = take(c, n->images * features);
    t->logits = take(c, n->images * classes);
    t->d_pooled = take(c, n->images * pooled);
    t->d_mixed = take(c, map->mix ? n->images * features : 0);
    t->d_features = take(c, n->images * features);
    t->mix_scale = take(c, map->mix ? features : 0);
    t->mix_shift = take(c, map->mix ? features : 0);
    t->classifier = take(c, classes * features);
}

static void carve_bn(struct unit_memory *m, const int channels[4], struct carver *c) {
    for (int i = 0; i < 4; i++)
        m->bn[i] = take(c, channels[i] > 0 ? bn_batch_floats(channels[i]) : 0);
}

static void carve_se(const struct block_tensors *t, const struct needs *n, struct unit_memory *m,
                     struct carver *c) {
    m->se_mean = take(c, t->se_mid ? n->images * (size_t)t->mid : 0);
    m->se_hidden = take(c, t->se_mid ? n->images * (size_t)t->se_mid : 0);
    m->se_gate = take(c, t->se_mid ? n->images * (size_t)t->mid : 0);
}

/* Training keeps the planes of every unit until its backward. */
static void carve_training(struct engine *e, const struct space *space,
                           const struct supernet_map *map, const struct needs *n,
                           struct carver *c) {
    int h = down(e->limits.resolution, space->stem.stride);
    struct unit_memory *m = e->memory;
    m->projected = take(c, plane_floats(n, space->stem.channels, h, h));
    m->output = take(c, plane_floats(n, space->stem.channels, h, h));
    for (int s = 0; s < space->n_stages; s++)
        for (int i = 0; i < space->stages[s].max_depth; i++) {
            const struct block_tensors *t = &map->blocks[space->stages[s].first_block + i];
            int h_out = down(h, i == 0 ? space->stages[s].stride : 1);
            m++;
            m->expanded =
                take(c, t->expand && !engine_merges(e, t) ? plane_floats(n, t->mid, h, h) : 0);
            m->filtered = take(c, plane_floats(n, t->mid, h_out, h_out));
            m->projected = take(c, plane_floats(n, t->c_out, h_out, h_out));
            m->output = take(c, plane_floats(n, t->c_out, h_out, h_out));
            m->drop = take(c, drop_floats(e->layout.batch, t->c_out));
            m->shortcut = take(c, t->shortcut ? plane_floats(n, t->c_out, h_out, h_out) : 0);
            h = h_out;
        }
    if (map->final_expand)
        m[1].projected = take(c, plane_floats(n, map->final_expand->dims[0], h, h));
    e->narrow_grad[0] = take(c, n->narrow);
    e->narrow_grad[1] = take(c, n->narrow);
    e->wide_grad[0] = take(c, n->wide);
    e->wide_grad[1] = take(c, n->filtered);
    for (int i = 0; i < 3; i++)
        e->se_grad[i] = take(c, n->se_row);
    e->merge_work = take(c, n->merge);
}

/* Without backward one set of planes serves all units; outputs alternate. */
static void carve_inference(struct engine *e, const struct space *space, const struct needs *n,
                            struct carver *c) {
    float *expanded = take(c, n->expanded), *filtered = take(c, n->filtered);
    float *projected = take(c, n->projected), *shortcut = take(c, n->shortcut);
    float *outputs[2] = {take(c, n->output), take(c, n->output)};
    for (int i = 0; i < space->n_blocks + 2; i++) {
        e->memory[i].expanded = expanded;
        e->memory[i].filtered = filtered;
        e->memory[i].projected = projected;
        e->memory[i].shortcut = shortcut;
        e->memory[i].output = outputs[i % 2];
    }
    /* the head convolution writes while it still reads what the last block projected */
    e->memory[space->n_blocks + 1].projected = expanded;
}

static void carve_scratch(struct engine *e, const struct needs *n, int threads, struct carver *c) {
    for (int i = 0; i < threads; i++) {
        struct scratch s;
        for (int k = 0; k < 3; k++)
            s.tile[k] = take(c, n->channels / KERNEL_LANES * (size_t)tile_block(ENGINE_TILE));
        s.plane = take(c, n->plane);
        s.row = take(c, n->channels);
        for (int k = 0; k < 3; k++)
            s.octet[k] = take(c, n->channels * ENGINE_OCTET);
        s.run = take(c, e->layout.training ? n->run : 0);
        s.panel = take(c, e->layout.training ? n->panel : 0);
        s.excite = take(c, e->layout.training ? n->excite : 0);
        if (e->scratch)
            e->scratch[i] = s;
    }
}

struct engine_layout engine_layout_of(const struct engine_limits *limits, enum engine_mode mode) {
    if (limits->forward_batch > 0 && mode != ENGINE_TRAIN)
        return (struct engine_layout){limits->forward_batch, false};
    return (struct engine_layout){limits->batch, limits->training};
}

/* Pointers of another layout, of which not all are set again. */
static void forget_layout(struct engine *e) {
    memset(e->memory, 0, sizeof e->memory);
    memset(e->narrow_grad, 0, sizeof e->narrow_grad);
    memset(e->wide_grad, 0, sizeof e->wide_grad);
    memset(e->se_grad, 0, sizeof e->se_grad);
    e->merge_work = NULL;
    e->n_units = 0;
    e->can_backward = false;
}

size_t engine_carve(struct engine *engine, const struct space *space,
                    const struct supernet_map *map, int threads, float *base) {
    struct engine *e = engine;
    struct carver c = {base, 0};
    struct needs n = count_needs(e, space, map);
    size_t resolution = (size_t)e->limits.resolution;
    forget_layout(e);
    if (base)
        mem_unpoison(base, e->storage_floats * sizeof(float));
    e->images =
        take(&c, (size_t)e->layout.batch * (size_t)space->input_channels * resolution * resolution);
    e->sums = take(&c, n.sums);
    size_t totals = 2 * larger(n.channels, (size_t)space->n_classes);
    e->totals = (double *)take(&c, totals * sizeof(double) / sizeof(float));
    for (int i = 0; i < 3; i++)
        e->packed[i] = take(&c, n.packed[i]);
    e->filters = take(&c, n.filters);
    e->filters_packed = take(&c, n.filters);
    carve_bn(&e->memory[0], (int[4]){0, 0, space->stem.channels, 0}, &c);
    for (int b = 0; b < space->n_blocks; b++) {
        const struct block_tensors *t = &map->blocks[b];
        carve_bn(&e->memory[b + 1], (int[4]){t->mid, t->mid, t->c_out, t->shortcut ? t->c_out : 0},
                 &c);
        carve_se(t, &n, &e->memory[b + 1], &c);
        e->memory[b + 1].moments = take(&c, engine_merges(e, t) ? moments_floats(t->c_in) : 0);
    }
    if (map->final_expand)
        carve_bn(&e->memory[space->n_blocks + 1], (int[4]){0, 0, map->final_expand->dims[0], 0},
                 &c);
    carve_tail(e, space, map, &n, &c);
    carve_scratch(e, &n, threads, &c);
    e->slot_floats = e->layout.training ? larger(n.slot, n.moments) : n.moments;
    e->slot_floats = (e->slot_floats + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    e->slots = take(&c, ENGINE_SLOTS * e->slot_floats);
    if (e->layout.training)
        carve_training(e, space, map, &n, &c);
    else
        carve_inference(e, space, &n, &c);
    if (base)
        mem_poison(base + c.used, (e->storage_floats - c.used) * sizeof(float));
    return c.used;
}

size_t engine_storage_floats(struct engine *engine, const struct space *space,
                             const struct supernet_map *map, int threads) {
    engine->layout = engine_layout_of(&engine->limits, ENGINE_EVAL);
    size_t forward = engine_carve(engine, space, map, threads, NULL);
    engine->layout = engine_layout_of(&engine->limits, ENGINE_TRAIN);
    return larger(forward, engine_carve(engine, space, map, threads, NULL));
}
