/* One attempt of a job, from the start of its process to the moment its end is stored: what the job
 * says is stored and acknowledged, what it waits for is told, it is paused, canceled, killed when
 * it does not end. On the loop's thread. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/error.h"
#include "daemon/daemon.h"

struct run;

struct run_listener {
    /* It has paused, resumed or ended, or what it waits for has changed. */
    void (*changed)(void *context);
    /* Its end is stored, and the run is gone after this call. wait: do not start another at once.
     */
    void (*ended)(void *context, bool wait);
    void *context;
};

/* start (taken): as store_job_next gives it. A process that cannot be started ends the attempt like
 * one that crashed, so only ESP_ENOMEM is an error. */
int run_create(struct daemon *daemon, cJSON *start, const struct run_listener *listener,
               struct err *err, struct run **ret_run);
const char *run_job(const struct run *run);
const cJSON *run_progress(const struct run *run); /* borrowed; NULL: none yet */
/* Asks for a pause at the next step boundary, or to go on. */
void run_set_paused(struct run *run, bool wanted);
bool run_is_quiet(const struct run *run); /* paused, or its process has ended */
bool run_waits_for_measurements(const struct run *run);
void run_answer(struct run *run); /* measurements that it asked for may have ended */
enum run_reason { RUN_CANCELED, RUN_STOPPED, RUN_HELD, RUN_UNSTORED };
/* SIGTERM, and SIGKILL when that does not help. */
void run_end(struct run *run, enum run_reason reason);
void run_tick(
    struct run *run); /* now and then: what failed for want of memory or room is tried again */
