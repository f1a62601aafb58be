/* Uploads on the disk: limits, two clients at once, counting anew after a restart. */
#include "daemon/uploads.h"

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

enum { PIECES = 200, PIECE = 100 };

struct bed {
    struct daemon daemon;
    struct uploads *uploads;
    char id[ID_MAX];
};

static int setup(void **state) {
    struct bed *bed = calloc(1, sizeof(*bed));
    struct err err = {0};
    snprintf(bed->daemon.data_dir, sizeof(bed->daemon.data_dir), "/tmp/espalier-uploads-XXXXXX");
    assert_non_null(mkdtemp(bed->daemon.data_dir));
    bed->daemon.upload_bytes = 100000;
    assert_int_equal(uploads_create(&bed->daemon, &err, &bed->uploads), 0);
    assert_int_equal(upload_begin(bed->uploads, &err, bed->id), 0);
    *state = bed;
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    return remove(path);
}

static int teardown(void **state) {
    struct bed *bed = *state;
    uploads_destroy(bed->uploads);
    nftw(bed->daemon.data_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(bed);
    return 0;
}

static int append(struct bed *bed, const char *path, int64_t offset, size_t len) {
    char data[PIECE * 1000];
    struct err err = {0};
    memset(data, 'x', len);
    int rc = upload_append(bed->uploads, bed->id, path, offset, data, len, &err);
    assert_true(rc == 0 || (err.code == rc && err.message[0]));
    return rc;
}

static struct upload_state look(struct bed *bed) {
    struct upload_state state;
    struct err err = {0};
    assert_int_equal(upload_look(bed->uploads, bed->id, &err, &state), 0);
    return state;
}

static void limits_hold(void **state) {
    struct bed *bed = *state;
    assert_int_equal(append(bed, "a", 0, 60000), 0);
    assert_int_equal(append(bed, "b", 0, 40001), ESP_ELIMIT);
    assert_int_equal(append(bed, "b", 0, 40000), 0);
    assert_int_equal(append(bed, "b", 40000, 1), ESP_ELIMIT);
    assert_int_equal(append(bed, "a", 0, 60000), 0); /* sent again: its answer was lost */
    assert_int_equal(append(bed, "a", 0, 60001), ESP_ELIMIT);
    assert_int_equal(look(bed).bytes, 100000);
    assert_int_equal(append(bed, "a", 0, 0), 0); /* begun anew: its bytes are free again */
    assert_int_equal(append(bed, "b", 40000, 60000), 0);
    assert_int_equal(look(bed).bytes, 100000);
    assert_int_equal(look(bed).files, 2);
}

/* More uploads than are remembered, and a new process. */
static void numbers_are_counted_anew(void **state) {
    struct bed *bed = *state;
    struct err err = {0};
    char other[ID_MAX], path[PATH_SIZE];
    assert_int_equal(append(bed, "x/y/z", 0, 123), 0);
    assert_int_equal(append(bed, "x/w", 0, 77), 0);
    for (int i = 0; i < 2 * UPLOADS_REMEMBERED; i++) {
        struct upload_state empty;
        assert_int_equal(upload_begin(bed->uploads, &err, other), 0);
        assert_int_equal(upload_look(bed->uploads, other, &err, &empty), 0);
        assert_int_equal(empty.files, 0);
        assert_int_equal(upload_path(bed->uploads, other, &err, path), ESP_EINVAL);
    }
    assert_int_equal(look(bed).bytes, 200);
    uploads_destroy(bed->uploads);
    assert_int_equal(uploads_create(&bed->daemon, &err, &bed->uploads), 0);
    assert_int_equal(look(bed).bytes, 200);
    assert_int_equal(look(bed).files, 2);
    assert_int_equal(append(bed, "x/w", 77, 3), 0);
    assert_int_equal(look(bed).bytes, 203);
    assert_int_equal(upload_path(bed->uploads, bed->id, &err, path), 0);
    assert_true(strstr(path, bed->id) != NULL);
}

/* Somebody with a shell on the daemon's machine puts a link there: it is not followed. */
static void links_are_not_followed(void **state) {
    struct bed *bed = *state;
    char path[PATH_SIZE + 100], target[PATH_SIZE + 100];
    snprintf(target, sizeof(target), "%s/outside", bed->daemon.data_dir);
    assert_int_equal(mkdir(target, 0700), 0);
    snprintf(path, sizeof(path), "%s/uploads/%s/link", bed->daemon.data_dir, bed->id);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(append(bed, "link/file", 0, 1), ESP_ECONFLICT);
    assert_true(append(bed, "link", 0, 1) < 0);
    assert_int_equal(rmdir(target), 0); /* it is empty */
}

struct sender {
    struct bed *bed;
    const char *path;
};

static void *send_all(void *context) {
    struct sender *sender = context;
    for (int i = 0; i < PIECES; i++)
        if (append(sender->bed, sender->path, i * PIECE, PIECE) != 0)
            return sender;
    return NULL;
}

static void two_clients_at_once(void **state) {
    struct bed *bed = *state;
    struct sender senders[2] = {{bed, "one/file"}, {bed, "two/file"}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(look(bed).bytes, 2 * PIECES * PIECE);
    assert_int_equal(look(bed).files, 2);
}

static void the_floor_of_free_disk_holds(void **state) {
    struct bed *bed = *state;
    struct err err = {0};
    char id[ID_MAX];
    assert_int_equal(append(bed, "a/b", 0, 10), 0);
    bed->daemon.disk_floor_bytes = INT64_C(1) << 60;
    assert_int_equal(append(bed, "a/b", 10, 10), ESP_ENOSPACE);
    assert_int_equal(upload_begin(bed->uploads, &err, id), ESP_ENOSPACE);
    assert_non_null(strstr(err.message, "--disk-floor"));
    bed->daemon.disk_floor_bytes = 1;
    assert_int_equal(append(bed, "a/b", 10, 10), 0);
}

static void what_is_removed_is_gone(void **state) {
    struct bed *bed = *state;
    struct err err = {0};
    assert_int_equal(append(bed, "a/b", 0, 10), 0);
    assert_int_equal(upload_remove(bed->uploads, bed->id, &err), 0);
    assert_int_equal(append(bed, "a/b", 10, 10), ESP_ENOTFOUND);
    assert_int_equal(upload_remove(bed->uploads, bed->id, &err), ESP_ENOTFOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(limits_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_are_counted_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(links_are_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(two_clients_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_floor_of_free_disk_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_removed_is_gone, setup, teardown),
    };
    return cmocka_run_group_tests_name("daemon-uploads", tests, NULL, NULL);
}
