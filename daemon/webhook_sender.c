#include "daemon/webhook_sender.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "daemon/webhook_sign.h"

enum {
    HEADER_BYTES_MAX = 64 << 10, /* of an answer */
    BODY_BYTES_MAX = 64 << 10,   /* then the attempt ends; its status counts */
    RETRY_AFTER_MAX_S = 3600,
    POLL_MS = 1000
};

/* A post under way, on the sender's thread. */
struct transfer {
    struct webhook_sender *sender;
    struct webhook_post *post;
    CURL *curl;
    struct curl_slist *headers;
    int64_t begun_ns;
    size_t header_bytes, body_bytes;
    bool answered;     /* all headers of an answer are there: its status counts */
    char refused[128]; /* the address that is not allowed, and what it is; "" */
    struct transfer *next;
};

struct webhook_sender {
    struct webhook_sender_options options;
    CURLM *multi;
    pthread_t thread;
    bool has_thread;
    uv_async_t finished;
    struct transfer *transfers; /* sender's thread */
    pthread_mutex_t mutex;      /* of all below */
    struct webhook_post *waiting, *done;
    bool stopping;
};

/* ---- one transfer ---------------------------------------------------------------------------- */

/* The address that is connected to, however its name was resolved: nothing can change between this
 * look and the connection. */
static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    struct transfer *transfer = context;
    const char *what = webhook_address_refusal(&address->addr, transfer->sender->options.listed);
    char text[INET6_ADDRSTRLEN] = "?";
    if (what == NULL)
        return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (address->family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)&address->addr)->sin_addr, text,
                  sizeof(text));
    else if (address->family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&address->addr)->sin6_addr, text,
                  sizeof(text));
    snprintf(transfer->refused, sizeof(transfer->refused), "%s is %s", text, what);
    return CURL_SOCKET_BAD;
}

static size_t on_header(char *data, size_t size, size_t count, void *context) {
    struct transfer *transfer = context;
    long status = 0;
    transfer->header_bytes += size * count;
    if (data[0] == '\r' || data[0] == '\n') { /* the empty line behind them */
        curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
        transfer->answered |= status >= 200;
    }
    return transfer->header_bytes > HEADER_BYTES_MAX ? 0 : size * count;
}

static size_t on_body(char *data, size_t size, size_t count, void *context) {
    struct transfer *transfer = context;
    transfer->body_bytes += size * count;
    return transfer->body_bytes > BODY_BYTES_MAX ? 0 : size * count;
}

static bool add_header(struct transfer *transfer, const char *name, const char *value) {
    char line[256];
    snprintf(line, sizeof(line), "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    if (longer != NULL)
        transfer->headers = longer;
    return longer != NULL;
}

static bool add_headers(struct transfer *transfer) {
    const struct webhook_post *post = transfer->post;
    const struct webhook_message message = {.id = post->id,
                                            .timestamp_s = clock_wall_us() / 1000000,
                                            .body = post->body,
                                            .len = strlen(post->body)};
    char time[24], signature[WEBHOOK_SIGNATURE_MAX];
    snprintf(time, sizeof(time), "%lld", (long long)message.timestamp_s);
    return webhook_sign(post->secret, &message, signature) == 0 &&
           add_header(transfer, "Content-Type", "application/json") &&
           add_header(transfer, "webhook-id", post->id) &&
           add_header(transfer, "webhook-timestamp", time) &&
           add_header(transfer, "webhook-signature", signature) &&
           curl_slist_append(transfer->headers, "Expect:") != NULL;
}

static void set_up(struct transfer *transfer) {
    CURL *curl = transfer->curl;
    const struct webhook_post *post = transfer->post;
    curl_easy_setopt(curl, CURLOPT_URL, post->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY,
                     ""); /* none of the environment: it would connect for us */
    curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L); /* each connection's address is looked at */
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)transfer->sender->options.timeout_ms);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "espalier/" ESP_VERSION);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(post->body));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, post->body);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, transfer);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* not to wait for names that do not resolve */
#endif
}

static void free_transfer(struct transfer *transfer) {
    curl_easy_cleanup(transfer->curl);
    curl_slist_free_all(transfer->headers);
    free(transfer);
}

/* Hands the post back to the loop. */
static void hand_back(struct webhook_sender *sender, struct webhook_post *post) {
    pthread_mutex_lock(&sender->mutex);
    post->next = sender->done;
    sender->done = post;
    pthread_mutex_unlock(&sender->mutex);
    uv_async_send(&sender->finished);
}

static void begin(struct webhook_sender *sender, struct webhook_post *post) {
    struct transfer *transfer = mem_array(1, sizeof(*transfer));
    if (transfer != NULL) {
        *transfer = (struct transfer){
            .sender = sender, .post = post, .curl = curl_easy_init(), .begun_ns = clock_mono_ns()};
        if (transfer->curl != NULL && add_headers(transfer)) {
            set_up(transfer);
            if (curl_multi_add_handle(sender->multi, transfer->curl) == CURLM_OK) {
                transfer->next = sender->transfers;
                sender->transfers = transfer;
                return;
            }
        }
        free_transfer(transfer);
    }
    snprintf(post->error, sizeof(post->error), "there was no memory to send it");
    hand_back(sender, post);
}

static void say_result(const struct transfer *transfer, CURLcode code) {
    struct webhook_post *post = transfer->post;
    long status = 0;
    curl_off_t wait = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->curl, CURLINFO_RETRY_AFTER, &wait);
    post->retry_after_s = wait > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : (int)wait;
    post->duration_us = (clock_mono_ns() - transfer->begun_ns) / 1000;
    post->status = code == CURLE_OK || transfer->answered ? (int)status : 0;
    if (post->status >= 300 && post->status < 400)
        snprintf(post->error, sizeof(post->error),
                 "it answered with status %d: redirects are not followed", post->status);
    else if (post->status > 0 && (post->status < 200 || post->status >= 400))
        snprintf(post->error, sizeof(post->error), "it answered with status %d", post->status);
    else if (transfer->refused[0] != '\0' && post->status == 0)
        snprintf(post->error, sizeof(post->error),
                 "%s, which espalierd --webhook-allow does not list", transfer->refused);
    else if (post->status == 0 && transfer->header_bytes > HEADER_BYTES_MAX)
        snprintf(post->error, sizeof(post->error), "its answer has more than %d KiB of headers",
                 HEADER_BYTES_MAX >> 10);
    else if (post->status == 0 && code == CURLE_OPERATION_TIMEDOUT)
        snprintf(post->error, sizeof(post->error), "it did not answer within %.3g s",
                 (double)transfer->sender->options.timeout_ms / 1e3);
    else if (post->status == 0)
        snprintf(post->error, sizeof(post->error), "%s", curl_easy_strerror(code));
}

/* Takes the transfer from the list, and hands its post back. */
static void finish(struct webhook_sender *sender, struct transfer *transfer) {
    struct transfer **at = &sender->transfers;
    while (*at != transfer)
        at = &(*at)->next;
    *at = transfer->next;
    struct webhook_post *post = transfer->post;
    curl_multi_remove_handle(sender->multi, transfer->curl);
    free_transfer(transfer);
    hand_back(sender, post);
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* False: the sender is closed. */
static bool begin_waiting(struct webhook_sender *sender) {
    pthread_mutex_lock(&sender->mutex);
    struct webhook_post *post = sender->waiting;
    bool stopping = sender->stopping;
    sender->waiting = NULL;
    pthread_mutex_unlock(&sender->mutex);
    while (post != NULL) {
        struct webhook_post *next = post->next;
        post->ended_by_closing = stopping;
        if (stopping)
            hand_back(sender, post);
        else
            begin(sender, post);
        post = next;
    }
    return !stopping;
}

static void finish_ended(struct webhook_sender *sender) {
    const CURLMsg *message;
    int left = 0;
    while ((message = curl_multi_info_read(sender->multi, &left)) != NULL) {
        char *transfer = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        say_result((struct transfer *)(void *)transfer, message->data.result);
        finish(sender, (struct transfer *)(void *)transfer);
    }
}

static void *sender_main(void *argument) {
    struct webhook_sender *sender = argument;
    int running = 0;
    while (begin_waiting(sender)) {
        curl_multi_perform(sender->multi, &running);
        finish_ended(sender);
        curl_multi_poll(sender->multi, NULL, 0, POLL_MS, NULL);
    }
    while (sender->transfers != NULL) {
        sender->transfers->post->ended_by_closing = true;
        finish(sender, sender->transfers);
    }
    return NULL;
}

/* ---- the loop's side ------------------------------------------------------------------------- */

static void call_done(struct webhook_sender *sender) {
    pthread_mutex_lock(&sender->mutex);
    struct webhook_post *post = sender->done;
    sender->done = NULL;
    pthread_mutex_unlock(&sender->mutex);
    while (post != NULL) {
        struct webhook_post *next = post->next;
        post->done(post);
        post = next;
    }
}

static void on_finished(uv_async_t *async) {
    call_done(async->data);
}

int webhook_sender_create(uv_loop_t *loop, const struct webhook_sender_options *options,
                          struct err *err, struct webhook_sender **ret_sender) {
    struct webhook_sender *sender = mem_array(1, sizeof(*sender));
    if (sender == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        goto nomem;
    sender->options = *options;
    sender->multi = curl_multi_init();
    pthread_mutex_init(&sender->mutex, NULL);
    if (sender->multi == NULL)
        goto nomem;
    uv_async_init(loop, &sender->finished, on_finished);
    sender->finished.data = sender;
    sender->has_thread = pthread_create(&sender->thread, NULL, sender_main, sender) == 0;
    if (sender->has_thread) {
        *ret_sender = sender;
        return 0;
    }
    webhook_sender_close(sender);
    return err_set(err, ESP_ENOMEM, NULL, "cannot start the thread that sends webhooks");
nomem:
    free(sender);
    return err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

void webhook_sender_post(struct webhook_sender *sender, struct webhook_post *post) {
    pthread_mutex_lock(&sender->mutex);
    post->next = sender->waiting;
    sender->waiting = post;
    pthread_mutex_unlock(&sender->mutex);
    curl_multi_wakeup(sender->multi);
}

static void on_closed(uv_handle_t *handle) {
    struct webhook_sender *sender = handle->data;
    curl_multi_cleanup(sender->multi);
    pthread_mutex_destroy(&sender->mutex);
    free(sender);
}

void webhook_sender_close(struct webhook_sender *sender) {
    if (sender == NULL)
        return;
    pthread_mutex_lock(&sender->mutex);
    sender->stopping = true;
    pthread_mutex_unlock(&sender->mutex);
    if (sender->has_thread) {
        curl_multi_wakeup(sender->multi);
        pthread_join(sender->thread, NULL);
    }
    begin_waiting(sender);
    call_done(sender);
    uv_close((uv_handle_t *)&sender->finished, on_closed);
}
