#include "supernet/train.h"

#include "base/clock.h"
#include "base/memory.h"
#include "supernet/train_pace.h"
#include "supernet/train_parts.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP = 2, RECOVERIES_MAX = 8 };

static const double progress_interval_s = 0.5;
/* A loss is a spike when it is above factor * running mean + offset. */
static const double spike_factor = 3, spike_offset = 1, loss_memory = 0.98;

struct trainer {
    struct train_options options; /* its config is effective */
    const struct train_config *given;
    struct train_config config;    /* as given when the round began: what a checkpoint notes */
    struct train_config effective; /* what was left to the plan filled in */
    struct train_plan plan;
    struct train_state state;
    struct checkpoint_store store;
    struct supernet *supernet;
    struct train_parts parts;
    struct loader *loader;
    cJSON *history;
    struct train_metrics latest; /* of the last validation */
    bool has_accuracy, saved;    /* saved: the state of this step is in a checkpoint */
    char reason[512];            /* of a recovery, or what was passed over at the start */
    char checkpoint[64];
    int64_t started_ns, progress_ns;
    uint64_t started_step, progress_step;
};

static double seconds_since(int64_t start_ns) {
    return (double)(clock_mono_ns() - start_ns) * 1e-9;
}

static void tell(const struct trainer *trainer, struct train_event *event) {
    const struct train_hooks *hooks = trainer->options.hooks;
    event->step = trainer->state.step;
    event->steps = trainer->plan.steps;
    if (hooks && hooks->event)
        hooks->event(hooks->context, event);
}

static bool asked_to_stop(const struct trainer *trainer) {
    const struct train_hooks *hooks = trainer->options.hooks;
    return hooks && hooks->boundary && hooks->boundary(hooks->context);
}

static int no_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for training");
}

/* --- history: the curves, as the checkpoint keeps them --- */

static void add_accuracy(cJSON *row, const char *name, const struct train_accuracy *accuracy) {
    cJSON *pair = cJSON_AddObjectToObject(row, name);
    cJSON_AddNumberToObject(pair, "top1", accuracy->top1);
    cJSON_AddNumberToObject(pair, "top1_raw", accuracy->top1_raw);
}

static int add_history(struct trainer *trainer, const struct train_metrics *metrics,
                       struct err *err) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "step", (double)metrics->step);
    cJSON_AddNumberToObject(row, "epoch", metrics->epoch);
    cJSON_AddNumberToObject(row, "loss", metrics->loss);
    cJSON_AddNumberToObject(row, "learning_rate", metrics->learning_rate);
    cJSON_AddNumberToObject(row, "gradient_norm", metrics->gradient_norm);
    add_accuracy(row, "largest", &metrics->largest);
    add_accuracy(row, "smallest", &metrics->smallest);
    add_accuracy(row, "random", &metrics->random);
    return cJSON_AddItemToArray(trainer->history, row) ? 0 : no_memory(err);
}

static int add_recovery(struct trainer *trainer, uint64_t step, struct err *err) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "step", (double)step);
    cJSON_AddNumberToObject(row, "back_to_step", (double)trainer->state.step);
    cJSON_AddStringToObject(row, "recovered", trainer->reason);
    return cJSON_AddItemToArray(trainer->history, row) ? 0 : no_memory(err);
}

static double number_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* The accuracies of the last row that has any. */
static void recall_latest(struct trainer *trainer) {
    for (int i = cJSON_GetArraySize(trainer->history) - 1; i >= 0; i--) {
        const cJSON *row = cJSON_GetArrayItem(trainer->history, i);
        const cJSON *largest = cJSON_GetObjectItemCaseSensitive(row, "largest");
        if (!largest)
            continue;
        trainer->latest.largest.top1 = number_of(largest, "top1");
        trainer->latest.smallest.top1 =
            number_of(cJSON_GetObjectItemCaseSensitive(row, "smallest"), "top1");
        trainer->has_accuracy = true;
        return;
    }
}

/* --- checkpoints --- */

/* A disk that is full now may have room later: told, and gone on. What else fails is told too. */
static int save(struct trainer *trainer, bool best, struct err *err) {
    struct train_event event = {.kind = TRAIN_CHECKPOINT,
                                .name = trainer->checkpoint,
                                .metrics = trainer->latest,
                                .has_accuracy = trainer->has_accuracy};
    cJSON *training = train_state_print(&trainer->config, &trainer->plan, &trainer->state);
    struct checkpoint_notes notes = {.dataset_revision = trainer->options.dataset->revision,
                                     .training = training,
                                     .history = trainer->history};
    struct err failure = {0};
    int rc = training ? 0 : no_memory(&failure);
    if (rc == 0)
        rc = checkpoint_store_save(&trainer->store, trainer->state.step, trainer->supernet, &notes,
                                   &failure, &event.summary);
    if (rc == 0 && best)
        rc = checkpoint_store_mark_best(&trainer->store, trainer->state.step, &failure);
    cJSON_Delete(training);
    if (rc == 0) {
        checkpoint_store_name(trainer->state.step, trainer->checkpoint);
        trainer->saved = true;
    } else {
        err_set(err, rc, failure.pointer, "%s", failure.message);
        event.kind = TRAIN_CHECKPOINT_FAILED;
        event.code = rc;
        event.reason = failure.message;
    }
    tell(trainer, &event);
    return rc;
}

/* Takes over what a checkpoint of this training notes; the weights are read too. */
static int take_over(struct trainer *trainer, struct checkpoint *checkpoint, struct err *err) {
    int rc = train_state_parse(checkpoint->training, err, &trainer->config, &trainer->plan,
                               &trainer->state);
    if (rc != 0)
        return err_prefix(err, rc, "%s", checkpoint->path);
    if ((rc = checkpoint_restore(checkpoint, trainer->supernet, err)) != 0)
        return rc;
    cJSON_Delete(trainer->history);
    trainer->history = checkpoint->history;
    checkpoint->history = NULL;
    checkpoint_store_name(trainer->state.step, trainer->checkpoint);
    trainer->store.first = trainer->plan.first;
    trainer->store.interval = trainer->plan.checkpoint_steps;
    trainer->saved = true;
    recall_latest(trainer);
    return 0;
}

/* --- a round begins --- */

static bool same_config(const struct train_config *a, const struct train_config *b) {
    cJSON *x = train_config_print(a), *y = train_config_print(b);
    bool same = x && y && cJSON_Compare(x, y, true);
    cJSON_Delete(x);
    cJSON_Delete(y);
    return same;
}

static int begin_round(struct trainer *trainer, struct err *err) {
    const struct train_options *options = &trainer->options;
    struct train_plan plan = {.round = trainer->plan.round, .first = trainer->state.step};
    struct train_pace pace = {0};
    uint64_t per_epoch = train_steps_per_epoch(options);
    int rc = 0;
    if (per_epoch == 0)
        return err_set(err, ESP_EINVAL, "/train/batch",
                       "the train split has %zu images: no batch of %d",
                       options->dataset->n[SPLIT_TRAIN], options->config->batch);
    if (trainer->plan.steps > 0) {
        plan.round++;
        plan.epochs_before = train_epoch(&trainer->plan, trainer->plan.steps);
    }
    if (options->config->epochs <= 0 || options->config->checkpoint_steps <= 0)
        rc = train_calibrate(options, err, &pace);
    if (rc != 0)
        return rc;
    train_plan_make(trainer->given, &pace, per_epoch, &plan);
    trainer->config = *trainer->given;
    trainer->plan = plan;
    trainer->state = (struct train_state){.step = plan.first, .rate_scale = 1, .best = -1};
    trainer->store.first = plan.first;
    trainer->store.interval = plan.checkpoint_steps;
    save(trainer, false, err); /* told if it fails; the next one may work */
    return 0;
}

/* An unfinished training goes on only as it was begun. */
static int check_resumed(const struct trainer *trainer, const struct checkpoint *checkpoint,
                         struct err *err) {
    if (trainer->state.step == trainer->plan.steps)
        return 0;
    if (!same_config(&trainer->config, trainer->given))
        return err_set(err, ESP_ECONFLICT, "/train",
                       "the training in %s is at step %llu of %llu with other settings: finish it "
                       "first, or take another folder",
                       trainer->store.dir, (unsigned long long)trainer->state.step,
                       (unsigned long long)trainer->plan.steps);
    if (strcmp(checkpoint->dataset_revision, trainer->options.dataset->revision) != 0)
        return err_set(err, ESP_EMISMATCH, "/dataset",
                       "the training in %s was begun on revision %s of the data set, not on %s",
                       trainer->store.dir, checkpoint->dataset_revision,
                       trainer->options.dataset->revision);
    return 0;
}

static int resume(struct trainer *trainer, struct err *err) {
    struct checkpoint *checkpoint = NULL;
    struct err skipped = {0};
    int rc = checkpoint_store_newest(trainer->store.dir, err, &skipped, &checkpoint);
    if (rc == ESP_ENOTFOUND)
        return begin_round(trainer, err);
    if (rc == 0)
        rc = checkpoint_require_space(checkpoint, trainer->options.space, err);
    if (rc == 0)
        rc = take_over(trainer, checkpoint, err);
    if (rc == 0)
        rc = check_resumed(trainer, checkpoint, err);
    if (rc == 0 && trainer->state.step == trainer->plan.steps &&
        !same_config(&trainer->config, trainer->given))
        rc = begin_round(trainer, err);
    checkpoint_close(checkpoint);
    snprintf(trainer->reason, sizeof trainer->reason, "%s", skipped.message);
    return rc;
}

static int open_loader(struct trainer *trainer, struct err *err) {
    const struct space *space = trainer->options.space;
    loader_destroy(trainer->loader);
    trainer->loader = NULL;
    struct train_batches batches = {.seed = train_seed(&trainer->config, &trainer->plan),
                                    .first = trainer->state.step - trainer->plan.first,
                                    .resolutions = space->resolutions,
                                    .n_resolutions = space->n_resolutions};
    return train_loader(&trainer->options, &batches, err, &trainer->loader);
}

/* --- steps --- */

/* Why the step must not stand; NULL when all is well. */
static const char *find_fault(const struct trainer *trainer, const struct sandwich_losses *losses,
                              double norm) {
    if (!isfinite(losses->labels) || !isfinite(losses->distill))
        return "the loss is not finite";
    if (!isfinite(norm))
        return "the gradient is not finite";
    if (trainer->state.loss_mean > 0 &&
        losses->labels > spike_factor * trainer->state.loss_mean + spike_offset)
        return "the loss leapt up";
    return NULL;
}

static void account(struct train_state *state, const struct sandwich_losses *losses, double norm) {
    state->loss_mean = state->loss_mean > 0
                           ? loss_memory * state->loss_mean + (1 - loss_memory) * losses->labels
                           : losses->labels;
    state->loss_sum += losses->labels;
    state->norm_sum += norm;
    state->summed++;
    state->step++;
}

/* One step; *ret_fault tells why it must not stand. */
static int step(struct trainer *trainer, struct err *err, const char **ret_fault) {
    struct loader_batch batch;
    struct sandwich_losses losses;
    const struct train_config *config = &trainer->config;
    double rate = trainer->state.rate_scale *
                  train_learning_rate(config, &trainer->plan, trainer->state.step);
    struct sgd sgd = {.learning_rate = (float)rate,
                      .momentum = (float)config->momentum,
                      .weight_decay = (float)config->weight_decay,
                      .clip_norm = (float)config->clip_norm};
    loader_next(trainer->loader, &batch);
    supernet_zero_grad(trainer->supernet);
    int rc = sandwich_step(trainer->parts.sandwich, &batch, trainer->state.step, err, &losses);
    if (rc != 0)
        return rc;
    double norm = supernet_sgd_step(trainer->supernet, trainer->options.pool, &sgd);
    *ret_fault = find_fault(trainer, &losses, norm);
    if (*ret_fault) {
        snprintf(trainer->reason, sizeof trainer->reason,
                 "%s (loss %.4g, running mean %.4g, gradient norm %.4g)", *ret_fault, losses.labels,
                 trainer->state.loss_mean, norm);
        return 0;
    }
    trainer->saved = false;
    account(&trainer->state, &losses, norm);
    return 0;
}

/* Back to the last regular checkpoint with half the learning rate: the same steps at the same rate
 * would fail the same way. */
static int recover(struct trainer *trainer, struct err *err) {
    struct train_event event = {.kind = TRAIN_RECOVERED, .reason = trainer->reason};
    struct checkpoint *checkpoint = NULL;
    uint64_t failed_step = trainer->state.step;
    int recoveries = trainer->state.recoveries + 1;
    double scale = trainer->state.rate_scale / 2;
    if (recoveries > RECOVERIES_MAX)
        return err_set(err, ESP_EDIVERGED, "/train/learning_rate",
                       "training failed at step %llu for the %dth time: %s",
                       (unsigned long long)failed_step, recoveries, trainer->reason);
    int rc = checkpoint_store_regular(&trainer->store, failed_step, err, &checkpoint);
    if (rc == 0)
        rc = take_over(trainer, checkpoint, err);
    checkpoint_close(checkpoint);
    if (rc != 0)
        return rc;
    trainer->state.recoveries = recoveries;
    trainer->state.rate_scale = scale;
    trainer->saved = false;
    trainer->progress_step = trainer->started_step = trainer->state.step;
    trainer->progress_ns = trainer->started_ns = clock_mono_ns();
    if ((rc = add_recovery(trainer, failed_step, err)) != 0)
        return rc;
    event.back_to_step = trainer->state.step;
    tell(trainer, &event);
    return open_loader(trainer, err);
}

static void fill_metrics(const struct trainer *trainer, struct train_metrics *metrics) {
    const struct train_state *state = &trainer->state;
    uint64_t last = state->step > trainer->plan.first ? state->step - 1 : state->step;
    double n = state->summed > 0 ? (double)state->summed : 1;
    metrics->step = state->step;
    metrics->epoch = train_epoch(&trainer->plan, state->step);
    metrics->loss = state->loss_sum / n;
    metrics->gradient_norm = state->norm_sum / n;
    metrics->learning_rate =
        state->rate_scale * train_learning_rate(&trainer->config, &trainer->plan, last);
}

static double images_per_second(const struct trainer *trainer, uint64_t since_step,
                                int64_t since_ns) {
    double seconds = seconds_since(since_ns);
    double images = (double)(trainer->state.step - since_step) * trainer->config.batch;
    return seconds > 0 ? images / seconds : 0;
}

static void report_progress(struct trainer *trainer) {
    struct train_event event = {.kind = TRAIN_PROGRESS};
    const struct train_state *state = &trainer->state;
    if (seconds_since(trainer->progress_ns) < progress_interval_s)
        return;
    uint64_t done = state->step - trainer->started_step;
    fill_metrics(trainer, &event.metrics);
    event.metrics.images_per_s =
        images_per_second(trainer, trainer->progress_step, trainer->progress_ns);
    if (done > 0)
        event.eta_s = seconds_since(trainer->started_ns) / (double)done *
                      (double)(trainer->plan.steps - state->step);
    trainer->progress_ns = clock_mono_ns();
    trainer->progress_step = state->step;
    tell(trainer, &event);
}

/* Curves at the end of an interval. Sets *ret_best when none before was as good. */
static int validate(struct trainer *trainer, struct err *err, bool *ret_best) {
    struct train_event event = {.kind = TRAIN_METRICS, .has_accuracy = true};
    struct train_metrics *metrics = &event.metrics;
    fill_metrics(trainer, metrics);
    metrics->images_per_s = images_per_second(trainer, trainer->started_step, trainer->started_ns);
    int rc = train_validate(&trainer->parts, &trainer->options, err, metrics);
    if (rc == 0)
        rc = add_history(trainer, metrics, err);
    if (rc != 0)
        return rc;
    double mean = (metrics->largest.top1 + metrics->smallest.top1 + metrics->random.top1) / 3;
    *ret_best = mean >= trainer->state.best;
    if (*ret_best)
        trainer->state.best = mean;
    trainer->state.loss_sum = trainer->state.norm_sum = 0;
    trainer->state.summed = 0;
    trainer->latest = *metrics;
    trainer->has_accuracy = true;
    tell(trainer, &event);
    return 0;
}

/* Only the last checkpoint must succeed. */
static int after_step(struct trainer *trainer, struct err *err) {
    const struct train_plan *plan = &trainer->plan;
    uint64_t at = trainer->state.step;
    bool best = false;
    int rc = 0;
    report_progress(trainer);
    if (train_is_validation(plan, at))
        rc = validate(trainer, err, &best);
    if (rc == 0 && train_is_checkpoint(plan, at)) {
        int saved = save(trainer, best, err);
        rc = at == plan->steps ? saved : 0;
    }
    return rc;
}

static int loop(struct trainer *trainer, struct err *err) {
    while (trainer->state.step < trainer->plan.steps) {
        const char *fault = NULL;
        if (asked_to_stop(trainer)) {
            struct err failure = {0};
            if (!trainer->saved)
                save(trainer, false, &failure);
            return err_set(err, ESP_ECANCELED, NULL, "training was stopped at step %llu of %llu",
                           (unsigned long long)trainer->state.step,
                           (unsigned long long)trainer->plan.steps);
        }
        int rc = step(trainer, err, &fault);
        if (rc == 0)
            rc = fault ? recover(trainer, err) : after_step(trainer, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void announce(struct trainer *trainer) {
    struct train_event event = {.kind = TRAIN_STARTED, .reason = trainer->reason};
    event.metrics.epoch = train_epoch(&trainer->plan, trainer->state.step);
    trainer->started_ns = trainer->progress_ns = clock_mono_ns();
    trainer->started_step = trainer->progress_step = trainer->state.step;
    tell(trainer, &event);
}

static void fill_result(const struct trainer *trainer, int64_t called_ns,
                        struct train_result *result) {
    *result = (struct train_result){.steps = trainer->state.step,
                                    .epochs = train_epoch(&trainer->plan, trainer->state.step),
                                    .seconds = seconds_since(called_ns),
                                    .images = (trainer->state.step - trainer->plan.first) *
                                              (uint64_t)trainer->config.batch,
                                    .top1_largest = trainer->latest.largest.top1,
                                    .top1_smallest = trainer->latest.smallest.top1};
    memcpy(result->checkpoint, trainer->checkpoint, sizeof result->checkpoint);
}

static int run(struct trainer *trainer, struct err *err) {
    const struct train_options *options = &trainer->options;
    int rc = supernet_create(options->space, options->config->seed, err, &trainer->supernet);
    if (rc == 0)
        rc = resume(trainer, err);
    if (rc == 0)
        trainer->effective.augment.pad = trainer->plan.pad;
    if (rc == 0)
        rc = train_parts_init(&trainer->parts, options, trainer->supernet,
                              train_seed(&trainer->config, &trainer->plan), err);
    if (rc == 0)
        rc = open_loader(trainer, err);
    if (rc != 0)
        return rc;
    announce(trainer);
    return loop(trainer, err);
}

int train_run(const struct train_options *options, struct err *err,
              struct train_result *ret_result) {
    struct trainer trainer = {.options = *options,
                              .given = options->config,
                              .effective = *options->config,
                              .store = {.interval = 1, .keep = KEEP}};
    int64_t called_ns = clock_mono_ns();
    if (strlen(options->checkpoint_dir) >= sizeof trainer.store.dir)
        return err_set(err, ESP_ELIMIT, NULL, "the path of the checkpoints is too long");
    trainer.options.config = &trainer.effective;
    if (trainer.effective.augment.pad == TRAIN_PAD_AUTO)
        trainer.effective.augment.pad = 0; /* until there is a plan: any does to calibrate */
    snprintf(trainer.store.dir, sizeof trainer.store.dir, "%s", options->checkpoint_dir);
    if (!(trainer.history = cJSON_CreateArray()))
        return no_memory(err);
    int rc = run(&trainer, err);
    if (rc == 0)
        fill_result(&trainer, called_ns, ret_result);
    loader_destroy(trainer.loader);
    train_parts_finish(&trainer.parts);
    supernet_destroy(trainer.supernet);
    cJSON_Delete(trainer.history);
    return rc;
}
