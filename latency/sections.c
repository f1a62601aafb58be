#include "latency/sections.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

void latency_sections_finish(struct latency_sections *sections) {
    for (int i = 0; i < sections->n; i++)
        latency_table_destroy(sections->items[i].table);
    *sections = (struct latency_sections){.n = 0};
}

static int refuse(struct latency_table *table, int code, struct err *err, const char *text,
                  int number) {
    latency_table_destroy(table);
    return err_set(err, code, "/resolution", text, number);
}

int latency_sections_put(struct latency_sections *sections, int resolution,
                         struct latency_table *table, struct err *err) {
    int at = 0;
    if (resolution < 1 || resolution > SPACE_INPUT_MAX)
        return refuse(table, ESP_EINVAL, err, "%d pixels are no resolution", resolution);
    while (at < sections->n && sections->items[at].resolution < resolution)
        at++;
    if (at < sections->n && sections->items[at].resolution == resolution)
        return refuse(table, ESP_EINVAL, err, "there are two tables for %d pixels", resolution);
    if (sections->n == LATENCY_SECTIONS_MAX)
        return refuse(table, ESP_ELIMIT, err, "at most %d resolutions", LATENCY_SECTIONS_MAX);
    memmove(&sections->items[at + 1], &sections->items[at],
            (size_t)(sections->n - at) * sizeof(sections->items[0]));
    sections->items[at] = (struct latency_section){resolution, table};
    sections->n++;
    return 0;
}

const struct latency_table *latency_sections_find(const struct latency_sections *sections,
                                                  int resolution) {
    for (int i = 0; i < sections->n; i++)
        if (sections->items[i].resolution == resolution)
            return sections->items[i].table;
    return NULL;
}

static bool add_section(cJSON *list, const struct latency_section *section) {
    cJSON *item = cJSON_CreateObject(), *table = latency_table_to_json(section->table);
    bool ok =
        item && table && cJSON_AddNumberToObject(item, "resolution", section->resolution) != NULL;
    if (ok && cJSON_AddItemToObject(item, "table", table))
        table = NULL;
    ok = ok && !table && cJSON_AddItemToArray(list, item);
    if (!ok)
        cJSON_Delete(item);
    cJSON_Delete(table);
    return ok;
}

cJSON *latency_sections_to_json(const struct latency_sections *sections) {
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; list && i < sections->n; i++)
        if (!add_section(list, &sections->items[i])) {
            cJSON_Delete(list);
            return NULL;
        }
    return list;
}

static int read_section(const cJSON *item, const char *at, struct err *err,
                        struct latency_sections *sections) {
    static const char *const keys[] = {"resolution", "table", NULL};
    const cJSON *doc = NULL;
    struct latency_table *table;
    int64_t resolution;
    char pointer[160];
    int code = json_only(item, at, keys, err);
    if (code == 0)
        code = json_int(item, at, "resolution", 1, SPACE_INPUT_MAX, err, &resolution);
    if (code == 0)
        code = json_object(item, at, "table", err, &doc);
    snprintf(pointer, sizeof pointer, "%.120s/table", at);
    if (code == 0)
        code = latency_table_from_json(doc, pointer, err, &table);
    if (code == 0 && (code = latency_sections_put(sections, (int)resolution, table, err)) < 0 &&
        err)
        snprintf(err->pointer, sizeof err->pointer, "%.120s/resolution", at);
    return code;
}

int latency_sections_from_json(const cJSON *list, const char *at, struct err *err,
                               struct latency_sections *ret) {
    struct latency_sections sections = {.n = 0};
    const cJSON *item;
    int code = 0, i = 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) < 1)
        return err_set(err, ESP_EINVAL, at, "must be a list of at least one section");
    cJSON_ArrayForEach(item, list) {
        char pointer[160];
        snprintf(pointer, sizeof pointer, "%.100s/%d", at, i++);
        if ((code = read_section(item, pointer, err, &sections)) < 0)
            break;
    }
    if (code == 0)
        *ret = sections;
    else
        latency_sections_finish(&sections);
    return code;
}
