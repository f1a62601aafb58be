#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/store_tokens.h"
#include "web/guard.h"

static const char *const kinds[] = {"enrolment", "api", NULL};

/* The one line to run on the board. Over loopback it is for this machine; what a board elsewhere
 * would have to dial, only the person knows, so the Host that they used is the best guess. */
static void add_command(const struct api_call *call, cJSON *doc) {
    char command[512];
    const char *host = api_host(call);
    snprintf(command, sizeof(command), "espalier-worker --daemon http://%s --enrol %s%s", host,
             cJSON_GetStringValue(cJSON_GetObjectItem(doc, "token")),
             guard_host_is_loopback(host) ? "" : " --insecure-lan");
    cJSON_AddStringToObject(doc, "command", command);
}

static int create_token(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"kind", "uses", "expires_in_s", "label", NULL};
    struct token_request request = {.label = "", .uses = 1, .expires_in_s = 3600};
    int kind = 0;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_enum(call->body, "", "kind", kinds, err, &kind);
    request.kind = kinds[kind];
    if (r == 0 && kind == 1) { /* a person's token is good until it is revoked, unless they say */
        request.uses = 0;
        request.expires_in_s = 0;
    }
    if (r == 0)
        r = json_int_opt(call->body, "", "uses", 1, 10000, err, &request.uses);
    if (r == 0 && kind == 1 && json_has(call->body, "uses"))
        r = err_set(err, ESP_EINVAL, "/uses",
                    "a token of kind api is good until it expires or is revoked: uses are counted "
                    "of enrolment tokens only");
    if (r == 0)
        r = json_int_opt(call->body, "", "expires_in_s", 1, 10 * 365 * 86400, err,
                         &request.expires_in_s);
    if (r == 0)
        r = json_string_opt(call->body, "", "label", 0, API_NAME_MAX, err, &request.label);
    if (r == 0)
        r = store_token_create(call->tx, &request, err, &call->answer, NULL);
    if (r == 0 && kind == 0)
        add_command(call, call->answer);
    call->status = 201;
    return r;
}

static int list_tokens(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, err, &page);
    return r != 0 ? r : store_token_list(call->sql, &page, err, &call->answer);
}

static int delete_token(struct api_call *call, struct err *err) {
    return store_token_delete(call->tx, call->id, err);
}

const struct api_route api_tokens[] = {
    {"GET", "/api/v1/tokens", "page_size,after", .read = list_tokens},
    {"POST", "/api/v1/tokens", NULL, .write = create_token},
    {"DELETE", "/api/v1/tokens/{id}", NULL, .write = delete_token},
    {.method = NULL}};
