#include "search/evaluator.h"
#include "space/cost.h"

enum { KEYS = COST_METRICS };
static const char *const cost_keys[KEYS] = {
    [COST_MACS] = "macs",
    [COST_PARAMS] = "params",
    [COST_PEAK_ACTIVATION] = "peak_activation_bytes",
    [COST_PEAK_SIMPLE] = "peak_simple_bytes",
    [COST_MODEL_BYTES] = "model_bytes",
};

static void fill(const struct cost *cost, struct metric *ret_values) {
    const double values[KEYS] = {
        [COST_MACS] = (double)cost->macs,
        [COST_PARAMS] = (double)cost->params,
        [COST_PEAK_ACTIVATION] = (double)cost->peak_activation_bytes,
        [COST_PEAK_SIMPLE] = (double)cost->peak_simple_bytes,
        [COST_MODEL_BYTES] = (double)cost->model_bytes,
    };
    for (int i = 0; i < KEYS; i++)
        ret_values[i] = (struct metric){values[i], values[i], values[i], METRIC_COUNTED};
}

static int submit(void *context, struct evaluation *evaluations, int n, struct err *err) {
    const struct space *space = context;
    for (int i = 0; i < n; i++) {
        struct cost cost;
        int code = arch_cost(space, evaluations[i].arch, err, &cost);
        if (code < 0)
            return code;
        fill(&cost, evaluations[i].values);
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

static double unit_cost(const struct graph *graph, int unit, int metric) {
    const struct graph_unit *part = &graph->units[unit];
    double sum = 0;
    for (int i = 0; i < part->n_ops; i++) {
        struct cost cost;
        struct metric values[KEYS];
        op_cost(&graph->ops[part->first_op + i], 4, &cost);
        fill(&cost, values);
        sum += values[metric].value;
    }
    return sum;
}

static double unit_macs(void *context, const struct graph *graph, int unit) {
    return unit_cost(graph, unit, COST_MACS);
}

static double unit_params(void *context, const struct graph *graph, int unit) {
    return unit_cost(graph, unit, COST_PARAMS);
}

static double unit_model_bytes(void *context, const struct graph *graph, int unit) {
    return unit_cost(graph, unit, COST_MODEL_BYTES);
}

static bool additive(void *context, int metric, struct additive_metric *ret_metric) {
    *ret_metric = (struct additive_metric){.cost = {.context = context}};
    switch ((enum cost_metric)metric) {
    case COST_MACS:
        ret_metric->cost.unit = unit_macs;
        return true;
    case COST_PARAMS:
        ret_metric->cost.unit = unit_params;
        return true;
    case COST_MODEL_BYTES:
        ret_metric->cost.unit = unit_model_bytes;
        return true;
    case COST_PEAK_ACTIVATION:
    case COST_PEAK_SIMPLE:
    case COST_METRICS:
        break;
    }
    return false;
}

/* Larger choices never need less. */
static bool monotone(void *context, int metric) {
    return true;
}

void cost_evaluator_init(const struct space *space, struct evaluator *ret_evaluator) {
    *ret_evaluator = (struct evaluator){.n_metrics = KEYS,
                                        .keys = cost_keys,
                                        .cheap = true,
                                        .context = (void *)space,
                                        .submit = submit,
                                        .additive = additive,
                                        .monotone = monotone};
}
