/* A worker on its way, for devices/worker*.c only. */
#pragma once

#include "base/hash.h"
#include "base/http_client.h"
#include "devices/identity.h"
#include "devices/profiles.h"
#include "devices/worker.h"

enum {
    WORKER_PATH = 4096,
    WORKER_LEASE_WAIT_S = 20,
    WORKER_CHANGES_MAX = 3,        /* of the environment that are taken up … */
    WORKER_CHANGES_WITHIN_S = 600, /* … within this time; then it is called unsettled */
    WORKER_TIMEOUT_MS = (WORKER_LEASE_WAIT_S + 25) * 1000 /* of an exchange */
};

struct worker {
    const struct worker_options *options;
    volatile sig_atomic_t *stop;
    struct http_client *client;
    struct worker_profiles profiles; /* the first is the board's default */
    char spool_dir[WORKER_PATH];
    struct identity identity;
    char machine_id[HASH_TEXT], host_id[HASH_TEXT];
    int64_t epoch, heartbeat_s;
    bool noise_by_lease; /* the daemon asks for it */
    bool welcome;        /* introduced in this session */
    int failures;        /* exchanges with the daemon that failed in a row */
    struct heat_gate gate;
    int64_t changed_ns[WORKER_CHANGES_MAX]; /* the last changes of the environment; 0: none */
    bool unsettled;                         /* that there are too many was logged */
    int lock_fd;
};

/* Exchanges with the daemon, as http_client_json; *ret_status is 0 when there was no answer. */
int worker_post(struct worker *w, const char *path, const cJSON *body, struct err *err,
                int *ret_status, cJSON **ret_doc);
int worker_post_within(struct worker *w, int64_t timeout_ms, const char *path, const cJSON *body,
                       struct err *err, int *ret_status, cJSON **ret_doc);
/* {"epoch"}; the caller deletes it. */
cJSON *worker_body(const struct worker *w);
bool worker_is_simulated(const struct worker *w);

/* Sends all that is spooled. ESP_EUNREACHABLE: try again later; ESP_EUNAUTHORIZED. */
int worker_deliver_all(struct worker *w, struct err *err);

/* Asks for a lease, works through its items and sends each result as it comes (worker_lease.c).
 * *ret_idle: there was none. ESP_ECONFLICT: connect again. */
int worker_lease_once(struct worker *w, struct err *err, bool *ret_idle);
/* ESP_ECONFLICT when the board's owner has changed what a profile stands for, and it stays so for a
 * second: what is measured now would be another revision's, which the daemon hears of when the
 * worker connects again. *ret_unsettled: it changes all the time, and is left as it was. */
int worker_look_at_environment(struct worker *w, struct err *err, bool *ret_unsettled);
/* Measures the noise floor of each profile, for daemons that do not lease it. */
int worker_report_noise(struct worker *w, struct err *err);
