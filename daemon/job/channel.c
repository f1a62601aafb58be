#include "daemon/job/channel.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/job/journal.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 16 << 20,
    READ_BYTES = 65536,
    WAIT_MS = 100,
    HELD_BYTES = 4 << 20 /* of events that are sent together */
};
#define HELD_NS INT64_C(200000000)

static const struct json_limits line_limits = {LINE_MAX_BYTES, 32, 2000000};

struct message {
    cJSON *doc;
    struct message *next;
};

struct channel {
    int fd_down, fd_up; /* -1: by hand */
    int wake;           /* eventfd that ends the reader */
    struct journal *journal;
    int64_t attempt;
    bool broken;       /* nobody reads events any more */
    struct err failed; /* the first event that could not be kept */
    struct buf held;   /* lines that are not on the disk yet, and so not sent */
    int64_t held_ns;   /* since when */
    int64_t hold_ns;   /* how long at most */
    int64_t paused_ns; /* in all pauses that are over */

    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool has_reader, pause;
    int64_t pause_number; /* of the newest pause: repeated in the answer; 0: it had none */
    pthread_t reader;
    cJSON *start;
    struct message *first, **end; /* measurements */
    atomic_bool stop;
};

static const char last_kind[] = "failed"; /* of a job that cannot go on */

/* --- writing --- */

static bool write_all(int fd, const char *text, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, text + done, len - done);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = fd, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static void send_text(struct channel *channel, const char *text) {
    int fd = channel->fd_up >= 0 ? channel->fd_up : STDOUT_FILENO;
    if (channel->broken || write_all(fd, text, strlen(text)))
        return;
    channel->broken = true;
    channel_stop(channel);
}

/* {"seq":…} of the journal becomes {"type":"event","attempt":…,"seq":…}. */
static void print_event_line(const struct channel *channel, const char *line, struct buf *buf) {
    buf_printf(buf, "{\"type\":\"event\",\"attempt\":%lld,%s", (long long)channel->attempt,
               line + 1);
}

static void send_event_line(struct channel *channel, const char *line) {
    struct buf buf;
    buf_init(&buf, 0);
    print_event_line(channel, line, &buf);
    if (!buf.error)
        send_text(channel, buf.data);
    buf_finish(&buf);
}

static void fail(struct channel *channel, const char *what, const struct err *err) {
    log_error("%s: %s", what, err->message);
    if (channel->failed.code == 0)
        channel->failed = *err;
    channel_stop(channel);
}

/* Under the mutex: what is held goes to the disk, then up. One that memory lacks for is made again
 * by the next attempt. */
static void release_held(struct channel *channel) {
    struct err err = {0};
    if (channel->held.len == 0 && !channel->held.error)
        return;
    if (channel->failed.code == 0 && channel->held.error)
        fail(channel, "events", (err_set(&err, ESP_ENOMEM, NULL, "no memory for events"), &err));
    else if (channel->failed.code == 0 && journal_sync(channel->journal, &err) != 0)
        fail(channel, "events", &err);
    if (channel->failed.code == 0)
        send_text(channel, channel->held.data);
    buf_finish(&channel->held);
    buf_init(&channel->held, 0);
}

static void release_if_due(struct channel *channel) {
    if (channel->held.len > 0 &&
        (channel->held.len > HELD_BYTES || clock_mono_ns() - channel->held_ns >= channel->hold_ns))
        release_held(channel);
}

static void hold(struct channel *channel, const char *line) {
    if (channel->held.len == 0)
        channel->held_ns = clock_mono_ns();
    print_event_line(channel, line, &channel->held);
    release_if_due(channel);
}

static void push_message(struct channel *channel, cJSON *doc) {
    struct message *message = mem_array(1, sizeof *message);
    if (!message) {
        cJSON_Delete(doc);
        return;
    }
    message->doc = doc;
    *channel->end = message;
    channel->end = &message->next;
    pthread_cond_broadcast(&channel->changed);
}

/* By hand there is no board: each request fails at once. */
static void refuse_measurements(struct channel *channel, const cJSON *data) {
    const cJSON *item;
    pthread_mutex_lock(&channel->mutex);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(data, "items")) {
        cJSON *answer = cJSON_CreateObject();
        const cJSON *request = cJSON_GetObjectItemCaseSensitive(item, "request");
        cJSON_AddStringToObject(answer, "type", "measurement");
        cJSON_AddNumberToObject(answer, "request", request ? request->valuedouble : 0);
        cJSON_AddStringToObject(answer, "state", "failed");
        cJSON_AddStringToObject(answer, "error", "no board");
        cJSON_AddTrueToObject(answer, "no_board");
        push_message(channel, answer);
    }
    pthread_mutex_unlock(&channel->mutex);
}

/* Under the mutex. */
static void send_event(struct channel *channel, const struct journal_event *event) {
    struct err err = {0};
    const char *line = NULL;
    if (channel->failed.code != 0 && !event->last)
        return;
    int rc = event->data_text ? journal_append(channel->journal, event, &err, &line)
                              : err_set(&err, ESP_ENOMEM, NULL, "no memory for an event");
    if (rc != 0) {
        fail(channel, event->kind, &err);
        return;
    }
    if (event->later) {
        hold(channel, line);
        return;
    }
    release_held(channel);
    send_event_line(channel, line);
    if (channel->fd_up < 0)
        journal_acknowledge(channel->journal, journal_last(channel->journal));
}

static void tell(struct channel *channel, int64_t ordinal, bool later, const char *kind,
                 cJSON *data) {
    char *text = data ? json_print(data) : NULL;
    struct journal_event event = {kind, text, ordinal, strcmp(kind, last_kind) == 0,
                                  later && channel->fd_up >= 0};
    pthread_mutex_lock(&channel->mutex);
    bool known = ordinal > 0 && ordinal <= journal_ordinal(channel->journal);
    if (!known)
        send_event(channel, &event);
    pthread_mutex_unlock(&channel->mutex);
    if (!known && channel->fd_up < 0 && strcmp(kind, "measure_request") == 0)
        refuse_measurements(channel, data);
    free(text);
    cJSON_Delete(data);
}

void channel_event(struct channel *channel, const char *kind, cJSON *data) {
    tell(channel, 0, false, kind, data);
}

void channel_event_once(struct channel *channel, int64_t ordinal, const char *kind, cJSON *data) {
    tell(channel, ordinal, true, kind, data);
}

void channel_event_soon(struct channel *channel, const char *kind, cJSON *data) {
    tell(channel, 0, true, kind, data);
}

void channel_flush(struct channel *channel) {
    pthread_mutex_lock(&channel->mutex);
    release_held(channel);
    pthread_mutex_unlock(&channel->mutex);
}

void channel_hold(struct channel *channel, int64_t ns) {
    channel->hold_ns = ns;
}

int channel_error(struct channel *channel, struct err *err) {
    pthread_mutex_lock(&channel->mutex);
    struct err failed = channel->failed;
    pthread_mutex_unlock(&channel->mutex);
    return failed.code == 0 ? 0 : err_set(err, failed.code, NULL, "%s", failed.message);
}

static void send_paused(struct channel *channel) {
    char text[64];
    snprintf(text, sizeof text, "{\"type\":\"paused\",\"number\":%lld}\n",
             (long long)channel->pause_number);
    send_text(channel, text);
}

static double number_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static const char *text_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static void show_progress(const cJSON *progress) {
    fprintf(stderr, "%s %.0f/%.0f %s (%.1f%%)", text_of(progress, "phase"),
            number_of(progress, "done"), number_of(progress, "total"), text_of(progress, "unit"),
            100 * number_of(progress, "fraction"));
    if (json_has(progress, "images_per_s"))
        fprintf(stderr, ", %.0f images/s", number_of(progress, "images_per_s"));
    if (json_has(progress, "loss"))
        fprintf(stderr, ", loss %.4f, rate %.4f", number_of(progress, "loss"),
                number_of(progress, "learning_rate"));
    if (json_has(progress, "eta_s"))
        fprintf(stderr, ", %.0f s left", number_of(progress, "eta_s"));
    fprintf(stderr, "%s%s\n", json_has(progress, "message") ? ": " : "",
            text_of(progress, "message"));
}

void channel_progress(struct channel *channel, cJSON *progress) {
    if (channel->fd_up < 0) {
        if (progress)
            show_progress(progress);
        cJSON_Delete(progress);
        return;
    }
    char *text = NULL;
    struct buf buf;
    buf_init(&buf, 0);
    if (progress && cJSON_AddStringToObject(progress, "type", "progress") &&
        (text = json_print(progress))) {
        buf_printf(&buf, "%s\n", text);
        pthread_mutex_lock(&channel->mutex);
        release_if_due(channel);
        if (!buf.error)
            send_text(channel, buf.data);
        pthread_mutex_unlock(&channel->mutex);
    }
    buf_finish(&buf);
    free(text);
    cJSON_Delete(progress);
}

/* --- reading --- */

static void take_message(struct channel *channel, cJSON *doc) {
    const char *type = text_of(doc, "type");
    if (strcmp(type, "start") == 0 && !channel->start) {
        channel->start = doc;
        doc = NULL;
    } else if (strcmp(type, "ack") == 0) {
        journal_acknowledge(channel->journal, (uint64_t)number_of(doc, "seq"));
    } else if (strcmp(type, "pause") == 0 || strcmp(type, "resume") == 0) {
        channel->pause = type[0] == 'p';
        if (channel->pause)
            channel->pause_number = (int64_t)number_of(doc, "number");
    } else if (strcmp(type, "cancel") == 0) {
        channel_stop(channel);
    } else if (strcmp(type, "measurement") == 0) {
        push_message(channel, doc);
        doc = NULL;
    } else {
        log_warn("message of unknown type \"%.40s\" is ignored", type);
    }
    pthread_cond_broadcast(&channel->changed);
    cJSON_Delete(doc);
}

static void take_line(struct channel *channel, const char *line, size_t len) {
    struct err err = {0};
    cJSON *doc = NULL;
    if (len == 0)
        return;
    if (json_parse(line, len, &line_limits, &err, &doc) != 0) {
        log_warn("message is ignored: %s", err.message);
        return;
    }
    pthread_mutex_lock(&channel->mutex);
    take_message(channel, doc);
    pthread_mutex_unlock(&channel->mutex);
}

/* Hands every whole line on and moves the rest to the front. */
static void take_lines(struct channel *channel, struct buf *buf) {
    size_t at = 0;
    char *end;
    while (buf->len > at && (end = memchr(buf->data + at, '\n', buf->len - at))) {
        take_line(channel, buf->data + at, (size_t)(end - buf->data) - at);
        at = (size_t)(end - buf->data) + 1;
    }
    if (at > 0) {
        memmove(buf->data, buf->data + at, buf->len - at);
        buf->len -= at;
    }
}

/* False at the end of the channel. */
static bool read_more(struct channel *channel, struct buf *buf) {
    char bytes[READ_BYTES];
    struct pollfd ready[2] = {{.fd = channel->fd_down, .events = POLLIN},
                              {.fd = channel->wake, .events = POLLIN}};
    if (poll(ready, 2, -1) < 0)
        return errno == EINTR;
    if (ready[1].revents)
        return false;
    ssize_t n = read(channel->fd_down, bytes, sizeof bytes);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    buf_append(buf, bytes, (size_t)n);
    return n > 0 && !buf->error;
}

static void *read_main(void *argument) {
    struct channel *channel = argument;
    struct buf buf;
    buf_init(&buf, LINE_MAX_BYTES);
    while (read_more(channel, &buf))
        take_lines(channel, &buf);
    if (buf.error)
        log_error("a message is longer than %d bytes: the channel is given up", LINE_MAX_BYTES);
    buf_finish(&buf);
    pthread_mutex_lock(&channel->mutex);
    channel_stop(channel);
    pthread_cond_broadcast(&channel->changed);
    pthread_mutex_unlock(&channel->mutex);
    return NULL;
}

/* --- life --- */

static int create(const char *journal_path, struct err *err, struct channel **ret_channel) {
    struct channel *channel = mem_array(1, sizeof *channel);
    if (!channel)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the job's channel");
    channel->fd_down = channel->fd_up = channel->wake = -1;
    channel->attempt = 1;
    channel->end = &channel->first;
    buf_init(&channel->held, 0);
    channel->hold_ns = HELD_NS;
    pthread_mutex_init(&channel->mutex, NULL);
    pthread_cond_init(&channel->changed, NULL);
    int rc = journal_open(journal_path, err, &channel->journal);
    if (rc != 0) {
        channel_close(channel);
        return rc;
    }
    *ret_channel = channel;
    return 0;
}

int channel_open(int fd_down, int fd_up, const char *journal_path, struct err *err,
                 struct channel **ret_channel) {
    struct channel *channel = NULL;
    int rc = create(journal_path, err, &channel);
    if (rc != 0)
        return rc;
    channel->fd_down = fd_down;
    channel->fd_up = fd_up;
    channel->wake = eventfd(0, EFD_CLOEXEC);
    channel->has_reader =
        channel->wake >= 0 && pthread_create(&channel->reader, NULL, read_main, channel) == 0;
    if (!channel->has_reader) {
        channel_close(channel);
        return err_set(err, ESP_EIO, NULL, "cannot start reading messages: %s", strerror(errno));
    }
    *ret_channel = channel;
    return 0;
}

int channel_open_by_hand(struct err *err, struct channel **ret_channel) {
    return create(NULL, err, ret_channel);
}

void channel_close(struct channel *channel) {
    if (!channel)
        return;
    if (channel->has_reader) {
        uint64_t one = 1;
        if (write(channel->wake, &one, sizeof one) == sizeof one)
            pthread_join(channel->reader, NULL);
    }
    if (channel->wake >= 0)
        close(channel->wake);
    for (struct message *message = channel->first, *next; message; message = next) {
        next = message->next;
        cJSON_Delete(message->doc);
        free(message);
    }
    cJSON_Delete(channel->start);
    release_held(channel);
    buf_finish(&channel->held);
    journal_close(channel->journal);
    pthread_cond_destroy(&channel->changed);
    pthread_mutex_destroy(&channel->mutex);
    free(channel);
}

/* Waits a little for a change; a signal handler cannot wake us, so never for long. */
static void wait_briefly(struct channel *channel, int ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)ms * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&channel->changed, &channel->mutex, &until);
}

static int take_start(struct channel *channel, struct err *err) {
    int64_t acked = 0;
    int rc = json_int(channel->start, "", "attempt", 0, INT64_C(1) << 31, err, &channel->attempt);
    if (rc == 0)
        rc = json_int(channel->start, "", "acked", 0, INT64_C(1) << 53, err, &acked);
    if (rc != 0)
        return rc;
    journal_acknowledge(channel->journal, (uint64_t)acked);
    const char *line;
    for (size_t i = 0; (line = journal_pending(channel->journal, i)); i++)
        send_event_line(channel, line);
    return 0;
}

int channel_start(struct channel *channel, struct err *err, cJSON **ret_start) {
    int rc = 0;
    pthread_mutex_lock(&channel->mutex);
    while (!channel->start && !channel_stopping(channel))
        wait_briefly(channel, WAIT_MS);
    if (!channel->start)
        rc = err_set(err, ESP_ECANCELED, NULL, "stopped before the job was told what to do");
    else
        rc = take_start(channel, err);
    if (rc == 0) {
        *ret_start = channel->start;
        channel->start = NULL;
    }
    pthread_mutex_unlock(&channel->mutex);
    return rc;
}

int64_t channel_clock_ns(const struct channel *channel) {
    return clock_mono_ns() - channel->paused_ns;
}

bool channel_boundary(struct channel *channel) {
    bool paused = false;
    int64_t since_ns = clock_mono_ns();
    int64_t told = -1; /* a pause that follows its resumption at once is another one */
    pthread_mutex_lock(&channel->mutex);
    if (channel->pause)
        release_held(channel);
    release_if_due(channel);
    while (channel->pause && !channel_stopping(channel)) {
        if (told != channel->pause_number)
            send_paused(channel);
        told = channel->pause_number;
        paused = true;
        wait_briefly(channel, WAIT_MS);
    }
    if (paused) {
        channel->paused_ns += clock_mono_ns() - since_ns;
        send_text(channel, "{\"type\":\"resumed\"}\n");
    }
    pthread_mutex_unlock(&channel->mutex);
    return channel_stopping(channel);
}

bool channel_stopping(const struct channel *channel) {
    return atomic_load(&channel->stop);
}

void channel_stop(struct channel *channel) {
    atomic_store(&channel->stop, true);
}

cJSON *channel_next_measurement(struct channel *channel, int timeout_ms) {
    cJSON *doc = NULL;
    pthread_mutex_lock(&channel->mutex);
    release_held(channel);
    for (int left = timeout_ms; !channel->first && left > 0 && !channel_stopping(channel);
         left -= WAIT_MS)
        wait_briefly(channel, left < WAIT_MS ? left : WAIT_MS);
    struct message *message = channel->first;
    if (message) {
        doc = message->doc;
        channel->first = message->next;
        if (!channel->first)
            channel->end = &channel->first;
        free(message);
    }
    pthread_mutex_unlock(&channel->mutex);
    return doc;
}
