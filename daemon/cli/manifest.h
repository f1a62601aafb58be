/* The list of a backup's files, as docs/OPERATIONS.md has it, and the files themselves. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/hash.h"

#define MANIFEST_NAME "manifest"
enum { MANIFEST_PATH_MAX = 1000, MANIFEST_LONG_PATH = 8192 };

struct manifest_head {
    char id[64], created_at[40], version[40];
    char data_dir[MANIFEST_PATH_MAX + 1];
    int64_t schema;
    int64_t files, bytes; /* of the last line */
};

/* Reads the whole file once: every line, the hash of all. ESP_ECORRUPT, ESP_EVERSION (of a form
 * that is not known), ESP_ENOTFOUND, ESP_EIO. */
int manifest_check(const char *path, struct err *err, struct manifest_head *ret_head);

struct manifest_file {
    char path[MANIFEST_PATH_MAX + 1]; /* relative, stays below where it begins */
    char hash[HASH_TEXT_LONG];
    int64_t bytes;
};
/* Calls each with every file, in order, until it fails. The file must have been checked. */
int manifest_each(const char *path,
                  int (*each)(void *context, const struct manifest_file *file, struct err *err),
                  void *context, struct err *err);

/* Whether folder/file->path is there and is the right file: 1, 0 or an error. */
int manifest_has(const char *folder, const struct manifest_file *file, struct err *err);
/* Makes the folders that folder/relative lies in. */
int manifest_make_parent(const char *folder, const char *relative, struct err *err);
