#include "daemon/store_sql.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"

enum { STATEMENTS_MAX = 2048 /* a power of two, far above the number of literals (400) */ };

struct sql {
    sqlite3 *db;
    struct {
        const char *text;
        sqlite3_stmt *stmt;
    } cache[STATEMENTS_MAX];
};

sqlite3 *sql_handle(struct sql *sql) {
    return sql->db;
}

static int map_code(int extended, int number) {
    switch (extended & 0xff) {
    case SQLITE_CONSTRAINT:
        return ESP_ECONFLICT;
    case SQLITE_FULL:
        return ESP_ENOSPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ESP_EBUSY;
    case SQLITE_NOMEM:
        return ESP_ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ESP_ECORRUPT;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: /* of the files beside the database */
        return number == ENOSPC || number == EDQUOT ? ESP_ENOSPACE : ESP_EIO;
    }
    return ESP_EIO;
}

static int failed(struct sql *sql, struct err *err) {
    return err_set(err, map_code(sqlite3_extended_errcode(sql->db), sqlite3_system_errno(sql->db)),
                   NULL, "database: %s", sqlite3_errmsg(sql->db));
}

int sql_exec(struct sql *sql, struct err *err, const char *text) {
    return sqlite3_exec(sql->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(sql, err);
}

int sql_open(const char *path, bool writable, struct err *err, struct sql **ret_sql) {
    struct sql *sql = mem_array(1, sizeof(*sql));
    if (sql == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int flags = writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
    int r = 0;
    if (sqlite3_open_v2(path, &sql->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        r = err_set(err, ESP_EIO, NULL, "cannot open the database %s: %s", path,
                    sql->db == NULL ? "out of memory" : sqlite3_errmsg(sql->db));
    if (r == 0) {
        sqlite3_extended_result_codes(sql->db, 1);
        sqlite3_busy_timeout(sql->db, 5000);
        sqlite3_db_config(sql->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        r = sql_exec(sql, err,
                     writable ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA "
                                "foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size "
                                "= -16384"
                              : "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA "
                                "cache_size = -8192");
        if (r != 0)
            err_prefix(err, r, "%s", path);
    }
    if (r != 0) {
        sql_close(sql);
        return r;
    }
    *ret_sql = sql;
    return 0;
}

void sql_close(struct sql *sql) {
    if (sql == NULL)
        return;
    for (int i = 0; i < STATEMENTS_MAX; i++)
        sqlite3_finalize(sql->cache[i].stmt);
    sqlite3_close(sql->db);
    free(sql);
}

static sqlite3_stmt *prepare(struct sql *sql, const char *text) {
    size_t slot = ((uintptr_t)text >> 3) * 2654435761u % STATEMENTS_MAX;
    while (sql->cache[slot].text != NULL && sql->cache[slot].text != text)
        slot = (slot + 1) % STATEMENTS_MAX;
    if (sql->cache[slot].text == NULL) {
        if (sqlite3_prepare_v3(sql->db, text, -1, SQLITE_PREPARE_PERSISTENT, &sql->cache[slot].stmt,
                               NULL) != SQLITE_OK)
            return NULL;
        sql->cache[slot].text = text;
    }
    return sql->cache[slot].stmt;
}

/* From parameter number first on. */
static void bind(sqlite3_stmt *stmt, int first, const char *types, va_list args) {
    const void *bytes;
    double real;
    for (int i = first; types != NULL && *types != '\0'; types++, i++)
        switch (*types) {
        case 't':
            sqlite3_bind_text(stmt, i, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
            break;
        case 'i':
            sqlite3_bind_int64(stmt, i, va_arg(args, int64_t));
            break;
        case 'r':
            real = va_arg(args, double);
            if (isnan(real))
                sqlite3_bind_null(stmt, i);
            else
                sqlite3_bind_double(stmt, i, real);
            break;
        case 'b':
            bytes = va_arg(args, const void *);
            sqlite3_bind_blob64(stmt, i, bytes == NULL ? "" : bytes, va_arg(args, size_t),
                                SQLITE_TRANSIENT);
            break;
        case 'n':
            sqlite3_bind_null(stmt, i);
            break;
        }
}

static void start_query(struct sql *sql, struct sql_rows *rows, const char *text, const char *types,
                        va_list args) {
    *rows = (struct sql_rows){.sql = sql, .stmt = prepare(sql, text), .code = SQLITE_OK};
    if (rows->stmt == NULL)
        rows->code = SQLITE_ERROR;
    else
        bind(rows->stmt, 1, types, args);
}

void sql_query(struct sql *sql, struct sql_rows *rows, const char *text, const char *types, ...) {
    va_list args;
    va_start(args, types);
    start_query(sql, rows, text, types, args);
    va_end(args);
}

bool sql_next(struct sql_rows *rows) {
    if (rows->stmt == NULL || (rows->code != SQLITE_OK && rows->code != SQLITE_ROW))
        return false;
    rows->code = sqlite3_step(rows->stmt);
    return rows->code == SQLITE_ROW;
}

int sql_end(struct sql_rows *rows, struct err *err) {
    int r = rows->code == SQLITE_OK || rows->code == SQLITE_ROW || rows->code == SQLITE_DONE
                ? 0
                : failed(rows->sql, err);
    if (rows->stmt != NULL) {
        sqlite3_reset(rows->stmt);
        sqlite3_clear_bindings(rows->stmt);
        rows->stmt = NULL;
    }
    return r;
}

const char *sql_text(const struct sql_rows *rows, int column) {
    return (const char *)sqlite3_column_text(rows->stmt, column);
}

int64_t sql_int(const struct sql_rows *rows, int column) {
    return sqlite3_column_int64(rows->stmt, column);
}

double sql_real(const struct sql_rows *rows, int column) {
    return sql_null(rows, column) ? (double)NAN : sqlite3_column_double(rows->stmt, column);
}

const void *sql_blob(const struct sql_rows *rows, int column, size_t *ret_len) {
    const void *bytes = sqlite3_column_blob(rows->stmt, column);
    *ret_len = (size_t)sqlite3_column_bytes(rows->stmt, column);
    return bytes;
}

bool sql_null(const struct sql_rows *rows, int column) {
    return sqlite3_column_type(rows->stmt, column) == SQLITE_NULL;
}

static cJSON *formed(const struct sql_rows *rows, int column, const char *form) {
    char text[40];
    if (sql_null(rows, column))
        return cJSON_CreateNull();
    if (strcmp(form, "time") == 0) {
        clock_format_utc(sql_int(rows, column), text, sizeof(text));
        return cJSON_CreateString(text);
    }
    if (strcmp(form, "bool") == 0)
        return cJSON_CreateBool(sql_int(rows, column) != 0);
    return cJSON_CreateRaw(sql_text(rows, column));
}

static cJSON *plain(const struct sql_rows *rows, int column) {
    switch (sqlite3_column_type(rows->stmt, column)) {
    case SQLITE_INTEGER:
        return cJSON_CreateNumber((double)sql_int(rows, column));
    case SQLITE_FLOAT:
        return cJSON_CreateNumber(sqlite3_column_double(rows->stmt, column));
    case SQLITE_TEXT:
        return cJSON_CreateString(sql_text(rows, column));
    }
    return cJSON_CreateNull();
}

cJSON *sql_row(const struct sql_rows *rows) {
    cJSON *doc = cJSON_CreateObject();
    char name[64];
    for (int i = 0; doc != NULL && i < sqlite3_column_count(rows->stmt); i++) {
        const char *full = sqlite3_column_name(rows->stmt, i);
        size_t len = strcspn(full, "@");
        if (len >= sizeof(name))
            len = sizeof(name) - 1;
        memcpy(name, full, len);
        name[len] = '\0';
        cJSON *value = full[len] == '@' ? formed(rows, i, full + len + 1) : plain(rows, i);
        if (value == NULL || !cJSON_AddItemToObject(doc, name, value)) {
            cJSON_Delete(value);
            cJSON_Delete(doc);
            doc = NULL;
        }
    }
    return doc;
}

int sql_run(struct sql *sql, struct err *err, int *ret_changes, const char *text, const char *types,
            ...) {
    struct sql_rows rows;
    va_list args;
    va_start(args, types);
    start_query(sql, &rows, text, types, args);
    va_end(args);
    while (sql_next(&rows))
        ;
    int changes = sqlite3_changes(sql->db);
    int r = sql_end(&rows, err);
    if (r == 0 && ret_changes != NULL)
        *ret_changes = changes;
    return r;
}

int sql_get_int(struct sql *sql, struct err *err, int64_t *ret, bool *ret_found, const char *text,
                const char *types, ...) {
    struct sql_rows rows;
    va_list args;
    va_start(args, types);
    start_query(sql, &rows, text, types, args);
    va_end(args);
    bool found = sql_next(&rows) && !sql_null(&rows, 0);
    int64_t value = found ? sql_int(&rows, 0) : 0;
    int r = sql_end(&rows, err);
    if (r != 0)
        return r;
    if (found)
        *ret = value;
    if (ret_found != NULL)
        *ret_found = found;
    return 0;
}

int sql_get_text(struct sql *sql, struct err *err, char *ret, size_t size, const char *text,
                 const char *types, ...) {
    struct sql_rows rows;
    va_list args;
    va_start(args, types);
    start_query(sql, &rows, text, types, args);
    va_end(args);
    bool found = sql_next(&rows) && !sql_null(&rows, 0);
    snprintf(ret, size, "%s", found ? sql_text(&rows, 0) : "");
    return sql_end(&rows, err);
}

int sql_get_row(struct sql *sql, struct err *err, cJSON **ret_doc, const char *text,
                const char *types, ...) {
    struct sql_rows rows;
    va_list args;
    va_start(args, types);
    start_query(sql, &rows, text, types, args);
    va_end(args);
    bool found = sql_next(&rows);
    cJSON *doc = found ? sql_row(&rows) : NULL;
    int r = sql_end(&rows, err);
    if (r == 0 && found && doc == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r != 0) {
        cJSON_Delete(doc);
        return r;
    }
    *ret_doc = doc;
    return 0;
}

int sql_get_rows(struct sql *sql, struct err *err, cJSON **ret_array, const char *text,
                 const char *types, ...) {
    struct sql_rows rows;
    va_list args;
    cJSON *array = cJSON_CreateArray();
    va_start(args, types);
    start_query(sql, &rows, text, types, args);
    va_end(args);
    bool whole = array != NULL;
    while (whole && sql_next(&rows))
        whole = cJSON_AddItemToArray(array, sql_row(&rows));
    int r = sql_end(&rows, err);
    if (r == 0 && !whole)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r != 0) {
        cJSON_Delete(array);
        return r;
    }
    *ret_array = array;
    return 0;
}

static cJSON *page_document(cJSON *items, int64_t size, const char *key) {
    cJSON *doc = cJSON_CreateObject(), *next = NULL;
    if (cJSON_GetArraySize(items) > size) {
        cJSON_DeleteItemFromArray(items, (int)size);
        const cJSON *last = cJSON_GetArrayItem(items, (int)size - 1);
        const cJSON *cursor = cJSON_GetObjectItemCaseSensitive(last, key);
        char number[24];
        snprintf(number, sizeof(number), "%.0f", cJSON_GetNumberValue(cursor));
        next = cJSON_CreateString(cJSON_IsNumber(cursor) ? number : cJSON_GetStringValue(cursor));
    }
    cJSON_AddItemToObject(doc, "items", items);
    cJSON_AddItemToObject(doc, "next", next != NULL ? next : cJSON_CreateNull());
    return doc;
}

int sql_page(struct sql *sql, struct err *err, const struct sql_page_args *page, const char *key,
             cJSON **ret_doc, const char *text, const char *types, ...) {
    struct sql_rows rows;
    va_list args;
    cJSON *items = cJSON_CreateArray();
    sql_query(sql, &rows, text, "ti", page->after, page->size + 1);
    va_start(args, types);
    if (rows.stmt != NULL)
        bind(rows.stmt, 3, types, args);
    va_end(args);
    bool whole = items != NULL;
    while (whole && sql_next(&rows))
        whole = cJSON_AddItemToArray(items, sql_row(&rows));
    int r = sql_end(&rows, err);
    if (r == 0 && !whole)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r != 0) {
        cJSON_Delete(items);
        return r;
    }
    *ret_doc = page_document(items, page->size, key);
    return 0;
}

int sql_spread(cJSON *row, const char *key, struct err *err) {
    cJSON *raw = cJSON_DetachItemFromObjectCaseSensitive(row, key), *doc = NULL;
    const char *text = cJSON_IsRaw(raw) ? raw->valuestring : "{}";
    struct json_limits limits = {.bytes = 64 << 20, .depth = 64, .nodes = 4000000};
    int r = json_parse(text, strlen(text), &limits, err, &doc);
    while (r == 0 && doc->child != NULL) {
        cJSON *member = cJSON_DetachItemViaPointer(doc, doc->child);
        if (cJSON_HasObjectItem(row, member->string))
            cJSON_Delete(member);
        else
            cJSON_AddItemToObject(row, member->string, member);
    }
    cJSON_Delete(doc);
    cJSON_Delete(raw);
    return r;
}

int sql_spread_all(cJSON *page, const char *key, struct err *err, cJSON **ret_doc) {
    cJSON *row;
    int r = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(page, "items")) {
        r = r != 0 ? r : sql_spread(row, key, err);
    }
    if (r == 0)
        *ret_doc = page;
    else
        cJSON_Delete(page);
    return r;
}
