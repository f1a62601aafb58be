/* Trains a supernet, or goes on training it. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/job/job.h"
#include "daemon/job/memory_check.h"
#include "daemon/job/spec.h"
#include "supernet/train.h"

#include <stdio.h>
#include <unistd.h>

static const char *const fields[] = {"supernet_id", "supernet_dir", "space", "dataset",
                                     "train",       "init_from",    NULL};
static const char *const init_fields[] = {"supernet_id", "supernet_dir", "checkpoint",
                                          "checkpoint_hash", NULL};

static void send_metric(struct channel *channel, const struct train_metrics *metrics,
                        const char *series, double value) {
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "series", series);
    cJSON_AddNumberToObject(data, "step", (double)metrics->step);
    cJSON_AddNumberToObject(data, "epoch", metrics->epoch);
    cJSON_AddNumberToObject(data, "images", (double)metrics->images);
    cJSON_AddNumberToObject(data, "value", value);
    channel_event_soon(channel, "metric", data);
}

static void send_part_norms(struct channel *channel, const struct train_metrics *metrics) {
    for (int i = 0; i < metrics->n_parts; i++) {
        char part[GRADIENT_PART_NAME], series[64];
        train_part_name(i, metrics->n_parts, part);
        snprintf(series, sizeof series, "gradient_norm/%s", part);
        send_metric(channel, metrics, series, metrics->part_norms[i]);
    }
}

/* Series that a regime or phase has nothing for are left out. */
static void send_distillation(struct channel *channel, const struct train_metrics *metrics) {
    if (metrics->distill == 0 && metrics->gap == 0)
        return;
    send_metric(channel, metrics, "loss/distillation", metrics->distill);
    send_metric(channel, metrics, "distillation_gap", metrics->gap);
}

/* A series of its own, whose points are the first steps of the phase: one for each round that has
 * it. Sent again and again, it is the same point. */
static void send_phase(struct channel *channel, const struct train_metrics *metrics) {
    const struct train_metrics begin = {.step = metrics->phase_step, .epoch = metrics->phase_epoch};
    char series[64];
    snprintf(series, sizeof series, "phase/%s", metrics->phase);
    send_metric(channel, &begin, series, 0);
}

static void send_point(struct channel *channel, const struct train_metrics *metrics) {
    send_metric(channel, metrics, "loss", metrics->loss);
    send_metric(channel, metrics, "learning_rate", metrics->learning_rate);
    send_metric(channel, metrics, "images_per_s", metrics->images_per_s);
    send_metric(channel, metrics, "gradient_norm", metrics->gradient_norm);
    send_distillation(channel, metrics);
}

/* Of the validation; its step has a point, too. */
static void send_metrics(struct channel *channel, const struct train_metrics *metrics) {
    const struct {
        const char *series;
        double value;
    } rows[] = {{"top1/largest", metrics->largest.top1},
                {"top1/largest/raw", metrics->largest.top1_raw},
                {"top1/smallest", metrics->smallest.top1},
                {"top1/smallest/raw", metrics->smallest.top1_raw},
                {"top1/random", metrics->random.top1},
                {"top1/random/raw", metrics->random.top1_raw}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        send_metric(channel, metrics, rows[i].series, rows[i].value);
    send_part_norms(channel, metrics);
    send_phase(channel, metrics);
}

static cJSON *make_progress(const struct train_event *event, const char *message) {
    cJSON *progress = cJSON_CreateObject();
    cJSON_AddStringToObject(progress, "phase", event->metrics.phase);
    cJSON_AddNumberToObject(progress, "done", (double)event->step);
    cJSON_AddNumberToObject(progress, "total", (double)event->steps);
    cJSON_AddStringToObject(progress, "unit", "steps");
    cJSON_AddNumberToObject(progress, "fraction", (double)event->step / (double)event->steps);
    if (message)
        cJSON_AddStringToObject(progress, "message", message);
    return progress;
}

static void send_progress(struct channel *channel, const struct train_event *event) {
    cJSON *progress = make_progress(event, NULL);
    if (event->metrics.images_per_s > 0) { /* else no step has been taken yet */
        cJSON_AddNumberToObject(progress, "eta_s", event->eta_s);
        cJSON_AddNumberToObject(progress, "images_per_s", event->metrics.images_per_s);
    }
    if (event->metrics.averaged > 0)
        cJSON_AddNumberToObject(progress, "loss", event->metrics.loss);
    cJSON_AddNumberToObject(progress, "learning_rate", event->metrics.learning_rate);
    cJSON_AddNumberToObject(progress, "epoch", event->metrics.epoch);
    channel_progress(channel, progress);
}

/* It takes seconds, or minutes where a step does. */
static void send_measuring(struct channel *channel) {
    cJSON *progress = cJSON_CreateObject();
    cJSON_AddStringToObject(progress, "phase", "measuring the pace");
    cJSON_AddNumberToObject(progress, "fraction", 0);
    channel_progress(channel, progress);
}

static void add_accuracy(cJSON *data, const char *key, const struct train_event *event,
                         const struct train_accuracy *accuracy) {
    if (event->has_accuracy)
        cJSON_AddNumberToObject(data, key, accuracy->top1);
    else
        cJSON_AddNullToObject(data, key);
}

static void send_checkpoint(struct channel *channel, const struct train_event *event) {
    cJSON *data = cJSON_CreateObject();
    char path[96];
    snprintf(path, sizeof path, "checkpoints/%s", event->name);
    cJSON_AddStringToObject(data, "path", path);
    cJSON_AddNumberToObject(data, "step", (double)event->step);
    cJSON_AddNumberToObject(data, "epoch", event->metrics.epoch);
    cJSON_AddNumberToObject(data, "images", (double)event->images);
    cJSON_AddNumberToObject(data, "bytes", (double)event->summary.bytes);
    cJSON_AddStringToObject(data, "hash", event->summary.id);
    add_accuracy(data, "top1_largest", event, &event->metrics.largest);
    add_accuracy(data, "top1_smallest", event, &event->metrics.smallest);
    channel_event(channel, "checkpoint", data);
}

static void send_recovery(struct channel *channel, const struct train_event *event) {
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "step", (double)event->step);
    cJSON_AddNumberToObject(data, "back_to_step", (double)event->back_to_step);
    cJSON_AddStringToObject(data, "reason", event->reason);
    channel_event(channel, "recovered", data);
}

static void on_event(void *context, const struct train_event *event) {
    struct channel *channel = context;
    char text[640];
    switch (event->kind) {
    case TRAIN_MEASURING:
        send_measuring(channel);
        break;
    case TRAIN_STARTED:
        if (event->reason[0])
            log_warn("passed over: %s", event->reason);
        snprintf(text, sizeof text, "%s at step %llu", event->step ? "goes on" : "begins",
                 (unsigned long long)event->step);
        channel_progress(channel, make_progress(event, text));
        break;
    case TRAIN_PROGRESS:
        if (event->step == event->metrics.phase_step)
            send_phase(channel, &event->metrics);
        send_progress(channel, event);
        break;
    case TRAIN_POINT:
        send_point(channel, &event->metrics);
        break;
    case TRAIN_SAVING:
        channel_flush(channel);
        break;
    case TRAIN_METRICS:
        send_metrics(channel, &event->metrics);
        break;
    case TRAIN_CHECKPOINT:
        send_checkpoint(channel, event);
        break;
    case TRAIN_CHECKPOINT_FAILED:
        log_error("no checkpoint at step %llu, training goes on: %s",
                  (unsigned long long)event->step, event->reason);
        snprintf(text, sizeof text, "no checkpoint: %s", event->reason);
        channel_progress(channel, make_progress(event, text));
        break;
    case TRAIN_RECOVERED:
        log_warn("back to step %llu: %s", (unsigned long long)event->back_to_step, event->reason);
        send_recovery(channel, event);
        break;
    }
}

static bool at_boundary(void *context) {
    return channel_boundary(context);
}

static bool is_stopping(void *context) {
    return channel_stopping(context);
}

static cJSON *describe(const struct train_result *result) {
    cJSON *data = cJSON_CreateObject();
    char path[96];
    snprintf(path, sizeof path, "checkpoints/%s", result->checkpoint);
    cJSON_AddNumberToObject(data, "steps", (double)result->steps);
    cJSON_AddNumberToObject(data, "epochs", result->epochs);
    cJSON_AddNumberToObject(data, "images", (double)result->images);
    cJSON_AddNumberToObject(data, "seconds", result->seconds);
    cJSON_AddNumberToObject(data, "top1_largest", result->top1_largest);
    cJSON_AddNumberToObject(data, "top1_smallest", result->top1_smallest);
    cJSON_AddStringToObject(data, "checkpoint", path);
    return data;
}

/* Before anything is worked out. */
static int check_memory(const struct job *job, const struct train_options *options,
                        struct err *err) {
    char work[128];
    int batch = options->config->batch, recalibrated = train_memory_by_recalibration(options);
    struct memory_need need = {.dataset = options->dataset,
                               .work = work,
                               .pointer = "/train/batch",
                               .advice = "choose a smaller batch"};
    int rc = train_memory_estimate(options, err, &need.buffers);
    if (rc != 0)
        return rc;
    snprintf(work, sizeof work, "training with batches of %d images", batch);
    if (recalibrated > 0) {
        need.pointer = "/train/recalibration_images";
        need.advice = "choose fewer recalibration_images";
        snprintf(work, sizeof work,
                 "recalibrating BN for the curves with batches of %d images, which takes more than "
                 "training with batches of %d,",
                 recalibrated, batch);
    }
    return memory_check(job, &need, err);
}

static int train(struct job *job, const struct train_options *options, struct err *err,
                 cJSON **ret_result) {
    struct train_result result;
    int rc = check_memory(job, options, err);
    if (rc == 0)
        rc = train_run(options, err, &result);
    if (rc == 0)
        *ret_result = describe(&result);
    return rc;
}

/* Two trainings of one supernet would prune each other's checkpoints. */
static int lock_checkpoints(const char *dir, struct err *err, int *ret_lock) {
    char path[SPEC_PATH_MAX + 32];
    int rc = file_make_dirs(dir, err);
    snprintf(path, sizeof path, "%s/train.lock", dir);
    return rc == 0 ? file_lock(path, err, ret_lock) : rc;
}

/* What a new supernet begins with; *ret_has false: fresh weights. */
struct start {
    char dir[SPEC_PATH_MAX + 16];
    struct train_init init;
};
static int parse_init(const cJSON *spec, struct err *err, struct start *start, bool *ret_has) {
    const cJSON *object = NULL;
    const char *dir = NULL;
    int rc;
    if (!(*ret_has = json_has(spec, "init_from")))
        return 0;
    if ((rc = json_object(spec, "", "init_from", err, &object)) != 0 ||
        (rc = json_only(object, "/init_from", init_fields, err)) != 0 ||
        (rc = json_string_opt(object, "/init_from", "checkpoint", 1, SPEC_PATH_MAX - 1, err,
                              &start->init.path)) != 0 ||
        (rc = json_string_opt(object, "/init_from", "supernet_dir", 1, SPEC_PATH_MAX - 1, err,
                              &dir)) != 0)
        return rc;
    if (!dir && !start->init.path)
        return err_set(err, ESP_EINVAL, "/init_from",
                       "a supernet_dir or the path of a checkpoint must be given");
    snprintf(start->dir, sizeof start->dir, "%s/checkpoints", dir ? dir : "");
    start->init.dir = start->dir;
    return 0;
}

static int run(struct job *job, struct err *err, cJSON **ret_result) {
    struct train_hooks hooks = {job->channel, on_event, at_boundary, is_stopping};
    struct train_config config;
    struct dataset *dataset = NULL;
    struct space *space = NULL;
    const cJSON *settings = NULL;
    char dir[SPEC_PATH_MAX + 16];
    struct start start = {.dir = ""};
    bool has_start = false;
    int lock = -1, rc;
    if ((rc = json_only(job->spec, "", fields, err)) != 0 ||
        (rc = parse_init(job->spec, err, &start, &has_start)) != 0 ||
        (rc = json_object(job->spec, "", "train", err, &settings)) != 0 ||
        (rc = train_config_parse(settings, "/train", err, &config)) != 0 ||
        (rc = spec_checkpoint_dir(job->spec, err, dir)) != 0 ||
        (rc = spec_space(job->spec, "space", err, &space)) != 0 ||
        (rc = lock_checkpoints(dir, err, &lock)) != 0 ||
        (rc = spec_dataset(job, err, &dataset)) != 0 ||
        (rc = spec_check_size(dataset, space, err)) != 0)
        goto out;
    struct train_options options = {.space = space,
                                    .dataset = dataset,
                                    .config = &config,
                                    .checkpoint_dir = dir,
                                    .init = has_start ? &start.init : NULL,
                                    .pool = job->pool,
                                    .hooks = &hooks};
    rc = train(job, &options, err, ret_result);
out:
    dataset_close(dataset);
    space_destroy(space);
    if (lock >= 0)
        close(lock);
    return rc;
}

extern const struct job_phase phase_train;
const struct job_phase phase_train = {
    .kind = "train", .help = "train a supernet, or go on", .run = run};
