#include "golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"

static uint32_t name_hash(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

static double noise_at(uint32_t hash, size_t index) {
    uint32_t x = hash + (uint32_t)index * 2654435761u;
    x = (x ^ (x >> 16)) * 0x45D9F3Bu;
    x = (x ^ (x >> 16)) * 0x45D9F3Bu;
    return (x ^ (x >> 16)) / 2147483648.0 - 1.0;
}

void golden_noise(const char *name, size_t count, float *ret_values) {
    for (size_t i = 0; i < count; i++)
        ret_values[i] = (float)noise_at(name_hash(name), i);
}

/* Scale and offset of a tensor's noise; transforms have theirs on the diagonal only. */
static void fill_tensor(struct tensor *t) {
    bool matrix = t->kind == TENSOR_TRANSFORM, weight = t->kind == TENSOR_WEIGHT;
    bool positive = t->kind == TENSOR_BN_SCALE || t->kind == TENSOR_BN_VARIANCE;
    double scale = matrix ? 0.1 : weight ? sqrt(3.0 * t->dims[0] / (double)t->count) : 0.5;
    for (size_t i = 0; i < t->count; i++) {
        double offset = positive || (matrix && i % ((size_t)t->dims[0] + 1) == 0) ? 1 : 0;
        t->data[i] = (float)(offset + scale * noise_at(name_hash(t->name), i));
    }
}

void golden_fill(struct supernet *net) {
    for (int i = 0; i < net->n_tensors; i++)
        fill_tensor(&net->tensors[i]);
}

static char *read_golden(const char *name, const char *suffix, size_t *ret_len) {
    char path[4096], *data = NULL;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s.%s", getenv("GOLDEN_DIR"), name, suffix);
    if (file_read(path, 1 << 20, &err, &data, ret_len) < 0)
        fail_msg("%s", err.message);
    return data;
}

static void read_archs(struct golden *golden) {
    for (int i = 0; i < GOLDEN_SUBNETS; i++) {
        char key[32];
        struct err err = {0};
        snprintf(key, sizeof key, "arch %d ", i);
        const char *at = strstr(golden->text, key);
        assert_non_null(at);
        at += strlen(key);
        if (arch_parse(golden->space, at, strcspn(at, "\n"), &err, &golden->archs[i]) < 0)
            fail_msg("%s", err.message);
    }
}

void golden_open(struct golden *golden, const char *name) {
    size_t len = 0;
    struct err err = {0};
    char *json = read_golden(name, "json", &len);
    if (space_parse(json, len, &err, &golden->space) < 0)
        fail_msg("%s", err.message);
    free(json);
    golden->text = read_golden(name, "txt", &len);
    golden->data = (float *)(void *)read_golden(name, "bin", &len);
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
    free(golden->text);
    free(golden->data);
}

const float *golden_find(const struct golden *golden, const char *what, int subnet,
                         const char *name, size_t *ret_count) {
    char key[160];
    size_t first;
    snprintf(key, sizeof key, "\n%s %d %s ", what, subnet, name);
    const char *at = strstr(golden->text, key);
    if (!at)
        return NULL;
    assert_int_equal(sscanf(at + strlen(key), "%zu %zu", &first, ret_count), 2);
    return golden->data + first;
}
