/* Tables, and what search jobs ask. */
#include "fleet_bed.h"

#include <math.h>

#include "daemon/store_jobs.h"
#include "daemon/store_tables.h"

static int do_build(struct store_tx *tx, struct work *op, struct err *err) {
    return store_table_build(tx, &op->table, err, op->id, op->job);
}

enum { N_ENTRIES = 4 };

static int build(struct fixture *f, const char *method, struct work *op) {
    static const char *const signatures[N_ENTRIES] = {"u1", "u2", "u3", "u4"};
    static const char *const ids[N_ENTRIES] = {"i1", "i2", "i3", "i4"};
    struct table_entry entries[N_ENTRIES];
    for (int i = 0; i < N_ENTRIES; i++)
        entries[i] = (struct table_entry){signatures[i], ids[i], f->graph};
    *op = (struct work){.table = {.profile = f->profile,
                                  .space = "s",
                                  .fingerprint = "fp",
                                  .document = "{}",
                                  .method = method,
                                  .entries = entries,
                                  .n_entries = N_ENTRIES}};
    return fleet_run(f, op, do_build);
}

static void assert_job(struct fixture *f, const char *job, enum job_state want) {
    struct job_row row;
    assert_int_equal(store_job_load(store_loop_sql(f->store), job, &f->err, &row), 0);
    assert_string_equal(job_state_names[row.status.state], job_state_names[want]);
}

static void assert_table(struct fixture *f, const char *id, const char *want_state, int measured) {
    cJSON *doc = NULL;
    assert_int_equal(store_table_get(store_loop_sql(f->store), id, &f->err, &doc), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "state")), want_state);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(doc, "measured")), measured);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(doc, "needed")), N_ENTRIES);
    cJSON_Delete(doc);
}

static void test_a_table_ends_its_job(void **state) {
    struct fixture *f = *state;
    struct work op, again;
    cJSON *progress = NULL;
    assert_int_equal(build(f, "brief/2", &op), 0);
    assert_table(f, op.id, "measuring", 0);
    assert_job(f, op.job, JOB_RUNNING);
    assert_int_equal(build(f, "brief/2", &again), 0); /* joins */
    assert_string_equal(op.id, again.id);
    assert_string_equal(op.job, again.job);
    assert_int_equal(store_table_progress(store_loop_sql(f->store), &f->err, &progress), 0);
    assert_int_equal(cJSON_GetArraySize(progress), 1);
    cJSON_Delete(progress);
    fleet_close_store(f); /* nothing of it is in memory */
    fleet_open_store(f);
    assert_int_equal(fleet_measure_all(f, "ok"), N_ENTRIES);
    assert_table(f, op.id, "ready", N_ENTRIES);
    assert_job(f, op.job, JOB_DONE);
    assert_int_equal(build(f, "brief/2", &again), 0); /* nothing is missing */
    assert_job(f, again.job, JOB_DONE);
    assert_int_equal(fleet_measure_all(f, "ok"), 0);
}

/* The nth entry was measured so many seconds after the table's job began. */
static void note_measured(struct fixture *f, int entry, double at_s) {
    char words[64];
    snprintf(words, sizeof(words), "u%d %.0f", entry, at_s * 1e6);
    fleet_change(f,
                 "UPDATE measurements SET state = 'accepted', finished_us = (SELECT "
                 "max(started_us) FROM job_attempts) + substr(?1, instr(?1, ' ') + 1) WHERE id = "
                 "(SELECT measurement FROM table_entries WHERE signature = substr(?1, 1, "
                 "instr(?1, ' ') - 1))",
                 words);
}

/* Of a table of ten entries, after pauses of so many seconds between measurements. */
static double time_left(const double *pauses, int n) {
    struct table_entry entries[10];
    char names[10][2][8];
    void *state;
    struct work op = {.table = {.space = "s",
                                .fingerprint = "fp",
                                .document = "{}",
                                .method = "brief/2",
                                .entries = entries,
                                .n_entries = 10}};
    cJSON *progress = NULL;
    double at_s = 0;
    assert_int_equal(fleet_start(&state), 0);
    struct fixture *f = state;
    op.table.profile = f->profile;
    for (int i = 0; i < 10; i++) {
        snprintf(names[i][0], sizeof(names[i][0]), "u%d", i + 1);
        snprintf(names[i][1], sizeof(names[i][1]), "i%d", i + 1);
        entries[i] = (struct table_entry){names[i][0], names[i][1], f->graph};
    }
    assert_int_equal(fleet_run(f, &op, do_build), 0);
    for (int i = 0; i < n; i++)
        note_measured(f, i + 1, at_s += pauses[i]);
    assert_int_equal(store_table_progress(store_loop_sql(f->store), &f->err, &progress), 0);
    const cJSON *told = cJSON_GetObjectItem(cJSON_GetArrayItem(progress, 0), "progress");
    cJSON *whole = cJSON_Parse(told->valuestring); /* raw */
    const cJSON *left = cJSON_GetObjectItem(whole, "eta_s");
    double eta_s = cJSON_IsNumber(left) ? left->valuedouble : -1;
    cJSON_Delete(whole);
    cJSON_Delete(progress);
    fleet_stop(&state);
    return eta_s;
}

static void test_long_pauses_are_no_pace(void **state) {
    const double two[] = {2, 2, 300, 2, 2, 500, 2, 2}, one[] = {1, 3, 2, 900}, few[] = {1, 100};
    const double uneven[] = {1, 2, 9, 1, 8}, together[] = {0, 0, 0, 0, 8, 0, 0, 8};
    assert_true(fabs(time_left(two, 8) - 2 * 2) < 1e-6);
    assert_true(fabs(time_left(one, 4) - 6 * 2) < 1e-6);
    assert_true(fabs(time_left(few, 2) - 8 * 50.5) < 1e-6);
    assert_true(fabs(time_left(uneven, 5) - 5 * 4.2) < 1e-6);
    assert_true(fabs(time_left(together, 8) - 2 * 2) < 1e-6);
    assert_true(time_left(NULL, 0) == -1);
}

static int do_job_event(struct store_tx *tx, struct work *op, struct err *err) {
    return store_job_apply(tx, op->a, (enum job_event)op->number, op->b, err);
}

static void cancel_job(struct fixture *f, const char *job) {
    struct work op = {.a = job, .number = JOB_CANCEL};
    assert_int_equal(fleet_run(f, &op, do_job_event), 0);
    op = (struct work){.a = job, .number = JOB_STOP, .b = "canceled"};
    assert_int_equal(fleet_run(f, &op, do_job_event), 0);
}

static int do_retry(struct store_tx *tx, struct work *op, struct err *err) {
    int r = store_job_apply(tx, op->a, JOB_RETRY, NULL, err);
    return r != 0 ? r : store_table_retry(tx, op->b, op->a, err);
}

#define OPEN_UNITS                                                                                 \
    "SELECT count(*) FROM measurements WHERE state IN ('queued', 'leased', 'running') AND kind = " \
    "'unit' AND ?1 IS NOT NULL"

static void test_a_canceled_table_waits_for_nothing(void **state) {
    struct fixture *f = *state;
    struct work op;
    char person[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", person), 0);
    assert_int_equal(build(f, "brief/2", &op), 0);
    assert_int_equal(fleet_number(f, OPEN_UNITS, ""), N_ENTRIES);
    cancel_job(f, op.job);
    assert_job(f, op.job, JOB_CANCELED);
    assert_int_equal(fleet_number(f, OPEN_UNITS, ""), 0);
    fleet_assert_state(f, person, "queued");
    struct work retry = {.a = op.job, .b = op.id};
    assert_int_equal(fleet_run(f, &retry, do_retry), 0);
    assert_int_equal(fleet_number(f, OPEN_UNITS, ""), N_ENTRIES);
    while (fleet_measure_all(f, "ok") > 0)
        ;
    assert_job(f, op.job, JOB_DONE);
    assert_table(f, op.id, "ready", N_ENTRIES);
}

static void test_a_table_with_holes_fails_its_job(void **state) {
    struct fixture *f = *state;
    struct work op;
    cJSON *doc = NULL;
    assert_int_equal(build(f, "brief/2", &op), 0);
    assert_int_equal(fleet_measure_all(f, "oom"), N_ENTRIES);
    assert_table(f, op.id, "incomplete", 0);
    assert_job(f, op.job, JOB_FAILED);
    assert_int_equal(store_job_get(store_loop_sql(f->store), op.job, &f->err, &doc), 0);
    assert_non_null(strstr(cJSON_GetObjectItem(doc, "error")->valuestring, "4 of 4 entries"));
    cJSON_Delete(doc);
    struct work retry = {.a = op.job, .b = op.id};
    assert_int_equal(fleet_run(f, &retry, do_retry), 0);
    assert_int_equal(fleet_measure_all(f, "ok"), N_ENTRIES);
    assert_table(f, op.id, "ready", N_ENTRIES);
}

static void test_full_entries_stand_before_brief_ones(void **state) {
    struct fixture *f = *state;
    struct work op;
    char revision[ID_MAX];
    cJSON *doc = NULL;
    assert_int_equal(build(f, "brief/2", &op), 0);
    assert_int_equal(fleet_measure_all(f, "ok"), N_ENTRIES);
    fleet_change(f, "UPDATE measurements SET median_us = 99 WHERE ?1 IS NULL", NULL);
    assert_int_equal(build(f, "full/2", &op), 0);
    assert_int_equal(fleet_measure_all(f, "ok"), N_ENTRIES);
    assert_int_equal(
        store_profile_table(store_loop_sql(f->store), f->profile, &f->err, revision, &doc), 0);
    const cJSON *entries = cJSON_GetObjectItem(doc, "entries");
    assert_int_equal(cJSON_GetArraySize(entries), N_ENTRIES);
    const cJSON *entry = cJSON_GetArrayItem(entries, 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "signature")), "u1");
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(entry, "median_us")), 1000);
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(entry, "method")), 2);
    cJSON_Delete(doc);
}

static int do_remove(struct store_tx *tx, struct work *op, struct err *err) {
    return store_device_remove(tx, op->a, err, &op->doc);
}

static void test_measurements_outlive_their_board(void **state) {
    struct fixture *f = *state;
    struct work table, op = {.a = f->device};
    char done[ID_MAX], waiting[ID_MAX], device[ID_MAX];
    strcpy(device, f->device);
    assert_int_equal(fleet_ask(f, "g1", "brief/2", done), 0);
    assert_int_equal(fleet_measure_all(f, "ok"), 1);
    assert_int_equal(fleet_ask(f, "g2", "brief/2", waiting), 0);
    assert_int_equal(build(f, "brief/2", &table), 0);
    assert_int_equal(fleet_run(f, &op, do_remove), ESP_ECONFLICT);
    assert_int_equal(cJSON_GetArraySize(op.doc), 1);
    cJSON_Delete(op.doc);
    op.doc = NULL;
    cancel_job(f, table.job);
    assert_int_equal(fleet_run(f, &op, do_remove), 0);
    fleet_assert_state(f, done, "accepted");
    fleet_assert_state(f, waiting, "canceled");
    assert_int_equal(fleet_enrol(f, "machine-one"), 0); /* its place is free */
    assert_string_not_equal(f->device, device);
}

static int do_job(struct store_tx *tx, struct work *op, struct err *err) {
    return store_job_create(tx, "evaluate", "subject", op->body, err, op->id);
}

static int do_requests(struct store_tx *tx, struct work *op, struct err *err) {
    return store_measure_requests_add(tx, op->a, op->body, err);
}

static int do_drop(struct store_tx *tx, struct work *op, struct err *err) {
    return store_measure_requests_drop(tx, op->a, err);
}

static int do_renew(struct store_tx *tx, struct work *op, struct err *err) {
    return store_measure_requests_renew(tx, op->a, err);
}

static cJSON *requests(struct fixture *f, const char *second_profile) {
    cJSON *data = cJSON_CreateObject(), *items = cJSON_AddArrayToObject(data, "items");
    for (int i = 0; i < 2; i++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "request", i);
        cJSON_AddStringToObject(item, "profile_id", i == 0 ? f->profile : second_profile);
        cJSON_AddStringToObject(item, "arch", "r28 | …");
        cJSON_AddStringToObject(item, "arch_id", "x");
        cJSON_AddStringToObject(item, "graph_id", "not believed");
        cJSON_AddStringToObject(item, "method", "full");
        cJSON_AddItemToObject(item, "graph", cJSON_Parse(f->graph));
        cJSON_AddItemToArray(items, item);
    }
    return data;
}

static int answers(struct fixture *f, const char *job, const char *want_first) {
    cJSON *list = NULL;
    assert_int_equal(store_measure_answers(store_loop_sql(f->store), job, &f->err, &list), 0);
    int n = cJSON_GetArraySize(list);
    if (n > 0)
        assert_string_equal(
            cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "state")),
            want_first);
    cJSON_Delete(list);
    return n;
}

static void test_answers_are_due_until_the_job_ends(void **state) {
    struct fixture *f = *state;
    cJSON *spec = cJSON_CreateObject();
    cJSON *data = requests(f, "pf_gone");
    struct work job = {.body = spec}, op = {.body = data};
    assert_int_equal(fleet_run(f, &job, do_job), 0);
    op.a = job.id;
    assert_int_equal(fleet_run(f, &op, do_requests), 0);
    assert_int_equal(fleet_run(f, &op, do_requests), 0); /* sent again after a restart */
    assert_int_equal(fleet_number(f,
                                  "SELECT count(*) FROM measurements WHERE method = 'full/2' AND "
                                  "graph_id = ?1",
                                  f->graph_id),
                     1);
    assert_int_equal(answers(f, job.id, "failed"), 1); /* of the board that is not there */
    assert_int_equal(fleet_measure_all(f, "ok"), 1);
    assert_int_equal(answers(f, job.id, "accepted"), 2);
    fleet_close_store(f);
    fleet_open_store(f);
    assert_int_equal(answers(f, job.id, "accepted"), 2);
    cJSON_Delete(spec);
    cJSON_Delete(data);
}

static void test_a_canceled_job_drops_only_its_own(void **state) {
    struct fixture *f = *state;
    cJSON *spec = cJSON_CreateObject(), *data = requests(f, f->profile);
    struct work one = {.body = spec}, two = {.body = spec}, op = {.body = data};
    const char *open = "SELECT count(*) FROM measurements WHERE state = 'queued' AND ?1 <> ''";
    assert_int_equal(fleet_run(f, &one, do_job), 0);
    assert_int_equal(fleet_run(f, &two, do_job), 0);
    op.a = one.id;
    assert_int_equal(fleet_run(f, &op, do_requests), 0);
    op.a = two.id;
    assert_int_equal(fleet_run(f, &op, do_requests), 0);
    assert_int_equal(fleet_number(f, open, "x"), 1);
    struct work cancel = {.a = one.id, .number = JOB_CANCEL};
    assert_int_equal(fleet_run(f, &cancel, do_job_event), 0);
    op.a = one.id;
    assert_int_equal(fleet_run(f, &op, do_drop), 0);
    assert_int_equal(fleet_number(f, open, "x"), 1); /* the other job waits for it */
    cancel.a = op.a = two.id;
    assert_int_equal(fleet_run(f, &cancel, do_job_event), 0);
    assert_int_equal(fleet_run(f, &op, do_drop), 0);
    assert_int_equal(fleet_number(f, open, "x"), 0);
    assert_int_equal(answers(f, one.id, "none"), 0); /* given up is no answer */
    assert_int_equal(answers(f, two.id, "none"), 0);
    op.a = one.id;
    assert_int_equal(fleet_run(f, &op, do_renew), 0); /* it goes on: asked for anew, once */
    assert_int_equal(fleet_run(f, &op, do_renew), 0);
    assert_int_equal(fleet_number(f, open, "x"), 1);
    assert_int_equal(fleet_measure_all(f, "ok"), 1);
    assert_int_equal(answers(f, one.id, "accepted"), 2);
    assert_int_equal(answers(f, two.id, "none"), 0);
    cJSON_Delete(spec);
    cJSON_Delete(data);
}

static int do_table_remove(struct store_tx *tx, struct work *op, struct err *err) {
    return store_table_remove(tx, op->a, err, &op->doc);
}

/* A job that was canceled cannot fill what is no more. */
static void cancel_and_retry_is_gone(struct fixture *f) {
    struct work op;
    assert_int_equal(build(f, "full/2", &op), 0);
    cancel_job(f, op.job);
    struct work removal = {.a = op.id}, retry = {.a = op.job, .b = op.id};
    assert_int_equal(fleet_run(f, &removal, do_table_remove), 0);
    assert_int_equal(fleet_run(f, &retry, do_retry), ESP_EGONE);
}

static void test_a_table_is_removed_when_no_job_fills_it(void **state) {
    struct fixture *f = *state;
    struct work op, again;
    assert_int_equal(build(f, "brief/2", &op), 0);
    struct work removal = {.a = op.id};
    assert_int_equal(fleet_run(f, &removal, do_table_remove), ESP_ECONFLICT);
    const cJSON *user = cJSON_GetArrayItem(removal.doc, 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(user, "id")), op.job);
    cJSON_Delete(removal.doc);
    assert_int_equal(fleet_measure_all(f, "ok"), N_ENTRIES);
    removal.doc = NULL;
    assert_int_equal(fleet_run(f, &removal, do_table_remove), 0);
    assert_int_equal(
        fleet_number(f, "SELECT count(*) FROM table_entries WHERE table_id = ?1", op.id), 0);
    assert_int_equal(fleet_run(f, &removal, do_table_remove), ESP_ENOTFOUND);
    assert_int_equal(fleet_number(f,
                                  "SELECT count(*) FROM events WHERE topic = 'table' AND "
                                  "json_extract(data, '$.id') = ?1 AND json_extract(data, "
                                  "'$.removed')",
                                  op.id),
                     1);
    assert_int_equal(build(f, "brief/2", &again), 0); /* what was measured is not measured again */
    assert_string_not_equal(op.id, again.id);
    assert_table(f, again.id, "ready", N_ENTRIES);
    cancel_and_retry_is_gone(f);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_start, fleet_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_a_table_is_removed_when_no_job_fills_it),
        TEST(test_a_table_ends_its_job),
        cmocka_unit_test(test_long_pauses_are_no_pace),
        TEST(test_a_canceled_table_waits_for_nothing),
        TEST(test_a_table_with_holes_fails_its_job),
        TEST(test_full_entries_stand_before_brief_ones),
        TEST(test_measurements_outlive_their_board),
        TEST(test_answers_are_due_until_the_job_ends),
        TEST(test_a_canceled_job_drops_only_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
