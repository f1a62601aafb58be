/* Labelled images in memory as bytes, split into train, validation and test; a seed decides which
 * training images are held out. */
#pragma once

#include "base/error.h"
#include "base/hash.h"
#include <stddef.h>
#include <stdint.h>

enum dataset_split { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST, SPLITS };
extern const char *const dataset_split_names[]; /* "train", "validation", "test", NULL */

enum {
    DATASET_CHANNELS_MAX = 4,
    DATASET_SIDE_MAX = 1024, /* pixels */
    DATASET_IMAGES_MAX = 20000000,
    DATASET_VALIDATION_DEFAULT = 5000
};
#define DATASET_BYTES_MAX ((size_t)8 << 30) /* of all images, decompressed */

struct dataset {
    int channels, height, width, n_classes;
    char format[16];          /* name of the format that read it */
    char revision[HASH_TEXT]; /* of the bytes, labels and split: part of evaluation keys */
    size_t n[SPLITS];
    uint32_t *index[SPLITS]; /* ascending, into images and labels */
    const uint8_t *images;   /* [count, C, H, W] */
    const uint16_t *labels;  /* [count], each below n_classes */
    float mean[DATASET_CHANNELS_MAX],
        deviation[DATASET_CHANNELS_MAX]; /* per channel over the
                       train split, of values in [0, 1]; deviation > 0 */
};

struct dataset_options {
    const char *path;    /* a folder */
    const char *format;  /* NULL: by looking at the folder */
    size_t validation;   /* training images held out; at most half of them; may be 0 */
    uint64_t split_seed; /* below 2^53, so that JSON can hold it */
};

/* Reads a data set whole. The caller closes *ret_dataset with dataset_close.
 * Errors: ESP_ENOTFOUND (folder or file), ESP_ECORRUPT (names file and byte), ESP_ELIMIT,
 * ESP_EINVAL (one class only; a bad split, with a pointer), ESP_EUNSUPPORTED (unknown format or a
 * kind of idx file that holds no images), ESP_ENOMEM, ESP_EIO. */
int dataset_open(const struct dataset_options *options, struct err *err,
                 struct dataset **ret_dataset);
void dataset_close(struct dataset *dataset); /* takes NULL */

/* Names of the formats ("idx", "cifar10", …), NULL-terminated. */
extern const char *const dataset_format_names[];
