/* The spec of a job that searches, or calibrates alone (docs/JOB_PROTOCOL.md), checked. */
#pragma once

#include "daemon/energy_evaluator.h"
#include "daemon/latency_evaluator.h"
#include "daemon/metric_words.h"
#include "daemon/section_evaluator.h"
#include "latency/learn.h"
#include "search/loop.h"
#include <cjson/cJSON.h>

enum { SEARCH_PROFILES_MAX = 8, SEARCH_BOARDS_MAX = SEARCH_PROFILES_MAX + ENERGY_PROFILES_MAX };

/* A network that a profile measured before the search began. */
struct search_known {
    struct arch arch;
    double measured_us, repeat_sd_us;
    int session;         /* below 0: none of the search's own */
    bool representative; /* it was chosen to stand for the whole space */
};
/* Of a profile; and with what is learnt on them and the search's own, unless these are more: one
 * calibration on so many takes seconds. */
enum { SEARCH_KNOWN_MAX = 128 };

struct search_profile {
    const char *id, *revision;   /* borrowed from the spec */
    struct latency_table *table; /* NULL: an imported model, whose tables are these: */
    struct latency_sections sections;
    struct calibration calibration; /* owned; calibration_none when the spec has none */
    int calibration_version;        /* the newest that there is; that of the next is higher */
    int n_known;
    struct search_known *known; /* newest first; owned */
};

/* What energy costs on a profile. */
struct search_prices {
    const char *profile;  /* borrowed from the spec */
    const char *revision; /* that they are of; borrowed; NULL in specs of before it was told */
    struct energy_fit fit;
};

/* A board that measures what is meant: the latency of a profile, its energy, or both. */
struct search_board {
    const char *id; /* of the profile; borrowed from the spec */
    int profile;    /* of spec->profiles; -1: its latency is not meant */
    int energy;     /* of spec->energy; -1: its energy is not meant */
};

/* Tables of other profiles that know the space, for what they can teach a calibration. */
struct search_fleet {
    int n;
    const char *ids[LEARN_FLEET_MAX]; /* of profiles; borrowed from the spec */
    struct latency_table *tables[LEARN_FLEET_MAX];
};

/* An accuracy predictor that was imported. */
struct search_predictor {
    const char *path, *hash, *fingerprint; /* NULL: none. fingerprint: of the space without a choice
                                              of its resolutions */
};

struct search_spec {
    struct space *space; /* that is searched */
    struct space *whole; /* NULL: the same; else the supernet's, of which space is a part */
    struct goals goals;  /* top1, most counted metrics and each used profile's latency are in it */
    struct metric_words words; /* of the goals, by the spec's places */
    int n_profiles;            /* those whose latency is an objective or a constraint */
    struct search_profile profiles[SEARCH_PROFILES_MAX];
    int n_energy; /* profiles whose energy is an objective or a constraint */
    struct search_prices energy[ENERGY_PROFILES_MAX];
    int n_boards; /* those of latencies in the order of profiles, then those of energy alone */
    struct search_board boards[SEARCH_BOARDS_MAX];
    bool has_supernet;
    struct search_predictor predictor;
    struct search_fleet fleet;
    int n_warm;
    struct arch *warm;                    /* that the search begins with */
    int front_version;                    /* of the newest front that there is; 0: none */
    const char *strategy, *baseline;      /* baseline may be NULL; borrowed from the spec */
    double options[STRATEGY_OPTIONS_MAX]; /* of the strategy; the baseline has its defaults */
    int64_t evaluations, seed;            /* evaluations 0: the seconds will tell */
    double time_budget_s;                 /* of strategy and baseline; 0: evaluations are given */
    int64_t patience; /* evaluations without growth, after which it ends; 0: none ends it */
    int population, initial_evaluations, measure_front, calibration_nets;
    double board_patience_s;    /* without any answer, after which boards are taken as gone */
    int rounds;                 /* of searching and having the front verified, in the budget */
    int measurements;           /* that boards may be asked for; 0: any number */
    const char *measure_method; /* of whole networks, devices/method.h; borrowed */
    bool calibration_useful;    /* else calibration networks are spread over the range of MACs */
    bool accuracy_predicted;    /* else every candidate is evaluated by the supernet */
};

/* *spec is zeroed before; the caller finishes it, also on failure. Pointers of errors are those of
 * the body of POST /searches where they are about it. */
int search_spec_read(struct search_spec *spec, const cJSON *doc, struct err *err);
/* The same of a job that has one profile calibrated and searches nothing: goals, strategy and what
 * else is a search's alone stay empty. Pointers of errors are the spec's. */
int search_spec_read_calibration(struct search_spec *spec, const cJSON *doc, struct err *err);
void search_spec_finish(struct search_spec *spec);
/* The arch as everybody outside of the search knows it: one of the whole space. */
void search_spec_lift(const struct search_spec *spec, const struct arch *arch,
                      struct arch *ret_arch);
static inline const struct space *search_spec_whole(const struct search_spec *spec) {
    return spec->whole ? spec->whole : spec->space;
}
/* Whether a board stands behind a profile, so that something can be measured. */
static inline bool search_profile_has_board(const struct search_profile *profile) {
    return profile->sections.n == 0;
}
