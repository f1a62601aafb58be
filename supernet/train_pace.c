#include "supernet/train_pace.h"

#include "base/clock.h"
#include "base/stats.h"
#include "supernet/train_parts.h"
#include <stdio.h>
#include <unistd.h>

enum {
    WARM_UP = 2,    /* rounds not counted: first touch of memory, an empty queue of batches */
    ROUNDS_MIN = 4, /* counted */
    ROUNDS_LEAST = 1
};
/* Shares of the budget: what is taken, and what is never passed by more than one counted round. */
static const double wanted_share = 0.02, greatest_share = 0.1, longest_s = 30;
static const double stall_factor = 2; /* times the median: no step, but a wait for the machine */

void pace_gauge_init(struct pace_gauge *gauge, const int *resolutions, int n, double budget_s) {
    *gauge =
        (struct pace_gauge){.resolutions = resolutions, .n_resolutions = n, .budget_s = budget_s};
    gauge->limit_s = wanted_share * budget_s;
    if (gauge->limit_s > longest_s)
        gauge->limit_s = longest_s;
    gauge->n_timed = n < PACE_TIMED_MAX ? n : PACE_TIMED_MAX;
    for (int i = 0; i < gauge->n_timed; i++)
        gauge->timed[i] = gauge->n_timed > 1 ? i * (n - 1) / (gauge->n_timed - 1) : 0;
}

bool pace_gauge_wants_more(const struct pace_gauge *gauge, double elapsed_s) {
    if (gauge->rounds < WARM_UP + ROUNDS_LEAST)
        return true;
    if (gauge->rounds < WARM_UP + ROUNDS_MIN)
        return gauge->budget_s <= 0 || elapsed_s < greatest_share * gauge->budget_s;
    return elapsed_s < gauge->limit_s;
}

void pace_gauge_add(struct pace_gauge *gauge, const double seconds[PACE_TIMED_MAX]) {
    for (int i = 0; i < gauge->n_timed; i++)
        gauge->seconds[i][gauge->rounds % PACE_SAMPLES_MAX] = seconds[i];
    gauge->rounds++;
}

/* Mean of the steady part of n >= 1 times. */
static double steady_mean(const double *seconds, int n) {
    double limit = stall_factor * stats_median(seconds, (size_t)n), sum = 0;
    int counted = 0;
    for (int i = 0; i < n; i++)
        if (seconds[i] <= limit) {
            sum += seconds[i];
            counted++;
        }
    return sum / counted; /* the median is among them */
}

static double seconds_at(const struct pace_gauge *gauge, int i) {
    int warm = gauge->rounds > WARM_UP ? WARM_UP : gauge->rounds - 1;
    if (gauge->rounds >= PACE_SAMPLES_MAX + WARM_UP) /* they are overwritten by then */
        return steady_mean(gauge->seconds[i], PACE_SAMPLES_MAX);
    int kept = gauge->rounds < PACE_SAMPLES_MAX ? gauge->rounds : PACE_SAMPLES_MAX;
    return steady_mean(gauge->seconds[i] + warm, kept - warm);
}

static double pixels(const struct pace_gauge *gauge, int resolution) {
    double side = gauge->resolutions[resolution];
    return side * side;
}

double pace_gauge_step_s(const struct pace_gauge *gauge) {
    double at[PACE_TIMED_MAX], sum = 0;
    int after = 0; /* the first timed resolution not below the one looked at */
    for (int i = 0; i < gauge->n_timed; i++)
        at[i] = seconds_at(gauge, i);
    for (int r = 0; r < gauge->n_resolutions; r++) {
        while (gauge->timed[after] < r)
            after++;
        if (gauge->timed[after] == r) {
            sum += at[after];
            continue;
        }
        double low = pixels(gauge, gauge->timed[after - 1]);
        double high = pixels(gauge, gauge->timed[after]);
        double share = (pixels(gauge, r) - low) / (high - low);
        sum += at[after - 1] + share * (at[after] - at[after - 1]);
    }
    return sum / gauge->n_resolutions;
}

/* --- with the clock --- */

struct calibration {
    const struct train_options *options;
    struct train_parts parts;
    struct train_plan plan; /* its phases alone */
    struct train_batches batches;
    struct pace_gauge gauge;                /* of one phase */
    struct loader *loaders[PACE_TIMED_MAX]; /* of one resolution each */
};

static int64_t now_ns(const struct train_options *options) {
    return options->pace_clock_ns ? options->pace_clock_ns() : clock_mono_ns();
}

static double seconds_since(const struct train_options *options, int64_t start_ns) {
    return (double)(now_ns(options) - start_ns) * 1e-9;
}

/* Between what takes long and asks nobody itself. */
static int check_stop(const struct calibration *calibration, struct err *err) {
    return engine_stopping(calibration->parts.engine)
               ? err_set(err, ESP_ECANCELED, NULL, "stopped while the pace was measured")
               : 0;
}

static int open_loaders(struct calibration *calibration, struct err *err) {
    const struct train_options *options = calibration->options;
    const struct pace_gauge *gauge = &calibration->gauge;
    int rc = 0;
    for (int i = 0; rc == 0 && i < gauge->n_timed; i++) {
        struct train_batches batches = {.seed = options->config->seed,
                                        .resolutions = &gauge->resolutions[gauge->timed[i]],
                                        .n_resolutions = 1};
        rc = check_stop(calibration, err);
        if (rc == 0)
            rc = train_loader(options, &batches, err, &calibration->loaders[i]);
    }
    return rc;
}

/* A step as training takes it, at the i-th timed resolution. */
static int time_step(struct calibration *calibration, const struct regime_phase *phase, int i,
                     struct err *err, double *ret_seconds) {
    const struct train_options *options = calibration->options;
    struct sgd sgd = {.learning_rate = 1e-6f,
                      .momentum = (float)options->config->momentum,
                      .clip_norm = (float)options->config->clip_norm};
    struct loader_batch batch;
    struct train_step_losses losses;
    int64_t start = now_ns(options);
    int rc = check_stop(calibration, err);
    if (rc != 0)
        return rc;
    loader_next(calibration->loaders[i], &batch);
    batch.resolution = calibration->gauge.timed[i];
    supernet_zero_grad(calibration->parts.supernet);
    rc = train_step_run(calibration->parts.step, phase, &batch, (uint64_t)calibration->gauge.rounds,
                        err, &losses);
    if (rc != 0)
        return rc;
    supernet_sgd_step(calibration->parts.supernet, options->pool, &sgd);
    if (options->config->ema_decay > 0)
        supernet_average_step(calibration->parts.supernet, options->pool, 1);
    *ret_seconds = seconds_since(options, start);
    return 0;
}

static const struct regime_phase *phase_row(const struct calibration *calibration, int phase) {
    return train_phase_row(calibration->options->config, &calibration->plan, phase);
}

static int time_phase(struct calibration *calibration, int phase, struct err *err,
                      double *ret_step_s) {
    const struct train_options *options = calibration->options;
    const struct train_config *config = options->config;
    struct pace_gauge *gauge = &calibration->gauge;
    double budget_s = config->epochs > 0 ? 0 : config->time_budget_s / calibration->plan.n_phases;
    pace_gauge_init(gauge, calibration->batches.resolutions, calibration->batches.n_resolutions,
                    budget_s);
    int64_t start = now_ns(options);
    int rc = calibration->loaders[0] ? 0 : open_loaders(calibration, err);
    while (rc == 0 && pace_gauge_wants_more(gauge, seconds_since(options, start))) {
        double seconds[PACE_TIMED_MAX] = {0};
        for (int i = 0; rc == 0 && i < gauge->n_timed; i++)
            rc = time_step(calibration, phase_row(calibration, phase), i, err, &seconds[i]);
        if (rc == 0)
            pace_gauge_add(gauge, seconds);
    }
    if (rc == 0)
        *ret_step_s = pace_gauge_step_s(gauge);
    return rc;
}

static int time_phases(struct calibration *calibration, struct err *err, double *ret_step_s) {
    double all = 0, sum = 0, step_s = 0;
    int rc = 0;
    for (int i = 0; rc == 0 && i < calibration->plan.n_phases; i++) {
        double share = phase_row(calibration, i)->share;
        rc = time_phase(calibration, i, err, &step_s);
        all += share;
        sum += share * step_s;
    }
    if (rc == 0)
        *ret_step_s = sum / all;
    return rc;
}

/* The copies that a training will have. */
static int add_copies(struct calibration *calibration, struct err *err) {
    struct supernet *supernet = calibration->parts.supernet;
    int rc = 0;
    if (calibration->options->config->ema_decay > 0)
        rc = supernet_copy_part(supernet, PART_AVERAGE, err);
    for (int i = 0; rc == 0 && i < calibration->plan.n_phases; i++)
        if (phase_row(calibration, i)->rule == RULE_TEACHER)
            rc = supernet_copy_part(supernet, PART_TEACHER, err);
    return rc;
}

/* Where it cannot be written there is nothing to time: training will say so. */
static double time_checkpoint(const struct calibration *calibration) {
    const struct train_options *options = calibration->options;
    struct checkpoint_notes notes = {.dataset_revision = options->dataset->revision};
    struct checkpoint_summary summary;
    char path[1024];
    snprintf(path, sizeof path, "%s/calibration.partial", options->checkpoint_dir);
    int64_t start = now_ns(options);
    int rc = checkpoint_write(path, calibration->parts.supernet, &notes, NULL, &summary);
    double seconds = seconds_since(options, start);
    unlink(path);
    return rc == 0 ? seconds : 0;
}

static int measure(struct calibration *calibration, struct err *err, struct train_pace *pace) {
    const struct train_options *options = calibration->options;
    struct train_metrics metrics;
    int rc = add_copies(calibration, err);
    if (rc == 0)
        rc = time_phases(calibration, err, &pace->step_s);
    if (rc == 0)
        rc = check_stop(calibration, err);
    if (rc != 0)
        return rc;
    pace->checkpoint_s = time_checkpoint(calibration);
    int64_t start = now_ns(options);
    rc = train_validate(&calibration->parts, options,
                        phase_row(calibration, calibration->plan.n_phases - 1), err, &metrics);
    pace->validation_s = seconds_since(options, start);
    return rc;
}

int train_calibrate(const struct train_options *options, struct err *err,
                    struct train_pace *ret_pace) {
    struct train_options alone = *options;
    struct calibration calibration = {.options = &alone, .plan = {.steps = REGIME_PHASES_MAX}};
    const struct space *space = options->space;
    struct supernet *supernet = NULL;
    struct train_pace pace = {0};
    int64_t start = now_ns(options);
    alone.comm = NULL; /* rank 0 decides for all */
    int rc = train_plan_phases(space, options->config, err, &calibration.plan);
    if (rc == 0)
        rc = supernet_create(space, options->config->seed, err, &supernet);
    if (rc == 0)
        rc = train_parts_init(&calibration.parts, options, supernet, options->config->seed, err);
    if (rc == 0)
        rc = check_stop(&calibration, err);
    if (rc == 0)
        train_resolutions(&calibration.parts, &calibration.batches);
    if (rc == 0)
        rc = measure(&calibration, err, &pace);
    for (int i = 0; i < PACE_TIMED_MAX; i++)
        loader_destroy(calibration.loaders[i]);
    train_parts_finish(&calibration.parts);
    supernet_destroy(supernet);
    pace.elapsed_s = seconds_since(options, start);
    if (rc == 0)
        *ret_pace = pace;
    return rc;
}
