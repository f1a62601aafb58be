/* The states of a job. Pure.
 *
 *   queued --start--> running --done--> done, --fail--> failed
 *   running <--pause, resume--> paused (a measurement on this machine takes its turn)
 *   running, paused --cancel--> canceling --end--> canceled; queued --cancel--> canceled
 *   running, paused --stop--> queued (the daemon ends or was killed: the job goes on later)
 *   running, paused --crash--> queued, or failed at the third time
 *   failed, canceled --retry--> queued (from its last checkpoint)
 */
#pragma once

#include <stdbool.h>

enum job_state {
    JOB_QUEUED,
    JOB_RUNNING,
    JOB_PAUSED,
    JOB_CANCELING,
    JOB_DONE,
    JOB_FAILED,
    JOB_CANCELED,
    JOB_STATES
};
enum job_event {
    JOB_START,
    JOB_PAUSE,
    JOB_RESUME,
    JOB_CANCEL,
    JOB_FINISH, /* its "done" event */
    JOB_FAIL,   /* its "failed" event, or what it sent made no sense */
    JOB_STOP,   /* its process ended because the daemon ends, or went with a killed daemon */
    JOB_CRASH,  /* its process ended in any other way */
    JOB_RETRY,
    JOB_EVENTS
};
extern const char *const job_state_names[], *const job_event_names[],
                                                *const job_event_passives[]; /* end with NULL */

enum { JOB_CRASHES_MAX = 3 };

struct job_status {
    enum job_state state;
    int crashes;
};

bool job_terminal(enum job_state state);
/* Changes *status. ESP_ECONFLICT, with nothing changed, when event means nothing in this state. */
int job_step(struct job_status *status, enum job_event event);
