#include "space/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "space/lower.h"

const char *const op_kind_names[] = {"conv", "depthwise", "se", "pool", "linear", NULL};
const char *const op_role_names[] = {
    "stem",     "expand",       "depthwise", "se",          "project",    "conv", "reduce",
    "shortcut", "final_expand", "pool",      "feature_mix", "classifier", NULL};
const char *const unit_kind_names[] = {"stem",      "block",     "conv", "bottleneck",
                                       "head_conv", "head_tail", NULL};

/* Head and arrays in one piece of memory, so that free() is enough. */
static struct graph *graph_create(int n_units, int n_ops) {
    size_t ops = (size_t)n_ops, units = (size_t)n_units;
    struct graph *graph =
        calloc(1, sizeof(*graph) + units * sizeof(struct graph_unit) + ops * sizeof(struct op) +
                      (ops + 1) * sizeof(struct tensor_shape));
    if (!graph)
        return NULL;
    graph->units = (struct graph_unit *)(graph + 1);
    graph->ops = (struct op *)(graph->units + units);
    graph->tensors = (struct tensor_shape *)(graph->ops + ops);
    return graph;
}

static void append_unit(struct graph *graph, const struct placed_unit *placed) {
    struct graph_unit *unit = &graph->units[graph->n_units++];
    struct op *ops = graph->ops + graph->n_ops;
    int base = graph->n_ops;
    unit->spec = placed->spec;
    unit->stage = placed->stage;
    unit->block = placed->block;
    unit->first_op = base;
    unit->n_ops = unit_ops(&placed->spec, ops);
    unit_signature(&placed->spec, unit->signature);
    for (int i = 0; i < unit->n_ops; i++) {
        ops[i].stage = placed->stage;
        ops[i].block = placed->block;
        ops[i].input += base;
        ops[i].output += base;
        if (ops[i].residual >= 0)
            ops[i].residual += base;
        graph->tensors[ops[i].output] =
            (struct tensor_shape){ops[i].c_out, ops[i].h_out, ops[i].w_out};
    }
    graph->n_ops += unit->n_ops;
    graph->n_tensors = graph->n_ops + 1;
}

int graph_from_units(const struct placed_unit *units, int n, struct err *err,
                     struct graph **ret_graph) {
    struct op ops[UNIT_OPS_MAX];
    int n_ops = 0;
    for (int i = 0; i < n; i++)
        n_ops += unit_ops(&units[i].spec, ops);
    struct graph *graph = graph_create(n, n_ops);
    if (!graph)
        return err_set(err, ESP_ENOMEM, "", "out of memory");
    graph->tensors[0] =
        (struct tensor_shape){units[0].spec.c_in, units[0].spec.h_in, units[0].spec.w_in};
    for (int i = 0; i < n; i++)
        append_unit(graph, &units[i]);
    *ret_graph = graph;
    return 0;
}

int graph_build(const struct space *space, const struct arch *arch, struct err *err,
                struct graph **ret_graph) {
    if (!arch_valid(space, arch))
        return err_set(err, ESP_EINVAL, "", "the arch is not one of the space %s", space->name);
    struct placed_unit units[GRAPH_UNITS_MAX];
    struct unit_walk walk;
    int n = 0;
    unit_walk_start(&walk, space, arch);
    while (unit_walk_next(&walk, &units[n]))
        n++;
    return graph_from_units(units, n, err, ret_graph);
}

int graph_of_unit(const struct graph *graph, int unit, struct err *err, struct graph **ret_graph) {
    if (unit < 0 || unit >= graph->n_units)
        return err_set(err, ESP_EINVAL, "", "the graph has %d units, there is no unit %d",
                       graph->n_units, unit);
    const struct graph_unit *from = &graph->units[unit];
    const struct placed_unit placed = {from->spec, from->stage, from->block};
    return graph_from_units(&placed, 1, err, ret_graph);
}

static void hash_op(struct hash *hash, const struct op *op) {
    char text[256];
    int len = snprintf(text, sizeof(text), "%s %s %d %d %d %d %d %dx%dx%d %dx%dx%d %d %d %d %d%s\n",
                       op_kind_names[op->kind], act_names[op->act], op->bn, op->bias, op->input,
                       op->output, op->residual, op->c_in, op->h_in, op->w_in, op->c_out, op->h_out,
                       op->w_out, op->kernel, op->stride, op->pad, op->se_channels,
                       op->act_last ? " act_last" : "");
    hash_update(hash, text, (size_t)len);
}

void graph_id(const struct graph *graph, const char *precision, char ret_id[HASH_TEXT]) {
    struct hash hash;
    char digits[HASH_TEXT_LONG];
    hash_init(&hash);
    hash_update(&hash, precision, strlen(precision) + 1);
    for (int i = 0; i < graph->n_units; i++) {
        const struct graph_unit *unit = &graph->units[i];
        for (int j = 0; j < unit->n_ops; j++)
            hash_op(&hash, &graph->ops[unit->first_op + j]);
        hash_update(&hash, "\n", 1); /* where a unit ends decides what is fused */
    }
    hash_final(&hash, digits);
    memcpy(ret_id, digits, HASH_TEXT - 1);
    ret_id[HASH_TEXT - 1] = '\0';
}
