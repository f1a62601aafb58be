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

/* Row-major in the order of PyTorch: [out, in / groups, k, k]; all floats are owned by the
 * supernet, 64-byte aligned; grad and momentum are NULL for BN statistics, average and teacher
 * where the supernet has no such copy. */
struct tensor {
    char name[TENSOR_NAME_MAX];
    enum tensor_kind kind;
    int n_dims, dims[TENSOR_DIMS_MAX];
    size_t count;
    float *data, *grad, *momentum, *average, *teacher;
};

/* What of a tensor a checkpoint keeps. The last two are copies of all data that a supernet has only
 * while a training needs them: the moving average of the weights, and the weights of a frozen
 * teacher. */
enum supernet_part { PART_DATA, PART_MOMENTUM, PART_AVERAGE, PART_TEACHER, SUPERNET_PARTS };
float *tensor_part(const struct tensor *tensor, enum supernet_part part); /* NULL: it has none */

struct supernet {
    struct space *space; /* owned copy */
    int n_tensors;
    struct tensor *tensors;
    struct supernet_map *map;      /* which tensor plays which part (supernet/supernet_map.h) */
    float *storage;                /* all data, then all grad, then all momentum */
    float *copies[SUPERNET_PARTS]; /* of PART_AVERAGE and PART_TEACHER; NULL where there is none */
};

/* Fresh weights: convolutions normal with variance 2 / (k * k * c_out / groups) (He et al. 2015,
 * fan-out), classifier uniform within 1 / sqrt(c_in), biases 0, transforms identity, BN scale 1,
 * shift 0, mean 0, variance 1. Equal seeds give equal weights. Errors: ESP_ENOMEM, ESP_EINVAL. */
int supernet_create(const struct space *space, uint64_t seed, struct err *err,
                    struct supernet **ret_supernet);
void supernet_destroy(struct supernet *supernet); /* takes NULL */
/* Bytes of weights, gradients and momentum that supernet_create will allocate. */
size_t supernet_memory_estimate(const struct space *space, int copies /* PART_AVERAGE, ... */);
struct tensor *supernet_find(struct supernet *supernet,
                             const char *name); /* NULL if there is none */
void supernet_zero_grad(struct supernet *supernet);
size_t supernet_parameter_count(const struct supernet *supernet); /* without BN statistics */

/* Of PART_AVERAGE and PART_TEACHER. Copying makes the part what the data are now; ESP_ENOMEM.
 * Swapping exchanges data and part, so that a pass or a score is that of the copy; swapped again
 * all is as before. Both take a part that is there. */
int supernet_copy_part(struct supernet *supernet, enum supernet_part part, struct err *err);
void supernet_drop_part(struct supernet *supernet, enum supernet_part part);
bool supernet_has_part(const struct supernet *supernet, enum supernet_part part);
void supernet_swap_part(struct supernet *supernet, enum supernet_part part);
/* average = decay * average + (1 - decay) * data, BN statistics too. */
void supernet_average_step(struct supernet *supernet, struct parallel *pool, double decay);
/* The running BN statistics, which a step changes as it goes: taken out before it, put back when it
 * is given up. */
size_t supernet_statistics_floats(const struct supernet *supernet);
void supernet_get_statistics(const struct supernet *supernet, float *ret_floats);
void supernet_put_statistics(struct supernet *supernet, const float *floats);
void supernet_zero_momentum(struct supernet *supernet);

/* Stochastic gradient descent with Nesterov momentum in the form of PyTorch: v = m v + (g + wd w);
 * w -= lr (g + wd w + m v). First each value of the gradient is limited to +-clip_value when that
 * is > 0, then all are scaled to at most clip_norm in the global 2-norm when that is > 0. Returns
 * the norm before any clipping; NaN when not finite (weights are then untouched). */
struct sgd {
    float learning_rate, momentum, weight_decay, clip_norm, clip_value;
};
double supernet_sgd_step(struct supernet *supernet, struct parallel *pool, const struct sgd *sgd);

/* Norms of the gradient by part: stem, each stage, head (with the classifier). */
enum { GRADIENT_PARTS_MAX = SPACE_STAGES_MAX + 2 };
int supernet_gradient_parts(const struct supernet *supernet); /* their number */
/* Sums of squares; in the order of the tensors, so equal bits for any number of threads. */
void supernet_gradient_squares(const struct supernet *supernet,
                               double ret_squares[GRADIENT_PARTS_MAX]);
