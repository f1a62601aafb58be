/* Expected values were worked out apart from this code: by definition (all pairs, exact fractions,
 * numerical integration of the density) in Python, or in closed form. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/stats.h"

enum { N = 12 };
static const double xs[N] = {2.5, 0.1, 7.25, 3.5, 3.5, 9.75, 1.125, 4.0, 8.5, 0.1, 6.0, 5.5};
static const double ys[N] = {1.0, 2.0, 9.0, 3.0, 4.0, 8.0, 2.0, 2.0, 9.0, 0.5, 7.5, 4.0};

static void assert_close(double value, double expected, double relative) {
    if (!(fabs(value - expected) <= relative * fmax(1e-300, fabs(expected))))
        fail_msg("%.17g is not %.17g", value, expected);
}

static void moments(void **state) {
    assert_close(stats_mean(xs, N), 4.31875, 1e-15);
    assert_close(stats_variance(xs, N), 10.031036931818182, 1e-14);
    assert_close(stats_variance(xs, 1), 0, 0);
    const double offset[] = {1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16};
    assert_close(stats_mean(offset, 4), 1e9 + 10, 0);
    assert_close(stats_variance(offset, 4), 30, 0);
}

static void quantiles(void **state) {
    assert_close(stats_quantile(xs, N, 0), 0.1, 0);
    assert_close(stats_quantile(xs, N, 0.1), 0.2025, 1e-14);
    assert_close(stats_quantile(xs, N, 0.25), 2.15625, 1e-15);
    assert_close(stats_quantile(xs, N, 0.9), 8.375, 1e-15);
    assert_close(stats_quantile(xs, N, 1), 9.75, 0);
    assert_close(stats_median(xs, N), 3.75, 0);
    assert_close(stats_median(xs, 11), 3.5, 0);
    assert_close(stats_mad(xs, N), 2.4375, 1e-15);
    assert_close(stats_quantile(xs, 1, 0.7), 2.5, 0);
}

static void median_intervals_by_exact_binomials(void **state) {
    static const struct {
        size_t n;
        double level;
        int low, high; /* ranks from 1 */
        double coverage;
    } rows[] = {
        {1, 0.95, 1, 1, 0.0},
        {2, 0.5, 1, 2, 0.5},
        {5, 0.5, 1, 5, 0.9375},
        {6, 0.5, 2, 5, 0.78125},
        {6, 0.95, 1, 6, 0.96875},
        {10, 0.5, 4, 7, 0.65625},
        {10, 0.95, 2, 9, 0.978515625},
        {10, 0.999, 1, 10, 0.998046875},
        {25, 0.5, 11, 15, 0.57564377784729},
        {25, 0.95, 8, 18, 0.9567147493362427},
        {25, 0.999, 5, 21, 0.9990894794464111},
        {100, 0.95, 40, 61, 0.9647997997822951},
        {100, 0.999, 34, 67, 0.9991262801630876},
    };
    double x[100], low, high;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (size_t k = 0; k < rows[i].n; k++)
            x[k] = (double)(k * 37 % rows[i].n + 1);
        assert_close(stats_median_ci(x, rows[i].n, rows[i].level, &low, &high), rows[i].coverage,
                     1e-12);
        assert_close(low, rows[i].low, 0);
        assert_close(high, rows[i].high, 0);
    }
}

static double tau_by_pairs(const double *x, const double *y, size_t n) {
    double sum = 0, untied_x = 0, untied_y = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            double dx = (x[i] > x[j]) - (x[i] < x[j]), dy = (y[i] > y[j]) - (y[i] < y[j]);
            sum += dx * dy;
            untied_x += dx * dx;
            untied_y += dy * dy;
        }
    }
    return sum / sqrt(untied_x * untied_y);
}

static void kendall(void **state) {
    assert_close(stats_kendall_tau(xs, ys, N), 0.7522166696057638, 1e-14);
    assert_close(stats_kendall_tau(xs, xs, N), 1, 1e-15);
    struct rng rng = rng_make(1, RNG_TEST, 0, 0);
    double x[301], y[301], z[301];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 301; i++) {
            x[i] = rng_below(&rng, 5u + (uint32_t)round * 20);
            y[i] = x[i] + rng_below(&rng, 50);
            z[i] = -x[i];
        }
        assert_close(stats_kendall_tau(x, y, 301), tau_by_pairs(x, y, 301), 1e-12);
        assert_close(stats_kendall_tau(x, z, 301), -1, 1e-14);
    }
    const double constant[] = {3, 3, 3};
    assert_close(stats_kendall_tau(xs, constant, 3), 0, 0);
    assert_close(stats_kendall_tau(constant, xs, 3), 0, 0);
    assert_close(stats_kendall_tau(xs, ys, 1), 0, 0);
}

/* Of pairs that are normal with a correlation whose tau is known (2 / pi * asin). */
static double covered(size_t n, double tau, struct rng *rng) {
    enum { ROUNDS = 2000 };
    const double pi = acos(-1), r = sin(pi / 2 * tau);
    double x[50], y[50], low, high;
    int inside = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < n; i++) {
            x[i] = rng_normal(rng);
            y[i] = r * x[i] + sqrt(1 - r * r) * rng_normal(rng);
        }
        stats_kendall_interval(stats_kendall_tau(x, y, n), n, 0.9, &low, &high);
        inside += low <= tau && tau <= high;
    }
    return (double)inside / ROUNDS;
}

/* Concordant less discordant pairs of all but one (n: of all), in units of pairs. */
static double tau_without(const double *x, const double *y, size_t n, size_t left_out) {
    double sum = 0;
    size_t pairs = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (i != left_out && k != left_out) {
                double sign = (x[i] - x[k]) * (y[i] - y[k]);
                sum += (sign > 0) - (sign < 0);
                pairs++;
            }
    return sum / (double)pairs;
}

/* Against the jackknife, which is (n - 1) / (n - 2) times as large. */
static void kendall_difference(void **state) {
    enum { SAMPLES = 60 };
    double truth[SAMPLES], a[SAMPLES], b[SAMPLES], left[SAMPLES], mean = 0, squares = 0;
    struct rng rng = rng_make(9, RNG_TEST, 0, 0);
    for (int i = 0; i < SAMPLES; i++) {
        truth[i] = rng_normal(&rng);
        a[i] = truth[i] + 0.5 * rng_normal(&rng);
        b[i] = a[i] + 0.2 * rng_normal(&rng);
    }
    for (size_t i = 0; i < SAMPLES; i++) {
        left[i] = tau_without(a, truth, SAMPLES, i) - tau_without(b, truth, SAMPLES, i);
        mean += left[i] / SAMPLES;
    }
    for (int i = 0; i < SAMPLES; i++)
        squares += (left[i] - mean) * (left[i] - mean);
    double jackknife = sqrt(squares * (SAMPLES - 1) / SAMPLES);
    double sd = stats_kendall_difference_sd(a, b, truth, SAMPLES);
    assert_close(sd * (SAMPLES - 1) / (SAMPLES - 2), jackknife, 1e-12);
    assert_true(sd > 0.01 && sd < 0.06); /* by chance alone, unpaired, 0.09 */
    assert_close(stats_kendall_difference_sd(a, a, truth, SAMPLES), 0, 0);
    assert_close(stats_kendall_difference_sd(a, b, truth, 1), 0, 0);
}

static void kendall_interval(void **state) {
    struct rng rng = rng_make(1, RNG_TEST, 0, 1);
    double low, high;
    /* As Wilson's interval of 4 of 4: z^2 = 2.7055. */
    stats_kendall_interval(1, 8, 0.9, &low, &high);
    assert_close(low, 2 * 4 / (4 + 2.705543454095414) - 1, 1e-9);
    assert_close(high, 1, 1e-15);
    stats_kendall_interval(-1, 8, 0.9, &low, &high);
    assert_close(low, -1, 1e-15);
    stats_kendall_interval(0.5, 1000000, 0.9, &low, &high);
    assert_close(high - low, 2 * 1.6448536269514722 * sqrt(2 * 0.75 / 1e6), 1e-5);
    static const size_t sizes[] = {4, 8, 12, 50};
    static const double taus[] = {-0.3, 0, 0.5, 0.714, 0.857, 0.95};
    for (int i = 0; i < 4; i++)
        for (int t = 0; t < 6; t++)
            assert_true(covered(sizes[i], taus[t], &rng) >= 0.89);
}

static void spearman(void **state) {
    assert_close(stats_spearman_rho(xs, ys, N), 0.8883202135552614, 1e-14);
    const double up[] = {1, 2, 3, 4}, squares[] = {1, 4, 9, 16}, down[] = {9, 7, 5, 1},
                 constant[] = {2, 2, 2, 2};
    assert_close(stats_spearman_rho(up, squares, 4), 1, 1e-15);
    assert_close(stats_spearman_rho(up, down, 4), -1, 1e-15);
    assert_close(stats_spearman_rho(up, constant, 4), 0, 0);
}

static void student(void **state) {
    for (double level = 0.05; level < 1; level += 0.05) {
        assert_close(stats_student_t(level, 1), tan(M_PI * level / 2), 1e-12);
        assert_close(stats_student_t(level, 2), level * sqrt(2 / (1 - level * level)), 1e-12);
    }
    assert_close(stats_student_t(0.95, 4), 2.7764451051977654, 1e-11);
    assert_close(stats_student_t(0.99, 30.5), 2.7469670637044357, 1e-10);
    assert_close(stats_student_t(0.9, 7), 1.8945786050900149, 1e-11);
    assert_close(stats_student_t(0.999, 120), 3.3734537685627535, 1e-9);
    assert_close(stats_student_t(0.95, 1e9), 1.9599639845400536, 1e-8);
    assert_close(stats_student_t(0.95, 9e7), 1.9599639845400536, 1e-7);
}

static void normal(void **state) {
    static const double rows[][2] = {{1e-300, -37.0470962993612},  {1e-10, -6.361340902404056},
                                     {0.001, -3.090232306167813},  {0.02425, -1.9729610513118845},
                                     {0.3, -0.5244005127080407},   {0.975, 1.9599639845400536},
                                     {0.999999, 4.753424308817089}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        assert_close(stats_normal_quantile(rows[i][0]), rows[i][1], 1e-12);
    assert_true(fabs(stats_normal_quantile(0.5)) < 1e-15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments),
        cmocka_unit_test(quantiles),
        cmocka_unit_test(median_intervals_by_exact_binomials),
        cmocka_unit_test(kendall),
        cmocka_unit_test(kendall_difference),
        cmocka_unit_test(kendall_interval),
        cmocka_unit_test(spearman),
        cmocka_unit_test(student),
        cmocka_unit_test(normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
