/* What the passes of a training step have to do at least, counted from the network: multiply-adds,
 * and bytes of planes that must come from and go to memory. */
#pragma once

#include "space/graph.h"
#include "supernet/engine.h"

struct work {
    double flops; /* two for a multiply-add; taps of padding counted */
    double bytes; /* of planes read and written once by each pass; weights and caches left out */
};
/* Adds the work of a subnet's forward and backward on `images` images. merge_channels: blocks of at
 * most as many input channels never store their expanded plane (supernet/layers_expand.c). */
void step_work_add(const struct graph *graph, int images, int merge_channels,
                   struct work work[ENGINE_PHASES]);
