#include "daemon/cli/commands.h"

#include <stddef.h>

const struct cli_command *const cli_commands[] = {
#define CLI_COMMAND(name) &cli_##name,
#include "daemon/cli/commands.inc"
#undef CLI_COMMAND
    NULL};
