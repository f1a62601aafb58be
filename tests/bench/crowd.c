/* A crowd of simulated boards in one process: each has a connection of its own and speaks the
 * worker's protocol over it, as espalier-worker does, with the simulation and the sampling rule of
 * the back end sim. One thread, one epoll. For tests/integration/fleet/crowd.py, which says "go" on
 * stdin when the queue is filled; prints JSON lines: {"profiles": […]}, then the figures.
 *
 *   crowd PORT TOKEN BOARDS RESULTS SECONDS MAX_ITEMS PACE_MS
 *
 * Each measurement takes PACE_MS, give or take a half; 0: no time at all. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/stats.h"
#include "devices/method.h"
#include "devices/reference.h"
#include "devices/sampler.h"
#include "devices/simulation.h"

enum { LEASE_WAIT_S = 20, EVENTS = 256, ANSWER_MAX = 8 << 20, FIGURES_MAX = 1 << 20, OPENING = 32 };

enum step { STEP_ENROL, STEP_READY, STEP_LEASE, STEP_ACK, STEP_MEASURE, STEP_RESULT };

struct board {
    int fd, number;
    enum step step;
    char token[96], profile[64], fingerprint[64];
    int64_t epoch;
    struct buf out, in;
    size_t sent;
    int64_t asked_ns, due_ns; /* due: when its measurement ends */
    cJSON *lease;             /* owned; NULL: none */
    int item;
    uint32_t measured;
};

/* Times of one kind of request, in milliseconds. */
struct times {
    double *ms;
    int n;
};

struct crowd {
    int port, n, max_items, epoll;
    const char *enrolment;
    struct board *boards;
    struct simulation_model model;
    double reference_us;
    int enrolled, opened;
    int64_t results, wanted, refused, empty_polls;
    struct times lease, ack, result;
    int64_t begun_ns, ended_ns, until_ns, pace_ns, looked_ns;
    bool going;
};

static void die(const char *what, const char *detail) {
    fprintf(stderr, "crowd: %s: %.600s\n", what, detail ? detail : strerror(errno));
    exit(1);
}

/* ---- requests -------------------------------------------------------------------------------- */

static void watch(struct crowd *c, struct board *b, int operation) {
    struct epoll_event event = {.events = EPOLLIN | (b->sent < b->out.len ? EPOLLOUT : 0u),
                                .data.ptr = b};
    if (epoll_ctl(c->epoll, operation, b->fd, &event))
        die("epoll_ctl", NULL);
}

static void flush(struct crowd *c, struct board *b) {
    while (b->sent < b->out.len) {
        ssize_t n = send(b->fd, b->out.data + b->sent, b->out.len - b->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0)
            die("send", NULL);
        b->sent += (size_t)n;
    }
    watch(c, b, EPOLL_CTL_MOD);
}

/* Takes body. */
static void post(struct crowd *c, struct board *b, enum step step, const char *path, cJSON *body) {
    char *text = cJSON_PrintUnformatted(body);

    cJSON_Delete(body);
    buf_clear(&b->out);
    b->sent = 0;
    buf_printf(&b->out,
               "POST /api/v1/worker/%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: "
               "application/json\r\nContent-Length: %zu\r\n",
               path, c->port, strlen(text));
    if (b->token[0])
        buf_printf(&b->out, "Authorization: Bearer %s\r\n", b->token);
    buf_puts(&b->out, "\r\n");
    buf_puts(&b->out, text);
    free(text);
    b->step = step;
    b->asked_ns = clock_mono_ns();
    flush(c, b);
}

static cJSON *with_epoch(const struct board *b) {
    cJSON *body = cJSON_CreateObject();
    cJSON_AddNumberToObject(body, "epoch", (double)b->epoch);
    return body;
}

static void enrol(struct crowd *c, struct board *b) {
    cJSON *body = cJSON_CreateObject(), *profile = cJSON_CreateObject();
    char name[64], machine[64];

    snprintf(name, sizeof(name), "crowd-%04d", b->number);
    snprintf(machine, sizeof(machine), "machine-of-crowd-%04d", b->number);
    snprintf(b->fingerprint, sizeof(b->fingerprint), "environment-of-%04d", b->number);
    cJSON_AddStringToObject(body, "enrolment_token", c->enrolment);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "protocol"), cJSON_CreateNumber(1));
    cJSON_AddStringToObject(body, "machine_id", machine);
    cJSON_AddStringToObject(body, "name", name);
    cJSON_AddStringToObject(body, "worker_version", "crowd");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(body, "fingerprint"), "cpu_model", "simulated");
    cJSON_AddBoolToObject(body, "noise_by_lease", true);
    cJSON_AddBoolToObject(body, "simulated", true);
    cJSON_AddStringToObject(profile, "runtime", "simulated");
    cJSON_AddStringToObject(profile, "precision", "fp32");
    cJSON_AddNumberToObject(profile, "threads", 1);
    cJSON_AddStringToObject(profile, "cores", "");
    cJSON_AddStringToObject(profile, "governor", "none");
    cJSON_AddStringToObject(profile, "fingerprint", b->fingerprint);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "profiles"), profile);
    post(c, b, STEP_ENROL, "enrol", body);
}

static void ask_lease(struct crowd *c, struct board *b) {
    cJSON *body = with_epoch(b);

    cJSON_AddNumberToObject(body, "wait_s", LEASE_WAIT_S);
    cJSON_AddNumberToObject(body, "max_items", c->max_items);
    cJSON_AddNumberToObject(body, "load", 0.1);
    cJSON_AddBoolToObject(body, "simulated", true);
    post(c, b, STEP_LEASE, "lease", body);
}

static const char *text_of(const cJSON *doc, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(doc, key));

    if (!text)
        die("a member is missing in the daemon's answer", key);
    return text;
}

static void acknowledge(struct crowd *c, struct board *b) {
    cJSON *body = with_epoch(b);
    char path[128];

    snprintf(path, sizeof(path), "leases/%s/ack", text_of(b->lease, "lease_id"));
    cJSON_AddNumberToObject(body, "estimate_s", 2 * c->max_items);
    post(c, b, STEP_ACK, path, body);
}

/* ---- measuring ------------------------------------------------------------------------------- */

/* As the back end sim measures, and measure.c tells it. */
static void measure(struct crowd *c, struct board *b, const cJSON *item, cJSON *result) {
    struct simulation simulation;
    struct sampler_result r = {0};
    struct err err = {0};
    struct graph *graph = NULL;
    cJSON *reference = cJSON_AddObjectToObject(result, "reference");

    if (graph_from_json(cJSON_GetObjectItem(item, "graph"), "/graph", &err, &graph))
        die("a graph", err.message);
    simulation_start(&c->model, simulation_graph_us(&c->model, graph), c->reference_us,
                     (uint32_t)b->number << 12 | b->measured++, &simulation);
    struct sampler_source source = simulation_source(&simulation);
    if (sampler_run(method_find_any(text_of(item, "method")), &source, &err, &r))
        die("sampling", err.message);
    cJSON_AddNumberToObject(result, "median_us", r.median_us);
    cJSON_AddNumberToObject(result, "low_us", r.low_us);
    cJSON_AddNumberToObject(result, "high_us", r.high_us);
    cJSON_AddNumberToObject(result, "mean_us", r.mean_us);
    cJSON_AddNumberToObject(result, "sd_us", r.sd_us);
    cJSON_AddNumberToObject(result, "first_us", r.first_us);
    cJSON_AddNumberToObject(result, "n", r.n);
    cJSON_AddNumberToObject(result, "batches", r.batches);
    cJSON_AddNumberToObject(result, "peak_gmacs", c->model.gmacs);
    cJSON_AddNumberToObject(reference, "before_us", r.reference_before_us);
    cJSON_AddNumberToObject(reference, "after_us", r.reference_after_us);
    cJSON_AddItemToObject(result, "samples_us", cJSON_CreateDoubleArray(r.samples_us, r.n));
    cJSON_AddStringToObject(result, "status", r.noisy ? "noisy" : "ok");
    sampler_result_finish(&r);
    free(graph);
}

static void send_result(struct crowd *c, struct board *b) {
    const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItem(b->lease, "items"), b->item);
    cJSON *result = cJSON_CreateObject();
    const char *lease = text_of(b->lease, "lease_id"), *id = text_of(item, "measurement_id");
    char key[160];

    snprintf(key, sizeof(key), "%s-%s", lease, id);
    cJSON_AddStringToObject(result, "lease_id", lease);
    cJSON_AddStringToObject(result, "measurement_id", id);
    cJSON_AddItemToObject(result, "attempt",
                          cJSON_Duplicate(cJSON_GetObjectItem(item, "attempt"), true));
    cJSON_AddStringToObject(result, "idempotency_key", key);
    cJSON_AddStringToObject(result, "fingerprint", b->fingerprint);
    cJSON_AddStringToObject(result, "message", "");
    cJSON_AddObjectToObject(result, "environment");
    measure(c, b, item, result);
    post(c, b, STEP_RESULT, "results", result);
}

static void begin_item(struct crowd *c, struct board *b) {
    struct rng rng = rng_make(7, RNG_SAMPLE, b->measured, (uint32_t)b->number);

    if (c->pace_ns == 0) {
        send_result(c, b);
        return;
    }
    b->step = STEP_MEASURE;
    b->due_ns = clock_mono_ns() + (int64_t)((double)c->pace_ns * (0.5 + rng_unit(&rng)));
}

static void end_items(struct crowd *c) {
    int64_t now_ns = clock_mono_ns();

    if (c->pace_ns == 0 || now_ns - c->looked_ns < 2000000)
        return;
    c->looked_ns = now_ns;
    for (int i = 0; i < c->opened; i++)
        if (c->boards[i].step == STEP_MEASURE && c->boards[i].due_ns <= now_ns)
            send_result(c, &c->boards[i]);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void note(struct times *times, const struct board *b) {
    if (!times->ms && !(times->ms = calloc(FIGURES_MAX, sizeof(*times->ms))))
        die("memory", NULL);
    if (times->n < FIGURES_MAX)
        times->ms[times->n++] = (double)(clock_mono_ns() - b->asked_ns) / 1e6;
}

static void take_welcome(struct crowd *c, struct board *b, const cJSON *doc) {
    const cJSON *profile = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "profiles"), 0);

    snprintf(b->token, sizeof(b->token), "%s", text_of(doc, "worker_token"));
    snprintf(b->profile, sizeof(b->profile), "%s", text_of(profile, "profile_id"));
    b->epoch = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(doc, "epoch"));
    b->step = STEP_READY;
    c->enrolled++;
}

static void take_answer(struct crowd *c, struct board *b, int status, cJSON *doc) {
    switch (b->step) {
    case STEP_ENROL:
        if (status != 201)
            die("an enrolment was answered", b->in.data);
        take_welcome(c, b, doc);
        break;
    case STEP_READY:
    case STEP_MEASURE:
        die("an answer to nothing", b->in.data);
        break;
    case STEP_LEASE:
        if (status == 204) {
            c->empty_polls++;
            ask_lease(c, b);
            break;
        }
        if (status != 200)
            die("a request for a lease was answered", b->in.data);
        note(&c->lease, b);
        b->lease = cJSON_Duplicate(doc, true);
        b->item = 0;
        acknowledge(c, b);
        break;
    case STEP_ACK:
        if (status != 200)
            die("an acknowledgement was answered", b->in.data);
        note(&c->ack, b);
        begin_item(c, b);
        break;
    case STEP_RESULT:
        if (status != 201 || !cJSON_IsTrue(cJSON_GetObjectItem(doc, "counted")))
            die("a result was answered", b->in.data);
        note(&c->result, b);
        if (++c->results == c->wanted)
            c->ended_ns = clock_mono_ns();
        if (++b->item < cJSON_GetArraySize(cJSON_GetObjectItem(b->lease, "items"))) {
            begin_item(c, b);
            break;
        }
        cJSON_Delete(b->lease);
        b->lease = NULL;
        ask_lease(c, b);
        break;
    }
}

/* One whole answer in b->in is taken off it. */
static void read_answer(struct crowd *c, struct board *b) {
    const char *end = b->in.data ? strstr(b->in.data, "\r\n\r\n") : NULL;
    const char *length = b->in.data ? strcasestr(b->in.data, "content-length:") : NULL;
    size_t body = length && end && length < end ? (size_t)atol(length + 15) : 0;

    if (!end || b->in.len < (size_t)(end + 4 - b->in.data) + body)
        return;
    int status = atoi(b->in.data + 9);
    cJSON *doc = body ? cJSON_ParseWithLength(end + 4, body) : NULL;
    take_answer(c, b, status, doc);
    cJSON_Delete(doc);
    buf_clear(&b->in);
    if (b->in.data)
        b->in.data[0] = 0;
}

/* A connection that has nothing to say is closed by the daemon after a while. */
static void hang_up(struct board *b) {
    close(b->fd);
    b->fd = -1;
}

static void receive(struct crowd *c, struct board *b) {
    char piece[1 << 16];
    ssize_t n;

    while ((n = recv(b->fd, piece, sizeof(piece), 0)) > 0)
        buf_append(&b->in, piece, (size_t)n);
    if (n == 0 && b->step == STEP_READY) {
        hang_up(b);
        return;
    }
    if (n == 0)
        die("the daemon has closed a connection", b->in.data ? b->in.data : "");
    if (errno != EAGAIN)
        die("recv", NULL);
    read_answer(c, b);
}

static void dial(struct crowd *c, struct board *b) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port)};
    int one = 1;

    b->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    if (b->fd < 0 || connect(b->fd, (struct sockaddr *)&to, sizeof(to)))
        die("connect", NULL);
    setsockopt(b->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(b->fd, F_SETFL, O_NONBLOCK);
    watch(c, b, EPOLL_CTL_ADD);
}

static void open_board(struct crowd *c, int number) {
    struct board *b = &c->boards[number];

    *b = (struct board){.number = number};
    buf_init(&b->out, ANSWER_MAX);
    buf_init(&b->in, ANSWER_MAX);
    dial(c, b);
    enrol(c, b);
}

/* ---- the crowd ------------------------------------------------------------------------------- */

static void turn(struct crowd *c) {
    struct epoll_event events[EVENTS];
    int n = epoll_wait(c->epoll, events, EVENTS, c->pace_ns ? 5 : 1000);

    for (int i = 0; i < n; i++) {
        struct board *b = events[i].data.ptr;
        if (!b) { /* stdin: go */
            c->going = true;
            epoll_ctl(c->epoll, EPOLL_CTL_DEL, 0, NULL);
        } else if (events[i].events & EPOLLOUT) {
            flush(c, b);
        }
        if (b && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(c, b);
    }
    end_items(c);
    if (clock_mono_ns() > c->until_ns)
        die("it takes too long", "");
}

static void print_profiles(const struct crowd *c) {
    printf("{\"profiles\":[");
    for (int i = 0; i < c->n; i++)
        printf("%s\"%s\"", i ? "," : "", c->boards[i].profile);
    printf("]}\n");
    fflush(stdout);
}

static void print_times(const char *name, const struct times *t) {
    size_t n = (size_t)t->n;

    printf(",\"%s\":{\"n\":%d,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f}", name, t->n,
           stats_quantile(t->ms, n, 0.5), stats_quantile(t->ms, n, 0.99),
           stats_quantile(t->ms, n, 1));
}

static void work(struct crowd *c) {
    while (c->enrolled < c->n) {
        while (c->opened < c->n && c->opened - c->enrolled < OPENING)
            open_board(c, c->opened++);
        turn(c);
    }
    print_profiles(c);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(c->epoll, EPOLL_CTL_ADD, 0, &event);
    while (!c->going)
        turn(c);
    c->begun_ns = clock_mono_ns();
    for (int i = 0; i < c->n; i++) {
        if (c->boards[i].fd < 0)
            dial(c, &c->boards[i]);
        ask_lease(c, &c->boards[i]);
    }
    while (c->results < c->wanted)
        turn(c);
}

int main(int argc, char **argv) {
    struct crowd c = {.port = 0};
    struct graph *reference = NULL;
    struct err err = {0};

    if (argc != 8) {
        fputs("usage: crowd PORT TOKEN BOARDS RESULTS SECONDS MAX_ITEMS PACE_MS\n", stderr);
        return 2;
    }
    c.port = atoi(argv[1]);
    c.enrolment = argv[2];
    c.n = atoi(argv[3]);
    c.wanted = atol(argv[4]);
    c.until_ns = clock_mono_ns() + atol(argv[5]) * INT64_C(1000000000);
    c.max_items = atoi(argv[6]);
    c.pace_ns = atol(argv[7]) * INT64_C(1000000);
    c.boards = calloc((size_t)c.n, sizeof(*c.boards));
    c.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!c.boards || c.epoll < 0)
        die("start", NULL);
    if (simulation_model_read("gmacs=5,gbps=4,noise=0.01", &err, &c.model) ||
        reference_graph(&err, &reference))
        die("the model", err.message);
    c.reference_us = simulation_graph_us(&c.model, reference);
    work(&c);
    double seconds = (double)(c.ended_ns - c.begun_ns) / 1e9;
    printf("{\"boards\":%d,\"results\":%lld,\"seconds\":%.2f,\"per_second\":%.0f", c.n,
           (long long)c.results, seconds, (double)c.results / seconds);
    print_times("lease", &c.lease);
    print_times("ack", &c.ack);
    print_times("result", &c.result);
    printf("}\n");
    return 0;
}
