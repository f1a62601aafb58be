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
        /*    grant ack good refuse crash lose give_back doubt cancel */
        [Q] = {L, -1, A, F, -1, -1, -1, -1, C},     [L] = {-1, R, A, F, Q, Q, Q, Q, C},
        [R] = {-1, R, A, F, Q, Q, Q, Q, C},         [A] = {-1, -1, -1, -1, -1, -1, -1, -1, -1},
        [F] = {-1, -1, -1, -1, -1, -1, -1, -1, -1}, [C] = {-1, -1, A, -1, -1, -1, -1, -1, -1},
    };
    static const bool is_failure[MEASUREMENT_EVENTS] = {
        [MEASUREMENT_CRASH] = true, [MEASUREMENT_LOSE] = true, [MEASUREMENT_DOUBT] = true};
    for (int s = 0; s < MEASUREMENT_STATES; s++)
        for (int e = 0; e < MEASUREMENT_EVENTS; e++)
            for (int failures = 0; failures < MEASUREMENT_FAILURES_MAX; failures++) {
                struct measurement_status status = {
                    .state = (enum measurement_state)s, .attempt = 5, .failures = failures};
                int r = measurement_step(&status, (enum measurement_event)e);
                bool fails = r == 0 && is_failure[e];
                bool last = fails && failures == MEASUREMENT_FAILURES_MAX - 1;
                assert_int_equal(r, want[s][e] >= 0 ? 0 : ESP_ECONFLICT);
                assert_int_equal(status.state, last ? F : want[s][e] >= 0 ? want[s][e] : s);
                assert_int_equal(status.attempt, 5 + (e == MEASUREMENT_GRANT && r == 0));
                assert_int_equal(status.failures, failures + fails);
            }
    for (int s = 0; s < MEASUREMENT_STATES; s++) {
        assert_non_null(measurement_state_names[s]);
        assert_int_equal(measurement_terminal((enum measurement_state)s), s >= A);
    }
    for (int e = 0; e < MEASUREMENT_EVENTS; e++)
        assert_non_null(measurement_event_names[e]);
    assert_null(measurement_state_names[MEASUREMENT_STATES]);
    assert_null(measurement_event_names[MEASUREMENT_EVENTS]);
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
    assert_int_equal(health.state, HEALTH_QUARANTINED); /* results that come late let nobody out */
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

/* What is remembered, brought into one of few classes: how many drifts and lies are in the window,
 * steady results in a row, crashes in the hour, retests passed. */
struct memory {
    int drifts, lies, steady, crashes, passed;
};

static struct health health_of(int state, const struct memory *memory, int64_t now_us) {
    struct health health = {.state = (enum health_state)state,
                            .steady_in_row = memory->steady,
                            .passed = memory->passed};
    /* The oldest place of the window is left free: what stands there is forgotten. */
    health.recent = ((1u << memory->drifts) - 1) << 4;
    health.lies = ((1u << memory->lies) - 1) << 4;
    for (int i = 0; i < memory->crashes; i++)
        health.crashes_us[i] = now_us - 1000 * (i + 1);
    return health;
}

/* The rules of health.h, written down again. */
static int health_wanted(int s, enum health_event event, const struct memory *m) {
    enum { P, G, S, Q, M };
    if (s == M && event != HEALTH_RELEASE && event != HEALTH_QUARANTINE)
        return M;
    switch (event) {
    case HEALTH_STEADY:
        return s == P   ? m->steady + 1 >= 3 ? G : P
               : s == G ? m->drifts >= 4 ? S : G
               : s == S ? m->steady + 1 >= 8 ? G : S
                        : Q;
    case HEALTH_DRIFT:
        return s == G ? m->drifts + 1 >= 4 ? S : G : s;
    case HEALTH_CRASH:
        return m->crashes + 1 >= 5 ? Q : s;
    case HEALTH_RELEASE:
        return s == Q || s == M ? P : s;
    case HEALTH_QUARANTINE:
        return Q;
    case HEALTH_YARDSTICK:
        return s == Q ? Q : P;
    case HEALTH_IMPLAUSIBLE:
        return s == Q || m->lies + 1 >= 3 ? Q : S;
    case HEALTH_MAINTAIN:
        return M;
    case HEALTH_RETEST_PASSED:
        return s == Q && m->passed + 1 >= 3 ? P : s;
    case HEALTH_RETEST_FAILED:
    case HEALTH_RETEST_LEARNT:
        return s;
    case HEALTH_EVENTS:
        break;
    }
    return -1;
}

static void test_health_transitions(void **state) {
    const int64_t now_us = INT64_C(1700000000000000);
    int steps = 0, reached[HEALTH_STATES][HEALTH_STATES] = {{0}};
    for (int s = 0; s < HEALTH_STATES; s++)
        for (int e = 0; e < HEALTH_EVENTS; e++)
            for (int class = 0; class < 6 * 4 * 9 * 6 * 3; class ++) {
                struct memory memory = {class % 6, class / 6 % 4, class / 24 % 9, class / 216 % 6,
                                        class / 1296};
                if (memory.crashes == HEALTH_CRASHES)
                    memory.crashes--; /* there is room for no more */
                struct health health = health_of(s, &memory, now_us);
                bool changed = health_step(&health, (enum health_event)e, now_us);
                int want = health_wanted(s, (enum health_event)e, &memory);
                if ((int)health.state != want)
                    fail_msg(
                        "%s by %s with %d drifts, %d lies, %d steady, %d crashes, %d passed: %s",
                        health_state_names[s], health_event_names[e], memory.drifts, memory.lies,
                        memory.steady, memory.crashes, memory.passed,
                        health_state_names[health.state]);
                assert_int_equal(changed, want != s);
                reached[s][health.state]++;
                steps++;
            }
    assert_int_equal(steps, HEALTH_STATES * HEALTH_EVENTS * 1296 * 3);
    /* All of the picture's arrows, and no other. */
    static const bool arrows[HEALTH_STATES][HEALTH_STATES] = {
        [HEALTH_PROBATION] = {true, true, true, true, true},
        [HEALTH_GOOD] = {true, true, true, true, true},
        [HEALTH_SUSPECT] = {true, true, true, true, true},
        [HEALTH_QUARANTINED] = {true, false, false, true, true},
        [HEALTH_MAINTENANCE] = {true, false, false, true, true},
    };
    for (int s = 0; s < HEALTH_STATES; s++)
        for (int t = 0; t < HEALTH_STATES; t++)
            assert_int_equal(reached[s][t] > 0, arrows[s][t]);
    for (int e = 0; e < HEALTH_EVENTS; e++)
        assert_non_null(health_event_names[e]);
    assert_null(health_event_names[HEALTH_EVENTS]);
    assert_null(health_state_names[HEALTH_STATES]);
}

static void test_health_lies(void **state) {
    struct health health = {.state = HEALTH_GOOD};
    assert_true(health_step(&health, HEALTH_IMPLAUSIBLE, 1));
    assert_int_equal(health.state, HEALTH_SUSPECT);
    feed(&health, HEALTH_STEADY, HEALTH_RECOVERY);
    assert_int_equal(health.state, HEALTH_GOOD); /* once is no habit */
    feed(&health, HEALTH_STEADY, HEALTH_WINDOW);
    for (int i = 0; i < 2; i++)
        health_step(&health, HEALTH_IMPLAUSIBLE, 1);
    assert_int_equal(health.state, HEALTH_SUSPECT); /* the first has left the window */
    feed(&health, HEALTH_STEADY, HEALTH_WINDOW - 3);
    health_step(&health, HEALTH_IMPLAUSIBLE, 1);
    assert_int_equal(health.state, HEALTH_QUARANTINED);
    feed(&health, HEALTH_STEADY, 100);
    assert_int_equal(health.state, HEALTH_QUARANTINED);
    health_step(&health, HEALTH_RELEASE, 1);
    assert_int_equal(health.lies, 0); /* forgiven */
}

static void test_health_by_hand(void **state) {
    for (int s = 0; s < HEALTH_STATES; s++) {
        struct health health = {.state = (enum health_state)s};
        assert_int_equal(health_step(&health, HEALTH_QUARANTINE, 1), s != HEALTH_QUARANTINED);
        assert_int_equal(health.state, HEALTH_QUARANTINED);
        health.state = (enum health_state)s;
        health_step(&health, HEALTH_RELEASE, 1);
        assert_int_equal(health.state,
                         s == HEALTH_QUARANTINED || s == HEALTH_MAINTENANCE ? HEALTH_PROBATION : s);
    }
}

static int64_t wait_s(const struct health *health, int64_t now_us) {
    return (health->retest_us - now_us) / 1000000;
}

static void test_quarantine_ends_by_retests(void **state) {
    const int64_t now_us = INT64_C(1700000000000000);
    struct health health = {.state = HEALTH_GOOD};
    for (int i = 0; i < HEALTH_LIES; i++)
        health_step(&health, HEALTH_IMPLAUSIBLE, now_us);
    assert_int_equal(health.state, HEALTH_QUARANTINED);
    assert_int_equal(wait_s(&health, now_us), 600);
    assert_false(health_step(&health, HEALTH_RETEST_PASSED, now_us));
    assert_int_equal(wait_s(&health, now_us), 60);
    assert_false(health_step(&health, HEALTH_RETEST_PASSED, now_us));
    assert_false(health_step(&health, HEALTH_RETEST_FAILED, now_us)); /* from the beginning */
    assert_int_equal(wait_s(&health, now_us), 1200);
    health_step(&health, HEALTH_CRASH, now_us);
    assert_int_equal(wait_s(&health, now_us), 2400);
    for (int i = 0; i < 40; i++)
        health_step(&health, HEALTH_IMPLAUSIBLE, now_us);
    assert_int_equal(wait_s(&health, now_us), 86400);
    health.tries = 2;
    assert_false(health_step(&health, HEALTH_RETEST_PASSED, now_us));
    assert_false(health_step(&health, HEALTH_RETEST_PASSED, now_us));
    assert_true(health_step(&health, HEALTH_RETEST_PASSED, now_us));
    assert_int_equal(health.state, HEALTH_PROBATION);
    assert_int_equal(health.lies, 0);
    health_step(&health, HEALTH_QUARANTINE,
                now_us); /* again, before it was good: it waits longer */
    assert_int_equal(wait_s(&health, now_us), 2400);
    feed(&health, HEALTH_RETEST_PASSED, 3);
    feed(&health, HEALTH_STEADY, HEALTH_PROBATION_RESULTS);
    assert_int_equal(health.state, HEALTH_GOOD);
    health_step(&health, HEALTH_QUARANTINE, now_us);
    assert_int_equal(wait_s(&health, now_us), 600);
    health.tries = 7;
    health_step(&health, HEALTH_RELEASE, now_us); /* a person's word forgives all */
    assert_int_equal(health.tries, 0);
}

static void test_retests_are_held_against_what_was_known(void **state) {
    assert_true(health_retest_holds(1000, 1099, 0.001));
    assert_true(health_retest_holds(1000, 901, 0.001));
    assert_false(health_retest_holds(1000, 1101, 0.001));
    assert_true(health_retest_holds(1000, 1590, 0.1));
    assert_false(health_retest_holds(1000, 1610, 0.1));
    assert_false(health_retest_holds(1000, 4001, 9)); /* no more than is plausible */
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
        cmocka_unit_test(test_health_transitions),
        cmocka_unit_test(test_health_lies),
        cmocka_unit_test(test_health_by_hand),
        cmocka_unit_test(test_quarantine_ends_by_retests),
        cmocka_unit_test(test_retests_are_held_against_what_was_known),
        cmocka_unit_test(test_drift_is_relative_to_the_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
