/* Which archs a strategy has asked for already: 64-bit hashes (two of a million archs share one
 * with a chance of 3e-8; the later one is then never asked). */
#pragma once

#include <cjson/cJSON.h>

#include "base/map.h"
#include "space/arch.h"

struct seen {
    struct map map;
    uint64_t *hashes; /* in the order of adding */
    uint32_t n, capacity;
};

void seen_finish(struct seen *seen);
/* 1 if the arch was added, 0 if it was there, ESP_ENOMEM. */
int seen_add(struct seen *seen, const struct arch *arch);
cJSON *seen_save(const struct seen *seen); /* a string; NULL on memory exhaustion */
/* Into an empty one. at is the pointer of doc. */
int seen_load(struct seen *seen, const cJSON *doc, const char *at, struct err *err);
