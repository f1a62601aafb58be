/* A measurement: one asked-for run of one graph on one profile, through all its attempts. Pure.
 *
 *   queued --grant--> leased --ack--> running --good--> accepted
 *   leased, running --lost--> queued, or failed at the third time
 *   running --crashed, implausible--> queued, or failed at the third time
 *   any open state --refused--> failed (unsupported, invalid, out of memory: no sense in trying
 *                               again); --give_back--> queued; --cancel--> canceled
 *   canceled --good--> accepted (work is precious: what was measured is kept)
 */
#pragma once

#include <stdbool.h>

enum measurement_state {
    MEASUREMENT_QUEUED,
    MEASUREMENT_LEASED,
    MEASUREMENT_RUNNING,
    MEASUREMENT_ACCEPTED,
    MEASUREMENT_FAILED,
    MEASUREMENT_CANCELED,
    MEASUREMENT_STATES
};
enum measurement_event {
    MEASUREMENT_GRANT,
    MEASUREMENT_ACK,
    MEASUREMENT_GOOD,      /* result "ok" or "noisy" */
    MEASUREMENT_REFUSE,    /* "unsupported", "invalid", "oom" */
    MEASUREMENT_CRASH,     /* "crashed" */
    MEASUREMENT_LOSE,      /* its lease expired or was fenced */
    MEASUREMENT_GIVE_BACK, /* its lease was released */
    MEASUREMENT_DOUBT,     /* its result cannot be true (devices/plausible.h) */
    MEASUREMENT_CANCEL,
    MEASUREMENT_EVENTS
};
extern const char *const measurement_state_names[], *const measurement_event_names[];

enum { MEASUREMENT_FAILURES_MAX = 3 };

struct measurement_status {
    enum measurement_state state;
    int attempt;  /* grants so far: fences the messages of older ones */
    int failures; /* attempts that crashed, were lost or told what cannot be */
};

/* What a result of a board, by its status text, means; -1 for an unknown one. */
int measurement_event_of_result(const char *status);
bool measurement_terminal(enum measurement_state state);
/* Changes *status. ESP_ECONFLICT, with nothing changed, when event means nothing in this state. */
int measurement_step(struct measurement_status *status, enum measurement_event event);
