#include "search/evaluator.h"

#include "space/cost.h"
#include "space/unit_sums.h"

enum { KEYS = COST_METRICS };
static const char *const cost_keys[KEYS] = {
    [COST_MACS] = "macs",
    [COST_PARAMS] = "params",
    [COST_PEAK_ACTIVATION] = "peak_activation_bytes",
    [COST_PEAK_SIMPLE] = "peak_simple_bytes",
    [COST_MODEL_BYTES] = "model_bytes",
    [COST_TRAFFIC] = "traffic_bytes",
    [COST_ENERGY] = "energy_uj",
};

/* Energy in tenths of a picojoule until it is shown. */
static double shown(int metric, double value) {
    return metric == COST_ENERGY ? value * ENERGY_UJ : value;
}

static double shown_energy(void *context, double sum) {
    return shown(COST_ENERGY, sum);
}

static void fill(const struct cost *cost, double *ret_values) {
    ret_values[COST_MACS] = (double)cost->macs;
    ret_values[COST_PARAMS] = (double)cost->params;
    ret_values[COST_PEAK_ACTIVATION] = (double)cost->peak_activation_bytes;
    ret_values[COST_PEAK_SIMPLE] = (double)cost->peak_simple_bytes;
    ret_values[COST_MODEL_BYTES] = (double)cost->model_bytes;
    ret_values[COST_TRAFFIC] = (double)cost->traffic_bytes;
    ret_values[COST_ENERGY] = (double)cost_energy(cost, &energy_prices_default);
}

static void unit_values(void *context, const struct graph *graph, int unit, double *ret_values) {
    struct cost cost;
    unit_cost(graph, unit, &cost);
    fill(&cost, ret_values);
}

static int submit(void *context, struct evaluation *evaluations, int n, struct err *err) {
    for (int i = 0; i < n; i++) {
        double values[KEYS];
        int code = unit_sums_get(context, evaluations[i].arch, err, values);
        if (code < 0)
            return code;
        for (int k = 0; k < KEYS; k++) {
            double value = shown(k, values[k]);
            evaluations[i].values[k] = (struct metric){value, value, value, METRIC_COUNTED};
        }
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

static double unit_value(const struct graph *graph, int unit, int metric) {
    double values[KEYS];
    unit_values(NULL, graph, unit, values);
    return values[metric];
}

#define UNIT_COST(name, metric)                                                                    \
    static double name(void *context, const struct graph *graph, int unit) {                       \
        return unit_value(graph, unit, metric);                                                    \
    }
UNIT_COST(unit_macs, COST_MACS)
UNIT_COST(unit_params, COST_PARAMS)
UNIT_COST(unit_peak_activation, COST_PEAK_ACTIVATION)
UNIT_COST(unit_peak_simple, COST_PEAK_SIMPLE)
UNIT_COST(unit_model_bytes, COST_MODEL_BYTES)
UNIT_COST(unit_traffic, COST_TRAFFIC)
UNIT_COST(unit_energy, COST_ENERGY)
#undef UNIT_COST

static bool additive(void *context, int metric, struct additive_metric *ret_metric) {
    static double (*const units[KEYS])(void *, const struct graph *, int) = {
        [COST_MACS] = unit_macs,
        [COST_PARAMS] = unit_params,
        [COST_PEAK_ACTIVATION] = unit_peak_activation,
        [COST_PEAK_SIMPLE] = unit_peak_simple,
        [COST_MODEL_BYTES] = unit_model_bytes,
        [COST_TRAFFIC] = unit_traffic,
        [COST_ENERGY] = unit_energy,
    };
    *ret_metric = (struct additive_metric){.cost = {.unit = units[metric], .context = context},
                                           .value = metric == COST_ENERGY ? shown_energy : NULL,
                                           .bottleneck = metric == COST_PEAK_ACTIVATION ||
                                                         metric == COST_PEAK_SIMPLE};
    return true;
}

/* A bottleneck of more channels may be cheaper: where they are those of its input, its shortcut is
 * no convolution. */
static bool has_bottleneck(const struct space *space) {
    for (int i = 0; i < space->n_stages; i++)
        if (space->stages[i].block == BLOCK_BOTTLENECK)
            return true;
    return false;
}

/* Larger choices never need less. */
static bool monotone(void *context, int metric) {
    return true;
}

int cost_evaluator_create(const struct space *space, struct err *err,
                          struct evaluator *ret_evaluator) {
    struct unit_sums_config config = {
        .space = space,
        .n_values = KEYS,
        .largest = {[COST_PEAK_ACTIVATION] = true, [COST_PEAK_SIMPLE] = true},
        .unit = unit_values};
    struct unit_sums *sums;
    int code = unit_sums_create(&config, err, &sums);
    if (code < 0)
        return code;
    *ret_evaluator = (struct evaluator){.n_metrics = KEYS,
                                        .keys = cost_keys,
                                        .cheap = true,
                                        .context = sums,
                                        .submit = submit,
                                        .additive = additive,
                                        .monotone = has_bottleneck(space) ? NULL : monotone};
    return 0;
}

void cost_evaluator_destroy(struct evaluator *evaluator) {
    unit_sums_destroy(evaluator->context);
    *evaluator = (struct evaluator){0};
}
