#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/enrol_command.h"
#include "daemon/store_tokens.h"
#include "daemon/worker_builds.h"
#include "web/tls.h"

enum { ENROLMENT_S = 15 * 60 };

static const char *const kinds[] = {"enrolment", "api", NULL};
static const char *const of_enrolment[] = {"uses", "name", "address", "service", NULL};

/* What the pool makes ready for the write. */
struct prepared {
    char address[ENROL_ADDRESS_MAX], installer[HASH_TEXT_LONG]; /* installer: its SHA-256, "" */
    bool service;
};

static int read_scope(const struct api_call *call, struct err *err, struct token_request *request) {
    int scope = API_SCOPE_SUBMIT - API_SCOPE_READ;
    int r = json_has(call->body, "scope")
                ? json_enum(call->body, "", "scope", api_scope_names, err, &scope)
                : 0;
    request->scope = api_scope_names[scope];
    return r;
}

static int read_request(struct api_call *call, struct err *err, struct token_request *ret) {
    static const char *const keys[] = {
        "kind", "scope", "uses", "expires_in_s", "label", "name", "address", "service", NULL};
    struct token_request request = {.label = "", .uses = 1, .expires_in_s = ENROLMENT_S};
    int kind = 0;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_enum(call->body, "", "kind", kinds, err, &kind);
    request.kind = kinds[kind];
    if (r == 0 && kind == 1)
        r = read_scope(call, err, &request);
    else if (r == 0 && json_has(call->body, "scope"))
        r = err_set(err, ESP_EINVAL, "/scope", "an enrolment token is good for nothing else");
    if (r == 0 && kind == 1) { /* a person's token is good until it is revoked, unless they say */
        request.uses = 0;
        request.expires_in_s = 0;
    }
    if (r == 0)
        r = json_int_opt(call->body, "", "uses", 1, 10000, err, &request.uses);
    for (int i = 0; r == 0 && kind == 1 && of_enrolment[i] != NULL; i++)
        if (json_has(call->body, of_enrolment[i])) {
            char pointer[16];
            snprintf(pointer, sizeof(pointer), "/%s", of_enrolment[i]);
            r = err_set(err, ESP_EINVAL, pointer,
                        "%s belongs to enrolment tokens; a token of kind api is good until it "
                        "expires or is revoked",
                        of_enrolment[i]);
        }
    if (r == 0)
        r = json_int_opt(call->body, "", "expires_in_s", 1, 10 * 365 * 86400, err,
                         &request.expires_in_s);
    if (r == 0)
        r = json_string_opt(call->body, "", "label", 0, API_NAME_MAX, err, &request.label);
    if (r == 0 && json_has(call->body, "name"))
        r = api_name(call->body, err, &request.name);
    if (r == 0)
        *ret = request;
    return r;
}

/* In the pool: to find the workers reads files. */
static int prepare_token(struct api_call *call, struct err *err) {
    const char *address = NULL;
    struct token_request request;
    struct buf script;
    int n = 0;
    int r = read_request(call, err, &request);
    if (r == 0)
        r = json_string_opt(call->body, "", "address", 1, ENROL_ADDRESS_MAX - 1, err, &address);
    struct prepared *prepared = r == 0 ? mem_array(1, sizeof(*prepared)) : NULL;
    if (r == 0 && prepared == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r != 0)
        return r;
    call->state = prepared;
    call->state_destroy = free;
    r = json_bool_opt(call->body, "", "service", err, &prepared->service);
    if (r == 0)
        r = enrol_address(call->daemon, address, call->host, err, prepared->address);
    buf_init(&script, 0);
    if (r == 0)
        r = worker_builds_installer(call->daemon->builds, err, &script, &n);
    if (r == 0 && n > 0)
        hash_sha256(script.data, script.len, prepared->installer);
    buf_finish(&script);
    return r;
}

static int add_command(const struct api_call *call, struct err *err, cJSON *doc) {
    const struct prepared *prepared = call->state;
    const struct enrol_command command = {
        .address = prepared->address,
        .token = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "token")),
        .ticket = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "id")),
        .installer_sha256 = prepared->installer[0] != '\0' ? prepared->installer : NULL,
        .pin = call->daemon->tls != NULL ? call->daemon->tls->pin : NULL,
        .service = prepared->service};
    struct enrol_notices notices;
    struct buf text;
    buf_init(&text, 0);
    enrol_command_print(&command, &text);
    int r = text.error != 0 ? err_set(err, ESP_ENOMEM, NULL, "out of memory") : 0;
    if (r == 0)
        cJSON_AddStringToObject(doc, "command", text.data);
    buf_finish(&text);
    enrol_notices(call->daemon, &command, &notices);
    cJSON *list = cJSON_AddArrayToObject(doc, "notices");
    for (int i = 0; i < notices.n; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(notices.text[i]));
    return r;
}

static int create_token(struct api_call *call, struct err *err) {
    struct token_request request;
    int r = read_request(call, err, &request);
    if (r == 0)
        r = store_token_create(call->tx, &request, err, &call->answer, NULL);
    if (r == 0 && strcmp(request.kind, "enrolment") == 0)
        r = add_command(call, err, call->answer);
    call->status = 201;
    return r;
}

static int get_token(struct api_call *call, struct err *err) {
    return store_token_get(call->sql, call->id, err, &call->answer);
}

static int list_tokens(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "tok_", err, &page);
    return r != 0 ? r : store_token_list(call->sql, &page, err, &call->answer);
}

static int delete_token(struct api_call *call, struct err *err) {
    return store_token_delete(call->tx, call->id, err);
}

const struct api_route api_tokens[] = {
    {"GET", "/api/v1/tokens", "page_size,after", .scope = API_SCOPE_ADMIN, .read = list_tokens},
    {"POST", "/api/v1/tokens", NULL, .scope = API_SCOPE_ADMIN, .read = prepare_token,
     .write = create_token},
    {"GET", "/api/v1/tokens/{id}", NULL, .scope = API_SCOPE_ADMIN, .read = get_token,
     .by_key = api_by_key},
    {"DELETE", "/api/v1/tokens/{id}", NULL, .write = delete_token},
    {.method = NULL}};
