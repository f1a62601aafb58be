/* Whether the limits of a search can be kept, told in words of the fleet before it is begun. */
#pragma once

#include "daemon/store_sql.h"
#include "search/limit_samples.h"

/* Where each profile and imported model that the goals name is, by id, for metric_words.h and the
 * job's spec. */
int search_places(struct sql *sql, const struct goals *goals, struct err *err, cJSON **ret_places);

/* ESP_EINVAL for a bound of top1 that is no share; ESP_EINFEASIBLE as feasibility_check has it,
 * then *ret_attainable is the best value of the constraint that cannot be met, or unchanged where
 * several exclude each other. Where nothing is proven but no random subnet keeps the limits,
 * "notes" of body say so. */
int search_check_feasible(const struct limited *limited, cJSON *body, struct err *err,
                          double *ret_attainable);
