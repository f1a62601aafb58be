/* Boards that lie, and honest ones that are fast: bounds, samples, outputs, fingerprints. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "devices/outputs.h"
#include "devices/plausible.h"
#include "devices/reference.h"
#include "space/cost.h"

enum { SAMPLES = 30 };
static double varied[SAMPLES], equal[SAMPLES];

static struct graph *graph_of(const char *name, bool largest) {
    struct space *space = NULL;
    struct graph *graph = NULL;
    struct err err = {0};
    struct arch arch;

    if (space_builtin(name, &err, &space))
        fail_msg("%s", err.message);
    if (largest)
        arch_max(space, &arch);
    else
        arch_min(space, &arch);
    assert_int_equal(graph_build(space, &arch, &err, &graph), 0);
    space_destroy(space);
    return graph;
}

/* An honest one of a runtime, whose samples lie around us. */
static struct plausible_result honest(const char *runtime, double us) {
    for (int i = 0; i < SAMPLES; i++) {
        varied[i] = us * (1 + 1e-4 * (i % 7));
        equal[i] = us;
    }
    return (struct plausible_result){.runtime = runtime,
                                     .precision = "fp32",
                                     .threads = 1,
                                     .fingerprint = "env",
                                     .told_fingerprint = "env",
                                     .median_us = us,
                                     .samples_us = varied,
                                     .n = SAMPLES,
                                     .output_error = -1};
}

static void expect(const struct plausible_result *result, const struct graph *graph,
                   enum plausible_doubt want) {
    struct err why = {0};
    enum plausible_doubt doubt = plausible_judge(result, graph, &why);

    if (doubt != want)
        fail_msg("%s instead of %s (%s)",
                 plausible_doubt_names[doubt] ? plausible_doubt_names[doubt] : "plausible",
                 plausible_doubt_names[want] ? plausible_doubt_names[want] : "plausible",
                 why.message);
    assert_int_equal(why.code, want == PLAUSIBLE ? 0 : ESP_EIMPLAUSIBLE);
    assert_int_equal(why.message[0] != 0, want != PLAUSIBLE);
}

static double macs_of(const struct graph *graph) {
    struct cost cost;
    struct err err = {0};

    assert_int_equal(graph_cost(graph, 4, &err, &cost), 0);
    return (double)cost.macs;
}

static void test_the_roofline(void **state) {
    struct graph *graph = graph_of("ofa_mbv3", true);
    double macs = macs_of(graph), least_us = macs / (200.0 * 1e3);
    struct plausible_result result = honest("native", least_us * 1.01);

    assert_true(macs > 1e8);
    expect(&result, graph, PLAUSIBLE);
    result = honest("native", least_us * 0.99);
    expect(&result, graph, DOUBT_ROOFLINE);
    result.threads = 2;
    expect(&result, graph, PLAUSIBLE);
    /* Whatever is behind a command may be a thousand times as fast; not a hundred million times. */
    result = honest("tensorrt", least_us / 1000);
    expect(&result, graph, PLAUSIBLE);
    result = honest("tensorrt", macs / 1e10 * 0.9);
    expect(&result, graph, DOUBT_ROOFLINE);
    /* Its data sheet tells more. */
    result = honest("npu", macs / (4000 * 1e3));
    result.peak_gmacs = 2000; /* twice its peak, by Winograd */
    expect(&result, graph, PLAUSIBLE);
    result.peak_gmacs = 900;
    expect(&result, graph, DOUBT_ROOFLINE);
    free(graph);
}

static void test_dependent_operations_take_time(void **state) {
    struct graph *graph = graph_of("peer_28", false);
    struct plausible_result result = honest("fpga", graph->n_ops * 1e-3 * 1.1);

    expect(&result, graph, PLAUSIBLE); /* a cycle of a gigahertz for each */
    result = honest("fpga", graph->n_ops * 1e-3 * 0.9);
    expect(&result, graph, DOUBT_ROOFLINE);
    free(graph);
}

static void test_the_reference_network_again(void **state) {
    struct graph *graph = graph_of("peer_28", true);
    struct plausible_result result = honest("npu", 100);

    result.reference = true;
    result.reference_known_us = 1900; /* a board that was starved or throttled then */
    expect(&result, graph, PLAUSIBLE);
    result.reference_known_us = 2100;
    expect(&result, graph, DOUBT_REFERENCE);
    result.reference = false; /* the same seen beside another measurement */
    result.median_us = 5000;
    result.reference_us = 100;
    expect(&result, graph, DOUBT_REFERENCE);
    result.reference_known_us = 0;
    expect(&result, graph, PLAUSIBLE);
    free(graph);
}

static void test_what_does_more_takes_longer(void **state) {
    struct graph *small = graph_of("peer_28", false), *reference = NULL;
    struct plausible_result result = honest("npu", 100);

    assert_int_equal(reference_graph(NULL, &reference), 0);
    result.reference_us = 2100; /* less work, or other work, may be however fast */
    expect(&result, small, PLAUSIBLE);
    expect(&result, reference, DOUBT_REFERENCE);
    result.reference_us = 1900;
    expect(&result, reference, PLAUSIBLE);
    /* A back end that falls back to the processor for one kind of operation: what lacks it is no
       more work, however many multiply-adds it has. */
    for (int i = 0; i < reference->n_ops; i++)
        if (reference->ops[i].kind == OP_DEPTHWISE)
            reference->ops[i].kernel += 2;
    result.reference_us = 1e6;
    expect(&result, reference, PLAUSIBLE);
    free(small);
    free(reference);
}

static void test_no_variance(void **state) {
    struct graph *graph = graph_of("peer_28", true);
    struct plausible_result result = honest("native", 412.123456);

    result.samples_us = equal;
    expect(&result, graph, DOUBT_VARIANCE);
    result.n = PLAUSIBLE_SAMPLES_MIN - 1;
    expect(&result, graph, PLAUSIBLE);
    result.n = PLAUSIBLE_SAMPLES_MIN;
    expect(&result, graph, DOUBT_VARIANCE);
    result.runtime = "tensorrt";
    expect(&result, graph, DOUBT_VARIANCE);
    result.steady = true; /* a micro-controller that counts its cycles */
    expect(&result, graph, PLAUSIBLE);
    result = honest("ncnn", 3450); /* a tool that prints 3.45 ms each time */
    result.samples_us = equal;
    expect(&result, graph, PLAUSIBLE);
    result.runtime = "native"; /* which does not round */
    expect(&result, graph, DOUBT_VARIANCE);
    result = honest("ncnn", 3450.25);
    result.samples_us = equal;
    expect(&result, graph, DOUBT_VARIANCE);
    free(graph);
}

static void test_outputs(void **state) {
    struct graph *graph = graph_of("peer_28", true);
    struct plausible_result result = honest("npu", 400);

    result.output_error = 0.9e-3;
    expect(&result, graph, PLAUSIBLE);
    result.output_error = 1.1e-3;
    expect(&result, graph, DOUBT_OUTPUTS);
    result.precision = "int8";
    expect(&result, graph, PLAUSIBLE);
    result.output_error = 0.04;
    expect(&result, graph, DOUBT_OUTPUTS);
    result.output_tolerance = 0.05; /* the board's owner allows it */
    expect(&result, graph, PLAUSIBLE);
    result.output_error = 0.6; /* nobody can allow that */
    result.output_tolerance = 1;
    expect(&result, graph, DOUBT_OUTPUTS);
    result.output_error = -1; /* not told */
    expect(&result, graph, PLAUSIBLE);
    free(graph);
}

/* The constants against what the scalar kernels give here and now. */
static void test_outputs_of_the_reference_network(void **state) {
    struct graph *graph = NULL;
    struct plan_weights *weights = NULL;
    struct err err = {0};
    struct rng rng = rng_make(REFERENCE_SEED, RNG_INPUT, 0, 0);
    float *outputs = NULL, *input;
    double told[REFERENCE_OUTPUTS], largest = 0;
    size_t n = 0;

    assert_int_equal(reference_graph(&err, &graph), 0);
    const struct tensor_shape *in = &graph->tensors[0];
    size_t n_input = (size_t)in->channels * (size_t)in->height * (size_t)in->width;
    input = calloc(n_input, sizeof(*input));
    for (size_t i = 0; i < n_input; i++)
        input[i] = (float)rng_normal(&rng);
    assert_int_equal(plan_weights_random(graph, REFERENCE_SEED, &err, &weights), 0);
    assert_int_equal(outputs_expect(graph, weights, input, &err, &outputs, &n), 0);
    assert_int_equal(n, REFERENCE_OUTPUTS);
    assert_true(macs_of(graph) == REFERENCE_MACS);
    for (size_t i = 0; i < n; i++) {
        told[i] = (double)outputs[i];
        largest = fmax(largest, fabs(told[i]));
    }
    for (size_t i = 0; i < n; i++)
        assert_true(fabs(told[i] - reference_outputs[i]) <= 1e-4 * largest);

    struct plausible_result result = honest("native", 400);
    result.reference = true;
    result.outputs = told;
    result.n_outputs = (int)n;
    result.output_error = 0;
    expect(&result, graph, PLAUSIBLE);
    told[3] += 2e-3 * largest;
    expect(&result, graph, DOUBT_OUTPUTS); /* whatever the worker says of it */
    told[3] = NAN;
    expect(&result, graph, DOUBT_OUTPUTS);
    result.reference = false;
    expect(&result, graph, PLAUSIBLE); /* of other networks nobody here knows */
    plan_weights_destroy(weights);
    free(outputs);
    free(input);
    free(graph);
}

static void test_comparing_outputs(void **state) {
    const float expected[3] = {1, -2, 0.5f}, near[3] = {1.001f, -2, 0.5f},
                far[3] = {1.1f, -2, 0.5f};
    const float broken[3] = {1, NAN, 0.5f};
    struct err err = {0};
    double error = 7;

    assert_int_equal(outputs_compare(near, expected, 3, 1e-3, &err, &error), 0);
    assert_true(fabs(error - 0.0005) < 1e-6);
    assert_int_equal(outputs_compare(far, expected, 3, 1e-3, &err, &error), ESP_EINVAL);
    assert_int_equal(outputs_compare(far, expected, 3, 0.06, &err, &error), 0);
    assert_int_equal(outputs_compare(broken, expected, 3, 1, &err, &error), ESP_EINVAL);
    cJSON *doc = cJSON_CreateObject();
    outputs_tell(doc, near, 3, 0.5, 1);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(doc, "outputs")), 3);
    cJSON_Delete(doc);
}

static void test_fingerprints(void **state) {
    struct graph *graph = graph_of("peer_28", true);
    struct plausible_result result = honest("native", 400);

    result.told_fingerprint = "another";
    expect(&result, graph, DOUBT_FINGERPRINT);
    result.told_fingerprint = NULL; /* an older worker */
    expect(&result, graph, PLAUSIBLE);
    free(graph);
}

static void test_names(void **state) {
    assert_null(plausible_doubt_names[PLAUSIBLE]);
    for (int i = 1; i < PLAUSIBLE_DOUBTS; i++)
        assert_non_null(plausible_doubt_names[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_roofline),
        cmocka_unit_test(test_dependent_operations_take_time),
        cmocka_unit_test(test_the_reference_network_again),
        cmocka_unit_test(test_what_does_more_takes_longer),
        cmocka_unit_test(test_no_variance),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_outputs_of_the_reference_network),
        cmocka_unit_test(test_comparing_outputs),
        cmocka_unit_test(test_fingerprints),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
