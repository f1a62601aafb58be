#include "daemon/search_subspace.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "search/strategy.h"
#include "space/subspace.h"

int search_subspace_put(const struct space *space, cJSON *spec, struct err *err) {
    char *text = space_print(space);
    cJSON *doc = text != NULL ? cJSON_Parse(text) : NULL;
    free(text);
    if (doc == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    cJSON *before = cJSON_DetachItemFromObjectCaseSensitive(spec, "space");
    if (cJSON_HasObjectItem(spec, "whole"))
        cJSON_Delete(before);
    else
        cJSON_AddItemToObject(spec, "whole", before);
    cJSON_AddItemToObject(spec, "space", doc);
    return 0;
}

int search_subspace_take(struct space **space, const cJSON *body, struct err *err, cJSON *spec) {
    const cJSON *doc = cJSON_GetObjectItemCaseSensitive(body, "subspace");
    struct space *part = NULL;
    if (doc == NULL || cJSON_IsNull(doc))
        return 0;
    int r = subspace_create(*space, doc, "/subspace", err, &part);
    if (r != 0)
        return r;
    space_destroy(*space);
    *space = part;
    return search_subspace_put(part, spec, err);
}

int search_subspace_check_budget(const struct space *space, const cJSON *body, struct err *err) {
    static const char *const members[] = {"strategy", "baseline"};
    const cJSON *evaluations = cJSON_GetObjectItemCaseSensitive(body, "evaluations");
    double archs = space_cardinality(space);
    if (!cJSON_IsNumber(evaluations) || archs <= evaluations->valuedouble)
        return 0;
    for (int i = 0; i < 2; i++) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, members[i]));
        const struct strategy_type *type = name != NULL ? strategy_find(name) : NULL;
        if (type != NULL && type->whole)
            return err_set(err, ESP_ELIMIT, "/evaluations",
                           "%s search asks for each of %.10g subnets, the budget is %.10g: raise "
                           "it, or search a part of the space (subspace)",
                           type->name, archs, evaluations->valuedouble);
    }
    return 0;
}
