#include "supernet/dataset_format.h"

#include "base/memory.h"
#include "base/rng.h"
#include "base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

void dataset_free_names(char **names, size_t n) {
    for (size_t i = 0; names && i < n; i++)
        free(names[i]);
    free(names);
}

void dataset_skipped_finish(struct dataset_skipped *skipped) {
    for (size_t i = 0; i < DATASET_SKIPPED_NAMED; i++)
        free(skipped->first[i].name);
    *skipped = (struct dataset_skipped){0};
}

static char *escaped(const char *name) {
    size_t len = strlen(name), used = 0;
    char *text = mem_array(len + 1, 4);
    for (size_t i = 0; text && i < len;) {
        size_t step = (unsigned char)name[i] < ' ' ? 0 : utf8_step(name + i, len - i);
        if (step > 0)
            memcpy(text + used, name + i, step);
        else
            snprintf(text + used, 5, "\\x%02x", (unsigned char)name[i]);
        used += step > 0 ? step : 4;
        i += step > 0 ? step : 1;
    }
    return text;
}

void dataset_skip(struct dataset_skipped *skipped, const char *name, const char *reason) {
    if (skipped->n < DATASET_SKIPPED_NAMED) {
        skipped->first[skipped->n].name = escaped(name);
        snprintf(skipped->first[skipped->n].reason, sizeof skipped->first[0].reason, "%s", reason);
    }
    skipped->n++;
}

static cJSON *print_skipped(const char *name, const char *reason) {
    cJSON *row = cJSON_CreateObject();
    if (cJSON_AddStringToObject(row, "name", name) &&
        cJSON_AddStringToObject(row, "reason", reason))
        return row;
    cJSON_Delete(row);
    return NULL;
}

cJSON *dataset_skipped_print(const struct dataset_skipped *skipped) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; list && i < skipped->n && i < DATASET_SKIPPED_NAMED; i++) {
        const char *name = skipped->first[i].name;
        cJSON *row = print_skipped(name ? name : "", skipped->first[i].reason);
        if (!row || !cJSON_AddItemToArray(list, row)) {
            cJSON_Delete(row);
            cJSON_Delete(list);
            list = NULL;
        }
    }
    return list;
}

void dataset_images_finish(struct dataset_images *images) {
    if (images->map)
        munmap(images->map, images->map_bytes);
    else
        free(images->images);
    free(images->labels);
    free(images->sums);
    dataset_free_names(images->class_names, (size_t)images->n_classes);
    dataset_skipped_finish(&images->skipped);
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

/* Where the labels alone say how many classes there are, one stray label would make many that
 * nothing is learnt of. */
static int require_all_classes(const struct dataset_images *images, int largest, struct err *err) {
    bool *seen = mem_array((size_t)largest + 1, sizeof *seen);
    size_t first = images->n_train;
    int missing = 0;
    if (!seen)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %d classes", largest + 1);
    for (size_t i = images->n_train; i-- > 0;) {
        seen[images->labels[i]] = true;
        first = images->labels[i] == largest ? i : first;
    }
    while (missing < largest && seen[missing])
        missing++;
    free(seen);
    if (missing == largest)
        return 0;
    return err_set(err, ESP_EINVAL, "/path",
                   "no training image is of class %d, but the labels reach up to %d (training "
                   "image %zu): is that label out of range?",
                   missing, largest, first);
}

/* Fixes the number of classes and checks every label against it. */
static int check_labels(struct dataset_images *images, struct err *err) {
    size_t count = images->n_train + images->n_validation + images->n_test;
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
    if (images->n_classes == 0) {
        int rc = require_all_classes(images, largest, err);
        if (rc != 0)
            return rc;
        images->n_classes = largest + 1;
    }
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

int dataset_check_size(int height, int width, int resolution, struct err *err) {
    int side = height < width ? height : width;
    if (resolution <= DATASET_ENLARGED_MAX * side)
        return 0;
    return err_set(err, ESP_EINVAL, "/dataset",
                   "the images have %dx%d pixels and the space's largest resolution is %d: they "
                   "would be enlarged %.1f times, and at most %d times is allowed; choose larger "
                   "images or a space of smaller resolutions",
                   width, height, resolution, (double)resolution / (side > 0 ? side : 1),
                   DATASET_ENLARGED_MAX);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* How many images of each split, and how many of them are cut off the training images. */
struct cut {
    size_t validation, test;
};

static int plan_cut(const struct dataset_images *images, const struct dataset_options *options,
                    struct err *err, struct cut *ret_cut) {
    struct cut cut = {0, images->cut ? (images->n_train + 9) / 10 : 0};
    size_t left = images->n_train - cut.test;
    if (options->validation == DATASET_VALIDATION_AUTO)
        cut.validation =
            left / 10 < DATASET_VALIDATION_DEFAULT ? left / 10 : DATASET_VALIDATION_DEFAULT;
    else
        cut.validation = options->validation;
    if (images->n_validation > 0)
        cut.validation = 0; /* the files say which */
    if (cut.validation > left / 2)
        return err_set(
            err, ESP_EINVAL, "/validation",
            "%zu validation images asked for, but at most half of the %zu training images "
            "can be held out",
            cut.validation, left);
    *ret_cut = cut;
    return 0;
}

/* Takes n images from order on as a split, ascending. */
static int take_split(struct dataset *dataset, enum dataset_split split, const uint32_t *order,
                      size_t n, struct err *err) {
    dataset->n[split] = n;
    dataset->index[split] = mem_array(n ? n : 1, sizeof *order);
    if (!dataset->index[split])
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the split");
    memcpy(dataset->index[split], order, n * sizeof *order);
    qsort(dataset->index[split], n, sizeof *order, ascending);
    return 0;
}

/* order: the shuffled training images (validation first, then test, when they are cut off), then
 * those that the files give to validation and test. */
static int take_splits(struct dataset *dataset, const struct dataset_images *images,
                       const struct cut *cut, const uint32_t *order, struct err *err) {
    size_t held_out = cut->validation + cut->test, n_train = images->n_train;
    bool named = images->n_validation > 0;
    const uint32_t *validation = named ? order + n_train : order;
    const uint32_t *test =
        images->cut ? order + cut->validation : order + n_train + images->n_validation;
    int rc = take_split(dataset, SPLIT_TRAIN, order + held_out, n_train - held_out, err);
    if (rc == 0)
        rc = take_split(dataset, SPLIT_VALIDATION, validation,
                        named ? images->n_validation : cut->validation, err);
    if (rc == 0)
        rc = take_split(dataset, SPLIT_TEST, test, images->cut ? cut->test : images->n_test, err);
    return rc;
}

static int split(struct dataset *dataset, const struct dataset_images *images,
                 const struct dataset_options *options, struct err *err) {
    size_t count = images->n_train + images->n_validation + images->n_test;
    struct cut cut = {0};
    int rc = plan_cut(images, options, err, &cut);
    if (rc != 0)
        return rc;
    uint32_t *order = mem_array(count, sizeof *order);
    if (!order)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the split");
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    struct rng rng = rng_make(options->split_seed, RNG_SPLIT, 0, 0);
    rng_shuffle_u32(&rng, order, images->n_train);
    rc = take_splits(dataset, images, &cut, order, err);
    free(order);
    return rc;
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

/* Sums over the train split from the counts of the 256 values: exact in any order. */
static struct dataset_sums sum_bytes(const struct dataset *dataset, int channel) {
    struct dataset_sums total = {0};
    uint64_t counts[256] = {0};
    count_bytes(dataset, channel, counts);
    for (uint64_t v = 0; v < 256; v++) {
        total.sum += counts[v] * v;
        total.squares += counts[v] * v * v;
    }
    return total;
}

/* The same from what is known of each image. */
static struct dataset_sums add_sums(const struct dataset *dataset, const struct dataset_sums *sums,
                                    int channel) {
    struct dataset_sums total = {0};
    for (size_t i = 0; i < dataset->n[SPLIT_TRAIN]; i++) {
        const struct dataset_sums *image =
            sums + (size_t)dataset->index[SPLIT_TRAIN][i] * (size_t)dataset->channels + channel;
        total.sum += image->sum;
        total.squares += image->squares;
    }
    return total;
}

static void measure_channels(struct dataset *dataset, const struct dataset_sums *sums) {
    double n = (double)dataset->n[SPLIT_TRAIN] * dataset->height * dataset->width;
    for (int c = 0; c < dataset->channels; c++) {
        struct dataset_sums total = sums ? add_sums(dataset, sums, c) : sum_bytes(dataset, c);
        double mean = (double)total.sum / n, variance = (double)total.squares / n - mean * mean;
        /* A channel of one value only would divide by nothing: one grey level at least. */
        double deviation = variance > 1 ? sqrt(variance) : 1;
        dataset->mean[c] = (float)(mean / 255);
        dataset->deviation[c] = (float)(deviation / 255);
    }
}

static void identify(struct dataset *dataset, const char *content) {
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
    if (content[0])
        hash_update(&hash, content, strlen(content));
    else
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
        rc = split(dataset, images, options, err);
    if (rc != 0)
        return rc;
    dataset->channels = images->channels;
    dataset->height = images->height;
    dataset->width = images->width;
    dataset->n_classes = images->n_classes;
    snprintf(dataset->format, sizeof dataset->format, "%s", format->name);
    dataset->images = images->images;
    dataset->labels = images->labels;
    dataset->map = images->map;
    dataset->map_bytes = images->map_bytes;
    dataset->class_names = images->class_names;
    dataset->skipped = images->skipped;
    dataset->n_enlarged = images->n_enlarged;
    measure_channels(dataset, images->sums);
    identify(dataset, images->content);
    free(images->sums);
    *images = (struct dataset_images){0};
    return 0;
}

int dataset_open(const struct dataset_options *options, struct err *err,
                 struct dataset **ret_dataset) {
    const struct dataset_format *format = NULL;
    struct dataset_images images = {0};
    struct dataset *dataset = NULL;
    int rc = choose_format(options, err, &format);
    if (rc == 0)
        rc = format->load(options, err, &images);
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
    if (dataset->map)
        munmap(dataset->map, dataset->map_bytes);
    else
        free((void *)dataset->images);
    free((void *)dataset->labels);
    dataset_free_names(dataset->class_names, (size_t)dataset->n_classes);
    dataset_skipped_finish(&dataset->skipped);
    free(dataset);
}
