#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "search/hypervolume.h"
#include "search/pareto.h"

enum { N = 300 };

/* Points on a coarse grid, so that equal ones and ties happen; some infeasible. */
static void draw(uint64_t seed, int m, double *ret_costs, double *ret_violations) {
    struct rng rng = rng_make(seed, RNG_TEST, 0, (uint32_t)m);
    for (int i = 0; i < N * m; i++)
        ret_costs[i] = rng_below(&rng, 20);
    for (int i = 0; i < N; i++)
        ret_violations[i] = rng_below(&rng, 4) ? 0 : 1 + rng_below(&rng, 5);
}

static void ranks_are_those_of_the_definition(void **state) {
    for (int m = 1; m <= 4; m++) {
        double costs[N * 4], violations[N];
        int ranks[N];
        draw(1, m, costs, violations);
        int n_ranks = pareto_rank(costs, violations, N, m, ranks);
        assert_true(n_ranks > 1);
        /* A point's rank is one more than the largest among those that dominate it. */
        for (int i = 0; i < N; i++) {
            int expected = 0;
            for (int j = 0; j < N; j++)
                if (pareto_dominates_constrained(costs + j * m, violations[j], costs + i * m,
                                                 violations[i], m) &&
                    ranks[j] + 1 > expected)
                    expected = ranks[j] + 1;
            assert_int_equal(ranks[i], expected);
            assert_true(ranks[i] < n_ranks);
        }
    }
    assert_int_equal(pareto_rank(NULL, NULL, 0, 2, NULL), 0);
}

static void the_front_is_what_nothing_dominates(void **state) {
    for (int m = 1; m <= 6; m++) {
        double costs[N * 6], violations[N];
        int front[N], n = 0, expected = 0;
        draw(7, m, costs, violations);
        assert_int_equal(pareto_front(costs, N, m, front, &n), 0);
        for (int i = 0; i < N; i++) {
            bool dominated = false, there = false;
            for (int j = 0; j < N; j++)
                dominated |= pareto_dominates(costs + j * m, costs + i * m, m);
            for (int k = 0; k < n; k++)
                there |= front[k] == i;
            assert_int_equal(there, !dominated);
            expected += !dominated;
        }
        assert_int_equal(n, expected);
        for (int k = 1; k < n; k++)
            assert_true(costs[front[k - 1] * m] <= costs[front[k] * m]);
    }
    int n = -1;
    assert_int_equal(pareto_front(NULL, 0, 2, NULL, &n), 0);
    assert_int_equal(n, 0);
}

/* Every row is on the front of three objectives: more comparisons than anyone would wait for. */
static void a_front_that_would_take_too_long_is_given_up(void **state) {
    enum { MANY = 60000 };
    double *costs = calloc(MANY, 3 * sizeof *costs);
    int *front = calloc(MANY, sizeof *front), n;
    for (int i = 0; i < MANY; i++) {
        costs[3 * i] = i;
        costs[3 * i + 1] = -i;
    }
    assert_int_equal(pareto_front(costs, MANY, 3, front, &n), ESP_ELIMIT);
    free(costs);
    free(front);
}

static void crowding_is_the_gap_between_neighbours(void **state) {
    double costs[] = {0, 10, 1, 6, 2, 5, 10, 0}, distances[4];
    int members[] = {3, 1, 0, 2};
    assert_int_equal(pareto_crowding(costs, 2, members, 4, distances), 0);
    assert_true(isinf(distances[0]) && isinf(distances[2]));
    assert_true(fabs(distances[1] - (2.0 / 10 + 5.0 / 10)) < 1e-12);
    assert_true(fabs(distances[3] - (9.0 / 10 + 6.0 / 10)) < 1e-12);
    double same[] = {1, 1, 1, 1, 1, 1};
    int three[] = {0, 1, 2};
    assert_int_equal(pareto_crowding(same, 2, three, 3, distances), 0);
    assert_true(isinf(distances[0]) && distances[1] == 0);
}

/* Counts unit cells of the grid below the reference: exact for whole numbers. */
static double count_cells(const double *points, int n, int m, int side) {
    double cells = 0;
    int last = m > 2 ? side : 1, middle = m > 1 ? side : 1;
    for (int x = 0; x < side; x++)
        for (int y = 0; y < middle; y++)
            for (int z = 0; z < last; z++) {
                bool inside = false;
                for (int i = 0; i < n && !inside; i++)
                    inside = points[i * m] <= x && (m < 2 || points[i * m + 1] <= y) &&
                             (m < 3 || points[i * m + 2] <= z);
                cells += inside;
            }
    return cells;
}

static void hypervolume_counts_the_dominated_cells(void **state) {
    double reference[3] = {12, 12, 12};
    for (int m = 1; m <= 3; m++)
        for (uint64_t seed = 0; seed < 40; seed++) {
            double points[25 * 3], volume;
            struct rng rng = rng_make(seed, RNG_TEST, 1, (uint32_t)m);
            int n = 1 + (int)rng_below(&rng, 25);
            for (int i = 0; i < n * m; i++)
                points[i] = 2 + rng_below(&rng, 14);
            assert_int_equal(hypervolume(points, n, m, reference, &volume), 0);
            assert_true(fabs(volume - count_cells(points, n, m, 12)) < 1e-9);
        }
}

/* By inclusion and exclusion over all subsets. */
static double include_and_exclude(const double *points, int n, int m, const double *reference) {
    double volume = 0;
    for (unsigned subset = 1; subset < 1u << n; subset++) {
        double common = __builtin_popcount(subset) % 2 ? 1 : -1;
        for (int k = 0; k < m; k++) {
            double worst = -INFINITY;
            for (int i = 0; i < n; i++)
                worst = subset >> i & 1 ? fmax(worst, points[i * m + k]) : worst;
            common *= fmax(reference[k] - worst, 0);
        }
        volume += common;
    }
    return volume;
}

/* Whole numbers, so that many are equal, or fractions; some beyond the reference. */
static void hypervolume_is_that_of_inclusion_and_exclusion(void **state) {
    const double reference[6] = {5, 6, 5, 7, 5, 6};
    for (int m = 1; m <= 6; m++)
        for (uint64_t seed = 0; seed < 60; seed++) {
            double points[9 * 6], volume;
            struct rng rng = rng_make(seed, RNG_TEST, 2, (uint32_t)m);
            int n = 1 + (int)rng_below(&rng, 9);
            for (int i = 0; i < n * m; i++)
                points[i] = seed % 2 ? rng_below(&rng, 6) : 5.5 * rng_unit(&rng);
            assert_int_equal(hypervolume(points, n, m, reference, &volume), 0);
            double expected = include_and_exclude(points, n, m, reference);
            assert_true(fabs(volume - expected) <= 1e-9 * (1 + expected));
        }
}

/* Larger sets: with an objective more that is the same everywhere, in each place. */
static void hypervolume_of_more_objectives_agrees_with_that_of_fewer(void **state) {
    const double ones[6] = {1, 1, 1, 1, 1, 1};
    for (int m = 4; m <= 6; m++)
        for (int place = 0; place < m; place++) {
            enum { MANY = 120 };
            double fewer[MANY * 5], points[MANY * 6], less, volume;
            struct rng rng = rng_make((uint64_t)place, RNG_TEST, 3, (uint32_t)m);
            for (int i = 0; i < MANY * (m - 1); i++)
                fewer[i] = rng_unit(&rng);
            for (int i = 0; i < MANY; i++)
                for (int k = 0; k < m; k++)
                    points[i * m + k] = k == place ? 0.75 : fewer[i * (m - 1) + k - (k > place)];
            assert_int_equal(hypervolume(fewer, MANY, m - 1, ones, &less), 0);
            assert_int_equal(hypervolume(points, MANY, m, ones, &volume), 0);
            assert_true(fabs(volume - less / 4) < 1e-12);
        }
}

static void hypervolume_of_nothing_and_of_too_much(void **state) {
    double reference[7] = {1, 1, 1, 1, 1, 1, 1}, point[7] = {0}, volume = -1;
    for (int m = 2; m <= 6; m++) {
        assert_int_equal(hypervolume(NULL, 0, m, reference, &volume), 0);
        assert_true(volume == 0);
        assert_int_equal(hypervolume(reference, 1, m, reference, &volume), 0);
        assert_true(volume == 0);
    }
    assert_int_equal(hypervolume(point, 1, HYPERVOLUME_OBJECTIVES_MAX + 1, reference, &volume),
                     ESP_EUNSUPPORTED);
}

static void hypervolume_of_too_many_points_is_refused(void **state) {
    const double reference[6] = {1, 1, 1, 1, 1, 1};
    for (int m = 4; m <= 6; m++) {
        int max = hypervolume_points_max(m);
        double *points = calloc((size_t)(max + 2) * (size_t)m, sizeof *points), volume = -1;
        points[(max + 1) * m] = 2; /* does not count */
        assert_int_equal(hypervolume(points, max + 1, m, reference, &volume), ESP_ELIMIT);
        assert_true(volume == -1);
        assert_int_equal(hypervolume(points + 2 * m, max, m, reference, &volume), 0);
        assert_true(volume == 1);
        free(points);
    }
}

static void standing_is_rank_and_crowding_of_each(void **state) {
    const double costs[] = {0, 4, 1, 2, 2, 1, 4, 0, 3, 3, 9, 9};
    const double violations[] = {0, 0, 0, 0, 0, 1};
    const int first[] = {0, 1, 2, 3};
    int ranks[6], same[6];
    double distances[6], crowding[4];
    assert_int_equal(pareto_standing(costs, violations, 6, 2, ranks, distances), 3);
    assert_int_equal(pareto_rank(costs, violations, 6, 2, same), 3);
    assert_memory_equal(ranks, same, sizeof ranks);
    assert_int_equal(pareto_crowding(costs, 2, first, 4, crowding), 0);
    assert_memory_equal(distances, crowding, sizeof crowding);
    assert_true(isinf(distances[0]) && isfinite(distances[1]) && isinf(distances[4]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_of_the_definition),
        cmocka_unit_test(the_front_is_what_nothing_dominates),
        cmocka_unit_test(a_front_that_would_take_too_long_is_given_up),
        cmocka_unit_test(crowding_is_the_gap_between_neighbours),
        cmocka_unit_test(hypervolume_counts_the_dominated_cells),
        cmocka_unit_test(standing_is_rank_and_crowding_of_each),
        cmocka_unit_test(hypervolume_is_that_of_inclusion_and_exclusion),
        cmocka_unit_test(hypervolume_of_more_objectives_agrees_with_that_of_fewer),
        cmocka_unit_test(hypervolume_of_nothing_and_of_too_much),
        cmocka_unit_test(hypervolume_of_too_many_points_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
