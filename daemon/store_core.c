#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"
#include "migrations/migrations.h"

enum {
    BATCH_MAX = 256,
    READERS_MAX = 8,
    SLOW_MAX = 2, /* of libuv's four threads */
};

struct store_event {
    int64_t id;
    char *topic, *data;
    struct store_event *next;
};

struct store_tx {
    struct sql *sql;
    int64_t now_us;
    unsigned wake;
    struct store_event *events, **last_event;
};

struct queue {
    struct store_call *first, **last;
};

struct store {
    char *path;
    struct store_listener listener;
    struct sql *writer, *loop_reader;
    struct sql *readers[READERS_MAX]; /* idle connections for reads in the pool */
    int n_readers;
    int n_reads;              /* under way and waiting; loop's thread */
    int n_slow;               /* of them, slow ones that are under way */
    struct store_read *slow;  /* that wait */
    bool refusing, closed;    /* loop's thread */
    bool in_turn, turn_reads; /* loop's thread: of loop_reader */
    uv_thread_t thread;
    bool thread_started, stopping;
    uv_mutex_t mutex; /* of all below, stopping and readers */
    uv_cond_t wanted;
    uv_async_t committed_async;
    struct queue waiting, committed;
};

static void queue_init(struct queue *queue) {
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_put(struct queue *queue, struct store_call *call) {
    call->next = NULL;
    *queue->last = call;
    queue->last = &call->next;
}

static struct store_call *queue_take_all(struct queue *queue) {
    struct store_call *first = queue->first;
    queue_init(queue);
    return first;
}

struct sql *store_tx_sql(struct store_tx *tx) {
    return tx->sql;
}

int64_t store_tx_now_us(const struct store_tx *tx) {
    return tx->now_us;
}

void store_tx_wake(struct store_tx *tx, unsigned wake) {
    tx->wake |= wake;
}

static void event_destroy(struct store_event *event) {
    if (event == NULL)
        return;
    free(event->topic);
    free(event->data);
    free(event);
}

static void events_destroy(struct store_event *event) {
    while (event != NULL) {
        struct store_event *next = event->next;
        event_destroy(event);
        event = next;
    }
}

int store_tx_event(struct store_tx *tx, struct err *err, const char *topic, const cJSON *data) {
    struct store_event *event = mem_array(1, sizeof(*event));
    int r = ESP_ENOMEM;
    if (event == NULL)
        return err_set(err, r, NULL, "out of memory");
    event->topic = mem_strdup(topic);
    event->data = json_print(data);
    if (event->topic == NULL || event->data == NULL) {
        err_set(err, r, NULL, "out of memory");
        goto out;
    }
    r = sql_run(tx->sql, err, NULL, "INSERT INTO events (at_us, topic, data) VALUES (?1, ?2, ?3)",
                "itt", tx->now_us, topic, event->data);
    if (r != 0)
        goto out;
    event->id = sqlite3_last_insert_rowid(sql_handle(tx->sql));
    *tx->last_event = event;
    tx->last_event = &event->next;
    return 0;
out:
    event_destroy(event);
    return r;
}

int store_tx_removed(struct store_tx *tx, struct err *err, const char *topic, const char *id) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "id", id);
    cJSON_AddTrueToObject(doc, "removed");
    int r = store_tx_event(tx, err, topic, doc);
    cJSON_Delete(doc);
    return r;
}

int store_tx_transition(struct store_tx *tx, struct err *err, const char *machine,
                        const char *subject, const char *from, const char *to, const char *event) {
    return sql_run(tx->sql, err, NULL,
                   "INSERT INTO transitions (at_us, machine, subject, from_state, to_state, event)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                   "ittttt", tx->now_us, machine, subject, from, to, event);
}

/* One call in a savepoint; what it did is undone when it fails. */
static void run_call(struct store *store, struct store_call *call) {
    struct store_tx tx = {.sql = store->writer, .now_us = clock_wall_us()};
    tx.last_event = &tx.events;
    call->err = (struct err){0};
    call->code = sql_exec(store->writer, &call->err, "SAVEPOINT call");
    if (call->code != 0)
        return;
    call->code = call->run(&tx, call, &call->err);
    if (call->code == 0)
        call->code = sql_exec(store->writer, &call->err, "RELEASE call");
    if (call->code != 0) {
        if (sql_exec(store->writer, NULL, "ROLLBACK TO call; RELEASE call") != 0)
            sql_exec(store->writer, NULL, "ROLLBACK"); /* half of a call is never stored */
        events_destroy(tx.events);
        return;
    }
    call->events = tx.events;
    call->wake = tx.wake;
}

static void fail_all(struct store_call *first, int code, const struct err *err) {
    for (struct store_call *call = first; call != NULL; call = call->next) {
        if (call->code != 0)
            continue;
        call->code = code;
        call->err = *err;
        call->wake = 0;
        events_destroy(call->events);
        call->events = NULL;
    }
}

/* A full disk or a failing one may end the whole transaction, not only the savepoint. */
static bool transaction_gone(struct store *store) {
    return sqlite3_get_autocommit(sql_handle(store->writer)) != 0;
}

static void run_batch(struct store *store, struct store_call *first) {
    struct err err = {0};
    for (struct store_call *call = first; call != NULL; call = call->next) {
        call->events = NULL;
        call->wake = 0;
        call->code = 0;
    }
    int r = sql_exec(store->writer, &err, "BEGIN IMMEDIATE");
    for (struct store_call *call = first; call != NULL && r == 0; call = call->next) {
        run_call(store, call);
        if (transaction_gone(store)) {
            r = call->code != 0 ? call->code : ESP_EIO;
            err = call->err;
        }
    }
    if (r == 0)
        r = sql_exec(store->writer, &err, "COMMIT");
    if (r != 0) {
        sql_exec(store->writer, NULL, "ROLLBACK");
        fail_all(first, r, &err);
    }
}

/* At most BATCH_MAX of what waits; NULL when there is nothing more to do, ever. */
static struct store_call *wait_for_batch(struct store *store) {
    uv_mutex_lock(&store->mutex);
    while (store->waiting.first == NULL && !store->stopping)
        uv_cond_wait(&store->wanted, &store->mutex);
    struct store_call *first = queue_take_all(&store->waiting), *last = first;
    for (int n = 1; last != NULL && last->next != NULL && n < BATCH_MAX; n++)
        last = last->next;
    if (last != NULL && last->next != NULL) {
        store->waiting.first = last->next;
        for (store->waiting.last = &last->next; *store->waiting.last != NULL;)
            store->waiting.last = &(*store->waiting.last)->next;
        last->next = NULL;
    }
    uv_mutex_unlock(&store->mutex);
    return first;
}

/* While a transaction goes to disk, the next calls gather: that is the grouping. */
static void writer_main(void *context) {
    struct store *store = context;
    struct store_call *batch;
    while ((batch = wait_for_batch(store)) != NULL) {
        run_batch(store, batch);
        uv_mutex_lock(&store->mutex);
        *store->committed.last = batch;
        while (*store->committed.last != NULL)
            store->committed.last = &(*store->committed.last)->next;
        uv_mutex_unlock(&store->mutex);
        uv_async_send(&store->committed_async);
    }
}

static void publish(struct store *store, struct store_call *call) {
    for (struct store_event *event = call->events; event != NULL; event = event->next)
        if (store->listener.event != NULL)
            store->listener.event(store->listener.context, event->id, event->topic, event->data);
    events_destroy(call->events);
    call->events = NULL;
}

static void deliver(struct store *store) {
    unsigned wake = 0;
    uv_mutex_lock(&store->mutex);
    struct store_call *call = queue_take_all(&store->committed);
    uv_mutex_unlock(&store->mutex);
    while (call != NULL) {
        struct store_call *next = call->next;
        publish(store, call);
        wake |= call->wake;
        call->done(call, call->code, &call->err);
        call = next;
    }
    if (wake != 0 && store->listener.wake != NULL)
        store->listener.wake(store->listener.context, wake);
}

static void on_committed(uv_async_t *async) {
    deliver(async->data);
}

static int migrate(struct store *store, struct err *err) {
    int applied;
    sqlite3 *db = sql_handle(store->writer);
    int r = migrations_apply(db, store->path, migrations_list, migrations_count, err, &applied);
    return r != 0 ? r : migrations_check_schema(db, migrations_schema, err);
}

static void free_store(struct store *store) {
    for (int i = 0; i < store->n_readers; i++)
        sql_close(store->readers[i]);
    sql_close(store->loop_reader);
    sql_close(store->writer);
    uv_mutex_destroy(&store->mutex);
    uv_cond_destroy(&store->wanted);
    free(store->path);
    free(store);
}

int store_open(uv_loop_t *loop, const char *path, const struct store_listener *listener,
               struct err *err, struct store **ret_store) {
    struct store *store = mem_array(1, sizeof(*store));
    if (store == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* a lock and two sums at each allocation */
    uv_mutex_init(&store->mutex);
    uv_cond_init(&store->wanted);
    queue_init(&store->waiting);
    queue_init(&store->committed);
    store->listener = *listener;
    store->path = mem_strdup(path);
    int r = store->path == NULL ? err_set(err, ESP_ENOMEM, NULL, "out of memory") : 0;
    if (r == 0)
        r = sql_open(path, true, err, &store->writer);
    if (r == 0)
        r = migrate(store, err);
    if (r == 0)
        r = sql_open(path, false, err, &store->loop_reader);
    if (r == 0 && uv_thread_create(&store->thread, writer_main, store) != 0)
        r = err_set(err, ESP_ENOMEM, NULL, "cannot start the database's thread");
    if (r != 0) {
        free_store(store);
        return r;
    }
    uv_async_init(loop, &store->committed_async, on_committed);
    store->committed_async.data = store;
    *ret_store = store;
    return 0;
}

/* Those that are asked for when the thread has ended. */
static void refuse_all(struct store_call *call) {
    while (call != NULL) {
        struct store_call *next = call->next;
        call->code = err_set(&call->err, ESP_EBUSY, NULL, "the daemon is stopping");
        call->done(call, call->code, &call->err);
        call = next;
    }
}

/* Reads that are under way still use it. */
static void on_closed(uv_handle_t *handle) {
    struct store *store = handle->data;
    store->closed = true;
    if (store->n_reads == 0)
        free_store(store);
}

static struct store_read *take_slow(struct store *store) {
    struct store_read *read = store->slow;
    store->slow = read->next;
    return read;
}

static void refuse_slow(struct store *store) {
    while (store->slow != NULL) {
        struct store_read *read = take_slow(store);
        store->n_reads--;
        read->code = err_set(&read->err, ESP_EBUSY, NULL, "the daemon is stopping");
        read->done(read, read->code, &read->err);
    }
}

void store_close(struct store *store) {
    if (store == NULL)
        return;
    uv_mutex_lock(&store->mutex);
    store->stopping = true;
    uv_cond_signal(&store->wanted);
    uv_mutex_unlock(&store->mutex);
    uv_thread_join(&store->thread);
    store->refusing = true;
    refuse_slow(store);
    deliver(store);
    uv_close((uv_handle_t *)&store->committed_async, on_closed);
}

void store_write(struct store *store, struct store_call *call) {
    if (store->refusing) {
        call->next = NULL;
        refuse_all(call);
        return;
    }
    uv_mutex_lock(&store->mutex);
    queue_put(&store->waiting, call);
    uv_cond_signal(&store->wanted);
    uv_mutex_unlock(&store->mutex);
}

static struct sql *take_reader(struct store *store, struct err *err) {
    struct sql *sql = NULL;
    uv_mutex_lock(&store->mutex);
    if (store->n_readers > 0)
        sql = store->readers[--store->n_readers];
    uv_mutex_unlock(&store->mutex);
    if (sql == NULL)
        sql_open(store->path, false, err, &sql);
    return sql;
}

static void give_reader(struct store *store, struct sql *sql) {
    uv_mutex_lock(&store->mutex);
    if (store->n_readers < READERS_MAX) {
        store->readers[store->n_readers++] = sql;
        sql = NULL;
    }
    uv_mutex_unlock(&store->mutex);
    sql_close(sql);
}

/* A snapshot that stayed open would be what the next reads see, too. A backup ends its own. */
static void end_snapshot(struct sql *sql) {
    if (sqlite3_get_autocommit(sql_handle(sql)) == 0 &&
        sql_run(sql, NULL, NULL, "COMMIT", NULL) != 0)
        sql_exec(sql, NULL, "ROLLBACK");
}

/* All statements of one read see the same state. */
static void run_read(uv_work_t *work) {
    struct store_read *read = work->data;
    struct sql *sql = take_reader(read->store, &read->err);
    if (sql == NULL) {
        read->code = read->err.code;
        return;
    }
    read->code = sql_run(sql, &read->err, NULL, "BEGIN", NULL);
    if (read->code == 0) {
        read->code = read->run(sql, read, &read->err);
        end_snapshot(sql);
    }
    give_reader(read->store, sql);
}

static void begin_waiting(struct store *store);

static void read_done(uv_work_t *work, int status) {
    struct store_read *read = work->data;
    struct store *store = read->store;
    if (read->slow != STORE_QUICK) {
        store->n_slow--;
        begin_waiting(store);
    }
    if (status != 0)
        read->code = err_set(&read->err, ESP_ECANCELED, NULL, "canceled");
    read->done(read, read->code, &read->err);
    if (--store->n_reads == 0 && store->closed)
        free_store(store);
}

static void begin_read(struct store *store, struct store_read *read) {
    uv_queue_work(store->committed_async.loop, &read->work, run_read, read_done);
}

static void begin_waiting(struct store *store) {
    while (store->slow != NULL && store->n_slow < SLOW_MAX) {
        store->n_slow++;
        begin_read(store, take_slow(store));
    }
}

/* Behind those of its kind. */
static void put_slow(struct store *store, struct store_read *read) {
    struct store_read **at = &store->slow;
    while (*at != NULL && (*at)->slow >= read->slow)
        at = &(*at)->next;
    read->next = *at;
    *at = read;
}

void store_read(struct store *store, struct store_read *read) {
    read->store = store;
    read->work.data = read;
    read->err = (struct err){0};
    store->n_reads++;
    if (read->slow == STORE_QUICK) {
        begin_read(store, read);
    } else {
        put_slow(store, read);
        begin_waiting(store);
    }
}

void store_turn(struct store *store, bool begins) {
    if (!begins && store->turn_reads)
        end_snapshot(store->loop_reader);
    store->turn_reads = false;
    store->in_turn = begins;
}

struct sql *store_loop_sql(struct store *store) {
    if (store->in_turn && !store->turn_reads)
        store->turn_reads = sql_run(store->loop_reader, NULL, NULL, "BEGIN", NULL) == 0;
    return store->loop_reader;
}

void store_read_now(struct store *store, struct store_read *read) {
    bool own = !store->in_turn;
    if (own)
        store_turn(store, true);
    read->err = (struct err){0};
    read->code = read->run(store_loop_sql(store), read, &read->err);
    if (own)
        store_turn(store, false);
    read->done(read, read->code, &read->err);
}

const char *store_path(const struct store *store) {
    return store->path;
}

int store_event_floor(struct store *store, int limit, struct err *err, int64_t *ret_floor) {
    *ret_floor = 0;
    return sql_get_int(store->loop_reader, err, ret_floor, NULL,
                       "SELECT coalesce((SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?1)"
                       ", (SELECT min(id) - 1 FROM events), (SELECT seq FROM sqlite_sequence "
                       "WHERE name = 'events'), 0)",
                       "i", (int64_t)limit);
}

int store_recent_events(struct store *store, int64_t floor, struct err *err,
                        void (*each)(void *context, int64_t id, const char *topic,
                                     const char *data),
                        void *context) {
    struct sql_rows rows;
    for (sql_query(store->loop_reader, &rows,
                   "SELECT id, topic, data FROM events WHERE id > ?1 ORDER BY id", "i", floor);
         sql_next(&rows);)
        each(context, sql_int(&rows, 0), sql_text(&rows, 1), sql_text(&rows, 2));
    return sql_end(&rows, err);
}
