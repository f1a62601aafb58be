/* What goes with age, and what stays because something refers to it. Rows are written by hand: how
 * they come to be is the business of other tests. */
#include "fixture.h"

#include "daemon/store_energy.h"
#include "daemon/store_retention.h"
#include "daemon/store_system.h"

#define DAY INT64_C(86400000000)

static const char world[] =
    "PRAGMA defer_foreign_keys = ON;"
    "INSERT INTO datasets (id, name, path, validation, split_seed, state, created_us) VALUES "
    "('ds', 'd', '/d', 0, 1, 'ready', 0);"
    "INSERT INTO space_documents VALUES ('f', '{}');"
    "INSERT INTO supernets (id, name, space, space_fingerprint, dataset, state, train, created_us) "
    "VALUES ('sn_1', 'a', 's', 'f', 'ds', 'ready', '{}', 0), ('sn_2', 'b', 's', 'f', 'ds', "
    "'ready', '{}', 0);"
    "INSERT INTO devices (id, name, machine_id, state, health, health_counts, fingerprint, "
    "worker_version, epoch, local, last_seen_us, created_us) VALUES ('dv', 'b', 'm', 'active', "
    "'good', '{}', '{}', '1', 1, 0, 0, 0);"
    "INSERT INTO profiles (id, device, name, runtime, precision, threads, cores, governor, "
    "created_us) VALUES ('pf', 'dv', 'p', 'r', 'fp32', 1, '', '', 0);"
    "INSERT INTO profile_revisions (id, profile, fingerprint, created_us) VALUES ('rev', 'pf', "
    "'{}', 0);"
    "INSERT INTO jobs (id, kind, state, subject, spec, created_us) VALUES ('job_1', 'search', "
    "'done', 'se_1', '{}', 0), ('job_2', 'search', 'done', 'se_gone', '{}', 0), ('job_3', "
    "'search', 'done', 'se_calibrated', '{}', 0), ('job_4', 'calibrate', 'done', 'cal_alone', "
    "'{}', "
    "0);"
    "INSERT INTO searches (id, name, supernet, space, space_fingerprint, state, body, created_us) "
    "VALUES ('se_1', 's', 'sn_1', 's', 'f', 'done', '{}', 0);"
    "INSERT INTO tables (id, profile, profile_revision, space, space_fingerprint, method, "
    "created_us) VALUES ('tb', 'pf', 'rev', 's', 'f', 'brief', 0);"
    "INSERT INTO calibrations (id, profile, profile_revision, search, version, data, created_us) "
    "VALUES ('cl', 'pf', 'rev', 'se_calibrated', 1, '{}', 0), ('cal_alone', 'pf', 'rev', NULL, 1, "
    "'{}', 0);";

/* Of each measurement one counted and one uncounted answer. */
static const char measured[] =
    "INSERT INTO measurements (id, profile, profile_revision, kind, graph_id, graph, method, seed, "
    "state, created_us) SELECT 'me_' || value, 'pf', 'rev', 'network', 'g' || value, '{}', 'full', "
    "1, 'failed', 0 FROM json_each('[\"table\", \"search\", \"gone\", \"calibrated\", "
    "\"alone\", \"nobody\"]');"
    "INSERT INTO results (measurement, lease, attempt, idempotency_key, body_hash, status, "
    "counted, samples, data, created_us) SELECT m.id, 'ls', 1, m.id || c.value, 'h', 'ok', "
    "c.value, x'00', '{}', 1000 FROM measurements m, json_each('[0, 1]') c;"
    "INSERT INTO table_entries VALUES ('tb', 'u', 'me_table');"
    "INSERT INTO measure_requests (job, request, measurement) VALUES ('job_1', 1, 'me_search'), "
    "('job_2', 1, 'me_gone'), ('job_3', 1, 'me_calibrated'), ('job_4', 1, 'me_alone');";

static const char leased[] =
    "INSERT INTO leases VALUES ('ls_open', 'dv', 1, 'acked', 1, 1000, NULL), ('ls_old', 'dv', 1, "
    "'closed', 1, 1000, 1001);"
    "INSERT INTO lease_items VALUES ('ls_old', 'me_table', 1, 0);";

static const char evaluated[] =
    "INSERT INTO evaluations (supernet, checkpoint, arch_id, split, dataset_revision, "
    "recalibration_images, data, created_us) SELECT s.id, 'c', a.value, 'validation', 'r', 2000, "
    "'{}', 1000 FROM supernets s, json_each('[\"front\", \"candidate\", \"pinned\", \"exported\", "
    "\"nobody\"]') a;"
    "INSERT INTO candidates VALUES ('se_1', 'nsga2', 'front', 'a', 0, 1, 1, '{}', '{}', 1, NULL, "
    "NULL, "
    "NULL), "
    "('se_1', 'nsga2', 'candidate', 'a', 0, 1, 0, '{}', '{}', 2, NULL, NULL, NULL);"
    "INSERT INTO pins (supernet, arch_id, arch, created_us) VALUES ('sn_1', 'pinned', 'a', 0);"
    "INSERT INTO exports (id, supernet, arch, arch_id, format, state, created_us) VALUES ('ex', "
    "'sn_1', 'a', 'exported', 'onnx', 'ready', 0);";

static int do_exec(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return sql_exec(store_tx_sql(tx), err, argument);
}

static void exec(struct fixture *f, const char *text) {
    if (in_tx(f, do_exec, (char *)(uintptr_t)text) != 0)
        fail_msg("%s", f->err.message);
}

struct prune {
    struct retention rules;
    struct retention_round round;
};

static int do_prune(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct prune *prune = argument;
    return store_prune(tx, &prune->rules, &prune->round, err);
}

/* A whole round; returns its slices. */
static int prune(struct fixture *f, const struct retention *rules) {
    struct prune prune = {.rules = *rules};
    int n = 0;
    for (; !prune.round.done && n < 1000; n++)
        assert_int_equal(in_tx(f, do_prune, &prune), 0);
    assert_true(prune.round.done);
    return n;
}

struct answer {
    const char *table;
    char text[4096];
};

static int do_list(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct answer *answer = argument;
    struct sql_rows rows;
    if (strcmp(answer->table, "results") == 0)
        sql_query(store_tx_sql(tx), &rows,
                  "SELECT group_concat(replace(measurement, 'me_', '') || counted, ' ') FROM "
                  "(SELECT * FROM results ORDER BY measurement, counted)",
                  "");
    else if (strcmp(answer->table, "leases") == 0)
        sql_query(store_tx_sql(tx), &rows, "SELECT group_concat(id, ' ') FROM leases", "");
    else
        sql_query(store_tx_sql(tx), &rows,
                  "SELECT group_concat(supernet || ':' || arch_id, ' ') FROM (SELECT * FROM "
                  "evaluations ORDER BY supernet, arch_id)",
                  "");
    const char *text = sql_next(&rows) ? sql_text(&rows, 0) : NULL;
    snprintf(answer->text, sizeof(answer->text), "%s", text != NULL ? text : "");
    return sql_end(&rows, err);
}

static void assert_left(struct fixture *f, const char *table, const char *expected) {
    struct answer answer = {.table = table};
    assert_int_equal(in_tx(f, do_list, &answer), 0);
    assert_string_equal(answer.text, expected);
}

static void test_what_is_referred_to_stays(void **state) {
    struct fixture *f = *state;
    exec(f, world);
    exec(f, measured);
    exec(f, leased);
    exec(f, evaluated);
    prune(f, &retention_default);
    assert_left(f, "results", "alone1 calibrated1 search1 table1");
    assert_left(f, "leases", "ls_open");
    assert_left(f, "evaluations", "sn_1:exported sn_1:front sn_1:pinned");
}

static void test_what_is_young_stays(void **state) {
    struct fixture *f = *state;
    struct retention rules = retention_default;
    exec(f, world);
    exec(f, measured);
    exec(f, "UPDATE results SET created_us = unixepoch() * 1000000");
    exec(f, evaluated);
    rules.evaluations_us = 100 * 366 * DAY;
    prune(f, &rules);
    assert_left(f, "results",
                "alone0 alone1 calibrated0 calibrated1 gone0 gone1 nobody0 nobody1 search0 search1 "
                "table0 table1");
    assert_left(f, "evaluations",
                "sn_1:candidate sn_1:exported sn_1:front sn_1:nobody sn_1:pinned sn_2:candidate "
                "sn_2:exported sn_2:front sn_2:nobody sn_2:pinned");
}

static int do_count(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return sql_get_int(store_tx_sql(tx), err, argument, NULL, "SELECT count(*) FROM results", "");
}

static int64_t count_results(struct fixture *f) {
    int64_t n = -1;
    assert_int_equal(in_tx(f, do_count, &n), 0);
    return n;
}

/* Old rows that stay do not hide old ones that go, and no slice is larger than it may be. */
static void test_many_rows_go_in_slices(void **state) {
    struct fixture *f = *state;
    exec(f, world);
    exec(f, measured);
    exec(f, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) "
            "INSERT INTO results (measurement, lease, attempt, idempotency_key, body_hash, status, "
            "counted, samples, data, created_us) SELECT CASE WHEN i % 3 THEN 'me_table' ELSE "
            "'me_nobody' END, 'ls', 1, 'k' || i, 'h', 'ok', 1, x'00', '{}', 1000 FROM n");
    struct prune step = {.rules = retention_default};
    int64_t left = count_results(f), now;
    for (int n = 0; !step.round.done; n++, left = now) {
        assert_true(n < 20);
        assert_int_equal(in_tx(f, do_prune, &step), 0);
        now = count_results(f);
        assert_true(left - now <= RETENTION_SLICE);
    }
    assert_int_equal(left, 6004);
    exec(f, "DELETE FROM results WHERE measurement = 'me_table' AND idempotency_key LIKE 'k%'");
    assert_left(f, "results", "alone1 calibrated1 search1 table1");
}

static int do_fit(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    const int *n = argument;
    char id[ID_MAX];
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "n", *n);
    int r = store_energy_add(tx, "pf", "rev", data, err, id);
    cJSON_Delete(data);
    return r;
}

static int do_count_prices(struct store_tx *tx, struct fixture *f, void *argument,
                           struct err *err) {
    return sql_get_int(store_tx_sql(tx), err, argument, NULL,
                       "SELECT 1000 * count(*) + min(version) FROM energy_prices", "");
}

/* Versions go on counting: those that stay are the newest. */
static void test_a_fit_keeps_the_newest_prices(void **state) {
    int64_t count = 0;
    exec(*state, world);
    for (int n = 0; n < 25; n++)
        assert_int_equal(in_tx(*state, do_fit, &n), 0);
    assert_int_equal(in_tx(*state, do_count_prices, &count), 0);
    assert_int_equal(count, 20006);
}

static int do_points(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    int64_t *ret = argument;
    int r =
        sql_get_int(store_tx_sql(tx), err, &ret[0], NULL,
                    "SELECT count(*) FROM metrics WHERE supernet = 'sn_2' AND series = 'long'", "");
    if (r == 0)
        r = sql_get_int(store_tx_sql(tx), err, &ret[1], NULL,
                        "SELECT count(*) FROM metrics WHERE series = 'short'", "");
    if (r == 0)
        r = sql_get_int(store_tx_sql(tx), err, &ret[2], NULL,
                        "SELECT count(*) FROM metrics WHERE series = 'long' AND step > 9750", "");
    return r == 0 ? sql_get_int(store_tx_sql(tx), err, &ret[3], NULL,
                                "SELECT count(*) FROM metrics WHERE series = 'long' AND step < "
                                "1000",
                                "")
                  : r;
}

static void test_long_curves_are_thinned(void **state) {
    struct fixture *f = *state;
    struct retention rules = retention_default;
    int64_t n[4];
    rules.points = 1000;
    exec(f, world);
    exec(f, "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
            "INSERT INTO metrics (supernet, series, step, epoch, value) SELECT 'sn_2', 'long', i, "
            "0, 1 FROM n UNION ALL SELECT 'sn_1', 'short', i, 0, 1 FROM n WHERE i <= 1000");
    assert_true(prune(f, &rules) >= 5); /* a halving each */
    assert_int_equal(in_tx(f, do_points, n), 0);
    assert_in_range(n[0], 400, 1000);
    assert_int_equal(n[1], 1000); /* not a point too many */
    assert_int_equal(n[2], 250);  /* the end stays dense */
    assert_in_range(n[3], 20, 200);
    prune(f, &rules);
    int64_t again[4];
    assert_int_equal(in_tx(f, do_points, again), 0);
    assert_int_equal(again[0], n[0]);
}

static int do_describe(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_retention_describe(store_tx_sql(tx), &retention_default, err, argument);
}

static void test_the_rules_are_told(void **state) {
    struct fixture *f = *state;
    cJSON *rules = NULL;
    exec(f, world);
    exec(f, measured);
    assert_int_equal(in_tx(f, do_describe, &rules), 0);
    assert_int_equal(cJSON_GetArraySize(rules), 8);
    const cJSON *results = cJSON_GetArrayItem(rules, 3);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(results, "kind")), "results");
    assert_int_equal(cJSON_GetObjectItem(results, "rows")->valueint, 12);
    assert_non_null(strstr(cJSON_GetStringValue(cJSON_GetObjectItem(results, "rule")), "90 days"));
    cJSON_Delete(rules);
}

static int do_folders(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_jobs_kept(store_tx_sql(tx), DAY, err, argument);
}

/* Its front's checkpoint is there. */
static void test_a_search_keeps_its_folder(void **state) {
    struct fixture *f = *state;
    cJSON *jobs = NULL;
    exec(f, world);
    exec(f, "UPDATE jobs SET ended_us = 1000; UPDATE searches SET job = 'job_1';");
    assert_int_equal(in_tx(f, do_folders, &jobs), 0);
    assert_int_equal(cJSON_GetArraySize(jobs), 1);
    assert_string_equal(
        cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(jobs, 0), "id")), "job_1");
    cJSON_Delete(jobs);
    exec(f, "DELETE FROM searches");
    assert_int_equal(in_tx(f, do_folders, &jobs), 0);
    assert_int_equal(cJSON_GetArraySize(jobs), 0);
    cJSON_Delete(jobs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_referred_to_stays, fixture_start,
                                        fixture_stop),
        cmocka_unit_test_setup_teardown(test_what_is_young_stays, fixture_start, fixture_stop),
        cmocka_unit_test_setup_teardown(test_a_search_keeps_its_folder, fixture_start,
                                        fixture_stop),
        cmocka_unit_test_setup_teardown(test_many_rows_go_in_slices, fixture_start, fixture_stop),
        cmocka_unit_test_setup_teardown(test_a_fit_keeps_the_newest_prices, fixture_start,
                                        fixture_stop),
        cmocka_unit_test_setup_teardown(test_long_curves_are_thinned, fixture_start, fixture_stop),
        cmocka_unit_test_setup_teardown(test_the_rules_are_told, fixture_start, fixture_stop),
    };
    return cmocka_run_group_tests_name("daemon-retention", tests, NULL, NULL);
}
