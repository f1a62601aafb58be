#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/store_jobs.h"
#include "daemon/store_webhooks.h"

enum { URL_MAX = 2000 };

/* ---- what is asked for ----------------------------------------------------------------------- */

static int refuse_url(struct err *err, const char *why) {
    return err_set(err, ESP_EINVAL, "/url", "%s", why);
}

/* The host's name is not resolved here: it may lead elsewhere by the time that it counts. */
static int check_host(const struct daemon *daemon, CURLU *url, struct err *err) {
    char *host = NULL;
    if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        return refuse_url(err, "a URL such as https://example.org/hook is needed");
    const char *what = webhook_host_refusal(host, &daemon->webhook_ranges);
    int r = what == NULL ? 0
                         : err_set(err, ESP_EINVAL, "/url",
                                   "%.100s is %s, which espalierd --webhook-allow does not list",
                                   host, what);
    curl_free(host);
    return r;
}

static bool has_part(CURLU *url, CURLUPart part) {
    char *text = NULL;
    bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

static int check_url(const struct daemon *daemon, const char *text, struct err *err) {
    CURLU *url = curl_url();
    char *scheme = NULL;
    if (url == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int r = 0;
    if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
        r = refuse_url(err, "a URL such as https://example.org/hook is needed");
    else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        r = refuse_url(err, "webhooks are sent by https and http only");
    else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
        r = refuse_url(err, "a webhook's URL has no user and password: its signature says that it "
                            "is from here");
    else if (has_part(url, CURLUPART_FRAGMENT))
        r = refuse_url(err, "what follows # in a URL is never sent");
    else
        r = check_host(daemon, url, err);
    curl_free(scheme);
    curl_url_cleanup(url);
    return r;
}

/* An optional list of distinct words of these. */
static int read_words(const cJSON *body, const char *key, const char *const *words, struct err *err,
                      const cJSON **ret) {
    const cJSON *list = NULL, *item;
    unsigned seen = 0;
    char at[16], pointer[48];
    int i = 0, word = 0;
    int r = json_has(body, key) ? json_array(body, "", key, 1, 16, err, &list) : 0;
    snprintf(at, sizeof(at), "/%s", key);
    cJSON_ArrayForEach(item, list) {
        const char *text = cJSON_GetStringValue(item);
        for (word = 0; words[word] != NULL && (text == NULL || strcmp(words[word], text) != 0);)
            word++;
        snprintf(pointer, sizeof(pointer), "%s/%d", at, i++);
        if (r == 0 && words[word] == NULL)
            r = err_set(err, ESP_EINVAL, pointer, "there are \"%s\" and others, not this",
                        words[0]);
        else if (r == 0 && (seen >> word & 1) != 0)
            r = err_set(err, ESP_EINVAL, pointer, "\"%s\" is there twice", text);
        seen |= 1u << word;
    }
    if (r == 0)
        *ret = list;
    return r;
}

static int create_webhook(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"url", "label", "events", "kinds", NULL};
    struct webhook_request request = {.label = ""};
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_string(call->body, "", "url", 1, URL_MAX, err, &request.url);
    if (r == 0)
        r = check_url(call->daemon, request.url, err);
    if (r == 0)
        r = json_string_opt(call->body, "", "label", 0, API_NAME_MAX, err, &request.label);
    if (r == 0)
        r = read_words(call->body, "events", store_webhook_types, err, &request.events);
    if (r == 0)
        r = read_words(call->body, "kinds", store_job_kinds, err, &request.kinds);
    if (r == 0)
        r = store_webhook_create(call->tx, &request, err, &call->answer);
    call->status = 201;
    return r;
}

/* A list as above, or null for all. */
static int read_words_or_all(const cJSON *body, const char *key, const char *const *words,
                             struct err *err, const cJSON **ret) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(body, key);
    if (!cJSON_IsNull(item))
        return read_words(body, key, words, err, ret);
    *ret = item;
    return 0;
}

/* Of a member that everything has: null would be no change without a word. */
static int refuse_null(const cJSON *body, const char *key, struct err *err) {
    char pointer[16];
    snprintf(pointer, sizeof(pointer), "/%s", key);
    return cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(body, key))
               ? err_set(err, ESP_EINVAL, pointer,
                         "a webhook always has one: leave it out to keep it as it is")
               : 0;
}

static int read_patch(const struct api_call *call, struct err *err, struct webhook_patch *patch) {
    static const char *const keys[] = {"url", "label", "events", "kinds", "state", NULL};
    static const char *const kept[] = {"url", "label", "state", NULL};
    static const char *const states[] = {"enabled", "disabled", NULL};
    const cJSON *body = call->body;
    int state = 0, r = json_only(body, "", keys, err);
    for (int i = 0; kept[i] != NULL && r == 0; i++)
        r = refuse_null(body, kept[i], err);
    if (r == 0)
        r = json_string_opt(body, "", "url", 1, URL_MAX, err, &patch->url);
    if (r == 0 && patch->url != NULL)
        r = check_url(call->daemon, patch->url, err);
    if (r == 0)
        r = json_string_opt(body, "", "label", 0, API_NAME_MAX, err, &patch->label);
    if (r == 0)
        r = read_words_or_all(body, "events", store_webhook_types, err, &patch->events);
    if (r == 0)
        r = read_words_or_all(body, "kinds", store_job_kinds, err, &patch->kinds);
    if (r == 0 && json_has(body, "state")) {
        r = json_enum(body, "", "state", states, err, &state);
        patch->state = states[state];
    }
    return r;
}

static int patch_webhook(struct api_call *call, struct err *err) {
    struct webhook_patch patch = {.url = NULL};
    int r = read_patch(call, err, &patch);
    if (r == 0)
        r = store_webhook_patch(call->tx, call->id, &patch, err);
    return r != 0 ? r : store_webhook_get(call->sql, call->id, err, &call->answer);
}

static int rotate_secret(struct api_call *call, struct err *err) {
    int r = json_only(call->body, "", (const char *const[]){NULL}, err);
    return r != 0 ? r : store_webhook_rotate(call->tx, call->id, err, &call->answer);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int get_webhook(struct api_call *call, struct err *err) {
    return store_webhook_get(call->sql, call->id, err, &call->answer);
}

static int list_webhooks(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "wh_", err, &page);
    return r != 0 ? r : store_webhook_list(call->sql, &page, err, &call->answer);
}

static int delete_webhook(struct api_call *call, struct err *err) {
    return store_webhook_delete(call->tx, call->id, err);
}

static int enable_webhook(struct api_call *call, struct err *err) {
    int r = json_only(call->body, "", (const char *const[]){NULL}, err);
    if (r == 0)
        r = store_webhook_enable(call->tx, call->id, err);
    return r != 0 ? r : store_webhook_get(call->sql, call->id, err, &call->answer);
}

static int test_webhook(struct api_call *call, struct err *err) {
    int r = json_only(call->body, "", (const char *const[]){NULL}, err);
    call->status = 202;
    return r != 0 ? r : store_webhook_test(call->tx, call->id, err, &call->answer);
}

static int list_deliveries(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "whd_", err, &page);
    if (r == 0)
        r = api_query_word(call, "state", store_delivery_states, err);
    return r != 0 ? r
                  : store_webhook_deliveries(call->sql, call->id, &page, api_query(call, "state"),
                                             err, &call->answer);
}

/* What is sent and arrives is nobody's change. */
static const char *const state_members[] = {"id", "url", "label", "events", "kinds", "state", NULL};

const struct api_route api_webhooks[] = {
    {"GET", "/api/v1/webhooks", "page_size,after", .scope = API_SCOPE_ADMIN, .read = list_webhooks},
    {"POST", "/api/v1/webhooks", NULL, .scope = API_SCOPE_ADMIN, .write = create_webhook},
    {"GET", "/api/v1/webhooks/{id}", NULL, .scope = API_SCOPE_ADMIN, .read = get_webhook,
     .state_members = state_members},
    {"PATCH", "/api/v1/webhooks/{id}", NULL, .scope = API_SCOPE_ADMIN, .write = patch_webhook},
    {"DELETE", "/api/v1/webhooks/{id}", NULL, .scope = API_SCOPE_ADMIN, .write = delete_webhook},
    {"POST", "/api/v1/webhooks/{id}/enable", NULL, .scope = API_SCOPE_ADMIN,
     .write = enable_webhook},
    {"POST", "/api/v1/webhooks/{id}/rotate", NULL, .scope = API_SCOPE_ADMIN,
     .write = rotate_secret},
    {"POST", "/api/v1/webhooks/{id}/test", NULL, .scope = API_SCOPE_ADMIN, .write = test_webhook},
    {"GET", "/api/v1/webhooks/{id}/deliveries", "state,page_size,after", .scope = API_SCOPE_ADMIN,
     .read = list_deliveries},
    {.method = NULL}};
