/* What the loop does counts, what it waits for does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "daemon/loop_watch.h"

static void on_busy(uv_timer_t *timer) {
    nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL); /* the loop stands still meanwhile */
    uv_close((uv_handle_t *)timer, NULL);
}

/* Nothing to do when it comes: the loop has waited for it. */
static void on_idle(uv_timer_t *timer) {
    uv_close((uv_handle_t *)timer, NULL);
}

/* sample: a line begins with it. */
static double value_of(const struct loop_watch *watch, const char *sample) {
    struct buf out;
    buf_init(&out, 0);
    loop_watch_print(watch, &out);
    const char *at = strstr(out.data, sample);
    assert_non_null(at);
    double value = strtod(at + strlen(sample), NULL);
    buf_finish(&out);
    return value;
}

static void run_for(uv_loop_t *loop, uv_timer_cb callback, uint64_t ms) {
    uv_timer_t timer;
    uv_update_time(loop);
    uv_timer_init(loop, &timer);
    uv_timer_start(&timer, callback, ms, 0);
    uv_run(loop, UV_RUN_DEFAULT);
}

static void only_work_counts(void **state) {
    struct loop_watch *watch;
    uv_loop_t loop;
    uv_timer_t last;
    uv_loop_init(&loop);
    assert_int_equal(loop_watch_create(&loop, NULL, &watch), 0);
    run_for(&loop, on_idle, 150);
    run_for(&loop, on_idle, 1); /* the turn behind it is over, too */
    double quick = value_of(watch, "\nespalier_loop_longest_turn_seconds ");
    double turns = value_of(watch, "\nespalier_loop_turn_seconds_count ");
    assert_true(turns >= 2);
    assert_true(quick < 0.1); /* 150 ms were waited, not worked */
    run_for(&loop, on_busy, 1);
    run_for(&loop, on_idle, 1);
    assert_true(value_of(watch, "\nespalier_loop_longest_turn_seconds ") >= 0.06);
    assert_true(value_of(watch, "\nespalier_loop_turn_seconds_sum ") >= 0.06);
    assert_true(value_of(watch, "\nespalier_loop_turn_seconds_count ") > turns);
    double all = value_of(watch, "\nespalier_loop_turn_seconds_bucket{le=\"+Inf\"} ");
    assert_true(value_of(watch, "\nespalier_loop_turn_seconds_bucket{le=\"0.02\"} ") < all);
    assert_true(value_of(watch, "\nespalier_loop_turn_seconds_bucket{le=\"1\"} ") <= all);
    loop_watch_destroy(watch);
    uv_timer_init(&loop, &last);
    uv_timer_start(&last, on_idle, 1, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    loop_watch_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_work_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
