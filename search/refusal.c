#include "search/refusal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

enum { POINTER_MAX = 64, SHARE_MAX = 40, FEW = 100 };

static const char *side(const struct constraint *c) {
    return c->is_max ? "max" : "min";
}

static const char *side_words(const struct constraint *c) {
    return c->is_max ? "at most" : "at least";
}

static void point(const struct goals *goals, int index, char ret_pointer[POINTER_MAX]) {
    snprintf(ret_pointer, POINTER_MAX, "/constraints/%d/%s", index,
             side(&goals->constraints[index]));
}

/* "12 % of random subnets", "one random subnet in 3.5e+09", "none of 1000 random subnets". */
static void format_share(double share, char ret_text[SHARE_MAX]) {
    if (share >= 0.01)
        snprintf(ret_text, SHARE_MAX, "%.2g %% of random subnets", 100 * share);
    else if (share > 0)
        snprintf(ret_text, SHARE_MAX, "one random subnet in %.3g", 1 / share);
    else
        snprintf(ret_text, SHARE_MAX, "none of %d random subnets", LIMIT_SAMPLES);
}

static int finish(struct buf *text, const char *pointer, struct err *err) {
    int code = text->error ? err_set(err, ESP_ENOMEM, NULL, "no memory for a message")
                           : err_set(err, ESP_EINFEASIBLE, pointer, "%s", text->data);
    buf_finish(text);
    return code;
}

/* "macs of at most 1e+06". */
static void put_limit(const struct goals *goals, const struct constraint *c, struct buf *text) {
    char name[METRIC_NAME_MAX], bound[METRIC_VALUE_MAX];
    goals_say_metric(goals, c->metric, name);
    goals_say_value(goals, c->metric, c->bound, bound);
    buf_printf(text, "%s of %s %s", name, side_words(c), bound);
}

int refuse_unattainable(const struct limited *limited, const struct feasibility *f,
                        struct err *err) {
    const struct goals *goals = limited->goals;
    const struct constraint *c = &goals->constraints[f->infeasible];
    const struct attainable *best = &f->attainable[f->infeasible];
    char pointer[POINTER_MAX], arch[ARCH_TEXT_MAX], value[METRIC_VALUE_MAX], share[SHARE_MAX];
    struct buf text;
    point(goals, f->infeasible, pointer);
    arch_format(limited->space, &best->arch, arch);
    goals_say_value(goals, c->metric, best->value, value);
    format_share(f->share, share);
    buf_init(&text, 0);
    buf_puts(&text, "no subnet has ");
    put_limit(goals, c, &text);
    buf_printf(&text, ": the %s that can be reached is %s (%s), by %s",
               c->is_max ? "least" : "most", value, arch, share);
    goals_say_value(goals, c->metric, f->hundredth, value);
    if (!isnan(f->hundredth))
        buf_printf(&text, "; one random subnet in a hundred has at %s %s",
                   c->is_max ? "most" : "least", value);
    return finish(&text, pointer, err);
}

static double share_that_keeps(const struct limit_samples *samples, const struct constraint *c,
                               int index) {
    int n = 0;
    for (int i = 0; i < LIMIT_SAMPLES; i++)
        n += c->is_max ? samples->values[i][index] <= c->bound
                       : samples->values[i][index] >= c->bound;
    return (double)n / LIMIT_SAMPLES;
}

static int put_crossed(const struct limited *limited, const struct feasibility *f, int first,
                       int second, struct buf *text, struct err *err) {
    const struct constraint *a = &limited->goals->constraints[first];
    const struct constraint *b = &limited->goals->constraints[second];
    const struct attainable *one = &f->attainable[first], *other = &f->attainable[second];
    char low[METRIC_VALUE_MAX], high[METRIC_VALUE_MAX], shares[2][SHARE_MAX];
    struct limit_samples *samples;
    if (one->known && other->known) {
        goals_say_value(limited->goals, a->metric, fmin(one->value, other->value), low);
        goals_say_value(limited->goals, a->metric, fmax(one->value, other->value), high);
        buf_printf(text, "; it is from %s to %s", low, high);
    }
    int code = limit_samples_draw(limited, SAMPLE_FREELY, err, &samples);
    if (code < 0)
        return code;
    format_share(share_that_keeps(samples, a, first), shares[0]);
    format_share(share_that_keeps(samples, b, second), shares[1]);
    if (samples->known[first])
        buf_printf(text, "; that is kept by %s, this by %s", shares[0], shares[1]);
    free(samples);
    return 0;
}

int refuse_crossed(const struct limited *limited, const struct feasibility *f, int first,
                   int second, struct err *err) {
    const struct goals *goals = limited->goals;
    const struct constraint *a = &goals->constraints[first], *b = &goals->constraints[second];
    char pointer[POINTER_MAX], other[POINTER_MAX], name[METRIC_NAME_MAX];
    char bounds[2][METRIC_VALUE_MAX];
    struct buf text;
    point(goals, second, pointer);
    point(goals, first, other);
    goals_say_metric(goals, b->metric, name);
    goals_say_value(goals, a->metric, a->bound, bounds[0]);
    goals_say_value(goals, b->metric, b->bound, bounds[1]);
    buf_init(&text, 0);
    buf_printf(&text, "%s cannot be %s %s and, as %s has it, %s %s", name, side_words(b), bounds[1],
               other, side_words(a), bounds[0]);
    int code = put_crossed(limited, f, first, second, &text, err);
    if (code == 0)
        return finish(&text, pointer, err);
    buf_finish(&text);
    return code;
}

/* What a limit could be where the others stay: by random subnets that keep them. */
static int put_others(const struct limited *limited, int constraint, struct buf *text,
                      struct err *err) {
    const struct constraint *c = &limited->goals->constraints[constraint];
    double values[LIMIT_SAMPLES];
    struct limit_samples *samples;
    int code = limit_samples_draw(limited, constraint, err, &samples);
    if (code < 0)
        return code;
    int n = limit_samples_others(samples, limited->goals, constraint, values);
    char share[SHARE_MAX], best[METRIC_VALUE_MAX], usual[METRIC_VALUE_MAX];
    format_share(samples->share * n / LIMIT_SAMPLES, share);
    free(samples);
    buf_printf(text, "; the others are kept by %s", share);
    if (n > 0) {
        goals_say_value(limited->goals, c->metric, values[0], best);
        buf_printf(text, ", of %d the best has %s", n, best);
    }
    if (n >= FEW) {
        goals_say_value(limited->goals, c->metric, values[n / 100], usual);
        buf_printf(text, " and one in a hundred %s %s", side_words(c), usual);
    }
    return 0;
}

static void put_forced(const struct goals *goals, const struct conflict *conflict, int i,
                       struct buf *text) {
    const struct constraint *c = &goals->constraints[conflict->constraints[i]];
    char pointer[POINTER_MAX], forced[METRIC_VALUE_MAX];
    point(goals, conflict->constraints[i], pointer);
    buf_puts(text, i ? ", " : "");
    put_limit(goals, c, text);
    buf_printf(text, " (%s", pointer);
    goals_say_value(goals, c->metric, conflict->forced[i], forced);
    if (isfinite(conflict->forced[i]))
        buf_printf(text, "; with the others it is %s %s", c->is_max ? "at least" : "at most",
                   forced);
    buf_puts(text, ")");
}

int refuse_conflict(const struct limited *limited, const struct conflict *conflict,
                    struct err *err) {
    int last = conflict->constraints[conflict->n - 1];
    char pointer[POINTER_MAX];
    struct buf text;
    point(limited->goals, last, pointer);
    buf_init(&text, 0);
    buf_puts(&text, "no subnet keeps these limits together: ");
    for (int i = 0; i < conflict->n; i++)
        put_forced(limited->goals, conflict, i, &text);
    int code = put_others(limited, last, &text, err);
    if (code == 0)
        return finish(&text, pointer, err);
    buf_finish(&text);
    return code;
}
