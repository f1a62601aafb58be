/* Files: whole reads with a limit, atomic and durable writes. Errors: ESP_EIO, ESP_ENOTFOUND,
 * ESP_ENOSPACE, ESP_ELIMIT, ESP_ENOMEM. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* *ret_data is NUL-terminated (not counted), caller frees. */
int file_read(const char *path, size_t limit, struct err *err, char **ret_data, size_t *ret_len);
/* For paths that others name: a pipe or a device would keep the reader waiting for ever, so what is
 * no regular file is ESP_EINVAL, at once. The caller closes *ret_fd. */
int file_open_regular(const char *path, struct err *err, int *ret_fd);
int file_read_regular(const char *path, size_t limit, struct err *err, char **ret_data,
                      size_t *ret_len);
/* Writes path.partial (mode 0600), fsync, rename, fsync of the folder: whatever happens, path holds
 * the old bytes or the new. A partial file that a killed writer left is taken over by the next. A
 * full disk, a used-up quota and a file-size limit (with SIGXFSZ ignored) are ESP_ENOSPACE; another
 * writer at work on path is ESP_EBUSY. */
int file_write_atomic(const char *path, const void *data, size_t len, struct err *err);
/* The same in pieces, for what is large. Commit or abort ends the writer; after a put that failed
 * only abort is of use. Both free the writer in any case; abort takes NULL. */
struct file_writer;
int file_writer_open(const char *path, struct err *err, struct file_writer **ret_writer);
int file_writer_put(struct file_writer *writer, const void *data, size_t len, struct err *err);
int file_writer_commit(struct file_writer *writer, struct err *err);
void file_writer_abort(struct file_writer *writer);

/* Whether a relative path of somebody else's stays in its folder: no part is empty, "." or "..". */
bool file_stays_below(const char *path);
/* The bytes of a regular file and their BLAKE2b-256 (`b2sum -l 256`); copied durably to "to", whose
 * folder must be there, as file_writer does. ret_bytes and ret_hash may be NULL. ESP_EINVAL: no
 * regular file. */
int file_hash(const char *path, struct err *err, int64_t *ret_bytes, char ret_hash[65]);
int file_copy(const char *from, const char *to, struct err *err, int64_t *ret_bytes,
              char ret_hash[65]);
/* Has a folder's entries on the disk: after a rename within it. */
int file_sync_folder(const char *path, struct err *err);

int file_make_dirs(const char *path, struct err *err); /* mkdir -p, mode 0700 */
/* Exclusive advisory lock; ESP_EBUSY when another process holds it. Close *ret_fd to release. */
int file_lock(const char *path, struct err *err, int *ret_fd);
bool file_exists(const char *path);
/* A folder with all that is in it, or a file; links are removed, not followed. One that is not
 * there is no error. */
int file_remove_tree(const char *path, struct err *err);
