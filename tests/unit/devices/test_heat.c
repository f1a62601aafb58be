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
#include "devices/board.h"
#include "devices/heat.h"
#include "devices/profiles.h"
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

/* Half an hour after a wait that a cancel ended, a hot board is waited for, and as long as ever. */
static void a_wait_that_is_broken_off_leaves_nothing(void **state) {
    struct heat_gate g = gate();
    assert_int_equal(heat_ask(&g, 80, 0), HEAT_WAIT);
    heat_break_off(&g);
    assert_int_equal(heat_ask(&g, HEAT_LIMIT_C, second), HEAT_GO); /* no wait, so no five degrees */
    assert_int_equal(heat_ask(&g, 80, 2 * second), HEAT_WAIT);
    heat_break_off(&g);
    for (int64_t t = 0; t < HEAT_LONGEST_S; t++)
        assert_int_equal(heat_ask(&g, 80, (1800 + t) * second), HEAT_WAIT);
    assert_int_equal(heat_ask(&g, 80, (1800 + HEAT_LONGEST_S) * second), HEAT_HOT);
}

static void no_time_to_wait_is_hot_at_once(void **state) {
    struct heat_gate g = {.limits = {40, 0}};
    assert_int_equal(heat_ask(&g, 41, 0), HEAT_HOT);
}

/* ---- zones ---- */

static void what_is_not_of_the_board_does_not_count(void **state) {
    const struct heat_zone zones[] = {{"cpu-thermal", 48, (double)NAN},
                                      {"iwlwifi_1", 66, (double)NAN},
                                      {"pch_skylake", 71, (double)NAN},
                                      {"battery", 62, (double)NAN},
                                      {"cpu-thermal", 3276.7, (double)NAN}};
    assert_true(heat_of_zones(zones, 5, 60) == 48);
    assert_true(isnan(heat_of_zones(zones + 1, 4, 60)));
    assert_true(isnan(heat_of_zones(zones, 0, 60)));
}

static void a_zone_that_acts_earlier_is_as_hot_as_that(void **state) {
    /* Acts at 62: its own limit is 57, so 58 is one degree too hot; at 65 and more nothing changes.
     */
    for (int trip = 40; trip <= 120; trip++)
        for (int c = 0; c <= 100; c++) {
            struct heat_zone zone = {"soc-thermal", c, trip};
            int own = trip - HEAT_TRIP_MARGIN_C < 60 ? trip - HEAT_TRIP_MARGIN_C : 60;
            struct heat_gate g = {.limits = {60, HEAT_LONGEST_S}};
            enum heat_word word = heat_ask(&g, heat_of_zones(&zone, 1, 60), 0);
            assert_int_equal(word, c > own ? HEAT_WAIT : HEAT_GO);
        }
}

static void trip_points_that_mean_something(void **state) {
    assert_true(heat_trip_matters("passive", 70) && heat_trip_matters("critical", 110));
    assert_true(heat_trip_matters("hot", 90));
    assert_false(heat_trip_matters("active", 50)); /* a fan */
    assert_false(heat_trip_matters("passive", 0) || heat_trip_matters("passive", -274));
    assert_false(heat_trip_matters("critical", (double)NAN) || heat_trip_matters("", 70));
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

static const int zero = 0;
static const struct throttle_cores anywhere = {NULL, 0, 1}, core_0 = {&zero, 1, 1};

#define CPU(n) "devices/system/cpu/cpu" #n "/"

static void a_counter_that_rises_tells(void **state) {
    static const int numbers[] = {1, 3};
    const struct throttle_cores pinned = {numbers, 2, 2};
    struct throttle_watch watch;
    play(CPU(1) "thermal_throttle/core_throttle_count", "7\n");
    play(CPU(3) "thermal_throttle/package_throttle_count", "2\n");
    assert_true(throttle_open(root, &pinned, &watch));
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
    assert_true(throttle_open(root, &core_0, &watch));
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

/* It may run on another core meanwhile, which nobody knows. */
static void a_core_that_may_idle_tells_nothing(void **state) {
    static const int numbers[] = {0, 1};
    const struct throttle_cores wider = {numbers, 2, 1};
    struct throttle_watch watch;
    play(CPU(0) "cpufreq/scaling_cur_freq", "1500000\n");
    play(CPU(1) "cpufreq/scaling_cur_freq", "1500000\n");
    assert_false(throttle_open(root, &anywhere, &watch));
    assert_false(throttle_open(root, &wider, &watch));
    assert_false(throttle_looks_slowed(&watch));
    play(CPU(0) "cpufreq/scaling_cur_freq", "600000\n");
    assert_false(throttle_looks_slowed(&watch));
    play(CPU(0) "thermal_throttle/core_throttle_count", "1\n"); /* but counters do */
    assert_true(throttle_open(root, &anywhere, &watch));
    play(CPU(0) "thermal_throttle/core_throttle_count", "2\n");
    assert_true(throttle_looks_slowed(&watch));
}

static void the_firmware_tells(void **state) {
    static const char path[] = "devices/platform/soc/soc:firmware/get_throttled";
    struct throttle_watch watch;
    play(path, "50000\n"); /* it was so once since the board's start */
    assert_true(throttle_open(root, &anywhere, &watch));
    assert_false(throttle_looks_slowed(&watch));
    play(path, "50004\n");
    assert_true(throttle_looks_slowed(&watch));
    play(path, "no word\n");
    assert_false(throttle_looks_slowed(&watch));
}

static void a_processor_that_is_held_back_tells(void **state) {
    struct throttle_watch watch;
    play("class/thermal/cooling_device0/type", "pwm-fan\n");
    play("class/thermal/cooling_device0/cur_state", "3\n");
    assert_false(throttle_open(root, &anywhere, &watch)); /* a fan is no loss of speed */
    play("class/thermal/cooling_device2/type", "thermal-cpufreq-0\n");
    play("class/thermal/cooling_device2/cur_state", "0\n");
    assert_true(throttle_open(root, &anywhere, &watch));
    assert_false(throttle_looks_slowed(&watch) || throttle_holds_back(root));
    play("class/thermal/cooling_device2/cur_state", "2\n");
    assert_true(throttle_looks_slowed(&watch) && throttle_holds_back(root));
    assert_true(throttle_looks_slowed(&watch)); /* still */
    play("class/thermal/cooling_device2/cur_state", "0\n");
    assert_false(throttle_looks_slowed(&watch) || throttle_holds_back(root));
}

#define ZONE(n) "class/thermal/thermal_zone" #n "/"

static void zones_are_read_with_their_trip_points(void **state) {
    board_set_sysfs(root);
    assert_true(isnan(board_temperature_c()) && isnan(board_heat_c(60)));
    play(ZONE(0) "temp", "no number\n");
    play(ZONE(1) "temp", "50000\n"); /* of no type: it counts */
    play(ZONE(7) "type", "soc-thermal\n");
    play(ZONE(7) "temp", "47500\n");
    assert_true(board_temperature_c() == 50 && board_heat_c(60) == 50);
    play(ZONE(7) "trip_point_0_type", "active\n");
    play(ZONE(7) "trip_point_0_temp", "45000\n");
    play(ZONE(7) "trip_point_1_type", "critical\n");
    play(ZONE(7) "trip_point_1_temp", "95000\n");
    assert_true(board_heat_c(60) == 50);
    play(ZONE(7) "trip_point_2_type", "passive\n");
    play(ZONE(7) "trip_point_2_temp", "55000\n"); /* its own limit is 50 */
    assert_true(board_heat_c(60) == 57.5 && board_temperature_c() == 50);
    board_set_sysfs("/sys");
}

/* ---- the owner changes what a profile stands for ---- */

/* Looks again; whether something was another. Nothing is taken by the question alone. */
static bool looks_other(struct worker_profiles *profiles) {
    bool other = worker_profiles_differ(profiles);
    assert_int_equal(worker_profiles_differ(profiles), other);
    worker_profiles_look_again(profiles);
    assert_false(worker_profiles_differ(profiles));
    return other;
}

static void fingerprint(const struct worker_profiles *profiles, char ret_hash[HASH_TEXT]) {
    worker_profile_fingerprint(&profiles->items[0], ret_hash);
}

static void another_range_of_frequencies_is_another_environment(void **state) {
    struct profile_options options = {.threads = "1", .cores = "1"};
    struct worker_profiles profiles;
    struct err err = {0};
    char one[HASH_TEXT], other[HASH_TEXT], third[HASH_TEXT];

    board_set_sysfs(root);
    play(CPU(1) "cpufreq/scaling_governor", "performance\n");
    play(CPU(1) "cpufreq/scaling_min_freq", "600000\n");
    play(CPU(1) "cpufreq/scaling_max_freq", "1800000\n");
    assert_int_equal(worker_profiles_open(&options, root, 0, &err, &profiles), 0);
    fingerprint(&profiles, one);
    assert_false(looks_other(&profiles));
    play(CPU(0) "cpufreq/scaling_max_freq", "900000\n"); /* another core */
    assert_false(looks_other(&profiles));
    play(CPU(1) "cpufreq/scaling_max_freq", "1500000\n");
    assert_true(looks_other(&profiles));
    assert_false(looks_other(&profiles));
    fingerprint(&profiles, other);
    assert_string_not_equal(one, other);
    play(CPU(1) "cpufreq/scaling_governor", "powersave\n");
    assert_true(looks_other(&profiles));
    fingerprint(&profiles, third);
    assert_string_not_equal(other, third);
    play(CPU(1) "cpufreq/scaling_governor", "performance\n");
    play(CPU(1) "cpufreq/scaling_max_freq", "1800000\n");
    assert_true(looks_other(&profiles));
    fingerprint(&profiles, other);
    assert_string_equal(one, other);
    worker_profiles_close(&profiles);
    board_set_sysfs("/sys");
}

/* The kernel's own limit against heat is no will of the owner. */
static void heat_is_no_other_environment(void **state) {
    struct profile_options options = {.threads = "1"};
    struct worker_profiles profiles;
    struct err err = {0};

    board_set_sysfs(root);
    play(CPU(0) "cpufreq/scaling_min_freq", "600000\n");
    play(CPU(0) "cpufreq/scaling_max_freq", "1800000\n");
    assert_int_equal(worker_profiles_open(&options, root, 0, &err, &profiles), 0);
    play("class/thermal/cooling_device0/type", "thermal-cpufreq-0\n");
    play("class/thermal/cooling_device0/cur_state", "1\n");
    play(CPU(0) "cpufreq/scaling_max_freq", "1200000\n");
    assert_false(looks_other(&profiles));
    play("class/thermal/cooling_device0/cur_state", "0\n");
    assert_true(looks_other(&profiles)); /* now it is the owner's */
    worker_profiles_close(&profiles);
    board_set_sysfs("/sys");
}

static void a_board_that_tells_nothing(void **state) {
    struct throttle_watch watch;
    char longer[600];
    assert_false(throttle_open(root, &anywhere, &watch));
    assert_false(throttle_looks_slowed(&watch));
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    assert_false(throttle_open(longer, &anywhere, &watch));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cool_board_goes_at_once),
        cmocka_unit_test(without_a_limit_heat_is_nothing),
        cmocka_unit_test(a_wait_ends_well_below_the_limit),
        cmocka_unit_test(a_sensor_that_goes_away_ends_the_wait),
        cmocka_unit_test(a_board_that_stays_hot_is_measured_all_the_same),
        cmocka_unit_test(having_been_cool_forgives),
        cmocka_unit_test(a_wait_that_is_broken_off_leaves_nothing),
        cmocka_unit_test(no_time_to_wait_is_hot_at_once),
        cmocka_unit_test(what_is_not_of_the_board_does_not_count),
        cmocka_unit_test(a_zone_that_acts_earlier_is_as_hot_as_that),
        cmocka_unit_test(trip_points_that_mean_something),
        cmocka_unit_test_setup_teardown(a_processor_that_is_held_back_tells, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(zones_are_read_with_their_trip_points, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(another_range_of_frequencies_is_another_environment,
                                        make_root, remove_root),
        cmocka_unit_test_setup_teardown(heat_is_no_other_environment, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_counter_that_rises_tells, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_frequency_that_falls_tells, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_core_that_may_idle_tells_nothing, make_root, remove_root),
        cmocka_unit_test_setup_teardown(the_firmware_tells, make_root, remove_root),
        cmocka_unit_test_setup_teardown(a_board_that_tells_nothing, make_root, remove_root)};
    return cmocka_run_group_tests_name("devices-heat", tests, NULL, NULL);
}
