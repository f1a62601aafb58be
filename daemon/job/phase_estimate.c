/* Three ways to find out how accurate a network is, side by side: by the weights that it inherits
 * from the supernet, trained from scratch, and fine-tuned from inherited weights. How well do the
 * cheap ways rank what the dear one would? A search stands on the first being good enough.
 *
 * All networks are scored on all validation images. What is finished is kept in the job's folder, a
 * training that was interrupted goes on from its checkpoint. */
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stats.h"
#include "daemon/job/accuracy.h"
#include "daemon/job/kept_spec.h"
#include "daemon/job/memory_check.h"
#include "daemon/job/progress.h"
#include "daemon/job/spec.h"
#include "space/cost.h"
#include "supernet/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NETWORKS_MAX = 100, NETWORKS_MIN = 2, DONE_BYTES = 1 << 20 };

#define INTERVAL_LEVEL 0.9 /* of taus */

enum way { WAY_INHERITED, WAY_SCRATCH, WAY_FINE_TUNED, WAYS };
static const char *const way_names[] = {"inherited", "scratch", "fine_tuned"};

static const char *const fields[] = {
    "supernet_id", "supernet_dir", "checkpoint", "checkpoint_hash", "space",
    "dataset",     "archs",        "scratch",    "fine_tune",       NULL};
static const char done_name[] = "estimates.json";

struct estimate {
    struct arch arch;
    char text[ARCH_TEXT_MAX], id[HASH_TEXT];
    bool known[WAYS];
    double top1[WAYS];
};

struct work {
    struct job job; /* with the kept spec */
    const struct space *space;
    struct train_config config[WAYS]; /* of the ways that train */
    struct estimate *networks;
    int n, finished, total;             /* estimates, of WAYS to a network */
    double images[WAYS], seconds[WAYS]; /* spent: images trained on; wall time of the job */
    char checkpoint[HASH_TEXT_LONG], revision[HASH_TEXT_LONG];
    enum way way; /* under way */
    int network;
    struct progress progress;
};

/* --- what is finished, from attempt to attempt --- */

static void done_path(const struct work *work, char path[SPEC_PATH_MAX + 64]) {
    snprintf(path, SPEC_PATH_MAX + 64, "%s/%s", work->job.dir, done_name);
}

/* {"top1": {way: [number or null, …]}, "images": {way: n}, "seconds": {way: s}} */
static int save(const struct work *work, struct err *err) {
    char path[SPEC_PATH_MAX + 64];
    cJSON *doc = cJSON_CreateObject(), *top1 = cJSON_AddObjectToObject(doc, "top1");
    cJSON *images = cJSON_AddObjectToObject(doc, "images");
    cJSON *seconds = cJSON_AddObjectToObject(doc, "seconds");
    for (int w = 0; w < WAYS; w++) {
        cJSON *row = cJSON_AddArrayToObject(top1, way_names[w]);
        for (int i = 0; i < work->n; i++)
            cJSON_AddItemToArray(row, work->networks[i].known[w]
                                          ? cJSON_CreateNumber(work->networks[i].top1[w])
                                          : cJSON_CreateNull());
        cJSON_AddNumberToObject(images, way_names[w], work->images[w]);
        cJSON_AddNumberToObject(seconds, way_names[w], work->seconds[w]);
    }
    char *text = json_print(doc);
    int rc = text ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for the estimates");
    done_path(work, path);
    if (rc == 0 && work->job.dir)
        rc = file_write_atomic(path, text, strlen(text), err);
    free(text);
    cJSON_Delete(doc);
    return rc;
}

static double number_at(const cJSON *doc, const char *member, enum way way) {
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(doc, member);
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, way_names[way]);
    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static void take(struct work *work, const cJSON *doc) {
    const cJSON *top1 = cJSON_GetObjectItemCaseSensitive(doc, "top1");
    for (int w = 0; w < WAYS; w++) {
        const cJSON *row = cJSON_GetObjectItemCaseSensitive(top1, way_names[w]), *value;
        int i = 0;
        cJSON_ArrayForEach(value, row) {
            if (i < work->n && cJSON_IsNumber(value)) {
                work->networks[i].known[w] = true;
                work->networks[i].top1[w] = value->valuedouble;
                work->finished++;
            }
            i++;
        }
        work->images[w] = number_at(doc, "images", (enum way)w);
        work->seconds[w] = number_at(doc, "seconds", (enum way)w);
    }
}

static int load(struct work *work, struct err *err) {
    static const struct json_limits limits = {DONE_BYTES, 8, 10000};
    char path[SPEC_PATH_MAX + 64], *text = NULL;
    cJSON *doc = NULL;
    size_t len = 0;
    done_path(work, path);
    if (!work->job.dir || !file_exists(path))
        return 0;
    int rc = file_read(path, DONE_BYTES, err, &text, &len);
    if (rc == 0)
        rc = json_parse(text, len, &limits, err, &doc);
    if (rc == 0)
        take(work, doc);
    free(text);
    cJSON_Delete(doc);
    return rc;
}

/* --- progress --- */

/* What a way is expected to take of a network, by what training from scratch does; a score is next
 * to nothing. */
static double way_cost(const struct work *work, enum way way) {
    const struct train_config *scratch = &work->config[WAY_SCRATCH], *config = &work->config[way];
    if (way == WAY_INHERITED)
        return 0.02;
    if (scratch->epochs > 0 && config->epochs > 0)
        return config->epochs / scratch->epochs;
    if (scratch->time_budget_s > 0 && config->time_budget_s > 0)
        return config->time_budget_s / scratch->time_budget_s;
    return 1;
}

/* Of the whole job, when so much of what is under way is done. */
static double share_done(const struct work *work, double share) {
    double done = share * way_cost(work, work->way), all = 0;
    for (int w = 0; w < WAYS; w++) {
        double cost = way_cost(work, (enum way)w);
        all += work->n * cost;
        for (int i = 0; i < work->n; i++)
            done += work->networks[i].known[w] ? cost : 0;
    }
    return done / all;
}

static void send_progress(struct work *work, double share, const struct train_event *event) {
    struct progress_point point = {work->finished, work->total, "estimates",
                                   share_done(work, share), false};
    char message[96];
    snprintf(message, sizeof message, "network %d of %d", work->network + 1, work->n);
    work->progress.phase = way_names[work->way];
    cJSON *progress = progress_describe(&work->progress, &point);
    cJSON_AddStringToObject(progress, "message", message);
    if (event && event->metrics.images_per_s > 0)
        cJSON_AddNumberToObject(progress, "images_per_s", event->metrics.images_per_s);
    channel_progress(work->job.channel, progress);
}

static void on_event(void *context, const struct train_event *event) {
    struct work *work = context;
    if (event->kind == TRAIN_PROGRESS && event->steps > 0)
        send_progress(work, (double)event->step / (double)event->steps, event);
    else if (event->kind == TRAIN_RECOVERED)
        log_warn("back to step %llu: %s", (unsigned long long)event->back_to_step, event->reason);
    else if (event->kind == TRAIN_CHECKPOINT_FAILED)
        log_error("no checkpoint, training goes on: %s", event->reason);
}

static bool at_boundary(void *context) {
    const struct work *work = context;
    return channel_boundary(work->job.channel);
}

static bool is_stopping(void *context) {
    const struct work *work = context;
    return channel_stopping(work->job.channel);
}

static int finish_one(struct work *work, double top1, struct err *err) {
    struct estimate *estimate = &work->networks[work->network];
    estimate->top1[work->way] = top1;
    estimate->known[work->way] = true;
    work->finished++;
    send_progress(work, 0, NULL);
    return save(work, err);
}

/* --- inherited weights --- */

static int score_all(struct work *work, struct accuracy *accuracy, struct err *err) {
    int64_t start_ns = clock_mono_ns();
    int rc = 0;
    work->way = WAY_INHERITED;
    for (work->network = 0; rc == 0 && work->network < work->n; work->network++) {
        struct score_request request = {.arch = &work->networks[work->network].arch,
                                        .split = SPLIT_VALIDATION,
                                        .recalibrate = true};
        struct score score;
        if (work->networks[work->network].known[WAY_INHERITED])
            continue;
        if (channel_boundary(work->job.channel))
            return err_set(err, ESP_ECANCELED, NULL, "the estimation was stopped");
        rc = accuracy_score(accuracy, &request, err, &score);
        int64_t now_ns = clock_mono_ns();
        work->seconds[WAY_INHERITED] += (double)(now_ns - start_ns) / 1e9;
        start_ns = now_ns;
        if (rc == 0)
            rc = finish_one(work, score.top1, err);
    }
    return rc;
}

/* Closed before anything is trained: two engines would take twice the memory. */
static int by_inheritance(struct work *work, struct err *err) {
    struct accuracy accuracy = {0};
    int rc = accuracy_open(&accuracy, &work->job, err);
    if (rc == 0) {
        snprintf(work->checkpoint, sizeof work->checkpoint, "%s", accuracy.checkpoint->summary.id);
        snprintf(work->revision, sizeof work->revision, "%s", accuracy.dataset->revision);
        rc = score_all(work, &accuracy, err);
    }
    accuracy_finish(&accuracy);
    return rc;
}

/* --- trained --- */

static int train_one(struct work *work, const struct dataset *dataset,
                     const struct train_init *init, struct err *err) {
    struct train_hooks hooks = {work, on_event, at_boundary, is_stopping};
    const struct estimate *estimate = &work->networks[work->network];
    struct train_config *config = &work->config[work->way];
    char dir[SPEC_PATH_MAX + 96];
    struct train_result result;
    snprintf(dir, sizeof dir, "%s/%s_%s", work->job.dir, way_names[work->way], estimate->id);
    memcpy(config->arch, estimate->text, sizeof config->arch);
    struct train_options options = {.space = work->space,
                                    .dataset = dataset,
                                    .config = config,
                                    .checkpoint_dir = dir,
                                    .init = work->way == WAY_FINE_TUNED ? init : NULL,
                                    .pool = work->job.pool,
                                    .hooks = &hooks};
    struct memory_need need = {.dataset = dataset,
                               .work = "training",
                               .pointer =
                                   work->way == WAY_SCRATCH ? "/scratch/batch" : "/fine_tune/batch",
                               .advice = "choose a smaller batch"};
    int rc = train_memory_estimate(&options, err, &need.buffers);
    if (rc == 0)
        rc = memory_check(&work->job, &need, err);
    if (rc == 0)
        rc = file_make_dirs(dir, err);
    if (rc == 0)
        rc = train_run(&options, err, &result);
    if (rc != 0)
        return rc;
    work->images[work->way] += (double)result.images;
    work->seconds[work->way] += result.seconds;
    rc = finish_one(work, result.top1_largest, err);
    return rc != 0 ? rc : file_remove_tree(dir, err);
}

/* Network by network, so that an estimation that is stopped has compared whole networks. */
static int by_training(struct work *work, struct err *err) {
    struct train_init init = {
        .path = cJSON_GetStringValue(cJSON_GetObjectItem(work->job.spec, "checkpoint"))};
    struct dataset *dataset = NULL;
    int rc = spec_dataset(&work->job, err, &dataset);
    if (rc == 0)
        rc = spec_check_size(dataset, work->space, err);
    for (int i = 0; rc == 0 && i < work->n * (WAYS - 1); i++) {
        work->network = i / (WAYS - 1);
        work->way = (enum way)(WAY_SCRATCH + i % (WAYS - 1));
        if (!work->networks[work->network].known[work->way])
            rc = train_one(work, dataset, &init, err);
    }
    dataset_close(dataset);
    return rc;
}

/* --- what came of it --- */

static double tau(const struct work *work, enum way a, enum way b) {
    double x[NETWORKS_MAX], y[NETWORKS_MAX];
    for (int i = 0; i < work->n; i++) {
        x[i] = work->networks[i].top1[a];
        y[i] = work->networks[i].top1[b];
    }
    return stats_kendall_tau(x, y, (size_t)work->n);
}

static cJSON *describe_network(const struct work *work, const struct estimate *estimate) {
    cJSON *row = cJSON_CreateObject();
    struct cost cost;
    cJSON_AddStringToObject(row, "arch", estimate->text);
    cJSON_AddStringToObject(row, "arch_id", estimate->id);
    if (arch_cost(work->space, &estimate->arch, NULL, &cost) == 0)
        cJSON_AddNumberToObject(row, "macs", (double)cost.macs);
    for (int w = 0; w < WAYS; w++)
        cJSON_AddNumberToObject(row, way_names[w], estimate->top1[w]);
    return row;
}

/* Each tau, and how far off those few networks may have it. */
static void describe_taus(const struct work *work, cJSON *result) {
    static const struct {
        const char *key;
        enum way a, b;
    } rows[] = {{"inherited_scratch", WAY_INHERITED, WAY_SCRATCH},
                {"inherited_fine_tuned", WAY_INHERITED, WAY_FINE_TUNED},
                {"fine_tuned_scratch", WAY_FINE_TUNED, WAY_SCRATCH}};
    cJSON *taus = cJSON_AddObjectToObject(result, "kendall_tau");
    cJSON *intervals = cJSON_AddObjectToObject(result, "kendall_tau_interval");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double value = tau(work, rows[i].a, rows[i].b), ends[2];
        stats_kendall_interval(value, (size_t)work->n, INTERVAL_LEVEL, &ends[0], &ends[1]);
        cJSON_AddNumberToObject(taus, rows[i].key, value);
        cJSON_AddItemToObject(intervals, rows[i].key, cJSON_CreateDoubleArray(ends, 2));
    }
}

static cJSON *describe(const struct work *work) {
    cJSON *result = cJSON_CreateObject();
    cJSON_AddNumberToObject(result, "n", work->n);
    cJSON_AddStringToObject(result, "checkpoint", work->checkpoint);
    cJSON_AddStringToObject(result, "dataset_revision", work->revision);
    describe_taus(work, result);
    cJSON *spent = cJSON_AddObjectToObject(result, "spent");
    for (int w = 0; w < WAYS; w++) {
        cJSON *way = cJSON_AddObjectToObject(spent, way_names[w]);
        cJSON_AddNumberToObject(way, "images", work->images[w]);
        cJSON_AddNumberToObject(way, "seconds", work->seconds[w]);
    }
    cJSON *networks = cJSON_AddArrayToObject(result, "networks");
    for (int i = 0; i < work->n; i++)
        cJSON_AddItemToArray(networks, describe_network(work, &work->networks[i]));
    return result;
}

/* --- the spec --- */

/* The networks' accuracies must be of the same images. */
static int read_config(const cJSON *spec, const char *member, struct err *err,
                       struct train_config *config) {
    const cJSON *object = NULL;
    char pointer[32];
    snprintf(pointer, sizeof pointer, "/%s", member);
    int rc = json_object(spec, "", member, err, &object);
    if (rc == 0)
        rc = train_config_parse(object, pointer, err, config);
    if (rc == 0) {
        config->regime = REGIME_SINGLE;
        config->validation_images = 0;
    }
    return rc;
}

static int read_networks(struct work *work, const cJSON *archs, struct err *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, archs) {
        struct estimate *estimate = &work->networks[work->n];
        const char *text = cJSON_IsString(item) ? item->valuestring : "";
        int rc = arch_parse(work->space, text, strlen(text), err, &estimate->arch);
        if (rc != 0) {
            if (err)
                snprintf(err->pointer, sizeof err->pointer, "/archs/%d", work->n);
            return rc;
        }
        arch_format(work->space, &estimate->arch, estimate->text);
        arch_id(work->space, &estimate->arch, estimate->id);
        work->n++;
    }
    work->total = work->n * WAYS;
    return 0;
}

static int read_spec(struct work *work, struct space **ret_space, struct err *err) {
    const cJSON *archs = NULL, *spec = work->job.spec;
    int rc;
    if (!work->job.dir)
        return err_set(err, ESP_EINVAL, NULL, "an estimation needs a folder of its own");
    if ((rc = json_only(spec, "", fields, err)) != 0 ||
        (rc = json_array(spec, "", "archs", NETWORKS_MIN, NETWORKS_MAX, err, &archs)) != 0 ||
        (rc = read_config(spec, "scratch", err, &work->config[WAY_SCRATCH])) != 0 ||
        (rc = read_config(spec, "fine_tune", err, &work->config[WAY_FINE_TUNED])) != 0 ||
        (rc = spec_space(spec, "space", err, ret_space)) != 0)
        return rc;
    work->space = *ret_space;
    work->networks = calloc(NETWORKS_MAX, sizeof *work->networks);
    return work->networks ? read_networks(work, archs, err)
                          : err_set(err, ESP_ENOMEM, NULL, "no memory for the networks");
}

static int run(struct job *job, struct err *err, cJSON **ret_result) {
    struct work work = {.job = *job};
    struct space *space = NULL;
    cJSON *spec = NULL;
    int rc = kept_spec(job, err, &spec);
    work.job.spec = spec;
    if (rc == 0)
        rc = read_spec(&work, &space, err);
    if (rc == 0)
        rc = load(&work, err);
    progress_init(&work.progress, job->channel, way_names[WAY_INHERITED]);
    if (rc == 0) /* what earlier attempts did */
        progress_pass_over(&work.progress, share_done(&work, 0));
    if (rc == 0)
        rc = by_inheritance(&work, err);
    if (rc == 0)
        rc = by_training(&work, err);
    if (rc == 0)
        *ret_result = describe(&work);
    free(work.networks);
    space_destroy(space);
    cJSON_Delete(spec);
    return rc;
}

extern const struct job_phase phase_estimate;
const struct job_phase phase_estimate = {
    .kind = "estimate",
    .help = "compare inherited, fine-tuned and independently trained subnets",
    .run = run};
