/* Inference of a graph: weights packed, buffers placed by lifetime, fused kernels. What boards
 * measure and what scores subnets. */
#pragma once

#include "base/parallel.h"
#include "space/graph.h"

/* Weights of a graph's ops with BN folded, row-major as in PyTorch. Entry i belongs to op i; what
 * an op does not have is NULL. */
struct op_weights {
    float
        *weight; /* OP_CONV [c_out, c_in, k, k]; OP_DEPTHWISE [c, k, k]; OP_LINEAR [c_out, c_in] */
    float *bias; /* [c_out]; NULL: zero */
    float *se_reduce, *se_reduce_bias; /* [se, c], [se] */
    float *se_expand, *se_expand_bias; /* [c, se], [c] */
};
struct plan_weights {
    int n_ops;
    struct op_weights *ops;
};
/* Zeroed, everything present. Errors: ESP_ENOMEM. */
int plan_weights_create(const struct graph *graph, struct err *err,
                        struct plan_weights **ret_weights);
/* Random weights that keep activations near 1, small biases, no denormals: for latency
 * measurements. */
int plan_weights_random(const struct graph *graph, uint64_t seed, struct err *err,
                        struct plan_weights **ret_weights);
void plan_weights_destroy(struct plan_weights *weights); /* takes NULL */

struct plan;
struct plan_options {
    uint32_t cpu_flags;    /* kernels may use these; 0: all that cpu_flags() offers */
    struct parallel *pool; /* borrowed; NULL: one thread. One image is split inside its units where
                              that pays, more images are dealt out whole. */
    int batch;             /* largest n of plan_run; >= 1 */
};
/* Packs the weights (which may be destroyed afterwards). Errors: ESP_ENOMEM, ESP_EINVAL (weights of
 * another graph, batch), ESP_EUNSUPPORTED (names the unit: channels inside a network must be
 * multiples of 8). */
int plan_create(const struct graph *graph, const struct plan_weights *weights,
                const struct plan_options *options, struct err *err, struct plan **ret_plan);
void plan_destroy(struct plan *plan); /* takes NULL */
/* input: [n, C, H, W] of tensor 0, row-major; output: [n, elements of the last op's output],
 * row-major. n in [1, batch]; ESP_EINVAL otherwise. Not thread-safe: one call on a plan at a time.
 * An image's result is the same bits for any number of threads and in any batch. */
int plan_run(struct plan *plan, const float *input, int n, float *ret_output);
/* The parts of plan_run on one image, for timing its units without what surrounds them: the image
 * is taken in (a stem reads it where it is), then the units run on what lies in the plan's memory,
 * as often as one likes. A unit may leave its output where its input was: of more than one run no
 * output can be told. */
void plan_take_in(struct plan *plan, const float *input);
void plan_run_inside(struct plan *plan, const float *input);
/* Bytes of activations for one image on one thread: peak_activation_bytes of the graph (4 bytes an
 * element). Threads beyond the first have such memory of their own. */
int64_t plan_arena_bytes(const struct plan *plan);
/* Identity of what was built: kernel set chosen, source revision of the runtime; part of a
 * profile's fingerprint. Static. */
const char *plan_kernel_set(const struct plan *plan); /* "scalar", "avx2", "avx512" */
const char *
runtime_revision(void); /* hash of the sources and flags of what runs, made at build time */
