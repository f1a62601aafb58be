/* Whether the limits of a search can be kept, told in words of the fleet before it is begun. */
#pragma once

#include "daemon/store_sql.h"
#include "search/limit_samples.h"

/* Where each profile and imported model that the goals name is, by id, for metric_words.h and the
 * job's spec. */
int search_places(struct sql *sql, const struct goals *goals, struct err *err, cJSON **ret_places);

/* What is known of the limits before a search. */
struct search_outlook {
    double attainable; /* best value of the constraint that cannot be met; NAN: there is none, or
                          several exclude each other */
    double share;      /* of random subnets that keep all limits that are known beforehand; 1: there
                          is none; NAN: not found out */
};

/* ESP_EINVAL for a bound of top1 that is no share; ESP_EINFEASIBLE as feasibility_check has it.
 * Where nothing is proven but no random subnet keeps the limits, "notes" of body say so.
 * *ret_outlook is filled whatever is returned. */
int search_check_feasible(const struct limited *limited, cJSON *body, struct err *err,
                          struct search_outlook *ret_outlook);
