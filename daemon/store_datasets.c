#include "daemon/store_datasets.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#define DATASET_COLUMNS                                                                            \
    "id, name, path, format, CASE WHEN validation_auto THEN NULL ELSE validation END AS "          \
    "validation, split_seed, side, max_skipped, state, error AS \"error@json\", channels, "        \
    "height, width, n_classes, n_train, n_validation, n_test, n_files, n_skipped, n_enlarged, "    \
    "revision, created_us AS \"created_at@time\""
#define DATASET_DETAILS ", classes AS \"classes@json\", skipped AS \"skipped@json\""

static int announce(struct store_tx *tx, const char *id, struct err *err) {
    cJSON *doc = NULL;
    int r = sql_get_row(store_tx_sql(tx), err, &doc,
                        "SELECT " DATASET_COLUMNS " FROM datasets WHERE id = ?1", "t", id);
    if (r == 0 && doc != NULL)
        r = store_tx_event(tx, err, "dataset", doc);
    cJSON_Delete(doc);
    return r;
}

int store_dataset_create(struct store_tx *tx, const struct dataset_request *request,
                         struct err *err, char ret_id[ID_MAX]) {
    struct sql *sql = store_tx_sql(tx);
    int64_t same = 0;
    char id[ID_MAX];
    int r = sql_get_int(sql, err, &same, NULL, "SELECT count(*) FROM datasets WHERE name = ?1", "t",
                        request->name);
    if (r == 0 && same > 0)
        r = err_set(err, ESP_ECONFLICT, "/name", "there is a data set \"%s\" already",
                    request->name);
    if (r != 0)
        return r;
    id_make("ds_", id);
    r = sql_run(sql, err, NULL,
                "INSERT INTO datasets (id, name, path, format, validation, validation_auto, "
                "split_seed, side, max_skipped, state, created_us) VALUES (?1, ?2, ?3, ?4, "
                "max(?5, 0), ?5 < 0, ?6, nullif(?7, 0), ?8, 'checking', ?9)",
                "ttttiiiri", id, request->name, request->path, request->format, request->validation,
                request->split_seed, request->side, request->max_skipped, store_tx_now_us(tx));
    if (r == 0)
        r = announce(tx, id, err);
    if (r == 0)
        memcpy(ret_id, id, sizeof(id));
    return r;
}

int store_dataset_get(struct sql *sql, const char *ref, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_get_row(sql, err, &doc,
                        "SELECT " DATASET_COLUMNS DATASET_DETAILS
                        " FROM datasets WHERE id = ?1 OR name = ?1",
                        "t", ref);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no data set \"%s\"", ref);
    if (r == 0)
        *ret_doc = doc;
    return r;
}

int store_dataset_check_path_free(struct sql *sql, const char *path, struct err *err) {
    int64_t same = 0;
    int r = sql_get_int(sql, err, &same, NULL, "SELECT count(*) FROM datasets WHERE path = ?1", "t",
                        path);
    if (r == 0 && same > 0)
        r = err_set(err, ESP_ECONFLICT, NULL,
                    "the upload has become a data set: it stays as it is");
    return r;
}

int store_dataset_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                       cJSON **ret_doc) {
    return sql_page(sql, err, page, "id", ret_doc,
                    "SELECT " DATASET_COLUMNS
                    " FROM datasets WHERE (?1 IS NULL OR id < ?1) ORDER BY "
                    "id DESC LIMIT ?2",
                    "");
}

int store_dataset_delete(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users) {
    struct sql *sql = store_tx_sql(tx);
    cJSON *users = NULL;
    int r = sql_get_rows(sql, err, &users,
                         "SELECT 'supernet' AS kind, id, name FROM supernets WHERE dataset = ?1 "
                         "UNION ALL SELECT 'search', id, name FROM searches WHERE "
                         "json_extract(body, '$.dataset') = ?1 UNION ALL SELECT 'job', id, kind "
                         "FROM jobs WHERE subject = ?1 AND state NOT IN ('done', 'failed', "
                         "'canceled') LIMIT 100",
                         "t", id);
    if (r != 0)
        return r;
    if (cJSON_GetArraySize(users) > 0) {
        *ret_users = users;
        return err_set(err, ESP_ECONFLICT, NULL, "the data set is used by others");
    }
    cJSON_Delete(users);
    r = sql_run(sql, err, NULL, "DELETE FROM datasets WHERE id = ?1", "t", id);
    return r == 0 ? store_tx_removed(tx, err, "dataset", id) : r;
}

static int set_details(struct sql *sql, const char *id, const cJSON *data, struct err *err) {
    char *classes = json_print(cJSON_GetObjectItemCaseSensitive(data, "classes"));
    char *skipped = json_print(cJSON_GetObjectItemCaseSensitive(data, "skipped"));
    int r = sql_run(sql, err, NULL, "UPDATE datasets SET classes = ?2, skipped = ?3 WHERE id = ?1",
                    "ttt", id, classes, skipped);
    free(classes);
    free(skipped);
    return r;
}

int store_dataset_found(struct store_tx *tx, const char *id, const cJSON *data, struct err *err) {
    static const char *const keys[] = {"channels",  "height",       "width",  "n_classes",
                                       "n_train",   "n_validation", "n_test", "n_files",
                                       "n_skipped", "n_enlarged"};
    int64_t n[sizeof(keys) / sizeof(*keys)] = {0};
    const char *revision, *format;
    int r = json_string(data, "", "revision", 1, 128, err, &revision);
    if (r == 0)
        r = json_string(data, "", "format", 1, 32, err, &format);
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys) && r == 0; i++)
        r = i < 7 ? json_int(data, "", keys[i], 0, 1000000000, err, &n[i])
                  : json_int_opt(data, "", keys[i], 0, 1000000000, err, &n[i]);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "UPDATE datasets SET channels = ?2, height = ?3, width = ?4, n_classes = ?5, "
                    "n_train = ?6, n_validation = ?7, n_test = ?8, n_files = ?9, n_skipped = ?10, "
                    "n_enlarged = ?11, revision = ?12, format = ?13 WHERE id = ?1",
                    "tiiiiiiiiiitt", id, n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9],
                    revision, format);
    return r != 0 ? r : set_details(store_tx_sql(tx), id, data, err);
}

int store_dataset_follow(struct store_tx *tx, const char *id, enum job_state state,
                         struct err *err) {
    const char *text = "checking";
    if (state == JOB_DONE)
        text = "ready";
    else if (job_terminal(state))
        text = "failed";
    int r =
        sql_run(store_tx_sql(tx), err, NULL,
                "UPDATE datasets SET state = ?2, error = CASE WHEN ?2 = 'failed' THEN coalesce("
                "(SELECT error FROM jobs WHERE subject = ?1 ORDER BY id DESC LIMIT 1), "
                "'{\"code\":\"canceled\",\"message\":\"the check was canceled\",\"pointer\":\"\"}'"
                ") END WHERE id = ?1",
                "tt", id, text);
    return r != 0 ? r : announce(tx, id, err);
}

cJSON *store_dataset_spec(const cJSON *dataset) {
    static const char *const keys[] = {"path", "format",      "validation", "split_seed",
                                       "side", "max_skipped", "revision"};
    cJSON *spec = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        cJSON_AddItemToObject(
            spec, keys[i],
            cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(dataset, keys[i]), true));
    return spec;
}
