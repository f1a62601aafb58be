#include "daemon/models.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/job_spec.h"
#include "daemon/store_models.h"
#include "latency/estimate.h"

static const char *text_of(const cJSON *doc, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, key));
}

static int check_ready(const cJSON *model, enum model_kind kind, const char *pointer,
                       struct err *err) {
    static const char *const names[] = {[MODEL_LATENCY] = "latency", [MODEL_ACCURACY] = "accuracy"};
    const char *name = text_of(model, "name"), *state = text_of(model, "state");
    if (strcmp(text_of(model, "kind"), names[kind]) != 0)
        return err_set(err, ESP_EINVAL, pointer, "\"%.64s\" is a model of %s, not of %s", name,
                       text_of(model, "kind"), names[kind]);
    if (strcmp(state, "ready") != 0)
        return err_set(err, ESP_ECONFLICT, pointer, "the model \"%.64s\" is not ready (%s)", name,
                       state);
    return 0;
}

int model_find(struct sql *sql, const char *ref, enum model_kind kind, const char *pointer,
               struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL;
    int r = store_model_get(sql, ref, err, &doc);
    if (r == ESP_ENOTFOUND)
        err_set(err, r, pointer, "there is no model \"%.60s\"", ref);
    if (r == 0)
        r = sql_spread(doc, "summary", err);
    if (r == 0)
        r = check_ready(doc, kind, pointer, err);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}

int model_check_space(const cJSON *model, const struct space *space, const char *pointer,
                      struct err *err) {
    if (strcmp(text_of(model, "space_fingerprint"), space->fingerprint) == 0)
        return 0;
    return err_set(err, ESP_EMISMATCH, pointer,
                   "the model \"%.64s\" was imported for another space (\"%.64s\") than \"%.64s\"",
                   text_of(model, "name"), text_of(model, "space"), space->name);
}

int model_sections_load(struct sql *sql, const char *id, struct err *err,
                        struct latency_sections *ret_sections, cJSON **ret_list) {
    cJSON *list = NULL;
    int r = store_model_sections(sql, id, err, &list);
    if (r == 0)
        r = latency_sections_from_json(list, "", err, ret_sections);
    if (r == 0)
        *ret_list = list;
    else
        cJSON_Delete(list);
    return r;
}

int model_table_load(struct sql *sql, const char *ref, const struct space *space, int resolution,
                     struct err *err, struct latency_table **ret_table) {
    cJSON *model = NULL, *table = NULL;
    int r = model_find(sql, ref, MODEL_LATENCY, "/profile", err, &model);
    if (r == 0)
        r = model_check_space(model, space, "/profile", err);
    if (r == 0)
        r = store_model_section(sql, text_of(model, "id"), resolution, err, &table);
    if (r == 0)
        r = latency_table_from_json(table, "", err, ret_table);
    cJSON_Delete(table);
    cJSON_Delete(model);
    return r;
}

void model_keep_resolutions(const cJSON *model, int *resolutions, int *n) {
    const cJSON *known = cJSON_GetObjectItemCaseSensitive(model, "resolutions"), *item;
    int kept = 0;
    for (int i = 0; i < *n; i++) {
        bool there = false;
        cJSON_ArrayForEach(item, known) there |= cJSON_GetNumberValue(item) == resolutions[i];
        if (there)
            resolutions[kept++] = resolutions[i];
    }
    *n = kept;
}

/* The first unit of the space at that resolution that nothing is known of; "": none. */
static int find_unknown(const struct latency_table *table, const struct space *space,
                        int resolution, struct err *err, char ret[GRAPH_SIGNATURE_MAX]) {
    struct space *narrow = NULL;
    struct unit_list *units = NULL;
    struct latency_estimator *estimator = NULL;
    int r = space_narrow(space, &resolution, 1, err, &narrow);
    if (r == 0)
        r = space_units(narrow, err, &units);
    if (r == 0)
        r = latency_estimator_create(table, err, &estimator);
    ret[0] = '\0';
    for (int i = 0; r == 0 && i < units->n && ret[0] == '\0'; i++)
        if (latency_estimate(estimator, &units->entries[i].graph->units[0]).state ==
            ESTIMATE_MISSING)
            memcpy(ret, units->entries[i].signature, GRAPH_SIGNATURE_MAX);
    latency_estimator_destroy(estimator);
    unit_list_destroy(units);
    space_destroy(narrow);
    return r;
}

int model_check_coverage(const cJSON *model, const struct latency_sections *sections,
                         const struct space *space, const char *pointer, struct err *err) {
    for (int i = 0; i < space->n_resolutions; i++) {
        char unknown[GRAPH_SIGNATURE_MAX];
        int resolution = space->resolutions[i];
        int r = find_unknown(latency_sections_find(sections, resolution), space, resolution, err,
                             unknown);
        if (r == 0 && unknown[0] != '\0')
            r = err_set(err, ESP_EMISSING, pointer,
                        "the latency model \"%.64s\" lacks units of the space at %d pixels that "
                        "cannot be interpolated (%.200s)",
                        text_of(model, "name"), resolution, unknown);
        if (r != 0)
            return r;
    }
    return 0;
}

cJSON *model_predictor_spec(const struct daemon *daemon, const cJSON *model) {
    char path[PATH_SIZE];
    cJSON *spec = cJSON_CreateObject();
    job_spec_model_file(daemon, text_of(model, "id"), path);
    cJSON_AddStringToObject(spec, "model_id", text_of(model, "id"));
    cJSON_AddStringToObject(spec, "path", path);
    cJSON_AddStringToObject(spec, "hash", text_of(model, "hash"));
    cJSON_AddStringToObject(spec, "fingerprint", text_of(model, "space_fingerprint"));
    return spec;
}
