/* A lease on its way: asked for, kept alive, its items measured, their results spooled. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "devices/board.h"
#include "devices/measure.h"
#include "devices/owner_limits.h"
#include "devices/reference.h"
#include "devices/retry.h"
#include "devices/spool.h"
#include "devices/worker_private.h"

enum {
    ITEMS_MAX = 64,
    HEAT_LOOK_US = 200000,
    SETTLE_US = 1000000,     /* a change of governor that is over by then was none */
    BEAT_TIMEOUT_MS = 10000, /* the measurement waits meanwhile */
    BEAT_SHARE = 20          /* heartbeats take at most this part of the time */
};

/* What the daemon has said to the measurement under way. */
enum lease_word { LEASE_GO, LEASE_SKIP /* it is not wanted any more */, LEASE_LOST /* none is */ };

struct lease {
    struct worker *worker;
    char id[IDENTITY_ID_SIZE];
    int64_t last_beat_ns, beat_took_ns, heartbeat_s;
    int item, n_items;
    const char *measurement; /* under way; NULL: none */
    enum lease_word word;
};

/* The interval of signs of life may change with each answer. */
static void take_pace(struct lease *lease, const cJSON *doc) {
    int64_t seconds = lease->heartbeat_s;
    if (json_int_opt(doc, "", "heartbeat_s", 1, 3600, NULL, &seconds) == 0)
        lease->heartbeat_s = seconds;
}

static enum lease_word read_beat(struct lease *lease, int rc, int status, const cJSON *doc) {
    const char *action = "continue";

    if (rc) {
        /* A line that is dead must not hold the measurement up each second. */
        lease->heartbeat_s = lease->worker->heartbeat_s;
        return retry_is_final(status) ? LEASE_LOST : LEASE_GO;
    }
    take_pace(lease, doc);
    if (json_string_opt(doc, "", "action", 1, 32, NULL, &action))
        return LEASE_GO;
    return !strcmp(action, "cancel") ? LEASE_LOST : !strcmp(action, "skip") ? LEASE_SKIP : LEASE_GO;
}

static void beat(struct lease *lease) {
    struct worker *w = lease->worker;
    cJSON *body = worker_body(w), *doc = NULL;
    struct err err = {0};
    char path[160];
    int status = 0;
    int64_t start = clock_mono_ns();

    cJSON_AddStringToObject(body, "phase", "measuring");
    cJSON_AddNumberToObject(body, "done", lease->item);
    cJSON_AddNumberToObject(body, "total", lease->n_items);
    if (lease->measurement)
        cJSON_AddStringToObject(body, "measurement_id", lease->measurement);
    snprintf(path, sizeof(path), "/api/v1/worker/leases/%s/heartbeat", lease->id);
    int rc = worker_post_within(w, BEAT_TIMEOUT_MS, path, body, &err, &status, &doc);
    lease->word = read_beat(lease, rc, status, doc);
    lease->last_beat_ns = clock_mono_ns();
    lease->beat_took_ns = lease->last_beat_ns - start;
    cJSON_Delete(body);
    cJSON_Delete(doc);
}

static bool beat_is_due(const struct lease *lease) {
    int64_t quiet_ns = clock_mono_ns() - lease->last_beat_ns;
    int64_t pace_ns = lease->heartbeat_s * INT64_C(1000000000);
    int64_t most_ns = lease->worker->heartbeat_s * INT64_C(1000000000);
    int64_t rest_ns = BEAT_SHARE * lease->beat_took_ns; /* of a slow line */

    if (rest_ns > most_ns)
        rest_ns = most_ns;
    return quiet_ns > (rest_ns > pace_ns ? rest_ns : pace_ns);
}

static int between_batches(void *context, int batches) {
    struct lease *lease = context;

    if (*lease->worker->stop)
        return 1;
    if (beat_is_due(lease))
        beat(lease);
    return lease->word != LEASE_GO;
}

/* One measurement to do, read from a lease's items. */
struct item {
    const char *measurement_id, *kind;
    const struct worker_profile *profile; /* that it is to be measured on */
    const struct method *method;
    struct graph *graph; /* owned */
    int64_t attempt, seed;
};

/* A daemon that names no profile knows of one only. */
static int read_item_profile(const struct worker *w, const cJSON *doc, const char *at,
                             struct err *err, struct item *item) {
    const char *id = w->profiles.items[0].id;
    int rc = json_string_opt(doc, at, "profile_id", 1, IDENTITY_ID_SIZE - 1, err, &id);

    if (!rc && !(item->profile = worker_profile_find(&w->profiles, id)))
        rc = err_set(err, ESP_EUNSUPPORTED, NULL, "this worker has no profile %s", id);
    return rc;
}

static int read_item(const struct worker *w, const cJSON *doc, const char *at, struct err *err,
                     struct item *item) {
    const char *method = NULL;
    char graph_at[64];
    int rc =
        json_string(doc, at, "measurement_id", 1, IDENTITY_ID_SIZE - 1, err, &item->measurement_id);

    if (!rc)
        rc = json_int(doc, at, "attempt", 0, 1000000, err, &item->attempt);
    if (!rc)
        rc = read_item_profile(w, doc, at, err, item);
    if (!rc)
        rc = json_string(doc, at, "kind", 1, 32, err, &item->kind);
    if (!rc)
        rc = json_int_opt(doc, at, "seed", 0, INT64_C(1) << 53, err, &item->seed);
    if (!rc)
        rc = json_string(doc, at, "method", 1, METHOD_ID_MAX - 1, err, &method);
    if (!rc && !(item->method = method_find_any(method)))
        rc =
            err_set(err, ESP_EUNSUPPORTED, NULL, "this worker does not know the method %s", method);
    snprintf(graph_at, sizeof(graph_at), "%s/graph", at);
    if (!rc)
        rc = graph_from_json(cJSON_GetObjectItemCaseSensitive(doc, "graph"), graph_at, err,
                             &item->graph);
    return rc;
}

static cJSON *result_message(const struct lease *lease, const struct item *item,
                             const cJSON *statistics) {
    cJSON *message = statistics ? cJSON_Duplicate(statistics, true) : cJSON_CreateObject();
    char text[3 * IDENTITY_ID_SIZE + 32], key[HASH_TEXT];

    snprintf(text, sizeof(text), "%s %lld %s", item->measurement_id, (long long)item->attempt,
             lease->id);
    hash_text(text, strlen(text), key);
    cJSON_AddStringToObject(message, "lease_id", lease->id);
    cJSON_AddStringToObject(message, "measurement_id", item->measurement_id);
    cJSON_AddNumberToObject(message, "attempt", (double)item->attempt);
    cJSON_AddStringToObject(message, "idempotency_key", key);
    return message;
}

static cJSON *environment_now(const struct worker *w) {
    cJSON *doc = worker_is_simulated(w) ? cJSON_CreateObject() : board_environment();

    if (worker_is_simulated(w))
        cJSON_AddBoolToObject(doc, "simulated", true);
    return doc;
}

/* The board's own sensors say something of what is measured. */
static bool has_sensors(const struct item *item) {
    return item->profile->measure.sensors != NULL;
}

/* Waits until the board is cool enough, for a while; heartbeats go on. *ret_hot: it is not. In:
 * ESP_ECANCELED. */
static int wait_until_cool(struct lease *lease, const struct item *item, struct err *err,
                           bool *ret_hot) {
    struct worker *w = lease->worker;
    enum heat_word word = HEAT_GO;

    if (worker_is_simulated(w) || !has_sensors(item))
        return 0;
    while ((word = heat_ask(&w->gate, board_heat_c(w->gate.limits.limit_c), clock_mono_ns())) ==
           HEAT_WAIT) {
        if (between_batches(lease, 0)) {
            heat_break_off(&w->gate);
            return err_set(err, ESP_ECANCELED, NULL, "the measurement was cancelled");
        }
        usleep(HEAT_LOOK_US);
    }
    *ret_hot = word == HEAT_HOT;
    return 0;
}

/* Whether one more change may be taken up; notes it then. */
static bool may_change(struct worker *w) {
    int64_t now = clock_mono_ns(), *changed = w->changed_ns;
    const int last = WORKER_CHANGES_MAX - 1;

    if (changed[0] && now - changed[0] < WORKER_CHANGES_WITHIN_S * INT64_C(1000000000))
        return false;
    memmove(changed, changed + 1, (size_t)last * sizeof(*changed));
    changed[last] = now;
    return true;
}

int worker_look_at_environment(struct worker *w, struct err *err, bool *ret_unsettled) {
    if (!worker_profiles_differ(&w->profiles))
        return 0;
    usleep(SETTLE_US);
    if (!worker_profiles_differ(&w->profiles))
        return 0;
    if (!may_change(w)) {
        *ret_unsettled = true;
        if (!w->unsettled)
            log_warn("governor or range of frequencies change all the time: results are marked "
                     "as unsettled until they keep still");
        w->unsettled = true;
        return 0;
    }
    w->unsettled = false;
    worker_profiles_look_again(&w->profiles);
    return err_set(err, ESP_ECONFLICT, NULL,
                   "the governor or the range of frequencies has changed");
}

static void add_flag(cJSON *message, const char *flag) {
    cJSON *flags = cJSON_GetObjectItemCaseSensitive(message, "flags");
    if (!flags)
        flags = cJSON_AddArrayToObject(message, "flags");
    cJSON_AddItemToArray(flags, cJSON_CreateString(flag));
}

/* Measures one item and spools its result. In: ESP_ECANCELED when stopped or the lease was lost;
 * nothing is spooled then. */
static int measure_item(struct lease *lease, const struct item *item, struct err *err) {
    struct worker *w = lease->worker;
    struct measure_task task = {.graph = item->graph,
                                .method = item->method,
                                .network = strcmp(item->kind, "unit") != 0,
                                .seed = (uint64_t)item->seed,
                                .between = between_batches,
                                .context = lease};
    struct measure_outcome outcome = {0};
    cJSON *environment = NULL, *message = NULL;
    char *path = NULL, fingerprint[HASH_TEXT];
    bool hot = false, unsettled = false;
    int rc = wait_until_cool(lease, item, err, &hot);

    if (!rc)
        rc = worker_look_at_environment(w, err, &unsettled);
    if (rc)
        return rc;
    environment = cJSON_CreateObject();
    cJSON_AddItemToObject(environment, "before", environment_now(w));
    rc = measure_graph(&item->profile->measure, &task, err, &outcome);
    cJSON_AddItemToObject(environment, "after", environment_now(w));
    if (!rc)
        rc = worker_look_at_environment(w, err, &unsettled);
    if (rc) {
        cJSON_Delete(environment);
        measure_outcome_finish(&outcome);
        return rc;
    }
    message = result_message(lease, item, outcome.doc);
    cJSON_AddStringToObject(message, "status", measure_status_names[outcome.status]);
    cJSON_AddStringToObject(message, "message", outcome.message);
    if (outcome.hung)
        cJSON_AddStringToObject(message, "failure", "timeout");
    cJSON_AddItemToObject(message, "environment", environment);
    if (hot)
        add_flag(message, "hot");
    if (unsettled)
        add_flag(message, "unsettled");
    worker_profile_fingerprint(item->profile, fingerprint);
    if (!json_has(message, "fingerprint"))
        cJSON_AddStringToObject(message, "fingerprint", fingerprint);
    rc = spool_put(w->spool_dir, message, err, &path);
    free(path);
    cJSON_Delete(message);
    measure_outcome_finish(&outcome);
    return rc;
}

static int refuse_item(struct lease *lease, const cJSON *doc, const struct err *why) {
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "measurement_id"));
    struct item item = {.measurement_id = id ? id : ""};
    struct err err = {0};
    char *path = NULL;

    item.attempt = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(doc, "attempt"));
    log_warn("cannot measure %s: %s %s", item.measurement_id, why->message, why->pointer);
    cJSON *message = result_message(lease, &item, NULL);
    cJSON_AddStringToObject(message, "status",
                            why->code == ESP_EUNSUPPORTED ? "unsupported"
                            : why->code == ESP_ENOMEM     ? "oom"
                                                          : "invalid");
    cJSON_AddStringToObject(message, "message", why->message);
    int rc = spool_put(lease->worker->spool_dir, message, &err, &path);
    free(path);
    cJSON_Delete(message);
    return rc;
}

static int acknowledge(struct lease *lease, int n_items, struct err *err) {
    cJSON *body = worker_body(lease->worker), *doc = NULL;
    char path[160];
    int status = 0;

    cJSON_AddNumberToObject(body, "estimate_s", 2 * n_items);
    snprintf(path, sizeof(path), "/api/v1/worker/leases/%s/ack", lease->id);
    int rc = worker_post(lease->worker, path, body, err, &status, &doc);
    if (!rc)
        take_pace(lease, doc);
    lease->last_beat_ns = clock_mono_ns();
    cJSON_Delete(body);
    cJSON_Delete(doc);
    return rc;
}

static void release(struct lease *lease, const char *reason) {
    cJSON *body = worker_body(lease->worker);
    struct err err = {0};
    char path[160];
    int status = 0;

    cJSON_AddStringToObject(body, "reason", reason);
    snprintf(path, sizeof(path), "/api/v1/worker/leases/%s/release", lease->id);
    if (worker_post(lease->worker, path, body, &err, &status, NULL))
        log_warn("the lease was not given back: %s", err.message);
    cJSON_Delete(body);
}

static int work_item(struct lease *lease, const cJSON *doc, const char *at, struct err *err) {
    struct item item = {0};
    int64_t start = clock_mono_ns();
    const struct worker_options *options = lease->worker->options;
    struct worker_limits limits = {options->macs_limit, options->memory_limit_bytes};
    int rc = read_item(lease->worker, doc, at, err, &item);

    if (!rc)
        rc = limits_check(item.graph, &limits, err);
    if (rc) {
        free(item.graph);
        return refuse_item(lease, doc, err);
    }
    lease->measurement = item.measurement_id;
    lease->word = LEASE_GO;
    rc = measure_item(lease, &item, err);
    lease->measurement = NULL;
    if (rc == ESP_ECANCELED && lease->word == LEASE_SKIP && !*lease->worker->stop) {
        log_info("%s is not wanted any more", item.measurement_id);
        free(item.graph);
        return 0;
    }
    if (!rc)
        log_info("measured %s (%s, %s) in %.2f s", item.measurement_id, item.kind,
                 item.method->name, (double)(clock_mono_ns() - start) / 1e9);
    free(item.graph);
    return rc;
}

/* Works through a lease's items, sending each result as it comes. */
static int work_lease(struct worker *w, const cJSON *doc, struct err *err) {
    struct lease lease = {.worker = w, .heartbeat_s = w->heartbeat_s};
    const cJSON *items = NULL;
    const char *id = NULL;
    int rc = json_string(doc, "", "lease_id", 1, IDENTITY_ID_SIZE - 1, err, &id);

    if (!rc)
        rc = json_array(doc, "", "items", 1, ITEMS_MAX, err, &items);
    if (rc)
        return err_prefix(err, rc, "the daemon's lease");
    snprintf(lease.id, sizeof(lease.id), "%s", id);
    lease.n_items = cJSON_GetArraySize(items);
    rc = acknowledge(&lease, lease.n_items, err);
    for (; lease.item < lease.n_items && !rc; lease.item++) {
        char at[32];
        snprintf(at, sizeof(at), "/items/%d", lease.item);
        rc = *w->stop ? ESP_ECANCELED
                      : work_item(&lease, cJSON_GetArrayItem(items, lease.item), at, err);
        if (!rc && worker_deliver_all(w, err) == ESP_EUNAUTHORIZED)
            rc = ESP_EUNAUTHORIZED;
    }
    if (rc && lease.word != LEASE_LOST)
        release(&lease, rc == ESP_ECANCELED ? "the worker stops" : "the worker cannot go on");
    return rc == ESP_ECANCELED ? 0 : rc;
}

/* ---- noise floor --------------------------------------------------------------------------- */

static int report_noise_of(struct worker *w, const struct worker_profile *profile,
                           struct err *err) {
    struct graph *graph = NULL;
    struct measure_outcome outcome = {0};
    struct lease none = {.worker = w,
                         .last_beat_ns = clock_mono_ns(),
                         .heartbeat_s = 3600 /* there is no lease to keep alive */};
    struct measure_task task = {
        .method = method_find("brief"), .seed = 1, .between = between_batches, .context = &none};
    cJSON *body = worker_body(w);
    int status = 0;
    int rc = reference_graph(err, &graph);

    task.graph = graph;
    if (!rc)
        rc = measure_graph(&profile->measure, &task, err, &outcome);
    if (!rc && !outcome.doc)
        rc = err_set(err, ESP_EUNSUPPORTED, NULL,
                     "the reference network cannot be measured here: %s", outcome.message);
    if (!rc) {
        cJSON_AddStringToObject(body, "profile_id", profile->id);
        cJSON_AddItemToObject(body, "reference_us",
                              cJSON_DetachItemFromObjectCaseSensitive(outcome.doc, "samples_us"));
        rc = worker_post(w, "/api/v1/worker/noise", body, err, &status, NULL);
    }
    measure_outcome_finish(&outcome);
    free(graph);
    cJSON_Delete(body);
    return rc;
}

int worker_report_noise(struct worker *w, struct err *err) {
    int rc = 0;

    for (int i = 0; i < w->profiles.n && !rc; i++)
        rc = report_noise_of(w, &w->profiles.items[i], err);
    if (rc)
        return rc;
    w->identity.noise_reported = true;
    return identity_save(&w->identity, err);
}

/* ---- the lease ----------------------------------------------------------------------------- */

int worker_lease_once(struct worker *w, struct err *err, bool *ret_idle) {
    cJSON *body = worker_body(w), *doc = NULL;
    int status = 0;

    cJSON_AddNumberToObject(body, "wait_s", w->options->once ? 0 : WORKER_LEASE_WAIT_S);
    cJSON_AddNumberToObject(body, "max_items", 8);
    cJSON_AddNumberToObject(body, "load", board_load());
    cJSON_AddBoolToObject(body, "simulated", worker_is_simulated(w));
    struct http_exchange exchange = {.method = "POST",
                                     .path = "/api/v1/worker/lease",
                                     .body = body,
                                     .timeout_ms = WORKER_TIMEOUT_MS,
                                     .stop = w->stop};
    int rc = http_client_json(w->client, &exchange, err, &status, &doc);
    cJSON_Delete(body);
    if (rc == ESP_ECANCELED && *w->stop) /* the goodbye gives back what may have been granted */
        rc = 0;
    if (!rc && doc)
        rc = work_lease(w, doc, err);
    *ret_idle = !rc && !doc;
    cJSON_Delete(doc);
    if (status == 410)
        return err_set(err, ESP_EUNAUTHORIZED, NULL,
                       "this board was removed from the daemon: `espalier device add` makes a new "
                       "token for it");
    if (status == 409) /* an older epoch, or the lease is gone: connect again */
        return ESP_ECONFLICT;
    return rc;
}
