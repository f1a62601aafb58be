#include "daemon/job/search_run.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "latency/quality.h"
#include <stdlib.h>
#include <string.h>

enum { REQUESTS_MAX = 10000, WAIT_MS = 500 };
/* A board that has answered nothing for so long is taken as gone for this search. */
#define PATIENCE_NS (INT64_C(15) * 60 * 1000000000)
#define US_MAX 1e12

/* --- asking --- */

static const struct search_request *find_request(const struct search_run *run, int profile,
                                                 const struct arch *arch) {
    for (int i = 0; i < run->n_requests; i++)
        if (run->requests[i].profile == profile && arch_equal(&run->requests[i].arch, arch))
            return &run->requests[i];
    return NULL;
}

const struct measured *search_measured(const struct search_run *run, int profile,
                                       const struct arch *arch) {
    const struct search_request *request = find_request(run, profile, arch);
    const struct measured *m = request ? facts_measured(run->facts, request->request) : NULL;
    return m && m->accepted ? m : NULL;
}

static int add_request(struct search_run *run, int profile, const struct arch *arch,
                       struct err *err) {
    if (run->n_requests == REQUESTS_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a search measures at most %d networks",
                       REQUESTS_MAX);
    if (run->n_requests == run->requests_capacity) {
        int capacity = run->requests_capacity ? 2 * run->requests_capacity : 64;
        struct search_request *grown = reallocarray(run->requests, (size_t)capacity, sizeof *grown);
        if (!grown)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for measurement requests");
        run->requests = grown;
        run->requests_capacity = capacity;
    }
    run->requests[run->n_requests] = (struct search_request){run->n_requests + 1, profile, *arch};
    run->n_requests++;
    return 0;
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
    arch_id(run->spec.space, &request->arch, id);
    graph_id(graph, "fp32", network);
    cJSON_AddNumberToObject(item, "request", (double)request->request);
    cJSON_AddStringToObject(item, "profile_id", run->spec.profiles[request->profile].id);
    cJSON_AddStringToObject(item, "arch", text);
    cJSON_AddStringToObject(item, "arch_id", id);
    cJSON_AddStringToObject(item, "graph_id", network);
    cJSON_AddStringToObject(item, "method", run->spec.measure_method);
    cJSON_AddItemToObject(item, "graph", graph_to_json(graph));
    cJSON_AddItemToArray(items, item);
    free(graph);
    return 0;
}

int search_request_measurements(struct search_run *run, const struct arch *archs, int n,
                                struct err *err) {
    int first = run->n_requests, rc = 0;
    if (run->no_board)
        return 0;
    for (int p = 0; p < run->spec.n_profiles; p++)
        for (int i = 0; i < n && rc == 0 && search_profile_has_board(&run->spec.profiles[p]); i++)
            if (!find_request(run, p, &archs[i]))
                rc = add_request(run, p, &archs[i], err);
    if (rc != 0 || run->n_requests == first)
        return rc;
    cJSON *data = cJSON_CreateObject();
    cJSON *items = cJSON_AddArrayToObject(data, "items");
    for (int i = first; i < run->n_requests && rc == 0; i++)
        rc = describe_request(run, &run->requests[i], err, items);
    if (rc == 0)
        return search_emit(run, "measure_request", data, err);
    cJSON_Delete(data);
    return rc;
}

/* --- answers --- */

static int read_answer(const cJSON *message, struct measured *ret_measured) {
    struct measured m = {0};
    const char *state = "";
    int rc = json_int(message, "", "request", 1, REQUESTS_MAX, NULL, &m.request);
    if (rc == 0)
        rc = json_string(message, "", "state", 1, 32, NULL, &state);
    if (rc == 0)
        rc = json_bool_opt(message, "", "no_board", NULL, &m.no_board);
    m.accepted = strcmp(state, "accepted") == 0;
    if (rc == 0 && m.accepted) {
        rc = json_real(message, "", "median_us", 1e-3, US_MAX, NULL, &m.median_us);
        if (rc == 0)
            rc = json_real(message, "", "low_us", 0, m.median_us, NULL, &m.low_us);
        if (rc == 0)
            rc = json_real(message, "", "high_us", m.median_us, US_MAX, NULL, &m.high_us);
        if (rc == 0)
            rc = json_real_opt(message, "", "sd_us", 0, US_MAX, NULL, &m.sd_us);
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
    log_warn("no board has answered for 15 minutes: what was asked for stays unmeasured");
    for (int i = 0; i < run->n_requests && rc == 0; i++) {
        struct measured none = {.request = run->requests[i].request, .no_board = true};
        if (!facts_measured(run->facts, none.request))
            rc = facts_add_measured(run->facts, &none, err);
    }
    return rc;
}

int search_wait_for_board(struct search_run *run, struct err *err) {
    int rc = 0;
    int64_t waited = 0;
    while (rc == 0 && count_answered(run) < run->n_requests) {
        search_progress(run, count_answered(run), run->n_requests, "measurements");
        if (channel_boundary(run->job->channel))
            return err_set(err, ESP_ECANCELED, NULL, "the search was stopped");
        int64_t start = clock_mono_ns();
        cJSON *message = channel_next_measurement(run->job->channel, WAIT_MS);
        waited += clock_mono_ns() - start;
        if (message) {
            bool is_new;
            rc = take_answer(run, message, err, &is_new);
            waited = is_new ? 0 : waited;
        } else if (waited > PATIENCE_NS) {
            rc = give_up(run, err);
        }
        cJSON_Delete(message);
    }
    int accepted = 0;
    for (int i = 0; i < run->n_requests && rc == 0; i++) {
        const struct measured *m = facts_measured(run->facts, run->requests[i].request);
        accepted += m->accepted;
        run->no_board |= m->no_board;
    }
    if (run->n_requests && !accepted)
        run->no_board = true;
    return rc;
}

/* --- calibration --- */

/* Sums and measurements of the networks that a profile was measured on. */
struct pairs {
    double *sum, *measured, *sd;
    size_t n;
};

static int collect(struct search_run *run, int profile, struct pairs *pairs, struct err *err) {
    for (int i = 0; i < run->n_requests; i++) {
        const struct search_request *request = &run->requests[i];
        const struct measured *m = search_measured(run, request->profile, &request->arch);
        struct latency_prediction p;
        if (request->profile != profile || !m)
            continue;
        int rc = latency_evaluator_predict(run->latency[profile], &request->arch, err, &p);
        if (rc != 0)
            return rc;
        if (p.state == LATENCY_MISSING)
            continue;
        pairs->sum[pairs->n] = p.sum_us;
        pairs->measured[pairs->n] = m->median_us;
        pairs->sd[pairs->n++] = m->sd_us;
    }
    return 0;
}

static void add_quality(cJSON *data, const char *key, const struct latency_quality *quality) {
    if (quality)
        cJSON_AddItemToObject(data, key, latency_quality_to_json(quality));
    else
        cJSON_AddNullToObject(data, key);
}

static int emit_calibration(struct search_run *run, const struct search_profile *profile,
                            const struct pairs *pairs, struct err *err) {
    const struct calibration *c = &profile->calibration;
    struct latency_report report;
    bool judged =
        latency_report_make(pairs->sum, pairs->measured, pairs->sd, pairs->n, NULL, &report) == 0;
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "profile_id", profile->id);
    cJSON_AddStringToObject(data, "profile_revision", profile->revision);
    cJSON_AddNumberToObject(data, "version", c->version);
    cJSON_AddStringToObject(data, "kind", calibration_kind_names[c->kind]);
    cJSON_AddNumberToObject(data, "a", c->a);
    cJSON_AddNumberToObject(data, "c", c->c_us);
    cJSON_AddNumberToObject(data, "n", c->n);
    cJSON_AddNumberToObject(data, "residual_sd", c->residual_sd);
    add_quality(data, "before", judged ? &report.before : NULL);
    add_quality(data, "after", judged ? &report.after : NULL);
    if (judged)
        cJSON_AddNumberToObject(data, "noise", report.noise);
    cJSON_AddItemToObject(data, "calibration", calibration_to_json(c));
    return search_emit(run, "calibration", data, err);
}

static int calibrate(struct search_run *run, int profile, struct err *err, bool *ret_changed) {
    struct search_profile *p = &run->spec.profiles[profile];
    double *memory = mem_array((size_t)run->n_requests + 1, 3 * sizeof *memory);
    if (!memory)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a calibration");
    size_t room = (size_t)run->n_requests + 1;
    struct pairs pairs = {memory, memory + room, memory + 2 * room, 0};
    int rc = collect(run, profile, &pairs, err);
    /* A calibration that came with the search stays until more networks speak against it. */
    if (rc == 0 && pairs.n >= CALIBRATION_MIN_NETWORKS && (int)pairs.n >= p->calibration.n) {
        rc = calibration_fit(pairs.sum, pairs.measured, pairs.n, p->calibration.version + 1, err,
                             &p->calibration);
        if (rc == 0) {
            latency_evaluator_calibrate(run->latency[profile], &p->calibration);
            *ret_changed = true;
            rc = emit_calibration(run, p, &pairs, err);
        }
    }
    free(memory);
    return rc;
}

int search_calibrate(struct search_run *run, struct err *err, bool *ret_changed) {
    int rc = 0;
    *ret_changed = false;
    for (int p = 0; p < run->spec.n_profiles && rc == 0; p++)
        if (search_profile_has_board(&run->spec.profiles[p]))
            rc = calibrate(run, p, err, ret_changed);
    return rc;
}
