#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "daemon/ids.h"

static void test_sorts_by_time_and_never_repeats(void **state) {
    char before[ID_MAX] = "", id[ID_MAX];
    for (int i = 0; i < 20000; i++) {
        id_make("job_", id);
        assert_true(strcmp(before, id) < 0);
        memcpy(before, id, sizeof(id));
    }
    assert_int_equal(strlen(id), 30);
    assert_int_equal(strspn(id + 4, "0123456789abcdefghjkmnpqrstvwxyz"), 26);
}

static void test_prefix(void **state) {
    assert_true(id_has_prefix("job_1", "job_"));
    assert_false(id_has_prefix("jo", "job_"));
}

static void test_form(void **state) {
    static const char *const wrong[] = {"",
                                        "job_",
                                        "job_1",
                                        "zzz",
                                        "job_0123456789abcdefghjkmnpqr",
                                        "job_0123456789abcdefghjkmnpqru",
                                        "job_0123456789abcdefghjkmnpqrs0",
                                        "tok_0123456789abcdefghjkmnpqrs"};
    char id[ID_MAX];
    id_make("job_", id);
    assert_true(id_is(id, "job_"));
    assert_false(id_is(id, "tok_"));
    assert_true(id_is("job_0123456789abcdefghjkmnpqrs", "job_"));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        assert_false(id_is(wrong[i], "job_"));
}

static void test_ids_of_any_kind(void **state) {
    assert_true(id_is_any("se_0123456789abcdefghjkmnpqrs"));
    assert_true(id_is_any("whd_0123456789abcdefghjkmnpqrs"));
    assert_false(id_is_any("_0123456789abcdefghjkmnpqrs"));
    assert_false(id_is_any("se_0123456789abcdefghjkmnpqr"));
    assert_false(id_is_any("verylongword_0123456789abcdefghjkmnpqrs"));
    assert_false(id_is_any("se"));
    assert_false(id_is_any(""));
}

static void test_ids_at_the_beginning_of_names(void **state) {
    char id[ID_MAX];
    assert_true(id_leads("ex_0123456789abcdefghjkmnpqrs.onnx.partial", "ex_", id));
    assert_string_equal(id, "ex_0123456789abcdefghjkmnpqrs");
    assert_true(id_leads("ex_0123456789abcdefghjkmnpqrs", "ex_", id));
    assert_false(id_leads("ex_0123456789abcdefghjkmnpqr.onnx", "ex_", id));
    assert_false(id_leads("sn_0123456789abcdefghjkmnpqrs", "ex_", id));
}

static void test_past_ids_part_old_from_new(void **state) {
    char now[ID_MAX], minute[ID_MAX], hour[ID_MAX];
    id_make("up_", now);
    id_make_past("up_", 60, minute);
    id_make_past("up_", 3600, hour);
    assert_true(strcmp(hour, minute) < 0 && strcmp(minute, now) < 0);
    id_make_past("up_", -60, minute);
    assert_true(strcmp(now, minute) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorts_by_time_and_never_repeats),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_ids_of_any_kind),
        cmocka_unit_test(test_ids_at_the_beginning_of_names),
        cmocka_unit_test(test_past_ids_part_old_from_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
