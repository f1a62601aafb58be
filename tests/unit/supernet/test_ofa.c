/* Once-for-all's MobileNetV3 against a double-precision PyTorch re-statement
 * (tests/golden/generate_ofa.py, which explains the records): names and shapes, logits of random
 * subnets, BN recalibration, channel sorting, and a training step. --scalar: some of it by the
 * scalar kernels. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cpu.h"
#include "golden.h"
#include "runtime/plan.h"
#include "supernet/channel_sort.h"
#include "supernet/engine.h"
#include "supernet/loss.h"

enum {
    CLASSES = 24,
    IMAGES = 2,
    SETTLE_IMAGES = 8,
    STEP_IMAGES = 4,
    STEP_SIDE = 128,
    RESOLUTION_MAX = 224,
    SUBNETS = 50,
    SUBNETS_W12 = 8,
    PRODUCTS = 16,
    TONES = 8
};

struct fixture {
    struct golden_file file;
    struct space *space;
    struct supernet *net;
    struct parallel *pool;
    struct engine *engine;
    float *images;
};

static void open_space(const char *name, int classes, struct space **ret_space) {
    struct err err = {0};
    struct space *space = NULL;
    assert_int_equal(space_builtin(name, &err, &space), 0);
    assert_int_equal(space_adapt(space, classes, 3, &err, ret_space), 0);
    space_destroy(space);
}

static void tensor_noise(const struct tensor *t, double offset, double scale) {
    uint32_t hash = golden_hash(t->name);
    for (size_t i = 0; i < t->count; i++)
        t->data[i] = (float)(offset + scale * (golden_word(hash, i) / 2147483648.0 - 1));
}

/* As `initial` of the generating script. */
static void fill_tensor(const struct tensor *t) {
    double half = strstr(t->name, "point_linear") ? 0.5 : 1;
    switch (t->kind) {
    case TENSOR_WEIGHT:
        tensor_noise(t, 0, sqrt(3.0 * t->dims[0] / (double)t->count));
        break;
    case TENSOR_TRANSFORM:
        tensor_noise(t, 0, 0.1);
        for (int i = 0; i < t->dims[0]; i++) {
            size_t at = (size_t)i * ((size_t)t->dims[0] + 1);
            double noise = golden_word(golden_hash(t->name), at) / 2147483648.0 - 1;
            t->data[at] = (float)(1 + 0.1 * noise);
        }
        break;
    case TENSOR_BN_SCALE:
        tensor_noise(t, half, half * 0.25);
        break;
    case TENSOR_BN_VARIANCE:
        tensor_noise(t, 1, 0.25);
        break;
    case TENSOR_BIAS:
    case TENSOR_BN_SHIFT:
    case TENSOR_BN_MEAN:
        tensor_noise(t, 0, 0.25);
        break;
    }
}

/* As `calm` of the generating script. */
static void calm_tensor(const struct tensor *t) {
    if (strstr(t->name, "point_linear"))
        return;
    for (size_t i = 0; t->kind == TENSOR_BN_SCALE && i < t->count; i++)
        t->data[i] = (float)(0.3 * t->data[i]);
    for (size_t i = 0; t->kind == TENSOR_BN_SHIFT && i < t->count; i++)
        t->data[i] = (float)(0.75 + t->data[i]);
}

static void open_net(struct fixture *f, const char *name, const struct engine_limits *limits) {
    struct err err = {0};
    memset(f, 0, sizeof *f);
    golden_file_open(name, &f->file);
    open_space(name, CLASSES, &f->space);
    assert_int_equal(supernet_create(f->space, 1, &err, &f->net), 0);
    for (int i = 0; i < f->net->n_tensors; i++)
        fill_tensor(&f->net->tensors[i]);
    assert_int_equal(parallel_create(2, &f->pool), 0);
    assert_int_equal(engine_create(f->net, f->pool, limits, &err, &f->engine), 0);
    f->images =
        calloc((size_t)SETTLE_IMAGES * 3 * RESOLUTION_MAX * RESOLUTION_MAX, sizeof *f->images);
    assert_non_null(f->images);
}

static void open_eval(struct fixture *f, const char *name) {
    struct engine_limits limits = {IMAGES, RESOLUTION_MAX, false};
    open_net(f, name, &limits);
}

static void close_net(struct fixture *f) {
    engine_destroy(f->engine);
    parallel_destroy(f->pool);
    supernet_destroy(f->net);
    space_destroy(f->space);
    golden_file_close(&f->file);
    free(f->images);
}

/* Noise and 8 x 8 tones of three times its strength. */
static void fill_images(struct fixture *f, const char *name, int n, int side) {
    char key[64];
    snprintf(key, sizeof key, "%s %d", name, side);
    uint32_t noise = golden_hash(key);
    snprintf(key, sizeof key, "%s tones %d", name, side);
    uint32_t tones = golden_hash(key);
    float *out = f->images;
    for (int plane = 0; plane < 3 * n; plane++)
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++) {
                size_t i = (size_t)(out - f->images);
                int tone = (plane * TONES + y * TONES / side) * TONES + x * TONES / side;
                double at = 0.5 * (golden_word(noise, i) / 2147483648.0 - 1) +
                            1.5 * (golden_word(tones, (size_t)tone) / 2147483648.0 - 1);
                *out++ = (float)at;
            }
}

static int read_arch(const struct fixture *f, const char *what, int number, struct arch *ret_arch) {
    const char *text = NULL;
    size_t len = 0;
    char again[ARCH_TEXT_MAX];
    struct err err = {0};
    if (!golden_file_line(&f->file, what, number, &text, &len))
        fail_msg("no %s %d", what, number);
    if (arch_parse(f->space, text, len, &err, ret_arch) != 0)
        fail_msg("%.*s: %s", (int)len, text, err.message);
    arch_format(f->space, ret_arch, again);
    assert_int_equal(strlen(again), len);
    assert_memory_equal(again, text, len);
    return f->space->resolutions[ret_arch->resolution];
}

static const float *find(const struct fixture *f, const char *what, int number, const char *name,
                         size_t count) {
    size_t n = 0;
    const float *values = golden_file_find(&f->file, what, number, name, &n);
    if (!values)
        fail_msg("no %s %d %s", what, number, name);
    assert_int_equal(n, count);
    return values;
}

/* Largest difference over largest value. */
static double distance(const float *got, const float *want, int n) {
    double difference = 0, size = 0;
    for (int i = 0; i < n; i++) {
        difference = fmax(difference, fabs((double)got[i] - want[i]));
        size = fmax(size, fabs((double)want[i]));
    }
    return difference / size;
}

/* For the record, of all comparisons so far. */
static double worst_logits, worst_loss;

static void check_logits(const struct fixture *f, const char *what, int number, const float *got,
                         int n) {
    double off = distance(got, find(f, what, number, "logits", (size_t)n * CLASSES), n * CLASSES);
    worst_logits = fmax(worst_logits, off);
    if (!(off <= 1e-4))
        fail_msg("%s %d: logits are off by %g", what, number, off);
}

static void forward(struct fixture *f, const struct engine_run *run, float *ret_logits) {
    struct err err = {0};
    if (engine_forward(f->engine, run, &err, ret_logits) != 0)
        fail_msg("%s", err.message);
}

/* ---- Names ---- */

static int count_names(const char *text) {
    int n = 0;
    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

static void check_shape(const struct tensor *t, const char *line) {
    int used = (int)strlen(t->name), step = 0, dim = 0;
    for (int i = 0; i < t->n_dims; i++, used += step) {
        if (sscanf(line + used, "%d%n", &dim, &step) != 1 || dim != t->dims[i])
            fail_msg("%s has another shape", t->name);
    }
    assert_int_equal(line[used], '\n');
}

/* Every tensor of a checkpoint is ours in that shape, but for the 64 counters of batches. */
static void check_names(const char *name) {
    struct space *space = NULL;
    struct supernet *net = NULL;
    struct err err = {0};
    char path[64], tensor[128];
    size_t len = 0;
    int counters = 0, found = 0;
    open_space(name, 1000, &space);
    assert_int_equal(supernet_create(space, 1, &err, &net), 0);
    snprintf(path, sizeof path, "%s.names", name);
    char *text = golden_read(path, &len);
    assert_int_equal(count_names(text), 475);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        assert_int_equal(sscanf(line, "%127s", tensor), 1);
        const struct tensor *t = supernet_find(net, tensor);
        if (t)
            check_shape(t, line);
        else
            assert_non_null(strstr(tensor, ".num_batches_tracked"));
        found += t != NULL;
        counters += t == NULL;
    }
    assert_int_equal(found, net->n_tensors);
    assert_int_equal(counters, 64);
    free(text);
    supernet_destroy(net);
    space_destroy(space);
}

static void test_names_and_shapes(void **state) {
    check_names("ofa_mbv3");
    check_names("ofa_mbv3_w12");
}

/* ---- Logits ---- */

static void run_plan(struct fixture *f, const struct arch *arch, const struct bn_stats *stats,
                     float *ret_logits) {
    struct graph *graph = NULL;
    struct plan_weights *weights = NULL;
    struct plan *plan = NULL;
    struct err err = {0};
    struct plan_options options = {.pool = f->pool, .batch = IMAGES};
    assert_int_equal(graph_build(f->space, arch, &err, &graph), 0);
    assert_int_equal(engine_fold(f->net, arch, stats, &err, &weights), 0);
    assert_int_equal(plan_create(graph, weights, &options, &err, &plan), 0);
    assert_int_equal(plan_run(plan, f->images, IMAGES, ret_logits), 0);
    plan_destroy(plan);
    plan_weights_destroy(weights);
    free(graph);
}

/* By the engine, and by the runtime on folded weights. */
static void check_eval(struct fixture *f, const char *what, int number, struct bn_stats *stats) {
    struct arch arch;
    float logits[IMAGES * CLASSES];
    fill_images(f, "eval", IMAGES, read_arch(f, "arch", number, &arch));
    struct engine_run run = {
        .arch = &arch, .mode = ENGINE_EVAL, .images = f->images, .n = IMAGES, .bn_stats = stats};
    forward(f, &run, logits);
    check_logits(f, what, number, logits, IMAGES);
    run_plan(f, &arch, stats, logits);
    check_logits(f, what, number, logits, IMAGES);
}

/* BN statistics out of a batch of two images and one of one, weighted by images. */
static void check_recalibrated(struct fixture *f, int number) {
    struct arch arch;
    struct bn_stats *stats = NULL;
    struct err err = {0};
    float logits[IMAGES * CLASSES];
    int side = read_arch(f, "arch", number, &arch);
    assert_int_equal(bn_stats_create(f->space, &arch, &err, &stats), 0);
    struct engine_run run = {
        .arch = &arch, .mode = ENGINE_RECALIBRATE, .images = f->images, .n = 2, .bn_stats = stats};
    fill_images(f, "train", 3, side);
    forward(f, &run, logits);
    run.images += 2 * 3 * side * side;
    run.n = 1;
    forward(f, &run, logits);
    check_eval(f, "recal", number, stats);
    bn_stats_destroy(stats);
}

static void check_subnets(const char *name, int subnets) {
    struct fixture f;
    open_eval(&f, name);
    for (int i = 0; i < subnets; i++)
        check_recalibrated(&f, i);
    close_net(&f);
}

static void test_logits_of_subnets(void **state) {
    check_subnets("ofa_mbv3", SUBNETS);
    check_subnets("ofa_mbv3_w12", SUBNETS_W12);
    print_message("# logits off by %.2g of the largest at most\n", worst_logits);
}

static void test_logits_of_subnets_scalar(void **state) {
    cpu_set_mask(0);
    check_subnets("ofa_mbv3", SUBNETS);
    cpu_set_mask(UINT32_MAX);
}

/* The images must matter, or equal logits would say little. */
static void test_images_differ(void **state) {
    struct golden_file file;
    golden_file_open("ofa_mbv3", &file);
    for (int i = 0; i < SUBNETS; i++) {
        size_t n = 0;
        const float *logits = golden_file_find(&file, "recal", i, "logits", &n);
        assert_non_null(logits);
        assert_true(distance(logits, logits + CLASSES, CLASSES) > 0.05);
    }
    golden_file_close(&file);
}

/* Running statistics become those of 8 images in the largest subnet. */
static void open_settled(struct fixture *f, const char *name) {
    struct engine_limits train = {SETTLE_IMAGES, STEP_SIDE, true},
                         eval = {IMAGES, RESOLUTION_MAX, false};
    struct err err = {0};
    struct arch arch;
    float logits[SETTLE_IMAGES * CLASSES];
    open_net(f, name, &train);
    arch_max(f->space, &arch);
    arch.resolution = 0;
    struct engine_run run = {.arch = &arch,
                             .mode = ENGINE_TRAIN,
                             .images = f->images,
                             .n = SETTLE_IMAGES,
                             .bn_momentum = 1};
    assert_int_equal(f->space->resolutions[0], STEP_SIDE);
    fill_images(f, "train", SETTLE_IMAGES, STEP_SIDE);
    forward(f, &run, logits);
    engine_destroy(f->engine);
    f->engine = NULL;
    assert_int_equal(engine_create(f->net, f->pool, &eval, &err, &f->engine), 0);
}

static void test_logits_by_running_statistics(void **state) {
    for (int w = 0; w < 2; w++) {
        struct fixture f;
        open_settled(&f, w ? "ofa_mbv3_w12" : "ofa_mbv3");
        for (int i = 0; i < 3; i++)
            check_eval(&f, "eval", i, NULL);
        close_net(&f);
    }
}

/* As once-for-all sorts when entering its expand phases: 1 and 2 of the ratios are trained. */
static void test_channel_sorting(void **state) {
    for (int trained = 1; trained <= 2; trained++) {
        struct channel_sort_options options = {trained, true};
        struct fixture f;
        struct err err = {0};
        char what[16];
        snprintf(what, sizeof what, "sort%d", trained - 1);
        open_settled(&f, "ofa_mbv3");
        assert_int_equal(channel_sort(f.net, &options, &err), 0);
        for (int i = 1; i <= 2; i++)
            check_eval(&f, what, i, NULL);
        close_net(&f);
    }
}

/* ---- A training step ---- */

/* Sum of +-values by each of the first bits of the words "signs of NAME". */
static void multiply(const struct tensor *t, const float *values, double ret_products[PRODUCTS]) {
    char key[160];
    snprintf(key, sizeof key, "signs of %s", t->name);
    uint32_t hash = golden_hash(key);
    memset(ret_products, 0, PRODUCTS * sizeof *ret_products);
    for (size_t i = 0; i < t->count; i++) {
        uint32_t word = golden_word(hash, i);
        for (int k = 0; k < PRODUCTS; k++)
            ret_products[k] += word >> k & 1 ? -(double)values[i] : (double)values[i];
    }
}

/* Estimated norm of the difference from what is recorded. */
static double difference(const struct tensor *t, const float *values, const float *products) {
    double ours[PRODUCTS], sum = 0;
    multiply(t, values, ours);
    for (int k = 0; k < PRODUCTS; k++)
        sum += (ours[k] - products[k]) * (ours[k] - products[k]);
    return sqrt(sum / PRODUCTS);
}

struct worst {
    double relative, ratio; /* to the norm, to PyTorch's float32 */
};

/* Relative error of at most 1e-3, and at most 4 times that of PyTorch's float32. What a following
 * BN takes away again has a gradient of 0: there only rounding is left and only the second rule
 * holds. Where float32 itself strays by more than a quarter of 1e-3 (a ReLU's input near 0 that
 * changes sign) the first rule cannot hold. Numbers are recorded in float32: less than they resolve
 * is equal. */
static void check_gradient(const struct fixture *f, int number, const struct tensor *t,
                           struct worst *worst) {
    size_t n = 0;
    const float *want = golden_file_find(&f->file, "grad", number, t->name, &n);
    if (!want) {
        for (size_t i = 0; i < t->count; i++)
            assert_true(t->grad[i] == 0);
        return;
    }
    assert_int_equal(n, 2 + PRODUCTS);
    double off = difference(t, t->grad, want + 2), norm = want[0], single = want[1];
    double resolved = 1e-7 * norm;
    /* The scalar row adds in one long chain, so that other inputs near 0 change sign than those of
     * PyTorch's float32: it is held to a wider limit of its own. */
    double limit = cpu_flags() == 0 ? 1e-2 : 1e-3;
    if (norm > 1e-9 && single <= 2.5e-4 * norm && !(off <= limit * norm))
        fail_msg("step %d: gradient of %s is off by %g of %g", number, t->name, off, norm);
    if (cpu_flags() != 0 && !(off <= 4 * single + resolved))
        fail_msg("step %d: gradient of %s is off by %g of %g, PyTorch's float32 by %g", number,
                 t->name, off, norm, single);
    if (norm > 1e-9)
        worst->relative = fmax(worst->relative, off / norm);
    worst->ratio = fmax(worst->ratio, off / (single + resolved));
}

static double backward(struct fixture *f, int number, const float *logits, const float *teacher) {
    float d_logits[STEP_IMAGES * CLASSES];
    uint16_t labels[STEP_IMAGES];
    struct err err = {0};
    for (int i = 0; i < STEP_IMAGES; i++)
        labels[i] = (uint16_t)(5 * i % CLASSES);
    double loss =
        number == 0
            ? loss_cross_entropy(logits, labels, STEP_IMAGES, CLASSES, 0.1f, STEP_IMAGES, d_logits)
            : loss_distill(logits, teacher, STEP_IMAGES, CLASSES,
                           &(struct loss_soft){.temperature = 1, .scale = 1}, d_logits);
    supernet_zero_grad(f->net);
    assert_int_equal(engine_backward(f->engine, d_logits, &err), 0);
    return loss;
}

static void check_step_of(struct fixture *f, int number, float *teacher, struct worst *worst) {
    struct arch arch;
    float logits[STEP_IMAGES * CLASSES];
    fill_images(f, "step", STEP_IMAGES, read_arch(f, "step", number, &arch));
    struct engine_run run = {.arch = &arch,
                             .mode = ENGINE_TRAIN,
                             .images = f->images,
                             .n = STEP_IMAGES,
                             .bn_momentum = 0.1f};
    forward(f, &run, logits);
    check_logits(f, "train", number, logits, STEP_IMAGES);
    if (number == 0)
        memcpy(teacher, logits, sizeof logits);
    double loss = backward(f, number, logits, teacher);
    double want = *find(f, "loss", number, "loss", 1);
    worst_loss = fmax(worst_loss, fabs(loss - want) / fabs(want));
    if (!(fabs(loss - want) <= 1e-5 * fabs(want)))
        fail_msg("step %d: the loss is %.9g, not %.9g", number, loss, want);
    for (int i = 0; i < f->net->n_tensors; i++)
        if (f->net->tensors[i].grad)
            check_gradient(f, number, &f->net->tensors[i], worst);
}

static void check_running(const struct fixture *f) {
    for (int i = 0; i < f->net->n_tensors; i++) {
        const struct tensor *t = &f->net->tensors[i];
        if (t->grad)
            continue;
        const float *want = find(f, "running", 0, t->name, 2 + PRODUCTS);
        double off = difference(t, t->data, want + 2);
        if (!(off <= 1e-5 * want[0]))
            fail_msg("%s is off by %g of %g", t->name, off, want[0]);
    }
}

static void check_step(const char *name, int subnets) {
    struct engine_limits limits = {STEP_IMAGES, STEP_SIDE, true};
    struct fixture f;
    struct worst worst = {0};
    float teacher[STEP_IMAGES * CLASSES];
    open_net(&f, name, &limits);
    for (int i = 0; i < f.net->n_tensors; i++)
        calm_tensor(&f.net->tensors[i]);
    for (int i = 0; i < subnets; i++)
        check_step_of(&f, i, teacher, &worst);
    check_running(&f);
    print_message(
        "# %s: gradients off by %.2g of their norm at most, %.2g times PyTorch's float32\n", name,
        worst.relative, worst.ratio);
    close_net(&f);
}

static void test_step(void **state) {
    check_step("ofa_mbv3", 4);
    check_step("ofa_mbv3_w12", 2);
    print_message("# losses off by %.2g of themselves at most\n", worst_loss);
}

static void test_step_scalar(void **state) {
    cpu_set_mask(0);
    check_step("ofa_mbv3", 4);
    cpu_set_mask(UINT32_MAX);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_shapes),
        cmocka_unit_test(test_images_differ),
        cmocka_unit_test(test_logits_of_subnets),
        cmocka_unit_test(test_logits_by_running_statistics),
        cmocka_unit_test(test_channel_sorting),
        cmocka_unit_test(test_step),
    };
    const struct CMUnitTest scalar_tests[] = {
        cmocka_unit_test(test_logits_of_subnets_scalar),
        cmocka_unit_test(test_step_scalar),
    };
    if (argc == 2 && strcmp(argv[1], "--scalar") == 0)
        return cmocka_run_group_tests(scalar_tests, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
