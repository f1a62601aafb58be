/* Spaces by name: the built-in ones and those that were posted; with the latency tables to predict
 * on them. */
#pragma once

#include <stdbool.h>

#include "daemon/store_sql.h"
#include "latency/predictor.h"
#include "space/space.h"

/* ESP_ENOTFOUND. ret_builtin may be NULL; the caller destroys *ret_space. */
int spaces_load(struct sql *sql, const char *name, struct err *err, struct space **ret_space,
                bool *ret_builtin);

/* The table of a profile (id or name), and the newest calibration that its revision has for
 * networks of the space of that fingerprint, whole: none where it was learnt on another's, or for
 * NULL. */
struct profile_latency {
    char id[40], revision[40];
    struct latency_table *table;
    struct calibration calibration;
    cJSON *table_doc, *calibration_doc; /* as jobs take them; calibration_doc may be NULL */
};
int profile_latency_load(struct sql *sql, const char *profile, const char *fingerprint,
                         struct err *err, struct profile_latency *ret);
/* Whether its table has all entries that the space needs, or enough to interpolate the others.
 * ESP_EMISSING at the pointer: the sentence names the command that builds the table. ESP_ENOMEM. */
int profile_latency_check(const struct profile_latency *latency, const struct space *space,
                          const char *pointer, struct err *err);
void profile_latency_finish(struct profile_latency *latency);
