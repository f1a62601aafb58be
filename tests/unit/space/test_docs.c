/* docs/SPACES.md says what the code does: its example is valid and its table holds our figures. */
#include "fixture.h"

#include "base/file.h"
#include "space/cost.h"
#include "space/graph.h"

static char *page(void) {
    char *text = NULL;
    size_t len;
    struct err err = {0};
    if (file_read(SPACES_MD, 1 << 20, &err, &text, &len))
        fail_msg("%s", err.message);
    return text;
}

static void the_example_is_a_space(void **state) {
    char *text = page(), *start = strstr(text, "    {\n"), *end = strstr(start, "\n    }\n");
    assert_non_null(end);
    end[strlen("\n    }")] = '\0';
    struct space *space = parsed_space(start);
    assert_string_equal(space->name, "two_stages");
    space_destroy(space);
    free(text);
}

static void example_archs_have_the_form_that_is_read(void **state) {
    struct space *space = parsed_space(
        "{\"name\":\"x\",\"input_channels\":1,\"n_classes\":2,\"resolutions\":[28],"
        "\"stem\":{\"channels\":8,\"kernel_size\":3,\"stride\":1,\"act\":\"relu\"},\"stages\":["
        "{\"depths\":[2],\"channels\":[16],\"kernel_sizes\":[3,5],\"expand_ratios\":[3,4],"
        "\"stride\":1,\"act\":\"relu\",\"se\":false},{\"depths\":[1],\"channels\":[24],"
        "\"kernel_sizes\":[3],\"expand_ratios\":[2.5],\"stride\":1,\"act\":\"relu\",\"se\":false}],"
        "\"head\":{\"expand_channels\":0,\"mix_channels\":0,\"act\":\"relu\"}}");
    char *text = page(), *start = strstr(text, "    r28 |"), again[ARCH_TEXT_MAX];
    assert_non_null(start);
    start += 4;
    *strchr(start, '\n') = '\0';
    struct arch arch = parsed(space, start);
    arch_format(space, &arch, again);
    assert_string_equal(start, again);
    free(text);
    space_destroy(space);
}

/* 1234567 as 1,234,567. */
static void put_grouped(int64_t value, char *text, size_t size) {
    if (value < 1000) {
        snprintf(text, size, "%d", (int)value);
        return;
    }
    put_grouped(value / 1000, text, size);
    size_t len = strlen(text);
    snprintf(text + len, size - len, ",%03d", (int)(value % 1000));
}

static void assert_row_holds(const char *row, int64_t value) {
    char number[32], cell[40];
    put_grouped(value, number, sizeof(number));
    snprintf(cell, sizeof(cell), " %s ", number);
    if (!strstr(row, cell))
        fail_msg("%s is not in: %s", number, row);
}

static void check_row(char *text, const char *name) {
    char mark[64];
    snprintf(mark, sizeof(mark), "| `%s` |", name);
    char *row = strstr(text, mark);
    if (!row)
        fail_msg("%s has no row", name);
    *strchr(row, '\n') = '\0';
    struct space *space = builtin(name);
    struct unit_list *units = NULL;
    struct arch ends[2];
    arch_min(space, &ends[0]);
    arch_max(space, &ends[1]);
    for (int i = 0; i < 2; i++) {
        struct cost cost;
        assert_int_equal(arch_cost(space, &ends[i], NULL, &cost), 0);
        assert_row_holds(row, cost.macs);
        assert_row_holds(row, cost.params);
    }
    assert_int_equal(space_units(space, NULL, &units), 0);
    assert_row_holds(row, units->n);
    unit_list_destroy(units);
    space_destroy(space);
}

static void the_table_holds_our_figures(void **state) {
    for (int i = 0; space_builtin_names[i]; i++) {
        char *text = page();
        check_row(text, space_builtin_names[i]);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_a_space),
        cmocka_unit_test(example_archs_have_the_form_that_is_read),
        cmocka_unit_test(the_table_holds_our_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
