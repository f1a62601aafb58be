/* Boards that are drained, paused, under maintenance or retested, and searches that share one. */
#include "daemon/store_retest.h"
#include "fleet_bed.h"

static int do_patch(struct store_tx *tx, struct work *op, struct err *err) {
    struct device_patch patch = {.state = op->b};
    return store_device_patch(tx, op->a, &patch, err);
}

static void set_state(struct fixture *f, const char *text) {
    struct work op = {.a = f->device, .b = text};
    assert_int_equal(fleet_run(f, &op, do_patch), 0);
}

static void assert_member(struct fixture *f, const char *key, const char *want) {
    cJSON *doc = NULL;
    assert_int_equal(store_device_get(store_loop_sql(f->store), f->device, &f->err, &doc), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(doc, key)), want);
    cJSON_Delete(doc);
}

static void test_a_drained_board_ends_what_it_holds(void **state) {
    struct fixture *f = *state;
    char a[ID_MAX], b[ID_MAX], c[ID_MAX], lease[ID_MAX], other[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", a), 0);
    assert_int_equal(fleet_ask(f, "g2", "brief/2", b), 0);
    assert_int_equal(fleet_ask(f, "g3", "brief/2", c), 0);
    assert_int_equal(fleet_grant(f, 2, lease), 2);
    assert_int_equal(fleet_ack(f, lease), 0);
    set_state(f, "draining");
    assert_member(f, "state", "draining");
    assert_int_equal(fleet_send_new(f, lease, a, 1, "ok"), 201);
    assert_member(f, "state", "draining");
    assert_int_equal(fleet_send_new(f, lease, b, 1, "ok"), 201);
    assert_member(f, "state", "paused");
    assert_int_equal(fleet_grant(f, 2, other), 0);
    fleet_assert_state(f, c, "queued");
    assert_member(f, "health", "probation");
    set_state(f, "active");
    assert_int_equal(fleet_grant(f, 2, other), 1);
    set_state(f, "draining");
    fleet_expire(f, other); /* however the lease ends */
    assert_member(f, "state", "paused");
    set_state(f, "active");
    set_state(f, "draining"); /* it holds none */
    assert_member(f, "state", "paused");
}

static void test_a_paused_board_stops_at_once(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 1, lease), 1);
    assert_int_equal(fleet_ack(f, lease), 0);
    set_state(f, "paused");
    fleet_assert_state(f, id, "queued");
    assert_int_equal(
        fleet_number(f, "SELECT failures = 0 AND attempt = 1 FROM measurements WHERE id = ?1", id),
        1);
    assert_int_equal(fleet_number(f, "SELECT state = 'released' FROM leases WHERE id = ?1", lease),
                     1);
    /* What it had measured all the same is kept. */
    assert_int_equal(fleet_send_new(f, lease, id, 1, "ok"), 200);
    fleet_assert_state(f, id, "accepted");
}

static void test_under_maintenance_nothing_is_measured_or_judged(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    bool waits = true;
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 1, lease), 1);
    assert_int_equal(fleet_ack(f, lease), 0);
    set_state(f, "maintenance");
    assert_member(f, "health", "maintenance");
    assert_int_equal(fleet_send_new(f, lease, id, 1, "crashed"),
                     200); /* its lease was taken back */
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_false(waits);
    assert_int_equal(fleet_grant(f, 1, lease), 0);
    set_state(f, "paused"); /* says nothing of its health */
    assert_member(f, "health", "maintenance");
    set_state(f, "active");
    assert_member(f, "health", "probation");
    assert_int_equal(fleet_grant(f, 1, lease), 1);
}

static int do_review(struct store_tx *tx, struct work *op, struct err *err) {
    return store_retest_review(tx, err);
}

static bool due(struct fixture *f) {
    bool any = false;
    assert_int_equal(store_retest_due(store_loop_sql(f->store), clock_wall_us(), &f->err, &any), 0);
    return any;
}

static void review(struct fixture *f) {
    struct work op = {.a = NULL};
    assert_int_equal(fleet_run(f, &op, do_review), 0);
}

static void make_due(struct fixture *f) {
    fleet_change(f,
                 "UPDATE devices SET retest_us = 1, health_counts = json_set(health_counts, "
                 "'$.retest_us', 1) WHERE id = ?1",
                 f->device);
}

#define REFERENCES                                                                                 \
    "SELECT count(*) FROM measurements m JOIN profiles p ON p.id = m.profile WHERE p.device = ?1 " \
    "AND m.kind = 'reference' AND m.state = 'queued'"

/* Grants the one thing that may be measured, and answers it. */
static void retest(struct fixture *f, double median_us, const char *status) {
    struct work op = {.a = f->device, .number = 8};
    assert_int_equal(fleet_run(f, &op, do_grant), 0);
    const cJSON *items = cJSON_GetObjectItem(op.doc, "items"), *item = items->child;
    assert_int_equal(cJSON_GetArraySize(items), 1);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(item, "kind")), "reference");
    cJSON *body =
        fleet_result_body(cJSON_GetStringValue(cJSON_GetObjectItem(op.doc, "lease_id")),
                          cJSON_GetStringValue(cJSON_GetObjectItem(item, "measurement_id")),
                          (int)cJSON_GetNumberValue(cJSON_GetObjectItem(item, "attempt")), status);
    const char *keys[] = {"median_us", "low_us", "high_us"};
    for (int i = 0; i < 3 && median_us > 0; i++)
        cJSON_SetNumberValue(cJSON_GetObjectItem(body, keys[i]), median_us);
    assert_int_equal(fleet_send_result(f, body), 201);
    cJSON_Delete(body);
    cJSON_Delete(op.doc);
}

static void next_retest(struct fixture *f, double median_us) {
    assert_false(due(f));
    make_due(f);
    review(f);
    retest(f, median_us, "ok");
}

static int64_t passed(struct fixture *f) {
    return fleet_number(
        f, "SELECT json_extract(health_counts, '$.passed') FROM devices WHERE id = ?1", f->device);
}

static int64_t known_us(struct fixture *f) {
    return fleet_number(f,
                        "SELECT v.reference_us FROM profile_revisions v JOIN profiles p ON "
                        "p.revision = v.id WHERE p.device = ?1 AND p.position = 0",
                        f->device);
}

static void crash_into_quarantine(struct fixture *f) {
    char id[ID_MAX], lease[ID_MAX], graph[16];
    for (int i = 0; i < HEALTH_CRASHES; i++) {
        snprintf(graph, sizeof(graph), "crash-%d", i);
        assert_int_equal(fleet_ask(f, graph, "brief/2", id), 0);
        assert_int_equal(fleet_grant(f, 1, lease), 1);
        assert_int_equal(fleet_ack(f, lease), 0);
        fleet_expire(f, lease);
    }
    assert_member(f, "health", "quarantined");
}

static void test_a_quarantined_board_is_retested(void **state) {
    struct fixture *f = *state;
    char lease[ID_MAX];
    bool waits = true;
    crash_into_quarantine(f);
    assert_false(due(f)); /* not before ten minutes */
    review(f);
    assert_int_equal(fleet_number(f, REFERENCES, f->device), 0);
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_false(waits);
    assert_int_equal(fleet_grant(f, 8, lease), 0);
    make_due(f);
    assert_true(due(f));
    review(f);
    assert_false(due(f)); /* asked for once */
    assert_int_equal(fleet_number(f, REFERENCES, f->device), 1);
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_true(waits);
    retest(f, 1000, "ok"); /* what it was is known from now on */
    assert_int_equal(passed(f), 0);
    fleet_change(f, "UPDATE profile_revisions SET noise = 0.01 WHERE ?1 <> ''", "a quiet board");
    next_retest(f, 1000);
    assert_int_equal(passed(f), 1);
    next_retest(f, 2500); /* far from what it was: from the beginning */
    assert_int_equal(passed(f), 0);
    next_retest(f, 1000);
    assert_int_equal(passed(f), 1);
    next_retest(f, 600); /* on the other side too, though it is the least from now on */
    assert_int_equal(passed(f), 0);
    assert_int_equal(known_us(f), 600);
    next_retest(f, 1000); /* and is held against it */
    assert_int_equal(passed(f), 0);
    fleet_change(f, "UPDATE profile_revisions SET reference_us = 1000 WHERE ?1 <> ''", "x");
    next_retest(f, 1010);
    make_due(f);
    review(f);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    assert_int_equal(fleet_ack(f, lease), 0);
    fleet_expire(f, lease); /* a lost lease is a failure too */
    retest(f, 1010, "ok");  /* the same measurement, at its next attempt: it was not due yet */
    assert_int_equal(passed(f), 0);
    next_retest(f, 1000);
    next_retest(f, 1000);
    assert_member(f, "health", "quarantined");
    next_retest(f, 1000);
    assert_member(f, "health", "probation");
    assert_int_equal(
        fleet_number(f, "SELECT retest_us IS NULL FROM devices WHERE id = ?1", f->device), 1);
    assert_true(fleet_grant(f, 8, lease) > 0);
}

/* It is not asked for again and again. */
static void test_a_retest_that_cannot_be_measured_has_failed(void **state) {
    static const char *const statuses[] = {"unsupported", "oom", "invalid"};
    struct fixture *f = *state;
    crash_into_quarantine(f);
    for (int i = 0; i < 3; i++) {
        make_due(f);
        review(f);
        retest(f, 0, statuses[i]);
        assert_false(due(f));
        review(f);
        assert_int_equal(fleet_number(f, REFERENCES, f->device), 0);
    }
    assert_member(f, "health", "quarantined");
}

static int do_check(struct store_tx *tx, struct work *op, struct err *err) {
    char id[ID_MAX];
    return store_noise_again(tx, op->a, true, err, id);
}

/* Whoever asks for the noise floor of a board in quarantine does not talk it out of it. */
static void test_a_person_s_check_is_no_retest(void **state) {
    struct fixture *f = *state;
    struct work op = {.a = f->profile};
    crash_into_quarantine(f);
    make_due(f);
    review(f);
    retest(f, 1000, "ok");
    for (int i = 0; i < 4; i++) {
        make_due(f);
        assert_int_equal(fleet_run(f, &op, do_check), 0);
        retest(f, 5000, "ok");
        assert_int_equal(passed(f), 0);
    }
    assert_member(f, "health", "quarantined");
}

static void test_a_person_s_quarantine_is_a_person_s_to_end(void **state) {
    struct fixture *f = *state;
    char lease[ID_MAX];
    set_state(f, "quarantined");
    make_due(f);
    assert_false(due(f));
    review(f);
    assert_int_equal(fleet_number(f, REFERENCES, f->device), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 0);
}

static int do_requests(struct store_tx *tx, struct work *op, struct err *err) {
    return store_measure_requests_add(tx, op->a, op->body, err);
}

/* A measurement that a search asked for; its id. */
static void ask_for(struct fixture *f, const char *job, int number, const char *arch) {
    cJSON *body = cJSON_CreateObject(), *item = cJSON_CreateObject();
    cJSON *graph = cJSON_Parse(f->graph);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "items"), item);
    cJSON_AddNumberToObject(item, "request", number);
    cJSON_AddStringToObject(item, "profile_id", f->profile);
    cJSON_AddStringToObject(item, "arch", arch);
    cJSON_AddItemToObject(item, "graph", graph);
    struct work op = {.a = job, .body = body};
    assert_int_equal(fleet_run(f, &op, do_requests), 0);
    cJSON_Delete(body);
    /* Equal networks are one measurement: make it another one. */
    fleet_change(f, "UPDATE measurements SET graph_id = graph_id || '-' || ?1 WHERE arch = ?1",
                 arch);
}

static void make_job(struct fixture *f, const char *id) {
    fleet_change(f,
                 "INSERT INTO jobs (id, kind, state, subject, spec, created_us) VALUES (?1, "
                 "'search', 'running', 'x', '{}', 1)",
                 id);
}

/* The board that keeps the job, and why: "board why"; "": none. */
static const char *keeper(struct fixture *f, const char *job, char text[2 * ID_MAX]) {
    cJSON *board = NULL;
    assert_int_equal(store_measure_requests_keeper(store_loop_sql(f->store), job, &f->err, &board),
                     0);
    text[0] = '\0';
    if (board != NULL)
        snprintf(text, 2 * ID_MAX, "%s %s",
                 cJSON_GetStringValue(cJSON_GetObjectItem(board, "device_name")),
                 cJSON_GetStringValue(cJSON_GetObjectItem(board, "why")));
    cJSON_Delete(board);
    return text;
}

static void test_a_board_keeps_a_job_when_no_other_works_for_it(void **state) {
    struct fixture *f = *state;
    char text[2 * ID_MAX], first[ID_MAX], name[ID_MAX], wanted[2 * ID_MAX];
    make_job(f, "job_keeps");
    assert_string_equal(keeper(f, "job_keeps", text), ""); /* it has asked for nothing */
    ask_for(f, "job_keeps", 1, "one");
    assert_string_equal(keeper(f, "job_keeps", text), "");
    assert_int_equal(sql_get_text(store_loop_sql(f->store), &f->err, name, sizeof(name),
                                  "SELECT name FROM devices WHERE id = ?1", "t", f->device),
                     0);
    static const char *const states[] = {"paused", "quarantined", "maintenance"};
    for (int i = 0; i < 3; i++) {
        set_state(f, states[i]);
        snprintf(wanted, sizeof(wanted), "%s %s", name, states[i]);
        assert_string_equal(keeper(f, "job_keeps", text), wanted);
    }
    set_state(f, "active");
    fleet_change(f, "UPDATE devices SET health = 'quarantined' WHERE id = ?1", f->device);
    snprintf(wanted, sizeof(wanted), "%s quarantined", name);
    assert_string_equal(keeper(f, "job_keeps", text), wanted); /* by itself */
    fleet_change(f, "UPDATE devices SET away_us = 1 WHERE id = ?1", f->device);
    snprintf(wanted, sizeof(wanted), "%s offline", name);
    assert_string_equal(keeper(f, "job_keeps", text), wanted);
    memcpy(first, f->device, sizeof(first));
    assert_int_equal(fleet_enrol(f, "machine-other"), 0);
    ask_for(f, "job_keeps", 2, "two");
    assert_string_equal(keeper(f, "job_keeps", text), ""); /* the other works for it */
    assert_int_equal(fleet_measure_all(f, "ok"), 1);
    assert_string_equal(keeper(f, "job_keeps", text), wanted);
    fleet_change(f, "UPDATE devices SET away_us = NULL, health = 'good' WHERE id = ?1", first);
    assert_string_equal(keeper(f, "job_keeps", text), "");
}

/* The arch of each item of a lease of n, which is given up. */
static void lease_archs(struct fixture *f, int n, char *ret_text) {
    struct work op = {.a = f->device, .number = n};
    const cJSON *item;
    ret_text[0] = '\0';
    assert_int_equal(fleet_run(f, &op, do_grant), 0);
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(op.doc, "items")) {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(item, "measurement_id"));
        cJSON *doc = NULL;
        assert_int_equal(store_measurement_row(store_loop_sql(f->store), id, &f->err, &doc), 0);
        strcat(ret_text, cJSON_GetStringValue(cJSON_GetObjectItem(doc, "arch")));
        cJSON_Delete(doc);
        assert_int_equal(
            fleet_send_new(f, cJSON_GetStringValue(cJSON_GetObjectItem(op.doc, "lease_id")), id,
                           (int)cJSON_GetNumberValue(cJSON_GetObjectItem(item, "attempt")), "ok"),
            201);
    }
    cJSON_Delete(op.doc);
}

static void test_searches_share_a_board(void **state) {
    struct fixture *f = *state;
    char text[64], order[64] = "", name[3] = "a0";
    make_job(f, "job_1");
    make_job(f, "job_2");
    for (int i = 0; i < 6; i++) { /* the first search asks for all that it wants, then the second */
        name[1] = (char)('0' + i);
        ask_for(f, "job_1", i, name);
    }
    name[0] = 'b';
    for (int i = 0; i < 4; i++) {
        name[1] = (char)('0' + i);
        ask_for(f, "job_2", i, name);
    }
    lease_archs(f, 4, text);
    assert_string_equal(text, "a0b0a1b1");
    for (int i = 0; i < 4; i++) { /* a worker that takes one at a time */
        lease_archs(f, 1, text);
        strcat(order, text);
    }
    assert_true(strcmp(order, "a2b2a3b3") == 0 || strcmp(order, "b2a2b3a3") == 0);
    lease_archs(f, 8, text); /* what is left is nobody's turn */
    assert_string_equal(text, "a4a5");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_start, fleet_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_a_board_keeps_a_job_when_no_other_works_for_it),
        TEST(test_a_drained_board_ends_what_it_holds),
        TEST(test_a_paused_board_stops_at_once),
        TEST(test_under_maintenance_nothing_is_measured_or_judged),
        TEST(test_a_quarantined_board_is_retested),
        TEST(test_a_retest_that_cannot_be_measured_has_failed),
        TEST(test_a_person_s_check_is_no_retest),
        TEST(test_a_person_s_quarantine_is_a_person_s_to_end),
        TEST(test_searches_share_a_board),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
