#include "daemon/job/kept_spec.h"

#include "base/file.h"
#include "base/json.h"
#include "daemon/job/accuracy.h"
#include "daemon/job/spec.h"
#include "daemon/job_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SPEC_BYTES = 64 << 20 };
#define CHECKPOINT_BYTES ((size_t)4 << 30)

static void job_path(const struct job *job, const char *name, char *path, size_t size) {
    snprintf(path, size, "%s/%s", job->dir, name);
}

/* A second name of the file, or a copy where the folders are on two file systems. */
static int keep_file(const char *path, const char *kept, struct err *err) {
    char *bytes = NULL;
    size_t len = 0;
    unlink(kept); /* of an attempt that was killed before it wrote its spec */
    if (link(path, kept) == 0)
        return 0;
    int rc = file_read(path, CHECKPOINT_BYTES, err, &bytes, &len);
    if (rc == 0)
        rc = file_write_atomic(kept, bytes, len, err);
    free(bytes);
    return rc;
}

/* The checkpoint that the spec names, or the newest, kept in the job's folder: the supernet may be
 * trained on while the job is interrupted, and that removes old ones. */
static int pin_checkpoint(const struct job *job, cJSON *spec, struct err *err) {
    char kept[SPEC_PATH_MAX + 64], *whole = NULL;
    struct checkpoint *checkpoint = NULL;
    int rc = accuracy_find_checkpoint(spec, err, &checkpoint);
    if (rc != 0)
        return rc;
    job_path(job, JOB_SEARCH_CHECKPOINT, kept, sizeof kept);
    rc = keep_file(checkpoint->path, kept, err);
    checkpoint_close(checkpoint);
    if (rc != 0)
        return rc;
    whole = realpath(kept, NULL);
    cJSON_DeleteItemFromObjectCaseSensitive(spec, "checkpoint");
    if (!whole || !cJSON_AddStringToObject(spec, "checkpoint", whole))
        rc = err_set(err, ESP_EIO, NULL, "the checkpoint that was kept as %s is gone", kept);
    free(whole);
    return rc;
}

static int read_spec(const char *path, struct err *err, cJSON **ret_spec) {
    static const struct json_limits limits = {SPEC_BYTES, 32, 2000000};
    char *text = NULL;
    size_t len = 0;
    int rc = file_read(path, SPEC_BYTES, err, &text, &len);
    if (rc == 0)
        rc = json_parse(text, len, &limits, err, ret_spec);
    free(text);
    return rc;
}

/* What the job that this one continues began with, with the new body; the checkpoint that it names
 * is the one in that job's folder. */
static int continue_spec(const struct job *job, struct err *err, cJSON **ret_spec) {
    static const char *const taken[] = {"search", "versions"};
    char path[SPEC_PATH_MAX + 64];
    const char *dir;
    cJSON *spec = NULL;
    int rc = json_string(job->spec, "", "continues", 1, SPEC_PATH_MAX - 1, err, &dir);
    if (rc != 0)
        return rc;
    snprintf(path, sizeof path, "%s/" JOB_SEARCH_SPEC, dir);
    rc = read_spec(path, err, &spec);
    for (int i = 0; i < 2 && rc == 0; i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(spec, taken[i]);
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(job->spec, taken[i]);
        cJSON *own = item ? cJSON_Duplicate(item, true) : NULL;
        if (item && (!own || !cJSON_AddItemToObject(spec, taken[i], own)))
            rc = err_set(err, ESP_ENOMEM, NULL, "no memory for the spec");
    }
    if (rc == 0)
        *ret_spec = spec;
    else
        cJSON_Delete(spec);
    return rc;
}

static int write_spec(const struct job *job, const char *path, struct err *err) {
    cJSON *spec = NULL;
    int rc = 0;
    if (json_has(job->spec, "continues"))
        rc = continue_spec(job, err, &spec);
    else
        spec = cJSON_Duplicate(job->spec, true);
    if (rc == 0 && spec && json_has(spec, "supernet_dir"))
        rc = pin_checkpoint(job, spec, err);
    char *text = rc == 0 && spec ? json_print(spec) : NULL;
    if (text)
        rc = file_write_atomic(path, text, strlen(text), err);
    else if (rc == 0)
        rc = err_set(err, ESP_ENOMEM, NULL, "no memory for the spec");
    free(text);
    cJSON_Delete(spec);
    return rc;
}

int kept_spec(const struct job *job, struct err *err, cJSON **ret_spec) {
    char path[SPEC_PATH_MAX + 64];
    int rc = 0;
    if (!job->dir) {
        *ret_spec = cJSON_Duplicate(job->spec, true);
        return *ret_spec ? 0 : err_set(err, ESP_ENOMEM, NULL, "no memory for the spec");
    }
    job_path(job, JOB_SEARCH_SPEC, path, sizeof path);
    if (!file_exists(path))
        rc = write_spec(job, path, err);
    return rc == 0 ? read_spec(path, err, ret_spec) : rc;
}
