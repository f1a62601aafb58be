#include "daemon/store_backup.h"

#include <stdio.h>
#include <string.h>

#include "daemon/store.h"

enum { STEP_PAGES = 2048 };

int store_backup_pin(struct sql *sql, struct err *err, int64_t *ret_schema) {
    return sql_get_int(sql, err, ret_schema, NULL, "SELECT max(version) FROM schema_migrations",
                       "");
}

static int copy_pages(sqlite3 *from, struct sql *to, struct err *err) {
    sqlite3_backup *backup = sqlite3_backup_init(sql_handle(to), "main", from, "main");
    int code = backup == NULL ? sqlite3_errcode(sql_handle(to)) : SQLITE_OK;
    while (code == SQLITE_OK)
        code = sqlite3_backup_step(backup, STEP_PAGES);
    if (backup != NULL)
        sqlite3_backup_finish(backup);
    if (code == SQLITE_DONE)
        return 0;
    return err_set(err, (code & 0xff) == SQLITE_FULL ? ESP_ENOSPACE : ESP_EIO, NULL,
                   "the database cannot be copied: %s", sqlite3_errstr(code));
}

static int check_copy(struct sql *sql, struct err *err) {
    struct sql_rows rows;
    char found[200];
    sql_query(sql, &rows, "PRAGMA quick_check(1)", "");
    snprintf(found, sizeof(found), "%s", sql_next(&rows) ? sql_text(&rows, 0) : "nothing");
    int r = sql_end(&rows, err);
    if (r == 0 && strcmp(found, "ok") != 0)
        return err_set(err, ESP_ECORRUPT, NULL, "the copy of the database is damaged: %s", found);
    if (r != 0)
        return r;
    sql_query(sql, &rows, "PRAGMA foreign_key_check", "");
    bool broken = sql_next(&rows);
    snprintf(found, sizeof(found), "%s", broken ? sql_text(&rows, 0) : "");
    r = sql_end(&rows, err);
    return r == 0 && broken ? err_set(err, ESP_ECORRUPT, NULL,
                                      "a reference in the copy of the database's table %s is "
                                      "broken",
                                      found)
                            : r;
}

int store_backup_copy(struct sql *sql, const char *path, struct err *err) {
    struct sql *copy = NULL;
    int r = sql_open(path, true, err, &copy);
    if (r == 0)
        r = copy_pages(sql_handle(sql), copy, err);
    if (r == 0) /* or the write-ahead log would grow for as long as all files are hashed */
        r = sql_exec(sql, err, "COMMIT");
    if (r == 0)
        r = check_copy(copy, err);
    if (r == 0) /* one file, without a log beside it */
        r = sql_exec(copy, err, "PRAGMA journal_mode = DELETE");
    sql_close(copy);
    return r;
}

int store_backup_files(struct sql *sql, const char *data_dir, struct err *err, cJSON **ret_array) {
    return sql_get_rows(
        sql, err, ret_array,
        "SELECT path FROM exports WHERE state = 'ready' AND path IS NOT NULL UNION ALL SELECT "
        "'supernets/' || k.supernet || '/' || k.path FROM supernets s JOIN checkpoints k ON k.id = "
        "s.checkpoint UNION ALL SELECT substr(path, length(?1) + 2) FROM datasets WHERE "
        "substr(path, 1, length(?1) + 1) = ?1 || '/' UNION ALL SELECT 'models/' || id || "
        "'/predictor.bin' FROM models WHERE state = 'ready' AND kind = 'accuracy'",
        "t", data_dir);
}

int store_backup_moved(struct store_tx *tx, const char *from, const char *to, struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    if (strcmp(from, to) == 0)
        return 0;
    int r = sql_run(sql, err, NULL,
                    "UPDATE datasets SET path = ?2 || substr(path, length(?1) + 1) WHERE "
                    "substr(path, 1, length(?1) + 1) = ?1 || '/' AND substr(path, 1, length(?2) + "
                    "1) <> ?2 || '/'",
                    "tt", from, to);
    if (r == 0) /* what is there already keeps its place meanwhile: one may lie in the other */
        r = sql_run(sql, err, NULL,
                    "UPDATE jobs SET spec = replace(replace(replace(spec, '\"' || ?2 || '/', "
                    "char(1)), '\"' || ?1 || '/', '\"' || ?2 || '/'), char(1), '\"' || ?2 || '/') "
                    "WHERE instr(spec, '\"' || ?1 || '/') > 0",
                    "tt", from, to);
    return r;
}
