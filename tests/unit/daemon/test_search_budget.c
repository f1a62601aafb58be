/* Budgets of a search job that are no evaluations: seconds. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/job/job.h"
#include "tests/unit/daemon/search_bed.h"
#include "tests/unit/supernet/fixture.h"

#define REST                                                                                       \
    OBJECTIVES ",\"baseline\":\"random\",\"population\":8,\"accuracy\":\"evaluated\","             \
               "\"measure_front\":6,\"calibration_nets\":5,\"seed\":4}"
static const char timed_body[] = "{\"time_budget_s\":0.2," REST;

/* What it was turned into, once; the event is taken out, which no search by number has. */
static int take_budget(struct daemon *daemon) {
    int evaluations = 0;
    for (int i = 0; i < daemon->n; i++) {
        if (strcmp(kind_of(daemon->events[i]), "budget") != 0)
            continue;
        assert_int_equal(evaluations, 0);
        evaluations =
            cJSON_GetObjectItem(cJSON_GetObjectItem(daemon->events[i], "data"), "evaluations")
                ->valueint;
        cJSON_Delete(daemon->events[i]);
        memmove(&daemon->events[i], &daemon->events[i + 1],
                (size_t)(daemon->n - i - 1) * sizeof *daemon->events);
        daemon->n--;
    }
    assert_true(evaluations > 0);
    return evaluations;
}

/* The same search, told how many from the beginning, in another folder and with nothing known. */
static void assert_as_by_number(const struct daemon *timed, int evaluations) {
    char body[600];
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    snprintf(body, sizeof body, "{\"evaluations\":%d," REST, evaluations);
    cJSON *spec = spec_of(&world, body);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_same_events(&daemon, timed);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* stop_after: events of each attempt; 0: one attempt. Returns the evaluations. */
static int run_timed(int stop_after) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true, .stop_after = stop_after};
    cJSON *spec = spec_of(&world, timed_body);
    int status = JOB_STOPPED, attempts = 0;
    while (status == JOB_STOPPED && attempts < 1000)
        status = attempt(&daemon, spec, ++attempts);
    assert_int_equal(status, JOB_DONE);
    assert_true(stop_after == 0 || attempts > 3);
    assert_final_front(&daemon, "measured");
    int evaluations = take_budget(&daemon);
    assert_as_by_number(&daemon, evaluations);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
    return evaluations;
}

static void seconds_become_a_number_that_rules(void **state) {
    int evaluations = run_timed(0);
    assert_true(evaluations >= 8 && evaluations % 8 == 0);
}

static void an_interrupted_one_is_what_its_number_says(void **state) {
    run_timed(9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_become_a_number_that_rules),
        cmocka_unit_test(an_interrupted_one_is_what_its_number_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
