#include "daemon/store_models.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

#define MODEL_COLUMNS                                                                              \
    "id, name, kind, space, space_fingerprint, source, state, summary AS \"summary@json\", job, "  \
    "created_us AS \"created_at@time\""

static int announce(struct store_tx *tx, const char *id, struct err *err) {
    cJSON *doc = NULL;
    int r = store_model_get(store_tx_sql(tx), id, err, &doc);
    if (r == 0)
        r = store_tx_event(tx, err, "model", doc);
    cJSON_Delete(doc);
    return r;
}

int store_model_create(struct store_tx *tx, const struct model_request *request, struct err *err,
                       char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    int64_t same = 0, profiles = 0;
    char id[ID_MAX];
    int r = sql_get_int(sql, err, &same, NULL, "SELECT count(*) FROM models WHERE name = ?1", "t",
                        request->name);
    if (r == 0)
        r = sql_get_int(sql, err, &profiles, NULL, "SELECT count(*) FROM profiles WHERE name = ?1",
                        "t", request->name);
    if (r == 0 && same + profiles > 0)
        r = err_set(err, ESP_ECONFLICT, "/name", "there is a %s \"%s\" already",
                    same > 0 ? "model" : "profile", request->name);
    if (r != 0)
        return r;
    id_make("mo_", id);
    r = sql_run(sql, err, NULL,
                "INSERT INTO models (id, name, kind, space, space_fingerprint, source, state, "
                "created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'importing', ?7)",
                "tttttti", id, request->name, request->kind, request->space, request->fingerprint,
                request->source, store_tx_now_us(tx));
    if (r == 0)
        memcpy(ret_id, id, sizeof(id));
    return r;
}

int store_model_set_job(struct store_tx *tx, const char *id, const char *job, struct err *err) {
    int r = sql_run(store_tx_sql(tx), err, NULL, "UPDATE models SET job = ?2 WHERE id = ?1", "tt",
                    id, job);
    return r != 0 ? r : announce(tx, id, err);
}

int store_model_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r =
        sql_get_row(sql, err, &doc,
                    "SELECT " MODEL_COLUMNS " FROM models WHERE id = ?1 OR name = ?1", "t", ref);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no model \"%s\"", ref);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

int store_model_list(struct sql *sql, const struct sql_page_args *page, const char *kind,
                     struct err *err, cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT " MODEL_COLUMNS " FROM models WHERE (?1 IS NULL OR id < ?1) AND (?3 IS "
                    "NULL OR kind = ?3) ORDER BY id DESC LIMIT ?2",
                    "t", kind);
}

int store_model_delete(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users) {
    struct sql *sql = store_tx_sql(tx);
    cJSON *users = NULL;
    int r = sql_get_rows(
        sql, err, &users,
        "SELECT 'search' AS kind, s.id, s.name FROM search_models m JOIN searches s ON s.id = "
        "m.search WHERE m.model = ?1 UNION ALL SELECT 'job', id, kind FROM jobs WHERE subject = ?1 "
        "AND state NOT IN ('done', 'failed', 'canceled') LIMIT 100",
        "t", id);
    if (r != 0)
        return r;
    if (cJSON_GetArraySize(users) > 0) {
        *ret_users = users;
        return err_set(err, ESP_ECONFLICT, NULL, "the model is used by others");
    }
    cJSON_Delete(users);
    r = sql_run(sql, err, NULL, "DELETE FROM models WHERE id = ?1", "t", id);
    return r == 0 ? store_tx_removed(tx, err, "model", id) : r;
}

int store_model_follow(struct store_tx *tx, const char *id, enum job_state state, struct err *err) {
    const char *text = "importing";
    if (state == JOB_DONE)
        text = "ready";
    else if (state == JOB_FAILED)
        text = "failed";
    else if (state == JOB_CANCELED)
        text = "canceled";
    int changes = 0;
    int r = sql_run(store_tx_sql(tx), err, &changes,
                    "UPDATE models SET state = ?2 WHERE id = ?1 AND state <> ?2", "tt", id, text);
    return r != 0 || changes == 0 ? r : announce(tx, id, err);
}

int store_model_ids(struct sql *sql, struct err *err, cJSON **ret_array) {
    return sql_get_rows(sql, err, ret_array, "SELECT id FROM models", "");
}

int store_model_section_add(struct store_tx *tx, const char *id, const cJSON *data,
                            struct err *err) {
    const cJSON *table;
    int64_t resolution;
    int r = json_int(data, "", "resolution", 1, 1 << 20, err, &resolution);
    if (r == 0)
        r = json_object(data, "", "table", err, &table);
    if (r != 0)
        return r;
    char *text = json_print(table);
    r = text == NULL ? err_set(err, ESP_ENOMEM, NULL, "out of memory")
                     : sql_run(store_tx_sql(tx), err, NULL,
                               "INSERT INTO model_sections (model, resolution, data) VALUES (?1, "
                               "?2, ?3) ON CONFLICT DO UPDATE SET data = excluded.data",
                               "tit", id, resolution, text);
    free(text);
    return r;
}

int store_model_found(struct store_tx *tx, const char *id, const cJSON *data, struct err *err) {
    char *text = json_print(data);
    int r = text == NULL ? err_set(err, ESP_ENOMEM, NULL, "out of memory")
                         : sql_run(store_tx_sql(tx), err, NULL,
                                   "UPDATE models SET summary = ?2 WHERE id = ?1", "tt", id, text);
    free(text);
    return r != 0 ? r : announce(tx, id, err);
}

static int parse_table(const char *text, struct err *err, cJSON **ret_table) {
    static const struct json_limits limits = {.bytes = 64 << 20, .depth = 16, .nodes = 1000000};
    return json_parse(text, strlen(text), &limits, err, ret_table);
}

int store_model_sections(struct sql *sql, const char *id, struct err *err, cJSON **ret_list) {
    struct sql_rows rows;
    cJSON *list = cJSON_CreateArray();
    int r = 0;
    for (sql_query(sql, &rows,
                   "SELECT resolution, data FROM model_sections WHERE model = ?1 ORDER BY "
                   "resolution",
                   "t", id);
         r == 0 && sql_next(&rows);) {
        cJSON *table = NULL;
        if ((r = parse_table(sql_text(&rows, 1), err, &table)) != 0)
            break;
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "resolution", (double)sql_int(&rows, 0));
        cJSON_AddItemToObject(item, "table", table);
        cJSON_AddItemToArray(list, item);
    }
    int ended = sql_end(&rows, r == 0 ? err : NULL);
    r = r != 0 ? r : ended;
    if (r == 0)
        *ret_list = list;
    else
        cJSON_Delete(list);
    return r;
}

int store_model_section(struct sql *sql, const char *id, int64_t resolution, struct err *err,
                        cJSON **ret_table) {
    struct sql_rows rows;
    cJSON *table = NULL;
    int r = 0;
    sql_query(sql, &rows, "SELECT data FROM model_sections WHERE model = ?1 AND resolution = ?2",
              "ti", id, resolution);
    if (sql_next(&rows))
        r = parse_table(sql_text(&rows, 0), err, &table);
    int ended = sql_end(&rows, r == 0 ? err : NULL);
    r = r != 0 ? r : ended;
    if (r == 0 && table == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "the model has no table for %lld pixels",
                    (long long)resolution);
    if (r == 0)
        *ret_table = table;
    else
        cJSON_Delete(table);
    return r;
}

int store_model_used(struct store_tx *tx, const char *search, const char *model, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "INSERT INTO search_models (search, model) VALUES (?1, ?2) ON CONFLICT DO "
                   "NOTHING",
                   "tt", search, model);
}
