#include "daemon/search_defaults.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/search_known.h"
#include "devices/method.h"
#include "search/accuracy_predictor.h"
#include "search/hypervolume.h"
#include "search/loop.h"
#include "search/strategy.h"

/* An integer with a default, written back so that the stored body says what was meant. */
struct integer {
    const char *key;
    int64_t fallback, min, max;
};
/* Evaluations first: they alone can be given otherwise. */
static const struct integer integers[] = {
    {"evaluations", 4000, 1, SEARCH_EVALUATIONS_MAX},
    {"population", 64, 4, STRATEGY_POPULATION_MAX},
    {"seed", 1, 0, INT64_C(1) << 53},
    {"initial_evaluations", 64, ARCH_MODEL_SAMPLES_MIN, 10000},
    {"measure_front", 24, 0, 1000},
    {"rounds", 1, 1, SEARCH_ROUNDS_MAX},
    {"calibration_nets", 12, 0, 1000},
    {"known_networks", SEARCH_KNOWN_NETWORKS_MAX, 0, SEARCH_KNOWN_NETWORKS_MAX}};

/* Where seconds are given, the job tells how many evaluations there are time for. */
static int check_time(const cJSON *body, struct err *err) {
    double seconds;
    int r = json_real_opt(body, "", "time_budget_s", 1, SEARCH_SECONDS_MAX, err, &seconds);
    if (r == 0 && json_has(body, "time_budget_s") && json_has(body, "evaluations"))
        r = err_set(err, ESP_EINVAL, "/time_budget_s",
                    "evaluations and time_budget_s exclude each other");
    return r;
}

static int fill_integers(cJSON *body, struct err *err) {
    int r = check_time(body, err);
    if (r != 0)
        return r;
    for (unsigned i = json_has(body, "time_budget_s"); i < sizeof(integers) / sizeof(*integers);
         i++) {
        const struct integer *row = &integers[i];
        int64_t value = row->fallback;
        r = json_int_opt(body, "", row->key, row->min, row->max, err, &value);
        if (r != 0)
            return r;
        cJSON_DeleteItemFromObjectCaseSensitive(body, row->key);
        cJSON_AddNumberToObject(body, row->key, (double)value);
    }
    return 0;
}

/* What has no default: evaluations without growth of the front after which the search ends (absent:
 * it has all of its budget), and how many measurements it may ask for (absent: any number). */
static int check_ends(const cJSON *body, struct err *err) {
    int64_t patience = 0, measurements = 0;
    int r = json_int_opt(body, "", "patience", 1, SEARCH_EVALUATIONS_MAX, err, &patience);
    if (r == 0 && patience > 0)
        r = search_check_patience(body, err);
    return r != 0 ? r : json_int_opt(body, "", "measurements", 2, 10000, err, &measurements);
}

int search_check_patience(const cJSON *body, struct err *err) {
    const cJSON *objectives = cJSON_GetObjectItemCaseSensitive(body, "objectives");
    if (cJSON_GetArraySize(objectives) <= HYPERVOLUME_OBJECTIVES_MAX)
        return 0;
    return err_set(err, ESP_EINVAL, "/patience",
                   "patience goes by the hypervolume, which fronts of more than %d objectives have "
                   "none of: leave it out",
                   HYPERVOLUME_OBJECTIVES_MAX);
}

static int fill_strategy(cJSON *body, const char *key, const char *fallback, struct err *err) {
    const char *name = fallback;
    char pointer[32];
    snprintf(pointer, sizeof(pointer), "/%s", key);
    if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(body, key)) && strcmp(key, "baseline") == 0)
        return 0; /* no baseline is wanted */
    int r = json_string_opt(body, "", key, 1, 64, err, &name);
    const struct strategy_type *found = r == 0 ? strategy_find(name) : NULL;
    if (r == 0 && found == NULL)
        r = strategy_refuse(name, pointer, err);
    if (r == 0)
        json_set_text(body, key, found->name);
    return r;
}

/* All of the strategy's, so that a later default changes no search that is kept. */
static int fill_strategy_options(cJSON *body, struct err *err) {
    static const char key[] = "strategy_options", at[] = "/strategy_options";
    const char *strategy = cJSON_GetStringValue(cJSON_GetObjectItem(body, "strategy"));
    const struct strategy_type *type = strategy_find(strategy);
    double options[STRATEGY_OPTIONS_MAX];
    int r =
        strategy_options_read(type, cJSON_GetObjectItemCaseSensitive(body, key), at, err, options);
    cJSON *doc = r == 0 ? strategy_options_to_json(type, options) : NULL;
    if (r == 0 && doc == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r != 0)
        return r;
    cJSON_DeleteItemFromObjectCaseSensitive(body, key);
    cJSON_AddItemToObject(body, key, doc);
    return 0;
}

/* Random search, unless that is the search itself: a strategy beside itself would be run twice with
 * the same seed, and compare nothing. */
static int fill_baseline(cJSON *body, struct err *err) {
    const char *strategy = cJSON_GetStringValue(cJSON_GetObjectItem(body, "strategy"));
    if (!json_has(body, "baseline") && strcmp(strategy, "random") == 0)
        json_set_text(body, "baseline", NULL);
    int r = fill_strategy(body, "baseline", "random", err);
    const char *baseline = cJSON_GetStringValue(cJSON_GetObjectItem(body, "baseline"));
    if (r == 0 && baseline != NULL && strcmp(baseline, strategy) == 0)
        r = err_set(err, ESP_EINVAL, "/baseline", "\"%s\" is the strategy already", baseline);
    return r;
}

/* "predicted", "evaluated", or {"predictor": an imported model}, which is looked up later. */
static int fill_accuracy(cJSON *body, struct err *err) {
    static const char *const accuracies[] = {"predicted", "evaluated", NULL};
    static const char *const keys[] = {"predictor", NULL};
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(body, "accuracy");
    int accuracy = 0, r = 0;
    if (cJSON_IsObject(given))
        return json_only(given, "/accuracy", keys, err);
    if (json_has(body, "accuracy"))
        r = json_enum(body, "", "accuracy", accuracies, err, &accuracy);
    if (r == 0)
        json_set_text(body, "accuracy", accuracies[accuracy]);
    return r;
}

/* How the networks to calibrate on are chosen. */
static int fill_choice(cJSON *body, struct err *err) {
    static const char *const choices[] = {"useful", "spread", NULL};
    int choice = 0, r = 0;
    if (json_has(body, "calibration_choice"))
        r = json_enum(body, "", "calibration_choice", choices, err, &choice);
    if (r == 0)
        json_set_text(body, "calibration_choice", choices[choice]);
    return r;
}

/* A predictor in the loop: where accuracy is predicted, that predictor is the model that a strategy
 * of many cheap evaluations searches; where it is evaluated, linas fits its own. */
static const char *default_strategy(const cJSON *body) {
    const char *accuracy = cJSON_GetStringValue(cJSON_GetObjectItem(body, "accuracy"));
    return accuracy != NULL && strcmp(accuracy, "evaluated") == 0 ? "linas" : "nsga2";
}

static int fill_words(cJSON *body, struct err *err) {
    const char *method_name = "full";
    int r = fill_accuracy(body, err);
    if (r == 0)
        r = fill_strategy(body, "strategy", default_strategy(body), err);
    if (r == 0)
        r = fill_strategy_options(body, err);
    if (r == 0)
        r = fill_baseline(body, err);
    if (r == 0)
        r = fill_choice(body, err);
    if (r == 0)
        r = json_string_opt(body, "", "method", 1, METHOD_ID_MAX - 1, err, &method_name);
    const struct method *method = r == 0 ? method_find(method_name) : NULL;
    if (r == 0 && method == NULL)
        r = err_set(err, ESP_EINVAL, "/method", "there is no method \"%.30s\"", method_name);
    if (r != 0)
        return r;
    json_set_text(body, "method", method->name);
    return 0;
}

/* What is null is as if it were not there, but for the baseline, of which none is wanted. */
static void drop_nulls(cJSON *body) {
    for (cJSON *item = body->child, *next; item != NULL; item = next) {
        next = item->next;
        if (cJSON_IsNull(item) && strcmp(item->string, "baseline") != 0)
            cJSON_Delete(cJSON_DetachItemViaPointer(body, item));
    }
}

int search_defaults_fill(cJSON *body, struct err *err) {
    drop_nulls(body);
    int r = fill_integers(body, err);
    if (r == 0)
        r = check_ends(body, err);
    return r == 0 ? fill_words(body, err) : r;
}
