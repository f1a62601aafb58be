/* Leases: what a board holds. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_measurements.h"
#include "daemon/store_sql.h"
#include "devices/lease.h"

/* Grants what waits for the board: *ret_lease {"lease_id", "expires_in_s", "items": […]}, NULL when
 * there is nothing, or the board may not (paused, quarantined). An open lease of the same board was
 * not heard of by its worker: it is given back first. */
int store_lease_grant(struct store_tx *tx, const char *device, int64_t max_items, struct err *err,
                      cJSON **ret_lease);
/* ESP_EGONE: ended, or not this board's. */
int store_lease_ack(struct store_tx *tx, const char *device, const char *lease, double estimate_s,
                    struct err *err, cJSON **ret_answer);
int store_lease_heartbeat(struct store_tx *tx, const char *device, const char *lease,
                          const char *measurement /* under way; NULL: not told */, struct err *err,
                          cJSON **ret_answer);
int store_lease_release(struct store_tx *tx, const char *device, const char *lease,
                        struct err *err);
/* Every open lease of a board ends; what it was measuring counts as lost. */
int store_leases_fence(struct store_tx *tx, const char *device, struct err *err);
/* Every open lease of a board ends, and nothing counts as lost. */
int store_leases_give_back(struct store_tx *tx, const char *device, struct err *err);
/* A board that is drained and holds no lease any more is paused. */
int store_device_drained(struct store_tx *tx, const char *device, struct err *err);
int store_leases_expire(struct store_tx *tx, struct err *err);

struct lease_row {
    char id[ID_MAX], device[ID_MAX];
    enum lease_state state;
};
/* ESP_EGONE: not this board's. */
int store_lease_load(struct sql *sql, const char *id, const char *device, struct err *err,
                     struct lease_row *ret);
/* One step of a lease; what its items do about it is the caller's. */
int store_lease_step(struct store_tx *tx, const struct lease_row *row, enum lease_event event,
                     struct err *err);

/* Of boards on the daemon's own machine that are there. */
struct local_work {
    bool waits, leased;
    char device[ID_MAX]; /* one that holds a lease, else one that work waits for; "" */
};
int store_local_work(struct sql *sql, struct err *err, struct local_work *ret_work);
/* Whether a board that asks should be granted a lease: something waits for it, or it holds one,
 * which by asking it has given up. */
int store_work_waits(struct sql *sql, const char *device, struct err *err, bool *ret_waits);
/* The board whose measuring on the same machine keeps this one, for which something waits, from a
 * lease; "": none. */
int store_host_holder(struct sql *sql, const char *device, struct err *err, char ret_id[ID_MAX]);
/* What its worker calls the machine that it runs on; "": not told. */
int store_device_host(struct sql *sql, const char *device, struct err *err, char ret_host[128]);
/* INT64_MAX when no lease is open. */
int store_lease_next_expiry(struct sql *sql, struct err *err, int64_t *ret_us);
/* No open lease ends before grace_us from now: the daemon was away, so boards could not be heard.
 */
int store_leases_grace(struct store_tx *tx, int64_t grace_us, struct err *err);
