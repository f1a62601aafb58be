#include "daemon/store_exports.h"

#include "base/json.h"

#define EXPORT_COLUMNS                                                                             \
    "id, supernet, (SELECT s.name FROM supernets s WHERE s.id = exports.supernet) AS "             \
    "supernet_name, arch, arch_id, format, state, bytes, hash, path, checked AS "                  \
    "\"checked@bool\", "                                                                           \
    "job, created_us AS \"created_at@time\""

static int announce(struct store_tx *tx, const char *id, struct err *err) {
    cJSON *doc = NULL;
    int r = store_export_get(store_tx_sql(tx), id, err, &doc);
    if (r == 0)
        r = store_tx_event(tx, err, "export", doc);
    cJSON_Delete(doc);
    return r;
}

int store_export_create(struct store_tx *tx, const struct export_request *request,
                        struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "INSERT INTO exports (id, supernet, arch, arch_id, format, state, path, "
                   "created_us) VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7)",
                   "tttttti", request->id, request->supernet, request->arch, request->arch_id,
                   request->format, request->path, store_tx_now_us(tx));
}

int store_export_set_job(struct store_tx *tx, const char *id, const char *job, struct err *err) {
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE exports SET job = ?2 WHERE id = ?1", "tt",
                    id, job);
    return r != 0 ? r : announce(tx, id, err);
}

int store_export_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_get_row(sql, err, &doc, "SELECT " EXPORT_COLUMNS " FROM exports WHERE id = ?1", "t",
                        id);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no export \"%s\"", id);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

int store_export_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                      cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT " EXPORT_COLUMNS " FROM exports WHERE (?1 IS NULL OR id < ?1) ORDER BY "
                    "id DESC LIMIT ?2",
                    "");
}

int store_export_delete(struct store_tx *tx, const char *id, struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    cJSON *doc = NULL;
    int64_t open_jobs = 0;
    int r = store_export_get(sql, id, err, &doc);
    cJSON_Delete(doc);
    if (r == 0)
        r = sql_get_int(sql, err, &open_jobs, NULL,
                        "SELECT count(*) FROM jobs WHERE subject = ?1 AND state NOT IN ('done', "
                        "'failed', 'canceled')",
                        "t", id);
    if (r == 0 && open_jobs > 0)
        r = err_set(err, ESP_ECONFLICT, NULL, "the export is being written: cancel its job first");
    if (r == 0)
        r = sql_run(sql, err, NULL, "DELETE FROM exports WHERE id = ?1", "t", id);
    return r == 0 ? store_tx_removed(tx, err, "export", id) : r;
}

int store_export_written(struct store_tx *tx, const char *id, const cJSON *data, struct err *err) {
    const char *hash, *path;
    int64_t bytes;
    bool checked = false;
    int r = json_string(data, "", "hash", 1, 128, err, &hash);
    if (r == 0)
        r = json_string(data, "", "path", 1, 1024, err, &path);
    if (r == 0)
        r = json_int(data, "", "bytes", 1, INT64_C(1) << 40, err, &bytes);
    if (r == 0)
        r = json_bool_opt(data, "", "checked", err, &checked);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE exports SET hash = ?2, bytes = ?3, checked = ?4, path = ?5 WHERE id = "
                    "?1",
                    "ttiit", id, hash, bytes, (int64_t)checked, path);
    return r;
}

int store_export_follow(struct store_tx *tx, const char *id, enum job_state state,
                        struct err *err) {
    const char *text = "queued";
    if (state == JOB_DONE)
        text = "ready";
    else if (state == JOB_FAILED)
        text = "failed";
    else if (state == JOB_CANCELED)
        text = "canceled";
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE exports SET state = ?2 WHERE id = ?1",
                    "tt", id, text);
    return r != 0 ? r : announce(tx, id, err);
}
