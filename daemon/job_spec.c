#include "daemon/job_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "daemon/job_files.h"
#include "daemon/store_datasets.h"
#include "daemon/store_searches.h"
#include "daemon/store_supernets.h"
#include "supernet/dataset.h"

void job_spec_supernet_dir(const struct daemon *daemon, const char *id, char ret_dir[PATH_SIZE]) {
    snprintf(ret_dir, PATH_SIZE, "%.900s/supernets/%.60s", daemon->data_dir, id);
}

void job_spec_model_file(const struct daemon *daemon, const char *id, char ret_path[PATH_SIZE]) {
    snprintf(ret_path, PATH_SIZE, "%.900s/models/%.60s/predictor.bin", daemon->data_dir, id);
}

/* As a search keeps it whose job is in its folder still; "": none does. */
static int find_kept(const struct daemon *daemon, struct sql *sql, const char *supernet,
                     const char *hash, struct err *err, char ret_path[CHECKPOINT_PATH_SIZE]) {
    cJSON *jobs = NULL;
    const cJSON *job;
    int r = store_search_keepers(sql, supernet, hash, err, &jobs);
    ret_path[0] = '\0';
    cJSON_ArrayForEach(job, jobs) {
        snprintf(ret_path, CHECKPOINT_PATH_SIZE, "%.900s/jobs/%.60s/" JOB_SEARCH_CHECKPOINT,
                 daemon->data_dir, cJSON_GetStringValue(cJSON_GetObjectItem(job, "id")));
        if (file_exists(ret_path))
            break;
        ret_path[0] = '\0';
    }
    cJSON_Delete(jobs);
    return r;
}

int job_spec_checkpoint_file(const struct daemon *daemon, struct sql *sql, const char *supernet,
                             const struct stored_checkpoint *checkpoint, struct err *err,
                             char ret_path[CHECKPOINT_PATH_SIZE]) {
    char dir[PATH_SIZE];
    job_spec_supernet_dir(daemon, supernet, dir);
    snprintf(ret_path, CHECKPOINT_PATH_SIZE, "%s/%s", dir, checkpoint->path);
    return !checkpoint->replaced && file_exists(ret_path)
               ? 0
               : find_kept(daemon, sql, supernet, checkpoint->hash, err, ret_path);
}

static int add_checkpoint(const struct daemon *daemon, struct sql *sql, const char *id,
                          const char *checkpoint, cJSON *spec, struct err *err) {
    struct stored_checkpoint found;
    char whole[CHECKPOINT_PATH_SIZE] = "";
    int r = store_checkpoint_find(sql, id, checkpoint, err, &found);
    if (r != 0)
        return r;
    if (found.path[0] == '\0' && checkpoint != NULL)
        return err_set(err, ESP_ENOTFOUND, "/checkpoint",
                       "the supernet has no checkpoint \"%.60s\"", checkpoint);
    if (found.path[0] == '\0')
        return err_set(err, ESP_ECONFLICT, "/supernet",
                       "the supernet has no checkpoint yet: it must be trained first");
    if (checkpoint != NULL)
        r = job_spec_checkpoint_file(daemon, sql, id, &found, err, whole);
    if (r != 0)
        return r;
    if (checkpoint != NULL && whole[0] == '\0')
        return err_set(err, ESP_ENOTFOUND, "/checkpoint",
                       "the checkpoint \"%.60s\" was removed when newer ones were written",
                       checkpoint);
    cJSON_AddStringToObject(spec, "supernet_id", id);
    if (checkpoint == NULL) {
        cJSON_AddNullToObject(spec, "checkpoint");
        return 0;
    }
    cJSON_AddStringToObject(spec, "checkpoint", whole);
    cJSON_AddStringToObject(spec, "checkpoint_hash", found.hash);
    return 0;
}

static int add_space(struct sql *sql, const char *id, cJSON *spec, struct err *err) {
    char *document = NULL;
    cJSON *space = NULL;
    int r = store_supernet_space(sql, id, err, &document);
    if (r == 0)
        r = json_parse(document, strlen(document), &json_limits_default, err, &space);
    if (r == 0)
        cJSON_AddItemToObject(spec, "space", space);
    free(document);
    return r;
}

cJSON *job_spec_dataset(const struct daemon *daemon, const cJSON *dataset) {
    char dir[PATH_SIZE];
    cJSON *spec = store_dataset_spec(dataset);
    snprintf(dir, sizeof(dir), "%.900s/datasets/%.60s", daemon->data_dir,
             cJSON_GetStringValue(cJSON_GetObjectItem(dataset, "id")));
    cJSON_AddStringToObject(spec, "cache_dir", dir);
    return spec;
}

int job_spec_check_size(const cJSON *dataset, const struct space *space, struct err *err) {
    const cJSON *height = cJSON_GetObjectItem(dataset, "height");
    const cJSON *width = cJSON_GetObjectItem(dataset, "width");
    if (!cJSON_IsNumber(height) || !cJSON_IsNumber(width)) /* not checked yet: its job will say */
        return 0;
    return dataset_check_size(height->valueint, width->valueint,
                              space->resolutions[space->n_resolutions - 1], err);
}

/* ---- The data set of a job ---- */

static int number_of(const cJSON *doc, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(doc, key);
    return cJSON_IsNumber(item) ? item->valueint : -1; /* not checked yet: its job will say */
}

/* The supernet reads what the data set has, and tells as many classes apart. */
static int check_classes(const cJSON *dataset, const struct space *space, const char *pointer,
                         struct err *err) {
    int classes = number_of(dataset, "n_classes"), channels = number_of(dataset, "channels");
    if (classes >= 0 && classes != space->n_classes)
        return err_set(err, ESP_EMISMATCH, pointer,
                       "the supernet tells %d classes apart, the data set has %d", space->n_classes,
                       classes);
    if (channels >= 0 && channels != space->input_channels)
        return err_set(err, ESP_EMISMATCH, pointer,
                       "the supernet reads %d channels, the data set has %d", space->input_channels,
                       channels);
    return 0;
}

static int check_fit(const cJSON *dataset, const cJSON *spec, const char *pointer,
                     struct err *err) {
    struct space *space = NULL;
    int r = job_spec_space(spec, err, &space);
    if (r == 0)
        r = check_classes(dataset, space, pointer, err);
    if (r == 0)
        r = job_spec_check_size(dataset, space, err);
    if (r == ESP_EINVAL && err != NULL) /* the request names no resolution */
        snprintf(err->pointer, sizeof(err->pointer), "%s", pointer);
    space_destroy(space);
    return r;
}

int job_spec_find_dataset(struct sql *sql, const char *ref, struct err *err, cJSON **ret_dataset) {
    cJSON *dataset = NULL;
    int r = store_dataset_get(sql, ref, err, &dataset);
    if (r == ESP_ENOTFOUND)
        err_set(err, r, "/dataset", "there is no data set \"%.60s\"", ref);
    if (r != 0)
        return r;
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItem(dataset, "state"));
    if (strcmp(state, "ready") != 0) {
        r = err_set(err, ESP_ECONFLICT, "/dataset", "the data set is not ready but %s", state);
        cJSON_Delete(dataset);
        return r;
    }
    *ret_dataset = dataset;
    return 0;
}

/* The one that is named, else the supernet's; NULL: there is none, and none is needed. */
static int choose_dataset(struct sql *sql, const struct job_spec_ref *ref, const cJSON *supernet,
                          struct err *err, cJSON **ret_dataset) {
    const char *own = cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "dataset"));
    if (ref->dataset != NULL)
        return job_spec_find_dataset(sql, ref->dataset, err, ret_dataset);
    if (own != NULL)
        return store_dataset_get(sql, own, err, ret_dataset);
    return ref->dataset_optional
               ? 0
               : err_set(err, ESP_ECONFLICT, "/supernet",
                         "the supernet was imported without a data set: name one (\"dataset\")");
}

static int add_dataset(const struct daemon *daemon, struct sql *sql, const struct job_spec_ref *ref,
                       cJSON *spec, struct err *err, cJSON *supernet) {
    cJSON *dataset = NULL;
    int r = choose_dataset(sql, ref, supernet, err, &dataset);
    if (r != 0 || dataset == NULL)
        return r;
    r = check_fit(dataset, spec, ref->dataset != NULL ? "/dataset" : "/supernet", err);
    if (r == 0) {
        cJSON_AddItemToObject(spec, "dataset", job_spec_dataset(daemon, dataset));
        cJSON_ReplaceItemInObjectCaseSensitive(
            supernet, "dataset",
            cJSON_CreateString(cJSON_GetStringValue(cJSON_GetObjectItem(dataset, "id"))));
    }
    cJSON_Delete(dataset);
    return r;
}

/* ---- The supernet of a job ---- */

int job_spec_read_ref(const cJSON *body, struct err *err, struct job_spec_ref *ret_ref) {
    struct job_spec_ref ref = {NULL, NULL, NULL, false};
    int r = json_string(body, "", "supernet", 1, 200, err, &ref.supernet);
    if (r == 0)
        r = json_string_opt(body, "", "checkpoint", 1, ID_MAX, err, &ref.checkpoint);
    if (r == 0)
        r = json_string_opt(body, "", "dataset", 1, 200, err, &ref.dataset);
    if (r == 0)
        *ret_ref = ref;
    return r;
}

int job_spec_weights(const struct daemon *daemon, struct sql *sql, const char *ref,
                     const char *checkpoint, cJSON *spec, struct err *err, cJSON **ret_supernet) {
    cJSON *supernet = NULL;
    char dir[PATH_SIZE];
    int r = store_supernet_get(sql, ref, err, &supernet);
    if (r != 0)
        return r == ESP_ENOTFOUND
                   ? err_set(err, r, "/supernet", "there is no supernet \"%.60s\"", ref)
                   : r;
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "id"));
    job_spec_supernet_dir(daemon, id, dir);
    cJSON_AddStringToObject(spec, "supernet_dir", dir);
    r = add_checkpoint(daemon, sql, id, checkpoint, spec, err);
    if (r == 0)
        r = add_space(sql, id, spec, err);
    if (r == 0)
        *ret_supernet = supernet;
    else
        cJSON_Delete(supernet);
    return r;
}

int job_spec_supernet(const struct daemon *daemon, struct sql *sql, const struct job_spec_ref *ref,
                      cJSON *spec, struct err *err, cJSON **ret_supernet) {
    cJSON *supernet = NULL;
    int r = job_spec_weights(daemon, sql, ref->supernet, ref->checkpoint, spec, err, &supernet);
    if (r == 0)
        r = add_dataset(daemon, sql, ref, spec, err, supernet);
    if (r == 0)
        *ret_supernet = supernet;
    else
        cJSON_Delete(supernet);
    return r;
}

int job_spec_space(const cJSON *spec, struct err *err, struct space **ret_space) {
    char *text = json_print(cJSON_GetObjectItemCaseSensitive(spec, "space"));
    int r = text == NULL ? err_set(err, ESP_ENOMEM, NULL, "out of memory")
                         : space_parse(text, strlen(text), err, ret_space);
    free(text);
    return r;
}

int job_spec_arch(const struct space *space, const char *text, const char *pointer, struct err *err,
                  char ret_arch[ARCH_TEXT_MAX], char ret_id[HASH_TEXT]) {
    struct arch arch;
    int r = arch_parse(space, text, strlen(text), err, &arch);
    if (r != 0) {
        if (err != NULL)
            snprintf(err->pointer, sizeof(err->pointer), "%s", pointer);
        return r;
    }
    arch_format(space, &arch, ret_arch);
    arch_id(space, &arch, ret_id);
    return 0;
}

int job_spec_each_arch(const struct space *space, const cJSON *archs, void *context,
                       int (*take)(void *context, const struct job_spec_arch *arch,
                                   struct err *err),
                       struct err *err) {
    const cJSON *item;
    int i = 0, r = 0;
    cJSON_ArrayForEach(item, archs) {
        char pointer[32], text[ARCH_TEXT_MAX], id[HASH_TEXT];
        snprintf(pointer, sizeof(pointer), "/archs/%d", i++);
        if (!cJSON_IsString(item))
            return err_set(err, ESP_EINVAL, pointer, "an arch is a text");
        r = job_spec_arch(space, item->valuestring, pointer, err, text, id);
        if (r == 0)
            r = take(context, &(struct job_spec_arch){text, id, pointer}, err);
        if (r != 0)
            return r;
    }
    return 0;
}
