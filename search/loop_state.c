/* Saved form of a search loop. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "search/loop_private.h"

enum { STATE_VERSION = 2 };

/* [value, low, high, source], null when not known. */
static cJSON *save_metric(const struct metric *m) {
    if (isnan(m->value))
        return cJSON_CreateNull();
    double numbers[] = {m->value, m->low, m->high, m->source};
    return cJSON_CreateDoubleArray(numbers, 4);
}

static int load_metric(const cJSON *item, const char *at, struct err *err,
                       struct metric *ret_metric) {
    double numbers[4];
    int n = 0;
    const cJSON *number;
    if (cJSON_IsNull(item)) {
        *ret_metric = (struct metric){NAN, NAN, NAN, METRIC_COUNTED};
        return 0;
    }
    cJSON_ArrayForEach(number, item) {
        if (n == 4 || !cJSON_IsNumber(number))
            n = 5;
        if (n < 4)
            numbers[n++] = number->valuedouble;
    }
    if (n != 4 || !(numbers[3] >= METRIC_COUNTED && numbers[3] <= METRIC_INTERPOLATED))
        return err_set(err, ESP_EINVAL, at, "must be null or [value, low, high, source]");
    *ret_metric =
        (struct metric){numbers[0], numbers[1], numbers[2], (enum metric_source)numbers[3]};
    return 0;
}

static bool add_to_array(cJSON *list, cJSON *item) {
    if (list && item && cJSON_AddItemToArray(list, item))
        return true;
    cJSON_Delete(item);
    return false;
}

static cJSON *save_parents(const struct candidate *c) {
    int n = 0;
    while (n < ORIGIN_PARENTS_MAX && c->parents[n] >= 0)
        n++;
    return cJSON_CreateIntArray(c->parents, n);
}

static bool save_candidate(const struct archive *archive, int index, cJSON *list) {
    const struct candidate *c = &archive->candidates[index];
    char text[ARCH_TEXT_MAX];
    cJSON *doc = cJSON_CreateObject(), *metrics = NULL, *parents = save_parents(c);
    arch_format(archive->space, &c->arch, text);
    bool ok = doc && cJSON_AddStringToObject(doc, "arch", text) &&
              cJSON_AddNumberToObject(doc, "generation", c->generation) &&
              cJSON_AddStringToObject(doc, "origin", origin_names[c->origin]) &&
              (!c->failed || cJSON_AddTrueToObject(doc, "failed")) &&
              (metrics = cJSON_AddArrayToObject(doc, "metrics"));
    for (int i = 0; ok && i < archive->goals->n_metrics; i++)
        ok = add_to_array(metrics, save_metric(&archive_metrics(archive, index)[i]));
    if (ok && parents && cJSON_AddItemToObject(doc, "parents", parents))
        return add_to_array(list, doc);
    cJSON_Delete(parents);
    cJSON_Delete(doc);
    return false;
}

static bool save_entry(const struct log_entry *entry, cJSON *list) {
    cJSON *doc = cJSON_CreateObject(), *value = save_metric(&entry->value);
    bool ok = doc && value && cJSON_AddNumberToObject(doc, "generation", entry->generation) &&
              cJSON_AddNumberToObject(doc, "candidate", entry->candidate) &&
              cJSON_AddNumberToObject(doc, "metric", entry->metric) &&
              cJSON_AddStringToObject(doc, "reason", entry->reason) &&
              cJSON_AddItemToObject(doc, "value", value);
    if (ok)
        return add_to_array(list, doc);
    cJSON_Delete(value);
    cJSON_Delete(doc);
    return false;
}

static bool save_keys(const struct goals *goals, cJSON *doc) {
    cJSON *list = cJSON_AddArrayToObject(doc, "metrics");
    bool ok = list;
    for (int i = 0; ok && i < goals->n_metrics; i++)
        ok = add_to_array(list, cJSON_CreateString(goals->keys[i]));
    return ok;
}

cJSON *search_loop_save(const struct search_loop *loop) {
    cJSON *doc = cJSON_CreateObject(), *candidates = NULL, *log = NULL;
    cJSON *strategy = strategy_save(loop->strategy);
    bool ok = doc && strategy && cJSON_AddNumberToObject(doc, "version", STATE_VERSION) &&
              cJSON_AddNumberToObject(doc, "generation", loop->generation) &&
              cJSON_AddNumberToObject(doc, "evaluations", (double)loop->evaluations) &&
              cJSON_AddBoolToObject(doc, "exhausted", loop->exhausted) &&
              save_keys(loop->config.goals, doc) &&
              (candidates = cJSON_AddArrayToObject(doc, "candidates")) &&
              (log = cJSON_AddArrayToObject(doc, "log"));
    for (int i = 0; ok && i < loop->archive.n; i++)
        ok = save_candidate(&loop->archive, i, candidates);
    for (int i = 0; ok && i < loop->n_log; i++)
        ok = save_entry(&loop->log[i], log);
    ok = ok && cJSON_AddItemToObject(doc, "strategy", strategy);
    if (ok)
        return doc;
    cJSON_Delete(strategy);
    cJSON_Delete(doc);
    return NULL;
}

/* Parents stand before their children. */
static int load_origin(struct archive *archive, const cJSON *item, const char *at, int index,
                       struct err *err) {
    const cJSON *list, *parent;
    struct origin origin = {.n_parents = 0};
    int kind;
    int code = json_enum(item, at, "origin", origin_names, err, &kind);
    if (code == 0)
        code = json_array(item, at, "parents", 0, ORIGIN_PARENTS_MAX, err, &list);
    if (code < 0)
        return code;
    origin_set(&origin, (enum origin_kind)kind);
    cJSON_ArrayForEach(parent, list) {
        double number = cJSON_IsNumber(parent) ? parent->valuedouble : -1;
        if (!(number >= 0 && number < index && number == floor(number)))
            return err_set(err, ESP_EINVAL, at, "parents must be numbers of candidates before it");
        origin_add_parent(&origin, &archive->candidates[(int)number].arch);
    }
    archive_set_origin(archive, index, &origin);
    return 0;
}

static int load_candidate(struct search_loop *loop, const cJSON *item, const char *at,
                          struct err *err) {
    const struct goals *goals = loop->config.goals;
    struct metric metrics[METRICS_MAX];
    const char *text;
    const cJSON *list, *metric;
    struct arch arch;
    int64_t generation = 0;
    bool failed = false;
    int index, n = 0;
    int code = json_string(item, at, "arch", 1, ARCH_TEXT_MAX - 1, err, &text);
    if (code == 0)
        code = arch_parse(loop->config.space, text, strlen(text), err, &arch);
    if (code == 0)
        code = json_int(item, at, "generation", 0, SEARCH_EVALUATIONS_MAX, err, &generation);
    if (code == 0)
        code = json_bool_opt(item, at, "failed", err, &failed);
    if (code == 0)
        code = json_array(item, at, "metrics", goals->n_metrics, goals->n_metrics, err, &list);
    if (code < 0)
        return code;
    cJSON_ArrayForEach(metric, list) {
        code = load_metric(metric, at, err, &metrics[n++]);
        if (code < 0)
            return code;
    }
    code =
        archive_put(&loop->archive, &arch, failed ? NULL : metrics, (int)generation, err, &index);
    if (code == 0)
        return err_set(err, ESP_EINVAL, at, "a candidate stands here twice");
    return code < 0 ? code : load_origin(&loop->archive, item, at, index, err);
}

static int load_entry(struct search_loop *loop, const cJSON *item, const char *at,
                      struct err *err) {
    struct log_entry entry = {0};
    int64_t generation = 0, candidate = 0, metric = 0;
    const char *reason = "";
    int code = json_int(item, at, "generation", 0, SEARCH_EVALUATIONS_MAX, err, &generation);
    if (code == 0)
        code = json_int(item, at, "candidate", -1, loop->archive.n - 1, err, &candidate);
    if (code == 0)
        code = json_int(item, at, "metric", 0, METRICS_MAX - 1, err, &metric);
    if (code == 0)
        code = json_string(item, at, "reason", 0, sizeof entry.reason - 1, err, &reason);
    if (code == 0)
        code = load_metric(cJSON_GetObjectItemCaseSensitive(item, "value"), at, err, &entry.value);
    if (code < 0)
        return code;
    entry.generation = (int)generation;
    entry.candidate = (int)candidate;
    entry.metric = (int)metric;
    snprintf(entry.reason, sizeof entry.reason, "%s", reason);
    return search_loop_log(loop, &entry, err);
}

typedef int load_fn(struct search_loop *loop, const cJSON *item, const char *at, struct err *err);

static int load_list(struct search_loop *loop, const cJSON *doc, const char *at, const char *key,
                     load_fn *load, struct err *err) {
    const cJSON *list, *item;
    int i = 0;
    int code = json_array(doc, at, key, 0, SEARCH_EVALUATIONS_MAX, err, &list);
    if (code < 0)
        return code;
    cJSON_ArrayForEach(item, list) {
        char pointer[160];
        snprintf(pointer, sizeof pointer, "%.100s/%s/%d", at, key, i++);
        code = load(loop, item, pointer, err);
        if (code < 0)
            return code;
    }
    return 0;
}

static int check_keys(const struct goals *goals, const cJSON *doc, const char *at,
                      struct err *err) {
    const cJSON *list, *item;
    int i = 0;
    int code = json_array(doc, at, "metrics", 0, METRICS_MAX, err, &list);
    if (code < 0)
        return code;
    bool same = cJSON_GetArraySize(list) == goals->n_metrics;
    cJSON_ArrayForEach(item, list) {
        same = same && cJSON_IsString(item) && strcmp(item->valuestring, goals->keys[i++]) == 0;
    }
    return same ? 0
                : err_set(err, ESP_EMISMATCH, at, "this state is of a search with other metrics");
}

int search_loop_load(struct search_loop *loop, const cJSON *doc, const char *at, struct err *err) {
    int64_t version, generation = 0;
    char pointer[160];
    int code = json_int(doc, at, "version", 1, INT32_MAX, err, &version);
    if (code == 0 && version != STATE_VERSION)
        code = err_set(err, ESP_EVERSION, at, "this state has version %lld, known is %d",
                       (long long)version, STATE_VERSION);
    if (code == 0)
        code = json_int(doc, at, "generation", 0, SEARCH_EVALUATIONS_MAX, err, &generation);
    if (code == 0)
        code = json_int(doc, at, "evaluations", 0, SEARCH_EVALUATIONS_MAX, err, &loop->evaluations);
    if (code == 0)
        code = json_bool(doc, at, "exhausted", err, &loop->exhausted);
    if (code == 0)
        code = check_keys(loop->config.goals, doc, at, err);
    if (code == 0)
        code = load_list(loop, doc, at, "candidates", load_candidate, err);
    if (code == 0)
        code = load_list(loop, doc, at, "log", load_entry, err);
    if (code < 0)
        return code;
    loop->generation = (int)generation;
    snprintf(pointer, sizeof pointer, "%.140s/strategy", at);
    return strategy_load(loop->strategy, cJSON_GetObjectItemCaseSensitive(doc, "strategy"), pointer,
                         err);
}
