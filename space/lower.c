#include "space/lower.h"

#include <stdio.h>

int lower_side(int side, int stride) {
    return (side + stride - 1) / stride;
}

struct unit_spec lower_stem(const struct space *space, int resolution) {
    return (struct unit_spec){.kind = UNIT_STEM,
                              .act = space->stem.act,
                              .c_in = space->input_channels,
                              .h_in = resolution,
                              .w_in = resolution,
                              .c_out = space->stem.channels,
                              .kernel = space->stem.kernel,
                              .stride = space->stem.stride};
}

/* What an inverted residual block has beyond what all kinds have. */
static void lower_inverted(const struct block_place *place, double expand_ratio,
                           struct unit_spec *spec) {
    int mid = expand_ratio > 1 ? space_mid_channels(place->c_in, expand_ratio) : place->c_in;
    spec->kind = UNIT_BLOCK;
    spec->expand_channels = expand_ratio > 1 ? mid : 0;
    spec->se_channels = place->stage->se ? space_se_channels(mid) : 0;
}

struct unit_spec lower_block(const struct block_place *place, int kernel_size,
                             double expand_ratio) {
    const struct space_stage *stage = place->stage;
    int stride = place->first ? stage->stride : 1;
    struct unit_spec spec = {.act = stage->act,
                             .c_in = place->c_in,
                             .h_in = place->side,
                             .w_in = place->side,
                             .c_out = place->c_out,
                             .kernel = kernel_size,
                             .stride = stride,
                             .residual = stride == 1 && place->c_in == place->c_out};
    switch (stage->block) {
    case BLOCK_INVERTED_RESIDUAL:
        lower_inverted(place, expand_ratio, &spec);
        break;
    case BLOCK_CONV:
        spec.kind = UNIT_CONV;
        spec.residual = spec.residual && stage->residual;
        break;
    case BLOCK_BOTTLENECK:
        spec.kind = UNIT_BOTTLENECK;
        spec.expand_channels = space_mid_channels(place->c_out, expand_ratio);
        break;
    }
    return spec;
}

struct unit_spec lower_head_conv(const struct space *space, int c_in, int side) {
    return (struct unit_spec){.kind = UNIT_HEAD_CONV,
                              .act = space->head.act,
                              .c_in = c_in,
                              .h_in = side,
                              .w_in = side,
                              .c_out = space->head.expand_channels};
}

struct unit_spec lower_head_tail(const struct space *space, int c_in, int side) {
    return (struct unit_spec){.kind = UNIT_HEAD_TAIL,
                              .act = space->head.mix_channels ? space->head.act : ACT_NONE,
                              .c_in = c_in,
                              .h_in = side,
                              .w_in = side,
                              .c_out = space->n_classes,
                              .mix_channels = space->head.mix_channels,
                              .mix_bias = space->head.mix_bias};
}

void unit_walk_start(struct unit_walk *walk, const struct space *space, const struct arch *arch) {
    *walk = (struct unit_walk){
        .space = space, .arch = arch, .stage = -1, .side = space->resolutions[arch->resolution]};
}

static void walk_block(struct unit_walk *walk, struct placed_unit *ret_unit) {
    const struct space_stage *stage = &walk->space->stages[walk->stage];
    const struct arch *arch = walk->arch;
    int block = stage->first_block + walk->position;
    struct block_place place = {stage, walk->position == 0, walk->channels, walk->side,
                                stage->channels.value[arch->channels[walk->stage]]};
    ret_unit->spec = lower_block(&place, stage->kernel_sizes.value[arch->kernel[block]],
                                 stage->expand_ratios[arch->expand[block]]);
    ret_unit->stage = walk->stage;
    ret_unit->block = block;
    walk->channels = place.c_out;
    walk->side = lower_side(walk->side, ret_unit->spec.stride);
    if (++walk->position == stage->depths.value[arch->depth[walk->stage]]) {
        walk->stage++;
        walk->position = 0;
    }
}

bool unit_walk_next(struct unit_walk *walk, struct placed_unit *ret_unit) {
    const struct space *space = walk->space;
    ret_unit->stage = ret_unit->block = -1;
    if (walk->stage == space->n_stages && !space->head.expand_channels)
        walk->stage++;
    if (walk->stage > space->n_stages + 1)
        return false;
    if (walk->stage >= 0 && walk->stage < space->n_stages) {
        walk_block(walk, ret_unit);
        return true;
    }
    if (walk->stage < 0) {
        ret_unit->spec = lower_stem(space, walk->side);
        walk->side = lower_side(walk->side, space->stem.stride);
    } else if (walk->stage == space->n_stages) {
        ret_unit->spec = lower_head_conv(space, walk->channels, walk->side);
    } else {
        ret_unit->spec = lower_head_tail(space, walk->channels, walk->side);
    }
    walk->channels = ret_unit->spec.c_out;
    walk->stage++;
    return true;
}

/* An op that keeps shape and channels of the tensor it reads. */
static struct op op_on(enum op_kind kind, enum op_role role, int input,
                       const struct tensor_shape *shape) {
    return (struct op){.kind = kind,
                       .role = role,
                       .stage = -1,
                       .block = -1,
                       .input = input,
                       .output = input + 1,
                       .residual = -1,
                       .c_in = shape->channels,
                       .h_in = shape->height,
                       .w_in = shape->width,
                       .c_out = shape->channels,
                       .h_out = shape->height,
                       .w_out = shape->width,
                       .kernel = 1,
                       .stride = 1};
}

static void set_window(struct op *op, int kernel, int stride) {
    op->kernel = kernel;
    op->stride = stride;
    op->pad = kernel / 2;
    op->h_out = lower_side(op->h_in, stride);
    op->w_out = lower_side(op->w_in, stride);
}

static struct tensor_shape op_shape(const struct op *op) {
    return (struct tensor_shape){op->c_out, op->h_out, op->w_out};
}

static struct op conv_bn(enum op_role role, int input, const struct tensor_shape *shape, int c_out,
                         enum act act) {
    struct op op = op_on(OP_CONV, role, input, shape);
    op.c_out = c_out;
    op.act = act;
    op.bn = true;
    return op;
}

static int block_ops(const struct unit_spec *spec, struct tensor_shape shape, struct op *ops) {
    int n = 0;
    if (spec->expand_channels) {
        ops[n] = conv_bn(ROLE_EXPAND, n, &shape, spec->expand_channels, spec->act);
        shape = op_shape(&ops[n++]);
    }
    ops[n] = op_on(OP_DEPTHWISE, ROLE_DEPTHWISE, n, &shape);
    ops[n].act = spec->act;
    ops[n].bn = true;
    set_window(&ops[n], spec->kernel, spec->stride);
    shape = op_shape(&ops[n++]);
    if (spec->se_channels) {
        ops[n] = op_on(OP_SE, ROLE_SE, n, &shape);
        ops[n].bias = true;
        ops[n++].se_channels = spec->se_channels;
    }
    ops[n] = conv_bn(ROLE_PROJECT, n, &shape, spec->c_out, ACT_NONE);
    ops[n].residual = spec->residual ? 0 : -1;
    return n + 1;
}

static int conv_ops(const struct unit_spec *spec, const struct tensor_shape *shape,
                    struct op *ops) {
    ops[0] = conv_bn(ROLE_CONV, 0, shape, spec->c_out, spec->act);
    set_window(&ops[0], spec->kernel, spec->stride);
    ops[0].residual = spec->residual ? 0 : -1;
    return 1;
}

static int bottleneck_ops(const struct unit_spec *spec, const struct tensor_shape *input,
                          struct op *ops) {
    int n = 2;
    ops[0] = conv_bn(ROLE_REDUCE, 0, input, spec->expand_channels, spec->act);
    struct tensor_shape shape = op_shape(&ops[0]);
    ops[1] = conv_bn(ROLE_CONV, 1, &shape, spec->expand_channels, spec->act);
    set_window(&ops[1], spec->kernel, spec->stride);
    if (!spec->residual) {
        ops[n] = conv_bn(ROLE_SHORTCUT, 0, input, spec->c_out, ACT_NONE);
        set_window(&ops[n], 1, spec->stride);
        ops[n].output = n + 1;
        n++;
    }
    shape = op_shape(&ops[1]);
    ops[n] = conv_bn(ROLE_PROJECT, 2, &shape, spec->c_out, spec->act);
    ops[n].output = n + 1;
    ops[n].residual = spec->residual ? 0 : n;
    ops[n].act_last = true;
    return n + 1;
}

static int tail_ops(const struct unit_spec *spec, struct tensor_shape shape, struct op *ops) {
    int n = 0;
    ops[n] = op_on(OP_POOL, ROLE_POOL, n, &shape);
    ops[n].h_out = ops[n].w_out = 1;
    shape = op_shape(&ops[n++]);
    if (spec->mix_channels) {
        ops[n] = conv_bn(ROLE_FEATURE_MIX, n, &shape, spec->mix_channels, spec->act);
        ops[n].bn = false;
        ops[n].bias = spec->mix_bias;
        shape = op_shape(&ops[n++]);
    }
    ops[n] = op_on(OP_LINEAR, ROLE_CLASSIFIER, n, &shape);
    ops[n].c_out = spec->c_out;
    ops[n].bias = true;
    return n + 1;
}

int unit_ops(const struct unit_spec *spec, struct op ret_ops[UNIT_OPS_MAX]) {
    struct tensor_shape shape = {spec->c_in, spec->h_in, spec->w_in};
    switch (spec->kind) {
    case UNIT_STEM:
        ret_ops[0] = conv_bn(ROLE_STEM, 0, &shape, spec->c_out, spec->act);
        set_window(&ret_ops[0], spec->kernel, spec->stride);
        return 1;
    case UNIT_BLOCK:
        return block_ops(spec, shape, ret_ops);
    case UNIT_CONV:
        return conv_ops(spec, &shape, ret_ops);
    case UNIT_BOTTLENECK:
        return bottleneck_ops(spec, &shape, ret_ops);
    case UNIT_HEAD_CONV:
        ret_ops[0] = conv_bn(ROLE_FINAL_EXPAND, 0, &shape, spec->c_out, spec->act);
        return 1;
    case UNIT_HEAD_TAIL:
        return tail_ops(spec, shape, ret_ops);
    }
    return 0;
}
