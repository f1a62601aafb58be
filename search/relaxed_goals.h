/* Goals over the relaxed space: each cost and the violation of limits with their derivatives, of
 * the evaluators' gradient views, or where a metric is a sum over units of its exact expectation.
 */
#pragma once

#include "search/evaluator.h"
#include "search/strategy.h"

struct relaxed_goals;
/* Borrows all; asks the evaluators for nothing yet. Errors: ESP_ENOMEM. */
int relaxed_goals_create(const struct space *space, const struct goals *goals,
                         const struct evaluator *evaluators, int n_evaluators, struct err *err,
                         struct relaxed_goals **ret_goals);
void relaxed_goals_destroy(struct relaxed_goals *goals); /* takes NULL */
/* What evaluators say has changed: expectations are worked out anew. */
void relaxed_goals_forget(struct relaxed_goals *goals);
/* For a strategy_config; lives as long as the goals. */
const struct slope *relaxed_goals_slope(const struct relaxed_goals *goals);
