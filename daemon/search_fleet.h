/* What other profiles know of a space: their tables, for a search's calibrations to learn from. */
#pragma once

#include "daemon/store_sql.h"
#include "space/graph.h"

/* [{"profile_id", "table"}] of profiles, but for one (NULL: none is left out), with a table of the
 * space, at most LEARN_FLEET_MAX of them, newest first: the entries that the space needs, of those
 * that have at least half of them. Errors:
 * those of the store, ESP_ENOMEM. */
int search_fleet_make(struct sql *sql, const struct space *space, const char *except,
                      struct err *err, cJSON **ret_fleet);
