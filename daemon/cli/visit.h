/* All commands with their option tables, for what is made of them: completions, the manual. */
#pragma once

#include "daemon/cli/cli.h"

/* Calls visit with each command and its rows, in the order of the overview. */
void visit_commands(void (*visit)(const struct cli_command *command,
                                  const struct option_row *rows));
/* Prints the verbs of a noun, or (NULL) the nouns, with gap between them. */
void visit_nouns(const char *noun, const char *gap);
/* Whether it is the first command of its noun. */
bool visit_is_first(const struct cli_command *const *command);
