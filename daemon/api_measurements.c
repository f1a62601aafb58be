/* Measurements that people ask for: whole networks on a profile. */
#include "daemon/api_measurements.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/spaces.h"
#include "daemon/store_devices.h"
#include "daemon/store_measurements.h"
#include "space/graph.h"

enum { ARCHS_MAX = 1000 };

int api_method(const cJSON *body, struct err *err, char ret_id[METHOD_ID_MAX]) {
    const char *name = "brief";
    int r = json_string_opt(body, "", "method", 1, METHOD_ID_MAX - 1, err, &name);
    if (r != 0)
        return r;
    const struct method *method = method_find(name);
    if (method == NULL)
        return err_set(err, ESP_EINVAL, "/method", "the method must be one of: brief, full");
    method_id(method, ret_id);
    return 0;
}

int api_find_profile(struct sql *sql, const char *ref, struct err *err, char ret_id[ID_MAX]) {
    int r = store_profile_find(sql, ref, err, ret_id);
    if (r == ESP_ENOTFOUND || r == ESP_EINVAL)
        snprintf(err->pointer, sizeof(err->pointer), "/profile");
    return r;
}

/* The networks that are asked for, worked out in the thread pool. */
struct plan {
    char profile[ID_MAX], method[METHOD_ID_MAX];
    int n;
    struct network {
        char arch[ARCH_TEXT_MAX], graph_id[HASH_TEXT];
        char *graph; /* owned */
    } * networks;
};

static void plan_destroy(void *state) {
    struct plan *plan = state;
    if (plan == NULL)
        return;
    for (int i = 0; i < plan->n; i++)
        free(plan->networks[i].graph);
    free(plan->networks);
    free(plan);
}

static int plan_network(const struct space *space, const cJSON *item, const char *at,
                        struct err *err, struct network *network) {
    const char *text = cJSON_GetStringValue(item);
    struct graph *graph = NULL;
    struct arch arch;
    if (text == NULL)
        return err_set(err, ESP_EINVAL, at, "an arch is a text");
    int r = arch_parse(space, text, strlen(text), err, &arch);
    if (r != 0 && err->pointer[0] == '\0')
        snprintf(err->pointer, sizeof(err->pointer), "%s", at);
    if (r == 0)
        r = graph_build(space, &arch, err, &graph);
    if (r != 0)
        return r;
    cJSON *doc = graph_to_json(graph);
    arch_format(space, &arch, network->arch);
    graph_id(graph, "fp32", network->graph_id);
    network->graph = doc != NULL ? json_print(doc) : NULL;
    cJSON_Delete(doc);
    free(graph);
    return network->graph != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

static int plan_networks(struct plan *plan, const struct space *space, const cJSON *archs,
                         struct err *err) {
    const cJSON *item;
    int r = 0, i = 0;
    plan->n = cJSON_GetArraySize(archs);
    plan->networks = mem_array((size_t)plan->n, sizeof(*plan->networks));
    if (plan->networks == NULL) {
        plan->n = 0;
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    }
    cJSON_ArrayForEach(item, archs) {
        char at[32];
        snprintf(at, sizeof(at), "/archs/%d", i);
        if (r == 0)
            r = plan_network(space, item, at, err, &plan->networks[i++]);
    }
    return r;
}

static int plan_measurements(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"profile", "space", "archs", "method", NULL};
    const char *profile, *name;
    const cJSON *archs;
    struct space *space = NULL;
    struct plan *plan = mem_array(1, sizeof(*plan));
    if (plan == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    call->state = plan;
    call->state_destroy = plan_destroy;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_string(call->body, "", "profile", 1, 256, err, &profile);
    if (r == 0)
        r = json_string(call->body, "", "space", 1, API_NAME_MAX, err, &name);
    if (r == 0)
        r = json_array(call->body, "", "archs", 1, ARCHS_MAX, err, &archs);
    if (r == 0)
        r = api_method(call->body, err, plan->method);
    if (r == 0)
        r = api_find_profile(call->sql, profile, err, plan->profile);
    if (r == 0 && (r = spaces_load(call->sql, name, err, &space, NULL)) != 0)
        err_set(err, r, "/space", "there is no space \"%s\"", name);
    if (r == 0)
        r = plan_networks(plan, space, archs, err);
    space_destroy(space);
    return r;
}

static int ask(struct api_call *call, const struct plan *plan, const struct network *network,
               struct err *err, cJSON *items) {
    struct measurement_request request = {.profile = plan->profile,
                                          .kind = "network",
                                          .graph_id = network->graph_id,
                                          .graph = network->graph,
                                          .arch = network->arch,
                                          .method = plan->method,
                                          .seed = 1,
                                          .priority = MEASUREMENT_OF_PERSON};
    char id[ID_MAX];
    cJSON *doc = NULL;
    int r = store_measurement_ask(call->tx, &request, err, id);
    if (r == 0)
        r = store_measurement_row(call->sql, id, err, &doc);
    if (r == 0)
        cJSON_AddItemToArray(items, doc);
    return r;
}

static int create_measurements(struct api_call *call, struct err *err) {
    const struct plan *plan = call->state;
    cJSON *answer = cJSON_CreateObject(), *items = cJSON_AddArrayToObject(answer, "items");
    int r = 0;
    for (int i = 0; i < plan->n && r == 0; i++)
        r = ask(call, plan, &plan->networks[i], err, items);
    if (r != 0) {
        cJSON_Delete(answer);
        return r;
    }
    call->status = 202;
    call->answer = answer;
    return 0;
}

static int list_measurements(struct api_call *call, struct err *err) {
    static const char *const kinds[] = {"unit", "network", "reference", NULL};
    struct measurement_filter filter = {.state = api_query(call, "state"),
                                        .kind = api_query(call, "kind"),
                                        .graph_id = api_query(call, "graph_id")};
    const char *ref = api_query(call, "profile");
    struct sql_page_args page;
    char profile[ID_MAX];
    int r = api_page(call, "ms_", err, &page);
    if (r == 0)
        r = api_query_word(call, "state", measurement_state_names, err);
    if (r == 0)
        r = api_query_word(call, "kind", kinds, err);
    if (r == 0 && ref != NULL)
        r = api_of_query(api_find_profile(call->sql, ref, err, profile), "profile", err);
    if (ref != NULL)
        filter.profile = profile;
    return r != 0 ? r : store_measurement_list(call->sql, &filter, &page, err, &call->answer);
}

static int get_measurement(struct api_call *call, struct err *err) {
    return store_measurement_get(call->sql, call->id, err, &call->answer);
}

static int cancel_measurement(struct api_call *call, struct err *err) {
    int r = json_only(call->body, "", (const char *const[]){NULL}, err);
    if (r == 0)
        r = store_measurement_apply(call->tx, call->id, MEASUREMENT_CANCEL, NULL, err);
    return r != 0 ? r : store_measurement_get(call->sql, call->id, err, &call->answer);
}

const struct api_route api_measurements[] = {
    {"GET", "/api/v1/measurements", "profile,state,kind,graph_id,page_size,after",
     .read = list_measurements},
    {"POST", "/api/v1/measurements", NULL, .read = plan_measurements, .write = create_measurements,
     .needs_room = true},
    {"GET", "/api/v1/measurements/{id}", NULL, .read = get_measurement},
    {"POST", "/api/v1/measurements/{id}/cancel", NULL, .write = cancel_measurement},
    {.method = NULL}};
