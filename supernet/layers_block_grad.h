/* What the files of a block's backward share. */
#pragma once

#include "supernet/layers_block.h"

/* Planes of one backward. */
struct block_grad {
    struct plane dy, dx, d_filtered, d_expanded;
};

static inline size_t block_filter_floats(const struct unit *unit) {
    return (size_t)unit->mid * (size_t)unit->spec.kernel * (size_t)unit->spec.kernel;
}

/* The gradients of excitation's weights and biases are dealt out by rows to so many parts. */
enum { EXCITATION_PARTS = 64 };
/* Floats of all of them, and of the most that one part takes for all chunks of a batch. */
size_t block_excitation_floats(int mid, int hidden);
size_t block_excitation_part_floats(int mid, int hidden);

/* From dy to dz of the filtered plane, its sums, project's weights and those of excitation. */
void block_project_backward(struct engine *engine, struct unit *unit,
                            const struct block_grad *grad);

/* Expand's gradients by a pass of their own over dz of the expanded plane. */
void expand_backward(struct engine *engine, struct unit *unit, const struct block_grad *grad);

/* Where a slot keeps the merged pass's sums, behind those of the filters. */
struct merged_slot {
    size_t weight, end; /* floats from the slot's start */
};
struct merged_slot expand_merged_slot(const struct unit *unit);
/* Before the pass; in it, behind the depthwise gradients of each run of images; behind it. */
void expand_merged_prepare(struct engine *engine, const struct unit *unit);
void expand_merged_run(const struct chunk *chunk, int first, int n);
void expand_merged_finish(struct engine *engine, struct unit *unit, const struct block_grad *grad);
/* Floats of the engine's merge_work for a block of at most these channels. */
size_t expand_merged_work_floats(int c_in, int mid);
