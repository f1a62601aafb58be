/* What is pruned when it is asked for, and what stays because something depends on it. Rows are
 * written by hand: how they come to be is the business of other tests. */
#include "fixture.h"

#include "daemon/store_prune.h"
#include "daemon/store_supernets.h"

/* What is old is of the times 1 to 9; before 100 is old. */
static const char world[] =
    "PRAGMA defer_foreign_keys = ON;"
    "INSERT INTO space_documents VALUES ('f', '{}');"
    "INSERT INTO supernets (id, name, space, space_fingerprint, state, checkpoint, job, train, "
    "created_us) VALUES ('sn_1', 'a', 's', 'f', 'ready', 'ck_new', 'job_made', '{}', 0), ('sn_2', "
    "'b', 's', 'f', 'training', NULL, NULL, '{}', 0);"
    "INSERT INTO devices (id, name, machine_id, state, health, health_counts, fingerprint, "
    "worker_version, epoch, local, last_seen_us, created_us) VALUES ('dv', 'b', 'm', 'active', "
    "'good', '{}', '{}', '1', 1, 0, 0, 0);"
    "INSERT INTO profiles (id, device, name, runtime, precision, threads, cores, governor, "
    "created_us) VALUES ('pf', 'dv', 'p', 'r', 'fp32', 1, '', '', 0);"
    "INSERT INTO profile_revisions (id, profile, fingerprint, created_us) VALUES ('rev', 'pf', "
    "'{}', 0);"
    "INSERT INTO searches (id, name, supernet, space, space_fingerprint, state, body, checkpoint, "
    "created_us) VALUES ('se_1', 's', 'sn_1', 's', 'f', 'done', '{}', 'ck_search', 5), ('se_c', "
    "'c', 'sn_1', 's', 'f', 'canceled', '{}', NULL, 5), ('se_young', 'y', 'sn_1', 's', 'f', "
    "'canceled', '{}', NULL, 500), ('se_late', 'l', 'sn_1', 's', 'f', 'canceled', '{}', NULL, 5), "
    "('se_again', 'g', 'sn_1', 's', 'f', 'failed', '{}', NULL, 5);"
    "INSERT INTO tables (id, profile, profile_revision, space, space_fingerprint, method, "
    "created_us) VALUES ('tb', 'pf', 'rev', 's', 'f', 'brief', 0);"
    "INSERT INTO calibrations (id, profile, profile_revision, search, version, data, created_us) "
    "VALUES ('cl', 'pf', 'rev', 'se_calibrated', 1, '{}', 0), ('cal_alone', 'pf', 'rev', NULL, 1, "
    "'{}', 0);";

static const char jobs[] =
    "INSERT INTO jobs (id, kind, state, subject, spec, created_us, ended_us) VALUES "
    "('job_old', 'evaluate', 'done', 'sn_1', '{}', 1, 7), "
    "('job_young', 'evaluate', 'done', 'sn_1', '{}', 1, 700), "
    "('job_open', 'evaluate', 'queued', 'sn_2', '{\"checkpoint_hash\":\"h_open\"}', 1, NULL), "
    "('job_made', 'train', 'done', 'sn_1', '{}', 1, 7), "
    "('job_search', 'search', 'done', 'se_1', '{}', 1, 7), "
    "('job_canceled', 'search', 'canceled', 'se_c', '{}', 1, 7), "
    "('job_first', 'search', 'failed', 'se_c', '{}', 1, 6), "
    "('job_late', 'search', 'canceled', 'se_late', '{}', 1, 700), "
    "('job_again', 'search', 'queued', 'se_again', '{}', 1, NULL), "
    "('job_calibrated', 'search', 'done', 'se_calibrated', '{}', 1, 7), "
    "('job_alone', 'calibrate', 'done', 'cal_alone', '{}', 1, 7), "
    "('job_gone', 'search', 'failed', 'se_gone', '{}', 1, 9);"
    "INSERT INTO job_attempts (job, attempt, started_us) VALUES ('job_old', 1, 1);";

static const char checkpoints[] =
    "INSERT INTO checkpoints (id, supernet, path, step, epoch, bytes, hash, created_us) VALUES "
    "('ck_old', 'sn_1', 'p1', 1, 1, 1000, 'h_old', 5), "
    "('ck_search', 'sn_1', 'p2', 2, 1, 1000, 'h_search', 5), "
    "('ck_evaluated', 'sn_1', 'p3', 3, 1, 1000, 'h_evaluated', 5), "
    "('ck_open', 'sn_1', 'p4', 4, 1, 1000, 'h_open', 5), "
    "('ck_young', 'sn_1', 'p5', 5, 1, 1000, 'h_young', 500), "
    "('ck_new', 'sn_1', 'p6', 6, 1, 1000, 'h_new', 6), "
    "('ck_training', 'sn_2', 'p1', 1, 1, 1000, 'h_t', 5), "
    "('ck_training_2', 'sn_2', 'p2', 2, 1, 1000, 'h_t2', 5);"
    "INSERT INTO evaluations (supernet, checkpoint, arch_id, split, dataset_revision, "
    "recalibration_images, data, created_us) VALUES ('sn_1', 'h_evaluated', 'pinned', 'v', 'r', 1, "
    "'{}', 5), ('sn_1', 'h_new', 'nobody', 'v', 'r', 1, '{}', 5), ('sn_1', 'h_new', 'front', 'v', "
    "'r', 1, '{}', 5);"
    "INSERT INTO pins (supernet, arch_id, arch, created_us) VALUES ('sn_1', 'pinned', 'a', 0);"
    "INSERT INTO candidates VALUES ('se_1', 'nsga2', 'front', 'a', 0, 1, 1, '{}', '{}', 1, NULL, "
    "NULL, "
    "NULL), "
    "('se_c', 'nsga2', 'front', 'a', 0, 1, 0, '{}', '{}', 2, NULL, NULL, NULL);"
    "INSERT INTO exports (id, supernet, arch, arch_id, format, state, bytes, created_us) VALUES "
    "('ex_old', 'sn_1', 'a', 'x', 'onnx', 'ready', 77, 5), ('ex_queued', 'sn_1', 'a', 'x', 'onnx', "
    "'queued', NULL, 5), ('ex_young', 'sn_1', 'a', 'x', 'onnx', 'failed', NULL, 500);";

static const char measured[] =
    "INSERT INTO measurements (id, profile, profile_revision, kind, graph_id, graph, method, seed, "
    "state, created_us, finished_us) SELECT 'me_' || value, 'pf', 'rev', 'network', 'g' || value, "
    "'{}', 'full', 1, 'accepted', 0, 5 FROM json_each('[\"table\", \"search\", \"gone\", "
    "\"calibrated\", \"alone\", \"nobody\"]');"
    "INSERT INTO measurements (id, profile, profile_revision, kind, graph_id, graph, method, seed, "
    "state, created_us) VALUES ('me_open', 'pf', 'rev', 'network', 'g', '{}', 'full', 1, 'queued', "
    "0);"
    "INSERT INTO results (measurement, lease, attempt, idempotency_key, body_hash, status, "
    "counted, samples, data, created_us) SELECT id, 'ls', 1, id, 'h', 'ok', 1, x'0000', '{}', 5 "
    "FROM measurements WHERE state = 'accepted';"
    "INSERT INTO table_entries VALUES ('tb', 'u', 'me_table');"
    "INSERT INTO measure_requests (job, request, measurement) VALUES ('job_search', 1, "
    "'me_search'), ('job_gone', 1, 'me_gone'), ('job_calibrated', 1, 'me_calibrated'), "
    "('job_alone', 1, 'me_alone');"
    "INSERT INTO leases VALUES ('ls_open', 'dv', 1, 'acked', 1, 5, NULL), ('ls_old', 'dv', 1, "
    "'closed', 1, 5, 6);"
    "INSERT INTO lease_items VALUES ('ls_old', 'me_nobody', 1, 0);";

static int do_exec(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return sql_exec(store_tx_sql(tx), err, argument);
}

static void exec(struct fixture *f, const char *text) {
    if (in_tx(f, do_exec, (char *)(uintptr_t)text) != 0)
        fail_msg("%s", f->err.message);
}

struct pruning {
    const struct prune_kind *kind;
    struct prune_found counted, removed;
    char folders[200]; /* of the first row */
};

/* Counts, lists and removes in one go. */
static int do_prune(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct pruning *pruning = argument;
    struct sql *sql = store_tx_sql(tx);
    cJSON *rows = NULL;
    int r = prune_count(sql, pruning->kind, 100, err, &pruning->counted);
    if (r == 0)
        r = prune_list(sql, pruning->kind, 100, 1000, err, &rows);
    const char *folders =
        cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 0), "folders"));
    snprintf(pruning->folders, sizeof(pruning->folders), "%s", folders != NULL ? folders : "");
    if (r == 0)
        r = prune_remove(tx, pruning->kind, 100, rows, err, &pruning->removed);
    cJSON_Delete(rows);
    return r;
}

static struct pruning prune_kind(struct fixture *f, const char *kind) {
    struct pruning pruning = {.kind = prune_kind_find(kind)};
    assert_non_null(pruning.kind);
    if (in_tx(f, do_prune, &pruning) != 0)
        fail_msg("%s: %s", kind, f->err.message);
    assert_int_equal(pruning.counted.count, pruning.removed.count);
    assert_int_equal(pruning.counted.bytes, pruning.removed.bytes);
    assert_int_equal(pruning.counted.oldest_us, pruning.removed.oldest_us);
    return pruning;
}

static struct prune_found prune(struct fixture *f, const char *kind) {
    return prune_kind(f, kind).removed;
}

/* query gives one text. */
static void assert_left(struct fixture *f, const char *query, const char *expected) {
    sqlite3_stmt *stmt = NULL;
    sqlite3 *db = sql_handle(store_loop_sql(f->store));
    assert_int_equal(sqlite3_prepare_v2(db, query, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    assert_string_equal(text != NULL ? text : "", expected);
    sqlite3_finalize(stmt);
}

#define IDS(table)                                                                                 \
    "SELECT group_concat(id, ' ') FROM (SELECT id FROM " table " ORDER BY created_us, id)"

/* What was told under the topic, in any order of removal: ids, with those that are gone marked. */
#define TOLD(topic)                                                                                \
    "SELECT group_concat(told, ' ') FROM (SELECT (data ->> '$.id') || CASE WHEN data ->> "         \
    "'$.removed' THEN ' gone' ELSE '' END AS told FROM events WHERE topic = '" topic               \
    "' ORDER BY told)"

static void test_jobs(void **state) {
    struct fixture *f = *state;
    struct prune_found found = prune(f, "jobs");
    assert_left(f, TOLD("job"), "job_gone gone job_old gone");
    assert_int_equal(found.count, 2);
    assert_int_equal(found.oldest_us, 7);
    assert_left(
        f, IDS("jobs"),
        "job_again job_alone job_calibrated job_canceled job_first job_late job_made job_open "
        "job_search job_young");
    assert_left(f, "SELECT count(*) FROM job_attempts", "0");
}

/* One goes by its end, with its jobs. */
static void test_searches(void **state) {
    struct fixture *f = *state;
    struct pruning pruning;
    assert_true(prune_kind_find("searches")->when_named);
    pruning = prune_kind(f, "searches");
    assert_int_equal(pruning.removed.count, 1);
    assert_int_equal(pruning.removed.oldest_us, 7);
    assert_true(strcmp(pruning.folders, "job_canceled job_first") == 0 ||
                strcmp(pruning.folders, "job_first job_canceled") == 0);
    assert_left(f, IDS("searches"), "se_1 se_again se_late se_young");
    assert_left(f, TOLD("search"), "se_c gone");
    assert_left(f, TOLD("job"), "job_canceled gone job_first gone");
    assert_left(f, "SELECT count(*) FROM candidates", "1");
    assert_left(f, "SELECT count(*) FROM jobs WHERE id IN ('job_canceled', 'job_first')", "0");
    assert_left(f, "SELECT count(*) FROM jobs WHERE id IN ('job_late', 'job_again')", "2");
    assert_string_equal(prune_kind(f, "jobs").folders, "job_old");
}

static void test_exports_and_checkpoints(void **state) {
    struct fixture *f = *state;
    assert_int_equal(prune(f, "exports").bytes, 77);
    assert_left(f, IDS("exports"), "ex_queued ex_young");
    assert_left(f, TOLD("export"), "ex_old gone");
    assert_int_equal(prune(f, "checkpoints").count, 1);
    assert_left(f, IDS("checkpoints"),
                "ck_evaluated ck_open ck_search ck_training ck_training_2 ck_new ck_young");
    assert_left(f, TOLD("supernet"), "sn_1");
}

/* Two of one path: the file is the second one's. */
static const char same_place[] =
    "INSERT INTO checkpoints (id, supernet, path, step, epoch, bytes, hash, created_us) VALUES "
    "('ck_place_1', 'sn_1', 'place', 1, 1, 1000, 'h_place_1', 4), "
    "('ck_place_2', 'sn_1', 'place', 2, 1, 1000, 'h_place_2', 5)";

struct removal {
    const char *id;
    cJSON *users;
};

static int do_remove(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct removal *removal = argument;
    return store_checkpoint_remove(tx, removal->id, err, &removal->users);
}

static void assert_replaced(struct fixture *f, const char *id) {
    struct stored_checkpoint found;
    assert_int_equal(store_checkpoint_find(store_loop_sql(f->store), "sn_1", id, &f->err, &found),
                     0);
    assert_true(found.replaced);
}

/* Else the first would be taken for what lies there. */
static void test_what_replaced_another_goes_after_it(void **state) {
    struct fixture *f = *state;
    struct removal removal = {"ck_place_2", NULL};
    exec(f, same_place);
    assert_int_equal(in_tx(f, do_remove, &removal), ESP_ECONFLICT);
    assert_int_equal(cJSON_GetArraySize(removal.users), 1);
    const cJSON *user = cJSON_GetArrayItem(removal.users, 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(user, "kind")), "checkpoint");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(user, "id")), "ck_place_1");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(user, "name")), "place");
    cJSON_Delete(removal.users);
    assert_replaced(f, "ck_place_1");
    assert_int_equal(in_tx(f, do_remove, &(struct removal){"ck_place_1", NULL}), 0);
    assert_int_equal(in_tx(f, do_remove, &(struct removal){"ck_place_2", NULL}), 0);
}

static void test_what_replaced_another_is_pruned_after_it(void **state) {
    struct fixture *f = *state;
    exec(f, same_place);
    assert_int_equal(prune(f, "checkpoints").count, 2); /* ck_old and the first of the place */
    assert_left(f, TOLD("supernet"), "sn_1");           /* once for both */
    assert_left(f, "SELECT group_concat(id) FROM checkpoints WHERE path = 'place'", "ck_place_2");
    assert_int_equal(prune(f, "checkpoints").count, 1);
    assert_int_equal(prune(f, "checkpoints").count, 0);
    exec(f, same_place);
    exec(f, "INSERT INTO evaluations (supernet, checkpoint, arch_id, split, dataset_revision, "
            "recalibration_images, data, created_us) VALUES ('sn_1', 'h_place_1', 'x', 'v', 'r', "
            "1, '{}', 5)");
    assert_int_equal(prune(f, "checkpoints").count, 0);
    assert_replaced(f, "ck_place_1");
}

static void test_evaluations(void **state) {
    struct fixture *f = *state;
    assert_int_equal(prune(f, "evaluations").count, 1);
    assert_left(f, "SELECT group_concat(arch_id, ' ') FROM (SELECT * FROM evaluations ORDER BY id)",
                "pinned front");
}

static void test_measurements(void **state) {
    struct fixture *f = *state;
    assert_int_equal(prune(f, "measurements").count, 0); /* their samples are there */
    assert_int_equal(prune(f, "samples").count, 2);
    assert_left(
        f,
        "SELECT group_concat(measurement, ' ') FROM (SELECT * FROM results ORDER BY measurement)",
        "me_alone me_calibrated me_search me_table");
    assert_int_equal(prune(f, "measurements").count, 0); /* a lease, and a job's request */
    assert_int_equal(prune(f, "leases").count, 1);
    assert_int_equal(prune(f, "jobs").count, 2);
    assert_int_equal(prune(f, "measurements").count, 2);
    assert_left(f, IDS("measurements"), "me_alone me_calibrated me_open me_search me_table");
}

/* Without samples, lease or request, but of the profile's revision: energy prices come from it. */
static void test_what_boards_accepted_stays(void **state) {
    struct fixture *f = *state;
    exec(f, "INSERT INTO measurements (id, profile, profile_revision, kind, graph_id, graph, "
            "method, seed, state, created_us, finished_us, energy_uj) SELECT 'me_' || value, 'pf', "
            "'rev', CASE value WHEN 'unit' THEN 'unit' ELSE 'network' END, 'g' || value, '{}', "
            "'full', 1, CASE value WHEN 'failed' THEN 'failed' ELSE 'accepted' END, 0, 5, 7 FROM "
            "json_each('[\"asked\", \"unit\", \"failed\"]')");
    exec(f, "UPDATE profiles SET revision = 'rev'");
    assert_int_equal(prune(f, "measurements").count, 2);
    assert_left(f, "SELECT count(*) FROM measurements WHERE id = 'me_asked'", "1");
    exec(f, "INSERT INTO profile_revisions (id, profile, fingerprint, created_us) VALUES ('next', "
            "'pf', '{\"a\":1}', 1); UPDATE profiles SET revision = 'next'");
    assert_int_equal(prune(f, "measurements").count, 1);
    assert_left(f, "SELECT count(*) FROM measurements WHERE id = 'me_asked'", "0");
}

static int setup(void **state) {
    static const char *const texts[] = {world, jobs, checkpoints, measured};
    int r = fixture_start(state);
    for (int i = 0; i < 4; i++)
        exec(*state, texts[i]);
    return r;
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_stop)
    const struct CMUnitTest tests[] = {TEST(test_jobs),
                                       TEST(test_searches),
                                       TEST(test_exports_and_checkpoints),
                                       TEST(test_what_replaced_another_goes_after_it),
                                       TEST(test_what_replaced_another_is_pruned_after_it),
                                       TEST(test_evaluations),
                                       TEST(test_measurements),
                                       TEST(test_what_boards_accepted_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
