#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "devices/exec.h"

enum { FILE_MAX = 64 << 10, ARG_MAX_BYTES = 4096 };

static const char *const keys[] = {"command",   "version_command", "runtime",       "precision",
                                   "timeout_s", "measurement_s",   "check_outputs", "board_energy",
                                   "tolerance", "peak_gmacs",      "steady",        "chain",
                                   NULL};

static int read_command(const cJSON *doc, const char *key, struct err *err,
                        const char *ret[EXEC_ARGS_MAX + 1]) {
    const cJSON *items = NULL, *item;
    int n = 0, rc = json_array(doc, "", key, 1, EXEC_ARGS_MAX, err, &items);

    if (rc)
        return rc;
    cJSON_ArrayForEach(item, items) {
        const char *text = cJSON_GetStringValue(item);
        if (!text || strlen(text) > ARG_MAX_BYTES || (n == 0 && !text[0])) {
            char at[64];
            snprintf(at, sizeof(at), "/%s/%d", key, n);
            return err_set(err, ESP_EINVAL, at, "a command is a list of words of at most %d bytes",
                           ARG_MAX_BYTES);
        }
        ret[n++] = text;
    }
    ret[n] = NULL;
    return 0;
}

/* Names become part of the profile's name. */
static int read_name(const cJSON *doc, const char *key, struct err *err, const char **ret) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    int rc = json_string(doc, "", key, 1, EXEC_NAME_MAX, err, ret);
    char at[64];

    snprintf(at, sizeof(at), "/%s", key);
    if (!rc && strspn(*ret, allowed) != strlen(*ret))
        rc = err_set(err, ESP_EINVAL, at,
                     "%s: small letters, digits, dots, dashes and underlines only", key);
    if (!rc && (!strcmp(*ret, "native") || !strcmp(*ret, "simulated")))
        rc = err_set(err, ESP_EINVAL, at, "\"%s\" is what another back end is called", *ret);
    return rc;
}

static bool has_placeholder(const char *const *command) {
    for (; *command; command++)
        if (strstr(*command, "{model}"))
            return true;
    return false;
}

static int read_members(const cJSON *doc, struct err *err, struct exec_config *config) {
    int rc = json_only(doc, "", keys, err);

    if (!rc)
        rc = read_command(doc, "command", err, config->command);
    if (!rc && json_has(doc, "version_command"))
        rc = read_command(doc, "version_command", err, config->version_command);
    if (!rc)
        rc = read_name(doc, "runtime", err, &config->runtime);
    if (!rc && json_has(doc, "precision"))
        rc = read_name(doc, "precision", err, &config->precision);
    if (!rc)
        rc = json_real_opt(doc, "", "timeout_s", 0.1, 60, err, &config->timeout_s);
    if (!rc)
        rc = json_real_opt(doc, "", "measurement_s", 1, 3600, err, &config->measurement_s);
    if (!rc)
        rc = json_bool_opt(doc, "", "check_outputs", err, &config->check_outputs);
    if (!rc)
        rc = json_bool_opt(doc, "", "board_energy", err, &config->board_energy);
    config->tolerance = config->precision && !strcmp(config->precision, "fp32") ? 1e-3 : 1e-2;
    if (!rc)
        rc = json_real_opt(doc, "", "tolerance", 1e-6, 1, err, &config->tolerance);
    if (!rc)
        rc = json_real_opt(doc, "", "peak_gmacs", 1e-6, 1e9, err, &config->peak_gmacs);
    if (!rc)
        rc = json_bool_opt(doc, "", "steady", err, &config->steady);
    if (!rc)
        rc = json_bool_opt(doc, "", "chain", err, &config->chain);
    return rc;
}

int exec_config_read(const char *path, struct err *err, struct exec_config *ret_config) {
    struct exec_config config = {
        .precision = "fp32", .timeout_s = 30, .measurement_s = 300, .check_outputs = true};
    char *text = NULL;
    size_t len = 0;
    int rc = file_read(path, FILE_MAX, err, &text, &len);

    if (!rc)
        rc = json_parse(text, len, NULL, err, &config.doc);
    if (!rc)
        rc = read_members(config.doc, err, &config);
    free(text);
    if (rc) {
        exec_config_finish(&config);
        return err_prefix(err, rc, "exec: %s", path);
    }
    config.once = has_placeholder(config.command);
    *ret_config = config;
    return 0;
}

void exec_config_finish(struct exec_config *config) {
    cJSON_Delete(config->doc);
    config->doc = NULL;
}
