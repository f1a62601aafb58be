/* Regularised ("aging") evolution (Real et al. 2019): a child of the best of a few drawn members,
 * changed in one choice; it joins the population and the oldest leaves.
 *
 * Deviations: better is decided by constrained domination, so that there may be several objectives;
 * no arch is asked twice, so that a child whose like is known is changed once more. */
#include "search/pareto.h"
#include "search/told.h"
#include "search/variation.h"

enum { TRIES = 48 };

enum { DRAWN };
static const struct strategy_option options[] = {
    [DRAWN] = {"drawn", STRATEGY_OPTION_REAL, 0.25, 0, 1,
               "share of the population that is drawn for each child, the best of which is its "
               "parent"},
    {.name = NULL}};

static int aging_create(const struct strategy_config *config, struct err *err, void **ret_state) {
    return told_create(config, config->population, err, ret_state);
}

static const struct outcome *tournament(const struct told *search, struct rng *rng) {
    const struct outcome *best = &search->outcomes[rng_below(rng, (uint32_t)search->n)];
    int drawn = (int)(search->config.population * search->config.options[DRAWN]);
    for (int i = 1; i < drawn; i++) {
        const struct outcome *other = &search->outcomes[rng_below(rng, (uint32_t)search->n)];
        if (pareto_dominates_constrained(other->costs, other->violation, best->costs,
                                         best->violation, search->config.n_objectives))
            best = other;
    }
    return best;
}

static int ask_child(struct told *search, struct err *err, struct arch *ret_arch,
                     struct origin *ret_origin) {
    int added = 0;
    for (int attempt = 0; attempt < TRIES && added == 0; attempt++) {
        struct rng rng = told_rng(search, attempt);
        const struct arch *parent = &tournament(search, &rng)->arch;
        *ret_arch = *parent;
        for (int step = 0; step <= attempt / 8; step++)
            vary_step(search->config.space, &rng, ret_arch);
        arch_canonicalise(search->config.space, ret_arch);
        origin_set_parents(ret_origin, ORIGIN_MUTATED, parent, NULL);
        added = told_ask(search, ret_arch, err);
    }
    return added;
}

static int aging_ask(void *state, int n, struct err *err, struct arch *ret_archs,
                     struct origin *ret_origins) {
    return told_ask_children(state, n, ask_child, err, ret_archs, ret_origins);
}

const struct strategy_type strategy_aging = {
    .name = "aging",
    .help = "regularised evolution: changes one choice of the best of a few; the oldest leaves",
    .when = "values are noisy: nothing stays because it was lucky once",
    .options = options,
    .create = aging_create,
    .destroy = told_destroy,
    .ask = aging_ask,
    .tell = told_tell,
    .save = told_save,
    .load = told_load,
};
