/* An open loop of GETs: so many a second, each at its time whether or not those before it were
 * answered, over kept connections, beside event streams that are only read. A time counts from when
 * the request was due to when the kernel had the answer's last bytes, by the wall clock. So the
 * generator, which runs on the machine whose training is watched though a service's clients do not,
 * wakes once a request: answers and events are read when the next request is due. For
 * tests/bench/run-http-under-training; prints one line of JSON.
 *
 *   open_loop PORT PATH TOKEN RATE SECONDS STREAMS */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/stats.h"

enum { CONNECTIONS = 16, STREAMS_MAX = 1000, REQUESTS_MAX = 1000000, ANSWER_MAX = 64 << 10 };

struct link {
    int fd;
    int64_t due_ns; /* of the request that is under way; 0: none */
    char text[ANSWER_MAX];
    size_t len;
};

struct load {
    int port, epoll, n_streams;
    const char *path, *token;
    struct link links[CONNECTIONS];
    int streams[STREAMS_MAX];
    int64_t events_bytes;
    double *ms;
    int sent, answered, wanted;
};

static void die(const char *what) {
    fprintf(stderr, "open_loop: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int dial(struct load *load, uint64_t tag) {
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)load->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) != 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static void get(const struct load *load, int fd, const char *path) {
    char text[2048];
    int len = snprintf(text, sizeof(text),
                       "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n\r\n",
                       path, load->port, load->token);
    if (send(fd, text, (size_t)len, MSG_NOSIGNAL) != len)
        die("send");
}

/* The answer's length when its head is whole; 0: not yet. */
static size_t answer_length(const struct link *link) {
    const char *end = strstr(link->text, "\r\n\r\n");
    const char *length = strstr(link->text, "Content-Length: ");
    if (end == NULL)
        return 0;
    if (strncmp(link->text, "HTTP/1.1 200", 12) != 0 || length == NULL || length > end) {
        fprintf(stderr, "open_loop: %s\n", link->text);
        exit(1);
    }
    return (size_t)(end + 4 - link->text) + strtoul(length + 16, NULL, 10);
}

/* Bytes as recv gives them, and when the kernel had the last of them. */
static ssize_t receive(int fd, char *text, size_t size, int64_t *ret_ns) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct iovec piece = {text, size};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof(control.room)};
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
    const struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (head == NULL || head->cmsg_type != SCM_TIMESTAMPNS)
        die("the time of an answer");
    struct timespec at;
    memcpy(&at, CMSG_DATA(head), sizeof(at));
    *ret_ns = at.tv_sec * INT64_C(1000000000) + at.tv_nsec;
    return n;
}

static void take_answer(struct load *load, struct link *link) {
    int64_t at_ns;
    link->len +=
        (size_t)receive(link->fd, link->text + link->len, ANSWER_MAX - 1 - link->len, &at_ns);
    link->text[link->len] = '\0';
    size_t whole = answer_length(link);
    if (whole == 0 || link->len < whole)
        return;
    load->ms[load->answered++] = (double)(at_ns - link->due_ns) / 1e6;
    link->due_ns = 0;
    link->len = 0;
}

static void take_events(struct load *load, int fd) {
    static char text[ANSWER_MAX];
    ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT);
    if (n <= 0)
        die("an event stream");
    load->events_bytes += n;
}

static void take_all(struct load *load) {
    struct epoll_event events[64];
    int n = epoll_wait(load->epoll, events, 64, 0);
    for (int i = 0; i < n; i++) {
        uint64_t tag = events[i].data.u64;
        if (tag < CONNECTIONS)
            take_answer(load, &load->links[tag]);
        else
            take_events(load, load->streams[tag - CONNECTIONS]);
    }
}

/* False: all connections wait for answers, and so does this request. */
static bool send_due(struct load *load, int64_t due_ns) {
    for (int i = 0; i < CONNECTIONS; i++) {
        struct link *link = &load->links[i];
        if (link->due_ns != 0)
            continue;
        link->due_ns = due_ns;
        get(load, link->fd, load->path);
        load->sent++;
        return true;
    }
    return false;
}

static void sleep_until(int64_t wall_ns) {
    struct timespec at = {wall_ns / 1000000000, wall_ns % 1000000000};
    while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL) == EINTR)
        ;
}

/* With every connection under way a request waits for the next gap, and its time goes on. */
static void run(struct load *load, double rate) {
    int64_t begin = clock_wall_us() * 1000, gap = (int64_t)(1e9 / rate);
    for (int64_t turn = 0; load->answered < load->wanted; turn++) {
        sleep_until(begin + turn * gap);
        take_all(load);
        while (load->sent < load->wanted && load->sent <= turn &&
               send_due(load, begin + load->sent * gap))
            ;
    }
}

int main(int argc, char **argv) {
    static struct load load;
    if (argc != 7)
        return 2;
    double rate = atof(argv[4]), seconds = atof(argv[5]);
    load.port = atoi(argv[1]);
    load.path = argv[2];
    load.token = argv[3];
    load.n_streams = atoi(argv[6]);
    load.wanted = (int)(rate * seconds);
    if (rate <= 0 || load.wanted < 1 || load.wanted > REQUESTS_MAX || load.n_streams < 0 ||
        load.n_streams > STREAMS_MAX)
        return 2;
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    load.ms = mem_array((size_t)load.wanted, sizeof(double));
    if (load.epoll < 0 || load.ms == NULL)
        die("memory");
    for (int i = 0; i < load.n_streams; i++) {
        load.streams[i] = dial(&load, (uint64_t)(CONNECTIONS + i));
        get(&load, load.streams[i], "/api/v1/events");
    }
    for (int i = 0; i < CONNECTIONS; i++)
        load.links[i].fd = dial(&load, (uint64_t)i);
    run(&load, rate);
    size_t n = (size_t)load.answered;
    printf("{\"n\": %zu, \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f, \"event_bytes\": "
           "%lld}\n",
           n, stats_median(load.ms, n), stats_quantile(load.ms, n, 0.99),
           stats_quantile(load.ms, n, 1), (long long)load.events_bytes);
    return 0;
}
