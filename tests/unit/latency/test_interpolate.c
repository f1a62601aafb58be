#include "tests/unit/unit.h"

#include <math.h>

#include "latency/interpolate.h"

enum { FEATURES = 4 };

/* As in tests/golden/generate_interpolation.py. */
static struct interpolation_sample sample(int i) {
    int side = 7 + 7 * (i % 4), c_in = 16 + 8 * (i % 11), c_out = 24 + 16 * (i % 7),
        kernel = 3 + 2 * (i % 3);
    double macs = (double)side * side * c_in * c_out * kernel;
    double us = 2 + macs / (3e3 + 40.0 * side * c_out) * (1 + 0.01 * (double)(i * 7919L % 11 - 5));
    return (struct interpolation_sample){.kind = 3,
                                         .group = i % 5,
                                         .n_features = FEATURES,
                                         .features = {side, c_in, c_out, kernel},
                                         .us = us};
}

static struct interpolator *filled(int n) {
    struct interpolator *interpolator;
    assert_int_equal(interpolator_create(NULL, &interpolator), 0);
    for (int i = 0; i < n; i++) {
        struct interpolation_sample s = sample(i);
        assert_int_equal(interpolator_add(interpolator, &s, NULL), 0);
    }
    return interpolator;
}

static struct interpolation_sample question(const double *features) {
    struct interpolation_sample q = {.kind = 3, .n_features = FEATURES};
    for (int i = 0; i < FEATURES; i++)
        q.features[i] = features[i];
    return q;
}

static void answers_equal_another_programs(void **state) {
    static const struct {
        int n;
        double features[FEATURES], us, log_sd;
    } known[] = {
        {60, {14, 40, 56, 3}, 40.8115599133, 0.0294661498198},
        {60, {21, 20, 100, 5}, 52.6567103688, 0.0593396227929},
        {60, {10, 96, 30, 7}, 131.14539979, 0.0385084515641},
        {60, {28, 12, 24, 4}, 32.0124553313, 0.0558411951316},
        {2000, {14, 40, 56, 3}, 41.6296936331, 0.0149116256739},
        {2000, {21, 20, 100, 5}, 53.1354302619, 0.0119700378662},
        {2000, {10, 96, 30, 7}, 126.766724181, 0.021314457401},
        {2000, {28, 12, 24, 4}, 28.870405567, 0.0142170575188},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct interpolator *interpolator = filled(known[i].n);
        struct interpolation_sample q = question(known[i].features);
        struct interpolation answer;
        assert_true(interpolator_ask(interpolator, &q, INTERPOLATION_GROUP_NONE, &answer));
        assert_int_equal(answer.n, 48);
        if (fabs(answer.us / known[i].us - 1) > 1e-9 ||
            fabs(answer.log_sd / known[i].log_sd - 1) > 1e-9)
            fail_msg("question %zu: %.12g us, sd %.12g", i, answer.us, answer.log_sd);
        interpolator_destroy(interpolator);
    }
}

/* A product of powers of 1 + feature is a plane in logs: only the ridge keeps it from being met. */
static void products_of_powers_are_met(void **state) {
    struct interpolator *interpolator;
    struct interpolation answer;
    assert_int_equal(interpolator_create(NULL, &interpolator), 0);
    for (int i = 0; i < 64; i++) {
        double a = 10 + 3 * (i % 8), b = 20 + 7 * (double)(i / 8);
        struct interpolation_sample s = {
            .n_features = 2, .features = {a, b}, .us = (1 + a) * (1 + a) * sqrt(1 + b)};
        assert_int_equal(interpolator_add(interpolator, &s, NULL), 0);
    }
    struct interpolation_sample q = {.n_features = 2, .features = {14.5, 37}};
    assert_true(interpolator_ask(interpolator, &q, INTERPOLATION_GROUP_NONE, &answer));
    assert_true(fabs(answer.us / (15.5 * 15.5 * sqrt(38)) - 1) < 0.003);
    assert_true(answer.log_sd < 0.02);
    interpolator_destroy(interpolator);
}

/* What a group knows must not leak into the answer that leaves it out. */
static void groups_are_left_out(void **state) {
    struct interpolator *with = filled(100), *alone;
    struct interpolation left_out, never_seen;
    struct interpolation_sample q = question((const double[]){14, 40, 56, 3});
    assert_int_equal(interpolator_create(NULL, &alone), 0);
    for (int i = 0; i < 100; i++) {
        struct interpolation_sample s = sample(i);
        if (s.group != 2)
            assert_int_equal(interpolator_add(alone, &s, NULL), 0);
    }
    assert_true(interpolator_ask(with, &q, 2, &left_out));
    assert_true(interpolator_ask(alone, &q, INTERPOLATION_GROUP_NONE, &never_seen));
    assert_true(left_out.us == never_seen.us && left_out.log_sd == never_seen.log_sd);
    interpolator_destroy(with);
    interpolator_destroy(alone);
}

static void answers_stay_near_the_neighbours(void **state) {
    struct interpolator *interpolator = filled(100);
    struct interpolation_sample far = question((const double[]){1e6, 1e6, 1e6, 1e6});
    struct interpolation answer;
    double slowest = 0;
    for (int i = 0; i < 100; i++)
        slowest = fmax(slowest, sample(i).us);
    assert_true(interpolator_ask(interpolator, &far, INTERPOLATION_GROUP_NONE, &answer));
    assert_true(answer.us <= 2.1 * slowest);
    interpolator_destroy(interpolator);
}

static void too_little_is_no_answer(void **state) {
    struct interpolator *interpolator = filled(FEATURES);
    struct interpolation_sample q = question((const double[]){14, 40, 56, 3}), s = sample(FEATURES);
    struct interpolation answer;
    assert_false(interpolator_ask(interpolator, &q, INTERPOLATION_GROUP_NONE, &answer));
    assert_int_equal(interpolator_add(interpolator, &s, NULL), 0);
    assert_true(interpolator_ask(interpolator, &q, INTERPOLATION_GROUP_NONE, &answer));
    assert_false(interpolator_ask(interpolator, &q, 0, &answer));
    q.kind = 4;
    assert_false(interpolator_ask(interpolator, &q, INTERPOLATION_GROUP_NONE, &answer));
    interpolator_destroy(interpolator);
}

static void bad_samples_are_refused(void **state) {
    struct interpolator *interpolator = filled(10);
    struct interpolation answer;
    for (int what = 0; what < 8; what++) {
        struct interpolation_sample s = sample(0);
        switch (what) {
        case 0:
            s.kind = -1;
            break;
        case 1:
            s.kind = INTERPOLATION_KINDS_MAX;
            break;
        case 2:
            s.n_features = 0;
            break;
        case 3:
            s.n_features = INTERPOLATION_FEATURES_MAX + 1;
            break;
        case 4:
            s.n_features = FEATURES - 1;
            break;
        case 5:
            s.features[2] = -1;
            break;
        case 6:
            s.features[1] = (double)NAN;
            break;
        case 7:
            s.us = 0;
            break;
        }
        struct err err = {0};
        assert_int_equal(interpolator_add(interpolator, &s, &err), ESP_EINVAL);
        assert_true(err.message[0] != 0);
        if (what < 7)
            assert_false(interpolator_ask(interpolator, &s, INTERPOLATION_GROUP_NONE, &answer));
    }
    interpolator_destroy(interpolator);
}

int main(void) {
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_equal_another_programs),
        cmocka_unit_test(products_of_powers_are_met),
        cmocka_unit_test(groups_are_left_out),
        cmocka_unit_test(answers_stay_near_the_neighbours),
        cmocka_unit_test(too_little_is_no_answer),
        cmocka_unit_test(bad_samples_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
