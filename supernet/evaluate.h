/* The accuracy of a subnet: its BN statistics are recalibrated on training images, BN is folded
 * into the weights, and the images of a split are scored by the runtime. */
#pragma once

#include "supernet/augment.h"
#include "supernet/engine.h"

/* Source: once-for-all, set_running_statistics: 2,000 training images under training augmentation,
 * always the same ones. */
struct recalibration {
    int images, batch;
    uint64_t seed;
    struct augment_options augment;
};
extern const struct recalibration recalibration_default; /* 2,000 images by 200, pad 2, flip */

struct evaluation_store; /* supernet/evaluate_store.h */

struct evaluation_options {
    struct supernet *supernet;     /* borrowed */
    const struct dataset *dataset; /* borrowed */
    struct parallel *pool;         /* borrowed; may be NULL */
    struct engine *engine;         /* borrowed; NULL: one of its own, made when something is first
                                      recalibrated. Its limits must cover recalibration.batch and
                                      every resolution of the space; over its processes
                                      recalibration and scoring are split */
    struct recalibration recalibration;
    int batch; /* images that the runtime scores at a time; 0: 100 */
    /* Where recalibrated statistics are kept, and the id of the checkpoint that the supernet's
     * weights are of; both borrowed; NULL: nothing is kept. */
    struct evaluation_store *store;
    const char *checkpoint;
    engine_stop_fn *stop; /* without a given engine: gives up inside of a score; NULL: never */
    void *stop_context;
};

struct evaluation;
/* Bytes that evaluations of a space's subnets take at most beside the supernet, the data set and
 * the engine: batches that wait, the largest subnet in the runtime. Errors: those of arch_cost. */
int evaluation_memory_estimate(const struct space *space, const struct recalibration *recalibration,
                               int threads, struct err *err, int64_t *ret_bytes);
/* Those of an engine of its own, which the first recalibration makes. */
int64_t evaluation_engine_estimate(const struct space *space,
                                   const struct recalibration *recalibration, int threads);
/* Errors: ESP_EMISMATCH (the data set's channels or classes are not the space's), ESP_EINVAL,
 * ESP_ENOMEM. */
int evaluation_create(const struct evaluation_options *options, struct err *err,
                      struct evaluation **ret_evaluation);
void evaluation_destroy(struct evaluation *evaluation); /* takes NULL */

struct score_request {
    const struct arch *arch;
    enum dataset_split split;
    size_t limit;     /* only the first images of the split; 0: all */
    bool recalibrate; /* false: by the supernet's running statistics */
};
struct score {
    double top1; /* share in [0, 1] */
    double loss; /* mean cross-entropy, natural logarithm */
    int64_t images;
};
/* One caller at a time. Same inputs give the same bits. Errors: ESP_EINVAL (invalid arch, empty
 * split), ESP_ENOMEM, ESP_EUNSUPPORTED, ESP_ECANCELED (stop said so, or the engine was told to),
 * and those of engine_create where the first recalibration makes one. */
int evaluation_score(struct evaluation *evaluation, const struct score_request *request,
                     struct err *err, struct score *ret_score);
/* How often statistics were recalibrated, not found in the store. */
int64_t evaluation_recalibrations(const struct evaluation *evaluation);
/* The subnet ready for the runtime or an export, recalibrated and folded; the caller destroys it.
 */
struct plan_weights;
int evaluation_weights(struct evaluation *evaluation, const struct arch *arch, bool recalibrate,
                       struct err *err, struct plan_weights **ret_weights);
