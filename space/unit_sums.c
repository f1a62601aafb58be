#include "space/unit_sums.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/memory.h"

/* What decides a unit's shapes inside a space: a block's are given by the resolution, its place,
 * the channels before and behind it and its own choices; those outside blocks by the resolution and
 * the last channels. */
struct place {
    uint8_t resolution, block, in, out, kernel, expand, first, reserved;
};
enum { OUTSIDE_BLOCKS = 255 };
_Static_assert((int)SPACE_BLOCKS_MAX < (int)OUTSIDE_BLOCKS, "blocks are numbered in a byte");
_Static_assert(sizeof(struct place) == 8, "places are hashed as bytes");

struct unit_sums {
    struct unit_sums_config config;
    struct map by_place; /* the hash alone decides: 8 bytes are mixed without collision */
    double *values;      /* [n, n_values] */
    uint32_t n, capacity;
};

int unit_sums_create(const struct unit_sums_config *config, struct err *err,
                     struct unit_sums **ret_sums) {
    struct unit_sums *sums = mem_array(1, sizeof *sums);
    if (!sums)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for sums over units");
    sums->config = *config;
    map_init(&sums->by_place);
    *ret_sums = sums;
    return 0;
}

void unit_sums_destroy(struct unit_sums *sums) {
    if (!sums)
        return;
    map_finish(&sums->by_place);
    free(sums->values);
    free(sums);
}

void unit_sums_forget(struct unit_sums *sums) {
    map_clear(&sums->by_place);
    sums->n = 0;
}

/* The places of an arch: one a block, then the one of all that is outside blocks. */
static int list_places(const struct space *space, const struct arch *arch,
                       struct place ret_places[SPACE_BLOCKS_MAX + 1]) {
    int n = 0;
    uint8_t in = 0;
    for (int s = 0; s < space->n_stages; s++) {
        const struct space_stage *stage = &space->stages[s];
        int depth = stage->depths.value[arch->depth[s]];
        for (int i = 0; i < depth; i++) {
            int block = stage->first_block + i;
            ret_places[n++] = (struct place){.resolution = arch->resolution,
                                             .block = (uint8_t)block,
                                             .in = i ? arch->channels[s] : in,
                                             .out = arch->channels[s],
                                             .kernel = arch->kernel[block],
                                             .expand = arch->expand[block],
                                             .first = i == 0};
        }
        in = arch->channels[s];
    }
    ret_places[n++] =
        (struct place){.resolution = arch->resolution, .block = OUTSIDE_BLOCKS, .out = in};
    return n;
}

static void add(const struct unit_sums_config *config, const double *part, double *total) {
    for (int k = 0; k < config->n_values; k++) {
        if (!config->largest[k])
            total[k] += part[k];
        else if (isnan(part[k]) || part[k] > total[k])
            total[k] = part[k];
    }
}

static void start(const struct unit_sums_config *config, double *total) {
    for (int k = 0; k < config->n_values; k++)
        total[k] = config->largest[k] ? -INFINITY : 0;
}

static int keep(struct unit_sums *sums, const struct place *place, const double *values) {
    size_t width = (size_t)sums->config.n_values;
    uint64_t hash = map_hash(place, sizeof *place);
    if (map_find(&sums->by_place, hash, NULL, NULL) >= 0)
        return 0;
    if (sums->n == sums->capacity) {
        uint32_t capacity = sums->capacity ? 2 * sums->capacity : 256;
        double *grown = reallocarray(sums->values, capacity, width * sizeof *grown);
        if (!grown)
            return ESP_ENOMEM;
        sums->values = grown;
        sums->capacity = capacity;
    }
    memcpy(sums->values + sums->n * width, values, width * sizeof *values);
    int code = map_add(&sums->by_place, hash, sums->n);
    if (code == 0)
        sums->n++;
    return code;
}

/* Lowers the arch and keeps what each of its places is worth. */
static int learn(struct unit_sums *sums, const struct arch *arch, const struct place *places,
                 int n_places, struct err *err) {
    const struct unit_sums_config *config = &sums->config;
    double outside[UNIT_VALUES_MAX], part[UNIT_VALUES_MAX];
    struct graph *graph;
    int block = 0;
    int code = graph_build(config->space, arch, err, &graph);
    if (code < 0)
        return code;
    start(config, outside);
    for (int i = 0; i < graph->n_units && code == 0; i++) {
        config->unit(config->context, graph, i, part);
        if (graph->units[i].block < 0)
            add(config, part, outside);
        else
            code = keep(sums, &places[block++], part);
    }
    if (code == 0)
        code = keep(sums, &places[n_places - 1], outside);
    free(graph);
    return code < 0 ? err_set(err, code, NULL, "no memory for sums over units") : 0;
}

/* False if a place has not been met yet. */
static bool add_known(const struct unit_sums *sums, const struct place *places, int n,
                      double *ret_values) {
    start(&sums->config, ret_values);
    for (int i = 0; i < n; i++) {
        int64_t at = map_find(&sums->by_place, map_hash(&places[i], sizeof places[i]), NULL, NULL);
        if (at < 0)
            return false;
        add(&sums->config, sums->values + (size_t)at * (size_t)sums->config.n_values, ret_values);
    }
    return true;
}

int unit_sums_get(struct unit_sums *sums, const struct arch *arch, struct err *err,
                  double *ret_values) {
    struct place places[SPACE_BLOCKS_MAX + 1];
    double values[UNIT_VALUES_MAX];
    int n = list_places(sums->config.space, arch, places);
    if (!add_known(sums, places, n, values)) {
        int code = learn(sums, arch, places, n, err);
        if (code < 0)
            return code;
        if (!add_known(sums, places, n, values))
            return err_set(err, ESP_EINTERNAL, NULL, "a graph has other units than its arch");
    }
    memcpy(ret_values, values, (size_t)sums->config.n_values * sizeof *values);
    return 0;
}
