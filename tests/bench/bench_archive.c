/* Large archives: bench_archive [OBJECTIVES]
 * What a search keeps of 10^5 and of 10^6 candidates of once-for-all's MobileNetV3 space: the
 * archive alone (random subnets, put in generations of 100, with front and hypervolume after each),
 * and whole searches (counting and two made-up metrics, so that the evaluators cost little).
 * Seconds, their ratio, memory beyond the start's, and the front's size. One thread. OBJECTIVES: 2
 * (default) or 3. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/rng.h"
#include "search/archive.h"
#include "search/loop.h"
#include "space/cost.h"

enum { GENERATION = 100, SIZES = 2 };
static const int sizes[SIZES] = {100000, 1000000};

static _Noreturn void die(const struct err *err) {
    fprintf(stderr, "bench_archive: %s\n", err->message);
    exit(1);
}

static double resident_mb(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static const struct goals *make_goals(int objectives, struct goals *goals) {
    *goals = (struct goals){.n_metrics = 3,
                            .keys = {"top1", "latency_us:bench", "macs"},
                            .n_objectives = objectives,
                            .objectives = {{0, true}, {1, false}, {2, false}}};
    return goals;
}

/* Accuracy rises with every choice, less and less, and no two subnets are worth the same; latency
 * is nearly in proportion to MACs. */
static double top1_of(const struct space *space, const struct arch *arch) {
    struct gene genes[SPACE_GENES_MAX];
    int n = space_genes(space, genes);
    double good = 0;
    for (int i = 0; i < n; i++)
        if (arch_gene_active(space, arch, &genes[i]))
            good += (1 + 0.1 * (i % 7)) * (1 + arch_gene(arch, &genes[i]));
    double noise = (double)(map_hash(arch, sizeof *arch) % 1000) / 1e6;
    return 0.8 - 1 / (1 + 0.1 * good) + noise;
}

static void make_metrics(const struct space *space, const struct arch *arch, double macs,
                         struct metric ret[2]) {
    double top1 = top1_of(space, arch);
    double us = 10 + macs / 1e4 * (1 + (double)(map_hash(arch, sizeof *arch) / 7 % 1000) / 1e4);
    ret[0] = (struct metric){top1, top1 - 0.01, top1 + 0.01, METRIC_PREDICTED};
    ret[1] = (struct metric){us, 0.95 * us, 1.05 * us, METRIC_PREDICTED};
}

struct figures {
    double seconds, mb;
    int front;
};

static void print_figures(const char *name, const struct figures *f) {
    printf("%-28s", name);
    for (int i = 0; i < SIZES; i++)
        printf("  %d: %7.3f s %7.0f MB, front %6d", sizes[i], f[i].seconds, f[i].mb, f[i].front);
    printf("; time ratio %.2f\n", f[1].seconds / f[0].seconds);
    fflush(stdout);
}

/* --- the archive alone --- */

struct drawn {
    struct arch arch;
    struct metric metrics[3];
};

/* Made before the clock runs. */
static struct drawn *draw_all(const struct space *space, int n) {
    struct drawn *all = mem_array((size_t)n, sizeof *all);
    struct err err = {0};
    if (!all)
        die(&(struct err){.message = "no memory"});
    for (int i = 0; i < n; i++) {
        struct rng rng = rng_make(1, RNG_SAMPLE, 0, (uint32_t)i);
        struct cost cost;
        arch_random(space, &rng, &all[i].arch);
        if (arch_cost(space, &all[i].arch, &err, &cost) < 0)
            die(&err);
        double macs = (double)cost.macs;
        make_metrics(space, &all[i].arch, macs, all[i].metrics);
        all[i].metrics[2] = (struct metric){macs, macs, macs, METRIC_COUNTED};
    }
    return all;
}

static struct figures time_archive(const struct space *space, const struct goals *goals,
                                   const struct drawn *all, int n) {
    static const double reference[OBJECTIVES_MAX] = {0, 1e6, 1e10};
    malloc_trim(0);
    double before = resident_mb(), volume;
    struct archive archive;
    struct err err = {0};
    struct figures f;
    const int *front;
    int64_t start = clock_mono_ns();
    archive_init(&archive, space, goals);
    for (int i = 0, index; i < n; i++) {
        if (archive_put(&archive, &all[i].arch, all[i].metrics, i / GENERATION, &err, &index) < 0)
            die(&err);
        if (i % GENERATION == GENERATION - 1 &&
            (archive_front(&archive, &front, &f.front) < 0 ||
             archive_hypervolume(&archive, reference, &volume) < 0))
            die(&(struct err){.message = "no memory for a front"});
    }
    f.seconds = (double)(clock_mono_ns() - start) / 1e9;
    f.mb = resident_mb() - before;
    archive_finish(&archive);
    return f;
}

/* The quickest of three: it is over soon, and what else the machine does would show. */
static struct figures time_best(const struct space *space, const struct goals *goals,
                                const struct drawn *all, int n) {
    struct figures best = time_archive(space, goals, all, n);
    for (int i = 1; i < 3; i++) {
        struct figures f = time_archive(space, goals, all, n);
        best.seconds = f.seconds < best.seconds ? f.seconds : best.seconds;
    }
    return best;
}

/* --- whole searches --- */

static int submit(void *context, struct evaluation *evaluations, int n, struct err *err) {
    for (int i = 0; i < n; i++) {
        struct cost cost;
        int code = arch_cost(context, evaluations[i].arch, err, &cost);
        if (code < 0)
            return code;
        double macs = (double)cost.macs;
        make_metrics(context, evaluations[i].arch, macs, evaluations[i].values);
        evaluations[i].values[2] = (struct metric){macs, macs, macs, METRIC_COUNTED};
        evaluations[i].state = EVALUATION_DONE;
    }
    return 0;
}

static struct figures time_search(struct space *space, const struct goals *goals,
                                  const char *strategy, int n) {
    static const char *const keys[] = {"top1", "latency_us:bench", "macs"};
    const struct evaluator evaluator = {
        .n_metrics = 3, .keys = keys, .context = space, .submit = submit};
    struct search_loop_config config = {.space = space,
                                        .goals = goals,
                                        .evaluators = &evaluator,
                                        .n_evaluators = 1,
                                        .strategy = strategy,
                                        .strategy_config =
                                            strategy_config_default(space, goals->n_objectives, 1),
                                        .budget = n,
                                        .batch = GENERATION,
                                        .reference = {0, 1e6, 1e10}};
    struct generation g = {0};
    struct search_loop *loop;
    struct err err = {0};
    malloc_trim(0);
    double before = resident_mb();
    config.strategy_config.population = GENERATION;
    int64_t start = clock_mono_ns();
    int more = search_loop_create(&config, &err, &loop);
    do
        more = more < 0 ? more : search_loop_step(loop, &err, &g);
    while (more > 0);
    if (more < 0)
        die(&err);
    struct figures f = {(double)(clock_mono_ns() - start) / 1e9, resident_mb() - before,
                        g.front_size};
    search_loop_destroy(loop);
    return f;
}

int main(int argc, char **argv) {
    static const char *const strategies[] = {"random", "nsga2", "evolution", "aging"};
    int objectives = argc > 1 ? atoi(argv[1]) : 2;
    struct figures f[SIZES];
    struct goals goals;
    struct space *space;
    struct err err = {0};
    if (objectives < 2 || objectives > 3) {
        fprintf(stderr, "usage: bench_archive [2 | 3]\n");
        return 2;
    }
    if (space_builtin("ofa_mbv3", &err, &space) < 0)
        die(&err);
    make_goals(objectives, &goals);
    struct drawn *all = draw_all(space, sizes[SIZES - 1]);
    for (int i = 0; i < SIZES; i++)
        f[i] = time_best(space, &goals, all, sizes[i]);
    free(all);
    print_figures("archive alone", f);
    for (size_t s = 0; s < sizeof strategies / sizeof *strategies; s++) {
        for (int i = 0; i < SIZES; i++)
            f[i] = time_search(space, &goals, strategies[s], sizes[i]);
        print_figures(strategies[s], f);
    }
    space_destroy(space);
    return 0;
}
