#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/search_again.h"
#include "daemon/search_request.h"
#include "daemon/store_jobs.h"
#include "daemon/store_measurements.h"
#include "daemon/store_models.h"
#include "daemon/store_searches.h"
#include "daemon/store_supernets.h"
#include "search/strategy.h"

static void destroy_request(void *state) {
    search_request_destroy(state);
}

static int check_search(struct api_call *call, struct err *err) {
    struct search_request *request = NULL;
    struct search_outlook outlook = {(double)NAN, (double)NAN};
    const char *name;
    int r = api_check_dry_run(call, err);
    if (r == 0)
        r = api_name(call->body, err, &name);
    if (r == 0)
        r = search_request_make(call->daemon, call->sql, call->body, err, &outlook, &request);
    call->state = request;
    call->state_destroy = destroy_request;
    if (r == ESP_EINFEASIBLE && isfinite(outlook.attainable)) {
        call->problem = cJSON_CreateObject();
        cJSON_AddNumberToObject(call->problem, "attainable", outlook.attainable);
    }
    return r;
}

static int answer_search(struct api_call *call, const char *id, const char *job, struct err *err) {
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

static int use_models(struct api_call *call, const struct search_request *request, const char *id,
                      struct err *err) {
    const cJSON *model;
    int r = 0;
    cJSON_ArrayForEach(model, request->models) r =
        r != 0 ? r : store_model_used(call->tx, id, model->valuestring, err);
    return r;
}

/* What would be kept of it, were its name still free, and what is known of it beforehand. */
static int try_search(struct api_call *call, const struct search_request *request,
                      struct err *err) {
    int r = store_search_name_free(call->sql, request->name, err);
    if (r != 0)
        return r;
    cJSON *body = cJSON_Duplicate(request->body, true);
    cJSON *notes = cJSON_DetachItemFromObjectCaseSensitive(body, "notes");
    call->answer = cJSON_CreateObject();
    cJSON_AddItemToObject(call->answer, "request", body);
    cJSON_AddItemToObject(call->answer, "notes", notes != NULL ? notes : cJSON_CreateArray());
    cJSON_AddNumberToObject(call->answer, "limits_share", request->limits_share);
    return 0;
}

static int create_search(struct api_call *call, struct err *err) {
    struct search_request *request = call->state;
    if (api_is_dry(call))
        return try_search(call, request, err);
    char id[ID_MAX], job[ID_MAX];
    bool alone = request->supernet[0] == '\0';
    const struct new_search search = {.name = request->name,
                                      .supernet = alone ? NULL : request->supernet,
                                      .space = alone ? request->space : NULL,
                                      .fingerprint = alone ? request->fingerprint : NULL,
                                      .body = request->body};
    int r = alone ? store_space_document_put(call->tx, request->fingerprint, request->document, err)
                  : 0;
    if (r == 0)
        r = store_search_create(call->tx, &search, err, id);
    if (r == 0)
        r = use_models(call, request, id, err);
    if (r == 0) {
        cJSON_AddStringToObject(request->spec, "search_id", id);
        r = store_job_create(call->tx, "search", id, request->spec, err, job);
    }
    if (r == 0)
        r = store_search_set_job(call->tx, id, job, err);
    return r != 0 ? r : answer_search(call, id, job, err);
}

static const char *text_of(const cJSON *doc, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(doc, key));
}

/* A paused one is let go on by JOB_RETRY, one that ended begins where it was. */
static int step_search(struct api_call *call, enum job_event event, struct err *err) {
    cJSON *search = NULL;
    struct job_row row = {.held = false};
    int r = json_only(call->body, "", (const char *const[]){NULL}, err);
    if (r == 0)
        r = store_search_get(call->sql, call->id, err, &search);
    if (r == 0 && event == JOB_RETRY)
        r = store_job_load(call->sql, text_of(search, "job"), err, &row);
    if (r == 0 && event == JOB_RETRY)
        r = store_job_resume(call->tx, &row, err);
    else if (r == 0)
        r = store_job_apply(call->tx, text_of(search, "job"), event, NULL, err);
    if (r == 0 && event == JOB_CANCEL)
        r = store_measure_requests_drop(call->tx, text_of(search, "job"), err);
    if (r == 0 && event == JOB_RETRY && !row.held)
        r = store_measure_requests_renew(call->tx, text_of(search, "job"), err);
    if (r == 0)
        r = answer_search(call, text_of(search, "id"), text_of(search, "job"), err);
    cJSON_Delete(search);
    return r;
}

/* Held until somebody resumes it; what it waits for is measured meanwhile. */
static int pause_search(struct api_call *call, struct err *err) {
    cJSON *search = NULL;
    int r = json_only(call->body, "", (const char *const[]){NULL}, err);
    if (r == 0)
        r = store_search_get(call->sql, call->id, err, &search);
    if (r == 0)
        r = store_job_hold(call->tx, text_of(search, "job"), true, err);
    if (r == 0)
        r = answer_search(call, text_of(search, "id"), text_of(search, "job"), err);
    cJSON_Delete(search);
    return r;
}

static int cancel_search(struct api_call *call, struct err *err) {
    return step_search(call, JOB_CANCEL, err);
}

static int resume_search(struct api_call *call, struct err *err) {
    return step_search(call, JOB_RETRY, err);
}

static void destroy_extension(void *state) {
    search_extension_destroy(state);
}

static int check_extension(struct api_call *call, struct err *err) {
    struct search_extension *extension = NULL;
    int r = search_extension_make(call->daemon, call->sql, call->id, call->body, err, &extension);
    call->state = extension;
    call->state_destroy = destroy_extension;
    return r;
}

static int extend_search(struct api_call *call, struct err *err) {
    const struct search_extension *extension = call->state;
    char job[ID_MAX];
    int r = store_search_extend(call->tx, extension, err, job);
    return r != 0 ? r : answer_search(call, extension->search, job, err);
}

/* From here on it is a search that was asked for with all that the earlier one has. */
static int check_clone(struct api_call *call, struct err *err) {
    cJSON *body = NULL;
    int r = search_clone_body(call->sql, call->id, call->body, err, &body);
    if (r != 0)
        return r;
    cJSON_Delete(call->body);
    call->body = body;
    return check_search(call, err);
}

static int get_search(struct api_call *call, struct err *err) {
    return store_search_get(call->sql, call->id, err, &call->answer);
}

/* The body by which it was begun: that of a clone without changes. */
static int get_request(struct api_call *call, struct err *err) {
    return search_repeat_body(call->sql, call->id, err, &call->answer);
}

static int list_searches(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "se_", err, &page);
    return r != 0 ? r : store_search_list(call->sql, &page, err, &call->answer);
}

static int delete_search(struct api_call *call, struct err *err) {
    cJSON *search = NULL, *users = NULL;
    int r = store_search_get(call->sql, call->id, err, &search);
    if (r == 0)
        r = store_search_delete(call->tx, text_of(search, "id"), err, &users);
    cJSON_Delete(search);
    api_problem_users(call, users, err);
    return r;
}

static void add_option(cJSON *options, const struct strategy_option *row) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "name", row->name);
    cJSON_AddStringToObject(item, "kind", strategy_option_kind_names[row->kind]);
    cJSON_AddNumberToObject(item, "default", row->fallback);
    cJSON_AddNumberToObject(item, "min", row->min);
    cJSON_AddNumberToObject(item, "max", row->max);
    cJSON_AddStringToObject(item, "help", row->help);
    cJSON_AddItemToArray(options, item);
}

static int list_strategies(struct api_call *call, struct err *err) {
    cJSON *doc = cJSON_CreateObject(), *items = cJSON_AddArrayToObject(doc, "items");
    for (int i = 0; strategy_types[i] != NULL; i++) {
        cJSON *item = cJSON_CreateObject();
        const struct strategy_option *rows = strategy_types[i]->options;
        cJSON_AddStringToObject(item, "name", strategy_types[i]->name);
        cJSON_AddStringToObject(item, "help", strategy_types[i]->help);
        cJSON_AddStringToObject(item, "when", strategy_types[i]->when);
        cJSON *options = cJSON_AddArrayToObject(item, "options");
        for (int k = 0; rows != NULL && rows[k].name != NULL; k++)
            add_option(options, &rows[k]);
        cJSON_AddItemToArray(items, item);
    }
    cJSON_AddNullToObject(doc, "next");
    call->answer = doc;
    return 0;
}

const struct api_route api_searches[] = {
    {"GET", "/api/v1/searches", "page_size,after", .read = list_searches},
    {"POST", "/api/v1/searches", "dry_run", .read = check_search, .write = create_search,
     .needs_room = true},
    {"GET", "/api/v1/searches/{id}", NULL, .read = get_search},
    {"DELETE", "/api/v1/searches/{id}", NULL, .write = delete_search},
    {"GET", "/api/v1/searches/{id}/request", NULL, .read = get_request},
    {"POST", "/api/v1/searches/{id}/cancel", NULL, .write = cancel_search},
    {"POST", "/api/v1/searches/{id}/pause", NULL, .write = pause_search},
    {"POST", "/api/v1/searches/{id}/resume", NULL, .write = resume_search},
    {"POST", "/api/v1/searches/{id}/extend", NULL, .read = check_extension, .write = extend_search,
     .needs_room = true},
    {"POST", "/api/v1/searches/{id}/clone", NULL, .read = check_clone, .write = create_search,
     .needs_room = true},
    {"GET", "/api/v1/strategies", NULL, .read = list_strategies},
    {.method = NULL}};
