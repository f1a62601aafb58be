#include "devices/lease.h"

#include "base/error.h"

const char *const lease_state_names[] = {"granted", "acked",  "closed", "released",
                                         "expired", "fenced", 0};
const char *const lease_event_names[] = {"ack",     "heartbeat", "results", "release",
                                         "timeout", "fence",     0};

enum { NO = -1 };

static const signed char table[LEASE_STATES][LEASE_EVENTS] = {
    [LEASE_GRANTED] = {[LEASE_ACK] = LEASE_ACKED,
                       [LEASE_HEARTBEAT] = NO,
                       [LEASE_RESULTS] = LEASE_CLOSED,
                       [LEASE_RELEASE] = LEASE_RELEASED,
                       [LEASE_TIMEOUT] = LEASE_EXPIRED,
                       [LEASE_FENCE] = LEASE_FENCED},
    [LEASE_ACKED] = {[LEASE_ACK] = LEASE_ACKED, /* its answer was lost: the board asks again */
                     [LEASE_HEARTBEAT] = LEASE_ACKED,
                     [LEASE_RESULTS] = LEASE_CLOSED,
                     [LEASE_RELEASE] = LEASE_RELEASED,
                     [LEASE_TIMEOUT] = LEASE_EXPIRED,
                     [LEASE_FENCE] = LEASE_FENCED},
};

bool lease_open(enum lease_state state) {
    return state == LEASE_GRANTED || state == LEASE_ACKED;
}

int lease_step(enum lease_state state, enum lease_event event, enum lease_state *ret_state) {
    if (!lease_open(state))
        return ESP_EGONE;
    int next = table[state][event];
    if (next == NO)
        return ESP_ECONFLICT;
    *ret_state = (enum lease_state)next;
    return 0;
}

int64_t lease_length_us(double estimate_s) {
    double seconds = LEASE_ACK_S;
    if (estimate_s >= 0) {
        seconds = 3 * estimate_s > LEASE_LEAST_S ? 3 * estimate_s : LEASE_LEAST_S;
        seconds += LEASE_GRACE_S;
    }
    if (!(seconds < LEASE_MOST_S))
        seconds = LEASE_MOST_S;
    return (int64_t)(seconds * 1e6);
}
