/* The job's journal and its channel to the daemon. */
#include "base/json.h"
#include "daemon/job/channel.h"
#include "daemon/job/journal.h"

#include <stdatomic.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct place {
    char dir[256], path[300];
    int down[2], up[2]; /* [0]: the daemon's end, [1]: the job's */
    FILE *events;
};

static int setup(void **state) {
    struct place *place = calloc(1, sizeof *place);
    const char *root = getenv("TMPDIR");
    snprintf(place->dir, sizeof place->dir, "%s/espalier-test-XXXXXX", root ? root : "/tmp");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->path, sizeof place->path, "%s/events.jsonl", place->dir);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, place->down), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, place->up), 0);
    place->events = fdopen(place->up[0], "r");
    signal(SIGPIPE, SIG_IGN);
    *state = place;
    return 0;
}

static int teardown(void **state) {
    struct place *place = *state;
    fclose(place->events);
    if (place->down[0] >= 0)
        close(place->down[0]);
    close(place->down[1]);
    close(place->up[1]);
    unlink(place->path);
    rmdir(place->dir);
    free(place);
    return 0;
}

static struct journal *open_journal(const struct place *place) {
    struct journal *journal = NULL;
    struct err err = {0};
    if (journal_open(place->path, &err, &journal) != 0)
        fail_msg("%s", err.message);
    return journal;
}

static void append_as(struct journal *journal, const char *data, int64_t ordinal) {
    const char *line = NULL;
    struct err err = {0};
    struct journal_event event = {.kind = "metric", .data_text = data, .ordinal = ordinal};
    assert_int_equal(journal_append(journal, &event, &err, &line), 0);
    assert_non_null(line);
}

static void append(struct journal *journal, const char *data) {
    append_as(journal, data, 0);
}

static void a_journal_outlives_its_process(void **state) {
    struct place *place = *state;
    struct journal *journal = open_journal(place);
    assert_int_equal(journal_last(journal), 0);
    append(journal, "{\"a\":1}");
    append(journal, "{\"a\":2}");
    append(journal, "{\"a\":3}");
    journal_acknowledge(journal, 1);
    journal_close(journal);
    journal = open_journal(place);
    assert_int_equal(journal_last(journal), 3);
    journal_acknowledge(journal, 1); /* the store tells up to where it has them */
    assert_string_equal(journal_pending(journal, 0),
                        "{\"seq\":2,\"kind\":\"metric\",\"data\":{\"a\":2}}\n");
    assert_non_null(strstr(journal_pending(journal, 1), "\"seq\":3"));
    assert_null(journal_pending(journal, 2));
    append(journal, "{}");
    assert_int_equal(journal_last(journal), 4);
    journal_close(journal);
}

static void a_torn_line_is_cut_off(void **state) {
    struct place *place = *state;
    struct journal *journal = open_journal(place);
    append(journal, "{\"a\":1}");
    append(journal, "{\"a\":2}");
    journal_close(journal);
    for (int cut = 1; cut < 40; cut += 3) {
        FILE *file = fopen(place->path, "r");
        char text[200];
        size_t len = fread(text, 1, sizeof text, file);
        fclose(file);
        assert_int_equal(truncate(place->path, (off_t)len - cut), 0);
        journal = open_journal(place);
        assert_int_equal(journal_last(journal), 1);
        assert_null(journal_pending(journal, 1));
        append(journal, "{\"a\":2}");
        journal_close(journal);
    }
}

static void an_acknowledged_journal_shrinks(void **state) {
    struct place *place = *state;
    struct journal *journal = open_journal(place);
    char *data = malloc(70000);
    memset(data, ' ', 70000);
    memcpy(data, "{", 1);
    memcpy(data + 69998, "}", 2);
    for (int i = 0; i < 8; i++) {
        append_as(journal, data, i + 11);
        journal_acknowledge(journal, (uint64_t)i + 1);
    }
    journal_close(journal);
    FILE *file = fopen(place->path, "r");
    fseek(file, 0, SEEK_END);
    assert_true(ftell(file) < 300000);
    fclose(file);
    journal = open_journal(place);
    assert_int_equal(journal_last(journal), 8);
    assert_int_equal(journal_ordinal(journal), 18);
    append_as(journal, "{}", 19); /* to the file that took the place of the first */
    journal_close(journal);
    journal = open_journal(place);
    assert_int_equal(journal_last(journal), 9);
    assert_int_equal(journal_ordinal(journal), 19);
    journal_close(journal);
    free(data);
}

/* --- the channel, with the test as the daemon --- */

static void say(const struct place *place, const char *line) {
    assert_int_equal(write(place->down[0], line, strlen(line)), (ssize_t)strlen(line));
}

/* The next line of the job, parsed; the caller deletes. */
static cJSON *hear(const struct place *place) {
    char *line = NULL;
    size_t size = 0;
    ssize_t len = getline(&line, &size, place->events);
    assert_true(len > 0);
    cJSON *doc = NULL;
    struct err err = {0};
    assert_int_equal(json_parse(line, (size_t)len - 1, &json_limits_default, &err, &doc), 0);
    free(line);
    return doc;
}

static void assert_heard(const struct place *place, const char *type, int seq, int attempt) {
    cJSON *doc = hear(place);
    assert_string_equal(cJSON_GetObjectItem(doc, "type")->valuestring, type);
    if (seq > 0) {
        assert_int_equal(cJSON_GetObjectItem(doc, "seq")->valueint, seq);
        assert_int_equal(cJSON_GetObjectItem(doc, "attempt")->valueint, attempt);
    }
    cJSON_Delete(doc);
}

static struct channel *connect_job(const struct place *place, const char *start) {
    struct channel *channel = NULL;
    struct err err = {0};
    cJSON *doc = NULL;
    assert_int_equal(channel_open(place->down[1], place->up[1], place->path, &err, &channel), 0);
    say(place, start);
    if (channel_start(channel, &err, &doc) != 0)
        fail_msg("%s", err.message);
    assert_string_equal(cJSON_GetObjectItem(doc, "kind")->valuestring, "train");
    cJSON_Delete(doc);
    return channel;
}

static const char first_start[] =
    "{\"type\":\"start\",\"kind\":\"train\",\"attempt\":1,\"acked\":0,\"spec\":{}}\n";

static cJSON *number(int value) {
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "value", value);
    return data;
}

static void unacknowledged_events_come_again(void **state) {
    struct place *place = *state;
    struct channel *channel = connect_job(place, first_start);
    for (int i = 1; i <= 3; i++) {
        channel_event(channel, "metric", number(i));
        assert_heard(place, "event", i, 1);
    }
    channel_close(channel); /* as if killed: nothing was acknowledged */
    channel = connect_job(place, "{\"type\":\"start\",\"kind\":\"train\",\"attempt\":2,"
                                 "\"acked\":1,\"spec\":{}}\n");
    assert_heard(place, "event", 2, 2);
    cJSON *third = hear(place);
    assert_int_equal(cJSON_GetObjectItem(third, "seq")->valueint, 3);
    assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(third, "data"), "value")->valueint, 3);
    cJSON_Delete(third);
    channel_event(channel, "metric", number(4));
    assert_heard(place, "event", 4, 2);
    channel_close(channel);
}

static void numbers_go_on_behind_the_store(void **state) {
    struct place *place = *state;
    struct channel *channel =
        connect_job(place, "{\"type\":\"start\",\"kind\":\"train\",\"attempt\":5,"
                           "\"acked\":41,\"spec\":{}}\n"); /* the journal was lost */
    channel_event(channel, "metric", number(1));
    assert_heard(place, "event", 42, 5);
    channel_close(channel);
}

/* A job that runs through its steps again sends none twice, wherever it was killed. */
static void an_ordinal_is_sent_once(void **state) {
    struct place *place = *state;
    struct channel *channel = connect_job(place, first_start);
    channel_event_once(channel, 1, "front", number(1));
    channel_event(channel, "metric", number(2)); /* takes it along */
    assert_heard(place, "event", 1, 1);
    assert_heard(place, "event", 2, 1);
    channel_event_once(channel, 2, "front", number(3));
    channel_close(channel);
    assert_heard(place, "event", 3, 1);
    channel = connect_job(place, "{\"type\":\"start\",\"kind\":\"train\",\"attempt\":2,"
                                 "\"acked\":3,\"spec\":{}}\n");
    for (int i = 1; i <= 3; i++)
        channel_event_once(channel, i, "front", number(10 + i));
    channel_close(channel);
    cJSON *third = hear(place);
    assert_int_equal(cJSON_GetObjectItem(third, "seq")->valueint, 4);
    assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(third, "data"), "value")->valueint,
                     13);
    cJSON_Delete(third);
}

static bool silent(const struct place *place) {
    struct pollfd up = {.fd = place->up[0], .events = POLLIN};
    return poll(&up, 1, 0) == 0;
}

/* Those that would be made again are brought to the disk together: a fifth of a second later with
 * the next boundary, or when the job waits for a board. */
static void events_that_can_be_made_again_wait_a_little(void **state) {
    struct place *place = *state;
    struct channel *channel = connect_job(place, first_start);
    for (int i = 1; i <= 3; i++)
        channel_event_once(channel, i, "front", number(i));
    channel_boundary(channel);
    assert_true(silent(place));
    usleep(220000);
    assert_true(silent(place));
    channel_boundary(channel);
    for (int i = 1; i <= 3; i++)
        assert_heard(place, "event", i, 1);
    channel_event_once(channel, 4, "front", number(4));
    assert_true(silent(place));
    assert_null(channel_next_measurement(channel, 1));
    assert_heard(place, "event", 4, 1);
    channel_close(channel);
}

/* No event may be missing from the sequence: the job ends, and says why. */
static void an_event_that_cannot_be_kept_ends_the_job(void **state) {
    struct place *place = *state;
    struct rlimit old, small;
    struct err err = {0};
    struct channel *channel = connect_job(place, first_start);
    channel_event(channel, "metric", number(1));
    assert_heard(place, "event", 1, 1);
    assert_int_equal(channel_error(channel, &err), 0);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){60, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    channel_event(channel, "metric", number(2));
    assert_true(channel_stopping(channel));
    channel_event(channel, "done", number(3));
    assert_int_equal(channel_error(channel, &err), ESP_ENOSPACE);
    channel_event(channel, "failed", number(4));
    setrlimit(RLIMIT_FSIZE, &old);
    assert_heard(place, "event", 2, 1); /* that is "failed" */
    channel_close(channel);
    struct journal *journal = open_journal(place);
    assert_int_equal(journal_last(journal), 1);
    append(journal, "{}");
    journal_close(journal);
}

static void wait_until_stopping(const struct channel *channel) {
    for (int i = 0; i < 500 && !channel_stopping(channel); i++)
        usleep(10000);
    assert_true(channel_stopping(channel));
}

static void cancel_and_hang_up_stop(void **state) {
    struct place *place = *state;
    struct channel *channel = connect_job(place, first_start);
    assert_false(channel_boundary(channel));
    say(place, "{\"type\":\"cancel\"}\n");
    wait_until_stopping(channel);
    assert_true(channel_boundary(channel));
    channel_close(channel);
    channel = connect_job(place, first_start);
    assert_false(channel_boundary(channel));
    close(place->down[0]);
    place->down[0] = -1;
    wait_until_stopping(channel);
    channel_close(channel);
}

static void *resume_later(void *argument) {
    const struct place *place = argument;
    assert_heard(place, "paused", 0, 0);
    usleep(50000);
    say(place, "{\"type\":\"resume\"}\n");
    return NULL;
}

static void a_pause_holds_the_job_at_its_boundary(void **state) {
    struct place *place = *state;
    struct channel *channel = connect_job(place, first_start);
    pthread_t daemon;
    say(place, "{\"type\":\"pause\"}\n{\"type\":\"measurement\",\"request\":1}\n");
    cJSON *measurement = NULL; /* messages are taken in order: behind it the pause is known */
    for (int i = 0; i < 50 && !measurement; i++)
        measurement = channel_next_measurement(channel, 100);
    assert_non_null(measurement);
    cJSON_Delete(measurement);
    assert_int_equal(pthread_create(&daemon, NULL, resume_later, place), 0);
    assert_false(channel_boundary(channel));
    pthread_join(daemon, NULL);
    assert_heard(place, "resumed", 0, 0);
    channel_close(channel);
}

static _Atomic bool paused_anew;

static void *pause_anew(void *argument) {
    const struct place *place = argument;
    assert_heard(place, "paused", 0, 0);
    say(place, "{\"type\":\"resume\"}\n{\"type\":\"pause\",\"number\":8}\n");
    cJSON *second = hear(place);
    if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(second, "type")), "resumed") == 0) {
        cJSON_Delete(second); /* it was quick enough to go on in between */
        second = hear(place);
    }
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(second, "type")), "paused");
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(second, "number")), 8);
    cJSON_Delete(second);
    atomic_store(&paused_anew, true);
    say(place, "{\"type\":\"resume\"}\n");
    return NULL;
}

/* Told to go on and to pause again, whether or not it has seen the first before the second, it
 * answers each pause: the daemon may have let go of the older answer. */
static void each_pause_is_answered(void **state) {
    struct place *place = *state;
    struct channel *channel = connect_job(place, first_start);
    pthread_t daemon;
    say(place, "{\"type\":\"pause\",\"number\":7}\n{\"type\":\"measurement\",\"request\":1}\n");
    cJSON *measurement = NULL;
    for (int i = 0; i < 50 && !measurement; i++)
        measurement = channel_next_measurement(channel, 100);
    assert_non_null(measurement);
    cJSON_Delete(measurement);
    atomic_store(&paused_anew, false);
    assert_int_equal(pthread_create(&daemon, NULL, pause_anew, place), 0);
    do
        assert_false(channel_boundary(channel));
    while (!atomic_load(&paused_anew));
    pthread_join(daemon, NULL);
    assert_heard(place, "resumed", 0, 0);
    channel_close(channel);
}

static void nonsense_is_ignored(void **state) {
    struct place *place = *state;
    struct channel *channel = NULL;
    struct err err = {0};
    cJSON *doc = NULL;
    assert_int_equal(channel_open(place->down[1], place->up[1], place->path, &err, &channel), 0);
    say(place, "nonsense\n\n{\"type\":\"tea\"}\n[1]\n{\"type\":\"start\",\"attempt\":-1}\n");
    assert_int_equal(channel_start(channel, &err, &doc), ESP_EINVAL);
    assert_string_equal(err.pointer, "/attempt");
    channel_close(channel);
}

static void a_daemon_that_does_not_read_stops_the_job(void **state) {
    struct place *place = *state;
    struct channel *channel = connect_job(place, first_start);
    shutdown(place->up[0], SHUT_RDWR);
    channel_event(channel, "metric", number(1));
    assert_true(channel_stopping(channel));
    channel_event(channel, "metric", number(2)); /* goes to the journal only */
    channel_close(channel);
    struct journal *journal = open_journal(place);
    assert_int_equal(journal_last(journal), 2);
    assert_non_null(journal_pending(journal, 1));
    journal_close(journal);
}

static void by_hand_no_board_answers(void **state) {
    struct channel *channel = NULL;
    struct err err = {0};
    (void)state;
    assert_int_equal(channel_open_by_hand(&err, &channel), 0);
    int saved = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY);
    fflush(stdout);
    dup2(null, STDOUT_FILENO);
    channel_event(channel, "measure_request",
                  cJSON_Parse("{\"items\":[{\"request\":7},{\"request\":8}]}"));
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(null);
    for (int i = 7; i < 9; i++) {
        cJSON *answer = channel_next_measurement(channel, 1000);
        assert_int_equal(cJSON_GetObjectItem(answer, "request")->valueint, i);
        assert_string_equal(cJSON_GetObjectItem(answer, "state")->valuestring, "failed");
        cJSON_Delete(answer);
    }
    assert_null(channel_next_measurement(channel, 1));
    channel_close(channel);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_journal_outlives_its_process),
        TEST(a_torn_line_is_cut_off),
        TEST(an_acknowledged_journal_shrinks),
        TEST(unacknowledged_events_come_again),
        TEST(numbers_go_on_behind_the_store),
        TEST(an_ordinal_is_sent_once),
        TEST(events_that_can_be_made_again_wait_a_little),
        TEST(an_event_that_cannot_be_kept_ends_the_job),
        TEST(cancel_and_hang_up_stop),
        TEST(a_pause_holds_the_job_at_its_boundary),
        TEST(each_pause_is_answered),
        TEST(nonsense_is_ignored),
        TEST(a_daemon_that_does_not_read_stops_the_job),
        TEST(by_hand_no_board_answers),
    };
    return cmocka_run_group_tests_name("daemon-job-channel", tests, NULL, NULL);
}
