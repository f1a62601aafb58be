#include "fixture.h"

#include "space/cost.h"
#include "space/memory_plan.h"

struct range {
    int64_t at, size;
};

static void inside(const struct range *range, int64_t arena) {
    assert_true(range->at >= 0 && range->at + range->size <= arena);
    assert_int_equal(range->at % 64, 0);
    assert_int_equal(range->size % 64, 0);
}

static void apart(const struct range *a, const struct range *b) {
    assert_true(a->at + a->size <= b->at || b->at + b->size <= a->at || !a->size || !b->size);
}

/* Fails if any two of n ranges share a byte. */
static void all_apart(const struct range *ranges, int n, int64_t arena) {
    for (int i = 0; i < n; i++) {
        inside(&ranges[i], arena);
        for (int j = 0; j < i; j++)
            apart(&ranges[i], &ranges[j]);
    }
}

/* What is in use at once during each step of a unit lies apart. */
static void check_unit(const struct graph_unit *unit, const struct unit_memory *at, int64_t arena) {
    struct unit_memory size = unit_memory(&unit->spec, 4);
    struct range input = {at->input, size.input}, scratch = {at->scratch, size.scratch},
                 middle = {at->middle, size.middle}, vectors = {at->vectors, size.vectors},
                 output = {at->output, size.output};
    if (unit->spec.kind != UNIT_BLOCK && unit->spec.kind != UNIT_BOTTLENECK) {
        all_apart((struct range[]){input, scratch, vectors, output}, 4, arena);
        return;
    }
    if (unit->spec.kind == UNIT_BLOCK && !unit->spec.residual)
        input.size = 0; /* overwritten behind depthwise */
    struct range read = {at->input, size.input};
    all_apart((struct range[]){read, scratch, middle}, 3, arena);
    all_apart((struct range[]){input, middle, vectors}, 3, arena);
    all_apart((struct range[]){input, middle, output}, 3, arena);
}

static void check_graph(const struct graph *graph) {
    struct unit_memory at[GRAPH_UNITS_MAX];
    int64_t arena = memory_plan(graph, 4, at), most = 0;
    for (int i = 0; i < graph->n_units; i++) {
        const struct unit_spec *spec = &graph->units[i].spec;
        check_unit(&graph->units[i], &at[i], arena);
        if (unit_peak_bytes(spec, 4) > most)
            most = unit_peak_bytes(spec, 4);
        if (i > 0) {
            struct unit_memory before = unit_memory(&graph->units[i - 1].spec, 4);
            assert_int_equal(at[i].input, at[i - 1].output);
            assert_int_equal(unit_memory(spec, 4).input, before.output);
        }
    }
    assert_int_equal(arena, most);
}

static void check_space(const struct space *space, uint32_t seed) {
    struct rng rng = rng_make(3, RNG_TEST, 0, seed);
    for (int n = 0; n < 200; n++) {
        struct arch arch;
        struct graph *graph = NULL, *part = NULL;
        arch_random(space, &rng, &arch);
        assert_int_equal(graph_build(space, &arch, NULL, &graph), 0);
        check_graph(graph);
        int unit = (int)rng_below(&rng, (uint32_t)graph->n_units);
        assert_int_equal(graph_of_unit(graph, unit, NULL, &part), 0);
        check_graph(part);
        free(part);
        free(graph);
    }
}

static void what_lives_at_once_lies_apart(void **state) {
    for (int i = 0; space_builtin_names[i]; i++) {
        struct space *space = builtin(space_builtin_names[i]);
        check_space(space, (uint32_t)i);
        space_destroy(space);
    }
    struct space *mixed = parsed_space(MIXED_SPACE);
    check_space(mixed, 100);
    space_destroy(mixed);
}

static void sizes_follow_the_element(void **state) {
    struct unit_spec spec = {.kind = UNIT_BLOCK,
                             .act = ACT_RELU,
                             .c_in = 16,
                             .h_in = 8,
                             .w_in = 8,
                             .c_out = 32,
                             .kernel = 5,
                             .stride = 2,
                             .expand_channels = 48,
                             .se_channels = 16};
    struct unit_memory one = unit_memory(&spec, 1), four = unit_memory(&spec, 4);
    assert_int_equal(one.input, 64 * 16);
    assert_int_equal(one.scratch, 24 * 8 * 12);
    assert_int_equal(one.middle, 16 * 48);
    assert_int_equal(one.vectors, 128); /* 48 + 16 + 48, to a multiple of 64 */
    assert_int_equal(one.output, 16 * 32);
    assert_int_equal(four.input, 4 * one.input);
    assert_int_equal(four.scratch, 4 * one.scratch);
    assert_int_equal(unit_peak_bytes(&spec, 1), 64 * 16 + 24 * 8 * 12 + 16 * 48);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_lives_at_once_lies_apart),
                                       cmocka_unit_test(sizes_follow_the_element)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
