/* A calibration that is asked for by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "daemon/job/job.h"
#include "space/arch.h"
#include "tests/unit/daemon/search_bed.h"

/* Of so many networks, by the seed of the bodies of searches. */
static cJSON *calibration_of(const struct world *world, int networks) {
    static const char *const of_searches[] = {"search_id", "supernet_dir", "checkpoint", "dataset",
                                              "search"};
    cJSON *spec = spec_of(world, evaluated_body);
    for (int i = 0; i < 5; i++)
        cJSON_DeleteItemFromObject(spec, of_searches[i]);
    cJSON *wanted = cJSON_AddObjectToObject(spec, "calibrate");
    cJSON_AddNumberToObject(wanted, "networks", networks);
    cJSON_AddNumberToObject(wanted, "seed", 4);
    cJSON_AddStringToObject(wanted, "method", "full");
    cJSON_AddItemToObject(spec, "versions", parse("{\"calibrations\":{\"pf_1\":7}}"));
    return spec;
}

static struct daemon daemon_of(const struct world *world) {
    return (struct daemon){.world = world, .kind = "calibrate", .has_board = true};
}

static void run(struct daemon *daemon, const cJSON *spec) {
    assert_int_equal(attempt(daemon, spec, 1), JOB_DONE);
}

static void end(struct daemon *daemon, cJSON *spec) {
    forget_events(daemon);
    cJSON_Delete(spec);
}

/* The networks that the first request names; NULL: nothing was asked for. */
static const cJSON *asked(const struct daemon *daemon) {
    for (int i = 0; i < daemon->n; i++)
        if (strcmp(kind_of(daemon->events[i]), "measure_request") == 0)
            return cJSON_GetObjectItem(cJSON_GetObjectItem(daemon->events[i], "data"), "items");
    return NULL;
}

static const char *text_of(const cJSON *doc, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(doc, key));
    assert_non_null(text);
    return text;
}

static int integer_of(const cJSON *doc, const char *key) {
    assert_true(cJSON_IsNumber(cJSON_GetObjectItem(doc, key)));
    return cJSON_GetObjectItem(doc, key)->valueint;
}

static const cJSON *result_of(const struct daemon *daemon) {
    return cJSON_GetObjectItem(last_data(daemon, "done"), "result");
}

/* What an earlier calibration was judged on is known to the next. */
static void know_points(cJSON *spec, const cJSON *calibration) {
    cJSON *profile = cJSON_GetArrayItem(cJSON_GetObjectItem(spec, "profiles"), 0);
    cJSON *list = cJSON_AddArrayToObject(profile, "known_networks");
    const cJSON *point;
    cJSON_ArrayForEach(point, cJSON_GetObjectItem(calibration, "points")) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "arch", text_of(point, "arch"));
        cJSON_AddNumberToObject(row, "measured_us",
                                cJSON_GetObjectItem(point, "measured_us")->valuedouble);
        cJSON_AddNumberToObject(row, "repeat_sd_us", 1);
        cJSON_AddNumberToObject(row, "session", -1);
        cJSON_AddItemToArray(list, row);
    }
}

static void its_networks_are_those_of_a_search(void **state) {
    struct world world;
    open_world(&world);
    struct daemon search = {.world = &world, .has_board = true}, daemon = daemon_of(&world);
    cJSON *body = spec_of(&world, evaluated_body), *spec = calibration_of(&world, 5);
    run(&search, body);
    forget_job(&world);
    run(&daemon, spec);
    assert_int_equal(count_takes(&daemon, ""), 5);
    for (int i = 0; i < 5; i++) {
        const cJSON *item = cJSON_GetArrayItem(asked(&daemon), i);
        assert_string_equal(text_of(item, "arch"),
                            text_of(cJSON_GetArrayItem(asked(&search), i), "arch"));
        assert_string_equal(text_of(item, "method"), "full");
        assert_string_equal(text_of(item, "profile_id"), "pf_1");
    }
    end(&search, body);
    end(&daemon, spec);
    close_world(&world);
}

static void what_was_measured_is_learnt_and_judged(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = daemon_of(&world);
    cJSON *spec = calibration_of(&world, 12);
    run(&daemon, spec);
    const cJSON *calibration = last_data(&daemon, "calibration"), *point;
    const cJSON *after = cJSON_GetObjectItem(calibration, "after"), *result = result_of(&daemon);
    assert_int_equal(count(&daemon, "calibration"), 1);
    assert_int_equal(integer_of(calibration, "version"), 8);
    assert_int_equal(integer_of(calibration, "n"), 12);
    assert_int_equal(integer_of(calibration, "n_known"), 0);
    assert_string_equal(text_of(calibration, "rung"), "line"); /* 1.3 times the sum, and 50 us */
    assert_true(cJSON_GetObjectItem(after, "mape")->valuedouble < 0.01);
    assert_true(cJSON_GetObjectItem(after, "within_5")->valuedouble == 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(calibration, "points")), 12);
    cJSON_ArrayForEach(point, cJSON_GetObjectItem(calibration, "points")) {
        double us = cJSON_GetObjectItem(point, "measured_us")->valuedouble;
        assert_true(fabs(us / board_us(&daemon, text_of(point, "arch")) - 1) < 1e-9);
        assert_true(cJSON_IsTrue(cJSON_GetObjectItem(point, "representative")));
    }
    assert_int_equal(integer_of(result, "networks"), 12);
    assert_int_equal(integer_of(result, "measured"), 12);
    assert_string_equal(text_of(result, "rung"), "line");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(result, "notes")), 0);
    assert_true(daemon.fraction == 1 && !daemon.fell);
    end(&daemon, spec);
    close_world(&world);
}

static void what_is_known_counts_and_is_not_measured_again(void **state) {
    struct world world;
    const cJSON *item, *row;
    open_world(&world);
    struct daemon before = daemon_of(&world), daemon = before, none = before;
    cJSON *first = calibration_of(&world, 6), *spec = calibration_of(&world, 6);
    run(&before, first);
    forget_job(&world);
    know_points(spec, last_data(&before, "calibration"));
    run(&daemon, spec);
    assert_int_equal(cJSON_GetArraySize(asked(&daemon)), 6);
    cJSON_ArrayForEach(item, asked(&daemon)) cJSON_ArrayForEach(row, asked(&before))
        assert_string_not_equal(text_of(item, "arch"), text_of(row, "arch"));
    assert_int_equal(integer_of(last_data(&daemon, "calibration"), "n"), 12);
    assert_int_equal(integer_of(last_data(&daemon, "calibration"), "n_known"), 6);
    forget_job(&world);
    cJSON_SetNumberValue(cJSON_GetObjectItem(cJSON_GetObjectItem(spec, "calibrate"), "networks"),
                         0);
    run(&none, spec);
    assert_null(asked(&none));
    assert_int_equal(integer_of(last_data(&none, "calibration"), "n"), 6);
    forget_events(&none);
    end(&before, first);
    end(&daemon, spec);
    close_world(&world);
}

/* After each of its events. */
static void one_that_is_interrupted_comes_to_the_same(void **state) {
    struct world world;
    open_world(&world);
    struct daemon whole = daemon_of(&world), parts = whole;
    cJSON *spec = calibration_of(&world, 5);
    run(&whole, spec);
    forget_job(&world);
    parts.stop_after = 1;
    assert_int_equal(attempt(&parts, spec, 1), JOB_STOPPED);
    attempt_in_parts(&parts, spec, 1, 9);
    assert_same_events(&whole, &parts);
    forget_events(&parts);
    end(&whole, spec);
    close_world(&world);
}

static void networks_that_were_not_measured_are_told(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = daemon_of(&world);
    cJSON *spec = calibration_of(&world, 8);
    daemon.fails_from = 6;
    run(&daemon, spec);
    const cJSON *notes = cJSON_GetObjectItem(result_of(&daemon), "notes");
    assert_int_equal(integer_of(last_data(&daemon, "calibration"), "n"), 5);
    assert_int_equal(integer_of(result_of(&daemon), "measured"), 5);
    assert_string_equal(cJSON_GetArrayItem(notes, 0)->valuestring,
                        "3 of 8 networks were not measured: the network needs more memory than the "
                        "board has");
    end(&daemon, spec);
    close_world(&world);
}

static void assert_failed(const struct daemon *daemon, const char *code, const char *said) {
    const cJSON *failed = last_data(daemon, "failed");
    assert_non_null(failed);
    assert_string_equal(text_of(failed, "code"), code);
    if (!strstr(text_of(failed, "message"), said))
        fail_msg("\"%s\" is not in \"%s\"", said, text_of(failed, "message"));
    assert_int_equal(count(daemon, "calibration"), 0);
}

static void a_board_that_refuses_all_is_quoted(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = daemon_of(&world);
    cJSON *spec = calibration_of(&world, 4);
    daemon.fails_from = 1;
    assert_int_equal(attempt(&daemon, spec, 1), JOB_FAILED);
    assert_failed(&daemon, "unsupported", "all 4 networks: the network needs more memory");
    end(&daemon, spec);
    close_world(&world);
}

/* And when it is tried again the board is asked again. */
static void a_board_that_does_not_answer_ends_it(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = daemon_of(&world);
    cJSON *spec = calibration_of(&world, 4);
    cJSON_AddNumberToObject(spec, "board_patience_s", 0.2);
    daemon.silent = "pf_1";
    assert_int_equal(attempt(&daemon, spec, 1), JOB_FAILED);
    assert_failed(&daemon, "unreachable", "none of 4 networks");
    daemon.silent = NULL;
    assert_int_equal(attempt(&daemon, spec, 2), JOB_DONE);
    assert_int_equal(integer_of(last_data(&daemon, "calibration"), "n"), 4);
    assert_int_equal(count_takes(&daemon, ""), 4);
    end(&daemon, spec);
    close_world(&world);
}

static void two_networks_are_too_few(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = daemon_of(&world);
    cJSON *spec = calibration_of(&world, 2);
    assert_int_equal(attempt(&daemon, spec, 1), JOB_FAILED);
    assert_failed(&daemon, "missing_entry", "2 were measured now, 0 were known before");
    end(&daemon, spec);
    close_world(&world);
}

static void specs_are_checked(void **state) {
    static const struct {
        const char *member, *value, *pointer;
    } rows[] = {
        {"calibrate", "{\"networks\":129,\"seed\":1,\"method\":\"full\"}", "/calibrate/networks"},
        {"calibrate", "{\"networks\":5,\"seed\":1}", "/calibrate/method"},
        {"calibrate", "{\"networks\":5,\"seed\":1,\"method\":\"full\",\"x\":1}", "/calibrate/x"},
        {"profiles", "[]", "/profiles"},
        {"profiles", "[{\"profile_id\":\"mo_1\",\"sections\":[]}]", "/profiles/0/sections"},
        {"search", "{}", "/search"}};
    struct world world;
    open_world(&world);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct daemon daemon = daemon_of(&world);
        cJSON *spec = calibration_of(&world, 5);
        cJSON_DeleteItemFromObject(spec, rows[i].member);
        cJSON_AddItemToObject(spec, rows[i].member, parse(rows[i].value));
        forget_job(&world);
        assert_int_equal(attempt(&daemon, spec, 1), JOB_FAILED);
        assert_string_equal(text_of(last_data(&daemon, "failed"), "pointer"), rows[i].pointer);
        end(&daemon, spec);
    }
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_networks_are_those_of_a_search),
        cmocka_unit_test(what_was_measured_is_learnt_and_judged),
        cmocka_unit_test(what_is_known_counts_and_is_not_measured_again),
        cmocka_unit_test(one_that_is_interrupted_comes_to_the_same),
        cmocka_unit_test(networks_that_were_not_measured_are_told),
        cmocka_unit_test(a_board_that_refuses_all_is_quoted),
        cmocka_unit_test(a_board_that_does_not_answer_ends_it),
        cmocka_unit_test(two_networks_are_too_few),
        cmocka_unit_test(specs_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
