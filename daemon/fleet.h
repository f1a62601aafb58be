/* The boards as the running daemon sees them, on the loop: requests for leases that wait for work,
 * what time does to leases and boards, the progress of table jobs, and the turns that measurements
 * on the daemon's own machine take with the jobs there. All that must outlive the daemon is in the
 * store; the fleet holds only who waits. */
#pragma once

#include <cjson/cJSON.h>

#include "base/error.h"

struct daemon;
struct fleet;
struct web_request;

enum {
    FLEET_POLL_S = 20,      /* for how long a worker should let a request for a lease wait */
    FLEET_HEARTBEAT_S = 15, /* interval of a worker's signs of life while it measures */
    FLEET_AWAY_S = 45,      /* not heard of for three intervals: away */
    FLEET_WAIT_MAX_S = 25   /* longest wait for a lease */
};

/* daemon (borrowed) has its loop, store and scheduler. Open leases get an interval's grace: the
 * boards could not reach the daemon while it was down. Errors: ESP_ENOMEM. */
int fleet_create(struct daemon *daemon, struct err *err, struct fleet **ret_fleet);
/* Answers who waits with 204; memory is freed when the loop has run its closing callbacks. Must
 * come before store_close and web_destroy. Takes NULL. */
void fleet_destroy(struct fleet *fleet);
/* There may be work, or it may be quiet: call it on STORE_WAKE_FLEET, and when the last running job
 * has paused or ended. Takes NULL. */
void fleet_wake(struct fleet *fleet);

/* Takes a worker's POST /worker/lease and answers it, now or when there is work. */
void fleet_lease(struct web_request *req);

/* Who waits for whom on this machine, as the API shows it; new, never NULL. A board with work waits
 * for a job that computes: {"job", "asked": whether it was asked to pause, "seconds"}, or for the
 * board of another worker on its machine, which measures: {"device"}; a paused job
 * waits for the board that measures: {"device"}, one that runs for a board that takes no work:
 * {"device", "device_name", "why"}; else null. fleet may be NULL. */
cJSON *fleet_waits_for(const struct fleet *fleet, const char *device);
cJSON *fleet_job_waits_for(const struct fleet *fleet, const char *job);
