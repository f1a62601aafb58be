#include "supernet/train_parts.h"

#include <stdio.h>
#include <string.h>

enum { LOADER_THREADS = 1 }; /* enough: the cores are for the maths */

static int recalibration_batch(const struct train_config *config) {
    int batch = recalibration_default.batch, images = config->recalibration_images;
    return batch < images ? batch : images;
}

struct engine_limits train_engine_limits(const struct train_options *options) {
    const struct space *space = options->space;
    return (struct engine_limits){.batch = options->config->batch,
                                  .resolution = space->resolutions[space->n_resolutions - 1],
                                  .training = true,
                                  .forward_batch = recalibration_batch(options->config)};
}

static int make_engine(struct train_parts *parts, const struct train_options *options,
                       struct err *err) {
    struct engine_limits limits = train_engine_limits(options);
    int rc = engine_create(parts->supernet, options->pool, &limits, err, &parts->engine);
    if (rc == 0 && options->comm)
        engine_set_comm(parts->engine, options->comm);
    const struct train_hooks *hooks = options->hooks;
    if (rc == 0 && hooks && hooks->stopping && (!options->comm || options->comm->size == 1))
        engine_set_stop(parts->engine, hooks->stopping, hooks->context);
    return rc;
}

int train_alone(const struct train_options *options, struct err *err, bool *ret_has,
                struct arch *ret_arch) {
    const char *text = options->config->arch;
    *ret_has = options->config->regime == REGIME_SINGLE && text[0];
    int rc = *ret_has ? arch_parse(options->space, text, strlen(text), err, ret_arch) : 0;
    if (rc != 0 && err)
        snprintf(err->pointer, sizeof err->pointer, "/train/arch");
    return rc;
}

static struct train_step_settings step_settings(const struct train_parts *parts,
                                                const struct train_config *config, uint64_t seed) {
    float temperature = (float)config->temperature;
    return (struct train_step_settings){
        .random_subnets = config->random_subnets,
        .label_smoothing = (float)config->label_smoothing,
        .dropout = (float)config->dropout,
        .drop_connect = (float)config->drop_connect,
        .label_share = (float)config->label_share,
        .soft = {config->distillation, temperature, temperature * temperature},
        .alone = parts->has_alone ? &parts->alone : NULL,
        .seed = seed};
}

int train_parts_init(struct train_parts *parts, const struct train_options *options,
                     struct supernet *supernet, uint64_t seed, struct err *err) {
    const struct train_config *config = options->config;
    struct evaluation_options evaluation = {.supernet = supernet,
                                            .dataset = options->dataset,
                                            .pool = options->pool,
                                            .recalibration = recalibration_default};
    evaluation.recalibration.images = config->recalibration_images;
    evaluation.recalibration.augment = config->augment;
    evaluation.recalibration.batch = recalibration_batch(config);
    parts->supernet = supernet;
    int rc = train_alone(options, err, &parts->has_alone, &parts->alone);
    struct train_step_settings step = step_settings(parts, config, seed);
    if (rc == 0)
        rc = make_engine(parts, options, err);
    evaluation.engine = parts->engine;
    if (rc == 0)
        rc = train_step_create(parts->engine, supernet, config->batch, &step, err, &parts->step);
    if (rc == 0)
        rc = evaluation_create(&evaluation, err, &parts->evaluation);
    return rc;
}

void train_parts_finish(struct train_parts *parts) {
    evaluation_destroy(parts->evaluation);
    train_step_destroy(parts->step);
    engine_destroy(parts->engine);
    *parts = (struct train_parts){0};
}

void train_resolutions(const struct train_parts *parts, struct train_batches *batches) {
    const struct space *space = parts->supernet->space;
    batches->resolutions = space->resolutions;
    batches->n_resolutions = space->n_resolutions;
    if (parts->has_alone) {
        batches->resolutions += parts->alone.resolution;
        batches->n_resolutions = 1;
    }
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
                                  .queue = TRAIN_LOADER_QUEUE};
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

static int score_three(const struct train_parts *parts, const struct train_options *options,
                       const struct regime_phase *phase, struct err *err,
                       struct train_metrics *metrics) {
    struct arch arch;
    struct rng rng = rng_make(options->config->seed, RNG_SAMPLE, 0, 0);
    if (parts->has_alone)
        arch = parts->alone;
    else
        arch_max(options->space, &arch);
    int rc = score_both(parts, options, &arch, err, &metrics->largest);
    if (phase->rule == RULE_ALONE) {
        metrics->smallest = metrics->random = metrics->largest;
        return rc;
    }
    regime_smallest(options->space, phase, -1, &arch);
    if (rc == 0)
        rc = score_both(parts, options, &arch, err, &metrics->smallest);
    regime_sample(options->space, phase, &rng, -1, &arch);
    if (rc == 0)
        rc = score_both(parts, options, &arch, err, &metrics->random);
    return rc;
}

int train_validate(const struct train_parts *parts, const struct train_options *options,
                   const struct regime_phase *phase, struct err *err,
                   struct train_metrics *metrics) {
    bool average = supernet_has_part(parts->supernet, PART_AVERAGE);
    if (average)
        supernet_swap_part(parts->supernet, PART_AVERAGE);
    int rc = score_three(parts, options, phase, err, metrics);
    if (average)
        supernet_swap_part(parts->supernet, PART_AVERAGE);
    return rc;
}
