/* What the writer and the reader of checkpoints share. */
#pragma once

#include "supernet/checkpoint.h"

#define CHECKPOINT_MAGIC                                                                           \
    "\x89"                                                                                         \
    "ESPCKP\n" /* a byte beyond ASCII and a newline: text transfers show */

enum { CHECKPOINT_MAGIC_BYTES = 8, CHECKPOINT_PREFIX = 8 + 4 + 4 + HASH_TEXT_LONG - 1 };

extern const char *const checkpoint_part_names[]; /* NULL-terminated */
enum checkpoint_codec { CODEC_RAW, CODEC_ZSTD };
extern const char *const checkpoint_codec_names[]; /* NULL-terminated */

/* A section as the header tells of it. */
struct checkpoint_section {
    char name[TENSOR_NAME_MAX];
    enum supernet_part part;
    enum checkpoint_codec codec;
    int n_dims, dims[TENSOR_DIMS_MAX];
    int64_t offset, stored; /* bytes, from the end of the header */
    char checksum[HASH_TEXT_LONG];
};
