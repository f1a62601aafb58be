#include "search/strategy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/nearest.h"

/* One declaration and one row for each name in meson.build. */
#define STRATEGY(name) extern const struct strategy_type strategy_##name;
SEARCH_STRATEGIES
#undef STRATEGY
#define STRATEGY(name) &strategy_##name,
const struct strategy_type *const strategy_types[] = {SEARCH_STRATEGIES NULL};
#undef STRATEGY

struct strategy {
    const struct strategy_type *type;
    struct strategy_config config;
    double options[STRATEGY_OPTIONS_MAX];
    void *state;
};

struct strategy_config strategy_config_default(const struct space *space, int n_objectives,
                                               uint64_t seed) {
    return (struct strategy_config){
        .space = space, .n_objectives = n_objectives, .seed = seed, .population = 64};
}

const struct strategy_type *strategy_find(const char *name) {
    for (int i = 0; strategy_types[i]; i++)
        if (strcmp(strategy_types[i]->name, name) == 0)
            return strategy_types[i];
    return NULL;
}

enum { STRATEGIES_NAMED = 32 };

int strategy_refuse(const char *name, const char *pointer, struct err *err) {
    const char *names[STRATEGIES_NAMED + 1] = {NULL};
    char list[256], advice[384];
    for (int i = 0; i < STRATEGIES_NAMED && strategy_types[i] != NULL; i++)
        names[i] = strategy_types[i]->name;
    nearest_list(names, list, sizeof(list));
    nearest_advice(nearest_of(names, name), "there are: ", list, advice, sizeof(advice));
    return err_set(err, ESP_EINVAL, pointer, "there is no strategy \"%.60s\"; %s", name, advice);
}

static int check_config(const struct strategy_config *config, struct err *err) {
    if (config->population < 4 || config->population > STRATEGY_POPULATION_MAX)
        return err_set(err, ESP_EINVAL, "/population", "the population must be 4 to %d, not %d",
                       STRATEGY_POPULATION_MAX, config->population);
    if (config->n_objectives < 1 || config->n_objectives > OBJECTIVES_MAX)
        return err_set(err, ESP_EINVAL, "/objectives", "a search has 1 to %d objectives",
                       OBJECTIVES_MAX);
    return 0;
}

static int take_options(const struct strategy_type *type, const double *options, struct err *err,
                        double ret_options[STRATEGY_OPTIONS_MAX]) {
    strategy_options_default(type, ret_options);
    for (int i = 0; options && type->options && type->options[i].name; i++) {
        const struct strategy_option *row = &type->options[i];
        if (!(options[i] >= row->min && options[i] <= row->max))
            return err_set(err, ESP_EINVAL, "/strategy_options",
                           "%s must be a number from %g to %g, not %g", row->name, row->min,
                           row->max, options[i]);
        ret_options[i] = options[i];
    }
    return 0;
}

int strategy_create(const char *name, const struct strategy_config *config, struct err *err,
                    struct strategy **ret_strategy) {
    const struct strategy_type *type = strategy_find(name);
    if (!type)
        return strategy_refuse(name, "/strategy", err);
    int code = check_config(config, err);
    if (code < 0)
        return code;
    struct strategy *strategy = mem_array(1, sizeof *strategy);
    if (!strategy)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a strategy");
    strategy->type = type;
    strategy->config = *config;
    strategy->config.options = strategy->options;
    code = take_options(type, config->options, err, strategy->options);
    if (code == 0)
        code = type->create(&strategy->config, err, &strategy->state);
    if (code < 0) {
        free(strategy);
        return code;
    }
    *ret_strategy = strategy;
    return 0;
}

void strategy_destroy(struct strategy *strategy) {
    if (!strategy)
        return;
    strategy->type->destroy(strategy->state);
    free(strategy);
}

int strategy_ask(struct strategy *strategy, int n, struct err *err, struct arch *ret_archs,
                 struct origin *ret_origins) {
    if (n < 1 || n > STRATEGY_ASK_MAX)
        return err_set(err, ESP_EINVAL, NULL, "asking for %d archs; the limit is %d", n,
                       STRATEGY_ASK_MAX);
    struct origin *own = ret_origins ? NULL : mem_array((size_t)n, sizeof *own);
    if (!ret_origins && !own)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for %d archs", n);
    int asked =
        strategy->type->ask(strategy->state, n, err, ret_archs, ret_origins ? ret_origins : own);
    free(own);
    return asked;
}

int strategy_tell(struct strategy *strategy, const struct outcome *outcomes, int n,
                  struct err *err) {
    return strategy->type->tell(strategy->state, outcomes, n, err);
}

cJSON *strategy_save(struct strategy *strategy) {
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)strategy->config.seed);
    cJSON *doc = cJSON_CreateObject();
    cJSON *state = strategy->type->save(strategy->state);
    cJSON *options = strategy_options_to_json(strategy->type, strategy->options);
    bool ok =
        doc && state && options && cJSON_AddStringToObject(doc, "strategy", strategy->type->name) &&
        cJSON_AddStringToObject(doc, "space_fingerprint", strategy->config.space->fingerprint) &&
        cJSON_AddStringToObject(doc, "seed", seed);
    if (ok) {
        cJSON_AddItemToObject(doc, "options", options);
        cJSON_AddItemToObject(doc, "state", state);
        return doc;
    }
    cJSON_Delete(options);
    cJSON_Delete(state);
    cJSON_Delete(doc);
    return NULL;
}

static int check_saved_options(const struct strategy *strategy, const cJSON *doc, const char *at,
                               struct err *err) {
    double saved[STRATEGY_OPTIONS_MAX];
    char pointer[160];
    const struct strategy_option *rows = strategy->type->options;
    snprintf(pointer, sizeof pointer, "%.140s/options", at);
    int code = strategy_options_read(
        strategy->type, cJSON_GetObjectItemCaseSensitive(doc, "options"), pointer, err, saved);
    for (int i = 0; code == 0 && rows && rows[i].name; i++)
        if (saved[i] != strategy->options[i])
            code = err_set(err, ESP_EMISMATCH, at, "this state belongs to %s %g", rows[i].name,
                           saved[i]);
    return code;
}

static int check_saved(const struct strategy *strategy, const cJSON *doc, const char *at,
                       struct err *err) {
    const char *name, *fingerprint, *seed;
    int code = json_string(doc, at, "strategy", 1, 64, err, &name);
    if (code == 0)
        code = json_string(doc, at, "space_fingerprint", 1, HASH_TEXT - 1, err, &fingerprint);
    if (code == 0)
        code = json_string(doc, at, "seed", 1, 20, err, &seed);
    if (code < 0)
        return code;
    if (strcmp(name, strategy->type->name) != 0)
        return err_set(err, ESP_EMISMATCH, at, "this is the state of %s, not of %s", name,
                       strategy->type->name);
    if (strcmp(fingerprint, strategy->config.space->fingerprint) != 0)
        return err_set(err, ESP_EMISMATCH, at, "this state belongs to another space");
    if (strtoull(seed, NULL, 10) != strategy->config.seed)
        return err_set(err, ESP_EMISMATCH, at, "this state belongs to the seed %s", seed);
    return check_saved_options(strategy, doc, at, err);
}

int strategy_load(struct strategy *strategy, const cJSON *doc, const char *at, struct err *err) {
    const cJSON *state;
    void *loaded;
    char pointer[160];
    int code = check_saved(strategy, doc, at, err);
    if (code == 0)
        code = json_object(doc, at, "state", err, &state);
    if (code == 0)
        code = strategy->type->create(&strategy->config, err, &loaded);
    if (code < 0)
        return code;
    snprintf(pointer, sizeof pointer, "%.140s/state", at);
    code = strategy->type->load(loaded, state, pointer, err);
    if (code < 0) {
        strategy->type->destroy(loaded);
        return code;
    }
    strategy->type->destroy(strategy->state);
    strategy->state = loaded;
    return 0;
}
