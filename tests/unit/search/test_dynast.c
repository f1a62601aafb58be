#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "search/dynast.h"

#define TITLES "Sub-network,Date,Model Parameters,Latency (ms),MACs,Top-1 Acc (%)\n"
#define KS "[3, 5, 7, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]"
#define ES "[6, 4, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 6]"
#define NET(ks, es, ds, r) "\"{'wid': None, 'ks': " ks ", 'e': " es ", 'd': " ds ", 'r': " r "}\""
#define ROW(latency, macs, top1)                                                                   \
    NET(KS, ES, "[3, 2, 2, 2, 4]", "[224]")                                                        \
    ",2022-11-01 05:40:09,123," latency "," macs "," top1 "\n"

static struct space *space;

static int begin(void **state) {
    return space_builtin("ofa_mbv3", NULL, &space);
}

static int end(void **state) {
    space_destroy(space);
    return 0;
}

static void a_row_is_an_arch_with_its_figures(void **state) {
    static const char text[] = TITLES ROW("0", "255502624", "75.448") ROW("12.5", "0", "0");
    struct dynast_rows rows;
    struct err err = {0};
    char arch[ARCH_TEXT_MAX];
    if (dynast_parse(text, strlen(text), space, &err, &rows) != 0)
        fail_msg("%s", err.message);
    assert_int_equal(rows.n, 2);
    assert_true(arch_valid(space, &rows.items[0].arch));
    arch_format(space, &rows.items[0].arch, arch);
    assert_string_equal(arch, "r224 | d1 c16 k3e1 | d3 c24 k3e6 k5e4 k7e3 | d2 c40 k3e3 k3e3 | "
                              "d2 c80 k3e3 k3e3 | d2 c112 k3e3 k3e3 | d4 c160 k3e3 k3e3 k3e3 k3e6");
    assert_int_equal(rows.items[0].macs, 255502624);
    assert_true(fabs(rows.items[0].top1 - 0.75448) < 1e-12);
    assert_true(isnan(rows.items[0].latency_us));
    assert_int_equal(rows.items[1].macs, 0);
    assert_true(isnan(rows.items[1].top1));
    assert_true(fabs(rows.items[1].latency_us - 12500) < 1e-9);
    assert_true(arch_equal(&rows.items[0].arch, &rows.items[1].arch));
    dynast_finish(&rows);
}

/* DyNAS-T counts MACs only where it is asked to. */
static void what_was_not_measured_need_not_be_there(void **state) {
    static const char without[] =
        "Sub-network,Top-1 Acc (%)\n" NET(KS, ES, "[3, 2, 2, 2, 4]", "224") ",75\n",
                      empty[] = TITLES ROW("", "", "75");
    for (int i = 0; i < 2; i++) {
        struct dynast_rows rows;
        struct err err = {0};
        const char *text = i == 0 ? without : empty;
        if (dynast_parse(text, strlen(text), space, &err, &rows) != 0)
            fail_msg("%s", err.message);
        assert_int_equal(rows.items[0].macs, 0);
        assert_true(isnan(rows.items[0].latency_us));
        assert_true(fabs(rows.items[0].top1 - 0.75) < 1e-12);
        dynast_finish(&rows);
    }
}

static void refused(const char *text, int code, const char *message) {
    struct dynast_rows rows;
    struct err err = {0};
    int got = dynast_parse(text, strlen(text), space, &err, &rows);
    if (got != code || !strstr(err.message, message))
        fail_msg("%d: %s", got, err.message);
}

#define BAD(ks, es, ds, r) TITLES ROW("0", "1", "1") NET(ks, es, ds, r) ",,,0,1,1\n"
static void bad_files_are_refused_with_row_or_column(void **state) {
    refused("", ESP_EPARSE, "");
    refused("Sub-network,MACs\nx,1\n", ESP_EINVAL, "no column \"Top-1 Acc (%)\"");
    refused("a,b\n1,2\n", ESP_EINVAL, "no column \"Sub-network\"");
    refused(TITLES, ESP_EINVAL, "no results");
    refused(TITLES ROW("0", "1", "nan"), ESP_EINVAL, "row 1: \"nan\" in column \"Top-1 Acc (%)\"");
    refused(TITLES ROW("0", "-1", "1"), ESP_EINVAL, "row 1: \"-1\" in column \"MACs\"");
    refused(TITLES ROW("0", "1", "100.5"), ESP_EINVAL, "row 1: \"100.5\"");
    refused(TITLES ROW("x", "1", "1"), ESP_EINVAL, "column \"Latency (ms)\"");
    refused(TITLES "a,b,c\n", ESP_EPARSE, "line 2");
    refused(TITLES "__import__('os'),,,0,1,1\n", ESP_EPARSE, "row 1: \"__import__");
    refused(BAD(KS, ES, "[3, 2, 2, 2, 4]", "224, 'x': 1"), ESP_EPARSE, "row 2");
    refused(BAD(KS, ES, "[3, 2, 2, 2, 4]", "[224, 224]"), ESP_EPARSE, "row 2");
    refused(BAD("[]", ES, "[3, 2, 2, 2, 4]", "224"), ESP_EPARSE, "row 2");
    refused(BAD("99999999999999999999", ES, "[3, 2, 2, 2, 4]", "224"), ESP_EPARSE, "row 2");
    refused(BAD(KS, ES, "[3, 2, 2, 2]", "[224]"), ESP_EMISMATCH, "row 2: 4 depths");
    refused(BAD(KS, ES, "[3, 2, 2, 2, 5]", "[224]"), ESP_EMISMATCH, "row 2: depth 5");
    refused(BAD(KS, ES, "[3, 2, 2, 2, 4]", "[225]"), ESP_EMISMATCH, "row 2: resolution 225");
    refused(BAD("[9, 5, 7, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]", ES,
                "[3, 2, 2, 2, 4]", "[224]"),
            ESP_EMISMATCH, "row 2: kernel size 9");
    refused(BAD(KS, "[5, 5, 7, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]",
                "[3, 2, 2, 2, 4]", "[224]"),
            ESP_EMISMATCH, "row 2: expand ratio 5");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_row_is_an_arch_with_its_figures),
                                       cmocka_unit_test(what_was_not_measured_need_not_be_there),
                                       cmocka_unit_test(bad_files_are_refused_with_row_or_column)};
    return cmocka_run_group_tests(tests, begin, end);
}
