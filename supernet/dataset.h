/* Labelled images in memory as bytes, split into train, validation and test; a seed decides which
 * training images are held out. */
#pragma once

#include "base/error.h"
#include "base/hash.h"
#include <stdint.h>
#include <stddef.h>

enum dataset_split { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST, SPLITS };
extern const char *const dataset_split_names[]; /* "train", "validation", "test", NULL */

struct dataset {
    int channels, height, width, n_classes;
    char revision[HASH_TEXT]; /* of the bytes, labels and split: part of evaluation keys */
    size_t n[SPLITS];
    uint32_t *index[SPLITS]; /* of images */
    const uint8_t *images;   /* [count, C, H, W] */
    const uint16_t *labels;
    float mean[4], deviation[4]; /* per channel over the train split, of values in [0, 1] */
    void *owned;
};

/* A format: one row of a list, chosen by name or by looking at the folder. */
struct dataset_format {
    const char *name; /* "idx", "cifar10" */
    const char *help;
    int (*probe)(const char *path); /* > 0: this folder looks like it */
    int (*load)(const char *path, struct err *err, struct dataset *ret_dataset);
};
extern const struct dataset_format *const dataset_formats[]; /* NULL-terminated */

struct dataset_options {
    const char *path, *format /* NULL: probe */;
    size_t validation;
    uint64_t split_seed;
};
/* Errors: ESP_ENOTFOUND, ESP_ECORRUPT (names file and byte), ESP_ELIMIT, ESP_ENOMEM,
 * ESP_EUNSUPPORTED. */
int dataset_open(const struct dataset_options *options, struct err *err,
                 struct dataset **ret_dataset);
void dataset_close(struct dataset *dataset); /* takes NULL */
