/* How long a search's limits take to be judged, on once-for-all's MobileNetV3 space with whole
 * latency tables of two boards that are made up (one by MACs, one by memory traffic):
 * bench_refusals
 * For each set of limits the median of REPEATS checks (search/feasibility.h) in milliseconds, and
 * what was found. One thread. */
#include <stdio.h>

#include "base/clock.h"
#include "base/stats.h"
#include "daemon/latency_evaluator.h"
#include "search/feasibility.h"
#include "tests/bench/bench_table.h"

enum { REPEATS = 9, BOARDS = 2, EVALUATORS = BOARDS + 1, LIMITS_MAX = 3 };
static const char *const boards[BOARDS] = {"macs", "traffic"};

static double us_of_macs(const struct cost *cost) {
    return 10 + (double)cost->macs / 1e4;
}

static double us_of_traffic(const struct cost *cost) {
    return 10 + (double)cost->traffic_bytes / 5e3;
}

/* A limit between the least (0) and the most (1) that a metric can be. */
struct wish {
    const char *key;
    bool is_max;
    double at;
};
struct set {
    const char *name;
    struct wish wishes[LIMITS_MAX];
};
static const struct set sets[] = {
    {"latency alone, kept by some", {{"latency_us:macs", true, 0.2}}},
    {"latency alone, below the least", {{"latency_us:macs", true, -0.01}}},
    {"latency against parameters", {{"latency_us:macs", true, 0.05}, {"params", false, 0.95}}},
    {"two boards against parameters",
     {{"latency_us:macs", true, 0.05}, {"latency_us:traffic", true, 0.05}, {"params", false, 0.9}}},
    {"two boards against MACs",
     {{"latency_us:macs", true, 0.3}, {"latency_us:traffic", true, 0.1}, {"macs", false, 0.35}}},
    {"latency against the peak of memory",
     {{"latency_us:macs", true, 0.02}, {"peak_simple_bytes", false, 1}}}};

static double bound_of(const struct space *space, const struct evaluator *evaluators,
                       const struct wish *wish) {
    struct err err = {0};
    struct attainable ends[2];
    for (int i = 0; i < 2; i++)
        if (attainable_extreme(space, evaluators, EVALUATORS, wish->key, i, &err, &ends[i]) < 0)
            die(&err);
    return ends[0].value + wish->at * (ends[1].value - ends[0].value);
}

static void judge(const struct space *space, const struct evaluator *evaluators,
                  const struct set *set) {
    struct goals goals = {.n_objectives = 0};
    struct feasibility found;
    double ms[REPEATS];
    struct err err = {0};
    int code = 0;
    for (int i = 0; i < LIMITS_MAX && set->wishes[i].key; i++) {
        const struct wish *wish = &set->wishes[i];
        int metric = goals_add_metric(&goals, wish->key, NULL);
        goals.constraints[goals.n_constraints++] =
            (struct constraint){metric, wish->is_max, bound_of(space, evaluators, wish)};
    }
    for (int i = 0; i < REPEATS; i++) {
        int64_t start = clock_mono_ns();
        err = (struct err){0};
        code = feasibility_check(space, &goals, evaluators, EVALUATORS, &err, &found);
        ms[i] = (double)(clock_mono_ns() - start) / 1e6;
        if (code < 0 && code != ESP_EINFEASIBLE)
            die(&err);
    }
    printf("%-36s %7.1f ms (%.1f to %.1f)  %s %s\n", set->name, stats_median(ms, REPEATS),
           stats_quantile(ms, REPEATS, 0), stats_quantile(ms, REPEATS, 1),
           code < 0 ? "refused:" : "not refused", err.message);
    fflush(stdout);
}

int main(void) {
    struct err err = {0};
    struct space *space;
    struct evaluator evaluators[EVALUATORS];
    struct latency_evaluator *latency[BOARDS];
    struct latency_table *tables[BOARDS];
    if (space_builtin("ofa_mbv3", &err, &space) < 0 ||
        cost_evaluator_create(space, &err, &evaluators[BOARDS]) < 0)
        die(&err);
    for (int b = 0; b < BOARDS; b++) {
        tables[b] = make_table(space, b == 0 ? us_of_macs : us_of_traffic);
        if (latency_evaluator_create(space, tables[b], &calibration_none, boards[b], &err,
                                     &latency[b]) < 0)
            die(&err);
        latency_evaluator_init(latency[b], &evaluators[b]);
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        judge(space, evaluators, &sets[i]);
    for (int b = 0; b < BOARDS; b++) {
        latency_evaluator_destroy(latency[b]);
        latency_table_destroy(tables[b]);
    }
    cost_evaluator_destroy(&evaluators[BOARDS]);
    space_destroy(space);
    return 0;
}
