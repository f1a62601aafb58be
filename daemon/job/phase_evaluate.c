/* Scores subnets of a trained supernet. */
#include "base/json.h"
#include "daemon/job/accuracy.h"
#include "daemon/job/progress.h"

#include <stdio.h>
#include <string.h>

enum { ARCHS_MAX = 100000, REPORT_RANDOM = 3 };

static const char *const fields[] = {
    "supernet_id", "supernet_dir", "checkpoint", "checkpoint_hash", "dataset",
    "split",       "archs",        "report",     "recalibrate",     NULL};

struct work {
    struct job *job;
    struct accuracy accuracy;
    enum dataset_split split;
    bool recalibrate; /* false: by the supernet's running statistics */
    int done, total;
    struct progress progress;
    int64_t scored; /* not known before, when progress was told last */
};

/* 0: by running statistics */
static int recalibration_images(const struct work *work) {
    return work->recalibrate ? work->accuracy.options.recalibration.images : 0;
}

static cJSON *describe(const struct work *work, const struct arch *arch, const struct score *score,
                       const struct score *raw) {
    const struct space *space = work->accuracy.supernet->space;
    char text[ARCH_TEXT_MAX], id[HASH_TEXT];
    cJSON *data = cJSON_CreateObject();
    arch_format(space, arch, text);
    arch_id(space, arch, id);
    cJSON_AddStringToObject(data, "arch", text);
    cJSON_AddStringToObject(data, "arch_id", id);
    cJSON_AddStringToObject(data, "checkpoint", work->accuracy.checkpoint->summary.id);
    cJSON_AddStringToObject(data, "dataset_revision", work->accuracy.dataset->revision);
    cJSON_AddStringToObject(data, "split", dataset_split_names[work->split]);
    cJSON_AddNumberToObject(data, "recalibration_images", recalibration_images(work));
    cJSON_AddNumberToObject(data, "top1", score->top1);
    if (raw)
        cJSON_AddNumberToObject(data, "top1_raw", raw->top1);
    else
        cJSON_AddNullToObject(data, "top1_raw");
    cJSON_AddNumberToObject(data, "loss", score->loss);
    cJSON_AddNumberToObject(data, "images", (double)score->images);
    return data;
}

static void send_progress(struct work *work) {
    struct progress_point point = {work->done, work->total, "subnets", NAN,
                                   work->accuracy.evaluated == work->scored};
    work->scored = work->accuracy.evaluated;
    cJSON *progress = progress_describe(&work->progress, &point);
    accuracy_add_counts(&work->accuracy, progress);
    channel_progress(work->job->channel, progress);
}

static int evaluate(struct work *work, const struct arch *arch, bool with_raw, struct err *err) {
    struct score score, raw;
    struct score_request request = {
        .arch = arch, .split = work->split, .recalibrate = work->recalibrate};
    if (channel_boundary(work->job->channel))
        return err_set(err, ESP_ECANCELED, NULL, "evaluation was stopped");
    int rc = accuracy_score(&work->accuracy, &request, err, &score);
    request.recalibrate = false;
    if (rc == 0 && with_raw)
        rc = accuracy_score(&work->accuracy, &request, err, &raw);
    if (rc != 0)
        return rc;
    if (!work->recalibrate)
        raw = score;
    channel_event(work->job->channel, "evaluation",
                  describe(work, arch, &score, with_raw || !work->recalibrate ? &raw : NULL));
    work->done++;
    send_progress(work);
    return 0;
}

/* Largest, smallest and some random subnets, with and without recalibration. */
static int report(struct work *work, struct err *err) {
    const struct space *space = work->accuracy.supernet->space;
    struct arch arch;
    arch_max(space, &arch);
    int rc = evaluate(work, &arch, true, err);
    arch_min(space, &arch);
    if (rc == 0)
        rc = evaluate(work, &arch, true, err);
    for (uint32_t i = 0; rc == 0 && i < REPORT_RANDOM; i++) {
        struct rng rng = rng_make(1, RNG_SAMPLE, 1, i);
        arch_random(space, &rng, &arch);
        rc = evaluate(work, &arch, true, err);
    }
    return rc;
}

static int read_arch(const struct space *space, const cJSON *item, int i, struct err *err,
                     struct arch *ret_arch) {
    int rc = cJSON_IsString(item)
                 ? arch_parse(space, item->valuestring, strlen(item->valuestring), err, ret_arch)
                 : err_set(err, ESP_EINVAL, NULL, "an arch is a text");
    if (rc != 0)
        snprintf(err->pointer, sizeof err->pointer, "/archs/%d", i);
    return rc;
}

/* All are read before the first is scored. */
static int check_listed(const struct work *work, const cJSON *archs, struct err *err) {
    const cJSON *item;
    struct arch arch;
    int i = 0, rc = 0;
    cJSON_ArrayForEach(item, archs) {
        if ((rc = read_arch(work->accuracy.supernet->space, item, i++, err, &arch)) != 0)
            break;
    }
    return rc;
}

static int evaluate_listed(struct work *work, const cJSON *archs, struct err *err) {
    const cJSON *item;
    struct arch arch;
    int i = 0, rc = 0;
    cJSON_ArrayForEach(item, archs) {
        rc = read_arch(work->accuracy.supernet->space, item, i++, err, &arch);
        if (rc == 0)
            rc = evaluate(work, &arch, false, err);
        if (rc != 0)
            break;
    }
    return rc;
}

static int read_spec(const cJSON *spec, struct err *err, struct work *work, const cJSON **ret_archs,
                     bool *ret_report) {
    int split = 0, rc;
    work->recalibrate = true;
    if ((rc = json_only(spec, "", fields, err)) != 0 ||
        (rc = json_enum(spec, "", "split", dataset_split_names, err, &split)) != 0 ||
        (rc = json_array(spec, "", "archs", 0, ARCHS_MAX, err, ret_archs)) != 0 ||
        (rc = json_bool_opt(spec, "", "report", err, ret_report)) != 0 ||
        (rc = json_bool_opt(spec, "", "recalibrate", err, &work->recalibrate)) != 0)
        return rc;
    work->split = (enum dataset_split)split;
    if (*ret_report && !work->recalibrate)
        return err_set(err, ESP_EINVAL, "/recalibrate", "a report scores each subnet both ways");
    return 0;
}

static cJSON *describe_all(const struct work *work) {
    cJSON *result = cJSON_CreateObject();
    cJSON_AddNumberToObject(result, "n", work->done);
    cJSON_AddStringToObject(result, "checkpoint", work->accuracy.checkpoint->summary.id);
    cJSON_AddStringToObject(result, "dataset_revision", work->accuracy.dataset->revision);
    cJSON_AddNumberToObject(result, "recalibration_images", recalibration_images(work));
    return result;
}

static int run(struct job *job, struct err *err, cJSON **ret_result) {
    struct work work = {.job = job};
    const cJSON *archs = NULL;
    bool with_report = false;
    int rc;
    if ((rc = read_spec(job->spec, err, &work, &archs, &with_report)) != 0 ||
        (rc = accuracy_open(&work.accuracy, job, err)) != 0 ||
        (rc = check_listed(&work, archs, err)) != 0)
        goto out;
    work.total = cJSON_GetArraySize(archs) + (with_report ? 2 + REPORT_RANDOM : 0);
    progress_init(&work.progress, job->channel, "evaluate");
    if (with_report)
        rc = report(&work, err);
    if (rc == 0)
        rc = evaluate_listed(&work, archs, err);
    if (rc == 0)
        *ret_result = describe_all(&work);
out:
    accuracy_finish(&work.accuracy);
    return rc;
}

extern const struct job_phase phase_evaluate;
const struct job_phase phase_evaluate = {
    .kind = "evaluate", .help = "score subnets of a supernet", .run = run};
