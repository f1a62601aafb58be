#include "train_bed.h"

#include "supernet/evaluate.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct supernet *newest(const char *dir) {
    struct checkpoint *checkpoint = NULL;
    struct supernet *supernet = NULL;
    struct err err = {0}, skipped;
    if (checkpoint_store_newest(dir, &err, &skipped, &checkpoint) != 0 ||
        supernet_create(checkpoint->space, 0, &err, &supernet) != 0 ||
        checkpoint_restore(checkpoint, supernet, &err) != 0)
        fail_msg("%s", err.message);
    checkpoint_close(checkpoint);
    return supernet;
}

/* What the training began with. */
static struct supernet *first(const char *dir) {
    char path[512];
    struct checkpoint *checkpoint = NULL;
    struct supernet *supernet = NULL;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/step-000000000.ckpt", dir);
    if (checkpoint_open(path, &err, &checkpoint) != 0 ||
        supernet_create(checkpoint->space, 0, &err, &supernet) != 0 ||
        checkpoint_restore(checkpoint, supernet, &err) != 0)
        fail_msg("%s", err.message);
    checkpoint_close(checkpoint);
    return supernet;
}

/* 24 steps: full to 8, kernel to 13, depth to 19, expand ratio; where the space has two choices
 * there are no halves. */
static void progressive(struct bed *bed) {
    bed->config.regime = REGIME_PROGRESSIVE;
    bed->config.ema_decay = 0.9;
}

static void progressive_goes_through_its_phases(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    progressive(bed);
    bed->config.epochs = 60;
    bed->config.checkpoint_steps = 40;
    struct train_result result = must_train(bed, bed->dir, &witness);
    static const char *const names[] = {"full", "kernel", "depth_2", "expand_2"};
    assert_int_equal(witness.n_phases, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(witness.phases[i], names[i]);
    assert_true(witness.fresh >= 4); /* each begins without a loss */
    const struct train_metrics *last = &witness.metrics[witness.n_metrics - 1];
    assert_string_equal(last->phase, "expand_2");
    assert_true(last->largest.top1 > 0.9); /* chance is 0.2 */
    assert_true(last->smallest.top1 > 0.6);
    assert_true(result.top1_smallest == last->smallest.top1);
    /* At the end of a phase its curves are taken: of what it has open. */
    bool full = false;
    for (int i = 0; i < witness.n_metrics; i++)
        if (strcmp(witness.metrics[i].phase, "full") == 0) {
            full = true;
            assert_true(witness.metrics[i].smallest.top1 == witness.metrics[i].largest.top1);
            assert_true(witness.metrics[i].gap == 0 && witness.metrics[i].distill == 0);
        }
    assert_true(full);
    struct supernet *supernet = newest(bed->dir);
    assert_false(supernet_has_part(supernet, PART_TEACHER)); /* it has said all */
    assert_true(supernet_has_part(supernet, PART_AVERAGE));
    supernet_destroy(supernet);
}

static void stop_at(struct bed *bed, const char *dir, uint64_t step) {
    struct witness witness = {.stop_at = step};
    struct err err = {0};
    struct train_result result;
    assert_int_equal(train_in_bed(bed, dir, 2, &witness, &err, &result), ESP_ECANCELED);
}

static void the_teacher_is_the_network_at_the_end_of_the_full_phase(void **state) {
    struct bed *bed = *state;
    progressive(bed);
    stop_at(bed, bed->dir, 8); /* the last step of full is 7 */
    struct supernet *before = newest(bed->dir);
    assert_false(supernet_has_part(before, PART_TEACHER));
    stop_at(bed, bed->dir, 15);
    struct supernet *taught = newest(bed->dir);
    assert_true(supernet_has_part(taught, PART_TEACHER));
    bool moved = false;
    for (int i = 0; i < before->n_tensors; i++) {
        const struct tensor *then = &before->tensors[i], *now = &taught->tensors[i];
        assert_memory_equal(now->teacher, then->data, then->count * sizeof(float));
        moved |= memcmp(now->data, then->data, then->count * sizeof(float)) != 0;
    }
    assert_true(moved);
    supernet_destroy(before);
    supernet_destroy(taught);
}

static void one_thread_gives_the_same_bits(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    struct err err = {0};
    struct train_result result;
    char a[HASH_TEXT], b[HASH_TEXT];
    progressive(bed);
    reference_id(bed, a);
    assert_int_equal(train_in_bed(bed, bed->dir, 1, &witness, &err, &result), 0);
    newest_id(bed->dir, b);
    assert_string_equal(a, b);
}

/* Every second step, so at the last and the first of each phase and between them. */
static void killed_in_every_phase_gives_the_same_bits(void **state) {
    struct bed *bed = *state;
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    progressive(bed);
    bed->config.checkpoint_steps = 2;
    reference_id(bed, whole);
    for (uint64_t at = 1; at < 24; at += 2)
        assert_false(run_child(bed, at, 0));
    assert_true(run_child(bed, 0, 0));
    newest_id(bed->dir, resumed);
    assert_string_equal(whole, resumed);
}

static void stopped_between_phases_gives_the_same_bits(void **state) {
    struct bed *bed = *state;
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    progressive(bed);
    reference_id(bed, whole);
    for (uint64_t at = 7; at < 21; at++)
        stop_at(bed, bed->dir, at);
    assert_true(run_child(bed, 0, 0));
    newest_id(bed->dir, resumed);
    assert_string_equal(whole, resumed);
}

static void killed_at_random_moments_gives_the_same_bits(void **state) {
    struct bed *bed = *state;
    progressive(bed);
    bed->config.epochs = 12;
    bed->config.checkpoint_steps = 2;
    kill_at_random_moments(bed);
}

static void coupled_trains(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    bed->config.regime = REGIME_COUPLED;
    bed->config.epochs = 40;
    bed->config.checkpoint_steps = 40;
    must_train(bed, bed->dir, &witness);
    const struct train_metrics *last = &witness.metrics[witness.n_metrics - 1];
    assert_true(last->largest.top1 > 0.9 && last->smallest.top1 > 0.7 && last->random.top1 > 0.7);
    assert_true(last->distill > 0 && isfinite(last->gap));
}

/* What the arch does not use stays as it was: there is nothing but its own gradient. */
static void single_trains_one_arch(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    struct supernet *fresh = NULL;
    struct err err = {0};
    struct arch least;
    arch_min(bed->space, &least);
    least.resolution = 1;
    bed->config.regime = REGIME_SINGLE;
    arch_format(bed->space, &least, bed->config.arch);
    bed->config.weight_decay = 0;
    bed->config.epochs = 40;
    bed->config.checkpoint_steps = 40;
    must_train(bed, bed->dir, &witness);
    const struct train_metrics *last = &witness.metrics[witness.n_metrics - 1];
    assert_true(last->largest.top1 > 0.8);
    assert_true(last->largest.top1 == last->smallest.top1);
    assert_true(last->gap == 0);
    struct supernet *trained = newest(bed->dir);
    assert_int_equal(supernet_create(bed->space, bed->config.seed, &err, &fresh), 0);
    static const char *const last_expand = "blocks.3.conv.inverted_bottleneck.conv.conv.weight";
    struct tensor *now = supernet_find(trained, last_expand),
                  *then = supernet_find(fresh, last_expand);
    assert_memory_equal(now->data, then->data, now->count * sizeof(float)); /* beyond its depth */
    now = supernet_find(trained, "blocks.2.conv.point_linear.conv.conv.weight");
    then = supernet_find(fresh, "blocks.2.conv.point_linear.conv.conv.weight");
    assert_memory_not_equal(now->data, then->data, now->count * sizeof(float));
    supernet_destroy(trained);
    supernet_destroy(fresh);
    snprintf(bed->config.arch, sizeof bed->config.arch, "r12 | d1 c8 k9e1");
    assert_true(train_in_bed(bed, bed->dir, 1, &witness, &err, &(struct train_result){0}) < 0);
    assert_string_equal(err.pointer, "/train/arch");
}

/* What is reported is the score of what evaluations load: the average. */
static void the_average_is_what_is_scored(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    struct checkpoint *checkpoint = NULL;
    struct supernet *supernet = NULL;
    struct evaluation *evaluation = NULL;
    struct err err = {0}, skipped;
    struct score score;
    struct arch arch;
    bed->config.ema_decay = 0.95;
    bed->config.epochs = 10;
    must_train(bed, bed->dir, &witness);
    struct supernet *all = newest(bed->dir);
    assert_int_equal(checkpoint_store_newest(bed->dir, &err, &skipped, &checkpoint), 0);
    assert_int_equal(checkpoint_load(checkpoint, &err, &supernet), 0);
    for (int i = 0; i < all->n_tensors; i++)
        assert_memory_equal(supernet->tensors[i].data, all->tensors[i].average,
                            all->tensors[i].count * sizeof(float));
    assert_false(supernet_has_part(supernet, PART_AVERAGE));
    struct evaluation_options options = {
        .supernet = supernet, .dataset = bed->dataset, .recalibration = recalibration_default};
    options.recalibration.images = options.recalibration.batch = 60;
    options.recalibration.augment = bed->config.augment;
    assert_int_equal(evaluation_create(&options, &err, &evaluation), 0);
    arch_max(bed->space, &arch);
    struct score_request request = {&arch, SPLIT_VALIDATION, 0, true};
    assert_int_equal(evaluation_score(evaluation, &request, &err, &score), 0);
    assert_true(score.top1 == witness.metrics[witness.n_metrics - 1].largest.top1);
    evaluation_destroy(evaluation);
    supernet_destroy(supernet);
    supernet_destroy(all);
    checkpoint_close(checkpoint);
}

static void a_round_without_an_average_drops_it(void **state) {
    struct bed *bed = *state;
    bed->config.ema_decay = 0.9;
    must_train(bed, bed->dir, &(struct witness){0});
    bed->config.ema_decay = 0;
    must_train(bed, bed->dir, &(struct witness){0});
    struct supernet *supernet = newest(bed->dir);
    assert_false(supernet_has_part(supernet, PART_AVERAGE));
    supernet_destroy(supernet);
}

static void averages_by_hand(void **state) {
    struct bed *bed = *state;
    struct supernet *net = NULL;
    struct err err = {0};
    assert_int_equal(supernet_create(bed->space, 1, &err, &net), 0);
    struct tensor *scale = supernet_find(net, "first_conv.bn.weight");
    assert_int_equal(supernet_copy_part(net, PART_AVERAGE, &err), 0);
    scale->data[0] = 5;
    supernet_average_step(net, NULL, 0.75); /* 0.75 * 1 + 0.25 * 5 */
    assert_true(scale->average[0] == 2 && scale->average[1] == 1 && scale->data[0] == 5);
    supernet_swap_part(net, PART_AVERAGE);
    assert_true(scale->average[0] == 5 && scale->data[0] == 2);
    supernet_swap_part(net, PART_AVERAGE);
    supernet_drop_part(net, PART_AVERAGE);
    assert_null(scale->average);
    assert_true(scale->data[0] == 5);
    supernet_destroy(net);
}

/* Gradients 3 and -0.5 in two tensors, all else 0: norms by part, and both ways of clipping. */
static void clips_and_tells_norms_by_part(void **state) {
    struct bed *bed = *state;
    struct supernet *net = NULL;
    struct err err = {0};
    double squares[GRADIENT_PARTS_MAX];
    struct sgd sgd = {.learning_rate = 1, .clip_value = 1};
    assert_int_equal(supernet_create(bed->space, 1, &err, &net), 0);
    struct tensor *stem = supernet_find(net, "first_conv.bn.bias");
    struct tensor *second = supernet_find(net, "blocks.2.conv.point_linear.bn.bn.bias");
    stem->grad[0] = 3;
    second->grad[0] = -0.5f;
    assert_int_equal(supernet_gradient_parts(net), 4);
    supernet_gradient_squares(net, squares);
    assert_true(squares[0] == 9 && squares[1] == 0 && squares[2] == 0.25 && squares[3] == 0);
    double norm = supernet_sgd_step(net, NULL, &sgd);
    assert_true(fabs(norm - sqrt(9.25)) < 1e-12); /* before clipping */
    assert_true(stem->data[0] == -1 && second->data[0] == 0.5f);
    sgd.clip_norm = (float)(sqrt(1.25) / 2); /* half of what is left after the first */
    stem->grad[0] = 3;
    supernet_sgd_step(net, NULL, &sgd);
    assert_true(fabsf(stem->data[0] + 1.5f) < 1e-6f);
    assert_true(fabsf(second->data[0] - 0.75f) < 1e-6f);
    supernet_destroy(net);
}

/* A second bed whose training begins with what the first one learnt. */
static struct bed *heir_of(struct bed *bed, int n_classes, struct train_init *init) {
    static const char *const regular = "step-000000024.ckpt";
    struct fixture_idx shape = train_bed_shape;
    static char path[512];
    struct bed *heir = NULL;
    void *state = NULL;
    must_train(bed, bed->dir, &(struct witness){0});
    snprintf(path, sizeof path, "%s/%s", bed->dir, regular);
    *init = (struct train_init){path, NULL};
    train_bed_setup(&state);
    heir = state;
    shape.n_classes = n_classes;
    dataset_close(heir->dataset);
    space_destroy(heir->space);
    heir->dataset = fixture_dataset(heir->data_dir, &shape, 60);
    heir->space = fixture_space(n_classes);
    heir->init = init;
    return heir;
}

static void weights_are_inherited(void **state) {
    struct bed *bed = *state;
    struct train_init init;
    for (int classes = 5; classes <= 6; classes++) {
        struct bed *heir = heir_of(bed, classes, &init);
        struct supernet *fresh = NULL;
        struct err err = {0};
        stop_at(heir, heir->dir, 1);
        struct supernet *from = newest(bed->dir), *to = first(heir->dir);
        assert_int_equal(supernet_create(heir->space, heir->config.seed, &err, &fresh), 0);
        for (int i = 0; i < to->n_tensors; i++) {
            bool own = classes == 6 && strncmp(to->tensors[i].name, "classifier.", 11) == 0;
            const struct supernet *expected = own ? fresh : from;
            assert_memory_equal(to->tensors[i].data, expected->tensors[i].data,
                                to->tensors[i].count * sizeof(float));
            for (size_t k = 0; to->tensors[i].momentum && k < to->tensors[i].count; k++)
                assert_true(to->tensors[i].momentum[k] == 0);
        }
        supernet_destroy(fresh);
        supernet_destroy(from);
        supernet_destroy(to);
        void *done = heir;
        train_bed_teardown(&done);
    }
}

/* One subnet fine-tuned: killed, and its source removed, it ends with the same bits. */
static void fine_tuning_needs_its_source_only_to_begin(void **state) {
    struct bed *bed = *state;
    struct train_init init;
    struct bed *heir = heir_of(bed, 6, &init);
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    struct err err = {0};
    struct checkpoint *checkpoint = NULL;
    struct arch arch;
    arch_min(heir->space, &arch);
    arch_format(heir->space, &arch, heir->config.arch);
    heir->config.regime = REGIME_SINGLE;
    reference_id(heir, whole);
    assert_false(run_child(heir, 5, 0));
    assert_int_equal(unlink(init.path), 0);
    assert_true(run_child(heir, 0, 0));
    newest_id(heir->dir, resumed);
    assert_string_equal(whole, resumed);
    assert_int_equal(checkpoint_store_newest(heir->dir, &err, &err, &checkpoint), 0);
    cJSON *plan = cJSON_GetObjectItem(checkpoint->training, "plan");
    assert_int_equal(strlen(cJSON_GetStringValue(cJSON_GetObjectItem(plan, "inherited"))),
                     HASH_TEXT - 1);
    checkpoint_close(checkpoint);
    fixture_remove_dir(heir->dir);
    heir->dir = fixture_make_dir(); /* a new one cannot begin */
    struct train_result result;
    struct witness witness = {0};
    assert_int_equal(train_in_bed(heir, heir->dir, 1, &witness, &err, &result), ESP_ENOTFOUND);
    assert_string_equal(err.pointer, "/init_from");
    void *done = heir;
    train_bed_teardown(&done);
}

static void weights_of_another_space_are_refused(void **state) {
    struct bed *bed = *state;
    struct space *other = NULL, *grey = NULL;
    struct err err = {0};
    assert_int_equal(space_builtin("fashion_small", &err, &other), 0);
    assert_int_equal(supernet_can_inherit(other, bed->space, &err), ESP_EMISMATCH);
    assert_string_equal(err.pointer, "/init_from");
    assert_int_equal(space_adapt(bed->space, 5, 3, &err, &grey), 0);
    assert_int_equal(supernet_can_inherit(bed->space, grey, &err), ESP_EMISMATCH);
    assert_int_equal(supernet_can_inherit(bed->space, bed->space, &err), 0);
    space_destroy(other);
    space_destroy(grey);
}

static int64_t estimate(const struct train_options *options) {
    struct err err = {0};
    int64_t bytes = 0;
    if (train_memory_estimate(options, &err, &bytes) != 0)
        fail_msg("%s", err.message);
    return bytes;
}

static void copies_count_as_memory(void **state) {
    struct bed *bed = *state;
    struct train_options options = {.space = bed->space, .config = &bed->config};
    struct supernet *net = NULL;
    struct err err = {0};
    int64_t plain = estimate(&options), copy = 0;
    assert_int_equal(supernet_create(bed->space, 1, &err, &net), 0);
    for (int i = 0; i < net->n_tensors; i++)
        copy += (int64_t)net->tensors[i].count * (int64_t)sizeof(float);
    supernet_destroy(net);
    bed->config.ema_decay = 0.9;
    assert_true(estimate(&options) >= plain + 2 * copy); /* and the calibration's */
    bed->config.regime = REGIME_PROGRESSIVE;
    assert_true(estimate(&options) >= plain + 4 * copy);
    assert_true(estimate(&options) < plain + 8 * copy);
}

static void a_budget_is_shared_by_the_phases(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    progressive(bed);
    bed->config.epochs = 0;
    bed->config.time_budget_s = 3;
    bed->config.checkpoint_steps = 0;
    bed->config.checkpoint_interval_s = 1;
    bed->pace_clock_ns = train_bed_played_clock_ns;
    must_train(bed, bed->dir, &witness);
    assert_int_equal(witness.n_phases, 4);
    /* 73 looks of 20 ms until the pace is known, of 2.97 s; 2 validations and 3 checkpoints. */
    assert_int_equal(witness.steps, 70);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TRAIN_TEST(progressive_goes_through_its_phases),
        TRAIN_TEST(the_teacher_is_the_network_at_the_end_of_the_full_phase),
        TRAIN_TEST(one_thread_gives_the_same_bits),
        TRAIN_TEST(killed_in_every_phase_gives_the_same_bits),
        TRAIN_TEST(stopped_between_phases_gives_the_same_bits),
        TRAIN_TEST(killed_at_random_moments_gives_the_same_bits),
        TRAIN_TEST(coupled_trains),
        TRAIN_TEST(single_trains_one_arch),
        TRAIN_TEST(the_average_is_what_is_scored),
        TRAIN_TEST(a_round_without_an_average_drops_it),
        TRAIN_TEST(averages_by_hand),
        TRAIN_TEST(clips_and_tells_norms_by_part),
        TRAIN_TEST(weights_are_inherited),
        TRAIN_TEST(fine_tuning_needs_its_source_only_to_begin),
        TRAIN_TEST(weights_of_another_space_are_refused),
        TRAIN_TEST(copies_count_as_memory),
        TRAIN_TEST(a_budget_is_shared_by_the_phases),
    };
    return cmocka_run_group_tests_name("supernet-train_regimes", tests, NULL, NULL);
}
