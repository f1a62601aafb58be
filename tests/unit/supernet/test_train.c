#include "train_bed.h"

#include "base/json.h"
#include "supernet/train_pace.h"
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void learns(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    bed->config.epochs = 40;
    bed->config.checkpoint_steps = 40;
    struct train_result result = must_train(bed, bed->dir, &witness);
    const struct train_metrics *first = &witness.metrics[0];
    const struct train_metrics *last = &witness.metrics[witness.n_metrics - 1];
    assert_int_equal(result.steps, 320);
    assert_int_equal(result.images, 320 * 20);
    assert_true(fabs(result.epochs - 40) < 1e-9);
    assert_int_equal(witness.n_metrics, 8);
    assert_true(last->loss < first->loss);
    assert_true(last->largest.top1 > 0.9); /* chance is 0.2 */
    assert_true(last->smallest.top1 > 0.7);
    assert_true(last->random.top1 > 0.7);
    assert_true(result.top1_largest == last->largest.top1);
    assert_string_equal(result.checkpoint, "step-000000320.ckpt");
    /* Without recalibration the largest is as good; the smallest is not. */
    assert_true(last->largest.top1_raw > 0.8);
    assert_true(last->smallest.top1_raw < last->smallest.top1);
}

static void a_seed_fixes_a_run(void **state) {
    struct bed *bed = *state;
    char a[HASH_TEXT], b[HASH_TEXT], c[HASH_TEXT];
    struct witness witness = {0};
    struct err err = {0};
    struct train_result result;
    reference_id(bed, a);
    assert_int_equal(train_in_bed(bed, bed->dir, 1, &witness, &err, &result), 0); /* one thread */
    newest_id(bed->dir, b);
    assert_string_equal(a, b);
    bed->config.seed++;
    reference_id(bed, c);
    assert_string_not_equal(a, c);
}

static void stopped_and_resumed_gives_the_same_bits(void **state) {
    struct bed *bed = *state;
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    struct err err = {0};
    struct train_result result;
    int attempts = 0, rc;
    reference_id(bed, whole);
    do {
        struct witness witness = {.stop_at = (uint64_t)(5 * ++attempts)};
        rc = train_in_bed(bed, bed->dir, 2, &witness, &err, &result);
        assert_true(rc == 0 || rc == ESP_ECANCELED);
        assert_int_equal(witness.started_at, attempts > 1 ? 5 * (attempts - 1) : 0);
    } while (rc != 0);
    assert_int_equal(attempts, 5);
    newest_id(bed->dir, resumed);
    assert_string_equal(whole, resumed);
}

/* Between validations there is a point for each step of so short a training: what a validation says
 * of its interval is their mean. */
static void every_step_has_a_point(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    int at = 0;
    must_train(bed, bed->dir, &witness);
    assert_int_equal(witness.n_points, 24);
    assert_true(witness.n_metrics < 24);
    assert_int_equal(witness.saving, witness.checkpoints);
    for (int v = 0; v < witness.n_metrics; v++) {
        double loss = 0, norm = 0;
        int n = 0;
        for (; at < 24 && witness.points[at].step <= witness.metrics[v].step; at++, n++) {
            assert_int_equal(witness.points[at].step, at + 1);
            assert_int_equal(witness.points[at].averaged, 1);
            loss += witness.points[at].loss;
            norm += witness.points[at].gradient_norm;
        }
        assert_float_equal(loss / n, witness.metrics[v].loss, 1e-9);
        assert_float_equal(norm / n, witness.metrics[v].gradient_norm, 1e-9);
    }
    assert_int_equal(at, 24);
}

/* Trains in pieces, each given up at the so many-th question after its beginning, until the end.
 * Returns how many pieces there were; each went on from the last whole step. */
static int train_in_pieces(struct bed *bed, int64_t questions) {
    struct err err = {0};
    struct train_result result;
    uint64_t last = 0;
    for (int pieces = 1; pieces < 100; pieces++) {
        struct witness witness = {.give_up_at = questions};
        int rc = train_in_bed(bed, bed->dir, 2, &witness, &err, &result);
        assert_true(rc == 0 || rc == ESP_ECANCELED);
        assert_int_equal(witness.started_at, last);
        if (rc == 0)
            return pieces;
        assert_true(witness.questions >= questions && witness.questions < questions + 4);
        last = witness.last;
    }
    return 0;
}

/* Passes of forward and backward of each subnet of a step, and those of validations. */
static void given_up_inside_of_steps_gives_the_same_bits(void **state) {
    struct bed *bed = *state;
    static const int64_t questions[] = {431, 307, 211};
    static const double averages[] = {0, 0.9, 0};
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    for (int i = 0; i < 3; i++) {
        bed->config.ema_decay = averages[i];
        bed->config.regime = i == 2 ? REGIME_PROGRESSIVE : REGIME_SANDWICH;
        reference_id(bed, whole);
        int pieces = train_in_pieces(bed, questions[i]);
        print_message("%d pieces\n", pieces);
        assert_true(pieces > 4);
        newest_id(bed->dir, resumed);
        assert_string_equal(whole, resumed);
        fixture_remove_dir(bed->dir);
        bed->dir = fixture_make_dir();
    }
}

/* At every question of the last steps and of the validation at the end. */
static void given_up_anywhere_gives_the_same_bits(void **state) {
    struct bed *bed = *state;
    struct witness all = {0};
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    char *dir = fixture_make_dir();
    struct err err = {0};
    struct train_result result;
    int in_validation = 0;
    bed->config.epochs = 0.25;
    must_train(bed, dir, &all);
    newest_id(dir, whole);
    fixture_remove_dir(dir);
    print_message("%lld questions\n", (long long)all.questions);
    assert_true(all.questions > 100);
    for (int64_t at = 1; at <= all.questions; at += all.questions / 40) {
        struct witness first = {.give_up_at = at}, second = {0};
        assert_int_equal(train_in_bed(bed, bed->dir, 2, &first, &err, &result), ESP_ECANCELED);
        assert_non_null(strstr(err.message, "was stopped at step"));
        must_train(bed, bed->dir, &second);
        in_validation += second.started_at == second.steps && second.n_metrics == 1;
        newest_id(bed->dir, resumed);
        assert_string_equal(whole, resumed);
        fixture_remove_dir(bed->dir);
        bed->dir = fixture_make_dir();
    }
    assert_true(in_validation > 3);
}

/* A cancel at any question of the measurement ends it there: no more than one is asked behind it,
 * and nothing is left. */
static void given_up_while_the_pace_is_measured(void **state) {
    struct bed *bed = *state;
    struct witness whole = {.stop_at = 1};
    struct err err = {0};
    struct train_result result;
    bed->config.epochs = 0;
    bed->config.time_budget_s = 1;
    bed->config.checkpoint_steps = 0;
    bed->pace_clock_ns = train_bed_played_clock_ns;
    int64_t measured = 0;
    for (int64_t at = 1; at < 1000; at += 37) {
        struct witness witness = {.give_up_at = at};
        int rc = train_in_bed(bed, bed->dir, 2, &witness, &err, &result);
        if (witness.starts > 0) /* measured */
            break;
        assert_int_equal(rc, ESP_ECANCELED);
        measured = at;
        assert_int_equal(witness.measuring, 1);
        assert_true(witness.questions <= at + 1);
        assert_int_equal(rmdir(bed->dir), 0); /* empty */
        assert_int_equal(mkdir(bed->dir, 0700), 0);
    }
    assert_true(measured > 300); /* three rounds of a step of four subnets at two resolutions */
    fixture_remove_dir(bed->dir);
    bed->dir = fixture_make_dir();
    assert_int_equal(train_in_bed(bed, bed->dir, 2, &whole, &err, &result), ESP_ECANCELED);
    assert_int_equal(whole.starts, 1);
}

static void killed_and_resumed_gives_the_same_bits(void **state) {
    struct bed *bed = *state;
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    reference_id(bed, whole);
    for (uint64_t at = 2; at < 24; at += 5)
        assert_false(run_child(bed, at, 0));
    assert_true(run_child(bed, 0, 0));
    newest_id(bed->dir, resumed);
    assert_string_equal(whole, resumed);
}

static void finished_training_is_not_repeated(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0}, again = {0};
    char before[HASH_TEXT], after[HASH_TEXT];
    struct train_result first = must_train(bed, bed->dir, &witness), second;
    newest_id(bed->dir, before);
    second = must_train(bed, bed->dir, &again);
    newest_id(bed->dir, after);
    assert_string_equal(before, after);
    assert_int_equal(again.checkpoints, 0);
    assert_true(second.top1_largest == first.top1_largest);
    assert_true(second.top1_smallest == first.top1_smallest);
    assert_string_equal(second.checkpoint, first.checkpoint);
}

static void more_training_is_a_new_round(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    struct train_result result;
    must_train(bed, bed->dir, &witness);
    bed->config.epochs = 2;
    result = must_train(bed, bed->dir, &(struct witness){0});
    assert_int_equal(result.steps, 24 + 16);
    assert_true(fabs(result.epochs - 5) < 1e-9);
    assert_int_equal(result.images, 24 * 20 + 16 * 20); /* of both rounds */
}

static void unfinished_training_keeps_its_settings(void **state) {
    struct bed *bed = *state;
    struct witness witness = {.stop_at = 6};
    struct err err = {0};
    struct train_result result;
    assert_int_equal(train_in_bed(bed, bed->dir, 1, &witness, &err, &result), ESP_ECANCELED);
    bed->config.momentum = 0.8;
    assert_int_equal(train_in_bed(bed, bed->dir, 1, &witness, &err, &result), ESP_ECONFLICT);
    assert_string_equal(err.pointer, "/train");
    bed->config.momentum = train_config_default.momentum;
    dataset_close(bed->dataset);
    bed->dataset = fixture_dataset(bed->data_dir, &train_bed_shape, 50);
    assert_int_equal(train_in_bed(bed, bed->dir, 1, &witness, &err, &result), ESP_EMISMATCH);
    assert_string_equal(err.pointer, "/dataset");
    space_destroy(bed->space);
    bed->space = fixture_space(6);
    assert_int_equal(train_in_bed(bed, bed->dir, 1, &witness, &err, &result), ESP_EMISMATCH);
}

static void a_damaged_checkpoint_is_passed_over(void **state) {
    struct bed *bed = *state;
    struct witness witness = {.stop_at = 10}, again = {0};
    struct err err = {0};
    struct train_result result;
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    reference_id(bed, whole);
    assert_int_equal(train_in_bed(bed, bed->dir, 2, &witness, &err, &result), ESP_ECANCELED);
    fixture_truncate(bed->dir, "step-000000010.ckpt", 9000);
    must_train(bed, bed->dir, &again);
    assert_int_equal(again.started_at, 8);
    assert_non_null(strstr(again.reason, "step-000000010.ckpt is truncated"));
    newest_id(bed->dir, resumed);
    assert_string_equal(whole, resumed);
}

/* A rate that no network stands: the loss blows up, training goes back and halves it until it is
 * one that it stands. */
static void recovers_from_divergence(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    bed->config.learning_rate = 10;
    bed->config.clip_norm = 0;
    bed->config.warmup = 0;
    bed->config.epochs = 5;
    must_train(bed, bed->dir, &witness);
    assert_true(witness.recoveries > 0 && witness.thrown_away > 0);
    assert_true(strstr(witness.reason, "loss") || strstr(witness.reason, "gradient"));
}

/* What the guards know is in the checkpoints, to the bit; older ones have the one mean alone. */
static void guards_are_kept(void **state) {
    struct train_config config = train_config_default;
    struct train_plan plan = {.steps = 100, .steps_per_epoch = 10, .validate_steps = 10};
    struct train_state before = {.step = 60, .rate_scale = 1, .best = -1}, after = {0};
    struct err err = {0};
    plan.checkpoint_steps = 10;
    config.epochs = 10;
    assert_int_equal(train_plan_phases((*(struct bed **)state)->space, &config, &err, &plan), 0);
    for (int i = 0; i < GUARD_KINDS; i++)
        before.guards[i] = (struct loss_guard){1.0 / (3 + i), 1.0 / (7 + i), 2 + i};
    cJSON *object = train_state_print(&config, &plan, &before);
    assert_int_equal(train_state_parse(object, &err, &config, &plan, &after), 0);
    for (int i = 0; i < GUARD_KINDS; i++)
        assert_memory_equal(&after.guards[i], &before.guards[i], sizeof after.guards[i]);
    cJSON_DeleteItemFromObject(cJSON_GetObjectItem(object, "state"), "guards");
    assert_int_equal(train_state_parse(object, &err, &config, &plan, &after), 0);
    assert_true(after.guards[GUARD_LABELS].mean == before.guards[GUARD_LABELS].mean);
    assert_true(after.guards[GUARD_LABELS].lowest == 0 && after.guards[GUARD_RANDOM].mean == 0);
    cJSON_Delete(object);
}

static void a_full_disk_is_told_and_survived(void **state) {
    struct bed *bed = *state;
    struct witness witness = {.stop_at = 6}, full = {0};
    struct err err = {0};
    struct train_result result;
    struct rlimit old, small;
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    reference_id(bed, whole);
    assert_int_equal(train_in_bed(bed, bed->dir, 2, &witness, &err, &result), ESP_ECANCELED);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){20000, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = train_in_bed(bed, bed->dir, 2, &full, &err, &result);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(rc, ESP_ENOSPACE); /* it came to its end, but could not keep it */
    assert_int_equal(full.failures, 5);
    assert_int_equal(full.checkpoints, 0);
    witness = (struct witness){0};
    must_train(bed, bed->dir, &witness);
    assert_int_equal(witness.started_at, 6); /* nothing of before was lost */
    newest_id(bed->dir, resumed);
    assert_string_equal(whole, resumed);
}

static void a_time_budget_becomes_steps_once(void **state) {
    struct bed *bed = *state;
    struct witness witness = {.stop_at = 3}, again = {0};
    struct err err = {0};
    struct train_result result;
    bed->config.epochs = 0;
    bed->config.time_budget_s = 3;
    bed->config.checkpoint_steps = 0;
    bed->config.checkpoint_interval_s = 1;
    bed->pace_clock_ns = train_bed_played_clock_ns;
    assert_int_equal(train_in_bed(bed, bed->dir, 2, &witness, &err, &result), ESP_ECANCELED);
    /* 22 looks of 20 ms until the pace is known, of 2.97 s; 3 validations and 4 checkpoints. */
    assert_int_equal(witness.steps, 119);
    result = must_train(bed, bed->dir, &again);
    assert_int_equal(again.started_at, 3);
    assert_int_equal(again.steps, witness.steps);
    assert_int_equal(result.steps, witness.steps);
    assert_true(again.n_metrics >= 2);
}

/* However few they are where other work takes the machine. */
static void a_budget_by_the_machines_clock_has_steps(void **state) {
    struct bed *bed = *state;
    struct witness witness = {0};
    bed->config.epochs = 0;
    bed->config.time_budget_s = 1;
    assert_true(must_train(bed, bed->dir, &witness).steps >= 1);
    assert_int_equal(witness.measuring, 1);
}

static int parse(const char *text, struct err *err, struct train_config *config) {
    cJSON *doc = NULL;
    assert_int_equal(json_parse(text, strlen(text), &json_limits_default, err, &doc), 0);
    int rc = train_config_parse(doc, "/train", err, config);
    cJSON_Delete(doc);
    return rc;
}

static void settings_are_checked(void **state) {
    static const char *const bad[][2] = {
        {"{}", "/train/epochs"},
        {"{\"epochs\": 1, \"time_budget_s\": 5}", "/train/epochs"},
        {"{\"epochs\": 0}", "/train/epochs"},
        {"{\"epochs\": 1, \"batch\": 1}", "/train/batch"},
        {"{\"epochs\": 1, \"batch\": 2.5}", "/train/batch"},
        {"{\"epochs\": 1, \"learning_rate\": -1}", "/train/learning_rate"},
        {"{\"epochs\": 1, \"label_smoothing\": \"a\"}", "/train/label_smoothing"},
        {"{\"epochs\": 1, \"augment\": {\"pad\": 65}}", "/train/augment/pad"},
        {"{\"epochs\": 1, \"augment\": {\"colour\": 1}}", "/train/augment/colour"},
        {"{\"epochs\": 1, \"augment\": {\"contrast\": 1.5}}", "/train/augment/contrast"},
        {"{\"epochs\": 1, \"augment\": {\"random_resized_crop\": true}}",
         "/train/augment/random_resized_crop"},
        {"{\"epochs\": 1, \"augment\": {\"random_resized_crop\": {\"scale\": [0.5, 0.2]}}}",
         "/train/augment/random_resized_crop/scale"},
        {"{\"epochs\": 1, \"augment\": {\"random_resized_crop\": {\"ratio\": [0, 1]}}}",
         "/train/augment/random_resized_crop/ratio"},
        {"{\"epochs\": 1, \"augment\": {\"random_resized_crop\": {\"area\": 1}}}",
         "/train/augment/random_resized_crop/area"},
        {"{\"epochs\": 1, \"augment\": {\"random_resized_crop\": {}, \"pad\": 2}}",
         "/train/augment/pad"},
        {"{\"epochs\": 1, \"seed\": -1}", "/train/seed"},
        {"{\"epochs\": 1, \"epoch\": 1}", "/train/epoch"},
        {"{\"epochs\": 1, \"regime\": \"other\"}", "/train/regime"},
        {"{\"epochs\": 1, \"regime\": \"sandwich\", \"arch\": \"r12\"}", "/train/arch"},
        {"{\"epochs\": 1, \"distillation\": \"l2\"}", "/train/distillation"},
        {"{\"epochs\": 1, \"temperature\": 0}", "/train/temperature"},
        {"{\"epochs\": 1, \"label_share\": 1.1}", "/train/label_share"},
        {"{\"epochs\": 1, \"ema_decay\": 1}", "/train/ema_decay"},
        {"{\"epochs\": 1, \"drop_connect\": 0.95}", "/train/drop_connect"},
    };
    struct train_config config;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err err = {0};
        assert_int_equal(parse(bad[i][0], &err, &config), ESP_EINVAL);
        assert_string_equal(err.pointer, bad[i][1]);
    }
    struct err err = {0};
    assert_int_equal(parse("{\"epochs\": 2.5, \"augment\": {\"cutout\": 4, \"contrast\": 0.3, "
                           "\"random_resized_crop\": {\"scale\": [0.3, 0.9]}}, \"seed\": 9, "
                           "\"distillation\": \"kl\", \"ema_decay\": 0.5, \"drop_connect\": 0.2, "
                           "\"label_share\": 0.25, "
                           "\"arch\": \"r12 | d1\"}",
                           &err, &config),
                     0);
    assert_int_equal(config.regime, REGIME_SINGLE); /* for there is an arch */
    assert_int_equal(config.distillation, DISTILL_KL);
    assert_true(config.epochs == 2.5 && config.seed == 9 && config.augment.cutout == 4);
    assert_true(config.augment.crop && config.augment.scale[0] == 0.3 &&
                config.augment.ratio[1] == 4.0 / 3 && config.augment.pad == 0);
    assert_int_equal(config.batch, train_config_default.batch);
    cJSON *printed = train_config_print(&config);
    struct train_config again;
    memset(&again, 0, sizeof again);
    assert_int_equal(train_config_parse(printed, "", &err, &again), 0);
    assert_memory_equal(&config, &again, sizeof config);
    cJSON_Delete(printed);
}

static void the_rate_rises_and_falls(void **state) {
    struct train_config config = train_config_default;
    struct train_plan plan = {.first = 100, .steps = 300, .n_phases = 1, .phases = {{0, 100}}};
    (void)state;
    config.learning_rate = 0.4;
    config.learning_rate_floor = 0.1;
    config.warmup = 0.1;
    assert_true(fabs(train_learning_rate(&config, &plan, 100) - 0.4 / 20) < 1e-12);
    assert_true(fabs(train_learning_rate(&config, &plan, 119) - 0.4) < 1e-12);
    assert_true(fabs(train_learning_rate(&config, &plan, 120) - 0.4) < 1e-12);
    assert_true(fabs(train_learning_rate(&config, &plan, 210) - 0.22) < 1e-12);
    for (uint64_t step = 120; step + 1 < 300; step++)
        assert_true(train_learning_rate(&config, &plan, step) >
                    train_learning_rate(&config, &plan, step + 1));
    assert_true(train_learning_rate(&config, &plan, 299) < 0.0402);
}

static void plans_keep_within_the_budget(void **state) {
    struct train_config config = train_config_default;
    (void)state;
    config.time_budget_s = 240;
    struct train_pace pace = {
        .step_s = 0.1, .validation_s = 0.5, .checkpoint_s = 0.25, .elapsed_s = 3};
    struct train_plan plan = {0};
    train_plan_make(&config, &pace, 430, &plan);
    double validations = ceil((double)plan.steps / (double)plan.validate_steps);
    double checkpoints = 1 + ceil((double)plan.steps / (double)plan.checkpoint_steps);
    double seconds = 3 + (double)plan.steps * 0.1 + validations * 0.5 + checkpoints * 0.25;
    assert_true(seconds < 240 && seconds > 235);
    assert_true(checkpoints >= 8);
    assert_true(validations >= 7);
    assert_int_equal(plan.validate_steps % plan.checkpoint_steps, 0);
    assert_int_equal(plan.point_steps, 10); /* a second */
    assert_int_equal(plan.pad, 1);          /* some five epochs */
    assert_true(plan.label_share == 0.5);
    config.time_budget_s = 3600;
    train_plan_make(&config, &pace, 430, &plan);
    assert_int_equal(plan.pad, 2);
    assert_in_range(plan.steps / plan.point_steps, 500, 1000);
    assert_true(plan.label_share == 0);
    config.augment.pad = 5;
    config.label_share = 0.25;
    train_plan_make(&config, &pace, 430, &plan);
    assert_int_equal(plan.pad, 5);
    assert_true(plan.label_share == 0.25);
    config.time_budget_s = 240;
    pace.step_s = 1000; /* slower than the budget: one step, not none */
    train_plan_make(&config, &pace, 430, &plan);
    assert_int_equal(plan.steps, 1);
    assert_int_equal(plan.point_steps, 1);
}

/* Steps with made-up times; returns how many rounds were asked for. */
static int fill_gauge(struct pace_gauge *gauge, double scale, int stalls) {
    double elapsed = 0;
    int rounds = 0;
    for (; pace_gauge_wants_more(gauge, elapsed); rounds++) {
        double seconds[PACE_TIMED_MAX] = {0.1 * scale, 0.2 * scale, 0.4 * scale};
        for (int i = 0; i < gauge->n_timed; i++) {
            if (rounds < 2)
                seconds[i] *= 5; /* cold */
            else if (rounds <= stalls + 1)
                seconds[i] *= 3; /* somebody else had the machine */
            elapsed += seconds[i];
        }
        pace_gauge_add(gauge, seconds);
    }
    return rounds;
}

static void the_pace_is_that_of_steady_steps(void **state) {
    static const int one[] = {32}, two[] = {20, 28}, many[] = {10, 14, 20, 22, 30};
    struct pace_gauge gauge;
    (void)state;
    pace_gauge_init(&gauge, one, 1, 0);
    assert_int_equal(fill_gauge(&gauge, 1, 0), 6);
    assert_true(fabs(pace_gauge_step_s(&gauge) - 0.1) < 1e-12);
    pace_gauge_init(&gauge, two, 2, 1000);
    assert_true(fill_gauge(&gauge, 1, 3) > 10);
    assert_true(fabs(pace_gauge_step_s(&gauge) - 0.15) < 1e-12);
    /* 14 lies (196 - 100) / (400 - 100) = 0.32 of the way, 22 lies 84 / 500 = 0.168 of its way. */
    pace_gauge_init(&gauge, many, 5, 240);
    fill_gauge(&gauge, 1, 0);
    double expected = (0.1 + 0.132 + 0.2 + 0.2336 + 0.4) / 5;
    assert_true(fabs(pace_gauge_step_s(&gauge) - expected) < 1e-12);
}

static void calibration_takes_two_percent(void **state) {
    static const int one[] = {32};
    struct pace_gauge gauge;
    (void)state;
    pace_gauge_init(&gauge, one, 1, 1000); /* 20 s: two steps of 0.5 s, then of 0.1 s */
    assert_in_range(fill_gauge(&gauge, 1, 0), 2 + 189, 2 + 191);
    pace_gauge_init(&gauge, one, 1, 100000); /* never more than 30 s */
    assert_in_range(fill_gauge(&gauge, 1, 0), 2 + 289, 2 + 291);
    assert_true(fabs(pace_gauge_step_s(&gauge) - 0.1) < 1e-12);
    pace_gauge_init(&gauge, one, 1, 10); /* 0.2 s: as few as will do */
    assert_int_equal(fill_gauge(&gauge, 0.5, 0), 6);
    pace_gauge_init(&gauge, one, 1, 10); /* the first two take all that may be taken */
    assert_int_equal(fill_gauge(&gauge, 10, 0), 3);
    assert_true(fabs(pace_gauge_step_s(&gauge) - 1) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TRAIN_TEST(learns),
        TRAIN_TEST(a_seed_fixes_a_run),
        TRAIN_TEST(stopped_and_resumed_gives_the_same_bits),
        TRAIN_TEST(every_step_has_a_point),
        TRAIN_TEST(given_up_inside_of_steps_gives_the_same_bits),
        TRAIN_TEST(given_up_anywhere_gives_the_same_bits),
        TRAIN_TEST(given_up_while_the_pace_is_measured),
        TRAIN_TEST(killed_and_resumed_gives_the_same_bits),
        TRAIN_TEST(finished_training_is_not_repeated),
        TRAIN_TEST(more_training_is_a_new_round),
        TRAIN_TEST(unfinished_training_keeps_its_settings),
        TRAIN_TEST(a_damaged_checkpoint_is_passed_over),
        TRAIN_TEST(recovers_from_divergence),
        TRAIN_TEST(guards_are_kept),
        TRAIN_TEST(a_full_disk_is_told_and_survived),
        TRAIN_TEST(a_time_budget_becomes_steps_once),
        TRAIN_TEST(a_budget_by_the_machines_clock_has_steps),
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(the_rate_rises_and_falls),
        cmocka_unit_test(plans_keep_within_the_budget),
        cmocka_unit_test(the_pace_is_that_of_steady_steps),
        cmocka_unit_test(calibration_takes_two_percent),
    };
    return cmocka_run_group_tests_name("supernet-train", tests, NULL, NULL);
}
