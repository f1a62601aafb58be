#include "supernet/channel_sort.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "supernet/supernet_map.h"

enum { WIDTHS_MAX = SPACE_CHOICES_MAX * SPACE_CHOICES_MAX + 2 };

/* Ascending widths that part the channels into groups: from 0 to all. */
struct groups {
    int n, edge[WIDTHS_MAX];
    int fixed; /* channels below keep their order */
};

struct ranked {
    double importance;
    int channel;
};

/* Working memory for the widest layer. */
struct sorter {
    struct ranked *ranked;
    int *order; /* [i]: which channel comes to place i */
    float *copy;
};

static int compare_ranked(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->importance != y->importance)
        return x->importance < y->importance ? 1 : -1;
    return x->channel - y->channel;
}

static void groups_add(struct groups *groups, int width) {
    int at = groups->n;
    while (at > 0 && groups->edge[at - 1] > width)
        at--;
    if (at > 0 && groups->edge[at - 1] == width)
        return;
    memmove(groups->edge + at + 1, groups->edge + at,
            (size_t)(groups->n - at) * sizeof *groups->edge);
    groups->edge[at] = width;
    groups->n++;
}

static int input_widths(const struct space *space, int s, int position,
                        int ret_widths[SPACE_CHOICES_MAX]) {
    if (position == 0 && s == 0) {
        ret_widths[0] = space->stem.channels;
        return 1;
    }
    const struct space_choices *c = &space->stages[position > 0 ? s : s - 1].channels;
    memcpy(ret_widths, c->value, (size_t)c->n * sizeof *ret_widths);
    return c->n;
}

/* Middle widths of all trained subnets; with se, their SE widths. */
static void block_groups(const struct space *space, int s, int position, int trained, bool se,
                         struct groups *ret_groups) {
    const struct space_stage *stage = &space->stages[s];
    int inputs[SPACE_CHOICES_MAX], n = input_widths(space, s, position, inputs);
    *ret_groups = (struct groups){.n = 1};
    for (int i = stage->n_expand_ratios - 1; i >= 0 && trained > 0; i--, trained--)
        for (int c = 0; c < n; c++) {
            double ratio = stage->expand_ratios[i];
            int mid = ratio > 1 ? space_mid_channels(inputs[c], ratio) : inputs[c];
            groups_add(ret_groups, se ? space_se_channels(mid) : mid);
            if (!se && ratio <= 1 && mid > ret_groups->fixed)
                ret_groups->fixed = mid;
        }
}

/* Of a convolution's weight [out, in, k, k]: for each input channel the sum of |weight|. */
static void rank_inputs(const struct tensor *weight, struct ranked *ret_ranked) {
    int outs = weight->dims[0], ins = weight->dims[1], taps = weight->dims[2] * weight->dims[3];
    for (int c = 0; c < ins; c++) {
        ret_ranked[c] = (struct ranked){0, c};
        for (int o = 0; o < outs; o++)
            for (int t = 0; t < taps; t++)
                ret_ranked[c].importance +=
                    fabsf(weight->data[((ptrdiff_t)o * ins + c) * taps + t]);
    }
}

/* Sorts the ranked channels inside their groups into sorter->order. */
static void order_groups(struct sorter *sorter, const struct groups *groups) {
    for (int g = 0; g + 1 < groups->n; g++)
        if (groups->edge[g] >= groups->fixed)
            qsort(sorter->ranked + groups->edge[g], (size_t)(groups->edge[g + 1] - groups->edge[g]),
                  sizeof *sorter->ranked, compare_ranked);
    for (int i = 0; i < groups->edge[groups->n - 1]; i++)
        sorter->order[i] = sorter->ranked[i].channel;
}

/* floats is [outer][n][inner]; the middle axis is put in order. */
static void permute_floats(const struct sorter *sorter, float *floats, size_t outer, size_t n,
                           size_t inner) {
    for (size_t o = 0; floats && o < outer; o++) {
        float *part = floats + o * n * inner;
        memcpy(sorter->copy, part, n * inner * sizeof *part);
        for (size_t i = 0; i < n; i++)
            memcpy(part + i * inner, sorter->copy + (size_t)sorter->order[i] * inner,
                   inner * sizeof *part);
    }
}

static void permute(const struct sorter *sorter, struct tensor *t, int axis) {
    size_t outer = axis > 0 ? (size_t)t->dims[0] : 1, n = (size_t)t->dims[axis];
    size_t inner = t->count / outer / n;
    permute_floats(sorter, t->data, outer, n, inner);
    permute_floats(sorter, t->grad, outer, n, inner);
    permute_floats(sorter, t->momentum, outer, n, inner);
    permute_floats(sorter, t->average, outer, n, inner);
}

static void permute_bn(const struct sorter *sorter, const struct bn_tensors *bn) {
    permute(sorter, bn->scale, 0);
    permute(sorter, bn->shift, 0);
    permute(sorter, bn->mean, 0);
    permute(sorter, bn->variance, 0);
}

static void sort_middle(struct sorter *sorter, const struct block_tensors *block,
                        const struct groups *groups) {
    rank_inputs(block->project, sorter->ranked);
    order_groups(sorter, groups);
    permute(sorter, block->project, 1);
    permute_bn(sorter, &block->depthwise_bn);
    permute(sorter, block->depthwise, 0);
    permute_bn(sorter, &block->expand_bn);
    permute(sorter, block->expand, 0);
    if (!block->se_mid)
        return;
    permute(sorter, block->se_expand, 0);
    permute(sorter, block->se_expand_bias, 0);
    permute(sorter, block->se_reduce, 1);
}

static void sort_se(struct sorter *sorter, const struct block_tensors *block,
                    const struct groups *groups) {
    rank_inputs(block->se_expand, sorter->ranked);
    order_groups(sorter, groups);
    permute(sorter, block->se_expand, 1);
    permute(sorter, block->se_reduce, 0);
    permute(sorter, block->se_reduce_bias, 0);
}

/* Inside widths of all trained subnets of a bottleneck, whose ratios are of its output. */
static void bottleneck_groups(const struct space_stage *stage, int trained,
                              struct groups *ret_groups) {
    *ret_groups = (struct groups){.n = 1};
    for (int i = stage->n_expand_ratios - 1; i >= 0 && trained > 0; i--, trained--)
        for (int c = 0; c < stage->channels.n; c++)
            groups_add(ret_groups,
                       space_mid_channels(stage->channels.value[c], stage->expand_ratios[i]));
}

/* Channels behind the dense convolution, then those before it. */
static void sort_bottleneck(struct sorter *sorter, const struct block_tensors *block,
                            const struct groups *groups) {
    rank_inputs(block->project, sorter->ranked);
    order_groups(sorter, groups);
    permute(sorter, block->project, 1);
    permute_bn(sorter, &block->depthwise_bn);
    permute(sorter, block->dense, 0);
    rank_inputs(block->dense, sorter->ranked);
    order_groups(sorter, groups);
    permute(sorter, block->dense, 1);
    permute_bn(sorter, &block->expand_bn);
    permute(sorter, block->expand, 0);
}

static void sort_block(struct sorter *sorter, const struct supernet *net, int s, int position,
                       const struct channel_sort_options *options) {
    const struct block_tensors *block =
        &net->map->blocks[net->space->stages[s].first_block + position];
    struct groups groups;
    if (!block->expand)
        return;
    if (block->kind == BLOCK_BOTTLENECK) {
        bottleneck_groups(&net->space->stages[s], options->trained_ratios, &groups);
        sort_bottleneck(sorter, block, &groups);
        return;
    }
    block_groups(net->space, s, position, options->trained_ratios, false, &groups);
    sort_middle(sorter, block, &groups);
    if (!block->se_mid)
        return;
    if (options->se_as_a_whole)
        groups = (struct groups){.n = 2, .edge = {0, block->se_mid}};
    else
        block_groups(net->space, s, position, options->trained_ratios, true, &groups);
    sort_se(sorter, block, &groups);
}

static size_t largest_block_tensor(const struct supernet *net) {
    size_t most = 1;
    for (int i = 0; i < net->n_tensors; i++)
        most = net->tensors[i].count > most ? net->tensors[i].count : most;
    return most;
}

static int sorter_init(struct sorter *sorter, const struct supernet *net, struct err *err) {
    size_t widest = 1;
    for (int b = 0; b < net->space->n_blocks; b++)
        widest =
            (size_t)net->map->blocks[b].mid > widest ? (size_t)net->map->blocks[b].mid : widest;
    sorter->ranked = mem_array(widest, sizeof *sorter->ranked);
    sorter->order = mem_array(widest, sizeof *sorter->order);
    sorter->copy = mem_array(largest_block_tensor(net), sizeof *sorter->copy);
    if (sorter->ranked && sorter->order && sorter->copy)
        return 0;
    return err_set(err, ESP_ENOMEM, NULL, "no memory to sort channels");
}

static void sorter_finish(struct sorter *sorter) {
    free(sorter->ranked);
    free(sorter->order);
    free(sorter->copy);
}

int channel_sort(struct supernet *supernet, const struct channel_sort_options *options,
                 struct err *err) {
    struct sorter sorter = {0};
    const struct space *space = supernet->space;
    if (options->trained_ratios < 1)
        return err_set(err, ESP_EINVAL, NULL,
                       "one expand ratio at least is trained before sorting");
    int rc = sorter_init(&sorter, supernet, err);
    for (int s = 0; rc == 0 && s < space->n_stages; s++)
        for (int i = 0; i < space->stages[s].max_depth; i++)
            sort_block(&sorter, supernet, s, i, options);
    sorter_finish(&sorter);
    return rc;
}
