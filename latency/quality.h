/* How good latency predictions are on networks that they were not fitted on. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "latency/calibration.h"

struct latency_quality {
    int n;
    double mape;                /* mean of |predicted - measured| / measured */
    double bias;                /* mean of (predicted - measured) / measured */
    double within_5, within_10; /* shares with an error of at most 5 and 10 % */
    double kendall_tau, spearman_rho;
    double coverage; /* share of measurements inside the interval; NAN without intervals */
};

/* n >= 1 networks. low_us and high_us may both be NULL. */
void latency_quality_compute(const double *predicted_us, const double *low_us,
                             const double *high_us, const double *measured_us, size_t n,
                             struct latency_quality *ret_quality);

/* Whether the errors of n >= 2 networks are smaller in the mean of their magnitudes than others of
 * the same networks, by more than so many standard errors of the difference. */
bool latency_errors_smaller(const double *errors, const double *than, size_t n,
                            double standard_errors);

struct latency_report {
    struct latency_quality before; /* the plain sum */
    struct latency_quality after;  /* each network predicted by a calibration of others */
    double noise; /* median relative spread of repeated measurements: no prediction can be better.
                     NAN when not known */
};

/* {"mape", "bias", "within_5", "within_10", "kendall_tau", "spearman_rho", "coverage", "n"};
 * coverage null when not known; NULL on memory exhaustion. */
cJSON *latency_quality_to_json(const struct latency_quality *quality);
