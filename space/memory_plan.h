/* Where each tensor of a graph lies in one arena: liveness in op order, first fit by decreasing
 * size, 64-byte aligned; SE works in place. The runtime's plan uses exactly these offsets, so
 * peak_activation_bytes is what it allocates. */
#pragma once

#include "space/graph.h"

/* ret_offsets has graph->n_tensors entries (bytes). Tensor 0 (the image) is in the arena too.
 * Returns the arena's bytes, negative ESP_E… on error. */
int64_t memory_plan(const struct graph *graph, int bytes_per_element, int64_t *ret_offsets);
