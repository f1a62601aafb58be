/* What is kept for how long. Everything that grows by itself has a rule; what a front, a
 * calibration, a table, a pin or an export refers to stays whatever its age. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

/* Set by options of espalierd. */
struct retention {
    int64_t events, transitions; /* rows, the newest */
    int64_t points;              /* of one curve of a supernet, then every second older one goes */
    int64_t samples_us;          /* age of boards' answers and leases that nothing refers to */
    int64_t evaluations_us;      /* age of evaluations that nothing refers to */
    int64_t jobs_us;             /* after a job's end, of its folder with its log */
    int64_t deliveries_us;       /* of webhooks, after their end */
};
extern const struct retention retention_default; /* what the options' defaults say */
enum {
    RETENTION_SLICE = 2000
}; /* rows that one transaction looks at or removes, of each kind; of curves: one */

/* Where a round through the store stands. Zero-initialise to begin one. */
struct retention_round {
    bool done;
    bool results_done, evaluations_done, leases_done, points_done;
    int64_t result, evaluation; /* ids that were looked at */
    char supernet[ID_MAX];
};

/* The next slice of a round; may be called again once the round is done, which does nothing. */
int store_prune(struct store_tx *tx, const struct retention *rules, struct retention_round *round,
                struct err *err);
/* [{"kind", "rows", "rule"}]: for people. Counts, so it scans. */
int store_retention_describe(struct sql *sql, const struct retention *rules, struct err *err,
                             cJSON **ret_array);
