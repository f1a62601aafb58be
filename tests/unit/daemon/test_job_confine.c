#include "base/file.h"
#include "daemon/job/confine.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Runs check in a process of its own, which it spoils; 0 is well. */
static void in_child(int (*check)(void)) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(check());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int try_socket(void) {
    int before = socket(AF_INET, SOCK_STREAM, 0);
    if (before < 0 || confine_process(NULL) != 0)
        return 1;
    return socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EACCES ? 0 : 2;
}

static int try_program(void) {
    char *const arguments[] = {"true", NULL};
    if (confine_process(NULL) != 0)
        return 1;
    execv("/bin/true", arguments);
    return errno == EACCES ? 0 : 2;
}

static int try_the_rest(void) {
    int pipes[2];
    char byte;
    struct rlimit limit;
    if (pipe(pipes) != 0 || confine_process(NULL) != 0)
        return 1;
    if (write(pipes[1], "x", 1) != 1 || read(pipes[0], &byte, 1) != 1)
        return 2;
    return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 ? 0 : 3;
}

/* What would get round the filter of socket(). */
static int try_other_ways(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 9};
    int before = socket(AF_INET, SOCK_DGRAM, 0);
    if (before < 0 || confine_process(NULL) != 0)
        return 1;
    if (connect(before, (struct sockaddr *)&address, sizeof address) != -1 || errno != EACCES)
        return 2;
    if (syscall(SYS_io_uring_setup, 1, NULL) != -1 || errno != EACCES)
        return 3;
    if (syscall(SYS_ptrace, 0, 0, 0, 0) != -1 || errno != EACCES)
        return 4;
    return syscall(0x40000000 | SYS_getppid) == -1 && errno == EPERM ? 0 : 5;
}

static int try_memory(void) {
    struct confine_limits limits = {.memory_bytes = 64 << 20};
    void *before = malloc(100 << 20), *small, *large;
    free(before);
    confine_resources(&limits);
    small = malloc(8 << 20);
    large = malloc(100 << 20);
    return before && small && !large ? 0 : 1;
}

static int try_files(void) {
    struct confine_limits limits = {.file_bytes = 1 << 20};
    char path[] = "/tmp/espalier-confine-XXXXXX", *bytes = calloc(1, 2 << 20);
    int file = mkstemp(path), rc = 0;
    struct err err = {0};
    signal(SIGXFSZ, SIG_IGN);
    confine_resources(&limits);
    if (file < 0 || file_write_atomic(path, bytes, 1 << 20, &err) != 0)
        rc = 1;
    else if (file_write_atomic(path, bytes, (1 << 20) + 1, &err) != ESP_ENOSPACE)
        rc = 2;
    unlink(path);
    return rc;
}

static int try_open_files(void) {
    int n = 0;
    if (confine_process(NULL) != 0)
        return 1;
    while (n < 1000 && dup(STDERR_FILENO) >= 0)
        n++;
    return errno == EMFILE && n >= 200 && n <= 256 ? 0 : 2;
}

/* What is given up does not come back. */
static int try_to_raise(void) {
    struct confine_limits low = {.memory_bytes = 64 << 20}, high = {.memory_bytes = 1 << 30};
    confine_resources(&low);
    confine_resources(&high);
    return malloc(100 << 20) ? 1 : 0;
}

static void no_network(void **state) {
    (void)state;
    in_child(try_socket);
}

static void no_programs(void **state) {
    (void)state;
    in_child(try_program);
}

static void open_files_go_on_working(void **state) {
    (void)state;
    in_child(try_the_rest);
}

static void no_other_way(void **state) {
    (void)state;
    in_child(try_other_ways);
}

static void memory_is_bounded(void **state) {
    (void)state;
    if (!confine_bounds_memory())
        skip();
    in_child(try_memory);
    in_child(try_to_raise);
}

static void files_are_bounded(void **state) {
    (void)state;
    in_child(try_files);
    in_child(try_open_files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_network),        cmocka_unit_test(no_programs),
        cmocka_unit_test(no_other_way),      cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(files_are_bounded), cmocka_unit_test(open_files_go_on_working),
    };
    return cmocka_run_group_tests_name("daemon-job-confine", tests, NULL, NULL);
}
