#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "latency/ofa_table.h"
#include "latency/predictor.h"

static char path[] = "/tmp/espalier-ofa-table-XXXXXX";

static int make_file(void **state) {
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    return unlink(path);
}

/* As once-for-all's spaces, cut down to one stage. */
static struct space *small_space(void) {
    static const char text[] =
        "{\"name\":\"small\",\"input_channels\":3,\"n_classes\":1000,\"resolutions\":[160,176],"
        "\"stem\":{\"channels\":24,\"kernel_size\":3,\"stride\":2,\"act\":\"h_swish\"},\"stages\":["
        "{\"depths\":[1,2],\"channels\":[32],\"kernel_sizes\":[3,5],\"expand_ratios\":[3],"
        "\"stride\":2,\"act\":\"relu\",\"se\":true}],"
        "\"head\":{\"expand_channels\":1152,\"mix_channels\":1536,\"act\":\"h_swish\"}}";
    struct space *space;
    struct err err = {0};
    if (space_parse(text, strlen(text), &err, &space) < 0)
        fail_msg("%s", err.message);
    return space;
}

#define ROW(key, mean, std) key ":\n  count: 400\n  mean: " mean "\n  std: " std "\n"
#define BLOCK(size, kernel, stride, skip)                                                          \
    "expanded_conv-input:" size "-kernel:" kernel "-stride:" stride "-idskip:" skip "-se:1-hs:0"
static const char whole[] = ROW("Conv-input:160x160x3-output:80x80x24", "0.5", "0.01") ROW(
    BLOCK("80x80x24-output:40x40x32-expand:72", "3", "2", "0"), "0.2",
    "0.02") ROW(BLOCK("80x80x24-output:40x40x32-expand:72", "5", "2", "0"), "0.4",
                "0.02") ROW(BLOCK("40x40x32-output:40x40x32-expand:96", "3", "1", "1"), "0.1",
                            "0") ROW(BLOCK("40x40x32-output:40x40x32-expand:96", "5", "1", "1"),
                                     "0.3",
                                     "0") ROW("Conv_1-input:40x40x32-output:40x40x1152", "1", "0.1")
    ROW("AvgPool2D-input:40x40x1152-output:1x1x1152", "0.01", "0.003") ROW(
        "Conv_2-input:1x1x1152-output:1x1x1536", "0.7",
        "0.004") "Logits-input:1x1x1536-output:1000:\n  count: 100\n  mean: 0.6\n  var: 0.000144\n";

static int read_text(const char *text, struct err *err, struct ofa_table_report *report,
                     struct latency_table **table) {
    struct space *space = small_space();
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
    int code = ofa_table_read(path, space, err, report, table);
    space_destroy(space);
    return code;
}

static double predicted_of(const struct space *space, const struct latency_table *table,
                           const char *text) {
    struct arch arch;
    struct graph *graph;
    struct latency_prediction prediction;
    assert_int_equal(arch_parse(space, text, strlen(text), NULL, &arch), 0);
    assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
    assert_int_equal(
        latency_predict(table, &calibration_none, graph, NULL, &prediction, NULL, NULL), 0);
    assert_int_equal(prediction.state, LATENCY_COVERED);
    free(graph);
    return prediction.us;
}

static double predicted(const struct latency_table *table, const char *text) {
    struct space *space = small_space();
    double us = predicted_of(space, table, text);
    space_destroy(space);
    return us;
}

static void networks_are_sums_of_keys(void **state) {
    struct ofa_table_report report;
    struct latency_table *table;
    assert_int_equal(read_text(whole, NULL, &report, &table), 0);
    assert_int_equal(report.resolution, 160);
    assert_int_equal(report.keys, 9);
    assert_int_equal(report.entries, 7);
    assert_int_equal(report.missing, 0);
    assert_true(fabs(predicted(table, "r160 | d1 c32 k3e3") - 3010) < 1e-9);
    assert_true(fabs(predicted(table, "r160 | d2 c32 k5e3 k5e3") - 3510) < 1e-9);
    latency_table_destroy(table);
}

static void spreads_add_up_as_variances(void **state) {
    struct ofa_table_report report;
    struct latency_table *table;
    assert_int_equal(read_text(whole, NULL, &report, &table), 0);
    const struct latency_entry *tail = NULL;
    for (int i = 0; i < table->n; i++)
        if (strncmp(table->entries[i].signature, "head_tail", 9) == 0)
            tail = &table->entries[i];
    assert_non_null(tail);
    assert_true(fabs(tail->sd_us - 13) < 1e-9);
    assert_int_equal(tail->n, 100);
    double half = 1.959964 * sqrt((9.0 + 16) / 400 + 144.0 / 100);
    assert_true(fabs(tail->high_us - tail->median_us - half) < 1e-4);
    assert_true(fabs(tail->median_us - tail->low_us - half) < 1e-4);
    latency_table_destroy(table);
}

static void what_the_file_lacks_is_told(void **state) {
    struct ofa_table_report report;
    struct latency_table *table;
    char text[sizeof whole];
    snprintf(text, sizeof text, "%s", whole);
    memcpy(strstr(text, "kernel:5-stride:1"), "kernel:7", 8);
    assert_int_equal(read_text(text, NULL, &report, &table), 0);
    assert_int_equal(report.missing, 1);
    assert_string_equal(report.first_missing,
                        "expanded_conv-input:40x40x32-output:40x40x32-expand:96-kernel:5-stride:1-"
                        "idskip:1-se:1-hs:0");
    assert_int_equal(table->n, 6);
    latency_table_destroy(table);
}

static void keys_by_ratio_are_known_too(void **state) {
    struct ofa_table_report report;
    struct latency_table *table;
    assert_int_equal(
        read_text(ROW("Conv-input:160x160x3-output:80x80x24", "0.5", "0.01")
                      ROW("expanded_conv-input:80x80x24-output:40x40x32-expand:3-kernel:3-stride:2-"
                          "idskip:0",
                          "0.25", "0"),
                  NULL, &report, &table),
        0);
    assert_int_equal(report.entries, 2);
    latency_table_destroy(table);
}

/* Of ProxylessNAS's tables nothing but "Logits" comes after Conv_1, by the size that goes into it.
 */
static void proxyless_tables_predict_networks(void **state) {
    static const char description[] =
        "{\"name\":\"proxyless\",\"input_channels\":3,\"n_classes\":1000,\"resolutions\":[160],"
        "\"stem\":{\"channels\":32,\"kernel_size\":3,\"stride\":2,\"act\":\"relu6\"},\"stages\":["
        "{\"depths\":[1],\"channels\":[24],\"kernel_sizes\":[3],\"expand_ratios\":[3],"
        "\"stride\":2,\"act\":\"relu6\",\"se\":false}],"
        "\"head\":{\"expand_channels\":1280,\"mix_channels\":0,\"act\":\"relu6\"}}";
    static const char text[] = ROW("Conv-input:160x160x3-output:80x80x32", "0.5", "0.01")
        ROW("expanded_conv-input:80x80x32-output:40x40x24-expand:3-kernel:3-stride:2-idskip:0",
            "0.25", "0") ROW("Conv_1-input:40x40x24-output:40x40x1280", "1", "0.1")
            ROW("Logits-input:40x40x1280-output:1000", "0.6", "0.01");
    struct space *space;
    struct ofa_table_report report;
    struct latency_table *table;
    assert_int_equal(space_parse(description, strlen(description), NULL, &space), 0);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
    assert_int_equal(ofa_table_read(path, space, NULL, &report, &table), 0);
    assert_int_equal(report.missing, 0);
    assert_int_equal(report.foreign, 0);
    assert_true(fabs(predicted_of(space, table, "r160 | d1 c24 k3e3") - 2350) < 1e-9);
    latency_table_destroy(table);
    space_destroy(space);
}

static void refused(const char *text, const char *message) {
    struct ofa_table_report report;
    struct latency_table *table;
    struct err err = {0};
    assert_true(read_text(text, &err, &report, &table) < 0);
    if (!strstr(err.message, message))
        fail_msg("%s", err.message);
}

static void refuses_what_is_no_such_table(void **state) {
    refused("", "an empty table");
    refused("- 1\n- 2\n", "line 1: not a table");
    refused("a: 1\n", "line 1: not a table");
    refused("a: {count: 1, mean: {x: 1}}\n", "not a table");
    refused("a: &x {count: 1, mean: 2}\nb: *x\n", "line 2: not a table");
    refused("a: {count: 1, mean: .nan}\n", "no positive number");
    refused("a: {count: 1, mean: -2}\n", "no positive number");
    refused("a: {count: 0, mean: 2}\n", "without a positive mean and count");
    refused("a: {count: 3}\n", "without a positive mean and count");
    refused("a: {count: 3, mean: 1}\na: {count: 3, mean: 1}\n", "was there before");
    refused("a: {count: 3, mean: 1, mean: 2}\n", "was there before");
    refused("a: {count: 3, mean: 1, std: 1, var: 1}\n", "was there before");
    refused("a: {count: 3, mean: 1, std: .nan}\n", "no positive number");
    refused("a: {count: 3, mean: 1, std: nan}\n", "no positive number");
    refused("a: {count: 3, mean: inf}\n", "no positive number");
    refused("a: {count: 3, mean: 0x10}\n", "no positive number");
    refused("a: {count: 0x3, mean: 1}\n", "no positive number");
    refused("a: {count: 3, mean: ''}\n", "no positive number");
    refused("a: {count: 3, mean: 1e999}\n", "no positive number");
    refused("a: {count: 3, mean: 1, mean: 2", "was there before");
    refused(ROW("Conv-input:160x160x3-output:80x80x24", "0.5", "0.01") ROW("x", "0.5", "0.01")
                ROW("x", "0.5", "0.01"),
            "key \"x\", which was there before"); /* also of one that no unit has */
    refused("a: [\n", "not a table");
    refused("a: {count: 3, mean: 1}}\n", "line 1");
    refused(ROW("Conv-input:192x192x3-output:96x96x24", "0.5", "0.01"), "inputs of 192 pixels");
    refused(ROW("Conv-input:160x160x3-output:80x80x16", "0.5", "0.01"), "knows no unit");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(networks_are_sums_of_keys),
                                       cmocka_unit_test(spreads_add_up_as_variances),
                                       cmocka_unit_test(what_the_file_lacks_is_told),
                                       cmocka_unit_test(keys_by_ratio_are_known_too),
                                       cmocka_unit_test(proxyless_tables_predict_networks),
                                       cmocka_unit_test(refuses_what_is_no_such_table)};
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
