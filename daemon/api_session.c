/* Signing in: a browser exchanges a token for a session, which its cookie holds. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/store_sessions.h"

enum { SECRET_MAX = 200 };

static int read_token(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"token", NULL};
    const char *secret;
    struct token token;
    int r = json_only(call->body, "", keys, err);
    if (r == 0 && call->key != NULL)
        r = err_set(err, ESP_EINVAL, NULL,
                    "a session is not begun by an Idempotency-Key: the cookie is sent once");
    if (r == 0)
        r = json_string(call->body, "", "token", 1, SECRET_MAX, err, &secret);
    if (r == 0)
        r = store_token_find(call->sql, secret, err, &token);
    if (r == ESP_EUNAUTHORIZED)
        snprintf(err->pointer, sizeof(err->pointer), "/token");
    if (r == 0 && strcmp(token.kind, "api") != 0)
        r = err_set(
            err, ESP_EFORBIDDEN, "/token",
            "this is a token for %s; people sign in with one that `espalier token add` made",
            strcmp(token.kind, "worker") == 0 ? "a worker" : "enrolment");
    if (r == 0)
        snprintf(call->identity, sizeof(call->identity), "%s", token.id);
    return r;
}

static int begin_session(struct api_call *call, struct err *err) {
    int r = read_token(call, err);
    if (r == 0)
        r = store_session_begin(call->tx, call->identity, call->daemon->session_us, err,
                                call->new_session);
    if (r == 0)
        r = store_session_get(call->sql, call->identity, call->new_session, err, &call->answer);
    if (r != 0)
        return r;
    cJSON_AddStringToObject(call->answer, "by", "session");
    call->sets_session = true;
    call->status = 201;
    return 0;
}

static int get_session(struct api_call *call, struct err *err) {
    bool by_session = !call->has_bearer && call->session[0] != '\0';
    if (call->identity[0] != '\0') {
        int r = store_session_get(call->sql, call->identity, by_session ? call->session : NULL, err,
                                  &call->answer);
        if (r == 0)
            cJSON_AddStringToObject(call->answer, "by", by_session ? "session" : "token");
        return r;
    }
    call->answer = cJSON_CreateObject();
    cJSON_AddNullToObject(call->answer, "token");
    cJSON_AddStringToObject(call->answer, "label", "");
    cJSON_AddStringToObject(call->answer, "scope", api_scope_name(API_SCOPE_ADMIN));
    cJSON_AddNullToObject(call->answer, "expires_at");
    cJSON_AddStringToObject(call->answer, "by", "loopback");
    return 0;
}

/* Whoever is not signed in is signed out by it too: the cookie goes. */
static int end_session(struct api_call *call, struct err *err) {
    call->sets_session = true;
    return call->session[0] == '\0' ? 0 : store_session_end(call->tx, call->session, err);
}

const struct api_route api_session[] = {
    {"GET", "/api/v1/session", NULL, .read = get_session},
    {"POST", "/api/v1/session", NULL, .flags = WEB_PUBLIC, .write = begin_session},
    {"DELETE", "/api/v1/session", NULL, .flags = WEB_PUBLIC, .write = end_session},
    {.method = NULL}};
