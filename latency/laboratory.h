/* How good latency predictions would be on somebody's measurements: each network is predicted by
 * the sum of a table that is made of the other networks' ops alone, then by every rung of the
 * ladder of calibrations on a few random networks, judged on the rest; over many random splits. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/parallel.h"
#include "latency/design.h"
#include "latency/interpolate.h"
#include "latency/ladder.h"
#include "latency/quality.h"

enum {
    LABORATORY_OPS_MAX = INTERPOLATION_SAMPLES_MAX,
    LABORATORY_SIZES_MAX = 8,
    LABORATORY_POOL_MAX = DESIGN_NETWORKS_MAX,
    LABORATORY_SPLITS_MAX = 100000,
    LABORATORY_FLEET_MIN = 8, /* other profiles: fewer tell little */
    LABORATORY_COSTS_MAX = 6,
    LABORATORY_STAND_INS_MAX = LABORATORY_COSTS_MAX + 1
};
/* Columns of what networks cost anywhere. */
#define LABORATORY_COSTS_TEXT "macs, flops, params, parameters, size or model_bytes"

struct laboratory_op {
    uint32_t key; /* number of its kind and features: ops of one key are the same work */
    struct interpolation_sample sample; /* group: the number of its network; us: NAN where nothing
                                           was measured, 0 what is too short to be told */
};

/* Of the files' networks and ops, what is not judged on a profile, and why. */
struct laboratory_left_out {
    size_t networks_not_measured; /* no time on the profile */
    size_t networks_without_ops;  /* measured, but there is no op of them; 0 without ops at all */
    size_t networks_not_drawn;    /* there were more than LADDER_NETWORKS_MAX */
    size_t unknown_networks;      /* that have ops, and are not in the list of networks */
    size_t ops_of_unknown;        /* their ops */
    size_t ops_not_measured;      /* of networks that are judged: other networks tell them */
    size_t networks_of_table; /* without a time on the profile, or unknown: their ops that have */
    size_t ops_of_table;      /* one are in the table */
};

/* What was measured on one profile. Without ops the geometric mean of the fleet's times stands in
 * for the sum; of less than LABORATORY_FLEET_MIN, or where a column of costs is better by what
 * a split knows, that column. Each split gives it the scale of its known networks. */
struct laboratory_profile {
    size_t n_networks, n_ops, n_keys, n_fleet;
    const double *measured_us; /* [n_networks], > 0 */
    /* Those of a network in a row, by their numbers; from n_networks on networks that are judged by
     * nobody, whose ops are in the table. */
    const struct laboratory_op *ops;
    const double *fleet_log_us; /* [n_networks][n_fleet] */
    int n_costs;
    const char *cost_names[LABORATORY_COSTS_MAX];
    const double *costs[LABORATORY_COSTS_MAX]; /* [n_networks] each, > 0, in any unit */
    struct laboratory_left_out left_out;       /* of the files; the report tells it on */
};

/* How the networks that calibrations are fitted on are chosen of a split's pool. */
enum laboratory_choice {
    LABORATORY_RANDOM,
    LABORATORY_SPREAD, /* evenly over the range of sums, without its ends */
    LABORATORY_USEFUL  /* latency/design.h */
};
extern const char *const laboratory_choice_names[]; /* "random", "spread", "useful", NULL */

struct laboratory_options {
    int n_sizes, sizes[LABORATORY_SIZES_MAX]; /* networks calibrated on, CALIBRATION_MIN_NETWORKS to
                                                 LADDER_KNOWN_MAX; those that are not fewer than
                                                 there are, or more than the pool, are skipped if
                                                 another one fits */
    int splits;
    uint64_t seed;
    enum laboratory_choice choice;
    int pool;  /* networks of a split that are chosen from, a random part; those outside judge.
                  Fewer than there are, at most LABORATORY_POOL_MAX; 0: as many as are chosen at
                  random, else half of the networks */
    int given; /* of those that are calibrated on, so many are random ones, as if measured before;
                  the rest is chosen to add to them. At most as many as the least size */
};

/* Means over splits. */
struct laboratory_figures {
    bool there;
    double mape, mape_sd, mape_median;                 /* of the splits' mean relative errors */
    double within_5, within_10, kendall_tau, coverage; /* coverage NAN for the sum */
    double chosen; /* share of splits in which the ladder took this rung */
};

enum { LABORATORY_LADDER = LADDER_RUNGS, LABORATORY_ROWS }; /* the rung that each split chose */

/* What may stand in for a table; each split takes the one that is best on its known networks. */
struct laboratory_stand_in {
    const char *name;                    /* "fleet" or that of a column of costs */
    bool weak;                           /* a fleet of less than LABORATORY_FLEET_MIN, or a cost */
    double kendall_tau;                  /* of all networks; it has no unit, so there is no error */
    double chosen[LABORATORY_SIZES_MAX]; /* share of splits */
};

struct laboratory_report {
    size_t n_networks;        /* that have a sum */
    size_t n_ops;             /* of the networks that are judged */
    size_t n_ops_unpredicted; /* too few of their kind in other networks: they count as 0 */
    struct laboratory_left_out left_out;
    bool entries_skipped; /* too many networks and ops for the rung LADDER_ENTRIES */
    double exact;         /* share of ops that another network has too */
    double log_error, log_error_expected; /* root mean squares of interpolated ops */
    int n_stand_ins;                      /* 0: there is a table */
    struct laboratory_stand_in stand_ins[LABORATORY_STAND_INS_MAX];
    struct latency_quality sum;                   /* of all networks, by a table */
    int pool;                                     /* 0: as many as are chosen */
    int n_skipped, skipped[LABORATORY_SIZES_MAX]; /* sizes that do not fit */
    int n_sizes, sizes[LABORATORY_SIZES_MAX];
    struct laboratory_figures figures[LABORATORY_SIZES_MAX][LABORATORY_ROWS];
};

/* The pool may be NULL; results do not depend on it. Errors: ESP_EINVAL (/sizes: one out of range
 * or none that fits, /pool, /given, no network with a sum), ESP_ENOMEM. */
int laboratory_run(const struct laboratory_profile *profile,
                   const struct laboratory_options *options, struct parallel *pool, struct err *err,
                   struct laboratory_report *ret_report);
/* NULL on memory exhaustion. */
cJSON *laboratory_report_to_json(const struct laboratory_report *report);
/* Also part of the report's. */
cJSON *laboratory_left_out_to_json(const struct laboratory_left_out *left_out);
