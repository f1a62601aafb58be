#include "search/loop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/upper_limits.h"
#include "search/loop_private.h"

static int check_yielded(const struct search_loop_config *config, int metric, struct err *err) {
    const char *key = config->goals->keys[metric];
    for (int i = 0; i < config->n_evaluators; i++)
        for (int k = 0; k < config->evaluators[i].n_metrics; k++)
            if (strcmp(config->evaluators[i].keys[k], key) == 0)
                return 0;
    return err_set(err, ESP_EINVAL, "/objectives", "nothing in this search yields the metric %s",
                   key);
}

static int check_config(const struct search_loop_config *config, struct err *err) {
    if (config->budget < 1 || config->budget > SEARCH_EVALUATIONS_MAX)
        return err_set(err, ESP_EINVAL, "/evaluations",
                       "a search takes 1 to %d evaluations, not %lld", SEARCH_EVALUATIONS_MAX,
                       (long long)config->budget);
    if (config->batch < 1 || config->batch > STRATEGY_ASK_MAX)
        return err_set(err, ESP_EINVAL, "/population", "a generation has 1 to %d subnets, not %d",
                       STRATEGY_ASK_MAX, config->batch);
    if (config->n_evaluators < 1 || config->n_evaluators > SEARCH_EVALUATORS_MAX)
        return err_set(err, ESP_EINVAL, NULL, "a search has 1 to %d evaluators",
                       SEARCH_EVALUATORS_MAX);
    int code = 0;
    for (int i = 0; i < config->goals->n_objectives && code == 0; i++)
        code = check_yielded(config, config->goals->objectives[i].metric, err);
    for (int i = 0; i < config->goals->n_constraints && code == 0; i++)
        code = check_yielded(config, config->goals->constraints[i].metric, err);
    return code;
}

static void take_values(const struct goals *goals, const struct evaluator *e,
                        const struct metric *values, bool predicted_only, struct metric *row) {
    for (int k = 0; k < e->n_metrics; k++) {
        int at = goals_find_metric(goals, e->keys[k]);
        if (at >= 0 && !(predicted_only && metric_kind(row[at].source) > METRIC_PREDICTED))
            row[at] = values[k];
    }
}

/* What cheap evaluators say of one arch. */
static int look(void *context, const struct arch *arch, struct err *err,
                double ret_costs[OBJECTIVES_MAX], double *ret_violation) {
    const struct search_loop_config *config = &((const struct search_loop *)context)->config;
    struct metric row[METRICS_MAX], values[METRICS_MAX];
    for (int k = 0; k < config->goals->n_metrics; k++)
        row[k] = (struct metric){NAN, NAN, NAN, METRIC_COUNTED};
    for (int i = 0; i < config->n_evaluators; i++) {
        const struct evaluator *e = &config->evaluators[i];
        struct evaluation evaluation = {.arch = arch, .values = values};
        if (!e->cheap || e->n_metrics > METRICS_MAX)
            continue;
        int code = e->submit(e->context, &evaluation, 1, err);
        if (code < 0)
            return code;
        if (evaluation.state == EVALUATION_DONE)
            take_values(config->goals, e, values, false, row);
    }
    goals_costs(config->goals, row, ret_costs);
    *ret_violation = goals_known_violation(config->goals, row);
    return 0;
}

/* By what the evaluators say now. */
static int make_limits(struct search_loop *loop, struct err *err) {
    const struct search_loop_config *c = &loop->config;
    struct constrained *made = NULL;
    int code = limits_make(c->space, c->goals, c->evaluators, c->n_evaluators, err, &made);
    if (code < 0)
        return code;
    constrained_destroy(loop->limits);
    loop->limits = made;
    return 0;
}

int search_loop_create(const struct search_loop_config *config, struct err *err,
                       struct search_loop **ret_loop) {
    int code = check_config(config, err);
    if (code < 0)
        return code;
    struct search_loop *loop = mem_array(1, sizeof *loop);
    if (!loop)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a search");
    loop->config = *config;
    loop->foresight = (struct foresight){loop, look};
    loop->config.strategy_config.foresight = &loop->foresight;
    archive_init(&loop->archive, config->space, config->goals);
    loop->candidates = mem_array((size_t)config->batch, sizeof *loop->candidates);
    if (!loop->candidates)
        code = err_set(err, ESP_ENOMEM, NULL, "no memory for a search");
    if (code == 0)
        code = make_limits(loop, err);
    loop->config.strategy_config.limits = (const struct constrained *const *)&loop->limits;
    if (code == 0)
        code = relaxed_goals_create(config->space, config->goals, config->evaluators,
                                    config->n_evaluators, err, &loop->relaxed);
    if (code == 0)
        loop->config.strategy_config.slope = relaxed_goals_slope(loop->relaxed);
    if (code == 0)
        code =
            strategy_create(config->strategy, &loop->config.strategy_config, err, &loop->strategy);
    if (code < 0) {
        search_loop_destroy(loop);
        return code;
    }
    *ret_loop = loop;
    return 0;
}

void search_loop_destroy(struct search_loop *loop) {
    if (!loop)
        return;
    strategy_destroy(loop->strategy);
    relaxed_goals_destroy(loop->relaxed);
    constrained_destroy(loop->limits);
    archive_finish(&loop->archive);
    free(loop->candidates);
    free(loop->log);
    free(loop);
}

int64_t search_round_end(int64_t budget, int population, int rounds, int round) {
    if (round >= rounds - 1)
        return budget;
    int64_t generations = budget / population * (round + 1) / rounds;
    int64_t end = (generations > round + 1 ? generations : round + 1) * population;
    return end < budget ? end : budget;
}

void search_loop_set_budget(struct search_loop *loop, int64_t budget) {
    int64_t most = budget < SEARCH_EVALUATIONS_MAX ? budget : SEARCH_EVALUATIONS_MAX;
    loop->config.budget = most > loop->evaluations ? most : loop->evaluations;
}

struct archive *search_loop_archive(struct search_loop *loop) {
    return &loop->archive;
}

int search_loop_generation(const struct search_loop *loop) {
    return loop->generation;
}

int64_t search_loop_evaluations(const struct search_loop *loop) {
    return loop->evaluations;
}

/* A batch under evaluation: a row of goals->n_metrics for each arch. */
struct batch {
    int n;
    const struct arch *archs;
    const struct origin *origins; /* NULL: known beforehand */
    struct metric *metrics;
    bool *failed;
};

/* Has one evaluator fill in its metrics. With predicted_only, values of better source stay. */
static int evaluate_by(const struct search_loop *loop, const struct evaluator *e,
                       struct batch *batch, bool predicted_only, struct err *err) {
    const struct goals *goals = loop->config.goals;
    struct evaluation *evaluations = mem_array((size_t)batch->n, sizeof *evaluations);
    struct metric *values = mem_array((size_t)batch->n * (size_t)e->n_metrics, sizeof *values);
    int code = evaluations && values ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for a batch");
    for (int i = 0; i < batch->n && code == 0; i++)
        evaluations[i] = (struct evaluation){.arch = &batch->archs[i],
                                             .values = values + (size_t)i * (size_t)e->n_metrics};
    if (code == 0)
        code = e->submit(e->context, evaluations, batch->n, err);
    for (int i = 0; i < batch->n && code == 0; i++) {
        batch->failed[i] |= evaluations[i].state == EVALUATION_FAILED;
        if (evaluations[i].state == EVALUATION_DONE)
            take_values(goals, e, evaluations[i].values, predicted_only,
                        batch->metrics + (size_t)i * (size_t)goals->n_metrics);
    }
    free(evaluations);
    free(values);
    return code;
}

static void forget_metrics(struct batch *batch, int n_metrics) {
    for (int i = 0; i < batch->n * n_metrics; i++)
        batch->metrics[i] = (struct metric){NAN, NAN, NAN, METRIC_COUNTED};
}

/* What the strategy is told of a candidate; false if there is nothing to tell yet. */
static bool make_outcome(const struct archive *archive, int index, struct outcome *ret_outcome) {
    const struct candidate *c = &archive->candidates[index];
    *ret_outcome =
        (struct outcome){.arch = c->arch, .failed = c->failed, .violation = c->violation};
    memcpy(ret_outcome->costs, archive_costs(archive, index),
           (size_t)archive->goals->n_objectives * sizeof *ret_outcome->costs);
    return c->failed || isfinite(c->violation);
}

static int tell(struct search_loop *loop, const int *candidates, int n, struct err *err) {
    struct outcome *outcomes = mem_array((size_t)n + 1, sizeof *outcomes);
    int told = 0;
    if (!outcomes)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a generation's results");
    for (int i = 0; i < n; i++)
        told += make_outcome(&loop->archive, candidates[i], &outcomes[told]);
    int code = strategy_tell(loop->strategy, outcomes, told, err);
    free(outcomes);
    return code;
}

static int put_all(struct search_loop *loop, const struct batch *batch, int generation,
                   int *candidates, struct err *err) {
    size_t width = (size_t)loop->config.goals->n_metrics;
    for (int i = 0; i < batch->n; i++) {
        int code = archive_put(&loop->archive, &batch->archs[i],
                               batch->failed[i] ? NULL : batch->metrics + (size_t)i * width,
                               generation, err, &candidates[i]);
        if (code < 0)
            return code;
        if (code == 1 && batch->origins)
            archive_set_origin(&loop->archive, candidates[i], &batch->origins[i]);
    }
    return tell(loop, candidates, batch->n, err);
}

static int batch_init(struct batch *batch, int n, int n_metrics, struct err *err) {
    batch->n = n;
    batch->metrics = mem_array((size_t)n * (size_t)n_metrics, sizeof *batch->metrics);
    batch->failed = mem_array((size_t)n, sizeof *batch->failed);
    if (batch->metrics && batch->failed)
        return 0;
    return err_set(err, ESP_ENOMEM, NULL, "no memory for a batch");
}

static void batch_finish(struct batch *batch) {
    free(batch->metrics);
    free(batch->failed);
}

/* batch: its archs and origins. */
static int evaluate(struct search_loop *loop, struct batch batch, int generation, int *candidates,
                    struct err *err) {
    int n_metrics = loop->config.goals->n_metrics;
    int code = batch_init(&batch, batch.n, n_metrics, err);
    if (code == 0)
        forget_metrics(&batch, n_metrics);
    for (int i = 0; i < loop->config.n_evaluators && code == 0; i++)
        code = evaluate_by(loop, &loop->config.evaluators[i], &batch, false, err);
    if (code == 0)
        code = put_all(loop, &batch, generation, candidates, err);
    batch_finish(&batch);
    return code;
}

static int describe(struct search_loop *loop, int n, struct generation *ret_generation) {
    const int *front;
    struct generation g = {.number = loop->generation,
                           .evaluations = loop->evaluations,
                           .candidates = loop->candidates,
                           .n_candidates = n};
    int code = archive_front(&loop->archive, &front, &g.front_size);
    if (code == 0)
        code = archive_hypervolume(&loop->archive, loop->config.reference, &g.hypervolume);
    if (code < 0)
        return code;
    g.feasible = loop->archive.n_feasible;
    *ret_generation = g;
    return 0;
}

int search_loop_seed(struct search_loop *loop, const struct arch *archs, int n, struct err *err) {
    if (loop->generation > 0)
        return err_set(err, ESP_ECONFLICT, NULL, "the search has begun already");
    for (int i = 0; i < n; i++)
        if (!arch_valid(loop->config.space, &archs[i]))
            return err_set(err, ESP_EINVAL, NULL, "subnet %d is none of this space", i);
    int *candidates = mem_array((size_t)n + 1, sizeof *candidates);
    if (!candidates)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %d subnets", n);
    const struct batch batch = {.n = n, .archs = archs};
    int code = n > 0 ? evaluate(loop, batch, 0, candidates, err) : 0;
    free(candidates);
    return code;
}

int search_loop_step(struct search_loop *loop, struct err *err, struct generation *ret_generation) {
    int64_t left = loop->config.budget - loop->evaluations;
    int n = left < loop->config.batch ? (int)left : loop->config.batch, code = 0;
    struct arch *archs = mem_array((size_t)n + 1, sizeof *archs);
    struct origin *origins = mem_array((size_t)n + 1, sizeof *origins);
    if (!archs || !origins)
        code = err_set(err, ESP_ENOMEM, NULL, "no memory for a generation");
    else if (n > 0 && !loop->exhausted)
        code = strategy_ask(loop->strategy, n, err, archs, origins);
    if (code >= 0 && code < n)
        loop->exhausted = true;
    n = code;
    if (n > 0) {
        const struct batch batch = {.n = n, .archs = archs, .origins = origins};
        code = evaluate(loop, batch, loop->generation + 1, loop->candidates, err);
        loop->generation++;
        loop->evaluations += n;
    }
    free(archs);
    free(origins);
    if (code >= 0)
        code = describe(loop, n, ret_generation);
    if (code < 0)
        return code;
    return !loop->exhausted && loop->evaluations < loop->config.budget;
}

int search_loop_log(struct search_loop *loop, const struct log_entry *entry, struct err *err) {
    if (loop->n_log == SEARCH_LOG_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "a search takes at most %d results from outside",
                       SEARCH_LOG_MAX);
    if (loop->n_log == loop->log_capacity) {
        int capacity = loop->log_capacity ? 2 * loop->log_capacity : 64;
        struct log_entry *grown = reallocarray(loop->log, (size_t)capacity, sizeof *grown);
        if (!grown)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for the log of a search");
        loop->log = grown;
        loop->log_capacity = capacity;
    }
    loop->log[loop->n_log++] = *entry;
    return 0;
}

int search_loop_enter(struct search_loop *loop, const struct arch *arch, const char *key,
                      const struct metric *metric, struct err *err) {
    struct metric metrics[METRICS_MAX];
    int index = archive_find(&loop->archive, arch);
    int at = goals_find_metric(loop->config.goals, key);
    if (index < 0)
        return err_set(err, ESP_ENOTFOUND, NULL, "this subnet is no candidate of the search");
    if (at < 0)
        return err_set(err, ESP_ENOTFOUND, NULL, "the search has no metric %s", key);
    struct log_entry entry = {loop->generation, index, at, *metric, ""};
    memcpy(metrics, archive_metrics(&loop->archive, index),
           (size_t)loop->config.goals->n_metrics * sizeof *metrics);
    metrics[at] = *metric;
    int code = search_loop_log(loop, &entry, err);
    if (code == 0)
        code = archive_put(&loop->archive, arch, metrics, 0, err, &index);
    return code < 0 ? code : tell(loop, &index, 1, err);
}

/* Archs and metrics of the whole archive, failed candidates included. */
static void copy_archive(const struct archive *archive, struct arch *archs, struct batch *batch) {
    size_t width = (size_t)archive->goals->n_metrics;
    for (int i = 0; i < archive->n; i++) {
        archs[i] = archive->candidates[i].arch;
        batch->failed[i] = archive->candidates[i].failed;
    }
    memcpy(batch->metrics, archive->metrics, (size_t)archive->n * width * sizeof *batch->metrics);
}

int search_loop_rescore(struct search_loop *loop, int evaluator, const char *reason,
                        struct err *err) {
    struct archive *archive = &loop->archive;
    struct arch *archs = mem_array((size_t)archive->n + 1, sizeof *archs);
    int *all = mem_array((size_t)archive->n + 1, sizeof *all);
    struct batch batch = {.archs = archs};
    struct log_entry entry = {.generation = loop->generation, .candidate = -1, .metric = evaluator};
    snprintf(entry.reason, sizeof entry.reason, "%s", reason);
    relaxed_goals_forget(loop->relaxed);
    int code = archs && all ? batch_init(&batch, archive->n, archive->goals->n_metrics, err)
                            : err_set(err, ESP_ENOMEM, NULL, "no memory to score again");
    if (code == 0)
        code = make_limits(loop, err);
    if (code == 0 && archive->n) {
        copy_archive(archive, archs, &batch);
        code = evaluate_by(loop, &loop->config.evaluators[evaluator], &batch, true, err);
    }
    for (int i = 0; i < archive->n && code >= 0; i++)
        code = archive_put(
            archive, &archs[i],
            batch.failed[i] ? NULL : batch.metrics + (size_t)i * (size_t)archive->goals->n_metrics,
            0, err, &all[i]);
    if (code >= 0)
        code = search_loop_log(loop, &entry, err);
    if (code == 0)
        code = tell(loop, all, archive->n, err);
    batch_finish(&batch);
    free(archs);
    free(all);
    return code;
}
