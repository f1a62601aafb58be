/* What writer and reader of image_cache.h share. */
#pragma once

#include "supernet/image_cache.h"

enum {
    CACHE_MAGIC_BYTES = 8,
    CACHE_PIXELS_AT = 4096,
    CACHE_RECORD = 4 + 16 * IMAGE_CACHE_CHANNELS,
    CACHE_FOOTER = 96,
    CACHE_CHUNK = 16 << 20,
    CACHE_DIRECTORY_MAX = 64 << 20
};
#define CACHE_MAGIC                                                                                \
    "\x89"                                                                                         \
    "ESPIMG\n"
