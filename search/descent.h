/* Gradient descent on a relaxed space: logits of each gene's choices go down along the derivatives
 * of a weighted cost, with a penalty on what breaks limits (as in ProxylessNAS, Cai et al. 2019,
 * whose expected latency the additive metrics' expectation is). */
#pragma once

#include "search/scalar.h"

struct descent {
    const struct slope *slope;
    const struct scalar *scalar; /* weights, and ranges of the costs */
    int steps;
    double rate;    /* of Adam's steps */
    double penalty; /* on the violation, in ranges of the costs */
};
/* logits: [shape->n], where to begin, then where it ended: the softmax over each gene's is its
 * distribution, which the descent has made cold. Deterministic. Errors: those of slope->look. */
int descend(const struct descent *descent, double *logits, struct err *err);
