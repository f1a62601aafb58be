#include "fleet_bed.h"

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

int fleet_run(struct fixture *f, struct work *op,
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

void fleet_open_store(struct fixture *f) {
    struct store_listener listener = {on_event, on_wake, f};
    if (store_open(&f->loop, f->path, &listener, &f->err, &f->store) != 0)
        fail_msg("%s", f->err.message);
}

void fleet_close_store(struct fixture *f) {
    store_close(f->store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

int64_t fleet_number(struct fixture *f, const char *literal, const char *id) {
    int64_t n = -1;
    if (sql_get_int(store_loop_sql(f->store), &f->err, &n, NULL, literal, "t", id) != 0)
        fail_msg("%s", f->err.message);
    return n;
}

static int do_sql(struct store_tx *tx, struct work *op, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL, op->a, "t", op->b);
}

void fleet_change(struct fixture *f, const char *literal, const char *id) {
    struct work op = {.a = literal, .b = id};
    assert_int_equal(fleet_run(f, &op, do_sql), 0);
}

cJSON *fleet_introduction(const char *machine, const char *threads, const char *fingerprint) {
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

int do_enrol(struct store_tx *tx, struct work *op, struct err *err) {
    struct introduction in;
    int r = introduction_read(op->body, err, &in);
    if (r == 0)
        r = store_device_enrol(tx, &in, err, &op->doc);
    return r == 0 && op->doc == NULL ? err->code : r; /* refused */
}

int do_connect(struct store_tx *tx, struct work *op, struct err *err) {
    struct introduction in;
    int r = introduction_read(op->body, err, &in);
    return r != 0 ? r : store_device_connect(tx, op->a, &in, err, &op->doc);
}

void fleet_note_welcome(struct fixture *f, cJSON *doc) {
    const cJSON *profile = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "profiles"), 0);
    strcpy(f->device, cJSON_GetStringValue(cJSON_GetObjectItem(doc, "device_id")));
    strcpy(f->profile, cJSON_GetStringValue(cJSON_GetObjectItem(profile, "profile_id")));
    f->epoch = (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(doc, "epoch"));
    cJSON_Delete(doc);
}

int fleet_enrol(struct fixture *f, const char *machine) {
    cJSON *body = fleet_introduction(machine, "1", "env-1");
    struct work op = {.body = body};
    int r = fleet_run(f, &op, do_enrol);
    cJSON_Delete(body);
    if (r == 0)
        fleet_note_welcome(f, op.doc);
    return r;
}

int fleet_connect_board(struct fixture *f, const char *machine, const char *threads,
                        const char *fingerprint) {
    cJSON *body = fleet_introduction(machine, threads, fingerprint);
    struct work op = {.body = body, .a = f->device};
    int r = fleet_run(f, &op, do_connect);
    cJSON_Delete(body);
    if (r == 0)
        fleet_note_welcome(f, op.doc);
    return r;
}

int fleet_start(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    struct graph *graph = NULL;
    struct space *space = NULL;
    struct arch arch;
    strcpy(f->dir, "/tmp/espalier-fleet-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/db", f->dir);
    uv_loop_init(&f->loop);
    fleet_open_store(f);
    assert_int_equal(space_builtin("peer_28", &f->err, &space), 0);
    arch_max(space, &arch);
    assert_int_equal(graph_build(space, &arch, &f->err, &graph), 0);
    space_destroy(space);
    cJSON *doc = graph_to_json(graph);
    f->graph = json_print(doc);
    graph_id(graph, "fp32", f->graph_id);
    cJSON_Delete(doc);
    free(graph);
    assert_int_equal(fleet_enrol(f, "machine-one"), 0);
    *state = f;
    return 0;
}

int fleet_stop(void **state) {
    struct fixture *f = *state;
    fleet_close_store(f);
    int r = uv_loop_close(&f->loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    if (system(command) != 0)
        r = 1;
    free(f->graph);
    free(f);
    return r;
}

static int do_ask(struct store_tx *tx, struct work *op, struct err *err) {
    return store_measurement_ask(tx, &op->ask, err, op->id);
}

int fleet_ask(struct fixture *f, const char *graph, const char *method, char ret_id[ID_MAX]) {
    struct work op = {.ask = {.profile = f->profile,
                              .kind = "network",
                              .graph_id = graph,
                              .graph = f->graph,
                              .arch = "a",
                              .method = method,
                              .seed = 1}};
    int r = fleet_run(f, &op, do_ask);
    if (r == 0)
        strcpy(ret_id, op.id);
    return r;
}

int do_grant(struct store_tx *tx, struct work *op, struct err *err) {
    return store_lease_grant(tx, op->a, op->number, err, &op->doc);
}

int fleet_grant(struct fixture *f, int64_t max_items, char ret_id[ID_MAX]) {
    struct work op = {.a = f->device, .number = max_items};
    assert_int_equal(fleet_run(f, &op, do_grant), 0);
    int n = cJSON_GetArraySize(cJSON_GetObjectItem(op.doc, "items"));
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(op.doc, "lease_id"));
    strcpy(ret_id, id != NULL ? id : "");
    cJSON_Delete(op.doc);
    return n;
}

static int do_ack(struct store_tx *tx, struct work *op, struct err *err) {
    return store_lease_ack(tx, op->a, op->b, 2, err, &op->doc);
}

int fleet_ack(struct fixture *f, const char *lease) {
    struct work op = {.a = f->device, .b = lease};
    int r = fleet_run(f, &op, do_ack);
    cJSON_Delete(op.doc);
    return r;
}

int do_expire(struct store_tx *tx, struct work *op, struct err *err) {
    return store_leases_expire(tx, err);
}

void fleet_expire(struct fixture *f, const char *lease) {
    struct work op = {.a = NULL};
    fleet_change(f, "UPDATE leases SET expires_us = 1 WHERE id = ?1", lease);
    assert_int_equal(fleet_run(f, &op, do_expire), 0);
}

cJSON *fleet_result_body(const char *lease, const char *measurement, int attempt,
                         const char *status) {
    static int keys;
    char key[32];
    const double samples[] = {900, 1000, 1100};
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
    cJSON_AddNumberToObject(body, "median_us", 1000);
    cJSON_AddNumberToObject(body, "low_us", 950);
    cJSON_AddNumberToObject(body, "high_us", 1050);
    cJSON_AddNumberToObject(body, "mean_us", 1000);
    cJSON_AddNumberToObject(body, "sd_us", 80);
    cJSON_AddNumberToObject(body, "n", 3);
    return body;
}

static int do_result(struct store_tx *tx, struct work *op, struct err *err) {
    return store_result_add(tx, op->a, op->body, err, &op->status, &op->doc);
}

int fleet_send_result(struct fixture *f, const cJSON *body) {
    struct work op = {.a = f->device, .body = body};
    int r = fleet_run(f, &op, do_result);
    cJSON_Delete(op.doc);
    return r != 0 ? r : op.status;
}

int fleet_send_new(struct fixture *f, const char *lease, const char *measurement, int attempt,
                   const char *status) {
    cJSON *body = fleet_result_body(lease, measurement, attempt, status);
    int r = fleet_send_result(f, body);
    cJSON_Delete(body);
    return r;
}

void fleet_assert_state(struct fixture *f, const char *id, const char *want) {
    struct measurement_status status = {.state = MEASUREMENT_QUEUED};
    assert_int_equal(store_measurement_status(store_loop_sql(f->store), id, &f->err, &status), 0);
    assert_string_equal(measurement_state_names[status.state], want);
}

int fleet_measure_all(struct fixture *f, const char *status) {
    struct work op = {.a = f->device, .number = 64};
    const cJSON *item;
    int n = 0;
    assert_int_equal(fleet_run(f, &op, do_grant), 0);
    const char *lease = cJSON_GetStringValue(cJSON_GetObjectItem(op.doc, "lease_id"));
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(op.doc, "items")) {
        assert_int_equal(
            fleet_send_new(f, lease,
                           cJSON_GetStringValue(cJSON_GetObjectItem(item, "measurement_id")),
                           (int)cJSON_GetNumberValue(cJSON_GetObjectItem(item, "attempt")), status),
            201);
        n++;
    }
    cJSON_Delete(op.doc);
    return n;
}
