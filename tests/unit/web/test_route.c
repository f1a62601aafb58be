#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "web/route.h"

static const struct web_route routes[] = {{.method = "GET", .path = "/api/jobs"},
                                          {.method = "POST", .path = "/api/jobs"},
                                          {.method = "GET", .path = "/api/jobs/{id}"},
                                          {.method = "DELETE", .path = "/api/jobs/{id}"},
                                          {.method = "GET", .path = "/api/jobs/{id}/log"},
                                          {.method = "GET", .path = "/api/a/{first}/{second}"},
                                          {.method = "GET", .path = "/"},
                                          {.method = NULL}};

static char allow[ROUTE_ALLOW_MAX];
static struct route_match match;

static void test_finds_exact_and_params(void **state) {
    assert_int_equal(route_find(routes, "GET", "/api/jobs", allow, &match), 0);
    assert_ptr_equal(match.route, &routes[0]);
    assert_int_equal(route_find(routes, "GET", "/api/jobs/job_7", allow, &match), 0);
    assert_ptr_equal(match.route, &routes[2]);
    assert_string_equal(route_param(&match, "id"), "job_7");
    assert_string_equal(route_param(&match, "i"), "");
    assert_string_equal(route_param(&match, "other"), "");
    assert_int_equal(route_find(routes, "GET", "/api/jobs/job_7/log", allow, &match), 0);
    assert_ptr_equal(match.route, &routes[4]);
    assert_int_equal(route_find(routes, "GET", "/api/a/x/y", allow, &match), 0);
    assert_string_equal(route_param(&match, "first"), "x");
    assert_string_equal(route_param(&match, "second"), "y");
}

static void test_head_is_get(void **state) {
    assert_int_equal(route_find(routes, "HEAD", "/api/jobs", allow, &match), 0);
    assert_ptr_equal(match.route, &routes[0]);
}

static void test_names_the_methods(void **state) {
    assert_int_equal(route_find(routes, "PUT", "/api/jobs", allow, &match), ESP_EUNSUPPORTED);
    assert_string_equal(allow, "GET, HEAD, POST");
    assert_int_equal(route_find(routes, "POST", "/api/jobs/x", allow, &match), ESP_EUNSUPPORTED);
    assert_string_equal(allow, "GET, HEAD, DELETE");
}

static void test_refuses_what_is_not_there(void **state) {
    static const char *const paths[] = {"",
                                        "api/jobs",
                                        "/api/job",
                                        "/api/jobs/",
                                        "/api//jobs",
                                        "/api/jobs/x/y",
                                        "/api/jobs/x/log/",
                                        "/api",
                                        "/api/jobs/x/lo",
                                        "//"};
    for (unsigned i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        assert_int_equal(route_find(routes, "GET", paths[i], allow, &match), ESP_ENOTFOUND);
}

static void test_refuses_long_values(void **state) {
    char path[ROUTE_PARAM_MAX + 32] = "/api/jobs/";
    memset(path + 10, 'x', ROUTE_PARAM_MAX);
    path[10 + ROUTE_PARAM_MAX] = '\0';
    assert_int_equal(route_find(routes, "GET", path, allow, &match), ESP_ENOTFOUND);
    path[10 + ROUTE_PARAM_MAX - 1] = '\0';
    assert_int_equal(route_find(routes, "GET", path, allow, &match), 0);
    assert_int_equal(strlen(route_param(&match, "id")), ROUTE_PARAM_MAX - 1);
}

static void test_words(void **state) {
    assert_true(route_word_listed("after,limit", "after"));
    assert_true(route_word_listed("after,limit", "limit"));
    assert_false(route_word_listed("after,limit", "lim"));
    assert_false(route_word_listed("after,limit", "after,limit"));
    assert_false(route_word_listed("after,limit", ""));
    assert_false(route_word_listed(NULL, "after"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_exact_and_params),
        cmocka_unit_test(test_head_is_get),
        cmocka_unit_test(test_names_the_methods),
        cmocka_unit_test(test_refuses_long_values),
        cmocka_unit_test(test_refuses_what_is_not_there),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
