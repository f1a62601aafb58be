/* Jobs and their attempts. What a job works on (data set, supernet, search, export, table) follows
 * its state in the same transaction. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/ids.h"
#include "daemon/job_machine.h"
#include "daemon/store.h"
#include "daemon/store_sql.h"

/* What people call a job's state (of a row of jobs): one that waits because it was paused is
 * paused.
 */
#define STORE_JOB_STATE "CASE WHEN held AND state = 'queued' THEN 'paused' ELSE state END"
/* The state of what a job works on: paused while that job is (table.job names it). */
#define STORE_HELD_STATE(table)                                                                    \
    "CASE WHEN " table ".state IN ('queued', 'running', 'training') AND EXISTS (SELECT 1 FROM "    \
    "jobs h WHERE h.id = " table ".job AND h.held) THEN 'paused' ELSE " table ".state END"
extern const char *const store_job_kinds[]; /* ends with NULL */

struct job_row {
    char id[ID_MAX], kind[16], subject[ID_MAX];
    struct job_status status;
    int64_t attempt, acked_seq;
    bool held; /* paused by a person: its process ends, and no other begins until it is released */
};

/* Queues a job; spec is borrowed. Wakes the scheduler. */
int store_job_create(struct store_tx *tx, const char *kind, const char *subject, const cJSON *spec,
                     struct err *err, char ret_id[ID_MAX]);
/* As the API shows it; ESP_ENOTFOUND. */
int store_job_get(struct sql *sql, const char *id, struct err *err, cJSON **ret_doc);
/* False for one that is not there, too. */
bool store_job_is_table(struct sql *sql, const char *id);
int store_job_list(struct sql *sql, const struct sql_page_args *page, const char *state,
                   const char *kind, struct err *err, cJSON **ret_doc);
int store_job_load(struct sql *sql, const char *id, struct err *err, struct job_row *ret_row);

/* ESP_ECONFLICT while a job that has not ended takes over what lies at this path. */
int store_job_check_path_free(struct sql *sql, const char *path, struct err *err);

/* One step of the state machine, with all that follows from it: attempts, the subject, events,
 * waking the scheduler. reason (NULL: none) ends the running attempt. ESP_ECONFLICT. */
int store_job_apply(struct store_tx *tx, const char *id, enum job_event event, const char *reason,
                    struct err *err);
/* Pauses it, or lets it go on: what was wanted last is kept in the row, whatever ends meanwhile.
 * Its measurements go on. ESP_ECONFLICT: it has ended or is being canceled; or is not paused. */
int store_job_hold(struct store_tx *tx, const char *id, bool held, struct err *err);
/* Lets one that is paused go on, and begins one again that has failed or was cancelled. row: as it
 * was loaded in this transaction. ESP_ECONFLICT. */
int store_job_resume(struct store_tx *tx, const struct job_row *row, struct err *err);
/* Ends it with a result (NULL: none) or an error. */
int store_job_finish(struct store_tx *tx, const char *id, const cJSON *result, struct err *err);
int store_job_fail(struct store_tx *tx, const char *id, const struct err *why, struct err *err);
/* What it said last of its progress (JSON text), for those who ask while it has no process; its
 * pace is left out. */
int store_job_keep_progress(struct store_tx *tx, const char *id, const char *progress,
                            struct err *err);
int store_job_set_acked(struct store_tx *tx, const char *id, int64_t seq, struct err *err);

/* Starts the next job that a process runs: highest priority, oldest first. *ret_start: {"job_id",
 * "kind", "subject", "attempt", "acked", "spec"}, NULL when none waits. */
int store_job_next(struct store_tx *tx, struct err *err, cJSON **ret_start);
/* At the daemon's start: what ran goes back into the queue. */
int store_job_recover(struct store_tx *tx, struct err *err);
