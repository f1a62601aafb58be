#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/turns.h"

#define S INT64_C(1000000)
enum { START_S = 1000 };

/* A machine that is looked at once a second: a job pauses pause_s after it was asked to, and goes
 * on at once. */
struct machine {
    struct turns turns;
    struct turns_view view;
    int64_t now_s, asked_s;
    bool job, boards;
    int pause_s;
};

static bool look(struct machine *m) {
    bool paused = m->boards && m->now_s - m->asked_s >= m->pause_s;
    m->view.computing = m->job && !paused;
    bool boards = turns_look(&m->turns, &m->view, m->now_s * S);
    if (boards && !m->boards)
        m->asked_s = m->now_s;
    m->boards = boards;
    return boards;
}

/* Seconds until boards have the machine or have it no more; most at the end. */
static int until(struct machine *m, bool boards, int most) {
    for (int s = 0; s < most; s++, m->now_s++)
        if (look(m) == boards)
            return s;
    return most;
}

static void nobody_waits(void **state) {
    struct machine m = {.now_s = START_S, .job = true};
    assert_int_equal(until(&m, true, 300), 300);
    m.view.work = true; /* but no board asks for it */
    assert_int_equal(until(&m, true, 300), 300);
    m.view = (struct turns_view){.there = true};
    assert_int_equal(until(&m, true, 300), 300);
}

/* What it asked for is long past when a measurement ends; it has a moment to ask anew. */
static void a_board_that_measured_long_comes_back(void **state) {
    for (int measured_s = 1; measured_s < TURN_MEASURE_S - TURN_RETURN_S; measured_s++) {
        struct machine m = {.now_s = START_S, .job = true, .view = {.work = true, .there = true}};
        until(&m, true, 300);
        look(&m);
        m.view.there = false;
        m.view.leased = true;
        for (int s = 0; s < measured_s; s++, m.now_s++)
            assert_true(look(&m));
        m.view.leased = false;
        assert_int_equal(until(&m, false, 300), TURN_RETURN_S - 1);
    }
}

static void a_free_machine_is_the_boards(void **state) {
    struct machine m = {.now_s = START_S, .view = {.work = true, .there = true}};
    for (int s = 0; s < 200; s++, m.now_s++) {
        bool boards = look(&m);
        if (!boards) { /* a look at the queue of jobs in between, no more */
            m.now_s++;
            assert_true(look(&m));
        }
    }
}

static void job_and_boards_take_turns(void **state) {
    struct machine m = {
        .now_s = START_S, .job = true, .pause_s = 2, .view = {.work = true, .there = true}};
    assert_int_equal(until(&m, true, 100), TURN_JOB_S);
    for (int turn = 0; turn < 5; turn++) {
        assert_int_equal(until(&m, false, 100), 2 + TURN_MEASURE_S);
        assert_int_equal(until(&m, true, 100), TURN_JOB_S);
    }
}

/* However long the job takes to come to a step where it can pause: the boards wait for it, and have
 * their whole turn then. */
static void boards_wait_for_the_pause(void **state) {
    struct machine m = {
        .now_s = START_S, .job = true, .pause_s = 3600, .view = {.work = true, .there = true}};
    assert_int_equal(until(&m, true, 100), TURN_JOB_S);
    assert_int_equal(until(&m, false, 10000), 3600 + TURN_MEASURE_S);
}

static void a_lease_is_never_disturbed(void **state) {
    struct machine m = {.now_s = START_S, .job = true, .view = {.work = true, .there = true}};
    until(&m, true, 100);
    m.view.leased = true;
    assert_int_equal(until(&m, false, 1000), 1000);
    m.view.leased = false;
    assert_int_equal(until(&m, false, 10), 0);
    m.view.leased = true; /* found at a start of the daemon */
    assert_true(look(&m));
}

static void a_job_that_needs_boards_gives_way(void **state) {
    struct machine m = {.now_s = START_S,
                        .job = true,
                        .view = {.work = true, .there = true, .job_needs_them = true}};
    assert_int_equal(until(&m, true, 100), 0);
    assert_int_equal(until(&m, false, 1000), 1000);
    m.view.job_needs_them = false;
    assert_int_equal(until(&m, false, 10), 0);
}

/* Jobs of a few seconds, one behind the other, do not keep boards out for ever. */
static void many_short_jobs_are_like_a_long_one(void **state) {
    struct machine m = {.now_s = START_S, .view = {.work = true, .there = true}};
    int s = 0;
    m.job = true;
    for (; s < 200 && !look(&m); s++, m.now_s++)
        if (s % 5 == 4)
            m.turns.jobs_latest_us -= S; /* one ended and the next began: not seen to compute */
    assert_int_equal(s, TURN_JOB_S);
    struct machine calm = {.now_s = START_S, .job = true};
    look(&calm);
    calm.job = false;
    for (int i = 0; i < 60; i++, calm.now_s++)
        look(&calm);
    calm.job = calm.view.work = calm.view.there = true;
    assert_int_equal(until(&calm, true, 100), TURN_JOB_S); /* after a pause a job's turn is whole */
}

static void a_board_that_left_gives_the_machine_back(void **state) {
    struct machine m = {.now_s = START_S, .job = true, .view = {.work = true, .there = true}};
    until(&m, true, 100);
    m.view.there = false;
    assert_int_equal(until(&m, false, 10), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_waits),
        cmocka_unit_test(a_board_that_measured_long_comes_back),
        cmocka_unit_test(a_free_machine_is_the_boards),
        cmocka_unit_test(job_and_boards_take_turns),
        cmocka_unit_test(boards_wait_for_the_pause),
        cmocka_unit_test(a_lease_is_never_disturbed),
        cmocka_unit_test(a_job_that_needs_boards_gives_way),
        cmocka_unit_test(many_short_jobs_are_like_a_long_one),
        cmocka_unit_test(a_board_that_left_gives_the_machine_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
