/* The ladder of calibrations: the plain sum of a network's table entries, a line through it
 * (latency/calibration.h), and on top of the line what the networks that resemble it were wrong by:
 * ridge regression of the line's log errors, in its dual form (kernel ridge; Saunders et al. 1998),
 * on what networks can resemble each other in. The plain sum or the line is taken unless a rung
 * above predicts measured networks that were left out clearly better. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "latency/calibration.h"

enum ladder_rung {
    LADDER_SUM,
    LADDER_LINE,
    LADDER_KINDS,   /* shares of the kinds of units: as good as a scale per kind */
    LADDER_FLEET,   /* what other profiles take for the networks */
    LADDER_ENTRIES, /* shares of single table entries */
    LADDER_RUNGS
};
extern const char *const ladder_rung_names[]; /* "sum", "line", "kinds", …, NULL */

enum { LADDER_NETWORKS_MAX = 5000, LADDER_KNOWN_MAX = 1000 };

/* Networks of one profile. Borrowed. */
struct ladder_networks {
    size_t n;
    const double *sum_us, *measured_us;   /* [n]; > 0; measured is read of known ones only */
    const double *likeness[LADDER_RUNGS]; /* [n][n] each, from ladder_likeness; NULL: no such rung,
                                             as always for the sum and the line */
    bool stand_in; /* the sum is of no table of this profile: a rung above its line need only be
                      better on what was left out, else clearly so (by 1.5 standard errors) */
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
/* Mean |log(measured / predicted)| of known networks that were left out (in ten folds when there
 * are more than ten); infinite for a rung that is not there. */
double ladder_loss(const struct ladder *ladder, enum ladder_rung rung);
/* Predicted latency of network i, by a rung that is there. */
double ladder_predict(const struct ladder *ladder, enum ladder_rung rung, size_t i);
/* As calibration_interval_factor, of a rung above the sum. */
double ladder_interval_factor(const struct ladder *ladder, enum ladder_rung rung);
