#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "space/cost.h"
#include "space/unit_sums.h"

static void cost_values(void *context, const struct graph *graph, int unit, double *ret_values) {
    struct cost cost;
    int *calls = context;
    ++*calls;
    unit_cost(graph, unit, &cost);
    ret_values[0] = (double)cost.macs;
    ret_values[1] = (double)cost.params;
    ret_values[2] = (double)cost.peak_activation_bytes;
    ret_values[3] = (double)cost.peak_simple_bytes;
    ret_values[4] = (double)cost.model_bytes;
}

static void equal_what_the_arch_costs(void **state) {
    for (int k = 0; space_builtin_names[k]; k++) {
        struct space *space;
        struct unit_sums *sums;
        int calls = 0, before = 0;
        assert_int_equal(space_builtin(space_builtin_names[k], NULL, &space), 0);
        struct unit_sums_config config = {.space = space,
                                          .n_values = 5,
                                          .largest = {[2] = true, [3] = true},
                                          .unit = cost_values,
                                          .context = &calls};
        assert_int_equal(unit_sums_create(&config, NULL, &sums), 0);
        for (int pass = 0; pass < 2; pass++) {
            before = calls;
            for (uint32_t i = 0; i < 200; i++) {
                struct rng rng = rng_make(1, RNG_TEST, 0, i);
                struct arch arch;
                struct cost cost;
                double values[5];
                arch_random(space, &rng, &arch);
                assert_int_equal(unit_sums_get(sums, &arch, NULL, values), 0);
                assert_int_equal(arch_cost(space, &arch, NULL, &cost), 0);
                assert_true(values[0] == (double)cost.macs && values[1] == (double)cost.params);
                assert_true(values[2] == (double)cost.peak_activation_bytes);
                assert_true(values[3] == (double)cost.peak_simple_bytes);
                assert_true(values[4] == (double)cost.model_bytes);
            }
        }
        /* Nothing is asked for twice. */
        assert_true(before > 0);
        assert_int_equal(calls, before);
        unit_sums_destroy(sums);
        space_destroy(space);
    }
}

static void only_small_kernels(void *context, const struct graph *graph, int unit,
                               double *ret_values) {
    ret_values[0] = ret_values[1] = graph->units[unit].spec.kernel > 3 ? NAN : 1;
}

static void unknown_units_make_unknown_sums(void **state) {
    struct space *space;
    struct unit_sums *sums;
    struct arch arch;
    double values[2];
    assert_int_equal(space_builtin("ofa_mbv3", NULL, &space), 0);
    struct unit_sums_config config = {
        .space = space, .n_values = 2, .largest = {[1] = true}, .unit = only_small_kernels};
    assert_int_equal(unit_sums_create(&config, NULL, &sums), 0);
    arch_min(space, &arch);
    assert_int_equal(unit_sums_get(sums, &arch, NULL, values), 0);
    assert_true(values[0] > 10 && values[1] == 1);
    arch.kernel[1] = 1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(unit_sums_get(sums, &arch, NULL, values), 0);
        assert_true(isnan(values[0]) && isnan(values[1]));
    }
    unit_sums_destroy(sums);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_what_the_arch_costs),
        cmocka_unit_test(unknown_units_make_unknown_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
