#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "client.h"
#include "web/sse.h"

struct fixture {
    uv_loop_t loop;
    struct web_config config;
    struct web_server *server;
    struct sse_hub *hub;
};

static void answer_events(struct web_request *req) {
    struct fixture *f = web_user(req);
    const char *last = web_header(req, "Last-Event-ID");
    sse_serve(f->hub, req, last == NULL ? -1 : atoll(last), web_query(req, "topics"));
}

static const struct web_route routes[] = {{"GET", "/events", "topics", answer_events, 0, 0},
                                          {.method = NULL}};

static int start(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err = {0};
    struct sse_config sse = {
        .max_bytes = 100000, .max_events = 8, .max_clients = 3, .heartbeat_ms = 300};
    uv_loop_init(&f->loop);
    f->config = (struct web_config){.loop = &f->loop,
                                    .address = "127.0.0.1",
                                    .routes = routes,
                                    .body_limit = 4096,
                                    .max_connections = 32,
                                    .max_connections_per_address = 8,
                                    .head_us = 5000000,
                                    .body_us = 5000000,
                                    .idle_us = 5000000,
                                    .user = f};
    assert_int_equal(web_create(&f->config, &err, &f->server), 0);
    assert_int_equal(sse_create(&f->loop, &sse, &f->hub), 0);
    *state = f;
    return 0;
}

static int stop(void **state) {
    struct fixture *f = *state;
    sse_destroy(f->hub);
    web_destroy(f->server);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    int r = uv_loop_close(&f->loop);
    free(f);
    return r;
}

static struct exchange *listen_to(struct fixture *f, const char *query, const char *last) {
    struct exchange *x = client_open(web_port(f->server));
    char text[256];
    snprintf(text, sizeof(text), "GET /events%s HTTP/1.1\r\nHost: localhost\r\n%s%s%s\r\n", query,
             last != NULL ? "Last-Event-ID: " : "", last != NULL ? last : "",
             last != NULL ? "\r\n" : "");
    client_send(x, text, strlen(text));
    return x;
}

static bool heard(struct fixture *f, struct exchange *x, const char *text) {
    return client_wait(&f->loop, x, text, 1000);
}

static void test_streams_with_ids(void **state) {
    struct fixture *f = *state;
    sse_publish(f->hub, 1, "job", "{\"old\":1}");
    struct exchange *x = listen_to(f, "", NULL);
    assert_true(heard(f, x, "retry: 2000\n: hello\nid: 1\n\n"));
    assert_non_null(strstr(x->text, "Content-Type: text/event-stream"));
    assert_int_equal(sse_clients(f->hub), 1);
    sse_publish(f->hub, 2, "job", "{\"a\":1}");
    sse_publish(f->hub, 0, "progress", "{\"b\":2}");
    assert_true(heard(f, x, "id: 2\nevent: job\ndata: {\"a\":1}\n\n"));
    assert_true(heard(f, x, "event: progress\ndata: {\"b\":2}\n\n"));
    assert_null(strstr(x->text, "id: 0"));
    assert_null(strstr(x->text, "old"));
    client_close(x);
}

static void test_filters_topics(void **state) {
    struct fixture *f = *state;
    struct exchange *x = listen_to(f, "?topics=job,front", NULL);
    assert_true(heard(f, x, "retry"));
    sse_publish(f->hub, 1, "metric", "{\"m\":1}");
    sse_publish(f->hub, 2, "front", "{\"f\":1}");
    assert_true(heard(f, x, "event: front"));
    assert_null(strstr(x->text, "metric"));
    client_close(x);
}

static void test_resumes(void **state) {
    struct fixture *f = *state;
    for (int i = 1; i <= 5; i++)
        sse_publish(f->hub, 10 * i, "job", "{}");
    struct exchange *x = listen_to(f, "", "30");
    assert_true(heard(f, x, "id: 50\n"));
    assert_non_null(strstr(x->text, "id: 40\n"));
    assert_null(strstr(x->text, "id: 30\n"));
    assert_null(strstr(x->text, "resync"));
    client_close(x);
    x = listen_to(f, "", "50"); /* nothing missed */
    assert_true(heard(f, x, "retry"));
    assert_null(strstr(x->text, "resync"));
    client_close(x);
}

static void test_resumes_before_the_first_event(void **state) {
    struct fixture *f = *state;
    sse_set_floor(f->hub, 7);
    struct exchange *x = listen_to(f, "?topics=front", NULL);
    assert_true(heard(f, x, "id: 7\n\n"));
    client_close(x);
    sse_publish(f->hub, 8, "front", "{}");
    x = listen_to(f, "?topics=front", "7");
    assert_true(heard(f, x, "id: 8\nevent: front"));
    assert_null(strstr(x->text, "id: 7\n"));
    assert_null(strstr(x->text, "resync"));
    client_close(x);
}

static void test_asks_to_resync(void **state) {
    struct fixture *f = *state;
    sse_set_floor(f->hub, 100);
    for (int i = 101; i <= 120; i++) /* the ring holds eight */
        sse_publish(f->hub, i, "job", "{}");
    static const char *const gone[] = {"5", "100", "111", "121"};
    for (int i = 0; i < 4; i++) {
        struct exchange *x = listen_to(f, "", gone[i]);
        assert_true(heard(f, x, "id: 120\nevent: resync"));
        client_close(x);
    }
    struct exchange *x = listen_to(f, "", "112");
    assert_true(heard(f, x, "id: 120\nevent: job"));
    assert_null(strstr(x->text, "resync"));
    client_close(x);
}

static void test_a_slow_client_is_told_to_resync(void **state) {
    struct fixture *f = *state;
    struct exchange *x = listen_to(f, "", NULL);
    assert_true(heard(f, x, "retry"));
    /* More than the sockets' buffers hold, without reading. */
    static char data[8000];
    memset(data, 'x', sizeof(data) - 1);
    data[0] = '"';
    data[sizeof(data) - 2] = '"';
    for (int i = 1; i <= 3000; i++) {
        sse_publish(f->hub, i, "job", data);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    bool told = false;
    for (int i = 0; i < 200 && !told && !x->closed; i++) {
        x->len = 0;
        told = client_wait(&f->loop, x, "event: resync", 200);
    }
    assert_true(told || x->closed);
    client_close(x);
}

static void test_heartbeat(void **state) {
    struct fixture *f = *state;
    struct exchange *x = listen_to(f, "", NULL);
    assert_true(heard(f, x, ": still here"));
    client_close(x);
    for (int i = 0; i < 800 && sse_clients(f->hub) > 0; i++) {
        usleep(1000);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(sse_clients(f->hub), 0);
}

static void test_caps_clients(void **state) {
    struct fixture *f = *state;
    struct exchange *x[4];
    for (int i = 0; i < 3; i++) {
        x[i] = listen_to(f, "", NULL);
        assert_true(heard(f, x[i], "retry"));
    }
    x[3] = listen_to(f, "", NULL);
    assert_true(heard(f, x[3], "too many event streams"));
    for (int i = 0; i < 4; i++)
        client_close(x[i]);
}

static void test_one_text_for_all(void **state) {
    struct fixture *f = *state;
    struct exchange *x[3];
    for (int i = 0; i < 3; i++) {
        x[i] = listen_to(f, i == 2 ? "?topics=front" : "", NULL);
        assert_true(heard(f, x[i], "retry"));
    }
    for (int i = 1; i <= 5; i++)
        sse_publish(f->hub, i, i == 5 ? "front" : "job", "{\"a\":1}");
    for (int i = 0; i < 3; i++) {
        assert_true(heard(f, x[i], "id: 5\nevent: front\ndata: {\"a\":1}\n\n"));
        assert_true((strstr(x[i]->text, "id: 1\nevent: job\ndata: {\"a\":1}\n\nid: 2\n") != NULL) ==
                    (i < 2));
        client_close(x[i]);
    }
    assert_int_equal(sse_counts(f->hub).serialised, 5);
    assert_int_equal(sse_counts(f->hub).delivered, 5 + 5 + 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_streams_with_ids),
        TEST(test_filters_topics),
        TEST(test_resumes),
        TEST(test_asks_to_resync),
        TEST(test_heartbeat),
        TEST(test_caps_clients),
        TEST(test_one_text_for_all),
        TEST(test_a_slow_client_is_told_to_resync),
        TEST(test_resumes_before_the_first_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
