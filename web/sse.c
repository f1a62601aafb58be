#include "web/sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "web/route.h"

enum { TOPIC_MAX = 32, TOPICS_MAX = 256, PREFIX_MAX = 96 };

struct event {
    int64_t id;
    char topic[TOPIC_MAX];
    char *text; /* the whole event as it is sent; owned */
    size_t len;
};

struct client {
    struct sse_hub *hub;
    struct web_request *req;
    uint64_t next;           /* number of the event to send next */
    size_t offset;           /* bytes of it already sent */
    char topics[TOPICS_MAX]; /* "": all */
    char prefix[PREFIX_MAX]; /* text to send before the next event: greeting, comment, resync */
    size_t prefix_len, prefix_sent;
    bool ended; /* by us: nothing more is sent */
    struct client *prev, *following;
};

struct sse_hub {
    struct sse_config config;
    uv_timer_t heartbeat;
    struct event *ring;  /* event number n is at n % max_events */
    uint64_t first, end; /* numbers [first, end) are there */
    size_t bytes;
    int64_t floor, newest; /* ids: newest that was dropped or never there; newest of all */
    struct sse_counts counts;
    struct client *clients;
    int n_clients;
};

static struct event *event_at(const struct sse_hub *hub, uint64_t number) {
    return &hub->ring[number % (uint64_t)hub->config.max_events];
}

static void set_prefix(struct client *client, const char *text) {
    if (client->prefix_sent < client->prefix_len)
        return; /* the one before has not gone out: it will do */
    client->prefix_len = (size_t)snprintf(client->prefix, PREFIX_MAX, "%s", text);
    client->prefix_sent = 0;
}

static void ask_to_resync(struct client *client) {
    char text[PREFIX_MAX];
    snprintf(text, sizeof(text), "id: %lld\nevent: resync\ndata: {}\n\n",
             (long long)client->hub->newest);
    client->prefix_sent = client->prefix_len;
    set_prefix(client, text);
    client->next = client->hub->end;
    client->offset = 0;
}

static size_t take(const char *text, size_t len, size_t *sent, char *bytes, size_t max) {
    size_t n = len - *sent < max ? len - *sent : max;
    memcpy(bytes, text + *sent, n);
    *sent += n;
    return n;
}

static size_t take_prefix(struct client *client, char *bytes, size_t max) {
    return take(client->prefix, client->prefix_len, &client->prefix_sent, bytes, max);
}

static bool wants(const struct client *client, const struct event *event) {
    return client->topics[0] == '\0' || route_word_listed(client->topics, event->topic);
}

/* As many events as fit; each was made into text when it was published. */
static size_t take_events(struct client *client, char *bytes, size_t max) {
    struct sse_hub *hub = client->hub;
    size_t n = 0;
    for (; client->next < hub->end; client->next++, client->offset = 0) {
        const struct event *event = event_at(hub, client->next);
        if (!wants(client, event))
            continue;
        n += take(event->text, event->len, &client->offset, bytes + n, max - n);
        if (client->offset < event->len)
            break;
        hub->counts.delivered++;
    }
    return n;
}

static ssize_t read_client(void *context, char *bytes, size_t max) {
    struct client *client = context;
    struct sse_hub *hub = client->hub;
    size_t n = 0;
    if (hub == NULL || client->ended)
        return -1;
    /* What is half sent is finished first; if that is an event that was dropped meanwhile, the
     * stream ends and the client comes back with Last-Event-ID. */
    if (client->offset == 0)
        n = take_prefix(client, bytes, max);
    if (client->next < hub->first) {
        if (client->offset > 0)
            return -1;
        if (n > 0)
            return (ssize_t)n;
        ask_to_resync(client);
        n = take_prefix(client, bytes, max);
    }
    if (client->prefix_sent < client->prefix_len && client->offset == 0)
        return (ssize_t)n;
    return (ssize_t)(n + take_events(client, bytes + n, max - n));
}

static void close_client(void *context) {
    struct client *client = context;
    struct sse_hub *hub = client->hub;
    if (hub != NULL) {
        if (client->prev != NULL)
            client->prev->following = client->following;
        else
            hub->clients = client->following;
        if (client->following != NULL)
            client->following->prev = client->prev;
        hub->n_clients--;
    }
    free(client);
}

/* A stream outlives neither the token nor the session that opened it by more than a heartbeat. */
static void on_heartbeat(uv_timer_t *timer) {
    struct sse_hub *hub = timer->data;
    for (struct client *client = hub->clients, *next; client != NULL; client = next) {
        next = client->following;
        client->ended = !web_still_authorised(client->req);
        set_prefix(client, ": still here\n\n");
        web_wake(client->req);
    }
}

int sse_create(uv_loop_t *loop, const struct sse_config *config, struct sse_hub **ret_hub) {
    struct sse_hub *hub = mem_array(1, sizeof(*hub));
    if (hub == NULL)
        return ESP_ENOMEM;
    hub->config = *config;
    hub->ring = mem_array((size_t)config->max_events, sizeof(*hub->ring));
    if (hub->ring == NULL) {
        free(hub);
        return ESP_ENOMEM;
    }
    uv_timer_init(loop, &hub->heartbeat);
    hub->heartbeat.data = hub;
    uv_timer_start(&hub->heartbeat, on_heartbeat, (uint64_t)config->heartbeat_ms,
                   (uint64_t)config->heartbeat_ms);
    *ret_hub = hub;
    return 0;
}

static void drop_first(struct sse_hub *hub) {
    struct event *event = event_at(hub, hub->first++);
    if (event->id > hub->floor)
        hub->floor = event->id;
    hub->bytes -= event->len;
    free(event->text);
    event->text = NULL;
}

static void on_closed(uv_handle_t *handle) {
    struct sse_hub *hub = handle->data;
    free(hub->ring);
    free(hub);
}

void sse_destroy(struct sse_hub *hub) {
    if (hub == NULL)
        return;
    for (struct client *client = hub->clients; client != NULL; client = client->following) {
        client->hub = NULL;
        web_wake(client->req);
    }
    while (hub->first < hub->end)
        drop_first(hub);
    uv_close((uv_handle_t *)&hub->heartbeat, on_closed);
}

void sse_set_floor(struct sse_hub *hub, int64_t id) {
    hub->floor = hub->newest = id;
}

static char *event_text(int64_t id, const char *topic, const char *data, size_t *ret_len) {
    size_t size = strlen(topic) + strlen(data) + 64;
    char *text = malloc(size);
    if (text == NULL)
        return NULL;
    int n = id > 0 ? snprintf(text, size, "id: %lld\n", (long long)id) : 0;
    n += snprintf(text + n, size - (size_t)n, "event: %s\ndata: %s\n\n", topic, data);
    *ret_len = (size_t)n;
    return text;
}

void sse_publish(struct sse_hub *hub, int64_t id, const char *topic, const char *data) {
    size_t len = 0;
    char *text = event_text(id, topic, data, &len);
    hub->counts.serialised++;
    if (id > 0)
        hub->newest = id;
    while (hub->first < hub->end && (hub->end - hub->first == (uint64_t)hub->config.max_events ||
                                     hub->bytes + len > hub->config.max_bytes || text == NULL))
        drop_first(hub);
    if (text == NULL) { /* out of memory: everybody has missed something */
        hub->floor = hub->newest;
        hub->first = ++hub->end;
        return;
    }
    struct event *event = event_at(hub, hub->end++);
    event->id = id;
    event->text = text;
    event->len = len;
    hub->bytes += len;
    snprintf(event->topic, sizeof(event->topic), "%s", topic);
    for (struct client *client = hub->clients; client != NULL; client = client->following)
        web_wake(client->req);
}

/* Number of the first event behind id; false when some in between are no longer there. */
static bool find_after(const struct sse_hub *hub, int64_t id, uint64_t *ret_next) {
    if (id < hub->floor || id > hub->newest)
        return false;
    uint64_t next = hub->end;
    while (next > hub->first) {
        int64_t before = event_at(hub, next - 1)->id;
        if (before != 0 && before <= id)
            break;
        next--;
    }
    *ret_next = next;
    return true;
}

/* A sleeping connection does not notice that its client has gone; writing to it does. */
static int count_live(struct sse_hub *hub) {
    int live = 0;
    for (struct client *client = hub->clients; client != NULL; client = client->following) {
        if (!web_peer_gone(client->req)) {
            live++;
            continue;
        }
        set_prefix(client, ": gone?\n\n");
        web_wake(client->req);
    }
    return live;
}

/* Whoever asked for no event is told which was the newest, by an id that comes with no data: so it
 * misses nothing when the stream breaks before the first event. */
static void greet(struct client *client, bool from_now) {
    char text[PREFIX_MAX];
    int n = snprintf(text, sizeof(text), "retry: 2000\n: hello\n");
    if (from_now)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "id: %lld\n",
                      (long long)client->hub->newest);
    snprintf(text + n, sizeof(text) - (size_t)n, "\n");
    set_prefix(client, text);
}

void sse_serve(struct sse_hub *hub, struct web_request *req, int64_t after, const char *topics) {
    struct client *client = NULL;
    if (hub->n_clients < hub->config.max_clients || count_live(hub) < hub->config.max_clients)
        client = mem_array(1, sizeof(*client));
    if (client == NULL) {
        web_reply_error(req, &(struct err){.code = ESP_EBUSY, .message = "too many event streams"},
                        NULL);
        return;
    }
    client->hub = hub;
    client->req = req;
    client->next = hub->end;
    if (topics != NULL)
        snprintf(client->topics, sizeof(client->topics), "%s", topics);
    if (after >= 0 && !find_after(hub, after, &client->next))
        ask_to_resync(client);
    else
        greet(client, after < 0);
    client->following = hub->clients;
    if (hub->clients != NULL)
        hub->clients->prev = client;
    hub->clients = client;
    hub->n_clients++;
    web_reply_stream(req, "text/event-stream",
                     &(struct web_stream){read_client, close_client, client});
}

int sse_clients(const struct sse_hub *hub) {
    return hub->n_clients;
}

struct sse_counts sse_counts(const struct sse_hub *hub) {
    return hub->counts;
}
