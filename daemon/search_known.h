/* What a search's profiles have measured before it begins: its calibrations begin with it. */
#pragma once

#include "daemon/store_known.h"
#include "space/space.h"

/* Of a profile; as many as a job's spec takes. */
enum { SEARCH_KNOWN_NETWORKS_MAX = 128 };

/* Up to max whole networks of the space (or part of one), newest first, each once, as a member
 * "known_networks" of the job's spec: [{"arch", "measured_us", "repeat_sd_us", "session",
 * "representative"}]. Sessions are numbered from -1 down, a pause of ten minutes between two. The
 * caller deletes *ret_list. Errors: as SQLite fails, ESP_ENOMEM. */
int search_known_networks(struct sql *sql, const struct space *space,
                          const struct known_query *query, int max, struct err *err,
                          cJSON **ret_list);
/* A sentence on such a list among the "notes" of a search's body, unless it is empty or NULL.
 * place: "on the board …". ESP_ENOMEM. */
int search_known_note(const cJSON *list, const char *place, cJSON *body, struct err *err);
