#include "tests/unit/unit.h"

#include <string.h>

#include "base/parameter.h"
#include "base/utf8.h"

static void a_refusal_names_the_parameter_in_text_and_pointer(void **state) {
    struct err err = {0};
    assert_int_equal(parameter_refuse(&err, ESP_EPARSE, "where", ": no %s", "such"), ESP_EPARSE);
    assert_string_equal(err.message, "the parameter where: no such");
    assert_string_equal(err.pointer, "?where");
    assert_int_equal(parameter_refuse(NULL, ESP_EINVAL, "where", " is needed"), ESP_EINVAL);
}

/* Names come from outside. */
static void a_long_name_is_cut_between_characters(void **state) {
    for (int before = 0; before < 2; before++) {
        char name[300] = "";
        memset(name, 'x', (size_t)before);
        for (int i = 0; i < 100; i++)
            strcat(name, "\xc3\xa9");
        struct err err = {0};
        parameter_refuse(&err, ESP_EPARSE, name, " is not known");
        assert_true(utf8_valid(err.pointer, strlen(err.pointer)));
        assert_true(utf8_valid(err.message, strlen(err.message)));
        assert_int_equal(strlen(err.pointer), 63 - before);
        assert_non_null(strstr(err.message, " is not known"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_names_the_parameter_in_text_and_pointer),
        cmocka_unit_test(a_long_name_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
