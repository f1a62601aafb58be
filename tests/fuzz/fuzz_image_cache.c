/* A cache file of images from hostile bytes: refused with an error, or mapped, and then every label
 * is in range. An odd first byte puts the right checksums over directory and index, so that what
 * stands behind them is reached too. */
#include "supernet/image_cache_format.h"
#include "tests/fuzz/fuzz.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IMAGES = 6 /* in the files of the corpus */ };

static void require(bool ok) {
    if (!ok)
        abort();
}

static char path[64];

static void remove_file(void) {
    unlink(path);
}

static void sign(uint8_t *bytes, size_t size) {
    char text[HASH_TEXT_LONG];
    uint64_t at = 0;
    if (size < CACHE_PIXELS_AT + CACHE_FOOTER)
        return;
    uint8_t *footer = bytes + size - CACHE_FOOTER;
    memcpy(&at, footer, sizeof at);
    if (at < CACHE_PIXELS_AT + IMAGES * CACHE_RECORD || at > size - CACHE_FOOTER)
        return;
    size_t len = size - CACHE_FOOTER - at;
    uint8_t *index = memmem(bytes + at, len, "\"index_hash\":\"", 14);
    if (index && (size_t)(footer - index) > 14 + HASH_TEXT_LONG) {
        hash_text_long(bytes + at - IMAGES * CACHE_RECORD, IMAGES * CACHE_RECORD, text);
        memcpy(index + 14, text, HASH_TEXT_LONG - 1);
    }
    memcpy(footer + 8, &(uint64_t){len}, 8);
    hash_text_long(bytes + at, len, text);
    memcpy(footer + 16, text, HASH_TEXT_LONG - 1);
}

static void check(const struct image_cache *cache) {
    size_t count = cache->n[SPLIT_TRAIN] + cache->n[SPLIT_VALIDATION] + cache->n[SPLIT_TEST];
    size_t bytes = (size_t)cache->side * (size_t)cache->side * IMAGE_CACHE_CHANNELS * count;
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++)
        require(cache->labels[i] < cache->n_classes);
    for (size_t i = 0; i < bytes; i++)
        sum += cache->images[i];
    require(sum <= 255 * bytes);
}

int fuzz_one(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char source[HASH_TEXT_LONG];
    struct image_cache cache = {0};
    struct err err = {0};
    if (size == 0)
        return 0;
    if (fd < 0) {
        char name[] = "/tmp/espalier-fuzz-XXXXXX";
        fd = mkstemp(name);
        snprintf(path, sizeof path, "%s", name);
        atexit(remove_file);
        memset(source, 'a', sizeof source - 1);
    }
    uint8_t *bytes = malloc(size);
    require(fd >= 0 && bytes);
    memcpy(bytes, data + 1, size - 1);
    if (data[0] & 1)
        sign(bytes, size - 1);
    require(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, size - 1, 0) == (ssize_t)(size - 1));
    free(bytes);
    int rc = image_cache_open(path, source, NULL, &err, &cache);
    require(rc == 0 || (err.code == rc && err.message[0] && !cache.map));
    if (rc == 0)
        check(&cache);
    image_cache_finish(&cache);
    return 0;
}
