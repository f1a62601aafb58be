/* Latency models and accuracy predictors of other programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/job_spec.h"
#include "daemon/spaces.h"
#include "daemon/store_jobs.h"
#include "daemon/store_models.h"
#include "daemon/store_supernets.h"
#include "daemon/uploads.h"

static const char *const kinds[] = {"latency", "accuracy", NULL};

/* What the read finds out for the write. */
struct draft {
    struct space *space;
    char *document, *path;
    const char *name, *space_name; /* borrowed from the body */
    int kind;
};

static void draft_destroy(void *state) {
    struct draft *draft = state;
    if (draft == NULL)
        return;
    space_destroy(draft->space);
    free(draft->document);
    free(draft->path);
    free(draft);
}

int api_source_path(struct api_call *call, struct err *err, char **ret_path) {
    const char *upload = NULL, *path;
    char uploaded[PATH_SIZE];
    int r = json_string_opt(call->body, "", "upload", 1, ID_MAX, err, &upload);
    if (r != 0)
        return r;
    if (upload == NULL) {
        r = json_string(call->body, "", "path", 1, PATH_SIZE - 1, err, &path);
        return r != 0 ? r : api_data_path(call->daemon, path, err, ret_path);
    }
    if (json_has(call->body, "path"))
        return err_set(err, ESP_EINVAL, "/path", "give either path or upload");
    r = upload_path(call->daemon->uploads, upload, err, uploaded);
    if (r != 0 && err != NULL)
        snprintf(err->pointer, sizeof(err->pointer), "/upload");
    if (r == 0 && (*ret_path = mem_strdup(uploaded)) == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return r;
}

static int find_space(const struct api_call *call, struct err *err, struct draft *draft) {
    int r = json_string(call->body, "", "space", 1, 63, err, &draft->space_name);
    if (r == 0)
        r = spaces_load(call->sql, draft->space_name, err, &draft->space, NULL);
    if (r == ESP_ENOTFOUND)
        err_set(err, r, "/space", "there is no space \"%.60s\"", draft->space_name);
    if (r == 0 && (draft->document = space_print(draft->space)) == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return r;
}

static int check_model(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"name", "kind", "space", "path", "upload", NULL};
    struct draft *draft = mem_array(1, sizeof(*draft));
    call->state = draft;
    call->state_destroy = draft_destroy;
    if (draft == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = api_name(call->body, err, &draft->name);
    if (r == 0)
        r = json_enum(call->body, "", "kind", kinds, err, &draft->kind);
    if (r == 0)
        r = find_space(call, err, draft);
    return r != 0 ? r : api_source_path(call, err, &draft->path);
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

static cJSON *make_spec(const struct api_call *call, const struct draft *draft, const char *id) {
    char file[PATH_SIZE];
    cJSON *spec = cJSON_CreateObject();
    cJSON_AddStringToObject(spec, "model_id", id);
    cJSON_AddStringToObject(spec, "path", draft->path);
    cJSON_AddStringToObject(spec, "kind", kinds[draft->kind]);
    cJSON_AddItemToObject(spec, "space", cJSON_Parse(draft->document));
    job_spec_model_file(call->daemon, id, file);
    if (draft->kind == 1)
        cJSON_AddStringToObject(spec, "file", file);
    return spec;
}

static int create_model(struct api_call *call, struct err *err) {
    const struct draft *draft = call->state;
    struct model_request request = {.name = draft->name,
                                    .kind = kinds[draft->kind],
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
        r = err_set(err, ESP_EINVAL, NULL, "the parameter resolution is needed");
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
    {"POST", "/api/v1/models", NULL, .read = check_model, .write = create_model},
    {"GET", "/api/v1/models/{id}", NULL, .read = get_model},
    {"DELETE", "/api/v1/models/{id}", NULL, .write = delete_model},
    {"GET", "/api/v1/models/{id}/entries", "resolution", .read = get_entries},
    {.method = NULL}};
