/* Children of archs. None is canonical afterwards: genes of blocks beyond the depth count if the
 * child grows deeper. */
#pragma once

#include "space/arch.h"

/* Uniform crossover of each gene with that chance, else a's; of a block that one parent does not
 * have, the other's choices; of one that neither has, random ones. Returns whether it crossed: b
 * has no part in the child otherwise. */
bool vary_cross(const struct space *space, struct rng *rng, double chance, const struct arch *a,
                const struct arch *b, struct arch *ret_child);
/* Redraws each choice with the given chance, kernel size and expand ratio of a block together (Cai
 * et al. 2020, as in once-for-all's evolution). */
void vary_mutate(const struct space *space, struct rng *rng, double chance, struct arch *arch);
/* Changes one choice that the arch has, at random. */
void vary_step(const struct space *space, struct rng *rng, struct arch *arch);
