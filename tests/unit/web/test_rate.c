#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>

#include "web/rate.h"

static const struct rate_limit slow = {.per_s = 2, .burst = 4};
enum { SECOND = 1000000 };

static void test_bucket(void **state) {
    struct rate_table *table = rate_create(64, &slow);
    struct rate_state now;
    for (int i = 0; i < 4; i++) {
        assert_true(rate_take(table, "a", SECOND, &now));
        assert_int_equal(now.remaining, 3 - i);
    }
    assert_false(rate_take(table, "a", SECOND, &now));
    assert_int_equal(now.limit, 4);
    assert_int_equal(now.remaining, 0);
    assert_int_equal(now.wait_s, 1);
    assert_int_equal(now.full_s, 2);
    assert_true(rate_take(table, "b", SECOND, &now)); /* another is not held up */
    assert_false(rate_take(table, "a", SECOND + SECOND / 4, &now));
    assert_true(rate_take(table, "a", SECOND + SECOND / 2, &now)); /* two a second */
    assert_false(rate_take(table, "a", SECOND + SECOND / 2, &now));
    assert_true(rate_take(table, "a", 1000 * SECOND, &now));
    assert_int_equal(now.remaining, 3); /* never more than the burst */
    assert_true(
        rate_take(table, "a", 999 * SECOND, &now)); /* a clock that goes back gives nothing */
    assert_int_equal(now.remaining, 2);
    rate_destroy(table);
}

/* 20,000 newcomers in a table of 64: who is out of requests stays so while others have more. */
static void test_bounded(void **state) {
    struct rate_table *table = rate_create(64, &slow);
    struct rate_state now;
    int let_in = 0;
    for (int i = 0; i < 5; i++)
        rate_take(table, "greedy", SECOND, &now);
    for (int i = 0; i < 20000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "2001:db8:%x", i);
        assert_true(rate_take(table, key, SECOND, &now));
        let_in += rate_take(table, "greedy", SECOND, &now);
    }
    assert_int_equal(let_in, 0);
    rate_destroy(table);
}

/* Over a long time nobody gets more than the rate and one burst, and somebody steady all of it. */
static void test_rate(void **state) {
    struct rate_table *table = rate_create(8, &(struct rate_limit){.per_s = 7.5, .burst = 10});
    struct rate_state now;
    int taken = 0;
    for (int64_t us = 0; us < 100 * SECOND; us += 1000)
        taken += rate_take(table, "k", us, &now);
    assert_in_range(taken, 758, 760);
    rate_destroy(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bucket),
                                       cmocka_unit_test(test_bounded), cmocka_unit_test(test_rate)};
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
