/* What users may set of a strategy, by the table of its type. */
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "search/strategy.h"

const char *const strategy_option_kind_names[] = {"int", "real", NULL};

static int count(const struct strategy_type *type) {
    int n = 0;
    while (type->options && type->options[n].name)
        n++;
    return n;
}

void strategy_options_default(const struct strategy_type *type,
                              double ret_options[STRATEGY_OPTIONS_MAX]) {
    int n = count(type);
    for (int i = 0; i < STRATEGY_OPTIONS_MAX; i++)
        ret_options[i] = i < n ? type->options[i].fallback : 0;
}

static int read_option(const struct strategy_option *row, const cJSON *doc, const char *at,
                       struct err *err, double *ret) {
    int64_t whole = (int64_t)*ret;
    if (row->kind == STRATEGY_OPTION_REAL)
        return json_real_opt(doc, at, row->name, row->min, row->max, err, ret);
    int code = json_int_opt(doc, at, row->name, (int64_t)row->min, (int64_t)row->max, err, &whole);
    *ret = (double)whole;
    return code;
}

static int check_names(const struct strategy_type *type, const cJSON *doc, const char *at,
                       struct err *err) {
    const char *names[STRATEGY_OPTIONS_MAX + 1] = {NULL};
    char pointer[160];
    int n = count(type);
    for (int i = 0; i < n; i++)
        names[i] = type->options[i].name;
    if (n > 0 || !doc->child)
        return json_only(doc, at, names, err);
    snprintf(pointer, sizeof pointer, "%.80s/%.64s", at,
             doc->child->string ? doc->child->string : "");
    return err_set(err, ESP_EINVAL, pointer, "the strategy %s has no options", type->name);
}

int strategy_options_read(const struct strategy_type *type, const cJSON *doc, const char *at,
                          struct err *err, double ret_options[STRATEGY_OPTIONS_MAX]) {
    double options[STRATEGY_OPTIONS_MAX];
    strategy_options_default(type, options);
    int n = count(type), code = 0;
    if (doc && !cJSON_IsNull(doc)) {
        code = check_names(type, doc, at, err);
        for (int i = 0; i < n && code == 0; i++)
            code = read_option(&type->options[i], doc, at, err, &options[i]);
    }
    for (int i = 0; i < STRATEGY_OPTIONS_MAX && code == 0; i++)
        ret_options[i] = options[i];
    return code;
}

cJSON *strategy_options_to_json(const struct strategy_type *type, const double *options) {
    cJSON *doc = cJSON_CreateObject();
    int n = count(type);
    bool ok = doc != NULL;
    for (int i = 0; i < n && ok; i++)
        ok = cJSON_AddNumberToObject(doc, type->options[i].name, options[i]);
    if (ok)
        return doc;
    cJSON_Delete(doc);
    return NULL;
}
