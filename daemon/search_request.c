#include "daemon/search_request.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/job_spec.h"
#include "daemon/metric_words.h"
#include "daemon/models.h"
#include "daemon/search_defaults.h"
#include "daemon/search_feasible.h"
#include "daemon/search_sources.h"
#include "daemon/search_subspace.h"
#include "daemon/spaces.h"
#include "daemon/supernet_single.h"
#include "daemon/warm_start.h"
#include "search/loop.h"

static const char *const known_metrics[] = {"top1",
                                            "loss",
                                            "latency_us",
                                            "macs",
                                            "params",
                                            "peak_activation_bytes",
                                            "peak_simple_bytes",
                                            "model_bytes",
                                            "traffic_bytes",
                                            "energy_uj",
                                            NULL};

static_assert(2 + PROFILES_MAX + ENERGY_PROFILES_MAX <= SEARCH_EVALUATORS_MAX,
              "what is accepted here, with the accuracy, is no more than a loop takes");

/* Everything that is needed only while a request is made. */
struct work {
    const struct daemon *daemon;
    struct sql *sql;
    struct space *space;
    bool has_supernet;
    char fingerprint[HASH_TEXT]; /* of the space before it is narrowed */
    cJSON *predictor;            /* the imported model that accuracies come from; NULL: none */
    struct goals goals;
    struct metric_words words; /* of the goals */
    struct search_sources sources;
};

static void work_finish(struct work *work) {
    search_sources_finish(&work->sources);
    cJSON_Delete(work->predictor);
    space_destroy(work->space);
}

/* The resolutions that every imported model knows. */
static int narrow_space(struct work *work, struct search_request *request, struct err *err) {
    int resolutions[SPACE_RESOLUTIONS_MAX], n = work->space->n_resolutions;
    struct space *narrow = NULL;
    memcpy(resolutions, work->space->resolutions, (size_t)n * sizeof(*resolutions));
    if (work->predictor != NULL)
        model_keep_resolutions(work->predictor, resolutions, &n);
    for (int i = 0; i < work->sources.n_profiles; i++)
        if (work->sources.profiles[i].model != NULL)
            model_keep_resolutions(work->sources.profiles[i].model, resolutions, &n);
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
                          struct search_outlook *ret_outlook) {
    cJSON *places = NULL;
    int r = search_places(work->sql, &work->goals, err, &places);
    if (r != 0)
        return r;
    cJSON_AddItemToObject(request->spec, "places", places);
    work->words = metric_words_by_place(places);
    work->goals.words = &work->words;
    const struct limited limited = {work->space, &work->goals, work->sources.evaluators,
                                    1 + work->sources.n_profiles + work->sources.energy.n};
    return search_check_feasible(&limited, request->body, err, ret_outlook);
}

static void name_models(const struct work *work, struct search_request *request) {
    request->models = cJSON_CreateArray();
    for (int i = 0; i < work->sources.n_profiles; i++)
        if (work->sources.profiles[i].model != NULL)
            cJSON_AddItemToArray(request->models,
                                 cJSON_CreateString(work->sources.profiles[i].profile.id));
    if (work->predictor != NULL)
        cJSON_AddItemToArray(request->models, cJSON_CreateString(cJSON_GetStringValue(
                                                  cJSON_GetObjectItem(work->predictor, "id"))));
}

/* Supernet and data set by id; the job's spec takes their documents. */
static int take_supernet(struct work *work, struct search_request *request, struct err *err) {
    struct job_spec_ref ref;
    cJSON *supernet = NULL;
    int r = job_spec_read_ref(request->body, err, &ref);
    if (r == 0)
        r = job_spec_supernet(work->daemon, work->sql, &ref, request->spec, err, &supernet);
    if (r == 0)
        r = supernet_single_refuse(supernet, err);
    if (r == 0) {
        snprintf(request->supernet, sizeof(request->supernet), "%s",
                 cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "id")));
        json_set_text(request->body, "supernet", request->supernet);
        json_set_text(request->body, "dataset",
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
        json_set_text(accuracy, "predictor",
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
    json_set_text(request->body, "space", request->space); /* name may be the body's own */
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

static bool is_evaluated(const cJSON *body) {
    const char *accuracy = cJSON_GetStringValue(cJSON_GetObjectItem(body, "accuracy"));
    return accuracy != NULL && strcmp(accuracy, "evaluated") == 0;
}

static int refuse_loss(const char *member, int index, struct err *err) {
    char pointer[64];
    snprintf(pointer, sizeof(pointer), "/%s/%d/metric", member, index);
    return err_set(err, ESP_EINVAL, pointer,
                   "a loss is evaluated, never predicted: it needs accuracy \"evaluated\"; top1 "
                   "can be predicted");
}

static int check_loss(const struct goals *goals, const cJSON *body, struct err *err) {
    int loss = goals_find_metric(goals, "loss");
    if (loss < 0 || is_evaluated(body))
        return 0;
    for (int i = 0; i < goals->n_objectives; i++)
        if (goals->objectives[i].metric == loss)
            return refuse_loss("objectives", i, err);
    for (int i = 0; i < goals->n_constraints; i++)
        if (goals->constraints[i].metric == loss)
            return refuse_loss("constraints", i, err);
    return 0;
}

/* Between rounds a front is evaluated and measured: how much of it, and of what? */
static int check_rounds(const struct work *work, const cJSON *body, struct err *err) {
    double rounds = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(body, "rounds"));
    double front = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(body, "measure_front"));
    if (!(rounds > 1))
        return 0;
    if (front == 0)
        return err_set(err, ESP_EINVAL, "/rounds",
                       "nothing becomes known between rounds: measure_front 0 leaves the front "
                       "unmeasured; leave one of the two out");
    if (work->has_supernet || search_sources_boards(&work->sources) > 0)
        return 0;
    return err_set(err, ESP_EINVAL, "/rounds",
                   "nothing becomes known between rounds: there is neither a supernet that "
                   "evaluates nor a board that measures; leave rounds out");
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
                                              "known_networks",
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
                struct search_outlook *ret_outlook) {
    cJSON *body = request->body, *warm = NULL;
    const char *name;
    int r = json_only(body, "", search_request_members, err);
    if (r == 0)
        r = json_string(body, "", "name", 1, 64, err, &name);
    if (r == 0)
        snprintf(request->name, sizeof(request->name), "%s", name);
    if (r == 0)
        r = search_defaults_fill(body, err);
    if (r == 0)
        r = take_source(work, request, err);
    if (r == 0)
        memcpy(work->fingerprint, work->space->fingerprint, sizeof(work->fingerprint));
    if (r == 0)
        r = search_sources_resolve(work->sql, body, "objectives", err);
    if (r == 0)
        r = search_sources_resolve(work->sql, body, "constraints", err);
    if (r == 0)
        r = goals_from_json(body, "", known_metrics, err, &work->goals);
    if (r == 0)
        r = check_loss(&work->goals, body, err);
    work->sources =
        (struct search_sources){work->sql, work->fingerprint, work->space, &work->goals, body};
    if (r == 0)
        r = search_sources_find(&work->sources, err);
    if (r == 0)
        r = search_sources_check_measurements(&work->sources, err);
    if (r == 0)
        r = check_rounds(work, body, err);
    if (r == 0)
        r = search_subspace_take(&work->space, body, err, request->spec);
    if (r == 0)
        r = narrow_space(work, request, err);
    if (r == 0)
        r = search_subspace_check_budget(work->space, body, err);
    if (r == 0)
        r = warm_start_take(work->sql, work->space, work->fingerprint, body, err, &warm);
    if (warm != NULL)
        cJSON_AddItemToObject(request->spec, "warm_start", warm);
    work->sources.space = work->space;
    if (r == 0)
        r = search_sources_load(&work->sources, err);
    if (r == 0)
        r = check_feasible(work, request, err, ret_outlook);
    if (r == 0)
        r = search_sources_note_known(
            &work->sources, cJSON_GetObjectItemCaseSensitive(request->spec, "places"), body, err);
    return r;
}

int search_request_make(const struct daemon *daemon, struct sql *sql, const cJSON *body,
                        struct err *err, struct search_outlook *ret_outlook,
                        struct search_request **ret) {
    struct work *work = mem_array(1, sizeof(*work));
    struct search_request *request = mem_array(1, sizeof(*request));
    int r = work == NULL || request == NULL ? err_set(err, ESP_ENOMEM, NULL, "out of memory") : 0;
    *ret_outlook = (struct search_outlook){(double)NAN, (double)NAN};
    if (r == 0) {
        work->daemon = daemon;
        work->sql = sql;
        request->body = cJSON_Duplicate(body, true);
        request->spec = cJSON_CreateObject();
        r = fill(work, request, err, ret_outlook);
    }
    if (r == 0) {
        cJSON_AddItemToObject(request->spec, "search", cJSON_Duplicate(request->body, true));
        cJSON_AddItemToObject(request->spec, "profiles", search_sources_spec(&work->sources));
        if (work->sources.energy.n > 0)
            cJSON_AddItemToObject(request->spec, "energy_prices",
                                  search_energy_spec(&work->sources.energy));
        if (daemon->board_patience_us > 0)
            cJSON_AddNumberToObject(request->spec, "board_patience_s",
                                    (double)daemon->board_patience_us / 1e6);
        request->limits_share = ret_outlook->share;
        name_models(work, request);
        r = search_sources_add_fleet(&work->sources, request->spec, err);
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
