/* The way of a request: head checked, body taken, handler called, put to sleep until answered. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/parameter.h"
#include "base/range.h"
#include "web/guard.h"
#include "web/internal.h"

enum {
    DRAIN_MAX = 256 << 10, /* a refused body up to this size is read, so that its sender reads us */
    CUT_DRAIN_MAX = 4 << 20, /* so much of one that was too long, as its sender may be far ahead */
    CUT_DRAIN_US = 2000000   /* and for so long */
};

void *web_user(const struct web_request *req) {
    return req->server->config->user;
}

const char *web_identity(const struct web_request *req) {
    return req->identity;
}

const struct web_route *web_matched(const struct web_request *req) {
    return req->match.route;
}

const char *web_method(const struct web_request *req) {
    return req->method;
}

const char *web_path(const struct web_request *req) {
    return req->path;
}

const char *web_param(const struct web_request *req, const char *name) {
    return route_param(&req->match, name);
}

const char *web_first_param(const struct web_request *req) {
    return req->match.n_params > 0 ? req->match.params[0].value : "";
}

const char *web_query(const struct web_request *req, const char *name) {
    return MHD_lookup_connection_value(req->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *web_header(const struct web_request *req, const char *name) {
    return MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
}

const char *web_body(const struct web_request *req, size_t *ret_len) {
    if (ret_len != NULL)
        *ret_len = req->body.len;
    return req->body.data == NULL ? "" : req->body.data;
}

bool web_local(const struct web_request *req) {
    return req->conn != NULL && req->conn->loopback &&
           guard_host_is_loopback(web_header(req, "Host"));
}

void web_credentials(const struct web_request *req, struct web_credentials *ret_given) {
    const char *name = req->server->cookie;
    ret_given->bearer = guard_bearer(web_header(req, "Authorization"));
    ret_given->session = name[0] == '\0'
                             ? NULL
                             : MHD_lookup_connection_value(req->connection, MHD_COOKIE_KIND, name);
    ret_given->local =
        web_local(req) && (!req->server->config->tokens_on_loopback || req->conn->by_file);
}

bool web_peer_gone(const struct web_request *req) {
    if (req->connection == NULL || req->conn == NULL)
        return true;
    struct pollfd fd = {.fd = req->conn->fd, .events = POLLRDHUP};
    return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

int web_json(const struct web_request *req, struct err *err, cJSON **ret_doc) {
    size_t len;
    cJSON *doc = NULL;
    const char *text = web_body(req, &len);
    if (len == 0)
        return err_set(err, ESP_EPARSE, NULL, "the body must be a JSON object, and is empty");
    struct json_limits limits = json_limits_default;
    if (req->body_limit > limits.bytes)
        limits.bytes = req->body_limit;
    int r = json_parse(text, len, &limits, err, &doc);
    if (r != 0)
        return r;
    if (!cJSON_IsObject(doc)) {
        cJSON_Delete(doc);
        return err_set(err, ESP_EPARSE, "", "the body must be a JSON object");
    }
    *ret_doc = doc;
    return 0;
}

int web_parse_int(const char *name, const char *text, int64_t min, int64_t max, struct err *err,
                  int64_t *ret) {
    char *end;
    if (text == NULL)
        return 0;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || *text == '\0' || *end != '\0' || strspn(text, "-0123456789") != strlen(text))
        return parameter_refuse(err, ESP_EPARSE, name, " must be an integer, not \"%.60s\"", text);
    if (value < min || value > max) {
        char why[RANGE_TEXT];
        range_refusal((double)min, (double)max, (double)value, why);
        return parameter_refuse(err, ESP_EPARSE, name, " %s", why);
    }
    *ret = value;
    return 0;
}

static void link_request(struct web_server *server, struct web_request *req) {
    req->next = server->requests;
    if (req->next != NULL)
        req->next->prev = req;
    server->requests = req;
}

static void unlink_request(struct web_server *server, struct web_request *req) {
    if (req->prev != NULL)
        req->prev->next = req->next;
    else
        server->requests = req->next;
    if (req->next != NULL)
        req->next->prev = req->prev;
}

static void drop_body(struct web_request *req) {
    req->server->held -= req->held;
    req->held = 0;
    buf_finish(&req->body);
}

void web_request_release(struct web_request *req) {
    if (req->connection != NULL || req->handler_owns || req->compressing || req->streaming)
        return;
    struct web_server *server = req->server;
    unlink_request(server, req);
    if (req->answer.response != NULL)
        MHD_destroy_response(req->answer.response);
    free(req->answer.text);
    server->unread -= req->unread;
    drop_body(req);
    free(req);
    if (server->n_kept > 0 && --server->n_kept == 0 && server->n_handles == 0)
        web_server_free(server);
}

static struct web_request *request_create(struct web_server *server,
                                          struct MHD_Connection *connection, const char *url,
                                          const char *method) {
    struct web_request *req = mem_array(1, sizeof(*req));
    if (req == NULL)
        return NULL;
    req->server = server;
    req->connection = connection;
    req->begun_us = web_now_us();
    req->conn =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    snprintf(req->id, sizeof(req->id), "req_%llx",
             (unsigned long long)(((uint64_t)req->begun_us << 12) + server->n_requests++));
    snprintf(req->method, sizeof(req->method), "%s", method);
    if (snprintf(req->path, sizeof(req->path), "%s", url) >= (int)sizeof(req->path))
        err_set(&req->refused, ESP_ENOTFOUND, NULL, "the path is too long");
    link_request(server, req);
    return req;
}

struct query_check {
    const struct web_route *route;
    struct err *err;
    char seen[16][32];
    int n_seen;
};

static enum MHD_Result check_query_key(void *context, enum MHD_ValueKind kind, const char *key,
                                       const char *value) {
    struct query_check *check = context;
    if (!route_word_listed(check->route->query, key)) {
        parameter_refuse(check->err, ESP_EPARSE, key, " is not known here%s%s",
                         check->route->query != NULL ? "; this path takes " : "",
                         check->route->query != NULL ? check->route->query : "");
        return MHD_NO;
    }
    for (int i = 0; i < check->n_seen; i++)
        if (strcmp(check->seen[i], key) == 0) {
            parameter_refuse(check->err, ESP_EPARSE, key, " is given twice");
            return MHD_NO;
        }
    if (value == NULL) { /* "?dry_run" alone would pass for one that is not given */
        parameter_refuse(check->err, ESP_EPARSE, key, " has no value: %s=…", key);
        return MHD_NO;
    }
    if (check->n_seen < 16)
        snprintf(check->seen[check->n_seen++], sizeof(check->seen[0]), "%s", key);
    return MHD_YES;
}

static int check_query(struct web_request *req, struct err *err) {
    struct query_check check = {.route = req->match.route, .err = err};
    MHD_get_connection_values(req->connection, MHD_GET_ARGUMENT_KIND, check_query_key, &check);
    return err->code;
}

bool web_is_get(const struct web_request *req) {
    return strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;
}

static int check_origin(const struct web_request *req, struct err *err) {
    const char *host = web_header(req, "Host");
    const char *site = web_header(req, "Sec-Fetch-Site");
    if (!guard_host(host, req->server->config->hosts, req->server->beyond_loopback))
        return err_set(err, ESP_EFORBIDDEN, NULL,
                       "the Host \"%.100s\" is not a name of this daemon (see --allow-host)",
                       host == NULL ? "" : host);
    if (web_is_get(req))
        return 0;
    if (!guard_origin(web_header(req, "Origin"), host) ||
        (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0))
        return err_set(err, ESP_EFORBIDDEN, NULL,
                       "requests from pages of another origin are refused");
    return 0;
}

static int check_length(struct web_request *req, struct err *err) {
    const char *length = web_header(req, "Content-Length");
    unsigned long long declared = length == NULL ? 0 : strtoull(length, NULL, 10);
    if (declared > req->body_limit)
        return err_set(err, ESP_ETOOLARGE, NULL,
                       "the body of %llu bytes is larger than the %zu bytes that this path takes",
                       declared, req->body_limit);
    return 0;
}

static int check_token(struct web_request *req, struct err *err) {
    const struct web_config *config = req->server->config;
    struct web_credentials given;
    web_credentials(req, &given);
    if (given.bearer == NULL && web_header(req, "Authorization") != NULL)
        return err_set(err, ESP_EUNAUTHORIZED, NULL,
                       "only \"Authorization: Bearer TOKEN\" is known");
    if (config->authorise == NULL)
        return 0;
    return config->authorise(config->user, req->match.route, &given, err, req->identity);
}

bool web_still_authorised(const struct web_request *req) {
    const struct web_config *config = req->server->config;
    struct web_credentials given;
    char identity[64];
    struct err err = {0};
    if (req->connection == NULL || config->authorise == NULL)
        return true;
    web_credentials(req, &given);
    return config->authorise(config->user, req->match.route, &given, &err, identity) == 0;
}

/* Neither type is one that a form of another site can send. */
static int check_type(const struct web_request *req, struct err *err) {
    bool raw = (req->match.route->flags & WEB_RAW) != 0;
    const char *type = web_header(req, "Content-Type");
    if (raw ? guard_is_octets(type) : guard_is_json(type))
        return 0;
    return err_set(err, ESP_EUNSUPPORTED, NULL, "the body needs Content-Type: application/%s",
                   raw ? "octet-stream" : "json, in UTF-8");
}

/* Counts the request for its token, or for its address when it has none that is good. What workers
 * do is dictated by the daemon, and not counted. */
static int check_rate(struct web_request *req, int authorised, struct err *err) {
    const struct web_server *server = req->server;
    struct rate_table *table = web_local(req) ? server->local_rate : server->rate;
    const char *who = req->identity[0] != '\0' ? req->identity : req->conn->peer;
    struct rate_state state;
    char text[32];
    if (table == NULL || (authorised == 0 && (req->match.route->flags & WEB_WORKER) != 0))
        return 0;
    bool taken = rate_take(table, who, web_now_us(), &state);
    snprintf(text, sizeof(text), "%d", state.limit);
    web_set_header(req, "RateLimit-Limit", text);
    snprintf(text, sizeof(text), "%d", state.remaining);
    web_set_header(req, "RateLimit-Remaining", text);
    snprintf(text, sizeof(text), "%d", state.full_s);
    web_set_header(req, "RateLimit-Reset", text);
    req->retry_after_s = state.wait_s;
    return taken ? 0
                 : err_set(err, ESP_ERATE, NULL,
                           "too many requests: the next is taken in %d s (see --rate-limit of "
                           "espalierd)",
                           state.wait_s);
}

static const struct web_asset *find_asset(const struct web_request *req) {
    const struct web_asset *assets = req->server->config->assets;
    if (assets == NULL || !web_is_get(req))
        return NULL;
    const char *path = strcmp(req->path, "/") == 0 ? "/index.html" : req->path;
    for (const struct web_asset *asset = assets; asset->path != NULL; asset++)
        if (strcmp(asset->path, path) == 0)
            return asset;
    return NULL; /* the dashboard's pages are all at "/", behind a '#' */
}

struct length_check {
    const char *first;
    bool differ;
};

static enum MHD_Result look_at_length(void *context, enum MHD_ValueKind kind, const char *key,
                                      const char *value) {
    struct length_check *check = context;
    if (strcasecmp(key, "Content-Length") != 0)
        return MHD_YES;
    check->differ = check->first != NULL && (value == NULL || strcmp(check->first, value) != 0);
    check->first = value;
    return check->differ ? MHD_NO : MHD_YES;
}

/* Of two lengths others may take the one that we do not, and another request to begin between. */
static bool has_two_lengths(const struct web_request *req) {
    struct length_check check = {NULL, false};
    MHD_get_connection_values(req->connection, MHD_HEADER_KIND, look_at_length, &check);
    return check.differ;
}

static int match_route(struct web_request *req, struct err *err) {
    const struct web_config *config = req->server->config;
    int r = check_origin(req, err);
    if (r != 0)
        return r;
    if (req->path[0] != '/')
        return err_set(err, ESP_EPARSE, NULL, "the path must begin with '/'");
    r = route_find(config->routes, req->method, req->path, req->allow, &req->match);
    if (r == ESP_EUNSUPPORTED)
        return err_set(err, r, NULL, "%s is not possible here, only %s", req->method, req->allow);
    req->unrouted = r != 0;
    if (r != 0)
        return err_set(err, r, NULL, "there is nothing at %.200s", req->path);
    req->body_limit =
        req->match.route->body_limit != 0 ? req->match.route->body_limit : config->body_limit;
    return 0;
}

/* Everything that can be said from the head alone. What is refused counts like what is answered, or
 * refusals would be had without end; files of the dashboard do not. */
static int check_head(struct web_request *req, struct err *err) {
    int r = match_route(req, err);
    if (req->unrouted && find_asset(req) != NULL)
        return r;
    if (r == 0)
        r = check_token(req, err);
    if (req->conn != NULL && check_rate(req, r, err) != 0)
        r = ESP_ERATE;
    if (r == 0)
        r = check_query(req, err);
    if (r == 0)
        r = check_length(req, err);
    return r == 0 && !web_is_get(req) && strcmp(req->method, "DELETE") != 0 ? check_type(req, err)
                                                                            : r;
}

static bool has_body(const struct web_request *req) {
    const char *length = web_header(req, "Content-Length");
    return web_header(req, "Transfer-Encoding") != NULL ||
           (length != NULL && strcmp(length, "0") != 0);
}

/* A refusal is sent at once only when the body is long: to answer before the body is read costs the
 * connection, and a sender that does not wait for "100 Continue" may never read it. */
static enum MHD_Result begin(struct web_request *req) {
    const char *length = web_header(req, "Content-Length");
    bool two_lengths = has_two_lengths(req);
    if (two_lengths) {
        err_set(&req->refused, ESP_EPARSE, NULL, "the request has two different Content-Length");
        web_set_header(req, "Connection", "close");
    }
    if (req->refused.code == 0)
        check_head(req, &req->refused);
    if (req->conn != NULL)
        req->conn->deadline_us = web_now_us() + req->server->config->body_us;
    bool long_body = has_body(req) && (length == NULL || strtoull(length, NULL, 10) > DRAIN_MAX);
    if (req->refused.code != 0 && (two_lengths || long_body)) {
        web_reply_error(req, &req->refused, NULL);
        return web_send(req);
    }
    buf_init(&req->body, req->body_limit);
    return MHD_YES;
}

/* To close a connection on which bytes wait resets it, and the answer with it: the rest of the body
 * is read for a while, until its sender has heard us and closes. */
static void cut_off(struct web_request *req) {
    if (req->refused.code == 0 && req->body.error == ESP_ENOMEM)
        err_set(&req->refused, ESP_ENOMEM, NULL, "out of memory");
    if (req->refused.code == 0)
        err_set(&req->refused, ESP_ETOOLARGE, NULL,
                "the body is larger than the %zu bytes that this path takes", req->body_limit);
    drop_body(req);
    if (req->conn == NULL)
        return;
    web_cut_off(req);
    int64_t end = web_now_us() + CUT_DRAIN_US;
    req->conn->deadline_us = end < req->conn->deadline_us ? end : req->conn->deadline_us;
}

/* Each body has a limit; so have all together, or a thousand clients would be given a gigabyte. */
static void keep_body(struct web_request *req, const char *data, size_t len) {
    struct web_server *server = req->server;
    size_t limit = server->config->bodies_limit;
    if (limit != 0 && server->held + len > limit) {
        err_set(&req->refused, ESP_EBUSY, NULL,
                "the bodies of other requests take all the memory there is for them: try again");
    } else {
        buf_append(&req->body, data, len);
        server->held += len;
        req->held += len;
    }
    if (req->body.error != 0 || req->refused.code != 0)
        cut_off(req);
}

static enum MHD_Result take_body(struct web_request *req, const char *data, size_t *size) {
    size_t len = *size;
    *size = 0;
    if (req->refused.code == 0) {
        keep_body(req, data, len);
        return MHD_YES;
    }
    req->discarded += len;
    return req->discarded > (req->cut ? CUT_DRAIN_MAX : DRAIN_MAX) ? MHD_NO : MHD_YES;
}

static void call_handler(struct web_request *req) {
    const struct web_asset *asset;
    req->started = req->in_handler = true;
    if (req->conn != NULL)
        req->conn->deadline_us = 0;
    if (req->unrouted && (asset = find_asset(req)) != NULL)
        web_serve_asset(req, asset);
    else if (req->refused.code != 0)
        web_reply_error(req, &req->refused, NULL);
    else if (req->server->stopping)
        web_reply_error(req, &(struct err){.code = ESP_EBUSY, .message = "the daemon is stopping"},
                        NULL);
    else {
        req->handler_owns = true;
        req->match.route->handler(req);
    }
    req->in_handler = false;
}

/* A NUL in the request line ends the path for libmicrohttpd, but not the target: the version then
 * stands further behind it than the target is long. (Both lie in one buffer; if another version of
 * the library keeps them elsewhere, nothing is said.) */
static bool holds_nul(const struct web_request *req, const char *url, const char *version) {
    uintptr_t gap = (uintptr_t)version - (uintptr_t)url;
    return req->conn != NULL && gap < WEB_CONNECTION_MEMORY && gap != req->conn->target_len + 1;
}

enum MHD_Result web_on_access(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_data_size, void **request) {
    struct web_request *req = *request;
    if (req == NULL) {
        req = request_create(context, connection, url, method);
        if (req == NULL)
            return MHD_NO;
        *request = req;
        if (holds_nul(req, url, version))
            err_set(&req->refused, ESP_EPARSE, NULL, "the request line holds a NUL");
        return begin(req);
    }
    if (*upload_data_size > 0)
        return take_body(req, upload_data, upload_data_size);
    if (req->cut)
        return MHD_NO; /* closes */
    if (!req->started)
        call_handler(req);
    if (req->answer.status != 0 && !req->compressing)
        return web_send(req);
    if (req->server->stopping)
        return MHD_NO;
    req->suspended = true;
    MHD_suspend_connection(connection);
    return MHD_YES;
}

void web_on_completed(void *context, struct MHD_Connection *connection, void **request,
                      enum MHD_RequestTerminationCode why) {
    struct web_request *req = *request;
    const struct web_config *config = ((struct web_server *)context)->config;
    if (req == NULL)
        return;
    *request = NULL;
    if (req->conn != NULL)
        req->conn->deadline_us = web_now_us() + config->idle_us;
    if (config->answered != NULL)
        config->answered(config->user, req->match.route, req->answer.status,
                         web_now_us() - req->begun_us);
    req->connection = NULL;
    req->conn = NULL;
    req->suspended = false;
    web_request_release(req);
}
