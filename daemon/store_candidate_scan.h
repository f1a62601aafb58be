/* A search's candidates, one after another, as a query looks at them. For store_*.c. */
#pragma once

#include "daemon/candidate_query.h"
#include "daemon/store_sql.h"

enum { CANDIDATE_SCAN_S = 20 }; /* what an answer may take in all */

struct candidate_scan {
    const char *search, *strategy; /* strategy NULL: all */
    const struct candidate_query *query;
    bool by_generation; /* by strategy, then generation; else the oldest change first */
    int64_t until_ns;   /* of clock_mono_ns(); candidate_scan_until() of the answer's start */
};
struct scanned_candidate {
    struct candidate_view view;
    int64_t revision;
};
int64_t candidate_scan_until(void);
/* Says that the answer takes too long: ESP_ELIMIT. */
int candidate_scan_late(struct err *err);
/* Calls each with every candidate that keeps the query's conditions, until it fails; its error, or
 * that of the database, or ESP_ELIMIT when until_ns is over. */
typedef int scanned_candidate_fn(void *context, const struct scanned_candidate *candidate,
                                 struct err *err);
int store_candidates_scan(struct sql *sql, const struct candidate_scan *scan,
                          scanned_candidate_fn *each, void *context, struct err *err);
