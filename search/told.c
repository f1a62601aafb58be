#include "search/told.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/recall.h"
#include "search/sampling.h"

enum { TRIES = 64, TRIES_OF_STRATEGY = 1 << 16 /* attempts below are the strategy's own */ };

int told_create(const struct strategy_config *config, int max, struct err *err, void **ret_state) {
    struct told *told = mem_array(1, sizeof *told);
    if (!told)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    told->config = *config;
    told->max = max;
    *ret_state = told;
    return 0;
}

void told_destroy(void *state) {
    struct told *told = state;
    seen_finish(&told->seen);
    free(told->outcomes);
    free(told);
}

static int find(const struct told *told, const struct arch *arch) {
    for (int i = 0; i < told->n; i++)
        if (arch_equal(&told->outcomes[i].arch, arch))
            return i;
    return -1;
}

static void take_out(struct told *told, int at) {
    told->n--;
    memmove(told->outcomes + at, told->outcomes + at + 1,
            (size_t)(told->n - at) * sizeof *told->outcomes);
}

static int append(struct told *told, const struct outcome *outcome, struct err *err) {
    if (told->n == told->max)
        take_out(told, 0);
    if (told->n == told->capacity) {
        int capacity = told->capacity ? 2 * told->capacity : 64;
        struct outcome *grown = reallocarray(told->outcomes, (size_t)capacity, sizeof *grown);
        if (!grown)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for what was evaluated");
        told->outcomes = grown;
        told->capacity = capacity;
    }
    told->outcomes[told->n++] = *outcome;
    return 0;
}

/* One of an arch that is there replaces it in its place, or removes it if it is not usable. */
static int put(void *state, const struct outcome *outcome, struct err *err) {
    struct told *told = state;
    int at = find(told, &outcome->arch);
    bool usable = outcome_usable(&told->config, outcome);
    if (at < 0)
        return usable ? append(told, outcome, err) : 0;
    if (usable)
        told->outcomes[at] = *outcome;
    else
        take_out(told, at);
    return 0;
}

int told_tell(void *state, const struct outcome *outcomes, int n, struct err *err) {
    struct told *told = state;
    for (int i = 0; i < n; i++) {
        if (seen_add(&told->seen, &outcomes[i].arch) < 0)
            return err_set(err, ESP_ENOMEM, NULL, "no memory for the archs asked before");
        int code = put(told, &outcomes[i], err);
        if (code < 0)
            return code;
    }
    return 0;
}

static struct recall recall_of(struct told *told) {
    return (struct recall){&told->config, "told", &told->asked, &told->seen};
}

cJSON *told_save(void *state) {
    struct told *told = state;
    const struct recall recall = recall_of(told);
    return recall_save(&recall, told->outcomes, sizeof *told->outcomes, told->n);
}

int told_load(void *state, const cJSON *doc, const char *at, struct err *err) {
    struct told *told = state;
    const struct recall recall = recall_of(told);
    return recall_load(&recall, told->max, doc, at, put, told, err);
}

struct rng told_rng(const struct told *told, int attempt) {
    return rng_make(told->config.seed, RNG_SEARCH, (uint64_t)told->asked, (uint32_t)attempt);
}

int told_ask(struct told *told, const struct arch *arch, struct err *err) {
    int added = seen_add(&told->seen, arch);
    if (added < 0)
        return err_set(err, added, NULL, "no memory for the archs asked before");
    told->asked += added;
    return added;
}

int told_promising(const struct told *told, const struct arch *arch, struct err *err) {
    const struct foresight *foresight = told->config.foresight;
    double costs[OBJECTIVES_MAX], violation = 0;
    int code = foresight ? foresight->look(foresight->context, arch, err, costs, &violation) : 0;
    return code < 0 ? code : violation == 0;
}

/* Leaning subnets are the more different ones, so they come first; where they do not keep the
 * limits those that are drawn within them do. */
static void draw_blind(const struct told *told, bool founder, int attempt, struct rng *rng,
                       struct arch *ret_arch) {
    const struct space *space = told->config.space;
    const struct constrained *limits = strategy_limits(&told->config);
    if (attempt == 0 && founder)
        sample_founder(space, told->asked ? NULL : limits, told->asked, rng, ret_arch);
    else if (attempt < TRIES / 4)
        sample_leaning(space, rng, 2 * rng_unit(rng) - 1, ret_arch);
    else if (attempt < TRIES / 2)
        sample_spread_out(space, limits, rng, ret_arch);
    else
        sample_random(space, limits, rng, ret_arch);
}

int told_ask_blind(struct told *told, bool founder, struct err *err, struct arch *ret_arch,
                   struct origin *ret_origin) {
    int added = 0;
    origin_set(ret_origin, ORIGIN_SAMPLED);
    for (int attempt = 0; attempt < TRIES && added == 0; attempt++) {
        struct rng rng = told_rng(told, TRIES_OF_STRATEGY + attempt);
        draw_blind(told, founder, attempt, &rng, ret_arch);
        int promising = attempt < TRIES / 2 ? told_promising(told, ret_arch, err) : 1;
        added = promising == 1 ? told_ask(told, ret_arch, err) : promising;
    }
    return added;
}

int told_ask_children(struct told *told, int n, told_child_fn *ask_child, struct err *err,
                      struct arch *ret_archs, struct origin *ret_origins) {
    int made = 0;
    for (; made < n; made++) {
        bool founder = told->asked < told->config.population || told->n == 0;
        int added = founder ? 0 : ask_child(told, err, &ret_archs[made], &ret_origins[made]);
        if (added == 0)
            added = told_ask_blind(told, founder, err, &ret_archs[made], &ret_origins[made]);
        if (added < 0)
            return added;
        if (added == 0)
            break;
    }
    return made;
}
