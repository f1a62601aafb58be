/* Which networks are measured next: against the textbook's formula by inverting matrices, against
 * every pair of a small set, and against a spread sample on boards that are made up here. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "latency/design.h"
#include "latency/energy.h"
#include "latency/learn.h"
#include "search/sampling.h"

enum { SMALL = 9, FEATURES = 4 };

/* A covariance of rank FEATURES, and weights. */
static void make_small(uint64_t seed, double *covariance, double *weight) {
    double features[SMALL][FEATURES];
    struct rng rng = rng_make(seed, RNG_TEST, 0, 0);
    for (int i = 0; i < SMALL; i++) {
        weight[i] = rng_unit(&rng);
        for (int k = 0; k < FEATURES; k++)
            features[i][k] = (k + 1) * rng_normal(&rng);
    }
    for (int i = 0; i < SMALL; i++)
        for (int j = 0; j < SMALL; j++) {
            covariance[i * SMALL + j] = 0;
            for (int k = 0; k < FEATURES; k++)
                covariance[i * SMALL + j] += features[i][k] * features[j][k];
        }
}

/* Inverse of a [n][n] by Gauss and Jordan. */
static void invert(double *a, int n, double *inverse) {
    for (int i = 0; i < n * n; i++)
        inverse[i] = i % n == i / n;
    for (int k = 0; k < n; k++) {
        double pivot = a[k * n + k];
        for (int j = 0; j < n; j++) {
            a[k * n + j] /= pivot;
            inverse[k * n + j] /= pivot;
        }
        for (int i = 0; i < n; i++) {
            double factor = i == k ? 0 : a[i * n + k];
            for (int j = 0; j < n; j++) {
                a[i * n + j] -= factor * a[k * n + j];
                inverse[i * n + j] -= factor * inverse[k * n + j];
            }
        }
    }
}

/* Weighted mean of the diagonal of K - K_:S (K_SS + 1)^-1 K_S:. */
static double variance_left(const double *covariance, const double *weight, const int *set, int n) {
    double a[SMALL * SMALL], inverse[SMALL * SMALL], sum = 0, weights = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            a[i * n + j] = covariance[set[i] * SMALL + set[j]] + (i == j);
    invert(a, n, inverse);
    for (int x = 0; x < SMALL; x++) {
        double left = covariance[x * SMALL + x];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                left -= covariance[x * SMALL + set[i]] * inverse[i * n + j] *
                        covariance[x * SMALL + set[j]];
        sum += weight[x] * left;
        weights += weight[x];
    }
    return sum / weights;
}

static bool holds(const int *set, int n, int network) {
    for (int i = 0; i < n; i++)
        if (set[i] == network)
            return true;
    return false;
}

static void each_is_the_best_next_one(void **state) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        double covariance[SMALL * SMALL], weight[SMALL], left[SMALL];
        uint32_t chosen[SMALL], known = (uint32_t)(seed % SMALL);
        int set[SMALL] = {(int)known};
        make_small(seed, covariance, weight);
        struct design design = {.n = SMALL, .covariance = covariance, .weight = weight};
        assert_int_equal(design_choose(&design, &known, 1, SMALL - 1, NULL, chosen, left), 0);
        for (int n = 1; n < SMALL; n++) {
            double least = INFINITY;
            for (int i = 0; i < SMALL; i++) {
                set[n] = i;
                if (!holds(set, n, i))
                    least = fmin(least, variance_left(covariance, weight, set, n + 1));
            }
            set[n] = (int)chosen[n - 1];
            assert_false(holds(set, n, set[n]));
            assert_true(fabs(variance_left(covariance, weight, set, n + 1) - least) < 1e-9);
            assert_true(fabs(left[n - 1] - least) < 1e-9);
        }
    }
}

/* One by one is no worse than (1 - 1/e) of what the best three together gain (Nemhauser et al. 1978
 * where gains never grow; here it is a fact about these sets), and mostly the same. */
static void three_are_nearly_the_best_three(void **state) {
    int same = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        double covariance[SMALL * SMALL], weight[SMALL], left[3], least = INFINITY;
        uint32_t chosen[3];
        make_small(seed, covariance, weight);
        struct design design = {.n = SMALL, .covariance = covariance, .weight = weight};
        assert_int_equal(design_choose(&design, NULL, 0, 3, NULL, chosen, left), 0);
        for (int i = 0; i < SMALL; i++)
            for (int j = 0; j < i; j++)
                for (int k = 0; k < j; k++) {
                    const int set[] = {i, j, k};
                    least = fmin(least, variance_left(covariance, weight, set, 3));
                }
        double before = variance_left(covariance, weight, NULL, 0);
        assert_true(before - left[2] >= 0.63 * (before - least));
        same += left[2] <= least + 1e-9;
    }
    assert_true(same >= 10);
}

static void weights_and_equals(void **state) {
    /* Three pairs of equal networks that tell nothing of each other: 2 is worth most, and again
     * before the others are looked at once; of equals the first. */
    static const double variance[] = {1, 1, 9, 9, 1, 1};
    double covariance[36] = {0};
    const double weight[] = {1, 1, 1, 1, 0, 0};
    uint32_t chosen[6];
    for (int i = 0; i < 6; i++)
        covariance[i * 6 + i] = covariance[i * 6 + (i ^ 1)] = variance[i];
    struct design design = {.n = 6, .covariance = covariance, .weight = weight};
    assert_int_equal(design_choose(&design, NULL, 0, 6, NULL, chosen, NULL), 0);
    static const uint32_t wanted[] = {2, 0, 3, 1, 4, 5};
    assert_memory_equal(chosen, wanted, sizeof wanted);
}

static void refuses(void **state) {
    const double covariance[] = {1, 0, 0, 1};
    struct design design = {.n = 2, .covariance = covariance};
    uint32_t chosen[3], known[] = {0, 2};
    assert_int_equal(design_choose(&design, NULL, 0, 3, NULL, chosen, NULL), ESP_EINVAL);
    assert_int_equal(design_choose(&design, known, 1, 2, NULL, chosen, NULL), ESP_EINVAL);
    assert_int_equal(design_choose(&design, known + 1, 1, 1, NULL, chosen, NULL), ESP_EINVAL);
    design.n = DESIGN_NETWORKS_MAX + 1;
    assert_int_equal(design_choose(&design, NULL, 0, 1, NULL, chosen, NULL), ESP_ELIMIT);
}

/* --- beside a spread sample --- */

enum { POOL = 384, UNSEEN = 150, CHOSEN = 10, BOARDS = 12 };

struct world {
    struct space *space;
    struct unit_list *units;
    struct latency_table *table;
    uint64_t seed;
};

static double draw(uint64_t seed, const char *text, double sd) {
    struct rng rng = rng_make(seed, RNG_TEST, map_hash(text, strlen(text)), 0);
    return exp(sd * rng_normal(&rng));
}

/* What it takes alone. */
static double entry_us(const struct graph_unit *unit) {
    return (3 + 1e-4 * (double)unit_spec_macs(&unit->spec)) * draw(1, unit->signature, 0.3);
}

static void open_world(struct world *world) {
    assert_int_equal(space_builtin("fashion_small", NULL, &world->space), 0);
    assert_int_equal(space_units(world->space, NULL, &world->units), 0);
    assert_int_equal(latency_table_create("rev", NULL, &world->table), 0);
    for (int i = 0; i < world->units->n; i++) {
        const struct graph_unit *unit = &world->units->entries[i].graph->units[0];
        double us = entry_us(unit);
        struct latency_entry e = {
            .median_us = us, .low_us = us, .high_us = us, .sd_us = 0.01 * us, .n = 9, .method = 1};
        memcpy(e.signature, unit->signature, sizeof e.signature);
        assert_int_equal(latency_table_put(world->table, &e, NULL), 0);
    }
}

static void close_world(struct world *world) {
    latency_table_destroy(world->table);
    unit_list_destroy(world->units);
    space_destroy(world->space);
}

/* A board on which kinds and single units take other times inside a network than alone. */
static double true_us(const struct world *world, const struct graph *graph, uint32_t network) {
    struct rng rng = rng_make(world->seed, RNG_TEST, 5, network);
    double us = 30 * draw(world->seed, "constant", 0.5), slope = draw(world->seed, "slope", 0.2);
    for (int i = 0; i < graph->n_units; i++) {
        const struct graph_unit *unit = &graph->units[i];
        us += slope * entry_us(unit) * draw(world->seed, unit->signature, 0.15) *
              draw(world->seed + 1000, unit_kind_names[unit->spec.kind], 0.3);
    }
    return us * exp(0.01 * rng_normal(&rng));
}

/* Mean relative error on unseen networks from small to large, calibrated on n archs. */
static double error_of(const struct world *world, const struct arch *archs, int n) {
    struct learn_network networks[CHOSEN];
    struct learn_sources sources = {.table = world->table, .units = world->units};
    struct learn_report report;
    struct calibration calibration;
    double error = 0;
    for (int i = 0; i < n; i++) {
        struct graph *graph;
        assert_int_equal(graph_build(world->space, &archs[i], NULL, &graph), 0);
        networks[i] = (struct learn_network){.graph = graph,
                                             .measured_us = true_us(world, graph, (uint32_t)i),
                                             .representative = true};
    }
    assert_int_equal(
        calibration_learn(&sources, networks, (size_t)n, 1, NULL, &calibration, &report), 0);
    for (int i = 0; i < UNSEEN; i++) {
        struct rng rng = rng_make(99, RNG_TEST, 6, (uint32_t)i);
        struct arch arch;
        struct graph *graph;
        sample_leaning(world->space, &rng, 2 * rng_unit(&rng) - 1, &arch);
        assert_int_equal(graph_build(world->space, &arch, NULL, &graph), 0);
        double sum = 0, us = true_us(world, graph, (uint32_t)(1000 + i));
        for (int u = 0; u < graph->n_units; u++)
            sum += entry_us(&graph->units[u]) * unit_scales_get(calibration.scales,
                                                                graph->units[u].signature,
                                                                graph->units[u].spec.kind);
        error += fabs(calibration_apply(&calibration, sum) / us - 1) / UNSEEN;
        free(graph);
    }
    for (int i = 0; i < n; i++)
        free((void *)networks[i].graph);
    calibration_finish(&calibration);
    learn_report_finish(&report);
    return error;
}

static void choose_useful(const struct world *world, uint64_t seed, struct arch *ret_archs) {
    struct arch *archs = calloc(POOL, sizeof *archs);
    struct graph **graphs = calloc(POOL, sizeof *graphs);
    double *covariance = calloc((size_t)POOL * POOL, sizeof *covariance);
    struct learn_sources sources = {.table = world->table, .units = world->units};
    uint32_t chosen[CHOSEN];
    for (int i = 0; i < POOL; i++) {
        struct rng rng = rng_make(seed, RNG_SAMPLE, 1, (uint32_t)i);
        sample_leaning(world->space, &rng, 2 * rng_unit(&rng) - 1, &archs[i]);
        assert_int_equal(graph_build(world->space, &archs[i], NULL, &graphs[i]), 0);
    }
    assert_int_equal(
        learn_covariance(&sources, (const struct graph *const *)graphs, POOL, NULL, covariance), 0);
    struct design design = {.n = POOL, .covariance = covariance};
    assert_int_equal(design_choose(&design, NULL, 0, CHOSEN, NULL, chosen, NULL), 0);
    for (int i = 0; i < CHOSEN; i++)
        ret_archs[i] = archs[chosen[i]];
    for (int i = 0; i < POOL; i++)
        free(graphs[i]);
    free(graphs);
    free(archs);
    free(covariance);
}

static void better_than_spread_by_macs(void **state) {
    struct world world = {0};
    struct arch archs[CHOSEN + 2];
    double useful = 0, spread = 0, random = 0;
    open_world(&world);
    for (uint64_t board = 1; board <= BOARDS; board++) {
        world.seed = board;
        choose_useful(&world, board, archs);
        useful += error_of(&world, archs, CHOSEN) / BOARDS;
        assert_int_equal(sample_spread(world.space, board, CHOSEN + 2, NULL, archs), CHOSEN + 2);
        spread += error_of(&world, archs + 1, CHOSEN) / BOARDS;
        for (int i = 0; i < CHOSEN; i++) {
            struct rng rng = rng_make(board, RNG_SAMPLE, 1, (uint32_t)i);
            sample_leaning(world.space, &rng, 2 * rng_unit(&rng) - 1, &archs[i]);
        }
        random += error_of(&world, archs, CHOSEN) / BOARDS;
    }
    print_message("# useful %.4f, spread %.4f, random %.4f\n", useful, spread, random);
    assert_true(useful < spread);
    close_world(&world);
}

/* --- the same for energy --- */

enum { ENERGY_CHOSEN = 5, ENERGY_BOARDS = 24 };

/* Prices and the work of kinds and single units are the board's own. */
static double true_uj(const struct world *world, const struct graph *graph, const struct cost *cost,
                      uint32_t network) {
    struct rng rng = rng_make(world->seed, RNG_TEST, 7, network);
    double worth = 0, macs = 0;
    for (int i = 0; i < graph->n_units; i++) {
        const struct graph_unit *unit = &graph->units[i];
        double own = (double)unit_spec_macs(&unit->spec) + 1;
        macs += own;
        worth += own * draw(world->seed, unit->signature, 0.15) *
                 draw(world->seed + 1000, unit_kind_names[unit->spec.kind], 0.3);
    }
    double uj = 20e-6 * draw(world->seed, "mac", 0.7) * (double)cost->macs * worth / macs +
                100e-6 * draw(world->seed, "byte", 0.7) * (double)cost->traffic_bytes +
                30 * draw(world->seed, "run", 0.7);
    return uj * exp(0.03 * rng_normal(&rng));
}

static void look_at(const struct world *world, const struct arch *arch, uint32_t number,
                    struct energy_network *ret) {
    struct graph *graph;
    struct cost cost;
    assert_int_equal(graph_build(world->space, arch, NULL, &graph), 0);
    assert_int_equal(graph_cost(graph, 4, NULL, &cost), 0);
    *ret = (struct energy_network){(double)cost.macs, (double)cost.traffic_bytes,
                                   true_uj(world, graph, &cost, number)};
    free(graph);
}

/* Mean relative error on unseen networks of prices that are fitted to some. */
static double energy_error_of(const struct world *world, const struct energy_network *networks,
                              size_t n) {
    struct energy_fit fit;
    struct energy_report report;
    double error = 0;
    assert_int_equal(energy_fit_networks(networks, n, NULL, &fit, &report), 0);
    for (uint32_t i = 0; i < UNSEEN; i++) {
        struct rng rng = rng_make(99, RNG_TEST, 6, i);
        struct arch arch;
        struct energy_network unseen;
        sample_leaning(world->space, &rng, 2 * rng_unit(&rng) - 1, &arch);
        look_at(world, &arch, 1000 + i, &unseen);
        double uj = energy_fit_apply(&fit, unseen.macs, unseen.traffic_bytes);
        error += fabs(uj / unseen.measured_uj - 1) / UNSEEN;
    }
    return error;
}

static double energy_error_of_useful(const struct world *world, double *covariance) {
    struct energy_network pool[POOL], networks[ENERGY_CHOSEN];
    struct design design = {.n = POOL, .covariance = covariance};
    uint32_t chosen[ENERGY_CHOSEN];
    for (uint32_t i = 0; i < POOL; i++) {
        struct rng rng = rng_make(world->seed, RNG_SAMPLE, 1, i);
        struct arch arch;
        sample_leaning(world->space, &rng, 2 * rng_unit(&rng) - 1, &arch);
        look_at(world, &arch, i, &pool[i]);
    }
    energy_covariance(pool, POOL, covariance);
    assert_int_equal(design_choose(&design, NULL, 0, ENERGY_CHOSEN, NULL, chosen, NULL), 0);
    for (int i = 0; i < ENERGY_CHOSEN; i++)
        networks[i] = pool[chosen[i]];
    return energy_error_of(world, networks, ENERGY_CHOSEN);
}

static void energy_is_better_than_spread_by_macs(void **state) {
    struct world world = {0};
    struct arch archs[ENERGY_CHOSEN + 2];
    struct energy_network networks[ENERGY_CHOSEN];
    double *covariance = calloc((size_t)POOL * POOL, sizeof *covariance), useful = 0, spread = 0;
    open_world(&world);
    for (uint64_t board = 1; board <= ENERGY_BOARDS; board++) {
        world.seed = board;
        useful += energy_error_of_useful(&world, covariance) / ENERGY_BOARDS;
        assert_int_equal(sample_spread(world.space, board, ENERGY_CHOSEN + 2, NULL, archs),
                         ENERGY_CHOSEN + 2);
        for (uint32_t i = 0; i < ENERGY_CHOSEN; i++)
            look_at(&world, &archs[i + 1], i, &networks[i]);
        spread += energy_error_of(&world, networks, ENERGY_CHOSEN) / ENERGY_BOARDS;
    }
    print_message("# energy: useful %.4f, spread %.4f\n", useful, spread);
    assert_true(useful < 0.9 * spread);
    free(covariance);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_the_best_next_one),
        cmocka_unit_test(three_are_nearly_the_best_three),
        cmocka_unit_test(weights_and_equals),
        cmocka_unit_test(refuses),
        cmocka_unit_test(better_than_spread_by_macs),
        cmocka_unit_test(energy_is_better_than_spread_by_macs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
