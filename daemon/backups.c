#include "daemon/backups.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/scheduler.h"
#include "daemon/store.h"

enum {
    LOOK_MS = 50,
    /* A job that takes longer to stand still is copied as it runs: that is what kill -9 would
     * leave of it. */
    PATIENCE_MS = 60000
};

enum phase { PHASE_IDLE, PHASE_WAITING, PHASE_COPYING };

struct backups {
    struct daemon *daemon;
    uv_async_t wanted;
    uv_timer_t look;
    struct store_read read;
    struct backup_making making;
    int waited_ms;         /* loop's thread, as all above */
    pthread_mutex_t mutex; /* of all below */
    enum phase phase;
    char id[ID_MAX]; /* the latest that was begun */
    struct err failure;
    bool closing;
};

static void set_phase(struct backups *backups, enum phase phase, const struct err *failure) {
    pthread_mutex_lock(&backups->mutex);
    backups->phase = phase;
    if (failure != NULL)
        backups->failure = *failure;
    pthread_mutex_unlock(&backups->mutex);
}

static void release(struct backups *backups) {
    uv_timer_stop(&backups->look);
    if (backups->daemon->scheduler != NULL)
        scheduler_hold(backups->daemon->scheduler, false);
}

static int run_make(struct sql *sql, struct store_read *read, struct err *err) {
    struct backups *backups = (struct backups *)((char *)read - offsetof(struct backups, read));
    return backup_make(&backups->making, sql, err);
}

static void make_done(struct store_read *read, int code, const struct err *err) {
    struct backups *backups = (struct backups *)((char *)read - offsetof(struct backups, read));
    if (backups->closing)
        return;
    release(backups);
    if (code != 0)
        log_error("backup %s: %s", backups->making.id, err->message);
    else
        log_info("backup %s is ready", backups->making.id);
    set_phase(backups, PHASE_IDLE, err);
}

static void start_copying(struct backups *backups) {
    if (!scheduler_is_held(backups->daemon->scheduler))
        log_warn("backup %s: the running job does not stand still; it is copied as it runs",
                 backups->making.id);
    set_phase(backups, PHASE_COPYING, NULL);
    backups->read =
        (struct store_read){.run = run_make, .done = make_done, .slow = STORE_SLOW_FIRST};
    store_read(backups->daemon->store, &backups->read);
}

static void on_look(uv_timer_t *timer) {
    struct backups *backups = timer->data;
    if (backups->phase == PHASE_COPYING) {
        if (atomic_load(&backups->making.gathered))
            release(backups);
        return;
    }
    backups->waited_ms += LOOK_MS;
    if (scheduler_is_held(backups->daemon->scheduler) || backups->waited_ms >= PATIENCE_MS)
        start_copying(backups);
}

static void on_wanted(uv_async_t *async) {
    struct backups *backups = async->data;
    if (backups->phase != PHASE_WAITING || uv_is_active((uv_handle_t *)&backups->look))
        return;
    memset(&backups->making, 0, sizeof(backups->making));
    memcpy(backups->making.id, backups->id, sizeof(backups->id));
    memcpy(backups->making.data_dir, backups->daemon->data_dir, PATH_SIZE);
    backups->waited_ms = 0;
    scheduler_hold(backups->daemon->scheduler, true);
    uv_timer_start(&backups->look, on_look, 0, LOOK_MS);
}

int backups_create(struct daemon *daemon, struct err *err, struct backups **ret_backups) {
    struct backups *backups = mem_array(1, sizeof(*backups));
    if (backups == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    backups->daemon = daemon;
    pthread_mutex_init(&backups->mutex, NULL);
    backup_remove_partial(daemon->data_dir);
    uv_async_init(&daemon->loop, &backups->wanted, on_wanted);
    uv_timer_init(&daemon->loop, &backups->look);
    backups->wanted.data = backups->look.data = backups;
    *ret_backups = backups;
    return 0;
}

void backups_close(struct backups *backups) {
    if (backups == NULL)
        return;
    pthread_mutex_lock(&backups->mutex);
    backups->closing = true;
    pthread_mutex_unlock(&backups->mutex);
    atomic_store(&backups->making.stop, true);
    uv_close((uv_handle_t *)&backups->wanted, NULL);
    uv_close((uv_handle_t *)&backups->look, NULL);
}

void backups_destroy(struct backups *backups) {
    if (backups == NULL)
        return;
    pthread_mutex_destroy(&backups->mutex);
    free(backups);
}

int backups_begin(struct backups *backups, struct err *err, char ret_id[ID_MAX]) {
    char ids[BACKUPS_MAX][ID_MAX];
    int r = 0;
    pthread_mutex_lock(&backups->mutex);
    if (backups->closing)
        r = err_set(err, ESP_EBUSY, NULL, "the daemon is stopping");
    else if (backups->phase != PHASE_IDLE)
        r = err_set(err, ESP_EBUSY, NULL, "the backup %s is being made", backups->id);
    else if (backup_list(backups->daemon->data_dir, ids, BACKUPS_MAX) == BACKUPS_MAX)
        r = err_set(err, ESP_ELIMIT, NULL, "%d backups lie ready: fetch or delete one, such as %s",
                    BACKUPS_MAX, ids[BACKUPS_MAX - 1]);
    if (r == 0) {
        id_make("bk_", backups->id);
        backups->phase = PHASE_WAITING;
        backups->failure = (struct err){0};
        snprintf(ret_id, ID_MAX, "%s", backups->id);
        uv_async_send(&backups->wanted);
    }
    pthread_mutex_unlock(&backups->mutex);
    return r;
}

int backups_state(struct backups *backups, const char *id, struct err *err, const char **ret_state,
                  struct err *ret_failure) {
    char path[PATH_SIZE * 2];
    const char *state = NULL;
    pthread_mutex_lock(&backups->mutex);
    *ret_failure = (struct err){0};
    if (strcmp(backups->id, id) == 0 && backups->phase != PHASE_IDLE)
        state = backups->phase == PHASE_WAITING ? "waiting" : "copying";
    else if (strcmp(backups->id, id) == 0 && backups->failure.code != 0) {
        state = "failed";
        *ret_failure = backups->failure;
    }
    pthread_mutex_unlock(&backups->mutex);
    if (state == NULL) {
        int r = backup_find(backups->daemon->data_dir, id, NULL, err, path);
        if (r != 0)
            return r;
        state = "ready";
    }
    *ret_state = state;
    return 0;
}

bool backups_making(struct backups *backups, char ret_id[ID_MAX]) {
    pthread_mutex_lock(&backups->mutex);
    bool making = backups->phase != PHASE_IDLE;
    memcpy(ret_id, backups->id, ID_MAX);
    pthread_mutex_unlock(&backups->mutex);
    return making;
}

/* By another name first, so that a removal that is broken off leaves no half backup. */
static int remove_ready(struct backups *backups, const char *id, struct err *err) {
    char path[PATH_SIZE * 2], partial[PATH_SIZE * 2 + 16];
    int r = backup_find(backups->daemon->data_dir, id, NULL, err, path);
    if (r != 0)
        return r;
    snprintf(partial, sizeof(partial), "%s.partial", path);
    if (rename(path, partial) != 0)
        return err_set(err, ESP_EIO, NULL, "the backup %s cannot be removed", id);
    return file_remove_tree(partial, err);
}

int backups_remove(struct backups *backups, const char *id, struct err *err) {
    bool ready = false;
    int r = 0;
    pthread_mutex_lock(&backups->mutex);
    if (strcmp(backups->id, id) == 0 && backups->phase != PHASE_IDLE)
        r = err_set(err, ESP_EBUSY, NULL, "the backup %s is being made", id);
    else if (strcmp(backups->id, id) == 0 && backups->failure.code != 0)
        backups->id[0] = '\0';
    else
        ready = true;
    pthread_mutex_unlock(&backups->mutex); /* which the loop takes too: files may be many */
    return ready ? remove_ready(backups, id, err) : r;
}
