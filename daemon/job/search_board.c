#include "daemon/job/search_run.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "latency/learn.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_MAX = 10000, REQUESTS_A_MESSAGE = 500, WAIT_MS = 500 };
#define US_MAX 1e12
#define UJ_MAX 1e12

/* --- asking --- */

bool search_board_answers(const struct search_run *run, int board) {
    bool tells = run->spec.boards[board].profile >= 0 || !run->silent[board];
    return tells && !run->gone[board] && !run->refuses[board];
}

static int count_boards(const struct search_run *run) {
    int n = 0;
    for (int b = 0; b < run->spec.n_boards; b++)
        n += search_board_answers(run, b);
    return n;
}

/* The budget: its own, or what a search may ask for at all. */
static int requests_max(const struct search_run *run) {
    return run->spec.measurements > 0 ? run->spec.measurements : REQUESTS_MAX;
}

int search_measurable(const struct search_run *run, int takes) {
    int boards = count_boards(run);
    return boards > 0 ? (requests_max(run) - run->n_requests) / (boards * takes) : REQUESTS_MAX;
}

static int describe_request(const struct search_run *run, const struct search_request *request,
                            struct err *err, cJSON *items) {
    char text[ARCH_TEXT_MAX], id[HASH_TEXT], network[HASH_TEXT];
    struct graph *graph = NULL;
    int rc = graph_build(run->spec.space, &request->arch, err, &graph);
    if (rc != 0)
        return rc;
    cJSON *item = cJSON_CreateObject();
    arch_format(run->spec.space, &request->arch, text);
    search_arch_id(run, &request->arch, id);
    graph_id(graph, "fp32", network);
    cJSON_AddNumberToObject(item, "request", (double)request->request);
    cJSON_AddStringToObject(item, "profile_id", run->spec.boards[request->board].id);
    cJSON_AddStringToObject(item, "arch", text);
    cJSON_AddStringToObject(item, "arch_id", id);
    cJSON_AddStringToObject(item, "graph_id", network);
    cJSON_AddStringToObject(item, "method", run->spec.measure_method);
    if (request->take > 1)
        cJSON_AddNumberToObject(item, "take", request->take);
    cJSON_AddItemToObject(item, "graph", graph_to_json(graph));
    cJSON_AddItemToArray(items, item);
    free(graph);
    return 0;
}

static int add_take(struct search_run *run, const struct arch *archs, int n, int take,
                    struct err *err) {
    int rc = 0;
    for (int b = 0; b < run->spec.n_boards; b++)
        for (int i = 0; i < n && rc == 0 && search_board_answers(run, b); i++)
            if (!search_find_request(run, b, &archs[i], take) &&
                run->n_requests < requests_max(run))
                rc = search_add_request(run, b, &archs[i], take, err);
    return rc;
}

/* Those from first on, as many as a message takes: each has its graph. */
static int emit_requests(struct search_run *run, int first, struct err *err) {
    cJSON *data = cJSON_CreateObject();
    cJSON *items = cJSON_AddArrayToObject(data, "items");
    int rc = 0;
    for (int i = first; i < run->n_requests && i < first + REQUESTS_A_MESSAGE && rc == 0; i++)
        rc = describe_request(run, &run->requests[i], err, items);
    if (rc == 0)
        return search_emit(run, "measure_request", data, err);
    cJSON_Delete(data);
    return rc;
}

int search_request_measurements(struct search_run *run, const struct arch *archs, int n, int takes,
                                struct err *err) {
    int first = run->n_requests, rc = 0;
    for (int take = 1; take <= takes && rc == 0; take++)
        rc = add_take(run, archs, n, take, err);
    if (rc != 0 || run->n_requests == first)
        return rc;
    run->session++;
    for (int i = first; i < run->n_requests && rc == 0; i += REQUESTS_A_MESSAGE)
        rc = emit_requests(run, i, err);
    return rc;
}

/* --- answers --- */

/* However long it is. */
static void read_refusal(const cJSON *message, char ret_text[REFUSAL_MAX]) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "error"));
    snprintf(ret_text, REFUSAL_MAX, "%s", text ? text : "");
    ret_text[utf8_trim(ret_text, strlen(ret_text))] = '\0';
}

static int read_answer(const cJSON *message, struct measured *ret_measured) {
    struct measured m = {0};
    const char *state = "";
    int rc = json_int(message, "", "request", 1, REQUESTS_MAX, NULL, &m.request);
    if (rc == 0)
        rc = json_string(message, "", "state", 1, 32, NULL, &state);
    if (rc == 0)
        rc = json_bool_opt(message, "", "no_board", NULL, &m.no_board);
    m.accepted = strcmp(state, "accepted") == 0;
    if (rc == 0 && !m.accepted)
        read_refusal(message, m.refusal);
    if (rc == 0 && m.accepted) {
        rc = json_real(message, "", "median_us", 1e-3, US_MAX, NULL, &m.median_us);
        if (rc == 0)
            rc = json_real(message, "", "low_us", 0, m.median_us, NULL, &m.low_us);
        if (rc == 0)
            rc = json_real(message, "", "high_us", m.median_us, US_MAX, NULL, &m.high_us);
        if (rc == 0)
            rc = json_real_opt(message, "", "sd_us", 0, US_MAX, NULL, &m.sd_us);
        if (rc == 0)
            rc = json_real_opt(message, "", "energy_uj", 0, UJ_MAX, NULL, &m.energy_uj);
    }
    if (rc == 0)
        *ret_measured = m;
    return rc;
}

/* Keeps the answer unless it is known; *ret_new says which. */
static int take_answer(struct search_run *run, const cJSON *message, struct err *err,
                       bool *ret_new) {
    struct measured m;
    *ret_new = false;
    if (read_answer(message, &m) != 0) {
        log_warn("an answer of a board is not understood and ignored");
        return 0;
    }
    if (m.request > run->n_requests || facts_measured(run->facts, m.request))
        return 0;
    *ret_new = true;
    return facts_add_measured(run->facts, &m, err);
}

static int count_answered(const struct search_run *run) {
    int n = 0;
    for (int i = 0; i < run->n_requests; i++)
        n += facts_measured(run->facts, run->requests[i].request) != NULL;
    return n;
}

static int give_up(struct search_run *run, struct err *err) {
    int rc = 0;
    log_warn("no board has answered for %g s: what was asked for stays unmeasured",
             run->spec.board_patience_s);
    for (int i = 0; i < run->n_requests && rc == 0; i++) {
        struct measured none = {.request = run->requests[i].request, .no_board = true};
        if (!facts_measured(run->facts, none.request))
            rc = facts_add_measured(run->facts, &none, err);
    }
    return rc;
}

/* What a board has said to all that it was asked for. */
struct said {
    int asked, accepted, gone; /* requests; gone: there is no board to ask */
    int first, last;           /* sessions */
};

static struct said what_said(const struct search_run *run, int board) {
    struct said said = {0};
    for (int i = 0; i < run->n_requests; i++) {
        const struct search_request *request = &run->requests[i];
        const struct measured *m = facts_measured(run->facts, request->request);
        if (request->board != board)
            continue;
        said.first = said.asked++ == 0 ? request->session : said.first;
        said.last = request->session;
        said.accepted += m->accepted;
        said.gone += m->no_board;
    }
    return said;
}

/* After an answer to each request. A board that refuses networks is there: it is asked for others,
 * until it has refused all of two sessions, those of a calibration and of a front mostly. */
static void note_board(struct search_run *run, int board) {
    const struct said said = what_said(run, board);
    bool none = said.asked > 0 && said.accepted == 0 && said.gone == 0;
    if (!run->gone[board] && (said.gone > 0 || (none && run->steps < SEARCH_STEPS_NOW))) {
        log_warn("no board answers for %s any more: what it has not measured stays predicted",
                 run->spec.boards[board].id);
        run->gone[board] = true;
    } else if (none && !run->refuses[board] && said.last > said.first) {
        log_warn("the board of %s has refused every network of %d requests: it is asked no more",
                 run->spec.boards[board].id, said.asked);
        run->refuses[board] = true;
    }
}

int search_refusal(const struct search_run *run, int board, char ret_reason[REFUSAL_MAX]) {
    const struct said said = what_said(run, board);
    int networks = 0;
    if (said.asked == 0 || said.accepted > 0 || said.gone > 0)
        return 0;
    ret_reason[0] = '\0';
    for (int i = 0; i < run->n_requests; i++) {
        const struct search_request *request = &run->requests[i];
        const struct measured *m = facts_measured(run->facts, request->request);
        if (request->board != board)
            continue;
        networks += request->take == 1;
        if (m->refusal[0])
            memcpy(ret_reason, m->refusal, REFUSAL_MAX);
    }
    return networks;
}

int search_wait_for_board(struct search_run *run, struct err *err) {
    int rc = 0, answered = count_answered(run), before = answered;
    double from = run->share;
    int64_t waited = 0;
    while (rc == 0 && answered < run->n_requests) {
        search_tell_measured(run, answered, before, from);
        if (channel_boundary(run->job->channel))
            return err_set(err, ESP_ECANCELED, NULL, "the search was stopped");
        int64_t start = clock_mono_ns();
        cJSON *message = channel_next_measurement(run->job->channel, WAIT_MS);
        waited += clock_mono_ns() - start;
        if (message) {
            bool is_new;
            rc = take_answer(run, message, err, &is_new);
            answered += rc == 0 && is_new;
            waited = is_new ? 0 : waited;
        } else if (waited > (int64_t)(run->spec.board_patience_s * 1e9)) {
            rc = give_up(run, err);
            answered = run->n_requests;
        }
        cJSON_Delete(message);
    }
    for (int b = 0; b < run->spec.n_boards && rc == 0; b++)
        note_board(run, b);
    if (rc == 0)
        search_note_silent(run);
    return rc;
}

/* --- calibration --- */

/* Networks that a profile was measured on: by the search, then before it. */
struct measured_networks {
    struct learn_network *networks; /* their graphs are owned */
    const struct arch **archs;      /* borrowed */
    size_t n, n_own;
};

static void measured_finish(struct measured_networks *measured) {
    for (size_t i = 0; i < measured->n; i++)
        free((void *)measured->networks[i].graph);
    free(measured->networks);
    free(measured->archs);
}

/* network: but for its graph. */
static int add_measured(const struct search_run *run, const struct arch *arch,
                        struct learn_network network, struct err *err,
                        struct measured_networks *measured) {
    struct graph *graph;
    int rc = graph_build(run->spec.space, arch, err, &graph);
    if (rc != 0)
        return rc;
    network.graph = graph;
    measured->archs[measured->n] = arch;
    measured->networks[measured->n++] = network;
    return 0;
}

static int collect_own(const struct search_run *run, int board, struct measured_networks *measured,
                       struct err *err) {
    int rc = 0;
    for (int i = 0; i < run->n_requests && rc == 0; i++) {
        const struct search_request *request = &run->requests[i];
        struct measured m;
        if (request->board != board || request->take > 1 ||
            search_measured(run, board, &request->arch, &m) == 0)
            continue;
        struct learn_network network = {.measured_us = m.median_us,
                                        .repeat_sd_us = m.sd_us,
                                        .session = request->session,
                                        .representative = request->session == 0 &&
                                                          run->spec.calibration_nets > 0};
        rc = add_measured(run, &request->arch, network, err, measured);
    }
    measured->n_own = measured->n;
    return rc;
}

/* What was known before fills up what the search has measured itself, which counts of a network
 * that is both. */
static int collect_known(const struct search_run *run, int board,
                         struct measured_networks *measured, struct err *err) {
    const struct search_profile *profile = &run->spec.profiles[run->spec.boards[board].profile];
    int rc = 0;
    for (int i = 0; i < profile->n_known && measured->n < SEARCH_KNOWN_MAX && rc == 0; i++) {
        const struct search_known *known = &profile->known[i];
        struct measured own;
        if (search_measured(run, board, &known->arch, &own) > 0)
            continue;
        struct learn_network network = {.measured_us = known->measured_us,
                                        .repeat_sd_us = known->repeat_sd_us,
                                        .session = known->session,
                                        .representative = known->representative};
        rc = add_measured(run, &known->arch, network, err, measured);
    }
    return rc;
}

static int collect(const struct search_run *run, int board, struct measured_networks *measured,
                   struct err *err) {
    size_t most = (size_t)run->n_requests + SEARCH_KNOWN_MAX;
    measured->networks = mem_array(most, sizeof *measured->networks);
    measured->archs = mem_array(most, sizeof *measured->archs);
    if (!measured->networks || !measured->archs)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a calibration");
    int rc = collect_own(run, board, measured, err);
    return rc == 0 ? collect_known(run, board, measured, err) : rc;
}

static void add_quality(cJSON *data, const char *key, const struct latency_quality *quality) {
    if (quality)
        cJSON_AddItemToObject(data, key, latency_quality_to_json(quality));
    else
        cJSON_AddNullToObject(data, key);
}

static void add_errors(cJSON *data, const double errors[LADDER_RUNGS]) {
    cJSON *doc = cJSON_AddObjectToObject(data, "errors");
    for (int r = 0; r < LADDER_RUNGS; r++)
        if (isfinite(errors[r]))
            cJSON_AddNumberToObject(doc, ladder_rung_names[r], errors[r]);
}

/* Each network as the others predict it, beside what was measured. */
static void add_points(const struct search_run *run, const struct measured_networks *measured,
                       const struct learn_report *report, cJSON *data) {
    cJSON *points = cJSON_AddArrayToObject(data, "points");
    for (size_t i = 0; i < report->n && report->judged; i++) {
        const struct learn_point *point = &report->points[i];
        const struct learn_network *network = &measured->networks[point->network];
        char text[ARCH_TEXT_MAX];
        cJSON *row = cJSON_CreateObject();
        arch_format(run->spec.space, measured->archs[point->network], text);
        cJSON_AddStringToObject(row, "arch", text);
        cJSON_AddNumberToObject(row, "sum_us", point->sum_us);
        cJSON_AddNumberToObject(row, "predicted_us", point->predicted_us);
        cJSON_AddNumberToObject(row, "low_us", point->low_us);
        cJSON_AddNumberToObject(row, "high_us", point->high_us);
        cJSON_AddNumberToObject(row, "measured_us", network->measured_us);
        cJSON_AddNumberToObject(row, "session", network->session);
        cJSON_AddBoolToObject(row, "representative", network->representative);
        cJSON_AddBoolToObject(row, "known", point->network >= measured->n_own);
        cJSON_AddItemToArray(points, row);
    }
}

static int emit_calibration(struct search_run *run, const struct search_profile *profile,
                            const struct measured_networks *measured,
                            const struct learn_report *report, struct err *err) {
    const struct calibration *c = &profile->calibration;
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "profile_id", profile->id);
    cJSON_AddStringToObject(data, "profile_revision", profile->revision);
    cJSON_AddNumberToObject(data, "version", c->version);
    cJSON_AddStringToObject(data, "kind", calibration_kind_names[c->kind]);
    cJSON_AddStringToObject(data, "rung", ladder_rung_names[c->rung]);
    cJSON_AddNumberToObject(data, "a", c->a);
    cJSON_AddNumberToObject(data, "c", c->c_us);
    cJSON_AddNumberToObject(data, "n", c->n);
    cJSON_AddNumberToObject(data, "n_known", (double)(measured->n - measured->n_own));
    cJSON_AddNumberToObject(data, "residual_sd", c->residual_sd);
    cJSON_AddNumberToObject(data, "interval", calibration_interval_factor(c) - 1);
    add_errors(data, report->error);
    add_quality(data, "before", report->judged ? &report->latency.before : NULL);
    add_quality(data, "after", report->judged ? &report->latency.after : NULL);
    if (report->judged)
        cJSON_AddNumberToObject(data, "noise", report->latency.noise);
    add_points(run, measured, report, data);
    cJSON_AddItemToObject(data, "calibration", calibration_to_json(c));
    return search_emit(run, "calibration", data, err);
}

static int next_version(const struct search_profile *profile) {
    int known = profile->calibration.version;
    return (known > profile->calibration_version ? known : profile->calibration_version) + 1;
}

/* What a profile's calibration learns from, but for units. */
static void set_sources(const struct search_run *run, int profile, struct learn_sources *sources,
                        const struct latency_table *fleet[LEARN_FLEET_MAX]) {
    const struct search_profile *p = &run->spec.profiles[profile];
    *sources = (struct learn_sources){.table = p->table, .fleet = fleet};
    for (int i = 0; i < run->spec.fleet.n; i++)
        if (strcmp(run->spec.fleet.ids[i], p->id) != 0)
            fleet[sources->n_fleet++] = run->spec.fleet.tables[i];
}

int search_board_covariance(const struct search_run *run, int profile,
                            const struct graph *const *graphs, size_t n, struct err *err,
                            double *ret_covariance) {
    const struct latency_table *fleet[LEARN_FLEET_MAX];
    struct learn_sources sources;
    set_sources(run, profile, &sources, fleet);
    return learn_covariance(&sources, graphs, n, err, ret_covariance);
}

static int learn(const struct search_run *run, int profile, struct measured_networks *measured,
                 struct err *err, struct calibration *ret_calibration,
                 struct learn_report *ret_report) {
    const struct search_profile *p = &run->spec.profiles[profile];
    const struct latency_table *fleet[LEARN_FLEET_MAX];
    struct learn_sources sources;
    struct unit_list *units = NULL;
    set_sources(run, profile, &sources, fleet);
    int rc = space_units(run->spec.space, err, &units);
    sources.units = units;
    if (rc == 0)
        rc = calibration_learn(&sources, measured->networks, measured->n, next_version(p), err,
                               ret_calibration, ret_report);
    unit_list_destroy(units);
    return rc;
}

/* A calibration that came with the search stays until more networks speak against it: some of those
 * that it was learnt on may be known no more, but never more than are learnt on. */
static bool stays(const struct search_profile *profile, const struct calibration *calibration) {
    bool filled = profile->n_known > 0 && calibration->n >= SEARCH_KNOWN_MAX;
    return calibration->n < profile->calibration.n && !filled;
}

/* Takes it, unless the one that there is stays. */
static int take_calibration(struct search_run *run, int profile, struct calibration *calibration,
                            const struct measured_networks *measured,
                            const struct learn_report *report, struct err *err, bool *ret_changed) {
    struct search_profile *p = &run->spec.profiles[profile];
    run->outnumbered[profile] = stays(p, calibration) ? calibration->n : 0;
    if (run->outnumbered[profile] > 0) {
        log_info("%s keeps its calibration on %d networks: the search knows %d", p->id,
                 p->calibration.n, calibration->n);
        calibration_finish(calibration);
        return 0;
    }
    if (run->latency[profile]) /* else nothing is predicted here */
        latency_evaluator_calibrate(run->latency[profile], calibration);
    calibration_finish(&p->calibration);
    p->calibration = *calibration;
    *ret_changed = true;
    return emit_calibration(run, p, measured, report, err);
}

static int calibrate(struct search_run *run, int board, struct err *err, bool *ret_changed) {
    struct measured_networks measured = {0};
    struct calibration calibration;
    struct learn_report report = {0};
    struct err why = {0};
    int profile = run->spec.boards[board].profile;
    int rc = collect(run, board, &measured, err);
    if (rc == 0 && measured.n >= CALIBRATION_MIN_NETWORKS) {
        rc = learn(run, profile, &measured, &why, &calibration, &report);
        if (rc == 0)
            rc = take_calibration(run, profile, &calibration, &measured, &report, err, ret_changed);
        else if (rc == ESP_EINVAL)
            rc = 0; /* too few of them have a sum */
        else
            *err = why;
    }
    learn_report_finish(&report);
    measured_finish(&measured);
    return rc;
}

int search_calibrate(struct search_run *run, struct err *err, bool *ret_changed) {
    int rc = 0;
    *ret_changed = false;
    for (int b = 0; b < run->spec.n_boards && rc == 0; b++)
        if (run->spec.boards[b].profile >= 0)
            rc = calibrate(run, b, err, ret_changed);
    return rc;
}
