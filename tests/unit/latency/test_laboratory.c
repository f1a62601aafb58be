#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "latency/laboratory.h"

/* Networks of a few ops from a list of 30, on a board whose networks take 1.5 sum + 100. */
enum { NETWORKS = 40, OPS = 8, KEYS = 30 };

static void make_profile(struct laboratory_op *ops, double *measured,
                         struct laboratory_profile *ret) {
    struct rng rng = rng_make(3, RNG_TEST, 0, 0);
    for (int i = 0; i < NETWORKS; i++) {
        double sum = 0;
        for (int j = 0; j < OPS; j++) {
            struct laboratory_op *op = &ops[i * OPS + j];
            uint32_t key = rng_below(&rng, KEYS);
            *op = (struct laboratory_op){.key = key,
                                         .sample = {.kind = (int)(key % 2),
                                                    .group = i,
                                                    .n_features = 1,
                                                    .features = {key},
                                                    .us = 20 + 3 * key}};
            sum += op->sample.us;
        }
        measured[i] = 1.5 * sum + 100;
    }
    *ret = (struct laboratory_profile){.n_networks = NETWORKS,
                                       .n_ops = (size_t)NETWORKS * OPS,
                                       .n_keys = KEYS,
                                       .measured_us = measured,
                                       .ops = ops};
}

static void a_line_through_exact_sums_is_found(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report, again;
    struct laboratory_options options = {.n_sizes = 2, .sizes = {5, 20}, .splits = 30, .seed = 4};
    struct parallel *pool;
    make_profile(ops, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_networks, NETWORKS);
    assert_true(report.exact > 0.95);
    assert_int_equal(report.n_ops_unpredicted, 0);
    assert_true(report.sum.mape > 0.3);
    for (int i = 0; i < 2; i++) {
        assert_true(report.figures[i][LADDER_LINE].mape < 0.002);
        assert_true(report.figures[i][LABORATORY_LADDER].mape < 0.01);
        assert_false(report.figures[i][LADDER_FLEET].there);
        assert_true(isnan(report.figures[i][LADDER_SUM].coverage));
    }
    assert_int_equal(parallel_create(2, &pool), 0);
    assert_int_equal(laboratory_run(&profile, &options, pool, NULL, &again), 0);
    for (int i = 0; i < 2; i++)
        for (int r = 0; r < LABORATORY_ROWS; r++)
            assert_true(report.figures[i][r].mape == again.figures[i][r].mape);
    parallel_destroy(pool);
}

/* Its own ops must not help a network: what only one network has is interpolated from others. */
static void tables_are_of_other_networks(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {5}, .splits = 1, .seed = 4};
    make_profile(ops, measured, &profile);
    for (int i = 0; i < OPS; i++)
        ops[i].key = KEYS;
    profile.n_keys = KEYS + 1;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(fabs(report.exact - (1 - 1.0 / NETWORKS)) < 0.03);
    assert_true(report.log_error > 0 && report.log_error < 0.1);
}

/* An op of a kind that no other network has cannot be predicted, and the report says so. */
static void what_cannot_be_predicted_is_counted(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {5}, .splits = 1, .seed = 4};
    make_profile(ops, measured, &profile);
    profile.left_out.ops_not_measured = 7;
    for (int i = 0; i < 2; i++) {
        ops[i].key = KEYS + (uint32_t)i;
        ops[i].sample.kind = 5;
    }
    profile.n_keys = KEYS + 2;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_ops_unpredicted, 2);
    cJSON *doc = laboratory_report_to_json(&report);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(doc, "unpredicted_ops")) == 2);
    assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetObjectItem(doc, "left_out"),
                                                         "unmeasured_ops")) == 7);
    cJSON_Delete(doc);
}

/* A network's own times are in no sum of its own, so those that it lacks change none. */
static void ops_without_a_time_are_told_by_others(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report, gaps;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {5}, .splits = 5, .seed = 4};
    make_profile(ops, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    for (int i = 0; i < OPS; i++)
        ops[i].sample.us = NAN;
    ops[OPS].sample.us = NAN;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &gaps), 0);
    assert_int_equal(gaps.n_networks, NETWORKS);
    assert_int_equal(gaps.n_ops, NETWORKS * OPS);
    assert_int_equal(gaps.n_ops_unpredicted, 0);
    assert_true(isfinite(gaps.log_error) && isfinite(gaps.log_error_expected));
    assert_true(fabs(gaps.sum.mape - report.sum.mape) < 0.002);
    assert_true(gaps.figures[0][LADDER_LINE].mape < 0.01);
    /* What nobody has a time for counts as 0, and is told. */
    for (int i = 0; i < NETWORKS; i++) {
        ops[i * OPS].key = KEYS;
        ops[i * OPS].sample.kind = 5;
        ops[i * OPS].sample.us = NAN;
    }
    profile.n_keys = KEYS + 1;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &gaps), 0);
    assert_int_equal(gaps.n_ops_unpredicted, NETWORKS);
    assert_int_equal(gaps.n_networks, NETWORKS);
}

/* Of a network without a whole time nothing is judged, and its ops tell the others. */
static void ops_of_others_are_in_the_table(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {5}, .splits = 1, .seed = 4};
    make_profile(ops, measured, &profile);
    for (int i = 0; i < 2; i++) { /* only the first and the last network have this op */
        struct laboratory_op *op = &ops[i ? NETWORKS * OPS - 1 : 0];
        op->key = KEYS;
        op->sample.kind = 5;
    }
    profile.n_keys = KEYS + 1;
    profile.n_networks = NETWORKS - 1;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_networks, NETWORKS - 1);
    assert_int_equal(report.n_ops, (NETWORKS - 1) * OPS);
    assert_int_equal(report.n_ops_unpredicted, 0);
    profile.n_ops -= OPS;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_ops_unpredicted, 1);
}

/* Profilers print ops that are too short as 0: they add nothing, and have no logarithm. */
static void ops_may_take_no_time(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {5}, .splits = 5, .seed = 4};
    make_profile(ops, measured, &profile);
    for (int i = 0; i < NETWORKS; i++) {
        struct laboratory_op *op = &ops[i * OPS + 2];
        measured[i] -= 1.5 * op->sample.us;
        op->key = KEYS;
        op->sample.us = 0;
    }
    ops[2].key = KEYS + 1; /* nobody else has it: its kind has other times */
    profile.n_keys = KEYS + 2;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_ops_unpredicted, 0);
    assert_true(isfinite(report.log_error) && isfinite(report.sum.mape));
    assert_true(report.figures[0][LADDER_LINE].mape < 0.05);
}

static void sizes_that_do_not_fit_are_skipped(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report;
    struct laboratory_options options = {
        .n_sizes = 4, .sizes = {NETWORKS, 5, NETWORKS + 5, 10}, .splits = 2, .seed = 4};
    struct err err = {0};
    make_profile(ops, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_sizes, 2);
    assert_true(report.sizes[0] == 5 && report.sizes[1] == 10);
    assert_true(report.figures[1][LADDER_LINE].there);
    assert_int_equal(report.n_skipped, 2);
    assert_true(report.skipped[0] == NETWORKS && report.skipped[1] == NETWORKS + 5);
    options.pool = 7;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_sizes, 1);
    assert_int_equal(report.n_skipped, 3);
    cJSON *doc = laboratory_report_to_json(&report);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "skipped_sizes")), 3);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "calibrations")), 1);
    cJSON_Delete(doc);
    options.sizes[1] = 2; /* another fault than being too large is refused */
    assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
    assert_string_equal(err.pointer, "/sizes");
}

/* A choice needs more to choose from than it takes. */
static void a_choice_has_a_pool(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report, given;
    struct laboratory_options options = {
        .n_sizes = 1, .sizes = {5}, .splits = 5, .seed = 4, .choice = LABORATORY_USEFUL};
    struct err err = {0};
    make_profile(ops, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.pool, NETWORKS / 2);
    options.pool = NETWORKS / 2;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &given), 0);
    assert_true(report.figures[0][LADDER_LINE].mape == given.figures[0][LADDER_LINE].mape);
    options.pool = 0;
    options.choice = LABORATORY_RANDOM;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.pool, 0);
    options.pool = LABORATORY_POOL_MAX + 1;
    assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
    assert_string_equal(err.pointer, "/pool");
    assert_non_null(strstr(err.message, "at most 4096"));
}

static void a_rung_of_too_many_ops_is_skipped(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {5}, .splits = 1, .seed = 4};
    make_profile(ops, measured, &profile);
    profile.n_keys = 900000;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(report.entries_skipped && !report.figures[0][LADDER_ENTRIES].there);
    assert_true(report.figures[0][LADDER_KINDS].there);
}

static void sizes_are_checked(void **state) {
    static struct laboratory_op ops[NETWORKS * OPS];
    double measured[NETWORKS];
    struct laboratory_profile profile;
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {NETWORKS}, .splits = 1};
    struct err err = {0};
    make_profile(ops, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
    assert_string_equal(err.pointer, "/sizes");
    options.sizes[0] = 5;
    for (int pool = 4; pool <= NETWORKS; pool += NETWORKS - 4) {
        options.pool = pool;
        assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
        assert_string_equal(err.pointer, "/pool");
    }
    options.pool = 0;
    options.given = 6;
    assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
    assert_string_equal(err.pointer, "/given");
    options.given = 0;
    options.sizes[0] = 2;
    assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
    profile.n_ops = 0;
    assert_int_equal(laboratory_run(&profile, &options, NULL, &err, &report), ESP_EINVAL);
    assert_string_equal(
        err.message,
        "nothing tells networks apart: give ops (--ops), times on another board (a column whose "
        "name begins otherwise; 8 or more tell most), or a column macs, flops, params, parameters, "
        "size or model_bytes with a positive number for each network");
}

/* Ten boards that agree up to a factor and a power: an eleventh is told by a few networks. */
enum { FLEET = 10 };
static void make_fleet(double *fleet, double *measured, struct laboratory_profile *ret) {
    struct rng rng = rng_make(5, RNG_TEST, 0, 0);
    for (int i = 0; i < NETWORKS; i++) {
        double size = rng_normal(&rng), depth = rng_normal(&rng);
        for (int p = 0; p < FLEET; p++)
            fleet[i * FLEET + p] = size + 0.1 * p * depth;
        measured[i] = exp(5 + size + 0.8 * depth);
    }
    *ret = (struct laboratory_profile){
        .n_networks = NETWORKS, .n_fleet = FLEET, .measured_us = measured, .fleet_log_us = fleet};
}

/* How many of 60 seeds end with the same figures as by random choice: of a pool of seven, five of
 * which are given, the sixth is often the same one; six of seven at will seldom are. */
static int count_same_as_random(const struct laboratory_profile *profile,
                                enum laboratory_choice choice, int given) {
    int same = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct laboratory_options options = {
            .n_sizes = 1, .sizes = {6}, .splits = 1, .pool = 7, .seed = seed};
        struct laboratory_report random, chosen;
        assert_int_equal(laboratory_run(profile, &options, NULL, NULL, &random), 0);
        options.choice = choice;
        options.given = given;
        assert_int_equal(laboratory_run(profile, &options, NULL, NULL, &chosen), 0);
        same += random.figures[0][LADDER_LINE].mape == chosen.figures[0][LADDER_LINE].mape;
    }
    return same;
}

static void what_is_given_is_kept(void **state) {
    static double fleet[NETWORKS * FLEET], measured[NETWORKS];
    struct laboratory_profile profile;
    make_fleet(fleet, measured, &profile);
    for (int choice = LABORATORY_SPREAD; choice <= LABORATORY_USEFUL; choice++) {
        int kept = count_same_as_random(&profile, (enum laboratory_choice)choice, 5);
        int free_choice = count_same_as_random(&profile, (enum laboratory_choice)choice, 0);
        print_message("as by random choice: %d of 60 with five given, %d without\n", kept,
                      free_choice);
        assert_in_range(kept, 22, 50);
        assert_true(free_choice > 0 && free_choice <= kept - 10);
    }
}

static void a_fleet_stands_in_for_a_table(void **state) {
    static double fleet[NETWORKS * FLEET], measured[NETWORKS];
    struct laboratory_report report;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {10}, .splits = 20, .seed = 1};
    struct laboratory_profile profile;
    make_fleet(fleet, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    const struct laboratory_figures *figures = report.figures[0];
    assert_false(figures[LADDER_KINDS].there);
    assert_true(figures[LADDER_FLEET].mape < 0.5 * figures[LADDER_LINE].mape);
    assert_true(figures[LADDER_FLEET].chosen > 0.9);
    /* The same networks judge: those that were chosen for it teach more than random ones. */
    options.sizes[0] = 5;
    options.pool = 25;
    double mape[3];
    for (int choice = LABORATORY_RANDOM; choice <= LABORATORY_USEFUL; choice++) {
        options.choice = (enum laboratory_choice)choice;
        assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
        mape[choice] = report.figures[0][LADDER_FLEET].mape;
    }
    assert_true(mape[LABORATORY_USEFUL] < 0.7 * mape[LABORATORY_RANDOM]);
    assert_true(mape[LABORATORY_USEFUL] < 0.7 * mape[LABORATORY_SPREAD]);
    /* All given: nothing is left to choose. Three given: useful next ones add more. */
    options.given = 5;
    for (int choice = LABORATORY_SPREAD; choice <= LABORATORY_USEFUL; choice++) {
        options.choice = (enum laboratory_choice)choice;
        assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
        assert_true(report.figures[0][LADDER_FLEET].mape == mape[LABORATORY_RANDOM]);
    }
    options.given = 3;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(report.figures[0][LADDER_FLEET].mape < 0.9 * mape[LABORATORY_RANDOM]);
    assert_true(report.figures[0][LADDER_FLEET].mape != mape[LABORATORY_USEFUL]);
}

/* Of how many networks it does not matter for any other one whether they take 10^6 or 10^9 times
 * as long: their own error is 1 in both cases, to 1e-5. */
static int count_without_influence(const struct laboratory_profile *profile, double *measured,
                                   enum laboratory_choice choice) {
    struct laboratory_options options = {
        .n_sizes = 1, .sizes = {10}, .splits = 1, .seed = 6, .pool = 10, .choice = choice};
    int n = 0;
    for (int i = 0; i < NETWORKS; i++) {
        struct laboratory_report reports[2];
        double kept = measured[i];
        bool same = true;
        for (int k = 0; k < 2; k++) {
            measured[i] = kept * (k ? 1e9 : 1e6);
            assert_int_equal(laboratory_run(profile, &options, NULL, NULL, &reports[k]), 0);
        }
        for (int r = 0; r < LABORATORY_ROWS; r++)
            if (reports[0].figures[0][r].there)
                same = same &&
                       fabs(reports[0].figures[0][r].mape - reports[1].figures[0][r].mape) < 1e-6;
        measured[i] = kept;
        n += same;
    }
    return n;
}

static void unknown_networks_influence_nothing(void **state) {
    static double fleet[NETWORKS * FLEET], measured[NETWORKS];
    static struct laboratory_op ops[NETWORKS * OPS];
    struct laboratory_profile profile;
    for (int choice = LABORATORY_RANDOM; choice <= LABORATORY_USEFUL; choice++) {
        make_profile(ops, measured, &profile);
        assert_in_range(count_without_influence(&profile, measured, (enum laboratory_choice)choice),
                        30, NETWORKS);
        make_fleet(fleet, measured, &profile);
        assert_int_equal(
            count_without_influence(&profile, measured, (enum laboratory_choice)choice), 30);
    }
}

/* What stands in for a sum has no unit of time: there is an order of networks, and no error. */
static void a_stand_in_has_no_scale(void **state) {
    static double fleet[NETWORKS * FLEET], measured[NETWORKS];
    struct laboratory_report report, other;
    struct laboratory_options options = {.n_sizes = 1, .sizes = {10}, .splits = 3, .seed = 1};
    struct laboratory_profile profile;
    make_fleet(fleet, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(report.n_stand_ins == 1 && report.stand_ins[0].kendall_tau > 0.3);
    for (int i = 0; i < NETWORKS * FLEET; i++)
        fleet[i] += 7;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &other), 0);
    for (int r = 0; r < LABORATORY_ROWS; r++)
        if (report.figures[0][r].there)
            assert_true(fabs(report.figures[0][r].mape - other.figures[0][r].mape) < 1e-9);
    cJSON *doc = laboratory_report_to_json(&report);
    const cJSON *stand_in = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "stand_ins"), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(stand_in, "name")), "fleet");
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(doc, "sum")));
    cJSON_Delete(doc);
}

/* One profile alone: the column that goes with its times is found by what is known of them. */
static void a_column_of_costs_stands_in_for_a_table(void **state) {
    static double fleet[NETWORKS * FLEET], costs[2][NETWORKS], measured[NETWORKS];
    struct laboratory_options options = {.n_sizes = 2, .sizes = {5, 10}, .splits = 20, .seed = 1};
    struct laboratory_report report;
    struct rng rng = rng_make(6, RNG_TEST, 0, 0);
    struct laboratory_profile profile = {.n_networks = NETWORKS,
                                         .measured_us = measured,
                                         .n_costs = 2,
                                         .cost_names = {"size", "macs"},
                                         .costs = {costs[0], costs[1]}};
    for (int i = 0; i < NETWORKS; i++) {
        costs[0][i] = exp(rng_normal(&rng));
        costs[1][i] = 1e9 * exp(rng_normal(&rng));
        measured[i] = (2e-6 * costs[1][i] + 500) * exp(0.02 * rng_normal(&rng));
        fleet[i] = 0.7 * log(costs[1][i]) + 0.5 * rng_normal(&rng);
    }
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_stand_ins, 2);
    assert_string_equal(report.stand_ins[1].name, "macs");
    assert_true(report.stand_ins[1].weak && report.stand_ins[1].kendall_tau > 0.9);
    assert_true(report.stand_ins[1].chosen[0] > 0.9 && report.stand_ins[1].chosen[1] > 0.9);
    assert_true(fabs(report.stand_ins[0].chosen[0] + report.stand_ins[1].chosen[0] - 1) < 1e-9);
    assert_true(report.figures[1][LADDER_LINE].mape < 0.03);
    assert_int_equal(count_without_influence(&profile, measured, LABORATORY_RANDOM), 30);
    /* One other board that tells less is offered, marked, and seldom taken; one as good mostly. */
    profile.n_fleet = 1;
    profile.fleet_log_us = fleet;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_int_equal(report.n_stand_ins, 3);
    assert_string_equal(report.stand_ins[0].name, "fleet");
    assert_true(report.stand_ins[0].weak && report.stand_ins[0].chosen[1] < 0.1);
    for (int i = 0; i < NETWORKS; i++)
        fleet[i] = log(measured[i]) + 0.02 * rng_normal(&rng);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(report.stand_ins[0].chosen[1] > 0.6);
    cJSON *doc = laboratory_report_to_json(&report);
    const cJSON *stand_in = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "stand_ins"), 2);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(stand_in, "name")), "macs");
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(stand_in, "weak")));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(stand_in, "chosen")), 2);
    cJSON_Delete(doc);
}

/* Fewer boards than a fleet has: their mean and what sets them apart, marked as weak. */
static void a_few_boards_are_a_weak_fleet(void **state) {
    static double fleet[NETWORKS * FLEET], few[NETWORKS * 3], measured[NETWORKS];
    struct laboratory_options options = {.n_sizes = 1, .sizes = {10}, .splits = 20, .seed = 1};
    struct laboratory_report report;
    struct laboratory_profile profile;
    make_fleet(fleet, measured, &profile);
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_false(report.stand_ins[0].weak);
    for (int i = 0; i < NETWORKS; i++)
        for (int p = 0; p < 3; p++)
            few[i * 3 + p] = fleet[i * FLEET + 4 * p];
    profile.n_fleet = 3;
    profile.fleet_log_us = few;
    assert_int_equal(laboratory_run(&profile, &options, NULL, NULL, &report), 0);
    assert_true(report.n_stand_ins == 1 && report.stand_ins[0].weak);
    assert_true(report.figures[0][LADDER_FLEET].there);
    assert_true(report.figures[0][LABORATORY_LADDER].mape <
                0.5 * report.figures[0][LADDER_LINE].mape);
    assert_int_equal(count_without_influence(&profile, measured, LABORATORY_RANDOM), 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_column_of_costs_stands_in_for_a_table),
                                       cmocka_unit_test(a_few_boards_are_a_weak_fleet),
                                       cmocka_unit_test(unknown_networks_influence_nothing),
                                       cmocka_unit_test(a_stand_in_has_no_scale),
                                       cmocka_unit_test(a_line_through_exact_sums_is_found),
                                       cmocka_unit_test(tables_are_of_other_networks),
                                       cmocka_unit_test(what_cannot_be_predicted_is_counted),
                                       cmocka_unit_test(ops_without_a_time_are_told_by_others),
                                       cmocka_unit_test(ops_of_others_are_in_the_table),
                                       cmocka_unit_test(ops_may_take_no_time),
                                       cmocka_unit_test(sizes_are_checked),
                                       cmocka_unit_test(sizes_that_do_not_fit_are_skipped),
                                       cmocka_unit_test(a_choice_has_a_pool),
                                       cmocka_unit_test(a_rung_of_too_many_ops_is_skipped),
                                       cmocka_unit_test(what_is_given_is_kept),
                                       cmocka_unit_test(a_fleet_stands_in_for_a_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
