/* Counts over the whole store, for GET /system and /metrics. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/store_sql.h"

struct system_counts {
    int64_t jobs_running, workers_online;
};
int store_system_counts(struct sql *sql, struct err *err, struct system_counts *ret);
/* PRAGMA quick_check: *ret_ok and its first line. Scans the database. */
int store_system_check(struct sql *sql, struct err *err, bool *ret_ok, char ret_detail[200]);

/* How many boards there are, and which are quarantined, offline or have a noise floor in doubt,
 * with what to do about it. *ret_ok: none is. What people have set aside (paused, draining,
 * maintenance) is no fault. ESP_ENOMEM, and of the store. */
enum { STORE_BOARDS_DETAIL = 1200 };
int store_system_check_boards(struct sql *sql, struct err *err, bool *ret_ok,
                              char ret_detail[STORE_BOARDS_DETAIL]);

const char *store_sqlite_version(void); /* of the linked library; static */

/* Samples of one metric family: rows of {"labels", "value"}. */
struct store_family {
    const char *name, *help;
    int (*rows)(struct sql *sql, struct err *err, cJSON **ret_rows);
};
extern const struct store_family store_families[]; /* ends with name NULL; all gauges */

/* Ids that there are, as an array of {"id"}: for removing folders that nobody owns. */
int store_supernet_ids(struct sql *sql, struct err *err, cJSON **ret_array);
int store_dataset_ids(struct sql *sql, struct err *err, cJSON **ret_array);
/* What data sets are read from, and what jobs that have not ended take over. */
int store_paths_in_use(struct sql *sql, struct err *err, cJSON **ret_array);
int store_export_paths(struct sql *sql, struct err *err, cJSON **ret_array);
/* Jobs whose folder (state, log) is still of use: not ended, or within so long. */
int store_jobs_kept(struct sql *sql, int64_t kept_us, struct err *err, cJSON **ret_array);
/* Supernets that no job works on: [{"id"}]. */
int store_supernets_at_rest(struct sql *sql, struct err *err, cJSON **ret_array);
/* Whether a file of its folder ("checkpoints/…") is that of a checkpoint. */
bool store_checkpoint_is_known(struct sql *sql, const char *supernet, const char *path);
