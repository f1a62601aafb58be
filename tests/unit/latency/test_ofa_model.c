/* Folders of once-for-all's tables, and how they are kept. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "latency/ofa_model.h"

static char folder[] = "/tmp/espalier-ofa-model-XXXXXX";
static struct space *space;

static const char *const names[] = {"b.yaml", "a.yml", ".hidden.yaml", "notes.txt", "c.yaml"};

static const char *path_of(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void clear(void) {
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
}

static int begin(void **state) {
    static const char text[] =
        "{\"name\":\"small\",\"input_channels\":3,\"n_classes\":10,\"resolutions\":[24,32],"
        "\"stem\":{\"channels\":16,\"kernel_size\":3,\"stride\":2,\"act\":\"h_swish\"},\"stages\":["
        "{\"depths\":[1,2],\"channels\":[24],\"kernel_sizes\":[3,5],\"expand_ratios\":[3],"
        "\"stride\":2,\"act\":\"relu\",\"se\":false}],\"head\":{\"expand_channels\":0,\"mix_"
        "channels\":0,"
        "\"act\":\"relu\"}}";
    return mkdtemp(folder) && space_parse(text, strlen(text), NULL, &space) == 0 ? 0 : -1;
}

static int end(void **state) {
    clear();
    space_destroy(space);
    return rmdir(folder);
}

/* A table for one resolution: every key takes ms, but for the stem, which takes 1. */
static void put_table(const char *name, int resolution, double ms, const char *more) {
    char text[4096], mid[128];
    int half = resolution / 2, quarter = resolution / 4, n;
    n = snprintf(text, sizeof text, "Conv-input:%dx%dx3-output:%dx%dx16: {count: 9, mean: 1}\n",
                 resolution, resolution, half, half);
    for (int kernel = 3; kernel <= 5; kernel += 2) {
        snprintf(mid, sizeof mid, "kernel:%d", kernel);
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "expanded_conv-input:%dx%dx16-output:%dx%dx24-expand:48-%s-stride:2-idskip:0-"
                      "se:0-hs:0: {count: 9, mean: %g}\n"
                      "expanded_conv-input:%dx%dx24-output:%dx%dx24-expand:72-%s-stride:1-idskip:1-"
                      "se:0-hs:0: {count: 9, mean: %g}\n",
                      half, half, quarter, quarter, mid, ms, quarter, quarter, quarter, quarter,
                      mid, ms);
    }
    snprintf(text + n, sizeof text - (size_t)n,
             "AvgPool2D-input:%dx%dx24-output:1x1x24: {count: 9, mean: %g}\n"
             "Logits-input:1x1x24-output:10: {count: 9, mean: %g}\n%s",
             quarter, quarter, ms, ms, more);
    assert_int_equal(file_write_atomic(path_of(name), text, strlen(text), NULL), 0);
}

static int read_model(const char *path, struct err *err, struct ofa_model_report *report,
                      struct latency_sections *sections) {
    *err = (struct err){0};
    return ofa_model_read(path, space, err, report, sections);
}

static void a_folder_has_a_table_for_each_resolution(void **state) {
    struct ofa_model_report report;
    struct latency_sections sections, again;
    struct err err;
    put_table("a.yml", 32, 2, "");
    put_table("b.yaml", 24, 0.5, "Conv-input:9x9x3-output:5x5x16: {count: 9, mean: 1}\n");
    assert_int_equal(file_write_atomic(path_of(".hidden.yaml"), "x", 1, NULL), 0);
    assert_int_equal(file_write_atomic(path_of("notes.txt"), "x", 1, NULL), 0);
    if (read_model(folder, &err, &report, &sections) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(report.n, 2);
    assert_string_equal(report.files[0].name, "b.yaml");
    assert_int_equal(report.files[0].table.resolution, 24);
    assert_int_equal(report.files[0].table.entries, 6);
    assert_int_equal(report.files[0].table.foreign, 1);
    assert_string_equal(report.files[0].table.first_foreign, "Conv-input:9x9x3-output:5x5x16");
    assert_int_equal(report.files[1].table.foreign, 0);
    /* Stem, one or two blocks, pooling and classifier. */
    assert_true(fabs(report.files[0].least_us - 2500) < 1e-9);
    assert_true(fabs(report.files[0].most_us - 3000) < 1e-9);
    assert_true(fabs(report.files[1].least_us - 7000) < 1e-9);
    assert_true(fabs(report.files[1].most_us - 9000) < 1e-9);
    assert_int_equal(sections.n, 2);
    assert_null(latency_sections_find(&sections, 28));
    cJSON *doc = latency_sections_to_json(&sections);
    assert_int_equal(latency_sections_from_json(doc, "", NULL, &again), 0);
    cJSON *copy = latency_sections_to_json(&again);
    assert_true(cJSON_Compare(doc, copy, true));
    cJSON_Delete(doc);
    cJSON_Delete(copy);
    latency_sections_finish(&again);
    latency_sections_finish(&sections);
    clear();
}

static void one_file_is_a_model_too(void **state) {
    struct ofa_model_report report;
    struct latency_sections sections;
    struct err err;
    put_table("a.yml", 32, 2, "");
    assert_int_equal(read_model(path_of("a.yml"), &err, &report, &sections), 0);
    assert_string_equal(report.files[0].name, "a.yml");
    assert_int_equal(sections.n, 1);
    latency_sections_finish(&sections);
    clear();
}

static void refused(const char *path, int code, const char *message) {
    struct ofa_model_report report;
    struct latency_sections sections;
    struct err err;
    assert_int_equal(read_model(path, &err, &report, &sections), code);
    if (!strstr(err.message, message))
        fail_msg("%s", err.message);
}

static void bad_folders_are_refused(void **state) {
    static const char stem[] = "Conv-input:24x24x3-output:12x12x16: {count: 9, mean: 1}\n";
    refused(folder, ESP_EINVAL, "holds no files *.yaml");
    refused(path_of("c.yaml"), ESP_ENOTFOUND, "c.yaml");
    put_table("a.yml", 24, 2, "");
    put_table("b.yaml", 24, 1, "");
    refused(folder, ESP_EINVAL, "b.yaml: there are two tables for 24 pixels");
    put_table("b.yaml", 32, 1, "x: {count: 1, mean: .nan}\n");
    refused(folder, ESP_EPARSE, "b.yaml: line 8: key \"x\": a value that is no positive number");
    put_table("b.yaml", 32, 1, "x: {count: 1, mean: 1, mean: 1}\n");
    refused(folder, ESP_EPARSE, "key \"x\": a member that was there before");
    assert_int_equal(file_write_atomic(path_of("b.yaml"), stem, strlen(stem), NULL), 0);
    unlink(path_of("a.yml"));
    refused(folder, ESP_EMISMATCH, "knows 1 of the 6 units");
    clear();
    assert_int_equal(mkfifo(path_of("c.yaml"), 0600), 0);
    refused(folder, ESP_EINVAL, "c.yaml");
    clear();
}

static void sections_of_strangers_are_refused(void **state) {
    static const char *const texts[] = {
        "{}",
        "[]",
        "[1]",
        "[{\"resolution\":0,\"table\":{}}]",
        "[{\"resolution\":8}]",
        ("[{\"resolution\":8,\"table\":{\"profile_revision\":\"x\",\"entries\":[]}},"
         "{\"resolution\":8,\"table\":{\"profile_revision\":\"x\",\"entries\":[]}}]")};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct latency_sections sections;
        struct err err = {0};
        cJSON *doc = cJSON_Parse(texts[i]);
        assert_true(latency_sections_from_json(doc, "/s", &err, &sections) < 0);
        assert_memory_equal(err.pointer, "/s", 2);
        cJSON_Delete(doc);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_folder_has_a_table_for_each_resolution),
                                       cmocka_unit_test(one_file_is_a_model_too),
                                       cmocka_unit_test(bad_folders_are_refused),
                                       cmocka_unit_test(sections_of_strangers_are_refused)};
    return cmocka_run_group_tests(tests, begin, end);
}
