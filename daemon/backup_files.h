/* The files of a backup in the data folder: gathering what jobs made, the database's copy, the
 * manifest. Runs in the thread pool; knows nothing of when.
 *
 * The manifest is lines of JSON: {"format", "id", "created_at", "version", "schema", "data_dir"},
 * then {"path", "bytes", "hash"} for each file (BLAKE2b-256), then {"files", "bytes", "hash"}: how
 * many, of how many bytes, and the hash of all lines before. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "daemon/daemon.h"
#include "daemon/ids.h"
#include "daemon/store_sql.h"

#define BACKUP_MANIFEST "manifest"
#define BACKUP_DATABASE "espalier.db"
enum { BACKUP_FORMAT = 1 };

struct backup_making {
    char id[ID_MAX];
    char data_dir[PATH_SIZE];
    atomic_bool gathered; /* set: what jobs write is there, and they may go on */
    atomic_bool stop;     /* asks for an early end: ESP_ECANCELED */
};

/* Makes data_dir/backups/ID: at first under another name, so that what is there is whole. */
int backup_make(struct backup_making *making, struct sql *sql, struct err *err);
/* The path of the folder of a whole backup, or of a file in it. ESP_ENOTFOUND. */
int backup_find(const char *data_dir, const char *id, const char *file, struct err *err,
                char ret_path[PATH_SIZE * 2]);
/* After a restore into another folder: what searches keep of their beginning (daemon/job_files.h)
 * names files below from, the data folder of then; below data_dir afterwards. May be repeated. */
int backup_move_specs(const char *data_dir, const char *from, struct err *err);
/* Whether path is a relative one that stays below where it begins: no "..", no empty part. */
bool backup_path_ok(const char *path);
/* Removes what a daemon that was killed left half made. */
void backup_remove_partial(const char *data_dir);
/* Ids of the whole backups, newest first, at most max; returns how many. */
int backup_list(const char *data_dir, char (*ret_ids)[ID_MAX], int max);
