/* HTTP client of the command line and the worker, over libcurl: JSON requests to one daemon,
 * bounded answers, problem+json turned into struct err. Who answers is always checked: by
 * certificate, by the daemon's public key, or both. */
#pragma once

#include <cjson/cJSON.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct http_client;

struct http_client_options {
    const char *base_url;   /* "http://127.0.0.1:8080", without a path; or "unix:/run/x.sock" */
    const char *token;      /* bearer token; NULL: none. Copied. */
    const char *ca_file;    /* NULL: the system's authorities */
    const char *pinned_key; /* "sha256//…" as libcurl takes it; NULL: none. Without ca_file it is
                               enough that the daemon has this key, whoever signed it */
    const char *user_agent;
    bool allow_plain; /* plain HTTP beyond loopback; otherwise refused with ESP_EINVAL */
};
/* Errors: ESP_EINVAL (URL), ESP_ENOMEM. Not thread-safe: one client a thread. */
int http_client_create(const struct http_client_options *options, struct err *err,
                       struct http_client **ret_client);
void http_client_destroy(struct http_client *client); /* takes NULL */
int http_client_set_token(struct http_client *client, const char *token, struct err *err);

struct http_request {
    const char *method, *path; /* path with query, from "/" */
    const char *body;          /* borrowed; NULL: none */
    size_t body_len;
    const char *content_type;    /* of the body; NULL: application/json */
    const char *idempotency_key; /* NULL: none */
    const char *last_event_id;   /* NULL: none */
    int64_t timeout_ms;          /* of the whole exchange; 0: none (streams) */
    size_t response_limit;       /* bytes kept; 0: 16 MiB. Not for streams. */
    /* Called with each piece of a 2xx answer instead of keeping it; another value than 0 ends the
     * exchange with ESP_ECANCELED. */
    int (*on_data)(void *context, const char *data, size_t len);
    void *context;
    /* Looked at about once a second: not 0 ends the exchange with ESP_ECANCELED. NULL: none. */
    const volatile sig_atomic_t *stop;
};

struct http_response {
    int status; /* HTTP status */
    char *body; /* owned, NUL-terminated; NULL when empty or streamed. http_response_finish */
    size_t len;
    int retry_after_s; /* 0: none */
};
/* Any HTTP status is success here. Errors: ESP_EUNREACHABLE, ESP_ETIMEOUT, ESP_ETOOLARGE,
 * ESP_ECANCELED, ESP_ENOMEM. */
int http_client_send(struct http_client *client, const struct http_request *request,
                     struct err *err, struct http_response *ret_response);
void http_response_finish(struct http_response *response);

/* One JSON exchange (30 s, or timeout_ms of request when set; request->body is made from body).
 * Statuses from 400 on are errors: err takes detail and pointer of the problem document, the code
 * of its status. *ret_status is set whenever an answer came. *ret_doc (may be NULL) is NULL when
 * the answer is empty; the caller frees it. */
struct http_exchange {
    const char *method, *path, *idempotency_key;
    const cJSON *body;
    int64_t timeout_ms;
    size_t response_limit;             /* of the answer, in bytes; 0: 16 MiB */
    const volatile sig_atomic_t *stop; /* as in struct http_request */
};
int http_client_json(struct http_client *client, const struct http_exchange *exchange,
                     struct err *err, int *ret_status, cJSON **ret_doc);
/* Seconds that the latest answer asked to wait (Retry-After); 0: none. */
int http_client_retry_after(const struct http_client *client);
