#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "daemon/store_devices.h"
#include "daemon/store_jobs.h"
#include "daemon/store_leases.h"
#include "daemon/store_measurements.h"
#include "daemon/store_tables.h"
#include "daemon/store_tokens.h"
#include "space/graph.h"

/* Boards, leases, results and tables in a store of their own. Time passes by setting what is
 * stored. */
struct fixture {
    char dir[64], path[96];
    uv_loop_t loop;
    struct store *store;
    struct err err; /* of the last call */
    char *graph, graph_id[HASH_TEXT];
    char device[ID_MAX], profile[ID_MAX];
    int64_t epoch;
};

/* What a call takes and gives: a test fills what its operation uses. */
struct work {
    struct store_call call;
    int (*fn)(struct store_tx *tx, struct work *op, struct err *err);
    bool done;
    int code;
    const char *a, *b;
    const cJSON *body;
    int64_t number;
    struct measurement_request ask;
    struct table_request table;
    enum measurement_event event;
    int status;
    cJSON *doc;
    char id[ID_MAX], job[ID_MAX];
};

static void on_event(void *context, int64_t id, const char *topic, const char *data) {
}

static void on_wake(void *context, unsigned wake) {
}

static int run_op(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct work *op = (struct work *)call;
    return op->fn(tx, op, err);
}

static void op_done(struct store_call *call, int code, const struct err *err) {
    struct work *op = (struct work *)call;
    op->done = true;
    op->code = code;
}

static int run(struct fixture *f, struct work *op,
               int (*fn)(struct store_tx *tx, struct work *op, struct err *err)) {
    op->fn = fn;
    op->done = false;
    op->call = (struct store_call){.run = run_op, .done = op_done};
    store_write(f->store, &op->call);
    while (!op->done)
        uv_run(&f->loop, UV_RUN_ONCE);
    f->err = op->call.err;
    return op->code;
}

static void open_store(struct fixture *f) {
    struct store_listener listener = {on_event, on_wake, f};
    if (store_open(&f->loop, f->path, &listener, &f->err, &f->store) != 0)
        fail_msg("%s", f->err.message);
}

static void close_store(struct fixture *f) {
    store_close(f->store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static int64_t number(struct fixture *f, const char *literal, const char *id) {
    int64_t n = -1;
    if (sql_get_int(store_loop_sql(f->store), &f->err, &n, NULL, literal, "t", id) != 0)
        fail_msg("%s", f->err.message);
    return n;
}

static int do_sql(struct store_tx *tx, struct work *op, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL, op->a, "t", op->b);
}

static void change(struct fixture *f, const char *literal, const char *id) {
    struct work op = {.a = literal, .b = id};
    assert_int_equal(run(f, &op, do_sql), 0);
}

/* ---- boards ---------------------------------------------------------------------------------- */

static cJSON *introduction(const char *machine, const char *threads, const char *fingerprint) {
    char text[1024];
    cJSON *doc = NULL;
    struct err err = {0};
    snprintf(
        text, sizeof(text),
        "{\"protocol\":[1],\"machine_id\":\"%s\",\"name\":\"board\",\"worker_version\":\"1\","
        "\"fingerprint\":{\"cores\":2},\"newer_member\":1,\"profiles\":[{\"runtime\":\"native\","
        "\"precision\":\"fp32\",\"threads\":%s,\"cores\":\"\",\"governor\":\"none\","
        "\"fingerprint\":\"%s\"}]}",
        machine, threads, fingerprint);
    assert_int_equal(json_parse(text, strlen(text), NULL, &err, &doc), 0);
    return doc;
}

static int do_enrol(struct store_tx *tx, struct work *op, struct err *err) {
    struct introduction in;
    int r = introduction_read(op->body, err, &in);
    return r != 0 ? r : store_device_enrol(tx, &in, err, &op->doc);
}

static int do_connect(struct store_tx *tx, struct work *op, struct err *err) {
    struct introduction in;
    int r = introduction_read(op->body, err, &in);
    return r != 0 ? r : store_device_connect(tx, op->a, &in, err, &op->doc);
}

static void note_welcome(struct fixture *f, cJSON *doc) {
    const cJSON *profile = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "profiles"), 0);
    strcpy(f->device, cJSON_GetStringValue(cJSON_GetObjectItem(doc, "device_id")));
    strcpy(f->profile, cJSON_GetStringValue(cJSON_GetObjectItem(profile, "profile_id")));
    f->epoch = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(doc, "epoch"));
    cJSON_Delete(doc);
}

static int enrol(struct fixture *f, const char *machine) {
    cJSON *body = introduction(machine, "1", "env-1");
    struct work op = {.body = body};
    int r = run(f, &op, do_enrol);
    cJSON_Delete(body);
    if (r == 0)
        note_welcome(f, op.doc);
    return r;
}

static int connect_board(struct fixture *f, const char *machine, const char *threads,
                         const char *fingerprint) {
    cJSON *body = introduction(machine, threads, fingerprint);
    struct work op = {.body = body, .a = f->device};
    int r = run(f, &op, do_connect);
    cJSON_Delete(body);
    if (r == 0)
        note_welcome(f, op.doc);
    return r;
}

static int start(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    struct graph *graph = NULL;
    struct space *space = NULL;
    struct arch arch;
    strcpy(f->dir, "/tmp/espalier-fleet-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/db", f->dir);
    uv_loop_init(&f->loop);
    open_store(f);
    assert_int_equal(space_builtin("peer_28", &f->err, &space), 0);
    arch_max(space, &arch);
    assert_int_equal(graph_build(space, &arch, &f->err, &graph), 0);
    space_destroy(space);
    cJSON *doc = graph_to_json(graph);
    f->graph = json_print(doc);
    graph_id(graph, "fp32", f->graph_id);
    cJSON_Delete(doc);
    free(graph);
    assert_int_equal(enrol(f, "machine-one"), 0);
    *state = f;
    return 0;
}

static int stop(void **state) {
    struct fixture *f = *state;
    close_store(f);
    int r = uv_loop_close(&f->loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    if (system(command) != 0)
        r = 1;
    free(f->graph);
    free(f);
    return r;
}

/* ---- measurements and leases ----------------------------------------------------------------- */

static int do_ask(struct store_tx *tx, struct work *op, struct err *err) {
    return store_measurement_ask(tx, &op->ask, err, op->id);
}

/* A network called graph (its identity); the id goes to ret_id. */
static int ask(struct fixture *f, const char *graph, const char *method, char ret_id[ID_MAX]) {
    struct work op = {.ask = {.profile = f->profile,
                              .kind = "network",
                              .graph_id = graph,
                              .graph = f->graph,
                              .arch = "a",
                              .method = method,
                              .seed = 1}};
    int r = run(f, &op, do_ask);
    if (r == 0)
        strcpy(ret_id, op.id);
    return r;
}

static int do_grant(struct store_tx *tx, struct work *op, struct err *err) {
    return store_lease_grant(tx, op->a, op->number, err, &op->doc);
}

/* ret_id "" when there is nothing. Returns how many items. */
static int grant(struct fixture *f, int64_t max_items, char ret_id[ID_MAX]) {
    struct work op = {.a = f->device, .number = max_items};
    assert_int_equal(run(f, &op, do_grant), 0);
    int n = cJSON_GetArraySize(cJSON_GetObjectItem(op.doc, "items"));
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(op.doc, "lease_id"));
    strcpy(ret_id, id != NULL ? id : "");
    cJSON_Delete(op.doc);
    return n;
}

static int do_ack(struct store_tx *tx, struct work *op, struct err *err) {
    return store_lease_ack(tx, op->a, op->b, 2, err, &op->doc);
}

static int do_heartbeat(struct store_tx *tx, struct work *op, struct err *err) {
    return store_lease_heartbeat(tx, op->a, op->b, err, &op->doc);
}

static int do_release(struct store_tx *tx, struct work *op, struct err *err) {
    return store_lease_release(tx, op->a, op->b, err);
}

static int ack(struct fixture *f, const char *lease) {
    struct work op = {.a = f->device, .b = lease};
    int r = run(f, &op, do_ack);
    cJSON_Delete(op.doc);
    return r;
}

static int do_expire(struct store_tx *tx, struct work *op, struct err *err) {
    return store_leases_expire(tx, err);
}

static void expire(struct fixture *f, const char *lease) {
    struct work op = {.a = NULL};
    change(f, "UPDATE leases SET expires_us = 1 WHERE id = ?1", lease);
    assert_int_equal(run(f, &op, do_expire), 0);
}

static cJSON *result_body(const char *lease, const char *measurement, int attempt,
                          const char *status) {
    static int keys;
    char key[32];
    const double samples[] = {90, 100, 110};
    cJSON *body = cJSON_CreateObject(), *reference = cJSON_AddObjectToObject(body, "reference");
    snprintf(key, sizeof(key), "key-%08d", keys++);
    cJSON_AddNumberToObject(reference, "before_us", 50);
    cJSON_AddNumberToObject(reference, "after_us", 50.5);
    cJSON_AddStringToObject(body, "lease_id", lease);
    cJSON_AddStringToObject(body, "measurement_id", measurement);
    cJSON_AddNumberToObject(body, "attempt", attempt);
    cJSON_AddStringToObject(body, "idempotency_key", key);
    cJSON_AddStringToObject(body, "status", status);
    cJSON_AddStringToObject(body, "message", "why");
    cJSON_AddItemToObject(body, "samples_us", cJSON_CreateDoubleArray(samples, 3));
    cJSON_AddNumberToObject(body, "median_us", 100);
    cJSON_AddNumberToObject(body, "low_us", 95);
    cJSON_AddNumberToObject(body, "high_us", 105);
    cJSON_AddNumberToObject(body, "mean_us", 100);
    cJSON_AddNumberToObject(body, "sd_us", 8);
    cJSON_AddNumberToObject(body, "n", 3);
    return body;
}

static int do_result(struct store_tx *tx, struct work *op, struct err *err) {
    return store_result_add(tx, op->a, op->body, err, &op->status, &op->doc);
}

/* The answer's HTTP status, or an error. */
static int send_result(struct fixture *f, const cJSON *body) {
    struct work op = {.a = f->device, .body = body};
    int r = run(f, &op, do_result);
    cJSON_Delete(op.doc);
    return r != 0 ? r : op.status;
}

static int send_new(struct fixture *f, const char *lease, const char *measurement, int attempt,
                    const char *status) {
    cJSON *body = result_body(lease, measurement, attempt, status);
    int r = send_result(f, body);
    cJSON_Delete(body);
    return r;
}

static void assert_state(struct fixture *f, const char *id, const char *want) {
    struct measurement_status status = {.state = MEASUREMENT_QUEUED};
    assert_int_equal(store_measurement_status(store_loop_sql(f->store), id, &f->err, &status), 0);
    assert_string_equal(measurement_state_names[status.state], want);
}

#define RESULTS "SELECT count(*) FROM results WHERE measurement = ?1"
#define COUNTED "SELECT count(*) FROM results WHERE counted AND measurement = ?1"
#define FAILURES "SELECT failures FROM measurements WHERE id = ?1"

static void test_enrolment_once(void **state) {
    struct fixture *f = *state;
    assert_int_equal(enrol(f, "machine-one"), ESP_ECONFLICT);
    assert_string_equal(f->err.pointer, "/machine_id");
    assert_int_equal(enrol(f, "machine-two"), 0);
    assert_int_equal(number(f, "SELECT count(*) FROM devices WHERE ?1 IS NOT NULL", ""), 2);
    /* A token that was copied to another machine. */
    assert_int_equal(connect_board(f, "machine-one", "1", "env-1"), ESP_EFORBIDDEN);
}

static int do_enrol_with_token(struct store_tx *tx, struct work *op, struct err *err) {
    int r = store_token_use(tx, op->a, err);
    return r != 0 ? r : do_enrol(tx, op, err);
}

static int do_token(struct store_tx *tx, struct work *op, struct err *err) {
    struct token_request request = {
        .kind = "enrolment", .label = "", .uses = 1, .expires_in_s = 3600};
    return store_token_create(tx, &request, err, &op->doc, NULL);
}

/* A refused board does not use up the token: both are one transaction. */
static void test_token_and_board_are_one(void **state) {
    struct fixture *f = *state;
    struct work token = {.a = NULL};
    assert_int_equal(run(f, &token, do_token), 0);
    const char *secret = cJSON_GetStringValue(cJSON_GetObjectItem(token.doc, "token"));
    cJSON *known = introduction("machine-one", "1", "e"),
          *fresh = introduction("machine-3", "1", "e");
    struct work op = {.a = secret, .body = known};
    assert_int_equal(run(f, &op, do_enrol_with_token), ESP_ECONFLICT);
    op.body = fresh;
    assert_int_equal(run(f, &op, do_enrol_with_token), 0);
    cJSON_Delete(op.doc);
    assert_int_equal(run(f, &op, do_enrol_with_token), ESP_EUNAUTHORIZED);
    cJSON_Delete(known);
    cJSON_Delete(fresh);
    cJSON_Delete(token.doc);
}

static void test_equal_measurements_are_one(void **state) {
    struct fixture *f = *state;
    char a[ID_MAX], b[ID_MAX], full[ID_MAX], lease[ID_MAX];
    assert_int_equal(ask(f, "g1", "brief/2", a), 0);
    assert_int_equal(ask(f, "g1", "brief/2", b), 0);
    assert_string_equal(a, b);
    assert_int_equal(ask(f, "g1", "full/2", full), 0);
    assert_string_not_equal(a, full);
    assert_int_equal(grant(f, 8, lease), 2);
    assert_int_equal(send_new(f, lease, full, 1, "ok"), 201);
    /* What was measured thoroughly will do. */
    assert_int_equal(ask(f, "g1", "brief/2", b), 0);
    assert_string_equal(b, full);
    strcpy(f->profile, "pf_none");
    assert_int_equal(ask(f, "g2", "brief/2", b), ESP_ENOTFOUND);
}

static void test_results_are_idempotent(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, lease), 1);
    assert_int_equal(ack(f, lease), 0);
    cJSON *body = result_body(lease, id, 1, "noisy");
    assert_int_equal(send_result(f, body), 201);
    assert_int_equal(send_result(f, body), 200);
    cJSON_ReplaceItemInObject(body, "median_us", cJSON_CreateNumber(101));
    assert_int_equal(send_result(f, body), ESP_ECONFLICT);
    cJSON_Delete(body);
    assert_state(f, id, "accepted");
    assert_int_equal(number(f, RESULTS, id), 1);
    assert_int_equal(number(f,
                            "SELECT median_us = 100 AND low_us = 95 AND n = 3 FROM measurements "
                            "WHERE id = ?1",
                            id),
                     1);
    assert_int_equal(number(f, "SELECT state = 'closed' FROM leases WHERE id = ?1", lease), 1);
    assert_int_equal(ack(f, lease), ESP_EGONE);
}

static void test_foreign_results_are_gone(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, lease), 1);
    assert_int_equal(send_new(f, "ls_never", id, 1, "ok"), ESP_EGONE);
    assert_int_equal(send_new(f, lease, "ms_other", 1, "ok"), ESP_EGONE);
    assert_int_equal(send_new(f, lease, id, 2, "ok"), ESP_EGONE);
    assert_int_equal(enrol(f, "machine-two"), 0); /* another board tries */
    assert_int_equal(send_new(f, lease, id, 1, "ok"), ESP_EGONE);
    assert_state(f, id, "leased");
}

static void test_impossible_results_are_refused(void **state) {
    static const struct {
        const char *key, *json;
    } rows[] = {{"median_us", "-1"},
                {"median_us", "200"},
                {"low_us", "101"},
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
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, lease), 1);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        cJSON *body = result_body(lease, id, 1, "ok");
        cJSON_ReplaceItemInObject(body, rows[i].key, cJSON_Parse(rows[i].json));
        assert_int_equal(send_result(f, body), ESP_EINVAL);
        cJSON_Delete(body);
    }
    cJSON *body = result_body(lease, id, 1, "ok"), *many = cJSON_CreateArray();
    for (int i = 0; i < 10001; i++)
        cJSON_AddItemToArray(many, cJSON_CreateNumber(100));
    cJSON_ReplaceItemInObject(body, "samples_us", many);
    assert_int_equal(send_result(f, body), ESP_ELIMIT);
    cJSON_Delete(body);
    assert_int_equal(number(f, RESULTS, id), 0);
    assert_state(f, id, "leased");
}

static void test_late_results_count_once(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], first[ID_MAX], second[ID_MAX];
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, first), 1);
    assert_int_equal(ack(f, first), 0);
    expire(f, first);
    assert_state(f, id, "queued");
    assert_int_equal(grant(f, 8, second), 1);
    assert_int_equal(ack(f, second), 0);
    /* The first attempt comes back while the second runs: it is taken, the other is spare. */
    assert_int_equal(send_new(f, first, id, 1, "ok"), 201);
    assert_state(f, id, "accepted");
    assert_int_equal(send_new(f, second, id, 2, "crashed"), 201);
    assert_state(f, id, "accepted");
    assert_int_equal(number(f, RESULTS, id), 2);
    assert_int_equal(number(f, COUNTED, id), 1);
    assert_int_equal(number(f, "SELECT state = 'closed' FROM leases WHERE id = ?1", second), 1);
}

/* It was counted as lost when its lease expired. */
static void test_late_crash_counts_no_more(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], first[ID_MAX], second[ID_MAX];
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, first), 1);
    assert_int_equal(ack(f, first), 0);
    expire(f, first);
    assert_int_equal(grant(f, 8, second), 1);
    assert_int_equal(send_new(f, first, id, 1, "crashed"), 201);
    assert_state(f, id, "leased");
    assert_int_equal(number(f, FAILURES, id), 1);
}

/* A result of a network whose reference network became slower. */
static void send_drifting(struct fixture *f, const char *graph, const char *method) {
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(ask(f, graph, method, id), 0);
    assert_int_equal(grant(f, 8, lease), 1);
    cJSON *body = result_body(lease, id, 1, "ok");
    cJSON_ReplaceItemInObject(cJSON_GetObjectItem(body, "reference"), "after_us",
                              cJSON_CreateNumber(80));
    assert_int_equal(send_result(f, body), 201);
    cJSON_Delete(body);
}

static void test_drift_tells_only_with_enough_references(void **state) {
    struct fixture *f = *state;
    const char *health = "SELECT health = 'suspect' FROM devices WHERE id = ?1";
    char graph[8];
    change(f, "UPDATE devices SET health = 'good' WHERE id = ?1", f->device);
    for (int i = 0; i < 2 * HEALTH_DRIFTS; i++) {
        snprintf(graph, sizeof(graph), "b%d", i);
        send_drifting(f, graph, "brief/2");
    }
    assert_int_equal(number(f, health, f->device), 0);
    for (int i = 0; i < HEALTH_DRIFTS; i++) {
        snprintf(graph, sizeof(graph), "f%d", i);
        send_drifting(f, graph, "full/2");
    }
    assert_int_equal(number(f, health, f->device), 1);
}

static void test_three_losses_fail(void **state) {
    struct fixture *f = *state;
    char id[2][ID_MAX], lease[ID_MAX];
    assert_int_equal(ask(f, "g1", "brief/2", id[0]), 0);
    for (int i = 1; i <= MEASUREMENT_FAILURES_MAX; i++) {
        assert_int_equal(grant(f, 1, lease), 1);
        assert_int_equal(ack(f, lease), 0);
        expire(f, lease);
        assert_state(f, id[0], i < MEASUREMENT_FAILURES_MAX ? "queued" : "failed");
    }
    assert_int_equal(number(f, "SELECT attempt FROM measurements WHERE id = ?1", id[0]), 3);
    assert_int_equal(number(f,
                            "SELECT json_extract(error, '$.code') = 'timeout' FROM measurements "
                            "WHERE id = ?1",
                            id[0]),
                     1);
    /* Asked for again, it is another one. */
    assert_int_equal(ask(f, "g1", "brief/2", id[1]), 0);
    assert_string_not_equal(id[0], id[1]);
}

/* A board works through its lease in order: what it had not begun loses no attempt. */
static void test_only_the_first_item_is_lost(void **state) {
    struct fixture *f = *state;
    char id[3][ID_MAX], lease[ID_MAX];
    assert_int_equal(ask(f, "g1", "brief/2", id[0]), 0);
    assert_int_equal(ask(f, "g2", "brief/2", id[1]), 0);
    assert_int_equal(ask(f, "g3", "brief/2", id[2]), 0);
    assert_int_equal(grant(f, 8, lease), 3);
    expire(f, lease); /* never acknowledged: nothing was begun */
    assert_int_equal(number(f, "SELECT sum(failures) FROM measurements WHERE ?1 <> ''", lease), 0);
    assert_int_equal(grant(f, 8, lease), 3);
    assert_int_equal(ack(f, lease), 0);
    assert_int_equal(send_new(f, lease, id[0], 2, "ok"), 201);
    expire(f, lease);
    assert_int_equal(number(f, FAILURES, id[1]), 1);
    assert_int_equal(number(f, FAILURES, id[2]), 0);
    /* What has failed comes last. */
    assert_int_equal(grant(f, 1, lease), 1);
    assert_state(f, id[2], "leased");
}

static void test_refusals_are_final(void **state) {
    static const char *const status[] = {"oom", "unsupported", "invalid"};
    static const char *const codes[] = {"out_of_memory", "unsupported", "invalid_value"};
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX], graph[8];
    for (int i = 0; i < 3; i++) {
        cJSON *doc = NULL;
        snprintf(graph, sizeof(graph), "g%d", i);
        assert_int_equal(ask(f, graph, "brief/2", id), 0);
        assert_int_equal(grant(f, 8, lease), 1);
        cJSON *body = result_body(lease, id, 1, status[i]);
        cJSON_DeleteItemFromObject(body, "samples_us");
        cJSON_DeleteItemFromObject(body, "median_us");
        assert_int_equal(send_result(f, body), 201);
        cJSON_Delete(body);
        assert_state(f, id, "failed");
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
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, old), 1);
    assert_int_equal(ack(f, old), 0);
    assert_int_equal(connect_board(f, "machine-one", "1", "env-1"), 0);
    assert_int_equal(f->epoch, epoch + 1);
    assert_state(f, id, "queued");
    struct work beat = {.a = f->device, .b = old};
    assert_int_equal(run(f, &beat, do_heartbeat), ESP_EGONE);
    assert_int_equal(run(f, &beat, do_release), ESP_EGONE);
    assert_int_equal(grant(f, 8, lease), 1);
    /* Spooled before the restart: taken, while no other attempt has ended. */
    assert_int_equal(send_new(f, old, id, 1, "ok"), 201);
    assert_state(f, id, "accepted");
}

static int do_touch(struct store_tx *tx, struct work *op, struct err *err) {
    return store_device_touch(tx, op->a, op->number, err);
}

static void test_older_epochs_are_refused(void **state) {
    struct fixture *f = *state;
    struct work op = {.a = f->device, .number = f->epoch};
    assert_int_equal(run(f, &op, do_touch), 0);
    op.number = f->epoch - 1;
    assert_int_equal(run(f, &op, do_touch), ESP_ECONFLICT);
}

static void test_heartbeats_extend_and_tell(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, lease), 1);
    struct work beat = {.a = f->device, .b = lease};
    assert_int_equal(run(f, &beat, do_heartbeat), ESP_ECONFLICT); /* before the acknowledgement */
    assert_int_equal(ack(f, lease), 0);
    assert_int_equal(ack(f, lease), 0); /* its answer was lost */
    change(f, "UPDATE leases SET expires_us = 1 WHERE id = ?1", lease);
    assert_int_equal(run(f, &beat, do_heartbeat), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(beat.doc, "action")), "continue");
    cJSON_Delete(beat.doc);
    assert_true(number(f, "SELECT expires_us FROM leases WHERE id = ?1", lease) > 1);
    change(f, "UPDATE measurements SET state = 'canceled' WHERE id = ?1", id);
    assert_int_equal(run(f, &beat, do_heartbeat), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(beat.doc, "action")), "cancel");
    cJSON_Delete(beat.doc);
    /* Work is precious: what was measured all the same is kept. */
    assert_int_equal(send_new(f, lease, id, 1, "ok"), 201);
    assert_state(f, id, "accepted");
}

/* A board that asks again has not heard of the lease it holds. */
static void test_one_lease_at_a_time(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], first[ID_MAX], second[ID_MAX];
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, first), 1);
    assert_int_equal(grant(f, 8, second), 1);
    assert_string_not_equal(first, second);
    assert_int_equal(number(f, FAILURES, id), 0);
    assert_int_equal(number(f,
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
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, lease), 1);
    assert_int_equal(ack(f, lease), 0);
    change(f, "UPDATE leases SET expires_us = 1 WHERE id = ?1", lease);
    close_store(f);
    open_store(f);
    assert_int_equal(run(f, &op, do_grace), 0);
    assert_int_equal(store_lease_next_expiry(store_loop_sql(f->store), &f->err, &expiry), 0);
    assert_true(expiry > 1 && expiry < INT64_MAX);
    assert_int_equal(run(f, &op, do_expire), 0);
    assert_state(f, id, "running");
    assert_int_equal(send_new(f, lease, id, 1, "ok"), 201);
    assert_state(f, id, "accepted");
    assert_int_equal(store_lease_next_expiry(store_loop_sql(f->store), &f->err, &expiry), 0);
    assert_true(expiry == INT64_MAX);
}

/* A worker that now runs with other threads must not measure what was asked of the old profile. */
static void test_only_profiles_that_run_now(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    bool waits = true;
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(connect_board(f, "machine-one", "2", "env-1"), 0);
    assert_int_equal(grant(f, 8, lease), 0);
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_false(waits);
    assert_state(f, id, "queued");
    assert_int_equal(connect_board(f, "machine-one", "1", "env-1"), 0);
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_true(waits);
    assert_int_equal(grant(f, 8, lease), 1);
}

static void test_a_new_environment_is_a_new_revision(void **state) {
    struct fixture *f = *state;
    char before[ID_MAX], after[ID_MAX];
    assert_int_equal(ask(f, "g1", "brief/2", before), 0);
    assert_int_equal(connect_board(f, "machine-one", "1", "env-2"), 0);
    assert_state(f, before, "failed");
    assert_int_equal(ask(f, "g1", "brief/2", after), 0);
    assert_string_not_equal(before, after);
    assert_int_equal(
        number(f, "SELECT count(*) FROM profile_revisions WHERE profile = ?1", f->profile), 2);
}

static int do_patch(struct store_tx *tx, struct work *op, struct err *err) {
    struct device_patch patch = {.state = op->b};
    return store_device_patch(tx, op->a, &patch, err);
}

static void set_device_state(struct fixture *f, const char *text) {
    struct work op = {.a = f->device, .b = text};
    assert_int_equal(run(f, &op, do_patch), 0);
}

static void test_paused_and_sick_boards_get_nothing(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    for (int i = 0; i < HEALTH_CRASHES; i++) {
        char graph[8];
        snprintf(graph, sizeof(graph), "g%d", i);
        assert_int_equal(ask(f, graph, "brief/2", id), 0);
    }
    set_device_state(f, "paused");
    assert_int_equal(grant(f, 1, lease), 0);
    set_device_state(f, "active");
    for (int i = 0; i < HEALTH_CRASHES; i++) {
        assert_int_equal(grant(f, 1, lease), 1);
        assert_int_equal(ack(f, lease), 0);
        expire(f, lease);
    }
    assert_int_equal(grant(f, 1, lease), 0);
    assert_int_equal(
        number(f, "SELECT health = 'quarantined' FROM devices WHERE id = ?1", f->device), 1);
    set_device_state(f, "paused"); /* says nothing of its health */
    assert_int_equal(
        number(f, "SELECT health = 'quarantined' FROM devices WHERE id = ?1", f->device), 1);
    set_device_state(f, "active");
    assert_int_equal(grant(f, 1, lease), 1);
}

/* ---- tables ---------------------------------------------------------------------------------- */

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
    return run(f, op, do_build);
}

/* Grants all that waits and answers it with status. */
static int measure_all(struct fixture *f, const char *status) {
    struct work op = {.a = f->device, .number = 64};
    const cJSON *item;
    int n = 0;
    assert_int_equal(run(f, &op, do_grant), 0);
    const char *lease = cJSON_GetStringValue(cJSON_GetObjectItem(op.doc, "lease_id"));
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(op.doc, "items")) {
        assert_int_equal(
            send_new(f, lease, cJSON_GetStringValue(cJSON_GetObjectItem(item, "measurement_id")),
                     (int)cJSON_GetNumberValue(cJSON_GetObjectItem(item, "attempt")), status),
            201);
        n++;
    }
    cJSON_Delete(op.doc);
    return n;
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
    close_store(f); /* nothing of it is in memory */
    open_store(f);
    assert_int_equal(measure_all(f, "ok"), N_ENTRIES);
    assert_table(f, op.id, "ready", N_ENTRIES);
    assert_job(f, op.job, JOB_DONE);
    assert_int_equal(build(f, "brief/2", &again), 0); /* nothing is missing */
    assert_job(f, again.job, JOB_DONE);
    assert_int_equal(measure_all(f, "ok"), 0);
}

static int do_job_event(struct store_tx *tx, struct work *op, struct err *err) {
    return store_job_apply(tx, op->a, (enum job_event)op->number, op->b, err);
}

static void cancel_job(struct fixture *f, const char *job) {
    struct work op = {.a = job, .number = JOB_CANCEL};
    assert_int_equal(run(f, &op, do_job_event), 0);
    op = (struct work){.a = job, .number = JOB_STOP, .b = "canceled"};
    assert_int_equal(run(f, &op, do_job_event), 0);
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
    assert_int_equal(ask(f, "g1", "brief/2", person), 0);
    assert_int_equal(build(f, "brief/2", &op), 0);
    assert_int_equal(number(f, OPEN_UNITS, ""), N_ENTRIES);
    cancel_job(f, op.job);
    assert_job(f, op.job, JOB_CANCELED);
    assert_int_equal(number(f, OPEN_UNITS, ""), 0);
    assert_state(f, person, "queued");
    struct work retry = {.a = op.job, .b = op.id};
    assert_int_equal(run(f, &retry, do_retry), 0);
    assert_int_equal(number(f, OPEN_UNITS, ""), N_ENTRIES);
    while (measure_all(f, "ok") > 0)
        ;
    assert_job(f, op.job, JOB_DONE);
    assert_table(f, op.id, "ready", N_ENTRIES);
}

static void test_a_table_with_holes_fails_its_job(void **state) {
    struct fixture *f = *state;
    struct work op;
    cJSON *doc = NULL;
    assert_int_equal(build(f, "brief/2", &op), 0);
    assert_int_equal(measure_all(f, "oom"), N_ENTRIES);
    assert_table(f, op.id, "incomplete", 0);
    assert_job(f, op.job, JOB_FAILED);
    assert_int_equal(store_job_get(store_loop_sql(f->store), op.job, &f->err, &doc), 0);
    assert_non_null(strstr(cJSON_GetObjectItem(doc, "error")->valuestring, "4 of 4 entries"));
    cJSON_Delete(doc);
    struct work retry = {.a = op.job, .b = op.id};
    assert_int_equal(run(f, &retry, do_retry), 0);
    assert_int_equal(measure_all(f, "ok"), N_ENTRIES);
    assert_table(f, op.id, "ready", N_ENTRIES);
}

static void test_full_entries_stand_before_brief_ones(void **state) {
    struct fixture *f = *state;
    struct work op;
    char revision[ID_MAX];
    cJSON *doc = NULL;
    assert_int_equal(build(f, "brief/2", &op), 0);
    assert_int_equal(measure_all(f, "ok"), N_ENTRIES);
    change(f, "UPDATE measurements SET median_us = 99 WHERE ?1 IS NULL", NULL);
    assert_int_equal(build(f, "full/2", &op), 0);
    assert_int_equal(measure_all(f, "ok"), N_ENTRIES);
    assert_int_equal(
        store_profile_table(store_loop_sql(f->store), f->profile, &f->err, revision, &doc), 0);
    const cJSON *entries = cJSON_GetObjectItem(doc, "entries");
    assert_int_equal(cJSON_GetArraySize(entries), N_ENTRIES);
    const cJSON *entry = cJSON_GetArrayItem(entries, 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(entry, "signature")), "u1");
    assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(entry, "median_us")), 100);
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
    assert_int_equal(ask(f, "g1", "brief/2", done), 0);
    assert_int_equal(measure_all(f, "ok"), 1);
    assert_int_equal(ask(f, "g2", "brief/2", waiting), 0);
    assert_int_equal(build(f, "brief/2", &table), 0);
    assert_int_equal(run(f, &op, do_remove), ESP_ECONFLICT);
    assert_int_equal(cJSON_GetArraySize(op.doc), 1);
    cJSON_Delete(op.doc);
    op.doc = NULL;
    cancel_job(f, table.job);
    assert_int_equal(run(f, &op, do_remove), 0);
    assert_state(f, done, "accepted");
    assert_state(f, waiting, "canceled");
    assert_int_equal(enrol(f, "machine-one"), 0); /* its place is free */
    assert_string_not_equal(f->device, device);
}

/* ---- what search jobs ask -------------------------------------------------------------------- */

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
    assert_int_equal(run(f, &job, do_job), 0);
    op.a = job.id;
    assert_int_equal(run(f, &op, do_requests), 0);
    assert_int_equal(run(f, &op, do_requests), 0); /* sent again after a restart */
    assert_int_equal(number(f,
                            "SELECT count(*) FROM measurements WHERE method = 'full/2' AND "
                            "graph_id = ?1",
                            f->graph_id),
                     1);
    assert_int_equal(answers(f, job.id, "failed"), 1); /* of the board that is not there */
    assert_int_equal(measure_all(f, "ok"), 1);
    assert_int_equal(answers(f, job.id, "accepted"), 2);
    close_store(f);
    open_store(f);
    assert_int_equal(answers(f, job.id, "accepted"), 2);
    cJSON_Delete(spec);
    cJSON_Delete(data);
}

static void test_a_canceled_job_drops_only_its_own(void **state) {
    struct fixture *f = *state;
    cJSON *spec = cJSON_CreateObject(), *data = requests(f, f->profile);
    struct work one = {.body = spec}, two = {.body = spec}, op = {.body = data};
    const char *open = "SELECT count(*) FROM measurements WHERE state = 'queued' AND ?1 <> ''";
    assert_int_equal(run(f, &one, do_job), 0);
    assert_int_equal(run(f, &two, do_job), 0);
    op.a = one.id;
    assert_int_equal(run(f, &op, do_requests), 0);
    op.a = two.id;
    assert_int_equal(run(f, &op, do_requests), 0);
    assert_int_equal(number(f, open, "x"), 1);
    struct work cancel = {.a = one.id, .number = JOB_CANCEL};
    assert_int_equal(run(f, &cancel, do_job_event), 0);
    op.a = one.id;
    assert_int_equal(run(f, &op, do_drop), 0);
    assert_int_equal(number(f, open, "x"), 1); /* the other job waits for it */
    cancel.a = op.a = two.id;
    assert_int_equal(run(f, &cancel, do_job_event), 0);
    assert_int_equal(run(f, &op, do_drop), 0);
    assert_int_equal(number(f, open, "x"), 0);
    assert_int_equal(answers(f, one.id, "none"), 0); /* given up is no answer */
    assert_int_equal(answers(f, two.id, "none"), 0);
    op.a = one.id;
    assert_int_equal(run(f, &op, do_renew), 0); /* it goes on: asked for anew, once */
    assert_int_equal(run(f, &op, do_renew), 0);
    assert_int_equal(number(f, open, "x"), 1);
    assert_int_equal(measure_all(f, "ok"), 1);
    assert_int_equal(answers(f, one.id, "accepted"), 2);
    assert_int_equal(answers(f, two.id, "none"), 0);
    cJSON_Delete(spec);
    cJSON_Delete(data);
}

static int do_noise(struct store_tx *tx, struct work *op, struct err *err) {
    return store_profile_noise(tx, op->a, op->b, op->body, err);
}

static void test_noise_is_relative(void **state) {
    struct fixture *f = *state;
    cJSON *quiet = cJSON_Parse("[100,101,99,100,100,102,98,100]"), *bad = cJSON_Parse("[1,0,1]");
    struct work op = {.a = f->device, .b = f->profile, .body = quiet};
    assert_int_equal(run(f, &op, do_noise), 0);
    assert_int_equal(
        number(f, "SELECT noise > 0.001 AND noise < 0.05 FROM devices WHERE id = ?1", f->device),
        1);
    op.body = bad;
    assert_int_equal(run(f, &op, do_noise), ESP_EINVAL);
    op = (struct work){.a = f->device, .b = "pf_other", .body = quiet};
    assert_int_equal(run(f, &op, do_noise), ESP_ENOTFOUND);
    cJSON_Delete(quiet);
    cJSON_Delete(bad);
}

/* A worker that leaves its noise floor to the daemon. */
static int connect_for_noise(struct fixture *f, const char *environment) {
    cJSON *body = introduction("machine-one", "1", environment);
    cJSON_AddBoolToObject(body, "noise_by_lease", true);
    struct work op = {.a = f->device, .body = body};
    int r = run(f, &op, do_connect);
    cJSON_Delete(body);
    if (r == 0) {
        assert_true(cJSON_IsTrue(cJSON_GetObjectItem(op.doc, "noise_by_lease")));
        note_welcome(f, op.doc);
    }
    return r;
}

#define REFERENCES "SELECT count(*) FROM measurements WHERE kind = 'reference' AND profile = ?1"
#define NOISE "SELECT round(1e6 * noise) FROM profiles WHERE id = ?1"

/* Takes the one measurement that is leased; ret_id: which. */
static void measure_next(struct fixture *f, char ret_id[ID_MAX]) {
    char lease[ID_MAX];
    assert_int_equal(grant(f, 8, lease), 1);
    struct sql_rows rows;
    sql_query(store_loop_sql(f->store), &rows,
              "SELECT measurement FROM lease_items WHERE lease = ?1", "t", lease);
    assert_true(sql_next(&rows));
    snprintf(ret_id, ID_MAX, "%s", sql_text(&rows, 0));
    assert_int_equal(sql_end(&rows, &f->err), 0);
    assert_int_equal(ack(f, lease), 0);
    assert_int_equal(send_new(f, lease, ret_id, 1, "ok"), 201);
}

static void test_the_noise_floor_is_leased(void **state) {
    struct fixture *f = *state;
    char asked[ID_MAX], id[ID_MAX];
    assert_int_equal(number(f, REFERENCES, f->profile), 0); /* of one that takes it on its own */
    assert_int_equal(ask(f, "g1", "brief/2", asked), 0);
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    assert_int_equal(number(f, REFERENCES, f->profile), 1);
    measure_next(f, id); /* before what was asked for earlier */
    assert_string_not_equal(id, asked);
    int64_t floor = number(f, NOISE, f->profile);
    assert_true(floor > 0);
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    assert_int_equal(number(f, REFERENCES, f->profile), 1);
    /* Another environment has a floor of its own; the first one's is known when it comes back. */
    assert_int_equal(connect_for_noise(f, "env-2"), 0);
    assert_int_equal(number(f, REFERENCES, f->profile), 2);
    change(f, "UPDATE profiles SET noise = 7 WHERE id = ?1", f->profile);
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    assert_int_equal(number(f, NOISE, f->profile), floor);
}

/* It asks again, so it has given up the lease that it holds, or never heard of it: what that holds
 * is work that waits, not only what is in the queue. */
static void test_a_lease_given_up_is_work(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    bool waits = true;
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_false(waits);
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, lease), 1);
    assert_int_equal(ack(f, lease), 0);
    waits = false;
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_true(waits);
    assert_int_equal(grant(f, 8, lease), 1);
    assert_int_equal(ack(f, lease), 0);
    assert_int_equal(send_new(f, lease, id, 2, "ok"), 201);
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_false(waits);
}

static int do_gone(struct store_tx *tx, struct work *op, struct err *err) {
    return store_device_gone(tx, op->a, op->number, INT64_C(1000), err);
}

/* A connection that broke is noticed late: what was heard on another one since stands above it. */
static void test_an_old_connection_says_nothing(void **state) {
    struct fixture *f = *state;
    struct work op = {.a = f->device, .number = f->epoch};
    change(f, "UPDATE devices SET last_seen_us = 1001 WHERE id = ?1", f->device);
    assert_int_equal(run(f, &op, do_gone), 0);
    assert_int_equal(number(f, "SELECT away_us IS NULL FROM devices WHERE id = ?1", f->device), 1);
    change(f, "UPDATE devices SET last_seen_us = 1000 WHERE id = ?1", f->device);
    op = (struct work){.a = f->device, .number = f->epoch - 1};
    assert_int_equal(run(f, &op, do_gone), 0);
    assert_int_equal(number(f, "SELECT away_us IS NULL FROM devices WHERE id = ?1", f->device), 1);
    op = (struct work){.a = f->device, .number = f->epoch};
    assert_int_equal(run(f, &op, do_gone), 0);
    assert_int_equal(number(f, "SELECT away_us IS NULL FROM devices WHERE id = ?1", f->device), 0);
}

static int do_devices_expire(struct store_tx *tx, struct work *op, struct err *err) {
    return store_devices_expire(tx, store_tx_now_us(tx) - 45000000, err);
}

#define ONLINE "SELECT away_us IS NULL FROM devices WHERE id = ?1"

static void test_silence_is_away_unless_it_measures(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    struct work op = {.a = NULL}, touch = {.a = f->device, .number = f->epoch};
    assert_int_equal(ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(grant(f, 8, lease), 1);
    change(f, "UPDATE devices SET last_seen_us = 1 WHERE id = ?1", f->device);
    assert_int_equal(run(f, &op, do_devices_expire), 0);
    assert_int_equal(number(f, ONLINE, f->device), 1);
    expire(f, lease);
    assert_int_equal(run(f, &op, do_devices_expire), 0);
    assert_int_equal(number(f, ONLINE, f->device), 0);
    assert_int_equal(run(f, &touch, do_touch), 0);
    assert_int_equal(number(f, ONLINE, f->device), 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_enrolment_once),
        TEST(test_token_and_board_are_one),
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
        TEST(test_older_epochs_are_refused),
        TEST(test_heartbeats_extend_and_tell),
        TEST(test_one_lease_at_a_time),
        TEST(test_leases_survive_the_daemon),
        TEST(test_only_profiles_that_run_now),
        TEST(test_a_new_environment_is_a_new_revision),
        TEST(test_paused_and_sick_boards_get_nothing),
        TEST(test_a_table_ends_its_job),
        TEST(test_a_canceled_table_waits_for_nothing),
        TEST(test_a_table_with_holes_fails_its_job),
        TEST(test_full_entries_stand_before_brief_ones),
        TEST(test_measurements_outlive_their_board),
        TEST(test_answers_are_due_until_the_job_ends),
        TEST(test_a_canceled_job_drops_only_its_own),
        TEST(test_noise_is_relative),
        TEST(test_the_noise_floor_is_leased),
        TEST(test_a_lease_given_up_is_work),
        TEST(test_an_old_connection_says_nothing),
        TEST(test_silence_is_away_unless_it_measures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
