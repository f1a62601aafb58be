#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "search/front_plane.h"

enum { M = 3 };

/* All of the first rank and without violation but the last, which is as it is told. */
static struct front_plane fit(const double *costs, int n, int last_rank, double last_violation) {
    double violations[16] = {0};
    int ranks[16] = {0};
    struct front_plane plane;
    ranks[n - 1] = last_rank;
    violations[n - 1] = last_violation;
    front_plane_fit(costs, violations, ranks, n, M, &plane);
    return plane;
}

static void assert_range(const struct front_plane *plane, double x, double y, double z) {
    const double expected[M] = {x, y, z};
    for (int k = 0; k < M; k++)
        assert_true(fabs(plane->range[k] - expected[k]) < 1e-9 * expected[k]);
}

/* Points of x / 2 + y / 5000 + z / 0.1 = 1 that do not reach the axes, from an ideal that is not 0.
 */
static void intercepts_are_those_of_the_plane(void **state) {
    const double at[3] = {7, -300, 1}, to[3] = {2, 5000, 0.1};
    const double shares[6][3] = {{0.9, 0.05, 0.05}, {0.05, 0.9, 0.05}, {0.05, 0.05, 0.9},
                                 {0, 0.5, 0.5},     {0.5, 0, 0.5},     {0.5, 0.5, 0}};
    double costs[7 * M];
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < M; k++)
            costs[i * M + k] = at[k] + shares[i][k] * to[k];
    for (int k = 0; k < M; k++)
        costs[6 * M + k] = at[k] + 3 * to[k]; /* one that is dominated: no intercept is beyond it */
    struct front_plane plane = fit(costs, 7, 1, 0);
    assert_range(&plane, 2, 5000, 0.1);
    for (int k = 0; k < M; k++) {
        assert_true(fabs(plane.ideal[k] - at[k]) < 1e-12);
        assert_true(fabs(front_plane_scaled(&plane, k, at[k] + to[k] / 4) - 0.25) < 1e-9);
    }
}

/* The plane through the first three meets the axes at 1.6, 1.6 and 0.8. */
static void an_intercept_beyond_all_members_gives_way_on_its_axis(void **state) {
    double costs[7 * M] = {1, 0.2, 0.2, 0.2, 1,    0.2,  0.3, 0.3, 0.5, 0, 0.9,
                           1, 0.9, 0,   1,   0.95, 0.95, 0,   1,   1,   1};
    struct front_plane plane = fit(costs, 7, 1, 0);
    assert_range(&plane, 1, 1, 0.8);
    costs[18] = 1.3;
    plane = fit(costs, 7, 1, 0);
    assert_range(&plane, 1.3, 1, 0.8);
    costs[18] = 2;
    plane = fit(costs, 7, 1, 0);
    assert_range(&plane, 1.6, 1, 0.8);
    plane = fit(costs, 7, 1, 0.5); /* one that breaks a limit does not count */
    assert_range(&plane, 1, 1, 0.8);
}

/* The same member is nearest to two axes. */
static void without_a_plane_the_worst_of_the_front_stands_for_it(void **state) {
    const double costs[4 * M] = {0, 0, 6, 4, 4, 0, 1, 2, 3, 9, 9, 9};
    struct front_plane plane = fit(costs, 4, 1, 0);
    assert_range(&plane, 4, 4, 6);
}

static void what_is_equal_on_the_front_has_the_range_of_the_members(void **state) {
    const double costs[4 * M] = {0, 2, 7, 1, 1, 7, 2, 0, 7, 3, 3, 12};
    struct front_plane plane = fit(costs, 4, 1, 0);
    assert_range(&plane, 2, 2, 5);
    plane = fit(costs, 3, 0, 0);
    assert_range(&plane, 2, 2, 1);
    plane = fit(costs, 1, 0, 0);
    assert_range(&plane, 1, 1, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intercepts_are_those_of_the_plane),
        cmocka_unit_test(an_intercept_beyond_all_members_gives_way_on_its_axis),
        cmocka_unit_test(without_a_plane_the_worst_of_the_front_stands_for_it),
        cmocka_unit_test(what_is_equal_on_the_front_has_the_range_of_the_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
