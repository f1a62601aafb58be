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
#include "daemon/disk.h"
#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_models.h"
#include "daemon/store_system.h"
#include "daemon/uploads.h"

enum { DAY_MS = 24 * 3600 * 1000, BACKUP_KEPT_S = 2 * 24 * 3600, CHECKPOINT_YOUNG_S = 3600 };

struct janitor {
    struct daemon *daemon;
    uv_timer_t timer;
    bool sweeping, again, closing, closed;
};

struct sweep {
    struct store_read read;
    struct janitor *janitor;
    int64_t jobs_us;
    char data_dir[PATH_SIZE];
};

static int supernets(struct sql *sql, const struct sweep *sweep, struct err *err, cJSON **ret) {
    return store_supernet_ids(sql, err, ret);
}

static int datasets(struct sql *sql, const struct sweep *sweep, struct err *err, cJSON **ret) {
    return store_dataset_ids(sql, err, ret);
}

static int uploads(struct sql *sql, const struct sweep *sweep, struct err *err, cJSON **ret) {
    return store_dataset_paths(sql, err, ret);
}

static int models(struct sql *sql, const struct sweep *sweep, struct err *err, cJSON **ret) {
    return store_model_ids(sql, err, ret);
}

static int exports(struct sql *sql, const struct sweep *sweep, struct err *err, cJSON **ret) {
    return store_export_paths(sql, err, ret);
}

static int jobs(struct sql *sql, const struct sweep *sweep, struct err *err, cJSON **ret) {
    return store_jobs_kept(sql, sweep->jobs_us, err, ret);
}

/* Ready backups stay for those who fetch them, and no longer. */
static int backups(struct sql *sql, const struct sweep *sweep, struct err *err, cJSON **ret) {
    *ret = cJSON_CreateArray();
    return *ret != NULL ? 0 : err_set(err, ESP_ENOMEM, NULL, "out of memory");
}

/* What is kept in which folder; names begin with the id's prefix. */
static const struct folder {
    const char *name, *prefix;
    int (*known)(struct sql *sql, const struct sweep *sweep, struct err *err, cJSON **ret_array);
    int64_t kept_s; /* from its beginning, whether known or not */
} folders[] = {{"supernets", "sn_", supernets},
               {"datasets", "ds_", datasets}, /* caches of decoded images */
               {"models", "mo_", models},
               {"uploads", "up_", uploads, UPLOAD_KEPT_S},
               {"exports", "ex_", exports},
               {"jobs", "job_", jobs},
               {"backups", "bk_", backups, BACKUP_KEPT_S}};

/* Whether ids ([{"id"}]) hold name, or a path that ends with /name. */
static bool known(const cJSON *ids, const char *name) {
    const cJSON *row;
    cJSON_ArrayForEach(row, ids) {
        const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(row, "id"));
        const char *slash = strrchr(id, '/');
        if (strcmp(slash != NULL ? slash + 1 : id, name) == 0)
            return true;
    }
    return false;
}

/* Names that sort behind newest were made after the store was asked. */
static void sweep_folder(const char *data_dir, const struct folder *folder, const cJSON *ids,
                         const char *newest) {
    char path[PATH_SIZE + 64], entry_path[PATH_SIZE + 400];
    const struct dirent *entry;
    snprintf(path, sizeof(path), "%s/%s", data_dir, folder->name);
    DIR *dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!id_has_prefix(entry->d_name, folder->prefix) || strcmp(entry->d_name, newest) >= 0 ||
            known(ids, entry->d_name))
            continue;
        snprintf(entry_path, sizeof(entry_path), "%s/%s", path, entry->d_name);
        struct err err = {0};
        if (file_remove_tree(entry_path, &err) == 0)
            log_info("removed %s/%s, which nothing refers to", folder->name, entry->d_name);
        else
            log_warn("%s", err.message);
    }
    if (dir != NULL)
        closedir(dir);
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
            log_info("removed the checkpoint %s of %s, which was pruned", entry->d_name, supernet);
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

static int run_sweep(struct sql *sql, struct store_read *read, struct err *err) {
    const struct sweep *sweep = (const struct sweep *)read;
    int r = 0;
    for (unsigned i = 0; i < sizeof(folders) / sizeof(*folders) && r == 0; i++) {
        cJSON *ids = NULL;
        char newest[ID_MAX];
        if (folders[i].kept_s > 0)
            id_make_past(folders[i].prefix, folders[i].kept_s, newest);
        else
            id_make(folders[i].prefix, newest);
        r = folders[i].known(sql, sweep, err, &ids);
        if (r == 0)
            sweep_folder(sweep->data_dir, &folders[i], ids, newest);
        cJSON_Delete(ids);
    }
    return r != 0 ? r : sweep_checkpoints(sql, sweep->data_dir, err);
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
    sweep->janitor = janitor;
    sweep->read = (struct store_read){.run = run_sweep, .done = sweep_done};
    sweep->jobs_us = janitor->daemon->retention.jobs_us;
    memcpy(sweep->data_dir, janitor->daemon->data_dir, sizeof(sweep->data_dir));
    store_read(janitor->daemon->store, &sweep->read);
}

static void on_timer(uv_timer_t *timer) {
    janitor_sweep(timer->data);
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
