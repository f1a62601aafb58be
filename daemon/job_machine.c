#include "daemon/job_machine.h"

#include <stddef.h>

#include "base/error.h"

const char *const job_state_names[] = {"queued", "running", "paused",   "canceling",
                                       "done",   "failed",  "canceled", NULL};
const char *const job_event_names[] = {"start", "pause", "resume", "cancel", "finish",
                                       "fail",  "stop",  "crash",  "retry",  NULL};
const char *const job_event_passives[] = {"started", "paused",  "resumed", "cancelled", "finished",
                                          "failed",  "stopped", "crashed", "retried",   NULL};

enum {
    NO = -1,
    AGAIN = JOB_STATES /* queued, or failed when it was the last time */
};

#define Q JOB_QUEUED
#define R JOB_RUNNING
#define P JOB_PAUSED
#define X JOB_CANCELING
#define D JOB_DONE
#define F JOB_FAILED
#define C JOB_CANCELED
/* A job that was to be canceled may still finish or fail first. */
static const signed char table[JOB_STATES][JOB_EVENTS] = {
    /*    start pause resume cancel finish fail stop crash retry */
    [Q] = {R, NO, NO, C, NO, NO, NO, NO, NO},   [R] = {NO, P, R, X, D, F, Q, AGAIN, NO},
    [P] = {NO, P, R, X, D, F, Q, AGAIN, NO},    [X] = {NO, NO, NO, X, D, F, C, C, NO},
    [D] = {NO, NO, NO, NO, NO, NO, NO, NO, NO}, [F] = {NO, NO, NO, NO, NO, NO, NO, NO, Q},
    [C] = {NO, NO, NO, NO, NO, NO, NO, NO, Q},
};
#undef Q
#undef R
#undef P
#undef X
#undef D
#undef F
#undef C

bool job_terminal(enum job_state state) {
    return state == JOB_DONE || state == JOB_FAILED || state == JOB_CANCELED;
}

int job_step(struct job_status *status, enum job_event event) {
    int next = table[status->state][event];
    if (next == NO)
        return ESP_ECONFLICT;
    if (next == AGAIN) {
        status->crashes++;
        next = status->crashes < JOB_CRASHES_MAX ? JOB_QUEUED : JOB_FAILED;
    }
    if (event == JOB_RETRY)
        status->crashes = 0;
    status->state = (enum job_state)next;
    return 0;
}
