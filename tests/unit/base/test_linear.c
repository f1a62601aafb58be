#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "base/linear.h"
#include "base/rng.h"

enum { N_MAX = 24 };

/* B B' + shift I, with nothing that can be used in the upper half. */
static void positive_definite(struct rng *rng, size_t n, double shift, double *ret_a) {
    double b[N_MAX * N_MAX];
    for (size_t i = 0; i < n * n; i++)
        b[i] = rng_normal(rng);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = i == j ? shift : 0;
            for (size_t k = 0; k < n; k++)
                sum += b[i * n + k] * b[j * n + k];
            ret_a[i * n + j] = j <= i ? sum : (double)NAN;
        }
}

static double at(const double *a, size_t n, size_t i, size_t j) {
    return i >= j ? a[i * n + j] : a[j * n + i];
}

static void solutions_solve(void **state) {
    struct rng rng = rng_make(1, RNG_TEST, 0, 0);
    for (size_t n = 1; n <= N_MAX; n++) {
        double a[N_MAX * N_MAX], l[N_MAX * N_MAX], b[N_MAX], x[N_MAX], half = 0, quadratic = 0;
        positive_definite(&rng, n, 0.5, a);
        memcpy(l, a, sizeof l);
        for (size_t i = 0; i < n; i++)
            x[i] = b[i] = rng_normal(&rng);
        cholesky_factor(l, n);
        cholesky_forward(l, n, x);
        for (size_t i = 0; i < n; i++)
            half += x[i] * x[i];
        cholesky_backward(l, n, x);
        for (size_t i = 0; i < n; i++) {
            double sum = 0;
            for (size_t j = 0; j < n; j++)
                sum += at(a, n, i, j) * x[j];
            assert_true(fabs(sum - b[i]) < 1e-9);
            quadratic += b[i] * x[i];
        }
        assert_true(fabs(half - quadratic) < 1e-9 * fmax(1, half));
    }
}

static void a_singular_system_gives_something_finite(void **state) {
    double a[] = {4, 0, 0, 2, 1, 0, 2, 1, 1},
           b[] = {1, 1, 1}; /* the last two rows are half the first */
    cholesky_factor(a, 3);
    cholesky_forward(a, 3, b);
    for (int i = 0; i < 3; i++)
        assert_true(isfinite(b[i]));
}

int main(void) {
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(solutions_solve),
                                       cmocka_unit_test(a_singular_system_gives_something_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
