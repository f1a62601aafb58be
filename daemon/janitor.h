/* Keeps the data folder from growing for ever: folders of supernets, caches of data sets, uploads
 * (a day after their beginning) and files of exports that the store does not know any more go,
 * files of checkpoints that were pruned, as do folders of jobs (their logs) some time after their
 * end. */
#pragma once

#include "base/error.h"
#include "daemon/daemon.h"
#include "daemon/store_sql.h"

struct janitor;

/* Sweeps now and once a day, in the thread pool; says in the log what it removed. */
int janitor_create(struct daemon *daemon, struct err *err, struct janitor **ret_janitor);
/* Sweeps soon, and measures the disk then: rows were removed. Loop's thread; takes NULL. */
void janitor_sweep(struct janitor *janitor);
/* The same some seconds behind the last such call, or with the next sweep. */
void janitor_sweep_later(struct janitor *janitor);
/* One sweep of data_dir. sql has read nothing yet in its transaction, or is in none; folders of
 * jobs stay for jobs_us behind their end. What cannot be removed is told in the log. */
int janitor_clean(struct sql *sql, const char *data_dir, int64_t jobs_us, struct err *err);
void janitor_destroy(struct janitor *janitor); /* takes NULL */
