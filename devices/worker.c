#include "devices/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/http_client.h"
#include "base/json.h"
#include "base/log.h"
#include "devices/board.h"
#include "devices/identity.h"
#include "devices/owner_limits.h"
#include "devices/measure.h"
#include "devices/profiles.h"
#include "devices/reference.h"
#include "devices/retry.h"
#include "devices/spool.h"

enum {
    PATH_SIZE = 4096,
    ID_SIZE = IDENTITY_ID_SIZE,
    LEASE_WAIT_S = 20,
    TIMEOUT_MS = (LEASE_WAIT_S + 25) * 1000,
    ITEMS_MAX = 64,
    HEAT_LOOK_US = 200000,
    BEAT_TIMEOUT_MS = 4000 /* the measurement waits meanwhile */
};

struct worker {
    const struct worker_options *options;
    volatile sig_atomic_t *stop;
    struct http_client *client;
    struct worker_profiles profiles; /* the first is the board's default */
    char spool_dir[PATH_SIZE];
    struct identity identity;
    char machine_id[HASH_TEXT], host_id[HASH_TEXT];
    int64_t epoch, heartbeat_s;
    bool noise_by_lease; /* the daemon asks for it */
    bool welcome;        /* introduced in this session */
    int failures;        /* exchanges with the daemon that failed in a row */
    struct heat_gate gate;
    int lock_fd;
};

/* ---- talking to the daemon ----------------------------------------------------------------- */

static int post_within(struct worker *w, int64_t timeout_ms, const char *path, const cJSON *body,
                       struct err *err, int *ret_status, cJSON **ret_doc) {
    struct http_exchange exchange = {
        .method = "POST", .path = path, .body = body, .timeout_ms = timeout_ms};
    *ret_status = 0;
    return http_client_json(w->client, &exchange, err, ret_status, ret_doc);
}

static int post(struct worker *w, const char *path, const cJSON *body, struct err *err,
                int *ret_status, cJSON **ret_doc) {
    return post_within(w, TIMEOUT_MS, path, body, err, ret_status, ret_doc);
}

static cJSON *body_with_epoch(const struct worker *w) {
    cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "epoch", (double)w->epoch);
    return body;
}

/* ---- identity ------------------------------------------------------------------------------ */

static bool is_simulated(const struct worker *w) {
    return w->profiles.items[0].traits.simulated;
}

static cJSON *introduction(const struct worker *w, bool enrol) {
    cJSON *body = cJSON_CreateObject(), *profiles;
    char host[256] = "board";

    gethostname(host, sizeof(host) - 1);
    if (enrol) {
        cJSON_AddStringToObject(body, "enrolment_token", w->options->enrol_token);
        cJSON_AddStringToObject(body, "worker_token", w->identity.token);
    }
    cJSON_AddStringToObject(body, "instance", w->identity.next_instance);
    if (w->identity.instance[0])
        cJSON_AddStringToObject(body, "last_instance", w->identity.instance);
    cJSON_AddBoolToObject(body, "noise_by_lease", true);
    cJSON_AddBoolToObject(body, "simulated", is_simulated(w));
    cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "protocol"), cJSON_CreateNumber(1));
    cJSON_AddStringToObject(body, "machine_id", w->machine_id);
    if (w->host_id[0])
        cJSON_AddStringToObject(body, "host", w->host_id);
    cJSON_AddStringToObject(body, "name", w->options->name ? w->options->name : host);
    cJSON_AddStringToObject(body, "worker_version", ESP_VERSION);
    cJSON_AddItemToObject(body, "fingerprint",
                          cJSON_Duplicate(w->profiles.items[0].environment, true));
    profiles = cJSON_AddArrayToObject(body, "profiles");
    for (int i = 0; i < w->profiles.n; i++)
        cJSON_AddItemToArray(profiles, worker_profile_describe(&w->profiles.items[i]));
    return body;
}

/* The daemon's ids of the profiles, in the order in which they were told. */
static int read_profiles(struct worker *w, const cJSON *doc, struct err *err) {
    const cJSON *list = NULL;
    int rc = json_array(doc, "", "profiles", w->profiles.n, 64, err, &list);

    for (int i = 0; i < w->profiles.n && !rc; i++) {
        const char *id = NULL;
        char at[32];
        snprintf(at, sizeof(at), "/profiles/%d", i);
        rc = json_string(cJSON_GetArrayItem(list, i), at, "profile_id", 1, ID_SIZE - 1, err, &id);
        if (!rc)
            snprintf(w->profiles.items[i].id, ID_SIZE, "%s", id);
    }
    return rc;
}

/* A token in it is an older daemon's, which knows nothing of the worker's own secret. */
static int read_welcome(struct worker *w, const cJSON *doc, struct err *err) {
    const char *device = NULL, *token = NULL;
    const cJSON *intervals = NULL;
    int64_t epoch = 0, heartbeat_s = 15;
    bool noise_by_lease = false;
    int rc = json_string(doc, "", "device_id", 1, ID_SIZE - 1, err, &device);

    if (!rc)
        rc = json_string_opt(doc, "", "worker_token", 1, IDENTITY_TOKEN_SIZE - 1, err, &token);
    if (!rc)
        rc = json_bool_opt(doc, "", "noise_by_lease", err, &noise_by_lease);
    if (!rc)
        rc = json_int(doc, "", "epoch", 0, INT64_C(1) << 50, err, &epoch);
    if (!rc)
        rc = read_profiles(w, doc, err);
    if (!rc)
        rc = json_object(doc, "", "intervals", err, &intervals);
    if (!rc)
        rc = json_int_opt(intervals, "/intervals", "heartbeat_s", 1, 3600, err, &heartbeat_s);
    if (rc)
        return err_prefix(err, rc, "the daemon's answer");
    snprintf(w->identity.device_id, sizeof(w->identity.device_id), "%s", device);
    if (token)
        snprintf(w->identity.token, sizeof(w->identity.token), "%s", token);
    w->epoch = epoch;
    w->heartbeat_s = heartbeat_s;
    w->noise_by_lease = noise_by_lease;
    return 0;
}

/* The daemon asks for another token: made and kept before it is said, so that one of the two is
 * good whenever this is broken off. */
static int rotate_token(struct worker *w, struct err *err) {
    cJSON *body = cJSON_CreateObject();
    int status = 0, rc = identity_next_token(&w->identity, err);

    cJSON_AddStringToObject(body, "worker_token", w->identity.next_token);
    if (!rc)
        rc = post(w, "/api/v1/worker/rotate", body, err, &status, NULL);
    if (!rc)
        rc = identity_take_token(&w->identity, err);
    if (!rc)
        rc = http_client_set_token(w->client, w->identity.token, err);
    if (!rc)
        log_info("the daemon has this board's new token");
    cJSON_Delete(body);
    return rc;
}

/* One exchange, and what it tells is kept. */
static int greet(struct worker *w, bool enrol, struct err *err, int *ret_status) {
    cJSON *body = NULL, *doc = NULL;
    int rc = identity_begin(&w->identity, err);

    body = introduction(w, enrol);
    if (!rc)
        rc = post(w, enrol ? "/api/v1/worker/enrol" : "/api/v1/worker/connect", body, err,
                  ret_status, &doc);
    if (!rc)
        rc = read_welcome(w, doc, err);
    if (!rc)
        rc = http_client_set_token(w->client, w->identity.token, err);
    if (!rc)
        rc = identity_begun(&w->identity, err);
    if (!rc && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(doc, "rotate_token")))
        rc = rotate_token(w, err);
    cJSON_Delete(body);
    cJSON_Delete(doc);
    return rc;
}

/* Connects; a token that was to be the next may be the good one by now. */
static int greet_as_known(struct worker *w, struct err *err, int *ret_status) {
    int rc = greet(w, false, err, ret_status);

    if (!rc || *ret_status != 401 || !w->identity.next_token[0])
        return rc;
    rc = identity_take_token(&w->identity, err);
    if (!rc)
        rc = http_client_set_token(w->client, w->identity.token, err);
    *ret_status = 0;
    return rc ? rc : greet(w, false, err, ret_status);
}

/* Its board was removed, its token revoked, or this is another machine than the one that enrolled:
 * a new enrolment token is asked for. */
static void forget_identity(struct worker *w, const struct err *why) {
    log_warn("%s: enrolling anew", why->message);
    w->identity.device_id[0] = w->identity.token[0] = 0;
}

static int not_enrolled(struct err *err) {
    return err_set(err, ESP_EUNAUTHORIZED, NULL,
                   "this board is not enrolled: `espalier device add` makes a token for it, to "
                   "be passed as ESPALIER_ENROL_TOKEN or with --enrol-file");
}

/* Enrols or, with an identity, connects. An enrolment whose answer was never heard is repeated;
 * without its token, the secret alone shows whether it succeeded. In: ESP_EUNAUTHORIZED when
 * refused for good. */
static int introduce(struct worker *w, struct err *err) {
    bool known = w->identity.device_id[0] != 0, may_enrol = w->options->enrol_token != NULL;
    int status = 0, rc = 0;

    if (known || !may_enrol)
        rc = greet_as_known(w, err, &status);
    if (rc && known && may_enrol && (status == 401 || status == 403 || status == 410)) {
        forget_identity(w, err);
        known = false;
    }
    if (!known && may_enrol) {
        status = 0;
        rc = identity_make_secret(&w->identity, err);
        if (!rc)
            rc = greet(w, true, err, &status);
    } else if (rc && !known && status == 401) {
        return not_enrolled(err);
    }
    if (rc && status == 409 && !strcmp(err->pointer, "/instance"))
        return ESP_EBUSY; /* until a person lets this start in */
    return rc && !retry_is_final(status) ? ESP_EUNREACHABLE : rc;
}

/* ---- results ------------------------------------------------------------------------------- */

struct delivery {
    struct worker *worker;
    int sent;
};

/* The daemon does not take what was measured (impossible numbers, a body too large), and would ask
 * for the same again for ever: it is told that this cannot be measured here. */
static cJSON *refusal(const cJSON *result, const struct err *why) {
    static const char *const kept[] = {"lease_id", "measurement_id", "attempt"};
    cJSON *doc = cJSON_CreateObject();
    char text[2 * HASH_TEXT + 32], key[HASH_TEXT];

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        cJSON_AddItemToObject(
            doc, kept[i], cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(result, kept[i]), true));
    const char *first =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "idempotency_key"));
    snprintf(text, sizeof(text), "%.*s refused", HASH_TEXT, first ? first : "");
    hash_text(text, strlen(text), key);
    cJSON_AddStringToObject(doc, "idempotency_key", key);
    cJSON_AddStringToObject(doc, "status", "invalid");
    cJSON_AddStringToObject(doc, "message", why->message);
    return doc;
}

static bool is_unfit(int status) {
    return status == 400 || status == 413 || status == 415 || status == 422;
}

static int send_result(struct worker *w, const cJSON *result, struct err *err, int *ret_status) {
    int rc = post(w, "/api/v1/worker/results", result, err, ret_status, NULL);
    const char *said = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "status"));

    if (!rc || !is_unfit(*ret_status) || (said && !strcmp(said, "invalid")))
        return rc;
    log_warn("the daemon refused a result: %s %s", err->message, err->pointer);
    cJSON *doc = refusal(result, err);
    rc = post(w, "/api/v1/worker/results", doc, err, ret_status, NULL);
    cJSON_Delete(doc);
    return rc;
}

static int deliver(void *context, const cJSON *result, int *done) {
    struct delivery *delivery = context;
    struct worker *w = delivery->worker;
    struct err err = {0};
    int status = 0;
    int rc = send_result(w, result, &err, &status);

    if (rc && status == 401)
        return ESP_EUNAUTHORIZED;
    if (rc && !retry_is_final(status))
        return ESP_EUNREACHABLE;
    if (rc)
        log_warn("the daemon refused a result: %s", err.message);
    *done = 1;
    delivery->sent++;
    return 0;
}

/* Sends all that is spooled. ESP_EUNREACHABLE: try again later. */
static int deliver_all(struct worker *w, struct err *err) {
    struct delivery delivery = {w, 0};
    return spool_each(w->spool_dir, deliver, &delivery, err);
}

/* ---- measuring ----------------------------------------------------------------------------- */

struct lease {
    struct worker *worker;
    char id[ID_SIZE];
    int64_t last_beat_ns, heartbeat_s;
    int item, n_items;
    const char *measurement; /* under way; NULL: none */
    bool lost;               /* the daemon took it back */
    bool skip;               /* the measurement under way is not wanted any more */
};

/* The interval of signs of life may change with each answer. */
static void take_pace(struct lease *lease, const cJSON *doc) {
    int64_t seconds = lease->heartbeat_s;
    if (json_int_opt(doc, "", "heartbeat_s", 1, 3600, NULL, &seconds) == 0)
        lease->heartbeat_s = seconds;
}

static int beat(struct lease *lease, int batches) {
    struct worker *w = lease->worker;
    cJSON *body = body_with_epoch(w), *doc = NULL;
    struct err err = {0};
    char path[160];
    const char *action = "continue";
    int status = 0;

    cJSON_AddStringToObject(body, "phase", "measuring");
    cJSON_AddNumberToObject(body, "done", lease->item);
    cJSON_AddNumberToObject(body, "total", lease->n_items);
    if (lease->measurement)
        cJSON_AddStringToObject(body, "measurement_id", lease->measurement);
    snprintf(path, sizeof(path), "/api/v1/worker/leases/%s/heartbeat", lease->id);
    int rc = post_within(w, BEAT_TIMEOUT_MS, path, body, &err, &status, &doc);
    if (!rc)
        rc = json_string_opt(doc, "", "action", 1, 32, &err, &action);
    lease->lost = (rc && retry_is_final(status)) || !strcmp(action, "cancel");
    lease->skip = !strcmp(action, "skip");
    if (!rc)
        take_pace(lease, doc);
    else /* a line that is dead must not hold the measurement up each second */
        lease->heartbeat_s = w->heartbeat_s;
    lease->last_beat_ns = clock_mono_ns();
    cJSON_Delete(body);
    cJSON_Delete(doc);
    return lease->lost || lease->skip;
}

static int between_batches(void *context, int batches) {
    struct lease *lease = context;
    int64_t quiet_ns = clock_mono_ns() - lease->last_beat_ns;

    if (*lease->worker->stop)
        return 1;
    return quiet_ns > lease->heartbeat_s * INT64_C(1000000000) ? beat(lease, batches) : 0;
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
    int rc = json_string_opt(doc, at, "profile_id", 1, ID_SIZE - 1, err, &id);

    if (!rc && !(item->profile = worker_profile_find(&w->profiles, id)))
        rc = err_set(err, ESP_EUNSUPPORTED, NULL, "this worker has no profile %s", id);
    return rc;
}

static int read_item(const struct worker *w, const cJSON *doc, const char *at, struct err *err,
                     struct item *item) {
    const char *method = NULL;
    char graph_at[64];
    int rc = json_string(doc, at, "measurement_id", 1, ID_SIZE - 1, err, &item->measurement_id);

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
    char text[3 * ID_SIZE + 32], key[HASH_TEXT];

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
    cJSON *doc = is_simulated(w) ? cJSON_CreateObject() : board_environment();

    if (is_simulated(w))
        cJSON_AddBoolToObject(doc, "simulated", true);
    return doc;
}

/* The board's own sensors say something of what is measured. */
static bool has_sensors(const struct item *item) {
    return item->profile->measure.energy != NULL;
}

/* Waits until the board is cool enough, for a while; heartbeats go on. *ret_hot: it is not. In:
 * ESP_ECANCELED. */
static int wait_until_cool(struct lease *lease, const struct item *item, struct err *err,
                           bool *ret_hot) {
    struct worker *w = lease->worker;
    enum heat_word word = HEAT_GO;

    if (is_simulated(w) || !has_sensors(item))
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

/* In: ESP_ECONFLICT when the board's owner has changed what a profile stands for: what is measured
 * now would be another revision's, which the daemon hears of when the worker connects again. */
static int look_at_environment(struct worker *w, struct err *err) {
    if (!worker_profiles_look_again(&w->profiles))
        return 0;
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
    bool hot = false;
    int rc = wait_until_cool(lease, item, err, &hot);

    if (!rc)
        rc = look_at_environment(w, err);
    if (rc)
        return rc;
    environment = cJSON_CreateObject();
    cJSON_AddItemToObject(environment, "before", environment_now(w));
    rc = measure_graph(&item->profile->measure, &task, err, &outcome);
    cJSON_AddItemToObject(environment, "after", environment_now(w));
    if (!rc)
        rc = look_at_environment(w, err);
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
    cJSON *body = body_with_epoch(lease->worker), *doc = NULL;
    char path[160];
    int status = 0;

    cJSON_AddNumberToObject(body, "estimate_s", 2 * n_items);
    snprintf(path, sizeof(path), "/api/v1/worker/leases/%s/ack", lease->id);
    int rc = post(lease->worker, path, body, err, &status, &doc);
    if (!rc)
        take_pace(lease, doc);
    lease->last_beat_ns = clock_mono_ns();
    cJSON_Delete(body);
    cJSON_Delete(doc);
    return rc;
}

static void release(struct lease *lease, const char *reason) {
    cJSON *body = body_with_epoch(lease->worker);
    struct err err = {0};
    char path[160];
    int status = 0;

    cJSON_AddStringToObject(body, "reason", reason);
    snprintf(path, sizeof(path), "/api/v1/worker/leases/%s/release", lease->id);
    if (post(lease->worker, path, body, &err, &status, NULL))
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
    lease->skip = false;
    rc = measure_item(lease, &item, err);
    lease->measurement = NULL;
    if (rc == ESP_ECANCELED && lease->skip && !lease->lost && !*lease->worker->stop) {
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
    int rc = json_string(doc, "", "lease_id", 1, ID_SIZE - 1, err, &id);

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
        if (!rc && deliver_all(w, err) == ESP_EUNAUTHORIZED)
            rc = ESP_EUNAUTHORIZED;
    }
    if (rc && !lease.lost)
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
    cJSON *body = body_with_epoch(w);
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
        rc = post(w, "/api/v1/worker/noise", body, err, &status, NULL);
    }
    measure_outcome_finish(&outcome);
    free(graph);
    cJSON_Delete(body);
    return rc;
}

static int report_noise(struct worker *w, struct err *err) {
    int rc = 0;

    for (int i = 0; i < w->profiles.n && !rc; i++)
        rc = report_noise_of(w, &w->profiles.items[i], err);
    if (rc)
        return rc;
    w->identity.noise_reported = true;
    return identity_save(&w->identity, err);
}

/* ---- the loop ------------------------------------------------------------------------------ */

/* Asks for a lease and works on it. *ret_idle: there was none. */
static int lease_once(struct worker *w, struct err *err, bool *ret_idle) {
    cJSON *body = body_with_epoch(w), *doc = NULL;
    int status = 0;

    cJSON_AddNumberToObject(body, "wait_s", w->options->once ? 0 : LEASE_WAIT_S);
    cJSON_AddNumberToObject(body, "max_items", 8);
    cJSON_AddNumberToObject(body, "load", board_load());
    cJSON_AddBoolToObject(body, "simulated", is_simulated(w));
    struct http_exchange exchange = {.method = "POST",
                                     .path = "/api/v1/worker/lease",
                                     .body = body,
                                     .timeout_ms = TIMEOUT_MS,
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

static int session(struct worker *w, struct err *err) {
    bool idle = false;
    int rc = introduce(w, err);

    w->welcome = rc == 0;
    if (!rc)
        log_info("connected to %s as %s", w->identity.url, w->identity.device_id);
    if (!rc)
        rc = deliver_all(w, err);
    if (!rc && !w->noise_by_lease && !w->identity.noise_reported)
        rc = report_noise(w, err);
    while (!rc && !*w->stop && !(idle && w->options->once)) {
        w->failures = 0;
        rc = look_at_environment(w, err);
        if (!rc)
            rc = lease_once(w, err, &idle);
        if (!rc)
            rc = deliver_all(w, err);
    }
    return rc;
}

static void say_goodbye(struct worker *w) {
    cJSON *body = body_with_epoch(w);
    struct err err = {0};
    int status = 0;

    post(w, "/api/v1/worker/goodbye", body, &err, &status, NULL);
    cJSON_Delete(body);
}

static int prepare(struct worker *w, struct err *err) {
    const struct worker_options *o = w->options;
    char lock[PATH_SIZE], backends_dir[PATH_SIZE];
    int rc = 0;

    if (snprintf(w->spool_dir, sizeof(w->spool_dir), "%s/spool", o->state_dir) >= PATH_SIZE - 32)
        return err_set(err, ESP_EINVAL, NULL, "the state folder's name is too long");
    snprintf(lock, sizeof(lock), "%.*s/lock", PATH_SIZE - 32, o->state_dir);
    snprintf(backends_dir, sizeof(backends_dir), "%.*s/backend", PATH_SIZE - 32, o->state_dir);
    rc = file_make_dirs(w->spool_dir, err);
    if (!rc)
        rc = file_lock(lock, err, &w->lock_fd);
    if (rc == ESP_EBUSY)
        return err_set(err, rc, NULL, "another espalier-worker uses %s", o->state_dir);
    if (!rc)
        rc = identity_load(&w->identity, o->state_dir, o->daemon_url, err);
    identity_trust(&w->identity, o->ca_file, o->pinned_key, o->insecure_lan);
    board_machine_id(o->salt, w->machine_id);
    board_host_id(w->host_id);
    if (!rc)
        rc = worker_profiles_open(&o->profile, backends_dir, o->memory_limit_bytes, err,
                                  &w->profiles);
    if (!rc && !w->identity.token[0] && !o->enrol_token)
        rc = not_enrolled(err);
    if (!rc && !w->identity.url[0])
        rc = err_set(err, ESP_EINVAL, NULL, "--daemon is needed the first time");
    return rc;
}

/* What may be otherwise the next time: a daemon that is away, and everything behind a good welcome
 * (a full disk, a broken answer) but a token that was taken back. */
static bool passes(const struct worker *w, int rc) {
    if (rc == 0 || rc == ESP_EUNAUTHORIZED)
        return false;
    return w->welcome || rc == ESP_EUNREACHABLE || rc == ESP_ETIMEOUT || rc == ESP_EBUSY ||
           rc == ESP_EINTERNAL;
}

static int open_worker(struct worker *w, const struct worker_options *options,
                       volatile sig_atomic_t *stop, struct err *err) {
    *w = (struct worker){
        .options = options, .stop = stop, .gate.limits = options->heat, .lock_fd = -1};
    struct http_client_options client = {.base_url = w->identity.url,
                                         .user_agent = "espalier-worker/" ESP_VERSION};
    int rc = prepare(w, err);

    client.ca_file = w->identity.ca_file[0] ? w->identity.ca_file : NULL;
    client.pinned_key = w->identity.pinned_key[0] ? w->identity.pinned_key : NULL;
    client.allow_plain = w->identity.plain;
    if (!rc && w->identity.token[0])
        client.token = w->identity.token;
    return rc ? rc : http_client_create(&client, err, &w->client);
}

static void close_worker(struct worker *w) {
    if (w->client && w->epoch > 0)
        say_goodbye(w);
    if (w->lock_fd >= 0)
        close(w->lock_fd);
    http_client_destroy(w->client);
    worker_profiles_close(&w->profiles);
}

/* Waits a while after what may pass. *ret_again: it has, and 0 is returned. */
static int tolerate(struct worker *w, int rc, const struct err *err, bool *ret_again) {
    *ret_again = passes(w, rc);
    if (!*ret_again)
        return rc;
    log_warn("%s; trying again", err->message);
    retry_wait(w->client, &w->failures, w->stop);
    return 0;
}

int worker_run(const struct worker_options *options, volatile sig_atomic_t *stop, struct err *err) {
    struct worker w;
    bool again = true;
    int rc = open_worker(&w, options, stop, err);

    while (!rc && !*stop && (again || !options->once))
        rc = tolerate(&w, session(&w, err), err, &again);
    close_worker(&w);
    return rc;
}

int worker_enrol(const struct worker_options *options, volatile sig_atomic_t *stop, struct err *err,
                 struct worker_names *ret_names) {
    struct worker w;
    bool again = true;
    int rc = open_worker(&w, options, stop, err);

    while (!rc && !*stop && again) {
        rc = introduce(&w, err);
        if (rc != ESP_EBUSY)
            rc = tolerate(&w, rc, err, &again);
    }
    if (!rc && again)
        rc = err_set(err, ESP_ECANCELED, NULL, "stopped before the daemon answered");
    if (!rc) {
        snprintf(ret_names->device, sizeof(ret_names->device), "%s", w.identity.device_id);
        ret_names->n_profiles = w.profiles.n;
        for (int i = 0; i < w.profiles.n; i++)
            memcpy(ret_names->profiles[i], w.profiles.items[i].id, ID_SIZE);
    }
    close_worker(&w);
    return rc;
}
