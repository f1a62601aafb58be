/* One search job while it runs; shared by the files search_*.c, phase_search.c and
 * phase_calibrate.c, which does of it what calibrates a board. */
#pragma once

#include "base/map.h"
#include "daemon/job/accuracy.h"
#include "daemon/job/facts.h"
#include "daemon/job/progress.h"
#include "daemon/job/search_spec.h"
#include "search/accuracy_predictor.h"
#include "search/ofa_predictor.h"

enum { SEARCH_MAIN, SEARCH_BASELINE, SEARCH_LOOPS };
enum { SEARCH_TAKES = 2 }; /* of each network before it is called measured */

/* What generations have taken, until the budget is known. */
struct search_pace {
    double seconds;
    int64_t scored, scored_before; /* by the supernet: in these generations; when the last ended */
};

/* A network that a board was asked to measure. */
struct search_request {
    int64_t request; /* number, from 1 */
    int board;       /* of the spec */
    int session;     /* those of one were asked for together */
    int take;        /* from 1: measured again, to be believed */
    struct arch arch;
};

/* By which version's steps a search goes: those that it began with, so that what it asked and sent
 * keeps its number. */
enum search_steps {
    SEARCH_STEPS_UNSETTLED, /* prices are fitted again in each pass, networks that a board will not
                               measure are not noted; and: */
    SEARCH_STEPS_UNTOLD,    /* a predictor that was fitted anew is not told of, and a board that
                               refuses all of its first networks counts as gone */
    SEARCH_STEPS_NOW
};

/* Shares of the whole job that its phases are expected to take. */
struct search_plan {
    double evaluate, calibrate, search; /* the latter without what is between rounds: */
    double round;                       /* after each but the last */
    double verify;                      /* in all passes at the end */
    double scoring;                     /* share of a round or pass; the rest is measuring */
};

struct search_run {
    struct job *job;
    struct search_spec spec;
    struct accuracy accuracy;
    struct facts *facts;
    int64_t events; /* that the search came to, sent or left out as known */

    struct ofa_predictor *imported;       /* where accuracies come from; NULL: learned, evaluated */
    struct accuracy_predictor *predictor; /* NULL until fitted */
    double kendall_tau;                   /* of that one */
    int n_initial;
    struct arch *initial; /* evaluated to fit it */

    struct latency_evaluator *latency[SEARCH_PROFILES_MAX];  /* of a profile with a board */
    struct section_evaluator *sections[SEARCH_PROFILES_MAX]; /* of an imported model */
    struct energy_evaluator *energy[ENERGY_PROFILES_MAX];
    /* Cost, accuracy, latency of profiles, energy of profiles. */
    struct evaluator evaluators[2 + SEARCH_PROFILES_MAX + ENERGY_PROFILES_MAX];
    int n_evaluators;
    double feasible_share; /* of random subnets, by what is known beforehand */
    double reference[OBJECTIVES_MAX];
    int64_t budget; /* evaluations of each loop; 0: not known yet */
    struct search_pace pace;
    struct search_loop *loops[SEARCH_LOOPS]; /* the baseline's is NULL when there is none */

    int n_requests, requests_capacity, session;
    struct search_request *requests;
    struct map request_index;        /* by arch */
    int priced[ENERGY_PROFILES_MAX]; /* takes that had told their energy when prices were last
                                        looked at, whether or not they were fitted then */
    enum search_steps steps;
    bool stagnated; /* it ended before its budget: the front did not grow any more */
    int outnumbered[SEARCH_PROFILES_MAX]; /* networks that it learnt on last, where that were too
                                             few for the calibration that it came with; else 0 */
    bool gone[SEARCH_BOARDS_MAX];         /* it is gone or did not answer: nothing more is asked */
    bool refuses[SEARCH_BOARDS_MAX]; /* all that it was asked for, twice: nothing more is asked */
    bool silent[SEARCH_BOARDS_MAX];  /* it has measured, and told no energy: that stays predicted */

    int front_version;
    struct search_plan plan;
    struct progress progress;
    double share;        /* of its phase that was told last */
    int64_t scored_told; /* accuracy.evaluated by then */
};

enum { SEARCH_COST_EVALUATOR, SEARCH_ACCURACY_EVALUATOR };
/* The evaluator of a profile's latency among run->evaluators. */
static inline int search_latency_evaluator(int profile) {
    return 2 + profile;
}
static inline const char *search_latency_key(const struct search_run *run, int profile) {
    return run->evaluators[search_latency_evaluator(profile)].keys[0];
}
/* The evaluator of the energy of spec->energy[i]. */
static inline int search_energy_evaluator(const struct search_run *run, int i) {
    return 2 + run->spec.n_profiles + i;
}

/* --- search_report.c: what goes up --- */

/* Of an arch of the space that is searched, in the whole space. */
void search_arch_id(const struct search_run *run, const struct arch *arch, char ret_id[HASH_TEXT]);

/* Sends an event, unless an earlier attempt sent it. Takes data. */
int search_emit(struct search_run *run, const char *kind, cJSON *data, struct err *err);
int search_emit_evaluation(struct search_run *run, const struct arch *arch,
                           enum dataset_split split, const struct score *score, struct err *err);
int search_emit_predictor(struct search_run *run, struct err *err);
/* Candidates of a loop by their numbers, in pieces of bounded size. */
int search_emit_candidates(struct search_run *run, int loop, const int *candidates, int n,
                           struct err *err);
int search_emit_generation(struct search_run *run, int loop, const struct generation *generation,
                           struct err *err);
int search_emit_front(struct search_run *run, const char *stage, const int *front, int n,
                      struct err *err);

/* --- search_progress.c: how far it has come --- */

/* Once, when the spec is read and it is known where accuracies come from. */
void search_plan_phases(struct search_run *run);
void search_enter_evaluate(struct search_run *run);
void search_enter_calibrate(struct search_run *run);
void search_enter_search(struct search_run *run, int rounds); /* rounds: that were verified */
void search_enter_round(struct search_run *run, int round);   /* from 0, to verify it */
void search_enter_pass(struct search_run *run, int pass);     /* 0, 1, 2: at the end */
/* done of so many subnets of the phase are scored, which is that part of it. */
void search_tell_scored(struct search_run *run, int done, int total, double part);
double search_scoring_part(const struct search_run *run); /* of a round or pass */
/* done of all requests are answered, of which some were before that share of the phase. */
void search_tell_measured(struct search_run *run, int done, int before, double from);
void search_tell_searched(struct search_run *run); /* after a generation */
void search_tell_end(struct search_run *run);

/* --- search_accuracy.c: where accuracy comes from --- */

/* Reads the imported predictor that the spec names, if it does. ESP_EMISMATCH, ESP_ECORRUPT. */
int search_open_predictor(struct search_run *run, struct err *err);
/* The real accuracy of a subnet, from the facts or by evaluating it; sends an evaluation event.
 * ESP_ECANCELED when the job is to stop. */
int search_score(struct search_run *run, const struct arch *arch, enum dataset_split split,
                 struct err *err, struct score *ret_score);
struct metric search_score_metric(const struct score *score);
/* Evaluates subnets over the range of MACs and fits the predictor on them; evaluates as many again
 * if it cannot rank. ESP_EINVAL when it then still cannot. */
int search_fit_predictor(struct search_run *run, struct err *err);
/* Fits it again on every candidate that was evaluated meanwhile, to look again at what the search
 * has found, and sends its figures. One that ranks too badly is not taken; *ret_fitted says. */
int search_refit_predictor(struct search_run *run, const struct archive *archive, struct err *err,
                           bool *ret_fitted);
/* top1: as evaluated where that is known, else predicted, or evaluated now; loss, on the validation
 * images, where every subnet is evaluated. */
void search_accuracy_evaluator(struct search_run *run, struct evaluator *ret_evaluator);

/* --- search_choice.c: networks to calibrate on --- */

/* Up to n subnets, of which is learnt most of all others beside what the profiles have measured
 * before, or spread over the range of MACs, as the spec says: a function of the spec. Returns their
 * number. */
int search_choose_calibration(const struct search_run *run, int n, struct err *err,
                              struct arch *ret_archs);

/* --- search_pace.c: a budget in seconds --- */

/* After each generation of a search whose budget is not known yet, of both loops in so many
 * seconds: turns its seconds into evaluations once that can be told, keeps and sends them. What an
 * earlier attempt measured counts in place of these seconds. goes_on: the main search has not
 * ended; when it has, what it had is the budget. */
int search_pace_step(struct search_run *run, double seconds, bool goes_on, struct err *err);

/* --- search_board.c: measurements and calibration --- */

/* Asks for so many takes of these networks on every board, but for those that were asked for and
 * within the budget of measurements: all first takes before the second ones. */
int search_request_measurements(struct search_run *run, const struct arch *archs, int n, int takes,
                                struct err *err);
bool search_board_answers(const struct search_run *run, int board); /* it is to be asked */
/* How many networks the budget lets be measured so many times, on every board. */
int search_measurable(const struct search_run *run, int takes);
/* Waits until all is answered. */
int search_wait_for_board(struct search_run *run, struct err *err);
/* Networks that a board which is there has refused, if it has measured none: 0 otherwise. The last
 * reason that it gave. After an answer to each request. */
int search_refusal(const struct search_run *run, int board, char ret_reason[REFUSAL_MAX]);
/* As learn_covariance, of a profile with a board. */
int search_board_covariance(const struct search_run *run, int profile,
                            const struct graph *const *graphs, size_t n, struct err *err,
                            double *ret_covariance);
/* Learns each profile's calibration from all that was measured, by the search and before it, if
 * there is enough of it; sends calibration events. *ret_changed: whether any was fitted. */
int search_calibrate(struct search_run *run, struct err *err, bool *ret_changed);

/* --- search_requests.c: what boards were asked for, and what they said --- */

/* Adds one more to run->requests; the arch was not asked for in this take yet. ESP_ENOMEM. */
int search_add_request(struct search_run *run, int board, const struct arch *arch, int take,
                       struct err *err);
/* NULL: it was not asked for. Valid until the next one is added. */
const struct search_request *search_find_request(const struct search_run *run, int board,
                                                 const struct arch *arch, int take);
bool search_asked(const struct search_run *run, const struct arch *arch); /* of any board */
/* One take of it; NULL: not measured, or refused. Valid until the next answer. */
const struct measured *search_accepted(const struct search_run *run, int board,
                                       const struct arch *arch, int take);
/* What the board measured: of two takes the mean, and an interval around both of theirs. Returns
 * the number of takes that were accepted; 0 leaves *ret_measured. */
int search_measured(const struct search_run *run, int board, const struct arch *arch,
                    struct measured *ret_measured);

/* --- search_prices.c: energy that boards tell --- */

/* Of two takes that told it the mean, and an interval around both: a take's energy is as doubtful
 * as its time. Returns the number of takes that told it; 0 leaves *ret_energy. */
int search_measured_energy(const struct search_run *run, int board, const struct arch *arch,
                           struct metric *ret_energy);
/* Notes boards that tell no energy: after an answer of each. */
void search_note_silent(struct search_run *run);
/* Fits each board's prices of energy anew to all that it told in this search, if it has told
 * anything since the last time and unless those that the search came with rest on more networks;
 * sends energy_prices events. ret_changed: [n_energy]. */
int search_fit_prices(struct search_run *run, struct err *err, bool *ret_changed);

/* --- search_verify.c: after the search --- */

/* Metrics of a candidate that a board measures: its latency, its energy, where they are meant.
 * Returns their number. */
int search_board_metrics(const struct search_run *run, int board, int ret_metrics[2]);
bool search_has_board(const struct search_run *run); /* whether anything can be measured, or could
                                                        be when the search began */
bool search_has_gone(const struct search_run *run);  /* whether a board is gone since */
/* Whether each board that is there has measured the candidate: twice. */
bool search_is_measured(const struct search_run *run, const struct archive *archive, int index);
/* Whether the candidate is known as well as it will be: an archive_keep_fn, of the run. */
bool search_known(void *context, const struct archive *archive, int index);
/* What the main search has had evaluated and measured is entered of these candidates of the
 * baseline, so that both say the same of an arch that both met. */
int search_share_known(struct search_run *run, const int *candidates, int n, struct err *err);
/* Between two rounds of searching: has the best that is not known yet verified, so that the search
 * goes on by better predictions. left: rounds that are to be verified, this one included. */
int search_verify_round(struct search_run *run, int rounds_left, struct err *err);
/* At the end: has the front verified in a few rounds, and what may come to it. */
int search_verify_front(struct search_run *run, struct err *err);
