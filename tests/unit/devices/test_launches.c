/* Two launches of one measurement become one result. Expected values are worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/launches.h"

static cJSON *parse(const char *text) {
    cJSON *doc = cJSON_Parse(text);
    assert_non_null(doc);
    return doc;
}

static double number(const cJSON *doc, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(doc, key));
}

#define LAUNCH(median, low, high, n, sd, rest)                                                     \
    "{\"median_us\":" #median ",\"low_us\":" #low ",\"high_us\":" #high ",\"mean_us\":" #median    \
    ",\"sd_us\":" #sd ",\"p90_us\":" #high ",\"min_us\":" #low ",\"first_us\":9,\"n\":" #n         \
    ",\"batches\":6,\"runs_per_sample\":1,\"output_error\":0.001," rest "}"
#define QUIET                                                                                      \
    "\"taken_again\":0,\"reference\":{\"before_us\":100,\"after_us\":101,\"spread\":0.02},"        \
    "\"bimodal\":false,\"noisy\":false,\"flags\":[],\"stop\":\"target\",\"energy_uj\":4,"          \
    "\"samples_us\":[10,12]"
#define TROUBLED                                                                                   \
    "\"taken_again\":3,\"reference\":{\"before_us\":100,\"after_us\":90,\"spread\":0.2},"          \
    "\"bimodal\":true,\"noisy\":true,\"flags\":[\"throttled\",\"bimodal\"],\"stop\":\"cap\","      \
    "\"energy_uj\":6,\"samples_us\":[20,22,24]"

static void statistics_cover_both(void **state) {
    cJSON *doc = parse(LAUNCH(10, 9, 11, 2, 1, QUIET));
    cJSON *later = parse(LAUNCH(20, 19, 23, 3, 2, QUIET));

    launches_merge(doc, later);
    assert_true(number(doc, "median_us") == 15 && number(doc, "mean_us") == 16);
    assert_true(number(doc, "low_us") == 9 && number(doc, "high_us") == 23);
    assert_true(number(doc, "min_us") == 9 && number(doc, "p90_us") == 23);
    assert_true(number(doc, "n") == 5 && number(doc, "batches") == 12);
    /* (2 * 1 + 3 * 4) / 5 within, and (10 / 2)^2 between */
    assert_true(fabs(number(doc, "sd_us") - sqrt(2.8 + 25)) < 1e-12);
    assert_true(number(doc, "energy_uj") == 4);
    cJSON_Delete(doc);
    cJSON_Delete(later);
}

static void raw_samples_are_kept_in_order(void **state) {
    static const double all[] = {10, 12, 20, 22, 24};
    cJSON *doc = parse(LAUNCH(10, 9, 11, 2, 1, QUIET));
    cJSON *later = parse(LAUNCH(20, 19, 23, 3, 2, TROUBLED));

    launches_merge(doc, later);
    const cJSON *samples = cJSON_GetObjectItemCaseSensitive(doc, "samples_us");
    assert_int_equal(cJSON_GetArraySize(samples), 5);
    for (int i = 0; i < 5; i++)
        assert_true(cJSON_GetArrayItem(samples, i)->valuedouble == all[i]);
    cJSON_Delete(doc);
    cJSON_Delete(later);
}

static void assert_troubled(const cJSON *doc) {
    const cJSON *flags = cJSON_GetObjectItemCaseSensitive(doc, "flags");
    const cJSON *reference = cJSON_GetObjectItemCaseSensitive(doc, "reference");

    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(doc, "bimodal")));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(doc, "noisy")));
    assert_int_equal(cJSON_GetArraySize(flags), 2);
    assert_string_equal(cJSON_GetArrayItem(flags, 0)->valuestring, "throttled");
    assert_string_equal(cJSON_GetArrayItem(flags, 1)->valuestring, "bimodal");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "stop")), "cap");
    assert_true(number(reference, "before_us") == 100 && number(reference, "after_us") == 90);
    assert_true(number(reference, "spread") == 0.2);
    assert_true(number(doc, "energy_uj") == 5);
}

/* Whichever launch the trouble was in. */
static void trouble_of_one_is_trouble_of_both(void **state) {
    for (int first = 0; first < 2; first++) {
        cJSON *quiet = parse(LAUNCH(10, 9, 11, 2, 1, QUIET));
        cJSON *troubled = parse(LAUNCH(20, 19, 23, 3, 2, TROUBLED));
        cJSON *doc = first ? troubled : quiet, *later = first ? quiet : troubled;
        launches_merge(doc, later);
        assert_troubled(doc);
        assert_true(number(doc, "taken_again") == 3);
        cJSON_Delete(quiet);
        cJSON_Delete(troubled);
    }
}

static void trouble_of_both_is_told_once(void **state) {
    cJSON *doc = parse(LAUNCH(20, 19, 23, 3, 2, TROUBLED));
    cJSON *later = parse(LAUNCH(20, 19, 23, 3, 2, TROUBLED));

    launches_merge(doc, later);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(doc, "flags")), 2);
    assert_true(number(doc, "taken_again") == 6);
    cJSON_Delete(doc);
    cJSON_Delete(later);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_cover_both),
        cmocka_unit_test(raw_samples_are_kept_in_order),
        cmocka_unit_test(trouble_of_one_is_trouble_of_both),
        cmocka_unit_test(trouble_of_both_is_told_once),
    };
    return cmocka_run_group_tests_name("devices-launches", tests, NULL, NULL);
}
