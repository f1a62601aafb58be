/* Whether a search can succeed at all, before anything is evaluated: the best value of each
 * constrained metric that any subnet attains, exactly and in milliseconds where the metric is a sum
 * over units, and how many random subnets pass all constraints. */
#pragma once

#include "search/limit_samples.h"

struct attainable {
    bool known; /* false: neither a sum nor bounded by the smallest or largest subnet */
    double value;
    struct arch arch; /* a subnet that attains it */
};

/* The smallest or largest value of a metric over the space. Errors: ESP_EMISSING (no subnet's value
 * is known), ESP_ENOTFOUND (no evaluator yields key), ESP_ENOMEM. */
int attainable_extreme(const struct space *space, const struct evaluator *evaluators,
                       int n_evaluators, const char *key, bool largest, struct err *err,
                       struct attainable *ret_attainable);

struct feasibility {
    struct attainable attainable[CONSTRAINTS_MAX]; /* best for each constraint */
    double accepted;  /* share of random subnets that pass all constraints on metrics that are cheap
                         to evaluate: of LIMIT_SAMPLES that were drawn within the limits
                         (search/upper_limits.h), times what those leave */
    int infeasible;   /* constraint that no subnet meets by itself, or -1 */
    double share;     /* of random subnets that have the best of that constraint's metric: counted
                         where it is a max, else the larger of the chance of attainable's arch and
                         of what LIMIT_SAMPLES tell */
    double hundredth; /* of that constraint's metric: what one random subnet in a hundred keeps; NAN
                         where the metric is not cheap */
    bool has_nearest; /* of the subnets that were drawn, the one least beyond the limits */
    double nearest[CONSTRAINTS_MAX]; /* its value for each constraint; NAN where not known */
};
/* Constraints on what no evaluator yields are compared with each other alone. ESP_EINFEASIBLE, with
 * ret_feasibility filled: a constraint that no subnet meets (err points at its bound and says what
 * can be reached, by which share of random subnets, and by one in a hundred); a max below a min of
 * the same metric (err points at the second of them, and says what the metric is and how many keep
 * each); limits that no subnet keeps together (search/conflict.h; looked for where nothing is
 * accepted; err points at the last of them, names all with what the others leave of each, and says
 * how many random subnets keep the others and what these have of the last). Nothing accepted and no
 * error: whether any subnet passes is not known. Other errors: those of attainable_extreme and of
 * the evaluators. */
int feasibility_check(const struct space *space, const struct goals *goals,
                      const struct evaluator *evaluators, int n_evaluators, struct err *err,
                      struct feasibility *ret_feasibility);

/* The worst value of each objective, as costs: what a hypervolume is measured from. For a minimised
 * metric its largest attainable value, or the bound of a constraint if that is less. Of top1 and
 * loss, which no evaluator bounds, that of guessing one of n classes: 1 / n and ln n. */
int reference_point(const struct space *space, const struct goals *goals,
                    const struct evaluator *evaluators, int n_evaluators, struct err *err,
                    double ret_reference[OBJECTIVES_MAX]);
