#include "search/feasibility.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/stats.h"
#include "search/conflict.h"
#include "search/limits.h"
#include "search/sampling.h"

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

/* The value of found->arch; not known where it has none. */
static int evaluate(const struct evaluator *evaluator, int metric, struct err *err,
                    struct attainable *found) {
    struct metric values[METRICS_MAX];
    struct evaluation evaluation = {.arch = &found->arch, .values = values};
    int code = evaluator->submit(evaluator->context, &evaluation, 1, err);
    if (code < 0)
        return code;
    found->value = values[metric].value;
    found->known = evaluation.state == EVALUATION_DONE && !isnan(found->value);
    return 0;
}

/* By dynamic programming over the units. It adds up in another order than the evaluator, which has
 * the last word: what is named here must itself keep a limit of that value. */
static int solve(const struct space *space, const struct evaluator *evaluator, int index,
                 const struct additive_metric *metric, bool largest, struct err *err,
                 struct attainable *ret_attainable) {
    struct attainable found = {0};
    double sum;
    struct additive_cost cost = metric->cost;
    if (largest)
        cost = (struct additive_cost){negated, (void *)&metric->cost, pass_resolution};
    int code = metric->bottleneck ? bottleneck_min(space, &cost, err, &sum, &found.arch)
                                  : additive_min(space, &cost, err, &sum, &found.arch);
    if (code == 0)
        code = evaluate(evaluator, index, err, &found);
    if (code == 0)
        *ret_attainable = found;
    return code;
}

/* By evaluating the smallest or largest subnet. */
static int evaluate_end(const struct space *space, const struct evaluator *evaluator, int metric,
                        bool largest, struct err *err, struct attainable *ret_attainable) {
    struct attainable found = {0};
    if (largest)
        arch_max(space, &found.arch);
    else
        arch_min(space, &found.arch);
    int code = evaluate(evaluator, metric, err, &found);
    if (code == 0)
        *ret_attainable = found;
    return code;
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
        return solve(space, e, metric, &sum, largest, err, ret_attainable);
    if (e->monotone && e->monotone(e->context, metric))
        return evaluate_end(space, e, metric, largest, err, ret_attainable);
    *ret_attainable = (struct attainable){0};
    return 0;
}

static int refuse(const struct space *space, const struct goals *goals, int index,
                  const struct attainable *best, double hundredth, struct err *err) {
    const struct constraint *c = &goals->constraints[index];
    char pointer[64], text[ARCH_TEXT_MAX], usual[96] = "";
    arch_format(space, &best->arch, text);
    snprintf(pointer, sizeof pointer, "/constraints/%d/%s", index, c->is_max ? "max" : "min");
    if (!isnan(hundredth))
        snprintf(usual, sizeof usual, "; one random subnet in a hundred has at %s %.6g",
                 c->is_max ? "most" : "least", hundredth);
    return err_set(err, ESP_EINFEASIBLE, pointer,
                   "no subnet has %s of %s %.6g: the %s that can be reached is %.6g (%s)%s",
                   goals->keys[c->metric], c->is_max ? "at most" : "at least", c->bound,
                   c->is_max ? "least" : "most", best->value, text, usual);
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

/* Random subnets, within the limits unless they are NULL. */
static void draw(const struct space *space, const struct constrained *limits,
                 struct arch archs[FEASIBILITY_SAMPLES]) {
    static const uint64_t seed = 1;
    for (uint32_t i = 0; i < FEASIBILITY_SAMPLES; i++) {
        struct rng rng = rng_make(seed, RNG_SAMPLE, 1, i);
        sample_random(space, limits, &rng, &archs[i]);
    }
}

/* What one random subnet in a hundred keeps of a constraint. */
static int find_hundredth(const struct space *space, const struct evaluator *evaluators,
                          int n_evaluators, const char *key, bool is_max, struct err *err,
                          double *ret_hundredth) {
    int metric = 0, n = 0;
    const struct evaluator *e = find_evaluator(evaluators, n_evaluators, key, &metric);
    struct arch archs[FEASIBILITY_SAMPLES];
    double values[FEASIBILITY_SAMPLES];
    *ret_hundredth = NAN;
    if (!e || !e->cheap)
        return 0;
    draw(space, NULL, archs);
    for (int i = 0; i < FEASIBILITY_SAMPLES; i++) {
        struct metric row[METRICS_MAX];
        struct evaluation evaluation = {.arch = &archs[i], .values = row};
        int code = e->submit(e->context, &evaluation, 1, err);
        if (code < 0)
            return code;
        if (evaluation.state == EVALUATION_DONE && !isnan(row[metric].value))
            values[n++] = row[metric].value;
    }
    if (n == FEASIBILITY_SAMPLES)
        *ret_hundredth = stats_quantile(values, FEASIBILITY_SAMPLES, is_max ? 0.01 : 0.99);
    return 0;
}

static int sample(const struct space *space, const struct goals *goals,
                  const struct evaluator *evaluators, int n_evaluators, struct err *err,
                  double *ret_accepted) {
    struct arch archs[FEASIBILITY_SAMPLES];
    bool passes[FEASIBILITY_SAMPLES];
    struct constrained *limits = NULL;
    int n = 0, made = limits_make(space, goals, evaluators, n_evaluators, err, &limits);
    if (made < 0)
        return made;
    double share = limits ? constrained_share(limits) : 1;
    draw(space, limits, archs);
    constrained_destroy(limits);
    for (int i = 0; i < FEASIBILITY_SAMPLES; i++)
        passes[i] = true;
    for (int i = 0; i < n_evaluators; i++) {
        int code =
            evaluators[i].cheap ? drop_failing(goals, &evaluators[i], archs, passes, err) : 0;
        if (code < 0)
            return code;
    }
    for (int i = 0; i < FEASIBILITY_SAMPLES; i++)
        n += passes[i];
    *ret_accepted = share * n / FEASIBILITY_SAMPLES;
    return 0;
}

/* --- limits that exclude each other --- */

static const char *side(const struct constraint *c) {
    return c->is_max ? "max" : "min";
}

static const char *side_words(const struct constraint *c) {
    return c->is_max ? "at most" : "at least";
}

static int refuse_crossed(const struct goals *goals, int first, int second, struct err *err) {
    const struct constraint *a = &goals->constraints[first], *b = &goals->constraints[second];
    char pointer[64];
    snprintf(pointer, sizeof pointer, "/constraints/%d/%s", second, side(b));
    return err_set(err, ESP_EINFEASIBLE, pointer,
                   "%s cannot be %s %.17g and, as /constraints/%d/%s has it, %s %.17g",
                   goals->keys[b->metric], side_words(b), b->bound, first, side(a), side_words(a),
                   a->bound);
}

/* A max below a min of the same metric. */
static int check_crossed(const struct goals *goals, struct err *err) {
    for (int k = 1; k < goals->n_constraints; k++)
        for (int i = 0; i < k; i++) {
            const struct constraint *a = &goals->constraints[i], *b = &goals->constraints[k];
            const struct constraint *max = a->is_max ? a : b, *min = a->is_max ? b : a;
            if (a->metric == b->metric && a->is_max != b->is_max && max->bound < min->bound)
                return refuse_crossed(goals, i, k, err);
        }
    return 0;
}

static int refuse_conflict(const struct goals *goals, const struct conflict *conflict,
                           struct err *err) {
    char text[400] = "", pointer[64] = "";
    size_t len = 0;
    for (int i = 0; i < conflict->n && len < sizeof text; i++) {
        int index = conflict->constraints[i];
        const struct constraint *c = &goals->constraints[index];
        snprintf(pointer, sizeof pointer, "/constraints/%d/%s", index, side(c));
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s of %s %.6g (%s", i ? ", " : "",
                                goals->keys[c->metric], side_words(c), c->bound, pointer);
        if (len < sizeof text && isfinite(conflict->forced[i]))
            len +=
                (size_t)snprintf(text + len, sizeof text - len, "; with the others it is %s %.6g",
                                 c->is_max ? "at least" : "at most", conflict->forced[i]);
        if (len < sizeof text)
            len += (size_t)snprintf(text + len, sizeof text - len, ")");
    }
    return err_set(err, ESP_EINFEASIBLE, pointer, "no subnet keeps these limits together: %s",
                   text);
}

/* Each limit can be kept, but no random subnet kept all of them. */
static int check_conflict(const struct space *space, const struct goals *goals,
                          const struct evaluator *evaluators, int n_evaluators, struct err *err) {
    struct conflict conflict;
    int code = conflict_find(space, goals, evaluators, n_evaluators, err, &conflict);
    return code == 0 && conflict.n > 0 ? refuse_conflict(goals, &conflict, err) : code;
}

static int check_each(const struct space *space, const struct goals *goals,
                      const struct evaluator *evaluators, int n_evaluators, struct err *err,
                      struct feasibility *f) {
    for (int i = 0; i < goals->n_constraints; i++) {
        const struct constraint *c = &goals->constraints[i];
        struct attainable *best = &f->attainable[i];
        int metric;
        if (!find_evaluator(evaluators, n_evaluators, goals->keys[c->metric], &metric))
            continue;
        int code = attainable_extreme(space, evaluators, n_evaluators, goals->keys[c->metric],
                                      !c->is_max, err, best);
        if (code < 0)
            return code;
        bool met = !best->known || (c->is_max ? best->value <= c->bound : best->value >= c->bound);
        if (!met && f->infeasible < 0)
            f->infeasible = i;
    }
    return 0;
}

int feasibility_check(const struct space *space, const struct goals *goals,
                      const struct evaluator *evaluators, int n_evaluators, struct err *err,
                      struct feasibility *ret_feasibility) {
    struct feasibility f = {.infeasible = -1, .hundredth = NAN};
    int code = check_each(space, goals, evaluators, n_evaluators, err, &f);
    if (code == 0 && f.infeasible >= 0) {
        const struct constraint *c = &goals->constraints[f.infeasible];
        code = find_hundredth(space, evaluators, n_evaluators, goals->keys[c->metric], c->is_max,
                              err, &f.hundredth);
        if (code == 0)
            code =
                refuse(space, goals, f.infeasible, &f.attainable[f.infeasible], f.hundredth, err);
    }
    if (code == 0)
        code = check_crossed(goals, err);
    if (code == 0)
        code = sample(space, goals, evaluators, n_evaluators, err, &f.accepted);
    if (code == 0 && f.accepted <= 0)
        code = check_conflict(space, goals, evaluators, n_evaluators, err);
    if (code == 0 || code == ESP_EINFEASIBLE)
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
