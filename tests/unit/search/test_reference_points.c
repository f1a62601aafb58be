#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "search/reference_points.h"

/* The numbers of Deb & Jain 2014, table I. */
static void counts_are_the_published_ones(void **state) {
    assert_int_equal(reference_points_count(3, 12), 91);
    assert_int_equal(reference_points_count(5, 6), 210);
    assert_int_equal(reference_points_count(8, 3), 120);
    assert_int_equal(reference_points_count(8, 2), 36);
    assert_int_equal(reference_points_count(1, 12), 1);
    assert_int_equal(reference_points_count(2, 49), 50);
}

static void assert_layers(int m, int max, int outer, int inner) {
    struct reference_layers layers = reference_layers_for(m, max);
    assert_int_equal(layers.outer, outer);
    assert_int_equal(layers.inner, inner);
}

static void divisions_follow_from_the_population(void **state) {
    assert_layers(3, 91, 12, 0);
    assert_layers(3, 90, 11, 0);
    assert_layers(2, 64, 63, 0);
    assert_layers(1, 64, 1, 0);
    assert_layers(4, 64, 5, 0);
    assert_layers(5, 64, 3, 2); /* 35 on the edge, 15 within */
    assert_layers(6, 64, 3, 1); /* 56 and 6 */
    assert_layers(6, 4, 1, 0);  /* more than the population: the corners are always there */
    struct reference_layers asked = reference_layers_of(4, 3, 64);
    assert_int_equal(asked.outer, 3);
    assert_int_equal(asked.inner, 2);        /* 20 and 10; never more than the outer ones */
    asked = reference_layers_of(16, 12, 64); /* C(27, 12) points: more than anybody can use */
    assert_int_equal(asked.outer, 4);
    assert_true(reference_points_count(16, asked.outer) <= REFERENCE_POINTS_MAX);
    assert_int_equal(reference_layers_of(6, 12, 64).outer, 12); /* 6188 */
    assert_int_equal(reference_layers_of(1, 12, 64).outer, 12); /* one point */
}

static void points_are_different_and_sum_to_one(void **state) {
    for (int m = 1; m <= 6; m++) {
        struct reference_layers layers = reference_layers_for(m, 70);
        int n;
        double *points = reference_points(m, layers, &n);
        assert_true(n <= 70 && n >= m);
        for (int i = 0; i < n; i++) {
            double sum = 0;
            for (int k = 0; k < m; k++) {
                assert_true(points[i * m + k] >= 0);
                sum += points[i * m + k];
            }
            assert_true(fabs(sum - 1) < 1e-12);
            for (int j = 0; j < i; j++)
                assert_memory_not_equal(points + i * m, points + j * m, sizeof(double) * (size_t)m);
        }
        free(points);
    }
}

static void points_lie_where_das_and_dennis_put_them(void **state) {
    static const double expected[] = {1, 0, 0, .5, .5, 0, .5, 0, .5, 0, 1, 0, 0, .5, .5, 0, 0, 1,
                                      /* the inner layer: its corners */
                                      2. / 3, 1. / 6, 1. / 6, 1. / 6, 2. / 3, 1. / 6, 1. / 6,
                                      1. / 6, 2. / 3};
    int n;
    double *points = reference_points(3, (struct reference_layers){2, 1}, &n);
    assert_int_equal(n, 9);
    for (int i = 0; i < 27; i++)
        assert_true(fabs(points[i] - expected[i]) < 1e-12);
    free(points);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_the_published_ones),
        cmocka_unit_test(divisions_follow_from_the_population),
        cmocka_unit_test(points_are_different_and_sum_to_one),
        cmocka_unit_test(points_lie_where_das_and_dennis_put_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
