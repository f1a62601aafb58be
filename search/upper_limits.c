#include "search/upper_limits.h"

#include <math.h>
#include <string.h>

/* Of a sum: evaluators add up in another order than who draws within a limit, and have the last
 * word on it. */
#define SLACK 1e-12

static bool is_within(const struct additive_metric *metric, double sum, double bound, bool equal) {
    double value = metric->value(metric->cost.context, sum);
    return equal ? value <= bound : value < bound;
}

/* The largest sum whose value is less than the bound, or equal to it; -infinity if there is none.
 * The value rises with the sum. */
static double invert(const struct additive_metric *metric, double bound, bool equal) {
    double low = 0, high = 1;
    if (!metric->value)
        return bound;
    if (!is_within(metric, low, bound, equal))
        return -INFINITY;
    while (is_within(metric, high, bound, equal)) {
        if (high > 1e18)
            return high;
        low = high;
        high *= 2;
    }
    for (int i = 0; i < 100; i++) {
        double middle = low + (high - low) / 2;
        if (is_within(metric, middle, bound, equal))
            low = middle;
        else
            high = middle;
    }
    return low;
}

double limits_sum_within(const struct additive_metric *metric, double bound) {
    double sum = invert(metric, bound, true);
    return isfinite(sum) ? sum + SLACK * fabs(sum) : sum;
}

double limits_sum_beyond(const struct additive_metric *metric, double bound) {
    double sum = invert(metric, bound, false);
    return isfinite(sum) ? sum - SLACK * fabs(sum) : sum;
}

bool limits_metric(const struct evaluator *evaluators, int n, const char *key,
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
        if (c->is_max && limits_metric(evaluators, n_evaluators, goals->keys[c->metric], &metric))
            limits[n++] = (struct constrained_limit){metric.cost, metric.bottleneck,
                                                     limits_sum_within(&metric, c->bound)};
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
