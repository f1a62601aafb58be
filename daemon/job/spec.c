#include "daemon/job/spec.h"

#include "base/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const dataset_fields[] = {"path", "format", "validation", "split_seed", NULL};

int spec_dataset(const cJSON *spec, struct err *err, struct dataset **ret_dataset) {
    struct dataset_options options = {0};
    const cJSON *object = NULL;
    int64_t validation = DATASET_VALIDATION_DEFAULT, seed = 0;
    int rc;
    if ((rc = json_object(spec, "", "dataset", err, &object)) != 0 ||
        (rc = json_only(object, "/dataset", dataset_fields, err)) != 0 ||
        (rc = json_string(object, "/dataset", "path", 1, SPEC_PATH_MAX - 1, err, &options.path)) !=
            0 ||
        (rc = json_string_opt(object, "/dataset", "format", 1, 32, err, &options.format)) != 0 ||
        (rc = json_int_opt(object, "/dataset", "validation", 0, DATASET_IMAGES_MAX, err,
                           &validation)) != 0 ||
        (rc = json_int_opt(object, "/dataset", "split_seed", 0, INT64_C(1) << 53, err, &seed)) != 0)
        return rc;
    options.validation = (size_t)validation;
    options.split_seed = (uint64_t)seed;
    rc = dataset_open(&options, err, ret_dataset);
    if (rc != 0 && err->pointer[0]) {
        char pointer[sizeof err->pointer];
        snprintf(pointer, sizeof pointer, "%s", err->pointer);
        snprintf(err->pointer, sizeof err->pointer, "/dataset%.200s", pointer);
    }
    return rc;
}

int spec_space(const cJSON *spec, struct err *err, struct space **ret_space) {
    const cJSON *object = NULL;
    int rc = json_object(spec, "", "space", err, &object);
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
        snprintf(err->pointer, sizeof err->pointer, "/space%.200s", pointer);
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

cJSON *spec_describe_dataset(const struct dataset *dataset) {
    cJSON *data = cJSON_CreateObject();
    cJSON_AddNumberToObject(data, "channels", dataset->channels);
    cJSON_AddNumberToObject(data, "height", dataset->height);
    cJSON_AddNumberToObject(data, "width", dataset->width);
    cJSON_AddNumberToObject(data, "n_classes", dataset->n_classes);
    cJSON_AddNumberToObject(data, "n_train", (double)dataset->n[SPLIT_TRAIN]);
    cJSON_AddNumberToObject(data, "n_validation", (double)dataset->n[SPLIT_VALIDATION]);
    cJSON_AddNumberToObject(data, "n_test", (double)dataset->n[SPLIT_TEST]);
    cJSON_AddStringToObject(data, "revision", dataset->revision);
    if (cJSON_AddStringToObject(data, "format", dataset->format))
        return data;
    cJSON_Delete(data);
    return NULL;
}
