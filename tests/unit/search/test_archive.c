#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "search/archive.h"
#include "search/hypervolume.h"
#include "search/pareto.h"

enum { N = 400 };

static struct goals goals_of(int n_objectives) {
    struct goals goals = {.n_metrics = n_objectives + 1, .n_objectives = n_objectives};
    for (int i = 0; i < n_objectives; i++)
        goals.objectives[i] = (struct objective){i, i == 1};
    goals.n_constraints = 1;
    goals.constraints[0] = (struct constraint){n_objectives, true, 5};
    return goals;
}

static void draw(struct rng *rng, const struct goals *goals, struct metric *ret_metrics) {
    for (int i = 0; i < goals->n_metrics; i++) {
        double v = rng_below(rng, i == goals->n_objectives ? 8 : 40);
        ret_metrics[i] = (struct metric){v, v, v, METRIC_COUNTED};
    }
}

static bool by_definition(const struct archive *a, int index) {
    if (a->candidates[index].violation > 0)
        return false;
    for (int j = 0; j < a->n; j++) {
        if (a->candidates[j].violation > 0)
            continue;
        const double *p = archive_costs(a, j), *q = archive_costs(a, index);
        int m = a->goals->n_objectives;
        if (pareto_dominates(p, q, m))
            return false;
        if (j < index && memcmp(p, q, (size_t)m * sizeof *p) == 0)
            return false;
    }
    return true;
}

static void assert_front_is_right(struct archive *a) {
    const int *front;
    int n, expected = 0;
    assert_int_equal(archive_front(a, &front, &n), 0);
    for (int i = 0; i < a->n; i++) {
        bool in = false;
        for (int k = 0; k < n; k++)
            in |= front[k] == i;
        assert_int_equal(in, by_definition(a, i));
        expected += in;
    }
    assert_int_equal(n, expected);
}

static void front_follows_every_put(void **state) {
    struct space *space;
    assert_int_equal(space_builtin("fashion_small", NULL, &space), 0);
    for (int m = 1; m <= 4; m++) {
        struct goals goals = goals_of(m);
        struct archive archive;
        struct rng rng = rng_make(4, RNG_TEST, 0, (uint32_t)m);
        archive_init(&archive, space, &goals);
        for (int i = 0; i < N; i++) {
            struct arch arch;
            struct metric metrics[METRICS_MAX];
            int index;
            arch_random(space, &rng, &arch);
            draw(&rng, &goals, metrics);
            int known = archive_find(&archive, &arch);
            int code = archive_put(&archive, &arch, i % 50 == 7 ? NULL : metrics, i, NULL, &index);
            assert_int_equal(code, known < 0);
            if (i % 20 == 0)
                assert_front_is_right(&archive);
        }
        assert_front_is_right(&archive);
        archive_finish(&archive);
    }
    space_destroy(space);
}

static void changed_metrics_change_the_front(void **state) {
    struct space *space;
    struct goals goals = goals_of(2);
    struct archive archive;
    struct arch small, large;
    struct metric metrics[3] = {{1}, {1}, {0}};
    const int *front;
    int a, b, n;
    assert_int_equal(space_builtin("fashion_small", NULL, &space), 0);
    archive_init(&archive, space, &goals);
    arch_min(space, &small);
    arch_max(space, &large);
    assert_int_equal(archive_put(&archive, &small, metrics, 0, NULL, &a), 1);
    metrics[0].value = 2;
    assert_int_equal(archive_put(&archive, &large, metrics, 1, NULL, &b), 1);
    assert_int_equal(archive_front(&archive, &front, &n), 0);
    assert_true(n == 1 && front[0] == a);
    metrics[0].value = 0.5;
    assert_int_equal(archive_put(&archive, &large, metrics, 2, NULL, &b), 0);
    assert_int_equal(archive_front(&archive, &front, &n), 0);
    assert_true(n == 1 && front[0] == b);
    assert_int_equal(archive.candidates[b].generation, 1);
    assert_int_equal(archive_put(&archive, &large, NULL, 3, NULL, &b), 0);
    assert_int_equal(archive_front(&archive, &front, &n), 0);
    assert_true(n == 1 && front[0] == a);
    assert_true(archive.candidates[b].failed && isinf(archive.candidates[b].violation));
    char id[HASH_TEXT];
    arch_id(space, &large, id);
    assert_int_equal(archive_find_id(&archive, id), b);
    assert_int_equal(archive_find_id(&archive, "none"), -1);
    archive_finish(&archive);
    space_destroy(space);
}

static bool is_measured(void *context, const struct archive *archive, int index) {
    return archive_metrics(archive, index)[0].source == METRIC_MEASURED;
}

static void front_of_a_part_looks_at_the_part_only(void **state) {
    struct space *space;
    struct goals goals = goals_of(2);
    struct archive archive;
    int *front, n, whole_n, index;
    const int *whole;
    struct rng rng = rng_make(9, RNG_TEST, 0, 0);
    assert_int_equal(space_builtin("fashion_small", NULL, &space), 0);
    archive_init(&archive, space, &goals);
    for (int i = 0; i < N; i++) {
        struct arch arch;
        struct metric metrics[3];
        arch_random(space, &rng, &arch);
        draw(&rng, &goals, metrics);
        metrics[0].source = i % 10 == 0 ? METRIC_MEASURED : METRIC_PREDICTED;
        assert_true(archive_put(&archive, &arch, metrics, 0, NULL, &index) >= 0);
    }
    assert_int_equal(archive_front_of(&archive, is_measured, NULL, &front, &n), 0);
    assert_true(n > 0);
    for (int k = 0; k < n; k++) {
        assert_true(is_measured(NULL, &archive, front[k]));
        for (int j = 0; j < archive.n; j++)
            if (is_measured(NULL, &archive, j) && archive.candidates[j].violation == 0)
                assert_false(pareto_dominates(archive_costs(&archive, j),
                                              archive_costs(&archive, front[k]), 2));
    }
    free(front);
    assert_int_equal(archive_front(&archive, &whole, &whole_n), 0);
    double reference[2] = {40, 0}, part_volume, volume;
    assert_int_equal(archive_front_of(&archive, is_measured, NULL, &front, &n), 0);
    assert_int_equal(archive_hypervolume(&archive, reference, &volume), 0);
    assert_int_equal(archive_hypervolume_of(&archive, front, n, reference, &part_volume), 0);
    assert_true(part_volume > 0 && part_volume < volume);
    free(front);
    archive_finish(&archive);
    space_destroy(space);
}

/* As many as there are, none of which dominates another. */
static double volume_of_a_front(struct space *space, int n_objectives, int n) {
    struct goals goals = {.n_metrics = n_objectives, .n_objectives = n_objectives};
    double reference[OBJECTIVES_MAX], volume = 0, part = 0;
    struct archive archive;
    struct rng rng = rng_make(9, RNG_TEST, 0, 0);
    const int *front;
    int n_front;
    for (int k = 0; k < n_objectives; k++) {
        goals.objectives[k] = (struct objective){k, false};
        reference[k] = 1e4;
    }
    archive_init(&archive, space, &goals);
    for (int i = 0, index; archive.n < n; i++) {
        struct arch arch;
        struct metric metrics[OBJECTIVES_MAX] = {0};
        arch_random(space, &rng, &arch);
        for (int k = 0; k < n_objectives; k++)
            metrics[k].value = k == 0 ? i : 5000 - i;
        assert_true(archive_put(&archive, &arch, metrics, 0, NULL, &index) >= 0);
    }
    assert_int_equal(archive_front(&archive, &front, &n_front), 0);
    assert_int_equal(n_front, n);
    assert_int_equal(archive_hypervolume(&archive, reference, &volume), 0);
    assert_int_equal(archive_hypervolume_of(&archive, front, n_front, reference, &part), 0);
    assert_true(isnan(volume) ? isnan(part) : volume == part);
    archive_finish(&archive);
    return volume;
}

static void no_hypervolume_of_too_many_objectives_or_points(void **state) {
    struct space *space;
    assert_int_equal(space_builtin("fashion_small", NULL, &space), 0);
    assert_true(volume_of_a_front(space, HYPERVOLUME_OBJECTIVES_MAX, 10) > 0);
    assert_true(isnan(volume_of_a_front(space, HYPERVOLUME_OBJECTIVES_MAX + 1, 10)));
    assert_true(isnan(volume_of_a_front(space, HYPERVOLUME_OBJECTIVES_MAX,
                                        hypervolume_points_max(HYPERVOLUME_OBJECTIVES_MAX) + 1)));
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(front_follows_every_put),
        cmocka_unit_test(changed_metrics_change_the_front),
        cmocka_unit_test(front_of_a_part_looks_at_the_part_only),
        cmocka_unit_test(no_hypervolume_of_too_many_objectives_or_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
