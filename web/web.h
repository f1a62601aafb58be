/* HTTP on a libuv loop: libmicrohttpd drives the connections, a route table names the handlers, and
 * a handler answers at once or keeps the request and answers later, on the loop's thread. This
 * folder knows HTTP, not what is served. Every function must be called on the loop's thread. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/error.h"

struct web_server;
struct web_tls;
struct web_request; /* valid until it was answered */

enum web_flags {
    WEB_PUBLIC = 1,  /* needs no token, wherever the client is */
    WEB_WORKER = 2,  /* needs a worker's token, also on loopback */
    WEB_STREAM = 4,  /* lasts as long as the client likes: not timed */
    WEB_RAW = 8,     /* the body is application/octet-stream, not JSON */
    WEB_TICKET = 16, /* its handler also takes a ticket in the query instead of a token */
    WEB_LOOKS = 32   /* changes nothing, though it is no GET */
};

struct web_route {
    const char *method;                       /* "GET" serves HEAD too */
    const char *path;                         /* "/jobs/{id}/log": {name} is one whole segment */
    const char *query;                        /* allowed parameters, "after,limit"; NULL: none */
    void (*handler)(struct web_request *req); /* must answer exactly once, now or later */
    unsigned flags;                           /* enum web_flags */
    size_t body_limit;                        /* bytes; 0: web_config.body_limit */
    const void *context;                      /* the handler's own */
};

/* A file of the dashboard, compiled in. */
struct web_asset {
    const char *path, *content_type, *etag;
    bool immutable;                   /* the name holds a hash: may be kept for ever */
    const unsigned char *data, *gzip; /* gzip may be NULL */
    size_t len, gzip_len;
};

/* Who asks, as far as the request says. Texts live as long as the request. */
struct web_credentials {
    const char *bearer;  /* of the header Authorization; NULL: none */
    const char *session; /* value of the session's cookie; NULL: none */
    bool local;          /* client, Host and socket are loopback */
};

struct web_config {
    uv_loop_t *loop;
    const char *address;                 /* "127.0.0.1", "::1", "0.0.0.0" */
    int port;                            /* 0: any free one */
    const char *socket_path;             /* not NULL: listens on this file instead, for its owner */
    bool tokens_on_loopback;             /* only who comes by the file needs none */
    double rate_per_s, local_rate_per_s; /* requests of a token, or of an address without one, from
                                            elsewhere and from loopback; 0: no limit */
    const char *const *hosts;            /* further names that Host may have; ends with NULL */
    const struct web_tls *tls;           /* NULL: plain HTTP */
    const struct web_route *routes;      /* ends with method NULL */
    const struct web_asset *assets;      /* ends with path NULL; "/" is "/index.html" */
    const char *session_cookie; /* begins the name of the cookie that holds a session, which
                                   the port ends, as browsers do not keep ports apart; NULL:
                                   none */
    size_t body_limit;          /* bytes */
    size_t bodies_limit;        /* bytes of all bodies that are held at a time; 0: any */
    size_t answers_limit; /* bytes of all large answers (64 KiB and more) that clients have not
                             read yet; one alone may be larger; 0: any */
    int max_connections, max_connections_per_address;
    int64_t head_us, body_us, idle_us; /* absolute deadlines for a request's head and body, and
                                          for the next request of a connection */
    void *user;
    /* Decides whether who asks may call route; asked again while a stream lasts. Fills identity
     * with whose token it is, "" for a person on loopback. */
    int (*authorise)(void *user, const struct web_route *route, const struct web_credentials *given,
                     struct err *err, char identity[64]);
    /* Around each turn in which requests are looked at: what was answered before a turn is done
     * when it begins. May be NULL. */
    void (*turn)(void *user, bool begins);
    /* After each answer; route NULL for assets and unknown paths. May be NULL. */
    void (*answered)(void *user, const struct web_route *route, int status, int64_t duration_us);
};

/* Listens. config is copied; what it points to must outlive the server. Errors: ESP_EINVAL
 * (address), ESP_EBUSY (port taken), ESP_EIO, ESP_ENOMEM. */
int web_create(const struct web_config *config, struct err *err, struct web_server **ret_server);
int web_port(const struct web_server *server);
bool web_is_loopback_address(const char *address);
/* Accepts no more connections; those that are open go on. */
void web_quiesce(struct web_server *server);
/* Answers what waits with 503 and closes everything; memory is freed when the loop has run its
 * closing callbacks. A handler may still answer the requests it keeps: that frees them. Takes NULL.
 */
void web_destroy(struct web_server *server);

/* What was asked. Texts live as long as the request. */
void *web_user(const struct web_request *req);
const char *web_identity(const struct web_request *req);            /* of authorise; "" */
const struct web_route *web_matched(const struct web_request *req); /* never NULL in a handler */
const char *web_method(const struct web_request *req);
const char *web_path(const struct web_request *req);
const char *web_param(const struct web_request *req,
                      const char *name);                    /* of the route; never NULL */
const char *web_first_param(const struct web_request *req); /* whatever its name; "" */
const char *web_query(const struct web_request *req, const char *name); /* NULL if absent */
const char *web_header(const struct web_request *req, const char *name);
const char *web_body(const struct web_request *req, size_t *ret_len); /* "" when empty */
bool web_local(const struct web_request *req); /* client, Host and socket are loopback */
void web_credentials(const struct web_request *req, struct web_credentials *ret_given);
/* Whether who asked may still do so: tokens are revoked, sessions end. */
bool web_still_authorised(const struct web_request *req);
bool web_peer_gone(const struct web_request *req); /* the client has closed the connection */
/* The body as a JSON object. Caller frees. Errors: as json_parse, and ESP_EPARSE when it is no
 * object, or empty. */
int web_json(const struct web_request *req, struct err *err, cJSON **ret_doc);
/* Integer text of a query parameter in [min, max]; NULL leaves *ret. ESP_EPARSE names it. */
int web_parse_int(const char *name, const char *text, int64_t min, int64_t max, struct err *err,
                  int64_t *ret);

/* Has the answer give the browser a session (HttpOnly, SameSite=Strict, Secure over TLS) for so
 * many seconds; secret NULL: has it forget one. Before the answer. */
void web_set_session(struct web_request *req, const char *secret, int64_t seconds);
/* The answer: one of these, once. They never fail towards the caller: out of memory becomes 503. */
void web_reply_json(struct web_request *req, int status, cJSON *doc); /* takes doc */
void web_reply_text(struct web_request *req, int status, const char *content_type, char *text,
                    size_t len); /* takes text (malloc); content_type is static */
void web_reply_empty(struct web_request *req, int status);
/* application/problem+json; err->code gives the status. extra (taken, may be NULL) adds members. */
void web_reply_error(struct web_request *req, const struct err *err, cJSON *extra);
/* Codes of problems beside those of base/error.h, which are of HTTP alone: 405 and 415. */
#define WEB_CODE_METHOD "method_not_allowed"
#define WEB_CODE_MEDIA_TYPE "unsupported_media_type"
/* The file's bytes as a download called filename; takes fd. */
void web_reply_file(struct web_request *req, int fd, uint64_t size, const char *content_type,
                    const char *filename);
/* An answer without end: read gives up to max bytes, 0 for none now (the request sleeps until
 * web_wake), -1 to end it. closed is called once, when the client has gone or the server stops. */
struct web_stream {
    ssize_t (*read)(void *context, char *bytes, size_t max);
    void (*closed)(void *context);
    void *context;
};
void web_reply_stream(struct web_request *req, const char *content_type,
                      const struct web_stream *stream);
void web_wake(struct web_request *req); /* of a stream, until it is closed */
/* Names the version of what will be answered (strong, quoted, as the header has it; its compressed
 * form gets a name of its own). True: the client has it already, so the answer is 304. */
bool web_has_etag(struct web_request *req, const char *etag);
/* Before the answer; name is static, value is copied; at most eight. */
void web_set_header(struct web_request *req, const char *name, const char *value);
