/* Modes of the engine: recalibration, folding, dropout, limits; gradients of other heads against
 * differences of the loss. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "golden.h"
#include "runtime/plan.h"
#include "supernet/engine_internal.h"
#include "supernet/loss.h"

enum { LOGITS_MAX = GOLDEN_IMAGES * GOLDEN_CLASSES };

struct fixture {
    struct space *space;
    struct supernet *net;
    struct engine *engine;
    struct arch arch;
    float *images;
    uint16_t labels[GOLDEN_IMAGES];
};

static void open_space(struct fixture *f, const char *json, bool training) {
    struct err err = {0};
    struct engine_limits limits = {GOLDEN_IMAGES, GOLDEN_SIDE, training, 0};
    memset(f, 0, sizeof *f);
    if (space_parse(json, strlen(json), &err, &f->space) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(supernet_create(f->space, 1, &err, &f->net), 0);
    golden_fill(f->net);
    if (engine_create(f->net, NULL, &limits, &err, &f->engine) < 0)
        fail_msg("%s", err.message);
    size_t pixels = (size_t)(GOLDEN_IMAGES * f->space->input_channels * GOLDEN_SIDE * GOLDEN_SIDE);
    f->images = malloc(pixels * sizeof(float));
    assert_non_null(f->images);
    golden_noise("images", pixels, f->images);
    for (int i = 0; i < GOLDEN_IMAGES; i++)
        f->labels[i] = (uint16_t)(i % f->space->n_classes);
    arch_max(f->space, &f->arch);
}

static void close_space(struct fixture *f) {
    engine_destroy(f->engine);
    supernet_destroy(f->net);
    space_destroy(f->space);
    free(f->images);
}

static struct engine_run run_of(const struct fixture *f, enum engine_mode mode, int n) {
    return (struct engine_run){.arch = &f->arch, .mode = mode, .images = f->images, .n = n};
}

static void must(int rc, const struct err *err) {
    if (rc < 0)
        fail_msg("%s", err->message);
}

static double largest_difference(const float *a, const float *b, size_t n) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference = fmax(difference, fabs((double)a[i] - b[i]));
        size = fmax(size, fabs(b[i]));
    }
    return difference / size;
}

#define STAGES_SMALL                                                                               \
    "\"stages\": [{\"depths\": [1, 2], \"channels\": [8, 16], \"kernel_sizes\": [3, 7],"           \
    "\"expand_ratios\": [2], \"stride\": 2, \"act\": \"h_swish\", \"se\": true},"                  \
    "{\"depths\": [1], \"channels\": [16], \"kernel_sizes\": [5], \"expand_ratios\": [1, 3],"      \
    "\"stride\": 1, \"act\": \"relu\", \"se\": false}]"
#define SPACE_HEAD                                                                                 \
    "{\"name\": \"small\", \"description\": \"\", \"input_channels\": 1, \"n_classes\": 3,"        \
    "\"resolutions\": [9, 12], \"stem\": {\"channels\": 8, \"kernel_size\": 3, \"stride\": 2,"     \
    "\"act\": \"h_swish\"},"

static const char plain_head[] = SPACE_HEAD STAGES_SMALL
    ", \"head\": {\"expand_channels\": 0, \"mix_channels\": 0, \"act\": \"h_swish\"}}";
static const char mix_head[] = SPACE_HEAD STAGES_SMALL
    ", \"head\": {\"expand_channels\": 24, \"mix_channels\": 16, \"act\": \"h_swish\"}}";
static const char conv_head[] = SPACE_HEAD STAGES_SMALL
    ", \"head\": {\"expand_channels\": 24, \"mix_channels\": 0, \"act\": \"h_swish\"}}";

static const char wide_stem[] =
    "{\"name\": \"stem\", \"description\": \"\", \"input_channels\": 6, \"n_classes\": 3,"
    "\"resolutions\": [12], \"stem\": {\"channels\": 16, \"kernel_size\": 5, \"stride\": 2,"
    "\"act\": \"relu\"}," STAGES_SMALL
    ", \"head\": {\"expand_channels\": 0, \"mix_channels\": 0, \"act\": \"h_swish\"}}";

/* Of a subnet's last stage the classifier reads as many columns as there are channels. */
static const char mixed_blocks[] = SPACE_HEAD
    "\"stages\": [{\"block\": \"conv\", \"depths\": [1, 2], \"channels\": [8], \"kernel_sizes\": "
    "[3, 5],"
    "\"stride\": 1, \"act\": \"relu\", \"residual\": true}, {\"block\": \"bottleneck\", "
    "\"depths\": [1, 2], \"channels\": [16, 24],"
    "\"kernel_sizes\": [3], \"expand_ratios\": [0.5, 1], \"stride\": 2, \"act\": \"relu\"}]"
    ", \"head\": {\"expand_channels\": 0, \"mix_channels\": 0, \"act\": \"h_swish\"}}";

/* ---- Gradients against differences ---- */

static double loss_of(struct fixture *f, const struct engine_run *run, float *d_logits) {
    struct err err = {0};
    float logits[LOGITS_MAX];
    must(engine_forward(f->engine, run, &err, logits), &err);
    return loss_cross_entropy(logits, f->labels, run->n, f->space->n_classes, 0.1f, run->n,
                              d_logits);
}

/* The learnt tensor i if it is `only` or only is NULL, else NULL. */
static struct tensor *chosen(struct supernet *net, int i, const char *only) {
    struct tensor *t = &net->tensors[i];
    return t->grad && (!only || strcmp(t->name, only) == 0) ? t : NULL;
}

static void move(struct supernet *net, const char *only, double by) {
    for (int i = 0; i < net->n_tensors; i++) {
        struct tensor *t = chosen(net, i, only);
        for (size_t k = 0; t && k < t->count; k++)
            t->data[k] += (float)(by * t->grad[k]);
    }
}

static double gradient_square(struct supernet *net, const char *only) {
    double square = 0;
    for (int i = 0; i < net->n_tensors; i++) {
        struct tensor *t = chosen(net, i, only);
        for (size_t k = 0; t && k < t->count; k++)
            square += (double)t->grad[k] * t->grad[k];
    }
    return square;
}

/* Along the gradient g itself, of one tensor or of all, the loss must rise by h |g|^2: catches
 * every sign, factor and missing term that matters. */
static void check_slope(struct fixture *f, const struct engine_run *run, const char *only) {
    struct err err = {0};
    float d_logits[LOGITS_MAX];
    supernet_zero_grad(f->net);
    loss_of(f, run, d_logits);
    must(engine_backward(f->engine, d_logits, &err), &err);
    double square = gradient_square(f->net, only), h = 2e-3 / sqrt(square);
    move(f->net, only, h);
    double up = loss_of(f, run, NULL);
    move(f->net, only, -2 * h);
    double down = loss_of(f, run, NULL);
    move(f->net, only, h);
    if (!(fabs((up - down) / (2 * h) / square - 1) < 0.01))
        fail_msg("%s: slope %g, gradient says %g", only ? only : "all", (up - down) / (2 * h),
                 square);
}

static void test_gradients_of_other_heads_and_stems(void **state) {
    const char *spaces[] = {plain_head, mix_head, conv_head, wide_stem, mixed_blocks};
    for (int i = 0; i < 5; i++) {
        struct fixture f;
        open_space(&f, spaces[i], true);
        struct engine_run run = run_of(&f, ENGINE_TRAIN, 11);
        check_slope(&f, &run, NULL);
        check_slope(&f, &run, "first_conv.conv.weight");
        run.drop_connect = 0.6f; /* images whose branch stays and others, in groups of both */
        check_slope(&f, &run, NULL);
        run.drop_connect = 0;
        check_slope(&f, &run, "classifier.linear.weight");
        arch_min(f.space, &f.arch);
        check_slope(&f, &run, NULL);
        run.dropout = 0.3f;
        check_slope(&f, &run, NULL);
        check_slope(&f, &run, "classifier.linear.weight");
        close_space(&f);
    }
}

/* ---- Statistics ---- */

static struct bn_stats *recalibrate(struct fixture *f, int first, int n, struct bn_stats *stats) {
    struct err err = {0};
    float logits[LOGITS_MAX];
    struct engine_run run = run_of(f, ENGINE_RECALIBRATE, n);
    if (!stats)
        must(bn_stats_create(f->space, &f->arch, &err, &stats), &err);
    run.images += (ptrdiff_t)first * f->space->input_channels * GOLDEN_SIDE * GOLDEN_SIDE;
    run.bn_stats = stats;
    must(engine_forward(f->engine, &run, &err, logits), &err);
    return stats;
}

static void test_recalibrated_on_its_batch_equals_training(void **state) {
    struct fixture f;
    struct err err = {0};
    float train[LOGITS_MAX], eval[LOGITS_MAX];
    open_space(&f, mix_head, true);
    struct engine_run run = run_of(&f, ENGINE_TRAIN, GOLDEN_IMAGES);
    must(engine_forward(f.engine, &run, &err, train), &err);
    struct bn_stats *stats = recalibrate(&f, 0, GOLDEN_IMAGES, NULL);
    assert_int_equal(stats->images, GOLDEN_IMAGES);
    run.mode = ENGINE_EVAL;
    run.bn_stats = stats;
    must(engine_forward(f.engine, &run, &err, eval), &err);
    assert_true(largest_difference(eval, train, GOLDEN_IMAGES * 3) < 1e-4);
    bn_stats_destroy(stats);
    close_space(&f);
}

static void test_recalibration_weighs_batches_by_images(void **state) {
    struct fixture f;
    open_space(&f, conv_head, false);
    struct bn_stats *a = recalibrate(&f, 0, 12, NULL), *b = recalibrate(&f, 12, 8, NULL);
    struct bn_stats *both = recalibrate(&f, 12, 8, recalibrate(&f, 0, 12, NULL));
    assert_int_equal(both->images, 20);
    for (int i = 0; i < both->n_layers; i++)
        for (int c = 0; c < both->channels[i]; c++) {
            double mean = 0.6 * a->mean[i][c] + 0.4 * b->mean[i][c];
            double variance = 0.6 * a->variance[i][c] + 0.4 * b->variance[i][c];
            assert_true(fabs(both->mean[i][c] - mean) < 1e-5 * (1 + fabs(mean)));
            assert_true(fabs(both->variance[i][c] - variance) < 1e-5 * (1 + variance));
        }
    bn_stats_destroy(a);
    bn_stats_destroy(b);
    bn_stats_destroy(both);
    close_space(&f);
}

static void test_evaluation_leaves_running_statistics_alone(void **state) {
    struct fixture f;
    struct err err = {0};
    float logits[LOGITS_MAX], before[8];
    open_space(&f, conv_head, true);
    struct tensor *mean = supernet_find(f.net, "first_conv.bn.running_mean");
    memcpy(before, mean->data, sizeof before);
    struct engine_run run = run_of(&f, ENGINE_EVAL, 4);
    must(engine_forward(f.engine, &run, &err, logits), &err);
    bn_stats_destroy(recalibrate(&f, 0, 8, NULL));
    run.mode = ENGINE_TRAIN;
    must(engine_forward(f.engine, &run, &err, logits), &err); /* momentum 0 */
    assert_memory_equal(before, mean->data, sizeof before);
    run.bn_momentum = 0.1f;
    must(engine_forward(f.engine, &run, &err, logits), &err);
    assert_memory_not_equal(before, mean->data, sizeof before);
    close_space(&f);
}

/* ---- Folding ---- */

static void check_plan(struct fixture *f, const struct bn_stats *stats) {
    struct err err = {0};
    struct graph *graph = NULL;
    struct plan_weights *weights = NULL;
    struct plan *plan = NULL;
    float eval[LOGITS_MAX], folded[LOGITS_MAX];
    struct plan_options options = {.batch = GOLDEN_IMAGES};
    struct engine_run run = run_of(f, ENGINE_EVAL, GOLDEN_IMAGES);
    run.bn_stats = (struct bn_stats *)stats;
    must(engine_forward(f->engine, &run, &err, eval), &err);
    must(graph_build(f->space, &f->arch, &err, &graph), &err);
    must(engine_fold(f->net, &f->arch, stats, &err, &weights), &err);
    must(plan_create(graph, weights, &options, &err, &plan), &err);
    assert_int_equal(plan_run(plan, f->images, GOLDEN_IMAGES, folded), 0);
    size_t n = (size_t)(GOLDEN_IMAGES * f->space->n_classes);
    assert_true(largest_difference(folded, eval, n) < 1e-4);
    plan_destroy(plan);
    plan_weights_destroy(weights);
    free(graph);
}

static void test_folded_plan_equals_evaluation(void **state) {
    const char *spaces[] = {plain_head, mix_head, conv_head, wide_stem, mixed_blocks};
    for (int i = 0; i < 5; i++) {
        struct fixture f;
        struct rng rng = rng_make(3, RNG_TEST, 0, 0);
        open_space(&f, spaces[i], false);
        for (int k = 0; k < 4; k++) {
            struct bn_stats *stats = recalibrate(&f, 0, GOLDEN_IMAGES, NULL);
            check_plan(&f, stats);
            check_plan(&f, NULL);
            bn_stats_destroy(stats);
            uint8_t resolution = f.arch.resolution;
            arch_random(f.space, &rng, &f.arch);
            f.arch.resolution = resolution;
        }
        close_space(&f);
    }
}

static void test_folding_refuses_other_statistics(void **state) {
    struct fixture f;
    struct err err = {0};
    struct plan_weights *weights = NULL;
    open_space(&f, conv_head, false);
    struct bn_stats *stats = recalibrate(&f, 0, 8, NULL);
    arch_min(f.space, &f.arch);
    assert_int_equal(engine_fold(f.net, &f.arch, stats, &err, &weights), ESP_EMISMATCH);
    assert_null(weights);
    bn_stats_destroy(stats);
    close_space(&f);
}

/* ---- Dropout, limits, memory ---- */

static void test_dropout_follows_seed_and_step(void **state) {
    struct fixture f;
    struct err err = {0};
    float logits[4][LOGITS_MAX];
    open_space(&f, conv_head, true);
    struct engine_run run = run_of(&f, ENGINE_TRAIN, 6);
    must(engine_forward(f.engine, &run, &err, logits[0]), &err);
    run.dropout = 0.5f;
    must(engine_forward(f.engine, &run, &err, logits[1]), &err);
    must(engine_forward(f.engine, &run, &err, logits[2]), &err);
    run.dropout_step = 1;
    must(engine_forward(f.engine, &run, &err, logits[3]), &err);
    assert_memory_equal(logits[1], logits[2], 18 * sizeof(float));
    assert_memory_not_equal(logits[0], logits[1], 18 * sizeof(float));
    assert_memory_not_equal(logits[1], logits[3], 18 * sizeof(float));
    close_space(&f);
}

/* Where a batch is cut changes nothing either: test_comm.c. */
static void test_drop_connect_follows_seed_step_and_image(void **state) {
    struct fixture f;
    struct err err = {0};
    float logits[5][LOGITS_MAX];
    open_space(&f, conv_head, true);
    struct engine_run run = run_of(&f, ENGINE_TRAIN, 16);
    must(engine_forward(f.engine, &run, &err, logits[0]), &err);
    run.drop_connect = 0.7f;
    for (int i = 1; i < 4; i++) {
        run.dropout_step = i == 3;
        must(engine_forward(f.engine, &run, &err, logits[i]), &err);
    }
    size_t bytes = (size_t)(16 * f.space->n_classes) * sizeof(float);
    assert_memory_equal(logits[1], logits[2], bytes);
    assert_memory_not_equal(logits[0], logits[1], bytes);
    assert_memory_not_equal(logits[1], logits[3], bytes);
    run.mode = ENGINE_EVAL;
    must(engine_forward(f.engine, &run, &err, logits[3]), &err);
    run.drop_connect = 0;
    must(engine_forward(f.engine, &run, &err, logits[4]), &err);
    assert_memory_equal(logits[3], logits[4], bytes);
    run.drop_connect = 1;
    assert_int_equal(engine_forward(f.engine, &run, &err, logits[4]), ESP_EINVAL);
    close_space(&f);
}

static void test_runs_beyond_the_limits_are_refused(void **state) {
    struct fixture f;
    struct err err = {0};
    float logits[LOGITS_MAX];
    open_space(&f, conv_head, false);
    struct engine_run run = run_of(&f, ENGINE_EVAL, GOLDEN_IMAGES + 1);
    assert_int_equal(engine_forward(f.engine, &run, &err, logits), ESP_ELIMIT);
    run.n = 0;
    assert_int_equal(engine_forward(f.engine, &run, &err, logits), ESP_ELIMIT);
    run.n = 4;
    run.mode = ENGINE_TRAIN;
    assert_int_equal(engine_forward(f.engine, &run, &err, logits), ESP_EINVAL);
    run.mode = ENGINE_RECALIBRATE;
    assert_int_equal(engine_forward(f.engine, &run, &err, logits), ESP_EINVAL);
    f.arch.depth[0] = 7;
    run.mode = ENGINE_EVAL;
    assert_int_equal(engine_forward(f.engine, &run, &err, logits), ESP_EINVAL);
    assert_int_equal(engine_backward(f.engine, logits, &err), ESP_EINVAL);
    close_space(&f);
}

static void test_statistics_of_another_subnet_are_refused(void **state) {
    struct fixture f;
    struct err err = {0};
    float logits[LOGITS_MAX];
    open_space(&f, conv_head, false);
    struct bn_stats *stats = recalibrate(&f, 0, 8, NULL);
    arch_min(f.space, &f.arch);
    struct engine_run run = run_of(&f, ENGINE_EVAL, 4);
    run.bn_stats = stats;
    assert_int_equal(engine_forward(f.engine, &run, &err, logits), ESP_EMISMATCH);
    arch_max(f.space, &f.arch);
    f.arch.channels[0] = 0; /* as many layers, other widths */
    assert_int_equal(engine_forward(f.engine, &run, &err, logits), ESP_EMISMATCH);
    bn_stats_destroy(stats);
    close_space(&f);
}

static size_t estimate(const struct fixture *f, int batch, bool training, int forward_batch) {
    struct engine_limits limits = {batch, GOLDEN_SIDE, training, forward_batch};
    return engine_memory_estimate(f->space, &limits, 1);
}

static void test_memory_is_what_was_estimated(void **state) {
    for (int training = 0; training < 2; training++) {
        struct fixture f;
        open_space(&f, mix_head, training);
        size_t bytes = estimate(&f, GOLDEN_IMAGES, training, 0);
        assert_int_equal(f.engine->storage_floats * sizeof(float), bytes);
        assert_true(estimate(&f, 2 * GOLDEN_IMAGES, training, 0) > bytes);
        close_space(&f);
    }
}

static void test_two_layouts_take_as_much_as_the_larger(void **state) {
    struct fixture f;
    open_space(&f, mix_head, false);
    size_t training = estimate(&f, 16, true, 0);
    assert_true(estimate(&f, 16, false, 0) < training);
    assert_int_equal(estimate(&f, 16, true, 16), training);
    assert_true(estimate(&f, 64, false, 0) > training);
    assert_int_equal(estimate(&f, 16, true, 64), estimate(&f, 64, false, 0));
    assert_true(estimate(&f, 16, true, 64) < estimate(&f, 64, true, 0));
    close_space(&f);
}

static size_t resident_bytes(void) {
    unsigned long whole, resident;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &whole, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Gigabytes take seconds to touch, during which nobody asks whether to stop. */
static void test_memory_is_touched_where_it_is_used(void **state) {
    struct fixture f;
    struct err err = {0};
    struct engine *large = NULL;
    struct engine_limits limits = {65536, GOLDEN_SIDE, true, 65536};
    open_space(&f, mix_head, false);
    size_t bytes = estimate(&f, 65536, true, 65536), before = resident_bytes();
    assert_true(bytes > (size_t)256 << 20);
    must(engine_create(f.net, NULL, &limits, &err, &large), &err);
    /* the address sanitizer keeps an eighth beside it */
    size_t beside = MEM_REDZONE > 0 ? bytes / 8 : 0;
    assert_true(resident_bytes() < before + beside + bytes / 8);
    engine_destroy(large);
    close_space(&f);
}

/* ---- Two layouts of one storage ---- */

enum { STEP_IMAGES = 11 };

/* An engine of both layouts, and on the same weights elsewhere one for each. */
struct pair {
    struct fixture shared, apart; /* apart.engine: training */
    struct engine *forward;
};

static void open_pair(struct pair *p, const char *json, int merged) {
    struct err err = {0};
    struct engine_limits both = {STEP_IMAGES, GOLDEN_SIDE, true, GOLDEN_IMAGES},
                         step = {STEP_IMAGES, GOLDEN_SIDE, true, 0},
                         forward = {GOLDEN_IMAGES, GOLDEN_SIDE, false, 0};
    struct fixture *fixtures[] = {&p->shared, &p->apart};
    const struct engine_limits *limits[] = {&both, &step};
    for (int i = 0; i < 2; i++) {
        open_space(fixtures[i], json, false);
        engine_destroy(fixtures[i]->engine);
        must(engine_create_merging(fixtures[i]->net, NULL, limits[i], merged, &err,
                                   &fixtures[i]->engine),
             &err);
    }
    must(engine_create_merging(p->apart.net, NULL, &forward, merged, &err, &p->forward), &err);
}

static void close_pair(struct pair *p) {
    engine_destroy(p->forward);
    close_space(&p->shared);
    close_space(&p->apart);
}

static void assert_same_nets(const struct pair *p) {
    const struct supernet *a = p->shared.net, *b = p->apart.net;
    for (int i = 0; i < a->n_tensors; i++) {
        size_t bytes = a->tensors[i].count * sizeof(float);
        assert_memory_equal(a->tensors[i].data, b->tensors[i].data, bytes);
        if (a->tensors[i].grad)
            assert_memory_equal(a->tensors[i].grad, b->tensors[i].grad, bytes);
    }
}

/* What any earlier run left: no number. Between runs. */
static void spoil(struct engine *engine) {
    size_t bytes = engine->storage_floats * sizeof(float);
    mem_unpoison(engine->storage, bytes);
    memset(engine->storage, 0xff, bytes);
    engine_carve(engine, engine->net->space, engine->net->map, parallel_threads(engine->pool),
                 engine->storage);
}

static void train_in(struct fixture *f) {
    struct err err = {0};
    float logits[LOGITS_MAX], d_logits[LOGITS_MAX];
    struct engine_run run = run_of(f, ENGINE_TRAIN, STEP_IMAGES);
    run.bn_momentum = 0.1f;
    run.dropout = 0.2f;
    run.drop_connect = 0.5f;
    must(engine_forward(f->engine, &run, &err, logits), &err);
    loss_cross_entropy(logits, f->labels, run.n, f->space->n_classes, 0.1f, run.n, d_logits);
    must(engine_backward(f->engine, d_logits, &err), &err);
}

static struct bn_stats *recalibrate_in(struct fixture *f, struct engine *engine, float *logits) {
    struct err err = {0};
    struct bn_stats *stats = NULL;
    struct engine_run run = run_of(f, ENGINE_RECALIBRATE, GOLDEN_IMAGES);
    must(bn_stats_create(f->space, &f->arch, &err, &stats), &err);
    run.bn_stats = stats;
    must(engine_forward(engine, &run, &err, NULL), &err);
    run.mode = ENGINE_EVAL;
    must(engine_forward(engine, &run, &err, logits), &err);
    return stats;
}

static void assert_same_recalibration(struct pair *p) {
    float shared[LOGITS_MAX], apart[LOGITS_MAX];
    struct bn_stats *a = recalibrate_in(&p->shared, p->shared.engine, shared);
    struct bn_stats *b = recalibrate_in(&p->apart, p->forward, apart);
    size_t logits = (size_t)(GOLDEN_IMAGES * p->shared.space->n_classes);
    assert_memory_equal(shared, apart, logits * sizeof(float));
    for (int i = 0; i < a->n_layers; i++) {
        size_t bytes = (size_t)a->channels[i] * sizeof(float);
        assert_memory_equal(a->mean[i], b->mean[i], bytes);
        assert_memory_equal(a->variance[i], b->variance[i], bytes);
    }
    bn_stats_destroy(a);
    bn_stats_destroy(b);
}

static void next_arch(struct pair *p, struct rng *rng) {
    uint8_t resolution = p->shared.arch.resolution;
    arch_random(p->shared.space, rng, &p->shared.arch);
    p->shared.arch.resolution = resolution;
    p->apart.arch = p->shared.arch;
}

static void test_layouts_in_turn_give_the_bits_of_engines_apart(void **state) {
    const char *spaces[] = {plain_head, mix_head, conv_head, wide_stem, mixed_blocks};
    const int merged[] = {0, ENGINE_MERGE_CHANNELS};
    for (int i = 0; i < 10; i++) {
        struct pair p;
        struct rng rng = rng_make(5, RNG_TEST, 0, 0);
        open_pair(&p, spaces[i / 2], merged[i % 2]);
        for (int k = 0; k < 5; k++, next_arch(&p, &rng)) {
            spoil(p.shared.engine);
            train_in(&p.shared);
            train_in(&p.apart);
            assert_same_nets(&p);
            spoil(p.shared.engine);
            assert_same_recalibration(&p);
        }
        close_pair(&p);
    }
}

static void test_each_kind_of_run_has_its_own_limit(void **state) {
    struct pair p;
    struct err err = {0};
    float logits[LOGITS_MAX] = {0};
    struct engine_limits bad = {8, GOLDEN_SIDE, false, 8};
    struct engine *none = NULL;
    open_pair(&p, conv_head, ENGINE_MERGE_CHANNELS);
    struct engine_run run = run_of(&p.shared, ENGINE_TRAIN, STEP_IMAGES + 1);
    assert_int_equal(engine_forward(p.shared.engine, &run, &err, logits), ESP_ELIMIT);
    run.mode = ENGINE_EVAL;
    must(engine_forward(p.shared.engine, &run, &err, logits), &err);
    run.n = GOLDEN_IMAGES + 1;
    assert_int_equal(engine_forward(p.shared.engine, &run, &err, logits), ESP_ELIMIT);
    run = run_of(&p.shared, ENGINE_TRAIN, STEP_IMAGES);
    must(engine_forward(p.shared.engine, &run, &err, logits), &err);
    run = run_of(&p.shared, ENGINE_EVAL, 1);
    must(engine_forward(p.shared.engine, &run, &err, logits), &err);
    assert_int_equal(engine_backward(p.shared.engine, logits, &err), ESP_EINVAL); /* overwritten */
    assert_int_equal(engine_create(p.shared.net, NULL, &bad, &err, &none), ESP_EINVAL);
    bad = (struct engine_limits){8, GOLDEN_SIDE, true, -1};
    assert_int_equal(engine_create(p.shared.net, NULL, &bad, &err, &none), ESP_EINVAL);
    assert_null(none);
    close_pair(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradients_of_other_heads_and_stems),
        cmocka_unit_test(test_recalibrated_on_its_batch_equals_training),
        cmocka_unit_test(test_recalibration_weighs_batches_by_images),
        cmocka_unit_test(test_evaluation_leaves_running_statistics_alone),
        cmocka_unit_test(test_folded_plan_equals_evaluation),
        cmocka_unit_test(test_folding_refuses_other_statistics),
        cmocka_unit_test(test_dropout_follows_seed_and_step),
        cmocka_unit_test(test_drop_connect_follows_seed_step_and_image),
        cmocka_unit_test(test_runs_beyond_the_limits_are_refused),
        cmocka_unit_test(test_statistics_of_another_subnet_are_refused),
        cmocka_unit_test(test_memory_is_what_was_estimated),
        cmocka_unit_test(test_two_layouts_take_as_much_as_the_larger),
        cmocka_unit_test(test_memory_is_touched_where_it_is_used),
        cmocka_unit_test(test_layouts_in_turn_give_the_bits_of_engines_apart),
        cmocka_unit_test(test_each_kind_of_run_has_its_own_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
