/* Which networks to measure next, so that what is predicted of all others becomes surest: the
 * errors of the plain sum are taken as a Gaussian process over the networks (what the ladder's
 * rungs can explain, latency/ladder.h, each before anything is known), and networks are added one
 * by one, each the one after which the mean variance that is left is least (A-optimal for the
 * predictions, greedily; the variance that is left does not depend on what will be measured, so a
 * batch can be chosen at once). Source: Seo et al. 2000, "active learning, Cohn". */
#pragma once

#include "latency/ladder.h"

enum { DESIGN_NETWORKS_MAX = 4096 };

/* Borrowed. */
struct design {
    size_t n;
    const double *covariance; /* [n][n] of the networks' log errors, positive semidefinite, in
                                 variances of the error that nothing explains */
    const double *weight; /* [n], >= 0: how much a network's prediction counts; NULL: all as much */
};

/* The covariance that the ladder's rungs stand for: a line through the sum that may be off by far,
 * and likenesses that there are, each by as much. measured_us of networks is not read. */
void design_covariance(const struct ladder_networks *networks, double *ret_covariance);

/* A network becomes known: what is left of a covariance [n][n] then. scratch [n]. O(n²). */
void design_know(double *covariance, size_t n, size_t network, double *scratch);

/* Chooses n_wanted networks beside those of known, in the order of their worth; the lower number of
 * two that are worth the same. ret_left, unless NULL, gets the weighted mean variance that is left
 * after each. O(n² · (n_known + n_wanted)) and as much memory as the covariance. Errors: ESP_EINVAL
 * (more wanted than there are), ESP_ELIMIT, ESP_ENOMEM. */
int design_choose(const struct design *design, const uint32_t *known, size_t n_known,
                  size_t n_wanted, struct err *err, uint32_t *ret_chosen, double *ret_left);
