#include "daemon/store_leases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/store_devices.h"
#include "devices/health.h"
#include "devices/lease.h"
#include "devices/method.h"

enum { SAMPLES_MAX = 10000 };

/* In which a lease's items are handed out and worked through. */
#define WORK_ORDER "m.failures, m.priority DESC, m.id"

struct lease_row {
    char id[ID_MAX], device[ID_MAX];
    enum lease_state state;
};

static int load_lease(struct sql *sql, const char *id, const char *device, struct err *err,
                      struct lease_row *ret) {
    struct sql_rows rows;
    struct lease_row row = {.id = ""};
    sql_query(sql, &rows, "SELECT id, device, state FROM leases WHERE id = ?1", "t", id);
    if (sql_next(&rows)) {
        int state = 0;
        snprintf(row.id, sizeof(row.id), "%s", sql_text(&rows, 0));
        snprintf(row.device, sizeof(row.device), "%s", sql_text(&rows, 1));
        while (strcmp(lease_state_names[state], sql_text(&rows, 2)) != 0)
            state++;
        row.state = (enum lease_state)state;
    }
    int r = sql_end(&rows, err);
    if (r == 0 && (row.id[0] == '\0' || strcmp(row.device, device) != 0))
        r = err_set(err, ESP_EGONE, NULL, "this board has no lease \"%.60s\"", id);
    if (r == 0)
        *ret = row;
    return r;
}

/* One step of a lease; what its items do about it is the caller's. */
static int step_lease(struct store_tx *tx, const struct lease_row *row, enum lease_event event,
                      struct err *err) {
    enum lease_state next;
    int64_t now = store_tx_now_us(tx);
    int r = lease_step(row->state, event, &next);
    if (r != 0)
        return err_set(err, r, NULL, "the lease is %s: no %s", lease_state_names[row->state],
                       lease_event_names[event]);
    if (next == row->state)
        return 0;
    r = sql_run(store_tx_sql(tx), err, NULL,
                "UPDATE leases SET state = ?2, closed_us = CASE WHEN ?3 THEN ?4 END WHERE id = ?1",
                "ttii", row->id, lease_state_names[next], (int64_t)!lease_open(next), now);
    if (r == 0)
        r = store_tx_transition(tx, err, "lease", row->id, lease_state_names[row->state],
                                lease_state_names[next], lease_event_names[event]);
    if (r == 0 && !lease_open(next))
        r = store_device_announce(tx, row->device, err);
    store_tx_wake(tx, STORE_WAKE_FLEET);
    return r;
}

/* Applies an event to the items that are still this lease's (leased or running under its attempt):
 * first to the first of them, then to the others. */
static int step_items(struct store_tx *tx, const char *lease, enum measurement_event first,
                      enum measurement_event then, struct err *err) {
    struct err why = {0};
    cJSON *rows = NULL;
    const cJSON *row;
    int r =
        sql_get_rows(store_tx_sql(tx), err, &rows,
                     "SELECT m.id FROM lease_items i JOIN measurements m ON m.id = "
                     "i.measurement WHERE i.lease = ?1 AND m.attempt = i.attempt AND m.state IN "
                     "('leased', 'running') ORDER BY " WORK_ORDER,
                     "t", lease);
    err_set(&why, ESP_ETIMEOUT, NULL, "the board was not heard of in time, or was started anew");
    cJSON_ArrayForEach(row, rows) {
        enum measurement_event event = row == rows->child ? first : then;
        if (r == 0)
            r = store_measurement_apply(tx, cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")),
                                        event, event == MEASUREMENT_LOSE ? &why : NULL, err);
    }
    cJSON_Delete(rows);
    return r;
}

/* The board has lost a lease: its items go to another attempt. A board works through a lease in
 * order, so only the first that is open can be what made it fall silent; the others, and those that
 * it never acknowledged, were not begun and lose nothing. */
static int lose(struct store_tx *tx, const struct lease_row *row, enum lease_event event,
                struct err *err) {
    int r = step_lease(tx, row, event, err);
    if (r == 0)
        r = step_items(tx, row->id,
                       row->state == LEASE_ACKED ? MEASUREMENT_LOSE : MEASUREMENT_GIVE_BACK,
                       MEASUREMENT_GIVE_BACK, err);
    if (r == 0 && event == LEASE_TIMEOUT && row->state == LEASE_ACKED)
        r = store_device_health(tx, row->device, HEALTH_CRASH, err);
    return r;
}

static int each_lease(struct store_tx *tx, cJSON *rows, enum lease_event event, struct err *err) {
    const cJSON *item;
    int r = 0;
    cJSON_ArrayForEach(item, rows) {
        struct lease_row row;
        if (r == 0)
            r = load_lease(store_tx_sql(tx), cJSON_GetStringValue(cJSON_GetObjectItem(item, "id")),
                           cJSON_GetStringValue(cJSON_GetObjectItem(item, "device")), err, &row);
        if (r == 0 && event == LEASE_RELEASE)
            r = step_lease(tx, &row, event, err);
        else if (r == 0)
            r = lose(tx, &row, event, err);
        if (r == 0 && event == LEASE_RELEASE)
            r = step_items(tx, row.id, MEASUREMENT_GIVE_BACK, MEASUREMENT_GIVE_BACK, err);
    }
    cJSON_Delete(rows);
    return r;
}

static int open_leases(struct sql *sql, const char *device, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows,
                        "SELECT id, device FROM leases WHERE device = ?1 AND state IN ('granted', "
                        "'acked')",
                        "t", device);
}

int store_leases_fence(struct store_tx *tx, const char *device, struct err *err) {
    cJSON *rows = NULL;
    int r = open_leases(store_tx_sql(tx), device, err, &rows);
    return r != 0 ? r : each_lease(tx, rows, LEASE_FENCE, err);
}

int store_leases_give_back(struct store_tx *tx, const char *device, struct err *err) {
    cJSON *rows = NULL;
    int r = open_leases(store_tx_sql(tx), device, err, &rows);
    return r != 0 ? r : each_lease(tx, rows, LEASE_RELEASE, err);
}

int store_leases_expire(struct store_tx *tx, struct err *err) {
    cJSON *rows = NULL;
    int r = sql_get_rows(store_tx_sql(tx), err, &rows,
                         "SELECT id, device FROM leases WHERE state IN ('granted', 'acked') AND "
                         "expires_us < ?1",
                         "i", store_tx_now_us(tx));
    return r != 0 ? r : each_lease(tx, rows, LEASE_TIMEOUT, err);
}

static int may_lease(struct sql *sql, const char *device, struct err *err, int64_t *ret_may) {
    *ret_may = 0;
    return sql_get_int(
        sql, err, ret_may, NULL,
        "SELECT state = 'active' AND health <> 'quarantined' FROM devices WHERE id = "
        "?1",
        "t", device);
}

/* What waits for the board, as far as its worker runs the profile now and in the environment that
 * was asked for. */
#define WAITS                                                                                      \
    "FROM measurements m JOIN profiles p ON p.id = m.profile JOIN devices d ON d.id = p.device "   \
    "WHERE m.state = 'queued' AND m.profile_revision = p.revision AND p.epoch = d.epoch "

/* Of one profile and kind: the board runs them one after the other. */
static int pick_items(struct sql *sql, const char *device, int64_t max_items, struct err *err,
                      cJSON **ret_rows) {
    return sql_get_rows(
        sql, err, ret_rows,
        "SELECT m.id AS measurement_id, m.attempt + 1 AS attempt, m.profile AS profile_id, m.kind, "
        "m.graph AS \"graph@json\", m.method, m.seed " WAITS
        "AND d.id = ?1 AND (m.profile, m.kind) = "
        "(SELECT m.profile, m.kind " WAITS "AND d.id = ?1 ORDER BY " WORK_ORDER " LIMIT 1) ORDER "
        "BY " WORK_ORDER " LIMIT ?2",
        "ti", device, max_items);
}

static int create_lease(struct store_tx *tx, const char *device, const cJSON *items,
                        struct err *err, char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    const cJSON *item;
    int64_t now = store_tx_now_us(tx);
    id_make("ls_", ret_id);
    int r = sql_run(sql, err, NULL,
                    "INSERT INTO leases (id, device, epoch, state, expires_us, created_us) VALUES "
                    "(?1, ?2, (SELECT epoch FROM devices WHERE id = ?2), 'granted', ?3, ?4)",
                    "ttii", ret_id, device, now + lease_length_us(-1), now);
    cJSON_ArrayForEach(item, items) {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(item, "measurement_id"));
        int64_t attempt = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(item, "attempt"));
        if (r == 0)
            r = store_measurement_apply(tx, id, MEASUREMENT_GRANT, NULL, err);
        if (r == 0)
            r = sql_run(sql, err, NULL,
                        "INSERT INTO lease_items (lease, measurement, attempt) VALUES (?1, ?2, ?3)",
                        "tti", ret_id, id, attempt);
    }
    return r != 0 ? r : store_device_announce(tx, device, err);
}

int store_lease_grant(struct store_tx *tx, const char *device, int64_t max_items, struct err *err,
                      cJSON **ret_lease) {
    cJSON *items = NULL;
    char id[ID_MAX];
    int64_t may = 0;
    int r = store_leases_give_back(tx, device, err);
    if (r == 0)
        r = may_lease(store_tx_sql(tx), device, err, &may);
    if (r == 0 && may)
        r = pick_items(store_tx_sql(tx), device, max_items, err, &items);
    if (r == 0 && cJSON_GetArraySize(items) == 0) {
        cJSON_Delete(items);
        *ret_lease = NULL;
        return 0;
    }
    if (r == 0)
        r = create_lease(tx, device, items, err, id);
    if (r != 0) {
        cJSON_Delete(items);
        return r;
    }
    cJSON *lease = cJSON_CreateObject();
    cJSON_AddStringToObject(lease, "lease_id", id);
    cJSON_AddNumberToObject(lease, "expires_in_s", (double)lease_length_us(-1) / 1e6);
    cJSON_AddItemToObject(lease, "items", items);
    *ret_lease = lease;
    return 0;
}

static int extend(struct store_tx *tx, const char *lease, int64_t length_us, struct err *err,
                  cJSON *answer) {
    cJSON_AddNumberToObject(answer, "expires_in_s", (double)length_us / 1e6);
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE leases SET expires_us = max(expires_us, ?2) WHERE id = ?1", "ti", lease,
                   store_tx_now_us(tx) + length_us);
}

int store_lease_ack(struct store_tx *tx, const char *device, const char *lease, double estimate_s,
                    struct err *err, cJSON **ret_answer) {
    struct lease_row row;
    cJSON *answer = cJSON_CreateObject();
    int r = load_lease(store_tx_sql(tx), lease, device, err, &row);
    if (r == 0)
        r = step_lease(tx, &row, LEASE_ACK, err);
    if (r == 0)
        r = step_items(tx, lease, MEASUREMENT_ACK, MEASUREMENT_ACK, err);
    if (r == 0)
        r = extend(tx, lease, lease_length_us(estimate_s), err, answer);
    if (r == 0)
        *ret_answer = answer;
    else
        cJSON_Delete(answer);
    return r;
}

int store_lease_heartbeat(struct store_tx *tx, const char *device, const char *lease,
                          struct err *err, cJSON **ret_answer) {
    struct lease_row row;
    int64_t wanted = 0;
    cJSON *answer = cJSON_CreateObject();
    int r = load_lease(store_tx_sql(tx), lease, device, err, &row);
    if (r == 0)
        r = step_lease(tx, &row, LEASE_HEARTBEAT, err);
    if (r == 0)
        r = sql_get_int(store_tx_sql(tx), err, &wanted, NULL,
                        "SELECT count(*) FROM lease_items i JOIN measurements m ON m.id = "
                        "i.measurement WHERE i.lease = ?1 AND m.attempt = i.attempt AND m.state = "
                        "'running'",
                        "t", lease);
    cJSON_AddStringToObject(answer, "action", wanted > 0 ? "continue" : "cancel");
    if (r == 0)
        r = extend(tx, lease, lease_length_us(0), err, answer);
    if (r == 0)
        *ret_answer = answer;
    else
        cJSON_Delete(answer);
    return r;
}

int store_lease_release(struct store_tx *tx, const char *device, const char *lease,
                        struct err *err) {
    struct lease_row row;
    int r = load_lease(store_tx_sql(tx), lease, device, err, &row);
    if (r == 0)
        r = step_lease(tx, &row, LEASE_RELEASE, err);
    return r != 0 ? r : step_items(tx, lease, MEASUREMENT_GIVE_BACK, MEASUREMENT_GIVE_BACK, err);
}

struct result {
    const char *lease, *measurement, *key, *status;
    int64_t attempt;
    enum measurement_event event;
    char body_hash[HASH_TEXT];
};

static int read_result(const cJSON *body, struct err *err, struct result *ret) {
    int r = json_string(body, "", "lease_id", 1, ID_MAX - 1, err, &ret->lease);
    if (r == 0)
        r = json_string(body, "", "measurement_id", 1, ID_MAX - 1, err, &ret->measurement);
    if (r == 0)
        r = json_int(body, "", "attempt", 0, INT32_MAX, err, &ret->attempt);
    if (r == 0)
        r = json_string(body, "", "idempotency_key", 8, 128, err, &ret->key);
    if (r == 0)
        r = json_string(body, "", "status", 1, 32, err, &ret->status);
    if (r != 0)
        return r;
    int event = measurement_event_of_result(ret->status);
    if (event < 0)
        return err_set(err, ESP_EINVAL, "/status", "unknown status \"%s\"", ret->status);
    ret->event = (enum measurement_event)event;
    char *text = json_print_canonical(body);
    if (text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    hash_text(text, strlen(text), ret->body_hash);
    free(text);
    return 0;
}

/* *ret_repeat: this very result is there already. */
static int find_repeat(struct sql *sql, const struct result *result, struct err *err,
                       bool *ret_repeat) {
    struct sql_rows rows;
    bool same = true;
    *ret_repeat = false;
    sql_query(sql, &rows, "SELECT body_hash FROM results WHERE idempotency_key = ?1", "t",
              result->key);
    if (sql_next(&rows)) {
        *ret_repeat = true;
        same = strcmp(sql_text(&rows, 0), result->body_hash) == 0;
    }
    int r = sql_end(&rows, err);
    if (r == 0 && !same)
        r = err_set(err, ESP_ECONFLICT, "/idempotency_key",
                    "another result was sent under this key");
    return r;
}

static int check_item(struct sql *sql, const struct result *result, struct err *err) {
    int64_t items = 0;
    int r =
        sql_get_int(sql, err, &items, NULL,
                    "SELECT count(*) FROM lease_items WHERE lease = ?1 AND measurement = ?2 AND "
                    "attempt = ?3",
                    "tti", result->lease, result->measurement, result->attempt);
    if (r == 0 && items == 0)
        r = err_set(err, ESP_EGONE, "/measurement_id",
                    "the lease does not hold this measurement under this attempt");
    return r;
}

static int take_samples(const cJSON *body, bool needed, struct err *err, double **ret_samples,
                        size_t *ret_bytes) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "samples_us"), *item;
    int n = cJSON_GetArraySize(list), i = 0, r = 0;
    *ret_samples = NULL;
    *ret_bytes = 0;
    if ((list != NULL && !cJSON_IsArray(list)) || (needed && n == 0))
        return err_set(err, ESP_EINVAL, "/samples_us", "a measured time needs its samples");
    if (n == 0)
        return 0;
    if (n > SAMPLES_MAX)
        return err_set(err, ESP_ELIMIT, "/samples_us", "more than %d samples", SAMPLES_MAX);
    double *samples = mem_array((size_t)n, sizeof(*samples));
    if (samples == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsNumber(item) || !(item->valuedouble > 0) || item->valuedouble > 1e10)
            r = err_set(err, ESP_EINVAL, "/samples_us", "every sample must be a positive time");
        samples[i++] = item->valuedouble;
    }
    if (r != 0) {
        free(samples);
        return r;
    }
    *ret_samples = samples;
    *ret_bytes = (size_t)n * sizeof(*samples);
    return 0;
}

static int insert_result(struct store_tx *tx, const struct result *result, const cJSON *body,
                         bool counted, struct err *err) {
    double *samples;
    size_t bytes;
    int r = take_samples(body, result->event == MEASUREMENT_GOOD, err, &samples, &bytes);
    if (r != 0)
        return r;
    cJSON *rest = cJSON_Duplicate(body, true);
    cJSON_DeleteItemFromObjectCaseSensitive(rest, "samples_us");
    char *text = json_print(rest);
    r = sql_run(store_tx_sql(tx), err, NULL,
                "INSERT INTO results (measurement, lease, attempt, idempotency_key, body_hash, "
                "status, counted, samples, data, created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
                "?8, ?9, ?10)",
                "ttitttibti", result->measurement, result->lease, result->attempt, result->key,
                result->body_hash, result->status, (int64_t)counted, samples, bytes, text,
                store_tx_now_us(tx));
    free(text);
    cJSON_Delete(rest);
    free(samples);
    return r;
}

/* Whether the result decides the measurement. A late one (its lease was lost) still does while no
 * other attempt has; a late crash does not: it was counted as a loss. */
static int decides(struct sql *sql, const struct result *result, const struct lease_row *lease,
                   struct err *err, bool *ret_counts) {
    struct measurement_status status;
    int64_t twin = 0;
    int r = store_measurement_status(sql, result->measurement, err, &status);
    if (r != 0)
        return r;
    bool late = !lease_open(lease->state) || status.attempt != result->attempt;
    *ret_counts = (!late || result->event != MEASUREMENT_CRASH) &&
                  measurement_step(&status, result->event) == 0;
    /* One that was canceled may have been asked for again: then that one stands. */
    if (*ret_counts)
        r = sql_get_int(sql, err, &twin, NULL,
                        "SELECT count(*) FROM measurements m JOIN measurements o ON "
                        "o.profile_revision = m.profile_revision AND o.graph_id = m.graph_id AND "
                        "o.method = m.method AND o.id <> m.id WHERE m.id = ?1 AND m.state = "
                        "'canceled' AND o.state IN ('queued', 'leased', 'running', 'accepted') AND "
                        "o.kind <> 'reference'",
                        "t", result->measurement);
    if (twin > 0)
        *ret_counts = false;
    return r;
}

/* A drift between single runs of the reference network, as short methods take them, is as likely a
 * burst of something else: it says nothing of the board's health. */
static bool drift_tells(const char *id) {
    const struct method *method = method_find(id);
    return method != NULL && method->batches_min / method->reference_every >= 3;
}

/* What to compare drift with. */
static int load_yardstick(struct sql *sql, const char *device, const char *measurement,
                          struct err *err, double *ret_noise, bool *ret_drift_tells,
                          char ret_profile[ID_MAX]) {
    struct sql_rows rows;
    sql_query(sql, &rows,
              "SELECT coalesce(p.noise, 0), m.method, p.id FROM profiles p JOIN measurements m ON "
              "m.profile = p.id WHERE p.device = ?1 AND m.id = ?2",
              "tt", device, measurement);
    if (sql_next(&rows)) {
        *ret_noise = sql_real(&rows, 0);
        *ret_drift_tells = drift_tells(sql_text(&rows, 1));
        snprintf(ret_profile, ID_MAX, "%s", sql_text(&rows, 2));
    }
    return sql_end(&rows, err);
}

static int judge_board(struct store_tx *tx, const char *device, const struct result *result,
                       const cJSON *body, struct err *err) {
    const cJSON *reference = cJSON_GetObjectItemCaseSensitive(body, "reference");
    const cJSON *before = cJSON_GetObjectItemCaseSensitive(reference, "before_us");
    const cJSON *after = cJSON_GetObjectItemCaseSensitive(reference, "after_us");
    double noise = 0;
    bool tells = false;
    char profile[ID_MAX] = "";
    if (result->event == MEASUREMENT_CRASH)
        return store_device_health(tx, device, HEALTH_CRASH, err);
    if (!cJSON_IsNumber(before) || !cJSON_IsNumber(after) || !(before->valuedouble > 0))
        return 0;
    int r =
        load_yardstick(store_tx_sql(tx), device, result->measurement, err, &noise, &tells, profile);
    bool drifted = health_drifted(before->valuedouble, after->valuedouble, noise);
    if (r == 0 && tells && profile[0] != '\0')
        r = store_profile_drift(tx, profile, before->valuedouble, after->valuedouble, err);
    if (r != 0 || (drifted && !tells))
        return r;
    return store_device_health(tx, device, drifted ? HEALTH_DRIFT : HEALTH_STEADY, err);
}

static int apply_result(struct store_tx *tx, const struct result *result, const cJSON *body,
                        struct err *err) {
    struct err why = {0};
    const char *message = "";
    int code = strcmp(result->status, "oom") == 0           ? ESP_ENOMEM
               : strcmp(result->status, "unsupported") == 0 ? ESP_EUNSUPPORTED
               : strcmp(result->status, "invalid") == 0     ? ESP_EINVAL
                                                            : ESP_EINTERNAL;
    int r = json_string_opt(body, "", "message", 0, 4096, err, &message);
    err_set(&why, code, NULL, "%s%s%.400s", result->status, message[0] != '\0' ? ": " : "",
            message);
    if (r == 0 && result->event == MEASUREMENT_GOOD)
        r = store_measurement_set(tx, result->measurement, body, err);
    if (r == 0 && result->event == MEASUREMENT_GOOD)
        r = store_profile_noise_measured(tx, result->measurement, err);
    return r != 0 ? r : store_measurement_apply(tx, result->measurement, result->event, &why, err);
}

/* The lease ends with the last of its items. */
static int close_if_done(struct store_tx *tx, const struct lease_row *lease, struct err *err) {
    int64_t open = 0;
    if (!lease_open(lease->state))
        return 0;
    int r = sql_get_int(store_tx_sql(tx), err, &open, NULL,
                        "SELECT count(*) FROM lease_items i JOIN measurements m ON m.id = "
                        "i.measurement WHERE i.lease = ?1 AND m.attempt = i.attempt AND m.state IN "
                        "('leased', 'running')",
                        "t", lease->id);
    return r != 0 || open > 0 ? r : step_lease(tx, lease, LEASE_RESULTS, err);
}

int store_result_add(struct store_tx *tx, const char *device, const cJSON *body, struct err *err,
                     int *ret_status, cJSON **ret_answer) {
    struct sql *sql = store_tx_sql(tx);
    struct result result;
    struct lease_row lease;
    bool repeat = false, counts = false;
    int r = read_result(body, err, &result);
    if (r == 0)
        r = load_lease(sql, result.lease, device, err, &lease);
    if (r == 0)
        r = find_repeat(sql, &result, err, &repeat);
    if (r == 0 && !repeat)
        r = check_item(sql, &result, err);
    if (r == 0 && !repeat)
        r = decides(sql, &result, &lease, err, &counts);
    if (r == 0 && !repeat)
        r = insert_result(tx, &result, body, counts, err);
    if (r == 0 && counts)
        r = apply_result(tx, &result, body, err);
    if (r == 0 && counts)
        r = judge_board(tx, device, &result, body, err);
    if (r == 0 && !repeat)
        r = close_if_done(tx, &lease, err);
    if (r != 0)
        return r;
    *ret_status = repeat ? 200 : 201;
    *ret_answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(*ret_answer, "counted", counts || repeat);
    return 0;
}

static int find_device(struct sql *sql, struct err *err, char ret_id[ID_MAX], const char *literal) {
    struct sql_rows rows;
    ret_id[0] = '\0';
    sql_query(sql, &rows, literal, "");
    if (sql_next(&rows))
        snprintf(ret_id, ID_MAX, "%s", sql_text(&rows, 0));
    return sql_end(&rows, err);
}

int store_local_work(struct sql *sql, struct err *err, struct local_work *ret_work) {
    struct local_work work = {.waits = false};
    char waiting[ID_MAX];
    int r = find_device(sql, err, waiting,
                        "SELECT d.id " WAITS "AND d.local AND d.state = 'active' AND d.health <> "
                        "'quarantined' AND d.away_us IS NULL LIMIT 1");
    if (r == 0)
        r = find_device(sql, err, work.device,
                        "SELECT d.id FROM leases l JOIN devices d ON d.id = l.device WHERE l.state "
                        "IN ('granted', 'acked') AND d.local LIMIT 1");
    if (r != 0)
        return r;
    work.waits = waiting[0] != '\0';
    work.leased = work.device[0] != '\0';
    if (!work.leased)
        memcpy(work.device, waiting, sizeof(waiting));
    *ret_work = work;
    return 0;
}

/* A lease that it holds is work too: the board asks again, so it has given that lease up. */
int store_work_waits(struct sql *sql, const char *device, struct err *err, bool *ret_waits) {
    int64_t waits = 0;
    int r = sql_get_int(sql, err, &waits, NULL,
                        "SELECT EXISTS (SELECT 1 " WAITS "AND d.id = ?1 AND d.state = 'active' AND "
                        "d.health <> 'quarantined') OR EXISTS (SELECT 1 FROM leases WHERE device = "
                        "?1 AND state IN ('granted', 'acked'))",
                        "t", device);
    if (r == 0)
        *ret_waits = waits != 0;
    return r;
}

int store_lease_next_expiry(struct sql *sql, struct err *err, int64_t *ret_us) {
    *ret_us = INT64_MAX;
    return sql_get_int(sql, err, ret_us, NULL,
                       "SELECT min(expires_us) FROM leases WHERE state IN ('granted', 'acked')",
                       "");
}

int store_leases_grace(struct store_tx *tx, int64_t grace_us, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE leases SET expires_us = max(expires_us, ?1) WHERE state IN ('granted', "
                   "'acked')",
                   "i", store_tx_now_us(tx) + grace_us);
}
