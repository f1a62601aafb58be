#include "daemon/janitor.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "daemon/store.h"
#include "daemon/store_system.h"

struct sweep {
    struct store_read read;
    char data_dir[PATH_SIZE];
};

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *ftw) {
    return remove(path);
}

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

static void sweep_folder(const char *data_dir, const char *folder, const cJSON *ids) {
    char path[PATH_SIZE + 64], entry_path[PATH_SIZE + 400];
    const struct dirent *entry;
    snprintf(path, sizeof(path), "%s/%s", data_dir, folder);
    DIR *dir = opendir(path);
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || known(ids, entry->d_name))
            continue;
        snprintf(entry_path, sizeof(entry_path), "%s/%s", path, entry->d_name);
        if (nftw(entry_path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0)
            log_info("removed %s/%s, which nothing refers to", folder, entry->d_name);
        else
            log_warn("cannot remove %s", entry_path);
    }
    if (dir != NULL)
        closedir(dir);
}

/* Looks at the folders after the store: what is made meanwhile is known or not there yet. */
static int run_sweep(struct sql *sql, struct store_read *read, struct err *err) {
    struct sweep *sweep = (struct sweep *)read;
    cJSON *supernets = NULL, *exports = NULL;
    int r = store_supernet_ids(sql, err, &supernets);
    if (r == 0)
        r = store_export_paths(sql, err, &exports);
    if (r == 0) {
        sweep_folder(sweep->data_dir, "supernets", supernets);
        sweep_folder(sweep->data_dir, "exports", exports);
    }
    cJSON_Delete(supernets);
    cJSON_Delete(exports);
    return r;
}

static void sweep_done(struct store_read *read, int code, const struct err *err) {
    if (code != 0)
        log_warn("the data folder was not cleaned: %s", err->message);
    free(read);
}

void janitor_run(struct daemon *daemon) {
    struct sweep *sweep = mem_array(1, sizeof(*sweep));
    if (sweep == NULL)
        return;
    sweep->read = (struct store_read){.run = run_sweep, .done = sweep_done};
    memcpy(sweep->data_dir, daemon->data_dir, sizeof(sweep->data_dir));
    store_read(daemon->store, &sweep->read);
}
