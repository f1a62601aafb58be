#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "devices/exec.h"

#define SAMPLE_LEAST_US 1e-3
#define SAMPLE_MOST_US 1e9
#define ENERGY_MOST_UJ 1e12

char *exec_request_print(const struct exec_request *r) {
    cJSON *doc = cJSON_CreateObject(), *shape;

    cJSON_AddNumberToObject(doc, "protocol", 1);
    cJSON_AddStringToObject(doc, "model", r->model);
    cJSON_AddStringToObject(doc, "model_id", r->model_id);
    cJSON_AddStringToObject(doc, "input", r->input);
    shape = cJSON_AddArrayToObject(doc, "shape");
    const int dims[] = {1, r->channels, r->height, r->width};
    for (int i = 0; i < 4; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber(dims[i]));
    if (r->output)
        cJSON_AddStringToObject(doc, "output", r->output);
    cJSON_AddNumberToObject(doc, "threads", r->threads);
    cJSON_AddNumberToObject(doc, "runs", r->runs);
    cJSON_AddNumberToObject(doc, "samples", r->samples);
    char *text = json_print(doc);
    cJSON_Delete(doc);
    return text;
}

/* ---- placeholders -----------------------------------------------------------------------------
 */

static void put_value(const struct exec_request *r, const char *name, size_t len,
                      struct buf *text) {
    const struct {
        const char *name, *text;
        int number;
    } rows[] = {{"model", r->model, 0},        {"model_id", r->model_id, 0},
                {"input", r->input, 0},        {"output", r->output ? r->output : "", 0},
                {"threads", NULL, r->threads}, {"runs", NULL, r->runs},
                {"samples", NULL, r->samples}, {"channels", NULL, r->channels},
                {"height", NULL, r->height},   {"width", NULL, r->width}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (strlen(rows[i].name) == len && !memcmp(rows[i].name, name, len)) {
            if (rows[i].text)
                buf_puts(text, rows[i].text);
            else
                buf_printf(text, "%d", rows[i].number);
            return;
        }
    buf_printf(text, "{%.*s}", (int)len, name); /* no word of ours: it stays */
}

static void fill_in(const struct exec_request *r, const char *arg, struct buf *text) {
    while (*arg) {
        const char *end = *arg == '{' ? strchr(arg, '}') : NULL;
        if (end) {
            put_value(r, arg + 1, (size_t)(end - arg - 1), text);
            arg = end + 1;
        } else {
            buf_append(text, arg++, 1);
        }
    }
    buf_append(text, "", 1);
}

int exec_request_arguments(const struct exec_request *request, const char *const *command,
                           struct buf *arena, struct err *err, char *argv[EXEC_ARGS_MAX + 1]) {
    size_t offsets[EXEC_ARGS_MAX];
    int n = 0;

    buf_clear(arena);
    for (; command[n]; n++) {
        offsets[n] = arena->len;
        fill_in(request, command[n], arena);
    }
    if (arena->error)
        return err_set(err, arena->error, NULL, "the command's arguments are too long");
    for (int i = 0; i < n; i++)
        argv[i] = arena->data + offsets[i];
    argv[n] = NULL;
    return 0;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* What is wrong with the answer itself, whatever the reader of a member found. */
static int senseless(struct err *err) {
    err_prefix(err, ESP_EPARSE, "the command's answer makes no sense");
    if (err)
        err->code = ESP_EPARSE;
    return ESP_EPARSE;
}

static int read_failure(const cJSON *doc, struct err *err) {
    static const char *const kinds[] = {"unsupported", "oom", "invalid", "crashed", NULL};
    static const int codes[] = {ESP_EUNSUPPORTED, ESP_ENOMEM, ESP_EINVAL, ESP_EIO};
    const char *message = "";
    int kind = 0, rc = json_enum(doc, "", "error", kinds, err, &kind);

    if (!rc)
        rc = json_string_opt(doc, "", "message", 0, 4096, err, &message);
    if (rc)
        return senseless(err);
    return err_set(err, codes[kind], NULL, "the command says %s: %.400s", kinds[kind], message);
}

static int read_samples(const cJSON *doc, int samples, struct err *err, double *ret_us) {
    const cJSON *items = NULL, *item;
    double us[EXEC_SAMPLES_MAX];
    int n = 0, rc = json_array(doc, "", "samples_us", samples, samples, err, &items);

    if (rc)
        return rc;
    cJSON_ArrayForEach(item, items) {
        if (!cJSON_IsNumber(item) ||
            !(item->valuedouble >= SAMPLE_LEAST_US && item->valuedouble <= SAMPLE_MOST_US))
            return err_set(err, ESP_EPARSE, "/samples_us", "a sample is %g to %g us",
                           SAMPLE_LEAST_US, SAMPLE_MOST_US);
        us[n++] = item->valuedouble;
    }
    memcpy(ret_us, us, (size_t)n * sizeof(*us));
    return 0;
}

int exec_answer_read(const char *line, size_t len, int samples, struct err *err, double *ret_us,
                     double *ret_energy_uj) {
    const struct json_limits limits = {
        .bytes = EXEC_ANSWER_MAX, .depth = 4, .nodes = 4 * EXEC_SAMPLES_MAX};
    double energy_uj = NAN;
    cJSON *doc = NULL;

    if (json_parse(line, len, &limits, err, &doc))
        return senseless(err);
    int rc = json_has(doc, "error") ? read_failure(doc, err)
             : read_samples(doc, samples, err, ret_us) ||
                     json_real_opt(doc, "", "energy_uj", 0, ENERGY_MOST_UJ, err, &energy_uj)
                 ? senseless(err)
                 : 0;
    cJSON_Delete(doc);
    if (rc == 0)
        *ret_energy_uj = energy_uj;
    return rc;
}
