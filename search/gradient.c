/* Gradient ascent on relaxed architecture parameters: an independent categorical distribution over
 * the choices of each gene, whose logits follow the score function (REINFORCE, Williams 1992; on
 * independent categoricals as in ProxylessNAS, Cai et al. 2019) of what was told, with a bonus for
 * entropy.
 *
 * Several objectives: each group of an ask draws weights from the simplex and maximises minus the
 * augmented Chebyshev distance from the best costs told. The reward of an outcome is its rank
 * among all told, in [-1, 1]: it needs no scale, its mean is the baseline 0, and what breaks a
 * limit ranks behind all that keeps it (Deb 2000).
 *
 * Where an objective or a limit has derivatives (struct slope), the climbed logits are where a
 * descent through these begins; an objective that has none has those of what was told (struct
 * told_slope). The climb says what was found good, the derivatives what is near.
 *
 * Deviations: logits are no state: each group climbs from 0 through the outcomes in the order of
 * telling, so that one told outcome serves all weights and a loaded search goes on to the bit.
 * These came from distributions of other weights and are not weighted by importance, hence the
 * decay of the logits; no arch is asked twice; the first archs are founders. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/descent.h"
#include "search/told_slope.h"

enum {
    CHOICES_MAX = RELAXED_CHOICES_MAX,
    TRIES = 64,
    RNG_OF_WEIGHTS = 1 << 15, /* attempts that no arch has */
    RNG_OF_NOISE
};
#define NOISE 1.0 /* on the logits before a descent: its sd. What it ends at depends on it */

enum { RATE, ENTROPY, DECAY, EXPLORE, GROUP, FOUNDERS, MEMORY, STEPS, DESCENT_RATE, PENALTY };
static const struct strategy_option options[] = {
    [RATE] = {"rate", STRATEGY_OPTION_REAL, 0.1, 0.001, 10, "of the climb"},
    [ENTROPY] = {"entropy", STRATEGY_OPTION_REAL, 0.05, 0, 10, "bonus for a nat of entropy"},
    [DECAY] = {"decay", STRATEGY_OPTION_REAL, 0.02, 0, 1, "of the logits, times the rate"},
    [EXPLORE] = {"explore", STRATEGY_OPTION_REAL, 0.05, 0, 1,
                 "chance of a uniform choice in place of the distribution's"},
    [GROUP] = {"group", STRATEGY_OPTION_INT, 4, 1, 1000,
               "subnets asked for with the same weights of the objectives"},
    [FOUNDERS] = {"founders", STRATEGY_OPTION_REAL, 0.5, 0, 1,
                  "leaning subnets before the first step, as a share of the population"},
    [MEMORY] = {"memory", STRATEGY_OPTION_INT, 1000, 10, 10000,
                "outcomes that are climbed through: the newest"},
    [STEPS] = {"steps", STRATEGY_OPTION_INT, 100, 0, 10000,
               "of descent through derivatives, where an objective or a limit has them"},
    [DESCENT_RATE] = {"descent_rate", STRATEGY_OPTION_REAL, 0.3, 0.001, 10, "of these steps"},
    [PENALTY] = {"penalty", STRATEGY_OPTION_REAL, 10, 0, 1000,
                 "most on what breaks limits there, in ranges of the costs for twice a limit"},
    {.name = NULL}};

struct relaxed {
    struct relaxed_shape shape;
    double logits[RELAXED_MAX];
    bool descended; /* they come from derivatives: their arch is worth asking for as it is */
};

/* What an outcome is ranked by. */
struct scored {
    int index;
    double violation, cost;
};

static int gradient_create(const struct strategy_config *config, struct err *err,
                           void **ret_state) {
    return told_create(config, (int)config->options[MEMORY], err, ret_state);
}

static int compare_scored(const void *x, const void *y) {
    const struct scored *a = x, *b = y;
    if (a->violation != b->violation)
        return a->violation < b->violation ? -1 : 1;
    if (a->cost != b->cost)
        return a->cost < b->cost ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Weights of the objectives, drawn. */
static void choose_weights(const struct told *search, struct scalar *ret_scalar) {
    struct rng rng = told_rng(search, RNG_OF_WEIGHTS);
    scalar_measure(search, ret_scalar);
    scalar_draw_weights(ret_scalar->m, &rng, ret_scalar->weights);
}

/* ret_rewards: one for each outcome, 1 of the best to -1 of the worst. scored has room for all. */
static void reward(const struct told *search, const struct scalar *scalar, struct scored *scored,
                   double *ret_rewards) {
    int n = search->n;
    for (int i = 0; i < n; i++)
        scored[i] = (struct scored){i, search->outcomes[i].violation,
                                    scalar_cost(scalar, &search->outcomes[i])};
    qsort(scored, (size_t)n, sizeof *scored, compare_scored);
    for (int i = 0; i < n; i++)
        ret_rewards[scored[i].index] = n > 1 ? 1 - 2.0 * i / (n - 1) : 0;
}

/* Returns the entropy in nats. */
static double softmax(const double *logits, int n, double temperature, double *ret_p) {
    double largest = logits[0], sum = 0, entropy = 0;
    for (int j = 1; j < n; j++)
        largest = fmax(largest, logits[j]);
    for (int j = 0; j < n; j++)
        sum += ret_p[j] = exp((logits[j] - largest) / temperature);
    for (int j = 0; j < n; j++) {
        ret_p[j] /= sum;
        entropy -= ret_p[j] > 0 ? ret_p[j] * log(ret_p[j]) : 0;
    }
    return entropy;
}

/* One step along reward * d log p(choice) + ENTROPY * d entropy, by the logits. */
static void climb_gene(const double *option, double *logits, int n, int choice, double reward) {
    double p[CHOICES_MAX], entropy = softmax(logits, n, 1, p);
    for (int j = 0; j < n; j++) {
        double score = (j == choice) - p[j];
        double spread = p[j] > 0 ? -p[j] * (log(p[j]) + entropy) : 0;
        logits[j] +=
            option[RATE] * (reward * score + option[ENTROPY] * spread - option[DECAY] * logits[j]);
    }
}

static void climb(const struct told *search, const double *rewards, struct relaxed *relaxed) {
    const struct relaxed_shape *shape = &relaxed->shape;
    for (int j = 0; j < shape->n; j++)
        relaxed->logits[j] = 0;
    for (int i = 0; i < search->n; i++) {
        const struct arch *arch = &search->outcomes[i].arch;
        for (int g = 0; g < shape->n_genes; g++) {
            const struct gene *gene = &shape->genes[g];
            if (arch_gene_active(search->config.space, arch, gene))
                climb_gene(search->config.options, relaxed->logits + shape->first[g],
                           gene->n_choices, arch_gene(arch, gene), rewards[i]);
        }
    }
}

/* From what was climbed to, shaken, down along the derivatives; without them it stays there. */
static int go_down(const struct told *search, const struct scalar *scalar, struct relaxed *relaxed,
                   struct err *err) {
    const double *option = search->config.options;
    struct rng rng = told_rng(search, RNG_OF_NOISE);
    struct told_slope whole;
    const struct descent descent = {&whole.slope, scalar, (int)option[STEPS], option[DESCENT_RATE],
                                    /* Which is large enough depends on the space. */
                                    option[PENALTY] * pow(10, -rng_unit(&rng))};
    double logits[RELAXED_MAX];
    relaxed->descended = false;
    if (!search->config.slope || descent.steps == 0)
        return 0;
    told_slope_init(search, search->config.slope, &whole);
    for (int j = 0; j < relaxed->shape.n; j++)
        logits[j] = relaxed->logits[j] + NOISE * rng_normal(&rng);
    struct err why = {0};
    int code = descend(&descent, logits, &why);
    if (code == ESP_EUNSUPPORTED)
        return 0;
    if (code < 0)
        return err_set(err, code, NULL, "%s", why.message);
    memcpy(relaxed->logits, logits, (size_t)relaxed->shape.n * sizeof *logits);
    relaxed->descended = true;
    return 0;
}

static int fit(const struct told *search, struct relaxed *relaxed, struct err *err) {
    double *rewards = mem_array((size_t)search->n, sizeof *rewards);
    struct scored *scored = mem_array((size_t)search->n, sizeof *scored);
    struct scalar scalar;
    int code = rewards && scored ? 0 : ESP_ENOMEM;
    if (code == 0) {
        choose_weights(search, &scalar);
        reward(search, &scalar, scored, rewards);
        climb(search, rewards, relaxed);
        code = go_down(search, &scalar, relaxed, err);
    }
    free(rewards);
    free(scored);
    return code;
}

static int draw_choice(const double *logits, int n, double temperature, double explore,
                       struct rng *rng) {
    double p[CHOICES_MAX], left = rng_unit(rng);
    if (rng_unit(rng) < explore)
        return (int)rng_below(rng, (uint32_t)n);
    softmax(logits, n, temperature, p);
    int choice = 0;
    for (; choice < n - 1 && left >= p[choice]; choice++)
        left -= p[choice];
    return choice;
}

static int best_choice(const double *logits, int n) {
    int best = 0;
    for (int j = 1; j < n; j++)
        best = logits[j] > logits[best] ? j : best;
    return best;
}

/* The more often an arch was known already, the flatter the distribution. A descent's first arch is
 * the one that it came to. */
static int ask_drawn(struct told *search, const struct relaxed *relaxed, bool first,
                     struct err *err, struct arch *ret_arch) {
    const struct relaxed_shape *shape = &relaxed->shape;
    int added = 0;
    for (int attempt = 0; attempt < TRIES && added == 0; attempt++) {
        struct rng rng = told_rng(search, attempt);
        *ret_arch = (struct arch){0};
        for (int g = 0; g < shape->n_genes; g++) {
            const struct gene *gene = &shape->genes[g];
            const double *logits = relaxed->logits + shape->first[g];
            int choice = draw_choice(logits, gene->n_choices, 1 + attempt / 8.0,
                                     search->config.options[EXPLORE], &rng);
            if (first && relaxed->descended && attempt == 0)
                choice = best_choice(logits, gene->n_choices);
            arch_set_gene(ret_arch, gene, choice);
        }
        arch_canonicalise(search->config.space, ret_arch);
        int promising = attempt < TRIES / 2 ? told_promising(search, ret_arch, err) : 1;
        added = promising == 1 ? told_ask(search, ret_arch, err) : promising;
    }
    return added;
}

/* relaxed NULL: a founder. */
static int ask_one(struct told *search, const struct relaxed *relaxed, bool first, struct err *err,
                   struct arch *ret_arch, struct origin *ret_origin) {
    origin_set(ret_origin, ORIGIN_GRADIENT);
    int code = relaxed ? ask_drawn(search, relaxed, first, err, ret_arch) : 0;
    return code == 0 ? told_ask_blind(search, !relaxed, err, ret_arch, ret_origin) : code;
}

static int ask_all(struct told *search, struct relaxed *relaxed, int n, struct err *err,
                   struct arch *ret_archs, struct origin *ret_origins) {
    const double *option = search->config.options;
    int made = 0, code = 1, left = 0,
        founders = (int)(search->config.population * option[FOUNDERS]);
    relaxed_shape_init(search->config.space, &relaxed->shape);
    while (made < n && code > 0) {
        bool founder = search->asked < founders || search->n == 0, first = false;
        if (!founder && left-- == 0) {
            code = fit(search, relaxed, err);
            left = (int)option[GROUP] - 1;
            first = true;
        }
        if (code >= 0)
            code = ask_one(search, founder ? NULL : relaxed, first, err, &ret_archs[made],
                           &ret_origins[made]);
        made += code > 0;
    }
    return code < 0 ? code : made;
}

static int gradient_ask(void *state, int n, struct err *err, struct arch *ret_archs,
                        struct origin *ret_origins) {
    struct relaxed *relaxed = mem_array(1, sizeof *relaxed);
    int made = relaxed ? ask_all(state, relaxed, n, err, ret_archs, ret_origins) : ESP_ENOMEM;
    free(relaxed);
    if (made == ESP_ENOMEM)
        err_set(err, made, NULL, "no memory for a strategy");
    return made;
}

const struct strategy_type strategy_gradient = {
    .name = "gradient",
    .help = "moves a distribution over each choice by the score function and by derivatives",
    .when = "some hundred evaluations, choices that are good or bad whatever the others are",
    .options = options,
    .create = gradient_create,
    .destroy = told_destroy,
    .ask = gradient_ask,
    .tell = told_tell,
    .save = told_save,
    .load = told_load,
};
