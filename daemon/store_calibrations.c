#include "daemon/store_calibrations.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/ids.h"
#include "daemon/store_devices.h"
#include "daemon/store_searches.h"

/* clang-format off */
#define COLUMNS                                                                                    \
    "id, " STORE_PROFILE_NAME("calibrations") ", "                                                 \
    "search, space_fingerprint, created_us AS \"created_at@time\""
/* clang-format on */

#define BUT_FOR_VERSIONS(text) "json_remove(" text ", '$.version', '$.calibration.version')"

/* One of the search that is the same goes by the number that its job tells now. */
static int tell_again(struct sql *sql, const char *search, int64_t version, const char *text,
                      struct err *err, bool *ret_known) {
    int changes = 0;
    int r = sql_run(sql, err, &changes,
                    "UPDATE calibrations SET told = ?2 WHERE search = ?1 "
                    "AND " BUT_FOR_VERSIONS("data") " = " BUT_FOR_VERSIONS("?3"),
                    "tit", search, version, text);
    *ret_known = changes > 0;
    return r;
}

#define NEXT_VERSION                                                                               \
    "max(?5, 1 + coalesce(" CALIBRATIONS_LAST_VERSION("?3", "s.fingerprint") ", 0))"

/* search NULL: it was asked for by itself, and its job has this id as its subject. The version is
 * the one that the job counted, or a higher one where others were stored since it began to count.
 */
static int insert(struct store_tx *tx, const char *id, const char *search, const cJSON *data,
                  struct err *err) {
    const char *profile, *revision;
    int64_t version;
    int r = json_string(data, "", "profile_id", 1, ID_MAX - 1, err, &profile);
    if (r == 0)
        r = json_string(data, "", "profile_revision", 1, 96, err, &revision);
    if (r == 0)
        r = json_int(data, "", "version", 0, INT32_MAX, err, &version);
    if (r != 0)
        return r;
    bool known = false;
    char *text = json_print(data);
    if (search != NULL)
        r = tell_again(store_tx_sql(tx), search, version, text, err, &known);
    if (r == 0 && !known)
        r = sql_run(store_tx_sql(tx), err, NULL,
                    "WITH s (fingerprint) AS (SELECT CASE WHEN ?4 IS NULL THEN (SELECT "
                    "json_extract(spec, '$.space_fingerprint') FROM jobs WHERE subject = ?1) ELSE "
                    "(SELECT space_fingerprint FROM searches WHERE id = ?4) END), v (version) AS "
                    "(SELECT " NEXT_VERSION " FROM s) INSERT INTO calibrations (id, profile, "
                    "profile_revision, search, version, told, data, created_us, "
                    "space_fingerprint) SELECT ?1, ?2, ?3, ?4, v.version, ?5, json_set(?6, "
                    "'$.version', v.version, '$.calibration.version', v.version), ?7, "
                    "s.fingerprint FROM s, v",
                    "ttttiti", id, profile, revision, search, version, text, store_tx_now_us(tx));
    free(text);
    return r;
}

int store_calibration_add(struct store_tx *tx, const char *search, const cJSON *data,
                          struct err *err) {
    char id[ID_MAX];
    id_make("cal_", id);
    int r = insert(tx, id, search, data, err);
    return r != 0 ? r : store_search_announce(tx, search, err);
}

int store_calibration_fitted(struct store_tx *tx, const char *id, const cJSON *data,
                             struct err *err) {
    return insert(tx, id, NULL, data, err);
}

/* ?1 is a cursor: the time at its beginning, the id behind the first '-'. Compared with constants
 * where there is none, so that an index leads to the place. */
#define OF_CALIBRATIONS(condition)                                                                 \
    "SELECT " COLUMNS ", created_us || '-' || id AS place, json_remove(data, '$.points') AS "      \
    "\"data@json\" FROM calibrations WHERE (created_us, id) < (coalesce(CAST(?1 AS INTEGER), "     \
    "9223372036854775807), substr(?1, instr(?1, '-') + 1)) " condition                             \
    " ORDER BY " CALIBRATIONS_NEWEST_FIRST " LIMIT ?2"

bool store_calibration_is_cursor(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits < 19 && text[digits] == '-' && id_is(text + digits + 1, "cal_");
}

int store_calibration_list(struct sql *sql, const char *profile, const struct sql_page_args *page,
                           struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL, *row;
    int r = profile != NULL ? sql_page(sql, err, page, "place", &doc,
                                       OF_CALIBRATIONS("AND profile = ?3"), "t", profile)
                            : sql_page(sql, err, page, "place", &doc, OF_CALIBRATIONS(""), "");
    if (r != 0)
        return r;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "items"))
        cJSON_DeleteItemFromObjectCaseSensitive(row, "place");
    return sql_spread_all(doc, "data", err, ret_doc);
}

int store_calibration_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = sql_get_row(sql, err, &doc,
                        "SELECT " COLUMNS ", data AS \"data@json\" FROM calibrations WHERE id = ?1",
                        "t", id);
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no calibration \"%s\"", id);
    if (r == 0)
        r = sql_spread(doc, "data", err);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}

int store_calibration_newest(struct sql *sql, const char *profile_revision, const char *fingerprint,
                             struct err *err, char **ret_document) {
    struct sql_rows rows;
    char *document = NULL;
    sql_query(
        sql, &rows,
        "SELECT json_extract(data, '$.calibration') FROM calibrations WHERE profile_revision = "
        "?1 AND space_fingerprint = ?2 ORDER BY " CALIBRATIONS_NEWEST_FIRST " LIMIT 1",
        "tt", profile_revision, fingerprint);
    if (sql_next(&rows) && !sql_null(&rows, 0))
        document = mem_strdup(sql_text(&rows, 0));
    int r = sql_end(&rows, err);
    if (r == 0)
        *ret_document = document;
    else
        free(document);
    return r;
}
