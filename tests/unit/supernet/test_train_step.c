/* One step of a training beside the same, put together here from the engine and the losses. */
#include "supernet/train_step.h"

#include "fixture.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { N = 20, CLASSES = 5, SIDE = 12, RESOLUTION = 1, NUMBER = 7, SEED = 3 };

/* Two supernets of the same weights: a takes the step, b what the test puts together. */
struct pair {
    struct space *space;
    struct supernet *a, *b;
    struct engine *engine_a, *engine_b;
    float images[N * SIDE * SIDE];
    uint16_t labels[N];
};

static struct engine *make_engine(struct supernet *net) {
    struct engine_limits limits = {.batch = N, .resolution = SIDE, .training = true};
    struct engine *engine = NULL;
    struct err err = {0};
    assert_int_equal(engine_create(net, NULL, &limits, &err, &engine), 0);
    return engine;
}

static int setup(void **state) {
    struct pair *pair = calloc(1, sizeof *pair);
    struct rng rng = rng_make(1, RNG_TEST, 0, 0);
    struct err err = {0};
    for (int i = 0; i < N * SIDE * SIDE; i++)
        pair->images[i] = (float)rng_normal(&rng);
    for (int i = 0; i < N; i++)
        pair->labels[i] = (uint16_t)(i % CLASSES);
    pair->space = fixture_space(CLASSES);
    assert_int_equal(supernet_create(pair->space, 1, &err, &pair->a), 0);
    assert_int_equal(supernet_create(pair->space, 1, &err, &pair->b), 0);
    pair->engine_a = make_engine(pair->a);
    pair->engine_b = make_engine(pair->b);
    *state = pair;
    return 0;
}

static int teardown(void **state) {
    struct pair *pair = *state;
    engine_destroy(pair->engine_a);
    engine_destroy(pair->engine_b);
    supernet_destroy(pair->a);
    supernet_destroy(pair->b);
    space_destroy(pair->space);
    free(pair);
    return 0;
}

static struct train_step_losses take_step(struct pair *pair, const struct regime_phase *phase,
                                          const struct train_step_settings *settings) {
    struct loader_batch batch = {
        .n = N, .resolution = RESOLUTION, .images = pair->images, .labels = pair->labels};
    struct train_step_losses losses;
    struct train_step *step = NULL;
    struct err err = {0};
    assert_int_equal(train_step_create(pair->engine_a, pair->a, N, settings, &err, &step), 0);
    assert_int_equal(train_step_run(step, phase, &batch, NUMBER, &err, &losses), 0);
    train_step_destroy(step);
    return losses;
}

static void forward(const struct pair *pair, struct engine *engine, const struct arch *arch,
                    float *ret_logits) {
    struct engine_run run = {.arch = arch, .mode = ENGINE_TRAIN, .images = pair->images, .n = N};
    struct err err = {0};
    assert_int_equal(engine_forward(engine, &run, &err, ret_logits), 0);
}

static void backward(const struct pair *pair, const float *d_logits) {
    struct err err = {0};
    assert_int_equal(engine_backward(pair->engine_b, d_logits, &err), 0);
}

static double on_labels(const struct pair *pair, const float *logits, float *ret_d_logits) {
    return loss_cross_entropy(logits, pair->labels, N, CLASSES, 0.1f, N, ret_d_logits);
}

static void drawn(const struct pair *pair, const struct regime_phase *phase, uint32_t i,
                  struct arch *ret_arch) {
    struct rng own = rng_make(SEED, RNG_SUBNET, NUMBER, i);
    regime_sample(pair->space, phase, &own, RESOLUTION, ret_arch);
}

/* Beside a teacher: of each subnet what it has from both losses. */
static void a_taught_step_is_the_sum_of_its_parts(void **state) {
    struct pair *pair = *state;
    const struct regime_phase *phase = regime_phase(REGIME_PROGRESSIVE, 5);
    struct train_step_settings settings = {
        .label_smoothing = 0.1f, .soft = {DISTILL_SOFT_CE, 1, 1}, .seed = SEED};
    float said[N * CLASSES], logits[N * CLASSES], hard[N * CLASSES], soft[N * CLASSES];
    double label_loss = 0, soft_loss = 0;
    struct supernet *teacher = NULL;
    struct arch arch;
    struct err err = {0};
    assert_int_equal(supernet_create(pair->space, 2, &err, &teacher), 0);
    struct engine *engine_t = make_engine(teacher);
    assert_int_equal(supernet_copy_part(pair->a, PART_TEACHER, &err), 0);
    for (int i = 0; i < pair->a->n_tensors; i++)
        memcpy(pair->a->tensors[i].teacher, teacher->tensors[i].data,
               pair->a->tensors[i].count * sizeof(float));
    struct train_step_losses losses = take_step(pair, phase, &settings);

    arch_max(pair->space, &arch);
    forward(pair, engine_t, &arch, said);
    for (uint32_t i = 0; i < 4; i++) {
        drawn(pair, phase, i, &arch);
        forward(pair, pair->engine_b, &arch, logits);
        label_loss += on_labels(pair, logits, hard) / 4;
        soft_loss += loss_distill(logits, said, N, CLASSES, &settings.soft, soft) / 4;
        for (int k = 0; k < N * CLASSES; k++)
            hard[k] += soft[k];
        backward(pair, hard);
    }
    assert_true(fabs(losses.labels - label_loss) < 1e-9 && fabs(losses.distill - soft_loss) < 1e-9);
    assert_true(fabs(losses.gap - (label_loss - on_labels(pair, said, NULL))) < 1e-9);
    for (int i = 0; i < pair->a->n_tensors; i++) {
        const struct tensor *a = &pair->a->tensors[i], *b = &pair->b->tensors[i];
        assert_memory_equal(a->teacher, teacher->tensors[i].data,
                            a->count * sizeof(float)); /* it learns nothing */
        if (a->grad)
            assert_memory_equal(a->grad, b->grad, a->count * sizeof(float));
    }
    engine_destroy(engine_t);
    supernet_destroy(teacher);
}

static void check_gradients(const struct pair *pair) {
    double difference = 0, whole = 0;
    for (int i = 0; i < pair->a->n_tensors; i++) {
        const struct tensor *a = &pair->a->tensors[i], *b = &pair->b->tensors[i];
        for (size_t k = 0; a->grad && k < a->count; k++) {
            difference += pow((double)a->grad[k] - b->grad[k], 2);
            whole += pow(b->grad[k], 2);
        }
    }
    assert_true(whole > 0 && sqrt(difference / whole) < 1e-6);
}

/* The largest on labels; of the smallest and the random ones this share on labels, the rest on
 * what the largest says. */
static void check_sandwich(struct pair *pair, float share) {
    const struct regime_phase *phase = regime_phase(REGIME_SANDWICH, 0);
    struct train_step_settings settings = {.random_subnets = 2,
                                           .label_smoothing = 0.1f,
                                           .label_share = share,
                                           .soft = {DISTILL_SOFT_CE, 2, 4},
                                           .seed = SEED};
    float said[N * CLASSES], logits[N * CLASSES], hard[N * CLASSES], soft[N * CLASSES];
    double label_loss = 0, soft_loss = 0, each[3];
    struct arch arch;
    struct train_step_losses losses = take_step(pair, phase, &settings);

    arch_max(pair->space, &arch);
    forward(pair, pair->engine_b, &arch, said);
    double own = on_labels(pair, said, hard);
    backward(pair, hard);
    for (uint32_t i = 0; i < 3; i++) {
        if (i == 0)
            regime_smallest(pair->space, phase, RESOLUTION, &arch);
        else
            drawn(pair, phase, i, &arch);
        forward(pair, pair->engine_b, &arch, logits);
        each[i] = on_labels(pair, logits, hard);
        label_loss += each[i] / 3;
        soft_loss += loss_distill(logits, said, N, CLASSES, &settings.soft, soft) / 3;
        for (int k = 0; k < N * CLASSES; k++)
            hard[k] = share * hard[k] + (1 - share) * soft[k];
        backward(pair, hard);
    }
    assert_true(fabs(losses.labels - own) < 1e-9 && fabs(losses.distill - soft_loss) < 1e-9);
    assert_true(fabs(losses.gap - (label_loss - own)) < 1e-9);
    assert_true(fabs(losses.smallest - each[0]) < 1e-9);
    assert_true(fabs(losses.random - (each[1] + each[2]) / 2) < 1e-9);
    check_gradients(pair);
}

static void a_sandwich_without_labels(void **state) {
    check_sandwich(*state, 0);
}

static void a_sandwich_with_a_share_of_labels(void **state) {
    check_sandwich(*state, 0.3f);
}

static void a_sandwich_on_labels_alone(void **state) {
    check_sandwich(*state, 1);
}

#define STEP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        STEP_TEST(a_taught_step_is_the_sum_of_its_parts),
        STEP_TEST(a_sandwich_without_labels),
        STEP_TEST(a_sandwich_with_a_share_of_labels),
        STEP_TEST(a_sandwich_on_labels_alone),
    };
    return cmocka_run_group_tests_name("supernet-train_step", tests, NULL, NULL);
}
