/* What the entries of a latency table have to be multiplied by inside whole networks, by kind of
 * unit and by single unit. Sums of scaled entries are still sums over units. */
#pragma once

#include <cjson/cJSON.h>

#include "base/map.h"
#include "space/graph.h"

enum { UNIT_KINDS = UNIT_HEAD_TAIL + 1, UNIT_SCALES_MAX = 20000 };
#define UNIT_SCALE_MIN 0.1
#define UNIT_SCALE_MAX 10.0

struct unit_scale {
    char signature[GRAPH_SIGNATURE_MAX];
    double scale;
};
struct unit_scales {
    double of_kind[UNIT_KINDS]; /* of units that are not listed */
    int n, capacity;
    struct unit_scale *units;
    struct map by_signature;
};

/* All 1. Errors: ESP_ENOMEM. */
int unit_scales_create(struct err *err, struct unit_scales **ret_scales);
void unit_scales_destroy(struct unit_scales *scales); /* takes NULL */
/* Lists a unit; a scale out of range becomes the nearest in it. Errors: ESP_ECONFLICT (it is listed
 * already), ESP_ELIMIT, ESP_ENOMEM. */
int unit_scales_add(struct unit_scales *scales, const char *signature, double scale,
                    struct err *err);
/* 1 for scales NULL. */
double unit_scales_get(const struct unit_scales *scales, const char *signature,
                       enum unit_kind kind);

/* {"kinds": {name: scale}, "units": {signature: scale}}; NULL on memory exhaustion. Reading refuses
 * unknown kinds and scales out of range. Errors: ESP_EINVAL, ESP_ELIMIT, ESP_ENOMEM. */
cJSON *unit_scales_to_json(const struct unit_scales *scales);
int unit_scales_from_json(const cJSON *doc, const char *at, struct err *err,
                          struct unit_scales **ret_scales);
