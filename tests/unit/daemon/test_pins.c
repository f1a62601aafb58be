/* Networks that are kept: pinned or exported, of one supernet, and gone with it. */
#include "fixture.h"

#include "daemon/store_datasets.h"
#include "daemon/store_exports.h"
#include "daemon/store_pins.h"
#include "daemon/store_supernets.h"

static int do_supernet(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct dataset_request data = {.name = argument, .path = "/data"};
    struct supernet_request request = {
        .name = argument, .space = "space", .space_fingerprint = "f"};
    char dataset[ID_MAX];
    cJSON *train = cJSON_CreateObject();
    request.train = train;
    int r = store_dataset_create(tx, &data, err, dataset);
    request.dataset = dataset;
    if (r == 0)
        r = store_space_document_put(tx, "f", "{}", err);
    if (r == 0)
        r = store_supernet_create(tx, &request, err, f->id);
    cJSON_Delete(train);
    return r;
}

static int do_pin(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_pin_add(tx, f->id, "r28 | ...", argument, err);
}

static int do_unpin(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_pin_remove(tx, f->id, argument, err);
}

struct question {
    const char *arch_id;
    bool kept;
};

static int do_ask(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct question *question = argument;
    return store_arch_is_kept(store_tx_sql(tx), f->id, question->arch_id, err, &question->kept);
}

static bool is_kept(struct fixture *f, const char *arch_id) {
    struct question question = {.arch_id = arch_id};
    assert_int_equal(in_tx(f, do_ask, &question), 0);
    return question.kept;
}

static int do_count(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return sql_get_int(store_tx_sql(tx), err, argument, NULL, "SELECT count(*) FROM pins", "");
}

static int count(struct fixture *f) {
    int64_t n = -1;
    assert_int_equal(in_tx(f, do_count, &n), 0);
    return (int)n;
}

static int do_export(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_export_create(tx,
                               &(struct export_request){.id = "ex_1",
                                                        .supernet = f->id,
                                                        .arch = "a",
                                                        .arch_id = argument,
                                                        .format = "onnx",
                                                        .path = "exports/ex_1.onnx"},
                               err);
}

static int do_follow(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return store_export_follow(tx, "ex_1", *(const enum job_state *)argument, err);
}

static int do_delete(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    cJSON *users = NULL;
    int r = store_supernet_delete(tx, f->id, err, &users);
    cJSON_Delete(users);
    return r;
}

static int do_fill(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    int r = 0;
    for (int i = 0; i < PINS_MAX && r == 0; i++) {
        char id[16];
        snprintf(id, sizeof(id), "a%d", i);
        r = store_pin_add(tx, f->id, "arch", id, err);
    }
    return r;
}

static void test_pins_may_be_repeated_and_go_with_their_supernet(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_supernet, "one"), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(in_tx(f, do_pin, "a1"), 0);
    assert_int_equal(in_tx(f, do_pin, "a2"), 0);
    assert_int_equal(count(f), 2);
    assert_true(is_kept(f, "a1") && is_kept(f, "a2") && !is_kept(f, "a3"));
    for (int i = 0; i < 2; i++)
        assert_int_equal(in_tx(f, do_unpin, "a1"), 0);
    assert_true(!is_kept(f, "a1") && is_kept(f, "a2"));
    assert_int_equal(in_tx(f, do_delete, NULL), 0);
    assert_int_equal(count(f), 0);
    assert_int_equal(in_tx(f, do_supernet, "two"), 0);
    assert_false(is_kept(f, "a2"));
}

static void test_what_is_exported_is_kept(void **state) {
    struct fixture *f = *state;
    enum job_state failed = JOB_FAILED, done = JOB_DONE;
    assert_int_equal(in_tx(f, do_supernet, "one"), 0);
    assert_int_equal(in_tx(f, do_export, "a1"), 0);
    assert_true(is_kept(f, "a1"));
    assert_int_equal(in_tx(f, do_follow, &failed), 0);
    assert_false(is_kept(f, "a1"));
    assert_int_equal(in_tx(f, do_follow, &done), 0);
    assert_true(is_kept(f, "a1"));
}

static void test_pins_are_bounded(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_supernet, "one"), 0);
    assert_int_equal(in_tx(f, do_fill, NULL), 0);
    assert_int_equal(in_tx(f, do_pin, "a5"), 0);
    assert_int_equal(in_tx(f, do_pin, "one too many"), ESP_ELIMIT);
    assert_int_equal(count(f), PINS_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pins_may_be_repeated_and_go_with_their_supernet,
                                        fixture_start, fixture_stop),
        cmocka_unit_test_setup_teardown(test_what_is_exported_is_kept, fixture_start, fixture_stop),
        cmocka_unit_test_setup_teardown(test_pins_are_bounded, fixture_start, fixture_stop),
    };
    return cmocka_run_group_tests_name("daemon-pins", tests, NULL, NULL);
}
