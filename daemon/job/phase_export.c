/* Writes a subnet of a trained supernet as a file for other runtimes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "daemon/job/accuracy.h"
#include "daemon/job/spec.h"
#include "runtime/export_onnx.h"
#include "supernet/safetensors.h"

enum { EXPORT_BYTES_MAX = 1 << 30 };

static const char *const fields[] = {
    "export_id", "supernet_id", "supernet_dir", "checkpoint", "checkpoint_hash", "space", "dataset",
    "arch",      "format",      "output",       NULL};
enum { FORMAT_ONNX, FORMAT_SAFETENSORS };
static const char *const formats[] = {"onnx", "safetensors", NULL};

struct request {
    const char *output, *text /* of the arch; NULL: the whole supernet */;
    int format;
    struct arch arch;
};

static int read_request(const cJSON *spec, struct err *err, struct request *request) {
    int rc;
    if ((rc = json_only(spec, "", fields, err)) != 0 ||
        (rc = json_enum(spec, "", "format", formats, err, &request->format)) != 0)
        return rc;
    if (request->format == FORMAT_ONNX &&
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

/* What who runs the file has to know of its input: pixels / 255, less the mean, over the deviation.
 */
static int write_file(struct accuracy *accuracy, const struct request *request,
                      const struct graph *graph, const struct plan_weights *weights,
                      struct err *err) {
    const struct dataset *dataset = accuracy->dataset;
    char mean[DATASET_CHANNELS_MAX * 24], deviation[DATASET_CHANNELS_MAX * 24], arch[ARCH_TEXT_MAX];
    const struct onnx_note items[] = {{"espalier.arch", arch},
                                      {"espalier.space", accuracy->supernet->space->fingerprint},
                                      {"espalier.image_mean", mean},
                                      {"espalier.image_deviation", deviation}};
    const struct onnx_notes notes = {sizeof items / sizeof *items, items};
    arch_format(accuracy->supernet->space, &request->arch, arch);
    print_channels(dataset->mean, dataset->channels, mean);
    print_channels(dataset->deviation, dataset->channels, deviation);
    return export_onnx(graph, weights, &notes, request->output, err);
}

/* Recalibrates and folds the subnet and writes it. */
static int write_network(struct accuracy *accuracy, const struct request *request,
                         struct err *err) {
    const struct space *space = accuracy->supernet->space;
    struct plan_weights *weights = NULL;
    struct graph *graph = NULL;
    int rc = graph_build(space, &request->arch, err, &graph);

    if (rc == 0)
        rc = evaluation_weights(accuracy->evaluation, &request->arch, true, err, &weights);
    if (rc == 0)
        rc = make_folder_of(request->output, err);
    if (rc == 0)
        rc = write_file(accuracy, request, graph, weights, err);
    plan_weights_destroy(weights);
    free(graph);
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

static int export_arch(struct job *job, struct request *request, struct err *err,
                       cJSON **ret_data) {
    struct accuracy accuracy = {0};
    int rc = accuracy_open(&accuracy, job, err);
    if (rc == 0) {
        rc = arch_parse(accuracy.supernet->space, request->text, strlen(request->text), err,
                        &request->arch);
        if (rc != 0)
            snprintf(err->pointer, sizeof err->pointer, "/arch");
    }
    if (rc == 0)
        rc = write_network(&accuracy, request, err);
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
    .help = "write a subnet as an ONNX file, or a supernet as safetensors",
    .run = run};
