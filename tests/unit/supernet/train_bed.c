#include "train_bed.h"

#include "base/clock.h"
#include "base/parallel.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

const struct fixture_idx train_bed_shape = {
    .n_train = 220, .n_test = 20, .side = 12, .n_classes = 5};

int train_bed_setup(void **state) {
    struct bed *bed = calloc(1, sizeof *bed);
    bed->data_dir = fixture_make_dir();
    bed->dir = fixture_make_dir();
    bed->dataset = fixture_dataset(bed->data_dir, &train_bed_shape, 60);
    bed->space = fixture_space(5);
    bed->config = train_config_default;
    bed->config.epochs = 3; /* of 8 steps */
    bed->config.batch = 20;
    bed->config.learning_rate = 0.05;
    bed->config.augment = (struct augment_options){.pad = 1};
    bed->config.checkpoint_steps = 4;
    bed->config.recalibration_images = 60;
    *state = bed;
    return 0;
}

int train_bed_teardown(void **state) {
    struct bed *bed = *state;
    space_destroy(bed->space);
    dataset_close(bed->dataset);
    fixture_remove_dir(bed->data_dir);
    fixture_remove_dir(bed->dir);
    free(bed);
    return 0;
}

int64_t train_bed_played_clock_ns(void) {
    static int64_t now;
    return now += 20000000;
}

static void see_phase(struct witness *witness, const char *phase) {
    int n = witness->n_phases;
    if (n < 16 && (n == 0 || strcmp(witness->phases[n - 1], phase) != 0))
        snprintf(witness->phases[witness->n_phases++], sizeof *witness->phases, "%s", phase);
}

static void on_event(void *context, const struct train_event *event) {
    struct witness *witness = context;
    witness->steps = event->steps;
    witness->last = event->step;
    switch (event->kind) {
    case TRAIN_MEASURING:
        assert_int_equal(witness->starts, 0);
        witness->measuring++;
        break;
    case TRAIN_STARTED:
        witness->starts++;
        witness->started_at = event->step;
        snprintf(witness->reason, sizeof witness->reason, "%s", event->reason);
        break;
    case TRAIN_PROGRESS:
        witness->progress++;
        assert_true((event->metrics.averaged > 0) == (event->metrics.loss > 0));
        witness->fresh += event->metrics.averaged == 0;
        see_phase(witness, event->metrics.phase);
        break;
    case TRAIN_POINT:
        assert_false(event->has_accuracy);
        assert_true(event->metrics.averaged > 0 && event->metrics.images_per_s > 0);
        assert_true(witness->n_points < POINTS_SEEN_MAX);
        witness->points[witness->n_points++] = event->metrics;
        break;
    case TRAIN_SAVING:
        witness->saving++;
        break;
    case TRAIN_METRICS:
        assert_true(event->has_accuracy);
        witness->metrics[witness->n_metrics++] = event->metrics;
        break;
    case TRAIN_CHECKPOINT:
        witness->checkpoints++;
        break;
    case TRAIN_CHECKPOINT_FAILED:
        assert_int_equal(event->code, ESP_ENOSPACE);
        witness->failures++;
        break;
    case TRAIN_RECOVERED:
        assert_true(event->back_to_step % 4 == 0);
        assert_true(event->step >= event->back_to_step && event->step < event->steps);
        witness->thrown_away += event->step - event->back_to_step;
        snprintf(witness->reason, sizeof witness->reason, "%s", event->reason);
        witness->recoveries++;
        break;
    }
}

static bool at_boundary(void *context) {
    struct witness *witness = context;
    uint64_t at = witness->started_at + (uint64_t)witness->boundaries++;
    if (witness->kill_at > 0 && at == witness->kill_at)
        kill(getpid(), SIGKILL);
    return witness->stop_at > 0 && at >= witness->stop_at;
}

static bool is_stopping(void *context) {
    struct witness *witness = context;
    return ++witness->questions >= witness->give_up_at && witness->give_up_at > 0;
}

int train_in_bed(const struct bed *bed, const char *dir, int threads, struct witness *witness,
                 struct err *err, struct train_result *result) {
    struct parallel *pool = NULL;
    struct train_hooks hooks = {witness, on_event, at_boundary, is_stopping};
    struct train_options options = {.space = bed->space,
                                    .dataset = bed->dataset,
                                    .config = &bed->config,
                                    .checkpoint_dir = dir,
                                    .init = bed->init,
                                    .comm = bed->comm,
                                    .hooks = &hooks,
                                    .pace_clock_ns = bed->pace_clock_ns};
    assert_int_equal(parallel_create(threads, &pool), 0);
    options.pool = pool;
    int rc = train_run(&options, err, result);
    parallel_destroy(pool);
    return rc;
}

struct train_result must_train(const struct bed *bed, const char *dir, struct witness *witness) {
    struct err err = {0};
    struct train_result result = {0};
    if (train_in_bed(bed, dir, 2, witness, &err, &result) != 0)
        fail_msg("%s", err.message);
    return result;
}

void newest_id(const char *dir, char ret_id[HASH_TEXT]) {
    struct checkpoint *checkpoint = NULL;
    struct err err = {0}, skipped;
    if (checkpoint_store_newest(dir, &err, &skipped, &checkpoint) != 0)
        fail_msg("%s", err.message);
    memcpy(ret_id, checkpoint->summary.id, HASH_TEXT);
    checkpoint_close(checkpoint);
}

int reference_id(const struct bed *bed, char ret_id[HASH_TEXT]) {
    char *dir = fixture_make_dir();
    struct witness witness = {0};
    must_train(bed, dir, &witness);
    newest_id(dir, ret_id);
    fixture_remove_dir(dir);
    return witness.recoveries;
}

bool run_child(const struct bed *bed, uint64_t kill_at, useconds_t kill_after_us) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct witness witness = {.kill_at = kill_at};
        struct err err = {0};
        struct train_result result;
        int threads = bed->threads > 0 ? bed->threads : 2;
        _exit(train_in_bed(bed, bed->dir, threads, &witness, &err, &result) == 0 ? 0 : 1);
    }
    if (kill_after_us > 0) {
        usleep(kill_after_us);
        kill(child, SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return false;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

/* One training that is killed until there were KILLS kills, or it has ended. The moments are spread
 * so that about so many fit. */
static int kill_through(struct bed *bed, struct rng *rng, int kills) {
    char whole[HASH_TEXT], resumed[HASH_TEXT];
    int64_t start = clock_mono_ns();
    reference_id(bed, whole);
    uint32_t longest_us = (uint32_t)((clock_mono_ns() - start) / 1000 / (KILLS / 2)) + 1;
    bool ended = false;
    while (kills < KILLS && !ended) {
        bed->threads = 1 + (int)rng_below(rng, 2);
        ended = run_child(bed, 0, 1 + rng_below(rng, longest_us));
        kills += !ended;
    }
    assert_true(ended || run_child(bed, 0, 0));
    newest_id(bed->dir, resumed);
    assert_string_equal(whole, resumed);
    return kills;
}

void kill_at_random_moments(struct bed *bed) {
    const char *seed = getenv("ESP_SEED");
    struct rng rng = rng_make(seed ? strtoull(seed, NULL, 10) : (uint64_t)getpid(), RNG_TEST, 0, 0);
    int kills = 0, trainings = 0;
    while (kills < KILLS) {
        bed->config.seed = (uint64_t)++trainings;
        kills = kill_through(bed, &rng, kills);
        fixture_remove_dir(bed->dir);
        bed->dir = fixture_make_dir();
    }
    print_message("killed %d times in %d trainings\n", kills, trainings);
}
