/* What a search has looked at: candidates, fronts, hypervolumes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/parameter.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/candidate_query.h"
#include "daemon/models.h"
#include "daemon/store_devices.h"
#include "daemon/store_lineage.h"
#include "daemon/store_searches.h"

/* Id of the profile, or else of the latency model, that is called so. */
static int resolve(void *context, const char *ref, struct err *err, char ret_id[METRIC_KEY_MAX]) {
    char id[ID_MAX];
    struct err said = {0};
    cJSON *model = NULL;
    int r = store_profile_find(context, ref, err, id);
    if (r == ESP_ENOTFOUND && model_find(context, ref, MODEL_LATENCY, "", &said, &model) == 0) {
        snprintf(id, sizeof(id), "%s", cJSON_GetStringValue(cJSON_GetObjectItem(model, "id")));
        r = 0;
    }
    cJSON_Delete(model);
    if (r == 0)
        snprintf(ret_id, METRIC_KEY_MAX, "%s", id);
    return r;
}

struct asked {
    char search[ID_MAX];
    struct candidate_query query;
};

static bool asks_for(const struct api_call *call, const char *name) {
    return api_query(call, name) != NULL;
}

/* What these texts ask of a search's candidates. least_objectives: so many it must have, its own
 * being the search's where none is named; 0: none are wanted. */
static int parse_query(struct api_call *call, const char *search, const struct query_texts *texts,
                       int least_objectives, struct err *err, struct candidate_query *ret) {
    cJSON *keys = NULL, *objectives = NULL, *strategies = NULL;
    int r = store_query_metrics(call->sql, search, err, &keys, &objectives);
    if (r == 0 && texts->where != NULL)
        r = store_query_strategies(call->sql, search, err, &strategies);
    const struct query_metrics metrics = {keys, objectives, strategies, resolve, call->sql};
    if (r == 0)
        r = candidate_query_parse(&metrics, texts, err, ret);
    if (r == 0 && least_objectives > 0 && ret->goals.n_objectives == 0)
        r = candidate_query_own_objectives(&metrics, err, ret);
    if (r == 0 && ret->goals.n_objectives < least_objectives)
        r = err_set(err, ESP_EPARSE, "?objectives",
                    "the search has one objective: name two in the parameter objectives");
    cJSON_Delete(keys);
    cJSON_Delete(objectives);
    cJSON_Delete(strategies);
    return r;
}

/* The search, and what the parameters ask of its candidates. */
static int read_query(struct api_call *call, bool wants_objectives, struct err *err,
                      struct asked *ret) {
    cJSON *search = NULL;
    const struct query_texts texts = {api_query(call, "where"), api_query(call, "objectives"),
                                      api_query(call, "sort")};
    int r = store_search_get(call->sql, call->id, err, &search);
    if (r != 0)
        return r;
    snprintf(ret->search, sizeof(ret->search), "%s",
             cJSON_GetStringValue(cJSON_GetObjectItem(search, "id")));
    cJSON_Delete(search);
    ret->query = (struct candidate_query){.sort = QUERY_SORT_NONE};
    if (texts.where == NULL && texts.objectives == NULL && texts.sort == NULL)
        return 0;
    return parse_query(call, ret->search, &texts, wants_objectives ? 2 : 0, err, &ret->query);
}

/* ESP_EPARSE: the parameter strategy is there, and none of the search's. */
static int check_strategy(const struct api_call *call, const char *search, struct err *err) {
    const char *name = api_query(call, "strategy");
    cJSON *strategies = NULL;
    if (name == NULL)
        return 0;
    int r = store_query_strategies(call->sql, search, err, &strategies);
    if (r == 0)
        r = candidate_query_strategy(strategies, "strategy", name, err);
    cJSON_Delete(strategies);
    return r;
}

/* 16 hex digits that name what is asked for. */
static void name_query(const struct api_call *call, const char *search, char ret_name[17]) {
    static const char *const parameters[] = {"where", "sort", "strategy"};
    struct hash hash;
    char text[HASH_TEXT_LONG];
    hash_init(&hash);
    hash_update(&hash, search, strlen(search) + 1);
    for (int i = 0; i < 3; i++) {
        const char *value = api_query(call, parameters[i]);
        hash_update(&hash, value != NULL ? value : "", value != NULL ? strlen(value) + 1 : 1);
    }
    hash_final(&hash, text);
    snprintf(ret_name, 17, "%.16s", text);
}

static bool wants_origins(const struct api_call *call) {
    const char *word = api_query(call, "origins");
    return word != NULL && strcmp(word, "true") == 0;
}

static int get_asked(struct api_call *call, int64_t page_size, struct err *err) {
    struct asked asked;
    const char *after = api_query(call, "after");
    struct candidate_page page = {.strategy = api_query(call, "strategy"),
                                  .origins = wants_origins(call),
                                  .size = page_size,
                                  .query = &asked.query};
    int r = read_query(call, false, err, &asked);
    if (r == 0)
        r = check_strategy(call, asked.search, err);
    if (r != 0)
        return r;
    name_query(call, asked.search, page.cursor.query);
    if (after != NULL && !candidate_cursor_read(after, page.cursor.query, &page.cursor))
        return api_no_cursor(after, err);
    return store_candidates_asked(call->sql, asked.search, &page, err, &call->text);
}

static const char *id_of(const cJSON *search) {
    return cJSON_GetStringValue(cJSON_GetObjectItem(search, "id"));
}

static int get_candidates(struct api_call *call, struct err *err) {
    struct candidate_page page = {
        .strategy = api_query(call, "strategy"), .origins = wants_origins(call), .size = 1000};
    cJSON *search = NULL;
    int r = api_query_word(call, "origins", (const char *const[]){"true", "false", NULL}, err);
    if (r == 0)
        r = api_query_int(call, "page_size", 1, 20000, err, &page.size);
    if (r == 0 && (asks_for(call, "where") || asks_for(call, "sort")))
        return get_asked(call, page.size, err);
    if (r == 0)
        r = api_query_int(call, "after", 0, INT64_C(1) << 53, err, &page.after);
    if (r == 0)
        r = store_search_get(call->sql, call->id, err, &search);
    if (r == 0)
        r = check_strategy(call, id_of(search), err);
    if (r == 0)
        r = store_candidates(call->sql, id_of(search), &page, err, &call->text);
    cJSON_Delete(search);
    return r;
}

/* For a front, or its hypervolume, that is not the search's own. */
static bool asks_for_others(const struct api_call *call) {
    return asks_for(call, "objectives") || asks_for(call, "where");
}

/* By what the search itself says, or by what the parameters ask for. */
static int get_by(struct api_call *call, struct err *err,
                  int (*own)(struct sql *sql, const char *search, struct err *err, cJSON **ret),
                  int (*other)(struct sql *sql, const char *search,
                               const struct candidate_query *query, struct err *err, cJSON **ret)) {
    bool asked_for = asks_for_others(call);
    struct asked asked;
    int r = read_query(call, asked_for, err, &asked);
    if (r == 0 && asks_for(call, "reference"))
        r = candidate_query_reference(api_query(call, "reference"), err, &asked.query);
    if (r != 0)
        return r;
    return asked_for ? other(call->sql, asked.search, &asked.query, err, &call->answer)
                     : own(call->sql, asked.search, err, &call->answer);
}

/* Before the job tells a front: what is best so far of all that the search's own strategy, and not
 * its baseline, has asked for; none where that takes too long. */
static int add_front_so_far(struct api_call *call, struct err *err) {
    struct candidate_query query = {.sort = QUERY_SORT_NONE};
    const struct query_texts texts = {NULL, NULL, NULL};
    cJSON *search = NULL;
    int r = store_search_get(call->sql, call->id, err, &search);
    if (r != 0)
        return r;
    r = parse_query(call, id_of(search), &texts, 1, err, &query);
    if (r == 0)
        r = store_front_so_far(call->sql, id_of(search),
                               cJSON_GetStringValue(cJSON_GetObjectItem(search, "strategy")),
                               &query, err, call->answer);
    cJSON_Delete(search);
    return r == ESP_ELIMIT ? 0 : r;
}

static int get_front(struct api_call *call, struct err *err) {
    int r = get_by(call, err, store_front, store_front_of);
    bool told = !cJSON_IsNull(cJSON_GetObjectItem(call->answer, "stage"));
    return r == 0 && !told && !asks_for_others(call) ? add_front_so_far(call, err) : r;
}

static int get_hypervolume(struct api_call *call, struct err *err) {
    return get_by(call, err, store_hypervolume, store_hypervolume_of);
}

static int get_lineage(struct api_call *call, struct err *err) {
    struct lineage_request request = {.arch = api_query(call, "arch"),
                                      .strategy = api_query(call, "strategy"),
                                      .steps = LINEAGE_STEPS,
                                      .networks = LINEAGE_NETWORKS};
    cJSON *search = NULL;
    int r = api_query_int(call, "steps", 1, LINEAGE_STEPS_MAX, err, &request.steps);
    if (r == 0)
        r = api_query_int(call, "networks", 1, LINEAGE_NETWORKS_MAX, err, &request.networks);
    if (r == 0)
        r = store_search_get(call->sql, call->id, err, &search);
    if (r == 0 && request.arch == NULL)
        r = parameter_refuse(err, ESP_EINVAL, "arch", " is needed");
    if (r == 0) {
        request.search = id_of(search);
        r = store_lineage(call->sql, &request, err, &call->answer);
    }
    cJSON_Delete(search);
    return r;
}

/* Such answers look at all candidates. */
static bool looks_at_all(const struct api_call *call) {
    return asks_for(call, "where") || asks_for(call, "sort") || asks_for(call, "objectives") ||
           asks_for(call, "reference") || asks_for(call, "arch");
}

static bool is_worked_out(const struct api_call *call) {
    return looks_at_all(call) ||
           store_front_is_awaited(store_loop_sql(call->daemon->store), call->id);
}

const struct api_route api_candidates[] = {
    {"GET", "/api/v1/searches/{id}/candidates", "after,page_size,strategy,where,sort,origins",
     .read = get_candidates, .slow = looks_at_all},
    {"GET", "/api/v1/searches/{id}/lineage", "arch,strategy,steps,networks", .read = get_lineage,
     .slow = looks_at_all},
    {"GET", "/api/v1/searches/{id}/front", "objectives,where", .read = get_front,
     .slow = is_worked_out},
    {"GET", "/api/v1/searches/{id}/hypervolume", "objectives,where,reference",
     .read = get_hypervolume, .slow = looks_at_all},
    {.method = NULL}};
