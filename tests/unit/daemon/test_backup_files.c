/* What a backup gathers of the data folder. */
#include "fixture.h"

#include "base/file.h"
#include "daemon/backup_files.h"

struct making {
    struct store_read read;
    struct backup_making making;
    bool done;
};

static int run_make(struct sql *sql, struct store_read *read, struct err *err) {
    return backup_make(&((struct making *)read)->making, sql, err);
}

static void make_done(struct store_read *read, int code, const struct err *err) {
    if (code != 0)
        fail_msg("%s", err->message);
    ((struct making *)read)->done = true;
}

static void put(const struct fixture *f, const char *folder, const char *name) {
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", f->dir, folder);
    assert_int_equal(file_make_dirs(path, NULL), 0);
    snprintf(path, sizeof(path), "%s/%s/%s", f->dir, folder, name);
    assert_int_equal(file_write_atomic(path, "x", 1, NULL), 0);
}

static bool has(const struct fixture *f, const char *id, const char *name) {
    char path[300];
    snprintf(path, sizeof(path), "%s/backups/%s/%s", f->dir, id, name);
    return file_exists(path);
}

/* The daemon's own half-written files stay behind; what people call theirs means nothing. */
static void test_files_of_people_are_all_kept(void **state) {
    struct fixture *f = *state;
    struct making m = {.read = {.run = run_make, .done = make_done}};
    id_make("bk_", m.making.id);
    snprintf(m.making.data_dir, sizeof(m.making.data_dir), "%s", f->dir);
    put(f, "uploads/up_1/train/cat", "1.png.partial");
    put(f, "uploads/up_1/train/cat", "job.lock");
    put(f, "jobs/job_1", "state.partial");
    put(f, "jobs/job_1", "job.lock");
    put(f, "jobs/job_1", "log");
    store_read(f->store, &m.read);
    while (!m.done)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_true(has(f, m.making.id, "manifest"));
    assert_true(has(f, m.making.id, "uploads/up_1/train/cat/1.png.partial"));
    assert_true(has(f, m.making.id, "uploads/up_1/train/cat/job.lock"));
    assert_true(has(f, m.making.id, "jobs/job_1/log"));
    assert_false(has(f, m.making.id, "jobs/job_1/state.partial"));
    assert_false(has(f, m.making.id, "jobs/job_1/job.lock"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {TEST(test_files_of_people_are_all_kept)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
