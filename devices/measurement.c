#include "devices/measurement.h"

#include <string.h>

#include "base/error.h"

const char *const measurement_state_names[] = {"queued", "leased",   "running", "accepted",
                                               "failed", "canceled", NULL};
const char *const measurement_event_names[] = {"grant", "ack",       "good",  "refuse", "crash",
                                               "lose",  "give_back", "doubt", "cancel", NULL};

enum {
    NO = -1,
    RETRY = MEASUREMENT_STATES /* queued again, or failed when it was the last time */
};

#define Q MEASUREMENT_QUEUED
#define L MEASUREMENT_LEASED
#define R MEASUREMENT_RUNNING
#define A MEASUREMENT_ACCEPTED
#define F MEASUREMENT_FAILED
#define C MEASUREMENT_CANCELED
/* A result may come late, when its lease has expired and the measurement waits or runs again. */
static const signed char table[MEASUREMENT_STATES][MEASUREMENT_EVENTS] = {
    /*    grant ack good refuse crash lose give_back doubt cancel */
    [Q] = {L, NO, A, F, NO, NO, NO, NO, C},         [L] = {NO, R, A, F, RETRY, RETRY, Q, RETRY, C},
    [R] = {NO, R, A, F, RETRY, RETRY, Q, RETRY, C}, [A] = {NO, NO, NO, NO, NO, NO, NO, NO, NO},
    [F] = {NO, NO, NO, NO, NO, NO, NO, NO, NO},     [C] = {NO, NO, A, NO, NO, NO, NO, NO, NO},
};
#undef Q
#undef L
#undef R
#undef A
#undef F
#undef C

int measurement_event_of_result(const char *status) {
    static const struct {
        const char *status;
        enum measurement_event event;
    } rows[] = {{"ok", MEASUREMENT_GOOD},
                {"noisy", MEASUREMENT_GOOD},
                {"unsupported", MEASUREMENT_REFUSE},
                {"invalid", MEASUREMENT_REFUSE},
                {"oom", MEASUREMENT_REFUSE},
                {"crashed", MEASUREMENT_CRASH}};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (strcmp(rows[i].status, status) == 0)
            return (int)rows[i].event;
    return -1;
}

bool measurement_terminal(enum measurement_state state) {
    return state == MEASUREMENT_ACCEPTED || state == MEASUREMENT_FAILED ||
           state == MEASUREMENT_CANCELED;
}

int measurement_step(struct measurement_status *status, enum measurement_event event) {
    int next = table[status->state][event];
    if (next == NO)
        return ESP_ECONFLICT;
    if (event == MEASUREMENT_GRANT)
        status->attempt++;
    if (next == RETRY) {
        status->failures++;
        next =
            status->failures < MEASUREMENT_FAILURES_MAX ? MEASUREMENT_QUEUED : MEASUREMENT_FAILED;
    }
    status->state = (enum measurement_state)next;
    return 0;
}
