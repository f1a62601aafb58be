/* The evolution of once-for-all (Cai et al. 2020): the best quarter of the population are parents;
 * half of the children are mutants of one, half uniform crossings of two; parents stay until better
 * ones are there. Meant for one objective under limits.
 *
 * Deviations: what is known to break a limit is drawn again, but not for ever; what breaks it all
 * the same is ranked behind (Deb 2000); no arch is asked twice, and after eight crossings that were
 * known or broke a limit a mutant is made; several objectives are ranked by
 * dominance, then by crowding; founders lean from the smallest to the largest subnet.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/pareto.h"
#include "search/told.h"
#include "search/variation.h"

enum {
    TRIES = 64,
    CROSSINGS = 8 /* tries that cross: what parents who are alike can yield is soon known */
};

enum { PARENTS, MUTANTS, MUTATION };
static const struct strategy_option options[] = {
    [PARENTS] = {"parents", STRATEGY_OPTION_REAL, 0.25, 0.01, 1,
                 "share of the population, the best, that children are made of"},
    [MUTANTS] = {"mutants", STRATEGY_OPTION_REAL, 0.5, 0, 1,
                 "share of the children that are mutants of one parent; the others cross two"},
    [MUTATION] = {"mutation", STRATEGY_OPTION_REAL, 0.1, 0.001, 1,
                  "chance of each choice of a mutant to be drawn anew"},
    {.name = NULL}};

static int evolution_create(const struct strategy_config *config, struct err *err,
                            void **ret_state) {
    return told_create(config, config->population + STRATEGY_ASK_MAX, err, ret_state);
}

/* What an outcome is sorted by: first rank, then, the other way, distance. */
struct standing {
    int rank, index;
    double distance;
};

static int compare(const void *a, const void *b) {
    const struct standing *p = a, *q = b;
    if (p->rank != q->rank)
        return p->rank < q->rank ? -1 : 1;
    if (p->distance != q->distance)
        return p->distance > q->distance ? -1 : 1;
    return p->index < q->index ? -1 : p->index > q->index;
}

static int stand(const struct told *search, struct standing *standings) {
    int n = search->n, m = search->config.n_objectives, code = ESP_ENOMEM;
    double *costs = mem_array((size_t)n * (size_t)(m + 2), sizeof *costs);
    int *rank = mem_array((size_t)n, sizeof *rank);
    if (costs && rank) {
        double *violations = costs + (size_t)n * (size_t)m, *distances = violations + n;
        for (int i = 0; i < n; i++) {
            memcpy(costs + (size_t)i * (size_t)m, search->outcomes[i].costs,
                   (size_t)m * sizeof *costs);
            violations[i] = search->outcomes[i].violation;
        }
        code = pareto_standing(costs, violations, n, m, rank, distances);
        for (int i = 0; code >= 0 && i < n; i++)
            standings[i] = (struct standing){rank[i], i, m > 1 ? distances[i] : 0};
    }
    free(costs);
    free(rank);
    return code < 0 ? code : 0;
}

/* Puts the best in front; keeps a population of them. */
static int survive(struct told *search) {
    size_t n = (size_t)search->n;
    struct standing *standings = mem_array(n + 1, sizeof *standings);
    struct outcome *sorted = mem_array(n + 1, sizeof *sorted);
    int code = standings && sorted ? stand(search, standings) : ESP_ENOMEM;
    if (code == 0) {
        qsort(standings, n, sizeof *standings, compare);
        for (size_t i = 0; i < n; i++)
            sorted[i] = search->outcomes[standings[i].index];
        if (search->n > search->config.population)
            search->n = search->config.population;
        memcpy(search->outcomes, sorted, (size_t)search->n * sizeof *sorted);
    }
    free(standings);
    free(sorted);
    return code;
}

static int evolution_tell(void *state, const struct outcome *outcomes, int n, struct err *err) {
    struct told *search = state;
    int code = told_tell(state, outcomes, n, err);
    if (code < 0 || search->n == 0)
        return code;
    code = survive(search);
    return code < 0 ? err_set(err, code, NULL, "no memory for a strategy") : 0;
}

static const struct arch *parent(const struct told *search, struct rng *rng) {
    int parents = (int)(search->config.population * search->config.options[PARENTS]);
    parents = parents < search->n ? parents : search->n;
    return &search->outcomes[rng_below(rng, (uint32_t)(parents > 1 ? parents : 1))].arch;
}

/* Spread evenly over the children. */
static bool is_mutant(const struct told *search) {
    double share = search->config.options[MUTANTS], at = (double)search->asked;
    return ceil((at + 1) * share) > ceil(at * share);
}

static int ask_child(struct told *search, struct err *err, struct arch *ret_arch,
                     struct origin *ret_origin) {
    const struct strategy_config *config = &search->config;
    bool by_turn = is_mutant(search);
    int added = 0;
    for (int attempt = 0; attempt < TRIES && added == 0; attempt++) {
        struct rng rng = told_rng(search, attempt);
        const struct arch *a = parent(search, &rng), *b = parent(search, &rng);
        bool mutant = by_turn || attempt >= CROSSINGS;
        if (mutant) {
            *ret_arch = *a;
            vary_mutate(config->space, &rng, config->options[MUTATION], ret_arch);
        } else {
            vary_cross(config->space, &rng, 1, a, b, ret_arch);
        }
        arch_canonicalise(config->space, ret_arch);
        origin_set_parents(ret_origin, mutant ? ORIGIN_MUTATED : ORIGIN_CROSSED, a,
                           mutant ? NULL : b);
        int promising = attempt < TRIES / 2 ? told_promising(search, ret_arch, err) : 1;
        added = promising == 1 ? told_ask(search, ret_arch, err) : promising;
    }
    return added;
}

static int evolution_ask(void *state, int n, struct err *err, struct arch *ret_archs,
                         struct origin *ret_origins) {
    return told_ask_children(state, n, ask_child, err, ret_archs, ret_origins);
}

const struct strategy_type strategy_evolution = {
    .name = "evolution",
    .help = "once-for-all's evolution: mutants and crossings of the best quarter",
    .when =
        "one objective under limits: a population of 50 for hundreds of evaluations, 100 for tens "
        "of thousands",
    .options = options,
    .create = evolution_create,
    .destroy = told_destroy,
    .ask = evolution_ask,
    .tell = evolution_tell,
    .save = told_save,
    .load = told_load,
};
