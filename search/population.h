/* The state of strategies that breed from a population of the best: what was told joins it, the
 * best stay, children mix and change the choices of two that a tournament picks. What is best, and
 * who wins a tournament, are the strategy's rules.
 *
 * Deviations from the published ones that all share: results join whenever they are told, in any
 * number, so late results are not lost (with one generation told at a time it is the plain method);
 * no arch is asked twice; the first population leans from the small to the large subnets, both ends
 * included, because random subnets of a large space all lie in the middle of its front. */
#pragma once

#include "search/seen.h"
#include "search/strategy.h"

struct member {
    struct outcome outcome;
    int rank;     /* least first */
    double order; /* among those of the rank: least first */
    /* of the strategy */
    int niche, neighbours;
    double distance;
};

struct population;
struct population_rules {
    /* Sets rank and order of the members, of which there may be more than the population: those
     * that come last then go. Whatever it goes by must follow from the set of members, which come
     * in an order that does, and from asked. ESP_ENOMEM. */
    int (*stand)(struct population *search);
    /* Of two that were drawn, the one that becomes a parent. */
    const struct member *(*prefer)(const struct member *a, const struct member *b, struct rng *rng);
};

struct population {
    struct strategy_config config;
    const struct population_rules *rules;
    struct seen seen;
    int64_t asked; /* children made; keys the random numbers */
    int n, capacity;
    struct member *members; /* best first */
    void *own;              /* of the strategy; freed with the population */
};

/* The first options of a strategy that has a population, in this order. */
enum { POPULATION_CROSSOVER, POPULATION_MUTATION, POPULATION_OPTIONS };
#define POPULATION_OPTION_ROWS                                                                     \
    [POPULATION_CROSSOVER] = {"crossover",                                                         \
                              STRATEGY_OPTION_REAL,                                                \
                              0.9,                                                                 \
                              0,                                                                   \
                              1,                                                                   \
                              "chance that a child mixes the choices of two parents, else it "     \
                              "begins as one"},                                                    \
    [POPULATION_MUTATION] = {"mutation", STRATEGY_OPTION_REAL,                                     \
                             0.1,        0,                                                        \
                             1,          "chance of each choice of a child to be drawn anew"}

int population_create(const struct strategy_config *config, const struct population_rules *rules,
                      struct err *err, void **ret_state);
/* Members of strategy_type. */
void population_destroy(void *state);
int population_ask(void *state, int n, struct err *err, struct arch *ret_archs,
                   struct origin *ret_origins);
int population_tell(void *state, const struct outcome *outcomes, int n, struct err *err);
cJSON *population_save(void *state);
int population_load(void *state, const cJSON *doc, const char *at, struct err *err);

/* Costs [n, n_objectives] and, behind them, violations [n] of the members, with room for extra
 * doubles; the caller frees. NULL on memory exhaustion. */
double *population_costs(const struct population *search, size_t extra);
