#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/nearest.h"
#include "base/parameter.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/job_spec.h"
#include "daemon/store_datasets.h"
#include "daemon/store_jobs.h"
#include "daemon/store_supernets.h"
#include "daemon/supernet_request.h"

static int check_supernet(struct api_call *call, struct err *err) {
    struct supernet_draft *draft = NULL;
    int r = supernet_request_make(call->daemon, call->sql, call->body, err, &draft);
    call->state = draft;
    call->state_destroy = supernet_draft_destroy;
    return r;
}

/* Queues the job that trains the supernet, and answers. */
static int start_training(struct api_call *call, const char *id, cJSON *space,
                          const struct supernet_draft *draft, struct err *err) {
    char dir[PATH_SIZE], job[ID_MAX];
    cJSON *spec = cJSON_CreateObject(), *supernet = NULL, *job_doc = NULL;
    job_spec_supernet_dir(call->daemon, id, dir);
    cJSON_AddStringToObject(spec, "supernet_id", id);
    cJSON_AddStringToObject(spec, "supernet_dir", dir);
    cJSON_AddItemToObject(spec, "space", space);
    cJSON_AddItemToObject(spec, "dataset", job_spec_dataset(call->daemon, draft->dataset));
    cJSON_AddItemToObject(spec, "train", cJSON_Duplicate(draft->train, true));
    if (draft->init_spec != NULL) {
        cJSON_AddItemToObject(spec, "init_from", cJSON_Duplicate(draft->init_spec, true));
        cJSON_AddItemToObject(draft->train, "init_from", cJSON_Duplicate(draft->init, true));
    }
    int r = store_job_create(call->tx, "train", id, spec, err, job);
    if (r == 0)
        r = store_supernet_set_job(call->tx, id, job, draft->train, err);
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
    struct supernet_draft *draft = call->state;
    struct supernet_request request = {
        .space = draft->space_name,
        .space_fingerprint = draft->space->fingerprint,
        .document = draft->document,
        .dataset = cJSON_GetStringValue(cJSON_GetObjectItem(draft->dataset, "id")),
        .train = draft->train};
    char id[ID_MAX];
    int r = json_string(call->body, "", "name", 1, API_NAME_MAX, err, &request.name);
    if (r == 0)
        r = store_space_document_put(call->tx, request.space_fingerprint, draft->document, err);
    if (r == 0)
        r = store_supernet_create(call->tx, &request, err, id);
    return r != 0 ? r : start_training(call, id, cJSON_Parse(draft->document), draft, err);
}

static const char *id_of(const cJSON *doc) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(doc, "id"));
}

/* The note of an import stands where a training has its configuration, as raw JSON. */
static bool is_imported(const cJSON *supernet) {
    const cJSON *raw = cJSON_GetObjectItemCaseSensitive(supernet, "train");
    cJSON *train = cJSON_IsRaw(raw) ? cJSON_Parse(raw->valuestring) : NULL;
    bool imported = json_has(train, "imported_from");
    cJSON_Delete(train);
    return imported;
}

static int find_idle(struct api_call *call, struct err *err, cJSON **ret_supernet) {
    cJSON *supernet = NULL;
    int r = store_supernet_get(call->sql, call->id, err, &supernet);
    if (r != 0)
        return r;
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "state"));
    if (strcmp(state, "training") == 0 || strcmp(state, "paused") == 0) {
        cJSON_Delete(supernet);
        return err_set(err, ESP_ECONFLICT, NULL, "the supernet is being trained already");
    }
    if (is_imported(supernet)) {
        cJSON_Delete(supernet);
        return err_set(err, ESP_ECONFLICT, NULL,
                       "an imported supernet stays as it is: train a new one that begins with its "
                       "weights (init_from)");
    }
    *ret_supernet = supernet;
    return 0;
}

static int train_on(struct api_call *call, struct err *err) {
    struct supernet_draft *draft = calloc(1, sizeof(*draft));
    cJSON *supernet = NULL;
    int r = draft != NULL ? json_only(call->body, "", (const char *const[]){"train", NULL}, err)
                          : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r == 0)
        r = find_idle(call, err, &supernet);
    if (r == 0)
        r = store_dataset_get(call->sql,
                              cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "dataset")), err,
                              &draft->dataset);
    if (r == 0)
        r = store_supernet_space(call->sql, id_of(supernet), err, &draft->document);
    if (r == 0)
        r = space_parse(draft->document, strlen(draft->document), err, &draft->space);
    if (r == 0)
        r = job_spec_check_size(draft->dataset, draft->space, err);
    if (r == 0)
        r = supernet_request_train(draft->space, call->body, err, &draft->train);
    if (r == 0)
        r = start_training(call, id_of(supernet), cJSON_Parse(draft->document), draft, err);
    supernet_draft_destroy(draft);
    cJSON_Delete(supernet);
    return r;
}

/* Its training: held until it is resumed; one that was canceled or failed goes on, too. */
static int step_training(struct api_call *call, bool held, struct err *err) {
    cJSON *supernet = NULL, *job_doc = NULL;
    struct job_row job = {.id = ""};
    int r = json_only(call->body, "", (const char *const[]){NULL}, err);
    if (r == 0)
        r = store_supernet_get(call->sql, call->id, err, &supernet);
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "job"));
    if (r == 0 && id != NULL)
        r = store_job_load(call->sql, id, err, &job);
    if (r == 0 && strcmp(job.kind, "train") != 0)
        r = err_set(err, ESP_ECONFLICT, NULL, "the supernet is not being trained");
    if (r == 0)
        r = held ? store_job_hold(call->tx, job.id, true, err)
                 : store_job_resume(call->tx, &job, err);
    cJSON_Delete(supernet);
    supernet = NULL;
    if (r == 0)
        r = store_supernet_get(call->sql, call->id, err, &supernet);
    if (r == 0)
        r = store_job_get(call->sql, job.id, err, &job_doc);
    if (r == 0)
        return api_answer_with_job(call, "supernet", supernet, job_doc);
    cJSON_Delete(supernet);
    return r;
}

static int pause_training(struct api_call *call, struct err *err) {
    return step_training(call, true, err);
}

static int resume_training(struct api_call *call, struct err *err) {
    return step_training(call, false, err);
}

static int get_supernet(struct api_call *call, struct err *err) {
    return store_supernet_get(call->sql, call->id, err, &call->answer);
}

static int list_supernets(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "sn_", err, &page);
    return r != 0 ? r : store_supernet_list(call->sql, &page, err, &call->answer);
}

/* Its folder goes when the janitor comes. */
static int delete_supernet(struct api_call *call, struct err *err) {
    cJSON *supernet = NULL, *users = NULL;
    int r = store_supernet_get(call->sql, call->id, err, &supernet);
    if (r == 0)
        r = store_supernet_delete(call->tx, id_of(supernet), err, &users);
    cJSON_Delete(supernet);
    api_problem_users(call, users, err);
    return r;
}

/* As docs/TRAINING.md lists them; of the parts of the gradient there are as many as stages. */
static const char *const series_names[] = {"loss",
                                           "loss/distillation",
                                           "distillation_gap",
                                           "learning_rate",
                                           "images_per_s",
                                           "top1/largest",
                                           "top1/largest/raw",
                                           "top1/smallest",
                                           "top1/smallest/raw",
                                           "top1/random",
                                           "top1/random/raw",
                                           "gradient_norm",
                                           "gradient_norm/stem",
                                           "gradient_norm/stage_1",
                                           "gradient_norm/head",
                                           NULL};

static bool is_series(const char *name) {
    static const char stage[] = "gradient_norm/stage_";
    for (int i = 0; series_names[i] != NULL; i++)
        if (strcmp(series_names[i], name) == 0)
            return true;
    const char *number = name + sizeof(stage) - 1;
    return strncmp(name, stage, sizeof(stage) - 1) == 0 && *number >= '1' && *number <= '9' &&
           strspn(number, "0123456789") == strlen(number);
}

static int refuse_series(const char *name, struct err *err) {
    char list[320], advice[448];
    nearest_list(series_names, list, sizeof(list));
    nearest_advice(nearest_of(series_names, name), "there are ", list, advice, sizeof(advice));
    return parameter_refuse(err, ESP_EPARSE, "series", ": there is no series \"%.60s\"; %s", name,
                            advice);
}

/* Whether a training may have each of the series, with commas between, that names asks for; NULL:
 * all. */
static int check_series(const char *names, struct err *err) {
    char name[64];
    while (names != NULL) {
        size_t len = strcspn(names, ",");
        snprintf(name, sizeof(name), "%.*s", len < sizeof(name) ? (int)len : 63, names);
        if (!is_series(name))
            return refuse_series(name, err);
        names = names[len] == ',' ? names + len + 1 : NULL;
    }
    return 0;
}

static int get_metrics(struct api_call *call, struct err *err) {
    cJSON *supernet = NULL;
    int64_t after = -1, max_points = 2000;
    int r = check_series(api_query(call, "series"), err);
    if (r == 0)
        r = api_query_int(call, "after", -1, INT64_C(1) << 53, err, &after);
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

/* Training keeps the newest files only, a search its own; the rows stay, for they are the
 * supernet's history. */
static int say_which_are_kept(const struct api_call *call, const char *supernet, struct err *err) {
    char path[CHECKPOINT_PATH_SIZE];
    cJSON *item;
    int r = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(call->answer, "items")) {
        struct stored_checkpoint checkpoint = {.path = ""};
        checkpoint.replaced = cJSON_IsTrue(cJSON_GetObjectItem(item, "replaced"));
        cJSON_DeleteItemFromObject(item, "replaced");
        snprintf(checkpoint.path, sizeof(checkpoint.path), "%s",
                 cJSON_GetStringValue(cJSON_GetObjectItem(item, "path")));
        snprintf(checkpoint.hash, sizeof(checkpoint.hash), "%s",
                 cJSON_GetStringValue(cJSON_GetObjectItem(item, "hash")));
        if (r == 0)
            r = job_spec_checkpoint_file(call->daemon, call->sql, supernet, &checkpoint, err, path);
        cJSON_AddBoolToObject(item, "kept", r == 0 && path[0] != '\0');
    }
    return r;
}

static int list_checkpoints(struct api_call *call, struct err *err) {
    cJSON *supernet = NULL;
    struct sql_page_args page;
    int r = api_page(call, "ck_", err, &page);
    if (r == 0)
        r = store_supernet_get(call->sql, call->id, err, &supernet);
    if (r == 0)
        r = store_checkpoint_list(call->sql, id_of(supernet), &page, err, &call->answer);
    if (r == 0)
        r = say_which_are_kept(call, id_of(supernet), err);
    cJSON_Delete(supernet);
    return r;
}

/* Its file goes when the janitor comes. */
static int delete_checkpoint(struct api_call *call, struct err *err) {
    cJSON *users = NULL;
    int r = store_checkpoint_remove(call->tx, call->id, err, &users);
    api_problem_users(call, users, err);
    return r;
}

const struct api_route api_supernets[] = {
    {"GET", "/api/v1/supernets", "page_size,after", .read = list_supernets},
    {"POST", "/api/v1/supernets", NULL, .read = check_supernet, .write = create_supernet,
     .needs_room = true},
    {"GET", "/api/v1/supernets/{id}", NULL, .read = get_supernet, .by_key = api_by_key},
    {"DELETE", "/api/v1/supernets/{id}", NULL, .write = delete_supernet},
    {"POST", "/api/v1/supernets/{id}/train", NULL, .write = train_on, .needs_room = true},
    {"POST", "/api/v1/supernets/{id}/pause", NULL, .write = pause_training},
    {"POST", "/api/v1/supernets/{id}/resume", NULL, .write = resume_training},
    {"GET", "/api/v1/supernets/{id}/metrics", "series,after,max_points", .read = get_metrics},
    {"GET", "/api/v1/supernets/{id}/checkpoints", "page_size,after", .read = list_checkpoints},
    {"DELETE", "/api/v1/checkpoints/{id}", NULL, .write = delete_checkpoint},
    {.method = NULL}};
