/* espalier config show: what the settings are, and where each comes from. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/resource.h"
#include "daemon/cli/settings.h"
#include "daemon/cli/visit.h"

enum { NAME_SIZE = 80 };

static const char prefix[] = "ESPALIER_";

static void add_row(cJSON *rows, const char *name, const char *value, const char *origin,
                    const char *from) {
    cJSON *row = cJSON_CreateObject();
    bool secret = (strstr(name, "token") || strstr(name, "secret")) && value && value[0];
    cJSON_AddStringToObject(row, "name", name);
    if (secret)
        cJSON_AddStringToObject(row, "value", "(not shown)");
    else if (value)
        cJSON_AddStringToObject(row, "value", value);
    else
        cJSON_AddNullToObject(row, "value");
    cJSON_AddStringToObject(row, "origin", origin);
    cJSON_AddStringToObject(row, "from", from);
    cJSON_AddItemToArray(rows, row);
}

/* Of a variable: the file that it is from, or the environment itself. */
static void add_variable(cJSON *rows, const char *name, const char *variable) {
    const char *file = settings_file_of(variable);
    add_row(rows, name, getenv(variable), file ? "file" : "environment", file ? file : variable);
}

/* ---- what every command has ------------------------------------------------------------------ */

static const char *value_of(const struct option_row *row) {
    return row->kind == OPTION_FLAG ? *(bool *)row->target ? "true" : "false"
                                    : *(const char **)row->target;
}

static void add_option(cJSON *rows, const struct option_row *row, enum option_origin origin) {
    char name[NAME_SIZE];
    switch (origin) {
    case OPTION_DEFAULT:
        add_row(rows, row->name, value_of(row), "default", "default");
        break;
    case OPTION_ENVIRONMENT:
        options_environment_name(row->name, name, sizeof(name));
        add_variable(rows, row->name, name);
        break;
    case OPTION_BY_HAND:
        snprintf(name, sizeof(name), "--%.70s", row->name);
        add_row(rows, row->name, value_of(row), "option", name);
        break;
    }
}

/* ---- what else is set ------------------------------------------------------------------------ */

static char wanted[NAME_SIZE];
static bool is_option;

static void look_for_wanted(const struct cli_command *command, const struct option_row *rows) {
    for (; rows->name; rows++)
        is_option = is_option || !strcmp(rows->name, wanted);
}

static bool has_row(const cJSON *rows, const char *name) {
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, rows) if (!strcmp(cli_text(row, "name"), name)) return true;
    return false;
}

/* ESPALIER_SOME_OPTION=value, of an option that some commands have, or of none. */
static void add_other(cJSON *rows, const char *entry) {
    char variable[NAME_SIZE];
    const char *equals = strchr(entry, '=');
    if (strncmp(entry, prefix, sizeof(prefix) - 1) != 0 || !equals || !equals[1] ||
        equals - entry >= NAME_SIZE)
        return;
    snprintf(variable, sizeof(variable), "%.*s", (int)(equals - entry), entry);
    snprintf(wanted, sizeof(wanted), "%s", variable + sizeof(prefix) - 1);
    for (char *c = wanted; *c; c++)
        *c = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
    if (has_row(rows, wanted))
        return;
    is_option = !strcmp(wanted, "config") || !strcmp(wanted, "table");
    visit_commands(look_for_wanted);
    add_variable(rows, wanted, variable);
    if (!is_option)
        fprintf(stderr, "espalier: %s is set, but no command has an option --%s\n", variable,
                wanted);
}

static int show_run(struct cli *cli, int argc, char **argv) {
    static const struct column columns[] = {
        {"SETTING", "name", CELL_TEXT}, {"VALUE", "value", CELL_TEXT}, {"FROM", "from", CELL_TEXT}};
    struct cli settings = {0}; /* how to reach a daemon that this does not ask */
    struct option_row rows[] = {CLI_DAEMON_ROWS(&settings), CLI_LOCAL_ROWS(cli)};
    enum option_origin origins[COUNT(rows)] = {OPTION_DEFAULT};
    int first = 0, code;

    for (int i = 0; i < COUNT(rows); i++)
        rows[i].origin = &origins[i];
    code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);
    if (code >= 0)
        return code;
    cJSON *all = cJSON_CreateArray();
    for (int i = 0; rows[i].name; i++)
        if (strcmp(rows[i].name, "help") != 0)
            add_option(all, &rows[i], origins[i]);
    for (char **entry = environ; *entry; entry++)
        add_other(all, *entry);
    cli_table(cli, all, columns, COUNT(columns));
    cJSON_Delete(all);
    return CLI_OK;
}

const struct cli_command cli_config_show = {
    "config", "show", "", "the settings, and where each comes from: option, environment or file",
    show_run};
