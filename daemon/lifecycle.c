#include "daemon/lifecycle.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/api.h"
#include "daemon/backups.h"
#include "daemon/database_check.h"
#include "daemon/disk.h"
#include "daemon/fleet.h"
#include "daemon/janitor.h"
#include "daemon/loop_watch.h"
#include "daemon/metrics.h"
#include "daemon/scheduler.h"
#include "daemon/store_backup.h"
#include "daemon/store_jobs.h"
#include "daemon/uploads.h"
#include "daemon/webhooks.h"
#include "daemon/worker_builds.h"
#include "web/assets.h"
#include "web/sse.h"

enum {
    EVENTS_IN_MEMORY = 8192,
    EVENT_BYTES_IN_MEMORY = 16 << 20,
    STREAMS_MAX = 1024,
    HEARTBEAT_MS = 15000,
    BODY_MAX = 1 << 20,
    BODIES_MAX = 64 << 20,
    ANSWERS_MAX = 256 << 20
};

static void on_event(void *context, int64_t id, const char *topic, const char *data) {
    struct daemon *daemon = context;
    sse_publish(daemon->events, id, topic, data);
}

static void on_wake(void *context, unsigned wake) {
    struct daemon *daemon = context;
    if (daemon->scheduler != NULL)
        scheduler_wake(daemon->scheduler, wake);
    if ((wake & STORE_WAKE_FLEET) != 0)
        fleet_wake(daemon->fleet);
    if ((wake & STORE_WAKE_WEBHOOKS) != 0)
        webhooks_wake(daemon->webhooks);
}

struct recover_call {
    struct store_call call;
    const char *data_dir;
    char *moved_from; /* owned; NULL: no backup was put back */
    const struct retention *rules;
    bool done;
};

static int run_recover(struct store_tx *tx, struct store_call *call, struct err *err) {
    const struct recover_call *recover = (struct recover_call *)call;
    int r = recover->moved_from == NULL
                ? 0
                : store_backup_moved(tx, recover->moved_from, recover->data_dir, err);
    if (r == 0 && recover->moved_from != NULL)
        r = backup_move_specs(recover->data_dir, recover->moved_from, err);
    if (r == 0)
        r = store_job_recover(tx, err);
    struct retention_round round = {.done = false}; /* the fleet goes on with one of its own */
    return r != 0 ? r : store_prune(tx, recover->rules, &round, err);
}

static void recover_done(struct store_call *call, int code, const struct err *err) {
    ((struct recover_call *)call)->done = true;
}

/* Where the files of a backup lay that espalier restore has put here. */
static int read_moved(const char *path, struct err *err, char **ret_from) {
    char *text = NULL;
    const char *from;
    size_t len = 0;
    cJSON *doc = NULL;
    int r = file_read(path, 8192, err, &text, &len);
    if (r == 0)
        r = json_parse(text, len, NULL, err, &doc);
    if (r == 0)
        r = json_string(doc, "", "data_dir", 1, PATH_SIZE, err, &from);
    if (r == 0 && (*ret_from = mem_strdup(from)) == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    cJSON_Delete(doc);
    free(text);
    return r != 0 ? err_prefix(err, r, "%s", path) : 0;
}

/* Nothing else runs yet: waits for it. */
static int recover(struct daemon *daemon, struct err *err) {
    struct recover_call recover = {.call = {.run = run_recover, .done = recover_done},
                                   .data_dir = daemon->data_dir,
                                   .rules = &daemon->retention};
    char path[PATH_SIZE + 32];
    snprintf(path, sizeof(path), "%s/restored.json", daemon->data_dir);
    int r = file_exists(path) ? read_moved(path, err, &recover.moved_from) : 0;
    if (r != 0)
        return r;
    store_write(daemon->store, &recover.call);
    while (!recover.done)
        uv_run(&daemon->loop, UV_RUN_ONCE);
    if (recover.call.code == 0 && recover.moved_from != NULL && remove(path) != 0)
        err_set(&recover.call.err, recover.call.code = ESP_EIO, NULL, "%s cannot be removed", path);
    free(recover.moved_from);
    *err = recover.call.err;
    return recover.call.code;
}

static int load_events(struct daemon *daemon, struct err *err) {
    int64_t floor = 0;
    int r = store_event_floor(daemon->store, EVENTS_IN_MEMORY, err, &floor);
    if (r != 0)
        return r;
    sse_set_floor(daemon->events, floor);
    return store_recent_events(daemon->store, floor, err, on_event, daemon);
}

static int open_store(struct daemon *daemon, struct err *err) {
    static const struct sse_config sse = {.max_bytes = EVENT_BYTES_IN_MEMORY,
                                          .max_events = EVENTS_IN_MEMORY,
                                          .max_clients = STREAMS_MAX,
                                          .heartbeat_ms = HEARTBEAT_MS};
    struct store_listener listener = {on_event, on_wake, daemon};
    char path[PATH_SIZE + 32];
    snprintf(path, sizeof(path), "%s/espalier.db", daemon->data_dir);
    int r = sse_create(&daemon->loop, &sse, &daemon->events);
    if (r != 0)
        return err_set(err, r, NULL, "out of memory");
    r = store_open(&daemon->loop, path, &listener, err, &daemon->store);
    if (r == 0)
        r = load_events(daemon, err);
    return r != 0 ? r : recover(daemon, err);
}

static int open_web(struct daemon *daemon, struct err *err) {
    struct web_config config = {.loop = &daemon->loop,
                                .address = daemon->address,
                                .port = (int)daemon->port,
                                .hosts = daemon->hosts,
                                .tls = daemon->tls,
                                .assets = web_assets,
                                .session_cookie = "espalier",
                                .body_limit = BODY_MAX,
                                .bodies_limit = BODIES_MAX,
                                .answers_limit = ANSWERS_MAX,
                                .tokens_on_loopback = daemon->tokens_on_loopback,
                                .rate_per_s = daemon->rate,
                                .local_rate_per_s = daemon->local_rate,
                                .max_connections = CONNECTIONS_MAX,
                                .max_connections_per_address = (int)daemon->connections_per_address,
                                .head_us = 15 * 1000000,
                                .body_us = 60 * 1000000,
                                .idle_us = 75 * 1000000,
                                .user = daemon,
                                .authorise = api_authorise,
                                .turn = api_turn,
                                .answered = api_answered};
    int r = api_routes(err, &daemon->routes);
    config.routes = daemon->routes;
    if (r == 0)
        r = web_create(&config, err, &daemon->web);
    if (r != 0 || daemon->socket_path[0] == '\0')
        return r;
    config.socket_path = daemon->socket_path;
    config.tls = NULL;
    config.session_cookie = NULL;
    config.rate_per_s = config.local_rate_per_s = 0;
    r = web_create(&config, err, &daemon->web_socket);
    if (r == 0 || !daemon->socket_by_default)
        return r;
    log_warn("no socket in the data folder: %s", err->message);
    *err = (struct err){0};
    return 0;
}

static int write_port(const struct daemon *daemon, struct err *err) {
    char path[PATH_SIZE + 16], text[16];
    snprintf(path, sizeof(path), "%s/port", daemon->data_dir);
    int len = snprintf(text, sizeof(text), "%d\n", web_port(daemon->web));
    return file_write_atomic(path, text, (size_t)len, err);
}

int daemon_start(struct daemon *daemon, struct err *err) {
    signal(SIGPIPE, SIG_IGN); /* a job that has gone is noticed by its end */
    daemon->metrics = metrics_create();
    if (daemon->metrics == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int r = loop_watch_create(&daemon->loop, err, &daemon->loop_watch);
    if (r == 0)
        r = open_store(daemon, err);
    if (r == 0)
        r = disk_create(daemon, err, &daemon->disk);
    if (r == 0)
        r = scheduler_create(daemon, err, &daemon->scheduler);
    if (r == 0)
        r = fleet_create(daemon, err, &daemon->fleet);
    if (r == 0)
        r = database_check_create(err, &daemon->database_check);
    if (r == 0)
        r = janitor_create(daemon, err, &daemon->janitor);
    if (r == 0)
        r = backups_create(daemon, err, &daemon->backups);
    if (r == 0)
        r = webhooks_create(daemon, err, &daemon->webhooks);
    if (r == 0)
        r = uploads_create(daemon, err, &daemon->uploads);
    if (r == 0)
        r = worker_builds_create(daemon->build_folders, err, &daemon->builds);
    if (r == 0)
        r = open_web(daemon, err);
    if (r == 0)
        r = write_port(daemon, err);
    if (r != 0)
        return r;
    scheduler_wake(daemon->scheduler, STORE_WAKE_SCHEDULER);
    return 0;
}

/* Boards first, so that no lease is granted any more; then the store, whose last answers go out;
 * then who still waits. */
void daemon_close(struct daemon *daemon) {
    fleet_destroy(daemon->fleet);
    daemon->fleet = NULL;
    janitor_destroy(daemon->janitor);
    daemon->janitor = NULL;
    backups_close(daemon->backups);
    webhooks_close(daemon->webhooks);
    daemon->webhooks = NULL;
    scheduler_destroy(daemon->scheduler);
    daemon->scheduler = NULL;
    disk_close(daemon->disk);
    store_close(daemon->store);
    sse_destroy(daemon->events);
    web_destroy(daemon->web);
    web_destroy(daemon->web_socket);
    free(daemon->routes);
    daemon->routes = NULL;
    worker_builds_destroy(daemon->builds);
    daemon->builds = NULL;
    metrics_destroy(daemon->metrics);
    daemon->metrics = NULL;
    loop_watch_destroy(daemon->loop_watch);
    daemon->loop_watch = NULL;
}

void daemon_finish(struct daemon *daemon) {
    database_check_destroy(daemon->database_check);
    daemon->database_check = NULL;
    disk_destroy(daemon->disk);
    daemon->disk = NULL;
    backups_destroy(daemon->backups);
    daemon->backups = NULL;
    uploads_destroy(daemon->uploads);
    daemon->uploads = NULL;
}

void daemon_stop(struct daemon *daemon, void (*stopped)(struct daemon *daemon)) {
    web_quiesce(daemon->web);
    if (daemon->web_socket != NULL)
        web_quiesce(daemon->web_socket);
    scheduler_stop(daemon->scheduler, stopped);
}
