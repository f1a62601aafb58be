#include "tests/unit/unit.h"

#include <string.h>

#include "base/nearest.h"

static const char *const names[] = {"epochs", "batch", "learning_rate", NULL};

static void slips_are_near(void **state) {
    assert_int_equal(nearest_distance("epochs", "epcohs"), 1); /* two letters swapped */
    assert_int_equal(nearest_distance("batch", "btch"), 1);
    assert_int_equal(nearest_distance("kitten", "sitting"), 3);
    assert_string_equal(nearest_of(names, "epcohs"), "epochs");
    assert_string_equal(nearest_of(names, "lerning_rte"), "learning_rate");
    assert_null(nearest_of(names, "momentum"));
}

static void a_list_is_cut_where_it_does_not_fit(void **state) {
    char whole[64], part[10];
    nearest_list(names, whole, sizeof(whole));
    assert_string_equal(whole, "epochs, batch, learning_rate");
    nearest_list(names, part, sizeof(part));
    assert_string_equal(part, "epochs, b");
    nearest_list((const char *const[]){NULL}, whole, sizeof(whole));
    assert_string_equal(whole, "");
}

static void advice_names_what_was_meant_and_what_there_is(void **state) {
    char text[80], part[12];
    nearest_advice(NULL, "there are ", "a, b", text, sizeof(text));
    assert_string_equal(text, "there are a, b");
    nearest_advice("b", "there are ", "a, b", text, sizeof(text));
    assert_string_equal(text, "did you mean \"b\"? There are a, b");
    nearest_advice("b", "there are ", "a, b", part, sizeof(part));
    assert_string_equal(part, "did you mea");
}

static void a_choice_names_all_and_what_was_meant(void **state) {
    char text[128];
    nearest_choice(names, "btch", text, sizeof(text));
    assert_string_equal(
        text, "one of: epochs, batch, learning_rate, not \"btch\"; did you mean \"batch\"?");
    nearest_choice(names, "momentum", text, sizeof(text));
    assert_string_equal(text, "one of: epochs, batch, learning_rate, not \"momentum\"");
}

int main(void) {
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slips_are_near), cmocka_unit_test(a_list_is_cut_where_it_does_not_fit),
        cmocka_unit_test(a_choice_names_all_and_what_was_meant),
        cmocka_unit_test(advice_names_what_was_meant_and_what_there_is)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
