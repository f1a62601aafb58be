#include "search/population.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/recall.h"
#include "search/sampling.h"
#include "search/variation.h"

enum { TRIES = 64, TRIES_BEFORE_RANDOM = 32 };

int population_create(const struct strategy_config *config, const struct population_rules *rules,
                      struct err *err, void **ret_state) {
    struct population *search = mem_array(1, sizeof *search);
    if (!search)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    search->config = *config;
    search->rules = rules;
    *ret_state = search;
    return 0;
}

void population_destroy(void *state) {
    struct population *search = state;
    seen_finish(&search->seen);
    free(search->members);
    free(search->own);
    free(search);
}

static const struct arch *parent(const struct population *search, struct rng *rng) {
    const struct member *a = &search->members[rng_below(rng, (uint32_t)search->n)];
    const struct member *b = &search->members[rng_below(rng, (uint32_t)search->n)];
    return &search->rules->prefer(a, b, rng)->outcome.arch;
}

static void make_child(const struct population *search, struct rng *rng, int attempt,
                       struct arch *ret_arch, struct origin *ret_origin) {
    const struct strategy_config *config = &search->config;
    origin_set(ret_origin, ORIGIN_SAMPLED);
    if (attempt >= TRIES_BEFORE_RANDOM) {
        sample_random(config->space, strategy_limits(config), rng, ret_arch);
        return;
    }
    if (search->asked < config->population || search->n == 0) {
        sample_founder(config->space, strategy_limits(config), search->asked, rng, ret_arch);
        return;
    }
    const struct arch *a = parent(search, rng), *b = parent(search, rng);
    /* The more often a child was known already, the further from its parents the next one. */
    double chance = fmin(config->options[POPULATION_MUTATION] * (1 + 0.25 * attempt), 1);
    bool crossed =
        vary_cross(config->space, rng, config->options[POPULATION_CROSSOVER], a, b, ret_arch);
    vary_mutate(config->space, rng, chance, ret_arch);
    arch_canonicalise(config->space, ret_arch);
    origin_set_parents(ret_origin, crossed ? ORIGIN_CROSSED : ORIGIN_MUTATED, a,
                       crossed ? b : NULL);
}

int population_ask(void *state, int n, struct err *err, struct arch *ret_archs,
                   struct origin *ret_origins) {
    struct population *search = state;
    int made = 0;
    while (made < n) {
        int added = 0;
        for (int attempt = 0; attempt < TRIES && added == 0; attempt++) {
            struct rng rng = rng_make(search->config.seed, RNG_SEARCH, (uint64_t)search->asked,
                                      (uint32_t)attempt);
            make_child(search, &rng, attempt, &ret_archs[made], &ret_origins[made]);
            added = seen_add(&search->seen, &ret_archs[made]);
        }
        if (added < 0)
            return err_set(err, added, NULL, "no memory for the archs asked before");
        search->asked++;
        if (added == 0)
            break;
        made++;
    }
    return made;
}

static int reserve(struct population *search, int n, struct err *err) {
    if (n <= search->capacity)
        return 0;
    struct member *grown = reallocarray(search->members, (size_t)n, sizeof *grown);
    if (!grown)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a population of %d", n);
    search->members = grown;
    search->capacity = n;
    return 0;
}

static int find_member(const struct population *search, const struct arch *arch) {
    for (int i = 0; i < search->n; i++)
        if (arch_equal(&search->members[i].outcome.arch, arch))
            return i;
    return -1;
}

static void join(struct population *search, const struct outcome *outcome) {
    int at = find_member(search, &outcome->arch);
    if (outcome_usable(&search->config, outcome))
        search->members[at >= 0 ? at : search->n++] = (struct member){.outcome = *outcome};
    else if (at >= 0)
        search->members[at] = search->members[--search->n];
}

double *population_costs(const struct population *search, size_t extra) {
    size_t n = (size_t)search->n, m = (size_t)search->config.n_objectives;
    double *costs = mem_array((n + 1) * (m + 1) + extra, sizeof *costs);
    for (size_t i = 0; i < n && costs; i++) {
        memcpy(costs + i * m, search->members[i].outcome.costs, m * sizeof *costs);
        costs[n * m + i] = search->members[i].outcome.violation;
    }
    return costs;
}

static int compare_archs(const void *x, const void *y) {
    const struct member *a = x, *b = y;
    return memcmp(&a->outcome.arch, &b->outcome.arch, sizeof a->outcome.arch);
}

static int compare_standing(const void *x, const void *y) {
    const struct member *a = x, *b = y;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return compare_archs(x, y);
}

/* In an order that the members alone decide, before and after: equal costs are told apart by it. */
static int sort(struct population *search) {
    qsort(search->members, (size_t)search->n, sizeof *search->members, compare_archs);
    int code = search->rules->stand(search);
    if (code == 0)
        qsort(search->members, (size_t)search->n, sizeof *search->members, compare_standing);
    return code;
}

/* Lets the members beyond the population go. The rest is ranked again among itself, so that a saved
 * and loaded population, which knows only those that stayed, is the same. */
static int survive(struct population *search, struct err *err) {
    int code = sort(search);
    if (code == 0 && search->n > search->config.population) {
        search->n = search->config.population;
        code = sort(search);
    }
    return code < 0 ? err_set(err, code, NULL, "no memory to rank a population") : 0;
}

int population_tell(void *state, const struct outcome *outcomes, int n, struct err *err) {
    struct population *search = state;
    int code = reserve(search, search->n + n, err);
    if (code < 0)
        return code;
    for (int i = 0; i < n; i++) {
        if (seen_add(&search->seen, &outcomes[i].arch) < 0)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for the archs asked before");
        join(search, &outcomes[i]);
    }
    return search->n ? survive(search, err) : 0;
}

static struct recall recall_of(struct population *search) {
    return (struct recall){&search->config, "population", &search->asked, &search->seen};
}

cJSON *population_save(void *state) {
    struct population *search = state;
    const struct recall recall = recall_of(search);
    const struct outcome *first = search->n ? &search->members[0].outcome : NULL;
    return recall_save(&recall, first, sizeof *search->members, search->n);
}

static int put(void *state, const struct outcome *outcome, struct err *err) {
    struct population *search = state;
    int code = reserve(search, search->n + 1, err);
    if (code == 0)
        join(search, outcome);
    return code;
}

int population_load(void *state, const cJSON *doc, const char *at, struct err *err) {
    struct population *search = state;
    const struct recall recall = recall_of(search);
    int code = recall_load(&recall, search->config.population, doc, at, put, search, err);
    return code == 0 && search->n ? survive(search, err) : code;
}
