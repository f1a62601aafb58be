/* The sampling rule on synthetic clocks: what it reports is compared with the distribution that the
 * noise was drawn from. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "devices/sampler.h"

/* A machine whose runs take base_us times lognormal noise, with outliers, drift and two modes as
 * asked. */
struct machine {
    struct rng rng;
    double base_us, sigma, outliers, mode_factor;
    int64_t now_ns;
    int runs, fail_at, between_calls, cancel_at;
};

static int run(void *context) {
    struct machine *m = context;
    double us = m->base_us * exp(m->sigma * rng_normal(&m->rng));

    if (rng_unit(&m->rng) < m->outliers)
        us *= 20;
    if (m->mode_factor > 0 && (m->now_ns / 20000000) % 2)
        us *= m->mode_factor;
    m->now_ns += (int64_t)(us * 1e3);
    return ++m->runs == m->fail_at ? ESP_ENOMEM : 0;
}

static int64_t now_ns(void *context) {
    return ((struct machine *)context)->now_ns;
}

static int between(void *context, int batches) {
    struct machine *m = context;
    return ++m->between_calls == m->cancel_at;
}

static struct machine machine_make(double base_us, double sigma, uint32_t index) {
    return (struct machine){
        .rng = rng_make(7, RNG_TEST, 0, index), .base_us = base_us, .sigma = sigma};
}

static int measure(struct machine *m, const char *method, struct sampler_result *ret) {
    struct sampler_source source = {run, run, now_ns, between, m};
    struct err err = {0};
    return sampler_run(method_find(method), &source, &err, ret);
}

static void finds_the_median_of_a_quiet_machine(void **state) {
    struct machine m = machine_make(137, 0.002, 0);
    struct sampler_result r;

    assert_int_equal(measure(&m, "full", &r), 0);
    assert_true(fabs(r.median_us - 137) < 0.5);
    assert_true(r.low_us <= r.median_us && r.median_us <= r.high_us);
    assert_int_equal(r.stop, SAMPLER_TARGET);
    assert_false(r.noisy);
    assert_false(r.bimodal);
    assert_int_equal(r.runs_per_sample, 8); /* ceil(1000 / 137) */
    assert_true(r.reference_before_us > 0 && r.reference_spread < 0.05);
    sampler_result_finish(&r);
}

static void outliers_do_not_move_the_median(void **state) {
    struct machine m = machine_make(1500, 0.01, 1);
    struct sampler_result r;

    m.outliers = 0.05;
    assert_int_equal(measure(&m, "full", &r), 0);
    assert_true(fabs(r.median_us - 1500) < 15);
    assert_true(r.mean_us > 1.3 * r.median_us);
    sampler_result_finish(&r);
}

/* The interval holds the true median in at least 93 % of 400 measurements (nominal 95 %). */
static void interval_covers(void **state) {
    int covered = 0, n = 400;

    for (int i = 0; i < n; i++) {
        struct machine m = machine_make(2000, 0.03, (uint32_t)(100 + i));
        struct sampler_result r;
        assert_int_equal(measure(&m, "brief", &r), 0);
        covered += r.low_us <= 2000 && 2000 <= r.high_us;
        sampler_result_finish(&r);
    }
    assert_in_range(covered, n * 93 / 100, n);
}

static void brief_keeps_its_time(void **state) {
    for (int i = 0; i < 20; i++) {
        struct machine m = machine_make(i % 2 ? 3000 : 20, 0.2, (uint32_t)(600 + i));
        struct sampler_result r;
        assert_int_equal(measure(&m, "brief", &r), 0);
        assert_true(m.now_ns < 500000000);
        sampler_result_finish(&r);
    }
}

static void two_modes_are_reported(void **state) {
    struct machine m = machine_make(1000, 0.002, 2);
    struct sampler_result r;

    m.mode_factor = 1.6;
    assert_int_equal(measure(&m, "full", &r), 0);
    assert_true(r.bimodal);
    sampler_result_finish(&r);
}

static void a_wild_machine_is_noisy(void **state) {
    struct machine m = machine_make(100000, 1.0, 3);
    struct sampler_result r;

    assert_int_equal(measure(&m, "full", &r), 0);
    assert_true(r.noisy);
    sampler_result_finish(&r);
}

static void failures_and_cancellation_end_it(void **state) {
    struct machine failing = machine_make(100, 0.01, 4), cancelled = machine_make(100, 0.01, 5);
    struct sampler_result r = {.n = -1};

    failing.fail_at = 400;
    assert_int_equal(measure(&failing, "full", &r), ESP_ENOMEM);
    cancelled.cancel_at = 3;
    assert_int_equal(measure(&cancelled, "full", &r), ESP_ECANCELED);
    assert_int_equal(cancelled.between_calls, 3);
    assert_int_equal(r.n, -1);
}

static void methods_have_ids(void **state) {
    char id[METHOD_ID_MAX];

    for (const struct method *m = methods; m->name; m++) {
        method_id(m, id);
        assert_ptr_equal(method_find(id), m);
        assert_ptr_equal(method_find(m->name), m);
    }
    assert_null(method_find("brief/999"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_median_of_a_quiet_machine),
        cmocka_unit_test(outliers_do_not_move_the_median),
        cmocka_unit_test(interval_covers),
        cmocka_unit_test(brief_keeps_its_time),
        cmocka_unit_test(two_modes_are_reported),
        cmocka_unit_test(a_wild_machine_is_noisy),
        cmocka_unit_test(failures_and_cancellation_end_it),
        cmocka_unit_test(methods_have_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
