/* Our side of tests/bench/run-latency. Writes some subnets of a space as ONNX, each with an image
 * and what the scalar kernels make of it, and a line "NAME C H W OUTPUTS MACS" on stdout for each,
 * then an empty line. Then takes lines "SUBNET THREADS SAMPLES RUNS" on stdin and answers with as
 * many numbers: microseconds a run. Usage: latency_pair FOLDER SPACE SUBNETS [RESOLUTION …] */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/rng.h"
#include "runtime/export_onnx.h"
#include "space/cost.h"

enum { SUBNETS_MAX = 64, THREADS_MAX = 16, SAMPLES_MAX = 1000, PATH_BYTES = 4096 };

struct subnet {
    struct plan *plans[THREADS_MAX + 1]; /* by threads */
    struct graph *graph;
    struct plan_weights *weights;
    float *input, *output, *expected;
    size_t n_input, n_output;
};
static struct subnet subnets[SUBNETS_MAX];
static struct parallel *pools[THREADS_MAX + 1];

static void check(int code, const struct err *err) {
    if (!code)
        return;
    fprintf(stderr, "latency_pair: %s\n", err->message);
    exit(1);
}

static size_t elements(const struct tensor_shape *shape) {
    return (size_t)shape->channels * (size_t)shape->height * (size_t)shape->width;
}

static void write_floats(const char *folder, int index, const char *suffix, const float *data,
                         size_t n) {
    char path[PATH_BYTES];
    struct err err = {0};
    snprintf(path, sizeof(path), "%s/subnet%d.%s", folder, index, suffix);
    check(file_write_atomic(path, data, n * sizeof(float), &err), &err);
}

static void compute_expected(struct subnet *s) {
    const struct plan_options options = {.cpu_flags = CPU_SSE2, .batch = 1};
    struct plan *plan = NULL;
    struct err err = {0};
    check(plan_create(s->graph, s->weights, &options, &err, &plan), &err);
    check(plan_run(plan, s->input, 1, s->expected), &err);
    plan_destroy(plan);
}

static void make_subnet(const char *folder, int index, const struct space *space,
                        const struct arch *arch) {
    struct subnet *s = &subnets[index];
    struct err err = {0};
    struct cost cost;
    char path[PATH_BYTES];
    check(graph_build(space, arch, &err, &s->graph), &err);
    check(graph_cost(s->graph, 4, &err, &cost), &err);
    check(plan_weights_random(s->graph, 11, &err, &s->weights), &err);
    const struct tensor_shape *in = &s->graph->tensors[0];
    s->n_input = elements(in);
    s->n_output = elements(&s->graph->tensors[s->graph->n_tensors - 1]);
    s->input = calloc(s->n_input, sizeof(float));
    s->output = calloc(s->n_output, sizeof(float));
    s->expected = calloc(s->n_output, sizeof(float));
    if (!s->input || !s->output || !s->expected)
        exit(1);
    struct rng rng = rng_make(2, RNG_INPUT, 0, (uint32_t)index);
    for (size_t i = 0; i < s->n_input; i++)
        s->input[i] = (float)rng_normal(&rng);
    compute_expected(s);
    snprintf(path, sizeof(path), "%s/subnet%d.onnx", folder, index);
    check(export_onnx(s->graph, s->weights, NULL, path, &err), &err);
    write_floats(folder, index, "input", s->input, s->n_input);
    write_floats(folder, index, "expected", s->expected, s->n_output);
    printf("subnet%d %d %d %d %zu %lld\n", index, in->channels, in->height, in->width, s->n_output,
           (long long)cost.macs);
}

static uint8_t resolution_index(const struct space *space, int pixels) {
    for (int i = 0; i < space->n_resolutions; i++)
        if (space->resolutions[i] == pixels)
            return (uint8_t)i;
    fprintf(stderr, "latency_pair: the space has no resolution %d\n", pixels);
    exit(2);
}

/* The smallest, the largest, then random ones; the given resolutions in turn. */
static void make_subnets(const char *folder, const struct space *space, int n, char **resolutions,
                         int n_resolutions) {
    for (int i = 0; i < n; i++) {
        struct rng rng = rng_make(4, RNG_SAMPLE, 0, (uint32_t)i);
        struct arch arch;
        if (i == 0)
            arch_min(space, &arch);
        else if (i == 1)
            arch_max(space, &arch);
        else
            arch_random(space, &rng, &arch);
        if (n_resolutions > 0)
            arch.resolution = resolution_index(space, atoi(resolutions[i % n_resolutions]));
        make_subnet(folder, i, space, &arch);
    }
    puts("");
    fflush(stdout);
}

/* What is timed gives what the scalar kernels give. */
static void check_output(const struct subnet *s) {
    double error = 0, largest = 0;
    for (size_t i = 0; i < s->n_output; i++) {
        error = fmax(error, fabs((double)s->output[i] - (double)s->expected[i]));
        largest = fmax(largest, fabs((double)s->expected[i]));
    }
    if (!(error <= 1e-4 * largest)) {
        fprintf(stderr, "latency_pair: outputs differ by %g of the largest\n", error / largest);
        exit(1);
    }
}

static struct plan *plan_of(struct subnet *s, int threads) {
    struct err err = {0};
    if (threads > 1 && !pools[threads])
        check(parallel_create(threads, &pools[threads]), &err);
    if (!s->plans[threads]) {
        const struct plan_options options = {.pool = pools[threads], .batch = 1};
        check(plan_create(s->graph, s->weights, &options, &err, &s->plans[threads]), &err);
        check(plan_run(s->plans[threads], s->input, 1, s->output), &err);
        check_output(s);
    }
    return s->plans[threads];
}

static void serve(struct subnet *s, int threads, int samples, int runs) {
    struct plan *plan = plan_of(s, threads);
    for (int i = 0; i < samples; i++) {
        int64_t start = clock_mono_ns();
        for (int k = 0; k < runs; k++)
            (void)plan_run(plan, s->input, 1, s->output);
        printf("%.3f ", (double)(clock_mono_ns() - start) / 1e3 / runs);
    }
    check_output(s);
    puts("");
    fflush(stdout);
}

int main(int argc, char **argv) {
    struct space *space = NULL;
    struct err err = {0};
    int n = argc > 3 ? atoi(argv[3]) : 0, index, threads, samples, runs;
    char line[256];
    if (n < 1 || n > SUBNETS_MAX) {
        fprintf(stderr, "usage: latency_pair FOLDER SPACE SUBNETS [RESOLUTION ...]\n");
        return 2;
    }
    check(space_builtin(argv[2], &err, &space), &err);
    make_subnets(argv[1], space, n, argv + 4, argc - 4);
    while (fgets(line, sizeof(line), stdin)) {
        if (sscanf(line, "%d %d %d %d", &index, &threads, &samples, &runs) != 4 || index < 0 ||
            index >= n || threads < 1 || threads > THREADS_MAX || samples < 1 ||
            samples > SAMPLES_MAX || runs < 1)
            return 2;
        serve(&subnets[index], threads, samples, runs);
    }
    return 0;
}
