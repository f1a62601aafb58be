/* What a data folder takes on the disk, by kind. */
#include "daemon/disk_usage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { KIB = 1024 };

static int setup(void **state) {
    char *dir = malloc(64);
    strcpy(dir, "/tmp/espalier-usage-XXXXXX");
    assert_non_null(mkdtemp(dir));
    *state = dir;
    return 0;
}

static int teardown(void **state) {
    struct err err = {0};
    int rc = file_remove_tree(*state, &err);
    free(*state);
    return rc;
}

static void put(const char *dir, const char *folder, const char *name, size_t kib) {
    char path[256];
    struct err err = {0};
    char *data = calloc(kib, KIB);
    memset(data, 'x', kib * KIB);
    snprintf(path, sizeof(path), "%s/%s", dir, folder);
    assert_int_equal(file_make_dirs(path, &err), 0);
    snprintf(path, sizeof(path), "%s/%s/%s", dir, folder, name);
    assert_int_equal(file_write_atomic(path, data, kib * KIB, &err), 0);
    free(data);
}

static void second_name(const char *dir, const char *from, const char *to) {
    char a[256], b[256];
    snprintf(a, sizeof(a), "%s/%s", dir, from);
    snprintf(b, sizeof(b), "%s/%s", dir, to);
    assert_int_equal(link(a, b), 0);
}

/* Blocks are of at most 64 KiB on any usual file system; files here are whole ones. */
static void test_by_kind(void **state) {
    const char *dir = *state;
    double bytes[DISK_KINDS];
    char target[256];
    put(dir, ".", "espalier.db", 64);
    put(dir, "supernets/sn_1/checkpoints", "step-000000001.ckpt", 128);
    put(dir, "supernets/sn_1/evaluations", "a", 64);
    put(dir, "datasets/ds_1", "images.cache", 192);
    put(dir, "uploads/up_1/checkpoints", "a", 256); /* only a supernet has such a folder */
    put(dir, "jobs/job_1", "log", 64);
    second_name(dir, "supernets/sn_1/checkpoints/step-000000001.ckpt", "jobs/job_1/kept.ckpt");
    snprintf(target, sizeof(target), "%s/jobs/link", dir);
    assert_int_equal(symlink("../uploads", target), 0); /* is not followed */
    snprintf(target, sizeof(target), "%s/other", dir);
    assert_int_equal(symlink("uploads", target), 0); /* nor is this: a name that is not ours */
    disk_usage_measure(dir, NULL, bytes);
    assert_float_equal(bytes[DISK_DATABASE], 64 * KIB, 0);
    assert_float_equal(bytes[DISK_CHECKPOINTS], 64 * KIB, 0); /* the half of two names */
    assert_float_equal(bytes[DISK_CACHES], 256 * KIB, 0);
    assert_float_equal(bytes[DISK_UPLOADS], 256 * KIB, 0);
    assert_float_equal(bytes[DISK_JOBS], 128 * KIB, 0);
    assert_float_equal(bytes[DISK_EXPORTS] + bytes[DISK_MODELS] + bytes[DISK_BACKUPS], 0, 0);
    snprintf(target, sizeof(target), "%s/jobs/job_1", dir);
    assert_float_equal(disk_usage_of(target), 128 * KIB, 0);
    snprintf(target, sizeof(target), "%s/jobs/job_2", dir);
    assert_float_equal(disk_usage_of(target), 0, 0);
}

static void test_a_folder_on_another_disk(void **state) {
    const char *dir = *state;
    double bytes[DISK_KINDS];
    char target[256];
    put(dir, "data/uploads", "a", 64);
    put(dir, "elsewhere/ex_1", "a", 128);
    snprintf(target, sizeof(target), "%s/data/exports", dir);
    assert_int_equal(symlink("../elsewhere", target), 0);
    snprintf(target, sizeof(target), "%s/elsewhere/up", dir);
    assert_int_equal(symlink("../data/uploads", target), 0);
    snprintf(target, sizeof(target), "%s/data", dir);
    disk_usage_measure(target, NULL, bytes);
    assert_float_equal(bytes[DISK_EXPORTS], 128 * KIB, 0);
    assert_float_equal(bytes[DISK_UPLOADS], 64 * KIB, 0);
}

static void test_it_can_be_stopped(void **state) {
    double bytes[DISK_KINDS];
    atomic_bool stop = true;
    put(*state, "jobs/job_1", "log", 64);
    disk_usage_measure(*state, &stop, bytes);
    assert_float_equal(bytes[DISK_JOBS], 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_by_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_folder_on_another_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_can_be_stopped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
