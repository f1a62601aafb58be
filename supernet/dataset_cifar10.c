/* CIFAR-10's binary version: records of a label byte and 3 x 32 x 32 bytes, red plane first.
 * Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009, and the
 * data set's own page. */
#include "supernet/dataset_format.h"

#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIDE = 32,
    PIXELS = 3 * SIDE * SIDE,
    RECORD = 1 + PIXELS,
    CLASSES = 10,
    TRAIN_FILES = 5,
    FILE_RECORDS_MAX = 100000, /* the official files hold 10,000 */
    GROW_RECORDS = 10000
};

struct records {
    size_t n, capacity;
    uint8_t *images;
    uint16_t *labels;
};

static int reserve(struct records *records, struct err *err) {
    if (records->n < records->capacity)
        return 0;
    size_t capacity = records->capacity + GROW_RECORDS;
    uint8_t *images = realloc(records->images, capacity * PIXELS);
    if (images)
        records->images = images;
    uint16_t *labels = realloc(records->labels, capacity * sizeof *labels);
    if (labels)
        records->labels = labels;
    if (!images || !labels)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %zu images", capacity);
    records->capacity = capacity;
    return 0;
}

static int take_record(struct records *records, const struct dataset_file *file,
                       const uint8_t record[RECORD], struct err *err) {
    if (record[0] >= CLASSES)
        return err_set(err, ESP_ECORRUPT, "/path", "%s: label %d at byte %llu is not below %d",
                       file->path, record[0], (unsigned long long)(file->position - RECORD),
                       CLASSES);
    int rc = reserve(records, err);
    if (rc != 0)
        return rc;
    memcpy(records->images + records->n * PIXELS, record + 1, PIXELS);
    records->labels[records->n++] = record[0];
    return 0;
}

static int read_records(struct records *records, const char *folder, const char *name,
                        struct err *err) {
    struct dataset_file file = {0};
    uint8_t record[RECORD];
    size_t got = 0, before = records->n;
    int rc = dataset_file_open(&file, folder, name, err);
    while (rc == 0) {
        if ((rc = dataset_file_read(&file, record, RECORD, err, &got)) != 0 || got == 0)
            break;
        if (got < RECORD)
            rc = err_set(err, ESP_ECORRUPT, "/path",
                         "%s ends at byte %llu, inside record %zu of %d "
                         "bytes",
                         file.path, (unsigned long long)file.position, records->n - before, RECORD);
        else if (records->n - before >= FILE_RECORDS_MAX)
            rc = err_set(err, ESP_ELIMIT, "/path", "%s holds more than %d images", file.path,
                         FILE_RECORDS_MAX);
        else
            rc = take_record(records, &file, record, err);
    }
    if (rc == 0 && records->n == before)
        rc = err_set(err, ESP_ECORRUPT, "/path", "%s holds no images", file.path);
    dataset_file_close(&file);
    return rc;
}

static int cifar10_load(const char *folder, struct err *err, struct dataset_images *ret_images) {
    struct records records = {0};
    char name[32];
    int rc = 0;
    for (int i = 1; rc == 0 && i <= TRAIN_FILES; i++) {
        snprintf(name, sizeof name, "data_batch_%d.bin", i);
        rc = read_records(&records, folder, name, err);
    }
    size_t n_train = records.n;
    if (rc == 0)
        rc = read_records(&records, folder, "test_batch.bin", err);
    *ret_images = (struct dataset_images){.channels = 3,
                                          .height = SIDE,
                                          .width = SIDE,
                                          .n_classes = CLASSES,
                                          .n_train = n_train,
                                          .n_test = records.n - n_train,
                                          .images = records.images,
                                          .labels = records.labels};
    return rc;
}

static bool cifar10_probe(const char *folder) {
    return dataset_file_exists(folder, "data_batch_1.bin");
}

extern const struct dataset_format dataset_format_cifar10;
const struct dataset_format dataset_format_cifar10 = {
    .name = "cifar10",
    .help = "CIFAR-10 binary version: data_batch_1.bin to data_batch_5.bin, test_batch.bin",
    .probe = cifar10_probe,
    .load = cifar10_load,
};
