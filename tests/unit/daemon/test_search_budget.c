/* Budgets of a search job that are no evaluations, and rounds that share them. */
#include <math.h>
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
    int attempts = attempt_in_parts(&daemon, spec, 0, 1000);
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

/* One network, twice: nothing is left to calibrate on, and the front is measured all the same. */
static void two_measurements_are_one_network(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    cJSON *spec = spec_of(&world, "{\"evaluations\":24,\"measurements\":2," REST);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_int_equal(count(&daemon, "measure_request"), 1);
    const cJSON *ids = cJSON_GetObjectItem(last_data(&daemon, "front"), "arch_ids");
    assert_int_equal(cJSON_GetArraySize(ids), 1);
    const cJSON *item = candidate(&daemon, ids->child->valuestring);
    assert_source(item, "top1", "evaluated");
    assert_source(item, "latency_us:pf_1", "measured");
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* The space ends long before the time does: what it has is the budget. */
static void a_space_that_ends_before_the_time(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    cJSON *spec =
        spec_of(&world, "{\"time_budget_s\":100000,\"strategy\":\"exhaustive\"," OBJECTIVES
                        ",\"baseline\":\"random\",\"population\":100,\"accuracy\":\"evaluated\","
                        "\"measure_front\":6,\"calibration_nets\":5,\"seed\":4}");
    int subnets = (int)space_cardinality(world.space);
    assert_in_range(subnets, 1, 2000);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_int_equal(take_budget(&daemon), subnets);
    assert_final_front(&daemon, "measured");
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* --- progress --- */

/* Without a board and with little to verify, the search is nearly all that there is to do. */
static void progress_goes_by_what_is_to_be_done(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world};
    cJSON *spec =
        spec_of(&world, "{\"evaluations\":400,\"objectives\":[{\"metric\":\"top1\",\"direction\":"
                        "\"maximise\"},{\"metric\":\"macs\",\"direction\":\"minimise\"}],"
                        "\"baseline\":\"random\",\"population\":8,\"accuracy\":\"evaluated\","
                        "\"measure_front\":1,\"calibration_nets\":0,\"seed\":4}");
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_true(daemon.at_first >= 0 && daemon.at_first < 0.05);
    assert_true(daemon.at_half > 0.48 && daemon.at_half < 0.53);
    assert_false(daemon.fell);
    assert_true(daemon.fraction == 1);
    assert_true(daemon.eta_s == 0);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* --- rounds --- */

#define ROUNDS_REST                                                                                \
    OBJECTIVES ",\"baseline\":\"random\",\"population\":8,\"accuracy\":\"evaluated\","             \
               "\"rounds\":3,\"measure_front\":6,\"calibration_nets\":0,\"seed\":4}"

/* Events of this kind among the first n. */
static int count_before(const struct daemon *daemon, const char *kind, int n) {
    int found = 0;
    for (int i = 0; i < n; i++)
        found += strcmp(kind_of(daemon->events[i]), kind) == 0;
    return found;
}

/* Every generation of the main search begins with as many calibrations as rounds were before it. */
static void assert_calibrated_between(const struct daemon *daemon) {
    static const int evaluations[] = {8, 16, 24, 32, 40, 48}, before[] = {0, 0, 1, 1, 2, 2};
    int at = 0;
    for (int i = 0; i < daemon->n; i++) {
        const cJSON *data = cJSON_GetObjectItem(daemon->events[i], "data");
        if (strcmp(kind_of(daemon->events[i]), "generation") != 0 ||
            strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(data, "strategy")), "nsga2") != 0)
            continue;
        assert_in_range(at, 0, 5);
        assert_int_equal(cJSON_GetObjectItem(data, "evaluations")->valueint, evaluations[at]);
        assert_int_equal(count_before(daemon, "calibration", i), before[at++]);
    }
    assert_int_equal(at, 6);
}

/* The board takes 1.3 times the sum and 50 us: the first round cannot know, later ones do. */
static double latency_error(const struct daemon *daemon, int generation) {
    const cJSON *item;
    double worst = 0;
    for (int i = 0; i < daemon->n; i++) {
        const cJSON *data = cJSON_GetObjectItem(daemon->events[i], "data");
        if (strcmp(kind_of(daemon->events[i]), "candidates") != 0 ||
            cJSON_GetObjectItem(data, "generation")->valueint != generation)
            continue;
        cJSON_ArrayForEach(item, cJSON_GetObjectItem(data, "items")) {
            const cJSON *us =
                cJSON_GetObjectItem(cJSON_GetObjectItem(item, "metrics"), "latency_us:pf_1");
            double said = cJSON_GetObjectItem(us, "value")->valuedouble;
            double true_us =
                board_us(daemon, cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch")));
            worst = fmax(worst, fabs(said - true_us) / true_us);
        }
    }
    return worst;
}

static void from_round_to_round_it_is_calibrated(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    cJSON *spec = spec_of(&world, "{\"evaluations\":48," ROUNDS_REST);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_final_front(&daemon, "measured");
    assert_calibrated_between(&daemon);
    assert_true(latency_error(&daemon, 1) > 0.2);
    assert_true(latency_error(&daemon, 3) < 0.01);
    assert_true(count(&daemon, "measure_request") >= 3);
    assert_false(daemon.fell);
    assert_true(daemon.fraction == 1);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

static void interrupted_rounds_are_the_same(void **state) {
    struct world world;
    open_world(&world);
    struct daemon whole = {.world = &world, .has_board = true}, parts = whole;
    cJSON *spec = spec_of(&world, "{\"evaluations\":48," ROUNDS_REST);
    assert_int_equal(attempt(&whole, spec, 1), JOB_DONE);
    forget_job(&world);
    parts.stop_after = 4;
    assert_true(attempt_in_parts(&parts, spec, 0, 1000) > 5);
    assert_same_events(&whole, &parts);
    forget_events(&whole);
    forget_events(&parts);
    cJSON_Delete(spec);
    close_world(&world);
}

/* Seconds and rounds together, and a budget of measurements over all of them. */
static void rounds_share_budgets(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true}, by_number = daemon;
    cJSON *spec = spec_of(&world, "{\"time_budget_s\":0.3,\"measurements\":20," ROUNDS_REST);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    int asked = 0;
    for (int i = 0; i < daemon.n; i++)
        if (strcmp(kind_of(daemon.events[i]), "measure_request") == 0)
            asked += cJSON_GetArraySize(
                cJSON_GetObjectItem(cJSON_GetObjectItem(daemon.events[i], "data"), "items"));
    assert_in_range(asked, 2, 20);
    int evaluations = take_budget(&daemon);
    char body[600];
    snprintf(body, sizeof body, "{\"evaluations\":%d,\"measurements\":20," ROUNDS_REST,
             evaluations);
    cJSON_Delete(spec);
    spec = spec_of(&world, body);
    forget_job(&world);
    assert_int_equal(attempt(&by_number, spec, 1), JOB_DONE);
    assert_same_events(&by_number, &daemon);
    forget_events(&daemon);
    forget_events(&by_number);
    cJSON_Delete(spec);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_become_a_number_that_rules),
        cmocka_unit_test(two_measurements_are_one_network),
        cmocka_unit_test(progress_goes_by_what_is_to_be_done),
        cmocka_unit_test(a_space_that_ends_before_the_time),
        cmocka_unit_test(an_interrupted_one_is_what_its_number_says),
        cmocka_unit_test(from_round_to_round_it_is_calibrated),
        cmocka_unit_test(interrupted_rounds_are_the_same),
        cmocka_unit_test(rounds_share_budgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
