/* Fronts and hypervolumes: that of the search itself, as its job told it, and those of any metrics
 * under any conditions, which are worked out here. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/store_candidate_scan.h"
#include "daemon/store_searches.h"
#include "daemon/store_supernets.h"
#include "search/hypervolume.h"
#include "search/pareto.h"

/* Rows that are kept at once, points that a front may have, points of a curve; seconds that a front
 * may take which pages ask for again and again. */
enum { GATHERED_MAX = 65536, FRONT_MAX = 10000, CURVE_MAX = 200, SO_FAR_S = 2 };

/* clang-format off */
#define FRONT_ITEM \
    "arch_id, arch, feasible AS \"feasible@bool\", metrics AS \"metrics@json\", " \
            "predicted AS \"predicted@json\", strategy, generation, EXISTS (SELECT 1 FROM pins p " \
            "JOIN searches s ON s.supernet = p.supernet WHERE s.id = ?1 AND p.arch_id = " \
            "candidates.arch_id) AS \"pinned@bool\", (SELECT json_extract(e.data, '$.top1') FROM " \
            "evaluations e JOIN searches s ON s.supernet = e.supernet WHERE s.id = ?1 AND (EXISTS " \
            "(SELECT 1 FROM pins p WHERE p.supernet = e.supernet AND p.arch_id = e.arch_id) OR " \
            "EXISTS (SELECT 1 FROM exports x WHERE x.supernet = e.supernet AND x.arch_id = " \
            "e.arch_id AND x.format = 'onnx' AND x.state IN ('queued', 'ready'))) AND e.arch_id = " \
            "candidates.arch_id AND e.split = 'test' AND e.checkpoint = s.checkpoint " \
            "AND " STORE_SCORE_OF( \
                "coalesce(json_extract(s.body, '$.dataset'), (SELECT n.dataset FROM supernets n " \
                "WHERE n.id = s.supernet))") " ORDER BY e.id DESC LIMIT 1) " \
                                             "AS test_top1"
/* clang-format on */

/* What the newest front says of itself; all null when there is none yet. */
static int front_head(struct sql *sql, const char *search, struct err *err, cJSON **ret_doc) {
    static const char *const keys[] = {"stage", "version", "hypervolume", "reference_point",
                                       "calibration_version"};
    cJSON *doc = NULL;
    int r = sql_get_row(
        sql, err, &doc,
        "SELECT stage, version, hypervolume, reference_point AS "
        "\"reference_point@json\", calibration_version, stage = 'final' AND "
        "coalesce((SELECT json_extract(j.result, '$.no_board') FROM searches s "
        "JOIN jobs j ON j.id = s.job WHERE s.id = ?1), 0) AS \"no_board@bool\", stage = "
        "'final' AND coalesce((SELECT json_array_length(result, "
        "'$.refused_profiles') > 0 FROM searches WHERE id = ?1), 0) AS "
        "\"refused@bool\" "
        "FROM fronts WHERE search = ?1 ORDER BY version DESC LIMIT 1",
        "t", search);
    if (r != 0)
        return r;
    if (doc == NULL) {
        doc = cJSON_CreateObject();
        for (int i = 0; i < 5; i++)
            cJSON_AddNullToObject(doc, keys[i]);
        cJSON_AddFalseToObject(doc, "no_board");
        cJSON_AddFalseToObject(doc, "refused");
    }
    *ret_doc = doc;
    return 0;
}

int store_front(struct sql *sql, const char *search, struct err *err, cJSON **ret_doc) {
    cJSON *doc = NULL, *items = NULL;
    int r = front_head(sql, search, err, &doc);
    if (r == 0)
        r = sql_get_rows(sql, err, &items,
                         "SELECT " FRONT_ITEM " FROM candidates WHERE search = ?1 AND on_front AND "
                         "revision = (SELECT max(revision) FROM candidates o WHERE o.search = ?1 "
                         "AND o.arch_id = candidates.arch_id AND o.on_front) ORDER BY arch_id",
                         "t", search);
    if (r != 0) {
        cJSON_Delete(doc);
        return r;
    }
    cJSON_AddItemToObject(doc, "items", items);
    *ret_doc = doc;
    return 0;
}

/* The texts of the one column that rows have, as an array; takes rows. */
static cJSON *texts_of(cJSON *rows) {
    cJSON *texts = cJSON_CreateArray();
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
        cJSON_AddItemToArray(texts, cJSON_CreateString(cJSON_GetStringValue(row->child)));
    cJSON_Delete(rows);
    return texts;
}

int store_query_strategies(struct sql *sql, const char *search, struct err *err,
                           cJSON **ret_strategies) {
    cJSON *rows = NULL;
    int r = sql_get_rows(
        sql, err, &rows,
        "SELECT DISTINCT name FROM (SELECT json_extract(body, path.column1) AS name FROM searches, "
        "(VALUES ('$.strategy'), ('$.baseline')) path WHERE id = ?1 UNION ALL "
        "SELECT strategy FROM generations WHERE search = ?1) WHERE name IS NOT NULL",
        "t", search);
    if (r == 0)
        *ret_strategies = texts_of(rows);
    return r;
}

int store_query_metrics(struct sql *sql, const char *search, struct err *err, cJSON **ret_keys,
                        cJSON **ret_objectives) {
    cJSON *rows = NULL;
    char objectives[4096];
    int r = sql_get_rows(
        sql, err, &rows,
        "SELECT DISTINCT key FROM (SELECT json_extract(o.value, '$.metric') || "
        "coalesce(':' || json_extract(o.value, '$.profile'), '') AS key FROM searches s, "
        "(VALUES ('$.objectives'), ('$.constraints')) path, json_each(s.body, path.column1) o "
        "WHERE s.id = ?1 UNION ALL "
        "SELECT m.key FROM (SELECT metrics FROM (SELECT metrics FROM candidates WHERE search = ?1 "
        "ORDER BY revision LIMIT 64) UNION ALL SELECT metrics FROM (SELECT metrics FROM candidates "
        "WHERE search = ?1 ORDER BY revision DESC LIMIT 64)) c, json_each(c.metrics) m)",
        "t", search);
    if (r == 0)
        r = sql_get_text(sql, err, objectives, sizeof(objectives),
                         "SELECT json_extract(body, '$.objectives') FROM searches WHERE id = ?1",
                         "t", search);
    if (r != 0) {
        cJSON_Delete(rows);
        return r;
    }
    *ret_keys = texts_of(rows);
    *ret_objectives = cJSON_Parse(objectives);
    return 0;
}

/* ---- of any metrics ------------------------------------------------------------------------ */

/* Costs of candidates, of which only those that none dominates are kept once there are many. */
struct gathering {
    const struct candidate_query *query;
    bool feasible_only;
    bool distinct; /* of networks with the same costs the first one alone */
    int n;
    int64_t considered, incomplete, until_ns;
    double *costs;      /* owned [GATHERED_MAX, n_objectives] */
    int64_t *revisions; /* owned [GATHERED_MAX] */
    int *front;         /* owned [GATHERED_MAX] */
    double worst[OBJECTIVES_MAX];
};

static void gathering_finish(struct gathering *g) {
    free(g->costs);
    free(g->revisions);
    free(g->front);
}

static int gathering_init(struct gathering *g, const struct candidate_query *query,
                          struct err *err) {
    size_t m = (size_t)query->goals.n_objectives;
    *g = (struct gathering){.query = query,
                            .feasible_only = !candidate_query_has(query, TERM_FEASIBLE),
                            .until_ns = candidate_scan_until(),
                            .costs = mem_array(GATHERED_MAX * m, sizeof(double)),
                            .revisions = mem_array(GATHERED_MAX, sizeof(int64_t)),
                            .front = mem_array(GATHERED_MAX, sizeof(int))};
    for (size_t k = 0; k < m; k++)
        g->worst[k] = -INFINITY;
    if (g->costs != NULL && g->revisions != NULL && g->front != NULL)
        return 0;
    gathering_finish(g);
    return err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

static int compare_ints(const void *x, const void *y) {
    return *(const int *)x - *(const int *)y;
}

static bool same_costs(const struct gathering *g, int a, int b) {
    int m = g->query->goals.n_objectives;
    for (int k = 0; k < m; k++)
        if (g->costs[(size_t)a * (size_t)m + (size_t)k] !=
            g->costs[(size_t)b * (size_t)m + (size_t)k])
            return false;
    return true;
}

/* Leaves of members with the same costs, which stand beside each other, the first one. */
static int drop_equals(struct gathering *g, int n) {
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (kept == 0 || !same_costs(g, g->front[kept - 1], g->front[i]))
            g->front[kept++] = g->front[i];
    return kept;
}

/* Keeps the front alone, in the order in which its members came. */
static int gathering_reduce(struct gathering *g, struct err *err) {
    int m = g->query->goals.n_objectives, n = 0;
    if (clock_mono_ns() > g->until_ns)
        return candidate_scan_late(err);
    int r = pareto_front(g->costs, g->n, m, g->front, &n);
    if (r == ESP_ENOMEM)
        return err_set(err, r, NULL, "out of memory");
    if (r == 0 && g->distinct)
        n = drop_equals(g, n);
    if (r != 0 || n > FRONT_MAX)
        return err_set(err, ESP_ELIMIT, NULL,
                       "a front of these metrics has more than %d networks, or takes too long to "
                       "find: narrow it by limits, or name fewer metrics",
                       FRONT_MAX);
    qsort(g->front, (size_t)n, sizeof(*g->front), compare_ints);
    for (int i = 0; i < n; i++) {
        memmove(g->costs + (size_t)i * (size_t)m, g->costs + (size_t)g->front[i] * (size_t)m,
                (size_t)m * sizeof(double));
        g->revisions[i] = g->revisions[g->front[i]];
    }
    g->n = n;
    return 0;
}

/* The costs of a candidate; false: some are not known. */
static bool view_costs(const struct goals *goals, const struct candidate_view *view,
                       double *ret_costs) {
    for (int k = 0; k < goals->n_objectives; k++) {
        double value = view->values[goals->objectives[k].metric];
        if (isnan(value))
            return false;
        ret_costs[k] = goals->objectives[k].maximise ? -value : value;
    }
    return true;
}

static int gather(void *context, const struct scanned_candidate *candidate, struct err *err) {
    struct gathering *g = context;
    int m = g->query->goals.n_objectives;
    if (g->feasible_only && !candidate->view.feasible)
        return 0;
    int r = g->n == GATHERED_MAX ? gathering_reduce(g, err) : 0;
    double *costs = g->costs + (size_t)g->n * (size_t)m;
    if (r != 0 || !view_costs(&g->query->goals, &candidate->view, costs)) {
        g->incomplete++;
        return r;
    }
    for (int k = 0; k < m; k++)
        g->worst[k] = fmax(g->worst[k], costs[k]);
    g->revisions[g->n++] = candidate->revision;
    g->considered++;
    return 0;
}

/* A network that two strategies found is there once. */
static bool is_there(const cJSON *items, const cJSON *item) {
    const char *arch_id = cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch_id"));
    for (const cJSON *other = items->child; other != NULL; other = other->next)
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(other, "arch_id")), arch_id) == 0)
            return true;
    return false;
}

/* Rows of the front in g->front order, which is that of the first objective. */
static int front_items(struct sql *sql, const char *search, struct gathering *g, struct err *err,
                       cJSON *items) {
    int n = 0, r = pareto_front(g->costs, g->n, g->query->goals.n_objectives, g->front, &n);
    cJSON *tied = cJSON_CreateArray(); /* those of the same costs, until they are all there */
    for (int i = 0; r == 0 && i < n; i++) {
        cJSON *item = NULL;
        if (i > 0 && !same_costs(g, g->front[i - 1], g->front[i]))
            while (tied->child != NULL)
                cJSON_AddItemToArray(items, cJSON_DetachItemViaPointer(tied, tied->child));
        r = sql_get_row(sql, err, &item,
                        "SELECT " FRONT_ITEM " FROM candidates WHERE search = ?1 AND revision = ?2",
                        "ti", search, g->revisions[g->front[i]]);
        if (item != NULL && !is_there(tied, item))
            cJSON_AddItemToArray(tied, item);
        else
            cJSON_Delete(item);
    }
    while (tied->child != NULL)
        cJSON_AddItemToArray(items, cJSON_DetachItemViaPointer(tied, tied->child));
    cJSON_Delete(tied);
    return r;
}

static double cost_of(const struct objective *objective, double value) {
    return objective->maximise ? -value : value;
}

/* As costs: what is asked for, else what the search counts its own hypervolume from, else the worst
 * that was considered. */
static int find_reference(struct sql *sql, const char *search, const struct gathering *g,
                          struct err *err, double *ret_reference) {
    const struct goals *goals = &g->query->goals;
    char text[2048];
    for (int k = 0; k < g->query->n_reference; k++)
        ret_reference[k] = cost_of(&goals->objectives[k], g->query->reference[k]);
    if (g->query->n_reference > 0)
        return 0;
    int r = sql_get_text(sql, err, text, sizeof(text),
                         "SELECT reference_point FROM fronts WHERE search = ?1 ORDER BY version "
                         "DESC LIMIT 1",
                         "t", search);
    if (r != 0)
        return r;
    cJSON *own = cJSON_Parse(text);
    for (int k = 0; k < goals->n_objectives; k++) {
        const struct objective *objective = &goals->objectives[k];
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(own, goals->keys[objective->metric]);
        ret_reference[k] =
            cJSON_IsNumber(value) ? cost_of(objective, value->valuedouble) : g->worst[k];
    }
    cJSON_Delete(own);
    return 0;
}

static void put_number_or_null(cJSON *doc, const char *key, double value) {
    cJSON_DeleteItemFromObjectCaseSensitive(doc, key);
    if (isfinite(value))
        cJSON_AddNumberToObject(doc, key, value);
    else
        cJSON_AddNullToObject(doc, key);
}

static double volume_of(const struct gathering *g, const double *reference) {
    double volume = (double)NAN;
    int m = g->query->goals.n_objectives;
    return hypervolume(g->costs, g->n, m, reference, &volume) == 0 ? volume : (double)NAN;
}

/* "objectives", "reference_point", "considered", "incomplete". */
static void describe(const struct gathering *g, const double *reference, cJSON *doc) {
    const struct goals *goals = &g->query->goals;
    cJSON *objectives = cJSON_AddArrayToObject(doc, "objectives");
    cJSON_DeleteItemFromObjectCaseSensitive(doc, "reference_point");
    cJSON *point = cJSON_AddObjectToObject(doc, "reference_point");
    for (int k = 0; k < goals->n_objectives; k++) {
        const struct objective *objective = &goals->objectives[k];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "metric", goals->keys[objective->metric]);
        cJSON_AddStringToObject(item, "direction", objective->maximise ? "maximise" : "minimise");
        cJSON_AddItemToArray(objectives, item);
        if (isfinite(reference[k]))
            cJSON_AddNumberToObject(point, goals->keys[objective->metric],
                                    objective->maximise ? -reference[k] : reference[k]);
    }
    cJSON_AddNumberToObject(doc, "considered", (double)g->considered);
    cJSON_AddNumberToObject(doc, "incomplete", (double)g->incomplete);
}

/* Those of a strategy, or of all, that keep the query's conditions: its front alone is left. */
static int gather_front(struct sql *sql, const char *search, const char *strategy,
                        struct gathering *g, struct err *err) {
    const struct candidate_scan scan = {search, strategy, g->query, false, g->until_ns};
    int r = store_candidates_scan(sql, &scan, gather, g, err);
    return r == 0 ? gathering_reduce(g, err) : r;
}

int store_front_so_far(struct sql *sql, const char *search, const char *strategy,
                       const struct candidate_query *query, struct err *err, cJSON *front) {
    struct gathering g;
    cJSON *items = cJSON_CreateArray();
    int r = gathering_init(&g, query, err);
    if (r != 0) {
        cJSON_Delete(items);
        return r;
    }
    g.distinct = true; /* as in the archive, of which the search tells its front */
    g.until_ns = clock_mono_ns() + SO_FAR_S * INT64_C(1000000000);
    r = gather_front(sql, search, strategy, &g, err);
    if (r == 0)
        r = front_items(sql, search, &g, err, items);
    gathering_finish(&g);
    if (r == 0)
        cJSON_ReplaceItemInObjectCaseSensitive(front, "items", items);
    else
        cJSON_Delete(items);
    return r;
}

bool store_front_is_awaited(struct sql *sql, const char *search) {
    int64_t awaited = 0;
    return sql_get_int(sql, NULL, &awaited, NULL,
                       "SELECT EXISTS (SELECT 1 FROM searches s WHERE (s.id = ?1 OR s.name = ?1) "
                       "AND NOT EXISTS (SELECT 1 FROM fronts f WHERE f.search = s.id))",
                       "t", search) == 0 &&
           awaited != 0;
}

int store_front_of(struct sql *sql, const char *search, const struct candidate_query *query,
                   struct err *err, cJSON **ret_doc) {
    struct gathering g;
    double reference[OBJECTIVES_MAX];
    cJSON *doc = NULL;
    int r = gathering_init(&g, query, err);
    if (r != 0)
        return r;
    r = gather_front(sql, search, NULL, &g, err);
    if (r == 0)
        r = find_reference(sql, search, &g, err, reference);
    if (r == 0)
        r = front_head(sql, search, err, &doc);
    if (r == 0) {
        put_number_or_null(doc, "hypervolume", volume_of(&g, reference));
        describe(&g, reference, doc);
        r = front_items(sql, search, &g, err, cJSON_AddArrayToObject(doc, "items"));
    }
    gathering_finish(&g);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}

/* ---- how it grew --------------------------------------------------------------------------- */

struct curve {
    struct sql *sql;
    const char *search;
    struct gathering *gathering;
    const double *reference;
    cJSON *list, *evaluations, *volumes; /* series, and the last one's columns */
    char strategy[QUERY_STRATEGY_MAX + 1];
    int64_t generation, n; /* that is gathered, generations so far */
    int64_t every;         /* one point for so many generations */
};

static int begin_series(struct curve *curve, const char *strategy, struct err *err) {
    cJSON *series = cJSON_CreateObject();
    int64_t generations = 0;
    int r = sql_get_int(curve->sql, err, &generations, NULL,
                        "SELECT count(*) FROM generations WHERE search = ?1 AND strategy = ?2",
                        "tt", curve->search, strategy);
    snprintf(curve->strategy, sizeof(curve->strategy), "%s", strategy);
    curve->every = generations / CURVE_MAX + 1;
    curve->n = 0;
    curve->gathering->n = 0;
    cJSON_AddStringToObject(series, "strategy", strategy);
    curve->evaluations = cJSON_AddArrayToObject(series, "evaluations");
    curve->volumes = cJSON_AddArrayToObject(series, "hypervolume");
    cJSON_AddItemToArray(curve->list, series);
    return r;
}

/* The generation's point, if it has one: of every so many, and of the last. */
static int end_generation(struct curve *curve, bool last, struct err *err) {
    int64_t evaluations = 0;
    bool found = false;
    if (curve->evaluations == NULL || (curve->n++ % curve->every != 0 && !last))
        return 0;
    int r = gathering_reduce(curve->gathering, err);
    if (r == 0)
        r = sql_get_int(curve->sql, err, &evaluations, &found,
                        "SELECT evaluations FROM generations WHERE search = ?1 AND strategy = ?2 "
                        "AND generation >= ?3 ORDER BY generation LIMIT 1",
                        "tti", curve->search, curve->strategy, curve->generation);
    if (r != 0 || !found)
        return r;
    cJSON_AddItemToArray(curve->evaluations, cJSON_CreateNumber((double)evaluations));
    cJSON_AddItemToArray(curve->volumes,
                         cJSON_CreateNumber(volume_of(curve->gathering, curve->reference)));
    return 0;
}

static int grow(void *context, const struct scanned_candidate *candidate, struct err *err) {
    struct curve *curve = context;
    const struct candidate_view *view = &candidate->view;
    bool other = curve->evaluations == NULL || strcmp(curve->strategy, view->strategy) != 0;
    int r = 0;
    if (other || view->generation != curve->generation)
        r = end_generation(curve, other, err);
    if (r == 0 && other)
        r = begin_series(curve, view->strategy, err);
    curve->generation = view->generation;
    return r != 0 ? r : gather(curve->gathering, candidate, err);
}

int store_hypervolume_of(struct sql *sql, const char *search, const struct candidate_query *query,
                         struct err *err, cJSON **ret_doc) {
    struct gathering g;
    double reference[OBJECTIVES_MAX], whole = (double)NAN;
    int r = gathering_init(&g, query, err);
    if (r != 0)
        return r;
    struct candidate_scan scan = {search, NULL, query, false, g.until_ns};
    cJSON *doc = cJSON_CreateObject();
    struct curve curve = {sql, search, &g, reference,
                          .list = cJSON_AddArrayToObject(doc, "series")};
    r = store_candidates_scan(sql, &scan, gather, &g, err);
    if (r == 0)
        r = gathering_reduce(&g, err);
    if (r == 0)
        r = find_reference(sql, search, &g, err, reference);
    if (r == 0) {
        whole = volume_of(&g, reference);
        describe(&g, reference, doc);
        scan.by_generation = true;
        r = store_candidates_scan(sql, &scan, grow, &curve, err);
    }
    if (r == 0)
        r = end_generation(&curve, true, err);
    put_number_or_null(doc, "hypervolume", whole);
    gathering_finish(&g);
    if (r == 0)
        *ret_doc = doc;
    else
        cJSON_Delete(doc);
    return r;
}
