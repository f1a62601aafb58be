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

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

bool confine_bounds_memory(void) {
    return !SANITIZED;
}

/* RLIMIT_DATA counts private writable mappings (Linux 4.7 and later): not files that are only
 * read, nor address space that is merely reserved, which RLIMIT_AS counts. */
void confine_resources(const struct confine_limits *limits) {
    if (limits->memory_bytes > 0 && !SANITIZED)
        set_limit(RLIMIT_DATA, (rlim_t)limits->memory_bytes);
    if (limits->file_bytes > 0)
        set_limit(RLIMIT_FSIZE, (rlim_t)limits->file_bytes);
}

#ifdef NATIVE_ARCH

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define JUMP_IF(value, if_true, if_false)                                                          \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (if_true), (if_false))
#define JUMP_FROM(value, if_true, if_false)                                                        \
    BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (value), (if_true), (if_false))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, (value))
#define DENY(call) JUMP_IF((call), 0, 1), ANSWER(SECCOMP_RET_ERRNO | EACCES)
#define OTHER_ABI 0x40000000u

static int filter_calls(void) {
    struct sock_filter rules[] = {
        LOAD(arch),
        JUMP_IF(NATIVE_ARCH, 1, 0),
        ANSWER(SECCOMP_RET_ERRNO | EPERM), /* calls of another ABI would slip through */
        LOAD(nr),
        JUMP_FROM(OTHER_ABI, 0, 1),
        ANSWER(SECCOMP_RET_ERRNO | EPERM), /* so would those of x32, which are numbered apart */
        DENY(SYS_socket),
        DENY(SYS_connect),
        DENY(SYS_io_uring_setup), /* would open sockets past this filter */
        DENY(SYS_ptrace),         /* of the daemon, which is the same user's */
        DENY(SYS_process_vm_writev),
        DENY(SYS_execve),
        DENY(SYS_execveat),
        ANSWER(SECCOMP_RET_ALLOW),
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
