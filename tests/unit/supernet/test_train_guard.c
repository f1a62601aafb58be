/* What a training takes for a loss that must not stand, and what for a young or noisy one. */
#include "tests/unit/unit.h"

#include "supernet/train_guard.h"
#include <math.h>

static struct loss_guard after(const struct guard_scale *scale, const double *losses, int n) {
    struct loss_guard guard = {0};
    for (int i = 0; i < n; i++) {
        assert_null(guard_fault(&guard, scale, losses[i]));
        guard_add(&guard, scale, losses[i], (unsigned long long)i);
    }
    return guard;
}

static struct loss_guard after_constant(const struct guard_scale *scale, double loss, int n) {
    double losses[400];
    for (int i = 0; i < n; i++)
        losses[i] = loss;
    return after(scale, losses, n);
}

/* Steps of that loss until one must not stand; limit: all stand. */
static int steps_until(struct loss_guard guard, const struct guard_scale *scale, double loss,
                       int limit, const char *fault) {
    for (int i = 1; i < limit; i++) {
        const char *found = guard_fault(&guard, scale, loss);
        if (found) {
            assert_string_equal(found, fault);
            return i;
        }
        guard_add(&guard, scale, loss, 300);
    }
    return limit;
}

/* -0.91 ln 0.91 - 9 * 0.01 ln 0.01, and ln 10. */
static void the_floor_is_the_entropy_of_smoothed_labels(void **state) {
    struct guard_scale ten = guard_scale_make(0.1, 10, 64), plain = guard_scale_make(0, 2, 64);
    assert_true(fabs(ten.floor - 0.500289) < 1e-6 && fabs(ten.chance - 2.302585) < 1e-6);
    assert_true(plain.floor == 0 && fabs(plain.chance - 0.693147) < 1e-6);
    assert_int_equal(ten.chance_patience, 5);
    assert_int_equal(guard_scale_make(0.1, 10, 2).chance_patience, 64); /* 128 images */
}

/* Of ten classes chance is below three times a usual mean and one, but not above the floor. */
static void a_leap_is_seen_above_the_floor(void **state) {
    struct guard_scale smooth = guard_scale_make(0.1, 10, 64), plain = guard_scale_make(0, 10, 64);
    struct loss_guard good = after_constant(&smooth, 0.6, 200);
    assert_null(guard_fault(&good, &smooth, 1.79)); /* 0.5003 + 3 * 0.0997 + 1 */
    assert_string_equal(guard_fault(&good, &smooth, 1.81), "leapt up");
    assert_string_equal(guard_fault(&good, &smooth, 2.3), "leapt up");
    struct loss_guard hard = after_constant(&plain, 0.6, 200);
    assert_null(guard_fault(&hard, &plain, 2.79));
    assert_string_equal(guard_fault(&hard, &plain, 2.81), "leapt up");
}

/* What one of two images does is no leap of the network; eight such steps are. */
static void one_image_of_a_few_is_no_leap(void **state) {
    struct guard_scale two = guard_scale_make(0, 10, 2), eight = guard_scale_make(0, 10, 8);
    struct loss_guard good = after_constant(&two, 0.6, 200);
    assert_int_equal(steps_until(good, &two, 40, 100, "leapt up"), 8);
    assert_int_equal(steps_until(good, &eight, 40, 100, "leapt up"), 2);
    for (int i = 0; i < 200; i++) {
        double loss = i % 8 ? 6 : 0.1;
        assert_null(guard_fault(&good, &two, loss));
        guard_add(&good, &two, loss, 300);
    }
}

static void staying_at_chance_is_seen_after_learning(void **state) {
    struct guard_scale scale = guard_scale_make(0.1, 10, 64);
    struct loss_guard learnt = after_constant(&scale, 1.2, 200);
    assert_int_equal(steps_until(learnt, &scale, 2.3, 100, "fell back to chance"), 5);
    assert_int_equal(steps_until(learnt, &scale, 2.13, 100, "fell back to chance"), 5);
    assert_int_equal(steps_until(learnt, &scale, 2.11, 100, NULL), 100); /* 0.9 of chance: 2.122 */
    for (int i = 0; i < 4; i++) /* and four of five steps are none */
        guard_add(&learnt, &scale, 2.3, 300);
    guard_add(&learnt, &scale, 1.2, 300);
    assert_int_equal(steps_until(learnt, &scale, 2.3, 100, "fell back to chance"), 5);
}

static void one_that_falls_slowly_is_seen(void **state) {
    struct guard_scale scale = guard_scale_make(0.1, 10, 64);
    struct loss_guard guard = after_constant(&scale, 1.2, 200);
    for (int i = 0; i < 400; i++) { /* the running mean has long followed */
        double loss = 1.2 + 0.9 * i / 400;
        assert_null(guard_fault(&guard, &scale, loss));
        guard_add(&guard, &scale, loss, 300);
    }
    assert_int_equal(steps_until(guard, &scale, 2.3, 100, "fell back to chance"), 5);
}

static void the_young_are_left_alone(void **state) {
    struct guard_scale scale = guard_scale_make(0.1, 10, 64);
    assert_int_equal(steps_until(after_constant(&scale, 2.4, 1), &scale, 2.3, 400, NULL), 400);
    /* learning, but never below half of chance */
    struct loss_guard slow = after_constant(&scale, 1.5, 200);
    assert_int_equal(steps_until(slow, &scale, 2.3, 100, NULL), 100);
    /* a phase that begins with good subnets, and then draws those that never learnt */
    struct loss_guard phase = {0};
    for (unsigned long long i = 0; i < 300; i++) {
        double loss = i < 5 ? 0.9 : 2.2;
        assert_null(guard_fault(&phase, &scale, loss));
        guard_add(&phase, &scale, loss, i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_floor_is_the_entropy_of_smoothed_labels),
        cmocka_unit_test(a_leap_is_seen_above_the_floor),
        cmocka_unit_test(one_image_of_a_few_is_no_leap),
        cmocka_unit_test(staying_at_chance_is_seen_after_learning),
        cmocka_unit_test(one_that_falls_slowly_is_seen),
        cmocka_unit_test(the_young_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
