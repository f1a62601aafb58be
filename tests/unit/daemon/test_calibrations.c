/* Which calibration is the newest, and what number it gets. */
#include "fleet_bed.h"

#include "daemon/ids.h"
#include "daemon/store_calibrations.h"
#include "daemon/store_searches.h"

static int do_front(struct store_tx *tx, struct work *op, struct err *err) {
    return store_front_add(tx, "se", op->body, err);
}

static int do_added(struct store_tx *tx, struct work *op, struct err *err) {
    return store_calibration_add(tx, "se", op->body, err);
}

static int do_fitted(struct store_tx *tx, struct work *op, struct err *err) {
    return store_calibration_fitted(tx, op->a, op->body, err);
}

/* The event's data of a calibration of the bed's profile with that slope; until the next call. */
static const cJSON *told_fit(struct fixture *f, int version, double a) {
    static cJSON *doc;
    char text[512];
    cJSON_Delete(doc);
    snprintf(text, sizeof(text),
             "{\"profile_id\":\"%s\",\"profile_revision\":\"rev\",\"version\":%d,"
             "\"calibration\":{\"version\":%d,\"a\":%g}}",
             f->profile, version, version, a);
    doc = cJSON_Parse(text);
    return doc;
}

static const cJSON *told(struct fixture *f, int version) {
    return told_fit(f, version, 0.1);
}

/* A calibration which its job tells as of that version. The space is the id's end: "cal_a.one". */
static void store(struct fixture *f, const char *id, int version) {
    fleet_change(f,
                 "INSERT INTO jobs (id, kind, state, subject, spec, created_us) VALUES ('job_' || "
                 "?1, 'calibrate', 'running', ?1, json_object('space_fingerprint', substr(?1, "
                 "7)), 0)",
                 id);
    struct work op = {.a = id, .body = told(f, version)};
    assert_int_equal(fleet_run(f, &op, do_fitted), 0);
}

/* Ids of a page of the list, of the bed's profile or of all. Takes after, a page's cursor or NULL,
 * and returns this page's, which the caller owns. */
static char *assert_listed(struct fixture *f, const char *profile, char *after, int size,
                           const char *ids) {
    const struct sql_page_args page = {after, size};
    const cJSON *row;
    char told[256] = "";
    cJSON *doc;
    assert_int_equal(
        store_calibration_list(store_loop_sql(f->store), profile, &page, &f->err, &doc), 0);
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(doc, "items")) {
        assert_null(cJSON_GetObjectItem(row, "place"));
        strcat(told, cJSON_GetObjectItem(row, "id")->valuestring);
        strcat(told, " ");
    }
    assert_string_equal(told, ids);
    const char *next = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "next"));
    char *cursor = next != NULL ? strdup(next) : NULL;
    cJSON_Delete(doc);
    free(after);
    return cursor;
}

static int newest_version(struct fixture *f, const char *fingerprint) {
    char *text = NULL;
    int version = -1;
    assert_int_equal(
        store_calibration_newest(store_loop_sql(f->store), "rev", fingerprint, &f->err, &text), 0);
    if (text != NULL)
        assert_int_equal(sscanf(text, "{\"version\":%d,\"a\":0.1}", &version), 1);
    free(text);
    return version;
}

/* One that was asked for by itself has had its id since then: others are stored meanwhile. */
static void test_the_newest_is_the_one_that_was_stored_last(void **state) {
    struct fixture *f = *state;
    cJSON *profile;
    store(f, "cal_c.one", 1);
    store(f, "cal_b.one", 2);
    store(f, "cal_d.other", 3);
    store(f, "cal_a.one", 4);
    assert_null(
        assert_listed(f, f->profile, NULL, 4, "cal_a.one cal_d.other cal_b.one cal_c.one "));
    char *next = assert_listed(f, f->profile, NULL, 2, "cal_a.one cal_d.other ");
    assert_null(assert_listed(f, f->profile, next, 2, "cal_b.one cal_c.one "));
    assert_int_equal(newest_version(f, "one"), 4);
    assert_int_equal(newest_version(f, "other"), 3);
    assert_int_equal(newest_version(f, "none"), -1);
    assert_int_equal(store_profile_get(store_loop_sql(f->store), f->profile, &f->err, &profile), 0);
    const cJSON *shown = cJSON_GetObjectItem(profile, "calibration");
    assert_non_null(strstr(shown->valuestring, "\"id\":\"cal_a.one\"")); /* raw */
    cJSON_Delete(profile);
}

/* How often statements on calibrations sorted or walked through the table so far. */
static int without_index(struct fixture *f) {
    sqlite3_stmt *stmt = NULL;
    int n = 0, statements = 0;
    while ((stmt = sqlite3_next_stmt(sql_handle(store_loop_sql(f->store)), stmt)) != NULL)
        if (strstr(sqlite3_sql(stmt), "FROM calibrations") != NULL && ++statements > 0)
            n += sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_SORT, 0) +
                 sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0);
    assert_true(statements > 0);
    return n;
}

static void test_a_page_goes_on_where_one_ended_that_is_gone(void **state) {
    struct fixture *f = *state;
    const char *const ids[] = {"cal_a.one", "cal_b.one", "cal_c.one", "cal_d.one", "cal_e.one"};
    for (int i = 0; i < 5; i++) {
        store(f, ids[i], i);
        fleet_change(f, "UPDATE calibrations SET created_us = 7 WHERE id = ?1", ids[i]);
    }
    char *own = assert_listed(f, f->profile, NULL, 2, "cal_e.one cal_d.one ");
    char *all = assert_listed(f, NULL, NULL, 2, "cal_e.one cal_d.one ");
    fleet_change(f, "DELETE FROM calibrations WHERE id = ?1", "cal_d.one");
    own = assert_listed(f, f->profile, own, 2, "cal_c.one cal_b.one ");
    all = assert_listed(f, NULL, all, 2, "cal_c.one cal_b.one ");
    assert_null(assert_listed(f, f->profile, own, 2, "cal_a.one "));
    assert_null(assert_listed(f, NULL, all, 2, "cal_a.one "));
    assert_int_equal(without_index(f), 0);
}

static void test_a_cursor_is_a_time_and_an_id(void **state) {
    char id[ID_MAX], text[3][80];
    id_make("cal_", id);
    snprintf(text[0], sizeof(text[0]), "1764504000000000-%s", id);
    snprintf(text[1], sizeof(text[1]), "-%s", id);
    snprintf(text[2], sizeof(text[2]), "9999999999999999999-%s", id);
    assert_true(store_calibration_is_cursor(text[0]));
    const char *const others[] = {text[1], text[2], id, "", "17", "17-", "17-cal_", "-17-cal_a"};
    for (int i = 0; i < (int)(sizeof(others) / sizeof(others[0])); i++)
        assert_false(store_calibration_is_cursor(others[i]));
}

static void add_search(struct fixture *f) {
    fleet_change(f, "INSERT INTO space_documents VALUES ('one', ?1)", "{}");
    fleet_change(f,
                 "INSERT INTO searches (id, name, space, space_fingerprint, state, body, "
                 "created_us) VALUES (?1, 'night', 's', 'one', 'running', '{}', 0)",
                 "se");
}

static int front_version(struct fixture *f, int calibration_version) {
    char text[512];
    snprintf(text, sizeof(text),
             "{\"version\":1,\"stage\":\"final\",\"hypervolume\":1,\"calibration_version\":%d,"
             "\"profile_id\":\"%s\",\"reference_point\":{},\"arch_ids\":[]}",
             calibration_version, f->profile);
    cJSON *body = cJSON_Parse(text);
    struct work op = {.body = body};
    assert_int_equal(fleet_run(f, &op, do_front), 0);
    cJSON_Delete(body);
    return (int)fleet_number(f, "SELECT calibration_version FROM fronts WHERE search = ?1", "se");
}

/* Two jobs count on from the same: the number is given when a calibration is stored. A front shows
 * the number that was given. */
static void test_two_that_were_made_at_once_have_a_version_each(void **state) {
    struct fixture *f = *state;
    store(f, "cal_a.one", 5);
    store(f, "cal_b.one", 5);
    store(f, "cal_c.other", 5);
    assert_int_equal(fleet_number(f, "SELECT version FROM calibrations WHERE id = ?1", "cal_a.one"),
                     5);
    assert_int_equal(fleet_number(f, "SELECT version FROM calibrations WHERE id = ?1", "cal_b.one"),
                     6);
    assert_int_equal(newest_version(f, "one"), 6); /* its document says so too */
    assert_int_equal(newest_version(f, "other"), 5);
    add_search(f);
    struct work op = {.body = told(f, 6)};
    assert_int_equal(fleet_run(f, &op, do_added), 0);
    assert_int_equal(newest_version(f, "one"), 7);
    assert_int_equal(front_version(f, 6), 7);
    assert_int_equal(front_version(f, 4), 4); /* the one that it began with */
}

static void add_fit(struct fixture *f, int version, double a) {
    struct work op = {.body = told_fit(f, version, a)};
    assert_int_equal(fleet_run(f, &op, do_added), 0);
}

static void assert_counts_from(struct fixture *f, const char *versions) {
    struct stored_search search;
    char want[128];
    snprintf(want, sizeof(want), versions[0] != '\0' ? "{\"%s\":%s}" : "{}", f->profile, versions);
    assert_int_equal(store_search_load(store_loop_sql(f->store), "se", &f->err, &search), 0);
    char *text = cJSON_PrintUnformatted(search.calibration_versions);
    assert_string_equal(text, want);
    free(text);
    stored_search_finish(&search);
}

/* It runs from the beginning again, counting on from what there is: of its profile's revision and
 * its space, as the store counts, not of others. */
static void test_a_search_that_is_extended_stores_no_calibration_twice(void **state) {
    struct fixture *f = *state;
    add_search(f);
    assert_counts_from(f, "");
    add_fit(f, 1, 0.1);
    add_fit(f, 2, 0.2);
    store(f, "cal_a.one", 3);
    store(f, "cal_b.two", 50);
    fleet_change(f,
                 "INSERT INTO calibrations (id, profile, profile_revision, version, data, "
                 "created_us, space_fingerprint) SELECT ?1, profile, 'older', 60, data, 0, 'one' "
                 "FROM calibrations WHERE id = 'cal_a.one'",
                 "cal_o");
    assert_counts_from(f, "3");
    add_fit(f, 4, 0.1);
    assert_int_equal(front_version(f, 4), 1);
    add_fit(f, 5, 0.2);
    add_fit(f, 6, 0.3);
    assert_int_equal(front_version(f, 5), 2);
    assert_int_equal(front_version(f, 6), 6);
    assert_int_equal(fleet_number(f, "SELECT count(*) FROM calibrations WHERE search = ?1", "se"),
                     3);
    assert_counts_from(f, "6");
}

/* Of a job that names no space: such are counted together too. */
static void test_one_of_no_known_space_has_a_version_of_its_own(void **state) {
    struct fixture *f = *state;
    const char *const ids[] = {"cal_a", "cal_b"};
    for (int i = 0; i < 2; i++) {
        struct work op = {.a = ids[i], .body = told(f, 5)};
        assert_int_equal(fleet_run(f, &op, do_fitted), 0);
        assert_int_equal(fleet_number(f, "SELECT version FROM calibrations WHERE id = ?1", ids[i]),
                         5 + i);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_start, fleet_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_the_newest_is_the_one_that_was_stored_last),
        TEST(test_a_page_goes_on_where_one_ended_that_is_gone),
        cmocka_unit_test(test_a_cursor_is_a_time_and_an_id),
        TEST(test_two_that_were_made_at_once_have_a_version_each),
        TEST(test_a_search_that_is_extended_stores_no_calibration_twice),
        TEST(test_one_of_no_known_space_has_a_version_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
