/* What the query of a request says: parameters, pages of lists, dry runs. */
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "base/parameter.h"
#include "daemon/api.h"
#include "daemon/ids.h"

const char *api_query(const struct api_call *call, const char *name) {
    for (int i = 0; i < call->n_queries; i++)
        if (strcmp(call->queries[i].name, name) == 0)
            return call->queries[i].value;
    return NULL;
}

int api_query_int(const struct api_call *call, const char *name, int64_t min, int64_t max,
                  struct err *err, int64_t *ret) {
    return web_parse_int(name, api_query(call, name), min, max, err, ret);
}

int api_query_word(const struct api_call *call, const char *name, const char *const *words,
                   struct err *err) {
    const char *value = api_query(call, name);
    char choice[480];
    for (int i = 0; value != NULL && words[i] != NULL; i++)
        if (strcmp(words[i], value) == 0)
            return 0;
    if (value == NULL)
        return 0;
    nearest_choice(words, value, choice, sizeof(choice));
    return parameter_refuse(err, ESP_EPARSE, name, " must be %s", choice);
}

int api_of_query(int r, const char *name, struct err *err) {
    if (err != NULL && (r == ESP_ENOTFOUND || r == ESP_EINVAL || r == ESP_EPARSE))
        snprintf(err->pointer, sizeof(err->pointer), "?%s", name);
    return r;
}

bool api_is_dry(const struct api_call *call) {
    const char *dry = api_query(call, "dry_run");
    return dry != NULL && strcmp(dry, "true") == 0;
}

int api_check_dry_run(const struct api_call *call, struct err *err) {
    int r = api_query_word(call, "dry_run", (const char *const[]){"true", "false", NULL}, err);
    return r == 0 && api_is_dry(call) && call->key != NULL
               ? err_set(err, ESP_EPARSE, "?dry_run", "with dry_run there is no Idempotency-Key")
               : r;
}

int api_page_sized(const struct api_call *call, struct err *err, struct sql_page_args *ret_page) {
    ret_page->after = api_query(call, "after");
    ret_page->size = API_PAGE_DEFAULT;
    return api_query_int(call, "page_size", 1, API_PAGE_MAX, err, &ret_page->size);
}

int api_no_cursor(const char *after, struct err *err) {
    return parameter_refuse(err, ESP_EPARSE, "after",
                            " must be the \"next\" of a page of this list, not \"%.60s\"", after);
}

int api_page(const struct api_call *call, const char *prefix, struct err *err,
             struct sql_page_args *ret_page) {
    int r = api_page_sized(call, err, ret_page);
    const char *after = ret_page->after;
    return r == 0 && after != NULL && !id_is(after, prefix) ? api_no_cursor(after, err) : r;
}

int api_page_numbered(const struct api_call *call, struct err *err,
                      struct sql_page_args *ret_page) {
    int64_t number = 0;
    int r = api_page_sized(call, err, ret_page);
    return r != 0 ? r : api_query_int(call, "after", 1, INT64_MAX, err, &number);
}
