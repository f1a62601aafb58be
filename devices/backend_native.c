/* native: our own runtime, on this processor. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "devices/backend.h"
#include "devices/outputs.h"
#include "devices/plausible.h"
#include "devices/reference.h"
#include "runtime/plan.h"

enum {
    PREPARE_MS = 60000,
    CHAIN = 8 /* runs of a unit alone between two that take in an image */
};

/* One network ready to run: plan, input, output. */
struct runnable {
    struct plan *plan;
    float *input, *output, *expected; /* expected: of the subject alone */
    size_t n_output;
};

struct native {
    struct runnable subject, reference;
    int links; /* of the chain that a unit runs in: how many are left */
};

static int native_open(const struct backend_options *options, struct err *err, void **ret_state) {
    if (options->config)
        return err_set(err, ESP_EINVAL, NULL, "the back end native takes no configuration");
    *ret_state = NULL;
    return 0;
}

static void native_close(void *state) {
}

static int native_describe(void *state, cJSON *fingerprint, struct err *err,
                           struct backend_profile *ret) {
    cJSON_AddNumberToObject(fingerprint, "chain", CHAIN);
    snprintf(ret->runtime, sizeof(ret->runtime), "native");
    snprintf(ret->precision, sizeof(ret->precision), "fp32");
    return 0;
}

static int64_t native_patience_ms(const void *state) {
    return PREPARE_MS;
}

static int make_input(const struct graph *graph, uint64_t seed, struct err *err,
                      struct runnable *ret) {
    const struct tensor_shape *in = &graph->tensors[0];
    size_t n = (size_t)in->channels * (size_t)in->height * (size_t)in->width;
    struct rng rng = rng_make(seed, RNG_INPUT, 0, 0);

    ret->input = mem_aligned(n, sizeof(float));
    if (!ret->input)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    for (size_t i = 0; i < n; i++)
        ret->input[i] = (float)rng_normal(&rng);
    return 0;
}

/* check: what the outputs are to be is worked out first, by the scalar kernels. */
static int runnable_create(const struct graph *graph, uint64_t seed, bool check,
                           struct parallel *pool, struct err *err, struct runnable *ret) {
    const struct tensor_shape *last = &graph->tensors[graph->ops[graph->n_ops - 1].output];
    struct plan_options options = {.pool = pool, .batch = 1};
    struct plan_weights *weights = NULL;
    int rc = make_input(graph, seed, err, ret);

    if (!rc)
        rc = plan_weights_random(graph, seed, err, &weights);
    if (!rc && check)
        rc = outputs_expect(graph, weights, ret->input, err, &ret->expected, &ret->n_output);
    if (!rc)
        rc = plan_create(graph, weights, &options, err, &ret->plan);
    plan_weights_destroy(weights);
    if (rc)
        return rc;
    ret->n_output = (size_t)last->channels * (size_t)last->height * (size_t)last->width;
    ret->output = mem_aligned(ret->n_output, sizeof(float));
    return ret->output ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

static int run_subject(void *context) {
    struct native *native = context;
    return plan_run(native->subject.plan, native->subject.input, 1, native->subject.output);
}

/* A unit alone, in a chain of itself: inside of a network nobody brings its input into the
 * runtime's layout or its output out of it, which is a sixth of the time of a small block. See
 * docs/decisions/0059. */
static int run_link(void *context) {
    struct native *native = context;
    if (native->links == 0) {
        plan_take_in(native->subject.plan, native->subject.input);
        native->links = CHAIN;
    }
    native->links--;
    plan_run_inside(native->subject.plan, native->subject.input);
    return 0;
}

static int run_reference(void *context) {
    struct native *native = context;
    return plan_run(native->reference.plan, native->reference.input, 1, native->reference.output);
}

static int64_t mono_ns(void *context) {
    return clock_mono_ns();
}

/* The process's only measurement. */
static struct native native;

static int native_begin(void *state, const struct backend_run *run,
                        struct sampler_source *ret_source) {
    struct parallel *pool = NULL;
    struct graph *reference = NULL;
    int rc = 0;

    if (run->profile->threads > 1)
        rc = parallel_create(run->profile->threads, &pool);
    if (!rc)
        rc = reference_graph(run->err, &reference);
    if (!rc)
        rc = runnable_create(reference, REFERENCE_SEED, false, pool, run->err, &native.reference);
    if (!rc)
        rc = runnable_create(run->task->graph, run->task->seed, true, pool, run->err,
                             &native.subject);
    if (!rc)
        *ret_source =
            (struct sampler_source){.run = run->task->graph->n_units > 1 ? run_subject : run_link,
                                    .run_reference = run_reference,
                                    .now_ns = mono_ns,
                                    .context = &native};
    return rc;
}

static int native_end(void *state, const struct backend_run *run, cJSON *result) {
    const struct runnable *s = &native.subject;
    double error = 0;
    int rc = run_subject(&native);

    if (!rc)
        rc = outputs_compare(s->output, s->expected, s->n_output, PLAUSIBLE_TOLERANCE_FP32,
                             run->err, &error);

    if (!rc)
        outputs_tell(result, s->output, s->n_output, error, PLAUSIBLE_TOLERANCE_FP32);
    return rc;
}

const struct backend backend_native = {.name = "native",
                                       .summary = "Espalier's own runtime on this processor",
                                       .open = native_open,
                                       .close = native_close,
                                       .describe = native_describe,
                                       .patience_ms = native_patience_ms,
                                       .begin = native_begin,
                                       .end = native_end};
