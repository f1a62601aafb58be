/* A two-block network of small integers, worked out by hand in test_by_hand.md. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/plan.h"
#include "supernet/engine.h"

enum { CLASSES = 3 };

static const char space_text[] =
    "{\"name\": \"by_hand\", \"description\": \"\", \"input_channels\": 1, \"n_classes\": 3,"
    "\"resolutions\": [4],"
    "\"stem\": {\"channels\": 8, \"kernel_size\": 3, \"stride\": 1, \"act\": \"relu\"},"
    "\"stages\": ["
    "{\"depths\": [1], \"channels\": [8], \"kernel_sizes\": [3], \"expand_ratios\": [1],"
    " \"stride\": 1, \"act\": \"relu\", \"se\": false},"
    "{\"depths\": [1], \"channels\": [8], \"kernel_sizes\": [3, 5], \"expand_ratios\": [2],"
    " \"stride\": 2, \"act\": \"h_swish\", \"se\": true}],"
    "\"head\": {\"expand_channels\": 0, \"mix_channels\": 0, \"act\": \"h_swish\"}}";

static const float image[16] = {1, 2, 0, 1, 0, 1, 3, 2, 2, 0, 1, 0, 1, 1, 0, 2};

/* Everything that is not zero, beside the BNs' scales and variances; at: flat index. */
static const struct {
    const char *name;
    int at;
    float value;
} values[] = {
    {"first_conv.conv.weight", 0 * 9 + 4, 1},
    {"first_conv.conv.weight", 0 * 9 + 5, 1},
    {"first_conv.conv.weight", 1 * 9 + 4, -1},
    {"first_conv.conv.weight", 1 * 9 + 1, 2},
    {"first_conv.bn.running_mean", 0, 1},
    {"blocks.0.conv.depth_conv.conv.weight", 0 * 9 + 4, 1},
    {"blocks.0.conv.depth_conv.conv.weight", 0 * 9 + 1, -1},
    {"blocks.0.conv.depth_conv.conv.weight", 1 * 9 + 3, 1},
    {"blocks.0.conv.depth_conv.bn.bias", 0, 1},
    {"blocks.0.conv.depth_conv.bn.weight", 1, 2},
    {"blocks.0.conv.depth_conv.bn.running_mean", 1, 1},
    {"blocks.0.conv.point_linear.conv.weight", 0 * 8 + 0, 1},
    {"blocks.0.conv.point_linear.conv.weight", 0 * 8 + 1, -1},
    {"blocks.0.conv.point_linear.conv.weight", 1 * 8 + 1, 1},
    {"blocks.0.conv.point_linear.bn.bias", 1, -1},
    {"blocks.1.conv.inverted_bottleneck.conv.conv.weight", 0 * 8 + 0, 1},
    {"blocks.1.conv.inverted_bottleneck.conv.conv.weight", 0 * 8 + 1, 1},
    {"blocks.1.conv.inverted_bottleneck.conv.conv.weight", 1 * 8 + 1, 1},
    {"blocks.1.conv.inverted_bottleneck.bn.bn.weight", 0, 3},
    {"blocks.1.conv.depth_conv.conv.conv.weight", 0 * 25 + 12, 1},
    {"blocks.1.conv.depth_conv.conv.conv.weight", 0 * 25 + 0, 1},
    {"blocks.1.conv.depth_conv.conv.conv.weight", 0 * 25 + 6, -1},
    {"blocks.1.conv.depth_conv.conv.conv.weight", 1 * 25 + 12, 3},
    {"blocks.1.conv.depth_conv.conv.conv.weight", 1 * 25 + 13, 3},
    {"blocks.1.conv.depth_conv.conv.5to3_matrix", 4 * 9 + 0, -1},
    {"blocks.1.conv.depth_conv.conv.5to3_matrix", 5 * 9 + 4, 2},
    {"blocks.1.conv.depth_conv.bn.bn.bias", 0, -3},
    {"blocks.1.conv.depth_conv.bn.bn.weight", 1, 3},
    {"blocks.1.conv.depth_conv.se.fc.reduce.weight", 0 * 16 + 0, 1},
    {"blocks.1.conv.depth_conv.se.fc.reduce.weight", 1 * 16 + 1, 1},
    {"blocks.1.conv.depth_conv.se.fc.reduce.bias", 0, -2},
    {"blocks.1.conv.depth_conv.se.fc.reduce.bias", 1, -38},
    {"blocks.1.conv.depth_conv.se.fc.expand.weight", 0 * 8 + 0, 3},
    {"blocks.1.conv.depth_conv.se.fc.expand.weight", 1 * 8 + 0, -2},
    {"blocks.1.conv.depth_conv.se.fc.expand.weight", 1 * 8 + 1, 1},
    {"blocks.1.conv.depth_conv.se.fc.expand.bias", 0, -3},
    {"blocks.1.conv.point_linear.conv.conv.weight", 0 * 16 + 0, 2},
    {"blocks.1.conv.point_linear.conv.conv.weight", 0 * 16 + 1, 1},
    {"blocks.1.conv.point_linear.conv.conv.weight", 1 * 16 + 0, -4},
    {"blocks.1.conv.point_linear.conv.conv.weight", 1 * 16 + 1, 1},
    {"blocks.1.conv.point_linear.bn.bn.bias", 0, 1},
    {"blocks.1.conv.point_linear.bn.bn.weight", 1, 2},
    {"blocks.1.conv.point_linear.bn.bn.running_mean", 1, 2},
    {"classifier.linear.weight", 0 * 8 + 0, 1},
    {"classifier.linear.weight", 0 * 8 + 1, -1},
    {"classifier.linear.weight", 1 * 8 + 0, -1},
    {"classifier.linear.weight", 1 * 8 + 1, 2},
    {"classifier.linear.bias", 0, 1},
    {"classifier.linear.bias", 2, 5},
};

static void clear(struct tensor *t) {
    if (t->kind == TENSOR_TRANSFORM || t->kind == TENSOR_BN_SCALE)
        return; /* fresh ones are the identity, and 1 */
    for (size_t i = 0; i < t->count; i++)
        t->data[i] = t->kind == TENSOR_BN_VARIANCE ? 1 - 1e-5f : 0;
}

static struct supernet *make_net(void) {
    struct err err = {0};
    struct space *space = NULL;
    struct supernet *net = NULL;
    if (space_parse(space_text, strlen(space_text), &err, &space) != 0)
        fail_msg("%s: %s", err.pointer, err.message);
    assert_int_equal(supernet_create(space, 1, &err, &net), 0);
    space_destroy(space);
    for (int i = 0; i < net->n_tensors; i++)
        clear(&net->tensors[i]);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct tensor *t = supernet_find(net, values[i].name);
        if (!t || (size_t)values[i].at >= t->count)
            fail_msg("no %s", values[i].name);
        t->data[values[i].at] = values[i].value;
    }
    return net;
}

static void run_engine(struct supernet *net, const struct arch *arch, float *ret_logits) {
    struct engine *engine = NULL;
    struct err err = {0};
    struct engine_limits limits = {1, 4, false};
    struct engine_run run = {.arch = arch, .mode = ENGINE_EVAL, .images = image, .n = 1};
    assert_int_equal(engine_create(net, NULL, &limits, &err, &engine), 0);
    assert_int_equal(engine_forward(engine, &run, &err, ret_logits), 0);
    engine_destroy(engine);
}

static void run_runtime(struct supernet *net, const struct arch *arch, float *ret_logits) {
    struct graph *graph = NULL;
    struct plan_weights *weights = NULL;
    struct plan *plan = NULL;
    struct err err = {0};
    struct plan_options options = {.batch = 1};
    assert_int_equal(graph_build(net->space, arch, &err, &graph), 0);
    assert_int_equal(engine_fold(net, arch, NULL, &err, &weights), 0);
    assert_int_equal(plan_create(graph, weights, &options, &err, &plan), 0);
    assert_int_equal(plan_run(plan, image, 1, ret_logits), 0);
    plan_destroy(plan);
    plan_weights_destroy(weights);
    free(graph);
}

static void check(const char *text, const float *want) {
    struct supernet *net = make_net();
    struct arch arch;
    struct err err = {0};
    float engine[CLASSES], runtime[CLASSES];
    assert_int_equal(arch_parse(net->space, text, strlen(text), &err, &arch), 0);
    run_engine(net, &arch, engine);
    run_runtime(net, &arch, runtime);
    for (int c = 0; c < CLASSES; c++) {
        if (!(fabsf(engine[c] - want[c]) < 1e-3f) || !(fabsf(runtime[c] - want[c]) < 1e-3f))
            fail_msg("%s: logit %d is %g by the engine, %g by the runtime, %g by hand", text, c,
                     engine[c], runtime[c], want[c]);
    }
    supernet_destroy(net);
}

static void test_kernel_5(void **state) {
    check("r4 | d1 c8 k3e1 | d1 c8 k5e2", (float[]){8, 3, 5});
}

static void test_kernel_3_by_its_matrix(void **state) {
    check("r4 | d1 c8 k3e1 | d1 c8 k3e2", (float[]){72, -18, 5});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_5),
        cmocka_unit_test(test_kernel_3_by_its_matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
