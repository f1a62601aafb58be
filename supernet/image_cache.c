#include "supernet/image_cache_format.h"

#include "base/json.h"
#include "base/memory.h"
#include "supernet/folder.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void image_cache_finish(struct image_cache *cache) {
    if (cache->map)
        munmap(cache->map, cache->map_bytes);
    dataset_free_names(cache->classes, cache->n_classes);
    dataset_skipped_finish(&cache->skipped);
    free(cache->labels);
    free(cache->sums);
    *cache = (struct image_cache){0};
}

static uint64_t get_little(const uint8_t *in, int bytes) {
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | in[i];
    return value;
}

static int corrupt(struct err *err, const char *what) {
    return err_set(err, ESP_ECORRUPT, NULL, "the cache of images is damaged: %s", what);
}

static int map_file(const char *path, struct err *err, struct image_cache *cache) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc = 0;
    if (fd < 0)
        return err_set(err, errno == ENOENT ? ESP_ENOTFOUND : ESP_EIO, NULL, "cannot open %s: %s",
                       path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < CACHE_PIXELS_AT + CACHE_FOOTER)
        rc = corrupt(err, "it is too short");
    void *map = rc == 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (rc == 0 && map == MAP_FAILED)
        rc = err_set(err, ESP_ENOMEM, NULL, "cannot map %s: %s", path, strerror(errno));
    close(fd);
    if (rc == 0) {
        cache->map = map;
        cache->map_bytes = (size_t)st.st_size;
    }
    return rc;
}

static int check_hash(const uint8_t *data, size_t len, const char *expected, const char *what,
                      struct err *err) {
    char text[HASH_TEXT_LONG];
    hash_text_long(data, len, text);
    return memcmp(text, expected, HASH_TEXT_LONG - 1) == 0 ? 0 : corrupt(err, what);
}

/* The directory as JSON; *ret_end is where it begins. */
static int read_directory(const struct image_cache *cache, struct err *err, cJSON **ret_doc,
                          uint64_t *ret_at) {
    static const struct json_limits limits = {CACHE_DIRECTORY_MAX, 4, 400000};
    const uint8_t *bytes = cache->map, *footer = bytes + cache->map_bytes - CACHE_FOOTER;
    uint64_t at = get_little(footer, 8), len = get_little(footer + 8, 8);
    uint64_t end = cache->map_bytes - CACHE_FOOTER;
    if (memcmp(bytes, CACHE_MAGIC, CACHE_MAGIC_BYTES) != 0 ||
        memcmp(footer + 80, CACHE_MAGIC, CACHE_MAGIC_BYTES) != 0)
        return corrupt(err, "its first or last bytes are not those of a cache");
    if (get_little(bytes + CACHE_MAGIC_BYTES, 4) != IMAGE_CACHE_VERSION)
        return err_set(err, ESP_EVERSION, NULL, "the cache of images has another version");
    if (at < CACHE_PIXELS_AT || at > end || len != end - at || len > CACHE_DIRECTORY_MAX)
        return corrupt(err, "its directory lies outside");
    int rc = check_hash(bytes + at, len, (const char *)footer + 16, "its directory", err);
    if (rc == 0 && json_parse((const char *)bytes + at, len, &limits, err, ret_doc) != 0)
        rc = corrupt(err, "its directory cannot be read");
    *ret_at = at;
    return rc;
}

static int read_size(const cJSON *doc, const char *key, struct err *err, size_t *ret) {
    int64_t value = 0;
    int rc = json_int(doc, "", key, 0, FOLDER_FILES_MAX, err, &value);
    *ret = (size_t)value;
    return rc;
}

static int read_text(const cJSON *doc, const char *key, struct err *err, char ret[HASH_TEXT_LONG]) {
    const char *text;
    int rc = json_string(doc, "", key, HASH_TEXT_LONG - 1, HASH_TEXT_LONG - 1, err, &text);
    if (rc == 0)
        memcpy(ret, text, HASH_TEXT_LONG);
    return rc;
}

static int read_classes(const cJSON *doc, struct err *err, struct image_cache *cache) {
    const cJSON *list, *item;
    int rc = json_array(doc, "", "classes", 2, FOLDER_CLASSES_MAX, err, &list);
    if (rc != 0)
        return rc;
    int n = cJSON_GetArraySize(list);
    if (!(cache->classes = mem_array((size_t)n, sizeof *cache->classes)))
        return err_set(err, ESP_ENOMEM, NULL, "no memory for names of classes");
    cJSON_ArrayForEach(item, list) {
        const char *name = cJSON_GetStringValue(item);
        if (!name || strlen(name) > FOLDER_NAME_MAX)
            return corrupt(err, "the name of a class");
        if (!(cache->classes[cache->n_classes] = mem_strdup(name)))
            return err_set(err, ESP_ENOMEM, NULL, "no memory for names of classes");
        cache->n_classes++;
    }
    return 0;
}

static int read_skipped(const cJSON *doc, struct err *err, struct dataset_skipped *skipped) {
    const cJSON *list, *row;
    const char *name, *reason;
    size_t n = 0;
    int rc = read_size(doc, "n_skipped", err, &n);
    if (rc == 0)
        rc = read_size(doc, "files", err, &skipped->n_files);
    if (rc == 0)
        rc = json_array(doc, "", "skipped", 0, DATASET_SKIPPED_NAMED, err, &list);
    if (rc != 0)
        return rc;
    cJSON_ArrayForEach(row, list) {
        if (json_string(row, "", "name", 0, 8192, err, &name) != 0 ||
            json_string(row, "", "reason", 0, 95, err, &reason) != 0)
            return corrupt(err, "a skipped file");
        dataset_skip(skipped, name, reason);
    }
    if (n < skipped->n)
        return corrupt(err, "the number of skipped files");
    skipped->n = n;
    return 0;
}

static int read_numbers(const cJSON *doc, struct err *err, struct image_cache *cache) {
    int64_t side = 0;
    int rc = json_int(doc, "", "side", 1, DATASET_SIDE_MAX, err, &side);
    if (rc == 0)
        rc = read_text(doc, "source", err, cache->source);
    if (rc == 0)
        rc = read_text(doc, "content", err, cache->content);
    if (rc == 0)
        rc = read_size(doc, "n_train", err, &cache->n[SPLIT_TRAIN]);
    if (rc == 0)
        rc = read_size(doc, "n_validation", err, &cache->n[SPLIT_VALIDATION]);
    if (rc == 0)
        rc = read_size(doc, "n_test", err, &cache->n[SPLIT_TEST]);
    if (rc == 0)
        rc = read_size(doc, "n_enlarged", err, &cache->n_enlarged);
    if (rc == 0)
        rc = json_bool(doc, "", "cut", err, &cache->cut);
    cache->side = (int)side;
    return rc;
}

static size_t count_of(const struct image_cache *cache) {
    return cache->n[SPLIT_TRAIN] + cache->n[SPLIT_VALIDATION] + cache->n[SPLIT_TEST];
}

static int take_index(struct image_cache *cache, const uint8_t *records, struct err *err) {
    size_t count = count_of(cache);
    cache->labels = mem_array(count, sizeof *cache->labels);
    cache->sums = mem_array(count * IMAGE_CACHE_CHANNELS, sizeof *cache->sums);
    if (!cache->labels || !cache->sums)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %zu labels", count);
    for (size_t i = 0; i < count; i++, records += CACHE_RECORD) {
        uint64_t label = get_little(records, 4);
        if (label >= cache->n_classes)
            return corrupt(err, "a label is out of range");
        cache->labels[i] = (uint16_t)label;
        for (size_t c = 0; c < IMAGE_CACHE_CHANNELS; c++)
            cache->sums[i * IMAGE_CACHE_CHANNELS + c] = (struct dataset_sums){
                get_little(records + 4 + 16 * c, 8), get_little(records + 12 + 16 * c, 8)};
    }
    return 0;
}

struct check {
    const uint8_t *pixels;
    size_t bytes;
    const cJSON **hashes;
    bool *bad;
};

static void check_chunk(void *context, int chunk, int thread) {
    const struct check *check = context;
    char text[HASH_TEXT_LONG];
    size_t at = (size_t)chunk * CACHE_CHUNK, left = check->bytes - at;
    const char *expected = cJSON_GetStringValue(check->hashes[chunk]);
    hash_text_long(check->pixels + at, left < CACHE_CHUNK ? left : CACHE_CHUNK, text);
    check->bad[chunk] = !expected || strcmp(text, expected) != 0;
}

static int check_pixels(struct image_cache *cache, const cJSON *doc, struct parallel *pool,
                        size_t bytes, struct err *err) {
    const cJSON *list, *item;
    size_t n = (bytes + CACHE_CHUNK - 1) / CACHE_CHUNK;
    int rc = json_array(doc, "", "chunks", (int)n, (int)n, err, &list), i = 0;
    if (rc != 0)
        return rc;
    struct check check = {cache->images, bytes, mem_array(n, sizeof(cJSON *)), mem_array(n, 1)};
    struct hash all;
    hash_init(&all);
    if (!check.hashes || !check.bad)
        rc = err_set(err, ESP_ENOMEM, NULL, "no memory to check the cache");
    else {
        cJSON_ArrayForEach(item, list) {
            const char *text = cJSON_IsString(item) ? item->valuestring : "";
            hash_update(&all, text, strlen(text));
            check.hashes[i++] = item;
        }
        parallel_for(pool, (int)n, check_chunk, &check);
        for (size_t j = 0; rc == 0 && j < n; j++)
            rc = check.bad[j] ? corrupt(err, "its pixels") : 0;
    }
    hash_final(&all, cache->pixels);
    free(check.hashes);
    free(check.bad);
    return rc;
}

/* The counts say where everything must lie; the file must agree to the byte. */
static int take_parts(struct image_cache *cache, const cJSON *doc, uint64_t directory_at,
                      struct parallel *pool, struct err *err) {
    char index_hash[HASH_TEXT_LONG];
    size_t count = count_of(cache), plane = (size_t)cache->side * (size_t)cache->side;
    uint64_t bytes = (uint64_t)count * plane * IMAGE_CACHE_CHANNELS;
    uint64_t index_at = CACHE_PIXELS_AT + bytes;
    if (cache->n[SPLIT_TRAIN] == 0 || count > FOLDER_FILES_MAX ||
        index_at + (uint64_t)count * CACHE_RECORD != directory_at)
        return corrupt(err, "its counts");
    const uint8_t *base = cache->map;
    cache->images = (uint8_t *)cache->map + CACHE_PIXELS_AT;
    int rc = read_text(doc, "index_hash", err, index_hash);
    if (rc == 0)
        rc = check_hash(base + index_at, count * CACHE_RECORD, index_hash, "its index", err);
    if (rc == 0)
        rc = take_index(cache, base + index_at, err);
    return rc == 0 ? check_pixels(cache, doc, pool, bytes, err) : rc;
}

int image_cache_open(const char *path, const char *source, struct parallel *pool, struct err *err,
                     struct image_cache *ret_cache) {
    struct image_cache cache = {0};
    cJSON *doc = NULL;
    uint64_t at = 0;
    int rc = map_file(path, err, &cache);
    if (rc == 0)
        rc = read_directory(&cache, err, &doc, &at);
    if (rc == 0)
        rc = read_numbers(doc, err, &cache);
    if (rc == 0 && strcmp(cache.source, source) != 0)
        rc = err_set(err, ESP_EMISMATCH, NULL, "the cache of images was made of other files");
    if (rc == 0)
        rc = read_classes(doc, err, &cache);
    if (rc == 0)
        rc = read_skipped(doc, err, &cache.skipped);
    if (rc == 0)
        rc = take_parts(&cache, doc, at, pool, err);
    cJSON_Delete(doc);
    if (rc == ESP_EINVAL) /* a getter's: the directory is not what it should be */
        rc = corrupt(err, "its directory");
    if (rc == 0)
        *ret_cache = cache;
    else
        image_cache_finish(&cache);
    return rc;
}
