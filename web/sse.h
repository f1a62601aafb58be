/* Server-sent events for many clients from one bounded ring of the newest events: a client only
 * holds its place in it, so a slow one costs no memory and cannot hold up others. */
#pragma once

#include "web/web.h"

struct sse_hub;

struct sse_config {
    size_t max_bytes; /* of event text kept */
    int max_events;
    int max_clients;
    int heartbeat_ms; /* a comment is sent so often: proxies and dead clients notice */
};

int sse_create(uv_loop_t *loop, const struct sse_config *config, struct sse_hub **ret_hub);
/* Ends all streams; memory is freed when the loop has run its closing callbacks. Takes NULL. Must
 * come before web_destroy of the server that the streams belong to. */
void sse_destroy(struct sse_hub *hub);
/* What a client may have seen before the hub's first event: resuming behind it is possible, before
 * it gives "resync". Set it before the first publish. */
void sse_set_floor(struct sse_hub *hub, int64_t id);
/* id ascends; 0: an event without id, which nobody resumes from. topic has no line breaks; data is
 * one line of JSON. */
void sse_publish(struct sse_hub *hub, int64_t id, const char *topic, const char *data);
/* Answers req with the stream of topics ("a,b"; NULL: all) behind event after (-1: from now on,
 * which begins with the id of the newest event, so that it can be resumed behind that).
 * When the events behind it are no longer there, the first is "resync": the client must read
 * everything anew. The stream ends within a heartbeat when whoever opened it may no longer. */
void sse_serve(struct sse_hub *hub, struct web_request *req, int64_t after, const char *topics);
int sse_clients(const struct sse_hub *hub);
struct sse_counts {
    uint64_t serialised; /* events that were made into text: each once, however many clients */
    uint64_t delivered;  /* times that a client was given one */
};
struct sse_counts sse_counts(const struct sse_hub *hub);
