/* A tree of files as hostile bytes ask for it: each three bytes and a name make a folder, a file, a
 * link or a pipe. It is refused with an error, or listed, and then every file is below its class.
 */
#include "supernet/folder.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENTRIES_MAX = 24, NAME_MAX_BYTES = 12 };

static char root[64];

static void require(bool ok) {
    if (!ok)
        abort();
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    return ftw->level == 0 ? 0 : remove(path);
}

static void remove_root(void) {
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    rmdir(root);
}

static void make_root(void) {
    snprintf(root, sizeof root, "%s/espalier-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    require(mkdtemp(root) != NULL);
    atexit(remove_root);
}

static const char *folder_of(unsigned choice) {
    static const char *const folders[] = {"",       "train", "test",      "val",
                                          "a",      "b",     "train/a",   "train/b",
                                          "test/a", "val/b", "train/a/c", "\xff"};
    return folders[choice % (sizeof folders / sizeof *folders)];
}

static void make_entry(unsigned kind, unsigned where, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s/%s", root, folder_of(where), name);
    int fd = -1;
    switch (kind % 5) {
    case 0:
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd >= 0 && write(fd, "x", kind & 8 ? 1 : 0) < 0)
            abort();
        break;
    case 1:
    case 2:
        mkdir(path, 0700);
        break;
    case 3:
        require(symlink("..", path) == 0 || true);
        break;
    case 4:
        mkfifo(path, 0600);
        break;
    }
    if (fd >= 0)
        close(fd);
}

static void make_tree(const uint8_t *data, size_t size) {
    char name[NAME_MAX_BYTES + 8];
    for (int i = 0; i < ENTRIES_MAX && size >= 3; i++) {
        size_t len = data[2] % NAME_MAX_BYTES, used = 0;
        unsigned kind = data[0], where = data[1];
        len = len < size - 3 ? len : size - 3;
        for (size_t j = 0; j < len; j++)
            if (data[3 + j] && data[3 + j] != '/')
                name[used++] = (char)data[3 + j];
        snprintf(name + used, sizeof name - used, "%s", kind & 16 ? ".png" : "");
        if (name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            make_entry(kind, where, name);
        data += 3 + len;
        size -= 3 + len;
    }
}

static void check(const struct folder_list *list) {
    char path[512], whole[1024];
    struct stat st;
    require(list->n_classes >= 2 && list->skipped.n_files == list->n_files + list->skipped.n);
    for (size_t i = 0; i < list->n_files; i++) {
        require(list->files[i].class_index < list->n_classes && list->files[i].split < SPLITS);
        folder_path(list, &list->files[i], path, sizeof path);
        snprintf(whole, sizeof whole, "%s/%s", root, path);
        require(lstat(whole, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0);
    }
}

int fuzz_one(const uint8_t *data, size_t size) {
    struct folder_list list = {0};
    struct err err = {0};
    char text[HASH_TEXT_LONG];
    if (!root[0])
        make_root();
    make_tree(data, size);
    folder_probe(root);
    int rc = folder_scan(root, &err, &list);
    require(rc == 0 || (err.code == rc && err.message[0] && !list.root));
    if (rc == 0) {
        check(&list);
        folder_fingerprint(&list, text);
    }
    folder_finish(&list);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
