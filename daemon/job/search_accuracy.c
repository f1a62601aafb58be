#include "daemon/job/search_run.h"

#include "base/memory.h"
#include "base/stats.h"
#include "search/ofa_predictor_file.h"
#include "search/sampling.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EVALUATED_LEVEL 0.9

enum { TOP1, LOSS }; /* of the evaluator's metrics; no loss is predicted */

int search_score(struct search_run *run, const struct arch *arch, enum dataset_split split,
                 struct err *err, struct score *ret_score) {
    char id[HASH_TEXT];
    struct score score;
    struct arch lifted;
    search_spec_lift(&run->spec, arch, &lifted);
    search_arch_id(run, arch, id);
    const struct score *known = facts_score(run->facts, id, split);
    if (known) {
        *ret_score = *known;
        return 0;
    }
    if (channel_boundary(run->job->channel))
        return err_set(err, ESP_ECANCELED, NULL, "the search was stopped");
    struct score_request request = {.arch = &lifted, .split = split, .recalibrate = true};
    int rc = accuracy_score(&run->accuracy, &request, err, &score);
    if (rc == 0)
        rc = facts_add_score(run->facts, id, split, &score, err);
    if (rc == 0)
        *ret_score = score;
    return rc;
}

/* Wilson's interval of a share that was counted on so many images. */
struct metric search_score_metric(const struct score *score) {
    double z = stats_normal_quantile(0.5 + EVALUATED_LEVEL / 2), n = (double)score->images;
    double p = score->top1, middle = (p + z * z / (2 * n)) / (1 + z * z / n);
    double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n);
    return (struct metric){p, fmin(fmax(middle - half, 0), p), fmax(fmin(middle + half, 1), p),
                           METRIC_EVALUATED};
}

/* The images' own spread is not kept: no interval. */
static struct metric loss_metric(const struct score *score) {
    return (struct metric){score->loss, score->loss, score->loss, METRIC_EVALUATED};
}

static int evaluate_initial(struct search_run *run, int n, struct err *err,
                            struct arch_sample *ret_samples) {
    for (int i = 0; i < n; i++) {
        struct score score;
        int rc = search_score(run, &run->initial[i], SPLIT_VALIDATION, err, &score);
        if (rc == 0)
            rc = search_emit_evaluation(run, &run->initial[i], SPLIT_VALIDATION, &score, err);
        if (rc != 0)
            return rc;
        ret_samples[i] = (struct arch_sample){run->initial[i], score.top1};
        search_tell_scored(run, i + 1, n, 1);
    }
    return 0;
}

/* In place of the one that there is. */
static void take_predictor(struct search_run *run, struct accuracy_predictor *predictor) {
    accuracy_predictor_destroy(run->predictor);
    run->predictor = predictor;
    run->kendall_tau = accuracy_predictor_quality(predictor)->kendall_tau;
}

/* Evaluates n subnets over the range of MACs and fits the predictor on them. */
static int fit(struct search_run *run, int n, struct err *err) {
    struct arch_sample *samples = mem_array((size_t)n, sizeof *samples);
    struct accuracy_predictor *fitted;
    free(run->initial);
    run->n_initial = 0;
    run->initial = mem_array((size_t)n, sizeof *run->initial);
    int rc = samples && run->initial ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for samples");
    if (rc == 0)
        rc = sample_spread(run->spec.space, (uint64_t)run->spec.seed, n, err, run->initial);
    if (rc < 0)
        goto out;
    run->n_initial = rc;
    rc = evaluate_initial(run, run->n_initial, err, samples);
    if (rc == 0)
        rc = accuracy_predictor_fit(run->spec.space, samples, run->n_initial, ACCURACY_TAU_MIN,
                                    (uint64_t)run->spec.seed, err, &fitted);
    if (rc == 0) {
        take_predictor(run, fitted);
        rc = search_emit_predictor(run, err);
    }
out:
    free(samples);
    return rc;
}

int search_fit_predictor(struct search_run *run, struct err *err) {
    int n = run->spec.initial_evaluations;
    int rc = fit(run, n, err);
    if (rc == 0 && !accuracy_predictor_accepted(run->predictor))
        rc = fit(run, 2 * n, err);
    if (rc == 0 && !accuracy_predictor_accepted(run->predictor)) {
        struct accuracy_prediction unused;
        rc = accuracy_predictor_run(run->predictor, &run->initial[0], err, &unused);
    }
    return rc;
}

int search_refit_predictor(struct search_run *run, const struct archive *archive, struct err *err,
                           bool *ret_fitted) {
    struct accuracy_predictor *refitted = NULL;
    struct arch_sample *samples = mem_array((size_t)archive->n + 1, sizeof *samples);
    int top1 = goals_find_metric(&run->spec.goals, "top1"), n = 0;
    if (!samples)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for samples");
    for (int i = 0; i < archive->n; i++) {
        const struct metric *metric = &archive_metrics(archive, i)[top1];
        if (metric->source == METRIC_EVALUATED)
            samples[n++] = (struct arch_sample){archive->candidates[i].arch, metric->value};
    }
    int rc = accuracy_predictor_fit(run->spec.space, samples, n, ACCURACY_TAU_MIN,
                                    (uint64_t)run->spec.seed, err, &refitted);
    free(samples);
    if (rc != 0)
        return rc;
    *ret_fitted = accuracy_predictor_accepted(refitted);
    if (!*ret_fitted) {
        accuracy_predictor_destroy(refitted);
        return 0;
    }
    take_predictor(run, refitted);
    return run->steps >= SEARCH_STEPS_NOW ? search_emit_predictor(run, err) : 0;
}

static int predict(struct search_run *run, const struct arch *arch, struct err *err,
                   struct metric *ret_metric) {
    struct accuracy_prediction p;
    int rc = accuracy_predictor_run(run->predictor, arch, err, &p);
    if (rc == 0)
        *ret_metric = (struct metric){p.top1, p.low, p.high, METRIC_PREDICTED};
    return rc;
}

/* Both metrics of the evaluator. */
static int evaluate(struct search_run *run, const struct arch *arch, struct err *err,
                    struct metric *ret_values) {
    struct score score;
    int rc = search_score(run, arch, SPLIT_VALIDATION, err, &score);
    if (rc == 0)
        rc = search_emit_evaluation(run, arch, SPLIT_VALIDATION, &score, err);
    if (rc != 0)
        return rc;
    ret_values[TOP1] = search_score_metric(&score);
    ret_values[LOSS] = loss_metric(&score);
    return 0;
}

/* Evaluated beforehand, to fit the predictor. Not whatever the facts know: a search that runs again
 * after an interruption knows the scores of its own end already. */
static bool is_initial(const struct search_run *run, const struct arch *arch) {
    for (int i = 0; i < run->n_initial; i++)
        if (arch_equal(&run->initial[i], arch))
            return true;
    return false;
}

int search_open_predictor(struct search_run *run, struct err *err) {
    const struct search_predictor *named = &run->spec.predictor;
    struct ofa_predictor_file file = {.values = NULL};
    if (!named->path)
        return 0;
    int rc = ofa_predictor_file_read(named->path, err, &file);
    if (rc == 0 &&
        (strcmp(file.hash, named->hash) != 0 || strcmp(file.fingerprint, named->fingerprint) != 0))
        rc =
            err_set(err, ESP_EMISMATCH, "/accuracy/predictor",
                    "%s is another accuracy predictor than the one that was imported", named->path);
    if (rc == 0)
        rc = ofa_predictor_create(run->spec.space, &file.weights, err, &run->imported);
    ofa_predictor_file_finish(&file);
    return rc;
}

/* It says nothing of how sure it is. */
static int predict_imported(struct search_run *run, struct evaluation *evaluations, int n,
                            struct err *err) {
    const struct arch **archs = mem_array((size_t)n, sizeof *archs);
    double *top1 = mem_array((size_t)n, sizeof *top1);
    int rc = archs && top1 ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for predictions");
    for (int i = 0; i < n && rc == 0; i++)
        archs[i] = evaluations[i].arch;
    if (rc == 0)
        ofa_predictor_run(run->imported, archs, n, top1);
    for (int i = 0; i < n && rc == 0; i++) {
        evaluations[i].values[TOP1] = (struct metric){top1[i], top1[i], top1[i], METRIC_PREDICTED};
        evaluations[i].state = EVALUATION_DONE;
    }
    free(archs);
    free(top1);
    return rc;
}

static int submit(void *context, struct evaluation *evaluations, int n, struct err *err) {
    struct search_run *run = context;
    int rc = 0;
    if (run->imported && n > 0)
        return predict_imported(run, evaluations, n, err);
    for (int i = 0; i < n && rc == 0; i++) {
        const struct arch *arch = evaluations[i].arch;
        struct score score;
        if (run->predictor && is_initial(run, arch)) {
            rc = search_score(run, arch, SPLIT_VALIDATION, err, &score);
            if (rc == 0)
                evaluations[i].values[TOP1] = search_score_metric(&score);
        } else if (run->predictor) {
            rc = predict(run, arch, err, &evaluations[i].values[TOP1]);
        } else {
            rc = evaluate(run, arch, err, evaluations[i].values);
        }
        evaluations[i].state = EVALUATION_DONE;
    }
    return rc;
}

/* Predictions have derivatives, evaluations have none. */
static int gradient(void *context, int metric, const struct relaxed_shape *shape,
                    const double *point, struct err *err, double *ret_value, double *ret_gradient) {
    struct search_run *run = context;
    if (run->imported) {
        ofa_predictor_gradient(run->imported, shape, point, ret_value, ret_gradient);
        return 0;
    }
    if (!run->predictor)
        return err_set(err, ESP_EUNSUPPORTED, NULL, "an evaluated accuracy has no derivatives");
    return accuracy_predictor_gradient(run->predictor, shape, point, err, ret_value, ret_gradient);
}

void search_accuracy_evaluator(struct search_run *run, struct evaluator *ret_evaluator) {
    static const char *const keys[] = {[TOP1] = "top1", [LOSS] = "loss"};
    *ret_evaluator = (struct evaluator){.n_metrics = run->spec.accuracy_predicted ? 1 : 2,
                                        .keys = keys,
                                        .context = run,
                                        .submit = submit,
                                        .gradient = gradient};
}
