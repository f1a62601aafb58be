/* What time does to leases, boards, tables and all that is kept, once a second: leases run out,
 * boards are away, noise and quarantines are reviewed, old entries measured again, what has grown
 * pruned. On the loop, writing by the store. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "daemon/ids.h"
#include "daemon/store_retention.h"

struct daemon;

struct housekeeping {
    struct daemon *daemon;
    void (*kept)(void *context); /* what was under way has ended */
    void *context;
    int64_t started_us; /* wall clock */
    int ticks;
    bool keeping;                 /* it is under way: what this is part of must stay */
    struct retention_round round; /* not while keeping */
    bool touring;                 /* boards are asked in turn for entries that are too old */
    int tour_ticks;               /* when that began */
    char toured[ID_MAX];          /* the latest board asked; "" */
};

/* Open leases get an interval's grace, before anything else is written (calls run in order): the
 * boards could not reach the daemon while it was down. daemon (borrowed) has its store. Errors:
 * ESP_ENOMEM. */
int housekeeping_begin(struct housekeeping *house, struct daemon *daemon,
                       void (*kept)(void *context), void *context, struct err *err);
/* Call it once a second. */
void housekeeping_tick(struct housekeeping *house);
