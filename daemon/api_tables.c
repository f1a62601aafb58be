/* Latency tables. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/api.h"
#include "daemon/api_measurements.h"
#include "daemon/api_nouns.h"
#include "daemon/spaces.h"
#include "daemon/store_devices.h"
#include "daemon/store_jobs.h"
#include "daemon/store_tables.h"
#include "devices/method.h"
#include "latency/order.h"
#include "space/graph.h"

#define AGE_MOST_S 3.2e9

/* A table that is asked for, worked out in the thread pool: what the store writes. */
struct plan {
    struct space *space;
    struct unit_list *units;
    struct table_entry *entries; /* [units->n]; signatures borrowed from units */
    char (*graph_ids)[HASH_TEXT];
    char *document, profile[ID_MAX], method[METHOD_ID_MAX];
    double max_age_s; /* of an entry; 0: any */
};

static void plan_destroy(void *state) {
    struct plan *plan = state;
    if (plan == NULL)
        return;
    for (int i = 0; plan->entries != NULL && i < plan->units->n; i++)
        free((char *)plan->entries[i].graph);
    free(plan->entries);
    free(plan->graph_ids);
    free(plan->document);
    unit_list_destroy(plan->units);
    space_destroy(plan->space);
    free(plan);
}

/* The entries in the order in which they matter, those before that the profile knows nothing of;
 * what it knows may be asked for more thoroughly. */
static int order_units(const struct plan *plan, const struct latency_table *known, struct err *err,
                       int *order, int *all) {
    int n = latency_order(plan->units, known, err, order);
    int n_all = n < 0 ? n : latency_order(plan->units, NULL, err, all);
    for (int i = 0; i < n_all; i++)
        if (latency_table_find(known, plan->units->entries[all[i]].signature) != NULL)
            order[n++] = all[i];
    return n_all < 0 ? n_all : 0;
}

static int describe_units(struct plan *plan, const struct latency_table *known, struct err *err) {
    size_t n = (size_t)plan->units->n;
    int *order = mem_array(2 * n, sizeof(*order));
    if (order == NULL || order_units(plan, known, err, order, order + n) != 0) {
        free(order);
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    }
    plan->graph_ids = mem_array(n, sizeof(*plan->graph_ids));
    plan->entries = mem_array(n, sizeof(*plan->entries));
    plan->document = space_print(plan->space);
    bool ok = plan->graph_ids != NULL && plan->entries != NULL && plan->document != NULL;
    for (size_t i = 0; i < n && ok; i++) {
        const struct unit_entry *unit = &plan->units->entries[order[i]];
        cJSON *doc = graph_to_json(unit->graph);
        graph_id(unit->graph, "fp32", plan->graph_ids[i]);
        plan->entries[i] = (struct table_entry){.signature = unit->signature,
                                                .graph_id = plan->graph_ids[i],
                                                .graph = doc != NULL ? json_print(doc) : NULL};
        ok = plan->entries[i].graph != NULL;
        cJSON_Delete(doc);
    }
    free(order);
    return ok ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* Enumerates the space's units and puts them in order: milliseconds to a second. */
static int plan_table(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"profile", "space", "method", "max_age_s", NULL};
    struct profile_latency latency = {.table = NULL};
    const char *profile, *space;
    struct plan *plan = mem_array(1, sizeof(*plan));
    if (plan == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    call->state = plan;
    call->state_destroy = plan_destroy;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_string(call->body, "", "profile", 1, 256, err, &profile);
    if (r == 0)
        r = json_string(call->body, "", "space", 1, API_NAME_MAX, err, &space);
    if (r == 0)
        r = api_method(call->body, err, plan->method);
    if (r == 0)
        r = json_real_opt(call->body, "", "max_age_s", 0, AGE_MOST_S, err, &plan->max_age_s);
    if (r == 0)
        r = api_find_profile(call->sql, profile, err, plan->profile);
    if (r == 0 && (r = spaces_load(call->sql, space, err, &plan->space, NULL)) != 0)
        err_set(err, r, "/space", "there is no space \"%s\"", space);
    if (r == 0)
        r = space_units(plan->space, err, &plan->units);
    if (r == 0)
        r = profile_latency_load(call->sql, plan->profile, NULL, err, &latency);
    if (r == 0)
        r = describe_units(plan, latency.table, err);
    profile_latency_finish(&latency);
    return r;
}

static int build_table(struct api_call *call, struct err *err) {
    const struct plan *plan = call->state;
    struct table_request request = {
        .profile = plan->profile,
        .space = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call->body, "space")),
        .fingerprint = plan->space->fingerprint,
        .document = plan->document,
        .method = plan->method,
        .entries = plan->entries,
        .n_entries = plan->units->n};
    if (plan->max_age_s > 0)
        request.before_us = store_tx_now_us(call->tx) - (int64_t)(plan->max_age_s * 1e6);
    char table[ID_MAX], job[ID_MAX];
    cJSON *table_doc = NULL, *job_doc = NULL;
    int r = store_table_build(call->tx, &request, err, table, job);
    if (r == 0)
        r = store_table_get(call->sql, table, err, &table_doc);
    if (r == 0)
        r = store_job_get(call->sql, job, err, &job_doc);
    if (r != 0) {
        cJSON_Delete(table_doc);
        return r;
    }
    return api_answer_with_job(call, "table", table_doc, job_doc);
}

static int list_tables(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "tb_", err, &page);
    return r != 0 ? r : store_table_list(call->sql, &page, err, &call->answer);
}

static int get_table(struct api_call *call, struct err *err) {
    return store_table_get(call->sql, call->id, err, &call->answer);
}

static int list_entries(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    cJSON *table = NULL;
    bool known = true;
    int r = api_page_sized(call, err, &page);
    if (r == 0)
        r = store_table_get(call->sql, call->id, err, &table);
    cJSON_Delete(table);
    if (r == 0 && page.after != NULL)
        r = store_table_has_entry(call->sql, call->id, page.after, err, &known);
    if (r == 0 && !known)
        r = api_no_cursor(page.after, err);
    return r != 0 ? r : store_table_entries(call->sql, call->id, &page, err, &call->answer);
}

static int delete_table(struct api_call *call, struct err *err) {
    cJSON *users = NULL;
    int r = store_table_remove(call->tx, call->id, err, &users);
    api_problem_users(call, users, err);
    return r;
}

const struct api_route api_tables[] = {
    {"GET", "/api/v1/tables", "page_size,after", .read = list_tables},
    {"POST", "/api/v1/tables", NULL, .read = plan_table, .write = build_table, .needs_room = true},
    {"GET", "/api/v1/tables/{id}", NULL, .read = get_table},
    {"DELETE", "/api/v1/tables/{id}", NULL, .write = delete_table},
    {"GET", "/api/v1/tables/{id}/entries", "page_size,after", .read = list_entries},
    {.method = NULL}};
