#include "search/limits.h"

#include <math.h>
#include <string.h>

/* The largest sum whose value is within the bound; -infinity if there is none. The value rises with
 * the sum. */
static double invert(const struct additive_metric *metric, double bound) {
    double low = 0, high = 1;
    if (!metric->value)
        return bound;
    if (!(metric->value(metric->cost.context, low) <= bound))
        return -INFINITY;
    while (metric->value(metric->cost.context, high) <= bound) {
        if (high > 1e18)
            return high;
        low = high;
        high *= 2;
    }
    for (int i = 0; i < 100; i++) {
        double middle = low + (high - low) / 2;
        if (metric->value(metric->cost.context, middle) <= bound)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The metric as a sum, if an evaluator has it so. */
static bool find_additive(const struct evaluator *evaluators, int n, const char *key,
                          struct additive_metric *ret_metric) {
    for (int i = 0; i < n; i++)
        for (int k = 0; k < evaluators[i].n_metrics && evaluators[i].additive; k++)
            if (strcmp(evaluators[i].keys[k], key) == 0)
                return evaluators[i].additive(evaluators[i].context, k, ret_metric);
    return false;
}

int limits_make(const struct space *space, const struct goals *goals,
                const struct evaluator *evaluators, int n_evaluators, struct err *err,
                struct constrained **ret_limits) {
    struct constrained_limit limits[CONSTRAINTS_MAX];
    struct constrained *made = NULL;
    struct err why = {0};
    int n = 0, code = 0;
    for (int i = 0; i < goals->n_constraints; i++) {
        const struct constraint *c = &goals->constraints[i];
        struct additive_metric metric = {0};
        if (c->is_max && find_additive(evaluators, n_evaluators, goals->keys[c->metric], &metric))
            limits[n++] = (struct constrained_limit){metric.cost, metric.bottleneck,
                                                     invert(&metric, c->bound)};
    }
    if (n > 0)
        code = constrained_create(space, limits, n, &why, &made);
    if (code == ESP_ENOMEM) {
        if (err)
            *err = why;
        return code;
    }
    *ret_limits = code == 0 ? made : NULL;
    return 0;
}
