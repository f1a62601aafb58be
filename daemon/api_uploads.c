#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/store_datasets.h"
#include "daemon/store_jobs.h"
#include "daemon/uploads.h"

static int answer_state(struct api_call *call, const char *id, struct err *err) {
    struct upload_state state;
    int r = upload_look(call->daemon->uploads, id, err, &state);
    if (r != 0)
        return r;
    call->answer = cJSON_CreateObject();
    cJSON_AddStringToObject(call->answer, "id", id);
    cJSON_AddNumberToObject(call->answer, "bytes", (double)state.bytes);
    cJSON_AddNumberToObject(call->answer, "files", (double)state.files);
    cJSON_AddNumberToObject(call->answer, "max_bytes", (double)state.max_bytes);
    cJSON_AddNumberToObject(call->answer, "max_files", UPLOAD_FILES_MAX);
    cJSON_AddNumberToObject(call->answer, "piece_bytes", UPLOAD_PIECE_MAX);
    return 0;
}

static int begin(struct api_call *call, struct err *err) {
    static const char *const keys[] = {NULL};
    char id[ID_MAX];
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = upload_begin(call->daemon->uploads, err, id);
    if (r == 0)
        r = answer_state(call, id, err);
    call->status = 201;
    return r;
}

static int look(struct api_call *call, struct err *err) {
    const char *path = api_query(call, "path");
    int64_t bytes = 0;
    int r =
        path == NULL ? 0 : upload_file_bytes(call->daemon->uploads, call->id, path, err, &bytes);
    if (r == 0)
        r = answer_state(call, call->id, err);
    if (r == 0 && path != NULL)
        cJSON_AddNumberToObject(call->answer, "file_bytes", (double)bytes);
    return r;
}

/* What has become a data set stays as it is, and so does what a job takes over, until it ends. */
static int check_free(struct api_call *call, struct err *err) {
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%.900s/uploads/%.60s", call->daemon->data_dir, call->id);
    int r = store_dataset_check_path_free(call->sql, path, err);
    return r != 0 ? r : store_job_check_path_free(call->sql, path, err);
}

static int append(struct api_call *call, struct err *err) {
    const char *path = api_query(call, "path");
    int64_t offset = -1;
    int r = api_query_int(call, "offset", 0, INT64_C(1) << 50, err, &offset);
    if (r == 0 && (path == NULL || offset < 0))
        r = err_set(err, ESP_EINVAL, path == NULL ? "?path" : "?offset",
                    "the parameters path and offset are needed");
    if (r == 0)
        r = check_free(call, err);
    if (r == 0)
        r = upload_append(call->daemon->uploads, call->id, path, offset, call->raw, call->raw_len,
                          err);
    if (r != 0)
        return r;
    call->answer = cJSON_CreateObject();
    cJSON_AddNumberToObject(call->answer, "file_bytes", (double)offset + (double)call->raw_len);
    return 0;
}

static int discard(struct api_call *call, struct err *err) {
    int r = check_free(call, err);
    return r != 0 ? r : upload_remove(call->daemon->uploads, call->id, err);
}

const struct api_route api_uploads[] = {
    {"POST", "/api/v1/uploads", NULL, .write = begin, .needs_room = true},
    {"GET", "/api/v1/uploads/{id}", "path", .read = look},
    {"DELETE", "/api/v1/uploads/{id}", NULL, .scope = API_SCOPE_SUBMIT, .read = discard},
    {"POST", "/api/v1/uploads/{id}/pieces", "path,offset", .flags = WEB_RAW,
     .body_limit = UPLOAD_PIECE_MAX, .read = append},
    {.method = NULL}};
