/* Measuring for real: a child process runs networks on this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "devices/board.h"
#include "devices/measure.h"
#include "runtime/plan.h"

static struct graph *subnet(bool largest) {
    struct space *space = NULL;
    struct graph *graph = NULL;
    struct arch arch;
    struct err err = {0};

    assert_int_equal(space_builtin("peer_28", &err, &space), 0);
    if (largest)
        arch_max(space, &arch);
    else
        arch_min(space, &arch);
    assert_int_equal(graph_build(space, &arch, &err, &graph), 0);
    space_destroy(space);
    return graph;
}

static double number(const struct measure_outcome *outcome, const char *key) {
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(outcome->doc, key));
}

static struct measure_outcome measure(const struct measure_profile *profile,
                                      const struct measure_task *task) {
    struct measure_outcome outcome = {0};
    struct err err = {0};

    assert_int_equal(measure_graph(profile, task, &err, &outcome), 0);
    return outcome;
}

static void a_larger_network_takes_longer(void **state) {
    struct measure_profile profile = {.threads = 1};
    struct graph *small = subnet(false), *large = subnet(true);
    struct measure_task task = {.graph = small, .method = method_find("brief"), .network = true};
    struct measure_outcome a = measure(&profile, &task);

    task.graph = large;
    struct measure_outcome b = measure(&profile, &task);
    assert_non_null(a.doc);
    assert_non_null(b.doc);
    assert_true(number(&a, "median_us") > 0);
    assert_true(number(&b, "median_us") > 1.5 * number(&a, "median_us"));
    assert_true(number(&a, "low_us") <= number(&a, "median_us"));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(a.doc, "samples_us")),
                     (int)number(&a, "n"));
    measure_outcome_finish(&a);
    measure_outcome_finish(&b);
    free(small);
    free(large);
}

/* Every unit of a network can be measured alone: what a latency table needs. */
static void units_can_be_measured(void **state) {
    struct measure_profile profile = {.threads = 2};
    struct graph *graph = subnet(false), *unit = NULL;
    struct err err = {0};

    for (int i = 0; i < graph->n_units; i += graph->n_units - 1) {
        assert_int_equal(graph_of_unit(graph, i, &err, &unit), 0);
        struct measure_task task = {.graph = unit, .method = method_find("brief")};
        struct measure_outcome outcome = measure(&profile, &task);
        assert_non_null(outcome.doc);
        measure_outcome_finish(&outcome);
        free(unit);
    }
    free(graph);
}

static double least(const double *us, int n) {
    double low = us[0];
    for (int i = 1; i < n; i++)
        low = us[i] < low ? us[i] : low;
    return low;
}

/* The least time of a run of the unit on an image that is brought in, with its output brought out,
 * in samples of many runs. */
static double least_alone_us(const struct graph *unit) {
    enum { SAMPLES = 40, RUNS = 500, BYTES = 1 << 20 };
    struct plan_options options = {.batch = 1};
    struct plan_weights *weights = NULL;
    struct plan *plan = NULL;
    struct err err = {0};
    double us[SAMPLES];
    float *input = calloc(1, BYTES), *output = calloc(1, BYTES);

    assert_non_null(input);
    assert_non_null(output);
    assert_int_equal(plan_weights_random(unit, 1, &err, &weights), 0);
    assert_int_equal(plan_create(unit, weights, &options, &err, &plan), 0);
    for (int s = 0; s < SAMPLES; s++) {
        int64_t start = clock_mono_ns();
        for (int r = 0; r < RUNS; r++)
            assert_int_equal(plan_run(plan, input, 1, output), 0);
        us[s] = (double)(clock_mono_ns() - start) / 1e3 / RUNS;
    }
    plan_destroy(plan);
    plan_weights_destroy(weights);
    free(input);
    free(output);
    return least(us, SAMPLES);
}

/* What brings images in and out is not part of a unit's time: a classifier's input is larger than
 * all that it writes. */
static void units_run_in_a_chain(void **state) {
    struct measure_profile profile = {.threads = 1};
    struct graph *graph = subnet(true), *unit = NULL;
    struct err err = {0};

    assert_int_equal(graph_of_unit(graph, graph->n_units - 1, &err, &unit), 0);
    struct measure_task task = {.graph = unit, .method = method_find("brief"), .seed = 1};
    struct measure_outcome outcome = measure(&profile, &task);
    assert_non_null(outcome.doc);
    double samples[SAMPLER_SAMPLES_MAX] = {0}, alone_us = least_alone_us(unit);
    int n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(outcome.doc, "samples_us")) {
        samples[n++] = item->valuedouble;
    }
    assert_true(n > 0);
    print_message("a classifier alone %.3f us, in a chain %.3f us\n", alone_us, least(samples, n));
    assert_true(least(samples, n) < 0.9 * alone_us);
    measure_outcome_finish(&outcome);
    free(unit);
    free(graph);
}

static void too_little_memory_is_an_outcome(void **state) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* their shadow memory is larger than any such limit */
#else
    struct measure_profile profile = {.threads = 1, .memory_limit_bytes = 16 << 20};
    struct graph *graph = subnet(true);
    struct measure_task task = {.graph = graph, .method = method_find("brief")};
    struct measure_outcome outcome = measure(&profile, &task);

    assert_int_equal(outcome.status, MEASURE_OOM);
    assert_null(outcome.doc);
    assert_true(outcome.message[0]);
    measure_outcome_finish(&outcome);
    free(graph);
#endif
}

static int cancel_soon(void *context, int batches) {
    return ++*(int *)context == 2;
}

static void cancelling_ends_the_child(void **state) {
    struct measure_profile profile = {.threads = 1};
    struct graph *graph = subnet(true);
    int calls = 0;
    struct measure_task task = {.graph = graph,
                                .method = method_find("full"),
                                .network = true,
                                .between = cancel_soon,
                                .context = &calls};
    struct measure_outcome outcome = {0};
    struct err err = {0};

    assert_int_equal(measure_graph(&profile, &task, &err, &outcome), ESP_ECANCELED);
    assert_int_equal(calls, 2);
    assert_null(outcome.doc);
    free(graph);
}

static void core_lists(void **state) {
    struct err err = {0};
    int cores[8];

    assert_int_equal(board_parse_cores("0,2-4", cores, 8, &err), 4);
    assert_int_equal(cores[3], 4);
    assert_true(board_parse_cores("", cores, 8, &err) < 0);
    assert_true(board_parse_cores("3-1", cores, 8, &err) < 0);
    assert_true(board_parse_cores("0-99", cores, 8, &err) < 0);
    assert_true(board_parse_cores("a", cores, 8, &err) < 0);
    assert_true(board_parse_cores("1,,2", cores, 8, &err) < 0);
}

static void machine_ids_differ_by_salt_only(void **state) {
    char a[HASH_TEXT], b[HASH_TEXT], c[HASH_TEXT];

    board_machine_id("", a);
    board_machine_id("", b);
    board_machine_id("second", c);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_larger_network_takes_longer),
        cmocka_unit_test(units_can_be_measured),
        cmocka_unit_test(units_run_in_a_chain),
        cmocka_unit_test(too_little_memory_is_an_outcome),
        cmocka_unit_test(cancelling_ends_the_child),
        cmocka_unit_test(core_lists),
        cmocka_unit_test(machine_ids_differ_by_salt_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
