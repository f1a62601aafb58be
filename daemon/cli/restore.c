/* espalier restore: puts a backup into the empty data folder of a daemon that does not run. Files
 * are copied and checked in RESTORE.PARTIAL there, then moved to their places; as long as that
 * folder is there espalierd does not start. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/manifest.h"

#define PARTIAL "restore.partial" /* daemon/main.c knows it too */
#define LOCK "espalierd.lock"
#define MOVED "restored.json" /* daemon/lifecycle.c reads it */
#define DATABASE "espalier.db"

struct restore {
    const char *backup, *state;
    char manifest[MANIFEST_LONG_PATH], partial[MANIFEST_LONG_PATH], files[MANIFEST_LONG_PATH],
        moving[MANIFEST_LONG_PATH]; /* the file that is there while files are moved */
    bool is_moving;
    bool has_database;
    struct manifest_head head;
};

static void name_all(struct restore *restore) {
    snprintf(restore->manifest, sizeof(restore->manifest), "%.4000s/" MANIFEST_NAME,
             restore->backup);
    snprintf(restore->partial, sizeof(restore->partial), "%.4000s/" PARTIAL, restore->state);
    snprintf(restore->files, sizeof(restore->files), "%.4090s/files", restore->partial);
    snprintf(restore->moving, sizeof(restore->moving), "%.4090s/moving", restore->partial);
}

/* Nothing but what a restore that was broken off left there; the same backup's, once files were
 * moved. */
static int check_empty(struct restore *restore, struct err *err) {
    char *text = NULL;
    size_t len = 0;
    const struct dirent *entry;
    DIR *dir = NULL;
    int rc = 0;

    restore->is_moving = file_exists(restore->moving);
    if (restore->is_moving) {
        rc = file_read(restore->moving, 256, err, &text, &len);
        if (!rc && strcmp(text, restore->head.id))
            rc = err_set(err, ESP_ECONFLICT, NULL,
                         "the restore of another backup (%.64s) was broken off in %s: end that "
                         "first, or empty the folder",
                         text, restore->state);
        free(text);
        return rc;
    }
    if (!(dir = opendir(restore->state)))
        return err_set(err, ESP_EIO, NULL, "cannot read %s: %s", restore->state, strerror(errno));
    while (!rc && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
            strcmp(entry->d_name, PARTIAL) && strcmp(entry->d_name, LOCK))
            rc = err_set(err, ESP_ECONFLICT, NULL,
                         "%s is not empty (%.100s): a backup is put into an empty folder only",
                         restore->state, entry->d_name);
    closedir(dir);
    return rc;
}

static int copy_one(void *context, const struct manifest_file *file, struct err *err) {
    struct restore *restore = context;
    char from[MANIFEST_LONG_PATH], to[MANIFEST_LONG_PATH], hash[HASH_TEXT_LONG];
    int64_t bytes = 0;
    int has = manifest_has(restore->files, file, err);

    restore->has_database |= !strcmp(file->path, DATABASE);
    if (!has && restore->is_moving)
        has = manifest_has(restore->state, file, err);
    if (has)
        return has < 0 ? has : 0;
    snprintf(from, sizeof(from), "%.4000s/%s", restore->backup, file->path);
    snprintf(to, sizeof(to), "%.4096s/%s", restore->files, file->path);
    int rc = manifest_make_parent(restore->files, file->path, err);
    if (!rc)
        rc = file_copy(from, to, err, &bytes, hash);
    if (!rc && (bytes != file->bytes || strcmp(hash, file->hash))) {
        remove(to);
        rc = err_set(err, ESP_ECORRUPT, NULL, "%s is damaged: it is not what was backed up", from);
    }
    return rc;
}

/* Where the files lay: the daemon changes paths that its database holds. */
static int tell_moved(const struct restore *restore, struct err *err) {
    char path[MANIFEST_LONG_PATH];
    cJSON *doc = cJSON_CreateObject();

    cJSON_AddStringToObject(doc, "data_dir", restore->head.data_dir);
    char *text = json_print(doc);
    cJSON_Delete(doc);
    if (!text)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    snprintf(path, sizeof(path), "%.4096s/" MOVED, restore->files);
    int rc = file_write_atomic(path, text, strlen(text), err);
    free(text);
    return rc;
}

static int move_one(const struct restore *restore, const char *name, struct err *err) {
    char from[MANIFEST_LONG_PATH], to[MANIFEST_LONG_PATH];

    snprintf(from, sizeof(from), "%.4096s/%.255s", restore->files, name);
    snprintf(to, sizeof(to), "%.4000s/%.255s", restore->state, name);
    if (!rename(from, to) || errno == ENOENT)
        return 0;
    return err_set(err, ESP_EIO, NULL, "cannot move %s to %s: %s", from, to, strerror(errno));
}

/* All entries, the database last. */
static int move_all(const struct restore *restore, struct err *err) {
    const struct dirent *entry;
    DIR *dir = opendir(restore->files);
    int rc = 0;

    if (!dir)
        return err_set(err, ESP_EIO, NULL, "cannot read %s: %s", restore->files, strerror(errno));
    while (!rc && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
            strcmp(entry->d_name, DATABASE))
            rc = move_one(restore, entry->d_name, err);
    closedir(dir);
    if (!rc)
        rc = move_one(restore, DATABASE, err);
    if (!rc)
        rc = file_sync_folder(restore->state, err);
    return rc;
}

static int put_back(struct restore *restore, struct err *err) {
    int rc = check_empty(restore, err);

    if (!rc)
        rc = file_make_dirs(restore->files, err);
    if (!rc)
        rc = manifest_each(restore->manifest, copy_one, restore, err);
    if (!rc && !restore->has_database)
        rc = err_set(err, ESP_ECORRUPT, NULL, "the backup holds no database");
    if (!rc)
        rc = tell_moved(restore, err);
    if (!rc)
        rc = file_write_atomic(restore->moving, restore->head.id, strlen(restore->head.id), err);
    if (!rc)
        rc = move_all(restore, err);
    return rc ? rc : file_remove_tree(restore->partial, err);
}

static int check_backup(struct restore *restore, struct err *err) {
    int rc = manifest_check(restore->manifest, err, &restore->head);

    if (!rc && restore->head.schema > ESP_SCHEMA)
        rc = err_set(err, ESP_EVERSION, NULL,
                     "the backup is of schema %lld (espalierd %s), this program knows those up to "
                     "%d: install the newer version",
                     (long long)restore->head.schema, restore->head.version, ESP_SCHEMA);
    return rc;
}

static int restore_all(struct restore *restore, struct err *err) {
    char lock[MANIFEST_LONG_PATH];
    int fd = -1;
    int rc = check_backup(restore, err);

    if (!rc)
        rc = file_make_dirs(restore->state, err);
    snprintf(lock, sizeof(lock), "%.4000s/" LOCK, restore->state);
    if (!rc && (rc = file_lock(lock, err, &fd)) == ESP_EBUSY)
        rc = err_set(err, ESP_ECONFLICT, NULL, "an espalierd, or another restore, uses %s",
                     restore->state);
    if (!rc)
        rc = put_back(restore, err);
    if (fd >= 0)
        close(fd);
    return rc;
}

static void print_done(struct cli *cli, const struct restore *restore) {
    const struct manifest_head *head = &restore->head;
    cJSON *doc = cJSON_CreateObject();

    cJSON_AddStringToObject(doc, "id", head->id);
    cJSON_AddStringToObject(doc, "path", restore->state);
    cJSON_AddStringToObject(doc, "created_at", head->created_at);
    cJSON_AddNumberToObject(doc, "schema", (double)head->schema);
    cJSON_AddNumberToObject(doc, "files", (double)head->files);
    cJSON_AddNumberToObject(doc, "bytes", (double)head->bytes);
    if (!cli_print_plain(cli, doc))
        printf("%s: %lld files, %.1f MB, as of %s\n", restore->state, (long long)head->files,
               (double)head->bytes / 1e6, head->created_at);
    cJSON_Delete(doc);
}

static int run(struct cli *cli, int argc, char **argv) {
    const char *state = NULL;
    const struct option_row rows[] = {{"data-dir", 'd', OPTION_TEXT, NULL, 1, 4000, "",
                                       "empty data folder to put it into, of an espalierd that "
                                       "does not run; to be given",
                                       &state},
                                      CLI_LOCAL_ROWS(cli)};
    struct err err = {0};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){1, 1}, &first);

    if (code >= 0)
        return code;
    if (!state || strlen(argv[first]) > 4000)
        return cli_usage(state ? "the backup's path is too long" : "name the --data-dir");
    struct restore *restore = calloc(1, sizeof(*restore));
    if (!restore)
        return CLI_FAILURE;
    restore->backup = argv[first];
    restore->state = state;
    name_all(restore);
    code = restore_all(restore, &err) ? cli_fail(&err) : CLI_OK;
    if (!code)
        print_done(cli, restore);
    free(restore);
    return code;
}

const struct cli_command cli_restore = {"restore", NULL, "FOLDER",
                                        "put a backup into the empty data folder of a daemon", run};
