/* Where the activations of a graph lie in one arena while the runtime runs it on one image with one
 * thread. The runtime's plan uses exactly these places, so peak_activation_bytes is what it
 * allocates.
 *
 * A block runs in two steps. First, MEMORY_PANEL_CHANNELS of the expanded channels at a time,
 * expand (or a copy of the input) into padded planes and from there depthwise: the expanded tensor
 * never exists as a whole. Then SE in place, and project. A bottleneck reduces into its scratch,
 * filters from there into its middle, and keeps its input for the shortcut; a shortcut's
 * convolution writes the output, which the last convolution adds to. Of two neighbouring units one
 * output is the other's input; buffers alternate between the arena's ends, so that the arena is as
 * large as the most that lives at once in any unit, which no other placement can beat. Every buffer
 * starts on 64 bytes and is counted in whole multiples of 64. */
#pragma once

#include "space/graph.h"

enum { MEMORY_PANEL_CHANNELS = 24 };

/* For each buffer of a unit its bytes (unit_memory) or its offset in the arena (memory_plan). What
 * a unit does not need has 0 bytes. */
struct unit_memory {
    int64_t input;   /* of a stem: 0, it reads the image where the caller has it */
    int64_t scratch; /* stem: padded image; block: padded planes of one panel (rows are padded, no
                        rows are added above or below); bottleneck: the reduced image */
    int64_t middle;  /* block, bottleneck: output of the k x k convolution */
    int64_t vectors; /* SE: mean, hidden vector, gate; head tail: mean, mixed features */
    int64_t output;
};
struct unit_memory unit_memory(const struct unit_spec *spec, int bytes_per_element);
/* Most bytes that live at once while the unit runs. */
int64_t unit_peak_bytes(const struct unit_spec *spec, int bytes_per_element);

/* ret_offsets has graph->n_units entries. Returns the arena's bytes. */
int64_t memory_plan(const struct graph *graph, int bytes_per_element,
                    struct unit_memory *ret_offsets);
