/* Where each tensor of a graph lies in one arena. The runtime's plan uses exactly these offsets, so
 * peak_activation_bytes is what it allocates.
 *
 * Tensors are placed in op order at alternating ends of the arena, next to those that still live;
 * in a chain of units that always fits into the largest sum of tensors that live at once, which no
 * plan can beat. SE works in place. Every tensor starts on 64 bytes and is counted in whole
 * multiples of 64. */
#pragma once

#include "space/graph.h"

/* ret_offsets has graph->n_tensors entries (bytes). Tensor 0 (the image) is in the arena too, and
 * lives until its last reader only: who runs a graph again writes it again. Returns the arena's
 * bytes. */
int64_t memory_plan(const struct graph *graph, int bytes_per_element, int64_t *ret_offsets);
