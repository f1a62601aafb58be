#include "daemon/store_tables.h"

#include <stdio.h>
#include <string.h>

#include "daemon/store_devices.h"
#include "daemon/store_jobs.h"
#include "daemon/store_measurements.h"
#include "daemon/store_repeats.h"
#include "daemon/store_supernets.h"

/* clang-format off */
#define OPEN "m.state IN ('queued', 'leased', 'running')"
#define DEAD "m.state IN ('failed', 'canceled')"
#define TABLE_COUNTS                                                                               \
    "(SELECT json_object("                                                                         \
    "  'needed', count(*), "                                                                       \
    "  'measured', coalesce(sum(m.state = 'accepted'), 0), "                                       \
    "  'failed', coalesce(sum(m.state = 'failed'), 0), "                                           \
    "  'coverage', coalesce(avg(m.state = 'accepted'), 0), "                                       \
    "  'spread', avg(CASE m.state WHEN 'accepted' THEN " REPEAT_SPREAD " END), "                   \
    "  'spread_worst', max(CASE m.state WHEN 'accepted' THEN " REPEAT_SPREAD " END), "             \
    "  'noisy', coalesce(sum(m.state = 'accepted' AND " REPEAT_NOISY "), 0), "                \
    "  'changed', coalesce(sum(m.flags LIKE '%\"changed\"%'), 0), "                                \
    "  'oldest_at', " SQL_TIME("min(CASE m.state WHEN 'accepted' THEN m.finished_us END)") ", "    \
    "  'newest_at', " SQL_TIME("max(CASE m.state WHEN 'accepted' THEN m.finished_us END)") ", "    \
    "  'state', CASE WHEN coalesce(sum(" OPEN "), 0) > 0 THEN 'measuring' WHEN "                   \
    "    coalesce(sum(" DEAD "), 0) > 0 THEN 'incomplete' ELSE 'ready' END) "                      \
    "FROM table_entries e JOIN measurements m ON m.id = e.measurement WHERE e.table_id = "         \
    "tables.id)"
#define TABLE_REPEATS                                                                              \
    "(SELECT count(*) FROM measurements o JOIN table_entries e ON e.measurement = o.repeats "      \
    "WHERE e.table_id = tables.id AND o.repeats IS NOT NULL AND o.state IN ('queued', 'leased', "  \
    "'running'))"
#define TABLE_COLUMNS                                                                              \
    "id, profile, " STORE_PROFILE_NAME("tables") ", "                                              \
    "profile_revision, space, space_fingerprint, method, "                                         \
    TABLE_COUNTS " AS \"counts@json\", "                                                           \
    TABLE_REPEATS " AS repeating, "                                                                \
    "(SELECT json_extract(" STORE_TABLE_PROGRESS ", '$.eta_s') FROM jobs WHERE jobs.id = "         \
    "tables.job AND jobs.state = 'running') AS eta_s, "                                            \
    "job, created_us AS \"created_at@time\""
/* clang-format on */

static int announce(struct store_tx *tx, const char *id, struct err *err) {
    cJSON *doc = NULL;
    int r = store_table_get(store_tx_sql(tx), id, err, &doc);
    if (r == 0)
        r = store_tx_event(tx, err, "table", doc);
    cJSON_Delete(doc);
    return r;
}

static int find_or_create(struct store_tx *tx, const struct table_request *request, struct err *err,
                          char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    struct sql_rows rows;
    int r = store_space_document_put(tx, request->fingerprint, request->document, err);
    if (r != 0)
        return r;
    id_make("tb_", ret_id);
    r = sql_run(
        sql, err, NULL,
        "INSERT INTO tables (id, profile, profile_revision, space, space_fingerprint, "
        "method, created_us) SELECT ?1, ?2, revision, ?3, ?4, ?5, ?6 FROM profiles WHERE id "
        "= ?2 ON CONFLICT DO NOTHING",
        "ttttti", ret_id, request->profile, request->space, request->fingerprint, request->method,
        store_tx_now_us(tx));
    if (r != 0)
        return r;
    sql_query(sql, &rows,
              "SELECT t.id FROM tables t JOIN profiles p ON p.revision = t.profile_revision WHERE "
              "p.id = ?1 AND t.space_fingerprint = ?2 AND t.method = ?3",
              "ttt", request->profile, request->fingerprint, request->method);
    bool found = sql_next(&rows);
    if (found)
        snprintf(ret_id, ID_MAX, "%s", sql_text(&rows, 0));
    r = sql_end(&rows, err);
    if (r == 0 && !found)
        r = err_set(err, ESP_ENOTFOUND, "/profile", "there is no profile \"%s\"", request->profile);
    return r;
}

static int ask_entry(struct store_tx *tx, const char *table, const struct table_request *request,
                     const struct table_entry *entry, struct err *err) {
    struct measurement_request ask = {.profile = request->profile,
                                      .kind = "unit",
                                      .graph_id = entry->graph_id,
                                      .graph = entry->graph,
                                      .signature = entry->signature,
                                      .method = request->method,
                                      .seed = 1};
    char id[ID_MAX];
    int r = store_measurement_ask(tx, &ask, err, id);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO table_entries (table_id, signature, measurement) VALUES (?1, ?2, "
                    "?3) ON CONFLICT DO UPDATE SET measurement = excluded.measurement",
                    "ttt", table, entry->signature, id);
    return r;
}

/* What remains to be done, and why not all of it can be. */
struct progress {
    int64_t needed, open, failed;
};

static int load_progress(struct sql *sql, const char *table, struct err *err,
                         struct progress *ret) {
    struct sql_rows rows;
    sql_query(sql, &rows,
              "SELECT count(*), sum(m.state IN ('queued', 'leased', 'running')), sum(m.state IN "
              "('failed', 'canceled')) FROM table_entries e JOIN measurements m ON m.id = "
              "e.measurement WHERE e.table_id = ?1",
              "t", table);
    if (sql_next(&rows))
        *ret = (struct progress){sql_int(&rows, 0), sql_int(&rows, 1), sql_int(&rows, 2)};
    int r = sql_end(&rows, err);
    if (r == 0 && ret->open == 0)
        r = sql_get_int(sql, err, &ret->open, NULL,
                        "SELECT " TABLE_REPEATS " FROM tables WHERE id = ?1", "t", table);
    return r;
}

static int first_error(struct sql *sql, const char *table, struct err *err, struct err *ret_why,
                       const struct progress *progress) {
    struct sql_rows rows;
    sql_query(
        sql, &rows,
        "SELECT coalesce(json_extract(m.error, '$.message'), m.state), e.signature FROM "
        "table_entries e JOIN measurements m ON m.id = e.measurement WHERE e.table_id = ?1 AND "
        "m.state IN ('failed', 'canceled') LIMIT 1",
        "t", table);
    err_set(ret_why, ESP_EMISSING, NULL, "%lld of %lld entries were not measured",
            (long long)progress->failed, (long long)progress->needed);
    if (sql_next(&rows))
        err_set(ret_why, ESP_EMISSING, NULL, "%lld of %lld entries were not measured; %s: %.200s",
                (long long)progress->failed, (long long)progress->needed, sql_text(&rows, 1),
                sql_text(&rows, 0));
    return sql_end(&rows, err);
}

static int end_if_complete(struct store_tx *tx, const char *table, const char *job,
                           struct err *err) {
    struct progress progress = {0};
    struct err why = {0};
    int r = load_progress(store_tx_sql(tx), table, err, &progress);
    if (r != 0 || progress.open > 0)
        return r;
    if (progress.failed > 0) {
        r = first_error(store_tx_sql(tx), table, err, &why, &progress);
        return r != 0 ? r : store_job_fail(tx, job, &why, err);
    }
    cJSON *result = cJSON_CreateObject();
    cJSON_AddNumberToObject(result, "measured", (double)progress.needed);
    r = store_job_finish(tx, job, result, err);
    cJSON_Delete(result);
    return r;
}

static int start_job(struct store_tx *tx, const char *table, const cJSON *spec, struct err *err,
                     char ret_job[ID_MAX]) {
    int r = store_job_create(tx, "table", table, spec, err, ret_job);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE tables SET job = ?2 WHERE id = ?1", "tt",
                    table, ret_job);
    if (r == 0)
        r = store_job_apply(tx, ret_job, JOB_START, NULL, err);
    return r != 0 ? r : end_if_complete(tx, table, ret_job, err);
}

static int running_job(struct sql *sql, const char *table, struct err *err, char ret_job[ID_MAX]) {
    return sql_get_text(
        sql, err, ret_job, ID_MAX,
        "SELECT j.id FROM tables t JOIN jobs j ON j.id = t.job WHERE t.id = ?1 AND j.state = "
        "'running'",
        "t", table);
}

int store_table_build(struct store_tx *tx, const struct table_request *request, struct err *err,
                      char ret_table[ID_MAX], char ret_job[ID_MAX]) {
    char table[ID_MAX], job[ID_MAX];
    int r = find_or_create(tx, request, err, table);
    for (int i = 0; i < request->n_entries && r == 0; i++)
        r = ask_entry(tx, table, request, &request->entries[i], err);
    if (r == 0)
        r = store_repeat_entries(tx, table, request->before_us, err);
    if (r == 0)
        r = running_job(store_tx_sql(tx), table, err, job);
    if (r == 0 && job[0] == '\0') {
        cJSON *spec = cJSON_CreateObject();
        cJSON_AddStringToObject(spec, "table_id", table);
        r = start_job(tx, table, spec, err, job);
        cJSON_Delete(spec);
    }
    if (r == 0)
        r = announce(tx, table, err);
    if (r != 0)
        return r;
    memcpy(ret_table, table, sizeof(table));
    memcpy(ret_job, job, sizeof(job));
    return 0;
}

/* One that failed, as a request for another like it. */
static int ask_again(struct store_tx *tx, const char *table, const cJSON *row, struct err *err) {
    const char *signature = cJSON_GetStringValue(cJSON_GetObjectItem(row, "signature"));
    struct measurement_request ask = {
        .profile = cJSON_GetStringValue(cJSON_GetObjectItem(row, "profile")),
        .kind = "unit",
        .graph_id = cJSON_GetStringValue(cJSON_GetObjectItem(row, "graph_id")),
        .graph = cJSON_GetStringValue(cJSON_GetObjectItem(row, "graph")),
        .signature = signature,
        .method = cJSON_GetStringValue(cJSON_GetObjectItem(row, "method")),
        .seed = 1};
    char id[ID_MAX];
    int r = store_measurement_ask(tx, &ask, err, id);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE table_entries SET measurement = ?3 WHERE table_id = ?1 AND signature = "
                    "?2",
                    "ttt", table, signature, id);
    return r;
}

static int check_there(struct sql *sql, const char *table, struct err *err) {
    int64_t there = 0;
    int r = sql_get_int(sql, err, &there, NULL, "SELECT count(*) FROM tables WHERE id = ?1", "t",
                        table);
    return r == 0 && there == 0
               ? err_set(err, ESP_EGONE, NULL, "its table was removed: build it anew")
               : r;
}

int store_table_retry(struct store_tx *tx, const char *table, const char *job, struct err *err) {
    cJSON *rows = NULL;
    const cJSON *row;
    int r = check_there(store_tx_sql(tx), table, err);
    if (r == 0)
        r = sql_get_rows(store_tx_sql(tx), err, &rows,
                         "SELECT m.profile, m.graph_id, m.graph, e.signature, m.method FROM "
                         "table_entries e JOIN measurements m ON m.id = e.measurement WHERE "
                         "e.table_id = ?1 AND m.state IN ('failed', 'canceled') ORDER BY m.id",
                         "t", table);
    cJSON_ArrayForEach(row, rows) {
        if (r == 0)
            r = ask_again(tx, table, row, err);
    }
    cJSON_Delete(rows);
    if (r == 0)
        r = store_repeat_entries(tx, table, 0, err);
    if (r == 0)
        r = store_job_apply(tx, job, JOB_START, NULL, err);
    return r != 0 ? r : end_if_complete(tx, table, job, err);
}

int store_table_remove(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users) {
    struct sql *sql = store_tx_sql(tx);
    cJSON *users = NULL;
    int changes = 0;
    int r = sql_get_rows(sql, err, &users,
                         "SELECT 'job' AS kind, id, kind AS name FROM jobs WHERE subject = ?1 AND "
                         "state NOT IN ('done', 'failed', 'canceled') LIMIT 100",
                         "t", id);
    if (r == 0 && cJSON_GetArraySize(users) > 0) {
        *ret_users = users;
        return err_set(err, ESP_ECONFLICT, NULL, "a job fills the table: cancel it first");
    }
    cJSON_Delete(users);
    if (r == 0)
        r = sql_run(sql, err, &changes, "DELETE FROM tables WHERE id = ?1", "t", id);
    if (r == 0 && changes == 0)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no table \"%s\"", id);
    return r == 0 ? store_tx_removed(tx, err, "table", id) : r;
}

int store_table_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r =
        sql_get_row(sql, err, &doc, "SELECT " TABLE_COLUMNS " FROM tables WHERE id = ?1", "t", id);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no table \"%s\"", id);
    if (r == 0)
        r = sql_spread(doc, "counts", err);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}

int store_table_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                     cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r =
        sql_page(sql, err, page, "id", &doc,
                 "SELECT " TABLE_COLUMNS " FROM tables WHERE (?1 IS NULL OR id < ?1) ORDER BY id "
                 "DESC LIMIT ?2",
                 "");
    return r != 0 ? r : sql_spread_all(doc, "counts", err, ret_doc);
}

int store_table_has_entry(struct sql *sql, const char *id, const char *signature, struct err *err,
                          bool *ret_has) {
    int64_t n = 0;
    int r = sql_get_int(sql, err, &n, NULL,
                        "SELECT count(*) FROM table_entries WHERE table_id = ?1 AND signature = ?2",
                        "tt", id, signature);
    if (r == 0)
        *ret_has = n > 0;
    return r;
}

int store_table_entries(struct sql *sql, const char *id, const struct sql_page_args *page,
                        struct err *err, cJSON **ret_doc) {
    return sql_page(
        sql, err, page, "signature", ret_doc,
        "SELECT e.signature, m.state, m.median_us, m.low_us, m.high_us, m.sd_us, "
        "m.n, " REPEAT_SPREAD " AS spread, m.finished_us AS \"measured_at@time\", m.flags AS "
        "\"flags@json\", m.id AS measurement FROM table_entries e JOIN measurements m ON m.id = "
        "e.measurement WHERE (?1 IS NULL OR e.signature < ?1) AND e.table_id = ?3 ORDER "
        "BY e.signature DESC LIMIT ?2",
        "t", id);
}

int store_tables_measured(struct store_tx *tx, const char *measurement, bool accepted,
                          struct err *err) {
    cJSON *rows = NULL;
    const cJSON *row;
    int r = accepted ? store_repeat_settle(tx, measurement, err) : 0;
    if (r == 0)
        r = sql_get_rows(
            store_tx_sql(tx), err, &rows,
            "SELECT e.table_id AS id, (SELECT j.id FROM jobs j WHERE j.id = t.job AND j.state = "
            "'running') AS job FROM table_entries e JOIN tables t ON t.id = e.table_id WHERE "
            "e.measurement IN (?1, (SELECT repeats FROM measurements WHERE id = ?1)) AND (job IS "
            "NOT NULL OR ?2)",
            "ti", measurement, (int64_t)accepted);
    cJSON_ArrayForEach(row, rows) {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(row, "id"));
        const char *job = cJSON_GetStringValue(cJSON_GetObjectItem(row, "job"));
        if (r == 0 && job != NULL)
            r = end_if_complete(tx, id, job, err);
        if (r == 0)
            r = announce(tx, id, err);
    }
    cJSON_Delete(rows);
    return r;
}

int store_table_follow(struct store_tx *tx, const char *id, enum job_state state, struct err *err) {
    cJSON *rows = NULL;
    const cJSON *row;
    if (state != JOB_CANCELED)
        return 0;
    int r = sql_get_rows(store_tx_sql(tx), err, &rows,
                         "SELECT e.measurement AS id FROM table_entries e JOIN measurements m ON "
                         "m.id = e.measurement WHERE e.table_id = ?1 AND m.state IN ('queued', "
                         "'leased', 'running') UNION ALL SELECT o.id FROM measurements o JOIN "
                         "table_entries e ON e.measurement = o.repeats WHERE e.table_id = ?1 AND "
                         "o.repeats IS NOT NULL AND o.state IN ('queued', 'leased', 'running')",
                         "t", id);
    cJSON_ArrayForEach(row, rows) {
        if (r == 0)
            r = store_measurement_abandon(tx, cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")),
                                          err);
    }
    cJSON_Delete(rows);
    return r != 0 ? r : announce(tx, id, err);
}

int store_table_progress(struct sql *sql, struct err *err, cJSON **ret_array) {
    cJSON *rows = NULL, *row;
    int r =
        sql_get_rows(sql, err, &rows,
                     "SELECT id AS job, kind, subject FROM jobs WHERE kind = 'table' AND state = "
                     "'running'",
                     "");
    cJSON_ArrayForEach(row, rows) {
        cJSON *job = NULL;
        if (r == 0)
            r = store_job_get(sql, cJSON_GetStringValue(cJSON_GetObjectItem(row, "job")), err,
                              &job);
        if (r == 0)
            cJSON_AddItemToObject(row, "progress",
                                  cJSON_DetachItemFromObjectCaseSensitive(job, "progress"));
        cJSON_Delete(job);
    }
    if (r == 0)
        *ret_array = rows;
    else
        cJSON_Delete(rows);
    return r;
}

/* Of two methods the more thorough one stands: "full" sorts behind "brief", and SQLite takes the
 * other columns from the row that has the maximum. That a unit is no reference is said for the
 * index of identities. */
int store_table_document(struct sql *sql, const char *profile_revision, struct err *err,
                         cJSON **ret_doc) {
    cJSON *entries = NULL, *doc;
    int r = sql_get_rows(
        sql, err, &entries,
        "SELECT signature, median_us, low_us, high_us, sd_us, n, cast(substr(max(method), "
        "instr(max(method), '/') + 1) AS INTEGER) AS method FROM measurements WHERE "
        "profile_revision = ?1 AND kind = 'unit' AND kind <> 'reference' AND aside = 0 AND state "
        "IN ('queued', 'leased', 'running', 'accepted') AND state = 'accepted' GROUP BY signature",
        "t", profile_revision);
    if (r != 0)
        return r;
    doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "profile_revision", profile_revision);
    cJSON_AddItemToObject(doc, "entries", entries);
    *ret_doc = doc;
    return 0;
}

int store_profile_table(struct sql *sql, const char *profile, struct err *err,
                        char ret_revision[ID_MAX], cJSON **ret_doc) {
    struct sql_rows rows;
    ret_revision[0] = '\0';
    sql_query(sql, &rows, "SELECT revision FROM profiles WHERE id = ?1", "t", profile);
    if (sql_next(&rows) && !sql_null(&rows, 0))
        snprintf(ret_revision, ID_MAX, "%s", sql_text(&rows, 0));
    int r = sql_end(&rows, err);
    if (r == 0 && ret_revision[0] == '\0')
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no profile \"%s\"", profile);
    return r != 0 ? r : store_table_document(sql, ret_revision, err, ret_doc);
}

int store_table_profiles(struct sql *sql, const char *space_fingerprint, const char *except, int n,
                         struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows,
                        "SELECT t.profile AS profile FROM tables t JOIN profiles p ON p.id = "
                        "t.profile AND p.revision = t.profile_revision WHERE t.space_fingerprint = "
                        "?1 AND t.profile IS NOT ?2 GROUP BY t.profile ORDER BY max(t.created_us) "
                        "DESC, t.profile LIMIT ?3",
                        "tti", space_fingerprint, except, (int64_t)n);
}
