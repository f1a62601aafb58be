/* Kinds of blocks: what spaces, archs, graphs and counts make of them, and that nothing changes for
 * spaces from before there were kinds. */
#include "fixture.h"

#include <math.h>

#include "base/json.h"
#include "space/additive.h"
#include "space/cost.h"
#include "space/unit_sums.h"

#define SMALLEST "r9 | d1 c8 k3 | d1 c16 k3 | d1 c16 k3e0.5 | d1 c24 k3e0.25 | d1 c32 k3e1"
#define LARGEST                                                                                    \
    "r16 | d2 c16 k5 k5 | d1 c16 k3 | d1 c24 k3e0.5 | d2 c32 k5e0.5 k5e0.5 | d1 c32 k3e2"

/* As released before there were other kinds than inverted residual blocks. */
static void spaces_from_before_keep_their_identities(void **state) {
    static const struct {
        const char *name, *fingerprint, *largest_arch, *largest_graph;
    } known[] = {
        {"fashion_small", "4b75a3a86ff31a383fecdc83b83be1f2", "a1f566fd13f36f414ca87f50f2d5f014",
         "62737e500a2d57b7d379fd65136f7409"},
        {"peer_28", "404aff20ed0dd74b52f60f6082064b7c", "d73bc79c93a81e0a3c3e0fb5415333fd",
         "5a297021e7d33dc1e8e4fa7ce0950d34"},
        {"peer_32", "0f7c7ee58dc54ce4473e0aadd348422a", "37535e6c1ae20e8d3cfedb31a22d4ed1",
         "8374f4f19a8308de5261d9fd441da8dd"},
        {"ofa_mbv3", "c65304642e5fbfec194ce0540bab1a87", "29acc6b8bf987059c1436b4345ac3e04",
         "0f85da5147c041afdac8c25dcadb26ad"},
        {"ofa_mbv3_w12", "08366160c2356db06794413d2f1f2338", "fb996f0912f3b4dd2542adc25210b814",
         "797543f67b78a562634204e7d9bbeb40"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        struct space *space = builtin(known[i].name);
        struct graph *graph = NULL;
        struct arch arch;
        char id[HASH_TEXT];
        arch_max(space, &arch);
        assert_string_equal(space->fingerprint, known[i].fingerprint);
        arch_id(space, &arch, id);
        assert_string_equal(id, known[i].largest_arch);
        assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
        graph_id(graph, "fp32", id);
        assert_string_equal(id, known[i].largest_graph);
        free(graph);
        space_destroy(space);
    }
}

static char *edited(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("%s is not in the text", from);
    size_t size = strlen(text) + strlen(to) + 1;
    char *result = malloc(size);
    snprintf(result, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return result;
}

static void the_default_kind_may_be_named(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    char *text = edited(TINY_SPACE, "\"name\":\"a\",", "\"block\":\"inverted_residual\",");
    struct space *named = parsed_space(text);
    assert_string_equal(space->fingerprint, named->fingerprint);
    free(text);
    space_destroy(named);
    space_destroy(space);
}

static void kinds_are_read_and_printed(void **state) {
    static const enum block_kind kinds[] = {BLOCK_CONV, BLOCK_CONV, BLOCK_BOTTLENECK,
                                            BLOCK_BOTTLENECK, BLOCK_INVERTED_RESIDUAL};
    struct space *space = parsed_space(MIXED_SPACE), *again = NULL;
    for (int i = 0; i < 5; i++)
        assert_int_equal(space->stages[i].block, kinds[i]);
    assert_true(space->stages[0].residual && !space->stages[1].residual);
    assert_int_equal(space->stages[0].n_expand_ratios, 1);
    assert_true(space_cardinality(space) == MIXED_SUBNETS);
    char *text = space_print(space);
    again = parsed_space(text);
    assert_memory_equal(space, again, sizeof(*space));
    free(text);
    space_destroy(again);
    /* what differs in the network differs in the fingerprint */
    static const char *const edits[][2] = {{"\"residual\":true", "\"residual\":false"},
                                           {"[0.25,0.5]", "[0.25,0.75]"},
                                           {"relu6", "relu"}};
    for (int i = 0; i < 3; i++) {
        text = edited(MIXED_SPACE, edits[i][0], edits[i][1]);
        again = parsed_space(text);
        assert_string_not_equal(space->fingerprint, again->fingerprint);
        free(text);
        space_destroy(again);
    }
    space_destroy(space);
}

static void wrong_members_are_refused_at_their_place(void **state) {
    static const struct {
        const char *from, *to, *pointer, *words;
    } cases[] = {
        {"\"block\":\"conv\"", "\"block\":\"dense\"", "/stages/0/block", "bottleneck"},
        {"\"block\":\"conv\"", "\"block\":1", "/stages/0/block", ""},
        {"\"residual\":true", "\"se\":true", "/stages/0/se", "not known"},
        {"\"residual\":true", "\"expand_ratios\":[1]", "/stages/0/expand_ratios", "not known"},
        {"\"residual\":true", "\"residual\":1", "/stages/0/residual", "true or false"},
        {"\"expand_ratios\":[0.5],", "", "/stages/2/expand_ratios", "missing"},
        {"\"expand_ratios\":[0.5],", "\"expand_ratios\":[0.5],\"se\":true,", "/stages/2/se",
         "not known"},
        {"[0.25,0.5]", "[0.25,5]", "/stages/3/expand_ratios/1", "from 0.05 to 4"},
        {"[0.25,0.5]", "[0.01,0.5]", "/stages/3/expand_ratios/0", "from 0.05 to 4"},
        {"[0.25,0.5]", "[0.25,0.3]", "/stages/3/expand_ratios/1",
         "both give 8 channels on 24 output channels"},
        {"\"kernel_sizes\":[3,5]", "\"kernel_sizes\":[2,5]", "/stages/0/kernel_sizes/0", "from 3"},
        {"[1,2],\"stride\":1,\"act\":\"h_swish\",\"se\":true",
         "[1,2],\"stride\":1,\"act\":\"h_swish\",\"residual\":true", "/stages/4/residual",
         "not known"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *text = edited(MIXED_SPACE, cases[i].from, cases[i].to);
        struct space *space = NULL;
        struct err err = {0};
        int code = space_parse(text, strlen(text), &err, &space);
        if (code != ESP_EINVAL || strcmp(err.pointer, cases[i].pointer) != 0 ||
            !strstr(err.message, cases[i].words))
            fail_msg("%s: %d at %s: %s", cases[i].to, code, err.pointer, err.message);
        free(text);
    }
}

static void archs_have_a_text(void **state) {
    struct space *space = parsed_space(MIXED_SPACE);
    struct rng rng = rng_make(4, RNG_TEST, 0, 0);
    struct arch arch, again;
    char text[ARCH_TEXT_MAX];
    arch_min(space, &arch);
    arch_format(space, &arch, text);
    assert_string_equal(text, SMALLEST);
    arch_max(space, &arch);
    arch_format(space, &arch, text);
    assert_string_equal(text, LARGEST);
    for (int i = 0; i < 300; i++) {
        arch_random(space, &rng, &arch);
        arch_format(space, &arch, text);
        again = parsed(space, text);
        assert_true(arch_equal(&arch, &again));
    }
    struct err err = {0};
    const char *wrong =
        "r9 | d1 c8 k3e1 | d1 c16 k3 | d1 c16 k3e0.5 | d1 c24 k3e0.25 | d1 c32 k3e1";
    assert_int_equal(arch_parse(space, wrong, strlen(wrong), &err, &arch), ESP_EPARSE);
    assert_non_null(strstr(err.message, "character 14"));
    /* resolution 2; a: depth, channels, 2 kernels twice; channels; b: depth, channels, kernels and
     * ratios twice; 2 ratios */
    assert_int_equal(arch_features(space, NULL, NULL), 2 + (2 + 2 + 4) + 2 + (2 + 2 + 8) + 2);
    space_destroy(space);
}

struct want_op {
    enum op_role role;
    int input, residual, c_in, c_out, side, kernel, stride;
    enum act act;
    bool act_last;
};

static void ops_are_as_by_hand(void **state) {
    static const struct want_op want[] = {
        {ROLE_STEM, 0, -1, 1, 8, 9, 3, 1, ACT_RELU, false},
        {ROLE_CONV, 1, -1, 8, 16, 5, 5, 2, ACT_RELU6, false}, /* a: stride 2 */
        {ROLE_CONV, 2, 2, 16, 16, 5, 3, 1, ACT_RELU6, false}, /* a: residual */
        {ROLE_CONV, 3, -1, 16, 16, 5, 3, 1, ACT_RELU, false}, /* its stage wants no residual */
        {ROLE_REDUCE, 4, -1, 16, 8, 5, 1, 1, ACT_HSWISH, false},
        {ROLE_CONV, 5, -1, 8, 8, 5, 3, 1, ACT_HSWISH, false},
        {ROLE_PROJECT, 6, 4, 8, 16, 5, 1, 1, ACT_HSWISH, true}, /* shortcut: the input */
        {ROLE_REDUCE, 7, -1, 16, 16, 5, 1, 1, ACT_RELU, false},
        {ROLE_CONV, 8, -1, 16, 16, 3, 5, 2, ACT_RELU, false},
        {ROLE_SHORTCUT, 7, -1, 16, 32, 3, 1, 2, ACT_NONE, false},
        {ROLE_PROJECT, 9, 10, 16, 32, 3, 1, 1, ACT_RELU, true},
    };
    struct space *space = parsed_space(MIXED_SPACE);
    struct arch arch = parsed(
        space, "r9 | d2 c16 k5 k3 | d1 c16 k3 | d1 c16 k3e0.5 | d1 c32 k5e0.5 | d1 c32 k3e1");
    struct graph *graph = NULL;
    assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
    for (int i = 0; i < (int)(sizeof(want) / sizeof(*want)); i++) {
        const struct op *op = &graph->ops[i];
        const struct want_op *w = &want[i];
        assert_int_equal(op->role, w->role);
        assert_int_equal(op->input, w->input);
        assert_int_equal(op->output, i + 1);
        assert_int_equal(op->residual, w->residual);
        assert_int_equal(op->c_in, w->c_in);
        assert_int_equal(op->c_out, w->c_out);
        assert_int_equal(op->h_out, w->side);
        assert_int_equal(op->w_out, w->side);
        assert_int_equal(op->kernel, w->kernel);
        assert_int_equal(op->pad, w->kernel / 2);
        assert_int_equal(op->stride, w->stride);
        assert_int_equal(op->act, w->act);
        assert_int_equal(op->act_last, w->act_last);
        assert_true(op->bn);
        assert_int_equal(graph->tensors[i + 1].channels, w->c_out);
    }
    static const char *const signatures[] = {"stem 1x9x9 k3 s1 relu -> 8",
                                             "conv 8x9x9 k5 s2 relu6 -> 16",
                                             "conv 16x5x5 k3 s1 relu6 -> 16 residual",
                                             "conv 16x5x5 k3 s1 relu -> 16",
                                             "bottleneck 16x5x5 e8 k3 s1 h_swish -> 16 residual",
                                             "bottleneck 16x5x5 e16 k5 s2 relu -> 32",
                                             "block 32x3x3 k3 s1 h_swish se8 -> 32 residual",
                                             "head_tail 32x3x3 -> 5"};
    assert_int_equal(graph->n_units, 8);
    for (int i = 0; i < 8; i++)
        assert_string_equal(graph->units[i].signature, signatures[i]);
    free(graph);
    space_destroy(space);
}

/* A bottleneck and a conv block worked out by hand, the arena too. */
static void costs_are_as_by_hand(void **state) {
    struct space *space = parsed_space(MIXED_SPACE);
    struct arch arch = parsed(
        space, "r9 | d2 c16 k5 k3 | d1 c16 k3 | d1 c16 k3e0.5 | d1 c32 k5e0.5 | d1 c32 k3e1");
    struct graph *graph = NULL;
    struct cost cost;
    assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
    unit_cost(graph, 2, &cost); /* conv 16 -> 16 at 5 x 5 */
    assert_int_equal(cost.macs, 16 * 16 * 9 * 25);
    assert_int_equal(cost.params, 16 * 16 * 9 + 2 * 16);
    assert_int_equal(cost.model_bytes, 4 * (16 * 16 * 9 + 16));
    assert_int_equal(cost.peak_simple_bytes, 4 * 3 * 16 * 25);
    assert_int_equal(cost.peak_activation_bytes, 4 * 2 * 16 * 25);
    unit_cost(graph, 5, &cost); /* bottleneck 16 -> 16 -> 32 with shortcut, 5 x 5 to 3 x 3 */
    int64_t weights = 16 * 16 + 16 * 16 * 25 + 16 * 32 + 16 * 32;
    assert_int_equal(cost.macs, 16 * 16 * 25 + (16 * 16 * 25 + 2 * 16 * 32) * 9);
    assert_int_equal(cost.params, weights + 2 * (16 + 16 + 32 + 32));
    assert_int_equal(cost.model_bytes, 4 * (weights + 16 + 16 + 32 + 32));
    /* the input, beside it the reduced image and the middle, or the middle and the output */
    assert_int_equal(cost.peak_activation_bytes, 4 * 16 * 25 * 2 + 4 * 16 * 9);
    free(graph);
    space_destroy(space);
}

/* ---- Built-in spaces, counted from the papers' tables ---- */

struct count {
    int64_t macs, params;
    int side;
};

static void count_conv(struct count *count, int c_in, int c_out, int kernel, int stride) {
    count->side = (count->side + stride - 1) / stride;
    int64_t weights = (int64_t)c_in * c_out * kernel * kernel;
    count->macs += weights * count->side * count->side;
    count->params += weights + 2 * c_out;
}

static void count_mobile(struct count *count, int c_in, int c_out, int kernel, int ratio,
                         int stride) {
    int mid = c_in * ratio; /* of 8-multiples: so is mid */
    if (ratio > 1)
        count_conv(count, c_in, mid, 1, 1);
    count_conv(count, 1, mid, kernel, stride);
    count_conv(count, mid, c_out, 1, 1);
}

/* ProxylessNAS's backbone as once-for-all makes it elastic: 21 blocks at most. */
static struct count count_proxyless(int side, int depth, int kernel, int ratio) {
    static const int widths[] = {24, 40, 80, 96, 192}, strides[] = {2, 2, 2, 1, 2};
    struct count count = {.side = side};
    int channels = 16;
    count_conv(&count, 3, 32, 3, 2);
    count_mobile(&count, 32, 16, 3, 1, 1);
    for (int s = 0; s < 5; s++)
        for (int i = 0; i < depth; i++) {
            count_mobile(&count, channels, widths[s], kernel, ratio, i ? 1 : strides[s]);
            channels = widths[s];
        }
    count_mobile(&count, 192, 320, kernel, ratio, 1);
    count_conv(&count, 320, 1280, 1, 1);
    count.macs += 1280 * 1000;
    count.params += 1281 * 1000;
    return count;
}

static struct count count_resnet(int side, int end) {
    static const int mids[2][4] = {{32, 64, 136, 264}, {88, 176, 360, 720}};
    static const int widths[2][4] = {{168, 336, 664, 1328}, {256, 512, 1024, 2048}};
    static const int depths[2][4] = {{2, 2, 4, 2}, {4, 4, 6, 4}};
    struct count count = {.side = side};
    int channels = end ? 64 : 40;
    count_conv(&count, 3, 32, 3, 2);
    count_conv(&count, 32, channels, 3, 2);
    if (end)
        count_conv(&count, 64, 64, 3, 1);
    for (int s = 0; s < 4; s++)
        for (int i = 0; i < depths[end][s]; i++) {
            int mid = mids[end][s], out = widths[end][s], before = count.side;
            count_conv(&count, channels, mid, 1, 1);
            count_conv(&count, mid, mid, 3, s && !i ? 2 : 1);
            count_conv(&count, mid, out, 1, 1);
            int after = count.side;
            count.side = before;
            if (!i)
                count_conv(&count, channels, out, 1, s ? 2 : 1);
            count.side = after;
            channels = out;
        }
    count.macs += (int64_t)channels * 1000;
    count.params += (int64_t)(channels + 1) * 1000;
    return count;
}

static void check_end(const char *name, int end, struct count want) {
    struct space *space = builtin(name);
    struct arch arch;
    struct cost cost;
    (end ? arch_max : arch_min)(space, &arch);
    assert_int_equal(arch_cost(space, &arch, NULL, &cost), 0);
    assert_int_equal(cost.macs, want.macs);
    assert_int_equal(cost.params, want.params);
    space_destroy(space);
}

static void built_in_spaces_equal_the_tables(void **state) {
    check_end("ofa_proxyless", 0, count_proxyless(128, 2, 3, 3));
    check_end("ofa_proxyless", 1, count_proxyless(224, 4, 7, 6));
    check_end("resnet_50_elastic", 0, count_resnet(128, 0));
    check_end("resnet_50_elastic", 1, count_resnet(224, 1));
}

/* ---- Against every subnet ---- */

static double scattered(const char *signature) {
    uint64_t hash = 88172645463325252u;
    for (; *signature; signature++)
        hash = (hash ^ (unsigned char)*signature) * 1099511628211u;
    hash ^= hash >> 29;
    return (double)(hash % 1000003) / 1000.0;
}

static double scattered_unit(void *context, const struct graph *graph, int unit) {
    return scattered(graph->units[unit].signature);
}

static void scattered_values(void *context, const struct graph *graph, int unit, double *ret) {
    ret[0] = scattered(graph->units[unit].signature);
}

static double sum_of(const struct space *space, const struct arch *arch) {
    struct graph *graph = NULL;
    double sum = 0;
    assert_int_equal(graph_build(space, arch, NULL, &graph), 0);
    for (int i = 0; i < graph->n_units; i++)
        sum += scattered(graph->units[i].signature);
    free(graph);
    return sum;
}

static void keep_range(const struct cost *cost, bool first, double *low, double *high) {
    const double values[COST_METRICS] = {(double)cost->macs,
                                         (double)cost->params,
                                         (double)cost->peak_activation_bytes,
                                         (double)cost->peak_simple_bytes,
                                         (double)cost->model_bytes,
                                         (double)cost->traffic_bytes,
                                         (double)cost_energy(cost, &energy_prices_default) *
                                             ENERGY_UJ};
    for (int m = 0; m < COST_METRICS; m++) {
        low[m] = first ? values[m] : fmin(low[m], values[m]);
        high[m] = first ? values[m] : fmax(high[m], values[m]);
    }
}

static void minima_ranges_and_sums_are_those_of_all_subnets(void **state) {
    struct space *space = parsed_space(MIXED_SPACE);
    struct gene genes[SPACE_GENES_MAX];
    struct arch arch, found;
    struct cost cost;
    struct unit_sums *sums = NULL;
    double low[COST_METRICS], high[COST_METRICS], least = INFINITY, value = 0;
    int n = space_genes(space, genes), subnets = 0;
    const struct unit_sums_config config = {
        .space = space, .n_values = 1, .unit = scattered_values};
    assert_int_equal(unit_sums_create(&config, NULL, &sums), 0);
    arch_min(space, &arch);
    do {
        if (!arch_valid(space, &arch))
            continue;
        assert_int_equal(arch_cost(space, &arch, NULL, &cost), 0);
        keep_range(&cost, subnets++ == 0, low, high);
        double sum = sum_of(space, &arch);
        least = fmin(least, sum);
        assert_int_equal(unit_sums_get(sums, &arch, NULL, &value), 0);
        assert_true(fabs(value - sum) < 1e-9);
    } while (next_arch(genes, n, &arch));
    assert_int_equal(subnets, MIXED_SUBNETS);
    for (int m = 0; m < COST_METRICS; m++) {
        double from, to;
        assert_int_equal(cost_range(space, (enum cost_metric)m, NULL, &from, &to, &arch), 0);
        assert_true(from == low[m] && to == high[m]);
    }
    const struct additive_cost additive = {scattered_unit, NULL};
    assert_int_equal(additive_min(space, &additive, NULL, &value, &found), 0);
    assert_true(fabs(value - least) < 1e-9 && fabs(sum_of(space, &found) - least) < 1e-9);
    unit_sums_destroy(sums);
    space_destroy(space);
}

static void table_entries_are_those_of_all_subnets(void **state) {
    struct space *space = parsed_space(MIXED_SPACE);
    struct unit_list *units = NULL;
    struct gene genes[SPACE_GENES_MAX];
    struct arch arch;
    int n = space_genes(space, genes);
    assert_int_equal(space_units(space, NULL, &units), 0);
    bool *seen = calloc((size_t)units->n, sizeof(*seen));
    arch_min(space, &arch);
    do {
        struct graph *graph = NULL;
        if (!arch_valid(space, &arch))
            continue;
        assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
        for (int u = 0; u < graph->n_units; u++) {
            int at = 0;
            while (at < units->n &&
                   strcmp(units->entries[at].signature, graph->units[u].signature) != 0)
                at++;
            assert_true(at < units->n);
            seen[at] = true;
        }
        free(graph);
    } while (next_arch(genes, n, &arch));
    for (int i = 0; i < units->n; i++)
        assert_true(seen[i]);
    free(seen);
    unit_list_destroy(units);
    space_destroy(space);
}

/* ---- Graphs as documents ---- */

static int read_back(const char *text, struct err *err, struct graph **ret_graph) {
    static const struct json_limits limits = {1 << 16, 16, 1 << 12};
    cJSON *doc = NULL;
    int code = json_parse(text, strlen(text), &limits, err, &doc);
    if (!code)
        code = graph_from_json(doc, "/graph", err, ret_graph);
    cJSON_Delete(doc);
    return code;
}

static void graphs_read_back_equal(void **state) {
    struct space *space = parsed_space(MIXED_SPACE);
    struct rng rng = rng_make(6, RNG_TEST, 0, 0);
    for (int i = 0; i < 100; i++) {
        struct arch arch;
        struct graph *graph = NULL, *again = NULL;
        struct err err = {0};
        arch_random(space, &rng, &arch);
        assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
        cJSON *doc = graph_to_json(graph);
        char *text = json_print(doc), a[HASH_TEXT], b[HASH_TEXT];
        if (read_back(text, &err, &again))
            fail_msg("%s: %s", err.pointer, err.message);
        assert_int_equal(graph->n_ops, again->n_ops);
        assert_memory_equal(graph->ops, again->ops, (size_t)graph->n_ops * sizeof(struct op));
        graph_id(graph, "fp32", a);
        graph_id(again, "fp32", b);
        assert_string_equal(a, b);
        free(text);
        cJSON_Delete(doc);
        free(graph);
        free(again);
    }
    space_destroy(space);
}

#define INPUT "{\"input\":{\"channels\":16,\"height\":8,\"width\":6},\"units\":["
#define CONV "{\"kind\":\"conv\",\"act\":\"relu\",\"kernel_size\":3,\"stride\":1,\"c_out\":16"
#define NECK                                                                                       \
    "{\"kind\":\"bottleneck\",\"act\":\"relu\",\"kernel_size\":3,\"stride\":1,\"c_out\":16,"       \
    "\"expand_channels\":8"

static void bad_graphs_are_refused_at_their_place(void **state) {
    static const char *const cases[][2] = {
        {INPUT CONV ",\"residual\":true}," NECK "}," CONV "}]}", NULL},
        {INPUT CONV ",\"expand_channels\":8}]}", "/graph/units/0/expand_channels"},
        {INPUT CONV ",\"se_channels\":8}]}", "/graph/units/0/se_channels"},
        {INPUT "{\"kind\":\"conv\",\"act\":\"relu\",\"kernel_size\":3,\"stride\":2,\"c_out\":16,"
               "\"residual\":true}]}",
         "/graph/units/0/residual"},
        {INPUT NECK ",\"residual\":true}]}", "/graph/units/0/residual"},
        {INPUT "{\"kind\":\"bottleneck\",\"act\":\"relu\",\"kernel_size\":3,\"stride\":1,"
               "\"c_out\":16}]}",
         "/graph/units/0/expand_channels"},
        {INPUT "{\"kind\":\"head_conv\",\"act\":\"relu\",\"c_out\":16}," CONV "}]}",
         "/graph/units/1/kind"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct graph *graph = NULL;
        struct err err = {0};
        int code = read_back(cases[i][0], &err, &graph);
        if (!cases[i][1] && code)
            fail_msg("%s: %s", err.pointer, err.message);
        if (cases[i][1] && (code != ESP_EINVAL || strcmp(err.pointer, cases[i][1]) != 0))
            fail_msg("%s: %d at %s: %s", cases[i][0], code, err.pointer, err.message);
        free(graph);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spaces_from_before_keep_their_identities),
        cmocka_unit_test(the_default_kind_may_be_named),
        cmocka_unit_test(kinds_are_read_and_printed),
        cmocka_unit_test(wrong_members_are_refused_at_their_place),
        cmocka_unit_test(archs_have_a_text),
        cmocka_unit_test(ops_are_as_by_hand),
        cmocka_unit_test(costs_are_as_by_hand),
        cmocka_unit_test(built_in_spaces_equal_the_tables),
        cmocka_unit_test(minima_ranges_and_sums_are_those_of_all_subnets),
        cmocka_unit_test(table_entries_are_those_of_all_subnets),
        cmocka_unit_test(graphs_read_back_equal),
        cmocka_unit_test(bad_graphs_are_refused_at_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
