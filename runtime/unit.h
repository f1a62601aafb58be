/* One unit of a graph ready to run: packed weights and places in the arena. For the parts of
 * runtime/ only. */
#pragma once

#include "base/memory.h"
#include "base/parallel.h"
#include "runtime/kernels/kernels.h"
#include "runtime/plan.h"
#include "space/memory_plan.h"

/* Packed weights and bias (padded to a multiple of 8) of one operation; borrowed from an arena. */
struct packed {
    const float *weight, *bias;
};

struct unit {
    struct unit_spec spec;
    struct unit_memory at; /* byte offsets in the activation arena */
    struct packed expand /* a bottleneck's reduce */, depthwise, dense, shortcut, se_reduce,
        se_expand, mix;
    struct packed last; /* what makes the unit's output: stem, project, head, classifier */
};

/* Fills ret_unit but for `at`. ops: the unit's entries of the graph's weights. memory keeps what is
 * packed. Errors: ESP_ENOMEM, ESP_EINVAL (missing weights), ESP_EUNSUPPORTED. */
int unit_pack(const struct graph_unit *graph_unit, const struct op_weights *ops,
              struct arena *memory, struct err *err, struct unit *ret_unit);

/* Who runs a unit. */
struct unit_run {
    const struct kernels *kernels;
    struct parallel *pool; /* NULL: one thread */
    char *arena;           /* activations of the image; the unit's input is in its place */
    char *const *spare;    /* [threads]: memory for the scratch planes of threads other than 0 */
    const float *image;    /* row-major; read by a stem only */
};
void unit_run(const struct unit *unit, const struct unit_run *run);
