#include "base/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

struct map_slot {
    uint64_t hash;
    uint32_t item;
    bool used;
};

enum { MAP_FIRST_CAPACITY = 64 };

static uint64_t mix(uint64_t h) {
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

uint64_t map_hash(const void *key, size_t len) {
    const unsigned char *bytes = key;
    uint64_t h = 0x9E3779B97F4A7C15u ^ len;
    while (len > 0) {
        uint64_t word = 0;
        size_t take = len < sizeof word ? len : sizeof word;
        memcpy(&word, bytes, take);
        h = mix(h ^ word);
        bytes += take;
        len -= take;
    }
    return mix(h);
}

void map_init(struct map *map) {
    *map = (struct map){0};
}

void map_finish(struct map *map) {
    free(map->slots);
    *map = (struct map){0};
}

void map_clear(struct map *map) {
    if (map->capacity)
        memset(map->slots, 0, map->capacity * sizeof *map->slots);
    map->n = 0;
}

int64_t map_find(const struct map *map, uint64_t hash, map_equal_fn *equal, const void *context) {
    if (!map->capacity)
        return -1;
    size_t mask = map->capacity - 1;
    for (size_t i = hash & mask; map->slots[i].used; i = (i + 1) & mask) {
        if (map->slots[i].hash != hash)
            continue;
        if (!equal || equal(context, map->slots[i].item))
            return map->slots[i].item;
    }
    return -1;
}

static void place(struct map *map, uint64_t hash, uint32_t item) {
    size_t mask = map->capacity - 1, i = hash & mask;
    while (map->slots[i].used)
        i = (i + 1) & mask;
    map->slots[i] = (struct map_slot){.hash = hash, .item = item, .used = true};
}

static int grow(struct map *map) {
    size_t capacity = map->capacity ? 2 * map->capacity : MAP_FIRST_CAPACITY;
    struct map bigger = {.slots = mem_array(capacity, sizeof *bigger.slots), .capacity = capacity};
    if (!bigger.slots)
        return ESP_ENOMEM;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].used)
            place(&bigger, map->slots[i].hash, map->slots[i].item);
    bigger.n = map->n;
    free(map->slots);
    *map = bigger;
    return 0;
}

int map_add(struct map *map, uint64_t hash, uint32_t item) {
    /* At most three quarters full, so that probes stay short and always meet a free slot. */
    if (4 * (map->n + 1) > 3 * map->capacity) {
        int code = grow(map);
        if (code < 0)
            return code;
    }
    place(map, hash, item);
    map->n++;
    return 0;
}
