/* Effects of choices, of outcomes that were not drawn evenly, against the costs they were made by.
 */
#include "tests/unit/unit.h"

#include <math.h>

#include "search/told_slope.h"
#include "tests/unit/search/toy.h"

enum { OUTCOMES = 400 };

static double true_effect(int gene, int choice) {
    return 0.1 * (gene + 1) * choice;
}

/* Large choices come together: the mean of the outcomes with one choice tells of the others too. */
static struct arch lopsided(const struct relaxed_shape *shape, uint32_t i) {
    struct rng rng = rng_make(5, RNG_SAMPLE, 0, i);
    struct arch arch = {0};
    bool large = rng_unit(&rng) < 0.5;
    for (int g = 0; g < shape->n_genes; g++) {
        int n = shape->genes[g].n_choices, drawn = (int)rng_below(&rng, (uint32_t)n);
        arch_set_gene(&arch, &shape->genes[g], rng_unit(&rng) < 0.5 ? (large ? n - 1 : 0) : drawn);
    }
    arch_canonicalise(shape->space, &arch);
    return arch;
}

static double cost_of(const struct relaxed_shape *shape, const struct arch *arch) {
    double cost = 3;
    for (int g = 0; g < shape->n_genes; g++)
        if (arch_gene_active(shape->space, arch, &shape->genes[g]))
            cost += true_effect(g, arch_gene(arch, &shape->genes[g]));
    return cost;
}

/* Knows the second cost alone: twice the first probability. */
static int half(void *context, const double *point, struct err *err, struct slope_look *ret_look) {
    const struct relaxed_shape *shape = context;
    ret_look->costs[0] = NAN;
    ret_look->costs[1] = 2 * point[0];
    for (int j = 0; j < shape->n; j++) {
        ret_look->by_cost[j] = 0;
        ret_look->by_cost[shape->n + j] = 2 * (j == 0);
    }
    return 0;
}

/* The model is that of the archs told, shallow or deep, and its derivatives lead from one to
 * another: along the line between two of them they sum up to what lies between. */
static void check_vertices(const struct told_slope *whole, const struct told *told,
                           double *by_cost) {
    enum { PIECES = 200 };
    const struct relaxed_shape *shape = whole->slope.shape;
    struct slope_look look = {.by_cost = by_cost};
    double a[RELAXED_MAX], b[RELAXED_MAX], point[RELAXED_MAX];
    for (int i = 0; i + 1 < 40; i++) {
        double sum = 0, costs[2];
        relaxed_vertex(shape, &told->outcomes[i].arch, a);
        relaxed_vertex(shape, &told->outcomes[i + 1].arch, b);
        whole->slope.look(whole->slope.context, a, NULL, &look);
        costs[0] = look.costs[0];
        whole->slope.look(whole->slope.context, b, NULL, &look);
        costs[1] = look.costs[0];
        assert_true(fabs(costs[0] - told->outcomes[i].costs[0]) < 0.15);
        for (int k = 0; k < PIECES; k++) {
            for (int j = 0; j < shape->n; j++)
                point[j] = a[j] + (b[j] - a[j]) * (k + 0.5) / PIECES;
            whole->slope.look(whole->slope.context, point, NULL, &look);
            for (int j = 0; j < shape->n; j++)
                sum += by_cost[j] * (b[j] - a[j]) / PIECES;
        }
        assert_true(fabs(sum - (costs[1] - costs[0])) < 1e-3);
    }
}

static void effects_are_those_that_made_the_costs(void **state) {
    struct space *space = toy_space();
    struct relaxed_shape shape;
    struct strategy_config config = strategy_config_default(space, 2, 1);
    struct told told = {.config = config};
    struct told_slope *whole = calloc(1, sizeof *whole);
    double point[RELAXED_MAX] = {0}, by_cost[2 * RELAXED_MAX];
    struct slope_look look = {.by_cost = by_cost};
    told.outcomes = calloc(OUTCOMES, sizeof *told.outcomes);
    relaxed_shape_init(space, &shape);
    for (uint32_t i = 0; i < OUTCOMES; i++) {
        struct outcome *outcome = &told.outcomes[told.n++];
        outcome->arch = lopsided(&shape, i);
        outcome->costs[0] = cost_of(&shape, &outcome->arch);
    }
    const struct slope known = {&shape, &shape, half};
    told_slope_init(&told, &known, whole);
    relaxed_vertex(&shape, &told.outcomes[0].arch, point);
    assert_int_equal(whole->slope.look(whole->slope.context, point, NULL, &look), 0);
    assert_true(look.costs[1] == 2 * point[0] && by_cost[shape.n] == 2);
    for (int g = 0; g < shape.n_genes; g++) {
        const double *at = by_cost + shape.first[g];
        int last = shape.genes[g].n_choices - 1;
        /* A depth brings blocks along: what they are worth together is checked below. */
        if (shape.genes[g].kind != GENE_DEPTH && last > 0)
            assert_true(fabs(at[last] - at[0] - true_effect(g, last)) <
                        0.15 * true_effect(g, last));
    }
    check_vertices(whole, &told, by_cost);
    free(told.outcomes);
    free(whole);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(effects_are_those_that_made_the_costs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
