/* Labelled images as bytes, in memory or mapped from a cache file, split into train, validation and
 * test; a seed decides which training images are held out. */
#pragma once

#include "base/error.h"
#include "base/hash.h"
#include "base/parallel.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dataset_split { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST, SPLITS };
extern const char *const dataset_split_names[]; /* "train", "validation", "test", NULL */

enum {
    DATASET_CHANNELS_MAX = 4,
    DATASET_SIDE_MAX = 1024, /* pixels */
    DATASET_IMAGES_MAX = 20000000,
    DATASET_VALIDATION_DEFAULT = 5000,
    DATASET_SIDE_DEFAULT = 256, /* at most, when no side is asked for */
    DATASET_SKIPPED_NAMED = 100,
    DATASET_ENLARGED_MAX = 2 /* times that images may be enlarged to a resolution */
};
#define DATASET_BYTES_MAX ((size_t)8 << 30) /* of all images read into memory, decompressed */
#define DATASET_VALIDATION_AUTO ((size_t)-1)
#define DATASET_SKIPPED_SHARE_DEFAULT 0.05

/* Files that could not be used, in the order of the list of files. */
struct dataset_skipped {
    size_t n;       /* in all */
    size_t n_files; /* images that were looked at, these included */
    struct {
        char *name; /* relative, UTF-8 (what is none of it as \xNN); owned */
        char reason[96];
    } first[DATASET_SKIPPED_NAMED];
};

struct dataset {
    int channels, height, width, n_classes;
    char format[16];          /* name of the format that read it */
    char revision[HASH_TEXT]; /* of the bytes, labels and split: part of evaluation keys */
    size_t n[SPLITS];
    uint32_t *index[SPLITS]; /* ascending, into images and labels */
    const uint8_t *images;   /* [count, C, H, W] */
    const uint16_t *labels;  /* [count], each below n_classes */
    char **class_names;      /* [n_classes]; NULL: not known */
    struct dataset_skipped skipped;
    size_t n_enlarged; /* images that were smaller than they are kept */
    void *map;         /* of a cache file: where images lie; NULL: in memory of their own */
    size_t map_bytes;
    float mean[DATASET_CHANNELS_MAX],
        deviation[DATASET_CHANNELS_MAX]; /* per channel over the
                       train split, of values in [0, 1]; deviation > 0 */
};

struct dataset_options {
    const char *path;    /* a folder */
    const char *format;  /* NULL: by looking at the folder */
    size_t validation;   /* training images held out; at most half of them; may be 0;
                            DATASET_VALIDATION_AUTO: a tenth, at most DATASET_VALIDATION_DEFAULT */
    uint64_t split_seed; /* below 2^53, so that JSON can hold it */

    /* Of folders of images only. */
    int side;              /* pixels a side that are kept; 0: by the files, DATASET_SIDE_DEFAULT
                              at most */
    double max_skipped;    /* share of the files; above it the data set is refused */
    const char *cache_dir; /* where the cache file is kept (made if need be); NULL: nowhere */
    struct parallel *pool; /* borrowed; may be NULL */
    /* Called between pieces of work that take long; true: give up with ESP_ECANCELED. May be NULL.
     */
    bool (*progress)(void *context, size_t done, size_t total);
    void *context;
};

/* Opens a data set. The caller closes *ret_dataset with dataset_close.
 * Errors: ESP_ENOTFOUND (folder or file), ESP_ECORRUPT (names file and byte; too many images
 * skipped), ESP_ELIMIT, ESP_EINVAL (one class only, or one below the largest
 * label without a training image; a bad split, with a pointer), ESP_EUNSUPPORTED
 * (unknown format or a kind of idx file that holds no images), ESP_ENOSPACE (the cache),
 * ESP_ECANCELED, ESP_ENOMEM, ESP_EIO. */
int dataset_open(const struct dataset_options *options, struct err *err,
                 struct dataset **ret_dataset);
void dataset_close(struct dataset *dataset); /* takes NULL */

/* Whether images of this size can be enlarged to a resolution (pixels a side). ESP_EINVAL with
 * pointer /dataset beyond DATASET_ENLARGED_MAX. */
int dataset_check_size(int height, int width, int resolution, struct err *err);

/* Names of the formats ("idx", "cifar10", …), NULL-terminated. */
extern const char *const dataset_format_names[];

/* The images that are named, as [{"name", "reason"}]; the caller owns it. NULL: no memory. */
cJSON *dataset_skipped_print(const struct dataset_skipped *skipped);
