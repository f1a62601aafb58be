#include "supernet/dataset_format.h"

#include "base/memory.h"
#include "base/rng.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const dataset_split_names[] = {"train", "validation", "test", NULL};

#define FORMAT(word) extern const struct dataset_format dataset_format_##word;
#include "supernet/dataset_formats.inc"
#undef FORMAT
#define FORMAT(word) &dataset_format_##word,
const struct dataset_format *const dataset_formats[] = {
#include "supernet/dataset_formats.inc"
    NULL};
#undef FORMAT
#define FORMAT(word) #word,
const char *const dataset_format_names[] = {
#include "supernet/dataset_formats.inc"
    NULL};
#undef FORMAT

void dataset_images_finish(struct dataset_images *images) {
    free(images->images);
    free(images->labels);
    *images = (struct dataset_images){0};
}

static void append_format_names(char *text, size_t size) {
    text[0] = '\0';
    for (int i = 0; dataset_formats[i]; i++) {
        size_t len = strlen(text);
        snprintf(text + len, size - len, "%s%s", i ? ", " : "", dataset_formats[i]->name);
    }
}

static int choose_format(const struct dataset_options *options, struct err *err,
                         const struct dataset_format **ret_format) {
    char names[256];
    struct stat st;
    append_format_names(names, sizeof names);
    if (stat(options->path, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(err, ESP_ENOTFOUND, "/path", "%s is not a folder", options->path);
    for (int i = 0; dataset_formats[i]; i++) {
        const struct dataset_format *format = dataset_formats[i];
        if (options->format ? strcmp(options->format, format->name) == 0
                            : format->probe(options->path)) {
            *ret_format = format;
            return 0;
        }
    }
    if (options->format)
        return err_set(err, ESP_EUNSUPPORTED, "/format", "unknown format \"%s\"; known are: %s",
                       options->format, names);
    return err_set(err, ESP_EUNSUPPORTED, "/path", "%s holds no files of a known format (%s)",
                   options->path, names);
}

/* Fixes the number of classes and checks every label against it. */
static int check_labels(struct dataset_images *images, struct err *err) {
    size_t count = images->n_train + images->n_test;
    int largest = 0;
    bool several = false;
    for (size_t i = 0; i < images->n_train; i++) {
        largest = images->labels[i] > largest ? images->labels[i] : largest;
        several |= images->labels[i] != images->labels[0];
    }
    if (!several)
        return err_set(err, ESP_EINVAL, "/path",
                       "all %zu training images have label %d: one class cannot be learnt",
                       images->n_train, images->labels[0]);
    if (images->n_classes == 0)
        images->n_classes = largest + 1;
    for (size_t i = 0; i < count; i++)
        if (images->labels[i] >= images->n_classes)
            return err_set(err, ESP_ECORRUPT, "/path",
                           "%s image %zu has label %d, but there are %d "
                           "classes",
                           i < images->n_train ? "training" : "test",
                           i < images->n_train ? i : i - images->n_train, images->labels[i],
                           images->n_classes);
    return 0;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int split(struct dataset *dataset, size_t n_train, size_t n_test,
                 const struct dataset_options *options, struct err *err) {
    size_t held_out = options->validation;
    if (held_out > n_train / 2)
        return err_set(
            err, ESP_EINVAL, "/validation",
            "%zu validation images asked for, but at most half of the %zu training images "
            "can be held out",
            held_out, n_train);
    size_t n[SPLITS] = {n_train - held_out, held_out, n_test};
    uint32_t *order = mem_array(n_train + n_test, sizeof *order);
    if (!order)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the split");
    for (size_t i = 0; i < n_train + n_test; i++)
        order[i] = (uint32_t)i;
    struct rng rng = rng_make(options->split_seed, RNG_SPLIT, 0, 0);
    rng_shuffle_u32(&rng, order, n_train);
    size_t start[SPLITS] = {held_out, 0, n_train};
    for (int s = 0; s < SPLITS; s++) {
        dataset->n[s] = n[s];
        dataset->index[s] = mem_array(n[s] ? n[s] : 1, sizeof *order);
        if (!dataset->index[s]) {
            free(order);
            return err_set(err, ESP_ENOMEM, NULL, "no memory for the split");
        }
        memcpy(dataset->index[s], order + start[s], n[s] * sizeof *order);
        qsort(dataset->index[s], n[s], sizeof *order, ascending);
    }
    free(order);
    return 0;
}

static void count_bytes(const struct dataset *dataset, int channel, uint64_t counts[256]) {
    size_t plane = (size_t)dataset->height * (size_t)dataset->width;
    for (size_t i = 0; i < dataset->n[SPLIT_TRAIN]; i++) {
        size_t image = dataset->index[SPLIT_TRAIN][i];
        const uint8_t *pixels =
            dataset->images + (image * (size_t)dataset->channels + (size_t)channel) * plane;
        for (size_t j = 0; j < plane; j++)
            counts[pixels[j]]++;
    }
}

/* Mean and deviation from the counts of the 256 values: exact in any order. */
static void measure_channels(struct dataset *dataset) {
    for (int c = 0; c < dataset->channels; c++) {
        uint64_t counts[256] = {0};
        double n = 0, sum = 0, squares = 0;
        count_bytes(dataset, c, counts);
        for (int v = 0; v < 256; v++) {
            n += (double)counts[v];
            sum += (double)counts[v] * v;
            squares += (double)counts[v] * v * v;
        }
        double mean = sum / n, variance = squares / n - mean * mean;
        /* A channel of one value only would divide by nothing: one grey level at least. */
        double deviation = variance > 1 ? sqrt(variance) : 1;
        dataset->mean[c] = (float)(mean / 255);
        dataset->deviation[c] = (float)(deviation / 255);
    }
}

static void identify(struct dataset *dataset) {
    struct hash hash;
    char text[HASH_TEXT_LONG], shape[128];
    size_t count = dataset->n[SPLIT_TRAIN] + dataset->n[SPLIT_VALIDATION] + dataset->n[SPLIT_TEST];
    size_t pixels = (size_t)dataset->channels * (size_t)dataset->height * (size_t)dataset->width;
    int len =
        snprintf(shape, sizeof shape, "espalier dataset 1: %d %d %d %d %zu %zu %zu",
                 dataset->channels, dataset->height, dataset->width, dataset->n_classes,
                 dataset->n[SPLIT_TRAIN], dataset->n[SPLIT_VALIDATION], dataset->n[SPLIT_TEST]);
    hash_init(&hash);
    hash_update(&hash, shape, (size_t)len);
    hash_update(&hash, dataset->labels, count * sizeof *dataset->labels);
    hash_update(&hash, dataset->images, count * pixels);
    for (int s = 0; s < SPLITS; s++)
        hash_update(&hash, dataset->index[s], dataset->n[s] * sizeof *dataset->index[s]);
    hash_final(&hash, text);
    memcpy(dataset->revision, text, HASH_TEXT - 1);
    dataset->revision[HASH_TEXT - 1] = '\0';
}

/* Takes the images over, on success only. */
static int adopt(struct dataset_images *images, const struct dataset_format *format,
                 const struct dataset_options *options, struct err *err, struct dataset *dataset) {
    int rc = check_labels(images, err);
    if (rc == 0)
        rc = split(dataset, images->n_train, images->n_test, options, err);
    if (rc != 0)
        return rc;
    dataset->channels = images->channels;
    dataset->height = images->height;
    dataset->width = images->width;
    dataset->n_classes = images->n_classes;
    snprintf(dataset->format, sizeof dataset->format, "%s", format->name);
    dataset->images = images->images;
    dataset->labels = images->labels;
    *images = (struct dataset_images){0};
    measure_channels(dataset);
    identify(dataset);
    return 0;
}

int dataset_open(const struct dataset_options *options, struct err *err,
                 struct dataset **ret_dataset) {
    const struct dataset_format *format = NULL;
    struct dataset_images images = {0};
    struct dataset *dataset = NULL;
    int rc = choose_format(options, err, &format);
    if (rc == 0)
        rc = format->load(options->path, err, &images);
    if (rc != 0)
        goto out;
    if (!(dataset = mem_array(1, sizeof *dataset))) {
        rc = err_set(err, ESP_ENOMEM, NULL, "no memory for a data set");
        goto out;
    }
    if ((rc = adopt(&images, format, options, err, dataset)) != 0)
        goto out;
    *ret_dataset = dataset;
    dataset = NULL;
out:
    dataset_images_finish(&images);
    dataset_close(dataset);
    return rc;
}

void dataset_close(struct dataset *dataset) {
    if (!dataset)
        return;
    for (int s = 0; s < SPLITS; s++)
        free(dataset->index[s]);
    free((void *)dataset->images);
    free((void *)dataset->labels);
    free(dataset);
}
