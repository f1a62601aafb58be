/* Quality of search/ on measured subnets (DyNAS-T's logs of once-for-all MobileNetV3, ImageNet
 * top-1):
 * 1. the accuracy predictor's rank and error on subnets that it was not fitted on, by sample size;
 * 2. hypervolume of top-1 against MACs at equal numbers of evaluations, by random search, NSGA-II
 *    and a search on a predictor that is refitted as evaluations come in. The truth is then a
 *    surrogate: a predictor fitted on all rows.
 * search_quality FILE.csv... */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stats.h"
#include "search/accuracy_predictor.h"
#include "search/archive.h"
#include "search/strategy.h"
#include "space/cost.h"
#include "tests/extra/dynast.h"

enum { ROWS_MAX = 4000, SEEDS = 5, ROUND = 50, EVALUATIONS = 500, PREDICTED = 10000 };

struct logs {
    struct space *space;
    int n;
    struct accuracy_sample rows[ROWS_MAX];
};

static void die(const char *what, const struct err *err) {
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

static int add_row(void *context, const struct dynast_row *row) {
    struct logs *logs = context;
    struct err err = {0};
    char text[ARCH_TEXT_MAX];
    struct accuracy_sample *sample = &logs->rows[logs->n];
    dynast_format(row, text);
    if (logs->n == ROWS_MAX || arch_parse(logs->space, text, strlen(text), &err, &sample->arch) < 0)
        die("a row", &err);
    sample->top1 = row->top1 / 100;
    for (int i = 0; i < logs->n; i++)
        if (arch_equal(&logs->rows[i].arch, &sample->arch))
            return 0;
    logs->n++;
    return 0;
}

/* The space with 224 pixels alone, as in the logs. */
static struct space *space_of_logs(void) {
    struct err err = {0};
    struct space *space;
    const char *text = space_builtin_text("ofa_mbv3");
    cJSON *doc = cJSON_Parse(text);
    int resolution = 224;
    cJSON_ReplaceItemInObject(doc, "resolutions", cJSON_CreateIntArray(&resolution, 1));
    char *only = cJSON_PrintUnformatted(doc);
    if (space_parse(only, strlen(only), &err, &space) < 0)
        die("space", &err);
    cJSON_free(only);
    cJSON_Delete(doc);
    return space;
}

static void shuffle_rows(const struct logs *logs, uint64_t seed, struct accuracy_sample *ret_rows) {
    uint32_t order[ROWS_MAX];
    struct rng rng = rng_make(seed, RNG_TEST, 0, 0);
    for (int i = 0; i < logs->n; i++)
        order[i] = (uint32_t)i;
    rng_shuffle_u32(&rng, order, (size_t)logs->n);
    for (int i = 0; i < logs->n; i++)
        ret_rows[i] = logs->rows[order[i]];
}

/* Fits on the first n rows, judges on the last 500. */
static void judge_predictor(const struct logs *logs, int n, uint64_t seed, double ret_figures[4]) {
    enum { HELD = 500 };
    static struct accuracy_sample rows[ROWS_MAX];
    struct err err = {0};
    struct accuracy_predictor *predictor;
    double truth[HELD], guess[HELD], mae = 0, inside = 0;
    shuffle_rows(logs, seed, rows);
    if (accuracy_predictor_fit(logs->space, rows, n, -1, seed, &err, &predictor) < 0)
        die("predictor", &err);
    for (int i = 0; i < HELD; i++) {
        struct accuracy_prediction p;
        const struct accuracy_sample *row = &rows[logs->n - HELD + i];
        if (accuracy_predictor_run(predictor, &row->arch, &err, &p) < 0)
            die("prediction", &err);
        truth[i] = row->top1;
        guess[i] = p.top1;
        mae += fabs(p.top1 - row->top1) / HELD;
        inside += (row->top1 >= p.low && row->top1 <= p.high) / (double)HELD;
    }
    ret_figures[0] = stats_kendall_tau(guess, truth, HELD);
    ret_figures[1] = 100 * mae;
    ret_figures[2] = inside;
    ret_figures[3] = accuracy_predictor_quality(predictor)->kendall_tau;
    accuracy_predictor_destroy(predictor);
}

static void print_predictor(const struct logs *logs) {
    static const int sizes[] = {32, 64, 128, 256, 512, 1024};
    printf("accuracy predictor on 500 held-out subnets (mean of %d splits of %d rows)\n", SEEDS,
           logs->n);
    printf("  samples  Kendall tau  MAE (points)  90%% interval covers  tau by its own folds\n");
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        double sum[4] = {0}, figures[4];
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            judge_predictor(logs, sizes[k], seed, figures);
            for (int i = 0; i < 4; i++)
                sum[i] += figures[i] / SEEDS;
        }
        printf("  %7d  %11.3f  %12.3f  %18.2f  %20.3f\n", sizes[k], sum[0], sum[1], sum[2], sum[3]);
    }
}

/* Hypervolume in MMACs x points below 600 MMACs and above 72 %, as DyNAS-T's runs are scored. */
static const struct goals goals = {.n_metrics = 2,
                                   .keys = {"top1", "macs"},
                                   .n_objectives = 2,
                                   .objectives = {{0, true}, {1, false}}};
static const double reference[2] = {-72, 600};

struct problem {
    const struct space *space;
    struct accuracy_predictor *truth;
};

static void evaluate(const struct problem *problem, struct accuracy_predictor *by,
                     const struct arch *arch, struct metric ret_metrics[2]) {
    struct err err = {0};
    struct accuracy_prediction p;
    struct cost cost;
    if (accuracy_predictor_run(by, arch, &err, &p) < 0 ||
        arch_cost(problem->space, arch, &err, &cost) < 0)
        die("evaluation", &err);
    ret_metrics[0] = (struct metric){100 * p.top1, 100 * p.low, 100 * p.high, METRIC_EVALUATED};
    double macs = (double)cost.macs / 1e6;
    ret_metrics[1] = (struct metric){macs, macs, macs, METRIC_COUNTED};
}

static struct outcome put(struct archive *archive, const struct arch *arch,
                          const struct metric *metrics) {
    struct err err = {0};
    struct outcome outcome = {.arch = *arch};
    int index;
    if (archive_put(archive, arch, metrics, 0, &err, &index) < 0)
        die("archive", &err);
    goals_costs(&goals, metrics, outcome.costs);
    return outcome;
}

static double volume_of(struct archive *archive) {
    double volume = 0;
    archive_hypervolume(archive, reference, &volume);
    return volume;
}

static struct strategy *start(const struct problem *problem, const char *name, uint64_t seed,
                              int population) {
    struct err err = {0};
    struct strategy *strategy;
    struct strategy_config config = strategy_config_default(problem->space, 2, seed);
    config.population = population;
    if (strategy_create(name, &config, &err, &strategy) < 0)
        die("strategy", &err);
    return strategy;
}

static void step(const struct problem *problem, struct strategy *strategy,
                 struct accuracy_predictor *by, int n, struct archive *archive) {
    struct err err = {0};
    struct arch *archs = mem_array((size_t)n, sizeof *archs);
    struct outcome *outcomes = mem_array((size_t)n, sizeof *outcomes);
    n = strategy_ask(strategy, n, &err, archs);
    for (int i = 0; i < n; i++) {
        struct metric metrics[2];
        evaluate(problem, by, &archs[i], metrics);
        outcomes[i] = put(archive, &archs[i], metrics);
    }
    if (n < 0 || strategy_tell(strategy, outcomes, n, &err) < 0)
        die("strategy", &err);
    free(archs);
    free(outcomes);
}

static void run_plain(const struct problem *problem, const char *name, uint64_t seed,
                      double *ret_volumes) {
    struct archive archive;
    struct strategy *strategy = start(problem, name, seed, ROUND);
    archive_init(&archive, problem->space, &goals);
    for (int k = 0; k < EVALUATIONS / ROUND; k++) {
        step(problem, strategy, problem->truth, ROUND, &archive);
        ret_volumes[k] = volume_of(&archive);
    }
    strategy_destroy(strategy);
    archive_finish(&archive);
}

/* Runs NSGA-II on a predictor of what was evaluated, then evaluates ROUND archs of its front that
 * were not yet. */
static void predict_round(const struct problem *problem, uint64_t seed, struct archive *archive) {
    struct err err = {0};
    struct accuracy_sample *samples = mem_array((size_t)archive->n, sizeof *samples);
    struct accuracy_predictor *predictor;
    struct archive guessed;
    struct strategy *strategy = start(problem, "nsga2", seed, 2 * ROUND);
    for (int i = 0; i < archive->n; i++)
        samples[i] = (struct accuracy_sample){archive->candidates[i].arch,
                                              archive_metrics(archive, i)[0].value / 100};
    if (accuracy_predictor_fit(problem->space, samples, archive->n, -1, seed, &err, &predictor) < 0)
        die("predictor", &err);
    archive_init(&guessed, problem->space, &goals);
    for (int k = 0; k < PREDICTED / (2 * ROUND); k++)
        step(problem, strategy, predictor, 2 * ROUND, &guessed);
    int added = 0;
    while (added < ROUND) {
        const int *front;
        int n, picked = 0;
        archive_front(&guessed, &front, &n);
        int *members = mem_array((size_t)n + 1, sizeof *members);
        memcpy(members, front, (size_t)n * sizeof *members);
        /* Evenly along the front; what is taken leaves it, so that the next layer shows. */
        int wanted = ROUND - added < n ? ROUND - added : n;
        for (int i = 0; i < wanted; i++) {
            int at = members[wanted > 1 ? i * (n - 1) / (wanted - 1) : 0];
            struct metric metrics[2];
            struct arch arch = guessed.candidates[at].arch;
            if (archive_find(archive, &arch) < 0) {
                evaluate(problem, problem->truth, &arch, metrics);
                put(archive, &arch, metrics);
                added++;
            }
            archive_put(&guessed, &arch, NULL, 0, &err, &at);
            picked++;
        }
        free(members);
        if (picked == 0)
            break;
    }
    accuracy_predictor_destroy(predictor);
    strategy_destroy(strategy);
    archive_finish(&guessed);
    free(samples);
}

static void run_predicted(const struct problem *problem, uint64_t seed, double *ret_volumes) {
    struct archive archive;
    struct strategy *strategy = start(problem, "nsga2", seed, ROUND);
    archive_init(&archive, problem->space, &goals);
    step(problem, strategy, problem->truth, ROUND, &archive);
    ret_volumes[0] = volume_of(&archive);
    for (int k = 1; k < EVALUATIONS / ROUND; k++) {
        predict_round(problem, seed + 100 * (uint64_t)k, &archive);
        ret_volumes[k] = volume_of(&archive);
    }
    strategy_destroy(strategy);
    archive_finish(&archive);
}

static void print_volumes(const char *name, double volumes[SEEDS][EVALUATIONS / ROUND]) {
    static const int marks[] = {50, 100, 150, 250, 500};
    printf("  %-20s", name);
    for (size_t k = 0; k < sizeof marks / sizeof marks[0]; k++) {
        double at[SEEDS];
        for (int s = 0; s < SEEDS; s++)
            at[s] = volumes[s][marks[k] / ROUND - 1];
        printf("  %7.1f (%6.1f)", stats_median(at, SEEDS), stats_quantile(at, SEEDS, 0));
    }
    printf("\n");
}

static void print_search(const struct logs *logs) {
    struct err err = {0};
    struct problem problem = {.space = logs->space};
    double volumes[SEEDS][EVALUATIONS / ROUND];
    if (accuracy_predictor_fit(logs->space, logs->rows, logs->n, -1, 1, &err, &problem.truth) < 0)
        die("surrogate", &err);
    const struct accuracy_quality *q = accuracy_predictor_quality(problem.truth);
    printf(
        "hypervolume on a surrogate (%s of %d rows: tau %.3f, MAE %.3f points), median and least "
        "of %d seeds\n",
        accuracy_model_names[q->model], q->n, q->kendall_tau, 100 * q->mae, SEEDS);
    printf("  evaluations                    50              100              150              "
           "250              500\n");
    for (int s = 0; s < SEEDS; s++)
        run_plain(&problem, "random", (uint64_t)s, volumes[s]);
    print_volumes("random", volumes);
    for (int s = 0; s < SEEDS; s++)
        run_plain(&problem, "nsga2", (uint64_t)s, volumes[s]);
    print_volumes("nsga2", volumes);
    for (int s = 0; s < SEEDS; s++)
        run_predicted(&problem, (uint64_t)s, volumes[s]);
    print_volumes("nsga2 on predictor", volumes);
    printf("  DyNAS-T's own runs: NSGA-II 1722.0, 1803.4, 1890.1, 1953.5, 2050.8; LINAS 1770.6, "
           "1914.3, 2012.7, 2034.1, 2108.9\n");
    accuracy_predictor_destroy(problem.truth);
}

int main(int argc, char **argv) {
    static struct logs logs;
    if (argc < 2 || argc > 16) {
        fprintf(stderr, "usage: search_quality FILE.csv...\n");
        return 2;
    }
    logs.space = space_of_logs();
    for (int i = 1; i < argc; i++)
        if (dynast_read(argv[i], add_row, &logs) != 0)
            return 1;
    print_predictor(&logs);
    print_search(&logs);
    space_destroy(logs.space);
    return 0;
}
