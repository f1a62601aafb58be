/* Whether the database is whole. To look reads all of it, so that is done at the start, daily (by
 * the janitor) and when somebody asks; what was found last is kept in memory. Thread-safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct sql;
struct database_check;
int database_check_create(struct err *err, struct database_check **ret_check); /* ESP_ENOMEM */
void database_check_destroy(struct database_check *check);                     /* takes NULL */

struct database_state {
    bool ok;
    char detail[200]; /* for people; "ok" */
    int64_t at_us;    /* wall clock */
};
/* Looks now, for seconds where the database is large. That it is broken is no error, but what is
 * found. Errors: of the store, as for any read. */
int database_check_run(struct database_check *check, struct sql *sql, struct err *err);
/* The same unless that was done within about a day. */
int database_check_run_daily(struct database_check *check, struct sql *sql, struct err *err);
/* What was found last; false when nobody has looked yet. */
bool database_check_last(struct database_check *check, struct database_state *ret_state);
