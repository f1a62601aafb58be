#include "search/feasibility.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The evaluator that yields key, and the metric's place in it. */
static const struct evaluator *find_evaluator(const struct evaluator *evaluators, int n,
                                              const char *key, int *ret_metric) {
    for (int i = 0; i < n; i++)
        for (int k = 0; k < evaluators[i].n_metrics; k++)
            if (strcmp(evaluators[i].keys[k], key) == 0) {
                *ret_metric = k;
                return &evaluators[i];
            }
    return NULL;
}

static double negated(void *context, const struct graph *graph, int unit) {
    const struct additive_cost *cost = context;
    return -cost->unit(cost->context, graph, unit);
}

static void pass_resolution(void *context, int resolution) {
    const struct additive_cost *cost = context;
    if (cost->resolution)
        cost->resolution(cost->context, resolution);
}

/* By dynamic programming over the units. */
static int solve(const struct space *space, const struct additive_metric *metric, bool largest,
                 struct err *err, struct attainable *ret_attainable) {
    struct attainable found = {.known = true};
    struct additive_cost cost = metric->cost;
    if (largest)
        cost = (struct additive_cost){negated, (void *)&metric->cost, pass_resolution};
    int code = metric->bottleneck ? bottleneck_min(space, &cost, err, &found.value, &found.arch)
                                  : additive_min(space, &cost, err, &found.value, &found.arch);
    if (code < 0)
        return code;
    if (largest)
        found.value = -found.value;
    if (metric->value)
        found.value = metric->value(metric->cost.context, found.value);
    *ret_attainable = found;
    return 0;
}

/* By evaluating the smallest or largest subnet. */
static int evaluate_end(const struct space *space, const struct evaluator *evaluator, int metric,
                        bool largest, struct err *err, struct attainable *ret_attainable) {
    struct attainable found = {.known = true};
    struct metric values[METRICS_MAX];
    struct evaluation evaluation = {.arch = &found.arch, .values = values};
    if (largest)
        arch_max(space, &found.arch);
    else
        arch_min(space, &found.arch);
    int code = evaluator->submit(evaluator->context, &evaluation, 1, err);
    if (code < 0)
        return code;
    found.value = values[metric].value;
    found.known = evaluation.state == EVALUATION_DONE && !isnan(found.value);
    *ret_attainable = found;
    return 0;
}

int attainable_extreme(const struct space *space, const struct evaluator *evaluators,
                       int n_evaluators, const char *key, bool largest, struct err *err,
                       struct attainable *ret_attainable) {
    int metric = 0;
    struct additive_metric sum;
    const struct evaluator *e = find_evaluator(evaluators, n_evaluators, key, &metric);
    if (!e)
        return err_set(err, ESP_ENOTFOUND, NULL, "nothing yields the metric %s", key);
    if (e->additive && e->additive(e->context, metric, &sum) && !(sum.bottleneck && largest))
        return solve(space, &sum, largest, err, ret_attainable);
    if (e->monotone && e->monotone(e->context, metric))
        return evaluate_end(space, e, metric, largest, err, ret_attainable);
    *ret_attainable = (struct attainable){0};
    return 0;
}

static int refuse(const struct space *space, const struct goals *goals, int index,
                  const struct attainable *best, struct err *err) {
    const struct constraint *c = &goals->constraints[index];
    char pointer[64], text[ARCH_TEXT_MAX];
    arch_format(space, &best->arch, text);
    snprintf(pointer, sizeof pointer, "/constraints/%d/%s", index, c->is_max ? "max" : "min");
    return err_set(err, ESP_EINFEASIBLE, pointer,
                   "no subnet has %s of %s %.6g: the %s that can be reached is %.6g (%s)",
                   goals->keys[c->metric], c->is_max ? "at most" : "at least", c->bound,
                   c->is_max ? "least" : "most", best->value, text);
}

/* Which samples pass the constraints on metrics of one cheap evaluator. */
static int drop_failing(const struct goals *goals, const struct evaluator *e,
                        const struct arch *archs, bool *passes, struct err *err) {
    for (int i = 0; i < FEASIBILITY_SAMPLES; i++) {
        struct metric values[METRICS_MAX];
        struct evaluation evaluation = {.arch = &archs[i], .values = values};
        int code = e->submit(e->context, &evaluation, 1, err);
        if (code < 0)
            return code;
        for (int k = 0; k < goals->n_constraints; k++) {
            const struct constraint *c = &goals->constraints[k];
            int metric;
            if (find_evaluator(e, 1, goals->keys[c->metric], &metric) == NULL)
                continue;
            double value = values[metric].value;
            /* Written so that a value that is not known fails. */
            passes[i] &= evaluation.state == EVALUATION_DONE &&
                         (c->is_max ? value <= c->bound : value >= c->bound);
        }
    }
    return 0;
}

static int sample(const struct space *space, const struct goals *goals,
                  const struct evaluator *evaluators, int n_evaluators, struct err *err,
                  double *ret_accepted) {
    static const uint64_t seed = 1;
    struct arch archs[FEASIBILITY_SAMPLES];
    bool passes[FEASIBILITY_SAMPLES];
    int n = 0;
    for (uint32_t i = 0; i < FEASIBILITY_SAMPLES; i++) {
        struct rng rng = rng_make(seed, RNG_SAMPLE, 1, i);
        arch_random(space, &rng, &archs[i]);
        passes[i] = true;
    }
    for (int i = 0; i < n_evaluators; i++) {
        int code =
            evaluators[i].cheap ? drop_failing(goals, &evaluators[i], archs, passes, err) : 0;
        if (code < 0)
            return code;
    }
    for (int i = 0; i < FEASIBILITY_SAMPLES; i++)
        n += passes[i];
    *ret_accepted = (double)n / FEASIBILITY_SAMPLES;
    return 0;
}

int feasibility_check(const struct space *space, const struct goals *goals,
                      const struct evaluator *evaluators, int n_evaluators, struct err *err,
                      struct feasibility *ret_feasibility) {
    struct feasibility f = {.infeasible = -1};
    for (int i = 0; i < goals->n_constraints; i++) {
        const struct constraint *c = &goals->constraints[i];
        struct attainable *best = &f.attainable[i];
        int code = attainable_extreme(space, evaluators, n_evaluators, goals->keys[c->metric],
                                      !c->is_max, err, best);
        if (code < 0)
            return code;
        bool met = !best->known || (c->is_max ? best->value <= c->bound : best->value >= c->bound);
        if (!met && f.infeasible < 0)
            f.infeasible = i;
    }
    if (f.infeasible >= 0) {
        *ret_feasibility = f;
        return refuse(space, goals, f.infeasible, &f.attainable[f.infeasible], err);
    }
    int code = sample(space, goals, evaluators, n_evaluators, err, &f.accepted);
    if (code == 0)
        *ret_feasibility = f;
    return code;
}

int reference_point(const struct space *space, const struct goals *goals,
                    const struct evaluator *evaluators, int n_evaluators, double worst_unknown,
                    struct err *err, double ret_reference[OBJECTIVES_MAX]) {
    double reference[OBJECTIVES_MAX];
    for (int i = 0; i < goals->n_objectives; i++) {
        const struct objective *o = &goals->objectives[i];
        struct attainable worst;
        int code = attainable_extreme(space, evaluators, n_evaluators, goals->keys[o->metric],
                                      !o->maximise, err, &worst);
        if (code < 0)
            return code;
        double value = worst.known ? worst.value : worst_unknown;
        for (int k = 0; k < goals->n_constraints; k++) {
            const struct constraint *c = &goals->constraints[k];
            if (c->metric == o->metric && c->is_max == !o->maximise)
                value = c->is_max ? fmin(value, c->bound) : fmax(value, c->bound);
        }
        reference[i] = o->maximise ? -value : value;
    }
    for (int i = 0; i < goals->n_objectives; i++)
        ret_reference[i] = reference[i];
    return 0;
}
