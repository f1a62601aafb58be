#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/json.h"
#include "base/rng.h"
#include "latency/calibration.h"
#include "latency/quality.h"

enum { N_MAX = 400 };

/* A board whose networks take a * sum + c, with lognormal noise. */
static void make_board(uint64_t seed, double a, double c, double noise, int n, double *ret_sum,
                       double *ret_measured) {
    struct rng rng = rng_make(seed, RNG_TEST, 0, 0);
    for (int i = 0; i < n; i++) {
        ret_sum[i] = 1000 * exp(1.5 * rng_unit(&rng));
        ret_measured[i] = (a * ret_sum[i] + c) * exp(noise * rng_normal(&rng));
    }
}

static void finds_an_exact_line(void **state) {
    double sum[12], measured[12];
    make_board(1, 1.4, 350, 0, 12, sum, measured);
    struct calibration calibration;
    assert_int_equal(calibration_fit(sum, measured, 12, 3, NULL, &calibration), 0);
    assert_int_equal(calibration.kind, CALIBRATION_SHRUNK);
    assert_int_equal(calibration.version, 3);
    assert_int_equal(calibration.n, 12);
    assert_true(fabs(calibration.a - 1.4) < 1e-6);
    assert_true(fabs(calibration.c_us - 350) < 1e-3);
    assert_true(calibration.residual_sd < 1e-9);
}

static void leaves_a_right_sum_alone(void **state) {
    double sum[10], measured[10];
    make_board(2, 1, 0, 0, 10, sum, measured);
    struct calibration calibration;
    assert_int_equal(calibration_fit(sum, measured, 10, 1, NULL, &calibration), 0);
    assert_int_equal(calibration.kind, CALIBRATION_IDENTITY);
    assert_true(calibration.a == 1 && calibration.c_us == 0);
}

/* Least squares of log error on every other network; shrinkage must not lose to the plain sum when
 * the sum is right and noisy, and must win when it is not. */
static double mean_square_error(const struct calibration *calibration, const double *sum,
                                const double *measured, int n) {
    double total = 0;
    for (int i = 0; i < n; i++) {
        double e = log(calibration_apply(calibration, sum[i]) / measured[i]);
        total += e * e / n;
    }
    return total;
}

static void shrinks_when_there_is_nothing_to_learn(void **state) {
    double fitted = 0, plain = 0, biased_fitted = 0, biased_plain = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        double sum[N_MAX], measured[N_MAX];
        struct calibration calibration;
        make_board(seed, 1, 0, 0.05, N_MAX, sum, measured);
        assert_int_equal(calibration_fit(sum, measured, 5, 1, NULL, &calibration), 0);
        fitted += mean_square_error(&calibration, sum + 5, measured + 5, N_MAX - 5);
        plain += mean_square_error(&calibration_none, sum + 5, measured + 5, N_MAX - 5);
        make_board(seed, 1.3, 200, 0.05, N_MAX, sum, measured);
        assert_int_equal(calibration_fit(sum, measured, 5, 1, NULL, &calibration), 0);
        biased_fitted += mean_square_error(&calibration, sum + 5, measured + 5, N_MAX - 5);
        biased_plain += mean_square_error(&calibration_none, sum + 5, measured + 5, N_MAX - 5);
    }
    assert_true(fitted < 1.35 * plain);
    assert_true(biased_fitted < 0.1 * biased_plain);
}

static double mean_error(const struct calibration *calibration, const double *sum,
                         const double *measured, int n) {
    double total = 0;
    for (int i = 0; i < n; i++)
        total += fabs(log(calibration_apply(calibration, sum[i]) / measured[i])) / n;
    return total;
}

/* Errors in the mean over boards of what three networks make of a sum, as shares of the sum's. */
static double error_of_three(double a, double c, double noise) {
    double fitted = 0, plain = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        double sum[N_MAX], measured[N_MAX];
        struct calibration calibration;
        make_board(seed, a, c, noise, N_MAX, sum, measured);
        assert_int_equal(calibration_fit(sum, measured, 3, 1, NULL, &calibration), 0);
        fitted += mean_error(&calibration, sum + 3, measured + 3, N_MAX - 3);
        plain += mean_error(&calibration_none, sum + 3, measured + 3, N_MAX - 3);
    }
    return fitted / plain;
}

/* Of three networks a line is not told from chance unless the sum is clearly wrong. */
static void three_networks_correct_only_what_is_clearly_wrong(void **state) {
    double right = error_of_three(1, 0, 0.03), wrong = error_of_three(1.1, 300, 0.03);
    if (right > 1.25 || wrong > 0.3)
        fail_msg("errors of %.3f and %.3f of the sum's", right, wrong);
}

static void intervals_cover_what_they_say(void **state) {
    static const int sizes[] = {3, 4, 5, 10, 20};
    for (int k = 0; k < 5; k++) {
        double inside = 0, all = 0;
        for (uint64_t seed = 0; seed < 100; seed++) {
            double sum[N_MAX], measured[N_MAX];
            struct calibration calibration;
            make_board(seed, 1.2, 100, 0.04, N_MAX, sum, measured);
            assert_int_equal(
                calibration_fit(sum, measured, (size_t)sizes[k], 1, NULL, &calibration), 0);
            double factor = calibration_interval_factor(&calibration);
            for (int i = sizes[k]; i < N_MAX; i++, all++) {
                double us = calibration_apply(&calibration, sum[i]);
                inside += measured[i] >= us / factor && measured[i] <= us * factor;
            }
        }
        if (inside / all < 0.88 || inside / all >= 0.999)
            fail_msg("of %d networks: %g inside", sizes[k], inside / all);
    }
}

static void is_monotone_and_positive(void **state) {
    struct calibration c = {.kind = CALIBRATION_SHRUNK, .n = 5, .a = 0.8, .c_us = -500};
    double before = 0;
    for (double sum = 1; sum < 5000; sum += 7) {
        double us = calibration_apply(&c, sum);
        assert_true(us > before);
        assert_true(fabs(calibration_invert(&c, us) - sum) < 1e-6 * sum);
        before = us;
    }
}

static void refuses_bad_samples(void **state) {
    double sum[3] = {1, 2, 3}, measured[3] = {1, 2, NAN};
    struct calibration calibration = calibration_none;
    struct err err = {0};
    assert_int_equal(calibration_fit(sum, sum, 2, 1, &err, &calibration), ESP_EINVAL);
    assert_non_null(strstr(err.message, "at least 3"));
    assert_int_equal(calibration_fit(sum, measured, 3, 1, &err, &calibration), ESP_EINVAL);
    measured[2] = 0;
    assert_int_equal(calibration_fit(sum, measured, 3, 1, &err, &calibration), ESP_EINVAL);
    assert_int_equal(calibration.kind, CALIBRATION_NONE);
}

/* Networks that all have one sum: the line is not determined, only its height. */
static void takes_equal_sums(void **state) {
    double sum[5] = {100, 100, 100, 100, 100}, measured[5] = {150, 151, 149, 150, 150};
    struct calibration calibration;
    assert_int_equal(calibration_fit(sum, measured, 5, 1, NULL, &calibration), 0);
    assert_true(fabs(calibration_apply(&calibration, 100) - 150) < 2);
}

static void survives_json(void **state) {
    double sum[5] = {100, 200, 300, 400, 500}, measured[5] = {151, 252, 353, 449, 555};
    struct calibration calibrations[3] = {calibration_none}, copy;
    assert_int_equal(calibration_fit(sum, measured, 5, 9, NULL, &calibrations[1]), 0);
    assert_int_equal(calibration_fit(sum, sum, 5, 10, NULL, &calibrations[2]), 0);
    for (int i = 0; i < 3; i++) {
        cJSON *doc = calibration_to_json(&calibrations[i]);
        assert_int_equal(calibration_from_json(doc, "", NULL, &copy), 0);
        for (double s = 1; s < 1000; s += 111)
            assert_true(calibration_apply(&calibrations[i], s) == calibration_apply(&copy, s));
        assert_true(calibration_interval_factor(&calibrations[i]) ==
                    calibration_interval_factor(&copy));
        assert_int_equal(calibrations[i].version, copy.version);
        cJSON_ReplaceItemInObject(doc, "a", cJSON_CreateNumber(-1));
        struct err err = {0};
        assert_int_equal(calibration_from_json(doc, "/calibration", &err, &copy), ESP_EINVAL);
        assert_string_equal(err.pointer, "/calibration/a");
        cJSON_Delete(doc);
    }
}

static void quality_is_counted(void **state) {
    double predicted[4] = {100, 104, 92, 60}, measured[4] = {100, 100, 100, 50};
    double low[4] = {90, 101, 80, 50}, high[4] = {110, 110, 99, 70};
    struct latency_quality q;
    latency_quality_compute(predicted, low, high, measured, 4, &q);
    assert_int_equal(q.n, 4);
    assert_true(fabs(q.mape - (0 + 0.04 + 0.08 + 0.2) / 4) < 1e-12);
    assert_true(fabs(q.bias - (0 + 0.04 - 0.08 + 0.2) / 4) < 1e-12);
    assert_true(q.within_5 == 0.5 && q.within_10 == 0.75 && q.coverage == 0.5);
    double same[49];
    for (int i = 0; i < 49; i++)
        same[i] = 1 + i;
    latency_quality_compute(same, same, same, same, 49, &q); /* 49 times 1 / 49 is not 1 */
    assert_true(q.within_5 == 1 && q.within_10 == 1 && q.coverage == 1);
    latency_quality_compute(predicted, NULL, NULL, measured, 4, &q);
    assert_true(isnan(q.coverage));
    cJSON *doc = latency_quality_to_json(&q);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(doc, "coverage")));
    assert_true(cJSON_GetObjectItem(doc, "mape")->valuedouble == q.mape);
    cJSON_Delete(doc);
    double rising[3] = {1, 2, 3}, other[3] = {10, 20, 30};
    latency_quality_compute(rising, NULL, NULL, other, 3, &q);
    assert_true(fabs(q.kendall_tau - 1) < 1e-12 && fabs(q.spearman_rho - 1) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_an_exact_line),
        cmocka_unit_test(leaves_a_right_sum_alone),
        cmocka_unit_test(shrinks_when_there_is_nothing_to_learn),
        cmocka_unit_test(three_networks_correct_only_what_is_clearly_wrong),
        cmocka_unit_test(intervals_cover_what_they_say),
        cmocka_unit_test(is_monotone_and_positive),
        cmocka_unit_test(refuses_bad_samples),
        cmocka_unit_test(takes_equal_sums),
        cmocka_unit_test(survives_json),
        cmocka_unit_test(quality_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
