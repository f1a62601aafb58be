#include "search/relaxed_goals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Where a metric's derivatives come from. */
struct source {
    bool open;
    int code;                          /* negative: it has none */
    const struct evaluator *evaluator; /* NULL: an expectation */
    int metric;                        /* of the evaluator */
    struct additive_metric sum;
    struct expected_cost *expected;
};

struct relaxed_goals {
    const struct goals *goals;
    const struct evaluator *evaluators;
    int n_evaluators;
    struct relaxed_shape shape;
    struct slope slope;
    struct source sources[METRICS_MAX]; /* by the goals' metrics */
    double *by;                         /* [shape.n], of one metric */
};

static void close_source(struct source *source) {
    expected_cost_destroy(source->expected);
    *source = (struct source){.open = false};
}

/* An evaluator that yields the metric, from the one at *at on; false if there is none. */
static bool find_evaluator(const struct relaxed_goals *g, const char *key, int *at, int *metric) {
    for (; *at < g->n_evaluators; ++*at)
        for (int k = 0; k < g->evaluators[*at].n_metrics; k++)
            if (strcmp(g->evaluators[*at].keys[k], key) == 0) {
                *metric = k;
                return true;
            }
    return false;
}

static int open_source(struct relaxed_goals *g, int metric, struct err *err) {
    struct source *source = &g->sources[metric];
    const char *key = g->goals->keys[metric];
    int k = 0;
    if (source->open)
        return source->code == 0
                   ? 0
                   : err_set(err, source->code, NULL, "the metric %s has no derivatives", key);
    source->open = true;
    source->code = ESP_EUNSUPPORTED;
    for (int i = 0; find_evaluator(g, key, &i, &k); i++) {
        const struct evaluator *e = &g->evaluators[i];
        struct source found = {.open = true, .metric = k};
        if (e->gradient) {
            found.evaluator = e;
        } else if (e->additive && e->additive(e->context, k, &found.sum) && !found.sum.bottleneck) {
            int code = expected_cost_create(&g->shape, &found.sum.cost, err, &found.expected);
            source->open = code != ESP_ENOMEM;
            source->code = code;
            if (code < 0)
                return code;
        } else {
            continue;
        }
        *source = found;
        return 0;
    }
    return err_set(err, ESP_EUNSUPPORTED, NULL, "the metric %s has no derivatives", key);
}

/* Through the rising function behind the sum, whose derivative is taken numerically: it is a line
 * almost always. */
static double through(const struct additive_metric *sum, double expected, double *ret_slope) {
    double step = 1e-3 * fmax(fabs(expected), 1e-9);
    *ret_slope = 1;
    if (!sum->value)
        return expected;
    double above = sum->value(sum->cost.context, expected + step),
           below = sum->value(sum->cost.context, expected - step);
    *ret_slope = (above - below) / (2 * step);
    return sum->value(sum->cost.context, expected);
}

/* The metric and, in g->by, its derivatives. */
static int ask(struct relaxed_goals *g, int metric, const double *point, struct err *err,
               double *ret_value) {
    int code = open_source(g, metric, err);
    const struct source *source = &g->sources[metric];
    if (code < 0)
        return code;
    if (source->evaluator)
        return source->evaluator->gradient(source->evaluator->context, source->metric, &g->shape,
                                           point, err, ret_value, g->by);
    double slope, sum = expected_cost_get(source->expected, point, g->by);
    *ret_value = through(&source->sum, sum, &slope);
    for (int j = 0; j < g->shape.n; j++)
        g->by[j] *= slope;
    return 0;
}

/* Returns how many have derivatives, or ESP_ENOMEM. */
static int add_objectives(struct relaxed_goals *g, const double *point, struct err *err,
                          double *ret_costs, double *ret_by_cost) {
    int known = 0;
    for (int i = 0; i < g->goals->n_objectives; i++) {
        const struct objective *o = &g->goals->objectives[i];
        struct err none = {0};
        double value, sign = o->maximise ? -1 : 1;
        int code = ask(g, o->metric, point, &none, &value);
        if (code == ESP_ENOMEM)
            return err_set(err, code, NULL, "%s", none.message);
        known += code == 0;
        ret_costs[i] = code == 0 ? sign * value : NAN;
        for (int j = 0; j < g->shape.n; j++)
            ret_by_cost[i * g->shape.n + j] = code == 0 ? sign * g->by[j] : 0;
    }
    return known;
}

/* Those that have derivatives; of the others nothing is known here. Returns how many do, or
 * ESP_ENOMEM. */
static int add_constraints(struct relaxed_goals *g, const double *point, struct err *err,
                           double *ret_violation, double *ret_by_violation) {
    int known = 0;
    *ret_violation = 0;
    memset(ret_by_violation, 0, (size_t)g->shape.n * sizeof *ret_by_violation);
    for (int i = 0; i < g->goals->n_constraints; i++) {
        const struct constraint *c = &g->goals->constraints[i];
        struct err none = {0};
        double value, unit = fmax(fabs(c->bound), 1e-12), sign = c->is_max ? 1 : -1;
        int code = ask(g, c->metric, point, &none, &value);
        if (code == ESP_ENOMEM)
            return err_set(err, code, NULL, "%s", none.message);
        known += code == 0;
        if (code < 0 || sign * (value - c->bound) <= 0)
            continue;
        *ret_violation += sign * (value - c->bound) / unit;
        for (int j = 0; j < g->shape.n; j++)
            ret_by_violation[j] += sign * g->by[j] / unit;
    }
    return known;
}

static int look(void *context, const double *point, struct err *err, struct slope_look *ret_look) {
    struct relaxed_goals *g = context;
    int objectives = add_objectives(g, point, err, ret_look->costs, ret_look->by_cost);
    if (objectives < 0)
        return objectives;
    int limits = add_constraints(g, point, err, &ret_look->violation, ret_look->by_violation);
    if (limits < 0)
        return limits;
    return objectives + limits > 0
               ? 0
               : err_set(err, ESP_EUNSUPPORTED, NULL, "nothing has derivatives");
}

int relaxed_goals_create(const struct space *space, const struct goals *goals,
                         const struct evaluator *evaluators, int n_evaluators, struct err *err,
                         struct relaxed_goals **ret_goals) {
    struct relaxed_goals *g = mem_array(1, sizeof *g);
    if (g) {
        g->goals = goals;
        g->evaluators = evaluators;
        g->n_evaluators = n_evaluators;
        relaxed_shape_init(space, &g->shape);
        g->slope = (struct slope){&g->shape, g, look};
        g->by = mem_array((size_t)g->shape.n, sizeof *g->by);
    }
    if (!g || !g->by) {
        relaxed_goals_destroy(g);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a search");
    }
    *ret_goals = g;
    return 0;
}

void relaxed_goals_destroy(struct relaxed_goals *g) {
    if (!g)
        return;
    relaxed_goals_forget(g);
    free(g->by);
    free(g);
}

void relaxed_goals_forget(struct relaxed_goals *g) {
    for (int i = 0; i < METRICS_MAX; i++)
        close_source(&g->sources[i]);
}

const struct slope *relaxed_goals_slope(const struct relaxed_goals *g) {
    return &g->slope;
}
