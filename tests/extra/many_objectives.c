/* Strategies on three objectives (top-1 by a surrogate, MACs, parameters), on four (with the
 * latency of the same choices by an imported table of once-for-all's), and on three of which two
 * oppose each other (top-1, the times of two boards that are made up: to one a larger expand ratio
 * is dear and a larger kernel cheap, to the other the reverse): many_objectives SURROGATE
 * TABLE.yaml. Population 100; hypervolume as a share of the box from 80 %, the smallest subnet's
 * costs to 72 %, the largest subnet's; median and least of ten seeds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/stats.h"
#include "latency/ofa_table.h"
#include "latency/predictor.h"
#include "search/archive.h"
#include "search/hypervolume.h"
#include "search/strategy.h"
#include "space/cost.h"
#include "tests/extra/surrogate.h"

enum { SEEDS = 10, ROUND = 100, M = 4, OPPOSED = M, METRICS = M + 2, MARKS = 5, LINAS_MARKS = 3 };
static const int marks[MARKS] = {200, 500, 1000, 5000, 20000};
static const char *const strategies[] = {"nsga3", "nsga2", "linas", "random", NULL};

struct problem {
    struct space *space;                 /* once-for-all's at 224 pixels */
    struct space *wide;                  /* the same choices, 1.2 times as wide: the table's */
    struct latency_predictor *predictor; /* of the wide one */
    struct surrogate *surrogate;
    struct goals goals;
    const char *title;
    double best[METRICS], reference[METRICS]; /* by metric */
};

static _Noreturn void die(const struct err *err) {
    fprintf(stderr, "many_objectives: %s\n", err->message);
    exit(1);
}

static struct space *space_at_224(const char *name) {
    struct err err = {0};
    struct space *whole = NULL, *space = NULL;
    int resolution = 224;
    if (space_builtin(name, &err, &whole) < 0 ||
        space_narrow(whole, &resolution, 1, &err, &space) < 0)
        die(&err);
    space_destroy(whole);
    return space;
}

static void read_table(struct problem *problem, const char *path) {
    struct err err = {0};
    struct latency_table *table;
    struct ofa_table_report report;
    if (ofa_table_read(path, problem->wide, &err, &report, &table) < 0 ||
        latency_predictor_create(problem->wide, table, &calibration_none, &err,
                                 &problem->predictor) < 0)
        die(&err);
}

/* Each block takes 4 units of time of both boards together. */
static void measure_opposed(const struct space *space, const struct arch *arch, double times[2]) {
    times[0] = times[1] = 0;
    for (int s = 0; s < space->n_stages; s++) {
        const struct space_stage *stage = &space->stages[s];
        for (int d = 0; d < stage->depths.value[arch->depth[s]] && stage->max_depth > 1; d++) {
            int more = arch->expand[stage->first_block + d] - arch->kernel[stage->first_block + d];
            times[0] += 2 + more;
            times[1] += 2 - more;
        }
    }
}

static void measure(const struct problem *problem, const struct arch *arch,
                    double values[METRICS]) {
    struct err err = {0};
    struct cost cost;
    struct latency_prediction latency;
    if (arch_cost(problem->space, arch, &err, &cost) < 0 ||
        latency_predictor_run(problem->predictor, arch, &err, &latency) < 0)
        die(&err);
    values[0] = surrogate_top1(problem->surrogate, arch);
    values[1] = (double)cost.macs / 1e6;
    values[2] = (double)cost.params / 1e6;
    values[3] = latency.us / 1e3;
    measure_opposed(problem->space, arch, values + OPPOSED);
}

static void set_box(struct problem *problem) {
    struct arch least, most;
    arch_min(problem->space, &least);
    arch_max(problem->space, &most);
    measure(problem, &least, problem->best);
    measure(problem, &most, problem->reference);
    problem->best[0] = 80;
    problem->reference[0] = 72;
    for (int k = OPPOSED; k < METRICS; k++) {
        problem->best[k] = 0;
        problem->reference[k] = 80; /* 20 blocks, 4 each */
    }
}

static struct outcome evaluate(const struct problem *problem, struct archive *archive,
                               const struct arch *arch) {
    struct outcome outcome = {.arch = *arch};
    struct err err = {0};
    double values[METRICS];
    struct metric metrics[METRICS];
    int index;
    measure(problem, arch, values);
    for (int k = 0; k < METRICS; k++)
        metrics[k] = (struct metric){values[k], values[k], values[k], METRIC_COUNTED};
    if (archive_put(archive, arch, metrics, 0, &err, &index) < 0)
        die(&err);
    goals_costs(&problem->goals, metrics, outcome.costs);
    return outcome;
}

/* Per cent of the box. */
static double share_of_box(const struct problem *problem, struct archive *archive) {
    const int *front;
    int n, m = problem->goals.n_objectives, kept = 0;
    if (archive_front(archive, &front, &n) < 0)
        return NAN;
    double *rows = mem_array((size_t)n * M + 1, sizeof *rows), volume = 0;
    static const double ones[M] = {1, 1, 1, 1};
    for (int i = 0; i < n; i++) {
        const struct metric *metrics = archive_metrics(archive, front[i]);
        double *row = rows + kept * m;
        bool inside = true;
        for (int k = 0; k < m; k++) {
            int at = problem->goals.objectives[k].metric;
            double best = problem->best[at];
            row[k] = (metrics[at].value - best) / (problem->reference[at] - best);
            inside &= row[k] < 1;
        }
        kept += inside;
    }
    if (hypervolume(rows, kept, m, ones, &volume) < 0)
        volume = NAN;
    free(rows);
    return 100 * volume;
}

static void run(const struct problem *problem, const char *name, uint64_t seed, int n_marks,
                double volumes[MARKS][SEEDS]) {
    struct err err = {0};
    struct archive archive;
    struct strategy *strategy;
    struct strategy_config config =
        strategy_config_default(problem->space, problem->goals.n_objectives, seed);
    config.population = ROUND;
    if (strategy_create(name, &config, &err, &strategy) < 0)
        die(&err);
    archive_init(&archive, problem->space, &problem->goals);
    for (int mark = 0; mark < n_marks;) {
        struct arch archs[ROUND];
        struct outcome outcomes[ROUND];
        int n = strategy_ask(strategy, ROUND, &err, archs, NULL);
        for (int i = 0; i < n; i++)
            outcomes[i] = evaluate(problem, &archive, &archs[i]);
        if (n < ROUND || strategy_tell(strategy, outcomes, n, &err) < 0)
            die(&err);
        if (archive.n == marks[mark])
            volumes[mark++][seed] = share_of_box(problem, &archive);
    }
    archive_finish(&archive);
    strategy_destroy(strategy);
}

static void print_table(const struct problem *problem) {
    printf("%s, surrogate %s: per cent of the box, median and least of %d seeds\n"
           "  evaluations",
           problem->title, surrogate_name(problem->surrogate), SEEDS);
    for (int k = 0; k < MARKS; k++)
        printf("  %15d", marks[k]);
    for (int s = 0; strategies[s]; s++) {
        double volumes[MARKS][SEEDS];
        int n_marks = strcmp(strategies[s], "linas") == 0 ? LINAS_MARKS : MARKS;
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            run(problem, strategies[s], seed, n_marks, volumes);
        printf("\n  %-11s", strategies[s]);
        for (int k = 0; k < n_marks; k++)
            printf("  %6.3f (%6.3f)", stats_median(volumes[k], SEEDS),
                   stats_quantile(volumes[k], SEEDS, 0));
        fflush(stdout);
    }
    printf("\n");
}

int main(int argc, char **argv) {
    struct problem problem = {
        .goals = {.n_metrics = METRICS,
                  .keys = {"top1", "macs", "params", "latency_us:table", "latency_us:one",
                           "latency_us:other"},
                  .objectives = {{0, true}, {1, false}, {2, false}, {3, false}}}};
    if (argc != 3) {
        fprintf(stderr, "usage: many_objectives SURROGATE TABLE.yaml\n");
        return 2;
    }
    problem.space = space_at_224("ofa_mbv3");
    problem.wide = space_at_224("ofa_mbv3_w12");
    problem.surrogate = surrogate_read(problem.space, argv[1]);
    read_table(&problem, argv[2]);
    set_box(&problem);
    problem.title = "two boards that oppose each other";
    problem.goals.n_objectives = 3;
    problem.goals.objectives[1].metric = OPPOSED;
    problem.goals.objectives[2].metric = OPPOSED + 1;
    print_table(&problem);
    problem.goals.objectives[1].metric = 1;
    problem.goals.objectives[2].metric = 2;
    problem.title = "with MACs and parameters";
    print_table(&problem);
    problem.title = "with MACs, parameters and a latency";
    problem.goals.n_objectives = M;
    print_table(&problem);
    return 0;
}
