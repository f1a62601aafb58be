#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

enum { BUFFER_BYTES = 64 * 1024, PATH_BYTES = 4096 };

struct file_writer {
    char *path, *partial; /* final name, and the name until the commit */
    int fd;
    int failed; /* the code of the first put that failed: such a file is never committed */
    size_t used;
    unsigned char buffer[BUFFER_BYTES];
};

static int code_of(int number) {
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return ESP_ENOTFOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ESP_ENOSPACE;
    case ENOMEM:
        return ESP_ENOMEM;
    default:
        return ESP_EIO;
    }
}

/* errno, put into words: "cannot open X: No such file or directory". */
static int fail(struct err *err, const char *verb, const char *path) {
    int number = errno;
    char reason[128];
    return err_set(err, code_of(number), NULL, "cannot %s %s: %s", verb, path,
                   strerror_r(number, reason, sizeof(reason)));
}

/* Reads to the end or until size bytes are in; -1 with errno. */
static ssize_t read_full(int fd, char *data, size_t size) {
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, data + len, size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

static int write_full(int fd, const unsigned char *data, size_t len) {
    while (len > 0) {
        ssize_t put = write(fd, data, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        data += put;
        len -= (size_t)put;
    }
    return 0;
}

/* What is read of fd, one byte more than the limit at most: so a file that grows meanwhile is
 * noticed as well. */
static int read_open(int fd, const char *path, size_t limit, struct err *err, char **ret_data,
                     size_t *ret_len) {
    size_t cap = 4096, len = 0;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (size_t)st.st_size <= limit)
        cap = (size_t)st.st_size + 2;
    for (char *data = NULL;;) {
        char *grown = realloc(data, cap);
        if (!grown) {
            free(data);
            return err_set(err, ESP_ENOMEM, NULL, "out of memory reading %s", path);
        }
        data = grown;
        ssize_t got = read_full(fd, data + len, cap - 1 - len);
        int code = got < 0 ? fail(err, "read", path) : 0;
        len += got < 0 ? 0 : (size_t)got;
        if (code == 0 && len > limit)
            code = err_set(err, ESP_ELIMIT, NULL, "%s is larger than the %zu bytes allowed", path,
                           limit);
        if (code < 0) {
            free(data);
            return code;
        }
        if (len < cap - 1) {
            data[len] = '\0';
            *ret_data = data;
            *ret_len = len;
            return 0;
        }
        cap *= 2;
    }
}

int file_read(const char *path, size_t limit, struct err *err, char **ret_data, size_t *ret_len) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "open", path);
    int code = read_open(fd, path, limit, err, ret_data, ret_len);
    close(fd);
    return code;
}

int file_open_regular(const char *path, struct err *err, int *ret_fd) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), code = 0;
    if (fd < 0)
        return fail(err, "open", path);
    if (fstat(fd, &st) < 0)
        code = fail(err, "open", path);
    else if (!S_ISREG(st.st_mode))
        code = err_set(err, ESP_EINVAL, NULL, "%s is no regular file", path);
    if (code < 0)
        close(fd);
    else
        *ret_fd = fd;
    return code;
}

int file_read_regular(const char *path, size_t limit, struct err *err, char **ret_data,
                      size_t *ret_len) {
    int fd = -1, code = file_open_regular(path, err, &fd);
    if (code < 0)
        return code;
    code = read_open(fd, path, limit, err, ret_data, ret_len);
    close(fd);
    return code;
}

int file_write_atomic(const char *path, const void *data, size_t len, struct err *err) {
    struct file_writer *writer;
    int code = file_writer_open(path, err, &writer);
    if (code < 0)
        return code;
    code = file_writer_put(writer, data, len, err);
    if (code < 0) {
        file_writer_abort(writer);
        return code;
    }
    return file_writer_commit(writer, err);
}

/* 1 when fd is still the file that stands under path. */
static int stands_under(int fd, const char *path) {
    struct stat ours, named;
    return fstat(fd, &ours) == 0 && stat(path, &named) == 0 && ours.st_dev == named.st_dev &&
           ours.st_ino == named.st_ino;
}

/* One fixed name, so that a killed writer leaves at most one file, which the next one takes over;
 * the lock keeps two writers apart. Whoever got the lock only after the other's rename holds the
 * finished file and must try again. */
static int open_partial(const char *partial, struct err *err, int *ret_fd) {
    for (;;) {
        int fd = open(partial, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            return fail(err, "create", partial);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            close(fd);
            return err_set(err, ESP_EBUSY, NULL, "%s is being written by another", partial);
        }
        if (stands_under(fd, partial)) {
            if (ftruncate(fd, 0) < 0) {
                int code = fail(err, "truncate", partial);
                close(fd);
                return code;
            }
            *ret_fd = fd;
            return 0;
        }
        close(fd);
    }
}

int file_writer_open(const char *path, struct err *err, struct file_writer **ret_writer) {
    int code = 0;
    struct file_writer *writer = mem_array(1, sizeof(*writer));
    if (!writer)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory writing %s", path);
    writer->fd = -1;
    writer->path = mem_strdup(path);
    if (!writer->path || asprintf(&writer->partial, "%s.partial", path) < 0) {
        writer->partial = NULL;
        code = err_set(err, ESP_ENOMEM, NULL, "out of memory writing %s", path);
        goto out;
    }
    code = open_partial(writer->partial, err, &writer->fd);
    if (code < 0)
        goto out;
    *ret_writer = writer;
    return 0;
out:
    file_writer_abort(writer);
    return code;
}

static int flush_bytes(struct file_writer *writer, const void *data, size_t len, struct err *err) {
    if (write_full(writer->fd, data, len) == 0)
        return 0;
    writer->failed = fail(err, "write", writer->partial);
    return writer->failed;
}

static int flush_buffer(struct file_writer *writer, struct err *err) {
    size_t used = writer->used;
    writer->used = 0;
    return flush_bytes(writer, writer->buffer, used, err);
}

int file_writer_put(struct file_writer *writer, const void *data, size_t len, struct err *err) {
    if (writer->failed)
        return err_set(err, writer->failed, NULL, "cannot write %s: an earlier write failed",
                       writer->partial);
    if (len > BUFFER_BYTES - writer->used) {
        int code = flush_buffer(writer, err);
        if (code < 0)
            return code;
    }
    if (len >= BUFFER_BYTES)
        return flush_bytes(writer, data, len, err);
    if (len)
        memcpy(writer->buffer + writer->used, data, len);
    writer->used += len;
    return 0;
}

/* The rename is on disk only when its folder is. */
static int sync_folder(const char *path, struct err *err) {
    char folder[PATH_BYTES];
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(folder, sizeof(folder), ".");
    else
        snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "open", folder);
    int code = fsync(fd) < 0 ? fail(err, "sync", folder) : 0;
    close(fd);
    return code;
}

int file_writer_commit(struct file_writer *writer, struct err *err) {
    int code = writer->failed;
    if (code < 0) {
        err_set(err, code, NULL, "cannot write %s: an earlier write failed", writer->partial);
        goto out;
    }
    code = flush_buffer(writer, err);
    if (code < 0)
        goto out;
    if (fsync(writer->fd) < 0) {
        code = fail(err, "sync", writer->partial);
        goto out;
    }
    if (rename(writer->partial, writer->path) < 0) {
        code = fail(err, "rename", writer->partial);
        goto out;
    }
    free(writer->partial);
    writer->partial = NULL;
    code = sync_folder(writer->path, err);
out:
    file_writer_abort(writer);
    return code;
}

void file_writer_abort(struct file_writer *writer) {
    if (!writer)
        return;
    if (writer->fd >= 0) {
        if (writer->partial)
            unlink(writer->partial);
        close(writer->fd);
    }
    free(writer->path);
    free(writer->partial);
    free(writer);
}

int file_make_dirs(const char *path, struct err *err) {
    char part[PATH_BYTES];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(part))
        return err_set(err, ESP_ELIMIT, NULL, "path of %zu bytes", len);
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return fail(err, "create", part);
        part[i] = path[i];
    }
    struct stat st;
    if (stat(path, &st) < 0)
        return fail(err, "open", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ESP_EIO, NULL, "%s is not a folder", path);
    return 0;
}

int file_lock(const char *path, struct err *err, int *ret_fd) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(err, "open", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int code = errno == EWOULDBLOCK
                       ? err_set(err, ESP_EBUSY, NULL, "%s is locked by another process", path)
                       : fail(err, "lock", path);
        close(fd);
        return code;
    }
    *ret_fd = fd;
    return 0;
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    return remove(path);
}

int file_remove_tree(const char *path, struct err *err) {
    enum { DESCRIPTORS = 16 };
    if (nftw(path, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
        return 0;
    return fail(err, "remove", path);
}

bool file_stays_below(const char *path) {
    for (const char *part = path;; part++) {
        size_t len = strcspn(part, "/");
        if (len == 0 || (len == 1 && part[0] == '.') ||
            (len == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part += len;
        if (*part == '\0')
            return true;
    }
}
