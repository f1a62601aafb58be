/* Trainings of many steps: curves of averaged points, kills at moments that nobody chose, weights
 * that were ruined and what is gone back to. Shorter ones are in test_train.c. */
#include "train_bed.h"

#include "supernet/checkpoint.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* Of two steps each, and stopped after odd ones: what was summed is kept. */
static void points_are_the_same_after_a_stop(void **state) {
    struct bed *bed = *state;
    struct witness whole = {0};
    struct err err = {0};
    struct train_result result;
    char *dir = fixture_make_dir();
    int seen = 0, attempts = 0, rc;
    bed->config.epochs = 40;
    bed->config.checkpoint_steps = 40;
    must_train(bed, dir, &whole);
    assert_in_range(whole.n_points, 150, 170);
    do {
        struct witness witness = {.stop_at = (uint64_t)(83 * ++attempts)};
        rc = train_in_bed(bed, bed->dir, 2, &witness, &err, &result);
        for (int i = 0; i < witness.n_points; i++, seen++) {
            assert_int_equal(witness.points[i].step, whole.points[seen].step);
            assert_int_equal(witness.points[i].averaged, whole.points[seen].averaged);
            assert_true(witness.points[i].loss == whole.points[seen].loss);
            assert_true(witness.points[i].gradient_norm == whole.points[seen].gradient_norm);
        }
    } while (rc == ESP_ECANCELED);
    assert_int_equal(rc, 0);
    assert_int_equal(attempts, 4);
    assert_int_equal(seen, whole.n_points);
    fixture_remove_dir(dir);
}

static void killed_at_random_moments_gives_the_same_bits(void **state) {
    struct bed *bed = *state;
    bed->config.epochs = 12;
    bed->config.checkpoint_steps = 2;
    kill_at_random_moments(bed);
}

/* A rate that rises until an update ruins the weights, so late that it is in the checkpoint before
 * it shows: whatever the interval, one before that is gone back to. */
static void set_rising_rate(struct bed *bed, int checkpoint_steps) {
    bed->config.learning_rate = 10;
    bed->config.clip_norm = 0;
    bed->config.warmup = 0.5;
    bed->config.epochs = 20;
    bed->config.checkpoint_steps = checkpoint_steps;
}

static void a_checkpoint_of_ruined_weights_is_not_kept_to(void **state) {
    struct bed *bed = *state;
    for (int steps = 4; steps <= 16; steps += 4) {
        struct witness witness = {0};
        set_rising_rate(bed, steps);
        must_train(bed, bed->dir, &witness);
        print_message("every %d steps: %d recoveries\n", steps, witness.recoveries);
        assert_true(witness.recoveries > 0 && witness.recoveries < 9);
        fixture_remove_dir(bed->dir);
        bed->dir = fixture_make_dir();
    }
}

/* The newest checkpoint written anew with noise for weights, as an update might leave them that no
 * loss has shown yet. */
static void ruin_newest(const struct bed *bed) {
    struct err err = {0}, skipped;
    struct checkpoint *checkpoint = NULL;
    struct supernet *net = NULL;
    struct checkpoint_summary summary;
    struct rng rng = rng_make(3, RNG_TEST, 0, 0);
    assert_int_equal(checkpoint_store_newest(bed->dir, &err, &skipped, &checkpoint), 0);
    assert_int_equal(supernet_create(bed->space, 1, &err, &net), 0);
    assert_int_equal(checkpoint_restore(checkpoint, net, &err), 0);
    for (int i = 0; i < net->n_tensors; i++)
        for (size_t k = 0; net->tensors[i].grad && k < net->tensors[i].count; k++)
            net->tensors[i].data[k] = 0.1f * (float)rng_normal(&rng);
    struct checkpoint_notes notes = {checkpoint->dataset_revision, checkpoint->training,
                                     checkpoint->history};
    assert_int_equal(checkpoint_write(checkpoint->path, net, &notes, &err, &summary), 0);
    supernet_destroy(net);
    checkpoint_close(checkpoint);
}

/* Of five classes chance is no leap; a network that lies there for some steps is gone back from. */
static void a_collapse_to_chance_is_gone_back_from(void **state) {
    struct bed *bed = *state;
    struct witness witness = {.stop_at = 240}, again = {0};
    struct err err = {0};
    struct train_result result;
    bed->config.epochs = 40;
    bed->config.checkpoint_steps = 40;
    bed->config.learning_rate = 0.02;
    bed->config.label_smoothing = 0.2;
    assert_int_equal(train_in_bed(bed, bed->dir, 2, &witness, &err, &result), ESP_ECANCELED);
    assert_int_equal(witness.recoveries, 0);
    ruin_newest(bed);
    result = must_train(bed, bed->dir, &again);
    assert_int_equal(again.started_at, 240);
    print_message("%d recoveries, %s\n", again.recoveries, again.reason);
    assert_int_equal(again.recoveries, 1);
    assert_non_null(strstr(again.reason, "fell back to chance (loss 1."));
    assert_true(result.top1_largest > 0.8 && result.top1_smallest > 0.6);
}

static void recovery_is_the_same_after_a_kill(void **state) {
    struct bed *bed = *state;
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    bed->config.learning_rate = 1.5;
    bed->config.clip_norm = 0;
    bed->config.warmup = 0;
    assert_true(reference_id(bed, whole) > 0);
    for (uint64_t at = 3; at < 22; at += 6)
        run_child(bed, at, 0);
    assert_true(run_child(bed, 0, 0));
    newest_id(bed->dir, resumed);
    assert_string_equal(whole, resumed);
}

static void going_back_twice_is_the_same_after_a_kill(void **state) {
    struct bed *bed = *state;
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    set_rising_rate(bed, 8);
    assert_true(reference_id(bed, whole) > 1);
    for (uint64_t at = 3; at < 160; at += 26)
        run_child(bed, at, 0);
    assert_true(run_child(bed, 0, 0));
    newest_id(bed->dir, resumed);
    assert_string_equal(whole, resumed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TRAIN_TEST(points_are_the_same_after_a_stop),
        TRAIN_TEST(killed_at_random_moments_gives_the_same_bits),
        TRAIN_TEST(a_checkpoint_of_ruined_weights_is_not_kept_to),
        TRAIN_TEST(going_back_twice_is_the_same_after_a_kill),
        TRAIN_TEST(a_collapse_to_chance_is_gone_back_from),
        TRAIN_TEST(recovery_is_the_same_after_a_kill),
    };
    return cmocka_run_group_tests_name("supernet-train_at_length", tests, NULL, NULL);
}
