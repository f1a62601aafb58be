/* Regret of every strategy against the true front, on a space small enough to enumerate
 * (tests/unit/search/toy.h), without and with a limit on MACs, and with parameters as a third
 * objective: the share of the true front's hypervolume that is missed after so many evaluations;
 * median and largest of 20 seeds. Needs no data. */
#include <stdio.h>
#include <stdlib.h>

#include "base/stats.h"
#include "search/archive.h"
#include "search/strategy.h"
#include "tests/unit/search/toy.h"

enum { SEEDS = 20, ROUND = 24, MARKS = 5 };
static const int rounds[MARKS] = {2, 4, 8, 16, 32};
#define MACS_MAX 1.2e6

struct problem {
    struct space *space;
    struct goals goals;
    const char *title;
    double reference[3];
    double truth;
};

static void die(const struct err *err) {
    fprintf(stderr, "regret: %s\n", err->message);
    exit(1);
}

static struct outcome evaluate(const struct problem *problem, struct archive *archive,
                               const struct arch *arch) {
    struct outcome outcome = {.arch = *arch};
    struct err err = {0};
    struct cost cost;
    int index;
    if (arch_cost(problem->space, arch, &err, &cost) < 0)
        die(&err);
    double top1 = toy_top1(problem->space, arch), macs = (double)cost.macs;
    double params = (double)cost.params;
    struct metric metrics[3] = {{top1, top1, top1, METRIC_EVALUATED},
                                {macs, macs, macs, METRIC_COUNTED},
                                {params, params, params, METRIC_COUNTED}};
    if (archive_put(archive, arch, metrics, 0, &err, &index) < 0)
        die(&err);
    goals_costs(&problem->goals, metrics, outcome.costs);
    outcome.violation = goals_violation(&problem->goals, metrics);
    return outcome;
}

static double volume_of(const struct problem *problem, struct archive *archive) {
    double volume;
    struct err err = {.message = "no hypervolume"};
    if (archive_hypervolume(archive, problem->reference, &volume) < 0 || isnan(volume))
        die(&err);
    return volume;
}

static int measure_truth(struct problem *problem) {
    struct archive archive;
    int n;
    struct arch *all = toy_enumerate(problem->space, &n);
    archive_init(&archive, problem->space, &problem->goals);
    for (int i = 0; i < n; i++)
        evaluate(problem, &archive, &all[i]);
    problem->truth = volume_of(problem, &archive);
    archive_finish(&archive);
    free(all);
    return n;
}

static void run(const struct problem *problem, const char *name, uint64_t seed,
                double regret[MARKS][SEEDS]) {
    struct err err = {0};
    struct archive archive;
    struct strategy *strategy;
    struct strategy_config config =
        strategy_config_default(problem->space, problem->goals.n_objectives, seed);
    config.population = ROUND;
    if (strategy_create(name, &config, &err, &strategy) < 0)
        die(&err);
    archive_init(&archive, problem->space, &problem->goals);
    for (int round = 1, mark = 0; mark < MARKS; round++) {
        struct arch archs[ROUND];
        struct outcome outcomes[ROUND];
        int n = strategy_ask(strategy, ROUND, &err, archs, NULL);
        for (int i = 0; i < n; i++)
            outcomes[i] = evaluate(problem, &archive, &archs[i]);
        if (n < 0 || strategy_tell(strategy, outcomes, n, &err) < 0)
            die(&err);
        if (round == rounds[mark])
            regret[mark++][seed] = 100 * (1 - volume_of(problem, &archive) / problem->truth);
    }
    archive_finish(&archive);
    strategy_destroy(strategy);
}

static void print_table(struct problem *problem) {
    int n = measure_truth(problem);
    printf("%s: percent of the true front's hypervolume that is missed, median (largest) of %d "
           "seeds; %d subnets in all\n  evaluations   ",
           problem->title, SEEDS, n);
    for (int k = 0; k < MARKS; k++)
        printf("  %15d", rounds[k] * ROUND);
    for (int t = 0; strategy_types[t]; t++) {
        double regret[MARKS][SEEDS];
        for (uint64_t seed = 0; seed < SEEDS; seed++)
            run(problem, strategy_types[t]->name, seed, regret);
        printf("\n  %-14s", strategy_types[t]->name);
        for (int k = 0; k < MARKS; k++)
            printf("  %6.3f (%6.3f)", stats_median(regret[k], SEEDS),
                   stats_quantile(regret[k], SEEDS, 1));
        fflush(stdout);
    }
    printf("\n");
}

int main(void) {
    struct problem problem = {.title = "without a limit on MACs",
                              .goals = {.n_metrics = 3,
                                        .keys = {"top1", "macs", "params"},
                                        .n_objectives = 2,
                                        .objectives = {{0, true}, {1, false}, {2, false}}}};
    problem.space = toy_space();
    struct arch largest;
    struct err err = {0};
    struct cost cost;
    arch_max(problem.space, &largest);
    if (arch_cost(problem.space, &largest, &err, &cost) < 0)
        die(&err);
    problem.reference[0] = -0.5;
    problem.reference[1] = (double)cost.macs;
    problem.reference[2] = (double)cost.params;
    print_table(&problem);
    problem.title = "parameters as a third objective";
    problem.goals.n_objectives = 3;
    print_table(&problem);
    problem.title = "within a limit on MACs";
    problem.goals.n_objectives = 2;
    problem.goals.n_constraints = 1;
    problem.goals.constraints[0] = (struct constraint){1, true, MACS_MAX};
    problem.reference[1] = MACS_MAX;
    print_table(&problem);
    space_destroy(problem.space);
    return 0;
}
