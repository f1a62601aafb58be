#include <math.h>
#include <string.h>

#include "base/json.h"
#include "search/strategy.h"

bool outcome_usable(const struct strategy_config *config, const struct outcome *outcome) {
    bool usable = !outcome->failed && isfinite(outcome->violation);
    for (int k = 0; k < config->n_objectives; k++)
        usable &= isfinite(outcome->costs[k]) != 0;
    return usable;
}

cJSON *outcome_save(const struct strategy_config *config, const struct outcome *outcome) {
    char text[ARCH_TEXT_MAX];
    arch_format(config->space, &outcome->arch, text);
    cJSON *doc = cJSON_CreateObject();
    cJSON *costs = cJSON_CreateDoubleArray(outcome->costs, config->n_objectives);
    bool ok = doc && costs && cJSON_AddStringToObject(doc, "arch", text) &&
              cJSON_AddNumberToObject(doc, "violation", outcome->violation) &&
              cJSON_AddItemToObject(doc, "costs", costs);
    if (ok)
        return doc;
    cJSON_Delete(costs);
    cJSON_Delete(doc);
    return NULL;
}

int outcome_load(const struct strategy_config *config, const cJSON *item, const char *at,
                 struct err *err, struct outcome *ret_outcome) {
    const char *text;
    const cJSON *costs, *cost;
    int m = config->n_objectives, k = 0;
    *ret_outcome = (struct outcome){0};
    int code = json_string(item, at, "arch", 1, ARCH_TEXT_MAX - 1, err, &text);
    if (code == 0)
        code = arch_parse(config->space, text, strlen(text), err, &ret_outcome->arch);
    if (code == 0)
        code = json_real(item, at, "violation", 0, 1e300, err, &ret_outcome->violation);
    if (code == 0)
        code = json_array(item, at, "costs", m, m, err, &costs);
    if (code < 0)
        return code;
    cJSON_ArrayForEach(cost, costs) {
        if (!cJSON_IsNumber(cost) || !isfinite(cost->valuedouble))
            return err_set(err, ESP_EINVAL, at, "a cost is no number");
        ret_outcome->costs[k++] = cost->valuedouble;
    }
    return 0;
}
