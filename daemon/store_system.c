#include "daemon/store_system.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "daemon/store_jobs.h"

int store_system_counts(struct sql *sql, struct err *err, struct system_counts *ret) {
    struct system_counts counts = {0};
    int r = sql_get_int(sql, err, &counts.jobs_running, NULL,
                        "SELECT count(*) FROM jobs WHERE state IN ('running', 'paused', "
                        "'canceling')",
                        "");
    if (r == 0)
        r = sql_get_int(sql, err, &counts.workers_online, NULL,
                        "SELECT count(*) FROM devices WHERE away_us IS NULL AND removed_us IS NULL",
                        "");
    if (r == 0)
        *ret = counts;
    return r;
}

const char *store_sqlite_version(void) {
    return sqlite3_libversion();
}

int store_system_check(struct sql *sql, struct err *err, bool *ret_ok, char ret_detail[200]) {
    struct sql_rows rows;
    sql_query(sql, &rows, "PRAGMA quick_check(1)", "");
    bool found = sql_next(&rows);
    snprintf(ret_detail, 200, "%s", found ? sql_text(&rows, 0) : "");
    int r = sql_end(&rows, err);
    *ret_ok = r == 0 && strcmp(ret_detail, "ok") == 0;
    return r;
}

/* Each board under the worst that is said of it; three names of each kind. */
#define BOARDS_BY_TROUBLE                                                                          \
    "SELECT trouble, count(*), group_concat(iif(i <= 3, name, NULL), ', ') FROM (SELECT *, "       \
    "row_number() OVER (PARTITION BY trouble ORDER BY name) AS i FROM (SELECT name, CASE "         \
    "WHEN state = 'quarantined' OR (state = 'active' AND health = 'quarantined') THEN 1 "          \
    "WHEN state <> 'active' THEN 0 WHEN away_us IS NOT NULL THEN 2 "                               \
    "WHEN EXISTS (SELECT 1 FROM profiles p JOIN profile_revisions v ON v.id = p.revision WHERE "   \
    "p.device = d.id AND p.epoch = d.epoch AND v.noise_doubt IS NOT NULL) THEN 3 ELSE 0 END "      \
    "AS trouble FROM devices d WHERE removed_us IS NULL)) GROUP BY trouble ORDER BY trouble"

static void print_trouble(struct buf *out, int64_t trouble, int64_t n, const char *names) {
    static const char *const words[][2] = {
        {"", ""},
        {"quarantined", "espalier device logs NAME tells why, device release NAME ends it"},
        {"offline", "start the worker again, or espalier device maintain or rm NAME"},
        {"noisy", "when it is idle: espalier device check NAME"}};
    char more[32] = "";
    if (n > 3)
        snprintf(more, sizeof(more), " and %lld more", (long long)n - 3);
    buf_printf(out, "; %lld %s: %s%s (%s)", (long long)n, words[trouble][0], names, more,
               words[trouble][1]);
}

int store_system_check_boards(struct sql *sql, struct err *err, bool *ret_ok,
                              char ret_detail[STORE_BOARDS_DETAIL]) {
    struct sql_rows rows;
    struct buf troubles;
    int64_t boards = 0, sound = 0;
    buf_init(&troubles, STORE_BOARDS_DETAIL - 64);
    sql_query(sql, &rows, BOARDS_BY_TROUBLE, "");
    while (sql_next(&rows)) {
        int64_t trouble = sql_int(&rows, 0), n = sql_int(&rows, 1);
        boards += n;
        sound += trouble == 0 ? n : 0;
        if (trouble != 0)
            print_trouble(&troubles, trouble, n, sql_text(&rows, 2));
    }
    int r = sql_end(&rows, err);
    if (r == 0 && troubles.error != 0)
        r = err_set(err, troubles.error, NULL, "out of memory");
    if (r == 0) {
        *ret_ok = sound == boards;
        snprintf(ret_detail, STORE_BOARDS_DETAIL, "%lld board%s%s%s", (long long)boards,
                 boards == 1 ? "" : "s", boards == 0 ? " yet: espalier device add" : "",
                 troubles.len > 0 ? troubles.data : "");
    }
    buf_finish(&troubles);
    return r;
}

static int jobs_by_state(struct sql *sql, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(
        sql, err, ret_rows,
        "SELECT printf('kind=\"%s\",state=\"%s\"', kind, shown) AS labels, count(*) AS value FROM "
        "(SELECT kind, " STORE_JOB_STATE " AS shown FROM jobs) GROUP BY kind, shown",
        "");
}

static int measurements_by_state(struct sql *sql, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(
        sql, err, ret_rows,
        "SELECT printf('kind=\"%s\",state=\"%s\"', kind, state) AS labels, count(*) "
        "AS value FROM measurements GROUP BY kind, state",
        "");
}

/* A board's name is chosen by people: quotes and line breaks must not end the label. */
#define ESCAPED(name)                                                                              \
    "replace(replace(replace(" name ", '\\', '\\\\'), '\"', '\\\"'), char(10), '\\n')"
#define DEVICE "printf('device=\"%s\"', " ESCAPED("d.name") ")"

static int devices_up(struct sql *sql, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows,
                        "SELECT " DEVICE " AS labels, away_us IS NULL AS value FROM devices d "
                        "WHERE removed_us IS NULL",
                        "");
}

static int devices_health(struct sql *sql, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows,
                        "SELECT printf('%s,state=\"%s\",health=\"%s\"', " DEVICE
                        ", state, health) AS labels, 1 AS value FROM devices d WHERE removed_us "
                        "IS NULL",
                        "");
}

static int devices_queue(struct sql *sql, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows,
                        "SELECT " DEVICE " AS labels, (SELECT count(*) FROM profiles p JOIN "
                        "measurements m ON m.profile = p.id WHERE p.device = d.id AND m.state = "
                        "'queued') AS value FROM devices d WHERE removed_us IS NULL",
                        "");
}

#define PROFILE "printf('profile=\"%s\"', " ESCAPED("p.name") ")"
#define CURRENT                                                                                    \
    "FROM devices d JOIN profiles p ON p.device = d.id JOIN profile_revisions v ON v.id = "        \
    "p.revision WHERE d.removed_us IS NULL AND p.epoch = d.epoch "

static int references_now(struct sql *sql, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows,
                        "SELECT " PROFILE " AS labels, v.reference_us / 1e6 AS value " CURRENT
                        "AND v.reference_us IS NOT NULL",
                        "");
}

static int noise_now(struct sql *sql, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(
        sql, err, ret_rows,
        "SELECT " PROFILE " AS labels, v.noise AS value " CURRENT "AND v.noise IS NOT NULL", "");
}

static int drift_now(struct sql *sql, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows,
                        "SELECT " PROFILE " AS labels, v.drift AS value " CURRENT, "");
}

static int candidates(struct sql *sql, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows, "SELECT count(*) AS value FROM candidates", "");
}

static int events(struct sql *sql, struct err *err, cJSON **ret_rows) {
    return sql_get_rows(sql, err, ret_rows, "SELECT count(*) AS value FROM events", "");
}

const struct store_family store_families[] = {
    {"espalier_jobs", "Jobs by kind and state.", jobs_by_state},
    {"espalier_measurements", "Measurements by kind and state.", measurements_by_state},
    {"espalier_device_up", "Whether a board's worker is there.", devices_up},
    {"espalier_device_health", "State and health of each board.", devices_health},
    {"espalier_device_queue", "Measurements that wait for a board.", devices_queue},
    {"espalier_profile_reference_seconds", "Time of the reference network.", references_now},
    {"espalier_profile_noise_ratio", "Relative spread of the reference network.", noise_now},
    {"espalier_profile_drift_ratio", "How far the reference network drifts in a measurement.",
     drift_now},
    {"espalier_candidates", "Candidates of all searches.", candidates},
    {"espalier_events_kept", "Rows of the event log.", events},
    {.name = NULL}};

int store_supernet_ids(struct sql *sql, struct err *err, cJSON **ret_array) {
    return sql_get_rows(sql, err, ret_array, "SELECT id FROM supernets", "");
}

int store_dataset_ids(struct sql *sql, struct err *err, cJSON **ret_array) {
    return sql_get_rows(sql, err, ret_array, "SELECT id FROM datasets", "");
}

int store_paths_in_use(struct sql *sql, struct err *err, cJSON **ret_array) {
    return sql_get_rows(sql, err, ret_array,
                        "SELECT path AS id FROM datasets UNION ALL SELECT json_extract(spec, "
                        "'$.path') FROM jobs WHERE state NOT IN ('done', 'failed', 'canceled') "
                        "AND json_extract(spec, '$.path') IS NOT NULL",
                        "");
}

int store_export_paths(struct sql *sql, struct err *err, cJSON **ret_array) {
    return sql_get_rows(sql, err, ret_array,
                        "SELECT path AS id FROM exports WHERE path IS NOT NULL", "");
}

int store_jobs_kept(struct sql *sql, int64_t kept_us, struct err *err, cJSON **ret_array) {
    return sql_get_rows(
        sql, err, ret_array,
        "SELECT id FROM jobs WHERE ended_us IS NULL OR ended_us > (julianday('now') "
        "- 2440587.5) * 86400e6 - ?1 OR id IN (SELECT job FROM searches) OR subject IN (SELECT id "
        "FROM searches WHERE state IN ('queued', 'running'))",
        "i", kept_us);
}

int store_supernets_at_rest(struct sql *sql, struct err *err, cJSON **ret_array) {
    return sql_get_rows(sql, err, ret_array,
                        "SELECT id FROM supernets s WHERE state NOT IN ('importing', 'training') "
                        "AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.subject = s.id AND j.state "
                        "NOT IN ('done', 'failed', 'canceled'))",
                        "");
}

bool store_checkpoint_is_known(struct sql *sql, const char *supernet, const char *path) {
    int64_t one = 1; /* an error removes nothing */
    bool found = true;
    int r = sql_get_int(sql, NULL, &one, &found,
                        "SELECT 1 FROM checkpoints WHERE supernet = ?1 AND path = ?2", "tt",
                        supernet, path);
    return r != 0 || found;
}
