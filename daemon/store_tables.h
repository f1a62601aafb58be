/* Latency tables: which measurement holds which entry. The job of a table is the daemon's own: it
 * ends when every entry has been measured or has failed. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "daemon/ids.h"
#include "daemon/job_machine.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

/* SQL: the progress of a row of jobs that fills a table, which has no process that would tell. Its
 * pace is that of the latest measurements of its attempt: not of what was there before, and without
 * pauses above STORE_TABLE_AWAY medians, in which the board or the daemon was away. (The median is
 * the upper one, so that of two no pause counts as one; where it is 0, results came together.) */
/* clang-format off */
#define STORE_TABLE_PACE "30"
#define STORE_TABLE_AWAY "10"
#define STORE_TABLE_PROGRESS                                                                       \
    "(SELECT json_object("                                                                         \
    "  'phase', 'measuring', "                                                                     \
    "  'done', done, "                                                                             \
    "  'total', done + rest + gone, "                                                              \
    "  'unit', 'measurements', "                                                                   \
    "  'fraction', done * 1.0 / max(done + rest + gone, 1), "                                      \
    "  'eta_s', rest * (SELECT avg(pause) / 1e6 FROM ("                                           \
    "    SELECT pause, max(CASE WHEN place = n / 2 + 1 THEN pause END) OVER () AS median FROM ("   \
    "    SELECT pause, row_number() OVER (ORDER BY pause) AS place, count(*) OVER () AS n FROM ("  \
    "    SELECT m.finished_us AS at, m.finished_us - lag(m.finished_us, 1, begun) OVER (ORDER BY " \
    "    m.finished_us) AS pause FROM table_entries e JOIN measurements m ON m.id = "              \
    "    e.measurement WHERE e.table_id = jobs.subject AND m.finished_us >= begun "                \
    "    ORDER BY at DESC LIMIT " STORE_TABLE_PACE "))) WHERE pause <= " STORE_TABLE_AWAY " * "    \
    "    median OR median = 0) "                                                                   \
    ") FROM (SELECT count(*) - coalesce(sum(open + gone), 0) AS done, "                            \
    "  coalesce(sum(gone), 0) AS gone, "                                                           \
    "  coalesce(sum(open), 0) + (SELECT count(*) FROM measurements o JOIN table_entries e ON "     \
    "    e.measurement = o.repeats WHERE e.table_id = jobs.subject AND o.repeats IS NOT NULL AND " \
    "    o.state IN ('queued', 'leased', 'running')) AS rest, "                                    \
    "  (SELECT max(a.started_us) FROM job_attempts a WHERE a.job = jobs.id) AS begun "             \
    "  FROM (SELECT m.state IN ('queued', 'leased', 'running') AS open, m.state = 'canceled' AS "  \
    "    gone FROM table_entries e JOIN measurements m ON m.id = e.measurement WHERE e.table_id = " \
    "    jobs.subject)))"
/* clang-format on */

struct table_entry {
    const char *signature, *graph_id, *graph; /* graph: JSON text */
};
struct table_request {
    const char *profile; /* id */
    const char *space, *fingerprint, *document;
    const char *method; /* id */
    const struct table_entry *entries;
    int n_entries;
    int64_t before_us; /* entries that are older are asked for again; 0: none */
};
/* Makes or finds the table, asks for what is missing, noisy or too old, in this order, and starts
 * its job, unless one runs. */
int store_table_build(struct store_tx *tx, const struct table_request *request, struct err *err,
                      char ret_table[ID_MAX], char ret_job[ID_MAX]);
/* Its job goes on: what failed or is noisy is asked for again. ESP_EGONE: it was removed. */
int store_table_retry(struct store_tx *tx, const char *table, const char *job, struct err *err);
/* Its measurements stay, and so do searches, which keep their own copies of what they go by.
 * Subscribers are told. ESP_ENOTFOUND; ESP_ECONFLICT while a job fills it: *ret_users is the list
 * of these jobs. */
int store_table_remove(struct store_tx *tx, const char *id, struct err *err, cJSON **ret_users);
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
