/* Forward and backward of any subnet of a supernet on a batch, on the shared weights. One engine
 * holds the working memory for a largest batch and resolution; not thread-safe; parallel inside.
 * Same inputs give the same bits for any number of threads. */
#pragma once

#include "supernet/comm.h"
#include "supernet/supernet.h"

struct engine;

struct engine_limits {
    int batch, resolution; /* largest n and largest r of a run */
    bool training;         /* keeps what backward needs; without it ENGINE_TRAIN is refused */
    /* With training: largest n of a run that is no ENGINE_TRAIN. Such runs then lay the same memory
     * out anew, without what backward needs; there is as much as the hungrier kind of run takes.
     * 0: batch, and one layout for all. */
    int forward_batch;
};
/* Borrows supernet and pool (which may be NULL) until engine_destroy. Allocates every buffer that a
 * run may need; what no run uses is never touched. Errors: ESP_EINVAL, ESP_ELIMIT, ESP_ENOMEM. */
int engine_create(struct supernet *supernet, struct parallel *pool,
                  const struct engine_limits *limits, struct err *err, struct engine **ret_engine);
void engine_destroy(struct engine *engine); /* takes NULL */
/* The processes that batches are split over; borrowed. comm_alone until it is set. */
void engine_set_comm(struct engine *engine, const struct comm *comm);
const struct comm *engine_comm(const struct engine *engine);
/* Asked before every pass over the batch, in the thread that runs it: true ends the run with
 * ESP_ECANCELED. What it has written by then (gradients, running statistics, bn_stats) is of no
 * use. NULL: never ends. For one process: others would wait for the one that has stopped. */
typedef bool engine_stop_fn(void *context);
void engine_set_stop(struct engine *engine, engine_stop_fn *stop, void *context);
bool engine_stopping(const struct engine *engine); /* what it would be told now */
/* Bytes that engine_create will allocate for its buffers with a pool of that many threads. */
size_t engine_memory_estimate(const struct space *space, const struct engine_limits *limits,
                              int threads);

enum engine_mode {
    ENGINE_TRAIN,       /* BN by batch statistics; running statistics of the supernet updated with
                           bn_momentum (0: left alone); saves for backward */
    ENGINE_RECALIBRATE, /* BN by batch statistics; means and biased variances accumulated in the
                           subnet's own bn_stats, weighted by images; no logits */
    ENGINE_EVAL /* BN by the given bn_stats, or by the supernet's running statistics when NULL */
};

/* BN statistics of one subnet (recalibrated): per BN layer of the arch in graph order, mean then
 * variance, channels of the subnet. */
struct bn_stats {
    int n_layers;
    int *channels;
    float **mean, **variance;
    int64_t images;
};
int bn_stats_create(const struct space *space, const struct arch *arch, struct err *err,
                    struct bn_stats **ret_stats);
void bn_stats_destroy(struct bn_stats *stats);

struct engine_run {
    const struct arch *arch;
    enum engine_mode mode;
    const float *images; /* [n, C, r, r] row-major, r the arch's resolution */
    int n;
    /* Where the batch is split over processes: of which images these n are (comm_shard). Its batch
     * 0: these are the whole batch. BN statistics are those of the whole batch. */
    struct shard shard;
    float bn_momentum;         /* ENGINE_TRAIN; 0.1 in once-for-all */
    struct bn_stats *bn_stats; /* ENGINE_RECALIBRATE (written), ENGINE_EVAL (read; may be NULL) */
    float dropout; /* before the classifier, in [0, 1); drawn by (seed, step, image of the batch) */
    /* Of the last block, in [0, 1); of the i-th of n blocks i / n of it. A residual block's branch
     * is left out of an image with that probability, else divided by what remains; drawn by (seed,
     * step, image of the batch, i). Source: Huang et al. 2016 (stochastic depth), sec. 3, scaled in
     * training as in EfficientNet (Tan and Le 2019). ENGINE_TRAIN only. */
    float drop_connect;
    uint64_t dropout_seed, dropout_step; /* of both */
};
/* logits: [n, n_classes]; untouched, and may be NULL, with ENGINE_RECALIBRATE. Errors: ESP_EINVAL,
 * ESP_ELIMIT (beyond the engine's limits), ESP_ECANCELED (engine_set_stop). */
int engine_forward(struct engine *engine, const struct engine_run *run, struct err *err,
                   float *ret_logits);
/* Backward of an ENGINE_TRAIN forward, if no other run came behind it: adds to the grad of every
 * parameter that the subnet used, summed over the whole batch. d_logits: [n, n_classes].
 * ESP_EINVAL, ESP_ECANCELED. */
int engine_backward(struct engine *engine, const float *d_logits, struct err *err);

/* Time spent in passes over the batch since engine_create, by what they do. The rest of a step
 * (packing weights, coefficients, adding gradients up) runs between passes. */
enum engine_phase {
    PHASE_STEM,
    PHASE_EXPAND,
    PHASE_FILTER,
    PHASE_PROJECT,
    PHASE_FINISH,
    PHASE_HEAD,
    PHASE_OUTPUT_SUMS,
    PHASE_PROJECT_GRAD,
    PHASE_FILTER_GRAD,
    PHASE_EXPAND_GRAD,
    PHASE_HEAD_GRAD,
    PHASE_STEM_GRAD,
    PHASE_SLOT_SUMS,
    ENGINE_PHASES
};
extern const char *const engine_phase_names[]; /* "stem", ... */
void engine_phase_times(const struct engine *engine, int64_t ret_ns[ENGINE_PHASES]);

/* The subnet with its BN folded, ready for the runtime: weights per op of graph_build(space, arch).
 * bn_stats NULL: by the running statistics. See runtime/plan.h. */
struct plan_weights;
int engine_fold(const struct supernet *supernet, const struct arch *arch,
                const struct bn_stats *bn_stats, struct err *err,
                struct plan_weights **ret_weights);
