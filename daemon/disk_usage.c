#include "daemon/disk_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 32, BLOCK = 512 };

const char *const disk_kind_names[] = {"database", "checkpoints", "models",  "uploads", "caches",
                                       "exports",  "jobs",        "backups", NULL};

struct walk {
    const atomic_bool *stop; /* NULL: never */
    double *bytes;           /* by kind */
};

/* Of which kind what lies in a folder is; in any other it is of its parent's. */
static const struct place {
    const char *name;
    int depth; /* of the data folder itself: 0 */
    int kind;
} places[] = {{"supernets", 0, DISK_CACHES}, {"checkpoints", 2, DISK_CHECKPOINTS},
              {"datasets", 0, DISK_CACHES},  {"models", 0, DISK_MODELS},
              {"uploads", 0, DISK_UPLOADS},  {"exports", 0, DISK_EXPORTS},
              {"jobs", 0, DISK_JOBS},        {"backups", 0, DISK_BACKUPS}};

/* "checkpoints" is a folder of a supernet only, or else anybody's. */
static int kind_of(const char *name, int depth, int kind) {
    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++)
        if (places[i].depth == depth && strcmp(places[i].name, name) == 0 &&
            (depth == 0 || kind == DISK_CACHES))
            return places[i].kind;
    return kind;
}

/* A folder of the data folder's own may be a link to another disk; no other link is followed. */
static bool is_place(const char *name, int depth) {
    for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++)
        if (depth == 0 && places[i].depth == 0 && strcmp(places[i].name, name) == 0)
            return true;
    return false;
}

static void walk_folder(const struct walk *walk, int fd, int depth, int kind);

static void walk_entry(const struct walk *walk, int fd, const char *name, int depth, int kind) {
    struct stat info;
    bool follow = is_place(name, depth);
    if (fstatat(fd, name, &info, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (S_ISREG(info.st_mode) && info.st_nlink > 0)
        walk->bytes[kind] += (double)info.st_blocks * BLOCK / (double)info.st_nlink;
    if (!S_ISDIR(info.st_mode) || depth == DEPTH_MAX)
        return;
    int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
    if (below >= 0)
        walk_folder(walk, below, depth + 1, kind_of(name, depth, kind));
}

/* Takes fd. */
static void walk_folder(const struct walk *walk, int fd, int depth, int kind) {
    const struct dirent *entry;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        close(fd);
        return;
    }
    while ((walk->stop == NULL || !atomic_load(walk->stop)) && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            walk_entry(walk, fd, entry->d_name, depth, kind);
    closedir(dir);
}

void disk_usage_measure(const char *data_dir, const atomic_bool *stop,
                        double ret_bytes[DISK_KINDS]) {
    struct walk walk = {stop, ret_bytes};
    memset(ret_bytes, 0, DISK_KINDS * sizeof(*ret_bytes));
    int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        walk_folder(&walk, fd, 0, DISK_DATABASE);
}

double disk_usage_of(const char *path) {
    double bytes[DISK_KINDS] = {0};
    struct walk walk = {NULL, bytes};
    walk_entry(&walk, AT_FDCWD, path, 1, DISK_JOBS);
    return bytes[DISK_JOBS];
}
