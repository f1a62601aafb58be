/* A disk that is full, or fails, at every point of what the store writes: what was answered is
 * there for all readers and after a start, what was refused is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store.h"
#include "daemon/store_sql.h"

enum {
    GROUP = 3,             /* calls that are asked for at once */
    DOCUMENT_BYTES = 9000, /* three pages: each tenth group or so is followed by a checkpoint */
    GROUPS = 150,
    GROUPS_LONG = 400, /* with ESP_LONG */
    SOON = 30,         /* operations: more than a group's commit takes */
    LATER = 1300,      /* more than a checkpoint takes */
    NEVER = INT32_MAX
};

/* ---- the disk -------------------------------------------------------------------------------- */

/* From how many operations from now on, and how many times, writing fails. */
static struct {
    atomic_int before, times;
    atomic_int failed;
} fault;

static const sqlite3_io_methods *real; /* of the database */
static sqlite3_io_methods faulty[2];   /* of the database and of its log */
static sqlite3_vfs *real_vfs, vfs;

static void fail_after(int operations, int times) {
    atomic_store(&fault.times, times);
    atomic_store(&fault.before, operations);
}

static bool fails(void) {
    if (atomic_load(&fault.before) == NEVER || atomic_fetch_sub(&fault.before, 1) > 0 ||
        atomic_fetch_sub(&fault.times, 1) <= 0)
        return false;
    atomic_fetch_add(&fault.failed, 1);
    return true;
}

/* What fits is written, as a file system does. */
static int on_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 offset) {
    if (!fails())
        return real->xWrite(file, bytes, n, offset);
    int r = real->xWrite(file, bytes, n / 2, offset);
    return r == SQLITE_OK ? SQLITE_FULL : r;
}

static int on_sync(sqlite3_file *file, int flags) {
    return fails() ? SQLITE_IOERR_FSYNC : SQLITE_OK; /* no power fails here */
}

static int on_truncate(sqlite3_file *file, sqlite3_int64 size) {
    return fails() ? SQLITE_IOERR_TRUNCATE : real->xTruncate(file, size);
}

static int on_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret) {
    return extend && fails() ? SQLITE_IOERR_SHMSIZE : real->xShmMap(file, page, size, extend, ret);
}

static int on_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags,
                   int *ret_flags) {
    int r = real_vfs->xOpen(real_vfs, name, file, flags, ret_flags);
    if (r != SQLITE_OK || (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) == 0)
        return r;
    sqlite3_io_methods *methods = &faulty[(flags & SQLITE_OPEN_WAL) != 0];
    if (methods->xWrite !=
        on_write) { /* the first of its kind, as the store is opened: before any thread reads it */
        real = real != NULL ? real : file->pMethods;
        *methods = *file->pMethods; /* of the log: without locks */
        methods->xSync = on_sync;
        methods->xTruncate = on_truncate;
        if (methods->xShmMap != NULL)
            methods->xShmMap = on_map;
        methods->xWrite = on_write;
    }
    file->pMethods = methods;
    return r;
}

static void install_disk(void) {
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs;
    vfs.zName = "faulty";
    vfs.xOpen = on_open;
    fail_after(NEVER, 0);
    assert_int_equal(sqlite3_vfs_register(&vfs, 1), SQLITE_OK);
}

/* ---- the store ------------------------------------------------------------------------------- */

struct fixture {
    char dir[64], path[96];
    uv_loop_t loop;
    struct store *store;
    int64_t answered;    /* calls that were told to be stored */
    int refused, serial; /* refused: calls */
};

static void open_store(struct fixture *f) {
    struct err err = {0};
    const struct store_listener listener = {.context = f};
    uv_loop_init(&f->loop);
    if (store_open(&f->loop, f->path, &listener, &err, &f->store) != 0)
        fail_msg("%s", err.message);
}

static void close_store(struct fixture *f) {
    store_close(f->store);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
}

static int start(void **state) {
    struct fixture *f = calloc(1, sizeof(*f));
    install_disk();
    strcpy(f->dir, "/tmp/espalier-faults-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/db", f->dir);
    open_store(f);
    *state = f;
    return 0;
}

static int stop(void **state) {
    struct fixture *f = *state;
    char command[128];
    close_store(f);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    int r = system(command) == 0 ? 0 : 1;
    sqlite3_vfs_unregister(&vfs);
    free(f);
    return r;
}

struct put {
    struct store_call call;
    struct fixture *fixture;
    int number;
    bool done;
};

static int run_put(struct store_tx *tx, struct store_call *call, struct err *err) {
    static char document[DOCUMENT_BYTES + 1];
    char name[24];
    memset(document, 'x', DOCUMENT_BYTES);
    snprintf(name, sizeof(name), "name-%d", ((struct put *)call)->number);
    int r = sql_run(store_tx_sql(tx), err, NULL,
                    "INSERT INTO space_documents (fingerprint, document) VALUES (?1, ?2)", "tt",
                    name, document);
    return r != 0 ? r
                  : sql_run(store_tx_sql(tx), err, NULL,
                            "INSERT INTO spaces (name, fingerprint, created_us) VALUES (?1, ?1, 1)",
                            "t", name);
}

static void put_done(struct store_call *call, int code, const struct err *err) {
    struct put *put = (struct put *)call;
    put->done = true;
    put->fixture->answered += code == 0;
    put->fixture->refused += code != 0;
    if (code != 0 && code != ESP_ENOSPACE && code != ESP_EIO)
        fail_msg("refused by %d: %s", code, err->message);
}

static void put_group(struct fixture *f) {
    struct put puts[GROUP];
    for (int i = 0; i < GROUP; i++) {
        puts[i] = (struct put){
            .call = {.run = run_put, .done = put_done}, .fixture = f, .number = f->serial++};
        store_write(f->store, &puts[i].call);
    }
    for (int i = 0; i < GROUP;)
        if (puts[i].done)
            i++;
        else
            uv_run(&f->loop, UV_RUN_ONCE);
}

struct count {
    struct store_read read;
    int64_t n;
    bool done;
};

static int run_count(struct sql *sql, struct store_read *read, struct err *err) {
    return sql_get_int(sql, err, &((struct count *)read)->n, NULL,
                       "SELECT count(*) FROM spaces JOIN space_documents USING (fingerprint)", "");
}

static void count_done(struct store_read *read, int code, const struct err *err) {
    ((struct count *)read)->done = true;
    assert_int_equal(code, 0);
}

static void check_count(struct fixture *f, int group) {
    struct count pool = {.read = {.run = run_count, .done = count_done}}, loop = pool;
    store_read(f->store, &pool.read);
    while (!pool.done)
        uv_run(&f->loop, UV_RUN_ONCE);
    store_read_now(f->store, &loop.read);
    if (pool.n != f->answered || loop.n != f->answered)
        fail_msg("group %d: %lld were answered, the pool sees %lld, the loop %lld", group,
                 (long long)f->answered, (long long)pool.n, (long long)loop.n);
}

/* ---- the tests ------------------------------------------------------------------------------- */

/* Each group meets the fault at another of its operations, or at one of the checkpoint behind it;
 * times: operations that fail then. */
static void put_with_faults(struct fixture *f, int times) {
    atomic_store(&fault.failed, 0);
    f->refused = 0;
    int groups = getenv("ESP_LONG") != NULL ? GROUPS_LONG : GROUPS;
    for (int i = 0; i < groups; i++) {
        fail_after(i % 3 != 0 ? i % SOON : i * 7919 % LATER, times);
        put_group(f);
        check_count(f, i);
        fail_after(NEVER, 0);
        check_count(f, i);
    }
    printf("# %d operations failed, %d of %d calls were refused\n", atomic_load(&fault.failed),
           f->refused, GROUP * groups);
    assert_true(atomic_load(&fault.failed) > groups / 8);
    assert_true(f->refused > groups / 8);
    close_store(f);
    open_store(f);
    check_count(f, groups);
}

static void test_one_operation_fails(void **state) {
    put_with_faults(*state, 1);
}

static void test_stays_full(void **state) {
    put_with_faults(*state, NEVER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_operation_fails, start, stop),
        cmocka_unit_test_setup_teardown(test_stays_full, start, stop)};
    return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
