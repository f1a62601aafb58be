/* A batch split over ranks gives the bits of a batch in one piece: gradients, statistics, losses,
 * scores, whole trainings. The ranks are threads (ranks.c). */
#include "golden.h"
#include "ranks.h"
#include "supernet/engine_internal.h"
#include "supernet/evaluate.h"
#include "supernet/loader.h"
#include "supernet/train_step.h"
#include "train_bed.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- Shards ---- */

static void shards_are_whole_chunks(void **state) {
    (void)state;
    for (int batch = 1; batch <= 700; batch += batch < 300 ? 1 : 57)
        for (int size = 1; size <= RANKS_MAX; size *= 2) {
            int next = 0;
            struct shard shard = {0};
            struct err err = {0};
            for (int rank = 0; rank < size; rank++) {
                struct comm comm = {.rank = rank, .size = size};
                int rc = comm_shard(&comm, batch, &err, &shard);
                assert_true(rc == 0 || (rc == ESP_EINVAL && rank > 0) || batch <= 8 * size);
                if (rc != 0)
                    continue;
                assert_true(shard_fits(&shard));
                assert_true(shard.first == next && shard.batch == batch);
                assert_true(shard_chunks(&shard) <= SHARD_CHUNKS_MAX / size);
                next += shard.n;
            }
            if (batch >= 8 * SHARD_CHUNKS_MAX && batch % shard.chunk == 0 && size <= 2)
                assert_int_equal(next, batch);
        }
    struct comm last = {.rank = 7, .size = 8};
    struct shard shard;
    struct err err = {0};
    assert_int_equal(comm_shard(&last, 40, &err, &shard), ESP_EINVAL);
    assert_int_equal(comm_shard(&last, 64, &err, &shard), 0);
    assert_true(shard.first == 56 && shard.n == 8 && shard.chunk == 8);
}

static void the_fold_is_a_balanced_tree(void **state) {
    (void)state;
    double parts[] = {1e16, 1, -1e16, 1, 3}; /* (1e16 + 1) + (-1e16 + 1) + 3 */
    assert_true(comm_fold(parts, 5) == (1e16 + 1) + (-1e16 + 1) + 3);
    assert_true(comm_fold((double[]){5}, 1) == 5);
}

/* ---- A step ---- */

enum { IMAGES_MAX = 150, SIDE = 12 };

/* A step on a batch, and what it left on every rank. */
struct step_case {
    const struct space *space;
    const struct regime_phase *phase;
    const float *images;
    const uint16_t *labels;
    int n, resolution, merge_channels_max;
};

struct outcome {
    struct supernet *net;
    struct train_step_losses losses;
    int rc;
};

struct step_run {
    const struct step_case *given;
    struct outcome outcome[RANKS_MAX];
};

static void take_step(void *context, const struct comm *comm) {
    struct step_run *run = context;
    const struct step_case *given = run->given;
    struct outcome *outcome = &run->outcome[comm->rank];
    struct engine *engine = NULL;
    struct train_step *step = NULL;
    struct err err = {0};
    struct engine_limits limits = {given->n, SIDE, true};
    struct train_step_settings settings = {.random_subnets = 2,
                                           .label_smoothing = 0.1f,
                                           .dropout = 0.3f,
                                           .drop_connect = 0.5f,
                                           .label_share = 0.25f,
                                           .soft = {DISTILL_KL, 2, 4},
                                           .seed = 11};
    struct loader_batch batch = {.n = given->n,
                                 .resolution = given->resolution,
                                 .images = given->images,
                                 .labels = given->labels};
    int rc = supernet_create(given->space, 3, &err, &outcome->net);
    if (rc == 0 && given->phase->rule == RULE_TEACHER)
        rc = supernet_copy_part(outcome->net, PART_TEACHER, &err);
    if (rc == 0)
        rc = engine_create_merging(outcome->net, NULL, &limits, given->merge_channels_max, &err,
                                   &engine);
    if (rc == 0) {
        engine_set_comm(engine, comm);
        rc = train_step_create(engine, outcome->net, given->n, &settings, &err, &step);
    }
    if (rc == 0)
        rc = train_step_run(step, given->phase, &batch, 5, &err, &outcome->losses);
    outcome->rc = rc;
    train_step_destroy(step);
    engine_destroy(engine);
}

static void check_same(const struct supernet *a, const struct supernet *b) {
    for (int i = 0; i < a->n_tensors; i++) {
        const struct tensor *x = &a->tensors[i], *y = &b->tensors[i];
        size_t bytes = x->count * sizeof(float);
        if (memcmp(x->data, y->data, bytes) != 0 ||
            (x->grad && memcmp(x->grad, y->grad, bytes) != 0))
            fail_msg("%s depends on how the batch is split", x->name);
    }
}

static bool has_gradient(const struct supernet *net) {
    double squares[GRADIENT_PARTS_MAX], sum = 0;
    supernet_gradient_squares(net, squares);
    for (int i = 0; i < supernet_gradient_parts(net); i++)
        sum += squares[i];
    return isfinite(sum) && sum > 0;
}

static void check_split(const struct step_case *given, int size) {
    struct step_run whole = {.given = given}, split = {.given = given};
    take_step(&whole, &comm_alone);
    assert_int_equal(whole.outcome[0].rc, 0);
    assert_true(has_gradient(whole.outcome[0].net));
    ranks_run(size, take_step, &split);
    for (int r = 0; r < size; r++) {
        assert_int_equal(split.outcome[r].rc, 0);
        check_same(whole.outcome[0].net, split.outcome[r].net);
        assert_memory_equal(&split.outcome[r].losses, &whole.outcome[0].losses,
                            sizeof(struct train_step_losses));
        supernet_destroy(split.outcome[r].net);
    }
    supernet_destroy(whole.outcome[0].net);
}

/* The golden spaces have every kind of layer. */
static void steps_do_not_depend_on_the_split(const char *golden_name) {
    struct golden golden;
    float *images = malloc(sizeof(float) * IMAGES_MAX * 3 * SIDE * SIDE);
    uint16_t labels[IMAGES_MAX];
    golden_open(&golden, golden_name);
    golden_noise("images", IMAGES_MAX * 3 * SIDE * SIDE, images);
    for (int i = 0; i < IMAGES_MAX; i++)
        labels[i] = (uint16_t)(i * i % golden.space->n_classes);
    struct step_case given = {.space = golden.space,
                              .phase = regime_phase(REGIME_SANDWICH, 0),
                              .images = images,
                              .labels = labels,
                              .n = 64,
                              .resolution = golden.space->n_resolutions - 1,
                              .merge_channels_max = ENGINE_MERGE_CHANNELS};
    for (int size = 2; size <= 8; size *= 2)
        check_split(&given, size);
    given.merge_channels_max = 0;
    check_split(&given, 4);
    given.n = 50; /* shards of different sizes */
    check_split(&given, 2);
    given.n = 150; /* chunks of two octets */
    given.phase = regime_phase(REGIME_PROGRESSIVE, 5);
    check_split(&given, 2);
    free(images);
    golden_close(&golden);
}

static void inverted_residual_blocks(void **state) {
    (void)state;
    steps_do_not_depend_on_the_split("step");
}

static void every_kind_of_block(void **state) {
    (void)state;
    steps_do_not_depend_on_the_split("mixed");
}

/* Too many ranks for a batch are told, before anything is sent. */
static void a_batch_that_is_too_small_is_refused(void **state) {
    struct bed *bed = *state;
    static float images[20 * SIDE * SIDE];
    static const uint16_t labels[20];
    struct step_case given = {.space = bed->space,
                              .phase = regime_phase(REGIME_SANDWICH, 0),
                              .images = images,
                              .labels = labels,
                              .n = 20,
                              .resolution = 1};
    struct step_run run = {.given = &given};
    struct comm last = {.rank = 3, .size = 4, .ops = comm_alone.ops};
    take_step(&run, &last);
    assert_int_equal(run.outcome[3].rc, ESP_EINVAL);
    supernet_destroy(run.outcome[3].net);
}

/* ---- Images ---- */

static void images_do_not_depend_on_the_batch(void **state) {
    struct bed *bed = *state;
    struct augment_options augment = {.pad = 2, .flip = true, .contrast = 0.4};
    int resolution = SIDE;
    struct loader *whole = NULL, *halves = NULL;
    struct loader_batch a, b;
    struct err err = {0};
    struct loader_options read = {.split = SPLIT_TRAIN,
                                  .batch = 20,
                                  .shuffle = true,
                                  .augment = &augment,
                                  .resolutions = &resolution,
                                  .n_resolutions = 1,
                                  .seed = 3};
    assert_int_equal(loader_create(bed->dataset, &read, &err, &whole), 0);
    read.batch = 10;
    assert_int_equal(loader_create(bed->dataset, &read, &err, &halves), 0);
    for (int k = 0; k < 12; k++) { /* 160 images an epoch: into the second */
        assert_true(loader_next(whole, &a));
        for (int half = 0; half < 2; half++) {
            assert_true(loader_next(halves, &b));
            assert_int_equal(a.epoch, b.epoch);
            assert_memory_equal(a.indices + 10 * half, b.indices, 10 * sizeof *b.indices);
            assert_memory_equal(a.images + 10 * half * SIDE * SIDE, b.images,
                                10 * SIDE * SIDE * sizeof(float));
        }
    }
    loader_destroy(whole);
    loader_destroy(halves);
}

/* ---- Scores ---- */

struct score_run {
    const struct bed *bed;
    struct score score[RANKS_MAX];
    int rc[RANKS_MAX];
};

static void take_score(void *context, const struct comm *comm) {
    struct score_run *run = context;
    const struct bed *bed = run->bed;
    struct supernet *net = NULL;
    struct engine *engine = NULL;
    struct evaluation *evaluation = NULL;
    struct arch arch;
    struct err err = {0};
    struct engine_limits limits = {.batch = 60, .resolution = SIDE};
    arch_max(bed->space, &arch);
    int rc = supernet_create(bed->space, 3, &err, &net);
    if (rc == 0)
        rc = engine_create(net, NULL, &limits, &err, &engine);
    if (rc == 0) {
        struct evaluation_options options = {
            .supernet = net,
            .dataset = bed->dataset,
            .engine = engine,
            .batch = 8,
            .recalibration = {.images = 110, .batch = 60, .seed = 4, .augment = {.pad = 1}}};
        struct score_request request = {
            .arch = &arch, .split = SPLIT_VALIDATION, .recalibrate = true};
        engine_set_comm(engine, comm);
        rc = evaluation_create(&options, &err, &evaluation);
        if (rc == 0)
            rc = evaluation_score(evaluation, &request, &err, &run->score[comm->rank]);
    }
    run->rc[comm->rank] = rc;
    evaluation_destroy(evaluation);
    engine_destroy(engine);
    supernet_destroy(net);
}

static void scores_do_not_depend_on_the_split(void **state) {
    struct score_run whole = {.bed = *state};
    take_score(&whole, &comm_alone);
    assert_int_equal(whole.rc[0], 0);
    assert_int_equal(whole.score[0].images, 60);
    for (int size = 2; size <= 4; size *= 2) {
        struct score_run split = {.bed = *state};
        ranks_run(size, take_score, &split);
        for (int r = 0; r < size; r++) {
            assert_int_equal(split.rc[r], 0);
            assert_true(split.score[r].top1 == whole.score[0].top1);
            assert_int_equal(split.score[r].images, 60);
            assert_true(fabs(split.score[r].loss - whole.score[0].loss) <
                        1e-12 * whole.score[0].loss);
        }
    }
}

/* ---- Whole trainings ---- */

struct train_ranks {
    const struct bed *bed;
    struct train_result result[RANKS_MAX];
    int rc[RANKS_MAX];
    uint64_t stop_at;
};

static void take_training(void *context, const struct comm *comm) {
    struct train_ranks *run = context;
    struct bed bed = *run->bed;
    struct witness witness = {.stop_at = comm->rank == 0 ? run->stop_at : 0};
    struct err err = {0};
    bed.comm = comm;
    run->rc[comm->rank] = train_in_bed(&bed, bed.dir, 1, &witness, &err, &run->result[comm->rank]);
}

/* Two ranks and a stop, then as many as there are chunks: the checkpoint of one process. */
static void trainings_do_not_depend_on_the_split(void **state) {
    struct bed *bed = *state;
    char whole[HASH_TEXT], split[HASH_TEXT];
    bed->config.drop_connect = 0.3;
    reference_id(bed, whole);
    struct train_ranks begun = {.bed = bed, .stop_at = 10}, ended = {.bed = bed};
    ranks_run(2, take_training, &begun);
    assert_true(begun.rc[0] == ESP_ECANCELED && begun.rc[1] == ESP_ECANCELED);
    ranks_run(2, take_training, &ended);
    for (int r = 0; r < 2; r++) {
        assert_int_equal(ended.rc[r], 0);
        assert_int_equal(ended.result[r].steps, 24);
    }
    newest_id(bed->dir, split);
    assert_string_equal(whole, split);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_whole_chunks),
        cmocka_unit_test(the_fold_is_a_balanced_tree),
        cmocka_unit_test(inverted_residual_blocks),
        cmocka_unit_test(every_kind_of_block),
        TRAIN_TEST(a_batch_that_is_too_small_is_refused),
        TRAIN_TEST(images_do_not_depend_on_the_batch),
        TRAIN_TEST(scores_do_not_depend_on_the_split),
        TRAIN_TEST(trainings_do_not_depend_on_the_split),
    };
    return cmocka_run_group_tests_name("supernet-comm", tests, NULL, NULL);
}
