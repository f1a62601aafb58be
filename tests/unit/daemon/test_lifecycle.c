/* Starting and ending everything, more than once, in a folder that knows its past. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "daemon/ids.h"
#include "daemon/lifecycle.h"
#include "daemon/store_jobs.h"
#include "web/web.h"

struct fixture {
    char dir[64];
    struct daemon daemon;
    struct err err;
    bool stopped;
};

static struct fixture *running;

static void begin(struct fixture *f) {
    struct daemon *daemon = &f->daemon;
    memset(daemon, 0, sizeof(*daemon));
    snprintf(daemon->data_dir, sizeof(daemon->data_dir), "%s", f->dir);
    strcpy(daemon->job_program, "/bin/false");
    daemon->address = "127.0.0.1";
    daemon->connections_per_address = 10;
    daemon->threads = 1;
    daemon->retention = retention_default;
    uv_loop_init(&daemon->loop);
    running = f;
    f->stopped = false;
    if (daemon_start(daemon, &f->err) != 0)
        fail_msg("%s", f->err.message);
}

static void on_stopped(struct daemon *daemon) {
    running->stopped = true;
    daemon_close(daemon);
}

static void end(struct fixture *f) {
    daemon_stop(&f->daemon, on_stopped);
    uv_run(&f->daemon.loop, UV_RUN_DEFAULT);
    daemon_finish(&f->daemon);
    assert_true(f->stopped);
    assert_int_equal(uv_loop_close(&f->daemon.loop), 0);
}

static int start(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    assert_true(sodium_init() >= 0);
    strcpy(f->dir, "/tmp/espalier-life-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static int stop(void **state) {
    struct fixture *f = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    int r = system(command);
    free(f);
    return r;
}

static void turn(struct fixture *f, int times) {
    for (int i = 0; i < times; i++) {
        uv_run(&f->daemon.loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
}

static void test_starts_and_ends_twice(void **state) {
    struct fixture *f = *state;
    char path[96], *text = NULL;
    size_t len;
    snprintf(path, sizeof(path), "%s/port", f->dir);
    for (int i = 0; i < 2; i++) {
        begin(f);
        assert_int_equal(file_read(path, 100, &f->err, &text, &len), 0);
        assert_int_equal(atoi(text), web_port(f->daemon.web));
        free(text);
        end(f);
    }
}

static void test_ends_when_it_could_not_start(void **state) {
    struct fixture *f = *state;
    begin(f);
    struct fixture second = {.dir = ""};
    snprintf(second.dir, sizeof(second.dir), "%s", f->dir);
    second.daemon = (struct daemon){
        .address = "127.0.0.1", .port = web_port(f->daemon.web), .connections_per_address = 10};
    snprintf(second.daemon.data_dir, sizeof(second.daemon.data_dir), "%s/other", f->dir);
    assert_int_equal(file_make_dirs(second.daemon.data_dir, &f->err), 0);
    uv_loop_init(&second.daemon.loop);
    assert_int_equal(daemon_start(&second.daemon, &second.err), ESP_EBUSY); /* the port is taken */
    daemon_close(&second.daemon);
    uv_run(&second.daemon.loop, UV_RUN_DEFAULT);
    daemon_finish(&second.daemon);
    assert_int_equal(uv_loop_close(&second.daemon.loop), 0);
    end(f);
}

static void make(const char *dir, const char *name) {
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(file_make_dirs(path, NULL), 0);
    strcat(path, "/file");
    assert_int_equal(file_write_atomic(path, "x", 1, NULL), 0);
}

static bool there(const char *dir, const char *name) {
    char path[200];
    snprintf(path, sizeof(path), "%s/%s/file", dir, name);
    return file_exists(path);
}

static void test_the_janitor_removes_what_nobody_owns(void **state) {
    struct fixture *f = *state;
    char later[ID_MAX + 16] = "supernets/";
    make(f->dir, "supernets/sn_00000000000000000000000000");
    make(f->dir, "supernets/mine"); /* not a name that the daemon gives */
    make(f->dir, "jobs/job_00000000000000000000000000");
    strcat(later, "sn_zzzzzzzzzzzzzzzzzzzzzzzzzz"); /* made after the store was asked */
    make(f->dir, later);
    begin(f);
    for (int i = 0; i < 5000 && there(f->dir, "jobs/job_00000000000000000000000000"); i++)
        turn(f, 1);
    assert_false(there(f->dir, "supernets/sn_00000000000000000000000000"));
    assert_false(there(f->dir, "jobs/job_00000000000000000000000000"));
    assert_true(there(f->dir, "supernets/mine"));
    assert_true(there(f->dir, later));
    end(f);
}

struct make_job {
    struct store_call call;
    bool done;
};

static int do_make_job(struct store_tx *tx, struct store_call *call, struct err *err) {
    cJSON *spec = cJSON_CreateObject();
    char id[ID_MAX];
    int r = store_job_create(tx, "evaluate", "sn_none", spec, err, id);
    cJSON_Delete(spec);
    return r;
}

static void job_made(struct store_call *call, int code, const struct err *err) {
    ((struct make_job *)call)->done = true;
}

static int64_t jobs_in(struct fixture *f, const char *literal) {
    int64_t n = -1;
    assert_int_equal(sql_get_int(store_loop_sql(f->daemon.store), &f->err, &n, NULL, literal, ""),
                     0);
    return n;
}

/* The program ends at once, each time; and the daemon may end in the middle of it. */
static void test_a_program_that_cannot_work(void **state) {
    struct fixture *f = *state;
    struct make_job make_job = {.call = {.run = do_make_job, .done = job_made}};
    begin(f);
    store_write(f->daemon.store, &make_job.call);
    for (int i = 0; i < 2000 && jobs_in(f, "SELECT count(*) FROM job_attempts") == 0; i++)
        turn(f, 1);
    end(f);
    int64_t before_us = clock_mono_ns() / 1000;
    begin(f);
    for (int i = 0;
         i < 20000 && jobs_in(f, "SELECT count(*) FROM jobs WHERE state = 'failed'") == 0; i++)
        turn(f, 1);
    assert_int_equal(jobs_in(f, "SELECT count(*) FROM jobs WHERE state = 'failed'"), 1);
    assert_int_equal(jobs_in(f, "SELECT crashes FROM jobs"), JOB_CRASHES_MAX);
    assert_true(clock_mono_ns() / 1000 - before_us > 900000); /* not at once, one after the other */
    end(f);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_starts_and_ends_twice),
        TEST(test_ends_when_it_could_not_start),
        TEST(test_the_janitor_removes_what_nobody_owns),
        TEST(test_a_program_that_cannot_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
