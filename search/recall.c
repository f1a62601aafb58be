#include "search/recall.h"

#include "base/json.h"

static bool save_outcomes(const struct recall *recall, const struct outcome *first, size_t stride,
                          int n, cJSON *list) {
    for (int i = 0; i < n; i++) {
        const void *at = (const char *)first + (size_t)i * stride;
        cJSON *item = outcome_save(recall->config, at);
        if (!item || !cJSON_AddItemToArray(list, item))
            return false;
    }
    return true;
}

cJSON *recall_save(const struct recall *recall, const struct outcome *first, size_t stride, int n) {
    cJSON *doc = cJSON_CreateObject(), *seen = seen_save(recall->seen), *list = NULL;
    bool ok = doc && seen && cJSON_AddNumberToObject(doc, "asked", (double)*recall->asked) &&
              (!recall->list || ((list = cJSON_AddArrayToObject(doc, recall->list)) &&
                                 save_outcomes(recall, first, stride, n, list))) &&
              cJSON_AddItemToObject(doc, "seen", seen);
    if (ok)
        return doc;
    cJSON_Delete(seen);
    cJSON_Delete(doc);
    return NULL;
}

int recall_load(const struct recall *recall, int max, const cJSON *doc, const char *at,
                recall_put_fn *put, void *state, struct err *err) {
    const cJSON *list = NULL, *item;
    int code = json_int(doc, at, "asked", 0, INT64_C(1) << 50, err, recall->asked);
    if (code == 0 && recall->list)
        code = json_array(doc, at, recall->list, 0, max, err, &list);
    if (code == 0)
        code = seen_load(recall->seen, cJSON_GetObjectItemCaseSensitive(doc, "seen"), at, err);
    if (code < 0)
        return code;
    cJSON_ArrayForEach(item, list) {
        struct outcome outcome;
        code = outcome_load(recall->config, item, at, err, &outcome);
        if (code == 0)
            code = put(state, &outcome, err);
        if (code < 0)
            return code;
    }
    return 0;
}
