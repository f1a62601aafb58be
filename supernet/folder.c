#include "supernet/folder.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "supernet/dataset_format.h"
#include "supernet/image.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_BYTES_MAX = 1 << 30, GROW_FILES = 4096, PATH_BYTES = 4096 };

/* Names of the entries of one folder, sorted bytewise. */
struct entries {
    char **names;
    size_t n, capacity;
};

static int no_memory(struct err *err) {
    return err_set(err, ESP_ENOMEM, NULL, "no memory for a list of files");
}

static void entries_finish(struct entries *entries) {
    dataset_free_names(entries->names, entries->n);
    *entries = (struct entries){0};
}

static int entries_add(struct entries *entries, const char *name, struct err *err) {
    if (entries->n == entries->capacity) {
        size_t capacity = entries->capacity ? 2 * entries->capacity : 64;
        char **grown = reallocarray(entries->names, capacity, sizeof *grown);
        if (!grown)
            return no_memory(err);
        entries->names = grown;
        entries->capacity = capacity;
    }
    if (!(entries->names[entries->n] = mem_strdup(name)))
        return no_memory(err);
    entries->n++;
    return 0;
}

static int bytewise(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int open_folder(int at, const char *name) {
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

/* Everything below fd (taken) whose name does not begin with a dot. */
static int read_entries(int fd, const char *shown, size_t limit, struct err *err,
                        struct entries *ret) {
    int rc = 0;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return no_memory(err);
    }
    for (struct dirent *entry; rc == 0 && (errno = 0, entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        rc = ret->n < limit ? entries_add(ret, entry->d_name, err)
                            : err_set(err, ESP_ELIMIT, "/path", "%s holds more than %zu entries",
                                      shown, limit);
    }
    if (rc == 0 && errno != 0)
        rc = err_set(err, ESP_EIO, "/path", "cannot read %s: %s", shown, strerror(errno));
    closedir(dir);
    if (rc == 0 && ret->n > 0)
        qsort(ret->names, ret->n, sizeof *ret->names, bytewise);
    return rc;
}

static bool is_folder(int at, const char *name) {
    struct stat st;
    return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Leaves only the folders among the entries. */
static void keep_folders(int at, struct entries *entries) {
    size_t kept = 0;
    for (size_t i = 0; i < entries->n; i++) {
        if (is_folder(at, entries->names[i]))
            entries->names[kept++] = entries->names[i];
        else
            free(entries->names[i]);
    }
    entries->n = kept;
}

static bool is_image_name(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

const char *folder_name(const struct folder_list *list, const struct folder_file *file) {
    return list->names + file->name;
}

static void join(const struct folder_list *list, int split, size_t class_index, const char *name,
                 char *ret, size_t size) {
    const char *part = list->parts[split];
    snprintf(ret, size, "%s%s%s/%s", part, part[0] ? "/" : "", list->classes[class_index], name);
}

void folder_path(const struct folder_list *list, const struct folder_file *file, char *ret_path,
                 size_t size) {
    join(list, file->split, file->class_index, folder_name(list, file), ret_path, size);
}

static int add_file(struct folder_list *list, const struct folder_file *file, const char *name,
                    struct err *err) {
    size_t len = strlen(name) + 1;
    if (list->n_files == FOLDER_FILES_MAX || list->names_len > NAMES_BYTES_MAX)
        return err_set(err, ESP_ELIMIT, "/path", "%s holds more than %d images", list->root,
                       FOLDER_FILES_MAX);
    if (list->n_files == list->files_capacity) {
        size_t capacity = list->files_capacity ? 2 * list->files_capacity : GROW_FILES;
        struct folder_file *grown = reallocarray(list->files, capacity, sizeof *grown);
        if (!grown)
            return no_memory(err);
        list->files = grown;
        list->files_capacity = capacity;
    }
    if (list->names_len + len > list->names_capacity) {
        size_t capacity = 2 * (list->names_len + len + 64 * GROW_FILES);
        char *grown = realloc(list->names, capacity);
        if (!grown)
            return no_memory(err);
        list->names = grown;
        list->names_capacity = capacity;
    }
    list->files[list->n_files] = *file;
    list->files[list->n_files++].name = list->names_len;
    memcpy(list->names + list->names_len, name, len);
    list->names_len += len;
    return 0;
}

static const char *what_is_wrong(const char *name, const struct stat *st) {
    if (!utf8_valid(name, strlen(name)))
        return "its name is not UTF-8";
    if (S_ISLNK(st->st_mode))
        return "it is a symbolic link, which is not followed";
    if (!S_ISREG(st->st_mode))
        return "it is no regular file";
    if (st->st_size == 0)
        return "it is empty";
    return st->st_size > IMAGE_FILE_BYTES_MAX ? "it is larger than 64 MiB" : NULL;
}

static int take_entry(struct folder_list *list, int fd, struct folder_file *file, const char *name,
                      struct err *err) {
    char path[PATH_BYTES];
    struct stat st;
    if (!is_image_name(name)) {
        list->n_ignored++;
        return 0;
    }
    const char *wrong = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? what_is_wrong(name, &st)
                                                                         : "it cannot be looked at";
    list->skipped.n_files++;
    if (wrong) {
        join(list, file->split, file->class_index, name, path, sizeof path);
        dataset_skip(&list->skipped, path, wrong);
        return 0;
    }
    file->bytes = st.st_size;
    file->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return add_file(list, file, name, err);
}

static int scan_class(struct folder_list *list, int part_fd, int split, size_t class_index,
                      struct err *err) {
    struct entries entries = {0};
    struct folder_file file = {.split = (uint8_t)split, .class_index = (uint16_t)class_index};
    size_t before = list->skipped.n_files;
    char shown[PATH_BYTES];
    join(list, split, class_index, "", shown, sizeof shown);
    int fd = open_folder(part_fd, list->classes[class_index]), rc = 0;
    if (fd < 0 && split != SPLIT_TRAIN && errno == ENOENT)
        return 0; /* a class without test images */
    if (fd < 0)
        return err_set(err, ESP_EIO, "/path", "cannot open %s: %s", shown, strerror(errno));
    int names_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = names_fd < 0 ? err_set(err, ESP_EIO, "/path", "cannot open %s: %s", shown, strerror(errno))
                      : read_entries(names_fd, shown, FOLDER_FILES_MAX, err, &entries);
    for (size_t i = 0; rc == 0 && i < entries.n; i++)
        rc = take_entry(list, fd, &file, entries.names[i], err);
    if (rc == 0 && split == SPLIT_TRAIN && list->skipped.n_files == before)
        rc = err_set(err, ESP_EINVAL, "/path", "the class folder %s holds no images", shown);
    entries_finish(&entries);
    close(fd);
    return rc;
}

static int check_classes(const struct folder_list *list, struct err *err) {
    const char *part = list->parts[SPLIT_TRAIN];
    if (list->n_classes < 2)
        return err_set(err, ESP_EINVAL, "/path",
                       "%s%s%s holds %zu class folder%s: one class cannot be learnt", list->root,
                       part[0] ? "/" : "", part, list->n_classes, list->n_classes == 1 ? "" : "s");
    for (size_t i = 0; i < list->n_classes; i++)
        if (!utf8_valid(list->classes[i], strlen(list->classes[i])))
            return err_set(err, ESP_EINVAL, "/path",
                           "the name of class folder %zu of %zu (sorted) in %s is not UTF-8: "
                           "rename it",
                           i + 1, list->n_classes, list->root);
    return 0;
}

static int known_class(const struct folder_list *list, const char *name) {
    return bsearch(&name, list->classes, list->n_classes, sizeof name, bytewise) != NULL;
}

static int read_classes(struct folder_list *list, int fd, struct err *err) {
    struct entries entries = {0};
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = own < 0 ? err_set(err, ESP_EIO, "/path", "cannot open %s", list->root)
                     : read_entries(own, list->root, FOLDER_CLASSES_MAX, err, &entries);
    if (rc == 0)
        keep_folders(fd, &entries);
    list->classes = entries.names;
    list->n_classes = entries.n;
    return rc == 0 ? check_classes(list, err) : rc;
}

/* A test folder must not hold a class that training never saw. */
static int check_other_classes(const struct folder_list *list, int fd, const char *part,
                               struct err *err) {
    struct entries entries = {0};
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = own < 0 ? err_set(err, ESP_EIO, "/path", "cannot open %s/%s", list->root, part)
                     : read_entries(own, part, FOLDER_CLASSES_MAX, err, &entries);
    if (rc == 0)
        keep_folders(fd, &entries);
    if (rc == 0 && entries.n == 0)
        rc = err_set(err, ESP_EINVAL, "/path", "%s/%s holds no class folders", list->root, part);
    for (size_t i = 0; rc == 0 && i < entries.n; i++)
        if (!known_class(list, entries.names[i]))
            rc = err_set(err, ESP_EINVAL, "/path",
                         "%s/%.100s is a class that %s/%s does not have: its label is out of range",
                         part,
                         utf8_valid(entries.names[i], strlen(entries.names[i]))
                             ? entries.names[i]
                             : "(a name that is not UTF-8)",
                         list->root, list->parts[SPLIT_TRAIN]);
    entries_finish(&entries);
    return rc;
}

static int scan_part(struct folder_list *list, int root_fd, int split, struct err *err) {
    const char *part = list->parts[split];
    int fd = open_folder(root_fd, part[0] ? part : "."), rc = 0;
    if (fd < 0)
        return err_set(err, ESP_EIO, "/path", "cannot open %s/%s: %s", list->root, part,
                       strerror(errno));
    rc = split == SPLIT_TRAIN ? read_classes(list, fd, err)
                              : check_other_classes(list, fd, part, err);
    for (size_t i = 0; rc == 0 && i < list->n_classes; i++)
        rc = scan_class(list, fd, split, i, err);
    close(fd);
    return rc;
}

/* With one of val and test only it scores what is kept; with both, val is for choosing. */
static void choose_parts(struct folder_list *list, int fd) {
    bool val = is_folder(fd, "val"), test = is_folder(fd, "test");
    list->parts[SPLIT_TRAIN] = is_folder(fd, "train") ? "train" : "";
    if (!list->parts[SPLIT_TRAIN][0]) {
        list->cut = true;
        return;
    }
    list->cut = !val && !test;
    list->parts[SPLIT_VALIDATION] = val && test ? "val" : NULL;
    list->parts[SPLIT_TEST] = test ? "test" : val ? "val" : NULL;
}

int folder_scan(const char *root, struct err *err, struct folder_list *ret_list) {
    struct folder_list list = {.root = mem_strdup(root)};
    int rc = list.root ? 0 : no_memory(err);
    int fd = rc == 0 ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (rc == 0 && fd < 0)
        rc = err_set(err, ESP_ENOTFOUND, "/path", "cannot open %s: %s", root, strerror(errno));
    if (rc == 0)
        choose_parts(&list, fd);
    for (int split = 0; rc == 0 && split < SPLITS; split++)
        if (list.parts[split])
            rc = scan_part(&list, fd, split, err);
    if (fd >= 0)
        close(fd);
    if (rc == 0)
        *ret_list = list;
    else
        folder_finish(&list);
    return rc;
}

void folder_finish(struct folder_list *list) {
    free(list->root);
    dataset_free_names(list->classes, list->n_classes);
    free(list->files);
    free(list->names);
    dataset_skipped_finish(&list->skipped);
    *list = (struct folder_list){0};
}

static bool holds_image(int at, const char *name) {
    int fd = open_folder(at, name);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    bool found = false;
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));)
        found = entry->d_name[0] != '.' && is_image_name(entry->d_name);
    if (dir)
        closedir(dir);
    else if (fd >= 0)
        close(fd);
    return found;
}

bool folder_probe(const char *root) {
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int part = fd < 0 ? -1 : open_folder(fd, is_folder(fd, "train") ? "train" : ".");
    DIR *dir = part < 0 ? NULL : fdopendir(part);
    bool found = false;
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));)
        found = entry->d_name[0] != '.' && holds_image(dirfd(dir), entry->d_name);
    if (dir)
        closedir(dir);
    else if (part >= 0)
        close(part);
    if (fd >= 0)
        close(fd);
    return found;
}

void folder_fingerprint(const struct folder_list *list, char ret_text[HASH_TEXT_LONG]) {
    struct hash hash;
    hash_init(&hash);
    for (size_t i = 0; i < list->n_classes; i++)
        hash_update(&hash, list->classes[i], strlen(list->classes[i]) + 1);
    for (size_t i = 0; i < list->n_files; i++) {
        const struct folder_file *file = &list->files[i];
        const char *name = folder_name(list, file);
        int64_t numbers[4] = {file->split, file->class_index, file->bytes, file->mtime_ns};
        hash_update(&hash, name, strlen(name) + 1);
        hash_update(&hash, numbers, sizeof numbers);
    }
    hash_update(&hash, &list->skipped.n, sizeof list->skipped.n);
    hash_final(&hash, ret_text);
}

static int read_all(int fd, size_t bytes, struct err *err, uint8_t **ret_data) {
    size_t got = 0;
    uint8_t *data = malloc(bytes);
    if (!data)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for its bytes");
    while (got < bytes) {
        ssize_t n = read(fd, data + got, bytes - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            free(data);
            return n < 0 ? err_set(err, ESP_EIO, NULL, "it cannot be read: %s", strerror(errno))
                         : err_set(err, ESP_ECORRUPT, NULL, "it was cut short meanwhile");
        }
        got += (size_t)n;
    }
    *ret_data = data;
    return 0;
}

int folder_read(const struct folder_list *list, const struct folder_file *file, struct err *err,
                uint8_t **ret_data) {
    char path[PATH_BYTES];
    struct stat st;
    int rc;
    size_t len = (size_t)snprintf(path, sizeof path, "%s/", list->root);
    if (len >= sizeof path - 3 * FOLDER_NAME_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "its path is too long");
    folder_path(list, file, path + len, sizeof path - len);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ESP_EIO, NULL, "it cannot be opened: %s", strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != file->bytes)
        rc = err_set(err, ESP_ECORRUPT, NULL, "it was changed meanwhile");
    else
        rc = read_all(fd, (size_t)file->bytes, err, ret_data);
    close(fd);
    return rc;
}
