/* Predictor in the loop, as LINAS (Cummings et al. 2022): what was evaluated teaches a model of
 * each objective; NSGA-II runs on the models, thousands of archs for the price of none; the best
 * that it finds and that are unseen are asked for; and again.
 *
 * Deviations: what is counted or a sum of a table is not modelled but known; the evaluated archs
 * with their true values are the first population of the inner search, so that what it finds are
 * improvements on them, and the choice among those spreads over the whole predicted front; a share
 * of the asked archs leans at random. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "search/ancestors.h"
#include "search/arch_model.h"
#include "search/pareto.h"
#include "search/told.h"

enum { LEARNT_MAX = 4000 /* evaluations that a model is fitted on: the newest */ };

enum { INNER_POPULATION, INNER_GENERATIONS, EXPLORE };
static const struct strategy_option options[] = {
    [INNER_POPULATION] = {"inner_population", STRATEGY_OPTION_INT, 100, 8, 500,
                          "population of NSGA-II on the models"},
    [INNER_GENERATIONS] = {"inner_generations", STRATEGY_OPTION_INT, 25, 1, 100,
                           "its generations before each batch that is asked for"},
    [EXPLORE] = {"explore", STRATEGY_OPTION_REAL, 0.1, 0, 1,
                 "share of a batch that is random in place of best on the models"},
    {.name = NULL}};

#define LIMITS_HARD 0.05 /* share of random subnets */

static int linas_create(const struct strategy_config *config, struct err *err, void **ret_state) {
    return told_create(config, LEARNT_MAX, err, ret_state);
}

/* Models of the costs that are not known beforehand, and of the violation beyond that which is.
 * NULL stands for what never varied. */
struct models {
    const struct foresight *foresight; /* NULL: none */
    int n_objectives;
    struct arch_model *of[OBJECTIVES_MAX + 1];
    double constant[OBJECTIVES_MAX + 1];
};

static void models_finish(struct models *models) {
    for (int k = 0; k <= models->n_objectives; k++)
        arch_model_destroy(models->of[k]);
}

/* What is known of an arch beforehand: costs, NAN where not, then the violation. */
static int foresee(const struct foresight *foresight, const struct arch *arch, int n_objectives,
                   struct err *err, double ret_known[OBJECTIVES_MAX + 1]) {
    double violation = 0;
    for (int k = 0; k < n_objectives; k++)
        ret_known[k] = NAN;
    int code =
        foresight ? foresight->look(foresight->context, arch, err, ret_known, &violation) : 0;
    ret_known[n_objectives] = violation;
    return code;
}

/* What a model has to tell of an outcome. */
static double value_of(const struct outcome *outcome, int k, int n_objectives,
                       const double *known) {
    if (k < n_objectives)
        return outcome->costs[k];
    return fmax(0, outcome->violation - known[k]);
}

static int fit_one(const struct told *search, int k, struct arch_sample *samples, struct err *err,
                   struct models *models) {
    bool varies = false;
    for (int i = 0; i < search->n; i++) {
        double known[OBJECTIVES_MAX + 1];
        int code =
            foresee(models->foresight, &search->outcomes[i].arch, models->n_objectives, err, known);
        if (code < 0)
            return code;
        if (k < models->n_objectives && !isnan(known[k]))
            return 0; /* the metric is known of every arch */
        double value = value_of(&search->outcomes[i], k, models->n_objectives, known);
        samples[i] = (struct arch_sample){search->outcomes[i].arch, value};
        varies |= fabs(value - samples[0].value) > 1e-6 * fabs(value);
    }
    models->constant[k] = samples[0].value;
    if (!varies)
        return 0;
    struct arch_model_options fitting = {.seed = search->config.seed};
    return arch_model_fit(search->config.space, samples, search->n, fitting, err, &models->of[k]);
}

static int models_fit(const struct told *search, struct err *err, struct models *ret_models) {
    struct arch_sample *samples = mem_array((size_t)search->n, sizeof *samples);
    int code = samples ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    *ret_models = (struct models){.foresight = search->config.foresight,
                                  .n_objectives = search->config.n_objectives};
    for (int k = 0; k <= search->config.n_objectives && code == 0; k++)
        code = fit_one(search, k, samples, err, ret_models);
    free(samples);
    if (code < 0)
        models_finish(ret_models);
    return code;
}

/* A violation within the model's own error of 0 counts as none: the limit is where the best archs
 * are, and asking shows on which side they lie. */
static int models_run(struct models *models, struct outcome *outcome, struct err *err) {
    int m = models->n_objectives;
    double known[OBJECTIVES_MAX + 1];
    int code = foresee(models->foresight, &outcome->arch, m, err, known);
    for (int k = 0; k <= m && code == 0; k++) {
        struct arch_model_answer answer = {models->constant[k], 0};
        if (models->of[k])
            code = arch_model_run(models->of[k], &outcome->arch, err, &answer);
        if (k < m)
            outcome->costs[k] = isnan(known[k]) ? answer.value : known[k];
        else
            outcome->violation = known[k] + fmax(0, answer.value - answer.sd);
    }
    return code;
}

static int inner_population(const struct told *search) {
    return (int)search->config.options[INNER_POPULATION];
}

static int found_max(const struct told *search) {
    return inner_population(search) * (int)search->config.options[INNER_GENERATIONS];
}

/* What a search on models finds, and its rooms. */
struct findings {
    struct outcome *found;      /* [found_max] */
    struct ancestors ancestors; /* of these */
    struct arch *archs;         /* [inner_population] of one generation */
    struct origin *origins;
};

static void findings_finish(struct findings *findings) {
    ancestors_finish(&findings->ancestors);
    free(findings->found);
    free(findings->archs);
    free(findings->origins);
}

static int findings_init(const struct told *search, struct findings *findings) {
    size_t population = (size_t)inner_population(search);
    int max = found_max(search);
    *findings = (struct findings){.found = mem_array((size_t)max, sizeof *findings->found),
                                  .archs = mem_array(population, sizeof *findings->archs),
                                  .origins = mem_array(population, sizeof *findings->origins)};
    if (!findings->found || !findings->archs || !findings->origins)
        return ESP_ENOMEM;
    return ancestors_init(&findings->ancestors, search->outcomes, search->n, findings->found, max);
}

/* One generation of the search on models. Returns how many were asked for. */
static int step_models(struct strategy *inner, int population, struct models *models,
                       struct findings *findings, struct err *err) {
    struct outcome *first = findings->found + findings->ancestors.n_found;
    int code = strategy_ask(inner, population, err, findings->archs, findings->origins);
    int asked = code;
    for (int i = 0; i < asked && code >= 0; i++) {
        first[i] = (struct outcome){.arch = findings->archs[i]};
        code = models_run(models, &first[i], err);
        if (code >= 0)
            code = ancestors_add(&findings->ancestors, &findings->origins[i]);
    }
    if (code >= 0)
        code = strategy_tell(inner, first, asked, err);
    return code < 0 ? code : asked;
}

/* NSGA-II on the models, beginning with what was evaluated. */
static int search_models(const struct told *search, struct models *models,
                         struct findings *findings, struct err *err) {
    struct strategy_config config = search->config;
    int population = inner_population(search), left = (int)config.options[INNER_GENERATIONS];
    struct strategy *inner;
    struct rng rng = told_rng(search, 1);
    config.seed = rng_u64(&rng);
    config.population = population;
    config.options = NULL;
    /* Where many keep the limits, leaning founders are the more different ones. */
    if (strategy_limits(&config) && constrained_share(strategy_limits(&config)) > LIMITS_HARD)
        config.limits = NULL;
    int code = strategy_create("nsga2", &config, err, &inner);
    if (code < 0)
        return code;
    code = strategy_tell(inner, search->outcomes, search->n, err);
    for (int asked = population; left > 0 && code >= 0 && asked == population; left--)
        asked = code = step_models(inner, population, models, findings, err);
    strategy_destroy(inner);
    return code < 0 ? code : 0;
}

/* The pool that is chosen from: what was found, then what was told. */
struct pool {
    int n, n_found, m;
    double *costs;      /* [n, m] */
    double *violations; /* [n] */
    double *distance;   /* [n] squared, to the nearest that is taken, in ranges of the costs */
    int *ranks;         /* [n] */
    double range[OBJECTIVES_MAX];
};

static void pool_finish(struct pool *pool) {
    free(pool->costs);
    free(pool->violations);
    free(pool->distance);
    free(pool->ranks);
}

static void measure_ranges(struct pool *pool) {
    for (int k = 0; k < pool->m; k++) {
        double low = INFINITY, high = -INFINITY;
        for (int i = 0; i < pool->n; i++) {
            low = fmin(low, pool->costs[i * pool->m + k]);
            high = fmax(high, pool->costs[i * pool->m + k]);
        }
        pool->range[k] = fmax(high - low, 1e-300);
    }
}

static int pool_init(const struct told *search, const struct findings *findings,
                     struct pool *pool) {
    const struct outcome *found = findings->found;
    int n_found = findings->ancestors.n_found;
    size_t n = (size_t)(n_found + search->n), m = (size_t)search->config.n_objectives;
    *pool = (struct pool){.n = (int)n,
                          .n_found = n_found,
                          .m = (int)m,
                          .costs = mem_array(n * m, sizeof(double)),
                          .violations = mem_array(n, sizeof(double)),
                          .distance = mem_array(n, sizeof(double)),
                          .ranks = mem_array(n, sizeof(int))};
    if (!pool->costs || !pool->violations || !pool->distance || !pool->ranks)
        return ESP_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct outcome *o =
            (int)i < n_found ? &found[i] : &search->outcomes[(int)i - n_found];
        memcpy(pool->costs + i * m, o->costs, m * sizeof(double));
        pool->violations[i] = o->violation;
        pool->distance[i] = INFINITY;
    }
    measure_ranges(pool);
    return pareto_rank(pool->costs, pool->violations, pool->n, pool->m, pool->ranks);
}

static void take(struct pool *pool, int taken) {
    for (int i = 0; i < pool->n_found; i++) {
        double sum = 0;
        for (int k = 0; k < pool->m; k++) {
            double d =
                (pool->costs[i * pool->m + k] - pool->costs[taken * pool->m + k]) / pool->range[k];
            sum += d * d;
        }
        pool->distance[i] = fmin(pool->distance[i], sum);
    }
}

/* The found one of that rank that is furthest from all that are taken; -1 if none is left. */
static int furthest(const struct pool *pool, int rank) {
    int best = -1;
    for (int i = 0; i < pool->n_found; i++)
        if (pool->ranks[i] == rank && (best < 0 || pool->distance[i] > pool->distance[best]))
            best = i;
    return best;
}

/* Where what is asked for goes. */
struct asking {
    int n;
    struct arch *archs;
    struct origin *origins;
};

/* Rank by rank, spread over each: the evaluated ones of the first rank count as taken. */
static int choose(struct told *search, struct pool *pool, int n_ranks,
                  const struct findings *findings, const struct asking *asking, struct err *err) {
    int made = 0;
    for (int i = pool->n_found; i < pool->n; i++)
        if (pool->ranks[i] == 0)
            take(pool, i);
    for (int rank = 0; rank < n_ranks && made < asking->n; rank++)
        for (int at; made < asking->n && (at = furthest(pool, rank)) >= 0;) {
            const struct arch *arch = &findings->found[at].arch;
            int added = told_ask(search, arch, err);
            if (added < 0)
                return added;
            pool->ranks[at] = -1;
            take(pool, at);
            asking->archs[made] = *arch;
            ancestors_origin(&findings->ancestors, at, &asking->origins[made]);
            made += added;
        }
    return made;
}

/* Up to n archs by the models. */
static int ask_models(struct told *search, const struct asking *asking, struct err *err) {
    struct models models;
    struct pool pool = {0};
    struct findings findings;
    int code = findings_init(search, &findings);
    if (code == 0)
        code = models_fit(search, err, &models);
    if (code == 0) {
        code = search_models(search, &models, &findings, err);
        models_finish(&models);
    }
    if (code == 0)
        code = pool_init(search, &findings, &pool);
    if (code > 0)
        code = choose(search, &pool, code, &findings, asking, err);
    if (code == ESP_ENOMEM)
        err_set(err, code, NULL, "no memory for a strategy");
    pool_finish(&pool);
    findings_finish(&findings);
    return code;
}

static int linas_ask(void *state, int n, struct err *err, struct arch *ret_archs,
                     struct origin *ret_origins) {
    struct told *search = state;
    int first = search->config.population < ARCH_MODEL_SAMPLES_MIN ? ARCH_MODEL_SAMPLES_MIN
                                                                   : search->config.population;
    /* A space that is mostly known has little left to be guided to. */
    bool learnt = search->asked >= first && search->n >= ARCH_MODEL_SAMPLES_MIN &&
                  2.0 * search->seen.n < space_cardinality(search->config.space);
    int made = 0, code;
    if (learnt) {
        int random = (int)(n * search->config.options[EXPLORE]);
        const struct asking asking = {n - random, ret_archs, ret_origins};
        made = code = n > random ? ask_models(search, &asking, err) : 0;
        if (code < 0)
            return code;
    }
    for (; made < n; made++) {
        code = told_ask_blind(search, search->asked < first, err, &ret_archs[made],
                              &ret_origins[made]);
        if (code < 0)
            return code;
        if (code == 0)
            break;
    }
    return made;
}

const struct strategy_type strategy_linas = {
    .name = "linas",
    .help = "predictor in the loop: learns from what was evaluated, searches on that, asks for the "
            "best",
    .when = "evaluations are dear (accuracy evaluated): a few hundred",
    .options = options,
    .create = linas_create,
    .destroy = told_destroy,
    .ask = linas_ask,
    .tell = told_tell,
    .save = told_save,
    .load = told_load,
};
