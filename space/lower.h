/* From a space's choices to units, and from units to ops: the one place where shapes are worked
 * out. For the parts of space/ only. */
#pragma once

#include "space/additive.h"

/* Where a block stands: its stage, whether it is the first there (stride), and what comes in. */
struct block_place {
    const struct space_stage *stage;
    bool first;
    int c_in, side, c_out; /* side: pixels */
};

struct unit_spec lower_stem(const struct space *space, int resolution);
struct unit_spec lower_block(const struct block_place *place, int kernel_size, double expand_ratio);
/* side: pixels of what comes in. */
struct unit_spec lower_head_conv(const struct space *space, int c_in, int side);
struct unit_spec lower_head_tail(const struct space *space, int c_in, int side);
int lower_side(int side, int stride); /* pixels behind a convolution of odd kernel */

/* The units of an arch one after the other. */
struct unit_walk {
    const struct space *space;
    const struct arch *arch;
    int stage, position; /* next block; stage -1: stem; n_stages: head conv; more: tail, end */
    int channels, side;  /* of the last output */
};
struct placed_unit {
    struct unit_spec spec;
    int stage, block;
};
void unit_walk_start(struct unit_walk *walk, const struct space *space, const struct arch *arch);
bool unit_walk_next(struct unit_walk *walk, struct placed_unit *ret_unit); /* false: no more */

/* Cost of one unit by itself, NAN where unknown; 0 once *error is negative. */
double additive_unit(const struct additive_cost *cost, const struct unit_spec *spec, int stage,
                     int block, struct err *err, int *error);

/* Ops of a unit; input, output and residual count from the unit's input as tensor 0. Returns their
 * number. */
int unit_ops(const struct unit_spec *spec, struct op ret_ops[UNIT_OPS_MAX]);
void unit_signature(const struct unit_spec *spec, char ret_signature[GRAPH_SIGNATURE_MAX]);
/* ESP_ENOMEM. */
int graph_from_units(const struct placed_unit *units, int n, struct err *err,
                     struct graph **ret_graph);
