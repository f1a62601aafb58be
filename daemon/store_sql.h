/* SQL with cached statements, typed binding and rows as JSON; for store_*.c only. */
#pragma once

#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* One connection with its statements; used by one thread at a time. */
struct sql;

int sql_open(const char *path, bool writable, struct err *err, struct sql **ret_sql);
void sql_close(struct sql *sql); /* takes NULL */
sqlite3 *sql_handle(struct sql *sql);

/* Types of what is bound to ?1, ?2 …: t text (const char *, NULL gives NULL), i int64_t, r double
 * (NaN gives NULL), b blob (const void *, then size_t len), n NULL (takes no argument). text must
 * be a literal: the statement is cached under its address. */

/* Runs a statement without rows. ESP_ECONFLICT for a UNIQUE or reference that is violated, else as
 * SQLite fails: ESP_ENOSPACE, ESP_EIO, ESP_EBUSY, ESP_ENOMEM, ESP_ECORRUPT. ret_changes may be
 * NULL. */
int sql_run(struct sql *sql, struct err *err, int *ret_changes, const char *text, const char *types,
            ...);
/* Statements without parameters, not cached: PRAGMA, BEGIN. */
int sql_exec(struct sql *sql, struct err *err, const char *text);

struct sql_rows {
    struct sql *sql;
    sqlite3_stmt *stmt; /* NULL: nothing more */
    int code;
};
/* for (sql_query(sql, &rows, "…", "t", id); sql_next(&rows);) … ; r = sql_end(&rows, err); */
void sql_query(struct sql *sql, struct sql_rows *rows, const char *text, const char *types, ...);
bool sql_next(struct sql_rows *rows);
int sql_end(struct sql_rows *rows, struct err *err);           /* may be called early */
const char *sql_text(const struct sql_rows *rows, int column); /* NULL for NULL; until next/end */
int64_t sql_int(const struct sql_rows *rows, int column);
double sql_real(const struct sql_rows *rows, int column); /* NaN for NULL */
const void *sql_blob(const struct sql_rows *rows, int column, size_t *ret_len);
bool sql_null(const struct sql_rows *rows, int column);
/* The row as an object: a member for each column, its form given by the column's name: "x@time"
 * (microseconds as RFC 3339), "x@bool", "x@json" (stored JSON text as it is). NULL on memory
 * exhaustion. */
cJSON *sql_row(const struct sql_rows *rows);

/* First column of the first row; *ret is left alone and *ret_found false when there is none. */
int sql_get_int(struct sql *sql, struct err *err, int64_t *ret, bool *ret_found, const char *text,
                const char *types, ...);
/* The same of a text, cut to size - 1 bytes; "" when there is none or it is NULL. */
int sql_get_text(struct sql *sql, struct err *err, char *ret, size_t size, const char *text,
                 const char *types, ...);
/* First row as sql_row makes it; *ret_doc NULL when there is none. */
int sql_get_row(struct sql *sql, struct err *err, cJSON **ret_doc, const char *text,
                const char *types, ...);
/* All rows, as an array. */
int sql_get_rows(struct sql *sql, struct err *err, cJSON **ret_array, const char *text,
                 const char *types, ...);

/* One page of a list, newest first: {"items": […], "next": cursor | null}. The statement gets the
 * cursor as ?1 (text, NULL for the first page) and a limit as ?2, then the arguments from ?3 on; it
 * must order by the column that a row's member key shows, descending. */
struct sql_page_args {
    const char *after; /* NULL: from the newest */
    int64_t size;
};
int sql_page(struct sql *sql, struct err *err, const struct sql_page_args *page, const char *key,
             cJSON **ret_doc, const char *text, const char *types, ...);

/* The members of row's member key, which is stored JSON text, become row's own (its own win). */
int sql_spread(cJSON *row, const char *key, struct err *err);
/* That of all items of a page, which becomes *ret_doc, or is deleted on an error. */
int sql_spread_all(cJSON *page, const char *key, struct err *err, cJSON **ret_doc);

/* Microseconds as RFC 3339, inside a statement that makes JSON itself. */
#define SQL_TIME(column)                                                                           \
    "CASE WHEN " column " IS NULL THEN NULL ELSE strftime('%Y-%m-%dT%H:%M:%S', " column            \
    " / 1000000, 'unixepoch') || printf('.%06dZ', " column " % 1000000) END"
