#include "supernet/evaluate_trim.h"

#include <dirent.h>
#include <fcntl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DISK_BLOCK = 4096, FILES_MAX = 1 << 22, PATH_BYTES = 1200 };

struct record_file {
    char folder[40], name[48];
    struct timespec used;
    int64_t bytes;
};

struct listing {
    struct record_file *files;
    size_t n, capacity;
    int64_t bytes;
};

int64_t evaluation_trim_disk_bytes(int64_t len) {
    return (len + DISK_BLOCK - 1) / DISK_BLOCK * DISK_BLOCK;
}

static int add(struct listing *listing, const char *folder, const char *name,
               const struct stat *info, struct err *err) {
    if (listing->n == FILES_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "more than %d records of evaluations", FILES_MAX);
    if (listing->n == listing->capacity) {
        size_t capacity = listing->capacity ? 2 * listing->capacity : 256;
        struct record_file *files = reallocarray(listing->files, capacity, sizeof *files);
        if (!files)
            return err_set(err, ESP_ENOMEM, NULL, "no memory to list evaluations");
        listing->files = files;
        listing->capacity = capacity;
    }
    struct record_file *file = &listing->files[listing->n++];
    snprintf(file->folder, sizeof file->folder, "%s", folder);
    snprintf(file->name, sizeof file->name, "%s", name);
    file->used = info->st_mtim;
    file->bytes = evaluation_trim_disk_bytes(info->st_size);
    listing->bytes += file->bytes;
    return 0;
}

static bool is_record_name(const char *name) {
    return name[0] != '.' && strlen(name) < sizeof((struct record_file *)0)->folder;
}

/* Opens dir/name; a folder that is not there (any more) is an empty one, *ret NULL. */
static int open_folder(const char *path, struct err *err, DIR **ret) {
    *ret = opendir(path);
    if (*ret || errno == ENOENT || errno == ENOTDIR)
        return 0;
    return err_set(err, ESP_EIO, NULL, "cannot list %s: %s", path, strerror(errno));
}

static int list_folder(const char *dir, const char *folder, struct err *err,
                       struct listing *listing) {
    char path[PATH_BYTES];
    const struct dirent *entry;
    struct stat info;
    DIR *stream;
    snprintf(path, sizeof path, "%s/%s", dir, folder);
    int rc = open_folder(path, err, &stream);
    while (stream && rc == 0 && (entry = readdir(stream))) {
        if (strlen(entry->d_name) < sizeof listing->files->name &&
            fstatat(dirfd(stream), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode))
            rc = add(listing, folder, entry->d_name, &info, err);
    }
    if (stream)
        closedir(stream);
    return rc;
}

static int list_all(const char *dir, struct err *err, struct listing *listing) {
    const struct dirent *entry;
    DIR *stream;
    int rc = open_folder(dir, err, &stream);
    while (stream && rc == 0 && (entry = readdir(stream)))
        if (is_record_name(entry->d_name))
            rc = list_folder(dir, entry->d_name, err, listing);
    if (stream)
        closedir(stream);
    return rc;
}

static int by_use(const void *a, const void *b) {
    const struct record_file *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    if (x->used.tv_nsec != y->used.tv_nsec)
        return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* What another process removed meanwhile is gone as well. */
static void remove_file(const char *dir, const struct record_file *file) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s/%s", dir, file->folder, file->name);
    unlink(path);
    snprintf(path, sizeof path, "%s/%s", dir, file->folder);
    rmdir(path); /* the last one's folder */
}

int evaluation_trim(const char *dir, int64_t limit_bytes, struct err *err, int64_t *ret_bytes) {
    struct listing listing = {0};
    int rc = list_all(dir, err, &listing);
    if (rc == 0 && listing.bytes > limit_bytes) {
        qsort(listing.files, listing.n, sizeof *listing.files, by_use);
        for (size_t i = 0; i < listing.n && listing.bytes > limit_bytes; i++) {
            remove_file(dir, &listing.files[i]);
            listing.bytes -= listing.files[i].bytes;
        }
    }
    if (rc == 0)
        *ret_bytes = listing.bytes;
    free(listing.files);
    return rc;
}
