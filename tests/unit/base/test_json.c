#include "tests/unit/unit.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/json_tree.h"
#include "base/utf8.h"

static cJSON *parse(const char *text) {
    struct err err = {0};
    cJSON *doc = NULL;
    if (json_parse(text, strlen(text), NULL, &err, &doc) < 0)
        fail_msg("%s: %s", text, err.message);
    return doc;
}

static void assert_refused(const char *text, size_t len, int code, const char *part) {
    struct err err = {0};
    cJSON *doc = NULL;
    int got = json_parse(text, len, NULL, &err, &doc);
    assert_null(doc);
    if (got != code || err.code != code || !strstr(err.message, part))
        fail_msg("%.60s: code %d, \"%s\"; expected %d, \"%s\"", text, got, err.message, code, part);
}

static void malformed_texts_are_refused(void **state) {
    static const char *const rows[][2] = {
        {"", "unexpected end at byte 0"},
        {"  ", "unexpected end"},
        {"{", "expected a string"},
        {"[1,]", "unexpected character at byte 3"},
        {"[1 2]", "expected ',' or ']' at byte 3"},
        {"{\"a\":1,}", "expected a string"},
        {"{\"a\" 1}", "expected ':'"},
        {"{a:1}", "expected a string"},
        {"{\"a\":1]", "expected ',' or '}'"},
        {"[1] x", "behind the document at byte 4"},
        {"{}{}", "behind the document"},
        {"nul", "unexpected character"},
        {"truE", "unexpected character"},
        {"\xef\xbb\xbf{}", "unexpected character"},
        {"01", "leading zero"},
        {"-", "unexpected character"},
        {"+1", "unexpected character"},
        {"1.", "after its point"},
        {".5", "unexpected character"},
        {"1e", "exponent"},
        {"0x10", "behind the document"},
        {"NaN", "unexpected character"},
        {"Infinity", "unexpected character"},
        {"1e999", "too large"},
        {"-1e999", "too large"},
        {"9007199254740993", "2^53"},
        {"-9007199254740993", "2^53"},
        {"100000000000000000000", "2^53"},
        {"\"abc", "does not end"},
        {"\"a\nb\"", "control character"},
        {"\"\\x41\"", "unknown escape"},
        {"\"\\u12g4\"", "four hex digits"},
        {"\"\\u0000\"", "NUL"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"},
        {"\"\\udc00\"", "surrogate"},
        {"\"\xff\"", "UTF-8"},
        {"\"\xed\xa0\x80\"", "UTF-8"},
        {"\"\xc0\xaf\"", "UTF-8"},
        {"// comment\n1", "unexpected character"},
        {"'a'", "unexpected character"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_refused(rows[i][0], strlen(rows[i][0]), ESP_EPARSE, rows[i][1]);
    assert_refused("[1]\0", 4, ESP_EPARSE, "behind the document");
    assert_refused("[\0]", 3, ESP_EPARSE, "NUL byte");
    assert_refused("\"a\0b\"", 5, ESP_EPARSE, "control character");
    assert_refused("1.000000000000000000000000000000000000000000000000000000000000000001", 68,
                   ESP_EPARSE, "too many digits");
}

static void a_text_is_not_read_past_its_length(void **state) {
    char *exact = malloc(4); /* no NUL behind it: the address sanitizer sees one byte too far */
    memcpy(exact, "[12]", 4);
    cJSON *doc;
    assert_int_equal(json_parse(exact, 4, NULL, NULL, &doc), 0);
    cJSON_Delete(doc);
    for (size_t len = 0; len < 4; len++)
        assert_int_equal(json_parse(exact, len, NULL, NULL, &doc), ESP_EPARSE);
    free(exact);
}

static void duplicate_keys_are_refused_however_written(void **state) {
    struct err err = {0};
    cJSON *doc;
    const char *text = "{\"x/y\":[0,{\"a\":1,\"b\":2,\"\\u0061\":3}]}";
    assert_int_equal(json_parse(text, strlen(text), NULL, &err, &doc), ESP_EPARSE);
    assert_string_equal(err.pointer, "/x~1y/1/a");
    assert_non_null(strstr(err.message, "\"a\" stands twice"));
    cJSON_Delete(parse("{\"a\":1,\"A\":2,\"b\":{\"a\":3}}"));
}

static void a_number_that_is_refused_has_its_pointer(void **state) {
    static const char *const rows[][2] = {
        {"{\"uses\":9007199254740993}", "/uses"},
        {"{\"a\":{\"b\":[]},\"c/\\u0064\":[{\"e\":[1],\"f\":{}},[0,2,1e999]]}", "/c~1d/1/2"},
        {"[[], {\"a\": 1}, -9007199254740993]", "/2"},
        {"9007199254740993", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct err err = {0};
        cJSON *doc;
        assert_int_equal(json_parse(rows[i][0], strlen(rows[i][0]), NULL, &err, &doc), ESP_EPARSE);
        assert_string_equal(err.pointer, rows[i][1]);
    }
}

static void nesting_has_a_limit(void **state) {
    enum { DEEP = 10000 };
    char *text = malloc(2 * DEEP + 1);
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    text[2 * DEEP] = '\0';
    assert_refused(text, 2 * DEEP, ESP_ELIMIT, "nested deeper than 32 levels at byte 32");
    assert_refused(text, DEEP, ESP_ELIMIT, "nested deeper");
    const struct json_limits generous = {.bytes = 1 << 20, .depth = 100000, .nodes = 100000};
    cJSON *doc = NULL;
    assert_int_equal(json_parse(text, 2 * DEEP, &generous, NULL, &doc), ESP_ELIMIT);
    assert_int_equal(json_parse(text + DEEP - 500, 1000, &generous, NULL, &doc), 0);
    cJSON_Delete(doc);
    doc = NULL;
    assert_int_equal(json_parse(text + DEEP - 32, 64, NULL, NULL, &doc), 0);
    cJSON_Delete(doc);
    for (int i = 0; i < DEEP; i++)
        memcpy(text + 5 * (i % (DEEP / 5)), "{\"\":[", 5);
    assert_refused(text, 2 * DEEP, ESP_ELIMIT, "nested deeper");
    free(text);
}

static void bytes_and_values_have_limits(void **state) {
    const struct json_limits small = {.bytes = 20, .depth = 4, .nodes = 3};
    struct err err = {0};
    cJSON *doc = NULL;
    assert_int_equal(json_parse("[1,2]", 5, &small, &err, &doc), 0);
    cJSON_Delete(doc);
    assert_int_equal(json_parse("[1,2,3]", 7, &small, &err, &doc), ESP_ELIMIT);
    assert_int_equal(json_parse("\"345678901234567890\" ", 21, &small, &err, &doc), ESP_ELIMIT);
    assert_non_null(strstr(err.message, "21 bytes"));
}

static void assert_printed(const char *text, const char *expected) {
    cJSON *doc = parse(text);
    char *printed = json_print(doc);
    assert_string_equal(printed, expected);
    free(printed);
    cJSON_Delete(doc);
}

static void printing_is_compact_and_exact(void **state) {
    assert_printed(" { \"b\" : [ true , false , null ] , \"a\" : { } } ",
                   "{\"b\":[true,false,null],\"a\":{}}");
    assert_printed("[]", "[]");
    assert_printed(
        "[0.1,0.2,0.30000000000000004,1e22,1e-7,2.5,-0,1700000000000123,9007199254740992]",
        "[0.1,0.2,0.30000000000000004,1e+22,1e-07,2.5,0,1700000000000123,9007199254740992]");
    assert_printed(
        "[5e-324,1.7976931348623157e308,3.141592653589793,9599445104327354.0]",
        "[4.94065645841247e-324,1.7976931348623157e+308,3.141592653589793,9599445104327354e0]");
    assert_printed("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u00e9\\ud83d\\ude00\"",
                   "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\xc3\xa9\xf0\x9f\x98\x80\"");
}

static void printing_survives_what_json_cannot_say(void **state) {
    cJSON *doc = cJSON_CreateArray();
    cJSON_AddItemToArray(doc, cJSON_CreateNumber(NAN));
    cJSON_AddItemToArray(doc, cJSON_CreateNumber(INFINITY));
    cJSON_AddItemToArray(doc, cJSON_CreateString("a\xff\xe2\x82z"));
    char *printed = json_print(doc);
    assert_string_equal(printed, "[null,null,\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"]");
    free(printed);
    cJSON_Delete(doc);
}

static void numbers_come_back_as_they_were(void **state) {
    union {
        uint64_t bits;
        double value;
    } number = {.bits = 0x123456789abcdef};
    for (int i = 0; i < 20000; i++) {
        number.bits = number.bits * 6364136223846793005u + 1442695040888963407u;
        if (!isfinite(number.value))
            continue;
        cJSON *out = cJSON_CreateNumber(number.value);
        char *printed = json_print(out);
        cJSON *in = parse(printed);
        assert_true(in->valuedouble == number.value);
        cJSON_Delete(in);
        cJSON_Delete(out);
        free(printed);
    }
}

static void canonical_text_does_not_depend_on_order(void **state) {
    cJSON *one = parse("{\"b\":{\"y\":1,\"x\":[{\"q\":1.0,\"p\":-0.0}]},\"a\":1e2}");
    cJSON *two = parse("{\"a\":100,\"b\":{\"x\":[{\"p\":0,\"q\":1}],\"y\":1}}");
    char *first = json_print_canonical(one), *second = json_print_canonical(two);
    assert_string_equal(first, "{\"a\":100,\"b\":{\"x\":[{\"p\":0,\"q\":1}],\"y\":1}}");
    assert_string_equal(first, second);
    free(first);
    free(second);
    cJSON_Delete(one);
    cJSON_Delete(two);
}

static void getters_read_what_is_right(void **state) {
    cJSON *doc = parse("{\"i\":-5,\"r\":0.25,\"b\":true,\"s\":\"text\",\"a\":[1,2],\"o\":{},\"n\":"
                       "null,\"e\":\"two\"}");
    static const char *const names[] = {"one", "two", NULL};
    int64_t whole = 0;
    double real = 0;
    bool flag = false;
    const char *text = NULL;
    const cJSON *item = NULL;
    int index = -1;
    assert_int_equal(json_int(doc, "", "i", -5, 5, NULL, &whole), 0);
    assert_int_equal(whole, -5);
    assert_int_equal(json_real(doc, "", "r", 0, 1, NULL, &real), 0);
    assert_true(real == 0.25);
    assert_int_equal(json_bool(doc, "", "b", NULL, &flag), 0);
    assert_true(flag);
    assert_int_equal(json_string(doc, "", "s", 4, 4, NULL, &text), 0);
    assert_string_equal(text, "text");
    assert_int_equal(json_array(doc, "", "a", 2, 2, NULL, &item), 0);
    assert_int_equal(cJSON_GetArraySize(item), 2);
    assert_int_equal(json_object(doc, "", "o", NULL, &item), 0);
    assert_int_equal(json_enum(doc, "", "e", names, NULL, &index), 0);
    assert_int_equal(index, 1);
    assert_true(json_has(doc, "o"));
    assert_false(json_has(doc, "n"));
    assert_false(json_has(doc, "I"));
    cJSON_Delete(doc);
}

static void optional_members_may_be_absent(void **state) {
    cJSON *doc = parse("{\"n\":null,\"i\":\"x\",\"j\":4}");
    int64_t whole = 7;
    double real = 7;
    bool flag = true;
    const char *text = "kept";
    assert_int_equal(json_int_opt(doc, "", "n", 0, 1, NULL, &whole), 0);
    assert_int_equal(json_real_opt(doc, "", "absent", 0, 1, NULL, &real), 0);
    assert_int_equal(json_bool_opt(doc, "", "absent", NULL, &flag), 0);
    assert_int_equal(json_string_opt(doc, "", "absent", 0, 1, NULL, &text), 0);
    assert_int_equal(whole, 7);
    assert_true(real == 7 && flag);
    assert_string_equal(text, "kept");
    assert_int_equal(json_int_opt(doc, "", "i", 0, 1, NULL, &whole), ESP_EINVAL);
    assert_int_equal(json_int_opt(doc, "", "j", 0, 9, NULL, &whole), 0);
    assert_int_equal(whole, 4);
    cJSON_Delete(doc);
}

static void assert_err(struct err *err, int code, const char *pointer, const char *message) {
    assert_int_equal(code, ESP_EINVAL);
    assert_int_equal(err->code, ESP_EINVAL);
    assert_string_equal(err->pointer, pointer);
    assert_string_equal(err->message, message);
}

static void getters_say_what_is_wrong_and_where(void **state) {
    cJSON *doc = parse("{\"half\":1.5,\"minus\":-3,\"big\":1e300,\"s\":\"text\",\"slip\":\"tow\","
                       "\"a\":[1],\"o\":{}}");
    static const char *const names[] = {"one", "two", NULL};
    struct err err;
    int64_t whole = 7;
    double real = 7;
    bool flag;
    const char *text;
    const cJSON *item;
    int index;
    assert_err(&err, json_int(doc, "/stages/2", "depth", 1, 8, &err, &whole), "/stages/2/depth",
               "depth is missing");
    assert_err(&err, json_int(doc, "", "half", 0, 2, &err, &whole), "/half",
               "half must be an integer");
    assert_err(&err, json_int(doc, "", "big", 0, INT64_MAX, &err, &whole), "/big",
               "big must be an integer");
    assert_err(&err, json_real(doc, "", "half", 0, 1, &err, &real), "/half",
               "half must be from 0 to 1, not 1.5");
    assert_err(&err, json_real(doc, "", "half", 2, 1e18, &err, &real), "/half",
               "half must be at least 2, not 1.5");
    assert_err(&err, json_real(doc, "", "half", -1e18, 1, &err, &real), "/half",
               "half must be at most 1, not 1.5");
    assert_err(&err, json_real(doc, "", "big", 0, 1e18, &err, &real), "/big",
               "big must be a smaller number than 1e+300");
    assert_err(&err, json_int(doc, "", "minus", 1, INT64_MAX, &err, &whole), "/minus",
               "minus must be at least 1, not -3");
    assert_err(&err, json_int(doc, "", "minus", 1, 10000000, &err, &whole), "/minus",
               "minus must be from 1 to 10000000, not -3");
    assert_err(&err, json_real(doc, "", "s", 0, 1, &err, &real), "/s", "s must be a number");
    assert_err(&err, json_bool(doc, "", "s", &err, &flag), "/s", "s must be true or false");
    assert_err(&err, json_string(doc, "", "s", 5, 9, &err, &text), "/s",
               "s must have from 5 to 9 bytes, not 4");
    assert_err(&err, json_string(doc, "", "o", 0, 9, &err, &text), "/o", "o must be a string");
    assert_err(&err, json_array(doc, "", "a", 2, 3, &err, &item), "/a",
               "a must have from 2 to 3 items, not 1");
    assert_err(&err, json_object(doc, "", "a", &err, &item), "/a", "a must be an object");
    assert_err(&err, json_enum(doc, "", "s", names, &err, &index), "/s",
               "s must be one of: one, two, not \"text\"");
    assert_err(&err, json_enum(doc, "", "slip", names, &err, &index), "/slip",
               "slip must be one of: one, two, not \"tow\"; did you mean \"two\"?");
    assert_err(&err, json_enum(doc, "", "a", names, &err, &index), "/a",
               "a must be one of: one, two");
    assert_int_equal(whole, 7);
    assert_true(real == 7);
    cJSON_Delete(doc);
}

static void unknown_members_are_refused(void **state) {
    cJSON *doc = parse("{\"name\":1,\"na/me~\":2}"), *array = parse("[]");
    static const char *const some[] = {"name", NULL}, *const all[] = {"name", "na/me~", NULL};
    struct err err = {0};
    assert_err(&err, json_only(doc, "/x", some, &err), "/x/na~1me~0",
               "na/me~ is not known here; did you mean \"name\"? Known are: name");
    cJSON *slip = parse("{\"epcohs\":1}"), *other = parse("{\"colour\":1}");
    static const char *const words[] = {"epoch", "batch", "epochs", NULL};
    assert_err(
        &err, json_only(slip, "", words, &err), "/epcohs",
        "epcohs is not known here; did you mean \"epochs\"? Known are: epoch, batch, epochs");
    assert_err(&err, json_only(other, "", words, &err), "/colour",
               "colour is not known here; known are: epoch, batch, epochs");
    cJSON_Delete(slip);
    cJSON_Delete(other);
    assert_int_equal(json_only(doc, "/x", all, &err), 0);
    assert_err(&err, json_only(array, "/x", all, &err), "/x", "must be a JSON object");
    cJSON_Delete(doc);
    cJSON_Delete(array);
}

/* Keys come from outside: however long, the message stays within its room and valid. */
static void long_keys_are_cut(void **state) {
    char text[2048], key[1200];
    memset(key, '~', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    snprintf(text, sizeof(text), "{\"%s\":1}", key);
    cJSON *doc = parse(text);
    static const char *const some[] = {"name", NULL};
    struct err err = {0};
    assert_int_equal(json_only(doc, "", some, &err), ESP_EINVAL);
    assert_true(strlen(err.pointer) > 200);
    assert_non_null(strstr(err.message, "known are: name"));
    cJSON_Delete(doc);
}

/* Nor is a character cut in two, wherever the pointer's room ends. */
static void long_keys_are_cut_between_characters(void **state) {
    for (int before = 0; before < 3; before++) {
        char pointer[64] = "", key[200] = "";
        memset(key, 'a', (size_t)before);
        for (int i = 0; i < 60; i++)
            strcat(key, "\xe2\x82\xac"); /* the sign of the euro */
        json_pointer_add(pointer, sizeof(pointer), key);
        assert_true(utf8_valid(pointer, strlen(pointer)));
        assert_in_range(strlen(pointer), sizeof(pointer) - 5, sizeof(pointer) - 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_texts_are_refused),
        cmocka_unit_test(a_text_is_not_read_past_its_length),
        cmocka_unit_test(duplicate_keys_are_refused_however_written),
        cmocka_unit_test(a_number_that_is_refused_has_its_pointer),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(bytes_and_values_have_limits),
        cmocka_unit_test(printing_is_compact_and_exact),
        cmocka_unit_test(printing_survives_what_json_cannot_say),
        cmocka_unit_test(numbers_come_back_as_they_were),
        cmocka_unit_test(canonical_text_does_not_depend_on_order),
        cmocka_unit_test(getters_read_what_is_right),
        cmocka_unit_test(optional_members_may_be_absent),
        cmocka_unit_test(getters_say_what_is_wrong_and_where),
        cmocka_unit_test(unknown_members_are_refused),
        cmocka_unit_test(long_keys_are_cut),
        cmocka_unit_test(long_keys_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
