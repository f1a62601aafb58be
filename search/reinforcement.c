/* Reinforcement learning (Zoph and Le 2017): a recurrent controller (search/controller.h) makes an
 * arch choice by choice; REINFORCE (Williams 1992) with a moving baseline and a bonus for entropy
 * moves it towards what was told to be good.
 *
 * Several objectives: each group of an ask draws weights from the simplex, which are the
 * controller's first input, so that one controller learns the whole front. The reward is minus the
 * augmented Chebyshev distance from the best costs told, minus a soft penalty for what breaks a
 * limit (as MnasNet's, Tan et al. 2019). The baseline of an outcome is the mean of the newest ones
 * by the same weights; their spread is the unit of its advantage.
 *
 * Deviations: with each outcome some older ones are learnt from again, by other weights, but only
 * where they were better than the baseline (self-imitation, Oh et al. 2018), since they came from
 * another policy; the first archs are founders, learnt from in the same way; genes that an arch
 * does not have make no step; no arch is asked twice. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/map.h"
#include "base/memory.h"
#include "search/controller.h"
#include "search/scalar.h"

enum {
    TRIES = 64,
    RNG_OF_WEIGHTS = 1 << 15, /* an attempt that no arch has */
    RNG_OF_REPLAY,
    PENDING_MAX = 4096, /* asked archs whose weights are remembered: the newest */
    OUTCOMES_A_STEP = 8,
    DIGITS = 16
};
#define COST_WORST 2.0 /* of what lies far outside of the ranges */

enum { RATE, ENTROPY, EXPLORE, PENALTY, BASELINE, GROUP, REPLAY, HIDDEN, FOUNDERS, MEMORY };
static const struct strategy_option options[] = {
    [RATE] = {"rate", STRATEGY_OPTION_REAL, 0.01, 1e-5, 1, "of Adam's steps"},
    [ENTROPY] = {"entropy", STRATEGY_OPTION_REAL, 0.02, 0, 10,
                 "bonus for a nat of a choice's entropy"},
    [EXPLORE] = {"explore", STRATEGY_OPTION_REAL, 0.02, 0, 1,
                 "chance of a uniform choice in place of the controller's"},
    [PENALTY] = {"penalty", STRATEGY_OPTION_REAL, 2, 0, 100,
                 "on the reward, in ranges of the costs, for what is twice a limit"},
    [BASELINE] = {"baseline", STRATEGY_OPTION_INT, 100, 2, 10000,
                  "newest outcomes whose mean reward is the baseline"},
    [GROUP] = {"group", STRATEGY_OPTION_INT, 4, 1, 1000,
               "subnets asked for with the same weights of the objectives"},
    [REPLAY] = {"replay", STRATEGY_OPTION_INT, 4, 0, 64,
                "older outcomes that are learnt from again with each new one"},
    [HIDDEN] = {"hidden", STRATEGY_OPTION_INT, 24, 4, 128, "width of the controller"},
    [FOUNDERS] = {"founders", STRATEGY_OPTION_REAL, 0.5, 0, 1,
                  "leaning subnets before the controller's first, as a share of the population"},
    [MEMORY] = {"memory", STRATEGY_OPTION_INT, 1000, 10, 10000,
                "outcomes that are known for baseline and replay: the newest"},
    {.name = NULL}};

/* What an arch that was asked for was to be good by: weights follow from the group. */
struct pending {
    uint64_t hash;
    int64_t group; /* asked archs before it */
};

struct reinforcement {
    struct told *told;
    struct controller *controller;
    int n_genes;
    struct gene genes[SPACE_GENES_MAX];
    int64_t learnt; /* outcomes; keys random numbers */
    int n_pending;
    struct pending pending[PENDING_MAX]; /* the oldest first */
    double *rewards;                     /* scratch of the baseline */
};

static void reinforcement_destroy(void *state) {
    struct reinforcement *search = state;
    if (!search)
        return;
    if (search->told)
        told_destroy(search->told);
    controller_destroy(search->controller);
    free(search->rewards);
    free(search);
}

static int create_controller(struct reinforcement *search, const struct strategy_config *config,
                             struct err *err) {
    int n_choices[SPACE_GENES_MAX];
    search->n_genes = space_genes(config->space, search->genes);
    for (int g = 0; g < search->n_genes; g++)
        n_choices[g] = search->genes[g].n_choices;
    struct controller_shape shape = {search->n_genes, config->n_objectives,
                                     (int)config->options[HIDDEN], n_choices};
    return controller_create(&shape, config->seed, err, &search->controller);
}

static int reinforcement_create(const struct strategy_config *config, struct err *err,
                                void **ret_state) {
    struct reinforcement *search = mem_array(1, sizeof *search);
    void *told = NULL;
    int code = search ? told_create(config, (int)config->options[MEMORY], err, &told)
                      : err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    if (code == 0) {
        search->told = told;
        search->rewards = mem_array((size_t)config->options[BASELINE], sizeof *search->rewards);
        code = search->rewards ? create_controller(search, config, err)
                               : err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    }
    if (code < 0) {
        reinforcement_destroy(search);
        return code;
    }
    *ret_state = search;
    return 0;
}

static void weights_of_group(const struct strategy_config *config, int64_t group,
                             double ret_weights[OBJECTIVES_MAX]) {
    struct rng rng = rng_make(config->seed, RNG_SEARCH, (uint64_t)group, RNG_OF_WEIGHTS);
    scalar_draw_weights(config->n_objectives, &rng, ret_weights);
}

/* --- ask --- */

struct making {
    const struct reinforcement *search;
    struct rng rng;
    double explore;
    struct arch arch;
};

static int make_choice(void *context, int step, const double *p, int n) {
    struct making *making = context;
    const struct gene *gene = &making->search->genes[step];
    const struct space *space = making->search->told->config.space;
    int choice = 0;
    if (n < 2 || !arch_gene_active(space, &making->arch, gene))
        return -1;
    if (!p)
        return 0;
    double left = rng_unit(&making->rng);
    if (rng_unit(&making->rng) < making->explore)
        choice = (int)rng_below(&making->rng, (uint32_t)n);
    else
        for (; choice < n - 1 && left >= p[choice]; choice++)
            left -= p[choice];
    arch_set_gene(&making->arch, gene, choice);
    return choice;
}

/* The more often an arch was known already, the more of its choices are uniform. */
static int ask_controller(struct reinforcement *search, const double *weights, struct err *err,
                          struct arch *ret_arch) {
    struct told *told = search->told;
    int added = 0;
    for (int attempt = 0; attempt < TRIES && added == 0; attempt++) {
        double explore = told->config.options[EXPLORE] + 0.5 * attempt / TRIES;
        struct making making = {search, told_rng(told, attempt), explore, {0}};
        controller_roll(search->controller, weights, make_choice, &making);
        arch_canonicalise(told->config.space, &making.arch);
        *ret_arch = making.arch;
        int promising = attempt < TRIES / 2 ? told_promising(told, ret_arch, err) : 1;
        added = promising == 1 ? told_ask(told, ret_arch, err) : promising;
    }
    return added;
}

static void remember(struct reinforcement *search, const struct arch *arch, int64_t group) {
    if (search->n_pending == PENDING_MAX) {
        search->n_pending--;
        memmove(search->pending, search->pending + 1,
                (size_t)search->n_pending * sizeof *search->pending);
    }
    search->pending[search->n_pending++] = (struct pending){map_hash(arch, sizeof *arch), group};
}

static int ask_one(struct reinforcement *search, int64_t group, struct err *err,
                   struct arch *ret_arch) {
    double weights[OBJECTIVES_MAX];
    weights_of_group(&search->told->config, group, weights);
    int added = ask_controller(search, weights, err, ret_arch);
    if (added == 1)
        remember(search, ret_arch, group);
    return added;
}

static int reinforcement_ask(void *state, int n, struct err *err, struct arch *ret_archs,
                             struct origin *ret_origins) {
    struct reinforcement *search = state;
    struct told *told = search->told;
    const double *option = told->config.options;
    int made = 0, left = 0;
    int64_t founders = (int64_t)(told->config.population * option[FOUNDERS]), group = 0;
    for (; made < n; made++) {
        bool founder = told->asked < founders || told->n == 0;
        if (!founder && left-- == 0) {
            group = told->asked;
            left = (int)option[GROUP] - 1;
        }
        origin_set(&ret_origins[made], ORIGIN_POLICY);
        int added = founder ? 0 : ask_one(search, group, err, &ret_archs[made]);
        if (added == 0)
            added = told_ask_blind(told, founder, err, &ret_archs[made], &ret_origins[made]);
        if (added < 0)
            return added;
        if (added == 0)
            break;
    }
    return made;
}

/* --- tell --- */

static double reward(const struct told *told, const struct scalar *scalar,
                     const struct outcome *outcome) {
    return -fmin(scalar_cost(scalar, outcome), COST_WORST) -
           told->config.options[PENALTY] * fmin(outcome->violation, 1);
}

/* How much better than the newest ones, in their standard deviations. */
static double advantage(const struct reinforcement *search, const struct scalar *scalar,
                        const struct outcome *outcome) {
    const struct told *told = search->told;
    int newest = (int)told->config.options[BASELINE], n = told->n < newest ? told->n : newest;
    double mean = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        search->rewards[i] = reward(told, scalar, &told->outcomes[told->n - n + i]);
        mean += search->rewards[i] / n;
    }
    for (int i = 0; i < n; i++)
        squares += (search->rewards[i] - mean) * (search->rewards[i] - mean) / n;
    double sd = sqrt(squares);
    return sd > 1e-12 ? fmax(fmin((reward(told, scalar, outcome) - mean) / sd, 3), -3) : 0;
}

struct repeating {
    const struct reinforcement *search;
    const struct arch *arch;
};

static int repeat_choice(void *context, int step, const double *p, int n) {
    const struct repeating *repeating = context;
    const struct gene *gene = &repeating->search->genes[step];
    const struct space *space = repeating->search->told->config.space;
    return n < 2 || !arch_gene_active(space, repeating->arch, gene)
               ? -1
               : arch_gene(repeating->arch, gene);
}

static void learn(struct reinforcement *search, const struct scalar *scalar,
                  const struct outcome *outcome, bool own) {
    struct repeating repeating = {search, &outcome->arch};
    double better = advantage(search, scalar, outcome);
    if (!own && better <= 0)
        return;
    controller_roll(search->controller, scalar->weights, repeat_choice, &repeating);
    controller_backward(search->controller, better, search->told->config.options[ENTROPY]);
}

/* Whether the controller made the arch, and for which weights. */
static bool take_pending(struct reinforcement *search, const struct arch *arch,
                         double ret_weights[OBJECTIVES_MAX]) {
    uint64_t hash = map_hash(arch, sizeof *arch);
    for (int i = 0; i < search->n_pending; i++)
        if (search->pending[i].hash == hash) {
            weights_of_group(&search->told->config, search->pending[i].group, ret_weights);
            search->n_pending--;
            memmove(search->pending + i, search->pending + i + 1,
                    (size_t)(search->n_pending - i) * sizeof *search->pending);
            return true;
        }
    return false;
}

static void learn_from(struct reinforcement *search, struct scalar *scalar,
                       const struct outcome *outcome) {
    const struct told *told = search->told;
    int m = scalar->m;
    struct rng rng =
        rng_make(told->config.seed, RNG_SEARCH, (uint64_t)search->learnt++, RNG_OF_REPLAY);
    bool own = take_pending(search, &outcome->arch, scalar->weights);
    if (!outcome_usable(&told->config, outcome) || told->n == 0) /* taken back since */
        return;
    if (!own)
        scalar_draw_weights(m, &rng, scalar->weights);
    learn(search, scalar, outcome, own);
    for (int i = 0; i < (int)told->config.options[REPLAY]; i++) {
        scalar_draw_weights(m, &rng, scalar->weights);
        learn(search, scalar, &told->outcomes[rng_below(&rng, (uint32_t)told->n)], false);
    }
}

static int reinforcement_tell(void *state, const struct outcome *outcomes, int n, struct err *err) {
    struct reinforcement *search = state;
    const double *option = search->told->config.options;
    struct scalar scalar = {0};
    int code = told_tell(search->told, outcomes, n, err);
    if (code < 0)
        return code;
    scalar_measure(search->told, &scalar);
    for (int i = 0; i < n; i++) {
        learn_from(search, &scalar, &outcomes[i]);
        int of_step = i % OUTCOMES_A_STEP + 1;
        if (of_step == OUTCOMES_A_STEP || i == n - 1)
            controller_descend(search->controller, option[RATE],
                               1.0 / (of_step * (1 + option[REPLAY])));
    }
    return 0;
}

/* --- saved form --- */

/* Doubles as the hex digits of their bits. */
static bool add_numbers(cJSON *doc, const char *key, const double *numbers, size_t n) {
    struct buf buf;
    buf_init(&buf, 0);
    buf_puts(&buf, "");
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        buf_printf(&buf, "%016llx", (unsigned long long)bits);
    }
    bool ok = !buf.error && cJSON_AddStringToObject(doc, key, buf.data);
    buf_finish(&buf);
    return ok;
}

static int read_numbers(const cJSON *doc, const char *at, const char *key, size_t n,
                        struct err *err, double *ret_numbers) {
    const char *text;
    int code = json_string(doc, at, key, n * DIGITS, n * DIGITS, err, &text);
    if (code == 0 && strspn(text, "0123456789abcdef") != n * DIGITS)
        code = err_set(err, ESP_EINVAL, at, "%s must be hex digits", key);
    for (size_t i = 0; i < n && code == 0; i++) {
        char group[DIGITS + 1] = {0};
        memcpy(group, text + i * DIGITS, DIGITS);
        uint64_t bits = strtoull(group, NULL, 16);
        memcpy(&ret_numbers[i], &bits, sizeof bits);
        if (!isfinite(ret_numbers[i]))
            code = err_set(err, ESP_EINVAL, at, "%s holds something that is no number", key);
    }
    return code;
}

static bool add_pending(cJSON *doc, const struct reinforcement *search) {
    cJSON *list = cJSON_AddArrayToObject(doc, "pending");
    bool ok = list != NULL;
    for (int i = 0; ok && i < search->n_pending; i++) {
        char text[48];
        snprintf(text, sizeof text, "%016llx %lld", (unsigned long long)search->pending[i].hash,
                 (long long)search->pending[i].group);
        cJSON *item = cJSON_CreateString(text);
        ok = item && cJSON_AddItemToArray(list, item);
    }
    return ok;
}

static int read_pending(struct reinforcement *search, const cJSON *doc, const char *at,
                        struct err *err) {
    const cJSON *list, *item;
    int code = json_array(doc, at, "pending", 0, PENDING_MAX, err, &list);
    if (code < 0)
        return code;
    cJSON_ArrayForEach(item, list) {
        const char *text = cJSON_GetStringValue(item);
        char *end = NULL;
        bool sound = text && strspn(text, "0123456789abcdef") == DIGITS && text[DIGITS] == ' ';
        long long group = sound ? strtoll(text + DIGITS + 1, &end, 10) : -1;
        if (group < 0 || *end)
            return err_set(err, ESP_EINVAL, at, "pending must hold hashes and groups");
        search->pending[search->n_pending++] = (struct pending){strtoull(text, NULL, 16), group};
    }
    return 0;
}

static cJSON *reinforcement_save(void *state) {
    const struct reinforcement *search = state;
    const struct controller_numbers *numbers = controller_numbers(search->controller);
    cJSON *doc = told_save(search->told);
    if (doc && cJSON_AddNumberToObject(doc, "learnt", (double)search->learnt) &&
        cJSON_AddNumberToObject(doc, "steps", (double)numbers->steps) &&
        add_numbers(doc, "weights", numbers->weights, numbers->count) &&
        add_numbers(doc, "first", numbers->first, numbers->count) &&
        add_numbers(doc, "second", numbers->second, numbers->count) && add_pending(doc, search))
        return doc;
    cJSON_Delete(doc);
    return NULL;
}

static int reinforcement_load(void *state, const cJSON *doc, const char *at, struct err *err) {
    struct reinforcement *search = state;
    struct controller_numbers *numbers = controller_numbers(search->controller);
    const int64_t most = INT64_C(1) << 50;
    int code = told_load(search->told, doc, at, err);
    if (code == 0)
        code = json_int(doc, at, "learnt", 0, most, err, &search->learnt);
    if (code == 0)
        code = json_int(doc, at, "steps", 0, most, err, &numbers->steps);
    if (code == 0)
        code = read_numbers(doc, at, "weights", numbers->count, err, numbers->weights);
    if (code == 0)
        code = read_numbers(doc, at, "first", numbers->count, err, numbers->first);
    if (code == 0)
        code = read_numbers(doc, at, "second", numbers->count, err, numbers->second);
    return code == 0 ? read_pending(search, doc, at, err) : code;
}

const struct strategy_type strategy_reinforcement = {
    .name = "reinforcement",
    .help = "a recurrent controller makes subnets choice by choice and learns by policy gradient",
    .when = "what a choice is worth depends on the others, and evaluations are cheap: thousands of "
            "them",
    .options = options,
    .create = reinforcement_create,
    .destroy = reinforcement_destroy,
    .ask = reinforcement_ask,
    .tell = reinforcement_tell,
    .save = reinforcement_save,
    .load = reinforcement_load,
};
