/* The weight-sharing supernet of a space: named parameters and BN statistics. A subnet uses leading
 * slices of them; its weights are never copied out to train. Names and shapes of an OFA-MobileNetV3
 * space are those of once-for-all's checkpoints. */
#pragma once

#include "base/parallel.h"
#include "space/arch.h"
#include "space/graph.h"

enum { TENSOR_NAME_MAX = 96, TENSOR_DIMS_MAX = 4 };

enum tensor_kind {
    TENSOR_WEIGHT,    /* decays */
    TENSOR_TRANSFORM, /* kernel transformation matrix; decays as a weight does in once-for-all */
    TENSOR_BIAS,      /* no decay */
    TENSOR_BN_SCALE,
    TENSOR_BN_SHIFT, /* no decay */
    TENSOR_BN_MEAN,
    TENSOR_BN_VARIANCE /* no gradient */
};

/* Row-major in the order of PyTorch: [out, in / groups, k, k]; data, grad, momentum are owned by
 * the supernet, 64-byte aligned; grad and momentum are NULL for BN statistics. */
struct tensor {
    char name[TENSOR_NAME_MAX];
    enum tensor_kind kind;
    int n_dims, dims[TENSOR_DIMS_MAX];
    size_t count;
    float *data, *grad, *momentum;
};

struct supernet {
    struct space *space; /* owned copy */
    int n_tensors;
    struct tensor *tensors;
    struct supernet_map *map; /* which tensor plays which part (supernet/supernet_map.h) */
    float *storage;           /* all data, then all grad, then all momentum */
};

/* Fresh weights: convolutions normal with variance 2 / (k * k * c_out / groups) (He et al. 2015,
 * fan-out), classifier uniform within 1 / sqrt(c_in), biases 0, transforms identity, BN scale 1,
 * shift 0, mean 0, variance 1. Equal seeds give equal weights. Errors: ESP_ENOMEM, ESP_EINVAL. */
int supernet_create(const struct space *space, uint64_t seed, struct err *err,
                    struct supernet **ret_supernet);
void supernet_destroy(struct supernet *supernet); /* takes NULL */
/* Bytes of weights, gradients and momentum that supernet_create will allocate. */
size_t supernet_memory_estimate(const struct space *space);
struct tensor *supernet_find(struct supernet *supernet,
                             const char *name); /* NULL if there is none */
void supernet_zero_grad(struct supernet *supernet);
size_t supernet_parameter_count(const struct supernet *supernet); /* without BN statistics */

/* Stochastic gradient descent with Nesterov momentum in the form of PyTorch: v = m v + (g + wd w);
 * w -= lr (g + wd w + m v). Gradient scaled to at most clip_norm in the global 2-norm first when
 * clip_norm > 0. Returns the norm before clipping; NaN when not finite (weights are then
 * untouched). */
struct sgd {
    float learning_rate, momentum, weight_decay, clip_norm;
};
double supernet_sgd_step(struct supernet *supernet, struct parallel *pool, const struct sgd *sgd);
