#include "base/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/memory.h"

enum { DEFAULT_TIMEOUT_MS = 30000, CONNECT_TIMEOUT_MS = 10000 };
static const size_t default_response_limit = (size_t)16 << 20;

struct http_client {
    CURL *curl;
    char *base_url, *token;
    char *shown_url; /* as it was given */
    int retry_after_s;
};

/* By address, not by prefix: "127.example.org" is a name that anybody may own. */
static bool host_is_loopback(const char *host) {
    struct in_addr address;
    if (inet_pton(AF_INET, host, &address) == 1)
        return ntohl(address.s_addr) >> 24 == 127;
    return !strcasecmp(host, "localhost") || !strcmp(host, "[::1]") || !strcmp(host, "::1");
}

static const char unix_prefix[] = "unix:";

/* Checks scheme and host of the base URL; plain HTTP only to loopback unless allowed. */
static int check_url(const char *base_url, bool allow_plain, struct err *err) {
    int rc = 0;
    char *scheme = NULL, *host = NULL, *path = NULL;
    CURLU *url = curl_url();

    if (!url)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (curl_url_set(url, CURLUPART_URL, base_url, 0) ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) || curl_url_get(url, CURLUPART_PATH, &path, 0))
        rc = err_set(err, ESP_EINVAL, NULL,
                     "%s is not a URL of a daemon, such as http://127.0.0.1:8080", base_url);
    else if (strcmp(scheme, "http") && strcmp(scheme, "https"))
        rc = err_set(err, ESP_EINVAL, NULL, "%s: only http and https are spoken", base_url);
    else if (strcmp(path, "/"))
        rc = err_set(err, ESP_EINVAL, NULL, "%s: the daemon's address has no path", base_url);
    else if (!strcmp(scheme, "http") && !allow_plain && !host_is_loopback(host))
        rc = err_set(err, ESP_EINVAL, NULL,
                     "%s: plain http beyond this machine shows tokens to the network; use https, "
                     "or --insecure-lan",
                     base_url);
    curl_free(scheme);
    curl_free(host);
    curl_free(path);
    curl_url_cleanup(url);
    return rc;
}

int http_client_create(const struct http_client_options *options, struct err *err,
                       struct http_client **ret_client) {
    struct http_client *client = NULL;
    bool by_file = !strncmp(options->base_url, unix_prefix, strlen(unix_prefix));
    const char *path = by_file ? options->base_url + strlen(unix_prefix) : NULL;
    int rc = by_file ? 0 : check_url(options->base_url, options->allow_plain, err);

    if (by_file && !*path)
        rc = err_set(err, ESP_EINVAL, NULL, "unix: needs the path of the daemon's socket");
    if (rc)
        return rc;
    client = mem_array(1, sizeof(*client));
    if (!client)
        goto nomem;
    client->base_url = mem_strdup(by_file ? "http://localhost" : options->base_url);
    client->shown_url = mem_strdup(options->base_url);
    client->curl = curl_easy_init();
    if (!client->base_url || !client->shown_url || !client->curl)
        goto nomem;
    size_t len = strlen(client->base_url);
    if (len && client->base_url[len - 1] == '/')
        client->base_url[len - 1] = 0;
    if (options->token && (rc = http_client_set_token(client, options->token, err)))
        goto out;
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(client->curl, CURLOPT_PATH_AS_IS, 1L); /* a name may be ".." */
    curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(client->curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(client->curl, CURLOPT_USERAGENT,
                     options->user_agent ? options->user_agent : "espalier");
    if (by_file && curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, path)) {
        rc = err_set(err, ESP_EUNSUPPORTED, NULL, "this libcurl cannot use %s", options->base_url);
        goto out;
    }
    if (options->ca_file)
        curl_easy_setopt(client->curl, CURLOPT_CAINFO, options->ca_file);
    bool pinned = options->pinned_key &&
                  !curl_easy_setopt(client->curl, CURLOPT_PINNEDPUBLICKEY, options->pinned_key);
    if (options->pinned_key && !pinned) {
        http_client_destroy(client);
        return err_set(err, ESP_EUNSUPPORTED, NULL, "this libcurl cannot pin keys");
    }
    if (pinned && !options->ca_file) { /* who has the key is the daemon */
        curl_easy_setopt(client->curl, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(client->curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    *ret_client = client;
    return 0;
nomem:
    rc = err_set(err, ESP_ENOMEM, NULL, "out of memory");
out:
    http_client_destroy(client);
    return rc;
}

void http_client_destroy(struct http_client *client) {
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    free(client->base_url);
    free(client->shown_url);
    free(client->token);
    free(client);
}

int http_client_set_token(struct http_client *client, const char *token, struct err *err) {
    if (strpbrk(token, "\r\n"))
        return err_set(err, ESP_EINVAL, NULL, "a token has no line breaks");
    char *copy = mem_strdup(token);
    if (!copy)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    free(client->token);
    client->token = copy;
    return 0;
}

int http_client_retry_after(const struct http_client *client) {
    return client->retry_after_s;
}

/* What libcurl's callbacks write to during one exchange. */
struct receiver {
    struct http_client *client;
    const struct http_request *request;
    struct buf body;
    bool too_large, canceled;
};

static size_t on_write(char *data, size_t size, size_t count, void *context) {
    struct receiver *receiver = context;
    size_t len = size * count;
    long status = 0;

    curl_easy_getinfo(receiver->client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (receiver->request->on_data && status < 300) {
        receiver->canceled = receiver->request->on_data(receiver->request->context, data, len) != 0;
        return receiver->canceled ? 0 : len;
    }
    buf_append(&receiver->body, data, len);
    receiver->too_large =
        receiver->body.error == ESP_ELIMIT || receiver->body.error == ESP_ETOOLARGE;
    return receiver->body.error ? 0 : len;
}

static int on_progress(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up) {
    struct receiver *receiver = context;
    const volatile sig_atomic_t *stop = receiver->request->stop;

    receiver->canceled |= stop && *stop;
    return receiver->canceled;
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value,
                                     bool *failed) {
    struct buf line;
    buf_init(&line, 8192);
    buf_printf(&line, "%s: %s", name, value);
    struct curl_slist *longer = line.error ? NULL : curl_slist_append(list, line.data);
    buf_finish(&line);
    if (!longer)
        *failed = true;
    return longer ? longer : list;
}

static struct curl_slist *request_headers(const struct http_client *client,
                                          const struct http_request *request, bool *failed) {
    struct curl_slist *list = NULL;
    struct buf bearer;

    buf_init(&bearer, 8192);
    list = add_header(list, "Expect", "", failed);
    if (client->token) {
        buf_printf(&bearer, "Bearer %s", client->token);
        list = add_header(list, "Authorization", bearer.data ? bearer.data : "", failed);
    }
    if (request->body)
        list =
            add_header(list, "Content-Type",
                       request->content_type ? request->content_type : "application/json", failed);
    if (request->idempotency_key)
        list = add_header(list, "Idempotency-Key", request->idempotency_key, failed);
    if (request->last_event_id)
        list = add_header(list, "Last-Event-ID", request->last_event_id, failed);
    buf_finish(&bearer);
    return list;
}

static int transfer_error(CURLcode code, const struct receiver *receiver, struct err *err) {
    const char *url = receiver->client->shown_url;

    if (receiver->canceled)
        return err_set(err, ESP_ECANCELED, NULL, "the transfer was ended");
    if (receiver->too_large)
        return err_set(err, ESP_ETOOLARGE, NULL, "the answer of %s is larger than expected", url);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, ESP_ETIMEOUT, NULL, "%s did not answer in time", url);
    if (code == CURLE_OUT_OF_MEMORY || receiver->body.error)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return err_set(err, ESP_EUNREACHABLE, NULL, "cannot reach the daemon at %s: %s", url,
                   curl_easy_strerror(code));
}

static void set_request(CURL *curl, const struct http_request *request, struct receiver *receiver) {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, receiver);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, receiver);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, request->stop ? 0L : 1L);
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    } else if (!strcmp(request->method, "POST")) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
    } else {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
}

int http_client_send(struct http_client *client, const struct http_request *request,
                     struct err *err, struct http_response *ret_response) {
    struct receiver receiver = {.client = client, .request = request};
    struct curl_slist *headers = NULL;
    struct buf url;
    bool failed = false;
    int rc = 0;

    buf_init(&url, 8192);
    buf_init(&receiver.body,
             request->response_limit ? request->response_limit : default_response_limit);
    buf_printf(&url, "%s%s", client->base_url, request->path);
    headers = request_headers(client, request, &failed);
    if (failed || url.error) {
        rc = err_set(err, ESP_ELIMIT, NULL, "the request to %s is too long", client->base_url);
        goto out;
    }
    set_request(client->curl, request, &receiver);
    curl_easy_setopt(client->curl, CURLOPT_URL, url.data);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    CURLcode code = curl_easy_perform(client->curl);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
    if (code) {
        rc = transfer_error(code, &receiver, err);
        goto out;
    }
    long status = 0;
    curl_off_t wait = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &wait);
    client->retry_after_s = wait > 3600 ? 3600 : (int)wait;
    /* Taking the text empties the buffer, so its length is read before. */
    size_t len = receiver.body.len;
    *ret_response = (struct http_response){.status = (int)status,
                                           .body = len ? buf_take(&receiver.body) : NULL,
                                           .len = len,
                                           .retry_after_s = client->retry_after_s};
out:
    curl_slist_free_all(headers);
    buf_finish(&url);
    buf_finish(&receiver.body);
    return rc;
}

void http_response_finish(struct http_response *response) {
    free(response->body);
    *response = (struct http_response){0};
}

static int code_of_status(int status) {
#define STATUS_ROW(name, number, text, http)                                                       \
    if (status == (http))                                                                          \
        return name;
    ESP_ERRORS(STATUS_ROW)
#undef STATUS_ROW
    return status < 500 ? ESP_EINVAL : ESP_EINTERNAL;
}

static int code_of_name(const char *name, int status) {
#define NAME_ROW(code, number, text, http)                                                         \
    if (name && !strcmp(name, text))                                                               \
        return code;
    ESP_ERRORS(NAME_ROW)
#undef NAME_ROW
    return code_of_status(status);
}

static int problem_error(int status, const cJSON *doc, struct err *err) {
    const cJSON *errors = cJSON_GetObjectItemCaseSensitive(doc, "errors");
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "code"));
    const char *detail = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, "detail"));
    const cJSON *first = cJSON_GetArrayItem(errors, 0);
    const char *pointer = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(first, "pointer"));
    const char *parameter =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(first, "parameter"));
    char place[64];
    int code = code_of_name(name, status);

    if (!detail)
        return err_set(err, code, NULL, "the daemon answered with status %d", status);
    snprintf(place, sizeof(place), "?%.62s", parameter ? parameter : "");
    return err_set(err, code, pointer || !parameter ? pointer : place, "%s", detail);
}

int http_client_json(struct http_client *client, const struct http_exchange *exchange,
                     struct err *err, int *ret_status, cJSON **ret_doc) {
    struct http_response response = {0};
    struct http_request request = {.method = exchange->method,
                                   .path = exchange->path,
                                   .idempotency_key = exchange->idempotency_key,
                                   .timeout_ms = exchange->timeout_ms ? exchange->timeout_ms
                                                                      : DEFAULT_TIMEOUT_MS,
                                   .response_limit = exchange->response_limit,
                                   .stop = exchange->stop};
    char *body = NULL;
    cJSON *doc = NULL;
    int rc = 0;

    if (exchange->body) {
        body = json_print(exchange->body);
        if (!body)
            return err_set(err, ESP_ENOMEM, NULL, "out of memory");
        request.body = body;
        request.body_len = strlen(body);
    }
    rc = http_client_send(client, &request, err, &response);
    if (rc)
        goto out;
    *ret_status = response.status;
    size_t limit = exchange->response_limit ? exchange->response_limit : default_response_limit;
    struct json_limits limits = {.bytes = limit, .depth = 64, .nodes = limit / 4};
    if (response.body)
        rc = json_parse(response.body, response.len, &limits, err, &doc);
    if (response.status >= 400)
        rc = problem_error(response.status, doc, err);
    else if (rc)
        rc = err_prefix(err, rc, "the daemon's answer");
    if (!rc && ret_doc) {
        *ret_doc = doc;
        doc = NULL;
    }
out:
    cJSON_Delete(doc);
    http_response_finish(&response);
    free(body);
    return rc;
}
