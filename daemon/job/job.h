/* A job: one phase run in a process of its own. A phase is one file with one const struct, and one
 * word in phases.inc. */
#pragma once

#include "base/parallel.h"
#include "daemon/job/channel.h"
#include "daemon/job/confine.h"

struct job {
    const char *kind; /* borrowed from the start message */
    struct channel *channel;
    struct parallel *pool;
    int threads; /* of the pool */
    struct confine_limits limits;
    const cJSON *spec; /* of the kind, docs/JOB_PROTOCOL.md */
    const char *dir;   /* where the job may keep what it needs to go on; NULL: nowhere */
};

struct job_phase {
    const char *kind, *help;
    /* The caller deletes *ret_result, which becomes the data of the done event. ESP_ECANCELED when
     * the channel asked to stop: the state is kept, the job can go on later. */
    int (*run)(struct job *job, struct err *err, cJSON **ret_result);
};
extern const struct job_phase *const job_phases[];        /* NULL-terminated */
const struct job_phase *job_phase_find(const char *kind); /* NULL if there is none */

/* Runs the phase of that kind and sends its last event, done or failed. dir as in struct job.
 * Returns the exit status of the process. */
enum { JOB_DONE = 0, JOB_FAILED = 1, JOB_USAGE = 2, JOB_STOPPED = 75 };
int job_run(struct channel *channel, const cJSON *start, const char *dir);
