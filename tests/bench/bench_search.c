/* Speed of the search on once-for-all's MobileNetV3 space: bench_search
 * What scoring a candidate costs (counting, latency from a full table, accuracy by a fitted ridge
 * regressor), and NSGA-II with two objectives on the three together, population 100: candidates/s,
 * and the time of one survivor selection (100 of 200). One thread. Beside it:
 * tests/bench/peer_search.py (DEAP). */
#include <stdio.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/stats.h"
#include "daemon/latency_evaluator.h"
#include "search/accuracy_predictor.h"
#include "search/loop.h"
#include "search/sampling.h"
#include "space/cost.h"
#include "tests/bench/bench_table.h"

enum { ARCHS = 2000, SAMPLES = 128, POPULATION = 100, GENERATIONS = 500, REPEATS = 7 };

static double us_of_cost(const struct cost *cost) {
    return 10 + (double)cost->macs / 1e4;
}

/* An accuracy that rises with every choice. */
static double make_top1(const struct space *space, const struct arch *arch) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    double good = 0;
    for (int i = 0; i < n; i++)
        if (arch_gene_active(space, arch, &genes[i]))
            good += 1 + arch_gene(arch, &genes[i]);
    return 0.8 - 1 / (1 + 0.1 * good);
}

static struct accuracy_predictor *make_predictor(const struct space *space) {
    static struct arch_sample samples[SAMPLES];
    static struct arch archs[SAMPLES];
    struct err err = {0};
    struct accuracy_predictor *predictor;
    int n = sample_spread(space, 1, SAMPLES, &err, archs);
    for (int i = 0; i < n; i++)
        samples[i] = (struct arch_sample){archs[i], make_top1(space, &archs[i])};
    int64_t start = clock_mono_ns();
    if (n < 0 || accuracy_predictor_fit(space, samples, n, 0, 1, &err, &predictor) < 0)
        die(&err);
    printf("regressor fitted on %d subnets in %.1f ms\n", n,
           (double)(clock_mono_ns() - start) / 1e6);
    return predictor;
}

static int predict(void *context, struct evaluation *evaluations, int n, struct err *err) {
    for (int i = 0; i < n; i++) {
        struct accuracy_prediction p;
        int code = accuracy_predictor_run(context, evaluations[i].arch, err, &p);
        if (code < 0)
            return code;
        evaluations[i].values[0] = (struct metric){p.top1, p.low, p.high, METRIC_PREDICTED};
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

/* Median rate of scoring ARCHS random archs. */
static void time_evaluator(const char *name, const struct evaluator *evaluator,
                           const struct arch *archs) {
    static struct evaluation evaluations[ARCHS];
    static struct metric values[ARCHS * METRICS_MAX];
    struct err err = {0};
    double rates[REPEATS];
    for (int i = 0; i < ARCHS; i++)
        evaluations[i] =
            (struct evaluation){.arch = &archs[i], .values = values + i * evaluator->n_metrics};
    for (int r = 0; r < REPEATS; r++) {
        int64_t start = clock_mono_ns();
        if (evaluator->submit(evaluator->context, evaluations, ARCHS, &err) < 0)
            die(&err);
        rates[r] = ARCHS / ((double)(clock_mono_ns() - start) / 1e9);
    }
    printf("  %-34s %10.0f archs/s\n", name, stats_median(rates, REPEATS));
}

static double time_search(const struct space *space, const struct goals *goals,
                          const struct evaluator *evaluators, uint64_t seed) {
    struct err err = {0};
    struct search_loop *loop;
    struct generation g;
    struct search_loop_config config = {
        .space = space,
        .goals = goals,
        .evaluators = evaluators,
        .n_evaluators = 3,
        .strategy = "nsga2",
        .strategy_config = strategy_config_default(space, goals->n_objectives, seed),
        .budget = POPULATION * GENERATIONS,
        .batch = POPULATION,
        .reference = {0, 1e6}};
    config.strategy_config.population = POPULATION;
    int64_t start = clock_mono_ns();
    int more = search_loop_create(&config, &err, &loop);
    do
        more = more < 0 ? more : search_loop_step(loop, &err, &g);
    while (more > 0);
    if (more < 0)
        die(&err);
    double seconds = (double)(clock_mono_ns() - start) / 1e9;
    search_loop_destroy(loop);
    return seconds;
}

/* Telling 100 results to a population of 100: survivors and both rankings. */
static void time_selection(const struct space *space, const struct arch *archs) {
    enum { ROUNDS = ARCHS / POPULATION - 1 };
    struct err err = {0};
    struct strategy *strategy;
    struct strategy_config config = strategy_config_default(space, 2, 1);
    struct outcome outcomes[POPULATION];
    double ms[ROUNDS];
    config.population = POPULATION;
    if (strategy_create("nsga2", &config, &err, &strategy) < 0)
        die(&err);
    for (int r = -1; r < ROUNDS; r++) {
        for (int i = 0; i < POPULATION; i++) {
            const struct arch *arch = &archs[(r + 1) * POPULATION + i];
            struct cost cost;
            if (arch_cost(space, arch, &err, &cost) < 0)
                die(&err);
            outcomes[i] = (struct outcome){.arch = *arch,
                                           .costs = {-make_top1(space, arch), (double)cost.macs}};
        }
        int64_t start = clock_mono_ns();
        if (strategy_tell(strategy, outcomes, POPULATION, &err) < 0)
            die(&err);
        if (r >= 0)
            ms[r] = (double)(clock_mono_ns() - start) / 1e6;
    }
    printf("  selection of %d out of %d: %.3f ms\n", POPULATION, 2 * POPULATION,
           stats_median(ms, ROUNDS));
    strategy_destroy(strategy);
}

int main(void) {
    static struct arch archs[ARCHS];
    static const char *const top1_keys[] = {"top1"};
    struct err err = {0};
    struct space *space;
    struct latency_evaluator *latency;
    struct evaluator evaluators[3];
    double seconds[REPEATS];
    if (space_builtin("ofa_mbv3", &err, &space) < 0)
        die(&err);
    struct latency_table *table = make_table(space, us_of_cost);
    printf("table of %d entries\n", table->n);
    struct accuracy_predictor *predictor = make_predictor(space);
    if (latency_evaluator_create(space, table, &calibration_none, "bench", &err, &latency) < 0)
        die(&err);
    for (uint32_t i = 0; i < ARCHS; i++) {
        struct rng rng = rng_make(1, RNG_SAMPLE, 0, i);
        arch_random(space, &rng, &archs[i]);
    }
    if (cost_evaluator_create(space, &err, &evaluators[0]) < 0)
        die(&err);
    latency_evaluator_init(latency, &evaluators[1]);
    evaluators[2] = (struct evaluator){
        .n_metrics = 1, .keys = top1_keys, .context = predictor, .submit = predict};
    time_evaluator("MACs, parameters, bytes, peaks", &evaluators[0], archs);
    time_evaluator("latency from the table", &evaluators[1], archs);
    time_evaluator("accuracy by the regressor", &evaluators[2], archs);
    time_selection(space, archs);
    const struct goals goals = {.n_metrics = 3,
                                .keys = {"top1", "latency_us:bench", "macs"},
                                .n_objectives = 2,
                                .objectives = {{0, true}, {1, false}}};
    for (int r = 0; r < REPEATS; r++)
        seconds[r] = time_search(space, &goals, evaluators, (uint64_t)r);
    double median = stats_median(seconds, REPEATS);
    printf(
        "  NSGA-II, population %d, %d generations, all metrics, archive and hypervolume: %.2f s, "
        "%.0f candidates/s\n",
        POPULATION, GENERATIONS, median, POPULATION * GENERATIONS / median);
    cost_evaluator_destroy(&evaluators[0]);
    latency_evaluator_destroy(latency);
    accuracy_predictor_destroy(predictor);
    latency_table_destroy(table);
    space_destroy(space);
    return 0;
}
