/* What the two directions of a block share. For supernet/layers_block*.c and engine_fold.c. */
#pragma once

#include "supernet/engine_internal.h"
#include "supernet/transform.h"

/* What the depthwise convolution reads (before BN and activation when the block expands). */
struct plane block_dw_input(const struct unit *unit);
/* The way from a block's largest filters to those of `kernel`, and how many steps it takes. */
void block_kernel_chain(const struct block_tensors *tensors, int kernel, struct kernel_chain *chain,
                        int *ret_step);
/* From the filtered plane to the projected one, BN's coefficients included. */
void block_project(struct engine *engine, struct unit *unit);
/* Fills the engine's filters (row-major and packed) for the subnet's kernel size. */
void block_pack_filters(struct engine *engine, const struct unit *unit);
