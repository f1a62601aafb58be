#include "daemon/search_again.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/job_files.h"
#include "daemon/search_defaults.h"
#include "daemon/search_request.h"
#include "search/loop.h"

static int refuse_results(const struct stored_search *search, const char *what, struct err *err) {
    if (!search->taken_over)
        return 0;
    return err_set(err, ESP_ECONFLICT, NULL,
                   "results that were taken over cannot be %s: a search can begin with them "
                   "(warm_start)",
                   what);
}

/* --- more evaluations --- */

static int read_patience(const struct stored_search *search, const cJSON *asked, struct err *err,
                         cJSON *body) {
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(asked, "patience");
    int64_t before = 0, patience = 0;
    int r = json_int_opt(search->body, "", "patience", 0, SEARCH_EVALUATIONS_MAX, NULL, &before);
    if (r == 0 && given != NULL && !cJSON_IsNull(given))
        r = json_int(asked, "", "patience", 1, SEARCH_EVALUATIONS_MAX, err, &patience);
    if (r != 0)
        return r;
    if (given != NULL)
        cJSON_DeleteItemFromObjectCaseSensitive(body, "patience");
    if (patience > 0)
        cJSON_AddNumberToObject(body, "patience", (double)patience);
    if (patience > 0 && (r = search_check_patience(body, err)) != 0)
        return r;
    if (search->stagnated && (given == NULL || (patience > 0 && patience <= before)))
        return err_set(err, ESP_ECONFLICT, "/patience",
                       "the search ended because its front had not grown for %lld evaluations: it "
                       "goes on with more patience, or with null",
                       (long long)before);
    return 0;
}

static int read_evaluations(const struct stored_search *search, const cJSON *asked, struct err *err,
                            cJSON *body) {
    int64_t evaluations;
    int r = json_int(asked, "", "evaluations", 1, SEARCH_EVALUATIONS_MAX, err, &evaluations);
    if (r == 0 && evaluations <= search->evaluations)
        r = err_set(err, ESP_EINVAL, "/evaluations",
                    "the search has had %lld evaluations: name how many it is to have in all, more "
                    "than these",
                    (long long)search->evaluations);
    if (r != 0)
        return r;
    if (search->evaluations < search->budget && !search->stagnated)
        return err_set(err, ESP_ECONFLICT, "/evaluations",
                       "the search has had every subnet that its strategy finds: %lld",
                       (long long)search->evaluations);
    cJSON_DeleteItemFromObjectCaseSensitive(body, "evaluations");
    cJSON_DeleteItemFromObjectCaseSensitive(body, "time_budget_s");
    cJSON_AddNumberToObject(body, "evaluations", (double)evaluations);
    return 0;
}

static int check_state(const struct stored_search *search, struct err *err) {
    int r = refuse_results(search, "extended", err);
    if (r == 0 && strcmp(search->state, "done") != 0)
        r = err_set(err, ESP_ECONFLICT, NULL,
                    "the search is %s: one that is done can be extended, one that was cancelled or "
                    "failed resumed",
                    search->state);
    return r;
}

/* What it began with is in its job's folder. */
static int find_folder(const struct daemon *daemon, const struct stored_search *search,
                       struct err *err, char ret_dir[PATH_SIZE]) {
    char path[PATH_SIZE + 64];
    snprintf(ret_dir, PATH_SIZE, "%.900s/jobs/%.60s", daemon->data_dir, search->job);
    snprintf(path, sizeof(path), "%s/" JOB_SEARCH_SPEC, ret_dir);
    if (file_exists(path))
        return 0;
    return err_set(err, ESP_EGONE, NULL,
                   "what the search began with is not kept any more: clone it instead");
}

static cJSON *make_spec(const struct stored_search *search, const char *dir, const cJSON *body) {
    cJSON *spec = cJSON_CreateObject();
    cJSON_AddStringToObject(spec, "search_id", search->id);
    cJSON_AddStringToObject(spec, "continues", dir);
    cJSON_AddItemToObject(spec, "search", cJSON_Duplicate(body, true));
    cJSON *versions = cJSON_AddObjectToObject(spec, "versions");
    cJSON_AddNumberToObject(versions, "front", (double)search->front_version);
    cJSON_AddItemToObject(versions, "calibrations",
                          cJSON_Duplicate(search->calibration_versions, true));
    return spec;
}

static int fill(const struct daemon *daemon, const struct stored_search *search, const cJSON *asked,
                struct err *err, struct search_extension *extension) {
    char dir[PATH_SIZE];
    int64_t population = 1, rounds = 1;
    int r = check_state(search, err);
    extension->body = cJSON_Duplicate(search->body, true);
    if (r == 0)
        r = read_evaluations(search, asked, err, extension->body);
    if (r == 0)
        r = read_patience(search, asked, err, extension->body);
    if (r == 0)
        r = find_folder(daemon, search, err, dir);
    if (r == 0)
        r = json_int(search->body, "", "population", 1, SEARCH_EVALUATIONS_MAX, err, &population);
    if (r == 0)
        r = json_int_opt(search->body, "", "rounds", 1, SEARCH_ROUNDS_MAX, err, &rounds);
    if (r != 0)
        return r;
    int64_t common = search_round_end(search->budget, (int)population, (int)rounds, 0);
    if (common > search->evaluations)
        common = search->evaluations;
    extension->whole_generations = common / population;
    snprintf(extension->search, sizeof(extension->search), "%s", search->id);
    snprintf(extension->job, sizeof(extension->job), "%s", search->job);
    extension->spec = make_spec(search, dir, extension->body);
    return extension->spec != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

int search_extension_make(const struct daemon *daemon, struct sql *sql, const char *ref,
                          const cJSON *asked, struct err *err, struct search_extension **ret) {
    static const char *const keys[] = {"evaluations", "patience", NULL};
    struct stored_search search = {.body = NULL};
    struct search_extension *extension = mem_array(1, sizeof(*extension));
    int r = extension != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r == 0)
        r = json_only(asked, "", keys, err);
    if (r == 0)
        r = store_search_load(sql, ref, err, &search);
    if (r == 0)
        r = fill(daemon, &search, asked, err, extension);
    stored_search_finish(&search);
    if (r == 0)
        *ret = extension;
    else
        search_extension_destroy(extension);
    return r;
}

void search_extension_destroy(struct search_extension *extension) {
    if (extension == NULL)
        return;
    cJSON_Delete(extension->body);
    cJSON_Delete(extension->spec);
    free(extension);
}

/* --- another one --- */

static const char *text_of(const cJSON *doc, const char *key) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(doc, key));
    return text != NULL ? text : "";
}

/* Options are of one strategy, which no baseline is; a checkpoint and the data set that was filled
 * in are of one supernet. */
static void leave_out(const cJSON *changes, const char *strategy_before, cJSON *body) {
    static const char *const of_supernet[] = {"checkpoint", "dataset"};
    const char *strategy = text_of(body, "strategy");
    for (int i = 0; i < 2 && cJSON_HasObjectItem(changes, "supernet"); i++)
        if (!cJSON_HasObjectItem(changes, of_supernet[i]))
            cJSON_DeleteItemFromObjectCaseSensitive(body, of_supernet[i]);
    if (strcmp(strategy, strategy_before) == 0)
        return;
    if (!cJSON_HasObjectItem(changes, "strategy_options"))
        cJSON_DeleteItemFromObjectCaseSensitive(body, "strategy_options");
    if (!cJSON_HasObjectItem(changes, "baseline") &&
        strcmp(text_of(body, "baseline"), strategy) == 0)
        cJSON_DeleteItemFromObjectCaseSensitive(body, "baseline");
}

/* Evaluations that seconds were turned into are no wish, and of two budgets the newer one counts.
 */
static void leave_out_budget(const cJSON *changes, cJSON *body) {
    if (!cJSON_HasObjectItem(body, "time_budget_s"))
        return;
    if (!cJSON_HasObjectItem(changes, "evaluations"))
        cJSON_DeleteItemFromObjectCaseSensitive(body, "evaluations");
    else if (!cJSON_HasObjectItem(changes, "time_budget_s"))
        cJSON_DeleteItemFromObjectCaseSensitive(body, "time_budget_s");
}

static int change(const cJSON *changes, struct err *err, cJSON *body) {
    const cJSON *item;
    cJSON_ArrayForEach(item, changes) {
        cJSON_DeleteItemFromObjectCaseSensitive(body, item->string);
        if (cJSON_IsNull(item) && strcmp(item->string, "baseline") != 0)
            continue;
        cJSON *copy = cJSON_Duplicate(item, true);
        if (copy == NULL || !cJSON_AddItemToObject(body, item->string, copy)) {
            cJSON_Delete(copy);
            return err_set(err, ESP_ENOMEM, NULL, "out of memory");
        }
    }
    return 0;
}

int search_repeat_body(struct sql *sql, const char *ref, struct err *err, cJSON **ret_body) {
    struct stored_search search = {.body = NULL};
    int r = store_search_load(sql, ref, err, &search);
    if (r == 0)
        r = refuse_results(&search, "repeated", err);
    if (r == 0) {
        leave_out_budget(NULL, search.body);
        cJSON_DeleteItemFromObjectCaseSensitive(search.body, "notes");
        *ret_body = search.body;
        search.body = NULL;
    }
    stored_search_finish(&search);
    return r;
}

int search_clone_body(struct sql *sql, const char *ref, const cJSON *changes, struct err *err,
                      cJSON **ret_body) {
    struct stored_search search = {.body = NULL};
    char strategy[80];
    int r = json_only(changes, "", search_request_members, err);
    if (r == 0)
        r = store_search_load(sql, ref, err, &search);
    if (r == 0)
        r = refuse_results(&search, "cloned", err);
    if (r == 0) {
        snprintf(strategy, sizeof(strategy), "%s", text_of(search.body, "strategy"));
        cJSON_DeleteItemFromObjectCaseSensitive(search.body, "name");
        r = change(changes, err, search.body);
    }
    if (r == 0) {
        leave_out(changes, strategy, search.body);
        leave_out_budget(changes, search.body);
        cJSON_DeleteItemFromObjectCaseSensitive(search.body, "notes");
        *ret_body = search.body;
        search.body = NULL;
    }
    stored_search_finish(&search);
    return r;
}
