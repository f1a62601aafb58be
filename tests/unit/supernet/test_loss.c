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

static const struct loss_soft plain = {DISTILL_SOFT_CE, 1, 1};

/* Two parts of a batch, each told of how many images the whole is. */
static void check_parts(const float *logits, float smoothing, double loss, const float *gradient) {
    enum { FIRST = N / 3 };
    float part[N * CLASSES];
    double sum = loss_cross_entropy(logits, labels, FIRST, CLASSES, smoothing, N, part) +
                 loss_cross_entropy(logits + FIRST * CLASSES, labels + FIRST, N - FIRST, CLASSES,
                                    smoothing, N, part + FIRST * CLASSES);
    assert_true(fabs(sum - loss) < 1e-12);
    assert_memory_equal(part, gradient, sizeof part);
}

static void test_cross_entropy(void **state) {
    (void)state;
    float logits[N * CLASSES], gradient[N * CLASSES];
    random_logits(0, logits);
    for (int s = 0; s < 2; s++) {
        float smoothing = 0.1f * (float)s;
        double loss = loss_cross_entropy(logits, labels, N, CLASSES, smoothing, N, gradient);
        assert_true(fabs(loss - naive_cross_entropy(logits, smoothing)) < 1e-9);
        for (int i = 0; i < N * CLASSES; i++)
            assert_true(fabs(gradient[i] - difference(logits, NULL, smoothing, i)) < 2e-5);
        assert_true(loss == loss_cross_entropy(logits, labels, N, CLASSES, smoothing, N, NULL));
        check_parts(logits, smoothing, loss, gradient);
    }
}

static void test_distill(void **state) {
    (void)state;
    float logits[N * CLASSES], teacher[N * CLASSES], gradient[N * CLASSES];
    random_logits(0, logits);
    random_logits(1, teacher);
    for (int s = 1; s <= 3; s++) {
        struct loss_soft soft = {DISTILL_SOFT_CE, (float)s, 0.5f};
        double loss = loss_distill(logits, teacher, N, CLASSES, &soft, gradient);
        assert_true(fabs(loss - naive_distill(logits, teacher, s)) < 1e-9);
        for (int i = 0; i < N * CLASSES; i++)
            assert_true(fabs(gradient[i] - 0.5 * difference(logits, teacher, s, i)) < 2e-5);
        assert_true(loss == loss_distill(logits, teacher, N, CLASSES, &soft, NULL));
    }
}

/* A student that equals its teacher has no gradient, and its loss is the teacher's entropy. */
static void test_distill_own_logits(void **state) {
    (void)state;
    float logits[N * CLASSES], gradient[N * CLASSES];
    random_logits(2, logits);
    assert_true(loss_distill(logits, logits, N, CLASSES, &plain, gradient) > 0.1);
    for (int i = 0; i < N * CLASSES; i++)
        assert_true(fabsf(gradient[i]) < 1e-7f);
    struct loss_soft kl = {DISTILL_KL, 1, 1};
    assert_true(fabs(loss_distill(logits, logits, N, CLASSES, &kl, gradient)) < 1e-12);
    for (int i = 0; i < N * CLASSES; i++)
        assert_true(fabsf(gradient[i]) < 1e-7f);
}

/* Values of PyTorch 1.13 in double precision: tests/golden/losses.py prints them. */
static void test_golden(void **state) {
    (void)state;
    static const float student[8] = {0.5f, -1.25f, 2.0f, 0.0f, -0.75f, 3.0f, 1.5f, -2.0f};
    static const float teacher[8] = {1.0f, -0.5f, 1.75f, -3.0f, 0.25f, 2.5f, -1.0f, 0.0f};
    static const uint16_t truth[2] = {2, 0};
    static const struct {
        struct loss_soft soft;
        double loss, gradient[8];
    } rows[] = {{{DISTILL_SOFT_CE, 1, 1},
                 0.966328826857,
                 {-0.0690316132, -0.0193439696, 0.0426728685, 0.0457027143, -0.0338969606,
                  -0.0116969152, 0.0766114217, -0.0310175460}},
                {{DISTILL_SOFT_CE, 3, 9},
                 1.359114294387,
                 {-0.1054889743, -0.0819292493, -0.0004858954, 0.1879041190, -0.1129770171,
                  0.0443191151, 0.2264380345, -0.1577801325}},
                {{DISTILL_KL, 1, 1},
                 0.212721914767,
                 {-0.0690316132, -0.0193439696, 0.0426728685, 0.0457027143, -0.0338969606,
                  -0.0116969152, 0.0766114217, -0.0310175460}},
                {{DISTILL_KL, 3, 9},
                 0.090101942573,
                 {-0.1054889743, -0.0819292493, -0.0004858954, 0.1879041190, -0.1129770171,
                  0.0443191151, 0.2264380345, -0.1577801325}}};
    float gradient[8];
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        double loss = loss_distill(student, teacher, 2, 4, &rows[r].soft, gradient);
        assert_true(fabs(loss - rows[r].loss) < 1e-9);
        for (int i = 0; i < 8; i++)
            assert_true(fabs(gradient[i] - rows[r].gradient[i]) < 1e-7);
    }
    assert_true(fabs(loss_cross_entropy(student, truth, 2, 4, 0.1f, 2, gradient) - 2.180173592226) <
                1e-7);
}

/* Logits far beyond the range of exp neither overflow nor lose the loss. */
static void test_large_logits(void **state) {
    (void)state;
    const uint16_t label[1] = {1};
    float logits[2] = {1000, -1000}, gradient[2];
    double loss = loss_cross_entropy(logits, label, 1, 2, 0, 1, gradient);
    assert_true(fabs(loss - 2000) < 1e-9);
    assert_true(gradient[0] == 1 && gradient[1] == -1);
    double soft = loss_distill(logits, (float[]){-1000, 1000}, 1, 2, &plain, gradient);
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
        cmocka_unit_test(test_cross_entropy),      cmocka_unit_test(test_distill),
        cmocka_unit_test(test_distill_own_logits), cmocka_unit_test(test_large_logits),
        cmocka_unit_test(test_not_finite),         cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
