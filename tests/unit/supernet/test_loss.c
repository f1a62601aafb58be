#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first */
#include <cmocka.h>
#include <math.h>

#include "base/rng.h"
#include "supernet/loss.h"

enum { N = 5, CLASSES = 7 };

static void random_logits(uint32_t index, float *logits) {
    struct rng rng = rng_make(3, RNG_TEST, 0, index);
    for (int i = 0; i < N * CLASSES; i++)
        logits[i] = (float)(3 * rng_normal(&rng));
}

static const uint16_t labels[N] = {0, 6, 3, 3, 1};

/* The formula as it is written in books. */
static double naive_cross_entropy(const float *logits, double smoothing) {
    double loss = 0;
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int k = 0; k < CLASSES; k++)
            sum += exp(logits[i * CLASSES + k]);
        for (int k = 0; k < CLASSES; k++) {
            double target = smoothing / CLASSES + (k == labels[i] ? 1 - smoothing : 0);
            loss -= target * log(exp(logits[i * CLASSES + k]) / sum) / N;
        }
    }
    return loss;
}

static double naive_distill(const float *logits, const float *teacher, double t) {
    double loss = 0;
    for (int i = 0; i < N * CLASSES; i += CLASSES) {
        double sum = 0, teacher_sum = 0;
        for (int k = i; k < i + CLASSES; k++) {
            sum += exp(logits[k] / t);
            teacher_sum += exp(teacher[k] / t);
        }
        for (int k = i; k < i + CLASSES; k++)
            loss -= exp(teacher[k] / t) / teacher_sum * log(exp(logits[k] / t) / sum) / N;
    }
    return loss;
}

/* Central difference of either loss with respect to logit i, teacher NULL: cross-entropy. The step
 * is one that floats near the logit hold exactly. */
static double difference(float *logits, const float *teacher, double parameter, int i) {
    const float h = 1.0f / 64, old = logits[i];
    logits[i] = old + h;
    double above = teacher ? naive_distill(logits, teacher, parameter)
                           : naive_cross_entropy(logits, parameter);
    double up = logits[i];
    logits[i] = old - h;
    double below = teacher ? naive_distill(logits, teacher, parameter)
                           : naive_cross_entropy(logits, parameter);
    double down = logits[i];
    logits[i] = old;
    return (above - below) / (up - down);
}

static void test_cross_entropy(void **state) {
    (void)state;
    float logits[N * CLASSES], gradient[N * CLASSES];
    random_logits(0, logits);
    for (int s = 0; s < 2; s++) {
        float smoothing = 0.1f * (float)s;
        double loss = loss_cross_entropy(logits, labels, N, CLASSES, smoothing, 2.0f, gradient);
        assert_true(fabs(loss - naive_cross_entropy(logits, smoothing)) < 1e-9);
        for (int i = 0; i < N * CLASSES; i++)
            assert_true(fabs(gradient[i] - 2 * difference(logits, NULL, smoothing, i)) < 2e-5);
        assert_true(loss == loss_cross_entropy(logits, labels, N, CLASSES, smoothing, 1, NULL));
    }
}

static void test_distill(void **state) {
    (void)state;
    float logits[N * CLASSES], teacher[N * CLASSES], gradient[N * CLASSES];
    random_logits(0, logits);
    random_logits(1, teacher);
    for (int s = 1; s <= 3; s++) {
        double loss = loss_distill(logits, teacher, N, CLASSES, (float)s, 0.5f, gradient);
        assert_true(fabs(loss - naive_distill(logits, teacher, s)) < 1e-9);
        for (int i = 0; i < N * CLASSES; i++)
            assert_true(fabs(gradient[i] - 0.5 * difference(logits, teacher, s, i)) < 2e-5);
        assert_true(loss == loss_distill(logits, teacher, N, CLASSES, (float)s, 1, NULL));
    }
}

/* A student that equals its teacher has no gradient, and its loss is the teacher's entropy. */
static void test_distill_own_logits(void **state) {
    (void)state;
    float logits[N * CLASSES], gradient[N * CLASSES];
    random_logits(2, logits);
    loss_distill(logits, logits, N, CLASSES, 1, 1, gradient);
    for (int i = 0; i < N * CLASSES; i++)
        assert_true(fabsf(gradient[i]) < 1e-7f);
}

/* Logits far beyond the range of exp neither overflow nor lose the loss. */
static void test_large_logits(void **state) {
    (void)state;
    const uint16_t label[1] = {1};
    float logits[2] = {1000, -1000}, gradient[2];
    double loss = loss_cross_entropy(logits, label, 1, 2, 0, 1, gradient);
    assert_true(fabs(loss - 2000) < 1e-9);
    assert_true(gradient[0] == 1 && gradient[1] == -1);
    double soft = loss_distill(logits, (float[]){-1000, 1000}, 1, 2, 1, 1, gradient);
    assert_true(fabs(soft - 2000) < 1e-9);
}

static void test_not_finite(void **state) {
    (void)state;
    const uint16_t label[1] = {0};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        float logits[2] = {0, bad[i]};
        assert_false(isfinite(loss_cross_entropy(logits, label, 1, 2, 0.1f, 1, NULL)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cross_entropy), cmocka_unit_test(test_distill),
        cmocka_unit_test(test_distill_own_logits), cmocka_unit_test(test_large_logits),
        cmocka_unit_test(test_not_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
