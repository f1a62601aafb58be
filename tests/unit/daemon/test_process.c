/* A job's process: channels, long lines, ends; and its log kept within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "daemon/joblog.h"
#include "daemon/process.h"

struct fixture {
    char dir[64], program[96], log[96];
    uv_loop_t loop;
    struct process *process;
    char heard[4096]; /* "LENGTH:first bytes;" of each line */
    int lines, exit_code, signal;
    bool ended;
};

static void on_line(void *context, const char *text, size_t len) {
    struct fixture *f = context;
    size_t used = strlen(f->heard);
    f->lines++;
    snprintf(f->heard + used, sizeof(f->heard) - used, "%zu:%.*s;", len, len < 20 ? (int)len : 20,
             text);
}

static void on_ended(void *context, int exit_code, int signal) {
    struct fixture *f = context;
    f->ended = true;
    f->exit_code = exit_code;
    f->signal = signal;
}

static int start(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/espalier-process-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->program, sizeof(f->program), "%s/job", f->dir);
    snprintf(f->log, sizeof(f->log), "%s/log", f->dir);
    uv_loop_init(&f->loop);
    *state = f;
    return 0;
}

static int stop(void **state) {
    struct fixture *f = *state;
    process_destroy(f->process);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    int r = uv_loop_close(&f->loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    if (system(command) != 0)
        r = 1;
    free(f);
    return r;
}

/* A shell script as the job's program. */
static int launch(struct fixture *f, const char *script) {
    char text[1024];
    struct err err = {0};
    struct process_listener listener = {on_line, on_ended, f};
    int len = snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
    assert_int_equal(file_write_atomic(f->program, text, (size_t)len, &err), 0);
    assert_int_equal(chmod(f->program, 0700), 0);
    return process_start(&f->loop, f->program, f->dir, f->log, &listener, &err, &f->process);
}

static void run_to_end(struct fixture *f) {
    while (!f->ended)
        uv_run(&f->loop, UV_RUN_ONCE);
}

static void test_lines_both_ways(void **state) {
    struct fixture *f = *state;
    assert_int_equal(launch(f, "read -r line <&3; echo \"got $line\" >&4; echo >&4; printf 'cut' "
                               ">&4; pwd; echo wrong >&2; exit 7"),
                     0);
    process_send(f->process, "hello", 5);
    run_to_end(f);
    assert_string_equal(f->heard, "9:got hello;0:;"); /* what has no end is no line */
    assert_int_equal(f->exit_code, 7);
    assert_int_equal(f->signal, 0);
    char *log = NULL, want[128];
    size_t len;
    assert_int_equal(file_read(f->log, 1000, NULL, &log, &len), 0);
    snprintf(want, sizeof(want), "%s\nwrong\n", f->dir);
    assert_string_equal(log, want);
    free(log);
    process_send(f->process, "too late", 8);
}

static void test_long_lines(void **state) {
    struct fixture *f = *state;
    /* One of a million bytes, one beyond the limit, one behind it. */
    assert_int_equal(launch(f, "head -c 1000000 /dev/zero | tr '\\0' a >&4; echo >&4; head -c "
                               "17000000 /dev/zero | tr '\\0' b >&4; echo >&4; echo c >&4"),
                     0);
    run_to_end(f);
    assert_string_equal(f->heard, "1000000:aaaaaaaaaaaaaaaaaaaa;1:c;");
}

static void test_many_lines_while_it_is_not_heard(void **state) {
    struct fixture *f = *state;
    assert_int_equal(launch(f, "i=0; while [ $i -lt 2000 ]; do echo $i >&4; i=$((i+1)); done"), 0);
    process_pause_lines(f->process, true);
    for (int i = 0; i < 20; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->lines, 0);
    process_pause_lines(f->process, false);
    run_to_end(f);
    assert_int_equal(f->lines, 2000);
}

static void test_it_hears_that_the_daemon_has_gone(void **state) {
    struct fixture *f = *state;
    assert_int_equal(launch(f, "cat <&3 >/dev/null; echo gone >> gone"), 0);
    process_destroy(f->process); /* closes the channel and kills: either ends it */
    f->process = NULL;
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_false(f->ended);
}

static void test_signals(void **state) {
    struct fixture *f = *state;
    assert_int_equal(launch(f, "echo up >&4; exec sleep 60"), 0);
    while (f->lines == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    process_signal(f->process, SIGTERM);
    run_to_end(f);
    assert_int_equal(f->signal, SIGTERM);
}

static void test_what_cannot_be_started(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    struct process_listener listener = {on_line, on_ended, f};
    assert_int_equal(process_start(&f->loop, "/nonexistent/program", f->dir, f->log, &listener,
                                   &err, &f->process),
                     ESP_EIO);
    assert_null(f->process);
    assert_non_null(strstr(err.message, "/nonexistent/program"));
    assert_int_equal(process_start(&f->loop, "/bin/true", f->dir, "/nonexistent/log", &listener,
                                   &err, &f->process),
                     ESP_EIO);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_false(f->ended);
}

static void test_logs_are_shortened(void **state) {
    struct fixture *f = *state;
    size_t size = 9 << 20, len;
    char *text = malloc(size), *log = NULL;
    memset(text, 'x', size);
    for (size_t i = 99; i < size; i += 100)
        text[i] = '\n';
    memcpy(text + size - 100, "last", 4);
    assert_int_equal(file_write_atomic(f->log, text, 1000, NULL), 0);
    joblog_trim(&f->loop, f->dir);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(file_read(f->log, 20 << 20, NULL, &log, &len), 0);
    assert_int_equal(len, 1000); /* small enough */
    free(log);
    assert_int_equal(file_write_atomic(f->log, text, size, NULL), 0);
    joblog_trim(&f->loop, f->dir);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(file_read(f->log, 20 << 20, NULL, &log, &len), 0);
    assert_in_range(len, 1 << 19, (1 << 20) + 100);
    assert_memory_equal(log, "... ", 4);
    assert_int_equal(strchr(log, '\n')[1], 'x'); /* whole lines only */
    assert_memory_equal(log + len - 100, "last", 4);
    free(log);
    free(text);
    joblog_trim(&f->loop, "/nonexistent");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_lines_both_ways),
        TEST(test_long_lines),
        TEST(test_many_lines_while_it_is_not_heard),
        TEST(test_it_hears_that_the_daemon_has_gone),
        TEST(test_signals),
        TEST(test_what_cannot_be_started),
        TEST(test_logs_are_shortened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
