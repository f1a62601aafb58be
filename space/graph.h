/* An arch lowered to an op list with shapes: the one source for execution, cost, table keys and
 * ONNX. Activations are C x H x W per image. BN is part of its convolution (bn = true); at
 * inference it is folded into weight and bias. */
#pragma once

#include <cjson/cJSON.h>

#include "space/arch.h"

enum {
    UNIT_OPS_MAX = 4,
    GRAPH_UNITS_MAX = SPACE_BLOCKS_MAX + 3,
    GRAPH_OPS_MAX = UNIT_OPS_MAX * GRAPH_UNITS_MAX,
    GRAPH_SIGNATURE_MAX = 128
};

enum op_kind {
    OP_CONV, /* dense kernel x kernel, 1x1 included; out = act(bn(w * in + bias)) (+ residual, added
                behind act unless act_last) */
    OP_DEPTHWISE, /* kernel x kernel per channel; out = act(bn(w * in)) */
    OP_SE,        /* out = in * h_sigmoid(W2 relu(W1 mean(in) + b1) + b2), se_channels between; may
                     run in place */
    OP_POOL,      /* global mean: C x 1 x 1 */
    OP_LINEAR     /* out = W in + bias on C x 1 x 1; the classifier */
};
/* Where in the network an op stands, for naming weights. */
enum op_role {
    ROLE_STEM,
    ROLE_EXPAND,
    ROLE_DEPTHWISE,
    ROLE_SE,
    ROLE_PROJECT, /* 1x1 that ends a block of more than one convolution */
    ROLE_CONV,    /* dense k x k of a conv block or a bottleneck */
    ROLE_REDUCE,
    ROLE_SHORTCUT,
    ROLE_FINAL_EXPAND,
    ROLE_POOL,
    ROLE_FEATURE_MIX,
    ROLE_CLASSIFIER
};
extern const char *const op_kind_names[], *const op_role_names[]; /* NULL-terminated */

struct op {
    enum op_kind kind;
    enum op_role role;
    enum act act;
    bool bn, bias;
    bool act_last;     /* the activation stands behind the addition of the residual */
    int stage, block;  /* block is the index among the space's blocks; both -1 outside stages */
    int input, output; /* tensor indices; tensor 0 is the image */
    int residual;      /* tensor added to the output, or -1 */
    int c_in, h_in, w_in, c_out, h_out, w_out;
    int kernel, stride, pad; /* pad = kernel / 2 */
    int se_channels;         /* OP_SE */
};

struct tensor_shape {
    int channels, height, width;
};

/* What the runtime runs as one and the latency table measures as one, in the order in which they
 * may follow each other. */
enum unit_kind {
    UNIT_STEM,       /* dense convolution on the image, BN, act */
    UNIT_BLOCK,      /* expand, depthwise, SE, project, residual; the kinds of blocks mix freely */
    UNIT_CONV,       /* dense convolution, BN, act, residual */
    UNIT_BOTTLENECK, /* reduce, dense convolution, shortcut, project, act */
    UNIT_HEAD_CONV,  /* 1x1, BN, act */
    UNIT_HEAD_TAIL   /* global mean, feature mix, classifier */
};
extern const char *const unit_kind_names[]; /* "stem", "block", "conv", "bottleneck", "head_conv",
                                               "head_tail", NULL */
static inline bool unit_kind_is_block(enum unit_kind kind) { /* stands in a stage */
    return kind == UNIT_BLOCK || kind == UNIT_CONV || kind == UNIT_BOTTLENECK;
}

/* All that defines the work of a unit. Fields that its kind does not use are 0. */
struct unit_spec {
    enum unit_kind kind;
    enum act act;
    int c_in, h_in, w_in;
    int c_out;           /* head tail: classes */
    int kernel, stride;  /* stem, conv, block (depthwise), bottleneck (dense convolution) */
    int expand_channels; /* block: channels inside; 0: no expand convolution, so c_in inside;
                            bottleneck: channels inside */
    int se_channels;     /* block; 0: no SE */
    int mix_channels;    /* head tail; 0: no feature mix */
    bool mix_bias;
    bool residual; /* block, conv: its input is added to its output; bottleneck: its input is the
                      shortcut, else a convolution of it is */
};

/* The spec that a signature stands for; its numbers are small enough to multiply, not checked
 * against the limits of spaces. ESP_EINVAL if no spec has that signature. */
int unit_parse(const char *signature, struct unit_spec *ret_spec);
int64_t unit_spec_macs(const struct unit_spec *spec); /* of a spec from a graph or unit_parse */

struct graph_unit {
    char signature[GRAPH_SIGNATURE_MAX]; /* equal signatures are the same work */
    struct unit_spec spec;
    int first_op, n_ops; /* its input is that of its first op; no later unit reads anything but the
                            last op's output */
    int stage, block;    /* as those of its ops */
};

/* A chain of units. Op i writes tensor i + 1. One allocation. */
struct graph {
    int n_ops, n_tensors, n_units;
    struct op *ops;
    struct tensor_shape *tensors;
    struct graph_unit *units;
};

/* arch must be valid in space. Only ESP_ENOMEM and ESP_EINVAL. The caller frees *ret_graph with
 * free(). */
int graph_build(const struct space *space, const struct arch *arch, struct err *err,
                struct graph **ret_graph);
/* The graph of one unit alone (its input is tensor 0; stage and block stay), for measuring table
 * entries. The caller frees it with free(). */
int graph_of_unit(const struct graph *graph, int unit, struct err *err, struct graph **ret_graph);
/* graph_id: hash of the lowered op list with shapes, roles left out, and precision ("fp32"): equal
 * graphs of two spaces are one network on a board. */
void graph_id(const struct graph *graph, const char *precision, char ret_id[HASH_TEXT]);
/* Data form for measurements on boards: {"input": {…}, "units": [{…}, …]}, what each unit does in
 * order. Shapes and links are not written but follow, so that a document cannot contradict itself;
 * reading checks every number, the order of the kinds and the limits on MACs and bytes: a read
 * graph is safe to run. at is the pointer of doc. Errors: ESP_EINVAL, ESP_ELIMIT, ESP_ENOMEM. */
cJSON *graph_to_json(const struct graph *graph); /* NULL on memory exhaustion */
int graph_from_json(const cJSON *doc, const char *at, struct err *err, struct graph **ret_graph);

/* All distinct unit signatures that subnets of the space can contain, each with one graph of its
 * own: the entries of a latency table. ESP_ELIMIT beyond SPACE_UNITS_MAX. */
enum { SPACE_UNITS_MAX = 20000 };
struct unit_list {
    int n;
    struct unit_entry {
        char signature[GRAPH_SIGNATURE_MAX];
        struct graph *graph;
        int stage, block_position; /* of the first place where it may stand */
        double uses; /* how many of it a random subnet (arch_random) has, in the mean */
    } * entries;
};
int space_units(const struct space *space, struct err *err, struct unit_list **ret_units);
void unit_list_destroy(struct unit_list *units); /* takes NULL */
