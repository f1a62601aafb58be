/* Expectations over the relaxed space, against the mean over all subnets of a space that is
 * enumerated, each as likely as its choices are; derivatives against finite differences. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "space/cost.h"
#include "space/relaxed.h"
#include "tests/unit/search/toy.h"
#include "tests/unit/space/random_point.h"

static double unit_macs(void *context, const struct graph *graph, int unit) {
    struct cost cost;
    (void)context;
    unit_cost(graph, unit, &cost);
    return (double)cost.macs;
}

/* Of the canonical arch: genes that it does not have are summed over. */
static double chance(const struct relaxed_shape *shape, const double *point,
                     const struct arch *arch) {
    double product = 1;
    for (int g = 0; g < shape->n_genes; g++)
        if (arch_gene_active(shape->space, arch, &shape->genes[g]))
            product *= point[shape->first[g] + arch_gene(arch, &shape->genes[g])];
    return product;
}

static void expectation_is_the_mean_over_all_subnets(void **state) {
    struct space *space = toy_space();
    struct relaxed_shape shape;
    const struct additive_cost cost = {.unit = unit_macs};
    struct expected_cost *expected;
    double point[RELAXED_MAX];
    int n;
    struct arch *all = toy_enumerate(space, &n);
    relaxed_shape_init(space, &shape);
    assert_int_equal(expected_cost_create(&shape, &cost, NULL, &expected), 0);
    for (uint32_t seed = 1; seed <= 3; seed++) {
        double mean = 0, total = 0;
        random_point(&shape, seed, point);
        for (int i = 0; i < n; i++) {
            mean += chance(&shape, point, &all[i]) * toy_macs(space, &all[i]);
            total += chance(&shape, point, &all[i]);
        }
        assert_true(fabs(total - 1) < 1e-12);
        assert_true(fabs(expected_cost_get(expected, point, NULL) - mean) < 1e-9 * mean);
    }
    for (int i = 0; i < n; i += 97) {
        relaxed_vertex(&shape, &all[i], point);
        assert_true(fabs(expected_cost_get(expected, point, NULL) - toy_macs(space, &all[i])) <
                    1e-6);
    }
    free(all);
    expected_cost_destroy(expected);
    space_destroy(space);
}

/* The expectation is linear in each probability: differences are exact but for rounding. */
static void check_derivatives(const struct relaxed_shape *shape,
                              const struct expected_cost *expected) {
    double point[RELAXED_MAX], gradient[RELAXED_MAX];
    random_point(shape, 7, point);
    double value = expected_cost_get(expected, point, gradient);
    for (int j = 0; j < shape->n; j++) {
        const double step = 0.01, at = point[j];
        point[j] = at + step;
        double above = expected_cost_get(expected, point, NULL);
        point[j] = at - step;
        double below = expected_cost_get(expected, point, NULL);
        point[j] = at;
        double wanted = (above - below) / (2 * step);
        if (!(fabs(gradient[j] - wanted) < 1e-9 * value))
            fail_msg("probability %d: %.12g in place of %.12g", j, gradient[j], wanted);
    }
}

static void derivatives_are_those_of_differences(void **state) {
    static const char *const names[] = {"ofa_mbv3", "resnet_50_elastic", "peer_28"};
    const struct additive_cost cost = {.unit = unit_macs};
    for (int i = -1; i < 3; i++) {
        struct space *space = NULL;
        struct relaxed_shape shape;
        struct expected_cost *expected;
        if (i < 0)
            space = toy_space();
        else
            assert_int_equal(space_builtin(names[i], NULL, &space), 0);
        relaxed_shape_init(space, &shape);
        assert_int_equal(expected_cost_create(&shape, &cost, NULL, &expected), 0);
        check_derivatives(&shape, expected);
        expected_cost_destroy(expected);
        space_destroy(space);
    }
}

static double unknown(void *context, const struct graph *graph, int unit) {
    return graph->units[unit].block == 1 ? NAN : 1;
}

static void an_unknown_unit_is_refused(void **state) {
    struct space *space = toy_space();
    struct relaxed_shape shape;
    const struct additive_cost cost = {.unit = unknown};
    struct expected_cost *expected;
    relaxed_shape_init(space, &shape);
    assert_int_equal(expected_cost_create(&shape, &cost, NULL, &expected), ESP_EMISSING);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(expectation_is_the_mean_over_all_subnets),
                                       cmocka_unit_test(derivatives_are_those_of_differences),
                                       cmocka_unit_test(an_unknown_unit_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
