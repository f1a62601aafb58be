/* The board that the running job waits for in vain: all that it has asked boards to measure is
 * queued for boards that take no work now. Looked at once a second while the job waits for
 * measurements, in the pool, and kept for answers. On the loop. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "daemon/ids.h"

struct daemon;

struct awaited {
    struct daemon *daemon;
    void (*looked)(void *context); /* what was under way has ended */
    void *context;
    bool looking;     /* it is under way: what this is part of must stay */
    char job[ID_MAX]; /* that waits; "": none does */
    cJSON *board;     /* owned; as the job's waits_for tells it; NULL: none keeps it */
};

/* Call it once a second. A job that begins to wait, waits for another board or no longer waits is
 * told of by an event that no log keeps. */
void awaited_tick(struct awaited *awaited);
/* {"device", "device_name", "why"} (borrowed), or NULL: the job does not wait in vain. */
const cJSON *awaited_board(const struct awaited *awaited, const char *job);
/* Not while looking. */
void awaited_finish(struct awaited *awaited);
