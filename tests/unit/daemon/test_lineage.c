/* Where networks of a search came from, as its candidates tell; the closest ones where they do not.
 */
#include "fixture.h"

#include "daemon/store_lineage.h"
#include "daemon/store_searches.h"

struct told {
    const char *strategy;
    int generation;
    const char *arch_id, *arch, *origin, *parents[2];
};
/* a, b -> c; c, d -> e; e -> f; b, f -> g; the baseline's h comes from a. */
static const struct told bred[] = {
    {"nsga2", 0, "a", "r16 | d1 c16 k3e4 | d1 c32 k3e2", "seeded", {NULL, NULL}},
    {"nsga2", 1, "b", "r20 | d2 c16 k5e4 k3e4 | d1 c32 k3e2", "sampled", {NULL, NULL}},
    {"nsga2", 1, "d", "r24 | d1 c24 k3e4 | d1 c32 k3e2", "sampled", {NULL, NULL}},
    {"nsga2", 2, "c", "r20 | d1 c16 k3e4 | d1 c32 k5e2", "crossed", {"b", "a"}},
    {"nsga2", 3, "e", "r20 | d1 c24 k3e4 | d1 c32 k5e2", "crossed", {"d", "c"}},
    {"nsga2", 4, "f", "r20 | d1 c24 k5e2 | d1 c32 k5e2", "mutated", {"e", NULL}},
    {"nsga2", 5, "g", "r20 | d2 c24 k5e2 k3e4 | d1 c32 k5e2", "crossed", {"b", "f"}},
    {"aging", 1, "h", "r16 | d1 c16 k3e4 | d1 c32 k7e2", "mutated", {"a", NULL}},
    {"aging", 2, "i", "r16 | d1 c24 k3e4 | d1 c32 k7e2", "crossed", {"gone", "h"}},
};
enum { N_BRED = sizeof(bred) / sizeof(bred[0]) };

static cJSON *item_of(const struct told *t) {
    cJSON *item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "arch_id", t->arch_id);
    cJSON_AddStringToObject(item, "arch", t->arch);
    cJSON_AddTrueToObject(item, "feasible");
    cJSON_AddObjectToObject(item, "metrics");
    if (t->origin == NULL)
        return item;
    cJSON_AddStringToObject(item, "origin", t->origin);
    cJSON *parents = cJSON_AddArrayToObject(item, "parents");
    for (int i = 0; i < 2 && t->parents[i] != NULL; i++)
        cJSON_AddItemToArray(parents, cJSON_CreateString(t->parents[i]));
    return item;
}

static int add(struct store_tx *tx, const struct told *t, struct err *err) {
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "strategy", t->strategy);
    cJSON_AddNumberToObject(data, "generation", t->generation);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(data, "items"), item_of(t));
    int r = store_candidates_add(tx, "se_1", data, err);
    cJSON_Delete(data);
    return r;
}

static int do_search(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO space_documents (fingerprint, document) VALUES ('f', '{}')", "");
    return r != 0 ? r
                  : sql_run(store_tx_sql(tx), err, NULL,
                            "INSERT INTO searches (id, name, space, space_fingerprint, state, "
                            "body, created_us) VALUES ('se_1', 'one', 's', 'f', 'done', '{}', 1)",
                            "");
}

static int start(void **state) {
    int r = fixture_start(state);
    assert_int_equal(in_tx(*state, do_search, NULL), 0);
    return r;
}

static int do_breed(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    int r = 0;
    for (int i = 0; i < N_BRED && r == 0; i++)
        r = add(tx, &bred[i], err);
    return r;
}

struct asking {
    struct lineage_request request;
    cJSON *doc;
};

static int do_ask(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    struct asking *a = argument;
    return store_lineage(store_tx_sql(tx), &a->request, err, &a->doc);
}

/* Owned. */
static cJSON *ask(struct fixture *f, const char *arch, const char *strategy, int steps,
                  int networks) {
    struct asking a = {.request = {"se_1", arch, strategy, steps, networks}};
    if (in_tx(f, do_ask, &a) != 0)
        fail_msg("%s", f->err.message);
    return a.doc;
}

static void append(char *text, const char *more) {
    strcat(text, more);
}

/* "g<b2,f3 f<e2": each item with its parents and how far these are; "~" in front: the closest; "?"
 * behind the item: no origin; "+" at the end: there is more. */
static void describe(const cJSON *doc, char *text) {
    const cJSON *item, *parent;
    text[0] = '\0';
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(doc, "items")) {
        const char *mark = "<";
        if (text[0] != '\0')
            append(text, " ");
        append(text, cJSON_GetStringValue(cJSON_GetObjectItem(item, "arch_id")));
        if (cJSON_IsNull(cJSON_GetObjectItem(item, "origin")))
            append(text, "?");
        cJSON_ArrayForEach(parent, cJSON_GetObjectItem(item, "parents")) {
            int distance = cJSON_GetObjectItem(parent, "distance")->valueint;
            const char *relation = cJSON_GetStringValue(cJSON_GetObjectItem(parent, "relation"));
            assert_int_equal(distance, cJSON_GetArraySize(cJSON_GetObjectItem(parent, "changes")));
            append(text, mark);
            if (strcmp(relation, "closest") == 0)
                append(text, "~");
            append(text, cJSON_GetStringValue(cJSON_GetObjectItem(parent, "arch_id")));
            snprintf(text + strlen(text), 12, "%d", distance);
            mark = ",";
        }
    }
    if (cJSON_IsTrue(cJSON_GetObjectItem(doc, "more")))
        append(text, " +");
}

static void expect(struct fixture *f, struct lineage_request request, const char *wanted) {
    char text[1024];
    cJSON *doc = ask(f, request.arch, request.strategy, (int)request.steps, (int)request.networks);
    describe(doc, text);
    assert_string_equal(text, wanted);
    cJSON_Delete(doc);
}

static void parents_are_followed_to_the_beginning(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_breed, NULL), 0);
    /* The line first (of each the parent that differs least), then the others. */
    expect(f, (struct lineage_request){NULL, "g", NULL, 12, 64},
           "g<b3,f2 f<e1 e<d2,c1 c<b4,a2 a b d");
    expect(f, (struct lineage_request){NULL, bred[5].arch, "nsga2", 12, 64},
           "f<e1 e<d2,c1 c<b4,a2 a d b");
    expect(f, (struct lineage_request){NULL, "g", NULL, 1, 64}, "g<b3,f2 f<e1 b +");
    expect(f, (struct lineage_request){NULL, "g", NULL, 12, 3}, "g<b3,f2 f<e1 e<d2,c1 +");
    expect(f, (struct lineage_request){NULL, "g", NULL, 12, 1}, "g<b3,f2 +");
    expect(f, (struct lineage_request){NULL, "a", NULL, 12, 64}, "a");
    /* The baseline was told of a, whose row is the main search's; one parent has no row. */
    expect(f, (struct lineage_request){NULL, "i", "aging", 12, 64}, "i<h1 h<a1 a");
}

static void what_changed_is_named(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_breed, NULL), 0);
    cJSON *doc = ask(f, "g", NULL, 1, 64);
    const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItem(doc, "items"), 0);
    const cJSON *parents = cJSON_GetObjectItem(item, "parents");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(doc, "strategy")), "nsga2");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(item, "origin")), "crossed");
    char *text = json_print(cJSON_GetObjectItem(cJSON_GetArrayItem(parents, 1), "changes"));
    assert_string_equal(text, "[{\"gene\":\"stage 1 depth\",\"from\":\"1\",\"to\":\"2\"},"
                              "{\"gene\":\"block 1.2\",\"from\":null,\"to\":\"k3e4\"}]");
    free(text);
    cJSON_Delete(doc);
    cJSON *changes = lineage_changes("r28 | d2 c16 k5e1 k3e4 | d1 c24 k5", "r24 | d1 c8 k5e1");
    text = json_print(changes);
    assert_string_equal(text, "[{\"gene\":\"resolution\",\"from\":\"28\",\"to\":\"24\"},"
                              "{\"gene\":\"stage 1 depth\",\"from\":\"2\",\"to\":\"1\"},"
                              "{\"gene\":\"stage 1 channels\",\"from\":\"16\",\"to\":\"8\"},"
                              "{\"gene\":\"block 1.2\",\"from\":\"k3e4\",\"to\":null},"
                              "{\"gene\":\"stage 2 depth\",\"from\":\"1\",\"to\":null},"
                              "{\"gene\":\"stage 2 channels\",\"from\":\"24\",\"to\":null},"
                              "{\"gene\":\"block 2.1\",\"from\":\"k5\",\"to\":null}]");
    free(text);
    cJSON_Delete(changes);
    assert_int_equal(lineage_distance("r28 | d1 c16 k5e4", "r28  |d1 c16 k5e4 ", 9), 0);
    assert_int_equal(lineage_distance("r28 | d1 c16 k5e4", "r24 | d1 c8 k5e2", 9), 3);
    assert_int_equal(lineage_distance("r28 | d1 c16 k5e4", "r24 | d1 c8 k5e2", 2), 2);
    assert_int_equal(lineage_distance("", "r24", 9), 1);
}

/* Old rows: p to s, of which the newest have origins again. */
static const struct told old[] = {
    {"nsga2", 1, "p", "r16 | d1 c16 k3e4", NULL, {NULL, NULL}},
    {"nsga2", 1, "p2", "r16 | d1 c16 k7e4", NULL, {NULL, NULL}},
    {"random", 1, "x", "r16 | d1 c24 k5e4", "sampled", {NULL, NULL}},
    {"nsga2", 2, "q", "r16 | d1 c16 k5e4", NULL, {NULL, NULL}},
    {"nsga2", 2, "q2", "r20 | d1 c24 k7e2", NULL, {NULL, NULL}},
    {"nsga2", 3, "s", "r16 | d1 c24 k5e4", NULL, {NULL, NULL}},
    {"nsga2", 4, "t", "r16 | d1 c24 k5e2", "crossed", {"q2", "s"}},
};

static int do_old(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    int r = 0;
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]) && r == 0; i++)
        r = add(tx, &old[i], err);
    return r;
}

static void where_no_parents_are_known_the_closest_stand(void **state) {
    struct fixture *f = *state;
    assert_int_equal(in_tx(f, do_old, NULL), 0);
    /* Of p and p2 the older change; x, which is equal, is another strategy's. */
    expect(f, (struct lineage_request){NULL, "s", "nsga2", 12, 64}, "s?<~q1 q?<~p1 p?");
    expect(f, (struct lineage_request){NULL, "s", "nsga2", 1, 64}, "s?<~q1 q? +");
    expect(f, (struct lineage_request){NULL, "s", "nsga2", 12, 2}, "s?<~q1 q? +");
    /* Behind a true parent the line goes on by the closest; aside of it nothing is looked for. */
    expect(f, (struct lineage_request){NULL, "t", NULL, 12, 64}, "t<q22,s1 s?<~q1 q?<~p1 p? q2? +");
    expect(f, (struct lineage_request){NULL, "x", NULL, 12, 64}, "x");
}

static int do_bad(struct store_tx *tx, struct fixture *f, void *argument, struct err *err) {
    cJSON *data = cJSON_Parse(argument);
    int r = store_candidates_add(tx, "se_1", data, err);
    cJSON_Delete(data);
    return r;
}

static void wrong_requests_and_origins_are_refused(void **state) {
    struct fixture *f = *state;
    static char numbered[] = "{\"strategy\":\"s\",\"generation\":1,\"items\":[{\"arch_id\":\"z\","
                             "\"arch\":\"r16\",\"feasible\":true,\"metrics\":{},\"origin\":"
                             "\"crossed\",\"parents\":[1]}]}";
    static char three[] = "{\"strategy\":\"s\",\"generation\":1,\"items\":[{\"arch_id\":\"z\","
                          "\"arch\":\"r16\",\"feasible\":true,\"metrics\":{},\"origin\":"
                          "\"crossed\",\"parents\":[\"a\",\"b\",\"c\"]}]}";
    assert_int_equal(in_tx(f, do_breed, NULL), 0);
    struct asking a = {.request = {"se_1", "nobody", NULL, 12, 64}};
    assert_int_equal(in_tx(f, do_ask, &a), ESP_ENOTFOUND);
    assert_non_null(strstr(f->err.message, "not looked at the network \"nobody\""));
    a.request.arch = "g";
    a.request.strategy = "aging";
    assert_int_equal(in_tx(f, do_ask, &a), ESP_ENOTFOUND);
    assert_int_equal(in_tx(f, do_bad, numbered), ESP_EINVAL);
    assert_int_equal(in_tx(f, do_bad, three), ESP_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parents_are_followed_to_the_beginning, start, fixture_stop),
        cmocka_unit_test_setup_teardown(what_changed_is_named, start, fixture_stop),
        cmocka_unit_test_setup_teardown(where_no_parents_are_known_the_closest_stand, start,
                                        fixture_stop),
        cmocka_unit_test_setup_teardown(wrong_requests_and_origins_are_refused, start,
                                        fixture_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
