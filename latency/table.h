/* Latency table of one profile revision: what each fused unit (space/graph.h) takes there. Found by
 * the unit's signature in O(1). */
#pragma once

#include <cjson/cJSON.h>

#include "base/map.h"
#include "space/graph.h"

enum { LATENCY_ENTRIES_MAX = 20000, LATENCY_REVISION_MAX = 96 };
#define LATENCY_US_MAX 1e10 /* nothing that is measured takes longer: almost three hours */

/* One measured unit, in microseconds. */
struct latency_entry {
    char signature[GRAPH_SIGNATURE_MAX];
    double median_us;
    double low_us, high_us; /* 95 % confidence interval of the median; low <= median <= high */
    double sd_us;           /* spread of single batches: the board's noise at this unit */
    int64_t n;              /* samples behind it, >= 1 */
    int method;             /* version of the measurement method, >= 1 */
};

struct latency_table {
    char profile_revision[LATENCY_REVISION_MAX];
    int n;
    int capacity;
    struct latency_entry *entries; /* in the order in which they were first put */
    struct map by_signature;
};

/* Empty table. Errors: ESP_EINVAL (revision empty or too long), ESP_ENOMEM. */
int latency_table_create(const char *profile_revision, struct err *err,
                         struct latency_table **ret_table);
void latency_table_destroy(struct latency_table *table); /* takes NULL */

/* Adds the entry or replaces the one with its signature. Errors: ESP_EINVAL (a value that cannot be
 * a latency; the old entry stays), ESP_ELIMIT, ESP_ENOMEM. */
int latency_table_put(struct latency_table *table, const struct latency_entry *entry,
                      struct err *err);
/* The entry, owned by the table and valid until the next put; NULL if there is none. */
const struct latency_entry *latency_table_find(const struct latency_table *table,
                                               const char *signature);

/* How much of what a space needs is there. ret_missing, if not NULL, has room for units->n numbers
 * and gets those of the units without an entry, in order. Returns how many are missing. */
int latency_table_missing(const struct latency_table *table, const struct unit_list *units,
                          int *ret_missing);

/* JSON form: {"profile_revision", "entries": [{"signature", "median_us", "low_us", "high_us",
 * "sd_us", "n", "method"}]}. NULL on memory exhaustion. Reading refuses unknown members, doubled
 * signatures and values out of range. Errors: ESP_EINVAL, ESP_ELIMIT, ESP_ENOMEM. */
cJSON *latency_table_to_json(const struct latency_table *table);
int latency_table_from_json(const cJSON *doc, const char *at, struct err *err,
                            struct latency_table **ret_table);
