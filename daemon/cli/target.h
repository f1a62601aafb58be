/* What a command's --file names: the file that its output goes to. */
#pragma once

#include <stdio.h>
#include <sys/types.h>

#include "base/error.h"

/* Until all is written it lies in FILE.partial, then takes FILE's place: whatever goes wrong, FILE
 * holds what it held before. A file that is replaced keeps its mode, and a link what it leads to.
 * What is no regular file (a pipe, a device, /dev/stdout) is written straight, and never removed.
 */
struct target {
    FILE *stream; /* to write to; its errors stick (ferror) and are told by target_end */
    /* private; the target stays where it is until its end */
    const char *path;           /* borrowed; NULL: stdout */
    struct file_writer *writer; /* NULL: written straight */
    mode_t mode;
    struct err err; /* of the writer */
};
/* path NULL: stdout, whose errors the program tells at its end. ESP_EIO: it cannot be written. */
int target_begin(struct target *target, const char *path, struct err *err);
/* Ends what was begun; rc is how writing went, with its own err. Returns it, or ESP_EIO when not
 * all could be written. */
int target_end(struct target *target, int rc, struct err *err);
