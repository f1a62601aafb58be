#include <stdlib.h>
#include <string.h>

#include "space/lower.h"

enum { SLOTS = 1 << 16 }; /* of the table of signatures; well above SPACE_UNITS_MAX */

struct collector {
    const struct space *space;
    struct err *err;
    struct unit_list *list;
    int capacity;
    int *slots; /* index of an entry + 1; 0: free */
};

static uint32_t hash_signature(const char *text) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash;
}

/* The slot that holds the signature, or the free one where it belongs. */
static int *find_slot(const struct collector *collector, const char *signature) {
    uint32_t at = hash_signature(signature) % SLOTS;
    while (collector->slots[at] &&
           strcmp(collector->list->entries[collector->slots[at] - 1].signature, signature) != 0)
        at = (at + 1) % SLOTS;
    return &collector->slots[at];
}

static int make_room(struct collector *collector) {
    struct unit_list *list = collector->list;
    if (list->n >= SPACE_UNITS_MAX)
        return err_set(collector->err, ESP_ELIMIT, "", "%s has more than %d distinct units",
                       collector->space->name, SPACE_UNITS_MAX);
    if (list->n < collector->capacity)
        return 0;
    int capacity = collector->capacity ? 2 * collector->capacity : 64;
    struct unit_entry *entries = realloc(list->entries, (size_t)capacity * sizeof(*entries));
    if (!entries)
        return err_set(collector->err, ESP_ENOMEM, "", "out of memory");
    list->entries = entries;
    collector->capacity = capacity;
    return 0;
}

/* stage and position of the first place seen. uses: how many of these a random subnet has there,
 * in the mean. */
static int collect(struct collector *collector, const struct unit_spec *spec, int stage,
                   int position, double uses) {
    char signature[GRAPH_SIGNATURE_MAX];
    unit_signature(spec, signature);
    int *slot = find_slot(collector, signature);
    if (*slot) {
        collector->list->entries[*slot - 1].uses += uses;
        return 0;
    }
    int code = make_room(collector);
    if (code)
        return code;
    int block = stage < 0 ? -1 : collector->space->stages[stage].first_block + position;
    struct unit_entry entry = {.stage = stage, .block_position = position, .uses = uses};
    memcpy(entry.signature, signature, sizeof(signature));
    code = graph_from_units(&(struct placed_unit){*spec, stage, block}, 1, collector->err,
                            &entry.graph);
    if (code)
        return code;
    collector->list->entries[collector->list->n++] = entry;
    *slot = collector->list->n;
    return 0;
}

static int collect_place(struct collector *collector, const struct block_place *place,
                         double uses) {
    const struct space_stage *stage = place->stage;
    int index = (int)(stage - collector->space->stages), code = 0;
    uses /= stage->kernel_sizes.n * stage->n_expand_ratios;
    for (int k = 0; !code && k < stage->kernel_sizes.n; k++)
        for (int e = 0; !code && e < stage->n_expand_ratios; e++) {
            struct unit_spec spec =
                lower_block(place, stage->kernel_sizes.value[k], stage->expand_ratios[e]);
            code = collect(collector, &spec, index, place->first ? 0 : 1, uses);
        }
    return code;
}

/* Blocks behind the first, in the mean. */
static double later_blocks(const struct space_stage *stage) {
    double blocks = 0;
    for (int d = 0; d < stage->depths.n; d++)
        blocks += (stage->depths.value[d] - 1.0) / stage->depths.n;
    return blocks;
}

static int collect_stage(struct collector *collector, int index, int side, double uses) {
    const struct space *space = collector->space;
    const struct space_stage *stage = &space->stages[index];
    int n_before = index ? space->stages[index - 1].channels.n : 1, code = 0;
    uses /= stage->channels.n;
    for (int c = 0; !code && c < stage->channels.n; c++) {
        struct block_place place = {stage, true, 0, side, stage->channels.value[c]};
        for (int b = 0; !code && b < n_before; b++) {
            place.c_in = index ? space->stages[index - 1].channels.value[b] : space->stem.channels;
            code = collect_place(collector, &place, uses / n_before);
        }
        place = (struct block_place){stage, false, place.c_out, lower_side(side, stage->stride),
                                     place.c_out};
        if (!code && stage->max_depth > 1)
            code = collect_place(collector, &place, uses * later_blocks(stage));
    }
    return code;
}

static int collect_head(struct collector *collector, int channels, int side, double uses) {
    const struct space *space = collector->space;
    if (space->head.expand_channels) {
        struct unit_spec conv = lower_head_conv(space, channels, side);
        int code = collect(collector, &conv, -1, -1, uses);
        if (code)
            return code;
        channels = conv.c_out;
    }
    struct unit_spec tail = lower_head_tail(space, channels, side);
    return collect(collector, &tail, -1, -1, uses);
}

static int collect_resolution(struct collector *collector, int resolution) {
    const struct space *space = collector->space;
    struct unit_spec stem = lower_stem(space, resolution);
    double uses = 1.0 / space->n_resolutions;
    int code = collect(collector, &stem, -1, -1, uses), side = lower_side(resolution, stem.stride);
    for (int i = 0; !code && i < space->n_stages; i++) {
        code = collect_stage(collector, i, side, uses);
        side = lower_side(side, space->stages[i].stride);
    }
    const struct space_choices *channels = &space->stages[space->n_stages - 1].channels;
    for (int c = 0; !code && c < channels->n; c++)
        code = collect_head(collector, channels->value[c], side, uses / channels->n);
    return code;
}

int space_units(const struct space *space, struct err *err, struct unit_list **ret_units) {
    struct collector collector = {.space = space, .err = err};
    int code = 0;
    collector.list = calloc(1, sizeof(*collector.list));
    collector.slots = calloc(SLOTS, sizeof(*collector.slots));
    if (!collector.list || !collector.slots)
        code = err_set(err, ESP_ENOMEM, "", "out of memory");
    for (int r = 0; !code && r < space->n_resolutions; r++)
        code = collect_resolution(&collector, space->resolutions[r]);
    free(collector.slots);
    if (code) {
        unit_list_destroy(collector.list);
        return code;
    }
    *ret_units = collector.list;
    return 0;
}

void unit_list_destroy(struct unit_list *units) {
    if (!units)
        return;
    for (int i = 0; i < units->n; i++)
        free(units->entries[i].graph);
    free(units->entries);
    free(units);
}
