#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "migrations/migrations.h"

static const struct migration good[] = {
    {1, "0001_parents",
     "CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT;"
     "INSERT INTO parents VALUES (7);"},
    {2, "0002_children",
     "CREATE TABLE children (parent INTEGER REFERENCES parents (id)) STRICT;"
     "INSERT INTO children VALUES (7);"},
    {3, "0003_notes", "CREATE TABLE notes (text TEXT) STRICT;"},
};

struct fixture {
    char dir[64], path[96];
    sqlite3 *db;
    struct err err;
};

static int open_database(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/espalier-migrations-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/db", f->dir);
    assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
    *state = f;
    return 0;
}

static int close_database(void **state) {
    struct fixture *f = *state;
    sqlite3_close(f->db);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    int r = system(command);
    free(f);
    return r;
}

static int number(struct fixture *f, const char *sql) {
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(f->db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int value = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static void test_applies_in_order_and_once(void **state) {
    struct fixture *f = *state;
    int applied = -1;
    assert_int_equal(migrations_apply(f->db, f->path, good, 3, &f->err, &applied), 0);
    assert_int_equal(applied, 3);
    assert_int_equal(number(f, "SELECT count(*) FROM schema_migrations"), 3);
    assert_int_equal(number(f, "PRAGMA foreign_keys"), 1);
    assert_int_equal(migrations_apply(f->db, f->path, good, 3, &f->err, &applied), 0);
    assert_int_equal(applied, 0);
}

static void test_backs_up_before_more(void **state) {
    struct fixture *f = *state;
    int applied;
    char backup[128];
    assert_int_equal(migrations_apply(f->db, f->path, good, 1, &f->err, &applied), 0);
    snprintf(backup, sizeof(backup), "%s.before-0001", f->path);
    assert_false(file_exists(backup));
    assert_int_equal(migrations_apply(f->db, f->path, good, 3, &f->err, &applied), 0);
    assert_int_equal(applied, 2);
    assert_true(file_exists(backup));
    sqlite3_close(f->db);
    assert_int_equal(sqlite3_open(backup, &f->db), SQLITE_OK);
    assert_int_equal(number(f, "SELECT count(*) FROM schema_migrations"), 1);
    assert_int_equal(number(f, "SELECT id FROM parents"), 7);
}

static void test_failure_leaves_the_version_before(void **state) {
    struct fixture *f = *state;
    struct migration list[3];
    memcpy(list, good, sizeof(list));
    list[2].sql = "CREATE TABLE extra (a TEXT) STRICT; INSERT INTO nowhere VALUES (1);";
    int applied = -1;
    assert_int_equal(migrations_apply(f->db, f->path, list, 3, &f->err, &applied), ESP_EIO);
    assert_int_equal(applied, -1);
    assert_non_null(strstr(f->err.message, "0003_notes"));
    assert_int_equal(number(f, "SELECT count(*) FROM schema_migrations"), 2);
    assert_int_equal(number(f, "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'"), 0);
    assert_int_equal(number(f, "PRAGMA foreign_keys"), 1);
    assert_int_equal(migrations_apply(f->db, f->path, good, 3, &f->err, &applied), 0);
    assert_int_equal(applied, 1);
}

static void test_refuses_broken_references(void **state) {
    struct fixture *f = *state;
    struct migration list[3];
    memcpy(list, good, sizeof(list));
    list[2].sql = "INSERT INTO children VALUES (8);";
    int applied;
    assert_int_equal(migrations_apply(f->db, f->path, list, 3, &f->err, &applied), ESP_ECORRUPT);
    assert_int_equal(number(f, "SELECT count(*) FROM children"), 1);
}

static void test_refuses_a_newer_database(void **state) {
    struct fixture *f = *state;
    int applied;
    assert_int_equal(migrations_apply(f->db, f->path, good, 3, &f->err, &applied), 0);
    assert_int_equal(migrations_apply(f->db, f->path, good, 2, &f->err, &applied), ESP_EVERSION);
    assert_non_null(strstr(f->err.message, "newer"));
    assert_non_null(strstr(f->err.message, "migration 3"));
    assert_non_null(strstr(f->err.message, "up to 2"));
    /* Also when what lies between is not known. */
    assert_int_equal(sqlite3_exec(f->db,
                                  "UPDATE schema_migrations SET version = 9 WHERE version = 3",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(migrations_apply(f->db, f->path, good, 3, &f->err, &applied), ESP_EVERSION);
}

static void test_refuses_a_changed_migration(void **state) {
    struct fixture *f = *state;
    int applied;
    struct migration list[3];
    memcpy(list, good, sizeof(list));
    assert_int_equal(migrations_apply(f->db, f->path, good, 3, &f->err, &applied), 0);
    list[1].sql = "CREATE TABLE children (parent INTEGER) STRICT;";
    assert_int_equal(migrations_apply(f->db, f->path, list, 3, &f->err, &applied), ESP_EMISMATCH);
}

static void test_refuses_foreign_files(void **state) {
    struct fixture *f = *state;
    int applied;
    assert_int_equal(sqlite3_exec(f->db, "CREATE TABLE theirs (a)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(migrations_apply(f->db, f->path, good, 3, &f->err, &applied), ESP_ECORRUPT);
    assert_int_equal(number(f, "SELECT count(*) FROM sqlite_schema"), 1);
}

static void test_refuses_garbage(void **state) {
    struct fixture *f = *state;
    int applied;
    char garbage[4096];
    memset(garbage, 'x', sizeof(garbage));
    sqlite3_close(f->db);
    assert_int_equal(file_write_atomic(f->path, garbage, sizeof(garbage), &f->err), 0);
    assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
    assert_int_equal(migrations_apply(f->db, f->path, good, 3, &f->err, &applied), ESP_ECORRUPT);
}

static void test_built_in_list_gives_the_schema(void **state) {
    struct fixture *f = *state;
    int applied;
    assert_int_equal(
        migrations_apply(f->db, f->path, migrations_list, migrations_count, &f->err, &applied), 0);
    assert_int_equal(applied, migrations_count);
    char *dump = migrations_dump_schema(f->db);
    assert_string_equal(dump, migrations_schema);
    free(dump);
    assert_int_equal(migrations_check_schema(f->db, migrations_schema, &f->err), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND "
                               "type = 'table' AND strict = 0 AND name NOT LIKE 'sqlite_%'"),
                     0);
    assert_int_equal(sqlite3_exec(f->db, "DROP INDEX jobs_subject", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(migrations_check_schema(f->db, migrations_schema, &f->err), ESP_ECORRUPT);
    assert_non_null(strstr(f->err.message, "jobs_subject"));
}

/* The checkpoint by which most of its scores came; the same value of another one is chance. */
static void test_older_searches_find_their_checkpoint(void **state) {
    static const char searched[] =
        "PRAGMA foreign_keys = OFF;"
        "INSERT INTO searches (id, name, supernet, state, body, created_us) VALUES ('se_1', 'a', "
        "'sn', 'done', '{}', 0), ('se_2', 'b', 'sn', 'failed', '{}', 0);"
        "INSERT INTO candidates SELECT 'se_1', 'nsga2', value, 'a', 0, 1, 1, json_object('top1', "
        "json_object('value', 0.5 + value / 10.0, 'source', iif(value < 3, 'evaluated', "
        "'predicted'))), '{}', value FROM json_each('[1, 2, 3]');"
        "INSERT INTO candidates VALUES ('se_2', 'nsga2', 1, 'a', 0, 1, 0, '{\"top1\": {\"value\": "
        "0.6, \"source\": \"predicted\"}}', '{}', 1);"
        "INSERT INTO evaluations (supernet, checkpoint, arch_id, split, dataset_revision, "
        "recalibration_images, data, created_us) SELECT 'sn', k.value, a.value, 'validation', 'r', "
        "2000, json_object('top1', iif(k.value = 'mine' OR a.value = 1, 0.5 + a.value / 10.0, "
        "0.9)), 0 FROM json_each('[\"mine\", \"newer\"]') k, json_each('[1, 2, 3]') a;";
    struct fixture *f = *state;
    int applied;
    int before = 0;
    while (strcmp(migrations_list[before].name, "0007_search_checkpoints") != 0)
        assert_in_range(++before, 1, migrations_count - 1);
    assert_int_equal(migrations_apply(f->db, f->path, migrations_list, before, &f->err, &applied),
                     0);
    if (sqlite3_exec(f->db, searched, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s", sqlite3_errmsg(f->db));
    assert_int_equal(sqlite3_exec(f->db, migrations_list[before].sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(number(f, "SELECT checkpoint = 'mine' FROM searches WHERE id = 'se_1'"), 1);
    assert_int_equal(number(f, "SELECT checkpoint IS NULL FROM searches WHERE id = 'se_2'"), 1);
}

/* Tokens of before could do everything. */
static void test_older_tokens_keep_their_rights(void **state) {
    static const char made[] = "INSERT INTO tokens (id, kind, hash, label, created_us) VALUES "
                               "('a', 'api', '1', '', 0), ('w', 'worker', '2', '', 0), ('e', "
                               "'enrolment', '3', '', 0);";
    struct fixture *f = *state;
    int applied, before = 0;
    while (strcmp(migrations_list[before].name, "0010_scopes") != 0)
        assert_in_range(++before, 1, migrations_count - 1);
    assert_int_equal(migrations_apply(f->db, f->path, migrations_list, before, &f->err, &applied),
                     0);
    assert_int_equal(sqlite3_exec(f->db, made, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(f->db, migrations_list[before].sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(number(f, "SELECT scope = 'admin' FROM tokens WHERE id = 'a'"), 1);
    assert_int_equal(number(f, "SELECT scope = 'worker' FROM tokens WHERE id = 'w'"), 1);
    assert_int_equal(number(f, "SELECT scope IS NULL FROM tokens WHERE id = 'e'"), 1);
}

static int print_schema(void) {
    sqlite3 *db = NULL;
    struct err err = {0};
    int applied;
    char *dump = NULL;
    if (sqlite3_open(":memory:", &db) == SQLITE_OK &&
        migrations_apply(db, NULL, migrations_list, migrations_count, &err, &applied) == 0)
        dump = migrations_dump_schema(db);
    if (dump != NULL)
        fputs(dump, stdout);
    else
        fprintf(stderr, "%s\n", err.message);
    int r = dump == NULL;
    free(dump);
    sqlite3_close(db);
    return r;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--print-schema") == 0)
        return print_schema();
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_database, close_database)
    const struct CMUnitTest tests[] = {
        TEST(test_applies_in_order_and_once),
        TEST(test_backs_up_before_more),
        TEST(test_failure_leaves_the_version_before),
        TEST(test_refuses_broken_references),
        TEST(test_refuses_a_newer_database),
        TEST(test_refuses_a_changed_migration),
        TEST(test_refuses_foreign_files),
        TEST(test_refuses_garbage),
        TEST(test_built_in_list_gives_the_schema),
        TEST(test_older_searches_find_their_checkpoint),
        TEST(test_older_tokens_keep_their_rights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
