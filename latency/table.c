#include "latency/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

int latency_table_create(const char *profile_revision, struct err *err,
                         struct latency_table **ret_table) {
    size_t len = strlen(profile_revision);
    if (len == 0 || len >= LATENCY_REVISION_MAX)
        return err_set(err, ESP_EINVAL, "/profile_revision",
                       "the profile revision must have 1 to %d characters",
                       LATENCY_REVISION_MAX - 1);
    struct latency_table *table = mem_array(1, sizeof *table);
    if (!table)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for a latency table");
    memcpy(table->profile_revision, profile_revision, len + 1);
    map_init(&table->by_signature);
    *ret_table = table;
    return 0;
}

void latency_table_destroy(struct latency_table *table) {
    if (!table)
        return;
    map_finish(&table->by_signature);
    free(table->entries);
    free(table);
}

struct lookup {
    const struct latency_table *table;
    const char *signature;
};

static bool has_signature(const void *context, uint32_t item) {
    const struct lookup *lookup = context;
    return strcmp(lookup->table->entries[item].signature, lookup->signature) == 0;
}

static int64_t find_index(const struct latency_table *table, const char *signature) {
    struct lookup lookup = {.table = table, .signature = signature};
    return map_find(&table->by_signature, map_hash(signature, strlen(signature)), has_signature,
                    &lookup);
}

const struct latency_entry *latency_table_find(const struct latency_table *table,
                                               const char *signature) {
    int64_t i = find_index(table, signature);
    return i < 0 ? NULL : &table->entries[i];
}

static int check_entry(const struct latency_entry *e, struct err *err) {
    size_t len = strnlen(e->signature, sizeof e->signature);
    if (len == 0 || len == sizeof e->signature)
        return err_set(err, ESP_EINVAL, "/signature", "the signature must have 1 to %d characters",
                       GRAPH_SIGNATURE_MAX - 1);
    /* Written so that a NaN fails. */
    if (!(e->median_us > 0 && e->median_us <= LATENCY_US_MAX))
        return err_set(err, ESP_EINVAL, "/median_us", "%g us cannot be the latency of %s",
                       e->median_us, e->signature);
    if (!(e->low_us >= 0 && e->low_us <= e->median_us))
        return err_set(err, ESP_EINVAL, "/low_us", "the interval of %s does not hold its median",
                       e->signature);
    if (!(e->high_us >= e->median_us && e->high_us <= LATENCY_US_MAX))
        return err_set(err, ESP_EINVAL, "/high_us", "the interval of %s does not hold its median",
                       e->signature);
    if (!(e->sd_us >= 0 && e->sd_us <= LATENCY_US_MAX))
        return err_set(err, ESP_EINVAL, "/sd_us", "%g us cannot be the spread of %s", e->sd_us,
                       e->signature);
    if (e->n < 1 || e->method < 1)
        return err_set(err, ESP_EINVAL, e->n < 1 ? "/n" : "/method", "must be at least 1");
    return 0;
}

static int reserve(struct latency_table *table, struct err *err) {
    if (table->n < table->capacity)
        return 0;
    if (table->n >= LATENCY_ENTRIES_MAX)
        return err_set(err, ESP_ELIMIT, "/entries", "a latency table holds at most %d entries",
                       LATENCY_ENTRIES_MAX);
    int capacity = table->capacity ? 2 * table->capacity : 64;
    struct latency_entry *entries =
        realloc(table->entries, (size_t)capacity * sizeof *table->entries);
    if (!entries)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for latency entries");
    table->entries = entries;
    table->capacity = capacity;
    return 0;
}

int latency_table_put(struct latency_table *table, const struct latency_entry *entry,
                      struct err *err) {
    int code = check_entry(entry, err);
    if (code < 0)
        return code;
    int64_t i = find_index(table, entry->signature);
    if (i >= 0) {
        table->entries[i] = *entry;
        return 0;
    }
    code = reserve(table, err);
    if (code < 0)
        return code;
    uint64_t hash = map_hash(entry->signature, strlen(entry->signature));
    if (map_add(&table->by_signature, hash, (uint32_t)table->n) < 0)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for latency entries");
    table->entries[table->n++] = *entry;
    return 0;
}

int latency_table_missing(const struct latency_table *table, const struct unit_list *units,
                          int *ret_missing) {
    int missing = 0;
    for (int i = 0; i < units->n; i++) {
        if (latency_table_find(table, units->entries[i].signature))
            continue;
        if (ret_missing)
            ret_missing[missing] = i;
        missing++;
    }
    return missing;
}

static bool add_entry_json(cJSON *list, const struct latency_entry *e) {
    cJSON *item = cJSON_CreateObject();
    bool ok = item && cJSON_AddStringToObject(item, "signature", e->signature) &&
              cJSON_AddNumberToObject(item, "median_us", e->median_us) &&
              cJSON_AddNumberToObject(item, "low_us", e->low_us) &&
              cJSON_AddNumberToObject(item, "high_us", e->high_us) &&
              cJSON_AddNumberToObject(item, "sd_us", e->sd_us) &&
              cJSON_AddNumberToObject(item, "n", (double)e->n) &&
              cJSON_AddNumberToObject(item, "method", e->method) &&
              cJSON_AddItemToArray(list, item);
    if (!ok)
        cJSON_Delete(item);
    return ok;
}

cJSON *latency_table_to_json(const struct latency_table *table) {
    cJSON *doc = cJSON_CreateObject();
    cJSON *list = NULL;
    if (!doc || !cJSON_AddStringToObject(doc, "profile_revision", table->profile_revision))
        goto fail;
    list = cJSON_AddArrayToObject(doc, "entries");
    if (!list)
        goto fail;
    for (int i = 0; i < table->n; i++)
        if (!add_entry_json(list, &table->entries[i]))
            goto fail;
    return doc;
fail:
    cJSON_Delete(doc);
    return NULL;
}

static int read_entry(const cJSON *item, const char *at, struct err *err,
                      struct latency_entry *ret_entry) {
    static const char *const keys[] = {"signature", "median_us", "low_us", "high_us",
                                       "sd_us",     "n",         "method", NULL};
    struct latency_entry e = {0};
    const char *signature;
    int64_t method;
    int code = json_only(item, at, keys, err);
    if (code == 0)
        code = json_string(item, at, "signature", 1, GRAPH_SIGNATURE_MAX - 1, err, &signature);
    if (code == 0)
        code = json_real(item, at, "median_us", 0, LATENCY_US_MAX, err, &e.median_us);
    if (code == 0)
        code = json_real(item, at, "low_us", 0, LATENCY_US_MAX, err, &e.low_us);
    if (code == 0)
        code = json_real(item, at, "high_us", 0, LATENCY_US_MAX, err, &e.high_us);
    if (code == 0)
        code = json_real(item, at, "sd_us", 0, LATENCY_US_MAX, err, &e.sd_us);
    if (code == 0)
        code = json_int(item, at, "n", 1, INT64_C(1) << 40, err, &e.n);
    if (code == 0)
        code = json_int(item, at, "method", 1, 1000000, err, &method);
    if (code < 0)
        return code;
    snprintf(e.signature, sizeof e.signature, "%s", signature);
    e.method = (int)method;
    *ret_entry = e;
    return 0;
}

static int read_entries(const cJSON *list, const char *at, struct latency_table *table,
                        struct err *err) {
    const cJSON *item;
    int i = 0;
    cJSON_ArrayForEach(item, list) {
        char pointer[256];
        struct latency_entry entry;
        snprintf(pointer, sizeof pointer, "%.100s/entries/%d", at, i++);
        int code = read_entry(item, pointer, err, &entry);
        if (code < 0)
            return code;
        if (latency_table_find(table, entry.signature))
            return err_set(err, ESP_EINVAL, pointer, "the signature %s stands here twice",
                           entry.signature);
        struct err inner = {0};
        code = latency_table_put(table, &entry, &inner);
        if (code < 0) {
            char member[256];
            snprintf(member, sizeof member, "%.120s%.100s", pointer, inner.pointer);
            return err_set(err, code, member, "%s", inner.message);
        }
    }
    return 0;
}

int latency_table_from_json(const cJSON *doc, const char *at, struct err *err,
                            struct latency_table **ret_table) {
    static const char *const keys[] = {"profile_revision", "entries", NULL};
    struct latency_table *table = NULL;
    const char *revision;
    const cJSON *list;
    int code = json_only(doc, at, keys, err);
    if (code == 0)
        code =
            json_string(doc, at, "profile_revision", 1, LATENCY_REVISION_MAX - 1, err, &revision);
    if (code == 0)
        code = json_array(doc, at, "entries", 0, LATENCY_ENTRIES_MAX, err, &list);
    if (code == 0)
        code = latency_table_create(revision, err, &table);
    if (code == 0)
        code = read_entries(list, at, table, err);
    if (code < 0) {
        latency_table_destroy(table);
        return code;
    }
    *ret_table = table;
    return 0;
}
