#include "daemon/store_jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/store_datasets.h"
#include "daemon/store_exports.h"
#include "daemon/store_models.h"
#include "daemon/store_searches.h"
#include "daemon/store_supernets.h"
#include "daemon/store_tables.h"
#include "daemon/store_webhooks.h"

/* clang-format off */
/* What people call what the job works on; of a table its space and profile, of a calibration, which
 * is there once it is fitted, its profile. One look-up each, since ids tell of which kind they are
 * (by their first three bytes: 'cal' is of cal_). */
#define NAME_IN(table) "(SELECT s.name FROM " table " s WHERE s.id = jobs.subject)"
#define SUBJECT_NAME                                                                               \
    "CASE substr(subject, 1, 3) WHEN 'sn_' THEN " NAME_IN("supernets") " "                         \
    "WHEN 'se_' THEN " NAME_IN("searches") " WHEN 'ds_' THEN " NAME_IN("datasets") " "             \
    "WHEN 'mo_' THEN " NAME_IN("models") " "                                                       \
    "WHEN 'tb_' THEN (SELECT t.space || ' on ' || p.name FROM tables t JOIN profiles p ON p.id = " \
    "  t.profile WHERE t.id = jobs.subject) "                                                      \
    "WHEN 'ex_' THEN (SELECT s.name FROM exports e JOIN supernets s ON s.id = e.supernet WHERE "   \
    "  e.id = jobs.subject) "                                                                      \
    "WHEN 'cal' THEN (SELECT p.name FROM calibrations c JOIN profiles p ON p.id = c.profile "      \
    "  WHERE c.id = jobs.subject) END"
#define JOB_COLUMNS                                                                                \
    "id, kind, " STORE_JOB_STATE " AS state, held AS \"held@bool\", subject, " SUBJECT_NAME        \
    " AS subject_name, priority, attempt, "                                                        \
    "result AS \"result@json\", "                                                                  \
    "error AS \"error@json\", "                                                                    \
    "(SELECT json_group_array(json_object("                                                        \
    "  'attempt', a.attempt, "                                                                     \
    "  'started_at', " SQL_TIME("a.started_us") ", "                                               \
    "  'ended_at', " SQL_TIME("a.ended_us") ", "                                                   \
    "  'reason', a.reason)) FROM job_attempts a WHERE a.job = jobs.id) AS \"attempts@json\", "     \
    "CASE WHEN kind <> 'table' THEN progress WHEN EXISTS (SELECT 1 FROM tables t WHERE t.id = "    \
    "  jobs.subject) THEN "                                                                        \
    STORE_TABLE_PROGRESS " END AS \"progress@json\", "                                             \
    "created_us AS \"created_at@time\", "                                                          \
    "started_us AS \"started_at@time\", "                                                          \
    "ended_us AS \"ended_at@time\""
/* clang-format on */

const char *const store_job_kinds[] = {"dataset", "train",   "evaluate",  "estimate",
                                       "search",  "export",  "table",     "import",
                                       "model",   "results", "calibrate", NULL};

/* What a job works on changes with the job's state. */
static const struct {
    const char *kind;
    int (*follow)(struct store_tx *tx, const char *subject, enum job_state state, struct err *err);
} followers[] = {{"dataset", store_dataset_follow},
                 {"train", store_supernet_follow},
                 {"search", store_search_follow},
                 {"export", store_export_follow},
                 {"table", store_table_follow},
                 {"import", store_supernet_follow_import},
                 {"model", store_model_follow},
                 {"results", store_search_follow},
                 {NULL, NULL}};

static int follow(struct store_tx *tx, const struct job_row *row, struct err *err) {
    for (int i = 0; followers[i].kind != NULL; i++)
        if (strcmp(followers[i].kind, row->kind) == 0)
            return followers[i].follow(tx, row->subject, row->status.state, err);
    return 0;
}

static int announce(struct store_tx *tx, const char *id, bool ended, struct err *err) {
    cJSON *doc = NULL;
    int r = store_job_get(store_tx_sql(tx), id, err, &doc);
    if (r == 0)
        r = store_tx_event(tx, err, "job", doc);
    if (r == 0 && ended)
        r = store_webhooks_tell(tx, doc, err);
    cJSON_Delete(doc);
    return r;
}

/* A job ignores what it cannot read, and would wait for its start for ever. */
static int check_readable(const char *text, struct err *err) {
    static const struct json_limits limits = {16 << 20, 32, 2000000};
    struct err said = {0};
    cJSON *doc = NULL;
    int r = json_parse(text, strlen(text), &limits, &said, &doc);
    cJSON_Delete(doc);
    return r == 0 ? 0
                  : err_set(err, r == ESP_ENOMEM || r == ESP_ELIMIT ? r : ESP_EINTERNAL, NULL,
                            "the job's spec cannot be read: %s", said.message);
}

int store_job_create(struct store_tx *tx, const char *kind, const char *subject, const cJSON *spec,
                     struct err *err, char ret_id[ID_MAX]) {
    char id[ID_MAX];
    char *text = json_print(spec);
    if (text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    id_make("job_", id);
    int r = check_readable(text, err);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO jobs (id, kind, state, subject, spec, created_us) VALUES (?1, ?2, "
                    "'queued', ?3, ?4, ?5)",
                    "tttti", id, kind, subject, text, store_tx_now_us(tx));
    free(text);
    if (r == 0)
        r = announce(tx, id, false, err);
    if (r != 0)
        return r;
    store_tx_wake(tx, STORE_WAKE_SCHEDULER);
    memcpy(ret_id, id, sizeof(id));
    return 0;
}

bool store_job_is_table(struct sql *sql, const char *id) {
    int64_t table = 0;
    return sql_get_int(sql, NULL, &table, NULL, "SELECT kind = 'table' FROM jobs WHERE id = ?1",
                       "t", id) == 0 &&
           table != 0;
}

int store_job_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_get_row(sql, err, &doc, "SELECT " JOB_COLUMNS " FROM jobs WHERE id = ?1", "t", id);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no job \"%s\"", id);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

int store_job_check_path_free(struct sql *sql, const char *path, struct err *err) {
    char job[ID_MAX];
    int r = sql_get_text(sql, err, job, sizeof(job),
                         "SELECT id FROM jobs WHERE state NOT IN ('done', 'failed', 'canceled') "
                         "AND json_extract(spec, '$.path') = ?1 LIMIT 1",
                         "t", path);
    if (r == 0 && job[0] != '\0')
        r = err_set(err, ESP_ECONFLICT, NULL,
                    "the job %s takes over the upload: it stays as it is until that has ended",
                    job);
    return r;
}

int store_job_list(struct sql *sql, const struct sql_page_args *page, const char *state,
                   const char *kind, struct err *err, cJSON **ret_doc) {
    return sql_page(
        sql, err, page, "id", ret_doc,
        "SELECT " JOB_COLUMNS " FROM jobs WHERE (?1 IS NULL OR id < ?1) AND (?3 IS NULL "
        "OR " STORE_JOB_STATE " = ?3) AND (?4 IS NULL OR kind = ?4) ORDER BY id DESC LIMIT ?2",
        "tt", state, kind);
}

static enum job_state parse_state(const char *text) {
    int state = 0;
    while (job_state_names[state] != NULL && strcmp(job_state_names[state], text) != 0)
        state++;
    return (enum job_state)state;
}

int store_job_load(struct sql *sql, const char *id, struct err *err, struct job_row *ret_row) {
    struct sql_rows rows;
    struct job_row row = {.id = ""};
    sql_query(sql, &rows,
              "SELECT id, kind, subject, state, crashes, attempt, acked_seq, held FROM jobs WHERE "
              "id = ?1",
              "t", id);
    bool found = sql_next(&rows);
    if (found) {
        snprintf(row.id, sizeof(row.id), "%s", sql_text(&rows, 0));
        snprintf(row.kind, sizeof(row.kind), "%s", sql_text(&rows, 1));
        snprintf(row.subject, sizeof(row.subject), "%s", sql_text(&rows, 2));
        row.status.state = parse_state(sql_text(&rows, 3));
        row.status.crashes = (int)sql_int(&rows, 4);
        row.attempt = sql_int(&rows, 5);
        row.acked_seq = sql_int(&rows, 6);
        row.held = sql_int(&rows, 7) != 0;
    }
    int r = sql_end(&rows, err);
    if (r == 0 && !found)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no job \"%s\"", id);
    if (r == 0)
        *ret_row = row;
    return r;
}

static int begin_attempt(struct store_tx *tx, struct job_row *row, struct err *err) {
    int64_t now = store_tx_now_us(tx);
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE jobs SET attempt = attempt + 1, started_us = coalesce(started_us, ?2), "
                    "ended_us = NULL WHERE id = ?1",
                    "ti", row->id, now);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO job_attempts (job, attempt, started_us) VALUES (?1, ?2, ?3)",
                    "tii", row->id, ++row->attempt, now);
    return r;
}

static int end_attempt(struct store_tx *tx, const struct job_row *row, const char *reason,
                       struct err *err) {
    return sql_run(
        store_tx_sql(tx), err, NULL,
        "UPDATE job_attempts SET ended_us = ?3, reason = ?4 WHERE job = ?1 AND attempt = "
        "?2 AND ended_us IS NULL",
        "tiit", row->id, row->attempt, store_tx_now_us(tx), reason);
}

/* After three crashes there is no event of the job's own that says why. */
static int note_crash(struct store_tx *tx, const struct job_row *row, const char *reason,
                      struct err *err) {
    cJSON *error = cJSON_CreateObject();
    char message[256];
    snprintf(message, sizeof(message), "the job's process ended %d times: %s", row->status.crashes,
             reason != NULL ? reason : "for an unknown reason");
    cJSON_AddStringToObject(error, "code", "internal");
    cJSON_AddStringToObject(error, "message", message);
    cJSON_AddStringToObject(error, "pointer", "");
    char *text = json_print(error);
    cJSON_Delete(error);
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE jobs SET error = ?2 WHERE id = ?1", "tt",
                    row->id, text);
    free(text);
    return r;
}

static int store_state(struct store_tx *tx, const struct job_row *row, struct err *err) {
    int64_t now = store_tx_now_us(tx);
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE jobs SET state = ?2, crashes = ?3, ended_us = CASE WHEN ?4 THEN ?5 END, "
                   "held = held AND NOT ?4, progress = CASE WHEN NOT ?4 THEN progress END WHERE "
                   "id = ?1",
                   "ttiii", row->id, job_state_names[row->status.state],
                   (int64_t)row->status.crashes, (int64_t)job_terminal(row->status.state), now);
}

int store_job_apply(struct store_tx *tx, const char *id, enum job_event event, const char *reason,
                    struct err *err) {
    struct job_row row;
    int r = store_job_load(store_tx_sql(tx), id, err, &row);
    if (r != 0)
        return r;
    enum job_state from = row.status.state;
    if (job_step(&row.status, event) != 0)
        return err_set(err, ESP_ECONFLICT, NULL, "the job is %s: it cannot be %s",
                       job_state_names[from], job_event_passives[event]);
    if (row.status.state == from)
        return 0;
    r = store_state(tx, &row, err);
    if (r == 0 && event == JOB_START)
        r = begin_attempt(tx, &row, err);
    if (r == 0 && event == JOB_RETRY)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE jobs SET error = NULL, result = NULL WHERE id = ?1", "t", id);
    if (r == 0 && reason != NULL)
        r = end_attempt(tx, &row, reason, err);
    if (r == 0 && event == JOB_CRASH && row.status.state == JOB_FAILED)
        r = note_crash(tx, &row, reason, err);
    if (r == 0)
        r = store_tx_transition(tx, err, "job", id, job_state_names[from],
                                job_state_names[row.status.state], job_event_names[event]);
    if (r == 0)
        r = follow(tx, &row, err);
    if (r == 0)
        r = announce(tx, id, job_terminal(row.status.state), err);
    store_tx_wake(tx, STORE_WAKE_SCHEDULER | STORE_WAKE_FLEET);
    return r;
}

int store_job_hold(struct store_tx *tx, const char *id, bool held, struct err *err) {
    struct job_row row;
    int r = store_job_load(store_tx_sql(tx), id, err, &row);
    if (r != 0)
        return r;
    if (held && (job_terminal(row.status.state) || row.status.state == JOB_CANCELING))
        return err_set(err, ESP_ECONFLICT, NULL, "the job is %s: it cannot be paused",
                       job_state_names[row.status.state]);
    if (!held && !row.held)
        return err_set(err, ESP_ECONFLICT, NULL, "the job is not paused");
    r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE jobs SET held = ?2 WHERE id = ?1", "ti", id,
                (int64_t)held);
    if (r == 0 && held != row.held)
        r = store_tx_transition(
            tx, err, "job", id, held ? job_state_names[row.status.state] : "held",
            held ? "held" : job_state_names[row.status.state], held ? "hold" : "release");
    if (r == 0 && strcmp(row.kind, "search") == 0)
        r = store_search_announce(tx, row.subject, err);
    if (r == 0 && strcmp(row.kind, "train") == 0)
        r = store_supernet_announce(tx, row.subject, err);
    if (r == 0)
        r = announce(tx, id, false, err);
    store_tx_wake(tx, STORE_WAKE_SCHEDULER);
    return r;
}

int store_job_resume(struct store_tx *tx, const struct job_row *row, struct err *err) {
    struct job_status status = row->status;
    if (row->held)
        return store_job_hold(tx, row->id, false, err);
    if (job_step(&status, JOB_RETRY) != 0)
        return err_set(err, ESP_ECONFLICT, NULL, "the job is %s: it cannot be resumed",
                       job_state_names[row->status.state]);
    return store_job_apply(tx, row->id, JOB_RETRY, NULL, err);
}

int store_job_finish(struct store_tx *tx, const char *id, const cJSON *result, struct err *err) {
    char *text = result != NULL ? json_print(result) : NULL;
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE jobs SET result = ?2 WHERE id = ?1", "tt",
                    id, text);
    free(text);
    return r != 0 ? r : store_job_apply(tx, id, JOB_FINISH, "done", err);
}

int store_job_fail(struct store_tx *tx, const char *id, const struct err *why, struct err *err) {
    cJSON *error = cJSON_CreateObject();
    cJSON_AddStringToObject(error, "code", err_name(why->code));
    cJSON_AddStringToObject(error, "message", why->message);
    cJSON_AddStringToObject(error, "pointer", why->pointer);
    char *text = json_print(error);
    cJSON_Delete(error);
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE jobs SET error = ?2 WHERE id = ?1", "tt",
                    id, text);
    free(text);
    return r != 0 ? r : store_job_apply(tx, id, JOB_FAIL, "failed", err);
}

int store_job_keep_progress(struct store_tx *tx, const char *id, const char *progress,
                            struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE jobs SET progress = json_remove(?2, '$.eta_s', '$.images_per_s') WHERE "
                   "id = ?1",
                   "tt", id, progress);
}

int store_job_set_acked(struct store_tx *tx, const char *id, int64_t seq, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL, "UPDATE jobs SET acked_seq = ?2 WHERE id = ?1",
                   "ti", id, seq);
}

/* Where the spec's object at `at` leaves the checkpoint open (null), the newest one is named: file
 * and hash. The job takes that file or fails; it never looks for another one itself. */
static int name_checkpoint(struct sql *sql, const char *at, cJSON *start, struct err *err) {
    const cJSON *spec = cJSON_GetObjectItemCaseSensitive(start, "spec");
    struct sql_rows rows;
    cJSON *named = NULL;
    bool found = false;
    sql_query(sql, &rows,
              "SELECT json_set(?1, ?2 || '.checkpoint', json_extract(?1, ?2 || '.supernet_dir') || "
              "'/' || path, ?2 || '.checkpoint_hash', hash) FROM checkpoints WHERE json_type(?1, "
              "?2 || '.checkpoint') = 'null' AND supernet = json_extract(?1, ?2 || "
              "'.supernet_id') ORDER BY step DESC, id DESC LIMIT 1",
              "tt", spec->valuestring, at);
    if ((found = sql_next(&rows)))
        named = cJSON_CreateRaw(sql_text(&rows, 0));
    int r = sql_end(&rows, err);
    if (r == 0 && found &&
        (named == NULL || !cJSON_ReplaceItemInObjectCaseSensitive(start, "spec", named)))
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return r;
}

static int load_start(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_start) {
    struct sql *sql = store_tx_sql(tx);
    cJSON *start = NULL;
    int r = sql_get_row(sql, err, &start,
                        "SELECT id AS job_id, kind, subject, attempt, acked_seq AS acked, spec AS "
                        "\"spec@json\" FROM jobs WHERE id = ?1",
                        "t", id);
    if (r == 0)
        r = name_checkpoint(sql, "$", start, err);
    if (r == 0)
        r = name_checkpoint(sql, "$.init_from", start, err);
    if (r == 0)
        *ret_start = start;
    else
        cJSON_Delete(start);
    return r;
}

int store_job_next(struct store_tx *tx, struct err *err, cJSON **ret_start) {
    struct sql_rows rows;
    char id[ID_MAX] = "";
    sql_query(store_tx_sql(tx), &rows,
              "SELECT id FROM jobs WHERE state = 'queued' AND NOT held AND kind <> 'table' ORDER "
              "BY priority "
              "DESC, id LIMIT 1",
              "");
    if (sql_next(&rows))
        snprintf(id, sizeof(id), "%s", sql_text(&rows, 0));
    int r = sql_end(&rows, err);
    if (r != 0 || id[0] == '\0') {
        *ret_start = NULL;
        return r;
    }
    r = store_job_apply(tx, id, JOB_START, NULL, err);
    return r != 0 ? r : load_start(tx, id, err, ret_start);
}

int store_job_recover(struct store_tx *tx, struct err *err) {
    cJSON *rows = NULL;
    const cJSON *row;
    int r =
        sql_get_rows(store_tx_sql(tx), err, &rows,
                     "SELECT id FROM jobs WHERE state IN ('running', 'paused', 'canceling') AND "
                     "kind <> 'table'",
                     "");
    cJSON_ArrayForEach(row, rows) {
        if (r == 0)
            r = store_job_apply(tx, cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")), JOB_STOP,
                                "the daemon was started anew", err);
    }
    cJSON_Delete(rows);
    return r;
}
