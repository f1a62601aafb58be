/* The API's view of spaces and archs, against counts made another way. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/describe.h"

static struct space *builtin(const char *name) {
    struct space *space = NULL;
    struct err err = {0};
    assert_int_equal(space_builtin(name, &err, &space), 0);
    return space;
}

static double number(const cJSON *doc, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(doc, key));
}

/* A table in which every unit takes as many microseconds as its signature has letters. */
static struct latency_table *table_of(const struct space *space, int leave_out) {
    struct latency_table *table = NULL;
    struct unit_list *units = NULL;
    struct err err = {0};

    assert_int_equal(latency_table_create("rev", &err, &table), 0);
    assert_int_equal(space_units(space, &err, &units), 0);
    for (int i = leave_out; i < units->n; i++) {
        double us = (double)strlen(units->entries[i].signature);
        struct latency_entry entry = {
            .median_us = us, .low_us = us, .high_us = us, .sd_us = 1, .n = 1, .method = 1};
        memcpy(entry.signature, units->entries[i].signature, sizeof(entry.signature));
        assert_int_equal(latency_table_put(table, &entry, &err), 0);
    }
    unit_list_destroy(units);
    return table;
}

static void a_space_shows_its_extremes(void **state) {
    struct space *space = builtin("ofa_mbv3");
    struct err err = {0};
    cJSON *doc = NULL;

    assert_int_equal(
        describe_space(space, (struct describe_space_options){.builtin = true}, &err, &doc), 0);
    const cJSON *largest = cJSON_GetObjectItemCaseSensitive(doc, "largest");
    assert_int_equal(number(cJSON_GetObjectItemCaseSensitive(largest, "cost"), "macs"), 566170656);
    assert_true(number(doc, "cardinality") > 2e19);
    assert_null(cJSON_GetObjectItemCaseSensitive(doc, "definition"));
    cJSON_Delete(doc);
    space_destroy(space);
}

static void units_add_up_to_the_arch(void **state) {
    struct space *space = builtin("fashion_small");
    struct latency_table *table = table_of(space, 0);
    struct err err = {0};

    for (uint32_t i = 0; i < 20; i++) {
        struct rng rng = rng_make(1, RNG_TEST, 0, i);
        struct arch arch;
        cJSON *doc = NULL, *unit = NULL;
        double macs = 0, params = 0, us = 0;

        arch_random(space, &rng, &arch);
        assert_int_equal(
            describe_arch(space, &arch, &(struct describe_profile){.table = table}, &err, &doc), 0);
        cJSON_ArrayForEach(unit, cJSON_GetObjectItemCaseSensitive(doc, "units")) {
            macs += number(unit, "macs");
            params += number(unit, "params");
            us += number(unit, "latency_us");
        }
        const cJSON *cost = cJSON_GetObjectItemCaseSensitive(doc, "cost");
        assert_true(macs == number(cost, "macs"));
        assert_true(params == number(cost, "params"));
        assert_true(fabs(us - number(cJSON_GetObjectItemCaseSensitive(doc, "latency"), "us")) <
                    1e-6);
        cJSON_Delete(doc);
    }
    latency_table_destroy(table);
    space_destroy(space);
}

static void a_latency_names_the_calibration_behind_it(void **state) {
    struct space *space = builtin("fashion_small");
    struct latency_table *table = table_of(space, 0);
    struct calibration calibration = calibration_none;
    struct describe_profile profile = {.table = table};
    struct arch arch;
    arch_max(space, &arch);
    calibration.kind = CALIBRATION_SHRUNK;
    calibration.a = 1.5;
    calibration.version = 3;
    calibration.n = calibration.spread_n = 22;
    calibration.rung = LADDER_LINE;
    for (int i = 0; i < 2; i++) {
        cJSON *doc = NULL;
        profile.calibration = i ? &calibration : &calibration_none;
        assert_int_equal(describe_arch(space, &arch, &profile, NULL, &doc), 0);
        const cJSON *latency = cJSON_GetObjectItemCaseSensitive(doc, "latency");
        const cJSON *behind = cJSON_GetObjectItemCaseSensitive(latency, "calibration");
        if (i) {
            assert_true(number(behind, "version") == 3 && number(behind, "n") == 22);
            assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(behind, "rung")), "line");
        } else {
            assert_true(cJSON_IsNull(behind));
        }
        cJSON_Delete(doc);
    }
    latency_table_destroy(table);
    space_destroy(space);
}

static void energy_is_at_the_prices_of_the_profile(void **state) {
    struct space *space = builtin("fashion_small");
    const struct energy_fit prices = {
        .mac_pj = 20, .byte_pj = 300, .run_uj = 50, .n = 12, .residual_sd = 0.02};
    const struct describe_profile profile = {.prices = &prices, .prices_id = "ep_1"};
    struct err err = {0};
    struct arch arch;
    cJSON *doc = NULL, *unit = NULL;
    double uj = 50;

    arch_max(space, &arch);
    assert_int_equal(describe_arch(space, &arch, &profile, &err, &doc), 0);
    const cJSON *cost = cJSON_GetObjectItemCaseSensitive(doc, "cost"),
                *energy = cJSON_GetObjectItemCaseSensitive(doc, "energy");
    cJSON_ArrayForEach(unit, cJSON_GetObjectItemCaseSensitive(doc, "units")) {
        uj += number(unit, "energy_uj");
    }
    double wanted = number(cost, "macs") * 20e-6 + number(cost, "traffic_bytes") * 300e-6 + 50;
    assert_true(fabs(number(cost, "energy_uj") / wanted - 1) < 1e-12);
    assert_true(fabs(uj / wanted - 1) < 1e-9);
    assert_true(number(energy, "uj") == number(cost, "energy_uj"));
    assert_true(number(energy, "low_uj") < wanted && wanted < number(energy, "high_uj"));
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(energy, "prices")),
                        "ep_1");
    cJSON_Delete(doc);
    space_destroy(space);
}

static void samples_are_ordered_and_seeded(void **state) {
    struct space *space = builtin("fashion_small");
    struct latency_table *table = table_of(space, 0);
    struct describe_sample_options options = {.n = 500, .seed = 3};
    struct err err = {0};
    cJSON *a = NULL, *b = NULL;

    assert_int_equal(describe_sample(space, table, NULL, options, &err, &a), 0);
    assert_int_equal(describe_sample(space, table, NULL, options, &err, &b), 0);
    assert_true(cJSON_Compare(a, b, true));
    const cJSON *quantile = NULL;
    cJSON_ArrayForEach(quantile, cJSON_GetObjectItemCaseSensitive(a, "quantiles")) {
        assert_true(number(quantile, "min") <= number(quantile, "p5"));
        assert_true(number(quantile, "p5") < number(quantile, "median"));
        assert_true(number(quantile, "median") < number(quantile, "p95"));
        assert_true(number(quantile, "p95") <= number(quantile, "max"));
    }
    cJSON_Delete(a);
    cJSON_Delete(b);
    latency_table_destroy(table);
    space_destroy(space);
}

static void a_table_with_gaps_says_so(void **state) {
    struct space *space = builtin("fashion_small");
    struct latency_table *table = table_of(space, 5);
    struct err err = {0};
    cJSON *doc = NULL;

    struct describe_sample_options options = {.n = 10, .seed = 3};
    assert_int_equal(describe_sample(space, table, NULL, options, &err, &doc), 0);
    assert_int_equal(number(doc, "missing_entries"), 5);
    assert_null(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(doc, "quantiles"),
                                                 "latency_us"));
    cJSON_Delete(doc);
    latency_table_destroy(table);
    space_destroy(space);
}

/* To the bit, whoever gave them: the literature's energies are whole numbers of a unit. */
static void prices_that_say_the_same_give_the_same(void **state) {
    struct energy_fit given = energy_fit_literature, dearer = energy_fit_literature;
    dearer.run_uj = 1;
    for (int i = 1; i <= 1000; i++) {
        struct cost cost = {.macs = 7919 * i, .traffic_bytes = 104729 * i};
        cJSON *known = describe_cost(&cost, &energy_fit_literature);
        cJSON *same = describe_cost(&cost, &given), *more = describe_cost(&cost, &dearer);
        assert_true(number(same, "energy_uj") == number(known, "energy_uj"));
        assert_true(number(more, "energy_uj") > number(known, "energy_uj") + 0.99);
        cJSON_Delete(known);
        cJSON_Delete(same);
        cJSON_Delete(more);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_space_shows_its_extremes),
        cmocka_unit_test(units_add_up_to_the_arch),
        cmocka_unit_test(a_latency_names_the_calibration_behind_it),
        cmocka_unit_test(energy_is_at_the_prices_of_the_profile),
        cmocka_unit_test(prices_that_say_the_same_give_the_same),
        cmocka_unit_test(samples_are_ordered_and_seeded),
        cmocka_unit_test(a_table_with_gaps_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
