#include <stdlib.h>

#include "base/memory.h"
#include "daemon/store_supernets.h"

int store_space_document_put(struct store_tx *tx, const char *fingerprint, const char *document,
                             struct err *err) {
    return sql_run(
        store_tx_sql(tx), err, NULL,
        "INSERT INTO space_documents (fingerprint, document) VALUES (?1, ?2) ON CONFLICT "
        "DO NOTHING",
        "tt", fingerprint, document);
}

int store_space_find(struct sql *sql, const char *name, struct err *err, char **ret_document) {
    struct sql_rows rows;
    char *document = NULL;
    sql_query(
        sql, &rows,
        "SELECT coalesce(s.document, json_set(d.document, '$.name', s.name)) FROM spaces s JOIN "
        "space_documents d USING (fingerprint) WHERE s.name = ?1",
        "t", name);
    bool found = sql_next(&rows);
    if (found)
        document = mem_strdup(sql_text(&rows, 0));
    int r = sql_end(&rows, err);
    if (r == 0 && found && document == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r != 0) {
        free(document);
        return r;
    }
    *ret_document = document;
    return 0;
}

int store_space_names(struct sql *sql, struct err *err, cJSON **ret_array) {
    return sql_get_rows(sql, err, ret_array, "SELECT name FROM spaces ORDER BY name", "");
}

/* A space goes by its name. */
static int announce(struct store_tx *tx, const char *name, const char *fingerprint,
                    struct err *err) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "name", name);
    if (fingerprint != NULL)
        cJSON_AddStringToObject(doc, "fingerprint", fingerprint);
    else
        cJSON_AddTrueToObject(doc, "removed");
    int r = store_tx_event(tx, err, "space", doc);
    cJSON_Delete(doc);
    return r;
}

int store_space_create(struct store_tx *tx, const char *name, const char *fingerprint,
                       const char *document, struct err *err) {
    int64_t same = 0;
    int r = sql_get_int(store_tx_sql(tx), err, &same, NULL,
                        "SELECT count(*) FROM spaces WHERE name = ?1", "t", name);
    if (r == 0 && same > 0)
        r = err_set(err, ESP_ECONFLICT, "/name", "there is a space \"%s\" already", name);
    if (r == 0)
        r = store_space_document_put(tx, fingerprint, document, err);
    if (r == 0)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO spaces (name, fingerprint, document, created_us) VALUES (?1, ?2, "
                    "?3, ?4)",
                    "ttti", name, fingerprint, document, store_tx_now_us(tx));
    return r == 0 ? announce(tx, name, fingerprint, err) : r;
}

int store_space_delete(struct store_tx *tx, const char *name, struct err *err, cJSON **ret_users) {
    struct sql *sql = store_tx_sql(tx);
    cJSON *users = NULL;
    int changes = 0;
    int r =
        sql_get_rows(sql, err, &users,
                     "SELECT 'supernet' AS kind, id, name FROM supernets WHERE space = ?1 UNION "
                     "ALL SELECT 'table', id, space FROM tables WHERE space = ?1 UNION ALL "
                     "SELECT 'search', id, name FROM searches WHERE space = ?1 AND supernet IS "
                     "NULL UNION ALL SELECT 'model', id, name FROM models WHERE space = ?1 LIMIT "
                     "100",
                     "t", name);
    if (r != 0)
        return r;
    if (cJSON_GetArraySize(users) > 0) {
        *ret_users = users;
        return err_set(err, ESP_ECONFLICT, NULL, "the space is used by others");
    }
    cJSON_Delete(users);
    r = sql_run(sql, err, &changes, "DELETE FROM spaces WHERE name = ?1", "t", name);
    if (r == 0 && changes == 0)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no posted space \"%s\"", name);
    return r == 0 ? announce(tx, name, NULL, err) : r;
}
