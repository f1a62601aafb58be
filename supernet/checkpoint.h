/* A supernet in a file: weights, BN statistics, optimiser state, the space it belongs to and where
 * its training stands. The file is written whole or not at all, and every byte of it stands under a
 * checksum.
 *
 * Layout, little-endian: magic (8 bytes), version (u32), bytes of the header (u32), BLAKE2b-256 of
 * the header (64 hex digits), header (JSON), sections. The header lists for each section the
 * tensor, its part ("data", "momentum", "average", "teacher"), shape, codec ("raw" or "zstd"),
 * place and BLAKE2b-256.
 */
#pragma once

#include "supernet/supernet.h"
#include <cjson/cJSON.h>

enum {
    CHECKPOINT_VERSION = 1,
    CHECKPOINT_HEADER_MAX = 32 << 20, /* bytes */
    CHECKPOINT_SECTIONS_MAX = 20000
};

/* What stands beside the weights; members are borrowed and may be NULL. */
struct checkpoint_notes {
    const char *dataset_revision;
    const cJSON *training; /* object: the trainer's configuration and state */
    const cJSON *history;  /* array: its figures so far */
};

struct checkpoint_summary {
    char id[HASH_TEXT]; /* of the whole content: equal training states have equal ids */
    int64_t bytes;
};

/* Atomic: afterwards path holds the old bytes or the new. Errors: ESP_ENOSPACE, ESP_EIO,
 * ESP_ENOTFOUND (no such folder), ESP_EBUSY, ESP_ENOMEM, ESP_ELIMIT (notes beyond the header's
 * limit). */
int checkpoint_write(const char *path, const struct supernet *supernet,
                     const struct checkpoint_notes *notes, struct err *err,
                     struct checkpoint_summary *ret_summary);

/* A checkpoint opened for reading: its header, checked; the sections stay in the file. */
struct checkpoint {
    struct checkpoint_summary summary;
    char path[1024];
    char dataset_revision[HASH_TEXT]; /* "" if unknown */
    struct space *space;
    cJSON *training, *history; /* as noted; never NULL */
    struct checkpoint_content *content;
};
/* Errors: ESP_ENOTFOUND, ESP_ECORRUPT (no checkpoint, truncated or damaged: says where),
 * ESP_EVERSION (of a newer program), ESP_ELIMIT, ESP_EIO, ESP_ENOMEM. */
int checkpoint_open(const char *path, struct err *err, struct checkpoint **ret_checkpoint);
void checkpoint_close(struct checkpoint *checkpoint); /* takes NULL */
/* ESP_EMISMATCH, naming both, when the checkpoint is of another space. */
int checkpoint_require_space(const struct checkpoint *checkpoint, const struct space *space,
                             struct err *err);
/* Compares every section with its checksum. ESP_ECORRUPT, ESP_EIO, ESP_ENOMEM. */
int checkpoint_verify(const struct checkpoint *checkpoint, struct err *err);
/* Reads every tensor of the supernet in all its parts: afterwards it has the copies (PART_AVERAGE,
 * PART_TEACHER) that the checkpoint has, and no other. On failure (as above, and ESP_EMISMATCH
 * when names or shapes differ) the supernet may hold a mixture. */
int checkpoint_restore(const struct checkpoint *checkpoint, struct supernet *supernet,
                       struct err *err);
/* A new supernet with the checkpoint's weights, to be scored or exported: their moving average
 * where there is one, no other copies. The caller destroys it. */
int checkpoint_load(const struct checkpoint *checkpoint, struct err *err,
                    struct supernet **ret_supernet);
