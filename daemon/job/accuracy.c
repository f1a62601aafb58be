#include "daemon/job/accuracy.h"

#include "base/json.h"
#include "base/log.h"
#include "daemon/job/memory_check.h"
#include "daemon/job/spec.h"
#include "supernet/checkpoint_store.h"
#include "supernet/train_state.h"
#include <stdio.h>
#include <string.h>

enum { CACHE_MAX = 100000 };
#define STORE_BYTES ((int64_t)256 << 20)

/* Other weights than those that were asked for are worse than none: damage is passed over only
 * where a training resumes. */
static int open_newest(const char *dir, struct err *err, struct checkpoint **ret_checkpoint) {
    struct checkpoint *checkpoint = NULL;
    struct err skipped = {0};
    int rc = checkpoint_store_newest(dir, err, &skipped, &checkpoint);
    if (rc == 0 && skipped.code != 0) {
        checkpoint_close(checkpoint);
        return err_set(err, skipped.code, skipped.pointer, "%s", skipped.message);
    }
    if (rc == 0)
        *ret_checkpoint = checkpoint;
    return rc;
}

static int open_named(const char *path, const char *hash, struct err *err,
                      struct checkpoint **ret_checkpoint) {
    struct checkpoint *checkpoint = NULL;
    int rc = checkpoint_open(path, err, &checkpoint);
    if (rc == 0)
        rc = checkpoint_verify(checkpoint, err);
    if (rc == 0 && hash && strcmp(checkpoint->summary.id, hash) != 0)
        rc = err_set(err, ESP_ECORRUPT, "/checkpoint",
                     "%s is another checkpoint than was stored there: its hash is %s, not %s", path,
                     checkpoint->summary.id, hash);
    if (rc == 0)
        *ret_checkpoint = checkpoint;
    else
        checkpoint_close(checkpoint);
    return rc;
}

int accuracy_find_checkpoint(const cJSON *spec, struct err *err,
                             struct checkpoint **ret_checkpoint) {
    char dir[SPEC_PATH_MAX + 16], path[2 * SPEC_PATH_MAX];
    const char *supernet_dir = NULL, *name = NULL, *hash = NULL;
    int rc;
    if ((rc = json_string(spec, "", "supernet_dir", 1, SPEC_PATH_MAX - 1, err, &supernet_dir)) !=
            0 ||
        (rc = spec_checkpoint_dir(spec, err, dir)) != 0 ||
        (rc = json_string_opt(spec, "", "checkpoint", 1, SPEC_PATH_MAX - 1, err, &name)) != 0 ||
        (rc = json_string_opt(spec, "", "checkpoint_hash", 1, 128, err, &hash)) != 0)
        return rc;
    if (!name)
        return open_newest(dir, err, ret_checkpoint);
    snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? "" : supernet_dir,
             name[0] == '/' ? "" : "/", name);
    return open_named(path, hash, err, ret_checkpoint);
}

/* Recalibration sees images as the training did. An imported supernet notes no training. */
static struct recalibration choose_recalibration(const struct checkpoint *checkpoint) {
    struct recalibration recalibration = recalibration_default;
    struct train_config config;
    struct train_plan plan;
    struct train_state state;
    if (train_state_parse(checkpoint->training, NULL, &config, &plan, &state) == 0) {
        recalibration.augment = config.augment;
        recalibration.augment.pad = plan.pad;
    }
    return recalibration;
}

static int open_store(struct accuracy *accuracy, const cJSON *spec, struct err *err) {
    char dir[SPEC_PATH_MAX + 32];
    const char *supernet_dir = NULL;
    int rc = json_string(spec, "", "supernet_dir", 1, SPEC_PATH_MAX - 1, err, &supernet_dir);
    if (rc != 0)
        return rc;
    snprintf(dir, sizeof dir, "%s/evaluations", supernet_dir);
    return evaluation_store_open(dir, STORE_BYTES, err, &accuracy->store);
}

static bool is_stopping(void *context) {
    return channel_stopping(context);
}

/* Before the weights are read, and with the data set's images. */
static int check_memory(const struct accuracy *accuracy, const struct job *job, bool recalibrate,
                        struct err *err) {
    const struct space *space = accuracy->checkpoint->space;
    char work[96] = "running subnets";
    struct memory_need need = {.dataset = accuracy->dataset, .work = work};
    int rc =
        evaluation_memory_estimate(space, &recalibration_default, job->threads, err, &need.buffers);
    if (rc != 0)
        return rc;
    need.buffers += (int64_t)supernet_memory_estimate(space, 0);
    if (recalibrate) {
        need.buffers += evaluation_engine_estimate(space, &recalibration_default, job->threads);
        snprintf(work, sizeof work,
                 "recalibrating BN with batches of %d images and running subnets",
                 recalibration_default.batch);
    }
    return memory_check(job, &need, err);
}

static int open_weights(struct accuracy *accuracy, const struct job *job, bool recalibrate,
                        struct err *err) {
    int rc = accuracy_find_checkpoint(job->spec, err, &accuracy->checkpoint);
    if (rc == 0)
        rc = check_memory(accuracy, job, recalibrate, err);
    return rc != 0 ? rc : checkpoint_load(accuracy->checkpoint, err, &accuracy->supernet);
}

int accuracy_open_weights(struct accuracy *accuracy, const struct job *job, struct err *err) {
    return open_weights(accuracy, job, false, err);
}

int accuracy_open(struct accuracy *accuracy, const struct job *job, struct err *err) {
    bool recalibrate = !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(job->spec, "recalibrate"));
    int rc = open_weights(accuracy, job, recalibrate, err);
    if (rc == 0)
        rc = spec_dataset(job, err, &accuracy->dataset);
    if (rc == 0)
        rc = check_memory(accuracy, job, recalibrate, err);
    if (rc == 0)
        rc = spec_check_size(accuracy->dataset, accuracy->supernet->space, err);
    if (rc == 0)
        rc = open_store(accuracy, job->spec, err);
    if (rc != 0)
        return rc;
    accuracy->options =
        (struct evaluation_options){.supernet = accuracy->supernet,
                                    .dataset = accuracy->dataset,
                                    .pool = job->pool,
                                    .recalibration = choose_recalibration(accuracy->checkpoint),
                                    .store = accuracy->store,
                                    .checkpoint = accuracy->checkpoint->summary.id,
                                    .stop = is_stopping,
                                    .stop_context = job->channel};
    rc = evaluation_create(&accuracy->options, err, &accuracy->evaluation);
    if (rc == 0 && (rc = evaluation_cache_create(CACHE_MAX, &accuracy->cache)) != 0)
        err_set(err, rc, NULL, "no memory for the cache of scores");
    return rc;
}

static void tell_use(const struct accuracy *accuracy) {
    if (!accuracy->evaluation)
        return;
    const struct err *failure = evaluation_store_failure(accuracy->store);
    int64_t recalibrations = evaluation_recalibrations(accuracy->evaluation);
    if (accuracy->evaluated + accuracy->reused + recalibrations > 0)
        log_info("scores: %lld evaluated, %lld known before; BN statistics recalibrated %lld times",
                 (long long)accuracy->evaluated, (long long)accuracy->reused,
                 (long long)recalibrations);
    if (failure->code != 0)
        log_warn("evaluations are not kept for later jobs: %s", failure->message);
}

void accuracy_finish(struct accuracy *accuracy) {
    tell_use(accuracy);
    evaluation_cache_destroy(accuracy->cache);
    evaluation_destroy(accuracy->evaluation);
    evaluation_store_close(accuracy->store);
    dataset_close(accuracy->dataset);
    supernet_destroy(accuracy->supernet);
    checkpoint_close(accuracy->checkpoint);
    *accuracy = (struct accuracy){0};
}

void accuracy_add_counts(const struct accuracy *accuracy, cJSON *progress) {
    cJSON_AddNumberToObject(progress, "evaluated", (double)accuracy->evaluated);
    cJSON_AddNumberToObject(progress, "reused", (double)accuracy->reused);
}

/* In memory, else on disk. */
static bool find_score(struct accuracy *accuracy, const struct evaluation_key *key,
                       struct score *ret_score) {
    if (evaluation_cache_find(accuracy->cache, key, ret_score))
        return true;
    if (!evaluation_store_score(accuracy->store, key, ret_score))
        return false;
    (void)evaluation_cache_put(accuracy->cache, key, ret_score);
    return true;
}

int accuracy_score(struct accuracy *accuracy, const struct score_request *request, struct err *err,
                   struct score *ret_score) {
    struct evaluation_key key;
    struct score score;
    evaluation_key_make(accuracy->checkpoint->summary.id, &accuracy->options, request, &key);
    if (find_score(accuracy, &key, ret_score)) {
        accuracy->reused++;
        return 0;
    }
    int rc = evaluation_score(accuracy->evaluation, request, err, &score);
    if (rc != 0)
        return rc;
    accuracy->evaluated++;
    evaluation_store_put_score(accuracy->store, &key, &score);
    /* Without memory for the cache the score is as good. */
    (void)evaluation_cache_put(accuracy->cache, &key, &score);
    *ret_score = score;
    return 0;
}
