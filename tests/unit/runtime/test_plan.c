#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <math.h>

#include "base/cpu.h"
#include "base/rng.h"
#include "runtime/kernels/kernels.h"
#include "space/cost.h"
#include "tests/unit/runtime/reference.h"

struct network {
    struct graph *graph;
    struct plan_weights *weights;
    float *images;
    size_t n_in, n_out;
};

static size_t elements(const struct tensor_shape *shape) {
    return (size_t)shape->channels * (size_t)shape->height * (size_t)shape->width;
}

/* Takes graph. */
static struct network network(struct graph *graph, uint64_t seed, int n_images) {
    struct network net = {.graph = graph};
    assert_int_equal(plan_weights_random(graph, seed, NULL, &net.weights), 0);
    net.n_in = elements(&graph->tensors[0]);
    net.n_out = elements(&graph->tensors[graph->n_tensors - 1]);
    net.images = calloc(net.n_in * (size_t)n_images, sizeof(float));
    struct rng rng = rng_make(seed, RNG_TEST, 1, 0);
    for (size_t i = 0; i < net.n_in * (size_t)n_images; i++)
        net.images[i] = (float)rng_normal(&rng);
    return net;
}

static void network_free(struct network *net) {
    free(net->graph);
    plan_weights_destroy(net->weights);
    free(net->images);
}

static struct space *builtin(const char *name) {
    struct space *space = NULL;
    assert_int_equal(space_builtin(name, NULL, &space), 0);
    return space;
}

static struct network random_network(const struct space *space, int index, int n_images) {
    struct rng rng = rng_make(5, RNG_TEST, 0, (uint32_t)index);
    struct arch arch;
    struct graph *graph = NULL;
    if (index == 0)
        arch_max(space, &arch);
    else if (index == 1)
        arch_min(space, &arch);
    else
        arch_random(space, &rng, &arch);
    if (space->n_resolutions > 2) /* the naive loops take too long on larger images */
        arch.resolution = 0;
    assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
    return network(graph, (uint64_t)index, n_images);
}

/* Outputs for n images; caller frees. */
static float *run(const struct network *net, uint32_t cpu, int threads, int n) {
    struct parallel *pool = NULL;
    struct plan *plan = NULL;
    struct err err = {0};
    assert_int_equal(parallel_create(threads, &pool), 0);
    struct plan_options options = {.cpu_flags = cpu, .pool = pool, .batch = n};
    if (plan_create(net->graph, net->weights, &options, &err, &plan))
        fail_msg("%s", err.message);
    float *output = calloc(net->n_out * (size_t)n, sizeof(float));
    assert_int_equal(plan_run(plan, net->images, n, output), 0);
    float *again = calloc(net->n_out * (size_t)n, sizeof(float));
    assert_int_equal(plan_run(plan, net->images, n, again), 0);
    assert_memory_equal(output, again, net->n_out * (size_t)n * sizeof(float));
    free(again);
    plan_destroy(plan);
    parallel_destroy(pool);
    return output;
}

static void check_close(const float *got, const double *want, size_t n, double tolerance) {
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(want[i]));
    assert_true(largest > 0 && isfinite(largest));
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - want[i]) <= tolerance * largest))
            fail_msg("output %zu is %g, not %g (largest %g)", i, (double)got[i], want[i], largest);
}

static void check_against_reference(const struct network *net) {
    double *want = reference_run(net->graph, net->weights, net->images);
    for (int i = 0; kernels_rows[i]; i++) {
        uint32_t flags = kernels_rows[i]->cpu_flags;
        if (flags & ~cpu_flags())
            continue;
        float *got = run(net, flags ? flags : CPU_SSE2, 1, 1);
        check_close(got, want, net->n_out, 1e-5);
        free(got);
    }
    free(want);
}

/* Those numbered from first on. */
static void check_networks(const char *name, int first, int n) {
    struct space *space = builtin(name);
    for (int i = first; i < n; i++) {
        struct network net = random_network(space, i, 1);
        check_against_reference(&net);
        network_free(&net);
    }
    space_destroy(space);
}

static void networks_equal_the_reference(void **state) {
    check_networks("fashion_small", 0, 12);
    check_networks("peer_28", 0, 5);
    check_networks("peer_32", 0, 3);
}

/* The largest takes a second of naive loops. */
static void a_large_network_equals_the_reference(void **state) {
    check_networks("ofa_mbv3", 1, 2);
}

/* Every kind of unit alone, as latency tables measure it. */
static void units_equal_the_reference(void **state) {
    struct space *space = builtin("peer_28");
    struct network net = random_network(space, 2, 1);
    for (int i = 0; i < net.graph->n_units; i++) {
        struct graph *graph = NULL;
        assert_int_equal(graph_of_unit(net.graph, i, NULL, &graph), 0);
        struct network part = network(graph, (uint64_t)i, 1);
        check_against_reference(&part);
        network_free(&part);
    }
    network_free(&net);
    space_destroy(space);
}

/* Blocks that no built-in space has: odd sides, no expand, no bias. */
static void odd_blocks_equal_the_reference(void **state) {
    static const char text[] =
        "{\"name\":\"odd\",\"input_channels\":%d,\"n_classes\":7,\"resolutions\":[%d],"
        "\"stem\":{\"channels\":%d,\"kernel_size\":5,\"stride\":2,\"act\":\"relu\"},"
        "\"stages\":[{\"depths\":[2],\"channels\":[24],\"kernel_sizes\":[%d],"
        "\"expand_ratios\":[1],\"stride\":2,\"act\":\"h_swish\",\"se\":true},"
        "{\"depths\":[2],\"channels\":[56],\"kernel_sizes\":[%d],"
        "\"expand_ratios\":[1.4],\"stride\":1,\"act\":\"relu\",\"se\":false}],"
        "\"head\":{\"expand_channels\":0,\"mix_channels\":%d,\"act\":\"h_swish\"}}";
    static const int cases[][6] = {
        {1, 23, 8, 3, 7, 0}, {3, 17, 24, 7, 5, 40}, {2, 5, 32, 7, 7, 16}, {4, 39, 40, 5, 3, 8}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char doc[1024];
        const int *c = cases[i];
        snprintf(doc, sizeof(doc), text, c[0], c[1], c[2], c[3], c[4], c[5]);
        struct space *space = NULL;
        struct err err = {0};
        if (space_parse(doc, strlen(doc), &err, &space))
            fail_msg("%s %s", err.pointer, err.message);
        struct network net = random_network(space, 0, 1);
        for (int op = 0; op < net.graph->n_ops; op += 2) {
            free(net.weights->ops[op].bias);
            net.weights->ops[op].bias = NULL;
        }
        check_against_reference(&net);
        network_free(&net);
        space_destroy(space);
    }
}

/* Plain convolutions and bottlenecks with each kind of shortcut, wide enough that threads share an
 * image where the side is not small. */
static struct space *mixed_space(int input_channels, int side, int stem, int channels, int kernel) {
    static const char text[] =
        "{\"name\":\"mixed\",\"input_channels\":%d,\"n_classes\":7,\"resolutions\":[%d],"
        "\"stem\":{\"channels\":%d,\"kernel_size\":3,\"stride\":1,\"act\":\"relu6\"},\"stages\":["
        "{\"block\":\"conv\",\"depths\":[1,2],\"channels\":[%d],\"kernel_sizes\":[3,%d],"
        "\"stride\":1,\"act\":\"h_swish\",\"residual\":true},"
        "{\"block\":\"bottleneck\",\"depths\":[1,2],\"channels\":[%d],\"kernel_sizes\":[3,%d],"
        "\"expand_ratios\":[0.5,1],\"stride\":2,\"act\":\"relu\"},"
        "{\"depths\":[1],\"channels\":[32],\"kernel_sizes\":[5],\"expand_ratios\":[1,2],"
        "\"stride\":1,\"act\":\"relu6\",\"se\":true},"
        "{\"block\":\"bottleneck\",\"depths\":[2],\"channels\":[32,48],\"kernel_sizes\":[3],"
        "\"expand_ratios\":[0.25,1.5],\"stride\":1,\"act\":\"h_swish\"},"
        "{\"block\":\"conv\",\"depths\":[2],\"channels\":[40],\"kernel_sizes\":[3],\"stride\":2,"
        "\"act\":\"relu\"}],"
        "\"head\":{\"expand_channels\":56,\"mix_channels\":0,\"act\":\"relu6\"}}";
    char doc[2048];
    struct space *space = NULL;
    struct err err = {0};
    snprintf(doc, sizeof(doc), text, input_channels, side, stem, channels, kernel, channels * 2,
             kernel);
    if (space_parse(doc, strlen(doc), &err, &space))
        fail_msg("%s %s", err.pointer, err.message);
    return space;
}

static void mixed_blocks_equal_the_reference(void **state) {
    static const int cases[][5] = {
        {1, 12, 16, 16, 5}, {3, 17, 24, 8, 7}, {2, 5, 8, 32, 7}, {1, 4, 16, 16, 5}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const int *c = cases[i];
        struct space *space = mixed_space(c[0], c[1], c[2], c[3], c[4]);
        for (int n = 0; n < 6; n++) {
            struct network net = random_network(space, n, 1);
            if (n % 2) {
                free(net.weights->ops[3].bias);
                net.weights->ops[3].bias = NULL;
            }
            check_against_reference(&net);
            for (int u = 0; n < 2 && u < net.graph->n_units; u++) {
                struct graph *graph = NULL;
                assert_int_equal(graph_of_unit(net.graph, u, NULL, &graph), 0);
                struct network part = network(graph, (uint64_t)u, 1);
                check_against_reference(&part);
                network_free(&part);
            }
            network_free(&net);
        }
        space_destroy(space);
    }
}

/* Takes space. */
static void check_threads_and_batches(struct space *space) {
    enum { BATCH = 5 };
    for (int n = 0; n < 4; n++) {
        struct network net = random_network(space, n, BATCH);
        size_t bytes = net.n_out * sizeof(float);
        float *batch1 = run(&net, 0, 1, BATCH), *batch3 = run(&net, 0, 3, BATCH);
        float *one1 = run(&net, 0, 1, 1), *one3 = run(&net, 0, 3, 1);
        assert_memory_equal(batch1, batch3, BATCH * bytes);
        assert_memory_equal(one1, one3, bytes);
        assert_memory_equal(one1, batch1, bytes);
        free(batch1);
        free(batch3);
        free(one1);
        free(one3);
        network_free(&net);
    }
    space_destroy(space);
}

static void threads_and_batches_change_no_bit(void **state) {
    check_threads_and_batches(builtin("fashion_small"));
    check_threads_and_batches(builtin("peer_32"));
    check_threads_and_batches(mixed_space(3, 30, 16, 32, 5));
}

static void threads_and_batches_change_no_bit_of_large_networks(void **state) {
    check_threads_and_batches(builtin("ofa_mbv3"));
}

static void check_chain(struct network *net) {
    struct plan_options options = {.batch = 1};
    struct plan *plan = NULL;
    float *first = calloc(net->n_out, sizeof(float)), *again = calloc(net->n_out, sizeof(float));
    assert_int_equal(plan_create(net->graph, net->weights, &options, NULL, &plan), 0);
    assert_int_equal(plan_run(plan, net->images, 1, first), 0);
    plan_take_in(plan, net->images);
    for (int i = 0; i < 5; i++)
        plan_run_inside(plan, net->images);
    assert_int_equal(plan_run(plan, net->images, 1, again), 0);
    assert_memory_equal(first, again, net->n_out * sizeof(float));
    plan_destroy(plan);
    free(first);
    free(again);
}

/* What ran often inside of a plan leaves nothing behind, nor do units that overwrite their input.
 */
static void chains_spoil_nothing(void **state) {
    struct space *space = builtin("fashion_small");
    struct network net = random_network(space, 3, 1);
    check_chain(&net);
    for (int u = 0; u < net.graph->n_units; u++) {
        struct graph *unit = NULL;
        assert_int_equal(graph_of_unit(net.graph, u, NULL, &unit), 0);
        struct network alone = network(unit, 4, 1);
        check_chain(&alone);
        network_free(&alone);
    }
    network_free(&net);
    space_destroy(space);
}

static void fewer_images_than_the_batch(void **state) {
    struct space *space = builtin("fashion_small");
    struct network net = random_network(space, 3, 3);
    float *want = run(&net, 0, 1, 3), *got = calloc(net.n_out * 3, sizeof(float));
    struct plan *plan = NULL;
    struct parallel *pool = NULL;
    assert_int_equal(parallel_create(2, &pool), 0);
    struct plan_options options = {.pool = pool, .batch = 3};
    assert_int_equal(plan_create(net.graph, net.weights, &options, NULL, &plan), 0);
    for (int n = 1; n <= 3; n++) {
        assert_int_equal(plan_run(plan, net.images, n, got), 0);
        assert_memory_equal(got, want, (size_t)n * net.n_out * sizeof(float));
    }
    assert_int_equal(plan_run(plan, net.images, 0, got), ESP_EINVAL);
    assert_int_equal(plan_run(plan, net.images, 4, got), ESP_EINVAL);
    plan_destroy(plan);
    parallel_destroy(pool);
    free(want);
    free(got);
    network_free(&net);
    space_destroy(space);
}

static void check_arena(const struct space *space) {
    for (int n = 0; n < 4; n++) {
        struct network net = random_network(space, n, 1);
        struct plan_options options = {.batch = 1};
        struct plan *plan = NULL;
        struct cost cost;
        assert_int_equal(plan_create(net.graph, net.weights, &options, NULL, &plan), 0);
        assert_int_equal(graph_cost(net.graph, 4, NULL, &cost), 0);
        assert_int_equal(plan_arena_bytes(plan), cost.peak_activation_bytes);
        plan_destroy(plan);
        network_free(&net);
    }
}

static void arena_is_the_counted_peak(void **state) {
    for (int s = 0; space_builtin_names[s]; s++) {
        struct space *space = builtin(space_builtin_names[s]);
        check_arena(space);
        space_destroy(space);
    }
    struct space *mixed = mixed_space(3, 30, 16, 32, 5);
    check_arena(mixed);
    space_destroy(mixed);
}

static void errors_name_the_cause(void **state) {
    struct space *space = builtin("fashion_small");
    struct network net = random_network(space, 1, 1), other = random_network(space, 0, 1);
    struct plan *plan = NULL;
    struct err err = {0};
    struct plan_options options = {.batch = 0};
    assert_int_equal(plan_create(net.graph, net.weights, &options, &err, &plan), ESP_EINVAL);
    options.batch = 1;
    assert_int_equal(plan_create(net.graph, other.weights, &options, &err, &plan), ESP_EINVAL);
    free(net.weights->ops[1].weight);
    net.weights->ops[1].weight = NULL;
    assert_int_equal(plan_create(net.graph, net.weights, &options, &err, &plan), ESP_EINVAL);
    assert_non_null(strstr(err.message, net.graph->units[1].signature));
    other.graph->units[2].spec.c_out = 20;
    assert_int_equal(plan_create(other.graph, other.weights, &options, &err, &plan),
                     ESP_EUNSUPPORTED);
    assert_non_null(strstr(err.message, other.graph->units[2].signature));
    assert_null(plan);
    plan_destroy(NULL);
    plan_weights_destroy(NULL);
    network_free(&net);
    network_free(&other);
    space_destroy(space);
}

static void identity_is_told(void **state) {
    struct space *space = builtin("fashion_small");
    struct network net = random_network(space, 1, 1);
    struct plan_options options = {.cpu_flags = CPU_SSE2, .batch = 1};
    struct plan *plan = NULL;
    assert_int_equal(plan_create(net.graph, net.weights, &options, NULL, &plan), 0);
    assert_string_equal(plan_kernel_set(plan), "scalar");
    assert_int_equal(strlen(runtime_revision()), 32);
    assert_int_equal(strspn(runtime_revision(), "0123456789abcdef"), 32);
    plan_destroy(plan);
    network_free(&net);
    space_destroy(space);
}

/* --large: the networks that take long under a sanitizer, through the same code. */
int main(int argc, char **argv) {
    const struct CMUnitTest large[] = {
        cmocka_unit_test(a_large_network_equals_the_reference),
        cmocka_unit_test(threads_and_batches_change_no_bit_of_large_networks),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_equal_the_reference),
        cmocka_unit_test(units_equal_the_reference),
        cmocka_unit_test(odd_blocks_equal_the_reference),
        cmocka_unit_test(mixed_blocks_equal_the_reference),
        cmocka_unit_test(threads_and_batches_change_no_bit),
        cmocka_unit_test(chains_spoil_nothing),
        cmocka_unit_test(fewer_images_than_the_batch),
        cmocka_unit_test(arena_is_the_counted_peak),
        cmocka_unit_test(errors_name_the_cause),
        cmocka_unit_test(identity_is_told),
    };
    cmocka_set_skip_filter(getenv("ESP_SKIP_TESTS")); /* a pattern, or nothing */
    if (argc > 1 && strcmp(argv[1], "--large") == 0)
        return cmocka_run_group_tests_name("runtime-plan-large", large, NULL, NULL);
    return cmocka_run_group_tests_name("runtime-plan", tests, NULL, NULL);
}
