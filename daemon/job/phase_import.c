/* Makes a supernet's first checkpoint out of another program's file of weights. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "daemon/job/spec.h"
#include "supernet/checkpoint_store.h"
#include "supernet/import.h"

static const char *const fields[] = {"supernet_id", "supernet_dir", "path", "space", NULL};

struct imported {
    struct supernet *supernet;
    struct import_report report;
    struct checkpoint_summary summary;
    char name[64]; /* of the checkpoint's file */
};

/* Errors that name no other field are about the file. */
static int about_file(int rc, struct err *err) {
    if (rc != 0 && err->pointer[0] == '\0')
        snprintf(err->pointer, sizeof err->pointer, "/path");
    return rc;
}

static int read_supernet(const cJSON *spec, struct err *err, struct imported *imported) {
    const char *path = NULL;
    struct space *space = NULL;
    struct tensor_file *file = NULL;
    int rc = json_string(spec, "", "path", 1, SPEC_PATH_MAX, err, &path);
    if (rc == 0)
        rc = spec_space(spec, "space", err, &space);
    if (rc == 0)
        rc = about_file(tensor_file_open(path, err, &file), err);
    if (rc == 0)
        rc = about_file(supernet_import(file, space, err, &imported->report, &imported->supernet),
                        err);
    tensor_file_close(file);
    space_destroy(space);
    return rc;
}

/* As step 0 of a training that never was. */
static int write_checkpoint(const cJSON *spec, struct err *err, struct imported *imported) {
    char dir[SPEC_PATH_MAX + 16], path[SPEC_PATH_MAX + 96];
    const struct checkpoint_notes notes = {0};
    int rc = spec_checkpoint_dir(spec, err, dir);
    if (rc == 0)
        rc = file_make_dirs(dir, err);
    if (rc != 0)
        return rc;
    checkpoint_store_name(0, imported->name);
    snprintf(path, sizeof path, "%s/%s", dir, imported->name);
    return checkpoint_write(path, imported->supernet, &notes, err, &imported->summary);
}

static int send_space(struct job *job, const struct space *space, struct err *err) {
    char *text = space_print(space);
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "fingerprint", space->fingerprint);
    bool whole = text && cJSON_AddItemToObject(data, "space", cJSON_Parse(text));
    free(text);
    if (!whole) {
        cJSON_Delete(data);
        return err_set(err, ESP_ENOMEM, NULL, "no memory to describe a space");
    }
    channel_event(job->channel, "imported", data);
    return 0;
}

static void send_checkpoint(struct job *job, const struct imported *imported) {
    cJSON *data = cJSON_CreateObject();
    char path[96];
    snprintf(path, sizeof path, "checkpoints/%s", imported->name);
    cJSON_AddStringToObject(data, "path", path);
    cJSON_AddNumberToObject(data, "step", 0);
    cJSON_AddNumberToObject(data, "epoch", 0);
    cJSON_AddNumberToObject(data, "bytes", (double)imported->summary.bytes);
    cJSON_AddStringToObject(data, "hash", imported->summary.id);
    cJSON_AddNullToObject(data, "top1_largest");
    cJSON_AddNullToObject(data, "top1_smallest");
    channel_event(job->channel, "checkpoint", data);
}

static cJSON *describe(const struct imported *imported) {
    cJSON *result = cJSON_CreateObject();
    cJSON_AddNumberToObject(result, "tensors", imported->report.tensors);
    cJSON_AddNumberToObject(result, "renamed", imported->report.renamed);
    cJSON_AddNumberToObject(result, "counters_left_out", imported->report.counters);
    cJSON_AddNumberToObject(result, "transforms_missing", imported->report.transforms);
    cJSON_AddNumberToObject(result, "n_classes", imported->supernet->space->n_classes);
    cJSON_AddStringToObject(result, "fingerprint", imported->supernet->space->fingerprint);
    cJSON_AddStringToObject(result, "hash", imported->summary.id);
    return result;
}

static int run(struct job *job, struct err *err, cJSON **ret_result) {
    struct imported imported = {0};
    int rc = json_only(job->spec, "", fields, err);
    if (rc == 0)
        rc = read_supernet(job->spec, err, &imported);
    if (rc == 0)
        rc = write_checkpoint(job->spec, err, &imported);
    if (rc == 0)
        rc = send_space(job, imported.supernet->space, err);
    if (rc == 0) {
        send_checkpoint(job, &imported);
        *ret_result = describe(&imported);
        log_info("%d tensors taken over, %d of them renamed, %d counters left out",
                 imported.report.tensors, imported.report.renamed, imported.report.counters);
    }
    supernet_destroy(imported.supernet);
    return rc;
}

extern const struct job_phase phase_import;
const struct job_phase phase_import = {
    .kind = "import", .help = "make a supernet of another program's weights", .run = run};
