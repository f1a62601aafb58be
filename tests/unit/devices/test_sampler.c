/* The sampling rule on synthetic clocks: what it reports is compared with the distribution that the
 * noise was drawn from. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "devices/sampler.h"

/* A machine whose runs take base_us times lognormal noise, with outliers, drift and two modes as
 * asked. */
struct machine {
    struct rng rng;
    double base_us, sigma, outliers, mode_factor;
    double level_sigma, correlation; /* between fives of runs; from one run to the next */
    double level, last;
    int64_t now_ns, first_ns; /* first: of the first word between batches */
    int runs, fail_at, between_calls, cancel_at,
        burst_at; /* burst_at: batch that is 15 times slower */
    int jump_at;  /* run during which the clock jumps */
    int64_t jump_ns;
    double drift_per_s;                        /* relative, of the board's speed */
    double slow_factor;                        /* while it throttles itself, */
    int64_t slow_from_ns, slow_to_ns, told_ns; /* told: up to when it was asked */
};

/* Noise of a run: an autoregression of order one on a level that changes every five runs. */
static double noise(struct machine *m) {
    double r = m->correlation;
    if (m->runs % 5 == 0)
        m->level = m->level_sigma * rng_normal(&m->rng);
    m->last = r * m->last + sqrt(1 - r * r) * rng_normal(&m->rng);
    return exp(m->level + m->sigma * m->last);
}

static int run(void *context) {
    struct machine *m = context;
    double us = m->base_us * noise(m);

    if (m->burst_at > 0 && m->between_calls == m->burst_at)
        us *= 15;
    if (rng_unit(&m->rng) < m->outliers)
        us *= 20;
    us *= 1 + m->drift_per_s * (double)m->now_ns / 1e9;
    if (m->slow_factor > 0 && m->slow_from_ns <= m->now_ns && m->now_ns < m->slow_to_ns)
        us *= m->slow_factor;
    if (m->mode_factor > 0 && (m->now_ns / 20000000) % 2)
        us *= m->mode_factor;
    m->now_ns += (int64_t)(us * 1e3);
    if (m->runs + 1 == m->jump_at)
        m->now_ns += m->jump_ns;
    return ++m->runs == m->fail_at ? ESP_ENOMEM : 0;
}

static int64_t now_ns(void *context) {
    return ((struct machine *)context)->now_ns;
}

static int between(void *context, int batches) {
    struct machine *m = context;
    m->first_ns = m->first_ns ? m->first_ns : m->now_ns;
    return ++m->between_calls == m->cancel_at;
}

/* As a counter of the kernel: whether it throttled since the last look. */
static bool slowed(void *context) {
    struct machine *m = context;
    bool rose = m->slow_factor > 0 && m->slow_from_ns < m->now_ns && m->slow_to_ns > m->told_ns;
    m->told_ns = m->now_ns;
    return rose;
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

/* Wherever it jumps: ahead makes one sample wrong at the most, back ends the measurement. */
static void a_clock_that_jumps(void **state) {
    const int64_t hour_ns = INT64_C(3600000000000);

    for (int at = 1; at < 700; at += 3) {
        struct sampler_result r;
        struct err err = {0};
        struct machine m = machine_make(500, 0.01, 3);
        struct sampler_source source = {run, run, now_ns, between, &m};
        m.jump_at = at;
        m.jump_ns = hour_ns;
        assert_int_equal(measure(&m, "full", &r), 0);
        assert_true(fabs(r.median_us - 500) < 15);
        sampler_result_finish(&r);
        m = machine_make(500, 0.01, 3);
        m.jump_at = at;
        m.jump_ns = -hour_ns;
        assert_int_equal(sampler_run(method_find("full"), &source, &err, &r), ESP_ETIMEOUT);
        assert_non_null(strstr(err.message, "clock"));
        assert_true(m.runs <= at + 10); /* at once */
    }
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

/* Replays of what boards do: intervals of results that are not called throttled hold what the board
 * takes on average over the measurement, in at least 93 % of 400 (nominal 95 %). */
static void replay(const char *method, double outliers, double drift_per_s, double slow_factor) {
    int covered = 0, sound = 0, again = 0, n = 400;

    for (int i = 0; i < n; i++) {
        struct machine m = machine_make(2000, 0.03, (uint32_t)(20000 + i));
        struct sampler_source source = {run, run, now_ns, between, &m, .slowed = slowed};
        struct sampler_result r;
        struct err err = {0};
        m.outliers = outliers;
        m.drift_per_s = i % 2 ? drift_per_s : -drift_per_s;
        m.slow_factor = slow_factor;
        m.slow_from_ns = (int64_t)(rng_unit(&m.rng) * 4e8);
        m.slow_to_ns = m.slow_from_ns + (int64_t)(1e7 + rng_unit(&m.rng) * 3e7);
        assert_int_equal(sampler_run(method_find(method), &source, &err, &r), 0);
        double truth = 2000 * (1 + m.drift_per_s * (double)(m.first_ns + m.now_ns) / 2e9);
        sound += !r.throttled;
        again += r.taken_again > 0;
        covered += !r.throttled && r.low_us <= truth && truth <= r.high_us;
        sampler_result_finish(&r);
    }
    print_message("# %s, outliers %g, drift %g /s, throttling %g: %d of %d covered, %d of %d "
                  "called throttled, %d with batches taken again\n",
                  method, outliers, drift_per_s, slow_factor, covered, sound, n - sound, n, again);
    assert_in_range(sound, n * 8 / 10, n);
    assert_in_range(covered, sound * 93 / 100, n);
    assert_true(slow_factor > 0 ? again > n / 10 : again == 0);
}

static void intervals_cover_replayed_boards(void **state) {
    static const char *const names[] = {"brief", "full"};
    for (int i = 0; i < 2; i++) {
        replay(names[i], 0.05, 0, 0);
        replay(names[i], 0, 0.01, 0);
        replay(names[i], 0, 0, 1.4);
        replay(names[i], 0.05, 0.01, 1.4);
    }
}

/* It throttles all the time: the batches count in the end, and that is said. */
static void a_board_that_throttles_for_good(void **state) {
    struct machine m = machine_make(2000, 0.03, 1);
    struct sampler_source source = {run, run, now_ns, between, &m, .slowed = slowed};
    struct sampler_result r;
    struct err err = {0};
    m.slow_factor = 1.4;
    m.slow_to_ns = INT64_MAX;
    assert_int_equal(sampler_run(method_find("brief"), &source, &err, &r), 0);
    assert_true(r.throttled && r.taken_again == 3);
    assert_true(fabs(r.median_us / 2800 - 1) < 0.05);
    sampler_result_finish(&r);
    /* A cancel reaches it between batches that are taken again, too. */
    m = machine_make(2000, 0.03, 1);
    m.slow_factor = 1.4;
    m.slow_to_ns = INT64_MAX;
    m.cancel_at = 2;
    assert_int_equal(sampler_run(method_find("brief"), &source, &err, &r), ESP_ECANCELED);
    assert_int_equal(m.between_calls, 2);
}

/* The rule of brief, ended by its cap after so many batches of five runs of 10 ms. */
static void measure_batches(struct machine *m, int batches, struct sampler_result *ret) {
    struct sampler_source source = {run, run, now_ns, between, m};
    struct method method = *method_find("brief");
    struct err err = {0};

    method.reference_every = 1000; /* once before and once after */
    method.batches_min = 1000;
    method.run_max_us = 50000 + 50000 * batches - 25000;
    assert_int_equal(sampler_run(&method, &source, &err, ret), 0);
    assert_int_equal(ret->stop, SAMPLER_CAP);
}

static void few_batches_cover_too(void **state) {
    static const int batches[] = {1, 2, 3, 5, 6, 8, 10};
    const int n = 500;

    for (size_t b = 0; b < sizeof(batches) / sizeof(*batches); b++) {
        int covered = 0, exact = 0;
        for (int i = 0; i < n; i++) {
            struct machine m = machine_make(10000, 0.03, (uint32_t)(2000 + n * (int)b + i));
            struct sampler_result r;
            m.level_sigma = 0.02;
            m.correlation = 0.7;
            measure_batches(&m, batches[b], &r);
            covered += r.low_us <= 10000 && 10000 <= r.high_us;
            exact += r.batches == batches[b];
            sampler_result_finish(&r);
        }
        assert_in_range(exact, n * 9 / 10, n);
        assert_in_range(covered, n * 93 / 100, n);
    }
}

/* However equal its samples were, one batch says little: the fewer batches, the wider. */
static void one_batch_claims_least(void **state) {
    static const int batches[] = {1, 3, 6, 20};
    double mean[4] = {0};

    for (int b = 0; b < 4; b++)
        for (int i = 0; i < 50; i++) {
            struct machine m = machine_make(10000, 0.03, (uint32_t)(9000 + i));
            struct sampler_result r;
            measure_batches(&m, batches[b], &r);
            mean[b] += (r.high_us - r.low_us) / r.median_us / 50;
            sampler_result_finish(&r);
        }
    assert_true(mean[0] > mean[1] && mean[1] > mean[2] && mean[2] > mean[3]);

    struct machine still = machine_make(10000, 0, 9999);
    struct sampler_result r;
    measure_batches(&still, 1, &r);
    assert_int_equal(r.batches, 1);
    assert_true(r.low_us <= 0.981 * r.median_us && r.high_us >= 1.02 * r.median_us);
    sampler_result_finish(&r);
}

/* One burst of a shared machine is not the end of the interval. */
static void a_burst_does_not_stretch_the_interval(void **state) {
    for (int batches = 6; batches <= 10; batches++) {
        struct machine m = machine_make(10000, 0.02, (uint32_t)batches);
        struct sampler_result r;
        m.burst_at = 2;
        measure_batches(&m, batches + 14, &r); /* the burst takes the time of fifteen */
        assert_in_range(r.batches, batches - 1, batches + 1);
        assert_true(r.low_us <= 10000 && 10000 <= r.high_us);
        assert_true(r.high_us < 1.2 * r.median_us);
        sampler_result_finish(&r);
    }
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

/* A source that takes its own time: the reference is twice as fast. */
static int take(void *context, bool reference, int runs, int samples, double *ret_us) {
    struct machine *m = context;

    for (int i = 0; i < samples; i++) {
        ret_us[i] = m->base_us * noise(m) / (reference ? 2 : 1);
        m->now_ns += (int64_t)(ret_us[i] * 1e3) * runs;
        if (++m->runs == m->fail_at)
            return ESP_ETIMEOUT;
    }
    return 0;
}

static void samples_that_the_source_takes(void **state) {
    struct machine m = machine_make(400, 0.01, 6);
    struct sampler_source source = {.take = take, .now_ns = now_ns, .context = &m};
    struct sampler_result r;
    struct err err = {0};

    assert_int_equal(sampler_run(method_find("full"), &source, &err, &r), 0);
    assert_true(fabs(r.median_us - 400) < 2);
    assert_true(fabs(r.reference_before_us - 200) < 5);
    assert_int_equal(r.runs_per_sample, 3);
    sampler_result_finish(&r);
    m = machine_make(400, 0.01, 7);
    m.fail_at = 300;
    err_set(&err, ESP_ETIMEOUT, NULL, "too late");
    assert_int_equal(sampler_run(method_find("full"), &source, &err, &r), ESP_ETIMEOUT);
    assert_string_equal(err.message, "too late"); /* the source's own words */
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
        cmocka_unit_test(intervals_cover_replayed_boards),
        cmocka_unit_test(a_board_that_throttles_for_good),
        cmocka_unit_test(few_batches_cover_too),
        cmocka_unit_test(one_batch_claims_least),
        cmocka_unit_test(a_burst_does_not_stretch_the_interval),
        cmocka_unit_test(brief_keeps_its_time),
        cmocka_unit_test(two_modes_are_reported),
        cmocka_unit_test(a_wild_machine_is_noisy),
        cmocka_unit_test(a_clock_that_jumps),
        cmocka_unit_test(failures_and_cancellation_end_it),
        cmocka_unit_test(samples_that_the_source_takes),
        cmocka_unit_test(methods_have_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
