#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/import_draft.h"
#include "daemon/job_spec.h"
#include "daemon/store_datasets.h"
#include "daemon/store_jobs.h"
#include "daemon/store_supernets.h"

static int find_dataset(const struct api_call *call, struct err *err, struct import_draft *draft) {
    const char *ref = NULL;
    int r = json_string_opt(call->body, "", "dataset", 1, 200, err, &ref);
    if (r != 0 || ref == NULL)
        return r;
    r = store_dataset_get(call->sql, ref, err, &draft->dataset);
    return r == ESP_ENOTFOUND ? err_set(err, r, "/dataset", "there is no data set \"%.60s\"", ref)
                              : r;
}

static int check_import(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"name", "space", "path", "dataset", NULL};
    struct import_draft *draft;
    int r = import_draft_begin(call, keys, err, &draft);
    if (r == 0)
        r = find_dataset(call, err, draft);
    return r != 0 ? r : import_draft_source(call, err, draft);
}

/* Queues the job that reads the file, and answers. */
static int start_import(struct api_call *call, const char *id, const cJSON *note, struct err *err) {
    const struct import_draft *draft = call->state;
    char dir[PATH_SIZE], job[ID_MAX];
    cJSON *spec = cJSON_CreateObject(), *supernet = NULL, *job_doc = NULL;
    job_spec_supernet_dir(call->daemon, id, dir);
    cJSON_AddStringToObject(spec, "supernet_id", id);
    cJSON_AddStringToObject(spec, "supernet_dir", dir);
    cJSON_AddStringToObject(spec, "path", draft->path);
    cJSON_AddItemToObject(spec, "space", cJSON_Parse(draft->document));
    int r = store_job_create(call->tx, "import", id, spec, err, job);
    if (r == 0)
        r = store_supernet_set_job(call->tx, id, job, note, err);
    if (r == 0)
        r = store_supernet_follow_import(call->tx, id, JOB_QUEUED, err);
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

static int create_import(struct api_call *call, struct err *err) {
    const struct import_draft *draft = call->state;
    char id[ID_MAX];
    cJSON *note = cJSON_CreateObject();
    struct supernet_request request = {
        .name = draft->name,
        .space = draft->space_name,
        .space_fingerprint = draft->space->fingerprint,
        .document = draft->document,
        .dataset = cJSON_GetStringValue(cJSON_GetObjectItem(draft->dataset, "id")),
        .train = note,
        .state = "importing"};
    cJSON_AddStringToObject(note, "imported_from", draft->path);
    int r = store_space_document_put(call->tx, request.space_fingerprint, draft->document, err);
    if (r == 0)
        r = store_supernet_create(call->tx, &request, err, id);
    if (r == 0)
        r = start_import(call, id, note, err);
    cJSON_Delete(note);
    return r;
}

const struct api_route api_imports[] = {{"POST", "/api/v1/imports", NULL, .read = check_import,
                                         .write = create_import, .needs_room = true},
                                        {.method = NULL}};
