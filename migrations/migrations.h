/* Numbered, forward-only changes of the database's schema, compiled in from NNNN_name.sql. */
#pragma once

#include <sqlite3.h>

#include "base/error.h"

struct migration {
    int version;      /* 1, 2, 3 … without gaps */
    const char *name; /* "0001_start" */
    const char *sql;
};

/* What this build knows, and the schema that stands at its end (migrations_dump_schema's text). */
extern const struct migration migrations_list[];
extern const int migrations_count;
extern const char migrations_schema[];

/* Brings db from whatever version it has to version n of list: each migration in one transaction
 * that also records its name and hash and checks the foreign keys. When db already holds
 * migrations and new ones wait, it is first copied to "<path>.before-NNNN" (path NULL: no copy).
 * Must be called outside a transaction; leaves foreign_keys on. *ret_applied = how many were new.
 * Errors: ESP_EVERSION (db is of a newer version), ESP_EMISMATCH (an applied migration is not the
 * one of this build), ESP_ECORRUPT (not a database of this program, or broken references),
 * ESP_EIO, ESP_ENOSPACE, ESP_EBUSY. */
int migrations_apply(sqlite3 *db, const char *path, const struct migration *list, int n,
                     struct err *err, int *ret_applied);

/* The schema as text: the SQL of every table, index, trigger and view, tables first, sorted by
 * name, without comments, white space squeezed. Caller frees; NULL on memory exhaustion or a read
 * error.
 */
char *migrations_dump_schema(sqlite3 *db);

/* ESP_ECORRUPT, with the first difference named, when db's schema is not expected. */
int migrations_check_schema(sqlite3 *db, const char *expected, struct err *err);
