/* Folders of JPEG and PNG images: decoded once into a cache file, which is mapped from then on. */
#include "supernet/folder.h"
#include "supernet/image.h"
#include "supernet/image_cache.h"

#include "base/file.h"
#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum {
    DECODING_VERSION = 1, /* raise it whenever the same files would give other bytes */
    BATCH_BYTES = 32 << 20,
    BATCH_FILE_BYTES = 16 << 20,
    BATCH_LEAST = 8,
    BATCH_MAX = 512,
    SAMPLED_FILES = 1000,
    SIDE_MIN = 8,
    WAIT_MS = 200,
    PATH_BYTES = 4096
};

/* One file of a batch, decoded by any thread. */
struct slot {
    struct err err;
    char hash[HASH_TEXT_LONG]; /* of the file's bytes; "" when it could not be read */
    bool enlarged;
};

struct build {
    const struct dataset_options *options;
    const struct folder_list *list;
    int side;
    size_t image_bytes, first, batch;
    struct slot *slots; /* [batch] */
    uint8_t *pixels;    /* [batch, 3, side, side] */
    size_t *of_class;   /* [n_classes] training images kept */
    struct image_cache cache;
    struct hash content;
};

static int no_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory to decode images");
}

static int fit_image(const uint8_t *data, size_t len, int side, struct slot *slot, uint8_t *ret) {
    struct image image = {0};
    int rc = image_decode(data, len, side, &slot->err, &image);
    if (rc != 0)
        return rc;
    int shortest = image.width < image.height ? image.width : image.height;
    slot->enlarged = shortest < side;
    if (2 * shortest < side)
        rc = err_set(&slot->err, ESP_EINVAL, NULL,
                     "it has %dx%d pixels, too few for the %d a side that are kept", image.width,
                     image.height, side);
    else
        rc = image_fit(&image, side, &slot->err, ret);
    image_finish(&image);
    return rc;
}

static void decode_slot(void *context, int index, int thread) {
    struct build *build = context;
    struct slot *slot = &build->slots[index];
    const struct folder_file *file = &build->list->files[build->first + (size_t)index];
    uint8_t *data = NULL;
    *slot = (struct slot){0};
    if (folder_read(build->list, file, &slot->err, &data) != 0)
        return;
    hash_text_long(data, (size_t)file->bytes, slot->hash);
    fit_image(data, (size_t)file->bytes, build->side, slot,
              build->pixels + (size_t)index * build->image_bytes);
    free(data);
}

static void skip(struct build *build, const struct folder_file *file, const struct slot *slot) {
    char path[PATH_BYTES];
    folder_path(build->list, file, path, sizeof path);
    dataset_skip(&build->cache.skipped, path, slot->err.message);
}

/* In the order of the list, whoever decoded it. */
static int keep_slot(struct build *build, struct image_cache_writer *writer, size_t index,
                     struct err *err) {
    struct slot *slot = &build->slots[index];
    const struct folder_file *file = &build->list->files[build->first + index];
    hash_update(&build->content, slot->hash, strlen(slot->hash) + 1);
    if (slot->err.code == ESP_ENOMEM)
        return no_memory(err);
    if (slot->err.code != 0) {
        skip(build, file, slot);
        return 0;
    }
    build->cache.n[file->split]++;
    build->cache.n_enlarged += slot->enlarged;
    build->of_class[file->class_index] += file->split == SPLIT_TRAIN;
    return image_cache_put(writer, build->pixels + index * build->image_bytes, file->class_index,
                           err);
}

/* Images that are decoded before anybody is asked again whether to stop: photographs take longer.
 */
static size_t next_count(const struct build *build) {
    size_t left = build->list->n_files - build->first, n = 0;
    size_t most = left < build->batch ? left : build->batch;
    int64_t bytes = 0;
    while (n < most && (n < BATCH_LEAST || bytes < BATCH_FILE_BYTES))
        bytes += build->list->files[build->first + n++].bytes;
    return n;
}

static int decode_all(struct build *build, struct image_cache_writer *writer, struct err *err) {
    const struct dataset_options *options = build->options;
    size_t n = build->list->n_files, count = 0;
    int rc = 0;
    for (build->first = 0; rc == 0 && build->first < n; build->first += count) {
        count = next_count(build);
        if (options->progress && options->progress(options->context, build->first, n))
            return err_set(err, ESP_ECANCELED, NULL, "stopped while images were decoded");
        parallel_for(options->pool, (int)count, decode_slot, build);
        for (size_t i = 0; rc == 0 && i < count; i++)
            rc = keep_slot(build, writer, i, err);
    }
    return rc;
}

static int ascending(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int shortest_side(const struct folder_list *list, const struct folder_file *file) {
    uint8_t *data = NULL;
    int width = 0, height = 0;
    if (folder_read(list, file, NULL, &data) != 0)
        return 0;
    int rc = image_size(data, (size_t)file->bytes, NULL, &width, &height);
    free(data);
    return rc != 0 ? 0 : width < height ? width : height;
}

/* The middle one of the short sides of files spread over the list, up to DATASET_SIDE_DEFAULT. */
static int choose_side(const struct folder_list *list) {
    int sides[SAMPLED_FILES], n = 0;
    size_t sampled = list->n_files < SAMPLED_FILES ? list->n_files : SAMPLED_FILES;
    for (size_t i = 0; i < sampled; i++) {
        int side = shortest_side(list, &list->files[i * list->n_files / sampled]);
        if (side > 0)
            sides[n++] = side;
    }
    qsort(sides, (size_t)n, sizeof *sides, ascending);
    int side = n > 0 ? sides[n / 2] : DATASET_SIDE_DEFAULT;
    side = side < SIDE_MIN ? SIDE_MIN : side;
    return side < DATASET_SIDE_DEFAULT ? side : DATASET_SIDE_DEFAULT;
}

static int check_share(const struct dataset_skipped *skipped, double most, struct err *err) {
    double share = skipped->n_files ? (double)skipped->n / (double)skipped->n_files : 0;
    if (share <= most)
        return 0;
    return err_set(err, ESP_ECORRUPT, "/path",
                   "%zu of %zu images cannot be used (%.1f %%, at most %.1f %% may be), the first "
                   "is %.150s: %s",
                   skipped->n, skipped->n_files, 100 * share, 100 * most,
                   skipped->first[0].name ? skipped->first[0].name : "", skipped->first[0].reason);
}

static int check_kept(const struct build *build, struct err *err) {
    const struct folder_list *list = build->list;
    int rc = check_share(&build->cache.skipped, build->options->max_skipped, err);
    for (size_t i = 0; rc == 0 && i < list->n_classes; i++)
        if (build->of_class[i] == 0)
            rc = err_set(err, ESP_ECORRUPT, "/path",
                         "none of the images of class %.200s can be used", list->classes[i]);
    if (rc == 0 && !list->cut && build->cache.n[SPLIT_TEST] == 0)
        rc = err_set(err, ESP_ECORRUPT, "/path", "%s/%s holds no image that can be used",
                     list->root, list->parts[SPLIT_TEST]);
    return rc;
}

/* Better now than after an hour of decoding. */
static int check_space(const struct build *build, const char *dir, struct err *err) {
    struct statvfs fs;
    struct rlimit limit;
    double needed = (double)build->list->n_files * (double)build->image_bytes;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        needed > (double)limit.rlim_cur)
        return err_set(
            err, ESP_ENOSPACE, NULL,
            "the cache of %zu images of %dx%d needs %.1f GB and a job may write files of "
            "%.1f GB: choose a smaller side, or start espalierd with a greater "
            "--job-file-size",
            build->list->n_files, build->side, build->side, needed / 1e9,
            (double)limit.rlim_cur / 1e9);
    if (statvfs(dir, &fs) != 0 || needed <= (double)fs.f_bavail * (double)fs.f_frsize)
        return 0;
    return err_set(err, ESP_ENOSPACE, NULL,
                   "the cache of %zu images of %dx%d needs %.1f GB in %.200s, %.1f GB are free",
                   build->list->n_files, build->side, build->side, needed / 1e9, dir,
                   (double)fs.f_bavail * (double)fs.f_frsize / 1e9);
}

static int copy_skipped(const struct dataset_skipped *from, struct dataset_skipped *to) {
    for (size_t i = 0; i < from->n && i < DATASET_SKIPPED_NAMED; i++)
        dataset_skip(to, from->first[i].name ? from->first[i].name : "", from->first[i].reason);
    to->n = from->n;
    to->n_files = from->n_files;
    return 0;
}

static int build_init(struct build *build, struct err *err) {
    const struct folder_list *list = build->list;
    build->side = build->options->side > 0 ? build->options->side : choose_side(list);
    build->image_bytes = (size_t)build->side * (size_t)build->side * IMAGE_CACHE_CHANNELS;
    build->batch = BATCH_BYTES / build->image_bytes;
    build->batch = build->batch < 2 ? 2 : build->batch > BATCH_MAX ? BATCH_MAX : build->batch;
    build->slots = mem_array(build->batch, sizeof *build->slots);
    build->pixels = mem_array(build->batch, build->image_bytes);
    build->of_class = mem_array(list->n_classes, sizeof *build->of_class);
    build->cache.side = build->side;
    build->cache.cut = list->cut;
    build->cache.classes = list->classes; /* borrowed until build_finish */
    build->cache.n_classes = list->n_classes;
    copy_skipped(&list->skipped, &build->cache.skipped);
    hash_init(&build->content);
    return build->slots && build->pixels && build->of_class ? 0 : no_memory(err);
}

static void build_finish(struct build *build) {
    free(build->slots);
    free(build->pixels);
    free(build->of_class);
    build->cache.classes = NULL;
    build->cache.n_classes = 0;
    image_cache_finish(&build->cache);
}

/* Decodes everything into a new file at path. ESP_EBUSY: another process is at it. */
static int build_cache(const struct dataset_options *options, const struct folder_list *list,
                       const char *source, const char *dir, const char *path, struct err *err) {
    struct build build = {.options = options, .list = list};
    struct image_cache_writer *writer = NULL;
    int rc = build_init(&build, err);
    memcpy(build.cache.source, source, HASH_TEXT_LONG);
    if (rc == 0)
        rc = check_space(&build, dir, err);
    if (rc == 0)
        rc = image_cache_create(path, build.side, err, &writer);
    if (rc == 0)
        rc = decode_all(&build, writer, err);
    if (rc == 0)
        rc = check_kept(&build, err);
    if (rc == 0) {
        hash_final(&build.content, build.cache.content);
        rc = image_cache_commit(writer, &build.cache, err);
        writer = NULL;
    }
    image_cache_abort(writer);
    build_finish(&build);
    return rc;
}

static void fingerprint_source(const struct dataset_options *options,
                               const struct folder_list *list, char ret[HASH_TEXT_LONG]) {
    char files[HASH_TEXT_LONG], text[HASH_TEXT_LONG + 64];
    folder_fingerprint(list, files);
    int len = snprintf(text, sizeof text, "%d %d %s", DECODING_VERSION, options->side, files);
    hash_text_long(text, (size_t)len, ret);
}

/* What is wrong with a cache file that can be made anew. */
static bool is_stale(int code) {
    return code == ESP_ENOTFOUND || code == ESP_EMISMATCH || code == ESP_EVERSION ||
           code == ESP_ECORRUPT;
}

static bool wait_a_little(const struct dataset_options *options) {
    nanosleep(&(struct timespec){.tv_nsec = WAIT_MS * 1000000L}, NULL);
    return options->progress && options->progress(options->context, 0, 0);
}

static int open_or_build(const struct dataset_options *options, const struct folder_list *list,
                         const char *dir, struct err *err, struct image_cache *ret_cache) {
    char source[HASH_TEXT_LONG], path[PATH_BYTES];
    fingerprint_source(options, list, source);
    if (snprintf(path, sizeof path, "%s/images.cache", dir) >= (int)sizeof path - 16)
        return err_set(err, ESP_ELIMIT, NULL, "the path of the cache is too long");
    int rc = image_cache_open(path, source, options->pool, err, ret_cache);
    while (is_stale(rc)) {
        rc = build_cache(options, list, source, dir, path, err);
        if (rc != 0 && rc != ESP_EBUSY)
            return rc;
        if (rc == ESP_EBUSY && wait_a_little(options))
            return err_set(err, ESP_ECANCELED, NULL, "stopped while another job decodes images");
        bool built = rc == 0;
        rc = image_cache_open(path, source, options->pool, err, ret_cache);
        if (built)
            break;
    }
    return rc;
}

/* A folder that is gone when the file in it is mapped. */
static int use_temporary(const struct dataset_options *options, const struct folder_list *list,
                         struct err *err, struct image_cache *ret_cache) {
    const char *root = getenv("TMPDIR");
    char dir[PATH_BYTES - 64], path[PATH_BYTES];
    snprintf(dir, sizeof dir, "%s/espalier-images-XXXXXX", root && root[0] ? root : "/var/tmp");
    if (!mkdtemp(dir))
        return err_set(err, ESP_EIO, NULL, "cannot make a folder for the cache in %s", dir);
    int rc = open_or_build(options, list, dir, err, ret_cache);
    snprintf(path, sizeof path, "%s/images.cache", dir);
    unlink(path);
    rmdir(dir);
    return rc;
}

/* Moves everything over. */
static void take_cache(struct image_cache *cache, struct dataset_images *ret) {
    *ret = (struct dataset_images){.channels = IMAGE_CACHE_CHANNELS,
                                   .height = cache->side,
                                   .width = cache->side,
                                   .n_classes = (int)cache->n_classes,
                                   .n_train = cache->n[SPLIT_TRAIN],
                                   .n_validation = cache->n[SPLIT_VALIDATION],
                                   .n_test = cache->n[SPLIT_TEST],
                                   .cut = cache->cut,
                                   .images = cache->images,
                                   .labels = cache->labels,
                                   .map = cache->map,
                                   .map_bytes = cache->map_bytes,
                                   .sums = cache->sums,
                                   .class_names = cache->classes,
                                   .skipped = cache->skipped,
                                   .n_enlarged = cache->n_enlarged};
    memcpy(ret->content, cache->pixels, sizeof ret->content);
    *cache = (struct image_cache){0};
}

static int folder_load(const struct dataset_options *options, struct err *err,
                       struct dataset_images *ret_images) {
    struct folder_list list = {0};
    struct image_cache cache = {0};
    if (options->side < 0 || options->side > DATASET_SIDE_MAX)
        return err_set(err, ESP_EINVAL, "/side", "side %d is outside 0 to %d", options->side,
                       DATASET_SIDE_MAX);
    int rc = folder_scan(options->path, err, &list);
    if (rc == 0 && options->cache_dir)
        rc = file_make_dirs(options->cache_dir, err);
    if (rc == 0)
        rc = options->cache_dir ? open_or_build(options, &list, options->cache_dir, err, &cache)
                                : use_temporary(options, &list, err, &cache);
    /* An older cache may have been made when more was allowed. */
    if (rc == 0)
        rc = check_share(&cache.skipped, options->max_skipped, err);
    if (rc == 0)
        take_cache(&cache, ret_images);
    image_cache_finish(&cache);
    folder_finish(&list);
    return rc;
}

extern const struct dataset_format dataset_format_folder;
const struct dataset_format dataset_format_folder = {
    .name = "folder",
    .help = "JPEG and PNG images: train/CLASS/FILE with test/CLASS/FILE or val/CLASS/FILE, or "
            "CLASS/FILE",
    .probe = folder_probe,
    .load = folder_load,
};
