#include "space/memory_plan.h"

enum { ALIGN = 64, BLOCK_CHANNELS = 8 /* the runtime's vectors are padded to these */ };

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t padded(int channels) {
    return (channels + BLOCK_CHANNELS - 1) / BLOCK_CHANNELS * BLOCK_CHANNELS;
}

static int64_t bytes_of(int64_t elements, int bytes_per_element) {
    return (elements * bytes_per_element + ALIGN - 1) / ALIGN * ALIGN;
}

static int64_t outputs(const struct unit_spec *spec, int channels) {
    int stride = spec->stride ? spec->stride : 1;
    return (int64_t)((spec->h_in + stride - 1) / stride) * ((spec->w_in + stride - 1) / stride) *
           padded(channels);
}

static struct unit_memory block_elements(const struct unit_spec *spec) {
    int mid = spec->expand_channels ? spec->expand_channels : spec->c_in;
    int panel = mid < MEMORY_PANEL_CHANNELS ? mid : MEMORY_PANEL_CHANNELS;
    return (struct unit_memory){
        .scratch = padded(panel) * spec->h_in * (spec->w_in + spec->kernel / 2 * 2),
        .middle = outputs(spec, mid),
        .vectors = spec->se_channels ? 2 * padded(mid) + padded(spec->se_channels) : 0,
        .output = outputs(spec, spec->c_out)};
}

static struct unit_memory bottleneck_elements(const struct unit_spec *spec) {
    return (struct unit_memory){.scratch = padded(spec->expand_channels) * spec->h_in * spec->w_in,
                                .middle = outputs(spec, spec->expand_channels),
                                .output = outputs(spec, spec->c_out)};
}

static struct unit_memory elements(const struct unit_spec *spec) {
    struct unit_memory memory = {0};
    int pad = spec->kernel / 2 * 2;
    switch (spec->kind) {
    case UNIT_STEM:
        return (struct unit_memory){.scratch = (int64_t)spec->c_in * (spec->h_in + pad) *
                                               (spec->w_in + pad),
                                    .output = outputs(spec, spec->c_out)};
    case UNIT_BLOCK:
        memory = block_elements(spec);
        break;
    case UNIT_BOTTLENECK:
        memory = bottleneck_elements(spec);
        break;
    case UNIT_CONV:
    case UNIT_HEAD_CONV:
        memory.output = outputs(spec, spec->c_out);
        break;
    case UNIT_HEAD_TAIL:
        memory.vectors = padded(spec->c_in) + padded(spec->mix_channels);
        memory.output = padded(spec->c_out);
        break;
    }
    memory.input = padded(spec->c_in) * spec->h_in * spec->w_in;
    return memory;
}

struct unit_memory unit_memory(const struct unit_spec *spec, int bytes_per_element) {
    struct unit_memory memory = elements(spec);
    memory.input = bytes_of(memory.input, bytes_per_element);
    memory.scratch = bytes_of(memory.scratch, bytes_per_element);
    memory.middle = bytes_of(memory.middle, bytes_per_element);
    memory.vectors = bytes_of(memory.vectors, bytes_per_element);
    memory.output = bytes_of(memory.output, bytes_per_element);
    return memory;
}

/* Units of more than one step: two that have a middle. */
static bool has_middle(const struct unit_spec *spec) {
    return spec->kind == UNIT_BLOCK || spec->kind == UNIT_BOTTLENECK;
}

/* A block that nothing is added to has done with its input when the middle is there. */
static bool keeps_input(const struct unit_spec *spec) {
    return spec->kind == UNIT_BOTTLENECK || spec->residual;
}

/* Most bytes at once, by steps. */
static int64_t peak_of(const struct unit_spec *spec, const struct unit_memory *memory) {
    if (!has_middle(spec))
        return memory->input + memory->scratch + memory->vectors + memory->output;
    int64_t kept = (keeps_input(spec) ? memory->input : 0) + memory->middle;
    int64_t filter = memory->input + memory->scratch + memory->middle;
    return larger(filter, larger(kept + memory->vectors, kept + memory->output));
}

int64_t unit_peak_bytes(const struct unit_spec *spec, int bytes_per_element) {
    struct unit_memory memory = unit_memory(spec, bytes_per_element);
    return peak_of(spec, &memory);
}

/* Offsets with the input at the bottom of an arena of `arena` bytes. What keeps its input has the
 * middle beside it and finds the top free for its output; any other block has the middle at the top
 * and overwrites its input. */
static struct unit_memory place_upwards(const struct unit_spec *spec,
                                        const struct unit_memory *size, int64_t arena) {
    if (!has_middle(spec))
        return (struct unit_memory){
            .scratch = size->input, .vectors = size->input, .output = arena - size->output};
    if (!keeps_input(spec))
        return (struct unit_memory){.scratch = size->input, .middle = arena - size->middle};
    return (struct unit_memory){.middle = size->input,
                                .scratch = arena - size->scratch,
                                .vectors = arena - size->vectors,
                                .output = arena - size->output};
}

static struct unit_memory mirror(const struct unit_memory *at, const struct unit_memory *size,
                                 int64_t arena) {
    return (struct unit_memory){.input = arena - at->input - size->input,
                                .scratch = arena - at->scratch - size->scratch,
                                .middle = arena - at->middle - size->middle,
                                .vectors = arena - at->vectors - size->vectors,
                                .output = arena - at->output - size->output};
}

int64_t memory_plan(const struct graph *graph, int bytes_per_element,
                    struct unit_memory *ret_offsets) {
    int64_t arena = 0;
    for (int i = 0; i < graph->n_units; i++)
        arena = larger(arena, unit_peak_bytes(&graph->units[i].spec, bytes_per_element));
    bool input_at_top = false;
    for (int i = 0; i < graph->n_units; i++) {
        const struct unit_spec *spec = &graph->units[i].spec;
        struct unit_memory size = unit_memory(spec, bytes_per_element);
        struct unit_memory at = place_upwards(spec, &size, arena);
        ret_offsets[i] = input_at_top ? mirror(&at, &size, arena) : at;
        if (!has_middle(spec) || keeps_input(spec))
            input_at_top = !input_at_top;
    }
    return arena;
}
