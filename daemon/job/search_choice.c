/* Which networks to calibrate on. */
#include "base/memory.h"
#include "base/rng.h"
#include "daemon/job/search_run.h"
#include "latency/design.h"
#include "latency/energy.h"
#include "search/sampling.h"

#include <stdlib.h>
#include <string.h>

enum { POOL = 384 /* networks that are chosen of */ };

/* Different subnets from small to large; fewer where the space has no more. */
struct pool {
    int n;
    struct arch archs[POOL];
    struct graph *graphs[POOL];
};

static bool in_pool(const struct pool *pool, const struct arch *arch) {
    for (int i = 0; i < pool->n; i++)
        if (arch_equal(&pool->archs[i], arch))
            return true;
    return false;
}

static bool knows(const struct search_profile *profile, const struct arch *arch) {
    for (int i = 0; i < profile->n_known; i++)
        if (arch_equal(&profile->known[i].arch, arch))
            return true;
    return false;
}

/* Whether every board whose latency is meant has measured it before. */
static bool is_known(const struct search_run *run, const struct arch *arch) {
    int boards = 0, known = 0;
    for (int p = 0; p < run->spec.n_profiles; p++) {
        boards += search_profile_has_board(&run->spec.profiles[p]);
        known += knows(&run->spec.profiles[p], arch);
    }
    return boards > 0 && known == boards;
}

static int fill_pool(const struct search_run *run, struct err *err, struct pool *pool) {
    int rc = 0;
    for (uint32_t i = 0; i < 4 * POOL && pool->n < POOL && rc == 0; i++) {
        struct rng rng = rng_make((uint64_t)run->spec.seed + 1, RNG_SAMPLE, 1, i);
        struct arch *arch = &pool->archs[pool->n];
        sample_leaning(run->spec.space, &rng, 2 * rng_unit(&rng) - 1, arch);
        if (in_pool(pool, arch) || is_known(run, arch))
            continue;
        rc = graph_build(run->spec.space, arch, err, &pool->graphs[pool->n]);
        pool->n += rc == 0;
    }
    return rc;
}

static void pool_destroy(struct pool *pool) {
    for (int i = 0; pool && i < pool->n; i++)
        free(pool->graphs[i]);
    free(pool);
}

/* The pool's graphs with those of what a profile has measured before behind them. */
struct graphs {
    size_t n;
    const struct graph *of[POOL + SEARCH_KNOWN_MAX];
    struct graph *known[SEARCH_KNOWN_MAX];
    int n_known;
};

static int add_known(const struct search_run *run, int profile, struct err *err,
                     struct graphs *graphs) {
    const struct search_profile *p = &run->spec.profiles[profile];
    int rc = 0;
    for (int i = 0; i < p->n_known && rc == 0; i++) {
        rc = graph_build(run->spec.space, &p->known[i].arch, err, &graphs->known[i]);
        if (rc == 0)
            graphs->of[graphs->n++] = graphs->known[graphs->n_known++];
    }
    return rc;
}

/* What is left to be learnt of a pool after what is known: the pool's part of the covariance. */
static int find_left(const struct search_run *run, int profile, const struct graphs *graphs,
                     struct err *err, double *ret_left) {
    size_t n = graphs->n, pool = n - (size_t)graphs->n_known;
    double *covariance = mem_array(n * n, sizeof *covariance), *row = mem_array(n, sizeof *row);
    int rc = covariance && row ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory to choose networks");
    if (rc == 0)
        rc = search_board_covariance(run, profile, graphs->of, n, err, covariance);
    for (size_t i = pool; i < n && rc == 0; i++)
        design_know(covariance, n, i, row);
    for (size_t i = 0; i < pool && rc == 0; i++)
        memcpy(ret_left + i * pool, covariance + i * n, pool * sizeof *ret_left);
    free(covariance);
    free(row);
    return rc;
}

static int find_left_of(const struct search_run *run, int profile, const struct pool *pool,
                        struct err *err, double *ret_left) {
    struct graphs graphs = {.n = (size_t)pool->n};
    memcpy(graphs.of, pool->graphs, graphs.n * sizeof(*graphs.of));
    int rc = add_known(run, profile, err, &graphs);
    if (rc == 0)
        rc = find_left(run, profile, &graphs, err, ret_left);
    for (int i = 0; i < graphs.n_known; i++)
        free(graphs.known[i]);
    return rc;
}

/* The boards' covariances, added up: what is learnt of one board serves that one only. */
static int add_covariances(const struct search_run *run, const struct pool *pool, struct err *err,
                           double *covariance) {
    size_t n = (size_t)pool->n;
    double *one = mem_array(n * n, sizeof *one);
    int rc = one ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory to choose networks");
    for (int p = 0; p < run->spec.n_profiles && rc == 0; p++) {
        if (!search_profile_has_board(&run->spec.profiles[p]))
            continue;
        rc = find_left_of(run, p, pool, err, one);
        for (size_t i = 0; i < n * n && rc == 0; i++)
            covariance[i] += one[i];
    }
    free(one);
    return rc;
}

/* Boards whose latency is meant. */
static int count_latencies(const struct search_run *run) {
    int n = 0;
    for (int b = 0; b < run->spec.n_boards; b++)
        n += run->spec.boards[b].profile >= 0;
    return n;
}

/* Of energy alone: the same whatever the board, since its prices are what is not known. */
static int find_energy_covariance(const struct pool *pool, struct err *err, double *covariance) {
    struct energy_network networks[POOL];
    int rc = 0;
    for (int i = 0; i < pool->n && rc == 0; i++) {
        struct cost cost;
        rc = graph_cost(pool->graphs[i], 4, err, &cost);
        if (rc == 0)
            networks[i] = (struct energy_network){(double)cost.macs, (double)cost.traffic_bytes, 0};
    }
    if (rc == 0)
        energy_covariance(networks, (size_t)pool->n, covariance);
    return rc;
}

/* The most useful of a pool. */
static int choose_useful(const struct search_run *run, const struct pool *pool, int n,
                         struct err *err, struct arch *ret_archs) {
    uint32_t chosen[CALIBRATION_CHOICE_MAX];
    struct design design = {.n = (size_t)pool->n};
    double *covariance = mem_array(design.n * design.n, sizeof *covariance);
    int boards = count_latencies(run);
    int rc = covariance ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory to choose networks");
    if (rc == 0)
        rc = boards > 0 ? add_covariances(run, pool, err, covariance)
                        : find_energy_covariance(pool, err, covariance);
    for (size_t i = 0; i < design.n * design.n && rc == 0 && boards > 0; i++)
        covariance[i] /= boards;
    design.covariance = covariance;
    if (rc == 0)
        rc = design_choose(&design, NULL, 0, (size_t)n, err, chosen, NULL);
    for (int i = 0; i < n && rc == 0; i++)
        ret_archs[i] = pool->archs[chosen[i]];
    free(covariance);
    return rc;
}

/* Over the range of MACs, without its ends, which are degenerate. */
static int choose_spread(const struct search_run *run, int n, struct err *err,
                         struct arch *ret_archs) {
    struct arch *archs = mem_array((size_t)n + 2, sizeof *archs);
    if (!archs)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for calibration networks");
    int rc = sample_spread(run->spec.space, (uint64_t)run->spec.seed + 1, n + 2, err, archs);
    if (rc > 2)
        memcpy(ret_archs, archs + 1, (size_t)(rc - 2) * sizeof *archs);
    free(archs);
    return rc < 0 ? rc : rc > 2 ? rc - 2 : 0;
}

int search_choose_calibration(const struct search_run *run, int n, struct err *err,
                              struct arch *ret_archs) {
    struct err why = {0};
    struct pool *pool;
    if (!run->spec.calibration_useful || n > CALIBRATION_CHOICE_MAX)
        return choose_spread(run, n, err, ret_archs);
    if (!(pool = mem_array(1, sizeof *pool)))
        return err_set(err, ESP_ENOMEM, NULL, "no memory for calibration networks");
    int rc = fill_pool(run, err, pool);
    bool chosen = rc == 0 && pool->n >= CALIBRATION_MIN_NETWORKS && pool->n >= n;
    if (chosen)
        rc = choose_useful(run, pool, n, &why, ret_archs);
    pool_destroy(pool);
    if (rc == ESP_EMISSING || (rc == 0 && !chosen))
        return choose_spread(run, n, err, ret_archs); /* no table or no pool to choose by */
    if (rc != 0 && chosen)
        *err = why;
    return rc == 0 ? n : rc;
}
