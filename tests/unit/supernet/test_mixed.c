/* A small space of every kind of block on images of Fashion-MNIST's shape: its supernet trains, its
 * subnets are evaluated and searched. That the numbers are right is test_engine's matter. */
#include "train_bed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "search/loop.h"
#include "space/cost.h"

static struct space *mixed_space(void) {
    struct space *space = NULL;
    struct err err = {0};
    char *text = NULL;
    size_t len;
    if (file_read(MIXED_28, 1 << 16, &err, &text, &len) || space_parse(text, len, &err, &space))
        fail_msg("%s", err.message);
    free(text);
    return space;
}

static void a_training_learns(void **state) {
    static const struct fixture_idx shape = {
        .n_train = 300, .n_test = 20, .side = 28, .n_classes = 10};
    struct bed *bed = *state;
    struct witness witness = {0};
    char *data = fixture_make_dir();
    space_destroy(bed->space);
    dataset_close(bed->dataset);
    bed->space = mixed_space();
    bed->dataset = fixture_dataset(data, &shape, 60);
    bed->config.epochs = 3; /* of 12 steps */
    struct train_result result = must_train(bed, bed->dir, &witness);
    print_message("top-1 of largest and smallest: %.3f, %.3f\n", result.top1_largest,
                  result.top1_smallest);
    assert_true(result.top1_largest > 0.3 && result.top1_smallest > 0.3); /* chance: 0.1 */
    assert_int_equal(witness.recoveries, 0);
    fixture_remove_dir(data);
}

/* Most parameters for the fewest MACs: by counts alone. */
static void a_search_finds_a_front(void **state) {
    struct space *space = mixed_space();
    const struct goals goals = {.n_metrics = 3,
                                .keys = {"macs", "params", "peak_activation_bytes"},
                                .n_objectives = 2,
                                .objectives = {{0, false}, {1, true}},
                                .n_constraints = 1,
                                .constraints = {{2, true, 60000}}};
    struct evaluator evaluator;
    struct search_loop *loop = NULL;
    struct generation generation;
    struct arch cheapest;
    double low, high;
    const int *front;
    int n_front, code;
    assert_int_equal(cost_range(space, COST_MACS, NULL, &low, &high, &cheapest), 0);
    assert_int_equal(cost_evaluator_create(space, NULL, &evaluator), 0);
    struct search_loop_config config = {.space = space,
                                        .goals = &goals,
                                        .evaluators = &evaluator,
                                        .n_evaluators = 1,
                                        .strategy = "nsga2",
                                        .strategy_config = strategy_config_default(space, 2, 3),
                                        .budget = 400,
                                        .batch = 40,
                                        .reference = {high, 0}};
    assert_int_equal(search_loop_create(&config, NULL, &loop), 0);
    while ((code = search_loop_step(loop, NULL, &generation)) > 0)
        ;
    assert_int_equal(code, 0);
    struct archive *archive = search_loop_archive(loop);
    assert_int_equal(archive->n, 400);
    assert_int_equal(archive_front(archive, &front, &n_front), 0);
    assert_true(n_front >= 10);
    for (int i = 0; i < n_front; i++) {
        const struct arch *arch = &archive->candidates[front[i]].arch;
        struct cost cost;
        assert_int_equal(arch_cost(space, arch, NULL, &cost), 0);
        assert_true(archive_metrics(archive, front[i])[0].value == (double)cost.macs);
        assert_true((double)cost.macs >= low && cost.peak_activation_bytes <= 60000);
    }
    /* the front's cheap end comes near the exact minimum */
    double best = archive_metrics(archive, front[0])[0].value;
    for (int i = 1; i < n_front; i++)
        best = fmin(best, archive_metrics(archive, front[i])[0].value);
    assert_true(best <= 1.2 * low);
    search_loop_destroy(loop);
    cost_evaluator_destroy(&evaluator);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TRAIN_TEST(a_training_learns),
        cmocka_unit_test(a_search_finds_a_front),
    };
    return cmocka_run_group_tests_name("supernet-mixed", tests, NULL, NULL);
}
