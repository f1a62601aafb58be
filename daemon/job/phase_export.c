/* Writes a subnet of a trained supernet, what it answers to images, or all weights as a file for
 * other programs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "daemon/job/export_logits.h"
#include "daemon/job/spec.h"
#include "runtime/export_c.h"
#include "runtime/export_onnx.h"
#include "supernet/safetensors.h"

enum { EXPORT_BYTES_MAX = 1 << 30 };

static const char *const fields[] = {"export_id",       "supernet_id", "supernet_dir", "checkpoint",
                                     "checkpoint_hash", "space",       "dataset",      "arch",
                                     "format",          "output",      "recalibrate",  "input",
                                     "images",          NULL};
enum { FORMAT_ONNX, FORMAT_SAFETENSORS, FORMAT_LOGITS, FORMAT_C };
static const char *const formats[] = {"onnx", "safetensors", "logits", "c", NULL};

struct request {
    const char *output, *text /* of the arch; NULL: the whole supernet */;
    const char *input; /* of logits; NULL: images of the data set */
    int64_t images;
    int format;
    bool recalibrate; /* false: by the supernet's running statistics */
    struct arch arch;
};

static int read_request(const cJSON *spec, struct err *err, struct request *request) {
    int rc;
    request->recalibrate = true;
    request->images = 1;
    if ((rc = json_only(spec, "", fields, err)) != 0 ||
        (rc = json_enum(spec, "", "format", formats, err, &request->format)) != 0 ||
        (rc = json_bool_opt(spec, "", "recalibrate", err, &request->recalibrate)) != 0 ||
        (rc = json_string_opt(spec, "", "input", 1, SPEC_PATH_MAX, err, &request->input)) != 0 ||
        (rc = json_int_opt(spec, "", "images", 1, LOGITS_IMAGES_MAX, err, &request->images)) != 0)
        return rc;
    if (request->format != FORMAT_SAFETENSORS &&
        (rc = json_string(spec, "", "arch", 1, ARCH_TEXT_MAX - 1, err, &request->text)) != 0)
        return rc;
    return json_string(spec, "", "output", 2, SPEC_PATH_MAX, err, &request->output);
}

static int make_folder_of(const char *path, struct err *err) {
    char dir[SPEC_PATH_MAX + 1];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    memcpy(dir, path, (size_t)(slash - path));
    dir[slash - path] = 0;
    return file_make_dirs(dir, err);
}

/* "0.286" or "0.491, 0.482, 0.447": a number for each channel. */
static void print_channels(const float *values, int n, char text[DATASET_CHANNELS_MAX * 24]) {
    int used = 0;
    text[0] = 0;
    for (int c = 0; c < n; c++)
        used += sprintf(text + used, "%s%.9g", c ? ", " : "", (double)values[c]);
}

/* What who runs the file has to know of its input: pixels / 255, less the mean, over the deviation;
 * without a data set nobody knows. */
static int write_file(struct accuracy *accuracy, const struct request *request,
                      const struct graph *graph, const struct plan_weights *weights,
                      struct err *err) {
    const struct dataset *dataset = accuracy->dataset;
    char mean[DATASET_CHANNELS_MAX * 24], deviation[DATASET_CHANNELS_MAX * 24], arch[ARCH_TEXT_MAX];
    const struct onnx_note items[] = {
        {"espalier.arch", arch},
        {"espalier.space", accuracy->supernet->space->fingerprint},
        {"espalier.bn_statistics", request->recalibrate ? "recalibrated" : "running"},
        {"espalier.image_mean", mean},
        {"espalier.image_deviation", deviation}};
    const struct onnx_notes notes = {dataset ? 5 : 3, items};
    arch_format(accuracy->supernet->space, &request->arch, arch);
    if (dataset) {
        print_channels(dataset->mean, dataset->channels, mean);
        print_channels(dataset->deviation, dataset->channels, deviation);
    }
    return request->format == FORMAT_C ? export_c(graph, weights, &notes, request->output, err)
                                       : export_onnx(graph, weights, &notes, request->output, err);
}

/* Recalibrated, or with the supernet's own statistics, and folded. */
static int fold(struct accuracy *accuracy, const struct request *request, struct err *err,
                struct plan_weights **ret_weights) {
    if (!request->recalibrate)
        return engine_fold(accuracy->supernet, &request->arch, NULL, err, ret_weights);
    return evaluation_weights(accuracy->evaluation, &request->arch, true, err, ret_weights);
}

static int write_network(struct accuracy *accuracy, const struct request *request,
                         const struct plan_weights *weights, struct err *err) {
    struct graph *graph = NULL;
    int rc = graph_build(accuracy->supernet->space, &request->arch, err, &graph);
    if (rc == 0)
        rc = write_file(accuracy, request, graph, weights, err);
    free(graph);
    return rc;
}

static int write_logits(const struct job *job, struct accuracy *accuracy,
                        const struct request *request, const struct plan_weights *weights,
                        struct err *err) {
    const struct logits_request logits = {.arch = &request->arch,
                                          .input = request->input,
                                          .images = (int)request->images,
                                          .recalibrate = request->recalibrate,
                                          .output = request->output};
    return export_logits(job, accuracy, &logits, weights, err);
}

static int write_subnet(const struct job *job, struct accuracy *accuracy,
                        const struct request *request, struct err *err) {
    struct plan_weights *weights = NULL;
    int rc = fold(accuracy, request, err, &weights);
    if (rc == 0)
        rc = make_folder_of(request->output, err);
    if (rc == 0)
        rc = request->format == FORMAT_LOGITS ? write_logits(job, accuracy, request, weights, err)
                                              : write_network(accuracy, request, weights, err);
    plan_weights_destroy(weights);
    return rc;
}

/* The event's data, from the file as it lies on disk. */
static int describe(const struct space *space, const struct request *request, struct err *err,
                    cJSON **ret_data) {
    const char *slash = strrchr(request->output, '/');
    char path[SPEC_PATH_MAX + 16], text[ARCH_TEXT_MAX] = "", id[HASH_TEXT] = "", hash[HASH_TEXT];
    char *bytes = NULL;
    size_t len = 0;
    int rc = file_read(request->output, EXPORT_BYTES_MAX, err, &bytes, &len);

    if (rc != 0)
        return rc;
    hash_text(bytes, len, hash);
    free(bytes);
    if (request->text) {
        arch_format(space, &request->arch, text);
        arch_id(space, &request->arch, id);
    }
    snprintf(path, sizeof path, "exports/%s", slash ? slash + 1 : request->output);
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "path", path);
    cJSON_AddNumberToObject(data, "bytes", (double)len);
    cJSON_AddStringToObject(data, "hash", hash);
    cJSON_AddStringToObject(data, "arch", text);
    cJSON_AddStringToObject(data, "arch_id", id);
    cJSON_AddStringToObject(data, "format", formats[request->format]);
    *ret_data = data;
    return 0;
}

/* A subnet with the supernet's own statistics needs no data set; one that is named says how its
 * input is scaled, or has the images. */
static int open_sources(struct accuracy *accuracy, const struct job *job,
                        const struct request *request, struct err *err) {
    if (request->recalibrate || json_has(job->spec, "dataset"))
        return accuracy_open(accuracy, job, err);
    if (request->format == FORMAT_LOGITS && !request->input)
        return err_set(err, ESP_EINVAL, "/input", "logits need images: of an input or a data set");
    return accuracy_open_weights(accuracy, job, err);
}

static int export_arch(struct job *job, struct request *request, struct err *err,
                       cJSON **ret_data) {
    struct accuracy accuracy = {0};
    int rc = open_sources(&accuracy, job, request, err);
    if (rc == 0) {
        rc = arch_parse(accuracy.supernet->space, request->text, strlen(request->text), err,
                        &request->arch);
        if (rc != 0)
            snprintf(err->pointer, sizeof err->pointer, "/arch");
    }
    if (rc == 0)
        rc = write_subnet(job, &accuracy, request, err);
    if (rc == 0)
        rc = describe(accuracy.supernet->space, request, err, ret_data);
    accuracy_finish(&accuracy);
    return rc;
}

/* All weights, by the checkpoint alone: no data set is needed. */
static int export_weights(struct job *job, const struct request *request, struct err *err,
                          cJSON **ret_data) {
    struct checkpoint *checkpoint = NULL;
    struct supernet *supernet = NULL;
    int rc = accuracy_find_checkpoint(job->spec, err, &checkpoint);
    if (rc == 0)
        rc = checkpoint_load(checkpoint, err, &supernet);
    if (rc == 0)
        rc = make_folder_of(request->output, err);
    if (rc == 0)
        rc = safetensors_write(request->output, supernet, checkpoint->summary.id, err);
    if (rc == 0)
        rc = describe(supernet->space, request, err, ret_data);
    supernet_destroy(supernet);
    checkpoint_close(checkpoint);
    return rc;
}

static int run(struct job *job, struct err *err, cJSON **ret_result) {
    struct request request = {0};
    cJSON *data = NULL;
    int rc = read_request(job->spec, err, &request);
    if (rc == 0)
        rc = request.format == FORMAT_SAFETENSORS ? export_weights(job, &request, err, &data)
                                                  : export_arch(job, &request, err, &data);
    if (rc != 0)
        return rc;
    channel_event(job->channel, "export", cJSON_Duplicate(data, true));
    *ret_result = data;
    return 0;
}

extern const struct job_phase phase_export;
const struct job_phase phase_export = {
    .kind = "export",
    .help = "write a subnet as an ONNX file or as C, its logits, or a supernet as safetensors",
    .run = run};
