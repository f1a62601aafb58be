#include "daemon/store_supernets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/checkpoint_users.h"
#include "daemon/store_jobs.h"
#include "space/space.h"

#define SUPERNET_COLUMNS                                                                           \
    "id, name, space, space_fingerprint, dataset, (SELECT name FROM datasets WHERE datasets.id = " \
    "supernets.dataset) AS dataset_name, " STORE_HELD_STATE(                                       \
        "supernets") " AS state, step, epoch, images, top1_largest, "                              \
                     "top1_smallest, checkpoint, job, train AS \"train@json\", created_us AS "     \
                     "\"created_at@time\""

int store_supernet_announce(struct store_tx *tx, const char *id, struct err *err) {
    cJSON *doc = NULL;
    int r = store_supernet_get(store_tx_sql(tx), id, err, &doc);
    if (r == 0)
        r = store_tx_event(tx, err, "supernet", doc);
    cJSON_Delete(doc);
    return r;
}

int store_supernet_create(struct store_tx *tx, const struct supernet_request *request,
                          struct err *err, char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    int64_t same = 0;
    char id[ID_MAX];
    int r = sql_get_int(sql, err, &same, NULL, "SELECT count(*) FROM supernets WHERE name = ?1",
                        "t", request->name);
    if (r == 0 && same > 0)
        r = err_set(err, ESP_ECONFLICT, "/name", "there is a supernet \"%s\" already",
                    request->name);
    if (r != 0)
        return r;
    char *train = json_print(request->train);
    id_make("sn_", id);
    r = sql_run(sql, err, NULL,
                "INSERT INTO supernets (id, name, space, space_fingerprint, dataset, state, train, "
                "created_us, document) VALUES (?1, ?2, ?3, ?4, ?5, ?8, ?6, ?7, ?9)",
                "ttttttitt", id, request->name, request->space, request->space_fingerprint,
                request->dataset, train, store_tx_now_us(tx),
                request->state != NULL ? request->state : "training", request->document);
    free(train);
    if (r == 0)
        memcpy(ret_id, id, sizeof(id));
    return r;
}

int store_supernet_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_get_row(sql, err, &doc,
                        "SELECT " SUPERNET_COLUMNS " FROM supernets WHERE id = ?1 OR name = ?1",
                        "t", ref);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no supernet \"%s\"", ref);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

int store_supernet_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                        cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT " SUPERNET_COLUMNS
                    " FROM supernets WHERE (?1 IS NULL OR id < ?1) ORDER "
                    "BY id DESC LIMIT ?2",
                    "");
}

int store_supernet_delete(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users) {
    struct sql *sql = store_tx_sql(tx);
    cJSON *users = NULL;
    int r = sql_get_rows(
        sql, err, &users,
        "SELECT 'search' AS kind, id, name FROM searches WHERE supernet = ?1 UNION ALL SELECT "
        "'export', id, arch FROM exports WHERE supernet = ?1 UNION ALL SELECT 'job', id, kind FROM "
        "jobs WHERE (subject = ?1 OR json_extract(spec, '$.init_from.supernet_id') = ?1) AND state "
        "NOT IN ('done', 'failed', 'canceled') LIMIT 100",
        "t", id);
    if (r != 0)
        return r;
    if (cJSON_GetArraySize(users) > 0) {
        *ret_users = users;
        return err_set(err, ESP_ECONFLICT, NULL, "the supernet is used by others");
    }
    cJSON_Delete(users);
    r = sql_run(sql, err, NULL, "DELETE FROM supernets WHERE id = ?1", "t", id);
    return r == 0 ? store_tx_removed(tx, err, "supernet", id) : r;
}

int store_supernet_space(struct sql *sql, const char *id, struct err *err, char **ret_document) {
    struct sql_rows rows;
    char *document = NULL;
    sql_query(
        sql, &rows,
        "SELECT coalesce(n.document, s.document, json_set(d.document, '$.name', n.space)) FROM "
        "supernets n JOIN space_documents d ON d.fingerprint = n.space_fingerprint LEFT JOIN "
        "spaces s "
        "ON s.name = n.space AND s.fingerprint = n.space_fingerprint WHERE n.id = ?1",
        "t", id);
    if (sql_next(&rows))
        document = mem_strdup(sql_text(&rows, 0));
    int r = sql_end(&rows, err);
    if (r == 0 && document == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no supernet \"%s\"", id);
    if (r == 0)
        *ret_document = document;
    else
        free(document);
    return r;
}

int store_supernet_set_job(struct store_tx *tx, const char *id, const char *job, const cJSON *train,
                           struct err *err) {
    char *text = json_print(train);
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE supernets SET job = ?2, train = ?3, state = 'training' WHERE id = ?1",
                    "ttt", id, job, text);
    free(text);
    return r != 0 ? r : store_supernet_announce(tx, id, err);
}

static int follow(struct store_tx *tx, const char *id, enum job_state state, const char *open,
                  struct err *err) {
    const char *text = open;
    if (state == JOB_DONE)
        text = "ready";
    else if (state == JOB_FAILED)
        text = "failed";
    else if (state == JOB_CANCELED)
        text = "canceled";
    int changes = 0;
    int r =
        sql_run(store_tx_sql(tx), err, &changes,
                "UPDATE supernets SET state = ?2 WHERE id = ?1 AND state <> ?2", "tt", id, text);
    return r != 0 || changes == 0 ? r : store_supernet_announce(tx, id, err);
}

int store_supernet_follow(struct store_tx *tx, const char *id, enum job_state state,
                          struct err *err) {
    return follow(tx, id, state, "training", err);
}

int store_supernet_follow_import(struct store_tx *tx, const char *id, enum job_state state,
                                 struct err *err) {
    return follow(tx, id, state, "importing", err);
}

/* The job has checked the space already; what is stored is the daemon's own print of it. */
int store_supernet_imported(struct store_tx *tx, const char *id, const cJSON *data,
                            struct err *err) {
    const cJSON *object = NULL;
    struct space *space = NULL;
    char *document = NULL;
    int r = json_object(data, "", "space", err, &object);
    char *text = r == 0 ? json_print(object) : NULL;
    if (r == 0)
        r = text != NULL ? space_parse(text, strlen(text), err, &space)
                         : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r == 0 && (document = space_print(space)) == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r == 0)
        r = store_space_document_put(tx, space->fingerprint, document, err);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE supernets SET space_fingerprint = ?2, document = ?3 WHERE id = ?1",
                    "ttt", id, space->fingerprint, document);
    free(text);
    free(document);
    space_destroy(space);
    return r != 0 ? r : store_supernet_announce(tx, id, err);
}

int store_supernet_trained(struct store_tx *tx, const char *id, const cJSON *result,
                           struct err *err) {
    int64_t images = 0, steps = 0;
    int r = json_int_opt(result, "", "images", 0, INT64_C(1) << 53, err, &images);
    if (r == 0)
        r = json_int_opt(result, "", "steps", 0, INT64_C(1) << 53, err, &steps);
    if (r == 0)
        r = sql_run(
            store_tx_sql(tx), err, NULL,
            "UPDATE supernets SET images = max(images, ?2), step = max(step, ?3) WHERE id = "
            "?1",
            "tii", id, images, steps);
    return r;
}

static double real_or_nan(const cJSON *data, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(data, key);
    return cJSON_IsNumber(item) ? item->valuedouble : __builtin_nan("");
}

/* Sent again after a kill -9 (another sequence number, the same file): one row. */
int store_checkpoint_add(struct store_tx *tx, const char *supernet, const cJSON *data,
                         struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    const char *path, *hash;
    int64_t step, bytes, images = 0;
    double epoch, largest = real_or_nan(data, "top1_largest"),
                  smallest = real_or_nan(data, "top1_smallest");
    char id[ID_MAX];
    int r = json_string(data, "", "path", 1, 512, err, &path);
    if (r == 0)
        r = json_string(data, "", "hash", 1, 128, err, &hash);
    if (r == 0)
        r = json_int(data, "", "step", 0, INT64_C(1) << 53, err, &step);
    if (r == 0)
        r = json_int(data, "", "bytes", 0, INT64_C(1) << 53, err, &bytes);
    if (r == 0)
        r = json_real(data, "", "epoch", 0, 1e9, err, &epoch);
    if (r == 0)
        r = json_int_opt(data, "", "images", 0, INT64_C(1) << 53, err, &images);
    if (r != 0)
        return r;
    id_make("ck_", id);
    r = sql_run(sql, err, NULL,
                "INSERT INTO checkpoints (id, supernet, path, step, epoch, bytes, hash, "
                "top1_largest, top1_smallest, created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
                "?9, ?10) ON CONFLICT (supernet, path, hash) DO UPDATE SET step = excluded.step, "
                "epoch = excluded.epoch, bytes = excluded.bytes, top1_largest = "
                "excluded.top1_largest, top1_smallest = excluded.top1_smallest",
                "tttiritrri", id, supernet, path, step, epoch, bytes, hash, largest, smallest,
                store_tx_now_us(tx));
    if (r == 0)
        r = sql_run(
            sql, err, NULL,
            "UPDATE supernets SET checkpoint = (SELECT id FROM checkpoints WHERE supernet = "
            "?1 ORDER BY step DESC, id DESC LIMIT 1), step = max(step, ?2), epoch = max("
            "epoch, ?3), top1_largest = coalesce(?4, top1_largest), top1_smallest = "
            "coalesce(?5, top1_smallest), images = max(images, ?6) WHERE id = ?1",
            "tirrri", supernet, step, epoch, largest, smallest, images);
    return r != 0 ? r : store_supernet_announce(tx, supernet, err);
}

static int announce_metric(struct store_tx *tx, const char *supernet, const cJSON *data,
                           struct err *err) {
    cJSON *doc = cJSON_Duplicate(data, true);
    cJSON_AddStringToObject(doc, "supernet", supernet);
    cJSON_DeleteItemFromObjectCaseSensitive(doc, "images"); /* the supernet has them */
    int r = store_tx_event(tx, err, "metric", doc);
    cJSON_Delete(doc);
    return r;
}

/* After a resume from an older checkpoint the same steps come again: the later value stays. */
int store_metric_add(struct store_tx *tx, const char *supernet, const cJSON *data,
                     struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    const char *series;
    int64_t step, images = 0;
    double epoch, value = real_or_nan(data, "value");
    int r = json_string(data, "", "series", 1, 64, err, &series);
    if (r == 0)
        r = json_int(data, "", "step", 0, INT64_C(1) << 53, err, &step);
    if (r == 0)
        r = json_real(data, "", "epoch", 0, 1e9, err, &epoch);
    if (r == 0)
        r = json_int_opt(data, "", "images", 0, INT64_C(1) << 53, err, &images);
    if (r == 0)
        r = sql_run(
            sql, err, NULL,
            "INSERT INTO metrics (supernet, series, step, epoch, value) VALUES (?1, ?2, ?3, "
            "?4, ?5) ON CONFLICT DO UPDATE SET epoch = excluded.epoch, value = "
            "excluded.value",
            "ttirr", supernet, series, step, epoch, value);
    if (r == 0)
        r = sql_run(sql, err, NULL,
                    "UPDATE supernets SET step = max(step, ?2), epoch = max(epoch, ?3), images = "
                    "max(images, ?4) WHERE id = ?1",
                    "tiri", supernet, step, epoch, images);
    if (r == 0 && (strcmp(series, "top1/largest") == 0 || strcmp(series, "top1/smallest") == 0))
        r = sql_run(
            sql, err, NULL,
            "UPDATE supernets SET top1_largest = CASE WHEN ?2 = 'top1/largest' THEN ?3 ELSE "
            "top1_largest END, top1_smallest = CASE WHEN ?2 = 'top1/smallest' THEN ?3 ELSE "
            "top1_smallest END WHERE id = ?1",
            "ttr", supernet, series, value);
    return r != 0 ? r : announce_metric(tx, supernet, data, err);
}

/* Of row k: another one was written in its place. */
#define REPLACED                                                                                   \
    "EXISTS (SELECT 1 FROM checkpoints n WHERE n.supernet = k.supernet AND n.path = k.path AND "   \
    "n.id > k.id)"

int store_checkpoint_list(struct sql *sql, const char *supernet, const struct sql_page_args *page,
                          struct err *err, cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT id, path, step, epoch, bytes, hash, top1_largest, top1_smallest, "
                    "created_us AS \"created_at@time\", " REPLACED
                    " AS \"replaced@bool\" FROM checkpoints k WHERE (?1 IS NULL OR id < ?1) AND "
                    "supernet = ?3 ORDER BY id DESC LIMIT ?2",
                    "t", supernet);
}

/* Of checkpoint ?1. */
#define CHECKPOINT_USERS                                                                           \
    "WITH t AS (SELECT id, hash, path, step, supernet FROM checkpoints WHERE id = ?1) "            \
    "SELECT 'supernet' AS kind, s.id, s.name FROM t JOIN " CHECKPOINT_SUPERNETS                    \
    " UNION ALL SELECT 'search', q.id, q.name FROM t JOIN " CHECKPOINT_SEARCHES                    \
    " UNION ALL SELECT 'job', j.id, j.kind FROM t JOIN " CHECKPOINT_JOBS                           \
    " UNION ALL SELECT 'evaluation', CAST(e.id AS TEXT), e.arch_id FROM t "                        \
    "JOIN " CHECKPOINT_EVALUATIONS                                                                 \
    " UNION ALL SELECT 'checkpoint', k.id, k.path FROM t JOIN " CHECKPOINT_REPLACED " LIMIT 100"

int store_checkpoint_remove(struct store_tx *tx, const char *id, struct err *err,
                            cJSON **ret_users) {
    struct sql *sql = store_tx_sql(tx);
    char supernet[ID_MAX];
    cJSON *users = NULL;
    int r = sql_get_text(sql, err, supernet, sizeof(supernet),
                         "SELECT supernet FROM checkpoints WHERE id = ?1", "t", id);
    if (r == 0 && supernet[0] == '\0')
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no checkpoint \"%s\"", id);
    if (r == 0)
        r = sql_get_rows(sql, err, &users, CHECKPOINT_USERS, "t", id);
    if (r == 0 && cJSON_GetArraySize(users) > 0) {
        *ret_users = users;
        return err_set(err, ESP_ECONFLICT, NULL, "the checkpoint is needed by others");
    }
    cJSON_Delete(users);
    if (r == 0)
        r = sql_run(sql, err, NULL, "DELETE FROM checkpoints WHERE id = ?1", "t", id);
    return r == 0 ? store_supernet_announce(tx, supernet, err) : r;
}

int store_checkpoint_find(struct sql *sql, const char *supernet, const char *ref, struct err *err,
                          struct stored_checkpoint *ret_checkpoint) {
    struct sql_rows rows;
    struct stored_checkpoint found = {.path = ""};
    sql_query(
        sql, &rows,
        "SELECT path, hash, " REPLACED
        " FROM checkpoints k WHERE supernet = ?1 AND (?2 IS NULL OR id = ?2) ORDER BY step DESC, "
        "id DESC LIMIT 1",
        "tt", supernet, ref);
    if (sql_next(&rows)) {
        snprintf(found.path, sizeof(found.path), "%s", sql_text(&rows, 0));
        snprintf(found.hash, sizeof(found.hash), "%s", sql_text(&rows, 1));
        found.replaced = sql_int(&rows, 2) != 0;
    }
    int r = sql_end(&rows, err);
    if (r == 0)
        *ret_checkpoint = found;
    return r;
}

static cJSON *start_series(cJSON *list, const char *name) {
    cJSON *series = cJSON_CreateObject();
    cJSON_AddStringToObject(series, "name", name);
    cJSON_AddArrayToObject(series, "step");
    cJSON_AddArrayToObject(series, "epoch");
    cJSON_AddArrayToObject(series, "value");
    cJSON_AddItemToArray(list, series);
    return series;
}

static void add_number(cJSON *series, const char *key, double value) {
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(series, key),
                         value == value ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

/* First steps of phases, which are kept as series of their own. */
static int add_phases(struct sql *sql, const char *supernet, cJSON *doc, struct err *err) {
    cJSON *phases = NULL;
    int r = sql_get_rows(sql, err, &phases,
                         "SELECT substr(series, 7) AS name, step, epoch FROM metrics WHERE "
                         "supernet = ?1 AND series GLOB 'phase/*' ORDER BY step LIMIT ?2",
                         "ti", supernet, (int64_t)METRIC_PHASES_MAX);
    if (r == 0)
        cJSON_AddItemToObject(doc, "phases", phases);
    return r;
}

int store_metrics(struct sql *sql, const char *supernet, const char *names, int64_t after,
                  int64_t max_points, struct err *err, cJSON **ret_doc) {
    cJSON *doc = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(doc, "series");
    cJSON *series = NULL;
    char last[80] = "";
    struct sql_rows rows;
    /* Thinned evenly, the last point always kept; names is matched with its commas. */
    for (sql_query(
             sql, &rows,
             "SELECT series, step, epoch, value FROM (SELECT series, step, epoch, value, "
             "row_number() OVER w AS i, count(*) OVER (PARTITION BY series) AS n FROM metrics "
             "WHERE supernet = ?1 AND step > ?3 AND series NOT GLOB 'phase/*' AND (?2 IS NULL OR "
             "instr(',' || ?2 || ',', "
             "',' || series || ',') > 0) WINDOW w AS (PARTITION BY series ORDER BY step)) "
             "WHERE (n - i) % ((n + ?4 - 1) / ?4) = 0 ORDER BY series, step",
             "ttii", supernet, names, after, max_points);
         sql_next(&rows);) {
        const char *name = sql_text(&rows, 0);
        if (series == NULL || strcmp(name, last) != 0)
            series = start_series(list, name);
        snprintf(last, sizeof(last), "%s", name);
        add_number(series, "step", (double)sql_int(&rows, 1));
        add_number(series, "epoch", sql_real(&rows, 2));
        add_number(series, "value", sql_real(&rows, 3));
    }
    int r = sql_end(&rows, err);
    if (r == 0)
        r = add_phases(sql, supernet, doc, err);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}

int store_evaluation_add(struct store_tx *tx, const char *supernet, const cJSON *data,
                         struct err *err) {
    const char *checkpoint, *arch_id, *revision, *split;
    int64_t recalibration;
    int r = json_string(data, "", "checkpoint", 1, 128, err, &checkpoint);
    if (r == 0)
        r = json_string(data, "", "arch_id", 1, 64, err, &arch_id);
    if (r == 0)
        r = json_string(data, "", "dataset_revision", 1, 128, err, &revision);
    if (r == 0)
        r = json_string(data, "", "split", 1, 16, err, &split);
    if (r == 0)
        r = json_int(data, "", "recalibration_images", 0, INT64_C(1) << 40, err, &recalibration);
    if (r != 0)
        return r;
    char *text = json_print(data);
    r = sql_run(
        store_tx_sql(tx), err, NULL,
        "INSERT INTO evaluations (supernet, checkpoint, arch_id, split, dataset_revision, "
        "recalibration_images, data, created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON "
        "CONFLICT DO UPDATE SET data = excluded.data",
        "tttttiti", supernet, checkpoint, arch_id, split, revision, recalibration, text,
        store_tx_now_us(tx));
    free(text);
    return r;
}

int store_evaluation_list(struct sql *sql, const struct evaluation_filter *filter,
                          const struct sql_page_args *page, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_page(sql, err, page, "id", &doc,
                     "SELECT id, supernet, data AS \"data@json\", created_us AS "
                     "\"created_at@time\" FROM evaluations WHERE (?1 IS NULL OR id < cast(?1 AS "
                     "INTEGER)) AND (?3 IS NULL OR supernet = ?3) AND (?4 IS NULL OR arch_id = ?4) "
                     "AND (?5 IS NULL OR split = ?5) ORDER BY id DESC LIMIT ?2",
                     "ttt", filter->supernet, filter->arch_id, filter->split);
    return r != 0 ? r : sql_spread_all(doc, "data", err, ret_doc);
}

int store_estimation_list(struct sql *sql, const char *supernet, const struct sql_page_args *page,
                          struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_page(sql, err, page, "job", &doc,
                     "SELECT id AS job, subject AS supernet, ended_us AS \"created_at@time\", "
                     "result AS \"result@json\" FROM jobs WHERE (?1 IS NULL OR id < ?1) AND kind = "
                     "'estimate' AND state = 'done' AND (?3 IS NULL OR subject = ?3) ORDER BY id "
                     "DESC LIMIT ?2",
                     "t", supernet);
    return r != 0 ? r : sql_spread_all(doc, "result", err, ret_doc);
}
