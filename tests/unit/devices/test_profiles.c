/* What a worker's options ask for, and what it then tells of its profiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/profiles.h"

static struct err err;

static int read_wishes(const char *a, const char *b, struct profile_wishes *wishes) {
    struct profile_options options = {.threads = "1", .backend = "native", .profiles = {.n = 0}};
    if (a)
        options.profiles.items[options.profiles.n++] = a;
    if (b)
        options.profiles.items[options.profiles.n++] = b;
    err = (struct err){0};
    return profile_wishes_read(&options, &err, wishes);
}

static void assert_wish(const struct profile_wish *wish, int threads, const char *cores,
                        const char *backend, const char *config) {
    assert_int_equal(wish->threads, threads);
    assert_string_equal(wish->cores_text, cores);
    assert_string_equal(wish->backend, backend);
    if (config)
        assert_string_equal(wish->backend_config, config);
    else
        assert_null(wish->backend_config);
}

static void without_words_there_is_one_for_each_number_of_threads(void **state) {
    struct profile_options options = {.threads = "1,2,4", .cores = "0-3"};
    struct profile_wishes wishes;

    assert_int_equal(profile_wishes_read(&options, &err, &wishes), 0);
    assert_int_equal(wishes.n, 3);
    assert_wish(&wishes.items[0], 1, "0-3", "native", NULL);
    assert_wish(&wishes.items[2], 4, "0-3", "native", NULL);
    assert_int_equal(wishes.items[2].n_cores, 4);
    profile_wishes_finish(&wishes);
}

static void words_stand_behind_each_other_and_in_several_texts(void **state) {
    struct profile_wishes wishes;

    assert_int_equal(
        read_wishes(" threads=2  cores=0,2-3 ;; backend=exec\tbackend-config=/opt/a=b.json;",
                    "threads=1,2 backend=sim backend-config=gmacs=5,gbps=4", &wishes),
        0);
    assert_int_equal(wishes.n, 4);
    assert_wish(&wishes.items[0], 2, "0,2-3", "native", NULL);
    assert_int_equal(wishes.items[0].n_cores, 3);
    assert_wish(&wishes.items[1], 1, "", "exec", "/opt/a=b.json");
    assert_wish(&wishes.items[2], 1, "", "sim", "gmacs=5,gbps=4");
    assert_wish(&wishes.items[3], 2, "", "sim", "gmacs=5,gbps=4");
    profile_wishes_finish(&wishes);
}

/* The options of the same names hold for what a profile leaves out; a configuration only for the
 * back end that it was said for. */
static void options_fill_what_is_left_out(void **state) {
    struct profile_options options = {
        .threads = "3",
        .cores = "1",
        .backend = "exec",
        .backend_config = "/opt/ort.json",
        .profiles = {.n = 3, .items = {"threads=2", "backend=native", "cores=0 backend=exec"}}};
    struct profile_wishes wishes;

    assert_int_equal(profile_wishes_read(&options, &err, &wishes), 0);
    assert_int_equal(wishes.n, 3);
    assert_wish(&wishes.items[0], 2, "1", "exec", "/opt/ort.json");
    assert_wish(&wishes.items[1], 3, "1", "native", NULL);
    assert_wish(&wishes.items[2], 3, "0", "exec", "/opt/ort.json");
    profile_wishes_finish(&wishes);
}

static void what_makes_no_sense_is_named(void **state) {
    static const char *const wrong[] = {
        "threads=0",   "threads=257", "threads=1,", "threads=,1",
        "threads=one", "threads",     "threads=1x", "cores=",
        "cores=3-1",   "speed=1",     "=1",         "threads=-1",
        "cores=a",     "threads=1 2", "thread=1",   "threads=1 threads=2"};
    struct profile_wishes wishes;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        assert_int_equal(read_wishes(wrong[i], NULL, &wishes), ESP_EINVAL);
        assert_true(err.message[0]);
        profile_wishes_finish(&wishes);
    }
    assert_int_equal(
        read_wishes("threads=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "threads=17", &wishes),
        ESP_EINVAL);
    assert_non_null(strstr(err.message, "at most 16"));
    profile_wishes_finish(&wishes);
}

static int open_profiles(const char *text, struct worker_profiles *profiles) {
    struct profile_options options = {
        .threads = "1", .backend = "native", .profiles = {.n = 1, .items = {text}}};
    err = (struct err){0};
    return worker_profiles_open(&options, "/tmp/never-made", 0, &err, profiles);
}

static const char *fingerprint(const cJSON *doc) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "fingerprint"));
}

/* What differs in speed has another key or another fingerprint. */
static void profiles_differ_in_what_they_tell(void **state) {
    struct worker_profiles profiles;
    cJSON *docs[3];

    assert_int_equal(open_profiles("threads=1,2; threads=1 cores=0", &profiles), 0);
    assert_int_equal(profiles.n, 3);
    for (int i = 0; i < 3; i++)
        docs[i] = worker_profile_describe(&profiles.items[i]);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(fingerprint(docs[i]), fingerprint(docs[k]));
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(docs[1], "threads")), 2);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(docs[2], "cores")), "0");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(docs[0], "runtime")), "native");
    strcpy(profiles.items[1].id, "pf_b");
    assert_ptr_equal(worker_profile_find(&profiles, "pf_b"), &profiles.items[1]);
    assert_null(worker_profile_find(&profiles, "pf_c"));
    for (int i = 0; i < 3; i++)
        cJSON_Delete(docs[i]);
    worker_profiles_close(&profiles);
}

/* The fingerprint of a profile does not change when others are offered beside it. */
static void neighbours_leave_a_profile_alone(void **state) {
    struct worker_profiles alone, beside;

    assert_int_equal(open_profiles("threads=2", &alone), 0);
    assert_int_equal(open_profiles("threads=1; threads=2", &beside), 0);
    cJSON *a = worker_profile_describe(&alone.items[0]),
          *b = worker_profile_describe(&beside.items[1]);
    assert_true(cJSON_Compare(a, b, true));
    cJSON_Delete(a);
    cJSON_Delete(b);
    worker_profiles_close(&alone);
    worker_profiles_close(&beside);
}

static void profiles_that_cannot_stand_together_are_refused(void **state) {
    static const struct {
        const char *text, *says;
    } rows[] = {{"threads=1; threads=1", "1 and 2 are the same"},
                {"backend=sim; threads=1,2", "simulated"},
                {"backend=sim backend-config=gmacs=5; backend=sim backend-config=gmacs=6",
                 "1 and 2 are the same"},
                {"threads=1; backend=tpu", "profile 2: there is no back end"},
                {"threads=1; backend=exec", "profile 2: the back end exec needs"}};
    struct worker_profiles profiles;

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(open_profiles(rows[i].text, &profiles), ESP_EINVAL);
        if (!strstr(err.message, rows[i].says))
            fail_msg("%s: %s", rows[i].text, err.message);
        worker_profiles_close(&profiles);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_words_there_is_one_for_each_number_of_threads),
        cmocka_unit_test(words_stand_behind_each_other_and_in_several_texts),
        cmocka_unit_test(options_fill_what_is_left_out),
        cmocka_unit_test(what_makes_no_sense_is_named),
        cmocka_unit_test(profiles_differ_in_what_they_tell),
        cmocka_unit_test(neighbours_leave_a_profile_alone),
        cmocka_unit_test(profiles_that_cannot_stand_together_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
