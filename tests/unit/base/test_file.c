#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

/* Every test runs in a fresh folder, which is its working directory. */
static int enter_folder(void **state) {
    char *folder = strdup("/tmp/espalier-file-XXXXXX");
    *state = mkdtemp(folder);
    return chdir(folder);
}

static int leave_folder(void **state) {
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    free(*state);
    return chdir("/") || system(command);
}

static void assert_content(const char *path, const char *expected) {
    char *data;
    size_t len;
    assert_int_equal(file_read(path, 1 << 20, NULL, &data, &len), 0);
    assert_int_equal(len, strlen(expected));
    assert_string_equal(data, expected);
    free(data);
}

static void whole_files_are_read_up_to_the_limit(void **state) {
    struct err err = {0};
    char *data = NULL;
    size_t len = 99;
    assert_int_equal(file_write_atomic("f", "hello", 5, &err), 0);
    assert_content("f", "hello");
    assert_int_equal(file_read("f", 5, &err, &data, &len), 0);
    free(data);
    data = NULL;
    assert_int_equal(file_read("f", 4, &err, &data, &len), ESP_ELIMIT);
    assert_null(data);
    assert_int_equal(file_read("absent", 4, &err, &data, &len), ESP_ENOTFOUND);
    assert_string_equal(err.message, "cannot open absent: No such file or directory");
    assert_int_equal(file_read(".", 4, &err, &data, &len), ESP_EIO);
    assert_int_equal(file_write_atomic("empty", NULL, 0, &err), 0);
    assert_content("empty", "");
}

/* Files of /proc say they have no bytes. */
static void files_without_a_size_are_read(void **state) {
    char *data;
    size_t len;
    assert_int_equal(file_read("/proc/self/status", 1 << 20, NULL, &data, &len), 0);
    assert_true(len > 100);
    assert_int_equal(strlen(data), len);
    free(data);
    assert_int_equal(file_read("/dev/zero", 100000, NULL, &data, &len), ESP_ELIMIT);
}

/* Opening a pipe that nobody writes to would wait for ever. */
static void what_is_no_regular_file_is_refused_at_once(void **state) {
    static const char *const others[] = {"pipe", ".", "/dev/zero", "link"};
    struct err err = {0};
    char *data = NULL;
    size_t len = 0;
    int fd = -1;
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(symlink("pipe", "link"), 0);
    alarm(20); /* ends the test by a signal where it would hang */
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(file_open_regular(others[i], &err, &fd), ESP_EINVAL);
        assert_non_null(strstr(err.message, "is no regular file"));
        assert_int_equal(file_read_regular(others[i], 10, &err, &data, &len), ESP_EINVAL);
    }
    alarm(0);
    assert_int_equal(fd, -1);
    assert_null(data);
    assert_int_equal(file_read_regular("absent", 10, &err, &data, &len), ESP_ENOTFOUND);
    assert_int_equal(file_write_atomic("f", "hello", 5, &err), 0);
    assert_int_equal(file_read_regular("f", 4, &err, &data, &len), ESP_ELIMIT);
    assert_int_equal(file_read_regular("f", 5, &err, &data, &len), 0);
    assert_string_equal(data, "hello");
    free(data);
}

static void a_writer_puts_many_pieces(void **state) {
    struct file_writer *writer;
    static char block[100000];
    size_t len;
    assert_int_equal(file_writer_open("big", NULL, &writer), 0);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)(i * 7 % 251);
    for (size_t piece = 1; piece <= sizeof(block); piece = piece * 3 + 1)
        assert_int_equal(file_writer_put(writer, block, piece, NULL), 0);
    assert_false(file_exists("big"));
    assert_int_equal(file_writer_commit(writer, NULL), 0);
    char *data;
    assert_int_equal(file_read("big", 1 << 20, NULL, &data, &len), 0);
    size_t at = 0;
    for (size_t piece = 1; piece <= sizeof(block); at += piece, piece = piece * 3 + 1)
        assert_memory_equal(data + at, block, piece);
    assert_int_equal(at, len);
    free(data);
    struct stat st;
    assert_int_equal(stat("big", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void abort_leaves_the_old_file(void **state) {
    struct file_writer *writer;
    assert_int_equal(file_write_atomic("f", "old", 3, NULL), 0);
    assert_int_equal(file_writer_open("f", NULL, &writer), 0);
    assert_int_equal(file_writer_put(writer, "newer", 5, NULL), 0);
    file_writer_abort(writer);
    assert_content("f", "old");
    assert_false(file_exists("f.partial"));
    file_writer_abort(NULL);
}

static void two_writers_of_one_file_are_kept_apart(void **state) {
    struct file_writer *first, *second;
    assert_int_equal(file_writer_open("f", NULL, &first), 0);
    assert_int_equal(file_writer_open("f", NULL, &second), ESP_EBUSY);
    assert_int_equal(file_writer_put(first, "first", 5, NULL), 0);
    assert_int_equal(file_writer_commit(first, NULL), 0);
    assert_int_equal(file_writer_open("f", NULL, &second), 0);
    file_writer_abort(second);
    assert_content("f", "first");
}

/* The child dies in the middle of a write: the old file is whole, and what is left is taken over,
 * not gathered. */
static void a_killed_writer_costs_nothing(void **state) {
    assert_int_equal(file_write_atomic("f", "old", 3, NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        struct file_writer *writer;
        char block[70000] = "x";
        file_writer_open("f", NULL, &writer);
        file_writer_put(writer, block, sizeof(block), NULL);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_content("f", "old");
    assert_true(file_exists("f.partial"));
    assert_int_equal(file_write_atomic("f", "new", 3, NULL), 0);
    assert_content("f", "new");
    assert_false(file_exists("f.partial"));
}

/* Runs in a child, since neither a file-size limit nor a mount is for the other tests. Writes over
 * "f" more than there is room for; 0 when the code is right and the old file is whole. */
static int write_too_much(void) {
    static char block[1 << 20];
    struct err err = {0};
    char *data;
    size_t len;
    if (file_write_atomic("f", "old", 3, &err) < 0)
        return 2;
    memset(block, 'n', sizeof(block));
    if (file_write_atomic("f", block, sizeof(block), &err) != ESP_ENOSPACE)
        return 3;
    if (!strstr(err.message, "cannot write f.partial: "))
        return 4;
    if (file_read("f", 100, &err, &data, &len) < 0)
        return 5;
    int same = len == 3 && memcmp(data, "old", 3) == 0;
    free(data);
    return same && !file_exists("f.partial") ? 0 : 6;
}

static int limit_file_size(void) {
    const struct rlimit limit = {65536, 65536};
    signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &limit);
}

/* Over /dev/shm, in a mount namespace of this process: a mount of its own that can be kept from
 * spreading, also where the root is not one (in a chroot). */
static int mount_small_disk(void) {
    const char *at = "/dev/shm";
    if (unshare(CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) < 0)
        return -1;
    if (mount("none", at, NULL, MS_PRIVATE, NULL) < 0 ||
        mount("small", at, "tmpfs", 0, "size=256k") < 0)
        return -1;
    return chdir(at);
}

static int in_child(int (*prepare)(void)) {
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(prepare() < 0 ? 77 : write_too_much());
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_file_size_limit_counts_as_a_full_disk(void **state) {
    assert_int_equal(in_child(limit_file_size), 0);
}

static void a_full_disk_leaves_the_old_file(void **state) {
    int result = in_child(mount_small_disk);
    if (result == 77)
        skip(); /* not allowed to mount */
    assert_int_equal(result, 0);
}

static void a_failed_put_is_never_committed(void **state) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct file_writer *writer;
        static char block[200000];
        limit_file_size();
        if (file_writer_open("f", NULL, &writer) < 0)
            _exit(1);
        if (file_writer_put(writer, block, sizeof(block), NULL) != ESP_ENOSPACE)
            _exit(2);
        if (file_writer_put(writer, "x", 1, NULL) != ESP_ENOSPACE)
            _exit(3);
        _exit(file_writer_commit(writer, NULL) == ESP_ENOSPACE && !file_exists("f") ? 0 : 4);
    }
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void folders_are_made_and_errors_named(void **state) {
    struct err err = {0};
    struct file_writer *writer;
    struct stat st;
    assert_int_equal(file_make_dirs("a/b//c/", &err), 0);
    assert_int_equal(file_make_dirs("a/b/c", &err), 0);
    assert_int_equal(stat("a/b/c", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(file_write_atomic("a/b/c/f", "x", 1, &err), 0);
    assert_int_equal(file_make_dirs("a/b/c/f", &err), ESP_EIO);
    assert_int_equal(file_make_dirs("a/b/c/f/g", &err), ESP_ENOTFOUND);
    assert_int_equal(file_make_dirs("", &err), ESP_ELIMIT);
    assert_int_equal(file_writer_open("nowhere/f", &err, &writer), ESP_ENOTFOUND);
    assert_string_equal(err.message, "cannot create nowhere/f.partial: No such file or directory");
}

static void locks_are_held_by_one_process(void **state) {
    int fd = -1, status;
    assert_int_equal(file_lock("lock", NULL, &fd), 0);
    pid_t child = fork();
    if (child == 0) {
        int other = -1;
        struct err err = {0};
        _exit(file_lock("lock", &err, &other) == ESP_EBUSY && other == -1 ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    close(fd);
    assert_int_equal(file_lock("lock", NULL, &fd), 0);
    close(fd);
}

static void copies_are_whole_and_hashed(void **state) {
    char hash[65], copied[65];
    int64_t bytes = 0;
    struct err err = {0};
    assert_int_equal(file_write_atomic("a", "abc", 3, &err), 0);
    assert_int_equal(file_hash("a", &err, &bytes, hash), 0);
    assert_int_equal(bytes, 3);
    /* printf abc | b2sum -l 256 */
    assert_string_equal(hash, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    assert_int_equal(file_copy("a", "b", &err, &bytes, copied), 0);
    assert_string_equal(copied, hash);
    assert_int_equal(file_hash("b", &err, NULL, copied), 0);
    assert_string_equal(copied, hash);
    assert_int_equal(file_copy("missing", "c", &err, NULL, NULL), ESP_ENOTFOUND);
    assert_false(file_exists("c"));
    assert_int_equal(file_hash(".", &err, NULL, hash), ESP_EINVAL);
    assert_int_equal(file_sync_folder(".", &err), 0);
    assert_int_equal(file_sync_folder("missing", &err), ESP_EIO);
}

static void paths_stay_below(void **state) {
    static const char *const good[] = {"a", "a/b", "..a/b.", "a/.b/...", ".a"};
    static const char *const bad[] = {"",  "/",  "/a",   "a/",   "a//b",
                                      ".", "..", "a/..", "../a", "a/./b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        assert_true(file_stays_below(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(file_stays_below(bad[i]));
}

int main(void) {
#define FOLDER_TEST(f) cmocka_unit_test_setup_teardown(f, enter_folder, leave_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_stay_below),
        FOLDER_TEST(whole_files_are_read_up_to_the_limit),
        FOLDER_TEST(files_without_a_size_are_read),
        FOLDER_TEST(what_is_no_regular_file_is_refused_at_once),
        FOLDER_TEST(a_writer_puts_many_pieces),
        FOLDER_TEST(abort_leaves_the_old_file),
        FOLDER_TEST(two_writers_of_one_file_are_kept_apart),
        FOLDER_TEST(a_killed_writer_costs_nothing),
        FOLDER_TEST(a_file_size_limit_counts_as_a_full_disk),
        FOLDER_TEST(a_full_disk_leaves_the_old_file),
        FOLDER_TEST(a_failed_put_is_never_committed),
        FOLDER_TEST(folders_are_made_and_errors_named),
        FOLDER_TEST(locks_are_held_by_one_process),
        FOLDER_TEST(copies_are_whole_and_hashed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
