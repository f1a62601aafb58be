#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "daemon/job_machine.h"

static void test_every_transition(void **state) {
    enum { Q, R, P, X, D, F, C };
    static const int want[JOB_STATES][JOB_EVENTS] = {
        /*    start pause resume cancel finish fail stop crash retry */
        [Q] = {R, -1, -1, C, -1, -1, -1, -1, -1},   [R] = {-1, P, R, X, D, F, Q, Q, -1},
        [P] = {-1, P, R, X, D, F, Q, Q, -1},        [X] = {-1, -1, -1, X, D, F, C, C, -1},
        [D] = {-1, -1, -1, -1, -1, -1, -1, -1, -1}, [F] = {-1, -1, -1, -1, -1, -1, -1, -1, Q},
        [C] = {-1, -1, -1, -1, -1, -1, -1, -1, Q},
    };
    for (int s = 0; s < JOB_STATES; s++)
        for (int e = 0; e < JOB_EVENTS; e++) {
            struct job_status status = {.state = (enum job_state)s};
            int r = job_step(&status, (enum job_event)e);
            assert_int_equal(r, want[s][e] >= 0 ? 0 : ESP_ECONFLICT);
            assert_int_equal(status.state, want[s][e] >= 0 ? want[s][e] : s);
        }
    assert_non_null(job_state_names[JOB_STATES - 1]);
    assert_null(job_state_names[JOB_STATES]);
    assert_null(job_event_names[JOB_EVENTS]);
}

static void test_three_crashes(void **state) {
    struct job_status status = {.state = JOB_QUEUED};
    for (int i = 1; i <= JOB_CRASHES_MAX; i++) {
        assert_int_equal(job_step(&status, JOB_START), 0);
        assert_int_equal(job_step(&status, JOB_CRASH), 0);
        assert_int_equal(status.state, i < JOB_CRASHES_MAX ? JOB_QUEUED : JOB_FAILED);
    }
    assert_int_equal(job_step(&status, JOB_RETRY), 0);
    assert_int_equal(status.crashes, 0);
    /* Daemons that come and go are no fault of the job. */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(job_step(&status, JOB_START), 0);
        assert_int_equal(job_step(&status, JOB_STOP), 0);
    }
    assert_int_equal(status.state, JOB_QUEUED);
}

static void test_terminal(void **state) {
    for (int s = 0; s < JOB_STATES; s++)
        assert_int_equal(job_terminal((enum job_state)s), s >= JOB_DONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_transition),
        cmocka_unit_test(test_three_crashes),
        cmocka_unit_test(test_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
