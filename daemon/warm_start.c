#include "daemon/warm_start.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "daemon/job_spec.h"
#include "daemon/store_searches.h"

enum { SEARCHES_MAX = 16, ARCHS_MAX = 1000, ALL_MAX = 10000 };

struct list {
    const struct space *space;
    cJSON *archs;
};

static bool has(const cJSON *archs, const char *text) {
    const cJSON *item;
    cJSON_ArrayForEach(item, archs) {
        if (strcmp(item->valuestring, text) == 0)
            return true;
    }
    return false;
}

static int add(void *context, const struct job_spec_arch *arch, struct err *err) {
    struct list *list = context;
    if (has(list->archs, arch->text))
        return 0;
    if (cJSON_GetArraySize(list->archs) >= ALL_MAX)
        return err_set(err, ESP_ELIMIT, "/warm_start", "more than %d subnets to begin with",
                       ALL_MAX);
    return cJSON_AddItemToArray(list->archs, cJSON_CreateString(arch->text))
               ? 0
               : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* Of a front; one of another resolution than the models of this search know is left out. */
static int add_front(struct list *list, const cJSON *front, struct err *err) {
    const cJSON *row;
    int r = 0;
    cJSON_ArrayForEach(row, front) {
        char text[ARCH_TEXT_MAX], id[HASH_TEXT];
        struct err left_out = {0};
        const char *arch = cJSON_GetStringValue(cJSON_GetObjectItem(row, "arch"));
        if (r == 0 && job_spec_arch(list->space, arch, "", &left_out, text, id) == 0)
            r = add(list, &(struct job_spec_arch){text, id, "/warm_start"}, err);
    }
    return r;
}

static int add_search(struct sql *sql, const char *ref, const char *fingerprint,
                      const char *pointer, struct err *err, struct list *list, cJSON *ids) {
    struct search_front front = {.archs = NULL};
    int r = store_search_front(sql, ref, err, &front);
    if (r != 0)
        return err_set(err, r, pointer, "there is no search \"%.60s\"", ref);
    if (strcmp(front.fingerprint, fingerprint) != 0)
        r = err_set(err, ESP_EMISMATCH, pointer, "\"%.60s\" is a search over another space", ref);
    else if (cJSON_GetArraySize(front.archs) == 0)
        r = err_set(err, ESP_ECONFLICT, pointer, "the search \"%.60s\" has no front yet", ref);
    if (r == 0)
        r = add_front(list, front.archs, err);
    if (r == 0)
        cJSON_AddItemToArray(ids, cJSON_CreateString(front.id));
    cJSON_Delete(front.archs);
    return r;
}

static int add_searches(struct sql *sql, const cJSON *given, const char *fingerprint,
                        struct err *err, struct list *list, cJSON *ids) {
    const cJSON *searches = NULL, *item;
    char pointer[64];
    int i = 0, r = 0;
    if (json_has(given, "searches"))
        r = json_array(given, "/warm_start", "searches", 1, SEARCHES_MAX, err, &searches);
    cJSON_ArrayForEach(item, searches) {
        snprintf(pointer, sizeof(pointer), "/warm_start/searches/%d", i++);
        if (r == 0 && !cJSON_IsString(item))
            r = err_set(err, ESP_EINVAL, pointer, "a search is named by its id or name");
        if (r == 0)
            r = add_search(sql, item->valuestring, fingerprint, pointer, err, list, ids);
    }
    return r;
}

/* Errors of job_spec_each_arch point at /archs/N. */
static int add_named(const cJSON *given, struct err *err, struct list *list) {
    const cJSON *archs = NULL;
    char pointer[sizeof err->pointer];
    if (!json_has(given, "archs"))
        return 0;
    int r = json_array(given, "/warm_start", "archs", 1, ARCHS_MAX, err, &archs);
    if (r != 0)
        return r;
    r = job_spec_each_arch(list->space, archs, list, add, err);
    if (r != 0 && err != NULL && strncmp(err->pointer, "/archs", 6) == 0) {
        snprintf(pointer, sizeof(pointer), "%s", err->pointer);
        snprintf(err->pointer, sizeof(err->pointer), "/warm_start%.200s", pointer);
    }
    return r;
}

int warm_start_take(struct sql *sql, const struct space *space, const char *fingerprint,
                    cJSON *body, struct err *err, cJSON **ret_archs) {
    static const char *const keys[] = {"searches", "archs", NULL};
    struct list list = {.space = space, .archs = cJSON_CreateArray()};
    const cJSON *given = NULL;
    cJSON *ids = cJSON_CreateArray();
    int r = 0;
    if (json_has(body, "warm_start"))
        r = json_object(body, "", "warm_start", err, &given);
    if (r == 0 && given != NULL)
        r = json_only(given, "/warm_start", keys, err);
    if (r == 0 && given != NULL && !json_has(given, "searches") && !json_has(given, "archs"))
        r = err_set(err, ESP_EINVAL, "/warm_start", "name searches, or archs");
    if (r == 0 && given != NULL)
        r = add_searches(sql, given, fingerprint, err, &list, ids);
    if (r == 0 && given != NULL)
        r = add_named(given, err, &list);
    if (r != 0 || given == NULL) {
        cJSON_Delete(ids);
        cJSON_Delete(list.archs);
        return r;
    }
    if (cJSON_GetArraySize(ids) > 0)
        cJSON_ReplaceItemInObjectCaseSensitive((cJSON *)given, "searches", ids);
    else
        cJSON_Delete(ids);
    *ret_archs = list.archs;
    return 0;
}
