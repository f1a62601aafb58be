/* What a sweep of the data folder removes, and what it must leave. */
#include "fixture.h"

#include <sqlite3.h>
#include <unistd.h>

#include "base/file.h"
#include "daemon/janitor.h"
#include "daemon/store_jobs.h"

#define OLD "00000000000000000000000000"
#define OLDER "00000000000000000000000001"

static void path_of(const struct fixture *f, const char *name, char ret[200]) {
    snprintf(ret, 200, "%s/%s", f->dir, name);
}

static void make(const struct fixture *f, const char *folder, const char *name) {
    char path[200];
    path_of(f, folder, path);
    assert_int_equal(file_make_dirs(path, NULL), 0);
    snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%s", name);
    assert_int_equal(file_write_atomic(path, "x", 1, NULL), 0);
}

static bool there(const struct fixture *f, const char *name) {
    char path[200];
    path_of(f, name, path);
    return file_exists(path);
}

static void sweep(struct fixture *f) {
    assert_int_equal(janitor_clean(store_loop_sql(f->store), f->dir, 0, &f->err), 0);
}

static int do_exec(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return sql_exec(store_tx_sql(tx), err, argument);
}

static void test_a_file_that_is_being_written_stays(void **state) {
    static char world[] =
        "PRAGMA defer_foreign_keys = ON; INSERT INTO space_documents VALUES ('f', '{}'); INSERT "
        "INTO supernets (id, name, space, space_fingerprint, state, train, created_us) VALUES "
        "('sn_1', 'a', 's', 'f', 'ready', '{}', 0); INSERT INTO exports (id, supernet, arch, "
        "arch_id, format, state, path, created_us) VALUES ('ex_" OLD "', 'sn_1', 'a', 'x', 'onnx', "
        "'queued', 'exports/ex_" OLD ".onnx', 0)";
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_exec, world), 0);
    make(f, "exports", "ex_" OLD ".onnx.partial");
    make(f, "exports", "ex_" OLDER ".onnx.partial");
    make(f, "exports", "ex_mine");
    sweep(f);
    assert_true(there(f, "exports/ex_" OLD ".onnx.partial"));
    assert_false(there(f, "exports/ex_" OLDER ".onnx.partial"));
    assert_true(there(f, "exports/ex_mine")); /* not a name that the daemon gives */
}

static int do_check_free(struct store_tx *tx, struct fixture *f, void *path, struct err *err) {
    return store_job_check_path_free(store_tx_sql(tx), path, err);
}

static void test_an_upload_stays_while_a_job_takes_it_over(void **state) {
    static char jobs[] =
        "INSERT INTO jobs (id, kind, state, subject, spec, created_us) VALUES ('job_1', 'model', "
        "'queued', 'mo_1', '{\"path\": \"/d/uploads/up_" OLD "\"}', 0), ('job_2', 'model', 'done', "
        "'mo_2', '{\"path\": \"/d/uploads/up_" OLDER "\"}', 0)";
    static char end[] = "UPDATE jobs SET state = 'failed' WHERE id = 'job_1'";
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_exec, jobs), 0);
    make(f, "uploads/up_" OLD, "table.yaml");
    make(f, "uploads/up_" OLDER, "table.yaml");
    sweep(f);
    assert_true(there(f, "uploads/up_" OLD "/table.yaml"));
    assert_false(there(f, "uploads/up_" OLDER));
    assert_int_equal(in_tx(f, do_check_free, "/d/uploads/up_" OLD), ESP_ECONFLICT);
    assert_non_null(strstr(f->err.message, "job_1"));
    assert_int_equal(in_tx(f, do_check_free, "/d/uploads/up_" OLDER), 0);
    assert_int_equal(in_tx(f, do_exec, end), 0);
    assert_int_equal(in_tx(f, do_check_free, "/d/uploads/up_" OLD), 0);
    sweep(f);
    assert_false(there(f, "uploads/up_" OLD));
}

struct meanwhile {
    struct fixture *f;
    char folder[64];
};

/* Behind the sweep's first question a job begins, of which its snapshot does not know. */
static int on_statement(unsigned kind, void *context, void *statement, void *nanoseconds) {
    struct meanwhile *meanwhile = context;
    char id[ID_MAX];
    if (meanwhile->folder[0] != '\0')
        return 0;
    id_make("job_", id);
    snprintf(meanwhile->folder, sizeof(meanwhile->folder), "jobs/%s", id);
    make(meanwhile->f, meanwhile->folder, "log");
    usleep(2000); /* names sort by the millisecond */
    return 0;
}

static void test_what_begins_behind_the_snapshot_stays(void **state) {
    struct meanwhile meanwhile = {.f = *state};
    struct fixture *f = *state;
    sqlite3 *db = sql_handle(store_loop_sql(f->store));
    make(f, "jobs/job_" OLD, "log");
    sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, on_statement, &meanwhile);
    sweep(f);
    sqlite3_trace_v2(db, 0, NULL, NULL);
    assert_true(there(f, meanwhile.folder));
    assert_false(there(f, "jobs/job_" OLD "/log"));
    sweep(f); /* nobody has stored its row */
    assert_false(there(f, meanwhile.folder));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {TEST(test_a_file_that_is_being_written_stays),
                                       TEST(test_an_upload_stays_while_a_job_takes_it_over),
                                       TEST(test_what_begins_behind_the_snapshot_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
