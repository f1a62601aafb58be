/* What an arch costs by counting: no measurement. */
#pragma once

#include "space/graph.h"

struct cost {
    int64_t macs;   /* convolutions, both SE 1x1 and classifier; no BN, activation, pooling (as
                       DyNAS-T counts) */
    int64_t params; /* weights, biases, BN scale and shift; no kernel transformation matrices, no
                       running statistics */
    int64_t peak_activation_bytes; /* arena of the runtime's plan (space/memory_plan.h) */
    int64_t peak_simple_bytes;     /* largest input + output + residual of a layer */
    int64_t model_bytes;           /* weights and biases with BN folded */
    int64_t traffic_bytes; /* what the units move at least, each run fused: activations in and out,
                              and weights with BN folded; what lies between the ops of a unit stays
                              near the processor */
};

/* Of a machine, in tenths of a picojoule, so that sums are exact whatever their order. The default:
 * a 32-bit float multiply and add (3.7 + 0.9 pJ, 45 nm, Horowitz 2014, fig. 1.1.9), and a byte of
 * DRAM (640 pJ for 32 bits, Han et al. 2015, tab. 1). Both are of one old process: estimates that
 * rank networks, not joules of a board. */
struct energy_prices {
    int mac, byte;
};
extern const struct energy_prices energy_prices_default;
#define ENERGY_UJ 1e-7 /* microjoules of a tenth of a picojoule */
/* MACs and traffic, each at its price, in tenths of a picojoule. */
int64_t cost_energy(const struct cost *cost, const struct energy_prices *prices);

void op_cost(const struct op *op, int bytes_per_element,
             struct cost *ret_cost); /* peaks: those of the op alone */
int graph_cost(const struct graph *graph, int bytes_per_element, struct err *err,
               struct cost *ret_cost);
/* What one unit of a graph adds, at 4 bytes an element; its peaks are those while it runs. */
void unit_cost(const struct graph *graph, int unit, struct cost *ret_cost);
/* What one op of a unit adds, 0 <= op < n_ops, at 4 bytes an element: MACs, parameters, model and
 * traffic of a unit's ops sum up to the unit's, whose input the first one reads and whose output
 * the last one writes. peak_activation_bytes: the tensors of the unit that lie in memory while it
 * runs where ops run one by one, each into a whole tensor (SE in place); a fused unit needs another
 * arena, mostly less. */
void unit_op_cost(const struct graph *graph, int unit, int op, struct cost *ret_cost);
int arch_cost(const struct space *space, const struct arch *arch, struct err *err,
              struct cost *ret_cost); /* 4 bytes an element; fast: used in search loops */

enum cost_metric {
    COST_MACS,
    COST_PARAMS,
    COST_PEAK_ACTIVATION,
    COST_PEAK_SIMPLE,
    COST_MODEL_BYTES,
    COST_TRAFFIC,
    COST_ENERGY, /* microjoules at the default prices */
    COST_METRICS
};
/* Exact attainable range of a metric over the space, and an arch that attains its low end: a
 * dynamic programme over stages (space/additive.h), some milliseconds for a large space. Errors:
 * ESP_ENOMEM, ESP_ELIMIT. */
int cost_range(const struct space *space, enum cost_metric metric, struct err *err, double *ret_low,
               double *ret_high, struct arch *ret_low_arch);
