#include "daemon/janitor.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/ids.h"
#include "daemon/store.h"
#include "daemon/store_models.h"
#include "daemon/store_system.h"
#include "daemon/uploads.h"

enum { DAY_MS = 24 * 3600 * 1000, BACKUP_KEPT_S = 2 * 24 * 3600 };

struct janitor {
    struct daemon *daemon;
    uv_timer_t timer;
};

struct sweep {
    struct store_read read;
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
    return r;
}

static void sweep_done(struct store_read *read, int code, const struct err *err) {
    if (code != 0)
        log_warn("the data folder was not cleaned: %s", err->message);
    free(read);
}

static void on_timer(uv_timer_t *timer) {
    struct janitor *janitor = timer->data;
    struct sweep *sweep = mem_array(1, sizeof(*sweep));
    if (sweep == NULL)
        return;
    sweep->read = (struct store_read){.run = run_sweep, .done = sweep_done};
    sweep->jobs_us = janitor->daemon->retention.jobs_us;
    memcpy(sweep->data_dir, janitor->daemon->data_dir, sizeof(sweep->data_dir));
    store_read(janitor->daemon->store, &sweep->read);
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
    free(handle->data);
}

void janitor_destroy(struct janitor *janitor) {
    if (janitor != NULL)
        uv_close((uv_handle_t *)&janitor->timer, on_closed);
}
