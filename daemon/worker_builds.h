/* The workers that the daemon carries for boards: tarballs of scripts/worker-tarball, by their
 * names below a few folders. They are looked up at each request, so that one may be added or
 * replaced while the daemon runs. Any thread but the loop's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash.h"

struct buf;
struct worker_builds;

enum { WORKER_BUILD_PATH = 1024, WORKER_BUILD_FOLDERS = 2 };

/* Of the daemon's own version. */
struct worker_build {
    const char *arch; /* static: "aarch64", "x86_64" */
    uint64_t bytes;
    char sha256[HASH_TEXT_LONG];
    char name[64]; /* of the file */
};

/* Static, ends with NULL. */
extern const char *const worker_build_archs[];

/* The WORKER_BUILD_FOLDERS folders (copied) are looked through in their order; empty ones are
 * passed over. ESP_ENOMEM. */
int worker_builds_create(const char (*folders)[WORKER_BUILD_PATH], struct err *err,
                         struct worker_builds **ret_builds);
void worker_builds_destroy(struct worker_builds *builds); /* takes NULL */
/* The build for arch, opened for reading: what *ret_fd holds (the caller closes it) is what the
 * digest is of, also when the file is replaced meanwhile. Reads all of a file that it has not seen
 * before. ESP_ENOTFOUND: there is none (or no such arch); ESP_ETOOLARGE (1 GiB), ESP_EIO. */
int worker_build_open(struct worker_builds *builds, const char *arch, struct err *err,
                      struct worker_build *ret_build, int *ret_fd);
/* The shell script that fetches, checks and starts the worker, with the digests of all builds that
 * there are. *ret_n: how many. ESP_ENOMEM, ESP_EIO. */
int worker_builds_installer(struct worker_builds *builds, struct err *err, struct buf *ret_script,
                            int *ret_n);
