/* What a unit takes by a latency table: its entry, or where there is none the entries of units like
 * it (latency/interpolate.h). */
#pragma once

#include "latency/interpolate.h"
#include "latency/table.h"

enum estimate_state {
    ESTIMATE_MEASURED,
    ESTIMATE_INTERPOLATED,
    ESTIMATE_MISSING /* neither: the numbers are NAN */
};

struct latency_estimate {
    enum estimate_state state;
    double median_us, low_us, high_us; /* the entry's; or 95 % around the interpolated time */
    double log_sd;                     /* of the interpolated time, or by the entry's interval */
};

/* What a unit's time may depend on, as interpolation compares it. Without a time. */
struct interpolation_sample latency_unit_sample(const struct unit_spec *spec);

/* Borrows the table, which must not change. Interpolation is between units of one kind, so a kind
 * with few entries has none. Errors: ESP_ENOMEM. */
struct latency_estimator;
int latency_estimator_create(const struct latency_table *table, struct err *err,
                             struct latency_estimator **ret_estimator);
void latency_estimator_destroy(struct latency_estimator *estimator); /* takes NULL */
/* What an entry says. */
struct latency_estimate latency_estimate_measured(const struct latency_entry *entry);
struct latency_estimate latency_estimate(const struct latency_estimator *estimator,
                                         const struct graph_unit *unit);
