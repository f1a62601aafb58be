/* Where a network of a search probably came from. Strategies keep no parents, so this is worked out
 * of what a search has looked at: the closest network of an earlier generation, that one's closest,
 * and so on. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/store_sql.h"

enum { LINEAGE_STEPS_MAX = 64, LINEAGE_STEPS = 12 };

struct lineage_request {
    const char *search;   /* id */
    const char *arch;     /* text or arch_id of a candidate */
    const char *strategy; /* that asked for it; NULL: the one that did so first */
    int64_t steps;        /* 1 to LINEAGE_STEPS_MAX: rows behind the network itself, at most */
};

/* Places at which two networks' texts differ, word by word; words that one of them lacks count too.
 * Counted until there are most. */
int lineage_distance(const char *a, const char *b, int most);

/* {"strategy", "items": [{"arch_id", "arch", "generation", "feasible", "on_front", "metrics",
 * "distance"}]}: the network itself (distance null), then of those that its strategy asked for in
 * earlier generations the one of the least distance to the row before, of equally close ones the
 * latest generation's, and in that the oldest change. ESP_ENOTFOUND: the search has not looked at
 * it. ESP_ELIMIT: it takes more than about 20 s. */
int store_lineage(struct sql *sql, const struct lineage_request *request, struct err *err,
                  cJSON **ret_doc);
