/* How a data set format plugs in: one file with one const struct, and one word in
 * dataset_formats.inc. */
#pragma once

#include "supernet/dataset.h"
#include <stdbool.h>

/* What a format reads: the training images first, then the test images. */
struct dataset_images {
    int channels, height, width;
    int n_classes; /* 0: the largest label of the training images and one */
    size_t n_train, n_test;
    uint8_t *images;  /* [n_train + n_test, C, H, W], owned */
    uint16_t *labels; /* owned */
};
void dataset_images_finish(struct dataset_images *images); /* frees and zeroes */

struct dataset_format {
    const char *name, *help;
    bool (*probe)(const char *folder); /* looks like this format */
    /* Fills *ret_images; the caller finishes it, on failure too. */
    int (*load)(const char *folder, struct err *err, struct dataset_images *ret_images);
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
