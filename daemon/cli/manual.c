/* espalier manual: the manual page, made of the commands and their option tables. */
#include <stdio.h>
#include <string.h>

#include "daemon/cli/commands.h"
#include "daemon/cli/visit.h"

static const struct {
    int code;
    const char *meaning;
} exits[] = {{CLI_OK, "Done."},
             {CLI_FAILURE, "It failed."},
             {CLI_USAGE, "Wrong use."},
             {CLI_NOT_FOUND, "What was named is not there."},
             {CLI_CONFLICT, "It conflicts with the state of things."},
             {CLI_UNREACHABLE, "The daemon cannot be reached."},
             {CLI_JOB_FAILED, "The job failed or was cancelled."},
             {CLI_TIMEOUT, "It took longer than was allowed."},
             {CLI_INTERRUPTED, "It was interrupted."}};

static bool is_common(const char *name, const struct option_row *common) {
    for (; common->name; common++)
        if (!strcmp(common->name, name))
            return true;
    return false;
}

static const struct option_row *shared; /* rows that every command has */

static void print_command(const struct cli_command *command, const struct option_row *rows) {
    bool own = false;
    const char *gap = command->verb ? " " : "", *verb = command->verb ? command->verb : "";
    printf(".Ss %s%s%s\n.Bd -literal\nespalier %s%s%s%s", command->noun, gap, verb, command->noun,
           gap, verb, command->words[0] ? " " : "");
    options_print_roff(command->words);
    fputs("\n.Ed\n.Pp\n", stdout);
    options_print_roff(command->help);
    fputs(".\n", stdout);
    for (const struct option_row *row = rows; row->name; row++)
        if (!is_common(row->name, shared)) {
            if (!own)
                fputs(".Bl -tag -width Ds\n", stdout);
            own = true;
            options_print_mdoc(row);
        }
    if (own)
        fputs(".El\n", stdout);
}

static int run(struct cli *cli, int argc, char **argv) {
    const struct option_row rows[] = {CLI_HELP_ROW(cli)}, common[] = {CLI_COMMON_ROWS(cli)};
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    if (code >= 0)
        return code;
    fputs(".Dd November 28, 2026\n.Dt ESPALIER 1\n.Os\n.Sh NAME\n.Nm espalier\n"
          ".Nd client of the Espalier daemon\n"
          ".Sh SYNOPSIS\n.Nm\n.Ar noun\n.Ar verb\n.Op Ar word ...\n.Op Ar options\n"
          ".Sh DESCRIPTION\n.Nm\nasks the daemon\n.Nm espalierd\n"
          "for what it does: data sets, spaces, supernets, searches, boards and jobs.\n"
          "Data goes to standard output, progress and errors to standard error.\n"
          ".Sh OPTIONS\nThese are known to every command that asks the daemon,\n"
          "those of how its answer is printed where there is more to it than text.\n"
          ".Bl -tag -width Ds\n",
          stdout);
    for (const struct option_row *row = common; row->name; row++)
        options_print_mdoc(row);
    fputs(".El\n.Sh COMMANDS\n", stdout);
    shared = common;
    visit_commands(print_command);
    fputs(".Sh ENVIRONMENT\nAny option can be given as a variable:\n.Ev ESPALIER_\n"
          "and its name in capitals, such as\n.Ev ESPALIER_URL\nor\n.Ev ESPALIER_TOKEN .\n"
          ".Sh FILES\nWhat is not set in the environment is taken from\n"
          ".Pa espalier/client.env\nbelow\n.Ev XDG_CONFIG_HOME\nor\n.Pa ~/.config ,\n"
          "then from\n.Pa /etc/espalier/client.env ,\n"
          "which have such a variable and its value a line, as in ESPALIER_URL=unix:PATH.\n"
          "If\n.Ev ESPALIER_CONFIG\nis set, the file that it names is read in their place.\n"
          ".Sh EXIT STATUS\n.Bl -tag -width Ds\n",
          stdout);
    for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++)
        printf(".It %d\n%s\n", exits[i].code, exits[i].meaning);
    fputs(".El\n", stdout);
    return CLI_OK;
}

const struct cli_command cli_manual = {
    "manual", NULL, "", "the manual page of these commands: espalier manual | man -l -", run};
