/* Calibrations learnt from whole networks: on boards that are made up here, so that the truth is
 * known. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/rng.h"
#include "latency/learn.h"
#include "latency/predictor.h"
#include "space/additive.h"

enum { KNOWN_MAX = 100, UNSEEN = 200 };

struct world {
    struct space *space;
    struct unit_list *units;
    struct latency_table *table, *other;
    uint64_t seed;
};

static double noise_of(uint64_t seed, const char *signature, double sd) {
    struct rng rng = rng_make(seed, RNG_TEST, map_hash(signature, strlen(signature)), 0);
    return exp(sd * rng_normal(&rng));
}

static double work_of(const struct unit_spec *spec) {
    return 2 + 1e-4 * (double)unit_spec_macs(spec);
}

static struct latency_table *table_of(const struct unit_list *units, uint64_t seed) {
    struct latency_table *table;
    assert_int_equal(latency_table_create("rev", NULL, &table), 0);
    for (int i = 0; i < units->n; i++) {
        const struct graph_unit *unit = &units->entries[i].graph->units[0];
        double us = work_of(&unit->spec) * noise_of(seed, unit->signature, 0.5);
        struct latency_entry e = {.median_us = us,
                                  .low_us = 0.98 * us,
                                  .high_us = 1.02 * us,
                                  .sd_us = 0.02 * us,
                                  .n = 9,
                                  .method = 1};
        memcpy(e.signature, unit->signature, sizeof e.signature);
        assert_int_equal(latency_table_put(table, &e, NULL), 0);
    }
    return table;
}

static void open_world(struct world *world) {
    *world = (struct world){0};
    assert_int_equal(space_builtin("fashion_small", NULL, &world->space), 0);
    assert_int_equal(space_units(world->space, NULL, &world->units), 0);
    world->table = table_of(world->units, 1);
    world->other = table_of(world->units, 2);
}

static void close_world(struct world *world) {
    latency_table_destroy(world->table);
    latency_table_destroy(world->other);
    unit_list_destroy(world->units);
    space_destroy(world->space);
}

/* What a unit takes inside a network. */
typedef double truth_fn(const struct world *world, const struct graph_unit *unit);

static double entry_us(const struct latency_table *table, const struct graph_unit *unit) {
    return latency_table_find(table, unit->signature)->median_us;
}

static double by_kind(const struct world *world, const struct graph_unit *unit) {
    return entry_us(world->table, unit) * (unit->spec.kind == UNIT_BLOCK ? 1 : 6);
}

static double half_as_other(const struct world *world, const struct graph_unit *unit) {
    return 0.5 * entry_us(world->table, unit) + 0.5 * entry_us(world->other, unit);
}

static double by_entry(const struct world *world, const struct graph_unit *unit) {
    return entry_us(world->table, unit) * noise_of(world->seed + 10, unit->signature, 0.25);
}

static double plain(const struct world *world, const struct graph_unit *unit) {
    return entry_us(world->table, unit);
}

static double true_us(const struct world *world, truth_fn *truth, const struct graph *graph) {
    double us = 20;
    for (int i = 0; i < graph->n_units; i++)
        us += 1.1 * truth(world, &graph->units[i]);
    return us;
}

static struct graph *random_graph(const struct world *world, uint64_t stream, uint32_t index,
                                  struct arch *ret_arch) {
    struct rng rng = rng_make(world->seed + 100, RNG_TEST, stream, index);
    struct graph *graph;
    arch_random(world->space, &rng, ret_arch);
    assert_int_equal(graph_build(world->space, ret_arch, NULL, &graph), 0);
    return graph;
}

struct known {
    size_t n;
    struct learn_network networks[KNOWN_MAX];
};

static void know(struct known *known, struct graph *graph, double us, int session) {
    known->networks[known->n++] =
        (struct learn_network){graph, us, 0.01 * us, session, session == 0};
}

static void forget(struct known *known) {
    for (size_t i = 0; i < known->n; i++)
        free((void *)known->networks[i].graph);
    known->n = 0;
}

static void know_random(const struct world *world, truth_fn *truth, size_t n, double noise,
                        struct known *known) {
    for (size_t i = 0; i < n; i++) {
        struct arch arch;
        struct rng rng = rng_make(world->seed, RNG_TEST, 77, (uint32_t)i);
        struct graph *graph = random_graph(world, 1, (uint32_t)i, &arch);
        know(known, graph, true_us(world, truth, graph) * exp(noise * rng_normal(&rng)), 0);
    }
}

/* The quality that is told is the points', which are told too. */
static void check_points(const struct known *known, struct learn_report *report) {
    double mape = 0, inside = 0;
    size_t n = report->n;
    for (size_t i = 0; i < n && report->judged; i++) {
        const struct learn_point *point = &report->points[i];
        double measured = known->networks[point->network].measured_us;
        assert_int_equal(point->network, i); /* all have a sum here */
        mape += fabs(point->predicted_us / measured - 1) / (double)n;
        inside += (measured >= point->low_us && measured <= point->high_us) / (double)n;
    }
    if (report->judged) {
        assert_float_equal(mape, report->latency.after.mape, 1e-9);
        assert_float_equal(inside, report->latency.after.coverage, 1e-9);
    }
    learn_report_finish(report);
    assert_null(report->points);
}

static struct calibration learnt(const struct world *world, const struct known *known,
                                 bool with_fleet, struct learn_report *report) {
    const struct latency_table *fleet[] = {world->other};
    struct learn_sources sources = {
        .table = world->table, .units = world->units, .n_fleet = with_fleet, .fleet = fleet};
    struct calibration calibration;
    assert_int_equal(
        calibration_learn(&sources, known->networks, known->n, 3, NULL, &calibration, report), 0);
    assert_int_equal(calibration.version, 3);
    assert_int_equal(calibration.n, (int)known->n);
    check_points(known, report);
    return calibration;
}

/* Mean relative error on networks that were not known. */
static double unseen_error(const struct world *world, truth_fn *truth,
                           const struct calibration *calibration) {
    double error = 0;
    for (uint32_t i = 0; i < UNSEEN; i++) {
        struct arch arch;
        struct graph *graph = random_graph(world, 2, i, &arch);
        struct latency_prediction p;
        assert_int_equal(latency_predict(world->table, calibration, graph, NULL, &p, NULL, NULL),
                         0);
        error += fabs(p.us / true_us(world, truth, graph) - 1) / UNSEEN;
        free(graph);
    }
    return error;
}

/* The line through the same networks, by another way. */
static double line_error(const struct world *world, truth_fn *truth, const struct known *known) {
    double sum[KNOWN_MAX], measured[KNOWN_MAX];
    struct calibration line;
    for (size_t i = 0; i < known->n; i++) {
        sum[i] = 0;
        measured[i] = known->networks[i].measured_us;
        for (int u = 0; u < known->networks[i].graph->n_units; u++)
            sum[i] += entry_us(world->table, &known->networks[i].graph->units[u]);
    }
    assert_int_equal(calibration_fit(sum, measured, known->n, 1, NULL, &line), 0);
    return unseen_error(world, truth, &line);
}

static void check_rung(truth_fn *truth, bool with_fleet, size_t n, enum ladder_rung rung,
                       double share) {
    struct world world;
    struct known known = {0};
    struct learn_report report;
    open_world(&world);
    know_random(&world, truth, n, 0.003, &known);
    struct calibration calibration = learnt(&world, &known, with_fleet, &report);
    double error = unseen_error(&world, truth, &calibration);
    assert_int_equal(calibration.rung, rung);
    assert_non_null(calibration.scales);
    assert_true(error < share * line_error(&world, truth, &known));
    /* What it says of itself is what it is worth on others. */
    assert_true(report.judged && report.n == n);
    assert_true(report.latency.after.mape > 0.4 * error &&
                report.latency.after.mape < 2.5 * error + 0.003);
    assert_true(report.latency.after.mape < report.latency.before.mape);
    assert_true(report.error[rung] < report.error[LADDER_LINE]);
    assert_true(isinf(report.error[LADDER_FLEET]) == !with_fleet);
    calibration_finish(&calibration);
    forget(&known);
    close_world(&world);
}

static void kinds_have_their_scales(void **state) {
    check_rung(by_kind, false, 40, LADDER_KINDS, 0.5);
}

static void other_profiles_are_a_prior(void **state) {
    check_rung(half_as_other, true, 40, LADDER_FLEET, 0.4);
}

static void entries_are_put_right_by_many_networks(void **state) {
    check_rung(by_entry, false, 100, LADDER_ENTRIES, 0.8);
}

static void a_right_table_needs_no_more_than_a_line(void **state) {
    struct world world;
    struct known known = {0};
    struct learn_report report;
    open_world(&world);
    know_random(&world, plain, 30, 0.01, &known);
    struct calibration calibration = learnt(&world, &known, true, &report);
    assert_int_equal(calibration.rung, LADDER_LINE);
    assert_null(calibration.scales);
    assert_true(unseen_error(&world, plain, &calibration) < 0.01);
    calibration_finish(&calibration);
    forget(&known);
    close_world(&world);
}

/* Scaled sums are sums over units: the fast path, the whole graph and the exact minimum agree; and
 * a stored calibration predicts the same. */
static void scales_stay_additive(void **state) {
    struct world world;
    struct known known = {0};
    struct learn_report report;
    struct latency_predictor *predictor;
    struct calibration copy;
    open_world(&world);
    know_random(&world, half_as_other, 40, 0.003, &known);
    struct calibration calibration = learnt(&world, &known, true, &report);
    cJSON *doc = calibration_to_json(&calibration);
    assert_int_equal(calibration_from_json(doc, "", NULL, &copy), 0);
    assert_true(fabs(calibration.entries_sd - 0.02 / 1.96) < 1e-9); /* as all entries are */
    assert_true(copy.entries_sd == calibration.entries_sd);
    assert_int_equal(
        latency_predictor_create(world.space, world.table, &calibration_none, NULL, &predictor), 0);
    double lowest = INFINITY;
    for (uint32_t i = 0; i < UNSEEN; i++) {
        struct arch arch;
        struct graph *graph = random_graph(&world, 2, i, &arch);
        struct latency_prediction bare, fast, slow, read;
        double sum = 0;
        latency_predictor_calibrate(predictor, &calibration_none);
        assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &bare), 0);
        latency_predictor_calibrate(predictor, &calibration);
        assert_int_equal(latency_predictor_run(predictor, &arch, NULL, &fast), 0);
        assert_int_equal(latency_predict(world.table, &calibration, graph, NULL, &slow, NULL, NULL),
                         0);
        assert_int_equal(latency_predict(world.table, &copy, graph, NULL, &read, NULL, NULL), 0);
        for (int u = 0; u < graph->n_units; u++)
            sum += latency_predictor_unit_us(predictor, graph, u);
        assert_true(fast.sum_us == bare.sum_us);
        assert_true(fabs(fast.us - slow.us) < 1e-9 * slow.us);
        assert_true(fabs(read.us - slow.us) < 1e-9 * slow.us);
        assert_true(fabs(calibration_apply(&calibration, sum) - fast.us) < 1e-9 * fast.us);
        lowest = fmin(lowest, sum);
        free(graph);
    }
    assert_true(lowest > 0);
    latency_predictor_destroy(predictor);
    calibration_finish(&calibration);
    calibration_finish(&copy);
    cJSON_Delete(doc);
    forget(&known);
    close_world(&world);
}

/* --- intervals --- */

/* A search's networks: some at random, then many that resemble each other (a front), asked for at
 * other times, when the board was a little slower or faster as a whole. */
static void know_as_a_search(const struct world *world, struct rng *rng, struct known *known) {
    static const int sizes[] = {12, 12, 8, 6};
    struct arch arch;
    for (int s = 0; s < 4; s++) {
        double shift = 0.02 * rng_normal(rng);
        for (int i = 0; i < sizes[s]; i++) {
            struct rng own = rng_make(world->seed, RNG_TEST, (uint64_t)(50 + s), (uint32_t)i);
            struct gene genes[SPACE_GENES_MAX];
            struct graph *graph;
            int n = space_genes(world->space, genes);
            if (s == 0 || (s == 1 && i == 0))
                arch_random(world->space, &own, &arch);
            for (int k = 0; k < 3 && s > 0; k++) {
                const struct gene *gene = &genes[rng_below(&own, (uint32_t)n)];
                arch_set_gene(&arch, gene, (int)rng_below(&own, (uint32_t)gene->n_choices));
            }
            arch_canonicalise(world->space, &arch);
            assert_int_equal(graph_build(world->space, &arch, NULL, &graph), 0);
            know(known, graph,
                 true_us(world, by_entry, graph) * exp(shift + 0.005 * rng_normal(rng)), s);
        }
    }
}

/* Share of networks of another session inside intervals; *ret_pooled: inside those that take every
 * error as one of many independent ones. */
static double coverage(struct world *world, uint64_t seed, double *ret_pooled) {
    struct known known = {0};
    struct learn_report report;
    struct rng rng = rng_make(seed, RNG_TEST, 9, 0);
    int inside = 0, pooled_inside = 0;
    world->seed = seed;
    know_as_a_search(world, &rng, &known);
    struct calibration calibration = learnt(world, &known, false, &report);
    for (size_t i = 0; i < known.n; i++)
        known.networks[i].session = known.networks[i].representative = 0;
    struct calibration pooled = learnt(world, &known, false, &report);
    double shift = 0.02 * rng_normal(&rng);
    for (uint32_t i = 0; i < UNSEEN; i++) {
        struct arch arch;
        struct graph *graph = random_graph(world, 2, i, &arch);
        struct latency_prediction p, q;
        double us = true_us(world, by_entry, graph) * exp(shift + 0.005 * rng_normal(&rng));
        assert_int_equal(latency_predict(world->table, &calibration, graph, NULL, &p, NULL, NULL),
                         0);
        assert_int_equal(latency_predict(world->table, &pooled, graph, NULL, &q, NULL, NULL), 0);
        inside += p.low_us <= us && us <= p.high_us;
        pooled_inside += q.low_us <= us && us <= q.high_us;
        free(graph);
    }
    calibration_finish(&calibration);
    calibration_finish(&pooled);
    forget(&known);
    *ret_pooled = (double)pooled_inside / UNSEEN;
    return (double)inside / UNSEEN;
}

static void intervals_hold_networks_of_other_times_and_kinds(void **state) {
    enum { WORLDS = 10 };
    struct world world;
    double inside = 0, pooled = 0, one;
    open_world(&world);
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        inside += coverage(&world, seed, &one) / WORLDS;
        pooled += one / WORLDS;
    }
    print_message("# %.3f inside, %.3f with all errors pooled\n", inside, pooled);
    assert_true(inside > 0.86 && inside < 0.97);
    assert_true(pooled < inside - 0.03);
    close_world(&world);
}

static void spread_counts_sessions_and_who_stands_for_all(void **state) {
    struct learn_error errors[24];
    double scratch[24];
    int n;
    /* Two sessions of the same spread, their means 0.1 apart. */
    for (int i = 0; i < 8; i++)
        errors[i] = (struct learn_error){(i < 4 ? 0.05 : -0.05) + (i % 2 ? 0.01 : -0.01), i / 4, 0};
    double within = 4e-4 / 3, between = 2 * 0.0025 - within / 4;
    assert_true(fabs(learn_spread(errors, 8, scratch, &n) - sqrt(within + between)) < 1e-12);
    assert_int_equal(n, 8);
    for (int i = 0; i < 8; i++)
        errors[i].session = 3;
    assert_true(fabs(learn_spread(errors, 8, scratch, &n) - sqrt(0.0026 * 8 / 7)) < 1e-12);
    /* Ten networks of the whole space among fourteen of a front. */
    for (int i = 0; i < 24; i++)
        errors[i] =
            (struct learn_error){(i % 2 ? 1 : -1) * (i < 10 ? 0.05 : 0.01), i >= 10, i < 10};
    assert_true(fabs(learn_spread(errors, 24, scratch, &n) - 0.05 * sqrt(10.0 / 9)) < 1e-12);
    assert_int_equal(n, 10);
    errors[0].representative = errors[1].representative = errors[2].representative = false;
    assert_true(learn_spread(errors, 24, scratch, &n) < 0.035);
    assert_int_equal(n, 24);
}

static void networks_that_cannot_be_summed_are_left_out(void **state) {
    struct world world;
    struct known known = {0};
    struct learn_report report;
    struct calibration calibration;
    struct err err = {0};
    open_world(&world);
    know_random(&world, plain, 6, 0.01, &known);
    latency_table_destroy(world.table);
    assert_int_equal(latency_table_create("rev", NULL, &world.table), 0);
    struct learn_sources sources = {.table = world.table, .units = world.units};
    assert_int_equal(
        calibration_learn(&sources, known.networks, known.n, 1, &err, &calibration, &report),
        ESP_EINVAL);
    assert_string_equal(err.message,
                        "a calibration needs at least 3 measured networks, there are 0");
    forget(&known);
    close_world(&world);
}

static void bad_scales_are_refused(void **state) {
    static const char *const bad[] = {"{\"units\":{}}",
                                      "{\"kinds\":{\"stern\":1},\"units\":{}}",
                                      "{\"kinds\":{\"stem\":1e9},\"units\":{}}",
                                      "{\"kinds\":{},\"units\":{\"a\":0.01}}",
                                      "{\"kinds\":{},\"units\":{\"a\":\"1\"}}",
                                      "{\"kinds\":{},\"units\":[]}",
                                      "{\"kinds\":{},\"units\":{},\"more\":1}",
                                      "[]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct unit_scales *scales;
        struct err err = {0};
        cJSON *doc = cJSON_Parse(bad[i]);
        assert_int_equal(unit_scales_from_json(doc, "/scales", &err, &scales), ESP_EINVAL);
        assert_int_equal(strncmp(err.pointer, "/scales", 7), 0);
        cJSON_Delete(doc);
    }
    struct unit_scales *scales;
    assert_int_equal(unit_scales_create(NULL, &scales), 0);
    assert_int_equal(unit_scales_add(scales, "a", 1000, NULL), 0);
    assert_int_equal(unit_scales_add(scales, "a", 2, NULL), ESP_ECONFLICT);
    assert_true(unit_scales_get(scales, "a", UNIT_STEM) == UNIT_SCALE_MAX);
    assert_true(unit_scales_get(scales, "b", UNIT_STEM) == 1);
    assert_true(unit_scales_get(NULL, "a", UNIT_STEM) == 1);
    unit_scales_destroy(scales);
    /* Scales and rung belong together. */
    cJSON *doc = cJSON_Parse("{\"kind\":\"shrunk\",\"version\":1,\"n\":5,\"a\":1,\"c_us\":0,"
                             "\"strength\":1,\"residual_sd\":0.1,\"rung\":\"kinds\"}");
    struct calibration calibration;
    struct err err = {0};
    assert_int_equal(calibration_from_json(doc, "/c", &err, &calibration), ESP_EINVAL);
    assert_string_equal(err.pointer, "/c/scales");
    cJSON_Delete(doc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_have_their_scales),
        cmocka_unit_test(other_profiles_are_a_prior),
        cmocka_unit_test(entries_are_put_right_by_many_networks),
        cmocka_unit_test(a_right_table_needs_no_more_than_a_line),
        cmocka_unit_test(scales_stay_additive),
        cmocka_unit_test(intervals_hold_networks_of_other_times_and_kinds),
        cmocka_unit_test(spread_counts_sessions_and_who_stands_for_all),
        cmocka_unit_test(networks_that_cannot_be_summed_are_left_out),
        cmocka_unit_test(bad_scales_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
