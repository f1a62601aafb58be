#include "daemon/supernet_single.h"

#include <stdio.h>
#include <string.h>

#include "supernet/regime.h"

/* Its training, when that was of one arch alone; else NULL. The caller deletes it. */
static cJSON *single_training(const cJSON *supernet) {
    const cJSON *stored = cJSON_GetObjectItemCaseSensitive(supernet, "train");
    cJSON *train = cJSON_IsRaw(stored) ? cJSON_Parse(stored->valuestring) : NULL;
    const char *regime = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(train, "regime"));
    if (regime != NULL && strcmp(regime, regime_names[REGIME_SINGLE]) == 0)
        return train;
    cJSON_Delete(train);
    return NULL;
}

/* A training that names none is of the largest. */
bool supernet_single_arch(const cJSON *supernet, const struct space *space,
                          char ret_arch[ARCH_TEXT_MAX]) {
    struct arch largest;
    cJSON *train = single_training(supernet);
    if (train == NULL)
        return false;
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(train, "arch"));
    if (text != NULL) {
        snprintf(ret_arch, ARCH_TEXT_MAX, "%s", text);
    } else {
        arch_max(space, &largest);
        arch_format(space, &largest, ret_arch);
    }
    cJSON_Delete(train);
    return true;
}

int supernet_single_refuse(const cJSON *supernet, struct err *err) {
    cJSON *train = single_training(supernet);
    if (train == NULL)
        return 0;
    cJSON_Delete(train);
    return err_set(err, ESP_ECONFLICT, "/supernet",
                   "the supernet was last trained for one arch alone (regime single): its other "
                   "subnets are not worth comparing");
}
