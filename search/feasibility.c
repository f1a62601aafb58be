#include "search/feasibility.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "search/conflict.h"
#include "search/limit_samples.h"
#include "search/upper_limits.h"
#include "search/refusal.h"

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

/* --- how many random subnets --- */

static double chance_of(const struct space *space, const struct arch *arch) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    double chance = 1;
    for (int i = 0; i < n; i++)
        if (arch_gene_active(space, arch, &genes[i]))
            chance /= genes[i].n_choices;
    return chance;
}

/* Of those within a bound, by counting; 0 where that is not possible. */
static double share_within(const struct limited *l, int metric, double bound) {
    struct additive_metric sum;
    struct constrained *limits = NULL;
    if (!limits_metric(l->evaluators, l->n_evaluators, l->goals->keys[metric], &sum))
        return 0;
    const struct constrained_limit limit = {sum.cost, sum.bottleneck,
                                            limits_sum_within(&sum, bound)};
    if (constrained_create(l->space, &limit, 1, NULL, &limits) < 0)
        return 0;
    double share = constrained_share(limits);
    constrained_destroy(limits);
    return share;
}

/* How many random subnets have the best of a constraint's metric: counted, else the one that is
 * known and others that were met. And what one in a hundred has. */
static int find_shares(const struct limited *l, struct feasibility *f, struct err *err) {
    const struct constraint *c = &l->goals->constraints[f->infeasible];
    const struct attainable *best = &f->attainable[f->infeasible];
    struct limit_samples *samples;
    double values[LIMIT_SAMPLES];
    int n = 0, met = 0, code = limit_samples_draw(l, SAMPLE_FREELY, err, &samples);
    if (code < 0)
        return code;
    for (int i = 0; i < LIMIT_SAMPLES && samples->known[f->infeasible]; i++) {
        double value = samples->values[i][f->infeasible];
        met += c->is_max ? value <= best->value : value >= best->value;
        if (!isnan(value))
            values[n++] = value;
    }
    free(samples);
    f->share = c->is_max ? share_within(l, c->metric, best->value) : 0;
    if (f->share <= 0)
        f->share = fmax(chance_of(l->space, &best->arch), (double)met / LIMIT_SAMPLES);
    if (n == LIMIT_SAMPLES)
        f->hundredth = stats_quantile(values, LIMIT_SAMPLES, c->is_max ? 0.01 : 0.99);
    return 0;
}

static int sample(const struct limited *l, struct err *err, struct feasibility *f) {
    struct limit_samples *samples;
    int code = limit_samples_draw(l, SAMPLE_WITHIN_ALL, err, &samples);
    if (code < 0)
        return code;
    f->accepted = samples->share * limit_samples_count(samples, l->goals, -1) / LIMIT_SAMPLES;
    int nearest = limit_samples_nearest(samples, l->goals);
    f->has_nearest = nearest >= 0;
    for (int k = 0; k < l->goals->n_constraints; k++)
        f->nearest[k] =
            nearest >= 0 && samples->known[k] ? samples->values[nearest][k] : (double)NAN;
    free(samples);
    return 0;
}

/* --- limits that exclude each other --- */

/* A max below a min of the same metric. */
static int check_crossed(const struct limited *l, const struct feasibility *f, struct err *err) {
    const struct goals *goals = l->goals;
    for (int k = 1; k < goals->n_constraints; k++)
        for (int i = 0; i < k; i++) {
            const struct constraint *a = &goals->constraints[i], *b = &goals->constraints[k];
            const struct constraint *max = a->is_max ? a : b, *min = a->is_max ? b : a;
            if (a->metric == b->metric && a->is_max != b->is_max && max->bound < min->bound)
                return refuse_crossed(l, f, i, k, err);
        }
    return 0;
}

/* Each limit can be kept, but no random subnet kept all of them. */
static int check_conflict(const struct limited *l, struct err *err) {
    struct conflict conflict;
    int code = conflict_find(l->space, l->goals, l->evaluators, l->n_evaluators, err, &conflict);
    return code == 0 && conflict.n > 0 ? refuse_conflict(l, &conflict, err) : code;
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
    const struct limited limited = {space, goals, evaluators, n_evaluators};
    struct feasibility f = {.infeasible = -1, .hundredth = NAN};
    int code = check_each(space, goals, evaluators, n_evaluators, err, &f);
    if (code == 0 && f.infeasible >= 0) {
        code = find_shares(&limited, &f, err);
        code = code == 0 ? refuse_unattainable(&limited, &f, err) : code;
    }
    if (code == 0)
        code = check_crossed(&limited, &f, err);
    if (code == 0)
        code = sample(&limited, err, &f);
    if (code == 0 && f.accepted <= 0)
        code = check_conflict(&limited, err);
    if (code == 0 || code == ESP_EINFEASIBLE)
        *ret_feasibility = f;
    return code;
}

/* Of loss and top1, which alone are not bounded by what is known beforehand. */
static double by_guessing(const char *key, int n_classes) {
    return strcmp(key, "loss") == 0 ? log(n_classes) : 1.0 / n_classes;
}

int reference_point(const struct space *space, const struct goals *goals,
                    const struct evaluator *evaluators, int n_evaluators, struct err *err,
                    double ret_reference[OBJECTIVES_MAX]) {
    double reference[OBJECTIVES_MAX];
    for (int i = 0; i < goals->n_objectives; i++) {
        const struct objective *o = &goals->objectives[i];
        struct attainable worst;
        int code = attainable_extreme(space, evaluators, n_evaluators, goals->keys[o->metric],
                                      !o->maximise, err, &worst);
        if (code < 0)
            return code;
        double value =
            worst.known ? worst.value : by_guessing(goals->keys[o->metric], space->n_classes);
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
