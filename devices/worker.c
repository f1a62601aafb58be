#include "devices/worker_private.h"

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
#include "devices/profiles.h"
#include "devices/retry.h"
#include "devices/spool.h"

/* ---- talking to the daemon ----------------------------------------------------------------- */

int worker_post_within(struct worker *w, int64_t timeout_ms, const char *path, const cJSON *body,
                       struct err *err, int *ret_status, cJSON **ret_doc) {
    struct http_exchange exchange = {
        .method = "POST", .path = path, .body = body, .timeout_ms = timeout_ms};
    *ret_status = 0;
    return http_client_json(w->client, &exchange, err, ret_status, ret_doc);
}

int worker_post(struct worker *w, const char *path, const cJSON *body, struct err *err,
                int *ret_status, cJSON **ret_doc) {
    return worker_post_within(w, WORKER_TIMEOUT_MS, path, body, err, ret_status, ret_doc);
}

cJSON *worker_body(const struct worker *w) {
    cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "epoch", (double)w->epoch);
    return body;
}

/* ---- identity ------------------------------------------------------------------------------ */

bool worker_is_simulated(const struct worker *w) {
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
    cJSON_AddBoolToObject(body, "simulated", worker_is_simulated(w));
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
        rc = json_string(cJSON_GetArrayItem(list, i), at, "profile_id", 1, IDENTITY_ID_SIZE - 1,
                         err, &id);
        if (!rc)
            snprintf(w->profiles.items[i].id, IDENTITY_ID_SIZE, "%s", id);
    }
    return rc;
}

/* A token in it is an older daemon's, which knows nothing of the worker's own secret. */
static int read_welcome(struct worker *w, const cJSON *doc, struct err *err) {
    const char *device = NULL, *token = NULL;
    const cJSON *intervals = NULL;
    int64_t epoch = 0, heartbeat_s = 15;
    bool noise_by_lease = false;
    int rc = json_string(doc, "", "device_id", 1, IDENTITY_ID_SIZE - 1, err, &device);

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
        rc = worker_post(w, "/api/v1/worker/rotate", body, err, &status, NULL);
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
        rc = worker_post(w, enrol ? "/api/v1/worker/enrol" : "/api/v1/worker/connect", body, err,
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
    int rc = worker_post(w, "/api/v1/worker/results", result, err, ret_status, NULL);
    const char *said = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(result, "status"));

    if (!rc || !is_unfit(*ret_status) || (said && !strcmp(said, "invalid")))
        return rc;
    log_warn("the daemon refused a result: %s %s", err->message, err->pointer);
    cJSON *doc = refusal(result, err);
    rc = worker_post(w, "/api/v1/worker/results", doc, err, ret_status, NULL);
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

int worker_deliver_all(struct worker *w, struct err *err) {
    struct delivery delivery = {w, 0};
    return spool_each(w->spool_dir, deliver, &delivery, err);
}

/* ---- the loop ------------------------------------------------------------------------------ */

static int session(struct worker *w, struct err *err) {
    bool idle = false, unsettled = false;
    int rc = introduce(w, err);

    w->welcome = rc == 0;
    if (!rc)
        log_info("connected to %s as %s", w->identity.url, w->identity.device_id);
    if (!rc)
        rc = worker_deliver_all(w, err);
    if (!rc && !w->noise_by_lease && !w->identity.noise_reported)
        rc = worker_report_noise(w, err);
    while (!rc && !*w->stop && !(idle && w->options->once)) {
        w->failures = 0;
        rc = worker_look_at_environment(w, err, &unsettled);
        if (!rc)
            rc = worker_lease_once(w, err, &idle);
        if (!rc)
            rc = worker_deliver_all(w, err);
    }
    return rc;
}

static void say_goodbye(struct worker *w) {
    cJSON *body = worker_body(w);
    struct err err = {0};
    int status = 0;

    worker_post(w, "/api/v1/worker/goodbye", body, &err, &status, NULL);
    cJSON_Delete(body);
}

static int prepare(struct worker *w, struct err *err) {
    const struct worker_options *o = w->options;
    char lock[WORKER_PATH], backends_dir[WORKER_PATH];
    int rc = 0;

    if (snprintf(w->spool_dir, sizeof(w->spool_dir), "%s/spool", o->state_dir) >= WORKER_PATH - 32)
        return err_set(err, ESP_EINVAL, NULL, "the state folder's name is too long");
    snprintf(lock, sizeof(lock), "%.*s/lock", WORKER_PATH - 32, o->state_dir);
    snprintf(backends_dir, sizeof(backends_dir), "%.*s/backend", WORKER_PATH - 32, o->state_dir);
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
            memcpy(ret_names->profiles[i], w.profiles.items[i].id, IDENTITY_ID_SIZE);
    }
    close_worker(&w);
    return rc;
}
