/* How far a job has come: the clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/job/progress.h"

static int64_t ns(double seconds) {
    return (int64_t)(seconds * 1e9);
}

static void nobody_can_tell_before_anything_is_done(void **state) {
    struct progress p = {0};
    progress_begin_at(&p, "search", 0, 1, ns(5));
    assert_true(isnan(progress_reach_at(&p, 0, false, ns(6))));
    assert_true(isnan(progress_reach_at(&p, 0, false, ns(16))));
    /* The wait before it was work, too. */
    assert_float_equal(progress_reach_at(&p, 0.1, false, ns(25)), 180, 1e-6);
}

static void a_steady_pace_tells_the_end(void **state) {
    struct progress p = {0};
    progress_begin_at(&p, "search", 0, 1, ns(100));
    for (int i = 1; i <= 400; i++)
        assert_float_equal(progress_reach_at(&p, i / 400.0, false, ns(100 + i)), 400 - i, 1e-6);
    assert_float_equal(p.told, 1, 0);
}

/* Four times as slow from the middle on: after four minutes at it the end is told by that. */
static void another_pace_is_learnt(void **state) {
    struct progress p = {0};
    double left = 0;
    progress_begin_at(&p, "search", 0, 1, 0);
    for (int i = 1; i <= 500; i++)
        progress_reach_at(&p, i / 1000.0, false, ns(i));
    for (int i = 1; i <= 60; i++)
        left = progress_reach_at(&p, (500 + i) / 1000.0, false, ns(500 + 4 * i));
    assert_in_range((int)left, 1650, 1760);
}

static void what_is_known_tells_nothing_of_the_pace(void **state) {
    struct progress p = {0};
    progress_begin_at(&p, "evaluate", 0, 1, 0);
    assert_true(isnan(progress_reach_at(&p, 0.5, true, ns(0.001))));
    assert_float_equal(p.told, 0.5, 1e-12);
    assert_float_equal(progress_reach_at(&p, 0.6, false, ns(10.001)), 40, 1e-3);
    assert_float_equal(progress_reach_at(&p, 0.8, true, ns(10.002)), 20, 1e-3);
}

/* Between two answers of a board the time to the end goes down, not up. */
static void waiting_counts_down(void **state) {
    struct progress p = {0};
    progress_begin_at(&p, "measure", 0, 1, 0);
    progress_reach_at(&p, 0.1, false, ns(10));
    assert_float_equal(progress_reach_at(&p, 0.1, false, ns(14)), 86, 1e-6);
    assert_float_equal(progress_reach_at(&p, 0.2, false, ns(20)), 80, 1e-6);
    assert_float_equal(progress_reach_at(&p, 0.2, false, ns(500)), 0, 1e-6);
}

/* A later phase goes by the pace of all; the fraction of the whole never falls. */
static void phases_have_their_spans(void **state) {
    struct progress p = {0};
    progress_begin_at(&p, "evaluate", 0, 0.5, 0);
    assert_float_equal(progress_reach_at(&p, 0.5, false, ns(25)), 75, 1e-6);
    progress_reach_at(&p, 1, false, ns(50));
    progress_begin_at(&p, "search", 0.5, 0.6, ns(50));
    assert_float_equal(progress_reach_at(&p, 0.5, false, ns(60)), 10 + 0.4 * 60 / 0.55, 1e-6);
    assert_float_equal(p.told, 0.55, 1e-12);
    progress_reach_at(&p, 0.2, false, ns(61));
    assert_float_equal(p.told, 0.55, 1e-12);
    progress_begin_at(&p, "search", 1, 1, ns(62));
    assert_float_equal(progress_reach_at(&p, 1, false, ns(62)), 0, 0);
    assert_float_equal(p.told, 1, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_can_tell_before_anything_is_done),
        cmocka_unit_test(a_steady_pace_tells_the_end),
        cmocka_unit_test(another_pace_is_learnt),
        cmocka_unit_test(what_is_known_tells_nothing_of_the_pace),
        cmocka_unit_test(waiting_counts_down),
        cmocka_unit_test(phases_have_their_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
