/* What a stream says when its connection takes a few bytes at a time; the server is played here. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "web/sse.h"

enum { EVENTS = 4 };

static struct web_stream stream; /* of the one client */
static uv_loop_t loop;

void web_reply_stream(struct web_request *req, const char *content_type,
                      const struct web_stream *replied) {
    stream = *replied;
}

void web_reply_error(struct web_request *req, const struct err *err, cJSON *extra) {
    fail_msg("%s", err->message);
}

void web_wake(struct web_request *req) {
}

bool web_peer_gone(const struct web_request *req) {
    return false;
}

bool web_still_authorised(const struct web_request *req) {
    return true;
}

static int start(void **state) {
    struct sse_config config = {
        .max_bytes = 1 << 16, .max_events = EVENTS, .max_clients = 1, .heartbeat_ms = 1000};
    uv_loop_init(&loop);
    return sse_create(&loop, &config, (struct sse_hub **)state);
}

static int stop(void **state) {
    sse_destroy(*state);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

/* Reads until there is nothing for now, in pieces of at most size bytes. */
static void read_on(char *text, size_t *len, size_t size) {
    for (ssize_t n; (n = stream.read(stream.context, text + *len, size)) > 0;)
        *len += (size_t)n;
    text[*len] = '\0';
}

/* A greeting of which `first` bytes were taken when the events behind it were dropped: it ends as
 * it would have, and only then comes the word to resync. */
static void reads_a_greeting(struct sse_hub *hub, size_t first, size_t size, int64_t *id) {
    char text[1024], greeting[128], resync[128];
    size_t len = 0;
    snprintf(greeting, sizeof(greeting), "retry: 2000\n: hello\nid: %lld\n\n", (long long)*id);
    sse_serve(hub, NULL, -1, NULL);
    if (first > 0)
        len = (size_t)stream.read(stream.context, text, first);
    for (int i = 0; i <= EVENTS; i++) /* one more than the ring holds */
        sse_publish(hub, ++*id, "job", "{}");
    snprintf(resync, sizeof(resync), "id: %lld\nevent: resync\ndata: {}\n\n", (long long)*id);
    read_on(text, &len, size);
    assert_memory_equal(text, greeting, strlen(greeting));
    assert_string_equal(text + strlen(greeting), resync);
    sse_publish(hub, ++*id, "job", "{\"a\":1}"); /* the stream goes on behind it */
    len = 0;
    read_on(text, &len, size);
    assert_non_null(strstr(text, "event: job\ndata: {\"a\":1}\n\n"));
    assert_null(strstr(text, "resync"));
    stream.closed(stream.context);
}

static void a_greeting_is_finished_before_the_resync(void **state) {
    struct sse_hub *hub = *state;
    int64_t id = 0;
    for (size_t first = 0; first <= 26; first++)
        for (size_t size = 1; size <= 64; size += 7)
            reads_a_greeting(hub, first, size, &id);
}

/* An event of which a part was sent before it was dropped cannot be finished: the stream ends. */
static void a_dropped_half_event_ends_the_stream(void **state) {
    struct sse_hub *hub = *state;
    char text[1024];
    size_t len = 0;
    sse_serve(hub, NULL, -1, NULL);
    read_on(text, &len, sizeof(text) - 1);
    sse_publish(hub, 1, "job", "{}");
    assert_int_equal(stream.read(stream.context, text, 5), 5);
    for (int i = 0; i < EVENTS; i++)
        sse_publish(hub, 2 + i, "job", "{}");
    assert_int_equal(stream.read(stream.context, text, 5), -1);
    stream.closed(stream.context);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_greeting_is_finished_before_the_resync),
        TEST(a_dropped_half_event_ends_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
