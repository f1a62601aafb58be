/* The engine against a double-precision PyTorch re-statement (tests/golden/), and against itself.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "golden.h"
#include "runtime/plan.h"
#include "supernet/engine_internal.h"
#include "supernet/loss.h"

enum { LOGITS = GOLDEN_IMAGES * GOLDEN_CLASSES };

struct fixture {
    struct golden golden;
    struct supernet *net;
    struct parallel *pool;
    struct engine *engine;
    float teacher[LOGITS];
};

static void open_merging(struct fixture *f, const char *name, int threads, bool training,
                         int merge_channels_max) {
    struct err err = {0};
    struct engine_limits limits = {GOLDEN_IMAGES, GOLDEN_SIDE, training};
    memset(f, 0, sizeof *f);
    golden_open(&f->golden, name);
    assert_int_equal(supernet_create(f->golden.space, 1, &err, &f->net), 0);
    golden_fill(f->net);
    assert_int_equal(parallel_create(threads, &f->pool), 0);
    assert_int_equal(
        engine_create_merging(f->net, f->pool, &limits, merge_channels_max, &err, &f->engine), 0);
}

static void open_engine(struct fixture *f, const char *name, int threads, bool training) {
    open_merging(f, name, threads, training, ENGINE_MERGE_CHANNELS);
}

static void close_engine(struct fixture *f) {
    engine_destroy(f->engine);
    parallel_destroy(f->pool);
    supernet_destroy(f->net);
    golden_close(&f->golden);
}

static void forward(struct fixture *f, int subnet, enum engine_mode mode, float *ret_logits) {
    struct err err = {0};
    struct engine_run run = {.arch = &f->golden.archs[subnet],
                             .mode = mode,
                             .images = f->golden.images,
                             .n = GOLDEN_IMAGES,
                             .bn_momentum = 0.1f};
    if (engine_forward(f->engine, &run, &err, ret_logits) < 0)
        fail_msg("%s", err.message);
}

/* Forward, loss and backward of one subnet of the sandwich; gradients start from zero. */
static double train(struct fixture *f, int subnet, float *ret_logits) {
    float d_logits[LOGITS];
    struct err err = {0};
    double loss;
    supernet_zero_grad(f->net);
    forward(f, subnet, ENGINE_TRAIN, ret_logits);
    if (subnet == 0) {
        memcpy(f->teacher, ret_logits, sizeof f->teacher);
        loss = loss_cross_entropy(ret_logits, f->golden.labels, GOLDEN_IMAGES, GOLDEN_CLASSES, 0.1f,
                                  GOLDEN_IMAGES, d_logits);
    } else {
        loss = loss_distill(ret_logits, f->teacher, GOLDEN_IMAGES, GOLDEN_CLASSES,
                            &(struct loss_soft){.temperature = 1, .scale = 1}, d_logits);
    }
    assert_int_equal(engine_backward(f->engine, d_logits, &err), 0);
    return loss;
}

static void check_close(const char *what, const char *name, const float *got, const float *want,
                        size_t n, double tolerance) {
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference = fmax(difference, fabs((double)got[i] - want[i]));
        size = fmax(size, fabs(want[i]));
    }
    if (!(difference <= tolerance * size))
        fail_msg("%s %s: off by %g of %g", what, name, difference, size);
}

/* Where PyTorch has exactly 0, the subnet does not reach: we must not have touched it. */
static void check_untouched(const struct tensor *t, const float *want) {
    for (size_t i = 0; i < t->count; i++)
        if ((!want || want[i] == 0) && t->grad[i] != 0)
            fail_msg("gradient of %s[%zu] is outside the subnet", t->name, i);
}

static void check_gradient(const struct golden *golden, int subnet, const struct tensor *t) {
    size_t n = 0;
    double difference = 0, size = 0;
    const float *want = golden_find(golden, "grad", subnet, t->name, &n);
    for (size_t i = 0; i < t->count; i++) {
        double w = want ? want[i] : 0;
        difference += (t->grad[i] - w) * (t->grad[i] - w);
        size += w * w;
    }
    if (want)
        assert_int_equal(n, t->count);
    /* what a following BN takes away again has a gradient of 0: there only rounding is left */
    bool cancels = want && sqrt(size) < 1e-9;
    if (!cancels)
        check_untouched(t, want);
    if (!(sqrt(difference) <= (cancels ? 1e-6 : 1e-3 * sqrt(size))))
        fail_msg("subnet %d: gradient of %s off by %g of %g", subnet, t->name, sqrt(difference),
                 sqrt(size));
}

static const float *want(struct fixture *f, const char *what, int subnet, const char *name) {
    size_t n;
    const float *values = golden_find(&f->golden, what, subnet, name, &n);
    assert_non_null(values);
    return values;
}

static void check_step(struct fixture *f) {
    float logits[LOGITS];
    for (int i = 0; i < GOLDEN_SUBNETS; i++) {
        double loss = train(f, i, logits);
        double golden_loss = *want(f, "loss", i, "loss");
        check_close("train", "logits", logits, want(f, "train", i, "logits"), LOGITS, 1e-4);
        assert_true(fabs(loss - golden_loss) <= 1e-5 * fabs(golden_loss));
        for (int t = 0; t < f->net->n_tensors; t++)
            if (f->net->tensors[t].grad)
                check_gradient(&f->golden, i, &f->net->tensors[t]);
    }
    for (int t = 0; t < f->net->n_tensors; t++) {
        const struct tensor *stat = &f->net->tensors[t];
        if (!stat->grad)
            check_close("running", stat->name, stat->data, want(f, "running", 0, stat->name),
                        stat->count, 1e-4);
    }
}

/* Inverted residual blocks; every kind of block. */
static const char *const goldens[] = {"step", "mixed"};
enum { GOLDENS = 2 };

static void test_step_equals_pytorch(void **state) {
    for (int g = 0; g < GOLDENS; g++) {
        struct fixture f;
        open_engine(&f, goldens[g], 2, true);
        check_step(&f);
        close_engine(&f);
    }
}

/* Expand's gradients by a pass of their own, as layers of many channels take them. */
static void test_step_without_merging_equals_pytorch(void **state) {
    struct fixture f;
    open_merging(&f, "step", 2, true, 0);
    check_step(&f);
    close_engine(&f);
}

/* The largest with drop-connect: both sides draw by (seed, step, image, block). */
static void check_drop_connect(struct fixture *f) {
    float logits[LOGITS], d_logits[LOGITS];
    struct err err = {0};
    struct engine_run run = {.arch = &f->golden.archs[0],
                             .mode = ENGINE_TRAIN,
                             .images = f->golden.images,
                             .n = GOLDEN_IMAGES,
                             .drop_connect = 0.8f,
                             .dropout_seed = 7,
                             .dropout_step = 3};
    supernet_zero_grad(f->net);
    assert_int_equal(engine_forward(f->engine, &run, &err, logits), 0);
    double loss = loss_cross_entropy(logits, f->golden.labels, GOLDEN_IMAGES, GOLDEN_CLASSES, 0.1f,
                                     GOLDEN_IMAGES, d_logits);
    double golden_loss = *want(f, "loss", GOLDEN_SUBNETS, "loss");
    assert_int_equal(engine_backward(f->engine, d_logits, &err), 0);
    check_close("drop", "logits", logits, want(f, "train", GOLDEN_SUBNETS, "logits"), LOGITS, 1e-4);
    assert_true(fabs(loss - golden_loss) <= 1e-5 * fabs(golden_loss));
    for (int t = 0; t < f->net->n_tensors; t++)
        if (f->net->tensors[t].grad)
            check_gradient(&f->golden, GOLDEN_SUBNETS, &f->net->tensors[t]);
}

static void test_drop_connect_equals_pytorch(void **state) {
    for (int i = 0; i < 3 * GOLDENS; i++) {
        struct fixture f;
        bool scalar = i / GOLDENS == 2;
        cpu_set_mask(scalar ? 0 : UINT32_MAX);
        open_merging(&f, goldens[i % GOLDENS], 2, true,
                     i / GOLDENS == 1 ? 0 : ENGINE_MERGE_CHANNELS);
        cpu_set_mask(UINT32_MAX);
        check_drop_connect(&f);
        close_engine(&f);
    }
}

static void test_step_equals_pytorch_scalar(void **state) {
    for (int g = 0; g < GOLDENS; g++) {
        struct fixture f;
        cpu_set_mask(0);
        open_engine(&f, goldens[g], 1, true);
        cpu_set_mask(UINT32_MAX);
        check_step(&f);
        close_engine(&f);
    }
}

static void test_evaluation_equals_pytorch(void **state) {
    for (int i = 0; i < 2 * GOLDENS; i++) {
        struct fixture f;
        float logits[LOGITS];
        open_engine(&f, goldens[i / 2], 1, i % 2);
        for (int s = 0; s < GOLDEN_SUBNETS; s++) {
            forward(&f, s, ENGINE_EVAL, logits);
            check_close("eval", "logits", logits, want(&f, "eval", s, "logits"), LOGITS, 1e-4);
        }
        close_engine(&f);
    }
}

/* The runtime on folded weights. */
static void run_folded(struct fixture *f, int subnet, float *ret_logits) {
    struct err err = {0};
    struct graph *graph = NULL;
    struct plan_weights *weights = NULL;
    struct plan *plan = NULL;
    const struct plan_options options = {.batch = GOLDEN_IMAGES};
    const struct arch *arch = &f->golden.archs[subnet];
    assert_int_equal(graph_build(f->golden.space, arch, &err, &graph), 0);
    assert_int_equal(engine_fold(f->net, arch, NULL, &err, &weights), 0);
    if (plan_create(graph, weights, &options, &err, &plan) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(plan_run(plan, f->golden.images, GOLDEN_IMAGES, ret_logits), 0);
    plan_destroy(plan);
    plan_weights_destroy(weights);
    free(graph);
}

static void test_runtime_equals_pytorch(void **state) {
    for (int g = 0; g < GOLDENS; g++) {
        struct fixture f;
        float logits[LOGITS];
        open_engine(&f, goldens[g], 1, false);
        for (int s = 0; s < GOLDEN_SUBNETS; s++) {
            run_folded(&f, s, logits);
            check_close("folded", "logits", logits, want(&f, "eval", s, "logits"), LOGITS, 1e-4);
        }
        close_engine(&f);
    }
}

/* All gradients and statistics after a whole step, as one array. */
static float *step_bits(const char *name, int threads, size_t *ret_count) {
    struct fixture f;
    float logits[LOGITS], *bits = NULL;
    size_t n = 0;
    open_engine(&f, name, threads, true);
    for (int i = 0; i < GOLDEN_SUBNETS; i++) {
        train(&f, i, logits);
        for (int t = 0; t < f.net->n_tensors; t++) {
            const struct tensor *tensor = &f.net->tensors[t];
            bits = realloc(bits, (n + tensor->count) * sizeof *bits);
            assert_non_null(bits);
            memcpy(bits + n, tensor->grad ? tensor->grad : tensor->data,
                   tensor->count * sizeof *bits);
            n += tensor->count;
        }
    }
    close_engine(&f);
    *ret_count = n;
    return bits;
}

static void check_threads(const char *name) {
    size_t n = 0, m = 0;
    float *one = step_bits(name, 1, &n);
    for (int threads = 2; threads <= 3; threads++) {
        float *more = step_bits(name, threads, &m);
        assert_int_equal(n, m);
        assert_memory_equal(one, more, n * sizeof *one);
        free(more);
    }
    free(one);
}

static void test_threads_give_the_same_bits(void **state) {
    for (int g = 0; g < GOLDENS; g++)
        check_threads(goldens[g]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_equals_pytorch),
        cmocka_unit_test(test_step_without_merging_equals_pytorch),
        cmocka_unit_test(test_step_equals_pytorch_scalar),
        cmocka_unit_test(test_drop_connect_equals_pytorch),
        cmocka_unit_test(test_evaluation_equals_pytorch),
        cmocka_unit_test(test_runtime_equals_pytorch),
        cmocka_unit_test(test_threads_give_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
