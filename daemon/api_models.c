/* Latency models and accuracy predictors of other programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/parameter.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/import_draft.h"
#include "daemon/job_spec.h"
#include "daemon/store_jobs.h"
#include "daemon/store_models.h"
#include "daemon/store_supernets.h"

static const char *const kinds[] = {"latency", "accuracy", NULL};

/* Of a predictor that does not name its own. How many they are, the job checks. */
static int check_resolutions(const cJSON *body, int kind, struct err *err) {
    const cJSON *list = NULL, *item;
    if (!json_has(body, "resolutions"))
        return 0;
    if (kind != 1)
        return err_set(err, ESP_EINVAL, "/resolutions",
                       "latency tables name their resolutions themselves");
    int r = json_array(body, "", "resolutions", 1, SPACE_RESOLUTIONS_MAX, err, &list);
    cJSON_ArrayForEach(item, list) {
        double value = cJSON_GetNumberValue(item);
        if (r == 0 && !(value >= 1 && value <= SPACE_INPUT_MAX && value == (int)value))
            r = err_set(err, ESP_EINVAL, "/resolutions",
                        "a resolution is a whole number of pixels from 1 to %d", SPACE_INPUT_MAX);
    }
    return r;
}

static int check_model(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"name",   "kind",        "space", "path",
                                       "upload", "resolutions", NULL};
    struct import_draft *draft;
    int r = import_draft_begin(call, keys, err, &draft);
    if (r == 0)
        r = json_enum(call->body, "", "kind", kinds, err, &draft->choice);
    if (r == 0)
        r = check_resolutions(call->body, draft->choice, err);
    return r != 0 ? r : import_draft_source(call, err, draft);
}

static int answer(struct api_call *call, const char *id, const char *job, struct err *err) {
    cJSON *model = NULL, *job_doc = NULL;
    int r = store_model_get(call->sql, id, err, &model);
    if (r == 0)
        r = store_job_get(call->sql, job, err, &job_doc);
    if (r != 0) {
        cJSON_Delete(model);
        return r;
    }
    return api_answer_with_job(call, "model", model, job_doc);
}

static cJSON *make_spec(const struct api_call *call, const struct import_draft *draft,
                        const char *id) {
    char file[PATH_SIZE];
    cJSON *spec = cJSON_CreateObject();
    cJSON_AddStringToObject(spec, "model_id", id);
    cJSON_AddStringToObject(spec, "path", draft->path);
    cJSON_AddStringToObject(spec, "kind", kinds[draft->choice]);
    cJSON_AddItemToObject(spec, "space", cJSON_Parse(draft->document));
    job_spec_model_file(call->daemon, id, file);
    if (draft->choice == 1)
        cJSON_AddStringToObject(spec, "file", file);
    if (json_has(call->body, "resolutions"))
        cJSON_AddItemToObject(spec, "resolutions",
                              cJSON_Duplicate(cJSON_GetObjectItem(call->body, "resolutions"), 1));
    return spec;
}

static int create_model(struct api_call *call, struct err *err) {
    const struct import_draft *draft = call->state;
    struct model_request request = {.name = draft->name,
                                    .kind = kinds[draft->choice],
                                    .space = draft->space_name,
                                    .fingerprint = draft->space->fingerprint,
                                    .source = draft->path};
    char id[ID_MAX], job[ID_MAX];
    int r = store_space_document_put(call->tx, request.fingerprint, draft->document, err);
    if (r == 0)
        r = store_model_create(call->tx, &request, err, id);
    if (r == 0) {
        cJSON *spec = make_spec(call, draft, id);
        r = store_job_create(call->tx, "model", id, spec, err, job);
        cJSON_Delete(spec);
    }
    if (r == 0)
        r = store_model_set_job(call->tx, id, job, err);
    return r != 0 ? r : answer(call, id, job, err);
}

static int get_model(struct api_call *call, struct err *err) {
    return store_model_get(call->sql, call->id, err, &call->answer);
}

static int list_models(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "mo_", err, &page);
    if (r == 0)
        r = api_query_word(call, "kind", kinds, err);
    return r != 0 ? r
                  : store_model_list(call->sql, &page, api_query(call, "kind"), err, &call->answer);
}

static int delete_model(struct api_call *call, struct err *err) {
    cJSON *model = NULL, *users = NULL;
    int r = store_model_get(call->sql, call->id, err, &model);
    if (r == 0)
        r = store_model_delete(call->tx, cJSON_GetStringValue(cJSON_GetObjectItem(model, "id")),
                               err, &users);
    cJSON_Delete(model);
    api_problem_users(call, users, err);
    return r;
}

/* Of a latency model: the table of one resolution. */
static int get_entries(struct api_call *call, struct err *err) {
    cJSON *model = NULL, *table = NULL;
    int64_t resolution = 0;
    int r = api_query_int(call, "resolution", 1, SPACE_INPUT_MAX, err, &resolution);
    if (r == 0)
        r = store_model_get(call->sql, call->id, err, &model);
    if (r == 0 && resolution == 0)
        r = parameter_refuse(err, ESP_EINVAL, "resolution", " is needed");
    if (r == 0)
        r = store_model_section(call->sql, cJSON_GetStringValue(cJSON_GetObjectItem(model, "id")),
                                resolution, err, &table);
    if (r == 0) {
        call->answer = cJSON_CreateObject();
        cJSON_AddNumberToObject(call->answer, "resolution", (double)resolution);
        cJSON_AddItemToObject(call->answer, "items", cJSON_DetachItemFromObject(table, "entries"));
        cJSON_AddNullToObject(call->answer, "next");
    }
    cJSON_Delete(table);
    cJSON_Delete(model);
    return r;
}

const struct api_route api_models[] = {
    {"GET", "/api/v1/models", "page_size,after,kind", .read = list_models},
    {"POST", "/api/v1/models", NULL, .read = check_model, .write = create_model,
     .needs_room = true},
    {"GET", "/api/v1/models/{id}", NULL, .read = get_model},
    {"DELETE", "/api/v1/models/{id}", NULL, .write = delete_model},
    {"GET", "/api/v1/models/{id}/entries", "resolution", .read = get_entries},
    {.method = NULL}};
