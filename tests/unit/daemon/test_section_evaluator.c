/* An imported latency model: two resolutions that share almost every unit, with other times each.
 */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "daemon/latency_evaluator.h"
#include "daemon/section_evaluator.h"
#include "search/feasibility.h"

static const char key[] = "latency_us:mo_1";

/* Behind the stem both resolutions have 8 pixels a side. */
static struct space *shared_space(void) {
    static const char text[] =
        "{\"name\":\"shared\",\"input_channels\":1,\"n_classes\":3,\"resolutions\":[15,16],"
        "\"stem\":{\"channels\":8,\"kernel_size\":3,\"stride\":2,\"act\":\"relu\"},\"stages\":["
        "{\"depths\":[1,2],\"channels\":[8],\"kernel_sizes\":[3,5],\"expand_ratios\":[2,3],"
        "\"stride\":2,\"act\":\"relu\",\"se\":false},{\"depths\":[1,2],\"channels\":[16],\"kernel_"
        "sizes\":[3,5],"
        "\"expand_ratios\":[2],\"stride\":1,\"act\":\"relu\",\"se\":false}],"
        "\"head\":{\"expand_channels\":32,\"mix_channels\":0,\"act\":\"relu\"}}";
    struct space *space;
    struct err err = {0};
    if (space_parse(text, strlen(text), &err, &space) < 0)
        fail_msg("%s", err.message);
    return space;
}

static double unit_time(const char *signature, int resolution) {
    uint64_t hash = map_hash(signature, strlen(signature));
    return 10 + (double)((hash ^ (hash >> 7 << resolution)) % 977);
}

static void put_section(struct latency_sections *sections, const struct space *space,
                        int resolution) {
    struct space *narrow;
    struct unit_list *units;
    struct latency_table *table;
    assert_int_equal(space_narrow(space, &resolution, 1, NULL, &narrow), 0);
    assert_int_equal(space_units(narrow, NULL, &units), 0);
    assert_int_equal(latency_table_create("x", NULL, &table), 0);
    for (int i = 0; i < units->n; i++) {
        const char *signature = units->entries[i].signature;
        double us = unit_time(signature, resolution);
        struct latency_entry e = {
            .median_us = us, .low_us = us, .high_us = us, .n = 9, .method = 1};
        memcpy(e.signature, signature, sizeof e.signature);
        assert_int_equal(latency_table_put(table, &e, NULL), 0);
    }
    assert_int_equal(latency_sections_put(sections, resolution, table, NULL), 0);
    unit_list_destroy(units);
    space_destroy(narrow);
}

static double expected(const struct space *space, const struct arch *arch) {
    struct graph *graph;
    double sum = 0;
    assert_int_equal(graph_build(space, arch, NULL, &graph), 0);
    for (int i = 0; i < graph->n_units; i++)
        sum += unit_time(graph->units[i].signature, space->resolutions[arch->resolution]);
    free(graph);
    return sum;
}

static bool next_arch(const struct gene *genes, int n, struct arch *arch) {
    for (int i = 0; i < n; i++) {
        int choice = arch_gene(arch, &genes[i]) + 1;
        if (choice < genes[i].n_choices) {
            arch_set_gene(arch, &genes[i], choice);
            return true;
        }
        arch_set_gene(arch, &genes[i], 0);
    }
    return false;
}

struct ends {
    double least, most;
};

static struct ends check_all(const struct space *space, const struct evaluator *evaluator) {
    struct gene genes[SPACE_GENES_MAX];
    struct ends ends = {INFINITY, 0};
    int n = space_genes(space, genes);
    struct arch arch;
    arch_min(space, &arch);
    do {
        struct metric value;
        struct evaluation evaluation = {.arch = &arch, .values = &value};
        if (!arch_valid(space, &arch))
            continue;
        double us = expected(space, &arch);
        assert_int_equal(evaluator->submit(evaluator->context, &evaluation, 1, NULL), 0);
        assert_int_equal(evaluation.state, EVALUATION_DONE);
        assert_int_equal(value.source, METRIC_PREDICTED);
        assert_true(fabs(value.value - us) < 1e-6);
        ends.least = fmin(ends.least, us);
        ends.most = fmax(ends.most, us);
    } while (next_arch(genes, n, &arch));
    return ends;
}

static void a_search_is_told_what_is_interpolated(void **state) {
    struct latency_prediction p = {
        .state = LATENCY_INTERPOLATED, .us = 2, .low_us = 1, .high_us = 3};
    struct metric metric = latency_prediction_metric(&p);
    assert_int_equal(metric.source, METRIC_INTERPOLATED);
    assert_true(metric.value == 2 && metric.low == 1 && metric.high == 3);
    p.state = LATENCY_COVERED;
    assert_int_equal(latency_prediction_metric(&p).source, METRIC_PREDICTED);
}

static void a_network_goes_by_the_table_of_its_resolution(void **state) {
    struct space *space = shared_space();
    struct latency_sections sections = {.n = 0};
    struct section_evaluator *section;
    struct evaluator evaluator;
    struct attainable found;
    put_section(&sections, space, 16);
    put_section(&sections, space, 15);
    assert_int_equal(sections.items[0].resolution, 15);
    assert_int_equal(section_evaluator_create(space, &sections, "mo_1", NULL, &section), 0);
    section_evaluator_init(section, &evaluator);
    assert_string_equal(evaluator.keys[0], key);
    struct ends ends = check_all(space, &evaluator);
    for (int largest = 0; largest < 2; largest++) {
        assert_int_equal(attainable_extreme(space, &evaluator, 1, key, largest, NULL, &found), 0);
        assert_true(found.known);
        assert_true(fabs(found.value - (largest ? ends.most : ends.least)) < 1e-6);
        assert_true(fabs(expected(space, &found.arch) - found.value) < 1e-6);
    }
    section_evaluator_destroy(section);
    latency_sections_finish(&sections);
    space_destroy(space);
}

static void a_resolution_without_a_table_is_refused(void **state) {
    struct space *space = shared_space();
    struct latency_sections sections = {.n = 0};
    struct section_evaluator *section;
    struct err err = {0};
    put_section(&sections, space, 15);
    assert_int_equal(section_evaluator_create(space, &sections, "mo_1", &err, &section),
                     ESP_EMISSING);
    assert_non_null(strstr(err.message, "16 pixels"));
    latency_sections_finish(&sections);
    space_destroy(space);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_search_is_told_what_is_interpolated),
        cmocka_unit_test(a_network_goes_by_the_table_of_its_resolution),
        cmocka_unit_test(a_resolution_without_a_table_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
