#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "daemon/api.h"
#include "daemon/openapi.h"

/* Says which route daemon/openapi/ lacks, or describes in vain. */
static void test_describes_every_route_and_no_other(void **state) {
    struct err err = {0};
    char *text = NULL;
    if (openapi_print(&err, &text) != 0)
        fail_msg("%s", err.message);
    cJSON *doc = NULL;
    assert_int_equal(json_parse(text, strlen(text), NULL, &err, &doc), 0);
    const cJSON *paths = cJSON_GetObjectItem(doc, "paths"), *path;
    int described = 0, routes = 0;
    cJSON_ArrayForEach(path, paths) described += cJSON_GetArraySize(path);
    for (int noun = 0; api_nouns[noun] != NULL; noun++)
        for (const struct api_route *route = api_nouns[noun]; route->method != NULL; route++)
            routes++;
    assert_int_equal(described, routes);
    assert_null(cJSON_GetObjectItem(doc, "operations"));
    cJSON_Delete(doc);
    free(text);
}

/* What a route needs and takes comes of its row. */
static void test_takes_scopes_and_parameters_of_the_rows(void **state) {
    struct err err = {0};
    char *text = NULL;
    assert_int_equal(openapi_print(&err, &text), 0);
    cJSON *doc = cJSON_Parse(text), *paths = cJSON_GetObjectItem(doc, "paths");
    const cJSON *remove =
        cJSON_GetObjectItem(cJSON_GetObjectItem(paths, "/api/v1/searches/{id}"), "delete");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(remove, "x-scope")), "admin");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(remove, "operationId")),
                        "delete_searches_id");
    const cJSON *pieces =
        cJSON_GetObjectItem(cJSON_GetObjectItem(paths, "/api/v1/uploads/{id}/pieces"), "post");
    const cJSON *content =
        cJSON_GetObjectItem(cJSON_GetObjectItem(pieces, "requestBody"), "content");
    assert_non_null(cJSON_GetObjectItem(content, "application/octet-stream"));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(pieces, "parameters")),
                     4); /* of the path, two of the query, Idempotency-Key */
    const cJSON *sample =
        cJSON_GetObjectItem(cJSON_GetObjectItem(paths, "/api/v1/spaces/{name}/sample"), "post");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(sample, "parameters")), 1);
    const cJSON *health = cJSON_GetObjectItem(cJSON_GetObjectItem(paths, "/healthz"), "get");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(health, "security")), 0);
    cJSON_Delete(doc);
    free(text);
}

/* API.md lists each code once, and no other: a client may rely on them. */
static void test_the_manual_lists_every_code_of_a_problem(void **state) {
    struct err err = {0};
    char *text = NULL, *manual = NULL;
    size_t len = 0;
    assert_int_equal(openapi_print(&err, &text), 0);
    assert_int_equal(file_read(API_MD, 1 << 20, &err, &manual, &len), 0);
    cJSON *doc = cJSON_Parse(text);
    const cJSON *schemas = cJSON_GetObjectItem(cJSON_GetObjectItem(doc, "components"), "schemas");
    const cJSON *codes =
        cJSON_GetObjectItem(cJSON_GetObjectItem(schemas, "Code"), "x-extensible-enum");
    const cJSON *code;
    const char *table = strstr(manual, "\n## Codes of errors\n"), *end;
    assert_non_null(table);
    end = strstr(table + 1, "\n## ");
    assert_non_null(end);
    int rows = 0, listed = 0;
    cJSON_ArrayForEach(code, codes) {
        char row[64];
        int status = strcmp(code->valuestring, WEB_CODE_METHOD) == 0 ? 405
                     : strcmp(code->valuestring, WEB_CODE_MEDIA_TYPE) == 0
                         ? 415
                         : err_http_status(err_code(code->valuestring));
        snprintf(row, sizeof(row), "\n| `%s` | %d |", code->valuestring, status);
        const char *found = strstr(table, row);
        if (found == NULL || found > end)
            fail_msg("docs/API.md does not list the code %s", code->valuestring);
        listed++;
    }
    for (const char *p = table; (p = strstr(p, "\n| `")) != NULL && p < end; p++)
        rows++;
    assert_int_equal(rows, listed);
    cJSON_Delete(doc);
    free(manual);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describes_every_route_and_no_other),
        cmocka_unit_test(test_takes_scopes_and_parameters_of_the_rows),
        cmocka_unit_test(test_the_manual_lists_every_code_of_a_problem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
