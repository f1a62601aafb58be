#include "search/limit_samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/upper_limits.h"
#include "search/sampling.h"

static struct goals without_constraint(const struct goals *goals, int index) {
    struct goals fewer = *goals;
    fewer.n_constraints--;
    for (int k = index; k < fewer.n_constraints; k++)
        fewer.constraints[k] = fewer.constraints[k + 1];
    return fewer;
}

/* *ret_limits NULL: none of them can be drawn within. */
static int make_limits(const struct limited *l, int within, struct err *err,
                       struct constrained **ret_limits) {
    if (within == SAMPLE_FREELY)
        return 0;
    struct goals goals = within < 0 ? *l->goals : without_constraint(l->goals, within);
    return limits_make(l->space, &goals, l->evaluators, l->n_evaluators, err, ret_limits);
}

static int draw(const struct limited *l, int within, struct err *err,
                struct limit_samples *samples) {
    static const uint64_t seed = 1;
    struct constrained *limits = NULL;
    int code = make_limits(l, within, err, &limits);
    if (code < 0)
        return code;
    samples->share = limits ? constrained_share(limits) : 1;
    for (uint32_t i = 0; i < LIMIT_SAMPLES; i++) {
        struct rng rng = rng_make(seed, RNG_SAMPLE, 1, i);
        sample_random(l->space, limits, &rng, &samples->archs[i]);
    }
    constrained_destroy(limits);
    return 0;
}

/* Place of each constraint's metric in what the evaluator yields; -1: it does not. False: none. */
static bool find_metrics(const struct evaluator *e, const struct goals *goals,
                         int ret_metrics[CONSTRAINTS_MAX]) {
    bool any = false;
    for (int k = 0; k < goals->n_constraints; k++) {
        ret_metrics[k] = -1;
        for (int i = 0; i < e->n_metrics; i++)
            if (strcmp(e->keys[i], goals->keys[goals->constraints[k].metric]) == 0)
                ret_metrics[k] = i;
        any |= ret_metrics[k] >= 0;
    }
    return any;
}

static int evaluate_by(const struct evaluator *e, const struct goals *goals, struct err *err,
                       struct limit_samples *samples) {
    int metrics[CONSTRAINTS_MAX];
    if (!e->cheap || !find_metrics(e, goals, metrics))
        return 0;
    for (int i = 0; i < LIMIT_SAMPLES; i++) {
        struct metric row[METRICS_MAX];
        struct evaluation evaluation = {.arch = &samples->archs[i], .values = row};
        int code = e->submit(e->context, &evaluation, 1, err);
        if (code < 0)
            return code;
        for (int k = 0; k < goals->n_constraints; k++)
            if (metrics[k] >= 0) {
                bool done = evaluation.state == EVALUATION_DONE;
                samples->values[i][k] = done ? row[metrics[k]].value : NAN;
                samples->known[k] = true;
            }
    }
    return 0;
}

int limit_samples_draw(const struct limited *limited, int within, struct err *err,
                       struct limit_samples **ret_samples) {
    struct limit_samples *samples = mem_array(1, sizeof *samples);
    int code = samples ? draw(limited, within, err, samples)
                       : err_set(err, ESP_ENOMEM, NULL, "no memory for random subnets");
    for (int i = 0; i < limited->n_evaluators && code == 0; i++)
        code = evaluate_by(&limited->evaluators[i], limited->goals, err, samples);
    if (code == 0)
        *ret_samples = samples;
    else
        free(samples);
    return code;
}

/* Written so that a value that is not known fails. */
static bool keeps(const struct constraint *c, double value) {
    return c->is_max ? value <= c->bound : value >= c->bound;
}

bool limit_samples_keeps(const struct limit_samples *samples, const struct goals *goals, int index,
                         int without) {
    for (int k = 0; k < goals->n_constraints; k++)
        if (k != without && samples->known[k] &&
            !keeps(&goals->constraints[k], samples->values[index][k]))
            return false;
    return true;
}

int limit_samples_count(const struct limit_samples *samples, const struct goals *goals,
                        int without) {
    int n = 0;
    for (int i = 0; i < LIMIT_SAMPLES; i++)
        n += limit_samples_keeps(samples, goals, i, without);
    return n;
}

static int compare_rising(const void *a, const void *b) {
    double p = *(const double *)a, q = *(const double *)b;
    return p < q ? -1 : p > q;
}

int limit_samples_others(const struct limit_samples *samples, const struct goals *goals,
                         int constraint, double ret_values[LIMIT_SAMPLES]) {
    int n = 0;
    for (int i = 0; i < LIMIT_SAMPLES && samples->known[constraint]; i++)
        if (!isnan(samples->values[i][constraint]) &&
            limit_samples_keeps(samples, goals, i, constraint))
            ret_values[n++] = samples->values[i][constraint];
    qsort(ret_values, (size_t)n, sizeof *ret_values, compare_rising);
    for (int i = 0; i < n / 2 && !goals->constraints[constraint].is_max; i++) {
        double other = ret_values[i];
        ret_values[i] = ret_values[n - 1 - i];
        ret_values[n - 1 - i] = other;
    }
    return n;
}

int limit_samples_nearest(const struct limit_samples *samples, const struct goals *goals) {
    double least = INFINITY;
    int best = -1;
    for (int i = 0; i < LIMIT_SAMPLES; i++) {
        double beyond = 0;
        for (int k = 0; k < goals->n_constraints; k++) {
            const struct constraint *c = &goals->constraints[k];
            double scale = c->bound != 0 ? fabs(c->bound) : 1, value = samples->values[i][k];
            if (samples->known[k] && !keeps(c, value))
                beyond += (c->is_max ? value - c->bound : c->bound - value) / scale;
        }
        if (beyond < least) {
            least = beyond;
            best = i;
        }
    }
    return best;
}
