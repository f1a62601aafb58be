#include "daemon/cli/visit.h"

#include <stdio.h>
#include <string.h>

void visit_commands(void (*visit)(const struct cli_command *command,
                                  const struct option_row *rows)) {
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        struct cli cli = {.command = *c, .visit = visit};
        char name[32];
        char *argv[] = {name, NULL};
        snprintf(name, sizeof(name), "%s", (*c)->verb ? (*c)->verb : (*c)->noun);
        (*c)->run(&cli, 1, argv); /* no further than cli_start */
    }
}

bool visit_is_first(const struct cli_command *const *command) {
    return command == cli_commands || strcmp(command[-1]->noun, command[0]->noun) != 0;
}

void visit_nouns(const char *noun, const char *gap) {
    const char *before = "";
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        if (noun ? !(*c)->verb || strcmp((*c)->noun, noun) != 0 : !visit_is_first(c))
            continue;
        printf("%s%s", before, noun ? (*c)->verb : (*c)->noun);
        before = gap;
    }
}
