#include "supernet/train_parts.h"

#include "base/clock.h"
#include "base/stats.h"

enum {
    LOADER_THREADS = 1, /* enough: the cores are for the maths */
    LOADER_QUEUE = 4,
    RECALIBRATION_BATCH = 200,
    CALIBRATION_STEPS = 8, /* of each resolution that is timed, the first not counted */
    TIMED_MAX = 3          /* resolutions, spread over the space's */
};

static int largest_resolution(const struct space *space) {
    return space->resolutions[space->n_resolutions - 1];
}

static int make_engine(struct train_parts *parts, const struct train_options *options,
                       int recalibration_batch, struct err *err) {
    int batch = options->config->batch;
    struct engine_limits limits = {.batch =
                                       batch > recalibration_batch ? batch : recalibration_batch,
                                   .resolution = largest_resolution(options->space),
                                   .training = true};
    return engine_create(parts->supernet, options->pool, &limits, err, &parts->engine);
}

int train_parts_init(struct train_parts *parts, const struct train_options *options,
                     struct supernet *supernet, uint64_t seed, struct err *err) {
    const struct train_config *config = options->config;
    struct evaluation_options evaluation = {.supernet = supernet,
                                            .dataset = options->dataset,
                                            .pool = options->pool,
                                            .recalibration = recalibration_default};
    struct sandwich_settings sandwich = {.random_subnets = config->random_subnets,
                                         .label_smoothing = (float)config->label_smoothing,
                                         .dropout = (float)config->dropout,
                                         .seed = seed};
    evaluation.recalibration.images = config->recalibration_images;
    evaluation.recalibration.augment = config->augment;
    if (evaluation.recalibration.batch > config->recalibration_images)
        evaluation.recalibration.batch = config->recalibration_images;
    parts->supernet = supernet;
    int rc = make_engine(parts, options, evaluation.recalibration.batch, err);
    evaluation.engine = parts->engine;
    if (rc == 0)
        rc = sandwich_create(parts->engine, supernet->space, config->batch, &sandwich, err,
                             &parts->sandwich);
    if (rc == 0)
        rc = evaluation_create(&evaluation, err, &parts->evaluation);
    return rc;
}

void train_parts_finish(struct train_parts *parts) {
    evaluation_destroy(parts->evaluation);
    sandwich_destroy(parts->sandwich);
    engine_destroy(parts->engine);
    *parts = (struct train_parts){0};
}

int train_loader(const struct train_options *options, const struct train_batches *batches,
                 struct err *err, struct loader **ret_loader) {
    struct loader_options read = {.split = SPLIT_TRAIN,
                                  .batch = options->config->batch,
                                  .shuffle = true,
                                  .drop_last = true,
                                  .augment = &options->config->augment,
                                  .resolutions = batches->resolutions,
                                  .n_resolutions = batches->n_resolutions,
                                  .seed = batches->seed,
                                  .first = batches->first,
                                  .threads = LOADER_THREADS,
                                  .queue = LOADER_QUEUE};
    return loader_create(options->dataset, &read, err, ret_loader);
}

uint64_t train_steps_per_epoch(const struct train_options *options) {
    return options->dataset->n[SPLIT_TRAIN] / (size_t)options->config->batch;
}

static int score_both(const struct train_parts *parts, const struct train_options *options,
                      const struct arch *arch, struct err *err, struct train_accuracy *accuracy) {
    struct score score;
    struct score_request request = {.arch = arch,
                                    .split = SPLIT_VALIDATION,
                                    .limit = (size_t)options->config->validation_images};
    int rc = evaluation_score(parts->evaluation, &request, err, &score);
    if (rc != 0)
        return rc;
    accuracy->top1_raw = score.top1;
    request.recalibrate = true;
    if ((rc = evaluation_score(parts->evaluation, &request, err, &score)) != 0)
        return rc;
    accuracy->top1 = score.top1;
    return 0;
}

int train_validate(const struct train_parts *parts, const struct train_options *options,
                   struct err *err, struct train_metrics *metrics) {
    struct arch arch;
    struct rng rng = rng_make(options->config->seed, RNG_SAMPLE, 0, 0);
    arch_max(options->space, &arch);
    int rc = score_both(parts, options, &arch, err, &metrics->largest);
    arch_min(options->space, &arch);
    if (rc == 0)
        rc = score_both(parts, options, &arch, err, &metrics->smallest);
    arch_random(options->space, &rng, &arch);
    if (rc == 0)
        rc = score_both(parts, options, &arch, err, &metrics->random);
    return rc;
}

static double seconds_since(int64_t start_ns) {
    return (double)(clock_mono_ns() - start_ns) * 1e-9;
}

/* Median seconds of a step at one resolution. */
static int time_steps(const struct train_parts *parts, const struct train_options *options,
                      int resolution, struct err *err, double *ret_seconds) {
    const struct space *space = options->space;
    struct sgd sgd = {.learning_rate = 1e-6f, .momentum = (float)options->config->momentum};
    double seconds[CALIBRATION_STEPS];
    struct loader *loader = NULL;
    struct sandwich_losses losses;
    struct train_batches batches = {options->config->seed, 0, &space->resolutions[resolution], 1};
    int rc = train_loader(options, &batches, err, &loader);
    for (int i = 0; rc == 0 && i < CALIBRATION_STEPS; i++) {
        struct loader_batch batch;
        int64_t start = clock_mono_ns();
        loader_next(loader, &batch);
        batch.resolution = resolution;
        supernet_zero_grad(parts->supernet);
        rc = sandwich_step(parts->sandwich, &batch, (uint64_t)i, err, &losses);
        supernet_sgd_step(parts->supernet, options->pool, &sgd);
        seconds[i] = seconds_since(start);
    }
    loader_destroy(loader);
    if (rc == 0)
        *ret_seconds = stats_median(seconds + 1, CALIBRATION_STEPS - 1);
    return rc;
}

static int measure(const struct train_parts *parts, const struct train_options *options,
                   struct err *err, struct train_pace *pace) {
    struct train_metrics metrics;
    int all = options->space->n_resolutions, n = all < TIMED_MAX ? all : TIMED_MAX;
    for (int i = 0; i < n; i++) {
        double seconds = 0;
        int rc = time_steps(parts, options, n > 1 ? i * (all - 1) / (n - 1) : 0, err, &seconds);
        if (rc != 0)
            return rc;
        pace->step_s += seconds / n; /* each resolution is drawn as often */
    }
    int64_t start = clock_mono_ns();
    int rc = train_validate(parts, options, err, &metrics);
    pace->validation_s = seconds_since(start);
    return rc;
}

int train_calibrate(const struct train_options *options, struct err *err,
                    struct train_pace *ret_pace) {
    struct train_parts parts = {0};
    struct train_pace pace = {0};
    struct supernet *supernet = NULL;
    int64_t start = clock_mono_ns();
    int rc = supernet_create(options->space, options->config->seed, err, &supernet);
    if (rc == 0)
        rc = train_parts_init(&parts, options, supernet, options->config->seed, err);
    if (rc == 0)
        rc = measure(&parts, options, err, &pace);
    train_parts_finish(&parts);
    supernet_destroy(supernet);
    pace.elapsed_s = seconds_since(start);
    if (rc == 0)
        *ret_pace = pace;
    return rc;
}
