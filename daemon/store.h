/* The store: one SQLite database in WAL mode. One thread of its own writes: it takes what waits,
 * runs each call in a savepoint of one transaction, and answers on the loop when the transaction is
 * on disk. Reads run in the loop's thread pool on connections of their own. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

struct sql;
struct store;

/* What may have to look at the store again after a write; bits of store_tx_wake. */
enum store_wake {
    STORE_WAKE_SCHEDULER = 1, /* jobs were queued, canceled or ended */
    STORE_WAKE_FLEET = 2,     /* measurements were queued, ended or their boards changed */
    STORE_WAKE_REQUESTS = 4,  /* measurements that jobs asked for have ended */
    STORE_WAKE_WEBHOOKS = 8   /* deliveries were queued */
};

/* One write, on the writer's thread. */
struct store_tx;
struct sql *store_tx_sql(struct store_tx *tx);
int64_t store_tx_now_us(const struct store_tx *tx); /* wall clock, the same for a whole call */
void store_tx_wake(struct store_tx *tx, unsigned wake);
/* Adds an event to the log; it is published when the transaction is on disk. */
int store_tx_event(struct store_tx *tx, struct err *err, const char *topic, const cJSON *data);
/* The event of what is no longer there. */
int store_tx_removed(struct store_tx *tx, struct err *err, const char *topic, const char *id);
/* Records a step of a state machine. */
int store_tx_transition(struct store_tx *tx, struct err *err, const char *machine,
                        const char *subject, const char *from, const char *to, const char *event);

/* A call, kept by its caller until done was called. run: writer's thread; any result but 0 undoes
 * what it did. done: loop's thread, after the commit; code is run's or the commit's. */
struct store_call {
    int (*run)(struct store_tx *tx, struct store_call *call, struct err *err);
    void (*done)(struct store_call *call, int code, const struct err *err);
    struct err err;
    int code;
    struct store_call *next;
    struct store_event *events;
    unsigned wake;
};

struct store_listener {
    void (*event)(void *context, int64_t id, const char *topic, const char *data);
    void (*wake)(void *context, unsigned wake);
    void *context;
};

/* Opens or creates the database, migrates it (with a backup beside it) and checks its schema.
 * Errors: those of migrations_apply, and ESP_EIO, ESP_ENOMEM. */
int store_open(uv_loop_t *loop, const char *path, const struct store_listener *listener,
               struct err *err, struct store **ret_store);
/* Runs what waits, commits, answers, ends the thread. The loop must run on for the closing callback
 * that frees it. Takes NULL. */
void store_close(struct store *store);
void store_write(struct store *store, struct store_call *call);

/* Reads that may take seconds: two of them run at a time, the others wait without a thread, so that
 * quick ones always find one. */
enum store_slowness { STORE_QUICK, STORE_SLOW, STORE_SLOW_FIRST /* of those that wait */ };

/* A read in the thread pool, on a snapshot. done: loop's thread. */
struct store_read {
    int (*run)(struct sql *sql, struct store_read *read, struct err *err);
    void (*done)(struct store_read *read, int code, const struct err *err);
    enum store_slowness slow;
    struct err err;
    int code;
    uv_work_t work;
    struct store *store;
    struct store_read *next;
};
void store_read(struct store *store, struct store_read *read);
/* The same at once on the loop's thread, done included: for what finds a few rows by their key. */
void store_read_now(struct store *store, struct store_read *read);
/* Around reads on the loop that may be of one state, from the first of them on, which spares them
 * most of what begins and ends a read. It has all that was committed when the turn began. */
void store_turn(struct store *store, bool begins);
/* For reads by key on the loop's thread. */
struct sql *store_loop_sql(struct store *store);
const char *store_path(const struct store *store);

/* For the start, on the loop's thread: the id before the newest limit events, and the events behind
 * an id, oldest first. */
int store_event_floor(struct store *store, int limit, struct err *err, int64_t *ret_floor);
int store_recent_events(struct store *store, int64_t floor, struct err *err,
                        void (*each)(void *context, int64_t id, const char *topic,
                                     const char *data),
                        void *context);
