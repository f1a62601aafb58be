#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/job_spec.h"
#include "daemon/store_datasets.h"
#include "daemon/store_jobs.h"
#include "daemon/uploads.h"

static const char *const formats[] = {"idx", "cifar10", "cifar100", "folder", NULL};

static bool below(const char *path, const char *root) {
    size_t len = strlen(root);
    return strncmp(path, root, len) == 0 &&
           (path[len] == '\0' || path[len] == '/' || strcmp(root, "/") == 0);
}

int api_data_path(const struct daemon *daemon, const char *path, struct err *err, char **ret_path) {
    if (path[0] != '/')
        return err_set(err, ESP_EINVAL, "/path", "the path must be absolute");
    char *resolved = realpath(path, NULL);
    for (int i = 0; i < daemon->n_data_roots; i++) {
        if (resolved != NULL && below(resolved, daemon->data_roots[i])) {
            *ret_path = resolved;
            return 0;
        }
        if (resolved == NULL && below(path, daemon->data_roots[i]) && strstr(path, "..") == NULL)
            return err_set(err, ESP_ENOTFOUND, "/path", "there is no file or folder %.200s", path);
    }
    free(resolved);
    return err_set(
        err, ESP_EFORBIDDEN, "/path",
        "the path does not lie below a folder for data sets (see espalierd --data-root)");
}

static int resolve_upload(struct api_call *call, struct err *err, char **ret_path) {
    char path[PATH_SIZE];
    const char *upload;
    int r = json_string(call->body, "", "upload", 1, ID_MAX, err, &upload);
    if (r != 0)
        return r;
    if (json_has(call->body, "path"))
        return err_set(err, ESP_EINVAL, "/path", "give either path or upload");
    r = upload_path(call->daemon->uploads, upload, err, path);
    if (r != 0)
        snprintf(err->pointer, sizeof(err->pointer), "/upload");
    else if ((*ret_path = mem_strdup(path)) == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return r;
}

/* Touches the disk, so it runs before the write. */
static int check_path(struct api_call *call, struct err *err) {
    const char *path;
    char *resolved = NULL;
    int r;
    if (json_has(call->body, "upload"))
        r = resolve_upload(call, err, &resolved);
    else if ((r = json_string(call->body, "", "path", 1, PATH_SIZE - 1, err, &path)) == 0)
        r = api_data_path(call->daemon, path, err, &resolved);
    call->state = resolved;
    call->state_destroy = free;
    return r;
}

static int create_dataset(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"name",       "path", "upload",      "format", "validation",
                                       "split_seed", "side", "max_skipped", NULL};
    struct dataset_request request = {
        .path = call->state, .validation = -1, .split_seed = 1, .max_skipped = 0.05};
    char id[ID_MAX], job[ID_MAX];
    int format = -1;
    cJSON *dataset = NULL, *job_doc = NULL;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = api_name(call->body, err, &request.name);
    if (r == 0 && json_has(call->body, "format"))
        r = json_enum(call->body, "", "format", formats, err, &format);
    if (r == 0)
        r = json_int_opt(call->body, "", "validation", 0, 10000000, err, &request.validation);
    if (r == 0)
        r = json_int_opt(call->body, "", "split_seed", 0, INT64_C(1) << 53, err,
                         &request.split_seed);
    if (r == 0)
        r = json_int_opt(call->body, "", "side", 1, 1024, err, &request.side);
    if (r == 0)
        r = json_real_opt(call->body, "", "max_skipped", 0, 1, err, &request.max_skipped);
    request.format = format >= 0 ? formats[format] : NULL;
    if (r == 0 && json_has(call->body, "upload"))
        r = store_dataset_check_path_free(call->sql, request.path, err);
    if (r == 0)
        r = store_dataset_create(call->tx, &request, err, id);
    if (r == 0)
        r = store_dataset_get(call->sql, id, err, &dataset);
    if (r == 0) {
        cJSON *spec = cJSON_CreateObject();
        cJSON_AddItemToObject(spec, "dataset", job_spec_dataset(call->daemon, dataset));
        r = store_job_create(call->tx, "dataset", id, spec, err, job);
        cJSON_Delete(spec);
    }
    if (r == 0)
        r = store_job_get(call->sql, job, err, &job_doc);
    if (r != 0) {
        cJSON_Delete(dataset);
        return r;
    }
    return api_answer_with_job(call, "dataset", dataset, job_doc);
}

static int get_dataset(struct api_call *call, struct err *err) {
    return store_dataset_get(call->sql, call->id, err, &call->answer);
}

static int list_datasets(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "ds_", err, &page);
    return r != 0 ? r : store_dataset_list(call->sql, &page, err, &call->answer);
}

static int delete_dataset(struct api_call *call, struct err *err) {
    cJSON *dataset = NULL, *users = NULL;
    int r = store_dataset_get(call->sql, call->id, err, &dataset);
    if (r == 0)
        r = store_dataset_delete(call->tx, cJSON_GetStringValue(cJSON_GetObjectItem(dataset, "id")),
                                 err, &users);
    cJSON_Delete(dataset);
    api_problem_users(call, users, err);
    return r;
}

const struct api_route api_datasets[] = {
    {"GET", "/api/v1/datasets", "page_size,after", .read = list_datasets},
    {"POST", "/api/v1/datasets", NULL, .read = check_path, .write = create_dataset,
     .needs_room = true},
    {"GET", "/api/v1/datasets/{id}", NULL, .read = get_dataset},
    {"DELETE", "/api/v1/datasets/{id}", NULL, .write = delete_dataset},
    {.method = NULL}};
