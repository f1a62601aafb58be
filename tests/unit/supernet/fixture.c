#include "fixture.h"

#include "base/rng.h"
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <cmocka.h>

char *fixture_make_dir(void) {
    const char *root = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/espalier-test-XXXXXX", root ? root : "/tmp");
    assert_non_null(mkdtemp(path));
    char *dir = strdup(path);
    assert_non_null(dir);
    return dir;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    return remove(path);
}

void fixture_remove_dir(char *dir) {
    nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(dir);
}

void fixture_write_file(const char *dir, const char *name, const void *data, size_t len) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

void fixture_write_gz(const char *dir, const char *name, const void *data, size_t len) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, data, (unsigned)len), (int)len);
    assert_int_equal(gzclose(file), Z_OK);
}

void fixture_truncate(const char *dir, const char *name, size_t len) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(truncate(path, (off_t)len), 0);
}

static uint8_t *put_u32(uint8_t *out, uint32_t value) {
    for (int i = 3; i >= 0; i--)
        *out++ = (uint8_t)(value >> (8 * i));
    return out;
}

static void paint(uint8_t *image, int side, int class, struct rng *rng) {
    int patch = side / 3, row = class / 3 % 3 * patch, column = class % 3 * patch;
    for (int i = 0; i < side * side; i++)
        image[i] = (uint8_t)rng_below(rng, 60);
    for (int y = row; y < row + patch; y++)
        for (int x = column; x < column + patch; x++)
            image[y * side + x] = (uint8_t)(150 + rng_below(rng, 100));
}

static void write_part(const char *dir, const char *part, int n, const struct fixture_idx *shape,
                       uint64_t seed) {
    size_t pixels = (size_t)shape->side * (size_t)shape->side;
    uint8_t *images = malloc(16 + (size_t)n * pixels), *labels = malloc(8 + (size_t)n), *out;
    char name[64];
    struct rng rng = rng_make(seed, RNG_TEST, 0, 0);
    assert_non_null(images);
    assert_non_null(labels);
    out = put_u32(images, 0x00000803);
    out = put_u32(out, (uint32_t)n);
    out = put_u32(out, (uint32_t)shape->side);
    put_u32(out, (uint32_t)shape->side);
    put_u32(put_u32(labels, 0x00000801), (uint32_t)n);
    for (int i = 0; i < n; i++) {
        labels[8 + i] = (uint8_t)(i % shape->n_classes);
        paint(images + 16 + (size_t)i * pixels, shape->side, labels[8 + i], &rng);
    }
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", part);
    fixture_write_file(dir, name, images, 16 + (size_t)n * pixels);
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", part);
    fixture_write_file(dir, name, labels, 8 + (size_t)n);
    free(images);
    free(labels);
}

void fixture_write_idx(const char *dir, const struct fixture_idx *shape) {
    write_part(dir, "train", shape->n_train, shape, 1);
    write_part(dir, "t10k", shape->n_test, shape, 2);
}

struct space *fixture_space(int n_classes) {
    static const char text[] =
        "{\"name\": \"tiny\", \"description\": \"for tests\", \"input_channels\": 1, "
        "\"n_classes\": 5,"
        "\"resolutions\": [8, 12],"
        "\"stem\": {\"channels\": 8, \"kernel_size\": 3, \"stride\": 1, \"act\": \"relu\"},"
        "\"stages\": ["
        "{\"depths\": [1, 2], \"channels\": [8], \"kernel_sizes\": [3, 5], \"expand_ratios\": [1, "
        "2],"
        " \"stride\": 2, \"act\": \"relu\", \"se\": false},"
        "{\"depths\": [1, 2], \"channels\": [8, 16], \"kernel_sizes\": [3, 5],"
        " \"expand_ratios\": [2, 3], \"stride\": 2, \"act\": \"h_swish\", \"se\": true}],"
        "\"head\": {\"expand_channels\": 32, \"mix_channels\": 0, \"act\": \"h_swish\"}}";
    struct space *tiny = NULL, *space = NULL;
    struct err err = {0};
    if (space_parse(text, strlen(text), &err, &tiny) != 0 ||
        space_adapt(tiny, n_classes, 1, &err, &space) != 0)
        fail_msg("%s: %s", err.pointer, err.message);
    space_destroy(tiny);
    return space;
}

struct dataset *fixture_dataset(const char *dir, const struct fixture_idx *shape,
                                size_t validation) {
    struct dataset *dataset = NULL;
    struct err err = {0};
    struct dataset_options options = {.path = dir, .validation = validation, .split_seed = 7};
    fixture_write_idx(dir, shape);
    if (dataset_open(&options, &err, &dataset) != 0)
        fail_msg("%s", err.message);
    return dataset;
}

static void put_chunk(FILE *file, const char *kind, const uint8_t *data, size_t len) {
    uint8_t word[4];
    uLong crc = crc32(crc32(0, (const Bytef *)kind, 4), len ? data : (const Bytef *)"", (uInt)len);
    put_u32(word, (uint32_t)len);
    fwrite(word, 1, 4, file);
    fwrite(kind, 1, 4, file);
    if (len > 0)
        fwrite(data, 1, len, file);
    put_u32(word, (uint32_t)crc);
    fwrite(word, 1, 4, file);
}

void fixture_write_png(const char *dir, const char *name, int width, int height, uint8_t value) {
    char path[2048];
    uint8_t head[13] = {[8] = 8, [9] = 2};
    size_t pitch = 1 + (size_t)width * 3, len = pitch * (size_t)height;
    uLongf packed = compressBound(len);
    uint8_t *rows = calloc(len, 1), *data = malloc(packed);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    put_u32(put_u32(head, (uint32_t)width), (uint32_t)height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < 3 * width; x++)
            rows[(size_t)y * pitch + 1 + (size_t)x] = (uint8_t)(value + 3 * y + x);
    assert_int_equal(compress(data, &packed, rows, len), Z_OK);
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, file);
    put_chunk(file, "IHDR", head, sizeof head);
    put_chunk(file, "IDAT", data, packed);
    put_chunk(file, "IEND", NULL, 0);
    assert_int_equal(fclose(file), 0);
    free(rows);
    free(data);
}
