/* Networks that a profile has measured before a search begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/rng.h"
#include "daemon/job/job.h"
#include "latency/calibration.h"
#include "space/arch.h"
#include "tests/unit/daemon/search_bed.h"

static cJSON *known_of(cJSON *spec, int profile) {
    cJSON *row = cJSON_GetArrayItem(cJSON_GetObjectItem(spec, "profiles"), profile);
    cJSON *list = cJSON_GetObjectItem(row, "known_networks");
    return list ? list : cJSON_AddArrayToObject(row, "known_networks");
}

static void know(cJSON *spec, int profile, const char *arch, double us) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "arch", arch);
    cJSON_AddNumberToObject(row, "measured_us", us);
    cJSON_AddNumberToObject(row, "repeat_sd_us", 0.02 * us);
    cJSON_AddNumberToObject(row, "session", -1);
    cJSON_AddItemToArray(known_of(spec, profile), row);
}

/* n different subnets as the board measures them. */
static void know_random(cJSON *spec, const struct daemon *daemon, int n) {
    char text[ARCH_TEXT_MAX];
    const cJSON *row;
    for (uint32_t i = 0; cJSON_GetArraySize(known_of(spec, 0)) < n; i++) {
        struct rng rng = rng_make(77, RNG_TEST, 1, i);
        struct arch arch;
        bool again = false;
        arch_random(daemon->world->space, &rng, &arch);
        arch_format(daemon->world->space, &arch, text);
        cJSON_ArrayForEach(row, known_of(spec, 0)) again |=
            strcmp(cJSON_GetObjectItem(row, "arch")->valuestring, text) == 0;
        if (!again)
            know(spec, 0, text, board_us(daemon, text));
    }
}

static const cJSON *first_data(const struct daemon *daemon, const char *kind) {
    for (int i = 0; i < daemon->n; i++)
        if (strcmp(kind_of(daemon->events[i]), kind) == 0)
            return cJSON_GetObjectItem(daemon->events[i], "data");
    fail_msg("there is no event %s", kind);
    return NULL;
}

static int integer_of(const cJSON *data, const char *key) {
    const cJSON *item = cJSON_GetObjectItem(data, key);
    assert_true(cJSON_IsNumber(item));
    return item->valueint;
}

/* Points of a calibration that are of this subnet; *ret: the last of them. */
static int find_points(const cJSON *calibration, const char *arch, const cJSON **ret) {
    const cJSON *point;
    int n = 0;
    cJSON_ArrayForEach(point, cJSON_GetObjectItem(calibration, "points")) {
        if (strcmp(cJSON_GetObjectItem(point, "arch")->valuestring, arch) == 0) {
            n++;
            *ret = point;
        }
    }
    return n;
}

/* Mean relative error of all predictions until the first front, where boards are as ever (what
 * sets networks of one size apart nobody can know before). */
static double error_of_first_predictions(const struct daemon *daemon) {
    struct daemon usual = *daemon;
    const cJSON *item;
    double error = 0;
    int n = 0;
    usual.scattered = 0;
    for (int i = 0; strcmp(kind_of(daemon->events[i]), "front") != 0; i++) {
        if (strcmp(kind_of(daemon->events[i]), "candidates") != 0)
            continue;
        cJSON_ArrayForEach(
            item, cJSON_GetObjectItem(cJSON_GetObjectItem(daemon->events[i], "data"), "items")) {
            double us = board_us(&usual, cJSON_GetObjectItem(item, "arch")->valuestring);
            assert_source(item, "latency_us:pf_1", "predicted");
            error += fabs(log(number_of(item, "latency_us:pf_1", "value") / us));
            n++;
        }
    }
    assert_true(n > 0);
    return error / n;
}

static void assert_not_measured(const struct daemon *daemon) {
    const cJSON *item;
    for (int i = 0; i < daemon->n; i++)
        if (strcmp(kind_of(daemon->events[i]), "candidates") == 0)
            cJSON_ArrayForEach(
                item, cJSON_GetObjectItem(cJSON_GetObjectItem(daemon->events[i], "data"), "items"))
                assert_source(item, "latency_us:pf_1", "predicted");
}

static void run(struct daemon *daemon, const cJSON *spec) {
    assert_int_equal(attempt(daemon, spec, 1), JOB_DONE);
}

/* Networks are off by 6 %: five say little of the board, fifty more a good deal. */
static void they_take_part_from_the_first_calibration_on(void **state) {
    struct world world;
    open_world(&world);
    struct daemon alone = {.world = &world, .has_board = true, .scattered = 0.06}, begun = alone;
    cJSON *spec = spec_of(&world, evaluated_body);
    run(&alone, spec);
    forget_job(&world);
    know_random(spec, &begun, 50);
    run(&begun, spec);
    const cJSON *first = first_data(&alone, "calibration"),
                *known = first_data(&begun, "calibration"), *row, *point = NULL;
    assert_int_equal(integer_of(first, "n"), 5);
    assert_int_equal(integer_of(first, "n_known"), 0);
    assert_int_equal(integer_of(known, "n"), 55);
    assert_int_equal(integer_of(known, "n_known"), 50);
    cJSON_ArrayForEach(row, known_of(spec, 0)) {
        assert_int_equal(find_points(known, cJSON_GetObjectItem(row, "arch")->valuestring, &point),
                         1);
        assert_true(cJSON_IsTrue(cJSON_GetObjectItem(point, "known")));
        assert_int_equal(integer_of(point, "session"), -1);
    }
    assert_true(cJSON_GetObjectItem(known, "interval")->valuedouble <
                cJSON_GetObjectItem(first, "interval")->valuedouble);
    double with = error_of_first_predictions(&begun), without = error_of_first_predictions(&alone);
    print_message("errors of the first predictions: %.4f, without them %.4f\n", with, without);
    assert_true(with < without);
    const cJSON *last = last_data(&begun, "calibration");
    int left = 0; /* those that it has not measured itself meanwhile */
    cJSON_ArrayForEach(row, known_of(spec, 0)) {
        assert_int_equal(find_points(last, cJSON_GetObjectItem(row, "arch")->valuestring, &point),
                         1);
        left += cJSON_IsTrue(cJSON_GetObjectItem(point, "known"));
    }
    assert_int_equal(integer_of(last, "n_known"), left);
    assert_in_range(left, 40, 50);
    forget_events(&alone);
    forget_events(&begun);
    cJSON_Delete(spec);
    close_world(&world);
}

/* What the search measures itself counts, and what was measured before makes no candidate a
 * measured one. */
static void a_network_that_is_measured_again_is_one(void **state) {
    static const char body[] = "{" OBJECTIVES ",\"evaluations\":24,\"population\":8,"
                               "\"accuracy\":\"evaluated\",\"measure_front\":6,"
                               "\"calibration_nets\":5,\"calibration_choice\":\"spread\","
                               "\"seed\":4}";
    struct world world;
    const cJSON *item, *row, *point = NULL;
    int own = 0;
    open_world(&world);
    struct daemon before = {.world = &world, .has_board = true, .once_only = true}, daemon = before;
    cJSON *spec = spec_of(&world, body);
    run(&before, spec);
    forget_job(&world);
    for (int i = 0; i < before.n; i++)
        if (strcmp(kind_of(before.events[i]), "measure_request") == 0)
            cJSON_ArrayForEach(item,
                               cJSON_GetObjectItem(cJSON_GetObjectItem(before.events[i], "data"),
                                                   "items")) if (!json_has(item, "take"))
                know(spec, 0, cJSON_GetObjectItem(item, "arch")->valuestring, 7);
    int known = cJSON_GetArraySize(known_of(spec, 0));
    run(&daemon, spec);
    const cJSON *first = first_data(&daemon, "calibration");
    assert_int_equal(integer_of(first, "n"), known);
    assert_int_equal(integer_of(first, "n_known"), known - 5);
    cJSON_ArrayForEach(row, known_of(spec, 0)) {
        const char *arch = cJSON_GetObjectItem(row, "arch")->valuestring;
        assert_int_equal(find_points(first, arch, &point), 1);
        bool is_known = cJSON_IsTrue(cJSON_GetObjectItem(point, "known"));
        double us = cJSON_GetObjectItem(point, "measured_us")->valuedouble;
        assert_true(fabs(us - (is_known ? 7 : board_us(&daemon, arch))) < 1e-6 * us);
        own += !is_known;
    }
    assert_int_equal(own, 5);
    assert_not_measured(&daemon);
    forget_events(&before);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* Those to calibrate on are others, on which more is learnt. */
static void networks_are_chosen_beside_them(void **state) {
    struct world world;
    const cJSON *item, *row;
    open_world(&world);
    struct daemon before = {.world = &world, .has_board = true}, daemon = before;
    cJSON *spec = spec_of(&world, evaluated_body);
    run(&before, spec);
    forget_job(&world);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(first_data(&before, "measure_request"), "items")) {
        const char *arch = cJSON_GetObjectItem(item, "arch")->valuestring;
        know(spec, 0, arch, board_us(&before, arch));
    }
    run(&daemon, spec);
    const cJSON *asked = cJSON_GetObjectItem(first_data(&daemon, "measure_request"), "items");
    assert_int_equal(cJSON_GetArraySize(asked), 5);
    cJSON_ArrayForEach(item, asked) cJSON_ArrayForEach(row, known_of(spec, 0))
        assert_string_not_equal(cJSON_GetObjectItem(item, "arch")->valuestring,
                                cJSON_GetObjectItem(row, "arch")->valuestring);
    assert_int_equal(integer_of(first_data(&daemon, "calibration"), "n"), 10);
    forget_events(&before);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

/* Later attempts are given other ones, which change nothing. */
static void an_interrupted_search_goes_on_with_those_it_began_with(void **state) {
    struct world world;
    open_world(&world);
    struct daemon whole = {.world = &world, .has_board = true, .scattered = 0.06}, parts = whole;
    cJSON *spec = spec_of(&world, evaluated_body), *later = spec_of(&world, evaluated_body);
    know_random(spec, &whole, 20);
    know_random(later, &whole, 90);
    run(&whole, spec);
    assert_int_equal(integer_of(first_data(&whole, "calibration"), "n_known"), 20);
    forget_job(&world);
    parts.stop_after = 4;
    assert_int_equal(attempt(&parts, spec, 1), JOB_STOPPED);
    assert_true(attempt_in_parts(&parts, later, 1, 99) > 2);
    assert_same_events(&whole, &parts);
    forget_events(&whole);
    forget_events(&parts);
    cJSON_Delete(spec);
    cJSON_Delete(later);
    close_world(&world);
}

static void without_a_board_they_are_what_is_calibrated_on(void **state) {
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world};
    cJSON *spec = spec_of(&world, evaluated_body);
    know_random(spec, &daemon, 12);
    run(&daemon, spec);
    assert_int_equal(integer_of(first_data(&daemon, "calibration"), "n"), 12);
    assert_int_equal(integer_of(first_data(&daemon, "calibration"), "n_known"), 12);
    assert_true(error_of_first_predictions(&daemon) < 0.02);
    assert_not_measured(&daemon);
    forget_events(&daemon);
    cJSON_Delete(spec);
    close_world(&world);
}

static const char brief_body[] =
    "{" OBJECTIVES ",\"evaluations\":8,\"population\":8,\"accuracy\":\"evaluated\","
    "\"measure_front\":0,\"calibration_nets\":5,\"seed\":4}";

/* One that the search came with: the sum itself, on so many networks. */
static void calibrate_by(cJSON *spec, int networks) {
    struct calibration calibration = calibration_none;
    cJSON *row = cJSON_GetArrayItem(cJSON_GetObjectItem(spec, "profiles"), 0);
    calibration.kind = CALIBRATION_IDENTITY;
    calibration.version = 3;
    calibration.n = calibration.spread_n = networks;
    calibration.residual_sd = 0.1;
    cJSON_DeleteItemFromObject(row, "calibration");
    cJSON_AddItemToObject(row, "calibration", calibration_to_json(&calibration));
}

/* What is said of a calibration that stayed; NULL: nothing. */
static const char *note_of(const struct daemon *daemon) {
    const cJSON *result = cJSON_GetObjectItem(last_data(daemon, "done"), "result");
    const cJSON *notes = cJSON_GetObjectItem(result, "notes");
    assert_true(cJSON_IsArray(notes) && cJSON_GetArraySize(notes) <= 1);
    return cJSON_GetStringValue(cJSON_GetArrayItem(notes, 0));
}

/* As many as there are at most speak against any calibration that the search came with; fewer only
 * against one on fewer. */
static void they_are_bounded(void **state) {
    enum { MOST = 128 };
    struct world world;
    open_world(&world);
    struct daemon daemon = {.world = &world, .has_board = true};
    cJSON *spec = spec_of(&world, brief_body);
    calibrate_by(spec, 500);
    know_random(spec, &daemon, MOST);
    run(&daemon, spec);
    const cJSON *first = first_data(&daemon, "calibration");
    assert_int_equal(integer_of(first, "n"), MOST);
    assert_int_equal(integer_of(first, "n_known"), MOST - 5);
    assert_int_equal(integer_of(first, "version"), 4);
    assert_null(note_of(&daemon));
    forget_events(&daemon);
    forget_job(&world);
    while (cJSON_GetArraySize(known_of(spec, 0)) > 30)
        cJSON_DeleteItemFromArray(known_of(spec, 0), 30);
    daemon = (struct daemon){.world = &world, .has_board = true};
    run(&daemon, spec);
    assert_int_equal(count(&daemon, "calibration"), 0);
    assert_non_null(note_of(&daemon));
    assert_non_null(strstr(note_of(&daemon),
                           "the search began with, version 3 on 500 networks: one "
                           "of its own would rest on 35"));
    forget_events(&daemon);
    know_random(spec, &daemon, MOST + 1);
    assert_fails(&world, spec, "invalid_value", "/profiles/0/known_networks");
    close_world(&world);
}

static void one_that_is_none_of_the_space_is_refused(void **state) {
    struct world world;
    open_world(&world);
    cJSON *spec = spec_of(&world, evaluated_body);
    know(spec, 0, "r12 | d1 c8 k9e1", 100);
    assert_fails(&world, spec, "invalid_value", "/profiles/0/known_networks/0/arch");
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_take_part_from_the_first_calibration_on),
        cmocka_unit_test(a_network_that_is_measured_again_is_one),
        cmocka_unit_test(networks_are_chosen_beside_them),
        cmocka_unit_test(an_interrupted_search_goes_on_with_those_it_began_with),
        cmocka_unit_test(without_a_board_they_are_what_is_calibrated_on),
        cmocka_unit_test(they_are_bounded),
        cmocka_unit_test(one_that_is_none_of_the_space_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
