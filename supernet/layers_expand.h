/* A block's expanding 1x1 convolution: see layers_expand.c for its two ways. For
 * supernet/layers_*.c and engine_memory.c only. */
#pragma once

#include "supernet/engine_internal.h"

/* Sums over the batch of x x' and x, channels of the input: [channels][channels] and [channels]. */
struct moments {
    float *gram, *sums;
};
size_t moments_floats(int channels); /* of the memory that both lie in */
struct moments moments_of(float *memory, int channels);

/* Expands, and sets the expanded BN's coefficients. Behind it a stored plane is complete; a merged
 * one is expanded by the two functions below. packed[0] keeps the weights. */
void expand_forward(struct engine *engine, struct unit *unit);
/* Expanded channels [channel, channel + planes->blocks * 8), one panel of the packed weights,
 * behind BN and activation, into padded scratch planes (whose zero columns are there already).
 * planes: y, strides and sizes as for pad_f32. */
void expand_into_planes(const struct chunk *chunk, const struct pad_args *planes, int image,
                        int channel);
/* The same channels of images [first, first + n), which lie together, before BN, into the thread's
 * panel; the weights in packed[1]. */
void expand_again(const struct chunk *chunk, int first, int n, int channel, int channels);
