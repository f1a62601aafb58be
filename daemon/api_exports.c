#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "daemon/api.h"
#include "daemon/api_nouns.h"
#include "daemon/job_spec.h"
#include "daemon/store_exports.h"
#include "daemon/store_jobs.h"
#include "daemon/store_supernets.h"

enum { FORMAT_ONNX, FORMAT_SAFETENSORS };
static const char *const formats[] = {"onnx", "safetensors", NULL};

/* Fills spec and the arch in its canonical form. */
static int make_spec(struct api_call *call, cJSON *spec, struct err *err, char arch[ARCH_TEXT_MAX],
                     char arch_id_text[HASH_TEXT], cJSON **ret_supernet) {
    const char *ref, *text, *checkpoint = NULL;
    struct space *space = NULL;
    int r = json_string(call->body, "", "supernet", 1, 200, err, &ref);
    if (r == 0)
        r = json_string(call->body, "", "arch", 1, ARCH_TEXT_MAX - 1, err, &text);
    if (r == 0)
        r = json_string_opt(call->body, "", "checkpoint", 1, ID_MAX, err, &checkpoint);
    if (r == 0)
        r = job_spec_supernet(call->daemon, call->sql, ref, checkpoint, spec, err, ret_supernet);
    if (r == 0)
        r = job_spec_space(spec, err, &space);
    if (r == 0)
        r = job_spec_arch(space, text, "/arch", err, arch, arch_id_text);
    space_destroy(space);
    return r;
}

/* All weights of the supernet: of no one arch. */
static int make_weights_spec(struct api_call *call, cJSON *spec, struct err *err,
                             cJSON **ret_supernet) {
    const char *ref, *checkpoint = NULL;
    if (json_has(call->body, "arch"))
        return err_set(err, ESP_EINVAL, "/arch",
                       "a safetensors export holds all weights of the supernet: it takes no arch");
    int r = json_string(call->body, "", "supernet", 1, 200, err, &ref);
    if (r == 0)
        r = json_string_opt(call->body, "", "checkpoint", 1, ID_MAX, err, &checkpoint);
    return r != 0 ? r
                  : job_spec_weights(call->daemon, call->sql, ref, checkpoint, spec, err,
                                     ret_supernet);
}

static int store_export(struct api_call *call, cJSON *spec, const struct export_request *request,
                        struct err *err) {
    char path[PATH_SIZE + 128], job[ID_MAX];
    cJSON *export_doc = NULL, *job_doc = NULL;
    snprintf(path, sizeof(path), "%s/%s", call->daemon->data_dir, request->path);
    cJSON_AddStringToObject(spec, "export_id", request->id);
    if (request->arch[0] != '\0')
        cJSON_AddStringToObject(spec, "arch", request->arch);
    cJSON_AddStringToObject(spec, "format", request->format);
    cJSON_AddStringToObject(spec, "output", path);
    int r = store_export_create(call->tx, request, err);
    if (r == 0)
        r = store_job_create(call->tx, "export", request->id, spec, err, job);
    if (r == 0)
        r = store_export_set_job(call->tx, request->id, job, err);
    if (r == 0)
        r = store_export_get(call->sql, request->id, err, &export_doc);
    if (r == 0)
        r = store_job_get(call->sql, job, err, &job_doc);
    if (r != 0) {
        cJSON_Delete(export_doc);
        return r;
    }
    return api_answer_with_job(call, "export", export_doc, job_doc);
}

static int create_export(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"supernet", "checkpoint", "arch", "format", NULL};
    char arch[ARCH_TEXT_MAX] = "", arch_id_text[HASH_TEXT] = "", id[ID_MAX], path[ID_MAX + 32];
    cJSON *supernet = NULL, *spec = cJSON_CreateObject();
    int format = 0;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_enum(call->body, "", "format", formats, err, &format);
    if (r == 0)
        r = format == FORMAT_SAFETENSORS
                ? make_weights_spec(call, spec, err, &supernet)
                : make_spec(call, spec, err, arch, arch_id_text, &supernet);
    if (r == 0) {
        id_make("ex_", id);
        snprintf(path, sizeof(path), "exports/%s.%s", id, formats[format]);
        r = store_export(call, spec,
                         &(struct export_request){
                             .id = id,
                             .supernet = cJSON_GetStringValue(cJSON_GetObjectItem(supernet, "id")),
                             .arch = arch,
                             .arch_id = arch_id_text,
                             .format = formats[format],
                             .path = path},
                         err);
    }
    cJSON_Delete(supernet);
    cJSON_Delete(spec);
    return r;
}

static int get_export(struct api_call *call, struct err *err) {
    return store_export_get(call->sql, call->id, err, &call->answer);
}

static int list_exports(struct api_call *call, struct err *err) {
    struct sql_page_args page;
    int r = api_page(call, "ex_", err, &page);
    return r != 0 ? r : store_export_list(call->sql, &page, err, &call->answer);
}

/* The read opens the file; finish sends it. */
static int open_file(struct api_call *call, struct err *err) {
    cJSON *doc = NULL;
    char path[PATH_SIZE + 64];
    int r = store_export_get(call->sql, call->id, err, &doc);
    if (r != 0)
        return r;
    const char *relative = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "path"));
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItem(doc, "state"));
    if (strcmp(state, "ready") != 0 || relative == NULL || strstr(relative, "..") != NULL)
        r = err_set(err, ESP_ECONFLICT, NULL, "the export is %s: there is no file", state);
    snprintf(path, sizeof(path), "%s/%s", call->daemon->data_dir, relative != NULL ? relative : "");
    if (r == 0)
        r = api_open_file(call, path, "application/octet-stream", err);
    cJSON_Delete(doc);
    return r;
}

const struct api_route api_exports[] = {
    {"GET", "/api/v1/exports", "page_size,after", .read = list_exports},
    {"POST", "/api/v1/exports", NULL, .write = create_export},
    {"GET", "/api/v1/exports/{id}", NULL, .read = get_export},
    {"GET", "/api/v1/exports/{id}/file", NULL, .read = open_file},
    {.method = NULL}};
