#include "daemon/job/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__arm__)
#define NATIVE_ARCH AUDIT_ARCH_ARM
#endif

enum { FILES_MAX = 256 };

static void set_limit(int resource, rlim_t value) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) == 0 && limit.rlim_cur > value) {
        limit.rlim_cur = value;
        limit.rlim_max = value < limit.rlim_max ? value : limit.rlim_max;
        setrlimit(resource, &limit);
    }
}

#ifdef NATIVE_ARCH

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define JUMP_IF(value, if_true, if_false)                                                          \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (if_true), (if_false))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, (value))

static int filter_calls(void) {
    struct sock_filter rules[] = {
        LOAD(arch),
        JUMP_IF(NATIVE_ARCH, 1, 0),
        ANSWER(SECCOMP_RET_ERRNO | EPERM), /* calls of another ABI would slip through */
        LOAD(nr),
        JUMP_IF(SYS_socket, 3, 0),
        JUMP_IF(SYS_execve, 2, 0),
        JUMP_IF(SYS_execveat, 1, 0),
        ANSWER(SECCOMP_RET_ALLOW),
        ANSWER(SECCOMP_RET_ERRNO | EACCES),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#else

static int filter_calls(void) {
    errno = ENOSYS;
    return -1;
}

#endif

int confine_process(struct err *err) {
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_NOFILE, FILES_MAX);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || filter_calls() != 0)
        return err_set(err, ESP_EUNSUPPORTED, NULL, "cannot shut off the network: %s",
                       strerror(errno));
    return 0;
}
