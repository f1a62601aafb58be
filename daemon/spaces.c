#include "daemon/spaces.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/store_calibrations.h"
#include "daemon/store_devices.h"
#include "daemon/store_supernets.h"
#include "daemon/store_tables.h"
#include "latency/estimate.h"
#include "space/graph.h"

int spaces_load(struct sql *sql, const char *name, struct err *err, struct space **ret_space,
                bool *ret_builtin) {
    char *document = NULL;
    bool builtin = space_builtin_text(name) != NULL;
    if (ret_builtin != NULL)
        *ret_builtin = builtin;
    if (builtin)
        return space_builtin(name, err, ret_space);
    int r = store_space_find(sql, name, err, &document);
    if (r == 0 && document == NULL)
        r = err_set(err, ESP_ENOTFOUND, NULL, "there is no space \"%s\"", name);
    if (r == 0)
        r = space_parse(document, strlen(document), err, ret_space);
    free(document);
    return r;
}

/* SQL made the document: it is parsed again so that what jobs get and what is used here agree. */
static int read_table(cJSON *doc, struct err *err, struct latency_table **ret_table) {
    struct json_limits limits = {.bytes = 64 << 20, .depth = 16, .nodes = 1000000};
    cJSON *clean = NULL;
    char *text = json_print(doc);
    int r = text == NULL ? err_set(err, ESP_ENOMEM, NULL, "out of memory")
                         : json_parse(text, strlen(text), &limits, err, &clean);
    if (r == 0)
        r = latency_table_from_json(clean, "", err, ret_table);
    cJSON_Delete(clean);
    free(text);
    return r;
}

static int read_calibration(struct sql *sql, const char *fingerprint,
                            struct profile_latency *latency, struct err *err) {
    struct json_limits limits = {.bytes = 16 << 20, .depth = 16, .nodes = 100000};
    char *text = NULL;
    int r = store_calibration_newest(sql, latency->revision, fingerprint, err, &text);
    if (r == 0 && text != NULL)
        r = json_parse(text, strlen(text), &limits, err, &latency->calibration_doc);
    if (r == 0 && latency->calibration_doc != NULL)
        r = calibration_from_json(latency->calibration_doc, "", err, &latency->calibration);
    free(text);
    return r;
}

int profile_latency_load(struct sql *sql, const char *profile, const char *fingerprint,
                         struct err *err, struct profile_latency *ret) {
    struct profile_latency latency = {.calibration = calibration_none};
    cJSON *doc = NULL;
    int r = store_profile_get(sql, profile, err, &doc);
    if (r == 0) {
        snprintf(latency.id, sizeof(latency.id), "%s",
                 cJSON_GetStringValue(cJSON_GetObjectItem(doc, "id")));
        r = store_profile_table(sql, latency.id, err, latency.revision, &latency.table_doc);
    }
    if (r == 0)
        r = read_table(latency.table_doc, err, &latency.table);
    if (r == 0 && fingerprint != NULL)
        r = read_calibration(sql, fingerprint, &latency, err);
    cJSON_Delete(doc);
    if (r == 0)
        *ret = latency;
    else
        profile_latency_finish(&latency);
    return r;
}

/* Entries that the space needs and that cannot even be interpolated. */
static int count_unknown(const struct latency_table *table, const struct unit_list *units,
                         struct err *err, int *ret_unknown) {
    struct latency_estimator *estimator;
    int r = latency_estimator_create(table, err, &estimator);
    if (r != 0)
        return r;
    *ret_unknown = 0;
    for (int i = 0; i < units->n; i++)
        *ret_unknown += latency_estimate(estimator, &units->entries[i].graph->units[0]).state ==
                        ESTIMATE_MISSING;
    latency_estimator_destroy(estimator);
    return 0;
}

int profile_latency_check(const struct profile_latency *latency, const struct space *space,
                          const char *pointer, struct err *err) {
    struct unit_list *units = NULL;
    int unknown = 0, r = space_units(space, err, &units);
    if (r != 0)
        return r;
    int missing = latency_table_missing(latency->table, units, NULL);
    r = count_unknown(latency->table, units, err, &unknown);
    if (r == 0 && unknown > 0 && missing == units->n)
        r = err_set(err, ESP_EMISSING, pointer,
                    "this profile has no latency table of the space: build it first (espalier "
                    "latency build %s %s)",
                    latency->id, space->name);
    else if (r == 0 && unknown > 0)
        r = err_set(err, ESP_EMISSING, pointer,
                    "the latency table of this profile lacks %d of the %d entries that the space "
                    "needs, %d of which cannot be interpolated: build it first (espalier latency "
                    "build %s %s)",
                    missing, units->n, unknown, latency->id, space->name);
    unit_list_destroy(units);
    return r;
}

void profile_latency_finish(struct profile_latency *latency) {
    latency_table_destroy(latency->table);
    calibration_finish(&latency->calibration);
    cJSON_Delete(latency->table_doc);
    cJSON_Delete(latency->calibration_doc);
    *latency = (struct profile_latency){.table = NULL};
}
