/* The disk under the daemon's data: how much of it is free, and how much is to stay so. Below that
 * floor nothing new is begun, so that what runs, and the database, keep room to go on. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "daemon/daemon.h"

struct disk;

/* Looks now and every two seconds, in the pool; wakes the scheduler when there is room again. The
 * floor is daemon->disk_floor_bytes; 0: none. Loop's thread. ESP_ENOMEM. */
int disk_create(struct daemon *daemon, struct err *err, struct disk **ret_disk);
/* Memory is freed when the loop has closed its handles and the pool has ended. Takes NULL. */
void disk_destroy(struct disk *disk);

/* Bytes that are free for the daemon's user, on the fullest of the file systems that the data
 * folder and the folders in it are on; NaN when they do not tell. Asks them: not on the loop's
 * thread. */
double disk_free_now(const char *data_dir);
/* ESP_ENOSPACE when less than the floor would be free with so many bytes more. Asks like
 * disk_free_now. */
int disk_check_room(const struct daemon *daemon, int64_t bytes, struct err *err);

/* As it was last looked at; loop's thread. NULL is never low. */
bool disk_is_low(const struct disk *disk);
double disk_free_bytes(const struct disk *disk);
/* Looks again soon: a job could not write. Loop's thread; takes NULL. */
void disk_look(struct disk *disk);
