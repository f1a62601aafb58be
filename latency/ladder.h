/* The ladder of calibrations: the plain sum of a network's table entries, a line through it
 * (latency/calibration.h), and under the line a sum that is corrected by what the networks that
 * resemble it were wrong by: ridge regression of the line's log errors, in its dual form (kernel
 * ridge; Saunders et al. 1998), on what networks can resemble each other in. Where likeness is of
 * shares of the sum, a corrected sum is one of scaled entries (ladder_linear), so it stays additive
 * over units. The plain sum or the line is taken unless a rung above predicts measured networks
 * that were left out clearly better; of fewer than five none does (but where something stands in
 * for the sum). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "latency/calibration.h"

/* A corrected sum lies between these shares of the sum. */
#define LADDER_SCALE_MIN 0.1
#define LADDER_SCALE_MAX 10.0
enum { LADDER_NETWORKS_MAX = 5000, LADDER_KNOWN_MAX = 1000 };

/* Networks of one profile. Borrowed. */
struct ladder_networks {
    size_t n;
    const double *sum_us, *measured_us;   /* [n]; > 0; measured is read of known ones only */
    const double *likeness[LADDER_RUNGS]; /* [n][n] each, from ladder_likeness; NULL: no such rung,
                                             as always for the sum and the line */
    bool stand_in; /* the sum is of no table of this profile and has no unit: every fit gives it the
                      scale of the networks that it knows. A rung above its line need only be
                      better on what was left out, else clearly so (by Student's t at 95 %,
                      shared among the rungs that are tried) */
};

/* Likeness of networks by features [n][n_features]: inner products of features around their means.
 * Positive semidefinite, its diagonal 1 in the mean; all 0 where features do not differ. O(n² ·
 * n_features). */
void ladder_likeness(const double *features, size_t n, size_t n_features, double *ret_likeness);

struct ladder;
/* Fits every rung on networks known[0..n_known), CALIBRATION_MIN_NETWORKS to LADDER_KNOWN_MAX of
 * them. Borrows networks. Deterministic. Errors: those of calibration_fit, ESP_ENOMEM. */
int ladder_fit(const struct ladder_networks *networks, const uint32_t *known, size_t n_known,
               struct err *err, struct ladder **ret_ladder);
void ladder_destroy(struct ladder *ladder); /* takes NULL */
enum ladder_rung ladder_chosen(const struct ladder *ladder);
/* In how many folds n known networks are left out: one by one, above 24 in twelve. */
size_t ladder_folds(size_t n);
/* Mean |log(measured / predicted)| of known networks that were left out (ladder_folds); infinite
 * for a rung that is not there. */
double ladder_loss(const struct ladder *ladder, enum ladder_rung rung);
/* Predicted latency of network i, by a rung that is there. */
double ladder_predict(const struct ladder *ladder, enum ladder_rung rung, size_t i);
/* log(measured / predicted) of the known networks, each left out: [n_known]; of a rung that is
 * there. */
const double *ladder_errors(const struct ladder *ladder, enum ladder_rung rung);
/* The line without what is above it; its rung is LADDER_SUM or LADDER_LINE. */
const struct calibration *ladder_line(const struct ladder *ladder);
/* How the sum of a network is corrected, as a linear function of the features [n][n_features] that
 * the rung's likeness was made of: added to the sum are (share + sum of ret_weights[k] times
 * feature k) of itself, and us. Not of what stands in for a sum. */
struct ladder_line {
    double share, us;
};
void ladder_linear(const struct ladder *ladder, enum ladder_rung rung, const double *features,
                   size_t n_features, double *ret_weights, struct ladder_line *ret_line);
/* As calibration_interval_factor, of a rung above the sum. */
double ladder_interval_factor(const struct ladder *ladder, enum ladder_rung rung);
