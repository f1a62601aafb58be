/* What a board has done: who holds it, how its tables stand, what its reference network took over
 * time, and what went wrong. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/store_sql.h"

/* device: its id. *ret_doc {"environment", "holder", "tables", "revisions", "references",
 * "failures", "transitions"}, owned; the lists begin with the newest and end somewhere. */
int store_device_history(struct sql *sql, const char *device, struct err *err, cJSON **ret_doc);
