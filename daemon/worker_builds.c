#include "daemon/worker_builds.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/memory.h"
#include "daemon/install_worker.h"

#define BYTES_MAX (UINT64_C(1) << 30)

const char *const worker_build_archs[] = {"aarch64", "x86_64", NULL};
enum { N_ARCHS = sizeof(worker_build_archs) / sizeof(worker_build_archs[0]) - 1 };

/* What was hashed: a file that is replaced or written to differs in one of these. */
struct seen {
    dev_t device;
    ino_t inode;
    uint64_t bytes;
    struct timespec modified, changed;
    char sha256[HASH_TEXT_LONG];
};

struct worker_builds {
    char folders[WORKER_BUILD_FOLDERS][WORKER_BUILD_PATH];
    pthread_mutex_t mutex; /* of seen; held while a file is hashed, so that it is hashed once */
    struct seen seen[N_ARCHS];
};

int worker_builds_create(const char (*folders)[WORKER_BUILD_PATH], struct err *err,
                         struct worker_builds **ret_builds) {
    struct worker_builds *builds = mem_array(1, sizeof(*builds));
    if (builds == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    memcpy(builds->folders, folders, sizeof(builds->folders));
    pthread_mutex_init(&builds->mutex, NULL);
    *ret_builds = builds;
    return 0;
}

void worker_builds_destroy(struct worker_builds *builds) {
    if (builds == NULL)
        return;
    pthread_mutex_destroy(&builds->mutex);
    free(builds);
}

static int find_arch(const char *arch) {
    for (int i = 0; i < N_ARCHS; i++)
        if (strcmp(worker_build_archs[i], arch) == 0)
            return i;
    return -1;
}

static int no_build(const char *arch, struct err *err) {
    return err_set(err, ESP_ENOTFOUND, NULL,
                   "this daemon carries no worker " ESP_VERSION
                   " for %.40s (scripts/worker-tarball makes one; see --worker-builds)",
                   arch);
}

static int open_first(const struct worker_builds *builds, const char *name, struct err *err,
                      int *ret_fd) {
    char path[WORKER_BUILD_PATH + 80];
    for (int i = 0; i < WORKER_BUILD_FOLDERS; i++) {
        if (builds->folders[i][0] == '\0')
            continue;
        snprintf(path, sizeof(path), "%s/%s", builds->folders[i], name);
        *ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (*ret_fd >= 0)
            return 0;
        if (errno != ENOENT && errno != ENOTDIR)
            return err_set(err, ESP_EIO, NULL, "%s: %s", path, strerror(errno));
    }
    return ESP_ENOTFOUND;
}

static bool same_time(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static int take_digest(struct worker_builds *builds, int i, int fd, const struct stat *info,
                       struct err *err, char ret_sha256[HASH_TEXT_LONG]) {
    struct seen *seen = &builds->seen[i];
    int r = 0;
    pthread_mutex_lock(&builds->mutex);
    if (seen->sha256[0] == '\0' || seen->device != info->st_dev || seen->inode != info->st_ino ||
        seen->bytes != (uint64_t)info->st_size || !same_time(&seen->modified, &info->st_mtim) ||
        !same_time(&seen->changed, &info->st_ctim)) {
        *seen = (struct seen){.device = info->st_dev,
                              .inode = info->st_ino,
                              .bytes = (uint64_t)info->st_size,
                              .modified = info->st_mtim,
                              .changed = info->st_ctim};
        r = hash_sha256_file(fd, seen->bytes, seen->sha256);
        if (r != 0)
            seen->sha256[0] = '\0';
    }
    memcpy(ret_sha256, seen->sha256, HASH_TEXT_LONG);
    pthread_mutex_unlock(&builds->mutex);
    return r == 0 ? 0
                  : err_set(err, r, NULL, "the worker's tarball cannot be read: %s",
                            errno != 0 ? strerror(errno) : "it is being written");
}

int worker_build_open(struct worker_builds *builds, const char *arch, struct err *err,
                      struct worker_build *ret_build, int *ret_fd) {
    struct worker_build build = {.arch = NULL};
    struct stat info;
    int fd = -1, i = find_arch(arch);
    if (i < 0)
        return err_set(err, ESP_ENOTFOUND, NULL,
                       "no worker is made for \"%.40s\", only for aarch64 and x86_64", arch);
    build.arch = worker_build_archs[i];
    snprintf(build.name, sizeof(build.name), "espalier-worker-" ESP_VERSION "-%s.tar.gz",
             build.arch);
    int r = open_first(builds, build.name, err, &fd);
    if (r != 0)
        return r == ESP_ENOTFOUND ? no_build(arch, err) : r;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0)
        r = err_set(err, ESP_EIO, NULL, "%s is no file with content", build.name);
    else if ((uint64_t)info.st_size > BYTES_MAX)
        r = err_set(err, ESP_ETOOLARGE, NULL, "%s is larger than 1 GiB", build.name);
    build.bytes = r == 0 ? (uint64_t)info.st_size : 0;
    if (r == 0)
        r = take_digest(builds, i, fd, &info, err, build.sha256);
    if (r != 0) {
        close(fd);
        return r;
    }
    *ret_build = build;
    *ret_fd = fd;
    return 0;
}

/* "aarch64 DIGEST BYTES" and so on, a line each. */
static int print_builds(struct worker_builds *builds, struct err *err, struct buf *out,
                        int *ret_n) {
    *ret_n = 0;
    for (int i = 0; i < N_ARCHS; i++) {
        struct worker_build build;
        int fd = -1, r = worker_build_open(builds, worker_build_archs[i], err, &build, &fd);
        if (r == ESP_ENOTFOUND)
            continue;
        if (r != 0)
            return r;
        close(fd);
        buf_printf(out, "%s%s %s %llu", *ret_n > 0 ? "\n" : "", build.arch, build.sha256,
                   (unsigned long long)build.bytes);
        (*ret_n)++;
    }
    *err = (struct err){0};
    return 0;
}

int worker_builds_installer(struct worker_builds *builds, struct err *err, struct buf *ret_script,
                            int *ret_n) {
    static const char mark[] = "@BUILDS@";
    const char *at = strstr(install_worker, mark);
    buf_append(ret_script, install_worker, (size_t)(at - install_worker));
    int r = print_builds(builds, err, ret_script, ret_n);
    buf_puts(ret_script, at + strlen(mark));
    if (r == 0 && ret_script->error != 0)
        r = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return r;
}
