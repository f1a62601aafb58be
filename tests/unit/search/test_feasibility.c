#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/rng.h"
#include "search/feasibility.h"
#include "tests/unit/search/toy.h"

/* Yields top1, of which nothing is known beforehand. */
static int submit_top1(void *context, struct evaluation *evaluations, int n, struct err *err) {
    for (int i = 0; i < n; i++) {
        double top1 = toy_top1(context, evaluations[i].arch);
        evaluations[i].values[0] = (struct metric){top1, top1, top1, METRIC_EVALUATED};
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

static void make_evaluators(struct space *space, struct evaluator evaluators[2]) {
    static const char *const keys[] = {"top1"};
    assert_int_equal(cost_evaluator_create(space, NULL, &evaluators[0]), 0);
    evaluators[1] =
        (struct evaluator){.n_metrics = 1, .keys = keys, .context = space, .submit = submit_top1};
}

enum { METRICS = 7 };
static const char *const cost_keys[METRICS] = {
    "macs",          "params",   "peak_activation_bytes", "peak_simple_bytes", "model_bytes",
    "traffic_bytes", "energy_uj"};

/* Extremes of all metrics by looking at every subnet. */
static void enumerate_extremes(struct space *space, const struct evaluator *cost,
                               double low[METRICS], double high[METRICS]) {
    int n;
    struct arch *all = toy_enumerate(space, &n);
    for (int k = 0; k < METRICS; k++) {
        low[k] = INFINITY;
        high[k] = -INFINITY;
    }
    for (int i = 0; i < n; i++) {
        struct metric values[METRICS];
        struct evaluation evaluation = {.arch = &all[i], .values = values};
        assert_int_equal(cost->submit(cost->context, &evaluation, 1, NULL), 0);
        for (int k = 0; k < METRICS; k++) {
            low[k] = fmin(low[k], values[k].value);
            high[k] = fmax(high[k], values[k].value);
        }
    }
    free(all);
}

/* The toy space with who knows its metrics, and their extremes over all of it. */
struct toy {
    struct space *space;
    struct evaluator evaluators[2];
    double low[METRICS], high[METRICS];
};

static void open_toy(struct toy *toy) {
    toy->space = toy_space();
    make_evaluators(toy->space, toy->evaluators);
    enumerate_extremes(toy->space, &toy->evaluators[0], toy->low, toy->high);
}

static void close_toy(struct toy *toy) {
    cost_evaluator_destroy(&toy->evaluators[0]);
    space_destroy(toy->space);
}

static void extremes_are_those_of_the_whole_space(void **state) {
    struct toy toy;
    struct attainable found;
    open_toy(&toy);
    for (int k = 0; k < METRICS; k++) {
        assert_int_equal(
            attainable_extreme(toy.space, toy.evaluators, 2, cost_keys[k], false, NULL, &found), 0);
        assert_true(found.known && found.value == toy.low[k]);
        assert_true(arch_valid(toy.space, &found.arch));
        assert_int_equal(
            attainable_extreme(toy.space, toy.evaluators, 2, cost_keys[k], true, NULL, &found), 0);
        assert_true(found.known && found.value == toy.high[k]);
    }
    assert_int_equal(attainable_extreme(toy.space, toy.evaluators, 2, "top1", true, NULL, &found),
                     0);
    assert_false(found.known);
    struct err err = {0};
    assert_int_equal(attainable_extreme(toy.space, toy.evaluators, 2, "joy", true, &err, &found),
                     ESP_ENOTFOUND);
    close_toy(&toy);
}

/* The chance of a random subnet to have at most, or at least, so much of a metric. */
static double chance_of(const struct space *space, const struct evaluator *cost, int metric,
                        bool is_max, double bound) {
    struct gene genes[SPACE_GENES_MAX];
    int n_genes = space_genes(space, genes), n;
    struct arch *all = toy_enumerate(space, &n);
    double share = 0;
    for (int i = 0; i < n; i++) {
        struct metric values[METRICS];
        struct evaluation evaluation = {.arch = &all[i], .values = values};
        double chance = 1;
        assert_int_equal(cost->submit(cost->context, &evaluation, 1, NULL), 0);
        for (int g = 0; g < n_genes; g++)
            if (arch_gene_active(space, &all[i], &genes[g]))
                chance /= genes[g].n_choices;
        bool within = is_max ? values[metric].value <= bound : values[metric].value >= bound;
        share += within ? chance : 0;
    }
    free(all);
    return share;
}

static struct goals goals_with(struct constraint constraint, const char *key) {
    struct goals goals = {.n_objectives = 2, .objectives = {{0, true}, {1, false}}};
    assert_int_equal(goals_add_metric(&goals, "top1", NULL), 0);
    assert_int_equal(goals_add_metric(&goals, "macs", NULL), 1);
    constraint.metric = goals_add_metric(&goals, key, NULL);
    goals.n_constraints = 1;
    goals.constraints[0] = constraint;
    return goals;
}

static void refuses_what_no_subnet_meets(void **state) {
    struct toy toy;
    struct feasibility f;
    open_toy(&toy);
    for (int k = 0; k < METRICS; k++)
        for (int is_max = 0; is_max <= 1; is_max++) {
            struct err err = {0};
            double end = is_max ? toy.low[k] : toy.high[k];
            struct goals goals = goals_with((struct constraint){0, is_max, end}, cost_keys[k]);
            assert_int_equal(feasibility_check(toy.space, &goals, toy.evaluators, 2, &err, &f), 0);
            assert_int_equal(f.infeasible, -1);
            goals.constraints[0].bound = is_max ? end - 1 : end + 1;
            assert_int_equal(feasibility_check(toy.space, &goals, toy.evaluators, 2, &err, &f),
                             ESP_EINFEASIBLE);
            assert_int_equal(f.infeasible, 0);
            assert_true(f.attainable[0].value == end);
            assert_string_equal(err.pointer, is_max ? "/constraints/0/max" : "/constraints/0/min");
            assert_non_null(strstr(err.message, cost_keys[k]));
            double share = chance_of(toy.space, &toy.evaluators[0], k, is_max, end);
            assert_true(fabs(f.share - share) <=
                        0.1 * share + (is_max ? 0 : 4 * sqrt(share / LIMIT_SAMPLES)));
            assert_non_null(strstr(err.message, "random subnet"));
        }
    close_toy(&toy);
}

/* Further constraints on metrics that are counted. */
static void add_limit(struct goals *goals, const char *key, bool is_max, double bound) {
    int metric = goals_add_metric(goals, key, NULL);
    assert_true(metric >= 0);
    goals->constraints[goals->n_constraints++] = (struct constraint){metric, is_max, bound};
}

static struct goals goals_without(void) {
    struct goals goals = {.n_objectives = 2, .objectives = {{0, true}, {1, false}}};
    assert_int_equal(goals_add_metric(&goals, "top1", NULL), 0);
    assert_int_equal(goals_add_metric(&goals, "macs", NULL), 1);
    return goals;
}

static void refuses_a_max_below_a_min(void **state) {
    static const char *const keys[] = {"macs", "top1"};
    struct toy toy;
    struct feasibility f;
    open_toy(&toy);
    for (int k = 0; k < 2; k++)
        for (int max_first = 0; max_first <= 1; max_first++) {
            double middle = k ? 0.5 : (toy.low[0] + toy.high[0]) / 2;
            struct goals goals = goals_without();
            struct err err = {0};
            add_limit(&goals, "params", true, 1e12);
            add_limit(&goals, keys[k], max_first, middle * (max_first ? 0.999 : 1.001));
            add_limit(&goals, keys[k], !max_first, middle * (max_first ? 1.001 : 0.999));
            assert_int_equal(feasibility_check(toy.space, &goals, toy.evaluators, 1 + !k, &err, &f),
                             ESP_EINFEASIBLE);
            assert_int_equal(f.infeasible, -1);
            assert_string_equal(err.pointer,
                                max_first ? "/constraints/2/min" : "/constraints/2/max");
            assert_non_null(strstr(err.message, keys[k]));
            assert_non_null(
                strstr(err.message, max_first ? "/constraints/1/max" : "/constraints/1/min"));
            bool counted = strstr(err.message, "it is from ") && strstr(err.message, "is kept by ");
            assert_int_equal(counted, !k);
            goals.constraints[2].bound = goals.constraints[1].bound;
            if (k) /* nothing yields top1 here */
                assert_int_equal(feasibility_check(toy.space, &goals, toy.evaluators, 1, &err, &f),
                                 0);
        }
    close_toy(&toy);
}

/* Whether any subnet keeps all constraints. */
static bool any_keeps(const struct goals *goals, const struct evaluator *cost,
                      const struct arch *all, int n) {
    for (int i = 0; i < n; i++) {
        struct metric values[METRICS], row[METRICS_MAX] = {{0}};
        struct evaluation evaluation = {.arch = &all[i], .values = values};
        assert_int_equal(cost->submit(cost->context, &evaluation, 1, NULL), 0);
        for (int k = 0; k < METRICS; k++)
            if (goals_find_metric(goals, cost_keys[k]) >= 0)
                row[goals_find_metric(goals, cost_keys[k])] = values[k];
        if (goals_violation(goals, row) == 0)
            return true;
    }
    return false;
}

/* Two or three limits near an end of their metric each, at random: whatever is refused cannot be
 * kept by any subnet, and most of what no subnet keeps is refused. */
static void refuses_limits_that_exclude_each_other(void **state) {
    struct toy toy;
    int n, none = 0, refused = 0;
    open_toy(&toy);
    struct arch *all = toy_enumerate(toy.space, &n);
    for (uint32_t i = 0; i < 60; i++) {
        struct rng rng = rng_make(11, RNG_TEST, 0, i);
        struct goals goals = goals_without();
        struct feasibility f;
        struct err err = {0};
        for (uint32_t k = 0; k < 2 + i % 2; k++) {
            int metric = (int)((i + k * (1 + i % 3)) % METRICS);
            bool is_max = rng_unit(&rng) < 0.5;
            double way = 0.3 * rng_unit(&rng) * (toy.high[metric] - toy.low[metric]);
            add_limit(&goals, cost_keys[metric], is_max,
                      is_max ? toy.low[metric] + way : toy.high[metric] - way);
        }
        int code = feasibility_check(toy.space, &goals, toy.evaluators, 2, &err, &f);
        bool kept = any_keeps(&goals, &toy.evaluators[0], all, n);
        none += !kept;
        refused += code == ESP_EINFEASIBLE;
        assert_true(code == 0 || code == ESP_EINFEASIBLE);
        if (code == ESP_EINFEASIBLE) {
            assert_false(kept);
            assert_memory_equal(err.pointer, "/constraints/", 13);
        }
    }
    print_message("%d of %d refused\n", refused, none);
    assert_true(none >= 20 && refused >= none * 0.9);
    free(all);
    close_toy(&toy);
}

static void names_the_limits_that_exclude_each_other(void **state) {
    struct space *space;
    struct evaluator evaluators[2];
    struct attainable least, most;
    struct feasibility f;
    struct err err = {0};
    assert_int_equal(space_builtin("ofa_mbv3", NULL, &space), 0);
    make_evaluators(space, evaluators);
    struct goals goals = goals_without();
    assert_int_equal(attainable_extreme(space, evaluators, 2, "macs", false, NULL, &least), 0);
    assert_int_equal(attainable_extreme(space, evaluators, 2, "params", true, NULL, &most), 0);
    add_limit(&goals, "macs", true, 1.001 * least.value);
    add_limit(&goals, "peak_simple_bytes", true, 1e12);
    add_limit(&goals, "params", false, 0.99 * most.value);
    int64_t start = clock_mono_ns();
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, &err, &f), ESP_EINFEASIBLE);
    double ms = (double)(clock_mono_ns() - start) / 1e6;
    print_message("%.0f ms: %s\n", ms, err.message);
    assert_string_equal(err.pointer, "/constraints/2/min");
    assert_non_null(strstr(err.message, "macs of at most "));
    assert_non_null(strstr(err.message, "(/constraints/0/max; with the others it is at least "));
    assert_non_null(strstr(err.message, "params of at least "));
    assert_null(strstr(err.message, "peak_simple_bytes"));
    assert_non_null(strstr(err.message, "the others are kept by one random subnet in "));
    assert_non_null(strstr(err.message, "and one in a hundred at least "));
    if (ms > 4000)
        fail_msg("%g ms", ms);
    /* A peak and a sum. */
    goals.n_constraints = 0;
    assert_int_equal(
        attainable_extreme(space, evaluators, 2, "peak_simple_bytes", false, NULL, &least), 0);
    add_limit(&goals, "peak_simple_bytes", true, least.value);
    add_limit(&goals, "params", false, most.value);
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, &err, &f), ESP_EINFEASIBLE);
    print_message("%s\n", err.message);
    /* A peak from below: where a unit needs so much there are many MACs. */
    goals.n_constraints = 0;
    assert_int_equal(
        attainable_extreme(space, evaluators, 2, "peak_simple_bytes", true, NULL, &most), 0);
    assert_int_equal(attainable_extreme(space, evaluators, 2, "macs", false, NULL, &least), 0);
    add_limit(&goals, "peak_simple_bytes", false, most.value);
    add_limit(&goals, "macs", true, least.value);
    start = clock_mono_ns();
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, &err, &f), ESP_EINFEASIBLE);
    print_message("%.0f ms: %s\n", (double)(clock_mono_ns() - start) / 1e6, err.message);
    assert_non_null(strstr(err.message, "peak_simple_bytes of at least "));
    cost_evaluator_destroy(&evaluators[0]);
    space_destroy(space);
}

/* Chance of a random subnet to have at most so many parameters. */
static double share_within(const struct space *space, double bound) {
    struct gene genes[SPACE_GENES_MAX];
    int n_genes = space_genes(space, genes), n;
    struct arch *all = toy_enumerate(space, &n);
    double share = 0;
    for (int i = 0; i < n; i++) {
        struct cost cost;
        double chance = 1;
        assert_int_equal(arch_cost(space, &all[i], NULL, &cost), 0);
        for (int g = 0; g < n_genes; g++)
            if (arch_gene_active(space, &all[i], &genes[g]))
                chance /= genes[g].n_choices;
        share += (double)cost.params <= bound ? chance : 0;
    }
    free(all);
    return share;
}

static bool name_aloud(const void *context, const char *key, size_t size, char *ret_text) {
    snprintf(ret_text, size, "%s %s", (const char *)context, key);
    return strcmp(key, "macs") == 0;
}

static bool value_aloud(const void *context, const char *key, double value, size_t size,
                        char *ret_text) {
    snprintf(ret_text, size, "%.0f MMACs", value / 1e6);
    return strcmp(key, "macs") == 0;
}

static void speaks_of_metrics_in_the_words_that_it_is_given(void **state) {
    const struct metric_words words = {"the dear", name_aloud, value_aloud};
    struct space *space;
    struct evaluator evaluators[2];
    struct feasibility f;
    struct err err = {0};
    assert_int_equal(space_builtin("ofa_mbv3", NULL, &space), 0);
    make_evaluators(space, evaluators);
    struct goals goals = goals_with((struct constraint){0, true, 7e6}, "macs");
    goals.words = &words;
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, &err, &f), ESP_EINFEASIBLE);
    assert_non_null(strstr(err.message, "no subnet has the dear macs of at most 7 MMACs: "));
    goals.constraints[0].bound = 50e6;
    add_limit(&goals, "params", false, 7e6);
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, &err, &f), ESP_EINFEASIBLE);
    assert_non_null(strstr(err.message, "the dear macs of at most 50 MMACs (/constraints/0/max; "));
    assert_non_null(strstr(err.message, "params of at least 7e+06 (/constraints/1/min; "));
    cost_evaluator_destroy(&evaluators[0]);
    space_destroy(space);
}

/* No subnet is known to keep both, and none is proven not to. */
static void tells_of_the_nearest_where_nothing_is_proven(void **state) {
    struct space *space = toy_space();
    struct evaluator evaluators[2];
    double low[METRICS], high[METRICS];
    int n, noted = 0, none = 0;
    make_evaluators(space, evaluators);
    enumerate_extremes(space, &evaluators[0], low, high);
    struct arch *all = toy_enumerate(space, &n);
    for (double way = 0; way < 0.5; way += 0.01) {
        struct goals goals = goals_without();
        struct feasibility f;
        add_limit(&goals, "macs", true, low[0] + way * (high[0] - low[0]));
        add_limit(&goals, "params", false, high[1] - 0.02 * (high[1] - low[1]));
        if (feasibility_check(space, &goals, evaluators, 2, NULL, &f) != 0 || f.accepted > 0)
            continue;
        noted++;
        none += !any_keeps(&goals, &evaluators[0], all, n);
        assert_true(f.has_nearest && f.nearest[0] >= low[0] && f.nearest[1] <= high[1]);
        assert_true(f.nearest[0] > goals.constraints[0].bound ||
                    f.nearest[1] < goals.constraints[1].bound);
    }
    print_message("%d noted, of which no subnet keeps %d\n", noted, none);
    assert_true(noted > 0);
    free(all);
    cost_evaluator_destroy(&evaluators[0]);
    space_destroy(space);
}

static void estimates_how_many_pass(void **state) {
    struct space *space = toy_space();
    struct evaluator evaluators[2];
    struct feasibility f;
    make_evaluators(space, evaluators);
    struct goals goals = goals_with((struct constraint){0, true, 1e12}, "params");
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, NULL, &f), 0);
    assert_true(f.accepted == 1);
    double low[METRICS], high[METRICS];
    enumerate_extremes(space, &evaluators[0], low, high);
    goals.constraints[0].bound = (low[1] + high[1]) / 2;
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, NULL, &f), 0);
    assert_true(f.accepted > 0.1 && f.accepted < 0.9);
    assert_true(fabs(f.accepted / share_within(space, goals.constraints[0].bound) - 1) < 0.03);
    /* Rare ones too, which a thousand random subnets would not tell of. */
    goals.constraints[0].bound = low[1] + 0.02 * (high[1] - low[1]);
    double share = share_within(space, goals.constraints[0].bound);
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, NULL, &f), 0);
    assert_true(share < 0.05 && fabs(f.accepted / share - 1) < 0.03);
    goals.constraints[0].bound = low[1] - 1;
    struct err err = {0};
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, &err, &f), ESP_EINFEASIBLE);
    double rare = share_within(space, f.hundredth);
    assert_true(rare > 0.003 && rare < 0.04);
    assert_non_null(strstr(err.message, "one random subnet in a hundred has at most "));
    /* Nothing is known about top1 before it is evaluated, and it is not cheap. */
    goals = goals_with((struct constraint){0, false, 0.99}, "top1");
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, NULL, &f), 0);
    assert_false(f.attainable[0].known);
    cost_evaluator_destroy(&evaluators[0]);
    space_destroy(space);
}

/* What is looked at, which time is proportional to. */
static struct {
    struct evaluator counted;
    double (*unit)(void *context, const struct graph *graph, int unit);
    int64_t units, networks;
} looked;

static double count_unit(void *context, const struct graph *graph, int unit) {
    looked.units++;
    return looked.unit(context, graph, unit);
}

static bool count_additive(void *context, int metric, struct additive_metric *ret_metric) {
    bool has = looked.counted.additive(context, metric, ret_metric);
    looked.unit = ret_metric->cost.unit;
    ret_metric->cost.unit = count_unit;
    return has;
}

static int count_networks(void *context, struct evaluation *evaluations, int n, struct err *err) {
    looked.networks += n;
    return looked.counted.submit(context, evaluations, n, err);
}

/* A space of more than 10^19 subnets is answered for by its units, each at its places and sizes,
 * and by a sample of whole networks. */
static void looks_at_few_networks_of_a_large_space(void **state) {
    struct space *space;
    struct evaluator evaluators[2];
    struct feasibility f;
    struct err err = {0};
    assert_int_equal(space_builtin("ofa_mbv3", NULL, &space), 0);
    make_evaluators(space, evaluators);
    looked.counted = evaluators[0];
    evaluators[0].additive = count_additive;
    evaluators[0].submit = count_networks;
    struct goals goals = goals_with((struct constraint){0, true, 30e6}, "macs");
    assert_int_equal(feasibility_check(space, &goals, evaluators, 2, &err, &f), ESP_EINFEASIBLE);
    assert_true(f.attainable[0].value > 30e6 && f.attainable[0].value < 121278672);
    print_message("%lld units, %lld networks\n", (long long)looked.units,
                  (long long)looked.networks);
    assert_true(looked.units > 0 && looked.units < 20000);
    assert_true(looked.networks <= 2000);
    cost_evaluator_destroy(&looked.counted);
    space_destroy(space);
}

static void reference_is_the_worst_that_may_count(void **state) {
    struct space *space = toy_space();
    static const char *const loss[] = {"loss"};
    struct evaluator evaluators[2];
    double reference[OBJECTIVES_MAX], low[METRICS], high[METRICS];
    make_evaluators(space, evaluators);
    enumerate_extremes(space, &evaluators[0], low, high);
    struct goals goals = goals_with((struct constraint){0, true, 1e12}, "params");
    assert_int_equal(reference_point(space, &goals, evaluators, 2, NULL, reference), 0);
    assert_true(reference[0] == -0.1 && reference[1] == high[0]);
    goals = goals_with((struct constraint){0, true, high[0] / 2}, "macs");
    assert_int_equal(reference_point(space, &goals, evaluators, 2, NULL, reference), 0);
    assert_true(reference[1] == high[0] / 2);
    goals = goals_with((struct constraint){0, false, 0.5}, "top1");
    assert_int_equal(reference_point(space, &goals, evaluators, 2, NULL, reference), 0);
    assert_true(reference[0] == -0.5 && reference[1] == high[0]);
    goals = goals_with((struct constraint){0, true, 1e12}, "params");
    goals.objectives[0].maximise = false;
    snprintf(goals.keys[0], METRIC_KEY_MAX, "loss");
    evaluators[1].keys = loss;
    assert_int_equal(reference_point(space, &goals, evaluators, 2, NULL, reference), 0);
    assert_true(reference[0] == log(10)); /* of a toy with ten classes */
    cost_evaluator_destroy(&evaluators[0]);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extremes_are_those_of_the_whole_space),
        cmocka_unit_test(refuses_what_no_subnet_meets),
        cmocka_unit_test(refuses_a_max_below_a_min),
        cmocka_unit_test(refuses_limits_that_exclude_each_other),
        cmocka_unit_test(names_the_limits_that_exclude_each_other),
        cmocka_unit_test(speaks_of_metrics_in_the_words_that_it_is_given),
        cmocka_unit_test(tells_of_the_nearest_where_nothing_is_proven),
        cmocka_unit_test(estimates_how_many_pass),
        cmocka_unit_test(looks_at_few_networks_of_a_large_space),
        cmocka_unit_test(reference_is_the_worst_that_may_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
