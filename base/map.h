/* Hash index over items that the caller keeps in an array: finds an item's number by its key. Keys
 * stay with the caller, so an item is stored once. Not for keys chosen by an enemy: the hash is
 * fast, not secret. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {
    struct map_slot *slots;
    size_t n, capacity; /* capacity is 0 or a power of two */
};

uint64_t map_hash(const void *key, size_t len); /* same on every machine of one byte order */
/* Whether the item of that number has the key that is looked for. */
typedef bool map_equal_fn(const void *context, uint32_t item);

void map_init(struct map *map);
void map_finish(struct map *map);
void map_clear(struct map *map); /* keeps the memory */
/* Number of the item with this hash for which equal holds (equal NULL: the hash alone decides);
 * -1 if there is none. */
int64_t map_find(const struct map *map, uint64_t hash, map_equal_fn *equal, const void *context);
/* Adds an item without looking for an equal one. ESP_ENOMEM leaves the map as it was. */
int map_add(struct map *map, uint64_t hash, uint32_t item);
