#include "fixture.h"

#include <math.h>

#include "space/cost.h"

static struct cost cost_of(const struct space *space, const struct arch *arch) {
    struct cost cost;
    assert_int_equal(arch_cost(space, arch, NULL, &cost), 0);
    return cost;
}

/* Rows of the logs of DyNAS-T (once-for-all MobileNetV3 w1.0 at 224), from its five runs. */
static const struct {
    const char *arch;
    int64_t params, macs;
} logged[] = {
    {"r224 | d1 c16 k3e1 | d2 c24 k5e4 k7e3 | d3 c40 k3e4 k3e6 k3e3 | d2 c80 k5e4 k5e3 | "
     "d4 c112 k7e3 k3e6 k3e6 k3e6 | d3 c160 k5e4 k5e3 k5e4",
     5029656, 255502624},
    {"r224 | d1 c16 k3e1 | d3 c24 k5e4 k3e6 k7e4 | d3 c40 k7e6 k5e6 k5e6 | d3 c80 k7e6 k7e4 k5e6 | "
     "d4 c112 k5e4 k5e4 k5e4 k5e6 | d4 c160 k7e6 k3e4 k7e4 k5e6",
     6088096, 354134816},
    {"r224 | d1 c16 k3e1 | d4 c24 k7e4 k7e6 k7e4 k7e4 | d4 c40 k5e4 k5e6 k7e6 k5e6 | d3 c80 k5e6 "
     "k3e6 k5e4 | "
     "d4 c112 k5e6 k5e4 k3e4 k7e6 | d4 c160 k5e6 k7e4 k7e4 k7e6",
     6273176, 427824544},
    {"r224 | d1 c16 k3e1 | d3 c24 k7e4 k3e4 k5e4 | d4 c40 k3e4 k3e6 k7e4 k5e3 | d2 c80 k7e6 k7e4 | "
     "d4 c112 k3e4 k3e3 k5e3 k3e3 | d2 c160 k5e6 k7e6",
     4707240, 266394208},
    {"r224 | d1 c16 k3e1 | d2 c24 k3e4 k3e4 | d2 c40 k7e3 k3e3 | d3 c80 k5e6 k7e4 k3e3 | "
     "d2 c112 k3e4 k5e3 | d4 c160 k5e4 k5e4 k3e4 k3e4",
     4618296, 184630912},
    {"r224 | d1 c16 k3e1 | d2 c24 k3e3 k3e4 | d3 c40 k3e4 k7e3 k5e4 | d3 c80 k5e3 k5e3 k5e4 | "
     "d2 c112 k5e6 k7e3 | d2 c160 k5e6 k5e6",
     4467080, 191344704},
    {"r224 | d1 c16 k3e1 | d3 c24 k5e3 k3e3 k3e6 | d2 c40 k3e4 k5e3 | d3 c80 k7e6 k5e4 k5e4 | "
     "d3 c112 k5e4 k7e4 k5e4 | d4 c160 k5e3 k3e4 k5e6 k7e4",
     5263344, 242864080},
    {"r224 | d1 c16 k3e1 | d3 c24 k7e3 k3e6 k3e6 | d2 c40 k5e6 k3e3 | d2 c80 k7e6 k3e6 | "
     "d3 c112 k7e4 k3e6 k7e4 | d2 c160 k3e3 k3e6",
     4536768, 244945104},
};

static void counts_equal_logged_rows(void **state) {
    struct space *space = builtin("ofa_mbv3");
    for (size_t i = 0; i < sizeof(logged) / sizeof(*logged); i++) {
        struct arch arch = parsed(space, logged[i].arch);
        struct cost cost = cost_of(space, &arch);
        assert_int_equal(cost.params, logged[i].params);
        assert_int_equal(cost.macs, logged[i].macs);
    }
    space_destroy(space);
}

/* Worked out by hand: (in + out + weights) of stem, block and tail, 4 bytes each. */
static void traffic_and_energy_are_those_of_fused_units(void **state) {
    static const char text[] =
        "{\"name\":\"one\",\"input_channels\":1,\"n_classes\":10,\"resolutions\":[8],"
        "\"stem\":{\"channels\":8,\"kernel_size\":3,\"stride\":1,\"act\":\"relu\"},\"stages\":["
        "{\"depths\":[1],\"channels\":[8],\"kernel_sizes\":[3],\"expand_ratios\":[2],"
        "\"stride\":1,\"act\":\"relu\",\"se\":false}],"
        "\"head\":{\"expand_channels\":0,\"mix_channels\":0,\"act\":\"relu\"}}";
    const int64_t stem = 4 * (64 + 512 + 72 + 8), tail = 4 * (512 + 10 + 80 + 10);
    const int64_t block = 4 * (512 + 512 + 128 + 16 + 144 + 16 + 128 + 8);
    const int64_t macs = 64 * (72 + 128 + 144 + 128) + 80;
    struct space *space = parsed_space(text);
    struct arch arch, least;
    struct graph *graph;
    struct cost whole, units;
    double low, high;
    arch_max(space, &arch);
    struct cost cost = cost_of(space, &arch);
    assert_int_equal(cost.macs, macs);
    assert_int_equal(cost.traffic_bytes, stem + block + tail);
    int64_t energy = 46 * macs + 1600 * (stem + block + tail);
    assert_int_equal(cost_energy(&cost, &energy_prices_default), energy);
    assert_int_equal(cost_energy(&cost, &(struct energy_prices){.byte = 3}),
                     3 * cost.traffic_bytes);
    assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
    assert_int_equal(graph_cost(graph, 1, NULL, &whole), 0);
    assert_int_equal(4 * whole.traffic_bytes, cost.traffic_bytes);
    unit_cost(graph, 1, &units);
    assert_int_equal(units.traffic_bytes, block);
    assert_int_equal(cost_range(space, COST_ENERGY, NULL, &low, &high, &least), 0);
    assert_true(low == high && low == (double)energy * 1e-7);
    assert_true(fabs(low - 1.8878) < 1e-4);
    free(graph);
    space_destroy(space);
}

/* The largest and the smallest subnet at 224 pixels: published extremes of that space. */
static void extremes_of_ofa_are_known(void **state) {
    struct space *space = builtin("ofa_mbv3");
    struct arch low, high;
    arch_min(space, &low);
    low.resolution = (uint8_t)(space->n_resolutions - 1);
    arch_max(space, &high);
    struct cost small = cost_of(space, &low), large = cost_of(space, &high);
    assert_int_equal(small.params, 3410792);
    assert_int_equal(large.params, 7664760);
    assert_int_equal(small.macs, 121278672);
    assert_int_equal(large.macs, 566170656);
    assert_int_equal(small.peak_simple_bytes, 4 * 784 * 1024);
    assert_int_equal(large.peak_simple_bytes, 4 * 1470 * 1024);
    space_destroy(space);
}

static void cost_range_is_that_of_min_and_max(void **state) {
    for (int i = 0; space_builtin_names[i]; i++) {
        struct space *space = builtin(space_builtin_names[i]);
        struct arch low, high, found;
        arch_min(space, &low);
        arch_max(space, &high);
        struct cost small = cost_of(space, &low), large = cost_of(space, &high);
        double from = 0, to = 0;
        assert_int_equal(cost_range(space, COST_MACS, NULL, &from, &to, &found), 0);
        assert_true(from == (double)small.macs && to == (double)large.macs);
        assert_true(arch_equal(&found, &low));
        assert_int_equal(cost_range(space, COST_PARAMS, NULL, &from, &to, &found), 0);
        assert_true(from == (double)small.params && to == (double)large.params);
        assert_int_equal(cost_range(space, COST_MODEL_BYTES, NULL, &from, &to, &found), 0);
        assert_true(from == (double)small.model_bytes && to == (double)large.model_bytes);
        space_destroy(space);
    }
}

/* Against every subnet of a space small enough to list. */
static void ranges_are_those_of_all_subnets(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    double low[COST_METRICS], high[COST_METRICS];
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes), subnets = 0;
    struct arch arch;
    arch_min(space, &arch);
    do {
        if (!arch_valid(space, &arch))
            continue;
        struct cost cost = cost_of(space, &arch);
        const double values[COST_METRICS] = {(double)cost.macs,
                                             (double)cost.params,
                                             (double)cost.peak_activation_bytes,
                                             (double)cost.peak_simple_bytes,
                                             (double)cost.model_bytes,
                                             (double)cost.traffic_bytes,
                                             (double)cost_energy(&cost, &energy_prices_default) *
                                                 ENERGY_UJ};
        for (int m = 0; m < COST_METRICS; m++) {
            low[m] = subnets && low[m] < values[m] ? low[m] : values[m];
            high[m] = subnets && high[m] > values[m] ? high[m] : values[m];
        }
        subnets++;
    } while (next_arch(genes, n, &arch));
    assert_int_equal(subnets, TINY_SUBNETS);
    for (int m = 0; m < COST_METRICS; m++) {
        double from, to;
        assert_int_equal(cost_range(space, (enum cost_metric)m, NULL, &from, &to, &arch), 0);
        assert_true(arch_valid(space, &arch));
        assert_true(from == low[m] && to == high[m]);
    }
    space_destroy(space);
}

/* The fast sum without a graph against the graph and its memory plan. */
static void arch_cost_equals_graph_cost(void **state) {
    for (int i = 0; space_builtin_names[i]; i++) {
        struct space *space = builtin(space_builtin_names[i]);
        struct rng rng = rng_make(7, RNG_TEST, 0, (uint32_t)i);
        for (int n = 0; n < 300; n++) {
            struct arch arch;
            struct graph *graph = NULL;
            struct cost slow;
            arch_random(space, &rng, &arch);
            struct cost fast = cost_of(space, &arch);
            assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
            assert_int_equal(graph_cost(graph, 4, NULL, &slow), 0);
            assert_memory_equal(&fast, &slow, sizeof(fast));
            free(graph);
        }
        space_destroy(space);
    }
}

/* One block worked out by hand: 16x10x10, expand 48, k5, stride 1, SE 16, project 16, residual. */
static void costs_of_a_block_are_as_by_hand(void **state) {
    static const char text[] =
        "{\"name\":\"one\",\"input_channels\":2,\"n_classes\":3,\"resolutions\":[10],"
        "\"stem\":{\"channels\":16,\"kernel_size\":3,\"stride\":1,\"act\":\"relu\"},"
        "\"stages\":[{\"depths\":[1],\"channels\":[16],\"kernel_sizes\":[5],\"expand_ratios\":[3],"
        "\"stride\":1,\"act\":\"relu\",\"se\":true}],"
        "\"head\":{\"expand_channels\":0,\"mix_channels\":0,\"act\":\"relu\"}}";
    struct space *space = NULL;
    struct err err = {0};
    assert_int_equal(space_parse(text, strlen(text), &err, &space), 0);
    struct arch arch;
    arch_min(space, &arch);
    struct cost cost = cost_of(space, &arch);
    int64_t stem = 16 * 2 * 9, expand = 16 * 48, depthwise = 48 * 25, se = 2 * 48 * 16,
            project = 48 * 16, classifier = 16 * 3;
    assert_int_equal(cost.macs, 100 * (stem + expand + depthwise + project) + se + classifier);
    int64_t weights = stem + expand + depthwise + se + project + classifier;
    assert_int_equal(cost.params,
                     weights + 2 * (16 + 48 + 48 + 16) + (48 + 16) /* SE biases */ + 3);
    assert_int_equal(cost.model_bytes, 4 * (weights + 16 + 48 + 48 + 48 + 16 + 16 + 3));
    assert_int_equal(cost.peak_simple_bytes, 4 * 100 * (48 + 48));
    /* While the depthwise convolution runs: the block's input, 24 of the expanded channels with 2
     * columns of padding at both ends of a row, its output. */
    assert_int_equal(cost.peak_activation_bytes, 4 * (100 * (16 + 48) + 24 * 10 * 14));
    space_destroy(space);
}

/* Every unit of two spaces: what its ops add is what it adds. */
static void ops_of_a_unit_sum_up_to_it(void **state) {
    static const char *const names[] = {"ofa_mbv3", "resnet_50_elastic"};
    for (int s = 0; s < 2; s++) {
        struct space *space = builtin(names[s]);
        struct unit_list *units;
        assert_int_equal(space_units(space, NULL, &units), 0);
        for (int u = 0; u < units->n; u++) {
            const struct graph *graph = units->entries[u].graph;
            struct cost whole, sum = {0}, part;
            unit_cost(graph, 0, &whole);
            for (int i = 0; i < graph->units[0].n_ops; i++) {
                unit_op_cost(graph, 0, i, &part);
                sum.macs += part.macs;
                sum.params += part.params;
                sum.model_bytes += part.model_bytes;
                sum.traffic_bytes += part.traffic_bytes;
            }
            assert_int_equal(sum.macs, whole.macs);
            assert_int_equal(sum.params, whole.params);
            assert_int_equal(sum.model_bytes, whole.model_bytes);
            assert_int_equal(sum.traffic_bytes, whole.traffic_bytes);
        }
        unit_list_destroy(units);
        space_destroy(space);
    }
}

/* 8 channels at 8x8, expanded to 24, SE, back to 8 with the input added: 2 KiB and 6 KiB a tensor.
 */
static void live_tensors_are_as_by_hand(void **state) {
    struct graph *graph = NULL;
    cJSON *doc = cJSON_Parse(
        "{\"input\":{\"channels\":8,\"height\":8,\"width\":8},\"units\":[{\"kind\":\"block\","
        "\"stage\":0,\"block\":0,"
        "\"act\":\"relu\",\"c_out\":8,\"kernel_size\":3,\"stride\":1,\"expand_channels\":24,"
        "\"se_channels\":8,\"residual\":true}]}");
    static const int64_t kib[] = {2 + 6, 2 + 6 + 6, 2 + 6, 2 + 6 + 2};
    struct err err = {0};
    if (graph_from_json(doc, "", &err, &graph) != 0)
        fail_msg("%s: %s", err.pointer, err.message);
    assert_int_equal(graph->n_ops, 4);
    for (int i = 0; i < 4; i++) {
        struct cost cost;
        unit_op_cost(graph, 0, i, &cost);
        assert_int_equal(cost.peak_activation_bytes, 1024 * kib[i]);
    }
    free(graph);
    cJSON_Delete(doc);
}

static void bytes_follow_the_element(void **state) {
    struct space *space = builtin("fashion_small");
    struct arch arch;
    struct graph *graph = NULL;
    struct cost four, one;
    arch_max(space, &arch);
    assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
    assert_int_equal(graph_cost(graph, 4, NULL, &four), 0);
    assert_int_equal(graph_cost(graph, 1, NULL, &one), 0);
    assert_int_equal(four.model_bytes, 4 * one.model_bytes);
    assert_int_equal(four.peak_simple_bytes, 4 * one.peak_simple_bytes);
    assert_int_equal(four.macs, one.macs);
    assert_int_equal(graph_cost(graph, 0, NULL, &one), ESP_EINVAL);
    free(graph);
    space_destroy(space);
}

static void foreign_archs_are_refused(void **state) {
    struct space *space = builtin("fashion_small");
    struct arch arch;
    struct cost cost = {.macs = 77};
    struct err err = {0};
    arch_max(space, &arch);
    arch.depth[0] = 9;
    assert_int_equal(arch_cost(space, &arch, &err, &cost), ESP_EINVAL);
    assert_int_equal(cost.macs, 77);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traffic_and_energy_are_those_of_fused_units),
        cmocka_unit_test(counts_equal_logged_rows),
        cmocka_unit_test(extremes_of_ofa_are_known),
        cmocka_unit_test(cost_range_is_that_of_min_and_max),
        cmocka_unit_test(ranges_are_those_of_all_subnets),
        cmocka_unit_test(arch_cost_equals_graph_cost),
        cmocka_unit_test(costs_of_a_block_are_as_by_hand),
        cmocka_unit_test(ops_of_a_unit_sum_up_to_it),
        cmocka_unit_test(live_tensors_are_as_by_hand),
        cmocka_unit_test(bytes_follow_the_element),
        cmocka_unit_test(foreign_archs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
