/* Which job runs: one numeric job at a time on all cores, first come first served within a
 * priority, while the disk has room. Starts its process, stores what it says, tells it what it
 * waits for, cancels it, and keeps it quiet while a board on this machine measures. On the loop's
 * thread. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "base/error.h"
#include "daemon/daemon.h"

struct scheduler;

/* Jobs that ran when the daemon ended must be back in the queue (store_job_recover). */
int scheduler_create(struct daemon *daemon, struct err *err, struct scheduler **ret_scheduler);
/* Looks at the queue again; wake is of enum store_wake. */
void scheduler_wake(struct scheduler *scheduler, unsigned wake);
/* Newest progress of a running job, borrowed until the loop goes on; NULL. */
const cJSON *scheduler_progress(const struct scheduler *scheduler, const char *job);

/* While wanted, no job is started and a running one is paused at its next step boundary; quiet is
 * when none computes. The fleet is woken when that changes. */
void scheduler_want_quiet(struct scheduler *scheduler, bool wanted);
bool scheduler_is_quiet(const struct scheduler *scheduler);
/* The same for a backup, whatever boards want: while held, no job is started and a running one
 * stands still. */
void scheduler_hold(struct scheduler *scheduler, bool held);
bool scheduler_is_held(const struct scheduler *scheduler); /* held, and none computes */
/* A job runs and has not paused, or may be starting just now. */
bool scheduler_is_computing(const struct scheduler *scheduler);
/* Id of the running job, also a paused one's; borrowed until the loop goes on. NULL: none. */
const char *scheduler_running(const struct scheduler *scheduler);
/* The running job may be waiting for measurements that are open. */
bool scheduler_waits_for_measurements(const struct scheduler *scheduler);

/* Ends the running job (it goes back into the queue) and starts no other; stopped is called when
 * none runs any more. */
void scheduler_stop(struct scheduler *scheduler, void (*stopped)(struct daemon *daemon));
/* After that; memory is freed when the loop has closed its handles. Takes NULL. */
void scheduler_destroy(struct scheduler *scheduler);
