/* Backups while the daemon runs: one at a time is made below the data folder, when the running job
 * stands still for a moment; clients fetch its files. */
#pragma once

#include "daemon/backup_files.h"
#include "daemon/daemon.h"

enum { BACKUPS_MAX = 8 }; /* that lie ready; the janitor removes them after two days */

struct backups;

/* On the loop's thread. */
int backups_create(struct daemon *daemon, struct err *err, struct backups **ret_backups);
/* The one that is being made is broken off, none is begun any more. Takes NULL. */
void backups_close(struct backups *backups);
/* When the loop has run to its end, and with it all that the pool had to do. Takes NULL. */
void backups_destroy(struct backups *backups);

/* From any thread. Begins one. ESP_EBUSY: another is being made; ESP_ELIMIT: too many lie ready. */
int backups_begin(struct backups *backups, struct err *err, char ret_id[ID_MAX]);
/* "waiting" (for the running job to stand still), "copying", "ready" or "failed", a static text;
 * *ret_failure is why it failed, code 0 otherwise. ESP_ENOTFOUND. */
int backups_state(struct backups *backups, const char *id, struct err *err, const char **ret_state,
                  struct err *ret_failure);
/* The id of the one that is being made; false: none is. */
bool backups_making(struct backups *backups, char ret_id[ID_MAX]);
/* Removes one. ESP_EBUSY while it is being made. */
int backups_remove(struct backups *backups, const char *id, struct err *err);
