/* Calibration: what turns the sum of a network's table entries into the latency that the board
 * shows. Fitted on networks measured as a whole; versioned by who keeps it; shrunk towards no
 * correction, because on some runtimes the plain sum is right already and least squares on few
 * networks makes it worse. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "latency/scales.h"

enum calibration_kind {
    CALIBRATION_NONE,     /* nothing fitted: the sum itself, of unknown bias */
    CALIBRATION_IDENTITY, /* fitted, and the sum itself predicts best */
    CALIBRATION_SHRUNK    /* a * sum + c */
};
extern const char *const calibration_kind_names[]; /* "none", "identity", "shrunk", NULL */

/* What a calibration rests on (latency/ladder.h): above the line, units have scales of their own.
 */
enum ladder_rung {
    LADDER_SUM,
    LADDER_LINE,
    LADDER_KINDS,   /* a scale for each kind of unit */
    LADDER_FLEET,   /* what other profiles take for the units */
    LADDER_ENTRIES, /* a scale for each table entry */
    LADDER_RUNGS
};
extern const char *const ladder_rung_names[]; /* "sum", "line", "kinds", …, NULL */

enum { CALIBRATION_MIN_NETWORKS = 3, CALIBRATION_MAX_NETWORKS = 10000 };
/* Networks to calibrate on that are chosen at a time: of more, one is as good as another. */
enum { CALIBRATION_CHOICE_MAX = 128 };
#define CALIBRATION_LEVEL 0.9 /* of the intervals of predictions */
/* Deviation of log(measured / sum) that is taken for granted where nothing was measured: with
 * CALIBRATION_LEVEL within a factor of 1.5. On public GPU measurements of ten profiles of phones
 * sums are off by 3 to 48 % in the mean, on nine of the ten by less than 30. */
#define CALIBRATION_PRIOR_SD 0.2465

struct calibration {
    enum calibration_kind kind;
    int version;        /* 0 for CALIBRATION_NONE, else >= 1 */
    int n;              /* networks that it was fitted on */
    double a, c_us;     /* 1 and 0 unless shrunk; a > 0 */
    double strength;    /* of the shrinkage: 0 least squares, infinite (as JSON: null) identity */
    double residual_sd; /* of log(measured / predicted), each network left out in turn; of
                           CALIBRATION_NONE what is expected of sums */
    int spread_n; /* networks that residual_sd was found on: n, or those of them that stand for the
                     whole space; 0: n */
    double entries_sd; /* of log sums, by the intervals of entries: root mean square over its
                          networks, whose residual_sd has it already */
    enum ladder_rung rung;
    struct unit_scales *scales; /* of the table's entries, before they are added up; NULL: all 1.
                                   Owned by who fitted or read the calibration and ends it with
                                   calibration_finish; copies borrow */
};

extern const struct calibration calibration_none;

/* Fits on n networks: sum_us[i] is the sum of the table's entries, measured_us[i] what the board
 * showed; all > 0. Minimises Huber's loss of the relative error plus strength * ((a - 1)^2 +
 * (c / typical)^2); the strength is the one whose mean |log(measured / predicted)| on networks left
 * out in turn (in 40 folds when there are more) is least, the plain sum being one of the choices;
 * of three networks it stays unless a line is better by a standard error of the difference.
 * Deterministic. Errors: ESP_EINVAL (fewer than CALIBRATION_MIN_NETWORKS, a value not positive and
 * finite), ESP_ELIMIT, ESP_ENOMEM. */
int calibration_fit(const double *sum_us, const double *measured_us, size_t n, int version,
                    struct err *err, struct calibration *ret_calibration);

void calibration_finish(struct calibration *calibration); /* becomes calibration_none */

/* The calibrated latency of a sum (of scaled entries): rises with the sum and is never negative
 * (where a * sum + c falls below a tenth of a * sum, that tenth is taken). */
double calibration_apply(const struct calibration *calibration, double sum_us);
/* By how much of itself the latency rises when the sum rises by a hundredth of itself, in
 * hundredths: below 1 where the constant is a part of it. */
double calibration_rise(const struct calibration *calibration, double sum_us);
/* The sum whose calibrated latency is us: the inverse. */
double calibration_invert(const struct calibration *calibration, double us);
/* Factor f >= 1 such that CALIBRATION_LEVEL of measured latencies should lie within
 * [us / f, us * f]: Student's t on the residuals, widened for few networks by 1 + 3 / n (1.6 at 5;
 * n is spread_n), because they are a sample of what they have to stand for. For CALIBRATION_NONE
 * the normal distribution with residual_sd, which is expected and was not found. */
double calibration_interval_factor(const struct calibration *calibration);

/* {"kind", "version", "n", "a", "c_us", "strength", "residual_sd", "spread_n", "entries_sd",
 * "rung", "scales"?}; NULL on memory exhaustion. A document without rung and spread_n (of an older
 * version) is read as the sum or the line with n, one without entries_sd with 0. */
cJSON *calibration_to_json(const struct calibration *calibration);
/* Errors: ESP_EINVAL, ESP_ELIMIT, ESP_ENOMEM. */
int calibration_from_json(const cJSON *doc, const char *at, struct err *err,
                          struct calibration *ret_calibration);
