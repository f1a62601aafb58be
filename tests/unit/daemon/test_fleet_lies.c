/* Results that cannot be true: kept apart, told why, and the board's health follows. */
#include "fleet_bed.h"

#define DOUBTED "SELECT count(*) FROM results WHERE measurement = ?1 AND doubt IS NOT NULL"
#define COUNTED "SELECT count(*) FROM results WHERE measurement = ?1 AND counted = 1"

static cJSON *device_of(struct fixture *f) {
    cJSON *doc = NULL;
    assert_int_equal(store_device_get(store_loop_sql(f->store), f->device, &f->err, &doc), 0);
    return doc;
}

static void assert_health(struct fixture *f, const char *health, const char *doubt) {
    cJSON *doc = device_of(f);
    const cJSON *told = cJSON_GetObjectItem(doc, "doubt");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "health")), health);
    if (doubt == NULL)
        assert_true(cJSON_IsNull(told));
    else
        assert_non_null(strstr(told->valuestring, doubt)); /* JSON as the store keeps it */
    cJSON_Delete(doc);
}

static void set_number(cJSON *body, const char *key, double value) {
    cJSON_DeleteItemFromObject(body, key);
    cJSON_AddNumberToObject(body, key, value);
}

static void lie_no_variance(cJSON *body) {
    double equal[20];
    for (int i = 0; i < 20; i++)
        equal[i] = 1000;
    cJSON_ReplaceItemInObject(body, "samples_us", cJSON_CreateDoubleArray(equal, 20));
}

static void lie_roofline(cJSON *body) {
    set_number(body, "low_us", 0.5);
    set_number(body, "median_us", 0.5);
}

static void lie_outputs(cJSON *body) {
    set_number(body, "output_error", 0.2);
}

static void lie_fingerprint(cJSON *body) {
    cJSON_AddStringToObject(body, "fingerprint", "env-of-another");
}

static void lie_reference(cJSON *body) {
    cJSON *reference = cJSON_GetObjectItem(body, "reference");
    set_number(reference, "before_us", 2);
    set_number(reference, "after_us", 2);
}

/* One attempt that lies; the answer's status. */
static int attempt(struct fixture *f, const char *measurement, int number, void (*lie)(cJSON *)) {
    char lease[ID_MAX];
    assert_int_equal(fleet_grant(f, 8, lease), 1);
    assert_int_equal(fleet_ack(f, lease), 0);
    cJSON *body = fleet_result_body(lease, measurement, number, "ok");
    if (lie != NULL)
        lie(body);
    int status = fleet_send_result(f, body);
    /* Once more: what it was answered stays. */
    assert_int_equal(fleet_send_result(f, body), 200);
    cJSON_Delete(body);
    assert_int_equal(fleet_number(f, "SELECT state = 'closed' FROM leases WHERE id = ?1", lease),
                     1);
    return status;
}

static void test_every_lie_is_kept_apart(void **state) {
    static const struct {
        void (*lie)(cJSON *body);
        const char *doubt;
    } rows[] = {{lie_no_variance, "no_variance"},
                {lie_roofline, "below_roofline"},
                {lie_outputs, "wrong_outputs"},
                {lie_fingerprint, "other_fingerprint"},
                {lie_reference, "below_reference"}};
    struct fixture *f = *state;
    char id[ID_MAX];
    assert_int_equal(fleet_ask(f, "g0", "brief/2", id), 0);
    assert_int_equal(attempt(f, id, 1, NULL), 201); /* shows how long the reference network takes */
    fleet_assert_state(f, id, "accepted");
    for (int i = 0; i < 5; i++) {
        char graph[16];
        snprintf(graph, sizeof(graph), "lie%d", i);
        assert_int_equal(fleet_ask(f, graph, "brief/2", id), 0);
        assert_int_equal(attempt(f, id, 1, rows[i].lie), 201);
        fleet_assert_state(f, id, "queued"); /* to be tried again */
        assert_int_equal(fleet_number(f, DOUBTED, id), 1);
        assert_int_equal(fleet_number(f, COUNTED, id), 0);
        assert_health(f, "suspect", rows[i].doubt);
        assert_int_equal(attempt(f, id, 2, NULL), 201); /* an honest one counts */
        fleet_assert_state(f, id, "accepted");
        assert_int_equal(fleet_number(f, COUNTED, id), 1);
        fleet_change(f, "UPDATE devices SET health = 'good', health_counts = '{}' WHERE id = ?1",
                     f->device);
    }
}

static void test_who_lies_on_is_quarantined(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], lease[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(attempt(f, id, i, lie_roofline), 201);
        assert_health(f, i < 3 ? "suspect" : "quarantined", "below_roofline");
    }
    fleet_assert_state(f, id, "failed");
    assert_int_equal(fleet_number(f,
                                  "SELECT json_extract(error, '$.code') = 'implausible' FROM "
                                  "measurements WHERE id = ?1",
                                  id),
                     1);
    assert_int_equal(fleet_number(f, DOUBTED, id), 3);
    assert_int_equal(fleet_ask(f, "g2", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, lease), 0);
}

static int do_release(struct store_tx *tx, struct work *op, struct err *err) {
    const struct device_patch patch = {.state = "active"};
    return store_device_patch(tx, op->a, &patch, err);
}

/* A board that has become faster after all: a person lets its past be forgotten. */
static void test_a_person_believes(void **state) {
    struct fixture *f = *state;
    struct work op = {.a = f->device};
    char id[ID_MAX];
    assert_int_equal(fleet_ask(f, "g0", "brief/2", id), 0);
    assert_int_equal(attempt(f, id, 1, NULL), 201);
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(attempt(f, id, i, lie_reference), 201);
    assert_health(f, "quarantined", "below_reference");
    assert_int_equal(fleet_run(f, &op, do_release), 0);
    assert_health(f, "probation", NULL);
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(attempt(f, id, 1, lie_reference), 201);
    fleet_assert_state(f, id, "accepted");
    assert_health(f, "probation", NULL);
}

/* A late lie is one, but its measurement has been given to another attempt. */
static void test_late_lies(void **state) {
    struct fixture *f = *state;
    char id[ID_MAX], first[ID_MAX], second[ID_MAX];
    assert_int_equal(fleet_ask(f, "g1", "brief/2", id), 0);
    assert_int_equal(fleet_grant(f, 8, first), 1);
    assert_int_equal(fleet_ack(f, first), 0);
    fleet_expire(f, first);
    assert_int_equal(fleet_grant(f, 8, second), 1);
    assert_int_equal(fleet_ack(f, second), 0);
    cJSON *body = fleet_result_body(first, id, 1, "ok");
    lie_roofline(body);
    assert_int_equal(fleet_send_result(f, body), 200);
    cJSON_Delete(body);
    fleet_assert_state(f, id, "running");
    assert_health(f, "suspect", "below_roofline");
    assert_int_equal(fleet_send_new(f, second, id, 2, "ok"), 201);
    fleet_assert_state(f, id, "accepted");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_start, fleet_stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_every_lie_is_kept_apart),
        TEST(test_who_lies_on_is_quarantined),
        TEST(test_a_person_believes),
        TEST(test_late_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
