#include "daemon/search_known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "space/arch.h"
#include "space/graph.h"

/* Networks between which a board rested longer were not measured under the same conditions. */
#define PAUSE_US (INT64_C(600) * 1000000)
#define US_MIN 1e-3 /* that a job takes */
enum { LOOKED_AT_MAX = 10000 /* of other spaces there may be any number */ };

struct list {
    const struct space *space;
    int max, looked_at, session;
    int64_t last_us; /* when the one before was measured */
    cJSON *items;
    int code;
};

/* Whether the arch is one of the space and the very network that was measured: a text may be of
 * another space. */
static bool read_arch(const struct space *space, const struct known_network *network,
                      char ret_text[ARCH_TEXT_MAX]) {
    struct graph *graph = NULL;
    char id[HASH_TEXT];
    struct arch arch;
    if (arch_parse(space, network->arch, strlen(network->arch), NULL, &arch) != 0 ||
        graph_build(space, &arch, NULL, &graph) != 0)
        return false;
    graph_id(graph, "fp32", id);
    free(graph);
    arch_format(space, &arch, ret_text);
    return strcmp(id, network->graph_id) == 0;
}

static cJSON *describe(const struct known_network *network, const char *arch, int session) {
    cJSON *row = cJSON_CreateObject();
    bool good = cJSON_AddStringToObject(row, "arch", arch) != NULL &&
                cJSON_AddNumberToObject(row, "measured_us", network->median_us) != NULL &&
                cJSON_AddNumberToObject(row, "repeat_sd_us", network->sd_us) != NULL &&
                cJSON_AddNumberToObject(row, "session", session) != NULL &&
                cJSON_AddBoolToObject(row, "representative", network->representative) != NULL;
    if (good)
        return row;
    cJSON_Delete(row);
    return NULL;
}

static bool take(void *context, const struct known_network *network) {
    struct list *list = context;
    char arch[ARCH_TEXT_MAX];
    if (cJSON_GetArraySize(list->items) >= list->max || list->looked_at++ >= LOOKED_AT_MAX)
        return false;
    if (!(network->median_us >= US_MIN) || !read_arch(list->space, network, arch))
        return true;
    if (list->session == 0 || list->last_us - network->at_us > PAUSE_US)
        list->session--;
    list->last_us = network->at_us;
    cJSON *row = describe(network, arch, list->session);
    if (row == NULL || !cJSON_AddItemToArray(list->items, row))
        list->code = ESP_ENOMEM;
    return list->code == 0;
}

int search_known_note(const cJSON *list, const char *place, cJSON *body, struct err *err) {
    int n = cJSON_GetArraySize(list);
    char text[400];
    cJSON *notes = cJSON_GetObjectItemCaseSensitive(body, "notes");
    if (n == 0)
        return 0;
    snprintf(text, sizeof(text),
             "latencies are calibrated from the beginning on %d network%s measured earlier %s", n,
             n == 1 ? "" : "s", place);
    if (notes == NULL)
        notes = cJSON_AddArrayToObject(body, "notes");
    return cJSON_AddItemToArray(notes, cJSON_CreateString(text))
               ? 0
               : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

int search_known_networks(struct sql *sql, const struct space *space,
                          const struct known_query *query, int max, struct err *err,
                          cJSON **ret_list) {
    struct list list = {.space = space, .max = max, .items = cJSON_CreateArray()};
    int r = store_known_networks(sql, query, take, &list, err);
    if (r == 0 && (list.items == NULL || list.code != 0))
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    if (r == 0)
        *ret_list = list.items;
    else
        cJSON_Delete(list.items);
    return r;
}
