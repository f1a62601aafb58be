#include "tests/unit/unit.h"

#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

static void names_and_statuses_come_from_the_list(void **state) {
    assert_string_equal(err_name(0), "ok");
    assert_string_equal(err_name(ESP_EINFEASIBLE), "infeasible");
    assert_string_equal(err_name(-9999), "unknown");
    assert_int_equal(err_code("infeasible"), ESP_EINFEASIBLE);
    assert_int_equal(err_code("no such name"), ESP_EINTERNAL);
    assert_string_equal(err_name(1), "unknown");
    assert_int_equal(err_http_status(ESP_ENOTFOUND), 404);
    assert_int_equal(err_http_status(ESP_ETOOLARGE), 413);
    assert_int_equal(err_http_status(-9999), 500);
}

static void set_overwrites_and_returns_the_code(void **state) {
    struct err err = {0};
    assert_int_equal(err_set(&err, ESP_EINVAL, "/stages/2", "depth is %d", 9), ESP_EINVAL);
    assert_string_equal(err.message, "depth is 9");
    assert_string_equal(err.pointer, "/stages/2");
    assert_int_equal(err_set(&err, ESP_EIO, NULL, "disk"), ESP_EIO);
    assert_int_equal(err.code, ESP_EIO);
    assert_string_equal(err.pointer, "");
    assert_int_equal(err_set(NULL, ESP_EIO, "/x", "disk"), ESP_EIO);
}

static void set_may_read_the_error_that_it_replaces(void **state) {
    struct err err = {0};
    err_set(&err, ESP_EINVAL, "/a", "inner");
    err_set(&err, ESP_EPARSE, err.pointer, "outer (%s)", err.message);
    assert_string_equal(err.message, "outer (inner)");
    assert_string_equal(err.pointer, "/a");
}

static void prefix_keeps_the_code_that_is_there(void **state) {
    struct err err = {0};
    err_set(&err, ESP_ENOTFOUND, "/file", "no such file");
    assert_int_equal(err_prefix(&err, ESP_EINTERNAL, "checkpoint %d", 3), ESP_ENOTFOUND);
    assert_string_equal(err.message, "checkpoint 3: no such file");
    assert_string_equal(err.pointer, "/file");
    struct err empty = {0};
    assert_int_equal(err_prefix(&empty, ESP_EIO, "table"), ESP_EIO);
    assert_int_equal(empty.code, ESP_EIO);
    assert_int_equal(err_prefix(NULL, ESP_EIO, "table"), ESP_EIO);
}

static void long_messages_are_cut_at_a_character(void **state) {
    char text[1024] = "";
    for (int i = 0; i < 500; i++)
        strcat(text, "\xc3\xa9");
    struct err err = {0};
    err_set(&err, ESP_EINVAL, text, "x%s", text);
    assert_int_equal(strlen(err.message), 511);
    assert_true(utf8_valid(err.message, strlen(err.message)));
    assert_int_equal(strlen(err.pointer), 254);
    assert_true(utf8_valid(err.pointer, strlen(err.pointer)));
    err_prefix(&err, 0, "y");
    assert_true(utf8_valid(err.message, strlen(err.message)));
    assert_memory_equal(err.message, "y: x\xc3\xa9", 6);
}

static void utf8_follows_the_rfc(void **state) {
    static const char *const good[] = {"a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xe2\x82",
                                      "\xc3x"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_int_equal(utf8_step(good[i], strlen(good[i])), strlen(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(utf8_step(bad[i], strlen(bad[i])), 0);
    assert_int_equal(utf8_step("", 0), 0);
    assert_false(utf8_valid("a\0b", 3));
    assert_true(utf8_valid("", 0));
    assert_int_equal(utf8_trim("a\xe2\x82", 3), 1);
    assert_int_equal(utf8_trim("a\xe2\x82\xac", 4), 4);
    assert_int_equal(utf8_trim("\x80\x80", 2), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_statuses_come_from_the_list),
        cmocka_unit_test(set_overwrites_and_returns_the_code),
        cmocka_unit_test(set_may_read_the_error_that_it_replaces),
        cmocka_unit_test(prefix_keeps_the_code_that_is_there),
        cmocka_unit_test(long_messages_are_cut_at_a_character),
        cmocka_unit_test(utf8_follows_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
