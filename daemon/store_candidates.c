/* Candidates and fronts: what a search's scatter shows. A changed candidate gets the next revision
 * of its search, so a reader that asks behind the last revision it has seen misses nothing. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/store_searches.h"
#include "daemon/store_supernets.h"

static int next_revision(struct sql *sql, const char *search, struct err *err, int64_t *ret) {
    *ret = 0;
    int r = sql_get_int(sql, err, ret, NULL,
                        "SELECT max(revision) FROM candidates WHERE search = ?1", "t", search);
    ++*ret;
    return r;
}

/* The metrics that were predictions before and are not any more. */
static cJSON *superseded(const cJSON *old, const cJSON *new, cJSON *predicted) {
    const cJSON *metric;
    cJSON_ArrayForEach(metric, old) {
        const cJSON *now = cJSON_GetObjectItemCaseSensitive(new, metric->string);
        const char *before = cJSON_GetStringValue(cJSON_GetObjectItem(metric, "source"));
        const char *after = cJSON_GetStringValue(cJSON_GetObjectItem(now, "source"));
        if (before == NULL || after == NULL || strcmp(before, "predicted") != 0 ||
            strcmp(after, "predicted") == 0)
            continue;
        cJSON_DeleteItemFromObjectCaseSensitive(predicted, metric->string);
        cJSON_AddItemToObject(predicted, metric->string, cJSON_Duplicate(metric, true));
    }
    return predicted;
}

struct candidate {
    const char *arch_id, *arch, *strategy;
    const cJSON *metrics;
    const char *text; /* of metrics */
    int64_t generation;
    bool feasible;
};

static int insert_candidate(struct sql *sql, const char *search, const struct candidate *c,
                            int64_t revision, struct err *err) {
    return sql_run(sql, err, NULL,
                   "INSERT INTO candidates (search, strategy, arch_id, arch, generation, feasible, "
                   "metrics, predicted, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, '{}', ?8)",
                   "ttttiiti", search, c->strategy, c->arch_id, c->arch, c->generation,
                   (int64_t)c->feasible, c->text, revision);
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
        r = json_string(item, at, "arch_id", 1, 64, err, &c.arch_id);
        if (r == 0)
            r = json_string(item, at, "arch", 1, 2048, err, &c.arch);
        if (r == 0)
            r = json_bool(item, at, "feasible", err, &c.feasible);
        if (r == 0)
            r = json_object(item, at, "metrics", err, &c.metrics);
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
    const char *stage;
    const cJSON *reference;
    const cJSON *volume = cJSON_GetObjectItemCaseSensitive(data, "hypervolume");
    int64_t version, calibration = 0;
    int r = json_int(data, "", "version", 0, INT32_MAX, err, &version);
    if (r == 0)
        r = json_string(data, "", "stage", 1, 32, err, &stage);
    if (r == 0)
        r = json_int_opt(data, "", "calibration_version", 0, INT32_MAX, err, &calibration);
    if (r == 0)
        r = json_object(data, "", "reference_point", err, &reference);
    if (r != 0)
        return r;
    char *point = json_print(reference);
    r = sql_run(
        store_tx_sql(tx), err, NULL,
        "INSERT INTO fronts (search, version, stage, hypervolume, calibration_version, "
        "reference_point, arch_ids, created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON "
        "CONFLICT DO UPDATE SET stage = excluded.stage, hypervolume = excluded.hypervolume, "
        "calibration_version = excluded.calibration_version, reference_point = "
        "excluded.reference_point, arch_ids = excluded.arch_ids",
        "titritti", search, version, stage,
        cJSON_IsNumber(volume) ? volume->valuedouble : __builtin_nan(""), calibration, point,
        arch_ids, store_tx_now_us(tx));
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

/* Columns of one metric: as long as the rows before it, filled with null where a row lacks it. */
struct metric_columns {
    char key[96];
    int n;
    struct buf value, low, high, source;
};
enum { METRIC_COLUMNS_MAX = 32, PLAIN_COLUMNS = 7 };

struct columns {
    int n_rows, n_metrics;
    struct buf plain[PLAIN_COLUMNS];
    struct metric_columns *metrics;
};

static void add_item(struct buf *column, int row, const char *text) {
    if (row > 0)
        buf_append(column, ",", 1);
    buf_puts(column, text);
}

static void add_json(struct buf *column, int row, const cJSON *item) {
    char *text = item != NULL ? json_print(item) : NULL;
    add_item(column, row, text != NULL ? text : "null");
    free(text);
}

static void add_metric(struct metric_columns *m, const cJSON *metric) {
    add_json(&m->value, m->n, cJSON_GetObjectItemCaseSensitive(metric, "value"));
    add_json(&m->low, m->n, cJSON_GetObjectItemCaseSensitive(metric, "low"));
    add_json(&m->high, m->n, cJSON_GetObjectItemCaseSensitive(metric, "high"));
    add_json(&m->source, m->n, cJSON_GetObjectItemCaseSensitive(metric, "source"));
    m->n++;
}

static struct metric_columns *find_metric(struct columns *columns, const char *key) {
    for (int i = 0; i < columns->n_metrics; i++)
        if (strcmp(columns->metrics[i].key, key) == 0)
            return &columns->metrics[i];
    if (columns->n_metrics == METRIC_COLUMNS_MAX)
        return NULL;
    struct metric_columns *m = &columns->metrics[columns->n_metrics++];
    snprintf(m->key, sizeof(m->key), "%s", key);
    while (m->n < columns->n_rows)
        add_metric(m, NULL);
    return m;
}

static void add_metrics(struct columns *columns, const char *text) {
    cJSON *metrics = cJSON_Parse(text);
    const cJSON *metric;
    cJSON_ArrayForEach(metric, metrics) {
        struct metric_columns *m = find_metric(columns, metric->string);
        if (m != NULL && m->n == columns->n_rows)
            add_metric(m, metric);
    }
    columns->n_rows++;
    for (int i = 0; i < columns->n_metrics; i++)
        while (columns->metrics[i].n < columns->n_rows)
            add_metric(&columns->metrics[i], NULL);
    cJSON_Delete(metrics);
}

static void add_row(struct columns *columns, const struct sql_rows *rows) {
    cJSON *item;
    for (int i = 0; i < PLAIN_COLUMNS; i++) {
        if (i < 4)
            item = cJSON_CreateString(sql_text(rows, i));
        else if (i == 4)
            item = cJSON_CreateNumber((double)sql_int(rows, i));
        else
            item = cJSON_CreateBool(sql_int(rows, i) != 0);
        add_json(&columns->plain[i], columns->n_rows, item);
        cJSON_Delete(item);
    }
    add_metrics(columns, sql_text(rows, PLAIN_COLUMNS));
}

static void print_column(struct buf *out, const char *name, struct buf *column, bool last) {
    buf_printf(out, "\"%s\":[%s]%s", name, column->data == NULL ? "" : column->data,
               last ? "" : ",");
    if (column->error != 0)
        out->error = column->error;
}

static void print_metric(struct buf *out, struct metric_columns *m, bool first) {
    cJSON *key = cJSON_CreateString(m->key);
    char *text = json_print(key);
    buf_printf(out, "%s%s:{", first ? "" : ",", text);
    print_column(out, "value", &m->value, false);
    print_column(out, "low", &m->low, false);
    print_column(out, "high", &m->high, false);
    print_column(out, "source", &m->source, true);
    buf_puts(out, "}");
    free(text);
    cJSON_Delete(key);
}

static char *print_columns(struct columns *columns, int64_t total, int64_t cursor, bool more) {
    static const char *const names[PLAIN_COLUMNS] = {
        "id", "arch_id", "arch", "strategy", "generation", "feasible", "on_front"};
    struct buf out;
    buf_init(&out, 0);
    buf_puts(&out, "{\"columns\":{");
    for (int i = 0; i < PLAIN_COLUMNS; i++)
        print_column(&out, names[i], &columns->plain[i], false);
    buf_puts(&out, "\"metrics\":{");
    for (int i = 0; i < columns->n_metrics; i++)
        print_metric(&out, &columns->metrics[i], i == 0);
    buf_printf(&out, "}},\"total\":%lld,\"cursor\":\"%lld\",\"next\":", (long long)total,
               (long long)cursor);
    if (more)
        buf_printf(&out, "\"%lld\"}", (long long)cursor);
    else
        buf_puts(&out, "null}");
    char *text = buf_take(&out);
    buf_finish(&out);
    return text;
}

static void columns_finish(struct columns *columns) {
    for (int i = 0; i < PLAIN_COLUMNS; i++)
        buf_finish(&columns->plain[i]);
    for (int i = 0; columns->metrics != NULL && i < METRIC_COLUMNS_MAX; i++) {
        buf_finish(&columns->metrics[i].value);
        buf_finish(&columns->metrics[i].low);
        buf_finish(&columns->metrics[i].high);
        buf_finish(&columns->metrics[i].source);
    }
    free(columns->metrics);
}

int store_candidates(struct sql *sql, const char *search, const struct candidate_page *page,
                     struct err *err, char **ret_text) {
    struct columns columns = {.n_rows = 0};
    struct sql_rows rows;
    int64_t total = 0, cursor = page->after;
    bool more = false;
    columns.metrics = mem_array(METRIC_COLUMNS_MAX, sizeof(*columns.metrics));
    if (columns.metrics == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int r = sql_get_int(sql, err, &total, NULL,
                        "SELECT count(*) FROM candidates WHERE search = ?1 AND (?2 IS NULL OR "
                        "strategy = ?2)",
                        "tt", search, page->strategy);
    if (r != 0)
        goto out;
    for (sql_query(sql, &rows,
                   "SELECT arch_id || ':' || strategy, arch_id, arch, strategy, generation, "
                   "feasible, on_front, metrics, revision FROM candidates WHERE search = ?1 AND "
                   "revision > ?2 AND (?3 IS NULL OR strategy = ?3) ORDER BY revision LIMIT ?4",
                   "titi", search, page->after, page->strategy, page->size + 1);
         sql_next(&rows) && !more;) {
        more = columns.n_rows == page->size;
        if (more)
            break;
        add_row(&columns, &rows);
        cursor = sql_int(&rows, PLAIN_COLUMNS + 1);
    }
    r = sql_end(&rows, err);
    if (r != 0)
        goto out;
    char *text = print_columns(&columns, total, cursor, more);
    if (text == NULL)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    else
        *ret_text = text;
out:
    columns_finish(&columns);
    return r;
}

int store_front(struct sql *sql, const char *search, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL, *items = NULL;
    int r = sql_get_row(sql, err, &doc,
                        "SELECT stage, version, hypervolume, reference_point AS "
                        "\"reference_point@json\", calibration_version, stage = 'final' AND "
                        "coalesce((SELECT json_extract(j.result, '$.no_board') FROM searches s "
                        "JOIN jobs j ON j.id = s.job WHERE s.id = ?1), 0) AS \"no_board@bool\" "
                        "FROM fronts WHERE search = ?1 ORDER BY version DESC LIMIT 1",
                        "t", search);
    if (r == 0)
        r = sql_get_rows(
            sql, err, &items,
            "SELECT arch_id, arch, feasible AS \"feasible@bool\", metrics AS \"metrics@json\", "
            "predicted AS \"predicted@json\", strategy, generation, EXISTS (SELECT 1 FROM pins p "
            "JOIN searches s ON s.supernet = p.supernet WHERE s.id = ?1 AND p.arch_id = "
            "candidates.arch_id) AS \"pinned@bool\", (SELECT json_extract(e.data, '$.top1') FROM "
            "evaluations e JOIN searches s ON s.supernet = e.supernet WHERE s.id = ?1 AND (EXISTS "
            "(SELECT 1 FROM pins p WHERE p.supernet = e.supernet AND p.arch_id = e.arch_id) OR "
            "EXISTS (SELECT 1 FROM exports x WHERE x.supernet = e.supernet AND x.arch_id = "
            "e.arch_id AND x.format = 'onnx' AND x.state IN ('queued', 'ready'))) AND e.arch_id = "
            "candidates.arch_id AND e.split = 'test' AND e.checkpoint = s.checkpoint "
            "AND " STORE_SCORE_OF(
                "coalesce(json_extract(s.body, '$.dataset'), (SELECT n.dataset FROM supernets n "
                "WHERE n.id = s.supernet))") " ORDER BY e.id DESC LIMIT 1) "
                                             "AS test_top1 FROM candidates WHERE search = ?1 AND "
                                             "on_front AND revision = (SELECT "
                                             "max(revision) FROM candidates o WHERE o.search = ?1 "
                                             "AND o.arch_id = "
                                             "candidates.arch_id AND o.on_front) ORDER BY arch_id",
            "t", search);
    if (r != 0) {
        cJSON_Delete(doc);
        return r;
    }
    if (doc == NULL) { /* none yet */
        doc = cJSON_CreateObject();
        static const char *const keys[] = {"stage", "version", "hypervolume", "reference_point",
                                           "calibration_version"};
        for (int i = 0; i < 5; i++)
            cJSON_AddNullToObject(doc, keys[i]);
        cJSON_AddFalseToObject(doc, "no_board");
    }
    cJSON_AddItemToObject(doc, "items", items);
    *ret_doc = doc;
    return 0;
}
