#include "daemon/store_retention.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "daemon/store_webhooks.h"

enum { IDEMPOTENCY_HOURS = 24 };
#define DAY_US (INT64_C(86400) * 1000000)

const struct retention retention_default = {.events = 20000,
                                            .transitions = 100000,
                                            .points = 20000,
                                            .samples_us = 90 * DAY_US,
                                            .evaluations_us = 180 * DAY_US,
                                            .jobs_us = 30 * DAY_US,
                                            .deliveries_us = 30 * DAY_US};

static int prune_logs(struct store_tx *tx, const struct retention *rules, struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int r =
        sql_run(sql, err, NULL, "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?1",
                "i", rules->events);
    if (r == 0)
        r = sql_run(sql, err, NULL,
                    "DELETE FROM transitions WHERE id <= (SELECT max(id) FROM transitions) - ?1",
                    "i", rules->transitions);
    if (r == 0)
        r = sql_run(sql, err, NULL, "DELETE FROM idempotency_keys WHERE created_us < ?1", "i",
                    store_tx_now_us(tx) - (int64_t)IDEMPOTENCY_HOURS * 3600 * 1000000);
    return r;
}

/* ---- by windows of ids, which ascend with time: what stays is looked at once a round, what is
 * young hardly ever ---- */

/* A table's entry, or a search or a calibration that asked for the measurement, keeps its samples.
 */
static int prune_results(struct store_tx *tx, int64_t before_us, struct retention_round *round,
                         struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int64_t last = 0, youngest_us = 0;
    bool found = false;
    int r = sql_get_int(sql, err, &last, &found,
                        "SELECT max(id) FROM (SELECT id FROM results WHERE id > ?1 ORDER BY id "
                        "LIMIT ?2) HAVING max(id) IS NOT NULL",
                        "ii", round->result, (int64_t)RETENTION_SLICE);
    if (r == 0 && found)
        r = sql_get_int(sql, err, &youngest_us, NULL,
                        "SELECT created_us FROM results WHERE id = ?1", "i", last);
    if (r == 0 && found)
        r = sql_run(
            sql, err, NULL,
            "DELETE FROM results WHERE id > ?1 AND id <= ?2 AND created_us < ?3 AND NOT (counted "
            "AND (EXISTS (SELECT 1 FROM table_entries t WHERE t.measurement = "
            "results.measurement) OR EXISTS (SELECT 1 FROM measure_requests q JOIN jobs j ON j.id "
            "= q.job WHERE q.measurement = results.measurement AND (EXISTS (SELECT 1 FROM searches "
            "s WHERE s.id = j.subject) OR EXISTS (SELECT 1 FROM calibrations c WHERE c.search = "
            "j.subject) OR EXISTS (SELECT 1 FROM calibrations c WHERE c.id = j.subject)))))",
            "iii", round->result, last, before_us);
    round->results_done = r == 0 && (!found || youngest_us >= before_us);
    round->result = last;
    return r;
}

/* A network of a front, a pinned or an exported one keeps its evaluations. */
static int prune_evaluations(struct store_tx *tx, int64_t before_us, struct retention_round *round,
                             struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int64_t last = 0, youngest_us = 0;
    bool found = false;
    int r = sql_get_int(sql, err, &last, &found,
                        "SELECT max(id) FROM (SELECT id FROM evaluations WHERE id > ?1 ORDER BY id "
                        "LIMIT ?2) HAVING max(id) IS NOT NULL",
                        "ii", round->evaluation, (int64_t)RETENTION_SLICE);
    if (r == 0 && found)
        r = sql_get_int(sql, err, &youngest_us, NULL,
                        "SELECT created_us FROM evaluations WHERE id = ?1", "i", last);
    if (r == 0 && found)
        r = sql_run(
            sql, err, NULL,
            "DELETE FROM evaluations WHERE id > ?1 AND id <= ?2 AND created_us < ?3 AND "
            "NOT EXISTS (SELECT 1 FROM pins p WHERE p.supernet = evaluations.supernet AND "
            "p.arch_id = evaluations.arch_id) AND NOT EXISTS (SELECT 1 FROM exports x WHERE "
            "x.supernet = evaluations.supernet AND x.arch_id = evaluations.arch_id) AND "
            "NOT EXISTS (SELECT 1 FROM searches s JOIN candidates c ON c.search = s.id AND "
            "c.arch_id = evaluations.arch_id AND c.on_front WHERE s.supernet = "
            "evaluations.supernet)",
            "iii", round->evaluation, last, before_us);
    round->evaluations_done = r == 0 && (!found || youngest_us >= before_us);
    round->evaluation = last;
    return r;
}

/* ---- the rest ---------------------------------------------------------------------------------
 */

static int prune_leases(struct store_tx *tx, int64_t before_us, struct retention_round *round,
                        struct err *err) {
    int changes = 0;
    int r = sql_run(store_tx_sql(tx), err, &changes,
                    "DELETE FROM leases WHERE id IN (SELECT id FROM leases WHERE state NOT IN "
                    "('granted', 'acked') AND created_us < ?1 ORDER BY id LIMIT ?2)",
                    "ii", before_us, (int64_t)RETENTION_SLICE);
    round->leases_done = changes < RETENTION_SLICE;
    return r;
}

/* A curve that is too long; *ret_series "": the supernet has none. */
static int find_long_curve(struct sql *sql, const char *supernet, int64_t limit, struct err *err,
                           char ret_series[80]) {
    struct sql_rows rows;
    sql_query(sql, &rows,
              "SELECT series FROM metrics WHERE supernet = ?1 GROUP BY series HAVING count(*) > ?2 "
              "LIMIT 1",
              "ti", supernet, limit);
    snprintf(ret_series, 80, "%s", sql_next(&rows) ? sql_text(&rows, 0) : "");
    return sql_end(&rows, err);
}

/* Every second point goes but for the newest: the curve keeps its shape and its end. In one go,
 * since a second slice would thin anew what the first has thinned. */
static int thin_curve(struct sql *sql, const char *supernet, const char *series, int64_t limit,
                      struct err *err) {
    return sql_run(sql, err, NULL,
                   "DELETE FROM metrics WHERE supernet = ?1 AND series = ?2 AND step IN (SELECT "
                   "step FROM (SELECT step, row_number() OVER (ORDER BY step DESC) AS i FROM "
                   "metrics WHERE supernet = ?1 AND series = ?2) WHERE i > ?3 / 4 AND i % 2 = 0)",
                   "tti", supernet, series, limit);
}

/* One curve a slice, supernet by supernet. */
static int prune_points(struct store_tx *tx, int64_t limit, struct retention_round *round,
                        struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    struct sql_rows rows;
    char series[80] = "", supernet[ID_MAX] = "";
    sql_query(sql, &rows, "SELECT id FROM supernets WHERE id > ?1 ORDER BY id LIMIT 1", "t",
              round->supernet);
    if (sql_next(&rows))
        snprintf(supernet, sizeof(supernet), "%s", sql_text(&rows, 0));
    int r = sql_end(&rows, err);
    round->points_done = supernet[0] == '\0';
    if (r == 0 && !round->points_done)
        r = find_long_curve(sql, supernet, limit, err, series);
    if (r == 0 && series[0] != '\0')
        return thin_curve(sql, supernet, series, limit, err);
    if (r == 0 && !round->points_done)
        memcpy(round->supernet, supernet, sizeof(supernet));
    return r;
}

int store_prune(struct store_tx *tx, const struct retention *rules, struct retention_round *round,
                struct err *err) {
    int64_t now = store_tx_now_us(tx);
    if (round->done)
        return 0;
    int r = prune_logs(tx, rules, err);
    if (r == 0)
        r = store_webhooks_prune(tx, now - rules->deliveries_us, err);
    if (r == 0 && !round->results_done)
        r = prune_results(tx, now - rules->samples_us, round, err);
    if (r == 0 && !round->leases_done)
        r = prune_leases(tx, now - rules->samples_us, round, err);
    if (r == 0 && !round->evaluations_done)
        r = prune_evaluations(tx, now - rules->evaluations_us, round, err);
    if (r == 0 && !round->points_done)
        r = prune_points(tx, rules->points, round, err);
    round->done =
        round->results_done && round->leases_done && round->evaluations_done && round->points_done;
    return r;
}

/* ---- for people -------------------------------------------------------------------------------
 */

enum rule_form { RULE_NEWEST, RULE_POINTS, RULE_SAMPLES, RULE_EVALUATIONS, RULE_JOBS, RULE_ENDED };

/* In the order of the counts below. */
static const struct kind {
    const char *name;
    enum rule_form form;
    size_t figure; /* offset in struct retention */
} kinds[] = {{"events", RULE_NEWEST, offsetof(struct retention, events)},
             {"transitions", RULE_NEWEST, offsetof(struct retention, transitions)},
             {"metrics", RULE_POINTS, offsetof(struct retention, points)},
             {"results", RULE_SAMPLES, offsetof(struct retention, samples_us)},
             {"leases", RULE_SAMPLES, offsetof(struct retention, samples_us)},
             {"evaluations", RULE_EVALUATIONS, offsetof(struct retention, evaluations_us)},
             {"jobs", RULE_JOBS, offsetof(struct retention, jobs_us)},
             {"deliveries", RULE_ENDED, offsetof(struct retention, deliveries_us)}};

static void describe_rule(enum rule_form form, int64_t figure, char ret[120]) {
    double days = (double)figure / (double)DAY_US;
    switch (form) {
    case RULE_NEWEST:
        snprintf(ret, 120, "the newest %lld", (long long)figure);
        break;
    case RULE_POINTS:
        snprintf(ret, 120, "%lld points of a curve, older ones thinned", (long long)figure);
        break;
    case RULE_SAMPLES:
        snprintf(ret, 120, "%.3g days, longer what tables, searches and calibrations use", days);
        break;
    case RULE_EVALUATIONS:
        snprintf(ret, 120, "%.3g days, longer those of fronts, pins and exports", days);
        break;
    case RULE_JOBS:
        snprintf(ret, 120, "rows for good, folders with logs %.3g days after the end", days);
        break;
    case RULE_ENDED:
        snprintf(ret, 120, "%.3g days after the end", days);
        break;
    }
}

static void add_kind(cJSON *array, const struct kind *kind, const struct retention *rules,
                     int64_t rows) {
    char rule[120];
    int64_t figure;
    cJSON *item = cJSON_CreateObject();
    memcpy(&figure, (const char *)rules + kind->figure, sizeof(figure));
    describe_rule(kind->form, figure, rule);
    cJSON_AddStringToObject(item, "kind", kind->name);
    cJSON_AddNumberToObject(item, "rows", (double)rows);
    cJSON_AddStringToObject(item, "rule", rule);
    cJSON_AddItemToArray(array, item);
}

int store_retention_describe(struct sql *sql, const struct retention *rules, struct err *err,
                             cJSON **ret_array) {
    struct sql_rows rows;
    cJSON *array = cJSON_CreateArray();
    sql_query(sql, &rows,
              "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM transitions), (SELECT "
              "count(*) FROM metrics), (SELECT count(*) FROM results), (SELECT count(*) FROM "
              "leases), (SELECT count(*) FROM evaluations), (SELECT count(*) FROM jobs), "
              "(SELECT count(*) FROM webhook_deliveries)",
              "");
    if (sql_next(&rows))
        for (int i = 0; i < (int)(sizeof(kinds) / sizeof(*kinds)); i++)
            add_kind(array, &kinds[i], rules, sql_int(&rows, i));
    int r = sql_end(&rows, err);
    if (r == 0)
        *ret_array = array;
    else
        cJSON_Delete(array);
    return r;
}
