/* A lease: one board's claim on measurements, as a state machine of its own. Pure: the clock is an
 * argument.
 *
 *   granted --ack--> acked --results--> closed
 *   granted, acked --release--> released; --timeout--> expired; --fence--> fenced
 *
 * The clock of an attempt starts with the acknowledgement, so time in a queue or on the way never
 * counts. Expiry is absolute and stored, so it outlives the daemon. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum lease_state {
    LEASE_GRANTED,
    LEASE_ACKED,
    LEASE_CLOSED,
    LEASE_RELEASED,
    LEASE_EXPIRED,
    LEASE_FENCED,
    LEASE_STATES
};
enum lease_event {
    LEASE_ACK,
    LEASE_HEARTBEAT,
    LEASE_RESULTS, /* the last item was answered */
    LEASE_RELEASE, /* the board gives it back, or was paused */
    LEASE_TIMEOUT,
    LEASE_FENCE, /* the board has started anew, or was removed */
    LEASE_EVENTS
};
extern const char *const lease_state_names[], *const lease_event_names[]; /* end with NULL */

enum {
    LEASE_ACK_S = 30,       /* from the grant to the acknowledgement */
    LEASE_LEAST_S = 60,     /* for the shortest work */
    LEASE_GRACE_S = 30,     /* on top of what the board estimates */
    LEASE_MOST_S = 30 * 60, /* whatever the board estimates */
    LEASE_ITEMS_MAX = 64
};

/* The state after event, or ESP_EGONE when the lease has ended and ESP_ECONFLICT when event cannot
 * come in this state. */
int lease_step(enum lease_state state, enum lease_event event, enum lease_state *ret_state);
bool lease_open(enum lease_state state);
/* How long from now on the lease holds, in microseconds: before the acknowledgement (estimate_s
 * < 0), or after it and after each heartbeat. */
int64_t lease_length_us(double estimate_s);
