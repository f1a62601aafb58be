/* Against a small server on a socket of its own, which answers with bytes that a test has written
 * down: also what no proper server would send. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/http_client.h"
#include "base/json.h"

static struct server {
    int fd;
    char url[64];
    const char *answer; /* NULL: none, the connection stays open and silent */
    char request[8192];
    pthread_t thread;
} server;

/* Head and body of one request. */
static void read_request(int fd) {
    size_t len = 0, want = SIZE_MAX;
    while (len < want && len < sizeof(server.request) - 1) {
        ssize_t got = read(fd, server.request + len, sizeof(server.request) - 1 - len);
        if (got <= 0)
            break;
        len += (size_t)got;
        server.request[len] = '\0';
        const char *end = strstr(server.request, "\r\n\r\n");
        const char *length = strcasestr(server.request, "Content-Length: ");
        if (end && want == SIZE_MAX)
            want =
                (size_t)(end + 4 - server.request) + (length ? strtoul(length + 16, NULL, 10) : 0);
    }
}

static void *serve_one(void *unused) {
    int fd = accept(server.fd, NULL, NULL);
    read_request(fd);
    if (server.answer) {
        for (size_t len = strlen(server.answer), at = 0; at < len;) {
            ssize_t put = send(fd, server.answer + at, len - at, MSG_NOSIGNAL);
            if (put <= 0)
                break;
            at += (size_t)put;
        }
        shutdown(fd, SHUT_WR);
    }
    struct pollfd gone = {.fd = fd, .events = POLLIN};
    poll(&gone, 1, 5000); /* until the client hangs up */
    close(fd);
    return NULL;
}

static void answer_with(const char *answer) {
    server.answer = answer;
    memset(server.request, 0, sizeof(server.request));
    assert_int_equal(pthread_create(&server.thread, NULL, serve_one, NULL), 0);
}

static int open_server(void **state) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server.fd, (struct sockaddr *)&address, len) < 0 || listen(server.fd, 4) < 0 ||
        getsockname(server.fd, (struct sockaddr *)&address, &len) < 0)
        return -1;
    snprintf(server.url, sizeof(server.url), "http://127.0.0.1:%d/", ntohs(address.sin_port));
    return 0;
}

static int close_server(void **state) {
    return close(server.fd);
}

static struct http_client *client_of(const char *token) {
    const struct http_client_options options = {
        .base_url = server.url, .token = token, .user_agent = "tester/1"};
    struct http_client *client;
    assert_int_equal(http_client_create(&options, NULL, &client), 0);
    return client;
}

/* The client goes first, since the server waits for it to hang up. */
static void end(struct http_client *client) {
    http_client_destroy(client);
    pthread_join(server.thread, NULL);
}

static void a_get_carries_token_and_agent(void **state) {
    struct http_client *client = client_of("secret");
    struct http_response response;
    const struct http_request request = {.method = "GET", .path = "/api/v1/spaces?limit=2"};
    answer_with("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\nhello");
    assert_int_equal(http_client_send(client, &request, NULL, &response), 0);
    end(client);
    assert_int_equal(response.status, 200);
    assert_int_equal(response.len, 5);
    assert_string_equal(response.body, "hello");
    assert_int_equal(response.retry_after_s, 7);
    http_response_finish(&response);
    assert_memory_equal(server.request, "GET /api/v1/spaces?limit=2 HTTP/1.1\r\n", 37);
    assert_non_null(strstr(server.request, "\r\nAuthorization: Bearer secret\r\n"));
    assert_non_null(strstr(server.request, "\r\nUser-Agent: tester/1\r\n"));
    assert_null(strcasestr(server.request, "Content-Type"));
}

static void a_json_exchange_goes_both_ways(void **state) {
    struct http_client *client = client_of(NULL);
    cJSON *body = cJSON_CreateObject(), *doc = NULL;
    cJSON_AddNumberToObject(body, "depth", 3);
    const struct http_exchange exchange = {
        .method = "POST", .path = "/x", .idempotency_key = "key-1", .body = body};
    int status = 0;
    answer_with("HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n{\"id\":12}");
    assert_int_equal(http_client_json(client, &exchange, NULL, &status, &doc), 0);
    end(client);
    assert_int_equal(status, 201);
    assert_int_equal(cJSON_GetObjectItem(doc, "id")->valueint, 12);
    assert_non_null(strstr(server.request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(server.request, "\r\nIdempotency-Key: key-1\r\n"));
    assert_non_null(strstr(server.request, "\r\n\r\n{\"depth\":3}"));
    assert_null(strstr(server.request, "Authorization"));
    cJSON_Delete(doc);
    cJSON_Delete(body);
}

/* Sends GET and returns the code of the error that the answer makes. */
static int failure_of(const char *answer, struct err *err, int *ret_status) {
    struct http_client *client = client_of(NULL);
    const struct http_exchange exchange = {.method = "GET", .path = "/x", .timeout_ms = 300};
    cJSON *doc = NULL;
    *err = (struct err){0};
    *ret_status = 0;
    answer_with(answer);
    int code = http_client_json(client, &exchange, err, ret_status, &doc);
    end(client);
    assert_null(doc);
    assert_int_equal(err->code, code);
    return code;
}

static void problems_become_errors(void **state) {
    struct err err;
    int status;
    assert_int_equal(failure_of("HTTP/1.1 422 No\r\nContent-Type: application/problem+json\r\n\r\n"
                                "{\"code\":\"infeasible\",\"detail\":\"nothing is that fast\","
                                "\"errors\":[{\"pointer\":\"/constraints/0\"}]}",
                                &err, &status),
                     ESP_EINFEASIBLE);
    assert_int_equal(status, 422);
    assert_string_equal(err.message, "nothing is that fast");
    assert_string_equal(err.pointer, "/constraints/0");
    assert_int_equal(
        failure_of("HTTP/1.1 404 No\r\n\r\n{\"detail\":\"no such space\"}", &err, &status),
        ESP_ENOTFOUND);
    assert_string_equal(err.message, "no such space");
}

static void errors_without_a_problem_document(void **state) {
    struct err err;
    int status;
    assert_int_equal(failure_of("HTTP/1.1 503 No\r\n\r\n<html>", &err, &status), ESP_ENOMEM);
    assert_int_equal(status, 503);
    assert_string_equal(err.message, "the daemon answered with status 503");
    assert_int_equal(failure_of("HTTP/1.1 418 No\r\nContent-Length: 0\r\n\r\n", &err, &status),
                     ESP_EINVAL);
    assert_int_equal(failure_of("HTTP/1.1 599 No\r\nContent-Length: 0\r\n\r\n", &err, &status),
                     ESP_EINTERNAL);
}

static void answers_that_are_no_answers(void **state) {
    struct err err;
    int status;
    assert_int_equal(failure_of("HTTP/1.1 200 OK\r\n\r\n{\"a\":", &err, &status), ESP_EPARSE);
    assert_memory_equal(err.message, "the daemon's answer: JSON", 25);
    assert_int_equal(failure_of("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}", &err, &status),
                     ESP_EUNREACHABLE);
    assert_int_equal(failure_of("", &err, &status), ESP_EUNREACHABLE);
    assert_int_equal(failure_of(NULL, &err, &status), ESP_ETIMEOUT);
    assert_int_equal(status, 0);
}

static void nobody_listens(void **state) {
    struct err err = {0};
    struct http_client *client = client_of(NULL);
    const struct http_exchange exchange = {.method = "GET", .path = "/x"};
    int status = 0;
    close(server.fd);
    assert_int_equal(http_client_json(client, &exchange, &err, &status, NULL), ESP_EUNREACHABLE);
    assert_non_null(
        strstr(err.message, server.url[0] ? "cannot reach the daemon at http://127.0.0.1:" : ""));
    http_client_destroy(client);
    open_server(NULL);
}

static void answers_have_a_limit(void **state) {
    struct http_client *client = client_of(NULL);
    struct http_response response;
    const struct http_request request = {.method = "GET", .path = "/", .response_limit = 4};
    answer_with("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(http_client_send(client, &request, NULL, &response), ESP_ETOOLARGE);
    end(client);
}

static int stop_after_three(void *context, const char *data, size_t len) {
    size_t *seen = context;
    *seen += len;
    return *seen >= 3;
}

static void a_stream_can_be_ended(void **state) {
    struct http_client *client = client_of(NULL);
    struct http_response response;
    size_t seen = 0;
    const struct http_request request = {.method = "GET",
                                         .path = "/",
                                         .last_event_id = "41",
                                         .on_data = stop_after_three,
                                         .context = &seen};
    answer_with("HTTP/1.1 200 OK\r\n\r\ndata: 1\n\n");
    assert_int_equal(http_client_send(client, &request, NULL, &response), ESP_ECANCELED);
    end(client);
    assert_true(seen >= 3);
    assert_non_null(strstr(server.request, "\r\nLast-Event-ID: 41\r\n"));
}

static int create(const char *url, bool allow_plain) {
    const struct http_client_options options = {.base_url = url, .allow_plain = allow_plain};
    struct http_client *client = NULL;
    struct err err = {0};
    int code = http_client_create(&options, &err, &client);
    assert_true(code == 0 ? client != NULL : client == NULL && err.message[0]);
    http_client_destroy(client);
    return code;
}

static void addresses_are_checked(void **state) {
    static const char *const good[] = {"http://127.0.0.1:8080", "http://localhost",
                                       "http://[::1]:1/", "https://example.org",
                                       "http://127.9.8.7:1"};
    static const char *const bad[] = {"",
                                      "ftp://127.0.0.1",
                                      "http://127.0.0.1/api",
                                      "http://example.org",
                                      "http://127.0.0.1.example.org",
                                      "http://127.evil.org:8080",
                                      "http://localhost.example.org",
                                      "file:///etc/passwd"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_int_equal(create(good[i], false), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(create(bad[i], false), ESP_EINVAL);
    assert_int_equal(create("http://example.org", true), 0);
}

static void tokens_have_no_line_breaks(void **state) {
    struct err err = {0};
    struct http_client *client = client_of("old");
    assert_int_equal(http_client_set_token(client, "a\r\nHost: x", &err), ESP_EINVAL);
    assert_int_equal(http_client_set_token(client, "new", &err), 0);
    answer_with("HTTP/1.1 204 OK\r\n\r\n");
    const struct http_exchange exchange = {.method = "DELETE", .path = "/x"};
    int status = 0;
    cJSON *doc = NULL;
    assert_int_equal(http_client_json(client, &exchange, &err, &status, &doc), 0);
    end(client);
    assert_null(doc);
    assert_int_equal(status, 204);
    assert_memory_equal(server.request, "DELETE /x ", 10);
    assert_non_null(strstr(server.request, "Bearer new\r\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_carries_token_and_agent),
        cmocka_unit_test(a_json_exchange_goes_both_ways),
        cmocka_unit_test(problems_become_errors),
        cmocka_unit_test(errors_without_a_problem_document),
        cmocka_unit_test(answers_that_are_no_answers),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(answers_have_a_limit),
        cmocka_unit_test(a_stream_can_be_ended),
        cmocka_unit_test(addresses_are_checked),
        cmocka_unit_test(tokens_have_no_line_breaks),
    };
    return cmocka_run_group_tests(tests, open_server, close_server);
}
