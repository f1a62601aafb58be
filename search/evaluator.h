/* A source of metrics for archs: counting, predicting, running the supernet, measuring on a board.
 * The search knows sources only by this, so a new one touches no strategy. Who wires a search up
 * makes them; search/ makes the one that counts. */
#pragma once

#include "search/objective.h"
#include "space/relaxed.h"

enum evaluation_state {
    EVALUATION_DONE,
    EVALUATION_PENDING, /* the values come later, from outside (search_loop_enter) */
    EVALUATION_FAILED   /* this arch cannot be evaluated; the others can */
};
struct evaluation {
    const struct arch *arch; /* valid in the space */
    enum evaluation_state state;
    struct metric *values; /* evaluator->n_metrics, in the order of its keys */
};

/* A metric as a sum of costs of units, or as the largest of them, through a rising function: for
 * exact minima over a whole space. */
struct additive_metric {
    struct additive_cost cost;
    bool bottleneck;                            /* the largest unit in place of the sum */
    double (*value)(void *context, double sum); /* NULL: the sum itself; context is cost.context */
};

struct evaluator {
    int n_metrics;
    const char *const *keys;
    bool cheap; /* thousands a second: may be asked about samples of the space */
    void *context;
    /* Fills state and values of all n evaluations. An error fails the search: what is wrong with
     * one arch alone is EVALUATION_FAILED. */
    int (*submit)(void *context, struct evaluation *evaluations, int n, struct err *err);
    void (*cancel)(void *context); /* from another thread or a signal's flag: submit returns
                                      ESP_ECANCELED soon. May be NULL */
    /* True and the metric as a sum, if it is one. May be NULL. */
    bool (*additive)(void *context, int metric, struct additive_metric *ret_metric);
    /* Whether the metric never falls when any single choice grows, so that the smallest and the
     * largest subnet bound it. May be NULL: none. */
    bool (*monotone)(void *context, int metric);
    /* The metric at a point of the relaxed space, and its derivative by each probability
     * (ret_gradient: [shape->n]). At a vertex the value is that of its arch. Errors:
     * ESP_EUNSUPPORTED (this metric has none, or not now), ESP_ENOMEM. May be NULL: none has. */
    int (*gradient)(void *context, int metric, const struct relaxed_shape *shape,
                    const double *point, struct err *err, double *ret_value, double *ret_gradient);
};

/* The one that counts: macs, params, peak_activation_bytes, peak_simple_bytes, model_bytes,
 * traffic_bytes, energy_uj. Borrows
 * space. Not thread-safe. Errors: ESP_ENOMEM. */
int cost_evaluator_create(const struct space *space, struct err *err,
                          struct evaluator *ret_evaluator);
void cost_evaluator_destroy(struct evaluator *evaluator); /* takes one that is all zero */
