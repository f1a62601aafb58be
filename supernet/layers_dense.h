/* Dense convolutions between blocked planes, as conv blocks and bottlenecks have them. For
 * supernet/layers_*.c only. */
#pragma once

#include "supernet/engine_internal.h"

/* One of the running subnet: the centre of leading slices of its weights. */
struct dense_layer {
    const struct tensor *weight; /* [out, in, size, size] */
    struct plane in, out;
    int kernel, stride;
};

/* Packs the weights into packed[0]: for the two passes below, or for the data gradient. */
void dense_prepare(struct engine *engine, const struct dense_layer *layer);
void dense_prepare_transposed(struct engine *engine, const struct dense_layer *layer);
/* One image into out, with the sums for its BN. x: the image as the convolution reads it, which may
 * be the input plane's or a copy behind BN and activation. */
void dense_forward(const struct chunk *chunk, const struct dense_layer *layer, int image,
                   const float *x, ptrdiff_t x_block);

/* Images that lie together in the planes on both sides. */
int dense_run(const struct dense_layer *layer);
/* In place over dz (a plane like that of a): the gradient of a. */
void dense_bn_grad(const struct chunk *chunk, const struct bn_layer *bn, const struct plane *a,
                   const struct plane *dz, int first, int n);
/* Adds the weight gradient of images [first, first + n) to the chunk's slot. x as for forward,
 * image after image. */
void dense_weight_grad(const struct chunk *chunk, const struct dense_layer *layer,
                       const struct plane *d_out, int first, int n, const float *x,
                       ptrdiff_t x_block);
/* Gradient of one image of the input into d_in. epi: EPI_STORE, EPI_ADD, or with stride 1 a
 * residual of that image. */
void dense_data_grad(const struct chunk *chunk, const struct dense_layer *layer,
                     const struct plane *d_out, const struct plane *d_in, int image,
                     const struct epilogue *epi);
/* Floats of a slot; sums the slots and adds them to the weights' gradient. */
size_t dense_slot_floats(const struct dense_layer *layer);
void dense_add_grad(struct engine *engine, const struct dense_layer *layer);
