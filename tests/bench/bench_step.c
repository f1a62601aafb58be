/* Time of a sandwich step (largest subnet on labels, smallest and two random ones on its logits,
 * one optimiser step) on random images.
 *
 *     bench_step --space peer_32 --batch 64 --threads 2 --rounds 5 [--cpu-mask 3] [--json]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/stats.h"
#include "supernet/engine.h"
#include "supernet/engine_internal.h"
#include "supernet/loss.h"
#include "tests/bench/machine_limits.h"
#include "tests/bench/step_work.h"

enum { SUBNETS = 4, ROUNDS_MAX = 1000 };

struct bench {
    struct space *space;
    struct supernet *net;
    struct parallel *pool;
    struct engine *engine;
    struct arch archs[SUBNETS];
    int batch, resolution;
    bool only_smallest;
    struct machine_limits limits;
    struct work work[ENGINE_PHASES];
    double memory_mb; /* most that the process took beyond what it had before */
    float *images, *logits, *teacher, *d_logits;
    uint16_t *labels;
    double subnet_ms[SUBNETS], optimiser_ms; /* of the latest step */
};

static double now_ms(void) {
    return (double)clock_mono_ns() / 1e6;
}

static int run_subnet(struct bench *b, int i, struct err *err) {
    struct engine_run run = {.arch = &b->archs[i],
                             .mode = ENGINE_TRAIN,
                             .images = b->images,
                             .n = b->batch,
                             .bn_momentum = 0.1f};
    int classes = b->space->n_classes;
    float *logits = i == 0 ? b->teacher : b->logits;
    int rc = engine_forward(b->engine, &run, err, logits);
    if (rc < 0)
        return rc;
    if (i == 0)
        loss_cross_entropy(logits, b->labels, b->batch, classes, 0.1f, b->batch, b->d_logits);
    else
        loss_distill(logits, b->teacher, b->batch, classes,
                     &(struct loss_soft){.temperature = 1, .scale = 1}, b->d_logits);
    return engine_backward(b->engine, b->d_logits, err);
}

static int run_step(struct bench *b, struct err *err) {
    struct sgd sgd = {0.05f, 0.9f, 3e-5f, 0};
    supernet_zero_grad(b->net);
    for (int i = 0; i < (b->only_smallest ? 1 : SUBNETS); i++) {
        double start = now_ms();
        int rc = run_subnet(b, i, err);
        if (rc < 0)
            return rc;
        b->subnet_ms[i] = now_ms() - start;
    }
    double start = now_ms();
    supernet_sgd_step(b->net, b->pool, &sgd);
    b->optimiser_ms = now_ms() - start;
    return 0;
}

static int allocate(struct bench *b, int resolution) {
    size_t n = (size_t)b->batch, classes = (size_t)b->space->n_classes;
    size_t pixels = n * (size_t)(b->space->input_channels * resolution * resolution);
    b->images = mem_aligned(pixels, sizeof(float));
    b->logits = mem_aligned(n * classes, sizeof(float));
    b->teacher = mem_aligned(n * classes, sizeof(float));
    b->d_logits = mem_aligned(n * classes, sizeof(float));
    b->labels = mem_array(n, sizeof *b->labels);
    if (!b->images || !b->logits || !b->teacher || !b->d_logits || !b->labels)
        return ESP_ENOMEM;
    struct rng rng = rng_make(1, RNG_TEST, 0, 0);
    for (size_t i = 0; i < pixels; i++)
        b->images[i] = (float)rng_normal(&rng);
    for (size_t i = 0; i < n; i++)
        b->labels[i] = (uint16_t)rng_below(&rng, (uint32_t)classes);
    return 0;
}

static double peak_mb(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (double)usage.ru_maxrss / 1024 : 0;
}

/* The index of the resolution asked for, or of the largest. */
static int find_resolution(const struct space *space, int side) {
    for (int i = 0; i < space->n_resolutions; i++)
        if (space->resolutions[i] == side)
            return i;
    return space->n_resolutions - 1;
}

static int open_bench(struct bench *b, const char *space, int threads, struct err *err) {
    int rc = space_builtin(space, err, &b->space);
    if (rc < 0)
        return rc;
    int index = find_resolution(b->space, b->resolution);
    int resolution = b->resolution = b->space->resolutions[index];
    struct engine_limits limits = {b->batch, resolution, true};
    struct rng rng = rng_make(1, RNG_TEST, 1, 0);
    b->memory_mb = peak_mb();
    arch_max(b->space, &b->archs[0]);
    if (b->only_smallest)
        arch_min(b->space, &b->archs[0]);
    arch_min(b->space, &b->archs[1]);
    arch_random(b->space, &rng, &b->archs[2]);
    arch_random(b->space, &rng, &b->archs[3]);
    for (int i = 0; i < SUBNETS; i++)
        b->archs[i].resolution = (uint8_t)index;
    rc = parallel_create(threads, &b->pool);
    if (rc == 0)
        rc = supernet_create(b->space, 1, err, &b->net);
    if (rc == 0)
        rc = engine_create(b->net, b->pool, &limits, err, &b->engine);
    if (rc == 0)
        rc = allocate(b, resolution);
    return rc;
}

static void close_bench(struct bench *b) {
    engine_destroy(b->engine);
    supernet_destroy(b->net);
    parallel_destroy(b->pool);
    space_destroy(b->space);
    free(b->images);
    free(b->logits);
    free(b->teacher);
    free(b->d_logits);
    free(b->labels);
}

static void print_json(const struct bench *b, const double *ms, int rounds) {
    printf("{\"space\": \"%s\", \"batch\": %d, \"threads\": %d, \"step_ms\": [", b->space->name,
           b->batch, parallel_threads(b->pool));
    for (int i = 0; i < rounds; i++)
        printf("%s%.3f", i ? ", " : "", ms[i]);
    printf("], \"subnets\": [");
    for (int i = 0; i < SUBNETS; i++) {
        char text[ARCH_TEXT_MAX];
        arch_format(b->space, &b->archs[i], text);
        printf("%s\"%s\"", i ? ", " : "", text);
    }
    double median = stats_median(ms, (size_t)rounds);
    printf("], \"kernels\": \"%s\", \"median_ms\": %.3f, \"images_per_s\": %.2f, \"memory_mb\": "
           "%.1f}\n",
           b->engine->forward->name, median, b->batch / median * 1e3, b->memory_mb);
}

/* What a pass reached, and what bounds it: the time that its multiply-adds and its planes would
 * take at this machine's limits. */
static void print_work(const struct bench *b, int phase, double ms) {
    const struct work *work = &b->work[phase];
    if (work->flops == 0 || b->limits.gflops == 0 || b->limits.copy_gb_s == 0) {
        puts("");
        return;
    }
    double compute = work->flops / b->limits.gflops * 1e-6;
    double memory = work->bytes / b->limits.copy_gb_s * 1e-6;
    printf("  %6.1f GFLOP/s (%4.1f %% of the peak), %5.1f GB/s (%4.1f %%); %.2f ms of sums, "
           "%.2f ms of memory at the limits\n",
           work->flops / ms * 1e-6, 100 * compute / ms, work->bytes / ms * 1e-6, 100 * memory / ms,
           compute, memory);
}

static int count_work(struct bench *b, struct err *err) {
    for (int i = 0; i < (b->only_smallest ? 1 : SUBNETS); i++) {
        struct graph *graph = NULL;
        int rc = graph_build(b->space, &b->archs[i], err, &graph);
        if (rc != 0)
            return rc;
        step_work_add(graph, b->batch, ENGINE_MERGE_CHANNELS, b->work);
        free(graph);
    }
    return 0;
}

static void print_text(const struct bench *b, const double *ms, int rounds,
                       const int64_t phases[ENGINE_PHASES]) {
    double median = stats_median(ms, (size_t)rounds), passes = 0;
    printf("%s, batch %d, %d threads, %s: median step %.1f ms of %d, %.1f images/s\n",
           b->space->name, b->batch, parallel_threads(b->pool), b->engine->forward->name, median,
           rounds, b->batch / median * 1e3);
    printf("  %d pixels a side, %.0f MB of memory beyond the start's\n", b->resolution,
           b->memory_mb);
    printf("  this machine: %.0f GFLOP/s, reads %.1f, copies %.1f GB/s\n", b->limits.gflops,
           b->limits.read_gb_s, b->limits.copy_gb_s);
    printf("  latest: max %.1f, min %.1f, random %.1f and %.1f, optimiser %.1f ms\n",
           b->subnet_ms[0], b->subnet_ms[1], b->subnet_ms[2], b->subnet_ms[3], b->optimiser_ms);
    for (int i = 0; i < ENGINE_PHASES; i++) {
        double ms_a_step = (double)phases[i] / 1e6 / rounds;
        passes += ms_a_step;
        printf("  %-13s %7.2f ms a step", engine_phase_names[i], ms_a_step);
        print_work(b, i, ms_a_step);
    }
    printf("  %-13s %7.2f ms a step\n", "between",
           stats_mean(ms, (size_t)rounds) - passes - b->optimiser_ms);
}

static int measure(struct bench *b, int rounds, bool json, struct err *err) {
    double ms[ROUNDS_MAX];
    int64_t before[ENGINE_PHASES], after[ENGINE_PHASES];
    int rc = run_step(b, err); /* warms caches and pages */
    engine_phase_times(b->engine, before);
    for (int i = 0; rc == 0 && i < rounds; i++) {
        double start = now_ms();
        rc = run_step(b, err);
        ms[i] = now_ms() - start;
    }
    engine_phase_times(b->engine, after);
    b->memory_mb = peak_mb() - b->memory_mb;
    for (int i = 0; i < ENGINE_PHASES; i++)
        after[i] -= before[i];
    if (rc == 0 && !json)
        b->limits = machine_limits_measure(b->pool);
    if (rc == 0 && json)
        print_json(b, ms, rounds);
    else if (rc == 0 && (rc = count_work(b, err)) == 0)
        print_text(b, ms, rounds, after);
    return rc;
}

int main(int argc, char **argv) {
    const char *space = NULL;
    int64_t batch = 64, threads = 2, rounds = 5, side = 0, cpu_mask = 255;
    bool json = false, help = false, smallest = false;
    int rest = 0;
    struct err err = {0};
    const struct option_row rows[] = {
        {"space", 's', OPTION_TEXT, "peer_32", 0, 0, "", "built-in search space", &space},
        {"batch", 'b', OPTION_INT, "64", 1, 4096, "images", "images of a step", &batch},
        {"threads", 't', OPTION_INT, "2", 1, 256, "", "threads", &threads},
        {"rounds", 'r', OPTION_INT, "5", 1, ROUNDS_MAX, "", "steps timed", &rounds},
        {"resolution", 0, OPTION_INT, "0", 0, 1024, "pixels", "0: the space's largest", &side},
        {"only-smallest", 0, OPTION_FLAG, NULL, 0, 0, "", "the smallest subnet alone, on labels",
         &smallest},
        {"cpu-mask", 0, OPTION_INT, "255", 0, 255, "", "CPU flags allowed (base/cpu.h)", &cpu_mask},
        {"json", 'j', OPTION_FLAG, NULL, 0, 0, "", "one line of JSON", &json},
        {"help", 'h', OPTION_FLAG, NULL, 0, 0, "", "this list", &help},
        {0}};
    int rc = options_parse(rows, argc, argv, false, &err, &rest);
    if (rc == 0 && help) {
        options_print_help(rows);
        return 0;
    }
    cpu_set_mask((uint32_t)cpu_mask);
    struct bench b = {.batch = (int)batch, .resolution = (int)side, .only_smallest = smallest};
    if (rc == 0)
        rc = open_bench(&b, space, (int)threads, &err);
    if (rc == 0)
        rc = measure(&b, (int)rounds, json, &err);
    if (rc < 0)
        fprintf(stderr, "bench_step: %s\n", err.message);
    close_bench(&b);
    return rc < 0;
}
