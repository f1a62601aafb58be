#include "daemon/search_request.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/job_spec.h"
#include "daemon/latency_evaluator.h"
#include "daemon/metric_words.h"
#include "daemon/models.h"
#include "daemon/search_energy.h"
#include "daemon/search_feasible.h"
#include "daemon/search_fleet.h"
#include "daemon/search_subspace.h"
#include "daemon/section_evaluator.h"
#include "daemon/spaces.h"
#include "daemon/store_devices.h"
#include "daemon/store_models.h"
#include "devices/method.h"
#include "search/accuracy_predictor.h"
#include "daemon/warm_start.h"
#include "search/loop.h"
#include "search/strategy.h"
#include "supernet/regime.h"

enum { PROFILES_MAX = 8 };

static const char *const known_metrics[] = {"top1",
                                            "latency_us",
                                            "macs",
                                            "params",
                                            "peak_activation_bytes",
                                            "peak_simple_bytes",
                                            "model_bytes",
                                            "traffic_bytes",
                                            "energy_uj",
                                            NULL};

/* Where a latency comes from: a profile of a board, or an imported model. */
struct source {
    struct profile_latency profile;
    struct latency_evaluator *latency;
    cJSON *model; /* NULL: a profile */
    struct latency_sections sections;
    cJSON *sections_doc;
    struct section_evaluator *section;
};

static_assert(2 + PROFILES_MAX + ENERGY_PROFILES_MAX <= SEARCH_EVALUATORS_MAX,
              "what is accepted here, with the accuracy, is no more than a loop takes");

/* Everything that is needed only while a request is made. */
struct work {
    const struct daemon *daemon;
    struct sql *sql;
    struct space *space;
    bool has_supernet;
    cJSON *predictor; /* the imported model that accuracies come from; NULL: none */
    struct goals goals;
    struct metric_words words; /* of the goals */
    int n_profiles;
    struct source profiles[PROFILES_MAX];
    struct search_energy energy;
    struct evaluator
        evaluators[1 + PROFILES_MAX + ENERGY_PROFILES_MAX]; /* cost, latencies, energies */
};

static void source_finish(struct source *source) {
    latency_evaluator_destroy(source->latency);
    profile_latency_finish(&source->profile);
    section_evaluator_destroy(source->section);
    latency_sections_finish(&source->sections);
    cJSON_Delete(source->sections_doc);
    cJSON_Delete(source->model);
}

static void work_finish(struct work *work) {
    cost_evaluator_destroy(&work->evaluators[0]);
    for (int i = 0; i < work->n_profiles; i++)
        source_finish(&work->profiles[i]);
    search_energy_finish(&work->energy);
    cJSON_Delete(work->predictor);
    space_destroy(work->space);
}

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
    {"calibration_nets", 12, 0, 1000}};

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
    return r != 0 ? r : json_int_opt(body, "", "measurements", 2, 10000, err, &measurements);
}

/* text may be that of the member itself. */
static void set_text(cJSON *body, const char *key, const char *text) {
    cJSON *value = text != NULL ? cJSON_CreateString(text) : cJSON_CreateNull();
    cJSON_DeleteItemFromObjectCaseSensitive(body, key);
    cJSON_AddItemToObject(body, key, value);
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
        r = err_set(err, ESP_EINVAL, pointer, "there is no strategy \"%.60s\"", name);
    if (r == 0)
        set_text(body, key, found->name);
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
        set_text(body, "baseline", NULL);
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
        set_text(body, "accuracy", accuracies[accuracy]);
    return r;
}

/* How the networks to calibrate on are chosen. */
static int fill_choice(cJSON *body, struct err *err) {
    static const char *const choices[] = {"useful", "spread", NULL};
    int choice = 0, r = 0;
    if (json_has(body, "calibration_choice"))
        r = json_enum(body, "", "calibration_choice", choices, err, &choice);
    if (r == 0)
        set_text(body, "calibration_choice", choices[choice]);
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
    set_text(body, "method", method->name);
    return 0;
}

/* A profile, or else a latency model, by its id. */
static int find_latency(struct work *work, const char *ref, const char *pointer, struct err *err,
                        char ret_id[ID_MAX]) {
    cJSON *doc = NULL;
    struct err said = {0};
    int r = store_profile_get(work->sql, ref, err, &doc);
    if (r == ESP_EINVAL) /* several fit */
        snprintf(err->pointer, sizeof(err->pointer), "%s", pointer);
    if (r == ESP_ENOTFOUND &&
        (r = model_find(work->sql, ref, MODEL_LATENCY, pointer, &said, &doc)) != 0) {
        if (r == ESP_ENOTFOUND)
            err_set(err, r, pointer, "there is no profile and no latency model \"%.60s\"", ref);
        else if (err != NULL)
            *err = said;
    }
    if (r == 0)
        snprintf(ret_id, ID_MAX, "%s", cJSON_GetStringValue(cJSON_GetObjectItem(doc, "id")));
    cJSON_Delete(doc);
    return r;
}

/* The profile of list[i] (an objective or a constraint): its id in place of what people call it. */
static int resolve_profile(struct work *work, cJSON *item, const char *at, struct err *err) {
    const char *ref = NULL;
    char pointer[64], id[ID_MAX];
    int r = json_string_opt(item, at, "profile", 1, 200, err, &ref);
    if (r != 0 || ref == NULL)
        return r;
    snprintf(pointer, sizeof(pointer), "%.48s/profile", at);
    r = find_latency(work, ref, pointer, err, id);
    if (r == 0)
        set_text(item, "profile", id);
    return r;
}

static int resolve_profiles(struct work *work, cJSON *body, const char *key, struct err *err) {
    cJSON *item;
    int i = 0, r = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(body, key)) {
        char at[64];
        snprintf(at, sizeof(at), "/%s/%d", key, i++);
        if (r == 0 && cJSON_IsObject(item))
            r = resolve_profile(work, item, at, err);
    }
    return r;
}

/* Where a profile was first named, for errors about its table. */
static void profile_pointer(const cJSON *body, const char *id, char ret[64]) {
    static const char *const keys[] = {"objectives", "constraints"};
    snprintf(ret, 64, "/objectives");
    for (int k = 1; k >= 0; k--) {
        int i = 0;
        const cJSON *item;
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(body, keys[k])) {
            const char *named = cJSON_GetStringValue(cJSON_GetObjectItem(item, "profile"));
            if (named != NULL && strcmp(named, id) == 0)
                snprintf(ret, 64, "/%s/%d/profile", keys[k], i);
            i++;
        }
    }
}

/* Entries that the space needs and that cannot even be interpolated. */
static int count_unknown(const struct latency_table *table, const struct unit_list *units,
                         struct err *err, int *ret_unknown) {
    struct latency_estimator *estimator;
    int r = latency_estimator_create(table, err, &estimator);
    if (r != 0)
        return r;
    *ret_unknown = 0;
    for (int i = 0; i < units->n; i++)
        *ret_unknown += latency_estimate(estimator, &units->entries[i].graph->units[0]).state ==
                        ESTIMATE_MISSING;
    latency_estimator_destroy(estimator);
    return 0;
}

static int check_coverage(const struct work *work, const struct profile_latency *latency,
                          const cJSON *body, struct err *err) {
    struct unit_list *units = NULL;
    char pointer[64];
    int unknown = 0, r = space_units(work->space, err, &units);
    if (r == 0)
        r = count_unknown(latency->table, units, err, &unknown);
    if (r == 0 && unknown > 0) {
        profile_pointer(body, latency->id, pointer);
        r = err_set(err, ESP_EMISSING, pointer,
                    "the latency table of this profile lacks %d of the %d entries that the space "
                    "needs, %d of which cannot be interpolated: build it first (espalier latency "
                    "build)",
                    latency_table_missing(latency->table, units, NULL), units->n, unknown);
    }
    unit_list_destroy(units);
    return r;
}

/* A search that is to measure needs somebody who does. */
static int check_board(const struct work *work, const char *id, const cJSON *body,
                       struct err *err) {
    char pointer[64];
    bool has = true;
    double wanted = cJSON_GetNumberValue(cJSON_GetObjectItem(body, "measure_front")) +
                    cJSON_GetNumberValue(cJSON_GetObjectItem(body, "calibration_nets"));
    int r = wanted > 0 ? store_profile_has_board(work->sql, id, err, &has) : 0;
    if (r != 0 || has)
        return r;
    profile_pointer(body, id, pointer);
    return err_set(err, ESP_ECONFLICT, pointer,
                   "the board of this profile was removed: nothing can be measured (with "
                   "measure_front and calibration_nets 0 it is predicted only)");
}

static int add_board(struct work *work, struct source *source, const char *id, const cJSON *body,
                     struct err *err, struct evaluator *ret_evaluator) {
    int r = profile_latency_load(work->sql, id, err, &source->profile);
    if (r == 0)
        r = check_board(work, id, body, err);
    if (r == 0)
        r = check_coverage(work, &source->profile, body, err);
    if (r == 0)
        r = latency_evaluator_create(work->space, source->profile.table,
                                     &source->profile.calibration, id, err, &source->latency);
    if (r == 0)
        latency_evaluator_init(source->latency, ret_evaluator);
    return r;
}

static int add_model(struct work *work, struct source *source, const char *id, const cJSON *body,
                     struct err *err, struct evaluator *ret_evaluator) {
    char pointer[64];
    profile_pointer(body, id, pointer);
    int r = model_sections_load(work->sql, id, err, &source->sections, &source->sections_doc);
    if (r == 0)
        r = model_check_coverage(source->model, &source->sections, work->space, pointer, err);
    if (r == 0)
        r = section_evaluator_create(work->space, &source->sections, id, err, &source->section);
    if (r == 0)
        section_evaluator_init(source->section, ret_evaluator);
    return r;
}

static const char latency_prefix[] = "latency_us:";

/* The id behind a latency's key; NULL: another metric. */
static const char *latency_id(const char *key) {
    size_t len = sizeof(latency_prefix) - 1;
    return strncmp(key, latency_prefix, len) == 0 ? key + len : NULL;
}

/* Who the latencies come from; what they know may narrow the space, before they are loaded. */
static int find_sources(struct work *work, const cJSON *body, struct err *err) {
    int r = 0;
    for (int i = 0; i < work->goals.n_metrics && r == 0; i++) {
        const char *id = latency_id(work->goals.keys[i]);
        char pointer[64];
        if (id == NULL)
            continue;
        if (work->n_profiles == PROFILES_MAX)
            return err_set(err, ESP_ELIMIT, "/objectives", "at most %d profiles", PROFILES_MAX);
        struct source *source = &work->profiles[work->n_profiles++];
        profile_pointer(body, id, pointer);
        snprintf(source->profile.id, sizeof(source->profile.id), "%.39s", id);
        if (!id_has_prefix(id, "mo_"))
            continue;
        r = model_find(work->sql, id, MODEL_LATENCY, pointer, err, &source->model);
        if (r == 0)
            r = model_check_space(source->model, work->space, pointer, err);
    }
    return r;
}

/* Whether it is the energy on a profile whose latency is not meant: that board measures too. */
static bool is_energy_alone(const struct work *work, const char *key) {
    const char *id = energy_metric_profile(key);
    for (int i = 0; i < work->n_profiles && id != NULL; i++)
        if (strcmp(work->profiles[i].profile.id, id) == 0)
            return false;
    return id != NULL;
}

/* What is called measured was measured twice, on each board. */
static int check_measurements(const struct work *work, const cJSON *body, struct err *err) {
    const cJSON *asked = cJSON_GetObjectItemCaseSensitive(body, "measurements");
    int boards = 0;
    for (int i = 0; i < work->n_profiles; i++)
        boards += work->profiles[i].model == NULL;
    for (int i = 0; i < work->goals.n_metrics; i++)
        boards += is_energy_alone(work, work->goals.keys[i]);
    if (asked == NULL || cJSON_GetNumberValue(asked) >= 2 * boards)
        return 0;
    return err_set(err, ESP_EINVAL, "/measurements",
                   "one network on %d boards, twice each, takes %d measurements", boards,
                   2 * boards);
}

static int load_sources(struct work *work, const cJSON *body, struct err *err) {
    int r = cost_evaluator_create(work->space, err, &work->evaluators[0]);
    for (int i = 0; i < work->n_profiles && r == 0; i++) {
        struct source *source = &work->profiles[i];
        char id[ID_MAX];
        snprintf(id, sizeof(id), "%s", source->profile.id);
        r = source->model != NULL
                ? add_model(work, source, id, body, err, &work->evaluators[i + 1])
                : add_board(work, source, id, body, err, &work->evaluators[i + 1]);
    }
    if (r == 0)
        r = search_energy_load(work->sql, work->space, &work->goals, body, err, &work->energy);
    for (int i = 0; i < work->energy.n && r == 0; i++) {
        energy_evaluator_init(work->energy.evaluators[i],
                              &work->evaluators[1 + work->n_profiles + i]);
        r = check_board(work,
                        cJSON_GetStringValue(cJSON_GetObjectItem(work->energy.docs[i], "profile")),
                        body, err);
    }
    return r;
}

/* The resolutions that every imported model knows. */
static int narrow_space(struct work *work, struct search_request *request, struct err *err) {
    int resolutions[SPACE_RESOLUTIONS_MAX], n = work->space->n_resolutions;
    struct space *narrow = NULL;
    memcpy(resolutions, work->space->resolutions, (size_t)n * sizeof(*resolutions));
    if (work->predictor != NULL)
        model_keep_resolutions(work->predictor, resolutions, &n);
    for (int i = 0; i < work->n_profiles; i++)
        if (work->profiles[i].model != NULL)
            model_keep_resolutions(work->profiles[i].model, resolutions, &n);
    if (n == work->space->n_resolutions)
        return 0;
    if (n == 0)
        return err_set(err, ESP_EMISSING, "/objectives",
                       "no resolution of the space is known to all of the imported models");
    if (work->has_supernet)
        return err_set(err, ESP_EMISMATCH, "/supernet",
                       "the imported models know %d of the %d resolutions that are searched; "
                       "import them for a space with those resolutions, or search without a "
                       "supernet",
                       n, work->space->n_resolutions);
    int r = space_narrow(work->space, resolutions, n, err, &narrow);
    if (r != 0)
        return r;
    space_destroy(work->space);
    work->space = narrow;
    return search_subspace_put(narrow, request->spec, err);
}

/* Names the places of what is limited, for the check and for the job. */
static int check_feasible(struct work *work, struct search_request *request, struct err *err,
                          double *ret_attainable) {
    cJSON *places = NULL;
    int r = search_places(work->sql, &work->goals, err, &places);
    if (r != 0)
        return r;
    cJSON_AddItemToObject(request->spec, "places", places);
    work->words = metric_words_by_place(places);
    work->goals.words = &work->words;
    const struct limited limited = {work->space, &work->goals, work->evaluators,
                                    1 + work->n_profiles + work->energy.n};
    return search_check_feasible(&limited, request->body, err, ret_attainable);
}

static cJSON *copy_or_null(const cJSON *doc) {
    return doc != NULL ? cJSON_Duplicate(doc, true) : cJSON_CreateNull();
}

static cJSON *spec_profiles(const struct work *work) {
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < work->n_profiles; i++) {
        const struct source *source = &work->profiles[i];
        const struct profile_latency *latency = &source->profile;
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "profile_id", latency->id);
        cJSON_AddStringToObject(row, "name", latency->id);
        if (source->model != NULL) {
            cJSON_AddItemToObject(row, "sections", cJSON_Duplicate(source->sections_doc, true));
        } else {
            cJSON_AddStringToObject(row, "profile_revision", latency->revision);
            cJSON_AddItemToObject(row, "table", cJSON_Duplicate(latency->table_doc, true));
            cJSON_AddItemToObject(row, "calibration", copy_or_null(latency->calibration_doc));
        }
        cJSON_AddItemToArray(list, row);
    }
    return list;
}

static void name_models(const struct work *work, struct search_request *request) {
    request->models = cJSON_CreateArray();
    for (int i = 0; i < work->n_profiles; i++)
        if (work->profiles[i].model != NULL)
            cJSON_AddItemToArray(request->models, cJSON_CreateString(work->profiles[i].profile.id));
    if (work->predictor != NULL)
        cJSON_AddItemToArray(request->models, cJSON_CreateString(cJSON_GetStringValue(
                                                  cJSON_GetObjectItem(work->predictor, "id"))));
}

/* Where calibrations are learnt, other profiles may have something to teach. */
static int add_fleet(struct work *work, cJSON *spec, struct err *err) {
    const char *board = NULL;
    cJSON *fleet = NULL;
    int n = 0, r = 0;
    for (int i = 0; i < work->n_profiles; i++)
        if (work->profiles[i].model == NULL && n++ == 0)
            board = work->profiles[i].profile.id;
    if (n > 0)
        r = search_fleet_make(work->sql, work->space, n == 1 ? board : NULL, err, &fleet);
    if (r == 0 && fleet != NULL)
        cJSON_AddItemToObject(spec, "fleet", fleet);
    return r;
}

int search_request_refuse_single(const cJSON *supernet, struct err *err) {
    const cJSON *stored = cJSON_GetObjectItemCaseSensitive(supernet, "train");
    cJSON *train = cJSON_IsRaw(stored) ? cJSON_Parse(stored->valuestring) : NULL;
    const char *regime = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(train, "regime"));
    bool single = regime != NULL && strcmp(regime, regime_names[REGIME_SINGLE]) == 0;
    cJSON_Delete(train);
    if (!single)
        return 0;
    return err_set(err, ESP_ECONFLICT, "/supernet",
                   "the supernet was last trained for one arch alone (regime single): its other "
                   "subnets are not worth comparing");
}

/* Supernet and data set by id; the job's spec takes their documents. */
static int take_supernet(struct work *work, struct search_request *request, struct err *err) {
    struct job_spec_ref ref;
    cJSON *supernet = NULL;
    int r = job_spec_read_ref(request->body, err, &ref);
    if (r == 0)
        r = job_spec_supernet(work->daemon, work->sql, &ref, request->spec, err, &supernet);
    if (r == 0)
        r = search_request_refuse_single(supernet, err);
    if (r == 0) {
        snprintf(request->supernet, sizeof(request->supernet), "%s",
                 cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "id")));
        set_text(request->body, "supernet", request->supernet);
        set_text(request->body, "dataset",
                 cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "dataset")));
        r = job_spec_space(request->spec, err, &work->space);
    }
    cJSON_Delete(supernet);
    return r;
}

/* The imported model that accuracies come from, by id. */
static int take_predictor(struct work *work, cJSON *body, struct err *err) {
    cJSON *accuracy = cJSON_GetObjectItemCaseSensitive(body, "accuracy");
    const char *ref;
    if (!cJSON_IsObject(accuracy))
        return 0;
    int r = json_string(accuracy, "/accuracy", "predictor", 1, 200, err, &ref);
    if (r == 0)
        r = model_find(work->sql, ref, MODEL_ACCURACY, "/accuracy/predictor", err,
                       &work->predictor);
    if (r == 0)
        set_text(accuracy, "predictor",
                 cJSON_GetStringValue(cJSON_GetObjectItem(work->predictor, "id")));
    return r;
}

/* Without a supernet: the space that the body names, or that of the predictor. */
static int take_space(struct work *work, struct search_request *request, struct err *err) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(work->predictor, "space"));
    int r = json_string_opt(request->body, "", "space", 1, 63, err, &name);
    if (r == 0)
        r = spaces_load(work->sql, name, err, &work->space, NULL);
    if (r == ESP_ENOTFOUND)
        err_set(err, r, "/space", "there is no space \"%.60s\"", name);
    if (r != 0)
        return r;
    snprintf(request->space, sizeof(request->space), "%s", name);
    set_text(request->body, "space", request->space); /* name may be the body's own */
    memcpy(request->fingerprint, work->space->fingerprint, sizeof(request->fingerprint));
    request->document = space_print(work->space);
    if (request->document == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    cJSON_AddItemToObject(request->spec, "space", cJSON_Parse(request->document));
    return 0;
}

static int take_source(struct work *work, struct search_request *request, struct err *err) {
    static const char *const of_supernet[] = {"checkpoint", "dataset"};
    int r = take_predictor(work, request->body, err);
    if (r != 0)
        return r;
    work->has_supernet = work->predictor == NULL || json_has(request->body, "supernet");
    if (work->has_supernet && json_has(request->body, "space"))
        return err_set(err, ESP_EINVAL, "/space",
                       "a search of a supernet goes over its own space; one over a space alone "
                       "needs an accuracy of the form {\"predictor\": MODEL} and no supernet");
    for (int i = 0; i < 2 && !work->has_supernet; i++)
        if (json_has(request->body, of_supernet[i]))
            return err_set(err, ESP_EINVAL, i == 0 ? "/checkpoint" : "/dataset",
                           "there is no supernet that it could be of");
    r = work->has_supernet ? take_supernet(work, request, err) : take_space(work, request, err);
    if (r == 0 && work->predictor != NULL)
        r = model_check_space(work->predictor, work->space, "/accuracy/predictor", err);
    if (r == 0 && work->predictor != NULL)
        cJSON_AddItemToObject(request->spec, "predictor",
                              model_predictor_spec(work->daemon, work->predictor));
    return r;
}

const char *const search_request_members[] = {"name",
                                              "supernet",
                                              "checkpoint",
                                              "objectives",
                                              "constraints",
                                              "strategy",
                                              "strategy_options",
                                              "baseline",
                                              "evaluations",
                                              "population",
                                              "seed",
                                              "accuracy",
                                              "method",
                                              "initial_evaluations",
                                              "measure_front",
                                              "calibration_nets",
                                              "calibration_choice",
                                              "space",
                                              "dataset",
                                              "warm_start",
                                              "patience",
                                              "measurements",
                                              "time_budget_s",
                                              "rounds",
                                              "subspace",
                                              NULL};

static int fill(struct work *work, struct search_request *request, struct err *err,
                double *ret_attainable) {
    cJSON *body = request->body, *warm = NULL;
    char fingerprint[HASH_TEXT] = "";
    const char *name;
    int r = json_only(body, "", search_request_members, err);
    if (r == 0)
        r = json_string(body, "", "name", 1, 64, err, &name);
    if (r == 0)
        snprintf(request->name, sizeof(request->name), "%s", name);
    if (r == 0)
        r = fill_integers(body, err);
    if (r == 0)
        r = check_ends(body, err);
    if (r == 0)
        r = fill_words(body, err);
    if (r == 0)
        r = take_source(work, request, err);
    if (r == 0)
        memcpy(fingerprint, work->space->fingerprint,
               sizeof(fingerprint)); /* before narrow_space */
    if (r == 0)
        r = resolve_profiles(work, body, "objectives", err);
    if (r == 0)
        r = resolve_profiles(work, body, "constraints", err);
    if (r == 0)
        r = goals_from_json(body, "", known_metrics, err, &work->goals);
    if (r == 0)
        r = find_sources(work, body, err);
    if (r == 0)
        r = check_measurements(work, body, err);
    if (r == 0)
        r = search_subspace_take(&work->space, body, err, request->spec);
    if (r == 0)
        r = narrow_space(work, request, err);
    if (r == 0)
        r = search_subspace_check_budget(work->space, body, err);
    if (r == 0)
        r = warm_start_take(work->sql, work->space, fingerprint, body, err, &warm);
    if (warm != NULL)
        cJSON_AddItemToObject(request->spec, "warm_start", warm);
    if (r == 0)
        r = load_sources(work, body, err);
    if (r == 0)
        r = check_feasible(work, request, err, ret_attainable);
    return r;
}

int search_request_make(const struct daemon *daemon, struct sql *sql, const cJSON *body,
                        struct err *err, double *ret_attainable, struct search_request **ret) {
    struct work *work = mem_array(1, sizeof(*work));
    struct search_request *request = mem_array(1, sizeof(*request));
    int r = work == NULL || request == NULL ? err_set(err, ESP_ENOMEM, NULL, "out of memory") : 0;
    if (r == 0) {
        work->daemon = daemon;
        work->sql = sql;
        request->body = cJSON_Duplicate(body, true);
        request->spec = cJSON_CreateObject();
        r = fill(work, request, err, ret_attainable);
    }
    if (r == 0) {
        cJSON_AddItemToObject(request->spec, "search", cJSON_Duplicate(request->body, true));
        cJSON_AddItemToObject(request->spec, "profiles", spec_profiles(work));
        if (work->energy.n > 0)
            cJSON_AddItemToObject(request->spec, "energy_prices",
                                  search_energy_spec(&work->energy));
        if (daemon->board_patience_us > 0)
            cJSON_AddNumberToObject(request->spec, "board_patience_s",
                                    (double)daemon->board_patience_us / 1e6);
        name_models(work, request);
        r = add_fleet(work, request->spec, err);
    }
    if (work != NULL)
        work_finish(work);
    free(work);
    if (r == 0)
        *ret = request;
    else
        search_request_destroy(request);
    return r;
}

void search_request_destroy(struct search_request *request) {
    if (request == NULL)
        return;
    cJSON_Delete(request->body);
    cJSON_Delete(request->spec);
    cJSON_Delete(request->models);
    free(request->document);
    free(request);
}
