/* Learns a profile's calibration from whole networks that were measured on it: every rung of the
 * ladder (latency/ladder.h) is fitted and the one that left out networks speak for is taken; the
 * whole procedure, choice of the rung included, is judged on networks that were left out. */
#pragma once

#include "latency/quality.h"
#include "latency/table.h"

enum { LEARN_FLEET_MAX = 16, LEARN_NETWORKS_MAX = 10000 };

struct learn_network {
    const struct graph *graph;
    double measured_us;
    double repeat_sd_us; /* spread of its own repeats */
    int session;         /* networks of one session were measured at about the same time */
    bool representative; /* it was chosen to stand for the whole space, not because it is good */
};

/* All borrowed. */
struct learn_sources {
    const struct latency_table *table;
    const struct unit_list *units; /* of the space */
    int n_fleet;                   /* tables of other profiles, in any order */
    const struct latency_table *const *fleet;
};

/* A network that was left out, as it was predicted from the others. */
struct learn_point {
    size_t network; /* its number in the list that was learnt on */
    double sum_us, predicted_us, low_us, high_us;
};

struct learn_report {
    size_t n;                   /* networks that have a sum */
    bool judged;                /* there were enough to leave one out */
    struct learn_point *points; /* [n], where judged; owned: learn_report_finish */
    struct latency_report latency;
    double error[LADDER_RUNGS]; /* mean |log(measured / predicted)| of left out networks; infinite
                                   for a rung that is not there */
};

/* Networks with units that cannot even be interpolated are left out. Learnt on the first
 * LADDER_KNOWN_MAX of the others. The interval's spread is that of errors on left out networks
 * which stand for the whole space (those of a front resemble each other, and tell little of
 * others), and of differences between sessions, because a prediction is of another one.
 * Deterministic. The caller ends *ret_calibration with calibration_finish and *ret_report with
 * learn_report_finish. Errors: ESP_EINVAL (fewer than CALIBRATION_MIN_NETWORKS of them),
 * ESP_ENOMEM. */
int calibration_learn(const struct learn_sources *sources, const struct learn_network *networks,
                      size_t n, int version, struct err *err, struct calibration *ret_calibration,
                      struct learn_report *ret_report);
void learn_report_finish(struct learn_report *report); /* may be called again */

/* What calibration cannot know of networks before they are measured (latency/design.h), by the
 * profile's table and the fleet: [n][n], n up to LADDER_KNOWN_MAX. Errors: ESP_EINVAL (fewer than
 * CALIBRATION_MIN_NETWORKS), ESP_EMISSING (units that cannot even be interpolated), ESP_ELIMIT,
 * ESP_ENOMEM. */
int learn_covariance(const struct learn_sources *sources, const struct graph *const *graphs,
                     size_t n, struct err *err, double *ret_covariance);

/* The error of a left out network, log(measured / predicted). */
struct learn_error {
    double log;
    int session;
    bool representative;
};
enum { LEARN_REPRESENTATIVE_MIN = 8 /* fewer tell less than all networks */ };
/* The spread of such errors, see above, and how many networks it was found on. scratch [n]. */
double learn_spread(const struct learn_error *errors, size_t n, double *scratch, int *ret_n);
