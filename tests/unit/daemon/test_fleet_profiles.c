/* Several profiles of one board, and several boards on one machine. */
#include "fleet_bed.h"

/* A second profile behind the board's own, unlike it in what members say (the last of equal names
 * counts). */
static cJSON *introduction_of(const char *machine, const char *const *threads, const char *host) {
    cJSON *doc = fleet_introduction(machine, threads[0], "env-1");
    cJSON *list = cJSON_GetObjectItem(doc, "profiles");
    for (int i = 1; threads[i] != NULL; i++) {
        cJSON *profile = cJSON_Duplicate(cJSON_GetArrayItem(list, 0), true);
        cJSON_ReplaceItemInObject(profile, "threads", cJSON_CreateNumber(atoi(threads[i])));
        cJSON_AddItemToArray(list, profile);
    }
    if (host != NULL)
        cJSON_AddStringToObject(doc, "host", host);
    return doc;
}

/* Ids of the profiles go to ret_profiles. Takes body. */
static int connect_with(struct fixture *f, cJSON *body, char ret_profiles[][ID_MAX]) {
    struct work op = {.body = body, .a = f->device};
    const cJSON *row;
    int i = 0, r = fleet_run(f, &op, do_connect);
    cJSON_Delete(body);
    if (r != 0)
        return r;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(op.doc, "profiles"))
        strcpy(ret_profiles[i++], cJSON_GetStringValue(cJSON_GetObjectItem(row, "profile_id")));
    fleet_note_welcome(f, op.doc);
    return 0;
}

static int connect_threads(struct fixture *f, const char *a, const char *b,
                           char ret_profiles[][ID_MAX]) {
    const char *threads[] = {a, b, NULL};
    return connect_with(f, introduction_of("machine-one", threads, NULL), ret_profiles);
}

/* Profiles that differ in what no name says get numbers, also where one in between has gone. */
static void test_names_of_profiles_that_look_alike(void **state) {
    static const char *const governors[] = {"a", "b", "c", "d"};
    struct fixture *f = *state;
    char profiles[1][ID_MAX], first[ID_MAX];
    for (int i = 0; i < 4; i++) {
        cJSON *body = fleet_introduction("machine-one", "1", "env-1");
        cJSON_ReplaceItemInObject(cJSON_GetArrayItem(cJSON_GetObjectItem(body, "profiles"), 0),
                                  "governor", cJSON_CreateString(governors[i]));
        assert_int_equal(connect_with(f, body, profiles), 0);
        if (i == 0)
            strcpy(first, profiles[0]);
        if (i == 1)
            fleet_change(f, "UPDATE profiles SET name = 'gone' WHERE id = ?1", first);
    }
    static const char named[] = "SELECT count(*) FROM profiles WHERE device = ?1 AND name IN "
                                "('gone', 'board/native-fp32-t1#2', 'board/native-fp32-t1#3', "
                                "'board/native-fp32-t1#4')";
    assert_int_equal(fleet_number(f, named, f->device), 4);
}

static const char *found(struct fixture *f, const char *ref) {
    static char id[ID_MAX];
    f->err = (struct err){0};
    int r = store_profile_find(store_loop_sql(f->store), ref, &f->err, id);
    return r == 0 ? id : err_name(r);
}

static int ask_on(struct fixture *f, const char *profile, const char *graph, char ret_id[ID_MAX]) {
    char own[ID_MAX];
    strcpy(own, f->profile);
    strcpy(f->profile, profile);
    int r = fleet_ask(f, graph, "brief/2", ret_id);
    strcpy(f->profile, own);
    return r;
}

/* The same network on two profiles is two measurements; a lease is of one profile, and a board
 * holds one. */
static void test_profiles_share_nothing(void **state) {
    struct fixture *f = *state;
    char p[2][ID_MAX], a[ID_MAX], b[ID_MAX], again[ID_MAX], lease[ID_MAX];
    assert_int_equal(connect_threads(f, "1", "2", p), 0);
    assert_string_not_equal(p[0], p[1]);
    assert_int_equal(ask_on(f, p[0], "g1", a), 0);
    assert_int_equal(ask_on(f, p[1], "g1", b), 0);
    assert_string_not_equal(a, b);
    assert_int_equal(ask_on(f, p[1], "g1", again), 0);
    assert_string_equal(b, again);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    assert_int_equal(fleet_ack(f, lease), 0);
    fleet_assert_state(f, a, "running");
    fleet_assert_state(f, b, "queued");
    assert_int_equal(fleet_send_new(f, lease, a, 1, "ok"), 201);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    fleet_assert_state(f, b, "leased");
}

/* What its worker offers no longer is not leased, and keeps what was measured on it. */
static void test_a_profile_may_go_and_come_back(void **state) {
    struct fixture *f = *state;
    char p[2][ID_MAX], q[2][ID_MAX], id[ID_MAX], lease[ID_MAX];
    assert_int_equal(connect_threads(f, "1", "2", p), 0);
    assert_int_equal(ask_on(f, p[1], "g1", id), 0);
    assert_int_equal(connect_threads(f, "1", NULL, q), 0);
    assert_string_equal(p[0], q[0]);
    assert_int_equal(fleet_grant(f, 8, lease), 0);
    assert_int_equal(connect_threads(f, "2", "1", q), 0);
    assert_string_equal(p[1], q[0]);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    assert_string_equal(found(f, "board"), p[1]); /* the first one is the default now */
}

static void test_the_same_profile_twice_is_refused(void **state) {
    struct fixture *f = *state;
    char p[2][ID_MAX];
    assert_int_equal(connect_threads(f, "2", "2", p), ESP_EINVAL);
    assert_string_equal(f->err.pointer, "/profiles/1");
}

/* Each is asked for its own noise floor; the board's is the highest of those that it offers. */
static void test_each_profile_has_a_noise_floor(void **state) {
    struct fixture *f = *state;
    const char *threads[] = {"1", "2", NULL};
    char p[2][ID_MAX];
    cJSON *body = introduction_of("machine-one", threads, NULL);
    cJSON_AddBoolToObject(body, "noise_by_lease", true);
    assert_int_equal(connect_with(f, body, p), 0);
    assert_int_equal(fleet_number(f,
                                  "SELECT count(DISTINCT profile) FROM measurements WHERE kind = "
                                  "'reference' AND state = 'queued' AND ?1 IS NOT NULL",
                                  ""),
                     2);
    fleet_change(f, "UPDATE profiles SET noise = 0.01 * threads WHERE device = ?1", f->device);
    assert_int_equal(connect_threads(f, "1", "2", p), 0);
    assert_int_equal(
        fleet_number(f, "SELECT round(1000 * noise) FROM devices WHERE id = ?1", f->device), 20);
    assert_int_equal(connect_threads(f, "1", NULL, p), 0);
    assert_int_equal(
        fleet_number(f, "SELECT round(1000 * noise) FROM devices WHERE id = ?1", f->device), 10);
}

static int do_rename(struct store_tx *tx, struct work *op, struct err *err) {
    struct device_patch patch = {.name = op->b};
    return store_device_patch(tx, op->a, &patch, err);
}

static void test_names_of_profiles(void **state) {
    struct fixture *f = *state;
    const char *threads[] = {"1", "2", "12", NULL};
    char p[3][ID_MAX], ref[2 * ID_MAX];
    assert_int_equal(connect_with(f, introduction_of("machine-one", threads, NULL), p), 0);
    assert_string_equal(found(f, p[2]), p[2]);
    assert_string_equal(found(f, "board"), p[0]);
    assert_string_equal(found(f, f->device), p[0]);
    assert_string_equal(found(f, "board/t1"), p[0]);
    assert_string_equal(found(f, "board/t2"), p[1]);
    assert_string_equal(found(f, "board/fp32-t12"), p[2]);
    assert_string_equal(found(f, "board/native-fp32-t2"), p[1]);
    snprintf(ref, sizeof(ref), "%s/t12", f->device);
    assert_string_equal(found(f, ref), p[2]);
    assert_string_equal(found(f, "board/t"), "not_found");
    assert_string_equal(found(f, "board/1"), "not_found");
    assert_string_equal(found(f, "boar"), "not_found");
    assert_string_equal(found(f, "boar/t1"), "not_found");
    assert_string_equal(found(f, "board/%"), "not_found");
    assert_string_equal(found(f, "board/native"), "invalid_value");
    assert_non_null(strstr(f->err.message, "several"));
    struct work op = {.a = f->device, .b = "pi/4"};
    assert_int_equal(fleet_run(f, &op, do_rename), 0);
    assert_string_equal(found(f, "pi/4"), p[0]);
    assert_string_equal(found(f, "pi/4/t2"), p[1]);
    assert_string_equal(found(f, "board/t2"), "not_found");
}

/* A name that a removed board's profile has stays with it, but the board that is there comes
 * first. */
static int do_remove(struct store_tx *tx, struct work *op, struct err *err) {
    cJSON *users = NULL;
    return store_device_remove(tx, op->a, err, &users);
}

static void test_names_after_a_board_was_removed(void **state) {
    struct fixture *f = *state;
    char before[ID_MAX];
    struct work op = {.a = f->device};
    strcpy(before, f->profile);
    assert_int_equal(fleet_run(f, &op, do_remove), 0);
    assert_string_equal(found(f, "board/native-fp32-t1"), before);
    assert_string_equal(found(f, "board/t1"), "not_found");
    assert_int_equal(fleet_enrol(f, "machine-one"), 0);
    assert_string_not_equal(f->profile, before);
    assert_string_equal(found(f, "board/native-fp32-t1"), f->profile);
    assert_string_equal(found(f, "board/t1"), f->profile);
    assert_string_equal(found(f, before), before);
}

/* ---- removal of a profile ---------------------------------------------------------------------
 */

static int do_remove_profile(struct store_tx *tx, struct work *op, struct err *err) {
    return store_profile_remove(tx, op->a, err, &op->doc);
}

/* "", or the kind of its only user. */
static const char *remove_profile(struct fixture *f, const char *profile) {
    static char kind[32];
    struct work op = {.a = profile};
    int r = fleet_run(f, &op, do_remove_profile);
    if (r == 0) {
        assert_null(op.doc);
        return "";
    }
    assert_int_equal(r, ESP_ECONFLICT);
    assert_int_equal(cJSON_GetArraySize(op.doc), 1);
    const cJSON *user = cJSON_GetArrayItem(op.doc, 0);
    assert_non_null(cJSON_GetStringValue(cJSON_GetObjectItem(user, "id")));
    assert_non_null(cJSON_GetStringValue(cJSON_GetObjectItem(user, "name")));
    snprintf(kind, sizeof(kind), "%s", cJSON_GetStringValue(cJSON_GetObjectItem(user, "kind")));
    cJSON_Delete(op.doc);
    return kind;
}

/* Two profiles, of which the second has a measurement and is offered no longer. */
static void leave_a_profile(struct fixture *f, char ret_profiles[2][ID_MAX], char ret_id[ID_MAX]) {
    assert_int_equal(connect_threads(f, "1", "2", ret_profiles), 0);
    assert_int_equal(ask_on(f, ret_profiles[1], "g1", ret_id), 0);
    assert_int_equal(fleet_measure_all(f, "ok"), 1);
    assert_string_equal(remove_profile(f, ret_profiles[1]), "device");
    char q[1][ID_MAX];
    assert_int_equal(connect_threads(f, "1", NULL, q), 0);
}

#define LEFT(table) fleet_number(f, "SELECT count(*) FROM " table " WHERE ?1 IS NOT NULL", "")

static void test_a_profile_goes_with_what_was_measured_on_it(void **state) {
    struct fixture *f = *state;
    char p[2][ID_MAX], q[2][ID_MAX], id[ID_MAX], own[ID_MAX];
    leave_a_profile(f, p, id);
    assert_int_equal(fleet_ask(f, "g1", "brief/2", own), 0);
    assert_int_equal(fleet_measure_all(f, "ok"), 1);
    fleet_change(f,
                 "INSERT INTO measurements (id, profile, profile_revision, kind, graph_id, graph, "
                 "method, seed, state, created_us, repeats) SELECT 'ms_again', profile, "
                 "profile_revision, 'unit', 'g', '{}', 'full', 1, 'queued', 0, id FROM "
                 "measurements WHERE id = ?1",
                 id);
    fleet_change(f,
                 "INSERT INTO calibrations (id, profile, profile_revision, search, version, data, "
                 "created_us) SELECT 'cl', id, revision, 'se_gone', 1, '{}', 0 FROM profiles WHERE "
                 "id = ?1",
                 p[1]);
    fleet_change(f,
                 "INSERT INTO energy_prices (id, profile, profile_revision, version, data, "
                 "created_us) SELECT 'ep', id, revision, 1, '{}', 0 FROM profiles WHERE id = ?1",
                 p[1]);
    fleet_change(f,
                 "INSERT INTO jobs (id, kind, state, subject, spec, created_us, ended_us) VALUES "
                 "('job_gone', 'search', 'done', 'se_gone', ?1, 0, 1)",
                 p[1]);
    fleet_change(f, "INSERT INTO measure_requests VALUES ('job_gone', 1, ?1, NULL)", id);
    assert_string_equal(remove_profile(f, p[1]), "");
    assert_string_equal(found(f, p[1]), "not_found");
    assert_int_equal(LEFT("profiles"), 1);
    assert_int_equal(LEFT("profile_revisions"), 1);
    assert_int_equal(LEFT("measurements"), 1);
    assert_int_equal(LEFT("results"), 1);
    assert_int_equal(LEFT("lease_items"), 1);
    assert_int_equal(LEFT("calibrations"), 0);
    assert_int_equal(LEFT("energy_prices"), 0);
    assert_int_equal(LEFT("measure_requests"), 0);
    fleet_assert_state(f, own, "accepted");
    assert_int_equal(connect_threads(f, "1", "2", q), 0); /* a new one, with nothing measured */
    assert_string_equal(p[0], q[0]);
    assert_string_not_equal(p[1], q[1]);
    assert_int_equal(ask_on(f, q[1], "g1", id), 0);
    fleet_assert_state(f, id, "queued");
}

/* A board's answer to what is gone is told to be of no use; its lease goes on. */
static void test_a_result_for_a_profile_that_is_gone(void **state) {
    struct fixture *f = *state;
    char p[2][ID_MAX], q[1][ID_MAX], id[ID_MAX], lease[ID_MAX];
    assert_int_equal(connect_threads(f, "1", "2", p), 0);
    assert_int_equal(ask_on(f, p[1], "g1", id), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    assert_int_equal(fleet_ack(f, lease), 0);
    assert_int_equal(connect_threads(f, "1", NULL, q), 0); /* which fences it */
    assert_string_equal(remove_profile(f, p[1]), "");
    assert_int_equal(fleet_send_new(f, lease, id, 1, "ok"), ESP_EGONE);
}

static void test_what_keeps_a_profile(void **state) {
    struct fixture *f = *state;
    char p[2][ID_MAX], id[ID_MAX];
    leave_a_profile(f, p, id);
    fleet_change(f, "INSERT INTO space_documents VALUES ('f', ?1)", "{}");
    fleet_change(f,
                 "INSERT INTO tables (id, profile, profile_revision, space, space_fingerprint, "
                 "method, created_us) SELECT 'tb', id, revision, 's', 'f', 'brief', 0 FROM "
                 "profiles WHERE id = ?1",
                 p[1]);
    assert_string_equal(remove_profile(f, p[1]), "table");
    fleet_change(f, "DELETE FROM tables WHERE profile = ?1", p[1]);
    fleet_change(f,
                 "INSERT INTO searches (id, name, space, space_fingerprint, state, body, "
                 "created_us) VALUES ('se', 'night', 's', 'f', 'done', "
                 "'{\"objectives\":[{\"profile\":\"' || ?1 || '\"}]}', 0)",
                 p[1]);
    assert_string_equal(remove_profile(f, p[1]), "search");
    fleet_change(f, "UPDATE searches SET body = '{}' WHERE ?1 <> ''", p[1]);
    fleet_change(f,
                 "INSERT INTO calibrations (id, profile, profile_revision, search, version, data, "
                 "created_us) VALUES ('cl', ?1, 'r', 'se', 1, '{}', 0)",
                 p[1]);
    assert_string_equal(remove_profile(f, p[1]), "search");
    fleet_change(f, "DELETE FROM searches WHERE ?1 <> ''", p[1]);
    fleet_change(f,
                 "INSERT INTO jobs (id, kind, state, subject, spec, created_us) VALUES ('job_1', "
                 "'search', 'paused', 'se', '{\"profiles\":[{\"profile_id\":\"' || ?1 || "
                 "'\"}]}', 0)",
                 p[1]);
    assert_string_equal(remove_profile(f, p[1]), "job");
    fleet_change(f, "UPDATE jobs SET state = 'canceled' WHERE instr(spec, ?1) > 0", p[1]);
    fleet_change(f, "UPDATE measurements SET state = 'running' WHERE id = ?1", id);
    assert_string_equal(remove_profile(f, p[1]), "measurement");
    fleet_change(f, "UPDATE measurements SET state = 'accepted' WHERE id = ?1", id);
    assert_string_equal(remove_profile(f, p[0]), "device");
    assert_string_equal(remove_profile(f, p[1]), "");
}

static int number_listed(struct fixture *f, bool removed) {
    struct sql_page_args page = {.size = 100};
    cJSON *doc = NULL;
    assert_int_equal(store_profile_list(store_loop_sql(f->store), &page, removed, &f->err, &doc),
                     0);
    int n = cJSON_GetArraySize(cJSON_GetObjectItem(doc, "items"));
    cJSON_Delete(doc);
    return n;
}

static void test_profiles_of_a_removed_board(void **state) {
    struct fixture *f = *state;
    struct work op = {.a = f->device};
    assert_int_equal(number_listed(f, false), 1);
    assert_int_equal(fleet_run(f, &op, do_remove), 0);
    assert_int_equal(number_listed(f, false), 0);
    assert_int_equal(number_listed(f, true), 1);
    assert_string_equal(remove_profile(f, f->profile), "");
    assert_int_equal(number_listed(f, true), 0);
}

/* ---- several boards on one machine ------------------------------------------------------------
 */

/* The fixture's board, and another on the same host; each has something to measure. */
static void two_boards(struct fixture *f, const char *host_a, const char *host_b,
                       char ret_other[ID_MAX], char ret_own[ID_MAX]) {
    const char *threads[] = {"1", NULL};
    char p[1][ID_MAX], id[ID_MAX];
    assert_int_equal(connect_with(f, introduction_of("machine-one", threads, host_a), p), 0);
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    strcpy(ret_own, f->device);
    cJSON *body = introduction_of("machine-two", threads, host_b);
    struct work op = {.body = body};
    assert_int_equal(fleet_run(f, &op, do_enrol), 0);
    cJSON_Delete(body);
    fleet_note_welcome(f, op.doc);
    assert_int_equal(fleet_ask(f, "g2", "brief/2", id), 0);
    strcpy(ret_other, f->device);
    strcpy(f->device, ret_own);
}

static bool waits(struct fixture *f, const char *device) {
    bool waits = false;
    assert_int_equal(store_work_waits(store_loop_sql(f->store), device, &f->err, &waits), 0);
    return waits;
}

static void test_one_board_of_a_machine_measures(void **state) {
    struct fixture *f = *state;
    char other[ID_MAX], own[ID_MAX], lease[ID_MAX], holder[ID_MAX];
    two_boards(f, "host-of-both", "host-of-both", other, own);
    assert_true(waits(f, other));
    assert_int_equal(fleet_grant(f, 1, lease), 1);
    assert_false(waits(f, other));
    assert_int_equal(store_host_holder(store_loop_sql(f->store), other, &f->err, holder), 0);
    assert_string_equal(holder, own);
    assert_int_equal(store_host_holder(store_loop_sql(f->store), own, &f->err, holder), 0);
    assert_string_equal(holder, "");
    strcpy(f->device, other);
    char none[ID_MAX];
    assert_int_equal(fleet_grant(f, 1, none), 0); /* whoever asked for it before looking */
    strcpy(f->device, own);
    assert_int_equal(fleet_ack(f, lease), 0);
    strcpy(f->device, other);
    assert_int_equal(fleet_grant(f, 1, none), 0);
    fleet_expire(f, lease);
    assert_true(waits(f, other));
    assert_int_equal(fleet_grant(f, 1, lease), 1);
    assert_false(waits(f, own));
}

static void test_boards_of_other_machines_do_not_wait(void **state) {
    struct fixture *f = *state;
    char other[ID_MAX], own[ID_MAX], lease[ID_MAX];
    two_boards(f, "host-of-a", "host-of-b", other, own);
    assert_int_equal(fleet_grant(f, 1, lease), 1);
    assert_true(waits(f, other));
    strcpy(f->device, other);
    assert_int_equal(fleet_grant(f, 1, lease), 1);
}

static void test_boards_that_tell_no_machine_do_not_wait(void **state) {
    struct fixture *f = *state;
    char other[ID_MAX], own[ID_MAX], lease[ID_MAX];
    two_boards(f, NULL, NULL, other, own);
    assert_int_equal(fleet_grant(f, 1, lease), 1);
    assert_true(waits(f, other));
}

/* Nothing of the machine is used by a simulated board. */
static void test_simulated_boards_have_no_machine(void **state) {
    struct fixture *f = *state;
    const char *threads[] = {"1", NULL};
    char p[1][ID_MAX];
    cJSON *body = introduction_of("machine-one", threads, "host-of-both");
    cJSON_AddBoolToObject(body, "simulated", true);
    assert_int_equal(connect_with(f, body, p), 0);
    assert_int_equal(fleet_number(f, "SELECT host IS NULL FROM devices WHERE id = ?1", f->device),
                     1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_start, fleet_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_names_of_profiles_that_look_alike),
        TEST(test_profiles_share_nothing),
        TEST(test_a_profile_may_go_and_come_back),
        TEST(test_the_same_profile_twice_is_refused),
        TEST(test_each_profile_has_a_noise_floor),
        TEST(test_names_of_profiles),
        TEST(test_names_after_a_board_was_removed),
        TEST(test_a_profile_goes_with_what_was_measured_on_it),
        TEST(test_a_result_for_a_profile_that_is_gone),
        TEST(test_what_keeps_a_profile),
        TEST(test_profiles_of_a_removed_board),
        TEST(test_one_board_of_a_machine_measures),
        TEST(test_boards_of_other_machines_do_not_wait),
        TEST(test_boards_that_tell_no_machine_do_not_wait),
        TEST(test_simulated_boards_have_no_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
