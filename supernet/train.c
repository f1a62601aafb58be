#include "supernet/train.h"

#include "base/clock.h"
#include "base/memory.h"
#include "supernet/channel_sort.h"
#include "supernet/train_history.h"
#include "supernet/train_pace.h"
#include "supernet/train_parts.h"
#include "supernet/train_points.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEEP = 2,
    RECOVERIES_MAX = 8,
    /* A step's loss is of the weights before it: what ruins them shows some steps later, and by
     * then may be in a checkpoint. */
    PROOF_STEPS = 8
};

static const double progress_interval_s = 0.5;

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
    float *statistics;           /* running BN statistics before the step under way */
    struct train_metrics latest; /* of the last validation */
    int suspect_steps;           /* before a fault, that showed it already */
    bool has_accuracy, saved;    /* saved: the state of this step is in a checkpoint */
    char reason[512];            /* of a recovery, or what was passed over at the start */
    char checkpoint[64];
    int64_t started_ns, progress_ns, point_ns;
    uint64_t started_step, progress_step, point_step;
};

static double seconds_since(int64_t start_ns) {
    return (double)(clock_mono_ns() - start_ns) * 1e-9;
}

/* Trained on in all rounds; an earlier round of another batch counts by its epochs. */
static uint64_t images_seen(const struct trainer *trainer) {
    const struct train_plan *plan = &trainer->plan;
    uint64_t batch = (uint64_t)trainer->config.batch;
    double before = plan->epochs_before * (double)(plan->steps_per_epoch * batch);
    return (uint64_t)(before + 0.5) + (trainer->state.step - plan->first) * batch;
}

static void tell(const struct trainer *trainer, struct train_event *event) {
    const struct train_hooks *hooks = trainer->options.hooks;
    if (event->kind != TRAIN_RECOVERED) /* which tells of the step that failed */
        event->step = trainer->state.step;
    event->steps = trainer->plan.steps;
    event->images = images_seen(trainer);
    if (hooks && hooks->event)
        hooks->event(hooks->context, event);
}

/* Of all ranks or none. */
static bool asked_to_stop(const struct trainer *trainer) {
    const struct train_hooks *hooks = trainer->options.hooks;
    const struct comm *comm = trainer->options.comm;
    bool stop = comm->rank == 0 && hooks && hooks->boundary && hooks->boundary(hooks->context);
    comm_broadcast(comm, &stop, sizeof stop);
    return stop;
}

static const struct regime_phase *phase_of(const struct trainer *trainer) {
    int phase = trainer->state.phase > 0 ? trainer->state.phase : 0;
    return train_phase_row(&trainer->config, &trainer->plan, phase);
}

static int no_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for training");
}

/* --- checkpoints --- */

/* Written by rank 0 alone: all have the same state. */
static int noted_elsewhere(struct trainer *trainer) {
    checkpoint_store_name(trainer->state.step, trainer->checkpoint);
    trainer->saved = true;
    return 0;
}

/* A disk that is full now may have room later: told, and gone on. What else fails is told too. */
static int save(struct trainer *trainer, bool best, struct err *err) {
    struct train_event event = {.kind = TRAIN_CHECKPOINT,
                                .name = trainer->checkpoint,
                                .metrics = trainer->latest,
                                .has_accuracy = trainer->has_accuracy};
    event.metrics.phase = phase_of(trainer)->name;
    event.metrics.epoch = train_epoch(&trainer->plan, trainer->state.step);
    if (trainer->options.comm->rank != 0)
        return noted_elsewhere(trainer);
    tell(trainer,
         &(struct train_event){.kind = TRAIN_SAVING, .metrics.phase = event.metrics.phase});
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
        trainer->store.standing = trainer->state.step;
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
    trainer->store.standing = trainer->state.step;
    trainer->saved = true;
    trainer->has_accuracy |= train_history_latest(trainer->history, &trainer->latest);
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
    memcpy(plan.inherited, trainer->plan.inherited, sizeof plan.inherited);
    if (trainer->plan.steps == 0 && options->init)
        rc = supernet_inherit(trainer->supernet, options->init, err, plan.inherited);
    if (rc != 0)
        return rc;
    if (trainer->plan.steps > 0) {
        plan.round++;
        plan.epochs_before = train_epoch(&trainer->plan, trainer->plan.steps);
    }
    if (options->config->epochs <= 0 || options->config->checkpoint_steps <= 0) {
        tell(trainer, &(struct train_event){.kind = TRAIN_MEASURING});
        rc = train_calibrate(options, err, &pace);
    }
    if (rc != 0)
        return rc;
    train_plan_make(trainer->given, &pace, per_epoch, &plan);
    if ((rc = train_plan_phases(options->space, options->config, err, &plan)) != 0)
        return rc;
    trainer->config = *trainer->given;
    trainer->plan = plan;
    trainer->state =
        (struct train_state){.step = plan.first, .phase = -1, .rate_scale = 1, .best = -1};
    trainer->store.first = plan.first;
    trainer->store.interval = plan.checkpoint_steps;
    rc = save(trainer, false, err);          /* told if it fails; the next one may work */
    return options->comm->size > 1 ? rc : 0; /* unless others are to begin with it */
}

static bool is_finished(const struct trainer *trainer) {
    return trainer->state.step == trainer->plan.steps && !trainer->state.due;
}

/* An unfinished training goes on only as it was begun. */
static int check_resumed(const struct trainer *trainer, const struct checkpoint *checkpoint,
                         struct err *err) {
    if (is_finished(trainer))
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
    if (rc == 0 && is_finished(trainer) && !same_config(&trainer->config, trainer->given))
        rc = begin_round(trainer, err);
    checkpoint_close(checkpoint);
    snprintf(trainer->reason, sizeof trainer->reason, "%s", skipped.message);
    return rc;
}

/* Rank 0 first: the others go on from the checkpoint that it has found or begun with. */
static int resume_in_turn(struct trainer *trainer, struct err *err) {
    const struct comm *comm = trainer->options.comm;
    int rc = comm->rank == 0 ? resume(trainer, err) : 0, first = rc;
    comm_broadcast(comm, &first, sizeof first);
    if (comm->rank == 0)
        return rc;
    return first == 0 ? resume(trainer, err)
                      : err_set(err, first, NULL, "the first process could not begin");
}

static int open_loader(struct trainer *trainer, struct err *err) {
    loader_destroy(trainer->loader);
    trainer->loader = NULL;
    struct train_batches batches = {.seed = train_seed(&trainer->config, &trainer->plan),
                                    .first = trainer->state.step - trainer->plan.first};
    train_resolutions(&trainer->parts, &batches);
    return train_loader(&trainer->options, &batches, err, &trainer->loader);
}

/* --- progress --- */

static void fill_metrics(const struct trainer *trainer, struct train_metrics *metrics) {
    const struct train_state *state = &trainer->state;
    uint64_t last = state->step > trainer->plan.first ? state->step - 1 : state->step;
    double n = state->summed > 0 ? (double)state->summed : 1;
    metrics->step = state->step;
    metrics->epoch = train_epoch(&trainer->plan, state->step);
    metrics->images = images_seen(trainer);
    metrics->phase = phase_of(trainer)->name;
    metrics->phase_step = trainer->plan.phases[state->phase > 0 ? state->phase : 0].first;
    metrics->phase_epoch = train_epoch(&trainer->plan, metrics->phase_step);
    metrics->averaged = state->summed;
    metrics->loss = state->loss_sum / n;
    metrics->distill = state->distill_sum / n;
    metrics->gap = state->gap_sum / n;
    metrics->n_parts = supernet_gradient_parts(trainer->supernet);
    for (int i = 0; i < metrics->n_parts; i++)
        metrics->part_norms[i] = sqrt(state->part_squares[i] / n);
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

static void tell_progress(struct trainer *trainer) {
    struct train_event event = {.kind = TRAIN_PROGRESS};
    const struct train_state *state = &trainer->state;
    fill_metrics(trainer, &event.metrics);
    event.metrics.images_per_s =
        images_per_second(trainer, trainer->progress_step, trainer->progress_ns);
    double left = train_cost_left(&trainer->config, &trainer->plan, state->step);
    double done = train_cost_left(&trainer->config, &trainer->plan, trainer->started_step) - left;
    if (done > 0)
        event.eta_s = seconds_since(trainer->started_ns) / done * left;
    trainer->progress_ns = clock_mono_ns();
    trainer->progress_step = state->step;
    tell(trainer, &event);
}

static void report_progress(struct trainer *trainer) {
    if (seconds_since(trainer->progress_ns) >= progress_interval_s)
        tell_progress(trainer);
}

static void begin_point(struct trainer *trainer) {
    trainer->point_ns = clock_mono_ns();
    trainer->point_step = trainer->state.step;
}

/* One that was told before its validation was given up is not told again. */
static void tell_point(struct trainer *trainer) {
    struct train_event event = {.kind = TRAIN_POINT};
    if (trainer->state.point.n == 0)
        return;
    fill_metrics(trainer, &event.metrics);
    train_points_take(&trainer->state.point, &event.metrics);
    event.metrics.images_per_s = images_per_second(trainer, trainer->point_step, trainer->point_ns);
    begin_point(trainer);
    tell(trainer, &event);
}

/* --- phases --- */

static int sort_channels(struct trainer *trainer, struct err *err) {
    const struct regime_phase *before =
        train_phase_row(&trainer->config, &trainer->plan, trainer->state.phase - 1);
    struct channel_sort_options options = {.trained_ratios = before->widths};
    return channel_sort(trainer->supernet, &options, err);
}

/* The first phase that learns from a teacher freezes it as the network is then. */
static int set_copies(struct trainer *trainer, struct err *err) {
    struct supernet *supernet = trainer->supernet;
    int rc = 0;
    if (phase_of(trainer)->rule != RULE_TEACHER)
        supernet_drop_part(supernet, PART_TEACHER);
    else if (!supernet_has_part(supernet, PART_TEACHER))
        rc = supernet_copy_part(supernet, PART_TEACHER, err);
    if (rc == 0 && phase_of(trainer)->sorts)
        rc = sort_channels(trainer, err);
    if (trainer->config.ema_decay <= 0)
        supernet_drop_part(supernet, PART_AVERAGE);
    else if (rc == 0)
        rc = supernet_copy_part(supernet, PART_AVERAGE, err);
    return rc;
}

/* What is done at a phase's beginning is a function of the weights at its first step, and noted in
 * the state: a run that is killed does it again or has it done. */
static int begin_phase(struct trainer *trainer, struct err *err) {
    trainer->state.phase = train_phase_at(&trainer->plan, trainer->state.step);
    int rc = set_copies(trainer, err);
    if (rc != 0)
        return rc;
    if (trainer->state.phase > 0) { /* another task, another loss */
        supernet_zero_momentum(trainer->supernet);
        memset(trainer->state.guards, 0, sizeof trainer->state.guards);
        trainer->state.best = -1;
    }
    trainer->saved = false;
    tell_progress(trainer);
    return 0;
}

static bool at_new_phase(const struct trainer *trainer) {
    return trainer->state.phase != train_phase_at(&trainer->plan, trainer->state.step);
}

/* --- steps --- */

/* A loss on labels that is watched; 0: the step had none of the kind. */
static double loss_of(const struct train_step_losses *losses, enum guard_kind kind) {
    switch (kind) {
    case GUARD_LABELS:
        return losses->labels;
    case GUARD_SMALLEST:
        return losses->smallest;
    case GUARD_RANDOM:
        return losses->random;
    case GUARD_KINDS:
        break;
    }
    return 0;
}

static struct guard_scale scale_of(const struct trainer *trainer) {
    const struct train_config *config = &trainer->config;
    return guard_scale_make(config->label_smoothing, trainer->options.space->n_classes,
                            config->batch);
}

/* Writes why into trainer->reason. */
static bool is_out_of_bounds(struct trainer *trainer, const struct train_step_losses *losses,
                             double norm) {
    static const char *const whose[GUARD_KINDS] = {"", " of the smallest subnet",
                                                   " of random subnets"};
    struct guard_scale scale = scale_of(trainer);
    for (int i = 0; i < GUARD_KINDS; i++) {
        const struct loss_guard *guard = &trainer->state.guards[i];
        double loss = loss_of(losses, (enum guard_kind)i);
        const char *fault = loss > 0 ? guard_fault(guard, &scale, loss) : NULL;
        if (!fault)
            continue;
        snprintf(trainer->reason, sizeof trainer->reason,
                 "the loss%s %s (loss %.4g, running mean %.4g, gradient norm %.4g)", whose[i],
                 fault, loss, guard->mean, norm);
        trainer->suspect_steps = guard->at_chance > guard->leaps ? guard->at_chance : guard->leaps;
        return true;
    }
    return false;
}

/* Whether the step must not stand; trainer->reason says why. */
static bool has_fault(struct trainer *trainer, const struct train_step_losses *losses,
                      double norm) {
    bool finite = isfinite(losses->labels) && isfinite(losses->distill) && isfinite(losses->gap);
    trainer->suspect_steps = 0;
    if (finite && isfinite(norm))
        return is_out_of_bounds(trainer, losses, norm);
    snprintf(trainer->reason, sizeof trainer->reason,
             "the %s is not finite (loss %.4g, running mean %.4g, gradient norm %.4g)",
             finite ? "gradient" : "loss", losses->labels, trainer->state.guards[GUARD_LABELS].mean,
             norm);
    return true;
}

static void watch(struct trainer *trainer, const struct train_step_losses *losses) {
    struct guard_scale scale = scale_of(trainer);
    uint64_t first = trainer->plan.phases[trainer->state.phase].first;
    for (int i = 0; i < GUARD_KINDS; i++) {
        double loss = loss_of(losses, (enum guard_kind)i);
        if (loss > 0)
            guard_add(&trainer->state.guards[i], &scale, loss, trainer->state.step - first);
    }
}

static void account(struct trainer *trainer, const struct train_step_losses *losses, double norm,
                    const double squares[GRADIENT_PARTS_MAX]) {
    struct train_state *state = &trainer->state;
    watch(trainer, losses);
    train_points_add(&state->point, losses, norm);
    state->loss_sum += losses->labels;
    state->distill_sum += losses->distill;
    state->gap_sum += losses->gap;
    state->norm_sum += norm;
    for (int i = 0; i < GRADIENT_PARTS_MAX; i++)
        state->part_squares[i] += squares[i];
    state->summed++;
    state->step++;
}

/* Young averages look back over fewer steps: they would hold the beginning for too long. */
static void follow_average(struct trainer *trainer) {
    double decay = trainer->config.ema_decay;
    uint64_t first = trainer->plan.phases[trainer->state.phase].first;
    double steps = (double)(trainer->state.step - first), young = (1 + steps) / (10 + steps);
    if (decay > 0)
        supernet_average_step(trainer->supernet, trainer->options.pool,
                              decay < young ? decay : young);
}

/* The gradients of a step. One that is given up leaves nothing behind: gradients are zeroed before
 * they are added to, and running statistics are put back. */
static int run_step(struct trainer *trainer, const struct loader_batch *batch, struct err *err,
                    struct train_step_losses *ret_losses) {
    supernet_zero_grad(trainer->supernet);
    supernet_get_statistics(trainer->supernet, trainer->statistics);
    int rc = train_step_run(trainer->parts.step, phase_of(trainer), batch, trainer->state.step, err,
                            ret_losses);
    if (rc == ESP_ECANCELED)
        supernet_put_statistics(trainer->supernet, trainer->statistics);
    return rc;
}

/* One step; *ret_fault: it must not stand, trainer->reason says why. */
static int step(struct trainer *trainer, struct err *err, bool *ret_fault) {
    struct loader_batch batch;
    struct train_step_losses losses;
    double squares[GRADIENT_PARTS_MAX];
    const struct train_config *config = &trainer->config;
    double rate = trainer->state.rate_scale *
                  train_learning_rate(config, &trainer->plan, trainer->state.step);
    struct sgd sgd = {.learning_rate = (float)rate,
                      .momentum = (float)config->momentum,
                      .weight_decay = (float)config->weight_decay,
                      .clip_norm = (float)config->clip_norm,
                      .clip_value = (float)config->clip_value};
    loader_next(trainer->loader, &batch);
    int rc = run_step(trainer, &batch, err, &losses);
    if (rc != 0)
        return rc;
    supernet_gradient_squares(trainer->supernet, squares);
    double norm = supernet_sgd_step(trainer->supernet, trainer->options.pool, &sgd);
    *ret_fault = has_fault(trainer, &losses, norm);
    if (*ret_fault)
        return 0;
    trainer->saved = false;
    account(trainer, &losses, norm, squares);
    follow_average(trainer);
    trainer->state.due = train_is_validation(&trainer->plan, trainer->state.step);
    return 0;
}

/* What was gone back to is written anew with the rate and the reason; then what was found bad is
 * removed. A run that is killed before the end of this begins with the newest, which leads here
 * again. Where the disk has no room, what was gone back to stays as it was: with the old rate. */
static void settle_recovery(struct trainer *trainer) {
    struct err failure = {0};
    if (save(trainer, false, &failure) == 0 && trainer->options.comm->rank == 0)
        checkpoint_store_forget(&trainer->store, trainer->state.step);
}

/* Back to the last good regular checkpoint with half the learning rate: the same steps at the same
 * rate would fail the same way. */
static int recover(struct trainer *trainer, struct err *err) {
    struct train_event event = {.kind = TRAIN_RECOVERED, .reason = trainer->reason};
    struct checkpoint *checkpoint = NULL;
    uint64_t failed_step = trainer->state.step;
    int recoveries = trainer->state.recoveries + 1;
    double scale = trainer->state.rate_scale / 2;
    uint64_t proof = PROOF_STEPS + (uint64_t)trainer->suspect_steps;
    if (recoveries > RECOVERIES_MAX)
        return err_set(err, ESP_EDIVERGED, "/train/learning_rate",
                       "training failed at step %llu for the %dth time: %s",
                       (unsigned long long)failed_step, recoveries, trainer->reason);
    int rc = checkpoint_store_regular(&trainer->store, failed_step, proof, err, &checkpoint);
    if (rc == 0)
        rc = take_over(trainer, checkpoint, err);
    checkpoint_close(checkpoint);
    if (rc != 0)
        return rc;
    trainer->state.recoveries = recoveries;
    trainer->state.rate_scale = scale;
    for (int i = 0; i < GUARD_KINDS; i++)
        trainer->state.guards[i].at_chance = trainer->state.guards[i].leaps = 0;
    trainer->saved = false;
    trainer->progress_step = trainer->started_step = trainer->state.step;
    trainer->progress_ns = trainer->started_ns = clock_mono_ns();
    begin_point(trainer);
    rc = train_history_add_recovery(trainer->history, failed_step, trainer->state.step,
                                    trainer->reason, err);
    if (rc != 0)
        return rc;
    event.step = failed_step;
    event.back_to_step = trainer->state.step;
    tell(trainer, &event);
    settle_recovery(trainer);
    return open_loader(trainer, err);
}

static void clear_sums(struct train_state *state) {
    state->loss_sum = state->distill_sum = state->gap_sum = state->norm_sum = 0;
    memset(state->part_squares, 0, sizeof state->part_squares);
    state->summed = 0;
}

/* Curves at the end of an interval. Sets *ret_best when none before was as good. */
static int validate(struct trainer *trainer, struct err *err, bool *ret_best) {
    struct train_event event = {.kind = TRAIN_METRICS, .has_accuracy = true};
    struct train_metrics *metrics = &event.metrics;
    fill_metrics(trainer, metrics);
    metrics->images_per_s = images_per_second(trainer, trainer->started_step, trainer->started_ns);
    int rc = train_validate(&trainer->parts, &trainer->options, phase_of(trainer), err, metrics);
    if (rc == 0)
        rc = train_history_add(trainer->history, metrics, err);
    if (rc != 0)
        return rc;
    double mean = (metrics->largest.top1 + metrics->smallest.top1 + metrics->random.top1) / 3;
    *ret_best = mean >= trainer->state.best;
    if (*ret_best)
        trainer->state.best = mean;
    clear_sums(&trainer->state);
    trainer->state.due = trainer->saved = false;
    trainer->latest = *metrics;
    trainer->has_accuracy = true;
    tell(trainer, &event);
    begin_point(trainer); /* of whose pace the validation is no part */
    return 0;
}

/* What belongs to a step's end, also when the step was taken by a run that was stopped in its
 * validation. Only the last checkpoint must succeed. */
static int after_step(struct trainer *trainer, struct err *err) {
    const struct train_plan *plan = &trainer->plan;
    uint64_t at = trainer->state.step;
    bool best = false;
    int rc = 0;
    report_progress(trainer);
    if (train_is_point(plan, at))
        tell_point(trainer);
    if (trainer->state.due)
        rc = validate(trainer, err, &best);
    if (at == plan->steps)
        supernet_drop_part(trainer->supernet, PART_TEACHER); /* it has said all */
    if (rc == 0 && train_is_checkpoint(plan, at)) {
        int saved = save(trainer, best, err);
        rc = at == plan->steps ? saved : 0;
    }
    return rc;
}

static int take_step(struct trainer *trainer, struct err *err) {
    bool fault = false;
    int rc = at_new_phase(trainer) ? begin_phase(trainer, err) : 0;
    if (rc == 0)
        rc = step(trainer, err, &fault);
    if (rc == 0)
        rc = fault ? recover(trainer, err) : after_step(trainer, err);
    return rc;
}

/* The state of the last whole step is kept. */
static int stop(struct trainer *trainer, struct err *err) {
    struct err failure = {0};
    if (!trainer->saved)
        save(trainer, false, &failure);
    return err_set(err, ESP_ECANCELED, NULL, "training was stopped at step %llu of %llu",
                   (unsigned long long)trainer->state.step,
                   (unsigned long long)trainer->plan.steps);
}

static int loop(struct trainer *trainer, struct err *err) {
    while (!is_finished(trainer)) {
        int rc = asked_to_stop(trainer) ? ESP_ECANCELED : 0;
        if (rc == 0)
            rc = trainer->state.due ? after_step(trainer, err) : take_step(trainer, err);
        if (rc == ESP_ECANCELED)
            return stop(trainer, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void announce(struct trainer *trainer) {
    struct train_event event = {.kind = TRAIN_STARTED, .reason = trainer->reason};
    event.metrics.epoch = train_epoch(&trainer->plan, trainer->state.step);
    event.metrics.phase = phase_of(trainer)->name;
    trainer->started_ns = trainer->progress_ns = clock_mono_ns();
    trainer->started_step = trainer->progress_step = trainer->state.step;
    begin_point(trainer);
    tell(trainer, &event);
}

static void fill_result(const struct trainer *trainer, int64_t called_ns,
                        struct train_result *result) {
    *result = (struct train_result){.steps = trainer->state.step,
                                    .epochs = train_epoch(&trainer->plan, trainer->state.step),
                                    .seconds = seconds_since(called_ns),
                                    .images = images_seen(trainer),
                                    .top1_largest = trainer->latest.largest.top1,
                                    .top1_smallest = trainer->latest.smallest.top1};
    memcpy(result->checkpoint, trainer->checkpoint, sizeof result->checkpoint);
}

/* What was left to the plan. */
static void fill_in(struct trainer *trainer) {
    trainer->effective.augment.pad = trainer->plan.pad;
    trainer->effective.label_share = trainer->plan.label_share;
}

static int run(struct trainer *trainer, struct err *err) {
    const struct train_options *options = &trainer->options;
    struct arch alone;
    bool has_alone;
    int rc = train_alone(options, err, &has_alone, &alone); /* before anything is written */
    if (rc == 0)
        rc = supernet_create(options->space, options->config->seed, err, &trainer->supernet);
    if (rc == 0)
        rc = resume_in_turn(trainer, err);
    if (rc == 0)
        fill_in(trainer);
    if (rc == 0)
        rc = train_parts_init(&trainer->parts, options, trainer->supernet,
                              train_seed(&trainer->config, &trainer->plan), err);
    if (rc == 0 && !(trainer->statistics =
                         mem_array(supernet_statistics_floats(trainer->supernet), sizeof(float))))
        rc = no_memory(err);
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
    if (!options->comm)
        trainer.options.comm = &comm_alone;
    if (trainer.effective.augment.pad == TRAIN_PAD_AUTO)
        trainer.effective.augment.pad = 0; /* until there is a plan: any does to calibrate */
    if (trainer.effective.label_share == TRAIN_LABEL_SHARE_AUTO)
        trainer.effective.label_share = 0;
    snprintf(trainer.store.dir, sizeof trainer.store.dir, "%s", options->checkpoint_dir);
    if (!(trainer.history = cJSON_CreateArray()))
        return no_memory(err);
    int rc = run(&trainer, err);
    if (rc == 0)
        fill_result(&trainer, called_ns, ret_result);
    loader_destroy(trainer.loader);
    free(trainer.statistics);
    train_parts_finish(&trainer.parts);
    supernet_destroy(trainer.supernet);
    cJSON_Delete(trainer.history);
    return rc;
}
