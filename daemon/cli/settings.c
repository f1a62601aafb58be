#include "daemon/cli/settings.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

enum { FILES = 2, PATH_SIZE = 4096, BYTES_MAX = 65536, VARIABLES_MAX = 256, NAME_SIZE = 80 };

static const char prefix[] = "ESPALIER_";
static char paths[FILES][PATH_SIZE];
static struct {
    char name[NAME_SIZE];
    const char *path;
} taken[VARIABLES_MAX];
static int n_taken;

const char *settings_file_of(const char *variable) {
    for (int i = 0; i < n_taken; i++)
        if (!strcmp(taken[i].name, variable))
            return taken[i].path;
    return NULL;
}

static const char *variable_of(const char *name) {
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

/* A value may stand in quotes. */
static char *trim(char *text) {
    size_t len;
    while (isblank((unsigned char)*text))
        text++;
    for (len = strlen(text); len > 0 && isspace((unsigned char)text[len - 1]); len--)
        text[len - 1] = 0;
    if (len >= 2 && (*text == '"' || *text == '\'') && text[len - 1] == *text) {
        text[len - 1] = 0;
        text++;
    }
    return text;
}

static int take_line(const char *path, int number, char *line, struct err *err) {
    char *equals = strchr(line, '=');
    line = line + strspn(line, " \t\r");
    if (!*line || *line == '#')
        return 0;
    size_t len = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    if (!equals || line + len != equals || strncmp(line, prefix, sizeof(prefix) - 1) != 0 ||
        len >= NAME_SIZE)
        return err_set(err, ESP_EPARSE, NULL, "%s line %d is not ESPALIER_NAME=value", path,
                       number);
    *equals = 0;
    if (variable_of(line))
        return 0;
    if (n_taken == VARIABLES_MAX)
        return err_set(err, ESP_ELIMIT, NULL, "%s line %d: more than %d settings", path, number,
                       VARIABLES_MAX);
    if (setenv(line, trim(equals + 1), 1) != 0)
        return err_set(err, ESP_ENOMEM, NULL, "out of memory");
    snprintf(taken[n_taken].name, NAME_SIZE, "%s", line);
    taken[n_taken++].path = path;
    return 0;
}

static int take_file(const char *path, struct err *err) {
    char *text = NULL, *rest = NULL;
    size_t len = 0;
    int number = 0, rc = file_read(path, BYTES_MAX, err, &text, &len);
    if (rc != 0)
        return rc;
    rest = text;
    for (char *line; rc == 0 && (line = strsep(&rest, "\n")) != NULL;)
        rc = take_line(path, ++number, line, err);
    free(text);
    return rc;
}

/* Where the user's file is looked for; false: nowhere. */
static bool place_of_user(char path[PATH_SIZE]) {
    const char *folder = variable_of("XDG_CONFIG_HOME"), *home = variable_of("HOME");
    if (!folder && !home)
        return false;
    return snprintf(path, PATH_SIZE, "%s%s/espalier/client.env", folder ? folder : home,
                    folder ? "" : "/.config") < PATH_SIZE;
}

int settings_load(struct err *err) {
    static bool loaded;
    const char *named = variable_of("ESPALIER_CONFIG");
    int rc = 0;
    if (loaded)
        return 0;
    loaded = true;
    if (named) {
        snprintf(paths[0], PATH_SIZE, "%s", named);
        return take_file(paths[0], err);
    }
    if (!place_of_user(paths[0]))
        paths[0][0] = 0;
    snprintf(paths[1], PATH_SIZE, "/etc/espalier/client.env");
    for (int i = 0; i < FILES && rc == 0; i++)
        if (paths[i][0] && access(paths[i], F_OK) == 0)
            rc = take_file(paths[i], err);
    return rc;
}
