/* Pareto local search: from the front of what was told, to archs that differ in one choice. Where
 * all neighbours of the front are known it goes on from leaning random archs. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/pareto.h"
#include "search/told.h"
#include "search/variation.h"

enum { TRIES = 64, TOLD_MAX = 4000 };

enum { FOUNDERS };
static const struct strategy_option options[] = {
    [FOUNDERS] = {"founders", STRATEGY_OPTION_INT, 8, 1, 10000,
                  "subnets from the smallest to the largest before the first step"},
    {.name = NULL}};

static int local_search_create(const struct strategy_config *config, struct err *err,
                               void **ret_state) {
    return told_create(config, TOLD_MAX, err, ret_state);
}

/* Numbers of the told outcomes that none dominates; returns how many. */
static int find_front(const struct told *search, int *ret_front) {
    size_t n = (size_t)search->n, m = (size_t)search->config.n_objectives;
    double *costs = mem_array(n * m, sizeof *costs), *violations = mem_array(n, sizeof *violations);
    int code = costs && violations ? 0 : ESP_ENOMEM, found = 0;
    for (size_t i = 0; i < n && code == 0; i++) {
        memcpy(costs + i * m, search->outcomes[i].costs, m * sizeof *costs);
        violations[i] = search->outcomes[i].violation;
    }
    if (code == 0)
        code = pareto_rank(costs, violations, search->n, (int)m, ret_front);
    for (int i = 0; i < search->n && code >= 0; i++)
        if (ret_front[i] == 0)
            ret_front[found++] = i;
    free(costs);
    free(violations);
    return code < 0 ? code : found;
}

static int ask_neighbour(struct told *search, const int *front, int n_front, struct err *err,
                         struct arch *ret_arch, struct origin *ret_origin) {
    int added = 0;
    for (int attempt = 0; attempt < TRIES && added == 0; attempt++) {
        struct rng rng = told_rng(search, attempt);
        int of = front[rng_below(&rng, (uint32_t)n_front)];
        *ret_arch = search->outcomes[of].arch;
        vary_step(search->config.space, &rng, ret_arch);
        arch_canonicalise(search->config.space, ret_arch);
        origin_set_parents(ret_origin, ORIGIN_NEIGHBOUR, &search->outcomes[of].arch, NULL);
        added = told_ask(search, ret_arch, err);
    }
    return added;
}

static int local_search_ask(void *state, int n, struct err *err, struct arch *ret_archs,
                            struct origin *ret_origins) {
    struct told *search = state;
    int *front = mem_array((size_t)search->n + 1, sizeof *front);
    int n_front = front && search->n > 0 ? find_front(search, front) : front ? 0 : ESP_ENOMEM;
    int made = 0, code = n_front < 0 ? n_front : 0;
    for (; made < n && code >= 0; made += code) {
        bool founder = (double)search->asked < search->config.options[FOUNDERS] || n_front == 0;
        code = founder ? 0
                       : ask_neighbour(search, front, n_front, err, &ret_archs[made],
                                       &ret_origins[made]);
        if (code == 0)
            code = told_ask_blind(search, founder, err, &ret_archs[made], &ret_origins[made]);
        if (code == 0)
            break;
    }
    free(front);
    if (code == ESP_ENOMEM)
        err_set(err, code, NULL, "no memory for a strategy");
    return code < 0 ? code : made;
}

const struct strategy_type strategy_local_search = {
    .name = "local_search",
    .help = "changes one choice at a time of the best so far",
    .when = "a good front is there to be polished",
    .options = options,
    .create = local_search_create,
    .destroy = told_destroy,
    .ask = local_search_ask,
    .tell = told_tell,
    .save = told_save,
    .load = told_load,
};
