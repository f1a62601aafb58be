/* Which prices of energy count: given ones, what somebody had fitted, what searches fit. */
#include "fleet_bed.h"

#include "daemon/store_energy.h"

struct version {
    double mac;         /* picojoules of a multiply-and-add */
    int n;              /* networks; 0: they were given */
    const char *search; /* that fitted them; NULL: somebody asked */
};

static cJSON *describe(const struct version *version) {
    const struct energy_fit fit = {.mac_pj = version->mac, .byte_pj = 1, .n = version->n};
    return energy_fit_to_json(&fit);
}

static int do_add(struct store_tx *tx, struct work *op, struct err *err) {
    return store_energy_add(tx, op->a, op->b, op->body, err, op->id);
}

static int do_find(struct store_tx *tx, struct work *op, struct err *err) {
    return store_energy_add_found(tx, op->c, op->body, err);
}

static void add(struct fixture *f, struct version version) {
    char revision[ID_MAX];
    assert_int_equal(store_energy_revision(store_loop_sql(f->store), f->profile, &f->err, revision),
                     0);
    cJSON *data = describe(&version);
    struct work op = {.a = f->profile, .b = revision, .c = version.search, .body = data};
    if (version.search != NULL) {
        cJSON_AddStringToObject(data, "profile_id", f->profile);
        cJSON_AddStringToObject(data, "profile_revision", revision);
    }
    assert_int_equal(fleet_run(f, &op, version.search != NULL ? do_find : do_add), 0);
    cJSON_Delete(data);
}

static void assert_counts(struct fixture *f, double mac) {
    struct energy_fit fit = {.mac_pj = -1};
    cJSON *doc;
    assert_int_equal(
        store_energy_in_force(store_loop_sql(f->store), f->profile, &f->err, &doc, &fit), 0);
    assert_true(fit.mac_pj == mac);
    cJSON_Delete(doc);
}

static int64_t rows_of(struct fixture *f) {
    return fleet_number(f, "SELECT count(*) FROM energy_prices WHERE profile = ?1", f->profile);
}

static void test_given_prices_stand_until_somebody_asks(void **state) {
    struct fixture *f = *state;
    assert_counts(f, -1);
    add(f, (struct version){.mac = 1, .n = 5});
    assert_counts(f, 1);
    add(f, (struct version){.mac = 2, .n = 6, .search = "se_1"});
    assert_counts(f, 2);
    add(f, (struct version){.mac = 3});
    assert_counts(f, 3);
    for (int i = 0; i < 30; i++) { /* more than are kept */
        add(f, (struct version){.mac = 100 + i, .n = 7, .search = "se_2"});
        assert_counts(f, 3);
    }
    assert_int_equal(rows_of(f), 21);
    add(f, (struct version){.mac = 4});
    assert_counts(f, 4);
    add(f, (struct version){.mac = 5, .n = 8});
    assert_counts(f, 5);
    add(f, (struct version){.mac = 6, .n = 9, .search = "se_3"});
    assert_counts(f, 6);
    assert_int_equal(rows_of(f), 20);
}

/* Those of before cannot be, and say nothing of now. */
static void test_given_prices_are_of_a_revision(void **state) {
    struct fixture *f = *state;
    add(f, (struct version){.mac = 3});
    fleet_change(f, "UPDATE profiles SET revision = 'other' WHERE id = ?1", f->profile);
    assert_counts(f, -1);
    add(f, (struct version){.mac = 4, .n = 5, .search = "se_1"});
    assert_counts(f, 4);
}

/* As a search does that goes through what it did, and a person who is not sure. */
static void test_prices_that_are_told_again_are_the_same(void **state) {
    struct fixture *f = *state;
    for (int round = 0; round < 2; round++) {
        add(f, (struct version){.mac = 1, .n = 5, .search = "se_1"});
        add(f, (struct version){.mac = 2, .n = 6, .search = "se_1"});
        assert_counts(f, 2);
        assert_int_equal(rows_of(f), 2);
    }
    add(f, (struct version){.mac = 1, .n = 5, .search = "se_2"}); /* another's are its own */
    assert_int_equal(rows_of(f), 3);
    for (int round = 0; round < 2; round++) {
        add(f, (struct version){.mac = 3});
        add(f, (struct version){.mac = 4, .n = 7, .search = "se_2"});
        assert_counts(f, 3);
        assert_int_equal(rows_of(f), 5);
    }
    add(f, (struct version){.mac = 1, .n = 5});
    assert_counts(f, 1);
}

static void test_given_prices_of_revisions_that_are_over_go_in_their_turn(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 30; i++) {
        fleet_change(f, "UPDATE profiles SET revision = hex(randomblob(8)) WHERE id = ?1",
                     f->profile);
        add(f, (struct version){.mac = 3});
    }
    assert_int_equal(rows_of(f), 20);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fleet_start, fleet_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_given_prices_stand_until_somebody_asks),
        TEST(test_given_prices_are_of_a_revision),
        TEST(test_prices_that_are_told_again_are_the_same),
        TEST(test_given_prices_of_revisions_that_are_over_go_in_their_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
