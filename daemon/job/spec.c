#include "daemon/job/spec.h"

#include "base/json.h"
#include "base/log.h"
#include "daemon/job/progress.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Names of classes are told up to here; a line of the protocol has a limit. */
enum { CLASS_NAMES_BYTES = 1 << 20 };

static const char *const dataset_fields[] = {"path",       "format",   "validation",
                                             "split_seed", "side",     "max_skipped",
                                             "cache_dir",  "revision", NULL};

static int parse_dataset(const cJSON *spec, struct err *err, struct dataset_options *ret) {
    const cJSON *object = NULL;
    int64_t validation = -1, seed = 0, side = 0;
    int rc;
    ret->max_skipped = DATASET_SKIPPED_SHARE_DEFAULT;
    if ((rc = json_object(spec, "", "dataset", err, &object)) != 0 ||
        (rc = json_only(object, "/dataset", dataset_fields, err)) != 0 ||
        (rc = json_string(object, "/dataset", "path", 1, SPEC_PATH_MAX - 1, err, &ret->path)) !=
            0 ||
        (rc = json_string_opt(object, "/dataset", "format", 1, 32, err, &ret->format)) != 0 ||
        (rc = json_int_opt(object, "/dataset", "validation", 0, DATASET_IMAGES_MAX, err,
                           &validation)) != 0 ||
        (rc = json_int_opt(object, "/dataset", "split_seed", 0, INT64_C(1) << 53, err, &seed)) !=
            0 ||
        (rc = json_int_opt(object, "/dataset", "side", 1, DATASET_SIDE_MAX, err, &side)) != 0 ||
        (rc = json_real_opt(object, "/dataset", "max_skipped", 0, 1, err, &ret->max_skipped)) !=
            0 ||
        (rc = json_string_opt(object, "/dataset", "cache_dir", 1, SPEC_PATH_MAX - 1, err,
                              &ret->cache_dir)) != 0)
        return rc;
    ret->validation = validation < 0 ? DATASET_VALIDATION_AUTO : (size_t)validation;
    ret->split_seed = (uint64_t)seed;
    ret->side = (int)side;
    return 0;
}

static bool on_decoding(void *context, size_t done, size_t total) {
    struct progress *progress = context;
    if (total > 0)
        progress_tell(progress, &(struct progress_point){(int64_t)done, (int64_t)total, "images",
                                                         NAN, false});
    return channel_boundary(progress->channel);
}

/* Files that were removed, added or changed since the data set was checked make another one of it:
 * not a failure, but nothing to pass over. */
static void compare_revision(const cJSON *spec, const struct dataset *dataset) {
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(spec, "dataset");
    const char *revision =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "revision"));
    if (revision && strcmp(revision, dataset->revision) != 0)
        log_warn("the data set is not the one that was checked (revision %.40s): its files have "
                 "changed, and now it has %zu training, %zu validation and %zu test images "
                 "(revision %s)",
                 revision, dataset->n[SPLIT_TRAIN], dataset->n[SPLIT_VALIDATION],
                 dataset->n[SPLIT_TEST], dataset->revision);
}

int spec_dataset(const struct job *job, struct err *err, struct dataset **ret_dataset) {
    struct progress progress;
    struct dataset_options options = {
        .pool = job->pool, .progress = on_decoding, .context = &progress};
    progress_init(&progress, job->channel, "decode");
    /* Of another job it is what comes before it. */
    if (strcmp(job->kind, "dataset") != 0)
        progress_phase(&progress, "decode", 0, 0);
    int rc = parse_dataset(job->spec, err, &options);
    if (rc != 0)
        return rc;
    rc = dataset_open(&options, err, ret_dataset);
    if (rc == 0)
        compare_revision(job->spec, *ret_dataset);
    if (rc != 0 && err->pointer[0]) {
        char pointer[sizeof err->pointer];
        snprintf(pointer, sizeof pointer, "%s", err->pointer);
        snprintf(err->pointer, sizeof err->pointer, "/dataset%.200s", pointer);
    }
    return rc;
}

int spec_check_size(const struct dataset *dataset, const struct space *space, struct err *err) {
    int resolution = space->resolutions[space->n_resolutions - 1];
    int side = dataset->height < dataset->width ? dataset->height : dataset->width;
    int rc = dataset_check_size(dataset->height, dataset->width, resolution, err);
    if (rc == 0 && side < resolution)
        log_warn("the images have %dx%d pixels and are enlarged %.2f times to the space's largest "
                 "resolution, %d",
                 dataset->width, dataset->height, (double)resolution / side, resolution);
    return rc;
}

int spec_space(const cJSON *spec, const char *member, struct err *err, struct space **ret_space) {
    const cJSON *object = NULL;
    int rc = json_object(spec, "", member, err, &object);
    if (rc != 0)
        return rc;
    char *text = json_print_canonical(object);
    if (!text)
        return err_set(err, ESP_ENOMEM, NULL, "no memory for the space");
    rc = space_parse(text, strlen(text), err, ret_space);
    free(text);
    if (rc != 0) {
        char pointer[sizeof err->pointer];
        snprintf(pointer, sizeof pointer, "%s", err->pointer);
        snprintf(err->pointer, sizeof err->pointer, "/%.20s%.200s", member, pointer);
    }
    return rc;
}

int spec_checkpoint_dir(const cJSON *spec, struct err *err, char ret_dir[SPEC_PATH_MAX + 16]) {
    const char *dir = NULL;
    int rc = json_string(spec, "", "supernet_dir", 1, SPEC_PATH_MAX - 1, err, &dir);
    if (rc == 0)
        snprintf(ret_dir, SPEC_PATH_MAX + 16, "%s/checkpoints", dir);
    return rc;
}

static cJSON *describe_classes(const struct dataset *dataset) {
    size_t bytes = 0;
    if (!dataset->class_names)
        return cJSON_CreateNull();
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < dataset->n_classes; i++) {
        bytes += strlen(dataset->class_names[i]);
        if (bytes > CLASS_NAMES_BYTES)
            break;
        cJSON_AddItemToArray(list, cJSON_CreateString(dataset->class_names[i]));
    }
    return list;
}

cJSON *spec_describe_dataset(const struct dataset *dataset) {
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "channels", dataset->channels);
    cJSON_AddNumberToObject(data, "height", dataset->height);
    cJSON_AddNumberToObject(data, "width", dataset->width);
    cJSON_AddNumberToObject(data, "n_classes", dataset->n_classes);
    cJSON_AddNumberToObject(data, "n_train", (double)dataset->n[SPLIT_TRAIN]);
    cJSON_AddNumberToObject(data, "n_validation", (double)dataset->n[SPLIT_VALIDATION]);
    cJSON_AddNumberToObject(data, "n_test", (double)dataset->n[SPLIT_TEST]);
    cJSON_AddNumberToObject(data, "n_files", (double)dataset->skipped.n_files);
    cJSON_AddNumberToObject(data, "n_skipped", (double)dataset->skipped.n);
    cJSON_AddNumberToObject(data, "n_enlarged", (double)dataset->n_enlarged);
    cJSON *skipped = dataset_skipped_print(&dataset->skipped);
    bool whole = cJSON_AddItemToObject(data, "skipped", skipped);
    cJSON_AddItemToObject(data, "classes", describe_classes(dataset));
    cJSON_AddStringToObject(data, "revision", dataset->revision);
    if (cJSON_AddStringToObject(data, "format", dataset->format) && whole)
        return data;
    if (!whole)
        cJSON_Delete(skipped);
    cJSON_Delete(data);
    return NULL;
}

int spec_source_file(const char *path, struct err *err, char ret_file[SPEC_SOURCE_MAX]) {
    const struct dirent *entry;
    char name[256] = "";
    struct stat st;
    int n = 0;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        snprintf(ret_file, SPEC_SOURCE_MAX, "%.*s", SPEC_PATH_MAX, path);
        return 0;
    }
    DIR *dir = opendir(path);
    if (!dir)
        return err_set(err, ESP_EIO, NULL, "cannot open %s: %s", path, strerror(errno));
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.' && n++ == 0)
            snprintf(name, sizeof name, "%.255s", entry->d_name);
    closedir(dir);
    if (n != 1)
        return err_set(err, ESP_EINVAL, NULL, "the folder holds %d files where one is wanted", n);
    snprintf(ret_file, SPEC_SOURCE_MAX, "%.*s/%s", SPEC_PATH_MAX, path, name);
    return 0;
}
