#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "daemon/store.h"
#include "daemon/store_backup.h"
#include "daemon/store_sql.h"

struct fixture {
    char dir[64], path[96];
    uv_loop_t loop;
    struct store *store;
    char heard[4096]; /* "id topic data;" of each event, "wake N;" of each wake */
};

static void on_event(void *context, int64_t id, const char *topic, const char *data) {
    struct fixture *f = context;
    size_t len = strlen(f->heard);
    snprintf(f->heard + len, sizeof(f->heard) - len, "%lld %s %s;", (long long)id, topic, data);
}

static void on_wake(void *context, unsigned wake) {
    struct fixture *f = context;
    size_t len = strlen(f->heard);
    snprintf(f->heard + len, sizeof(f->heard) - len, "wake %u;", wake);
}

static void open_store(struct fixture *f) {
    struct err err = {0};
    struct store_listener listener = {on_event, on_wake, f};
    if (store_open(&f->loop, f->path, &listener, &err, &f->store) != 0)
        fail_msg("%s", err.message);
}

static int start(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/espalier-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/db", f->dir);
    uv_loop_init(&f->loop);
    open_store(f);
    *state = f;
    return 0;
}

static int stop(void **state) {
    struct fixture *f = *state;
    store_close(f->store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    int r = uv_loop_close(&f->loop);
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    if (system(command) != 0)
        r = 1;
    free(f);
    return r;
}

struct put {
    struct store_call call;
    const char *name;
    bool fail_after, done;
    int code;
};

static int run_put(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct put *put = (struct put *)call;
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "name", put->name);
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO space_documents (fingerprint, document) VALUES (?1, '{}')", "t",
                    put->name);
    if (r == 0)
        r = store_tx_event(tx, err, "job", data);
    cJSON_Delete(data);
    store_tx_wake(tx, STORE_WAKE_SCHEDULER);
    if (r == 0 && put->fail_after)
        r = err_set(err, ESP_EINVAL, "/name", "not this one");
    return r;
}

static void put_done(struct store_call *call, int code, const struct err *err) {
    struct put *put = (struct put *)call;
    put->done = true;
    put->code = code;
}

static void put_name(struct fixture *f, struct put *put, const char *name, bool fail_after) {
    *put = (struct put){
        .call = {.run = run_put, .done = put_done}, .name = name, .fail_after = fail_after};
    store_write(f->store, &put->call);
}

static void wait_for(struct fixture *f, const bool *flag) {
    for (int i = 0; i < 5000 && !*flag; i++)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_true(*flag);
}

static int64_t count(struct fixture *f, const char *literal) {
    struct err err = {0};
    int64_t n = -1;
    assert_int_equal(sql_get_int(store_loop_sql(f->store), &err, &n, NULL, literal, ""), 0);
    return n;
}

#define DOCUMENTS "SELECT count(*) FROM space_documents"

static void test_commits_then_answers(void **state) {
    struct fixture *f = *state;
    struct put put;
    put_name(f, &put, "one", false);
    wait_for(f, &put.done);
    assert_int_equal(put.code, 0);
    assert_int_equal(count(f, DOCUMENTS), 1);
    assert_string_equal(f->heard, "1 job {\"name\":\"one\"};wake 1;");
}

static void test_a_failing_call_leaves_nothing(void **state) {
    struct fixture *f = *state;
    struct put put[3];
    put_name(f, &put[0], "one", false);
    put_name(f, &put[1], "two", true);
    put_name(f, &put[2], "one", false); /* violates the key */
    wait_for(f, &put[2].done);
    assert_int_equal(put[0].code, 0);
    assert_int_equal(put[1].code, ESP_EINVAL);
    assert_string_equal(put[1].call.err.pointer, "/name");
    assert_int_equal(put[2].code, ESP_ECONFLICT);
    assert_int_equal(count(f, DOCUMENTS), 1);
    assert_int_equal(count(f, "SELECT count(*) FROM events"), 1);
    assert_string_equal(f->heard, "1 job {\"name\":\"one\"};wake 1;");
}

static void test_groups_what_waits(void **state) {
    struct fixture *f = *state;
    enum { N = 3000 };
    static struct put puts[N];
    static char names[N][16];
    uint64_t begin = uv_hrtime();
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        put_name(f, &puts[i], names[i], false);
    }
    wait_for(f, &puts[N - 1].done);
    for (int i = 0; i < N; i++)
        assert_true(puts[i].done && puts[i].code == 0);
    assert_int_equal(count(f, DOCUMENTS), N);
    /* One sync each would take seconds on any disk. */
    assert_true(uv_hrtime() - begin < 20000000000u);
}

struct limit {
    struct store_call call;
    const char *pragma;
    bool done;
};

/* The writer's connection refuses to grow, as on a full disk. */
static int run_limit(struct store_tx *tx, struct store_call *call, struct err *err) {
    return sql_exec(store_tx_sql(tx), err, ((struct limit *)call)->pragma);
}

static void limit_done(struct store_call *call, int code, const struct err *err) {
    ((struct limit *)call)->done = true;
}

static void limit_pages(struct fixture *f, const char *pragma) {
    struct limit limit = {.call = {.run = run_limit, .done = limit_done}, .pragma = pragma};
    store_write(f->store, &limit.call);
    wait_for(f, &limit.done);
}

static void test_a_full_disk_fails_and_recovers(void **state) {
    struct fixture *f = *state;
    enum { N = 2000 };
    static struct put puts[N];
    static char names[N][600];
    int stored = 0, refused = 0;
    limit_pages(f, "PRAGMA max_page_count = 1"); /* as many as there are now */
    for (int i = 0; i < N; i++) {
        memset(names[i], 'x', sizeof(names[i]) - 1);
        snprintf(names[i], 10, "%09d", i);
        names[i][9] = 'x';
        put_name(f, &puts[i], names[i], false);
    }
    wait_for(f, &puts[N - 1].done);
    for (int i = 0; i < N; i++) {
        stored += puts[i].code == 0;
        refused += puts[i].code == ESP_ENOSPACE;
    }
    assert_true(refused > 0);
    assert_int_equal(stored + refused, N);
    assert_int_equal(count(f, DOCUMENTS), stored); /* what was answered is there, and only that */
    limit_pages(f, "PRAGMA max_page_count = 1000000");
    struct put last;
    put_name(f, &last, "last", false);
    wait_for(f, &last.done);
    assert_int_equal(last.code, 0);
}

struct get {
    struct store_read read;
    bool done;
    int64_t n;
};

static int run_get(struct sql *sql, struct store_read *read, struct err *err) {
    return sql_get_int(sql, err, &((struct get *)read)->n, NULL, DOCUMENTS, "");
}

static void get_done(struct store_read *read, int code, const struct err *err) {
    assert_int_equal(code, 0);
    ((struct get *)read)->done = true;
}

static void test_reads_in_the_pool(void **state) {
    struct fixture *f = *state;
    struct put put;
    struct get gets[20];
    put_name(f, &put, "one", false);
    wait_for(f, &put.done);
    for (int i = 0; i < 20; i++) {
        gets[i] = (struct get){.read = {.run = run_get, .done = get_done}};
        store_read(f->store, &gets[i].read);
    }
    for (int i = 0; i < 20; i++) {
        wait_for(f, &gets[i].done);
        assert_int_equal(gets[i].n, 1);
    }
}

enum { SLOW_READS = 5 };
static uv_sem_t may_end;
static _Atomic int n_running;
static _Atomic bool too_many;

struct slow {
    struct store_read read;
    _Atomic bool begun;
    int *n_ended;
};

static int run_slow(struct sql *sql, struct store_read *read, struct err *err) {
    if (++n_running > 2)
        too_many = true;
    ((struct slow *)read)->begun = true;
    uv_sem_wait(&may_end);
    n_running--;
    return 0;
}

static void slow_done(struct store_read *read, int code, const struct err *err) {
    assert_int_equal(code, 0);
    ++*((struct slow *)read)->n_ended;
}

static void begin_slow(struct fixture *f, struct slow slow[SLOW_READS], int *n_ended) {
    uv_sem_init(&may_end, 0);
    n_running = 0;
    too_many = false;
    for (int i = 0; i < SLOW_READS; i++) {
        bool last = i == SLOW_READS - 1;
        slow[i].read = (struct store_read){
            .run = run_slow, .done = slow_done, .slow = last ? STORE_SLOW_FIRST : STORE_SLOW};
        slow[i].begun = false;
        slow[i].n_ended = n_ended;
        store_read(f->store, &slow[i].read);
    }
}

/* Turns the loop until *number is n, for some seconds at most. */
static bool comes_to(struct fixture *f, const int *number, int n) {
    for (int i = 0; i < 5000 && *number < n; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    return *number == n;
}

static void test_slow_reads_leave_threads_to_others(void **state) {
    struct fixture *f = *state;
    struct slow slow[SLOW_READS];
    struct get get = {.read = {.run = run_get, .done = get_done}};
    int n_ended = 0;
    begin_slow(f, slow, &n_ended);
    store_read(f->store, &get.read);
    for (int i = 0; i < 2000 && !get.done; i++) {
        uv_run(&f->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    bool quick = get.done && n_ended == 0;
    for (int i = 0; i < 2000 && !(slow[0].begun && slow[1].begun); i++)
        uv_sleep(1);
    bool two = slow[0].begun && slow[1].begun;
    uv_sem_post(&may_end);
    assert_true(comes_to(f, &n_ended, 1));
    for (int i = 0; i < 2000 && !slow[SLOW_READS - 1].begun; i++)
        uv_sleep(1);
    bool in_order = slow[SLOW_READS - 1].begun && !slow[2].begun && !slow[3].begun;
    for (int i = 1; i < SLOW_READS; i++)
        uv_sem_post(&may_end);
    assert_true(comes_to(f, &n_ended, SLOW_READS));
    uv_sem_destroy(&may_end);
    assert_true(quick);
    assert_true(in_order);
    assert_true(two);
    assert_false(too_many);
}

static void refused_done(struct store_read *read, int code, const struct err *err) {
    ++*((struct slow *)read)->n_ended;
    assert_int_equal(code, ESP_EBUSY);
}

static void test_closing_refuses_slow_reads_that_wait(void **state) {
    struct fixture *f = *state;
    struct slow slow[SLOW_READS];
    int n_ended = 0;
    begin_slow(f, slow, &n_ended);
    for (int i = 2; i < SLOW_READS; i++)
        slow[i].read.done = refused_done;
    store_close(f->store);
    assert_int_equal(n_ended, SLOW_READS - 2);
    uv_sem_post(&may_end);
    uv_sem_post(&may_end);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(n_ended, SLOW_READS);
    uv_sem_destroy(&may_end);
    open_store(f);
}

struct copy {
    struct store_read read;
    struct fixture *f;
    bool done, pinned, free_after;
};

/* What is done after a copy, which may take minutes, holds no snapshot. */
static int run_copy(struct sql *sql, struct store_read *read, struct err *err) {
    struct fixture *f = ((struct copy *)read)->f;
    int64_t schema = 0;
    char path[128];
    snprintf(path, sizeof(path), "%s/copy", f->dir);
    int r = store_backup_pin(sql, err, &schema);
    ((struct copy *)read)->pinned = sqlite3_get_autocommit(sql_handle(sql)) == 0;
    if (r == 0)
        r = store_backup_copy(sql, path, err);
    ((struct copy *)read)->free_after = sqlite3_get_autocommit(sql_handle(sql)) != 0;
    return r;
}

static void copy_done(struct store_read *read, int code, const struct err *err) {
    assert_int_equal(code, 0);
    ((struct copy *)read)->done = true;
}

static void test_a_copy_holds_no_snapshot_afterwards(void **state) {
    struct fixture *f = *state;
    struct copy copy = {.read = {.run = run_copy, .done = copy_done}, .f = f};
    struct get get = {.read = {.run = run_get, .done = get_done}};
    struct put put;
    store_read(f->store, &copy.read);
    wait_for(f, &copy.done);
    assert_true(copy.pinned);
    assert_true(copy.free_after);
    put_name(f, &put, "one", false);
    wait_for(f, &put.done);
    store_read(f->store, &get.read); /* on the same connection */
    wait_for(f, &get.done);
    assert_int_equal(get.n, 1);
}

static int run_bad_read(struct sql *sql, struct store_read *read, struct err *err) {
    return sql_run(sql, err, NULL, "DELETE FROM space_documents", "");
}

static void bad_read_done(struct store_read *read, int code, const struct err *err) {
    assert_int_not_equal(code, 0);
    ((struct get *)read)->done = true;
}

static void test_readers_cannot_write(void **state) {
    struct fixture *f = *state;
    struct get get = {.read = {.run = run_bad_read, .done = bad_read_done}};
    store_read(f->store, &get.read);
    wait_for(f, &get.done);
}

static void test_closing_finishes_what_waits(void **state) {
    struct fixture *f = *state;
    static struct put puts[600];
    static char names[600][16];
    for (int i = 0; i < 600; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        put_name(f, &puts[i], names[i], false);
    }
    store_close(f->store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 600; i++)
        assert_true(puts[i].done && puts[i].code == 0);
    open_store(f);
    assert_int_equal(count(f, DOCUMENTS), 600);
}

static void add_event(void *context, int64_t id, const char *topic, const char *data) {
    int64_t *ids = context;
    ids[++ids[0]] = id;
}

static void test_recent_events(void **state) {
    struct fixture *f = *state;
    struct err err = {0};
    int64_t ids[16] = {0}, floor = -1;
    struct put puts[5];
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    assert_int_equal(store_event_floor(f->store, 3, &err, &floor), 0);
    assert_int_equal(store_recent_events(f->store, floor, &err, add_event, ids), 0);
    assert_int_equal(floor, 0);
    for (int i = 0; i < 5; i++)
        put_name(f, &puts[i], names[i], false);
    wait_for(f, &puts[4].done);
    assert_int_equal(store_event_floor(f->store, 3, &err, &floor), 0);
    assert_int_equal(store_recent_events(f->store, floor, &err, add_event, ids), 0);
    assert_int_equal(floor, 2);
    assert_int_equal(ids[0], 3);
    assert_int_equal(ids[1], 3);
    assert_int_equal(ids[3], 5);
    ids[0] = 0;
    assert_int_equal(store_event_floor(f->store, 10, &err, &floor), 0);
    assert_int_equal(store_recent_events(f->store, floor, &err, add_event, ids), 0);
    assert_int_equal(floor, 0);
    assert_int_equal(ids[0], 5);
}

struct look {
    struct store_read read;
    int64_t n;
    bool done;
};

static int run_look(struct sql *sql, struct store_read *read, struct err *err) {
    return sql_get_int(sql, err, &((struct look *)read)->n, NULL, DOCUMENTS, "");
}

static void look_done(struct store_read *read, int code, const struct err *err) {
    assert_int_equal(code, 0);
    ((struct look *)read)->done = true;
}

static int64_t look_now(struct fixture *f) {
    struct look look = {.read = {.run = run_look, .done = look_done}, .n = -1};
    store_read_now(f->store, &look.read);
    assert_true(look.done);
    return look.n;
}

/* What comes meanwhile is not seen before the next turn, not even by halves. */
static void test_a_turn_reads_one_state(void **state) {
    struct fixture *f = *state;
    struct put put;
    store_turn(f->store, true);
    assert_int_equal(look_now(f), 0);
    put_name(f, &put, "one", false);
    wait_for(f, &put.done);
    assert_int_equal(look_now(f), 0);
    assert_int_equal(count(f, DOCUMENTS), 0);
    store_turn(f->store, false);
    assert_int_equal(look_now(f), 1);
    store_turn(f->store, true); /* nothing is read */
    put_name(f, &put, "two", false);
    wait_for(f, &put.done);
    store_turn(f->store, false);
    assert_int_equal(count(f, DOCUMENTS), 2);
    assert_int_equal(look_now(f), 2);
}

static int run_rows(struct store_tx *tx, struct store_call *call, struct err *err) {
    struct sql *sql = store_tx_sql(tx);
    cJSON *doc = NULL;
    int r = sql_get_row(sql, err, &doc,
                        "SELECT ?1 AS \"at@time\", ?2 AS \"ok@bool\", ?3 AS \"doc@json\", ?4 AS "
                        "name, ?5 AS value, ?6 AS gap",
                        "iittrr", (int64_t)1000000, (int64_t)1, "{\"a\":[1]}", "x\"y", 0.5,
                        __builtin_nan(""));
    if (r != 0)
        return r;
    char *text = cJSON_PrintUnformatted(doc);
    /* No assert here: cmocka's jump must not leave another thread. */
    if (strcmp(text, "{\"at\":\"1970-01-01T00:00:01.000000Z\",\"ok\":true,\"doc\":{\"a\":"
                     "[1]},\"name\":\"x\\\"y\",\"value\":0.5,\"gap\":null}") != 0)
        r = err_set(err, ESP_EMISMATCH, NULL, "%s", text);
    free(text);
    cJSON_Delete(doc);
    return r;
}

static void test_rows_as_json(void **state) {
    struct fixture *f = *state;
    struct put put = {.call = {.run = run_rows, .done = put_done}};
    store_write(f->store, &put.call);
    wait_for(f, &put.done);
    assert_int_equal(put.code, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(test_commits_then_answers),
        TEST(test_a_failing_call_leaves_nothing),
        TEST(test_groups_what_waits),
        TEST(test_reads_in_the_pool),
        TEST(test_slow_reads_leave_threads_to_others),
        TEST(test_closing_refuses_slow_reads_that_wait),
        TEST(test_a_copy_holds_no_snapshot_afterwards),
        TEST(test_readers_cannot_write),
        TEST(test_closing_finishes_what_waits),
        TEST(test_recent_events),
        TEST(test_a_turn_reads_one_state),
        TEST(test_rows_as_json),
        TEST(test_a_full_disk_fails_and_recovers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
