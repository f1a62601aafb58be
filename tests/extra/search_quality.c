/* Quality of search/ on measured subnets (DyNAS-T's logs of once-for-all MobileNetV3, ImageNet
 * top-1):
 * - search_quality predictor FILE.csv...: the accuracy predictor's rank and error on subnets that
 *   it was not fitted on, by sample size
 * - search_quality rows FILE.csv...: features and top-1 of the logged subnets, for fitting
 * - search_quality macs: MACs as a sum over blocks, for other programs
 * - search_quality founders SEED: the choices of nsga2's first population, one subnet a line, for
 *   other programs
 * - search_quality compare SURROGATE...: hypervolume of top-1 against MACs at equal numbers of
 *   evaluations by every strategy */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stats.h"
#include "search/accuracy_predictor.h"
#include "search/archive.h"
#include "search/relaxed_goals.h"
#include "search/strategy.h"
#include "space/cost.h"
#include "search/encoding.h"
#include "tests/extra/dynast.h"
#include "tests/extra/surrogate.h"

enum { ROWS_MAX = 4000, SPLITS = 5, SEEDS = 20, ROUND = 50, EVALUATIONS = 500 };

struct logs {
    struct space *space;
    bool distinct; /* of rows of the same arch, only the first */
    int n;
    struct arch_sample rows[ROWS_MAX];
};

static void die(const char *what, const struct err *err) {
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(1);
}

static int add_row(void *context, const struct dynast_row *row) {
    struct logs *logs = context;
    struct err err = {0};
    char text[ARCH_TEXT_MAX];
    struct arch_sample *sample = &logs->rows[logs->n];
    dynast_format(row, text);
    if (logs->n == ROWS_MAX || arch_parse(logs->space, text, strlen(text), &err, &sample->arch) < 0)
        die("a row", &err);
    sample->value = row->top1 / 100;
    for (int i = 0; i < logs->n && logs->distinct; i++)
        if (arch_equal(&logs->rows[i].arch, &sample->arch))
            return 0;
    logs->n++;
    return 0;
}

/* The space with 224 pixels alone, as in the logs. */
static struct space *space_of_logs(void) {
    struct err err = {0};
    struct space *whole = NULL, *space = NULL;
    int resolution = 224;
    if (space_builtin("ofa_mbv3", &err, &whole) < 0 ||
        space_narrow(whole, &resolution, 1, &err, &space) < 0)
        die("space", &err);
    space_destroy(whole);
    return space;
}

static void shuffle_rows(const struct logs *logs, uint64_t seed, struct arch_sample *ret_rows) {
    uint32_t order[ROWS_MAX];
    struct rng rng = rng_make(seed, RNG_TEST, 0, 0);
    for (int i = 0; i < logs->n; i++)
        order[i] = (uint32_t)i;
    rng_shuffle_u32(&rng, order, (size_t)logs->n);
    for (int i = 0; i < logs->n; i++)
        ret_rows[i] = logs->rows[order[i]];
}

enum { FIGURES = 7 };

/* Fits on the first n rows, judges on the last 500. */
static void judge_predictor(const struct logs *logs, int n, uint64_t seed,
                            double ret_figures[FIGURES]) {
    enum { HELD = 500 };
    static struct arch_sample rows[ROWS_MAX];
    struct err err = {0};
    struct accuracy_predictor *predictor;
    double truth[HELD], guess[HELD], mae = 0, inside = 0;
    shuffle_rows(logs, seed, rows);
    if (accuracy_predictor_fit(logs->space, rows, n, -1, seed, &err, &predictor) < 0)
        die("predictor", &err);
    for (int i = 0; i < HELD; i++) {
        struct accuracy_prediction p;
        const struct arch_sample *row = &rows[logs->n - HELD + i];
        if (accuracy_predictor_run(predictor, &row->arch, &err, &p) < 0)
            die("prediction", &err);
        truth[i] = row->value;
        guess[i] = p.top1;
        mae += fabs(p.top1 - row->value) / HELD;
        inside += (row->value >= p.low && row->value <= p.high) / (double)HELD;
    }
    ret_figures[0] = stats_kendall_tau(guess, truth, HELD);
    ret_figures[1] = 100 * mae;
    ret_figures[2] = inside;
    const struct arch_model_quality *own = accuracy_predictor_quality(predictor);
    ret_figures[3] = own->kendall_tau;
    ret_figures[4] = own->baseline.kendall_tau;
    ret_figures[5] = 100 * own->rmse;
    ret_figures[6] = 100 * own->baseline.rmse;
    accuracy_predictor_destroy(predictor);
}

static void print_predictor(const struct logs *logs) {
    static const int sizes[] = {32, 64, 128, 256, 512, 1024};
    printf("accuracy predictor on 500 held-out subnets (mean of %d splits of %d rows)\n", SPLITS,
           logs->n);
    printf("  samples  Kendall tau  MAE (points)  90%% interval covers  by its own folds: tau (of "
           "MACs "
           "alone)  RMSE (of MACs alone)\n");
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        double sum[FIGURES] = {0}, figures[FIGURES];
        for (uint64_t seed = 0; seed < SPLITS; seed++) {
            judge_predictor(logs, sizes[k], seed, figures);
            for (int i = 0; i < FIGURES; i++)
                sum[i] += figures[i] / SPLITS;
        }
        printf("  %7d  %11.3f  %12.3f  %18.2f  %21.3f (%12.3f)  %4.3f (%13.3f)\n", sizes[k], sum[0],
               sum[1], sum[2], sum[3], sum[4], sum[5], sum[6]);
    }
}

/* Hypervolume in MMACs x points below 600 MMACs and above 72 %, as DyNAS-T's runs are scored. */
static const struct goals goals = {.n_metrics = 2,
                                   .keys = {"top1", "macs"},
                                   .n_objectives = 2,
                                   .objectives = {{0, true}, {1, false}}};
static const double reference[2] = {-72, 600e6};

struct problem {
    const struct space *space;
    const struct surrogate *truth;
    const struct slope *slope; /* of the MACs, as a search has it; top-1 is known by evaluation */
};

static struct outcome evaluate(const struct problem *problem, struct archive *archive,
                               const struct arch *arch) {
    struct err err = {0};
    struct outcome outcome = {.arch = *arch};
    struct cost cost;
    int index;
    if (arch_cost(problem->space, arch, &err, &cost) < 0)
        die("evaluation", &err);
    double top1 = surrogate_top1(problem->truth, arch), macs = (double)cost.macs;
    struct metric metrics[2] = {{top1, top1, top1, METRIC_EVALUATED},
                                {macs, macs, macs, METRIC_COUNTED}};
    if (archive_put(archive, arch, metrics, 0, &err, &index) < 0)
        die("archive", &err);
    goals_costs(&goals, metrics, outcome.costs);
    return outcome;
}

static void step(const struct problem *problem, struct strategy *strategy,
                 struct archive *archive) {
    struct err err = {0};
    struct arch archs[ROUND];
    struct outcome outcomes[ROUND];
    int n = strategy_ask(strategy, ROUND, &err, archs, NULL);
    for (int i = 0; i < n; i++)
        outcomes[i] = evaluate(problem, archive, &archs[i]);
    if (n < 0 || strategy_tell(strategy, outcomes, n, &err) < 0)
        die("strategy", &err);
}

static void run(const struct problem *problem, const char *name, uint64_t seed,
                double *ret_volumes) {
    struct err err = {0};
    struct archive archive;
    struct strategy *strategy;
    struct strategy_config config = strategy_config_default(problem->space, 2, seed);
    config.population = ROUND;
    config.slope = problem->slope;
    if (strategy_create(name, &config, &err, &strategy) < 0)
        die("strategy", &err);
    archive_init(&archive, problem->space, &goals);
    for (int k = 0; k < EVALUATIONS / ROUND; k++) {
        step(problem, strategy, &archive);
        archive_hypervolume(&archive, reference, &ret_volumes[k]);
        ret_volumes[k] /= 1e6;
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
    fflush(stdout);
}

extern const struct strategy_type strategy_exhaustive; /* takes no space as large as this one */

static void compare(const struct space *space, const char *path) {
    struct surrogate *truth = surrogate_read(space, path);
    struct err err = {0};
    struct evaluator counts;
    struct relaxed_goals *relaxed;
    if (cost_evaluator_create(space, &err, &counts) < 0 ||
        relaxed_goals_create(space, &goals, &counts, 1, &err, &relaxed) < 0)
        die("derivatives", &err);
    struct problem problem = {space, truth, relaxed_goals_slope(relaxed)};
    printf(
        "hypervolume (MMACs x points below 600 MMACs and above 72 %%) on the surrogate %s, median "
        "and least of %d seeds\n",
        surrogate_name(truth), SEEDS);
    printf("  evaluations                    50              100              150              "
           "250              500\n");
    for (int t = 0; strategy_types[t]; t++) {
        double volumes[SEEDS][EVALUATIONS / ROUND];
        if (strategy_types[t] == &strategy_exhaustive)
            continue;
        for (int s = 0; s < SEEDS; s++)
            run(&problem, strategy_types[t]->name, (uint64_t)s, volumes[s]);
        print_volumes(strategy_types[t]->name, volumes);
    }
    relaxed_goals_destroy(relaxed);
    cost_evaluator_destroy(&counts);
    surrogate_destroy(truth);
}

static void print_rows(const struct logs *logs) {
    float features[ENCODING_MAX];
    for (int i = 0; i < logs->n; i++) {
        int p = arch_features(logs->space, &logs->rows[i].arch, features);
        for (int k = 0; k < p; k++)
            putchar(features[k] > 0 ? '1' : '0');
        printf(" %.17g\n", 100 * logs->rows[i].value);
    }
}

static double macs_of(const struct space *space, const struct arch *arch) {
    struct err err = {0};
    struct cost cost;
    if (arch_cost(space, arch, &err, &cost) < 0)
        die("cost", &err);
    return (double)cost.macs / 1e6;
}

/* Widths inside the network are fixed, so MACs are those of the smallest subnet, and what each
 * block adds: one line a block, its nine choices of kernel and ratio. A stage's first two blocks
 * are always there and add what is more than their smallest choice. */
static void print_macs(const struct space *space) {
    struct arch least;
    arch_min(space, &least);
    printf("%.6f\n", macs_of(space, &least));
    for (int s = 0; s < space->n_stages; s++)
        for (int b = 0, at = space->stages[s].first_block; b < 4 && space->stages[s].max_depth == 4;
             b++) {
            struct arch without = least;
            without.depth[s] = (uint8_t)(b < 3 ? 0 : b - 2);
            for (int k = 0; k < 9; k++) {
                struct arch with = without;
                with.depth[s] = (uint8_t)(b < 2 ? 0 : b - 1);
                with.kernel[at + b] = (uint8_t)(k / 3);
                with.expand[at + b] = (uint8_t)(k % 3);
                printf(" %.6f", macs_of(space, &with) - macs_of(space, &without));
            }
            printf("\n");
        }
}

/* Genes with one choice are left out: for each stage its depth, then kernel and ratio of each of
 * its blocks. */
static void print_founders(const struct space *space, uint64_t seed) {
    struct err err = {0};
    struct arch archs[ROUND];
    struct gene genes[SPACE_GENES_MAX];
    struct strategy *strategy;
    struct strategy_config config = strategy_config_default(space, 2, seed);
    int n_genes = space_genes(space, genes);
    config.population = ROUND;
    if (strategy_create("nsga2", &config, &err, &strategy) < 0 ||
        strategy_ask(strategy, ROUND, &err, archs, NULL) != ROUND)
        die("strategy", &err);
    for (int i = 0; i < ROUND; i++) {
        for (int g = 0; g < n_genes; g++)
            if (genes[g].n_choices > 1)
                printf("%d ", arch_gene(&archs[i], &genes[g]));
        printf("\n");
    }
    strategy_destroy(strategy);
}

static int usage(void) {
    fprintf(stderr, "usage: search_quality predictor|rows FILE.csv... | macs | founders SEED | "
                    "compare SURROGATE...\n");
    return 2;
}

int main(int argc, char **argv) {
    static struct logs logs;
    const char *what = argc > 1 ? argv[1] : "";
    bool rows = strcmp(what, "rows") == 0, predictor = strcmp(what, "predictor") == 0;
    bool macs = strcmp(what, "macs") == 0, comparing = strcmp(what, "compare") == 0;
    bool founders = strcmp(what, "founders") == 0;
    if ((argc < 3 && !macs) || !(rows || predictor || macs || founders || comparing))
        return usage();
    logs.space = space_of_logs();
    logs.distinct = predictor; /* what is held out must be unseen */
    for (int i = 2; i < argc && (rows || predictor); i++)
        if (dynast_read(argv[i], add_row, &logs) != 0)
            return 1;
    if (rows)
        print_rows(&logs);
    if (predictor)
        print_predictor(&logs);
    if (macs)
        print_macs(logs.space);
    if (founders)
        print_founders(logs.space, strtoull(argv[2], NULL, 10));
    for (int i = 2; i < argc && comparing; i++)
        compare(logs.space, argv[i]);
    space_destroy(logs.space);
    return 0;
}
