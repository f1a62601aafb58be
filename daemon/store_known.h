/* Whole networks that a profile has measured, for calibrations to begin with. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/store_sql.h"

/* One network however often it was measured: of its takes the mean. Borrowed. */
struct known_network {
    const char *graph_id, *arch; /* arch: as text, of the space that it was asked for in */
    double median_us, sd_us;     /* sd_us: between the samples of a take; 0 where nobody told it */
    int64_t at_us;               /* of the newest take */
    bool representative; /* a calibration on it says that it was chosen to stand for its space */
};
/* False: no more of them. */
typedef bool known_network_fn(void *context, const struct known_network *network);

/* Those that were accepted under the profile's revision by the method (id) or a more thorough one,
 * as far as they have an arch: newest first, until take has enough. Looks at all measurements of
 * the profile: not on the loop. Fails as SQLite does. */
struct known_query {
    const char *profile, *revision, *method;
};
int store_known_networks(struct sql *sql, const struct known_query *query, known_network_fn *take,
                         void *context, struct err *err);
