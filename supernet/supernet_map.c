#include "supernet/supernet_map.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_TENSORS_MAX = 24, OTHER_TENSORS_MAX = 24 };

struct builder {
    struct tensor *tensors;
    int n;
};

int supernet_map_tensors_max(const struct space *space) {
    return BLOCK_TENSORS_MAX * space->n_blocks + OTHER_TENSORS_MAX;
}

/* dims end with the first 0 */
static struct tensor *declare(struct builder *b, enum tensor_kind kind, const int dims[4],
                              const char *format, ...) __attribute__((format(printf, 4, 5)));
static struct tensor *declare(struct builder *b, enum tensor_kind kind, const int dims[4],
                              const char *format, ...) {
    struct tensor *t = &b->tensors[b->n++];
    memset(t, 0, sizeof *t);
    va_list args;
    va_start(args, format);
    vsnprintf(t->name, sizeof t->name, format, args);
    va_end(args);
    t->kind = kind;
    t->count = 1;
    for (; t->n_dims < TENSOR_DIMS_MAX && dims[t->n_dims]; t->n_dims++) {
        t->dims[t->n_dims] = dims[t->n_dims];
        t->count *= (size_t)dims[t->n_dims];
    }
    return t;
}

static struct tensor *declare_conv(struct builder *b, int out, int in, int kernel,
                                   const char *prefix, const char *layer) {
    return declare(b, TENSOR_WEIGHT, (int[4]){out, in, kernel, kernel}, "%s%s.weight", prefix,
                   layer);
}

static struct tensor *declare_vector(struct builder *b, enum tensor_kind kind, int channels,
                                     const char *prefix, const char *name) {
    return declare(b, kind, (int[4]){channels}, "%s%s", prefix, name);
}

static void declare_bn(struct builder *b, int channels, const char *prefix, const char *layer,
                       struct bn_tensors *bn) {
    char at[TENSOR_NAME_MAX];
    snprintf(at, sizeof at, "%s%s", prefix, layer);
    bn->scale = declare_vector(b, TENSOR_BN_SCALE, channels, at, ".weight");
    bn->shift = declare_vector(b, TENSOR_BN_SHIFT, channels, at, ".bias");
    bn->mean = declare_vector(b, TENSOR_BN_MEAN, channels, at, ".running_mean");
    bn->variance = declare_vector(b, TENSOR_BN_VARIANCE, channels, at, ".running_var");
}

static int last(const struct space_choices *choices) {
    return choices->value[choices->n - 1];
}

static double largest_ratio(const struct space_stage *stage) {
    return stage->expand_ratios[stage->n_expand_ratios - 1];
}

static void block_sizes(const struct space *space, int s, int position, struct block_tensors *t) {
    const struct space_stage *stage = &space->stages[s];
    t->c_out = last(&stage->channels);
    t->c_in = position > 0 ? t->c_out
              : s > 0      ? last(&space->stages[s - 1].channels)
                           : space->stem.channels;
    double ratio = largest_ratio(stage);
    t->kind = stage->block;
    t->mid = ratio > 1 ? space_mid_channels(t->c_in, ratio) : t->c_in;
    if (stage->block == BLOCK_BOTTLENECK)
        t->mid = space_mid_channels(t->c_out, ratio);
    else if (stage->block == BLOCK_CONV)
        t->mid = 0;
    t->se_mid = stage->se ? space_se_channels(t->mid) : 0;
    t->kernel = last(&stage->kernel_sizes);
}

/* Blocks without any choice carry once-for-all's names for fixed layers (its first block). */
static bool block_is_fixed(const struct space *space, int s, int position) {
    const struct space_stage *stage = &space->stages[s];
    bool fixed_input = position > 0 || s == 0 || space->stages[s - 1].channels.n == 1;
    return fixed_input && stage->channels.n == 1 && stage->kernel_sizes.n == 1 &&
           stage->n_expand_ratios == 1;
}

static void declare_transforms(struct builder *b, const struct space_choices *kernels,
                               const char *prefix, struct block_tensors *t) {
    for (int k = kernels->value[0]; k < t->kernel; k += 2)
        t->transforms[k] = declare(b, TENSOR_TRANSFORM, (int[4]){k * k, k * k},
                                   "%sdepth_conv.conv.%dto%d_matrix", prefix, k + 2, k);
}

static void declare_se(struct builder *b, const char *prefix, struct block_tensors *t) {
    char at[TENSOR_NAME_MAX];
    snprintf(at, sizeof at, "%sdepth_conv.se.fc.", prefix);
    t->se_reduce = declare_conv(b, t->se_mid, t->mid, 1, at, "reduce");
    t->se_reduce_bias = declare_vector(b, TENSOR_BIAS, t->se_mid, at, "reduce.bias");
    t->se_expand = declare_conv(b, t->mid, t->se_mid, 1, at, "expand");
    t->se_expand_bias = declare_vector(b, TENSOR_BIAS, t->mid, at, "expand.bias");
}

static void declare_plain(struct builder *b, int block, struct block_tensors *t) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "blocks.%d.conv.", block);
    t->dense = declare_conv(b, t->c_out, t->c_in, t->kernel, prefix, "conv");
    declare_bn(b, t->c_out, prefix, "bn", &t->project_bn);
}

/* A convolution of a bottleneck and its BN, in once-for-all's names. */
static struct tensor *declare_layer(struct builder *b, int block, const char *layer,
                                    const int sizes[3], struct bn_tensors *bn) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "blocks.%d.%s.", block, layer);
    struct tensor *weight = declare_conv(b, sizes[0], sizes[1], sizes[2], prefix, "conv.conv");
    declare_bn(b, sizes[0], prefix, "bn.bn", bn);
    return weight;
}

/* Whether some subnet's first block changes side or channels. */
static bool needs_shortcut(const struct space *space, int s) {
    const struct space_choices *to = &space->stages[s].channels;
    const struct space_choices stem = {1, {space->stem.channels}};
    const struct space_choices *from = s > 0 ? &space->stages[s - 1].channels : &stem;
    return space->stages[s].stride > 1 || from->n > 1 || to->n > 1 ||
           from->value[0] != to->value[0];
}

static void declare_bottleneck(struct builder *b, const struct space *space, int s, int position,
                               struct block_tensors *t) {
    int block = space->stages[s].first_block + position;
    t->expand = declare_layer(b, block, "conv1", (int[3]){t->mid, t->c_in, 1}, &t->expand_bn);
    t->dense =
        declare_layer(b, block, "conv2", (int[3]){t->mid, t->mid, t->kernel}, &t->depthwise_bn);
    t->project = declare_layer(b, block, "conv3", (int[3]){t->c_out, t->mid, 1}, &t->project_bn);
    if (position == 0 && needs_shortcut(space, s))
        t->shortcut =
            declare_layer(b, block, "downsample", (int[3]){t->c_out, t->c_in, 1}, &t->shortcut_bn);
}

static void declare_inverted(struct builder *b, const struct space *space, int s, int position,
                             struct block_tensors *t) {
    const struct space_stage *stage = &space->stages[s];
    bool fixed = block_is_fixed(space, s, position);
    const char *conv = fixed ? "conv" : "conv.conv", *bn = fixed ? "bn" : "bn.bn";
    char prefix[32], layer[48];
    snprintf(prefix, sizeof prefix, "blocks.%d.conv.", stage->first_block + position);
    if (largest_ratio(stage) > 1) {
        snprintf(layer, sizeof layer, "inverted_bottleneck.%s", conv);
        t->expand = declare_conv(b, t->mid, t->c_in, 1, prefix, layer);
        snprintf(layer, sizeof layer, "inverted_bottleneck.%s", bn);
        declare_bn(b, t->mid, prefix, layer, &t->expand_bn);
    }
    snprintf(layer, sizeof layer, "depth_conv.%s", conv);
    t->depthwise = declare_conv(b, t->mid, 1, t->kernel, prefix, layer);
    declare_transforms(b, &stage->kernel_sizes, prefix, t);
    snprintf(layer, sizeof layer, "depth_conv.%s", bn);
    declare_bn(b, t->mid, prefix, layer, &t->depthwise_bn);
    if (stage->se)
        declare_se(b, prefix, t);
    snprintf(layer, sizeof layer, "point_linear.%s", conv);
    t->project = declare_conv(b, t->c_out, t->mid, 1, prefix, layer);
    snprintf(layer, sizeof layer, "point_linear.%s", bn);
    declare_bn(b, t->c_out, prefix, layer, &t->project_bn);
}

static void declare_block(struct builder *b, const struct space *space, int s, int position,
                          struct block_tensors *t) {
    block_sizes(space, s, position, t);
    switch (t->kind) {
    case BLOCK_INVERTED_RESIDUAL:
        declare_inverted(b, space, s, position, t);
        break;
    case BLOCK_CONV:
        declare_plain(b, space->stages[s].first_block + position, t);
        break;
    case BLOCK_BOTTLENECK:
        declare_bottleneck(b, space, s, position, t);
        break;
    }
}

static void declare_head(struct builder *b, const struct space *space, struct supernet_map *map) {
    int features = last(&space->stages[space->n_stages - 1].channels);
    if (space->head.expand_channels > 0) {
        map->final_expand = declare_conv(b, space->head.expand_channels, features, 1, "",
                                         "final_expand_layer.conv");
        features = space->head.expand_channels;
        declare_bn(b, features, "", "final_expand_layer.bn", &map->final_expand_bn);
    }
    if (space->head.mix_channels > 0) {
        map->mix =
            declare_conv(b, space->head.mix_channels, features, 1, "", "feature_mix_layer.conv");
        features = space->head.mix_channels;
        if (space->head.mix_bias)
            map->mix_bias =
                declare_vector(b, TENSOR_BIAS, features, "feature_mix_layer.conv", ".bias");
    }
    map->classifier =
        declare(b, TENSOR_WEIGHT, (int[4]){space->n_classes, features}, "classifier.linear.weight");
    map->classifier_bias =
        declare_vector(b, TENSOR_BIAS, space->n_classes, "classifier.linear", ".bias");
}

int supernet_map_fill(const struct space *space, struct tensor *tensors, struct supernet_map *map) {
    struct builder b = {tensors, 0};
    memset(map, 0, sizeof *map);
    map->stem = declare_conv(&b, space->stem.channels, space->input_channels, space->stem.kernel,
                             "", "first_conv.conv");
    declare_bn(&b, space->stem.channels, "", "first_conv.bn", &map->stem_bn);
    for (int s = 0; s < space->n_stages; s++)
        for (int i = 0; i < space->stages[s].max_depth; i++)
            declare_block(&b, space, s, i, &map->blocks[space->stages[s].first_block + i]);
    declare_head(&b, space, map);
    return b.n;
}
