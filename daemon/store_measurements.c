#include "daemon/store_measurements.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/store_devices.h"
#include "daemon/store_tables.h"
#include "devices/method.h"
#include "devices/reference.h"
#include "space/graph.h"

/* clang-format off */
#define MEASUREMENT_COLUMNS                                                                        \
    "id, profile, " STORE_PROFILE_NAME("measurements") ", "                                        \
    "profile_revision, kind, graph_id, signature, arch, method, take, state, attempt, "            \
    "median_us, low_us, high_us, mean_us, sd_us, n, energy_uj, flags AS \"flags@json\", repeats, " \
    "why, error AS \"error@json\", created_us AS \"created_at@time\", "                            \
    "finished_us AS \"finished_at@time\""
/* clang-format on */

#define ENERGY_MOST_UJ 1e12

static int out_of_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

static int current_revision(struct sql *sql, const char *profile, struct err *err,
                            char ret[ID_MAX]) {
    struct sql_rows rows;
    ret[0] = '\0';
    sql_query(sql, &rows,
              "SELECT p.revision FROM profiles p JOIN devices d ON d.id = p.device WHERE p.id = ?1 "
              "AND d.removed_us IS NULL",
              "t", profile);
    if (sql_next(&rows) && !sql_null(&rows, 0))
        snprintf(ret, ID_MAX, "%s", sql_text(&rows, 0));
    int r = sql_end(&rows, err);
    if (r == 0 && ret[0] == '\0')
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no board for the profile \"%s\"", profile);
    return r;
}

static int64_t take_of(const struct measurement_request *request) {
    return request->take > 0 ? request->take : 1;
}

/* Methods in the order of their names: "brief", then "full". */
static int find_equal(struct sql *sql, const char *revision,
                      const struct measurement_request *request, struct err *err,
                      char ret[ID_MAX]) {
    struct sql_rows rows;
    ret[0] = '\0';
    sql_query(
        sql, &rows,
        "SELECT id FROM measurements WHERE profile_revision = ?1 AND graph_id = ?2 AND state "
        "IN ('queued', 'leased', 'running', 'accepted') AND kind <> 'reference' AND aside = 0 AND "
        "take = ?4 AND "
        "(method = ?3 OR method > ?3 AND state = 'accepted') ORDER BY state = 'accepted' DESC, "
        "method DESC "
        "LIMIT 1",
        "ttti", revision, request->graph_id, request->method, take_of(request));
    if (sql_next(&rows))
        snprintf(ret, ID_MAX, "%s", sql_text(&rows, 0));
    return sql_end(&rows, err);
}

/* A table asks for hundreds of units at once: of these only the ends are told, the table's own
 * events say the rest. */
static int announce(struct store_tx *tx, const char *id, struct err *err) {
    cJSON *doc = NULL;
    int r =
        sql_get_row(store_tx_sql(tx), err, &doc,
                    "SELECT id, profile, kind, state, median_us FROM measurements WHERE id = ?1 "
                    "AND (kind <> 'unit' OR state NOT IN ('queued', 'leased'))",
                    "t", id);
    if (r == 0 && doc != NULL)
        r = store_tx_event(tx, err, "measurement", doc);
    cJSON_Delete(doc);
    return r;
}

static int insert_measurement(struct store_tx *tx, const struct measurement_request *request,
                              const char *revision, struct err *err, char ret_id[ID_MAX]) {
    id_make("ms_", ret_id);
    int r = sql_run(
        store_tx_sql(tx), err, NULL,
        "INSERT INTO measurements (id, profile, profile_revision, kind, graph_id, "
        "graph, signature, arch, method, seed, priority, state, created_us, take, repeats, why, "
        "aside) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'queued', ?12, ?13, ?14, "
        "?15, ?16)",
        "tttttttttiiiitti", ret_id, request->profile, revision, request->kind, request->graph_id,
        request->graph, request->signature, request->arch, request->method, request->seed,
        (int64_t)request->priority, store_tx_now_us(tx), take_of(request), request->repeats,
        request->why, (int64_t)(request->repeats != NULL));
    store_tx_wake(tx, STORE_WAKE_FLEET);
    return r != 0 ? r : announce(tx, ret_id, err);
}

int store_measurement_ask(struct store_tx *tx, const struct measurement_request *request,
                          struct err *err, char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    char revision[ID_MAX], id[ID_MAX];
    int r = current_revision(sql, request->profile, err, revision);
    id[0] = '\0';
    if (r == 0 && request->repeats == NULL)
        r = find_equal(sql, revision, request, err, id);
    if (r == 0 && id[0] == '\0')
        r = insert_measurement(tx, request, revision, err, id);
    else if (r == 0)
        r = sql_run(
            sql, err, NULL,
            "UPDATE measurements SET priority = ?2 WHERE id = ?1 AND priority < ?2 AND state "
            "= 'queued'",
            "ti", id, (int64_t)request->priority);
    if (r == 0)
        memcpy(ret_id, id, sizeof(id));
    return r;
}

static int insert_noise(struct store_tx *tx, const char *profile, const char *revision,
                        int priority, struct err *err, char ret_id[ID_MAX]) {
    char network[HASH_TEXT], method[METHOD_ID_MAX];
    struct graph *graph = NULL;
    int r = reference_graph(err, &graph);
    if (r != 0)
        return r;
    graph_id(graph, "fp32", network);
    cJSON *doc = graph_to_json(graph);
    char *text = doc != NULL ? json_print(doc) : NULL;
    cJSON_Delete(doc);
    free(graph);
    if (text == NULL)
        return out_of_memory(err);
    method_id(&method_noise, method);
    struct measurement_request request = {.profile = profile,
                                          .kind = "reference",
                                          .graph_id = network,
                                          .graph = text,
                                          .method = method,
                                          .seed = 1,
                                          .priority = priority};
    r = insert_measurement(tx, &request, revision, err, ret_id);
    free(text);
    return r;
}

int store_noise_ask(struct store_tx *tx, const char *profile, struct err *err) {
    char revision[ID_MAX], id[ID_MAX] = "";
    struct sql_rows rows;
    bool accepted = false;
    int r = current_revision(store_tx_sql(tx), profile, err, revision);
    if (r != 0)
        return r;
    sql_query(
        store_tx_sql(tx), &rows,
        "SELECT id, state = 'accepted' FROM measurements WHERE profile_revision = ?1 AND "
        "kind = 'reference' AND state IN ('queued', 'leased', 'running', 'accepted') ORDER BY "
        "state = 'accepted', id LIMIT 1",
        "t", revision);
    if (sql_next(&rows)) {
        snprintf(id, ID_MAX, "%s", sql_text(&rows, 0));
        accepted = sql_int(&rows, 1) != 0;
    }
    r = sql_end(&rows, err);
    if (r == 0 && id[0] == '\0')
        return insert_noise(tx, profile, revision, MEASUREMENT_OF_DAEMON, err, id);
    return r == 0 && accepted ? store_profile_noise_known(tx, profile, id, err) : r;
}

int store_noise_again(struct store_tx *tx, const char *profile, bool by_person, struct err *err,
                      char ret_id[ID_MAX]) {
    int priority = by_person ? MEASUREMENT_OF_CHECK : MEASUREMENT_OF_DAEMON;
    char revision[ID_MAX], id[ID_MAX] = "";
    struct sql_rows rows;
    int r = current_revision(store_tx_sql(tx), profile, err, revision);
    if (r != 0)
        return r;
    sql_query(store_tx_sql(tx), &rows,
              "SELECT id FROM measurements WHERE profile_revision = ?1 AND kind = 'reference' AND "
              "state IN ('queued', 'leased', 'running')",
              "t", revision);
    if (sql_next(&rows))
        snprintf(id, ID_MAX, "%s", sql_text(&rows, 0));
    r = sql_end(&rows, err);
    if (r == 0 && id[0] == '\0')
        r = insert_noise(tx, profile, revision, priority, err, id);
    else if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE measurements SET priority = max(priority, ?2) WHERE id = ?1", "ti", id,
                    (int64_t)priority);
    if (r == 0)
        memcpy(ret_id, id, ID_MAX);
    return r;
}

static int add_result(struct sql *sql, const char *id, cJSON *doc, struct err *err) {
    struct sql_rows rows;
    cJSON *samples = cJSON_AddArrayToObject(doc, "samples_us");
    char *data = NULL;
    sql_query(
        sql, &rows,
        "SELECT samples, data FROM results WHERE measurement = ?1 AND counted ORDER BY id DESC "
        "LIMIT 1",
        "t", id);
    if (sql_next(&rows)) {
        size_t len;
        double x;
        const char *bytes = sql_blob(&rows, 0, &len);
        for (size_t i = 0; i + sizeof(x) <= len; i += sizeof(x)) {
            memcpy(&x, bytes + i, sizeof(x));
            cJSON_AddItemToArray(samples, cJSON_CreateNumber(x));
        }
        data = mem_strdup(sql_text(&rows, 1));
    }
    int r = sql_end(&rows, err);
    cJSON *result = data != NULL ? cJSON_Parse(data) : NULL;
    static const char *const keys[] = {"reference", "environment", "first_us", "batches",
                                       "energy_source"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        cJSON *member = cJSON_DetachItemFromObjectCaseSensitive(result, keys[i]);
        cJSON_AddItemToObject(doc, keys[i], member != NULL ? member : cJSON_CreateNull());
    }
    cJSON_Delete(result);
    free(data);
    return r;
}

int store_measurement_row(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_get_row(sql, err, &doc,
                        "SELECT " MEASUREMENT_COLUMNS " FROM measurements WHERE id = ?1", "t", id);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no measurement \"%s\"", id);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

int store_measurement_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = store_measurement_row(sql, id, err, &doc);
    if (r == 0)
        r = add_result(sql, id, doc, err);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}

#define OF_MEASUREMENTS(by_graph)                                                                  \
    "SELECT " MEASUREMENT_COLUMNS " FROM measurements WHERE (?1 IS NULL OR id < ?1) AND (?3 IS "   \
    "NULL OR profile = ?3) AND (?4 IS NULL OR state = ?4) AND (?5 IS NULL OR kind = ?5) " by_graph \
    " ORDER BY id DESC LIMIT ?2"

int store_measurement_list(struct sql *sql, const struct measurement_filter *filter,
                           const struct sql_page_args *page, struct err *err, cJSON **ret_doc) {
    if (filter->graph_id != NULL) /* few of many: by an index of its own */
        return sql_page(sql, err, page, "id", ret_doc, OF_MEASUREMENTS("AND graph_id = ?6"), "tttt",
                        filter->profile, filter->state, filter->kind, filter->graph_id);
    return sql_page(sql, err, page, "id", ret_doc, OF_MEASUREMENTS(""), "ttt", filter->profile,
                    filter->state, filter->kind);
}

int store_measurement_status(struct sql *sql, const char *id, struct err *err,
                             struct measurement_status *ret_status) {
    struct sql_rows rows;
    struct measurement_status status = {.state = MEASUREMENT_QUEUED};
    sql_query(sql, &rows, "SELECT state, attempt, failures FROM measurements WHERE id = ?1", "t",
              id);
    bool found = sql_next(&rows);
    if (found) {
        int state = 0;
        while (strcmp(measurement_state_names[state], sql_text(&rows, 0)) != 0)
            state++;
        status = (struct measurement_status){(enum measurement_state)state, (int)sql_int(&rows, 1),
                                             (int)sql_int(&rows, 2)};
    }
    int r = sql_end(&rows, err);
    if (r == 0 && !found)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no measurement \"%s\"", id);
    if (r == 0)
        *ret_status = status;
    return r;
}

static char *error_text(const struct err *error) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "code", err_name(error->code));
    cJSON_AddStringToObject(doc, "message", error->message);
    char *text = json_print(doc);
    cJSON_Delete(doc);
    return text;
}

static int save_status(struct store_tx *tx, const char *id, const struct measurement_status *status,
                       const struct err *error, struct err *err) {
    bool terminal = measurement_terminal(status->state);
    char *text = error != NULL && status->state != MEASUREMENT_ACCEPTED ? error_text(error) : NULL;
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE measurements SET state = ?2, attempt = ?3, failures = ?4, error = ?5, "
                    "finished_us = CASE WHEN ?6 THEN ?7 END WHERE id = ?1",
                    "ttiitii", id, measurement_state_names[status->state], (int64_t)status->attempt,
                    (int64_t)status->failures, text, (int64_t)terminal, store_tx_now_us(tx));
    free(text);
    return r;
}

int store_measurement_apply(struct store_tx *tx, const char *id, enum measurement_event event,
                            const struct err *error, struct err *err) {
    struct measurement_status status;
    int r = store_measurement_status(store_tx_sql(tx), id, err, &status);
    if (r != 0)
        return r;
    enum measurement_state from = status.state;
    if (measurement_step(&status, event) != 0)
        return err_set(err, ESP_ECONFLICT, NULL, "the measurement is %s: it cannot %s",
                       measurement_state_names[from], measurement_event_names[event]);
    r = save_status(tx, id, &status, error, err);
    if (r == 0 && status.state != from)
        r = store_tx_transition(tx, err, "measurement", id, measurement_state_names[from],
                                measurement_state_names[status.state],
                                measurement_event_names[event]);
    if (r == 0 && status.state != from)
        r = announce(tx, id, err);
    if (r == 0 && measurement_terminal(status.state)) {
        r = store_tables_measured(tx, id, status.state == MEASUREMENT_ACCEPTED, err);
        store_tx_wake(tx, STORE_WAKE_REQUESTS);
    }
    store_tx_wake(tx, STORE_WAKE_FLEET);
    return r;
}

enum { MEDIAN, LOW, HIGH, MEAN, SD, NUMBERS };

static int read_numbers(const cJSON *result, struct err *err, double ret_us[NUMBERS],
                        int64_t *ret_n) {
    static const char *const keys[NUMBERS] = {"median_us", "low_us", "high_us", "mean_us", "sd_us"};
    double us[NUMBERS];
    int64_t n = 0;
    int r = json_int(result, "", "n", 1, 1000000000, err, &n);
    for (int i = 0; i < NUMBERS && r == 0; i++)
        r = json_real(result, "", keys[i], i == SD ? 0 : 1e-6, 1e10, err, &us[i]);
    if (r == 0 && !(us[LOW] <= us[MEDIAN] && us[MEDIAN] <= us[HIGH]))
        r = err_set(err, ESP_EINVAL, "/median_us", "the median must lie in its own interval");
    if (r != 0)
        return r;
    memcpy(ret_us, us, sizeof(us));
    *ret_n = n;
    return 0;
}

int store_measurement_check(const cJSON *result, struct err *err) {
    double us[NUMBERS];
    int64_t n;
    return read_numbers(result, err, us, &n);
}

int store_measurement_set(struct store_tx *tx, const char *id, const cJSON *result,
                          const char *flags, struct err *err) {
    double us[NUMBERS], energy_uj = NAN;
    int64_t n;
    int r = read_numbers(result, err, us, &n);
    if (r == 0)
        r = json_real_opt(result, "", "energy_uj", 0, ENERGY_MOST_UJ, err, &energy_uj);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE measurements SET median_us = ?2, low_us = ?3, high_us = ?4, mean_us = "
                    "?5, sd_us = ?6, n = ?7, energy_uj = ?8, flags = ?9 WHERE id = ?1",
                    "trrrrrirt", id, us[MEDIAN], us[LOW], us[HIGH], us[MEAN], us[SD], n, energy_uj,
                    flags);
    return r;
}

/* Applies event to each of rows [{"id"}], which is freed. */
static int apply_all(struct store_tx *tx, cJSON *rows, enum measurement_event event,
                     const struct err *error, struct err *err) {
    const cJSON *row;
    int r = 0;
    cJSON_ArrayForEach(row, rows) {
        if (r == 0)
            r = store_measurement_apply(tx, cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")),
                                        event, error, err);
    }
    cJSON_Delete(rows);
    return r;
}

int store_measurements_supersede(struct store_tx *tx, const char *profile, const char *revision,
                                 struct err *err) {
    struct err why = {0};
    cJSON *rows = NULL;
    err_set(&why, ESP_EMISMATCH, NULL,
            "the board's environment has changed since: ask for it again");
    int r =
        sql_get_rows(store_tx_sql(tx), err, &rows,
                     "SELECT id FROM measurements WHERE profile = ?1 AND profile_revision <> ?2 "
                     "AND state IN ('queued', 'leased', 'running')",
                     "tt", profile, revision);
    return r != 0 ? r : apply_all(tx, rows, MEASUREMENT_REFUSE, &why, err);
}

int store_measurements_cancel_device(struct store_tx *tx, const char *device, struct err *err) {
    struct err why = {0};
    cJSON *rows = NULL;
    err_set(&why, ESP_EGONE, NULL, "its board was removed");
    int r =
        sql_get_rows(store_tx_sql(tx), err, &rows,
                     "SELECT m.id FROM measurements m JOIN profiles p ON p.id = m.profile WHERE "
                     "p.device = ?1 AND m.state IN ('queued', 'leased', 'running')",
                     "t", device);
    return r != 0 ? r : apply_all(tx, rows, MEASUREMENT_CANCEL, &why, err);
}

int store_measurement_abandon(struct store_tx *tx, const char *id, struct err *err) {
    int64_t unwanted = 0;
    int r = sql_get_int(
        store_tx_sql(tx), err, &unwanted, NULL,
        "SELECT state IN ('queued', 'leased', 'running') AND priority < ?2 AND NOT EXISTS (SELECT "
        "1 "
        "FROM table_entries e JOIN tables t ON t.id = e.table_id JOIN jobs j ON j.id = t.job WHERE "
        "e.measurement IN (m.id, m.repeats) AND j.state = 'running') AND NOT EXISTS (SELECT 1 FROM "
        "measure_requests q JOIN jobs j ON j.id = q.job WHERE q.measurement = m.id AND j.state NOT "
        "IN ('canceling', 'done', 'failed', 'canceled')) FROM measurements m WHERE id = ?1",
        "ti", id, (int64_t)MEASUREMENT_OF_PERSON);
    if (r != 0 || !unwanted)
        return r;
    return store_measurement_apply(tx, id, MEASUREMENT_CANCEL, NULL, err);
}

static int read_graph(const cJSON *item, const char *at, struct err *err, char **ret_text,
                      char ret_id[HASH_TEXT]) {
    struct graph *graph = NULL;
    char graph_at[64];
    snprintf(graph_at, sizeof(graph_at), "%s/graph", at);
    int r = graph_from_json(cJSON_GetObjectItemCaseSensitive(item, "graph"), graph_at, err, &graph);
    if (r != 0)
        return r;
    graph_id(graph, "fp32", ret_id);
    cJSON *doc = graph_to_json(graph);
    *ret_text = doc != NULL ? json_print(doc) : NULL;
    cJSON_Delete(doc);
    free(graph);
    return *ret_text != NULL ? 0 : out_of_memory(err);
}

static int add_request(struct store_tx *tx, const char *job, int64_t request,
                       const char *measurement, const char *error, struct err *err) {
    return sql_run(
        store_tx_sql(tx), err, NULL,
        "INSERT INTO measure_requests (job, request, measurement, error) VALUES (?1, ?2, "
        "?3, ?4) ON CONFLICT DO NOTHING",
        "titt", job, request, measurement, error);
}

static int read_method(const cJSON *item, const char *at, struct err *err,
                       char ret_id[METHOD_ID_MAX]) {
    const char *name = "brief";
    char method_at[64];
    int r = json_string_opt(item, at, "method", 1, METHOD_ID_MAX - 1, err, &name);
    const struct method *method = r == 0 ? method_find(name) : NULL;
    snprintf(method_at, sizeof(method_at), "%s/method", at);
    if (r == 0 && method == NULL)
        r = err_set(err, ESP_EINVAL, method_at, "there is no method \"%s\"", name);
    if (r == 0)
        method_id(method, ret_id);
    return r;
}

/* What the profile cannot take is answered as failed, not as the job's fault. */
static int add_item(struct store_tx *tx, const char *job, const cJSON *item, const char *at,
                    struct err *err) {
    struct measurement_request request = {
        .kind = "network", .seed = 1, .priority = MEASUREMENT_OF_SEARCH};
    char *text = NULL, id[ID_MAX], graph[HASH_TEXT], method[METHOD_ID_MAX];
    int64_t number, take = 1;
    int r = json_int(item, at, "request", 0, INT64_C(1) << 40, err, &number);
    if (r == 0)
        r = json_int_opt(item, at, "take", 1, MEASUREMENT_TAKES_MAX, err, &take);
    if (r == 0)
        r = json_string(item, at, "profile_id", 1, ID_MAX - 1, err, &request.profile);
    if (r == 0)
        r = json_string(item, at, "arch", 1, 2048, err, &request.arch);
    if (r == 0)
        r = read_method(item, at, err, method);
    if (r == 0)
        r = read_graph(item, at, err, &text, graph);
    if (r != 0)
        return r;
    request.graph = text;
    request.graph_id = graph;
    request.method = method;
    request.take = (int)take;
    r = store_measurement_ask(tx, &request, err, id);
    if (r == 0)
        r = add_request(tx, job, number, id, NULL, err);
    else if (r == ESP_ENOTFOUND)
        r = add_request(tx, job, number, NULL, err->message, err);
    free(text);
    return r;
}

int store_measure_requests_add(struct store_tx *tx, const char *job, const cJSON *data,
                               struct err *err) {
    const cJSON *items, *item;
    int i = 0;
    int r = json_array(data, "", "items", 0, 100000, err, &items);
    if (r != 0)
        return r;
    cJSON_ArrayForEach(item, items) {
        char at[32];
        snprintf(at, sizeof(at), "/items/%d", i++);
        if (r == 0)
            r = add_item(tx, job, item, at, err);
    }
    store_tx_wake(tx, STORE_WAKE_REQUESTS);
    return r;
}

int store_measure_answers(struct sql *sql, const char *job, struct err *err, cJSON **ret_array) {
    return sql_get_rows(
        sql, err, ret_array,
        "SELECT 'measurement' AS type, q.request, q.measurement AS measurement_id, CASE m.state "
        "WHEN 'accepted' THEN 'accepted' ELSE 'failed' END AS state, m.median_us, m.low_us, "
        "m.high_us, m.mean_us, m.sd_us, m.n, m.energy_uj, m.method, m.profile_revision, CASE WHEN "
        "m.state IS "
        "NULL THEN q.error WHEN m.state = 'canceled' THEN coalesce(json_extract(m.error, "
        "'$.message'), 'the measurement was canceled') ELSE json_extract(m.error, '$.message') END "
        "AS error, (m.id IS NULL OR coalesce(json_extract(m.error, '$.code') = 'gone', 0)) AS "
        "\"no_board@bool\" FROM measure_requests q LEFT JOIN measurements m ON m.id = "
        "q.measurement WHERE "
        "q.job = ?1 AND (m.id IS NULL OR (q.error IS NULL AND m.state IN ('accepted', 'failed', "
        "'canceled'))) ORDER BY q.request",
        "t", job);
}

/* The mark of a request whose measurement was given up with its job; it has no answer then. */
#define DROPPED "dropped"

/* No job that runs waits for a measurement that was given up, so the mark is for all that asked. */
static int drop_request(struct store_tx *tx, const char *measurement, struct err *err) {
    int r = store_measurement_abandon(tx, measurement, err);
    return r != 0 ? r
                  : sql_run(store_tx_sql(tx), err, NULL,
                            "UPDATE measure_requests SET error = '" DROPPED "' WHERE measurement = "
                            "?1 AND (SELECT state FROM measurements WHERE id = ?1) = 'canceled'",
                            "t", measurement);
}

int store_measure_requests_drop(struct store_tx *tx, const char *job, struct err *err) {
    cJSON *rows = NULL;
    const cJSON *row;
    int r = sql_get_rows(store_tx_sql(tx), err, &rows,
                         "SELECT DISTINCT m.id FROM measure_requests q JOIN measurements m ON m.id "
                         "= q.measurement WHERE q.job = ?1 AND m.state IN ('queued', 'leased', "
                         "'running')",
                         "t", job);
    cJSON_ArrayForEach(row, rows) {
        if (r == 0)
            r = drop_request(tx, cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")), err);
    }
    cJSON_Delete(rows);
    return r;
}

/* row: the dropped request's number and its measurement, which tells what to ask for. */
static int renew_request(struct store_tx *tx, const char *job, const cJSON *row, struct err *err) {
    struct measurement_request request = {
        .profile = cJSON_GetStringValue(cJSON_GetObjectItem(row, "profile")),
        .kind = "network",
        .graph_id = cJSON_GetStringValue(cJSON_GetObjectItem(row, "graph_id")),
        .graph = cJSON_GetStringValue(cJSON_GetObjectItem(row, "graph")),
        .arch = cJSON_GetStringValue(cJSON_GetObjectItem(row, "arch")),
        .method = cJSON_GetStringValue(cJSON_GetObjectItem(row, "method")),
        .take = (int)cJSON_GetNumberValue(cJSON_GetObjectItem(row, "take")),
        .seed = 1,
        .priority = MEASUREMENT_OF_SEARCH};
    char id[ID_MAX];
    int r = store_measurement_ask(tx, &request, err, id);
    bool gone = r == ESP_ENOTFOUND;
    return r != 0 && !gone
               ? r
               : sql_run(store_tx_sql(tx), err, NULL,
                         "UPDATE measure_requests SET measurement = ?3, error = ?4 WHERE job = ?1 "
                         "AND request = ?2",
                         "titt", job,
                         (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(row, "request")),
                         gone ? NULL : id, gone ? err->message : NULL);
}

int store_measure_requests_renew(struct store_tx *tx, const char *job, struct err *err) {
    cJSON *rows = NULL;
    const cJSON *row;
    int r = sql_get_rows(
        store_tx_sql(tx), err, &rows,
        "SELECT q.request, m.profile, m.graph_id, m.graph, m.arch, m.method, m.take FROM "
        "measure_requests q JOIN measurements m ON m.id = q.measurement WHERE "
        "q.job = ?1 AND q.error = '" DROPPED "' ORDER BY q.request",
        "t", job);
    cJSON_ArrayForEach(row, rows) {
        if (r == 0)
            r = renew_request(tx, job, row, err);
    }
    cJSON_Delete(rows);
    store_tx_wake(tx, STORE_WAKE_REQUESTS);
    return r;
}

int store_measure_requests_open(struct sql *sql, const char *job, struct err *err, int64_t *ret) {
    return sql_get_int(sql, err, ret, NULL,
                       "SELECT count(*) FROM measure_requests q JOIN measurements m ON m.id = "
                       "q.measurement WHERE q.job = ?1 AND m.state IN ('queued', 'leased', "
                       "'running')",
                       "t", job);
}

/* A board that is away may hold a lease until that runs out. */
#define TAKES_WORK                                                                                 \
    "(d.away_us IS NULL AND (m.state <> 'queued' OR (d.state = 'active' AND d.health NOT IN "      \
    "('quarantined', 'maintenance'))))"

int store_measure_requests_keeper(struct sql *sql, const char *job, struct err *err,
                                  cJSON **ret_board) {
    cJSON *board = NULL;
    int r = sql_get_row(
        sql, err, &board,
        "SELECT d.id AS device, d.name AS device_name, CASE WHEN d.away_us IS NOT NULL THEN "
        "'offline' WHEN d.state <> 'active' THEN d.state ELSE d.health END AS why, " TAKES_WORK
        " AS \"takes_work@bool\" FROM measure_requests q JOIN measurements m ON m.id = "
        "q.measurement JOIN profiles p ON p.id = m.profile JOIN devices d ON d.id = p.device WHERE "
        "q.job = ?1 AND m.state IN ('queued', 'leased', 'running') ORDER BY 4 DESC, q.request "
        "LIMIT 1",
        "t", job);
    cJSON *works = cJSON_DetachItemFromObject(board, "takes_work");
    if (cJSON_IsTrue(works)) {
        cJSON_Delete(board);
        board = NULL;
    }
    cJSON_Delete(works);
    if (r == 0)
        *ret_board = board;
    return r;
}
