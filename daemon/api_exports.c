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

enum { FORMAT_ONNX, FORMAT_SAFETENSORS, FORMAT_LOGITS, FORMAT_C, FORMATS };
static const char *const formats[] = {"onnx", "safetensors", "logits", "c", NULL};
static const char *const endings[] = {"onnx", "safetensors", "safetensors", "h"};
enum { LOGITS_IMAGES_DEFAULT = 16, LOGITS_IMAGES_MAX = 1000 };

/* Members of some formats only. */
static int refuse_other(const cJSON *body, int format, struct err *err) {
    static const struct {
        const char *key, *pointer;
        bool taken[FORMATS];
    } rows[] = {{"arch", "/arch", {true, false, true, true}},
                {"dataset", "/dataset", {true, false, true, true}},
                {"recalibrate", "/recalibrate", {true, false, true, true}},
                {"input", "/input", {false, false, true}},
                {"images", "/images", {false, false, true}}};
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (json_has(body, rows[i].key) && !rows[i].taken[format])
            return err_set(err, ESP_EINVAL, rows[i].pointer, "a %s export takes no %s%s",
                           formats[format], rows[i].key,
                           format == FORMAT_SAFETENSORS ? ": it holds all weights of the supernet"
                                                        : "");
    return 0;
}

/* Logits are of an input, or of the first images of a data set. */
static int add_images(struct api_call *call, cJSON *spec, struct err *err) {
    int64_t images = LOGITS_IMAGES_DEFAULT;
    int r = json_int_opt(call->body, "", "images", 1, LOGITS_IMAGES_MAX, err, &images);
    if (r == 0 && call->state != NULL && json_has(call->body, "images"))
        r = err_set(err, ESP_EINVAL, "/images", "an input has its own images");
    if (r == 0 && call->state == NULL && !json_has(spec, "dataset"))
        r = err_set(err, ESP_ECONFLICT, "/supernet",
                    "the supernet was imported without a data set: name one, or an input");
    if (r != 0)
        return r;
    cJSON_AddNumberToObject(spec, "images", (double)images);
    if (call->state != NULL)
        cJSON_AddStringToObject(spec, "input", call->state);
    return 0;
}

/* Of one subnet: fills spec and the arch in its canonical form. */
static int make_arch_spec(struct api_call *call, cJSON *spec, struct err *err,
                          char arch[ARCH_TEXT_MAX], char arch_id_text[HASH_TEXT],
                          cJSON **ret_supernet) {
    const char *text;
    struct job_spec_ref ref;
    struct space *space = NULL;
    bool recalibrate = true;
    int r = job_spec_read_ref(call->body, err, &ref);
    if (r == 0)
        r = json_string(call->body, "", "arch", 1, ARCH_TEXT_MAX - 1, err, &text);
    if (r == 0)
        r = json_bool_opt(call->body, "", "recalibrate", err, &recalibrate);
    ref.dataset_optional = !recalibrate;
    if (r == 0)
        r = job_spec_supernet(call->daemon, call->sql, &ref, spec, err, ret_supernet);
    if (r == 0)
        r = job_spec_space(spec, err, &space);
    if (r == 0)
        r = job_spec_arch(space, text, "/arch", err, arch, arch_id_text);
    cJSON_AddBoolToObject(spec, "recalibrate", recalibrate);
    space_destroy(space);
    return r;
}

/* All weights of the supernet: of no one arch. */
static int make_weights_spec(struct api_call *call, cJSON *spec, struct err *err,
                             cJSON **ret_supernet) {
    struct job_spec_ref ref;
    int r = job_spec_read_ref(call->body, err, &ref);
    return r != 0 ? r
                  : job_spec_weights(call->daemon, call->sql, ref.supernet, ref.checkpoint, spec,
                                     err, ret_supernet);
}

static int make_spec(struct api_call *call, int format, cJSON *spec, struct err *err,
                     char arch[ARCH_TEXT_MAX], char arch_id_text[HASH_TEXT], cJSON **ret_supernet) {
    int r = refuse_other(call->body, format, err);
    if (r == 0)
        r = format == FORMAT_SAFETENSORS
                ? make_weights_spec(call, spec, err, ret_supernet)
                : make_arch_spec(call, spec, err, arch, arch_id_text, ret_supernet);
    return r == 0 && format == FORMAT_LOGITS ? add_images(call, spec, err) : r;
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

/* Touches the disk, so it runs before the write. */
static int check_input(struct api_call *call, struct err *err) {
    const char *path = NULL;
    char *resolved = NULL;
    int r = json_string_opt(call->body, "", "input", 1, PATH_SIZE - 1, err, &path);
    if (r != 0 || path == NULL)
        return r;
    r = api_data_path(call->daemon, path, err, &resolved);
    if (r != 0 && err != NULL)
        snprintf(err->pointer, sizeof(err->pointer), "/input");
    call->state = resolved;
    call->state_destroy = free;
    return r;
}

static int create_export(struct api_call *call, struct err *err) {
    static const char *const keys[] = {"supernet",    "checkpoint", "dataset", "arch", "format",
                                       "recalibrate", "input",      "images",  NULL};
    char arch[ARCH_TEXT_MAX] = "", arch_id_text[HASH_TEXT] = "", id[ID_MAX], path[ID_MAX + 32];
    cJSON *supernet = NULL, *spec = cJSON_CreateObject();
    int format = 0;
    int r = json_only(call->body, "", keys, err);
    if (r == 0)
        r = json_enum(call->body, "", "format", formats, err, &format);
    if (r == 0)
        r = make_spec(call, format, spec, err, arch, arch_id_text, &supernet);
    if (r == 0) {
        id_make("ex_", id);
        snprintf(path, sizeof(path), "exports/%s.%s", id, endings[format]);
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

/* Its file goes when the janitor comes. */
static int delete_export(struct api_call *call, struct err *err) {
    return store_export_delete(call->tx, call->id, err);
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
    {"POST", "/api/v1/exports", NULL, .read = check_input, .write = create_export,
     .needs_room = true},
    {"GET", "/api/v1/exports/{id}", NULL, .read = get_export, .by_key = api_by_key},
    {"DELETE", "/api/v1/exports/{id}", NULL, .write = delete_export},
    {"GET", "/api/v1/exports/{id}/file", NULL, .read = open_file},
    {.method = NULL}};
