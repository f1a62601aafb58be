/* The decoded images of a folder in one file that is mapped, not read: later epochs and jobs share
 * its pages. Layout (little-endian; docs/TRAINING.md):
 *   0      magic "\x89ESPIMG\n", version (u32), zeros up to byte 4096
 *   4096   pixels: [count, 3, side, side] bytes
 *   then   index, a record for each image: label (u32), sum and sum of squares of each channel
 *          (u64, u64)
 *   then   directory (JSON): source fingerprint, side, counts, classes, skipped files, where pixels
 *          and index lie, BLAKE2b-256 of the index and of each 16 MiB of the pixels
 *   end    96 bytes: offset and length of the directory (u64, u64), its BLAKE2b-256 (64 hex
 *          digits), magic again, zeros (8)
 * It is written beside and renamed: a name always holds a whole file. */
#pragma once

#include "supernet/dataset_format.h"

enum { IMAGE_CACHE_VERSION = 1, IMAGE_CACHE_CHANNELS = 3 };

/* What stands in the directory beside what the writer counts itself. Owned by whoever fills it. */
struct image_cache {
    char source[HASH_TEXT_LONG];  /* fingerprint of the list of files and of how they are decoded */
    char content[HASH_TEXT_LONG]; /* of the files' bytes */
    int side;
    size_t n[SPLITS];
    bool cut; /* as in struct dataset_images */
    char **classes;
    size_t n_classes;
    struct dataset_skipped skipped;
    size_t n_enlarged;
    /* Of an opened file only. */
    char pixels[HASH_TEXT_LONG]; /* a hash of the pixels' hashes */
    uint16_t *labels;
    struct dataset_sums *sums;
    void *map;
    size_t map_bytes;
    uint8_t *images; /* within map */
};
void image_cache_finish(struct image_cache *cache); /* of a zeroed one: nothing */

/* Maps the file and checks all of it, the pixels too (by pool, which may be NULL). Errors:
 * ESP_ENOTFOUND, ESP_EMISMATCH (made from another source), ESP_EVERSION, ESP_ECORRUPT: it is to be
 * made anew; ESP_EIO, ESP_ENOMEM. */
int image_cache_open(const char *path, const char *source, struct parallel *pool, struct err *err,
                     struct image_cache *ret_cache);

struct image_cache_writer;
/* Errors: ESP_EBUSY (another process writes it), and those of file_writer_open. */
int image_cache_create(const char *path, int side, struct err *err,
                       struct image_cache_writer **ret_writer);
/* The next image: [3, side, side]. */
int image_cache_put(struct image_cache_writer *writer, const uint8_t *pixels, uint16_t label,
                    struct err *err);
/* Ends the writer in any case. */
int image_cache_commit(struct image_cache_writer *writer, const struct image_cache *cache,
                       struct err *err);
void image_cache_abort(struct image_cache_writer *writer); /* takes NULL */
