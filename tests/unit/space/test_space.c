#include "fixture.h"

#include <math.h>

#include "space/cost.h"
#include "space/graph.h"

static void sizes_are_rounded_as_in_mobilenet(void **state) {
    static const struct {
        double from;
        int to;
    } cases[] = {{1, 8},   {8, 8},     {11, 16},   {12, 16},   {16, 16},   {18, 24},
                 {20, 24}, {27.2, 32}, {108, 112}, {120, 120}, {17.5, 16}, {150, 152}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(space_make_divisible(cases[i].from), cases[i].to);
    assert_int_equal(space_mid_channels(24, 6), 144);
    assert_int_equal(space_mid_channels(16, 3.5), 56);
    assert_int_equal(space_se_channels(72), 24); /* 18 becomes 16, which is below 0.9 x 18 */
    assert_int_equal(space_se_channels(240), 64);
    assert_int_equal(space_se_channels(960), 240);
}

static void cardinality_counts_distinct_subnets(void **state) {
    struct space *space = builtin("ofa_mbv3");
    double per_resolution = pow(9 * 9 + 9 * 9 * 9 + 9 * 9 * 9 * 9, 5);
    assert_true(fabs(space_cardinality(space) / (25 * per_resolution) - 1) < 1e-12);
    assert_true(fabs(per_resolution - 2.18e19) < 0.01e19);
    space_destroy(space);
    space = parsed_space(TINY_SPACE);
    assert_true(space_cardinality(space) == TINY_SUBNETS);
    space_destroy(space);
}

static void built_ins_are_valid_and_named_by_their_file(void **state) {
    for (int i = 0; space_builtin_names[i]; i++) {
        struct space *space = builtin(space_builtin_names[i]);
        assert_string_equal(space->name, space_builtin_names[i]);
        assert_true(strlen(space->description) > 0);
        assert_int_equal(strlen(space->fingerprint), HASH_TEXT - 1);
        space_destroy(space);
    }
    struct err err = {0};
    struct space *none = NULL;
    assert_int_equal(space_builtin("nowhere", &err, &none), ESP_ENOTFOUND);
    assert_non_null(strstr(err.message, "fashion_small"));
    assert_null(none);
    assert_null(space_builtin_text("nowhere"));
}

static void count_elastic_widths(const struct space *space, int *ret_elastic) {
    *ret_elastic = 0;
    for (int i = 0; i < space->n_stages; i++)
        *ret_elastic += space->stages[i].channels.n > 1;
}

/* What the quickstart relies on. */
static void fashion_small_is_what_the_quickstart_needs(void **state) {
    struct space *space = builtin("fashion_small");
    struct arch low, high;
    struct cost small, large;
    struct unit_list *units = NULL;
    int elastic;
    arch_min(space, &low);
    arch_max(space, &high);
    assert_int_equal(arch_cost(space, &low, NULL, &small), 0);
    assert_int_equal(arch_cost(space, &high, NULL, &large), 0);
    assert_true(space_cardinality(space) >= 1e7);
    assert_in_range(large.macs, 3000000, 9000000);
    assert_true(large.macs >= 4 * small.macs);
    count_elastic_widths(space, &elastic);
    assert_int_equal(elastic, 1);
    assert_int_equal(space->n_resolutions, 2);
    assert_int_equal(space->resolutions[1], 28);
    assert_int_equal(space->input_channels, 1);
    assert_int_equal(space->n_classes, 10);
    assert_int_equal(space_units(space, NULL, &units), 0);
    assert_true(units->n <= 150);
    unit_list_destroy(units);
    space_destroy(space);
}

/* MACs and parameters that the PyTorch baseline's own counter gives for its network. */
static void peers_equal_the_pytorch_network(void **state) {
    static const struct {
        const char *name;
        int64_t macs[2], params[2];
    } peers[] = {{"peer_28", {9654432, 57301536}, {376354, 2242594}},
                 {"peer_32", {11842944, 70336128}, {376642, 2242882}}};
    for (int i = 0; i < 2; i++) {
        struct space *space = builtin(peers[i].name);
        for (int end = 0; end < 2; end++) {
            struct arch arch;
            struct cost cost;
            (end ? arch_max : arch_min)(space, &arch);
            assert_int_equal(arch_cost(space, &arch, NULL, &cost), 0);
            assert_int_equal(cost.macs, peers[i].macs[end]);
            assert_int_equal(cost.params, peers[i].params[end]);
        }
        space_destroy(space);
    }
}

/* Its counts are sums made from the JSON alone, in another program. */
static void cifar_fits_its_budget(void **state) {
    struct space *space = builtin("cifar_32");
    struct arch arch;
    struct cost smallest, largest;
    arch_min(space, &arch);
    assert_int_equal(arch_cost(space, &arch, NULL, &smallest), 0);
    arch_max(space, &arch);
    assert_int_equal(arch_cost(space, &arch, NULL, &largest), 0);
    assert_int_equal(smallest.macs, 7484928);
    assert_int_equal(smallest.params, 166450);
    assert_int_equal(largest.macs, 44002304);
    assert_int_equal(largest.params, 1201402);
    assert_true(space_cardinality(space) == 676332840960.0);
    space_destroy(space);
}

static void printed_spaces_read_back_equal(void **state) {
    for (int i = 0; space_builtin_names[i]; i++) {
        struct space *space = builtin(space_builtin_names[i]), *again = NULL;
        char *text = space_print(space);
        assert_int_equal(space_parse(text, strlen(text), NULL, &again), 0);
        assert_memory_equal(space, again, sizeof(*space));
        free(text);
        space_destroy(space);
        space_destroy(again);
    }
}

/* The text with the first occurrence of from replaced. */
static char *edited(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("%s is not in the text", from);
    size_t size = strlen(text) + strlen(to) + 1;
    char *result = malloc(size);
    snprintf(result, size, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return result;
}

static void fingerprint_follows_the_network_alone(void **state) {
    static const struct {
        const char *from, *to;
        bool same;
    } edits[] = {{"\"tiny\"", "\"other\",\"description\":\"words\"", true},
                 {"\"name\":\"a\"", "\"name\":\"z\"", true},
                 {"\"name\":\"a\",", "", true},
                 {"[9,16]", "[ 9, 16.0 ]", true},
                 {"[9,16]", "[9,17]", false},
                 {"\"relu\"", "\"h_swish\"", false},
                 {"\"mix_bias\":true,", "", false},
                 {"\"n_classes\":4", "\"n_classes\":5", false}};
    struct space *space = parsed_space(TINY_SPACE);
    for (size_t i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
        char *text = edited(TINY_SPACE, edits[i].from, edits[i].to);
        struct space *other = parsed_space(text);
        assert_int_equal(strcmp(space->fingerprint, other->fingerprint) == 0, edits[i].same);
        space_destroy(other);
        free(text);
    }
    space_destroy(space);
}

struct bad_case {
    const char *from, *to, *pointer, *words;
    int code;
};

/* Each edit of a good space must be refused at its place, with a message that says why. */
static const struct bad_case bad_cases[] = {
    {"[3,5]", "[3,4]", "/stages/0/kernel_sizes/1", "odd", ESP_EINVAL},
    {"[3,5]", "[5,3]", "/stages/0/kernel_sizes/1", "ascend", ESP_EINVAL},
    {"[3,5]", "[3,3]", "/stages/0/kernel_sizes/1", "twice", ESP_EINVAL},
    {"[3,5]", "[3,9]", "/stages/0/kernel_sizes/1", "from 3 to 7", ESP_EINVAL},
    {"[3,5]", "[]", "/stages/0/kernel_sizes", "items", ESP_EINVAL},
    {"[3,5]", "[3,\"5\"]", "/stages/0/kernel_sizes/1", "numbers", ESP_EINVAL},
    {"[3,5]", "3", "/stages/0/kernel_sizes", "array", ESP_EINVAL},
    {"\"kernel_sizes\":[3],", "", "/stages/1/kernel_sizes", "missing", ESP_EINVAL},
    {"[1,2]", "[0,2]", "/stages/0/depths/0", "from 1 to 12", ESP_EINVAL},
    {"[1,2]", "[1.5,2]", "/stages/0/depths/0", "whole", ESP_EINVAL},
    {"[1,2]", "[1,2,3,4,5,6,7,8,9]", "/stages/0/depths", "items", ESP_EINVAL},
    {"[8,16]", "[8,20]", "/stages/0/channels/1", "multiples of 8", ESP_EINVAL},
    {"[8,16]", "[8,4104]", "/stages/0/channels/1", "from 8 to 4096", ESP_EINVAL},
    {"[1,2,3.5]", "[1,2,13]", "/stages/1/expand_ratios/2", "from 1 to 12", ESP_EINVAL},
    {"[1,2,3.5]", "[1,2,2.0001]", "/stages/1/expand_ratios/2", "thousandths", ESP_EINVAL},
    {"[1,2,3.5]", "[1,1.1,3.5]", "/stages/1/expand_ratios/1", "both give 24 channels", ESP_EINVAL},
    {"\"stride\":2", "\"stride\":3", "/stages/0/stride", "from 1 to 2", ESP_EINVAL},
    {"\"act\":\"relu\"", "\"act\":\"none\"", "/stages/0/act", "relu, h_swish", ESP_EINVAL},
    {"\"se\":false", "\"se\":0", "/stages/0/se", "true or false", ESP_EINVAL},
    {"\"se\":false", "\"se\":false,\"kernels\":[3]", "/stages/0/kernels", "not known", ESP_EINVAL},
    {"\"name\":\"a\"", "\"name\":\"A b\"", "/stages/0/name", "lower-case", ESP_EINVAL},
    {TINY_STAGES, "", "/stages", "items", ESP_EINVAL},
    {TINY_STAGES, "7", "/stages/0", "object", ESP_EINVAL},
    {"[9,16]", "[2,16]", "/resolutions/0", "from 4 to 1024", ESP_EINVAL},
    {"[9,16]", "[]", "/resolutions", "items", ESP_EINVAL},
    {"\"tiny\"", "\"\"", "/name", "bytes", ESP_EINVAL},
    {"\"tiny\"", "\"Tiny\"", "/name", "lower-case", ESP_EINVAL},
    {"\"name\":\"tiny\"", "\"nam\":\"tiny\"", "/nam", "not known", ESP_EINVAL},
    {"\"input_channels\":3", "\"input_channels\":0", "/input_channels", "from 1 to 64", ESP_EINVAL},
    {"\"n_classes\":4", "\"n_classes\":1", "/n_classes", "from 2 to 100000", ESP_EINVAL},
    {"\"channels\":8", "\"channels\":12", "/stem/channels", "multiple of 8", ESP_EINVAL},
    {"\"kernel_size\":3", "\"kernel_size\":4", "/stem/kernel_size", "odd", ESP_EINVAL},
    {"\"kernel_size\":3", "\"kernel_size\":9", "/stem/kernel_size", "from 3 to 7", ESP_EINVAL},
    {"\"mix_channels\":40", "\"mix_channels\":0", "/head/mix_bias", "mix_channels", ESP_EINVAL},
    {"\"expand_channels\":32", "\"expand_channels\":-8", "/head/expand_channels", "from 0",
     ESP_EINVAL},
    {"\"head\":", "\"Head\":", "/Head", "not known", ESP_EINVAL},
    {"\"n_classes\":4", "\"n_classes\":4,\"n_classes\":4", NULL, "n_classes", ESP_EPARSE},
    {"],\"head\"", ",\"head\"", NULL, "", ESP_EPARSE},
};

static void bad_fields_are_refused_at_their_place(void **state) {
    for (size_t i = 0; i < sizeof(bad_cases) / sizeof(*bad_cases); i++) {
        const struct bad_case *bad = &bad_cases[i];
        char *text = edited(TINY_SPACE, bad->from, bad->to);
        struct space *space = NULL;
        struct err err = {0};
        int code = space_parse(text, strlen(text), &err, &space);
        if (code != bad->code || (bad->pointer && strcmp(err.pointer, bad->pointer) != 0) ||
            !strstr(err.message, bad->words))
            fail_msg("%s -> %s: %d at \"%s\": %s", bad->from, bad->to, code, err.pointer,
                     err.message);
        assert_null(space);
        free(text);
    }
}

static void wide_spaces_are_refused_by_size(void **state) {
    char stages[4096] = "";
    for (int i = 0; i < 6; i++)
        snprintf(stages + strlen(stages), sizeof(stages) - strlen(stages),
                 "%s{\"depths\":[12],\"channels\":[16],\"kernel_sizes\":[3],\"expand_ratios\":[2],"
                 "\"stride\":1,\"act\":\"relu\",\"se\":false}",
                 i ? "," : "");
    char *deep = edited(TINY_SPACE, TINY_STAGES, stages);
    struct space *space = NULL;
    struct err err = {0};
    assert_int_equal(space_parse(deep, strlen(deep), &err, &space), ESP_ELIMIT);
    assert_string_equal(err.pointer, "/stages");
    assert_non_null(strstr(err.message, "72 blocks"));
    free(deep);
    char *large = edited(TINY_SPACE, "[9,16]", "[1024]"),
         *wide = edited(large, "[16,24]", "[4096]");
    assert_int_equal(space_parse(wide, strlen(wide), &err, &space), ESP_ELIMIT);
    assert_non_null(strstr(err.message, "MACs"));
    free(large);
    free(wide);
    assert_null(space);
}

static void texts_beyond_the_limit_are_refused(void **state) {
    char *text = malloc(SPACE_TEXT_MAX + 2);
    struct space *space = NULL;
    struct err err = {0};
    memset(text, ' ', SPACE_TEXT_MAX + 1);
    assert_int_equal(space_parse(text, SPACE_TEXT_MAX + 1, &err, &space), ESP_ELIMIT);
    memset(text, '[', 10000);
    assert_int_not_equal(space_parse(text, 10000, &err, &space), 0);
    assert_int_equal(space_parse("", 0, &err, &space), ESP_EPARSE);
    assert_int_equal(space_parse("[]", 2, &err, &space), ESP_EINVAL);
    assert_null(space);
    free(text);
}

static void adapted_spaces_have_their_own_fingerprint(void **state) {
    struct space *space = parsed_space(TINY_SPACE), *same = NULL, *other = NULL;
    struct err err = {0};
    assert_int_equal(space_adapt(space, 4, 3, &err, &same), 0);
    assert_memory_equal(space, same, sizeof(*space));
    assert_int_equal(space_adapt(space, 7, 1, &err, &other), 0);
    assert_int_equal(other->n_classes, 7);
    assert_int_equal(other->input_channels, 1);
    assert_string_not_equal(space->fingerprint, other->fingerprint);
    space_destroy(other);
    other = NULL;
    assert_int_equal(space_adapt(space, 1, 1, &err, &other), ESP_EINVAL);
    assert_string_equal(err.pointer, "/n_classes");
    assert_int_equal(space_adapt(space, 10, 65, &err, &other), ESP_EINVAL);
    assert_string_equal(err.pointer, "/input_channels");
    assert_null(other);
    space_destroy(space);
    space_destroy(same);
    space_destroy(NULL);
}

static void narrowed_spaces_keep_what_is_asked_for(void **state) {
    struct space *space, *narrow = NULL, *same;
    struct err err = {0};
    assert_int_equal(space_builtin("ofa_mbv3", NULL, &space), 0);
    const int two[] = {132, 224}, falling[] = {224, 132}, foreign[] = {132, 133};
    assert_int_equal(space_narrow(space, two, 2, &err, &narrow), 0);
    assert_int_equal(narrow->n_resolutions, 2);
    assert_memory_equal(narrow->resolutions, two, sizeof two);
    assert_string_not_equal(space->fingerprint, narrow->fingerprint);
    assert_int_equal(space_narrow(narrow, two, 2, &err, &same), 0);
    assert_string_equal(narrow->fingerprint, same->fingerprint);
    space_destroy(same);
    same = NULL;
    assert_int_equal(space_narrow(space, two, 0, &err, &same), ESP_EINVAL);
    assert_int_equal(space_narrow(space, falling, 2, &err, &same), ESP_EINVAL);
    assert_int_equal(space_narrow(space, foreign, 2, &err, &same), ESP_EINVAL);
    assert_non_null(strstr(err.message, "133 pixels"));
    assert_null(same);
    space_destroy(space);
    space_destroy(narrow);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_rounded_as_in_mobilenet),
        cmocka_unit_test(cardinality_counts_distinct_subnets),
        cmocka_unit_test(built_ins_are_valid_and_named_by_their_file),
        cmocka_unit_test(fashion_small_is_what_the_quickstart_needs),
        cmocka_unit_test(peers_equal_the_pytorch_network),
        cmocka_unit_test(cifar_fits_its_budget),
        cmocka_unit_test(printed_spaces_read_back_equal),
        cmocka_unit_test(fingerprint_follows_the_network_alone),
        cmocka_unit_test(bad_fields_are_refused_at_their_place),
        cmocka_unit_test(wide_spaces_are_refused_by_size),
        cmocka_unit_test(texts_beyond_the_limit_are_refused),
        cmocka_unit_test(narrowed_spaces_keep_what_is_asked_for),
        cmocka_unit_test(adapted_spaces_have_their_own_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
