#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/csv.h"

static struct csv *parsed(const char *text) {
    struct csv *csv;
    struct err err = {0};
    if (csv_parse(text, strlen(text), &err, &csv) < 0)
        fail_msg("%s", err.message);
    return csv;
}

static void refused(const char *text, int code, const char *message) {
    struct csv *csv;
    struct err err = {0};
    assert_int_equal(csv_parse(text, strlen(text), &err, &csv), code);
    assert_string_equal(err.message, message);
}

static void reads_rows_and_columns(void **state) {
    struct csv *csv = parsed("a,b,c\n1,,x\r\n\n2,3,\n");
    assert_int_equal(csv_rows(csv), 2);
    assert_int_equal(csv_columns(csv), 3);
    assert_string_equal(csv_title(csv, 2), "c");
    assert_int_equal(csv_find(csv, "b"), 1);
    assert_int_equal(csv_find(csv, "d"), -1);
    assert_string_equal(csv_field(csv, 0, 1), "");
    assert_string_equal(csv_field(csv, 0, 2), "x");
    assert_string_equal(csv_field(csv, 1, 2), "");
    csv_close(csv);
}

static void reads_quoted_fields(void **state) {
    struct csv *csv =
        parsed("\xef\xbb\xbf\"a,1\",\"say \"\"b\"\"\"\r\n\"two\nlines\",\"\"\n\"\"\"\",z");
    assert_int_equal(csv_rows(csv), 2);
    assert_string_equal(csv_title(csv, 0), "a,1");
    assert_string_equal(csv_title(csv, 1), "say \"b\"");
    assert_string_equal(csv_field(csv, 0, 0), "two\nlines");
    assert_string_equal(csv_field(csv, 0, 1), "");
    assert_string_equal(csv_field(csv, 1, 0), "\"");
    assert_string_equal(csv_field(csv, 1, 1), "z");
    csv_close(csv);
}

static void blanks_around_fields_do_not_count(void **state) {
    struct csv *csv =
        parsed("model, macs ,\tphone\r\none two ,5 , \"{'a': 1, 'b': 2}\" \r\n ,\" x \",z \t");
    assert_string_equal(csv_title(csv, 0), "model");
    assert_string_equal(csv_title(csv, 1), "macs");
    assert_string_equal(csv_title(csv, 2), "phone");
    assert_string_equal(csv_field(csv, 0, 0), "one two");
    assert_string_equal(csv_field(csv, 0, 1), "5");
    assert_string_equal(csv_field(csv, 0, 2), "{'a': 1, 'b': 2}");
    assert_string_equal(csv_field(csv, 1, 0), "");
    assert_string_equal(csv_field(csv, 1, 1), " x ");
    assert_string_equal(csv_field(csv, 1, 2), "z");
    csv_close(csv);
}

static void other_separators_are_told(void **state) {
    refused("model;phone\nx;1,5\n", ESP_EPARSE,
            "line 2: 2 fields instead of the header's 1 (fields are separated by commas, not "
            "semicolons)");
    refused(
        "model\tphone\nx\t1,5\n", ESP_EPARSE,
        "line 2: 2 fields instead of the header's 1 (fields are separated by commas, not tabs)");
    struct csv *csv = parsed("a;b,c\n1,2\n");
    assert_string_equal(csv_separator_hint(csv), "");
    csv_close(csv);
}

static void a_last_line_needs_no_end(void **state) {
    struct csv *csv = parsed("a\n1");
    assert_int_equal(csv_rows(csv), 1);
    csv_close(csv);
    csv = parsed("a,b");
    assert_int_equal(csv_rows(csv), 0);
    csv_close(csv);
}

static void numbers_are_whole_fields(void **state) {
    struct csv *csv = parsed("a,b,c,d,e\n1.5e3, 2 ,3x,nan,\n");
    double number;
    assert_true(csv_number(csv, 0, 0, &number) && number == 1500);
    assert_true(csv_number(csv, 0, 1, &number) && number == 2);
    for (int i = 2; i < 5; i++)
        assert_false(csv_number(csv, 0, i, &number));
    csv_close(csv);
}

static void numbers_are_decimal(void **state) {
    struct csv *csv = parsed("a,b,c,d,e,f,g,h\n0x10,0X1p4,inf,-infinity,NAN,1e999,1 2,e5\n"
                             "-1.5,+2,.5,3.,1E2,007,1e-3,-0\n");
    static const double numbers[] = {-1.5, 2, 0.5, 3, 100, 7, 1e-3, 0};
    double number;
    for (int i = 0; i < 8; i++) {
        if (csv_number(csv, 0, i, &number))
            fail_msg("%s", csv_field(csv, 0, i));
        assert_true(csv_number(csv, 1, i, &number) && number == numbers[i]);
    }
    csv_close(csv);
}

static void rows_know_their_lines(void **state) {
    struct csv *csv = parsed("a,b\n\n1,\"two\nlines\"\n3,4\n\n\n5,6");
    static const size_t lines[] = {3, 5, 8};
    for (size_t row = 0; row < 3; row++)
        assert_int_equal(csv_line(csv, row), lines[row]);
    assert_string_equal(csv_name(csv), "table");
    csv_close(csv);
}

static void refuses_what_is_no_table(void **state) {
    struct csv *csv;
    struct err err = {0};
    refused("", ESP_EPARSE, "a table without a header line");
    refused("\n\n", ESP_EPARSE, "a table without a header line");
    refused("a,b\n1,2\n3\n", ESP_EPARSE, "line 3: 1 fields instead of the header's 2");
    refused("a\n\"1\n2\n", ESP_EPARSE, "line 2: a quote that is not closed");
    refused("a\n\"x\ny\"\n1,2\n", ESP_EPARSE, "line 4: 2 fields instead of the header's 1");
    refused("a\n\"1\"2\n", ESP_EPARSE, "line 2: a stray character behind a field");
    refused("a\n1\r2\n", ESP_EPARSE, "line 2: a stray character behind a field");
    assert_int_equal(csv_parse("a\n1\0\n", 5, &err, &csv), ESP_EPARSE);
}

static void columns_have_a_limit(void **state) {
    char *text = malloc(CSV_COLUMNS_MAX + 1);
    struct csv *csv;
    memset(text, ',', CSV_COLUMNS_MAX);
    assert_int_equal(csv_parse(text, CSV_COLUMNS_MAX, NULL, &csv), ESP_ELIMIT);
    assert_int_equal(csv_parse(text, CSV_COLUMNS_MAX - 1, NULL, &csv), 0);
    assert_int_equal(csv_columns(csv), CSV_COLUMNS_MAX);
    csv_close(csv);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(blanks_around_fields_do_not_count),
                                       cmocka_unit_test(other_separators_are_told),
                                       cmocka_unit_test(reads_rows_and_columns),
                                       cmocka_unit_test(reads_quoted_fields),
                                       cmocka_unit_test(a_last_line_needs_no_end),
                                       cmocka_unit_test(numbers_are_whole_fields),
                                       cmocka_unit_test(numbers_are_decimal),
                                       cmocka_unit_test(rows_know_their_lines),
                                       cmocka_unit_test(refuses_what_is_no_table),
                                       cmocka_unit_test(columns_have_a_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
