/* A search's candidates, one after another, as a query looks at them. For store_*.c. */
#pragma once

#include "daemon/candidate_query.h"
#include "daemon/store_sql.h"

struct candidate_scan {
    const char *search, *strategy; /* strategy NULL: all */
    const struct candidate_query *query;
    bool by_generation; /* by strategy, then generation; else the oldest change first */
};
struct scanned_candidate {
    struct candidate_view view;
    int64_t revision;
};
/* Calls each with every candidate that keeps the query's conditions, until it fails; its error, or
 * that of the database. */
typedef int scanned_candidate_fn(void *context, const struct scanned_candidate *candidate,
                                 struct err *err);
int store_candidates_scan(struct sql *sql, const struct candidate_scan *scan,
                          scanned_candidate_fn *each, void *context, struct err *err);
