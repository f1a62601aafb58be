/* The network that every board runs beside what it measures, and whose spread is its noise floor.
 */
#pragma once

#include "base/error.h"
#include "space/graph.h"

/* The largest subnet of peer_28. The caller frees it with free(). Errors: ESP_ENOMEM. */
int reference_graph(struct err *err, struct graph **ret_graph);
/* What it gives for the weights and the input that a back end makes of seed 1: the scalar kernels'
 * outputs, all of them; and its multiply-adds (tests/unit/devices/test_plausible.c computes both
 * anew). */
enum { REFERENCE_OUTPUTS = 10, REFERENCE_SEED = 1, REFERENCE_MACS = 57301536 };
extern const double reference_outputs[REFERENCE_OUTPUTS];
