#include "fixture.h"

#include <math.h>

#include "space/additive.h"

/* A cost without structure: what the DP finds can only come from adding these up. */
static double scattered_cost(const char *signature, uint64_t seed) {
    uint64_t hash = seed * 0x9e3779b97f4a7c15u + 1;
    for (; *signature; signature++)
        hash = (hash ^ (unsigned char)*signature) * 1099511628211u;
    hash ^= hash >> 29;
    return (double)(hash % 1000003) / 1000.0;
}

struct table {
    uint64_t seed;
    double shift;       /* added to each unit: negative ones reward depth */
    const char *hidden; /* units whose signature holds this are unknown */
    bool largest;       /* of the units, in place of their sum */
    int calls;
};

static double table_unit(void *context, const struct graph *graph, int unit) {
    struct table *table = context;
    const char *signature = graph->units[unit].signature;
    table->calls++;
    if (table->hidden && strstr(signature, table->hidden))
        return NAN;
    return scattered_cost(signature, table->seed) + table->shift;
}

static double arch_value(const struct space *space, const struct arch *arch, struct table *table) {
    struct graph *graph = NULL;
    double sum = 0, most = -INFINITY;
    assert_int_equal(graph_build(space, arch, NULL, &graph), 0);
    for (int i = 0; i < graph->n_units; i++) {
        double cost = table_unit(table, graph, i);
        sum += cost;
        most = isnan(cost) || cost > most ? cost : most;
    }
    free(graph);
    return table->largest && !isnan(sum) ? most : sum;
}

static double exhaustive_min(const struct space *space, struct table *table) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes), subnets = 0;
    double best = INFINITY;
    struct arch arch;
    arch_min(space, &arch);
    do {
        if (!arch_valid(space, &arch))
            continue;
        double sum = arch_value(space, &arch, table);
        subnets++;
        if (sum < best)
            best = sum;
    } while (next_arch(genes, n, &arch));
    assert_int_equal(subnets, TINY_SUBNETS);
    return best;
}

static void check_against_all(struct table table) {
    struct space *space = parsed_space(TINY_SPACE);
    const struct additive_cost cost = {table_unit, &table};
    struct arch arch;
    double least = 0;
    int code = (table.largest ? bottleneck_min : additive_min)(space, &cost, NULL, &least, &arch);
    assert_int_equal(code, 0);
    assert_true(arch_valid(space, &arch));
    assert_true(fabs(arch_value(space, &arch, &table) - least) < 1e-9);
    assert_true(fabs(exhaustive_min(space, &table) - least) < 1e-9);
    space_destroy(space);
}

static void minimum_equals_that_of_all_subnets(void **state) {
    for (uint64_t seed = 1; seed <= 5; seed++)
        check_against_all((struct table){.seed = seed});
}

static void negative_costs_are_minimised_too(void **state) {
    check_against_all((struct table){.seed = 6, .shift = -700});
}

static void unknown_units_are_avoided(void **state) {
    check_against_all((struct table){.seed = 7, .hidden = "e32"});
    check_against_all((struct table){.seed = 8, .hidden = "x9 "});
}

static void least_bottleneck_equals_that_of_all_subnets(void **state) {
    for (uint64_t seed = 10; seed <= 14; seed++)
        check_against_all((struct table){.seed = seed, .largest = true});
    check_against_all((struct table){.seed = 15, .largest = true, .hidden = "k5"});
}

/* Of the subnets of which one unit costs so much in another table. */
static double exhaustive_min_reaching(const struct space *space, struct table *table,
                                      struct table *peaks, double least) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    double best = INFINITY;
    struct arch arch;
    arch_min(space, &arch);
    do {
        if (arch_valid(space, &arch) && arch_value(space, &arch, peaks) >= least)
            best = fmin(best, arch_value(space, &arch, table));
    } while (next_arch(genes, n, &arch));
    return best;
}

static void minimum_of_what_reaches_a_peak_equals_that_of_all_such_subnets(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    int none = 0;
    for (uint64_t seed = 20; seed < 26; seed++)
        for (double least = 700; least <= 1003; least += 25) {
            struct table table = {.seed = seed, .shift = seed % 2 ? 0 : -500};
            struct table peaks = {.seed = seed + 50, .largest = true};
            const struct additive_cost cost = {table_unit, &table};
            const struct additive_reach reach = {{table_unit, &peaks}, least};
            struct arch arch;
            double found = INFINITY;
            double expected = exhaustive_min_reaching(space, &table, &peaks, least);
            int code = additive_min_reaching(space, &cost, &reach, NULL, &found, &arch);
            assert_int_equal(code, isinf(expected) ? ESP_EMISSING : 0);
            none += code != 0;
            if (code != 0)
                continue;
            assert_true(fabs(found - expected) < 1e-9);
            assert_true(arch_valid(space, &arch) && arch_value(space, &arch, &peaks) >= least);
            assert_true(fabs(arch_value(space, &arch, &table) - found) < 1e-9);
        }
    print_message("%d of 78 without such a subnet\n", none);
    assert_true(none > 0 && none < 40);
    space_destroy(space);
}

static void a_space_of_unknown_units_is_missing(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    struct table table = {.seed = 1, .hidden = "head_conv"};
    const struct additive_cost cost = {table_unit, &table};
    struct arch arch;
    struct err err = {0};
    double least = 5;
    assert_int_equal(additive_min(space, &cost, &err, &least, &arch), ESP_EMISSING);
    assert_true(least == 5);
    assert_non_null(strstr(err.message, "tiny"));
    space_destroy(space);
}

/* Cost per unit is asked for a bounded number of times: a few for each entry of the table. */
static void large_spaces_need_few_questions(void **state) {
    struct space *space = builtin("ofa_mbv3");
    struct table table = {.seed = 9};
    const struct additive_cost cost = {table_unit, &table};
    struct arch arch;
    double least;
    assert_int_equal(additive_min(space, &cost, NULL, &least, &arch), 0);
    assert_true(arch_valid(space, &arch));
    assert_int_equal(table.calls, 25 * (1 + 1 + 5 * 18 + 2));
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(minimum_equals_that_of_all_subnets),
        cmocka_unit_test(negative_costs_are_minimised_too),
        cmocka_unit_test(unknown_units_are_avoided),
        cmocka_unit_test(least_bottleneck_equals_that_of_all_subnets),
        cmocka_unit_test(minimum_of_what_reaches_a_peak_equals_that_of_all_such_subnets),
        cmocka_unit_test(a_space_of_unknown_units_is_missing),
        cmocka_unit_test(large_spaces_need_few_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
