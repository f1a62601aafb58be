#include "fixture.h"

#include <math.h>

#include "base/json.h"
#include "space/cost.h"
#include "space/graph.h"

enum { SAMPLES = 200 };

static struct graph *graph_of(const struct space *space, const char *text) {
    struct arch arch = parsed(space, text);
    struct graph *graph = NULL;
    assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
    return graph;
}

static void assert_shape(const struct graph *graph, int tensor, int channels, int side) {
    assert_int_equal(graph->tensors[tensor].channels, channels);
    assert_int_equal(graph->tensors[tensor].height, side);
    assert_int_equal(graph->tensors[tensor].width, side);
}

static void ops_of_a_small_arch_are_as_by_hand(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    struct graph *graph = graph_of(space, "r9 | d1 c16 k5e1 | d1 c16 k3e2 | d1 c24 k7e2");
    static const enum op_role roles[] = {
        ROLE_STEM,    ROLE_DEPTHWISE,    ROLE_PROJECT, ROLE_EXPAND,      ROLE_DEPTHWISE,
        ROLE_SE,      ROLE_PROJECT,      ROLE_EXPAND,  ROLE_DEPTHWISE,   ROLE_SE,
        ROLE_PROJECT, ROLE_FINAL_EXPAND, ROLE_POOL,    ROLE_FEATURE_MIX, ROLE_CLASSIFIER};
    static const int shapes[][2] = {{3, 9},  {8, 9},  {8, 5},  {16, 5}, {32, 5}, {32, 5},
                                    {32, 5}, {16, 5}, {32, 5}, {32, 3}, {32, 3}, {24, 3},
                                    {32, 3}, {32, 1}, {40, 1}, {4, 1}};
    assert_int_equal(graph->n_ops, 15);
    assert_int_equal(graph->n_tensors, 16);
    assert_int_equal(graph->n_units, 6);
    for (int i = 0; i < graph->n_ops; i++)
        assert_int_equal(graph->ops[i].role, roles[i]);
    for (int i = 0; i < graph->n_tensors; i++)
        assert_shape(graph, i, shapes[i][0], shapes[i][1]);
    assert_int_equal(graph->ops[1].kernel, 5);
    assert_int_equal(graph->ops[1].pad, 2);
    assert_int_equal(graph->ops[2].residual, -1); /* stride 2 */
    assert_int_equal(graph->ops[6].residual, 3);
    assert_int_equal(graph->ops[5].se_channels, 8);
    assert_int_equal(graph->ops[6].act, ACT_NONE);
    assert_int_equal(graph->ops[4].act, ACT_HSWISH);
    assert_false(graph->ops[13].bn);
    assert_true(graph->ops[13].bias);
    assert_int_equal(graph->ops[13].act, ACT_RELU);
    assert_int_equal(graph->ops[4].stage, 1);
    assert_int_equal(graph->ops[4].block, 2);
    assert_int_equal(graph->ops[11].block, -1);
    free(graph);
    space_destroy(space);
}

static void signatures_say_the_work(void **state) {
    static const char *const signatures[] = {"stem 3x9x9 k3 s1 h_swish -> 8",
                                             "block 8x9x9 k5 s2 relu -> 16",
                                             "block 16x5x5 e32 k3 s1 h_swish se8 -> 16 residual",
                                             "block 16x5x5 e32 k7 s2 h_swish se8 -> 24",
                                             "head_conv 24x3x3 relu -> 32",
                                             "head_tail 32x3x3 mix40+bias relu -> 4"};
    struct space *space = parsed_space(TINY_SPACE);
    struct graph *graph = graph_of(space, "r9 | d1 c16 k5e1 | d1 c16 k3e2 | d1 c24 k7e2");
    for (int i = 0; i < 6; i++)
        assert_string_equal(graph->units[i].signature, signatures[i]);
    free(graph);
    space_destroy(space);
}

/* What every reader of a graph relies on. */
static void assert_well_formed(const struct graph *graph) {
    assert_int_equal(graph->n_tensors, graph->n_ops + 1);
    int next = 0;
    for (int u = 0; u < graph->n_units; u++) {
        const struct graph_unit *unit = &graph->units[u];
        assert_int_equal(unit->first_op, next);
        assert_in_range(unit->n_ops, 1, UNIT_OPS_MAX);
        next += unit->n_ops;
        for (int i = unit->first_op; i < next; i++) {
            const struct op *op = &graph->ops[i];
            const struct tensor_shape *in = &graph->tensors[op->input];
            const struct tensor_shape *out = &graph->tensors[i + 1];
            assert_in_range(op->input, unit->first_op, i);
            assert_int_equal(op->output, i + 1);
            assert_true(op->c_in == in->channels && op->h_in == in->height &&
                        op->w_in == in->width);
            assert_true(op->c_out == out->channels && op->h_out == out->height &&
                        op->w_out == out->width);
            assert_true(op->stage == unit->stage && op->block == unit->block);
            if (op->kind == OP_CONV || op->kind == OP_DEPTHWISE)
                assert_int_equal(op->h_out, (op->h_in + 2 * op->pad - op->kernel) / op->stride + 1);
            if (op->residual >= 0) {
                assert_in_range(op->residual, unit->first_op, i);
                assert_memory_equal(&graph->tensors[op->residual], out, sizeof(*out));
            }
        }
    }
    assert_int_equal(next, graph->n_ops);
}

static void random_graphs_are_well_formed(void **state) {
    for (int s = 0; space_builtin_names[s]; s++) {
        struct space *space = builtin(space_builtin_names[s]);
        struct rng rng = rng_make(5, RNG_TEST, 0, (uint32_t)s);
        for (int i = 0; i < SAMPLES; i++) {
            struct arch arch;
            struct graph *graph = NULL;
            arch_random(space, &rng, &arch);
            assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
            assert_well_formed(graph);
            free(graph);
        }
        space_destroy(space);
    }
}

static void invalid_archs_are_refused(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    struct arch arch;
    struct graph *graph = NULL;
    struct err err = {0};
    arch_min(space, &arch);
    arch.kernel[1] = 1;
    assert_int_equal(graph_build(space, &arch, &err, &graph), ESP_EINVAL);
    assert_non_null(strstr(err.message, "tiny"));
    assert_null(graph);
    space_destroy(space);
}

static void one_unit_alone_is_the_same_work(void **state) {
    struct space *space = builtin("fashion_small");
    struct arch arch;
    struct graph *graph = NULL, *alone = NULL;
    int64_t macs = 0;
    struct cost cost;
    arch_max(space, &arch);
    assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
    for (int i = 0; i < graph->n_units; i++) {
        assert_int_equal(graph_of_unit(graph, i, NULL, &alone), 0);
        assert_well_formed(alone);
        assert_int_equal(alone->n_units, 1);
        assert_string_equal(alone->units[0].signature, graph->units[i].signature);
        assert_int_equal(alone->units[0].block, graph->units[i].block);
        assert_int_equal(graph_cost(alone, 4, NULL, &cost), 0);
        macs += cost.macs;
        free(alone);
        alone = NULL;
    }
    assert_int_equal(graph_cost(graph, 4, NULL, &cost), 0);
    assert_int_equal(cost.macs, macs);
    assert_int_equal(graph_of_unit(graph, graph->n_units, NULL, &alone), ESP_EINVAL);
    assert_int_equal(graph_of_unit(graph, -1, NULL, &alone), ESP_EINVAL);
    assert_null(alone);
    free(graph);
    space_destroy(space);
}

static void id_is_of_work_and_precision(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    /* The same network in another space: other name, other choices beside it. */
    struct space *other = parsed_space(
        "{\"name\":\"other\",\"input_channels\":3,\"n_classes\":4,\"resolutions\":[9],"
        "\"stem\":{\"channels\":8,\"kernel_size\":3,\"stride\":1,\"act\":\"h_swish\"},\"stages\":["
        "{\"depths\":[1],\"channels\":[16],\"kernel_sizes\":[5,7],\"expand_ratios\":[1,4],"
        "\"stride\":2,\"act\":\"relu\",\"se\":false},"
        "{\"depths\":[1],\"channels\":[16],\"kernel_sizes\":[3],\"expand_ratios\":[2],"
        "\"stride\":1,\"act\":\"h_swish\",\"se\":true},"
        "{\"depths\":[1,2],\"channels\":[24],\"kernel_sizes\":[3,7],\"expand_ratios\":[2],"
        "\"stride\":2,\"act\":\"h_swish\",\"se\":true}],\"head\":{\"expand_channels\":32,"
        "\"mix_channels\":40,\"mix_bias\":true,\"act\":\"relu\"}}");
    struct graph *a = graph_of(space, "r9 | d1 c16 k5e1 | d1 c16 k3e2 | d1 c24 k7e2");
    struct graph *b = graph_of(other, "r9 | d1 c16 k5e1 | d1 c16 k3e2 | d1 c24 k7e2");
    struct graph *c = graph_of(other, "r9 | d1 c16 k5e1 | d1 c16 k3e2 | d1 c24 k3e2");
    char id_a[HASH_TEXT], id_b[HASH_TEXT], id_c[HASH_TEXT], half[HASH_TEXT];
    graph_id(a, "fp32", id_a);
    graph_id(b, "fp32", id_b);
    graph_id(c, "fp32", id_c);
    graph_id(a, "fp16", half);
    assert_int_equal(strlen(id_a), HASH_TEXT - 1);
    assert_string_equal(id_a, id_b);
    assert_string_not_equal(id_a, id_c);
    assert_string_not_equal(id_a, half);
    free(a);
    free(b);
    free(c);
    space_destroy(space);
    space_destroy(other);
}

static int read_back(const char *text, struct err *err, struct graph **ret_graph) {
    cJSON *doc = NULL;
    assert_int_equal(json_parse(text, strlen(text), &json_limits_default, err, &doc), 0);
    int code = graph_from_json(doc, "/graph", err, ret_graph);
    cJSON_Delete(doc);
    return code;
}

static void assert_same_graph(const struct graph *a, const struct graph *b) {
    assert_true(a->n_ops == b->n_ops && a->n_units == b->n_units);
    assert_memory_equal(a->ops, b->ops, (size_t)a->n_ops * sizeof(*a->ops));
    assert_memory_equal(a->tensors, b->tensors, (size_t)a->n_tensors * sizeof(*a->tensors));
    assert_memory_equal(a->units, b->units, (size_t)a->n_units * sizeof(*a->units));
}

static void json_reads_back_equal(void **state) {
    for (int s = 0; space_builtin_names[s]; s++) {
        struct space *space = builtin(space_builtin_names[s]);
        struct rng rng = rng_make(6, RNG_TEST, 0, (uint32_t)s);
        for (int i = 0; i < 20; i++) {
            struct arch arch;
            struct graph *graph = NULL, *again = NULL, *unit = NULL;
            arch_random(space, &rng, &arch);
            assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
            cJSON *doc = graph_to_json(graph);
            assert_int_equal(graph_from_json(doc, "", NULL, &again), 0);
            assert_same_graph(graph, again);
            cJSON_Delete(doc);
            assert_int_equal(graph_of_unit(graph, i % graph->n_units, NULL, &unit), 0);
            doc = graph_to_json(unit);
            free(again);
            assert_int_equal(graph_from_json(doc, "", NULL, &again), 0);
            assert_same_graph(unit, again);
            cJSON_Delete(doc);
            free(graph);
            free(again);
            free(unit);
        }
        space_destroy(space);
    }
}

#define INPUT "{\"input\":{\"channels\":16,\"height\":8,\"width\":6},\"units\":["
#define BLOCK                                                                                      \
    "{\"kind\":\"block\",\"act\":\"relu\",\"kernel_size\":3,\"stride\":1,\"c_out\":16,"            \
    "\"expand_channels\":48,\"residual\":true}"

static void json_of_one_block_is_read(void **state) {
    struct graph *graph = NULL;
    struct err err = {0};
    assert_int_equal(read_back(INPUT BLOCK "]}", &err, &graph), 0);
    assert_well_formed(graph);
    assert_int_equal(graph->n_ops, 3);
    assert_string_equal(graph->units[0].signature, "block 16x8x6 e48 k3 s1 relu -> 16 residual");
    free(graph);
}

struct bad_case {
    const char *text, *pointer;
    int code;
};

static const struct bad_case bad_cases[] = {
    {"{}", "/graph/input", ESP_EINVAL},
    {"[]", "/graph", ESP_EINVAL},
    {"{\"input\":{\"channels\":16,\"height\":8,\"width\":8}}", "/graph/units", ESP_EINVAL},
    {INPUT "]}", "/graph/units", ESP_EINVAL},
    {INPUT "],\"x\":1}", "/graph/x", ESP_EINVAL},
    {INPUT "1]}", "/graph/units/0", ESP_EINVAL},
    {INPUT "{}]}", "/graph/units/0/kind", ESP_EINVAL},
    {INPUT "{\"kind\":\"pool\"}]}", "/graph/units/0/kind", ESP_EINVAL},
    {"{\"input\":{\"channels\":0,\"height\":8,\"width\":8},\"units\":[" BLOCK "]}",
     "/graph/input/channels", ESP_EINVAL},
    {"{\"input\":{\"channels\":12,\"height\":8,\"width\":8},\"units\":[" BLOCK "]}",
     "/graph/units/0/kind", ESP_EINVAL},
    {"{\"input\":{\"channels\":16,\"height\":100000,\"width\":8},\"units\":[" BLOCK "]}",
     "/graph/input/height", ESP_EINVAL},
    {"{\"input\":{\"channels\":24,\"height\":8,\"width\":8},\"units\":[" BLOCK "]}",
     "/graph/units/0/residual", ESP_EINVAL},
    {INPUT "{\"kind\":\"block\",\"act\":\"relu\",\"kernel_size\":3,\"stride\":2,\"c_out\":16,"
           "\"residual\":true}]}",
     "/graph/units/0/residual", ESP_EINVAL},
    {INPUT "{\"kind\":\"block\",\"act\":\"relu\",\"kernel_size\":4,\"stride\":2,\"c_out\":16}]}",
     "/graph/units/0/kernel_size", ESP_EINVAL},
    {INPUT "{\"kind\":\"block\",\"act\":\"gelu\",\"kernel_size\":3,\"stride\":2,\"c_out\":16}]}",
     "/graph/units/0/act", ESP_EINVAL},
    {INPUT "{\"kind\":\"block\",\"act\":\"relu\",\"kernel_size\":3,\"stride\":2,\"c_out\":20}]}",
     "/graph/units/0/c_out", ESP_EINVAL},
    {INPUT "{\"kind\":\"block\",\"act\":\"relu\",\"kernel_size\":3,\"stride\":2,\"c_out\":16,"
           "\"se_channels\":-8}]}",
     "/graph/units/0/se_channels", ESP_EINVAL},
    {INPUT "{\"kind\":\"block\",\"act\":\"relu\",\"kernel_size\":3,\"stride\":2,\"c_out\":16,"
           "\"run\":\"x\"}]}",
     "/graph/units/0/run", ESP_EINVAL},
    {INPUT "{\"kind\":\"head_tail\",\"c_out\":10}," BLOCK "]}", "/graph/units/1/kind", ESP_EINVAL},
    {INPUT "{\"kind\":\"head_tail\",\"c_out\":10},{\"kind\":\"head_tail\",\"c_out\":10}]}",
     "/graph/units/1/kind", ESP_EINVAL},
    {INPUT BLOCK
     ",{\"kind\":\"stem\",\"act\":\"relu\",\"kernel_size\":3,\"stride\":1,\"c_out\":8}]}",
     "/graph/units/1/kind", ESP_EINVAL},
    {INPUT "{\"kind\":\"head_tail\",\"c_out\":10,\"mix_bias\":true}]}", "/graph/units/0/mix_bias",
     ESP_EINVAL},
    {INPUT "{\"kind\":\"head_tail\",\"c_out\":10,\"act\":\"relu\"}]}", "/graph/units/0/act",
     ESP_EINVAL},
    {INPUT "{\"kind\":\"head_tail\",\"c_out\":1}]}", "/graph/units/0/c_out", ESP_EINVAL},
    {"{\"input\":{\"channels\":4096,\"height\":1024,\"width\":1024},\"units\":["
     "{\"kind\":\"head_conv\",\"act\":\"relu\",\"c_out\":4096}]}",
     "/graph", ESP_ELIMIT},
    {"{\"input\":{\"channels\":8,\"height\":1024,\"width\":1024},\"units\":["
     "{\"kind\":\"head_conv\",\"act\":\"relu\",\"c_out\":1024}]}",
     "/graph", ESP_ELIMIT},
};

static void bad_json_is_refused_at_its_place(void **state) {
    for (size_t i = 0; i < sizeof(bad_cases) / sizeof(*bad_cases); i++) {
        struct graph *graph = NULL;
        struct err err = {0};
        int code = read_back(bad_cases[i].text, &err, &graph);
        if (code != bad_cases[i].code || strcmp(err.pointer, bad_cases[i].pointer) != 0)
            fail_msg("%s: %d at %s: %s", bad_cases[i].text, code, err.pointer, err.message);
        assert_null(graph);
    }
}

static void more_units_than_the_limit_are_refused(void **state) {
    size_t size = 80 * sizeof(BLOCK) + sizeof(INPUT) + 16;
    char *text = malloc(size);
    snprintf(text, size, "%s%s", INPUT, BLOCK);
    for (int i = 1; i < GRAPH_UNITS_MAX + 1; i++)
        strcat(text, "," BLOCK);
    strcat(text, "]}");
    struct graph *graph = NULL;
    struct err err = {0};
    assert_int_equal(read_back(text, &err, &graph), ESP_EINVAL);
    assert_string_equal(err.pointer, "/graph/units");
    free(text);
}

static int find_signature(const struct unit_list *units, const char *signature) {
    int found = 0;
    for (int i = 0; i < units->n; i++)
        found += strcmp(units->entries[i].signature, signature) == 0;
    return found;
}

/* Every unit of every subnet is in the list once, and nothing else is; as often as it says. */
static void units_are_those_of_all_subnets(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    struct unit_list *units = NULL;
    struct rng rng = rng_make(8, RNG_TEST, 0, 0);
    assert_int_equal(space_units(space, NULL, &units), 0);
    int *seen = calloc((size_t)units->n, sizeof(*seen));
    enum { SUBNETS = 4000 };
    for (int i = 0; i < SUBNETS; i++) {
        struct arch arch;
        struct graph *graph = NULL;
        arch_random(space, &rng, &arch);
        assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
        for (int u = 0; u < graph->n_units; u++) {
            assert_int_equal(find_signature(units, graph->units[u].signature), 1);
            for (int e = 0; e < units->n; e++)
                seen[e] += strcmp(units->entries[e].signature, graph->units[u].signature) == 0;
        }
        free(graph);
    }
    for (int e = 0; e < units->n; e++) {
        double uses = units->entries[e].uses, mean = (double)seen[e] / SUBNETS;
        assert_true(seen[e]);
        assert_true(fabs(mean - uses) < 5 * sqrt(uses / SUBNETS)); /* five standard errors */
        assert_well_formed(units->entries[e].graph);
        assert_string_equal(units->entries[e].graph->units[0].signature,
                            units->entries[e].signature);
    }
    free(seen);
    unit_list_destroy(units);
    unit_list_destroy(NULL);
    space_destroy(space);
}

static void ofa_has_as_many_units_as_its_tables_have_keys(void **state) {
    struct space *space = builtin("ofa_mbv3_w12");
    /* One resolution alone: stem, first block, 5 stages of 9 first and 9 other blocks, head conv,
     * tail; a published table of this space counts the tail as three keys: 96. */
    space->resolutions[0] = 224;
    space->n_resolutions = 1;
    struct unit_list *units = NULL;
    assert_int_equal(space_units(space, NULL, &units), 0);
    assert_int_equal(units->n, 1 + 1 + 5 * 18 + 1 + 1);
    unit_list_destroy(units);
    space_destroy(space);
}

static void signatures_read_back(void **state) {
    for (int i = 0; space_builtin_names[i]; i++) {
        struct space *space = builtin(space_builtin_names[i]);
        struct unit_list *units;
        assert_int_equal(space_units(space, NULL, &units), 0);
        for (int k = 0; k < units->n; k++) {
            const struct graph *graph = units->entries[k].graph;
            struct unit_spec spec;
            struct cost cost;
            assert_int_equal(unit_parse(units->entries[k].signature, &spec), 0);
            unit_cost(graph, 0, &cost);
            assert_int_equal(unit_spec_macs(&spec), cost.macs);
            assert_int_equal(spec.c_out, graph->units[0].spec.c_out);
            assert_int_equal(spec.residual, graph->units[0].spec.residual);
        }
        unit_list_destroy(units);
        space_destroy(space);
    }
}

static void what_is_no_signature_is_refused(void **state) {
    static const char *const texts[] = {
        "",
        "block",
        "block 8x20x20",
        "block 8x20x20 e16 k3 s2 relu",
        "block 8x20x20 e16 k3 s2 relu -> ",
        "block 8x20x20 e16 k3 s2 relu -> 16 ",
        "block 8x20x20 e16 k3 s2 relu -> 16 residual residual",
        "block 8x20x20  e16 k3 s2 relu -> 16",
        "block 8x20x20 k3 e16 s2 relu -> 16",
        "block 8x20x20 e016 k3 s2 relu -> 16",
        "block 8x20x20 e16 k3 s2 elu -> 16",
        "block 8x20x20 e16 k3 s0 relu -> 16",
        "block 8x20x20 e16 k0 s2 relu -> 16",
        "block 8x20x20 e16 k99 s2 relu -> 16",
        "block 8x0x20 e16 k3 s2 relu -> 16",
        "block 8x20x2000 e16 k3 s2 relu -> 16",
        "block -8x20x20 e16 k3 s2 relu -> 16",
        "block 8x20x20 e99999999999999999999 k3 s2 relu -> 16",
        "block 8x20x20 e16 k3 s2 relu -> 0",
        "rock 8x20x20 e16 k3 s2 relu -> 16",
        "stem 3x32x32 e16 k3 s1 relu -> 16",
        "head_tail 64x4x4 mix16+bia relu -> 10",
    };
    char longest[4 * GRAPH_SIGNATURE_MAX];
    struct unit_spec spec;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (unit_parse(texts[i], &spec) == 0)
            fail_msg("\"%s\" was read", texts[i]);
    memset(longest, 'k', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_int_equal(unit_parse(longest, &spec), ESP_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ops_of_a_small_arch_are_as_by_hand),
        cmocka_unit_test(signatures_say_the_work),
        cmocka_unit_test(random_graphs_are_well_formed),
        cmocka_unit_test(invalid_archs_are_refused),
        cmocka_unit_test(one_unit_alone_is_the_same_work),
        cmocka_unit_test(id_is_of_work_and_precision),
        cmocka_unit_test(json_reads_back_equal),
        cmocka_unit_test(json_of_one_block_is_read),
        cmocka_unit_test(bad_json_is_refused_at_its_place),
        cmocka_unit_test(more_units_than_the_limit_are_refused),
        cmocka_unit_test(units_are_those_of_all_subnets),
        cmocka_unit_test(ofa_has_as_many_units_as_its_tables_have_keys),
        cmocka_unit_test(signatures_read_back),
        cmocka_unit_test(what_is_no_signature_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
