/* Energy at a profile's prices as a metric: against the cost of the arch, its ends, its interval.
 */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "daemon/energy_evaluator.h"
#include "search/feasibility.h"

static const char key[] = "energy_uj:pf_1";
static const struct energy_fit prices = {
    .mac_pj = 12.5, .byte_pj = 210, .run_uj = 33, .n = 12, .strength = 0.01, .residual_sd = 0.04};

struct world {
    struct space *space;
    struct energy_evaluator *energy;
    struct evaluator evaluator;
};

static int open_world(void **state) {
    struct world *w = calloc(1, sizeof *w);
    struct err err = {0};
    assert_int_equal(space_builtin("fashion_small", &err, &w->space), 0);
    assert_int_equal(energy_evaluator_create(w->space, &prices, "pf_1", &err, &w->energy), 0);
    energy_evaluator_init(w->energy, &w->evaluator);
    *state = w;
    return 0;
}

static int close_world(void **state) {
    struct world *w = *state;
    energy_evaluator_destroy(w->energy);
    space_destroy(w->space);
    free(w);
    return 0;
}

static double expected(const struct world *w, const struct arch *arch) {
    struct cost cost;
    assert_int_equal(arch_cost(w->space, arch, NULL, &cost), 0);
    return 12.5e-6 * (double)cost.macs + 210e-6 * (double)cost.traffic_bytes + 33;
}

static void is_work_and_traffic_at_their_prices(void **state) {
    struct world *w = *state;
    struct attainable least, most;
    assert_string_equal(w->evaluator.keys[0], key);
    assert_int_equal(attainable_extreme(w->space, &w->evaluator, 1, key, false, NULL, &least), 0);
    assert_int_equal(attainable_extreme(w->space, &w->evaluator, 1, key, true, NULL, &most), 0);
    assert_true(fabs(expected(w, &least.arch) / least.value - 1) < 1e-9);
    assert_true(fabs(expected(w, &most.arch) / most.value - 1) < 1e-9);
    for (uint32_t i = 0; i < 300; i++) {
        struct rng rng = rng_make(3, RNG_TEST, 0, i);
        struct arch arch;
        struct metric value;
        struct evaluation evaluation = {.arch = &arch, .values = &value};
        arch_random(w->space, &rng, &arch);
        assert_int_equal(w->evaluator.submit(w->evaluator.context, &evaluation, 1, NULL), 0);
        assert_int_equal(evaluation.state, EVALUATION_DONE);
        assert_int_equal(value.source, METRIC_PREDICTED);
        assert_true(fabs(value.value / expected(w, &arch) - 1) < 1e-12);
        assert_true(value.value >= least.value * (1 - 1e-9));
        assert_true(value.value <= most.value * (1 + 1e-9));
        double factor = energy_fit_factor(&prices);
        assert_true(factor > 1.05 && fabs(value.high / value.value - factor) < 1e-12 &&
                    fabs(value.value / value.low - factor) < 1e-12);
    }
}

static void a_limit_below_the_least_is_refused(void **state) {
    struct world *w = *state;
    struct goals goals = {0};
    struct feasibility feasibility;
    struct attainable least;
    struct err err = {0};
    assert_int_equal(goals_add_metric(&goals, key, &err), 0);
    goals.n_constraints = 1;
    assert_int_equal(attainable_extreme(w->space, &w->evaluator, 1, key, false, NULL, &least), 0);
    for (int below = 0; below < 2; below++) {
        goals.constraints[0] = (struct constraint){0, true, least.value * (below ? 0.999 : 1.001)};
        assert_int_equal(feasibility_check(w->space, &goals, &w->evaluator, 1, &err, &feasibility),
                         below ? ESP_EINFEASIBLE : 0);
    }
}

/* At whatever prices: it adds up in another order than who looks for the least. */
static void a_limit_of_the_named_least_can_be_kept(void **state) {
    struct world *w = *state;
    struct goals goals = {.n_constraints = 1};
    assert_int_equal(goals_add_metric(&goals, key, NULL), 0);
    for (uint32_t i = 0; i < 40; i++) {
        struct rng rng = rng_make(5, RNG_TEST, 0, i);
        struct energy_fit at = prices;
        struct energy_evaluator *energy;
        struct evaluator evaluator;
        struct attainable best;
        struct feasibility f;
        at.mac_pj = 1 + 20 * rng_unit(&rng);
        at.byte_pj = 100 + 300 * rng_unit(&rng);
        at.run_uj = 50 * rng_unit(&rng);
        assert_int_equal(energy_evaluator_create(w->space, &at, "pf_1", NULL, &energy), 0);
        energy_evaluator_init(energy, &evaluator);
        for (int is_max = 0; is_max <= 1; is_max++) {
            assert_int_equal(attainable_extreme(w->space, &evaluator, 1, key, !is_max, NULL, &best),
                             0);
            goals.constraints[0] = (struct constraint){0, is_max, best.value};
            assert_int_equal(feasibility_check(w->space, &goals, &evaluator, 1, NULL, &f), 0);
            if (is_max)
                assert_true(f.accepted > 0);
        }
        energy_evaluator_destroy(energy);
    }
}

static void knows_its_keys(void **state) {
    struct world *w = *state;
    struct energy_evaluator *none;
    char id[METRIC_KEY_MAX];
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    assert_string_equal(energy_metric_profile(key), "pf_1");
    assert_null(energy_metric_profile("energy_uj"));
    assert_null(energy_metric_profile("latency_us:pf_1"));
    assert_int_equal(energy_evaluator_create(w->space, &prices, id, NULL, &none), ESP_EINVAL);
    energy_evaluator_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_work_and_traffic_at_their_prices),
        cmocka_unit_test(a_limit_below_the_least_is_refused),
        cmocka_unit_test(a_limit_of_the_named_least_can_be_kept),
        cmocka_unit_test(knows_its_keys),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
