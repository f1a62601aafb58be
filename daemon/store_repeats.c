#include "daemon/store_repeats.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/store_measurements.h"

/* ---- asking ---------------------------------------------------------------------------------- */

#define ASKED "m.id, m.profile, m.graph_id, m.graph, m.signature, m.method, m.seed, "

/* What may be asked for again: an entry of the profile's current revision that stands and is not
 * asked for already. */
#define STANDS                                                                                     \
    "m.kind = 'unit' AND m.state = 'accepted' AND m.aside = 0 AND m.profile_revision = "           \
    "p.revision AND NOT EXISTS (SELECT 1 FROM measurements o WHERE o.repeats = m.id AND "          \
    "o.repeats "                                                                                   \
    "IS NOT NULL AND o.state IN ('queued', 'leased', 'running')) "

/* A board's noise is not asked for without end: not more often than this since the entry was made,
 * or checked for its age. */
#define MAY_REPEAT_NOISE                                                                           \
    "(SELECT count(*) FROM measurements o WHERE o.profile_revision = m.profile_revision AND "      \
    "o.graph_id = m.graph_id AND o.repeats IS NOT NULL AND o.why = 'noisy' AND o.state <> "        \
    "'canceled' AND o.method = m.method AND o.id > coalesce((SELECT max(a.id) FROM measurements "  \
    "a WHERE a.profile_revision = m.profile_revision AND a.graph_id = m.graph_id AND a.repeats "   \
    "IS NOT NULL AND a.why = 'old'), '')) < ?2 "

static const char *text(const cJSON *row, const char *key) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, key));
}

static int ask(struct store_tx *tx, const cJSON *row, struct err *err) {
    struct measurement_request request = {
        .profile = text(row, "profile"),
        .kind = "unit",
        .graph_id = text(row, "graph_id"),
        .graph = text(row, "graph"),
        .signature = text(row, "signature"),
        .method = text(row, "method"),
        .seed = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(row, "seed")),
        .priority = MEASUREMENT_OF_TABLE,
        .repeats = text(row, "id"),
        .why = text(row, "reason")};
    char id[ID_MAX];
    int r = store_measurement_ask(tx, &request, err, id);
    return r == ESP_ENOTFOUND ? 0 : r; /* its board was removed */
}

static int ask_all(struct store_tx *tx, cJSON *rows, struct err *err) {
    const cJSON *row;
    int r = 0;
    cJSON_ArrayForEach(row, rows) {
        if (r == 0)
            r = ask(tx, row, err);
    }
    cJSON_Delete(rows);
    return r;
}

static int ask_if_noisy(struct store_tx *tx, const char *measurement, struct err *err) {
    cJSON *rows = NULL;
    int r = sql_get_rows(store_tx_sql(tx), err, &rows,
                         "SELECT " ASKED "'noisy' AS reason FROM measurements m JOIN profiles p ON "
                         "p.id = m.profile WHERE m.id = ?1 AND " STANDS
                         "AND EXISTS (SELECT 1 FROM table_entries e WHERE e.measurement = m.id) "
                         "AND " REPEAT_NOISY " AND " MAY_REPEAT_NOISE,
                         "ti", measurement, (int64_t)REPEATS_OF_NOISE);
    return r != 0 ? r : ask_all(tx, rows, err);
}

int store_repeat_entries(struct store_tx *tx, const char *table, int64_t before_us,
                         struct err *err) {
    cJSON *rows = NULL;
    int r = sql_get_rows(
        store_tx_sql(tx), err, &rows,
        "SELECT " ASKED "CASE WHEN m.finished_us < ?3 THEN 'old' ELSE 'noisy' END AS reason FROM "
        "table_entries e JOIN measurements m ON m.id = e.measurement JOIN profiles p ON p.id = "
        "m.profile WHERE e.table_id = ?1 AND " STANDS "AND (m.finished_us < ?3 OR (" REPEAT_NOISY
        " AND " MAY_REPEAT_NOISE ")) ORDER BY m.finished_us, m.id",
        "tii", table, (int64_t)REPEATS_OF_NOISE, before_us);
    return r != 0 ? r : ask_all(tx, rows, err);
}

int store_repeat_next_board(struct sql *sql, const char *after, struct err *err,
                            char ret_device[ID_MAX]) {
    return sql_get_text(
        sql, err, ret_device, ID_MAX,
        "SELECT d.id FROM devices d WHERE d.id > ?1 AND d.removed_us IS NULL AND d.away_us IS "
        "NULL AND d.state = 'active' AND d.health = 'good' AND NOT EXISTS (SELECT 1 FROM "
        "profiles p WHERE p.device = d.id AND (EXISTS (SELECT 1 FROM measurements q WHERE "
        "q.profile = p.id AND q.state = 'queued') OR EXISTS (SELECT 1 FROM measurements q "
        "INDEXED BY measurements_open WHERE q.profile = p.id AND q.state IN ('leased', "
        "'running')))) ORDER BY d.id LIMIT 1",
        "t", after);
}

int store_repeat_oldest(struct store_tx *tx, const char *device, int64_t before_us,
                        struct err *err) {
    cJSON *rows = NULL;
    int r = sql_get_rows(
        store_tx_sql(tx), err, &rows,
        "SELECT DISTINCT " ASKED "'old' AS reason, m.finished_us FROM devices d JOIN profiles p ON "
        "p.device = d.id AND p.epoch = d.epoch JOIN tables t ON t.profile_revision = p.revision "
        "JOIN table_entries e ON e.table_id = t.id JOIN measurements m ON m.id = e.measurement "
        "WHERE d.id = ?3 AND m.finished_us < ?1 AND " STANDS
        "AND NOT EXISTS (SELECT 1 FROM measurements o WHERE o.profile_revision = "
        "m.profile_revision AND o.graph_id = m.graph_id AND o.repeats = m.id AND o.why = 'old' AND "
        "o.created_us >= ?1) ORDER BY m.finished_us, m.id LIMIT ?2",
        "iit", before_us, (int64_t)REPEATS_A_ROUND, device);
    return r != 0 ? r : ask_all(tx, rows, err);
}

/* ---- taking ---------------------------------------------------------------------------------- */

/* One of two measurements of the same unit. */
struct side {
    double median_us, low_us, high_us;
};
struct pair {
    char old[ID_MAX];
    bool noise; /* it was for noise, not for age */
    double floor;
    struct side before, after;
};

/* Numbers of measurement x. */
#define SIDE(x) x ".median_us, " x ".low_us, " x ".high_us"

static struct side side_at(const struct sql_rows *rows, int column) {
    return (struct side){sql_real(rows, column), sql_real(rows, column + 1),
                         sql_real(rows, column + 2)};
}

/* *ret_old "": it repeats nothing that stands. */
static int load_pair(struct sql *sql, const char *measurement, struct err *err,
                     struct pair *ret_pair) {
    struct sql_rows rows;
    struct pair pair = {.old = ""};
    sql_query(sql, &rows,
              "SELECT m.id, n.why = 'noisy', coalesce(p.noise, 0), " SIDE("m") ", " SIDE(
                  "n") " FROM measurements n JOIN measurements m ON m.id = n.repeats JOIN profiles "
                       "p ON p.id "
                       "= n.profile WHERE n.id = ?1 AND n.state = 'accepted' AND n.aside = 1 AND "
                       "m.aside = 0",
              "t", measurement);
    if (sql_next(&rows)) {
        snprintf(pair.old, sizeof(pair.old), "%s", sql_text(&rows, 0));
        pair.noise = sql_int(&rows, 1) != 0;
        pair.floor = sql_real(&rows, 2);
        pair.before = side_at(&rows, 3);
        pair.after = side_at(&rows, 6);
    }
    int r = sql_end(&rows, err);
    if (r == 0)
        *ret_pair = pair;
    return r;
}

static double width(const struct side *side) {
    return (side->high_us - side->low_us) / side->median_us;
}

static bool has_changed(const struct pair *pair) {
    bool apart =
        pair->after.low_us > pair->before.high_us || pair->after.high_us < pair->before.low_us;
    double change = fabs(log(pair->after.median_us / pair->before.median_us));
    return apart && change > fmax(0.05, 3 * pair->floor);
}

static int replace(struct store_tx *tx, const char *old, const char *measurement, bool changed,
                   struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    int r = sql_run(sql, err, NULL, "UPDATE measurements SET aside = 1 WHERE id = ?1", "t", old);
    if (r == 0)
        r = sql_run(sql, err, NULL,
                    "UPDATE measurements SET aside = 0, flags = CASE WHEN ?2 THEN "
                    "json_insert(flags, '$[#]', 'changed') ELSE flags END WHERE id = ?1",
                    "ti", measurement, (int64_t)changed);
    if (r == 0)
        r = sql_run(sql, err, NULL,
                    "UPDATE table_entries SET measurement = ?2 WHERE measurement = ?1", "tt", old,
                    measurement);
    return r;
}

int store_repeat_settle(struct store_tx *tx, const char *measurement, struct err *err) {
    struct pair pair;
    const char *stands = measurement;
    int r = load_pair(store_tx_sql(tx), measurement, err, &pair);
    if (r != 0)
        return r;
    if (pair.old[0] != '\0' && pair.noise && width(&pair.after) >= width(&pair.before))
        stands = pair.old;
    else if (pair.old[0] != '\0')
        r = replace(tx, pair.old, measurement, !pair.noise && has_changed(&pair), err);
    return r != 0 ? r : ask_if_noisy(tx, stands, err);
}
