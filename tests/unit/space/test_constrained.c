#include "fixture.h"

#include <math.h>

#include "space/constrained.h"

/* Costs without structure, known by signature. */
static double scattered(const char *signature, uint64_t seed) {
    uint64_t hash = seed * 0x9e3779b97f4a7c15u + 1;
    for (; *signature; signature++)
        hash = (hash ^ (unsigned char)*signature) * 1099511628211u;
    hash ^= hash >> 29;
    return (double)(hash % 1000003) / 1000.0;
}

static double unit_cost_of(void *context, const struct graph *graph, int unit) {
    return scattered(graph->units[unit].signature, *(const uint64_t *)context);
}

/* A cost of which every resolution has another table, as imported ones do. */
struct sections {
    uint64_t seed;
    int resolution;
};

static double section_cost_of(void *context, const struct graph *graph, int unit) {
    const struct sections *sections = context;
    return scattered(graph->units[unit].signature, sections->seed) * (1 + sections->resolution);
}

static void set_resolution(void *context, int resolution) {
    ((struct sections *)context)->resolution = resolution;
}

static double arch_value(const struct space *space, const struct arch *arch, uint64_t seed,
                         bool largest) {
    struct graph *graph = NULL;
    double sum = 0, most = 0;
    assert_int_equal(graph_build(space, arch, NULL, &graph), 0);
    for (int i = 0; i < graph->n_units; i++) {
        double cost = scattered(graph->units[i].signature, seed);
        sum += cost;
        most = fmax(most, cost);
    }
    free(graph);
    return largest ? most : sum;
}

/* The chance that arch_random draws it. */
static double chance_of(const struct space *space, const struct arch *arch) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    double chance = 1;
    for (int i = 0; i < n; i++)
        if (arch_gene_active(space, arch, &genes[i]))
            chance /= genes[i].n_choices;
    return chance;
}

struct all {
    struct space *space;
    int n;
    struct arch archs[TINY_SUBNETS];
    double chance[TINY_SUBNETS];
};

static struct all *enumerate(void) {
    struct all *all = calloc(1, sizeof *all);
    struct gene genes[SPACE_GENES_MAX];
    struct arch arch;
    double total = 0;
    all->space = parsed_space(TINY_SPACE);
    int n = space_genes(all->space, genes);
    arch_min(all->space, &arch);
    do {
        if (!arch_valid(all->space, &arch))
            continue;
        all->archs[all->n] = arch;
        all->chance[all->n] = chance_of(all->space, &arch);
        total += all->chance[all->n++];
    } while (next_arch(genes, n, &arch));
    assert_int_equal(all->n, TINY_SUBNETS);
    assert_true(fabs(total - 1) < 1e-9);
    return all;
}

static void free_all(struct all *all) {
    space_destroy(all->space);
    free(all);
}

static int find_arch(const struct all *all, const struct arch *arch) {
    for (int i = 0; i < all->n; i++)
        if (arch_equal(&all->archs[i], arch))
            return i;
    return -1;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The value that so many subnets do not exceed. */
static double value_at(const struct all *all, uint64_t seed, bool largest, int rank) {
    double *values = calloc((size_t)all->n, sizeof *values);
    for (int i = 0; i < all->n; i++)
        values[i] = arch_value(all->space, &all->archs[i], seed, largest);
    qsort(values, (size_t)all->n, sizeof *values, compare);
    double value = values[rank];
    free(values);
    return value;
}

enum { DRAWS = 40000 };

/* Draws are those of arch_random that keep all limits, each as likely as there. */
static void check_distribution(const struct all *all, const struct constrained_limit *limits,
                               const uint64_t *seeds, int n) {
    struct constrained *constrained;
    int *seen = calloc((size_t)all->n, sizeof *seen), within = 0;
    double share = 0, square = 0;
    bool *keeps = calloc((size_t)all->n, sizeof *keeps);
    for (int i = 0; i < all->n; i++) {
        keeps[i] = true;
        for (int k = 0; k < n; k++)
            keeps[i] &= arch_value(all->space, &all->archs[i], seeds[k], limits[k].bottleneck) <=
                        limits[k].bound * (1 + 1e-12);
        share += keeps[i] ? all->chance[i] : 0;
        within += keeps[i];
    }
    assert_int_equal(constrained_create(all->space, limits, n, NULL, &constrained), 0);
    assert_true(fabs(constrained_share(constrained) / share - 1) < (n > 1 ? 0.2 : 0.03));
    for (uint32_t i = 0; i < DRAWS; i++) {
        struct rng rng = rng_make(5, RNG_TEST, 0, i);
        struct arch arch;
        assert_true(constrained_draw(constrained, &rng, 1, &arch));
        int at = find_arch(all, &arch);
        assert_true(at >= 0 && keeps[at]);
        seen[at]++;
    }
    /* Pearson's chi-square has a mean of one less than the classes, a variance of twice that. */
    for (int i = 0; i < all->n; i++)
        if (keeps[i]) {
            double expected = DRAWS * all->chance[i] / share;
            assert_true(expected < 12 || seen[i] > 0);
            square += (seen[i] - expected) * (seen[i] - expected) / expected;
        }
    assert_true(fabs(square - (within - 1)) < 5 * sqrt(2.0 * within) + 1);
    constrained_destroy(constrained);
    free(seen);
    free(keeps);
}

static struct constrained_limit limit_at(const struct all *all, uint64_t *seed, bool largest,
                                         double quantile) {
    return (struct constrained_limit){
        {unit_cost_of, seed},
        largest,
        value_at(all, *seed, largest, (int)(quantile * (all->n - 1)))};
}

static void draws_are_random_subnets_within_a_limit(void **state) {
    static const double quantiles[] = {0, 0.002, 0.02, 0.3, 1};
    struct all *all = enumerate();
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        uint64_t seed = 1 + i;
        struct constrained_limit limit = limit_at(all, &seed, false, quantiles[i]);
        check_distribution(all, &limit, &seed, 1);
    }
    free_all(all);
}

static void limits_go_together(void **state) {
    struct all *all = enumerate();
    uint64_t seeds[] = {3, 4, 5};
    struct constrained_limit limits[] = {limit_at(all, &seeds[0], false, 0.3),
                                         limit_at(all, &seeds[1], false, 0.5),
                                         limit_at(all, &seeds[2], true, 0.9)};
    check_distribution(all, limits, seeds, 3);
    check_distribution(all, limits + 2, seeds + 2, 1);
    limits[2] = limit_at(all, &seeds[2], false, 0.7);
    check_distribution(all, limits, seeds, 3);
    check_distribution(all, NULL, NULL, 0);
    free_all(all);
}

static void a_smaller_budget_draws_cheaper_subnets(void **state) {
    struct all *all = enumerate();
    uint64_t seed = 2;
    struct constrained_limit limit = limit_at(all, &seed, false, 0.5);
    struct constrained *constrained;
    double least = value_at(all, seed, false, 0), sums[3] = {0};
    assert_int_equal(constrained_create(all->space, &limit, 1, NULL, &constrained), 0);
    for (uint32_t i = 0; i < 3000; i++) {
        struct rng rng = rng_make(5, RNG_TEST, 1, i);
        struct arch arch;
        assert_true(constrained_draw(constrained, &rng, 0.5 * (i % 3), &arch));
        sums[i % 3] += arch_value(all->space, &arch, seed, false) / 1000;
    }
    assert_true(sums[0] < sums[1] && sums[1] < sums[2]);
    assert_true(sums[0] < least + 0.5 * (limit.bound - least));
    constrained_destroy(constrained);
    free_all(all);
}

static void resolutions_may_have_tables_of_their_own(void **state) {
    struct all *all = enumerate();
    struct sections sections = {.seed = 2};
    double bound = value_at(all, 2, false, all->n / 10), share = 0;
    struct constrained_limit limit = {{section_cost_of, &sections, set_resolution}, false, bound};
    struct constrained *constrained;
    for (int i = 0; i < all->n; i++)
        if (arch_value(all->space, &all->archs[i], 2, false) * (1 + all->archs[i].resolution) <=
            bound)
            share += all->chance[i];
    assert_int_equal(constrained_create(all->space, &limit, 1, NULL, &constrained), 0);
    assert_true(fabs(constrained_share(constrained) / share - 1) < 0.05);
    constrained_destroy(constrained);
    free_all(all);
}

static void what_nothing_keeps_is_refused(void **state) {
    struct all *all = enumerate();
    uint64_t seeds[] = {3, 4};
    struct err err = {0};
    struct constrained *constrained;
    for (int largest = 0; largest < 2; largest++) {
        struct constrained_limit limit = limit_at(all, &seeds[largest], largest, 0);
        limit.bound *= 0.999;
        assert_int_equal(constrained_create(all->space, &limit, 1, &err, &constrained),
                         ESP_EINFEASIBLE);
        assert_non_null(strstr(err.message, "within the limits"));
    }
    free_all(all);
}

/* One in a hundred million of once-for-all's subnets. */
static void rare_subnets_of_a_large_space_are_drawn(void **state) {
    struct space *space;
    struct constrained *constrained;
    struct arch arch;
    uint64_t seed = 1;
    double least;
    struct additive_cost cost = {unit_cost_of, &seed};
    assert_int_equal(space_builtin("ofa_mbv3", NULL, &space), 0);
    assert_int_equal(additive_min(space, &cost, NULL, &least, &arch), 0);
    struct constrained_limit limit = {cost, false, 1.25 * least};
    assert_int_equal(constrained_create(space, &limit, 1, NULL, &constrained), 0);
    double share = constrained_share(constrained);
    assert_true(share > 0 && share < 1e-6);
    for (uint32_t i = 0; i < 200; i++) {
        struct rng rng = rng_make(5, RNG_TEST, 2, i);
        assert_true(constrained_draw(constrained, &rng, 1, &arch));
        assert_true(arch_valid(space, &arch));
        assert_true(arch_value(space, &arch, seed, false) <= limit.bound * (1 + 1e-9));
    }
    constrained_destroy(constrained);
    space_destroy(space);
}

static double both_costs_of(void *context, const struct graph *graph, int unit) {
    const uint64_t *seeds = context;
    return scattered(graph->units[unit].signature, seeds[0]) +
           scattered(graph->units[unit].signature, seeds[1]);
}

/* Two costs that have nothing to do with each other: what keeps one seldom keeps the other. */
static void rare_subnets_within_two_sums_are_drawn(void **state) {
    const int wanted = 200;
    struct space *space;
    struct constrained *constrained;
    struct arch arch;
    uint64_t seeds[2] = {1, 2};
    double least;
    int drawn = 0;
    struct additive_cost both = {both_costs_of, seeds};
    assert_int_equal(space_builtin("ofa_mbv3", NULL, &space), 0);
    assert_int_equal(additive_min(space, &both, NULL, &least, &arch), 0);
    struct constrained_limit limits[2];
    for (int k = 0; k < 2; k++)
        limits[k] = (struct constrained_limit){
            {unit_cost_of, &seeds[k]}, false, 1.1 * arch_value(space, &arch, seeds[k], false)};
    assert_int_equal(constrained_create(space, limits, 2, NULL, &constrained), 0);
    double share = constrained_share(constrained);
    assert_true(share > 0 && share < 1e-6);
    for (uint32_t i = 0; (int)i < wanted; i++) {
        struct rng rng = rng_make(5, RNG_TEST, 2, i);
        if (!constrained_draw(constrained, &rng, 1, &arch))
            continue;
        drawn++;
        assert_true(arch_valid(space, &arch));
        for (int k = 0; k < 2; k++)
            assert_true(arch_value(space, &arch, seeds[k], false) <= limits[k].bound * (1 + 1e-9));
    }
    assert_true(drawn >= wanted * 9 / 10);
    constrained_destroy(constrained);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(draws_are_random_subnets_within_a_limit),
                                       cmocka_unit_test(limits_go_together),
                                       cmocka_unit_test(a_smaller_budget_draws_cheaper_subnets),
                                       cmocka_unit_test(resolutions_may_have_tables_of_their_own),
                                       cmocka_unit_test(what_nothing_keeps_is_refused),
                                       cmocka_unit_test(rare_subnets_of_a_large_space_are_drawn),
                                       cmocka_unit_test(rare_subnets_within_two_sums_are_drawn)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
