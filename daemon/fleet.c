#include "daemon/fleet.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/awaited.h"
#include "daemon/daemon.h"
#include "daemon/housekeeping.h"
#include "daemon/ids.h"
#include "daemon/scheduler.h"
#include "daemon/store.h"
#include "daemon/store_devices.h"
#include "daemon/store_identity.h"
#include "daemon/store_leases.h"
#include "daemon/store_tables.h"
#include "daemon/turns.h"
#include "devices/lease.h"
#include "web/sse.h"
#include "web/web.h"

enum {
    TICK_MS = 1000,
    WAKE_MS = 3,      /* wakes that come together are one */
    LOOK_SHARE = 10,  /* of the loop's time that may go into looking who can be given work */
    TELL_WAIT_S = 5,  /* a board that waits so long for a job to pause is told of, */
    WARN_WAIT_S = 60, /* and then logged */
    POLLS_MAX = 16,   /* boards of this machine of which that is known: the latest */
    LOCAL_WAIT_S = 20 /* a board of this machine waits so long for quiet, whatever it asked for */
};

/* A worker's request for a lease. */
struct waiter {
    struct fleet *fleet;
    struct web_request *req;
    char device[ID_MAX];
    char host[128]; /* the machine, of which one board measures at a time; "": not known */
    int64_t epoch, max_items, begun_us, deadline_us;
    int64_t noted_us; /* wall clock: when the store heard of it */
    bool local;
    bool asking; /* a grant is under way: its end answers or leaves it waiting */
    bool heard;  /* its first grant has noted that the board is there */
    struct waiter *prev, *next;
};

/* When a board of this machine asked last. */
struct poll {
    char device[ID_MAX];
    int64_t us; /* monotonic; 0: never */
};

struct fleet {
    struct daemon *daemon;
    uv_timer_t tick, wake;
    int n_handles, n_calls; /* all that must end before the fleet is freed */
    struct waiter *waiters;
    int64_t look_us; /* how long the latest look at them took */
    struct housekeeping house;
    struct awaited awaited;
    bool tables_moved; /* measurements may have ended since progress was told */
    bool stopping;
    /* The turns on this machine. */
    int n_granting; /* grants to boards of this machine under way */
    struct turns turns;
    struct poll polls[POLLS_MAX];
    char holder[ID_MAX]; /* the board that measures, else one that waits; "" */
    bool told, warned;   /* that it waits for a job, in this turn */
};

static int64_t now_us(void) {
    return clock_mono_ns() / 1000;
}

static struct sql *loop_sql(const struct fleet *fleet) {
    return store_loop_sql(fleet->daemon->store);
}

static void free_if_done(struct fleet *fleet) {
    if (!fleet->stopping || fleet->n_calls > 0 || fleet->n_handles > 0 || fleet->house.keeping ||
        fleet->awaited.looking)
        return;
    awaited_finish(&fleet->awaited);
    free(fleet);
}

static void waiter_destroy(struct waiter *waiter) {
    struct fleet *fleet = waiter->fleet;
    if (waiter->prev != NULL)
        waiter->prev->next = waiter->next;
    else
        fleet->waiters = waiter->next;
    if (waiter->next != NULL)
        waiter->next->prev = waiter->prev;
    free(waiter);
}

static void give_nothing(struct waiter *waiter) {
    web_reply_empty(waiter->req, 204);
    waiter_destroy(waiter);
}

/* ---- grants ---------------------------------------------------------------------------------- */

struct grant {
    struct store_call call;
    struct waiter *waiter; /* stays while the grant is under way */
    bool may;              /* else it only notes the sign of life */
    cJSON *lease;
};

static int run_grant(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct grant *grant = (struct grant *)call;
    struct waiter *waiter = grant->waiter; /* the loop leaves noted_us alone meanwhile */
    waiter->noted_us = store_tx_now_us(tx);
    int r = store_device_touch(tx, waiter->device, waiter->epoch, err);
    if (r == 0)
        r = store_identity_due(store_tx_sql(tx), waiter->device, err);
    if (r == 0 && grant->may)
        r = store_lease_grant(tx, waiter->device, waiter->max_items, err, &grant->lease);
    return r;
}

static void take_turns(struct fleet *fleet);

/* A lease whose board has gone before it was told of it. */
struct unheard {
    struct store_call call;
    struct fleet *fleet;
    char device[ID_MAX], lease[ID_MAX];
};

static int run_unheard(struct store_tx *tx, struct store_call *call, struct err *err) {
    const struct unheard *unheard = (struct unheard *)call;
    int r = store_lease_release(tx, unheard->device, unheard->lease, err);
    return r == ESP_EGONE ? 0 : r; /* the board's goodbye came between */
}

static void unheard_done(struct store_call *call, int code, const struct err *err) {
    struct fleet *fleet = ((struct unheard *)call)->fleet;
    if (code != 0)
        log_error("a lease that nobody heard of cannot be taken back: %s", err->message);
    fleet->n_calls--;
    free(call);
    free_if_done(fleet);
}

/* Else it would keep its work, and the other boards of its machine, waiting until it expires. */
static void take_back(const struct waiter *waiter, const cJSON *lease) {
    struct fleet *fleet = waiter->fleet;
    struct unheard *unheard = mem_array(1, sizeof(*unheard));
    if (unheard == NULL)
        return;
    unheard->call = (struct store_call){.run = run_unheard, .done = unheard_done};
    unheard->fleet = fleet;
    memcpy(unheard->device, waiter->device, sizeof(unheard->device));
    snprintf(unheard->lease, sizeof(unheard->lease), "%s",
             cJSON_GetStringValue(cJSON_GetObjectItem(lease, "lease_id")));
    fleet->n_calls++;
    store_write(fleet->daemon->store, &unheard->call);
}

static void grant_done(struct store_call *call, int code, const struct err *err) {
    struct grant *grant = (struct grant *)call;
    struct waiter *waiter = grant->waiter;
    struct fleet *fleet = waiter->fleet;
    fleet->n_calls--;
    fleet->n_granting -= grant->may && waiter->local;
    waiter->asking = false;
    waiter->heard = true;
    bool over = fleet->stopping || (!waiter->local && now_us() >= waiter->deadline_us);
    if (grant->lease != NULL && !fleet->stopping && web_peer_gone(waiter->req))
        take_back(waiter, grant->lease);
    if (code != 0)
        web_reply_error(waiter->req, err, NULL);
    else if (grant->lease != NULL)
        web_reply_json(waiter->req, 200, grant->lease);
    else if (over)
        web_reply_empty(waiter->req, 204);
    if (code != 0 || grant->lease != NULL || over)
        waiter_destroy(waiter);
    free(grant);
    if (!fleet->stopping)
        fleet_wake(fleet);
    free_if_done(fleet);
}

static void start_grant(struct waiter *waiter, bool may) {
    struct fleet *fleet = waiter->fleet;
    struct grant *grant = mem_array(1, sizeof(*grant));
    if (grant == NULL)
        return; /* the next tick tries again */
    grant->call = (struct store_call){.run = run_grant, .done = grant_done};
    grant->waiter = waiter;
    grant->may = may;
    waiter->asking = true;
    fleet->n_granting += may && waiter->local;
    fleet->n_calls++;
    store_write(fleet->daemon->store, &grant->call);
}

static bool work_waits_for(const struct fleet *fleet, const char *device) {
    struct err err = {0};
    bool waits = false;
    if (store_work_waits(loop_sql(fleet), device, &err, &waits) != 0)
        log_error("the queue of a board cannot be read: %s", err.message);
    return waits;
}

static bool work_waits(const struct waiter *waiter) {
    return work_waits_for(waiter->fleet, waiter->device);
}

/* Whether a board of this machine would measure undisturbed. */
static bool is_quiet(const struct fleet *fleet) {
    return fleet->turns.wanted_since_us != 0 && scheduler_is_quiet(fleet->daemon->scheduler);
}

static bool is_recalled(const struct waiter *waiter) {
    struct err err = {0};
    bool recalled = false;
    if (store_identity_recalled(loop_sql(waiter->fleet), waiter->device, waiter->epoch, &err,
                                &recalled) != 0)
        log_error("a board cannot be read: %s", err.message);
    return recalled;
}

/* Writes only when there is something to grant; a board's first word is always noted. One that is
 * recalled is refused, quiet or not. */
static void try_grant(struct waiter *waiter) {
    bool may = !waiter->local || is_quiet(waiter->fleet);
    if (waiter->asking)
        return;
    if (!waiter->heard || (may && work_waits(waiter) && !web_peer_gone(waiter->req)))
        start_grant(waiter, may);
    else if (is_recalled(waiter))
        start_grant(waiter, false);
}

static struct waiter *oldest_waiter(const struct fleet *fleet) {
    struct waiter *waiter = fleet->waiters;
    while (waiter != NULL && waiter->next != NULL)
        waiter = waiter->next;
    return waiter;
}

/* Who waits longest first: of one machine's boards only one is granted something. */
static void try_all(struct fleet *fleet) {
    for (struct waiter *waiter = oldest_waiter(fleet); waiter != NULL; waiter = waiter->prev)
        try_grant(waiter);
}

/* A board that comes back from its lease lets those of its machine go first that waited
 * meanwhile. */
static void try_neighbours(const struct waiter *latest) {
    if (latest->host[0] == '\0')
        return;
    for (struct waiter *waiter = oldest_waiter(latest->fleet); waiter != latest;
         waiter = waiter->prev)
        if (strcmp(waiter->host, latest->host) == 0)
            try_grant(waiter);
}

static int read_request(struct web_request *req, struct err *err, struct waiter *waiter) {
    cJSON *body = NULL;
    int64_t wait_s = 0;
    bool simulated = false;
    waiter->max_items = 1;
    int r = web_json(req, err, &body);
    if (r == 0)
        r = json_int(body, "", "epoch", 0, INT64_C(1) << 53, err, &waiter->epoch);
    if (r == 0)
        r = json_int_opt(body, "", "wait_s", 0, FLEET_WAIT_MAX_S, err, &wait_s);
    if (r == 0)
        r = json_int_opt(body, "", "max_items", 1, LEASE_ITEMS_MAX, err, &waiter->max_items);
    if (r == 0)
        r = json_bool_opt(body, "", "simulated", err, &simulated);
    waiter->local = web_local(req) && !simulated;
    waiter->begun_us = now_us();
    waiter->deadline_us = waiter->begun_us + wait_s * 1000000;
    cJSON_Delete(body);
    return r;
}

/* A board asks anew: what it asked before it has given up, so nobody would hear that answer. (One
 * whose grant is under way gets it; the new request then takes the lease back.) */
static void answer_older(const struct waiter *latest) {
    for (struct waiter *waiter = latest->fleet->waiters, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (waiter != latest && !waiter->asking && strcmp(waiter->device, latest->device) == 0)
            give_nothing(waiter);
    }
}

/* In place of what it asked before, else of the oldest. */
static void note_poll(struct fleet *fleet, const char *device) {
    struct poll *at = fleet->polls;
    for (struct poll *poll = fleet->polls; poll < fleet->polls + POLLS_MAX; poll++) {
        if (strcmp(poll->device, device) == 0) {
            at = poll;
            break;
        }
        if (poll->us < at->us)
            at = poll;
    }
    snprintf(at->device, sizeof(at->device), "%s", device);
    at->us = now_us();
}

void fleet_lease(struct web_request *req) {
    struct fleet *fleet = ((struct daemon *)web_user(req))->fleet;
    struct err err = {0};
    struct waiter *waiter = mem_array(1, sizeof(*waiter));
    int r = waiter == NULL ? err_set(&err, ESP_ENOMEM, NULL, "out of memory")
                           : read_request(req, &err, waiter);
    if (r == 0 && fleet->stopping)
        r = err_set(&err, ESP_EBUSY, NULL, "the daemon is stopping");
    if (r != 0) {
        free(waiter);
        web_reply_error(req, &err, NULL);
        return;
    }
    waiter->fleet = fleet;
    waiter->req = req;
    snprintf(waiter->device, sizeof(waiter->device), "%s", web_identity(req));
    if (store_device_host(loop_sql(fleet), waiter->device, &err, waiter->host) != 0)
        log_error("a board cannot be read: %s", err.message);
    waiter->next = fleet->waiters;
    if (waiter->next != NULL)
        waiter->next->prev = waiter;
    fleet->waiters = waiter;
    if (waiter->local)
        note_poll(fleet, waiter->device);
    answer_older(waiter);
    take_turns(fleet);
    try_neighbours(waiter);
    try_grant(waiter);
}

/* ---- turns on this machine ------------------------------------------------------------------- */

/* Whether it is one of the waiters, of which each was looked at. */
static bool is_waiting(const struct fleet *fleet, const char *device) {
    for (const struct waiter *waiter = fleet->waiters; waiter != NULL; waiter = waiter->next)
        if (waiter->local && strcmp(waiter->device, device) == 0)
            return true;
    return false;
}

/* Whether a board of this machine that work waits for asks for it, or did a moment ago: it comes
 * back. */
static bool local_board_there(const struct fleet *fleet) {
    int64_t since_us = now_us() - TURN_RETURN_S * INT64_C(1000000);
    for (const struct waiter *waiter = fleet->waiters; waiter != NULL; waiter = waiter->next)
        if (waiter->local && work_waits(waiter))
            return true;
    for (const struct poll *poll = fleet->polls; poll < fleet->polls + POLLS_MAX; poll++)
        if (poll->us > since_us && !is_waiting(fleet, poll->device) &&
            work_waits_for(fleet, poll->device))
            return true;
    return false;
}

static void take_turns(struct fleet *fleet) {
    struct err err = {0};
    struct local_work work = {0};
    if (fleet->n_granting > 0)
        return; /* what it grants is not in the store yet; its end wakes the fleet */
    if (store_local_work(loop_sql(fleet), &err, &work) != 0) {
        log_error("the work of this machine's boards cannot be read: %s", err.message);
        return;
    }
    struct scheduler *scheduler = fleet->daemon->scheduler;
    struct turns_view view = {.leased = work.leased,
                              .work = work.waits,
                              .there = work.waits && local_board_there(fleet),
                              .computing = scheduler_is_computing(scheduler),
                              .job_needs_them = scheduler_waits_for_measurements(scheduler)};
    memcpy(fleet->holder, work.device, sizeof(fleet->holder));
    bool boards = turns_look(&fleet->turns, &view, now_us());
    scheduler_want_quiet(scheduler, boards);
}

/* ---- who waits for whom -----------------------------------------------------------------------
 */

static int64_t waited_us(const struct fleet *fleet) {
    const struct turns *turns = &fleet->turns;
    int64_t since = turns->wanted_since_us != 0 ? turns->wanted_since_us : turns->jobs_since_us;
    return since == 0 ? 0 : now_us() - since;
}

/* The job that keeps the waiter from measuring; NULL: none. */
static const char *job_before(const struct waiter *waiter) {
    const struct scheduler *scheduler = waiter->fleet->daemon->scheduler;
    if (!waiter->local || waiter->asking || !scheduler_is_computing(scheduler) ||
        !work_waits(waiter))
        return NULL;
    return scheduler_running(scheduler);
}

/* Another board's worker on the same machine measures. */
static cJSON *neighbour_before(const struct fleet *fleet, const char *device) {
    struct err err = {0};
    char holder[ID_MAX] = "";
    if (store_host_holder(loop_sql(fleet), device, &err, holder) != 0)
        log_error("the boards of a machine cannot be read: %s", err.message);
    if (holder[0] == '\0')
        return cJSON_CreateNull();
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "device", holder);
    return doc;
}

cJSON *fleet_waits_for(const struct fleet *fleet, const char *device) {
    const char *job = NULL;
    if (fleet == NULL)
        return cJSON_CreateNull();
    for (const struct waiter *waiter = fleet->waiters; waiter != NULL; waiter = waiter->next)
        if (strcmp(waiter->device, device) == 0 && job == NULL)
            job = job_before(waiter);
    if (job == NULL)
        return neighbour_before(fleet, device);
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "job", job);
    cJSON_AddBoolToObject(doc, "asked", fleet->turns.wanted_since_us != 0);
    cJSON_AddNumberToObject(doc, "seconds", (double)(waited_us(fleet) / 100000) / 10);
    return doc;
}

cJSON *fleet_job_waits_for(const struct fleet *fleet, const char *job) {
    const char *running = fleet == NULL ? NULL : scheduler_running(fleet->daemon->scheduler);
    if (running == NULL || strcmp(running, job) != 0)
        return cJSON_CreateNull();
    const cJSON *board = awaited_board(&fleet->awaited, job);
    if (fleet->holder[0] == '\0' || !is_quiet(fleet))
        return board != NULL ? cJSON_Duplicate(board, true) : cJSON_CreateNull();
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "device", fleet->holder);
    return doc;
}

static void publish_waiting(struct fleet *fleet, const struct waiter *waiter) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "id", waiter->device);
    cJSON_AddItemToObject(doc, "waits_for", fleet_waits_for(fleet, waiter->device));
    char *text = json_print(doc);
    if (text != NULL && fleet->daemon->events != NULL)
        sse_publish(fleet->daemon->events, 0, "device", text);
    free(text);
    cJSON_Delete(doc);
}

/* Tells once in a turn that a board waits for a job that was asked to pause, and once in the log
 * when that takes unusually long. */
static void tell_waiting(struct fleet *fleet) {
    bool asked = fleet->turns.wanted_since_us != 0 && !is_quiet(fleet);
    if (!asked)
        fleet->told = fleet->warned = false;
    for (struct waiter *waiter = fleet->waiters; asked && waiter != NULL; waiter = waiter->next) {
        const char *job = job_before(waiter);
        if (job == NULL || waited_us(fleet) < TELL_WAIT_S * INT64_C(1000000))
            continue;
        if (!fleet->told)
            publish_waiting(fleet, waiter);
        fleet->told = true;
        if (fleet->warned || waited_us(fleet) < WARN_WAIT_S * INT64_C(1000000))
            continue;
        log_warn("board %s still waits for job %s to come to a step where it can pause",
                 waiter->device, job);
        fleet->warned = true;
    }
}

/* ---- time ------------------------------------------------------------------------------------ */

struct farewell {
    struct store_call call;
    struct fleet *fleet;
    char device[ID_MAX];
    int64_t epoch, noted_us;
};

static int run_farewell(struct store_tx *tx, struct store_call *call, struct err *err) {
    const struct farewell *farewell = (struct farewell *)call;
    return store_device_gone(tx, farewell->device, farewell->epoch, farewell->noted_us, err);
}

static void farewell_done(struct store_call *call, int code, const struct err *err) {
    struct fleet *fleet = ((struct farewell *)call)->fleet;
    fleet->n_calls--;
    free(call);
    free_if_done(fleet);
}

static bool waits_elsewhere(const struct waiter *waiter) {
    for (const struct waiter *other = waiter->fleet->waiters; other != NULL; other = other->next)
        if (other != waiter && strcmp(other->device, waiter->device) == 0)
            return true;
    return false;
}

/* Its connection broke while it waited: its process has gone. */
static void note_gone(const struct waiter *waiter) {
    struct farewell *farewell = waits_elsewhere(waiter) ? NULL : mem_array(1, sizeof(*farewell));
    if (farewell == NULL)
        return;
    farewell->call = (struct store_call){.run = run_farewell, .done = farewell_done};
    farewell->fleet = waiter->fleet;
    farewell->epoch = waiter->epoch;
    farewell->noted_us = waiter->noted_us;
    memcpy(farewell->device, waiter->device, sizeof(farewell->device));
    waiter->fleet->n_calls++;
    store_write(waiter->fleet->daemon->store, &farewell->call);
}

static bool waited_enough(const struct waiter *waiter) {
    int64_t now = now_us();
    if (now < waiter->deadline_us)
        return false;
    /* A board that asks without waiting would never get a turn. */
    return !waiter->local || now - waiter->begun_us >= LOCAL_WAIT_S * INT64_C(1000000) ||
           (waiter->heard && !work_waits(waiter));
}

static void check_waiters(struct fleet *fleet) {
    for (struct waiter *waiter = fleet->waiters, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (waiter->asking)
            continue;
        bool gone = web_peer_gone(waiter->req);
        if (gone)
            note_gone(waiter);
        if (gone || waited_enough(waiter))
            give_nothing(waiter);
    }
}

static void tell_progress(struct fleet *fleet) {
    struct err err = {0};
    cJSON *rows = NULL;
    const cJSON *row;
    if (!fleet->tables_moved || fleet->daemon->events == NULL)
        return;
    fleet->tables_moved = false;
    if (store_table_progress(loop_sql(fleet), &err, &rows) != 0)
        log_error("the progress of tables cannot be read: %s", err.message);
    cJSON_ArrayForEach(row, rows) {
        char *text = json_print(row);
        if (text != NULL)
            sse_publish(fleet->daemon->events, 0, "progress", text);
        free(text);
    }
    cJSON_Delete(rows);
}

static void look(struct fleet *fleet) {
    int64_t begun_us = now_us();
    take_turns(fleet);
    try_all(fleet);
    check_waiters(fleet);
    fleet->look_us = now_us() - begun_us;
}

static void on_tick(uv_timer_t *timer) {
    struct fleet *fleet = timer->data;
    look(fleet);
    housekeeping_tick(&fleet->house);
    tell_progress(fleet);
    tell_waiting(fleet);
    awaited_tick(&fleet->awaited);
}

static void on_wake(uv_timer_t *timer) {
    look(timer->data);
}

/* A thousand boards that wait are looked at less often than a few: who asks anew is answered at
 * once all the same. */
static uint64_t wake_ms(const struct fleet *fleet) {
    int64_t ms = fleet->look_us * (LOOK_SHARE - 1) / 1000;
    return ms < WAKE_MS ? WAKE_MS : ms < TICK_MS ? (uint64_t)ms : TICK_MS;
}

void fleet_wake(struct fleet *fleet) {
    if (fleet == NULL || fleet->stopping)
        return;
    fleet->tables_moved = true;
    if (!uv_is_active((uv_handle_t *)&fleet->wake))
        uv_timer_start(&fleet->wake, on_wake, wake_ms(fleet), 0);
}

/* ---- start and end --------------------------------------------------------------------------- */

/* The end of what was under way may be the last that the fleet waits for. */
static void part_ended(void *context) {
    free_if_done(context);
}

int fleet_create(struct daemon *daemon, struct err *err, struct fleet **ret_fleet) {
    struct fleet *fleet = mem_array(1, sizeof(*fleet));
    if (fleet == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    fleet->daemon = daemon;
    int r = housekeeping_begin(&fleet->house, daemon, part_ended, fleet, err);
    if (r != 0) {
        free(fleet);
        return r;
    }
    fleet->awaited = (struct awaited){.daemon = daemon, .looked = part_ended, .context = fleet};
    uv_timer_init(&daemon->loop, &fleet->tick);
    uv_timer_init(&daemon->loop, &fleet->wake);
    fleet->tick.data = fleet->wake.data = fleet;
    fleet->n_handles = 2;
    uv_timer_start(&fleet->tick, on_tick, TICK_MS, TICK_MS);
    *ret_fleet = fleet;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    struct fleet *fleet = handle->data;
    fleet->n_handles--;
    free_if_done(fleet);
}

void fleet_destroy(struct fleet *fleet) {
    if (fleet == NULL)
        return;
    fleet->stopping = true;
    for (struct waiter *waiter = fleet->waiters, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        if (!waiter->asking) /* else the end of its grant answers it */
            give_nothing(waiter);
    }
    uv_close((uv_handle_t *)&fleet->tick, on_closed);
    uv_close((uv_handle_t *)&fleet->wake, on_closed);
}
