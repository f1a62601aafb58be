#include "space/cost.h"

#include <string.h>

#include "space/additive.h"
#include "space/lower.h"
#include "space/memory_plan.h"

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t pixels(const struct op *op) {
    return (int64_t)op->h_out * op->w_out;
}

/* Weights without bias and BN. */
static int64_t op_weights(const struct op *op) {
    switch (op->kind) {
    case OP_CONV:
    case OP_LINEAR:
        return (int64_t)op->c_out * op->c_in * op->kernel * op->kernel;
    case OP_DEPTHWISE:
        return (int64_t)op->c_out * op->kernel * op->kernel;
    case OP_SE:
        return 2 * (int64_t)op->c_out * op->se_channels;
    case OP_POOL:
        return 0;
    }
    return 0;
}

void op_cost(const struct op *op, int bytes_per_element, struct cost *ret_cost) {
    int64_t weights = op_weights(op);
    int64_t biases = op->kind == OP_SE ? op->c_out + op->se_channels : op->bias ? op->c_out : 0;
    int64_t folded = op->bn ? op->c_out : biases;
    int64_t in = (int64_t)op->c_in * op->h_in * op->w_in, out = op->c_out * pixels(op);
    int64_t residual = op->residual >= 0 ? out : 0;
    ret_cost->macs = op->kind == OP_SE ? weights : weights * pixels(op);
    ret_cost->params = weights + biases + (op->bn ? 2 * (int64_t)op->c_out : 0);
    ret_cost->model_bytes = (weights + folded) * bytes_per_element;
    ret_cost->peak_simple_bytes = (in + out + residual) * bytes_per_element;
    ret_cost->peak_activation_bytes = ret_cost->peak_simple_bytes;
}

const struct energy_prices energy_prices_default = {.mac = 37 + 9, .byte = 6400 / 4};

int64_t cost_energy(const struct cost *cost, const struct energy_prices *prices) {
    return cost->macs * prices->mac + cost->traffic_bytes * prices->byte;
}

/* Activations of a unit of n ops, in and out; its weights are model_bytes. */
static int64_t unit_activations(const struct op *ops, int n, int bytes_per_element) {
    const struct op *last = &ops[n - 1];
    int64_t in = (int64_t)ops->c_in * ops->h_in * ops->w_in, out = last->c_out * pixels(last);
    return (in + out) * bytes_per_element;
}

/* All but the arena and the traffic. */
static void add_op(struct cost *sum, const struct op *op, int bytes_per_element) {
    struct cost cost;
    op_cost(op, bytes_per_element, &cost);
    sum->macs += cost.macs;
    sum->params += cost.params;
    sum->model_bytes += cost.model_bytes;
    sum->peak_simple_bytes = larger(sum->peak_simple_bytes, cost.peak_simple_bytes);
}

int graph_cost(const struct graph *graph, int bytes_per_element, struct err *err,
               struct cost *ret_cost) {
    if (bytes_per_element < 1 || bytes_per_element > 8)
        return err_set(err, ESP_EINVAL, "", "an element has from 1 to 8 bytes, not %d",
                       bytes_per_element);
    struct cost sum = {0};
    struct unit_memory offsets[GRAPH_UNITS_MAX];
    for (int i = 0; i < graph->n_ops; i++)
        add_op(&sum, &graph->ops[i], bytes_per_element);
    sum.traffic_bytes = sum.model_bytes;
    for (int i = 0; i < graph->n_units; i++)
        sum.traffic_bytes += unit_activations(&graph->ops[graph->units[i].first_op],
                                              graph->units[i].n_ops, bytes_per_element);
    sum.peak_activation_bytes = memory_plan(graph, bytes_per_element, offsets);
    *ret_cost = sum;
    return 0;
}

void unit_cost(const struct graph *graph, int unit, struct cost *ret_cost) {
    const struct graph_unit *part = &graph->units[unit];
    struct cost sum = {.peak_activation_bytes = unit_peak_bytes(&part->spec, 4)};
    for (int i = 0; i < part->n_ops; i++)
        add_op(&sum, &graph->ops[part->first_op + i], 4);
    sum.traffic_bytes =
        sum.model_bytes + unit_activations(&graph->ops[part->first_op], part->n_ops, 4);
    *ret_cost = sum;
}

static int64_t tensor_bytes(const struct graph *graph, int tensor) {
    const struct tensor_shape *shape = &graph->tensors[tensor];
    return (int64_t)shape->channels * shape->height * shape->width * 4;
}

/* Whether an op of the unit from number at on needs the tensor. */
static bool needed_from(const struct graph *graph, const struct graph_unit *part, int at,
                        int tensor) {
    for (int i = part->first_op + at; i < part->first_op + part->n_ops; i++)
        if (graph->ops[i].input == tensor || graph->ops[i].residual == tensor)
            return true;
    return false;
}

/* Op i writes tensor i + 1, so those before an op are the unit's input and what its ops wrote. */
static int64_t live_bytes(const struct graph *graph, const struct graph_unit *part, int at) {
    const struct op *op = &graph->ops[part->first_op + at];
    int64_t sum = op->kind == OP_SE ? 0 : tensor_bytes(graph, op->output);
    int first = graph->ops[part->first_op].input;
    for (int tensor = first; tensor < op->output; tensor++)
        if (needed_from(graph, part, at, tensor))
            sum += tensor_bytes(graph, tensor);
    return sum;
}

void unit_op_cost(const struct graph *graph, int unit, int op, struct cost *ret_cost) {
    const struct graph_unit *part = &graph->units[unit];
    const struct op *first = &graph->ops[part->first_op], *last = first + part->n_ops - 1;
    struct cost cost;
    op_cost(first + op, 4, &cost);
    cost.peak_activation_bytes = live_bytes(graph, part, op);
    cost.traffic_bytes = cost.model_bytes;
    if (op == 0)
        cost.traffic_bytes += tensor_bytes(graph, first->input);
    if (op == part->n_ops - 1)
        cost.traffic_bytes += tensor_bytes(graph, last->output);
    *ret_cost = cost;
}

int arch_cost(const struct space *space, const struct arch *arch, struct err *err,
              struct cost *ret_cost) {
    if (!arch_valid(space, arch))
        return err_set(err, ESP_EINVAL, "", "the arch is not one of the space %s", space->name);
    struct cost sum = {0};
    struct unit_walk walk;
    struct placed_unit unit;
    unit_walk_start(&walk, space, arch);
    while (unit_walk_next(&walk, &unit)) {
        struct op ops[UNIT_OPS_MAX];
        int n = unit_ops(&unit.spec, ops);
        for (int i = 0; i < n; i++)
            add_op(&sum, &ops[i], 4);
        sum.traffic_bytes += unit_activations(ops, n, 4);
        sum.peak_activation_bytes =
            larger(sum.peak_activation_bytes, unit_peak_bytes(&unit.spec, 4));
    }
    sum.traffic_bytes += sum.model_bytes;
    *ret_cost = sum;
    return 0;
}

/* Of energy tenths of a picojoule. */
static double metric_value(const struct cost *cost, enum cost_metric metric) {
    switch (metric) {
    case COST_MACS:
        return (double)cost->macs;
    case COST_PARAMS:
        return (double)cost->params;
    case COST_PEAK_ACTIVATION:
        return (double)cost->peak_activation_bytes;
    case COST_PEAK_SIMPLE:
        return (double)cost->peak_simple_bytes;
    case COST_MODEL_BYTES:
        return (double)cost->model_bytes;
    case COST_TRAFFIC:
        return (double)cost->traffic_bytes;
    case COST_ENERGY:
        return (double)cost_energy(cost, &energy_prices_default);
    case COST_METRICS:
        break;
    }
    return 0;
}

struct signed_metric {
    enum cost_metric metric;
    double sign;
};

static double unit_metric(void *context, const struct graph *graph, int unit) {
    const struct signed_metric *wanted = context;
    struct cost cost;
    unit_cost(graph, unit, &cost);
    return wanted->sign * metric_value(&cost, wanted->metric);
}

/* Highest value of a metric that is a sum. */
static int sum_high(const struct space *space, enum cost_metric metric, struct err *err,
                    double *ret_high) {
    struct signed_metric negative = {metric, -1};
    struct arch arch;
    double low;
    int code =
        additive_min(space, &(struct additive_cost){unit_metric, &negative}, err, &low, &arch);
    if (!code)
        *ret_high = -low;
    return code;
}

/* Highest peak: that of the worst unit, since every unit is in some subnet. */
static int peak_high(const struct space *space, enum cost_metric metric, struct err *err,
                     double *ret_high) {
    struct signed_metric wanted = {metric, 1};
    struct unit_list *units = NULL;
    double high = 0;
    int code = space_units(space, err, &units);
    if (code)
        return code;
    for (int i = 0; i < units->n; i++) {
        double peak = unit_metric(&wanted, units->entries[i].graph, 0);
        high = peak > high ? peak : high;
    }
    unit_list_destroy(units);
    *ret_high = high;
    return 0;
}

int cost_range(const struct space *space, enum cost_metric metric, struct err *err, double *ret_low,
               double *ret_high, struct arch *ret_low_arch) {
    bool peak = metric == COST_PEAK_ACTIVATION || metric == COST_PEAK_SIMPLE;
    struct signed_metric wanted = {metric, 1};
    const struct additive_cost cost = {unit_metric, &wanted};
    double low, high;
    struct arch arch;
    int code = (peak ? peak_high : sum_high)(space, metric, err, &high);
    if (!code)
        code = (peak ? bottleneck_min : additive_min)(space, &cost, err, &low, &arch);
    if (code)
        return code;
    double unit = metric == COST_ENERGY ? ENERGY_UJ : 1;
    *ret_low = low * unit;
    *ret_high = high * unit;
    *ret_low_arch = arch;
    return 0;
}
