#include "daemon/store_leases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/store_devices.h"
#include "devices/health.h"

int store_lease_load(struct sql *sql, const char *id, const char *device, struct err *err,
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

int store_device_drained(struct store_tx *tx, const char *device, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE devices SET state = 'paused' WHERE id = ?1 AND state = 'draining' AND "
                   "NOT EXISTS (SELECT 1 FROM leases WHERE device = ?1 AND state IN ('granted', "
                   "'acked'))",
                   "t", device);
}

int store_lease_step(struct store_tx *tx, const struct lease_row *row, enum lease_event event,
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
        r = store_device_drained(tx, row->device, err);
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
                     "('leased', 'running') ORDER BY i.position, m.failures, m.priority DESC, m.id",
                     "t", lease);
    err_set(&why, ESP_ETIMEOUT, NULL,
            "lost: the board was not heard of in time, or was started anew");
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
    int r = store_lease_step(tx, row, event, err);
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
            r = store_lease_load(
                store_tx_sql(tx), cJSON_GetStringValue(cJSON_GetObjectItem(item, "id")),
                cJSON_GetStringValue(cJSON_GetObjectItem(item, "device")), err, &row);
        if (r == 0 && event == LEASE_RELEASE)
            r = store_lease_step(tx, &row, event, err);
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

/* Another worker on the machine of the board d measures. */
#define BUSY_HOST                                                                                  \
    "EXISTS (SELECT 1 FROM devices o JOIN leases l ON l.device = o.id WHERE o.host = d.host AND "  \
    "o.id <> d.id AND l.state IN ('granted', 'acked'))"

/* A board in quarantine measures the reference network and nothing else: that is its retest. */
#define MAY_MEASURE                                                                                \
    "d.state = 'active' AND (d.health NOT IN ('quarantined', 'maintenance') OR (d.health = "       \
    "'quarantined' AND m.kind = 'reference')) "

/* The same in two halves, for questions that are asked often: a board in quarantine has a long
 * queue of what it may not measure. */
#define IN_SERVICE "d.state = 'active' AND d.health NOT IN ('quarantined', 'maintenance') "
#define RETESTED "d.state = 'active' AND d.health = 'quarantined' "

static int may_lease(struct sql *sql, const char *device, struct err *err, int64_t *ret_may) {
    *ret_may = 0;
    return sql_get_int(sql, err, ret_may, NULL,
                       "SELECT state = 'active' AND NOT " BUSY_HOST " FROM devices d WHERE id = ?1",
                       "t", device);
}

/* What waits for the board, as far as its worker runs the profile now and in the environment that
 * was asked for. */
#define WAITS                                                                                      \
    "FROM measurements m INDEXED BY measurements_queue JOIN profiles p ON p.id = m.profile JOIN "  \
    "devices d ON d.id = p.device WHERE m.state = 'queued' AND m.profile_revision = p.revision "   \
    "AND p.epoch = d.epoch "

/* In which what waits is handed out: those that have not failed first, then by priority; searches
 * of one priority in turn, the one first that was served least recently; else who came first. */
#define HAND_OUT "failures, priority DESC, turn, served, id"

/* Of one profile and kind: the board runs them one after the other. */
static int pick_items(struct sql *sql, const char *device, int64_t max_items, struct err *err,
                      cJSON **ret_rows) {
    return sql_get_rows(
        sql, err, ret_rows,
        "WITH waiting AS MATERIALIZED (SELECT m.id, m.profile, m.kind, m.failures, m.priority, "
        "(SELECT min(q.job) FROM measure_requests q WHERE q.measurement = m.id) AS job " WAITS
        "AND d.id = ?1 AND " MAY_MEASURE "), jobs AS MATERIALIZED (SELECT w.job, (SELECT "
        "max(i.lease) FROM measure_requests q JOIN lease_items i ON i.measurement = q.measurement "
        "WHERE q.job = w.job) AS served FROM (SELECT DISTINCT job FROM waiting WHERE job IS NOT "
        "NULL) w), ranked AS MATERIALIZED (SELECT w.*, j.served, row_number() OVER (PARTITION BY "
        "w.failures, w.priority, w.job ORDER BY w.id) AS turn FROM waiting w LEFT JOIN jobs j ON "
        "j.job = w.job), picked AS (SELECT * FROM ranked WHERE (profile, kind) = (SELECT profile, "
        "kind FROM ranked ORDER BY " HAND_OUT " LIMIT 1) ORDER BY " HAND_OUT " LIMIT ?2) "
        "SELECT m.id AS measurement_id, m.attempt + 1 AS attempt, m.profile AS profile_id, m.kind, "
        "m.graph AS \"graph@json\", m.method, m.seed FROM picked k JOIN measurements m ON m.id = "
        "k.id ORDER BY k.failures, k.priority DESC, k.turn, k.served, k.id",
        "ti", device, max_items);
}

static int create_lease(struct store_tx *tx, const char *device, const cJSON *items,
                        struct err *err, char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    const cJSON *item;
    int64_t now = store_tx_now_us(tx), position = 0;
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
                        "INSERT INTO lease_items (lease, measurement, attempt, position) VALUES "
                        "(?1, ?2, ?3, ?4)",
                        "ttii", ret_id, id, attempt, position++);
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

/* Signs of life of the whole fleet in a second, about; the seconds between those of one board. */
enum { BEATS_PER_S = 50, HEARTBEAT_MOST_S = 15 };

/* How often a worker that measures asks whether it is still wanted: each second, less often where
 * many do. */
static int add_pace(struct sql *sql, struct err *err, cJSON *answer) {
    int64_t open = 0;
    int r = sql_get_int(sql, err, &open, NULL,
                        "SELECT count(*) FROM leases WHERE state IN ('granted', 'acked')", "");
    int64_t seconds = 1 + open / BEATS_PER_S;
    cJSON_AddNumberToObject(answer, "heartbeat_s",
                            (double)(seconds < HEARTBEAT_MOST_S ? seconds : HEARTBEAT_MOST_S));
    return r;
}

static int extend(struct store_tx *tx, const char *lease, int64_t length_us, struct err *err,
                  cJSON *answer) {
    cJSON_AddNumberToObject(answer, "expires_in_s", (double)length_us / 1e6);
    int r = add_pace(store_tx_sql(tx), err, answer);
    if (r != 0)
        return r;
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE leases SET expires_us = max(expires_us, ?2) WHERE id = ?1", "ti", lease,
                   store_tx_now_us(tx) + length_us);
}

int store_lease_ack(struct store_tx *tx, const char *device, const char *lease, double estimate_s,
                    struct err *err, cJSON **ret_answer) {
    struct lease_row row;
    cJSON *answer = cJSON_CreateObject();
    int r = store_lease_load(store_tx_sql(tx), lease, device, err, &row);
    if (r == 0)
        r = store_lease_step(tx, &row, LEASE_ACK, err);
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

/* "cancel": nothing of the lease is wanted any more; "skip": what is measured now is not. */
static int choose_action(struct sql *sql, const char *lease, const char *measurement,
                         struct err *err, const char **ret_action) {
    int64_t wanted = 0, this = 0;
    int r = sql_get_int(sql, err, &wanted, NULL,
                        "SELECT count(*) FROM lease_items i JOIN measurements m ON m.id = "
                        "i.measurement WHERE i.lease = ?1 AND m.attempt = i.attempt AND m.state = "
                        "'running'",
                        "t", lease);
    if (r == 0 && measurement != NULL)
        r = sql_get_int(sql, err, &this, NULL,
                        "SELECT count(*) FROM lease_items i JOIN measurements m ON m.id = "
                        "i.measurement WHERE i.lease = ?1 AND m.id = ?2 AND m.attempt = i.attempt "
                        "AND m.state = 'canceled'",
                        "tt", lease, measurement);
    *ret_action = wanted == 0 ? "cancel" : this > 0 ? "skip" : "continue";
    return r;
}

int store_lease_heartbeat(struct store_tx *tx, const char *device, const char *lease,
                          const char *measurement, struct err *err, cJSON **ret_answer) {
    struct lease_row row;
    const char *action = "continue";
    cJSON *answer = cJSON_CreateObject();
    int r = store_lease_load(store_tx_sql(tx), lease, device, err, &row);
    if (r == 0)
        r = store_lease_step(tx, &row, LEASE_HEARTBEAT, err);
    if (r == 0)
        r = choose_action(store_tx_sql(tx), lease, measurement, err, &action);
    cJSON_AddStringToObject(answer, "action", action);
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
    int r = store_lease_load(store_tx_sql(tx), lease, device, err, &row);
    if (r == 0)
        r = store_lease_step(tx, &row, LEASE_RELEASE, err);
    return r != 0 ? r : step_items(tx, lease, MEASUREMENT_GIVE_BACK, MEASUREMENT_GIVE_BACK, err);
}

static int find_device(struct sql *sql, struct err *err, char ret_id[ID_MAX], const char *literal) {
    return sql_get_text(sql, err, ret_id, ID_MAX, literal, "");
}

int store_local_work(struct sql *sql, struct err *err, struct local_work *ret_work) {
    struct local_work work = {.waits = false};
    char waiting[ID_MAX];
    int r = find_device(
        sql, err, waiting,
        "SELECT d.id FROM devices d WHERE d.local = 1 AND d.away_us IS NULL AND ((" IN_SERVICE
        "AND EXISTS (SELECT 1 FROM profiles p CROSS JOIN measurements m INDEXED BY "
        "measurements_queue ON m.profile = p.id WHERE p.device = d.id AND p.epoch = "
        "d.epoch AND m.state = 'queued' AND m.profile_revision = p.revision)) OR (" RETESTED
        "AND EXISTS (SELECT 1 FROM profiles p CROSS JOIN measurements m INDEXED BY "
        "measurements_retests ON m.profile = p.id WHERE p.device = d.id AND p.epoch = d.epoch AND "
        "m.state = 'queued' AND m.kind = 'reference' AND m.profile_revision = p.revision))) LIMIT "
        "1");
    if (r == 0)
        r = find_device(sql, err, work.device,
                        "SELECT d.id FROM devices d WHERE d.local = 1 AND EXISTS (SELECT 1 FROM "
                        "leases l WHERE l.device = d.id AND l.state IN ('granted', 'acked')) LIMIT "
                        "1");
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
                        "SELECT EXISTS (SELECT 1 FROM devices d CROSS JOIN profiles p ON p.device "
                        "= d.id AND p.epoch = d.epoch CROSS JOIN measurements m INDEXED BY "
                        "measurements_queue ON m.profile = p.id AND m.state = 'queued' AND "
                        "m.profile_revision = p.revision WHERE d.id = ?1 AND " IN_SERVICE
                        "AND NOT " BUSY_HOST ") OR EXISTS (SELECT 1 FROM devices d CROSS JOIN "
                        "profiles p ON p.device = d.id AND p.epoch = d.epoch CROSS JOIN "
                        "measurements m INDEXED BY measurements_retests ON m.profile = p.id AND "
                        "m.state = 'queued' AND m.kind = 'reference' AND m.profile_revision = "
                        "p.revision WHERE d.id = ?1 AND " RETESTED "AND NOT " BUSY_HOST
                        ") OR EXISTS (SELECT 1 FROM leases WHERE device = "
                        "?1 AND state IN ('granted', 'acked'))",
                        "t", device);
    if (r == 0)
        *ret_waits = waits != 0;
    return r;
}

int store_host_holder(struct sql *sql, const char *device, struct err *err, char ret_id[ID_MAX]) {
    return sql_get_text(
        sql, err, ret_id, ID_MAX,
        "SELECT o.id FROM devices d JOIN devices o ON o.host = d.host AND o.id <> d.id JOIN "
        "leases l ON l.device = o.id WHERE d.id = ?1 AND l.state IN ('granted', 'acked') AND "
        "EXISTS (SELECT 1 FROM measurements m JOIN profiles p ON p.id = m.profile WHERE "
        "p.device = d.id AND p.epoch = d.epoch AND m.state = 'queued') LIMIT 1",
        "t", device);
}

int store_device_host(struct sql *sql, const char *device, struct err *err, char ret_host[128]) {
    return sql_get_text(sql, err, ret_host, 128,
                        "SELECT host FROM devices WHERE id = ?1 AND host IS NOT NULL", "t", device);
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
