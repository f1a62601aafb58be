/* The disk under the daemon's data: how much of it is free, how much is to stay so, and what the
 * data take. Below that floor nothing new is begun, so that what runs, and the database, keep room.
 */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "daemon/daemon.h"

struct disk;

/* Looks now and every two seconds, in the pool; wakes the scheduler when there is room again. The
 * floor is daemon->disk_floor_bytes; 0: none. Loop's thread. ESP_ENOMEM. */
int disk_create(struct daemon *daemon, struct err *err, struct disk **ret_disk);
/* It looks no more. Takes NULL. */
void disk_close(struct disk *disk);
/* When the loop has run to its end, and with it all that the pool had to do. Takes NULL. */
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

/* What the data take: {"measured_at", "bytes", "kinds": [{"kind", "bytes"}]}, NULL on memory
 * exhaustion; "measured_at" and "bytes" are null before the first measurement has ended. It is
 * measured at the start, and then so rarely that it costs a hundredth of the time, at most once a
 * minute. Any thread. */
cJSON *disk_usage_describe(struct disk *disk);
/* The same in words: "3.2 GB used: checkpoints 2 GB, database 1.2 GB"; "" before. */
void disk_usage_words(struct disk *disk, char *ret, size_t size);
/* Measures again soon: things were removed. Loop's thread; takes NULL. */
void disk_measure(struct disk *disk);

/* "3.2 GB": three digits, in the unit that fits. Returns ret. */
enum { DISK_BYTES_TEXT = 24 };
const char *disk_bytes_text(double bytes, char ret[DISK_BYTES_TEXT]);
