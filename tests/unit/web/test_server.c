#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <zlib.h>

#include "client.h"

#define HEAD " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
#define JSON "Content-Type: application/json\r\n"

static struct web_request *kept;

static void answer_hello(struct web_request *req) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "id", web_param(req, "id"));
    cJSON_AddStringToObject(doc, "q", web_query(req, "q") == NULL ? "" : web_query(req, "q"));
    cJSON_AddStringToObject(doc, "who", web_identity(req));
    web_reply_json(req, 200, doc);
}

static void answer_echo(struct web_request *req) {
    struct err err = {0};
    cJSON *doc = NULL;
    if (web_json(req, &err, &doc) != 0)
        web_reply_error(req, &err, NULL);
    else
        web_reply_json(req, 201, doc);
}

static void answer_later(struct web_request *req) {
    kept = req;
}

static void answer_large(struct web_request *req) {
    size_t len = 300000;
    char *text = malloc(len);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i % 7);
    web_reply_text(req, 200, "text/plain", text, len);
}

enum { HUGE = 8 << 20 }; /* more than two sockets' buffers take */
static int huge_asked;

static void answer_huge(struct web_request *req) {
    huge_asked++;
    web_set_header(req, "ETag", "\"huge\"");
    web_reply_text(req, 200, "text/plain", calloc(1, HUGE), HUGE);
}

static const struct web_route routes[] = {{"GET", "/hello/{id}", "q", answer_hello, 0, 0},
                                          {"POST", "/echo", NULL, answer_echo, 0, 0},
                                          {"GET", "/later", NULL, answer_later, 0, 0},
                                          {"GET", "/large", NULL, answer_large, 0, 0},
                                          {"GET", "/huge", NULL, answer_huge, 0, 0},
                                          {"POST", "/huge", NULL, answer_huge, 0, 0},
                                          {"POST", "/small", NULL, answer_echo, 0, 16},
                                          {"GET", "/closed", NULL, answer_hello, WEB_WORKER, 0},
                                          {.method = NULL}};

static const struct web_asset assets[] = {{"/index.html", "text/html; charset=utf-8", "\"e1\"",
                                           false, (const unsigned char *)"<html>", NULL, 6, 0},
                                          {"/app-0a1b2c3d.js", "text/javascript", "\"e2\"", true,
                                           (const unsigned char *)"code", NULL, 4, 0},
                                          {.path = NULL}};

static int authorise(void *user, const struct web_route *route, const struct web_credentials *given,
                     struct err *err, char identity[64]) {
    if ((given->bearer != NULL && strcmp(given->bearer, "secret") == 0) ||
        (given->session != NULL && strcmp(given->session, "inside") == 0)) {
        strcpy(identity, "worker-1");
        return 0;
    }
    if ((route->flags & WEB_WORKER) != 0)
        return err_set(err, ESP_EUNAUTHORIZED, NULL, "a token is needed");
    return given->local ? 0 : err_set(err, ESP_EUNAUTHORIZED, NULL, "a token is needed");
}

static int answered, last_status;
static void on_answered(void *user, const struct web_route *route, int status, int64_t us) {
    answered++;
    last_status = status;
}

struct fixture {
    uv_loop_t loop;
    struct web_config config;
    struct web_server *server;
};

static int start(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err = {0};
    uv_loop_init(&f->loop);
    f->config = (struct web_config){.loop = &f->loop,
                                    .address = "127.0.0.1",
                                    .routes = routes,
                                    .assets = assets,
                                    .body_limit = 4096,
                                    .answers_limit = 2 * HUGE + 1000000,
                                    .max_connections = 32,
                                    .max_connections_per_address = 8,
                                    .head_us = 700000,
                                    .body_us = 700000,
                                    .idle_us = 700000,
                                    .session_cookie = "test",
                                    .authorise = authorise,
                                    .answered = on_answered};
    assert_int_equal(web_create(&f->config, &err, &f->server), 0);
    kept = NULL;
    *state = f;
    return 0;
}

static int stop(void **state) {
    struct fixture *f = *state;
    web_destroy(f->server);
    if (kept != NULL)
        web_reply_empty(kept, 204); /* a handler that answers too late */
    uv_run(&f->loop, UV_RUN_DEFAULT);
    int r = uv_loop_close(&f->loop);
    free(f);
    return r;
}

static void expect(struct fixture *f, const char *request, int status, const char *part) {
    struct exchange *x = client_ask(&f->loop, web_port(f->server), request);
    if (atoi(x->text + 9) != status || (part != NULL && strstr(x->text, part) == NULL))
        fail_msg("%.60s: expected %d and %s, got: %.2000s", request, status, part, x->text);
    client_close(x);
}

static void test_routes(void **state) {
    struct fixture *f = *state;
    expect(f, "GET /hello/a%20b?q=1%262" HEAD "\r\n", 200, "{\"id\":\"a b\",\"q\":\"1&2\"");
    expect(f, "HEAD /hello/x" HEAD "\r\n", 200, "Content-Length: 26");
    expect(f, "GET /" HEAD "\r\n", 200, "<html>");
    expect(f, "GET /index.html" HEAD "\r\n", 200, "<html>");
    expect(f, "GET /nothing" HEAD "\r\n", 404, "there is nothing at /nothing");
    expect(f, "GET /hello/x/" HEAD "\r\n", 404, "\"code\":\"not_found\"");
    expect(f, "GET /api/v1/x" HEAD "\r\n", 404, "\"code\":\"not_found\"");
    expect(f, "GET /api/v1/x%00" HEAD "\r\n", 404, NULL);
    expect(f, "GET /hello/x%00y" HEAD "\r\n", 200, "x\\u0001y");
    expect(f, "GET hello" HEAD "\r\n", 400, "must begin with");
    expect(f, "GET /hello/x" HEAD "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello", 400,
           "two different Content-Length");
    expect(f, "GET /hello/x" HEAD "Content-Length: 5\r\ncontent-length: 0\r\n\r\nhello", 400,
           "Connection: close");
    expect(f, "OPTIONS *" HEAD "\r\n", 400, NULL);
    expect(f, "PUT /hello/x" HEAD "\r\n", 405, "Allow: GET, HEAD");
    expect(f, "GET /hello/x?other=1" HEAD "\r\n", 400,
           "the parameter other is not known here; this path takes q");
    expect(f, "GET /hello/x?q=1&q=2" HEAD "\r\n", 400, "given twice");
    expect(f, "GET /hello/x?q=" HEAD "\r\n", 200, "\"q\":\"\"");
    expect(f, "GET /hello/x?q" HEAD "\r\n", 400, "{\"parameter\":\"q\"");
    expect(f, "GET /hello/x?q&q=1" HEAD "\r\n", 400, "the parameter q has no value");
    assert_int_equal(last_status, 400);
}

static void test_bodies(void **state) {
    struct fixture *f = *state;
    expect(f, "POST /echo" HEAD JSON "Content-Length: 7\r\n\r\n{\"a\":1}", 201, "{\"a\":1}");
    expect(f, "POST /echo" HEAD JSON "Content-Length: 0\r\n\r\n", 400, "is empty");
    expect(f,
           "POST /echo" HEAD JSON
           "Transfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n3\r\n:1}\r\n0\r\n\r\n",
           201, "{\"a\":1}");
    expect(f, "POST /echo" HEAD JSON "Content-Length: 7\r\n\r\n{\"a\":1,", 400, "malformed");
    expect(f, "POST /echo" HEAD JSON "Content-Length: 2\r\n\r\n[]", 400, "must be a JSON object");
    expect(f, "POST /echo" HEAD "Content-Length: 2\r\n\r\n{}", 415, "application/json");
    expect(f, "POST /echo" HEAD "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415,
           NULL);
}

static void test_body_limits(void **state) {
    struct fixture *f = *state;
    expect(f, "POST /small" HEAD JSON "Content-Length: 17\r\n\r\n{\"a\":\"123456789\"}", 413,
           "16 bytes");
    expect(f, "POST /echo" HEAD JSON "Content-Length: 2147483648\r\n\r\n", 413, "2147483648");
    struct exchange *x = client_open(web_port(f->server));
    static const char head[] = "POST /small" HEAD JSON "Transfer-Encoding: chunked\r\n\r\n";
    client_send(x, head, sizeof(head) - 1);
    for (int i = 0; i < 100; i++)
        client_send(x, "10\r\n0123456789abcdef\r\n", 22);
    client_send(x, "0\r\n\r\n", 5);
    client_wait(&f->loop, x, NULL, 5000);
    assert_int_equal(atoi(x->text + 9), 413);
    client_close(x);
}

/* Answered at the first byte too much, while the sender goes on; then the connection ends. */
static void test_endless_body(void **state) {
    struct fixture *f = *state;
    struct exchange *x = client_open(web_port(f->server));
    static const char head[] = "POST /small" HEAD JSON "Transfer-Encoding: chunked\r\n\r\n";
    client_send(x, head, sizeof(head) - 1);
    client_send(x, "11\r\n0123456789abcdefg\r\n", 23);
    assert_true(client_wait(&f->loop, x, "\"request_id\"", 2000));
    assert_int_equal(atoi(x->text + 9), 413);
    assert_non_null(strstr(x->text, "16 bytes"));
    answered = last_status = 0;
    uint64_t begun = uv_hrtime();
    while (answered == 0 && uv_hrtime() - begun < 5000000000) { /* it drains for a while only */
        send(x->fd, "1\r\nx\r\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
        uv_run(&f->loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(answered, 1);
    assert_int_equal(last_status, 413);
    expect(f, "GET /hello/x" HEAD "\r\n", 200, NULL);
    client_close(x);
}

static void test_nul_in_the_request_line(void **state) {
    struct fixture *f = *state;
    static const char request[] = "GET /hello/x\0/y" HEAD "\r\n";
    struct exchange *x = client_open(web_port(f->server));
    client_send(x, request, sizeof(request) - 1);
    client_wait(&f->loop, x, NULL, 5000);
    assert_int_equal(atoi(x->text + 9), 400);
    client_close(x);
}

/* One request in a hundred seconds: the second is refused, whatever became of the first. */
static void test_refusals_are_counted(void **state) {
    static const struct {
        const char *request;
        int status;
    } rows[] = {{"GET /api/v1/x" HEAD "\r\n", 404},
                {"PUT /hello/x" HEAD "\r\n", 405},
                {"GET hello" HEAD "\r\n", 400},
                {"GET /closed" HEAD "\r\n", 401},
                {"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403}};
    struct fixture *f = *state;
    struct web_server *unlimited = f->server;
    struct web_config config = f->config;
    struct err err = {0};
    config.rate_per_s = config.local_rate_per_s = 0.01;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(web_create(&config, &err, &f->server), 0);
        expect(f, "GET /" HEAD "\r\n", 200, NULL); /* a file of the dashboard */
        expect(f, rows[i].request, rows[i].status, NULL);
        expect(f, rows[i].request, 429, "Retry-After: ");
        expect(f, "GET /" HEAD "\r\n", 200, NULL);
        web_destroy(f->server);
    }
    f->server = unlimited;
}

static void test_other_origins(void **state) {
    struct fixture *f = *state;
    expect(f, "GET /hello/x HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403,
           "evil.example");
    expect(f, "POST /echo" HEAD JSON "Origin: http://evil.example\r\nContent-Length: 2\r\n\r\n{}",
           403, "another origin");
    expect(f, "POST /echo" HEAD JSON "Sec-Fetch-Site: cross-site\r\nContent-Length: 2\r\n\r\n{}",
           403, NULL);
    expect(f, "POST /echo" HEAD JSON "Origin: http://localhost\r\nContent-Length: 2\r\n\r\n{}", 201,
           NULL);
}

static void test_tokens(void **state) {
    struct fixture *f = *state;
    expect(f, "GET /closed" HEAD "\r\n", 401, "WWW-Authenticate: Bearer");
    expect(f, "GET /closed" HEAD "Authorization: Bearer wrong\r\n\r\n", 401, NULL);
    expect(f, "GET /closed" HEAD "Authorization: Basic secret\r\n\r\n", 401, NULL);
    expect(f, "GET /closed" HEAD "Authorization: Bearer secret\r\n\r\n", 200, "worker-1");
}

/* The name of the cookie ends with the port. */
static void test_sessions(void **state) {
    struct fixture *f = *state;
    char request[256];
    int port = web_port(f->server);
    snprintf(request, sizeof(request), "GET /closed" HEAD "Cookie: a=b; test-%d=inside\r\n\r\n",
             port);
    expect(f, request, 200, "worker-1");
    snprintf(request, sizeof(request), "GET /closed" HEAD "Cookie: test-%d=inside\r\n\r\n",
             port + 1);
    expect(f, request, 401, NULL);
}

static void test_answers_later(void **state) {
    struct fixture *f = *state;
    struct exchange *x = client_open(web_port(f->server));
    client_send(x, "GET /later" HEAD "\r\n", strlen("GET /later" HEAD "\r\n"));
    assert_false(client_wait(&f->loop, x, "HTTP", 100));
    assert_non_null(kept);
    assert_false(web_peer_gone(kept));
    /* Others are served meanwhile. */
    expect(f, "GET /hello/x" HEAD "\r\n", 200, NULL);
    web_reply_json(kept, 200, cJSON_CreateObject());
    kept = NULL;
    assert_true(client_wait(&f->loop, x, "{}", 1000));
    client_close(x);
}

static void test_notices_a_gone_client(void **state) {
    struct fixture *f = *state;
    struct exchange *x = client_open(web_port(f->server));
    client_send(x, "GET /later" HEAD "\r\n", strlen("GET /later" HEAD "\r\n"));
    assert_false(client_wait(&f->loop, x, "HTTP", 50));
    client_close(x);
    usleep(1000);
    assert_true(web_peer_gone(kept));
    web_reply_empty(kept, 204);
    kept = NULL;
}

static void test_stops_while_requests_wait(void **state) {
    struct fixture *f = *state;
    struct exchange *x = client_open(web_port(f->server));
    client_send(x, "GET /later" HEAD "\r\n", strlen("GET /later" HEAD "\r\n"));
    for (int i = 0; i < 100 && kept == NULL; i++) /* a busy machine takes its time */
        assert_false(client_wait(&f->loop, x, "HTTP", 50));
    assert_non_null(kept);
    client_close(x); /* stop() answers kept after the server has gone */
}

static void test_compresses(void **state) {
    struct fixture *f = *state;
    struct exchange *x = client_ask(&f->loop, web_port(f->server),
                                    "GET /large" HEAD "Accept-Encoding: gzip\r\n\r\n");
    assert_non_null(strstr(x->text, "Content-Encoding: gzip"));
    char *body = strstr(x->text, "\r\n\r\n") + 4;
    unsigned char *plain = malloc(400000);
    z_stream z = {.next_in = (unsigned char *)body,
                  .avail_in = (unsigned)(x->len - (size_t)(body - x->text)),
                  .next_out = plain,
                  .avail_out = 400000};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    inflateEnd(&z);
    assert_int_equal(z.total_out, 300000);
    assert_int_equal(plain[299999], 'a' + 299999 % 7);
    free(plain);
    assert_true(x->len < 30000);
    client_close(x);
    expect(f, "GET /large" HEAD "\r\n", 200, "Content-Length: 300000");
}

/* Its handler has answered; nothing is read. */
static struct exchange *ask_for_huge(struct fixture *f) {
    struct exchange *x = client_open(web_port(f->server));
    int before = huge_asked;
    client_send(x, "GET /huge" HEAD "\r\n", strlen("GET /huge" HEAD "\r\n"));
    for (int i = 0; i < 5000 && huge_asked == before; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        usleep(500);
    }
    assert_int_equal(huge_asked, before + 1);
    return x;
}

static void test_answers_that_nobody_reads(void **state) {
    struct fixture *f = *state;
    struct exchange *x[3], *posted = client_open(web_port(f->server));
    for (int i = 0; i < 3; i++)
        x[i] = ask_for_huge(f);
    assert_true(client_wait(&f->loop, x[2], "\"request_id\"", 2000));
    assert_int_equal(atoi(x[2]->text + 9), 503);
    assert_non_null(strstr(x[2]->text, "Retry-After: 1"));
    assert_null(strstr(x[2]->text, "ETag"));
    expect(f, "GET /hello/x" HEAD "\r\n", 200, NULL); /* small ones are answered */
    static const char post[] = "POST /huge" HEAD JSON "Content-Length: 2\r\n\r\n{}";
    client_send(posted, post, strlen(post)); /* it may have changed something */
    assert_true(client_wait(&f->loop, posted, "HTTP/1.1 200", 2000));
    client_close(posted);
    client_close(x[0]);
    for (int i = 0; i < 100; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        usleep(500);
    }
    struct exchange *again = ask_for_huge(f);
    assert_true(client_wait(&f->loop, again, "HTTP/1.1 200", 2000));
    client_close(again);
    client_close(x[1]);
    client_close(x[2]);
}

static void test_assets(void **state) {
    struct fixture *f = *state;
    expect(f, "GET /" HEAD "\r\n", 200, "Content-Security-Policy: default-src 'self'");
    expect(f, "GET /app-0a1b2c3d.js" HEAD "\r\n", 200, "immutable");
    expect(f, "GET /app-0a1b2c3d.js" HEAD "If-None-Match: \"e2\"\r\n\r\n", 304, "ETag: \"e2\"");
    expect(f, "GET /none.js" HEAD "\r\n", 404, NULL);
    expect(f, "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 403, NULL);
}

static void test_deadlines_are_absolute(void **state) {
    struct fixture *f = *state;
    struct exchange *x = client_open(web_port(f->server));
    uint64_t begin = uv_hrtime();
    client_send(x, "GET /hello/x HTTP/1.1\r\n", 23);
    /* A byte every 100 ms is activity, but no request. */
    for (int i = 0; i < 40 && !x->closed; i++) {
        client_send(x, "X", 1);
        client_wait(&f->loop, x, NULL, 100);
    }
    assert_true(x->closed);
    assert_true(uv_hrtime() - begin < 2500000000u);
    client_close(x);
    x = client_open(web_port(f->server));
    static const char post[] = "POST /echo" HEAD JSON "Content-Length: 1000\r\n\r\n";
    client_send(x, post, sizeof(post) - 1);
    for (int i = 0; i < 40 && !x->closed; i++) {
        client_send(x, " ", 1);
        client_wait(&f->loop, x, NULL, 100);
    }
    assert_true(x->closed);
    client_close(x);
}

static void test_caps_connections_of_an_address(void **state) {
    struct fixture *f = *state;
    struct exchange *x[9];
    for (int i = 0; i < 9; i++) {
        x[i] = client_open(web_port(f->server));
        client_wait(&f->loop, x[i], "HTTP", 20);
    }
    assert_true(client_wait(&f->loop, x[8], NULL, 300)); /* the ninth is closed at once */
    for (int i = 0; i < 9; i++)
        client_close(x[i]);
    for (int i = 0; i < 20; i++) {
        usleep(1000);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    expect(f, "GET /hello/x" HEAD "\r\n", 200, NULL);
}

static void test_port_taken(void **state) {
    struct fixture *f = *state;
    struct web_config config = f->config;
    struct web_server *second = NULL;
    struct err err = {0};
    config.port = web_port(f->server);
    assert_int_equal(web_create(&config, &err, &second), ESP_EBUSY);
    config.address = "localhost";
    assert_int_equal(web_create(&config, &err, &second), ESP_EINVAL);
    assert_null(second);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_routes),
        TEST(test_bodies),
        TEST(test_body_limits),
        TEST(test_endless_body),
        TEST(test_other_origins),
        TEST(test_refusals_are_counted),
        TEST(test_nul_in_the_request_line),
        TEST(test_tokens),
        TEST(test_sessions),
        TEST(test_answers_later),
        TEST(test_compresses),
        TEST(test_answers_that_nobody_reads),
        TEST(test_notices_a_gone_client),
        TEST(test_assets),
        TEST(test_stops_while_requests_wait),
        TEST(test_port_taken),
        TEST(test_deadlines_are_absolute),
        TEST(test_caps_connections_of_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
