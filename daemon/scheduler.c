#include "daemon/scheduler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "daemon/disk.h"
#include "daemon/fleet.h"
#include "daemon/run.h"
#include "daemon/store_jobs.h"

enum {
    RETRY_MS = 1000, /* before the queue is looked at again after a crash or a held lock */
    TICK_MS = 2000
};

struct scheduler {
    struct daemon *daemon;
    struct run *run; /* the one that runs; NULL */
    uv_timer_t retry, tick;
    int n_handles;
    bool looking, look_again, want_quiet, held, stopping;
    bool starting; /* the look that is under way may start a job */
    bool waiting;  /* until retry: the last attempt ended in a way that may come again at once */
    void (*stopped)(struct daemon *daemon);
};

static void look(struct scheduler *scheduler);

/* ---- quiet ------------------------------------------------------------------------------------
 */

static bool paused(const struct scheduler *scheduler) {
    return scheduler->want_quiet || scheduler->held;
}

static void apply_pause(struct scheduler *scheduler, bool was_paused) {
    if (paused(scheduler) == was_paused)
        return;
    if (scheduler->run != NULL)
        run_set_paused(scheduler->run, !was_paused);
    if (was_paused)
        look(scheduler);
}

static bool stands_still(const struct scheduler *scheduler) {
    return !scheduler->looking && (scheduler->run == NULL || run_is_quiet(scheduler->run));
}

void scheduler_want_quiet(struct scheduler *scheduler, bool wanted) {
    bool was_paused = paused(scheduler);
    scheduler->want_quiet = wanted;
    apply_pause(scheduler, was_paused);
}

bool scheduler_is_quiet(const struct scheduler *scheduler) {
    return scheduler->want_quiet && stands_still(scheduler);
}

void scheduler_hold(struct scheduler *scheduler, bool held) {
    bool was_paused = paused(scheduler);
    scheduler->held = held;
    apply_pause(scheduler, was_paused);
}

bool scheduler_is_held(const struct scheduler *scheduler) {
    return scheduler->held && stands_still(scheduler);
}

bool scheduler_is_computing(const struct scheduler *scheduler) {
    return scheduler->run != NULL ? !run_is_quiet(scheduler->run) : scheduler->starting;
}

const char *scheduler_running(const struct scheduler *scheduler) {
    return scheduler->run != NULL ? run_job(scheduler->run) : NULL;
}

bool scheduler_waits_for_measurements(const struct scheduler *scheduler) {
    return scheduler->run != NULL && run_waits_for_measurements(scheduler->run);
}

/* ---- the queue --------------------------------------------------------------------------------
 */

static void on_retry(uv_timer_t *timer) {
    struct scheduler *scheduler = timer->data;
    scheduler->waiting = false;
    look(scheduler);
}

static void on_run_changed(void *context) {
    struct scheduler *scheduler = context;
    fleet_wake(scheduler->daemon->fleet);
}

/* Once, when nothing is under way any more. */
static void tell_stopped(struct scheduler *scheduler) {
    void (*stopped)(struct daemon * daemon) = scheduler->stopped;
    if (scheduler->run != NULL || scheduler->looking || stopped == NULL)
        return;
    scheduler->stopped = NULL;
    stopped(scheduler->daemon);
}

static void on_run_ended(void *context, bool wait) {
    struct scheduler *scheduler = context;
    scheduler->run = NULL;
    fleet_wake(scheduler->daemon->fleet);
    scheduler->waiting = wait;
    if (scheduler->stopping)
        tell_stopped(scheduler);
    else
        uv_timer_start(&scheduler->retry, on_retry, wait ? RETRY_MS : 0, 0);
}

struct look_call {
    struct store_call call;
    struct scheduler *scheduler;
    char running[ID_MAX]; /* "": none */
    bool start;           /* one may be started */
    bool canceling, held; /* the running one is to be canceled, was paused by a person */
    cJSON *found;
};

static int run_look(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct look_call *looked = (struct look_call *)call;
    struct job_row row;
    int r = 0;
    if (looked->running[0] != '\0') {
        r = store_job_load(store_tx_sql(tx), looked->running, err, &row);
        looked->canceling = r == 0 && row.status.state == JOB_CANCELING;
        looked->held = r == 0 && row.held;
    }
    return r == 0 && looked->start ? store_job_next(tx, err, &looked->found) : r;
}

static void begin_run(struct scheduler *scheduler, cJSON *start) {
    struct run_listener listener = {on_run_changed, on_run_ended, scheduler};
    struct err err = {0};
    if (run_create(scheduler->daemon, start, &listener, &err, &scheduler->run) != 0)
        log_error("a job was not started: %s", err.message); /* the next start recovers it */
    else
        run_set_paused(scheduler->run, paused(scheduler));
}

static void look_done(struct store_call *call, int code, const struct err *err) {
    struct look_call *looked = (struct look_call *)call;
    struct scheduler *scheduler = looked->scheduler;
    struct run *run = scheduler->run;
    scheduler->looking = scheduler->starting = false;
    if (code != 0)
        log_error("the queue of jobs cannot be read: %s", err->message);
    if (code == 0 && (looked->canceling || looked->held) && run != NULL &&
        strcmp(run_job(run), looked->running) == 0)
        run_end(run, looked->canceling ? RUN_CANCELED : RUN_HELD);
    if (code == 0 && looked->found != NULL)
        begin_run(scheduler, looked->found);
    free(looked);
    fleet_wake(scheduler->daemon->fleet);
    if (scheduler->stopping && scheduler->run != NULL)
        run_end(scheduler->run, RUN_STOPPED);
    else if (scheduler->stopping)
        tell_stopped(scheduler);
    else if (scheduler->look_again || code != 0)
        uv_timer_start(&scheduler->retry, on_retry, code != 0 ? RETRY_MS : 0, 0);
}

static void look(struct scheduler *scheduler) {
    struct run *run = scheduler->run;
    if (scheduler->stopping || scheduler->waiting)
        return;
    if (scheduler->looking) {
        scheduler->look_again = true;
        return;
    }
    struct look_call *looked = mem_array(1, sizeof(*looked));
    if (looked == NULL)
        return;
    looked->call = (struct store_call){.run = run_look, .done = look_done};
    looked->scheduler = scheduler;
    looked->start = run == NULL && !paused(scheduler) && !disk_is_low(scheduler->daemon->disk);
    if (run != NULL)
        snprintf(looked->running, sizeof(looked->running), "%s", run_job(run));
    scheduler->looking = true;
    scheduler->starting = looked->start;
    scheduler->look_again = false;
    store_write(scheduler->daemon->store, &looked->call);
}

void scheduler_wake(struct scheduler *scheduler, unsigned wake) {
    if ((wake & STORE_WAKE_SCHEDULER) != 0)
        look(scheduler);
    if ((wake & STORE_WAKE_REQUESTS) != 0 && scheduler->run != NULL)
        run_answer(scheduler->run);
}

const cJSON *scheduler_progress(const struct scheduler *scheduler, const char *job) {
    return scheduler->run != NULL && strcmp(run_job(scheduler->run), job) == 0
               ? run_progress(scheduler->run)
               : NULL;
}

static void on_tick(uv_timer_t *timer) {
    struct scheduler *scheduler = timer->data;
    if (scheduler->run != NULL)
        run_tick(scheduler->run);
}

int scheduler_create(struct daemon *daemon, struct err *err, struct scheduler **ret_scheduler) {
    struct scheduler *scheduler = mem_array(1, sizeof(*scheduler));
    if (scheduler == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    scheduler->daemon = daemon;
    uv_timer_init(&daemon->loop, &scheduler->retry);
    uv_timer_init(&daemon->loop, &scheduler->tick);
    scheduler->retry.data = scheduler->tick.data = scheduler;
    scheduler->n_handles = 2;
    uv_timer_start(&scheduler->tick, on_tick, TICK_MS, TICK_MS);
    *ret_scheduler = scheduler;
    return 0;
}

void scheduler_stop(struct scheduler *scheduler, void (*stopped)(struct daemon *daemon)) {
    scheduler->stopping = true;
    scheduler->stopped = stopped;
    if (scheduler->run != NULL)
        run_end(scheduler->run, RUN_STOPPED);
    else
        tell_stopped(scheduler);
}

static void on_closed(uv_handle_t *handle) {
    struct scheduler *scheduler = handle->data;
    if (--scheduler->n_handles == 0)
        free(scheduler);
}

void scheduler_destroy(struct scheduler *scheduler) {
    if (scheduler == NULL)
        return;
    uv_close((uv_handle_t *)&scheduler->retry, on_closed);
    uv_close((uv_handle_t *)&scheduler->tick, on_closed);
}
