#include "daemon/job/confine.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_network),
        cmocka_unit_test(no_programs),
        cmocka_unit_test(open_files_go_on_working),
    };
    return cmocka_run_group_tests_name("daemon-job-confine", tests, NULL, NULL);
}
