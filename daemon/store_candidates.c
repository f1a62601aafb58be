/* Candidates and fronts as a search's job tells them (what is asked of them: store_fronts.c). A
 * changed candidate gets the next revision of its search, so a reader that asks behind the last
 * revision it has seen misses nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/store_calibrations.h"
#include "daemon/store_searches.h"
#include "search/objective.h"

static int next_revision(struct sql *sql, const char *search, struct err *err, int64_t *ret) {
    *ret = 0;
    int r = sql_get_int(sql, err, ret, NULL,
                        "SELECT max(revision) FROM candidates WHERE search = ?1", "t", search);
    ++*ret;
    return r;
}

static bool is_predicted(const char *source) {
    int found = metric_source_find(source, strlen(source));
    return found >= 0 && metric_kind((enum metric_source)found) == METRIC_PREDICTED;
}

/* The metrics that were predictions before and are not any more. */
static cJSON *superseded(const cJSON *old, const cJSON *new, cJSON *predicted) {
    const cJSON *metric;
    cJSON_ArrayForEach(metric, old) {
        const cJSON *now = cJSON_GetObjectItemCaseSensitive(new, metric->string);
        const char *before = cJSON_GetStringValue(cJSON_GetObjectItem(metric, "source"));
        const char *after = cJSON_GetStringValue(cJSON_GetObjectItem(now, "source"));
        if (before == NULL || after == NULL || !is_predicted(before) || is_predicted(after))
            continue;
        cJSON_DeleteItemFromObjectCaseSensitive(predicted, metric->string);
        cJSON_AddItemToObject(predicted, metric->string, cJSON_Duplicate(metric, true));
    }
    return predicted;
}

struct candidate {
    const char *arch_id, *arch, *strategy;
    const cJSON *metrics;
    const char *text;                /* of metrics */
    const char *origin, *parents[2]; /* NULL: not told; parents by arch_id */
    int64_t generation;
    bool feasible;
};

static int insert_candidate(struct sql *sql, const char *search, const struct candidate *c,
                            int64_t revision, struct err *err) {
    return sql_run(sql, err, NULL,
                   "INSERT INTO candidates (search, strategy, arch_id, arch, generation, feasible, "
                   "metrics, predicted, revision, origin, first_parent, second_parent) VALUES (?1, "
                   "?2, ?3, ?4, ?5, ?6, ?7, '{}', ?8, ?9, ?10, ?11)",
                   "ttttiitittt", search, c->strategy, c->arch_id, c->arch, c->generation,
                   (int64_t)c->feasible, c->text, revision, c->origin, c->parents[0],
                   c->parents[1]);
}

static int update_candidate(struct sql *sql, const char *search, const struct candidate *c,
                            const cJSON *row, int64_t revision, struct err *err) {
    const char *old_text = cJSON_GetStringValue(cJSON_GetObjectItem(row, "metrics"));
    const char *predicted_text = cJSON_GetStringValue(cJSON_GetObjectItem(row, "predicted"));
    cJSON *old = cJSON_Parse(old_text), *predicted = cJSON_Parse(predicted_text);
    char *kept = json_print(superseded(old, c->metrics, predicted));
    int r = sql_run(sql, err, NULL,
                    "UPDATE candidates SET feasible = ?4, metrics = ?5, predicted = ?6, revision = "
                    "?7 WHERE search = ?1 AND arch_id = ?2 AND strategy = ?3",
                    "tttitti", search, c->arch_id,
                    cJSON_GetStringValue(cJSON_GetObjectItem(row, "strategy")),
                    (int64_t)c->feasible, c->text, kept, revision);
    free(kept);
    cJSON_Delete(old);
    cJSON_Delete(predicted);
    return r;
}

/* As when a search that goes on runs through what it had. */
static bool is_as_before(const struct candidate *c, const cJSON *row) {
    const char *before = cJSON_GetStringValue(cJSON_GetObjectItem(row, "metrics"));
    return cJSON_GetNumberValue(cJSON_GetObjectItem(row, "feasible")) == (double)c->feasible &&
           strcmp(before, c->text) == 0;
}

/* An arch that two strategies found has two rows, and one set of metrics. */
static int put_candidate(struct sql *sql, const char *search, const struct candidate *c,
                         int64_t *revision, struct err *err) {
    cJSON *rows = NULL;
    const cJSON *row;
    bool own = false;
    int r =
        sql_get_rows(sql, err, &rows,
                     "SELECT strategy, feasible, metrics, predicted FROM candidates WHERE search = "
                     "?1 AND arch_id = ?2",
                     "tt", search, c->arch_id);
    cJSON_ArrayForEach(row, rows) {
        own |= strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(row, "strategy")), c->strategy) == 0;
        if (r == 0 && !is_as_before(c, row))
            r = update_candidate(sql, search, c, row, (*revision)++, err);
    }
    if (r == 0 && !own)
        r = insert_candidate(sql, search, c, (*revision)++, err);
    cJSON_Delete(rows);
    return r;
}

static int announce_candidates(struct store_tx *tx, const char *search, struct err *err) {
    int64_t total = 0;
    int r = sql_get_int(store_tx_sql(tx), err, &total, NULL,
                        "SELECT count(*) FROM candidates WHERE search = ?1", "t", search);
    if (r != 0)
        return r;
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "search", search);
    cJSON_AddNumberToObject(doc, "total", (double)total);
    r = store_tx_event(tx, err, "candidates", doc);
    cJSON_Delete(doc);
    return r;
}

static int read_origin(const cJSON *item, const char *at, struct err *err, struct candidate *ret) {
    const cJSON *parents = cJSON_GetObjectItemCaseSensitive(item, "parents"), *parent;
    int n = 0;
    ret->origin = ret->parents[0] = ret->parents[1] = NULL;
    int r = json_string_opt(item, at, "origin", 1, 32, err, &ret->origin);
    if (r == 0 && parents != NULL)
        r = json_array(item, at, "parents", 0, 2, err, &parents);
    if (r != 0)
        return r;
    cJSON_ArrayForEach(parent, parents) {
        if (!cJSON_IsString(parent) || strlen(parent->valuestring) > 64)
            return err_set(err, ESP_EINVAL, at, "parents must be arch_ids");
        ret->parents[n++] = parent->valuestring;
    }
    return 0;
}

static int read_candidate(const cJSON *item, const char *at, struct err *err,
                          struct candidate *ret) {
    int r = json_string(item, at, "arch_id", 1, 64, err, &ret->arch_id);
    if (r == 0)
        r = json_string(item, at, "arch", 1, 2048, err, &ret->arch);
    if (r == 0)
        r = json_bool(item, at, "feasible", err, &ret->feasible);
    if (r == 0)
        r = json_object(item, at, "metrics", err, &ret->metrics);
    return r == 0 ? read_origin(item, at, err, ret) : r;
}

int store_candidates_add(struct store_tx *tx, const char *search, const cJSON *data,
                         struct err *err) {
    struct candidate c = {.strategy = NULL};
    const cJSON *items, *item;
    int64_t revision = 0;
    int i = 0;
    int r = json_string(data, "", "strategy", 1, 64, err, &c.strategy);
    if (r == 0)
        r = json_int(data, "", "generation", 0, INT32_MAX, err, &c.generation);
    if (r == 0)
        r = json_array(data, "", "items", 0, 1000000, err, &items);
    if (r == 0)
        r = next_revision(store_tx_sql(tx), search, err, &revision);
    if (r != 0)
        return r;
    cJSON_ArrayForEach(item, items) {
        char at[32];
        snprintf(at, sizeof(at), "/items/%d", i++);
        r = read_candidate(item, at, err, &c);
        char *text = r == 0 ? json_print(c.metrics) : NULL;
        c.text = text;
        if (r == 0 && text == NULL)
            r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
        if (r == 0)
            r = put_candidate(store_tx_sql(tx), search, &c, &revision, err);
        free(text);
        if (r != 0)
            return r;
    }
    return announce_candidates(tx, search, err);
}

/* Marks who is on the newest front; only those that change get a new revision. */
static int mark_front(struct sql *sql, const char *search, const char *arch_ids, struct err *err) {
    cJSON *changed = NULL;
    const cJSON *row;
    int64_t revision = 0;
    int r =
        sql_get_rows(sql, err, &changed,
                     "SELECT arch_id, strategy, NOT on_front AS on_front FROM candidates WHERE "
                     "search = ?1 AND on_front <> (arch_id IN (SELECT value FROM json_each(?2)))",
                     "tt", search, arch_ids);
    if (r == 0)
        r = next_revision(sql, search, err, &revision);
    cJSON_ArrayForEach(row, changed) {
        if (r == 0)
            r = sql_run(sql, err, NULL,
                        "UPDATE candidates SET on_front = ?4, revision = ?5 WHERE search = ?1 AND "
                        "arch_id = ?2 AND strategy = ?3",
                        "tttii", search, cJSON_GetStringValue(cJSON_GetObjectItem(row, "arch_id")),
                        cJSON_GetStringValue(cJSON_GetObjectItem(row, "strategy")),
                        (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(row, "on_front")),
                        revision++);
    }
    cJSON_Delete(changed);
    return r;
}

static int announce_front(struct store_tx *tx, const char *search, int64_t version,
                          const char *stage, struct err *err) {
    cJSON *doc = cJSON_CreateObject();
    cJSON_AddStringToObject(doc, "search", search);
    cJSON_AddNumberToObject(doc, "version", (double)version);
    cJSON_AddStringToObject(doc, "stage", stage);
    int r = store_tx_event(tx, err, "front", doc);
    cJSON_Delete(doc);
    return r;
}

static int insert_front(struct store_tx *tx, const char *search, const cJSON *data,
                        const char *arch_ids, struct err *err) {
    const char *stage, *profile = "";
    const cJSON *reference;
    const cJSON *volume = cJSON_GetObjectItemCaseSensitive(data, "hypervolume");
    int64_t version, calibration = 0;
    int r = json_int(data, "", "version", 0, INT32_MAX, err, &version);
    if (r == 0)
        r = json_string(data, "", "stage", 1, 32, err, &stage);
    if (r == 0)
        r = json_int_opt(data, "", "calibration_version", 0, INT32_MAX, err, &calibration);
    if (r == 0)
        r = json_string_opt(data, "", "profile_id", 0, ID_MAX - 1, err, &profile);
    if (r == 0)
        r = json_object(data, "", "reference_point", err, &reference);
    if (r != 0)
        return r;
    char *point = json_print(reference);
    r = sql_run(
        store_tx_sql(tx), err, NULL,
        "INSERT INTO fronts (search, version, stage, hypervolume, calibration_version, "
        "reference_point, arch_ids, created_us) VALUES (?1, ?2, ?3, ?4, coalesce((SELECT version "
        "FROM calibrations WHERE search = ?1 AND profile = ?9 AND told = ?5 ORDER "
        "BY " CALIBRATIONS_NEWEST_FIRST " LIMIT 1), ?5), ?6, ?7, ?8) ON "
        "CONFLICT DO UPDATE SET stage = excluded.stage, hypervolume = excluded.hypervolume, "
        "calibration_version = excluded.calibration_version, reference_point = "
        "excluded.reference_point, arch_ids = excluded.arch_ids",
        "titrittit", search, version, stage,
        cJSON_IsNumber(volume) ? volume->valuedouble : __builtin_nan(""), calibration, point,
        arch_ids, store_tx_now_us(tx), profile);
    free(point);
    if (r == 0)
        r = mark_front(store_tx_sql(tx), search, arch_ids, err);
    if (r == 0)
        r = announce_front(tx, search, version, stage, err);
    return r != 0 ? r : store_search_set_stage(tx, search, stage, err);
}

int store_front_add(struct store_tx *tx, const char *search, const cJSON *data, struct err *err) {
    const cJSON *arch_ids;
    int r = json_array(data, "", "arch_ids", 0, 1000000, err, &arch_ids);
    if (r != 0)
        return r;
    char *text = json_print(arch_ids);
    if (text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    r = insert_front(tx, search, data, text, err);
    free(text);
    return r;
}
