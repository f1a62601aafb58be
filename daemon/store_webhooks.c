#include "daemon/store_webhooks.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "daemon/webhook_sign.h"

enum { GONE = 410, PRUNED_AT_ONCE = 500, WAIT_FACTOR = 4 };
static const int64_t wait_max_us = INT64_C(6) * 3600 * 1000000;
static const char type_of_tests[] = "webhook.test";

const char *const store_webhook_types[] = {"job.done",       "job.failed",    "job.canceled",
                                           "device.offline", "device.online", NULL};
const char *const store_delivery_states[] = {"pending", "delivered", "failed", NULL};

#define WEBHOOK_COLUMNS                                                                            \
    "id, url, label, events AS \"events@json\", kinds AS \"kinds@json\", state, "                  \
    "disabled_reason, (SELECT count(*) FROM webhook_deliveries d WHERE d.webhook = webhooks.id "   \
    "AND d.state = 'pending') AS pending, last_success_us AS \"last_success_at@time\", "           \
    "last_failure_us AS \"last_failure_at@time\", last_error, created_us AS "                      \
    "\"created_at@time\""
#define DELIVERY_COLUMNS                                                                           \
    "id, webhook, event, type, job, state, attempts, status, error, duration_us, CASE state WHEN " \
    "'pending' THEN next_us END AS \"next_at@time\", created_us AS \"created_at@time\", ended_us " \
    "AS \"ended_at@time\""

/* ---- webhooks -------------------------------------------------------------------------------- */

static int insert(struct store_tx *tx, const char *id, const struct webhook_request *request,
                  const char *secret, struct err *err) {
    char *events = request->events != NULL ? json_print(request->events) : NULL;
    char *kinds = request->kinds != NULL ? json_print(request->kinds) : NULL;
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO webhooks (id, url, label, secret, events, kinds, state, "
                    "created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'enabled', ?7)",
                    "tttttti", id, request->url, request->label, secret, events, kinds,
                    store_tx_now_us(tx));
    free(events);
    free(kinds);
    return r;
}

int store_webhook_create(struct store_tx *tx, const struct webhook_request *request,
                         struct err *err, cJSON **ret_doc) {
    char id[ID_MAX], secret[WEBHOOK_SECRET_MAX];
    int64_t n = 0;
    int r = sql_get_int(store_tx_sql(tx), err, &n, NULL, "SELECT count(*) FROM webhooks", "");
    if (r == 0 && n >= WEBHOOKS_MAX)
        r = err_set(err, ESP_ELIMIT, NULL, "there are %d webhooks, which is the most",
                    WEBHOOKS_MAX);
    if (r != 0)
        return r;
    id_make("wh_", id);
    webhook_secret_make(secret);
    r = insert(tx, id, request, secret, err);
    if (r == 0)
        r = store_webhook_get(store_tx_sql(tx), id, err, ret_doc);
    if (r == 0)
        cJSON_AddStringToObject(*ret_doc, "secret", secret);
    return r;
}

static int no_webhook(const char *id, struct err *err) {
    return err_set(err, ESP_ENOTFOUND, NULL, "there is no webhook \"%s\"", id);
}

int store_webhook_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_get_row(sql, err, &doc, "SELECT " WEBHOOK_COLUMNS " FROM webhooks WHERE id = ?1",
                        "t", id);
    if (r == 0 && doc == NULL)
        r = no_webhook(id, err);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

int store_webhook_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                       cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT " WEBHOOK_COLUMNS
                    " FROM webhooks WHERE (?1 IS NULL OR id < ?1) ORDER BY id DESC LIMIT ?2",
                    "");
}

/* The list as text, "null" for all; NULL: as it is. */
static int print_words(const cJSON *words, struct err *err, char **ret_text) {
    *ret_text = words != NULL ? json_print(words) : NULL;
    return words != NULL && *ret_text == NULL ? err_set(err, ESP_ENOMEM, NULL, "out of memory") : 0;
}

static int change(struct store_tx *tx, const char *id, const struct webhook_patch *patch,
                  struct err *err) {
    char *events = NULL, *kinds = NULL;
    int changes = 0, r = print_words(patch->events, err, &events);
    if (r == 0)
        r = print_words(patch->kinds, err, &kinds);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, &changes,
                    "UPDATE webhooks SET url = coalesce(?2, url), label = coalesce(?3, label), "
                    "events = nullif(coalesce(?4, events), 'null'), kinds = nullif(coalesce(?5, "
                    "kinds), 'null') WHERE id = ?1",
                    "ttttt", id, patch->url, patch->label, events, kinds);
    free(events);
    free(kinds);
    return r == 0 && changes == 0 ? no_webhook(id, err) : r;
}

/* What waits is sent at once, as if it had not been tried yet. */
static int start_again(struct store_tx *tx, const char *id, struct err *err) {
    store_tx_wake(tx, STORE_WAKE_WEBHOOKS);
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE webhook_deliveries SET next_us = ?2, attempts = 0 WHERE webhook = ?1 "
                   "AND state = 'pending'",
                   "ti", id, store_tx_now_us(tx));
}

/* A receiver elsewhere has refused nothing yet. Before the URL is changed. */
static int start_again_elsewhere(struct store_tx *tx, const char *id, const char *url,
                                 struct err *err) {
    int64_t moves = 0;
    int r = url == NULL ? 0
                        : sql_get_int(store_tx_sql(tx), err, &moves, NULL,
                                      "SELECT count(*) FROM webhooks WHERE id = ?1 AND url <> ?2",
                                      "tt", id, url);
    return r == 0 && moves > 0 ? start_again(tx, id, err) : r;
}

int store_webhook_patch(struct store_tx *tx, const char *id, const struct webhook_patch *patch,
                        struct err *err) {
    int r = start_again_elsewhere(tx, id, patch->url, err);
    if (r == 0)
        r = change(tx, id, patch, err);
    if (r != 0 || patch->state == NULL)
        return r;
    if (strcmp(patch->state, "enabled") == 0)
        return store_webhook_enable(tx, id, err);
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE webhooks SET state = 'disabled', disabled_reason = 'somebody disabled "
                   "it' WHERE id = ?1 AND state = 'enabled'",
                   "t", id);
}

int store_webhook_rotate(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_doc) {
    char secret[WEBHOOK_SECRET_MAX];
    cJSON *doc = NULL;
    int r = store_webhook_get(store_tx_sql(tx), id, err, &doc);
    if (r != 0)
        return r;
    webhook_secret_make(secret);
    r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE webhooks SET secret = ?2 WHERE id = ?1", "tt",
                id, secret);
    if (r != 0) {
        cJSON_Delete(doc);
        return r;
    }
    cJSON_AddStringToObject(doc, "secret", secret);
    *ret_doc = doc;
    return 0;
}

int store_webhook_delete(struct store_tx *tx, const char *id, struct err *err) {
    int changes = 0;
    int r = sql_run(store_tx_sql(tx), err, &changes, "DELETE FROM webhooks WHERE id = ?1", "t", id);
    return r == 0 && changes == 0 ? no_webhook(id, err) : r;
}

static int load_state(struct sql *sql, const char *id, struct err *err, char ret_state[16]) {
    int r =
        sql_get_text(sql, err, ret_state, 16, "SELECT state FROM webhooks WHERE id = ?1", "t", id);
    return r == 0 && ret_state[0] == '\0' ? no_webhook(id, err) : r;
}

int store_webhook_enable(struct store_tx *tx, const char *id, struct err *err) {
    char state[16];
    int r = load_state(store_tx_sql(tx), id, err, state);
    if (r != 0 || strcmp(state, "enabled") == 0)
        return r;
    r = sql_run(store_tx_sql(tx), err, NULL,
                "UPDATE webhooks SET state = 'enabled', disabled_reason = NULL WHERE id = ?1", "t",
                id);
    return r == 0 ? start_again(tx, id, err) : r;
}

/* ---- queueing -------------------------------------------------------------------------------- */

/* What is told: one for all webhooks. */
struct event {
    char id[ID_MAX];
    const char *type;
    const char *job; /* NULL: none */
    char *body;      /* owned */
};

/* Takes data. NULL on memory exhaustion. */
static char *print_body(struct store_tx *tx, const struct event *event, cJSON *data) {
    char time[40];
    cJSON *doc = cJSON_CreateObject();
    clock_format_utc(store_tx_now_us(tx), time, sizeof(time));
    cJSON_AddStringToObject(doc, "id", event->id);
    cJSON_AddStringToObject(doc, "type", event->type);
    cJSON_AddStringToObject(doc, "timestamp", time);
    cJSON_AddItemToObject(doc, "data", data);
    char *text = json_print(doc);
    cJSON_Delete(doc);
    return text;
}

static int queue(struct store_tx *tx, const char *webhook, const struct event *event,
                 struct err *err, char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    int64_t waiting = 0;
    int r = sql_get_int(
        sql, err, &waiting, NULL,
        "SELECT count(*) FROM webhook_deliveries WHERE webhook = ?1 AND state = 'pending'", "t",
        webhook);
    bool full = waiting >= WEBHOOK_PENDING_MAX;
    id_make("whd_", ret_id);
    if (r == 0)
        r = sql_run(sql, err, NULL,
                    "INSERT INTO webhook_deliveries (id, webhook, event, type, job, body, state, "
                    "next_us, error, created_us, ended_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?9, "
                    "?8, ?9, CASE ?7 WHEN 'failed' THEN ?9 END)",
                    "tttttttti", ret_id, webhook, event->id, event->type, event->job,
                    full ? "" : event->body, full ? "failed" : "pending",
                    full ? "as many deliveries as may be wait already" : NULL, store_tx_now_us(tx));
    return r;
}

/* Without what only the job's page needs. */
static cJSON *facts_of(const cJSON *job, bool with_result) {
    cJSON *data = cJSON_CreateObject(), *facts = cJSON_Duplicate(job, true);
    cJSON_DeleteItemFromObjectCaseSensitive(facts, "progress");
    cJSON_DeleteItemFromObjectCaseSensitive(facts, "attempts");
    cJSON_DeleteItemFromObjectCaseSensitive(facts, "held");
    if (!with_result)
        cJSON_ReplaceItemInObjectCaseSensitive(facts, "result", cJSON_CreateNull());
    cJSON_AddItemToObject(data, "job", facts);
    return data;
}

static char *print_job_event(struct store_tx *tx, const struct event *event, const cJSON *job) {
    char *body = print_body(tx, event, facts_of(job, true));
    if (body == NULL || strlen(body) <= WEBHOOK_BODY_MAX)
        return body;
    free(body);
    return print_body(tx, event, facts_of(job, false));
}

static int queue_all(struct store_tx *tx, const cJSON *webhooks, const struct event *event,
                     struct err *err) {
    const cJSON *row;
    char id[ID_MAX];
    int r = event->body != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    cJSON_ArrayForEach(row, webhooks) {
        if (r == 0)
            r = queue(tx, cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")), event, err, id);
    }
    store_tx_wake(tx, STORE_WAKE_WEBHOOKS);
    return r;
}

int store_webhooks_tell(struct store_tx *tx, const cJSON *job, struct err *err) {
    char type[24];
    cJSON *webhooks = NULL;
    snprintf(type, sizeof(type), "job.%s", cJSON_GetStringValue(cJSON_GetObjectItem(job, "state")));
    struct event event = {.type = type,
                          .job = cJSON_GetStringValue(cJSON_GetObjectItem(job, "id"))};
    int r = sql_get_rows(store_tx_sql(tx), err, &webhooks,
                         "SELECT id FROM webhooks WHERE state = 'enabled' AND (events IS NULL OR "
                         "?1 IN (SELECT value FROM json_each(events))) AND (kinds IS NULL OR ?2 IN "
                         "(SELECT value FROM json_each(kinds))) ORDER BY id",
                         "tt", type, cJSON_GetStringValue(cJSON_GetObjectItem(job, "kind")));
    if (r == 0 && cJSON_GetArraySize(webhooks) > 0) {
        id_make("evt_", event.id);
        event.body = print_job_event(tx, &event, job);
        r = queue_all(tx, webhooks, &event, err);
        free(event.body);
    }
    cJSON_Delete(webhooks);
    return r;
}

/* The board in the words of the API. */
static char *print_board_event(struct store_tx *tx, const struct event *event, const char *device,
                               struct err *err) {
    cJSON *facts = NULL, *data;
    if (sql_get_row(store_tx_sql(tx), err, &facts,
                    "SELECT id, name, state, health, away_us IS NULL AS \"online@bool\", "
                    "last_seen_us AS \"last_seen_at@time\" FROM devices WHERE id = ?1",
                    "t", device) != 0 ||
        facts == NULL)
        return NULL;
    data = cJSON_CreateObject();
    cJSON_AddItemToObject(data, "device", facts);
    return print_body(tx, event, data);
}

int store_webhooks_tell_board(struct store_tx *tx, const char *device, bool online,
                              struct err *err) {
    cJSON *webhooks = NULL;
    struct event event = {.type = online ? "device.online" : "device.offline"};
    int r = sql_get_rows(store_tx_sql(tx), err, &webhooks,
                         "SELECT id FROM webhooks WHERE state = 'enabled' AND (?1 IN (SELECT value "
                         "FROM json_each(events)) OR (events IS NULL AND kinds IS NULL)) ORDER BY "
                         "id",
                         "t", event.type);
    if (r == 0 && cJSON_GetArraySize(webhooks) > 0) {
        id_make("evt_", event.id);
        event.body = print_board_event(tx, &event, device, err);
        r = queue_all(tx, webhooks, &event, err);
        free(event.body);
    }
    cJSON_Delete(webhooks);
    return r;
}

static int check_enabled(struct sql *sql, const char *id, struct err *err) {
    char state[16];
    int r = load_state(sql, id, err, state);
    if (r == 0 && strcmp(state, "enabled") != 0)
        r = err_set(err, ESP_ECONFLICT, NULL, "the webhook is disabled: enable it first");
    return r;
}

int store_webhook_test(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_doc) {
    char delivery[ID_MAX];
    struct event event = {.type = type_of_tests};
    int r = check_enabled(store_tx_sql(tx), id, err);
    if (r != 0)
        return r;
    id_make("evt_", event.id);
    event.body = print_body(tx, &event, cJSON_CreateObject());
    r = event.body != NULL ? queue(tx, id, &event, err, delivery)
                           : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    free(event.body);
    store_tx_wake(tx, STORE_WAKE_WEBHOOKS);
    return r != 0 ? r
                  : sql_get_row(store_tx_sql(tx), err, ret_doc,
                                "SELECT " DELIVERY_COLUMNS " FROM webhook_deliveries WHERE id = ?1",
                                "t", delivery);
}

int store_webhook_deliveries(struct sql *sql, const char *id, const struct sql_page_args *page,
                             const char *state, struct err *err, cJSON **ret_doc) {
    int64_t found = 0;
    int r =
        sql_get_int(sql, err, &found, NULL, "SELECT count(*) FROM webhooks WHERE id = ?1", "t", id);
    if (r == 0 && found == 0)
        r = no_webhook(id, err);
    return r != 0 ? r
                  : sql_page(sql, err, page, "id", ret_doc,
                             "SELECT " DELIVERY_COLUMNS
                             " FROM webhook_deliveries WHERE webhook = ?3 AND (?1 IS NULL OR id < "
                             "?1) AND (?4 IS NULL OR state = ?4) ORDER BY id DESC LIMIT ?2",
                             "tt", id, state);
}

/* ---- sending --------------------------------------------------------------------------------- */

int store_webhooks_due(struct sql *sql, int64_t now_us, struct err *err, cJSON **ret_array) {
    return sql_get_rows(sql, err, ret_array,
                        "SELECT w.id AS webhook, w.url, w.secret, d.id, d.next_us, CASE WHEN "
                        "d.next_us <= ?1 THEN d.body END AS body FROM webhooks w JOIN "
                        "webhook_deliveries d ON d.id = (SELECT p.id FROM "
                        "webhook_deliveries p WHERE p.webhook = w.id AND p.state = 'pending' ORDER "
                        "BY p.next_us, p.id LIMIT 1) WHERE w.state = 'enabled'",
                        "i", now_us);
}

int64_t webhook_wait_us(const struct webhook_rules *rules, int64_t attempts) {
    int64_t wait = rules->retry_us;
    for (int64_t i = 1; i < attempts && wait < wait_max_us; i++)
        wait *= WAIT_FACTOR;
    return wait < wait_max_us ? wait : wait_max_us;
}

static int arrived(struct store_tx *tx, const struct webhook_outcome *outcome, struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int64_t now = store_tx_now_us(tx);
    int r = sql_run(sql, err, NULL,
                    "UPDATE webhooks SET last_success_us = ?2 WHERE id = (SELECT webhook FROM "
                    "webhook_deliveries WHERE id = ?1) AND url = ?3",
                    "tit", outcome->delivery, now, outcome->url);
    return r != 0 ? r
                  : sql_run(sql, err, NULL,
                            "UPDATE webhook_deliveries SET state = 'delivered', attempts = "
                            "attempts + 1, status = ?2, error = NULL, duration_us = ?3, ended_us = "
                            "?4, body = '' WHERE id = ?1",
                            "tiii", outcome->delivery, (int64_t)outcome->status,
                            outcome->duration_us, now);
}

/* A delivery and its webhook before the outcome. */
struct standing {
    char webhook[ID_MAX];
    int64_t attempts;    /* the one that is told of included */
    bool test, heard_of; /* heard_of: something has arrived since it was queued */
    bool moved;          /* the webhook's URL is another by now */
};

static int load_standing(struct sql *sql, const struct webhook_outcome *outcome, struct err *err,
                         struct standing *ret) {
    struct sql_rows rows;
    struct standing standing = {.webhook = ""};
    sql_query(sql, &rows,
              "SELECT d.webhook, d.attempts + 1, d.type = 'webhook.test', "
              "coalesce(w.last_success_us, 0) >= "
              "d.created_us, w.url <> ?2 FROM webhook_deliveries d JOIN webhooks w ON w.id = "
              "d.webhook WHERE d.id = ?1 AND d.state = 'pending'",
              "tt", outcome->delivery, outcome->url);
    if (sql_next(&rows)) {
        snprintf(standing.webhook, ID_MAX, "%s", sql_text(&rows, 0));
        standing.attempts = sql_int(&rows, 1);
        standing.test = sql_int(&rows, 2) != 0;
        standing.heard_of = sql_int(&rows, 3) != 0;
        standing.moved = sql_int(&rows, 4) != 0;
    }
    int r = sql_end(&rows, err);
    if (r == 0)
        *ret = standing;
    return r;
}

static int64_t next_attempt_us(struct store_tx *tx, const struct webhook_rules *rules,
                               const struct webhook_outcome *outcome, int64_t attempts) {
    int64_t wait = webhook_wait_us(rules, attempts),
            asked = outcome->retry_after_s * INT64_C(1000000);
    wait += (int64_t)((double)wait / 10 * randombytes_uniform(1000) / 1000);
    return store_tx_now_us(tx) + (asked > wait ? asked : wait);
}

static int failed(struct store_tx *tx, const struct webhook_rules *rules,
                  const struct webhook_outcome *outcome, const struct standing *standing, bool last,
                  struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int r =
        sql_run(sql, err, NULL,
                "UPDATE webhook_deliveries SET state = CASE WHEN ?2 THEN 'failed' ELSE "
                "'pending' END, attempts = ?3, next_us = ?4, status = nullif(?5, 0), error = "
                "?6, duration_us = ?7, ended_us = CASE WHEN ?2 THEN ?8 END, body = CASE WHEN "
                "?2 THEN '' ELSE body END WHERE id = ?1",
                "tiiiitii", outcome->delivery, (int64_t)last, standing->attempts,
                next_attempt_us(tx, rules, outcome, standing->attempts), (int64_t)outcome->status,
                outcome->error, outcome->duration_us, store_tx_now_us(tx));
    return r != 0 ? r
                  : sql_run(sql, err, NULL,
                            "UPDATE webhooks SET last_failure_us = ?2, last_error = ?3 WHERE id = "
                            "?1",
                            "tit", standing->webhook, store_tx_now_us(tx), outcome->error);
}

static int disable(struct store_tx *tx, const struct standing *standing,
                   const struct webhook_outcome *outcome, struct err *err) {
    char reason[400];
    if (outcome->status == GONE)
        snprintf(reason, sizeof(reason), "the receiver says that it is gone for good (status 410)");
    else
        snprintf(reason, sizeof(reason),
                 "nothing has arrived in %lld attempts at a delivery; of the last one: %.250s",
                 (long long)standing->attempts, outcome->error);
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE webhooks SET state = 'disabled', disabled_reason = ?2 WHERE id = ?1",
                   "tt", standing->webhook, reason);
}

int store_webhook_outcome(struct store_tx *tx, const struct webhook_rules *rules,
                          const struct webhook_outcome *outcome, struct err *err,
                          bool *ret_disabled) {
    struct standing standing;
    int r = load_standing(store_tx_sql(tx), outcome, err, &standing);
    if (r != 0 || standing.webhook[0] == '\0')
        return r;
    if (outcome->error == NULL)
        return arrived(tx, outcome, err);
    if (standing.moved) /* it waits for the new receiver, with all its attempts */
        return 0;
    bool last = standing.test || outcome->status == GONE || standing.attempts >= rules->attempts;
    bool give_up = !standing.test && last && (outcome->status == GONE || !standing.heard_of);
    r = failed(tx, rules, outcome, &standing, last, err);
    if (r == 0 && give_up)
        r = disable(tx, &standing, outcome, err);
    if (r == 0)
        *ret_disabled = give_up;
    return r;
}

int store_webhooks_prune(struct store_tx *tx, int64_t before_us, struct err *err) {
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries "
                    "WHERE ended_us < ?1 LIMIT ?2)",
                    "ii", before_us, (int64_t)PRUNED_AT_ONCE);
    return r != 0
               ? r
               : sql_run(store_tx_sql(tx), err, NULL,
                         "DELETE FROM webhook_deliveries WHERE id IN (SELECT d.id FROM webhooks w "
                         "JOIN webhook_deliveries d ON d.webhook = w.id AND d.state = 'pending' "
                         "WHERE w.state = 'disabled' AND d.created_us < ?1 LIMIT ?2)",
                         "ii", before_us, (int64_t)PRUNED_AT_ONCE);
}
