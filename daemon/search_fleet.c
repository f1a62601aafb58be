#include "daemon/search_fleet.h"

#include "daemon/spaces.h"
#include "daemon/store_tables.h"
#include "latency/learn.h"

enum { ENTRIES_MAX = 100000 /* of all tables together: a spec has a limit of its own */ };

/* The entries of a table that a space needs; NULL where half of them are missing. */
static int needed(const struct latency_table *table, const struct unit_list *units, struct err *err,
                  struct latency_table **ret_table) {
    struct latency_table *part = NULL;
    int r = latency_table_create(table->profile_revision, err, &part);
    for (int i = 0; i < units->n && r == 0; i++) {
        const struct latency_entry *entry = latency_table_find(table, units->entries[i].signature);
        if (entry != NULL)
            r = latency_table_put(part, entry, err);
    }
    if (r != 0 || 2 * part->n < units->n) {
        latency_table_destroy(part);
        part = NULL;
    }
    if (r == 0)
        *ret_table = part;
    return r;
}

static int add(cJSON *fleet, const char *profile, const struct latency_table *table,
               struct err *err) {
    cJSON *row = cJSON_CreateObject(), *doc = latency_table_to_json(table);
    if (row == NULL || doc == NULL || cJSON_AddStringToObject(row, "profile_id", profile) == NULL ||
        !cJSON_AddItemToObject(row, "table", doc) || !cJSON_AddItemToArray(fleet, row)) {
        cJSON_Delete(row);
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    }
    return 0;
}

static int add_profile(struct sql *sql, const char *profile, const struct unit_list *units,
                       struct err *err, cJSON *fleet, int *entries) {
    struct profile_latency latency = {.table = NULL};
    struct latency_table *table = NULL;
    int r = profile_latency_load(sql, profile, NULL, err, &latency);
    if (r == 0)
        r = needed(latency.table, units, err, &table);
    if (r == 0 && table != NULL && *entries + table->n <= ENTRIES_MAX) {
        *entries += table->n;
        r = add(fleet, profile, table, err);
    }
    latency_table_destroy(table);
    profile_latency_finish(&latency);
    return r;
}

int search_fleet_make(struct sql *sql, const struct space *space, const char *except,
                      struct err *err, cJSON **ret_fleet) {
    cJSON *profiles = NULL, *row, *fleet = cJSON_CreateArray();
    struct unit_list *units = NULL;
    int entries = 0;
    int r = store_table_profiles(sql, space->fingerprint, except, LEARN_FLEET_MAX, err, &profiles);
    if (r == 0)
        r = space_units(space, err, &units);
    cJSON_ArrayForEach(row, profiles) {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(row, "profile"));
        if (r == 0)
            r = add_profile(sql, id, units, err, fleet, &entries);
    }
    unit_list_destroy(units);
    cJSON_Delete(profiles);
    if (r == 0)
        *ret_fleet = fleet;
    else
        cJSON_Delete(fleet);
    return r;
}
