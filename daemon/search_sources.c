#include "daemon/search_sources.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/models.h"
#include "daemon/search_fleet.h"
#include "daemon/search_known.h"
#include "daemon/store_devices.h"
#include "daemon/store_models.h"
#include "devices/method.h"

static void source_finish(struct latency_source *source) {
    latency_evaluator_destroy(source->latency);
    profile_latency_finish(&source->profile);
    cJSON_Delete(source->known);
    section_evaluator_destroy(source->section);
    latency_sections_finish(&source->sections);
    cJSON_Delete(source->sections_doc);
    cJSON_Delete(source->model);
}

/* A profile, or else a latency model, by its id. */
static int find_latency(struct sql *sql, const char *ref, const char *pointer, struct err *err,
                        char ret_id[ID_MAX]) {
    cJSON *doc = NULL;
    struct err said = {0};
    int r = store_profile_get(sql, ref, err, &doc);
    if (r == ESP_EINVAL) /* several fit */
        snprintf(err->pointer, sizeof(err->pointer), "%s", pointer);
    if (r == ESP_ENOTFOUND &&
        (r = model_find(sql, ref, MODEL_LATENCY, pointer, &said, &doc)) != 0) {
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
static int resolve_profile(struct sql *sql, cJSON *item, const char *at, struct err *err) {
    const char *ref = NULL;
    char pointer[64], id[ID_MAX];
    int r = json_string_opt(item, at, "profile", 1, 200, err, &ref);
    if (r != 0 || ref == NULL)
        return r;
    snprintf(pointer, sizeof(pointer), "%.48s/profile", at);
    r = find_latency(sql, ref, pointer, err, id);
    if (r == 0)
        json_set_text(item, "profile", id);
    return r;
}

int search_sources_resolve(struct sql *sql, cJSON *body, const char *key, struct err *err) {
    cJSON *item;
    int i = 0, r = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(body, key)) {
        char at[64];
        snprintf(at, sizeof(at), "/%s/%d", key, i++);
        if (r == 0 && cJSON_IsObject(item))
            r = resolve_profile(sql, item, at, err);
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

/* A search that is to measure needs somebody who does. */
static int check_board(const struct search_sources *sources, const char *id, struct err *err) {
    char pointer[64];
    bool has = true;
    double wanted = cJSON_GetNumberValue(cJSON_GetObjectItem(sources->body, "measure_front")) +
                    cJSON_GetNumberValue(cJSON_GetObjectItem(sources->body, "calibration_nets"));
    int r = wanted > 0 ? store_profile_has_board(sources->sql, id, err, &has) : 0;
    if (r != 0 || has)
        return r;
    profile_pointer(sources->body, id, pointer);
    return err_set(err, ESP_ECONFLICT, pointer,
                   "the board of this profile was removed: nothing can be measured (with "
                   "measure_front and calibration_nets 0 it is predicted only)");
}

static int load_known(const struct search_sources *sources, struct latency_source *source,
                      struct err *err) {
    const char *method = cJSON_GetStringValue(cJSON_GetObjectItem(sources->body, "method"));
    double max = cJSON_GetNumberValue(cJSON_GetObjectItem(sources->body, "known_networks"));
    char id[METHOD_ID_MAX];
    if (!(max > 0))
        return 0;
    method_id(method_find(method), id);
    struct known_query query = {source->profile.id, source->profile.revision, id};
    return search_known_networks(sources->sql, sources->space, &query, (int)max, err,
                                 &source->known);
}

static int add_board(struct search_sources *sources, struct latency_source *source, const char *id,
                     struct err *err, struct evaluator *ret_evaluator) {
    char pointer[64];
    int r = profile_latency_load(sources->sql, id, sources->fingerprint, err, &source->profile);
    if (r == 0)
        r = check_board(sources, id, err);
    profile_pointer(sources->body, id, pointer);
    if (r == 0)
        r = profile_latency_check(&source->profile, sources->space, pointer, err);
    if (r == 0)
        r = load_known(sources, source, err);
    if (r == 0)
        r = latency_evaluator_create(sources->space, source->profile.table,
                                     &source->profile.calibration, id, err, &source->latency);
    if (r == 0)
        latency_evaluator_init(source->latency, ret_evaluator);
    return r;
}

static int add_model(struct search_sources *sources, struct latency_source *source, const char *id,
                     struct err *err, struct evaluator *ret_evaluator) {
    char pointer[64];
    profile_pointer(sources->body, id, pointer);
    int r = model_sections_load(sources->sql, id, err, &source->sections, &source->sections_doc);
    if (r == 0)
        r = model_check_coverage(source->model, &source->sections, sources->space, pointer, err);
    if (r == 0)
        r = section_evaluator_create(sources->space, &source->sections, id, err, &source->section);
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
int search_sources_find(struct search_sources *sources, struct err *err) {
    int r = 0;
    for (int i = 0; i < sources->goals->n_metrics && r == 0; i++) {
        const char *id = latency_id(sources->goals->keys[i]);
        char pointer[64];
        if (id == NULL)
            continue;
        if (sources->n_profiles == PROFILES_MAX)
            return err_set(err, ESP_ELIMIT, "/objectives", "at most %d profiles", PROFILES_MAX);
        struct latency_source *source = &sources->profiles[sources->n_profiles++];
        profile_pointer(sources->body, id, pointer);
        snprintf(source->profile.id, sizeof(source->profile.id), "%.39s", id);
        if (!id_has_prefix(id, "mo_"))
            continue;
        r = model_find(sources->sql, id, MODEL_LATENCY, pointer, err, &source->model);
        if (r == 0)
            r = model_check_space(source->model, sources->space, pointer, err);
    }
    return r;
}

/* Whether it is the energy on a profile whose latency is not meant: that board measures too. */
static bool is_energy_alone(const struct search_sources *sources, const char *key) {
    const char *id = energy_metric_profile(key);
    for (int i = 0; i < sources->n_profiles && id != NULL; i++)
        if (strcmp(sources->profiles[i].profile.id, id) == 0)
            return false;
    return id != NULL;
}

int search_sources_boards(const struct search_sources *sources) {
    int boards = 0;
    for (int i = 0; i < sources->n_profiles; i++)
        boards += sources->profiles[i].model == NULL;
    for (int i = 0; i < sources->goals->n_metrics; i++)
        boards += is_energy_alone(sources, sources->goals->keys[i]);
    return boards;
}

/* What is called measured was measured twice, on each board. */
int search_sources_check_measurements(const struct search_sources *sources, struct err *err) {
    const cJSON *asked = cJSON_GetObjectItemCaseSensitive(sources->body, "measurements");
    int boards = search_sources_boards(sources);
    if (!json_has(sources->body, "measurements") ||
        (boards > 0 && cJSON_GetNumberValue(asked) >= 2 * boards))
        return 0;
    if (boards == 0)
        return err_set(err, ESP_EINVAL, "/measurements",
                       "no board measures in this search, which asks for none and takes latencies "
                       "from models alone; leave measurements out");
    return err_set(err, ESP_EINVAL, "/measurements",
                   "one network on %d boards, twice each, takes %d measurements", boards,
                   2 * boards);
}

int search_sources_load(struct search_sources *sources, struct err *err) {
    int r = cost_evaluator_create(sources->space, err, &sources->evaluators[0]);
    for (int i = 0; i < sources->n_profiles && r == 0; i++) {
        struct latency_source *source = &sources->profiles[i];
        char id[ID_MAX];
        snprintf(id, sizeof(id), "%s", source->profile.id);
        r = source->model != NULL
                ? add_model(sources, source, id, err, &sources->evaluators[i + 1])
                : add_board(sources, source, id, err, &sources->evaluators[i + 1]);
    }
    if (r == 0)
        r = search_energy_load(sources->sql, sources->space, sources->goals, sources->body, err,
                               &sources->energy);
    for (int i = 0; i < sources->energy.n && r == 0; i++) {
        energy_evaluator_init(sources->energy.evaluators[i],
                              &sources->evaluators[1 + sources->n_profiles + i]);
        r = check_board(
            sources, cJSON_GetStringValue(cJSON_GetObjectItem(sources->energy.docs[i], "profile")),
            err);
    }
    return r;
}

static cJSON *copy_or_null(const cJSON *doc) {
    return doc != NULL ? cJSON_Duplicate(doc, true) : cJSON_CreateNull();
}

int search_sources_note_known(const struct search_sources *sources, const cJSON *places,
                              cJSON *body, struct err *err) {
    int r = 0;
    for (int i = 0; i < sources->n_profiles && r == 0; i++) {
        const struct latency_source *source = &sources->profiles[i];
        const char *place =
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(places, source->profile.id));
        r = search_known_note(source->known, place != NULL ? place : "", body, err);
    }
    return r;
}

cJSON *search_sources_spec(const struct search_sources *sources) {
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < sources->n_profiles; i++) {
        const struct latency_source *source = &sources->profiles[i];
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
            if (source->known != NULL)
                cJSON_AddItemToObject(row, "known_networks", cJSON_Duplicate(source->known, true));
        }
        cJSON_AddItemToArray(list, row);
    }
    return list;
}

/* Where calibrations are learnt, other profiles may have something to teach. */
int search_sources_add_fleet(const struct search_sources *sources, cJSON *spec, struct err *err) {
    const char *board = NULL;
    cJSON *fleet = NULL;
    int n = 0, r = 0;
    for (int i = 0; i < sources->n_profiles; i++)
        if (sources->profiles[i].model == NULL && n++ == 0)
            board = sources->profiles[i].profile.id;
    if (n > 0)
        r = search_fleet_make(sources->sql, sources->space, n == 1 ? board : NULL, err, &fleet);
    if (r == 0 && fleet != NULL)
        cJSON_AddItemToObject(spec, "fleet", fleet);
    return r;
}

void search_sources_finish(struct search_sources *sources) {
    cost_evaluator_destroy(&sources->evaluators[0]);
    for (int i = 0; i < sources->n_profiles; i++)
        source_finish(&sources->profiles[i]);
    search_energy_finish(&sources->energy);
}
