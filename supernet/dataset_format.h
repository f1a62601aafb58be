/* How a data set format plugs in: one file with one const struct, and one word in
 * dataset_formats.inc. */
#pragma once

#include "supernet/dataset.h"
#include <stdbool.h>

/* What a format reads: the training images first, then those of validation (if the files name
 * them), then the test images. */
struct dataset_images {
    int channels, height, width;
    int n_classes; /* 0: the largest label of the training images and one */
    size_t n_train, n_validation, n_test;
    bool cut;        /* no test images of their own: a tenth of the others is cut off by the seed */
    uint8_t *images; /* [n_train + n_validation + n_test, C, H, W], owned, or within map */
    uint16_t *labels; /* owned */
    void *map;        /* of a file, owned; NULL: none */
    size_t map_bytes;
    char content[HASH_TEXT_LONG]; /* stands for the bytes of images; "": to be hashed */
    /* Of each image and channel the sum of its bytes and of their squares, owned; NULL: to be
     * counted. */
    struct dataset_sums *sums; /* [count, C] */
    char **class_names;        /* [n_classes], owned; NULL: not known */
    struct dataset_skipped skipped;
    size_t n_enlarged;
};
struct dataset_sums {
    uint64_t sum, squares;
};
void dataset_images_finish(struct dataset_images *images); /* frees and zeroes */

/* Counts a file that is left out; of the first ones name and reason are kept (name is copied,
 * bytes that are no UTF-8 as \xNN). */
void dataset_skip(struct dataset_skipped *skipped, const char *name, const char *reason);
void dataset_skipped_finish(struct dataset_skipped *skipped);
void dataset_free_names(char **names, size_t n); /* takes NULL */

struct dataset_format {
    const char *name, *help;
    bool (*probe)(const char *folder); /* looks like this format */
    /* Fills *ret_images; the caller finishes it, on failure too. */
    int (*load)(const struct dataset_options *options, struct err *err,
                struct dataset_images *ret_images);
};
extern const struct dataset_format *const dataset_formats[]; /* NULL-terminated */

/* A file that may be gzipped, read in order; errors name it and the byte (after decompression). */
struct dataset_file {
    char path[1024];
    void *gz;
    uint64_t position;
};
bool dataset_file_exists(const char *folder, const char *name); /* name or name.gz */
/* Opens folder/name, else folder/name.gz. ESP_ENOTFOUND, ESP_EIO, ESP_ENOMEM. */
int dataset_file_open(struct dataset_file *file, const char *folder, const char *name,
                      struct err *err);
/* Reads up to bytes; fewer only at the end of the file. */
int dataset_file_read(struct dataset_file *file, void *data, size_t bytes, struct err *err,
                      size_t *ret_read);
/* Exactly bytes, else ESP_ECORRUPT: "FILE ends at byte N of M". */
int dataset_file_read_exact(struct dataset_file *file, void *data, size_t bytes, struct err *err);
/* ESP_ECORRUPT when more bytes follow. */
int dataset_file_expect_end(struct dataset_file *file, struct err *err);
void dataset_file_close(struct dataset_file *file); /* of a zeroed or closed file: nothing */

/* The n_classes lines of folder/name as names of classes; NULL when it is not there or is not of
 * that kind: then the classes have no names. */
char **dataset_read_names(const char *folder, const char *name, int n_classes);
