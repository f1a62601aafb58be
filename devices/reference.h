/* The network that every board runs beside what it measures, and whose spread is its noise floor.
 */
#pragma once

#include "base/error.h"
#include "space/graph.h"

/* The largest subnet of peer_28. The caller frees it with free(). Errors: ESP_ENOMEM. */
int reference_graph(struct err *err, struct graph **ret_graph);
