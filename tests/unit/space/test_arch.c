#include "fixture.h"

enum { SAMPLES = 500 };

static void genes_run_in_the_documented_order(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    assert_int_equal(n, 1 + 3 * 2 + 2 * 5);
    assert_int_equal(genes[0].kind, GENE_RESOLUTION);
    assert_int_equal(genes[0].n_choices, 2);
    assert_int_equal(genes[1].kind, GENE_DEPTH);
    assert_int_equal(genes[2].kind, GENE_CHANNELS);
    assert_int_equal(genes[3].kind, GENE_KERNEL);
    assert_int_equal(genes[4].kind, GENE_EXPAND);
    assert_int_equal(genes[4].n_choices, 1);
    assert_int_equal(genes[5].block, 1);
    assert_int_equal(genes[7].kind, GENE_DEPTH);
    assert_int_equal(genes[7].stage, 1);
    space_destroy(space);
}

static void genes_can_be_set_and_read(void **state) {
    struct space *space = builtin("fashion_small");
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    struct arch arch, largest;
    arch_min(space, &arch);
    arch_max(space, &largest);
    for (int i = 0; i < n; i++) {
        assert_int_equal(arch_gene(&largest, &genes[i]), genes[i].n_choices - 1);
        assert_int_equal(arch_gene(&arch, &genes[i]), 0);
        arch_set_gene(&arch, &genes[i], genes[i].n_choices - 1);
    }
    assert_true(arch_equal(&arch, &largest));
    space_destroy(space);
}

static void largest_and_smallest_are_valid(void **state) {
    for (int i = 0; space_builtin_names[i]; i++) {
        struct space *space = builtin(space_builtin_names[i]);
        struct arch arch;
        arch_max(space, &arch);
        assert_true(arch_valid(space, &arch));
        arch_min(space, &arch);
        assert_true(arch_valid(space, &arch));
        space_destroy(space);
    }
}

static void what_is_out_of_range_or_not_canonical_is_invalid(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    struct arch arch;
    arch_min(space, &arch);
    arch.kernel[1] = 1; /* beyond the depth of 1 */
    assert_false(arch_valid(space, &arch));
    arch_canonicalise(space, &arch);
    assert_true(arch_valid(space, &arch));
    arch.depth[0] = 1;
    arch.kernel[1] = 1;
    assert_true(arch_valid(space, &arch));
    arch.resolution = 2;
    assert_false(arch_valid(space, &arch));
    arch.resolution = 0;
    arch.expand[0] = 1; /* one choice only */
    assert_false(arch_valid(space, &arch));
    arch.expand[0] = 0;
    arch.depth[3] = 1; /* no such stage */
    assert_false(arch_valid(space, &arch));
    space_destroy(space);
}

static void random_archs_are_valid_seeded_and_cover_every_choice(void **state) {
    struct space *space = builtin("fashion_small");
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes), seen[SPACE_GENES_MAX][SPACE_CHOICES_MAX] = {{0}};
    struct rng rng = rng_make(3, RNG_TEST, 0, 0), again = rng_make(3, RNG_TEST, 0, 0);
    for (int i = 0; i < SAMPLES; i++) {
        struct arch arch, same;
        arch_random(space, &rng, &arch);
        arch_random(space, &again, &same);
        assert_true(arch_equal(&arch, &same));
        assert_true(arch_valid(space, &arch));
        for (int g = 0; g < n; g++)
            if (arch_gene_active(space, &arch, &genes[g]))
                seen[g][arch_gene(&arch, &genes[g])]++;
    }
    for (int g = 0; g < n; g++)
        for (int c = 0; c < genes[g].n_choices; c++)
            assert_true(seen[g][c] > SAMPLES / genes[g].n_choices / 8);
    space_destroy(space);
}

static void text_is_as_documented(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    struct arch arch;
    char text[ARCH_TEXT_MAX];
    arch_max(space, &arch);
    arch_format(space, &arch, text);
    assert_string_equal(text, "r16 | d2 c16 k5e1 k5e1 | d2 c24 k3e3.5 k3e3.5 | d1 c24 k7e2");
    arch_min(space, &arch);
    arch_format(space, &arch, text);
    assert_string_equal(text, "r9 | d1 c8 k3e1 | d1 c16 k3e1 | d1 c24 k3e2");
    arch = parsed(space, "  r9|d1c8k3e1|d1  c16 k3e1.0 | d1 c24 k3e2.000 ");
    assert_true(arch_valid(space, &arch));
    space_destroy(space);
}

static void text_reads_back_equal(void **state) {
    for (int s = 0; space_builtin_names[s]; s++) {
        struct space *space = builtin(space_builtin_names[s]);
        struct rng rng = rng_make(4, RNG_TEST, 0, (uint32_t)s);
        for (int i = 0; i < SAMPLES; i++) {
            struct arch arch, again;
            char text[ARCH_TEXT_MAX];
            arch_random(space, &rng, &arch);
            arch_format(space, &arch, text);
            again = parsed(space, text);
            assert_true(arch_equal(&arch, &again));
        }
        space_destroy(space);
    }
}

static void bad_text_is_refused_with_its_place(void **state) {
    static const struct {
        const char *text, *words;
        int code;
    } cases[] = {
        {"", "'r' at character 1", ESP_EPARSE},
        {"r", "number at character 2", ESP_EPARSE},
        {"r10 | d1 c8 k3e1 | d1 c16 k3e1 | d1 c24 k3e2", "resolution 10", ESP_EINVAL},
        {"r9 d1 c8 k3e1 | d1 c16 k3e1 | d1 c24 k3e2", "'|' at character 4", ESP_EPARSE},
        {"r9 | d3 c8 k3e1 | d1 c16 k3e1 | d1 c24 k3e2", "stage 1 (a): depth 3", ESP_EINVAL},
        {"r9 | d1 c9 k3e1 | d1 c16 k3e1 | d1 c24 k3e2", "choices are 8, 16", ESP_EINVAL},
        {"r9 | d1 c8 k3e1 k3e1 | d1 c16 k3e1 | d1 c24 k3e2", "stage 2 (b): the arch needs '|'",
         ESP_EPARSE},
        {"r9 | d2 c8 k3e1 | d1 c16 k3e1 | d1 c24 k3e2", "'k' at character 17", ESP_EPARSE},
        {"r9 | d1 c8 k3e1 | d1 c16 k3e3.4999 | d1 c24 k3e2", "number at character 34", ESP_EPARSE},
        {"r9 | d1 c8 k3e1 | d1 c16 k3e3. | d1 c24 k3e2", "number at character 31", ESP_EPARSE},
        {"r9 | d1 c8 k3e1 | d1 c16 k3e-1 | d1 c24 k3e2", "number at character 29", ESP_EPARSE},
        {"r9 | d1 c8 k4e1 | d1 c16 k3e1 | d1 c24 k3e2", "kernel size 4", ESP_EINVAL},
        {"r9 | d1 c8 k3e1 | d1 c16 k3e3 | d1 c24 k3e2", "expand ratio 3", ESP_EINVAL},
        {"r9 | d1 c8 k3e1 | d1 c16 k3e1", "stage 3", ESP_EPARSE},
        {"r9 | d1 c8 k3e1 | d1 c16 k3e1 | d1 c24 k3e2 | d1", "goes on at character 45", ESP_EPARSE},
        {"r99999999999999999999", "number", ESP_EPARSE},
    };
    struct space *space = parsed_space(TINY_SPACE);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct arch arch;
        struct err err = {0};
        memset(&arch, 0xee, sizeof(arch));
        int code = arch_parse(space, cases[i].text, strlen(cases[i].text), &err, &arch);
        if (code != cases[i].code || !strstr(err.message, cases[i].words))
            fail_msg("%s: %d %s", cases[i].text, code, err.message);
        assert_int_equal(arch.resolution, 0xee);
    }
    space_destroy(space);
}

static void longest_text_fits(void **state) {
    char text[8192], stages[4096] = "", shortest[ARCH_TEXT_MAX];
    for (int i = 0; i < SPACE_STAGES_MAX; i++)
        snprintf(stages + strlen(stages), sizeof(stages) - strlen(stages),
                 "%s{\"depths\":[4],\"channels\":[1024],\"kernel_sizes\":[3],"
                 "\"expand_ratios\":[11.125],\"stride\":2,\"act\":\"relu\",\"se\":true}",
                 i ? "," : "");
    snprintf(
        text, sizeof(text),
        "{\"name\":\"deep\",\"input_channels\":1,\"n_classes\":2,\"resolutions\":[4],"
        "\"stem\":{\"channels\":8,\"kernel_size\":3,\"stride\":2,\"act\":\"relu\"},"
        "\"stages\":[%s],\"head\":{\"expand_channels\":0,\"mix_channels\":0,\"act\":\"relu\"}}",
        stages);
    struct space *space = NULL;
    struct err err = {0};
    /* 64 blocks of 11,392 channels: too many weights; the format is the same with 256. */
    assert_int_equal(space_parse(text, strlen(text), &err, &space), ESP_ELIMIT);
    for (char *at = text; (at = strstr(at, "[1024]"));)
        memcpy(at, "[256] ", 6);
    space = parsed_space(text);
    struct arch arch, again;
    arch_max(space, &arch);
    arch_format(space, &arch, shortest);
    again = parsed(space, shortest);
    assert_true(arch_equal(&arch, &again));
    space_destroy(space);
}

static void id_is_of_space_and_choices(void **state) {
    struct space *space = builtin("peer_28"), *other = builtin("peer_32");
    struct arch low, high;
    char a[HASH_TEXT], b[HASH_TEXT];
    arch_min(space, &low);
    arch_max(space, &high);
    arch_id(space, &low, a);
    arch_id(space, &low, b);
    assert_string_equal(a, b);
    arch_id(space, &high, b);
    assert_string_not_equal(a, b);
    arch_id(other, &low, b);
    assert_string_not_equal(a, b);
    space_destroy(space);
    space_destroy(other);
}

static void features_are_one_hot_of_what_is_active(void **state) {
    struct space *space = parsed_space(TINY_SPACE);
    float features[64];
    /* resolution 2; a: depth 2, channels 2, 2 kernels in 2 blocks; b: 2, 2, 3 ratios in 2 blocks;
     * c: 3 kernels. */
    assert_int_equal(arch_features(space, NULL, NULL), 2 + 4 + 4 + 4 + 6 + 3);
    struct arch arch = parsed(space, "r16 | d1 c8 k5e1 | d2 c24 k3e2 k3e3.5 | d1 c24 k7e2");
    static const float expected[] = {0, 1,                         /* r16 */
                                     1, 0, 1, 0, 0, 1, 0, 0,       /* d1 c8 k5, no second block */
                                     0, 1, 0, 1, 0, 1, 0, 0, 0, 1, /* d2 c24 e2 e3.5 */
                                     0, 0, 1};
    int n = arch_features(space, &arch, features);
    assert_int_equal(n, sizeof(expected) / sizeof(*expected));
    assert_memory_equal(features, expected, sizeof(expected));
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(genes_run_in_the_documented_order),
        cmocka_unit_test(genes_can_be_set_and_read),
        cmocka_unit_test(largest_and_smallest_are_valid),
        cmocka_unit_test(what_is_out_of_range_or_not_canonical_is_invalid),
        cmocka_unit_test(random_archs_are_valid_seeded_and_cover_every_choice),
        cmocka_unit_test(text_is_as_documented),
        cmocka_unit_test(text_reads_back_equal),
        cmocka_unit_test(bad_text_is_refused_with_its_place),
        cmocka_unit_test(longest_text_fits),
        cmocka_unit_test(id_is_of_space_and_choices),
        cmocka_unit_test(features_are_one_hot_of_what_is_active),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
