/* A graph run by naive loops in double precision. */
#pragma once

#include "runtime/plan.h"

/* input: [C, H, W] of tensor 0; returns the last op's output, row-major. Caller frees. */
double *reference_run(const struct graph *graph, const struct plan_weights *weights,
                      const float *input);
