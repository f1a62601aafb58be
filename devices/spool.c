#include "devices/spool.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

enum { SPOOL_PATH_MAX = 4096 };

static int is_entry(const struct dirent *entry) {
    size_t len = strlen(entry->d_name);
    return len > 5 && !strcmp(entry->d_name + len - 5, ".json");
}

static void free_names(struct dirent **names, int n) {
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

int spool_put(const char *dir, const cJSON *result, struct err *err, char **ret_path) {
    struct dirent **names = NULL;
    char path[SPOOL_PATH_MAX];
    char *text = NULL;
    int n = scandir(dir, &names, is_entry, NULL);
    int rc = 0;

    if (n >= 0)
        free_names(names, n);
    if (n >= SPOOL_ENTRIES_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "%s holds %d results that the daemon has not taken",
                       dir, n);
    /* Names sort by time; the process id keeps two launches within a microsecond apart. */
    snprintf(path, sizeof(path), "%s/%020lld-%d.json", dir, (long long)clock_wall_us(),
             (int)getpid());
    text = json_print(result);
    if (!text)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    rc = file_write_atomic(path, text, strlen(text), err);
    free(text);
    if (!rc && !(*ret_path = mem_strdup(path)))
        rc = err_set(err, ESP_ENOMEM, NULL, "out of memory");
    return rc;
}

static int each_file(const char *path, int (*each)(void *, const cJSON *, int *), void *context) {
    cJSON *doc = NULL;
    char *text = NULL;
    size_t len = 0;
    int done = 0, rc = 0;

    if (file_read(path, json_limits_default.bytes, NULL, &text, &len) ||
        json_parse(text, len, &json_limits_default, NULL, &doc)) {
        char bad[SPOOL_PATH_MAX + 8];
        snprintf(bad, sizeof(bad), "%s.bad", path);
        rename(path, bad);
    } else {
        rc = each(context, doc, &done);
    }
    if (done)
        unlink(path);
    cJSON_Delete(doc);
    free(text);
    return rc;
}

int spool_each(const char *dir, int (*each)(void *context, const cJSON *result, int *done),
               void *context, struct err *err) {
    struct dirent **names = NULL;
    char path[SPOOL_PATH_MAX];
    int n = scandir(dir, &names, is_entry, alphasort);
    int rc = 0;

    if (n < 0)
        return err_set(err, ESP_EIO, NULL, "cannot read the folder %s", dir);
    for (int i = 0; i < n && !rc; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
        rc = each_file(path, each, context);
    }
    free_names(names, n);
    return rc;
}

void spool_remove(const char *path) {
    unlink(path);
}
