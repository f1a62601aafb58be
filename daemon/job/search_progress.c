/* How far a search has come: what its phases are expected to cost gives each its span. */
#include "daemon/job/search_run.h"

#include <string.h>

/* Seconds; only how they compare with each other counts. A prediction is that of an accuracy, with
 * latencies beside it, in the company of its strategy. */
#define SCORE_S 1.0
#define PREDICTION_S 2e-4
#define TAKE_S 3.0
enum { PASSES_COST = 2 }; /* whole ones: the second and third look at half as many networks */

/* Boards work side by side, all within the budget of measurements. */
static double takes_cost(const struct search_run *run, double takes) {
    const struct search_spec *spec = &run->spec;
    if (spec->n_boards > 0 && spec->measurements > 0)
        takes = fmin(takes, (double)spec->measurements / spec->n_boards);
    return spec->n_boards > 0 ? TAKE_S * takes : 0;
}

/* A front's networks are scored and measured. */
static double score_cost(const struct search_run *run) {
    return run->spec.has_supernet ? SCORE_S * run->spec.measure_front : 0;
}

static double front_cost(const struct search_run *run) {
    return score_cost(run) + takes_cost(run, (double)SEARCH_TAKES * run->spec.measure_front);
}

static double evaluation_cost(const struct search_run *run) {
    bool predicted = run->spec.accuracy_predicted || run->imported;
    return predicted || !run->spec.has_supernet ? PREDICTION_S : SCORE_S;
}

static double searching_cost(const struct search_run *run) {
    const struct search_spec *spec = &run->spec;
    int loops = spec->baseline ? SEARCH_LOOPS : 1;
    return spec->time_budget_s > 0 ? spec->time_budget_s
                                   : evaluation_cost(run) * loops * (double)spec->evaluations;
}

void search_plan_phases(struct search_run *run) {
    struct search_plan *plan = &run->plan;
    bool learns = run->spec.accuracy_predicted && !run->imported;
    double verify = PASSES_COST * front_cost(run);
    double evaluate = learns ? SCORE_S * run->spec.initial_evaluations : 0;
    double calibrate = takes_cost(run, run->spec.calibration_nets);
    double search = searching_cost(run), round = front_cost(run);
    double all = evaluate + calibrate + search + (run->spec.rounds - 1) * round + verify;
    plan->evaluate = evaluate / all;
    plan->calibrate = calibrate / all;
    plan->search = search / all;
    plan->round = round / all;
    plan->verify = verify / all;
    plan->scoring = round > 0 ? score_cost(run) / round : 1;
    progress_init(&run->progress, run->job->channel, "search");
}

static void enter(struct search_run *run, const char *phase, double start, double length) {
    run->share = 0;
    progress_phase(&run->progress, phase, start, start + length);
}

void search_enter_evaluate(struct search_run *run) {
    enter(run, "evaluate", 0, run->plan.evaluate);
}

void search_enter_calibrate(struct search_run *run) {
    enter(run, "measure", run->plan.evaluate, run->plan.calibrate);
}

/* Where the search would begin if it came only now, so many rounds being verified. */
static double search_start(const struct search_run *run, int rounds) {
    return run->plan.evaluate + run->plan.calibrate + rounds * run->plan.round;
}

static double searched(const struct search_run *run) {
    double evaluations = 0;
    int loops = 0;
    for (int i = 0; i < SEARCH_LOOPS && run->loops[i]; i++, loops++)
        evaluations += (double)search_loop_evaluations(run->loops[i]);
    /* Until it is known, the time tells. */
    if (run->budget == 0)
        return run->spec.time_budget_s > 0 ? run->pace.seconds / run->spec.time_budget_s : 0;
    return loops > 0 ? fmin(evaluations / loops / (double)run->budget, 1) : 0;
}

void search_enter_search(struct search_run *run, int rounds) {
    enter(run, "search", search_start(run, rounds), run->plan.search);
    /* What earlier rounds have searched. */
    progress_pass_over(&run->progress, searched(run));
}

void search_enter_round(struct search_run *run, int round) {
    enter(run, "measure", search_start(run, round) + searched(run) * run->plan.search,
          run->plan.round);
}

/* The first looks at twice as many networks as the others. */
void search_enter_pass(struct search_run *run, int pass) {
    static const double starts[] = {0, 0.5, 0.75, 1};
    double start = search_start(run, run->spec.rounds - 1) + run->plan.search;
    enter(run, "measure", start + starts[pass] * run->plan.verify,
          (starts[pass + 1] - starts[pass]) * run->plan.verify);
}

static void tell(struct search_run *run, const struct progress_point *point, bool scored) {
    struct progress_point told = *point;
    told.known = scored && run->accuracy.evaluated == run->scored_told;
    run->scored_told = run->accuracy.evaluated;
    run->share = point->share;
    cJSON *doc = progress_describe(&run->progress, &told);
    if (scored && strcmp(point->unit, "subnets") == 0)
        accuracy_add_counts(&run->accuracy, doc);
    channel_progress(run->job->channel, doc);
}

void search_tell_scored(struct search_run *run, int done, int total, double part) {
    tell(run, &(struct progress_point){done, total, "subnets", part * done / total, false}, true);
}

double search_scoring_part(const struct search_run *run) {
    return run->plan.scoring;
}

void search_tell_measured(struct search_run *run, int done, int before, double from) {
    int total = run->n_requests;
    double part = total > before ? (double)(done - before) / (total - before) : 1;
    tell(run,
         &(struct progress_point){done, total, "measurements", from + part * (1 - from), false},
         false);
}

void search_tell_searched(struct search_run *run) {
    int64_t done = search_loop_evaluations(run->loops[SEARCH_MAIN]);
    /* Until it is known, the budget is what the first tenth of the time will tell. */
    int64_t total = run->budget > 0 ? run->budget : 10 * done;
    bool scored = evaluation_cost(run) == SCORE_S;
    tell(run, &(struct progress_point){done, total, "evaluations", searched(run), false}, scored);
}

void search_tell_end(struct search_run *run) {
    int64_t done = search_loop_evaluations(run->loops[SEARCH_MAIN]);
    progress_phase(&run->progress, "search", 1, 1);
    tell(run, &(struct progress_point){done, done, "evaluations", 1, false}, false);
}
