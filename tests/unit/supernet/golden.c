#include "golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"

uint32_t golden_hash(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

uint32_t golden_word(uint32_t hash, size_t index) {
    uint32_t x = hash + (uint32_t)index * 2654435761u;
    x = (x ^ (x >> 16)) * 0x45D9F3Bu;
    x = (x ^ (x >> 16)) * 0x45D9F3Bu;
    return x ^ (x >> 16);
}

static double noise_at(uint32_t hash, size_t index) {
    return golden_word(hash, index) / 2147483648.0 - 1.0;
}

void golden_noise(const char *name, size_t count, float *ret_values) {
    uint32_t hash = golden_hash(name);
    for (size_t i = 0; i < count; i++)
        ret_values[i] = (float)noise_at(hash, i);
}

/* Scale and offset of a tensor's noise; transforms have theirs on the diagonal only. */
static void fill_tensor(struct tensor *t) {
    uint32_t hash = golden_hash(t->name);
    bool matrix = t->kind == TENSOR_TRANSFORM, weight = t->kind == TENSOR_WEIGHT;
    bool positive = t->kind == TENSOR_BN_SCALE || t->kind == TENSOR_BN_VARIANCE;
    double scale = matrix ? 0.1 : weight ? sqrt(3.0 * t->dims[0] / (double)t->count) : 0.5;
    for (size_t i = 0; i < t->count; i++) {
        double offset = positive || (matrix && i % ((size_t)t->dims[0] + 1) == 0) ? 1 : 0;
        t->data[i] = (float)(offset + scale * noise_at(hash, i));
    }
}

void golden_fill(struct supernet *net) {
    for (int i = 0; i < net->n_tensors; i++)
        fill_tensor(&net->tensors[i]);
}

char *golden_read(const char *name, size_t *ret_len) {
    char path[4096], *data = NULL;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s", getenv("GOLDEN_DIR"), name);
    if (file_read(path, 1 << 20, &err, &data, ret_len) < 0)
        fail_msg("%s", err.message);
    return data;
}

void golden_file_open(const char *name, struct golden_file *file) {
    size_t len = 0;
    char path[64];
    snprintf(path, sizeof path, "%s.txt", name);
    file->text = golden_read(path, &len);
    snprintf(path, sizeof path, "%s.bin", name);
    file->data = (float *)(void *)golden_read(path, &len);
}

void golden_file_close(struct golden_file *file) {
    free(file->text);
    free(file->data);
}

/* Behind a line's beginning, or NULL. */
static const char *find_line(const struct golden_file *file, const char *key) {
    const char *at = file->text;
    while (at && strncmp(at, key, strlen(key)) != 0) {
        at = strchr(at, '\n');
        at = at && at[1] ? at + 1 : NULL;
    }
    return at ? at + strlen(key) : NULL;
}

bool golden_file_line(const struct golden_file *file, const char *what, int number,
                      const char **ret_text, size_t *ret_len) {
    char key[64];
    snprintf(key, sizeof key, "%s %d ", what, number);
    const char *at = find_line(file, key);
    if (!at)
        return false;
    *ret_text = at;
    *ret_len = strcspn(at, "\n");
    return true;
}

const float *golden_file_find(const struct golden_file *file, const char *what, int number,
                              const char *name, size_t *ret_count) {
    char key[160];
    size_t first;
    snprintf(key, sizeof key, "%s %d %s ", what, number, name);
    const char *at = find_line(file, key);
    if (!at)
        return NULL;
    assert_int_equal(sscanf(at, "%zu %zu", &first, ret_count), 2);
    return file->data + first;
}

static void read_archs(struct golden *golden) {
    for (int i = 0; i < GOLDEN_SUBNETS; i++) {
        struct err err = {0};
        const char *at = NULL;
        size_t len = 0;
        assert_true(golden_file_line(&golden->file, "arch", i, &at, &len));
        if (arch_parse(golden->space, at, len, &err, &golden->archs[i]) < 0)
            fail_msg("%s", err.message);
    }
}

void golden_open(struct golden *golden, const char *name) {
    size_t len = 0;
    struct err err = {0};
    char path[64];
    snprintf(path, sizeof path, "%s.json", name);
    char *json = golden_read(path, &len);
    if (space_parse(json, len, &err, &golden->space) < 0)
        fail_msg("%s", err.message);
    free(json);
    golden_file_open(name, &golden->file);
    size_t pixels = GOLDEN_IMAGES * 3 * GOLDEN_SIDE * GOLDEN_SIDE;
    golden->images = malloc(pixels * sizeof(float));
    assert_non_null(golden->images);
    golden_noise("images", pixels, golden->images);
    for (int i = 0; i < GOLDEN_IMAGES; i++)
        golden->labels[i] = i % GOLDEN_CLASSES;
    read_archs(golden);
}

void golden_close(struct golden *golden) {
    space_destroy(golden->space);
    free(golden->images);
    golden_file_close(&golden->file);
}

const float *golden_find(const struct golden *golden, const char *what, int subnet,
                         const char *name, size_t *ret_count) {
    return golden_file_find(&golden->file, what, subnet, name, ret_count);
}
