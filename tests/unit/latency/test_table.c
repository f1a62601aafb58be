#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "latency/table.h"

static struct latency_entry entry_of(const char *signature, double median_us) {
    struct latency_entry e = {.median_us = median_us,
                              .low_us = 0.9 * median_us,
                              .high_us = 1.2 * median_us,
                              .sd_us = 0.05 * median_us,
                              .n = 30,
                              .method = 2};
    snprintf(e.signature, sizeof e.signature, "%s", signature);
    return e;
}

static struct latency_table *new_table(void) {
    struct latency_table *table;
    assert_int_equal(latency_table_create("rev-1", NULL, &table), 0);
    return table;
}

static void puts_finds_and_replaces(void **state) {
    struct latency_table *table = new_table();
    for (int i = 0; i < 500; i++) {
        char signature[32];
        snprintf(signature, sizeof signature, "block %d", i);
        struct latency_entry e = entry_of(signature, 1 + i);
        assert_int_equal(latency_table_put(table, &e, NULL), 0);
    }
    assert_int_equal(table->n, 500);
    assert_true(latency_table_find(table, "block 499")->median_us == 500);
    assert_null(latency_table_find(table, "block 500"));
    struct latency_entry better = entry_of("block 7", 77);
    better.method = 3;
    assert_int_equal(latency_table_put(table, &better, NULL), 0);
    assert_int_equal(table->n, 500);
    assert_true(latency_table_find(table, "block 7")->median_us == 77);
    assert_int_equal(latency_table_find(table, "block 7")->method, 3);
    latency_table_destroy(table);
}

static void assert_refused(struct latency_entry e, const char *pointer) {
    struct latency_table *table = new_table();
    struct err err = {0};
    assert_int_equal(latency_table_put(table, &e, &err), ESP_EINVAL);
    assert_string_equal(err.pointer, pointer);
    assert_int_equal(table->n, 0);
    latency_table_destroy(table);
}

static void refuses_what_cannot_be_a_latency(void **state) {
    struct latency_entry e = entry_of("a", 10);
    e.median_us = NAN;
    assert_refused(e, "/median_us");
    e.median_us = 0;
    assert_refused(e, "/median_us");
    e = entry_of("a", 10);
    e.low_us = 11;
    assert_refused(e, "/low_us");
    e = entry_of("a", 10);
    e.high_us = INFINITY;
    assert_refused(e, "/high_us");
    e = entry_of("a", 10);
    e.sd_us = -1;
    assert_refused(e, "/sd_us");
    e = entry_of("a", 10);
    e.n = 0;
    assert_refused(e, "/n");
    assert_refused(entry_of("", 10), "/signature");
    struct latency_table *table = NULL;
    assert_int_equal(latency_table_create("", NULL, &table), ESP_EINVAL);
    assert_null(table);
}

static void counts_what_a_space_needs_and_lacks(void **state) {
    struct unit_entry entries[3] = {{.signature = "a"}, {.signature = "b"}, {.signature = "c"}};
    struct unit_list units = {.n = 3, .entries = entries};
    struct latency_table *table = new_table();
    struct latency_entry e = entry_of("b", 5);
    assert_int_equal(latency_table_put(table, &e, NULL), 0);
    int missing[3] = {-1, -1, -1};
    assert_int_equal(latency_table_missing(table, &units, missing), 2);
    assert_int_equal(missing[0], 0);
    assert_int_equal(missing[1], 2);
    assert_int_equal(latency_table_missing(table, &units, NULL), 2);
    latency_table_destroy(table);
}

static void survives_json(void **state) {
    struct latency_table *table = new_table(), *copy;
    struct latency_entry a = entry_of("a \"quoted\"", 1.0 / 3), b = entry_of("b", 1234.5678);
    assert_int_equal(latency_table_put(table, &a, NULL), 0);
    assert_int_equal(latency_table_put(table, &b, NULL), 0);
    cJSON *doc = latency_table_to_json(table);
    char *text = json_print(doc);
    cJSON *read = NULL;
    assert_int_equal(json_parse(text, strlen(text), &json_limits_default, NULL, &read), 0);
    assert_int_equal(latency_table_from_json(read, "", NULL, &copy), 0);
    assert_string_equal(copy->profile_revision, "rev-1");
    assert_int_equal(copy->n, 2);
    for (int i = 0; i < 2; i++) {
        const struct latency_entry *x = &table->entries[i], *y = &copy->entries[i];
        assert_string_equal(x->signature, y->signature);
        assert_true(x->median_us == y->median_us && x->low_us == y->low_us &&
                    x->high_us == y->high_us && x->sd_us == y->sd_us && x->n == y->n &&
                    x->method == y->method);
    }
    cJSON_Delete(doc);
    cJSON_Delete(read);
    cJSON_free(text);
    latency_table_destroy(table);
    latency_table_destroy(copy);
}

static void assert_json_refused(const char *text, const char *pointer) {
    struct err err = {0};
    cJSON *doc = NULL;
    struct latency_table *table = NULL;
    assert_int_equal(json_parse(text, strlen(text), &json_limits_default, NULL, &doc), 0);
    assert_int_equal(latency_table_from_json(doc, "/table", &err, &table), ESP_EINVAL);
    assert_null(table);
    assert_string_equal(err.pointer, pointer);
    cJSON_Delete(doc);
}

#define ENTRY(signature, median)                                                                   \
    "{\"signature\":\"" signature "\",\"median_us\":" median                                       \
    ",\"low_us\":1,\"high_us\":9,\"sd_us\":1,\"n\":3,\"method\":1}"

static void points_at_bad_json(void **state) {
    assert_json_refused("{\"entries\":[]}", "/table/profile_revision");
    assert_json_refused("{\"profile_revision\":\"r\",\"entries\":[],\"x\":1}", "/table/x");
    assert_json_refused("{\"profile_revision\":\"r\",\"entries\":[" ENTRY("a", "2") ",{}]}",
                        "/table/entries/1/signature");
    assert_json_refused("{\"profile_revision\":\"r\",\"entries\":[" ENTRY("a", "20") "]}",
                        "/table/entries/0/high_us");
    assert_json_refused(
        "{\"profile_revision\":\"r\",\"entries\":[" ENTRY("a", "2") "," ENTRY("a", "3") "]}",
        "/table/entries/1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_finds_and_replaces),
        cmocka_unit_test(refuses_what_cannot_be_a_latency),
        cmocka_unit_test(counts_what_a_space_needs_and_lacks),
        cmocka_unit_test(survives_json),
        cmocka_unit_test(points_at_bad_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
