/* The binary versions of CIFAR-10 and CIFAR-100: records of one label byte, or of a coarse and a
 * fine one, and 3 x 32 x 32 bytes, red plane first.
 * Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009, and the
 * data sets' own page. */
#include "supernet/dataset_format.h"

#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIDE = 32,
    PIXELS = 3 * SIDE * SIDE,
    LABELS_MAX = 2, /* label bytes of a record */
    RECORD_MAX = LABELS_MAX + PIXELS,
    TRAIN_FILES_MAX = 5,
    FILE_RECORDS_MAX = 100000, /* the official files hold 10,000 or 50,000 */
    GROW_RECORDS = 10000
};

/* How the two differ. The last label byte is the class. */
struct layout {
    int n_labels;
    int below[LABELS_MAX]; /* each label byte's bound */
    const char *train[TRAIN_FILES_MAX + 1], *test;
    const char *names; /* of the classes, a line each; may be absent */
};

static const struct layout cifar10 = {
    .n_labels = 1,
    .below = {10},
    .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
              "data_batch_5.bin"},
    .test = "test_batch.bin",
    .names = "batches.meta.txt",
};
static const struct layout cifar100 = {
    .n_labels = 2, /* coarse, fine */
    .below = {20, 100},
    .train = {"train.bin"},
    .test = "test.bin",
    .names = "fine_label_names.txt",
};

struct records {
    const struct layout *layout;
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
                       const uint8_t *record, struct err *err) {
    int n_labels = records->layout->n_labels;
    uint64_t start = file->position - (uint64_t)(n_labels + PIXELS);
    for (int i = 0; i < n_labels; i++)
        if (record[i] >= records->layout->below[i])
            return err_set(err, ESP_ECORRUPT, "/path", "%s: label %d at byte %llu is not below %d",
                           file->path, record[i], (unsigned long long)start + (unsigned)i,
                           records->layout->below[i]);
    int rc = reserve(records, err);
    if (rc != 0)
        return rc;
    memcpy(records->images + records->n * PIXELS, record + n_labels, PIXELS);
    records->labels[records->n++] = record[n_labels - 1];
    return 0;
}

static int read_records(struct records *records, const char *folder, const char *name,
                        struct err *err) {
    struct dataset_file file = {0};
    uint8_t record[RECORD_MAX];
    size_t bytes = (size_t)records->layout->n_labels + PIXELS, got = 0, before = records->n;
    int rc = dataset_file_open(&file, folder, name, err);
    while (rc == 0) {
        if ((rc = dataset_file_read(&file, record, bytes, err, &got)) != 0 || got == 0)
            break;
        if (got < bytes)
            rc = err_set(err, ESP_ECORRUPT, "/path",
                         "%s ends at byte %llu, inside record %zu of %zu bytes", file.path,
                         (unsigned long long)file.position, records->n - before, bytes);
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

static int load(const struct layout *layout, const char *folder, struct err *err,
                struct dataset_images *ret_images) {
    struct records records = {.layout = layout};
    int rc = 0;
    for (int i = 0; rc == 0 && layout->train[i]; i++)
        rc = read_records(&records, folder, layout->train[i], err);
    size_t n_train = records.n;
    if (rc == 0)
        rc = read_records(&records, folder, layout->test, err);
    *ret_images = (struct dataset_images){.channels = 3,
                                          .height = SIDE,
                                          .width = SIDE,
                                          .n_classes = layout->below[layout->n_labels - 1],
                                          .n_train = n_train,
                                          .n_test = records.n - n_train,
                                          .images = records.images,
                                          .labels = records.labels};
    if (rc == 0)
        ret_images->class_names = dataset_read_names(folder, layout->names, ret_images->n_classes);
    return rc;
}

static int cifar10_load(const struct dataset_options *options, struct err *err,
                        struct dataset_images *ret_images) {
    return load(&cifar10, options->path, err, ret_images);
}

static int cifar100_load(const struct dataset_options *options, struct err *err,
                         struct dataset_images *ret_images) {
    return load(&cifar100, options->path, err, ret_images);
}

static bool cifar10_probe(const char *folder) {
    return dataset_file_exists(folder, cifar10.train[0]);
}

static bool cifar100_probe(const char *folder) {
    return dataset_file_exists(folder, cifar100.train[0]) &&
           dataset_file_exists(folder, cifar100.test);
}

extern const struct dataset_format dataset_format_cifar10, dataset_format_cifar100;
const struct dataset_format dataset_format_cifar10 = {
    .name = "cifar10",
    .help = "CIFAR-10 binary version: data_batch_1.bin to data_batch_5.bin, test_batch.bin",
    .probe = cifar10_probe,
    .load = cifar10_load,
};
const struct dataset_format dataset_format_cifar100 = {
    .name = "cifar100",
    .help = "CIFAR-100 binary version: train.bin, test.bin; the fine labels are the classes",
    .probe = cifar100_probe,
    .load = cifar100_load,
};
