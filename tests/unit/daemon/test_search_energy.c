/* A search's energy: by a profile's prices, and as boards tell it; what is measured for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/job/job.h"
#include "space/cost.h"
#include "tests/unit/daemon/search_bed.h"

/* Energy at a profile's prices, without a table: an objective and a limit. */
static void energy_of_a_profile_is_a_metric(void **state) {
    static const char body[] =
        "{\"objectives\":[{\"metric\":\"top1\",\"direction\":\"maximise\"},{\"metric\":\"energy_"
        "uj\","
        "\"profile\":\"pf_2\",\"direction\":\"minimise\"}],\"constraints\":[{\"metric\":\"energy_"
        "uj\","
        "\"profile\":\"pf_2\",\"max\":1e9}],\"evaluations\":24,\"population\":8,\"accuracy\":"
        "\"evaluated\",\"baseline\":null,\"seed\":4}";
    static const char prices[] = "[{\"profile_id\":\"pf_2\",\"prices_id\":\"ep_1\",\"mac_pj\":20,"
                                 "\"byte_pj\":100,\"run_uj\":7,\"n\":9,\"strength\":null,"
                                 "\"residual_sd\":0.02}]";
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world};
    cJSON *spec = spec_of(&world, body);
    cJSON_AddItemToObject(spec, "energy_prices", parse(prices));
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    const cJSON *items = cJSON_GetObjectItem(last_data(&daemon, "candidates"), "items"), *item;
    assert_true(cJSON_GetArraySize(items) > 0);
    cJSON_ArrayForEach(item, items) {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch"));
        const cJSON *energy =
            cJSON_GetObjectItem(cJSON_GetObjectItem(item, "metrics"), "energy_uj:pf_2");
        struct arch arch;
        struct cost cost;
        assert_int_equal(arch_parse(world.space, text, strlen(text), NULL, &arch), 0);
        assert_int_equal(arch_cost(world.space, &arch, NULL, &cost), 0);
        double uj = 20e-6 * (double)cost.macs + 100e-6 * (double)cost.traffic_bytes + 7;
        assert_true(fabs(cJSON_GetObjectItem(energy, "value")->valuedouble / uj - 1) < 1e-9);
        assert_true(cJSON_GetObjectItem(energy, "high")->valuedouble > 1.02 * uj);
    }
    forget_events(&daemon);
    cJSON_Delete(spec);
    assert_fails(&world, spec_of(&world, body), "not_found", "/energy_prices");
    spec = spec_of(&world, body);
    cJSON_AddItemToObject(spec, "energy_prices",
                          parse("[{\"profile_id\":\"pf_2\",\"mac_pj\":-1}]"));
    assert_fails(&world, spec, "invalid_value", "/energy_prices/0/mac_pj");
    close_world(&world);
}

/* Top-1 and the energy on pf_1, its latency too if that is meant. */
static cJSON *spec_of_energy(const struct world *world, bool with_latency) {
    static const char prices[] =
        "[{\"profile_id\":\"pf_1\",\"profile_revision\":\"rev_1\",\"prices_id\":\"ep_1\","
        "\"mac_pj\":20,\"byte_pj\":100,\"run_uj\":7,\"n\":3,\"strength\":null,"
        "\"residual_sd\":0.02}]";
    char body[512];
    snprintf(body, sizeof body,
             "{\"objectives\":[{\"metric\":\"top1\",\"direction\":\"maximise\"},%s"
             "{\"metric\":\"energy_uj\",\"profile\":\"pf_1\",\"direction\":\"minimise\"}],"
             "\"evaluations\":24,\"population\":8,\"accuracy\":\"evaluated\",\"baseline\":"
             "\"random\",\"measure_front\":6,\"calibration_nets\":5,\"calibration_choice\":"
             "\"useful\",\"seed\":4}",
             with_latency ? "{\"metric\":\"latency_us\",\"profile\":\"pf_1\",\"direction\":"
                            "\"minimise\"},"
                          : "");
    cJSON *spec = spec_of(world, body);
    cJSON_AddItemToObject(spec, "energy_prices", parse(prices));
    return spec;
}

/* The networks that are measured first, in the order of their texts. */
static int calibrated_on(struct world *world, cJSON *spec, const char *choice,
                         char ret_texts[8][200]) {
    struct daemon daemon = {.world = world, .has_board = true, .watts = 3};
    const cJSON *item;
    int n = 0;
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(spec, "search"), "calibration_choice",
                              cJSON_CreateString(choice));
    forget_job(world);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    for (int i = 0; i < daemon.n && n == 0; i++)
        if (strcmp(kind_of(daemon.events[i]), "measure_request") == 0)
            cJSON_ArrayForEach(
                item, cJSON_GetObjectItem(cJSON_GetObjectItem(daemon.events[i], "data"), "items"))
                snprintf(ret_texts[n++], 200, "%s",
                         cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch")));
    qsort(ret_texts, (size_t)n, 200, (int (*)(const void *, const void *))strcmp);
    forget_events(&daemon);
    cJSON_Delete(spec);
    return n;
}

static cJSON *spec_of_latency(const struct world *world) {
    return spec_of(world, evaluated_body);
}

static cJSON *spec_of_energy_alone(const struct world *world) {
    return spec_of_energy(world, false);
}

static void calibrates_on_what_was_asked_for(void **state) {
    struct world world;
    char useful[8][200] = {""}, again[8][200] = {""}, spread[8][200] = {""};
    open_world(&world);
    cJSON *(*specs[])(const struct world *) = {spec_of_latency, spec_of_energy_alone};
    for (int s = 0; s < 2; s++) {
        assert_int_equal(calibrated_on(&world, specs[s](&world), "useful", useful), 5);
        assert_int_equal(calibrated_on(&world, specs[s](&world), "useful", again), 5);
        assert_int_equal(calibrated_on(&world, specs[s](&world), "spread", spread), 5);
        assert_memory_equal(useful, again, sizeof useful);
        assert_memory_not_equal(useful, spread, sizeof useful);
        for (int i = 1; i < 5; i++)
            assert_string_not_equal(useful[i - 1], useful[i]);
    }
    close_world(&world);
}

/* Every point of the last front is measured, of all that its board can tell. */
static void assert_front_sources(const struct daemon *daemon, bool latency, const char *energy) {
    const cJSON *ids = cJSON_GetObjectItem(last_data(daemon, "front"), "arch_ids"), *id;
    assert_true(cJSON_GetArraySize(ids) > 0);
    cJSON_ArrayForEach(id, ids) {
        const cJSON *point = candidate(daemon, id->valuestring);
        assert_source(point, "energy_uj:pf_1", energy);
        if (latency)
            assert_source(point, "latency_us:pf_1", "measured");
    }
}

static void energy_that_a_board_tells_replaces_the_predicted(void **state) {
    struct world world;
    open_world(&world);
    for (int with_latency = 0; with_latency < 2; with_latency++) {
        struct daemon daemon = {.world = &world, .has_board = true, .second = 1.04, .watts = 3};
        cJSON *spec = spec_of_energy(&world, with_latency);
        assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
        assert_front_sources(&daemon, with_latency, "measured");
        /* Of two takes of one network, whether one or two things are meant. */
        const cJSON *id =
            cJSON_GetArrayItem(cJSON_GetObjectItem(last_data(&daemon, "front"), "arch_ids"), 0);
        const cJSON *point = candidate(&daemon, id->valuestring);
        assert_int_equal(count_takes(&daemon, id->valuestring), 2);
        double first =
            board_us(&daemon, cJSON_GetStringValue(cJSON_GetObjectItem(point, "arch"))) * 3;
        assert_true(fabs(number_of(point, "energy_uj:pf_1", "value") / first - 1.02) < 1e-9);
        assert_true(fabs(number_of(point, "energy_uj:pf_1", "low") / first - 0.99) < 1e-9);
        assert_true(fabs(number_of(point, "energy_uj:pf_1", "high") / first - 1.01 * 1.04) < 1e-9);
        const cJSON *prices = last_data(&daemon, "energy_prices");
        assert_non_null(prices);
        assert_true(cJSON_GetObjectItem(prices, "n")->valueint > 5);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(prices, "profile_revision")),
                            "rev_1");
        const cJSON *result = cJSON_GetObjectItem(last_data(&daemon, "done"), "result");
        assert_int_equal(cJSON_GetObjectItem(result, "unmeasured")->valueint, 0);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(result, "silent_profiles")), 0);
        assert_int_equal(count(&daemon, "calibration") > 0, with_latency);
        forget_events(&daemon);
        cJSON_Delete(spec);
        forget_job(&world);
    }
    close_world(&world);
}

/* After calibration the board fails: passes that it tells nothing in fit nothing. */
static void prices_are_fitted_when_something_was_told(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true, .watts = 3, .fails_from = 6};
    cJSON *spec = spec_of_energy(&world, false);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
    assert_true(count(&daemon, "measure_request") > 1);
    assert_int_equal(count(&daemon, "energy_prices"), 1);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* A board that measures and has no sensor: it is found out, and nothing waits for its figures. */
static void a_board_that_tells_no_energy_leaves_it_predicted(void **state) {
    struct world world;
    open_world(&world);
    for (int with_latency = 0; with_latency < 2; with_latency++) {
        struct daemon daemon = {.world = &world, .has_board = true};
        cJSON *spec = spec_of_energy(&world, with_latency);
        assert_int_equal(attempt(&daemon, spec, 1), JOB_DONE);
        assert_front_sources(&daemon, with_latency, "predicted");
        const cJSON *result = cJSON_GetObjectItem(last_data(&daemon, "done"), "result");
        const cJSON *silent = cJSON_GetObjectItem(result, "silent_profiles");
        assert_string_equal(cJSON_GetStringValue(cJSON_GetArrayItem(silent, 0)), "pf_1");
        assert_false(cJSON_IsTrue(cJSON_GetObjectItem(result, "no_board")));
        assert_int_equal(count(&daemon, "energy_prices"), 0);
        if (!with_latency) /* asked for calibration alone */
            assert_int_equal(count(&daemon, "measure_request"), 1);
        forget_events(&daemon);
        cJSON_Delete(spec);
        forget_job(&world);
    }
    close_world(&world);
}

static void an_interrupted_search_knows_the_energy_that_it_was_told(void **state) {
    struct world world;
    open_world(&world);
    struct daemon whole = {.world = &world, .has_board = true, .watts = 3};
    struct daemon parts = {.world = &world, .has_board = true, .watts = 3, .stop_after = 9};
    cJSON *spec = spec_of_energy(&world, false);
    assert_int_equal(attempt(&whole, spec, 1), JOB_DONE);
    forget_job(&world);
    assert_true(attempt_in_parts(&parts, spec, 0, 20) >= 3);
    assert_same_events(&whole, &parts);
    forget_events(&whole);
    forget_events(&parts);
    cJSON_Delete(spec);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(energy_of_a_profile_is_a_metric),
        cmocka_unit_test(calibrates_on_what_was_asked_for),
        cmocka_unit_test(energy_that_a_board_tells_replaces_the_predicted),
        cmocka_unit_test(prices_are_fitted_when_something_was_told),
        cmocka_unit_test(a_board_that_tells_no_energy_leaves_it_predicted),
        cmocka_unit_test(an_interrupted_search_knows_the_energy_that_it_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
