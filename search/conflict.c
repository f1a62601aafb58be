#include "search/conflict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "search/upper_limits.h"

enum { STEPS_MAX = 150, HALVINGS = 24 };
#define ROUNDING 1e-9 /* of what was added up: no proof below it */

/* A constraint as a limit on a sum over units or on the largest of them. */
struct limit {
    int constraint;
    bool is_max;
    struct additive_metric metric;
    double bound, scale; /* of the sum; what its excess is divided by */
};

struct weights {
    double of[CONSTRAINTS_MAX]; /* of the limits; a limit on the largest unit counts above 0, and
                                   of those from below at most one does */
};

struct proof {
    const struct space *space;
    struct limit limits[CONSTRAINTS_MAX];
    int n, steps;
    int reach;              /* the limit from below on the largest unit that takes part; -1: none */
    struct weights weights; /* what the least is sought of */
    struct weights best;    /* those of the largest least, */
    double value;           /* which this is */
    bool found;             /* it is above 0 */
};

static double excess(const struct limit *limit, double sum) {
    return (limit->is_max ? sum - limit->bound : limit->bound - sum) / limit->scale;
}

/* --- the weighted sum --- */

static double weighted_unit(void *context, const struct graph *graph, int unit) {
    const struct proof *p = context;
    double total = 0;
    for (int i = 0; i < p->n; i++) {
        const struct limit *l = &p->limits[i];
        if (p->weights.of[i] <= 0)
            continue;
        double value = l->metric.cost.unit(l->metric.cost.context, graph, unit);
        if (!l->metric.bottleneck)
            total += p->weights.of[i] * (l->is_max ? value : -value) / l->scale;
        else if (l->is_max && !(value <= l->bound))
            return NAN;
    }
    return total;
}

static void pass_resolution(void *context, int resolution) {
    const struct proof *p = context;
    for (int i = 0; i < p->n; i++)
        if (p->limits[i].metric.cost.resolution)
            p->limits[i].metric.cost.resolution(p->limits[i].metric.cost.context, resolution);
}

static double offset(const struct proof *p) {
    double total = 0;
    for (int i = 0; i < p->n; i++)
        if (!p->limits[i].metric.bottleneck)
            total += p->weights.of[i] * excess(&p->limits[i], 0);
    return total;
}

static int minimise(struct proof *p, const struct additive_cost *cost, struct err *err,
                    double *ret_sum, struct arch *ret_arch) {
    if (p->reach < 0 || p->weights.of[p->reach] <= 0)
        return additive_min(p->space, cost, err, ret_sum, ret_arch);
    const struct limit *limit = &p->limits[p->reach];
    const struct additive_reach reach = {limit->metric.cost, limit->bound};
    return additive_min_reaching(p->space, cost, &reach, err, ret_sum, ret_arch);
}

/* The least of the weighted excess over the space, infinite where no subnet is left, and a subnet
 * that has it. */
static int find_least(struct proof *p, const struct weights *weights, struct err *err,
                      double *ret_least, struct arch *ret_arch) {
    struct additive_cost cost = {weighted_unit, p, pass_resolution};
    struct err why = {0};
    double sum = 0;
    p->weights = *weights;
    p->steps++;
    int code = minimise(p, &cost, &why, &sum, ret_arch);
    double at = offset(p), least = code == ESP_EMISSING ? INFINITY : sum + at;
    if (code < 0 && code != ESP_EMISSING)
        return err_set(err, code, NULL, "%s", why.message);
    if (least > p->value) {
        p->value = least;
        p->best = *weights;
    }
    p->found |= least > ROUNDING * (fabs(sum) + fabs(at));
    *ret_least = least;
    return 0;
}

/* --- excesses of one subnet --- */

static int add_unit(struct proof *p, const struct graph *graph, int unit, struct err *err,
                    double sums[CONSTRAINTS_MAX]) {
    struct graph *alone;
    int code = graph_of_unit(graph, unit, err, &alone);
    if (code < 0)
        return code;
    for (int i = 0; i < p->n; i++)
        sums[i] += p->limits[i].metric.cost.unit(p->limits[i].metric.cost.context, alone, 0);
    free(alone);
    return 0;
}

static int find_excesses(struct proof *p, const struct arch *arch, struct err *err,
                         double ret_excesses[CONSTRAINTS_MAX]) {
    struct graph *graph;
    double sums[CONSTRAINTS_MAX] = {0};
    int code = graph_build(p->space, arch, err, &graph);
    if (code < 0)
        return code;
    pass_resolution(p, arch->resolution);
    for (int u = 0; u < graph->n_units && code == 0; u++)
        code = add_unit(p, graph, u, err, sums);
    free(graph);
    for (int i = 0; i < p->n; i++)
        ret_excesses[i] = p->limits[i].metric.bottleneck ? 0 : excess(&p->limits[i], sums[i]);
    return code;
}

static double weigh(const struct proof *p, const struct weights *weights,
                    const double excesses[CONSTRAINTS_MAX]) {
    double total = 0;
    for (int i = 0; i < p->n; i++)
        if (!p->limits[i].metric.bottleneck && weights->of[i] > 0)
            total += weights->of[i] * excesses[i];
    return total;
}

/* --- weights --- */

static bool is_reach(const struct limit *limit) {
    return limit->metric.bottleneck && !limit->is_max;
}

/* Of one sum alone, with the limits on the largest unit; -1: of those alone. */
static struct weights only(const struct proof *p, int limit) {
    struct weights w = {{0}};
    for (int i = 0; i < p->n; i++)
        w.of[i] =
            is_reach(&p->limits[i]) ? i == p->reach : i == limit || p->limits[i].metric.bottleneck;
    return w;
}

static struct weights between(const struct proof *p, const struct weights *from,
                              const struct weights *to, double t) {
    struct weights w;
    for (int i = 0; i < p->n; i++)
        w.of[i] = (1 - t) * from->of[i] + t * to->of[i];
    return w;
}

static bool goes_on(const struct proof *p) {
    return !p->found && p->steps < STEPS_MAX;
}

/* The least is concave along the way from one to the other: halved where it rises, until a subnet
 * keeps both ends. */
static int climb(struct proof *p, const struct weights *from, const struct weights *to,
                 struct err *err) {
    double low = 0, high = 1, least, excesses[CONSTRAINTS_MAX];
    for (int i = 0; i < HALVINGS && goes_on(p); i++) {
        double middle = (low + high) / 2;
        struct weights w = between(p, from, to, middle);
        struct arch arch;
        int code = find_least(p, &w, err, &least, &arch);
        if (code < 0 || p->found)
            return code;
        if ((code = find_excesses(p, &arch, err, excesses)) < 0)
            return code;
        double at_from = weigh(p, from, excesses), at_to = weigh(p, to, excesses);
        if (at_from <= 0 && at_to <= 0)
            return 0;
        *(at_to > at_from ? &low : &high) = middle;
    }
    return 0;
}

static int seek_pairs(struct proof *p, struct err *err) {
    int code = 0;
    for (int i = 0; i < p->n && code == 0; i++)
        for (int k = i + 1; k < p->n && code == 0 && goes_on(p); k++) {
            struct weights from = only(p, i), to = only(p, k);
            if (!p->limits[i].metric.bottleneck && !p->limits[k].metric.bottleneck)
                code = climb(p, &from, &to, err);
        }
    return code;
}

/* From the best weights so far towards each limit, again and again. */
static int seek_more(struct proof *p, struct err *err) {
    int code = 0, before;
    do {
        before = p->steps;
        for (int i = 0; i < p->n && code == 0 && goes_on(p); i++) {
            struct weights from = p->best, to = only(p, i);
            if (!p->limits[i].metric.bottleneck)
                code = climb(p, &from, &to, err);
        }
    } while (code == 0 && goes_on(p) && p->steps > before);
    return code;
}

static int seek(struct proof *p, struct err *err) {
    int code = 0, sums = 0;
    double least;
    struct arch arch;
    for (int i = -1; i < p->n && code == 0 && goes_on(p); i++) {
        struct weights w = only(p, i);
        if (i >= 0 && p->limits[i].metric.bottleneck)
            continue;
        sums += i >= 0;
        code = find_least(p, &w, err, &least, &arch);
    }
    if (code == 0)
        code = seek_pairs(p, err);
    return code == 0 && sums > 2 ? seek_more(p, err) : code;
}

/* --- what is told of it --- */

/* Without limits that the proof does not need. */
static int drop_idle(struct proof *p, struct err *err, struct weights *weights) {
    double least;
    struct arch arch;
    for (int i = 0; i < p->n; i++) {
        struct weights fewer = *weights;
        fewer.of[i] = 0;
        p->found = false;
        int code = weights->of[i] > 0 ? find_least(p, &fewer, err, &least, &arch) : 0;
        if (code < 0)
            return code;
        if (p->found)
            *weights = fewer;
    }
    return 0;
}

/* What is left of the least for one limit alone, the others being kept. */
static double forced_value(const struct limit *limit, double weight, double least) {
    double beyond = least * limit->scale / weight;
    double sum = limit->bound + (limit->is_max ? beyond : -beyond);
    if (limit->metric.bottleneck || !isfinite(sum))
        return NAN;
    return limit->metric.value ? limit->metric.value(limit->metric.cost.context, sum) : sum;
}

static int tell(struct proof *p, struct err *err, struct conflict *ret) {
    struct weights weights = p->best;
    double least;
    struct arch arch;
    int code = drop_idle(p, err, &weights);
    if (code == 0)
        code = find_least(p, &weights, err, &least, &arch);
    for (int i = 0; i < p->n && code == 0; i++)
        if (weights.of[i] > 0) {
            ret->forced[ret->n] = forced_value(&p->limits[i], weights.of[i], least);
            ret->constraints[ret->n++] = p->limits[i].constraint;
        }
    return code;
}

static void take_limits(struct proof *p, const struct goals *goals,
                        const struct evaluator *evaluators, int n_evaluators) {
    for (int i = 0; i < goals->n_constraints; i++) {
        const struct constraint *c = &goals->constraints[i];
        struct limit *l = &p->limits[p->n];
        *l = (struct limit){.constraint = i, .is_max = c->is_max};
        if (!limits_metric(evaluators, n_evaluators, goals->keys[c->metric], &l->metric))
            continue;
        l->bound = c->is_max ? limits_sum_within(&l->metric, c->bound)
                             : limits_sum_beyond(&l->metric, c->bound);
        l->scale = l->bound != 0 ? fabs(l->bound) : 1;
        p->n += isfinite(l->bound);
    }
}

/* Without limits from below on the largest unit, then with each of them. */
static int seek_all(struct proof *p, struct err *err) {
    int code = 0;
    for (int i = -1; i < p->n && code == 0 && !p->found; i++) {
        if (i >= 0 && !is_reach(&p->limits[i]))
            continue;
        p->reach = i;
        p->value = -INFINITY;
        p->best = (struct weights){{0}};
        p->steps = 0;
        code = seek(p, err);
    }
    return code;
}

int conflict_find(const struct space *space, const struct goals *goals,
                  const struct evaluator *evaluators, int n_evaluators, struct err *err,
                  struct conflict *ret_conflict) {
    struct proof proof = {.space = space};
    *ret_conflict = (struct conflict){0};
    take_limits(&proof, goals, evaluators, n_evaluators);
    int code = proof.n > 1 ? seek_all(&proof, err) : 0;
    return code == 0 && proof.found ? tell(&proof, err, ret_conflict) : code;
}
