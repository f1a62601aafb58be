#include "latency/scales.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

int unit_scales_create(struct err *err, struct unit_scales **ret_scales) {
    struct unit_scales *scales = mem_array(1, sizeof *scales);
    if (!scales)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for scales of units");
    for (int k = 0; k < UNIT_KINDS; k++)
        scales->of_kind[k] = 1;
    map_init(&scales->by_signature);
    *ret_scales = scales;
    return 0;
}

void unit_scales_destroy(struct unit_scales *scales) {
    if (!scales)
        return;
    map_finish(&scales->by_signature);
    free(scales->units);
    free(scales);
}

struct lookup {
    const struct unit_scales *scales;
    const char *signature;
};

static bool same_signature(const void *context, uint32_t item) {
    const struct lookup *lookup = context;
    return strcmp(lookup->scales->units[item].signature, lookup->signature) == 0;
}

static int64_t find(const struct unit_scales *scales, const char *signature) {
    const struct lookup lookup = {scales, signature};
    return map_find(&scales->by_signature, map_hash(signature, strlen(signature)), same_signature,
                    &lookup);
}

static int reserve(struct unit_scales *scales, struct err *err) {
    if (scales->n == UNIT_SCALES_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "at most %d units have scales of their own",
                       UNIT_SCALES_MAX);
    if (scales->n < scales->capacity)
        return 0;
    int capacity = scales->capacity ? 2 * scales->capacity : 64;
    struct unit_scale *grown = reallocarray(scales->units, (size_t)capacity, sizeof *grown);
    if (!grown)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for scales of units");
    scales->units = grown;
    scales->capacity = capacity;
    return 0;
}

int unit_scales_add(struct unit_scales *scales, const char *signature, double scale,
                    struct err *err) {
    if (find(scales, signature) >= 0)
        return err_set(err, ESP_ECONFLICT, NULL, "the unit %.100s has a scale already", signature);
    int code = reserve(scales, err);
    if (code < 0)
        return code;
    struct unit_scale *unit = &scales->units[scales->n];
    snprintf(unit->signature, sizeof unit->signature, "%s", signature);
    unit->scale = fmin(fmax(scale, UNIT_SCALE_MIN), UNIT_SCALE_MAX);
    code =
        map_add(&scales->by_signature, map_hash(signature, strlen(signature)), (uint32_t)scales->n);
    if (code < 0)
        return err_set(err, code, NULL, "no memory for scales of units");
    scales->n++;
    return 0;
}

double unit_scales_get(const struct unit_scales *scales, const char *signature,
                       enum unit_kind kind) {
    if (!scales)
        return 1;
    int64_t at = find(scales, signature);
    return at >= 0 ? scales->units[at].scale : scales->of_kind[kind];
}

cJSON *unit_scales_to_json(const struct unit_scales *scales) {
    cJSON *doc = cJSON_CreateObject(), *kinds = cJSON_AddObjectToObject(doc, "kinds"),
          *units = cJSON_AddObjectToObject(doc, "units");
    bool ok = kinds && units;
    for (int k = 0; ok && k < UNIT_KINDS; k++)
        ok = cJSON_AddNumberToObject(kinds, unit_kind_names[k], scales->of_kind[k]);
    for (int i = 0; ok && i < scales->n; i++) {
        cJSON *scale = cJSON_CreateNumber(scales->units[i].scale);
        ok = scale && cJSON_AddItemToObject(units, scales->units[i].signature, scale);
    }
    if (ok)
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

static int read_kinds(const cJSON *doc, const char *at, struct err *err,
                      struct unit_scales *scales) {
    char pointer[160];
    const cJSON *kinds;
    int code = json_object(doc, at, "kinds", err, &kinds);
    snprintf(pointer, sizeof pointer, "%.140s/kinds", at);
    if (code == 0)
        code = json_only(kinds, pointer, unit_kind_names, err);
    for (int k = 0; k < UNIT_KINDS && code == 0; k++)
        code = json_real_opt(kinds, pointer, unit_kind_names[k], UNIT_SCALE_MIN, UNIT_SCALE_MAX,
                             err, &scales->of_kind[k]);
    return code;
}

static int read_units(const cJSON *doc, const char *at, struct err *err,
                      struct unit_scales *scales) {
    char pointer[160];
    const cJSON *units, *item;
    int code = json_object(doc, at, "units", err, &units);
    snprintf(pointer, sizeof pointer, "%.140s/units", at);
    if (code < 0)
        return code;
    cJSON_ArrayForEach(item, units) {
        if (strlen(item->string) >= GRAPH_SIGNATURE_MAX)
            return err_set(err, ESP_EINVAL, pointer, "a unit's signature is too long");
        if (!cJSON_IsNumber(item) ||
            !(item->valuedouble >= UNIT_SCALE_MIN && item->valuedouble <= UNIT_SCALE_MAX))
            return err_set(err, ESP_EINVAL, pointer, "scales of units lie between %g and %g",
                           UNIT_SCALE_MIN, UNIT_SCALE_MAX);
        if ((code = unit_scales_add(scales, item->string, item->valuedouble, err)) < 0)
            return code;
    }
    return 0;
}

int unit_scales_from_json(const cJSON *doc, const char *at, struct err *err,
                          struct unit_scales **ret_scales) {
    static const char *const keys[] = {"kinds", "units", NULL};
    struct unit_scales *scales;
    int code = json_only(doc, at, keys, err);
    if (code == 0)
        code = unit_scales_create(err, &scales);
    if (code < 0)
        return code;
    code = read_kinds(doc, at, err, scales);
    if (code == 0)
        code = read_units(doc, at, err, scales);
    if (code < 0)
        unit_scales_destroy(scales);
    else
        *ret_scales = scales;
    return code;
}
