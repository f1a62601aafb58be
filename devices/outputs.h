/* Whether a back end computed the network at all: its outputs against those of the scalar kernels,
 * which are the specification. A fast kernel that computes something else is no fast kernel. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

#include "runtime/plan.h"

/* What the scalar kernels make of input ([C][H][W]): *ret_outputs [*ret_n], which the caller frees.
 * Errors: ESP_ENOMEM and those of a plan. */
int outputs_expect(const struct graph *graph, const struct plan_weights *weights,
                   const float *input, struct err *err, float **ret_outputs, size_t *ret_n);
/* The same of a chain of n links of a unit, as export_onnx_chain writes it. */
int outputs_expect_chain(const struct graph *unit, struct plan_weights *const *weights, int n,
                         const float *input, struct err *err, float **ret_outputs, size_t *ret_n);
/* *ret_error: the largest difference, as a share of the largest expected output. ESP_EINVAL: more
 * than tolerance, or outputs that are not finite. */
int outputs_compare(const float *outputs, const float *expected, size_t n, double tolerance,
                    struct err *err, double *ret_error);
/* Adds to a result what the daemon looks at: the error, the tolerance and the first outputs. */
void outputs_tell(cJSON *result, const float *outputs, size_t n, double error, double tolerance);
