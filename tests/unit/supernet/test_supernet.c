/* The parameter table, fresh weights and the optimiser's step. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "supernet/supernet.h"

static struct supernet *make(const char *space_name, uint64_t seed) {
    struct err err = {0};
    struct space *space = NULL;
    struct supernet *net = NULL;
    assert_int_equal(space_builtin(space_name, &err, &space), 0);
    assert_int_equal(supernet_create(space, seed, &err, &net), 0);
    space_destroy(space);
    return net;
}

static void check_shape(struct supernet *net, const char *name, const int dims[4]) {
    const struct tensor *t = supernet_find(net, name);
    if (!t)
        fail_msg("no tensor %s", name);
    size_t count = 1;
    int n = 0;
    for (; n < 4 && dims[n]; n++) {
        assert_int_equal(t->dims[n], dims[n]);
        count *= (size_t)dims[n];
    }
    assert_int_equal(t->n_dims, n);
    assert_int_equal(t->count, count);
    assert_int_equal((uintptr_t)t->data % 64, 0);
}

/* Names and shapes of once-for-all's published checkpoint: 475 tensors, 64 of which only count
 * batches. */
static void test_names_are_those_of_once_for_all(void **state) {
    struct supernet *net = make("ofa_mbv3", 1);
    struct supernet *smaller = make("peer_28", 1);
    assert_int_equal(net->n_tensors, 475 - 64);
    check_shape(net, "first_conv.conv.weight", (int[4]){16, 3, 3, 3});
    check_shape(net, "first_conv.bn.running_var", (int[4]){16});
    check_shape(net, "blocks.0.conv.depth_conv.conv.weight", (int[4]){16, 1, 3, 3});
    check_shape(net, "blocks.0.conv.point_linear.bn.bias", (int[4]){16});
    assert_null(supernet_find(net, "blocks.0.conv.inverted_bottleneck.conv.conv.weight"));
    check_shape(net, "blocks.1.conv.inverted_bottleneck.conv.conv.weight", (int[4]){96, 16, 1, 1});
    check_shape(net, "blocks.1.conv.inverted_bottleneck.bn.bn.weight", (int[4]){96});
    check_shape(net, "blocks.1.conv.depth_conv.conv.5to3_matrix", (int[4]){9, 9});
    check_shape(net, "blocks.20.conv.depth_conv.conv.7to5_matrix", (int[4]){25, 25});
    check_shape(net, "blocks.20.conv.depth_conv.conv.conv.weight", (int[4]){960, 1, 7, 7});
    check_shape(net, "blocks.5.conv.depth_conv.se.fc.reduce.weight", (int[4]){40, 144, 1, 1});
    check_shape(net, "blocks.13.conv.depth_conv.se.fc.expand.bias", (int[4]){480});
    check_shape(net, "blocks.17.conv.point_linear.conv.conv.weight", (int[4]){160, 672, 1, 1});
    check_shape(net, "blocks.17.conv.point_linear.bn.bn.running_mean", (int[4]){160});
    check_shape(net, "final_expand_layer.conv.weight", (int[4]){960, 160, 1, 1});
    check_shape(net, "final_expand_layer.bn.weight", (int[4]){960});
    check_shape(net, "feature_mix_layer.conv.weight", (int[4]){1280, 960, 1, 1});
    check_shape(net, "classifier.linear.weight", (int[4]){1000, 1280});
    check_shape(net, "classifier.linear.bias", (int[4]){1000});
    assert_int_equal(supernet_parameter_count(net), 7678880);
    assert_null(supernet_find(smaller, "feature_mix_layer.conv.weight"));
    supernet_destroy(net);
    supernet_destroy(smaller);
}

static double deviation(const struct tensor *t) {
    double sum = 0;
    for (size_t i = 0; i < t->count; i++)
        sum += (double)t->data[i] * t->data[i];
    return sqrt(sum / (double)t->count);
}

static void test_fresh_weights_follow_the_seed(void **state) {
    struct supernet *a = make("peer_28", 7), *b = make("peer_28", 7), *c = make("peer_28", 8);
    for (int i = 0; i < a->n_tensors; i++)
        assert_memory_equal(a->tensors[i].data, b->tensors[i].data,
                            a->tensors[i].count * sizeof(float));
    const struct tensor *head = supernet_find(a, "final_expand_layer.conv.weight");
    assert_memory_not_equal(head->data, supernet_find(c, "final_expand_layer.conv.weight")->data,
                            64);
    assert_true(fabs(deviation(head) / sqrt(2.0 / head->dims[0]) - 1) < 0.02);
    const struct tensor *filters = supernet_find(a, "blocks.19.conv.depth_conv.conv.conv.weight");
    assert_true(fabs(deviation(filters) / sqrt(2.0 / 49) - 1) < 0.02);
    const struct tensor *matrix = supernet_find(a, "blocks.3.conv.depth_conv.conv.5to3_matrix");
    for (int i = 0; i < 81; i++)
        assert_true(matrix->data[i] == (i % 10 == 0 ? 1 : 0));
    supernet_destroy(a);
    supernet_destroy(b);
    supernet_destroy(c);
}

static void fill_gradients(struct supernet *net, float value) {
    for (int i = 0; i < net->n_tensors; i++)
        for (size_t k = 0; net->tensors[i].grad && k < net->tensors[i].count; k++)
            net->tensors[i].grad[k] = value;
}

/* Two steps of one weight and one scale by hand, in the form of PyTorch. */
static void test_step_is_nesterov_with_decay_on_weights(void **state) {
    struct supernet *net = make("peer_28", 1);
    struct sgd sgd = {.learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f};
    struct tensor *weight = supernet_find(net, "first_conv.conv.weight");
    struct tensor *scale = supernet_find(net, "first_conv.bn.weight");
    double w = weight->data[3], v = 0, s = scale->data[3], u = 0;
    double norm = sqrt((double)supernet_parameter_count(net)) * 0.5;
    for (int step = 0; step < 2; step++) {
        fill_gradients(net, 0.5f);
        assert_true(fabs(supernet_sgd_step(net, NULL, &sgd) / norm - 1) < 1e-6);
        double d = 0.5 + 0.01 * w;
        v = 0.9 * v + d;
        w -= 0.1 * (d + 0.9 * v);
        u = 0.9 * u + 0.5;
        s -= 0.1 * (0.5 + 0.9 * u);
    }
    assert_true(fabs(weight->data[3] - w) < 1e-6);
    assert_true(fabs(scale->data[3] - s) < 1e-6);
    supernet_destroy(net);
}

static void test_clipping_scales_the_gradient(void **state) {
    struct supernet *net = make("peer_28", 1);
    struct sgd sgd = {.learning_rate = 1, .clip_norm = 2};
    struct tensor *scale = supernet_find(net, "first_conv.bn.weight");
    fill_gradients(net, 0.5f);
    double norm = supernet_sgd_step(net, NULL, &sgd);
    assert_true(norm > 2);
    assert_true(fabs(scale->data[0] - (1 - 0.5 * 2 / norm)) < 1e-6);
    supernet_destroy(net);
}

static void test_gradient_that_is_not_finite_changes_nothing(void **state) {
    struct supernet *net = make("peer_28", 1), *same = make("peer_28", 1);
    struct sgd sgd = {.learning_rate = 1, .momentum = 0.9f};
    fill_gradients(net, 1);
    net->tensors[0].grad[5] = INFINITY;
    assert_true(isnan(supernet_sgd_step(net, NULL, &sgd)));
    for (int i = 0; i < net->n_tensors; i++)
        assert_memory_equal(net->tensors[i].data, same->tensors[i].data,
                            net->tensors[i].count * sizeof(float));
    supernet_destroy(net);
    supernet_destroy(same);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_those_of_once_for_all),
        cmocka_unit_test(test_fresh_weights_follow_the_seed),
        cmocka_unit_test(test_step_is_nesterov_with_decay_on_weights),
        cmocka_unit_test(test_clipping_scales_the_gradient),
        cmocka_unit_test(test_gradient_that_is_not_finite_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
