/* Latency tables: which measurement holds which entry. The job of a table is the daemon's own: it
 * ends when every entry has been measured or has failed. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "daemon/ids.h"
#include "daemon/job_machine.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

struct table_entry {
    const char *signature, *graph_id, *graph; /* graph: JSON text */
};
struct table_request {
    const char *profile; /* id */
    const char *space, *fingerprint, *document;
    const char *method; /* id */
    const struct table_entry *entries;
    int n_entries;
};
/* Makes or finds the table, asks for what is missing and starts its job, unless one runs. */
int store_table_build(struct store_tx *tx, const struct table_request *request, struct err *err,
                      char ret_table[ID_MAX], char ret_job[ID_MAX]);
/* Its job goes on: what failed is asked for again. */
int store_table_retry(struct store_tx *tx, const char *table, const char *job, struct err *err);
int store_table_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc);
int store_table_list(struct sql *sql, const struct sql_page_args *page, struct err *err,
                     cJSON **ret_doc);
int store_table_entries(struct sql *sql, const char *id, const struct sql_page_args *page,
                        struct err *err, cJSON **ret_doc);
int store_table_has_entry(struct sql *sql, const char *id, const char *signature, struct err *err,
                          bool *ret_has);
/* A measurement has ended: tables that hold it are announced, their jobs ended when complete. */
int store_tables_measured(struct store_tx *tx, const char *measurement, bool accepted,
                          struct err *err);
/* What to tell of the jobs that build tables: [{"job", "kind", "subject", "progress"}]. */
int store_table_progress(struct sql *sql, struct err *err, cJSON **ret_array);
int store_table_follow(struct store_tx *tx, const char *id, enum job_state state, struct err *err);
/* All unit entries that were accepted for the revision, in the form of latency/table.h. */
int store_table_document(struct sql *sql, const char *profile_revision, struct err *err,
                         cJSON **ret_doc);
/* The same for a profile's current revision; *ret_revision filled. */
int store_profile_table(struct sql *sql, const char *profile, struct err *err,
                        char ret_revision[ID_MAX], cJSON **ret_doc);
/* [{"profile"}]: at most n profiles but `except` (may be NULL) whose current revision has a table
 * of the space, newest table first. */
int store_table_profiles(struct sql *sql, const char *space_fingerprint, const char *except, int n,
                         struct err *err, cJSON **ret_rows);
