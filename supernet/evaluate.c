#include "supernet/evaluate.h"

#include "base/memory.h"
#include "runtime/plan.h"
#include "space/cost.h"
#include "supernet/evaluate_store.h"
#include "supernet/loader.h"
#include "supernet/loss.h"
#include <stdlib.h>
#include <string.h>

enum { BATCH_DEFAULT = 100, QUEUE = 2 };

const struct recalibration recalibration_default = {
    .images = 2000, .batch = 200, .seed = 2020, .augment = {.pad = 2, .flip = true}};

struct evaluation {
    struct evaluation_options options;
    struct engine *own_engine;
    float *logits; /* [largest batch, n_classes] */
    int64_t recalibrations;
};

static int check_fit(const struct space *space, const struct dataset *dataset, struct err *err) {
    if (space->n_classes != dataset->n_classes)
        return err_set(err, ESP_EMISMATCH, "/space/n_classes",
                       "the space has %d classes, the data set %d", space->n_classes,
                       dataset->n_classes);
    if (space->input_channels != dataset->channels)
        return err_set(err, ESP_EMISMATCH, "/space/input_channels",
                       "the space reads %d channels, the data set has %d", space->input_channels,
                       dataset->channels);
    return 0;
}

static struct engine_limits limits_of(const struct space *space,
                                      const struct recalibration *recalibration) {
    return (struct engine_limits){.batch = recalibration->batch,
                                  .resolution = space->resolutions[space->n_resolutions - 1]};
}

int evaluation_memory_estimate(const struct space *space, const struct recalibration *recalibration,
                               int threads, struct err *err, int64_t *ret_bytes) {
    struct engine_limits limits = limits_of(space, recalibration);
    int64_t image =
        (int64_t)sizeof(float) * space->input_channels * limits.resolution * limits.resolution;
    int batch = limits.batch > BATCH_DEFAULT ? limits.batch : BATCH_DEFAULT;
    struct cost cost;
    struct arch arch;
    arch_max(space, &arch);
    int rc = arch_cost(space, &arch, err, &cost);
    if (rc == 0)
        *ret_bytes = (QUEUE + 1) * image * batch + 2 * cost.model_bytes /* as they are, packed */ +
                     threads * cost.peak_activation_bytes;
    return rc;
}

int64_t evaluation_engine_estimate(const struct space *space,
                                   const struct recalibration *recalibration, int threads) {
    struct engine_limits limits = limits_of(space, recalibration);
    return (int64_t)engine_memory_estimate(space, &limits, threads);
}

/* With the first recalibration: its buffers are most of an evaluation's memory. */
static int make_engine(struct evaluation *evaluation, struct err *err) {
    struct evaluation_options *options = &evaluation->options;
    if (options->engine)
        return 0;
    const struct space *space = options->supernet->space;
    struct engine_limits limits = limits_of(space, &options->recalibration);
    int rc = engine_create(options->supernet, options->pool, &limits, err, &evaluation->own_engine);
    options->engine = evaluation->own_engine;
    if (rc == 0)
        engine_set_stop(options->engine, options->stop, options->stop_context);
    return rc;
}

int evaluation_create(const struct evaluation_options *options, struct err *err,
                      struct evaluation **ret_evaluation) {
    const struct space *space = options->supernet->space;
    const struct recalibration *recalibration = &options->recalibration;
    int rc = check_fit(space, options->dataset, err);
    if (rc != 0)
        return rc;
    if (recalibration->images < 2 || recalibration->batch < 2 || options->batch < 0)
        return err_set(err, ESP_EINVAL, "/recalibration",
                       "recalibration takes two images at least, and batches of two");
    struct evaluation *evaluation = mem_array(1, sizeof *evaluation);
    if (!evaluation)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an evaluation");
    evaluation->options = *options;
    if (options->batch == 0)
        evaluation->options.batch = BATCH_DEFAULT;
    int rows = evaluation->options.batch > recalibration->batch ? evaluation->options.batch
                                                                : recalibration->batch;
    evaluation->logits = mem_array((size_t)rows * (size_t)space->n_classes, sizeof(float));
    if (!evaluation->logits) {
        evaluation_destroy(evaluation);
        return err_set(err, ESP_ENOMEM, NULL, "no memory for an evaluation");
    }
    *ret_evaluation = evaluation;
    return 0;
}

void evaluation_destroy(struct evaluation *evaluation) {
    if (!evaluation)
        return;
    engine_destroy(evaluation->own_engine);
    free(evaluation->logits);
    free(evaluation);
}

static int recalibrate(struct evaluation *evaluation, const struct arch *arch, struct err *err,
                       struct bn_stats *stats) {
    const struct evaluation_options *options = &evaluation->options;
    const struct recalibration *settings = &options->recalibration;
    int resolution = options->supernet->space->resolutions[arch->resolution], rc;
    size_t image = (size_t)options->dataset->channels * (size_t)resolution * (size_t)resolution;
    struct loader_options read = {.split = SPLIT_TRAIN,
                                  .batch = settings->batch,
                                  .shuffle = true,
                                  .limit = (size_t)settings->images,
                                  .augment = &settings->augment,
                                  .resolutions = &resolution,
                                  .n_resolutions = 1,
                                  .seed = settings->seed,
                                  .once = true,
                                  .threads = 1,
                                  .queue = QUEUE};
    struct loader *loader = NULL;
    struct loader_batch batch;
    if ((rc = make_engine(evaluation, err)) != 0 ||
        (rc = loader_create(options->dataset, &read, err, &loader)) != 0)
        return rc;
    while (rc == 0 && loader_next(loader, &batch)) {
        struct shard shard = {0};
        rc = comm_shard(engine_comm(options->engine), batch.n, err, &shard);
        struct engine_run run = {.arch = arch,
                                 .mode = ENGINE_RECALIBRATE,
                                 .images = batch.images + image * (size_t)shard.first,
                                 .n = shard.n,
                                 .shard = shard,
                                 .bn_stats = stats};
        if (rc == 0)
            rc = engine_forward(options->engine, &run, err, NULL);
    }
    loader_destroy(loader);
    return rc;
}

/* The statistics that the store has of the subnet, else new ones, which it then has. */
static int find_stats(struct evaluation *evaluation, const struct arch *arch, struct err *err,
                      struct bn_stats *stats) {
    const struct evaluation_options *options = &evaluation->options;
    struct score_request request = {.arch = arch, .recalibrate = true};
    struct evaluation_key key;
    if (options->store) {
        evaluation_key_make(options->checkpoint, options, &request, &key);
        if (evaluation_store_stats(options->store, &key, stats))
            return 0;
    }
    int rc = recalibrate(evaluation, arch, err, stats);
    if (rc != 0)
        return rc;
    evaluation->recalibrations++;
    if (options->store)
        evaluation_store_put_stats(options->store, &key, stats);
    return 0;
}

int64_t evaluation_recalibrations(const struct evaluation *evaluation) {
    return evaluation->recalibrations;
}

int evaluation_weights(struct evaluation *evaluation, const struct arch *arch, bool calibrated,
                       struct err *err, struct plan_weights **ret_weights) {
    const struct supernet *supernet = evaluation->options.supernet;
    struct bn_stats *stats = NULL;
    int rc = 0;
    if (!arch_valid(supernet->space, arch))
        return err_set(err, ESP_EINVAL, "/arch", "the arch is none of the space %s",
                       supernet->space->name);
    if (calibrated) {
        rc = bn_stats_create(supernet->space, arch, err, &stats);
        if (rc == 0)
            rc = find_stats(evaluation, arch, err, stats);
    }
    if (rc == 0)
        rc = engine_fold(supernet, arch, stats, err, ret_weights);
    bn_stats_destroy(stats);
    return rc;
}

static int make_plan(struct evaluation *evaluation, const struct arch *arch, bool calibrated,
                     struct err *err, struct plan **ret_plan) {
    const struct space *space = evaluation->options.supernet->space;
    struct plan_options options = {.pool = evaluation->options.pool,
                                   .batch = evaluation->options.batch};
    struct graph *graph = NULL;
    struct plan_weights *weights = NULL;
    int rc = evaluation_weights(evaluation, arch, calibrated, err, &weights);
    if (rc == 0)
        rc = graph_build(space, arch, err, &graph);
    if (rc == 0)
        rc = plan_create(graph, weights, &options, err, ret_plan);
    free(graph);
    plan_weights_destroy(weights);
    return rc;
}

static int count_hits(const float *logits, const uint16_t *labels, int n, int classes) {
    int hits = 0;
    for (int i = 0; i < n; i++) {
        const float *row = logits + (size_t)i * (size_t)classes;
        int best = 0;
        for (int c = 1; c < classes; c++)
            best = row[c] > row[best] ? c : best;
        hits += best == labels[i];
    }
    return hits;
}

static const struct comm *comm_of(const struct evaluation *evaluation) {
    return evaluation->options.engine ? engine_comm(evaluation->options.engine) : &comm_alone;
}

static bool is_stopping(const struct evaluation *evaluation) {
    const struct evaluation_options *options = &evaluation->options;
    if (options->engine)
        return engine_stopping(options->engine);
    return options->stop && options->stop(options->stop_context);
}

/* Whole batches are dealt out to the processes. */
static int score_batches(struct evaluation *evaluation, struct plan *plan, struct loader *loader,
                         struct err *err, struct score *score) {
    int classes = evaluation->options.supernet->space->n_classes;
    const struct comm *comm = comm_of(evaluation);
    double sums[3] = {0}; /* hits, loss, images */
    struct loader_batch batch;
    while (loader_next(loader, &batch)) {
        if (is_stopping(evaluation))
            return err_set(err, ESP_ECANCELED, NULL, "stopped while a subnet was scored");
        if (batch.number % (uint64_t)comm->size != (uint64_t)comm->rank)
            continue;
        int rc = plan_run(plan, batch.images, batch.n, evaluation->logits);
        if (rc != 0)
            return err_set(err, rc, NULL, "the runtime could not run the subnet");
        sums[0] += count_hits(evaluation->logits, batch.labels, batch.n, classes);
        sums[1] +=
            loss_cross_entropy(evaluation->logits, batch.labels, batch.n, classes, 0, 1, NULL);
        sums[2] += batch.n;
    }
    comm_sum_f64(comm, sums, 3);
    *score = (struct score){sums[0] / sums[2], sums[1] / sums[2], (int64_t)sums[2]};
    return 0;
}

static int open_split(struct evaluation *evaluation, const struct score_request *request,
                      struct err *err, struct loader **ret_loader) {
    const struct evaluation_options *options = &evaluation->options;
    struct loader_options read = {
        .split = request->split,
        .batch = options->batch,
        .limit = request->limit,
        .resolutions = &options->supernet->space->resolutions[request->arch->resolution],
        .n_resolutions = 1,
        .once = true,
        .threads = 1,
        .queue = QUEUE};
    return loader_create(options->dataset, &read, err, ret_loader);
}

int evaluation_score(struct evaluation *evaluation, const struct score_request *request,
                     struct err *err, struct score *ret_score) {
    struct plan *plan = NULL;
    struct loader *loader = NULL;
    struct score score = {0};
    int rc = make_plan(evaluation, request->arch, request->recalibrate, err, &plan);
    if (rc == 0)
        rc = open_split(evaluation, request, err, &loader);
    if (rc == 0)
        rc = score_batches(evaluation, plan, loader, err, &score);
    loader_destroy(loader);
    plan_destroy(plan);
    if (rc == 0)
        *ret_score = score;
    return rc;
}
