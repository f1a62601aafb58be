/* Signatures, and what the store makes of the ends of jobs and of attempts. */
#include "fixture.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/store_jobs.h"
#include "daemon/store_webhooks.h"
#include "daemon/webhook_sender.h"
#include "daemon/webhook_sign.h"

static const struct webhook_rules rules = {.retry_us = 1000000, .attempts = 3};

/* The vector of the Standard Webhooks libraries. */
static void test_signs_as_others_verify(void **state) {
    static const char body[] = "{\"test\": 2432232314}";
    const struct webhook_message message = {.id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
                                            .timestamp_s = 1614265330,
                                            .body = body,
                                            .len = strlen(body)};
    char signature[WEBHOOK_SIGNATURE_MAX], secret[WEBHOOK_SECRET_MAX], other[WEBHOOK_SECRET_MAX];
    assert_int_equal(webhook_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &message, signature),
                     0);
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    webhook_secret_make(secret);
    webhook_secret_make(other);
    assert_string_not_equal(secret, other);
    assert_int_equal(strlen(secret), 6 + 44);
    assert_int_equal(webhook_sign(secret, &message, signature), 0);
    assert_int_equal(webhook_sign("whsec_", &message, signature), ESP_EINVAL);
    assert_int_equal(webhook_sign("whsec_c2hvcnQ=", &message, signature), ESP_EINVAL);
    assert_int_equal(webhook_sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &message, signature),
                     ESP_EINVAL);
}

static void test_waits_grow_and_have_an_end(void **state) {
    const struct webhook_rules slow = {.retry_us = 5000000, .attempts = 9};
    static const int64_t seconds[] = {5, 20, 80, 320, 1280, 5120, 20480, 21600, 21600};
    for (int i = 0; i < 9; i++)
        assert_int_equal(webhook_wait_us(&slow, i + 1), seconds[i] * 1000000);
    assert_int_equal(webhook_wait_us(&slow, 1000), INT64_C(21600) * 1000000);
}

/* ---- calls in transactions ------------------------------------------------------------------- */

static int add(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct webhook_request request = {.url = "https://example.org/hook", .label = ""};
    cJSON *events = cJSON_Parse(argument != NULL ? argument : "null"), *doc = NULL;
    request.events = cJSON_IsArray(events) ? events : NULL;
    int r = store_webhook_create(tx, &request, err, &doc);
    if (r == 0)
        strcpy(f->id, cJSON_GetStringValue(cJSON_GetObjectItem(doc, "id")));
    cJSON_Delete(events);
    cJSON_Delete(doc);
    return r;
}

/* A job that ends by the event. */
static int end_job(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    const enum job_event *event = argument;
    const struct err why = {.code = ESP_EIO, .message = "no disk"};
    char job[ID_MAX];
    cJSON *spec = cJSON_CreateObject(), *result = NULL, *start = NULL;
    int r = store_job_create(tx, "evaluate", "sn_none", spec, err, job);
    if (r == 0)
        r = store_job_next(tx, err, &start);
    if (r == 0 && *event == JOB_FINISH) {
        result = cJSON_Parse("{\"seconds\": 7}");
        r = store_job_finish(tx, job, result, err);
    } else if (r == 0 && *event == JOB_FAIL)
        r = store_job_fail(tx, job, &why, err);
    else if (r == 0 && (r = store_job_apply(tx, job, JOB_CANCEL, NULL, err)) == 0)
        r = store_job_apply(tx, job, JOB_STOP, "canceled", err);
    cJSON_Delete(spec);
    cJSON_Delete(start);
    cJSON_Delete(result);
    return r;
}

static int tell_outcome(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    bool disabled = false;
    return store_webhook_outcome(tx, &rules, argument, err, &disabled);
}

static int enable(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_webhook_enable(tx, f->id, err);
}

static int test_it(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    cJSON *doc = NULL;
    int r = store_webhook_test(tx, f->id, err, &doc);
    cJSON_Delete(doc);
    return r;
}

static int prune(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_webhooks_prune(tx, INT64_MAX, err);
}

static void end_job_by(struct fixture *f, enum job_event event) {
    if (in_tx(f, end_job, &event) != 0)
        fail_msg("%s", f->err.message);
}

static cJSON *due(struct fixture *f) {
    cJSON *rows = NULL;
    assert_int_equal(store_webhooks_due(store_loop_sql(f->store), INT64_MAX, &f->err, &rows), 0);
    return rows;
}

static cJSON *deliveries(struct fixture *f) {
    const struct sql_page_args page = {.size = 100};
    cJSON *doc = NULL;
    assert_int_equal(
        store_webhook_deliveries(store_loop_sql(f->store), f->id, &page, NULL, &f->err, &doc), 0);
    return as_sent(doc);
}

static cJSON *webhook(struct fixture *f) {
    cJSON *doc = NULL;
    assert_int_equal(store_webhook_get(store_loop_sql(f->store), f->id, &f->err, &doc), 0);
    return as_sent(doc);
}

/* Of the delivery that is due. */
static void outcome(struct fixture *f, int status, const char *error) {
    cJSON *rows = due(f);
    struct webhook_outcome outcome = {.delivery = text_at(rows, "0.id"),
                                      .url = text_at(rows, "0.url"),
                                      .status = status,
                                      .error = error,
                                      .duration_us = 5};
    assert_int_equal(in_tx(f, tell_outcome, &outcome), 0);
    cJSON_Delete(rows);
}

static void assert_state(struct fixture *f, const char *state) {
    cJSON *doc = webhook(f);
    assert_string_equal(text_at(doc, "state"), state);
    cJSON_Delete(doc);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_the_end_of_a_job_queues_its_facts(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, add, NULL), 0);
    end_job_by(f, JOB_FINISH);
    cJSON *rows = due(f), *body = doc_of(text_at(rows, "0.body"));
    assert_string_equal(text_at(body, "type"), "job.done");
    assert_string_equal(text_at(body, "data.job.state"), "done");
    assert_string_equal(text_at(body, "data.job.kind"), "evaluate");
    assert_int_equal(number_at(body, "data.job.result.seconds"), 7);
    assert_null(cJSON_GetObjectItem(member(body, "data.job"), "held"));
    assert_memory_equal(text_at(body, "id"), "evt_", 4);
    assert_memory_equal(text_at(rows, "0.id"), "whd_", 4);
    assert_string_equal(text_at(rows, "0.url"), "https://example.org/hook");
    cJSON_Delete(body);
    cJSON_Delete(rows);
    outcome(f, 204, NULL);
    end_job_by(f, JOB_FAIL);
    body = doc_of(text_at(rows = due(f), "0.body"));
    assert_string_equal(text_at(body, "type"), "job.failed");
    assert_string_equal(text_at(body, "data.job.error.message"), "no disk");
    cJSON_Delete(body);
    cJSON_Delete(rows);
    outcome(f, 200, NULL);
    end_job_by(f, JOB_CANCEL);
    body = doc_of(text_at(rows = due(f), "0.body"));
    assert_string_equal(text_at(body, "type"), "job.canceled");
    cJSON_Delete(body);
    cJSON_Delete(rows);
}

static void test_only_what_was_asked_for(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, add, "[\"job.failed\"]"), 0);
    end_job_by(f, JOB_FINISH);
    end_job_by(f, JOB_FAIL);
    cJSON *doc = deliveries(f);
    assert_int_equal(cJSON_GetArraySize(member(doc, "items")), 1);
    assert_string_equal(text_at(doc, "items.0.type"), "job.failed");
    cJSON_Delete(doc);
}

static void test_an_attempt_that_fails_is_followed_by_another(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, add, NULL), 0);
    end_job_by(f, JOB_FINISH);
    outcome(f, 500, "it answered with status 500");
    cJSON *doc = deliveries(f);
    assert_string_equal(text_at(doc, "items.0.state"), "pending");
    assert_int_equal(number_at(doc, "items.0.attempts"), 1);
    assert_int_equal(number_at(doc, "items.0.status"), 500);
    assert_string_equal(text_at(doc, "items.0.error"), "it answered with status 500");
    cJSON_Delete(doc);
    outcome(f, 200, NULL);
    doc = deliveries(f);
    assert_string_equal(text_at(doc, "items.0.state"), "delivered");
    assert_int_equal(number_at(doc, "items.0.attempts"), 2);
    assert_true(cJSON_IsNull(member(doc, "items.0.error")));
    cJSON_Delete(doc);
    cJSON *rows = due(f);
    assert_int_equal(cJSON_GetArraySize(rows), 0);
    cJSON_Delete(rows);
}

static void test_a_dead_receiver_is_disabled_and_can_be_enabled(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, add, NULL), 0);
    end_job_by(f, JOB_FINISH);
    end_job_by(f, JOB_FINISH);
    for (int i = 0; i < 5; i++) {
        assert_state(f, "enabled");
        outcome(f, 0, "nobody is there");
    }
    cJSON *doc = webhook(f);
    assert_string_equal(text_at(doc, "state"), "disabled");
    assert_non_null(strstr(text_at(doc, "disabled_reason"), "nobody is there"));
    assert_int_equal(number_at(doc, "pending"), 1);
    cJSON_Delete(doc);
    end_job_by(f, JOB_FINISH);
    cJSON *rows = due(f);
    assert_int_equal(cJSON_GetArraySize(rows), 0);
    cJSON_Delete(rows);
    assert_int_equal(in_tx(f, test_it, NULL), ESP_ECONFLICT);
    assert_int_equal(in_tx(f, enable, NULL), 0);
    outcome(f, 200, NULL);
    assert_state(f, "enabled");
}

static void test_enabling_one_that_is_enabled_changes_nothing(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, add, NULL), 0);
    assert_int_equal(in_tx(f, enable, NULL), 0);
    end_job_by(f, JOB_FINISH);
    outcome(f, 500, "it answered with status 500");
    cJSON *before = deliveries(f);
    assert_int_equal(in_tx(f, enable, NULL), 0);
    cJSON *after = deliveries(f);
    assert_int_equal(number_at(after, "items.0.attempts"), 1);
    assert_true(cJSON_Compare(before, after, true));
    cJSON_Delete(before);
    cJSON_Delete(after);
    strcpy(f->id, "wh_none");
    assert_int_equal(in_tx(f, enable, NULL), ESP_ENOTFOUND);
}

static void test_bodies_are_read_when_they_are_due(void **state) {
    struct fixture *f = *state;
    cJSON *rows = NULL;
    assert_int_equal(in_tx(f, add, NULL), 0);
    end_job_by(f, JOB_FINISH);
    assert_int_equal(store_webhooks_due(store_loop_sql(f->store), 1, &f->err, &rows), 0);
    assert_int_equal(cJSON_GetArraySize(rows), 1);
    assert_true(cJSON_IsNull(member(rows, "0.body")));
    cJSON_Delete(rows);
}

static void test_one_that_takes_others_stays_enabled(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, add, NULL), 0);
    end_job_by(f, JOB_FINISH);
    outcome(f, 400, "it answered with status 400");
    end_job_by(f, JOB_FINISH); /* due before the other's next attempt */
    outcome(f, 200, NULL);
    outcome(f, 400, "it answered with status 400");
    outcome(f, 400, "it answered with status 400");
    assert_state(f, "enabled");
    cJSON *doc = deliveries(f);
    assert_string_equal(text_at(doc, "items.1.state"), "failed");
    cJSON_Delete(doc);
}

static void test_gone_is_gone_and_a_test_disables_nothing(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, add, NULL), 0);
    assert_int_equal(in_tx(f, test_it, NULL), 0);
    outcome(f, 500, "it answered with status 500");
    assert_state(f, "enabled");
    cJSON *doc = deliveries(f);
    assert_string_equal(text_at(doc, "items.0.state"), "failed");
    cJSON_Delete(doc);
    end_job_by(f, JOB_FINISH);
    outcome(f, 410, "it answered with status 410");
    assert_state(f, "disabled");
    assert_int_equal(in_tx(f, prune, NULL), 0);
    doc = deliveries(f);
    assert_int_equal(cJSON_GetArraySize(member(doc, "items")), 0);
    cJSON_Delete(doc);
}

static int move(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    const struct webhook_patch patch = {.url = argument};
    return store_webhook_patch(tx, f->id, &patch, err);
}

/* Its URL is changed while a delivery is under way. */
static void test_an_old_receiver_says_nothing_of_the_new_one(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, add, NULL), 0);
    end_job_by(f, JOB_FINISH);
    outcome(f, 500, "refused");
    cJSON *sent = due(f), *rows;
    assert_int_equal(in_tx(f, move, "https://example.org/other"), 0);
    struct webhook_outcome late = {.delivery = text_at(sent, "0.id"),
                                   .url = text_at(sent, "0.url"),
                                   .status = 410,
                                   .error = "gone"};
    assert_int_equal(in_tx(f, tell_outcome, &late), 0);
    assert_state(f, "enabled");
    rows = deliveries(f);
    assert_string_equal(text_at(rows, "items.0.state"), "pending");
    assert_int_equal(number_at(rows, "items.0.attempts"), 0);
    cJSON_Delete(rows);
    assert_int_equal(store_webhooks_due(store_loop_sql(f->store), clock_wall_us(), &f->err, &rows),
                     0);
    assert_string_equal(text_at(rows, "0.url"), "https://example.org/other");
    assert_non_null(text_at(rows, "0.body")); /* now */
    cJSON_Delete(rows);
    late.error = NULL; /* or it takes it after all */
    late.status = 200;
    assert_int_equal(in_tx(f, tell_outcome, &late), 0);
    rows = deliveries(f);
    assert_string_equal(text_at(rows, "items.0.state"), "delivered");
    cJSON_Delete(rows);
    rows = webhook(f);
    assert_null(text_at(rows, "last_success_at"));
    cJSON_Delete(rows);
    cJSON_Delete(sent);
}

static void test_the_same_url_again_is_no_move(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, add, NULL), 0);
    end_job_by(f, JOB_FINISH);
    outcome(f, 500, "refused");
    assert_int_equal(in_tx(f, move, "https://example.org/hook"), 0);
    cJSON *rows = deliveries(f);
    assert_int_equal(number_at(rows, "items.0.attempts"), 1);
    cJSON_Delete(rows);
}

static void test_there_are_not_more_than_may_be(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < WEBHOOKS_MAX; i++)
        assert_int_equal(in_tx(f, add, NULL), 0);
    assert_int_equal(in_tx(f, add, NULL), ESP_ELIMIT);
}

/* ---- the sender ------------------------------------------------------------------------------ */

struct sender_bed {
    uv_loop_t loop;
    struct webhook_sender *sender;
    struct webhook_post post;
    int n_done;
};

static void count_done(struct webhook_post *post) {
    ((struct sender_bed *)post->context)->n_done++;
}

static void send_to(struct sender_bed *bed, const struct webhook_ranges *listed, const char *url,
                    int64_t timeout_ms) {
    const struct webhook_sender_options options = {.listed = listed, .timeout_ms = timeout_ms};
    struct err err = {0};
    uv_loop_init(&bed->loop);
    assert_int_equal(webhook_sender_create(&bed->loop, &options, &err, &bed->sender), 0);
    bed->post = (struct webhook_post){.url = url,
                                      .id = "whd_x",
                                      .secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                      .body = "{}",
                                      .done = count_done,
                                      .context = bed};
    bed->n_done = 0;
    webhook_sender_post(bed->sender, &bed->post);
}

static void close_sender(struct sender_bed *bed) {
    webhook_sender_close(bed->sender);
    uv_run(&bed->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&bed->loop), 0);
    assert_int_equal(bed->n_done, 1);
}

/* A port that takes connections and says nothing. */
static int silent_port(int *ret_fd) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    *ret_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(*ret_fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(*ret_fd, 4), 0);
    assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void test_connects_to_no_address_that_is_not_listed(void **state) {
    const struct webhook_ranges none = {.n = 0};
    struct sender_bed bed;
    char url[64];
    int fd = -1;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", silent_port(&fd));
    setenv("http_proxy", url, 1); /* which would connect for us */
    send_to(&bed, &none, url, 2000);
    while (bed.n_done == 0)
        uv_run(&bed.loop, UV_RUN_ONCE);
    unsetenv("http_proxy");
    assert_int_equal(bed.post.status, 0);
    assert_non_null(strstr(bed.post.error, "127.0.0.1 is a loopback address"));
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(accept(fd, NULL, NULL), -1);
    close(fd);
    close_sender(&bed);
}

static void test_an_attempt_ends_in_time_or_by_closing(void **state) {
    struct webhook_ranges listed;
    struct err err = {0};
    struct sender_bed bed;
    char url[64];
    int fd = -1;
    assert_int_equal(webhook_ranges_parse("127.0.0.1", &err, &listed), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", silent_port(&fd));
    send_to(&bed, &listed, url, 100);
    while (bed.n_done == 0)
        uv_run(&bed.loop, UV_RUN_ONCE);
    assert_non_null(strstr(bed.post.error, "did not answer within 0.1 s"));
    assert_false(bed.post.ended_by_closing);
    close_sender(&bed);
    send_to(&bed, &listed, url, 60000);
    close_sender(&bed); /* now */
    assert_true(bed.post.ended_by_closing);
    close(fd);
}

/* Answers the one request with these bytes, and then says no more. */
static void answer_with(struct sender_bed *bed, const char *reply, size_t len) {
    struct webhook_ranges listed;
    struct err err = {0};
    char url[64];
    int fd = -1;
    assert_int_equal(webhook_ranges_parse("127.0.0.1", &err, &listed), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", silent_port(&fd));
    send_to(bed, &listed, url, 1000);
    int peer = accept(fd, NULL, NULL);
    assert_true(peer >= 0);
    send(peer, reply, len, MSG_NOSIGNAL);
    while (bed->n_done == 0)
        uv_run(&bed->loop, UV_RUN_ONCE);
    close(peer);
    close(fd);
    close_sender(bed);
}

static void test_a_status_counts_once_its_headers_are_there(void **state) {
    static const char taken[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
                                "9\r\n\r\nx";
    static const char cut[] = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n";
    static const char broken[] = "HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n";
    static const char waits[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct sender_bed bed;
    answer_with(&bed, taken, sizeof(taken) - 1);
    assert_int_equal(bed.post.status, 200);
    assert_string_equal(bed.post.error, "");
    answer_with(&bed, broken, sizeof(broken) - 1);
    assert_int_equal(bed.post.status, 500);
    assert_non_null(strstr(bed.post.error, "status 500"));
    answer_with(&bed, cut, sizeof(cut) - 1);
    assert_int_equal(bed.post.status, 0);
    assert_non_null(strstr(bed.post.error, "did not answer within 1 s"));
    answer_with(&bed, waits, sizeof(waits) - 1);
    assert_int_equal(bed.post.status, 0);
}

static void test_headers_have_an_end(void **state) {
    static const char line[] = "X-Long: 1234567890123456789012345678901234567890\r\n";
    struct sender_bed bed;
    char *reply = calloc(2000, sizeof(line));
    strcpy(reply, "HTTP/1.1 200 OK\r\n");
    size_t len = strlen(reply);
    for (int i = 0; i < 1900; i++, len += sizeof(line) - 1)
        memcpy(reply + len, line, sizeof(line) - 1);
    answer_with(&bed, reply, len);
    free(reply);
    assert_int_equal(bed.post.status, 0);
    assert_string_equal(bed.post.error, "its answer has more than 64 KiB of headers");
}

int main(void) {
    assert_true(sodium_init() >= 0);
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signs_as_others_verify),
        cmocka_unit_test(test_waits_grow_and_have_an_end),
        cmocka_unit_test(test_connects_to_no_address_that_is_not_listed),
        cmocka_unit_test(test_an_attempt_ends_in_time_or_by_closing),
        cmocka_unit_test(test_a_status_counts_once_its_headers_are_there),
        cmocka_unit_test(test_headers_have_an_end),
        TEST(test_the_end_of_a_job_queues_its_facts),
        TEST(test_only_what_was_asked_for),
        TEST(test_an_attempt_that_fails_is_followed_by_another),
        TEST(test_a_dead_receiver_is_disabled_and_can_be_enabled),
        TEST(test_enabling_one_that_is_enabled_changes_nothing),
        TEST(test_bodies_are_read_when_they_are_due),
        TEST(test_one_that_takes_others_stays_enabled),
        TEST(test_gone_is_gone_and_a_test_disables_nothing),
        TEST(test_an_old_receiver_says_nothing_of_the_new_one),
        TEST(test_the_same_url_again_is_no_move),
        TEST(test_there_are_not_more_than_may_be)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
