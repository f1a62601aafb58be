#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "latency/predictor.h"

struct fixture {
    struct space *space;
    struct unit_list *units;
    struct latency_table *table;
};

/* A table with a latency for each unit that follows from its signature. */
static void fill(struct latency_table *table, const struct unit_list *units) {
    for (int i = 0; i < units->n; i++) {
        const char *signature = units->entries[i].signature;
        double us = 10 + (double)(map_hash(signature, strlen(signature)) % 1000);
        struct latency_entry e = {.median_us = us,
                                  .low_us = 0.95 * us,
                                  .high_us = 1.1 * us,
                                  .sd_us = 0.05 * us,
                                  .n = 20,
                                  .method = 1};
        memcpy(e.signature, signature, sizeof e.signature);
        assert_int_equal(latency_table_put(table, &e, NULL), 0);
    }
}

static struct fixture set_up(const char *name) {
    struct fixture f;
    assert_int_equal(space_builtin(name, NULL, &f.space), 0);
    assert_int_equal(space_units(f.space, NULL, &f.units), 0);
    assert_int_equal(latency_table_create("rev", NULL, &f.table), 0);
    return f;
}

static void tear_down(struct fixture *f) {
    latency_table_destroy(f->table);
    unit_list_destroy(f->units);
    space_destroy(f->space);
}

static void fast_path_equals_graph_path(void **state) {
    static const char *const names[] = {"fashion_small", "ofa_mbv3"};
    struct calibration calibration = {.kind = CALIBRATION_SHRUNK,
                                      .version = 1,
                                      .n = 10,
                                      .a = 1.3,
                                      .c_us = 40,
                                      .residual_sd = 0.03};
    for (int k = 0; k < 2; k++) {
        struct fixture f = set_up(names[k]);
        struct latency_predictor *predictor;
        fill(f.table, f.units);
        assert_int_equal(latency_predictor_create(f.space, f.table, &calibration, NULL, &predictor),
                         0);
        for (uint32_t i = 0; i < 300; i++) {
            struct rng rng = rng_make(1, RNG_TEST, 0, i);
            struct arch arch;
            struct graph *graph;
            struct latency_prediction fast, slow;
            int n_missing;
            arch_random(f.space, &rng, &arch);
            assert_int_equal(graph_build(f.space, &arch, NULL, &graph), 0);
            assert_int_equal(
                latency_predict(f.table, &calibration, graph, NULL, &slow, NULL, &n_missing), 0);
            assert_int_equal(n_missing, 0);
            assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &fast), 0);
            assert_int_equal(fast.state, LATENCY_COVERED);
            assert_true(fabs(fast.us - slow.us) < 1e-9 * slow.us);
            assert_true(fabs(fast.low_us - slow.low_us) < 1e-9 * slow.us);
            assert_true(fabs(fast.high_us - slow.high_us) < 1e-9 * slow.us);
            assert_true(fabs(fast.us - (1.3 * fast.sum_us + 40)) < 1e-9 * fast.us);
            free(graph);
        }
        latency_predictor_destroy(predictor);
        tear_down(&f);
    }
}

/* The entries' bounds say nothing of what the sum is off by as a whole. */
static void an_uncalibrated_interval_allows_for_a_bias(void **state) {
    struct fixture f = set_up("fashion_small");
    struct latency_predictor *predictor;
    struct latency_prediction p;
    struct arch arch;
    fill(f.table, f.units);
    arch_max(f.space, &arch);
    assert_int_equal(
        latency_predictor_create(f.space, f.table, &calibration_none, NULL, &predictor), 0);
    assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &p), 0);
    assert_true(p.us == p.sum_us);
    assert_false(p.calibrated);
    assert_true(fabs(log(p.us / p.low_us) - hypot(log(0.95), log(1.5))) < 1e-3);
    assert_true(fabs(log(p.high_us / p.us) - hypot(log(1.1), log(1.5))) < 1e-3);
    cJSON *doc = latency_prediction_to_json(&p, NULL, NULL, 0);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(doc, "calibrated")));
    cJSON_Delete(doc);
    /* What other boards' sums were off by may be known: one that is off by half in the mean. */
    struct calibration expected = calibration_none;
    expected.residual_sd = 0.5;
    latency_predictor_calibrate(predictor, &expected);
    assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &p), 0);
    assert_true(p.us == p.sum_us && p.high_us / p.us > 2.2 && p.us / p.low_us > 2.2);
    struct calibration twice = {.kind = CALIBRATION_SHRUNK, .n = 5, .a = 2, .residual_sd = 0.05};
    latency_predictor_calibrate(predictor, &twice);
    double sum = p.us;
    assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &p), 0);
    assert_true(p.calibrated);
    assert_true(fabs(p.us - 2 * sum) < 1e-9 * sum);
    assert_true(p.high_us / p.us > 1.15 && p.high_us / p.us < 1.3);
    latency_predictor_destroy(predictor);
    tear_down(&f);
}

/* Entries that are no more doubtful than those the calibration was judged with add nothing to its
 * interval; a noisy one goes into every prediction that it takes part in. */
static void noisy_entries_widen_calibrated_intervals(void **state) {
    struct calibration fitted = {
        .kind = CALIBRATION_SHRUNK, .n = 20, .a = 1.1, .residual_sd = 0.03, .entries_sd = 0.04};
    struct fixture f = set_up("fashion_small");
    struct latency_prediction before, after, old;
    struct arch arch;
    struct graph *graph;
    fill(f.table, f.units);
    arch_max(f.space, &arch);
    assert_int_equal(graph_build(f.space, &arch, NULL, &graph), 0);
    assert_int_equal(latency_predict(f.table, &fitted, graph, NULL, &before, NULL, NULL), 0);
    double width = log(calibration_interval_factor(&fitted));
    assert_true(fabs(log(before.high_us / before.us) - width) < 1e-9);
    struct latency_entry noisy = *latency_table_find(f.table, graph->units[1].signature);
    double share = noisy.median_us / before.sum_us;
    noisy.low_us = 0.4 * noisy.median_us;
    noisy.high_us = (1 + 1 / share) * noisy.median_us;
    assert_int_equal(latency_table_put(f.table, &noisy, NULL), 0);
    assert_int_equal(latency_predict(f.table, &fitted, graph, NULL, &after, NULL, NULL), 0);
    assert_true(after.us == before.us && log(after.high_us / after.us) > 1.1 * width);
    fitted.entries_sd = 0; /* a calibration of before: all of the doubt counts */
    assert_int_equal(latency_predict(f.table, &fitted, graph, NULL, &old, NULL, NULL), 0);
    assert_true(old.high_us > after.high_us);
    free(graph);
    tear_down(&f);
}

static void missing_entries_are_a_state_that_names_them(void **state) {
    struct fixture f = set_up("fashion_small");
    struct latency_predictor *predictor;
    struct latency_prediction p;
    struct arch arch;
    struct graph *graph;
    int missing[GRAPH_UNITS_MAX], n_missing;
    fill(f.table, f.units);
    arch_max(f.space, &arch);
    assert_int_equal(graph_build(f.space, &arch, NULL, &graph), 0);
    /* The same table without the largest subnet's stem: there are too few stems to interpolate. */
    struct latency_table *holed;
    assert_int_equal(latency_table_create("rev", NULL, &holed), 0);
    for (int i = 0; i < f.table->n; i++)
        if (strcmp(f.table->entries[i].signature, graph->units[0].signature) != 0)
            assert_int_equal(latency_table_put(holed, &f.table->entries[i], NULL), 0);
    assert_int_equal(
        latency_predict(holed, &calibration_none, graph, NULL, &p, missing, &n_missing), 0);
    assert_int_equal(p.state, LATENCY_MISSING);
    assert_true(isnan(p.us) && isnan(p.low_us) && isnan(p.high_us));
    assert_int_equal(n_missing, 1);
    assert_int_equal(missing[0], 0);
    cJSON *doc = latency_prediction_to_json(&p, graph, missing, n_missing);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(doc, "us")));
    assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "missing"), 0)->valuestring,
                        graph->units[0].signature);
    cJSON_Delete(doc);
    assert_int_equal(latency_predictor_create(f.space, holed, &calibration_none, NULL, &predictor),
                     0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &p), 0);
        assert_int_equal(p.state, LATENCY_MISSING);
    }
    arch_min(f.space, &arch);
    assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &p), 0);
    assert_int_equal(p.state, LATENCY_COVERED);
    latency_predictor_destroy(predictor);
    latency_table_destroy(holed);
    free(graph);
    tear_down(&f);
}

/* A board whose time is an overhead and the MACs at a speed that grows with the channels. */
static double board_us(const struct unit_spec *spec) {
    double inside = spec->expand_channels > 0 ? spec->expand_channels : spec->c_in;
    return 1.5 + (double)unit_spec_macs(spec) / (400 + 6 * inside) * (spec->kernel == 5 ? 1.1 : 1);
}

/* Every other block's entry is left out. */
static struct latency_table *half_table(const struct unit_list *units) {
    struct latency_table *table;
    int n_blocks = 0;
    assert_int_equal(latency_table_create("rev", NULL, &table), 0);
    for (int i = 0; i < units->n; i++) {
        const struct unit_spec *spec = &units->entries[i].graph->units[0].spec;
        double us = board_us(spec);
        struct latency_entry e = {
            .median_us = us, .low_us = 0.99 * us, .high_us = 1.01 * us, .n = 20, .method = 1};
        memcpy(e.signature, units->entries[i].signature, sizeof e.signature);
        if (spec->kind != UNIT_BLOCK || n_blocks++ % 2 == 0)
            assert_int_equal(latency_table_put(table, &e, NULL), 0);
    }
    return table;
}

static double true_us(const struct graph *graph) {
    double us = 0;
    for (int i = 0; i < graph->n_units; i++)
        us += board_us(&graph->units[i].spec);
    return us;
}

static void half_a_table_predicts_with_wider_intervals(void **state) {
    enum { ARCHS = 200 };
    struct calibration fitted = {
        .kind = CALIBRATION_IDENTITY, .n = 30, .a = 1, .residual_sd = 0.01, .entries_sd = 0.01};
    struct fixture f = set_up("fashion_small");
    struct latency_table *half = half_table(f.units);
    struct latency_predictor *predictor;
    double worst = 0, width = log(calibration_interval_factor(&fitted));
    int inside = 0;
    assert_int_equal(latency_predictor_create(f.space, half, &calibration_none, NULL, &predictor),
                     0);
    for (uint32_t i = 0; i < ARCHS; i++) {
        struct rng rng = rng_make(1, RNG_TEST, 1, i);
        struct latency_prediction p, slow;
        struct arch arch;
        struct graph *graph;
        arch_random(f.space, &rng, &arch);
        assert_int_equal(graph_build(f.space, &arch, NULL, &graph), 0);
        double truth = true_us(graph);
        latency_predictor_calibrate(predictor, &calibration_none);
        assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &p), 0);
        assert_int_equal(latency_predict(half, &calibration_none, graph, NULL, &slow, NULL, NULL),
                         0);
        assert_int_equal(p.state, slow.state);
        assert_true(fabs(p.us - slow.us) < 1e-9 * p.us);
        worst = fmax(worst, fabs(p.us / truth - 1));
        inside += truth >= p.low_us && truth <= p.high_us;
        latency_predictor_calibrate(predictor, &fitted);
        assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &p), 0);
        if (p.state == LATENCY_INTERPOLATED)
            assert_true(log(p.high_us / p.us) > 1.0001 * width);
        else
            assert_true(fabs(log(p.high_us / p.us) - width) < 1e-9);
        free(graph);
    }
    if (worst > 0.05 || inside < 0.95 * ARCHS)
        fail_msg("worst error %g, %d of %d inside", worst, inside, ARCHS);
    latency_predictor_destroy(predictor);
    latency_table_destroy(half);
    tear_down(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_path_equals_graph_path),
        cmocka_unit_test(an_uncalibrated_interval_allows_for_a_bias),
        cmocka_unit_test(noisy_entries_widen_calibrated_intervals),
        cmocka_unit_test(missing_entries_are_a_state_that_names_them),
        cmocka_unit_test(half_a_table_predicts_with_wider_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
