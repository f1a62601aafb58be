/* What requests for tables and for measurements have in common. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/ids.h"
#include "daemon/store_sql.h"
#include "devices/method.h"

/* The id of the method that the body's "method" names; "brief" when it names none. */
int api_method(const cJSON *body, struct err *err, char ret_id[METHOD_ID_MAX]);
/* The id of the profile ref (id or name). ESP_ENOTFOUND with pointer /profile. */
int api_find_profile(struct sql *sql, const char *ref, struct err *err, char ret_id[ID_MAX]);
