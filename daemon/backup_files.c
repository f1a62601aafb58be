#include "daemon/backup_files.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/parameter.h"
#include "daemon/job_files.h"
#include "daemon/store_backup.h"

enum { DEPTH_MAX = 16, LONG_PATH = PATH_SIZE * 2, BACKUP_PATH_MAX = 1000 };

/* Folders below the data folder that are kept. Files that are ever written in place are copied,
 * others have a second name made for the same bytes. */
static const struct kept {
    const char *name;
    bool in_place;
    bool of_people; /* who call files as they like: none is half written, or a lock */
} kept[] = {{"supernets", false, false}, {"datasets", false, false}, {"models", false, false},
            {"exports", false, false},   {"uploads", true, true},    {"jobs", true, false}};

bool backup_path_ok(const char *path) {
    return strlen(path) <= BACKUP_PATH_MAX && file_stays_below(path);
}

static bool ends_with(const char *text, const char *end) {
    size_t len = strlen(text), n = strlen(end);
    return len >= n && strcmp(text + len - n, end) == 0;
}

struct gather {
    const struct backup_making *making;
    const char *target; /* the backup's folder */
    bool in_place, of_people;
};

/* What its writer has not finished, or needs no more. */
static bool is_left_out(const struct gather *gather, const char *name) {
    return !gather->of_people && (ends_with(name, ".partial") || strcmp(name, "job.lock") == 0);
}

/* What is replaced as a whole and never written to: checkpoints, wherever they lie. */
static bool is_linked(const struct gather *gather, const char *name) {
    return !gather->in_place || ends_with(name, ".ckpt");
}

static int take_file(const struct gather *gather, const char *relative, const char *name,
                     struct err *err) {
    char from[LONG_PATH], to[LONG_PATH];
    snprintf(from, sizeof(from), "%.900s/%.1000s", gather->making->data_dir, relative);
    snprintf(to, sizeof(to), "%.900s/%.1000s", gather->target, relative);
    if (is_linked(gather, name) && (link(from, to) == 0 || errno == ENOENT))
        return 0;                                 /* or removed meanwhile */
    int r = file_copy(from, to, err, NULL, NULL); /* also from another file system */
    return r == ESP_ENOTFOUND ? 0 : r;
}

static int take_folder(const struct gather *gather, const char *relative, int depth,
                       struct err *err);

static int take_entry(const struct gather *gather, const char *relative, const char *name,
                      int depth, struct err *err) {
    char below[LONG_PATH], path[LONG_PATH];
    struct stat info;
    if (is_left_out(gather, name))
        return 0;
    if (atomic_load(&gather->making->stop))
        return err_set(err, ESP_ECANCELED, NULL, "the daemon is stopping");
    if (snprintf(below, sizeof(below), "%.1000s/%.255s", relative, name) > BACKUP_PATH_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "%.200s… has too long a path for a backup", below);
    snprintf(path, sizeof(path), "%.900s/%.1000s", gather->making->data_dir, below);
    if (lstat(path, &info) != 0)
        return 0;
    if (S_ISDIR(info.st_mode))
        return take_folder(gather, below, depth + 1, err);
    return S_ISREG(info.st_mode) ? take_file(gather, below, name, err) : 0;
}

static int take_folder(const struct gather *gather, const char *relative, int depth,
                       struct err *err) {
    char path[LONG_PATH];
    const struct dirent *entry;
    if (depth > DEPTH_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "%.200s is too deep for a backup", relative);
    snprintf(path, sizeof(path), "%.900s/%.1000s", gather->target, relative);
    int r = file_make_dirs(path, err);
    snprintf(path, sizeof(path), "%.900s/%.1000s", gather->making->data_dir, relative);
    DIR *dir = r == 0 ? opendir(path) : NULL;
    while (dir != NULL && r == 0 && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = take_entry(gather, relative, entry->d_name, depth, err);
    if (dir != NULL)
        closedir(dir);
    return r;
}

static int take_all(const struct backup_making *making, const char *target, struct err *err) {
    int r = 0;
    for (unsigned i = 0; i < sizeof(kept) / sizeof(*kept) && r == 0; i++)
        r = take_folder(&(struct gather){making, target, kept[i].in_place, kept[i].of_people},
                        kept[i].name, 0, err);
    return r;
}

static bool is_of_people(const char *folder) {
    for (unsigned i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        if (strncmp(folder, kept[i].name, strlen(kept[i].name)) == 0)
            return kept[i].of_people;
    return false;
}

/* What the database knows of came to be after its folder was looked at: it is taken now. */
static int take_late(const struct backup_making *making, const char *target, struct sql *sql,
                     struct err *err) {
    cJSON *files = NULL;
    const cJSON *row;
    int r = store_backup_files(sql, making->data_dir, err, &files);
    cJSON_ArrayForEach(row, files) {
        const char *relative = cJSON_GetStringValue(cJSON_GetObjectItem(row, "path"));
        char path[LONG_PATH];
        if (r != 0 || relative == NULL || !backup_path_ok(relative))
            continue;
        snprintf(path, sizeof(path), "%.900s/%.1000s", target, relative);
        if (access(path, F_OK) == 0)
            continue;
        char folder[BACKUP_PATH_MAX + 1], *slash;
        snprintf(folder, sizeof(folder), "%s", relative);
        slash = strrchr(folder, '/');
        if (slash == NULL)
            continue;
        *slash = '\0';
        snprintf(path, sizeof(path), "%.900s/%.1000s", target, folder);
        r = file_make_dirs(path, err);
        if (r == 0)
            r = take_entry(&(struct gather){making, target, false, is_of_people(folder)}, folder,
                           slash + 1, 0, err);
    }
    cJSON_Delete(files);
    return r;
}

/* ---- the manifest -----------------------------------------------------------------------------
 */

struct listing {
    const struct backup_making *making;
    const char *target;
    struct file_writer *writer;
    struct hash hash;
    int64_t files, bytes;
};

/* Takes line. */
static int put_line(struct listing *list, cJSON *line, struct err *err) {
    char *text = line != NULL ? json_print(line) : NULL;
    cJSON_Delete(line);
    if (text == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    int r = file_writer_put(list->writer, text, strlen(text), err);
    if (r == 0)
        r = file_writer_put(list->writer, "\n", 1, err);
    hash_update(&list->hash, text, strlen(text));
    hash_update(&list->hash, "\n", 1);
    free(text);
    return r;
}

static int list_file(struct listing *list, const char *relative, struct err *err) {
    char path[LONG_PATH], hash[HASH_TEXT_LONG];
    int64_t bytes = 0;
    if (atomic_load(&list->making->stop))
        return err_set(err, ESP_ECANCELED, NULL, "the daemon is stopping");
    snprintf(path, sizeof(path), "%.900s/%.1000s", list->target, relative);
    int r = file_hash(path, err, &bytes, hash);
    if (r != 0)
        return r;
    cJSON *line = cJSON_CreateObject();
    cJSON_AddStringToObject(line, "path", relative);
    cJSON_AddNumberToObject(line, "bytes", (double)bytes);
    cJSON_AddStringToObject(line, "hash", hash);
    list->files++;
    list->bytes += bytes;
    return put_line(list, line, err);
}

static int list_folder(struct listing *list, const char *relative, struct err *err) {
    char path[LONG_PATH], below[LONG_PATH];
    const struct dirent *entry;
    struct stat info;
    int r = 0;
    snprintf(path, sizeof(path), "%.900s/%.1000s", list->target, relative);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return err_set(err, ESP_EIO, NULL, "cannot read %s: %s", path, strerror(errno));
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof(below), "%.1000s/%.255s", relative, entry->d_name);
        snprintf(path, sizeof(path), "%.900s/%.1000s", list->target, below);
        if (lstat(path, &info) != 0)
            r = err_set(err, ESP_EIO, NULL, "cannot read %s: %s", path, strerror(errno));
        else
            r = S_ISDIR(info.st_mode) ? list_folder(list, below, err) : list_file(list, below, err);
    }
    closedir(dir);
    return r;
}

static cJSON *head_line(const struct backup_making *making, int64_t schema) {
    char now[40];
    cJSON *line = cJSON_CreateObject();
    clock_format_utc(clock_wall_us(), now, sizeof(now));
    cJSON_AddNumberToObject(line, "format", BACKUP_FORMAT);
    cJSON_AddStringToObject(line, "id", making->id);
    cJSON_AddStringToObject(line, "created_at", now);
    cJSON_AddStringToObject(line, "version", ESP_VERSION);
    cJSON_AddNumberToObject(line, "schema", (double)schema);
    cJSON_AddStringToObject(line, "data_dir", making->data_dir);
    return line;
}

static int list_all(struct listing *list, int64_t schema, struct err *err) {
    char hash[HASH_TEXT_LONG];
    int r = put_line(list, head_line(list->making, schema), err);
    for (unsigned i = 0; i < sizeof(kept) / sizeof(*kept) && r == 0; i++)
        r = list_folder(list, kept[i].name, err);
    if (r == 0)
        r = list_file(list, BACKUP_DATABASE, err);
    if (r != 0)
        return r;
    cJSON *line = cJSON_CreateObject();
    struct hash until_now = list->hash;
    hash_final(&until_now, hash);
    cJSON_AddNumberToObject(line, "files", (double)list->files);
    cJSON_AddNumberToObject(line, "bytes", (double)list->bytes);
    cJSON_AddStringToObject(line, "hash", hash);
    return put_line(list, line, err);
}

static int write_manifest(const struct backup_making *making, const char *target, int64_t schema,
                          struct err *err) {
    struct listing list = {.making = making, .target = target};
    char path[LONG_PATH];
    snprintf(path, sizeof(path), "%.900s/" BACKUP_MANIFEST, target);
    hash_init(&list.hash);
    int r = file_writer_open(path, err, &list.writer);
    if (r != 0)
        return r;
    r = list_all(&list, schema, err);
    if (r == 0)
        return file_writer_commit(list.writer, err);
    file_writer_abort(list.writer);
    return r;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

/* Files first, then the moment of the database: it knows nothing that is not there, and what is
 * there beside was said by jobs that say it again. */
static int fill(struct backup_making *making, const char *target, struct sql *sql,
                struct err *err) {
    char path[LONG_PATH];
    int64_t schema = 0;
    int r = take_all(making, target, err);
    if (r == 0)
        r = store_backup_pin(sql, err, &schema);
    if (r == 0)
        r = take_late(making, target, sql, err);
    atomic_store(&making->gathered, true);
    snprintf(path, sizeof(path), "%.900s/" BACKUP_DATABASE, target);
    if (r == 0)
        r = store_backup_copy(sql, path, err);
    return r == 0 ? write_manifest(making, target, schema, err) : r;
}

int backup_make(struct backup_making *making, struct sql *sql, struct err *err) {
    char target[PATH_SIZE], whole[PATH_SIZE];
    snprintf(whole, sizeof(whole), "%.900s/backups/%s", making->data_dir, making->id);
    snprintf(target, sizeof(target), "%.980s.partial", whole);
    int r = file_make_dirs(target, err);
    if (r == 0)
        r = fill(making, target, sql, err);
    if (r == 0 && rename(target, whole) != 0)
        r = err_set(err, ESP_EIO, NULL, "cannot name %s: %s", whole, strerror(errno));
    if (r != 0)
        file_remove_tree(target, NULL);
    return r;
}

int backup_find(const char *data_dir, const char *id, const char *file, struct err *err,
                char ret_path[LONG_PATH]) {
    char path[LONG_PATH];
    struct stat info;
    snprintf(path, sizeof(path), "%.900s/backups/%.60s", data_dir, id);
    if (!id_is(id, "bk_") || stat(path, &info) != 0)
        return err_set(err, ESP_ENOTFOUND, NULL, "there is no backup \"%.60s\"", id);
    if (file != NULL && !backup_path_ok(file))
        return parameter_refuse(err, ESP_EPARSE, "path", " is a path of the manifest");
    if (file != NULL)
        snprintf(path, sizeof(path), "%.900s/backups/%.60s/%.1000s", data_dir, id, file);
    if (file != NULL && stat(path, &info) != 0)
        return err_set(err, ESP_ENOTFOUND, NULL, "the backup has no file \"%.200s\"", file);
    memcpy(ret_path, path, sizeof(path));
    return 0;
}

/* Calls each with the names in backups/, until it returns false. */
static void each_name(const char *data_dir, bool (*each)(void *context, const char *name),
                      void *context) {
    char path[LONG_PATH];
    const struct dirent *entry;
    snprintf(path, sizeof(path), "%.900s/backups", data_dir);
    DIR *dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (!each(context, entry->d_name))
            break;
    if (dir != NULL)
        closedir(dir);
}

static bool remove_partial(void *context, const char *name) {
    char path[LONG_PATH];
    struct err err = {0};
    if (!id_has_prefix(name, "bk_") || !ends_with(name, ".partial"))
        return true;
    snprintf(path, sizeof(path), "%.900s/backups/%.100s", (const char *)context, name);
    if (file_remove_tree(path, &err) != 0)
        log_warn("%s", err.message);
    return true;
}

void backup_remove_partial(const char *data_dir) {
    each_name(data_dir, remove_partial, (void *)data_dir);
}

struct ids {
    char (*ids)[ID_MAX];
    int n, max;
};

static bool add_id(void *context, const char *name) {
    struct ids *ids = context;
    if (id_is(name, "bk_") && strlen(name) < ID_MAX)
        snprintf(ids->ids[ids->n++], ID_MAX, "%s", name);
    return ids->n < ids->max;
}

static int newest_first(const void *a, const void *b) {
    return strcmp(b, a);
}

int backup_list(const char *data_dir, char (*ret_ids)[ID_MAX], int max) {
    struct ids ids = {ret_ids, 0, max};
    each_name(data_dir, add_id, &ids);
    qsort(ret_ids, (size_t)ids.n, ID_MAX, newest_first);
    return ids.n;
}

/* Text with each path below from made one below to. What is below to already stays, also where one
 * of the two lies in the other. */
static void move_paths(const char *text, const char *from, const char *to, struct buf *out) {
    size_t from_len = strlen(from), to_len = strlen(to);
    for (const char *at = text; *at != '\0'; at++) {
        buf_append(out, at, 1);
        if (*at != '"' || strncmp(at + 1, from, from_len) != 0 || at[1 + from_len] != '/' ||
            (strncmp(at + 1, to, to_len) == 0 && at[1 + to_len] == '/'))
            continue;
        buf_append(out, to, to_len);
        at += from_len;
    }
}

static int move_spec(const char *path, const char *from, const char *to, struct err *err) {
    enum { SPEC_BYTES = 64 << 20 };
    char *text = NULL;
    size_t len = 0;
    struct buf out;
    int r = file_read(path, SPEC_BYTES, err, &text, &len);
    if (r != 0)
        return r == ESP_ENOTFOUND ? 0 : r; /* no search's job */
    buf_init(&out, 0);
    move_paths(text, from, to, &out);
    r = out.error != 0 ? err_set(err, out.error, NULL, "out of memory")
                       : file_write_atomic(path, out.data, out.len, err);
    buf_finish(&out);
    free(text);
    return r;
}

int backup_move_specs(const char *data_dir, const char *from, struct err *err) {
    char path[LONG_PATH];
    const struct dirent *entry;
    int r = 0;
    snprintf(path, sizeof(path), "%.900s/jobs", data_dir);
    DIR *dir = strcmp(from, data_dir) != 0 ? opendir(path) : NULL;
    while (dir != NULL && r == 0 && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%.900s/jobs/%.255s/" JOB_SEARCH_SPEC, data_dir,
                 entry->d_name);
        r = move_spec(path, from, data_dir, err);
    }
    if (dir != NULL)
        closedir(dir);
    return r;
}
