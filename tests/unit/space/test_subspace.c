#include "tests/unit/unit.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "space/space_internal.h"
#include "space/subspace.h"

static struct space *whole_space(const char *name) {
    struct space *space;
    assert_int_equal(space_builtin(name, NULL, &space), 0);
    return space;
}

static int create(const struct space *whole, const char *text, struct err *err,
                  struct space **ret_part) {
    cJSON *doc = cJSON_Parse(text);
    assert_non_null(doc);
    int code = subspace_create(whole, doc, "/subspace", err, ret_part);
    cJSON_Delete(doc);
    return code;
}

static struct space *part_of(const struct space *whole, const char *text) {
    struct err err = {0};
    struct space *part;
    if (create(whole, text, &err, &part) < 0)
        fail_msg("%s: %s", err.pointer, err.message);
    return part;
}

/* Sizes worked out by hand: a stage of b blocks has (kernels x ratios)^b forms. */
static void a_part_has_the_choices_that_were_kept(void **state) {
    struct space *whole = whole_space("ofa_mbv3"), *part;
    part = part_of(whole, "{\"resolutions\": [224], \"depths\": [2], \"kernel_sizes\": [3, 7], "
                          "\"expand_ratios\": [6]}");
    assert_true(space_cardinality(part) == 1024); /* (2^2)^5 */
    assert_int_equal(part->n_resolutions, 1);
    assert_string_not_equal(part->fingerprint, whole->fingerprint);
    assert_int_equal(part->stages[0].n_expand_ratios, 1); /* it has no choice */
    assert_true(part->stages[0].expand_ratios[0] == 1);
    space_destroy(part);
    char text[400];
    snprintf(text, sizeof text,
             "{\"resolutions\": [128], \"depths\": [2], \"kernel_sizes\": [3], \"expand_ratios\": "
             "[3], \"stages\": {\"%s\": {\"depths\": [2, 4], \"kernel_sizes\": [5, 7]}, \"%s\": "
             "{}}}",
             whole->stages[2].name, whole->stages[3].name);
    part = part_of(whole, text);
    assert_true(space_cardinality(part) == 4 + 16); /* depths 2 and 4 of one stage, two kernels */
    space_destroy(part);
    part = part_of(whole, "{}");
    assert_string_equal(part->fingerprint, whole->fingerprint);
    space_destroy(part);
    space_destroy(whole);
}

static void archs_are_the_same_network_in_the_whole(void **state) {
    static const char *const spaces[] = {"ofa_mbv3", "ofa_mbv3", "resnet_50_elastic"};
    static const char *const texts[] = {
        "{\"depths\": [2, 3], \"kernel_sizes\": [5, 7], \"expand_ratios\": [4, 6]}",
        "{\"resolutions\": [160, 224], \"expand_ratios\": [3, 6]}", "{}"};
    for (int i = 0; i < 3; i++) {
        struct space *whole = whole_space(spaces[i]), *part = part_of(whole, texts[i]);
        for (uint32_t k = 0; k < 200; k++) {
            struct rng rng = rng_make(5, RNG_TEST, (uint32_t)i, k);
            struct arch arch, lifted;
            char a[ARCH_TEXT_MAX], b[ARCH_TEXT_MAX];
            arch_random(part, &rng, &arch);
            subspace_lift(part, whole, &arch, &lifted);
            assert_true(arch_valid(whole, &lifted));
            arch_format(part, &arch, a);
            arch_format(whole, &lifted, b);
            assert_string_equal(a, b);
        }
        space_destroy(part);
        space_destroy(whole);
    }
}

static void what_makes_no_part_is_refused(void **state) {
    static const struct {
        const char *text, *pointer;
    } rows[] = {
        {"[]", "/subspace"},
        {"{\"depth\": [2]}", "/subspace/depth"},
        {"{\"depths\": []}", "/subspace/depths"},
        {"{\"depths\": 2}", "/subspace/depths"},
        {"{\"depths\": [2, 5]}", "/subspace/depths/1"},
        {"{\"depths\": [1]}", "/subspace/depths/0"}, /* of a stage without a choice only */
        {"{\"kernel_sizes\": [3, 5, 3]}", "/subspace/kernel_sizes/2"},
        {"{\"kernel_sizes\": [\"3\"]}", "/subspace/kernel_sizes/0"},
        {"{\"expand_ratios\": [3.5]}", "/subspace/expand_ratios/0"},
        {"{\"resolutions\": [224, 230]}", "/subspace/resolutions/1"},
        {"{\"channels\": [24]}", "/subspace/channels/0"},
        {"{\"stages\": {\"nowhere\": {}}}", "/subspace/stages/nowhere"},
        {"{\"stages\": {\"stage2\": 3}}", "/subspace/stages/stage2"},
        {"{\"stages\": {\"stage2\": {\"resolutions\": [224]}}}",
         "/subspace/stages/stage2/resolutions"},
        {"{\"stages\": {\"stage2\": {\"depths\": [2, 6]}}}", "/subspace/stages/stage2/depths/1"},
    };
    struct space *whole = whole_space("ofa_mbv3"), *part;
    for (int s = 0; s < whole->n_stages; s++)
        snprintf(whole->stages[s].name, sizeof whole->stages[s].name, "stage%d", s + 1);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {0};
        if (create(whole, rows[i].text, &err, &part) != ESP_EINVAL)
            fail_msg("%s is not refused", rows[i].text);
        assert_string_equal(err.pointer, rows[i].pointer);
    }
    space_destroy(whole);
}

/* A list about all stages leaves one of them without anything. */
static void no_stage_is_left_without_choices(void **state) {
    struct space *whole = whole_space("resnet_50_elastic"), *part;
    struct err err = {0};
    char text[64];
    snprintf(text, sizeof text, "{\"channels\": [%d]}", whole->stages[1].channels.value[0]);
    assert_true(whole->stages[1].channels.n > 1);
    assert_int_equal(create(whole, text, &err, &part), ESP_EINVAL);
    assert_string_equal(err.pointer, "/subspace/channels");
    space_destroy(whole);
}

/* What a job is told is checked before any arch of it is lifted. */
static void a_part_is_known_as_one(void **state) {
    static const char *const kept[] = {"{}", "{\"kernel_sizes\": [3]}",
                                       "{\"resolutions\": [28], \"depths\": [2]}"};
    static const char *const strangers[] = {"peer_28", "cifar_32", "ofa_mbv3"};
    struct space *whole = NULL, *other = NULL, *part = NULL;
    struct err err = {0};
    assert_int_equal(space_builtin("fashion_small", NULL, &whole), 0);
    for (int i = 0; i < 3; i++) {
        cJSON *doc = cJSON_Parse(kept[i]);
        assert_int_equal(subspace_create(whole, doc, "", NULL, &part), 0);
        assert_int_equal(subspace_check(whole, part, "/space", &err), 0);
        if (i > 0) { /* the other way round it has too much */
            assert_int_equal(subspace_check(part, whole, "/space", &err), ESP_EINVAL);
            assert_memory_equal(err.pointer, "/space/", 7);
        }
        part->stages[0].stride = 3 - part->stages[0].stride;
        assert_int_equal(space_finish(part, NULL), 0);
        assert_int_equal(subspace_check(whole, part, "/space", &err), ESP_EINVAL);
        assert_string_equal(err.pointer, "/space");
        space_destroy(part);
        cJSON_Delete(doc);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(space_builtin(strangers[i], NULL, &other), 0);
        assert_int_equal(subspace_check(whole, other, "/space", &err), ESP_EINVAL);
        assert_memory_equal(err.pointer, "/space", 6);
        space_destroy(other);
    }
    space_destroy(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_part_has_the_choices_that_were_kept),
                                       cmocka_unit_test(archs_are_the_same_network_in_the_whole),
                                       cmocka_unit_test(what_makes_no_part_is_refused),
                                       cmocka_unit_test(a_part_is_known_as_one),
                                       cmocka_unit_test(no_stage_is_left_without_choices)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
