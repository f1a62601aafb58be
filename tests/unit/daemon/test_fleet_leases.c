/* Measurements, leases and results. */
#include "fleet_bed.h"

static int do_heartbeat(struct store_tx *tx, struct work *op, struct err *err) {
    return store_lease_heartbeat(tx, op->a, op->b, op->c, err, &op->doc);
}

static int do_release(struct store_tx *tx, struct work *op, struct err *err) {
    return store_lease_release(tx, op->a, op->b, err);
}

#define RESULTS "SELECT count(*) FROM results WHERE measurement = ?1"
#define COUNTED "SELECT count(*) FROM results WHERE counted AND measurement = ?1"
#define FAILURES "SELECT failures FROM measurements WHERE id = ?1"

static void test_equal_measurements_are_one(void **state) {
    struct fixture *f = *state;
    char a[ID_MAX], b[ID_MAX], full[ID_MAX], lease[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", a), 0);
    assert_int_equal(fleet_ask(f, "g1", "brief/2", b), 0);
    assert_string_equal(a, b);
    assert_int_equal(fleet_ask(f, "g1", "full/2", full), 0);
    assert_string_not_equal(a, full);
    assert_int_equal(fleet_grant(f, 8, lease), 2);
    assert_int_equal(fleet_send_new(f, lease, full, 1, "ok"), 201);
    /* What was measured thoroughly will do. */
    assert_int_equal(fleet_ask(f, "g1", "brief/2", b), 0);
    assert_string_equal(b, full);
    strcpy(f->profile, "pf_none");
    assert_int_equal(fleet_ask(f, "g2", "brief/2", b), ESP_ENOTFOUND);
}

static void test_results_are_idempotent(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    assert_int_equal(fleet_ack(f, lease), 0);
    cJSON *body = fleet_result_body(lease, id, 1, "noisy");
    assert_int_equal(fleet_send_result(f, body), 201);
    assert_int_equal(fleet_send_result(f, body), 200);
    cJSON_ReplaceItemInObject(body, "median_us", cJSON_CreateNumber(1010));
    assert_int_equal(fleet_send_result(f, body), ESP_ECONFLICT);
    cJSON_Delete(body);
    fleet_assert_state(f, id, "accepted");
    assert_int_equal(fleet_number(f, RESULTS, id), 1);
    assert_int_equal(
        fleet_number(f,
                     "SELECT median_us = 1000 AND low_us = 950 AND n = 3 FROM measurements "
                     "WHERE id = ?1",
                     id),
        1);
    assert_int_equal(fleet_number(f, "SELECT state = 'closed' FROM leases WHERE id = ?1", lease),
                     1);
    assert_int_equal(fleet_ack(f, lease), ESP_EGONE);
}

static void test_foreign_results_are_gone(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    assert_int_equal(fleet_send_new(f, "ls_never", id, 1, "ok"), ESP_EGONE);
    assert_int_equal(fleet_send_new(f, lease, "ms_other", 1, "ok"), ESP_EGONE);
    assert_int_equal(fleet_send_new(f, lease, id, 2, "ok"), ESP_EGONE);
    assert_int_equal(fleet_enrol(f, "machine-two"), 0); /* another board tries */
    assert_int_equal(fleet_send_new(f, lease, id, 1, "ok"), ESP_EGONE);
    fleet_assert_state(f, id, "leased");
}

static void test_impossible_results_are_refused(void **state) {
    static const struct {
        const char *key, *json;
    } rows[] = {{"median_us", "-1"},
                {"median_us", "2000"},
                {"low_us", "1010"},
                {"n", "0"},
                {"n", "null"},
                {"sd_us", "-1"},
                {"high_us", "1e99"},
                {"status", "\"fine\""},
                {"samples_us", "[1,-1]"},
                {"samples_us", "[\"a\"]"},
                {"samples_us", "7"}};
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        cJSON *body = fleet_result_body(lease, id, 1, "ok");
        cJSON_ReplaceItemInObject(body, rows[i].key, cJSON_Parse(rows[i].json));
        assert_int_equal(fleet_send_result(f, body), ESP_EINVAL);
        cJSON_Delete(body);
    }
    cJSON *body = fleet_result_body(lease, id, 1, "ok"), *many = cJSON_CreateArray();
    for (int i = 0; i < 10001; i++)
        cJSON_AddItemToArray(many, cJSON_CreateNumber(100));
    cJSON_ReplaceItemInObject(body, "samples_us", many);
    assert_int_equal(fleet_send_result(f, body), ESP_ELIMIT);
    cJSON_Delete(body);
    assert_int_equal(fleet_number(f, RESULTS, id), 0);
    fleet_assert_state(f, id, "leased");
}

static void test_late_results_count_once(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], first[ID_MAX], second[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, first), 1);
    assert_int_equal(fleet_ack(f, first), 0);
    fleet_expire(f, first);
    fleet_assert_state(f, id, "queued");
    assert_int_equal(fleet_grant(f, 8, second), 1);
    assert_int_equal(fleet_ack(f, second), 0);
    /* The first attempt comes back while the second runs: it is taken, the other is spare. */
    assert_int_equal(fleet_send_new(f, first, id, 1, "ok"), 200);
    fleet_assert_state(f, id, "accepted");
    assert_int_equal(fleet_send_new(f, second, id, 2, "crashed"), 201);
    fleet_assert_state(f, id, "accepted");
    assert_int_equal(fleet_number(f, RESULTS, id), 2);
    assert_int_equal(fleet_number(f, COUNTED, id), 1);
    assert_int_equal(fleet_number(f, "SELECT state = 'closed' FROM leases WHERE id = ?1", second),
                     1);
}

/* It was counted as lost when its lease expired. */
static void test_late_crash_counts_no_more(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], first[ID_MAX], second[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, first), 1);
    assert_int_equal(fleet_ack(f, first), 0);
    fleet_expire(f, first);
    assert_int_equal(fleet_grant(f, 8, second), 1);
    assert_int_equal(fleet_send_new(f, first, id, 1, "crashed"), 200);
    fleet_assert_state(f, id, "leased");
    assert_int_equal(fleet_number(f, FAILURES, id), 1);
}

/* A result of a network whose reference network became slower. */
static void send_drifting(struct fixture *f, const char *graph, const char *method) {
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(fleet_ask(f, graph, method, id), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    cJSON *body = fleet_result_body(lease, id, 1, "ok");
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(body, "reference"), "after_us",
                              cJSON_CreateNumber(80));
    assert_int_equal(fleet_send_result(f, body), 201);
    cJSON_Delete(body);
}

static void test_drift_tells_only_with_enough_references(void **state) {
    struct fixture *f = *state;
    const char *health = "SELECT health = 'suspect' FROM devices WHERE id = ?1";
    char graph[8];
    fleet_change(f, "UPDATE devices SET health = 'good' WHERE id = ?1", f->device);
    for (int i = 0; i < 2 * HEALTH_DRIFTS; i++) {
        snprintf(graph, sizeof(graph), "b%d", i);
        send_drifting(f, graph, "brief/2");
    }
    assert_int_equal(fleet_number(f, health, f->device), 0);
    for (int i = 0; i < HEALTH_DRIFTS; i++) {
        snprintf(graph, sizeof(graph), "f%d", i);
        send_drifting(f, graph, "full/2");
    }
    assert_int_equal(fleet_number(f, health, f->device), 1);
}

static void test_three_losses_fail(void **state) {
    struct fixture *f = *state;
    char id[2][ID_MAX], lease[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id[0]), 0);
    for (int i = 1; i <= MEASUREMENT_FAILURES_MAX; i++) {
        assert_int_equal(fleet_grant(f, 1, lease), 1);
        assert_int_equal(fleet_ack(f, lease), 0);
        fleet_expire(f, lease);
        fleet_assert_state(f, id[0], i < MEASUREMENT_FAILURES_MAX ? "queued" : "failed");
    }
    assert_int_equal(fleet_number(f, "SELECT attempt FROM measurements WHERE id = ?1", id[0]), 3);
    assert_int_equal(
        fleet_number(f,
                     "SELECT json_extract(error, '$.code') = 'timeout' FROM measurements "
                     "WHERE id = ?1",
                     id[0]),
        1);
    /* Asked for again, it is another one. */
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id[1]), 0);
    assert_string_not_equal(id[0], id[1]);
}

/* A board works through its lease in order: what it had not begun loses no attempt. */
static void test_only_the_first_item_is_lost(void **state) {
    struct fixture *f = *state;
    char id[3][ID_MAX], lease[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id[0]), 0);
    assert_int_equal(fleet_ask(f, "g2", "brief/2", id[1]), 0);
    assert_int_equal(fleet_ask(f, "g3", "brief/2", id[2]), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 3);
    fleet_expire(f, lease); /* never acknowledged: nothing was begun */
    assert_int_equal(
        fleet_number(f, "SELECT sum(failures) FROM measurements WHERE ?1 <> ''", lease), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 3);
    assert_int_equal(fleet_ack(f, lease), 0);
    assert_int_equal(fleet_send_new(f, lease, id[0], 2, "ok"), 201);
    fleet_expire(f, lease);
    assert_int_equal(fleet_number(f, FAILURES, id[1]), 1);
    assert_int_equal(fleet_number(f, FAILURES, id[2]), 0);
    /* What has failed comes last. */
    assert_int_equal(fleet_grant(f, 1, lease), 1);
    fleet_assert_state(f, id[2], "leased");
}

static void test_refusals_are_final(void **state) {
    static const char *const status[] = {"oom", "unsupported", "invalid"};
    static const char *const codes[] = {"out_of_memory", "unsupported", "invalid_value"};
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX], graph[8];
    for (int i = 0; i < 3; i++) {
        cJSON *doc = NULL;
        snprintf(graph, sizeof(graph), "g%d", i);
        assert_int_equal(fleet_ask(f, graph, "brief/2", id), 0);
        assert_int_equal(fleet_grant(f, 8, lease), 1);
        cJSON *body = fleet_result_body(lease, id, 1, status[i]);
        cJSON_DeleteItemFromObject(body, "samples_us");
        cJSON_DeleteItemFromObject(body, "median_us");
        assert_int_equal(fleet_send_result(f, body), 201);
        cJSON_Delete(body);
        fleet_assert_state(f, id, "failed");
        assert_int_equal(store_measurement_row(store_loop_sql(f->store), id, &f->err, &doc), 0);
        cJSON *error = cJSON_Parse(cJSON_GetObjectItem(doc, "error")->valuestring);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(error, "code")), codes[i]);
        cJSON_Delete(error);
        cJSON_Delete(doc);
    }
}

static void test_a_restart_of_the_worker_fences(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], old[ID_MAX], lease[ID_MAX];
    int64_t epoch = f->epoch;
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, old), 1);
    assert_int_equal(fleet_ack(f, old), 0);
    assert_int_equal(fleet_connect_board(f, "machine-one", "1", "env-1"), 0);
    assert_int_equal(f->epoch, epoch + 1);
    fleet_assert_state(f, id, "queued");
    struct work beat = {.a = f->device, .b = old};
    assert_int_equal(fleet_run(f, &beat, do_heartbeat), ESP_EGONE);
    assert_int_equal(fleet_run(f, &beat, do_release), ESP_EGONE);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    /* Spooled before the restart: taken, while no other attempt has ended. */
    assert_int_equal(fleet_send_new(f, old, id, 1, "ok"), 200);
    fleet_assert_state(f, id, "accepted");
}

static void test_heartbeats_extend_and_tell(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    struct work beat = {.a = f->device, .b = lease};
    assert_int_equal(fleet_run(f, &beat, do_heartbeat),
                     ESP_ECONFLICT); /* before the acknowledgement */
    assert_int_equal(fleet_ack(f, lease), 0);
    assert_int_equal(fleet_ack(f, lease), 0); /* its answer was lost */
    fleet_change(f, "UPDATE leases SET expires_us = 1 WHERE id = ?1", lease);
    assert_int_equal(fleet_run(f, &beat, do_heartbeat), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(beat.doc, "action")), "continue");
    cJSON_Delete(beat.doc);
    assert_true(fleet_number(f, "SELECT expires_us FROM leases WHERE id = ?1", lease) > 1);
    fleet_change(f, "UPDATE measurements SET state = 'canceled' WHERE id = ?1", id);
    assert_int_equal(fleet_run(f, &beat, do_heartbeat), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(beat.doc, "action")), "cancel");
    cJSON_Delete(beat.doc);
    /* Work is precious: what was measured all the same is kept. */
    assert_int_equal(fleet_send_new(f, lease, id, 1, "ok"), 201);
    fleet_assert_state(f, id, "accepted");
}

/* Of a lease of two, the one that is measured now was canceled: the other one is still wanted. */
static void test_heartbeats_skip_what_was_canceled(void **state) {
    struct fixture *f = *state;
    char first[ID_MAX], second[ID_MAX], lease[ID_MAX];
    const char *wanted[] = {"continue", "skip", "continue", "cancel"};
    assert_int_equal(fleet_ask(f, "g1", "brief/2", first), 0);
    assert_int_equal(fleet_ask(f, "g2", "brief/2", second), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 2);
    assert_int_equal(fleet_ack(f, lease), 0);
    for (int i = 0; i < 4; i++) {
        struct work beat = {.a = f->device, .b = lease, .c = i == 2 ? second : first};
        if (i == 1)
            fleet_change(f, "UPDATE measurements SET state = 'canceled' WHERE id = ?1", first);
        if (i == 3)
            fleet_change(f, "UPDATE measurements SET state = 'canceled' WHERE id = ?1", second);
        assert_int_equal(fleet_run(f, &beat, do_heartbeat), 0);
        assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(beat.doc, "action")),
                            wanted[i]);
        assert_int_equal(cJSON_GetObjectItem(beat.doc, "heartbeat_s")->valueint, 1);
        cJSON_Delete(beat.doc);
    }
}

/* A board that asks again has not heard of the lease it holds. */
static void test_one_lease_at_a_time(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], first[ID_MAX], second[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, first), 1);
    assert_int_equal(fleet_grant(f, 8, second), 1);
    assert_string_not_equal(first, second);
    assert_int_equal(fleet_number(f, FAILURES, id), 0);
    assert_int_equal(fleet_number(f,
                                  "SELECT count(*) FROM leases WHERE device = ?1 AND state IN "
                                  "('granted', 'acked')",
                                  f->device),
                     1);
}

static int do_grace(struct store_tx *tx, struct work *op, struct err *err) {
    return store_leases_grace(tx, 15000000, err);
}

/* The daemon was killed while a board measured and comes back when the lease is over. */
static void test_leases_survive_the_daemon(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    struct work op = {.a = NULL};
    int64_t expiry = 0;
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    assert_int_equal(fleet_ack(f, lease), 0);
    fleet_change(f, "UPDATE leases SET expires_us = 1 WHERE id = ?1", lease);
    fleet_close_store(f);
    fleet_open_store(f);
    assert_int_equal(fleet_run(f, &op, do_grace), 0);
    assert_int_equal(store_lease_next_expiry(store_loop_sql(f->store), &f->err, &expiry), 0);
    assert_true(expiry > 1 && expiry < INT64_MAX);
    assert_int_equal(fleet_run(f, &op, do_expire), 0);
    fleet_assert_state(f, id, "running");
    assert_int_equal(fleet_send_new(f, lease, id, 1, "ok"), 201);
    fleet_assert_state(f, id, "accepted");
    assert_int_equal(store_lease_next_expiry(store_loop_sql(f->store), &f->err, &expiry), 0);
    assert_true(expiry == INT64_MAX);
}

/* It asks again, so it has given up the lease that it holds, or never heard of it: what that holds
 * is work that waits, not only what is in the queue. */
static void test_a_lease_given_up_is_work(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    bool waits = true;
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_false(waits);
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    assert_int_equal(fleet_ack(f, lease), 0);
    waits = false;
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_true(waits);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    assert_int_equal(fleet_ack(f, lease), 0);
    assert_int_equal(fleet_send_new(f, lease, id, 2, "ok"), 201);
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_false(waits);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_start, fleet_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_equal_measurements_are_one),
        TEST(test_results_are_idempotent),
        TEST(test_foreign_results_are_gone),
        TEST(test_impossible_results_are_refused),
        TEST(test_late_results_count_once),
        TEST(test_late_crash_counts_no_more),
        TEST(test_drift_tells_only_with_enough_references),
        TEST(test_three_losses_fail),
        TEST(test_only_the_first_item_is_lost),
        TEST(test_refusals_are_final),
        TEST(test_a_restart_of_the_worker_fences),
        TEST(test_heartbeats_extend_and_tell),
        TEST(test_heartbeats_skip_what_was_canceled),
        TEST(test_one_lease_at_a_time),
        TEST(test_leases_survive_the_daemon),
        TEST(test_a_lease_given_up_is_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
