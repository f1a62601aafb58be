/* Calibration: what turns the sum of a network's table entries into the latency that the board
 * shows. Fitted on networks measured as a whole; versioned by who keeps it; shrunk towards no
 * correction, because on some runtimes the plain sum is right already and least squares on few
 * networks makes it worse. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "base/error.h"

enum calibration_kind {
    CALIBRATION_NONE,     /* nothing fitted: the sum itself; intervals come from the table */
    CALIBRATION_IDENTITY, /* fitted, and the sum itself predicts best */
    CALIBRATION_SHRUNK    /* a * sum + c */
};
extern const char *const calibration_kind_names[]; /* "none", "identity", "shrunk", NULL */

enum { CALIBRATION_MIN_NETWORKS = 3, CALIBRATION_MAX_NETWORKS = 10000 };
#define CALIBRATION_LEVEL 0.9 /* of the intervals of calibrated predictions */

struct calibration {
    enum calibration_kind kind;
    int version;        /* 0 for CALIBRATION_NONE, else >= 1 */
    int n;              /* networks that it was fitted on */
    double a, c_us;     /* 1 and 0 unless shrunk; a > 0 */
    double strength;    /* of the shrinkage: 0 least squares, infinite (as JSON: null) identity */
    double residual_sd; /* of log(measured / predicted), each network left out in turn */
};

extern const struct calibration calibration_none;

/* Fits on n networks: sum_us[i] is the sum of the table's entries, measured_us[i] what the board
 * showed; all > 0. Minimises Huber's loss of the relative error plus strength * ((a - 1)^2 +
 * (c / typical)^2); the strength is the one whose mean |log(measured / predicted)| on networks left
 * out in turn (in 40 folds when there are more) is least, the plain sum being one of the choices.
 * Deterministic. Errors: ESP_EINVAL (fewer than CALIBRATION_MIN_NETWORKS, a value not positive and
 * finite), ESP_ELIMIT, ESP_ENOMEM. */
int calibration_fit(const double *sum_us, const double *measured_us, size_t n, int version,
                    struct err *err, struct calibration *ret_calibration);

/* The calibrated latency of a sum: rises with the sum and is never negative (where a * sum + c
 * falls below a tenth of a * sum, that tenth is taken). */
double calibration_apply(const struct calibration *calibration, double sum_us);
/* The sum whose calibrated latency is us: the inverse. */
double calibration_invert(const struct calibration *calibration, double us);
/* Factor f >= 1 such that CALIBRATION_LEVEL of measured latencies should lie within
 * [us / f, us * f]: Student's t on the residuals, widened for few networks by 1 + 3 / n (1.6 at 5),
 * because they are a sample of what they have to stand for. 1 for CALIBRATION_NONE. */
double calibration_interval_factor(const struct calibration *calibration);

/* {"kind", "version", "n", "a", "c_us", "strength", "residual_sd"}; NULL on memory exhaustion. */
cJSON *calibration_to_json(const struct calibration *calibration);
/* Errors: ESP_EINVAL. */
int calibration_from_json(const cJSON *doc, const char *at, struct err *err,
                          struct calibration *ret_calibration);
