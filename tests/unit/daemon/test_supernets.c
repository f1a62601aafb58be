/* The space of a supernet is the one that it was made from, whatever else has its fingerprint. */
#include "fixture.h"

#include "daemon/store_supernets.h"
#include "space/space.h"

/* A built-in space as its document, described in other words; owned. */
static char *described(const char *words, char ret_fingerprint[HASH_TEXT]) {
    struct space *space = NULL;
    struct err err = {0};
    assert_int_equal(space_builtin("peer_28", &err, &space), 0);
    snprintf(ret_fingerprint, HASH_TEXT, "%s", space->fingerprint);
    char *text = space_print(space);
    cJSON *doc = cJSON_Parse(text);
    free(text);
    space_destroy(space);
    cJSON_DeleteItemFromObject(doc, "description");
    cJSON_AddStringToObject(doc, "description", words);
    text = json_print(doc);
    cJSON_Delete(doc);
    return text;
}

struct making {
    struct supernet_request request;
    char id[ID_MAX];
};

static int do_make(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct making *making = argument;
    cJSON *train = cJSON_CreateObject();
    making->request.train = train;
    int r = store_space_document_put(
        tx, making->request.space_fingerprint,
        making->request.document != NULL ? making->request.document : "{}", err);
    if (r == 0)
        r = store_supernet_create(tx, &making->request, err, making->id);
    cJSON_Delete(train);
    return r;
}

/* Its id goes to ret_id. */
static void make(struct fixture *f, const char *name, const char *fingerprint, const char *document,
                 char ret_id[ID_MAX]) {
    struct making making = {.request = {.name = name,
                                        .space = name,
                                        .space_fingerprint = fingerprint,
                                        .document = document,
                                        .state = "importing"}};
    if (in_tx(f, do_make, &making) != 0)
        fail_msg("%s", f->err.message);
    strcpy(ret_id, making.id);
}

/* "NAME: DESCRIPTION" of its space. */
static const char *space_of(struct fixture *f, const char *id) {
    static char said[128];
    char *text = NULL;
    assert_int_equal(store_supernet_space(store_loop_sql(f->store), id, &f->err, &text), 0);
    cJSON *doc = cJSON_Parse(text);
    snprintf(said, sizeof(said), "%s: %s", cJSON_GetStringValue(cJSON_GetObjectItem(doc, "name")),
             cJSON_GetStringValue(cJSON_GetObjectItem(doc, "description")));
    cJSON_Delete(doc);
    free(text);
    return said;
}

static int do_forget(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    return sql_run(store_tx_sql(tx), err, NULL,
                   "UPDATE supernets SET document = NULL WHERE id = ?1", "t", argument);
}

static void test_each_keeps_its_own(void **state) {
    struct fixture *f = *state;
    char fingerprint[HASH_TEXT], first[ID_MAX], second[ID_MAX];
    char *a = described("the first", fingerprint), *b = described("the second", fingerprint);
    make(f, "first", fingerprint, a, first);
    make(f, "second", fingerprint, b, second);
    assert_string_equal(space_of(f, first), "peer_28: the first");
    assert_string_equal(space_of(f, second), "peer_28: the second");
    /* One from before they were kept. */
    assert_int_equal(in_tx(f, do_forget, second), 0);
    assert_string_equal(space_of(f, second), "second: the first");
    free(a);
    free(b);
}

struct import {
    const char *id;
    const cJSON *data;
};

static int do_imported(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    const struct import *import = argument;
    return store_supernet_imported(tx, import->id, import->data, err);
}

/* An import is told its space by its job, which has seen the weights' classes. */
static void test_an_import_keeps_what_its_job_told(void **state) {
    struct fixture *f = *state;
    char fingerprint[HASH_TEXT], first[ID_MAX], imported[ID_MAX];
    char *a = described("the first", fingerprint), *b = described("as imported", fingerprint);
    make(f, "first", fingerprint, a, first);
    make(f, "imported", "of-other-classes", "{\"name\":\"peer_28\"}", imported);
    cJSON *data = cJSON_CreateObject();
    cJSON_AddItemToObject(data, "space", cJSON_Parse(b));
    if (in_tx(f, do_imported, &(struct import){imported, data}) != 0)
        fail_msg("%s", f->err.message);
    assert_string_equal(space_of(f, imported), "peer_28: as imported");
    assert_string_equal(space_of(f, first), "peer_28: the first");
    cJSON_Delete(data);
    free(a);
    free(b);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_each_keeps_its_own),
        TEST(test_an_import_keeps_what_its_job_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
