/* What may have been meant by a command that there is not. */
#pragma once

#include "daemon/cli/cli.h"

/* Says on stderr that the noun (NULL: the client itself) has no such word, what may have been meant
 * by it, and what there is. Returns CLI_USAGE. */
int hint_unknown(const char *noun, const char *word);
