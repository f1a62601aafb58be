/* BN recalibration beside forward passes of the same images: of training (batch statistics), by the
 * engine with given statistics, and by the runtime with BN folded. On random images, in turn.
 *
 *     bench_recalibrate --space peer_32 --batch 200 --threads 2 --rounds 7
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/stats.h"
#include "runtime/plan.h"
#include "supernet/engine.h"

enum { WAYS = 4, ROUNDS_MAX = 200, SUBNETS = 3 };
static const char *const ways[WAYS] = {"recalibrate", "training's forward",
                                       "forward with given statistics", "runtime"};

struct bench {
    struct space *space;
    struct supernet *net;
    struct parallel *pool;
    struct engine *engine, *training;
    struct bn_stats *stats, *given;
    struct plan *plan;
    struct arch arch;
    int batch;
    float *images, *logits;
};

static int open_bench(struct bench *b, const char *space, int threads, struct err *err) {
    int rc = space_builtin(space, err, &b->space);
    if (rc < 0)
        return rc;
    int side = b->space->resolutions[b->space->n_resolutions - 1];
    struct engine_limits limits = {.batch = b->batch, .resolution = side};
    size_t pixels = (size_t)b->batch * (size_t)(b->space->input_channels * side * side);
    b->images = mem_aligned(pixels, sizeof(float));
    b->logits = mem_aligned((size_t)b->batch * (size_t)b->space->n_classes, sizeof(float));
    if (!b->images || !b->logits)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the images");
    struct rng rng = rng_make(1, RNG_TEST, 0, 0);
    for (size_t i = 0; i < pixels; i++)
        b->images[i] = (float)rng_normal(&rng);
    rc = parallel_create(threads, &b->pool);
    if (rc == 0)
        rc = supernet_create(b->space, 1, err, &b->net);
    if (rc == 0)
        rc = engine_create(b->net, b->pool, &limits, err, &b->engine);
    limits.training = true;
    return rc == 0 ? engine_create(b->net, b->pool, &limits, err, &b->training) : rc;
}

static void close_subnet(struct bench *b) {
    bn_stats_destroy(b->stats);
    bn_stats_destroy(b->given);
    plan_destroy(b->plan);
    b->stats = b->given = NULL;
    b->plan = NULL;
}

static void close_bench(struct bench *b) {
    close_subnet(b);
    engine_destroy(b->engine);
    engine_destroy(b->training);
    supernet_destroy(b->net);
    parallel_destroy(b->pool);
    space_destroy(b->space);
    free(b->images);
    free(b->logits);
}

static int run_engine(struct bench *b, enum engine_mode mode, struct bn_stats *stats,
                      struct err *err) {
    struct engine *engine = mode == ENGINE_TRAIN ? b->training : b->engine;
    struct engine_run run = {
        .arch = &b->arch, .mode = mode, .images = b->images, .n = b->batch, .bn_stats = stats};
    return engine_forward(engine, &run, err, b->logits);
}

static int run_way(struct bench *b, int way, struct err *err) {
    switch (way) {
    case 0:
        return run_engine(b, ENGINE_RECALIBRATE, b->stats, err);
    case 1:
        return run_engine(b, ENGINE_TRAIN, NULL, err);
    case 2:
        return run_engine(b, ENGINE_EVAL, b->given, err);
    default:
        return plan_run(b->plan, b->images, b->batch, b->logits);
    }
}

static int open_subnet(struct bench *b, int subnet, struct err *err) {
    struct rng rng = rng_make(1, RNG_TEST, 1, 0);
    struct graph *graph = NULL;
    struct plan_weights *weights = NULL;
    struct plan_options options = {.pool = b->pool, .batch = b->batch};
    if (subnet == 0)
        arch_max(b->space, &b->arch);
    else if (subnet == 1)
        arch_min(b->space, &b->arch);
    else
        arch_random(b->space, &rng, &b->arch);
    b->arch.resolution = (uint8_t)(b->space->n_resolutions - 1);
    int rc = bn_stats_create(b->space, &b->arch, err, &b->stats);
    if (rc == 0)
        rc = bn_stats_create(b->space, &b->arch, err, &b->given);
    if (rc == 0)
        rc = run_engine(b, ENGINE_RECALIBRATE, b->given, err);
    if (rc == 0)
        rc = engine_fold(b->net, &b->arch, b->given, err, &weights);
    if (rc == 0)
        rc = graph_build(b->space, &b->arch, err, &graph);
    if (rc == 0)
        rc = plan_create(graph, weights, &options, err, &b->plan);
    free(graph);
    plan_weights_destroy(weights);
    return rc;
}

static int measure(struct bench *b, int rounds, struct err *err, double ms[WAYS][ROUNDS_MAX]) {
    int rc = 0;
    for (int round = -1; rc == 0 && round < rounds; round++)
        for (int i = 0; rc == 0 && i < WAYS; i++) {
            int way = (i + round + WAYS) % WAYS;
            rc = run_way(b, way, err); /* not timed: it has the caches of the one before */
            int64_t start = clock_mono_ns();
            if (rc == 0)
                rc = run_way(b, way, err);
            if (round >= 0)
                ms[way][round] = (double)(clock_mono_ns() - start) * 1e-6;
        }
    return rc;
}

static void report(const struct bench *b, int subnet, int rounds, double ms[WAYS][ROUNDS_MAX]) {
    static const char *const names[SUBNETS] = {"largest", "smallest", "random"};
    double ratio[WAYS][ROUNDS_MAX];
    printf("%s, batch %d, %s\n", b->space->name, b->batch, names[subnet]);
    for (int way = 0; way < WAYS; way++) {
        for (int i = 0; i < rounds; i++)
            ratio[way][i] = ms[0][i] / ms[way][i];
        printf("  %-30s %8.2f ms", ways[way], stats_median(ms[way], (size_t)rounds));
        if (way > 0)
            printf("   recalibration takes %.2f times that",
                   stats_median(ratio[way], (size_t)rounds));
        puts("");
    }
}

int main(int argc, char **argv) {
    static double ms[WAYS][ROUNDS_MAX];
    const char *space = NULL;
    int64_t batch = 200, threads = 2, rounds = 7;
    bool help = false;
    int rest = 0;
    struct err err = {0};
    const struct option_row rows[] = {
        {"space", 's', OPTION_TEXT, "peer_32", 0, 0, "", "built-in search space", &space},
        {"batch", 'b', OPTION_INT, "200", 2, 4096, "images", "images of a pass", &batch},
        {"threads", 't', OPTION_INT, "2", 1, 256, "", "threads", &threads},
        {"rounds", 'r', OPTION_INT, "7", 1, ROUNDS_MAX, "", "passes timed", &rounds},
        {"help", 'h', OPTION_FLAG, NULL, 0, 0, "", "this list", &help},
        {0}};
    int rc = options_parse(rows, argc, argv, false, &err, &rest);
    if (rc == 0 && help) {
        options_print_help(rows);
        return 0;
    }
    struct bench b = {.batch = (int)batch};
    if (rc == 0)
        rc = open_bench(&b, space, (int)threads, &err);
    for (int i = 0; rc == 0 && i < SUBNETS; i++) {
        rc = open_subnet(&b, i, &err);
        if (rc == 0)
            rc = measure(&b, (int)rounds, &err, ms);
        if (rc == 0)
            report(&b, i, (int)rounds, ms);
        close_subnet(&b);
    }
    if (rc < 0)
        fprintf(stderr, "bench_recalibrate: %s\n", err.message);
    close_bench(&b);
    return rc < 0;
}
