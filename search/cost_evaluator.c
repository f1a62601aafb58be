#include "search/evaluator.h"

#include <math.h>

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

/* graph is that of one unit alone. */
static double unit_value(const struct graph *graph, int metric) {
    struct cost cost;
    struct metric values[KEYS];
    if (graph_cost(graph, 4, NULL, &cost) < 0)
        return NAN;
    fill(&cost, values);
    return values[metric].value;
}

#define UNIT_COST(name, metric)                                                                    \
    static double name(void *context, const struct graph *graph, int unit) {                       \
        return unit_value(graph, metric);                                                          \
    }
UNIT_COST(unit_macs, COST_MACS)
UNIT_COST(unit_params, COST_PARAMS)
UNIT_COST(unit_peak_activation, COST_PEAK_ACTIVATION)
UNIT_COST(unit_peak_simple, COST_PEAK_SIMPLE)
UNIT_COST(unit_model_bytes, COST_MODEL_BYTES)
#undef UNIT_COST

static bool additive(void *context, int metric, struct additive_metric *ret_metric) {
    static double (*const units[KEYS])(void *, const struct graph *, int) = {
        [COST_MACS] = unit_macs,
        [COST_PARAMS] = unit_params,
        [COST_PEAK_ACTIVATION] = unit_peak_activation,
        [COST_PEAK_SIMPLE] = unit_peak_simple,
        [COST_MODEL_BYTES] = unit_model_bytes,
    };
    *ret_metric = (struct additive_metric){.cost = {.unit = units[metric], .context = context},
                                           .bottleneck = metric == COST_PEAK_ACTIVATION ||
                                                         metric == COST_PEAK_SIMPLE};
    return true;
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
