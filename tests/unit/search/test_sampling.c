#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "search/sampling.h"
#include "tests/unit/search/toy.h"

static void spread_sample_covers_the_range_evenly(void **state) {
    static const char *const names[] = {"fashion_small", "ofa_mbv3"};
    for (int k = 0; k < 2; k++) {
        struct space *space;
        struct arch archs[64], again[64], end;
        assert_int_equal(space_builtin(names[k], NULL, &space), 0);
        assert_int_equal(sample_spread(space, 1, 64, NULL, archs), 64);
        assert_int_equal(sample_spread(space, 1, 64, NULL, again), 64);
        double low = toy_macs(space, &archs[0]), high = toy_macs(space, &archs[63]), before = 0;
        int bins[8] = {0};
        for (int i = 0; i < 64; i++) {
            double macs = toy_macs(space, &archs[i]);
            assert_true(arch_valid(space, &archs[i]) && arch_equal(&archs[i], &again[i]));
            assert_true(macs >= before);
            before = macs;
            for (int j = 0; j < i; j++)
                assert_false(arch_equal(&archs[i], &archs[j]));
            int bin = (int)(8 * (macs - low) / (high - low));
            bins[bin < 8 ? bin : 7]++;
        }
        for (int b = 0; b < 8; b++)
            assert_in_range(bins[b], 5, 11);
        arch_min(space, &end);
        assert_true(arch_equal(&archs[0], &end));
        arch_max(space, &end);
        assert_true(arch_equal(&archs[63], &end));
        space_destroy(space);
    }
}

static void small_space_gives_all_that_it_has(void **state) {
    struct space *space = toy_space();
    struct arch *archs = calloc(10000, sizeof *archs);
    double all = space_cardinality(space);
    int n = sample_spread(space, 1, 10000, NULL, archs);
    assert_true(n > 0.9 * all && n <= all);
    assert_int_equal(sample_spread(space, 1, 1, NULL, archs), 1);
    struct err err = {0};
    assert_int_equal(sample_spread(space, 1, 0, &err, archs), ESP_EINVAL);
    space_destroy(space);
    free(archs);
}

static void leaning_moves_the_mean(void **state) {
    struct space *space;
    double mean[3] = {0};
    assert_int_equal(space_builtin("ofa_mbv3", NULL, &space), 0);
    for (int lean = -1; lean <= 1; lean++)
        for (uint32_t i = 0; i < 200; i++) {
            struct rng rng = rng_make(1, RNG_TEST, (uint64_t)(lean + 1), i);
            struct arch arch;
            sample_leaning(space, &rng, lean, &arch);
            assert_true(arch_valid(space, &arch));
            mean[lean + 1] += toy_macs(space, &arch) / 200;
        }
    assert_true(mean[0] < 0.7 * mean[1] && mean[1] < 0.7 * mean[2]);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spread_sample_covers_the_range_evenly),
        cmocka_unit_test(small_space_gives_all_that_it_has),
        cmocka_unit_test(leaning_moves_the_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
