/* The limits of a search that subnets can be drawn within (space/constrained.h): upper bounds of
 * metrics that are sums over units or the largest of them. */
#pragma once

#include "search/evaluator.h"
#include "space/constrained.h"

/* *ret_limits is NULL where there are none, where nothing keeps them all or where the space is too
 * large for it. Borrows space. Errors: ESP_ENOMEM. */
int limits_make(const struct space *space, const struct goals *goals,
                const struct evaluator *evaluators, int n_evaluators, struct err *err,
                struct constrained **ret_limits);

/* The metric as a sum over units or the largest of them; false where no evaluator has it so. */
bool limits_metric(const struct evaluator *evaluators, int n, const char *key,
                   struct additive_metric *ret_metric);
/* Above every sum (by a hair) whose value is at most the bound; -infinity: there is none. */
double limits_sum_within(const struct additive_metric *metric, double bound);
/* Below every sum (by a hair) whose value is at least the bound; -infinity: all are that. */
double limits_sum_beyond(const struct additive_metric *metric, double bound);
