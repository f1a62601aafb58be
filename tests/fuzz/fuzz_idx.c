/* Data set files from hostile bytes: the first byte chooses which file of a small idx, CIFAR-10
 * or CIFAR-100 folder they replace. Refused with an error, or read: then every label and index is
 * in range. */
#include "supernet/dataset.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 6, CIFAR_RECORD = 3073, CIFAR100_RECORD = 3074 };

static const char *const names[FILES] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                         "t10k-images-idx3-ubyte",  "t10k-labels-idx1-ubyte",
                                         "data_batch_1.bin",        "train.bin"};
static char folder[64];

static void require(bool ok) {
    if (!ok)
        abort();
}

static void put_file(const char *name, const void *data, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

/* Four training images of 2 x 2 and two test images. */
static void put_good(int file) {
    static const char *const good[4] = {
        "\0\0\10\3\0\0\0\4\0\0\0\2\0\0\0\2abcdefghijklmnop", "\0\0\10\1\0\0\0\4\0\1\0\1",
        "\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\2abcdefgh", "\0\0\10\1\0\0\0\2\0\1"};
    static const size_t sizes[4] = {32, 12, 24, 10};
    static uint8_t records[2 * CIFAR_RECORD] = {[CIFAR_RECORD] = 1};
    static uint8_t fine[2 * CIFAR100_RECORD] = {[CIFAR100_RECORD + 1] = 1};
    if (file < 4)
        put_file(names[file], good[file], sizes[file]);
    else if (file == 5)
        put_file(names[file], fine, sizeof fine);
    else
        put_file(names[file], records, sizeof records);
}

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    require(system(command) == 0);
}

static void make_folder(void) {
    static uint8_t records[2 * CIFAR_RECORD] = {[CIFAR_RECORD] = 1};
    char name[32];
    snprintf(folder, sizeof folder, "%s/espalier-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    require(mkdtemp(folder) != NULL);
    atexit(remove_folder);
    for (int i = 0; i < FILES; i++)
        put_good(i);
    for (int i = 2; i <= 6; i++) {
        snprintf(name, sizeof name, i < 6 ? "data_batch_%d.bin" : "test_batch.bin", i);
        put_file(name, records, sizeof records);
    }
    put_file("test.bin", (uint8_t[CIFAR100_RECORD]){1, 1}, CIFAR100_RECORD);
}

static void check(const struct dataset *dataset) {
    size_t count = 0;
    for (int s = 0; s < SPLITS; s++)
        count += dataset->n[s];
    for (int s = 0; s < SPLITS; s++)
        for (size_t i = 0; i < dataset->n[s]; i++)
            require(dataset->index[s][i] < count);
    for (size_t i = 0; i < count; i++)
        require(dataset->labels[i] < dataset->n_classes);
    require(dataset->channels >= 1 && dataset->channels <= DATASET_CHANNELS_MAX);
    for (int c = 0; c < dataset->channels; c++)
        require(dataset->deviation[c] > 0);
}

int fuzz_one(const uint8_t *data, size_t size) {
    struct dataset *dataset = NULL;
    struct err err = {0};
    if (size == 0)
        return 0;
    if (!folder[0])
        make_folder();
    int file = data[0] % FILES;
    static const char *const formats[FILES] = {"idx", "idx", "idx", "idx", "cifar10", "cifar100"};
    struct dataset_options options = {.path = folder, .format = formats[file], .validation = 1};
    put_file(names[file], data + 1, size - 1);
    if (dataset_open(&options, &err, &dataset) == 0)
        check(dataset);
    else
        require(err.code < 0 && err.message[0]);
    dataset_close(dataset);
    put_good(file);
    return 0;
}
