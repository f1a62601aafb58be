/* NSGA-II (Deb et al. 2002) with constrained domination (Deb 2000), on the genes of a space: ranks
 * by domination, within a rank the least crowded first. */
#include <stdlib.h>

#include "base/memory.h"
#include "search/pareto.h"
#include "search/population.h"

static const struct strategy_option options[] = {POPULATION_OPTION_ROWS, {.name = NULL}};

static int stand(struct population *search) {
    size_t n = (size_t)search->n, m = (size_t)search->config.n_objectives;
    double *costs = population_costs(search, n), *distances = costs ? costs + n * (m + 1) : NULL;
    int *ranks = mem_array(n + 1, sizeof *ranks), code = ESP_ENOMEM;
    if (costs && ranks)
        code = pareto_standing(costs, costs + n * m, (int)n, (int)m, ranks, distances);
    for (size_t i = 0; i < n && code >= 0; i++) {
        search->members[i].rank = ranks[i];
        search->members[i].order = -distances[i];
    }
    free(costs);
    free(ranks);
    return code < 0 ? code : 0;
}

static const struct member *prefer(const struct member *a, const struct member *b,
                                   struct rng *rng) {
    (void)rng;
    if (a->rank != b->rank)
        return a->rank < b->rank ? a : b;
    return a->order <= b->order ? a : b;
}

static int nsga2_create(const struct strategy_config *config, struct err *err, void **ret_state) {
    static const struct population_rules rules = {stand, prefer};
    return population_create(config, &rules, err, ret_state);
}

const struct strategy_type strategy_nsga2 = {
    .name = "nsga2",
    .help = "NSGA-II: a population evolves towards the Pareto front, limits by domination",
    .when = "evaluations are cheap (accuracy predicted): thousands of them",
    .options = options,
    .create = nsga2_create,
    .destroy = population_destroy,
    .ask = population_ask,
    .tell = population_tell,
    .save = population_save,
    .load = population_load,
};
