/* The recurrent controller: gradients against finite differences, and that it learns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "search/controller.h"

enum { STEPS = 6 };
static const int choices[STEPS] = {3, 2, 4, 1, 5, 2};

static struct controller *create(uint64_t seed) {
    struct controller_shape shape = {STEPS, 2, 7, choices};
    struct controller *c;
    assert_int_equal(controller_create(&shape, seed, NULL, &c), 0);
    return c;
}

/* Choices that are given; -1 leaves a step out. */
static int given(void *context, int step, const double *p, int n) {
    return ((const int *)context)[step];
}

static int drawn(void *context, int step, const double *p, int n) {
    double left = rng_unit(context);
    int choice = 0;
    for (; choice < n - 1 && left >= p[choice]; choice++)
        left -= p[choice];
    return choice;
}

static double loss_at(struct controller *c, int *picks) {
    static const double context[2] = {0.3, 0.7};
    controller_roll(c, context, given, picks);
    return controller_loss(c, 1.7, 0.4);
}

static void gradients_are_those_of_finite_differences(void **state) {
    static int rolls[][STEPS] = {{2, 0, 3, 0, 1, 1}, {0, -1, -1, 0, 4, 0}, {-1, 1, 2, -1, 0, -1}};
    for (size_t r = 0; r < sizeof rolls / sizeof *rolls; r++) {
        struct controller *c = create(r);
        struct controller_numbers *numbers = controller_numbers(c);
        struct rng rng = rng_make(9, RNG_TEST, r, 0);
        double largest = 0;
        for (size_t i = 0; i < numbers->count; i++) /* far from what is nearly linear */
            numbers->weights[i] = 2 * rng_unit(&rng) - 1;
        loss_at(c, rolls[r]);
        controller_backward(c, 1.7, 0.4);
        const double *grad = controller_gradient(c);
        for (size_t i = 0; i < numbers->count; i++) {
            double at = numbers->weights[i], step = 1e-5;
            numbers->weights[i] = at + step;
            double up = loss_at(c, rolls[r]);
            numbers->weights[i] = at - step;
            double down = loss_at(c, rolls[r]), wanted = (up - down) / (2 * step);
            numbers->weights[i] = at;
            largest = fmax(largest, fabs(wanted));
            if (!(fabs(grad[i] - wanted) <= 1e-8 + 1e-6 * fabs(wanted)))
                fail_msg("roll %zu, weight %zu: %.10g, finite difference %.10g", r, i, grad[i],
                         wanted);
        }
        assert_true(largest > 0.1);
        controller_destroy(c);
    }
}

static void chances_sum_to_one_and_a_seed_fixes_them(void **state) {
    struct controller *a = create(5), *b = create(5), *other = create(6);
    size_t count = controller_numbers(a)->count;
    const double *w = controller_numbers(a)->weights;
    assert_memory_equal(w, controller_numbers(b)->weights, count * sizeof *w);
    assert_true(memcmp(w, controller_numbers(other)->weights, count * sizeof *w) != 0);
    /* Five choices of equal chance at every step: log p of all is the sum of logs. */
    memset(controller_numbers(a)->weights, 0, count * sizeof *w);
    int picks[STEPS] = {2, 0, 3, 0, 1, 1};
    double wanted = 0;
    for (int s = 0; s < STEPS; s++)
        wanted += (1.7 - 0.4) * log(choices[s]);
    assert_true(fabs(loss_at(a, picks) - wanted) < 1e-12);
    controller_destroy(a);
    controller_destroy(b);
    controller_destroy(other);
}

/* What is right depends on the choice before and on the context: no table of chances of single
 * choices could tell. */
static double reward_of(const int *picks, const double *context) {
    int wanted = (picks[0] + (context[0] > 0.5)) % 2;
    return (picks[1] == wanted) + (picks[5] == picks[1]);
}

struct drawing {
    struct rng rng;
    int picks[STEPS];
};

static int draw_and_note(void *context, int step, const double *p, int n) {
    struct drawing *d = context;
    if (!p)
        return 0;
    return d->picks[step] = drawn(&d->rng, step, p, n);
}

static void learns_choices_that_depend_on_each_other(void **state) {
    struct controller *c = create(1);
    double late = 0, mean = 1;
    for (int i = 0; i < 4000; i++) {
        struct drawing d = {.rng = rng_make(3, RNG_TEST, (uint64_t)i, 0)};
        double context[2] = {i % 2, 1 - i % 2};
        controller_roll(c, context, draw_and_note, &d);
        double reward = reward_of(d.picks, context);
        controller_backward(c, reward - mean, 0.01);
        mean = 0.95 * mean + 0.05 * reward;
        if (i % 4 == 3)
            controller_descend(c, 0.01, 0.25);
        late += i >= 3500 ? reward / 500 : 0;
    }
    if (late < 1.9)
        fail_msg("the reward is %g of 2, that of chance 1", late);
    controller_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_finite_differences),
        cmocka_unit_test(chances_sum_to_one_and_a_seed_fixes_them),
        cmocka_unit_test(learns_choices_that_depend_on_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
