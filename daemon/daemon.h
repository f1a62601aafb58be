/* What the parts of the daemon share. Fields are set at start; off the loop only paths, options and
 * the store may be used. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "daemon/store_retention.h"
#include "daemon/store_webhooks.h"
#include "daemon/webhook_address.h"

struct backups;
struct database_check;
struct disk;
struct fleet;
struct janitor;
struct loop_watch;
struct metrics;
struct scheduler;
struct sse_hub;
struct store;
struct uploads;
struct web_route;
struct web_server;
struct web_tls;
struct webhooks;
struct worker_builds;

enum {
    DATA_ROOTS_MAX = 32,
    ALLOWED_HOSTS_MAX = 16,
    PATH_SIZE = 1024,
    CONNECTIONS_MAX = 2048 /* of all addresses together */
};

struct daemon {
    uv_loop_t loop;
    char data_dir[PATH_SIZE];    /* absolute */
    char job_program[PATH_SIZE]; /* absolute */
    const char *address;
    char socket_path[PATH_SIZE]; /* "": none */
    bool socket_by_default;      /* nobody asked for it: it may be missing */
    bool tokens_on_loopback;
    double rate, local_rate; /* requests a second; 0: no limit */
    int64_t port, connections_per_address;
    bool insecure_lan;
    struct web_tls *tls;              /* NULL: plain HTTP */
    char build_folders[2][PATH_SIZE]; /* where workers for boards may lie; "" */
    int n_data_roots;
    char data_roots[DATA_ROOTS_MAX][PATH_SIZE]; /* absolute, links resolved */
    const char *hosts[ALLOWED_HOSTS_MAX + 1];
    int threads;                              /* for a job */
    int64_t job_memory_bytes, job_file_bytes; /* what a job may take; 0: any */
    struct retention retention;
    int64_t board_patience_us; /* after which a search takes boards that answer nothing as gone */
    int64_t table_age_us;      /* from which a table's entries are measured again; 0: never */
    int64_t upload_bytes;      /* of one upload */
    int64_t disk_floor_bytes;  /* that stay free: nothing new is begun below; 0: none */
    int64_t session_us;        /* how long a browser stays signed in */
    struct webhook_ranges webhook_ranges; /* that webhooks may go to besides public addresses */
    struct webhook_rules webhook_rules;
    int64_t webhook_timeout_us; /* of an attempt */
    int64_t started_us;
    struct store *store;
    struct web_server *web;
    struct web_server *web_socket; /* NULL: none */
    struct web_route *routes;      /* of web; owned */
    struct sse_hub *events;
    struct scheduler *scheduler;
    struct fleet *fleet;
    struct janitor *janitor;
    struct webhooks *webhooks;
    struct disk *disk;
    struct database_check *database_check; /* off the loop too */
    struct backups *backups;               /* off the loop too */
    struct uploads *uploads;               /* off the loop too */
    struct worker_builds *builds;          /* off the loop too */
    struct metrics *metrics;
    struct loop_watch *loop_watch;
};
