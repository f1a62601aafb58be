#include "fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct fixture_idx shape = {.n_train = 60, .n_test = 20, .side = 9, .n_classes = 5};

static int setup(void **state) {
    *state = fixture_make_dir();
    return 0;
}

static int teardown(void **state) {
    fixture_remove_dir(*state);
    return 0;
}

static int open_with(const char *dir, size_t validation, uint64_t seed, struct err *err,
                     struct dataset **ret) {
    struct dataset_options options = {.path = dir, .validation = validation, .split_seed = seed};
    return dataset_open(&options, err, ret);
}

/* Opening fails with this code and a message that holds text. */
static void assert_refused(const char *dir, int code, const char *text) {
    struct err err = {0};
    struct dataset *dataset = NULL;
    int rc = open_with(dir, 10, 1, &err, &dataset);
    assert_null(dataset);
    assert_int_equal(rc, code);
    if (!strstr(err.message, text))
        fail_msg("\"%s\" is not in \"%s\"", text, err.message);
}

static void reads_shapes_and_splits(void **state) {
    struct dataset *dataset = fixture_dataset(*state, &shape, 10);
    assert_int_equal(dataset->channels, 1);
    assert_int_equal(dataset->height, 9);
    assert_int_equal(dataset->width, 9);
    assert_int_equal(dataset->n_classes, 5);
    assert_int_equal(dataset->n[SPLIT_TRAIN], 50);
    assert_int_equal(dataset->n[SPLIT_VALIDATION], 10);
    assert_int_equal(dataset->n[SPLIT_TEST], 20);
    assert_string_equal(dataset->format, "idx");
    assert_int_equal(strlen(dataset->revision), 32);
    int seen[80] = {0};
    for (int s = 0; s < SPLITS; s++)
        for (size_t i = 0; i < dataset->n[s]; i++) {
            assert_true(dataset->index[s][i] < 80);
            assert_true(i == 0 || dataset->index[s][i] > dataset->index[s][i - 1]);
            assert_true((dataset->index[s][i] >= 60) == (s == SPLIT_TEST));
            seen[dataset->index[s][i]]++;
        }
    for (int i = 0; i < 80; i++)
        assert_int_equal(seen[i], 1);
    for (int i = 0; i < 60; i++)
        assert_int_equal(dataset->labels[i], i % 5);
    dataset_close(dataset);
}

static void statistics_are_those_of_the_train_split(void **state) {
    struct dataset *dataset = fixture_dataset(*state, &shape, 10);
    double sum = 0, squares = 0, n = 50.0 * 81;
    for (size_t i = 0; i < 50; i++)
        for (int j = 0; j < 81; j++) {
            double v = dataset->images[dataset->index[SPLIT_TRAIN][i] * 81 + (uint32_t)j] / 255.0;
            sum += v;
            squares += v * v;
        }
    assert_true(fabs(dataset->mean[0] - sum / n) < 1e-6);
    assert_true(fabs(dataset->deviation[0] - sqrt(squares / n - sum / n * sum / n)) < 1e-6);
    dataset_close(dataset);
}

static void revision_follows_bytes_and_split(void **state) {
    struct dataset *a = fixture_dataset(*state, &shape, 10), *b, *c, *d;
    struct err err = {0};
    assert_int_equal(open_with(*state, 10, 7, &err, &b), 0);
    assert_int_equal(open_with(*state, 10, 8, &err, &c), 0);
    assert_int_equal(open_with(*state, 11, 7, &err, &d), 0);
    assert_string_equal(a->revision, b->revision);
    assert_string_not_equal(a->revision, c->revision);
    assert_string_not_equal(a->revision, d->revision);
    dataset_close(b);
    dataset_close(c);
    dataset_close(d);
    uint8_t *labels = malloc(68);
    memcpy(labels, "\0\0\10\1\0\0\0\74", 8);
    for (int i = 0; i < 60; i++)
        labels[8 + i] = (uint8_t)(i % 5);
    labels[8] = 1; /* one label differs */
    fixture_write_file(*state, "train-labels-idx1-ubyte", labels, 68);
    assert_int_equal(open_with(*state, 10, 7, &err, &b), 0);
    assert_string_not_equal(a->revision, b->revision);
    free(labels);
    dataset_close(a);
    dataset_close(b);
}

static void reads_gzip(void **state) {
    struct dataset *plain = fixture_dataset(*state, &shape, 10), *packed = NULL;
    char path[1024];
    static const char *const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                        "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
    for (int i = 0; i < 4; i++) {
        char bytes[8192], gz[64];
        snprintf(path, sizeof path, "%s/%s", (char *)*state, names[i]);
        FILE *file = fopen(path, "rb");
        size_t len = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        remove(path);
        snprintf(gz, sizeof gz, "%s.gz", names[i]);
        fixture_write_gz(*state, gz, bytes, len);
    }
    struct err err = {0};
    assert_int_equal(open_with(*state, 10, 7, &err, &packed), 0);
    assert_string_equal(plain->revision, packed->revision);
    dataset_close(plain);
    dataset_close(packed);
    fixture_truncate(*state, "train-images-idx3-ubyte.gz", 1000);
    assert_refused(*state, ESP_ECORRUPT, "train-images-idx3-ubyte.gz ends at byte");
}

static void truncated_file_names_file_and_byte(void **state) {
    fixture_write_idx(*state, &shape);
    fixture_truncate(*state, "t10k-images-idx3-ubyte", 16 + 81 * 20 - 1);
    assert_refused(*state, ESP_ECORRUPT, "t10k-images-idx3-ubyte ends at byte 1635 of 1636");
    fixture_write_idx(*state, &shape);
    fixture_truncate(*state, "train-labels-idx1-ubyte", 30);
    assert_refused(*state, ESP_ECORRUPT, "train-labels-idx1-ubyte ends at byte 30 of 68");
    fixture_truncate(*state, "train-labels-idx1-ubyte", 3);
    assert_refused(*state, ESP_ECORRUPT, "ends at byte 3 of 4");
}

static void refuses_bad_headers(void **state) {
    fixture_write_idx(*state, &shape);
    fixture_write_file(*state, "train-images-idx3-ubyte", "\x89PNG\r\n\x1a\n", 8);
    assert_refused(*state, ESP_ECORRUPT, "is no idx file: it begins 89504e47");
    fixture_write_file(*state, "train-images-idx3-ubyte", "\0\0\x0d\3\0\0\0\1\0\0\0\1\0\0\0\1abcd",
                       20);
    assert_refused(*state, ESP_EUNSUPPORTED, "type 0x0d");
    fixture_write_file(*state, "train-images-idx3-ubyte", "\0\0\10\1\0\0\0\1a", 9);
    assert_refused(*state, ESP_EUNSUPPORTED, "1 dimensions");
    fixture_write_file(*state, "train-images-idx3-ubyte",
                       "\0\0\10\3\377\377\377\377\377\377\377\377\377\377\377\377", 16);
    assert_refused(*state, ESP_ELIMIT, "at most");
    fixture_write_file(*state, "train-images-idx3-ubyte", "\0\0\10\3\0\0\0\0\0\0\0\1\0\0\0\1", 16);
    assert_refused(*state, ESP_ECORRUPT, "holds no pixels");
}

static void refuses_what_does_not_agree(void **state) {
    fixture_write_idx(*state, &shape);
    fixture_write_file(*state, "train-labels-idx1-ubyte", "\0\0\10\1\0\0\0\2\0\1", 10);
    assert_refused(*state, ESP_ECORRUPT, "2 labels in 1 dimensions for 60 images");
    struct fixture_idx other = shape;
    fixture_write_idx(*state, &shape);
    fixture_write_file(*state, "t10k-images-idx3-ubyte", "\0\0\10\3\0\0\0\1\0\0\0\2\0\0\0\2abcd",
                       20);
    assert_refused(*state, ESP_ECORRUPT, "holds images of 9x9");
    fixture_write_idx(*state, &shape);
    uint8_t labels[28] = {0, 0, 8, 1, 0, 0, 0, 20, [12] = 5};
    fixture_write_file(*state, "t10k-labels-idx1-ubyte", labels, sizeof labels);
    assert_refused(*state, ESP_ECORRUPT, "test image 4 has label 5, but there are 5 classes");
    fixture_write_file(*state, "t10k-labels-idx1-ubyte", "\0\0\10\1\0\0\0\24aaaaaaaaaaaaaaaaaaaabc",
                       30);
    assert_refused(*state, ESP_ECORRUPT, "goes on behind byte 28");
    other.n_classes = 1;
    fixture_write_idx(*state, &other);
    assert_refused(*state, ESP_EINVAL, "one class cannot be learnt");
}

/* 60 images of classes 0 to 4 make 5 classes; with one label of 255 they would make 256. */
static void refuses_classes_without_images(void **state) {
    uint8_t labels[68] = {0, 0, 8, 1, 0, 0, 0, 60};
    fixture_write_idx(*state, &shape);
    for (int i = 0; i < 60; i++)
        labels[8 + i] = (uint8_t)(i % 5);
    labels[8 + 17] = 255;
    fixture_write_file(*state, "train-labels-idx1-ubyte", labels, sizeof labels);
    assert_refused(*state, ESP_EINVAL,
                   "no training image is of class 5, but the labels reach up to 255 (training "
                   "image 17)");
    for (int i = 0; i < 60; i++) /* none of class 0 */
        labels[8 + i] = (uint8_t)(1 + i % 4);
    fixture_write_file(*state, "train-labels-idx1-ubyte", labels, sizeof labels);
    assert_refused(*state, ESP_EINVAL, "no training image is of class 0");
}

static void refuses_what_is_not_there(void **state) {
    char path[1024];
    assert_refused(*state, ESP_EUNSUPPORTED,
                   "no files of a known format (idx, cifar10, cifar100, folder)");
    fixture_write_idx(*state, &shape);
    snprintf(path, sizeof path, "%s/t10k-labels-idx1-ubyte", (char *)*state);
    remove(path);
    assert_refused(*state, ESP_ENOTFOUND, "t10k-labels-idx1-ubyte");
    snprintf(path, sizeof path, "%s/nowhere", (char *)*state);
    assert_refused(path, ESP_ENOTFOUND, "is not a folder");
    struct err err = {0};
    struct dataset *dataset = NULL;
    struct dataset_options options = {.path = *state, .format = "jpeg"};
    assert_int_equal(dataset_open(&options, &err, &dataset), ESP_EUNSUPPORTED);
    assert_string_equal(err.pointer, "/format");
    fixture_write_idx(*state, &shape);
    assert_int_equal(open_with(*state, 31, 0, &err, &dataset), ESP_EINVAL);
    assert_string_equal(err.pointer, "/validation");
}

static void write_cifar(const char *dir, int records) {
    uint8_t *bytes = malloc((size_t)records * 3073);
    char name[32];
    assert_non_null(bytes);
    for (int f = 0; f < 6; f++) {
        for (int r = 0; r < records; r++) {
            bytes[r * 3073] = (uint8_t)((r + f) % 10);
            memset(bytes + r * 3073 + 1, 10 * f + r, 3072);
        }
        snprintf(name, sizeof name, f < 5 ? "data_batch_%d.bin" : "test_batch.bin", f + 1);
        fixture_write_file(dir, name, bytes, (size_t)records * 3073);
    }
    free(bytes);
}

static void reads_cifar10(void **state) {
    struct dataset *dataset = NULL;
    struct err err = {0};
    write_cifar(*state, 4);
    assert_int_equal(open_with(*state, 5, 1, &err, &dataset), 0);
    assert_string_equal(dataset->format, "cifar10");
    assert_int_equal(dataset->channels, 3);
    assert_int_equal(dataset->width, 32);
    assert_int_equal(dataset->n_classes, 10);
    assert_int_equal(dataset->n[SPLIT_TRAIN], 15);
    assert_int_equal(dataset->n[SPLIT_TEST], 4);
    assert_int_equal(dataset->labels[4 + 2], 3); /* second file, third record */
    assert_int_equal(dataset->images[(4 + 2) * 3072], 12);
    assert_int_equal(dataset->images[22 * 3072 + 3071], 52); /* third test image */
    dataset_close(dataset);
}

static void refuses_damaged_cifar10(void **state) {
    uint8_t record[3073] = {10};
    write_cifar(*state, 4);
    fixture_truncate(*state, "data_batch_3.bin", 3073 + 5);
    assert_refused(*state, ESP_ECORRUPT, "data_batch_3.bin ends at byte 3078, inside record 1");
    fixture_write_file(*state, "data_batch_3.bin", record, sizeof record);
    assert_refused(*state, ESP_ECORRUPT, "data_batch_3.bin: label 10 at byte 0");
    fixture_write_file(*state, "data_batch_3.bin", "", 0);
    assert_refused(*state, ESP_ECORRUPT, "data_batch_3.bin holds no images");
}

/* Record r of a file has coarse label r % 20, fine label (7 * r + shift) % 100 and pixels r. */
static void write_cifar100(const char *dir, const char *name, int records, int shift) {
    uint8_t *bytes = malloc((size_t)records * 3074);
    assert_non_null(bytes);
    for (int r = 0; r < records; r++) {
        bytes[r * 3074] = (uint8_t)(r % 20);
        bytes[r * 3074 + 1] = (uint8_t)((7 * r + shift) % 100);
        memset(bytes + r * 3074 + 2, r, 3072);
    }
    fixture_write_file(dir, name, bytes, (size_t)records * 3074);
    free(bytes);
}

static void reads_the_fine_labels_of_cifar100(void **state) {
    struct dataset *dataset = NULL;
    struct err err = {0};
    write_cifar100(*state, "train.bin", 40, 1);
    write_cifar100(*state, "test.bin", 6, 2);
    assert_int_equal(open_with(*state, 5, 1, &err, &dataset), 0);
    assert_string_equal(dataset->format, "cifar100");
    assert_int_equal(dataset->n_classes, 100);
    assert_int_equal(dataset->n[SPLIT_TRAIN], 35);
    assert_int_equal(dataset->n[SPLIT_TEST], 6);
    assert_int_equal(dataset->labels[30], 11);
    assert_int_equal(dataset->labels[40 + 3], 23);
    assert_int_equal(dataset->images[30 * 3072], 30);
    assert_int_equal(dataset->images[43 * 3072 + 3071], 3);
    dataset_close(dataset);
}

static void refuses_damaged_cifar100(void **state) {
    uint8_t record[3074] = {19, 100};
    write_cifar100(*state, "train.bin", 40, 1);
    write_cifar100(*state, "test.bin", 6, 2);
    fixture_truncate(*state, "test.bin", 3074 + 1);
    assert_refused(*state, ESP_ECORRUPT, "test.bin ends at byte 3075, inside record 1 of 3074");
    fixture_write_file(*state, "test.bin", record, sizeof record);
    assert_refused(*state, ESP_ECORRUPT, "test.bin: label 100 at byte 1 is not below 100");
    record[0] = 20;
    fixture_write_file(*state, "test.bin", record, sizeof record);
    assert_refused(*state, ESP_ECORRUPT, "test.bin: label 20 at byte 0 is not below 20");
}

static void small_images_are_enlarged_twice_at_most(void **state) {
    struct err err = {0};
    assert_int_equal(dataset_check_size(28, 28, 28, &err), 0);
    assert_int_equal(dataset_check_size(64, 64, 28, &err), 0);
    assert_int_equal(dataset_check_size(16, 16, 32, &err), 0);
    assert_int_equal(dataset_check_size(40, 15, 32, &err), ESP_EINVAL);
    assert_string_equal(err.pointer, "/dataset");
    assert_int_equal(dataset_check_size(8, 8, 32, &err), ESP_EINVAL);
    assert_non_null(strstr(err.message, "8x8 pixels and the space's largest resolution is 32: they "
                                        "would be enlarged 4.0 times, and at most 2 times"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_shapes_and_splits, setup, teardown),
        cmocka_unit_test_setup_teardown(statistics_are_those_of_the_train_split, setup, teardown),
        cmocka_unit_test_setup_teardown(revision_follows_bytes_and_split, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_gzip, setup, teardown),
        cmocka_unit_test_setup_teardown(truncated_file_names_file_and_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_does_not_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_classes_without_images, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_cifar10, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_damaged_cifar10, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_the_fine_labels_of_cifar100, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_damaged_cifar100, setup, teardown),
        cmocka_unit_test(small_images_are_enlarged_twice_at_most),
    };
    return cmocka_run_group_tests_name("supernet-dataset", tests, NULL, NULL);
}
