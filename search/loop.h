/* The search loop: asks a strategy, has evaluators fill in metrics, keeps the archive, tells the
 * strategy, counts a budget of evaluations. One step is one generation. What comes from outside
 * (measurements, evaluations, a new calibration) enters between steps only and is logged with the
 * generation that it entered before: the same log gives the same asks. Its state can be saved after
 * any step; a loop that loads it goes on as if never interrupted. */
#pragma once

#include "search/archive.h"
#include "search/evaluator.h"
#include "search/strategy.h"

enum {
    SEARCH_EVALUATIONS_MAX = 1000000,
    SEARCH_EVALUATORS_MAX = 18, /* counted, accuracy, latency and energy of 8 profiles each */
    SEARCH_LOG_MAX = 100000,
    SEARCH_ROUNDS_MAX = 5
};
#define SEARCH_SECONDS_MAX 1e7

/* What a step did. */
struct generation {
    int number; /* from 1 */
    int64_t evaluations;
    double hypervolume; /* NAN where hypervolume() refuses: too many objectives or points */
    int front_size;
    int feasible;          /* candidates in all that meet the constraints */
    const int *candidates; /* of this generation, numbers in the archive */
    int n_candidates;
};

struct search_loop_config {
    const struct space *space;          /* borrowed, as are goals and evaluators */
    const struct goals *goals;          /* must not change */
    const struct evaluator *evaluators; /* together they yield every metric of objectives and
                                           constraints; metrics that goals lacks are ignored */
    int n_evaluators;
    const char *strategy; /* borrowed */
    struct strategy_config strategy_config;
    int64_t budget;                   /* evaluations, [1, SEARCH_EVALUATIONS_MAX] */
    int batch;                        /* evaluations a generation, [1, STRATEGY_ASK_MAX] */
    double reference[OBJECTIVES_MAX]; /* of the hypervolume, as costs */
};

struct search_loop;
/* Errors: ESP_EINVAL with pointers as in the body of a search (/evaluations, /population), those of
 * strategy_create. */
int search_loop_create(const struct search_loop_config *config, struct err *err,
                       struct search_loop **ret_loop);
void search_loop_destroy(struct search_loop *loop); /* takes NULL */

/* Evaluates n archs that are known beforehand (evaluated to fit a predictor, for instance) as
 * generation 0, outside the budget, and tells the strategy of them. Before the first step. Errors:
 * ESP_ECONFLICT (a step was made), ESP_EINVAL (an arch of another space), those of the evaluators.
 */
int search_loop_seed(struct search_loop *loop, const struct arch *archs, int n, struct err *err);

/* One generation. Returns 1 while there may be another, 0 when the budget is spent or the space is
 * exhausted; ret_generation->candidates is valid until the next call. After an error (that of an
 * evaluator, ESP_ECANCELED for instance) the loop can only be destroyed; its last saved state is
 * what to go on from. */
int search_loop_step(struct search_loop *loop, struct err *err, struct generation *ret_generation);

/* Where round (from 0) of so many that share a budget ends, in evaluations: in whole generations,
 * but for the last one, which ends with the budget. */
int64_t search_round_end(int64_t budget, int population, int rounds, int round);

/* Another budget from now on, in evaluations in all: of a search whose seconds have been turned
 * into evaluations. No fewer than it has had count. */
void search_loop_set_budget(struct search_loop *loop, int64_t budget);

struct archive *search_loop_archive(struct search_loop *loop);
int search_loop_generation(const struct search_loop *loop); /* finished ones */
int64_t search_loop_evaluations(const struct search_loop *loop);

/* A metric of one candidate became better known. Logged. Errors: ESP_ENOTFOUND (arch or key is not
 * in this search), ESP_ELIMIT, ESP_ENOMEM. */
int search_loop_enter(struct search_loop *loop, const struct arch *arch, const char *key,
                      const struct metric *metric, struct err *err);
/* Evaluates every candidate again by one of the evaluators (whose predictions have changed) and
 * replaces the values that were predicted. reason goes into the log. */
int search_loop_rescore(struct search_loop *loop, int evaluator, const char *reason,
                        struct err *err);

/* Errors of load, into a fresh loop of the same config: ESP_EMISMATCH, ESP_EINVAL, ESP_ENOMEM; the
 * loop can then only be destroyed. */
cJSON *search_loop_save(const struct search_loop *loop); /* NULL on memory exhaustion */
int search_loop_load(struct search_loop *loop, const cJSON *doc, const char *at, struct err *err);
