/* Results of other programs, taken over as finished searches. */
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/import_draft.h"
#include "daemon/store_jobs.h"
#include "daemon/store_searches.h"
#include "daemon/store_supernets.h"

static const char *const costs[] = {"macs", "params", "latency_us", NULL};

static int check_results(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"name", "space", "path", "upload", "cost", NULL};
    struct import_draft *draft;
    int r = import_draft_begin(call, keys, err, &draft);
    if (r == 0 && json_has(call->body, "cost"))
        r = json_enum(call->body, "", "cost", costs, err, &draft->choice);
    return r != 0 ? r : import_draft_source(call, err, draft);
}

static void add_objective(cJSON *list, const char *metric, bool maximise) {
    cJSON *objective = cJSON_CreateObject();
    cJSON_AddStringToObject(objective, "metric", metric);
    cJSON_AddStringToObject(objective, "direction", maximise ? "maximise" : "minimise");
    if (strcmp(metric, "latency_us") == 0) /* of whatever machine it was measured on */
        cJSON_AddStringToObject(objective, "profile", "dynast");
    cJSON_AddItemToArray(list, objective);
}

/* As a search that was asked for; how many evaluations it took its job says. */
static cJSON *make_body(const struct import_draft *draft) {
    cJSON *body = cJSON_CreateObject(), *objectives;
    cJSON_AddStringToObject(body, "name", draft->name);
    cJSON_AddStringToObject(body, "space", draft->space_name);
    objectives = cJSON_AddArrayToObject(body, "objectives");
    add_objective(objectives, "top1", true);
    add_objective(objectives, costs[draft->choice], false);
    cJSON_AddStringToObject(body, "strategy", "imported");
    cJSON_AddNullToObject(body, "baseline");
    cJSON_AddStringToObject(body, "accuracy", "imported");
    cJSON_AddStringToObject(body, "imported_from", draft->path);
    return body;
}

static int answer(struct api_call *call, const char *id, const char *job, struct err *err) {
    cJSON *search = NULL, *job_doc = NULL;
    int r = store_search_get(call->sql, id, err, &search);
    if (r == 0)
        r = store_job_get(call->sql, job, err, &job_doc);
    if (r != 0) {
        cJSON_Delete(search);
        return r;
    }
    return api_answer_with_job(call, "search", search, job_doc);
}

static int create_results(struct api_call *call, struct err *err) {
    const struct import_draft *draft = call->state;
    cJSON *body = make_body(draft), *spec = cJSON_CreateObject();
    const struct new_search search = {.name = draft->name,
                                      .space = draft->space_name,
                                      .fingerprint = draft->space->fingerprint,
                                      .body = body};
    char id[ID_MAX], job[ID_MAX];
    int r = store_space_document_put(call->tx, search.fingerprint, draft->document, err);
    if (r == 0)
        r = store_search_create(call->tx, &search, err, id);
    if (r == 0) {
        cJSON_AddStringToObject(spec, "search_id", id);
        cJSON_AddStringToObject(spec, "path", draft->path);
        cJSON_AddItemToObject(spec, "space", cJSON_Parse(draft->document));
        cJSON_AddItemToObject(spec, "search", cJSON_Duplicate(body, true));
        r = store_job_create(call->tx, "results", id, spec, err, job);
    }
    if (r == 0)
        r = store_search_set_job(call->tx, id, job, err);
    if (r == 0)
        r = answer(call, id, job, err);
    cJSON_Delete(body);
    cJSON_Delete(spec);
    return r;
}

const struct api_route api_results[] = {{"POST", "/api/v1/results", NULL, .read = check_results,
                                         .write = create_results, .needs_room = true},
                                        {.method = NULL}};
