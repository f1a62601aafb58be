/* Samples of a space. */
#pragma once

#include "space/arch.h"
#include "space/constrained.h"

enum { SAMPLE_MAX = 100000 };

/* A canonical arch whose choices lean to the small (lean -1) or the large (lean 1): every gene
 * draws choice i of n with weight exp(4 lean i / (n - 1)). Random archs of a large space all cost
 * about the same; leaning ones reach the ends of its range. */
void sample_leaning(const struct space *space, struct rng *rng, double lean, struct arch *ret_arch);

/* A random arch: within the limits, unless they are NULL or none was found. */
void sample_random(const struct space *space, const struct constrained *limits, struct rng *rng,
                   struct arch *ret_arch);
/* The same for a first population or a pool, spread over the range of costs: leaning; with limits
 * within a random share of what they leave. */
void sample_spread_out(const struct space *space, const struct constrained *limits, struct rng *rng,
                       struct arch *ret_arch);

/* The index-th arch (from 0) of a first population: the smallest, the largest, then in turn random
 * and spread ones, so that both ends of a front are there from the beginning. With limits the
 * cheapest is the first, and all are within them. */
void sample_founder(const struct space *space, const struct constrained *limits, int64_t index,
                    struct rng *rng, struct arch *ret_arch);

/* n different archs spread evenly over the range of MACs, smallest and largest subnet included, in
 * rising order of MACs: what regressors and calibrations are fitted on. Fewer when the space has no
 * more. Returns their number. Errors: ESP_EINVAL, ESP_ENOMEM. */
int sample_spread(const struct space *space, uint64_t seed, int n, struct err *err,
                  struct arch *ret_archs);
