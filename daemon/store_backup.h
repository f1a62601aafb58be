/* A copy of the database as it was at one moment, while others write. */
#pragma once

#include <cjson/cJSON.h>

#include "daemon/store_sql.h"

/* In a read (struct store_read): what follows in it sees the database as it is now, whatever is
 * written meanwhile. *ret_schema: number of its newest migration. */
int store_backup_pin(struct sql *sql, struct err *err, int64_t *ret_schema);
/* Then: copies it to path, which must not be there, as one file, ends the pin, and checks the copy:
 * structure and references. ESP_ECORRUPT, ESP_ENOSPACE, ESP_EIO. */
int store_backup_copy(struct sql *sql, const char *path, struct err *err);
/* Files that it refers to, as paths below the data folder: [{"path"}]. */
int store_backup_files(struct sql *sql, const char *data_dir, struct err *err, cJSON **ret_array);
/* What was put back came from the data folder "from" and lies in "to" now: paths that hold it are
 * changed. May be repeated. */
struct store_tx;
int store_backup_moved(struct store_tx *tx, const char *from, const char *to, struct err *err);
