#include "supernet/evaluate_cache.h"

#include "base/map.h"
#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct evaluation_key key;
    struct score score;
};

struct evaluation_cache {
    struct map map;
    struct entry *entries;
    size_t n, capacity, limit;
};

struct looked_for {
    const struct evaluation_cache *cache;
    const struct evaluation_key *key;
};

/* Field by field: what lies between them must not decide. */
void evaluation_key_make(const char *checkpoint_id, const struct evaluation_options *options,
                         const struct score_request *request, struct evaluation_key *ret_key) {
    memset(ret_key, 0, sizeof *ret_key);
    snprintf(ret_key->checkpoint, HASH_TEXT, "%s", checkpoint_id);
    arch_id(options->supernet->space, request->arch, ret_key->arch_id);
    memcpy(ret_key->dataset_revision, options->dataset->revision, HASH_TEXT);
    ret_key->split = request->split;
    ret_key->limit = request->limit;
    ret_key->recalibrated = request->recalibrate;
    if (!request->recalibrate)
        return;
    const struct recalibration *from = &options->recalibration;
    struct recalibration *to = &ret_key->recalibration;
    to->images = from->images;
    to->batch = from->batch;
    to->seed = from->seed;
    to->augment.pad = from->augment.pad;
    to->augment.flip = from->augment.flip;
    to->augment.cutout = from->augment.cutout;
    to->augment.crop = from->augment.crop;
    memcpy(to->augment.scale, from->augment.scale, sizeof to->augment.scale);
    memcpy(to->augment.ratio, from->augment.ratio, sizeof to->augment.ratio);
    to->augment.brightness = from->augment.brightness;
    to->augment.contrast = from->augment.contrast;
    to->augment.saturation = from->augment.saturation;
}

static bool same_key(const void *context, uint32_t item) {
    const struct looked_for *looked_for = context;
    return memcmp(&looked_for->cache->entries[item].key, looked_for->key,
                  sizeof *looked_for->key) == 0;
}

int evaluation_cache_create(size_t limit, struct evaluation_cache **ret_cache) {
    struct evaluation_cache *cache = mem_array(1, sizeof *cache);
    if (!cache)
        return ESP_ENOMEM;
    cache->limit = limit > 0 ? limit : 1;
    map_init(&cache->map);
    *ret_cache = cache;
    return 0;
}

void evaluation_cache_destroy(struct evaluation_cache *cache) {
    if (!cache)
        return;
    map_finish(&cache->map);
    free(cache->entries);
    free(cache);
}

bool evaluation_cache_find(const struct evaluation_cache *cache, const struct evaluation_key *key,
                           struct score *ret_score) {
    struct looked_for looked_for = {cache, key};
    int64_t item = map_find(&cache->map, map_hash(key, sizeof *key), same_key, &looked_for);
    if (item < 0)
        return false;
    *ret_score = cache->entries[item].score;
    return true;
}

static int grow(struct evaluation_cache *cache) {
    size_t capacity = cache->capacity ? 2 * cache->capacity : 64;
    struct entry *entries = realloc(cache->entries, capacity * sizeof *entries);
    if (!entries)
        return ESP_ENOMEM;
    cache->entries = entries;
    cache->capacity = capacity;
    return 0;
}

int evaluation_cache_put(struct evaluation_cache *cache, const struct evaluation_key *key,
                         const struct score *score) {
    struct score known;
    if (evaluation_cache_find(cache, key, &known))
        return 0;
    if (cache->n >= cache->limit) {
        map_clear(&cache->map);
        cache->n = 0;
    }
    if (cache->n == cache->capacity && grow(cache) != 0)
        return ESP_ENOMEM;
    int rc = map_add(&cache->map, map_hash(key, sizeof *key), (uint32_t)cache->n);
    if (rc != 0)
        return rc;
    memcpy(&cache->entries[cache->n].key, key, sizeof *key);
    cache->entries[cache->n++].score = *score;
    return 0;
}
