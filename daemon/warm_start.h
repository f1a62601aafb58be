/* The member warm_start of POST /searches: subnets that a search begins with, of earlier searches'
 * fronts or named one by one. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/store_sql.h"
#include "space/space.h"

/* Replaces body's member (absent: nothing) by one with ids in place of names, and gives what it
 * names as canonical texts, each once (owned). fingerprint: of the space that earlier searches must
 * have gone over; what of their fronts is not in space (which may have fewer resolutions) is left
 * out. Errors point below /warm_start: ESP_EINVAL, ESP_ENOTFOUND, ESP_EMISMATCH, ESP_ECONFLICT (no
 * front yet). */
int warm_start_take(struct sql *sql, const struct space *space, const char *fingerprint,
                    cJSON *body, struct err *err, cJSON **ret_archs);
