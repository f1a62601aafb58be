#include "daemon/job/export_logits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "daemon/job/progress.h"
#include "runtime/plan.h"
#include "supernet/loader.h"
#include "supernet/safetensors.h"
#include "supernet/tensor_file.h"

enum { BATCH = 100 };

struct logits {
    const struct space *space;
    int n, channels, side, classes;
    float *images, *values; /* [n, channels, side, side], [n, classes] */
    int64_t *labels;        /* NULL: the input has none */
};

static size_t image_floats(const struct logits *logits) {
    return (size_t)logits->channels * (size_t)logits->side * (size_t)logits->side;
}

static int allocate(struct logits *logits, int n, const char *pointer, struct err *err) {
    size_t floats = (size_t)n * image_floats(logits);
    logits->n = n;
    if (floats > LOGITS_BYTES_MAX / sizeof(float))
        return err_set(err, ESP_ELIMIT, pointer,
                       "%d images of %d x %d pixels are more than %zu MiB: take fewer", n,
                       logits->side, logits->side, LOGITS_BYTES_MAX >> 20);
    logits->images = mem_array(floats, sizeof(float));
    logits->values = mem_array((size_t)n * (size_t)logits->classes, sizeof(float));
    return logits->images && logits->values
               ? 0
               : err_set(err, ESP_ENOMEM, NULL, "no memory for %d images", n);
}

/* ---- Images of a file ---- */

static const struct foreign_tensor *find_images(const struct tensor_file *file) {
    for (int i = 0; i < file->n; i++)
        if (file->n == 1 || strcmp(file->tensors[i].name, "images") == 0)
            return &file->tensors[i];
    return NULL;
}

static int check_shape(const struct logits *logits, const struct foreign_tensor *t,
                       struct err *err) {
    char shape[TENSOR_SHAPE_TEXT];
    bool fits = t->n_dims == 4 && t->dims[0] >= 1 && t->dims[0] <= LOGITS_IMAGES_MAX &&
                t->dims[1] == logits->channels && t->dims[2] == logits->side &&
                t->dims[3] == logits->side;
    foreign_tensor_shape(t, shape);
    return fits ? 0
                : err_set(err, ESP_EINVAL, "/input",
                          "%.60s is of the shape %s; the arch takes [N, %d, %d, %d] with N from 1 "
                          "to %d",
                          t->name, shape, logits->channels, logits->side, logits->side,
                          LOGITS_IMAGES_MAX);
}

static int read_input(const char *path, struct err *err, struct logits *logits) {
    struct tensor_file *file = NULL;
    int rc = tensor_file_open(path, err, &file);
    if (rc != 0 && err->pointer[0] == '\0')
        snprintf(err->pointer, sizeof err->pointer, "/input");
    if (rc != 0)
        return rc;
    const struct foreign_tensor *images = find_images(file);
    if (!images)
        rc = err_set(err, ESP_EINVAL, "/input",
                     "the file has %d tensors, and none of them is called \"images\"", file->n);
    if (rc == 0)
        rc = check_shape(logits, images, err);
    if (rc == 0)
        rc = allocate(logits, (int)images->dims[0], "/input", err);
    if (rc == 0)
        foreign_tensor_read(images, logits->images);
    tensor_file_close(file);
    return rc;
}

/* ---- Images of a data set ---- */

static void take_batches(struct loader *loader, struct logits *logits) {
    struct loader_batch batch;
    int done = 0;
    while (done < logits->n && loader_next(loader, &batch)) {
        memcpy(logits->images + (size_t)done * image_floats(logits), batch.images,
               (size_t)batch.n * image_floats(logits) * sizeof(float));
        for (int i = 0; i < batch.n; i++)
            logits->labels[done + i] = batch.labels[i];
        done += batch.n;
    }
}

static int read_dataset(const struct dataset *dataset, int images, struct err *err,
                        struct logits *logits) {
    size_t there = dataset->n[SPLIT_VALIDATION];
    int n = there < (size_t)images ? (int)there : images;
    struct loader_options read = {.split = SPLIT_VALIDATION,
                                  .batch = n < BATCH ? n : BATCH,
                                  .limit = (size_t)n,
                                  .resolutions = &logits->side,
                                  .n_resolutions = 1,
                                  .once = true,
                                  .queue = 1};
    struct loader *loader = NULL;
    if (n == 0)
        return err_set(err, ESP_EINVAL, "/dataset", "the data set has no validation images");
    int rc = allocate(logits, n, "/images", err);
    if (rc == 0 && !(logits->labels = mem_array((size_t)n, sizeof *logits->labels)))
        rc = err_set(err, ESP_ENOMEM, NULL, "no memory for %d labels", n);
    if (rc == 0)
        rc = loader_create(dataset, &read, err, &loader);
    if (rc == 0)
        take_batches(loader, logits);
    loader_destroy(loader);
    return rc;
}

/* ---- Answers ---- */

static int run_plan(const struct job *job, struct plan *plan, struct err *err,
                    struct logits *logits) {
    struct progress progress;
    progress_init(&progress, job->channel, "answer");
    for (int i = 0; i < logits->n; i += BATCH) {
        int n = logits->n - i < BATCH ? logits->n - i : BATCH;
        if (channel_boundary(job->channel))
            return err_set(err, ESP_ECANCELED, NULL, "stopped while images were answered");
        int rc = plan_run(plan, logits->images + (size_t)i * image_floats(logits), n,
                          logits->values + (size_t)i * (size_t)logits->classes);
        if (rc != 0)
            return err_set(err, rc, NULL, "the runtime could not run the subnet");
        progress_tell(&progress, &(struct progress_point){i + n, logits->n, "images", NAN, false});
    }
    return 0;
}

static int answer(const struct job *job, const struct arch *arch,
                  const struct plan_weights *weights, struct err *err, struct logits *logits,
                  struct plan **ret_plan) {
    struct plan_options options = {.pool = job->pool, .batch = BATCH};
    struct graph *graph = NULL;
    int rc = graph_build(logits->space, arch, err, &graph);
    if (rc == 0)
        rc = plan_create(graph, weights, &options, err, ret_plan);
    if (rc == 0)
        rc = run_plan(job, *ret_plan, err, logits);
    free(graph);
    return rc;
}

/* By what the numbers can be found again. */
static cJSON *describe(const struct accuracy *accuracy, const struct logits_request *request,
                       const struct plan *plan) {
    cJSON *notes = cJSON_CreateObject();
    char arch[ARCH_TEXT_MAX];
    arch_format(accuracy->supernet->space, request->arch, arch);
    cJSON_AddStringToObject(notes, "format", "pt");
    cJSON_AddStringToObject(notes, "espalier.arch", arch);
    cJSON_AddStringToObject(notes, SAFETENSORS_FINGERPRINT, accuracy->supernet->space->fingerprint);
    cJSON_AddStringToObject(notes, SAFETENSORS_SOURCE, accuracy->checkpoint->summary.id);
    cJSON_AddStringToObject(notes, "espalier.bn_statistics",
                            request->recalibrate ? "recalibrated" : "running");
    cJSON_AddStringToObject(notes, "espalier.kernels", plan_kernel_set(plan));
    if (accuracy->dataset)
        cJSON_AddStringToObject(notes, "espalier.dataset_revision", accuracy->dataset->revision);
    return notes;
}

static int write_tensors(const char *path, const struct logits *logits, const cJSON *notes,
                         struct err *err) {
    const struct safetensor tensors[] = {
        {"labels", DTYPE_I64, 1, {logits->n}, logits->labels},
        {"images",
         DTYPE_F32,
         4,
         {logits->n, logits->channels, logits->side, logits->side},
         logits->images},
        {"logits", DTYPE_F32, 2, {logits->n, logits->classes}, logits->values}};
    int first = logits->labels ? 0 : 2; /* who gave the images has them */
    return safetensors_write_tensors(path, tensors + first, 3 - first, notes, err);
}

int export_logits(const struct job *job, const struct accuracy *accuracy,
                  const struct logits_request *request, const struct plan_weights *weights,
                  struct err *err) {
    const struct space *space = accuracy->supernet->space;
    struct logits logits = {.space = space,
                            .channels = space->input_channels,
                            .side = space->resolutions[request->arch->resolution],
                            .classes = space->n_classes};
    struct plan *plan = NULL;
    int rc = request->input ? read_input(request->input, err, &logits)
                            : read_dataset(accuracy->dataset, request->images, err, &logits);
    if (rc == 0)
        rc = answer(job, request->arch, weights, err, &logits, &plan);
    if (rc == 0) {
        cJSON *notes = describe(accuracy, request, plan);
        rc = write_tensors(request->output, &logits, notes, err);
        cJSON_Delete(notes);
    }
    plan_destroy(plan);
    free(logits.images);
    free(logits.values);
    free(logits.labels);
    return rc;
}
