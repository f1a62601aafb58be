#include "search/descent.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

/* The softmax's temperature falls from 1 to this, so that the end is nearly an arch: a perceptron's
 * value between vertices is no subnet's. */
#define COLD 0.2

struct work {
    const struct descent *descent;
    const struct relaxed_shape *shape;
    double *point, *by_point, *first, *second; /* [n] each; moments of Adam */
    struct slope_look look;
};

static double temperature(int step, int steps) {
    return pow(COLD, (double)step / steps);
}

static void soften(const struct work *w, const double *logits, double warm) {
    for (int g = 0; g < w->shape->n_genes; g++) {
        int at = w->shape->first[g], n = w->shape->genes[g].n_choices;
        double largest = logits[at], sum = 0;
        for (int j = 1; j < n; j++)
            largest = fmax(largest, logits[at + j]);
        for (int j = 0; j < n; j++)
            sum += w->point[at + j] = exp((logits[at + j] - largest) / warm);
        for (int j = 0; j < n; j++)
            w->point[at + j] /= sum;
    }
}

/* Of the scalar cost and the penalty, by the point. */
static void combine(struct work *w) {
    double by_cost[OBJECTIVES_MAX];
    struct outcome outcome = {.failed = false};
    int n = w->shape->n, m = w->descent->scalar->m;
    for (int k = 0; k < m; k++)
        outcome.costs[k] = w->look.costs[k];
    scalar_slope(w->descent->scalar, &outcome, by_cost);
    for (int j = 0; j < n; j++)
        w->by_point[j] = w->descent->penalty * w->look.by_violation[j];
    for (int k = 0; k < m; k++)
        for (int j = 0; j < n; j++)
            w->by_point[j] += by_cost[k] * w->look.by_cost[k * n + j];
}

/* Through the softmax: p_j (d_j - sum p d) / temperature; then a step of Adam. */
static void move(struct work *w, double *logits, int step, double warm) {
    const double b1 = 0.9, b2 = 0.99;
    double c1 = 1 - pow(b1, step + 1), c2 = 1 - pow(b2, step + 1);
    for (int g = 0; g < w->shape->n_genes; g++) {
        int at = w->shape->first[g], n = w->shape->genes[g].n_choices;
        double mean = 0;
        for (int j = at; j < at + n; j++)
            mean += w->point[j] * w->by_point[j];
        for (int j = at; j < at + n; j++) {
            double d = w->point[j] * (w->by_point[j] - mean) / warm;
            w->first[j] = b1 * w->first[j] + (1 - b1) * d;
            w->second[j] = b2 * w->second[j] + (1 - b2) * d * d;
            logits[j] -= w->descent->rate * w->first[j] / c1 / (sqrt(w->second[j] / c2) + 1e-9);
        }
    }
}

static int run(struct work *w, double *logits, struct err *err) {
    const struct descent *d = w->descent;
    for (int i = 0; i < d->steps; i++) {
        double warm = temperature(i, d->steps);
        soften(w, logits, warm);
        int code = d->slope->look(d->slope->context, w->point, err, &w->look);
        if (code < 0)
            return code;
        combine(w);
        move(w, logits, i, warm);
    }
    for (int j = 0; j < w->shape->n; j++)
        logits[j] /= COLD;
    return 0;
}

int descend(const struct descent *descent, double *logits, struct err *err) {
    const struct relaxed_shape *shape = descent->slope->shape;
    size_t n = (size_t)shape->n;
    double *rooms = mem_array((size_t)(5 + descent->scalar->m) * n, sizeof *rooms);
    if (!rooms)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    struct work w = {.descent = descent,
                     .shape = shape,
                     .point = rooms,
                     .by_point = rooms + n,
                     .first = rooms + 2 * n,
                     .second = rooms + 3 * n,
                     .look = {.by_violation = rooms + 4 * n, .by_cost = rooms + 5 * n}};
    int code = run(&w, logits, err);
    free(rooms);
    return code;
}
