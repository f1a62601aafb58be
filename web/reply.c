/* Answers: JSON, problems, files, assets, streams; compression in the loop's thread pool. */
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "base/json.h"
#include "base/memory.h"
#include "web/guard.h"
#include "web/internal.h"

static const char json_type[] = "application/json";

void web_set_header(struct web_request *req, const char *name, const char *value) {
    struct web_answer *answer = &req->answer;
    if (answer->n_headers == WEB_HEADERS_MAX)
        return;
    answer->headers[answer->n_headers].name = name;
    snprintf(answer->headers[answer->n_headers++].value, WEB_HEADER_VALUE_MAX, "%s", value);
}

void web_set_session(struct web_request *req, const char *secret, int64_t seconds) {
    char text[WEB_HEADER_VALUE_MAX];
    snprintf(text, sizeof(text), "%s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s",
             req->server->cookie, secret != NULL ? secret : "",
             (long long)(secret != NULL ? seconds : 0),
             req->server->config->tls != NULL ? "; Secure" : "");
    web_set_header(req, "Set-Cookie", text);
}

static struct MHD_Response *make_response(struct web_answer *answer) {
    static char empty[1];
    if (answer->response != NULL)
        return answer->response;
    struct MHD_Response *response =
        answer->text == NULL
            ? MHD_create_response_from_buffer(0, empty, MHD_RESPMEM_PERSISTENT)
            : MHD_create_response_from_buffer(answer->len, answer->text, MHD_RESPMEM_MUST_FREE);
    if (response != NULL)
        answer->text = NULL; /* the response's now */
    answer->response = response;
    return response;
}

/* What has an ETag may be kept, by who asked alone, and is asked for each time by its ETag. What
 * tells a secret is an answer to POST, which is never kept. */
static const char *caching_of(const struct web_request *req) {
    bool tagged = false;
    for (int i = 0; i < req->answer.n_headers; i++)
        tagged |= strcmp(req->answer.headers[i].name, "ETag") == 0;
    return tagged && web_is_get(req) ? "private, no-cache" : "no-store";
}

static void add_headers(const struct web_request *req, struct MHD_Response *response) {
    const struct web_answer *answer = &req->answer;
    if (answer->content_type != NULL)
        MHD_add_response_header(response, "Content-Type", answer->content_type);
    if (answer->gzipped)
        MHD_add_response_header(response, "Content-Encoding", "gzip");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    bool caching = false;
    for (int i = 0; i < answer->n_headers; i++) {
        MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value);
        caching |= strcmp(answer->headers[i].name, "Cache-Control") == 0;
    }
    if (!caching)
        MHD_add_response_header(response, "Cache-Control", caching_of(req));
}

enum MHD_Result web_send(struct web_request *req) {
    struct MHD_Response *response = make_response(&req->answer);
    if (response == NULL)
        return MHD_NO;
    add_headers(req, response);
    enum MHD_Result queued =
        MHD_queue_response(req->connection, (unsigned)req->answer.status, response);
    MHD_destroy_response(response); /* MHD holds its own reference */
    req->answer.response = NULL;
    return queued;
}

void web_answer_ready(struct web_request *req) {
    req->handler_owns = false;
    if (req->connection == NULL) {
        web_request_release(req);
    } else {
        web_resume(req); /* not asleep: web_on_access sends it when the handler has returned */
    }
}

static void count_unread(struct web_request *req, size_t len) {
    req->server->unread += len - req->unread;
    req->unread = len;
}

/* Many clients that ask for megabytes and read none of them would have them all kept. What has
 * changed something is told in any case: its client would do it again. */
static bool has_room(const struct web_request *req, size_t len) {
    const struct web_server *server = req->server;
    size_t limit = server->config->answers_limit;
    bool looks = web_is_get(req) || (req->match.route->flags & WEB_LOOKS) != 0;
    return limit == 0 || !looks || server->unread == 0 || server->unread + len <= limit;
}

static void refuse_room(struct web_request *req) {
    struct web_answer *answer = &req->answer;
    for (int i = 0; i < answer->n_headers; i++)
        if (strcmp(answer->headers[i].name, "ETag") == 0) /* of what is not sent */
            answer->headers[i--] = answer->headers[--answer->n_headers];
    web_reply_error(req,
                    &(struct err){.code = ESP_EBUSY,
                                  .message = "answers that other clients do not read take all the "
                                             "memory there is for them: try again"},
                    NULL);
}

struct compression {
    uv_work_t work;
    struct web_request *req;
    char *text;
    size_t len;
};

static void compress_text(uv_work_t *work) {
    struct compression *c = work->data;
    z_stream z = {0};
    if (deflateInit2(&z, 4, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    size_t bound = deflateBound(&z, c->req->answer.len);
    c->text = malloc(bound);
    if (c->text != NULL) {
        z.next_in = (unsigned char *)c->req->answer.text;
        z.avail_in = (unsigned)c->req->answer.len;
        z.next_out = (unsigned char *)c->text;
        z.avail_out = (unsigned)bound;
        if (deflate(&z, Z_FINISH) == Z_STREAM_END)
            c->len = z.total_out;
    }
    deflateEnd(&z);
}

/* A strong ETag names bytes, so that of the compressed ones is another. */
static void mark_gzip(struct web_request *req) {
    for (int i = 0; i < req->answer.n_headers; i++) {
        char *value = req->answer.headers[i].value;
        size_t len = strlen(value);
        if (strcmp(req->answer.headers[i].name, "ETag") == 0 && len > 1 &&
            len + sizeof(GUARD_ETAG_GZIP) <= WEB_HEADER_VALUE_MAX)
            memcpy(value + len - 1, GUARD_ETAG_GZIP "\"", sizeof(GUARD_ETAG_GZIP "\""));
    }
}

static void compressed(uv_work_t *work, int status) {
    struct compression *c = work->data;
    struct web_request *req = c->req;
    req->compressing = false;
    if (c->len > 0) {
        free(req->answer.text);
        req->answer.text = c->text;
        req->answer.len = c->len;
        if (req->unread > 0)
            count_unread(req, c->len);
        req->answer.gzipped = true;
        mark_gzip(req);
    } else {
        free(c->text);
    }
    free(c);
    web_answer_ready(req);
}

static bool start_compression(struct web_request *req) {
    if (req->connection == NULL || req->answer.len < WEB_GZIP_FROM || req->server->stopping ||
        req->answer.len > UINT32_MAX || !guard_accepts_gzip(web_header(req, "Accept-Encoding")))
        return false;
    struct compression *c = mem_array(1, sizeof(*c));
    if (c == NULL)
        return false;
    c->req = req;
    c->work.data = c;
    req->compressing = true;
    if (uv_queue_work(req->server->config->loop, &c->work, compress_text, compressed) == 0)
        return true;
    req->compressing = false;
    free(c);
    return false;
}

void web_reply_text(struct web_request *req, int status, const char *content_type, char *text,
                    size_t len) {
    if (req->answer.status != 0) { /* the server has answered already: it is stopping */
        free(text);
        req->handler_owns = false;
        web_request_release(req);
        return;
    }
    if (len >= WEB_LARGE_FROM && !has_room(req, len)) {
        free(text);
        refuse_room(req);
        return;
    }
    if (len >= WEB_LARGE_FROM)
        count_unread(req, len);
    req->answer.status = status;
    req->answer.content_type = content_type;
    req->answer.text = text;
    req->answer.len = len;
    if (text != NULL && len >= WEB_GZIP_FROM)
        web_set_header(req, "Vary", "Accept-Encoding");
    if (text == NULL || !start_compression(req))
        web_answer_ready(req);
}

static const char no_memory[] =
    "{\"type\":\"about:blank\",\"title\":\"out of memory\",\"status\":503,\"detail\":\"out of "
    "memory\",\"code\":\"out_of_memory\",\"errors\":[]}";

void web_reply_json(struct web_request *req, int status, cJSON *doc) {
    char *text = doc == NULL ? NULL : json_print(doc);
    cJSON_Delete(doc);
    if (text == NULL)
        web_reply_text(req, 503, "application/problem+json", mem_strdup(no_memory),
                       sizeof(no_memory) - 1);
    else
        web_reply_text(req, status, json_type, text, strlen(text));
}

void web_reply_empty(struct web_request *req, int status) {
    web_reply_text(req, status, NULL, NULL, 0);
}

static int problem_status(const struct web_request *req, const struct err *err) {
    if (err->code == ESP_EUNSUPPORTED && &req->refused == err)
        return req->allow[0] != '\0' ? 405 : 415;
    return err_http_status(err->code);
}

static const char *problem_code(const struct err *err, int status) {
    return status == 405   ? WEB_CODE_METHOD
           : status == 415 ? WEB_CODE_MEDIA_TYPE
                           : err_name(err->code);
}

static cJSON *problem_document(const struct web_request *req, const struct err *err, int status) {
    const char *code = problem_code(err, status);
    char title[64], type[96];
    snprintf(title, sizeof(title), "%s", code);
    for (char *p = title; *p != '\0'; p++)
        if (*p == '_')
            *p = ' ';
    snprintf(type, sizeof(type), "urn:espalier:error:%s", code);
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "type", type);
    cJSON_AddStringToObject(doc, "title", title);
    cJSON_AddNumberToObject(doc, "status", status);
    cJSON_AddStringToObject(doc, "detail", err->message);
    cJSON_AddStringToObject(doc, "code", code);
    cJSON *errors = cJSON_AddArrayToObject(doc, "errors");
    if (err->pointer[0] != '\0') {
        cJSON *item = cJSON_CreateObject();
        bool of_query = err->pointer[0] == '?';
        cJSON_AddStringToObject(item, of_query ? "parameter" : "pointer", err->pointer + of_query);
        cJSON_AddStringToObject(item, "detail", err->message);
        cJSON_AddItemToArray(errors, item);
    }
    cJSON_AddStringToObject(doc, "request_id", req->id);
    return doc;
}

void web_reply_error(struct web_request *req, const struct err *err, cJSON *extra) {
    int status = problem_status(req, err);
    cJSON *doc = problem_document(req, err, status);
    while (extra != NULL && extra->child != NULL) {
        cJSON *member = cJSON_DetachItemViaPointer(extra, extra->child);
        cJSON_AddItemToObject(doc, member->string, member);
    }
    cJSON_Delete(extra);
    if (req->answer.status == 0) {
        if (status == 405)
            web_set_header(req, "Allow", req->allow);
        if (status == 401)
            web_set_header(req, "WWW-Authenticate", "Bearer");
        char seconds[16];
        snprintf(seconds, sizeof(seconds), "%d", req->retry_after_s);
        if (status == 429)
            web_set_header(req, "Retry-After", seconds);
        if (status == 503)
            web_set_header(req, "Retry-After", "1");
    }
    char *text = json_print(doc);
    cJSON_Delete(doc);
    if (text == NULL)
        text = mem_strdup(no_memory);
    web_reply_text(req, status, "application/problem+json", text, text == NULL ? 0 : strlen(text));
}

static void send_past(const struct web_request *req, const char *bytes, size_t len) {
    if (req->server->config->tls != NULL)
        (void)!gnutls_record_send(
            MHD_get_connection_info(req->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)
                ->tls_session,
            bytes, len);
    else
        (void)!send(req->conn->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The socket has sent at most "100 Continue" for this request, so it takes the whole answer. */
void web_cut_off(struct web_request *req) {
    const struct err *err = &req->refused;
    int status = problem_status(req, err);
    cJSON *doc = problem_document(req, err, status);
    char *text = json_print(doc);
    struct buf answer;
    cJSON_Delete(doc);
    buf_init(&answer, 0);
    buf_printf(&answer,
               "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
               "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s"
               "Content-Length: %zu\r\n\r\n%s",
               status, MHD_get_reason_phrase_for((unsigned)status),
               status == 503 ? "Retry-After: 1\r\n" : "", strlen(text != NULL ? text : no_memory),
               text != NULL ? text : no_memory);
    free(text);
    if (answer.error == 0)
        send_past(req, answer.data, answer.len);
    shutdown(req->conn->fd, SHUT_WR);
    buf_finish(&answer);
    req->cut = true;
    req->answer.status = status;
}

static void reply_response(struct web_request *req, int status, const char *content_type,
                           struct MHD_Response *response) {
    if (response == NULL || req->answer.status != 0) {
        if (response != NULL)
            MHD_destroy_response(response);
        web_reply_error(req, &(struct err){.code = ESP_ENOMEM, .message = "out of memory"}, NULL);
        return;
    }
    req->answer.status = status;
    req->answer.content_type = content_type;
    req->answer.response = response;
    web_answer_ready(req);
}

void web_reply_file(struct web_request *req, int fd, uint64_t size, const char *content_type,
                    const char *filename) {
    char disposition[WEB_HEADER_VALUE_MAX];
    struct MHD_Response *response = MHD_create_response_from_fd64(size, fd);
    if (response == NULL)
        close(fd);
    snprintf(disposition, sizeof(disposition), "attachment; filename=\"%.200s\"", filename);
    web_set_header(req, "Content-Disposition", disposition);
    reply_response(req, 200, content_type, response);
}

static ssize_t read_stream(void *context, uint64_t position, char *bytes, size_t max) {
    struct web_request *req = context;
    ssize_t n = req->server->stopping ? -1 : req->stream.read(req->stream.context, bytes, max);
    if (n < 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (n == 0) {
        req->suspended = true;
        MHD_suspend_connection(req->connection);
    }
    return n;
}

static void close_stream(void *context) {
    struct web_request *req = context;
    req->stream.closed(req->stream.context);
    req->streaming = false;
    web_request_release(req); /* unless the connection still holds it */
}

void web_reply_stream(struct web_request *req, const char *content_type,
                      const struct web_stream *stream) {
    req->stream = *stream;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 16 << 10, read_stream, req, close_stream);
    if (response == NULL)
        stream->closed(stream->context);
    req->streaming = response != NULL;
    reply_response(req, 200, content_type, response);
}

void web_wake(struct web_request *req) {
    if (req->streaming && req->connection != NULL)
        web_resume(req);
}

bool web_has_etag(struct web_request *req, const char *etag) {
    bool gzip, known = guard_etag_known(web_header(req, "If-None-Match"), etag, &gzip);
    web_set_header(req, "ETag", etag);
    if (gzip)
        mark_gzip(req);
    return known;
}

void web_serve_asset(struct web_request *req, const struct web_asset *asset) {
    bool gzip = asset->gzip != NULL && guard_accepts_gzip(web_header(req, "Accept-Encoding"));
    bool known = web_has_etag(req, asset->etag);
    if (gzip && !known)
        mark_gzip(req);
    web_set_header(req, "Vary", "Accept-Encoding");
    web_set_header(req, "Cache-Control",
                   asset->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    if (strncmp(asset->content_type, "text/html", 9) == 0)
        web_set_header(
            req, "Content-Security-Policy",
            "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; object-src "
            "'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
    if (known) {
        web_reply_empty(req, 304);
        return;
    }
    void *bytes = (void *)(uintptr_t)(gzip ? asset->gzip : asset->data);
    req->answer.gzipped = gzip;
    reply_response(req, 200, asset->content_type,
                   MHD_create_response_from_buffer(gzip ? asset->gzip_len : asset->len, bytes,
                                                   MHD_RESPMEM_PERSISTENT));
}
