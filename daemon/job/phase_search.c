/* The search job: evaluates some subnets, fits the accuracy predictor, searches on predictions with
 * a baseline beside it, then has the front measured and really evaluated and builds it anew.
 *
 * Every step follows from the spec and the facts (facts.h), so an interrupted job runs through what
 * it did in a moment and goes on; events that were sent are not sent again. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/job/kept_spec.h"
#include "daemon/job/search_run.h"
#include "daemon/job/spec.h"
#include "daemon/job_files.h"
#include "search/feasibility.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRONT_MIN = 8 };
#define LATENCY_RATIO_MIN 1.5

static const char facts_name[] = "facts.jsonl";

/* --- opening --- */

static void job_path(const struct job *job, const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", job->dir, name);
}

/* What is measured, in the search's identity. Older versions asked no board for its energy alone,
 * and where nothing else is meant chose other networks: their answers are under other numbers. */
static const char *measuring(const struct search_run *run) {
    int energy_alone = 0;
    for (int b = 0; b < run->spec.n_boards; b++)
        energy_alone += run->spec.boards[b].profile < 0;
    if (!search_has_board(run))
        return "";
    if (energy_alone == 0)
        return " takes";
    bool useful = energy_alone == run->spec.n_boards && run->spec.calibration_useful;
    return useful ? " takes useful energy" : " takes energy";
}

/* Of a strategy that has come to ask for other archs than it once did. */
static void add_revision(struct buf *buf, const char *word, const char *strategy) {
    int revision = strategy ? strategy_find(strategy)->revision : 0;
    if (revision > 0)
        buf_printf(buf, " %s %d", word, revision);
}

/* Those of an older version are told by their identity. */
static void add_steps(const struct search_run *run, struct buf *buf) {
    bool learns = run->spec.accuracy_predicted && !run->imported;
    if (run->steps >= SEARCH_STEPS_NOW && (learns || search_has_board(run)))
        buf_printf(buf, " told");
    else if (run->steps >= SEARCH_STEPS_UNTOLD && search_has_board(run))
        buf_printf(buf, " settled");
}

static int open_facts_of(struct search_run *run, const cJSON *spec, struct err *err) {
    char path[SPEC_PATH_MAX + 64], identity[HASH_TEXT];
    struct buf buf;
    char *body = json_print_canonical(cJSON_GetObjectItemCaseSensitive(spec, "search"));
    buf_init(&buf, 0);
    /* What boards told one that measured each network once is under other numbers. */
    buf_printf(&buf, "%s %s %s %s%s",
               run->spec.has_supernet ? run->accuracy.checkpoint->summary.id
                                      : run->spec.predictor.hash,
               run->spec.has_supernet ? run->accuracy.dataset->revision : "",
               run->spec.space->fingerprint, body ? body : "", measuring(run));
    add_revision(&buf, "revision", run->spec.strategy);
    add_revision(&buf, "baseline revision", run->spec.baseline);
    if (run->spec.goals.n_constraints > 1)
        buf_printf(&buf, " limits together"); /* once drawn by the hardest of them alone */
    add_steps(run, &buf);
    free(body);
    if (buf.error) {
        buf_finish(&buf);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the search's identity");
    }
    hash_text(buf.data, buf.len, identity);
    buf_finish(&buf);
    if (run->job->dir)
        job_path(run->job, facts_name, path, sizeof path);
    return facts_open(run->job->dir ? path : NULL, identity, err, &run->facts);
}

/* One that an older version began is gone on with by its steps. */
static int open_facts(struct search_run *run, const cJSON *spec, struct err *err) {
    int rc, steps = SEARCH_STEPS_NOW;
    do {
        run->steps = (enum search_steps)steps;
        rc = open_facts_of(run, spec, err);
    } while (rc == ESP_EMISMATCH && --steps >= SEARCH_STEPS_UNSETTLED);
    return rc;
}

static int open_latency(struct search_run *run, int p, struct err *err) {
    struct search_profile *profile = &run->spec.profiles[p];
    struct evaluator *evaluator = &run->evaluators[search_latency_evaluator(p)];
    int rc = search_profile_has_board(profile)
                 ? latency_evaluator_create(run->spec.space, profile->table, &profile->calibration,
                                            profile->id, err, &run->latency[p])
                 : section_evaluator_create(run->spec.space, &profile->sections, profile->id, err,
                                            &run->sections[p]);
    if (rc == 0 && run->latency[p])
        latency_evaluator_init(run->latency[p], evaluator);
    else if (rc == 0)
        section_evaluator_init(run->sections[p], evaluator);
    return rc;
}

static_assert(sizeof(((struct search_run *)0)->evaluators) / sizeof(struct evaluator) ==
                  SEARCH_EVALUATORS_MAX,
              "a loop takes all evaluators that a search can have");

static int open_evaluators(struct search_run *run, struct err *err) {
    int rc = cost_evaluator_create(run->spec.space, err, &run->evaluators[SEARCH_COST_EVALUATOR]);
    search_accuracy_evaluator(run, &run->evaluators[SEARCH_ACCURACY_EVALUATOR]);
    run->n_evaluators = 2;
    for (int p = 0; p < run->spec.n_profiles && rc == 0; p++)
        if ((rc = open_latency(run, p, err)) == 0)
            run->n_evaluators++;
    for (int i = 0; i < run->spec.n_energy && rc == 0; i++) {
        const struct search_prices *prices = &run->spec.energy[i];
        rc = energy_evaluator_create(run->spec.space, &prices->fit, prices->profile, err,
                                     &run->energy[i]);
        if (rc == 0)
            energy_evaluator_init(run->energy[i], &run->evaluators[run->n_evaluators++]);
    }
    return rc;
}

/* Refuses what cannot succeed, and fixes the hypervolume's reference point: nothing is worse than
 * guessing the class. */
static int check_goals(struct search_run *run, struct err *err) {
    struct feasibility feasibility;
    const struct search_spec *spec = &run->spec;
    int rc = feasibility_check(spec->space, &spec->goals, run->evaluators, run->n_evaluators, err,
                               &feasibility);
    run->feasible_share = rc == 0 ? feasibility.accepted : 0;
    if (rc == 0)
        rc = reference_point(spec->space, &spec->goals, run->evaluators, run->n_evaluators, err,
                             run->reference);
    return rc;
}

static int open_supernet(struct search_run *run, const cJSON *spec, struct err *err) {
    struct job job = *run->job;
    job.spec = spec;
    int rc = accuracy_open(&run->accuracy, &job, err);
    if (rc == 0 && strcmp(run->accuracy.supernet->space->fingerprint,
                          search_spec_whole(&run->spec)->fingerprint) != 0)
        rc = err_set(err, ESP_EMISMATCH, "/space",
                     "the checkpoint was trained on another space than %s", run->spec.space->name);
    return rc;
}

static int open_run(struct search_run *run, const cJSON *spec, struct err *err) {
    int rc = search_spec_read(&run->spec, spec, err);
    run->front_version = run->spec.front_version;
    if (rc == 0)
        rc = open_evaluators(run, err);
    if (rc == 0)
        rc = check_goals(run, err);
    if (rc == 0 && run->spec.has_supernet)
        rc = open_supernet(run, spec, err);
    if (rc == 0)
        rc = search_open_predictor(run, err);
    if (rc == 0)
        rc = open_facts(run, spec, err);
    return rc;
}

static void close_run(struct search_run *run) {
    for (int i = 0; i < SEARCH_LOOPS; i++)
        search_loop_destroy(run->loops[i]);
    cost_evaluator_destroy(&run->evaluators[SEARCH_COST_EVALUATOR]);
    for (int p = 0; p < SEARCH_PROFILES_MAX; p++)
        latency_evaluator_destroy(run->latency[p]);
    for (int p = 0; p < SEARCH_PROFILES_MAX; p++)
        section_evaluator_destroy(run->sections[p]);
    for (int i = 0; i < ENERGY_PROFILES_MAX; i++)
        energy_evaluator_destroy(run->energy[i]);
    ofa_predictor_destroy(run->imported);
    accuracy_predictor_destroy(run->predictor);
    free(run->initial);
    free(run->requests);
    map_finish(&run->request_index);
    facts_close(run->facts);
    accuracy_finish(&run->accuracy);
    search_spec_finish(&run->spec);
}

/* --- before the search --- */

/* Networks to calibrate on: of a budget of measurements at most half, and so many that one network
 * can still be measured twice. */
static int request_calibration(struct search_run *run, struct err *err) {
    int n = run->spec.calibration_nets, measurable = search_measurable(run, 1);
    int most = measurable / 2 < measurable - 2 ? measurable / 2 : measurable - 2;
    n = n < most ? n : most;
    if (n <= 0 || !search_has_board(run))
        return 0;
    struct arch *archs = mem_array((size_t)n, sizeof *archs);
    if (!archs)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for calibration networks");
    int rc = search_choose_calibration(run, n, err, archs);
    if (rc > 0)
        rc = search_request_measurements(run, archs, rc, 1, err);
    free(archs);
    return rc < 0 ? rc : 0;
}

static int learn(struct search_run *run, struct err *err) {
    bool changed, repriced[ENERGY_PROFILES_MAX];
    search_plan_phases(run);
    search_enter_evaluate(run);
    int rc = request_calibration(run, err);
    if (rc == 0 && run->spec.accuracy_predicted && !run->imported)
        rc = search_fit_predictor(run, err);
    search_enter_calibrate(run);
    if (rc == 0)
        rc = search_wait_for_board(run, err);
    if (rc == 0)
        rc = search_calibrate(run, err, &changed);
    return rc == 0 ? search_fit_prices(run, err, repriced) : rc;
}

/* --- the search --- */

/* The main search knows what earlier ones found; the baseline begins from nothing, as ever. One by
 * one, so that a stop reaches it where each is evaluated. */
static int warm_start(struct search_run *run, struct err *err) {
    struct search_loop *loop = run->loops[SEARCH_MAIN];
    int rc = 0;
    for (int i = 0; i < run->spec.n_warm && rc == 0; i++)
        if (archive_find(search_loop_archive(loop), &run->spec.warm[i]) < 0)
            rc = search_loop_seed(loop, &run->spec.warm[i], 1, err);
    return rc;
}

static int create_loop(struct search_run *run, int loop, const char *strategy, struct err *err) {
    const struct search_spec *spec = &run->spec;
    struct search_loop_config config = {
        .space = spec->space,
        .goals = &spec->goals,
        .evaluators = run->evaluators,
        .n_evaluators = run->n_evaluators,
        .strategy = strategy,
        .strategy_config =
            strategy_config_default(spec->space, spec->goals.n_objectives, (uint64_t)spec->seed),
        .budget = run->budget > 0 ? run->budget : SEARCH_EVALUATIONS_MAX,
        .batch = spec->population};
    config.strategy_config.population = spec->population;
    config.strategy_config.options = loop == SEARCH_MAIN ? spec->options : NULL;
    memcpy(config.reference, run->reference, sizeof config.reference);
    int rc = search_loop_create(&config, err, &run->loops[loop]);
    if (rc == 0)
        rc = search_loop_seed(run->loops[loop], run->initial, run->n_initial, err);
    return rc == 0 && loop == SEARCH_MAIN ? warm_start(run, err) : rc;
}

/* One generation of a loop; *more is cleared at its end. */
static int step_loop(struct search_run *run, int loop, struct err *err, double *ret_volume,
                     bool *more) {
    struct generation g;
    if (channel_boundary(run->job->channel))
        return err_set(err, ESP_ECANCELED, NULL, "the search was stopped");
    int rc = search_loop_step(run->loops[loop], err, &g);
    if (rc < 0)
        return rc;
    *more = rc > 0;
    *ret_volume = g.hypervolume;
    rc = loop == SEARCH_BASELINE ? search_share_known(run, g.candidates, g.n_candidates, err) : 0;
    if (rc == 0)
        rc = search_emit_candidates(run, loop, g.candidates, g.n_candidates, err);
    if (rc == 0 && g.n_candidates)
        rc = search_emit_generation(run, loop, &g, err);
    return rc;
}

static int emit_seeds(struct search_run *run, struct err *err) {
    int n = search_loop_archive(run->loops[SEARCH_MAIN])->n;
    int *all = mem_array((size_t)n + 1, sizeof *all);
    if (!all)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for candidates");
    for (int i = 0; i < n; i++)
        all[i] = i;
    int rc = search_emit_candidates(run, SEARCH_MAIN, all, n, err);
    free(all);
    return rc;
}

static int emit_predicted_front(struct search_run *run, struct err *err) {
    const int *front;
    int n;
    if (archive_front(search_loop_archive(run->loops[SEARCH_MAIN]), &front, &n) != 0)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a front");
    return search_emit_front(run, "predicted", front, n, err);
}

/* Growth that counts, of the hypervolume. */
#define GROWTH 1e-3
struct growth {
    double best;
    int64_t at; /* evaluations */
};

/* After a generation of the main search: whether it has not grown for long. A function of the
 * generations alone, so that an attempt that runs through them again ends at the same. */
static bool stagnates(const struct search_run *run, double volume, struct growth *growth) {
    int64_t evaluations = search_loop_evaluations(run->loops[SEARCH_MAIN]);
    if (isnan(volume) || run->spec.patience == 0)
        return false;
    if (volume > growth->best * (1 + GROWTH)) {
        growth->best = volume;
        growth->at = evaluations;
    }
    return evaluations - growth->at >= run->spec.patience;
}

static int emit_all(struct search_run *run, struct err *err) {
    int rc = 0;
    for (int loop = 0; loop < SEARCH_LOOPS && rc == 0 && run->loops[loop]; loop++) {
        int n = search_loop_archive(run->loops[loop])->n;
        /* The baseline's seeds are the main search's candidates. */
        int first = loop == SEARCH_MAIN ? 0 : run->n_initial;
        int *all = mem_array((size_t)n + 1, sizeof *all);
        if (!all)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for candidates");
        for (int i = first; i < n; i++)
            all[i - first] = i;
        rc = search_emit_candidates(run, loop, all, n - first, err);
        free(all);
    }
    return rc;
}

/* Whether the round is over: the main search has had its share of the budget. */
static bool ends_round(const struct search_run *run, int round) {
    int64_t end = search_round_end(run->budget, run->spec.population, run->spec.rounds, round);
    return run->budget > 0 && round < run->spec.rounds - 1 &&
           search_loop_evaluations(run->loops[SEARCH_MAIN]) >= end;
}

/* The front is verified, and what is known better then said. */
static int close_round(struct search_run *run, int round, struct err *err) {
    search_enter_round(run, round);
    int rc = emit_predicted_front(run, err);
    if (rc == 0)
        rc = search_verify_round(run, run->spec.rounds - round, err);
    if (rc == 0)
        rc = emit_all(run, err);
    search_enter_search(run, round + 1);
    return rc;
}

/* Both loops side by side, so that they can be watched. */
static int step_both(struct search_run *run, struct err *err, double volumes[SEARCH_LOOPS],
                     bool more[SEARCH_LOOPS]) {
    int64_t began_ns = clock_mono_ns();
    int rc = 0;
    for (int i = 0; i < SEARCH_LOOPS && rc == 0; i++)
        if (more[i])
            rc = step_loop(run, i, err, &volumes[i], &more[i]);
    if (rc == 0 && run->budget == 0)
        rc = search_pace_step(run, (double)(clock_mono_ns() - began_ns) / 1e9, more[SEARCH_MAIN],
                              err);
    if (rc == 0)
        search_tell_searched(run);
    return rc;
}

static int create_loops(struct search_run *run, struct err *err) {
    int rc = create_loop(run, SEARCH_MAIN, run->spec.strategy, err);
    if (rc == 0 && run->spec.baseline)
        rc = create_loop(run, SEARCH_BASELINE, run->spec.baseline, err);
    if (rc == 0)
        rc = emit_seeds(run, err);
    run->pace.scored_before = run->accuracy.evaluated;
    return rc;
}

static int search(struct search_run *run, struct err *err, double volumes[SEARCH_LOOPS]) {
    bool more[SEARCH_LOOPS] = {true, run->spec.baseline != NULL};
    struct growth growth = {0, 0};
    int round = 0;
    run->budget = run->spec.evaluations;
    search_enter_search(run, 0);
    int rc = create_loops(run, err);
    while (rc == 0 && !run->stagnated && (more[SEARCH_MAIN] || more[SEARCH_BASELINE])) {
        rc = step_both(run, err, volumes, more);
        /* The baseline has had as many evaluations by then. */
        run->stagnated = rc == 0 && stagnates(run, volumes[SEARCH_MAIN], &growth);
        if (rc == 0 && more[SEARCH_MAIN] && !run->stagnated && ends_round(run, round)) {
            rc = close_round(run, round++, err);
            /* By better predictions a volume may be smaller. */
            growth = (struct growth){0, search_loop_evaluations(run->loops[SEARCH_MAIN])};
        }
    }
    return rc == 0 ? emit_predicted_front(run, err) : rc;
}

/* --- after it --- */

/* Largest by smallest latency on the first profile (MACs when there is none) of the front. */
static double front_ratio(const struct search_run *run, const int *front, int n) {
    const struct archive *archive = search_loop_archive(run->loops[SEARCH_MAIN]);
    int metric = goals_find_metric(&run->spec.goals,
                                   run->spec.n_profiles ? search_latency_key(run, 0) : "macs");
    double low = INFINITY, high = 0;
    for (int i = 0; i < n; i++) {
        double value = archive_metrics(archive, front[i])[metric].value;
        low = fmin(low, value);
        high = fmax(high, value);
    }
    return n > 0 && low > 0 ? high / low : 1;
}

static void add_number(cJSON *doc, const char *key, bool known, double value) {
    if (known && isfinite(value))
        cJSON_AddNumberToObject(doc, key, value);
    else
        cJSON_AddNullToObject(doc, key);
}

/* Whether its latency or energy on a board is predicted. */
static bool is_unmeasured(const struct search_run *run, int candidate) {
    const struct metric *row =
        archive_metrics(search_loop_archive(run->loops[SEARCH_MAIN]), candidate);
    for (int b = 0; b < run->spec.n_boards; b++) {
        int metrics[2], n = search_board_metrics(run, b, metrics);
        for (int i = 0; i < n; i++)
            if (row[metrics[i]].source != METRIC_MEASURED)
                return true;
    }
    return false;
}

static int count_unmeasured(const struct search_run *run, const int *front, int n) {
    int unmeasured = 0;
    for (int i = 0; i < n; i++)
        unmeasured += is_unmeasured(run, front[i]);
    return unmeasured;
}

static void add_boards(const struct search_run *run, const char *key, const bool *which,
                       cJSON *result) {
    cJSON *list = cJSON_AddArrayToObject(result, key);
    for (int b = 0; b < run->spec.n_boards; b++)
        if (which[b])
            cJSON_AddItemToArray(list, cJSON_CreateString(run->spec.boards[b].id));
}

/* Calibrations that the search came with and has learnt on too few networks to better. */
static void add_kept_calibrations(const struct search_run *run, cJSON *notes) {
    const struct goals *goals = &run->spec.goals;
    for (int p = 0; p < run->spec.n_profiles; p++) {
        const struct calibration *c = &run->spec.profiles[p].calibration;
        char name[METRIC_NAME_MAX], note[METRIC_NAME_MAX + 160];
        if (run->outnumbered[p] == 0)
            continue;
        goals_say_metric(goals, goals_find_metric(goals, search_latency_key(run, p)), name);
        snprintf(note, sizeof note,
                 "%s is predicted by the calibration that the search began with, version %d on %d "
                 "networks: one of its own would rest on %d",
                 name, c->version, c->n, run->outnumbered[p]);
        cJSON_AddItemToArray(notes, cJSON_CreateString(note));
    }
}

/* Boards that are there and have measured nothing, and the sentences on them. */
static void add_refusals(const struct search_run *run, cJSON *result, cJSON *notes) {
    const struct goals *goals = &run->spec.goals;
    cJSON *list = cJSON_AddArrayToObject(result, "refused_profiles");
    for (int b = 0; b < run->spec.n_boards; b++) {
        char reason[REFUSAL_MAX], name[METRIC_NAME_MAX], note[METRIC_NAME_MAX + REFUSAL_MAX + 120];
        int metrics[2], n = run->gone[b] ? 0 : search_refusal(run, b, reason);
        if (n == 0)
            continue;
        search_board_metrics(run, b, metrics);
        goals_say_metric(goals, metrics[0], name);
        snprintf(note, sizeof note, "%s is predicted: the board refused all %d networks%s%s", name,
                 n, reason[0] ? ": " : "", reason);
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "profile_id", run->spec.boards[b].id);
        cJSON_AddNumberToObject(item, "networks", n);
        cJSON_AddStringToObject(item, "reason", reason);
        cJSON_AddItemToArray(list, item);
        cJSON_AddItemToArray(notes, cJSON_CreateString(note));
    }
}

/* Why it ended before its budget, in a sentence; null where it had all of it. Of a budget in
 * seconds the number may not be known by then, or be what the space had. */
static void add_ending(const struct search_run *run, cJSON *result) {
    char text[200] = "", of[32] = "";
    int networks = search_loop_archive(run->loops[SEARCH_MAIN])->n;
    long long had = search_loop_evaluations(run->loops[SEARCH_MAIN]), budget = run->budget;
    bool early = had < budget || run->spec.time_budget_s > 0;
    if (budget > had)
        snprintf(of, sizeof of, " of %lld", budget);
    if (run->stagnated && (budget == 0 || had < budget))
        snprintf(text, sizeof text,
                 "stopped after %lld%s evaluations: the hypervolume no longer grew (patience %lld)",
                 had, of, (long long)run->spec.patience);
    else if (early && networks >= space_cardinality(run->spec.space))
        snprintf(text, sizeof text, "all %d networks of the space were tried", networks);
    else if (had < budget)
        snprintf(text, sizeof text,
                 "stopped after %lld%s evaluations: the strategy found no network that had not "
                 "been tried",
                 had, of);
    if (text[0])
        cJSON_AddStringToObject(result, "ending", text);
    else
        cJSON_AddNullToObject(result, "ending");
}

static cJSON *describe_result(const struct search_run *run, const double volumes[SEARCH_LOOPS],
                              const int *front, int n) {
    double ratio = front_ratio(run, front, n);
    cJSON *result = cJSON_CreateObject();
    cJSON_AddNumberToObject(result, "evaluations",
                            (double)search_loop_evaluations(run->loops[SEARCH_MAIN]));
    cJSON_AddNumberToObject(result, "front_size", n);
    cJSON_AddNumberToObject(result, "feasible_share", run->feasible_share);
    add_number(result, "hypervolume", true, volumes[SEARCH_MAIN]);
    add_number(result, "hypervolume_random", run->loops[SEARCH_BASELINE] != NULL,
               volumes[SEARCH_BASELINE]);
    /* Both are of the loops' last generations: before the last front is evaluated and measured. */
    cJSON_AddStringToObject(result, "hypervolume_stage",
                            run->spec.rounds > 1 ? "mixed" : "predicted");
    cJSON_AddNumberToObject(result, "latency_ratio", ratio);
    add_number(result, "kendall_tau", run->predictor != NULL, run->kendall_tau);
    cJSON_AddNumberToObject(result, "unmeasured", count_unmeasured(run, front, n));
    cJSON_AddBoolToObject(result, "stagnated", run->stagnated);
    add_ending(run, result);
    cJSON_AddBoolToObject(result, "no_board", search_has_gone(run));
    add_boards(run, "gone_profiles", run->gone, result);
    cJSON *notes = cJSON_AddArrayToObject(result, "notes");
    add_refusals(run, result, notes);
    add_kept_calibrations(run, notes);
    if (run->spec.n_energy > 0)
        add_boards(run, "silent_profiles", run->silent, result);
    /* The best for a single objective is one network. */
    cJSON_AddBoolToObject(result, "degenerate",
                          run->spec.goals.n_objectives > 1 &&
                              (n < FRONT_MIN || ratio < LATENCY_RATIO_MIN));
    return result;
}

/* The candidate that is least beyond the constraints; -1 without any. */
static int nearest(const struct archive *archive) {
    int best = -1;
    for (int i = 0; i < archive->n; i++)
        if (isfinite(archive->candidates[i].violation) &&
            (best < 0 || archive->candidates[i].violation < archive->candidates[best].violation))
            best = i;
    return best;
}

static void describe_nearest(const struct search_run *run, const struct archive *archive, int index,
                             struct buf *buf) {
    const struct goals *goals = &run->spec.goals;
    char text[ARCH_TEXT_MAX], name[METRIC_NAME_MAX], value[METRIC_VALUE_MAX];
    char bound[METRIC_VALUE_MAX];
    for (int i = 0; i < goals->n_constraints; i++) {
        const struct constraint *c = &goals->constraints[i];
        goals_say_metric(goals, c->metric, name);
        goals_say_value(goals, c->metric, archive_metrics(archive, index)[c->metric].value, value);
        goals_say_value(goals, c->metric, c->bound, bound);
        buf_printf(buf, "%s%s of %s (%s %s)", i ? ", " : ": the nearest has ", name, value,
                   c->is_max ? "at most" : "at least", bound);
    }
    arch_format(run->spec.space, &archive->candidates[index].arch, text);
    buf_printf(buf, "; it is %s; %.2g %% of random subnets keep what is known beforehand", text,
               100 * run->feasible_share);
}

/* Each constraint alone can be met, but nothing that either strategy met keeps all of them. */
static int refuse_infeasible(const struct search_run *run, struct err *err) {
    const struct archive *archive = search_loop_archive(run->loops[SEARCH_MAIN]);
    struct buf buf;
    for (int i = 0; i < SEARCH_LOOPS; i++)
        if (run->loops[i] && search_loop_archive(run->loops[i])->n_feasible > 0)
            return 0;
    int index = nearest(archive);
    buf_init(&buf, 0);
    buf_printf(&buf, "no network met the limits, of %d that were looked at", archive->n);
    if (index >= 0)
        describe_nearest(run, archive, index, &buf);
    int rc = buf.error ? err_set(err, ESP_ENOMEM, NULL, "no memory for a message")
                       : err_set(err, ESP_EINFEASIBLE, "/constraints", "%s", buf.data);
    buf_finish(&buf);
    return rc;
}

static int finish(struct search_run *run, const double volumes[SEARCH_LOOPS], struct err *err,
                  cJSON **ret_result) {
    int *front = NULL, n = 0;
    if (archive_front_of(search_loop_archive(run->loops[SEARCH_MAIN]), search_known, run, &front,
                         &n) != 0)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a front");
    /* What was predicted stays as it was sent, where nothing can be known better. */
    int rc = run->spec.has_supernet || search_has_board(run) ? emit_all(run, err) : 0;
    if (rc == 0)
        rc = refuse_infeasible(run, err);
    if (rc == 0)
        rc = search_emit_front(run, "final", front, n, err);
    if (rc == 0)
        *ret_result = describe_result(run, volumes, front, n);
    free(front);
    return rc;
}

static int run_search(struct job *job, struct err *err, cJSON **ret_result) {
    struct search_run run = {.job = job};
    double volumes[SEARCH_LOOPS] = {NAN, NAN};
    cJSON *spec = NULL;
    int rc = kept_spec(job, err, &spec);
    if (rc == 0)
        rc = open_run(&run, spec, err);
    if (rc == 0)
        rc = learn(&run, err);
    if (rc == 0)
        rc = search(&run, err, volumes);
    if (rc == 0)
        rc = search_verify_front(&run, err);
    if (rc == 0)
        rc = finish(&run, volumes, err, ret_result);
    if (rc == 0)
        search_tell_end(&run);
    close_run(&run);
    cJSON_Delete(spec);
    return rc;
}

extern const struct job_phase phase_search;
const struct job_phase phase_search = {
    .kind = "search", .help = "search subnets of a supernet for boards", .run = run_search};
