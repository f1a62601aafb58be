#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "web/guard.h"

static void test_host(void **state) {
    static const char *const names[] = {"nas.example", "Box", NULL};
    static const char *const good[] = {"localhost",      "LOCALHOST:8080", "127.0.0.1",
                                       "127.0.0.1:8080", "127.9.9.9",      "[::1]",
                                       "[::1]:80",       "nas.example:1",  "box"};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "localhost.evil.example",
                                      "127.0.0.1.evil.example",
                                      "localhost:80x",
                                      "[::1",
                                      "[::1]x",
                                      "192.168.0.7",
                                      "nas.example.",
                                      ":80",
                                      "127.0.0.1@evil.example"};
    for (unsigned i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(guard_host(good[i], names, false));
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(guard_host(bad[i], names, false));
    assert_false(guard_host(NULL, names, true));
    assert_false(guard_host("box", NULL, true));
    assert_true(guard_host("192.168.0.7:8080", NULL, true));
    assert_true(guard_host("[fe80::1]", NULL, true));
    assert_false(guard_host("evil.example", NULL, true));
}

static void test_loopback_host(void **state) {
    assert_true(guard_host_is_loopback("localhost:1"));
    assert_false(guard_host_is_loopback("nas.example"));
    assert_false(guard_host_is_loopback(NULL));
}

static void test_origin(void **state) {
    assert_true(guard_origin(NULL, "localhost:8080"));
    assert_true(guard_origin("http://localhost:8080", "localhost:8080"));
    assert_true(guard_origin("https://NAS.example", "nas.example"));
    assert_false(guard_origin("http://localhost:8081", "localhost:8080"));
    assert_false(guard_origin("http://evil.example", "localhost:8080"));
    assert_false(guard_origin("null", "localhost:8080"));
    assert_false(guard_origin("", "localhost:8080"));
    assert_false(guard_origin("file://localhost:8080", "localhost:8080"));
    assert_false(guard_origin("http://localhost:8080", NULL));
}

static void test_content_type(void **state) {
    assert_true(guard_is_json("application/json"));
    assert_true(guard_is_json("Application/JSON ; charset=utf-8"));
    assert_true(guard_is_json("application/json; x=\"1\"; CHARSET=\"UTF-8\""));
    assert_true(guard_is_json("application/json;"));
    assert_false(guard_is_json("application/json; charset=latin1"));
    assert_false(guard_is_json("application/json;x=1 ;charset=utf-16"));
    assert_false(guard_is_json("application/json; charset=utf-8; charset=utf-7"));
    assert_false(guard_is_json("application/json; charset="));
    assert_false(guard_is_json("application/jsonp"));
    assert_false(guard_is_json("text/plain"));
    assert_false(guard_is_json(NULL));
}

static void test_encoding(void **state) {
    assert_true(guard_accepts_gzip("gzip"));
    assert_true(guard_accepts_gzip("deflate, gzip;q=0.5, br"));
    assert_true(guard_accepts_gzip("br, gzip"));
    assert_true(guard_accepts_gzip("GZIP ; q=0.001"));
    assert_true(guard_accepts_gzip(",, gzip;Q=1.000 , br;q=0"));
    static const char *const never[] = {"gzip; q=0",    "gzip;q=0.0",
                                        "gzip;q=0.000", "gzip;q=0., br;q=1",
                                        "gzip;q=",      "gzip;q=0 ;x=1",
                                        "xgzip",        "br;x=gzip",
                                        "gzip;q=none"};
    for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
        assert_false(guard_accepts_gzip(never[i]));
    assert_false(guard_accepts_gzip("br"));
    assert_false(guard_accepts_gzip("gzipped"));
    assert_false(guard_accepts_gzip(NULL));
}

static void test_bearer(void **state) {
    assert_string_equal(guard_bearer("Bearer abc"), "abc");
    assert_string_equal(guard_bearer("bearer abc"), "abc");
    assert_null(guard_bearer("Basic abc"));
    assert_null(guard_bearer("Bearer"));
    assert_null(guard_bearer(NULL));
}

static void test_etags(void **state) {
    bool gzip;
    assert_true(guard_etag_known("\"a\"", "\"a\"", &gzip) && !gzip);
    assert_true(guard_etag_known("W/\"b\" , \"a-gzip\"", "\"a\"", &gzip) && gzip);
    assert_true(guard_etag_known("*", "\"a\"", &gzip) && !gzip);
    assert_false(guard_etag_known("\"ab\", \"b\"", "\"a\"", &gzip));
    assert_false(guard_etag_known("a, \"", "\"a\"", &gzip));
    assert_false(guard_etag_known("\"a", "\"a\"", &gzip));
    assert_false(guard_etag_known("", "\"a\"", &gzip));
    assert_false(guard_etag_known(NULL, "\"a\"", &gzip));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host),     cmocka_unit_test(test_loopback_host),
        cmocka_unit_test(test_origin),   cmocka_unit_test(test_content_type),
        cmocka_unit_test(test_encoding), cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_etags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
