/* What the processes of a data-parallel training have between them: rank, all-reduce, broadcast.
 * There is one implementation, of one process; another (MPI, say) is a `struct comm_ops`.
 *
 * A training is a function of (configuration, space, data), not of how a batch is split:
 *   - Each rank takes a run of whole chunks of a batch (comm_shard). What is random is keyed by
 *     (seed, purpose, step or epoch, image or subnet), where an image has its index in the whole
 *     batch or in the data set: supernet/augment.h, loader.h, regime.h, engine.h (dropout).
 *   - Whatever is summed over images is summed in order inside a chunk, then over the chunks as a
 *     balanced binary tree, then over the ranks as the rest of the same tree. So with 1, 2, 4, 8 or
 *     16 ranks the bits are the same: of BN statistics and their gradients (each batch's are those
 *     of the whole batch, on every rank), of weight gradients, losses and recalibrated statistics.
 *     Gradients are whole on every rank behind engine_backward; norms, clipping and the step follow
 *     from them on every rank alike.
 *   - Scoring deals out whole batches: hits are counts and exact; the mean loss of a score depends
 *     on the number of ranks in the last bits of a double. Nothing else does. */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

/* Every rank calls the same functions in the same order; all of them block. A rank that is lost
 * ends the others: there is no error to return, a training goes on from its checkpoint. */
struct comm_ops {
    /* values[i] becomes the sum over the ranks, the same bits on each: ranks are the leaves of a
     * balanced binary tree, as in comm_fold. */
    void (*sum_f32)(void *context, float *values, size_t n);
    void (*sum_f64)(void *context, double *values, size_t n);
    /* data of rank 0 goes to all. */
    void (*broadcast)(void *context, void *data, size_t bytes);
};

struct comm {
    int rank, size; /* 0 <= rank < size, a power of two */
    const struct comm_ops *ops;
    void *context;
};
extern const struct comm comm_alone; /* one process: sums and broadcasts leave all as it is */

static inline void comm_sum_f32(const struct comm *comm, float *values, size_t n) {
    comm->ops->sum_f32(comm->context, values, n);
}
static inline void comm_sum_f64(const struct comm *comm, double *values, size_t n) {
    comm->ops->sum_f64(comm->context, values, n);
}
static inline void comm_broadcast(const struct comm *comm, void *data, size_t bytes) {
    comm->ops->broadcast(comm->context, data, bytes);
}

enum {
    SHARD_CHUNKS_MAX = 16, /* of a batch */
    SHARD_OCTET = 8        /* a chunk is a multiple of so many images */
};
/* A rank's images of a batch: [first, first + n) of `batch`, in chunks of `chunk`. */
struct shard {
    int batch, first, n, chunk;
};
/* ESP_EINVAL: more ranks than the batch has chunks for. */
int comm_shard(const struct comm *comm, int batch, struct err *err, struct shard *ret_shard);
int shard_chunk(int batch);                  /* images of a chunk of such a batch */
int shard_chunks(const struct shard *shard); /* of this rank; the last one may hold fewer */
bool shard_fits(const struct shard *shard);  /* whole chunks inside of the batch */

/* The sum of parts[0] to parts[n - 1] as a balanced binary tree: of neighbours, of neighbouring
 * pairs and so on; who has no partner stays. Uses up parts; n >= 1. */
double comm_fold(double *parts, int n);
