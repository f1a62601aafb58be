/* After the search: its front is evaluated and measured in rounds, latencies are calibrated anew,
 * and what else might belong there is looked at. */
#include "daemon/job/search_run.h"

#include "base/memory.h"
#include "search/pareto.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 3 };

bool search_has_board(const struct search_run *run) {
    return run->spec.n_boards > 0;
}

/* As well as it will be: without a supernet a prediction is all there is. */
static bool is_evaluated(const struct search_run *run, const struct archive *archive, int index) {
    if (!run->spec.has_supernet)
        return true;
    int top1 = goals_find_metric(&run->spec.goals, "top1");
    return archive_metrics(archive, index)[top1].source == METRIC_EVALUATED;
}

bool search_has_gone(const struct search_run *run) {
    for (int b = 0; b < run->spec.n_boards; b++)
        if (run->gone[b])
            return true;
    return false;
}

/* Whether any board is there to be asked. */
static bool can_measure(const struct search_run *run) {
    for (int b = 0; b < run->spec.n_boards; b++)
        if (search_board_answers(run, b))
            return true;
    return false;
}

static int latency_metric(const struct search_run *run, int profile) {
    return goals_find_metric(&run->spec.goals, search_latency_key(run, profile));
}

static int energy_metric(const struct search_run *run, int energy) {
    const struct evaluator *evaluator = &run->evaluators[search_energy_evaluator(run, energy)];
    return goals_find_metric(&run->spec.goals, evaluator->keys[0]);
}

int search_board_metrics(const struct search_run *run, int board, int ret_metrics[2]) {
    const struct search_board *b = &run->spec.boards[board];
    int n = 0;
    if (b->profile >= 0)
        ret_metrics[n++] = latency_metric(run, b->profile);
    if (b->energy >= 0)
        ret_metrics[n++] = energy_metric(run, b->energy);
    return n;
}

/* Those of them that it still can be asked for. */
static int awaited_metrics(const struct search_run *run, int board, int ret_metrics[2]) {
    int n = search_board_answers(run, board) ? search_board_metrics(run, board, ret_metrics) : 0;
    return n > 0 && run->spec.boards[board].energy >= 0 && run->silent[board] ? n - 1 : n;
}

static bool has_measured(const struct search_run *run, int board, const struct metric *row) {
    int metrics[2], n = awaited_metrics(run, board, metrics);
    for (int i = 0; i < n; i++)
        if (row[metrics[i]].source != METRIC_MEASURED)
            return false;
    return true;
}

bool search_is_measured(const struct search_run *run, const struct archive *archive, int index) {
    for (int b = 0; b < run->spec.n_boards; b++)
        if (!has_measured(run, b, archive_metrics(archive, index)))
            return false;
    return true;
}

/* Whether a board was asked for every take: what it has not told by then it will not tell. */
static bool is_settled(const struct search_run *run, int board, const struct arch *arch) {
    if (run->steps == SEARCH_STEPS_UNSETTLED)
        return false;
    for (int take = 1; take <= SEARCH_TAKES; take++)
        if (!search_find_request(run, board, arch, take))
            return false;
    return true;
}

/* Whether something is gained by having the candidate measured, once all is answered. */
static bool wants_measuring(const struct search_run *run, const struct archive *archive,
                            int index) {
    for (int b = 0; b < run->spec.n_boards; b++)
        if (!has_measured(run, b, archive_metrics(archive, index)) &&
            !is_settled(run, b, &archive->candidates[index].arch))
            return true;
    return false;
}

static bool keep_evaluated(void *context, const struct archive *archive, int index) {
    return is_evaluated(context, archive, index);
}

bool search_known(void *context, const struct archive *archive, int index) {
    const struct search_run *run = context;
    bool unasked = !can_measure(run) || run->spec.measure_front == 0;
    return is_evaluated(run, archive, index) &&
           (unasked || search_is_measured(run, archive, index));
}

/* Puts what became known of an arch into each loop that has met it. */
static int enter(struct search_run *run, const struct arch *arch, const char *key,
                 const struct metric *metric, struct err *err) {
    int rc = 0;
    for (int i = 0; i < SEARCH_LOOPS && rc == 0 && run->loops[i]; i++)
        if (archive_find(search_loop_archive(run->loops[i]), arch) >= 0)
            rc = search_loop_enter(run->loops[i], arch, key, metric, err);
    return rc;
}

/* Enters of one candidate of the baseline what the main search knows better. */
static int share_row(struct search_run *run, const struct arch *arch, const struct metric *known,
                     const struct metric *row, struct err *err) {
    const struct goals *goals = &run->spec.goals;
    int rc = 0;
    for (int m = 0; m < goals->n_metrics && rc == 0; m++)
        if (metric_kind(known[m].source) > metric_kind(row[m].source))
            rc = search_loop_enter(run->loops[SEARCH_BASELINE], arch, goals->keys[m], &known[m],
                                   err);
    return rc;
}

int search_share_known(struct search_run *run, const int *candidates, int n, struct err *err) {
    const struct archive *main = search_loop_archive(run->loops[SEARCH_MAIN]);
    const struct archive *baseline = search_loop_archive(run->loops[SEARCH_BASELINE]);
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        const struct arch arch = baseline->candidates[candidates[i]].arch;
        int at = archive_find(main, &arch);
        if (at >= 0)
            rc = share_row(run, &arch, archive_metrics(main, at),
                           archive_metrics(baseline, candidates[i]), err);
    }
    return rc;
}

static int enter_score(struct search_run *run, const struct arch *arch, struct err *err) {
    struct score score;
    int rc = search_score(run, arch, SPLIT_VALIDATION, err, &score);
    if (rc == 0)
        rc = search_emit_evaluation(run, arch, SPLIT_VALIDATION, &score, err);
    if (rc != 0)
        return rc;
    struct metric top1 = search_score_metric(&score);
    return enter(run, arch, "top1", &top1, err);
}

static int enter_latency(struct search_run *run, int board, const struct arch *arch,
                         struct err *err) {
    struct measured m;
    int profile = run->spec.boards[board].profile;
    if (profile < 0 || search_measured(run, board, arch, &m) < SEARCH_TAKES)
        return 0;
    struct metric metric = {m.median_us, m.low_us, m.high_us, METRIC_MEASURED};
    return enter(run, arch, search_latency_key(run, profile), &metric, err);
}

static int enter_energy(struct search_run *run, int board, const struct arch *arch,
                        struct err *err) {
    struct metric metric;
    int energy = run->spec.boards[board].energy;
    if (energy < 0 || search_measured_energy(run, board, arch, &metric) < SEARCH_TAKES)
        return 0;
    return enter(run, arch, run->evaluators[search_energy_evaluator(run, energy)].keys[0], &metric,
                 err);
}

static int enter_measured(struct search_run *run, const struct arch *arch, struct err *err) {
    int rc = 0;
    for (int b = 0; b < run->spec.n_boards && rc == 0; b++) {
        rc = enter_latency(run, b, arch, err);
        if (rc == 0)
            rc = enter_energy(run, b, arch, err);
    }
    return rc;
}

static int rescore(struct search_run *run, int evaluator, const char *reason, struct err *err) {
    int rc = 0;
    for (int i = 0; i < SEARCH_LOOPS && rc == 0 && run->loops[i]; i++)
        rc = search_loop_rescore(run->loops[i], evaluator, reason, err);
    return rc;
}

static int recalibrate(struct search_run *run, struct err *err) {
    bool changed;
    int rc = search_calibrate(run, err, &changed);
    for (int p = 0; p < run->spec.n_profiles && rc == 0 && changed; p++)
        rc = rescore(run, search_latency_evaluator(p), "calibration", err);
    return rc;
}

static int reprice(struct search_run *run, struct err *err) {
    bool changed[ENERGY_PROFILES_MAX];
    int rc = search_fit_prices(run, err, changed);
    for (int i = 0; i < run->spec.n_energy && rc == 0; i++)
        if (changed[i])
            rc = rescore(run, search_energy_evaluator(run, i), "prices", err);
    return rc;
}

/* Has these subnets measured and evaluated, takes in what came of it, and predicts the others anew.
 */
static int verify(struct search_run *run, const struct arch *archs, int n, struct err *err) {
    bool fitted = false;
    int rc = search_request_measurements(run, archs, n, SEARCH_TAKES, err);
    for (int i = 0; i < n && rc == 0 && run->spec.has_supernet; i++) {
        rc = enter_score(run, &archs[i], err);
        search_tell_scored(run, i + 1, n, search_scoring_part(run));
    }
    if (rc == 0)
        rc = search_wait_for_board(run, err);
    for (int i = 0; i < n && rc == 0; i++)
        rc = enter_measured(run, &archs[i], err);
    if (rc == 0)
        rc = recalibrate(run, err);
    if (rc == 0)
        rc = reprice(run, err);
    if (rc == 0 && run->predictor)
        rc =
            search_refit_predictor(run, search_loop_archive(run->loops[SEARCH_MAIN]), err, &fitted);
    return rc == 0 && fitted ? rescore(run, SEARCH_ACCURACY_EVALUATOR, "predictor", err) : rc;
}

/* At most max of the members, evenly along the front. */
static int pick(const struct archive *archive, const int *members, int n, int max,
                struct arch *ret_archs) {
    int wanted = n < max ? n : max;
    for (int i = 0; i < wanted; i++) {
        int at = wanted > 1 ? (int)((int64_t)i * (n - 1) / (wanted - 1)) : n / 2;
        ret_archs[i] = archive->candidates[members[at]].arch;
    }
    return wanted;
}

/* Members of the evaluated front that a board is to measure still. Returns their number. */
static int pick_unmeasured(struct search_run *run, int max, struct err *err,
                           struct arch *ret_archs) {
    const struct archive *archive = search_loop_archive(run->loops[SEARCH_MAIN]);
    int *front, n, picked = 0;
    if (archive_front_of(archive, keep_evaluated, run, &front, &n) != 0)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a front");
    for (int i = 0; i < n && picked < max && can_measure(run); i++)
        if (wants_measuring(run, archive, front[i]))
            ret_archs[picked++] = archive->candidates[front[i]].arch;
    free(front);
    return picked;
}

/* Members of the whole front whose accuracy is predicted only, evenly along it. */
static int pick_predicted(struct search_run *run, int max, struct err *err,
                          struct arch *ret_archs) {
    struct archive *archive = search_loop_archive(run->loops[SEARCH_MAIN]);
    const int *front;
    int n, found = 0;
    if (archive_front(archive, &front, &n) != 0)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a front");
    int *open = mem_array((size_t)n + 1, sizeof *open);
    if (!open)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a front");
    for (int i = 0; i < n; i++)
        if (!is_evaluated(run, archive, front[i]))
            open[found++] = front[i];
    int picked = pick(archive, open, found, max, ret_archs);
    free(open);
    return picked;
}

/* --- near a limit --- */

/* Two of five. */
static int near_share(int max) {
    return 2 * max / 5;
}

/* Of the half width of a 90 % interval: what lies further beyond has a chance below one in five. */
#define NEAR 0.5

/* How far a candidate's predicted latency or energy lies beyond a limit on it, in units of the
 * prediction's doubt; INFINITY where it is not predicted, keeps the limit, is far beyond or breaks
 * another one too. */
static double beyond_limit(const struct search_run *run, const struct archive *archive, int index,
                           const struct constraint *c) {
    const struct goals *goals = &run->spec.goals;
    const struct metric *row = archive_metrics(archive, index), *m = &row[c->metric];
    struct metric kept[METRICS_MAX];
    double doubt = c->is_max ? m->value - m->low : m->high - m->value;
    double beyond = c->is_max ? m->value - c->bound : c->bound - m->value;
    if (metric_kind(m->source) != METRIC_PREDICTED || !(beyond > 0 && beyond <= NEAR * doubt))
        return INFINITY;
    memcpy(kept, row, (size_t)goals->n_metrics * sizeof *kept);
    kept[c->metric].value = c->bound;
    return goals_violation(goals, kept) == 0 ? beyond / doubt : INFINITY;
}

/* Whether it would be on the front if this metric were just the limit. */
static bool would_be_on_front(const struct search_run *run, const struct archive *archive,
                              int index, const struct constraint *c, const int *front, int n) {
    const struct goals *goals = &run->spec.goals;
    struct metric row[METRICS_MAX];
    double costs[OBJECTIVES_MAX];
    memcpy(row, archive_metrics(archive, index), (size_t)goals->n_metrics * sizeof *row);
    row[c->metric].value = c->bound;
    goals_costs(goals, row, costs);
    for (int i = 0; i < n; i++)
        if (pareto_dominates(archive_costs(archive, front[i]), costs, goals->n_objectives))
            return false;
    return true;
}

static bool is_measurable(const struct search_run *run, int metric) {
    for (int b = 0; b < run->spec.n_boards; b++) {
        int metrics[2], n = awaited_metrics(run, b, metrics);
        for (int i = 0; i < n; i++)
            if (metrics[i] == metric)
                return true;
    }
    return false;
}

/* Candidates that a board may let onto the front although they are predicted to break a limit. */
struct doubtful {
    int n, max;
    int *candidates;
    double *beyond; /* rising */
};

static void add_doubtful(struct doubtful *d, int candidate, double beyond) {
    int at = d->n;
    while (at > 0 && d->beyond[at - 1] > beyond)
        at--;
    if (at >= d->max)
        return;
    size_t behind = (size_t)((d->n < d->max ? d->n : d->max - 1) - at);
    memmove(d->candidates + at + 1, d->candidates + at, behind * sizeof *d->candidates);
    memmove(d->beyond + at + 1, d->beyond + at, behind * sizeof *d->beyond);
    d->candidates[at] = candidate;
    d->beyond[at] = beyond;
    d->n += d->n < d->max;
}

static void find_doubtful(const struct search_run *run, const struct archive *archive,
                          const struct constraint *c, const int *front, int n, struct doubtful *d) {
    for (int i = 0; i < archive->n; i++) {
        double beyond = beyond_limit(run, archive, i, c);
        if (isfinite(beyond) && !search_asked(run, &archive->candidates[i].arch) &&
            would_be_on_front(run, archive, i, c, front, n))
            add_doubtful(d, i, beyond);
    }
}

static bool is_among(const struct arch *archs, int n, const struct arch *arch) {
    for (int i = 0; i < n; i++)
        if (arch_equal(&archs[i], arch))
            return true;
    return false;
}

/* Who measured only what is predicted to keep a limit would never learn that he is wrong there: the
 * nearest of those beyond it that would be worth it. archs has n others already. Returns how many
 * it adds behind them. */
static int pick_near_limits(const struct search_run *run, int max, struct err *err,
                            struct arch *archs, int n) {
    struct archive *archive = search_loop_archive(run->loops[SEARCH_MAIN]);
    const struct goals *goals = &run->spec.goals;
    struct doubtful d = {.max = max};
    const int *front;
    int n_front, found = 0;
    if (!can_measure(run) || max <= 0)
        return 0;
    d.candidates = mem_array((size_t)max + 1, sizeof *d.candidates);
    d.beyond = mem_array((size_t)max + 1, sizeof *d.beyond);
    int rc = d.candidates && d.beyond ? archive_front(archive, &front, &n_front) : ESP_ENOMEM;
    for (int i = 0; i < goals->n_constraints && rc == 0; i++)
        if (is_measurable(run, goals->constraints[i].metric))
            find_doubtful(run, archive, &goals->constraints[i], front, n_front, &d);
    for (int i = 0; i < d.n && rc == 0; i++)
        if (!is_among(archs, n + found, &archive->candidates[d.candidates[i]].arch))
            archs[n + found++] = archive->candidates[d.candidates[i]].arch;
    free(d.candidates);
    free(d.beyond);
    return rc == 0 ? found : err_set(err, rc, NULL, "no memory to look near limits");
}

/* What a later round looks at: who came to the front when others turned out worse than predicted,
 * then who the better predictions hold for good, and who they are unsure of at a limit, half as
 * many as in the first round. */
static int pick_next(struct search_run *run, int max, struct err *err, struct arch *ret_archs) {
    int n = pick_unmeasured(run, max, err, ret_archs), more = 0, near = 0;
    if (n >= 0 && n < max / 2)
        more = pick_predicted(run, max / 2 - n, err, ret_archs + n);
    if (n < 0 || more < 0)
        return n < 0 ? n : more;
    n += more;
    int slots = max - n < near_share(max / 2) ? max - n : near_share(max / 2);
    near = pick_near_limits(run, slots, err, ret_archs, n);
    return near < 0 ? near : n + near;
}

/* Members of the front of which something can be learnt. Returns their number. */
static int find_unknown(struct search_run *run, const int *front, int n, int *ret_members) {
    const struct archive *archive = search_loop_archive(run->loops[SEARCH_MAIN]);
    int found = 0;
    for (int i = 0; i < n; i++)
        if (!is_evaluated(run, archive, front[i]) || wants_measuring(run, archive, front[i]))
            ret_members[found++] = front[i];
    return found;
}

/* The first round: along the front, and at limits. */
static int pick_first(struct search_run *run, int max, struct err *err, struct arch *ret_archs) {
    struct archive *archive = search_loop_archive(run->loops[SEARCH_MAIN]);
    const int *front;
    int n = 0;
    int rc = archive_front(archive, &front, &n);
    int *unknown = rc == 0 ? mem_array((size_t)n + 1, sizeof *unknown) : NULL;
    if (!unknown)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a front");
    n = find_unknown(run, front, n, unknown);
    int near = pick_near_limits(run, near_share(max), err, ret_archs, 0), kept = near;
    if (near >= 0) {
        int picked = pick(archive, unknown, n, max - near, ret_archs + near);
        for (int i = near; i < near + picked; i++)
            if (!is_among(ret_archs, near, &ret_archs[i]))
                ret_archs[kept++] = ret_archs[i];
    }
    free(unknown);
    return kept;
}

/* So many at most that each can be measured as often as is needed. */
static int round_max(const struct search_run *run, int rounds_left) {
    int measurable = search_measurable(run, SEARCH_TAKES) / rounds_left;
    return measurable < run->spec.measure_front ? measurable : run->spec.measure_front;
}

int search_verify_round(struct search_run *run, int rounds_left, struct err *err) {
    int max = round_max(run, rounds_left);
    if (!run->spec.has_supernet && !search_has_board(run))
        return 0;
    struct arch *archs = mem_array((size_t)max + 1, sizeof *archs);
    if (!archs)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a front");
    int n = pick_first(run, max, err, archs);
    int rc = n > 0 ? verify(run, archs, n, err) : n;
    free(archs);
    return rc;
}

/* The front's subnets are verified in a few passes. */
int search_verify_front(struct search_run *run, struct err *err) {
    if (!run->spec.has_supernet && !search_has_board(run))
        return 0; /* nothing can be known better */
    struct arch *archs = mem_array((size_t)run->spec.measure_front + 1, sizeof *archs);
    if (!archs)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a front");
    int n = pick_first(run, round_max(run, 1), err, archs), rc = n < 0 ? n : 0;
    for (int pass = 0; pass < PASSES && n > 0 && rc == 0; pass++) {
        search_enter_pass(run, pass);
        rc = verify(run, archs, n, err);
        n = rc == 0 ? pick_next(run, round_max(run, 1), err, archs) : 0;
        rc = n < 0 ? n : rc;
    }
    /* What the last pass brought to the front is only measured: its accuracy is known. */
    if (rc == 0 && (n = pick_unmeasured(run, round_max(run, 1), err, archs)) != 0)
        rc = n < 0 ? n : verify(run, archs, n, err);
    free(archs);
    return rc;
}
