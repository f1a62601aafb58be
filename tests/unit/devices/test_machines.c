#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/error.h"
#include "devices/health.h"
#include "devices/noise.h"
#include "devices/lease.h"
#include "devices/measurement.h"

static void test_lease_transitions(void **state) {
    /* Every pair, so that a new state or event cannot be forgotten: -1 conflict, -2 gone. */
    static const int want[LEASE_STATES][LEASE_EVENTS] = {
        /*            ack          heartbeat    results       release         timeout fence */
        [LEASE_GRANTED] = {LEASE_ACKED, -1, LEASE_CLOSED, LEASE_RELEASED, LEASE_EXPIRED,
                           LEASE_FENCED},
        [LEASE_ACKED] = {LEASE_ACKED, LEASE_ACKED, LEASE_CLOSED, LEASE_RELEASED, LEASE_EXPIRED,
                         LEASE_FENCED},
        [LEASE_CLOSED] = {-2, -2, -2, -2, -2, -2},
        [LEASE_RELEASED] = {-2, -2, -2, -2, -2, -2},
        [LEASE_EXPIRED] = {-2, -2, -2, -2, -2, -2},
        [LEASE_FENCED] = {-2, -2, -2, -2, -2, -2},
    };
    for (int s = 0; s < LEASE_STATES; s++)
        for (int e = 0; e < LEASE_EVENTS; e++) {
            enum lease_state next = LEASE_STATES;
            int r = lease_step((enum lease_state)s, (enum lease_event)e, &next);
            if (want[s][e] >= 0) {
                assert_int_equal(r, 0);
                assert_int_equal(next, want[s][e]);
            } else {
                assert_int_equal(r, want[s][e] == -1 ? ESP_ECONFLICT : ESP_EGONE);
                assert_int_equal(next, LEASE_STATES);
            }
        }
    for (int s = 0; s < LEASE_STATES; s++)
        assert_non_null(lease_state_names[s]);
    assert_null(lease_state_names[LEASE_STATES]);
    assert_null(lease_event_names[LEASE_EVENTS]);
}

static void test_lease_length(void **state) {
    assert_int_equal(lease_length_us(-1), 30000000);
    assert_int_equal(lease_length_us(0), 90000000);
    assert_int_equal(lease_length_us(20), 90000000);
    assert_int_equal(lease_length_us(100), 330000000);
    assert_int_equal(lease_length_us(1e9), 1800000000);
    assert_int_equal(lease_length_us(__builtin_inf()), 1800000000);
    assert_int_equal(lease_length_us(__builtin_nan("")), 30000000);
}

static void test_measurement_transitions(void **state) {
    enum { Q, L, R, A, F, C };
    /* First time; the retry of a crash or loss is tried apart. */
    static const int want[MEASUREMENT_STATES][MEASUREMENT_EVENTS] = {
        /*      grant ack good refuse crash lose give_back cancel */
        [Q] = {L, -1, A, F, -1, -1, -1, C},     [L] = {-1, R, A, F, Q, Q, Q, C},
        [R] = {-1, R, A, F, Q, Q, Q, C},        [A] = {-1, -1, -1, -1, -1, -1, -1, -1},
        [F] = {-1, -1, -1, -1, -1, -1, -1, -1}, [C] = {-1, -1, A, -1, -1, -1, -1, -1},
    };
    for (int s = 0; s < MEASUREMENT_STATES; s++)
        for (int e = 0; e < MEASUREMENT_EVENTS; e++) {
            struct measurement_status status = {.state = (enum measurement_state)s};
            int r = measurement_step(&status, (enum measurement_event)e);
            assert_int_equal(r, want[s][e] >= 0 ? 0 : ESP_ECONFLICT);
            assert_int_equal(status.state, want[s][e] >= 0 ? want[s][e] : s);
            assert_int_equal(status.attempt, e == MEASUREMENT_GRANT && r == 0);
        }
}

static void test_measurement_fails_at_the_third_loss(void **state) {
    struct measurement_status status = {.state = MEASUREMENT_QUEUED};
    for (int i = 1; i <= MEASUREMENT_FAILURES_MAX; i++) {
        assert_int_equal(measurement_step(&status, MEASUREMENT_GRANT), 0);
        assert_int_equal(status.attempt, i);
        assert_int_equal(measurement_step(&status, i == 2 ? MEASUREMENT_CRASH : MEASUREMENT_LOSE),
                         0);
        assert_int_equal(status.state,
                         i < MEASUREMENT_FAILURES_MAX ? MEASUREMENT_QUEUED : MEASUREMENT_FAILED);
    }
    /* Giving back is no failure, however often. */
    status = (struct measurement_status){.state = MEASUREMENT_QUEUED};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(measurement_step(&status, MEASUREMENT_GRANT), 0);
        assert_int_equal(measurement_step(&status, MEASUREMENT_GIVE_BACK), 0);
    }
    assert_int_equal(status.state, MEASUREMENT_QUEUED);
    assert_int_equal(status.attempt, 10);
}

static void test_results(void **state) {
    assert_int_equal(measurement_event_of_result("ok"), MEASUREMENT_GOOD);
    assert_int_equal(measurement_event_of_result("noisy"), MEASUREMENT_GOOD);
    assert_int_equal(measurement_event_of_result("oom"), MEASUREMENT_REFUSE);
    assert_int_equal(measurement_event_of_result("unsupported"), MEASUREMENT_REFUSE);
    assert_int_equal(measurement_event_of_result("invalid"), MEASUREMENT_REFUSE);
    assert_int_equal(measurement_event_of_result("crashed"), MEASUREMENT_CRASH);
    assert_int_equal(measurement_event_of_result("fine"), -1);
    assert_int_equal(measurement_event_of_result(""), -1);
}

static void feed(struct health *health, enum health_event event, int times) {
    for (int i = 0; i < times; i++)
        health_step(health, event, 1);
}

static struct noise_floor measured_at(double noise) {
    struct noise_floor floor = {.noise = NAN};
    noise_floor_measured(&floor, noise, false, 1000);
    return floor;
}

static void test_noise_of_a_bad_moment_is_measured_again(void **state) {
    struct noise_floor floor = measured_at(9.99);
    int64_t now = 1000, waited = 0;
    assert_int_equal(noise_floor_doubt(&floor), NOISE_IMPLAUSIBLE);
    assert_int_equal(floor.next_us, now + NOISE_FIRST_WAIT_S * 1000000);
    for (int i = 0; i < 20; i++) { /* ever more seldom, and the lowest stays */
        int64_t wait = floor.next_us - now;
        assert_true(wait >= waited && wait <= INT64_C(86400000000));
        waited = wait;
        now = floor.next_us;
        noise_floor_asked(&floor, now);
        noise_floor_measured(&floor, 5 + i % 3, false, now);
        assert_true(floor.noise == 5);
    }
    assert_true(waited == INT64_C(86400000000));
    noise_floor_measured(&floor, 0.12, false, now);
    assert_int_equal(noise_floor_doubt(&floor), NOISE_GOOD);
    assert_int_equal(floor.tries, 0);
    noise_floor_measured(&floor, 0.3, false, now); /* the daemon lets it fall only */
    assert_true(floor.noise == 0.12);
    noise_floor_measured(&floor, 0.3, true, now); /* a person's stands */
    assert_true(floor.noise == 0.3);
}

static void test_noise_is_held_against_later_references(void **state) {
    struct noise_floor floor = measured_at(0.3);
    for (int i = 0; i < NOISE_DRIFTS_MIN; i++) {
        assert_int_equal(noise_floor_doubt(&floor), NOISE_GOOD);
        noise_floor_drift(&floor, 100, i % 2 ? 101 : 99);
    }
    assert_int_equal(noise_floor_doubt(&floor), NOISE_ABOVE_REFERENCES);
    assert_true(fabs(floor.drift - 0.01) < 1e-12);
    for (int i = 0; i < 30; i++)
        noise_floor_drift(&floor, 100, 130); /* a noisy board is one after all */
    assert_int_equal(noise_floor_doubt(&floor), NOISE_GOOD);
    floor = measured_at(0.015); /* beneath the least limit of drift nothing follows from it */
    for (int i = 0; i < 50; i++)
        noise_floor_drift(&floor, 100, 100);
    assert_int_equal(noise_floor_doubt(&floor), NOISE_GOOD);
}

static void test_health_has_a_plausible_yardstick(void **state) {
    struct health health = {.state = HEALTH_GOOD, .recent = 7, .steady_in_row = 2};
    assert_false(health_drifted(100, 104, 0));
    assert_true(health_drifted(100, 106, 0));
    assert_false(health_drifted(100, 125, 0.1));
    assert_true(health_drifted(100, 260, 9.99)); /* 30 times would let anything pass */
    assert_true(health_step(&health, HEALTH_YARDSTICK, 1));
    assert_int_equal(health.state, HEALTH_PROBATION);
    assert_int_equal(health.recent, 0);
    health.state = HEALTH_QUARANTINED;
    assert_false(health_step(&health, HEALTH_YARDSTICK, 1));
}

static void test_health_probation(void **state) {
    struct health health = {.state = HEALTH_PROBATION};
    feed(&health, HEALTH_STEADY, 2);
    feed(&health, HEALTH_DRIFT, 1);
    assert_int_equal(health.state, HEALTH_PROBATION);
    feed(&health, HEALTH_STEADY, 2);
    assert_int_equal(health.state, HEALTH_PROBATION);
    assert_true(health_step(&health, HEALTH_STEADY, 1));
    assert_int_equal(health.state, HEALTH_GOOD);
}

static void test_health_drift(void **state) {
    struct health health = {.state = HEALTH_GOOD};
    feed(&health, HEALTH_DRIFT, HEALTH_DRIFTS - 1);
    feed(&health, HEALTH_STEADY, HEALTH_WINDOW);
    feed(&health, HEALTH_DRIFT, HEALTH_DRIFTS - 1);
    assert_int_equal(health.state, HEALTH_GOOD); /* the older ones have left the window */
    feed(&health, HEALTH_DRIFT, 1);
    assert_int_equal(health.state, HEALTH_SUSPECT);
    feed(&health, HEALTH_STEADY, HEALTH_RECOVERY - 1);
    assert_int_equal(health.state, HEALTH_SUSPECT);
    feed(&health, HEALTH_STEADY, 1);
    assert_int_equal(health.state, HEALTH_GOOD);
    feed(&health, HEALTH_DRIFT, 10 * HEALTH_WINDOW); /* a noisy board is not a sick one */
    assert_int_equal(health.state, HEALTH_SUSPECT);
    assert_true(health_step(&health, HEALTH_QUARANTINE, 1));
    feed(&health, HEALTH_STEADY, 100);
    assert_int_equal(health.state, HEALTH_QUARANTINED); /* only a person lets it out */
    assert_true(health_step(&health, HEALTH_RELEASE, 1));
    assert_int_equal(health.state, HEALTH_PROBATION);
}

static void test_health_crashes(void **state) {
    struct health health = {.state = HEALTH_GOOD};
    const int64_t hour = (int64_t)HEALTH_CRASH_WINDOW_S * 1000000;
    for (int i = 0; i < 20; i++) /* one in a while is no reason */
        assert_false(health_step(&health, HEALTH_CRASH, 1 + i * hour / (HEALTH_CRASHES - 2)));
    health = (struct health){.state = HEALTH_GOOD};
    for (int i = 1; i < HEALTH_CRASHES; i++)
        assert_false(health_step(&health, HEALTH_CRASH, i));
    assert_true(health_step(&health, HEALTH_CRASH, HEALTH_CRASHES));
    assert_int_equal(health.state, HEALTH_QUARANTINED);
}

static void test_health_by_hand(void **state) {
    for (int s = 0; s < HEALTH_STATES; s++) {
        struct health health = {.state = (enum health_state)s};
        assert_int_equal(health_step(&health, HEALTH_QUARANTINE, 1), s != HEALTH_QUARANTINED);
        assert_int_equal(health.state, HEALTH_QUARANTINED);
        health.state = (enum health_state)s;
        health_step(&health, HEALTH_RELEASE, 1);
        assert_int_equal(health.state, s == HEALTH_QUARANTINED ? HEALTH_PROBATION : s);
    }
}

static void test_drift_is_relative_to_the_noise(void **state) {
    assert_false(health_drifted(1000, 1040, 0.001));
    assert_true(health_drifted(1000, 1060, 0.001));
    assert_true(health_drifted(1000, 940, 0.001));
    assert_false(health_drifted(1000, 1300, 0.2));
    assert_true(health_drifted(1000, 1700, 0.2));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease_transitions),
        cmocka_unit_test(test_lease_length),
        cmocka_unit_test(test_measurement_transitions),
        cmocka_unit_test(test_measurement_fails_at_the_third_loss),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_noise_of_a_bad_moment_is_measured_again),
        cmocka_unit_test(test_noise_is_held_against_later_references),
        cmocka_unit_test(test_health_has_a_plausible_yardstick),
        cmocka_unit_test(test_health_probation),
        cmocka_unit_test(test_health_drift),
        cmocka_unit_test(test_health_crashes),
        cmocka_unit_test(test_health_by_hand),
        cmocka_unit_test(test_drift_is_relative_to_the_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
