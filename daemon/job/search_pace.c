/* A budget in seconds becomes one in evaluations, once: the first tenth of it tells how many there
 * are time for. No strategy looks at its budget, so a search that is interrupted asks the same
 * whether the number was known by then or not; once it is, the number rules. */
#include "daemon/job/search_run.h"

#include "base/log.h"
#include <math.h>

enum { GENERATIONS_MIN = 2 };
#define GAUGE_SHARE 0.1

/* Where subnets are scored, what earlier jobs have scored costs nothing and tells nothing: the rest
 * of them may be new. */
static bool is_scored(const struct search_run *run) {
    return run->spec.has_supernet && !run->spec.accuracy_predicted && !run->imported;
}

/* Of several rounds the first one cannot have ended before the budget was known, but where that is
 * more than a search may have. */
static int64_t whole_generations(const struct search_run *run, double evaluations, int64_t done) {
    double most = fmin(evaluations, SEARCH_EVALUATIONS_MAX);
    int64_t whole = (int64_t)most / run->spec.population * run->spec.population;
    int64_t least = done * run->spec.rounds;
    if (least > SEARCH_EVALUATIONS_MAX)
        least = SEARCH_EVALUATIONS_MAX;
    return whole > least ? whole : least;
}

/* Evaluations in all, 0 if it is too early to tell. */
static int64_t turn(const struct search_run *run, int64_t generation) {
    const struct search_pace *pace = &run->pace;
    int64_t done = search_loop_evaluations(run->loops[SEARCH_MAIN]);
    int loops = run->loops[SEARCH_BASELINE] ? 2 : 1;
    double budget_s = run->spec.time_budget_s, left_s = budget_s - pace->seconds;
    if (left_s <= 0)
        return whole_generations(run, 0, done);
    if (generation < GENERATIONS_MIN || pace->seconds < GAUGE_SHARE * budget_s ||
        (is_scored(run) && pace->scored == 0))
        return 0;
    double each_s = is_scored(run) ? (double)loops * pace->seconds / (double)pace->scored
                                   : pace->seconds / (double)done;
    return whole_generations(run, (double)done + left_s / each_s, done);
}

static int take_budget(struct search_run *run, int64_t evaluations, struct err *err) {
    run->budget = evaluations;
    for (int i = 0; i < SEARCH_LOOPS && run->loops[i]; i++)
        search_loop_set_budget(run->loops[i], evaluations);
    log_info("%g s are %lld evaluations", run->spec.time_budget_s, (long long)evaluations);
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "evaluations", (double)evaluations);
    cJSON_AddNumberToObject(data, "time_budget_s", run->spec.time_budget_s);
    return search_emit(run, "budget", data, err);
}

int search_pace_step(struct search_run *run, double seconds, bool goes_on, struct err *err) {
    int64_t generation = search_loop_generation(run->loops[SEARCH_MAIN]);
    const struct pace *known = facts_pace(run->facts, generation);
    struct pace now = {generation, seconds, run->accuracy.evaluated - run->pace.scored_before, 0};
    int rc = 0;
    if (known)
        now = *known;
    run->pace.scored_before = run->accuracy.evaluated;
    run->pace.seconds += now.seconds;
    run->pace.scored += now.scored;
    if (!known) {
        now.evaluations = turn(run, generation);
        rc = facts_add_pace(run->facts, &now, err);
    }
    if (rc == 0 && now.evaluations == 0 && !goes_on) /* the space had no more */
        now.evaluations = search_loop_evaluations(run->loops[SEARCH_MAIN]);
    return rc == 0 && now.evaluations > 0 ? take_budget(run, now.evaluations, err) : rc;
}
