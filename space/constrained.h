/* Random subnets within limits on costs that are sums over units, or the largest of them: drawn
 * constructively, so that a limit that one random subnet in a million keeps costs no more than one
 * that half of them keep.
 *
 * For every resolution, stage, channels and number of blocks that are still to come a table says
 * which share of all random continuations stays within a budget (dynamic programming over the
 * budget in bins, counted from the cheapest continuation). Choices are drawn stage by stage in
 * proportion to it. Bins are rounded in the subnet's favour and what is beyond the limit all the
 * same is drawn again: the subnets are exactly those of arch_random that keep the limits, each as
 * likely as there. Of several sums the table is that of the one that is hardest to keep, or of all
 * or the two hardest of them together where that is harder (two boards that oppose each other). */
#pragma once

#include "base/rng.h"
#include "space/additive.h"

enum { CONSTRAINED_LIMITS_MAX = 16 };

struct constrained_limit {
    struct additive_cost
        cost;        /* used while creating only; costs that are not known keep no limit */
    bool bottleneck; /* the largest unit in place of the sum */
    double bound;    /* at most */
};

struct constrained;
/* Borrows space. Errors: ESP_EINFEASIBLE (no subnet keeps all bottlenecks and one of the sums, or
 * the sums weighed together), ESP_ELIMIT (the space is too large for the tables), ESP_ENOMEM. */
int constrained_create(const struct space *space, const struct constrained_limit *limits, int n,
                       struct err *err, struct constrained **ret_constrained);
void constrained_destroy(struct constrained *constrained); /* takes NULL */

/* A canonical arch within the limits. budget in [0, 1]: of what lies between the cheapest subnet of
 * each resolution and the limit no more than this share is spent; 1 is the plain distribution.
 * False when many draws found none (limits that hardly any subnet keeps together, or one a hair
 * above the cheapest). */
bool constrained_draw(const struct constrained *constrained, struct rng *rng, double budget,
                      struct arch *ret_arch);
/* The share of arch_random's subnets that keep the limits: exact but for the last factor, which is
 * counted on 1,000 draws. */
double constrained_share(const struct constrained *constrained);
