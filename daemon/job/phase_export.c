/* Writes a subnet of a trained supernet as a file for other runtimes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "daemon/job/accuracy.h"
#include "daemon/job/spec.h"
#include "supernet/export_onnx.h"

enum { EXPORT_BYTES_MAX = 1 << 30 };

static const char *const fields[] = {
    "export_id", "supernet_id", "supernet_dir", "checkpoint", "checkpoint_hash", "space", "dataset",
    "arch",      "format",      "output",       NULL};
static const char *const formats[] = {"onnx", NULL};

struct request {
    const char *output, *text;
    struct arch arch;
};

static int read_request(const cJSON *spec, struct err *err, struct request *request) {
    int format = 0, rc;
    if ((rc = json_only(spec, "", fields, err)) != 0 ||
        (rc = json_string(spec, "", "arch", 1, ARCH_TEXT_MAX - 1, err, &request->text)) != 0 ||
        (rc = json_enum(spec, "", "format", formats, err, &format)) != 0)
        return rc;
    return json_string(spec, "", "output", 2, SPEC_PATH_MAX, err, &request->output);
}

/* Recalibrates and folds the subnet and writes it. */
static int write_network(struct accuracy *accuracy, const struct request *request,
                         struct err *err) {
    const struct space *space = accuracy->supernet->space;
    struct plan_weights *weights = NULL;
    struct graph *graph = NULL;
    char dir[SPEC_PATH_MAX + 1];
    const char *slash = strrchr(request->output, '/');
    int rc = graph_build(space, &request->arch, err, &graph);

    if (rc == 0)
        rc = evaluation_weights(accuracy->evaluation, &request->arch, true, err, &weights);
    if (rc == 0 && slash && slash > request->output) {
        memcpy(dir, request->output, (size_t)(slash - request->output));
        dir[slash - request->output] = 0;
        rc = file_make_dirs(dir, err);
    }
    if (rc == 0)
        rc = export_onnx(graph, weights, request->output, err);
    plan_weights_destroy(weights);
    free(graph);
    return rc;
}

/* The event's data, from the file as it lies on disk. */
static int describe(const struct space *space, const struct request *request, struct err *err,
                    cJSON **ret_data) {
    const char *slash = strrchr(request->output, '/');
    char path[SPEC_PATH_MAX + 16], text[ARCH_TEXT_MAX], id[HASH_TEXT], hash[HASH_TEXT];
    char *bytes = NULL;
    size_t len = 0;
    int rc = file_read(request->output, EXPORT_BYTES_MAX, err, &bytes, &len);

    if (rc != 0)
        return rc;
    hash_text(bytes, len, hash);
    free(bytes);
    arch_format(space, &request->arch, text);
    arch_id(space, &request->arch, id);
    snprintf(path, sizeof path, "exports/%s", slash ? slash + 1 : request->output);
    cJSON *data = cJSON_CreateObject();
    cJSON_AddStringToObject(data, "path", path);
    cJSON_AddNumberToObject(data, "bytes", (double)len);
    cJSON_AddStringToObject(data, "hash", hash);
    cJSON_AddStringToObject(data, "arch", text);
    cJSON_AddStringToObject(data, "arch_id", id);
    cJSON_AddStringToObject(data, "format", formats[0]);
    *ret_data = data;
    return 0;
}

static int run(struct job *job, struct err *err, cJSON **ret_result) {
    struct accuracy accuracy = {0};
    struct request request = {0};
    cJSON *data = NULL;
    int rc = read_request(job->spec, err, &request);

    if (rc == 0)
        rc = accuracy_open(&accuracy, job, err);
    if (rc == 0) {
        rc = arch_parse(accuracy.supernet->space, request.text, strlen(request.text), err,
                        &request.arch);
        if (rc != 0)
            snprintf(err->pointer, sizeof err->pointer, "/arch");
    }
    if (rc == 0)
        rc = write_network(&accuracy, &request, err);
    if (rc == 0)
        rc = describe(accuracy.supernet->space, &request, err, &data);
    if (rc == 0) {
        channel_event(job->channel, "export", cJSON_Duplicate(data, true));
        *ret_result = data;
    }
    accuracy_finish(&accuracy);
    return rc;
}

extern const struct job_phase phase_export;
const struct job_phase phase_export = {
    .kind = "export", .help = "write a subnet as an ONNX file", .run = run};
