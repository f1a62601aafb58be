/* Which tensor of a supernet plays which part, and the largest shapes of each block. Inside
 * supernet/ only. */
#pragma once

#include "supernet/supernet.h"

struct bn_tensors {
    struct tensor *scale, *shift, *mean, *variance;
};

/* Tensors of one block; NULL where the block never has the part. Widths are the largest. */
struct block_tensors {
    enum block_kind kind;
    int c_in, mid, c_out, se_mid, kernel;
    struct tensor *expand; /* [mid, c_in, 1, 1]; of a bottleneck: reduce */
    struct bn_tensors expand_bn;
    struct tensor *depthwise;                        /* [mid, 1, kernel, kernel] */
    struct tensor *transforms[SPACE_KERNEL_MAX + 1]; /* [k]: from kernel k + 2 to k */
    struct tensor *dense;           /* [mid, mid, kernel, kernel]; conv: [c_out, c_in, ...] */
    struct bn_tensors depthwise_bn; /* behind depthwise, or behind a bottleneck's dense */
    struct tensor *se_reduce, *se_reduce_bias; /* [se_mid, mid, 1, 1], [se_mid] */
    struct tensor *se_expand, *se_expand_bias; /* [mid, se_mid, 1, 1], [mid] */
    struct tensor *project;                    /* [c_out, mid, 1, 1] */
    struct bn_tensors project_bn;              /* behind the last convolution; conv: the only one */
    struct tensor *shortcut;                   /* bottleneck: [c_out, c_in, 1, 1] */
    struct bn_tensors shortcut_bn;
};

struct supernet_map {
    struct tensor *stem; /* [channels, input channels, k, k] */
    struct bn_tensors stem_bn;
    struct block_tensors blocks[SPACE_BLOCKS_MAX];
    struct tensor *final_expand; /* [channels, last stage, 1, 1]; NULL if absent */
    struct bn_tensors final_expand_bn;
    struct tensor *mix, *mix_bias;               /* NULL if absent */
    struct tensor *classifier, *classifier_bias; /* [classes, features], [classes] */
};

/* Declares every tensor of the space, in a fixed order: names, kinds, shapes; no storage.
 * tensors holds supernet_map_tensors_max(space); returns how many there are. */
int supernet_map_fill(const struct space *space, struct tensor *tensors, struct supernet_map *map);
int supernet_map_tensors_max(const struct space *space);
