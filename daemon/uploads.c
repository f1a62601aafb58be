#include "daemon/uploads.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/parameter.h"
#include "base/utf8.h"
#include "daemon/disk.h"

struct entry {
    char id[ID_MAX]; /* "": free */
    int64_t bytes, files;
    uint64_t used; /* the least recently used entry gives its place away */
};

struct uploads {
    pthread_mutex_t mutex; /* also over each write: pieces of all uploads go one after the other */
    const struct daemon *daemon;
    char dir[PATH_SIZE];
    int64_t max_bytes;
    uint64_t clock;
    struct entry entries[UPLOADS_REMEMBERED];
};

int uploads_create(const struct daemon *daemon, struct err *err, struct uploads **ret_uploads) {
    struct uploads *uploads = mem_array(1, sizeof(*uploads));
    if (uploads == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    pthread_mutex_init(&uploads->mutex, NULL);
    uploads->daemon = daemon;
    snprintf(uploads->dir, sizeof(uploads->dir), "%.1000s/uploads", daemon->data_dir);
    uploads->max_bytes = daemon->upload_bytes;
    *ret_uploads = uploads;
    return 0;
}

void uploads_destroy(struct uploads *uploads) {
    if (uploads == NULL)
        return;
    pthread_mutex_destroy(&uploads->mutex);
    free(uploads);
}

static int io_error(struct err *err, const char *what) {
    int code = errno == ENOSPC || errno == EDQUOT ? ESP_ENOSPACE : ESP_EIO;
    return err_set(err, code, NULL, "the upload: cannot %s: %s", what, strerror(errno));
}

static int unknown(struct err *err, const char *id) {
    return err_set(err, ESP_ENOTFOUND, NULL, "there is no upload \"%.60s\"", id);
}

/* "up_" and the digits of an id, so that it can be part of a path. */
static bool is_id(const char *id) {
    return id_has_prefix(id, "up_") && strlen(id) < ID_MAX &&
           strspn(id + 3, "0123456789abcdefghjkmnpqrstvwxyz") == strlen(id + 3) && id[3] != '\0';
}

static int open_root(const struct uploads *uploads, const char *id) {
    char path[PATH_SIZE + ID_MAX];
    snprintf(path, sizeof(path), "%s/%s", uploads->dir, id);
    return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* nftw has no context. */
static _Thread_local struct entry *counted;

static int count_entry(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    if (kind == FTW_F) {
        counted->files++;
        counted->bytes += info->st_size;
    }
    return 0;
}

static struct entry *find_entry(struct uploads *uploads, const char *id) {
    for (int i = 0; i < UPLOADS_REMEMBERED; i++)
        if (strcmp(uploads->entries[i].id, id) == 0)
            return &uploads->entries[i];
    return NULL;
}

static struct entry *oldest_entry(struct uploads *uploads) {
    struct entry *oldest = &uploads->entries[0];
    for (int i = 1; i < UPLOADS_REMEMBERED; i++)
        if (uploads->entries[i].used < oldest->used)
            oldest = &uploads->entries[i];
    return oldest;
}

/* The numbers of an open upload, under the mutex: remembered, or counted from the disk. */
static int get_entry(struct uploads *uploads, const char *id, struct err *err,
                     struct entry **ret_entry) {
    char path[PATH_SIZE + ID_MAX];
    struct entry *entry = is_id(id) ? find_entry(uploads, id) : NULL;
    int fd = is_id(id) ? open_root(uploads, id) : -1;
    if (fd < 0)
        return unknown(err, id);
    close(fd);
    if (entry == NULL) {
        entry = oldest_entry(uploads);
        *entry = (struct entry){0};
        counted = entry;
        snprintf(path, sizeof(path), "%s/%s", uploads->dir, id);
        nftw(path, count_entry, 16, FTW_PHYS);
        snprintf(entry->id, sizeof(entry->id), "%s", id);
    }
    entry->used = ++uploads->clock;
    *ret_entry = entry;
    return 0;
}

int upload_begin(struct uploads *uploads, struct err *err, char ret_id[ID_MAX]) {
    char path[PATH_SIZE + ID_MAX], id[ID_MAX];
    int rc = file_make_dirs(uploads->dir, err);
    if (rc == 0)
        rc = disk_check_room(uploads->daemon, 0, err);
    if (rc != 0)
        return rc;
    id_make("up_", id);
    snprintf(path, sizeof(path), "%s/%s", uploads->dir, id);
    if (mkdir(path, 0700) != 0)
        return io_error(err, "make its folder");
    memcpy(ret_id, id, ID_MAX);
    return 0;
}

int upload_look(struct uploads *uploads, const char *id, struct err *err,
                struct upload_state *ret_state) {
    struct entry *entry = NULL;
    pthread_mutex_lock(&uploads->mutex);
    int rc = get_entry(uploads, id, err, &entry);
    if (rc == 0)
        *ret_state = (struct upload_state){entry->bytes, entry->files, uploads->max_bytes};
    pthread_mutex_unlock(&uploads->mutex);
    return rc;
}

static int bad_path(struct err *err, const char *why) {
    return parameter_refuse(err, ESP_EINVAL, "path", " %s", why);
}

/* Relative, no "." or "..", no hidden names, no control characters. */
static int check_path(const char *path, struct err *err) {
    int depth = 0;
    size_t len = strlen(path);
    if (len == 0 || len > UPLOAD_PATH_MAX || !utf8_valid(path, len))
        return bad_path(err, "must be UTF-8 of 1 to 1024 bytes");
    for (const char *p = path; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return bad_path(err, "holds a control character");
    for (const char *part = path;; part += strcspn(part, "/") + 1) {
        size_t n = strcspn(part, "/");
        if (n == 0 || n > NAME_MAX || part[0] == '.')
            return bad_path(err, "must be relative, of names of 1 to 255 bytes that do not begin "
                                 "with a dot");
        if (++depth > UPLOAD_DEPTH_MAX)
            return bad_path(err, "is more than 8 folders deep");
        if (part[n] == '\0')
            return 0;
    }
}

/* Descends without ever following a link; makes folders when make. */
static int open_parent(int root, const char *path, bool make, const char **ret_name) {
    char part[NAME_MAX + 1];
    int fd = root;
    while (fd >= 0 && strchr(path, '/') != NULL) {
        size_t n = strcspn(path, "/");
        memcpy(part, path, n);
        part[n] = '\0';
        if (make)
            mkdirat(fd, part, 0700);
        int next = openat(fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int number = errno;
        close(fd);
        errno = number;
        fd = next;
        path += n + 1;
    }
    *ret_name = path;
    return fd;
}

/* Whether the upload has the file, and its bytes. */
static bool find_file(const struct uploads *uploads, const char *id, const char *path,
                      int64_t *ret_bytes) {
    struct stat st;
    const char *name;
    int root = open_root(uploads, id);
    int fd = root < 0 ? -1 : open_parent(root, path, false, &name);
    bool found = fd >= 0 && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
    if (fd >= 0)
        close(fd);
    *ret_bytes = found ? st.st_size : 0;
    return found;
}

int upload_file_bytes(struct uploads *uploads, const char *id, const char *path, struct err *err,
                      int64_t *ret_bytes) {
    struct upload_state state;
    int rc = upload_look(uploads, id, err, &state);
    if (rc == 0)
        rc = check_path(path, err);
    if (rc == 0)
        find_file(uploads, id, path, ret_bytes);
    return rc;
}

static int write_all(int fd, const char *data, size_t len, int64_t offset) {
    while (len > 0) {
        ssize_t put = pwrite(fd, data, len, offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        data += put;
        offset += put;
        len -= (size_t)put;
    }
    return 0;
}

/* fd is the file, open for writing. A write that fails half-way leaves the old size. */
static int append(struct entry *entry, int fd, bool is_new, int64_t offset, const void *data,
                  size_t len, struct err *err) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return io_error(err, "write a file");
    if (offset != 0 && st.st_size != offset)
        return err_set(err, ESP_ECONFLICT, NULL, "the file has %lld bytes, not %lld",
                       (long long)st.st_size, (long long)offset);
    if (offset == 0 && ftruncate(fd, 0) != 0)
        return io_error(err, "write a file");
    entry->bytes -= offset == 0 ? st.st_size : 0;
    entry->files += is_new;
    if (write_all(fd, data, len, offset) != 0) {
        int rc = io_error(err, "write a file");
        if (ftruncate(fd, offset) != 0)
            rc = io_error(err, "write a file");
        return rc;
    }
    entry->bytes += (int64_t)len;
    return 0;
}

static int open_and_append(const struct uploads *uploads, struct entry *entry, const char *path,
                           int64_t offset, const void *data, size_t len, struct err *err) {
    const char *name;
    int root = open_root(uploads, entry->id);
    if (root < 0)
        return unknown(err, entry->id);
    int parent = open_parent(root, path, true, &name);
    if (parent < 0)
        return errno == ENOTDIR || errno == ELOOP
                   ? err_set(err, ESP_ECONFLICT, NULL, "a file stands where path needs a folder")
                   : io_error(err, "make a folder");
    bool is_new = faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    int rc = fd >= 0           ? append(entry, fd, is_new, offset, data, len, err)
             : errno == EISDIR ? err_set(err, ESP_ECONFLICT, NULL, "path is a folder")
                               : io_error(err, "open a file");
    if (fd >= 0)
        close(fd);
    close(parent);
    return rc;
}

/* What a piece makes of an upload; offset 0 takes the place of all that the file has. */
static int check_limits(const struct uploads *uploads, const struct entry *entry, const char *path,
                        int64_t offset, size_t len, struct err *err) {
    int64_t there;
    bool is_new = !find_file(uploads, entry->id, path, &there);
    int64_t bytes = entry->bytes + (int64_t)len - (offset == 0 ? there : 0);
    if (bytes <= uploads->max_bytes && entry->files + is_new <= UPLOAD_FILES_MAX)
        return 0;
    return err_set(err, ESP_ELIMIT, NULL,
                   "an upload has at most %lld bytes (see espalierd --upload-size) and %d files",
                   (long long)uploads->max_bytes, UPLOAD_FILES_MAX);
}

int upload_append(struct uploads *uploads, const char *id, const char *path, int64_t offset,
                  const void *data, size_t len, struct err *err) {
    struct entry *entry = NULL;
    int rc = check_path(path, err);
    if (rc == 0)
        rc = disk_check_room(uploads->daemon, (int64_t)len, err);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&uploads->mutex);
    rc = get_entry(uploads, id, err, &entry);
    if (rc == 0)
        rc = check_limits(uploads, entry, path, offset, len, err);
    if (rc == 0)
        rc = open_and_append(uploads, entry, path, offset, data, len, err);
    pthread_mutex_unlock(&uploads->mutex);
    return rc;
}

int upload_path(struct uploads *uploads, const char *id, struct err *err,
                char ret_path[PATH_SIZE]) {
    struct upload_state state;
    int rc = upload_look(uploads, id, err, &state);
    if (rc == 0 && state.files == 0)
        rc = err_set(err, ESP_EINVAL, "/upload", "the upload %s holds no files", id);
    if (rc == 0 && snprintf(ret_path, PATH_SIZE, "%s/%s", uploads->dir, id) >= PATH_SIZE)
        rc = err_set(err, ESP_ELIMIT, NULL, "the daemon's data folder has too long a path");
    return rc;
}

int upload_remove(struct uploads *uploads, const char *id, struct err *err) {
    char path[PATH_SIZE + ID_MAX];
    struct entry *entry = NULL;
    pthread_mutex_lock(&uploads->mutex);
    int rc = get_entry(uploads, id, err, &entry);
    if (rc == 0) {
        snprintf(path, sizeof(path), "%s/%s", uploads->dir, id);
        *entry = (struct entry){0};
        rc = file_remove_tree(path, err);
    }
    pthread_mutex_unlock(&uploads->mutex);
    return rc;
}
