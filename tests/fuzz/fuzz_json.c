/* What the strict parser takes, the printer must write so that the parser takes it again, and as
 * the same bytes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "tests/fuzz/fuzz.h"

static void check_round_trip(const cJSON *doc, char *(*print)(const cJSON *)) {
    const struct json_limits wide = {.bytes = 64u << 20, .depth = 500, .nodes = 1u << 24};
    char *first = print(doc);
    assert(first && utf8_valid(first, strlen(first)));
    cJSON *again = NULL;
    int code = json_parse(first, strlen(first), &wide, NULL, &again);
    assert(code == 0);
    char *second = print(again);
    assert(second && strcmp(first, second) == 0);
    free(first);
    free(second);
    cJSON_Delete(again);
}

int fuzz_one(const uint8_t *data, size_t size) {
    cJSON *doc = NULL;
    struct err err = {0};
    if (json_parse((const char *)data, size, NULL, &err, &doc) < 0) {
        assert(!doc && err.code && err.message[0] && utf8_valid(err.pointer, strlen(err.pointer)));
        return 0;
    }
    check_round_trip(doc, json_print);
    check_round_trip(doc, json_print_canonical);
    cJSON_Delete(doc);
    return 0;
}
