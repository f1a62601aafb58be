#include "daemon/janitor.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/database_check.h"
#include "daemon/disk.h"
#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_models.h"
#include "daemon/store_system.h"
#include "daemon/uploads.h"

enum {
    DAY_MS = 24 * 3600 * 1000,
    LATER_MS = 5000,
    BACKUP_KEPT_S = 2 * 24 * 3600,
    CHECKPOINT_YOUNG_S = 3600
};

struct janitor {
    struct daemon *daemon;
    uv_timer_t timer;
    bool sweeping, again, closing, closed;
};

struct sweep {
    struct store_read read;
    struct janitor *janitor;
    struct database_check *check;
    int64_t jobs_us;
    char data_dir[PATH_SIZE];
};

static int supernets(struct sql *sql, int64_t jobs_us, struct err *err, cJSON **ret) {
    return store_supernet_ids(sql, err, ret);
}

static int datasets(struct sql *sql, int64_t jobs_us, struct err *err, cJSON **ret) {
    return store_dataset_ids(sql, err, ret);
}

static int uploads(struct sql *sql, int64_t jobs_us, struct err *err, cJSON **ret) {
    return store_paths_in_use(sql, err, ret);
}

static int models(struct sql *sql, int64_t jobs_us, struct err *err, cJSON **ret) {
    return store_model_ids(sql, err, ret);
}

static int exports(struct sql *sql, int64_t jobs_us, struct err *err, cJSON **ret) {
    return store_export_paths(sql, err, ret);
}

static int jobs(struct sql *sql, int64_t jobs_us, struct err *err, cJSON **ret) {
    return store_jobs_kept(sql, jobs_us, err, ret);
}

/* Ready backups stay for those who fetch them, and no longer. */
static int backups(struct sql *sql, int64_t jobs_us, struct err *err, cJSON **ret) {
    *ret = cJSON_CreateArray();
    return *ret != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* What is kept in which folder; names begin with the id's prefix. */
static const struct folder {
    const char *name, *prefix;
    int (*known)(struct sql *sql, int64_t jobs_us, struct err *err, cJSON **ret_array);
    int64_t kept_s; /* from its beginning, whether known or not */
} folders[] = {{"supernets", "sn_", supernets},
               {"datasets", "ds_", datasets}, /* caches of decoded images */
               {"models", "mo_", models},
               {"uploads", "up_", uploads, UPLOAD_KEPT_S},
               {"exports", "ex_", exports},
               {"jobs", "job_", jobs},
               {"backups", "bk_", backups, BACKUP_KEPT_S}};

enum { FOLDERS = sizeof(folders) / sizeof(*folders) };

/* Names that may go. Those that sort behind newest are too young; what is no id is not ours. */
static cJSON *list_folder(const char *data_dir, const struct folder *folder) {
    char path[PATH_SIZE + 64], newest[ID_MAX], id[ID_MAX];
    const struct dirent *entry;
    cJSON *names = cJSON_CreateArray();
    id_make_past(folder->prefix, folder->kept_s, newest);
    snprintf(path, sizeof(path), "%s/%s", data_dir, folder->name);
    DIR *dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (id_leads(entry->d_name, folder->prefix, id) && strcmp(entry->d_name, newest) < 0)
            cJSON_AddItemToArray(names, cJSON_CreateString(entry->d_name));
    if (dir != NULL)
        closedir(dir);
    return names;
}

/* Whether ids ([{"id"}], or paths) tell of what name begins with: a file that is being written has
 * another ending. */
static bool known(const cJSON *ids, const char *name, const char *prefix) {
    char id[ID_MAX];
    const cJSON *row;
    id_leads(name, prefix, id);
    cJSON_ArrayForEach(row, ids) {
        if (strstr(cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")), id) != NULL)
            return true;
    }
    return false;
}

static void sweep_folder(const char *data_dir, const struct folder *folder, const cJSON *names,
                         const cJSON *ids) {
    char path[PATH_SIZE + 400];
    const cJSON *item;
    cJSON_ArrayForEach(item, names) {
        struct err err = {0};
        if (known(ids, item->valuestring, folder->prefix))
            continue;
        snprintf(path, sizeof(path), "%s/%s/%.255s", data_dir, folder->name, item->valuestring);
        if (file_remove_tree(path, &err) == 0)
            log_info("removed %s/%s, which nothing refers to", folder->name, item->valuestring);
        else
            log_warn("%s", err.message);
    }
}

/* A training that has begun meanwhile writes files that the snapshot does not know. */
static bool is_old(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0 && S_ISREG(info.st_mode) &&
           info.st_mtime < clock_wall_us() / 1000000 - CHECKPOINT_YOUNG_S;
}

/* Files of checkpoints whose rows were removed. */
static void sweep_checkpoints_of(struct sql *sql, const char *data_dir, const char *supernet) {
    char dir_path[PATH_SIZE + 128], path[PATH_SIZE + 400], name[300];
    const struct dirent *entry;
    snprintf(dir_path, sizeof(dir_path), "%s/supernets/%.60s/checkpoints", data_dir, supernet);
    DIR *dir = opendir(dir_path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        snprintf(name, sizeof(name), "checkpoints/%.255s", entry->d_name);
        snprintf(path, sizeof(path), "%s/%.255s", dir_path, entry->d_name);
        if (strncmp(entry->d_name, "step-", 5) == 0 && is_old(path) &&
            !store_checkpoint_is_known(sql, supernet, name) && remove(path) == 0)
            log_info("removed %s of %s, which nothing refers to", name, supernet);
    }
    if (dir != NULL)
        closedir(dir);
}

static int sweep_checkpoints(struct sql *sql, const char *data_dir, struct err *err) {
    cJSON *ids = NULL;
    const cJSON *row;
    int r = store_supernets_at_rest(sql, err, &ids);
    cJSON_ArrayForEach(row, ids)
        sweep_checkpoints_of(sql, data_dir, cJSON_GetStringValue(cJSON_GetObjectItem(row, "id")));
    cJSON_Delete(ids);
    return r;
}

/* All folders are listed before the snapshot, which the first question fixes: rows are stored
 * before their files are made, so that it knows every file that was listed. */
int janitor_clean(struct sql *sql, const char *data_dir, int64_t jobs_us, struct err *err) {
    cJSON *names[FOLDERS];
    int r = 0;
    for (int i = 0; i < FOLDERS; i++)
        names[i] = list_folder(data_dir, &folders[i]);
    for (int i = 0; i < FOLDERS; i++) {
        cJSON *ids = NULL;
        if (r == 0)
            r = folders[i].known(sql, jobs_us, err, &ids);
        if (r == 0)
            sweep_folder(data_dir, &folders[i], names[i], ids);
        cJSON_Delete(ids);
        cJSON_Delete(names[i]);
    }
    return r != 0 ? r : sweep_checkpoints(sql, data_dir, err);
}

static int run_sweep(struct sql *sql, struct store_read *read, struct err *err) {
    const struct sweep *sweep = (const struct sweep *)read;
    struct err said = {0};
    /* First: a question before it would fix a snapshot that is older than what it lists. */
    int r = janitor_clean(sql, sweep->data_dir, sweep->jobs_us, err);
    if (database_check_run_daily(sweep->check, sql, &said) != 0)
        log_warn("the database was not checked: %s", said.message);
    return r;
}

/* A sweep that is under way outlives the loop's last turn with it. */
static void free_when_closed(struct janitor *janitor) {
    if (janitor->closed && !janitor->sweeping)
        free(janitor);
}

static void sweep_done(struct store_read *read, int code, const struct err *err) {
    struct janitor *janitor = ((struct sweep *)read)->janitor;
    if (code != 0)
        log_warn("the data folder was not cleaned: %s", err->message);
    free(read);
    janitor->sweeping = false;
    if (janitor->closing) {
        free_when_closed(janitor);
        return;
    }
    disk_measure(janitor->daemon->disk);
    if (janitor->again)
        janitor_sweep(janitor);
}

static void on_timer(uv_timer_t *timer) {
    janitor_sweep(timer->data);
}

void janitor_sweep(struct janitor *janitor) {
    struct sweep *sweep = NULL;
    if (janitor == NULL || janitor->closing)
        return;
    janitor->again = janitor->sweeping;
    if (!janitor->sweeping)
        sweep = mem_array(1, sizeof(*sweep));
    if (sweep == NULL)
        return;
    janitor->sweeping = true;
    uv_timer_start(&janitor->timer, on_timer, DAY_MS, DAY_MS);
    sweep->janitor = janitor;
    sweep->read = (struct store_read){.run = run_sweep, .done = sweep_done, .slow = STORE_SLOW};
    sweep->check = janitor->daemon->database_check;
    sweep->jobs_us = janitor->daemon->retention.jobs_us;
    memcpy(sweep->data_dir, janitor->daemon->data_dir, sizeof(sweep->data_dir));
    store_read(janitor->daemon->store, &sweep->read);
}

void janitor_sweep_later(struct janitor *janitor) {
    if (janitor != NULL && !janitor->closing)
        uv_timer_start(&janitor->timer, on_timer, LATER_MS, DAY_MS);
}

int janitor_create(struct daemon *daemon, struct err *err, struct janitor **ret_janitor) {
    struct janitor *janitor = mem_array(1, sizeof(*janitor));
    if (janitor == NULL)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    janitor->daemon = daemon;
    uv_timer_init(&daemon->loop, &janitor->timer);
    janitor->timer.data = janitor;
    uv_timer_start(&janitor->timer, on_timer, 0, DAY_MS);
    *ret_janitor = janitor;
    return 0;
}

static void on_closed(uv_handle_t *handle) {
    struct janitor *janitor = handle->data;
    janitor->closed = true;
    free_when_closed(janitor);
}

void janitor_destroy(struct janitor *janitor) {
    if (janitor == NULL)
        return;
    janitor->closing = true;
    uv_close((uv_handle_t *)&janitor->timer, on_closed);
}
