#include "daemon/job/search_run.h"

#include <math.h>
#include <string.h>

enum { CANDIDATES_PER_EVENT = 500 };

int search_emit(struct search_run *run, const char *kind, cJSON *data, struct err *err) {
    channel_event_once(run->job->channel, ++run->events, kind, data);
    return channel_error(run->job->channel, err);
}

void search_arch_id(const struct search_run *run, const struct arch *arch, char ret_id[HASH_TEXT]) {
    struct arch lifted;
    search_spec_lift(&run->spec, arch, &lifted);
    arch_id(search_spec_whole(&run->spec), &lifted, ret_id);
}

static void add_arch(const struct search_run *run, const struct arch *arch, cJSON *data) {
    char text[ARCH_TEXT_MAX], id[HASH_TEXT];
    arch_format(run->spec.space, arch, text);
    search_arch_id(run, arch, id);
    cJSON_AddStringToObject(data, "arch", text);
    cJSON_AddStringToObject(data, "arch_id", id);
}

int search_emit_evaluation(struct search_run *run, const struct arch *arch,
                           enum dataset_split split, const struct score *score, struct err *err) {
    cJSON *data = cJSON_CreateObject();
    add_arch(run, arch, data);
    cJSON_AddStringToObject(data, "checkpoint", run->accuracy.checkpoint->summary.id);
    cJSON_AddStringToObject(data, "dataset_revision", run->accuracy.dataset->revision);
    cJSON_AddStringToObject(data, "split", dataset_split_names[split]);
    cJSON_AddNumberToObject(data, "recalibration_images",
                            run->accuracy.options.recalibration.images);
    cJSON_AddNumberToObject(data, "top1", score->top1);
    cJSON_AddNullToObject(data, "top1_raw");
    cJSON_AddNumberToObject(data, "loss", score->loss);
    cJSON_AddNumberToObject(data, "images", (double)score->images);
    return search_emit(run, "evaluation", data, err);
}

int search_emit_predictor(struct search_run *run, struct err *err) {
    const struct arch_model_quality *q = accuracy_predictor_quality(run->predictor);
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "model", arch_model_kind_names[q->kind]);
    cJSON_AddNumberToObject(data, "n", q->n);
    cJSON_AddNumberToObject(data, "folds", q->folds);
    cJSON_AddNumberToObject(data, "kendall_tau", q->kendall_tau);
    cJSON_AddNumberToObject(data, "mae", q->mae);
    cJSON_AddNumberToObject(data, "rmse", q->rmse);
    cJSON_AddNumberToObject(data, "baseline_kendall_tau", q->baseline.kendall_tau);
    cJSON_AddNumberToObject(data, "baseline_rmse", q->baseline.rmse);
    cJSON_AddNumberToObject(data, "baseline_tau_sd", q->baseline.tau_sd);
    cJSON_AddBoolToObject(data, "accepted", accuracy_predictor_accepted(run->predictor));
    return search_emit(run, "predictor", data, err);
}

static const char *strategy_name(const struct search_run *run, int loop) {
    return loop == SEARCH_MAIN ? run->spec.strategy : run->spec.baseline;
}

static void add_origin(const struct search_run *run, const struct archive *archive,
                       const struct candidate *c, cJSON *item) {
    cJSON_AddStringToObject(item, "origin", origin_names[c->origin]);
    cJSON *parents = cJSON_AddArrayToObject(item, "parents");
    for (int i = 0; i < ORIGIN_PARENTS_MAX && c->parents[i] >= 0; i++) {
        char id[HASH_TEXT];
        search_arch_id(run, &archive->candidates[c->parents[i]].arch, id);
        cJSON_AddItemToArray(parents, cJSON_CreateString(id));
    }
}

static cJSON *describe_candidate(const struct search_run *run, const struct archive *archive,
                                 int index) {
    const struct candidate *c = &archive->candidates[index];
    cJSON *item = cJSON_CreateObject();
    add_arch(run, &c->arch, item);
    add_origin(run, archive, c, item);
    cJSON_AddBoolToObject(item, "feasible", c->violation == 0);
    cJSON_AddItemToObject(item, "metrics",
                          metrics_to_json(&run->spec.goals, archive_metrics(archive, index)));
    return item;
}

/* One event holds candidates of one generation: the run of them that starts at first. */
static int emit_run(struct search_run *run, int loop, const int *candidates, int n,
                    struct err *err) {
    const struct archive *archive = search_loop_archive(run->loops[loop]);
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "strategy", strategy_name(run, loop));
    cJSON_AddNumberToObject(data, "generation", archive->candidates[candidates[0]].generation);
    cJSON *items = cJSON_AddArrayToObject(data, "items");
    for (int i = 0; i < n; i++)
        cJSON_AddItemToArray(items, describe_candidate(run, archive, candidates[i]));
    return search_emit(run, "candidates", data, err);
}

int search_emit_candidates(struct search_run *run, int loop, const int *candidates, int n,
                           struct err *err) {
    const struct archive *archive = search_loop_archive(run->loops[loop]);
    int rc = 0;
    for (int first = 0, last; first < n && rc == 0; first = last) {
        int generation = archive->candidates[candidates[first]].generation;
        for (last = first + 1; last < n && last - first < CANDIDATES_PER_EVENT; last++)
            if (archive->candidates[candidates[last]].generation != generation)
                break;
        rc = emit_run(run, loop, candidates + first, last - first, err);
    }
    return rc;
}

static void add_volume(cJSON *data, double volume) {
    if (isfinite(volume))
        cJSON_AddNumberToObject(data, "hypervolume", volume);
    else
        cJSON_AddNullToObject(data, "hypervolume");
}

int search_emit_generation(struct search_run *run, int loop, const struct generation *generation,
                           struct err *err) {
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "strategy", strategy_name(run, loop));
    cJSON_AddNumberToObject(data, "generation", generation->number);
    cJSON_AddNumberToObject(data, "evaluations", (double)generation->evaluations);
    add_volume(data, generation->hypervolume);
    cJSON_AddNumberToObject(data, "front_size", generation->front_size);
    cJSON_AddNumberToObject(data, "feasible", generation->feasible);
    return search_emit(run, "generation", data, err);
}

/* The reference as values of the metrics, not as costs. */
static void add_reference(const struct search_run *run, cJSON *data) {
    const struct goals *goals = &run->spec.goals;
    cJSON *point = cJSON_AddObjectToObject(data, "reference_point");
    for (int i = 0; i < goals->n_objectives; i++) {
        const struct objective *o = &goals->objectives[i];
        cJSON_AddNumberToObject(point, goals->keys[o->metric],
                                o->maximise ? -run->reference[i] : run->reference[i]);
    }
}

int search_emit_front(struct search_run *run, const char *stage, const int *front, int n,
                      struct err *err) {
    const struct archive *archive = search_loop_archive(run->loops[SEARCH_MAIN]);
    double volume;
    int rc = archive_hypervolume_of(archive, front, n, run->reference, &volume);
    if (rc != 0)
        return err_set(err, rc, NULL, "no memory for a front");
    cJSON *data = cJSON_CreateObject(), *ids;
    cJSON_AddNumberToObject(data, "version", ++run->front_version);
    cJSON_AddStringToObject(data, "stage", stage);
    add_volume(data, volume);
    const struct search_profile *first = run->spec.n_profiles ? &run->spec.profiles[0] : NULL;
    cJSON_AddNumberToObject(data, "calibration_version", first ? first->calibration.version : 0);
    if (first)
        cJSON_AddStringToObject(data, "profile_id", first->id);
    add_reference(run, data);
    ids = cJSON_AddArrayToObject(data, "arch_ids");
    for (int i = 0; i < n; i++) {
        char id[HASH_TEXT];
        search_arch_id(run, &archive->candidates[front[i]].arch, id);
        cJSON_AddItemToArray(ids, cJSON_CreateString(id));
    }
    return search_emit(run, "front", data, err);
}
