/* Latency of whole subnets, one image at a time or a batch: the smallest, the largest and some
 * random ones of a space. Takes its time on a quiet machine; figures of a busy one are worth
 * nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/options.h"
#include "base/rng.h"
#include "runtime/kernels/kernels.h"
#include "runtime/plan.h"
#include "space/cost.h"
#include "tests/bench/bench.h"

struct options {
    const char *space, *arch;
    int64_t threads, batch, randoms, cpu_mask;
    bool json, help;
};

struct run {
    struct plan *plan;
    int batch;
    float *input, *output;
};

static void run_once(void *context) {
    struct run *run = context;
    (void)plan_run(run->plan, run->input, run->batch, run->output);
}

static int check(int code, const struct err *err) {
    if (code)
        fprintf(stderr, "bench_latency: %s\n", err->message);
    return code;
}

static void print(const struct options *options, const char *name, const struct cost *cost,
                  struct bench_time time) {
    double rate = 2e-9 * (double)cost->macs * (double)options->batch / time.median_s;
    const char *form = options->json
                           ? "{\"space\":\"%s\",\"subnet\":\"%s\",\"kernels\":\"%s\",\"threads\":%"
                             "d,\"batch\":%d,\"macs\":%lld,"
                             "\"median_ms\":%.4f,\"best_ms\":%.4f,\"gflops\":%.1f}\n"
                           : "%-14s %-9s %-6s t%d b%d %10lld MACs  median %8.3f ms  best %8.3f ms  "
                             "%5.1f GFLOP/s\n";
    printf(form, options->space, name, kernels_select(cpu_flags())->name, (int)options->threads,
           (int)options->batch, (long long)cost->macs, time.median_s * 1e3, time.best_s * 1e3,
           rate);
    fflush(stdout);
}

static int bench_arch(const struct options *options, const struct space *space,
                      const struct arch *arch, struct parallel *pool, const char *name) {
    struct err err = {0};
    struct graph *graph = NULL;
    struct plan_weights *weights = NULL;
    struct run run = {.batch = (int)options->batch};
    struct cost cost;
    struct plan_options plan_options = {.pool = pool, .batch = run.batch};
    int code = graph_build(space, arch, &err, &graph);
    if (!code)
        code = graph_cost(graph, 4, &err, &cost);
    if (!code)
        code = plan_weights_random(graph, 1, &err, &weights);
    if (!code)
        code = plan_create(graph, weights, &plan_options, &err, &run.plan);
    if (check(code, &err))
        goto out;
    const struct tensor_shape *shape = &graph->tensors[0];
    size_t batch = (size_t)run.batch;
    size_t n = batch * (size_t)shape->channels * (size_t)shape->height * (size_t)shape->width;
    run.input = calloc(n, sizeof(float));
    run.output = calloc(batch * (size_t)space->n_classes, sizeof(float));
    struct rng rng = rng_make(1, RNG_INPUT, 0, 0);
    for (size_t i = 0; i < n; i++)
        run.input[i] = (float)rng_normal(&rng);
    print(options, name, &cost,
          bench_measure(run_once, &run, 0.003, options->batch > 1 ? 21 : 101));
out:
    free(run.input);
    free(run.output);
    plan_destroy(run.plan);
    plan_weights_destroy(weights);
    free(graph);
    return code;
}

static int bench_space(const struct options *options, const struct space *space) {
    struct parallel *pool = NULL;
    struct arch arch;
    if (parallel_create((int)options->threads, &pool))
        return 1;
    if (options->arch) {
        struct err err = {0};
        int code =
            check(arch_parse(space, options->arch, strlen(options->arch), &err, &arch), &err);
        if (!code)
            code = bench_arch(options, space, &arch, pool, "arch");
        parallel_destroy(pool);
        return code;
    }
    arch_min(space, &arch);
    arch.resolution = (uint8_t)(space->n_resolutions - 1);
    int code = bench_arch(options, space, &arch, pool, "min");
    arch_max(space, &arch);
    code |= bench_arch(options, space, &arch, pool, "max");
    for (uint32_t i = 0; i < (uint32_t)options->randoms && !code; i++) {
        struct rng rng = rng_make(1, RNG_SAMPLE, 0, i);
        char name[32];
        snprintf(name, sizeof(name), "random%u", i);
        arch_random(space, &rng, &arch);
        code = bench_arch(options, space, &arch, pool, name);
    }
    parallel_destroy(pool);
    return code;
}

int main(int argc, char **argv) {
    struct options options = {0};
    const struct option_row rows[] = {
        {"space", 's', OPTION_TEXT, "peer_32", 0, 0, "", "built-in space", &options.space},
        {"threads", 't', OPTION_INT, "1", 1, 64, "", "threads", &options.threads},
        {"batch", 'b', OPTION_INT, "1", 1, 4096, "", "images at a time", &options.batch},
        {"arch", 'a', OPTION_TEXT, NULL, 0, 0, "", "this subnet alone", &options.arch},
        {"randoms", 'n', OPTION_INT, "3", 0, 100, "", "random subnets", &options.randoms},
        {"cpu-mask", 0, OPTION_INT, "255", 0, 255, "", "CPU flags allowed", &options.cpu_mask},
        {"json", 'j', OPTION_FLAG, NULL, 0, 0, "", "one JSON object a line", &options.json},
        {"help", 'h', OPTION_FLAG, NULL, 0, 0, "", "this text", &options.help},
        {NULL}};
    struct err err = {0};
    struct space *space = NULL;
    int rest;
    if (check(options_parse(rows, argc, argv, false, &err, &rest), &err))
        return 2;
    if (options.help) {
        options_print_help(rows);
        return 0;
    }
    cpu_set_mask((uint32_t)options.cpu_mask);
    if (check(space_builtin(options.space, &err, &space), &err))
        return 2;
    int code = bench_space(&options, space);
    space_destroy(space);
    return code ? 1 : 0;
}
