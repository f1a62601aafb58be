#include "daemon/search_energy.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/store_energy.h"

/* Where the energy on a profile was first named. */
static void find_pointer(const cJSON *body, const char *id, char ret[64]) {
    static const char *const keys[] = {"constraints", "objectives"};
    snprintf(ret, 64, "/objectives");
    for (int k = 0; k < 2; k++) {
        int i = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(body, keys[k]));
        while (i-- > 0) {
            const cJSON *item =
                cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(body, keys[k]), i);
            const char *metric = cJSON_GetStringValue(cJSON_GetObjectItem(item, "metric"));
            const char *named = cJSON_GetStringValue(cJSON_GetObjectItem(item, "profile"));
            if (metric != NULL && named != NULL && strcmp(metric, "energy_uj") == 0 &&
                strcmp(named, id) == 0)
                snprintf(ret, 64, "/%s/%d/profile", keys[k], i);
        }
    }
}

static int load(struct sql *sql, const struct space *space, const char *id, const char *pointer,
                struct err *err, struct search_energy *energy) {
    struct energy_fit prices;
    if (energy->n == ENERGY_PROFILES_MAX)
        return err_set(err, ESP_ELIMIT, pointer, "energy is meant on at most %d profiles",
                       ENERGY_PROFILES_MAX);
    if (id_has_prefix(id, "mo_"))
        return err_set(err, ESP_EINVAL, pointer, "an imported model knows no energy");
    int r = store_energy_in_force(sql, id, err, &energy->docs[energy->n], &prices);
    if (r == 0 && energy->docs[energy->n] == NULL)
        r = err_set(
            err, ESP_EMISSING, pointer,
            "the profile has no prices of energy as it is now: measure at least %d networks "
            "on a board that tells its energy (espalier latency measure PROFILE SPACE "
            "ARCH...), then fit them (espalier energy fit PROFILE), or mean energy_uj "
            "without a profile, an estimate at the literature's prices",
            ENERGY_MIN_NETWORKS);
    if (r == 0)
        r = energy_evaluator_create(space, &prices, id, err, &energy->evaluators[energy->n]);
    energy->n++;
    return r;
}

int search_energy_load(struct sql *sql, const struct space *space, const struct goals *goals,
                       const cJSON *body, struct err *err, struct search_energy *ret_energy) {
    int r = 0;
    for (int i = 0; i < goals->n_metrics && r == 0; i++) {
        const char *id = energy_metric_profile(goals->keys[i]);
        char pointer[64];
        if (id == NULL)
            continue;
        find_pointer(body, id, pointer);
        r = load(sql, space, id, pointer, err, ret_energy);
    }
    return r;
}

void search_energy_finish(struct search_energy *energy) {
    for (int i = 0; i < energy->n; i++) {
        cJSON_Delete(energy->docs[i]);
        energy_evaluator_destroy(energy->evaluators[i]);
    }
    *energy = (struct search_energy){.n = 0};
}

cJSON *search_energy_spec(const struct search_energy *energy) {
    static const char *const taken[] = {"mac_pj", "byte_pj",  "run_uj",
                                        "n",      "strength", "residual_sd"};
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < energy->n; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddItemToObject(row, "profile_id",
                              cJSON_Duplicate(cJSON_GetObjectItem(energy->docs[i], "profile"), 1));
        cJSON_AddItemToObject(
            row, "profile_revision",
            cJSON_Duplicate(cJSON_GetObjectItem(energy->docs[i], "profile_revision"), 1));
        cJSON_AddItemToObject(row, "prices_id",
                              cJSON_Duplicate(cJSON_GetObjectItem(energy->docs[i], "id"), 1));
        for (unsigned k = 0; k < sizeof(taken) / sizeof(*taken); k++)
            cJSON_AddItemToObject(
                row, taken[k], cJSON_Duplicate(cJSON_GetObjectItem(energy->docs[i], taken[k]), 1));
        cJSON_AddItemToArray(list, row);
    }
    return list;
}
