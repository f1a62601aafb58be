/* A subnet as the runtime takes it: leading slices, filters of its kernel sizes, BN folded in. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/plan.h"
#include "supernet/engine.h"
#include "supernet/layers_block.h"

struct fold {
    const struct supernet *net;
    const struct bn_stats *stats; /* NULL: running statistics */
    int bn;                       /* layers passed */
};

/* Where an op's weights come from. */
struct source {
    const struct tensor *weight, *bias;
    const struct bn_tensors *bn;
};

static struct source source_of(const struct supernet_map *map, const struct op *op) {
    const struct block_tensors *t = op->block >= 0 ? &map->blocks[op->block] : NULL;
    switch (op->role) {
    case ROLE_STEM:
        return (struct source){map->stem, NULL, &map->stem_bn};
    case ROLE_EXPAND:
        return (struct source){t->expand, NULL, &t->expand_bn};
    case ROLE_DEPTHWISE:
        return (struct source){t->depthwise, NULL, &t->depthwise_bn};
    case ROLE_PROJECT:
        return (struct source){t->project, NULL, &t->project_bn};
    case ROLE_FINAL_EXPAND:
        return (struct source){map->final_expand, NULL, &map->final_expand_bn};
    case ROLE_FEATURE_MIX:
        return (struct source){map->mix, map->mix_bias, NULL};
    case ROLE_CLASSIFIER:
        return (struct source){map->classifier, map->classifier_bias, NULL};
    case ROLE_CONV:
        return (struct source){t->dense, NULL,
                               t->kind == BLOCK_CONV ? &t->project_bn : &t->depthwise_bn};
    case ROLE_REDUCE:
        return (struct source){t->expand, NULL, &t->expand_bn};
    case ROLE_SHORTCUT:
        return (struct source){t->shortcut, NULL, &t->shortcut_bn};
    case ROLE_SE:
    case ROLE_POOL:
        break;
    }
    return (struct source){NULL, NULL, NULL};
}

/* Leading rows and columns without gaps. */
static void copy_slice(const struct tensor *from, int rows, int columns, float *to) {
    size_t ld = from->count / (size_t)from->dims[0];
    for (int r = 0; r < rows; r++)
        memcpy(to + (ptrdiff_t)r * columns, from->data + (size_t)r * ld,
               (size_t)columns * sizeof *to);
}

/* The centre of leading filters. */
static void copy_filters(const struct tensor *from, const struct op *op, float *to) {
    int size = from->dims[2], border = (size - op->kernel) / 2;
    for (int o = 0; o < op->c_out; o++)
        for (int i = 0; i < op->c_in; i++) {
            const float *filter = from->data + ((ptrdiff_t)o * from->dims[1] + i) * size * size;
            for (int t = 0; t < op->kernel * op->kernel; t++)
                *to++ = filter[(t / op->kernel + border) * size + t % op->kernel + border];
        }
}

static void copy_weight(const struct supernet_map *map, const struct op *op,
                        const struct source *source, float *to) {
    struct kernel_chain chain;
    int step;
    if (op->role == ROLE_CONV) {
        copy_filters(source->weight, op, to);
        return;
    }
    if (op->kind != OP_DEPTHWISE) {
        copy_slice(source->weight, op->c_out, op->c_in * op->kernel * op->kernel, to);
        return;
    }
    block_kernel_chain(&map->blocks[op->block], op->kernel, &chain, &step);
    kernel_transform(&chain, source->weight->data, op->c_out, step, to);
}

static void fold_bn(struct fold *fold, const struct op *op, const struct bn_tensors *bn,
                    struct op_weights *to) {
    int layer = fold->bn++;
    const float *mean = fold->stats ? fold->stats->mean[layer] : bn->mean->data;
    const float *variance = fold->stats ? fold->stats->variance[layer] : bn->variance->data;
    int row = (op->kind == OP_DEPTHWISE ? 1 : op->c_in) * op->kernel * op->kernel;
    for (int c = 0; c < op->c_out; c++) {
        double scale = bn->scale->data[c] / sqrt((double)variance[c] + ENGINE_BN_EPS);
        for (int i = 0; i < row; i++)
            to->weight[(ptrdiff_t)c * row + i] *= (float)scale;
        to->bias[c] = (float)(bn->shift->data[c] - mean[c] * scale);
    }
}

static void fold_se(const struct block_tensors *t, const struct op *op, struct op_weights *to) {
    copy_slice(t->se_reduce, op->se_channels, op->c_in, to->se_reduce);
    copy_slice(t->se_expand, op->c_in, op->se_channels, to->se_expand);
    memcpy(to->se_reduce_bias, t->se_reduce_bias->data, (size_t)op->se_channels * sizeof(float));
    memcpy(to->se_expand_bias, t->se_expand_bias->data, (size_t)op->c_in * sizeof(float));
}

static void fold_op(struct fold *fold, const struct op *op, struct op_weights *to) {
    const struct supernet_map *map = fold->net->map;
    if (op->kind == OP_POOL)
        return;
    if (op->kind == OP_SE) {
        fold_se(&map->blocks[op->block], op, to);
        return;
    }
    struct source source = source_of(map, op);
    copy_weight(map, op, &source, to->weight);
    if (source.bias)
        memcpy(to->bias, source.bias->data, (size_t)op->c_out * sizeof(float));
    if (op->bn)
        fold_bn(fold, op, source.bn, to);
}

static int check_stats(const struct graph *graph, const struct bn_stats *stats, struct err *err) {
    int n = 0;
    for (int i = 0; i < graph->n_ops; i++)
        if (graph->ops[i].bn) {
            if (n >= stats->n_layers || stats->channels[n] != graph->ops[i].c_out)
                return err_set(err, ESP_EMISMATCH, NULL, "the BN statistics are of another subnet");
            n++;
        }
    return n == stats->n_layers
               ? 0
               : err_set(err, ESP_EMISMATCH, NULL, "the BN statistics are of another subnet");
}

int engine_fold(const struct supernet *supernet, const struct arch *arch,
                const struct bn_stats *bn_stats, struct err *err,
                struct plan_weights **ret_weights) {
    struct graph *graph = NULL;
    struct fold fold = {supernet, bn_stats, 0};
    if (!arch_valid(supernet->space, arch))
        return err_set(err, ESP_EINVAL, NULL, "the arch is not valid in space %s",
                       supernet->space->name);
    int rc = graph_build(supernet->space, arch, err, &graph);
    if (rc < 0)
        return rc;
    if (bn_stats)
        rc = check_stats(graph, bn_stats, err);
    if (rc == 0)
        rc = plan_weights_create(graph, err, ret_weights);
    for (int i = 0; rc == 0 && i < graph->n_ops; i++)
        fold_op(&fold, &graph->ops[i], &(*ret_weights)->ops[i]);
    free(graph);
    return rc;
}
