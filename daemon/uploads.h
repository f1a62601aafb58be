/* Folders that clients copy into the daemon's data folder, piece by piece: DATA/uploads/up_…. What
 * counts (bytes, files) is kept in memory and counted anew from the disk after a restart. All of it
 * touches the disk: call it in the thread pool. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "daemon/daemon.h"
#include "daemon/ids.h"

enum {
    UPLOAD_PIECE_MAX = 1 << 20, /* bytes */
    UPLOAD_FILES_MAX = 2000000,
    UPLOAD_DEPTH_MAX = 8,
    UPLOAD_PATH_MAX = 1024,
    UPLOADS_REMEMBERED = 16,  /* of more, the least recently used are counted anew */
    UPLOAD_KEPT_S = 24 * 3600 /* without a data set, from its beginning */
};

struct uploads;
int uploads_create(const struct daemon *daemon, struct err *err, struct uploads **ret_uploads);
void uploads_destroy(struct uploads *uploads); /* takes NULL */

struct upload_state {
    int64_t bytes, files, max_bytes;
};
/* A new empty folder. Errors: ESP_ENOSPACE, ESP_EIO. */
int upload_begin(struct uploads *uploads, struct err *err, char ret_id[ID_MAX]);
/* Errors: ESP_ENOTFOUND. */
int upload_look(struct uploads *uploads, const char *id, struct err *err,
                struct upload_state *ret_state);
/* Bytes that a file has; 0 when it is not there. Errors: ESP_ENOTFOUND (upload), ESP_EINVAL. */
int upload_file_bytes(struct uploads *uploads, const char *id, const char *path, struct err *err,
                      int64_t *ret_bytes);
/* Appends len bytes to the file at path (relative; made with its folders if need be), which must
 * have offset bytes; offset 0 begins it anew. Errors: ESP_ENOTFOUND (upload), ESP_EINVAL (a path
 * that is absolute, has "..", hidden or odd names), ESP_ECONFLICT (another size: the message names
 * it), ESP_ELIMIT (bytes, files), ESP_ENOSPACE, ESP_EIO. */
int upload_append(struct uploads *uploads, const char *id, const char *path, int64_t offset,
                  const void *data, size_t len, struct err *err);
/* DATA/uploads/ID, if it is there and holds files. ESP_ENOTFOUND, ESP_EINVAL (empty). */
int upload_path(struct uploads *uploads, const char *id, struct err *err, char ret_path[PATH_SIZE]);
/* Removes the folder. ESP_ENOTFOUND, ESP_EIO. */
int upload_remove(struct uploads *uploads, const char *id, struct err *err);
