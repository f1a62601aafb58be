#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/job_spec.h"
#include "daemon/spaces.h"
#include "daemon/store_datasets.h"
#include "daemon/store_jobs.h"
#include "daemon/store_supernets.h"
#include "supernet/train_config.h"

/* *ret_train: the whole configuration, defaults filled in. */
static int check_train(const cJSON *body, struct err *err, cJSON **ret_train) {
    struct train_config config;
    const cJSON *train;
    int r = json_object(body, "", "train", err, &train);
    if (r == 0)
        r = train_config_parse(train, "/train", err, &config);
    if (r != 0)
        return r;
    *ret_train = train_config_print(&config);
    return *ret_train != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

static int find_dataset(struct sql *sql, const cJSON *body, struct err *err, cJSON **ret_dataset) {
    const char *ref;
    cJSON *dataset = NULL;
    int r = json_string(body, "", "dataset", 1, 200, err, &ref);
    if (r == 0)
        r = store_dataset_get(sql, ref, err, &dataset);
    if (r == ESP_ENOTFOUND)
        err_set(err, r, "/dataset", "there is no data set \"%.60s\"", ref);
    if (r != 0)
        return r;
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItem(dataset, "state"));
    if (strcmp(state, "ready") != 0) {
        r = err_set(err, ESP_ECONFLICT, "/dataset", "the data set is not ready but %s", state);
        cJSON_Delete(dataset);
        return r;
    }
    *ret_dataset = dataset;
    return 0;
}

static int number_of(const cJSON *doc, const char *key) {
    return (int)cJSON_GetNumberValue(cJSON_GetObjectItem(doc, key));
}

/* The named space with the data set's classes and channels. */
static int adapt_space(struct sql *sql, const cJSON *body, const cJSON *dataset, struct err *err,
                       struct space **ret_space) {
    struct space *space = NULL;
    const char *name;
    int r = json_string(body, "", "space", 1, 64, err, &name);
    if (r == 0)
        r = spaces_load(sql, name, err, &space, NULL);
    if (r == ESP_ENOTFOUND)
        err_set(err, r, "/space", "there is no space \"%.60s\"", name);
    if (r == 0)
        r = space_adapt(space, number_of(dataset, "n_classes"), number_of(dataset, "channels"), err,
                        ret_space);
    space_destroy(space);
    return r;
}

struct draft {
    struct space *space;
    char *document;
    cJSON *dataset, *train;
};

static void draft_destroy(void *state) {
    struct draft *draft = state;
    if (draft == NULL)
        return;
    space_destroy(draft->space);
    free(draft->document);
    cJSON_Delete(draft->dataset);
    cJSON_Delete(draft->train);
    free(draft);
}

static int check_supernet(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"name", "space", "dataset", "train", NULL};
    struct draft *draft = calloc(1, sizeof(*draft));
    const char *name;
    call->state = draft;
    call->state_destroy = draft_destroy;
    if (draft == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = api_name(call->body, err, &name);
    if (r == 0)
        r = find_dataset(call->sql, call->body, err, &draft->dataset);
    if (r == 0)
        r = adapt_space(call->sql, call->body, draft->dataset, err, &draft->space);
    if (r == 0)
        r = check_train(call->body, err, &draft->train);
    if (r == 0 && (draft->document = space_print(draft->space)) == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return r;
}

/* Queues the job that trains the supernet, and answers. */
static int start_training(struct api_call *call, const char *id, cJSON *space, const cJSON *dataset,
                          cJSON *train, struct err *err) {
    char dir[PATH_SIZE], job[ID_MAX];
    cJSON *spec = cJSON_CreateObject(), *supernet = NULL, *job_doc = NULL;
    job_spec_supernet_dir(call->daemon, id, dir);
    cJSON_AddStringToObject(spec, "supernet_id", id);
    cJSON_AddStringToObject(spec, "supernet_dir", dir);
    cJSON_AddItemToObject(spec, "space", space);
    cJSON_AddItemToObject(spec, "dataset", store_dataset_spec(dataset));
    cJSON_AddItemToObject(spec, "train", cJSON_Duplicate(train, true));
    int r = store_job_create(call->tx, "train", id, spec, err, job);
    if (r == 0)
        r = store_supernet_set_job(call->tx, id, job, train, err);
    if (r == 0)
        r = store_supernet_get(call->sql, id, err, &supernet);
    if (r == 0)
        r = store_job_get(call->sql, job, err, &job_doc);
    cJSON_Delete(spec);
    if (r != 0) {
        cJSON_Delete(supernet);
        return r;
    }
    return api_answer_with_job(call, "supernet", supernet, job_doc);
}

static int create_supernet(struct api_call *call, struct err *err) {
    struct draft *draft = call->state;
    struct supernet_request request = {
        .space_fingerprint = draft->space->fingerprint,
        .dataset = cJSON_GetStringValue(cJSON_GetObjectItem(draft->dataset, "id")),
        .train = draft->train};
    char id[ID_MAX];
    int r = json_string(call->body, "", "name", 1, API_NAME_MAX, err, &request.name);
    if (r == 0)
        r = json_string(call->body, "", "space", 1, 64, err, &request.space);
    if (r == 0)
        r = store_space_document_put(call->tx, request.space_fingerprint, draft->document, err);
    if (r == 0)
        r = store_supernet_create(call->tx, &request, err, id);
    return r != 0 ? r
                  : start_training(call, id, cJSON_Parse(draft->document), draft->dataset,
                                   draft->train, err);
}

static const char *id_of(const cJSON *doc) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(doc, "id"));
}

static int train_on(struct api_call *call, struct err *err) {
    cJSON *supernet = NULL, *dataset = NULL, *train = NULL;
    char *document = NULL;
    int r = json_only(call->body, "", (const char *const[]){"train", NULL}, err);
    if (r == 0)
        r = check_train(call->body, err, &train);
    if (r == 0)
        r = store_supernet_get(call->sql, call->id, err, &supernet);
    if (r == 0 &&
        strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "state")), "training") == 0)
        r = err_set(err, ESP_ECONFLICT, NULL, "the supernet is being trained already");
    if (r == 0)
        r = store_dataset_get(call->sql,
                              cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "dataset")), err,
                              &dataset);
    if (r == 0)
        r = store_supernet_space(call->sql, id_of(supernet), err, &document);
    if (r == 0)
        r = start_training(call, id_of(supernet), cJSON_Parse(document), dataset, train, err);
    free(document);
    cJSON_Delete(supernet);
    cJSON_Delete(dataset);
    cJSON_Delete(train);
    return r;
}

static int get_supernet(struct api_call *call, struct err *err) {
    return store_supernet_get(call->sql, call->id, err, &call->answer);
}

static int list_supernets(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, err, &page);
    return r != 0 ? r : store_supernet_list(call->sql, &page, err, &call->answer);
}

/* Its folder goes when the janitor comes. */
static int delete_supernet(struct api_call *call, struct err *err) {
    cJSON *supernet = NULL, *users = NULL;
    int r = store_supernet_get(call->sql, call->id, err, &supernet);
    if (r == 0)
        r = store_supernet_delete(call->tx, id_of(supernet), err, &users);
    cJSON_Delete(supernet);
    api_problem_users(call, users);
    return r;
}

static int get_metrics(struct api_call *call, struct err *err) {
    cJSON *supernet = NULL;
    int64_t after = -1, max_points = 2000;
    int r = api_query_int(call, "after", -1, INT64_C(1) << 53, err, &after);
    if (r == 0)
        r = api_query_int(call, "max_points", 2, 100000, err, &max_points);
    if (r == 0)
        r = store_supernet_get(call->sql, call->id, err, &supernet);
    if (r == 0)
        r = store_metrics(call->sql, id_of(supernet), api_query(call, "series"), after, max_points,
                          err, &call->answer);
    cJSON_Delete(supernet);
    return r;
}

/* Training keeps the newest files only; the rows stay, for they are the supernet's history. */
static void say_which_are_kept(const struct api_call *call, const char *supernet) {
    char dir[PATH_SIZE], path[PATH_SIZE + 512];
    cJSON *item;
    job_spec_supernet_dir(call->daemon, supernet, dir);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(call->answer, "items")) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "path"));
        snprintf(path, sizeof(path), "%s/%s", dir, name != NULL ? name : "");
        cJSON_AddBoolToObject(item, "kept", name != NULL && file_exists(path));
    }
}

static int list_checkpoints(struct api_call *call, struct err *err) {
    cJSON *supernet = NULL;
    struct sql_page_args page;
    int r = api_page(call, err, &page);
    if (r == 0)
        r = store_supernet_get(call->sql, call->id, err, &supernet);
    if (r == 0)
        r = store_checkpoint_list(call->sql, id_of(supernet), &page, err, &call->answer);
    if (r == 0)
        say_which_are_kept(call, id_of(supernet));
    cJSON_Delete(supernet);
    return r;
}

const struct api_route api_supernets[] = {
    {"GET", "/api/v1/supernets", "page_size,after", .read = list_supernets},
    {"POST", "/api/v1/supernets", NULL, .read = check_supernet, .write = create_supernet},
    {"GET", "/api/v1/supernets/{id}", NULL, .read = get_supernet},
    {"DELETE", "/api/v1/supernets/{id}", NULL, .write = delete_supernet},
    {"POST", "/api/v1/supernets/{id}/train", NULL, .write = train_on},
    {"GET", "/api/v1/supernets/{id}/metrics", "series,after,max_points", .read = get_metrics},
    {"GET", "/api/v1/supernets/{id}/checkpoints", "page_size,after", .read = list_checkpoints},
    {.method = NULL}};
