/* Where a network of a search came from: the networks that its strategy made it of, those that
 * these were made of, and so on. A candidate without an origin (an older version asked for it, or
 * another program) has the closest network of an earlier generation in place of parents. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/store_sql.h"

enum { LINEAGE_STEPS = 12, LINEAGE_STEPS_MAX = 256, LINEAGE_NETWORKS = 64 };
enum { LINEAGE_NETWORKS_MAX = 256 };

struct lineage_request {
    const char *search;   /* id */
    const char *arch;     /* text or arch_id of a candidate */
    const char *strategy; /* that asked for it; NULL: the one that did so first */
    int64_t steps;        /* back, 1 to LINEAGE_STEPS_MAX */
    int64_t networks;     /* at most, itself included: 1 to LINEAGE_NETWORKS_MAX */
};

/* Genes in which two networks' texts differ, those that one of them lacks included: resolution, a
 * stage's depth and channels, a block's choices (kernel size and expand ratio are one). Counted
 * until there are most. */
int lineage_distance(const char *a, const char *b, int most);
/* The same as a list of {"gene": "block 2.1", "from": "k5e4", "to": "k3e4"}, in the order of the
 * text; from and to are null where a network lacks the block. Owned. */
cJSON *lineage_changes(const char *from, const char *to);

/* {"strategy", "items": [{"arch_id", "arch", "strategy", "generation", "feasible", "on_front",
 * "metrics", "origin" (null: not known), "parents": [{"arch_id", "relation": "parent" or "closest",
 * "distance", "changes"}]}], "more"}: the network itself; then its line, of each the parent that
 * differs least, the first of equals; then the others, breadth first, each network once. more:
 * there is more behind than steps and networks let through. Without an origin the closest is looked
 * for along the line alone: of those that the same strategy asked for in earlier generations the
 * one of the least distance, of equally close ones the latest generation's, and in that the oldest
 * change. ESP_ENOTFOUND: the search has not looked at it. ESP_ELIMIT: it takes more than about 20
 * s. */
int store_lineage(struct sql *sql, const struct lineage_request *request, struct err *err,
                  cJSON **ret_doc);
