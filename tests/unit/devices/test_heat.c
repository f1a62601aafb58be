/* The gate of temperature on an injected clock, and the watch for throttling on played files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "devices/heat.h"
#include "devices/throttle.h"

static const int64_t second = 1000000000;

static struct heat_gate gate(void) {
    return (struct heat_gate){.limits = {HEAT_LIMIT_C, HEAT_LONGEST_S}};
}

static void a_cool_board_goes_at_once(void **state) {
    struct heat_gate g = gate();
    for (int c = -20; c <= HEAT_LIMIT_C; c++)
        assert_int_equal(heat_ask(&g, c, 0), HEAT_GO);
    assert_int_equal(heat_ask(&g, (double)NAN, 0), HEAT_GO);
}

static void without_a_limit_heat_is_nothing(void **state) {
    struct heat_gate g = {.limits = {0, HEAT_LONGEST_S}};
    assert_int_equal(heat_ask(&g, 150, 0), HEAT_GO);
}

static void a_wait_ends_well_below_the_limit(void **state) {
    struct heat_gate g = gate();
    assert_int_equal(heat_ask(&g, HEAT_LIMIT_C + 1, 0), HEAT_WAIT);
    assert_int_equal(heat_ask(&g, HEAT_LIMIT_C, second), HEAT_WAIT);
    assert_int_equal(heat_ask(&g, HEAT_LIMIT_C - HEAT_COOLER_C + 0.1, 2 * second), HEAT_WAIT);
    assert_int_equal(heat_ask(&g, HEAT_LIMIT_C - HEAT_COOLER_C, 3 * second), HEAT_GO);
    /* The next one begins by the limit again. */
    assert_int_equal(heat_ask(&g, HEAT_LIMIT_C, 4 * second), HEAT_GO);
}

static void a_sensor_that_goes_away_ends_the_wait(void **state) {
    struct heat_gate g = gate();
    assert_int_equal(heat_ask(&g, 90, 0), HEAT_WAIT);
    assert_int_equal(heat_ask(&g, (double)NAN, second), HEAT_GO);
}

/* At every second of an hour, on a board that never cools: each wait lasts as long as it may, and
 * one in vain is not tried again for a while. */
static void a_board_that_stays_hot_is_measured_all_the_same(void **state) {
    struct heat_gate g = gate();
    int waits = 0, hot = 0;
    for (int64_t t = 0; t < 3600; t++) {
        enum heat_word word = heat_ask(&g, 80, t * second);
        waits += word == HEAT_WAIT;
        hot += word == HEAT_HOT;
        assert_true(word != HEAT_GO);
        assert_int_equal(word == HEAT_WAIT, t % (HEAT_LONGEST_S + HEAT_AGAIN_S) < HEAT_LONGEST_S);
    }
    assert_int_equal(waits + hot, 3600);
    assert_int_equal(waits, 6 * HEAT_LONGEST_S);
}

static void having_been_cool_forgives(void **state) {
    struct heat_gate g = gate();
    assert_int_equal(heat_ask(&g, 80, 0), HEAT_WAIT);
    assert_int_equal(heat_ask(&g, 80, HEAT_LONGEST_S * second), HEAT_HOT);
    assert_int_equal(heat_ask(&g, 80, (HEAT_LONGEST_S + 1) * second), HEAT_HOT);
    assert_int_equal(heat_ask(&g, 50, (HEAT_LONGEST_S + 2) * second), HEAT_GO);
    assert_int_equal(heat_ask(&g, 80, (HEAT_LONGEST_S + 3) * second), HEAT_WAIT);
}

static void no_time_to_wait_is_hot_at_once(void **state) {
    struct heat_gate g = {.limits = {40, 0}};
    assert_int_equal(heat_ask(&g, 41, 0), HEAT_HOT);
}

/* ---- throttling ---- */

static char root[64];

static int make_root(void **state) {
    strcpy(root, "/tmp/espalier-heat-XXXXXX");
    return mkdtemp(root) ? 0 : 1;
}

static int remove_root(void **state) {
    return file_remove_tree(root, NULL);
}

static void play(const char *path, const char *text) {
    char whole[256];
    snprintf(whole, sizeof(whole), "%s/%s", root, path);
    char *slash = strrchr(whole, '/');
    *slash = 0;
    assert_int_equal(file_make_dirs(whole, NULL), 0);
    *slash = '/';
    assert_int_equal(file_write_atomic(whole, text, strlen(text), NULL), 0);
}

#define CPU(n) "devices/system/cpu/cpu" #n "/"

static void a_counter_that_rises_tells(void **state) {
    static const int cores[] = {1, 3};
    struct throttle_watch watch;
    play(CPU(1) "thermal_throttle/core_throttle_count", "7\n");
    play(CPU(3) "thermal_throttle/package_throttle_count", "2\n");
    assert_true(throttle_open(root, cores, 2, &watch));
    assert_false(throttle_looks_slowed(&watch));
    play(CPU(3) "thermal_throttle/package_throttle_count", "3\n");
    assert_true(throttle_looks_slowed(&watch));
    assert_false(throttle_looks_slowed(&watch));                  /* it was of the batch before */
    play(CPU(0) "thermal_throttle/core_throttle_count", "900\n"); /* another core */
    assert_false(throttle_looks_slowed(&watch));
}

static void a_frequency_that_falls_tells(void **state) {
    struct throttle_watch watch;
    play(CPU(0) "cpufreq/scaling_cur_freq", "600000\n"); /* idle */
    assert_true(throttle_open(root, NULL, 0, &watch));
    play(CPU(0) "cpufreq/scaling_cur_freq", "1500000\n");
    assert_false(throttle_looks_slowed(&watch));
    play(CPU(0) "cpufreq/scaling_cur_freq", "1360000\n"); /* jitter */
    assert_false(throttle_looks_slowed(&watch));
    play(CPU(0) "cpufreq/scaling_cur_freq", "1340000\n");
    assert_true(throttle_looks_slowed(&watch));
    assert_true(throttle_looks_slowed(&watch)); /* still */
    play(CPU(0) "cpufreq/scaling_cur_freq", "1500000\n");
    assert_false(throttle_looks_slowed(&watch));
}

static void the_firmware_tells(void **state) {
    static const char path[] = "devices/platform/soc/soc:firmware/get_throttled";
    struct throttle_watch watch;
    play(path, "50000\n"); /* it was so once since the board's start */
    assert_true(throttle_open(root, NULL, 0, &watch));
    assert_false(throttle_looks_slowed(&watch));
    play(path, "50004\n");
    assert_true(throttle_looks_slowed(&watch));
    play(path, "no word\n");
    assert_false(throttle_looks_slowed(&watch));
}

static void a_board_that_tells_nothing(void **state) {
    struct throttle_watch watch;
    char longer[600];
    assert_false(throttle_open(root, NULL, 0, &watch));
    assert_false(throttle_looks_slowed(&watch));
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    assert_false(throttle_open(longer, NULL, 0, &watch));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cool_board_goes_at_once),
        cmocka_unit_test(without_a_limit_heat_is_nothing),
        cmocka_unit_test(a_wait_ends_well_below_the_limit),
        cmocka_unit_test(a_sensor_that_goes_away_ends_the_wait),
        cmocka_unit_test(a_board_that_stays_hot_is_measured_all_the_same),
        cmocka_unit_test(having_been_cool_forgives),
        cmocka_unit_test(no_time_to_wait_is_hot_at_once),
        cmocka_unit_test_setup_teardown(a_counter_that_rises_tells, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_frequency_that_falls_tells, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_firmware_tells, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_board_that_tells_nothing, make_root, remove_root)};
    return cmocka_run_group_tests_name("devices-heat", tests, NULL, NULL);
}
