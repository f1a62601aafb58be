#include "daemon/openapi.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/openapi_text.h"

static cJSON *reference(const char *part, const char *name) {
    char text[160];
    cJSON *doc = cJSON_CreateObject();
    snprintf(text, sizeof(text), "#/components/%s/%s", part, name);
    cJSON_AddStringToObject(doc, "$ref", text);
    return doc;
}

/* "get_jobs_id_log" for GET /api/v1/jobs/{id}/log. */
static void add_id(cJSON *operation, const struct api_route *route) {
    char text[128];
    size_t len = 0;
    const char *path = route->path;
    if (strncmp(path, "/api/v1", 7) == 0)
        path += 7;
    for (const char *p = route->method; *p != '\0' && len < sizeof(text) - 1; p++)
        text[len++] = (char)tolower((unsigned char)*p);
    for (; *path != '\0' && len < sizeof(text) - 1; path++)
        if (strchr("{}", *path) == NULL)
            text[len++] = (char)(isalnum((unsigned char)*path) ? *path : '_');
    text[len] = '\0';
    cJSON_AddStringToObject(operation, "operationId", text);
}

/* A parameter as the noun's file describes it for this route, or as all routes have it. */
static int add_parameter(cJSON *list, const cJSON *about, const cJSON *whole, const char *name,
                         struct err *err) {
    const cJSON *own = cJSON_GetObjectItem(cJSON_GetObjectItem(about, "parameters"), name);
    if (own == NULL) {
        if (cJSON_GetObjectItem(cJSON_GetObjectItem(whole, "parameters"), name) == NULL)
            return err_set(err, ESP_EINTERNAL, NULL, "the parameter %s is not described", name);
        cJSON_AddItemToArray(list, reference("parameters", name));
        return 0;
    }
    cJSON *parameter = cJSON_Duplicate(own, true);
    cJSON_AddStringToObject(parameter, "name", name);
    if (cJSON_GetObjectItem(parameter, "in") == NULL)
        cJSON_AddStringToObject(parameter, "in", "query");
    cJSON_AddItemToArray(list, parameter);
    return 0;
}

static int add_query(cJSON *list, const cJSON *about, const cJSON *whole, const char *words,
                     struct err *err) {
    int r = 0;
    while (r == 0 && words != NULL && *words != '\0') {
        char name[32];
        size_t len = strcspn(words, ",");
        snprintf(name, sizeof(name), "%.*s", (int)len, words);
        r = add_parameter(list, about, whole, name, err);
        words += len + (words[len] == ',');
    }
    return r;
}

/* {id} and the like: whole segments. */
static void add_path_parameters(cJSON *list, const cJSON *about, const char *path) {
    for (const char *open = strchr(path, '{'); open != NULL; open = strchr(open + 1, '{')) {
        char name[32];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(open + 1, "}"), open + 1);
        cJSON *parameter = cJSON_CreateObject(), *schema = cJSON_CreateObject();
        cJSON_AddStringToObject(parameter, "name", name);
        cJSON_AddStringToObject(parameter, "in", "path");
        cJSON_AddTrueToObject(parameter, "required");
        cJSON_AddStringToObject(schema, "type", "string");
        cJSON_AddItemToObject(parameter, "schema", schema);
        const cJSON *text = cJSON_GetObjectItem(about, "names");
        cJSON_AddStringToObject(parameter, "description",
                                cJSON_IsString(text) ? text->valuestring
                                                     : "Its id, or its name where it has one.");
        cJSON_AddItemToArray(list, parameter);
    }
}

/* Its answer has an ETag: JSON, or what says so. */
static bool tagged(const struct api_route *route, const cJSON *about) {
    const cJSON *answer;
    if (cJSON_IsTrue(cJSON_GetObjectItem(about, "etag")))
        return true;
    cJSON_ArrayForEach(answer, cJSON_GetObjectItem(about, "answers")) {
        if (cJSON_IsString(answer) && strchr(answer->valuestring, '/') != NULL)
            return false; /* a file or a text is sent as it is */
    }
    return strcmp(route->method, "GET") == 0 && route->read != NULL;
}

static int add_parameters(cJSON *operation, const struct api_route *route, const cJSON *about,
                          const cJSON *whole, struct err *err) {
    cJSON *list = cJSON_AddArrayToObject(operation, "parameters");
    add_path_parameters(list, about, route->path);
    int r = add_query(list, about, whole, route->query, err);
    if (r == 0 && api_takes_key(route))
        r = add_parameter(list, about, whole, "Idempotency-Key", err);
    if (r == 0 && tagged(route, about))
        r = add_parameter(list, about, whole, "If-None-Match", err);
    if (r == 0 && api_takes_if_match(route))
        r = add_parameter(list, about, whole, "If-Match", err);
    if (r == 0)
        r = add_query(list, about, whole,
                      cJSON_GetStringValue(cJSON_GetObjectItem(about, "headers")), err);
    if (cJSON_GetArraySize(list) == 0)
        cJSON_DeleteItemFromObject(operation, "parameters");
    return r;
}

/* {"content": {type: {"schema": …}}}; name is a schema's, or a media type for what is no JSON, with
 * a schema behind it where it has one: "text/event-stream Event". */
static void add_content(cJSON *to, const char *name) {
    char type[64] = "application/json";
    const char *schema = name;
    if (strchr(name, '/') != NULL) {
        size_t len = strcspn(name, " ");
        snprintf(type, sizeof(type), "%.*s", (int)len, name);
        schema = name[len] == ' ' ? name + len + 1 : NULL;
    }
    cJSON *media = cJSON_AddObjectToObject(cJSON_AddObjectToObject(to, "content"), type);
    if (schema != NULL) {
        cJSON_AddItemToObject(media, "schema", reference("schemas", schema));
        return;
    }
    cJSON *string = cJSON_AddObjectToObject(media, "schema");
    cJSON_AddStringToObject(string, "type", "string");
    if (strncmp(type, "text/", 5) != 0)
        cJSON_AddStringToObject(string, "format", "binary");
}

static void add_body(cJSON *operation, const struct api_route *route, const cJSON *about) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(about, "body"));
    bool raw = (route->flags & WEB_RAW) != 0;
    if (strcmp(route->method, "POST") != 0 && strcmp(route->method, "PATCH") != 0)
        return;
    cJSON *body = cJSON_AddObjectToObject(operation, "requestBody");
    cJSON_AddBoolToObject(body, "required", raw || name != NULL);
    add_content(body, raw ? "application/octet-stream" : name != NULL ? name : "Empty");
}

static void add_answers(cJSON *operation, const struct api_route *route, const cJSON *about) {
    cJSON *responses = cJSON_AddObjectToObject(operation, "responses");
    const cJSON *answer;
    cJSON_ArrayForEach(answer, cJSON_GetObjectItem(about, "answers")) {
        cJSON *response = cJSON_AddObjectToObject(responses, answer->string);
        cJSON_AddStringToObject(response, "description",
                                cJSON_IsString(answer) ? "What was asked for." : "Done.");
        if (cJSON_IsString(answer))
            add_content(response, answer->valuestring);
    }
    if (tagged(route, about))
        cJSON_AddItemToObject(responses, "304", reference("responses", "NotModified"));
    cJSON_AddItemToObject(responses, "4XX", reference("responses", "Problem"));
    cJSON_AddItemToObject(responses, "5XX", reference("responses", "Problem"));
}

static void add_scheme(cJSON *list, const char *name) {
    cJSON *scheme = cJSON_CreateObject();
    if (name != NULL)
        cJSON_AddArrayToObject(scheme, name);
    cJSON_AddItemToArray(list, scheme);
}

static void add_security(cJSON *operation, const struct api_route *route) {
    cJSON *list = cJSON_AddArrayToObject(operation, "security");
    if ((route->flags & WEB_PUBLIC) != 0)
        return;
    if ((route->flags & WEB_WORKER) != 0) {
        add_scheme(list, "worker");
        return;
    }
    add_scheme(list, "token");
    add_scheme(list, "session");
    add_scheme(list, NULL); /* on loopback */
    cJSON_AddStringToObject(operation, "x-scope", api_scope_name(api_scope(route)));
}

static int add_route(cJSON *paths, cJSON *whole, const struct api_route *route, struct err *err) {
    char key[256], method[8] = "";
    snprintf(key, sizeof(key), "%s %s", route->method, route->path);
    cJSON *about =
        cJSON_DetachItemFromObjectCaseSensitive(cJSON_GetObjectItem(whole, "operations"), key);
    if (about == NULL)
        return err_set(err, ESP_EINTERNAL, NULL, "daemon/openapi/ does not describe %s", key);
    cJSON *path = cJSON_GetObjectItemCaseSensitive(paths, route->path);
    if (path == NULL)
        path = cJSON_AddObjectToObject(paths, route->path);
    for (size_t i = 0; i < sizeof(method) - 1 && route->method[i] != '\0'; i++)
        method[i] = (char)tolower((unsigned char)route->method[i]);
    cJSON *operation = cJSON_AddObjectToObject(path, method);
    add_id(operation, route);
    cJSON *tags = cJSON_AddArrayToObject(operation, "tags");
    cJSON_AddItemToArray(tags, cJSON_DetachItemFromObject(about, "tag"));
    cJSON_AddItemToObject(operation, "summary", cJSON_DetachItemFromObject(about, "summary"));
    if (cJSON_GetObjectItem(about, "description") != NULL)
        cJSON_AddItemToObject(operation, "description",
                              cJSON_DetachItemFromObject(about, "description"));
    int r = add_parameters(operation, route, about, whole, err);
    add_body(operation, route, about);
    add_answers(operation, route, about);
    add_security(operation, route);
    cJSON_Delete(about);
    return r;
}

static int add_routes(cJSON *whole, struct err *err) {
    cJSON *paths = cJSON_AddObjectToObject(whole, "paths");
    int r = 0;
    for (int noun = 0; api_nouns[noun] != NULL && r == 0; noun++)
        for (const struct api_route *route = api_nouns[noun]; route->method != NULL && r == 0;
             route++)
            r = add_route(paths, whole, route, err);
    const cJSON *left = cJSON_GetObjectItem(whole, "operations")->child;
    if (r == 0 && left != NULL)
        r = err_set(err, ESP_EINTERNAL, NULL, "daemon/openapi/ describes %s, which is no route",
                    left->string);
    cJSON_DeleteItemFromObject(whole, "operations");
    return r;
}

/* No "enum", which would have clients refuse those to come; the tests of the API take it for one.
 */
static void add_codes(cJSON *whole) {
    cJSON *code = cJSON_GetObjectItem(cJSON_GetObjectItem(whole, "schemas"), "Code");
    cJSON *words = cJSON_AddArrayToObject(code, "x-extensible-enum");
    for (const char *const *name = err_names; *name != NULL; name++)
        cJSON_AddItemToArray(words, cJSON_CreateString(*name));
    cJSON_AddItemToArray(words, cJSON_CreateString(WEB_CODE_METHOD));
    cJSON_AddItemToArray(words, cJSON_CreateString(WEB_CODE_MEDIA_TYPE));
}

/* What the files give by parts stands under components. */
static void move_components(cJSON *whole) {
    static const char *const parts[] = {"schemas", "parameters", "responses", "securitySchemes"};
    cJSON *components = cJSON_AddObjectToObject(whole, "components");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        cJSON_AddItemToObject(components, parts[i], cJSON_DetachItemFromObject(whole, parts[i]));
}

int openapi_print(struct err *err, char **ret_text) {
    cJSON *whole = cJSON_Parse(openapi_text);
    if (whole == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    cJSON_AddStringToObject(cJSON_GetObjectItem(whole, "info"), "version", ESP_VERSION);
    int r = add_routes(whole, err);
    add_codes(whole);
    move_components(whole);
    char *text = r == 0 ? json_print(whole) : NULL;
    cJSON_Delete(whole);
    if (r == 0 && text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    *ret_text = r == 0 ? text : *ret_text;
    return r;
}
