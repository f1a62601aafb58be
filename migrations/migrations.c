#include "migrations/migrations.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"

enum {
    APPLICATION_ID = 0x4553504c /* "ESPL" */
};

static int sqlite_failed(sqlite3 *db, struct err *err, const char *doing) {
    int code = ESP_EIO;
    switch (sqlite3_errcode(db)) {
    case SQLITE_FULL:
        code = ESP_ENOSPACE;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = ESP_EBUSY;
        break;
    case SQLITE_NOMEM:
        code = ESP_ENOMEM;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = ESP_ECORRUPT;
        break;
    }
    return err_set(err, code, NULL, "%s: %s", doing, sqlite3_errmsg(db));
}

static int run_sql(sqlite3 *db, const char *sql, struct err *err, const char *doing) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_failed(db, err, doing);
}

/* First column of the first row of sql, or fallback when there is none. */
static int query_int(sqlite3 *db, const char *sql, int64_t fallback, struct err *err,
                     int64_t *ret) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return sqlite_failed(db, err, "cannot read the database");
    int step = sqlite3_step(stmt);
    int64_t value = step == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : fallback;
    int r = step == SQLITE_ROW || step == SQLITE_DONE
                ? 0
                : sqlite_failed(db, err, "cannot read the database");
    sqlite3_finalize(stmt);
    if (r == 0)
        *ret = value;
    return r;
}

/* A file that holds tables but not ours is somebody else's: leave it alone. */
static int claim_database(sqlite3 *db, struct err *err) {
    int64_t application, tables;
    int r = query_int(db, "PRAGMA application_id", 0, err, &application);
    if (r == 0)
        r = query_int(db, "SELECT count(*) FROM sqlite_schema", 0, err, &tables);
    if (r != 0 || application == APPLICATION_ID)
        return r;
    if (tables > 0 || application != 0)
        return err_set(err, ESP_ECORRUPT, NULL,
                       "the file is an SQLite database, but not one of Espalier");
    return run_sql(db,
                   "BEGIN IMMEDIATE;"
                   "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT "
                   "NULL, hash TEXT NOT NULL, applied_us INTEGER NOT NULL) STRICT;"
                   "PRAGMA application_id = 1163087948;"
                   "COMMIT;",
                   err, "cannot set up the database");
}

/* Before anything else is said about it: a newer program's database is whole, only not ours. */
static int check_newest(sqlite3 *db, const struct migration *list, int n, struct err *err) {
    int64_t newest = 0;
    int r = query_int(db, "SELECT max(version) FROM schema_migrations", 0, err, &newest);
    if (r == 0 && newest > n)
        r = err_set(err, ESP_EVERSION, NULL,
                    "the database is of a newer Espalier: it has migration %lld, and this program "
                    "knows those up to %d; install the newer version again or restore a backup",
                    (long long)newest, n);
    return r;
}

static int check_applied_row(sqlite3_stmt *stmt, const struct migration *list, struct err *err) {
    int version = sqlite3_column_int(stmt, 0);
    const char *name = (const char *)sqlite3_column_text(stmt, 1);
    const char *hash = (const char *)sqlite3_column_text(stmt, 2);
    char expected[HASH_TEXT];
    hash_text(list[version - 1].sql, strlen(list[version - 1].sql), expected);
    if (strcmp(expected, hash) != 0)
        return err_set(err, ESP_EMISMATCH, NULL,
                       "migration %s in the database is not the one of this program (%s): the "
                       "program is of another line of versions",
                       name, list[version - 1].name);
    return 0;
}

/* Checks what is applied against the list; *ret_version = the newest. */
static int check_applied(sqlite3 *db, const struct migration *list, struct err *err,
                         int *ret_version) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, "SELECT version, name, hash FROM schema_migrations ORDER BY version",
                           -1, &stmt, NULL) != SQLITE_OK)
        return sqlite_failed(db, err, "cannot read the list of migrations");
    int r = 0, newest = 0, step;
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW && r == 0) {
        if (sqlite3_column_int(stmt, 0) != newest + 1)
            r = err_set(err, ESP_ECORRUPT, NULL, "the database's list of migrations has a gap");
        else
            r = check_applied_row(stmt, list, err);
        newest++;
    }
    if (r == 0 && step != SQLITE_DONE)
        r = sqlite_failed(db, err, "cannot read the list of migrations");
    sqlite3_finalize(stmt);
    if (r == 0)
        *ret_version = newest;
    return r;
}

static int copy_database(sqlite3 *db, const char *target, struct err *err) {
    sqlite3 *copy = NULL;
    sqlite3_backup *backup = NULL;
    int r = 0;
    if (sqlite3_open_v2(target, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK) {
        r = sqlite_failed(copy, err, "cannot create the backup");
        goto out;
    }
    backup = sqlite3_backup_init(copy, "main", db, "main");
    if (backup == NULL || sqlite3_backup_step(backup, -1) != SQLITE_DONE)
        r = sqlite_failed(copy, err, "cannot write the backup");
    if (sqlite3_backup_finish(backup) != SQLITE_OK && r == 0)
        r = sqlite_failed(copy, err, "cannot write the backup");
out:
    sqlite3_close(copy);
    return r;
}

/* To a temporary name first: a backup that exists is whole. */
static int backup_before(sqlite3 *db, const char *path, int version, struct err *err) {
    char target[4096], partial[4096 + 8];
    int len = snprintf(target, sizeof(target), "%s.before-%04d", path, version);
    if (len < 0 || (size_t)len >= sizeof(target))
        return err_set(err, ESP_ELIMIT, NULL, "the database's path is too long");
    snprintf(partial, sizeof(partial), "%s.part", target);
    remove(partial);
    int r = copy_database(db, partial, err);
    if (r == 0 && rename(partial, target) != 0)
        r = err_set(err, ESP_EIO, NULL, "cannot name the backup %s", target);
    if (r != 0)
        remove(partial);
    return r;
}

static int record(sqlite3 *db, const struct migration *migration, struct err *err) {
    char hash[HASH_TEXT];
    hash_text(migration->sql, strlen(migration->sql), hash);
    sqlite3_stmt *stmt = NULL;
    int r = 0;
    if (sqlite3_prepare_v2(db, "INSERT INTO schema_migrations VALUES (?1, ?2, ?3, ?4)", -1, &stmt,
                           NULL) != SQLITE_OK)
        return sqlite_failed(db, err, "cannot record the migration");
    sqlite3_bind_int(stmt, 1, migration->version);
    sqlite3_bind_text(stmt, 2, migration->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 3, hash, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, clock_wall_us());
    if (sqlite3_step(stmt) != SQLITE_DONE)
        r = sqlite_failed(db, err, "cannot record the migration");
    sqlite3_finalize(stmt);
    return r;
}

static int check_references(sqlite3 *db, struct err *err) {
    int64_t broken = 0;
    int r = query_int(db, "SELECT count(*) FROM pragma_foreign_key_check", 0, err, &broken);
    if (r == 0 && broken > 0)
        r = err_set(err, ESP_ECORRUPT, NULL, "%lld references lead nowhere", (long long)broken);
    return r;
}

static int apply_one(sqlite3 *db, const struct migration *migration, struct err *err) {
    int r = run_sql(db, "BEGIN IMMEDIATE", err, "cannot begin");
    if (r != 0)
        return r;
    r = run_sql(db, migration->sql, err, "cannot run it");
    if (r == 0)
        r = check_references(db, err);
    if (r == 0)
        r = record(db, migration, err);
    if (r == 0)
        r = run_sql(db, "COMMIT", err, "cannot commit");
    if (r != 0) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        err_prefix(err, r, "migration %s", migration->name);
    }
    return r;
}

int migrations_apply(sqlite3 *db, const char *path, const struct migration *list, int n,
                     struct err *err, int *ret_applied) {
    int version = 0;
    int r = claim_database(db, err);
    if (r == 0)
        r = check_newest(db, list, n, err);
    if (r == 0)
        r = check_applied(db, list, err, &version);
    if (r == 0 && version > 0 && version < n && path != NULL)
        r = backup_before(db, path, version, err);
    /* A migration may rebuild a table that others refer to; the references are checked at its end.
     */
    if (r == 0)
        r = run_sql(db, "PRAGMA foreign_keys = OFF", err, "cannot set up the database");
    int applied = 0;
    for (int i = version; i < n && r == 0; i++, applied++)
        r = apply_one(db, &list[i], err);
    int on = run_sql(db, "PRAGMA foreign_keys = ON", r == 0 ? err : NULL, "cannot set up");
    if (r == 0)
        r = on;
    if (r == 0)
        *ret_applied = applied;
    return r;
}

static void append_squeezed(struct buf *out, const char *sql) {
    bool space = false;
    for (const char *p = sql; *p != '\0'; p++) {
        if (p[0] == '-' && p[1] == '-')
            p += strcspn(p, "\n"); /* a comment; what ends its line is white space */
        if (*p == '\0')
            break;
        if (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r') {
            space = true;
            continue;
        }
        if (space)
            buf_append(out, " ", 1);
        space = false;
        buf_append(out, p, 1);
    }
}

char *migrations_dump_schema(sqlite3 *db) {
    struct buf out;
    sqlite3_stmt *stmt = NULL;
    char *text = NULL;
    int step = SQLITE_ERROR;
    buf_init(&out, 0);
    if (sqlite3_prepare_v2(db,
                           "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE "
                           "'sqlite_%' ORDER BY type <> 'table', type, name",
                           -1, &stmt, NULL) != SQLITE_OK)
        goto out;
    while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
        append_squeezed(&out, (const char *)sqlite3_column_text(stmt, 0));
        buf_puts(&out, ";\n");
    }
    if (step == SQLITE_DONE)
        text = buf_take(&out);
out:
    sqlite3_finalize(stmt);
    buf_finish(&out);
    return text;
}

int migrations_check_schema(sqlite3 *db, const char *expected, struct err *err) {
    char *actual = migrations_dump_schema(db);
    if (actual == NULL)
        return sqlite_failed(db, err, "cannot read the schema");
    size_t i = 0, line = 0;
    for (; expected[i] != '\0' && expected[i] == actual[i]; i++)
        if (expected[i] == '\n')
            line = i + 1;
    int r = 0;
    if (expected[i] != actual[i])
        r = err_set(err, ESP_ECORRUPT, NULL,
                    "the database's schema was changed by hand: expected \"%.120s\", found "
                    "\"%.120s\"",
                    expected + line, actual + line);
    free(actual);
    return r;
}
