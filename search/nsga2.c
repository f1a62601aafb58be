/* NSGA-II (Deb et al. 2002) with constrained domination (Deb 2000), on the genes of a space.
 *
 * Deviations: results join the population whenever they are told, in any number, and the best stay,
 * so late results are not lost (with one generation told at a time it is the plain method); no arch
 * is asked twice; the first population leans from the small to the large subnets, both ends
 * included, because random subnets of a large space all lie in the middle of its front. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "search/pareto.h"
#include "search/sampling.h"
#include "search/seen.h"
#include "search/strategy.h"
#include "search/variation.h"

enum { TRIES = 64, TRIES_BEFORE_RANDOM = 32 };

enum { CROSSOVER, MUTATION };
static const struct strategy_option options[] = {
    [CROSSOVER] = {"crossover", STRATEGY_OPTION_REAL, 0.9, 0, 1,
                   "chance that a child mixes the choices of two parents, else it begins as one"},
    [MUTATION] = {"mutation", STRATEGY_OPTION_REAL, 0.1, 0, 1,
                  "chance of each choice of a child to be drawn anew"},
    {.name = NULL}};

struct member {
    struct outcome outcome;
    int rank;
    double crowding;
};

struct nsga2 {
    struct strategy_config config;
    struct seen seen;
    int64_t asked; /* children made; keys the random numbers */
    int n, capacity;
    struct member *members; /* the population; best first */
};

static int nsga2_create(const struct strategy_config *config, struct err *err, void **ret_state) {
    struct nsga2 *search = mem_array(1, sizeof *search);
    if (!search)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    search->config = *config;
    *ret_state = search;
    return 0;
}

static void nsga2_destroy(void *state) {
    struct nsga2 *search = state;
    seen_finish(&search->seen);
    free(search->members);
    free(search);
}

static const struct member *tournament(const struct nsga2 *search, struct rng *rng) {
    const struct member *a = &search->members[rng_below(rng, (uint32_t)search->n)];
    const struct member *b = &search->members[rng_below(rng, (uint32_t)search->n)];
    if (a->rank != b->rank)
        return a->rank < b->rank ? a : b;
    return a->crowding >= b->crowding ? a : b;
}

static void make_child(const struct nsga2 *search, struct rng *rng, int attempt,
                       struct arch *ret_arch) {
    if (attempt >= TRIES_BEFORE_RANDOM) {
        sample_random(search->config.space, strategy_limits(&search->config), rng, ret_arch);
        return;
    }
    if (search->asked < search->config.population || search->n == 0) {
        sample_founder(search->config.space, strategy_limits(&search->config), search->asked, rng,
                       ret_arch);
        return;
    }
    const struct member *a = tournament(search, rng), *b = tournament(search, rng);
    /* The more often a child was known already, the further from its parents the next one. */
    double chance = fmin(search->config.options[MUTATION] * (1 + 0.25 * attempt), 1);
    vary_cross(search->config.space, rng, search->config.options[CROSSOVER], &a->outcome.arch,
               &b->outcome.arch, ret_arch);
    vary_mutate(search->config.space, rng, chance, ret_arch);
    arch_canonicalise(search->config.space, ret_arch);
}

static int nsga2_ask(void *state, int n, struct err *err, struct arch *ret_archs) {
    struct nsga2 *search = state;
    int made = 0;
    while (made < n) {
        int added = 0;
        for (int attempt = 0; attempt < TRIES && added == 0; attempt++) {
            struct rng rng = rng_make(search->config.seed, RNG_SEARCH, (uint64_t)search->asked,
                                      (uint32_t)attempt);
            make_child(search, &rng, attempt, &ret_archs[made]);
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

static int reserve(struct nsga2 *search, int n, struct err *err) {
    if (n <= search->capacity)
        return 0;
    struct member *grown = reallocarray(search->members, (size_t)n, sizeof *grown);
    if (!grown)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a population of %d", n);
    search->members = grown;
    search->capacity = n;
    return 0;
}

static int find_member(const struct nsga2 *search, const struct arch *arch) {
    for (int i = 0; i < search->n; i++)
        if (arch_equal(&search->members[i].outcome.arch, arch))
            return i;
    return -1;
}

static void join(struct nsga2 *search, const struct outcome *outcome) {
    int at = find_member(search, &outcome->arch);
    if (outcome_usable(&search->config, outcome))
        search->members[at >= 0 ? at : search->n++].outcome = *outcome;
    else if (at >= 0)
        search->members[at] = search->members[--search->n];
}

static int compare_members(const void *x, const void *y) {
    const struct member *a = x, *b = y;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->crowding != b->crowding)
        return a->crowding > b->crowding ? -1 : 1;
    return memcmp(&a->outcome.arch, &b->outcome.arch, sizeof a->outcome.arch);
}

/* Ranks the members and sorts them, best first. */
static int rank_members(struct nsga2 *search) {
    size_t n = (size_t)search->n, m = (size_t)search->config.n_objectives;
    double *costs = mem_array((n + 1) * (m + 2), sizeof *costs);
    int *ranks = mem_array(n + 1, sizeof *ranks), code = ESP_ENOMEM;
    double *violations = costs ? costs + n * m : NULL, *distances = costs ? violations + n : NULL;
    for (size_t i = 0; i < n && costs; i++) {
        memcpy(costs + i * m, search->members[i].outcome.costs, m * sizeof *costs);
        violations[i] = search->members[i].outcome.violation;
    }
    if (costs && ranks)
        code = pareto_standing(costs, violations, search->n, (int)m, ranks, distances);
    for (size_t i = 0; i < n && code >= 0; i++) {
        search->members[i].rank = ranks[i];
        search->members[i].crowding = distances[i];
    }
    if (code >= 0)
        qsort(search->members, n, sizeof *search->members, compare_members);
    free(costs);
    free(ranks);
    return code < 0 ? code : 0;
}

/* Lets the members beyond the population go. The rest is ranked again among itself, so that a saved
 * and loaded population, which knows only those that stayed, is the same. */
static int survive(struct nsga2 *search, struct err *err) {
    int code = rank_members(search);
    if (code == 0 && search->n > search->config.population) {
        search->n = search->config.population;
        code = rank_members(search);
    }
    return code < 0 ? err_set(err, code, NULL, "no memory to rank a population") : 0;
}

static int nsga2_tell(void *state, const struct outcome *outcomes, int n, struct err *err) {
    struct nsga2 *search = state;
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

static cJSON *nsga2_save(void *state) {
    const struct nsga2 *search = state;
    cJSON *doc = cJSON_CreateObject(), *seen = seen_save(&search->seen), *list = NULL;
    bool ok = doc && seen && cJSON_AddNumberToObject(doc, "asked", (double)search->asked) &&
              (list = cJSON_AddArrayToObject(doc, "population"));
    for (int i = 0; ok && i < search->n; i++) {
        cJSON *member = outcome_save(&search->config, &search->members[i].outcome);
        ok = member && cJSON_AddItemToArray(list, member);
    }
    ok = ok && cJSON_AddItemToObject(doc, "seen", seen);
    if (ok)
        return doc;
    cJSON_Delete(seen);
    cJSON_Delete(doc);
    return NULL;
}

static int nsga2_load(void *state, const cJSON *doc, const char *at, struct err *err) {
    struct nsga2 *search = state;
    const cJSON *list, *item;
    int code = json_int(doc, at, "asked", 0, INT64_C(1) << 50, err, &search->asked);
    if (code == 0)
        code = json_array(doc, at, "population", 0, search->config.population, err, &list);
    if (code == 0)
        code = seen_load(&search->seen, cJSON_GetObjectItemCaseSensitive(doc, "seen"), at, err);
    if (code == 0)
        code = reserve(search, cJSON_GetArraySize(list) + 1, err);
    if (code < 0)
        return code;
    cJSON_ArrayForEach(item, list) {
        struct outcome outcome;
        code = outcome_load(&search->config, item, at, err, &outcome);
        if (code < 0)
            return code;
        join(search, &outcome);
    }
    return search->n ? survive(search, err) : 0;
}

const struct strategy_type strategy_nsga2 = {
    .name = "nsga2",
    .help = "NSGA-II: a population evolves towards the Pareto front, limits by domination",
    .when = "evaluations are cheap (accuracy predicted): thousands of them, two or more objectives",
    .options = options,
    .create = nsga2_create,
    .destroy = nsga2_destroy,
    .ask = nsga2_ask,
    .tell = nsga2_tell,
    .save = nsga2_save,
    .load = nsga2_load,
};
