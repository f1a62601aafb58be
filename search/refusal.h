/* What is said of limits that cannot be kept: what can be reached, the nearest bounds that can be
 * kept, and how many random subnets keep them. All return ESP_EINFEASIBLE with a pointer, or
 * another error of what they looked at. */
#pragma once

#include "search/conflict.h"
#include "search/feasibility.h"
#include "search/limit_samples.h"

/* Constraint f->infeasible, of which nothing is within its bound. */
int refuse_unattainable(const struct limited *limited, const struct feasibility *f,
                        struct err *err);
/* A max below a min of the same metric: two constraints, the first given first. */
int refuse_crossed(const struct limited *limited, const struct feasibility *f, int first,
                   int second, struct err *err);
/* Limits that exclude each other; points at the last of them. */
int refuse_conflict(const struct limited *limited, const struct conflict *conflict,
                    struct err *err);
