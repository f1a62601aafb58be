/* The state of strategies that reckon with what they were told: the newest usable outcomes in the
 * order of telling, what was asked, and a count that keys random numbers. Such a strategy is its
 * ask alone; the rest of a strategy_type is here. */
#pragma once

#include "search/seen.h"
#include "search/strategy.h"

struct told {
    struct strategy_config config;
    struct seen seen; /* asked or told of */
    int64_t asked;    /* counted by the strategy */
    int max;          /* outcomes kept: older ones go */
    int n, capacity;
    struct outcome *outcomes;
};

int told_create(const struct strategy_config *config, int max, struct err *err, void **ret_state);
/* Members of strategy_type. */
void told_destroy(void *state);
int told_tell(void *state, const struct outcome *outcomes, int n, struct err *err);
cJSON *told_save(void *state);
int told_load(void *state, const cJSON *doc, const char *at, struct err *err);

/* Random numbers of the attempt-th try of the next arch. */
struct rng told_rng(const struct told *told, int attempt);
/* Counts the arch and remembers it: 1, or 0 if it is known; ESP_ENOMEM. */
int told_ask(struct told *told, const struct arch *arch, struct err *err);
/* Whether nothing that is known of the arch beforehand breaks a limit: 1 or 0; ESP_ENOMEM. */
int told_promising(const struct told *told, const struct arch *arch, struct err *err);
/* Asks for an arch that nothing but the seed proposes: of the first population if founder; rather
 * for a promising one. 1, 0 if no unknown one was found, ESP_ENOMEM. */
int told_ask_blind(struct told *told, bool founder, struct err *err, struct arch *ret_arch,
                   struct origin *ret_origin);
/* One child of what was told, asked for: 1, 0 if no unknown one was found, or an error. */
typedef int told_child_fn(struct told *told, struct err *err, struct arch *ret_arch,
                          struct origin *ret_origin);
/* The ask of a strategy that breeds: a first population of founders, then children; where none is
 * new, a blind one. Returns the number of archs, or the first error. */
int told_ask_children(struct told *told, int n, told_child_fn *ask_child, struct err *err,
                      struct arch *ret_archs, struct origin *ret_origins);
