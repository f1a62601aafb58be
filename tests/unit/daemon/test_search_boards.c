/* What a search makes of its boards: measured, measured once, refused, beyond a budget, or not
 * there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/map.h"
#include "daemon/job/job.h"
#include "tests/unit/daemon/search_bed.h"
#include "tests/unit/supernet/fixture.h"

/* Of all candidates, not only of the front. Returns how many are called measured. */
static int assert_measured_twice(const struct daemon *daemon) {
    const cJSON *item;
    int n = 0;
    for (int i = 0; i < daemon->n; i++) {
        if (strcmp(kind_of(daemon->events[i]), "candidates") != 0)
            continue;
        cJSON_ArrayForEach(
            item, cJSON_GetObjectItem(cJSON_GetObjectItem(daemon->events[i], "data"), "items")) {
            const cJSON *us =
                cJSON_GetObjectItem(cJSON_GetObjectItem(item, "metrics"), "latency_us:pf_1");
            if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(us, "source")), "measured") != 0)
                continue;
            const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch_id"));
            assert_int_equal(count_takes(daemon, id), 2);
            n++;
        }
    }
    return n;
}

static void what_is_called_measured_was_measured_twice(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true, .second = 1.04};
    cJSON *spec = spec_of(&world, evaluated_body);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_final_front(&daemon, "measured");
    assert_true(assert_measured_twice(&daemon) > 0);
    /* The mean of both, in an interval that holds both. */
    const cJSON *id =
        cJSON_GetArrayItem(cJSON_GetObjectItem(last_data(&daemon, "front"), "arch_ids"), 0);
    const cJSON *point = candidate(&daemon, id->valuestring);
    double first = number_of(point, "latency_us:pf_1", "value") / 1.02;
    assert_true(fabs(number_of(point, "latency_us:pf_1", "low") - 0.99 * first) < 1e-6 * first);
    assert_true(fabs(number_of(point, "latency_us:pf_1", "high") - 1.01 * 1.04 * first) <
                1e-6 * first);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

static void what_could_be_measured_only_once_stays_predicted(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true, .once_only = true};
    cJSON *spec = spec_of(&world, evaluated_body);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_true(count(&daemon, "calibration") > 0);
    assert_int_equal(assert_measured_twice(&daemon), 0);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* Networks whose second take the board refuses do not take the places of others in later passes. */
static void what_a_board_refuses_is_not_picked_again(void **state) {
    static const char body[] =
        "{\"objectives\":[{\"metric\":\"top1\",\"direction\":\"maximise\"},"
        "{\"metric\":\"macs\",\"direction\":\"minimise\"},"
        "{\"metric\":\"latency_us\",\"profile\":\"pf_1\",\"direction\":\"minimise\"}],"
        "\"evaluations\":24,\"population\":8,\"accuracy\":\"evaluated\",\"measure_front\":1,"
        "\"calibration_nets\":5,\"seed\":4}";
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true, .once_half = true};
    cJSON *spec = spec_of(&world, body);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    /* Five to calibrate on, and another one twice in each of four passes, two of them in vain. */
    assert_int_equal(count_takes(&daemon, ""), 13);
    assert_true(assert_measured_twice(&daemon) > 0);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

static void measurements_have_a_budget(void **state) {
    static const char body[] =
        "{" OBJECTIVES ",\"baseline\":\"random\",\"evaluations\":24,\"population\":8,"
        "\"accuracy\":\"evaluated\",\"measure_front\":6,\"calibration_nets\":12,\"seed\":4,"
        "\"measurements\":13}";
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    cJSON *spec = spec_of(&world, body);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_final_front(&daemon, "measured");
    assert_true(assert_measured_twice(&daemon) > 0);
    /* Six to calibrate on, three networks twice; the last one is no use to anybody. */
    int asked = count_takes(&daemon, "");
    assert_true(asked == 12 || asked == 13);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

static bool has_source(const cJSON *candidate, const char *metric, const char *source) {
    const cJSON *doc = cJSON_GetObjectItem(cJSON_GetObjectItem(candidate, "metrics"), metric);
    return strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "source")), source) == 0;
}

static bool is_on_front(const struct daemon *daemon, const char *arch_id) {
    const cJSON *id;
    cJSON_ArrayForEach(id, cJSON_GetObjectItem(last_data(daemon, "front"),
                                               "arch_ids")) if (strcmp(id->valuestring, arch_id) ==
                                                                0) return true;
    return false;
}

/* What was said until this event is all that the search knew then. */
static const cJSON *known_at(const struct daemon *daemon, int event, const char *arch_id) {
    struct daemon until = *daemon;
    until.n = event;
    return candidate(&until, arch_id);
}

/* Of networks that were asked for while they were predicted to break the limit. */
struct explored {
    int asked, kept, on_front;
};

/* Those of one request, which are a few, and just beyond the limit as far as is known. */
static void add_explored(const struct daemon *daemon, int event, double max_us, int most,
                         struct explored *ret) {
    const cJSON *item, *data = cJSON_GetObjectItem(daemon->events[event], "data");
    const char *us = "latency_us:pf_1";
    int asked = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(data, "items")) {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch_id"));
        const cJSON *then = known_at(daemon, event, id), *end = candidate(daemon, id);
        if (!then || cJSON_HasObjectItem(item, "take") ||
            cJSON_IsTrue(cJSON_GetObjectItem(then, "feasible")))
            continue;
        double value = number_of(then, us, "value"), doubt = value - number_of(then, us, "low");
        assert_true(has_source(then, us, "predicted"));
        assert_true(value > max_us && value - max_us <= 0.5 * doubt * (1 + 1e-9));
        asked++;
        ret->kept += cJSON_IsTrue(cJSON_GetObjectItem(end, "feasible"));
        ret->on_front += has_source(end, us, "measured") && is_on_front(daemon, id);
    }
    assert_true(asked <= most);
    ret->asked += asked;
}

/* Networks are off by 6 %, so whether one near the limit keeps it only the board knows: some that
 * are predicted to break it are measured, keep it and end on the front, where nobody who measures
 * only what is predicted to keep it would have put them. */
static void what_a_limit_leaves_in_doubt_is_measured(void **state) {
    static const char format[] =
        "{" OBJECTIVES ",\"evaluations\":160,\"population\":8,"
        "\"accuracy\":\"evaluated\",\"measure_front\":11,\"calibration_nets\":12,"
        "\"calibration_choice\":\"spread\",\"seed\":4,"
        "\"constraints\":[{\"metric\":\"latency_us\",\"profile\":\"pf_1\",\"max\":%d}]}";
    struct world world;
    struct explored explored = {0};
    open_world(&world);
    for (int max = 390; max <= 510; max += 120) {
        struct daemon daemon = {.world = &world, .has_board = true, .scattered = 0.06};
        char body[600];
        snprintf(body, sizeof body, format, max);
        cJSON *spec = spec_of(&world, body);
        assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
        for (int i = 0; i < daemon.n; i++)
            if (strcmp(kind_of(daemon.events[i]), "measure_request") == 0)
                add_explored(&daemon, i, max, 2 * 11 / 5, &explored);
        forget_events(&daemon);
        cJSON_Delete(spec);
        forget_job(&world);
    }
    assert_true(explored.asked > 0);
    assert_true(explored.kept > 0);
    assert_true(explored.on_front > 0);
    close_world(&world);
}

static void without_a_board_latency_stays_predicted(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world};
    cJSON *spec = spec_of(&world, evaluated_body);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_final_front(&daemon, "predicted");
    assert_int_equal(count(&daemon, "calibration"), 0);
    assert_int_equal(count(&daemon, "measure_request"), 1);
    const cJSON *result = cJSON_GetObjectItem(last_data(&daemon, "done"), "result");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(result, "no_board")));
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(result, "unmeasured")) > 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(result, "gone_profiles")), 1);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

static const cJSON *result_of(const struct daemon *daemon) {
    return cJSON_GetObjectItem(last_data(daemon, "done"), "result");
}

/* A board that is there and refuses whatever it is asked for is not gone: it is asked for the front
 * too, and no more after that. */
static void a_board_that_refuses_all_is_called_so(void **state) {
    static const char note[] = "latency_us:pf_1 is predicted: the board refused all ";
    struct world world;
    open_world(&world);
    struct daemon whole = {.world = &world, .has_board = true, .fails_from = 1}, parts = whole;
    cJSON *spec = spec_of(&world, evaluated_body);
    assert_int_equal(attempt(&whole, spec, 1), JOB_DONE);
    assert_final_front(&whole, "predicted");
    const cJSON *result = result_of(&whole);
    const cJSON *refused = cJSON_GetObjectItem(result, "refused_profiles")->child;
    assert_int_equal(count(&whole, "measure_request"), 2);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(result, "no_board")));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(result, "gone_profiles")), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(refused, "profile_id")), "pf_1");
    int networks = cJSON_GetObjectItem(refused, "networks")->valueint;
    assert_int_equal(count_takes(&whole, ""), 5 + 2 * (networks - 5)); /* five to calibrate on */
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(refused, "reason")),
                        "the network needs more memory than the board has");
    const char *said = cJSON_GetObjectItem(result, "notes")->child->valuestring;
    assert_memory_equal(said, note, sizeof note - 1);
    assert_non_null(strstr(said, "more memory than the board has"));
    forget_job(&world);
    parts.stop_after = 7;
    attempt_in_parts(&parts, spec, 0, 99);
    assert_same_events(&whole, &parts);
    forget_events(&whole);
    forget_events(&parts);
    cJSON_Delete(spec);
    close_world(&world);
}

/* Those to calibrate on are refused, those of the front are measured. */
static void a_board_that_refuses_some_is_asked_for_others(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true, .fails_until = 5};
    cJSON *spec = spec_of(&world, evaluated_body);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_final_front(&daemon, "measured");
    const cJSON *result = result_of(&daemon);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(result, "no_board")));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(result, "refused_profiles")), 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(result, "notes")), 0);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* A second profile with the same table. */
static cJSON *spec_of_two(const struct world *world, const char *body) {
    cJSON *spec = spec_of(world, body);
    cJSON *profiles = cJSON_GetObjectItem(spec, "profiles");
    cJSON *second = cJSON_Duplicate(cJSON_GetArrayItem(profiles, 0), true);
    cJSON_ReplaceItemInObject(second, "profile_id", cJSON_CreateString("pf_2"));
    cJSON_AddItemToArray(profiles, second);
    return spec;
}

static void check_one_of_two_goes(const char *gone_profile, const char *silent_profile) {
    static const char body[] =
        "{\"objectives\":[{\"metric\":\"top1\",\"direction\":\"maximise\"},"
        "{\"metric\":\"latency_us\",\"profile\":\"pf_1\",\"direction\":\"minimise\"},"
        "{\"metric\":\"latency_us\",\"profile\":\"pf_2\",\"direction\":\"minimise\"}],"
        "\"evaluations\":24,\"population\":8,\"accuracy\":\"evaluated\",\"measure_front\":6,"
        "\"calibration_nets\":5,\"seed\":4}";
    struct world world;
    open_world(&world);
    struct daemon daemon = {
        .world = &world, .has_board = true, .gone = gone_profile, .silent = silent_profile};
    cJSON *spec = spec_of_two(&world, body);
    cJSON_AddNumberToObject(spec, "board_patience_s", 0.2);
    const cJSON *id;
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_true(count(&daemon, "measure_request") >= 2);
    int n = 0;
    cJSON_ArrayForEach(id, cJSON_GetObjectItem(last_data(&daemon, "front"), "arch_ids")) {
        assert_source(candidate(&daemon, id->valuestring), "latency_us:pf_1", "measured");
        assert_source(candidate(&daemon, id->valuestring), "latency_us:pf_2", "predicted");
        n++;
    }
    const cJSON *result = cJSON_GetObjectItem(last_data(&daemon, "done"), "result");
    const cJSON *gone = cJSON_GetObjectItem(result, "gone_profiles");
    assert_true(n > 0);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(result, "no_board")));
    assert_int_equal(cJSON_GetObjectItem(result, "unmeasured")->valueint, n);
    assert_int_equal(cJSON_GetArraySize(gone), 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(gone, 0)), "pf_2");
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

static void of_two_boards_the_one_that_stays_measures_on(void **state) {
    check_one_of_two_goes("pf_2", NULL);
    check_one_of_two_goes(NULL, "pf_2");
}

/* Other profiles' tables are looked at, the profile's own among them is not. */
static void other_profiles_are_a_rung(void **state) {
    struct world world;
    open_world(&world);
    for (int others = 0; others < 2; others++) {
        struct daemon daemon = {.world = &world, .has_board = true};
        cJSON *spec = with_fleet(&world, "[{\"profile_id\":\"pf_1\"}]");
        cJSON *row = cJSON_GetArrayItem(cJSON_GetObjectItem(spec, "fleet"), 0);
        cJSON_AddItemToObject(row, "table", latency_table_to_json(world.table));
        if (others)
            cJSON_ReplaceItemInObject(row, "profile_id", cJSON_CreateString("pf_2"));
        assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
        const cJSON *errors = cJSON_GetObjectItem(last_data(&daemon, "calibration"), "errors");
        assert_int_equal(json_has(errors, "fleet"), others);
        forget_events(&daemon);
        cJSON_Delete(spec);
        fixture_remove_dir(world.job_dir);
        world.job_dir = fixture_make_dir();
    }
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_called_measured_was_measured_twice),
        cmocka_unit_test(what_could_be_measured_only_once_stays_predicted),
        cmocka_unit_test(what_a_board_refuses_is_not_picked_again),
        cmocka_unit_test(measurements_have_a_budget),
        cmocka_unit_test(what_a_limit_leaves_in_doubt_is_measured),
        cmocka_unit_test(without_a_board_latency_stays_predicted),
        cmocka_unit_test(a_board_that_refuses_all_is_called_so),
        cmocka_unit_test(a_board_that_refuses_some_is_asked_for_others),
        cmocka_unit_test(of_two_boards_the_one_that_stays_measures_on),
        cmocka_unit_test(other_profiles_are_a_rung),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
