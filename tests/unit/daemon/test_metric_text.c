/* Metrics read from their text, held against a parsed document. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metric_text.h"

static bool find(const char *text, const char *key, struct metric_text *ret) {
    while (metric_text_next(&text, ret))
        if (metric_text_is(ret->key, ret->key_len, key))
            return true;
    return false;
}

static void test_value_and_source_of_each_metric(void **state) {
    static const char text[] =
        "{\"top1\":{\"value\":0.75,\"low\":0.7,\"high\":0.8,\"source\":\"predicted\"},"
        "\"latency_us:pf_1\":{\"source\":\"measured\",\"value\":-1.5e3},"
        "\"macs\" : { \"value\" : 12 , \"source\" : \"counted\" } }";
    struct metric_text metric;
    const char *at = text;
    int n = 0;
    while (metric_text_next(&at, &metric))
        n++;
    assert_int_equal(n, 3);
    assert_true(find(text, "latency_us:pf_1", &metric));
    assert_true(strtod(metric.number, NULL) == -1500);
    assert_true(metric_text_is(metric.source, metric.source_len, "measured"));
    assert_false(metric_text_is(metric.source, metric.source_len, "measure"));
    assert_false(metric_text_is(metric.source, metric.source_len, "measured "));
    assert_true(find(text, "macs", &metric));
    assert_true(strtod(metric.number, NULL) == 12);
    assert_true(metric_text_is(metric.source, metric.source_len, "counted"));
    assert_false(find(text, "latency_us", &metric));
    assert_false(find(text, "value", &metric));
}

/* What lies deeper, and signs within strings, are nobody's value. */
static void test_what_is_no_value_of_a_metric(void **state) {
    static const char text[] =
        "{\"a\":{\"more\":{\"value\":7,\"list\":[1,{\"source\":\"x\"},\"]}\"]},"
        "\"value\":null,\"note\":\"}\\\"{\\\\\"},\"b\":3,\"c\":{},"
        "\"d\":{\"value\":\"5\",\"source\":4},\"e\":{\"value\":1}}";
    struct metric_text metric;
    for (const char *key = "abcd"; *key != '\0'; key++) {
        assert_true(find(text, (char[]){*key, '\0'}, &metric));
        assert_null(metric.number);
        assert_null(metric.source);
    }
    assert_true(find(text, "e", &metric));
    assert_true(strtod(metric.number, NULL) == 1);
}

/* Every beginning of a good text ends without a read behind its end (the address sanitizer looks).
 */
static void test_texts_that_are_cut_off(void **state) {
    static const char text[] =
        "{\"a\":{\"value\":1,\"x\":[{\"y\":\"\\\"\"}],\"source\":\"s\"},\"b\":2}";
    for (size_t len = 0; len < sizeof(text); len++) {
        char *cut = malloc(len + 1);
        struct metric_text metric;
        const char *at = cut;
        memcpy(cut, text, len);
        cut[len] = '\0';
        for (int n = 0; metric_text_next(&at, &metric); n++)
            assert_true(n < 2);
        free(cut);
    }
    static const char *const wrong[] = {"", "null", "[]", "{}", "{]", "{\"a\"}", "{\"a\":}", "{,}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct metric_text metric;
        const char *at = wrong[i];
        for (int n = 0; metric_text_next(&at, &metric); n++)
            assert_true(n < 2 && metric.number == NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_and_source_of_each_metric),
        cmocka_unit_test(test_what_is_no_value_of_a_metric),
        cmocka_unit_test(test_texts_that_are_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
