/* Workers for boards: found below the daemon's folders, digests that follow the files, and the line
 * that a board is given. */
#include <fcntl.h>
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

#include "base/buf.h"
#include "base/file.h"
#include "daemon/daemon.h"
#include "daemon/enrol_command.h"
#include "daemon/worker_builds.h"

#define FILE_NAME "espalier-worker-" ESP_VERSION "-aarch64.tar.gz"

struct bed {
    char folders[WORKER_BUILD_FOLDERS][WORKER_BUILD_PATH];
    char first[WORKER_BUILD_PATH + 80], second[WORKER_BUILD_PATH + 80]; /* the file in each */
    struct worker_builds *builds;
};

static int set_up(void **state) {
    struct bed *bed = calloc(1, sizeof(*bed));
    struct err err = {0};
    for (int i = 0; i < WORKER_BUILD_FOLDERS; i++) {
        strcpy(bed->folders[i], "/tmp/espalier-builds-XXXXXX");
        assert_non_null(mkdtemp(bed->folders[i]));
    }
    snprintf(bed->first, sizeof(bed->first), "%s/" FILE_NAME, bed->folders[0]);
    snprintf(bed->second, sizeof(bed->second), "%s/" FILE_NAME, bed->folders[1]);
    assert_int_equal(worker_builds_create(bed->folders, &err, &bed->builds), 0);
    *state = bed;
    return 0;
}

static int tear_down(void **state) {
    struct bed *bed = *state;
    worker_builds_destroy(bed->builds);
    worker_builds_destroy(NULL);
    unlink(bed->first);
    unlink(bed->second);
    rmdir(bed->first);
    for (int i = 0; i < WORKER_BUILD_FOLDERS; i++)
        assert_int_equal(rmdir(bed->folders[i]), 0);
    free(bed);
    return 0;
}

static void put(const char *path, const char *text) {
    struct err err = {0};
    assert_int_equal(file_write_atomic(path, text, strlen(text), &err), 0);
}

static int look(struct bed *bed, struct worker_build *build) {
    struct err err = {0};
    int fd = -1;
    int r = worker_build_open(bed->builds, "aarch64", &err, build, &fd);
    if (r == 0)
        close(fd);
    else
        assert_true(err.message[0] != '\0' && fd == -1);
    return r;
}

/* `printf abc | sha256sum` (FIPS 180-2, appendix B.1), and of "abcd". */
static const char of_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                  of_abcd[] = "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589";

static void digests_follow_the_files(void **state) {
    struct bed *bed = *state;
    struct worker_build build;
    assert_int_equal(look(bed, &build), ESP_ENOTFOUND);
    put(bed->second, "abcd");
    assert_int_equal(look(bed, &build), 0);
    assert_string_equal(build.sha256, of_abcd);
    put(bed->first, "abc"); /* the first folder comes first */
    assert_int_equal(look(bed, &build), 0);
    assert_string_equal(build.sha256, of_abc);
    assert_int_equal(build.bytes, 3);
    assert_string_equal(build.name, FILE_NAME);
    assert_string_equal(build.arch, "aarch64");
    int fd = open(bed->first, O_WRONLY | O_APPEND); /* written to in place */
    assert_int_equal(write(fd, "d", 1), 1);
    close(fd);
    assert_int_equal(look(bed, &build), 0);
    assert_string_equal(build.sha256, of_abcd);
}

static void what_was_opened_is_what_was_hashed(void **state) {
    struct bed *bed = *state;
    struct worker_build build;
    struct err err = {0};
    char bytes[8] = "";
    int fd = -1;
    put(bed->first, "abc");
    assert_int_equal(worker_build_open(bed->builds, "aarch64", &err, &build, &fd), 0);
    put(bed->first, "abcd");
    assert_int_equal(read(fd, bytes, sizeof(bytes)), 3);
    assert_string_equal(bytes, "abc");
    assert_string_equal(build.sha256, of_abc);
    close(fd);
}

static void what_is_no_tarball_is_refused(void **state) {
    struct bed *bed = *state;
    struct worker_build build;
    struct err err = {0};
    int fd = -1;
    put(bed->first, "");
    assert_int_equal(look(bed, &build), ESP_EIO);
    assert_int_equal(truncate(bed->first, (INT64_C(1) << 30) + 1), 0);
    assert_int_equal(look(bed, &build), ESP_ETOOLARGE);
    unlink(bed->first);
    assert_int_equal(mkdir(bed->first, 0700), 0);
    assert_int_equal(look(bed, &build), ESP_EIO);
    rmdir(bed->first);
    assert_int_equal(mkfifo(bed->first, 0700), 0); /* without waiting for who writes to it */
    assert_int_equal(look(bed, &build), ESP_EIO);
    static const char *const archs[] = {"", "mips", "../x86_64", "x86_64/", "AARCH64"};
    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++)
        assert_int_equal(worker_build_open(bed->builds, archs[i], &err, &build, &fd),
                         ESP_ENOTFOUND);
}

static void the_installer_names_every_build(void **state) {
    struct bed *bed = *state;
    struct err err = {0};
    struct buf script;
    int n = -1;
    buf_init(&script, 0);
    assert_int_equal(worker_builds_installer(bed->builds, &err, &script, &n), 0);
    assert_int_equal(n, 0);
    assert_null(strstr(script.data, "@BUILDS@"));
    buf_clear(&script);
    put(bed->first, "abc");
    assert_int_equal(worker_builds_installer(bed->builds, &err, &script, &n), 0);
    assert_int_equal(n, 1);
    assert_non_null(strstr(script.data, "\naarch64 "));
    assert_non_null(strstr(script.data, of_abc));
    assert_int_equal(memcmp(script.data, "#!/bin/sh\n", 10), 0);
    assert_int_equal(script.data[script.len - 1],
                     '\n'); /* one: $(…) takes off all, printf adds one */
    assert_int_not_equal(script.data[script.len - 2], '\n');
    buf_finish(&script);
}

enum { READERS = 3, REPLACEMENTS = 200 };

/* Whatever is replaced meanwhile, a digest is that of the bytes that come with it. */
static void *read_often(void *context) {
    struct bed *bed = context;
    for (int i = 0; i < REPLACEMENTS; i++) {
        struct worker_build build;
        struct err err = {0};
        char bytes[8] = "", digest[HASH_TEXT_LONG];
        int fd = -1;
        if (worker_build_open(bed->builds, "aarch64", &err, &build, &fd) != 0)
            return "it could not be opened";
        ssize_t n = read(fd, bytes, sizeof(bytes));
        close(fd);
        hash_sha256(bytes, n > 0 ? (size_t)n : 0, digest);
        if (strcmp(digest, build.sha256) != 0 || (uint64_t)n != build.bytes)
            return "another file's digest";
    }
    return NULL;
}

static void readers_meet_replacements(void **state) {
    struct bed *bed = *state;
    pthread_t readers[READERS];
    put(bed->first, "abc");
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_often, bed), 0);
    for (int i = 0; i < REPLACEMENTS; i++)
        put(bed->first, i % 2 == 0 ? "abcd" : "abc");
    for (int i = 0; i < READERS; i++) {
        void *wrong = NULL;
        pthread_join(readers[i], &wrong);
        if (wrong != NULL)
            fail_msg("%s", (char *)wrong);
    }
}

static void an_address_holds_nothing_for_the_shell(void **state) {
    static const char *const bad[] = {
        "",           "10.0.0.1",    "ftp://a",     "http://",          "http://a b",
        "http://a/b", "http://a';b", "http://$(b)", "http://a`b",       "http://a\nb",
        "http://a\\", "http://a\"",  "http://a&b",  "http://user@host", "http://\xc3\xa9"};
    struct daemon daemon = {.address = "127.0.0.1"};
    char address[ENROL_ADDRESS_MAX] = "";
    struct err err = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(enrol_address(&daemon, bad[i], "127.0.0.1:1", &err, address), ESP_EINVAL);
        assert_string_equal(err.pointer, "/address");
    }
    assert_int_equal(enrol_address(&daemon, "https://[fd00::1]:8443", "x", &err, address), 0);
    assert_string_equal(address, "https://[fd00::1]:8443");
    assert_int_equal(enrol_address(&daemon, NULL, "box.lan:8080", &err, address), 0);
    assert_string_equal(address, "http://box.lan:8080");
    assert_int_equal(enrol_address(&daemon, NULL, "a';reboot;'", &err, address), 0);
    assert_string_equal(address, "http://127.0.0.1");
}

static void print(const struct enrol_command *command, char *text, size_t size) {
    struct buf out;
    buf_init(&out, 0);
    enrol_command_print(command, &out);
    snprintf(text, size, "%s", out.data);
    buf_finish(&out);
}

static void the_command_says_what_it_needs_to(void **state) {
    struct daemon daemon = {.address = "127.0.0.1"};
    struct enrol_command command = {
        .address = "http://127.0.0.1:1", .token = "esp_e_t", .ticket = "tok_1"};
    struct enrol_notices notices;
    char text[2048];
    print(&command, text, sizeof(text));
    assert_string_equal(text,
                        "ESPALIER_ENROL_TOKEN=esp_e_t espalier-worker --daemon http://127.0.0.1:1");
    enrol_notices(&daemon, &command, &notices);
    assert_int_equal(notices.n, 2);
    command.address = "http://10.0.0.1:1";
    print(&command, text, sizeof(text));
    assert_memory_equal(text, "ESPALIER_INSECURE_LAN=1 ", 24);
    command.installer_sha256 = of_abc;
    print(&command, text, sizeof(text));
    assert_non_null(strstr(text, of_abc));
    assert_non_null(strstr(text, "ESPALIER_INSECURE_LAN=1 "));
    assert_non_null(strstr(text, "install.sh?enrolment=tok_1'"));
    assert_null(strstr(text, "--service"));
    assert_null(strchr(text, '\n'));
    enrol_notices(&daemon, &command, &notices);
    assert_int_equal(notices.n, 0);
    command.address = "https://box";
    command.service = true;
    command.pin = "sha256//x=";
    print(&command, text, sizeof(text));
    assert_null(strstr(text, "INSECURE"));
    assert_non_null(strstr(text, "espalier --service;"));
    assert_non_null(strstr(text, " ESPALIER_PINNED_KEY=sha256//x= "));
    assert_non_null(strstr(text, "curl -sSk "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(digests_follow_the_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_opened_is_what_was_hashed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_tarball_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(readers_meet_replacements, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_installer_names_every_build, set_up, tear_down),
        cmocka_unit_test(an_address_holds_nothing_for_the_shell),
        cmocka_unit_test(the_command_says_what_it_needs_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
