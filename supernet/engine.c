#include "supernet/engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/memory.h"
#include "supernet/engine_internal.h"

enum { ENGINE_BATCH_MAX = 65536 };

static int check_limits(const struct engine_limits *limits, struct err *err) {
    if (limits->batch < 1 || limits->batch > ENGINE_BATCH_MAX)
        return err_set(err, ESP_EINVAL, NULL, "a batch of %d images is not within 1 to %d",
                       limits->batch, ENGINE_BATCH_MAX);
    if (limits->forward_batch < 0 || limits->forward_batch > ENGINE_BATCH_MAX ||
        (limits->forward_batch > 0 && !limits->training))
        return err_set(err, ESP_EINVAL, NULL,
                       "a forward batch of %d images is not within 1 to %d, or not beside training",
                       limits->forward_batch, ENGINE_BATCH_MAX);
    if (limits->resolution < 1 || limits->resolution > SPACE_INPUT_MAX)
        return err_set(err, ESP_EINVAL, NULL, "a resolution of %d is not within 1 to %d",
                       limits->resolution, SPACE_INPUT_MAX);
    return 0;
}

size_t engine_memory_estimate(const struct space *space, const struct engine_limits *limits,
                              int threads) {
    size_t floats = 0;
    struct tensor *tensors = mem_array((size_t)supernet_map_tensors_max(space), sizeof *tensors);
    struct supernet_map *map = mem_array(1, sizeof *map);
    struct engine *engine = mem_array(1, sizeof *engine);
    if (tensors && map && engine) {
        engine->limits = *limits;
        engine->merge_channels_max = ENGINE_MERGE_CHANNELS;
        supernet_map_fill(space, tensors, map);
        floats = engine_storage_floats(engine, space, map, threads);
    }
    free(engine);
    free(map);
    free(tensors);
    return floats * sizeof(float);
}

int engine_create_merging(struct supernet *supernet, struct parallel *pool,
                          const struct engine_limits *limits, int merge_channels_max,
                          struct err *err, struct engine **ret_engine) {
    int rc = check_limits(limits, err), threads = parallel_threads(pool);
    if (rc < 0)
        return rc;
    rc = ESP_ENOMEM;
    struct engine *e = mem_array(1, sizeof *e);
    if (!e)
        goto out;
    e->net = supernet;
    e->pool = pool;
    e->comm = &comm_alone;
    e->limits = *limits;
    e->merge_channels_max = merge_channels_max;
    e->forward = kernels_select(cpu_flags());
    e->backward = train_kernels_select(cpu_flags());
    e->scratch = mem_array((size_t)threads, sizeof *e->scratch);
    if (!e->scratch)
        goto out;
    e->storage_floats = engine_storage_floats(e, supernet->space, supernet->map, threads);
    e->storage = mem_pages(e->storage_floats * sizeof(float));
    if (!e->storage)
        goto out;
    engine_carve(e, supernet->space, supernet->map, threads, e->storage);
    *ret_engine = e;
    return 0;
out:
    engine_destroy(e);
    return err_set(err, rc, NULL, "no memory for a batch of %d images of %d x %d",
                   limits->batch > limits->forward_batch ? limits->batch : limits->forward_batch,
                   limits->resolution, limits->resolution);
}

int engine_create(struct supernet *supernet, struct parallel *pool,
                  const struct engine_limits *limits, struct err *err, struct engine **ret_engine) {
    return engine_create_merging(supernet, pool, limits, ENGINE_MERGE_CHANNELS, err, ret_engine);
}

void engine_destroy(struct engine *engine) {
    if (!engine)
        return;
    free(engine->scratch);
    if (engine->storage) {
        mem_unpoison(engine->storage, engine->storage_floats * sizeof(float));
        mem_pages_free(engine->storage, engine->storage_floats * sizeof(float));
    }
    free(engine);
}

void engine_set_comm(struct engine *engine, const struct comm *comm) {
    engine->comm = comm;
}

const struct comm *engine_comm(const struct engine *engine) {
    return engine->comm;
}

/* ---- The running subnet ---- */

static void unit_init_block(struct engine *e, struct unit *u, const struct unit_memory *m) {
    const struct unit_spec *s = &u->spec;
    int h_out = (s->h_in - 1) / s->stride + 1, w_out = (s->w_in - 1) / s->stride + 1;
    u->mid = s->expand_channels ? s->expand_channels : s->c_in;
    u->merged = s->expand_channels && engine_merges(e, u->tensors);
    u->moments = m->moments;
    if (s->expand_channels) {
        u->expanded = plane_make(m->expanded, u->mid, s->h_in, s->w_in);
        bn_layer_init(e, &u->expanded_bn, &u->tensors->expand_bn, &u->expanded, m->bn[0]);
    }
    u->filtered = plane_make(m->filtered, u->mid, h_out, w_out);
    bn_layer_init(e, &u->filtered_bn, &u->tensors->depthwise_bn, &u->filtered, m->bn[1]);
    u->projected = plane_make(m->projected, s->c_out, h_out, w_out);
    bn_layer_init(e, &u->projected_bn, &u->tensors->project_bn, &u->projected, m->bn[2]);
    u->se_mean = m->se_mean;
    u->se_hidden = m->se_hidden;
    u->se_gate = m->se_gate;
}

static void unit_init_bottleneck(struct engine *e, struct unit *u, const struct unit_memory *m) {
    const struct unit_spec *s = &u->spec;
    const struct block_tensors *t = u->tensors;
    int h_out = (s->h_in - 1) / s->stride + 1, w_out = (s->w_in - 1) / s->stride + 1;
    u->mid = s->expand_channels;
    u->expanded = plane_make(m->expanded, u->mid, s->h_in, s->w_in);
    bn_layer_init(e, &u->expanded_bn, &t->expand_bn, &u->expanded, m->bn[0]);
    u->filtered = plane_make(m->filtered, u->mid, h_out, w_out);
    bn_layer_init(e, &u->filtered_bn, &t->depthwise_bn, &u->filtered, m->bn[1]);
    if (!s->residual) {
        u->shortcut = plane_make(m->shortcut, s->c_out, h_out, w_out);
        bn_layer_init(e, &u->shortcut_bn, &t->shortcut_bn, &u->shortcut, m->bn[3]);
    }
    u->projected = plane_make(m->projected, s->c_out, h_out, w_out);
    bn_layer_init(e, &u->projected_bn, &t->project_bn, &u->projected, m->bn[2]);
}

/* Units of one convolution. */
static void unit_init_conv(struct engine *e, struct unit *u, const struct unit_memory *m) {
    const struct supernet_map *map = e->net->map;
    const struct unit_spec *s = &u->spec;
    const struct bn_tensors *bn = s->kind == UNIT_STEM   ? &map->stem_bn
                                  : s->kind == UNIT_CONV ? &u->tensors->project_bn
                                                         : &map->final_expand_bn;
    int stride = s->stride ? s->stride : 1;
    u->projected =
        plane_make(m->projected, s->c_out, (s->h_in - 1) / stride + 1, (s->w_in - 1) / stride + 1);
    bn_layer_init(e, &u->projected_bn, bn, &u->projected, m->bn[2]);
}

/* Without backward the outputs of units alternate between two planes. */
static void unit_init(struct engine *e, const struct graph_unit *from, int position) {
    struct unit *u = &e->units[position];
    bool block = unit_kind_is_block(from->spec.kind);
    int place = from->spec.kind == UNIT_STEM ? 0
                : block                      ? from->block + 1
                                             : e->net->space->n_blocks + 1;
    const struct unit_memory *m = &e->memory[place];
    *u = (struct unit){.spec = from->spec};
    if (position > 0)
        u->input = e->units[position - 1].output;
    u->tensors = block ? &e->net->map->blocks[from->block] : NULL;
    if (from->spec.kind == UNIT_BLOCK)
        unit_init_block(e, u, m);
    else if (from->spec.kind == UNIT_BOTTLENECK)
        unit_init_bottleneck(e, u, m);
    else
        unit_init_conv(e, u, m);
    u->output = u->projected;
    u->output.data = e->layout.training ? m->output : e->memory[position % 2].output;
    if (block)
        drop_init(e, u, position - 1, m->drop);
}

static void engine_lower(struct engine *e, const struct graph *graph) {
    e->n_units = e->n_bn = e->n_blocks = 0;
    for (int i = 0; i < graph->n_units; i++)
        e->n_blocks += unit_kind_is_block(graph->units[i].spec.kind);
    for (int i = 0; i < graph->n_units; i++)
        if (graph->units[i].spec.kind != UNIT_HEAD_TAIL)
            unit_init(e, &graph->units[i], e->n_units++);
}

static int check_stats(const struct engine *e, const struct engine_run *run, struct err *err) {
    const struct bn_stats *stats = run->bn_stats;
    if (run->mode == ENGINE_RECALIBRATE && !stats)
        return err_set(err, ESP_EINVAL, NULL, "recalibration needs statistics to write");
    if (run->mode == ENGINE_TRAIN || !stats)
        return 0;
    bool fits = stats->n_layers == e->n_bn;
    for (int i = 0; fits && i < e->n_bn; i++)
        fits = stats->channels[i] == e->bn_channels[i];
    return fits ? 0 : err_set(err, ESP_EMISMATCH, NULL, "the BN statistics are of another subnet");
}

static int check_run(const struct engine *e, const struct engine_run *run, struct err *err) {
    const struct space *space = e->net->space;
    if (!arch_valid(space, run->arch))
        return err_set(err, ESP_EINVAL, NULL, "the arch is not valid in space %s", space->name);
    int resolution = space->resolutions[run->arch->resolution];
    int batch = engine_layout_of(&e->limits, run->mode).batch;
    if (run->n < 1 || run->n > batch || resolution > e->limits.resolution)
        return err_set(err, ESP_ELIMIT, NULL,
                       "%d images of %d pixels a side are beyond the engine's %d of %d", run->n,
                       resolution, batch, e->limits.resolution);
    if (run->shard.batch != 0 && (run->shard.n != run->n || !shard_fits(&run->shard)))
        return err_set(err, ESP_EINVAL, NULL, "the %d images are no whole chunks of the batch",
                       run->n);
    if (run->mode == ENGINE_TRAIN && !e->limits.training)
        return err_set(err, ESP_EINVAL, NULL, "the engine was made without training");
    if (!(run->dropout >= 0 && run->dropout < 1))
        return err_set(err, ESP_EINVAL, NULL, "dropout must be at least 0 and below 1");
    if (!(run->drop_connect >= 0 && run->drop_connect < 1))
        return err_set(err, ESP_EINVAL, NULL, "drop-connect must be at least 0 and below 1");
    return 0;
}

static void forward_unit(struct engine *e, struct unit *u) {
    switch (u->spec.kind) {
    case UNIT_STEM:
        stem_forward(e, u);
        break;
    case UNIT_BLOCK:
        block_forward(e, u);
        break;
    case UNIT_HEAD_CONV:
        head_conv_forward(e, u);
        break;
    case UNIT_CONV:
        conv_forward(e, u);
        break;
    case UNIT_BOTTLENECK:
        bottleneck_forward(e, u);
        break;
    case UNIT_HEAD_TAIL:
        break;
    }
}

static void backward_unit(struct engine *e, struct unit *u, const struct plane *dy,
                          const struct plane *dx) {
    switch (u->spec.kind) {
    case UNIT_BLOCK:
        block_backward(e, u, dy, dx);
        break;
    case UNIT_CONV:
        conv_backward(e, u, dy, dx);
        break;
    case UNIT_BOTTLENECK:
        bottleneck_backward(e, u, dy, dx);
        break;
    case UNIT_HEAD_CONV:
        head_conv_backward(e, u, dx);
        break;
    case UNIT_STEM:
    case UNIT_HEAD_TAIL:
        break;
    }
}

/* Nothing of an earlier run is needed: each begins with its images and the shared weights. */
static void use_layout(struct engine *e, enum engine_mode mode) {
    struct engine_layout layout = engine_layout_of(&e->limits, mode);
    if (layout.batch == e->layout.batch && layout.training == e->layout.training)
        return;
    e->layout = layout;
    engine_carve(e, e->net->space, e->net->map, parallel_threads(e->pool), e->storage);
}

static int was_stopped(struct err *err) {
    return err_set(err, ESP_ECANCELED, NULL, "stopped inside a pass over a batch");
}

int engine_forward(struct engine *engine, const struct engine_run *run, struct err *err,
                   float *ret_logits) {
    struct engine *e = engine;
    struct graph *graph = NULL;
    e->can_backward = false;
    int rc = check_run(e, run, err);
    if (rc < 0)
        return rc;
    rc = graph_build(e->net->space, run->arch, err, &graph);
    if (rc < 0)
        return rc;
    e->arch = *run->arch;
    e->run = *run;
    e->run.arch = &e->arch;
    e->n_images = run->n;
    use_layout(e, run->mode);
    if (run->shard.batch == 0)
        e->run.shard = (struct shard){.batch = run->n, .n = run->n, .chunk = shard_chunk(run->n)};
    engine_lower(e, graph);
    free(graph);
    rc = check_stats(e, run, err);
    if (rc < 0)
        return rc;
    const struct unit_spec *stem = &e->units[0].spec;
    memcpy(e->images, run->images,
           (size_t)run->n * (size_t)(stem->c_in * stem->h_in * stem->w_in) * sizeof(float));
    e->stopped = false;
    for (int i = 0; i < e->n_units && !e->stopped; i++)
        forward_unit(e, &e->units[i]);
    if (e->stopped)
        return was_stopped(err);
    if (run->mode == ENGINE_RECALIBRATE) /* behind the last BN there is nothing to know */
        run->bn_stats->images += e->run.shard.batch;
    else
        tail_forward(e, &e->units[e->n_units - 1], ret_logits);
    e->can_backward = run->mode == ENGINE_TRAIN && !e->stopped;
    return e->stopped ? was_stopped(err) : 0;
}

int engine_backward(struct engine *engine, const float *d_logits, struct err *err) {
    struct engine *e = engine;
    if (!e->can_backward)
        return err_set(err, ESP_EINVAL, NULL, "backward without a training forward before it");
    e->can_backward = e->output_summed = false;
    int last = e->n_units - 1, side = 0;
    struct plane dy = e->units[last].output;
    tail_backward(e, &e->units[last], d_logits);
    dy.data = e->narrow_grad[side];
    if (e->units[last].spec.kind != UNIT_HEAD_CONV)
        tail_spread(e, &e->units[last], &dy);
    for (int i = last; i > 0 && !e->stopped; i--) {
        struct unit *u = &e->units[i];
        struct plane dx = u->input;
        side = !side;
        dx.data = e->narrow_grad[side];
        backward_unit(e, u, &dy, &dx);
        dy = dx;
    }
    if (!e->stopped)
        stem_backward(e, &e->units[0], &dy);
    return e->stopped ? was_stopped(err) : 0;
}
